// SPDX-License-Identifier: Apache-2.0
#include "job_copy.h"
#include "lab_test.h"
#include "lib/bits.h"

#define DISK (40 * MIB)

/* Sectors alone, a piece over the border of blocks, whole blocks, zeros that were written, the last sector. */
static const struct lab_write writes[] = {
	{0, 512, 1},
	{MIB - 4096, 3 * MIB, 2},
	{2 * MIB, 64 * KIB, 0},
	{8 * MIB + 512, 1024, 3},
	{20 * MIB, 2 * MIB, 0},
	{31 * MIB, 4 * MIB, 4},
	{DISK - 512, 512, 5},
};

static const struct {
	enum vhd_format format;
	const char *path;
} disks[] = {
	{VHD_RAW, "a.raw"},	      {VHD_VHD_FIXED, "a-fixed.vhd"},
	{VHD_VHD_DYNAMIC, "a.vhd"},   {VHD_VHDX_FIXED, "a-fixed.vhdx"},
	{VHD_VHDX_DYNAMIC, "a.vhdx"},
};

static int convert(struct lab *l, const char *source, const char *target,
		   const struct vhd_create *create)
{
	struct vhd_disk *d = lab_open(l, source, 0);
	struct vhd_job *job = NULL;

	if (d == NULL) {
		return -1;
	}
	int r = vhd_convert(l->host, d, target, create, &job, &l->error);

	r = r == 0 ? lab_run(l, job, UINT32_MAX) : r;
	lab_close(l, d);
	return r;
}

static void make_source(struct lab *l, const char *path, enum vhd_format format)
{
	const struct vhd_create create = {.format = format,
					  .bytes = DISK,
					  .block_bytes = format == VHD_VHDX_DYNAMIC ? MIB : 0};

	lab_create(l, path, &create);
	lab_write_all(l, path, writes, ARRAY_LEN(writes));
}

static void test_matrix(struct test *t)
{
	for (size_t from = 0; from < ARRAY_LEN(disks); from++) {
		struct lab l;

		lab_init(&l, t);
		make_source(&l, disks[from].path, disks[from].format);
		for (size_t to = 0; to < ARRAY_LEN(disks); to++) {
			const struct vhd_create create = {.format = disks[to].format};
			char target[64];

			snprintf(target, sizeof(target), "to-%s", disks[to].path);
			LAB_EXPECT(&l, convert(&l, disks[from].path, target, &create), 0);
			lab_verify(&l, target, writes, ARRAY_LEN(writes));
			if (disks[to].format != VHD_RAW) {
				EXPECT_EQ(t, lab_check_clean(&l, target), 0);
			}
		}
		EXPECT_EQ(t, vhd_testing_count(l.files), 1 + ARRAY_LEN(disks)); /* no parts */
		lab_fini(&l);
	}
}

/* Zeros take no blocks, not even those that the source has written. */
static void test_sparse(struct test *t)
{
	const struct vhd_create create = {.format = VHD_VHDX_DYNAMIC, .block_bytes = MIB};
	struct vhd_info *info = malloc(sizeof(*info));
	struct lab l;

	lab_init(&l, t);
	make_source(&l, "a.vhd", VHD_VHD_DYNAMIC);
	LAB_EXPECT(&l, convert(&l, "a.vhd", "b.vhdx", &create), 0);
	struct vhd_disk *d = lab_open(&l, "b.vhdx", 0);

	vhd_get_info(d, info);
	/* Blocks 0 to 3, 8, 31 to 34 and 39. */
	EXPECT_EQ(t, info->allocated_bytes, 10 * MIB);
	lab_close(&l, d);
	free(info);
	lab_fini(&l);
}

static void test_chain(struct test *t)
{
	const struct lab_write upper[] = {
		{0, MIB, 9}, {5 * MIB, 512, 8}, {MIB, 4096, 0}, {32 * MIB, 3 * MIB, 0}};
	struct lab_write all[ARRAY_LEN(writes) + ARRAY_LEN(upper)];
	const struct vhd_create child = {.format = VHD_VHDX_DIFFERENCING, .parent = "a.vhdx"};
	const struct vhd_create create = {.format = VHD_VHD_DYNAMIC};
	struct lab l;

	lab_init(&l, t);
	make_source(&l, "a.vhdx", VHD_VHDX_DYNAMIC);
	lab_create(&l, "b.avhdx", &child);
	lab_write_all(&l, "b.avhdx", upper, ARRAY_LEN(upper));
	memcpy(all, writes, sizeof(writes));
	memcpy(all + ARRAY_LEN(writes), upper, sizeof(upper));
	LAB_EXPECT(&l, convert(&l, "b.avhdx", "c.vhd", &create), 0);
	lab_verify(&l, "c.vhd", all, ARRAY_LEN(all));
	lab_fini(&l);
}

/* Wherever it is given up, nothing is left. */
static void test_interrupted(struct test *t)
{
	const struct vhd_create create = {.format = VHD_VHDX_DYNAMIC};

	for (unsigned steps = 0; steps < 40; steps++) {
		struct vhd_job *job = NULL;
		struct lab l;

		lab_init(&l, t);
		make_source(&l, "a.raw", VHD_RAW);
		struct vhd_disk *d = lab_open(&l, "a.raw", 0);

		LAB_EXPECT(&l, vhd_convert(l.host, d, "b.vhdx", &create, &job, &l.error), 0);
		int r = lab_run(&l, job, steps);

		lab_close(&l, d);
		EXPECT_EQ(t, vhd_testing_count(l.files), r == 0 ? 2 : 1);
		lab_fini(&l);
		if (r == 0) {
			EXPECT(t, steps > 5);
			return;
		}
		EXPECT_EQ(t, r, 1);
	}
	EXPECT(t, !"it finishes");
}

struct failing {
	const char *path;
	enum io_op op;
	unsigned after;
	int error;
};

static int before(void *ctx, const char *path, const struct io_request *r)
{
	struct failing *f = ctx;

	return strstr(path, f->path) != NULL && r->op == f->op && f->after-- == 0 ? f->error : 0;
}

/* The N-th read, write and flush fails, for every N. */
static void test_io_errors(struct test *t)
{
	static const struct {
		const char *path;
		enum io_op op;
		int error;
	} kinds[] = {{"a.raw", IO_READ, -EIO},
		     {"b.vhdx", IO_WRITE, -ENOSPC},
		     {"b.vhdx", IO_FLUSH, -EIO}};
	const struct vhd_create create = {.format = VHD_VHDX_DYNAMIC, .block_bytes = MIB};

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		unsigned n = 0;
		int r = -1;

		for (; r != 0 && n < 1000; n++) {
			struct failing failing = {kinds[k].path, kinds[k].op, n, kinds[k].error};
			const struct vhd_testing_hook hook = {before, &failing};
			struct lab l;

			lab_init(&l, t);
			make_source(&l, "a.raw", VHD_RAW);
			vhd_testing_set_hook(l.files, &hook);
			r = convert(&l, "a.raw", "b.vhdx", &create);
			EXPECT_EQ(t, vhd_testing_count(l.files), r == 0 ? 2 : 1);
			EXPECT(t, r == 0 || r == kinds[k].error);
			EXPECT(t, r == 0 || l.error.text[0] != '\0');
			lab_fini(&l);
		}
		EXPECT(t, r == 0 && n > 2);
	}
}

static void test_refused(struct test *t)
{
	const struct vhd_create raw = {.format = VHD_RAW}, vhd = {.format = VHD_VHD_DYNAMIC},
				child = {.format = VHD_VHDX_DIFFERENCING, .parent = "a.vhdx"},
				small = {.format = VHD_RAW, .bytes = DISK - 512};
	const struct vhd_create source = {
		.format = VHD_VHDX_DYNAMIC, .bytes = DISK, .sector_bytes = 4096};
	struct lab l;

	lab_init(&l, t);
	lab_create(&l, "a.vhdx", &source);
	LAB_EXPECT(&l, convert(&l, "a.vhdx", "a.vhdx", &raw), -EEXIST);
	LAB_EXPECT(&l, convert(&l, "a.vhdx", "b.vhd", &vhd), VHD_INVALID_ARGUMENT);
	LAB_EXPECT(&l, convert(&l, "a.vhdx", "b.vhdx", &child), VHD_INVALID_ARGUMENT);
	LAB_EXPECT(&l, convert(&l, "a.vhdx", "b.raw", &small), VHD_INVALID_ARGUMENT);
	EXPECT_EQ(t, vhd_testing_count(l.files), 1);
	lab_fini(&l);
}

/* From 512-byte sectors to 4096: the end of the disk is rounded up and zero. */
static void test_larger_sectors(struct test *t)
{
	const struct vhd_create source = {.format = VHD_RAW, .bytes = 5 * MIB + 1536},
				target = {.format = VHD_VHDX_DYNAMIC, .sector_bytes = 4096};
	const struct lab_write w[] = {
		{512, 512, 1}, {3 * MIB + 512, 6 * KIB, 2}, {5 * MIB + 1024, 512, 3}};
	struct lab l;

	lab_init(&l, t);
	lab_create(&l, "a.raw", &source);
	lab_write_all(&l, "a.raw", w, ARRAY_LEN(w));
	LAB_EXPECT(&l, convert(&l, "a.raw", "b.vhdx", &target), 0);
	lab_verify(&l, "b.vhdx", w, ARRAY_LEN(w));
	struct vhd_disk *d = lab_open(&l, "b.vhdx", 0);

	EXPECT_EQ(t, vhd_block(d)->info.bytes, 5 * MIB + 4096);
	EXPECT_EQ(t, vhd_block(d)->info.sector_bytes, 4096);
	lab_close(&l, d);
	lab_fini(&l);
}

static void test_all_zero(struct test *t)
{
	uint8_t *p = aligned_alloc(64, 4096);

	memset(p, 0, 4096);
	EXPECT(t, vhd_all_zero(p, 4096));
	for (size_t i = 0; i < 4096; i++) {
		p[i] = 0x80;
		EXPECT(t, !vhd_all_zero(p, 4096));
		p[i] = 0;
	}
	free(p);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_all_zero), TEST(test_matrix),		TEST(test_sparse),
		TEST(test_chain),    TEST(test_interrupted),	TEST(test_io_errors),
		TEST(test_refused),  TEST(test_larger_sectors),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
