// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch.h"

/* ---- Compiling ---- */

static bool rule_is_sane(const struct vswitch_acl *a)
{
	unsigned bits = a->family == 4 ? 32 : a->family == 6 ? 128 : 0;

	return a->action <= VSWITCH_ACL_METER && (a->in || a->out) &&
	       (a->family == 0 || bits != 0) && a->local_prefix <= bits &&
	       a->remote_prefix <= bits && a->local_port_first <= a->local_port_last &&
	       a->remote_port_first <= a->remote_port_last;
}

/* Puts the next rule behind those of its weight. */
static void append(struct port_acls *acls, const struct vswitch_acl *rule)
{
	unsigned next = acls->count++, at = next;

	acls->rules[next] = *rule;
	while (at > 0 && acls->rules[acls->order[at - 1]].weight < rule->weight) {
		acls->order[at] = acls->order[at - 1];
		at--;
	}
	acls->order[at] = (uint16_t)next;
	acls->in |= rule->in;
	acls->out |= rule->out;
}

int acl_compile(const struct vswitch_port_config *config, struct port_acls *ret)
{
	struct port_acls acls = {0};
	unsigned count = config->acl_count;

	if (count > VSWITCH_ACLS_MAX) {
		return -EINVAL;
	}
	for (unsigned i = 0; i < count; i++) {
		if (!rule_is_sane(&config->acls[i])) {
			return -EINVAL;
		}
	}
	if (count != 0) {
		acls.rules = calloc(count, sizeof(*acls.rules));
		acls.order = calloc(count, sizeof(*acls.order));
		acls.meters = calloc(count, sizeof(*acls.meters));
		if (acls.rules == NULL || acls.order == NULL || acls.meters == NULL) {
			acl_free(&acls);
			return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		append(&acls, &config->acls[i]);
	}
	*ret = acls;
	return 0;
}

void acl_free(struct port_acls *acls)
{
	free(acls->rules);
	free(acls->order);
	free(acls->meters);
	*acls = (struct port_acls){0};
}

/* ---- Matching ---- */

/* UNKNOWN: the frame does not show it. */
enum match { MATCH_NO, MATCH_UNKNOWN, MATCH_YES };

/* A frame as seen from the port's owner. */
struct view {
	const struct net_headers *h;
	uint64_t local_mac, remote_mac;
	const uint8_t *local_ip, *remote_ip; /* NULL: not IP */
	bool has_ports;
	uint16_t local_port, remote_port;
};

static void look(struct transit *t, bool out, struct view *ret)
{
	const struct net_headers *h = transit_headers(t);
	const uint8_t *ip = t->f->head + h->l3;
	const uint8_t *source = h->family == 4 ? ip + 12 : ip + 8;
	const uint8_t *destination = h->family == 4 ? ip + 16 : ip + 24;
	uint16_t source_port = 0, destination_port = 0;

	*ret = (struct view){.h = h,
			     .local_mac = out ? t->source : t->destination,
			     .remote_mac = out ? t->destination : t->source};
	ret->has_ports =
		net_headers_ports(h, t->f->head, t->f->head_bytes, &source_port, &destination_port);
	ret->local_port = out ? source_port : destination_port;
	ret->remote_port = out ? destination_port : source_port;
	if (h->family != 0) {
		ret->local_ip = out ? source : destination;
		ret->remote_ip = out ? destination : source;
	}
}

static bool mac_equals(uint64_t mac, const uint8_t *bytes)
{
	uint8_t padded[8] = {0};

	memcpy(padded, bytes, NET_MAC_BYTES);
	return mac == load_le64(padded);
}

static bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

	return memcmp(a, b, bits / 8) == 0 &&
	       (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

static bool link_matches(const struct vswitch_acl *a, const struct view *v)
{
	return (!a->has_local_mac || mac_equals(v->local_mac, a->local_mac)) &&
	       (!a->has_remote_mac || mac_equals(v->remote_mac, a->remote_mac));
}

static bool addresses_match(const struct vswitch_acl *a, const struct view *v)
{
	return a->family == 0 || (a->family == v->h->family &&
				  prefix_matches(v->local_ip, a->local_ip, a->local_prefix) &&
				  prefix_matches(v->remote_ip, a->remote_ip, a->remote_prefix));
}

static bool in_range(uint16_t port, uint16_t first, uint16_t last)
{
	return last == 0 || (port >= first && port <= last);
}

static enum match ports_match(const struct vswitch_acl *a, const struct view *v)
{
	if (v->h->later || (v->h->protocol != IP_TCP && v->h->protocol != IP_UDP)) {
		return MATCH_NO;
	}
	if (!v->has_ports) {
		return MATCH_UNKNOWN;
	}
	return in_range(v->local_port, a->local_port_first, a->local_port_last) &&
			       in_range(v->remote_port, a->remote_port_first, a->remote_port_last)
		       ? MATCH_YES
		       : MATCH_NO;
}

static enum match rule_matches(const struct vswitch_acl *a, const struct view *v)
{
	bool ports = a->local_port_last != 0 || a->remote_port_last != 0;
	bool ip = a->family != 0 || a->protocol != 0 || ports;
	const struct net_headers *h = v->h;

	if (!link_matches(a, v)) {
		return MATCH_NO;
	}
	if (!h->complete && h->ethertype == 0) { /* too many tags to see what it is */
		return a->ethertype != 0 || ip ? MATCH_UNKNOWN : MATCH_YES;
	}
	if (a->ethertype != 0 && a->ethertype != h->ethertype) {
		return MATCH_NO;
	}
	if (!ip) {
		return MATCH_YES;
	}
	if (h->family == 0) {
		return h->complete ? MATCH_NO : MATCH_UNKNOWN;
	}
	if (!addresses_match(a, v)) {
		return MATCH_NO;
	}
	if (!h->complete && (a->protocol != 0 || ports)) {
		return MATCH_UNKNOWN;
	}
	if (a->protocol != 0 && a->protocol != h->protocol) {
		return MATCH_NO;
	}
	return ports ? ports_match(a, v) : MATCH_YES;
}

bool acl_allows(struct transit *t, struct vswitch_port *p, bool out)
{
	struct view v;

	look(t, out, &v);
	for (unsigned i = 0; i < p->acls.count; i++) {
		unsigned rule = p->acls.order[i];
		const struct vswitch_acl *a = &p->acls.rules[rule];
		enum match match;

		if (!(out ? a->out : a->in)) {
			continue;
		}
		match = rule_matches(a, &v);
		if (a->action == VSWITCH_ACL_DENY && match != MATCH_NO) {
			return false;
		}
		if (match != MATCH_YES) {
			continue;
		}
		if (a->action == VSWITCH_ACL_ALLOW) {
			return true;
		}
		p->acls.meters[rule][0]++;
		p->acls.meters[rule][1] += t->f->bytes;
	}
	return true;
}

void vswitch_port_meter(const struct vswitch_port *p, unsigned acl, uint64_t *ret_frames,
			uint64_t *ret_bytes)
{
	*ret_frames = acl < p->acls.count ? p->acls.meters[acl][0] : 0;
	*ret_bytes = acl < p->acls.count ? p->acls.meters[acl][1] : 0;
}
