// SPDX-License-Identifier: Apache-2.0
/*
 * Any frames with any offloads into a switch that has everything: guards, ACLs, VLANs, private VLANs, mirrors, limits, a team. Whatever
 * comes out is well-formed, fits who gets it, and is for them.
 */
#include <stdlib.h>

#include "headers.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "test/input.h"
#include "vswitch/vswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { GUARDED, PLAIN, LOOSE, ISOLATED, COMMUNITY, PROMISCUOUS, SEER, HOST, UP1, UP2, PORTS };

struct receiver {
	struct vswitch_port *port;
	unsigned number;
	unsigned refuses; /* frames to come */
};

struct session {
	struct vswitch *s;
	struct receiver ports[PORTS];
	uint64_t now_ns;
	uint8_t frame[NET_FRAME_BYTES_MAX + 64];
	uint8_t copy[NET_FRAME_BYTES_MAX];
	const uint8_t *sent; /* for the destination */
};

static bool is_access(const struct vswitch_port_config *c)
{
	return c->vlan.mode != VSWITCH_VLAN_TRUNK;
}

static void check_frame(const struct vswitch_port_config *c, const struct net_frame *f)
{
	uint8_t gso = f->offload.gso & (uint8_t)~NET_GSO_ECN;
	uint32_t mtu = c->mtu != 0 ? c->mtu : NET_MTU_MAX;

	CHECK(net_frame_check(f) == NULL);
	CHECK((f->offload.flags & NET_OFFLOAD_NEEDS_CSUM) == 0 || (c->takes & NET_TAKES_CSUM) != 0);
	CHECK(gso != NET_GSO_TCPV4 || (c->takes & NET_TAKES_TSO4) != 0);
	CHECK(gso != NET_GSO_TCPV6 || (c->takes & NET_TAKES_TSO6) != 0);
	CHECK(gso != NET_GSO_UDP || (c->takes & NET_TAKES_USO) != 0);
	CHECK(gso != 0 || f->bytes <= mtu + NET_ETHERNET_BYTES + 4);
	if ((c->mirror & VSWITCH_MIRROR_TO) != 0) {
		return;
	}
	CHECK(!is_access(c) || f->tag == NET_TAG_NONE);
	CHECK(c->role != VSWITCH_VM || c->spoofing || (f->head[0] & 1) != 0 ||
	      memcmp(f->head, c->mac, NET_MAC_BYTES) == 0);
}

/* Nothing that the guards stop comes from who is guarded, whatever was filled in or cut on the way. */
static void check_guard(const struct net_frame *f)
{
	static const uint8_t guarded[NET_MAC_BYTES] = {2, 0, 0, 0, 0, GUARDED};
	uint16_t source, destination;
	struct net_headers h;

	if (memcmp(f->head + NET_MAC_BYTES, guarded, NET_MAC_BYTES) != 0) {
		return;
	}
	net_headers_parse(f->head, f->head_bytes, &h);
	CHECK(h.complete);
	if (h.protocol == IP_ICMPV6 && h.family == 6 && !h.later) {
		CHECK(f->head[h.l4] != 134 && f->head[h.l4] != 137);
	}
	if (h.protocol == IP_UDP &&
	    net_headers_ports(&h, f->head, f->head_bytes, &source, &destination)) {
		CHECK(source != (h.family == 4 ? 67 : 547) &&
		      destination != (h.family == 4 ? 68 : 546));
	}
}

static bool deliver(void *ctx, const struct net_frame *f)
{
	struct receiver *r = ctx;
	struct session *s = container_of(r - r->number, struct session, ports);

	check_frame(vswitch_port_config(r->port), f);
	check_guard(f);
	net_frame_copy(f, 0, s->copy, f->bytes);
	if (r->refuses != 0) {
		r->refuses--;
		return false;
	}
	return true;
}

static void flush(void *ctx)
{
}

static const struct vswitch_acl acls[] = {
	{.action = VSWITCH_ACL_METER, .in = true, .out = true, .weight = 9},
	{.action = VSWITCH_ACL_DENY,
	 .out = true,
	 .protocol = 6,
	 .remote_port_first = 22,
	 .remote_port_last = 25},
	{.action = VSWITCH_ACL_DENY,
	 .in = true,
	 .family = 4,
	 .remote_ip = {10, 9},
	 .remote_prefix = 15},
	{.action = VSWITCH_ACL_ALLOW,
	 .in = true,
	 .family = 6,
	 .local_ip = {0xfe, 0x80},
	 .local_prefix = 10},
	{.action = VSWITCH_ACL_DENY,
	 .in = true,
	 .protocol = 17,
	 .local_port_first = 1,
	 .local_port_last = 50},
};

static void set_trunk(struct vswitch_vlan *vlan)
{
	vlan->mode = VSWITCH_VLAN_TRUNK;
	memset(vlan->trunk, 0xff, sizeof(vlan->trunk));
}

static void set_private(struct vswitch_vlan *vlan, enum vswitch_private kind, uint16_t secondary)
{
	vlan->mode = VSWITCH_VLAN_PRIVATE;
	vlan->vid = 100;
	vlan->private = kind;
	vlan->secondary = secondary;
}

static void special(struct vswitch_port_config *c, unsigned i)
{
	switch (i) {
	case GUARDED:
		c->dhcp_guard = c->router_guard = true;
		c->acls = acls;
		c->acl_count = ARRAY_LEN(acls);
		c->mirror = VSWITCH_MIRROR_IN | VSWITCH_MIRROR_OUT;
		c->max_bps = 1000000;
		break;
	case LOOSE:
		c->spoofing = true;
		c->broadcast_pps = c->multicast_pps = c->unknown_pps = 1000;
		set_trunk(&c->vlan);
		break;
	case ISOLATED:
		set_private(&c->vlan, VSWITCH_PRIVATE_ISOLATED, 101);
		break;
	case COMMUNITY:
		set_private(&c->vlan, VSWITCH_PRIVATE_COMMUNITY, 102);
		break;
	case PROMISCUOUS:
		set_private(&c->vlan, VSWITCH_PRIVATE_PROMISCUOUS, 0);
		break;
	case SEER:
		c->mirror = VSWITCH_MIRROR_TO;
		break;
	case HOST:
		c->mirror = VSWITCH_MIRROR_OUT;
		break;
	case UP1:
	case UP2:
		set_trunk(&c->vlan);
		break;
	default:
		break;
	}
}

static void make_port(struct session *s, unsigned i, uint32_t takes)
{
	static const struct vswitch_port_ops ops = {.deliver = deliver, .flush = flush};
	struct vswitch_port_config c = {.name = {'p', (char)('a' + i)},
					.mac = {2, 0, 0, 0, 0, (uint8_t)i},
					.mtu = i % 2 != 0 ? 1500 : 0,
					.takes = takes};

	c.role = i == HOST ? VSWITCH_HOST : i >= UP1 ? VSWITCH_UPLINK : VSWITCH_VM;
	if (c.role != VSWITCH_VM) {
		memset(c.mac, 0, sizeof(c.mac));
	}
	special(&c, i);
	s->ports[i].number = i;
	CHECK(vswitch_port_add(s->s, &c, &ops, &s->ports[i], &s->ports[i].port) == 0);
}

/* Offloads that match the headers, which chance would seldom find. */
static void match_offload(struct net_frame *f, uint8_t gso, uint16_t gso_bytes)
{
	uint16_t header_bytes = net_gso_header_bytes(f->head, f->head_bytes, gso);
	bool udp = gso == NET_GSO_UDP;
	uint16_t l4_bytes = udp ? 8 : 20;

	if (header_bytes != 0 && !udp) {
		/* with options the TCP header is longer; its place is behind the IP header */
		for (unsigned at = header_bytes - 20u; at > 14; at -= 4) {
			if ((f->head[at + 12] >> 4) * 4u == header_bytes - at) {
				l4_bytes = (uint16_t)(header_bytes - at);
				break;
			}
		}
	}
	f->offload = (struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM,
					  .gso = gso,
					  .header_bytes = header_bytes,
					  .gso_bytes = gso_bytes,
					  .csum_start = (uint16_t)(header_bytes - l4_bytes),
					  .csum_offset = udp ? 6 : 16};
}

/* What the frame says: flags, size, then bytes; the rest of a larger one repeats. */
static void send_frame(struct session *s, struct input *in)
{
	static const uint8_t kinds[] = {NET_GSO_TCPV4, NET_GSO_TCPV6, NET_GSO_UDP,
					NET_GSO_TCPV4 | NET_GSO_ECN};
	uint8_t port = input_u8(in), flags = input_u8(in);
	uint32_t given = input_u8(in), bytes = given;
	struct net_frame f = {.head = s->frame, .tag = NET_TAG_NONE};
	struct io_vec rest[2];

	input_take(in, s->frame, given);
	if ((flags & 1) != 0) {
		bytes = (uint32_t)min_u64(input_u16(in) + 1u, NET_FRAME_BYTES_MAX);
		for (uint32_t i = given; i < bytes; i++) {
			s->frame[i] = (uint8_t)(i * 3);
		}
	}
	if ((flags & 2) != 0) {
		f.tag = input_u16(in);
	}
	f.bytes = bytes;
	f.head_bytes = (uint32_t)min_u64(bytes, NET_HEAD_BYTES);
	if ((flags & 4) != 0) {
		input_take(in, &f.offload, sizeof(f.offload));
	} else if ((flags & 8) != 0) {
		match_offload(&f, kinds[flags >> 4 & 3], (uint16_t)(input_u16(in) % 4096 + 1));
	}
	rest[0] = (struct io_vec){s->frame + f.head_bytes, (bytes - f.head_bytes) / 2};
	rest[1] = (struct io_vec){s->frame + f.head_bytes + rest[0].bytes,
				  bytes - f.head_bytes - rest[0].bytes};
	f.rest = rest;
	f.rest_count = 2;
	vswitch_input(s->ports[port % PORTS].port, &f, s->now_ns);
}

static void step(struct session *s, struct input *in)
{
	uint8_t what = input_u8(in);
	struct receiver *r = &s->ports[(what >> 3) % PORTS];
	uint64_t when;

	switch (what & 7) {
	case 0:
		s->now_ns += (uint64_t)input_u8(in) << 30;
		vswitch_tick(s->s, s->now_ns);
		break;
	case 1:
		vswitch_port_link(r->port, (what & 0x80) != 0);
		break;
	case 2:
		r->refuses = input_u8(in);
		break;
	case 3:
		vswitch_flush(s->s);
		vswitch_port_budget(r->port, s->now_ns, &when);
		break;
	default:
		send_frame(s, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	struct session *s = calloc(1, sizeof(*s));
	uint8_t shape = input_u8(&in);
	const struct vswitch_config config = {.macs_max = 256,
					      .team = (shape & 1) != 0 ? VSWITCH_TEAM_STANDBY
								       : VSWITCH_TEAM_HASH,
					      .no_snooping = (shape & 2) != 0};

	CHECK(s != NULL && vswitch_create(&config, &s->s) == 0);
	s->now_ns = 1;
	for (unsigned i = 0; i < PORTS; i++) {
		/* most take nothing, so that everything is cut and summed up */
		make_port(s, i,
			  (shape & 4) != 0 && i % 2 == 0 ? NET_TAKES_ALL
			  : i == HOST			 ? NET_TAKES_CSUM
							 : 0);
	}
	while (in.left != 0) {
		step(s, &in);
	}
	vswitch_destroy(s->s);
	free(s);
	return 0;
}
