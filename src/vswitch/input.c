// SPDX-License-Identifier: Apache-2.0
#include "switch.h"

/* An address seen inside so recently cannot have moved to the other end of an uplink: the frame came back. */
#define LOOP_NS (5 * SECOND_NS)

/* 01-80-C2-00-00-00 to -0F, of the link itself (IEEE 802.1D): spanning tree, pause, LACP, LLDP. */
#define RESERVED_MAC UINT64_C(0x0000c28001)
#define RESERVED_MASK UINT64_C(0xf0ffffffffff)

const struct net_headers *transit_headers(struct transit *t)
{
	if (!t->parsed) {
		net_headers_parse(t->f->head, t->f->head_bytes, &t->headers);
		t->parsed = true;
	}
	return &t->headers;
}

static bool has_form(const struct transit *t)
{
	return net_frame_check(t->f) == NULL;
}

static bool storm_stops(struct transit *t)
{
	struct vswitch_port *p = t->from;

	if (!mac_is_multicast(t->destination)) {
		return false;
	}
	if (t->destination == MAC_BROADCAST) {
		return !storm_allows(&p->storm_broadcast, p->config.broadcast_pps, t->now_ns);
	}
	return !storm_allows(&p->storm_multicast, p->config.multicast_pps, t->now_ns);
}

/* Is the source an address that another port has for certain? */
static bool source_is_taken(struct transit *t)
{
	const struct mac_entry *own = mac_find(&t->s->macs, t->source, VSWITCH_VID_ANY);

	if (own != NULL && own->port != t->from && vlan_shares(t, own->port)) {
		return true;
	}
	return t->known != NULL && t->known->kind == MAC_FIXED && t->known->port != t->from;
}

static bool source_came_back(const struct transit *t)
{
	return t->known != NULL && t->known->port->role != VSWITCH_UPLINK &&
	       t->now_ns - t->known->seen_ns < LOOP_NS;
}

/* May the source be here? Sets t->known. */
static enum vswitch_drop check_source(struct transit *t)
{
	struct vswitch_port *p = t->from;

	if (t->source == p->own_mac) {
		return VSWITCH_DROPS;
	}
	t->known = mac_find(&t->s->macs, t->source, t->fid);
	if (p->role == VSWITCH_UPLINK) {
		return source_is_taken(t) || source_came_back(t) || !team_accepts(t)
			       ? VSWITCH_DROP_LOOP
			       : VSWITCH_DROPS;
	}
	if (source_is_taken(t)) {
		return VSWITCH_DROP_SPOOF;
	}
	if (p->role == VSWITCH_VM && !p->spoofing &&
	    (t->known == NULL || t->known->kind != MAC_FIXED)) {
		return VSWITCH_DROP_SPOOF;
	}
	return VSWITCH_DROPS;
}

/* Why @t may not enter; VSWITCH_DROPS: it may. */
static enum vswitch_drop check(struct transit *t)
{
	struct vswitch_port *p = t->from;
	enum vswitch_drop drop;

	if (mac_is_multicast(t->source) || t->source == 0) {
		return VSWITCH_DROP_FORM;
	}
	if (t->f->offload.gso == NET_GSO_NONE &&
	    t->f->bytes > NET_ETHERNET_BYTES + 4 + NET_MTU_MAX) {
		return VSWITCH_DROP_SIZE;
	}
	if (storm_stops(t)) {
		return VSWITCH_DROP_STORM;
	}
	if (!vlan_enter(t)) {
		return VSWITCH_DROP_VLAN;
	}
	drop = check_source(t);
	if (drop != VSWITCH_DROPS) {
		return drop;
	}
	if ((t->destination & RESERVED_MASK) == RESERVED_MAC) {
		return VSWITCH_DROP_RESERVED;
	}
	if (p->guarded && guard_stops(t)) {
		return VSWITCH_DROP_GUARD;
	}
	return p->acls.out && !acl_allows(t, p, true) ? VSWITCH_DROP_ACL : VSWITCH_DROPS;
}

static void accept(struct transit *t)
{
	struct vswitch_port *p = t->from;

	p->stats.in_frames++;
	p->stats.in_bytes += t->f->bytes;
	if (mac_is_multicast(t->destination)) {
		p->stats.in_broadcast += t->destination == MAC_BROADCAST;
		p->stats.in_multicast += t->destination != MAC_BROADCAST;
	}
	if (t->source != p->own_mac && (t->known == NULL || t->known->kind == MAC_LEARNED)) {
		mac_learn(t);
	}
	if ((p->mirror & VSWITCH_MIRROR_IN) != 0) {
		mirror_copy(t->s, t->f);
	}
	forward(t);
}

void vswitch_input(struct vswitch_port *p, const struct net_frame *f, uint64_t now_ns)
{
	struct transit t = {.s = p->s, .from = p, .f = f, .now_ns = now_ns};
	enum vswitch_drop drop;

	budget_charge(p, f, now_ns);
	if (!p->up) {
		drop = VSWITCH_DROP_LINK;
	} else if ((p->mirror & VSWITCH_MIRROR_TO) != 0) {
		drop = VSWITCH_DROP_MIRROR;
	} else if (!has_form(&t)) {
		drop = VSWITCH_DROP_FORM;
	} else {
		t.destination = mac_of(f->head);
		t.source = mac_of(f->head + NET_MAC_BYTES);
		drop = check(&t);
	}
	if (drop == VSWITCH_DROPS) {
		accept(&t);
	} else {
		p->stats.drops_in[drop]++;
	}
}
