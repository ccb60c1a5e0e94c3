// SPDX-License-Identifier: Apache-2.0
/* A hostile guest by a script, and its owner: see src/vsp/ic/testing/hostile.h. */
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	hostile_play(data, bytes);
	return 0;
}
