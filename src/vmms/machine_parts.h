/* SPDX-License-Identifier: Apache-2.0 */
/* Inside machine*.c: disks and adapters as whoever starts a worker wants them. */
#ifndef VMMS_MACHINE_PARTS_H
#define VMMS_MACHINE_PARTS_H

#include "launch/worker.h"
#include "machine.h"

/* @all has room. */
void machine_add_disk(struct launch_disks *all, const struct machine_disk *d);
bool machine_add_adapter(struct launch_nets *all, const struct machine_adapter *a,
			 struct launch_error *error);

#endif
