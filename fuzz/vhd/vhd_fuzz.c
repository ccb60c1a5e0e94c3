// SPDX-License-Identifier: Apache-2.0
/* A damaged VHD is opened, used, closed, checked and repaired. */
#include "disk_fuzz.h"
#include "format_vhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	disk_fuzz(&hostile_vhd, data, bytes);
	return 0;
}
