// SPDX-License-Identifier: Apache-2.0
/* One queue: packets in, answers out, opening and closing. */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

/* ---- Life ---- */

enum net_queue_state net_queue_state(const struct net_queue *q)
{
	return (enum net_queue_state)__atomic_load_n(&q->state, __ATOMIC_SEQ_CST);
}

static void set_state(struct net_queue *q, enum net_queue_state state)
{
	__atomic_store_n(&q->state, state, __ATOMIC_SEQ_CST);
}

/* The state is set before the settings are looked at: queue 0 does it the other way round, so one of the two sees the other. */
void net_queue_open(struct net_queue *q, struct vmbus_channel *vmbus)
{
	struct vsp_net *n = q->net;

	CHECK(net_queue_state(q) == NET_QUEUE_CLOSED);
	q->vmbus = vmbus;
	q->work = NET_IDLE;
	q->blocked = false;
	q->broken = false;
	/* A signal of before may have set it, and then nobody would wake us. The ring is looked at in any case. */
	__atomic_store_n(&q->signalled, false, __ATOMIC_SEQ_CST);
	q->readable = true;
	q->lent = 0;
	q->sealed = false;
	__atomic_store_n(&q->left, false, __ATOMIC_RELEASE);
	set_state(q, NET_QUEUE_OPEN);
	if (q->index == 0) {
		net_settings_change(n)->primary = vmbus;
		net_settings_changed(n);
	} else {
		net_settings_renew(q);
		net_wake(n, 0); /* the indirection table waits for all */
	}
}

void net_queue_close(struct net_queue *q)
{
	CHECK(net_queue_state(q) == NET_QUEUE_OPEN);
	set_state(q, NET_QUEUE_CLOSING);
	q->work = NET_IDLE;
	q->blocked = false;
	net_receive_drop(q);
	if (q->index != 0) {
		net_pool_reclaim(q);
	}
}

/* Queue 0 ends the protocol: the others must not use its GPADLs any more, and the bus must have answered. */
static bool may_end(const struct vsp_net *n)
{
	for (unsigned i = 1; i < n->config.queues_max; i++) {
		if (net_queue_state(&n->queues[i]) != NET_QUEUE_CLOSED) {
			return false;
		}
	}
	return !n->creating;
}

static void end_protocol(struct vsp_net *n)
{
	n->reply_count = 0;
	n->table_due = false;
	net_settings_reset(n);
	net_pool_destroy(n);
	net_rss_apply(n);
}

void net_queue_finish_close(struct net_queue *q)
{
	struct vmbus_channel *vmbus = q->vmbus;

	if (net_queue_state(q) != NET_QUEUE_CLOSING || (q->index == 0 && !may_end(q->net))) {
		return;
	}
	if (q->index == 0) {
		end_protocol(q->net);
	}
	q->vmbus = NULL;
	set_state(q, NET_QUEUE_CLOSED);
	vmbus_channel_closed(vmbus);
	if (q->index != 0) {
		net_wake(q->net, 0);
	}
}

/* ---- Answers ---- */

static void set_broken(struct net_queue *q)
{
	q->broken = true;
	q->readable = false;
	q->work = NET_IDLE;
	net_receive_drop(q);
}

bool net_queue_written(struct net_queue *q, enum vmbus_ring_status status)
{
	if (status == VMBUS_RING_FULL) {
		q->blocked = true;
	} else if (status != VMBUS_RING_OK && status != VMBUS_RING_TOO_BIG) {
		set_broken(q);
	}
	return status == VMBUS_RING_OK;
}

void net_queue_answer(struct net_queue *q, uint32_t type, uint32_t bytes)
{
	q->answer.type = type;
	q->answer_bytes = bytes;
	q->work = q->p.wants_completion ? NET_ANSWERING : NET_IDLE;
}

/* True: the packet is finished. */
static bool write_answer(struct net_queue *q)
{
	const struct io_vec vec = {&q->answer, q->answer_bytes};

	if (!q->blocked) {
		net_queue_written(q, vmbus_ring_write(q->vmbus, VMBUS_PACKET_COMPLETION, false,
						      q->p.transaction, &vec, 1));
	}
	if (!q->blocked) {
		q->work = NET_IDLE;
	}
	return !q->blocked;
}

/* True: finished. False: it has to wait for the port. */
static bool send_frames(struct net_queue *q)
{
	struct nvsp_message m;
	enum net_transmit r;

	memcpy(&m, q->p.data, sizeof(m.type) + sizeof(m.rndis));
	r = net_transmit(q, &m.rndis);
	if (r == NET_TRANSMIT_HELD) {
		return false;
	}
	q->answer = (struct nvsp_message){0};
	q->answer.status = r == NET_TRANSMIT_DONE ? NVSP_STAT_SUCCESS : NVSP_STAT_INVALID_RNDIS_PKT;
	net_queue_answer(q, NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE, NVSP_MESSAGE_BYTES);
	return true;
}

/* ---- Packets ---- */

/* True: there was a step to do. */
static bool go_on(struct net_queue *q)
{
	switch (q->work) {
	case NET_SENDING:
		return send_frames(q);
	case NET_SETTLING:
		net_buffer_settle(q);
		return q->work != NET_SETTLING;
	case NET_ANSWERING:
		return write_answer(q);
	case NET_CREATING:
	case NET_IDLE:
	case NET_WORKS:
	default:
		return false;
	}
}

static void dispatch(struct net_queue *q)
{
	switch (q->p.type) {
	case VMBUS_PACKET_COMPLETION:
		if (!net_pool_complete(q, q->p.transaction)) {
			net_report(q->net, VIOLATION_COMPLETION,
				   "queue %u: completion of transaction 0x%llx, which the guest "
				   "does not have",
				   q->index, (unsigned long long)q->p.transaction);
		}
		break;
	case VMBUS_PACKET_DATA_INBAND:
	case VMBUS_PACKET_DATA_USING_GPA_DIRECT:
		net_nvsp(q);
		break;
	default:
		net_report(q->net, VIOLATION_PACKET,
			   "queue %u: packet of type %u, expected in-band (%u), GPA-direct (%u) or "
			   "completion (%u)",
			   q->index, q->p.type, VMBUS_PACKET_DATA_INBAND,
			   VMBUS_PACKET_DATA_USING_GPA_DIRECT, VMBUS_PACKET_COMPLETION);
		net_queue_answer(q, 0, 0);
		break;
	}
}

/* True: a packet was taken. */
static bool take_packet(struct net_queue *q)
{
	switch (vmbus_ring_read(q->vmbus, q->packet, sizeof(q->packet), &q->p)) {
	case VMBUS_RING_OK:
		q->failed = false;
		dispatch(q);
		return true;
	case VMBUS_RING_TOO_BIG:
		net_report(q->net, VIOLATION_PACKET,
			   "queue %u: packet of more than %zu bytes, dropped", q->index,
			   sizeof(q->packet));
		return true;
	case VMBUS_RING_EMPTY:
		q->readable = false;
		return false;
	case VMBUS_RING_BROKEN:
	case VMBUS_RING_FULL:
	default:
		set_broken(q);
		return false;
	}
}

bool net_queue_more(const struct net_queue *q)
{
	return net_queue_state(q) == NET_QUEUE_OPEN && q->readable && !q->blocked && !q->broken &&
	       q->work == NET_IDLE;
}

void net_queue_serve(struct net_queue *q)
{
	unsigned taken = 0;

	while (!q->broken) {
		if (q->work != NET_IDLE) {
			if (!go_on(q)) {
				return;
			}
		} else if (taken == NET_BATCH || !net_queue_more(q) || !take_packet(q)) {
			return;
		} else {
			taken++;
		}
	}
}
