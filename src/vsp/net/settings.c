// SPDX-License-Identifier: Apache-2.0
/* What queue 0 decides for all queues. */
#include "adapter.h"

#include <string.h>

struct net_settings *net_settings_change(struct vsp_net *n)
{
	net_lock(n);
	return &n->settings;
}

void net_settings_changed(struct vsp_net *n)
{
	__atomic_fetch_add(&n->generation, 1, __ATOMIC_SEQ_CST);
	net_unlock(n);
	net_settings_renew(&n->queues[0]);
	for (unsigned i = 1; i < n->config.queues_max; i++) {
		if (net_queue_state(&n->queues[i]) == NET_QUEUE_OPEN) {
			net_wake(n, i);
		}
	}
}

/* Suballocations of a buffer that is gone are not to be given back. */
static void forget_buffer(struct net_queue *q)
{
	q->range_count = 0;
	q->cache_count = 0;
	q->lent = 0;
}

void net_settings_renew(struct net_queue *q)
{
	struct vsp_net *n = q->net;
	uint64_t generation;

	if (__atomic_load_n(&n->generation, __ATOMIC_SEQ_CST) == q->seen) {
		return;
	}
	net_lock(n);
	q->s = n->settings;
	generation = __atomic_load_n(&n->generation, __ATOMIC_SEQ_CST);
	net_unlock(n);
	if (!q->s.receive) {
		forget_buffer(q);
	}
	__atomic_store_n(&q->seen, generation, __ATOMIC_SEQ_CST);
	if (q->index != 0) {
		net_wake(n, 0); /* it may wait for that */
	}
}

/* A queue that opens now renews its copy before it uses it. */
bool net_settled(const struct vsp_net *n, uint64_t generation)
{
	for (unsigned i = 1; i < n->config.queues_max; i++) {
		const struct net_queue *q = &n->queues[i];

		if (net_queue_state(q) != NET_QUEUE_CLOSED &&
		    __atomic_load_n(&q->seen, __ATOMIC_SEQ_CST) < generation) {
			return false;
		}
	}
	return true;
}

void net_settings_reset(struct vsp_net *n)
{
	struct net_settings *s = net_settings_change(n);
	uint8_t mac[NET_MAC_BYTES];

	memcpy(mac, s->mac, sizeof(mac));
	*s = (struct net_settings){.mtu = n->config.mtu};
	memcpy(s->mac, mac, sizeof(mac));
	net_settings_changed(n);
}
