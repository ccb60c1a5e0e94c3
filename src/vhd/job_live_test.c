// SPDX-License-Identifier: Apache-2.0
/* Merges in a chain whose disk is written and read all the time. */
#include "past_test.h"

/* Requests of the guest, not waited for; as many as may be under way at once. */
static void stir(struct model *m)
{
	static const enum io_op ops[] = {IO_WRITE, IO_WRITE, IO_WRITE, IO_READ, IO_READ, IO_ZERO};
	uint64_t stripe = align_down(m->size / 512 / 8, m->unit);

	for (uint64_t s = 0; m->in_flight == 0 && s < 8; s++) {
		uint32_t most = next_random(m, 4) == 0 ? (uint32_t)(stripe - m->unit) : 32;
		uint64_t length = align_up(1 + next_random(m, most), m->unit);
		uint64_t first = s * stripe + next_random(m, (uint32_t)(stripe - length + 1));

		send(m, ops[next_random(m, ARRAY_LEN(ops))], align_down(first, m->unit), length);
	}
}

/* One step as its owner has to do it, with the guest at work. */
static int step(struct past *p, struct vhd_job *job)
{
	struct vhd_progress progress;

	if (vhd_merge_wants_quiet(job)) {
		drain(&p->m);
	} else {
		stir(&p->m);
	}
	int r = vhd_job_step(job, &progress, &p->error);

	EXPECT(p->t, r < 0 || progress.done_bytes <= progress.total_bytes);
	if (vhd_merge_top(job) != NULL) {
		p->m.disk = vhd_merge_top(job);
	}
	return r;
}

/* Up to @limit steps; the last result. */
static int merge(struct past *p, unsigned depth, unsigned count, unsigned limit)
{
	struct vhd_job *job = NULL;
	int r = vhd_merge_live(p->m.disk, depth, count, host_of(p->w), &job, &p->error);

	if (r != 0) {
		return r;
	}
	r = 1;
	for (unsigned i = 0; r == 1 && i < limit; i++) {
		r = step(p, job);
	}
	vhd_job_destroy(job);
	drain(&p->m);
	return r;
}

/* The files that went are removed; the one below them shows what the last of them did. */
static void forget(struct past *p, unsigned depth, unsigned count)
{
	unsigned last = p->count - depth, first = last - count + 1;

	for (unsigned i = first; i <= last; i++) {
		EXPECT_EQ(p->t, host_of(p->w)->remove(host_of(p->w)->ctx, p->path[i]), 0);
	}
	free(p->bytes[first - 1]);
	for (unsigned i = first; i < last; i++) {
		free(p->bytes[i]);
	}
	p->bytes[first - 1] = last < p->count ? p->bytes[last] : NULL;
	for (unsigned i = last + 1; i <= p->count; i++) {
		memcpy(p->path[i - count], p->path[i], sizeof(p->path[0]));
		p->bytes[i - count] = p->bytes[i];
	}
	p->count -= count;
}

static unsigned depth_of(struct vhd_disk *d)
{
	unsigned n = 0;

	while (vhd_ancestor(d, n) != NULL) {
		n++;
	}
	return n;
}

static void merge_all_of(struct past *p, unsigned depth, unsigned count)
{
	PAST_EXPECT(p, merge(p, depth, count, UINT32_MAX), 0);
	forget(p, depth, count);
	EXPECT_EQ(p->t, depth_of(p->m.disk), p->count + 1);
	check_all(p->t, &p->m);
	exercise(&p->m, 2);
}

static const struct vhd_create disks[] = {
	{.format = VHD_VHDX_DYNAMIC, .bytes = 6 * MIB, .block_bytes = MIB},
	{.format = VHD_VHDX_DYNAMIC, .bytes = 6 * MIB, .block_bytes = MIB, .sector_bytes = 4096},
	{.format = VHD_VHDX_FIXED, .bytes = 4 * MIB, .block_bytes = MIB},
	{.format = VHD_VHD_DYNAMIC, .bytes = 3 * MIB, .block_bytes = 512 * KIB},
	{.format = VHD_VHD_FIXED, .bytes = 3 * MIB},
	{.format = VHD_RAW, .bytes = 3 * MIB},
};

static void begin(struct past *p, struct test *t, const struct vhd_create *c, unsigned checkpoints)
{
	past_init(p, t, c);
	if (c->format == VHD_RAW) {
		open_raw(p, c->bytes);
	}
	exercise(&p->m, 4);
	for (unsigned i = 0; i < checkpoints; i++) {
		checkpoint(p, 2);
	}
}

/* Any files of a chain of five. */
static void test_everywhere(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
		for (unsigned depth = 0; depth < 4; depth++) {
			for (unsigned count = 1; depth + count <= 4; count++) {
				static struct past p;
				bool raw = disks[i].format == VHD_RAW;

				begin(&p, t, &disks[i], 4);
				merge_all_of(&p, depth, count);
				/* The chain is one that goes on. */
				checkpoint(&p, 2);
				end(&p, raw);
				past_fini(&p);
			}
		}
	}
}

/* Checkpoints and merges at random, in a chain that becomes deep. */
static void test_random(struct test *t)
{
	static const struct vhd_create small[] = {
		{.format = VHD_VHDX_DYNAMIC, .bytes = 2 * MIB, .block_bytes = MIB},
		{.format = VHD_VHD_DYNAMIC, .bytes = MIB, .block_bytes = 128 * KIB},
	};

	for (size_t i = 0; i < ARRAY_LEN(small); i++) {
		static struct past p;

		begin(&p, t, &small[i], 50);
		for (unsigned n = 0; n < 60; n++) {
			if (p.count < 3 ||
			    (p.count < STATES_MAX - 2 && next_random(&p.m, 3) == 0)) {
				checkpoint(&p, 1);
			} else {
				unsigned depth = next_random(&p.m, p.count);
				unsigned count = 1 + next_random(&p.m, p.count - depth) % 4;

				merge_all_of(&p, depth, count);
			}
		}
		end(&p, false);
		past_fini(&p);
	}
}

/* ---- Interrupted ---- */

/* Given up after any step, and begun anew: the machine notices nothing. */
static void test_given_up(struct test *t)
{
	static const struct {
		unsigned disk, depth, count;
	} merges[] = {{0, 0, 1}, {0, 0, 3}, {0, 1, 1}, {0, 2, 1},
		      {3, 0, 2}, {3, 1, 2}, {5, 0, 3}, {5, 1, 2}};

	for (size_t i = 0; i < ARRAY_LEN(merges); i++) {
		const struct vhd_create *c = &disks[merges[i].disk];
		int r = 1;

		for (unsigned steps = 0; r == 1 && steps < 5000; steps += 1 + steps / 6) {
			static struct past p;

			begin(&p, t, c, 3);
			r = merge(&p, merges[i].depth, merges[i].count, steps);
			EXPECT(t, r == 0 || r == 1);
			check_all(t, &p.m);
			exercise(&p.m, 2);
			/* What went before its last step: closed by giving up, and gone all the same. */
			if (depth_of(p.m.disk) == p.count + 1) {
				merge_all_of(&p, merges[i].depth, merges[i].count);
			} else {
				forget(&p, merges[i].depth, merges[i].count);
			}
			end(&p, c->format == VHD_RAW);
			past_fini(&p);
		}
		EXPECT_EQ(t, r, 0);
	}
}

/* ---- Failures ---- */

struct failing {
	const char *file; /* NULL: any */
	unsigned after;
	bool fired;
};

static int fail_once(void *ctx, const char *path, const struct io_request *r)
{
	struct failing *f = ctx;

	if (r->op == IO_READ || (f->file != NULL && strcmp(path + 1, f->file) != 0) ||
	    f->after-- != 0) {
		return 0;
	}
	f->fired = true;
	return -ENOSPC;
}

/*
 * The N-th change of the base fails: the chain shows what it did, and its disk works on. The model is not asked while it fails: the guest rests.
 */
static int merge_failing(struct past *p, unsigned depth, struct failing *f)
{
	const struct vhd_testing_hook hook = {fail_once, f}, none = {0};
	struct vhd_job *job = NULL;
	struct vhd_progress progress;
	int r = vhd_merge_live(p->m.disk, depth, 1, host_of(p->w), &job, &p->error);

	vhd_testing_set_hook(p->w, &hook);
	while (r == 0 && (r = vhd_job_step(job, &progress, &p->error)) == 1) {
		r = 0;
		if (vhd_merge_top(job) != NULL) {
			p->m.disk = vhd_merge_top(job);
			r = 2; /* past the point of no return */
			break;
		}
	}
	vhd_testing_set_hook(p->w, &none);
	while (r == 2) {
		r = vhd_job_step(job, &progress, &p->error) == 1 ? 2 : 0;
	}
	vhd_job_destroy(job);
	return r;
}

static void test_base_fails(struct test *t)
{
	for (unsigned depth = 0; depth < 2; depth++) {
		struct failing f = {.fired = true};
		unsigned n = 0;

		for (; f.fired && n < 300; n++) {
			static struct past p;

			begin(&p, t, &disks[0], 2);
			f = (struct failing){.file = p.path[1 - depth], .after = n};
			int r = merge_failing(&p, depth, &f);

			EXPECT(t, r == 0 || r == -ENOSPC);
			EXPECT(t, r == 0 || strstr(p.error.text, f.file) != NULL);
			check_all(t, &p.m);
			exercise(&p.m, 2);
			if (r == 0) {
				forget(&p, depth, 1);
			} else {
				/* Half of the merge is in the base. */
				free(p.bytes[1 - depth]);
				p.bytes[1 - depth] = NULL;
			}
			/* It may not have been closed in order. */
			EXPECT(t, vhd_close(p.m.disk) == 0 || f.fired);
			look_at_files(&p, false);
			past_fini(&p);
		}
		EXPECT(t, n > 10 && n < 300);
	}
}

/* The old top cannot be told that it is not the disk any more: then nothing is written by either. */
static void test_disown_fails(struct test *t)
{
	static struct past p;
	struct failing f = {.file = NULL};
	unsigned refused = 0;

	for (unsigned n = 0; n < 12; n++) {
		const struct vhd_testing_hook hook = {fail_once, &f}, none = {0};
		struct vhd_progress progress;
		struct vhd_job *job = NULL;
		int r = 1;

		begin(&p, t, &disks[0], 1);
		PAST_EXPECT(&p, vhd_merge_live(p.m.disk, 0, 1, host_of(p.w), &job, &p.error), 0);
		for (unsigned quiet = 0; r == 1 && vhd_merge_top(job) == NULL;) {
			quiet += vhd_merge_wants_quiet(job);
			f = (struct failing){.file = p.path[1], .after = n};
			vhd_testing_set_hook(p.w, quiet == 2 ? &hook : &none);
			r = vhd_job_step(job, &progress, &p.error);
		}
		vhd_testing_set_hook(p.w, &none);
		if (vhd_merge_top(job) != NULL) {
			p.m.disk = vhd_merge_top(job);
		} else {
			EXPECT_EQ(t, r, -ENOSPC);
			EXPECT_EQ(t, vhd_block(p.m.disk)->info.read_only,
				  strstr(p.error.text, "for reading only") != NULL);
			refused += vhd_block(p.m.disk)->info.read_only;
		}
		check_all(t, &p.m);
		vhd_job_destroy(job);
		(void)vhd_close(p.m.disk);
		/* Whichever is the disk, it shows everything. */
		r = open_status(p.w, p.path[1], 0, &p.error);
		EXPECT(t, r == 0 || r == VHD_MERGED);
		p.m.disk = open_disk(p.w, p.path[r == 0], 0);
		check_all(t, &p.m);
		vhd_close(p.m.disk);
		past_fini(&p);
	}
	EXPECT(t, refused > 1);
}

/* ---- What is refused ---- */

/* The files of a past, as a directory. */
static int list_files(void *ctx, const char *path, bool (*entry)(void *entry_ctx, const char *name),
		      void *entry_ctx)
{
	const struct past *p = ctx;

	for (unsigned i = 0; i <= p->count && entry(entry_ctx, p->path[i]); i++) {
	}
	return 0;
}

static bool count_child(void *ctx, const char *child)
{
	++*(unsigned *)ctx;
	return true;
}

/* How many files stand on @path. */
static unsigned children_of(struct past *p, const char *path)
{
	const struct vhd_directory directory = {.list = list_files, .ctx = p};
	unsigned count = 0;

	PAST_EXPECT(
		p,
		vhd_find_children(host_of(p->w), path, &directory, count_child, &count, &p->error),
		0);
	return count;
}

/* It does not open, and it is nobody's child. */
static void test_old_top(struct test *t)
{
	static struct past p;

	for (unsigned count = 1; count <= 2; count++) {
		for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
			begin(&p, t, &disks[i], 2);
			vhd_close(p.m.disk);
			EXPECT_EQ(t, children_of(&p, p.path[2 - count]), 1);
			p.m.disk = open_disk(p.w, p.path[2], VHD_OPEN_WRITE);
			PAST_EXPECT(&p, merge(&p, 0, count, UINT32_MAX), 0);
			EXPECT_EQ(t, open_status(p.w, p.path[2], 0, &p.error), VHD_MERGED);
			EXPECT(t, strstr(p.error.text, "was merged into its parent") != NULL);
			check_all(t, &p.m);
			vhd_close(p.m.disk);
			EXPECT_EQ(t, children_of(&p, p.path[2 - count]), 0);
			forget(&p, 0, count);
			p.m.disk = NULL;
			if (p.count != 0 || disks[i].format != VHD_RAW) {
				look_at_files(&p, disks[i].format == VHD_RAW);
			}
			past_fini(&p);
		}
	}
}

static void test_refused(struct test *t)
{
	struct vhd_disk *other = NULL;
	struct vhd_job *job = NULL;
	static struct past p;

	begin(&p, t, &disks[0], 2);
	struct vhd_host host = *host_of(p.w);

	PAST_EXPECT(&p, merge(&p, 0, 0, 1), VHD_INVALID_ARGUMENT);
	PAST_EXPECT(&p, merge(&p, 0, 3, 1), VHD_INVALID_ARGUMENT);
	PAST_EXPECT(&p, merge(&p, 2, 1, 1), VHD_INVALID_ARGUMENT);
	PAST_EXPECT(&p, merge(&p, UINT32_MAX, 1, 1), VHD_INVALID_ARGUMENT);
	host.claim = NULL;
	PAST_EXPECT(&p, vhd_merge_live(p.m.disk, 0, 1, &host, &job, &p.error), VHD_NOT_POSSIBLE);
	/* Somebody else reads what would change. */
	other = open_disk(p.w, p.path[0], 0);
	PAST_EXPECT(&p, merge(&p, 1, 1, 1), VHD_IN_USE);
	EXPECT(t, strstr(p.error.text, p.path[0]) != NULL);
	PAST_EXPECT(&p, merge(&p, 0, 1, UINT32_MAX), 0);
	forget(&p, 0, 1);
	vhd_close(other);
	merge_all_of(&p, 0, 1);
	end(&p, false);
	past_fini(&p);
}

/* A VHD above a VHDX, and a VHDX above a raw disk, stay where they are. */
static void test_mixed(struct test *t)
{
	static struct past p;

	begin(&p, t, &disks[0], 0);
	vhd_close(p.m.disk);
	EXPECT_EQ(t, create(p.w, "odd.avhd", VHD_VHD_DIFFERENCING, 0, 0, DISK), 0);
	p.m.disk = open_disk(p.w, "odd.avhd", VHD_OPEN_WRITE);
	PAST_EXPECT(&p, merge(&p, 0, 1, 1), VHD_NOT_POSSIBLE);
	check_all(t, &p.m);
	vhd_close(p.m.disk);
	past_fini(&p);
}

/* The top is larger than the files that it goes into. */
static void test_grown(struct test *t)
{
	for (unsigned depth = 0; depth < 2; depth++) {
		static struct past p;

		begin(&p, t, &disks[0], 1);
		EXPECT_EQ(t, resize(p.m.disk, 9 * MIB), 0);
		p.m.bytes = realloc(p.m.bytes, 9 * MIB);
		memset(p.m.bytes + p.m.size, 0, 9 * MIB - p.m.size);
		p.m.size = 9 * MIB;
		exercise(&p.m, 4);
		if (depth == 1) {
			checkpoint(&p, 2);
		}
		PAST_EXPECT(&p, merge(&p, depth, 1, UINT32_MAX), 0);
		EXPECT_EQ(t, vhd_block(vhd_ancestor(p.m.disk, depth))->info.bytes, 9 * MIB);
		forget(&p, depth, 1);
		check_all(t, &p.m);
		end(&p, false);
		past_fini(&p);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_everywhere), TEST(test_random),	TEST(test_given_up),
		TEST(test_base_fails), TEST(test_disown_fails), TEST(test_old_top),
		TEST(test_refused),    TEST(test_mixed),	TEST(test_grown),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
