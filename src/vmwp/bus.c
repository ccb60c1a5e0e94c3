// SPDX-License-Identifier: Apache-2.0
#include "bus.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "abi/hv.h"
#include "host/log.h"
#include "ic.h"
#include "lib/bits.h"
#include "net.h"
#include "storage.h"
#include "vmbus/vmbus.h"
#include "worker.h"

/* Where guests post channel messages: up to 4.1, and from 5.0 on. */
#define MESSAGE_CONNECTION 1u
#define MULTICLIENT_CONNECTION 4u
#define QUIET_POLL_NS 200000

static bool transport_post(void *ctx, uint32_t vp, uint32_t sint, const void *message, size_t bytes)
{
	struct worker *w = ctx;

	/* A guest whose SynIC is off cannot be told anything: like the real bus, forget it. */
	return vid_post_message(w->machine.partition, vp, sint, VMBUS_MESSAGE_TYPE, message,
				bytes) != -EAGAIN;
}

static void transport_signal(void *ctx, uint32_t vp, uint32_t sint, uint16_t flag)
{
	struct worker *w = ctx;

	vid_signal_event(w->machine.partition, vp, sint, flag);
}

static int transport_event_open(void *ctx, uint32_t connection, uint16_t flags)
{
	struct worker *w = ctx;

	return vid_event_connection_open(w->machine.partition, connection, flags);
}

static void transport_event_close(void *ctx, uint32_t connection)
{
	struct worker *w = ctx;

	vid_connection_close(w->machine.partition, connection);
}

static void wake_loop(void *ctx)
{
	struct worker *w = ctx;

	loop_wake(w->loop);
}

static void transport_log(void *ctx, const char *line)
{
	(void)ctx;
	log_line("vmbus: %s", line);
}

static uint64_t transport_now_ns(void *ctx)
{
	(void)ctx;
	return host_now_ns();
}

void bus_message_waits(struct worker *w)
{
	if (w != NULL) {
		loop_wake(w->loop);
	}
}

void bus_events_wait(struct worker *w)
{
	uint32_t connection;
	uint16_t flag;

	if (w == NULL || w->machine.bus == NULL) {
		return;
	}
	while (vid_take_event(w->machine.partition, &connection, &flag)) {
		vmbus_event(w->machine.bus, connection, flag);
	}
}

int bus_create(struct worker *w)
{
	struct machine *m = &w->machine;
	const struct vmbus_transport transport = {
		.ctx = w,
		.gm = vid_partition_gmem(m->partition),
		.processors = w->config.processors,
		.post = transport_post,
		.signal = transport_signal,
		.event_open = transport_event_open,
		.event_close = transport_event_close,
		.wake = wake_loop,
		.log = transport_log,
		.now_ns = transport_now_ns,
	};
	const struct vmbus_config config = {.monitor = true}; /* old guests signal by them alone */
	int r = vid_message_connection_open(m->partition, MESSAGE_CONNECTION);

	if (r == 0) {
		r = vid_message_connection_open(m->partition, MULTICLIENT_CONNECTION);
	}
	if (r == 0) {
		r = vmbus_create(&transport, &config, &m->bus);
	}
	if (r == 0) {
		r = storage_offer(w->storage, m->bus);
	}
	if (r == 0) {
		r = net_offer(w->net, m->bus);
	}
	if (r == 0) {
		r = ic_offer(w);
	}
	return r;
}

static void take_messages(struct worker *w)
{
	struct hv_message message;
	uint32_t connection;

	while (vid_take_message(w->machine.partition, &connection, &message)) {
		if (message.type == VMBUS_MESSAGE_TYPE) {
			vmbus_message(w->machine.bus, connection, message.payload,
				      message.payload_size);
		}
	}
}

void bus_poll(struct worker *w)
{
	take_messages(w);
	uint64_t ic_ns = ic_poll(w);

	loop_timer_set(w->loop, &w->bus_timer, min_u64(ic_ns, vmbus_poll(w->machine.bus)));
}

void bus_pause(struct worker *w)
{
	loop_timer_set(w->loop, &w->bus_timer, 0);
}

/* The guest will not look any more: what it asked for is finished before its memory goes. */
static void close_channels(struct worker *w)
{
	const struct timespec nap = {.tv_nsec = QUIET_POLL_NS};
	struct vmbus *bus = w->machine.bus;

	storage_hurry(w->storage);
	vmbus_reset(bus);
	for (vmbus_poll(bus); !vmbus_quiet(bus); vmbus_poll(bus)) {
		nanosleep(&nap, NULL);
	}
	storage_park(w->storage);
	net_park(w->net);
}

void bus_destroy(struct worker *w)
{
	struct machine *m = &w->machine;

	loop_timer_set(w->loop, &w->bus_timer, 0);
	if (m->bus == NULL) {
		return;
	}
	if (m->paused) {
		storage_rest(w->storage);
		net_park(
			w->net); /* devices are quiet already, and what lies in their rings shall stay there */
	} else {
		close_channels(w);
	}
	vmbus_destroy(m->bus);
	m->bus = NULL;
	storage_withdraw(w->storage);
	net_withdraw(w->net);
	ic_withdraw(w);
}
