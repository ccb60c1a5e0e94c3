// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <errno.h>

#include "test/test.h"
#include "testing.h"

#define DISK_BYTES (1u << 20)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

struct world {
	struct io_context c;
	struct testing_clock clock;
	struct block_counters counters;
	struct block_device *below;
	char buf[65536];
	char lines[4][160];
	unsigned line_count;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	io_context_init(&w->c, NULL);
	testing_clock_init(&w->clock, 5 * S);
	w->below = testing_disk(&w->c, DISK_BYTES, 512, false);
}

static void turn(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		io_poll(&w->c, false, 0);
	}
}

static void log_line(void *ctx, const char *text)
{
	struct world *w = ctx;

	snprintf(w->lines[w->line_count++ % ARRAY_LEN(w->lines)], sizeof(w->lines[0]), "%s", text);
}

static struct block_device *make_error(struct world *w)
{
	struct block_device *b = NULL;

	CHECK(block_error_create(w->below, NULL, 0, &b) == 0);
	return b;
}

static struct block_device *make_log(struct world *w)
{
	const struct block_log log = {.line = log_line, .ctx = w};
	struct block_device *b = NULL;

	CHECK(block_log_create(w->below, &log, &b) == 0);
	return b;
}

static struct block_device *make_delay(struct world *w)
{
	struct block_device *b = NULL;

	CHECK(block_delay_create(w->below, 3 * MS, &w->clock.clock, &b) == 0);
	return b;
}

static struct block_device *make_throttle(struct world *w)
{
	const struct block_throttle none = {0};
	struct block_device *b = NULL;

	CHECK(block_throttle_create(w->below, &none, &w->clock.clock, &b) == 0);
	return b;
}

static struct block_device *make_cow(struct world *w)
{
	struct block_device *above = testing_disk(&w->c, 2 * DISK_BYTES, 512, false), *b = NULL;

	CHECK(block_cow_create(w->below, above, &b) == 0);
	return b;
}

static struct block_device *make_count(struct world *w)
{
	struct block_device *b = NULL;

	CHECK(block_count_create(w->below, &w->clock.clock, &w->counters, &b) == 0);
	return b;
}

static struct block_device *(*const makers[])(struct world *) = {
	make_error, make_log, make_delay, make_throttle, make_cow, make_count,
};

/* What every filter owes: the shape, changes, data, extents. */
static void test_all_forward(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		struct world w;
		struct testing_listener l;
		char data[512] = {'d', (char)i}, got[512] = {0};
		enum storage_extent what;
		uint64_t bytes;

		world_init(&w);
		EXPECT_EQ(t, block_write(w.below, 512, data, 512), 0);
		struct block_device *b = makers[i](&w);

		testing_listen(&l, b);
		EXPECT_EQ(t, b->info.bytes, DISK_BYTES);
		EXPECT(t, b->name != NULL);
		struct testing_request r;

		testing_submit(b, &r, IO_READ, 512, got, 512);
		turn(&w);
		w.clock.now_ns += 10 * MS;
		block_filter_poll(b);
		turn(&w);
		EXPECT_EQ(t, r.calls, 1);
		EXPECT_EQ(t, r.result, 0);
		EXPECT_MEM(t, got, data, 512);
		EXPECT_EQ(t, block_extent(b, 0, &what, &bytes), 0);
		EXPECT_EQ(t, what, STORAGE_DATA);
		EXPECT_EQ(t, bytes, 4096);
		block_settle(b);
		w.below->info.bytes = DISK_BYTES / 2;
		block_changed(w.below);
		EXPECT_EQ(t, l.calls, 1);
		EXPECT_EQ(t, b->info.bytes, DISK_BYTES / 2);
		block_destroy(b);
	}
}

static void test_error_rules(struct test *t)
{
	const struct block_error_rule rules[] = {
		{BIT32(IO_READ), 4096, 512, 0, UINT64_MAX, -EIO},
		{BIT32(IO_WRITE) | BIT32(IO_ZERO), 0, 0, 2, 1, -ENOSPC},
		{BIT32(IO_FLUSH), 0, 512, 0, 1, -EIO},
	};
	struct world w;
	struct block_device *b = NULL;

	world_init(&w);
	EXPECT_EQ(t, block_error_create(w.below, rules, ARRAY_LEN(rules), &b), 0);
	/* by range, for ever */
	EXPECT_EQ(t, testing_run(b, IO_READ, 0, w.buf, 4096), 0);
	EXPECT_EQ(t, testing_run(b, IO_READ, 0, w.buf, 4096 + 512), -EIO);
	EXPECT_EQ(t, testing_run(b, IO_READ, 4096, w.buf, 512), -EIO);
	EXPECT_EQ(t, testing_run(b, IO_READ, 4096 + 512, w.buf, 512), 0);
	/* the third one, once */
	EXPECT_EQ(t, testing_run(b, IO_WRITE, 0, w.buf, 512), 0);
	EXPECT_EQ(t, testing_run(b, IO_ZERO, 0, NULL, 512), 0);
	EXPECT_EQ(t, testing_run(b, IO_WRITE, 0, w.buf, 512), -ENOSPC);
	EXPECT_EQ(t, testing_run(b, IO_WRITE, 0, w.buf, 512), 0);
	EXPECT_EQ(t, testing_run(b, IO_FLUSH, 0, NULL, 0), -EIO);
	EXPECT_EQ(t, testing_run(b, IO_FLUSH, 0, NULL, 0), 0);
	EXPECT_EQ(t, testing_run(b, IO_DISCARD, 0, NULL, 512), 0);
	block_destroy(b);
}

static void test_log_lines(struct test *t)
{
	struct world w;

	world_init(&w);
	struct block_device *b = make_log(&w);

	EXPECT_EQ(t, testing_run(b, IO_READ, 1024, w.buf, 512), 0);
	EXPECT_EQ(t, testing_run(b, IO_FLUSH, 0, NULL, 0), 0);
	EXPECT_EQ(t, block_zero(b, 0, 4096, true), 0);
	w.below->info.read_only = true; /* without telling: the log sees what below answers */
	EXPECT_EQ(t, testing_run(b, IO_WRITE, 0, w.buf, 512), -EROFS);
	EXPECT_EQ(t, w.line_count, 4);
	EXPECT(t, strcmp(w.lines[0], "read offset=1024 bytes=512 flags= result=0") == 0);
	EXPECT(t, strcmp(w.lines[1], "flush offset=0 bytes=0 flags= result=0") == 0);
	EXPECT(t, strcmp(w.lines[2], "zero offset=0 bytes=4096 flags=unmap, result=0") == 0);
	EXPECT(t, strcmp(w.lines[3], "write offset=0 bytes=512 flags= result=-30") == 0);
	block_destroy(b);
}

static void test_delay(struct test *t)
{
	struct world w;
	struct testing_request r[3];

	world_init(&w);
	struct block_device *b = make_delay(&w);

	for (unsigned i = 0; i < 3; i++) {
		testing_submit(b, &r[i], IO_WRITE, 512 * i, w.buf, 512);
		w.clock.now_ns += MS;
	}
	turn(&w);
	/* now the first one is due */
	EXPECT_EQ(t, r[0].calls, 0);
	EXPECT_EQ(t, block_filter_poll(b), MS);
	turn(&w);
	EXPECT_EQ(t, r[0].calls, 1);
	EXPECT_EQ(t, r[1].calls, 0);
	w.clock.now_ns += MS - 1;
	EXPECT_EQ(t, block_filter_poll(b), 1);
	w.clock.now_ns += 100 * MS;
	EXPECT_EQ(t, block_filter_poll(b), UINT64_MAX);
	turn(&w);
	EXPECT_EQ(t, r[1].calls + r[2].calls, 2);
	/* again from empty, with an error from below */
	w.below->info.read_only = true;
	testing_submit(b, &r[0], IO_WRITE, 0, w.buf, 512);
	turn(&w);
	EXPECT_EQ(t, block_filter_poll(b), 3 * MS);
	w.clock.now_ns += 3 * MS;
	block_filter_poll(b);
	turn(&w);
	EXPECT_EQ(t, r[0].result, -EROFS);
	block_destroy(b);
}

/* Requests of @bytes back to back for @duration_ns; returns how many finished. */
static unsigned run_for(struct world *w, struct block_device *b, size_t bytes, uint64_t duration_ns)
{
	uint64_t end = w->clock.now_ns + duration_ns;
	unsigned count = 0;

	while (w->clock.now_ns < end) {
		struct testing_request r;

		testing_submit(b, &r, IO_READ, 0, w->buf, bytes);
		while (io_poll(&w->c, false, 0) == 0) {
			uint64_t wait = block_filter_poll(b);

			w->clock.now_ns += wait == UINT64_MAX ? 0 : wait;
		}
		count += r.calls;
	}
	return count;
}

static void expect_near(struct test *t, uint64_t got, uint64_t want)
{
	if (got < want * 98 / 100 || got > want * 102 / 100 + 1) {
		test_fail(t, __FILE__, __LINE__, "got %" PRIu64 ", want about %" PRIu64, got, want);
	}
}

static void test_throttle_rates(struct test *t)
{
	static const struct {
		struct block_throttle limits;
		size_t bytes;
		uint64_t want_per_s;
	} rows[] = {
		{{1000, 0, 1}, 512, 1000},	 {{1000, 0, 1}, 8192, 1000},
		{{1000, 0, 1}, 8704, 500},	 {{1000, 0, 1}, 65536, 125},
		{{0, 1 << 20, 1}, 512, 2048},	 {{0, 1 << 20, 1}, 65536, 16},
		{{1000, 1 << 20, 1}, 512, 1000}, {{1000, 1 << 20, 1}, 8192, 128},
		{{777, 0, 1}, 512, 777},	 {{0, 999983, 1}, 512, 1953},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		world_init(&w);
		struct block_device *b = make_throttle(&w);

		block_throttle_set(b, &rows[i].limits);
		expect_near(t, run_for(&w, b, rows[i].bytes, 10 * S), 10 * rows[i].want_per_s);
		block_destroy(b);
	}
}

static void test_throttle_burst(struct test *t)
{
	const struct block_throttle limits = {.max_iops = 100, .burst_ns = 50 * MS};
	struct world w;
	struct testing_request r[10], flush;
	unsigned finished = 0;

	world_init(&w);
	struct block_device *b = make_throttle(&w);

	block_throttle_set(b, &limits);
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		testing_submit(b, &r[i], IO_WRITE, 0, w.buf, 512);
	}
	testing_submit(b, &flush, IO_FLUSH, 0, NULL, 0);
	turn(&w);
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		/* in order: nobody overtakes */
		EXPECT(t, i == 0 || r[i - 1].calls >= r[i].calls);
		finished += r[i].calls;
	}
	EXPECT_EQ(t, finished, 6); /* five saved up, and one that may run into debt */
	EXPECT_EQ(t, flush.calls, 1);
	EXPECT_EQ(t, block_filter_poll(b), 10 * MS);
	w.clock.now_ns += 10 * MS;
	block_filter_poll(b);
	turn(&w);
	EXPECT_EQ(t, r[6].calls, 1);
	EXPECT_EQ(t, r[7].calls, 0);
	/* without limits all go at once */
	block_throttle_set(b, &(struct block_throttle){0});
	turn(&w);
	EXPECT_EQ(t, r[9].calls, 1);
	EXPECT_EQ(t, block_filter_poll(b), UINT64_MAX);
	block_destroy(b);
}

static void test_throttle_old_debt(struct test *t)
{
	const struct block_throttle slow = {.max_bytes_per_s = 1, .burst_ns = 1};
	const struct block_throttle fast = {.max_bytes_per_s = 1 << 20, .burst_ns = MS};
	struct world w;
	struct testing_request first, r;

	world_init(&w);
	struct block_device *b = make_throttle(&w);

	block_throttle_set(b, &slow);
	testing_submit(b, &first, IO_WRITE, 0, w.buf, 65536); /* 65536 s of debt */
	block_throttle_set(b, &fast);
	testing_submit(b, &r, IO_WRITE, 0, w.buf, 512);
	turn(&w);
	EXPECT_EQ(t, r.calls, 1);
	block_destroy(b);
}

/* Waiting calls turn what delays. */
static uint64_t running_clock(void *ctx)
{
	return ((struct testing_clock *)ctx)->now_ns += MS;
}

static void test_waiting_through_delay(struct test *t)
{
	struct world w;

	world_init(&w);
	w.clock.clock.now_ns = running_clock;
	struct block_device *b = make_delay(&w);

	EXPECT_EQ(t, block_write(b, 0, w.buf, 512), 0);
	EXPECT_EQ(t, block_flush(b), 0);
	block_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_all_forward),	      TEST(test_error_rules),
		TEST(test_log_lines),	      TEST(test_delay),
		TEST(test_throttle_rates),    TEST(test_throttle_burst),
		TEST(test_throttle_old_debt), TEST(test_waiting_through_delay),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
