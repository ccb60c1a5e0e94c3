// SPDX-License-Identifier: Apache-2.0
/* Who gets what, and each reason for a drop that belongs to forwarding. */
#include "test/test.h"
#include "testing.h"

enum { VM1 = 1, VM2, VM3, HOST, UPLINK };

static struct lab *make(void)
{
	struct lab *lab = lab_create(NULL);

	lab_fill(lab, VM1, VM3, VSWITCH_VM);
	lab_fill(lab, HOST, HOST, VSWITCH_HOST);
	lab_fill(lab, UPLINK, UPLINK, VSWITCH_UPLINK);
	return lab;
}

static void test_who(struct test *t)
{
	struct lab *lab = make();

	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC_ALL, MAC(VM1)),
		  P(VM2) | P(VM3) | P(HOST) | P(UPLINK));
	/* unknown: not to VMs, whose addresses are known */
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(100), MAC(VM1)), P(HOST) | P(UPLINK));
	/* learned */
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(VM1), MAC(100)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(100), MAC(VM1)), P(UPLINK));
	EXPECT_EQ(t, lab_unicast(lab, HOST, MAC(VM1), MAC(101)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(101), MAC(100)), P(HOST));
	/* on the same side already */
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(100), MAC(102)), 0);
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(200), MAC(100)), P(HOST));
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC_ALL, MAC(100)),
		  P(VM1) | P(VM2) | P(VM3) | P(HOST));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM1), MAC(VM1)), 0);
	lab_destroy(lab);
}

static void test_content(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_stats stats;

	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 1400);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2));
	EXPECT_EQ(t, lab->ports[VM2].last.count, 1400);
	EXPECT_MEM(t, lab->ports[VM2].last.bytes, lab->packet.bytes, 1400);
	EXPECT_EQ(t, lab->ports[VM2].last_tag, NET_TAG_NONE);
	lab_unicast(lab, VM1, MAC_ALL, MAC(VM1));
	vswitch_flush(lab->s);
	EXPECT_EQ(t, lab->ports[VM1].flushed, 0);
	EXPECT_EQ(t, lab->ports[VM2].flushed, 1);
	EXPECT_EQ(t, lab->ports[VM3].flushed, 1);
	vswitch_flush(lab->s);
	EXPECT_EQ(t, lab->ports[VM2].flushed, 1);
	vswitch_port_stats(lab->ports[VM1].port, &stats);
	EXPECT_EQ(t, stats.in_frames, 2);
	EXPECT_EQ(t, stats.in_bytes, 1464);
	EXPECT_EQ(t, stats.in_broadcast, 1);
	EXPECT_EQ(t, stats.in_multicast, 0);
	EXPECT_EQ(t, stats.out_frames, 0);
	vswitch_port_stats(lab->ports[VM2].port, &stats);
	EXPECT_EQ(t, stats.out_frames, 2);
	EXPECT_EQ(t, stats.out_bytes, 1464);
	EXPECT_EQ(t, stats.out_broadcast, 1);
	lab_destroy(lab);
}

static void test_form(struct test *t)
{
	static const uint8_t zero[6], many[6] = {3, 0, 0, 0, 0, 1};
	struct lab *lab = make();

	EXPECT_EQ(t, lab_unicast(lab, HOST, MAC(VM1), zero), 0);
	EXPECT_EQ(t, lab_unicast(lab, HOST, MAC(VM1), many), 0);
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 14);
	lab->packet.count = 13;
	EXPECT_EQ(t, lab_send(lab, HOST), 0);
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 64);
	lab->packet.offload.gso = NET_GSO_TCPV4;
	EXPECT_EQ(t, lab_send(lab, HOST), 0);
	EXPECT_EQ(t, lab_drops_in(lab, HOST, VSWITCH_DROP_FORM), 4);
	/* the link's own addresses */
	for (uint8_t i = 0; i < 17; i++) {
		const uint8_t reserved[] = {1, 0x80, 0xc2, 0, 0, i};

		EXPECT_EQ(t, lab_unicast(lab, VM1, reserved, MAC(VM1)) == 0, i < 16);
	}
	EXPECT_EQ(t, lab_drops_in(lab, VM1, VSWITCH_DROP_RESERVED), 16);
	lab_destroy(lab);
}

static void test_spoofing(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_port_config c = lab_config(VM3, VSWITCH_VM);

	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(50)), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM3)), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC_ALL, MAC(50)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, VM1, VSWITCH_DROP_SPOOF), 3);
	/* a static address may be used */
	EXPECT_EQ(t, vswitch_port_mac_add(lab->ports[VM1].port, MAC(50), 0), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(50)), P(VM2));
	EXPECT_EQ(t, lab_unicast(lab, VM2, MAC(50), MAC(VM2)), P(VM1));
	EXPECT_EQ(t, vswitch_port_mac_remove(lab->ports[VM1].port, MAC(50), 0), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(50)), 0);
	/* allowed: anything but what is another's for certain; and unknown addresses come to it */
	c.spoofing = true;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM3].port, &c), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(60), MAC(VM1)), P(VM3) | P(HOST) | P(UPLINK));
	EXPECT_EQ(t, lab_unicast(lab, VM3, MAC(VM1), MAC(60)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(60), MAC(VM1)), P(VM3));
	EXPECT_EQ(t, lab_unicast(lab, VM3, MAC(VM1), MAC(VM2)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, VM3, VSWITCH_DROP_SPOOF), 1);
	/* off again: what it had is forgotten */
	c.spoofing = false;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM3].port, &c), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(60), MAC(VM1)), P(HOST) | P(UPLINK));
	/* the host cannot take a VM's address either */
	EXPECT_EQ(t, lab_unicast(lab, HOST, MAC(VM1), MAC(VM2)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, HOST, VSWITCH_DROP_SPOOF), 1);
	lab_destroy(lab);
}

static void test_size(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_port_config c = lab_config(VM2, VSWITCH_VM);

	c.mtu = 1500;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM2].port, &c), 0);
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 1514);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2));
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), 1515);
	EXPECT_EQ(t, lab_send(lab, VM1), 0);
	EXPECT_EQ(t, lab_drops_out(lab, VM2, VSWITCH_DROP_SIZE), 1);
	packet_plain(&lab->packet, MAC(VM3), MAC(VM1), 14 + NET_MTU_MAX);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM3));
	packet_plain(&lab->packet, MAC(VM3), MAC(VM1), 14 + NET_MTU_MAX + 5);
	EXPECT_EQ(t, lab_send(lab, VM1), 0);
	EXPECT_EQ(t, lab_drops_in(lab, VM1, VSWITCH_DROP_SIZE), 1);
	lab_destroy(lab);
}

static void large(struct packet *p, uint16_t gso_bytes)
{
	packet_ethernet(p, MAC(VM2), MAC(VM1), 0x0800);
	packet_ipv4(p, 0x0a000001, 0x0a000002, IP_TCP);
	packet_tcp(p, 1, 2, 3, 0x18);
	packet_fill(p, 14480);
	packet_finish(p);
	packet_offload(p, NET_GSO_TCPV4, gso_bytes);
}

static void test_offload(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_port_config c = lab_config(VM2, VSWITCH_VM);
	struct vswitch_stats stats;

	/* whole, to one that takes it */
	large(&lab->packet, 1448);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2));
	EXPECT_EQ(t, lab->ports[VM2].got, 1);
	EXPECT_EQ(t, lab->ports[VM2].last.offload.gso, NET_GSO_TCPV4);
	/* cut, for one that does not */
	c.takes = 0;
	c.mtu = 1500;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM2].port, &c), 0);
	EXPECT_EQ(t, lab_send(lab, VM1), P(VM2));
	EXPECT_EQ(t, lab->ports[VM2].got, 10);
	EXPECT_EQ(t, lab->ports[VM2].last.count, 1502);
	EXPECT_EQ(t, lab->ports[VM2].last.offload.flags, NET_OFFLOAD_DATA_VALID);
	vswitch_port_stats(lab->ports[VM2].port, &stats);
	EXPECT_EQ(t, stats.out_frames, 11);
	/* segments that would not go over its wire */
	large(&lab->packet, 1461);
	EXPECT_EQ(t, lab_send(lab, VM1), 0);
	EXPECT_EQ(t, lab_drops_out(lab, VM2, VSWITCH_DROP_SIZE), 1);
	c.takes = NET_TAKES_ALL;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[VM2].port, &c), 0);
	EXPECT_EQ(t, lab_send(lab, VM1), 0);
	EXPECT_EQ(t, lab_drops_out(lab, VM2, VSWITCH_DROP_SIZE), 2);
	lab_destroy(lab);
}

static void test_room_and_link(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_stats stats;

	lab->ports[VM2].full = true;
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC_ALL, MAC(VM1)), P(VM3) | P(HOST) | P(UPLINK));
	EXPECT_EQ(t, lab_drops_out(lab, VM2, VSWITCH_DROP_ROOM), 2);
	vswitch_port_stats(lab->ports[VM2].port, &stats);
	EXPECT_EQ(t, stats.out_frames, 0);
	lab->ports[VM2].full = false;
	vswitch_port_link(lab->ports[VM2].port, false);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC_ALL, MAC(VM1)), P(VM3) | P(HOST) | P(UPLINK));
	EXPECT_EQ(t, lab_drops_out(lab, VM2, VSWITCH_DROP_LINK), 1);
	EXPECT_EQ(t, lab_unicast(lab, VM2, MAC(VM1), MAC(VM2)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, VM2, VSWITCH_DROP_LINK), 1);
	vswitch_port_link(lab->ports[VM2].port, true);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2));
	/* a port that goes with frames not yet flushed */
	vswitch_port_remove(lab->ports[VM2].port);
	vswitch_flush(lab->s);
	EXPECT_EQ(t, lab->ports[VM2].flushed, 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(HOST) | P(UPLINK));
	lab_destroy(lab);
}

static void test_names(struct test *t)
{
	for (unsigned i = 0; i < VSWITCH_DROPS; i++) {
		EXPECT(t, vswitch_drop_name(i) != NULL && strlen(vswitch_drop_name(i)) > 2);
		for (unsigned j = 0; j < i; j++) {
			EXPECT(t, strcmp(vswitch_drop_name(i), vswitch_drop_name(j)) != 0);
		}
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_who),	 TEST(test_content), TEST(test_form),	       TEST(test_spoofing),
		TEST(test_size), TEST(test_offload), TEST(test_room_and_link), TEST(test_names)};

	return test_main(cases, ARRAY_LEN(cases));
}
