// SPDX-License-Identifier: Apache-2.0
/* Large segments to the guest: cut for those that do not take them, whole for those that do. */
#include "test/test.h"

#include "rig.h"
#include "testing.h"

static struct rig *start(struct test *t, const struct rig_config *config, uint32_t version)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_up(r, version));
	rig_forget(r);
	return r;
}

static unsigned frames(const struct rig *r)
{
	unsigned n = 0;

	while (rig_frame_message(r, n) != NULL) {
		n++;
	}
	return n;
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

/* A guest that does not take them gets small ones with all their checksums. */
static void test_cut(struct test *t)
{
	static struct packet p, small;
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);

	for (unsigned i = 0; i < 2; i++) {
		uint32_t done = 0, n;

		rig_forget(r);
		tcp(&p, i ? 6 : 4, 40000);
		packet_offload(&p, i ? NET_GSO_TCPV6 : NET_GSO_TCPV4, 1400);
		rig_offer(r, 0, p.bytes, p.count, 0x2005, &p.offload);
		rig_run(r);
		EXPECT_EQ(t, frames(r), 29);
		for (n = 0; n < frames(r); n++) {
			const struct rig_message *m = rig_frame_message(r, n);
			uint32_t value, payload;

			small = p;
			const uint8_t *data = rig_data(m, &small.count);

			memcpy(small.bytes, data, small.count);
			payload = small.count - p.offload.header_bytes;
			EXPECT_EQ(t, plain_l4_sum(&small), 0xffff);
			EXPECT_EQ(t, load_be32(small.bytes + p.l4 + 4), 0x01020304 + done);
			EXPECT_MEM(t, small.bytes + p.offload.header_bytes,
				   p.bytes + p.offload.header_bytes + done, payload);
			EXPECT(t, rig_information(m, RNDIS_PPI_CHECKSUM, &value));
			EXPECT_EQ(t, value & 0x88, RNDIS_RX_CHECKSUM_TCP_OK);
			EXPECT(t, rig_information(m, RNDIS_PPI_8021Q, &value));
			done += payload;
		}
		EXPECT_EQ(t, done, 40000);
	}
	rig_destroy(r);
}

/* The guest has few suballocations: the pieces come one after the other, each once. */
static void test_cut_slowly(struct test *t)
{
	static struct packet p;
	const struct rig_config config = {.receive_pages = 5}; /* 11 suballocations */
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	uint32_t seen = 0, bytes, rounds = 0;

	tcp(&p, 4, 60000);
	packet_offload(&p, NET_GSO_TCPV4, 1000);
	rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, &p.offload);
	tcp(&p, 4, 20);
	rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, NULL);
	r->keep = true;
	while (seen < 61 && rounds++ < 100) {
		unsigned before;

		rig_run(r);
		before = r->message_count;
		EXPECT(t, before <= 11);
		for (unsigned i = 0; i < before; i++) {
			const uint8_t *data = rig_data(&r->messages[i], &bytes);
			uint32_t expected = seen < 60 ? 0x01020304 + seen * 1000 : 0x01020304;

			EXPECT_EQ(t, load_be32(data + 38), expected);
			if (r->messages[i].index == 0) {
				EXPECT(t, rig_complete(r, 0, r->messages[i].transaction));
			}
			seen++;
		}
		rig_forget(r);
	}
	EXPECT_EQ(t, seen, 61);
	EXPECT(t, rounds > 5);
	struct vsp_net_stats s;

	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.rx_frames, 61);
	EXPECT_EQ(t, s.rx_dropped, 0);
	rig_destroy(r);
}

/* The port has been plugged elsewhere while a frame was half delivered: the next one is another one. */
static void test_cut_and_replugged(struct test *t)
{
	static struct packet p;
	const struct rig_config config = {.receive_pages = 5}; /* 11 suballocations */
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	uint32_t bytes;

	tcp(&p, 4, 20000);
	packet_offload(&p, NET_GSO_TCPV4, 1000);
	rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, &p.offload);
	r->keep = true;
	rig_run(r);
	EXPECT(t, frames(r) < 20 && r->n->queues[0].pieces == frames(r));
	r->waiting_count[0] = 0;
	free(r->waiting[0][r->waiting_first[0]].data);
	tcp(&p, 4, 3000);
	p.bytes[p.l4 + 7] = 99; /* of its sequence number */
	packet_offload(&p, NET_GSO_TCPV4, 1000);
	rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, &p.offload);
	for (unsigned i = 0; i < r->message_count; i++) {
		if (r->messages[i].index == 0) {
			rig_complete(r, 0, r->messages[i].transaction);
		}
	}
	rig_forget(r);
	rig_run(r);
	EXPECT_EQ(t, frames(r), 3);
	EXPECT_EQ(t, load_be32(rig_data(&r->messages[0], &bytes) + 38), 0x01020363);
	rig_destroy(r);
}

static void rsc_on(struct test *t, struct rig *r)
{
	const uint8_t on[28] = {0x80, 3, 28, 0, [22] = 2, 2};

	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, on, sizeof(on)), 0);
	rig_forget(r);
}

/* With RSC it comes whole, in several suballocations of one packet. */
static void test_rsc(struct test *t)
{
	static struct packet p;
	static uint8_t whole[NET_FRAME_BYTES_MAX];
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint32_t at = 0, value, n, id = 0;

	rsc_on(t, r);
	for (unsigned round = 0; round < 3; round++) {
		rig_forget(r);
		at = 0;
		tcp(&p, round == 1 ? 6 : 4, round == 2 ? 1500 : 62000);
		packet_offload(&p, round == 1 ? NET_GSO_TCPV6 : NET_GSO_TCPV4, 1400);
		rig_offer(r, 0, p.bytes, p.count, round == 0 ? 0x2005 : NET_TAG_NONE, &p.offload);
		rig_run(r);
		for (n = 0; n < frames(r); n++) {
			const struct rig_message *m = rig_frame_message(r, n);
			uint32_t bytes, flags = 1;
			const uint8_t *data = rig_data(m, &bytes);

			memcpy(whole + at, data, bytes);
			at += bytes;
			EXPECT_EQ(t, m->index, n);
			EXPECT_EQ(t, m->of, frames(r));
			EXPECT(t, rig_information(m, RNDIS_PPI_CHECKSUM, &value));
			EXPECT_EQ(t, value & 0x88,
				  RNDIS_RX_CHECKSUM_TCP_OK | RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID);
			EXPECT_EQ(t, rig_information(m, RNDIS_PPI_8021Q, &value), round == 0);
			if (round == 2) {
				EXPECT(t, !rig_information(m, RNDIS_PPI_PACKET_ID, &value));
				continue;
			}
			flags |= (n == 0 ? 2 : 0) | (n + 1 == frames(r) ? 4 : 0);
			EXPECT(t, rig_information(m, RNDIS_PPI_PACKET_ID, &value));
			EXPECT_EQ(t, value & 0xffff, 1 | flags << 8);
			id = n == 0 ? value >> 16 : id;
			EXPECT_EQ(t, value >> 16, id);
		}
		EXPECT_EQ(t, at, p.count);
		EXPECT_MEM(t, whole, p.bytes, p.count);
		EXPECT(t, round == 2 ? n == 1 : n > 30 && n < 42);
	}
	rig_destroy(r);
}

static void test_rsc_not_there(struct test *t)
{
	static struct packet p;
	const uint8_t on[28] = {0x80, 3, 28, 0, [22] = 2, 2};
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_6);

	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, on, sizeof(on)), 0);
	tcp(&p, 4, 4000);
	packet_offload(&p, NET_GSO_TCPV4, 1400);
	rig_offer(r, 0, p.bytes, p.count, NET_TAG_NONE, &p.offload);
	rig_run(r);
	EXPECT_EQ(t, frames(r), 3);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_cut), TEST(test_cut_slowly),	  TEST(test_cut_and_replugged),
		TEST(test_rsc), TEST(test_rsc_not_there),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
