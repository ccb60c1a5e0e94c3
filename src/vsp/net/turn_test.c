// SPDX-License-Identifier: Apache-2.0
/* First turns: what happens while the guest's processor waits, that it is little, and that the queue's thread goes on where they end. */
#include "test/test.h"

#include "lib/check.h"
#include "rig.h"

#define FRAME 600u
#define LARGE 9014u
#define LARGE_IN_PACKET 16u
#define STATE_BYTES (512u << 10)

static uint32_t message(uint8_t *buf, uint32_t bytes, uint8_t mark)
{
	static uint8_t frame[LARGE];

	memset(frame, mark, bytes);
	memcpy(frame, RIG_MAC, NET_MAC_BYTES);
	frame[12] = 0x88; /* no tag, no IP */
	frame[13] = 0xb5;
	return rig_message(buf, frame, bytes, NULL, 0);
}

/* A frame for the guest, who takes it. */
static void answer(struct rig *r)
{
	uint8_t buf[FRAME + 100];

	message(buf, FRAME, 0);
	rig_offer(r, 0, buf + RNDIS_PACKET_BYTES, FRAME, NET_TAG_NONE, NULL);
	rig_run(r);
	rig_forget(r);
}

static struct rig *start(struct test *t, uint32_t mtu)
{
	const struct rig_config config = {.first_turns = true, .queues = 2};
	struct rig *r = rig_create(&config);

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_start(r, NVSP_PROTOCOL_VERSION_61, mtu));
	EXPECT_EQ(t, rig_set_filter(r, 0xd), 0);
	answer(r);
	return r;
}

/* One frame, and nothing but the guest's own signal after it. */
static uint64_t send(struct rig *r, uint8_t mark)
{
	uint8_t buf[FRAME + 100];
	uint32_t n = message(buf, FRAME, mark);

	return rig_send_raw(r, 0, RIG_SECTION, mark % 20, buf, n, 0);
}

static unsigned wakes(const struct rig *r)
{
	return r->woken[0] + r->woken[1];
}

/* Frames came in the order of their marks, from @first on. */
static void expect_order(struct test *t, const struct rig *r, uint8_t first)
{
	for (unsigned i = 0; i < r->sent_count; i++) {
		EXPECT_EQ(t, r->sent[i].data[20], (uint8_t)(first + i));
	}
}

/* ---- A packet ---- */

static void test_at_once(struct test *t)
{
	struct rig *r = start(t, 1500);
	unsigned before = wakes(r), turned = r->turned[0];
	uint64_t id = send(r, 1);

	EXPECT_EQ(t, r->sent_count, 1);
	EXPECT_EQ(t, r->turned[0], turned + 1);
	EXPECT_EQ(t, wakes(r), before);
	EXPECT(t, r->flushes != 0);
	rig_take(r, 0); /* and it has been answered */
	EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, r->channels[0].out.control->interrupt_mask, 0);
	for (uint8_t i = 2; i < 6; i++) {
		send(r, i);
	}
	EXPECT_EQ(t, r->sent_count, 5);
	EXPECT_EQ(t, wakes(r), before);
	expect_order(t, r, 1);
	rig_destroy(r);
}

/* What the guest gives back makes room for frames: those are the thread's. */
static void test_room(struct test *t)
{
	struct rig *r = start(t, 1500);
	uint8_t buf[FRAME + 100];
	unsigned left, before;

	r->keep = true;
	message(buf, FRAME, 7);
	for (unsigned i = 0; i < 250; i++) {
		rig_offer(r, 0, buf + RNDIS_PACKET_BYTES, FRAME, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	EXPECT(t, !vsp_net_takes(r->n, 0));
	left = r->waiting_count[0];
	before = wakes(r);
	EXPECT(t, left != 0 && r->message_count != 0);
	EXPECT(t, rig_complete(r, 0, r->messages[0].transaction));
	EXPECT_EQ(t, r->waiting_count[0], left);
	EXPECT_EQ(t, wakes(r), before + 1);
	vsp_net_poll(r->n, 0);
	EXPECT(t, r->waiting_count[0] < left);
	rig_destroy(r);
}

/* Where nothing waits, what is given back is nobody's concern. */
static void test_given_back(struct test *t)
{
	struct rig *r = start(t, 1500);
	uint8_t buf[FRAME + 100];
	unsigned before;

	r->keep = true;
	message(buf, FRAME, 7);
	rig_offer(r, 0, buf + RNDIS_PACKET_BYTES, FRAME, NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT_EQ(t, r->n->queues[0].lent, 1);
	before = wakes(r);
	EXPECT(t, rig_complete(r, 0, rig_frame_message(r, 0)->transaction));
	EXPECT_EQ(t, r->n->queues[0].lent, 0);
	EXPECT_EQ(t, wakes(r), before);
	rig_destroy(r);
}

/* Control messages are answered by the thread. */
static void test_control(struct test *t)
{
	const uint32_t keepalive[3] = {RNDIS_MSG_KEEPALIVE, 12, 5};
	const struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
				       .rndis = {NVSP_CHANNEL_CONTROL, NVSP_NO_SECTION, 0}};
	struct rig *r = start(t, 1500);
	unsigned before = wakes(r);

	memcpy(fake_guest_page(r->g, r->data_pfns[0]), keepalive, sizeof(keepalive));
	EXPECT(t, fake_guest_send_gpa(&r->channels[0], 1, sizeof(keepalive), 0, r->data_pfns, &m,
				      sizeof(m)));
	EXPECT_EQ(t, wakes(r), before + 1);
	EXPECT_EQ(t, r->message_count, 0);
	rig_run(r);
	EXPECT_EQ(t, r->message_count, 1);
	rig_destroy(r);
}

/* ---- It is little ---- */

/* A guest that signals for ever gets one share each time; the packets come once, and in order. */
static void test_share_of_packets(struct test *t)
{
	struct rig *r = start(t, 1500);
	unsigned before;

	r->room = 0;
	send(r, 0);
	for (uint8_t i = 1; i < 20; i++) { /* behind one that is held: nobody reads the ring */
		EXPECT(t, send(r, i) != 0);
	}
	EXPECT_EQ(t, r->sent_count, 0);
	r->room = UINT32_MAX;
	before = wakes(r);
	for (unsigned i = 1; i <= 2; i++) {
		fake_guest_signal(&r->channels[0]);
		EXPECT_EQ(t, r->sent_count, 1 + i * NET_FIRST_PACKETS);
		EXPECT_EQ(t, wakes(r), before + i);
	}
	vsp_net_poll(r->n, 0);
	EXPECT_EQ(t, r->sent_count, 20);
	expect_order(t, r, 0);
	rig_destroy(r);
}

/* ---- Streams ---- */

/* A guest that has sent @count packets before the thread woke up. */
static void send_run(struct rig *r, unsigned count)
{
	r->room = 0; /* the first one is held, so that the others lie in the ring */
	for (unsigned i = 0; i < count; i++) {
		CHECK(send(r, (uint8_t)i) != 0);
	}
	r->room = UINT32_MAX;
	rig_run(r);
	rig_forget(r);
}

/* How many of the next @count packets have a first turn. */
static unsigned turns_of(struct rig *r, unsigned count, bool answered)
{
	unsigned turns = 0;

	for (unsigned i = 0; i < count; i++) {
		send(r, (uint8_t)i);
		turns += r->sent_count != 0;
		rig_run(r);
		rig_forget(r);
		if (answered) {
			answer(r);
		}
	}
	return turns;
}

/* Who gets answers has first turns only; else the thread looks now and then. */
static void test_probe(struct test *t)
{
	struct rig *r = start(t, 1500);

	EXPECT_EQ(t, turns_of(r, 5 * NET_PROBE_TURNS, true), 5 * NET_PROBE_TURNS);
	EXPECT_EQ(t, turns_of(r, 5 * NET_PROBE_TURNS, false), 5 * NET_PROBE_TURNS - 5);
	EXPECT(t, !r->n->queues[0].streams);
	for (unsigned i = 1; i < NET_PROBE_TURNS; i++) {
		send(r, (uint8_t)i);
	}
	for (unsigned i = 0; i < NET_STREAM_PACKETS; i++) { /* the guest goes on meanwhile */
		send(r, (uint8_t)i);
	}
	EXPECT_EQ(t, r->sent_count, NET_PROBE_TURNS - 2); /* one was for what was given back */
	rig_run(r);
	EXPECT_EQ(t, r->sent_count, NET_PROBE_TURNS - 1 + NET_STREAM_PACKETS);
	EXPECT(t, r->n->queues[0].streams);
	rig_destroy(r);
}

/* A stream is the thread's, although that often finds little; it is over when that is so for long. */
static void test_stream(struct test *t)
{
	struct rig *r = start(t, 1500);

	send_run(r, NET_STREAM_PACKETS);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(t, r->n->queues[0].streams);
		EXPECT_EQ(t, turns_of(r, NET_STREAM_SIGNALS - 1, false), 0);
		send_run(r, NET_STREAM_SIGNALS * NET_STREAM_MEAN - NET_STREAM_SIGNALS + 1);
	}
	EXPECT(t, r->n->queues[0].streams);
	EXPECT_EQ(t, turns_of(r, NET_STREAM_SIGNALS, false), 0);
	EXPECT(t, !r->n->queues[0].streams);
	answer(r);
	EXPECT_EQ(t, turns_of(r, 3, false), 3);
	rig_destroy(r);
}

/* One packet with more than a share of bytes. */
static void send_large(struct test *t, struct rig *r)
{
	static uint8_t buf[LARGE_IN_PACKET * (LARGE + 100)];
	uint32_t used = 0;

	for (uint8_t i = 0; i < LARGE_IN_PACKET; i++) {
		uint32_t n = message(buf + used, LARGE, i);

		store_le32(buf + used + 4, (uint32_t)align_up(n, 8));
		used += (uint32_t)align_up(n, 8);
	}
	EXPECT(t, rig_send_raw(r, 0, RIG_PAGES, 0, buf, used, 0) != 0);
	EXPECT_EQ(t, r->sent_count, NET_FIRST_BYTES / LARGE + 1);
}

static void test_share_of_bytes(struct test *t)
{
	struct rig *r = start(t, 9000);
	unsigned before = wakes(r);

	send_large(t, r);
	EXPECT_EQ(t, wakes(r), before + 1);
	EXPECT_EQ(t, r->n->queues[0].work, NET_SENDING);
	vsp_net_poll(r->n, 0);
	EXPECT_EQ(t, r->sent_count, LARGE_IN_PACKET);
	EXPECT_EQ(t, r->n->queues[0].work, NET_IDLE);
	expect_order(t, r, 0);
	rig_destroy(r);
}

/* ---- What is the thread's ---- */

/* Their bell has woken it, or will. */
static void test_frames(struct test *t)
{
	struct rig *r = start(t, 1500);
	uint8_t buf[FRAME + 100];
	unsigned before;

	message(buf, FRAME, 9);
	rig_offer(r, 0, buf + RNDIS_PACKET_BYTES, FRAME, NET_TAG_NONE, NULL);
	before = wakes(r);
	send(r, 1);
	EXPECT_EQ(t, r->sent_count, 1);
	EXPECT_EQ(t, r->waiting_count[0], 1);
	EXPECT_EQ(t, wakes(r), before);
	rig_run(r);
	EXPECT_EQ(t, r->waiting_count[0], 0);
	rig_destroy(r);
}

/* A turn ends in the middle of a packet, and the machine is saved. */
static void test_saved(struct test *t)
{
	static uint8_t state[STATE_BYTES];
	struct rig *r = start(t, 9000);
	size_t bytes;

	send_large(t, r);
	bytes = rig_save(r, state, sizeof(state));
	EXPECT(t, bytes <= sizeof(state));
	rig_replace(r);
	EXPECT(t, rig_restore(r, state, bytes));
	rig_run(r);
	EXPECT_EQ(t, r->sent_count, LARGE_IN_PACKET);
	expect_order(t, r, 0);
	EXPECT_EQ(t, r->completion_count, 1);
	rig_destroy(r);
}

/* The channel closes, and a signal that was on its way comes behind that. */
static void test_closing(struct test *t)
{
	struct rig *r = start(t, 1500);
	struct fake_guest_channel *ch = &r->channels[0];

	r->room = 0;
	send(r, 1);
	send(r, 2);
	r->room = UINT32_MAX;
	fake_guest_begin_close(ch);
	fake_guest_run(r->g); /* the bus, and not the queue's thread */
	EXPECT(t, r->n->queues[0].mail);
	EXPECT(t, vsp_net_first_turn(r->n, 0));
	EXPECT_EQ(t, r->sent_count, 0);
	EXPECT_EQ(t, net_queue_state(&r->n->queues[0]), NET_QUEUE_OPEN);
	rig_run_host(r);
	EXPECT_EQ(t, net_queue_state(&r->n->queues[0]), NET_QUEUE_CLOSED);
	EXPECT(t, fake_guest_end_close(ch));
	EXPECT(t, vsp_net_first_turn(r->n, 0)); /* closed: nothing is touched */
	EXPECT(t, vsp_net_first_turn(r->n, 1));
	r->open[0] = false;
	rig_destroy(r);
}

static void test_leaving(struct test *t)
{
	struct rig *r = start(t, 1500);
	unsigned before;

	vsp_net_leave(r->n);
	before = wakes(r);
	send(r, 1);
	EXPECT_EQ(t, r->sent_count, 0);
	EXPECT_EQ(t, wakes(r), before + 1);
	rig_run(r);
	EXPECT_EQ(t, r->sent_count, 1);
	EXPECT(t, vsp_net_left(r->n));
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_at_once), TEST(test_given_back),	 TEST(test_room),
		TEST(test_control), TEST(test_share_of_packets), TEST(test_share_of_bytes),
		TEST(test_frames),  TEST(test_stream),		 TEST(test_probe),
		TEST(test_saved),   TEST(test_closing),		 TEST(test_leaving),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
