// SPDX-License-Identifier: Apache-2.0
/* What a guest leaves to us with its frames: checksums and large segments, asked for rightly and wrongly. */
#include "test/test.h"

#include "rig.h"
#include "testing.h"

static struct rig *start(struct test *t, const struct rig_config *config)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(r);
	return r;
}

static const struct rig_frame *last(const struct rig *r)
{
	CHECK(r->sent_count != 0);
	return &r->sent[r->sent_count - 1];
}

/* ---- Checksums ---- */

struct l4 {
	uint8_t family, protocol;
	bool tagged; /* within the frame */
	uint32_t ask;
	uint8_t flags, offset;
};

static void make(struct packet *p, const struct l4 *c, uint32_t payload)
{
	packet_ethernet(p, MAC(2), MAC(1), c->tagged ? 0x8100 : c->family == 4 ? 0x800 : 0x86dd);
	if (c->tagged) {
		packet_add16(p, 7);
		packet_add16(p, c->family == 4 ? 0x800 : 0x86dd);
	}
	if (c->family == 4) {
		packet_ipv4(p, 0x0a000001, 0x0a000002, c->protocol);
	} else {
		packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2), c->protocol, 64);
	}
	if (c->protocol == IP_TCP) {
		packet_tcp(p, 1000, 80, 0x01020304, 0x10);
	} else {
		packet_udp(p, 1000, 53);
	}
	packet_fill(p, payload);
	packet_finish(p);
}

static void test_checksums(struct test *t)
{
	static const struct l4 cases[] = {
		{4, IP_TCP, false, 0x05, NET_OFFLOAD_NEEDS_CSUM, 16},
		{4, IP_TCP, true, 0x05, NET_OFFLOAD_NEEDS_CSUM, 16},
		{4, IP_UDP, false, 0x09, NET_OFFLOAD_NEEDS_CSUM, 6},
		{6, IP_TCP, false, 0x06, NET_OFFLOAD_NEEDS_CSUM, 16},
		{6, IP_UDP, true, 0x0a, NET_OFFLOAD_NEEDS_CSUM, 6},
		{4, IP_TCP, false, 0x15, NET_OFFLOAD_NEEDS_CSUM, 16}, /* and IPv4's header */
		{4, IP_TCP, false, 0x11, 0, 0},
	};
	static struct packet p;
	struct rig *r = start(t, NULL);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct l4 *c = &cases[i];
		struct rig_ppi ppi = {RNDIS_PPI_CHECKSUM, c->ask};
		uint16_t right;

		make(&p, c, 700);
		ppi.value |= p.l4 << 16;
		right = load_be16(p.bytes + p.l3 + 10);
		if (c->flags != 0) {
			packet_offload(&p, 0, 0);
		}
		if (c->ask & 0x10) {
			store_be16(p.bytes + p.l3 + 10, 0x1111); /* ours to put right */
		}
		rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1);
		EXPECT_EQ(t, r->sent_count, i + 1);
		EXPECT_EQ(t, last(r)->offload.flags, c->flags);
		EXPECT_EQ(t, last(r)->offload.csum_offset, c->offset);
		EXPECT_EQ(t, last(r)->offload.csum_start,
			  c->flags != 0 ? p.l4 - (c->tagged ? 4 : 0) : 0);
		if (c->ask & 0x10) {
			EXPECT_EQ(t, load_be16(last(r)->data + 24), right);
		}
		EXPECT_EQ(t, last(r)->tag, c->tagged ? 7 : NET_TAG_NONE);
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* What the guest says about a frame that is otherwise. */
static void test_checksums_refused(struct test *t)
{
	static const struct l4 cases[] = {
		{4, IP_TCP, false, 0x06, 0, 0}, {4, IP_TCP, false, 0x09, 0, 0},
		{6, IP_UDP, false, 0x06, 0, 0}, {6, IP_UDP, false, 0x09, 0, 0},
		{4, IP_TCP, false, 0x04, 0, 0}, {4, 50, false, 0x05, 0, 0},
	};
	static struct packet p;
	struct rig *r = start(t, NULL);
	struct rig_ppi ppi = {RNDIS_PPI_CHECKSUM, 0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(&p, &cases[i], 100);
		ppi.value = cases[i].ask;
		EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1)),
			  NVSP_STAT_INVALID_RNDIS_PKT);
	}
	make(&p, &cases[0], 0); /* headers that are cut, or longer than the frame */
	ppi.value = 5;
	for (uint32_t cut = 14; cut < 54; cut += 3) {
		EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, p.bytes, cut, &ppi, 1)),
			  NVSP_STAT_INVALID_RNDIS_PKT);
	}
	p.bytes[14] = 0x4f;
	EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1)),
		  NVSP_STAT_INVALID_RNDIS_PKT);
	EXPECT_EQ(t, r->sent_count, 0);
	rig_destroy(r);
}

/* ---- Large segments ---- */

static void check_whole(struct test *t, const struct rig_frame *f, const struct packet *like)
{
	static struct packet p;

	p = *like;
	memcpy(p.bytes, f->data, f->bytes);
	/* completed, it is what the guest meant: lengths, IP's sum, and the pseudo header's */
	EXPECT_EQ(t, f->bytes, like->count);
	EXPECT_EQ(t, load_be16(p.bytes + p.l4 + 16), load_be16(like->bytes + like->l4 + 16));
	EXPECT_MEM(t, p.bytes, like->bytes, like->count);
}

static void forget_lengths(struct packet *p)
{
	uint8_t *ip = p->bytes + p->l3;

	if (p->family == 4) {
		store_be16(ip + 2, 0);
		store_be16(ip + 10, 0);
	} else {
		store_be16(ip + 4, 0);
	}
	store_be16(p->bytes + p->l4 + 16, 0x1234); /* some sum without the length */
}

static void test_large(struct test *t)
{
	static const struct l4 cases[] = {{4, IP_TCP}, {6, IP_TCP}};
	static struct packet p, sent;
	struct rig *r = start(t, NULL);

	for (size_t i = 0; i < 2; i++) {
		for (uint32_t payload = 1000; payload < 65000; payload += 9000) {
			struct rig_ppi ppi = {RNDIS_PPI_LSO, RNDIS_LSO_V2 | 1448};
			const struct rig_frame *f;
			uint64_t id;

			make(&p, &cases[i], payload);
			packet_offload(&p, cases[i].family == 4 ? NET_GSO_TCPV4 : NET_GSO_TCPV6,
				       1448);
			sent = p;
			forget_lengths(&sent);
			ppi.value |= p.l4 << 20 | (cases[i].family == 6 ? RNDIS_LSO_V2_IPV6 : 0);
			id = rig_send(r, 0, payload & 8 ? RIG_PARTIAL : RIG_PAGES, sent.bytes,
				      sent.count, &ppi, 1);
			EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_SUCCESS);
			f = last(r);
			check_whole(t, f, &p);
			EXPECT_EQ(t, f->offload.gso,
				  payload <= 1448	 ? NET_GSO_NONE
				  : cases[i].family == 4 ? NET_GSO_TCPV4
							 : NET_GSO_TCPV6);
			EXPECT_EQ(t, f->offload.gso_bytes, payload <= 1448 ? 0 : 1448);
			EXPECT_EQ(t, f->offload.flags, NET_OFFLOAD_NEEDS_CSUM);
			EXPECT_EQ(t, f->offload.csum_start, p.l4);
		}
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_large_v1(struct test *t)
{
	static const struct l4 c = {4, IP_TCP};
	static struct packet p;
	struct rig *r = start(t, NULL);
	struct rig_ppi ppi = {RNDIS_PPI_LSO, 1000 | 34 << 20};

	make(&p, &c, 5000);
	p.bytes[p.l4 + 13] |= 0x80; /* CWR: only in the first */
	rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1);
	EXPECT_EQ(t, last(r)->offload.gso, NET_GSO_TCPV4 | NET_GSO_ECN);
	EXPECT_EQ(t, last(r)->offload.gso_bytes, 1000);
	EXPECT_EQ(t, last(r)->offload.header_bytes, 54);
	rig_destroy(r);
}

static void test_large_refused(struct test *t)
{
	static const struct {
		struct l4 c;
		uint32_t payload, lso;
	} cases[] = {
		{{4, IP_TCP}, 5000, RNDIS_LSO_V2},		       /* no size */
		{{4, IP_TCP}, 5000, RNDIS_LSO_V2 | 0x10000},	       /* too large a size */
		{{4, IP_TCP}, 5000, RNDIS_LSO_V2 | 1},		       /* too many */
		{{4, IP_TCP}, 5000, RNDIS_LSO_V2 | 0x80000000 | 1448}, /* not IPv6 */
		{{6, IP_TCP}, 5000, RNDIS_LSO_V2 | 1448},
		{{6, IP_TCP}, 5000, 1448},
		{{4, IP_UDP}, 5000, RNDIS_LSO_V2 | 1448},
		{{4, IP_TCP}, 65520, RNDIS_LSO_V2 | 1448}, /* longer than IP */
	};
	static struct packet p;
	struct rig *r = start(t, NULL);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig_ppi ppi = {RNDIS_PPI_LSO, cases[i].lso};

		make(&p, &cases[i].c, cases[i].payload);
		EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1)),
			  NVSP_STAT_INVALID_RNDIS_PKT);
		EXPECT_EQ(t, r->sent_count, 0);
	}
	rig_destroy(r);
}

static void test_not_offered(struct test *t)
{
	static const struct l4 c = {4, IP_TCP};
	static struct packet p;
	const struct rig_config config = {.takes_nothing = true};
	struct rig *r = start(t, &config);
	struct rig_ppi ppi = {RNDIS_PPI_LSO, RNDIS_LSO_V2 | 1448};

	make(&p, &c, 5000);
	EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1)),
		  NVSP_STAT_INVALID_RNDIS_PKT);
	make(&p, &c, 500);
	ppi = (struct rig_ppi){RNDIS_PPI_CHECKSUM, 5};
	EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, p.bytes, p.count, &ppi, 1)),
		  NVSP_STAT_INVALID_RNDIS_PKT);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_checksums), TEST(test_checksums_refused), TEST(test_large),
		TEST(test_large_v1),  TEST(test_large_refused),	    TEST(test_not_offered),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
