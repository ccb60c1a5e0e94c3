/* SPDX-License-Identifier: Apache-2.0 */
/* The engine under the partitions of partition_fuzz.c: each program brings its own. */
#ifndef FUZZ_STATE_PARTITION_ENGINE_H
#define FUZZ_STATE_PARTITION_ENGINE_H

#include "hv/engine.h"

/* What the engine itself wants in the configuration is put there. Ends the program, and says why, where there is no such engine. */
const struct hv_engine_ops *partition_engine(struct hv_engine_config *config);

#endif
