// SPDX-License-Identifier: Apache-2.0
/* A queue's part of the saved state. */
#include "adapter.h"
#include "save.h"

#include <string.h>

static bool restore_packet(struct net_queue *q, struct state_reader *r)
{
	uint32_t count = state_get_u32(r), ranges_bytes = state_get_u32(r);
	uint32_t bytes = state_get_u32(r);
	uint8_t *buf = (uint8_t *)q->packet;

	if (ranges_bytes > sizeof(q->packet) || bytes > sizeof(q->packet) - ranges_bytes) {
		return false;
	}
	state_get_bytes(r, buf, ranges_bytes + bytes);
	q->p.type = count != 0 ? VMBUS_PACKET_DATA_USING_GPA_DIRECT : VMBUS_PACKET_DATA_INBAND;
	q->p.range_count = count;
	q->p.ranges = buf;
	q->p.ranges_bytes = ranges_bytes;
	q->p.data = buf + ranges_bytes;
	q->p.bytes = bytes;
	return !r->bad && vmbus_ranges_valid(buf, ranges_bytes, count);
}

/* Only queue 0 settles and creates. */
static bool work_valid(const struct net_queue *q)
{
	const struct vsp_net *n = q->net;

	switch (q->work) {
	case NET_SENDING:
		return q->s.version != 0 &&
		       q->p.bytes >= sizeof(uint32_t) + sizeof(struct nvsp_rndis);
	case NET_SETTLING:
		return q->index == 0;
	case NET_CREATING:
		return q->index == 0 && n->creating_count != 0;
	case NET_ANSWERING:
		return q->answer_bytes <= sizeof(q->answer);
	case NET_IDLE:
	case NET_WORKS:
	default:
		return false;
	}
}

static bool restore_work(struct net_queue *q, struct state_reader *r)
{
	uint8_t work = state_get_u8(r);

	if (q->work != NET_IDLE || work >= NET_WORKS) {
		return false;
	}
	q->p = (struct vmbus_packet){.transaction = state_get_u64(r)};
	q->p.wants_completion = state_get_u8(r) != 0;
	q->at = state_get_u32(r);
	q->failed = state_get_u8(r) != 0;
	q->answer_bytes = state_get_u32(r);
	state_get_bytes(r, &q->answer, sizeof(q->answer));
	if (!restore_packet(q, r)) {
		return false;
	}
	q->work = (enum net_work)work;
	return work_valid(q);
}

/* The numbers of a chain, each of them once; 0: it is not one. */
static uint32_t read_chain(struct net_queue *q, struct state_reader *r, uint32_t *ret)
{
	struct net_pool *p = &q->net->pool;
	uint32_t count = state_get_u32(r);

	if (count == 0 || count > NET_RANGES) {
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		ret[i] = state_get_u32(r);
		if (r->bad || ret[i] >= p->count || p->next[ret[i]] != NET_RESTORE_FREE) {
			return 0;
		}
		p->next[ret[i]] = NET_SUBALLOC_NONE;
		if (i != 0) {
			p->next[ret[i - 1]] = ret[i];
		}
	}
	return count;
}

static bool restore_filled(struct net_queue *q, struct state_reader *r)
{
	uint32_t chain[NET_RANGES];
	uint32_t count = read_chain(q, r, chain);

	if (q->range_count != 0 || count == 0) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bytes = state_get_u32(r);

		if (bytes == 0 || bytes > q->s.suballoc_bytes) {
			return false;
		}
		q->ranges[i] = (struct vmbus_xfer_range){bytes, chain[i] * q->s.suballoc_bytes};
	}
	q->range_count = count;
	q->range_first = chain[0];
	q->range_last = chain[count - 1];
	return true;
}

static bool restore_lent(struct net_queue *q, struct state_reader *r)
{
	uint32_t chain[NET_RANGES];

	if (read_chain(q, r, chain) == 0) {
		return false;
	}
	net_pool_lend(q, chain[0]);
	return true;
}

static bool restore_queue_part(struct net_queue *q, uint32_t tag, struct state_reader *r)
{
	switch (tag) {
	case TAG_WORK:
		return restore_work(q, r);
	case TAG_FILLED:
		return restore_filled(q, r);
	case TAG_LENT:
		return restore_lent(q, r);
	default:
		return true;
	}
}

bool net_restore_queue(struct vsp_net *n, struct state_reader *r)
{
	uint32_t index = state_get_u32(r), tag;
	uint8_t broken = state_get_u8(r);
	uint16_t packet_id = state_get_u16(r), version;
	struct state_reader payload;
	struct net_queue *q;

	if (index >= n->config.queues_max || net_queue_state(&n->queues[index]) != NET_QUEUE_OPEN ||
	    broken > 1) {
		return false;
	}
	q = &n->queues[index];
	q->packet_id = packet_id;
	while (state_next(r, &tag, &version, &payload)) {
		if (version > NET_SAVE_VERSION || !restore_queue_part(q, tag, &payload)) {
			return false;
		}
	}
	q->broken = broken;
	return !r->bad;
}
