// SPDX-License-Identifier: Apache-2.0
#include "vmbus/testing/owner.h"

#include <stdio.h>

#include "lib/check.h"

void fake_owner_lock(void *ctx)
{
	CHECK(((struct fake_owner *)ctx)->locks++ == 0);
}

void fake_owner_unlock(void *ctx)
{
	CHECK(--((struct fake_owner *)ctx)->locks == 0);
}

void fake_owner_wake(void *ctx)
{
	((struct fake_owner *)ctx)->wakes++;
}

void fake_owner_log(void *ctx, const char *line)
{
	struct fake_owner *o = ctx;

	o->logs++;
	snprintf(o->log, sizeof(o->log), "%s", line);
	if (o->g->log_show) {
		printf("# %s\n", line);
	}
}
