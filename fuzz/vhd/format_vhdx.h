/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX disks to damage: dynamic, one with a log to replay, differencing, fixed with 4 KiB sectors. */
#ifndef FUZZ_VHD_FORMAT_VHDX_H
#define FUZZ_VHD_FORMAT_VHDX_H

#include "hostile.h"

extern const struct hostile_format hostile_vhdx;

#endif
