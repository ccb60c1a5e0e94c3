// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"
#include "testing.h"

#define SECOND UINT64_C(1000000000)

enum { VM1 = 1, VM2, VM3, LOOSE, HOST, UPLINK, UPLINK2 };
#define ALL (P(VM1) | P(VM2) | P(VM3) | P(LOOSE) | P(HOST) | P(UPLINK))

#define GROUP 0xe1020304u /* 225.2.3.4 */
static const uint8_t group6[16] = {0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
static const uint8_t all_nodes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
static const uint8_t solicited[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 9};

static struct lab *make(void)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config c = lab_config(LOOSE, VSWITCH_VM);

	lab_fill(lab, VM1, VM3, VSWITCH_VM);
	c.spoofing = true;
	CHECK(lab_add(lab, LOOSE, &c) == 0);
	lab_fill(lab, HOST, HOST, VSWITCH_HOST);
	lab_fill(lab, UPLINK, UPLINK, VSWITCH_UPLINK);
	return lab;
}

static const uint8_t *source(unsigned from)
{
	static uint8_t mac[6];

	memcpy(mac, from < HOST ? MAC(from) : MAC(100 + from), 6);
	return mac;
}

static void start4(struct packet *p, unsigned from, uint32_t to, uint8_t protocol)
{
	const uint8_t mac[] = {1,	   0, 0x5e, (uint8_t)(to >> 16 & 0x7f), (uint8_t)(to >> 8),
			       (uint8_t)to};

	packet_ethernet(p, mac, source(from), 0x0800);
	packet_ipv4(p, 0x0a000000 + from, to, protocol);
}

static void start6(struct packet *p, unsigned from, const uint8_t *to, uint8_t protocol,
		   uint8_t hops)
{
	const uint8_t mac[] = {0x33, 0x33, to[12], to[13], to[14], to[15]};

	packet_ethernet(p, mac, source(from), 0x86dd);
	packet_ipv6(p, LINK_LOCAL((uint8_t)from), to, protocol, hops);
}

static uint32_t data4(struct lab *lab, unsigned from, uint32_t to)
{
	start4(&lab->packet, from, to, IP_UDP);
	packet_udp(&lab->packet, 1, 2);
	packet_fill(&lab->packet, 30);
	packet_finish(&lab->packet);
	return lab_send(lab, from);
}

static uint32_t data6(struct lab *lab, unsigned from, const uint8_t *to)
{
	start6(&lab->packet, from, to, IP_UDP, 64);
	packet_udp(&lab->packet, 1, 2);
	packet_fill(&lab->packet, 30);
	packet_finish(&lab->packet);
	return lab_send(lab, from);
}

/* An IGMP message of 8 bytes. */
static void build_igmp(struct lab *lab, unsigned from, uint8_t type, uint32_t to, uint32_t group)
{
	start4(&lab->packet, from, to, IP_IGMP);
	packet_add16(&lab->packet, (uint16_t)(type << 8));
	packet_add16(&lab->packet, 0);
	packet_add32(&lab->packet, group);
	packet_finish(&lab->packet);
}

static uint32_t igmp(struct lab *lab, unsigned from, uint8_t type, uint32_t group)
{
	build_igmp(lab, from, type,
		   type == 0x11	  ? 0xe0000001
		   : type == 0x17 ? 0xe0000002
				  : group,
		   group);
	return lab_send(lab, from);
}

/* An IGMPv3 report with one record. */
static uint32_t igmp3(struct lab *lab, unsigned from, uint8_t type, uint16_t sources,
		      uint32_t group)
{
	start4(&lab->packet, from, 0xe0000016, IP_IGMP);
	packet_add16(&lab->packet, 0x2200);
	packet_add16(&lab->packet, 0);
	packet_add16(&lab->packet, 0);
	packet_add16(&lab->packet, 2);
	/* first a record of a link-local group with auxiliary data, to be gone over */
	packet_add32(&lab->packet, 0x04010000);
	packet_add32(&lab->packet, 0xe00000fb);
	packet_add32(&lab->packet, 0);
	packet_add16(&lab->packet, (uint16_t)(type << 8));
	packet_add16(&lab->packet, sources);
	packet_add32(&lab->packet, group);
	for (unsigned i = 0; i < sources; i++) {
		packet_add32(&lab->packet, 0x0a000000 + i);
	}
	packet_finish(&lab->packet);
	return lab_send(lab, from);
}

static uint32_t mld(struct lab *lab, unsigned from, uint8_t type, const uint8_t *group)
{
	static const uint8_t nobody[16];

	start6(&lab->packet, from, type == 130 ? all_nodes : group, 0, 1);
	packet_extension(&lab->packet, IP_ICMPV6, 0x0502);
	packet_add16(&lab->packet, (uint16_t)(type << 8));
	packet_add16(&lab->packet, 0);
	packet_add32(&lab->packet, 0);
	packet_add(&lab->packet, type == 130 ? nobody : group, 16);
	packet_finish(&lab->packet);
	return lab_send(lab, from);
}

static uint32_t mld2(struct lab *lab, unsigned from, uint8_t type, const uint8_t *group)
{
	static const uint8_t to[16] = {0xff, 2, [15] = 0x16};

	start6(&lab->packet, from, to, 0, 1);
	packet_extension(&lab->packet, IP_ICMPV6, 0x0502);
	packet_add32(&lab->packet, 0x8f000000);
	packet_add32(&lab->packet, 1);
	packet_add32(&lab->packet, (uint32_t)type << 24);
	packet_add(&lab->packet, group, 16);
	packet_finish(&lab->packet);
	return lab_send(lab, from);
}

/* A querier at @from, long enough for all to have answered. */
static void query(struct lab *lab, unsigned from)
{
	igmp(lab, from, 0x11, 0);
	mld(lab, from, 130, all_nodes);
	lab->now_ns += 10 * SECOND;
}

static void test_without_querier(struct test *t)
{
	struct lab *lab = make();

	EXPECT_EQ(t, igmp(lab, VM2, 0x16, GROUP), ALL & ~P(VM2));
	EXPECT_EQ(t, data4(lab, VM1, GROUP), ALL & ~P(VM1));
	EXPECT_EQ(t, igmp(lab, UPLINK, 0x11, 0), ALL & ~P(UPLINK));
	/* not before all had the time to answer */
	lab->now_ns += 10 * SECOND - 1;
	EXPECT_EQ(t, data4(lab, VM1, GROUP), ALL & ~P(VM1));
	lab->now_ns += 1;
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(UPLINK));
	EXPECT_EQ(t, data6(lab, VM1, group6), ALL & ~P(VM1)); /* IPv6 has its own */
	/* the querier went */
	lab->now_ns += 246 * SECOND;
	EXPECT_EQ(t, data4(lab, VM1, GROUP), ALL & ~P(VM1));
	lab_destroy(lab);
}

static void test_igmp(struct test *t)
{
	struct lab *lab = make();

	query(lab, UPLINK);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(UPLINK));
	EXPECT_EQ(t, igmp(lab, VM2, 0x12, GROUP), P(UPLINK)); /* reports: to routers only */
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(UPLINK));
	EXPECT_EQ(t, data4(lab, UPLINK, GROUP), P(VM2));
	EXPECT_EQ(t, igmp(lab, VM3, 0x16, GROUP), P(UPLINK));
	EXPECT_EQ(t, data4(lab, VM2, GROUP), P(VM3) | P(UPLINK));
	EXPECT_EQ(t, data4(lab, VM1, 0xe2020304), P(UPLINK)); /* another of the same MAC */
	/* a VM leaves at once */
	EXPECT_EQ(t, igmp(lab, VM2, 0x17, GROUP), P(UPLINK));
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM3) | P(UPLINK));
	/* behind others there may be more hosts */
	igmp(lab, LOOSE, 0x16, GROUP);
	igmp(lab, LOOSE, 0x17, GROUP);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM3) | P(LOOSE) | P(UPLINK));
	lab->now_ns += 2 * SECOND;
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM3) | P(UPLINK));
	/* who does not repeat it is out after 260 s */
	for (unsigned i = 0; i < 258; i++) {
		lab->now_ns += SECOND;
		vswitch_tick(lab->s, lab->now_ns);
		if (i % 100 == 0) {
			igmp(lab, UPLINK, 0x11, 0);
		}
	}
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(UPLINK));
	lab_destroy(lab);
}

static void test_igmp3(struct test *t)
{
	static const struct {
		uint8_t type;
		uint16_t sources;
		bool before, after;
	} rows[] = {
		{1, 0, true, false}, {1, 2, false, true},  {2, 0, false, true}, {2, 3, false, true},
		{3, 0, true, false}, {3, 1, false, true},  {4, 0, false, true}, {5, 1, false, true},
		{6, 1, true, true},  {6, 1, false, false}, {7, 0, true, true},
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct lab *lab = make();

		query(lab, HOST);
		if (rows[i].before) {
			igmp3(lab, VM2, 4, 0, GROUP);
		}
		EXPECT_EQ(t, data4(lab, VM1, GROUP), P(HOST) | (rows[i].before ? P(VM2) : 0));
		EXPECT_EQ(t, igmp3(lab, VM2, rows[i].type, rows[i].sources, GROUP), P(HOST));
		EXPECT_EQ(t, data4(lab, VM1, GROUP), P(HOST) | (rows[i].after ? P(VM2) : 0));
		lab_destroy(lab);
	}
}

static void test_mld(struct test *t)
{
	struct lab *lab = make();

	query(lab, UPLINK);
	EXPECT_EQ(t, data6(lab, VM1, group6), P(UPLINK));
	EXPECT_EQ(t, mld(lab, VM2, 131, group6), P(UPLINK));
	EXPECT_EQ(t, mld2(lab, VM3, 4, group6), P(UPLINK));
	EXPECT_EQ(t, data6(lab, VM1, group6), P(VM2) | P(VM3) | P(UPLINK));
	mld(lab, VM2, 132, group6);
	EXPECT_EQ(t, data6(lab, VM1, group6), P(VM3) | P(UPLINK));
	mld2(lab, VM3, 3, group6);
	EXPECT_EQ(t, data6(lab, VM1, group6), P(UPLINK));
	/* each host's own group is looked after, what all have is not */
	EXPECT_EQ(t, data6(lab, VM1, solicited), P(UPLINK));
	mld2(lab, VM3, 4, solicited);
	EXPECT_EQ(t, data6(lab, VM1, solicited), P(VM3) | P(UPLINK));
	EXPECT_EQ(t, data6(lab, VM1, all_nodes), ALL & ~P(VM1));
	lab_destroy(lab);
}

static void test_link_local(struct test *t)
{
	struct lab *lab = make();
	static const uint8_t other[] = {1, 0, 0, 0, 0, 5};

	query(lab, UPLINK);
	EXPECT_EQ(t, data4(lab, VM1, 0xe00000fb), ALL & ~P(VM1));
	EXPECT_EQ(t, data4(lab, VM1, 0xe0000101), P(UPLINK));
	EXPECT_EQ(t, lab_unicast(lab, VM1, other, MAC(VM1)), ALL & ~P(VM1)); /* not IP */
	/* IP unicast in a multicast frame */
	start4(&lab->packet, VM1, 0x0a000002, IP_UDP);
	packet_udp(&lab->packet, 1, 2);
	EXPECT_EQ(t, lab_send(lab, VM1), ALL & ~P(VM1));
	lab_destroy(lab);
}

/* Queries and routers: who is one, and for how long. */
static void test_routers(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_port_config c = lab_config(VM3, VSWITCH_VM);

	query(lab, UPLINK);
	igmp(lab, VM2, 0x11, 0);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(UPLINK));
	/* a guarded VM is no router */
	c.router_guard = true;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM3].port, &c), 0);
	igmp(lab, VM3, 0x11, 0);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(UPLINK));
	/* nor is who asks without an address */
	build_igmp(lab, HOST, 0x11, 0xe0000001, 0);
	store_be32(lab->packet.bytes + lab->packet.l3 + 12, 0);
	packet_finish(&lab->packet);
	lab_send(lab, HOST);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(UPLINK));
	/* PIM hello, multicast router discovery */
	start4(&lab->packet, HOST, 0xe000000d, IP_PIM);
	packet_add32(&lab->packet, 0x20000000);
	lab_send(lab, HOST);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(HOST) | P(UPLINK));
	build_igmp(lab, LOOSE, 0x30, 0xe000006a, 0);
	lab_send(lab, LOOSE);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(LOOSE) | P(HOST) | P(UPLINK));
	for (unsigned i = 0; i < 256; i++) {
		lab->now_ns += SECOND;
		vswitch_tick(lab->s, lab->now_ns);
		igmp(lab, UPLINK, 0x11, 0);
	}
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(UPLINK));
	lab_destroy(lab);
}

/* What is not right is not learned from. */
static void test_bad(struct test *t)
{
	struct lab *lab = make();
	uint8_t *ip;

	query(lab, UPLINK);
	ip = lab->packet.bytes + 14;
	build_igmp(lab, VM2, 0x16, GROUP, GROUP);
	lab->packet.bytes[lab->packet.l4 + 3] ^= 1; /* checksum */
	lab_send(lab, VM2);
	build_igmp(lab, VM2, 0x16, GROUP, GROUP);
	store_be16(ip + 2, 27); /* too short */
	lab_send(lab, VM2);
	store_be16(ip + 2, 0xffff); /* longer than the frame */
	lab_send(lab, VM2);
	store_be16(ip + 2, 5); /* shorter than its header */
	lab_send(lab, VM2);
	build_igmp(lab, VM2, 0x16, GROUP, 0x0a000001); /* not a group */
	lab_send(lab, VM2);
	build_igmp(lab, VM2, 0x16, GROUP, GROUP);
	ip[6] = 0x20; /* a fragment */
	lab_send(lab, VM2);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(UPLINK));
	/* a record whose sources go beyond the message; those before it count */
	igmp3(lab, VM2, 4, 0, GROUP);
	store_be16(lab->packet.bytes + lab->packet.l4 + 8 + 12 + 2, 1);
	packet_finish(&lab->packet);
	igmp(lab, VM2, 0x17, GROUP);
	igmp3(lab, VM2, 4, 0, GROUP);
	igmp(lab, VM2, 0x17, GROUP);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(UPLINK));
	/* MLD from afar */
	mld(lab, VM2, 131, group6);
	mld(lab, VM2, 132, group6);
	start6(&lab->packet, VM2, group6, 0, 2); /* two hops */
	packet_extension(&lab->packet, IP_ICMPV6, 0x0502);
	packet_add32(&lab->packet, 131u << 24);
	packet_add32(&lab->packet, 0);
	packet_add(&lab->packet, group6, 16);
	packet_finish(&lab->packet);
	lab_send(lab, VM2);
	EXPECT_EQ(t, data6(lab, VM1, group6), P(UPLINK));
	lab->packet.count = 0;
	lab_destroy(lab);
}

/* More memberships than a port may have: it gets everything, and nobody loses. */
static void test_limits(struct test *t)
{
	struct lab *lab = make();

	query(lab, UPLINK);
	igmp(lab, VM3, 0x16, GROUP);
	for (unsigned i = 0; i < 300; i++) {
		igmp(lab, VM2, 0x16, 0xe8000000 + i);
	}
	EXPECT_EQ(t, data4(lab, VM1, 0xe8000000 + 5), P(VM2) | P(UPLINK));
	EXPECT_EQ(t, data4(lab, VM1, 0xe8000000 + 299), P(VM2) | P(UPLINK));
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(VM3) | P(UPLINK));
	/* the same from the uplinks, up to all that the switch keeps */
	for (unsigned i = 0; i < 5000; i++) {
		igmp(lab, UPLINK, 0x16, 0xe9000000 + i);
	}
	EXPECT_EQ(t, data4(lab, VM1, 0xe9000000 + 4999), P(VM2) | P(UPLINK));
	vswitch_port_link(lab->ports[VM2].port, false);
	vswitch_port_link(lab->ports[VM2].port, true);
	EXPECT_EQ(t, data4(lab, VM1, 0xe8000000 + 5), P(UPLINK));
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM3) | P(UPLINK));
	lab_destroy(lab);
}

static void test_off(struct test *t)
{
	const struct vswitch_config config = {.no_snooping = true};
	struct lab *lab = lab_create(&config);

	lab_fill(lab, VM1, VM3, VSWITCH_VM);
	lab_fill(lab, UPLINK, UPLINK, VSWITCH_UPLINK);
	query(lab, UPLINK);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(VM3) | P(UPLINK));
	lab_destroy(lab);
}

/* Groups of one VLAN are not those of another; a team of uplinks is one member. */
static void test_vlans_and_teams(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_port_config c = lab_config(VM3, VSWITCH_VM);

	lab_fill(lab, UPLINK2, UPLINK2, VSWITCH_UPLINK);
	c.vlan.vid = 5;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM3].port, &c), 0);
	query(lab, HOST);
	igmp(lab, VM3, 0x16, GROUP);
	igmp(lab, VM2, 0x16, GROUP);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(HOST));
	igmp(lab, UPLINK, 0x16, GROUP);
	uint32_t got = data4(lab, VM1, GROUP);

	EXPECT(t, got == (P(VM2) | P(HOST) | P(UPLINK)) || got == (P(VM2) | P(HOST) | P(UPLINK2)));
	vswitch_port_remove(lab->ports[UPLINK].port);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(HOST) | P(UPLINK2));
	vswitch_port_remove(lab->ports[UPLINK2].port);
	EXPECT_EQ(t, data4(lab, VM1, GROUP), P(VM2) | P(HOST));
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_without_querier),
						 TEST(test_igmp),
						 TEST(test_igmp3),
						 TEST(test_mld),
						 TEST(test_link_local),
						 TEST(test_routers),
						 TEST(test_bad),
						 TEST(test_limits),
						 TEST(test_off),
						 TEST(test_vlans_and_teams)};

	return test_main(cases, ARRAY_LEN(cases));
}
