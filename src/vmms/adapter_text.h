/* SPDX-License-Identifier: Apache-2.0 */
/* A network adapter of a configuration as the switch's client takes it. */
#ifndef VMMS_ADAPTER_TEXT_H
#define VMMS_ADAPTER_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ADAPTER_TEXT_BYTES 16384u

/* "SWITCH[,option...]" as of `virid run --net`. False: @error says which member is wrong. */
bool adapter_text(const json_t *adapter, char ret[ADAPTER_TEXT_BYTES], char *error, size_t size);

#endif
