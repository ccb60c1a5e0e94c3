// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"
#include "testing.h"

#define SECOND UINT64_C(1000000000)

enum { VM1 = 1, VM2, HOST, UP1, UP2, UP3 };
#define UPS (P(UP1) | P(UP2) | P(UP3))

static struct lab *make(enum vswitch_team team)
{
	const struct vswitch_config config = {.team = team};
	struct lab *lab = lab_create(&config);

	lab_fill(lab, VM1, VM2, VSWITCH_VM);
	lab_fill(lab, HOST, HOST, VSWITCH_HOST);
	lab_fill(lab, UP1, UP3, VSWITCH_UPLINK);
	return lab;
}

/* The uplink of a conversation of VM1: a UDP packet from port @n. */
static uint32_t talk(struct lab *lab, uint16_t n, uint8_t fragment)
{
	packet_ethernet(&lab->packet, MAC(99), MAC(VM1), 0x0800);
	packet_ipv4(&lab->packet, 0x0a000001, 0x0a000002, IP_UDP);
	lab->packet.bytes[lab->packet.l3 + 6] = fragment;
	packet_udp(&lab->packet, n, 53);
	return lab_send(lab, VM1) & UPS;
}

static void test_hash(struct test *t)
{
	struct lab *lab = make(VSWITCH_TEAM_HASH);
	uint32_t before[300], fragments;
	unsigned counts[3] = {0}, moved = 0;

	for (uint16_t n = 0; n < 300; n++) {
		before[n] = talk(lab, n, 0);
		EXPECT_EQ(t, __builtin_popcount(before[n]), 1);
		EXPECT_EQ(t, talk(lab, n, 0), before[n]); /* keeps to it */
		for (unsigned i = 0; i < 3; i++) {
			counts[i] += before[n] == P(UP1 + i);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(t, counts[i] > 60);
	}
	/* fragments of one pair of hosts stay together */
	fragments = talk(lab, 1, 0x20);
	for (uint16_t n = 2; n < 50; n++) {
		EXPECT_EQ(t, talk(lab, n, 0x20), fragments);
	}
	/* one goes: only its conversations move */
	vswitch_port_link(lab->ports[UP2].port, false);
	for (uint16_t n = 0; n < 300; n++) {
		uint32_t now = talk(lab, n, 0);

		EXPECT(t, now != P(UP2) && __builtin_popcount(now) == 1);
		if (before[n] == P(UP2)) {
			moved++;
		} else {
			EXPECT_EQ(t, now, before[n]);
		}
	}
	EXPECT_EQ(t, moved, counts[1]);
	vswitch_port_link(lab->ports[UP2].port, true);
	for (uint16_t n = 0; n < 300; n++) {
		EXPECT_EQ(t, talk(lab, n, 0), before[n]);
	}
	lab_destroy(lab);
}

static void test_standby(struct test *t)
{
	struct lab *lab = make(VSWITCH_TEAM_STANDBY);

	for (uint16_t n = 0; n < 20; n++) {
		EXPECT_EQ(t, talk(lab, n, 0), P(UP1));
	}
	/* nothing is taken from those that stand by */
	EXPECT_EQ(t, lab_unicast(lab, UP2, MAC(VM1), MAC(50)), 0);
	EXPECT_EQ(t, lab_unicast(lab, UP3, MAC_ALL, MAC(50)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, UP2, VSWITCH_DROP_LOOP), 1);
	EXPECT_EQ(t, lab_unicast(lab, UP1, MAC(VM1), MAC(50)), P(VM1));
	vswitch_port_link(lab->ports[UP1].port, false);
	EXPECT_EQ(t, talk(lab, 1, 0), P(UP2));
	EXPECT_EQ(t, lab_unicast(lab, UP2, MAC(VM1), MAC(50)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, UP1, MAC(VM1), MAC(50)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, UP1, VSWITCH_DROP_LINK), 1);
	vswitch_port_link(lab->ports[UP1].port, true);
	EXPECT_EQ(t, talk(lab, 1, 0), P(UP1));
	lab_destroy(lab);
}

/* What is for many is taken from one uplink, what is for one from any; nothing comes back. */
static void test_taking(struct test *t)
{
	struct lab *lab = make(VSWITCH_TEAM_HASH);
	uint32_t inside = P(VM1) | P(VM2) | P(HOST);

	EXPECT_EQ(t, lab_unicast(lab, UP1, MAC_ALL, MAC(50)), inside);
	EXPECT_EQ(t, lab_unicast(lab, UP2, MAC_ALL, MAC(50)), 0);
	EXPECT_EQ(t, lab_unicast(lab, UP3, ((const uint8_t[]){1, 0, 0x5e, 0, 0, 5}), MAC(50)), 0);
	EXPECT_EQ(t, lab_unicast(lab, UP2, MAC(VM1), MAC(50)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, UP3, MAC(VM2), MAC(50)), P(VM2));
	EXPECT_EQ(t, lab_unicast(lab, UP1, MAC(77), MAC(50)), P(HOST)); /* unknown */
	EXPECT_EQ(t, lab_unicast(lab, UP2, MAC(77), MAC(50)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, UP2, VSWITCH_DROP_LOOP), 2);
	/* what we sent ourselves */
	EXPECT_EQ(t, lab_unicast(lab, UP1, MAC_ALL, MAC(VM1)), 0);
	EXPECT_EQ(t, lab_unicast(lab, HOST, MAC_ALL, MAC(60)) & inside, P(VM1) | P(VM2));
	EXPECT_EQ(t, lab_unicast(lab, UP1, MAC_ALL, MAC(60)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, UP1, VSWITCH_DROP_LOOP), 2);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(60), MAC(VM1)), P(HOST)); /* it did not move */
	/* a broadcast leaves by one of them */
	EXPECT_EQ(t, __builtin_popcount(lab_unicast(lab, VM1, MAC_ALL, MAC(VM1)) & UPS), 1);
	EXPECT_EQ(t, __builtin_popcount(lab_unicast(lab, VM1, MAC(200), MAC(VM1)) & UPS), 1);
	/* learned at one, reached by the team */
	EXPECT_EQ(t, lab_unicast(lab, UP2, MAC(VM1), MAC(51)), P(VM1));
	EXPECT_EQ(t, __builtin_popcount(lab_unicast(lab, VM1, MAC(51), MAC(VM1)) & UPS), 1);
	lab_destroy(lab);
}

static void test_link(struct test *t)
{
	struct lab *lab = make(VSWITCH_TEAM_HASH);
	struct vswitch_port_config c = lab_config(9, VSWITCH_VM);

	for (unsigned i = UP1; i <= UP3; i++) {
		EXPECT(t, lab->ports[VM1].linked);
		vswitch_port_link(lab->ports[i].port, false);
	}
	EXPECT(t, !lab->ports[VM1].linked && !lab->ports[HOST].linked);
	EXPECT_EQ(t, lab->ports[VM1].links, 1);
	EXPECT_EQ(t, lab->ports[UP1].links, 0);
	EXPECT_EQ(t, talk(lab, 1, 0), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2)); /* inside it goes on */
	EXPECT_EQ(t, lab_add(lab, 9, &c), 0);
	EXPECT(t, !lab->ports[9].linked);
	vswitch_port_link(lab->ports[UP3].port, true);
	EXPECT(t, lab->ports[VM1].linked && lab->ports[9].linked);
	vswitch_port_remove(lab->ports[UP3].port);
	EXPECT(t, !lab->ports[VM1].linked);
	/* without uplinks it is a private switch */
	vswitch_port_remove(lab->ports[UP2].port);
	vswitch_port_remove(lab->ports[UP1].port);
	EXPECT(t, lab->ports[VM1].linked);
	EXPECT_EQ(t, lab->ports[VM1].links, 4);
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_hash), TEST(test_standby),
						 TEST(test_taking), TEST(test_link)};

	return test_main(cases, ARRAY_LEN(cases));
}
