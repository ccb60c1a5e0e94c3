// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"
#include "testing.h"

static void test_copy(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	uint8_t out[1024];

	packet_plain(p, MAC(1), MAC(2), 700);
	for (uint32_t bytes = 14; bytes <= 700; bytes += 49) {
		p->count = bytes;
		struct net_frame f = packet_frame(p, NET_TAG_NONE);

		for (uint32_t offset = 0; offset <= bytes; offset += 13) {
			for (uint32_t n = 0; n <= bytes - offset; n += 17) {
				memset(out, 0xee, sizeof(out));
				net_frame_copy(&f, offset, out, n);
				EXPECT_MEM(t, out, p->bytes + offset, n);
				EXPECT_EQ(t, out[n], 0xee);
			}
		}
	}
	free(p);
}

static void build(struct packet *p, bool ipv6, uint8_t protocol, uint32_t payload)
{
	packet_ethernet(p, MAC(1), MAC(2), ipv6 ? 0x86dd : 0x0800);
	if (ipv6) {
		packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2), protocol, 64);
	} else {
		packet_ipv4(p, 0x0a000001, 0x0a000002, protocol);
	}
	if (protocol == IP_TCP) {
		packet_tcp(p, 1, 2, 3, 0x10);
	} else {
		packet_udp(p, 1, 2);
	}
	packet_fill(p, payload);
	packet_finish(p);
}

static void test_form(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	struct net_frame f;

	packet_plain(p, MAC(1), MAC(2), 14);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) == NULL);
	f.bytes = f.head_bytes = 13;
	EXPECT(t, net_frame_check(&f) != NULL);

	packet_plain(p, MAC(1), MAC(2), NET_FRAME_BYTES_MAX);
	f = packet_frame(p, 0xffff);
	EXPECT(t, net_frame_check(&f) == NULL);
	f.tag = 0x10000;
	EXPECT(t, net_frame_check(&f) != NULL);
	f.tag = 0;
	p->rest[2].bytes++;
	EXPECT(t, net_frame_check(&f) != NULL);
	p->rest[2].bytes -= 2;
	EXPECT(t, net_frame_check(&f) != NULL);
	p->rest[2].bytes++;
	f.rest_count = 2;
	EXPECT(t, net_frame_check(&f) != NULL);
	f.rest_count = 3;
	f.head_bytes--;
	EXPECT(t, net_frame_check(&f) != NULL);
	packet_plain(p, MAC(1), MAC(2), NET_FRAME_BYTES_MAX + 1);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) != NULL);
	free(p);
}

static void test_offload(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	struct net_frame good, f;

	build(p, false, IP_TCP, 3000);
	packet_offload(p, NET_GSO_TCPV4, 1000);
	good = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&good) == NULL);
	EXPECT_EQ(t, net_gso_header_bytes(good.head, good.head_bytes, NET_GSO_TCPV4), 54);
#define BAD(change)                                                                                \
	do {                                                                                       \
		f = good;                                                                          \
		change;                                                                            \
		EXPECT(t, net_frame_check(&f) != NULL);                                            \
	} while (0)
	BAD(f.offload.flags = 0);
	BAD(f.offload.flags = 4 | NET_OFFLOAD_NEEDS_CSUM);
	BAD(f.offload.gso = 2);
	BAD(f.offload.gso = 3);
	BAD(f.offload.gso = NET_GSO_TCPV6);
	BAD(f.offload.gso = NET_GSO_UDP);
	BAD(f.offload.gso = NET_GSO_UDP | NET_GSO_ECN);
	BAD(f.offload.header_bytes = 0);
	BAD(f.offload.header_bytes--);
	BAD(f.offload.header_bytes++);
	BAD(f.offload.gso_bytes = 0);
	BAD(f.offload.gso_bytes = 1);
	BAD(f.offload.csum_start++);
	BAD(f.offload.csum_start = 13; f.offload.gso = 0);
	BAD(f.offload.csum_start = 0xffff; f.offload.csum_offset = 0xffff; f.offload.gso = 0);
	BAD(f.offload.csum_start = (uint16_t)(f.bytes - 17); f.offload.gso = 0);
	BAD(f.offload.csum_offset = 6);
	f = good;
	f.offload.gso |= NET_GSO_ECN;
	EXPECT(t, net_frame_check(&f) == NULL);
	f.offload = (struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM,
					 .csum_start = (uint16_t)(f.bytes - 18),
					 .csum_offset = 16};
	EXPECT(t, net_frame_check(&f) == NULL);
#undef BAD
	p->bytes[p->l3 + 6] = 0x20; /* a fragment is not cut */
	EXPECT(t, net_frame_check(&good) != NULL);
	p->bytes[p->l3 + 6] = 0;
	p->bytes[p->l4 + 12] = 0x40; /* a TCP header of 16 bytes */
	EXPECT(t, net_frame_check(&good) != NULL);
	p->bytes[p->l4 + 12] = 0xf0; /* of 60 */
	EXPECT(t, net_frame_check(&good) != NULL);
	free(p);
}

/* A checksum is not filled in where a rule has looked before. */
static void test_checksum_place(struct test *t)
{
	static const struct {
		uint8_t protocol;
		bool ipv6;
		int start, offset; /* from the protocol's header */
		bool good;
	} rows[] = {
		{IP_UDP, false, 0, 6, true},	{IP_UDP, true, 0, 6, true},
		{IP_UDP, false, 0, 0, false},	{IP_UDP, false, 0, 2, false},
		{IP_UDP, false, 0, 3, false},	{IP_UDP, false, 0, 16, false},
		{IP_UDP, false, -8, 14, false}, {IP_UDP, false, 28, 16, true}, /* in a tunnel */
		{IP_TCP, true, 0, 16, true},	{IP_TCP, false, 0, 6, false},
		{IP_TCP, true, -34, 0, false},	{IP_ICMPV6, true, 0, 0, false},
		{IP_ICMPV6, true, 0, 2, false}, {IP_ICMP, false, -20, 20, false},
		{IP_IGMP, false, 2, 0, false},
	};
	struct packet *p = malloc(sizeof(*p));

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_frame f;

		build(p, rows[i].ipv6, rows[i].protocol, 100);
		p->offload =
			(struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM,
					     .csum_start = (uint16_t)((int)p->l4 + rows[i].start),
					     .csum_offset = (uint16_t)rows[i].offset};
		f = packet_frame(p, NET_TAG_NONE);
		if ((net_frame_check(&f) == NULL) != rows[i].good) {
			test_fail(t, __FILE__, __LINE__, "row %u", i);
		}
	}
	packet_plain(p, MAC(1), MAC(2), 100);
	for (uint16_t at = 0; at < 20; at++) {
		p->offload =
			(struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM, .csum_start = at};
		struct net_frame f = packet_frame(p, NET_TAG_NONE);

		EXPECT_EQ(t, net_frame_check(&f) == NULL, at >= 14);
	}
	free(p);
}

/* The largest that IP has a length for, and one more. */
static void test_largest(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	struct net_frame f;

	build(p, false, IP_TCP, 65535 - 40);
	packet_offload(p, NET_GSO_TCPV4, 1448);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) == NULL);
	packet_fill(p, 1);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) != NULL);
	build(p, true, IP_UDP, 65535 - 8);
	packet_offload(p, NET_GSO_UDP, 1000);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) == NULL);
	packet_fill(p, 1);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) != NULL);
	build(p, false, IP_TCP, 0); /* nothing to cut */
	packet_offload(p, NET_GSO_TCPV4, 1000);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, net_frame_check(&f) != NULL);
	free(p);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_copy), TEST(test_form),
						 TEST(test_offload), TEST(test_checksum_place),
						 TEST(test_largest)};

	return test_main(cases, ARRAY_LEN(cases));
}
