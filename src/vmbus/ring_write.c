// SPDX-License-Identifier: Apache-2.0
/*
 * Packets to the guest. They become visible at flush: one index, one barrier and at most one interrupt for a batch, and none unless
 * the ring was empty before it and the guest wants to hear. When there is no room the guest is told how much we wait for.
 */
#include "bus.h"

#include <string.h>

#include "lib/check.h"

#define PACKET_MAX_BYTES (UINT16_MAX * 8u)

/* The guest does not tell when there is room: the bus looks now and then. */
static void set_blocked(struct vmbus_channel *ch, bool blocked)
{
	struct vmbus *bus = ch->bus;

	if (__atomic_load_n(&ch->blocked, __ATOMIC_RELAXED) == blocked) {
		return;
	}
	__atomic_store_n(&ch->blocked, blocked, __ATOMIC_RELEASE);
	__atomic_fetch_add(&bus->blocked_count, blocked ? 1u : UINT32_MAX, __ATOMIC_RELEASE);
	if (blocked) {
		bus->transport.wake(bus->transport.ctx);
	}
}

void ring_set_broken(struct vmbus_channel *ch)
{
	ch->ring.broken = true;
	set_blocked(ch, false);
}

static enum vmbus_ring_status broken(struct vmbus_channel *ch, uint32_t found)
{
	ring_set_broken(ch);
	bus_log(ch->bus,
		"%s: channel %u: ring to the guest: read index, found 0x%x, expected a multiple of "
		"8 below 0x%x; stopped until it is opened again",
		ch->dev->name, ch->index, found, ch->ring.out.size);
	return VMBUS_RING_BROKEN;
}

/* Looks at the guest's read index. It may only move towards what we published. */
static bool look(struct vmbus_channel *ch, uint32_t *ret_found)
{
	struct ring *r = &ch->ring;
	uint32_t read = ring_control_load(&r->out.control->read_index);

	*ret_found = read;
	if (!ring_index_valid(&r->out, read) ||
	    ring_used(&r->out, r->out_read, read) >
		    ring_used(&r->out, r->out_read, r->out_published)) {
		return false;
	}
	r->out_read = read;
	return true;
}

static uint32_t room(const struct ring *r)
{
	return r->out.size - ring_used(&r->out, r->out_read, r->out_write);
}

void vmbus_ring_flush(struct vmbus_channel *ch)
{
	struct ring *r = &ch->ring;
	struct vmbus_ring_control *c = r->out.control;
	uint32_t before = r->out_published;

	if (r->broken || before == r->out_write) {
		return;
	}
	r->out_published = r->out_write;
	ring_control_store(r->gm, &r->out, &c->write_index, r->out_write);
	if (ring_control_load(&c->interrupt_mask) == 0 &&
	    ring_control_load(&c->read_index) == before) {
		event_to_guest(ch);
	}
}

/* Waits for @bytes of room (0: not any more): the guest signals, if it is one that does; else the bus looks. */
static void set_pending(struct vmbus_channel *ch, uint32_t bytes)
{
	struct ring *r = &ch->ring;

	if (bytes == 0 && !r->out_pending) {
		return;
	}
	r->out_pending = bytes != 0;
	ring_control_store(r->gm, &r->out, &r->out.control->pending_send_size, bytes);
	set_blocked(ch, bytes != 0 && !(ring_control_load(&r->in.control->features) &
					VMBUS_RING_FEATURE_PENDING_SEND_SIZE));
}

/* Room for @bytes with a unit left over, or what to do about it. */
static enum vmbus_ring_status make_room(struct vmbus_channel *ch, uint32_t bytes)
{
	struct ring *r = &ch->ring;
	uint32_t found;

	if (r->broken) {
		return VMBUS_RING_BROKEN;
	}
	if (bytes > r->out.size - RING_UNIT) {
		return VMBUS_RING_TOO_BIG;
	}
	if (room(r) <= bytes && !look(ch, &found)) {
		return broken(ch, found);
	}
	if (room(r) <= bytes) {
		vmbus_ring_flush(ch); /* what the guest has not seen it cannot take out */
		set_pending(ch, bytes);
		if (!look(ch, &found)) {
			return broken(ch, found);
		}
		if (room(r) <= bytes) {
			return VMBUS_RING_FULL;
		}
	}
	set_pending(ch, 0);
	return VMBUS_RING_OK;
}

/* ---- Packets ---- */

static void put(struct ring *r, const void *data, uint32_t bytes)
{
	ring_copy_in(&r->out, r->out_write, data, bytes);
	r->out_write = ring_advance(&r->out, r->out_write, bytes);
}

/* Zeroes up to the next unit, and the trailer. */
static void put_end(struct ring *r, uint32_t start, uint32_t padding)
{
	const uint64_t zero = 0, trailer = (uint64_t)start << 32;

	put(r, &zero, padding);
	put(r, &trailer, sizeof(trailer));
}

struct header {
	struct vmbus_packet_descriptor descriptor;
	struct vmbus_packet_xfer xfer;
};

/* @header_bytes of @h, then @ranges, then the payload vectors. */
static enum vmbus_ring_status write_packet(struct vmbus_channel *ch, struct header *h,
					   size_t header_bytes,
					   const struct vmbus_xfer_range *ranges,
					   size_t ranges_bytes, const struct io_vec *payload,
					   unsigned count)
{
	struct ring *r = &ch->ring;
	uint32_t start = r->out_write;
	uint64_t bytes = header_bytes + ranges_bytes, padded;
	enum vmbus_ring_status status;

	h->descriptor.offset8 = (uint16_t)(bytes / 8);
	for (unsigned i = 0; i < count; i++) {
		if (payload[i].bytes > PACKET_MAX_BYTES) {
			return VMBUS_RING_TOO_BIG;
		}
		bytes += payload[i].bytes;
	}
	padded = align_up(bytes, 8);
	if (ranges_bytes > PACKET_MAX_BYTES || padded > PACKET_MAX_BYTES) {
		return VMBUS_RING_TOO_BIG;
	}
	status = make_room(ch, (uint32_t)padded + VMBUS_PACKET_TRAILER_BYTES);
	if (status != VMBUS_RING_OK) {
		return status;
	}
	h->descriptor.length8 = (uint16_t)(padded / 8);
	put(r, h, (uint32_t)header_bytes);
	put(r, ranges, (uint32_t)ranges_bytes);
	for (unsigned i = 0; i < count; i++) {
		put(r, payload[i].base, (uint32_t)payload[i].bytes);
	}
	put_end(r, start, (uint32_t)(padded - bytes));
	ring_touch(r->gm, &r->out, start, (uint32_t)padded + VMBUS_PACKET_TRAILER_BYTES);
	return VMBUS_RING_OK;
}

enum vmbus_ring_status vmbus_ring_write(struct vmbus_channel *ch, uint16_t type,
					bool wants_completion, uint64_t transaction,
					const struct io_vec *payload, unsigned count)
{
	struct header h = {
		.descriptor.type = type,
		.descriptor.flags = wants_completion ? VMBUS_PACKET_COMPLETION_REQUESTED : 0,
		.descriptor.transaction = transaction,
	};

	return write_packet(ch, &h, sizeof(h.descriptor), NULL, 0, payload, count);
}

enum vmbus_ring_status vmbus_ring_write_xfer(struct vmbus_channel *ch, uint64_t transaction,
					     uint16_t pageset,
					     const struct vmbus_xfer_range *ranges,
					     uint32_t range_count, const void *payload,
					     size_t bytes)
{
	const struct io_vec vec = {(void *)(uintptr_t)payload, bytes};
	struct header h = {
		.descriptor.type = VMBUS_PACKET_DATA_USING_XFER_PAGES,
		.descriptor.flags = VMBUS_PACKET_COMPLETION_REQUESTED,
		.descriptor.transaction = transaction,
		.xfer.pageset = pageset,
		.xfer.range_count = range_count,
	};

	return write_packet(ch, &h, sizeof(h), ranges, (size_t)range_count * sizeof(*ranges), &vec,
			    1);
}

size_t vmbus_ring_room(struct vmbus_channel *ch)
{
	struct ring *r = &ch->ring;
	const uint32_t around =
		sizeof(struct vmbus_packet_descriptor) + VMBUS_PACKET_TRAILER_BYTES + RING_UNIT;
	uint32_t found, free_bytes;

	if (r->broken) {
		return 0;
	}
	if (!look(ch, &found)) {
		broken(ch, found);
		return 0;
	}
	free_bytes = room(r);
	if (free_bytes <= around) {
		return 0;
	}
	return min_u64(free_bytes - around,
		       PACKET_MAX_BYTES - sizeof(struct vmbus_packet_descriptor));
}
