// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "test/test.h"
#include "testing.h"

static void set_bit(uint8_t *bits, unsigned v)
{
	bits[v / 8] |= (uint8_t)(1u << (v % 8));
}

static int add_vlan(struct lab *lab, unsigned i, enum vswitch_role role, struct vswitch_vlan vlan)
{
	struct vswitch_port_config c = lab_config(i, role);

	c.vlan = vlan;
	return lab_add(lab, i, &c);
}

static struct vswitch_vlan trunk(uint16_t native, unsigned a, unsigned b)
{
	struct vswitch_vlan vlan = {.mode = VSWITCH_VLAN_TRUNK, .vid = native};

	set_bit(vlan.trunk, a);
	set_bit(vlan.trunk, b);
	return vlan;
}

static uint32_t broadcast(struct lab *lab, unsigned from, uint32_t tag)
{
	packet_plain(&lab->packet, MAC_ALL, MAC(from), 64);
	return lab_send_tagged(lab, from, tag);
}

enum { A10 = 1, B10, A20, PLAIN, TRUNK, NATIVE };

static struct lab *make(void)
{
	struct lab *lab = lab_create(NULL);

	CHECK(add_vlan(lab, A10, VSWITCH_VM, (struct vswitch_vlan){.vid = 10}) == 0);
	CHECK(add_vlan(lab, B10, VSWITCH_VM, (struct vswitch_vlan){.vid = 10}) == 0);
	CHECK(add_vlan(lab, A20, VSWITCH_VM, (struct vswitch_vlan){.vid = 20}) == 0);
	CHECK(add_vlan(lab, PLAIN, VSWITCH_VM, (struct vswitch_vlan){0}) == 0);
	CHECK(add_vlan(lab, TRUNK, VSWITCH_HOST, trunk(0, 10, 20)) == 0);
	CHECK(add_vlan(lab, NATIVE, VSWITCH_VM, trunk(20, 10, 30)) == 0);
	return lab;
}

static void test_modes(struct test *t)
{
	struct lab *lab = make();

	EXPECT_EQ(t, broadcast(lab, A10, NET_TAG_NONE), P(B10) | P(TRUNK) | P(NATIVE));
	EXPECT_EQ(t, lab->ports[B10].last_tag, NET_TAG_NONE);
	EXPECT_EQ(t, lab->ports[TRUNK].last_tag, 10);
	EXPECT_EQ(t, lab->ports[NATIVE].last_tag, 10);
	EXPECT_EQ(t, broadcast(lab, A20, NET_TAG_NONE), P(TRUNK) | P(NATIVE));
	EXPECT_EQ(t, lab->ports[TRUNK].last_tag, 20);
	EXPECT_EQ(t, lab->ports[NATIVE].last_tag, NET_TAG_NONE);
	EXPECT_EQ(t, broadcast(lab, PLAIN, NET_TAG_NONE), P(TRUNK));
	EXPECT_EQ(t, lab->ports[TRUNK].last_tag, NET_TAG_NONE);
	EXPECT_EQ(t, broadcast(lab, TRUNK, NET_TAG_NONE), P(PLAIN));
	EXPECT_EQ(t, broadcast(lab, TRUNK, 0xb000 | 10), P(A10) | P(B10) | P(NATIVE));
	EXPECT_EQ(t, lab->ports[NATIVE].last_tag, 0xb000 | 10); /* with its priority */
	EXPECT_EQ(t, broadcast(lab, TRUNK, 20), P(A20) | P(NATIVE));
	EXPECT_EQ(t, broadcast(lab, NATIVE, NET_TAG_NONE), P(A20) | P(TRUNK));
	EXPECT_EQ(t, broadcast(lab, NATIVE, 20), P(A20) | P(TRUNK));
	EXPECT_EQ(t, broadcast(lab, NATIVE, 30), 0);
	/* a priority is no VLAN */
	EXPECT_EQ(t, broadcast(lab, A10, 0xe000), P(B10) | P(TRUNK) | P(NATIVE));
	EXPECT_EQ(t, lab->ports[TRUNK].last_tag, 0xe000 | 10);
	lab_destroy(lab);
}

static void test_drops(struct test *t)
{
	struct lab *lab = make();

	EXPECT_EQ(t, broadcast(lab, A10, 10), 0); /* access ports have no tags */
	EXPECT_EQ(t, broadcast(lab, A10, 20), 0);
	EXPECT_EQ(t, broadcast(lab, PLAIN, 10), 0);
	EXPECT_EQ(t, broadcast(lab, TRUNK, 30), 0);
	EXPECT_EQ(t, broadcast(lab, TRUNK, 4095), 0);
	EXPECT_EQ(t, lab_drops_in(lab, A10, VSWITCH_DROP_VLAN), 2);
	EXPECT_EQ(t, lab_drops_in(lab, PLAIN, VSWITCH_DROP_VLAN), 1);
	EXPECT_EQ(t, lab_drops_in(lab, TRUNK, VSWITCH_DROP_VLAN), 2);
	/* an address of another VLAN is not there, even a known one */
	EXPECT_EQ(t, lab_unicast(lab, A10, MAC(A20), MAC(A10)), P(TRUNK));
	EXPECT_EQ(t, lab_unicast(lab, A10, MAC(B10), MAC(A10)), P(B10));
	/* a trunk's own address holds in all its VLANs */
	EXPECT_EQ(t, lab_unicast(lab, A10, MAC(NATIVE), MAC(A10)), P(NATIVE));
	EXPECT_EQ(t, lab_unicast(lab, A20, MAC(NATIVE), MAC(A20)), P(NATIVE));
	lab_destroy(lab);
}

/* Tags in the bytes must not become tags of the frame. */
static void test_double_tags(struct test *t)
{
	struct lab *lab = make();

	for (unsigned i = 0; i < 3; i++) {
		static const uint16_t types[] = {0x8100, 0x88a8, 0x9100};

		packet_ethernet(&lab->packet, MAC_ALL, MAC(A10), types[i]);
		packet_fill(&lab->packet, 50);
		EXPECT_EQ(t, lab_send(lab, A10), 0);
		EXPECT_EQ(t, lab_send_tagged(lab, A10, 0), 0);
		EXPECT_EQ(t, lab_drops_in(lab, A10, VSWITCH_DROP_VLAN), 2 * i + 2);
		packet_ethernet(&lab->packet, MAC_ALL, MAC(NATIVE), types[i]);
		packet_fill(&lab->packet, 50);
		/* stays inside of its outer tag, and leaves by no port that would take that off */
		EXPECT_EQ(t, lab_send_tagged(lab, NATIVE, 20), P(TRUNK));
		EXPECT_EQ(t, lab_drops_out(lab, A20, VSWITCH_DROP_VLAN), i + 1);
	}
	lab_destroy(lab);
}

static void test_learning(struct test *t)
{
	struct lab *lab = make();

	/* the same address at two places of two VLANs */
	packet_plain(&lab->packet, MAC(A10), MAC(77), 64);
	EXPECT_EQ(t, lab_send_tagged(lab, TRUNK, 10), P(A10));
	CHECK(add_vlan(lab, 8, VSWITCH_HOST, (struct vswitch_vlan){.vid = 20}) == 0);
	EXPECT_EQ(t, lab_unicast(lab, 8, MAC(A20), MAC(77)), P(A20));
	EXPECT_EQ(t, lab_unicast(lab, A10, MAC(77), MAC(A10)), P(TRUNK));
	EXPECT_EQ(t, lab_unicast(lab, A20, MAC(77), MAC(A20)), P(8));
	lab_destroy(lab);
}

/* A port that goes to another VLAN takes nothing along. */
static void test_change(struct test *t)
{
	struct lab *lab = make();
	struct vswitch_port_config c;

	CHECK(add_vlan(lab, 8, VSWITCH_HOST, (struct vswitch_vlan){.vid = 10}) == 0);
	EXPECT_EQ(t, lab_unicast(lab, 8, MAC(A10), MAC(77)), P(A10));
	EXPECT_EQ(t, lab_unicast(lab, A10, MAC(77), MAC(A10)), P(8));
	c = *vswitch_port_config(lab->ports[8].port);
	c.vlan.vid = 20;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[8].port, &c), 0);
	EXPECT_EQ(t, lab_unicast(lab, A10, MAC(77), MAC(A10)), P(TRUNK));
	EXPECT_EQ(t, lab_drops_out(lab, 8, VSWITCH_DROP_VLAN), 0);
	EXPECT_EQ(t, lab_unicast(lab, 8, MAC(A20), MAC(77)), P(A20));
	lab_destroy(lab);
}

/* ---- Private VLANs ---- */

enum { ISO1 = 1, ISO2, COM1, COM2, OTHER, PROM, LINE };

static struct vswitch_vlan private(enum vswitch_private kind, uint16_t secondary)
{
	return (struct vswitch_vlan){
		.mode = VSWITCH_VLAN_PRIVATE, .vid = 100, .secondary = secondary, .private = kind};
}

static struct lab *make_private(void)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_vlan line = trunk(0, 100, 101);

	set_bit(line.trunk, 102);
	CHECK(add_vlan(lab, PROM, VSWITCH_VM, private(VSWITCH_PRIVATE_PROMISCUOUS, 0)) == 0);
	CHECK(add_vlan(lab, ISO1, VSWITCH_VM, private(VSWITCH_PRIVATE_ISOLATED, 101)) == 0);
	CHECK(add_vlan(lab, ISO2, VSWITCH_VM, private(VSWITCH_PRIVATE_ISOLATED, 101)) == 0);
	CHECK(add_vlan(lab, COM1, VSWITCH_VM, private(VSWITCH_PRIVATE_COMMUNITY, 102)) == 0);
	CHECK(add_vlan(lab, COM2, VSWITCH_VM, private(VSWITCH_PRIVATE_COMMUNITY, 102)) == 0);
	CHECK(add_vlan(lab, OTHER, VSWITCH_VM, private(VSWITCH_PRIVATE_COMMUNITY, 103)) == 0);
	CHECK(add_vlan(lab, LINE, VSWITCH_UPLINK, line) == 0);
	return lab;
}

static void test_private(struct test *t)
{
	struct lab *lab = make_private();

	EXPECT_EQ(t, broadcast(lab, ISO1, NET_TAG_NONE), P(PROM) | P(LINE));
	EXPECT_EQ(t, lab->ports[LINE].last_tag, 101);
	EXPECT_EQ(t, lab->ports[PROM].last_tag, NET_TAG_NONE);
	EXPECT_EQ(t, broadcast(lab, COM1, NET_TAG_NONE), P(COM2) | P(PROM) | P(LINE));
	EXPECT_EQ(t, lab->ports[LINE].last_tag, 102);
	EXPECT_EQ(t, broadcast(lab, OTHER, NET_TAG_NONE), P(PROM));
	EXPECT_EQ(t, broadcast(lab, PROM, NET_TAG_NONE),
		  P(ISO1) | P(ISO2) | P(COM1) | P(COM2) | P(OTHER) | P(LINE));
	EXPECT_EQ(t, lab->ports[LINE].last_tag, 100);
	EXPECT_EQ(t, broadcast(lab, LINE, 100),
		  P(ISO1) | P(ISO2) | P(COM1) | P(COM2) | P(OTHER) | P(PROM));
	EXPECT_EQ(t, broadcast(lab, LINE, 101), P(PROM));
	EXPECT_EQ(t, broadcast(lab, LINE, 102), P(COM1) | P(COM2) | P(PROM));
	/* known addresses do not help */
	EXPECT_EQ(t, lab_unicast(lab, ISO1, MAC(ISO2), MAC(ISO1)), 0);
	EXPECT_EQ(t, lab_unicast(lab, ISO1, MAC(COM1), MAC(ISO1)), 0);
	EXPECT_EQ(t, lab_unicast(lab, COM1, MAC(OTHER), MAC(COM1)), 0);
	EXPECT_EQ(t, lab_drops_out(lab, ISO2, VSWITCH_DROP_VLAN), 1);
	EXPECT_EQ(t, lab_drops_out(lab, OTHER, VSWITCH_DROP_VLAN), 1);
	EXPECT_EQ(t, lab_unicast(lab, COM1, MAC(COM2), MAC(COM1)), P(COM2));
	EXPECT_EQ(t, lab_unicast(lab, ISO1, MAC(PROM), MAC(ISO1)), P(PROM));
	EXPECT_EQ(t, lab_unicast(lab, PROM, MAC(ISO1), MAC(PROM)), P(ISO1));
	/* learned from one kind, known to the other */
	packet_plain(&lab->packet, MAC(ISO1), MAC(99), 64);
	EXPECT_EQ(t, lab_send_tagged(lab, LINE, 100), P(ISO1));
	EXPECT_EQ(t, lab_unicast(lab, ISO1, MAC(99), MAC(ISO1)), P(LINE));
	EXPECT_EQ(t, broadcast(lab, ISO1, 101), 0); /* no tags outside */
	lab_destroy(lab);
}

static void test_private_conflicts(struct test *t)
{
	struct lab *lab = make_private();
	struct vswitch_vlan vlan = private(VSWITCH_PRIVATE_COMMUNITY, 101);

	vlan.vid = 200; /* 101 belongs to 100 */
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EADDRINUSE);
	vlan.secondary = 100; /* is a primary */
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EADDRINUSE);
	vlan.vid = 102; /* is a secondary */
	vlan.secondary = 300;
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EADDRINUSE);
	vlan.vid = vlan.secondary = 300;
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EINVAL);
	vlan.secondary = 0;
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EINVAL);
	vlan.secondary = 4095;
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EINVAL);
	vlan.vid = 0;
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EINVAL);
	vlan = private(9, 1);
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), (uint64_t)-EINVAL);
	/* a port that is alone with its secondary may move it */
	struct vswitch_port_config c = *vswitch_port_config(lab->ports[OTHER].port);

	c.vlan.vid = 300;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[OTHER].port, &c), 0);
	EXPECT_EQ(t, broadcast(lab, OTHER, NET_TAG_NONE), 0);
	/* when the last one goes, the VLAN is an ordinary one again */
	vswitch_port_remove(lab->ports[ISO1].port);
	vswitch_port_remove(lab->ports[ISO2].port);
	vlan = (struct vswitch_vlan){.vid = 101};
	EXPECT_EQ(t, add_vlan(lab, 10, VSWITCH_VM, vlan), 0);
	EXPECT_EQ(t, broadcast(lab, 10, NET_TAG_NONE), P(LINE));
	lab_destroy(lab);
}

/* A promiscuous port that names secondaries which live elsewhere only. */
static void test_promiscuous_list(struct test *t)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_vlan vlan = private(VSWITCH_PRIVATE_PROMISCUOUS, 0);

	CHECK(add_vlan(lab, LINE, VSWITCH_UPLINK, trunk(0, 100, 101)) == 0);
	set_bit(vlan.trunk, 101);
	CHECK(add_vlan(lab, PROM, VSWITCH_VM, vlan) == 0);
	EXPECT_EQ(t, broadcast(lab, LINE, 101), P(PROM));
	packet_plain(&lab->packet, MAC(PROM), MAC(99), 64);
	EXPECT_EQ(t, lab_send_tagged(lab, LINE, 101), P(PROM));
	EXPECT_EQ(t, lab_unicast(lab, PROM, MAC(99), MAC(PROM)), P(LINE));
	EXPECT_EQ(t, lab->ports[LINE].last_tag, 100);
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_modes),
						 TEST(test_drops),
						 TEST(test_double_tags),
						 TEST(test_learning),
						 TEST(test_change),
						 TEST(test_private),
						 TEST(test_private_conflicts),
						 TEST(test_promiscuous_list)};

	return test_main(cases, ARRAY_LEN(cases));
}
