// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "switch.h"

#define VID_LAST 4094u

static bool bit(const uint8_t *bits, unsigned v)
{
	return (bits[v / 8] >> (v % 8) & 1) != 0;
}

static void set_bit(uint8_t *bits, unsigned v)
{
	bits[v / 8] |= (uint8_t)(1u << (v % 8));
}

/* Does @vlan make @v a secondary of its primary? */
static bool claims(const struct vswitch_vlan *vlan, unsigned v)
{
	if (vlan->mode != VSWITCH_VLAN_PRIVATE || v == 0 || v > VID_LAST) {
		return false;
	}
	return vlan->private == VSWITCH_PRIVATE_PROMISCUOUS ? bit(vlan->trunk, v)
							    : vlan->secondary == v;
}

static void add_claims(uint16_t *primary, const struct vswitch_vlan *vlan)
{
	if (vlan->mode != VSWITCH_VLAN_PRIVATE) {
		return;
	}
	for (unsigned v = 1; v <= VID_LAST; v++) {
		if (claims(vlan, v)) {
			primary[v] = vlan->vid;
		}
	}
}

/* Each VLAN is a primary, or a secondary of one primary, or neither. */
static int check_private(const struct vswitch *s, const struct vswitch_port *p,
			 const struct vswitch_vlan *vlan)
{
	uint16_t primary[NET_VIDS] = {0};

	for (unsigned i = 0; i < s->port_count; i++) {
		const struct vswitch_vlan *other = &s->ports[i].port->config.vlan;

		if (s->ports[i].port == p || other->mode != VSWITCH_VLAN_PRIVATE) {
			continue;
		}
		if (claims(vlan, other->vid)) {
			return -EADDRINUSE;
		}
		add_claims(primary, other);
	}
	if (primary[vlan->vid] != 0) {
		return -EADDRINUSE;
	}
	for (unsigned v = 1; v <= VID_LAST; v++) {
		if (claims(vlan, v) && primary[v] != 0 && primary[v] != vlan->vid) {
			return -EADDRINUSE;
		}
	}
	return 0;
}

int vlan_check(const struct vswitch *s, const struct vswitch_port *p,
	       const struct vswitch_vlan *vlan)
{
	if (vlan->vid > VID_LAST) {
		return -EINVAL;
	}
	switch (vlan->mode) {
	case VSWITCH_VLAN_ACCESS:
	case VSWITCH_VLAN_TRUNK:
		return 0;
	case VSWITCH_VLAN_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (vlan->vid == 0 || claims(vlan, vlan->vid)) {
		return -EINVAL;
	}
	switch (vlan->private) {
	case VSWITCH_PRIVATE_ISOLATED:
	case VSWITCH_PRIVATE_COMMUNITY:
		if (vlan->secondary == 0 || vlan->secondary > VID_LAST) {
			return -EINVAL;
		}
		return check_private(s, p, vlan);
	case VSWITCH_PRIVATE_PROMISCUOUS:
		return check_private(s, p, vlan);
	default:
		return -EINVAL;
	}
}

static void carry_private(struct vswitch *s, struct vswitch_port *p)
{
	const struct vswitch_vlan *vlan = &p->config.vlan;

	set_bit(p->carries, vlan->vid);
	p->vid = vlan->secondary;
	if (vlan->private == VSWITCH_PRIVATE_COMMUNITY) {
		set_bit(p->carries, vlan->secondary);
	}
	if (vlan->private == VSWITCH_PRIVATE_PROMISCUOUS) {
		p->vid = vlan->vid;
		for (unsigned v = 1; v <= VID_LAST; v++) {
			if (s->primary[v] == vlan->vid) {
				set_bit(p->carries, v);
			}
		}
	}
}

/* What follows from the configuration of @p. */
static void carry(struct vswitch *s, struct vswitch_port *p)
{
	const struct vswitch_vlan *vlan = &p->config.vlan;
	struct place *place = &s->ports[p->place];

	memset(p->carries, 0, sizeof(p->carries));
	p->vid = vlan->vid;
	p->trunk = vlan->mode == VSWITCH_VLAN_TRUNK;
	place->only_vid = VSWITCH_VID_ANY;
	if (vlan->mode == VSWITCH_VLAN_PRIVATE) {
		carry_private(s, p);
		return;
	}
	if (p->trunk) {
		memcpy(p->carries, vlan->trunk, sizeof(p->carries));
		p->carries[0] &= 0xfe; /* 0 and 4095 are no VLANs */
		p->carries[sizeof(p->carries) - 1] &= 0x7f;
	} else {
		place->only_vid = vlan->vid;
	}
	set_bit(p->carries, vlan->vid);
}

void vlan_update(struct vswitch *s, struct vswitch_port *changed, bool private_changed)
{
	if (!private_changed) {
		carry(s, changed);
		return;
	}
	memset(s->primary, 0, sizeof(s->primary));
	for (unsigned i = 0; i < s->port_count; i++) {
		add_claims(s->primary, &s->ports[i].port->config.vlan);
	}
	for (unsigned i = 0; i < s->port_count; i++) {
		carry(s, s->ports[i].port);
	}
}

/* A tag in the bytes, behind the one that travels beside them (or in its place). */
static bool has_inner_tag(const struct net_frame *f)
{
	return net_is_tag(load_be16(f->head + 12));
}

/* The VLAN in which the addresses of @vid are learned. */
static uint16_t fid_of(const struct vswitch *s, uint16_t vid)
{
	return s->primary[vid] != 0 ? s->primary[vid] : vid;
}

bool vlan_shares(const struct transit *t, const struct vswitch_port *p)
{
	return vlan_carries(p, t->vid) || fid_of(t->s, p->vid) == t->fid;
}

bool vlan_enter(struct transit *t)
{
	const struct vswitch_port *p = t->from;
	uint32_t tag = t->f->tag;

	t->vid = p->vid;
	if (tag != NET_TAG_NONE && NET_TAG_VID(tag) != 0) {
		t->vid = (uint16_t)NET_TAG_VID(tag);
		if (!p->trunk || !vlan_carries(p, t->vid)) {
			return false;
		}
	} else if (has_inner_tag(t->f)) {
		return false; /* would choose its own VLAN wherever it leaves untagged */
	}
	t->fid = fid_of(t->s, t->vid);
	return true;
}

bool vlan_leave(const struct transit *t, const struct vswitch_port *p, uint32_t *ret_tag)
{
	if (!vlan_carries(p, t->vid)) {
		return false;
	}
	if (!p->trunk || t->vid == p->vid) {
		*ret_tag = NET_TAG_NONE;
		return !has_inner_tag(
			t->f); /* double tagging: the inner one would become the outer one */
	}
	*ret_tag = t->vid | (t->f->tag != NET_TAG_NONE ? t->f->tag & 0xf000 : 0);
	return true;
}
