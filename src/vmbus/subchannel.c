// SPDX-License-Identifier: Apache-2.0
/* Subchannels: offered when the driver asks its device for them, rescinded when channel 0 closes. */
#include "bus.h"

#include <errno.h>

/* The channel 0 that is open and stays, or NULL. */
static struct vmbus_channel *open_primary(const struct vmbus_device *dev)
{
	struct vmbus_channel *ch = dev->channels;

	if (ch == NULL || ch->index != 0 || ch->state != CHANNEL_OPEN || rescind_leaving(ch)) {
		return NULL;
	}
	return ch;
}

/* Revoked ones do not count: the guest takes them apart while it asks for new ones. */
static bool has_subchannels(const struct vmbus_device *dev)
{
	for (const struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
		if (ch->index != 0 && !ch->revoked && !ch->released) {
			return true;
		}
	}
	return false;
}

/* Just added. */
static bool fresh(const struct vmbus_channel *ch)
{
	return ch->index != 0 && !ch->offered && !ch->revoked && !ch->released;
}

static void take_back(struct vmbus_device *dev)
{
	struct vmbus_channel *next;

	for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = next) {
		next = ch->next;
		if (fresh(ch)) {
			offer_channel_remove(ch);
		}
	}
	offer_reap(dev->bus);
}

int vmbus_device_offer_subchannels(struct vmbus_device *dev, uint32_t count)
{
	if (open_primary(dev) == NULL) {
		return -ENODEV;
	}
	if (dev->bus->version < VERSION_WIN8) {
		return -ENOTSUP;
	}
	if (has_subchannels(dev)) {
		return -EBUSY;
	}
	if (count >= VMBUS_RELIDS) {
		return -ENOSPC;
	}
	for (uint32_t index = 1; index <= count; index++) {
		struct vmbus_channel *ch;
		int err = offer_channel_add(dev, index, 0, &ch);

		if (err != 0) {
			take_back(dev);
			return err;
		}
	}
	for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
		if (fresh(ch)) {
			offer_send(ch);
		}
	}
	return 0;
}

void subchannel_serve(struct vmbus_channel *ch)
{
	void (*done)(void *ctx, int result) = ch->request_done;
	void *ctx = ch->request_ctx;
	uint32_t count = ch->request_count;

	/* From here on the channel's thread may ask again. */
	__atomic_store_n(&ch->request_posted, false, __ATOMIC_RELEASE);
	done(ctx, vmbus_device_offer_subchannels(ch->dev, count));
}
