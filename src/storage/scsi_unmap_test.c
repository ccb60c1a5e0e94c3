// SPDX-License-Identifier: Apache-2.0
/* UNMAP, WRITE SAME, GET LBA STATUS: shapes, effects on the disk, errors in the middle. */
#include "scsi_disk.h"

#include <errno.h>

#include "scsi_testing.h"

#define BLOCKS 2048u
#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT

struct world {
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;
	uint8_t model[BLOCKS * 512], got[BLOCKS * 512];
};

static void world_init_on(struct world *w, struct block_device *b)
{
	const struct scsi_unit_config config = {0};

	w->b = b;
	memset(w->model, 'x', sizeof(w->model));
	CHECK(block_write(b, 0, w->model, sizeof(w->model)) == 0);
	CHECK(scsi_disk_create(b, &config, &w->u) == 0);
}

static void world_init(struct world *w)
{
	io_context_init(&w->c, NULL);
	world_init_on(w, testing_disk(&w->c, BLOCKS * 512, 512, false));
}

static void world_fini(struct world *w)
{
	scsi_unit_destroy(w->u);
	block_destroy(w->b);
}

static void expect_model(struct test *t, struct world *w)
{
	EXPECT_EQ(t, block_read(w->b, 0, w->got, sizeof(w->got)), 0);
	EXPECT_MEM(t, w->got, w->model, sizeof(w->got));
}

static const struct rig_row unmap_shapes[] = {
	{"no list", "42 00 00 00 00 00 00 00 00 00", OUT, 0, NULL, RIG_GOOD, ""},
	{"list of 7", "42 00 00 00 00 00 00 00 07 00", OUT, 8, NULL, 0x051a00, ""},
	{"no descriptors", "42 00 00 00 00 00 00 00 08 00", OUT, 8, "00 06 00 00 00 00 00 00",
	 RIG_GOOD, NULL},
	{"buffer shorter than the list", "42 00 00 00 00 00 00 00 18 00", OUT, 23,
	 "00 16 00 10 00 00 00 00", 0x051a00, ""},
	{"data length beyond the list", "42 00 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 17 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", 0x051a00, ""},
	{"descriptors beyond the list", "42 00 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 16 00 11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", 0x051a00, ""},
	{"torn descriptor does not count", "42 00 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 16 00 0f 00 00 00 00 ff ff ff ff ff ff ff ff 00 00 00 01 00 00 00 00", RIG_GOOD, NULL},
	{"beyond the end", "42 00 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 16 00 10 00 00 00 00 00 00 00 00 00 00 07 ff 00 00 00 02 00 00 00 00", 0x052100, ""},
	{"address wraps", "42 00 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 16 00 10 00 00 00 00 ff ff ff ff ff ff ff ff ff ff ff ff 00 00 00 00", 0x052100, ""},
	{"zero blocks", "42 00 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 16 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", RIG_GOOD, NULL},
	{"anchored", "42 01 00 00 00 00 00 00 18 00", OUT, 24,
	 "00 16 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00", 0x052400, ""},
};

static void test_unmap_shapes(struct test *t)
{
	static struct world w;

	world_init(&w);
	rig_rows(t, w.u, &w.c, unmap_shapes, ARRAY_LEN(unmap_shapes));
	expect_model(t, &w);
	world_fini(&w);
}

static void test_unmap(struct test *t)
{
	static const struct rig_row rows[] = {
		{"two ranges", "42 00 00 00 00 00 00 00 28 00", OUT, 40,
		 "00 26 00 20 00 00 00 00"
		 "00 00 00 00 00 00 00 08 00 00 00 10 00 00 00 00"
		 "00 00 00 00 00 00 01 00 00 00 00 08 00 00 00 00",
		 RIG_GOOD, NULL},
		{"the second beyond the end: nothing happens", "42 00 00 00 00 00 00 00 28 00", OUT,
		 40,
		 "00 26 00 20 00 00 00 00"
		 "00 00 00 00 00 00 02 00 00 00 00 10 00 00 00 00"
		 "00 00 00 00 00 00 08 00 00 00 00 08 00 00 00 00",
		 0x052100, ""},
	};
	static struct world w;

	world_init(&w);
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	memset(w.model + 8 * 512, 0, 16 * 512);
	memset(w.model + 256 * 512, 0, 8 * 512);
	expect_model(t, &w);
	world_fini(&w);
}

static void test_unmap_not_offered(struct test *t)
{
	static struct world w;

	world_init(&w);
	w.b->info.discards = false;
	EXPECT_EQ(t, rig_send(w.u, &w.c, "42 00 00 00 00 00 00 00 00 00", OUT, NULL, 0, 0),
		  0x052000);
	world_fini(&w);
}

static const struct rig_row same_shapes[] = {
	{"no blocks", "41 00 00 00 00 00 00 00 00 00", OUT, 512, NULL, 0x052400, ""},
	{"no block of data", "41 00 00 00 00 00 00 00 01 00", OUT, 511, NULL, 0x052400, ""},
	{"protection", "41 20 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400, ""},
	{"anchor", "41 18 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400, ""},
	{"logical block data", "41 02 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400, ""},
	{"physical block data", "41 04 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400, ""},
	{"(10) without data", "41 01 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400, ""},
	{"beyond the end", "41 00 00 00 07 ff 00 00 02 00", OUT, 512, NULL, 0x052100, ""},
	{"(16) more than the limit", "93 00 00 00 00 00 00 00 00 00 00 08 00 01 00 00", OUT, 512,
	 NULL, 0x052400, ""},
	{"(16) at the limit, beyond the end", "93 00 00 00 00 00 00 00 00 00 00 08 00 00 00 00",
	 OUT, 512, NULL, 0x052100, ""},
};

static void test_write_same_shapes(struct test *t)
{
	static struct world w;

	world_init(&w);
	rig_rows(t, w.u, &w.c, same_shapes, ARRAY_LEN(same_shapes));
	expect_model(t, &w);
	world_fini(&w);
}

static void test_write_same(struct test *t)
{
	static struct world w;
	uint8_t block[512] = {0};

	world_init(&w);
	/* zeros, with and without unmapping */
	EXPECT_EQ(t, rig_send(w.u, &w.c, "41 00 00 00 00 03 00 00 05 00", OUT, block, 512, 0), 0);
	memset(w.model + 3 * 512, 0, 5 * 512);
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "93 08 00 00 00 00 00 00 00 11 00 00 00 40 00 00", OUT, block,
			   512, 0),
		  0);
	memset(w.model + 0x11 * 512, 0, 0x40 * 512);
	/* no data at all */
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "93 09 00 00 00 00 00 00 01 00 00 00 00 40 00 00", NONE, NULL,
			   0, 0),
		  0);
	memset(w.model + 0x100 * 512, 0, 0x40 * 512);
	expect_model(t, &w);
	/* a pattern, over more than one chunk; the unmap bit does not matter then */
	block[511] = 7;
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "93 08 00 00 00 00 00 00 02 01 00 00 01 91 00 00", OUT, block,
			   512, 0),
		  0);
	for (unsigned i = 0; i < 0x191; i++) {
		memcpy(w.model + (0x201 + i) * 512, block, 512);
	}
	expect_model(t, &w);
	world_fini(&w);
}

static void test_error_in_the_middle(struct test *t)
{
	/* the second chunk of 64 KiB, and the third range */
	static const struct block_error_rule rules[] = {
		{BIT32(IO_WRITE), 65536, 512, 0, UINT64_MAX, -ENOSPC},
		{BIT32(IO_DISCARD), 0, 0, 2, 1, -EIO},
	};
	static uint8_t list[8 + 16 * 5] = {0, 8 + 16 * 5 - 2, 0, 16 * 5};
	static struct world w;
	struct block_device *b;

	io_context_init(&w.c, NULL);
	struct block_device *below = testing_disk(&w.c, BLOCKS * 512, 512, false);

	CHECK(block_error_create(below, rules, ARRAY_LEN(rules), &b) == 0);
	w.b = b;
	CHECK(scsi_disk_create(b, &(struct scsi_unit_config){0}, &w.u) == 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "41 00 00 00 00 00 00 01 90 00", OUT, NULL, 512, 0),
		  0x072707);
	for (unsigned i = 0; i < 5; i++) {
		list[8 + 16 * i + 11] = 1;
	}
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "42 00 00 00 00 00 00 00 58 00", OUT, list, sizeof(list), 0),
		  0x030c00);
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "42 00 00 00 00 00 00 00 58 00", OUT, list, sizeof(list), 0),
		  0);
	world_fini(&w);
}

/* Spec: SBC-3 5.5. */
static void test_lba_status(struct test *t)
{
	static const struct rig_row rows[] = {
		{"all of it", "9e 12 00 00 00 00 00 00 00 00 00 00 01 00 00 00", IN, 256, NULL,
		 RIG_GOOD,
		 "00 00 00 34 00 00 00 00"
		 "00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 00"
		 "00 00 00 00 00 00 00 10 00 00 00 10 01 00 00 00"
		 "00 00 00 00 00 00 00 20 00 00 07 e0 00 00 00 00"},
		{"one descriptor", "9e 12 00 00 00 00 00 00 00 12 00 00 00 18 00 00", IN, 256, NULL,
		 RIG_GOOD,
		 "00 00 00 14 00 00 00 00"
		 "00 00 00 00 00 00 00 12 00 00 00 0e 01 00 00 00"},
		{"no room for one", "9e 12 00 00 00 00 00 00 00 12 00 00 00 08 00 00", IN, 256,
		 NULL, RIG_GOOD, "00 00 00 14 00 00 00 00"},
		{"beyond the end", "9e 12 00 00 00 00 00 00 08 00 00 00 00 18 00 00", IN, 256, NULL,
		 0x052100, ""},
	};
	static struct world w;

	world_init(&w);
	EXPECT_EQ(t, block_zero(w.b, 16 * 512, 16 * 512, true), 0);
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	world_fini(&w);
}

/* A device that says nothing is mapped all over; one that changes between every block is cut, not endless. */
static int no_extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		     uint64_t *ret_bytes)
{
	return -EIO;
}

static int striped(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		   uint64_t *ret_bytes)
{
	*ret_what = (offset / 512) % 2 == 0 ? STORAGE_DATA : STORAGE_HOLE;
	*ret_bytes = 512;
	return 0;
}

static int torn(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		uint64_t *ret_bytes)
{
	/* data 0..99, hole 100..4095 of each 4096 */
	uint64_t at = offset % 4096;

	*ret_what = at < 100 ? STORAGE_DATA : STORAGE_HOLE;
	*ret_bytes = at < 100 ? 100 - at : 4096 - at;
	return 0;
}

static void test_lba_status_of_others(struct test *t)
{
	static const struct rig_row unknown[] = {
		{"unknown", "9e 12 00 00 00 00 00 00 00 00 00 00 01 00 00 00", IN, 256, NULL,
		 RIG_GOOD,
		 "00 00 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00 00 00 00"},
	};
	static const struct rig_row torn_rows[] = {
		{"a block with some data is mapped",
		 "9e 12 00 00 00 00 00 00 00 00 00 00 00 28 00 00", IN, 256, NULL, RIG_GOOD,
		 "00 00 00 24 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00"
		 "00 00 00 00 00 00 00 01 00 00 00 07 01 00 00 00"},
	};
	static struct world w;
	struct rig_command r;

	world_init(&w);
	struct block_ops ops = *w.b->ops;
	const struct block_ops *saved = w.b->ops;

	w.b->ops = &ops;
	ops.extent = no_extent;
	rig_rows(t, w.u, &w.c, unknown, ARRAY_LEN(unknown));
	ops.extent = torn;
	rig_rows(t, w.u, &w.c, torn_rows, ARRAY_LEN(torn_rows));
	ops.extent = striped;
	rig_prepare(&r, "9e 12 00 00 00 00 00 00 00 00 00 00 ff ff 00 00", IN, 65535, 0);
	rig_run(w.u, &w.c, &r);
	EXPECT_EQ(t, rig_result(&r), 0);
	EXPECT_EQ(t, r.scsi.transferred, 8 + 64 * 16);
	EXPECT_EQ(t, load_be32(r.data), 4 + 64 * 16);
	EXPECT_EQ(t, load_be64(r.data + 8 + 63 * 16), 63);
	rig_free(&r);
	w.b->ops = saved;
	world_fini(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_unmap_shapes),      TEST(test_unmap),
		TEST(test_unmap_not_offered), TEST(test_write_same_shapes),
		TEST(test_write_same),	      TEST(test_error_in_the_middle),
		TEST(test_lba_status),	      TEST(test_lba_status_of_others),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
