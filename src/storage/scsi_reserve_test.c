// SPDX-License-Identifier: Apache-2.0
/* Reservations, persistent and not. Spec: SPC-4 5.13, 6.15, 6.16 (tables 65 to 69), SBC-3 4.18, SPC-2 5.5. */
#include "scsi_reserve_test.h"

static void test_register(struct test *t)
{
	struct world w;

	world_init(&w);
	expect_in(t, &w, 0, "00 00 00 00 00 00 00 00");
	/* a key that we do not have; nothing; then one */
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 5, 0xa), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0), 0);
	EXPECT_EQ(t, key_count(&w), 0);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	expect_in(t, &w, 0,
		  "00 00 00 03 00 00 00 10 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 0b");
	/* changing it takes the old one; or not */
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xc), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0xa, 0xc), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER_AND_IGNORE, 0, 0x77, 0xd), 0);
	expect_in(t, &w, 0,
		  "00 00 00 05 00 00 00 10 00 00 00 00 00 00 00 0c 00 00 00 00 00 00 00 0d");
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0xc, 0), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER_AND_IGNORE, 0, 0, 0), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER_AND_IGNORE, 0, 0, 0), 0);
	expect_in(t, &w, 0, "00 00 00 08 00 00 00 00");
	world_fini(&w);
}

static void test_bad_requests(struct test *t)
{
	static const struct {
		const char *what, *cdb;
		size_t bytes;
		uint8_t flags;
		uint32_t want;
	} rows[] = {
		{"REGISTER AND MOVE", "5f 07 00 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"reserved action", "5f 1f 00 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"RESERVE, scope", "5f 01 11 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"RESERVE, no type", "5f 01 00 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"RESERVE, type 2", "5f 01 02 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"RESERVE, type 4", "5f 01 04 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"RESERVE, type 9", "5f 01 09 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"PREEMPT, type 15", "5f 04 0f 00 00 00 00 00 18 00", 24, 0, 0x052400},
		{"list of 23", "5f 00 00 00 00 00 00 00 17 00", 24, 0, 0x051a00},
		{"list of 25", "5f 00 00 00 00 00 00 00 19 00", 25, 0, 0x051a00},
		{"list longer than the buffer", "5f 00 00 00 00 00 00 00 18 00", 23, 0, 0x051a00},
		{"SPEC_I_PT", "5f 00 00 00 00 00 00 00 18 00", 24, 0x08, 0x052600},
		{"APTPL", "5f 00 00 00 00 00 00 00 18 00", 24, 0x01, 0x052600},
		{"ALL_TG_PT is fine", "5f 00 00 00 00 00 00 00 18 00", 24, 0x04, 0},
		{"scope of REGISTER does not matter", "5f 00 10 00 00 00 00 00 18 00", 24, 0, 0},
		{"RESERVE without registration", "5f 01 01 00 00 00 00 00 18 00", 24, 0,
		 RIG_CONFLICT},
		{"RELEASE without", "5f 02 01 00 00 00 00 00 18 00", 24, 0, RIG_CONFLICT},
		{"CLEAR without", "5f 03 00 00 00 00 00 00 18 00", 24, 0, RIG_CONFLICT},
		{"PREEMPT without", "5f 04 01 00 00 00 00 00 18 00", 24, 0, RIG_CONFLICT},
	};
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig_command r;

		rig_prepare(&r, rows[i].cdb, OUT, rows[i].bytes, A);
		memset(r.data, 0, rows[i].bytes);
		r.data[20] = rows[i].flags;
		rig_run(w.u, &w.c, &r);
		if (rig_result(&r) != rows[i].want) {
			test_fail(t, __FILE__, __LINE__, "%s: got %06x, want %06x", rows[i].what,
				  rig_result(&r), rows[i].want);
		}
		rig_free(&r);
	}
	EXPECT_EQ(t, send(&w, A, "5e 04 00 00 00 00 00 00 ff 00", IN, 255), 0x052400);
	world_fini(&w);
}

static void test_reports(struct test *t)
{
	struct world w;

	world_init(&w);
	expect_in(t, &w, 2, "00 08 04 80 ea 01 00 00");
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0x0102030405060708), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	expect_in(t, &w, 1, "00 00 00 02 00 00 00 00");
	EXPECT_EQ(t, out(&w, A, RESERVE, 5, 0x0102030405060708, 0), 0);
	expect_in(t, &w, 1,
		  "00 00 00 02 00 00 00 10 01 02 03 04 05 06 07 08 00 00 00 00 00 05 00 00");
	expect_in(t, &w, 3,
		  "00 00 00 02 00 00 00 60"
		  "01 02 03 04 05 06 07 08 00 00 00 00 01 05 00 00 00 00 00 01 00 00 00 18"
		  "06 00 00 00 09 08 08 08 08 08 08 08 00 00 00 00 00 00 00 00 00 00 00 00"
		  "00 00 00 00 00 00 00 0b 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 18"
		  "06 00 00 00 0a 08 08 08 08 08 08 08 00 00 00 00 00 00 00 00 00 00 00 00");
	/* held by all: no key, every one a holder */
	EXPECT_EQ(t, out(&w, A, RELEASE, 5, 0x0102030405060708, 0), 0);
	EXPECT_EQ(t, ready(&w, B), 0x062a04);
	EXPECT_EQ(t, out(&w, B, RESERVE, 8, 0xb, 0), 0);
	expect_in(t, &w, 1,
		  "00 00 00 02 00 00 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00");
	expect_in(t, &w, 3,
		  "00 00 00 02 00 00 00 60"
		  "01 02 03 04 05 06 07 08 00 00 00 00 01 08 00 00 00 00 00 01 00 00 00 18"
		  "06 00 00 00 09 08 08 08 08 08 08 08 00 00 00 00 00 00 00 00 00 00 00 00"
		  "00 00 00 00 00 00 00 0b 00 00 00 00 01 08 00 00 00 00 00 01 00 00 00 18"
		  "06 00 00 00 0a 08 08 08 08 08 08 08 00 00 00 00 00 00 00 00 00 00 00 00");
	world_fini(&w);
}

/* Which commands of somebody else pass: a letter for each type in order 1 3 5 6 7 8. '+' passes, '-' conflict. */
static const struct {
	const char *what, *cdb;
	enum scsi_direction direction;
	size_t bytes;
	const char *stranger;	/* not registered */
	const char *registered; /* but not the holder */
} conflicts[] = {
	{"TEST UNIT READY", "00 00 00 00 00 00", NONE, 0, "++++++", "++++++"},
	{"REQUEST SENSE", "03 00 00 00 12 00", IN, 18, "++++++", "++++++"},
	{"INQUIRY", "12 00 00 00 24 00", IN, 36, "++++++", "++++++"},
	{"REPORT LUNS", "a0 00 00 00 00 00 00 00 00 10 00 00", IN, 16, "++++++", "++++++"},
	{"READ CAPACITY(10)", "25 00 00 00 00 00 00 00 00 00", IN, 8, "++++++", "++++++"},
	{"READ CAPACITY(16)", "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", IN, 32, "++++++",
	 "++++++"},
	{"START", "1b 00 00 00 01 00", NONE, 0, "++++++", "++++++"},
	{"ALLOW REMOVAL", "1e 00 00 00 00 00", NONE, 0, "++++++", "++++++"},
	{"PERSISTENT RESERVE IN", "5e 00 00 00 00 00 00 00 ff 00", IN, 255, "++++++", "++++++"},
	{"READ(6)", "08 00 00 00 01 00", IN, 512, "+-+-+-", "+-++++"},
	{"READ(10)", "28 00 00 00 00 00 00 00 01 00", IN, 512, "+-+-+-", "+-++++"},
	{"READ(16)", "88 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00", IN, 512, "+-+-+-",
	 "+-++++"},
	{"VERIFY(10)", "2f 00 00 00 00 00 00 00 01 00", NONE, 0, "+-+-+-", "+-++++"},
	{"GET LBA STATUS", "9e 12 00 00 00 00 00 00 00 00 00 00 00 18 00 00", IN, 24, "+-+-+-",
	 "+-++++"},
	{"MODE SENSE(6)", "1a 00 3f 00 ff 00", IN, 255, "+-+-+-", "+-++++"},
	{"WRITE(6)", "0a 00 00 00 01 00", OUT, 512, "------", "--++++"},
	{"WRITE(10)", "2a 00 00 00 00 00 00 00 01 00", OUT, 512, "------", "--++++"},
	{"WRITE AND VERIFY", "2e 00 00 00 00 00 00 00 01 00", OUT, 512, "------", "--++++"},
	{"WRITE SAME", "41 00 00 00 00 00 00 00 01 00", OUT, 512, "------", "--++++"},
	{"UNMAP", "42 00 00 00 00 00 00 00 00 00", OUT, 0, "------", "--++++"},
	{"SYNCHRONIZE CACHE", "35 00 00 00 00 00 00 00 00 00", NONE, 0, "------", "--++++"},
	{"MODE SELECT", "15 10 00 00 00 00", OUT, 0, "------", "--++++"},
	{"SEND DIAGNOSTIC", "1d 04 00 00 00 00", NONE, 0, "------", "--++++"},
	{"RESERVE(6)", "16 00 00 00 00 00", NONE, 0, "------", "------"},
	{"RELEASE(10)", "57 00 00 00 00 00 00 00 00 00", NONE, 0, "------", "------"},
};

static const uint8_t types[] = {1, 3, 5, 6, 7, 8};

static void expect_pass(struct test *t, struct world *w, unsigned row, unsigned type, uint8_t who,
			char want)
{
	uint32_t got =
		send(w, who, conflicts[row].cdb, conflicts[row].direction, conflicts[row].bytes);

	if (got != (want == '+' ? RIG_GOOD : RIG_CONFLICT)) {
		test_fail(t, __FILE__, __LINE__, "%s, type %u, initiator %u: got %08x",
			  conflicts[row].what, types[type], who, got);
	}
}

static void test_conflicts(struct test *t)
{
	for (unsigned type = 0; type < ARRAY_LEN(types); type++) {
		struct world w;

		world_init(&w);
		EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
		EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
		EXPECT_EQ(t, out(&w, A, RESERVE, types[type], 0xa, 0), 0);
		EXPECT_EQ(t, out(&w, A, RESERVE, types[type], 0xa, 0), 0);
		for (unsigned i = 0; i < ARRAY_LEN(conflicts); i++) {
			bool legacy = conflicts[i].cdb[1] == '6' || conflicts[i].cdb[1] == '7';

			legacy = legacy &&
				 (conflicts[i].cdb[0] == '1' || conflicts[i].cdb[0] == '5');
			expect_pass(t, &w, i, type, A, legacy ? '-' : '+');
			expect_pass(t, &w, i, type, B, conflicts[i].registered[type]);
			expect_pass(t, &w, i, type, C, conflicts[i].stranger[type]);
		}
		world_fini(&w);
	}
}

static void test_reserve_and_release(struct test *t)
{
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	EXPECT_EQ(t, out(&w, A, RESERVE, 1, 0xb, 0), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, RESERVE, 1, 0xa, 0), 0);
	EXPECT_EQ(t, out(&w, A, RESERVE, 3, 0xa, 0), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, B, RESERVE, 1, 0xb, 0), RIG_CONFLICT);
	/* not the holder: good, and nothing */
	EXPECT_EQ(t, out(&w, B, RELEASE, 1, 0xb, 0), 0);
	EXPECT_EQ(t, reservation_type(&w), 1);
	EXPECT_EQ(t, out(&w, A, RELEASE, 3, 0xa, 0), 0x052604);
	EXPECT_EQ(t, out(&w, A, RELEASE, 1, 0xb, 0), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, RELEASE, 1, 0xa, 0), 0);
	EXPECT_EQ(t, reservation_type(&w), 0);
	/* who had no use of it is not told; registrants who had are */
	EXPECT_EQ(t, ready(&w, B), 0);
	for (unsigned type = 5; type <= 8; type++) {
		EXPECT_EQ(t, ready(&w, C), 0);
		EXPECT_EQ(t, out(&w, A, RESERVE, type, 0xa, 0), 0);
		EXPECT_EQ(t, out(&w, A, RELEASE, type, 0xa, 0), 0);
		EXPECT_EQ(t, ready(&w, B), 0x062a04);
		EXPECT_EQ(t, ready(&w, B), 0);
		EXPECT_EQ(t, ready(&w, C), 0);
		EXPECT_EQ(t, ready(&w, A), 0);
	}
	world_fini(&w);
}

static void test_unregister_releases(struct test *t)
{
	struct world w;

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		bool all = types[i] >= 7;

		world_init(&w);
		EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
		EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
		EXPECT_EQ(t, out(&w, A, RESERVE, types[i], 0xa, 0), 0);
		EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0xa, 0), 0);
		/* what all hold stays until the last one goes */
		EXPECT_EQ(t, reservation_type(&w), all ? types[i] : 0);
		EXPECT_EQ(t, ready(&w, B), !all && types[i] >= 5 ? 0x062a04 : 0);
		EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0xb, 0), 0);
		EXPECT_EQ(t, reservation_type(&w), 0);
		world_fini(&w);
	}
}

static void test_clear(struct test *t)
{
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	EXPECT_EQ(t, ready(&w, C), 0);
	EXPECT_EQ(t, out(&w, B, RESERVE, 3, 0xb, 0), 0);
	EXPECT_EQ(t, out(&w, A, CLEAR, 0, 0xb, 0), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, CLEAR, 0, 0xa, 0), 0);
	EXPECT_EQ(t, reservation_type(&w), 0);
	expect_in(t, &w, 0, "00 00 00 03 00 00 00 00");
	EXPECT_EQ(t, ready(&w, B), 0x062a03);
	EXPECT_EQ(t, ready(&w, C), 0);
	world_fini(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_register),
		TEST(test_bad_requests),
		TEST(test_reports),
		TEST(test_conflicts),
		TEST(test_reserve_and_release),
		TEST(test_unregister_releases),
		TEST(test_clear),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
