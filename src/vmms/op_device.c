// SPDX-License-Identifier: Apache-2.0
#include "op_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_error.h"
#include "disk_make.h"
#include "job.h"
#include "lib/check.h"
#include "link.h"
#include "machine.h"
#include "plan.h"
#include "store.h"
#include "task.h"
#include "vmms.h"

struct change {
	struct vm *vm;
	struct job *job;
	bool running; /* the worker is asked */
	bool adapter;
	bool worker_first;
	bool configured; /* the configuration says it already */
	json_t *config;	 /* afterwards; NULL: it stays */
	json_t *before;
	json_t *result;
	/* For the thread. */
	const char *word; /* a constant */
	char *name;
	uint64_t processors;
	struct machine_disk disk;
	struct machine_adapter net;
	uint64_t bytes, make_bytes;
	char *make_parent;
	struct packet *packet;
	bool failed;
	enum api_error code; /* when it failed */
	char error[1600];
};

static void forget(struct change *x)
{
	json_decref(x->config);
	json_decref(x->before);
	json_decref(x->result);
	free(x->name);
	free(x->disk.path);
	free(x->net.text);
	free(x->make_parent);
	free(x);
}

static void fail(struct change *x, enum api_error error, const char *why)
{
	struct job *j = x->job;

	job_fail(j, error, NULL, "%s: %s: %s", x->name, x->word, why);
	forget(x);
}

/* ---- The configuration ---- */

static bool configure(struct change *x, char *why, size_t size, enum api_error *ret_error)
{
	struct json_file_error error;

	if (x->config == NULL || x->configured) {
		return true;
	}
	int r = store_configure(x->vm, json_deep_copy(x->config), &error);

	snprintf(why, size, "%s", r < 0 ? error.text : "");
	*ret_error = api_error_of_errno(-r);
	x->configured = r == 0;
	return r == 0;
}

/* The worker did not do it: the configuration says so again. */
static void take_back(struct change *x)
{
	struct json_file_error error;

	if (x->configured) {
		store_configure(x->vm, json_deep_copy(x->before), &error);
	}
}

static void finish(struct change *x)
{
	char why[sizeof(((struct json_file_error *)0)->text)];
	enum api_error error;

	if (!configure(x, why, sizeof(why), &error)) {
		fail(x, error, why);
		return;
	}
	job_complete(x->job, json_incref(x->result));
	forget(x);
}

/* ---- The worker ---- */

static void on_answer(void *ctx, const char *answer)
{
	struct change *x = ctx;

	if (link_is_ok(answer)) {
		finish(x);
		return;
	}
	take_back(x);
	if (answer == NULL) { /* its end has ended the job */
		forget(x);
		return;
	}
	fail(x, API_FAILED, answer);
}

static void ask(struct change *x)
{
	char why[sizeof(((struct json_file_error *)0)->text)];
	enum api_error error;

	/* What the disk has no room to write down is not done either. */
	if (!x->worker_first && !configure(x, why, sizeof(why), &error)) {
		packet_drop(x->packet);
		fail(x, error, why);
		return;
	}
	link_ask(x->vm->worker.link, x->packet, on_answer, x);
}

/* ---- The thread ---- */

static void note(struct change *x, bool ok, const struct disk_make_error *error)
{
	if (!ok) {
		x->failed = true;
		x->code = error->code;
		snprintf(x->error, sizeof(x->error), "%s", error->text);
	}
}

static void prepare(struct change *x)
{
	struct launch_error error;

	x->packet = x->adapter ? machine_adapter_request(x->word, x->name, x->processors, &x->net,
							 &error)
			       : machine_disk_request(x->word, &x->disk, x->bytes, &error);
	if (x->packet == NULL) {
		x->failed = true;
		x->code = API_FAILED;
		snprintf(x->error, sizeof(x->error), "%s", error.text);
	}
}

static void work(void *ctx)
{
	struct change *x = ctx;
	struct disk_make_error error;

	if (x->make_bytes != 0 || x->make_parent != NULL) {
		note(x, disk_make(x->disk.path, x->make_bytes, x->make_parent, x->job, &error),
		     &error);
	}
	if (x->failed) {
		return;
	}
	if (x->running) {
		prepare(x);
	} else if (strcmp(x->word, "resize") == 0) {
		note(x, disk_resize(x->disk.path, x->disk.raw, x->bytes, x->job, &error), &error);
	}
}

static void done(void *ctx)
{
	struct change *x = ctx;

	if (x->failed) {
		fail(x, x->code, x->error);
	} else if (!x->running) {
		finish(x);
	} else if (x->vm->worker.link == NULL) {
		packet_drop(x->packet);
		/* Its end has ended the job. */
		forget(x);
	} else {
		ask(x);
	}
}

/* ---- Beginning ---- */

static struct change *describe(struct vm *vm, const struct op_device *o)
{
	struct change *x = calloc(1, sizeof(*x));

	CHECK(x != NULL);
	*x = (struct change){
		.vm = vm,
		.running = vm_is_active(vm),
		.adapter = strcmp(o->kind, "adapters") == 0,
		.worker_first = o->worker_first,
		.config = o->config,
		.before = json_deep_copy(vm->configuration),
		.result = json_deep_copy(o->item),
		.word = o->word,
		.name = strdup(vm_name(vm)),
		.processors = (uint64_t)json_integer_value(
			json_object_get(json_object_get(vm->configuration, "processors"), "count")),
		.bytes = o->bytes,
		.make_bytes = o->make_bytes,
		.make_parent = o->make_parent == NULL ? NULL : strdup(o->make_parent),
	};
	if (x->adapter) {
		plan_adapter(o->item, &x->net);
	} else {
		plan_disk(vm, o->kind, o->item, &x->disk);
	}
	return x;
}

/* Nothing but the configuration changes. */
static void change_now(struct call *c, struct vm *vm, const struct op_device *o)
{
	struct json_file_error error;
	char location[160];
	json_t *result = json_deep_copy(o->item);
	int r = store_configure(vm, o->config, &error);

	if (r < 0) {
		json_decref(result);
		call_refuse(c, api_error_of_errno(-r), NULL, "%s is as it was: %s", vm_name(vm),
			    error.text);
	} else if (o->created) {
		snprintf(location, sizeof(location), "/vms/%s/%s/%s", vm->id, o->kind, o->place);
		call_created(c, location, result);
	} else {
		call_ok(c, result);
	}
}

void op_device(struct call *c, struct vm *vm, const struct op_device *o)
{
	bool makes = o->make_bytes != 0 || o->make_parent != NULL;

	bool asks = vm_is_active(vm) && strcmp(o->word, "set") != 0;

	if (!asks && !makes && strcmp(o->word, "resize") != 0) {
		change_now(c, vm, o);
		return;
	}
	struct change *x = describe(vm, o);

	x->job = job_create(c->vmms, o->word, vm, c->caller->name);
	task_run(c->vmms->tasks, work, done, x);
	call_job(c, x->job);
}
