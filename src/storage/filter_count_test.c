// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/bits.h"
#include "test/test.h"
#include "testing.h"

#define DISK_BYTES (1u << 20)
#define MS UINT64_C(1000000)

struct world {
	struct io_context c;
	struct testing_clock clock;
	struct block_counters counters;
	struct block_device *b;
	char buf[65536];
};

/* What lies below takes 3 ms, and fails reads at 512 KiB. */
static void world_init(struct world *w)
{
	const struct block_error_rule rule = {.ops = 1u << IO_READ,
					      .offset = 512 << 10,
					      .bytes = 4096,
					      .count = UINT64_MAX,
					      .error = -EIO};

	memset(w, 0, sizeof(*w));
	io_context_init(&w->c, NULL);
	testing_clock_init(&w->clock, 5000 * MS);
	w->b = testing_disk(&w->c, DISK_BYTES, 512, false);
	CHECK(block_error_create(w->b, &rule, 1, &w->b) == 0);
	CHECK(block_delay_create(w->b, 3 * MS, &w->clock.clock, &w->b) == 0);
	CHECK(block_count_create(w->b, &w->clock.clock, &w->counters, &w->b) == 0);
}

static void turn(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		block_filter_poll(w->b);
		io_poll(&w->c, false, 0);
	}
}

static int request(struct world *w, enum io_op op, uint64_t offset, size_t bytes)
{
	struct testing_request r;

	testing_submit(w->b, &r, op, offset, w->buf, bytes);
	turn(w);
	CHECK(r.calls == 0 && w->counters.queue == 1);
	w->clock.now_ns += 3 * MS;
	turn(w);
	CHECK(r.calls == 1 && w->counters.queue == 0);
	return r.result;
}

static void test_each_kind(struct test *t)
{
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, request(&w, IO_WRITE, 0, 512), 0);
	EXPECT_EQ(t, request(&w, IO_WRITE, 8192, 8704), 0);
	EXPECT_EQ(t, request(&w, IO_READ, 0, 65536), 0);
	EXPECT_EQ(t, request(&w, IO_FLUSH, 0, 0), 0);
	EXPECT_EQ(t, request(&w, IO_ZERO, 0, 4096), 0);
	EXPECT_EQ(t, w.counters.writes, 2);
	EXPECT_EQ(t, w.counters.write_bytes, 512 + 8704);
	EXPECT_EQ(t, w.counters.reads, 1);
	EXPECT_EQ(t, w.counters.read_bytes, 65536);
	EXPECT_EQ(t, w.counters.normalized, 1 + 2 + 8);
	EXPECT_EQ(t, w.counters.flushes, 1);
	EXPECT_EQ(t, w.counters.unmaps, 1);
	EXPECT_EQ(t, w.counters.errors, 0);
	EXPECT_EQ(t, w.counters.latency_ns, 5 * 3 * MS);
	block_destroy(w.b);
}

static void test_failures(struct test *t)
{
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, request(&w, IO_READ, 512 << 10, 512), -EIO);
	EXPECT_EQ(t, w.counters.errors, 1);
	EXPECT_EQ(t, w.counters.reads, 0);
	EXPECT_EQ(t, w.counters.read_bytes, 0);
	EXPECT_EQ(t, w.counters.latency_ns, 3 * MS);
	block_destroy(w.b);
}

/* More than are kept for later, and again. */
static void test_many_at_once(struct test *t)
{
	static struct testing_request r[200];
	struct world w;

	world_init(&w);
	for (unsigned round = 1; round <= 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(r); i++) {
			testing_submit(w.b, &r[i], IO_READ, i * 512, w.buf, 512);
		}
		EXPECT_EQ(t, w.counters.queue, ARRAY_LEN(r));
		w.clock.now_ns += 3 * MS;
		turn(&w);
		EXPECT_EQ(t, w.counters.queue, 0);
		EXPECT_EQ(t, w.counters.reads, round * ARRAY_LEN(r));
		EXPECT_EQ(t, w.counters.latency_ns, round * ARRAY_LEN(r) * 3 * MS);
	}
	block_destroy(w.b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_each_kind),
		TEST(test_failures),
		TEST(test_many_at_once),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
