// SPDX-License-Identifier: Apache-2.0
/* A disk's commands against what they must answer, byte for byte. */
#include "scsi_disk.h"

#include <errno.h>

#include "scsi_testing.h"

#define BLOCKS 2048u
#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT

static const struct guid disk_id =
	GUID(0x01020304, 0x0506, 0x4708, 0x89, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10);

struct world {
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;
};

static unsigned list_luns(void *ctx, uint16_t *luns, unsigned max)
{
	luns[0] = 0;
	luns[1] = 7;
	luns[2] = 0x123;
	return 3;
}

static void world_init(struct world *w, uint32_t block_bytes, bool read_only)
{
	const struct scsi_unit_config config = {.luns = {.list = list_luns},
						.max_transfer_bytes = 1 << 20};

	io_context_init(&w->c, NULL);
	w->b = testing_disk(&w->c, (uint64_t)BLOCKS * block_bytes, block_bytes, read_only);
	w->b->info.id = disk_id;
	CHECK(scsi_disk_create(w->b, &config, &w->u) == 0);
}

static void world_fini(struct world *w)
{
	CHECK(scsi_unit_block(w->u) == w->b);
	scsi_unit_destroy(w->u);
	block_destroy(w->b);
}

/* Spec: SPC-4 6.4, 7.8; Interop: the identity is what drivers look for. */
static const struct rig_row inquiry_rows[] = {
	{"standard, 36 bytes", "12 00 00 00 24 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 05 02 5b 00 00 02 4d 73 66 74 20 20 20 20 56 69 72 74 75 61 6c 20 44 69 73 6b"
	 "20 20 20 20 31 2e 30 20"},
	{"standard, 5 bytes", "12 00 00 00 05 00", IN, 36, NULL, RIG_GOOD, "00 00 05 02 5b"},
	{"buffer smaller than the allocation", "12 00 00 00 24 00", IN, 4, NULL, RIG_GOOD,
	 "00 00 05 02"},
	{"no buffer at all", "12 00 00 00 24 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"nothing allocated", "12 00 00 00 00 00", IN, 36, NULL, RIG_GOOD, ""},
	{"page code without EVPD", "12 00 83 00 24 00", IN, 36, NULL, 0x052400, ""},
	{"command support data", "12 02 00 00 24 00", IN, 36, NULL, 0x052400, ""},
	{"NACA", "12 00 00 00 24 04", IN, 36, NULL, 0x052400, ""},
	{"short CDB", "12 00 00 00 24", IN, 36, NULL, 0x052400, ""},
	{"VPD 00", "12 01 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 00 08 00 80 83 b0 b1 b2 ce cf"},
	{"VPD 80", "12 01 80 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 80 00 20 30 34 30 33 30 32 30 31 30 36 30 35 30 38 34 37 38 39 30 61 30 62 30 63"
	 "30 64 30 65 30 66 31 30"},
	{"VPD 83", "12 01 83 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 83 00 30"
	 "01 01 00 18 4d 73 66 74 20 20 20 20 04 03 02 01 06 05 08 47 89 0a 0b 0c 0d 0e 0f 10"
	 "01 03 00 10 60 02 24 80 04 03 02 01 06 05 0b 0c 0d 0e 0f 10"},
	{"VPD B0", "12 01 b0 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 b0 00 3c 01 00 00 08 00 00 08 00 00 00 00 00 00 00 00 00"
	 "ff ff ff ff 00 00 0f ff 00 00 00 08 80 00 00 00 00 00 00 00 00 08 00 00"
	 "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"VPD B1", "12 01 b1 00 08 00", IN, 255, NULL, RIG_GOOD, "00 b1 00 3c 00 01 00 00"},
	{"VPD B2", "12 01 b2 00 ff 00", IN, 255, NULL, RIG_GOOD, "00 b2 00 04 00 e4 02 00"},
	{"VPD CE", "12 01 ce 00 ff 00", IN, 255, NULL, RIG_GOOD, "00 ce 00 04 01 01 00 00"},
	{"VPD CF", "12 01 cf 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 cf 00 14 01 00 00 00 15 8f a9 89 28 c9 8b 4d 94 cd ef 51 fa a9 9d 33"},
	{"VPD that is not there", "12 01 b3 00 ff 00", IN, 255, NULL, 0x052400, ""},
};

static void test_inquiry(struct test *t)
{
	struct world w;

	world_init(&w, 512, false);
	rig_rows(t, w.u, &w.c, inquiry_rows, ARRAY_LEN(inquiry_rows));
	world_fini(&w);
}

static void test_inquiry_without_identity_or_discard(struct test *t)
{
	static const struct rig_row rows[] = {
		{"VPD 80", "12 01 80 00 ff 00", IN, 255, NULL, RIG_GOOD, "00 80 00 00"},
		{"VPD 83", "12 01 83 00 ff 00", IN, 255, NULL, RIG_GOOD, "00 83 00 00"},
		{"VPD B0", "12 01 b0 00 28 00", IN, 255, NULL, RIG_GOOD,
		 "00 b0 00 3c 01 00 00 01 00 00 01 00 00 00 00 00 00 00 00 00"
		 "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"VPD B1", "12 01 b1 00 06 00", IN, 255, NULL, RIG_GOOD, "00 b1 00 3c 00 00"},
		{"VPD B2", "12 01 b2 00 ff 00", IN, 255, NULL, RIG_GOOD, "00 b2 00 04 00 00 00 00"},
		{"capacity", "9e 10 00 00 00 00 00 00 00 00 00 00 00 10 00 00", IN, 32, NULL,
		 RIG_GOOD, "00 00 00 00 00 00 07 ff 00 00 10 00 00 00 00 00"},
	};
	struct world w;

	world_init(&w, 4096, false);
	w.b->info.id = (struct guid){{0}};
	w.b->info.discards = false;
	w.b->info.rotational = true;
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	world_fini(&w);
}

static const struct rig_row basic_rows[] = {
	{"TEST UNIT READY", "00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"REQUEST SENSE", "03 00 00 00 12 00", IN, 18, NULL, RIG_GOOD,
	 "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00"},
	{"REQUEST SENSE, descriptors", "03 01 00 00 12 00", IN, 18, NULL, 0x052400, ""},
	{"unknown opcode", "04 00 00 00 00 00", NONE, 0, NULL, 0x052000, ""},
	{"READ CAPACITY(10)", "25 00 00 00 00 00 00 00 00 00", IN, 8, NULL, RIG_GOOD,
	 "00 00 07 ff 00 00 02 00"},
	{"READ CAPACITY(16)", "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", IN, 32, NULL,
	 RIG_GOOD,
	 "00 00 00 00 00 00 07 ff 00 00 02 00 00 03 c0 00 00 00 00 00 00 00 00 00"
	 "00 00 00 00 00 00 00 00"},
	{"READ CAPACITY(16), 12 bytes", "9e 10 00 00 00 00 00 00 00 00 00 00 00 0c 00 00", IN, 32,
	 NULL, RIG_GOOD, "00 00 00 00 00 00 07 ff 00 00 02 00"},
	{"unknown action", "9e 11 00 00 00 00 00 00 00 00 00 00 00 20 00 00", IN, 32, NULL,
	 0x052400, ""},
	{"REPORT LUNS", "a0 00 00 00 00 00 00 00 01 00 00 00", IN, 256, NULL, RIG_GOOD,
	 "00 00 00 18 00 00 00 00"
	 "00 00 00 00 00 00 00 00 00 07 00 00 00 00 00 00 41 23 00 00 00 00 00 00"},
	{"REPORT LUNS, well known", "a0 00 01 00 00 00 00 00 01 00 00 00", IN, 256, NULL, RIG_GOOD,
	 "00 00 00 00 00 00 00 00"},
	{"REPORT LUNS, all, cut", "a0 00 02 00 00 00 00 00 00 10 00 00", IN, 256, NULL, RIG_GOOD,
	 "00 00 00 18 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"REPORT LUNS, too small", "a0 00 00 00 00 00 00 00 00 0f 00 00", IN, 256, NULL, 0x052400,
	 ""},
	{"REPORT LUNS, reserved", "a0 00 03 00 00 00 00 00 01 00 00 00", IN, 256, NULL, 0x052400,
	 ""},
	{"START", "1b 00 00 00 01 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"STOP", "1b 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"STOP without flush", "1b 00 00 00 04 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"EJECT of a disk", "1b 00 00 00 02 00", NONE, 0, NULL, 0x052400, ""},
	{"PREVENT", "1e 00 00 00 01 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"ALLOW", "1e 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"PREVENT persistently", "1e 00 00 00 03 00", NONE, 0, NULL, 0x052400, ""},
	{"SEND DIAGNOSTIC, self-test", "1d 04 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"SEND DIAGNOSTIC, extended", "1d 40 00 00 00 00", NONE, 0, NULL, 0x052400, ""},
	{"SEND DIAGNOSTIC with a list", "1d 04 00 00 01 00", OUT, 1, NULL, 0x052400, ""},
	{"opcode that is there", "a3 0c 01 2a 00 00 00 00 00 ff 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 03 00 0a 2a 18 ff ff ff ff 00 ff ff 00"},
	{"opcode that is not", "a3 0c 01 04 00 00 00 00 00 ff 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 01 00 00"},
	{"opcode with actions asked without", "a3 0c 01 9e 00 00 00 00 00 ff 00 00", IN, 255, NULL,
	 0x052400, ""},
	{"action that is there", "a3 0c 02 9e 00 10 00 00 00 ff 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 03 00 10 9e 1f 00 00 00 00 00 00 00 00 ff ff ff ff 00 00"},
	{"action that is not", "a3 0c 02 9e 00 11 00 00 00 ff 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 01 00 00"},
	{"action of an opcode without", "a3 0c 02 2a 00 00 00 00 00 ff 00 00", IN, 255, NULL,
	 0x052400, ""},
	{"either way, with timeouts", "a3 0c 83 00 00 00 00 00 00 ff 00 00", IN, 255, NULL,
	 RIG_GOOD, "00 83 00 06 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00"},
	{"all, the beginning", "a3 0c 00 00 00 00 00 00 00 14 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 01 88 00 00 00 00 00 00 00 06 03 00 00 00 00 00 00 06"},
	{"all with timeouts, the beginning", "a3 0c 80 00 00 00 00 00 00 20 00 00", IN, 255, NULL,
	 RIG_GOOD,
	 "00 00 03 d4 00 00 00 00 00 02 00 06 00 0a 00 00 00 00 00 00 00 00 00 00 03 00 00 00"
	 "00 02 00 06"},
};

static void test_basic(struct test *t)
{
	struct world w;

	world_init(&w, 512, false);
	rig_rows(t, w.u, &w.c, basic_rows, ARRAY_LEN(basic_rows));
	world_fini(&w);
}

/* The shapes of reads and writes: addresses, ends, buffers. */
static const struct rig_row range_rows[] = {
	{"READ(6), the last block", "08 00 07 ff 01 00", IN, 512, NULL, RIG_GOOD, NULL},
	{"READ(6), 0 is 256", "08 00 00 00 00 00", IN, 131072, NULL, RIG_GOOD, NULL},
	{"READ(6), 256 beyond the end", "08 00 07 01 00 00", IN, 131072, NULL, 0x052100, ""},
	{"READ(6), buffer for 255", "08 00 00 00 00 00", IN, 130560, NULL, 0x052100, ""},
	{"READ(6), 21 bits of address", "08 e0 00 00 01 00", IN, 512, NULL, RIG_GOOD, NULL},
	{"READ(10) of nothing", "28 00 00 00 00 00 00 00 00 00", IN, 0, NULL, RIG_GOOD, ""},
	{"READ(10) of nothing at the end", "28 00 00 00 08 00 00 00 00 00", IN, 0, NULL, RIG_GOOD,
	 ""},
	{"READ(10) of nothing beyond", "28 00 00 00 08 01 00 00 00 00", IN, 0, NULL, 0x052100, ""},
	{"READ(10) across the end", "28 00 00 00 07 ff 00 00 02 00", IN, 1024, NULL, 0x052100, ""},
	{"READ(10), DPO and FUA", "28 18 00 00 00 00 00 00 01 00", IN, 512, NULL, RIG_GOOD, NULL},
	{"READ(10), RDPROTECT", "28 20 00 00 00 00 00 00 01 00", IN, 512, NULL, 0x052400, ""},
	{"READ(10), larger buffer", "28 00 00 00 00 00 00 00 01 00", IN, 1000, NULL, RIG_GOOD,
	 NULL},
	{"READ(10), wrong direction", "28 00 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052100,
	 ""},
	{"READ(12)", "a8 00 00 00 07 fe 00 00 00 02 00 00", IN, 1024, NULL, RIG_GOOD, NULL},
	{"READ(12), count wraps", "a8 00 00 00 00 01 ff ff ff ff 00 00", IN, 512, NULL, 0x052100,
	 ""},
	{"READ(16)", "88 00 00 00 00 00 00 00 07 ff 00 00 00 01 00 00", IN, 512, NULL, RIG_GOOD,
	 NULL},
	{"READ(16), address wraps", "88 00 ff ff ff ff ff ff ff ff 00 00 00 02 00 00", IN, 1024,
	 NULL, 0x052100, ""},
	{"WRITE(6)", "0a 00 00 00 01 00", OUT, 512, NULL, RIG_GOOD, NULL},
	{"WRITE(10)", "2a 00 00 00 00 00 00 00 01 00", OUT, 512, NULL, RIG_GOOD, NULL},
	{"WRITE(10), WRPROTECT", "2a e0 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400, ""},
	{"WRITE(10), short buffer", "2a 00 00 00 00 00 00 00 02 00", OUT, 1023, NULL, 0x052100, ""},
	{"WRITE(12)", "aa 08 00 00 00 00 00 00 00 01 00 00", OUT, 512, NULL, RIG_GOOD, NULL},
	{"WRITE(16)", "8a 08 00 00 00 00 00 00 07 ff 00 00 00 01 00 00", OUT, 512, NULL, RIG_GOOD,
	 NULL},
	{"WRITE(16) beyond", "8a 08 00 00 00 00 00 00 08 00 00 00 00 01 00 00", OUT, 512, NULL,
	 0x052100, ""},
	{"SYNCHRONIZE CACHE(10)", "35 00 00 00 00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"SYNCHRONIZE CACHE(10), immediate", "35 02 00 00 00 00 00 00 00 00", NONE, 0, NULL,
	 RIG_GOOD, ""},
	{"SYNCHRONIZE CACHE(10) beyond", "35 00 00 00 08 00 00 00 01 00", NONE, 0, NULL, 0x052100,
	 ""},
	{"SYNCHRONIZE CACHE(16)", "91 00 00 00 00 00 00 00 00 00 00 00 08 00 00 00", NONE, 0, NULL,
	 RIG_GOOD, ""},
	{"SYNCHRONIZE CACHE(16) beyond", "91 00 00 00 00 00 00 00 00 00 00 00 08 01 00 00", NONE, 0,
	 NULL, 0x052100, ""},
};

static void test_ranges(struct test *t)
{
	struct world w;

	world_init(&w, 512, false);
	rig_rows(t, w.u, &w.c, range_rows, ARRAY_LEN(range_rows));
	world_fini(&w);
}

static void fill(uint8_t *data, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++) {
		data[i] = (uint8_t)(i * 31 + i / 256 + seed);
	}
}

/* What goes in with one command comes out with each other, at the right place. */
static void test_data(struct test *t)
{
	static const char *const writes[] = {
		"0a 00 00 09 02 00",
		"2a 00 00 00 00 09 00 00 02 00",
		"aa 00 00 00 00 09 00 00 00 02 00 00",
		"8a 00 00 00 00 00 00 00 00 09 00 00 00 02 00 00",
		"2e 00 00 00 00 09 00 00 02 00",
		"2e 02 00 00 00 09 00 00 02 00",
		"ae 02 00 00 00 09 00 00 00 02 00 00",
		"8e 02 00 00 00 00 00 00 00 09 00 00 00 02 00 00",
	};
	static const char *const reads[] = {
		"08 00 00 09 02 00",
		"28 00 00 00 00 09 00 00 02 00",
		"a8 00 00 00 00 09 00 00 00 02 00 00",
		"88 00 00 00 00 00 00 00 00 09 00 00 00 02 00 00",
	};

	for (uint32_t block_bytes = 512; block_bytes <= 4096; block_bytes *= 8) {
		struct world w;
		uint8_t data[8192], got[8192];

		world_init(&w, block_bytes, false);
		for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
			fill(data, sizeof(data), i);
			EXPECT_EQ(t, rig_send(w.u, &w.c, writes[i], OUT, data, 2 * block_bytes, 0),
				  0);
			EXPECT_EQ(t, block_read(w.b, 9ull * block_bytes, got, 2 * block_bytes), 0);
			EXPECT_MEM(t, got, data, 2 * block_bytes);
		}
		for (unsigned i = 0; i < ARRAY_LEN(reads); i++) {
			struct rig_command r;

			rig_prepare(&r, reads[i], IN, 2 * block_bytes + 3, 0);
			rig_run(w.u, &w.c, &r);
			EXPECT_EQ(t, rig_result(&r), 0);
			EXPECT_EQ(t, r.scsi.transferred, 2 * block_bytes);
			EXPECT_MEM(t, r.data, data, 2 * block_bytes);
			rig_free(&r);
		}
		world_fini(&w);
	}
}

static void test_verify(struct test *t)
{
	static const struct rig_row rows[] = {
		{"VERIFY(10), medium", "2f 00 00 00 00 00 00 08 00 00", NONE, 0, NULL, RIG_GOOD,
		 ""},
		{"VERIFY(12), medium", "af 00 00 00 00 00 00 00 08 00 00 00", NONE, 0, NULL,
		 RIG_GOOD, ""},
		{"VERIFY(16), medium", "8f 00 00 00 00 00 00 00 00 00 00 00 08 00 00 00", NONE, 0,
		 NULL, RIG_GOOD, ""},
		{"VERIFY(16) beyond", "8f 00 00 00 00 00 00 00 00 01 00 00 08 00 00 00", NONE, 0,
		 NULL, 0x052100, ""},
		{"VERIFY(10), BYTCHK 2", "2f 04 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400,
		 ""},
		{"VERIFY(10), BYTCHK 3", "2f 06 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x052400,
		 ""},
		{"VERIFY(10), VRPROTECT", "2f 20 00 00 00 00 00 00 01 00", NONE, 0, NULL, 0x052400,
		 ""},
		{"VERIFY(10) of nothing", "2f 02 00 00 00 00 00 00 00 00", OUT, 0, NULL, RIG_GOOD,
		 ""},
		{"VERIFY(10), short buffer", "2f 02 00 00 00 00 00 00 02 00", OUT, 512, NULL,
		 0x052100, ""},
		{"WRITE AND VERIFY, BYTCHK 2", "2e 04 00 00 00 00 00 00 01 00", OUT, 512, NULL,
		 0x052400, ""},
	};
	struct world w;
	uint8_t *data = malloc(300 * 512);
	struct rig_command r;

	CHECK(data != NULL);
	world_init(&w, 512, false);
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	fill(data, 300 * 512, 3);
	EXPECT_EQ(t, block_write(w.b, 0, data, 300 * 512), 0);
	/* equal over more than one chunk */
	EXPECT_EQ(t, rig_send(w.u, &w.c, "2f 02 00 00 00 00 00 01 2c 00", OUT, data, 300 * 512, 0),
		  0);
	/* one bit differs in the second chunk: it is said where */
	rig_prepare(&r, "2f 02 00 00 00 00 00 01 2c 00", OUT, 300 * 512, 0);
	memcpy(r.data, data, 300 * 512);
	r.data[140001] ^= 0x10;
	rig_run(w.u, &w.c, &r);
	EXPECT_EQ(t, rig_result(&r), 0x0e1d00);
	EXPECT_EQ(t, r.scsi.sense[0], 0xf0);
	EXPECT_EQ(t, load_be32(r.scsi.sense + 3), 140001);
	EXPECT_EQ(t, r.scsi.transferred, 0);
	rig_free(&r);
	world_fini(&w);
	free(data);
}

/* A long command that is cancelled ends before its next part; a short one does as it was told. */
static void test_cancel(struct test *t)
{
	struct rig_command r;
	struct world w;

	world_init(&w, 512, true);
	rig_prepare(&r, "2f 00 00 00 00 00 00 08 00 00", NONE, 0,
		    0); /* 1 MiB in chunks of 128 KiB */
	scsi_submit(w.u, &r.scsi);
	EXPECT_EQ(t, io_poll(&w.c, false, 0), 1);
	EXPECT_EQ(t, r.scsi.progress, 128 << 10);
	scsi_cancel(&r.scsi);
	EXPECT_EQ(t, r.calls, 0);
	rig_turn(&w.c);
	EXPECT_EQ(t, r.calls, 1);
	EXPECT_EQ(t, r.scsi.progress, 256 << 10);
	EXPECT_EQ(t, rig_result(&r), RIG_ABORTED);
	rig_free(&r);
	rig_prepare(&r, "28 00 00 00 00 00 00 00 08 00", IN, 4096, 0);
	scsi_submit(w.u, &r.scsi);
	scsi_cancel(&r.scsi);
	rig_turn(&w.c);
	EXPECT_EQ(t, rig_result(&r), RIG_GOOD);
	EXPECT_EQ(t, r.scsi.transferred, 4096);
	rig_free(&r);
	world_fini(&w);
}

static void test_read_only(struct test *t)
{
	static const struct rig_row rows[] = {
		{"WRITE(10)", "2a 00 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x072700, ""},
		{"WRITE(10) of nothing", "2a 00 00 00 00 00 00 00 00 00", OUT, 0, NULL, 0x072700,
		 ""},
		{"WRITE AND VERIFY", "2e 02 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x072700, ""},
		{"WRITE SAME", "41 00 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x072700, ""},
		{"UNMAP", "42 00 00 00 00 00 00 00 18 00", OUT, 24, NULL, 0x072700, ""},
		{"READ(10)", "28 00 00 00 00 00 00 00 01 00", IN, 512, NULL, RIG_GOOD, NULL},
		{"SYNCHRONIZE CACHE", "35 00 00 00 00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
		{"MODE SENSE says so", "1a 00 08 00 04 00", IN, 4, NULL, RIG_GOOD, "17 00 90 00"},
	};
	struct world w;

	world_init(&w, 512, true);
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	world_fini(&w);
}

/* Each of the host's errors becomes its sense, for each operation. */
static void test_host_errors(struct test *t)
{
	static const struct {
		int error;
		uint32_t read, write, flush, discard, same;
	} rows[] = {
		{-EIO, 0x031100, 0x030c00, 0x030c00, 0x030c00, 0x030c00},
		{-ENODATA, 0x031100, 0x030c00, 0x030c00, 0x030c00, 0x030c00},
		{-ENOSPC, 0x072707, 0x072707, 0x072707, 0x072707, 0x072707},
		{-EROFS, 0x072700, 0x072700, 0x072700, 0x072700, 0x072700},
		{-EINVAL, 0x052100, 0x052100, 0x052100, 0x052100, 0x052100},
		{-ENOMEM, RIG_BUSY, RIG_BUSY, RIG_BUSY, RIG_BUSY, RIG_BUSY},
		{-ECANCELED, 0x0b0000, 0x0b0000, 0x0b0000, 0x0b0000, 0x0b0000},
		{-EPERM, 0x044400, 0x044400, 0x044400, 0x044400, 0x044400},
	};
	static const uint8_t zeros[512], unmap[24] = {0, 22, 0, 16, [16 + 3] = 8};
	const struct scsi_unit_config config = {0};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const struct block_error_rule rule = {~0u, 0, 0, 0, UINT64_MAX, rows[i].error};
		struct io_context c;
		struct block_device *b;
		struct scsi_unit *u;

		io_context_init(&c, NULL);
		EXPECT_EQ(t,
			  block_error_create(testing_disk(&c, 1 << 20, 512, false), &rule, 1, &b),
			  0);
		EXPECT_EQ(t, scsi_disk_create(b, &config, &u), 0);
		EXPECT_EQ(t, rig_send(u, &c, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512, 0),
			  rows[i].read);
		EXPECT_EQ(t, rig_send(u, &c, "2f 00 00 00 00 00 00 00 01 00", NONE, NULL, 0, 0),
			  rows[i].read);
		EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0),
			  rows[i].write);
		EXPECT_EQ(t, rig_send(u, &c, "2e 02 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0),
			  rows[i].write);
		EXPECT_EQ(t, rig_send(u, &c, "35 00 00 00 00 00 00 00 00 00", NONE, NULL, 0, 0),
			  rows[i].flush);
		EXPECT_EQ(t, rig_send(u, &c, "42 00 00 00 00 00 00 00 18 00", OUT, unmap, 24, 0),
			  rows[i].discard);
		EXPECT_EQ(t, rig_send(u, &c, "41 00 00 00 00 00 00 00 01 00", OUT, zeros, 512, 0),
			  rows[i].same);
		EXPECT_EQ(t, rig_send(u, &c, "41 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0),
			  rows[i].same);
		scsi_unit_destroy(u);
		block_destroy(b);
	}
}

/* The one who looks at flags: FUA from the command, or because the cache is off. */
struct flags_seen {
	uint32_t write, zero;
	unsigned flushes;
};

static void flags_line(void *ctx, const char *text)
{
	struct flags_seen *s = ctx;
	uint32_t fua = strstr(text, "fua") != NULL ? IO_FUA : 0;
	uint32_t unmap = strstr(text, "unmap") != NULL ? IO_UNMAP : 0;

	if (strncmp(text, "write", 5) == 0) {
		s->write = fua;
	} else if (strncmp(text, "zero", 4) == 0) {
		s->zero = fua | unmap;
	} else if (strncmp(text, "flush", 5) == 0) {
		s->flushes++;
	}
}

static void test_write_cache(struct test *t)
{
	static const char cache_off[] = {0, 0, 0, 0, 0x08, 18, [24] = 0};
	static const uint8_t zeros[512];
	const struct scsi_unit_config config = {0};
	struct flags_seen seen = {0};
	const struct block_log log = {.line = flags_line, .ctx = &seen};
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	EXPECT_EQ(t, block_log_create(testing_disk(&c, 1 << 20, 512, false), &log, &b), 0);
	EXPECT_EQ(t, scsi_disk_create(b, &config, &u), 0);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, 0);
	EXPECT_EQ(t, rig_send(u, &c, "2a 08 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, IO_FUA);
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	EXPECT_EQ(t, rig_send(u, &c, "15 10 00 00 18 00", OUT, cache_off, 24, 0), 0);
	EXPECT_EQ(t, seen.flushes, 1);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, IO_FUA);
	EXPECT_EQ(t, rig_send(u, &c, "41 08 00 00 00 00 00 00 01 00", OUT, zeros, 512, 0), 0);
	EXPECT_EQ(t, seen.zero, IO_FUA | IO_UNMAP);
	/* others are told, who did it is not */
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 0), 0);
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0x062a01);
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	/* a reset turns it on again */
	scsi_unit_reset(u);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0x062900);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, 0);
	scsi_unit_destroy(u);
	block_destroy(b);
}

static void test_capacity_changes(struct test *t)
{
	static const char inquiry[] = "12 00 00 00 24 00";
	struct world w;
	uint8_t sense[18];
	struct rig_command r;

	world_init(&w, 512, false);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0);
	w.b->info.bytes = 100 * 512;
	block_changed(w.b);
	/* INQUIRY and REPORT LUNS answer, and leave it pending */
	EXPECT_EQ(t, rig_send(w.u, &w.c, inquiry, IN, NULL, 36, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512, 1),
		  0x062a09);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 64 00 00 01 00", IN, NULL, 512, 1),
		  0x052100);
	/* REQUEST SENSE takes it as data */
	rig_prepare(&r, "03 00 00 00 12 00", IN, 18, 2);
	rig_run(w.u, &w.c, &r);
	memcpy(sense, r.data, 18);
	EXPECT_EQ(t, rig_result(&r), 0);
	EXPECT_EQ(t, (uint32_t)sense[2] << 16 | (uint32_t)sense[12] << 8 | sense[13], 0x062a09);
	rig_free(&r);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0);
	/* nothing changed: nothing to tell; write protection: mode parameters */
	block_changed(w.b);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0);
	w.b->info.read_only = true;
	block_changed(w.b);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0x062a01);
	/* a disk without blocks has no last one */
	w.b->info.bytes = 0;
	EXPECT_EQ(t, rig_send(w.u, &w.c, "25 00 00 00 00 00 00 00 00 00", IN, NULL, 8, 3),
		  0x023a00);
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", IN, NULL,
			   32, 3),
		  0x023a00);
	world_fini(&w);
}

static void test_large_disk(struct test *t)
{
	static const struct rig_row rows[] = {
		{"READ CAPACITY(10) cannot say", "25 00 00 00 00 00 00 00 00 00", IN, 8, NULL,
		 RIG_GOOD, "ff ff ff ff 00 00 02 00"},
		{"READ CAPACITY(16) can", "9e 10 00 00 00 00 00 00 00 00 00 00 00 0c 00 00", IN, 12,
		 NULL, RIG_GOOD, "00 00 00 1f ff ff ff ff 00 00 02 00"},
		{"WRITE(16) far out", "8a 00 00 00 00 1f ff ff ff ff 00 00 00 01 00 00", OUT, 512,
		 NULL, RIG_GOOD, NULL},
		{"READ(16) far out", "88 00 00 00 00 1f ff ff ff ff 00 00 00 01 00 00", IN, 512,
		 NULL, RIG_GOOD, NULL},
	};
	const struct scsi_unit_config config = {0};
	struct io_context c;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, UINT64_C(64) << 40, 512, false);

	EXPECT_EQ(t, scsi_disk_create(b, &config, &u), 0);
	rig_rows(t, u, &c, rows, ARRAY_LEN(rows));
	scsi_unit_destroy(u);
	block_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_inquiry),
		TEST(test_inquiry_without_identity_or_discard),
		TEST(test_basic),
		TEST(test_ranges),
		TEST(test_data),
		TEST(test_cancel),
		TEST(test_verify),
		TEST(test_read_only),
		TEST(test_host_errors),
		TEST(test_write_cache),
		TEST(test_capacity_changes),
		TEST(test_large_disk),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
