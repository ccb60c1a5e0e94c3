// SPDX-License-Identifier: Apache-2.0
/*
 * Devices and subchannels that go. Guest memory is let go of before RESCIND is sent: Linux frees its rings as soon as it reads that message. The
 * channel itself goes when the guest has released its relid.
 */
#include "bus.h"

#include "lib/check.h"

void vmbus_device_rescind(struct vmbus_device *dev, void (*gone)(void *ctx), void *ctx)
{
	struct vmbus *bus = dev->bus;

	CHECK(!dev->rescinding);
	dev->rescinding = true;
	dev->gone = gone;
	dev->gone_ctx = ctx;
	for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
		close_begin(ch); /* index 0 comes first and takes the others along */
	}
	bus->advance_due = true;
	bus->transport.wake(bus->transport.ctx);
}

bool rescind_leaving(const struct vmbus_channel *ch)
{
	return ch->revoked || ch->dev->rescinding || (ch->index != 0 && ch->dev->subs_leaving);
}

/* Some channel is open, or not let go of yet. */
static bool device_in_use(const struct vmbus_device *dev)
{
	for (const struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
		if (ch->state != CHANNEL_CLOSED) {
			return true;
		}
	}
	return false;
}

static void revoke(struct vmbus_channel *ch)
{
	const struct vmbus_relid_message m = {
		.header.type = CHANNELMSG_RESCIND_CHANNELOFFER,
		.relid = ch->relid,
	};

	if (ch->revoked) {
		return;
	}
	ch->revoked = true;
	if (ch->offered && ch->bus->state == CONNECTION_UP) {
		queue_send(ch->bus, &m, sizeof(m));
	}
}

/* Subchannels first, as the guest takes them apart. */
static void revoke_leaving(struct vmbus_device *dev)
{
	for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
		if (ch->index != 0) {
			revoke(ch);
		}
	}
	if (dev->rescinding && dev->channels != NULL && dev->channels->index == 0) {
		revoke(dev->channels);
	}
	dev->subs_leaving = false;
}

static void remove_released(struct vmbus_device *dev)
{
	struct vmbus_channel *next;

	for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = next) {
		next = ch->next;
		if ((ch->released || (ch->revoked && !ch->offered)) &&
		    ch->state == CHANNEL_CLOSED) {
			offer_channel_remove(ch);
		}
	}
}

static void advance_device(struct vmbus_device *dev)
{
	if (!device_in_use(dev)) {
		if (dev->rescinding || dev->subs_leaving) {
			revoke_leaving(dev);
		}
		if (dev->channels != NULL && dev->channels->index == 0) {
			close_then_reopen(dev->channels);
		}
	}
	remove_released(dev);
}

void rescind_advance(struct vmbus *bus)
{
	struct vmbus_device *next;

	if (!bus->advance_due) {
		return;
	}
	bus->advance_due = false;
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = next) {
		next = dev->next;
		advance_device(dev);
	}
	offer_reap(bus);
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = next) {
		next = dev->next;
		if (dev->rescinding && dev->channel_count == 0) {
			void (*gone)(void *ctx) = dev->gone;
			void *ctx = dev->gone_ctx;

			offer_device_free(dev);
			if (gone != NULL) {
				gone(ctx);
			}
		}
	}
}
