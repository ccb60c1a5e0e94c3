// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"
#include "testing.h"

enum { VM1 = 1, VM2, VM3, TRUNK, SEE1, SEE2 };

/* VM1 and VM2 in VLAN 10, VM3 in none, a trunk; two ports that look. */
static struct lab *make(uint32_t vm1, uint32_t vm2, uint32_t trunk)
{
	struct lab *lab = lab_create(NULL);
	const uint32_t mirror[] = {0, vm1, vm2, 0, trunk, VSWITCH_MIRROR_TO, VSWITCH_MIRROR_TO};

	for (unsigned i = VM1; i <= SEE2; i++) {
		struct vswitch_port_config c =
			lab_config(i, i == TRUNK ? VSWITCH_HOST : VSWITCH_VM);

		c.mirror = mirror[i];
		c.vlan.vid = i == VM1 || i == VM2 ? 10 : 0;
		if (i == TRUNK) {
			c.vlan.mode = VSWITCH_VLAN_TRUNK;
			c.vlan.trunk[1] = 4;
		}
		CHECK(lab_add(lab, i, &c) == 0);
	}
	return lab;
}

#define SEEN (P(SEE1) | P(SEE2))

static void test_in(struct test *t)
{
	struct lab *lab = make(VSWITCH_MIRROR_IN, 0, 0);

	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2) | SEEN);
	EXPECT_EQ(t, lab->ports[SEE1].got, 1);
	EXPECT_EQ(t, lab->ports[SEE1].last_tag, NET_TAG_NONE);
	EXPECT_MEM(t, lab->ports[SEE1].last.bytes, lab->packet.bytes, 64);
	EXPECT_EQ(t, lab_unicast(lab, VM2, MAC(VM1), MAC(VM2)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(99), MAC(98)), 0); /* was not accepted */
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC_ALL, MAC(VM1)), P(VM2) | P(TRUNK) | SEEN);
	EXPECT_EQ(t, lab->ports[SEE1].got, 1);
	/* nothing else, and what they send goes nowhere */
	EXPECT_EQ(t, lab_unicast(lab, VM3, MAC_ALL, MAC(VM3)), P(TRUNK));
	EXPECT_EQ(t, lab_unicast(lab, VM3, MAC(SEE1), MAC(VM3)), 0);
	EXPECT_EQ(t, lab_unicast(lab, SEE1, MAC(VM3), MAC(SEE1)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, SEE1, VSWITCH_DROP_MIRROR), 1);
	lab_destroy(lab);
}

static void test_out(struct test *t)
{
	struct lab *lab = make(0, VSWITCH_MIRROR_OUT, VSWITCH_MIRROR_IN | VSWITCH_MIRROR_OUT);

	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2) | SEEN);
	EXPECT_EQ(t, lab_unicast(lab, VM2, MAC(VM1), MAC(VM2)), P(VM1));
	/* with the tag it has there */
	packet_plain(&lab->packet, MAC(VM1), MAC(50), 64);
	EXPECT_EQ(t, lab_send_tagged(lab, TRUNK, 0x600a), P(VM1) | SEEN);
	EXPECT_EQ(t, lab->ports[SEE2].last_tag, 0x600a);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(50), MAC(VM1)), P(TRUNK) | SEEN);
	EXPECT_EQ(t, lab->ports[SEE2].last_tag, 10);
	/* in and out: twice */
	packet_plain(&lab->packet, MAC(VM2), MAC(50), 64);
	EXPECT_EQ(t, lab_send_tagged(lab, TRUNK, 10), P(VM2) | SEEN);
	EXPECT_EQ(t, lab->ports[SEE1].got, 2);
	EXPECT_EQ(t, lab->ports[SEE1].last_tag, NET_TAG_NONE);
	/* what was not taken did not leave */
	lab->ports[VM2].full = true;
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), 0);
	lab_destroy(lab);
}

/* Copies fit those who look, and those who do not take them lose them alone. */
static void test_fit(struct test *t)
{
	struct lab *lab = make(VSWITCH_MIRROR_IN, 0, 0);
	struct vswitch_port_config c = *vswitch_port_config(lab->ports[SEE1].port);

	c.takes = 0;
	c.mtu = 1500;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[SEE1].port, &c), 0);
	packet_ethernet(&lab->packet, MAC(VM2), MAC(VM1), 0x0800);
	packet_ipv4(&lab->packet, 1, 2, IP_TCP);
	packet_tcp(&lab->packet, 1, 2, 3, 4);
	packet_fill(&lab->packet, 3000);
	packet_finish(&lab->packet);
	packet_offload(&lab->packet, NET_GSO_TCPV4, 1000);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2) | SEEN);
	EXPECT_EQ(t, lab->ports[SEE1].got, 3);
	EXPECT_EQ(t, lab->ports[SEE2].got, 1);
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 1600);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2) | P(SEE2));
	EXPECT_EQ(t, lab_drops_out(lab, SEE1, VSWITCH_DROP_SIZE), 1);
	lab->ports[SEE2].full = true;
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 100);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2) | P(SEE1));
	EXPECT_EQ(t, lab_drops_out(lab, SEE2, VSWITCH_DROP_ROOM), 1);
	vswitch_port_link(lab->ports[SEE2].port, false);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2) | P(SEE1));
	EXPECT_EQ(t, lab_drops_out(lab, SEE2, VSWITCH_DROP_LINK), 1);
	/* no longer a destination: an ordinary port again */
	c.mirror = 0;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[SEE1].port, &c), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM3, MAC(SEE1), MAC(VM3)), P(SEE1));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2));
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_in), TEST(test_out), TEST(test_fit)};

	return test_main(cases, ARRAY_LEN(cases));
}
