// SPDX-License-Identifier: Apache-2.0
#include "job.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api_error.h"
#include "audit.h"
#include "clock.h"
#include "events.h"
#include "lib/check.h"
#include "new_id.h"
#include "vm.h"
#include "vmms.h"

struct job {
	struct vmms *vmms;
	char id[GUID_TEXT_BYTES];
	const char *kind;
	struct vm *vm; /* until it ends; NULL: none */
	char vm_id[GUID_TEXT_BYTES];
	char vm_name[128];
	char who[64];
	enum job_state state;
	uint64_t started_us, ended_us;
	uint64_t ended_ns;
	atomic_uint percent;
	_Atomic(const char *) phase;
	atomic_bool cancelling;
	bool cancellable;
	void (*cancel)(void *ctx);
	void *cancel_ctx;
	json_t *error;
	json_t *result;
	struct job_watch *watches;
	struct job *next; /* older */
};

struct jobs {
	struct vmms *vmms;
	struct job *newest;
	size_t ended;
	struct loop_timer timer; /* the next one is old enough */
};

static void job_free(struct job *j)
{
	json_decref(j->error);
	json_decref(j->result);
	free(j);
}

/* ---- Which are kept ---- */

static bool is_old(const struct jobs *all, const struct job *j, uint64_t now)
{
	return j->state != JOB_RUNNING &&
	       (now - j->ended_ns >= JOBS_KEPT_NS || all->ended > JOBS_ENDED_MAX);
}

static void forget_old(void *ctx)
{
	struct jobs *all = ctx;
	uint64_t now = host_now_ns(), next = UINT64_MAX;

	for (struct job **p = &all->newest; *p != NULL;) {
		struct job *j = *p;

		if (j->state != JOB_RUNNING && now - j->ended_ns >= JOBS_KEPT_NS) {
			*p = j->next;
			all->ended--;
			job_free(j);
			continue;
		}
		if (j->state != JOB_RUNNING && j->ended_ns + JOBS_KEPT_NS < next) {
			next = j->ended_ns + JOBS_KEPT_NS;
		}
		p = &j->next;
	}
	loop_timer_set(all->vmms->loop, &all->timer, next);
}

/* More ended within the time than are kept: the oldest of them goes. */
static void forget_oldest(struct jobs *all)
{
	struct job **oldest = NULL;

	for (struct job **p = &all->newest; *p != NULL; p = &(*p)->next) {
		if (is_old(all, *p, 0)) {
			oldest = p;
		}
	}
	if (oldest != NULL) {
		struct job *j = *oldest;

		*oldest = j->next;
		all->ended--;
		job_free(j);
	}
}

struct jobs *jobs_create(struct vmms *v)
{
	struct jobs *all = calloc(1, sizeof(*all));

	if (all != NULL) {
		all->vmms = v;
		all->timer = (struct loop_timer){.fn = forget_old, .ctx = all};
	}
	return all;
}

void jobs_destroy(struct jobs *all)
{
	if (all == NULL) {
		return;
	}
	loop_timer_set(all->vmms->loop, &all->timer, 0);
	for (struct job *j = all->newest; j != NULL;) {
		struct job *next = j->next;

		job_free(j);
		j = next;
	}
	free(all);
}

/* ---- Life ---- */

static struct job *begin(struct vmms *v, const char *kind, const struct vm *vm, const char *who)
{
	struct job *j = calloc(1, sizeof(*j));

	CHECK(j != NULL);
	*j = (struct job){.vmms = v, .kind = kind, .started_us = clock_now_us()};
	atomic_init(&j->phase, "starting");
	new_id(j->id);
	snprintf(j->who, sizeof(j->who), "%s", who);
	if (vm != NULL) {
		snprintf(j->vm_id, sizeof(j->vm_id), "%s", vm->id);
		snprintf(j->vm_name, sizeof(j->vm_name), "%s", vm_name(vm));
	}
	j->next = v->jobs->newest;
	v->jobs->newest = j;
	return j;
}

static void tell_start(struct job *j, const struct vm *vm)
{
	events_publish(j->vmms, "job.started", vm, j,
		       json_pack("{s:s, s:s}", "kind", j->kind, "state", "running"));
}

struct job *job_create(struct vmms *v, const char *kind, struct vm *vm, const char *who)
{
	struct job *j = begin(v, kind, vm, who);

	if (vm != NULL) {
		CHECK(vm->job == NULL);
		vm->job = j;
		j->vm = vm;
	}
	tell_start(j, vm);
	return j;
}

struct job *job_create_beside(const char *kind, struct vm *vm, const char *who)
{
	struct job *j = begin(vm->vmms, kind, vm, who);

	tell_start(j, vm);
	return j;
}

static const char *state_name(enum job_state s)
{
	static const char *const names[] = {"running", "completed", "failed", "cancelled"};

	return names[s];
}

/* What somebody asked for is in the audit log already; how it ended goes there too. */
static void note_end(const struct job *j)
{
	char what[64];

	snprintf(what, sizeof(what), "job %.50s", j->kind);
	audit_note(j->vmms->audit, j->who, what, j->vm_id[0] == '\0' ? NULL : j->vm_id,
		   state_name(j->state),
		   json_pack("{s:s, s:o?}", "job", j->id, "code",
			     json_incref(json_object_get(j->error, "code"))));
}

static void end(struct job *j, enum job_state state)
{
	struct jobs *all = j->vmms->jobs;
	struct vm *vm = j->vm;

	CHECK(j->state == JOB_RUNNING);
	j->state = state;
	j->ended_us = clock_now_us();
	j->ended_ns = host_now_ns();
	j->cancellable = false;
	j->vm = NULL;
	if (vm != NULL) {
		vm->job = NULL;
	}
	all->ended++;
	events_publish(j->vmms, "job.ended", vm, j,
		       json_pack("{s:s, s:s, s:O?}", "kind", j->kind, "state", state_name(state),
				 "error", j->error));
	note_end(j);
	while (j->watches != NULL) {
		struct job_watch *w = j->watches;

		j->watches = w->next;
		w->ended(w->ctx, j);
	}
	if (all->ended > JOBS_ENDED_MAX) {
		forget_oldest(all);
	}
	if (all->timer.deadline_ns == 0) {
		loop_timer_set(j->vmms->loop, &all->timer, host_now_ns() + JOBS_KEPT_NS);
	}
}

void job_complete(struct job *j, json_t *result)
{
	j->result = result;
	atomic_store(&j->percent, 100);
	end(j, JOB_COMPLETED);
}

void job_fail(struct job *j, enum api_error error, json_t *extra, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	j->error = api_error_json(api_error_code(error), text);
	if (extra != NULL) {
		json_object_update(j->error, extra);
		json_decref(extra);
	}
	end(j, JOB_FAILED);
}

void job_cancelled(struct job *j)
{
	end(j, JOB_CANCELLED);
}

void job_progress(struct job *j, unsigned percent, const char *phase)
{
	atomic_store(&j->percent, percent);
	atomic_store(&j->phase, phase);
}

void job_allow_cancel(struct job *j, void (*cancel)(void *ctx), void *ctx)
{
	j->cancellable = true;
	j->cancel = cancel;
	j->cancel_ctx = ctx;
}

void job_forbid_cancel(struct job *j)
{
	j->cancellable = false;
}

bool job_is_cancelling(const struct job *j)
{
	return atomic_load(&j->cancelling);
}

bool job_cancel(struct job *j)
{
	if (!j->cancellable) {
		return false;
	}
	if (!atomic_exchange(&j->cancelling, true) && j->cancel != NULL) {
		j->cancel(j->cancel_ctx);
	}
	return true;
}

/* ---- Looking ---- */

const char *job_id(const struct job *j)
{
	return j->id;
}

const char *job_kind(const struct job *j)
{
	return j->kind;
}

enum job_state job_state(const struct job *j)
{
	return j->state;
}

const char *job_vm_id(const struct job *j)
{
	return j->vm_id;
}

const char *job_error_text(const struct job *j)
{
	return json_string_value(json_object_get(j->error, "message"));
}

static json_t *time_or_null(uint64_t us)
{
	char text[CLOCK_TEXT_BYTES];

	return us == 0 ? json_null() : json_string(clock_text(us, text));
}

json_t *job_json(const struct job *j)
{
	json_t *o = json_pack(
		"{s:s, s:s, s:s?, s:s?, s:s, s:i, s:s, s:O?, s:O?, s:b, s:s, s:o, s:o}", "id",
		j->id, "kind", j->kind, "vm", j->vm_id[0] == '\0' ? NULL : j->vm_id, "vm_name",
		j->vm_id[0] == '\0' ? NULL : j->vm_name, "state", state_name(j->state), "progress",
		(int)atomic_load(&j->percent), "phase",
		j->state == JOB_RUNNING ? atomic_load(&j->phase) : state_name(j->state), "error",
		j->error, "result", j->result, "cancellable", j->cancellable, "who", j->who,
		"started", time_or_null(j->started_us), "ended", time_or_null(j->ended_us));

	CHECK(o != NULL);
	return o;
}

struct job *job_find(struct vmms *v, const char *id)
{
	struct job *j = v->jobs->newest;

	while (j != NULL && strcasecmp(j->id, id) != 0) {
		j = j->next;
	}
	return j;
}

json_t *jobs_json(struct vmms *v, const char *vm_id)
{
	json_t *list = json_array();

	for (const struct job *j = v->jobs->newest; j != NULL; j = j->next) {
		if (vm_id == NULL || strcmp(vm_id, j->vm_id) == 0) {
			json_array_append_new(list, job_json(j));
		}
	}
	return json_pack("{s:o}", "jobs", list);
}

void job_watch(struct job *j, struct job_watch *w)
{
	w->next = j->watches;
	j->watches = w;
}

void job_unwatch(struct job *j, struct job_watch *w)
{
	for (struct job_watch **p = &j->watches; *p != NULL; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			return;
		}
	}
}
