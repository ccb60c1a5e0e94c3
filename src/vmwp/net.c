// SPDX-License-Identifier: Apache-2.0
#include "net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/log.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "net_launcher.h"
#include "net_thread.h"
#include "worker.h"

#define PATIENCE_NS UINT64_C(5000000000) /* how long packets wait for a switch that went away */

struct adapter {
	struct net *net;
	unsigned number;
	char name[8];
	uint8_t mac[NET_MAC_BYTES];
	uint32_t mtu;
	char *spec;
	struct net_port port;
	struct loop_timer patience;
	pthread_mutex_t mailbox;
	bool gone; /* the guest let go of it */
	bool leaving;
	void (*done)(void *ctx); /* of the one who takes it away */
	void *ctx;
};

struct net {
	struct worker *worker;
	unsigned queues;
	struct vmbus *bus; /* of this boot; NULL: between boots */
	struct net_threads *threads;
	struct net_launcher *launcher;
	struct adapter *adapters[NET_ADAPTERS_MAX];
	struct net_port *ports[NET_ADAPTERS_MAX]; /* of the adapters, for the threads */
};

unsigned net_queues(uint32_t processors)
{
	return (unsigned)min_u64(processors, NET_QUEUES_MAX);
}

unsigned net_worker_queues(const struct net *n)
{
	return n->queues;
}

/* ---- Cables ---- */

/* Nobody listens to the cable any more. Loop thread, threads parked. */
static void deafen(struct adapter *a)
{
	struct net_cable *c = &a->port.cable;

	if (c->memory != NULL) {
		loop_remove(a->net->worker->loop, c->plug.connection);
		net_threads_forget(a->net->threads, &c->plug);
	}
}

static void unplug(struct adapter *a)
{
	deafen(a);
	net_cable_unplug(&a->port.cable);
}

/* Changes under the threads' feet. */
static void pause_threads(struct net *n)
{
	net_threads_park(n->threads);
}

static void resume_threads(struct net *n)
{
	if (n->bus != NULL) {
		net_threads_serve(n->threads);
	}
}

static void on_hangup(void *ctx)
{
	struct adapter *a = ctx;
	struct net *n = a->net;

	log_line("%s: the switch is gone; packets wait for it to come back", a->name);
	pause_threads(n);
	unplug(a);
	resume_threads(n);
	loop_timer_set(n->worker->loop, &a->patience, host_now_ns() + PATIENCE_NS);
	net_launcher_ask(n->launcher, a->number, a->spec);
}

static void on_impatience(void *ctx)
{
	struct adapter *a = ctx;

	pause_threads(a->net);
	a->port.cable.dropping = true;
	if (a->port.vsp != NULL) {
		vsp_net_link(a->port.vsp, false);
	}
	resume_threads(a->net);
}

/* Loop thread, threads parked. */
static int plug_in(struct adapter *a, const struct net_plug *plug)
{
	struct net *n = a->net;
	int r = net_cable_plug(&a->port.cable, plug, n->queues);

	if (r == 0) {
		r = net_threads_listen(n->threads, plug);
	}
	if (r == 0) {
		r = loop_add(n->worker->loop, plug->connection, on_hangup, a);
		if (r != 0) {
			net_threads_forget(n->threads, plug);
		}
	}
	if (r != 0) {
		net_cable_release(&a->port.cable);
	}
	return r;
}

void net_replug(struct net *n, unsigned number, const struct net_plug *plug)
{
	struct adapter *a = number < NET_ADAPTERS_MAX ? n->adapters[number] : NULL;

	if (a == NULL || a->leaving || a->port.cable.memory != NULL) {
		net_plug_close(plug);
		return;
	}
	loop_timer_set(n->worker->loop, &a->patience, 0);
	pause_threads(n);
	int r = plug_in(a, plug);

	if (r == 0 && a->port.vsp != NULL) {
		vsp_net_link(a->port.vsp, true);
	}
	resume_threads(n);
	if (r != 0) {
		log_line("%s: the new cable cannot be used: %s", a->name, strerror(-r));
		net_plug_close(plug);
	} else {
		log_line("%s: plugged in again", a->name);
	}
}

/* ---- Adapters ---- */

static void adapter_free(struct adapter *a)
{
	loop_timer_set(a->net->worker->loop, &a->patience, 0);
	unplug(a);
	free(a->spec);
	free(a);
}

/* Threads parked. */
static int adapter_create(struct net *n, const struct net_adapter_config *config)
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
	a->patience = (struct loop_timer){.fn = on_impatience, .ctx = a};
	pthread_mutex_init(&a->mailbox, NULL);
	a->spec = strdup(config->spec);
	if (a->spec != NULL) {
		r = plug_in(a, &config->plug);
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

static void adapter_forget(struct adapter *a)
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
	n->queues = net_queues(config->processors);
	r = net_threads_create(n->queues, n->ports, &n->threads);
	if (r == 0) {
		r = net_launcher_create(n, w->loop, w->config.launcher_fd, &n->launcher);
	}
	for (size_t i = 0; i < config->count && r == 0; i++) {
		r = adapter_create(n, &config->adapters[i]);
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
			adapter_forget(n->adapters[i]);
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
static struct guid adapter_instance(unsigned number)
{
	struct guid g =
		GUID(0x2f4e1d60, 0x8a57, 0x4c1b, 0xb1, 0x0d, 0x76, 0x69, 0x72, 0x69, 0x64, 0);

	g.bytes[15] = (uint8_t)number;
	return g;
}

static int offer(struct adapter *a, struct vmbus *bus)
{
	const struct vsp_net_config config = {
		.instance = adapter_instance(a->number),
		.mtu = a->mtu,
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

	if (r == 0 && a->port.cable.dropping) {
		vsp_net_link(a->port.vsp, false);
	}
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
			r = offer(n->adapters[i], bus);
		}
	}
	n->bus = bus;
	net_threads_serve(n->threads);
	return r;
}

void net_park(struct net *n)
{
	if (n != NULL) {
		net_threads_park(n->threads);
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

/* ---- Changes while the VM runs ---- */

const char *net_attach(struct net *n, const struct net_adapter_config *config)
{
	int r;

	if (n == NULL || n->bus == NULL) {
		return "the machine takes no adapters now";
	}
	if (config->number >= NET_ADAPTERS_MAX || n->adapters[config->number] != NULL) {
		return "an adapter of that number is there already";
	}
	pause_threads(n);
	r = adapter_create(n, config);
	if (r == 0) {
		r = offer(n->adapters[config->number], n->bus);
		if (r != 0) {
			deafen(n->adapters[config->number]);
			net_cable_release(&n->adapters[config->number]->port.cable);
			adapter_forget(n->adapters[config->number]);
		}
	}
	resume_threads(n);
	return r == 0 ? NULL : "the adapter could not be made";
}

/* Bus thread, from within the bus: the rest happens in net_poll. */
static void on_gone(void *ctx)
{
	struct adapter *a = ctx;

	a->gone = true;
	loop_wake(a->net->worker->loop);
}

const char *net_detach(struct net *n, unsigned number, void (*done)(void *ctx), void *ctx)
{
	struct adapter *a = n != NULL && number < NET_ADAPTERS_MAX ? n->adapters[number] : NULL;

	if (a == NULL) {
		return "there is no adapter of that number";
	}
	if (a->leaving) {
		return "the adapter is being taken away already";
	}
	a->leaving = true;
	a->done = done;
	a->ctx = ctx;
	if (a->port.vsp != NULL) {
		vsp_net_remove(a->port.vsp, on_gone, a);
	} else {
		on_gone(a);
	}
	return NULL;
}

void net_poll(struct net *n)
{
	for (unsigned i = 0; n != NULL && i < NET_ADAPTERS_MAX; i++) {
		struct adapter *a = n->adapters[i];

		if (a != NULL && a->gone) {
			void (*done)(void *ctx) = a->done;
			void *ctx = a->ctx;

			pause_threads(n);
			adapter_forget(a);
			resume_threads(n);
			done(ctx);
		}
	}
}
