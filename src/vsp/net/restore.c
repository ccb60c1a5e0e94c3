// SPDX-License-Identifier: Apache-2.0
/* The other way round: see save.c. Everything is checked as if a guest had written it; what is impossible is refused. */
#include "adapter.h"
#include "save.h"

#include <string.h>

#include "lib/check.h"

/* ---- Settings ---- */

static bool restore_rss(struct net_settings *s, struct state_reader *r)
{
	struct net_rss *rss = &s->rss_parameters;
	uint8_t on = state_get_u8(r);

	rss->types = state_get_u32(r);
	rss->table_entries = state_get_u32(r);
	state_get_bytes(r, rss->key, sizeof(rss->key));
	if (on > 1 || rss->table_entries > NET_RSS_TABLE_MAX ||
	    (rss->table_entries & (rss->table_entries - 1)) != 0 ||
	    (on && rss->table_entries == 0)) {
		return false;
	}
	s->rss = on;
	for (uint32_t i = 0; i < rss->table_entries; i++) {
		rss->table[i] = state_get_u16(r);
		if (rss->table[i] > s->subchannels) {
			return false;
		}
	}
	return true;
}

static bool restore_offload(struct ndis_offload_parameters *p, struct state_reader *r)
{
	uint8_t *const fields[] = {&p->ip4_checksum,  &p->tcp4_checksum, &p->udp4_checksum,
				   &p->tcp6_checksum, &p->udp6_checksum, &p->lso1,
				   &p->lso2_ip4,      &p->lso2_ip6,	 &p->rsc_ip4,
				   &p->rsc_ip6};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		*fields[i] = state_get_u8(r);
		if (*fields[i] > NDIS_PARAMETER_TX_RX_ENABLED) {
			return false;
		}
	}
	return true;
}

static bool read_flag(struct state_reader *r, bool *ret)
{
	uint8_t v = state_get_u8(r);

	*ret = v == 1;
	return v <= 1;
}

static bool buffers_valid(const struct vsp_net *n, const struct net_settings *s)
{
	struct vmbus_channel *ch = n->queues[0].vmbus;

	if (s->receive && (s->suballocs == 0 || s->suballoc_bytes < NET_SUBALLOC_BYTES_MIN ||
			   (uint64_t)s->suballocs * s->suballoc_bytes >
				   vmbus_gpadl_bytes(ch, s->receive_gpadl))) {
		return false;
	}
	return !s->send ||
	       (s->sections != 0 &&
		s->sections <= vmbus_gpadl_bytes(ch, s->send_gpadl) / NET_SEND_SECTION_BYTES);
}

/* Whatever there is, there is a channel 0 for it; and what guests cannot set was not set. */
static bool settings_valid(const struct vsp_net *n, const struct net_settings *s)
{
	bool open = net_queue_state(&n->queues[0]) == NET_QUEUE_OPEN;

	if (s->version == 0 &&
	    (s->rndis || s->receive || s->send || s->subchannels != 0 || n->creating_count != 0)) {
		return false;
	}
	return (s->version == 0 || (open && net_nvsp_version_known(s->version))) &&
	       s->mtu >= NET_MTU_MIN && s->mtu <= NET_MTU_MAX &&
	       s->multicasts <= NET_MULTICAST_MAX && s->subchannels < n->config.queues_max &&
	       n->creating_count < n->config.queues_max && (!open || buffers_valid(n, s));
}

static bool read_settings(struct vsp_net *n, struct net_settings *s, struct state_reader *r)
{
	bool flags = true;

	s->version = state_get_u32(r);
	s->capabilities = state_get_u64(r);
	s->ndis = state_get_u32(r);
	s->mtu = state_get_u32(r);
	flags &= read_flag(r, &s->rndis);
	flags &= read_flag(r, &s->receive);
	s->receive_gpadl = state_get_u32(r);
	s->receive_id = state_get_u16(r);
	s->suballoc_bytes = state_get_u32(r);
	s->suballocs = state_get_u32(r);
	flags &= read_flag(r, &s->send);
	s->send_gpadl = state_get_u32(r);
	s->send_id = state_get_u16(r);
	s->sections = state_get_u32(r);
	s->filter = state_get_u32(r);
	s->lookahead = state_get_u32(r);
	state_get_bytes(r, s->mac, sizeof(s->mac));
	s->multicasts = state_get_u32(r);
	if (s->multicasts > NET_MULTICAST_MAX) {
		return false;
	}
	state_get_bytes(r, s->multicast, s->multicasts * NET_MAC_BYTES);
	s->subchannels = state_get_u32(r);
	flags &= read_flag(r, &n->table_due);
	flags &= read_flag(r, &n->link_told);
	n->link_bps_told = state_get_u64(r);
	n->creating_count = state_get_u32(r);
	return flags && restore_offload(&s->offload, r) && restore_rss(s, r) && !r->bad;
}

static bool restore_settings(struct vsp_net *n, struct state_reader *r)
{
	struct net_settings s = {.primary = n->queues[0].vmbus};

	if (!read_settings(n, &s, r) || !settings_valid(n, &s) ||
	    (s.receive && !net_pool_create(n, s.suballocs))) {
		return false;
	}
	for (uint32_t i = 0; i < n->pool.count; i++) {
		n->pool.next[i] = NET_RESTORE_FREE;
	}
	*net_settings_change(n) = s;
	net_settings_changed(n);
	for (unsigned i = 1; i < n->config.queues_max; i++) {
		net_settings_renew(&n->queues[i]);
	}
	return true;
}

static bool restore_reply(struct vsp_net *n, struct state_reader *r)
{
	uint8_t message[NET_REPLY_BYTES];
	uint32_t bytes = state_get_u32(r);

	if (bytes < RNDIS_HEADER_BYTES || bytes > sizeof(message)) {
		return false;
	}
	state_get_bytes(r, message, bytes);
	return !r->bad && net_rndis_reply(n, message, bytes);
}

/* ---- All of it ---- */

static void collect_free(struct net_pool *p)
{
	p->free_count = 0;
	for (uint32_t i = p->count; i-- > 0;) {
		if (p->next[i] == NET_RESTORE_FREE) {
			p->free[p->free_count++] = i;
		}
	}
}

static bool restore_part(struct vsp_net *n, uint32_t tag, struct state_reader *r)
{
	switch (tag) {
	case TAG_REPLY:
		return restore_reply(n, r);
	case TAG_QUEUE:
		return net_restore_queue(n, r);
	default:
		return true;
	}
}

static bool restore_parts(struct vsp_net *n, struct state_reader *r)
{
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;

	if (!state_next(r, &tag, &version, &payload) || tag != TAG_SETTINGS ||
	    version > NET_SAVE_VERSION || !restore_settings(n, &payload)) {
		return false;
	}
	while (state_next(r, &tag, &version, &payload)) {
		if (version > NET_SAVE_VERSION || !restore_part(n, tag, &payload)) {
			return false;
		}
	}
	return !r->bad;
}

/* The port knows nothing yet of what the guest told the other one. */
static void tell_port(struct vsp_net *n)
{
	const struct vsp_net_config *c = &n->config;

	if (c->port->set_mac != NULL && memcmp(n->settings.mac, c->mac, NET_MAC_BYTES) != 0) {
		c->port->set_mac(c->port_ctx, n->settings.mac);
	}
	net_rss_apply(n);
}

/* The channels that the bus opened anew are in the mailbox. */
bool vsp_net_restore(struct vsp_net *n, struct state_reader *r)
{
	struct net_queue *q = &n->queues[0];
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;

	for (unsigned i = 0; i < n->config.queues_max; i++) {
		net_mailbox_take(&n->queues[i]);
	}
	CHECK(n->pool.count == 0 && q->work == NET_IDLE && n->reply_count == 0);
	if (!state_next(r, &tag, &version, &payload) || tag != TAG_NET ||
	    version > NET_SAVE_VERSION || !restore_parts(n, &payload)) {
		return false;
	}
	collect_free(&n->pool);
	tell_port(n);
	if (q->work == NET_CREATING) {
		n->creating = true;
		net_mailbox_create(n, n->creating_count);
	}
	return true;
}
