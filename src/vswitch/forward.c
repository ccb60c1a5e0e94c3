// SPDX-License-Identifier: Apache-2.0
#include "switch.h"

/* ---- One port ---- */

bool forward_fits(const struct vswitch_port *p, const struct net_frame *f)
{
	uint32_t link = NET_ETHERNET_BYTES + (net_is_tag(load_be16(f->head + 12)) ? 4 : 0);
	/* a large segment counts as what it will be on a wire */
	uint32_t bytes = f->offload.gso == NET_GSO_NONE
				 ? f->bytes
				 : (uint32_t)min_u64(f->bytes, (uint32_t)f->offload.header_bytes +
								       f->offload.gso_bytes);

	return bytes <= link + p->mtu;
}

static bool deliver_one(void *ctx, const struct net_frame *f)
{
	struct vswitch_port *p = ctx;

	if (!p->ops->deliver(p->ctx, f)) {
		p->stats.drops_out[VSWITCH_DROP_ROOM]++;
		return false;
	}
	p->stats.out_frames++;
	p->stats.out_bytes += f->bytes;
	if (mac_is_multicast(f->head[0])) {
		bool broadcast = mac_of(f->head) == MAC_BROADCAST;

		p->stats.out_broadcast += broadcast;
		p->stats.out_multicast += !broadcast;
	}
	return true;
}

unsigned forward_deliver(struct vswitch_port *p, const struct net_frame *f)
{
	if (!p->dirty) {
		p->dirty = true;
		p->s->dirty[p->s->dirty_count++] = p;
	}
	if ((f->offload.flags & NET_OFFLOAD_NEEDS_CSUM) == 0) {
		return deliver_one(p, f);
	}
	return net_frame_fit(f, p->takes, p->s->scratch, deliver_one, p);
}

void forward_to(struct transit *t, struct vswitch_port *p)
{
	struct net_frame out = *t->f;

	if (p == NULL || p->role == VSWITCH_UPLINK) {
		if (t->from->role == VSWITCH_UPLINK) {
			return;
		}
		p = team_choose(t);
	}
	if (p == NULL || p == t->from || (p->mirror & VSWITCH_MIRROR_TO) != 0) {
		return;
	}
	if (!p->up) {
		p->stats.drops_out[VSWITCH_DROP_LINK]++;
	} else if (!vlan_leave(t, p, &out.tag)) {
		p->stats.drops_out[VSWITCH_DROP_VLAN]++;
	} else if (p->acls.in && !acl_allows(t, p, false)) {
		p->stats.drops_out[VSWITCH_DROP_ACL]++;
	} else if (!forward_fits(p, &out)) {
		p->stats.drops_out[VSWITCH_DROP_SIZE]++;
	} else if (forward_deliver(p, &out) != 0 && (p->mirror & VSWITCH_MIRROR_OUT) != 0) {
		mirror_copy(t->s, &out);
	}
}

/* ---- Many ports ---- */

/* To the uplinks, if any of them carries the VLAN. */
static void flood_team(struct transit *t)
{
	struct vswitch_port *p;

	if (t->from->role == VSWITCH_UPLINK) {
		return;
	}
	p = team_choose(t);
	if (p != NULL && vlan_carries(p, t->vid)) {
		forward_to(t, p);
	}
}

void forward_flood(struct transit *t)
{
	const struct vswitch *s = t->s;

	for (unsigned i = 0; i < s->port_count; i++) {
		const struct place *place = &s->ports[i];

		if (place->role == VSWITCH_UPLINK ||
		    (place->only_vid != t->vid && place->only_vid != VSWITCH_VID_ANY)) {
			continue;
		}
		if (place->port->up && vlan_carries(place->port, t->vid)) {
			forward_to(t, place->port);
		}
	}
	flood_team(t);
}

static void forward_unknown(struct transit *t)
{
	struct vswitch_port *p = t->from;

	if (!storm_allows(&p->storm_unknown, p->config.unknown_pps, t->now_ns)) {
		p->stats.drops_in[VSWITCH_DROP_STORM]++;
		return;
	}
	if (p->role == VSWITCH_UPLINK && p != t->s->active[0]) {
		p->stats.drops_in[VSWITCH_DROP_LOOP]++; /* comes in by each of the team */
		return;
	}
	for (unsigned i = 0; i < t->s->curious_count; i++) {
		struct vswitch_port *to = t->s->curious[i];

		if (to->up && vlan_carries(to, t->vid)) {
			forward_to(t, to);
		}
	}
	flood_team(t);
}

static void forward_unicast(struct transit *t)
{
	const struct mac_table *macs = &t->s->macs;
	const struct mac_entry *e = mac_find(macs, t->destination, VSWITCH_VID_ANY);

	if (e == NULL || !vlan_shares(t, e->port)) {
		e = mac_find(macs, t->destination, t->fid);
	}
	if (e == NULL || mac_is_old(macs, e, t->now_ns)) {
		forward_unknown(t);
	} else {
		forward_to(t, e->port);
	}
}

void forward(struct transit *t)
{
	if (!mac_is_multicast(t->destination)) {
		forward_unicast(t);
	} else if (t->destination == MAC_BROADCAST || t->s->config.no_snooping) {
		forward_flood(t);
	} else {
		snoop_forward(t);
	}
}
