// SPDX-License-Identifier: Apache-2.0
#include "audit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_file.h"
#include "clock.h"
#include "host/log.h"
#include "host/loop.h"
#include "lib/check.h"
#include "task.h"

#define SECOND_NS UINT64_C(1000000000)
#define WAITING_BYTES_MAX ((size_t)4 << 20) /* a disk that is slower than this loses lines */

struct audit {
	struct tasks *tasks;
	char *path;
	char *waiting; /* lines that the next batch writes */
	size_t waiting_bytes, waiting_capacity;
	struct batch *batch;	  /* that is being written */
	struct reading *readings; /* that wait for what is */
	uint64_t lost;
	bool complained;
	uint64_t denied_from_ns; /* when the allowance of denied lines was last empty */
	unsigned denied_left_out;
};

struct batch {
	struct audit *audit;
	const char *path; /* the audit's */
	char *text;
	size_t bytes;
	bool written; /* or tried */
	int result;
};

/* ---- Writing ---- */

static void work(void *ctx)
{
	struct batch *b = ctx;

	b->result = audit_file_append(b->path, b->text, b->bytes);
	b->written = true;
}

static unsigned count_lines(const char *text, size_t bytes)
{
	unsigned n = 0;

	for (size_t i = 0; i < bytes; i++) {
		n += text[i] == '\n';
	}
	return n;
}

/* ---- Reading ---- */

struct reading {
	struct reading *next; /* of those that wait */
	unsigned batches;     /* that are to be written before */
	struct audit_query query;
	const char *path; /* the audit's */
	json_t *answer;
	void (*done)(void *ctx, json_t *answer);
	void *ctx;
};

static void read_work(void *ctx)
{
	struct reading *r = ctx;

	r->answer = audit_file_read(r->path, &r->query);
}

static void read_done(void *ctx)
{
	struct reading *r = ctx;

	r->done(r->ctx, r->answer);
	free(r);
}

/* Those that waited for the batch that has just been written, and for no other. */
static void start_readings(struct audit *a)
{
	for (struct reading **link = &a->readings; *link != NULL;) {
		struct reading *r = *link;

		if (--r->batches > 0) {
			link = &r->next;
			continue;
		}
		*link = r->next;
		task_run(a->tasks, read_work, read_done, r);
	}
}

/* ---- Writing, on the loop ---- */

static void write_waiting(struct audit *a);

static void done(void *ctx)
{
	struct batch *b = ctx;
	struct audit *a = b->audit;

	if (b->result < 0) {
		a->lost += count_lines(b->text, b->bytes);
		if (!a->complained) {
			log_line("%s: the audit log cannot be written: %s", a->path,
				 strerror(-b->result));
		}
	}
	a->complained = b->result < 0;
	a->batch = NULL;
	free(b->text);
	free(b);
	start_readings(a);
	write_waiting(a);
}

static void write_waiting(struct audit *a)
{
	struct batch *b;

	if (a->batch != NULL || a->waiting_bytes == 0) {
		return;
	}
	b = malloc(sizeof(*b));
	CHECK(b != NULL);
	*b = (struct batch){
		.audit = a, .path = a->path, .text = a->waiting, .bytes = a->waiting_bytes};
	a->waiting = NULL;
	a->waiting_bytes = a->waiting_capacity = 0;
	a->batch = b;
	if (a->tasks != NULL) {
		task_run(a->tasks, work, done, b);
	} else {
		work(b);
		done(b);
	}
}

static bool add_line(struct audit *a, const char *line, size_t bytes)
{
	size_t need = a->waiting_bytes + bytes + 1;

	if (need > WAITING_BYTES_MAX) {
		return false;
	}
	if (need > a->waiting_capacity) {
		char *grown = realloc(a->waiting, need * 2);

		if (grown == NULL) {
			return false;
		}
		a->waiting = grown;
		a->waiting_capacity = need * 2;
	}
	memcpy(a->waiting + a->waiting_bytes, line, bytes);
	a->waiting[need - 1] = '\n';
	a->waiting_bytes = need;
	return true;
}

void audit_note(struct audit *a, const char *who, const char *what, const char *vm,
		const char *result, json_t *extra)
{
	char time[CLOCK_TEXT_BYTES];

	if (a == NULL) {
		json_decref(extra);
		return;
	}
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:s?, s:s}", "time", clock_text(clock_now_us(), time),
			  "who", who, "what", what, "vm", vm, "result", result);

	CHECK(o != NULL);
	if (extra != NULL) {
		json_object_update_missing(o, extra);
		json_decref(extra);
	}
	char *line = json_dumps(o, JSON_COMPACT);

	if (line != NULL && strlen(line) > AUDIT_LINE_BYTES_MAX) {
		free(line);
		json_object_del(o, "request");
		line = json_dumps(o, JSON_COMPACT);
	}
	json_decref(o);
	if (line == NULL || !add_line(a, line, strlen(line))) {
		a->lost++;
	}
	free(line);
	write_waiting(a);
}

/* An allowance that grows by one each second, up to the burst. */
static bool take_allowance(struct audit *a)
{
	uint64_t now = host_now_ns(), full = AUDIT_DENIED_BURST * SECOND_NS;

	if (now - a->denied_from_ns > full) {
		a->denied_from_ns = now > full ? now - full : 0;
	}
	if (now - a->denied_from_ns < SECOND_NS) {
		return false;
	}
	a->denied_from_ns += SECOND_NS;
	return true;
}

void audit_note_denied(struct audit *a, const char *who, const char *what, const char *vm,
		       json_t *extra)
{
	if (a == NULL || !take_allowance(a)) {
		if (a != NULL) {
			a->denied_left_out++;
		}
		json_decref(extra);
		return;
	}
	if (a->denied_left_out > 0) {
		json_object_set_new(extra, "left_out", json_integer(a->denied_left_out));
		a->denied_left_out = 0;
	}
	audit_note(a, who, what, vm, "denied", extra);
}

uint64_t audit_lost(const struct audit *a)
{
	return a == NULL ? 0 : a->lost;
}

void audit_read(struct audit *a, const struct audit_query *q,
		void (*done_fn)(void *ctx, json_t *answer), void *ctx)
{
	struct reading *r = malloc(sizeof(*r));

	CHECK(r != NULL);
	*r = (struct reading){.query = *q, .path = a->path, .done = done_fn, .ctx = ctx};
	/* Who asks finds what was noted before. */
	r->batches = (a->batch != NULL) + (a->waiting_bytes > 0);
	if (r->batches > 0) {
		r->next = a->readings;
		a->readings = r;
	} else if (a->tasks != NULL) {
		task_run(a->tasks, read_work, read_done, r);
	} else {
		read_work(r);
		read_done(r);
	}
}

/* ---- Life ---- */

int audit_create(const char *path, struct tasks *tasks, struct audit **ret, char *error,
		 size_t size)
{
	struct audit *a = calloc(1, sizeof(*a));
	int r = a == NULL ? -ENOMEM : audit_file_open(path);

	if (r == 0 && (a->path = strdup(path)) == NULL) {
		r = -ENOMEM;
	}
	if (r < 0) {
		snprintf(error, size, "%s: the audit log cannot be written: %s", path,
			 strerror(-r));
		free(a);
		return r;
	}
	a->tasks = tasks;
	*ret = a;
	return 0;
}

void audit_destroy(struct audit *a)
{
	if (a == NULL) {
		return;
	}
	a->tasks = NULL;
	if (a->batch != NULL) {
		struct batch *b = a->batch;

		if (!b->written) {
			work(b); /* the tasks ended before its turn */
		}
		free(b->text);
		free(b);
		a->batch = NULL;
	}
	write_waiting(a);
	while (a->readings != NULL) {
		struct reading *r = a->readings;

		a->readings = r->next;
		free(r);
	}
	free(a->waiting);
	free(a->path);
	free(a);
}
