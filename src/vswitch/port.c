// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "switch.h"

#define MTU_MIN 68u /* of IPv4 */
#define WEIGHT_MAX 100u

static uint64_t own_mac(const struct vswitch_port_config *config)
{
	uint8_t padded[8] = {0};

	memcpy(padded, config->mac, NET_MAC_BYTES);
	return load_le64(padded);
}

/* ---- Checks ---- */

static bool mac_is_sane(const struct vswitch_port_config *c)
{
	uint64_t mac = own_mac(c);

	return !mac_is_multicast(mac) && (mac != 0 || c->role != VSWITCH_VM);
}

static bool values_are_sane(const struct vswitch_port_config *c)
{
	if (c->role > VSWITCH_UPLINK || (c->takes & ~NET_TAKES_ALL) != 0 ||
	    c->weight > WEIGHT_MAX || (c->mirror & ~7u) != 0) {
		return false;
	}
	if ((c->takes & ~NET_TAKES_CSUM) != 0 && (c->takes & NET_TAKES_CSUM) == 0) {
		return false;
	}
	if (c->name[0] == '\0' || memchr(c->name, '\0', sizeof(c->name)) == NULL) {
		return false;
	}
	return mac_is_sane(c) && (c->mtu == 0 || (c->mtu >= MTU_MIN && c->mtu <= NET_MTU_MAX));
}

static bool name_is_taken(const struct vswitch *s, const char *name)
{
	for (unsigned i = 0; i < s->port_count; i++) {
		if (strcmp(s->ports[i].port->config.name, name) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_private(const struct vswitch_port_config *config)
{
	return config->vlan.mode == VSWITCH_VLAN_PRIVATE;
}

static bool is_curious(const struct vswitch_port *p)
{
	return p->role == VSWITCH_HOST || (p->role == VSWITCH_VM && p->spoofing);
}

/* ---- Lists of ports ---- */

/* The others stay in order: the first uplink means something. */
static void list_remove(struct vswitch_port **list, unsigned *count, const struct vswitch_port *p)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < *count; i++) {
		if (list[i] != p) {
			list[kept++] = list[i];
		}
	}
	*count = kept;
}

static void list_set(struct vswitch_port **list, unsigned *count, struct vswitch_port *p, bool on)
{
	list_remove(list, count, p);
	if (on) {
		list[(*count)++] = p;
	}
}

static void place_add(struct vswitch *s, struct vswitch_port *p)
{
	p->place = s->port_count;
	s->ports[s->port_count++] =
		(struct place){.port = p, .only_vid = VSWITCH_VID_ANY, .role = (uint16_t)p->role};
}

static void place_remove(struct vswitch *s, const struct vswitch_port *p)
{
	struct place *last = &s->ports[--s->port_count];

	s->ports[p->place] = *last;
	last->port->place = p->place;
}

/* ---- Configuration ---- */

/* Makes @config and @acls, both checked, those of @p. */
static void apply(struct vswitch_port *p, const struct vswitch_port_config *config,
		  const struct port_acls *acls)
{
	struct vswitch *s = p->s;
	bool private_changed = is_private(&p->config) || is_private(config);

	acl_free(&p->acls);
	p->acls = *acls;
	p->config = *config;
	p->config.acls = p->acls.rules;
	p->config.acl_count = p->acls.count;
	p->own_mac = own_mac(config);
	p->takes = config->takes;
	p->mtu = config->mtu != 0 ? config->mtu : NET_MTU_MAX;
	p->spoofing = config->spoofing;
	p->guarded = p->role == VSWITCH_VM && (config->dhcp_guard || config->router_guard);
	p->mirror = config->mirror;
	vlan_update(s, p, private_changed);
	list_set(s->curious, &s->curious_count, p, is_curious(p));
	list_set(s->mirrors, &s->mirror_count, p, (p->mirror & VSWITCH_MIRROR_TO) != 0);
}

/* All that may fail, before anything changes. */
static int check(const struct vswitch *s, const struct vswitch_port *p,
		 const struct vswitch_port_config *config)
{
	return values_are_sane(config) ? vlan_check(s, p, &config->vlan) : -EINVAL;
}

int vswitch_port_add(struct vswitch *s, const struct vswitch_port_config *config,
		     const struct vswitch_port_ops *ops, void *ctx, struct vswitch_port **ret)
{
	struct port_acls acls;
	struct vswitch_port *p;
	int rc = check(s, NULL, config);

	if (rc != 0) {
		return rc;
	}
	if (name_is_taken(s, config->name)) {
		return -EEXIST;
	}
	if (s->port_count == VSWITCH_PORTS_MAX ||
	    (config->role == VSWITCH_UPLINK && s->uplink_count == VSWITCH_UPLINKS_MAX)) {
		return -ENOSPC;
	}
	rc = acl_compile(config, &acls);
	if (rc != 0) {
		return rc;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		rc = -ENOMEM;
		goto no_port;
	}
	*p = (struct vswitch_port){
		.s = s, .ops = ops, .ctx = ctx, .role = config->role, .up = true};
	for (unsigned i = 0; i < MAC_KINDS; i++) {
		p->macs[i] = (struct mac_list){MAC_NONE, MAC_NONE, 0};
	}
	rc = own_mac(config) != 0 ? mac_fix(p, own_mac(config), VSWITCH_VID_ANY) : 0;
	if (rc != 0) {
		goto no_mac;
	}
	place_add(s, p);
	apply(p, config, &acls);
	*ret = p;
	if (p->role == VSWITCH_UPLINK) {
		s->uplinks[s->uplink_count++] = p;
		team_update(s);
	} else if (!team_is_up(s) && ops->link != NULL) {
		ops->link(ctx, false);
	}
	return 0;

no_mac:
	free(p);
no_port:
	acl_free(&acls);
	return rc;
}

void vswitch_port_remove(struct vswitch_port *p)
{
	struct vswitch *s;

	if (p == NULL) {
		return;
	}
	s = p->s;
	list_remove(s->uplinks, &s->uplink_count, p);
	place_remove(s, p);
	team_update(s);
	snoop_forget(p);
	mac_forget(p, MAC_LEARNED);
	mac_forget(p, MAC_FIXED);
	list_remove(s->curious, &s->curious_count, p);
	list_remove(s->mirrors, &s->mirror_count, p);
	list_remove(s->dirty, &s->dirty_count, p);
	if (is_private(&p->config) && s->port_count != 0) {
		vlan_update(s, NULL, true);
	}
	acl_free(&p->acls);
	free(p);
}

/* Moves the port's own address from the table's old to the new one. */
static int change_mac(struct vswitch_port *p, uint64_t mac)
{
	int rc = 0;

	if (mac == p->own_mac) {
		return 0;
	}
	if (mac != 0) {
		rc = mac_fix(p, mac, VSWITCH_VID_ANY);
	}
	if (rc == 0 && p->own_mac != 0) {
		CHECK(mac_unfix(p, p->own_mac, VSWITCH_VID_ANY) == 0);
	}
	return rc;
}

int vswitch_port_configure(struct vswitch_port *p, const struct vswitch_port_config *config)
{
	bool other_vlan = memcmp(&p->config.vlan, &config->vlan, sizeof(config->vlan)) != 0;
	struct port_acls acls;
	int rc = check(p->s, p, config);

	if (rc != 0) {
		return rc;
	}
	if (config->role != p->role || strcmp(config->name, p->config.name) != 0) {
		return -EINVAL;
	}
	rc = acl_compile(config, &acls);
	if (rc != 0) {
		return rc;
	}
	rc = change_mac(p, own_mac(config));
	if (rc != 0) {
		acl_free(&acls);
		return rc;
	}
	apply(p, config, &acls);
	if (other_vlan || (p->role == VSWITCH_VM && !p->spoofing)) {
		mac_forget(p, MAC_LEARNED);
	}
	if (other_vlan) {
		snoop_forget(p);
	}
	return 0;
}

void vswitch_port_link(struct vswitch_port *p, bool up)
{
	if (up == p->up) {
		return;
	}
	p->up = up;
	if (p->role == VSWITCH_UPLINK) {
		team_update(p->s);
	}
	if (!up) {
		mac_forget(p, MAC_LEARNED);
		snoop_forget(p);
	}
}

/* ---- Addresses and numbers ---- */

int vswitch_port_mac_add(struct vswitch_port *p, const uint8_t *mac, uint16_t vid)
{
	uint8_t padded[8] = {0};
	uint64_t value;

	memcpy(padded, mac, NET_MAC_BYTES);
	value = load_le64(padded);
	if (value == 0 || mac_is_multicast(value) || vid >= NET_VIDS - 1) {
		return -EINVAL;
	}
	return mac_fix(p, value, p->s->primary[vid] != 0 ? p->s->primary[vid] : vid);
}

int vswitch_port_mac_remove(struct vswitch_port *p, const uint8_t *mac, uint16_t vid)
{
	uint8_t padded[8] = {0};

	if (vid >= NET_VIDS - 1) {
		return -ENOENT;
	}
	memcpy(padded, mac, NET_MAC_BYTES);
	return mac_unfix(p, load_le64(padded), p->s->primary[vid] != 0 ? p->s->primary[vid] : vid);
}

const struct vswitch_port_config *vswitch_port_config(const struct vswitch_port *p)
{
	return &p->config;
}

void vswitch_port_stats(const struct vswitch_port *p, struct vswitch_stats *ret)
{
	*ret = p->stats;
}

void vswitch_port_lost(struct vswitch_port *p, uint64_t frames, uint64_t bytes)
{
	p->stats.out_frames -= frames;
	p->stats.out_bytes -= bytes;
	p->stats.drops_out[VSWITCH_DROP_ROOM] += frames;
}
