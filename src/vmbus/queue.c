// SPDX-License-Identifier: Apache-2.0
/*
 * Messages to the guest, in order, until the transport has room for them. A guest that takes none of its messages while it makes us send
 * more loses those beyond the limit: it could not have waited for them.
 */
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "lib/check.h"

bool queue_append(struct vmbus *bus, uint32_t vp, uint32_t sint, const void *message, size_t bytes)
{
	struct queued *q;

	q = bus->queue_count < BUS_QUEUE_MAX ? malloc(sizeof(*q) + bytes) : NULL;
	if (q == NULL) {
		return false;
	}
	*q = (struct queued){.vp = vp, .sint = sint, .bytes = (uint32_t)bytes};
	memcpy(q->message, message, bytes);
	*bus->queue_end = q;
	bus->queue_end = &q->next;
	bus->queue_count++;
	return true;
}

void queue_send_to(struct vmbus *bus, uint32_t vp, uint32_t sint, const void *message, size_t bytes)
{
	struct vmbus_transport *t = &bus->transport;

	CHECK(bytes <= VMBUS_MESSAGE_MAX_BYTES);
	if (bus->queue == NULL && t->post(t->ctx, vp, sint, message, bytes)) {
		return;
	}
	if (queue_append(bus, vp, sint, message, bytes)) {
		t->wake(t->ctx);
		return;
	}
	bus_log(bus, "the guest takes no messages and %u wait: type %u dropped", bus->queue_count,
		((const struct vmbus_message_header *)message)->type);
}

void queue_send(struct vmbus *bus, const void *message, size_t bytes)
{
	queue_send_to(bus, bus->message_vp, bus->message_sint, message, bytes);
}

static void drop_first(struct vmbus *bus)
{
	struct queued *q = bus->queue;

	bus->queue = q->next;
	if (bus->queue == NULL) {
		bus->queue_end = &bus->queue;
	}
	bus->queue_count--;
	free(q);
}

bool queue_pump(struct vmbus *bus)
{
	struct vmbus_transport *t = &bus->transport;

	while (bus->queue != NULL) {
		struct queued *q = bus->queue;

		if (!t->post(t->ctx, q->vp, q->sint, q->message, q->bytes)) {
			return false;
		}
		drop_first(bus);
	}
	return true;
}

void queue_clear(struct vmbus *bus)
{
	while (bus->queue != NULL) {
		drop_first(bus);
	}
}
