// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile guest by a script: ring words and contents, NVSP and RNDIS messages, page lists, completions, frames from the network, through a real
 * bus. The first byte says how far a good driver came before, and what the steps mostly are: see src/vsp/net/testing/hostile.c.
 */
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	hostile_play(data, bytes);
	return 0;
}
