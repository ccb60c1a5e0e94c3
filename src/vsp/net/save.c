// SPDX-License-Identifier: Apache-2.0
/*
 * Saved: the settings, answers that wait, and of each open queue the packet in work, the packet that is being filled, and what the guest
 * holds of the receive buffer. Frames that the port has lent stay in the port; how far rings are read is the bus's to save.
 *
 * A request for subchannels that the bus has not answered is made again.
 */
#include "save.h"
#include "adapter.h"

/* ---- Save ---- */

static void save_rss(const struct net_settings *s, struct state_writer *w)
{
	const struct net_rss *r = &s->rss_parameters;

	state_put_u8(w, s->rss);
	state_put_u32(w, r->types);
	state_put_u32(w, r->table_entries);
	state_put_bytes(w, r->key, sizeof(r->key));
	for (uint32_t i = 0; i < r->table_entries; i++) {
		state_put_u16(w, r->table[i]);
	}
}

static void save_offload(const struct ndis_offload_parameters *p, struct state_writer *w)
{
	const uint8_t fields[] = {p->ip4_checksum,  p->tcp4_checksum, p->udp4_checksum,
				  p->tcp6_checksum, p->udp6_checksum, p->lso1,
				  p->lso2_ip4,	    p->lso2_ip6,      p->rsc_ip4,
				  p->rsc_ip6};

	state_put_bytes(w, fields, sizeof(fields));
}

static void save_settings(const struct vsp_net *n, struct state_writer *w)
{
	const struct net_settings *s = &n->settings;

	state_begin(w, TAG_SETTINGS, NET_SAVE_VERSION);
	state_put_u32(w, s->version);
	state_put_u64(w, s->capabilities);
	state_put_u32(w, s->ndis);
	state_put_u32(w, s->mtu);
	state_put_u8(w, s->rndis);
	state_put_u8(w, s->receive);
	state_put_u32(w, s->receive_gpadl);
	state_put_u16(w, s->receive_id);
	state_put_u32(w, s->suballoc_bytes);
	state_put_u32(w, s->suballocs);
	state_put_u8(w, s->send);
	state_put_u32(w, s->send_gpadl);
	state_put_u16(w, s->send_id);
	state_put_u32(w, s->sections);
	state_put_u32(w, s->filter);
	state_put_u32(w, s->lookahead);
	state_put_bytes(w, s->mac, sizeof(s->mac));
	state_put_u32(w, s->multicasts);
	state_put_bytes(w, s->multicast, s->multicasts * NET_MAC_BYTES);
	state_put_u32(w, s->subchannels);
	state_put_u8(w, n->table_due);
	state_put_u8(w, n->link_told);
	state_put_u64(w, n->link_bps_told);
	state_put_u32(w, n->creating ? n->creating_count : 0);
	save_offload(&s->offload, w);
	save_rss(s, w);
	state_end(w);
}

static void save_replies(const struct vsp_net *n, struct state_writer *w)
{
	for (unsigned i = 0; i < n->reply_count; i++) {
		const struct net_reply *r = &n->replies[(n->reply_first + i) % NET_REPLIES];

		state_begin(w, TAG_REPLY, NET_SAVE_VERSION);
		state_put_u32(w, r->bytes);
		state_put_bytes(w, r->message, r->bytes);
		state_end(w);
	}
}

/* The payload comes last in a packet, the ranges before it. */
static void save_work(const struct net_queue *q, struct state_writer *w)
{
	const struct vmbus_packet *p = &q->p;
	bool ranges = p->type == VMBUS_PACKET_DATA_USING_GPA_DIRECT;

	if (q->work == NET_IDLE) {
		return;
	}
	state_begin(w, TAG_WORK, NET_SAVE_VERSION);
	state_put_u8(w, (uint8_t)q->work);
	state_put_u64(w, p->transaction);
	state_put_u8(w, p->wants_completion);
	state_put_u32(w, q->at);
	state_put_u8(w, q->failed);
	state_put_u32(w, q->answer_bytes);
	state_put_bytes(w, &q->answer, sizeof(q->answer));
	state_put_u32(w, ranges ? p->range_count : 0);
	state_put_u32(w, ranges ? (uint32_t)p->ranges_bytes : 0);
	state_put_u32(w, (uint32_t)p->bytes);
	if (ranges) {
		state_put_bytes(w, p->ranges, p->ranges_bytes);
	}
	state_put_bytes(w, p->data, p->bytes);
	state_end(w);
}

static void save_chain(const struct net_queue *q, uint32_t first, struct state_writer *w)
{
	uint32_t count = 0;

	for (uint32_t i = first; i != NET_SUBALLOC_NONE; i = q->net->pool.next[i]) {
		count++;
	}
	state_put_u32(w, count);
	for (uint32_t i = first; i != NET_SUBALLOC_NONE; i = q->net->pool.next[i]) {
		state_put_u32(w, i);
	}
}

static void save_filled(const struct net_queue *q, struct state_writer *w)
{
	if (q->range_count == 0) {
		return;
	}
	state_begin(w, TAG_FILLED, NET_SAVE_VERSION);
	save_chain(q, q->range_first, w);
	for (uint32_t i = 0; i < q->range_count; i++) {
		state_put_u32(w, q->ranges[i].bytes);
	}
	state_end(w);
}

static void save_lent(const struct net_queue *q, struct state_writer *w)
{
	const struct net_pool *p = &q->net->pool;

	for (uint32_t i = 0; i < p->count; i++) {
		if (p->owner[i] == q->index + 1) {
			state_begin(w, TAG_LENT, NET_SAVE_VERSION);
			save_chain(q, i, w);
			state_end(w);
		}
	}
}

static void save_queue(const struct net_queue *q, struct state_writer *w)
{
	state_begin(w, TAG_QUEUE, NET_SAVE_VERSION);
	state_put_u32(w, q->index);
	state_put_u8(w, q->broken);
	state_put_u16(w, q->packet_id);
	save_work(q, w);
	if (q->s.receive) { /* else what the guest has counts no more */
		save_filled(q, w);
		save_lent(q, w);
	}
	state_end(w);
}

/* What the bus has left in the mailbox is taken first. A queue that closes is saved as if it were closed. */
void vsp_net_save(struct vsp_net *n, struct state_writer *w)
{
	for (unsigned i = 0; i < n->config.queues_max; i++) {
		net_mailbox_take(&n->queues[i]);
		if (net_queue_state(&n->queues[i]) == NET_QUEUE_OPEN) {
			net_settings_renew(&n->queues[i]);
		}
	}
	state_begin(w, TAG_NET, NET_SAVE_VERSION);
	save_settings(n, w);
	save_replies(n, w);
	for (unsigned i = 0; i < n->config.queues_max; i++) {
		if (net_queue_state(&n->queues[i]) == NET_QUEUE_OPEN) {
			save_queue(&n->queues[i], w);
		}
	}
	state_end(w);
}
