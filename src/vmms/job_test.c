// SPDX-License-Identifier: Apache-2.0
/* Jobs, events and threads: what everything in the service is made of. */
#include "job.h"

#include <errno.h>
#include <unistd.h>

#include "events.h"
#include "lib/bits.h"
#include "link.h"
#include "process.h"
#include "task.h"
#include "test/test.h"
#include "vm.h"
#include "vmms.h"

static void open_all(struct vmms *v)
{
	*v = (struct vmms){.state = "/nonexistent", .runtime = "/nonexistent"};
	if (loop_create(&v->loop) != 0 || tasks_create(v->loop, &v->tasks) != 0) {
		abort();
	}
	v->jobs = jobs_create(v);
	v->events = events_create();
}

static void close_all(struct vmms *v)
{
	tasks_destroy(v->tasks);
	jobs_destroy(v->jobs);
	events_destroy(v->events);
	loop_destroy(v->loop);
}

static void count(void *ctx, struct job *j)
{
	(void)j;
	++*(unsigned *)ctx;
}

static void count_alone(void *ctx)
{
	++*(unsigned *)ctx;
}

static void test_life(struct test *t)
{
	struct vmms v;
	struct vm vm = {.vmms = &v, .id = "A"};
	unsigned ended = 0;
	struct job_watch first = {count, &ended}, second = {count, &ended};

	open_all(&v);
	struct job *j = job_create(&v, "start", &vm, "me");

	EXPECT(t, vm.job == j && job_find(&v, job_id(j)) == j && job_state(j) == JOB_RUNNING);
	job_watch(j, &first);
	job_watch(j, &second);
	job_unwatch(j, &first);
	job_progress(j, 40, "half way");
	EXPECT(t, !job_cancel(j));
	json_t *o = job_json(j);

	EXPECT_EQ(t, json_integer_value(json_object_get(o, "progress")), 40);
	json_decref(o);
	job_fail(j, API_NO_SPACE, json_pack("{s:i}", "more", 5), "file \xff: %s", "full");
	EXPECT_EQ(t, ended, 1);
	EXPECT(t, vm.job == NULL && job_state(j) == JOB_FAILED && !job_cancel(j));
	o = job_json(j);
	/* What is no UTF-8 does not keep the error from being told. */
	EXPECT(t, strcmp(json_string_value(json_object_get(json_object_get(o, "error"), "code")),
			 "no-space") == 0);
	EXPECT(t, strcmp(json_string_value(json_object_get(json_object_get(o, "error"), "message")),
			 "file \xef\xbf\xbd: full") == 0);
	EXPECT_EQ(t, json_integer_value(json_object_get(json_object_get(o, "error"), "more")), 5);
	json_decref(o);
	close_all(&v);
}

static void test_cancelled(struct test *t)
{
	struct vmms v;
	unsigned asked = 0;

	open_all(&v);
	struct job *j = job_create(&v, "copy", NULL, "me");

	job_allow_cancel(j, count_alone, &asked);
	EXPECT(t, !job_is_cancelling(j) && job_cancel(j) && job_cancel(j) && job_is_cancelling(j));
	EXPECT_EQ(t, asked, 1);
	job_cancelled(j);
	EXPECT_EQ(t, job_state(j), JOB_CANCELLED);
	close_all(&v);
}

/* However many end at once, a bounded number is kept, and the newest are. */
static void test_bounded(struct test *t)
{
	struct vmms v;
	char last[64] = "", first[64] = "";

	open_all(&v);
	struct job *running = job_create(&v, "long", NULL, "me");

	for (unsigned i = 0; i < JOBS_ENDED_MAX + 10; i++) {
		struct job *j = job_create(&v, "short", NULL, "me");

		snprintf(i == 0 ? first : last, sizeof(last), "%s", job_id(j));
		job_complete(j, NULL);
	}
	json_t *all = jobs_json(&v, NULL);

	EXPECT_EQ(t, json_array_size(json_object_get(all, "jobs")), JOBS_ENDED_MAX + 1);
	EXPECT(t, job_find(&v, first) == NULL && job_find(&v, last) != NULL &&
			  job_find(&v, job_id(running)) == running);
	json_decref(all);
	job_complete(running, NULL);
	close_all(&v);
}

static void test_events(struct test *t)
{
	struct vmms v;
	unsigned came = 0;
	struct events_watch w = {count_alone, &came};

	open_all(&v);
	events_watch(v.events, &w);
	uint64_t first = events_next(v.events);

	for (unsigned i = 0; i < EVENTS_KEPT + 5; i++) {
		events_publish(&v, "host.test", NULL, NULL,
			       json_pack("{s:i, s:i}", "number", (int)i, "id", -1));
	}
	EXPECT_EQ(t, came, EVENTS_KEPT + 5);
	EXPECT_EQ(t, events_first(v.events), first + 5);
	EXPECT_EQ(t, events_next(v.events), first + EVENTS_KEPT + 5);
	EXPECT(t, events_get(v.events, first + 4) == NULL &&
			  events_get(v.events, events_next(v.events)) == NULL);
	const json_t *e = events_get(v.events, first + 5);

	/* What is its own is not overwritten. */
	EXPECT_EQ(t, json_integer_value(json_object_get(e, "id")), first + 5);
	EXPECT_EQ(t, json_integer_value(json_object_get(e, "number")), 5);
	events_unwatch(v.events, &w);
	close_all(&v);
}

struct work {
	struct vmms *v;
	unsigned worked, done;
};

static void work(void *ctx)
{
	__atomic_fetch_add(&((struct work *)ctx)->worked, 1, __ATOMIC_RELAXED);
}

static void done(void *ctx)
{
	struct work *w = ctx;

	if (++w->done == 1000) {
		loop_quit(w->v->loop);
	}
}

static void test_tasks(struct test *t)
{
	struct vmms v;
	struct work w = {.v = &v};

	open_all(&v);
	for (unsigned i = 0; i < 1000; i++) {
		task_run(v.tasks, work, done, &w);
	}
	EXPECT_EQ(t, loop_run(v.loop), 0);
	EXPECT_EQ(t, w.worked, 1000);
	EXPECT_EQ(t, w.done, 1000);
	/* What nobody waits for is dropped. */
	for (unsigned i = 0; i < 100; i++) {
		task_run(v.tasks, work, done, &w);
	}
	close_all(&v);
	EXPECT_EQ(t, w.done, 1000);
}

static void test_values(struct test *t)
{
	char value[8];

	EXPECT(t, link_is_ok("ok") && link_is_ok("ok\na=b") && !link_is_ok("okay") &&
			  !link_is_ok(NULL) && !link_is_ok(""));
	EXPECT(t, link_value("ok\nstate=on\nstates=x", "state", value, sizeof(value)) &&
			  strcmp(value, "on") == 0);
	EXPECT(t, link_value("state=", "state", value, sizeof(value)) && value[0] == '\0');
	EXPECT(t, !link_value("ok\nstate=too long for it", "state", value, sizeof(value)));
	EXPECT(t, !link_value("ok\nstat", "state", value, sizeof(value)) &&
			  !link_value("", "state", value, sizeof(value)));
	EXPECT_EQ(t, link_number("ok\nn=18446744073709551615", "n"), UINT64_MAX);
	EXPECT_EQ(t, link_number("ok", "n"), 0);
}

static void test_processes(struct test *t)
{
	uint64_t start = 0, same = 0;
	struct process_usage usage = {0};
	pid_t pid = 0;

	EXPECT(t, process_start_time(getpid(), &start) && start > 0);
	EXPECT(t, process_parse_stat("77 (a) b) c) S 1 77 77 0 -1 4194368 29 0 0 0 5 6 0 0 20 0 1 "
				     "0 2556101 99831808 576\n",
				     &pid, &same));
	EXPECT_EQ(t, pid, 77);
	EXPECT_EQ(t, same, 2556101);
	EXPECT(t, !process_parse_stat("77 (a) S 1 77", &pid, &same) &&
			  !process_parse_stat("", &pid, &same) &&
			  !process_parse_stat(
				  "-5 (a) S 1 77 77 0 -1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
				  &pid, &same));
	EXPECT(t, process_usage(getpid(), &usage) && usage.resident_bytes > 0);
	int fd = process_open(getpid(), start);

	EXPECT(t, fd >= 0);
	close(fd);
	EXPECT_EQ(t, process_open(getpid(), start + 1), -ESRCH);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_life),  TEST(test_cancelled), TEST(test_bounded),  TEST(test_events),
		TEST(test_tasks), TEST(test_values),	TEST(test_processes)};

	return test_main(cases, ARRAY_LEN(cases));
}
