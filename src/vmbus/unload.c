// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a connection: UNLOAD, a new INITIATE_CONTACT, or reset of the partition. The devices let go of guest memory first; what was asked
 * for comes after that. The newest wish wins: whoever asked before it is gone.
 */
#include "bus.h"

static void close_all(struct vmbus *bus, bool keep_reserved)
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
			if (ch->index != 0) {
				close_begin(ch);
			}
		}
		if (dev->channels != NULL && dev->channels->index == 0 &&
		    !(keep_reserved && dev->channels->reserved_open)) {
			close_begin(dev->channels);
		}
	}
}

void unload_begin(struct vmbus *bus, bool keep_reserved)
{
	bus->state = CONNECTION_GOING;
	bus->offers_sent = false;
	queue_clear(bus);
	__atomic_store_n(&bus->interrupt_page, NULL, __ATOMIC_RELEASE);
	monitor_disconnect(bus);
	close_all(bus, keep_reserved);
}

void unload_message(struct vmbus *bus)
{
	bus->unload_due = true;
	bus->contact_due = false;
	unload_begin(bus, true);
}

/* Nobody knows our relids any more: as if each had been released. */
static void forget_offers(struct vmbus *bus)
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		struct vmbus_channel *next;

		for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = next) {
			next = ch->next;
			gpadl_drop_all(ch);
			monitor_release(ch);
			ch->offered = false;
			ch->revoked = false;
			if (ch->index != 0) {
				offer_channel_remove(ch);
			}
		}
		dev->subs_leaving = false;
	}
}

static void forget_connection(struct vmbus *bus)
{
	struct vmbus_transport *t = &bus->transport;

	forget_offers(bus);
	if (bus->shared_event_open) {
		t->event_close(t->ctx, VMBUS_EVENT_CONNECTION_ID);
		bus->shared_event_open = false;
	}
	bus->version = 0;
	bus->state = CONNECTION_NONE;
	bus->advance_due = true;
}

bool unload_try_finish(struct vmbus *bus)
{
	const struct vmbus_message_header r = {.type = CHANNELMSG_UNLOAD_RESPONSE};

	if (bus->state != CONNECTION_GOING || bus->closing_count != 0) {
		return false;
	}
	forget_connection(bus);
	if (bus->unload_due) {
		bus->unload_due = false;
		queue_send(bus, &r, sizeof(r));
	}
	if (bus->contact_due) {
		struct vmbus_initiate_contact m = bus->contact;

		bus->contact_due = false;
		version_initiate_contact(bus, &m, bus->contact_connection);
	}
	return true;
}

void vmbus_reset(struct vmbus *bus)
{
	bus->unload_due = false;
	bus->contact_due = false;
	unload_begin(bus, false);
	bus->message_vp = 0;
	bus->message_sint = VMBUS_SINT;
	bus_settle(bus);
}
