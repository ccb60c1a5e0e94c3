// SPDX-License-Identifier: Apache-2.0
/*
 * Frames to the guest. Each is written to suballocations of the receive buffer with its RNDIS header; as many as come together make one
 * transfer-page packet. They are the guest's until it completes that packet.
 *
 * A frame that was cut stays in hand until the guest has all of its pieces: when there is no room for one, the frame is cut again later and
 * the pieces that the guest has are passed over.
 */
#include "adapter.h"

#include <string.h>

/* ---- The packet that is being filled ---- */

static void add_range(struct net_queue *q, uint32_t suballoc, uint32_t bytes)
{
	uint32_t *next = q->net->pool.next;

	next[suballoc] = NET_SUBALLOC_NONE;
	if (q->range_count == 0) {
		q->range_first = suballoc;
	} else {
		next[q->range_last] = suballoc;
	}
	q->range_last = suballoc;
	q->ranges[q->range_count++] =
		(struct vmbus_xfer_range){bytes, suballoc * q->s.suballoc_bytes};
}

static void give_ranges(struct net_queue *q)
{
	uint32_t at = q->range_first;

	for (uint32_t i = 0; i < q->range_count; i++) {
		uint32_t next = q->net->pool.next[at];

		net_pool_give(q, at);
		at = next;
	}
	q->range_count = 0;
}

/* Sends what was gathered; nothing happens while the ring is full. */
static void flush(struct net_queue *q)
{
	static const struct nvsp_message m = {
		.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.rndis = {.channel = NVSP_CHANNEL_DATA, .section = NVSP_NO_SECTION},
	};
	enum vmbus_ring_status status;

	if (q->range_count == 0 || q->blocked || q->broken) {
		return;
	}
	status = vmbus_ring_write_xfer(q->vmbus, q->range_first + UINT64_C(1), q->s.receive_id,
				       q->ranges, q->range_count, &m, sizeof(m));
	if (status == VMBUS_RING_TOO_BIG) {
		net_count(&q->counters.rx_dropped, q->range_count);
		give_ranges(q);
	} else if (net_queue_written(q, status)) {
		net_pool_lend(q, q->range_first);
		q->range_count = 0;
	}
}

/* Room for @count more ranges. */
static bool ranges_free(struct net_queue *q, uint32_t count)
{
	if (NET_RANGES - q->range_count < count) {
		flush(q);
	}
	return NET_RANGES - q->range_count >= count;
}

/* @f in @parts suballocations of at most @each bytes of it. False: no room now. */
static bool deliver(struct net_queue *q, const struct net_frame *f, uint32_t parts, uint32_t each)
{
	uint32_t suballoc[NET_RANGES], bytes[NET_RANGES];
	bool written = true;

	if (!ranges_free(q, parts) || !net_pool_take(q, parts, suballoc)) {
		return false;
	}
	for (uint32_t i = 0; i < parts && written; i++) {
		const struct net_part part = {
			.offset = i * each,
			.bytes = (uint32_t)min_u64(each, f->bytes - i * each),
			.split = parts > 1,
			.packet_id_flags = RNDIS_PACKET_ID_SUBALLOC |
					   (i == 0 ? RNDIS_PACKET_ID_FIRST : 0) |
					   (i == parts - 1 ? RNDIS_PACKET_ID_LAST : 0),
		};

		written = net_part_write(q, f, &part, suballoc[i], &bytes[i]);
	}
	for (uint32_t i = 0; i < parts; i++) {
		if (written) {
			add_range(q, suballoc[i], bytes[i]);
		} else {
			net_pool_give(q, suballoc[i]);
		}
	}
	if (!written) {
		net_count(&q->counters.rx_dropped, 1);
		net_report(q->net, VIOLATION_MEMORY,
			   "queue %u: the receive buffer's pages are not there", q->index);
		return true;
	}
	q->packet_id = (uint16_t)(q->packet_id + (parts > 1));
	net_count(&q->counters.rx_frames, 1);
	net_count(&q->counters.rx_bytes, f->bytes);
	return true;
}

/* ---- A frame ---- */

/* What a suballocation holds of a frame. */
static uint32_t room(const struct net_queue *q)
{
	return q->s.suballoc_bytes - NET_HEADER_BYTES - 4;
}

/* A piece of the frame in hand, or all of it. */
static bool take_piece(void *ctx, const struct net_frame *f)
{
	struct net_queue *q = ctx;
	uint32_t limit =
		(uint32_t)min_u64(room(q), q->s.mtu + NET_ETHERNET_BYTES + 4); /* an inner tag */

	if (f->bytes > limit) {
		net_count(&q->counters.rx_dropped, 1);
		return true;
	}
	return deliver(q, f, 1, f->bytes);
}

struct cut {
	struct net_queue *q;
	unsigned at;
	bool held;
};

/* Pieces that the guest has already are passed over. */
static bool next_piece(void *ctx, const struct net_frame *f)
{
	struct cut *c = ctx;

	if (c->at++ < c->q->pieces) {
		return true;
	}
	if (!take_piece(c->q, f)) {
		c->held = true;
		return false;
	}
	c->q->pieces++;
	return true;
}

/*
 * With all its checksums: a guest that forwards the frame does not fill in what it was told to be verified.
 */
static bool take_cut(struct net_queue *q)
{
	struct cut c = {.q = q};

	net_frame_fit(&q->frame, 0, q->scratch, next_piece, &c);
	return !c.held;
}

/* The guest takes large segments whole, in several suballocations. */
static bool takes_whole(const struct net_queue *q, const struct net_frame *f, uint32_t *ret_parts)
{
	unsigned gso = f->offload.gso & ~NET_GSO_ECN;

	if (gso != NET_GSO_TCPV4 && gso != NET_GSO_TCPV6) {
		return false;
	}
	*ret_parts = (f->bytes + room(q) - 1) / room(q);
	return net_offload_rsc(&q->s, gso == NET_GSO_TCPV6) && *ret_parts <= NET_RANGES &&
	       *ret_parts <= q->s.suballocs / 2;
}

/* True: the frame in hand is done with. */
static bool take_frame(struct net_queue *q)
{
	const struct net_frame *f = &q->frame;
	uint32_t parts;

	if (!net_filter(&q->s, q->net->config.mac, f)) {
		return true;
	}
	if (takes_whole(q, f, &parts)) {
		return deliver(q, f, parts, room(q));
	}
	if (f->offload.gso == NET_GSO_NONE && !(f->offload.flags & NET_OFFLOAD_NEEDS_CSUM)) {
		return take_piece(q, f);
	}
	return take_cut(q);
}

/* ---- A turn ---- */

static bool receiving(const struct net_queue *q)
{
	return net_queue_state(q) == NET_QUEUE_OPEN && !q->broken && q->s.receive && q->s.rndis &&
	       q->s.filter != 0 && !net_leaving(q->net);
}

/*
 * The frame that was in hand at the end of the last turn may be another one now, in a port that was plugged elsewhere meanwhile. Then none of its
 * pieces has been seen.
 */
static void recognize(struct net_queue *q)
{
	const struct net_frame *f = &q->frame;
	uint32_t bytes = (uint32_t)min_u64(f->head_bytes, sizeof(q->held_head));

	if (q->pieces != 0 &&
	    (f->bytes != q->held_bytes || memcmp(f->head, q->held_head, bytes) != 0)) {
		q->pieces = 0;
	}
}

static void hold(struct net_queue *q)
{
	const struct net_frame *f = &q->frame;

	q->waits = true;
	q->held_bytes = f->bytes;
	memcpy(q->held_head, f->head, min_u64(f->head_bytes, sizeof(q->held_head)));
}

static bool next_frame(struct net_queue *q)
{
	const struct vsp_net_config *c = &q->net->config;

	return c->port->receive(c->port_ctx, q->index, &q->frame);
}

static void done_with_frame(struct net_queue *q)
{
	const struct vsp_net_config *c = &q->net->config;

	q->pieces = 0;
	q->port_used = true;
	c->port->received(c->port_ctx, q->index);
}

void net_receive_drop(struct net_queue *q)
{
	q->pieces = 0;
	if (q->s.receive) {
		give_ranges(q);
	}
	q->range_count = 0;
}

static void take_frames(struct net_queue *q)
{
	unsigned taken = 0;

	while (!q->blocked && next_frame(q)) {
		if (taken >= NET_BATCH) {
			q->more = true;
			return;
		}
		recognize(q);
		if (!receiving(q) || net_frame_check(&q->frame) != NULL) {
			net_count(&q->counters.rx_dropped, 1);
		} else if (!take_frame(q)) {
			hold(q);
			return;
		}
		taken += 1 + q->pieces; /* one that was cut is as much work as many */
		done_with_frame(q);
	}
}

void net_receive_serve(struct net_queue *q)
{
	q->more = false;
	q->waits = false;
	if (!receiving(q) && q->range_count != 0) {
		give_ranges(q);
	}
	flush(q);
	take_frames(q);
	flush(q);
	q->waits |= q->blocked;
}
