// SPDX-License-Identifier: Apache-2.0
/* An adapter's life, the turn of a queue's thread, link and statistics. */
#include "adapter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"

#define LINK_BPS_DEFAULT UINT64_C(10000000000)

/* ---- Life ---- */

static void take_config(struct vsp_net *n, const struct vsp_net_config *config)
{
	struct vsp_net_config *c = &n->config;

	*c = *config;
	CHECK(c->queues_max >= 1 && c->queues_max <= VSP_NET_QUEUES_MAX);
	c->mtu_max = c->mtu_max != 0 ? c->mtu_max : NET_MTU_MAX;
	c->mtu = c->mtu != 0 ? c->mtu : (uint32_t)min_u64(NET_MTU_DEFAULT, c->mtu_max);
	CHECK(c->mtu >= NET_MTU_MIN && c->mtu <= c->mtu_max && c->mtu_max <= NET_MTU_MAX);
	snprintf(n->name, sizeof(n->name), "%s", c->name);
	c->name = n->name;
	n->link_up = true;
	n->link_bps = c->link_bps != 0 ? c->link_bps : LINK_BPS_DEFAULT;
	n->settings.mtu = c->mtu;
	memcpy(n->settings.mac, c->mac, NET_MAC_BYTES);
	n->generation = 1;
}

static void release(struct vsp_net *n)
{
	net_pool_destroy(n);
	free(n->queues);
	free(n);
}

static struct vsp_net *allocate(const struct vsp_net_config *config)
{
	struct vsp_net *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		return NULL;
	}
	take_config(n, config);
	n->queues = calloc(n->config.queues_max, sizeof(*n->queues));
	if (n->queues == NULL) {
		release(n);
		return NULL;
	}
	for (unsigned i = 0; i < n->config.queues_max; i++) {
		n->queues[i].net = n;
		n->queues[i].index = i;
	}
	return n;
}

int vsp_net_create(struct vmbus *bus, const struct vsp_net_config *config, struct vsp_net **ret)
{
	struct vsp_net *n = allocate(config);
	int err;

	if (n == NULL) {
		return -ENOMEM;
	}
	const struct vmbus_offer offer = {
		.type = NET_ADAPTER_TYPE,
		.instance = n->config.instance,
		.flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_TRANSFER_PAGES,
		.name = n->name,
	};

	err = vmbus_device_offer(bus, &offer, &net_vmbus_ops, n, &n->device);
	if (err != 0) {
		release(n);
		return err;
	}
	*ret = n;
	return 0;
}

void vsp_net_remove(struct vsp_net *n, void (*gone)(void *ctx), void *ctx)
{
	vmbus_device_rescind(n->device, gone, ctx);
}

void vsp_net_destroy(struct vsp_net *n)
{
	if (n != NULL) {
		release(n);
	}
}

/* ---- A turn ---- */

static void take_signal(struct net_queue *q)
{
	if (__atomic_load_n(&q->signalled, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&q->signalled, false, __ATOMIC_SEQ_CST)) {
		q->readable = !q->broken;
		q->blocked = false;
	}
}

/*
 * What waits for room goes first, then the guest's packets: completions among them make room in the receive buffer. Answers to what the guest
 * asked follow the frames that it may have seen before.
 */
static void serve(struct net_queue *q)
{
	take_signal(q);
	q->readable |= q->sealed && !q->broken; /* it does not signal then */
	net_settings_renew(q);
	net_queue_serve(q);
	net_receive_serve(q);
	if (q->index == 0) {
		net_rndis_serve(q);
		net_subchannels_serve(q);
	}
}

static void flush_port(struct net_queue *q)
{
	const struct vsp_net_config *c = &q->net->config;

	if (q->port_used) {
		q->port_used = false;
		c->port->flush(c->port_ctx, q->index);
	}
}

bool vsp_net_poll(struct vsp_net *n, unsigned queue)
{
	struct net_queue *q = &n->queues[queue];

	CHECK(queue < n->config.queues_max);
	net_mailbox_take(q);
	if (net_queue_state(q) == NET_QUEUE_OPEN) {
		serve(q);
	} else {
		net_receive_serve(q);
	}
	/* The port first: it works on its frames beside us, while the guest's interrupt takes our time, or on a busy host our processor. */
	flush_port(q);
	if (net_queue_state(q) == NET_QUEUE_OPEN) {
		vmbus_ring_flush(q->vmbus);
		net_leave_serve(q);
	}
	net_queue_finish_close(q);
	return net_queue_more(q) || q->more || __atomic_load_n(&q->mail, __ATOMIC_ACQUIRE);
}

bool vsp_net_takes(const struct vsp_net *n, unsigned queue)
{
	return !n->queues[queue].waits;
}

/* ---- Link and statistics ---- */

bool net_link_up(const struct vsp_net *n)
{
	return __atomic_load_n(&n->link_up, __ATOMIC_ACQUIRE) && !net_leaving(n);
}

void vsp_net_link(struct vsp_net *n, bool up)
{
	__atomic_store_n(&n->link_up, up, __ATOMIC_RELEASE);
	net_wake(n, 0);
}

void vsp_net_speed(struct vsp_net *n, uint64_t bps)
{
	__atomic_store_n(&n->link_bps, bps, __ATOMIC_RELEASE);
	net_wake(n, 0);
}

void vsp_net_changed(struct vsp_net *n)
{
	__atomic_store_n(&n->network_changed, true, __ATOMIC_RELEASE);
	net_wake(n, 0);
}

static void add(uint64_t *sum, const uint64_t *counter)
{
	*sum += __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void vsp_net_get_stats(const struct vsp_net *n, struct vsp_net_stats *ret)
{
	*ret = (struct vsp_net_stats){0};
	for (unsigned i = 0; i < n->config.queues_max; i++) {
		const struct net_counters *c = &n->queues[i].counters;

		add(&ret->rx_frames, &c->rx_frames);
		add(&ret->rx_bytes, &c->rx_bytes);
		add(&ret->rx_dropped, &c->rx_dropped);
		add(&ret->tx_frames, &c->tx_frames);
		add(&ret->tx_bytes, &c->tx_bytes);
		add(&ret->tx_dropped, &c->tx_dropped);
	}
}
