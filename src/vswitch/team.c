// SPDX-License-Identifier: Apache-2.0
/*
 * Several uplinks as one, without help from the physical switches (switch independent): those do not know that the cables belong
 * together, so a flooded frame comes back by the other cables, and what is for many comes in by each of them.
 */
#include "switch.h"

bool team_is_up(const struct vswitch *s)
{
	return s->uplink_count == 0 || s->active_count != 0;
}

static void tell_link(struct vswitch *s)
{
	for (unsigned i = 0; i < s->port_count; i++) {
		struct vswitch_port *p = s->ports[i].port;

		if (p->role != VSWITCH_UPLINK && p->ops->link != NULL) {
			p->ops->link(p->ctx, team_is_up(s));
		}
	}
}

void team_update(struct vswitch *s)
{
	bool was_up = s->was_up;

	s->active_count = 0;
	for (unsigned i = 0; i < s->uplink_count; i++) {
		if (s->uplinks[i]->up) {
			s->active[s->active_count++] = s->uplinks[i];
		}
	}
	s->was_up = team_is_up(s);
	if (was_up != s->was_up) {
		tell_link(s);
	}
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) *
				    (b ^ UINT64_C(0xd6e8feb86659fd93));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of the conversation: what all its frames have in common. */
static uint64_t hash(struct transit *t)
{
	const struct net_headers *h = transit_headers(t);
	const uint8_t *ip = t->f->head + h->l3;
	uint64_t value = mix(t->source, t->destination);
	uint16_t source, destination;

	if (h->family == 4) {
		value = mix(value, load_le64(ip + 12));
	} else if (h->family == 6) {
		value = mix(mix(value, load_le64(ip + 8)), load_le64(ip + 16));
		value = mix(mix(value, load_le64(ip + 24)), load_le64(ip + 32));
	}
	if (!h->fragment &&
	    net_headers_ports(h, t->f->head, t->f->head_bytes, &source, &destination)) {
		value = mix(value, (uint32_t)source << 16 | destination);
	}
	return value;
}

/* The uplink with the highest draw: when one goes, only its conversations move. */
struct vswitch_port *team_choose(struct transit *t)
{
	struct vswitch *s = t->s;
	struct vswitch_port *best = s->active_count != 0 ? s->active[0] : NULL;
	uint64_t value, most = 0;

	if (s->active_count <= 1 || s->config.team == VSWITCH_TEAM_STANDBY) {
		return best;
	}
	value = hash(t);
	for (unsigned i = 0; i < s->uplink_count; i++) {
		uint64_t draw = mix(value, i + 1);

		if (s->uplinks[i]->up && draw >= most) {
			most = draw;
			best = s->uplinks[i];
		}
	}
	return best;
}

bool team_accepts(const struct transit *t)
{
	const struct vswitch *s = t->s;

	if (s->active_count <= 1 || t->from == s->active[0]) {
		return true;
	}
	return s->config.team != VSWITCH_TEAM_STANDBY && !mac_is_multicast(t->destination);
}
