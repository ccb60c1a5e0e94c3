/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_SHUT_DOWN_H
#define VMMS_SHUT_DOWN_H

#include <stdbool.h>
#include <stddef.h>

/* Has the service of folder @state stop all its VMs as each says, and end; waits for that. True also when none serves. */
bool shut_down(const char *state, char *error, size_t size);

#endif
