// SPDX-License-Identifier: Apache-2.0
/* Spec: Microsoft, "Verifying the RSS Hash Calculation": its key and vectors. */
#include "test/test.h"
#include "testing.h"

static const uint8_t key[NET_RSS_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static const struct {
	uint32_t to, from;
	uint16_t to_port, from_port;
	uint32_t hash, hash_ports;
} rows4[] = {
	{IP(161, 142, 100, 80), IP(66, 9, 149, 187), 1766, 2794, 0x323e8fc2, 0x51ccc178},
	{IP(65, 69, 140, 83), IP(199, 92, 111, 2), 4739, 14230, 0xd718262a, 0xc626b0ea},
	{IP(12, 22, 207, 184), IP(24, 19, 198, 95), 38024, 12898, 0xd2d0a5de, 0x5c2b394a},
	{IP(209, 142, 163, 6), IP(38, 27, 205, 30), 2217, 48228, 0x82989176, 0xafc7327f},
	{IP(202, 188, 127, 2), IP(153, 39, 163, 191), 1303, 44251, 0x5d1809c5, 0x10e828a2},
};

static const struct {
	uint16_t to[8], from[8];
	uint16_t to_port, from_port;
	uint32_t hash, hash_ports;
} rows6[] = {
	{{0x3ffe, 0x2501, 0x200, 3, 0, 0, 0, 1},
	 {0x3ffe, 0x2501, 0x200, 0x1fff, 0, 0, 0, 7},
	 1766,
	 2794,
	 0x2cc18cd5,
	 0x40207d3d},
	{{0xff02, 0, 0, 0, 0, 0, 0, 1},
	 {0x3ffe, 0x501, 8, 0, 0x260, 0x97ff, 0xfe40, 0xefab},
	 4739,
	 14230,
	 0x0f0c461c,
	 0xdde51bbf},
	{{0xfe80, 0, 0, 0, 0x200, 0xf8ff, 0xfe21, 0x67cf},
	 {0x3ffe, 0x1900, 0x4545, 3, 0x200, 0xf8ff, 0xfe21, 0x67cf},
	 38024,
	 44251,
	 0x4b61e985,
	 0x02d1feef},
};

static uint32_t hash(struct packet *p, uint32_t types, uint32_t *ret_type)
{
	struct net_frame f = packet_frame(p, NET_TAG_NONE);
	struct net_rss rss = {.types = types, .table_entries = 128};

	memcpy(rss.key, key, sizeof(key));
	return net_rss_hash(&rss, &f, ret_type);
}

static void expect(struct test *t, struct packet *p, uint32_t types, uint32_t want_type,
		   uint32_t want)
{
	uint32_t type;

	EXPECT_EQ(t, hash(p, types, &type), want);
	EXPECT_EQ(t, type, want_type);
}

static void test_ipv4(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));

	for (unsigned i = 0; i < ARRAY_LEN(rows4); i++) {
		packet_ethernet(p, MAC(1), MAC(2), 0x0800);
		packet_ipv4(p, rows4[i].from, rows4[i].to, IP_TCP);
		packet_tcp(p, rows4[i].from_port, rows4[i].to_port, 1, 0);
		expect(t, p, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, NDIS_HASH_TCP_IPV4,
		       rows4[i].hash_ports);
		expect(t, p, NDIS_HASH_IPV4 | NDIS_HASH_UDP_IPV4, NDIS_HASH_IPV4, rows4[i].hash);
		expect(t, p, NDIS_HASH_UDP_IPV4 | NDIS_HASH_IPV6, 0, 0);
		p->bytes[p->l3 + 6] = 0x20; /* a first fragment goes where the others go */
		expect(t, p, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, NDIS_HASH_IPV4, rows4[i].hash);
		p->bytes[p->l3 + 6] = 0;
		p->bytes[p->l3 + 9] = IP_UDP;
		expect(t, p, NDIS_HASH_IPV4 | NDIS_HASH_UDP_IPV4, NDIS_HASH_UDP_IPV4,
		       rows4[i].hash_ports);
	}
	free(p);
}

static void address(uint8_t *to, const uint16_t *words)
{
	for (unsigned i = 0; i < 8; i++) {
		store_be16(to + 2 * i, words[i]);
	}
}

static void test_ipv6(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	uint8_t to[16], from[16];

	for (unsigned i = 0; i < ARRAY_LEN(rows6); i++) {
		address(to, rows6[i].to);
		address(from, rows6[i].from);
		packet_ethernet(p, MAC(1), MAC(2), 0x86dd);
		packet_ipv6(p, from, to, IP_TCP, 64);
		packet_tcp(p, rows6[i].from_port, rows6[i].to_port, 1, 0);
		expect(t, p, NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6, NDIS_HASH_TCP_IPV6,
		       rows6[i].hash_ports);
		expect(t, p, NDIS_HASH_IPV6, NDIS_HASH_IPV6, rows6[i].hash);
		expect(t, p, NDIS_HASH_TCP_IPV6_EX, NDIS_HASH_TCP_IPV6_EX, rows6[i].hash_ports);
	}
	free(p);
}

/* The home address option and the type 2 routing header stand for the addresses. */
static void test_mobile(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	uint8_t options[24] = {43, 2, 1, 2, 0, 0, 0xc9, 16};
	uint8_t route[24] = {IP_TCP, 2, 2, 1};

	address(options + 8, rows6[0].from);
	address(route + 8, rows6[0].to);
	packet_ethernet(p, MAC(1), MAC(2), 0x86dd);
	packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2), 60, 64);
	packet_add(p, options, sizeof(options));
	packet_add(p, route, sizeof(route));
	packet_tcp(p, rows6[0].from_port, rows6[0].to_port, 1, 0);
	expect(t, p, NDIS_HASH_TCP_IPV6_EX, NDIS_HASH_TCP_IPV6_EX, rows6[0].hash_ports);
	expect(t, p, NDIS_HASH_IPV6_EX, NDIS_HASH_IPV6_EX, rows6[0].hash);
	free(p);
}

static void test_queue(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	struct net_rss rss = {.types = NDIS_HASH_TCP_IPV4, .table_entries = 128};
	struct net_frame f;

	memcpy(rss.key, key, sizeof(key));
	packet_ethernet(p, MAC(1), MAC(2), 0x0800);
	packet_ipv4(p, rows4[0].from, rows4[0].to, IP_TCP);
	packet_tcp(p, rows4[0].from_port, rows4[0].to_port, 1, 0);
	f = packet_frame(p, NET_TAG_NONE);
	rss.table[0x78] = 3;
	EXPECT_EQ(t, net_rss_queue(&rss, &f, 4), 3);
	EXPECT_EQ(t, net_rss_queue(&rss, &f, 3), 0);
	EXPECT_EQ(t, net_rss_queue(&rss, &f, 1), 0);
	rss.table_entries = 16;
	rss.table[8] = 2;
	EXPECT_EQ(t, net_rss_queue(&rss, &f, 4), 2);
	rss.table_entries = 12; /* not a power of two */
	EXPECT_EQ(t, net_rss_queue(&rss, &f, 4), 0);
	rss.table_entries = 16;
	rss.types = 0;
	EXPECT_EQ(t, net_rss_queue(&rss, &f, 4), 0);
	free(p);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_ipv4), TEST(test_ipv6),
						 TEST(test_mobile), TEST(test_queue)};

	return test_main(cases, ARRAY_LEN(cases));
}
