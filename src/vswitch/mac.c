// SPDX-License-Identifier: Apache-2.0
/*
 * A hash of chained entries, all allocated at the beginning. Each port's entries are on a list of their own, the last seen first, so that
 * aging looks at the ends of lists only and a port is forgotten at the cost of what it has.
 *
 * No port can push out others: a port takes up to a quarter of the table while there is room (uplinks and the host: all of it); when
 * there is none, a port with its fair share or more gives up its own oldest entry, and only one with less gets that of
 * the port that has the most.
 */
#include <errno.h>
#include <stdlib.h>

#include "switch.h"

#define MACS_DEFAULT 16384u
#define MACS_MIN 256u
#define MACS_MAX (1u << 20)
#define AGING_DEFAULT_NS (300 * SECOND_NS)
/* A seed that nobody knows keeps chains short; this keeps them short even then. */
#define CHAIN_MAX 32u
/* An entry is written to at most this often while its address is in use. */
#define REFRESH_NS SECOND_NS

static uint64_t key_of(uint64_t mac, uint16_t vid)
{
	return mac | (uint64_t)vid << 48;
}

static uint64_t mac_of_key(uint64_t key)
{
	return key & UINT64_C(0xffffffffffff);
}

static uint32_t bucket_of(const struct mac_table *t, uint64_t key)
{
	unsigned __int128 product = (unsigned __int128)(key ^ t->seed) *
				    ((t->seed >> 17 ^ UINT64_C(0x9e3779b97f4a7c15)) | 1);

	return ((uint32_t)product ^ (uint32_t)(product >> 32) ^ (uint32_t)(product >> 64)) &
	       t->mask;
}

int mac_table_init(struct mac_table *t, const struct vswitch_config *config)
{
	uint32_t max = config->macs_max != 0 ? config->macs_max : MACS_DEFAULT, buckets = 1;

	if (max < MACS_MIN || max > MACS_MAX) {
		return -EINVAL;
	}
	while (buckets < max) {
		buckets *= 2;
	}
	*t = (struct mac_table){.mask = buckets - 1,
				.max = max,
				.seed = config->seed,
				.aging_ns = config->aging_ns != 0 ? config->aging_ns
								  : AGING_DEFAULT_NS};
	t->buckets = malloc(buckets * sizeof(*t->buckets));
	t->entries = calloc(max, sizeof(*t->entries));
	if (t->buckets == NULL || t->entries == NULL) {
		mac_table_fini(t);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < buckets; i++) {
		t->buckets[i] = MAC_NONE;
	}
	for (uint32_t i = 0; i < max; i++) {
		t->entries[i].next = i + 1 < max ? i + 1 : MAC_NONE;
	}
	return 0;
}

void mac_table_fini(struct mac_table *t)
{
	free(t->buckets);
	free(t->entries);
}

struct mac_entry *mac_find(const struct mac_table *t, uint64_t mac, uint16_t vid)
{
	uint64_t key = key_of(mac, vid);

	for (uint32_t i = t->buckets[bucket_of(t, key)]; i != MAC_NONE; i = t->entries[i].next) {
		if (t->entries[i].key == key) {
			return &t->entries[i];
		}
	}
	return NULL;
}

bool mac_is_old(const struct mac_table *t, const struct mac_entry *e, uint64_t now_ns)
{
	return e->kind == MAC_LEARNED && now_ns > e->seen_ns && now_ns - e->seen_ns > t->aging_ns;
}

/* ---- Lists of a port ---- */

static void list_add(struct mac_table *t, struct mac_entry *e)
{
	struct mac_list *l = &e->port->macs[e->kind];
	uint32_t index = (uint32_t)(e - t->entries);

	e->newer = MAC_NONE;
	e->older = l->newest;
	if (l->newest != MAC_NONE) {
		t->entries[l->newest].newer = index;
	} else {
		l->oldest = index;
	}
	l->newest = index;
	l->count++;
}

static void list_remove(struct mac_table *t, struct mac_entry *e)
{
	struct mac_list *l = &e->port->macs[e->kind];

	if (e->newer != MAC_NONE) {
		t->entries[e->newer].older = e->older;
	} else {
		l->newest = e->older;
	}
	if (e->older != MAC_NONE) {
		t->entries[e->older].newer = e->newer;
	} else {
		l->oldest = e->newer;
	}
	l->count--;
}

/* ---- Entries ---- */

static void entry_remove(struct mac_table *t, struct mac_entry *e)
{
	uint32_t index = (uint32_t)(e - t->entries), *link = &t->buckets[bucket_of(t, e->key)];

	while (*link != index) {
		link = &t->entries[*link].next;
	}
	*link = e->next;
	list_remove(t, e);
	t->used--;
	t->fixed -= e->kind == MAC_FIXED;
	*e = (struct mac_entry){.next = t->free};
	t->free = index;
}

static struct mac_entry *entry_add(struct mac_table *t, struct vswitch_port *p, uint64_t key,
				   enum mac_kind kind, uint64_t now_ns)
{
	uint32_t index = t->free, *bucket = &t->buckets[bucket_of(t, key)];
	struct mac_entry *e = &t->entries[index];

	t->free = e->next;
	*e = (struct mac_entry){
		.key = key, .seen_ns = now_ns, .port = p, .next = *bucket, .kind = kind};
	*bucket = index;
	list_add(t, e);
	t->used++;
	t->fixed += kind == MAC_FIXED;
	return e;
}

static bool chain_is_long(const struct mac_table *t, uint64_t key)
{
	unsigned length = 0;

	for (uint32_t i = t->buckets[bucket_of(t, key)]; i != MAC_NONE; i = t->entries[i].next) {
		length++;
	}
	return length >= CHAIN_MAX;
}

static struct vswitch_port *largest_holder(struct vswitch *s)
{
	struct vswitch_port *most = s->ports[0].port;

	for (unsigned i = 1; i < s->port_count; i++) {
		if (s->ports[i].port->macs[MAC_LEARNED].count > most->macs[MAC_LEARNED].count) {
			most = s->ports[i].port;
		}
	}
	return most;
}

/* Makes sure that one more entry of @p finds room. False: it may not have one. */
static bool make_room(struct vswitch_port *p)
{
	struct mac_table *t = &p->s->macs;
	uint32_t count = p->macs[MAC_LEARNED].count, share = t->max / (p->s->port_count + 1);
	uint32_t most = p->role == VSWITCH_VM ? t->max / 4 : t->max;

	if (count < most && t->used < t->max) {
		return true;
	}
	if (count < share && count < most) {
		p = largest_holder(p->s);
	}
	if (p->macs[MAC_LEARNED].count == 0) {
		return false;
	}
	entry_remove(t, &t->entries[p->macs[MAC_LEARNED].oldest]);
	return true;
}

void mac_learn(struct transit *t)
{
	struct mac_table *m = &t->s->macs;
	struct mac_entry *e = t->known;
	uint64_t key = key_of(t->source, t->fid);

	if (e == NULL) {
		if (!chain_is_long(m, key) && make_room(t->from)) {
			entry_add(m, t->from, key, MAC_LEARNED, t->now_ns);
		}
		return;
	}
	if (e->port == t->from && t->now_ns - e->seen_ns < REFRESH_NS) {
		return;
	}
	list_remove(m, e);
	e->port = t->from;
	e->seen_ns = t->now_ns;
	list_add(m, e);
}

/* Is @mac fixed at another port than @p, in a VLAN that @vid includes? */
static bool is_fixed_elsewhere(const struct vswitch_port *p, uint64_t mac, uint16_t vid)
{
	const struct mac_table *t = &p->s->macs;
	const struct mac_entry *e = mac_find(t, mac, VSWITCH_VID_ANY);

	if (e != NULL && e->port != p) {
		return true;
	}
	for (unsigned i = 0; i < p->s->port_count; i++) {
		const struct vswitch_port *q = p->s->ports[i].port;

		for (uint32_t at = q != p ? q->macs[MAC_FIXED].newest : MAC_NONE; at != MAC_NONE;
		     at = t->entries[at].older) {
			uint64_t key = t->entries[at].key;

			if (mac_of_key(key) == mac &&
			    (vid == VSWITCH_VID_ANY || key_of(mac, vid) == key)) {
				return true;
			}
		}
	}
	return false;
}

int mac_fix(struct vswitch_port *p, uint64_t mac, uint16_t vid)
{
	struct mac_table *t = &p->s->macs;
	struct mac_entry *e = mac_find(t, mac, vid);

	if (is_fixed_elsewhere(p, mac, vid)) {
		return -EADDRINUSE;
	}
	if (e != NULL && e->kind == MAC_FIXED) {
		return 0;
	}
	if (t->fixed >= t->max / 2) {
		return -ENOSPC;
	}
	if (e != NULL) {
		entry_remove(t, e);
	} else if (t->used == t->max) {
		struct vswitch_port *most = largest_holder(p->s);

		entry_remove(t, &t->entries[most->macs[MAC_LEARNED].oldest]);
	}
	entry_add(t, p, key_of(mac, vid), MAC_FIXED, 0);
	return 0;
}

int mac_unfix(struct vswitch_port *p, uint64_t mac, uint16_t vid)
{
	struct mac_entry *e = mac_find(&p->s->macs, mac, vid);

	if (e == NULL || e->kind != MAC_FIXED || e->port != p) {
		return -ENOENT;
	}
	entry_remove(&p->s->macs, e);
	return 0;
}

void mac_forget(struct vswitch_port *p, enum mac_kind kind)
{
	while (p->macs[kind].count != 0) {
		entry_remove(&p->s->macs, &p->s->macs.entries[p->macs[kind].oldest]);
	}
}

void mac_age(struct vswitch *s, uint64_t now_ns)
{
	struct mac_table *t = &s->macs;

	for (unsigned i = 0; i < s->port_count; i++) {
		struct mac_list *l = &s->ports[i].port->macs[MAC_LEARNED];

		while (l->count != 0 && mac_is_old(t, &t->entries[l->oldest], now_ns)) {
			entry_remove(t, &t->entries[l->oldest]);
		}
	}
}

void vswitch_macs(const struct vswitch *s, void (*found)(void *ctx, const struct vswitch_mac *m),
		  void *ctx, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->macs.max; i++) {
		const struct mac_entry *e = &s->macs.entries[i];
		uint8_t bytes[8];

		if (e->port == NULL || mac_is_old(&s->macs, e, now_ns)) {
			continue;
		}
		struct vswitch_mac m = {.vid = (uint16_t)(e->key >> 48),
					.fixed = e->kind == MAC_FIXED,
					.age_ns = e->kind == MAC_FIXED || now_ns < e->seen_ns
							  ? 0
							  : now_ns - e->seen_ns,
					.port = e->port};

		store_le64(bytes, e->key);
		__builtin_memcpy(m.mac, bytes, NET_MAC_BYTES);
		found(ctx, &m);
	}
}
