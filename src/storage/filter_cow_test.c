// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "filter.h"
#include "test/test.h"
#include "testing.h"

#define SECTOR 512u
#define SECTORS 512u

struct world {
	struct io_context c;
	struct block_device *below, *above, *cow;
	char model[SECTORS * SECTOR], original[SECTORS * SECTOR], got[SECTORS * SECTOR];
};

static void world_init(struct world *w)
{
	io_context_init(&w->c, NULL);
	w->below = testing_disk(&w->c, sizeof(w->model), SECTOR, false);
	w->above = testing_disk(&w->c, sizeof(w->model), SECTOR, false);
	for (size_t i = 0; i < sizeof(w->model); i++) {
		w->original[i] = (char)(i / SECTOR + i);
	}
	memcpy(w->model, w->original, sizeof(w->model));
	CHECK(block_write(w->below, 0, w->model, sizeof(w->model)) == 0);
	w->below->info.read_only = true;
	CHECK(block_cow_create(w->below, w->above, &w->cow) == 0);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static int change(struct world *w, enum io_op op, uint64_t offset, uint64_t bytes, char fill)
{
	memset(w->got, fill, bytes);
	memset(w->model + offset, op == IO_WRITE ? fill : 0, bytes);
	return testing_run(w->cow, op, offset, w->got, bytes);
}

/* Against a flat model, with all kinds of changes; below stays as it was. */
static void test_against_model(struct test *t)
{
	static const enum io_op ops[] = {IO_WRITE, IO_WRITE, IO_ZERO, IO_DISCARD};
	static struct world w;
	uint32_t seed = 7;

	world_init(&w);
	EXPECT(t, !w.cow->info.read_only && w.cow->info.discards && w.cow->info.discard_zeros);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t first = next_random(&seed) % SECTORS;
		uint64_t count = 1 + next_random(&seed) % min_u64(20, SECTORS - first);
		enum io_op op = ops[next_random(&seed) % ARRAY_LEN(ops)];

		EXPECT_EQ(t, change(&w, op, first * SECTOR, count * SECTOR, (char)i), 0);
		EXPECT_EQ(t, testing_run(w.cow, IO_READ, 0, w.got, sizeof(w.got)), 0);
		EXPECT_MEM(t, w.got, w.model, sizeof(w.got));
		first = next_random(&seed) % SECTORS;
		EXPECT_EQ(t, testing_run(w.cow, IO_READ, first * SECTOR, w.got, SECTOR), 0);
		EXPECT_MEM(t, w.got, w.model + first * SECTOR, SECTOR);
	}
	EXPECT_EQ(t, testing_run(w.cow, IO_FLUSH, 0, NULL, 0), 0);
	EXPECT_EQ(t, block_read(w.below, 0, w.got, sizeof(w.got)), 0);
	EXPECT_MEM(t, w.got, w.original, sizeof(w.got));
	block_destroy(w.cow);
}

static void test_failed_write_changes_nothing(struct test *t)
{
	const struct block_error_rule rule = {BIT32(IO_WRITE), 0, 0, 0, 1, -EIO};
	static struct world w;
	struct block_device *failing;

	world_init(&w);
	block_destroy(w.cow);
	w.below = testing_disk(&w.c, sizeof(w.model), SECTOR, false);
	w.above = testing_disk(&w.c, sizeof(w.model), SECTOR, false);
	EXPECT_EQ(t, block_write(w.below, 0, w.original, sizeof(w.original)), 0);
	EXPECT_EQ(t, block_error_create(w.above, &rule, 1, &failing), 0);
	EXPECT_EQ(t, block_cow_create(w.below, failing, &w.cow), 0);
	EXPECT_EQ(t, change(&w, IO_WRITE, 0, 1024, 'x'), -EIO);
	EXPECT_EQ(t, block_read(w.cow, 0, w.got, 1024), 0);
	EXPECT_MEM(t, w.got, w.original, 1024);
	EXPECT_EQ(t, change(&w, IO_WRITE, 0, 1024, 'x'), 0);
	EXPECT_EQ(t, block_read(w.cow, 0, w.got, 1024), 0);
	EXPECT_MEM(t, w.got, w.model, 1024);
	block_destroy(w.cow);
}

static void test_read_error_in_the_middle(struct test *t)
{
	const struct block_error_rule rule = {BIT32(IO_READ), 512, 512, 0, UINT64_MAX, -EIO};
	static struct world w;
	struct block_device *failing;

	world_init(&w);
	block_destroy(w.cow);
	w.below = testing_disk(&w.c, sizeof(w.model), SECTOR, false);
	w.above = testing_disk(&w.c, sizeof(w.model), SECTOR, false);
	EXPECT_EQ(t, block_error_create(w.below, &rule, 1, &failing), 0);
	EXPECT_EQ(t, block_cow_create(failing, w.above, &w.cow), 0);
	EXPECT_EQ(t, change(&w, IO_WRITE, 0, 512, 'x'), 0);
	EXPECT_EQ(t, block_read(w.cow, 0, w.got, 2048), -EIO);
	EXPECT_EQ(t, block_read(w.cow, 0, w.got, 512), 0);
	block_destroy(w.cow);
}

static void test_refuses(struct test *t)
{
	struct io_context c;
	struct block_device *cow;

	io_context_init(&c, NULL);
	EXPECT_EQ(t,
		  block_cow_create(testing_disk(&c, 8192, 512, true),
				   testing_disk(&c, 4096, 512, false), &cow),
		  -EINVAL);
	EXPECT_EQ(t,
		  block_cow_create(testing_disk(&c, 8192, 512, true),
				   testing_disk(&c, 8192, 512, true), &cow),
		  -EINVAL);
	EXPECT_EQ(t,
		  block_cow_create(testing_disk(&c, 8192, 512, true),
				   testing_disk(&c, 8192, 4096, false), &cow),
		  -EINVAL);
}

/* The top table of a very large disk costs nothing until it is used. */
static void test_large(struct test *t)
{
	const uint64_t bytes = UINT64_C(1) << 46;
	struct io_context c;
	struct block_device *cow;
	enum storage_extent what;
	uint64_t run;
	char buf[512] = {'x'}, got[512];

	io_context_init(&c, NULL);
	EXPECT_EQ(t,
		  block_cow_create(testing_disk(&c, bytes, 512, true),
				   testing_disk(&c, bytes, 512, false), &cow),
		  0);
	EXPECT_EQ(t, block_write(cow, bytes - 512, buf, 512), 0);
	EXPECT_EQ(t, block_read(cow, bytes - 512, got, 512), 0);
	EXPECT_MEM(t, got, buf, 512);
	EXPECT_EQ(t, block_extent(cow, 100, &what, &run), 0);
	EXPECT_EQ(t, what, STORAGE_HOLE);
	EXPECT_EQ(t, run, bytes - 100 - 512);
	EXPECT_EQ(t, block_extent(cow, bytes - 1, &what, &run), 0);
	EXPECT_EQ(t, what, STORAGE_DATA);
	EXPECT_EQ(t, run, 1);
	block_destroy(cow);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_against_model),
		TEST(test_failed_write_changes_nothing),
		TEST(test_read_error_in_the_middle),
		TEST(test_refuses),
		TEST(test_large),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
