// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile guest by a script: channel messages, ring words and contents, storvsp packets, page lists and CDBs, through a real bus and real
 * units. The first byte says how far a good driver came before, and what the steps mostly are: see src/vsp/stor/hostile.c.
 */
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	hostile_play(data, bytes);
	return 0;
}
