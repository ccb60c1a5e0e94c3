/* SPDX-License-Identifier: Apache-2.0 */
/* VHDs to damage: dynamic, differencing, fixed. */
#ifndef FUZZ_VHD_FORMAT_VHD_H
#define FUZZ_VHD_FORMAT_VHD_H

#include "hostile.h"

extern const struct hostile_format hostile_vhd;

#endif
