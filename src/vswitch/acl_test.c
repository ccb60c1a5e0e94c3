// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"
#include "testing.h"

enum { A = 1, B };

#define NET4(a, b, c, d)                                                                           \
	{                                                                                          \
		a, b, c, d                                                                         \
	}

/* Each row: rules at port A, a packet from A (out) or to A (in), and whether it passes. */
enum packet_kind { UDP4, TCP4, UDP6, ARP, FIRST4, LATER4, CUT6, DEEP };

static void build(struct packet *p, enum packet_kind kind, bool out)
{
	static const uint8_t a6[16] = {0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t b6[16] = {0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
	uint32_t a4 = 0x0a000001, b4 = 0xc0a80542; /* 10.0.0.1, 192.168.5.66 */
	uint16_t type = kind == ARP		       ? 0x0806
			: kind == DEEP		       ? 0x88a8
			: kind == UDP6 || kind == CUT6 ? 0x86dd
						       : 0x0800;

	packet_ethernet(p, out ? MAC(B) : MAC(A), out ? MAC(A) : MAC(B), type);
	if (kind == UDP6 || kind == CUT6) {
		packet_ipv6(p, out ? a6 : b6, out ? b6 : a6, kind == CUT6 ? 44 : IP_UDP, 64);
	} else if (kind == DEEP) {
		for (unsigned i = 0; i < 10; i++) {
			packet_add32(p, 0x000088a8);
		}
	} else if (kind != ARP) {
		packet_ipv4(p, out ? a4 : b4, out ? b4 : a4, kind == TCP4 ? IP_TCP : IP_UDP);
		p->bytes[p->l3 + 6] = kind == FIRST4 ? 0x20 : 0;
		p->bytes[p->l3 + 7] = kind == LATER4 ? 4 : 0;
	}
	if (kind == CUT6) {
		packet_extension(p, 60, 1); /* cut off before the options */
		return;
	}
	packet_udp(p, out ? 1000 : 2000, out ? 2000 : 1000); /* A has 1000, B 2000 */
	packet_fill(p, 60);
}

#define ALLOW .action = VSWITCH_ACL_ALLOW
#define DENY .action = VSWITCH_ACL_DENY

static const struct {
	struct vswitch_acl rules[3];
	enum packet_kind kind;
	bool out, passes;
} rows[] = {
	/* way */
	{{{DENY, .out = true}}, UDP4, true, false},
	{{{DENY, .out = true}}, UDP4, false, true},
	{{{DENY, .in = true}}, UDP4, false, false},
	{{{DENY, .in = true}}, UDP4, true, true},
	{{{DENY, .in = true, .out = true}}, ARP, true, false},
	/* order: the first of the highest weight */
	{{{ALLOW, .out = true}, {DENY, .out = true}}, UDP4, true, true},
	{{{DENY, .out = true}, {ALLOW, .out = true}}, UDP4, true, false},
	{{{DENY, .out = true}, {ALLOW, .out = true, .weight = 2}}, UDP4, true, true},
	{{{DENY, .out = true, .weight = 1},
	  {ALLOW, .out = true, .weight = 2},
	  {DENY, .out = true, .weight = 3}},
	 UDP4,
	 true,
	 false},
	{{{.action = VSWITCH_ACL_METER, .out = true, .weight = 9}, {DENY, .out = true}},
	 UDP4,
	 true,
	 false},
	/* link */
	{{{DENY, .out = true, .ethertype = 0x0806}}, ARP, true, false},
	{{{DENY, .out = true, .ethertype = 0x0806}}, UDP4, true, true},
	{{{DENY, .out = true, .has_remote_mac = true, .remote_mac = {2, 0, 0, 0, 0, B}}},
	 UDP4,
	 true,
	 false},
	{{{DENY, .out = true, .has_remote_mac = true, .remote_mac = {2, 0, 0, 0, 0, A}}},
	 UDP4,
	 true,
	 true},
	{{{DENY, .in = true, .has_remote_mac = true, .remote_mac = {2, 0, 0, 0, 0, B}}},
	 UDP4,
	 false,
	 false},
	{{{DENY, .in = true, .has_local_mac = true, .local_mac = {2, 0, 0, 0, 0, A}}},
	 UDP4,
	 false,
	 false},
	{{{DENY, .in = true, .has_local_mac = true, .local_mac = {2, 0, 0, 0, 0, B}}},
	 UDP4,
	 false,
	 true},
	/* protocol and family */
	{{{DENY, .out = true, .protocol = IP_TCP}}, TCP4, true, false},
	{{{DENY, .out = true, .protocol = IP_TCP}}, UDP4, true, true},
	{{{DENY, .out = true, .protocol = IP_UDP}}, UDP6, true, false},
	{{{DENY, .out = true, .family = 4}}, UDP4, true, false},
	{{{DENY, .out = true, .family = 4}}, UDP6, true, true},
	{{{DENY, .out = true, .family = 4}}, ARP, true, true},
	/* addresses */
	{{{DENY, .out = true, .family = 4, .remote_ip = NET4(192, 168, 5, 64),
	   .remote_prefix = 30}},
	 UDP4,
	 true,
	 false},
	{{{DENY, .out = true, .family = 4, .remote_ip = NET4(192, 168, 5, 64),
	   .remote_prefix = 31}},
	 UDP4,
	 true,
	 true},
	{{{DENY, .out = true, .family = 4, .remote_ip = NET4(192, 168, 5, 66),
	   .remote_prefix = 32}},
	 UDP4,
	 true,
	 false},
	{{{DENY, .out = true, .family = 4, .local_ip = NET4(192, 168, 5, 66), .local_prefix = 32}},
	 UDP4,
	 true,
	 true},
	{{{DENY, .in = true, .family = 4, .local_ip = NET4(10, 0, 0, 0), .local_prefix = 8}},
	 UDP4,
	 false,
	 false},
	{{{DENY, .in = true, .family = 6, .local_ip = {0xfd, 0, 0, 1}, .local_prefix = 32}},
	 UDP6,
	 false,
	 false},
	{{{DENY, .in = true, .family = 6, .local_ip = {0xfd, 0, 0, 2}, .local_prefix = 32}},
	 UDP6,
	 false,
	 true},
	{{{DENY, .in = true, .family = 6, .local_ip = {0xfd, 0, 0, 2}, .local_prefix = 30}},
	 UDP6,
	 false,
	 false},
	/* ports */
	{{{DENY, .out = true, .remote_port_first = 2000, .remote_port_last = 2000}},
	 UDP4,
	 true,
	 false},
	{{{DENY, .out = true, .remote_port_first = 2001, .remote_port_last = 65535}},
	 UDP4,
	 true,
	 true},
	{{{DENY, .out = true, .local_port_first = 1, .local_port_last = 1000}}, TCP4, true, false},
	{{{DENY, .in = true, .local_port_first = 1000, .local_port_last = 1000,
	   .remote_port_first = 2000, .remote_port_last = 2000}},
	 UDP6,
	 false,
	 false},
	{{{DENY, .in = true, .local_port_first = 1000, .local_port_last = 1000,
	   .remote_port_first = 1, .remote_port_last = 5}},
	 UDP6,
	 false,
	 true},
	{{{DENY, .out = true, .remote_port_first = 2000, .remote_port_last = 2000}},
	 ARP,
	 true,
	 true},
	/* fragments: the first shows the ports, the later ones nothing */
	{{{DENY, .out = true, .remote_port_first = 2000, .remote_port_last = 2000}},
	 FIRST4,
	 true,
	 false},
	{{{DENY, .out = true, .remote_port_first = 2000, .remote_port_last = 2000}},
	 LATER4,
	 true,
	 true},
	{{{ALLOW, .out = true, .remote_port_first = 2000, .remote_port_last = 2000},
	  {DENY, .out = true}},
	 UDP4,
	 true,
	 true},
	{{{ALLOW, .out = true, .remote_port_first = 2000, .remote_port_last = 2000},
	  {DENY, .out = true}},
	 LATER4,
	 true,
	 false},
	{{{DENY, .out = true, .protocol = IP_UDP}}, LATER4, true, false},
	/* what cannot be seen: denied where it could be, not allowed for what it could be */
	{{{DENY, .out = true, .protocol = IP_TCP}}, CUT6, true, false},
	{{{DENY, .out = true, .remote_port_first = 1, .remote_port_last = 1}}, CUT6, true, false},
	{{{ALLOW, .out = true, .protocol = IP_UDP}, {DENY, .out = true}}, CUT6, true, false},
	{{{DENY, .out = true, .family = 6, .remote_ip = {0xfe}, .remote_prefix = 8}},
	 CUT6,
	 true,
	 true},
	{{{DENY, .out = true, .family = 6, .remote_ip = {0xfd}, .remote_prefix = 8}},
	 CUT6,
	 true,
	 false},
	{{{DENY, .out = true, .ethertype = 0x0800}}, DEEP, true, false},
	{{{DENY, .out = true, .family = 4}}, DEEP, true, false},
	{{{ALLOW, .out = true, .ethertype = 0x0800}, {DENY, .out = true}}, DEEP, true, false},
	{{{ALLOW, .out = true, .has_remote_mac = true, .remote_mac = {2, 0, 0, 0, 0, B}},
	  {DENY, .out = true}},
	 DEEP,
	 true,
	 true},
};

static unsigned count_rules(const struct vswitch_acl *rules)
{
	unsigned n = 0;

	while (n < 3 && (rules[n].in || rules[n].out)) {
		n++;
	}
	return n;
}

/* Trunks, so that stacked tags pass. */
static struct vswitch_port_config config(unsigned port)
{
	struct vswitch_port_config c = lab_config(port, VSWITCH_VM);

	c.vlan.mode = VSWITCH_VLAN_TRUNK;
	c.vlan.trunk[0] = 2;
	return c;
}

static void test_table(struct test *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct lab *lab = lab_create(NULL);
		struct vswitch_port_config a = config(A), b = config(B);
		unsigned before = t->failures;
		uint32_t got;

		a.acls = rows[i].rules;
		a.acl_count = count_rules(rows[i].rules);
		EXPECT_EQ(t, lab_add(lab, A, &a), 0);
		EXPECT_EQ(t, lab_add(lab, B, &b), 0);
		build(&lab->packet, rows[i].kind, rows[i].out);
		got = lab_send_tagged(lab, rows[i].out ? A : B, 1);
		EXPECT_EQ(t, got, rows[i].passes ? P(rows[i].out ? B : A) : 0);
		EXPECT_EQ(t, lab_drops_in(lab, A, VSWITCH_DROP_ACL),
			  rows[i].out && !rows[i].passes);
		EXPECT_EQ(t, lab_drops_out(lab, A, VSWITCH_DROP_ACL),
			  !rows[i].out && !rows[i].passes);
		if (t->failures != before) {
			printf("# row %u\n", i);
		}
		lab_destroy(lab);
	}
}

static void expect_rules(struct test *t, const struct vswitch_acl *got,
			 const struct vswitch_acl *want)
{
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(t, got[i].action, want[i].action);
		EXPECT_EQ(t, got[i].weight, want[i].weight);
		EXPECT_EQ(t, got[i].protocol, want[i].protocol);
	}
}

static void test_meter(struct test *t)
{
	const struct vswitch_acl rules[] = {
		{.action = VSWITCH_ACL_DENY, .in = true, .protocol = IP_TCP},
		{.action = VSWITCH_ACL_METER, .in = true, .out = true, .weight = 5},
		{.action = VSWITCH_ACL_METER, .in = true, .weight = 7, .protocol = IP_TCP},
	};
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config a = config(A), b = config(B), again;
	uint64_t frames, bytes, size;

	a.acls = rules;
	a.acl_count = 3;
	EXPECT_EQ(t, lab_add(lab, A, &a), 0);
	EXPECT_EQ(t, lab_add(lab, B, &b), 0);
	build(&lab->packet, UDP4, false);
	size = lab->packet.count;
	EXPECT_EQ(t, lab_send_tagged(lab, B, 1), P(A));
	build(&lab->packet, TCP4, false);
	EXPECT_EQ(t, lab_send_tagged(lab, B, 1), 0);
	build(&lab->packet, TCP4, true);
	EXPECT_EQ(t, lab_send_tagged(lab, A, 1), P(B));
	vswitch_port_meter(lab->ports[A].port, 1, &frames, &bytes);
	EXPECT_EQ(t, frames, 3);
	EXPECT_EQ(t, bytes, 3 * size);
	vswitch_port_meter(lab->ports[A].port, 2, &frames, &bytes);
	EXPECT_EQ(t, frames, 1);
	vswitch_port_meter(lab->ports[A].port, 0, &frames, &bytes);
	EXPECT_EQ(t, frames, 0);
	vswitch_port_meter(lab->ports[A].port, 3, &frames, &bytes);
	EXPECT_EQ(t, frames, 0);
	/* as it was configured, and it can be given back as it is */
	again = *vswitch_port_config(lab->ports[A].port);
	EXPECT_EQ(t, again.acl_count, 3);
	expect_rules(t, again.acls, rules);
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[A].port, &again), 0);
	expect_rules(t, vswitch_port_config(lab->ports[A].port)->acls, rules);
	vswitch_port_meter(lab->ports[A].port, 1, &frames, &bytes);
	EXPECT_EQ(t, frames, 0);
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_table), TEST(test_meter)};

	return test_main(cases, ARRAY_LEN(cases));
}
