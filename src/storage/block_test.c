// SPDX-License-Identifier: Apache-2.0
#include "storage/block.h"

#include <errno.h>

#include "lib/bits.h"
#include "test/test.h"
#include "testing.h"

#define DISK_BYTES (1u << 20)

struct shape_row {
	const char *what;
	enum io_op op;
	uint64_t offset, bytes;
	size_t vec_bytes, vec_skip;
	int want; /* 512-byte sectors */
	int want_read_only;
};

static const struct shape_row shape_rows[] = {
	{"whole sector", IO_READ, 512, 512, 512, 0, 0, 0},
	{"last sector", IO_WRITE, DISK_BYTES - 512, 512, 512, 0, 0, -EROFS},
	{"beyond the end", IO_READ, DISK_BYTES, 512, 512, 0, -EINVAL, -EINVAL},
	{"across the end", IO_WRITE, DISK_BYTES - 512, 1024, 1024, 0, -EINVAL, -EINVAL},
	{"offset wraps", IO_READ, UINT64_MAX - 511, 1024, 1024, 0, -EINVAL, -EINVAL},
	{"offset in a sector", IO_READ, 1, 512, 512, 0, -EINVAL, -EINVAL},
	{"part of a sector", IO_READ, 0, 511, 512, 0, -EINVAL, -EINVAL},
	{"vector too short", IO_READ, 0, 1024, 1023, 0, -EINVAL, -EINVAL},
	{"vector too short after skip", IO_WRITE, 0, 512, 1000, 489, -EINVAL, -EINVAL},
	{"skip and data fit exactly", IO_WRITE, 0, 512, 1000, 488, 0, -EROFS},
	{"nothing, anywhere", IO_WRITE, UINT64_MAX, 0, 0, 0, 0, 0},
	{"zero", IO_ZERO, 0, DISK_BYTES, 0, 0, 0, -EROFS},
	{"zero beyond", IO_ZERO, 512, DISK_BYTES, 0, 0, -EINVAL, -EINVAL},
	{"discard", IO_DISCARD, 0, DISK_BYTES, 0, 0, 0, -EROFS},
	{"discard beyond", IO_DISCARD, DISK_BYTES, 512, 0, 0, -EINVAL, -EINVAL},
	{"flush", IO_FLUSH, 0, 0, 0, 0, 0, 0},
};

static int submit_row(struct block_device *b, const struct shape_row *row, void *buf)
{
	struct io_vec vec = {.base = buf, .bytes = row->vec_bytes};
	struct testing_request t = {.result = 1};

	t.io = (struct io_request){.op = row->op,
				   .offset = row->offset,
				   .bytes = row->bytes,
				   .vec = &vec,
				   .vec_count = 1,
				   .vec_skip = row->vec_skip,
				   .done = testing_done,
				   .ctx = &t};
	block_submit(b, &t.io);
	if (t.calls != 0) {
		return 2; /* done must not be called from within a submit */
	}
	io_poll(b->context, false, 0);
	return t.result;
}

static void test_shape(struct test *t)
{
	static char buf[2048];

	for (unsigned read_only = 0; read_only < 2; read_only++) {
		struct io_context c;

		io_context_init(&c, NULL);
		struct block_device *b = testing_disk(&c, DISK_BYTES, 512, read_only);

		for (size_t i = 0; i < ARRAY_LEN(shape_rows); i++) {
			const struct shape_row *row = &shape_rows[i];
			int want = read_only ? row->want_read_only : row->want;
			int got = submit_row(b, row, buf);

			if (got != want) {
				test_fail(t, __FILE__, __LINE__, "%s: got %d, want %d", row->what,
					  got, want);
			}
		}
		block_destroy(b);
	}
}

static void test_no_discard(struct test *t)
{
	struct io_context c;
	char buf[512] = {'x'}, got[512] = {0};

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, 65536, 512, false);

	EXPECT_EQ(t, block_write(b, 0, buf, 512), 0);
	b->info.discards = false;
	EXPECT_EQ(t, testing_run(b, IO_DISCARD, 0, NULL, 65536), 0);
	EXPECT_EQ(t, block_read(b, 0, got, 512), 0);
	EXPECT_MEM(t, got, buf, 512);
	block_destroy(b);
	block_destroy(NULL);
}

static void test_waiting(struct test *t)
{
	struct io_context c;
	char buf[4096], got[4096] = {0};

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, 65536, 4096, false);

	memset(buf, 'x', sizeof(buf));
	EXPECT_EQ(t, block_write(b, 4096, buf, 4096), 0);
	EXPECT_EQ(t, block_write(b, 512, buf, 4096), -EINVAL);
	EXPECT_EQ(t, block_flush(b), 0);
	EXPECT_EQ(t, block_read(b, 4096, got, 4096), 0);
	EXPECT_MEM(t, got, buf, 4096);
	EXPECT_EQ(t, block_zero(b, 4096, 4096, true), 0);
	EXPECT_EQ(t, block_read(b, 4096, got, 4096), 0);
	EXPECT_EQ(t, got[0] | got[4095], 0);
	block_settle(b);
	EXPECT_EQ(t, block_filter_poll(b), UINT64_MAX);
	block_destroy(b);
}

static void test_raw_shape(struct test *t)
{
	struct io_context c;

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, 10000, 2048, false);

	EXPECT_EQ(t, b->info.bytes, 8192);
	EXPECT_EQ(t, b->info.sector_bytes, 2048);
	EXPECT_EQ(t, b->info.physical_sector_bytes, 2048);
	EXPECT(t, strcmp(b->name, "test") == 0);
	block_destroy(b);
	b = testing_disk(&c, 1 << 20, 512, true);
	EXPECT(t, b->info.read_only && !b->info.discards);
	EXPECT_EQ(t, b->info.physical_sector_bytes, 4096);
	block_destroy(b);
	b = testing_disk(&c, 1 << 20, 512, false);
	EXPECT(t, !b->info.read_only && b->info.discards && b->info.discard_zeros);
	EXPECT_EQ(t, b->info.discard_granularity_bytes, 4096);
	block_destroy(b);
}

static void test_raw_refresh(struct test *t)
{
	struct io_context c;
	struct testing_listener l;
	struct block_device *b;

	io_context_init(&c, NULL);
	struct storage_file *f = storage_memory_file(&c, "test", UINT64_MAX);

	EXPECT_EQ(t, block_raw_create(f, 512, false, &b), 0);
	testing_listen(&l, b);
	EXPECT_EQ(t, b->info.bytes, 0);
	EXPECT_EQ(t, storage_file_set_size(f, 1025), 0);
	EXPECT_EQ(t, block_raw_refresh(b), 0);
	EXPECT_EQ(t, b->info.bytes, 1024);
	EXPECT_EQ(t, l.calls, 1);
	EXPECT_EQ(t, storage_file_set_size(f, 1026), 0);
	EXPECT_EQ(t, block_raw_refresh(b), 0);
	EXPECT_EQ(t, l.calls, 1);
	block_destroy(b);
}

static void test_extent(struct test *t)
{
	struct io_context c;
	char buf[4096] = {'x'};
	enum storage_extent what;
	uint64_t bytes;

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, 65536 + 100, 512, false);

	EXPECT_EQ(t, block_write(b, 8192, buf, 4096), 0);
	EXPECT_EQ(t, block_extent(b, 512, &what, &bytes), 0);
	EXPECT_EQ(t, what, STORAGE_HOLE);
	EXPECT_EQ(t, bytes, 8192 - 512);
	EXPECT_EQ(t, block_extent(b, 8192, &what, &bytes), 0);
	EXPECT_EQ(t, what, STORAGE_DATA);
	EXPECT_EQ(t, bytes, 4096);
	/* within the device, though the file goes on */
	EXPECT_EQ(t, block_extent(b, 12288, &what, &bytes), 0);
	EXPECT_EQ(t, bytes, 65536 - 12288);
	EXPECT_EQ(t, block_extent(b, 65536, &what, &bytes), -ENXIO);
	block_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_shape),     TEST(test_no_discard),  TEST(test_waiting),
		TEST(test_raw_shape), TEST(test_raw_refresh), TEST(test_extent),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
