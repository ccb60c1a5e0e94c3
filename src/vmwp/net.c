// SPDX-License-Identifier: Apache-2.0
#include "net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "lib/check.h"
#include "net_adapter.h"
#include "net_launcher.h"
#include "worker.h"

unsigned net_worker_queues(const struct net *n)
{
	return n->queues;
}

/* ---- Adapters ---- */

static void adapter_free(struct adapter *a)
{
	loop_timer_set(a->net->worker->loop, &a->patience, 0);
	loop_timer_set(a->net->worker->loop, &a->farewell.timer, 0);
	net_adapter_unplug(a);
	pthread_mutex_destroy(&a->mailbox);
	free(a->spec);
	free(a);
}

int net_adapter_create(struct net *n, const struct net_adapter_config *config)
{
	struct adapter *a = calloc(1, sizeof(*a));
	int r = -ENOMEM;

	CHECK(config->number < NET_ADAPTERS_MAX && n->adapters[config->number] == NULL);
	if (a == NULL) {
		return r;
	}
	a->net = n;
	a->number = config->number;
	a->mtu = config->mtu;
	memcpy(a->mac, config->mac, sizeof(a->mac));
	snprintf(a->name, sizeof(a->name), "net%u", config->number);
	a->patience = (struct loop_timer){.fn = net_adapter_impatient, .ctx = a};
	a->farewell.timer = (struct loop_timer){.fn = net_adapter_farewell, .ctx = a};
	pthread_mutex_init(&a->mailbox, NULL);
	a->spec = strdup(config->spec);
	a->disconnected = config->plug.queues == 0;
	a->port.cable.dropping = a->disconnected;
	if (a->spec != NULL) {
		r = a->disconnected ? 0 : net_adapter_plug(a, &config->plug);
	}
	if (r != 0) {
		free(a->spec);
		free(a);
		return r;
	}
	n->adapters[a->number] = a;
	n->ports[a->number] = &a->port;
	return 0;
}

void net_adapter_forget(struct adapter *a)
{
	struct net *n = a->net;

	n->adapters[a->number] = NULL;
	n->ports[a->number] = NULL;
	vsp_net_destroy(a->port.vsp);
	adapter_free(a);
}

int net_create(struct worker *w, struct net **ret)
{
	const struct net_config *config = &w->config.net;
	struct net *n;
	int r;

	if (config->count == 0 && !config->later) {
		return 0;
	}
	n = calloc(1, sizeof(*n));
	if (n == NULL) {
		return -ENOMEM;
	}
	n->worker = w;
	n->queues = wire_queues(config->processors);
	r = net_threads_create(n->queues, n->ports, &n->threads);
	if (r == 0) {
		r = net_launcher_create(n, w->loop, w->config.launcher_fd, &n->launcher);
	}
	for (size_t i = 0; i < config->count && r == 0; i++) {
		r = net_adapter_create(n, &config->adapters[i]);
	}
	if (r != 0) {
		net_destroy(n);
		return r;
	}
	*ret = n;
	return 0;
}

void net_destroy(struct net *n)
{
	if (n == NULL) {
		return;
	}
	if (n->threads != NULL) {
		net_threads_park(n->threads);
	}
	for (unsigned i = 0; i < NET_ADAPTERS_MAX; i++) {
		if (n->adapters[i] != NULL) {
			net_adapter_forget(n->adapters[i]);
		}
	}
	net_threads_destroy(n->threads);
	net_launcher_destroy(n->launcher);
	free(n);
}

/* ---- On the bus ---- */

static void lock_mailbox(void *lock)
{
	pthread_mutex_lock(lock);
}

static void unlock_mailbox(void *lock)
{
	pthread_mutex_unlock(lock);
}

static void wake_queue(void *ctx, unsigned queue)
{
	struct adapter *a = ctx;

	net_threads_wake(a->net->threads, queue);
}

static void log_adapter(void *ctx, const char *line)
{
	struct adapter *a = ctx;

	log_line("%s: %s", a->name, line);
}

/* Stable over restarts of the VM: the guest knows an adapter by it. */
struct guid net_instance(unsigned number)
{
	struct guid g =
		GUID(0x2f4e1d60, 0x8a57, 0x4c1b, 0xb1, 0x0d, 0x76, 0x69, 0x72, 0x69, 0x64, 0);

	g.bytes[15] = (uint8_t)number;
	return g;
}

int net_adapter_offer(struct adapter *a, struct vmbus *bus)
{
	const struct vsp_net_config config = {
		.instance = net_instance(a->number),
		.mtu = a->mtu,
		.mtu_max = a->mtu,
		.queues_max = a->net->queues,
		.takes = NET_TAKES_ALL,
		.name = a->name,
		.port = &net_cable_port,
		.port_ctx = &a->port.cable,
		.lock = &a->mailbox,
		.lock_ops = {.lock = lock_mailbox, .unlock = unlock_mailbox},
		.wake = wake_queue,
		.log = log_adapter,
		.ctx = a,
		.mac = {a->mac[0], a->mac[1], a->mac[2], a->mac[3], a->mac[4], a->mac[5]},
	};
	int r = vsp_net_create(bus, &config, &a->port.vsp);

	a->port.link_told = true; /* as adapters begin */
	return r;
}

int net_offer(struct net *n, struct vmbus *bus)
{
	int r = 0;

	if (n == NULL) {
		return 0;
	}
	for (unsigned i = 0; i < NET_ADAPTERS_MAX && r == 0; i++) {
		if (n->adapters[i] != NULL && !n->adapters[i]->leaving) {
			r = net_adapter_offer(n->adapters[i], bus);
		}
	}
	n->bus = bus;
	return r;
}

void net_park(struct net *n)
{
	if (n != NULL) {
		net_quiesce(n);
		n->bus = NULL;
	}
}

void net_withdraw(struct net *n)
{
	for (unsigned i = 0; n != NULL && i < NET_ADAPTERS_MAX; i++) {
		struct adapter *a = n->adapters[i];

		if (a != NULL) {
			vsp_net_destroy(a->port.vsp);
			a->port.vsp = NULL;
			a->gone = a->leaving;
		}
	}
	net_poll(n);
}
