// SPDX-License-Identifier: Apache-2.0
/* Checkpoints of a disk in use: every file of the chain keeps what its disk was at its time. */
#include "past_test.h"

static void run(struct test *t, const struct vhd_create *c, unsigned checkpoints, unsigned rounds)
{
	static struct past p;

	past_init(&p, t, c);
	if (c->format == VHD_RAW) {
		open_raw(&p, c->bytes);
	}
	exercise(&p.m, rounds);
	for (unsigned i = 0; i < checkpoints; i++) {
		checkpoint(&p, rounds);
	}
	end(&p, c->format == VHD_RAW);
	past_fini(&p);
}

static void test_formats(struct test *t)
{
	static const struct vhd_create disks[] = {
		{.format = VHD_VHDX_DYNAMIC, .bytes = 8 * MIB, .block_bytes = MIB},
		{.format = VHD_VHDX_DYNAMIC,
		 .bytes = 8 * MIB,
		 .block_bytes = MIB,
		 .sector_bytes = 4096},
		{.format = VHD_VHDX_FIXED, .bytes = 8 * MIB, .block_bytes = MIB},
		{.format = VHD_VHD_DYNAMIC, .bytes = 8 * MIB, .block_bytes = 512 * KIB},
		{.format = VHD_VHD_FIXED, .bytes = 5 * MIB},
		{.format = VHD_RAW, .bytes = 5 * MIB},
	};

	for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
		run(t, &disks[i], 5, 10);
	}
}

static void test_deep(struct test *t)
{
	const struct vhd_create vhdx = {
		.format = VHD_VHDX_DYNAMIC, .bytes = 2 * MIB, .block_bytes = MIB};
	const struct vhd_create vhd = {
		.format = VHD_VHD_DYNAMIC, .bytes = MIB, .block_bytes = 64 * KIB};

	run(t, &vhdx, 60, 1);
	run(t, &vhd, 60, 1);
}

/* What the guest knows a disk by does not change. */
static void test_identity(struct test *t)
{
	static const enum vhd_format formats[] = {VHD_RAW, VHD_VHD_FIXED, VHD_VHD_DYNAMIC,
						  VHD_VHDX_DYNAMIC};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		const struct vhd_create c = {.format = formats[i], .bytes = 4 * MIB};
		static struct past p;

		past_init(&p, t, &c);
		if (formats[i] == VHD_RAW) {
			open_raw(&p, c.bytes);
		}
		const struct block_info before = vhd_block(p.m.disk)->info;

		checkpoint(&p, 1);
		checkpoint(&p, 1);
		for (unsigned n = 0; n < 2; n++) {
			const struct block_info *now = &vhd_block(p.m.disk)->info;

			EXPECT(t, guid_equal(&now->id, &before.id));
			EXPECT_EQ(t, now->physical_sector_bytes, before.physical_sector_bytes);
			EXPECT_EQ(t, now->sector_bytes, before.sector_bytes);
			EXPECT(t, now->read_only == (n != 0));
			vhd_close(p.m.disk);
			p.m.disk = open_disk(p.w, p.path[2], 0);
		}
		vhd_close(p.m.disk);
		past_fini(&p);
	}
}

static void test_undo(struct test *t)
{
	const struct vhd_create c = {
		.format = VHD_VHDX_DYNAMIC, .bytes = 4 * MIB, .block_bytes = MIB};
	static struct past p;

	past_init(&p, t, &c);
	exercise(&p.m, 5);
	for (unsigned i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "undone-%u.avhdx", i);
		struct vhd_disk *child = make(&p, name);

		PAST_EXPECT(&p, vhd_branch_switch(child, p.m.disk, &p.error), 0);
		EXPECT(t, vhd_block(p.m.disk)->info.read_only);
		EXPECT(t, vhd_branch_undo(child) == p.m.disk);
		EXPECT_EQ(t, vhd_close(child), 0);
		exercise(&p.m, 5);
		check_all(t, &p.m);
	}
	checkpoint(&p, 5);
	end(&p, false);
	past_fini(&p);
}

/* ---- Cost ---- */

static int count_flushes(void *ctx, const char *path, const struct io_request *r)
{
	*(unsigned *)ctx += r->op == IO_FLUSH;
	return 0;
}

/* The guest waits for the switch: at most data, log entry and what it names. */
static void test_flushes(struct test *t)
{
	static const struct vhd_create disks[] = {
		{.format = VHD_VHDX_DYNAMIC, .bytes = 4 * MIB, .block_bytes = MIB},
		{.format = VHD_VHD_DYNAMIC, .bytes = 4 * MIB},
		{.format = VHD_RAW, .bytes = 4 * MIB},
	};
	static const unsigned most[] = {2, 2, 1};

	for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
		unsigned flushes = 0;
		const struct vhd_testing_hook hook = {count_flushes, &flushes}, none = {0};
		static struct past p;

		past_init(&p, t, &disks[i]);
		if (disks[i].format == VHD_RAW) {
			open_raw(&p, disks[i].bytes);
		}
		exercise(&p.m, 20);
		EXPECT_EQ(t, block_flush(vhd_block(p.m.disk)), 0);
		struct vhd_disk *child = make(&p, "child.avhdx");

		exercise(&p.m, 5);
		vhd_testing_set_hook(p.w, &hook);
		PAST_EXPECT(&p, vhd_branch_switch(child, p.m.disk, &p.error), 0);
		vhd_testing_set_hook(p.w, &none);
		EXPECT(t, flushes >= 1 && flushes <= most[i]);
		vhd_close(child);
		past_fini(&p);
	}
}

/* ---- Failures ---- */

struct failing {
	unsigned after;
	bool fired;
};

static int fail_once(void *ctx, const char *path, const struct io_request *r)
{
	struct failing *f = ctx;

	if (r->op == IO_READ || strcmp(path, "/" DISK) == 0 || f->after-- != 0) {
		return 0;
	}
	f->fired = true;
	return -ENOSPC;
}

/* The N-th request to the new file fails: the disk goes on as it was, and the next try works. */
static void test_new_file_fails(struct test *t)
{
	const struct vhd_create c = {
		.format = VHD_VHDX_DYNAMIC, .bytes = 4 * MIB, .block_bytes = MIB};
	struct failing f = {.fired = true};
	unsigned n = 0;

	for (; f.fired && n < 100; n++) {
		const struct vhd_testing_hook hook = {fail_once, &f}, none = {0};
		struct vhd_disk *child = NULL;
		static struct past p;

		f = (struct failing){.after = n};
		past_init(&p, t, &c);
		exercise(&p.m, 3);
		vhd_testing_add(p.w, "x.avhdx", "", 0);
		vhd_testing_set_hook(p.w, &hook);
		int r = vhd_branch_create(host_of(p.w), "x.avhdx", p.m.disk, &child, &p.error);

		vhd_testing_set_hook(p.w, &none);
		EXPECT_EQ(t, r, f.fired ? -ENOSPC : 0);
		if (r == 0) {
			vhd_close(child);
		} else {
			EXPECT(t, strstr(p.error.text, "x.avhdx") != NULL);
		}
		checkpoint(&p, 2);
		end(&p, false);
		past_fini(&p);
	}
	EXPECT(t, n > 5 && n < 100);
}

static int fail_flush(void *ctx, const char *path, const struct io_request *r)
{
	return r->op == IO_FLUSH && strcmp(path, "/" DISK) == 0 ? -EIO : 0;
}

/* The parent cannot be made durable: no switch. */
static void test_flush_fails(struct test *t)
{
	const struct vhd_create c = {.format = VHD_RAW, .bytes = 4 * MIB};
	const struct vhd_testing_hook hook = {fail_flush, NULL}, none = {0};
	static struct past p;

	past_init(&p, t, &c);
	open_raw(&p, c.bytes);
	struct vhd_disk *child = make(&p, "x.avhd");

	vhd_testing_set_hook(p.w, &hook);
	PAST_EXPECT(&p, vhd_branch_switch(child, p.m.disk, &p.error), -EIO);
	vhd_testing_set_hook(p.w, &none);
	EXPECT(t, !vhd_block(p.m.disk)->info.read_only);
	exercise(&p.m, 3);
	/* The same child will do later. */
	PAST_EXPECT(&p, vhd_branch_switch(child, p.m.disk, &p.error), 0);
	p.m.disk = child;
	exercise(&p.m, 3);
	check_all(t, &p.m);
	vhd_close(child);
	past_fini(&p);
}

static void test_refused(struct test *t)
{
	const struct vhd_create c = {
		.format = VHD_VHDX_DYNAMIC, .bytes = 4 * MIB, .block_bytes = MIB};
	const struct vhd_create large = {.format = VHD_RAW, .bytes = 2041 * GIB};
	struct vhd_disk *child = NULL, *big = NULL;
	static struct past p;

	past_init(&p, t, &c);
	vhd_testing_add(p.w, "full.avhdx", "something", 9);
	PAST_EXPECT(&p, vhd_branch_create(host_of(p.w), "full.avhdx", p.m.disk, &child, &p.error),
		    VHD_INVALID_ARGUMENT);
	EXPECT(t, strstr(p.error.text, "has 9 bytes") != NULL);
	PAST_EXPECT(&p, vhd_branch_create(host_of(p.w), "none.avhdx", p.m.disk, &child, &p.error),
		    -ENOENT);
	/* Resized in between. */
	child = make(&p, "x.avhdx");
	EXPECT_EQ(t, resize(p.m.disk, 5 * MIB), 0);
	PAST_EXPECT(&p, vhd_branch_switch(child, p.m.disk, &p.error), VHD_PARENT_MISMATCH);
	vhd_close(child);
	vhd_close(p.m.disk);
	p.m.disk = open_disk(p.w, DISK, 0);
	vhd_testing_add(p.w, "y.avhdx", "", 0);
	PAST_EXPECT(&p, vhd_branch_create(host_of(p.w), "y.avhdx", p.m.disk, &child, &p.error),
		    VHD_NOT_POSSIBLE);
	vhd_close(p.m.disk);
	PAST_EXPECT(&p, vhd_create(host_of(p.w), "large.raw", &large, &p.error), 0);
	PAST_EXPECT(
		&p,
		vhd_open(host_of(p.w), "large.raw", VHD_OPEN_WRITE | VHD_OPEN_RAW, &big, &p.error),
		0);
	PAST_EXPECT(&p, vhd_branch_create(host_of(p.w), "y.avhdx", big, &child, &p.error),
		    VHD_NOT_POSSIBLE);
	EXPECT(t, strstr(p.error.text, "convert it to VHDX") != NULL);
	vhd_close(big);
	past_fini(&p);
}

/* ---- Without a machine ---- */

static int merge_into(struct past *p, const char *child, unsigned depth)
{
	struct vhd_job *job = NULL;
	int r = vhd_merge(host_of(p->w), child, depth, &job, &p->error);

	return r == 0 ? finish_job(job) : r;
}

/* The file in the middle goes into the bottom, whatever that is, and the top stands on it; then the top goes, too. */
static void test_merged_offline(struct test *t)
{
	static const struct vhd_create disks[] = {
		{.format = VHD_RAW, .bytes = 3 * MIB},
		{.format = VHD_VHD_FIXED, .bytes = 3 * MIB},
		{.format = VHD_VHDX_DYNAMIC, .bytes = 4 * MIB, .block_bytes = MIB},
	};

	for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
		uint32_t raw = disks[i].format == VHD_RAW ? VHD_OPEN_RAW : 0;
		static struct past p;

		past_init(&p, t, &disks[i]);
		if (raw != 0) {
			open_raw(&p, disks[i].bytes);
		}
		checkpoint(&p, 3);
		checkpoint(&p, 3);
		EXPECT_EQ(t, vhd_close(p.m.disk), 0);
		PAST_EXPECT(&p, merge_into(&p, p.path[1], 1), 0);
		PAST_EXPECT(&p, vhd_reconnect(host_of(p.w), p.path[2], DISK, true, &p.error), 0);
		host_of(p.w)->remove(host_of(p.w)->ctx, p.path[1]);
		p.m.disk = open_disk(p.w, p.path[2], 0);
		check_all(t, &p.m);
		vhd_close(p.m.disk);
		PAST_EXPECT(&p, merge_into(&p, p.path[2], 1), 0);
		p.m.disk = open_disk(p.w, DISK, raw);
		check_all(t, &p.m);
		vhd_close(p.m.disk);
		past_fini(&p);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_formats),	TEST(test_deep),    TEST(test_identity),
		TEST(test_undo),	TEST(test_flushes), TEST(test_new_file_fails),
		TEST(test_flush_fails), TEST(test_refused), TEST(test_merged_offline),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
