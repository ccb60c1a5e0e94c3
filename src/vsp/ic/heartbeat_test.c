// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"

#include "lib/bits.h"
#include "rig.h"

static void expect_contact(struct test *t, const struct rig *r, enum vsp_ic_heartbeat contact)
{
	EXPECT_EQ(t, vsp_ic_get_heartbeat(r->ic, NULL), contact);
}

/* Takes a beat and answers as Linux. */
static void beat(struct test *t, struct rig *r, uint64_t sequence)
{
	struct rig_message m;

	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
	EXPECT_EQ(t, m.header.type, IC_MESSAGE_HEARTBEAT);
	EXPECT_EQ(t, m.bytes, 40);
	EXPECT_EQ(t, m.heartbeat.sequence, sequence);
	m.heartbeat.sequence++;
	EXPECT(t, rig_answer(r, VSP_IC_HEARTBEAT, &m, 0));
}

static void test_contact(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	expect_contact(t, r, VSP_IC_NO_CONTACT);
	EXPECT(t, rig_up(r, VSP_IC_HEARTBEAT));
	expect_contact(t, r, VSP_IC_NO_CONTACT);
	for (unsigned i = 1; i <= 5; i++) {
		beat(t, r, i);
		expect_contact(t, r, VSP_IC_OK_CONTACT);
		EXPECT(t, !rig_take(r, VSP_IC_HEARTBEAT, &m));
		rig_pass(r, 2 * RIG_S);
	}
	EXPECT_EQ(t, r->changes[VSP_IC_HEARTBEAT], 3); /* opened, ready, in contact */
	rig_pass(r, 9 * RIG_S);
	expect_contact(t, r, VSP_IC_OK_CONTACT);
	rig_pass(r, RIG_S);
	expect_contact(t, r, VSP_IC_LOST_CONTACT);
	EXPECT_EQ(t, r->changes[VSP_IC_HEARTBEAT], 4);
	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m)); /* the one that was not answered */
	beat(t, r, 7);
	expect_contact(t, r, VSP_IC_OK_CONTACT);
	EXPECT(t, rig_close(r, VSP_IC_HEARTBEAT));
	expect_contact(t, r, VSP_IC_NO_CONTACT);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* A guest that never answered was never there. */
static void test_never(struct test *t)
{
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_up(r, VSP_IC_HEARTBEAT));
	for (unsigned i = 0; i < 300; i++) {
		rig_pass(r, 11 * RIG_S);
		expect_contact(t, r, VSP_IC_NO_CONTACT);
	}
	rig_destroy(r);
}

static void test_applications(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;
	uint32_t application;

	EXPECT(t, rig_up(r, VSP_IC_HEARTBEAT));
	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
	m.heartbeat.sequence++;
	m.heartbeat.application_state = 2;
	EXPECT(t, rig_answer(r, VSP_IC_HEARTBEAT, &m, 0));
	EXPECT_EQ(t, vsp_ic_get_heartbeat(r->ic, &application), VSP_IC_OK_CONTACT);
	EXPECT_EQ(t, application, 2);
	rig_destroy(r);
}

/* Not the next number, a failure, half a number: no sign of life. */
static void test_wrong(struct test *t)
{
	for (unsigned i = 0; i < 4; i++) {
		struct rig *r = rig_create(NULL);
		struct rig_message m;

		EXPECT(t, rig_up(r, VSP_IC_HEARTBEAT));
		EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
		m.heartbeat.sequence += i == 0 ? 0 : i == 1 ? 2 : 1;
		if (i == 3) {
			m.bytes = 7;
			m.pipe.bytes = sizeof(m.header) + 7;
		}
		EXPECT(t, rig_answer(r, VSP_IC_HEARTBEAT, &m, i == 2 ? IC_STATUS_FAIL : 0));
		expect_contact(t, r, VSP_IC_NO_CONTACT);
		EXPECT(t, r->owner.logs >= 1);
		rig_pass(r, 2 * RIG_S);
		beat(t, r, 2);
		expect_contact(t, r, VSP_IC_OK_CONTACT);
		rig_destroy(r);
	}
}

/* Paused for an hour: the guest could not answer, and is not blamed. */
static void test_jump(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_HEARTBEAT));
	beat(t, r, 1);
	rig_pass(r, 2 * RIG_S);
	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
	r->now_ns += 3600 * RIG_S;
	vsp_ic_time_jump(r->ic);
	rig_run(r);
	expect_contact(t, r, VSP_IC_OK_CONTACT);
	m.heartbeat.sequence++;
	EXPECT(t, rig_answer(r, VSP_IC_HEARTBEAT, &m, 0));
	beat(t, r, 3);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_contact), TEST(test_never), TEST(test_applications),
		TEST(test_wrong),   TEST(test_jump),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
