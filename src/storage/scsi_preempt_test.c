// SPDX-License-Identifier: Apache-2.0
/* Reservations taken away: PREEMPT, PREEMPT AND ABORT; RESERVE and RELEASE; more initiators than there are places. */
#include "scsi_reserve_test.h"

static void test_preempt(struct test *t)
{
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	EXPECT_EQ(t, out(&w, C, REGISTER, 0, 0, 0xc), 0);
	/* nobody holds anything: registrations go */
	EXPECT_EQ(t, out(&w, A, PREEMPT, 1, 0xa, 0), 0x052600);
	EXPECT_EQ(t, out(&w, A, PREEMPT, 1, 0xa, 0xee), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, PREEMPT, 1, 0xb, 0xc), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, PREEMPT, 1, 0xa, 0xc), 0);
	EXPECT_EQ(t, ready(&w, C), 0x062a05);
	EXPECT_EQ(t, ready(&w, B), 0);
	EXPECT_EQ(t, key_count(&w), 2);
	EXPECT_EQ(t, reservation_type(&w), 0);
	/* the holder's key: the reservation goes over, with a new type others are told */
	EXPECT_EQ(t, out(&w, C, REGISTER, 0, 0, 0xc), 0);
	EXPECT_EQ(t, out(&w, B, RESERVE, 1, 0xb, 0), 0);
	EXPECT_EQ(t, out(&w, A, PREEMPT, 3, 0xa, 0xb), 0);
	EXPECT_EQ(t, reservation_type(&w), 3);
	EXPECT_EQ(t, key_count(&w), 2);
	EXPECT_EQ(t, ready(&w, B), 0x062a05);
	EXPECT_EQ(t, ready(&w, C), 0x062a04);
	EXPECT_EQ(t, send(&w, B, "28 00 00 00 00 00 00 00 01 00", IN, 512), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, A, "28 00 00 00 00 00 00 00 01 00", IN, 512), 0);
	/* somebody else's key: only the registration goes */
	EXPECT_EQ(t, out(&w, A, PREEMPT, 1, 0xa, 0xc), 0);
	EXPECT_EQ(t, reservation_type(&w), 3);
	EXPECT_EQ(t, key_count(&w), 1);
	/* one's own: the type changes */
	EXPECT_EQ(t, out(&w, A, PREEMPT, 1, 0xa, 0xa), 0);
	EXPECT_EQ(t, reservation_type(&w), 1);
	EXPECT_EQ(t, key_count(&w), 1);
	world_fini(&w);
}

static void test_preempt_all_registrants(struct test *t)
{
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	EXPECT_EQ(t, out(&w, C, REGISTER, 0, 0, 0xc), 0);
	EXPECT_EQ(t, out(&w, A, RESERVE, 7, 0xa, 0), 0);
	EXPECT_EQ(t, out(&w, B, PREEMPT, 3, 0xb, 0xc), 0);
	EXPECT_EQ(t, reservation_type(&w), 7);
	EXPECT_EQ(t, key_count(&w), 2);
	/* 0 stands for all others */
	EXPECT_EQ(t, out(&w, B, PREEMPT, 3, 0xb, 0), 0);
	EXPECT_EQ(t, reservation_type(&w), 3);
	EXPECT_EQ(t, key_count(&w), 1);
	EXPECT_EQ(t, ready(&w, A), 0x062a05);
	world_fini(&w);
}

static void test_preempt_and_abort(struct test *t)
{
	struct rig_command write, read, other, preempt, again, revenge;
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	EXPECT_EQ(t, out(&w, B, RESERVE, 1, 0xb, 0), 0);
	rig_prepare(&write, "2a 00 00 00 00 00 00 00 01 00", OUT, 512, B);
	rig_prepare(&read, "28 00 00 00 00 00 00 00 01 00", IN, 512, B);
	rig_prepare(&other, "28 00 00 00 00 00 00 00 01 00", IN, 512, C);
	scsi_submit(w.u, &write.scsi);
	scsi_submit(w.u, &read.scsi);
	scsi_submit(w.u, &other.scsi);
	rig_turn(&w.c);
	EXPECT_EQ(t, write.calls + read.calls + other.calls, 0);
	prepare_out(&preempt, A, PREEMPT_AND_ABORT, 1, 0xa, 0xb);
	scsi_submit(w.u, &preempt.scsi);
	rig_turn(&w.c);
	EXPECT_EQ(t, preempt.calls, 0); /* B's write may still land */
	/* B comes back meanwhile and does the same: nobody waits for each other */
	EXPECT_EQ(t, ready(&w, 9), 0);
	EXPECT_EQ(t, write.calls, 1);
	EXPECT_EQ(t, rig_result(&write), RIG_ABORTED);
	EXPECT_EQ(t, write.scsi.transferred, 0);
	EXPECT_EQ(t, rig_result(&read), RIG_ABORTED);
	EXPECT_EQ(t, rig_result(&other), 0);
	EXPECT_EQ(t, preempt.calls, 1);
	EXPECT_EQ(t, rig_result(&preempt), 0);
	EXPECT_EQ(t, ready(&w, B), 0x062a05);
	rig_free(&preempt);

	/* now both ways at once */
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xb), 0);
	rig_prepare(&again, "28 00 00 00 00 00 00 00 01 00", IN, 512, B);
	scsi_submit(w.u, &again.scsi);
	prepare_out(&preempt, A, PREEMPT_AND_ABORT, 1, 0xa, 0xb);
	scsi_submit(w.u, &preempt.scsi);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xbb), 0x062a05);
	EXPECT_EQ(t, out(&w, B, REGISTER, 0, 0, 0xbb), 0);
	prepare_out(&revenge, B, PREEMPT_AND_ABORT, 1, 0xbb, 0xa);
	scsi_submit(w.u, &revenge.scsi);
	time_passes(&w);
	EXPECT_EQ(t, again.calls, 1);
	EXPECT_EQ(t, rig_result(&again), RIG_ABORTED);
	EXPECT_EQ(t, preempt.calls, 1);
	EXPECT_EQ(t, revenge.calls, 1);
	EXPECT_EQ(t, rig_result(&revenge), 0);
	EXPECT_EQ(t, key_count(&w), 1);
	rig_free(&write);
	rig_free(&read);
	rig_free(&other);
	rig_free(&preempt);
	rig_free(&again);
	rig_free(&revenge);
	world_fini(&w);
}

static void test_legacy(struct test *t)
{
	static const char reserve6[] = "16 00 00 00 00 00", release6[] = "17 00 00 00 00 00";
	static const char reserve10[] = "56 00 00 00 00 00 00 00 00 00";
	static const char release10[] = "57 00 00 00 00 00 00 00 00 00";
	static const char read[] = "28 00 00 00 00 00 00 00 01 00";
	struct world w;

	world_init(&w);
	EXPECT_EQ(t, send(&w, A, "16 01 00 00 00 00", NONE, 0), 0x052400);
	EXPECT_EQ(t, send(&w, A, "57 10 00 00 00 00 00 00 00 00", NONE, 0), 0x052400);
	EXPECT_EQ(t, send(&w, A, reserve6, NONE, 0), 0);
	EXPECT_EQ(t, send(&w, A, reserve10, NONE, 0), 0);
	EXPECT_EQ(t, send(&w, A, read, IN, 512), 0);
	EXPECT_EQ(t, send(&w, B, read, IN, 512), RIG_CONFLICT);
	EXPECT_EQ(t, ready(&w, B), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, B, "25 00 00 00 00 00 00 00 00 00", IN, 8), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, B, "12 00 00 00 24 00", IN, 36), 0);
	EXPECT_EQ(t, send(&w, B, "03 00 00 00 12 00", IN, 18), 0);
	EXPECT_EQ(t, send(&w, B, reserve6, NONE, 0), RIG_CONFLICT);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, A, "5e 00 00 00 00 00 00 00 ff 00", IN, 255), RIG_CONFLICT);
	/* who does not hold it releases nothing */
	EXPECT_EQ(t, send(&w, B, release10, NONE, 0), 0);
	EXPECT_EQ(t, send(&w, B, read, IN, 512), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, A, release6, NONE, 0), 0);
	EXPECT_EQ(t, send(&w, B, read, IN, 512), 0);
	/* a reset releases it; persistent ones stay */
	EXPECT_EQ(t, send(&w, A, reserve6, NONE, 0), 0);
	scsi_unit_reset(w.u);
	EXPECT_EQ(t, ready(&w, B), 0x062900);
	EXPECT_EQ(t, ready(&w, A), 0x062900);
	EXPECT_EQ(t, send(&w, B, read, IN, 512), 0);
	EXPECT_EQ(t, out(&w, A, REGISTER, 0, 0, 0xa), 0);
	EXPECT_EQ(t, out(&w, A, RESERVE, 3, 0xa, 0), 0);
	scsi_unit_reset(w.u);
	EXPECT_EQ(t, ready(&w, B), 0x062900);
	EXPECT_EQ(t, send(&w, B, read, IN, 512), RIG_CONFLICT);
	world_fini(&w);
}

/* More initiators than entries: the quiet ones are forgotten, the registered ones are not, and the last ones cannot register. */
static void test_many_initiators(struct test *t)
{
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < SCSI_NEXUSES - 1; i++) {
		EXPECT_EQ(t, out(&w, (uint8_t)(100 + i), REGISTER, 0, 0, 1 + i), 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		EXPECT_EQ(t, ready(&w, (uint8_t)i), 0);
	}
	EXPECT_EQ(t, out(&w, 98, REGISTER, 0, 0, 0x98), 0);
	EXPECT_EQ(t, ready(&w, 97), 0);
	EXPECT_EQ(t, out(&w, 97, REGISTER, 0, 0, 0), 0);
	EXPECT_EQ(t, out(&w, 97, REGISTER, 0, 0, 0x97), 0x055504);
	EXPECT_EQ(t, out(&w, 97, REGISTER_AND_IGNORE, 0, 0, 0x97), 0x055504);
	EXPECT_EQ(t, send(&w, 97, "16 00 00 00 00 00", NONE, 0), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, 97, "1e 00 00 00 01 00", NONE, 0), 0);
	EXPECT_EQ(t, key_count(&w), SCSI_NEXUSES);
	EXPECT_EQ(t, out(&w, 98, RESERVE, 1, 0x98, 0), 0);
	EXPECT_EQ(t, send(&w, 97, "2a 00 00 00 00 00 00 00 01 00", OUT, 512), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, 97, "28 00 00 00 00 00 00 00 01 00", IN, 512), 0);
	world_fini(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_preempt),	      TEST(test_preempt_all_registrants),
		TEST(test_preempt_and_abort), TEST(test_legacy),
		TEST(test_many_initiators),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
