/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: what takes longer than an answer. A job is there from its start until JOBS_KEPT_NS after its end. Loop thread, but for what says
 * otherwise.
 */
#ifndef VMMS_JOB_H
#define VMMS_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "call.h"

#define JOBS_KEPT_NS (UINT64_C(300) * 1000000000)
#define JOBS_ENDED_MAX 4096u /* the oldest go early */

struct job;
struct jobs;
struct loop;
struct vm;

enum job_state { JOB_RUNNING, JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED };

struct jobs *jobs_create(struct vmms *v);
void jobs_destroy(struct jobs *all);

/*
 * A new job; with @vm it is that VM's one operation (vm->job) until it ends. @kind is a constant: "start". @who is copied. What it is made
 * for ends it with exactly one of job_complete, job_fail, job_cancelled.
 */
struct job *job_create(struct vmms *v, const char *kind, struct vm *vm, const char *who);
/* About @vm, beside its one operation: vm->job is left alone. */
struct job *job_create_beside(const char *kind, struct vm *vm, const char *who);
/* @result (taken over, may be NULL) is what GET shows under "result". */
void job_complete(struct job *j, json_t *result);
/* @extra: as of call_refuse. */
__attribute__((format(printf, 4, 5))) void job_fail(struct job *j, enum api_error error,
						    json_t *extra, const char *fmt, ...);
void job_cancelled(struct job *j);

/* How far it is; @phase is a constant. Any thread. */
void job_progress(struct job *j, unsigned percent, const char *phase);
/* From now on it can be cancelled: @cancel (may be NULL) is called once, and job_is_cancelling is true. NULL @j is allowed nowhere. */
void job_allow_cancel(struct job *j, void (*cancel)(void *ctx), void *ctx);
void job_forbid_cancel(struct job *j);
/* Somebody wants it to end. Any thread. */
bool job_is_cancelling(const struct job *j);
/* False: it has ended, or cannot be cancelled. */
bool job_cancel(struct job *j);

const char *job_id(const struct job *j);
const char *job_kind(const struct job *j);
enum job_state job_state(const struct job *j);
/* The id of its VM; "": the host's. */
const char *job_vm_id(const struct job *j);
/* Why it failed; NULL: it did not. */
const char *job_error_text(const struct job *j);
/* As the API shows it; a new reference. */
json_t *job_json(const struct job *j);
/* NULL: there is none. */
struct job *job_find(struct vmms *v, const char *id);
/* {"jobs": [...]}, the newest first; a new reference. */
json_t *jobs_json(struct vmms *v, const char *vm_id);

/* The caller's memory; called once, when the job has ended, unless it is taken back before. */
struct job_watch {
	void (*ended)(void *ctx, struct job *j);
	void *ctx;
	struct job_watch *next;
};
void job_watch(struct job *j, struct job_watch *w);
void job_unwatch(struct job *j, struct job_watch *w);

#endif
