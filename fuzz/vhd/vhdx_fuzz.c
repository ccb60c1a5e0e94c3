// SPDX-License-Identifier: Apache-2.0
/* A damaged VHDX is opened, used, closed, checked and repaired. */
#include "disk_fuzz.h"
#include "format_vhdx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	disk_fuzz(&hostile_vhdx, data, bytes);
	return 0;
}
