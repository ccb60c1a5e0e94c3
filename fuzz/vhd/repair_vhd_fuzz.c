// SPDX-License-Identifier: Apache-2.0
/* A damaged VHD is repaired, and used if nothing is wrong with it then. */
#include "disk_fuzz.h"
#include "format_vhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	repair_fuzz(&hostile_vhd, data, bytes);
	return 0;
}
