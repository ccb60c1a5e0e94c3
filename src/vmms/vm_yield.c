// SPDX-License-Identifier: Apache-2.0
#include "vm_yield.h"

#include <stdlib.h>

#include "job.h"
#include "lib/check.h"
#include "vm.h"

struct waiting {
	struct call *call;
	void (*go_on)(struct call *c);
	struct job *job;
	struct job_watch watch;
};

static void on_ended(void *ctx, struct job *j)
{
	struct waiting *w = ctx;
	struct call *c = w->call;
	void (*go_on)(struct call *) = w->go_on;

	(void)j;
	free(w);
	call_hold(c, NULL, NULL);
	go_on(c);
}

static void on_gone(void *ctx, struct call *c)
{
	struct waiting *w = ctx;

	(void)c;
	job_unwatch(w->job, &w->watch);
	free(w);
}

bool vm_yield(struct call *c, const char *vm_id, void (*go_on)(struct call *c))
{
	struct vm *vm = vm_find_id(c->vmms, vm_id);

	if (vm == NULL || vm->job == NULL || !vm->tidying || !job_cancel(vm->job)) {
		return false;
	}
	struct waiting *w = calloc(1, sizeof(*w));

	CHECK(w != NULL);
	*w = (struct waiting){.call = c, .go_on = go_on, .job = vm->job};
	w->watch = (struct job_watch){.ended = on_ended, .ctx = w};
	job_watch(vm->job, &w->watch);
	call_hold(c, on_gone, w);
	return true;
}
