/* SPDX-License-Identifier: Apache-2.0 */
/* The processor states in which kernels expect to be entered. */
#ifndef FIRMWARE_START_H
#define FIRMWARE_START_H

#include "target.h"

/* Writes the GDT (selectors 10h code, 18h data) and, for 64 bits, page tables that map the first 4 GiB onto themselves. */
enum loader_status start_flat32(struct target *t, struct loader_start *ret);
enum loader_status start_long(struct target *t, struct loader_start *ret);

#endif
