// SPDX-License-Identifier: Apache-2.0
/* Backup: whatever happens, the guest's file systems go on in the end. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

#define HOLD (10 * RIG_S)

static uint8_t state[64 << 10];

/* Takes a message, which must be @operation, and answers it. */
static void step(struct test *t, struct rig *r, enum ic_vss_operation operation, uint32_t status,
		 uint32_t flags)
{
	struct rig_message m;

	EXPECT(t, rig_take(r, VSP_IC_VSS, &m));
	EXPECT_EQ(t, m.header.type, IC_MESSAGE_VSS);
	EXPECT_EQ(t, m.bytes, 12);
	EXPECT_EQ(t, m.vss.operation, operation);
	m.vss.flags = flags;
	EXPECT(t, rig_answer(r, VSP_IC_VSS, &m, status));
}

static void expect_silence(struct test *t, struct rig *r)
{
	struct rig_message m;

	EXPECT(t, !rig_take(r, VSP_IC_VSS, &m));
}

static struct rig *rig_frozen(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_answer a;

	EXPECT(t, rig_up(r, VSP_IC_VSS));
	EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
	rig_run(r);
	step(t, r, IC_VSS_HOT_BACKUP, 0, IC_VSS_NO_AUTO_RECOVERY);
	EXPECT_EQ(t, a.count, 0);
	step(t, r, IC_VSS_FREEZE, 0, 0);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	return r;
}

static void test_backup(struct test *t)
{
	struct rig *r = rig_frozen(t);
	struct rig_answer a;

	EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), -EBUSY);
	rig_pass(r, HOLD - 1);
	expect_silence(t, r);
	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), 0);
	rig_run(r);
	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -EBUSY);
	step(t, r, IC_VSS_THAW, 0, 0);
	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -EINVAL);
	rig_pass(r, 1000 * RIG_S);
	expect_silence(t, r);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_thaw_answers(struct test *t)
{
	struct rig *r = rig_frozen(t);
	struct rig_answer a;

	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), 0);
	rig_run(r);
	step(t, r, IC_VSS_THAW, 0, 0);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	rig_destroy(r);
}

/* The guest cannot, or the daemon is not there: nothing was frozen, nothing is thawed. */
static void test_cannot(struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_create(NULL);
		struct rig_answer a;
		struct rig_message m;

		EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), -ENODEV);
		EXPECT(t, rig_up(r, VSP_IC_VSS));
		EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
		rig_run(r);
		if (i == 1) { /* half an answer */
			EXPECT(t, rig_take(r, VSP_IC_VSS, &m));
			m.bytes = 8;
			m.pipe.bytes = sizeof(m.header) + 8;
			EXPECT(t, rig_answer(r, VSP_IC_VSS, &m, 0));
		} else {
			step(t, r, IC_VSS_HOT_BACKUP, IC_STATUS_FAIL, 0);
		}
		EXPECT_EQ(t, a.result, VSP_IC_REFUSED);
		EXPECT_EQ(t, a.count, 1);
		expect_silence(t, r);
		EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -EINVAL);
		rig_destroy(r);
	}
}

/* One of its file systems could not be frozen: the others may be. */
static void test_freeze_fails(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_answer a, b;

	EXPECT(t, rig_up(r, VSP_IC_VSS));
	EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
	rig_run(r);
	step(t, r, IC_VSS_HOT_BACKUP, 0, 5);
	step(t, r, IC_VSS_FREEZE, IC_STATUS_FAIL, 0);
	EXPECT_EQ(t, a.result, VSP_IC_REFUSED);
	EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&b)), -EBUSY);
	step(t, r, IC_VSS_THAW, 0, 0);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&b)), 0);
	rig_destroy(r);
	EXPECT_EQ(t, b.result, VSP_IC_GONE);
}

/* The freeze takes too long: given up, and thawed when the guest listens again. */
static void test_freeze_late(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_answer a;
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_VSS));
	EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
	rig_run(r);
	step(t, r, IC_VSS_HOT_BACKUP, 0, 5);
	rig_pass(r, 60 * RIG_S);
	EXPECT_EQ(t, a.result, VSP_IC_TIMEOUT);
	EXPECT(t, rig_take(r, VSP_IC_VSS, &m));
	EXPECT_EQ(t, m.vss.operation, IC_VSS_FREEZE);
	EXPECT(t, rig_answer(r, VSP_IC_VSS, &m, 0)); /* too late */
	rig_pass(r, 60 * RIG_S);
	step(t, r, IC_VSS_THAW, 0, 0); /* nobody answered this one in time */
	step(t, r, IC_VSS_THAW, 0, 0);
	expect_silence(t, r);
	EXPECT_EQ(t, a.count, 1);
	rig_destroy(r);
}

/* Who froze has died, or takes too long: the guest goes on, and he hears of it. */
static void test_hold_runs_out(struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_frozen(t);
		struct rig_answer a;

		rig_pass(r, HOLD);
		if (i == 0) {
			EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -ETIME);
		}
		step(t, r, IC_VSS_THAW, 0, 0);
		if (i == 1) {
			EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -ETIME);
		}
		EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -EINVAL);
		EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
		rig_destroy(r);
	}
}

static void test_closed_while_frozen(struct test *t)
{
	struct rig *r = rig_frozen(t);
	struct rig_answer a;

	EXPECT(t, rig_close(r, VSP_IC_VSS));
	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -ENODEV);
	EXPECT(t, rig_up(r, VSP_IC_VSS));
	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), -EINVAL);
	rig_destroy(r);
}

/* Paused while frozen: the time of the pause does not count. */
static void test_jump(struct test *t)
{
	struct rig *r = rig_frozen(t);
	struct rig_answer a;

	r->now_ns += 3600 * RIG_S;
	vsp_ic_time_jump(r->ic);
	rig_run(r);
	expect_silence(t, r);
	EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), 0);
	rig_run(r);
	step(t, r, IC_VSS_THAW, 0, 0);
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	rig_destroy(r);
}

/* A state that was saved while the guest was frozen, or was about to be: it goes on at once after a restore. */
static void test_restore(struct test *t)
{
	for (unsigned i = 0; i < 4; i++) {
		struct rig *r = rig_create(NULL);
		struct rig_answer a;
		struct rig_message m = {0};

		EXPECT(t, rig_up(r, VSP_IC_VSS));
		EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
		rig_run(r);
		if (i > 0) {
			step(t, r, IC_VSS_HOT_BACKUP, 0, 5);
		}
		if (i == 1) {
			EXPECT(t, rig_take(r, VSP_IC_VSS, &m));
		}
		if (i > 1) {
			step(t, r, IC_VSS_FREEZE, 0, 0);
		}
		if (i == 3) {
			EXPECT_EQ(t, vsp_ic_thaw(r->ic, rig_done(&a)), 0);
		}
		size_t bytes = rig_save(r, state, sizeof(state));

		EXPECT(t, bytes <= sizeof(state));
		rig_replace(r);
		EXPECT(t, rig_restore(r, state, bytes));
		rig_run(r);
		if (i == 0) {
			step(t, r, IC_VSS_HOT_BACKUP, 0, 5); /* nobody goes on with it */
			expect_silence(t, r);
		} else {
			if (i == 1) {
				expect_silence(t, r); /* until FREEZE is answered */
				EXPECT(t, rig_answer(r, VSP_IC_VSS, &m, 0));
			}
			step(t, r, IC_VSS_THAW, 0, 0);
			expect_silence(t, r);
		}
		EXPECT_EQ(t, vsp_ic_freeze(r->ic, HOLD, rig_done(&a)), 0);
		rig_destroy(r);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_backup),
		TEST(test_thaw_answers),
		TEST(test_cannot),
		TEST(test_freeze_fails),
		TEST(test_freeze_late),
		TEST(test_hold_runs_out),
		TEST(test_closed_while_frozen),
		TEST(test_jump),
		TEST(test_restore),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
