// SPDX-License-Identifier: Apache-2.0
#include "headers.h"

#include "test/test.h"
#include "testing.h"

enum build {
	PLAIN,
	TAGGED,
	SNAP,
	SNAP_TAGGED,
	NINE_TAGS,
	OTHER,
	IPV4_SHORT,
	IPV4_WRONG_VERSION,
	IPV4_BAD_IHL,
	IPV4_OPTIONS,
	IPV4_FIRST_FRAGMENT,
	IPV4_LATER_FRAGMENT,
	IPV6_PLAIN,
	IPV6_CHAIN,
	IPV6_ATOMIC,
	IPV6_FIRST_FRAGMENT,
	IPV6_LATER_FRAGMENT,
	IPV6_CUT_CHAIN,
	IPV6_LONG_CHAIN,
	IPV6_MOBILE,
};

static void build_link(struct packet *p, enum build what)
{
	static const uint8_t snap[] = {0xaa, 0xaa, 3, 0, 0, 0};
	unsigned tags = what == TAGGED || what == SNAP_TAGGED ? 1 : what == NINE_TAGS ? 9 : 0;

	packet_ethernet(p, MAC(1), MAC(2), 0);
	p->count -= 2;
	for (unsigned i = 0; i < tags; i++) {
		packet_add16(p, i == 0 ? 0x88a8 : 0x8100);
		packet_add16(p, (uint16_t)i);
	}
	if (what == SNAP || what == SNAP_TAGGED) {
		packet_add16(p, 100);
		packet_add(p, snap, sizeof(snap));
	}
	packet_add16(p, what == OTHER ? 0x88b5 : what >= IPV6_PLAIN ? 0x86dd : 0x0800);
}

static void build_ipv4(struct packet *p, enum build what)
{
	packet_ipv4(p, 0x0a000001, 0x0a000002, IP_UDP);
	uint8_t *ip = p->bytes + p->l3;

	switch ((int)what) {
	case IPV4_SHORT:
		p->count = p->l3 + 19;
		return;
	case IPV4_WRONG_VERSION:
		ip[0] = 0x65;
		break;
	case IPV4_BAD_IHL:
		ip[0] = 0x44;
		break;
	case IPV4_OPTIONS:
		ip[0] = 0x46;
		packet_add32(p, 0x94040000);
		break;
	case IPV4_FIRST_FRAGMENT:
		ip[6] = 0x20;
		break;
	case IPV4_LATER_FRAGMENT:
		ip[7] = 1;
		break;
	default:
		break;
	}
	packet_udp(p, 0x1234, 0x5678);
}

static void build_ipv6(struct packet *p, enum build what)
{
	static const uint8_t home[24] = {IP_UDP, 2, 1, 2, 0, 0, 0xc9, 16, 1};

	packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2), IP_UDP, 64);
	uint8_t *next = p->bytes + p->l3 + 6;

	switch ((int)what) {
	case IPV6_CHAIN:
		*next = 0;
		packet_extension(p, 60, 0x0104);
		packet_extension(p, 43, 0x0104);
		packet_extension(p, IP_UDP, 0);
		break;
	case IPV6_ATOMIC:
		*next = 44;
		packet_extension(p, IP_UDP, 0);
		break;
	case IPV6_FIRST_FRAGMENT:
		*next = 44;
		packet_extension(p, IP_UDP, 1);
		break;
	case IPV6_LATER_FRAGMENT:
		*next = 44;
		packet_extension(p, 60, 8);
		break;
	case IPV6_CUT_CHAIN:
		*next = 44;
		packet_extension(p, 60, 1);
		return;
	case IPV6_LONG_CHAIN:
		*next = 60;
		for (unsigned i = 0; i < 18; i++) {
			packet_extension(p, 60, 0x0104);
		}
		packet_extension(p, IP_UDP, 0x0104);
		break;
	case IPV6_MOBILE:
		*next = 60;
		packet_add(p, home, sizeof(home));
		break;
	default:
		break;
	}
	packet_udp(p, 0x1234, 0x5678);
}

static void test_table(struct test *t)
{
	static const struct {
		enum build what;
		uint16_t type;
		uint8_t family, protocol;
		bool complete, fragment, later, ports;
		uint16_t l3, l4;
	} rows[] = {
		{PLAIN, 0x0800, 4, IP_UDP, true, false, false, true, 14, 34},
		{TAGGED, 0x0800, 4, IP_UDP, true, false, false, true, 18, 38},
		{SNAP, 0x0800, 4, IP_UDP, true, false, false, true, 22, 42},
		{SNAP_TAGGED, 0x0800, 4, IP_UDP, true, false, false, true, 26, 46},
		{NINE_TAGS, 0, 0, 0, false, false, false, false, 0, 0},
		{OTHER, 0x88b5, 0, 0, true, false, false, false, 14, 0},
		{IPV4_SHORT, 0x0800, 0, 0, false, false, false, false, 14, 0},
		{IPV4_WRONG_VERSION, 0x0800, 0, 0, false, false, false, false, 14, 0},
		{IPV4_BAD_IHL, 0x0800, 4, IP_UDP, false, false, false, false, 14, 30},
		{IPV4_OPTIONS, 0x0800, 4, IP_UDP, true, false, false, true, 14, 38},
		{IPV4_FIRST_FRAGMENT, 0x0800, 4, IP_UDP, true, true, false, true, 14, 34},
		{IPV4_LATER_FRAGMENT, 0x0800, 4, IP_UDP, true, true, true, false, 14, 34},
		{IPV6_PLAIN, 0x86dd, 6, IP_UDP, true, false, false, true, 14, 54},
		{IPV6_CHAIN, 0x86dd, 6, IP_UDP, true, false, false, true, 14, 78},
		{IPV6_ATOMIC, 0x86dd, 6, IP_UDP, true, false, false, true, 14, 62},
		{IPV6_FIRST_FRAGMENT, 0x86dd, 6, IP_UDP, true, true, false, true, 14, 62},
		{IPV6_LATER_FRAGMENT, 0x86dd, 6, 60, true, true, true, false, 14, 0},
		{IPV6_CUT_CHAIN, 0x86dd, 6, 60, false, true, false, false, 14, 0},
		{IPV6_LONG_CHAIN, 0x86dd, 6, 60, false, false, false, false, 14, 0},
		{IPV6_MOBILE, 0x86dd, 6, IP_UDP, true, false, false, true, 14, 78},
	};
	struct packet *p = malloc(sizeof(*p));

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned before = t->failures;
		struct net_headers h;
		uint16_t from = 0, to = 0;

		build_link(p, rows[i].what);
		if (rows[i].what >= IPV6_PLAIN) {
			build_ipv6(p, rows[i].what);
		} else if (rows[i].what != OTHER) {
			build_ipv4(p, rows[i].what);
		}
		struct net_frame f = packet_frame(p, NET_TAG_NONE);

		net_headers_parse(f.head, f.head_bytes, &h);
		EXPECT_EQ(t, h.ethertype, rows[i].type);
		EXPECT_EQ(t, h.family, rows[i].family);
		EXPECT_EQ(t, h.protocol, rows[i].protocol);
		EXPECT_EQ(t, h.complete, rows[i].complete);
		EXPECT_EQ(t, h.fragment, rows[i].fragment);
		EXPECT_EQ(t, h.later, rows[i].later);
		EXPECT_EQ(t, h.l3, rows[i].l3);
		EXPECT_EQ(t, h.l4, rows[i].l4);
		EXPECT_EQ(t, net_headers_ports(&h, f.head, f.head_bytes, &from, &to),
			  rows[i].ports);
		EXPECT_EQ(t, from, rows[i].ports ? 0x1234 : 0);
		EXPECT_EQ(t, to, rows[i].ports ? 0x5678 : 0);
		EXPECT_EQ(t, h.home, rows[i].what == IPV6_MOBILE ? 62 : 0);
		if (t->failures != before) {
			printf("# row %u\n", i);
		}
	}
	free(p);
}

/* Every prefix of a long frame: nothing is read behind it (the sanitizer sees it), and ports are never made up. */
static void test_prefixes(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));

	for (unsigned what = PLAIN; what <= IPV6_MOBILE; what++) {
		build_link(p, what);
		if (what >= IPV6_PLAIN) {
			build_ipv6(p, what);
		} else {
			build_ipv4(p, what);
		}
		for (uint32_t n = 14; n <= min_u64(p->count, NET_HEAD_BYTES); n++) {
			uint8_t *exact = malloc(n);
			struct net_headers h;
			uint16_t from, to;

			memcpy(exact, p->bytes, n);
			net_headers_parse(exact, n, &h);
			if (net_headers_ports(&h, exact, n, &from, &to)) {
				EXPECT_EQ(t, from, 0x1234);
				EXPECT(t, h.l4 + 4u <= n);
			}
			free(exact);
		}
	}
	free(p);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_table), TEST(test_prefixes)};

	return test_main(cases, ARRAY_LEN(cases));
}
