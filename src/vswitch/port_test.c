// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "test/test.h"
#include "testing.h"

static void test_bad_configurations(struct test *t)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_acl acl = {.action = VSWITCH_ACL_DENY, .in = true};
	struct vswitch_port_config good = lab_config(0, VSWITCH_VM), c;

	memcpy(good.mac, MAC(9), 6);
	good.acls = &acl;
	good.acl_count = 1;
#define BAD(error, change)                                                                         \
	do {                                                                                       \
		c = good;                                                                          \
		change;                                                                            \
		EXPECT_EQ(t, lab_add(lab, 0, &c), (uint64_t)(error));                              \
	} while (0)
	BAD(-EINVAL, c.role = 7);
	BAD(-EINVAL, c.name[0] = 0);
	BAD(-EINVAL, memset(c.name, 'x', sizeof(c.name)));
	BAD(-EINVAL, memset(c.mac, 0, 6));
	BAD(-EINVAL, c.mac[0] = 1);
	BAD(-EINVAL, c.takes = 16);
	BAD(-EINVAL, c.takes = NET_TAKES_TSO4);
	BAD(-EINVAL, c.weight = 101);
	BAD(-EINVAL, c.mtu = 67);
	BAD(-EINVAL, c.mtu = NET_MTU_MAX + 1);
	BAD(-EINVAL, c.mirror = 8);
	BAD(-EINVAL, c.vlan.vid = 4095);
	BAD(-EINVAL, c.vlan.mode = 9);
	BAD(-EINVAL, c.acl_count = VSWITCH_ACLS_MAX + 1);
	BAD(-EINVAL, acl.in = false);
	acl.in = true;
	BAD(-EINVAL, acl.action = 3);
	acl.action = VSWITCH_ACL_DENY;
	BAD(-EINVAL, acl.family = 5);
	acl.family = 0;
	BAD(-EINVAL, acl.local_prefix = 1); /* of no family */
	acl.family = 4;
	BAD(-EINVAL, acl.local_prefix = 33);
	acl.local_prefix = 32;
	BAD(-EINVAL, acl.remote_port_first = 2);
	acl.remote_port_last = 2;
	BAD(0, (void)0);
	BAD(-EEXIST, (void)0);
	BAD(-EADDRINUSE, c.name[0] = 'q');
#undef BAD
	lab_destroy(lab);
}

static void test_bad_switches(struct test *t)
{
	static const struct vswitch_config bad[] = {
		{.macs_max = 1}, {.macs_max = (1 << 20) + 1}, {.team = 2}};
	struct vswitch *s = NULL;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_EQ(t, vswitch_create(&bad[i], &s), (uint64_t)-EINVAL);
	}
	EXPECT(t, s == NULL);
	vswitch_destroy(NULL);
	vswitch_port_remove(NULL);
}

static void test_configure(struct test *t)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config c;

	lab_fill(lab, 1, 2, VSWITCH_VM);
	c = *vswitch_port_config(lab->ports[1].port);
	c.role = VSWITCH_HOST;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[1].port, &c), (uint64_t)-EINVAL);
	c.role = VSWITCH_VM;
	c.name[0] = 'x';
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[1].port, &c), (uint64_t)-EINVAL);
	c = *vswitch_port_config(lab->ports[1].port);
	memcpy(c.mac, MAC(2), 6);
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[1].port, &c), (uint64_t)-EADDRINUSE);
	EXPECT_EQ(t, lab_unicast(lab, 2, MAC(1), MAC(2)), P(1)); /* nothing changed */
	memcpy(c.mac, MAC(7), 6);
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[1].port, &c), 0);
	EXPECT_EQ(t, lab_unicast(lab, 2, MAC(7), MAC(2)), P(1));
	EXPECT_EQ(t, lab_unicast(lab, 2, MAC(1), MAC(2)), 0);
	EXPECT_EQ(t, lab_unicast(lab, 1, MAC(2), MAC(7)), P(2));
	EXPECT_EQ(t, lab_unicast(lab, 1, MAC(2), MAC(1)), 0);
	lab_destroy(lab);
}

static void test_static_addresses(struct test *t)
{
	static const uint8_t many[6] = {1}, zero[6];
	struct lab *lab = lab_create(NULL);
	struct vswitch_port *a, *b;

	lab_fill(lab, 1, 2, VSWITCH_VM);
	a = lab->ports[1].port;
	b = lab->ports[2].port;
	EXPECT_EQ(t, vswitch_port_mac_add(a, many, 0), (uint64_t)-EINVAL);
	EXPECT_EQ(t, vswitch_port_mac_add(a, zero, 0), (uint64_t)-EINVAL);
	EXPECT_EQ(t, vswitch_port_mac_add(a, MAC(9), 4095), (uint64_t)-EINVAL);
	EXPECT_EQ(t, vswitch_port_mac_add(a, MAC(2), 0), (uint64_t)-EADDRINUSE);
	EXPECT_EQ(t, vswitch_port_mac_add(a, MAC(9), 5), 0);
	EXPECT_EQ(t, vswitch_port_mac_add(a, MAC(9), 5), 0);
	EXPECT_EQ(t, vswitch_port_mac_add(b, MAC(9), 5), (uint64_t)-EADDRINUSE);
	EXPECT_EQ(t, vswitch_port_mac_add(b, MAC(9), 6), 0); /* another VLAN */
	EXPECT_EQ(t, vswitch_port_mac_remove(a, MAC(9), 6), (uint64_t)-ENOENT);
	EXPECT_EQ(t, vswitch_port_mac_remove(a, MAC(9), 7), (uint64_t)-ENOENT);
	EXPECT_EQ(t, vswitch_port_mac_remove(a, MAC(9), 4095), (uint64_t)-ENOENT);
	EXPECT_EQ(t, vswitch_port_mac_remove(a, MAC(9), 5), 0);
	EXPECT_EQ(t, vswitch_port_mac_remove(a, MAC(9), 5), (uint64_t)-ENOENT);
	/* a new port cannot have it as its own */
	struct vswitch_port_config c = lab_config(3, VSWITCH_VM);

	memcpy(c.mac, MAC(9), 6);
	EXPECT_EQ(t, lab_add(lab, 3, &c), (uint64_t)-EADDRINUSE);
	lab_destroy(lab);
}

/* As many as there may be; they come and go in any order. */
static void test_many(struct test *t)
{
	struct vswitch_port *ports[1024];
	struct lab *lab = lab_create(NULL);
	static const struct vswitch_port_ops ops = {.deliver = lab_deliver, .flush = lab_flush};
	struct vswitch_port_config c = lab_config(0, VSWITCH_VM);
	unsigned count = ARRAY_LEN(ports);

	for (unsigned i = 0; i < count; i++) {
		snprintf(c.name, sizeof(c.name), "%u", i);
		memcpy(c.mac, MAC(i), 6);
		EXPECT_EQ(t,
			  vswitch_port_add(lab->s, &c, &ops, &lab->ports[i % LAB_PORTS], &ports[i]),
			  0);
	}
	for (unsigned i = 0; i < count; i++) {
		struct vswitch_stats stats;
		unsigned to = (i * 37 + 5) % count;
		struct net_frame f;

		packet_plain(&lab->packet, MAC(to), MAC(i), 64);
		f = packet_frame(&lab->packet, NET_TAG_NONE);
		vswitch_input(ports[i], &f, lab->now_ns);
		vswitch_port_stats(ports[to], &stats);
		EXPECT_EQ(t, stats.out_frames, to != i);
	}
	packet_plain(&lab->packet, MAC_ALL, MAC(0), 64);
	struct net_frame f = packet_frame(&lab->packet, NET_TAG_NONE);

	for (unsigned i = 0; i < LAB_PORTS; i++) {
		lab->ports[i].got = 0;
	}
	vswitch_input(ports[0], &f, lab->now_ns);
	EXPECT_EQ(t, lab->ports[0].got, 31);
	EXPECT_EQ(t, lab->ports[1].got, 32);
	for (unsigned i = 1; i < count; i += 2) {
		vswitch_port_remove(ports[i]);
	}
	lab->ports[0].got = lab->ports[1].got = 0;
	vswitch_input(ports[0], &f, lab->now_ns);
	EXPECT_EQ(t, lab->ports[0].got, 31);
	EXPECT_EQ(t, lab->ports[1].got, 0);
	vswitch_flush(lab->s);
	lab_destroy(lab);
}

static void test_no_space(struct test *t)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config c = lab_config(9, VSWITCH_UPLINK);

	lab_fill(lab, 0, VSWITCH_UPLINKS_MAX - 1, VSWITCH_UPLINK);
	EXPECT_EQ(t, lab_add(lab, 9, &c), (uint64_t)-ENOSPC);
	for (unsigned i = 0; i < 16384 / 2; i++) {
		EXPECT_EQ(t, vswitch_port_mac_add(lab->ports[0].port, MAC(1000 + i), 0), 0);
	}
	EXPECT_EQ(t, vswitch_port_mac_add(lab->ports[0].port, MAC(999), 0), (uint64_t)-ENOSPC);
	c = lab_config(10, VSWITCH_VM);
	EXPECT_EQ(t, lab_add(lab, 10, &c), (uint64_t)-ENOSPC);
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_bad_configurations), TEST(test_bad_switches), TEST(test_configure),
		TEST(test_static_addresses),   TEST(test_many),		TEST(test_no_space)};

	return test_main(cases, ARRAY_LEN(cases));
}
