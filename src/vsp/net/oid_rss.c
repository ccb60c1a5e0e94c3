// SPDX-License-Identifier: Apache-2.0
/* Receive side scaling: how the guest wants frames spread over its queues. */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

#define HASH_TYPES                                                                                 \
	(NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_IPV6_EX |                \
	 NDIS_HASH_TCP_IPV6 | NDIS_HASH_TCP_IPV6_EX | NDIS_HASH_UDP_IPV4 | NDIS_HASH_UDP_IPV6)

void net_rss_apply(struct vsp_net *n)
{
	const struct vsp_net_config *c = &n->config;
	const struct net_settings *s = &n->settings;
	static const struct net_rss none = {.table_entries = 1};

	if (c->port->set_rss != NULL) {
		c->port->set_rss(c->port_ctx, s->rss ? &s->rss_parameters : &none,
				 s->subchannels + 1);
	}
}

/* Interop: Linux has room for 18 bytes, and takes no more than that; FreeBSD reads the size of the table only in an answer of 20. */
uint32_t net_query_rss_capabilities(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				    uint32_t bytes, struct net_out *out)
{
	bool first = bytes >= sizeof(struct ndis_header) && in[1] == 1;
	bool full = bytes == 0 || bytes >= NDIS_RSS_CAPABILITIES_BYTES;
	const struct ndis_rss_capabilities c = {
		.header = {NDIS_OBJECT_TYPE_RSS_CAPABILITIES, first ? 1 : 2,
			   first  ? NDIS_RSS_CAPABILITIES_BYTES_1
			   : full ? NDIS_RSS_CAPABILITIES_BYTES
				  : NDIS_RSS_CAPABILITIES_BYTES_2},
		.flags = NDIS_RSS_CLASSIFICATION_AT_DPC | NDIS_RSS_HASH_TYPE_TCP_IPV4 |
			 NDIS_RSS_HASH_TYPE_TCP_IPV6 | NDIS_HASH_FUNCTION_TOEPLITZ,
		.messages = n->config.queues_max,
		.queues = n->config.queues_max,
		.table_entries = NET_RSS_TABLE_MAX,
	};

	net_out_bytes(out, &c, c.header.bytes);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t net_query_rss(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
		       uint32_t bytes, struct net_out *out)
{
	const struct net_settings *s = &n->settings;
	const struct net_rss *r = &s->rss_parameters;
	const struct ndis_rss_parameters p = {
		.header = {NDIS_OBJECT_TYPE_RSS_PARAMETERS, 2, sizeof(p)},
		.flags = s->rss ? 0 : NDIS_RSS_DISABLE,
		.hash = s->rss ? r->types | NDIS_HASH_FUNCTION_TOEPLITZ : 0,
		.table_bytes = (uint16_t)(r->table_entries * sizeof(uint32_t)),
		.table_offset = sizeof(p),
		.key_bytes = NET_RSS_KEY_BYTES,
		.key_offset = (uint32_t)(sizeof(p) + r->table_entries * sizeof(uint32_t)),
	};

	net_out_bytes(out, &p, sizeof(p));
	for (uint32_t i = 0; i < r->table_entries; i++) {
		net_out_u32(out, r->table[i]);
	}
	net_out_bytes(out, r->key, sizeof(r->key));
	return RNDIS_STATUS_SUCCESS;
}

/* ---- Set ---- */

static bool set_table(struct net_rss *r, const struct ndis_rss_parameters *p, const uint8_t *in,
		      uint32_t bytes, uint32_t queues)
{
	uint32_t entries = p->table_bytes / (uint32_t)sizeof(uint32_t);

	if (!range_within(p->table_offset, p->table_bytes, bytes) ||
	    p->table_bytes % sizeof(uint32_t) != 0 || entries == 0 || entries > NET_RSS_TABLE_MAX ||
	    (entries & (entries - 1)) != 0) {
		return false;
	}
	for (uint32_t i = 0; i < entries; i++) {
		uint32_t queue = load_le32(in + p->table_offset + i * sizeof(uint32_t));

		if (queue >= queues) {
			return false;
		}
		r->table[i] = (uint16_t)queue;
	}
	r->table_entries = entries;
	return true;
}

static bool set_key(struct net_rss *r, const struct ndis_rss_parameters *p, const uint8_t *in,
		    uint32_t bytes)
{
	if (!range_within(p->key_offset, p->key_bytes, bytes) || p->key_bytes > sizeof(r->key) ||
	    p->key_bytes == 0) {
		return false;
	}
	memset(r->key, 0, sizeof(r->key));
	memcpy(r->key, in + p->key_offset, p->key_bytes);
	return true;
}

/* Into @r, which has what was set before. False: the parameters are not what they should be. */
static bool set_parameters(struct net_rss *r, const struct ndis_rss_parameters *p,
			   const uint8_t *in, uint32_t bytes, uint32_t queues)
{
	if (!(p->flags & NDIS_RSS_HASH_UNCHANGED)) {
		r->types = p->hash & NDIS_HASH_FUNCTION_TOEPLITZ ? p->hash & HASH_TYPES : 0;
	}
	return (p->flags & NDIS_RSS_TABLE_UNCHANGED || set_table(r, p, in, bytes, queues)) &&
	       (p->flags & NDIS_RSS_KEY_UNCHANGED || set_key(r, p, in, bytes));
}

uint32_t net_set_rss(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
		     uint32_t bytes)
{
	struct net_rss r = n->settings.rss_parameters;
	struct ndis_rss_parameters p = {0};
	struct net_settings *s;
	bool off;

	memcpy(&p, in, min_u64(bytes, sizeof(p)));
	if (p.header.type != NDIS_OBJECT_TYPE_RSS_PARAMETERS) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	off = p.flags & NDIS_RSS_DISABLE;
	if (!off && !set_parameters(&r, &p, in, bytes, n->settings.subchannels + 1)) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	s = net_settings_change(n);
	s->rss_parameters = r;
	s->rss = !off && r.types != 0 && r.table_entries != 0;
	net_settings_changed(n);
	net_rss_apply(n);
	return RNDIS_STATUS_SUCCESS;
}
