// SPDX-License-Identifier: Apache-2.0
/* Where the bus thread and the queues' threads meet. */
#include "adapter.h"

#include "lib/check.h"

void net_lock(struct vsp_net *n)
{
	if (n->config.lock_ops.lock != NULL) {
		n->config.lock_ops.lock(n->config.lock);
	}
}

void net_unlock(struct vsp_net *n)
{
	if (n->config.lock_ops.unlock != NULL) {
		n->config.lock_ops.unlock(n->config.lock);
	}
}

void net_wake(struct vsp_net *n, unsigned queue)
{
	n->config.wake(n->config.ctx, queue);
}

static struct net_queue *queue_of(struct vsp_net *n, const struct vmbus_channel *vmbus)
{
	uint32_t index = vmbus_channel_index(vmbus);

	CHECK(index < n->config.queues_max);
	return &n->queues[index];
}

/* Under the lock. */
static void post(struct net_queue *q)
{
	__atomic_store_n(&q->mail, true, __ATOMIC_RELEASE);
}

/* ---- Bus thread ---- */

static uint32_t bus_open(void *ctx, struct vmbus_channel *vmbus, const uint8_t *user)
{
	struct vsp_net *n = ctx;
	struct net_queue *q = queue_of(n, vmbus);

	net_lock(n);
	CHECK(q->mail_opened == NULL && !q->mail_closing);
	q->mail_opened = vmbus;
	post(q);
	net_unlock(n);
	net_wake(n, q->index);
	return VMBUS_STATUS_SUCCESS;
}

static void bus_close(void *ctx, struct vmbus_channel *vmbus)
{
	struct vsp_net *n = ctx;
	struct net_queue *q = queue_of(n, vmbus);

	net_lock(n);
	CHECK(!q->mail_closing);
	q->mail_closing = true;
	post(q);
	net_unlock(n);
	net_wake(n, q->index);
}

/* Any thread, and often a VP's: one wake is enough until the queue's thread has looked. */
static void bus_signal(void *ctx, struct vmbus_channel *vmbus)
{
	struct vsp_net *n = ctx;
	struct net_queue *q = queue_of(n, vmbus);

	if (!__atomic_exchange_n(&q->signalled, true, __ATOMIC_SEQ_CST)) {
		net_wake(n, q->index);
	}
}

const struct vmbus_device_ops net_vmbus_ops = {
	.open = bus_open,
	.close = bus_close,
	.signal = bus_signal,
};

static void bus_created(void *ctx, int result)
{
	struct vsp_net *n = ctx;

	net_lock(n);
	CHECK(!n->mail_created);
	n->mail_created = true;
	n->mail_create_result = result;
	post(&n->queues[0]);
	net_unlock(n);
	net_wake(n, 0);
}

/* ---- The queue's thread ---- */

void net_mailbox_create(struct vsp_net *n, uint32_t count)
{
	vmbus_request_subchannels(n->queues[0].vmbus, count, bus_created, n);
}

static void take_created(struct vsp_net *n)
{
	bool created;
	int result;

	net_lock(n);
	created = n->mail_created;
	result = n->mail_create_result;
	n->mail_created = false;
	net_unlock(n);
	if (created) {
		net_subchannels_created(n, result);
	}
}

void net_mailbox_take(struct net_queue *q)
{
	struct vsp_net *n = q->net;
	struct vmbus_channel *opened;
	bool closing;

	if (!__atomic_load_n(&q->mail, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&q->mail, false, __ATOMIC_ACQ_REL)) {
		return;
	}
	if (q->index == 0) {
		take_created(n);
	}
	net_lock(n);
	opened = q->mail_opened;
	closing = q->mail_closing;
	q->mail_opened = NULL;
	q->mail_closing = false;
	net_unlock(n);
	if (opened != NULL) {
		net_queue_open(q, opened);
	}
	if (closing) {
		net_queue_close(q);
	}
}
