// SPDX-License-Identifier: Apache-2.0
/* Versions: what is offered, what guests of each age pick, and what is refused. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

static const struct ic_version one = {1, 0}, three = {3, 0};

/* The first message, byte for byte, as Hyper-V sends it for the shutdown component. */
static void test_message(struct test *t)
{
	static const uint8_t want[] = {
		2, 0, 4, 0, 0, 0, 0, 0, /* counts */
		1, 0, 0, 0, 3, 0, 0, 0, /* framework */
		1, 0, 0, 0, 3, 0, 0, 0, 3, 0, 1, 0, 3, 0, 2, 0,
	};
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_open(r, VSP_IC_SHUTDOWN));
	EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_NEGOTIATING);
	EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &m));
	EXPECT_EQ(t, m.header.type, IC_MESSAGE_NEGOTIATE);
	EXPECT_EQ(t, m.header.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
	EXPECT_EQ(t, m.header.status, 0);
	EXPECT_EQ(t, m.bytes, sizeof(want));
	EXPECT_MEM(t, m.body, want, sizeof(want));
	EXPECT(t, !rig_take(r, VSP_IC_SHUTDOWN, &m));
	rig_destroy(r);
}

static void test_offers(struct test *t)
{
	static const struct guid types[] = {IC_SHUTDOWN_TYPE, IC_TIMESYNC_TYPE, IC_HEARTBEAT_TYPE,
					    IC_KVP_TYPE,      IC_VSS_TYPE,	IC_FCOPY_TYPE};
	const struct rig_config config = {.components = BIT32(VSP_IC_KVP) | BIT32(VSP_IC_VSS)};
	struct rig *r = rig_create(NULL);
	struct vsp_ic_status s;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT_EQ(t, r->g->offer_count, VSP_IC_KINDS);
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		const struct vmbus_offer_channel *o = &r->g->offers[i].message;

		EXPECT(t, guid_equal(&o->type, &types[i]));
		EXPECT_EQ(t, o->flags, VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE);
		EXPECT_EQ(t, load_le32(o->user), IC_PIPE_MESSAGE_MODE);
	}
	rig_destroy(r);
	r = rig_create(&config);
	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT_EQ(t, r->g->offer_count, 2);
	vsp_ic_get_status(r->ic, VSP_IC_KVP, &s);
	EXPECT(t, s.offered);
	vsp_ic_get_status(r->ic, VSP_IC_SHUTDOWN, &s);
	EXPECT(t, !s.offered && s.state == VSP_IC_CLOSED);
	rig_destroy(r);
}

/* Each pair that a guest may pick; and those who know the new framework alone. */
static void test_pick(struct test *t)
{
	for (unsigned kind = 0; kind < VSP_IC_KINDS; kind++) {
		for (unsigned f = 0; f < 2; f++) {
			struct rig *r = rig_create(NULL);
			struct vsp_ic_status s;
			bool old = f == 0 && kind >= VSP_IC_VSS;

			EXPECT(t, rig_connect(r, VERSION_WIN10));
			EXPECT(t, rig_open(r, (enum vsp_ic_kind)kind));
			EXPECT(t, rig_negotiate(r, (enum vsp_ic_kind)kind, f == 0 ? one : three,
						rig_newest((enum vsp_ic_kind)kind)));
			vsp_ic_get_status(r->ic, (enum vsp_ic_kind)kind, &s);
			EXPECT_EQ(t, s.state, old ? VSP_IC_INCOMPATIBLE : VSP_IC_READY);
			if (!old) {
				EXPECT_EQ(t, s.framework_major, f == 0 ? 1 : 3);
				EXPECT_EQ(t, s.message_major,
					  rig_newest((enum vsp_ic_kind)kind).major);
			}
			EXPECT_EQ(t, r->owner.logs, old);
			rig_destroy(r);
		}
	}
}

/* A guest of WS2008 on an old bus: framework 1.0, version 1.0. */
static void test_old_guest(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_connect(r, VERSION_WIN7));
	EXPECT(t, rig_open(r, VSP_IC_HEARTBEAT));
	EXPECT(t, rig_negotiate(r, VSP_IC_HEARTBEAT, one, one));
	EXPECT(t, rig_take(r, VSP_IC_HEARTBEAT, &m));
	EXPECT_EQ(t, m.header.framework.major, 1);
	EXPECT_EQ(t, m.header.message.major, 1);
	rig_destroy(r);
}

struct bad {
	const char *what;
	size_t cut; /* bytes of the body; 0: all */
	struct ic_version picked[2];
	uint16_t frameworks, messages;
	unsigned logs;
};

/* The guest's answer is its own; we talk to it no more until it opens the channel again. */
static void test_refused(struct test *t)
{
	static const struct bad bads[] = {
		{"none suits", 0, {{0}}, 0, 0, 0},
		{"a framework that was not offered", 0, {{2, 0}, {3, 2}}, 1, 1, 1},
		{"a version that was not offered", 0, {{3, 0}, {3, 3}}, 1, 1, 1},
		{"the whole list", 0, {{1, 0}, {3, 0}}, 2, 4, 1},
		{"a framework only", 0, {{3, 0}}, 1, 0, 1},
		{"counts only", 8, {{3, 0}, {3, 2}}, 1, 1, 1},
		{"nothing", 4, {{3, 0}, {3, 2}}, 1, 1, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		struct rig *r = rig_create(NULL);
		struct rig_answer a;
		struct rig_message m;
		const struct vsp_ic_shutdown how = {0};

		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		EXPECT(t, rig_open(r, VSP_IC_SHUTDOWN));
		EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &m));
		m.negotiate.framework_count = bads[i].frameworks;
		m.negotiate.message_count = bads[i].messages;
		memcpy(m.body + 8, bads[i].picked, sizeof(bads[i].picked));
		if (bads[i].cut != 0) {
			m.bytes = bads[i].cut;
			m.pipe.bytes = (uint32_t)(sizeof(m.header) + m.bytes);
		}
		EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &m, 0));
		EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_INCOMPATIBLE);
		EXPECT_EQ(t, r->owner.logs, bads[i].logs);
		EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &how, rig_done(&a)), -ENODEV);
		rig_pass(r, 100 * RIG_S);
		EXPECT(t, !rig_take(r, VSP_IC_SHUTDOWN, &m));
		EXPECT(t, rig_close(r, VSP_IC_SHUTDOWN));
		EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_CLOSED);
		EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
		rig_destroy(r);
	}
}

/* Linux reads its KVP versions when the daemon comes up. */
static void test_late(struct test *t)
{
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_open(r, VSP_IC_KVP));
	rig_pass(r, 3600 * RIG_S);
	EXPECT_EQ(t, rig_state(r, VSP_IC_KVP), VSP_IC_NEGOTIATING);
	EXPECT(t, rig_negotiate(r, VSP_IC_KVP, three, rig_newest(VSP_IC_KVP)));
	EXPECT_EQ(t, rig_state(r, VSP_IC_KVP), VSP_IC_READY);
	EXPECT(t, r->changes[VSP_IC_KVP] == 2);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_message),   TEST(test_offers),  TEST(test_pick),
		TEST(test_old_guest), TEST(test_refused), TEST(test_late),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
