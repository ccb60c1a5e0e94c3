// SPDX-License-Identifier: Apache-2.0
/* Before an adapter is removed: the guest gets the answers that it waits for, and sends nothing more. */
#include "adapter.h"

void vsp_net_leave(struct vsp_net *n)
{
	__atomic_store_n(&n->leaving, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < n->config.queues_max; i++) {
		net_wake(n, i);
	}
}

bool net_leaving(const struct vsp_net *n)
{
	return __atomic_load_n(&n->leaving, __ATOMIC_ACQUIRE);
}

bool vsp_net_left(const struct vsp_net *n)
{
	for (unsigned i = 0; i < n->config.queues_max; i++) {
		const struct net_queue *q = &n->queues[i];

		if (net_queue_state(q) != NET_QUEUE_CLOSED &&
		    !__atomic_load_n(&q->left, __ATOMIC_ACQUIRE)) {
			return false;
		}
	}
	return true;
}

/* What the guest has it must be able to give back, and to what it has begun with it gets its answers: there has to be room until then. */
static bool may_seal(const struct net_queue *q)
{
	const struct vsp_net *n = q->net;

	return q->lent == 0 && q->work == NET_IDLE && !q->readable && !q->blocked &&
	       (q->index != 0 || (q->s.rndis && !n->link_told && n->reply_count == 0));
}

void net_leave_serve(struct net_queue *q)
{
	if (!net_leaving(q->net)) {
		return;
	}
	q->sealed |= may_seal(q);
	__atomic_store_n(&q->left,
			 q->broken || (q->sealed && vmbus_ring_seal(q->vmbus) && may_seal(q)),
			 __ATOMIC_RELEASE);
}
