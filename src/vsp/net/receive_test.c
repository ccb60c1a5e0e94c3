// SPDX-License-Identifier: Apache-2.0
/* Frames to the guest: suballocations and completions, the filter, information beside the frame, and guests that do not keep up. */
#include "test/test.h"

#include <limits.h>

#include "rig.h"
#include "testing.h"

static struct rig *start(struct test *t, const struct rig_config *config, uint32_t version)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_up(r, version));
	rig_forget(r);
	return r;
}

static void fill(uint8_t *buf, uint32_t bytes, uint8_t seed)
{
	for (uint32_t i = 0; i < bytes; i++) {
		buf[i] = (uint8_t)(i * 5 + seed + (i >> 8));
	}
	memcpy(buf, RIG_MAC, 6);
	buf[12] = 0x88;
	buf[13] = 0xb5;
}

static unsigned frames(const struct rig *r)
{
	unsigned n = 0;

	while (rig_frame_message(r, n) != NULL) {
		n++;
	}
	return n;
}

/* ---- Plain frames ---- */

static void test_plain(struct test *t)
{
	static const uint32_t sizes[] = {14, 60, 191, 192, 193, 1000, 1514, 1518};
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t frame[1600];
	struct vsp_net_stats s;
	uint32_t bytes, value;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const struct rig_message *m;

		fill(frame, sizes[i], (uint8_t)i);
		rig_offer(r, 0, frame, sizes[i], NET_TAG_NONE, NULL);
		rig_run(r);
		m = rig_frame_message(r, (unsigned)i);
		EXPECT(t, m != NULL);
		EXPECT_MEM(t, rig_data(m, &bytes), frame, sizes[i]);
		EXPECT_EQ(t, bytes, sizes[i]);
		EXPECT(t, !rig_information(m, RNDIS_PPI_CHECKSUM, &value));
		EXPECT(t, !rig_information(m, RNDIS_PPI_8021Q, &value));
	}
	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.rx_frames, ARRAY_LEN(sizes));
	EXPECT_EQ(t, s.rx_bytes, 14 + 60 + 191 + 192 + 193 + 1000 + 1514 + 1518);
	EXPECT_EQ(t, s.rx_dropped, 0);
	EXPECT_EQ(t, r->received, ARRAY_LEN(sizes));
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* Those that come together make one packet. */
static void test_together(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t frame[100];
	uint32_t bytes;

	for (unsigned i = 0; i < 100; i++) {
		fill(frame, 100, (uint8_t)i);
		rig_offer(r, 0, frame, 100, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	EXPECT_EQ(t, frames(r), 100);
	for (unsigned i = 0; i < 100; i++) {
		const struct rig_message *m = rig_frame_message(r, i);

		fill(frame, 100, (uint8_t)i);
		EXPECT_MEM(t, rig_data(m, &bytes), frame, 100);
		EXPECT_EQ(t, m->of, i < NET_RANGES ? NET_RANGES : 100 - NET_RANGES);
	}
	rig_destroy(r);
}

static void test_too_long(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t frame[9100];
	struct vsp_net_stats s;

	fill(frame, sizeof(frame), 0);
	rig_offer(r, 0, frame, 1519, NET_TAG_NONE, NULL);
	rig_offer(r, 0, frame, 9014, NET_TAG_NONE, NULL);
	rig_offer(r, 0, frame, 1518, NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT_EQ(t, frames(r), 1);
	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.rx_dropped, 2);
	rig_destroy(r);
	r = rig_create(NULL); /* with an MTU for it */
	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_start(r, NVSP_PROTOCOL_VERSION_61, 9000));
	EXPECT_EQ(t, rig_set_filter(r, 0xd), 0);
	rig_offer(r, 0, frame, 9014, NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT_EQ(t, frames(r), 1);
	rig_destroy(r);
}

/* ---- Filter ---- */

struct wanted {
	uint32_t filter;
	bool mine, other, broadcast, listed, multicast;
};

static void offer_to(struct rig *r, const uint8_t *to)
{
	uint8_t frame[60];

	fill(frame, 60, 0);
	memcpy(frame, to, 6);
	rig_offer(r, 0, frame, 60, NET_TAG_NONE, NULL);
	rig_run(r);
}

static void test_filter(struct test *t)
{
	static const struct wanted cases[] = {
		{0, false, false, false, false, false},
		{0x01, true, false, false, false, false},
		{0x02, false, false, false, true, false},
		{0x04, false, false, false, true, true},
		{0x08, false, false, true, false, false},
		{0x0b, true, false, true, true, false},
		{0x0d, true, false, true, true, true},
		{0x20, true, true, true, true, true},
		{0xffffffd0, false, false, false, false, false},
	};
	static const uint8_t listed[12] = {1, 0, 0x5e, 0, 0, 1, 1, 0, 0x5e, 0, 0, 2};
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 3};
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);

	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, listed, 12), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct wanted *c = &cases[i];
		const uint8_t *to[] = {RIG_MAC, MAC(77), MAC_ALL, listed + 6, group};
		bool want[] = {c->mine, c->other, c->broadcast, c->listed, c->multicast};

		EXPECT_EQ(t, rig_set_filter(r, c->filter), 0);
		for (unsigned k = 0; k < 5; k++) {
			rig_forget(r);
			offer_to(r, to[k]);
			EXPECT_EQ(t, frames(r), want[k]);
		}
		EXPECT_EQ(t, r->waiting_count[0], 0);
	}
	rig_destroy(r);
}

/* The new address, and the old one for a guest that begins again. */
static void test_filter_mac(struct test *t)
{
	static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);

	offer_to(r, other);
	EXPECT_EQ(t, frames(r), 0);
	EXPECT_EQ(t, rig_set(r, OID_802_3_CURRENT_ADDRESS, other, 6), 0);
	offer_to(r, other);
	EXPECT_EQ(t, frames(r), 1);
	offer_to(r, RIG_MAC);
	EXPECT_EQ(t, frames(r), 2);
	rig_destroy(r);
}

/* Nothing before the filter is set, nothing after it is off; what came meanwhile is gone. */
static void test_nothing_before(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct vsp_net_stats s;

	offer_to(r, RIG_MAC); /* not even open */
	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	offer_to(r, RIG_MAC);
	EXPECT(t, rig_start(r, NVSP_PROTOCOL_VERSION_61, 1500));
	offer_to(r, RIG_MAC);
	EXPECT_EQ(t, rig_set_filter(r, 0xd), 0);
	EXPECT_EQ(t, frames(r), 0);
	EXPECT_EQ(t, r->waiting_count[0], 0);
	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.rx_dropped, 3);
	rig_destroy(r);
}

/* ---- Beside the frame ---- */

static void test_tags(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t frame[300];
	uint32_t value, bytes;

	fill(frame, 300, 1);
	rig_offer(r, 0, frame, 300, 6 << 13 | 1 << 12 | 0x0abc, NULL);
	rig_run(r);
	const struct rig_message *m = rig_frame_message(r, 0);

	EXPECT(t, rig_information(m, RNDIS_PPI_8021Q, &value));
	EXPECT_EQ(t, value, 6 | 1 << 3 | 0xabc << 4);
	EXPECT_MEM(t, rig_data(m, &bytes), frame, 300);
	rig_destroy(r);

	r = start(t, NULL, NVSP_PROTOCOL_VERSION_1); /* a guest that does not take it there */
	rig_offer(r, 0, frame, 300, 0x2064, NULL);
	rig_run(r);
	m = rig_frame_message(r, 0);
	const uint8_t *data = rig_data(m, &bytes);

	EXPECT_EQ(t, bytes, 304);
	EXPECT_MEM(t, data, frame, 12);
	EXPECT_MEM(t, data + 12, "\x81\x00\x20\x64", 4);
	EXPECT_MEM(t, data + 16, frame + 12, 288);
	rig_destroy(r);
}

static void tcp(struct packet *p, uint8_t family, uint32_t payload)
{
	packet_ethernet(p, RIG_MAC, MAC(1), family == 4 ? 0x800 : 0x86dd);
	if (family == 4) {
		packet_ipv4(p, 0x0a000001, 0x0a000002, IP_TCP);
	} else {
		packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2), IP_TCP, 64);
	}
	packet_tcp(p, 1000, 80, 0x01020304, 0x18);
	packet_fill(p, payload);
	packet_finish(p);
}

/* Verified ones are told; those that are still to be filled in are filled in, and told. */
static void test_checksums(struct test *t)
{
	static struct packet p, whole;
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	const struct net_offload valid = {.flags = NET_OFFLOAD_DATA_VALID};
	uint32_t value, bytes;

	for (unsigned i = 0; i < 4; i++) {
		const struct rig_message *m;

		tcp(&whole, i & 1 ? 6 : 4, 900);
		p = whole;
		if (i & 2) {
			packet_offload(&p, NET_GSO_NONE, 0);
		}
		rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, i & 2 ? &p.offload : &valid);
		rig_run(r);
		m = rig_frame_message(r, i);
		EXPECT_MEM(t, rig_data(m, &bytes), whole.bytes, whole.count);
		EXPECT(t, rig_information(m, RNDIS_PPI_CHECKSUM, &value));
		EXPECT_EQ(t, value,
			  RNDIS_RX_CHECKSUM_TCP_OK | (i & 1 ? 0 : RNDIS_RX_CHECKSUM_IP_OK));
	}
	p.bytes[p.l3] ^= 0; /* a frame whose IP header is wrong is not called right */
	tcp(&p, 4, 10);
	p.bytes[p.l3 + 10] ^= 1;
	rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, &valid);
	rig_run(r);
	EXPECT(t, rig_information(rig_frame_message(r, 4), RNDIS_PPI_CHECKSUM, &value));
	EXPECT_EQ(t, value, RNDIS_RX_CHECKSUM_TCP_OK);
	rig_destroy(r);
}

static void test_hash(struct test *t)
{
	static struct packet p;
	const struct rig_config config = {.queues = 2};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	struct {
		struct ndis_rss_parameters h;
		uint32_t table[2];
		uint8_t key[40];
	} rss = {
		{{0x89, 2, 40}, 0, 0, 1 | NDIS_HASH_TCP_IPV4, 8, 0, 40, 40, 0, 48}, {0, 1}, {1, 2}};
	struct net_frame f;
	uint32_t value, type;

	EXPECT(t, rig_create_subchannels(r, 1));
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, &rss, sizeof(rss)), 0);
	tcp(&p, 4, 100);
	f = packet_frame(&p, NET_TAG_NONE);
	rig_offer(r, 1, p.bytes, p.count, NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT(t, rig_information(rig_frame_message(r, 0), RNDIS_PPI_HASH, &value));
	EXPECT_EQ(t, value, net_rss_hash(&r->rss, &f, &type));
	EXPECT(t, type != 0);
	EXPECT_EQ(t, rig_frame_message(r, 0)->channel, 1);
	rig_destroy(r);
}

/* ---- Completions ---- */

/* A suballocation that a packet uses, but not as its first. */
static uint64_t not_first(const struct rig *r)
{
	uint64_t id = 1;

	for (unsigned i = 0; i < r->message_count; i++) {
		if (r->messages[i].transaction == id) {
			id++;
			i = UINT_MAX;
		}
	}
	return id;
}

static void test_completions(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint32_t total = r->n->pool.count;
	uint8_t frame[100];

	r->keep = true;
	fill(frame, 100, 0);
	for (unsigned i = 0; i < 250; i++) {
		rig_offer(r, 0, frame, 100, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	EXPECT_EQ(t, frames(r), total - NET_RESERVE); /* some are kept for answers */
	EXPECT_EQ(t, r->waiting_count[0], 250 - frames(r));
	EXPECT_EQ(t, r->n->pool.free_count, NET_RESERVE);
	EXPECT(t, !vsp_net_takes(r->n, 0));
	/* what the guest does not own, or gives back twice */
	const uint64_t wrong[] = {0, total + 1, UINT64_MAX, UINT64_C(1) << 32, not_first(r)};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		EXPECT(t, rig_complete(r, 0, wrong[i]));
		rig_run(r);
		EXPECT_EQ(t, r->n->violations[VIOLATION_COMPLETION], i + 1);
	}
	uint64_t first = rig_frame_message(r, 0)->transaction;

	EXPECT(t, rig_complete(r, 0, first));
	EXPECT(t, rig_complete(r, 0, first));
	rig_run_host(r);
	EXPECT_EQ(t, r->n->violations[VIOLATION_COMPLETION], ARRAY_LEN(wrong) + 1);
	rig_take(r, 0);
	EXPECT_EQ(t, frames(r), total - NET_RESERVE + NET_RANGES);
	r->keep = false;
	for (unsigned i = 0; i < r->message_count; i++) {
		const struct rig_message *m = &r->messages[i];

		if (m->index == 0 && m->transaction != first) {
			rig_complete(r, 0, m->transaction);
			rig_run_host(r);
		}
	}
	rig_complete(r, 0, first);
	rig_run(r);
	EXPECT_EQ(t, frames(r), 250);
	EXPECT_EQ(t, r->n->pool.free_count + r->n->queues[0].cache_count, total);
	rig_destroy(r);
}

/* The guest does not read its ring: frames wait in the port, and all come later. */
static void test_ring_full(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	uint8_t frame[80];
	uint32_t bytes;

	for (unsigned i = 0; i < 200; i++) { /* one packet each */
		fill(frame, 80, (uint8_t)i);
		rig_offer(r, 0, frame, 80, NET_TAG_NONE, NULL);
		rig_run_host(r);
	}
	EXPECT(t, r->n->queues[0].blocked);
	EXPECT(t, !vsp_net_takes(r->n, 0));
	EXPECT(t, r->waiting_count[0] > 50);
	rig_run(r);
	EXPECT(t, vsp_net_takes(r->n, 0));
	EXPECT_EQ(t, frames(r), 200);
	for (unsigned i = 0; i < 200; i++) {
		fill(frame, 80, (uint8_t)i);
		EXPECT_MEM(t, rig_data(rig_frame_message(r, i), &bytes), frame, 80);
	}
	rig_destroy(r);
}

static void port_drop(struct rig *r, unsigned queue)
{
	free(r->waiting[queue][r->waiting_first[queue]].data);
	r->waiting_first[queue] = (r->waiting_first[queue] + 1) % RIG_FRAMES;
	r->waiting_count[queue]--;
}

/* Queues share the buffer; what one holds it can give back alone, and its end frees it. */
static void test_queues(struct test *t)
{
	const struct rig_config config = {.queues = 3};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	uint32_t total = r->n->pool.count;
	uint8_t frame[100];
	uint64_t theirs;

	EXPECT(t, rig_create_subchannels(r, 2));
	r->keep = true;
	fill(frame, 100, 0);
	for (unsigned i = 0; i < 250; i++) {
		rig_offer(r, 1, frame, 100, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	EXPECT(t, frames(r) >= total - NET_RESERVE - NET_CACHE / 2);
	EXPECT(t, frames(r) < 200);
	theirs = rig_frame_message(r, 0)->transaction;
	EXPECT(t, rig_complete(r, 2, theirs));
	EXPECT(t, rig_complete(r, 0, theirs));
	rig_run(r);
	EXPECT_EQ(t, r->n->violations[VIOLATION_COMPLETION], 2);
	EXPECT(t, rig_close(r, 1));
	EXPECT_EQ(t,
		  r->n->pool.free_count + r->n->queues[0].cache_count + r->n->queues[2].cache_count,
		  total);
	rig_forget(r);
	rig_offer(r, 2, frame, 100, NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT_EQ(t, frames(r), 1);
	rig_destroy(r);
}

/* A queue that waits is woken when another one gives back, and not before. */
static void test_queues_wake(struct test *t)
{
	const struct rig_config config = {.queues = 3};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	unsigned before, done = 0;
	uint8_t frame[100];

	EXPECT(t, rig_create_subchannels(r, 2));
	r->keep = true;
	fill(frame, 100, 0);
	for (unsigned i = 0; i < 250; i++) {
		rig_offer(r, 1, frame, 100, NET_TAG_NONE, NULL);
	}
	rig_run(r);
	rig_offer(r, 2, frame, 100, NET_TAG_NONE, NULL);
	rig_run(r);
	EXPECT(t, !vsp_net_takes(r->n, 2));
	while (r->waiting_count[1] != 0) { /* it takes no more itself */
		port_drop(r, 1);
	}
	before = r->woken[2];
	for (unsigned i = 0; i < r->message_count && r->woken[2] == before; i++) {
		const struct rig_message *m = &r->messages[i];

		if (m->channel == 1 && m->index == 0 && m->kind == NVSP_CHANNEL_DATA) {
			EXPECT(t, rig_complete(r, 1, m->transaction));
			vsp_net_poll(r->n, 1);
			done++;
		}
	}
	EXPECT(t, done != 0 && r->woken[2] == before + 1);
	vsp_net_poll(r->n, 2);
	EXPECT(t, vsp_net_takes(r->n, 2));
	EXPECT_EQ(t, r->waiting_count[2], 0);
	rig_destroy(r);
}

/* The buffer goes while frames are under way: none is written any more. */
static void test_revoked(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	struct nvsp_message revoke = {.type = NVSP_MSG1_TYPE_REVOKE_RECV_BUF,
				      .revoke.id = RIG_RECEIVE_ID};
	uint32_t relid = r->channels[0].offer.relid;

	r->keep = true;
	offer_to(r, RIG_MAC);
	EXPECT_EQ(t, frames(r), 1);
	EXPECT(t, rig_tell(r, &revoke));
	EXPECT(t, fake_guest_teardown(r->g, relid, RIG_RECEIVE_GPADL));
	offer_to(r, RIG_MAC);
	EXPECT_EQ(t, frames(r), 1);
	EXPECT(t, rig_complete(r, 0, 1)); /* too late, and no harm */
	rig_run(r);
	rig_destroy(r);

	r = start(t, NULL, NVSP_PROTOCOL_VERSION_61); /* torn down without a word */
	EXPECT(t, fake_guest_teardown(r->g, relid, RIG_RECEIVE_GPADL));
	offer_to(r, RIG_MAC);
	EXPECT_EQ(t, frames(r), 0);
	EXPECT_EQ(t, r->n->violations[VIOLATION_MEMORY], 1);
	EXPECT_EQ(t, r->n->pool.free_count + r->n->queues[0].cache_count, r->n->pool.count);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_plain),	TEST(test_together),   TEST(test_too_long),
		TEST(test_filter),	TEST(test_filter_mac), TEST(test_nothing_before),
		TEST(test_tags),	TEST(test_checksums),  TEST(test_hash),
		TEST(test_completions), TEST(test_ring_full),  TEST(test_queues),
		TEST(test_queues_wake), TEST(test_revoked),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
