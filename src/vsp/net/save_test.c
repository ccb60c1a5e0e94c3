// SPDX-License-Identifier: Apache-2.0
/* Saved and restored in the middle of everything; and states that are damaged. */
#include "test/test.h"

#include "rig.h"

#define STATE_BYTES (512u << 10)

static uint8_t state[STATE_BYTES], again[STATE_BYTES];

static void fill(uint8_t *buf, uint32_t bytes, uint8_t seed)
{
	for (uint32_t i = 0; i < bytes; i++) {
		buf[i] = (uint8_t)(i * 5 + seed);
	}
	memcpy(buf, RIG_MAC, 6);
	buf[12] = 0x88;
	buf[13] = 0xb5;
}

/* Another process: what is saved there again is the same. */
static void move(struct test *t, struct rig *r)
{
	size_t bytes = rig_save(r, state, sizeof(state)), n;

	EXPECT(t, bytes <= sizeof(state));
	rig_replace(r);
	EXPECT(t, rig_restore(r, state, bytes));
	n = rig_save(r, again, sizeof(again));
	EXPECT_EQ(t, n, bytes);
	EXPECT_MEM(t, again, state, bytes);
}

static void test_at_each_step(struct test *t)
{
	const struct rig_config config = {.queues = 3};
	struct rig *r = rig_create(&config);
	struct nvsp_receive_complete c;
	uint8_t frame[100];

	move(t, r);
	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	move(t, r);
	EXPECT_EQ(t, rig_init(r, 0x60001, 0x60001), NVSP_STAT_SUCCESS);
	rig_ndis_config(r, 1500, NVSP_CAPABILITY_8021Q | NVSP_CAPABILITY_RSC);
	move(t, r);
	EXPECT_EQ(t,
		  fake_guest_gpadl(r->g, r->channels[0].offer.relid, RIG_RECEIVE_GPADL,
				   RIG_RECEIVE_PAGES * 4096, 0, r->receive_pfns),
		  0);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_SUCCESS);
	move(t, r);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_FAIL); /* it is there */
	const uint32_t init[6] = {RNDIS_MSG_INIT, 24, 77, 1, 0, 0x4000};
	uint32_t a[13];

	EXPECT_EQ(t, rig_control(r, init, sizeof(init), a, sizeof(a)), 52);
	EXPECT_EQ(t, rig_set_filter(r, 0xd), 0);
	EXPECT(t, rig_create_subchannels(r, 2));
	move(t, r);
	EXPECT_EQ(t, r->rss_queues, 3);
	fill(frame, 100, 0);
	for (unsigned q = 0; q < 3; q++) {
		rig_forget(r);
		rig_offer(r, q, frame, 100, 5, NULL);
		rig_run(r);
		EXPECT(t, rig_frame_message(r, 0) != NULL);
		EXPECT_EQ(t, rig_status(r, rig_send(r, q, RIG_PAGES, frame, 100, NULL, 0)),
			  NVSP_STAT_SUCCESS);
	}
	for (unsigned q = 3; q-- > 0;) {
		EXPECT(t, rig_close(r, q));
	}
	move(t, r);
	rig_destroy(r);
}

static void test_settings(struct test *t)
{
	static const uint8_t list[12] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7};
	static const uint8_t mac[6] = {2, 2, 2, 2, 2, 2};
	const uint8_t offload[28] = {0x80, 3, 28, 0, 1, 4, 4, 4, 4, 0, 0, 2, 2, [22] = 2, 2};
	struct rig *r = rig_create(NULL);
	struct {
		struct ndis_rss_parameters h;
		uint32_t table[2];
		uint8_t key[40];
	} rss = {
		{{0x89, 2, 40}, 0, 0, 1 | NDIS_HASH_TCP_IPV4, 8, 0, 40, 40, 0, 48}, {0, 0}, {1, 2}};
	uint8_t back[16];
	uint32_t bytes;

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, list, 12), 0);
	EXPECT_EQ(t, rig_set(r, OID_802_3_CURRENT_ADDRESS, mac, 6), 0);
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, offload, 28), 0);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, &rss, sizeof(rss)), 0);
	memset(&r->rss, 0, sizeof(r->rss));
	memset(r->mac, 0, 6);
	move(t, r);
	EXPECT_MEM(t, r->mac, mac, 6); /* the port knows, too */
	EXPECT_EQ(t, r->rss.types, NDIS_HASH_TCP_IPV4);
	EXPECT_EQ(t, r->rss.key[1], 2);
	EXPECT_EQ(t, rig_query(r, OID_802_3_MULTICAST_LIST, NULL, 0, back, 16, &bytes), 0);
	EXPECT_EQ(t, bytes, 12);
	EXPECT_MEM(t, back, list, 12);
	EXPECT(t, net_offload_rsc(&r->n->settings, true));
	EXPECT_EQ(t, r->n->settings.filter, 0xd);
	rig_destroy(r);
}

/* A packet of which one frame is sent and one is not; what the guest holds; answers that wait. */
static void test_in_the_middle(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = rig_create(&config);
	uint8_t frame[600], buf[4096];
	uint32_t n = 0, lent = 0, keepalive[3] = {RNDIS_MSG_KEEPALIVE, 12, 0}, a[4], bytes;
	uint64_t ids[3];

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(r);
	r->keep = true;
	for (unsigned i = 0; i < 200; i++) {
		fill(frame, 70, (uint8_t)i);
		rig_offer(r, 0, frame, 70, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	lent = r->message_count;
	EXPECT_EQ(t, lent, r->n->pool.count - NET_RESERVE);
	for (unsigned i = 0; i < 20; i++) {
		keepalive[2] = 100 + i;
		rig_control(r, keepalive, sizeof(keepalive), a, sizeof(a));
	}
	EXPECT_EQ(t, r->n->reply_count, 20 - NET_RESERVE);
	r->room = 1;
	for (unsigned i = 0; i < 3; i++) {
		n = 0;
		for (unsigned k = 0; k < 2; k++) {
			fill(frame, 600, (uint8_t)(2 * i + k));
			n += rig_message(buf + n, frame, 600, NULL, 0);
		}
		ids[i] = rig_send_raw(r, 0, RIG_SECTION, i, buf, n, 0);
		rig_run_host(r);
	}
	EXPECT_EQ(t, r->n->queues[0].work, NET_SENDING);
	move(t, r);
	EXPECT_EQ(t, r->n->queues[0].work, NET_SENDING);
	EXPECT_EQ(t, r->n->pool.free_count, 0);
	r->room = UINT32_MAX;
	rig_run(r);
	EXPECT_EQ(t, r->sent_count, 6);
	for (unsigned i = 0; i < 6; i++) {
		fill(frame, 600, (uint8_t)i);
		EXPECT_MEM(t, r->sent[i].data, frame, 600);
		EXPECT_EQ(t, rig_status(r, ids[i / 2]), NVSP_STAT_SUCCESS);
	}
	for (unsigned i = 0; i < r->message_count; i++) { /* what it had before is still its own */
		if (r->messages[i].index == 0) {
			EXPECT(t, rig_complete(r, 0, r->messages[i].transaction));
			rig_run_host(r);
		}
	}
	r->keep = false;
	rig_run(r);
	EXPECT_EQ(t, r->n->violations[VIOLATION_COMPLETION], 0);
	EXPECT_EQ(t, r->n->reply_count, 0);
	for (unsigned i = 0; i < 200; i++) {
		fill(frame, 70, (uint8_t)i);
		EXPECT(t, rig_frame_message(r, i) != NULL);
		EXPECT_MEM(t, rig_data(rig_frame_message(r, i), &bytes), frame, 70);
	}
	EXPECT_EQ(t, r->n->pool.free_count + r->n->queues[0].cache_count, r->n->pool.count);
	rig_destroy(r);
}

/* The ring is full: a packet with frames waits for room, and answers for packets behind it. */
static void test_ring_full(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = rig_create(&config);
	uint8_t frame[80];
	uint32_t bytes;

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(r);
	for (unsigned i = 0; i < 120; i++) {
		fill(frame, 80, (uint8_t)i);
		rig_offer(r, 0, frame, 80, NET_TAG_NONE, NULL);
		rig_run_host(r);
	}
	EXPECT(t, r->n->queues[0].range_count != 0 && r->n->queues[0].blocked);
	move(t, r);
	EXPECT(t, r->n->queues[0].range_count != 0);
	rig_run(r);
	for (unsigned i = 0; i < 120; i++) {
		fill(frame, 80, (uint8_t)i);
		EXPECT(t, rig_frame_message(r, i) != NULL);
		EXPECT_MEM(t, rig_data(rig_frame_message(r, i), &bytes), frame, 80);
	}
	rig_destroy(r);
}

/* The bus has not answered yet: it is asked again. */
static void test_creating(struct test *t)
{
	const struct rig_config config = {.queues = 3};
	struct rig *r = rig_create(&config);
	const struct nvsp_message m = {.type = NVSP_MSG5_TYPE_SUBCHANNEL,
				       .subchannel = {NVSP_SUBCHANNEL_ALLOCATE, 2}};

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(r);
	EXPECT(t, fake_guest_send(&r->channels[0], 0x77, &m, sizeof(m)));
	vsp_net_poll(r->n, 0);
	EXPECT_EQ(t, r->n->queues[0].work, NET_CREATING);
	move(t, r);
	rig_run(r);
	EXPECT_EQ(t, r->completion_count, 1);
	EXPECT_EQ(t, r->completions[0].message.subchannel.count, 2);
	EXPECT(t, rig_open(r, 1) && rig_open(r, 2));
	rig_run(r);
	EXPECT_EQ(t, r->tables, 1);
	rig_destroy(r);
}

/* ---- Damage ---- */

static struct rig *busy_rig(struct test *t)
{
	const struct rig_config config = {.queues = 2};
	struct rig *r = rig_create(&config);
	uint8_t frame[100], buf[256];

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT(t, rig_create_subchannels(r, 1));
	r->keep = true;
	r->room = 0;
	fill(frame, 100, 1);
	for (unsigned i = 0; i < 30; i++) {
		rig_offer(r, i & 1, frame, 100, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	rig_send_raw(r, 1, RIG_PAGES, 0, buf, rig_message(buf, frame, 100, NULL, 0), 0);
	rig_run(r);
	return r;
}

/* Only the adapter's part is damaged: the bus has its own tests. */
static void test_damaged(struct test *t)
{
	struct rig *r = busy_rig(t);
	struct state_writer w;
	size_t bus_bytes, bytes;
	uint64_t seed = 88172645463325252u;
	unsigned refused = 0, taken = 0;
	uint32_t start;

	state_writer_init(&w, state, sizeof(state));
	vmbus_save(r->g->bus, &w);
	bus_bytes = w.used;
	vsp_net_save(r->n, &w);
	bytes = w.used;
	memcpy(again, state, bytes);
	for (unsigned i = 0; i < 1500; i++) {
		memcpy(state, again, bytes);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			start = (uint32_t)(seed >> 8) % (uint32_t)(bytes - bus_bytes);
			state[bus_bytes + start] = (uint8_t)seed;
		}
		rig_replace(r);
		bool ok = rig_restore(r, state, i % 10 == 0 ? bytes - i / 10 % 50 - 1 : bytes);

		refused += !ok;
		taken += ok;
		if (ok) {
			rig_run(r);
		}
	}
	printf("# %u refused, %u taken\n", refused, taken);
	EXPECT(t, refused > 300 && taken > 300);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_at_each_step), TEST(test_settings), TEST(test_in_the_middle),
		TEST(test_ring_full),	 TEST(test_creating), TEST(test_damaged),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
