// SPDX-License-Identifier: Apache-2.0
/* A DVD drive: what it says, and what happens when media come and go. Spec: MMC-6. */
#include "scsi_dvd.h"

#include <errno.h>

#include "scsi_testing.h"

#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT
#define BLOCKS 1000u

struct world {
	struct io_context c;
	struct block_device *medium;
	struct scsi_unit *u;
	unsigned ejects;
};

static void world_init(struct world *w, bool with_medium)
{
	uint8_t data[2048];

	*w = (struct world){0};
	io_context_init(&w->c, NULL);
	w->medium = testing_disk(&w->c, BLOCKS * 2048, 2048, false);
	memset(data, 'd', sizeof(data));
	CHECK(block_write(w->medium, 7 * 2048, data, sizeof(data)) == 0);
	w->medium->info.read_only = true;
	CHECK(scsi_dvd_create(with_medium ? w->medium : NULL, &w->c, &(struct scsi_unit_config){0},
			      &w->u) == 0);
}

static void world_fini(struct world *w)
{
	scsi_unit_destroy(w->u);
	block_destroy(w->medium);
}

static const struct rig_row medium_rows[] = {
	{"INQUIRY", "12 00 00 00 24 00", IN, 36, NULL, RIG_GOOD,
	 "05 80 00 02 5b 00 00 02 4d 73 66 74 20 20 20 20 56 69 72 74 75 61 6c 20 44 56 44 2d"
	 "52 4f 4d 20 31 2e 30 20"},
	{"VPD 00", "12 01 00 00 ff 00", IN, 255, NULL, RIG_GOOD, "05 00 00 02 00 83"},
	{"VPD 83", "12 01 83 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "05 83 00 1c 02 01 00 18 4d 73 66 74 20 20 20 20 56 69 72 74 75 61 6c 20 44 56 44 2d"
	 "52 4f 4d 20"},
	{"VPD B0", "12 01 b0 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"TEST UNIT READY", "00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"READ CAPACITY", "25 00 00 00 00 00 00 00 00 00", IN, 8, NULL, RIG_GOOD,
	 "00 00 03 e7 00 00 08 00"},
	{"READ(10) the last", "28 00 00 00 03 e7 00 00 01 00", IN, 2048, NULL, RIG_GOOD, NULL},
	{"READ(10) beyond", "28 00 00 00 03 e8 00 00 01 00", IN, 2048, NULL, 0x052100, ""},
	{"READ(10) short buffer", "28 00 00 00 00 00 00 00 02 00", IN, 4095, NULL, 0x052100, ""},
	{"READ(12)", "a8 00 00 00 03 e6 00 00 00 02 00 00", IN, 4096, NULL, RIG_GOOD, NULL},
	{"WRITE(10)", "2a 00 00 00 00 00 00 00 01 00", OUT, 2048, NULL, 0x052000, ""},
	{"SEEK(10)", "2b 00 00 00 00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"READ CD, nothing", "be 00 00 00 00 07 00 00 01 00 00 00", IN, 0, NULL, RIG_GOOD, ""},
	{"READ CD, raw", "be 00 00 00 00 07 00 00 01 f8 00 00", IN, 2352, NULL, 0x052400, ""},
	{"READ CD, audio", "be 04 00 00 00 07 00 00 01 10 00 00", IN, 2048, NULL, 0x052400, ""},
	{"READ CD, sub-channel", "be 00 00 00 00 07 00 00 01 10 01 00", IN, 2048, NULL, 0x052400,
	 ""},
	{"READ CD, mode 1 data", "be 08 00 00 00 07 00 00 01 10 00 00", IN, 2048, NULL, RIG_GOOD,
	 NULL},

	{"TOC", "43 00 00 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 12 01 01 00 14 01 00 00 00 00 00 00 14 aa 00 00 00 03 e8"},
	{"TOC in MSF", "43 02 00 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 12 01 01 00 14 01 00 00 00 02 00 00 14 aa 00 00 00 0f 19"},
	{"TOC from the lead-out", "43 00 00 00 00 00 aa 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 0a 01 01 00 14 aa 00 00 00 03 e8"},
	{"TOC from track 2", "43 00 00 00 00 00 02 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"TOC, 12 bytes", "43 00 00 00 00 00 00 00 0c 00", IN, 255, NULL, RIG_GOOD,
	 "00 12 01 01 00 14 01 00 00 00 00 00"},
	{"sessions", "43 00 01 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 0a 01 01 00 14 01 00 00 00 00 00"},
	{"raw TOC", "43 00 02 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 2e 01 01"
	 "01 14 00 a0 00 00 00 00 01 00 00"
	 "01 14 00 a1 00 00 00 00 01 00 00"
	 "01 14 00 a2 00 00 00 00 00 0f 19"
	 "01 14 00 01 00 00 00 00 00 02 00"},
	{"PMA", "43 00 03 00 00 00 00 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"disc information", "51 00 00 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 20 0e 01 01 01 01 20 00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff 00 00 00 00 00 00"
	 "00 00 00 00"},
	{"disc information, resources", "51 01 00 00 00 00 00 00 ff 00", IN, 255, NULL, 0x052400,
	 ""},
	{"track 1", "52 01 00 00 00 01 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 22 01 01 00 04 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 e8"
	 "00 00 00 00 00 00 00 00"},
	{"track of block 999", "52 00 00 00 03 e7 00 00 04 00", IN, 255, NULL, RIG_GOOD,
	 "00 22 01 01"},
	{"track of block 1000", "52 00 00 00 03 e8 00 00 04 00", IN, 255, NULL, 0x052400, ""},
	{"track 2", "52 01 00 00 00 02 00 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"track by what", "52 03 00 00 00 01 00 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"structure, physical", "ad 00 00 00 00 00 00 00 00 14 00 00", IN, 255, NULL, RIG_GOOD,
	 "08 02 00 00 01 0f 01 00 00 03 00 00 00 03 03 e7 00 00 00 00"},
	{"structure, copyright", "ad 00 00 00 00 00 00 01 00 ff 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 06 00 00 00 00 00 00"},
	{"structure, list", "ad 00 00 00 00 00 00 ff 00 ff 00 00", IN, 255, NULL, RIG_GOOD,
	 "00 0e 00 00 00 40 08 04 01 40 00 08 ff 40 00 10"},
	{"structure, second layer", "ad 00 00 00 00 00 01 00 00 ff 00 00", IN, 255, NULL, 0x052400,
	 ""},
	{"structure, key", "ad 00 00 00 00 00 00 02 00 ff 00 00", IN, 255, NULL, 0x052400, ""},

	{"configuration, header", "46 00 00 00 00 00 00 00 08 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 00 4c 00 00 00 10"},
	{"configuration, all", "46 00 00 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 00 4c 00 00 00 10"
	 "00 00 03 08 00 10 01 00 00 08 00 00"
	 "00 01 0b 08 00 00 00 01 01 00 00 00"
	 "00 02 07 04 00 00 00 00"
	 "00 03 03 04 29 00 00 00"
	 "00 10 01 08 00 00 08 00 00 01 00 00"
	 "00 1e 08 04 00 00 00 00"
	 "00 1f 01 00"
	 "01 00 03 00"
	 "01 05 03 00"},
	{"configuration, current from 10h", "46 01 00 10 00 00 00 00 ff 00", IN, 255, NULL,
	 RIG_GOOD,
	 "00 00 00 1c 00 00 00 10 00 10 01 08 00 00 08 00 00 01 00 00 00 1f 01 00"
	 "01 00 03 00 01 05 03 00"},
	{"configuration, one", "46 02 00 03 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 00 0c 00 00 00 10 00 03 03 04 29 00 00 00"},
	{"configuration, one that is not", "46 02 00 20 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 00 04 00 00 00 10"},
	{"configuration, reserved", "46 03 00 00 00 00 00 00 ff 00", IN, 255, NULL, 0x052400, ""},
	{"events", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
	 "00 06 04 10 00 02 00 00"},
	{"events of other kinds", "4a 01 00 00 0e 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
	 "00 02 80 10"},
	{"events, not polled", "4a 00 00 00 10 00 00 00 08 00", IN, 8, NULL, 0x052400, ""},
	{"mechanism status", "bd 00 00 00 00 00 00 00 00 08 00 00", IN, 8, NULL, RIG_GOOD,
	 "00 00 00 00 00 00 00 00"},
	{"SET CD SPEED", "bb 00 ff ff ff ff 00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"capabilities", "5a 00 2a 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
	 "00 1c 00 00 00 00 00 00 2a 14 0b 00 70 00 29 00 2b 48 00 00 00 00 2b 48 00 00 00 00 00 "
	 "00"},
	{"capabilities, locked", "1e 00 00 00 01 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"capabilities, locked", "1a 00 2a 00 0c 00", IN, 255, NULL, RIG_GOOD,
	 "19 00 00 00 2a 14 0b 00 70 00 2b 00"},
	{"capabilities, unlocked", "1e 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"all pages", "1a 00 3f 00 04 00", IN, 255, NULL, RIG_GOOD, "3d 00 00 00"},
	{"error recovery can be set", "55 10 00 00 00 00 00 00 14 00", OUT, 20,
	 "00 00 00 00 00 00 00 00 01 0a 80 20 00 00 00 00 00 00 00 00", RIG_GOOD, NULL},
	{"capabilities cannot", "55 10 00 00 00 00 00 00 1e 00", OUT, 30,
	 "00 00 00 00 00 00 00 00 2a 14 0f 00 70 00 29 00 2b 48 00 00 00 00 2b 48 00 00 00 00 00 "
	 "00",
	 0x052600, ""},
};

static void test_with_medium(struct test *t)
{
	struct world w;

	world_init(&w, true);
	rig_rows(t, w.u, &w.c, medium_rows, ARRAY_LEN(medium_rows));
	world_fini(&w);
}

static const struct rig_row empty_rows[] = {
	{"INQUIRY", "12 00 00 00 05 00", IN, 36, NULL, RIG_GOOD, "05 80 00 02 5b"},
	{"TEST UNIT READY", "00 00 00 00 00 00", NONE, 0, NULL, 0x023a01, ""},
	{"REQUEST SENSE", "03 00 00 00 12 00", IN, 18, NULL, RIG_GOOD,
	 "70 00 02 00 00 00 00 0a 00 00 00 00 3a 01 00 00 00 00"},
	{"READ(10)", "28 00 00 00 00 00 00 00 01 00", IN, 2048, NULL, 0x023a01, ""},
	{"READ CAPACITY", "25 00 00 00 00 00 00 00 00 00", IN, 8, NULL, 0x023a01, ""},
	{"TOC", "43 00 00 00 00 00 00 00 ff 00", IN, 255, NULL, 0x023a01, ""},
	{"structure", "ad 00 00 00 00 00 00 00 00 14 00 00", IN, 255, NULL, 0x023a01, ""},
	{"READ CD", "be 00 00 00 00 07 00 00 01 10 00 00", IN, 2048, NULL, 0x023a01, ""},
	{"configuration", "46 01 00 00 00 00 00 00 14 00", IN, 255, NULL, RIG_GOOD,
	 "00 00 00 34 00 00 00 00 00 00 03 08 00 10 00 00 00 08 00 00"},
	{"events", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
	 "00 06 04 10 00 00 00 00"},
	{"mechanism", "bd 00 00 00 00 00 00 00 00 08 00 00", IN, 8, NULL, RIG_GOOD,
	 "00 00 00 00 00 00 00 00"},
	{"capabilities", "5a 00 2a 00 00 00 00 00 0a 00", IN, 255, NULL, RIG_GOOD,
	 "00 1c 00 00 00 00 00 00 2a 14"},
	{"eject opens the tray", "1b 00 00 00 02 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"TEST UNIT READY, open", "00 00 00 00 00 00", NONE, 0, NULL, 0x023a02, ""},
	{"events, open", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
	 "00 06 04 10 00 01 00 00"},
	{"mechanism, open", "bd 00 00 00 00 00 00 00 00 08 00 00", IN, 8, NULL, RIG_GOOD,
	 "00 10 00 00 00 00 00 00"},
	{"load closes it", "1b 00 00 00 03 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"TEST UNIT READY, closed", "00 00 00 00 00 00", NONE, 0, NULL, 0x023a01, ""},
	{"start", "1b 00 00 00 01 00", NONE, 0, NULL, RIG_GOOD, ""},
	{"flush", "35 00 00 00 00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
};

static void test_empty(struct test *t)
{
	struct world w;

	world_init(&w, false);
	rig_rows(t, w.u, &w.c, empty_rows, ARRAY_LEN(empty_rows));
	EXPECT(t, scsi_unit_block(w.u) == NULL);
	world_fini(&w);
}

static void test_data(struct test *t)
{
	static const char *const reads[] = {
		"28 00 00 00 00 07 00 00 01 00",
		"a8 00 00 00 00 07 00 00 00 01 00 00",
		"be 00 00 00 00 07 00 00 01 10 00 00",
	};
	struct world w;

	world_init(&w, true);
	for (unsigned i = 0; i < ARRAY_LEN(reads); i++) {
		struct rig_command r;

		rig_prepare(&r, reads[i], IN, 2048, 0);
		rig_run(w.u, &w.c, &r);
		EXPECT_EQ(t, rig_result(&r), 0);
		EXPECT_EQ(t, r.scsi.transferred, 2048);
		EXPECT(t, r.data[0] == 'd' && r.data[2047] == 'd');
		rig_free(&r);
	}
	world_fini(&w);
}

static void test_change(struct test *t)
{
	static const struct rig_row inserted[] = {
		{"INQUIRY does not mind", "12 00 00 00 05 00", IN, 36, NULL, RIG_GOOD,
		 "05 80 00 02 5b"},
		{"the event comes first", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
		 "00 06 04 10 02 02 00 00"},
		{"and once", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
		 "00 06 04 10 00 02 00 00"},
		{"then the attention", "00 00 00 00 00 00", NONE, 0, NULL, 0x062800, ""},
		{"once", "00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
	};
	static const struct rig_row removed[] = {
		{"header only: not told", "4a 01 00 00 10 00 00 00 04 00", IN, 8, NULL, RIG_GOOD,
		 "00 06 04 10"},
		{"the event", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL, RIG_GOOD,
		 "00 06 04 10 03 00 00 00"},
		{"no attention", "00 00 00 00 00 00", NONE, 0, NULL, 0x023a01, ""},
	};
	struct world w;

	world_init(&w, false);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 0), 0x023a01);
	scsi_dvd_set_medium(w.u, w.medium);
	rig_rows(t, w.u, &w.c, inserted, ARRAY_LEN(inserted));
	scsi_dvd_set_medium(w.u, NULL);
	EXPECT(t, w.medium->listener == NULL);
	rig_rows(t, w.u, &w.c, removed, ARRAY_LEN(removed));
	/* one for another */
	scsi_dvd_set_medium(w.u, w.medium);
	scsi_dvd_set_medium(w.u, w.medium);
	rig_rows(t, w.u, &w.c, inserted, ARRAY_LEN(inserted));
	/* the medium itself changes */
	w.medium->info.bytes = 2048;
	block_changed(w.medium);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 0), 0x062800);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 01 00 00 01 00", IN, NULL, 2048, 0),
		  0x052100);
	world_fini(&w);
}

static void eject_counted(void *ctx)
{
	((struct world *)ctx)->ejects++;
}

static void eject_at_once(void *ctx)
{
	struct world *w = ctx;

	w->ejects++;
	scsi_dvd_set_medium(w->u, NULL);
}

static void test_eject(struct test *t)
{
	static const char eject[] = "1b 00 00 00 02 00", ready[] = "00 00 00 00 00 00";
	struct world w;

	world_init(&w, true);
	scsi_dvd_set_eject(w.u, eject_counted, &w);
	/* locked, by another initiator */
	EXPECT_EQ(t, rig_send(w.u, &w.c, "1e 00 00 00 01 00", NONE, NULL, 0, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, eject, NONE, NULL, 0, 0), 0x055302);
	EXPECT_EQ(t, w.ejects, 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "1e 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, eject, NONE, NULL, 0, 0), 0);
	EXPECT_EQ(t, w.ejects, 1);
	/* the owner has not removed it yet */
	EXPECT_EQ(t, rig_send(w.u, &w.c, ready, NONE, NULL, 0, 0), 0);
	scsi_dvd_set_medium(w.u, NULL);
	EXPECT_EQ(t, rig_send(w.u, &w.c, ready, NONE, NULL, 0, 0), 0x023a02);
	/* a new one closes the tray; this owner is quick */
	scsi_dvd_set_medium(w.u, w.medium);
	EXPECT_EQ(t, rig_send(w.u, &w.c, ready, NONE, NULL, 0, 0), 0x062800);
	scsi_dvd_set_eject(w.u, eject_at_once, &w);
	EXPECT_EQ(t, rig_send(w.u, &w.c, eject, NONE, NULL, 0, 0), 0);
	EXPECT_EQ(t, w.ejects, 2);
	EXPECT_EQ(t, rig_send(w.u, &w.c, ready, NONE, NULL, 0, 0), 0x023a02);
	/* nobody cares: the drive lets go */
	scsi_dvd_set_medium(w.u, w.medium);
	scsi_dvd_set_eject(w.u, NULL, NULL);
	EXPECT_EQ(t, rig_send(w.u, &w.c, ready, NONE, NULL, 0, 0), 0x062800);
	EXPECT_EQ(t, rig_send(w.u, &w.c, eject, NONE, NULL, 0, 0), 0);
	EXPECT(t, scsi_unit_block(w.u) == NULL);
	/* a reset takes locks away */
	scsi_dvd_set_medium(w.u, w.medium);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "1e 00 00 00 01 00", NONE, NULL, 0, 1), 0x062800);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "1e 00 00 00 01 00", NONE, NULL, 0, 1), 0);
	scsi_unit_reset(w.u);
	EXPECT_EQ(t, rig_send(w.u, &w.c, eject, NONE, NULL, 0, 0), 0x062900);
	EXPECT_EQ(t, rig_send(w.u, &w.c, eject, NONE, NULL, 0, 0), 0);
	world_fini(&w);
}

/* A medium goes while it is read: the read ends well, and until then the medium stays. */
static void test_removed_while_read(struct test *t)
{
	struct rig_command r;
	struct world w;

	world_init(&w, true);
	rig_prepare(&r, "28 00 00 00 00 00 00 00 01 00", IN, 2048, 0);
	scsi_submit(w.u, &r.scsi);
	EXPECT(t, scsi_dvd_reading(w.u));
	scsi_dvd_set_medium(w.u, NULL);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "12 00 00 00 00 00", NONE, NULL, 0, 0), 0);
	EXPECT_EQ(t, r.calls, 1);
	EXPECT_EQ(t, rig_result(&r), 0);
	EXPECT_EQ(t, r.scsi.transferred, 2048);
	EXPECT(t, !scsi_dvd_reading(w.u));
	rig_free(&r);
	world_fini(&w);
}

static void test_read_error(struct test *t)
{
	const struct block_error_rule rule = {BIT32(IO_READ), 4096, 2048, 0, UINT64_MAX, -EIO};
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	CHECK(block_error_create(testing_disk(&c, 1 << 20, 2048, true), &rule, 1, &b) == 0);
	CHECK(scsi_dvd_create(b, &c, &(struct scsi_unit_config){0}, &u) == 0);
	EXPECT_EQ(t, rig_send(u, &c, "28 00 00 00 00 02 00 00 01 00", IN, NULL, 2048, 0), 0x031100);
	EXPECT_EQ(t, rig_send(u, &c, "28 00 00 00 00 03 00 00 01 00", IN, NULL, 2048, 0), 0);
	scsi_unit_destroy(u);
	block_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_with_medium), TEST(test_empty), TEST(test_data),
		TEST(test_change),	TEST(test_eject), TEST(test_removed_while_read),
		TEST(test_read_error),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
