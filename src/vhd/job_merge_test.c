// SPDX-License-Identifier: Apache-2.0
#include "lab_test.h"
#include "lib/bits.h"

#define DISK (24 * MIB)

/* What each file of the chain adds: data over data, sectors, zeros over data, nothing over something. */
static const struct lab_write base[] = {{0, 6 * MIB, 1}, {10 * MIB, 512, 2}, {DISK - MIB, MIB, 3}};
static const struct lab_write middle[] = {{MIB + 512, 4096, 4},
					  {10 * MIB + 512, 512, 5},
					  {4 * MIB, 2 * MIB, 0},
					  {15 * MIB, 2 * MIB, 6}};
static const struct lab_write top[] = {
	{0, 512, 7}, {MIB + 1024, 512, 8}, {15 * MIB, 4096, 0}, {20 * MIB, MIB, 9}};

struct chain {
	struct lab l;
	const char *base, *middle, *top;
	struct lab_write all[ARRAY_LEN(base) + ARRAY_LEN(middle) + ARRAY_LEN(top)];
};

static void chain_init(struct chain *c, struct test *t, bool vhdx)
{
	const struct vhd_create first = {.format = vhdx ? VHD_VHDX_DYNAMIC : VHD_VHD_DYNAMIC,
					 .bytes = DISK};
	struct vhd_create child = {.format = vhdx ? VHD_VHDX_DIFFERENCING : VHD_VHD_DIFFERENCING};

	lab_init(&c->l, t);
	c->base = vhdx ? "base.vhdx" : "base.vhd";
	c->middle = vhdx ? "sub/middle.avhdx" : "sub/middle.avhd";
	c->top = vhdx ? "top.avhdx" : "top.avhd";
	lab_create(&c->l, c->base, &first);
	lab_write_all(&c->l, c->base, base, ARRAY_LEN(base));
	child.parent = c->base;
	lab_create(&c->l, c->middle, &child);
	lab_write_all(&c->l, c->middle, middle, ARRAY_LEN(middle));
	child.parent = c->middle;
	lab_create(&c->l, c->top, &child);
	lab_write_all(&c->l, c->top, top, ARRAY_LEN(top));
	memcpy(c->all, base, sizeof(base));
	memcpy(c->all + ARRAY_LEN(base), middle, sizeof(middle));
	memcpy(c->all + ARRAY_LEN(base) + ARRAY_LEN(middle), top, sizeof(top));
}

static int merge(struct lab *l, const char *child, unsigned depth, unsigned steps)
{
	struct vhd_job *job = NULL;
	int r = vhd_merge(l->host, child, depth, &job, &l->error);

	return r == 0 ? lab_run(l, job, steps) : r;
}

static void merge_leaf(struct test *t, bool vhdx)
{
	struct chain c;

	chain_init(&c, t, vhdx);
	LAB_EXPECT(&c.l, merge(&c.l, c.top, 1, UINT32_MAX), 0);
	lab_verify(&c.l, c.middle, c.all, ARRAY_LEN(c.all));
	lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all)); /* it is still there, and whole */
	EXPECT_EQ(t, lab_check_clean(&c.l, c.middle), 0);
	EXPECT_EQ(t, lab_check_clean(&c.l, c.top), 0);
	lab_fini(&c.l);
}

static void merge_both(struct test *t, bool vhdx)
{
	struct chain c;

	chain_init(&c, t, vhdx);
	LAB_EXPECT(&c.l, merge(&c.l, c.top, 2, UINT32_MAX), 0);
	lab_verify(&c.l, c.base, c.all, ARRAY_LEN(c.all));
	lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all));
	EXPECT_EQ(t, lab_check_clean(&c.l, c.base), 0);
	lab_fini(&c.l);
}

/* The middle goes; the top is connected to the base afterwards. */
static void merge_middle(struct test *t, bool vhdx)
{
	struct chain c;

	chain_init(&c, t, vhdx);
	LAB_EXPECT(&c.l, merge(&c.l, c.middle, 1, UINT32_MAX), 0);
	lab_verify(&c.l, c.base, c.all, ARRAY_LEN(base) + ARRAY_LEN(middle));
	lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all));
	LAB_EXPECT(&c.l, vhd_reconnect(c.l.host, c.top, c.base, true, &c.l.error), 0);
	EXPECT_EQ(t, c.l.host->remove(c.l.host->ctx, c.middle), 0);
	lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all));
	EXPECT_EQ(t, lab_check_clean(&c.l, c.top), 0);
	lab_fini(&c.l);
}

static void test_leaf(struct test *t)
{
	merge_leaf(t, true);
	merge_leaf(t, false);
}

static void test_both(struct test *t)
{
	merge_both(t, true);
	merge_both(t, false);
}

static void test_middle(struct test *t)
{
	merge_middle(t, true);
	merge_middle(t, false);
}

/* Given up after any step: the top shows what it showed, and merging again finishes. */
static void test_interrupted(struct test *t)
{
	int r = 1;

	for (unsigned steps = 0; r == 1 && steps < 100; steps++) {
		struct chain c;

		chain_init(&c, t, true);
		r = merge(&c.l, c.top, 2, steps);
		EXPECT(t, r == 0 || r == 1);
		lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all));
		LAB_EXPECT(&c.l, merge(&c.l, c.top, 2, UINT32_MAX), 0);
		lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all));
		lab_verify(&c.l, c.base, c.all, ARRAY_LEN(c.all));
		lab_fini(&c.l);
	}
	EXPECT_EQ(t, r, 0);
}

struct failing {
	unsigned after;
};

static int before(void *ctx, const char *path, const struct io_request *r)
{
	struct failing *f = ctx;

	return (r->op == IO_WRITE || r->op == IO_FLUSH || r->op == IO_ZERO) && f->after-- == 0
		       ? -EIO
		       : 0;
}

/* The N-th write to any file fails, for every N: the chain stays whole, and merging again finishes. */
static void test_io_errors(struct test *t)
{
	int r = -1;
	unsigned n = 0;

	for (; r != 0 && n < 1000; n++) {
		struct failing failing = {n};
		const struct vhd_testing_hook hook = {before, &failing}, none = {0};
		struct chain c;

		chain_init(&c, t, true);
		vhd_testing_set_hook(c.l.files, &hook);
		r = merge(&c.l, c.top, 2, UINT32_MAX);
		EXPECT(t, r == 0 || r == -EIO);
		vhd_testing_set_hook(c.l.files, &none);
		lab_verify(&c.l, c.top, c.all, ARRAY_LEN(c.all));
		LAB_EXPECT(&c.l, merge(&c.l, c.top, 2, UINT32_MAX), 0);
		lab_verify(&c.l, c.base, c.all, ARRAY_LEN(c.all));
		lab_fini(&c.l);
	}
	EXPECT(t, r == 0 && n > 10);
}

/* A child that is larger: the parent grows; one that is smaller: it shrinks. */
static void test_sizes(struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t bytes = i == 0 ? DISK + 8 * MIB : DISK - 4 * MIB;
		struct lab_write w[] = {{0, MIB, 1},
					{DISK - 8 * MIB, MIB, 2},
					{i == 0 ? DISK + 5 * MIB : DISK - 6 * MIB, MIB, 3}};
		const struct vhd_create first = {.format = VHD_VHDX_DYNAMIC,
						 .bytes = DISK,
						 .block_bytes = MIB},
					child = {.format = VHD_VHDX_DIFFERENCING,
						 .parent = "a.vhdx"};
		struct vhd_job *job = NULL;
		struct lab l;

		lab_init(&l, t);
		lab_create(&l, "a.vhdx", &first);
		lab_write_all(&l, "a.vhdx", w, 2);
		lab_create(&l, "b.avhdx", &child);
		struct vhd_disk *d = lab_open(&l, "b.avhdx", VHD_OPEN_WRITE);

		LAB_EXPECT(&l, vhd_resize(d, bytes, &job, &l.error), 0);
		LAB_EXPECT(&l, job != NULL ? lab_run(&l, job, UINT32_MAX) : -1, 0);
		lab_close(&l, d);
		lab_write_all(&l, "b.avhdx", w + 2, 1);
		LAB_EXPECT(&l, merge(&l, "b.avhdx", 1, UINT32_MAX), 0);
		lab_verify(&l, "a.vhdx", w, ARRAY_LEN(w));
		d = lab_open(&l, "a.vhdx", 0);
		EXPECT_EQ(t, vhd_block(d)->info.bytes, bytes);
		lab_close(&l, d);
		lab_fini(&l);
	}
}

static void test_refused(struct test *t)
{
	const struct vhd_create vhd_child = {.format = VHD_VHD_DIFFERENCING, .parent = "base.vhdx"};
	struct chain c;

	chain_init(&c, t, true);
	LAB_EXPECT(&c.l, merge(&c.l, c.top, 3, UINT32_MAX), VHD_INVALID_ARGUMENT);
	LAB_EXPECT(&c.l, merge(&c.l, c.top, 0, UINT32_MAX), VHD_INVALID_ARGUMENT);
	LAB_EXPECT(&c.l, merge(&c.l, c.base, 1, UINT32_MAX), VHD_INVALID_ARGUMENT);
	lab_create(&c.l, "odd.avhd", &vhd_child);
	LAB_EXPECT(&c.l, merge(&c.l, "odd.avhd", 1, UINT32_MAX), VHD_NOT_POSSIBLE);
	LAB_EXPECT(&c.l, merge(&c.l, "nothing.avhdx", 1, UINT32_MAX), -ENOENT);
	/* Somebody works with a file of it. */
	struct vhd_disk *d = lab_open(&c.l, c.middle, VHD_OPEN_WRITE);

	LAB_EXPECT(&c.l, merge(&c.l, c.top, 2, UINT32_MAX), VHD_IN_USE);
	lab_close(&c.l, d);
	lab_fini(&c.l);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_leaf),      TEST(test_both),	TEST(test_middle),  TEST(test_interrupted),
		TEST(test_io_errors), TEST(test_sizes), TEST(test_refused),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
