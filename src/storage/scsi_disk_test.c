// SPDX-License-Identifier: Apache-2.0
/* A disk's commands against what they must answer, byte for byte. */
#include "scsi_disk_test.h"

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

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_inquiry), TEST(test_inquiry_without_identity_or_discard),
		TEST(test_basic),   TEST(test_ranges),
		TEST(test_data),    TEST(test_cancel),
		TEST(test_verify),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
