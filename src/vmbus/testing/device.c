// SPDX-License-Identifier: Apache-2.0
/* A device for tests: notes what it is told and leaves the rings to the test. */
#include "vmbus/testing/guest.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

static uint32_t on_open(void *ctx, struct vmbus_channel *ch, const uint8_t *user)
{
	struct fake_device *d = ctx;
	uint32_t index = vmbus_channel_index(ch);

	d->opens++;
	memcpy(d->user, user, sizeof(d->user));
	if (d->open_status == 0 && index < ARRAY_LEN(d->channels)) {
		CHECK(d->channels[index] == NULL);
		d->channels[index] = ch;
	}
	return d->open_status;
}

void fake_device_closed(struct fake_device *d, uint32_t index)
{
	struct vmbus_channel *ch = d->channels[index];

	CHECK(ch != NULL && d->closing[index]);
	d->channels[index] = NULL;
	d->closing[index] = false;
	vmbus_channel_closed(ch);
}

static void on_close(void *ctx, struct vmbus_channel *ch)
{
	struct fake_device *d = ctx;
	uint32_t index = vmbus_channel_index(ch);

	if (d->closes < sizeof(d->order)) {
		d->order[d->closes] = (char)('0' + index);
	}
	d->closes++;
	if (index >= ARRAY_LEN(d->channels)) {
		vmbus_channel_closed(ch);
		return;
	}
	CHECK(d->channels[index] == ch && !d->closing[index]);
	d->closing[index] = true;
	if (!d->slow_close) {
		fake_device_closed(d, index);
	}
}

static void on_signal(void *ctx, struct vmbus_channel *ch)
{
	__atomic_fetch_add(&((struct fake_device *)ctx)->signals, 1, __ATOMIC_SEQ_CST);
}

static void on_target_changed(void *ctx, struct vmbus_channel *ch, uint32_t vp)
{
	((struct fake_device *)ctx)->target_vp = vp;
}

static void on_gone(void *ctx)
{
	((struct fake_device *)ctx)->gone++;
}

struct guid fake_device_instance(uint8_t number)
{
	struct guid instance = {{number, 0x11, 0x22, 0x33}};

	return instance;
}

int fake_device_offer(struct fake_guest *g, struct fake_device *d, uint8_t number, uint16_t flags)
{
	static const struct vmbus_device_ops ops = {on_open, on_close, on_signal,
						    on_target_changed};
	const struct vmbus_offer offer = {
		.type = {{0xfa, 0xce}},
		.instance = fake_device_instance(number),
		.flags = flags,
		.user = {number, 1, 2, 3},
		.name = "fake",
	};

	return vmbus_device_offer(g->bus, &offer, &ops, d, &d->dev);
}

void fake_device_rescind(struct fake_device *d)
{
	vmbus_device_rescind(d->dev, on_gone, d);
}
