// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"

#include "lib/bits.h"
#include "rig.h"

static const struct ic_version one = {1, 0}, three = {3, 0};

static void expect_reference(struct test *t, struct rig *r, uint8_t flags)
{
	struct rig_message m;

	EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
	EXPECT_EQ(t, m.header.type, IC_MESSAGE_TIMESYNC);
	EXPECT_EQ(t, m.bytes, 22);
	EXPECT_EQ(t, m.reference.flags, flags);
	EXPECT_EQ(t, m.reference.host_100ns, r->utc_100ns);
	EXPECT_EQ(t, m.reference.reference_100ns, r->reference_100ns);
	EXPECT(t, rig_answer(r, VSP_IC_TIMESYNC, &m, 0));
}

/* The clock is set once, then there are samples, each with the two times of its own moment. */
static void test_samples(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_TIMESYNC));
	expect_reference(t, r, IC_TIMESYNC_SYNC);
	for (unsigned i = 0; i < 5; i++) {
		EXPECT(t, !rig_take(r, VSP_IC_TIMESYNC, &m));
		rig_pass(r, 4 * RIG_S);
		EXPECT(t, !rig_take(r, VSP_IC_TIMESYNC, &m));
		rig_pass(r, RIG_S);
		expect_reference(t, r, IC_TIMESYNC_SAMPLE);
	}
	rig_destroy(r);
}

static void test_old_versions(struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_create(NULL);
		struct rig_message m;

		EXPECT(t, rig_connect(r, VERSION_WIN10));
		EXPECT(t, rig_open(r, VSP_IC_TIMESYNC));
		EXPECT(t, rig_negotiate(r, VSP_IC_TIMESYNC, i == 0 ? one : three,
					i == 0 ? one : three));
		EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
		EXPECT_EQ(t, m.bytes, 25);
		EXPECT_EQ(t, m.timesync.host_100ns, RIG_UTC);
		EXPECT_EQ(t, m.timesync.flags, IC_TIMESYNC_SYNC);
		rig_destroy(r);
	}
}

/* The machine stood still for an hour: at once, not at the next period; also when a sample was on its way. */
static void test_jump(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_TIMESYNC));
	expect_reference(t, r, IC_TIMESYNC_SYNC);
	rig_pass(r, RIG_S);
	r->utc_100ns += 3600 * UINT64_C(10000000);
	vsp_ic_time_jump(r->ic);
	rig_run(r);
	expect_reference(t, r, IC_TIMESYNC_SYNC);

	rig_pass(r, 5 * RIG_S);
	EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
	EXPECT_EQ(t, m.reference.flags, IC_TIMESYNC_SAMPLE);
	vsp_ic_time_jump(r->ic);
	rig_run(r);
	EXPECT(t, rig_answer(r, VSP_IC_TIMESYNC, &m, 0));
	expect_reference(t, r, IC_TIMESYNC_SYNC);

	/* The jump came after SYNC was sent: its time is not right any more. */
	vsp_ic_time_jump(r->ic);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
	vsp_ic_time_jump(r->ic);
	rig_run(r);
	EXPECT(t, rig_answer(r, VSP_IC_TIMESYNC, &m, 0));
	expect_reference(t, r, IC_TIMESYNC_SYNC);
	rig_pass(r, 5 * RIG_S);
	expect_reference(t, r, IC_TIMESYNC_SAMPLE);
	rig_destroy(r);
}

/* SYNC that nobody heard is said again. */
static void test_unheard(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_TIMESYNC));
	EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
	rig_pass(r, 10 * RIG_S);
	expect_reference(t, r, IC_TIMESYNC_SYNC);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_samples),
		TEST(test_old_versions),
		TEST(test_jump),
		TEST(test_unheard),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
