/* SPDX-License-Identifier: Apache-2.0 */
/* What a saved state has to agree on with the machine that goes on from it: memory, processors, controllers, disks, adapters. Loop thread. */
#ifndef VMWP_SHAPE_H
#define VMWP_SHAPE_H

#include "device_state.h"
#include "lib/state.h"

void shape_save(struct worker *w, struct state_writer *out);
/* False: @why names the first difference. */
bool shape_matches(struct worker *w, const struct state_reader *run,
		   char why[DEVICE_STATE_WHY_BYTES]);

#endif
