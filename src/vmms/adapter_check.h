/* SPDX-License-Identifier: Apache-2.0 */
/* What the switch's client says about network adapters. */
#ifndef VMMS_ADAPTER_CHECK_H
#define VMMS_ADAPTER_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Would the switch's client take "SWITCH[,option...]"? */
bool adapter_check(const char *text, char *error, size_t size);
/* "00:15:5d:...": an address of chance in Hyper-V's own range. */
void adapter_make_mac(char ret[18]);

#endif
