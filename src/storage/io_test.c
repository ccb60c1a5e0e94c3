// SPDX-License-Identifier: Apache-2.0
#include "storage/io.h"

#include <errno.h>

#include "lib/bits.h"
#include "test/test.h"

struct seen {
	unsigned calls;
	int result;
	struct io_context *c;
	struct io_request *again; /* completed from within done */
};

static void done(struct io_request *r, int result)
{
	struct seen *s = r->ctx;

	s->calls++;
	s->result = result;
	if (s->again != NULL) {
		io_complete(s->c, s->again, -EIO);
		s->again = NULL;
	}
}

static void test_deliver_one_round(struct test *t)
{
	struct io_context c;
	struct seen a = {.c = &c}, b = {.c = &c};
	struct io_request ra = {.done = done, .ctx = &a}, rb = {.done = done, .ctx = &b};

	io_context_init(&c, NULL);
	a.again = &rb;
	io_complete(&c, &ra, 0);
	EXPECT_EQ(t, a.calls, 0);
	EXPECT_EQ(t, io_deliver(&c), 1);
	EXPECT_EQ(t, a.calls, 1);
	EXPECT_EQ(t, b.calls, 0);
	EXPECT_EQ(t, io_poll(&c, true, UINT64_MAX), 1);
	EXPECT_EQ(t, b.calls, 1);
	EXPECT_EQ(t, (uint64_t)-b.result, EIO);
	EXPECT_EQ(t, io_poll(&c, false, 0), 0);
}

static void test_order(struct test *t)
{
	struct io_context c;
	struct seen s = {.c = &c};
	struct io_request r[3];

	io_context_init(&c, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		r[i] = (struct io_request){.done = done, .ctx = &s};
		io_complete(&c, &r[i], -(int)i);
	}
	EXPECT_EQ(t, io_deliver(&c), 3);
	EXPECT_EQ(t, -s.result, 2);
}

/* Ten bytes "0123456789" in pieces, with an empty one among them. */
struct pieces {
	char text[11];
	struct io_vec vec[5];
};

static void make_pieces(struct pieces *p)
{
	static const size_t bytes[] = {3, 0, 1, 4, 2};
	char *at = p->text;

	memcpy(p->text, "0123456789", sizeof(p->text));
	for (unsigned i = 0; i < ARRAY_LEN(bytes); i++) {
		p->vec[i] = (struct io_vec){at, bytes[i]};
		at += bytes[i];
	}
}

static void test_copy_out(struct test *t)
{
	for (size_t vec_skip = 0; vec_skip <= 10; vec_skip++) {
		for (size_t skip = 0; vec_skip + skip <= 10; skip++) {
			struct pieces p = {.text = ""};
			char got[11] = {0};

			make_pieces(&p);
			size_t bytes = 10 - vec_skip - skip;
			struct io_request r = {.vec = p.vec,
					       .vec_count = 5,
					       .vec_skip = vec_skip,
					       .bytes = 10 - vec_skip};

			io_copy_out(&r, skip, got, bytes);
			EXPECT_MEM(t, got, &"0123456789"[vec_skip + skip], bytes + 1);
		}
	}
}

static void test_copy_in_and_zero(struct test *t)
{
	struct pieces p = {.text = ""};
	struct io_request r = {.vec = p.vec, .vec_count = 5, .vec_skip = 2, .bytes = 8};

	make_pieces(&p);
	io_copy_in(&r, 1, "abcd", 4);
	EXPECT_MEM(t, p.text, "012abcd789", 11);
	io_fill_zero(&r, 3, 3);
	EXPECT_MEM(t, p.text, "012ab\0\0\089", 11);
}

static void test_slice(struct test *t)
{
	struct pieces p = {.text = ""};
	struct seen s;

	make_pieces(&p);
	for (size_t skip = 0; skip <= 9; skip++) {
		struct io_request whole = {.op = IO_WRITE,
					   .flags = IO_FUA,
					   .offset = 100,
					   .vec = p.vec,
					   .vec_count = 5,
					   .vec_skip = 1,
					   .bytes = 9};
		struct io_request part = {.done = done, .ctx = &s};
		char got[10] = {0};

		io_slice(&whole, skip, 9 - skip, &part);
		EXPECT_EQ(t, part.op, IO_WRITE);
		EXPECT_EQ(t, part.flags, IO_FUA);
		EXPECT_EQ(t, part.offset, 100 + skip);
		EXPECT(t, part.done == done && part.ctx == &s);
		io_copy_out(&part, 0, got, part.bytes);
		EXPECT_MEM(t, got, &"123456789"[skip], 10 - skip);
	}
}

static void test_slice_without_data(struct test *t)
{
	struct io_request whole = {.op = IO_ZERO, .flags = IO_UNMAP, .offset = 4096, .bytes = 8192};
	struct io_request part = {0};

	io_slice(&whole, 4096, 512, &part);
	EXPECT_EQ(t, part.op, IO_ZERO);
	EXPECT_EQ(t, part.offset, 8192);
	EXPECT_EQ(t, part.bytes, 512);
	EXPECT_EQ(t, part.vec_count, 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_deliver_one_round), TEST(test_order), TEST(test_copy_out),
		TEST(test_copy_in_and_zero),  TEST(test_slice), TEST(test_slice_without_data),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
