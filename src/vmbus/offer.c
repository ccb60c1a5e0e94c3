// SPDX-License-Identifier: Apache-2.0
/*
 * Devices and what the guest knows of their channels. A channel is offered, may be revoked (rescind.c), and its relid is used again only
 * after the guest released it, or after the connection ended.
 */
#include "bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"

/* ---- Devices ---- */

struct vmbus_device *offer_device_find(struct vmbus *bus, const struct guid *type,
				       const struct guid *instance)
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		if (guid_equal(&dev->offer.type, type) &&
		    guid_equal(&dev->offer.instance, instance)) {
			return dev;
		}
	}
	return NULL;
}

struct vmbus_device *offer_device_add(struct vmbus *bus, const struct vmbus_offer *offer,
				      const struct vmbus_device_ops *ops, void *ctx)
{
	struct vmbus_device *dev = calloc(1, sizeof(*dev));

	if (dev == NULL) {
		return NULL;
	}
	dev->bus = bus;
	dev->ops = ops;
	dev->ctx = ctx;
	dev->offer = *offer;
	snprintf(dev->name, sizeof(dev->name), "%s", offer->name);
	dev->offer.name = dev->name;
	*bus->devices_end = dev;
	bus->devices_end = &dev->next;
	return dev;
}

void offer_device_free(struct vmbus_device *dev)
{
	struct vmbus *bus = dev->bus;
	struct vmbus_device **link = &bus->devices;

	CHECK(dev->channel_count == 0);
	while (*link != dev) {
		link = &(*link)->next;
	}
	*link = dev->next;
	if (bus->devices_end == &dev->next) {
		bus->devices_end = link;
	}
	free(dev);
}

int vmbus_device_offer(struct vmbus *bus, const struct vmbus_offer *offer,
		       const struct vmbus_device_ops *ops, void *ctx, struct vmbus_device **ret)
{
	struct vmbus_device *dev;
	struct vmbus_channel *ch;
	int err;

	if (offer_device_find(bus, &offer->type, &offer->instance) != NULL) {
		return -EEXIST;
	}
	dev = offer_device_add(bus, offer, ops, ctx);
	if (dev == NULL) {
		return -ENOMEM;
	}
	err = offer_channel_add(dev, 0, 0, &ch);
	if (err != 0) {
		offer_device_free(dev);
		return err;
	}
	if (bus->offers_sent) {
		offer_send(ch);
	}
	*ret = dev;
	return 0;
}

/* ---- Channels and relids ---- */

static uint32_t free_relid(const struct vmbus *bus)
{
	for (uint32_t relid = 1; relid < VMBUS_RELIDS; relid++) {
		if (!bus->slots[relid].taken) {
			return relid;
		}
	}
	return 0;
}

static void link_by_index(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	struct vmbus_channel **link = &dev->channels;

	while (*link != NULL && (*link)->index <= ch->index) {
		link = &(*link)->next;
	}
	ch->next = *link;
	*link = ch;
}

int offer_channel_add(struct vmbus_device *dev, uint32_t index, uint32_t relid,
		      struct vmbus_channel **ret)
{
	struct vmbus *bus = dev->bus;
	struct vmbus_transport *t = &bus->transport;
	struct vmbus_channel *ch;
	int err;

	relid = relid != 0 ? relid : free_relid(bus);
	if (relid == 0) {
		return -ENOSPC;
	}
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL) {
		return -ENOMEM;
	}
	err = t->event_open(t->ctx, BUS_CONNECTION_BASE + relid, 1);
	if (err != 0) {
		free(ch);
		return err < 0 ? err : -EIO;
	}
	ch->bus = bus;
	ch->dev = dev;
	ch->index = index;
	ch->relid = relid;
	ch->monitor_id = -1;
	link_by_index(dev, ch);
	dev->channel_count++;
	bus->slots[relid].taken = true;
	__atomic_store_n(&bus->slots[relid].channel, ch, __ATOMIC_SEQ_CST);
	*ret = ch;
	return 0;
}

void offer_channel_remove(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;
	struct vmbus_channel **link = &ch->dev->channels;

	gpadl_drop_all(ch);
	monitor_release(ch);
	while (*link != ch) {
		link = &(*link)->next;
	}
	*link = ch->next;
	__atomic_store_n(&bus->slots[ch->relid].channel, NULL, __ATOMIC_SEQ_CST);
	bus->transport.event_close(bus->transport.ctx, BUS_CONNECTION_BASE + ch->relid);
	ch->dead_next = bus->dead;
	bus->dead = ch;
}

bool offer_reap(struct vmbus *bus)
{
	struct vmbus_channel **link = &bus->dead;

	while (*link != NULL) {
		struct vmbus_channel *ch = *link;
		struct slot *slot = &bus->slots[ch->relid];

		if (__atomic_load_n(&slot->users, __ATOMIC_SEQ_CST) != 0 || !gpadl_reap(ch)) {
			link = &ch->dead_next;
			continue;
		}
		*link = ch->dead_next;
		slot->taken = false;
		ch->dev->channel_count--;
		bus->advance_due = true;
		free(ch);
	}
	return bus->dead == NULL;
}

/* ---- Messages ---- */

static bool can_offer(const struct vmbus_channel *ch)
{
	return ch->bus->version >= VERSION_WIN8 || ch->relid < VMBUS_INTERRUPT_RELIDS;
}

void offer_send(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;
	struct vmbus_offer *o = &ch->dev->offer;
	bool dedicated = bus->version >= VERSION_WIN7;

	if (!can_offer(ch)) {
		bus_log(bus, "%s has relid %u: too high for a guest of version 0x%x, not offered",
			ch->dev->name, ch->relid, bus->version);
		return;
	}
	monitor_allocate(ch);
	struct vmbus_offer_channel m = {
		.header.type = CHANNELMSG_OFFERCHANNEL,
		.type = o->type,
		.instance = o->instance,
		.flags = o->flags,
		.mmio_megabytes = o->mmio_megabytes,
		.subchannel_index = (uint16_t)ch->index,
		.relid = ch->relid,
		.monitor_id = ch->monitor_id >= 0 ? (uint8_t)ch->monitor_id : 0,
		.monitor_allocated = ch->monitor_id >= 0,
		.is_dedicated_interrupt = dedicated,
		.connection_id =
			dedicated ? BUS_CONNECTION_BASE + ch->relid : VMBUS_EVENT_CONNECTION_ID,
	};

	memcpy(m.user, o->user, sizeof(m.user));
	ch->offered = true;
	queue_send(bus, &m, sizeof(m));
}

void offer_request_message(struct vmbus *bus)
{
	const struct vmbus_message_header all = {.type = CHANNELMSG_ALLOFFERS_DELIVERED};

	if (bus->offers_sent) {
		bus_log(bus, "REQUESTOFFERS again: ignored");
		return;
	}
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		if (dev->channels != NULL && !dev->rescinding) {
			offer_send(dev->channels);
		}
	}
	bus->offers_sent = true;
	queue_send(bus, &all, sizeof(all));
}

void offer_tl_connect_message(struct vmbus *bus, const struct vmbus_tl_connect_request *m)
{
	const struct vmbus_tl_connect_result r = {
		.header.type = CHANNELMSG_TL_CONNECT_RESULT,
		.endpoint = m->endpoint,
		.service = m->service,
		.status = VMBUS_STATUS_CONNECTION_REFUSED,
	};

	/* Nobody listens. Before 4.1 there is no way to say so; the guest gives up by itself. */
	if (bus->version >= VERSION_WIN10_V4_1) {
		queue_send(bus, &r, sizeof(r));
	}
}

void offer_relid_released_message(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;

	if (ch->state == CHANNEL_OPEN) {
		bus_log(bus, "%s: RELID_RELEASED of relid %u, which is open: ignored",
			ch->dev->name, ch->relid);
		return;
	}
	ch->offered = false;
	ch->reopen = false;
	gpadl_drop_all(ch);
	ch->released = ch->revoked || ch->index != 0;
	bus->advance_due = true;
}
