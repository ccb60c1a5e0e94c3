// SPDX-License-Identifier: Apache-2.0
/* The N-th request or allocation of an operation fails, for many N; one TAP line for each operation. See README.md. */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing.h"
#include "lib/bits.h"
#include "lib/check.h"

#define TRIES 40u /* for each way to fail */

enum way {
	IO_ONCE,
	IO_FOR_GOOD,
	SPACE_ONCE,
	SPACE_FOR_GOOD, /* files do not grow any further */
	MEMORY_ONCE,
	MEMORY_FOR_GOOD,
	WAYS,
};
static const char *const way_names[] = {"I/O error",	  "I/O errors from here on",
					"no space once",  "no space left",
					"no memory once", "no memory from here on"};

struct attempt {
	const struct failing_op *op;
	enum way way;
	uint64_t n; /* 0: nothing fails */
	struct scene scene;
	struct vhd_error error;
	int result;
	uint64_t calls; /* requests, bytes or allocations, of which the n-th fails */
};

static void begin(struct attempt *a)
{
	struct scene *s = &a->scene;
	const struct scenario *sc = &a->op->scenario;

	*s = (struct scene){.scenario = sc, .dice = {1}};
	a->error.text[0] = 0;
	lab_init(&s->lab, 1);
	model_init(&s->model, &s->history, sc->create.bytes, sc->largest_bytes);
	s->model.footer_shows = sc->create.format == VHD_VHD_FIXED;
	sc->prepare(s);
	lab_drain(&s->lab);
}

static void end(struct attempt *a)
{
	struct scene *s = &a->scene;

	model_fini(&s->model);
	history_clear(&s->history);
	lab_fini(&s->lab);
}

static uint64_t largest_file(const struct lab *lab)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < lab->file_count; i++) {
		bytes = max_u64(bytes, image_bytes(lab->files[i].image));
	}
	return bytes;
}

static void arm(struct attempt *a)
{
	struct lab *lab = &a->scene.lab;
	struct failing_memory *m = failing_memory();
	bool memory = a->way == MEMORY_ONCE || a->way == MEMORY_FOR_GOOD;

	lab->shuffle = true;
	lab->calls = 0;
	*m = (struct failing_memory){.armed = true};
	if (memory) {
		m->fail_at = a->n;
		m->fail_on = a->way == MEMORY_FOR_GOOD;
	} else if (a->way == SPACE_FOR_GOOD) {
		lab->limit_bytes = a->n == 0 ? 0 : largest_file(lab) + (a->n - 1) * 256 * KIB;
	} else {
		lab->fail_at = a->n;
		lab->fail_on = a->way == IO_FOR_GOOD;
		lab->fail_error = a->way == SPACE_ONCE ? -ENOSPC : -EIO;
	}
}

static void disarm(struct attempt *a)
{
	struct lab *lab = &a->scene.lab;
	struct failing_memory *m = failing_memory();

	m->armed = false;
	a->calls = a->way >= MEMORY_ONCE      ? m->calls
		   : a->way == SPACE_FOR_GOOD ? largest_file(lab) / (256 * KIB)
					      : lab->calls;
	lab->fail_at = 0;
	lab->limit_bytes = 0;
	lab_drain(lab);
	lab->shuffle = false;
}

/* A failure says of which file it is. */
static int judge_text(const struct attempt *a, char *why, size_t size)
{
	if (a->result != 0 && strstr(a->error.text, "/lab/") == NULL) {
		snprintf(why, size, "result %d with the message \"%s\"", a->result, a->error.text);
		return 1;
	}
	if (a->result != 0 && a->n == 0) {
		snprintf(why, size, "result %d though nothing failed: %s", a->result,
			 a->error.text);
		return 1;
	}
	return 0;
}

static int judge(struct attempt *a, char *why, size_t size)
{
	struct scene *s = &a->scene;
	int r = judge_text(a, why, size);

	if (r == 0 && s->lab.violation[0] != 0) {
		snprintf(why, size, "%s", s->lab.violation);
		r = 1;
	}
	return r != 0 ? r : a->op->verify(s, a->result, why, size);
}

/* False: it did not end as it must. */
static bool try(struct attempt *a)
{
	char why[1536] = "";

	begin(a);
	arm(a);
	a->result = a->op->act(&a->scene, &a->error);
	disarm(a);
	int r = judge(a, why, sizeof(why));

	if (r != 0) {
		printf("# %s: %s, number %" PRIu64 " (result %d, \"%s\"): %s\n",
		       a->op->scenario.name, way_names[a->way], a->n, a->result, a->error.text,
		       why);
	}
	end(a);
	return r == 0;
}

/* How often it failed as it must; -1: not always. */
static int64_t try_way(const struct failing_op *op, enum way way)
{
	struct attempt a = {.op = op, .way = way};

	if (!try(&a)) {
		return -1;
	}
	uint64_t calls = a.calls, tries = calls < TRIES ? calls : TRIES;

	for (uint64_t i = 0; i < tries; i++) {
		/* From each stretch of equal length one, not always the first. */
		uint64_t from = i * calls / tries, to = (i + 1) * calls / tries;

		a.n = 1 + from + dice_mix(i + way) % (to - from);
		if (!try(&a)) {
			return -1;
		}
	}
	return (int64_t)tries;
}

static bool chosen(const struct failing_op *op, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], op->scenario.name) == 0) {
			return true;
		}
	}
	return argc == 1;
}

int main(int argc, char **argv)
{
	bool failed = false;

	/* As in power_cut.c. */
	mallopt(M_MMAP_THRESHOLD, INT32_MAX);
	mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	printf("1..%zu\n", failing_op_count);
	for (size_t i = 0; i < failing_op_count; i++) {
		const struct failing_op *op = &failing_ops[i];
		int64_t total = 0;
		bool ok = true;

		if (!chosen(op, argc, argv)) {
			printf("ok %zu - %s # SKIP not asked for\n", i + 1, op->scenario.name);
			continue;
		}
		for (unsigned way = 0; way < WAYS; way++) {
			int64_t n = try_way(op, way);

			ok &= n >= 0;
			total += n;
		}
		printf("%s %zu - %s, %" PRId64 " failures\n", ok ? "ok" : "not ok", i + 1,
		       op->scenario.name, total);
		fflush(stdout);
		failed |= !ok;
	}
	return failed;
}
