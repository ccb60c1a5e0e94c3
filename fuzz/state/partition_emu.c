// SPDX-License-Identifier: Apache-2.0
#include "emu/emu.h"
#include "partition_engine.h"

const struct hv_engine_ops *partition_engine(struct hv_engine_config *config)
{
	config->clock_hz = 1000000000;
	config->count_instructions = true;
	return &emu_engine_ops;
}
