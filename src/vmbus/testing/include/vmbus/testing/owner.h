/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of a service provider, as far as all of them want the same of him: a lock that is taken once, wakes that are counted, log lines.
 * On one thread. A test rig begins with it, so that the rig is what these functions get as @ctx.
 */
#ifndef VMBUS_TESTING_OWNER_H
#define VMBUS_TESTING_OWNER_H

#include "vmbus/testing/guest.h"

struct fake_owner {
	struct fake_guest *g; /* whether lines are shown */
	unsigned wakes, logs;
	int locks;
	char log[300]; /* the last line */
};

void fake_owner_lock(void *ctx);
void fake_owner_unlock(void *ctx);
void fake_owner_wake(void *ctx);
void fake_owner_log(void *ctx, const char *line);

#endif
