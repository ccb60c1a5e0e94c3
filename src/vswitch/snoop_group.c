// SPDX-License-Identifier: Apache-2.0
/* Multicast groups and their members: a hash of lists, limited in all and per port. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch.h"

#define GROUPS_MAX 4096u
#define MEMBERS_MAX 16384u
#define PORT_MEMBERSHIPS_MAX 256u

static struct snoop_group **find_group(struct snoop *n, const struct snoop_key *key)
{
	uint32_t hash = load_be32(key->address + 12) ^ load_be32(key->address) ^ key->fid * 0x9e37u;
	struct snoop_group **link;

	hash *= 0x9e3779b1u;
	link = &n->buckets[hash >> 22 & (SNOOP_BUCKETS - 1)];
	while (*link != NULL && memcmp(&(*link)->key, key, sizeof(*key)) != 0) {
		link = &(*link)->next;
	}
	return link;
}

static struct snoop_member **find_member(struct snoop_group *g, const struct vswitch_port *p)
{
	struct snoop_member **link = &g->members;

	while (*link != NULL && (*link)->port != p) {
		link = &(*link)->next;
	}
	return link;
}

static void remove_member(struct snoop *n, struct snoop_member **link)
{
	struct snoop_member *m = *link;

	if (m->port != NULL) {
		m->port->memberships--;
	}
	*link = m->next;
	n->members--;
	free(m);
}

/* False: it is not empty. */
static bool remove_empty(struct snoop *n, struct snoop_group **link)
{
	struct snoop_group *g = *link;

	if (g->members != NULL) {
		return false;
	}
	*link = g->next;
	n->groups--;
	free(g);
	return true;
}

/* NULL: there is no room for it. */
static struct snoop_group *make_group(struct snoop *n, struct snoop_group **link,
				      const struct snoop_key *key)
{
	struct snoop_group *g = n->groups < GROUPS_MAX ? calloc(1, sizeof(*g)) : NULL;

	if (g != NULL) {
		g->key = *key;
		*link = g;
		n->groups++;
	}
	return g;
}

static struct snoop_member *make_member(struct snoop *n, struct snoop_group *g,
					struct vswitch_port *p)
{
	struct snoop_member *m;

	if (n->members >= MEMBERS_MAX || (p != NULL && p->memberships >= PORT_MEMBERSHIPS_MAX)) {
		return NULL;
	}
	m = calloc(1, sizeof(*m));
	if (m != NULL) {
		*m = (struct snoop_member){.next = g->members, .port = p};
		g->members = m;
		n->members++;
		if (p != NULL) {
			p->memberships++;
		}
	}
	return m;
}

int snoop_init(struct snoop *n)
{
	n->queriers = calloc(NET_VIDS, sizeof(*n->queriers));
	return n->queriers != NULL ? 0 : -ENOMEM;
}

/* Removes the members that @goes names, and groups without any. */
static void sweep(struct snoop *n, bool (*goes)(const struct snoop_member *m, const void *ctx),
		  const void *ctx)
{
	for (unsigned i = 0; i < SNOOP_BUCKETS; i++) {
		struct snoop_group **g = &n->buckets[i];

		while (*g != NULL) {
			struct snoop_member **m = &(*g)->members;

			while (*m != NULL) {
				if (goes(*m, ctx)) {
					remove_member(n, m);
				} else {
					m = &(*m)->next;
				}
			}
			if (!remove_empty(n, g)) {
				g = &(*g)->next;
			}
		}
	}
}

static bool goes_always(const struct snoop_member *m, const void *ctx)
{
	return true;
}

static bool goes_with_port(const struct snoop_member *m, const void *ctx)
{
	return m->port == ctx;
}

static bool goes_by_time(const struct snoop_member *m, const void *ctx)
{
	return m->until_ns <= *(const uint64_t *)ctx;
}

void snoop_fini(struct snoop *n)
{
	if (n->queriers != NULL) {
		sweep(n, goes_always, NULL);
		free(n->queriers);
	}
}

void snoop_group_forget_port(struct snoop *n, const struct vswitch_port *p)
{
	sweep(n, goes_with_port, p);
}

void snoop_group_forget_old(struct snoop *n, uint64_t now_ns)
{
	sweep(n, goes_by_time, &now_ns);
}

struct snoop_group *snoop_group_find(struct snoop *n, const struct snoop_key *key)
{
	return *find_group(n, key);
}

struct snoop_member *snoop_group_member(struct snoop_group *g, const struct vswitch_port *p)
{
	return *find_member(g, p);
}

struct snoop_member *snoop_group_join(struct snoop *n, const struct snoop_key *key,
				      struct vswitch_port *p)
{
	struct snoop_group **g = find_group(n, key);
	struct snoop_member *m;

	if (*g == NULL && make_group(n, g, key) == NULL) {
		return NULL;
	}
	m = *find_member(*g, p);
	if (m == NULL) {
		m = make_member(n, *g, p);
	}
	if (m == NULL) {
		remove_empty(n, g);
	}
	return m;
}

void snoop_group_leave(struct snoop *n, const struct snoop_key *key, const struct vswitch_port *p)
{
	struct snoop_group **g = find_group(n, key);
	struct snoop_member **m = *g != NULL ? find_member(*g, p) : NULL;

	if (m != NULL && *m != NULL) {
		remove_member(n, m);
		remove_empty(n, g);
	}
}
