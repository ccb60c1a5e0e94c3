// SPDX-License-Identifier: Apache-2.0
/* Saved and restored in the middle of everything; and states that are damaged. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

static uint8_t state[64 << 10], again[64 << 10];

static const struct vsp_ic_shutdown off;

/* Another process goes on. */
static void move(struct test *t, struct rig *r)
{
	size_t bytes = rig_save(r, state, sizeof(state));

	EXPECT(t, bytes <= sizeof(state));
	EXPECT_EQ(t, rig_save(r, NULL, 0), bytes);
	rig_replace(r);
	EXPECT(t, rig_restore(r, state, bytes));
	rig_run(r);
}

/* Closed, opened, asked for versions, agreed. */
static void test_each_step(struct test *t)
{
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		const enum vsp_ic_kind kind = (enum vsp_ic_kind)i;
		const struct ic_version framework = {3, 0};
		struct rig *r = rig_create(NULL);
		struct vsp_ic_status s;

		move(t, r);
		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		move(t, r);
		EXPECT(t, rig_open(r, kind));
		move(t, r);
		EXPECT_EQ(t, rig_state(r, kind), VSP_IC_NEGOTIATING);
		EXPECT(t, rig_negotiate(r, kind, framework, rig_newest(kind)));
		move(t, r);
		vsp_ic_get_status(r->ic, kind, &s);
		EXPECT_EQ(t, s.state, VSP_IC_READY);
		EXPECT_EQ(t, s.framework_major, 3);
		EXPECT_EQ(t, s.message_major, rig_newest(kind).major);
		EXPECT_EQ(t, s.message_minor, rig_newest(kind).minor);
		EXPECT(t, rig_close(r, kind));
		move(t, r);
		EXPECT_EQ(t, rig_state(r, kind), VSP_IC_CLOSED);
		EXPECT_EQ(t, r->owner.logs, 0);
		rig_destroy(r);
	}
}

/* The versions were asked for in the old process, and are not in the new one. */
static void test_versions_asked_once(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct ic_version framework = {3, 0};
	struct rig_message m;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_open(r, VSP_IC_SHUTDOWN));
	move(t, r);
	EXPECT(t, rig_negotiate(r, VSP_IC_SHUTDOWN, framework, rig_newest(VSP_IC_SHUTDOWN)));
	EXPECT(t, !rig_take(r, VSP_IC_SHUTDOWN, &m));
	rig_destroy(r);
}

/* The answer to the old process's request is taken, and not for that of the new one's. */
static void test_orphan(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_answer a, b;
	struct rig_message m, next;

	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &m));
	move(t, r);
	EXPECT_EQ(t, a.result, VSP_IC_GONE); /* the old process says so */
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&b)), 0);
	rig_run(r);
	EXPECT(t, !rig_take(r, VSP_IC_SHUTDOWN, &next)); /* one at a time */
	EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &m, IC_STATUS_FAIL));
	EXPECT_EQ(t, b.count, 0);
	EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &next));
	EXPECT(t, next.header.transaction != m.header.transaction);
	EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &next, 0));
	EXPECT_EQ(t, b.result, VSP_IC_DONE);
	EXPECT_EQ(t, b.count, 1);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* The clock is set after a restore, and the heart beats on with the next number. */
static void test_clock_and_heart(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_TIMESYNC));
	EXPECT(t, rig_up(r, VSP_IC_HEARTBEAT));
	EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
	EXPECT(t, rig_answer(r, VSP_IC_TIMESYNC, &m, 0));
	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
	m.heartbeat.sequence++;
	EXPECT(t, rig_answer(r, VSP_IC_HEARTBEAT, &m, 0));
	r->utc_100ns += UINT64_C(864000000000);
	r->now_ns = 3; /* another host */
	move(t, r);
	EXPECT(t, rig_take(r, VSP_IC_TIMESYNC, &m));
	EXPECT_EQ(t, m.reference.flags, IC_TIMESYNC_SYNC);
	EXPECT_EQ(t, m.reference.host_100ns, r->utc_100ns);
	EXPECT_EQ(t, vsp_ic_get_heartbeat(r->ic, NULL), VSP_IC_OK_CONTACT);
	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
	EXPECT_EQ(t, m.heartbeat.sequence, 2);
	rig_destroy(r);
}

/* What the guest was told is not known any more, or other things are offered. */
static void test_other_machine(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct state_reader reader;
	struct state_writer w;
	size_t bytes;

	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	EXPECT(t, rig_up(r, VSP_IC_KVP));
	state_writer_init(&w, state, sizeof(state));
	vsp_ic_save(r->ic, &w);
	bytes = w.used;
	EXPECT(t, rig_close(r, VSP_IC_KVP));
	state_reader_init(&reader, state, bytes);
	EXPECT(t, !vsp_ic_restore(r->ic, &reader)); /* a channel is not open */
	EXPECT(t, rig_up(r, VSP_IC_KVP));
	EXPECT(t, rig_up(r, VSP_IC_VSS));
	state_reader_init(&reader, state, bytes);
	EXPECT(t, !vsp_ic_restore(r->ic, &reader)); /* one is open that was not */
	rig_destroy(r);
}

/* Every prefix of a state, and every byte of it changed: refused or taken, never harmful. */
static void test_damaged(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_answer a;
	struct rig_message m;
	size_t bytes, own;
	unsigned refused = 0;
	struct state_reader reader;
	struct state_writer w;

	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		EXPECT(t, rig_up(r, (enum vsp_ic_kind)i));
	}
	EXPECT_EQ(t, vsp_ic_freeze(r->ic, RIG_S, rig_done(&a)), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_VSS, &m));
	bytes = rig_save(r, state, sizeof(state));
	state_writer_init(&w, NULL, 0);
	vsp_ic_save(r->ic, &w);
	own = w.used;
	for (size_t i = 0; i < 2 * own; i++) {
		size_t at = bytes - own + i % own;

		memcpy(again, state, bytes);
		rig_replace(r);
		state_reader_init(&reader, again, bytes);
		EXPECT(t, vmbus_restore(r->g->bus, &reader));
		if (i < own) {
			state_reader_init(&reader, again + bytes - own, i);
			EXPECT(t, !vsp_ic_restore(r->ic, &reader));
		} else {
			again[at] ^= (uint8_t)(1u << i % 8);
			refused += !vsp_ic_restore(r->ic, &reader);
		}
		rig_pass(r, RIG_S);
	}
	EXPECT(t, refused > 10);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_each_step),	    TEST(test_versions_asked_once), TEST(test_orphan),
		TEST(test_clock_and_heart), TEST(test_other_machine),	    TEST(test_damaged),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
