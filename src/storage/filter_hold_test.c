// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "filter.h"
#include "test/test.h"
#include "testing.h"

#define DISK_BYTES (1u << 20)

struct world {
	struct io_context c;
	struct block_device *hold;
	unsigned told;
	enum block_trouble trouble;
	int error;
};

static void on_trouble(void *ctx, enum block_trouble trouble, int error)
{
	struct world *w = ctx;

	w->told++;
	w->trouble = trouble;
	w->error = error;
}

/* A disk of which the first @count writes fail with @error. */
static void world_init(struct world *w, uint64_t count, int error)
{
	const struct block_error_rule rule = {
		.ops = BIT32(IO_WRITE), .count = count, .error = error};
	const struct block_hold config = {.trouble = on_trouble, .ctx = w};
	struct block_device *b;

	memset(w, 0, sizeof(*w));
	io_context_init(&w->c, NULL);
	b = testing_disk(&w->c, DISK_BYTES, 512, false);
	CHECK(block_error_create(b, &rule, 1, &b) == 0);
	CHECK(block_hold_create(b, &config, &w->hold) == 0);
}

struct ask {
	struct io_request r;
	struct io_vec vec;
	uint8_t data[512];
	unsigned done;
	int result;
};

static void asked(struct io_request *r, int result)
{
	struct ask *a = r->ctx;

	a->done++;
	a->result = result;
}

static void ask(struct world *w, struct ask *a, enum io_op op, uint64_t offset, uint8_t fill)
{
	memset(a, 0, sizeof(*a));
	memset(a->data, fill, sizeof(a->data));
	a->vec = (struct io_vec){.base = a->data, .bytes = sizeof(a->data)};
	a->r = (struct io_request){.op = op,
				   .offset = offset,
				   .bytes = op == IO_FLUSH ? 0 : sizeof(a->data),
				   .vec = &a->vec,
				   .vec_count = 1,
				   .done = asked,
				   .ctx = a};
	block_submit(w->hold, &a->r);
}

static void turn(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		io_poll(&w->c, false, 0);
	}
}

static void test_kinds(struct test *t)
{
	EXPECT_EQ(t, block_trouble_of(0), BLOCK_TROUBLE_NONE);
	EXPECT_EQ(t, block_trouble_of(-EIO), BLOCK_TROUBLE_NONE);
	EXPECT_EQ(t, block_trouble_of(-EROFS), BLOCK_TROUBLE_NONE);
	EXPECT_EQ(t, block_trouble_of(-ENOSPC), BLOCK_TROUBLE_SPACE);
	EXPECT_EQ(t, block_trouble_of(-EDQUOT), BLOCK_TROUBLE_SPACE);
	EXPECT_EQ(t, block_trouble_of(-ESTALE), BLOCK_TROUBLE_GONE);
}

/* Held until there is space again; told once; everything else goes on. */
static void test_retry(struct test *t)
{
	struct world w;
	struct ask first, second, read;

	world_init(&w, 3, -ENOSPC);
	ask(&w, &first, IO_WRITE, 0, 1);
	ask(&w, &second, IO_WRITE, 512, 2);
	ask(&w, &read, IO_READ, 1024, 9);
	turn(&w);
	EXPECT_EQ(t, first.done + second.done, 0);
	EXPECT_EQ(t, read.done, 1);
	EXPECT_EQ(t, w.told, 1);
	EXPECT_EQ(t, w.trouble, BLOCK_TROUBLE_SPACE);
	EXPECT_EQ(t, w.error, -ENOSPC);
	EXPECT_EQ(t, block_hold_count(w.hold), 2);
	EXPECT(t, block_hold_idle(w.hold));
	/* Still none for one of them. */
	block_hold_retry(w.hold);
	EXPECT_EQ(t, block_hold_count(w.hold), 2);
	turn(&w);
	EXPECT_EQ(t, block_hold_count(w.hold), 1);
	EXPECT_EQ(t, first.done + second.done, 1);
	EXPECT_EQ(t, w.told, 2);
	block_hold_retry(w.hold);
	turn(&w);
	EXPECT_EQ(t, first.done, 1);
	EXPECT_EQ(t, second.done, 1);
	EXPECT_EQ(t, first.result, 0);
	EXPECT_EQ(t, second.result, 0);
	EXPECT_EQ(t, block_hold_count(w.hold), 0);
	ask(&w, &read, IO_READ, 512, 9);
	turn(&w);
	EXPECT_EQ(t, read.data[0], 2);
	block_destroy(w.hold);
}

static void test_other_errors_pass(struct test *t)
{
	struct world w;
	struct ask a;

	world_init(&w, 1, -EIO);
	ask(&w, &a, IO_WRITE, 0, 1);
	turn(&w);
	EXPECT_EQ(t, a.done, 1);
	EXPECT_EQ(t, a.result, -EIO);
	EXPECT_EQ(t, w.told, 0);
	block_destroy(w.hold);
}

static void test_give_up(struct test *t)
{
	struct world w;
	struct ask a, b;

	world_init(&w, UINT64_MAX, -ENODEV);
	ask(&w, &a, IO_WRITE, 0, 1);
	turn(&w);
	EXPECT_EQ(t, a.done, 0);
	EXPECT_EQ(t, w.trouble, BLOCK_TROUBLE_GONE);
	block_hold_give_up(w.hold, true);
	ask(&w, &b, IO_WRITE, 0, 1);
	turn(&w);
	EXPECT_EQ(t, a.done, 1);
	EXPECT_EQ(t, a.result, -ENODEV);
	EXPECT_EQ(t, b.done, 1);
	EXPECT_EQ(t, b.result, -ENODEV);
	block_hold_give_up(w.hold, false);
	ask(&w, &b, IO_WRITE, 0, 1);
	turn(&w);
	EXPECT_EQ(t, b.done, 0);
	EXPECT_EQ(t, w.told, 2);
	block_hold_give_up(w.hold, true);
	turn(&w);
	block_destroy(w.hold);
}

struct listening {
	struct block_listener listener;
	unsigned changes;
};

static void on_changed(struct block_listener *l, struct block_device *b)
{
	container_of(l, struct listening, listener)->changes++;
}

/* What waits at the gate reaches the device that was put in meanwhile. */
static void test_exchange(struct test *t)
{
	struct listening l = {.listener.changed = on_changed};
	struct world w;
	struct ask a, b;

	world_init(&w, 0, 0);
	struct block_device *old = filter_from_block(w.hold)->below;
	struct block_device *same = testing_disk(&w.c, DISK_BYTES, 512, false);
	struct block_device *larger = testing_disk(&w.c, 2 * DISK_BYTES, 512, false);

	w.hold->listener = &l.listener;
	ask(&w, &a, IO_WRITE, 0, 1);
	EXPECT(t, !block_hold_idle(w.hold));
	block_hold_gate(w.hold, true);
	ask(&w, &b, IO_WRITE, 0, 2);
	turn(&w);
	EXPECT_EQ(t, a.done, 1);
	EXPECT_EQ(t, b.done, 0);
	EXPECT(t, block_hold_idle(w.hold));
	block_hold_exchange(w.hold, same);
	EXPECT_EQ(t, l.changes, 0);
	block_hold_gate(w.hold, false);
	turn(&w);
	EXPECT_EQ(t, b.done, 1);
	EXPECT_EQ(t, block_read(old, 0, a.data, 512), 0);
	EXPECT_EQ(t, a.data[0], 1);
	EXPECT_EQ(t, block_read(same, 0, a.data, 512), 0);
	EXPECT_EQ(t, a.data[0], 2);
	block_hold_exchange(w.hold, larger);
	EXPECT_EQ(t, l.changes, 1);
	EXPECT_EQ(t, w.hold->info.bytes, 2 * DISK_BYTES);
	block_destroy(old);
	block_destroy(same);
	block_destroy(w.hold);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_kinds),   TEST(test_retry),	 TEST(test_other_errors_pass),
		TEST(test_give_up), TEST(test_exchange),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
