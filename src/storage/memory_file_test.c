// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/bits.h"
#include "storage/io.h"
#include "test/test.h"

#define KIB 1024
#define TIB (UINT64_C(1) << 40)

static struct storage_file *make(struct io_context *c, uint64_t limit)
{
	io_context_init(c, NULL);
	return storage_memory_file(c, "memory", limit);
}

static void expect_extent(struct test *t, struct storage_file *f, uint64_t offset,
			  enum storage_extent want, uint64_t want_bytes)
{
	enum storage_extent what = STORAGE_DATA;
	uint64_t bytes = 0;

	EXPECT_EQ(t, f->ops->extent(f, offset, &what, &bytes), 0);
	EXPECT_EQ(t, what, want);
	EXPECT_EQ(t, bytes, want_bytes);
}

static void expect_size(struct test *t, struct storage_file *f, uint64_t want)
{
	uint64_t bytes = 0;

	EXPECT_EQ(t, storage_file_get_size(f, &bytes), 0);
	EXPECT_EQ(t, bytes, want);
}

static void test_reads_back(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, UINT64_MAX);
	char buf[9000], got[9000];

	for (size_t i = 0; i < sizeof(buf); i++) {
		buf[i] = (char)(i * 7 + i / 256);
	}
	EXPECT_EQ(t, storage_file_write(f, 3000, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, storage_file_read(f, 3000, got, sizeof(got)), 0);
	EXPECT_MEM(t, got, buf, sizeof(buf));
	expect_size(t, f, 12000);
	EXPECT_EQ(t, storage_file_flush(f), 0);
	/* before it zeros, after the end zeros */
	EXPECT_EQ(t, storage_file_read(f, 2999, got, 2), 0);
	EXPECT_EQ(t, got[0], 0);
	EXPECT_EQ(t, storage_file_read(f, 11999, got, 100), 0);
	EXPECT_EQ(t, (uint8_t)got[0], (uint8_t)buf[8999]);
	EXPECT_EQ(t, got[1], 0);
	storage_file_close(f);
}

static void test_far_offsets(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, UINT64_MAX);
	char got[4] = {0};

	EXPECT_EQ(t, storage_file_write(f, 64 * TIB + 4095, "ab", 2), 0);
	EXPECT_EQ(t, storage_file_read(f, 64 * TIB + 4094, got, 4), 0);
	EXPECT_MEM(t, got, "\0ab", 4);
	expect_extent(t, f, 0, STORAGE_HOLE, 64 * TIB);
	expect_extent(t, f, 5, STORAGE_HOLE, 64 * TIB - 5);
	expect_extent(t, f, 64 * TIB, STORAGE_DATA, 4097);
	expect_extent(t, f, 64 * TIB + 4096, STORAGE_DATA, 1);
	EXPECT_EQ(t, storage_file_zero(f, 0, 64 * TIB + 4096, true), 0);
	expect_extent(t, f, 0, STORAGE_HOLE, 64 * TIB + 4096);
	EXPECT_EQ(t, storage_file_read(f, 64 * TIB + 4095, got, 2), 0);
	EXPECT_MEM(t, got, "\0b", 2);
	enum storage_extent what;
	uint64_t bytes;

	EXPECT_EQ(t, f->ops->extent(f, 64 * TIB + 4097, &what, &bytes), -ENXIO);
	storage_file_close(f);
}

static void test_zero_in_the_middle(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, UINT64_MAX);
	char buf[16 * KIB], got[16 * KIB];

	for (unsigned unmap = 0; unmap < 2; unmap++) {
		memset(buf, 'x', sizeof(buf));
		EXPECT_EQ(t, storage_file_write(f, 0, buf, sizeof(buf)), 0);
		EXPECT_EQ(t, storage_file_zero(f, 1000, 8192, unmap), 0);
		memset(buf + 1000, 0, 8192);
		EXPECT_EQ(t, storage_file_read(f, 0, got, sizeof(got)), 0);
		EXPECT_MEM(t, got, buf, sizeof(buf));
	}
	expect_extent(t, f, 0, STORAGE_DATA, 4 * KIB);
	expect_extent(t, f, 4 * KIB, STORAGE_HOLE, 4 * KIB);
	expect_extent(t, f, 8 * KIB, STORAGE_DATA, 8 * KIB);
	/* zeroing extends as writing does */
	EXPECT_EQ(t, storage_file_zero(f, 16 * KIB, 100, true), 0);
	expect_size(t, f, 16 * KIB + 100);
	storage_file_close(f);
}

static void discard_done(struct io_request *r, int result)
{
	*(int *)r->ctx = result;
}

static int discard(struct storage_file *f, uint64_t offset, uint64_t bytes)
{
	int result = 1;
	struct io_request r = {.op = IO_DISCARD,
			       .offset = offset,
			       .bytes = bytes,
			       .done = discard_done,
			       .ctx = &result};

	storage_file_submit(f, &r);
	io_poll(f->context, true, UINT64_MAX);
	return result;
}

static void test_discard(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, UINT64_MAX);
	char buf[12 * KIB];

	memset(buf, 'x', sizeof(buf));
	EXPECT_EQ(t, storage_file_write(f, 0, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, discard(f, 1, 10 * KIB), 0);
	expect_extent(t, f, 0, STORAGE_DATA, 4 * KIB);
	expect_extent(t, f, 4 * KIB, STORAGE_HOLE, 4 * KIB);
	/* never extends */
	EXPECT_EQ(t, discard(f, 0, TIB), 0);
	expect_size(t, f, 12 * KIB);
	expect_extent(t, f, 0, STORAGE_HOLE, 12 * KIB);
	storage_file_close(f);
}

static void test_limit(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, 10000);
	char buf[100] = {1};

	EXPECT_EQ(t, storage_file_write(f, 9900, buf, 100), 0);
	EXPECT_EQ(t, storage_file_write(f, 9901, buf, 100), -ENOSPC);
	EXPECT_EQ(t, storage_file_zero(f, 9901, 100, true), -ENOSPC);
	EXPECT_EQ(t, storage_file_set_size(f, 10001), -ENOSPC);
	EXPECT_EQ(t, storage_file_write(f, UINT64_MAX, buf, 100), -EINVAL);
	EXPECT_EQ(t, storage_file_read(f, UINT64_MAX - 100, buf, 100), 0);
	EXPECT_EQ(t, buf[0], 0);
	expect_size(t, f, 10000);
	storage_file_close(f);
}

static void test_set_size(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, UINT64_MAX);
	char buf[8 * KIB], got[8 * KIB];

	memset(buf, 'x', sizeof(buf));
	EXPECT_EQ(t, storage_file_write(f, 0, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, storage_file_set_size(f, 1000), 0);
	EXPECT_EQ(t, storage_file_set_size(f, sizeof(buf)), 0);
	memset(buf + 1000, 0, sizeof(buf) - 1000);
	EXPECT_EQ(t, storage_file_read(f, 0, got, sizeof(got)), 0);
	EXPECT_MEM(t, got, buf, sizeof(buf));
	expect_extent(t, f, 4 * KIB, STORAGE_HOLE, 4 * KIB);
	storage_file_close(f);
}

static void test_read_only(struct test *t)
{
	struct io_context c;
	struct storage_file *f = make(&c, UINT64_MAX);
	char buf[4];

	f->writable = false;
	EXPECT_EQ(t, storage_file_write(f, 0, "abc", 3), -EROFS);
	EXPECT_EQ(t, storage_file_zero(f, 0, 3, true), -EROFS);
	EXPECT_EQ(t, discard(f, 0, 3), -EROFS);
	EXPECT_EQ(t, storage_file_set_size(f, 3), -EROFS);
	EXPECT_EQ(t, storage_file_read(f, 0, buf, 3), 0);
	EXPECT_EQ(t, storage_file_flush(f), 0);
	expect_size(t, f, 0);
	storage_file_close(f);
	storage_file_close(NULL);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_reads_back), TEST(test_far_offsets), TEST(test_zero_in_the_middle),
		TEST(test_discard),    TEST(test_limit),       TEST(test_set_size),
		TEST(test_read_only),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
