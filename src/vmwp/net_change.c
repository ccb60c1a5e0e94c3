// SPDX-License-Identifier: Apache-2.0
/* Changes while the VM runs: cables that hang up and new ones, adapters that come and go. Loop thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "net_adapter.h"
#include "net_launcher.h"
#include "packet.h"
#include "worker.h"

#define PATIENCE_NS UINT64_C(5000000000) /* how long packets wait for a switch that went away */
#define FAREWELL_NS UINT64_C(4000000000) /* how long a guest that sends on may keep an adapter */
#define LOOK_NS UINT64_C(10000000)
#define QUIET_LOOKS 3u

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

void net_adapter_unplug(struct adapter *a)
{
	deafen(a);
	net_cable_unplug(&a->port.cable);
}

void net_adapter_release(struct adapter *a)
{
	deafen(a);
	net_cable_release(&a->port.cable);
}

/* Changes under the threads' feet. */
static void pause_threads(struct net *n)
{
	net_threads_park(n->threads);
}

static void resume_threads(struct net *n)
{
	if (n->running) {
		net_threads_serve(n->threads);
	}
}

static void hang_up(struct adapter *a)
{
	struct net *n = a->net;

	log_line("%s: the switch is gone; packets wait for it to come back", a->name);
	pause_threads(n);
	net_adapter_unplug(a);
	resume_threads(n);
	loop_timer_set(n->worker->loop, &a->patience, host_now_ns() + PATIENCE_NS);
	net_launcher_ask(n->launcher, a->number, a->spec);
}

/* Somebody changed the port: the switch says how to plug it in again. */
static void take_spec(struct adapter *a, const char *text, size_t bytes)
{
	char *spec = bytes < NET_SPEC_BYTES ? strndup(text, bytes) : NULL;

	if (spec != NULL) {
		free(a->spec);
		a->spec = spec;
	}
}

static void on_connection(void *ctx)
{
	struct adapter *a = ctx;
	int fds[PACKET_DESCRIPTORS_MAX];
	size_t fd_count = 0;
	char *text = malloc(NET_SPEC_BYTES);
	ssize_t n = text == NULL ? -EAGAIN
				 : packet_receive(a->port.cable.plug.connection, text,
						  NET_SPEC_BYTES, fds, &fd_count);

	if (n > 0) {
		packet_close(fds, fd_count);
		take_spec(a, text, (size_t)n);
	} else if (n != -EAGAIN && n != -EINTR) {
		hang_up(a);
	}
	free(text);
}

void net_adapter_impatient(void *ctx)
{
	struct adapter *a = ctx;

	pause_threads(a->net);
	a->port.cable.dropping = true;
	resume_threads(a->net);
}

int net_adapter_plug(struct adapter *a, const struct net_plug *plug)
{
	struct net *n = a->net;
	int r = net_cable_plug(&a->port.cable, plug, n->queues);

	if (r == 0) {
		r = net_threads_listen(n->threads, plug);
	}
	if (r == 0) {
		r = loop_add(n->worker->loop, plug->connection, on_connection, a);
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

	if (a == NULL || a->leaving || a->disconnected || a->port.cable.memory != NULL) {
		net_plug_close(plug);
		return;
	}
	loop_timer_set(n->worker->loop, &a->patience, 0);
	pause_threads(n);
	int r = net_adapter_plug(a, plug);

	resume_threads(n);
	if (r != 0) {
		log_line("%s: the new cable cannot be used: %s", a->name, strerror(-r));
		net_plug_close(plug);
		loop_timer_set(n->worker->loop, &a->patience, host_now_ns() + PATIENCE_NS);
	} else {
		log_line("%s: plugged in again", a->name);
	}
}

const char *net_relaunch(struct net *n, int fd)
{
	if (n == NULL || net_launcher_replace(n->launcher, fd) != 0) {
		return "the machine has no network adapters that need a launcher";
	}
	for (unsigned i = 0; i < NET_ADAPTERS_MAX; i++) {
		const struct adapter *a = n->adapters[i];

		if (a != NULL && !a->leaving && !a->disconnected && a->port.cable.memory == NULL) {
			net_launcher_ask(n->launcher, i, a->spec);
		}
	}
	return NULL;
}

/* ---- Other switches ---- */

static struct adapter *find_staying(struct net *n, unsigned number, const char **why)
{
	struct adapter *a = n != NULL && number < NET_ADAPTERS_MAX ? n->adapters[number] : NULL;

	*why = a == NULL    ? "there is no adapter of that number"
	       : a->leaving ? "the adapter is being taken away"
			    : NULL;
	return *why == NULL ? a : NULL;
}

/* Threads parked. Nobody looks for its switch any more. */
static void disconnect(struct adapter *a)
{
	loop_timer_set(a->net->worker->loop, &a->patience, 0);
	net_launcher_forget(a->net->launcher, a->number);
	net_adapter_unplug(a);
	a->disconnected = true;
	a->port.cable.dropping = true;
}

const char *net_disconnect(struct net *n, unsigned number)
{
	const char *why;
	struct adapter *a = find_staying(n, number, &why);

	if (a != NULL) {
		pause_threads(n);
		disconnect(a);
		resume_threads(n);
	}
	return why;
}

const char *net_connect(struct net *n, const struct net_adapter_config *config)
{
	const char *why;
	struct adapter *a = find_staying(n, config->number, &why);
	char *spec;

	if (a == NULL) {
		return why;
	}
	if (memcmp(a->mac, config->mac, sizeof(a->mac)) != 0 || config->plug.queues == 0) {
		return "the request is not about this adapter";
	}
	spec = strdup(config->spec);
	if (spec == NULL) {
		return "out of memory";
	}
	pause_threads(n);
	disconnect(a);
	int r = net_adapter_plug(a, &config->plug);

	if (r == 0) {
		a->disconnected = false;
		free(a->spec);
		a->spec = spec;
		if (a->port.vsp != NULL) {
			vsp_net_changed(a->port.vsp);
		}
	} else {
		free(spec);
	}
	resume_threads(n);
	return r == 0 ? NULL : "the new cable cannot be used";
}

const uint8_t *net_mac(const struct net *n, unsigned number)
{
	const struct adapter *a =
		n != NULL && number < NET_ADAPTERS_MAX ? n->adapters[number] : NULL;

	return a == NULL ? NULL : a->mac;
}

/* ---- Adapters ---- */

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
	r = net_adapter_create(n, config);
	if (r == 0) {
		r = net_adapter_offer(n->adapters[config->number], n->bus);
		if (r != 0) {
			net_adapter_release(n->adapters[config->number]);
			net_adapter_forget(n->adapters[config->number]);
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

/* Once it is left it stays so, but for a guest whose processor stood still in the middle of a packet: it is looked at a few times. */
void net_adapter_farewell(void *ctx)
{
	struct adapter *a = ctx;
	struct net_farewell *f = &a->farewell;
	uint64_t now = host_now_ns();

	f->quiet = vsp_net_left(a->port.vsp) ? f->quiet + 1 : 0;
	vsp_net_leave(a->port.vsp);
	if (f->quiet < QUIET_LOOKS && now < f->deadline_ns) {
		loop_timer_set(a->net->worker->loop, &f->timer, now + LOOK_NS);
	} else {
		vsp_net_remove(a->port.vsp, on_gone, a);
	}
}

bool net_parting(const struct net *n)
{
	for (unsigned i = 0; n != NULL && i < NET_ADAPTERS_MAX; i++) {
		if (n->adapters[i] != NULL && n->adapters[i]->farewell.timer.deadline_ns != 0) {
			return true;
		}
	}
	return false;
}

static void begin_farewell(struct adapter *a)
{
	a->farewell.deadline_ns = host_now_ns() + FAREWELL_NS;
	net_adapter_farewell(a);
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
		begin_farewell(a);
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
			net_adapter_forget(a);
			resume_threads(n);
			done(ctx);
		}
	}
}
