// SPDX-License-Identifier: Apache-2.0
/* An adapter that is about to be removed: the guest gets its answers, then finds its rings full. */
#include "test/test.h"

#include "rig.h"
#include "testing.h"

static const uint8_t frame[60] = {0x00, 0x15, 0x5d, 0x01, 0x02, 0x03, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

static struct rig *start(struct test *t)
{
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(r);
	return r;
}

/* The owner looks now and then. */
static bool left(struct rig *r)
{
	for (unsigned i = 0; i < 3; i++) {
		vsp_net_leave(r->n);
		rig_run(r);
	}
	return vsp_net_left(r->n);
}

static unsigned indications(const struct rig *r, uint32_t status)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->message_count; i++) {
		const struct rig_message *m = &r->messages[i];

		n += m->kind == NVSP_CHANNEL_CONTROL && m->bytes >= 12 &&
		     load_le32(m->data) == RNDIS_MSG_INDICATE && load_le32(m->data + 8) == status;
	}
	return n;
}

static void test_quiet_guest(struct test *t)
{
	struct rig *r = start(t);

	EXPECT(t, !vsp_net_left(r->n));
	EXPECT(t, left(r));
	EXPECT_EQ(t, indications(r, RNDIS_STATUS_MEDIA_DISCONNECT), 1);
	EXPECT_EQ(t, rig_send(r, 0, RIG_SECTION, frame, sizeof(frame), NULL, 0), 0);
	rig_offer(r, 0, frame, sizeof(frame), NET_TAG_NONE, NULL);
	EXPECT(t, left(r));
	EXPECT(t, rig_frame_message(r, 0) == NULL);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* It can give back what it has: there is room until then. */
static void test_guest_that_holds(struct test *t)
{
	struct rig *r = start(t);
	uint64_t transaction;

	r->keep = true;
	rig_offer(r, 0, frame, sizeof(frame), NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT(t, !left(r));
	transaction = rig_send(r, 0, RIG_SECTION, frame, sizeof(frame), NULL, 0);
	EXPECT(t, transaction != 0);
	EXPECT(t, !left(r));
	EXPECT_EQ(t, rig_status(r, transaction), NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, r->message_count, 2);
	for (unsigned i = 0; i < r->message_count; i++) {
		EXPECT(t, rig_complete(r, 0, r->messages[i].transaction));
	}
	EXPECT(t, left(r));
	EXPECT_EQ(t, rig_send(r, 0, RIG_SECTION, frame, sizeof(frame), NULL, 0), 0);
	rig_destroy(r);
}

/* Nobody waits for a port that takes nothing. */
static void test_port_without_room(struct test *t)
{
	struct rig *r = start(t);
	struct vsp_net_stats s;
	uint64_t transaction;

	r->room = 0;
	transaction = rig_send(r, 0, RIG_SECTION, frame, sizeof(frame), NULL, 0);
	rig_run(r);
	EXPECT_EQ(t, rig_status(r, transaction), 0);
	EXPECT(t, left(r));
	EXPECT_EQ(t, rig_status(r, transaction), NVSP_STAT_SUCCESS);
	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.tx_dropped, 1);
	EXPECT_EQ(t, s.tx_frames, 0);
	rig_destroy(r);
}

/* One that is not open, and one that opens meanwhile. */
static void test_closed(struct test *t)
{
	struct rig *r = rig_create(NULL);

	EXPECT(t, left(r));
	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, !left(r)); /* it has to get as far as RNDIS, where it hears of the link */
	EXPECT(t, rig_start(r, NVSP_PROTOCOL_VERSION_61, 1500));
	EXPECT(t, left(r));
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_quiet_guest),
		TEST(test_guest_that_holds),
		TEST(test_port_without_room),
		TEST(test_closed),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
