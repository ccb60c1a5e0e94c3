// SPDX-License-Identifier: Apache-2.0
/*
 * Who wants which multicast (RFC 4541). Memberships are believed only while a querier makes hosts repeat them, and only when it has had the
 * time to hear all of them; before that, multicast goes everywhere, as without snooping.
 */
#include <string.h>

#include "switch.h"

/* The defaults of RFC 3376, 8: robustness 2, queries every 125 s, answers within 10 s, 2 last queries 1 s apart. */
#define MEMBER_NS (260 * SECOND_NS)
#define QUERIER_NS (255 * SECOND_NS)
#define ANSWERS_NS (10 * SECOND_NS)
#define LEAVE_NS (2 * SECOND_NS)
#define SWEEP_NS (5 * SECOND_NS)

/* ---- Ports that get all multicast ---- */

static bool gets_everything(const struct vswitch_port *p, uint64_t now_ns)
{
	return p->router_ns[0] > now_ns || p->router_ns[1] > now_ns || p->everything_ns > now_ns;
}

static void list_router(struct vswitch_port *p)
{
	struct vswitch *s = p->s;

	for (unsigned i = 0; i < s->router_count; i++) {
		if (s->routers[i] == p) {
			return;
		}
	}
	s->routers[s->router_count++] = p;
}

void snoop_forget(struct vswitch_port *p)
{
	struct vswitch *s = p->s;

	for (unsigned i = 0; i < s->router_count; i++) {
		if (s->routers[i] == p) {
			s->routers[i] = s->routers[--s->router_count];
			break;
		}
	}
	memset(p->router_ns, 0, sizeof(p->router_ns));
	p->everything_ns = 0;
	if (p->role != VSWITCH_UPLINK) {
		snoop_group_forget_port(&s->snoop, p);
	} else if (s->active_count == 0) {
		memset(s->team_router_ns, 0, sizeof(s->team_router_ns));
		snoop_group_forget_port(&s->snoop, NULL);
	}
}

void snoop_age(struct vswitch *s, uint64_t now_ns)
{
	if (now_ns - s->snoop.swept_ns < SWEEP_NS) {
		return;
	}
	s->snoop.swept_ns = now_ns;
	snoop_group_forget_old(&s->snoop, now_ns);
	for (unsigned i = 0; i < s->router_count;) {
		if (gets_everything(s->routers[i], now_ns)) {
			i++;
		} else {
			s->routers[i] = s->routers[--s->router_count];
		}
	}
}

/* ---- Learning ---- */

static unsigned family_index(uint8_t family)
{
	return family == 6;
}

static void learn_router(struct transit *t, unsigned family)
{
	struct vswitch_port *p = t->from;

	if (p->role == VSWITCH_UPLINK) {
		t->s->team_router_ns[family] = t->now_ns + QUERIER_NS;
	} else if (p->role != VSWITCH_VM || !p->config.router_guard) {
		p->router_ns[family] = t->now_ns + QUERIER_NS;
		list_router(p);
	}
}

static void learn_querier(struct transit *t, unsigned family)
{
	struct snoop_querier *q = &t->s->snoop.queriers[t->fid][family];

	if (q->until_ns <= t->now_ns) {
		q->since_ns = t->now_ns;
	}
	q->until_ns = t->now_ns + QUERIER_NS;
}

static bool querier_is_there(const struct transit *t, unsigned family)
{
	const struct snoop_querier *q = &t->s->snoop.queriers[t->fid][family];

	return q->until_ns > t->now_ns && t->now_ns >= q->since_ns + ANSWERS_NS;
}

/* 224.0.0.0/24; scopes up to the link, except the solicited-node groups, of which each host has its own. */
static bool is_link_local(const uint8_t *address, uint8_t family)
{
	static const uint8_t solicited[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

	if (family == 4) {
		return address[0] == 224 && address[1] == 0 && address[2] == 0;
	}
	return (address[1] & 0xf) <= 2 && memcmp(address, solicited, sizeof(solicited)) != 0;
}

static bool is_multicast(const uint8_t *address, uint8_t family)
{
	return family == 4 ? (address[0] & 0xf0) == 0xe0 : address[0] == 0xff;
}

static struct snoop_key key_of(struct transit *t, const uint8_t *address)
{
	struct snoop_key key = {.fid = t->fid, .family = transit_headers(t)->family};

	if (key.family == 4) {
		memcpy(key.address + 12, address, 4);
	} else {
		memcpy(key.address, address, 16);
	}
	return key;
}

static void join(struct transit *t, const struct snoop_key *key, struct vswitch_port *p)
{
	struct snoop_member *m = snoop_group_join(&t->s->snoop, key, p);

	if (m != NULL) {
		m->until_ns = t->now_ns + MEMBER_NS;
	} else if (p == NULL) {
		t->s->team_router_ns[family_index(key->family)] = t->now_ns + MEMBER_NS;
	} else {
		p->everything_ns = t->now_ns + MEMBER_NS;
		list_router(p);
	}
}

static void leave(struct transit *t, const struct snoop_key *key, struct vswitch_port *p)
{
	struct snoop_group *g = snoop_group_find(&t->s->snoop, key);
	struct snoop_member *m = g != NULL ? snoop_group_member(g, p) : NULL;

	if (m == NULL) {
		return;
	}
	if (p != NULL && p->role == VSWITCH_VM && !p->spoofing) {
		snoop_group_leave(&t->s->snoop, key, p); /* nobody else is behind the port */
	} else {
		/* the querier asks whether there are others */
		m->until_ns = min_u64(m->until_ns, t->now_ns + LEAVE_NS);
	}
}

static void change(struct transit *t, const uint8_t *address, bool joins)
{
	uint8_t family = transit_headers(t)->family;
	struct vswitch_port *p = t->from->role == VSWITCH_UPLINK ? NULL : t->from;
	struct snoop_key key;

	if (!is_multicast(address, family) || is_link_local(address, family)) {
		return;
	}
	key = key_of(t, address);
	if (joins) {
		join(t, &key, p);
	} else {
		leave(t, &key, p);
	}
}

/* ---- Forwarding ---- */

/* To @p unless it was there already; it must carry the VLAN. */
static void send_once(struct transit *t, struct vswitch_port *p)
{
	if (p->marked != t->s->mark && p->up && vlan_carries(p, t->vid)) {
		p->marked = t->s->mark;
		forward_to(t, p);
	}
}

static bool team_gets(const struct transit *t, unsigned family)
{
	return t->s->team_router_ns[family] > t->now_ns;
}

static void send_to_uplinks(struct transit *t)
{
	struct vswitch_port *p = t->from->role != VSWITCH_UPLINK ? team_choose(t) : NULL;

	if (p != NULL) {
		send_once(t, p);
	}
}

static void send_to_routers(struct transit *t, unsigned family)
{
	for (unsigned i = 0; i < t->s->router_count; i++) {
		if (gets_everything(t->s->routers[i], t->now_ns)) {
			send_once(t, t->s->routers[i]);
		}
	}
	if (team_gets(t, family)) {
		send_to_uplinks(t);
	}
}

static void send_to_group(struct transit *t, const uint8_t *address, unsigned family)
{
	struct snoop_key key = key_of(t, address);
	struct snoop_group *g = snoop_group_find(&t->s->snoop, &key);

	for (struct snoop_member *m = g != NULL ? g->members : NULL; m != NULL; m = m->next) {
		if (m->until_ns <= t->now_ns) {
			continue;
		}
		if (m->port != NULL) {
			send_once(t, m->port);
		} else {
			send_to_uplinks(t);
		}
	}
	send_to_routers(t, family);
}

/* Not to hosts: who hears that another one has joined need not say so itself, and would be missed here. */
static void send_report(struct transit *t, unsigned family)
{
	if (querier_is_there(t, family)) {
		send_to_routers(t, family);
	} else {
		forward_flood(t);
	}
}

void snoop_forward(struct transit *t)
{
	const struct net_headers *h = transit_headers(t);
	const uint8_t *address = t->f->head + h->l3 + (h->family == 4 ? 16 : 24);
	unsigned family = family_index(h->family);
	struct snoop_message m;

	if (h->family == 0 || !is_multicast(address, h->family)) {
		forward_flood(t);
		return;
	}
	t->s->mark++;
	snoop_read(t, &m);
	if (m.what == SNOOP_REPORT) {
		snoop_each(&m, h->family, t, change);
		send_report(t, family);
		return;
	}
	if (m.what == SNOOP_QUERY && !m.from_nobody) {
		learn_querier(t, family);
		learn_router(t, family);
	} else if (m.what == SNOOP_ROUTER) {
		learn_router(t, family);
	}
	if (m.what != SNOOP_DATA || is_link_local(address, h->family) ||
	    !querier_is_there(t, family)) {
		forward_flood(t);
	} else {
		send_to_group(t, address, family);
	}
}
