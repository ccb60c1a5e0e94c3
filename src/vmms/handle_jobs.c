// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "host/loop.h"
#include "job.h"
#include "lib/bits.h"
#include "roles.h"
#include "routes.h"
#include "vmms.h"

#define WAIT_MAX_S 60

static bool may(const struct call *c, const struct job *j, enum right right)
{
	return caller_may(c->caller, job_vm_id(j)[0] == '\0' ? NULL : job_vm_id(j), right);
}

static void list(struct call *c)
{
	json_t *all = jobs_json(c->vmms, NULL), *jobs = json_object_get(all, "jobs");

	for (size_t i = json_array_size(jobs); i-- > 0;) {
		const json_t *vm = json_object_get(json_array_get(jobs, i), "vm");

		if (!caller_may(c->caller, json_string_value(vm), RIGHT_READ)) {
			json_array_remove(jobs, i);
		}
	}
	call_ok(c, all);
}

/* One that the caller may not see is not there for them. */
static struct job *job_of_call(struct call *c)
{
	struct job *j = job_find(c->vmms, c->parameters[0]);

	if (j != NULL && may(c, j, RIGHT_READ)) {
		return j;
	}
	call_refuse(c, API_NOT_FOUND, NULL,
		    "there is no job '%s'; jobs are forgotten five minutes after their end",
		    c->parameters[0]);
	return NULL;
}

/* ---- Waiting ---- */

struct waiting {
	struct call *call;
	struct job *job;
	struct loop *loop;
	struct job_watch watch;
	struct loop_timer timer;
};

static void answer(struct waiting *w)
{
	struct call *c = w->call;
	json_t *o = job_json(w->job);

	free(w);
	call_ok(c, o);
}

static void on_ended(void *ctx, struct job *j)
{
	struct waiting *w = ctx;

	(void)j;
	loop_timer_set(w->loop, &w->timer, 0);
	answer(w);
}

static void on_time(void *ctx)
{
	struct waiting *w = ctx;

	job_unwatch(w->job, &w->watch);
	answer(w);
}

static void on_gone(void *ctx, struct call *c)
{
	struct waiting *w = ctx;

	(void)c;
	loop_timer_set(w->loop, &w->timer, 0);
	job_unwatch(w->job, &w->watch);
	free(w);
}

static void wait_for(struct call *c, struct job *j, unsigned seconds)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		call_ok(c, job_json(j));
		return;
	}
	*w = (struct waiting){.call = c, .job = j, .loop = c->vmms->loop};
	w->watch = (struct job_watch){.ended = on_ended, .ctx = w};
	w->timer = (struct loop_timer){.fn = on_time, .ctx = w};
	job_watch(j, &w->watch);
	loop_timer_set(w->loop, &w->timer, host_now_ns() + seconds * UINT64_C(1000000000));
	call_hold(c, on_gone, w);
}

static void show(struct call *c)
{
	struct job *j = job_of_call(c);
	const char *text = call_query(c, "wait");
	char *end;

	if (j == NULL) {
		return;
	}
	unsigned long seconds = text == NULL ? 0 : strtoul(text, &end, 10);

	if (text != NULL && (text[0] < '0' || text[0] > '9' || *end != '\0')) {
		call_refuse(c, API_INVALID, NULL, "wait=%.20s; expected seconds from 0 to %d", text,
			    WAIT_MAX_S);
		return;
	}
	if (seconds == 0 || job_state(j) != JOB_RUNNING) {
		call_ok(c, job_json(j));
		return;
	}
	wait_for(c, j, seconds < WAIT_MAX_S ? (unsigned)seconds : WAIT_MAX_S);
}

static void cancel(struct call *c)
{
	struct job *j = job_of_call(c);

	if (j == NULL) {
		return;
	}
	if (!may(c, j, RIGHT_OPERATE)) {
		call_refuse(c, API_DENIED, NULL, "job %s is not %s's to cancel", job_id(j),
			    c->caller->name);
	} else if (!job_cancel(j)) {
		call_refuse(c, API_WRONG_STATE, NULL, "job %s (%s) %s", job_id(j), job_kind(j),
			    job_state(j) == JOB_RUNNING ? "cannot be cancelled"
							: "has ended already");
	} else {
		call_ok(c, job_json(j));
	}
}

static const struct route routes[] = {
	{"GET", "/jobs", RIGHT_READ, false, list, "Lists jobs, the newest first", NULL, "JobList"},
	{"GET", "/jobs/{job}", RIGHT_READ, false, show,
	 "Shows a job; with ?wait=SECONDS when it has ended, or then", NULL, "Job"},
	{"DELETE", "/jobs/{job}", RIGHT_READ, true, cancel, "Cancels a job", NULL, "Job"},
};

const struct route_table job_routes = {routes, ARRAY_LEN(routes)};
