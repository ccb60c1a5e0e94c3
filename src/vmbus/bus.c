// SPDX-License-Identifier: Apache-2.0
/* The bus itself: its life, and what happens between messages. */
#include "bus.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/check.h"

int vmbus_create(const struct vmbus_transport *transport, const struct vmbus_config *config,
		 struct vmbus **ret)
{
	struct vmbus *bus = calloc(1, sizeof(*bus));

	if (bus == NULL) {
		return -ENOMEM;
	}
	bus->transport = *transport;
	bus->config = *config;
	bus->devices_end = &bus->devices;
	bus->queue_end = &bus->queue;
	bus->message_sint = VMBUS_SINT;
	*ret = bus;
	return 0;
}

void vmbus_destroy(struct vmbus *bus)
{
	while (bus->devices != NULL) {
		struct vmbus_device *dev = bus->devices;

		while (dev->channels != NULL) {
			if (dev->channels->state != CHANNEL_CLOSED) {
				open_unmap_ring(dev->channels);
			}
			gpadl_drop_all(dev->channels);
			offer_channel_remove(dev->channels);
		}
		offer_reap(bus);
		offer_device_free(dev);
	}
	if (bus->shared_event_open) {
		bus->transport.event_close(bus->transport.ctx, VMBUS_EVENT_CONNECTION_ID);
	}
	queue_clear(bus);
	CHECK(bus->gpadl_words == 0);
	free(bus);
}

bool vmbus_quiet(const struct vmbus *bus)
{
	return bus->open_count == 0;
}

bool vmbus_settled(struct vmbus *bus)
{
	bus_settle(bus);
	return bus->closing_count == 0;
}

uint32_t vmbus_version(const struct vmbus *bus)
{
	return bus->state == CONNECTION_UP ? bus->version : 0;
}

struct vmbus_channel *bus_channel(struct vmbus *bus, uint32_t relid)
{
	return relid < VMBUS_RELIDS ? bus->slots[relid].channel : NULL;
}

/* ---- Lists that other threads push to; newest first ---- */

static void push(struct vmbus_channel **list, struct vmbus_channel **next, struct vmbus_channel *ch)
{
	*next = __atomic_load_n(list, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(list, next, ch, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED)) {
	}
}

void vmbus_channel_closed(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;
	bool twice = __atomic_exchange_n(&ch->close_posted, true, __ATOMIC_ACQ_REL);

	CHECK(!twice);
	push(&bus->closed, &ch->closed_next, ch);
	/* The channel may be gone from here on; the bus is not. */
	bus->transport.wake(bus->transport.ctx);
}

void vmbus_request_subchannels(struct vmbus_channel *ch, uint32_t count,
			       void (*done)(void *ctx, int result), void *ctx)
{
	struct vmbus *bus = ch->bus;
	bool twice = __atomic_exchange_n(&ch->request_posted, true, __ATOMIC_ACQ_REL);

	CHECK(!twice);
	ch->request_count = count;
	ch->request_done = done;
	ch->request_ctx = ctx;
	push(&bus->requests, &ch->request_next, ch);
	bus->transport.wake(bus->transport.ctx);
}

static void serve_requests(struct vmbus_channel *ch)
{
	while (ch != NULL) {
		struct vmbus_channel *next = ch->request_next;

		subchannel_serve(ch);
		ch = next;
	}
}

static void finish_closes(struct vmbus_channel *ch)
{
	while (ch != NULL) {
		struct vmbus_channel *next = ch->closed_next;

		close_finish(ch);
		ch = next;
	}
}

/*
 * A channel's thread asks for subchannels before it lets go of the channel, never after: taking the closed ones first and serving them last
 * means that no request is left behind in a channel that is gone.
 */
static void take_posted(struct vmbus *bus)
{
	struct vmbus_channel *closed = __atomic_exchange_n(&bus->closed, NULL, __ATOMIC_ACQUIRE);

	serve_requests(__atomic_exchange_n(&bus->requests, NULL, __ATOMIC_ACQUIRE));
	finish_closes(closed);
}

/* ---- Settle and poll ---- */

static void each_channel(struct vmbus *bus, bool (*fn)(struct vmbus_channel *ch))
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
			fn(ch);
		}
	}
}

static void reap(struct vmbus *bus)
{
	if (bus->retiring_count != 0) {
		each_channel(bus, gpadl_reap);
	}
	if (bus->dead != NULL) {
		offer_reap(bus);
	}
}

void bus_settle(struct vmbus *bus)
{
	do {
		take_posted(bus);
		reap(bus);
		rescind_advance(bus);
	} while (unload_try_finish(bus) || bus->advance_due ||
		 __atomic_load_n(&bus->closed, __ATOMIC_RELAXED) != NULL ||
		 __atomic_load_n(&bus->requests, __ATOMIC_RELAXED) != NULL);
}

/* Its writer waits for room and the guest does not tell when there is some. */
static bool nudge_blocked(struct vmbus_channel *ch)
{
	if (__atomic_load_n(&ch->blocked, __ATOMIC_ACQUIRE)) {
		event_to_device(ch->bus, ch->relid);
	}
	return true;
}

/* Now and then, however often we are called: a device that is served on the bus thread has us called again by being nudged. */
static void nudge(struct vmbus *bus, uint64_t now)
{
	if (now >= bus->nudge_ns) {
		bus->nudge_ns = now + BUS_RETRY_NS;
		each_channel(bus, nudge_blocked);
	}
}

/* True when something has to be looked at again although nobody will call. */
static bool poll_leftovers(struct vmbus *bus, uint64_t now)
{
	bool again = !queue_pump(bus);

	again |= bus->dead != NULL; /* a signal is just leaving */
	if (__atomic_load_n(&bus->blocked_count, __ATOMIC_ACQUIRE) != 0) {
		nudge(bus, now);
		again = true;
	}
	return again;
}

uint64_t vmbus_poll(struct vmbus *bus)
{
	uint64_t now = bus->transport.now_ns(bus->transport.ctx);
	bool again;
	uint64_t next;

	bus_settle(bus);
	again = poll_leftovers(bus, now);
	bus_settle(bus);
	next = monitor_poll(bus, now);
	return again ? min_u64(next, now + BUS_RETRY_NS) : next;
}
