// SPDX-License-Identifier: Apache-2.0
/* What a guarded VM tries, plainly and hidden. */
#include "test/test.h"
#include "testing.h"

enum { DHCP = 1, ROUTER, BOTH, FREE, HOST };

enum hide {
	OPEN,
	TAGGED,	  /* an inner priority tag */
	SNAP,	  /* LLC/SNAP instead of Ethernet II */
	OPTIONS,  /* hop-by-hop and destination options; IPv4 options */
	FRAGMENT, /* a first fragment with the header in it */
	CUT,	  /* a first fragment without it */
	LONG,	  /* more extension headers than the head has room for */
	NESTED,	  /* a fragment in a fragment */
	LATER,	  /* a later fragment: nothing by itself */
	HIDES
};

static void put_link(struct packet *p, enum hide hide, bool ipv6)
{
	static const uint8_t snap[] = {0xaa, 0xaa, 3, 0, 0, 0};
	uint16_t type = ipv6 ? 0x86dd : 0x0800;

	packet_ethernet(p, MAC_ALL, MAC(1), hide == TAGGED ? 0x8100 : hide == SNAP ? 200 : type);
	if (hide == TAGGED) {
		packet_add16(p, 0);
		packet_add16(p, type);
	} else if (hide == SNAP) {
		packet_add(p, snap, sizeof(snap));
		packet_add16(p, type);
	}
}

static void put_ipv4(struct packet *p, enum hide hide, uint8_t protocol)
{
	packet_ipv4(p, 0x0a000001, 0x0a000002, protocol);
	if (hide == OPTIONS) {
		p->bytes[p->l3] = 0x46;
		packet_add32(p, 0x01010101);
		p->l4 = p->count;
	} else if (hide == FRAGMENT || hide == CUT || hide == NESTED) {
		p->bytes[p->l3 + 6] = 0x20;
	} else if (hide == LATER) {
		p->bytes[p->l3 + 7] = 2;
	}
}

static void put_ipv6(struct packet *p, enum hide hide, uint8_t protocol)
{
	bool plain = hide == OPEN || hide == TAGGED || hide == SNAP;

	packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2),
		    plain	      ? protocol
		    : hide == OPTIONS ? 0
		    : hide == LONG    ? 60
				      : 44,
		    255);
	switch (hide) {
	case OPTIONS:
		packet_extension(p, 60, 0x0104);
		packet_extension(p, protocol, 0x0104);
		break;
	case FRAGMENT:
		packet_extension(p, 60, 1);
		packet_extension(p, protocol, 0x0104);
		break;
	case CUT:
		packet_extension(p, 60, 1);
		break;
	case NESTED:
		packet_extension(p, 44, 1);
		packet_extension(p, protocol, 1);
		break;
	case LATER:
		packet_extension(p, protocol, 8);
		break;
	case LONG:
		for (unsigned i = 0; i < 20; i++) {
			packet_extension(p, i == 19 ? protocol : 60, 0x0104);
		}
		break;
	default:
		break;
	}
}

struct message {
	bool ipv6;
	uint8_t protocol;
	uint16_t first, second; /* ports; or type */
	bool dhcp, router;	/* which guard stops it */
};

static const struct message messages[] = {
	{false, IP_UDP, 67, 68, true, false},	 {false, IP_UDP, 67, 67, true, false},
	{false, IP_UDP, 1000, 68, true, false},	 {false, IP_UDP, 68, 67, false, false},
	{true, IP_UDP, 547, 546, true, false},	 {true, IP_UDP, 547, 547, true, false},
	{true, IP_UDP, 546, 547, false, false},	 {false, IP_TCP, 67, 68, false, false},
	{true, IP_ICMPV6, 134, 0, false, true},	 {true, IP_ICMPV6, 137, 0, false, true},
	{true, IP_ICMPV6, 133, 0, false, false}, {true, IP_ICMPV6, 135, 0, false, false},
	{true, IP_ICMPV6, 136, 0, false, false}, {false, IP_ICMP, 5, 0, false, true},
	{false, IP_ICMP, 9, 0, false, true},	 {false, IP_ICMP, 8, 0, false, false},
};

static void build(struct packet *p, const struct message *m, enum hide hide)
{
	put_link(p, hide, m->ipv6);
	if (m->ipv6) {
		put_ipv6(p, hide, m->protocol);
	} else {
		put_ipv4(p, hide, m->protocol);
	}
	if (hide == CUT) {
		return;
	}
	if (m->protocol == IP_UDP || m->protocol == IP_TCP) {
		packet_add16(p, m->first);
		packet_add16(p, m->second);
	} else {
		packet_add16(p, (uint16_t)(m->first << 8));
	}
	packet_fill(p, 300);
}

static struct lab *make(void)
{
	struct lab *lab = lab_create(NULL);

	for (unsigned i = DHCP; i <= FREE; i++) {
		struct vswitch_port_config c = lab_config(i, VSWITCH_VM);

		c.dhcp_guard = i == DHCP || i == BOTH;
		c.router_guard = i == ROUTER || i == BOTH;
		c.spoofing = true; /* a trunk, so that an inner tag is not stopped for itself */
		c.vlan.mode = VSWITCH_VLAN_TRUNK;
		c.vlan.trunk[0] = 2;
		CHECK(lab_add(lab, i, &c) == 0);
	}
	struct vswitch_port_config c = lab_config(HOST, VSWITCH_HOST);

	c.vlan.mode = VSWITCH_VLAN_TRUNK;
	c.vlan.trunk[0] = 2;
	CHECK(lab_add(lab, HOST, &c) == 0);
	return lab;
}

/* Is the message stopped at @port? */
static bool is_stopped(struct lab *lab, unsigned port, const struct message *m, enum hide hide)
{
	uint64_t before = lab_drops_in(lab, port, VSWITCH_DROP_GUARD);
	bool got;

	build(&lab->packet, m, hide);
	memcpy(lab->packet.bytes + 6, MAC(port), 6);
	got = lab_send_tagged(lab, port, hide == TAGGED ? 1 : NET_TAG_NONE) != 0;
	CHECK(got == (lab_drops_in(lab, port, VSWITCH_DROP_GUARD) == before));
	return !got;
}

static void test_table(struct test *t)
{
	struct lab *lab = make();

	for (unsigned i = 0; i < ARRAY_LEN(messages); i++) {
		const struct message *m = &messages[i];

		for (unsigned hide = OPEN; hide < HIDES; hide++) {
			/* what nobody can see through is stopped by any guard */
			bool dark = m->ipv6 ? hide == CUT || hide == LONG : false;
			bool empty4 = !m->ipv6 && hide == CUT;
			bool dhcp = dark || (m->dhcp && hide != LATER) ||
				    (empty4 && m->protocol == IP_UDP);
			bool router = dark || (m->router && hide != LATER) ||
				      (empty4 && m->protocol == IP_ICMP);
			unsigned before = t->failures;

			EXPECT_EQ(t, is_stopped(lab, DHCP, m, hide), dhcp);
			EXPECT_EQ(t, is_stopped(lab, ROUTER, m, hide), router);
			EXPECT_EQ(t, is_stopped(lab, BOTH, m, hide), dhcp || router);
			EXPECT(t, !is_stopped(lab, FREE, m, hide));
			EXPECT(t, !is_stopped(lab, HOST, m, hide));
			if (t->failures != before) {
				printf("# message %u, hide %u\n", i, hide);
			}
		}
	}
	lab_destroy(lab);
}

/* Tags upon tags, an IP version that is none: not understood, so not let through; other protocols pass. */
static void test_strange(struct test *t)
{
	struct lab *lab = make();

	packet_ethernet(&lab->packet, MAC_ALL, MAC(BOTH), 0x8100);
	for (unsigned i = 0; i < 12; i++) {
		packet_add32(&lab->packet, 0x00008100);
	}
	packet_fill(&lab->packet, 100);
	EXPECT_EQ(t, lab_send_tagged(lab, BOTH, 1), 0);
	EXPECT_EQ(t, lab_drops_in(lab, BOTH, VSWITCH_DROP_GUARD), 1);
	packet_ethernet(&lab->packet, MAC_ALL, MAC(BOTH), 0x0800);
	packet_add(&lab->packet, "\x65", 1);
	packet_fill(&lab->packet, 100);
	EXPECT_EQ(t, lab_send(lab, BOTH), 0);
	EXPECT_EQ(t, lab_drops_in(lab, BOTH, VSWITCH_DROP_GUARD), 2);
	packet_ethernet(&lab->packet, MAC_ALL, MAC(BOTH), 0x0806);
	packet_fill(&lab->packet, 28);
	EXPECT(t, lab_send(lab, BOTH) != 0);
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_table), TEST(test_strange)};

	return test_main(cases, ARRAY_LEN(cases));
}
