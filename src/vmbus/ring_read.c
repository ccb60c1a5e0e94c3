// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's packets. Interrupts stay masked while we drain; what was consumed is given back in batches, and all of it before the mask goes
 * off: a guest that then writes finds our index where it takes the ring for empty, and signals.
 */
#include "bus.h"

#include <errno.h>
#include <string.h>

#include "lib/check.h"

#define PACKET_HEADER_BYTES ((uint32_t)sizeof(struct vmbus_packet_descriptor))
#define PACKET_MIN_BYTES (PACKET_HEADER_BYTES + VMBUS_PACKET_TRAILER_BYTES)

static enum vmbus_ring_status broken(struct vmbus_channel *ch, const char *what, uint32_t found,
				     uint32_t limit)
{
	ring_set_broken(ch);
	bus_log(ch->bus,
		"%s: channel %u: ring from the guest at 0x%x: %s, found 0x%x, limit 0x%x; stopped "
		"until it is opened again",
		ch->dev->name, ch->index, ch->ring.in_read, what, found, limit);
	return VMBUS_RING_BROKEN;
}

/*
 * Tells the guest of the room that we made. It is signalled when it waits for room and there is enough now but was not before. "Enough" is more
 * than the pending size for Linux and at least that much for others: both moments count.
 */
static void signal_room(struct vmbus_channel *ch, uint32_t consumed)
{
	struct ring *r = &ch->ring;
	struct vmbus_ring_control *c = r->in.control;
	uint32_t pending, write, now, before;

	if (!(ring_control_load(&c->features) & VMBUS_RING_FEATURE_PENDING_SEND_SIZE)) {
		return;
	}
	pending = ring_control_load(&c->pending_send_size) & ~(RING_UNIT - 1);
	write = ring_control_load(&c->write_index);
	if (pending == 0 || !ring_index_valid(&r->in, write)) {
		return; /* a bad index is found when we read on */
	}
	now = r->in.size - ring_used(&r->in, r->in_published, write);
	before = now > consumed ? now - consumed : 0;
	if ((before <= pending && now > pending) || (before < pending && now == pending)) {
		event_to_guest(ch);
	}
}

static void publish(struct vmbus_channel *ch)
{
	struct ring *r = &ch->ring;
	uint32_t consumed = ring_used(&r->in, r->in_published, r->in_read);

	if ((consumed != 0 || r->stale) && !r->sealed) {
		r->stale = false;
		r->in_published = r->in_read;
		ring_control_store(r->gm, &r->in, &r->in.control->read_index, r->in_read);
		signal_room(ch, consumed);
	}
}

static void set_mask(struct ring *r, bool masked)
{
	if (r->in_masked != masked) {
		r->in_masked = masked;
		ring_control_store(r->gm, &r->in, &r->in.control->interrupt_mask, masked);
	}
}

/* Looks at the guest's write index. */
static enum vmbus_ring_status look(struct vmbus_channel *ch)
{
	struct ring *r = &ch->ring;
	uint32_t write = ring_control_load(&r->in.control->write_index);

	if (!ring_index_valid(&r->in, write)) {
		return broken(ch, "write index", write, r->in.size);
	}
	r->in_write = write;
	return write == r->in_read ? VMBUS_RING_EMPTY : VMBUS_RING_OK;
}

/* Empty: room is given back, the mask goes off, and then we look once more. */
static enum vmbus_ring_status drained(struct vmbus_channel *ch)
{
	enum vmbus_ring_status status;

	publish(ch);
	set_mask(&ch->ring, false);
	status = look(ch);
	if (status == VMBUS_RING_OK) {
		set_mask(&ch->ring, true);
	}
	return status;
}

static enum vmbus_ring_status available(struct vmbus_channel *ch)
{
	struct ring *r = &ch->ring;
	enum vmbus_ring_status status;

	if (r->broken) {
		return VMBUS_RING_BROKEN;
	}
	if (r->in_read != r->in_write && r->in_masked) {
		return VMBUS_RING_OK;
	}
	set_mask(r, true);
	status = look(ch);
	return status == VMBUS_RING_EMPTY ? drained(ch) : status;
}

/* ---- Packets ---- */

bool vmbus_ranges_valid(const uint8_t *ranges, size_t bytes, uint32_t count)
{
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct vmbus_gpa_range range;
		uint64_t pages;

		if (bytes - at < sizeof(range)) {
			return false;
		}
		memcpy(&range, ranges + at, sizeof(range));
		at += sizeof(range);
		pages = ((uint64_t)range.bytes + range.offset + VMBUS_PAGE_BYTES - 1) /
			VMBUS_PAGE_BYTES;
		if (range.offset >= VMBUS_PAGE_BYTES || pages > (bytes - at) / sizeof(uint64_t)) {
			return false;
		}
		at += pages * sizeof(uint64_t);
	}
	return true;
}

/* What lies between descriptor and payload: @header, @bytes of it. */
static bool parse_header(struct vmbus_packet *p, const uint8_t *header, size_t bytes)
{
	struct vmbus_packet_xfer x;

	if (p->type != VMBUS_PACKET_DATA_USING_GPA_DIRECT &&
	    p->type != VMBUS_PACKET_DATA_USING_XFER_PAGES) {
		return true;
	}
	if (bytes < sizeof(x)) {
		return false;
	}
	memcpy(&x, header, sizeof(x)); /* range_count lies at the same place in both */
	p->range_count = x.range_count;
	p->ranges = header + sizeof(x);
	p->ranges_bytes = bytes - sizeof(x);
	if (p->type == VMBUS_PACKET_DATA_USING_XFER_PAGES) {
		p->pageset = x.pageset;
		return p->range_count <= p->ranges_bytes / sizeof(struct vmbus_xfer_range);
	}
	return vmbus_ranges_valid(p->ranges, p->ranges_bytes, p->range_count);
}

_Static_assert(offsetof(struct vmbus_packet_xfer, range_count) ==
		       offsetof(struct vmbus_packet_gpa_direct, range_count),
	       "parse_header reads both alike");

static bool parse(struct vmbus_packet *p, const struct vmbus_packet_descriptor *d,
		  const uint8_t *buf)
{
	uint32_t offset = d->offset8 * 8u, length = d->length8 * 8u;

	*p = (struct vmbus_packet){
		.type = d->type,
		.wants_completion = d->flags & VMBUS_PACKET_COMPLETION_REQUESTED,
		.transaction = d->transaction,
		.data = buf + offset,
		.bytes = length - offset,
	};
	return parse_header(p, buf + PACKET_HEADER_BYTES, offset - PACKET_HEADER_BYTES);
}

static bool descriptor_valid(const struct vmbus_packet_descriptor *d, uint32_t available_bytes)
{
	return d->offset8 >= PACKET_HEADER_BYTES / 8 && d->offset8 <= d->length8 &&
	       d->length8 * 8u + VMBUS_PACKET_TRAILER_BYTES <= available_bytes;
}

static void consume(struct vmbus_channel *ch, uint32_t bytes)
{
	struct ring *r = &ch->ring;

	r->in_read = ring_advance(&r->in, r->in_read, bytes);
	if (ring_used(&r->in, r->in_published, r->in_read) >= r->in.size / 4) {
		publish(ch);
	}
}

/* The descriptor is copied once; the rest follows by the length in that copy. */
enum vmbus_ring_status vmbus_ring_read(struct vmbus_channel *ch, void *buf, size_t capacity,
				       struct vmbus_packet *ret)
{
	struct ring *r = &ch->ring;
	struct vmbus_packet_descriptor d;
	enum vmbus_ring_status status = available(ch);
	uint32_t avail, length;

	if (status != VMBUS_RING_OK) {
		return status;
	}
	avail = ring_used(&r->in, r->in_read, r->in_write);
	if (avail < PACKET_MIN_BYTES) {
		return broken(ch, "less than a packet", avail, PACKET_MIN_BYTES);
	}
	ring_copy_out(&r->in, r->in_read, &d, sizeof(d));
	if (!descriptor_valid(&d, avail)) {
		return broken(ch, "packet of length8 << 16 | offset8",
			      (uint32_t)d.length8 << 16 | d.offset8, avail);
	}
	length = d.length8 * 8u;
	if (length > capacity) {
		consume(ch, length + VMBUS_PACKET_TRAILER_BYTES);
		return VMBUS_RING_TOO_BIG;
	}
	memcpy(buf, &d, sizeof(d));
	ring_copy_out(&r->in, ring_advance(&r->in, r->in_read, sizeof(d)),
		      (uint8_t *)buf + sizeof(d), length - PACKET_HEADER_BYTES);
	if (!parse(ret, &d, buf)) {
		return broken(ch, "packet ranges, type", d.type, ret->range_count);
	}
	consume(ch, length + VMBUS_PACKET_TRAILER_BYTES);
	return VMBUS_RING_OK;
}

/* ---- The end ---- */

bool vmbus_ring_seal(struct vmbus_channel *ch)
{
	struct ring *r = &ch->ring;
	uint32_t write = ring_control_load(&r->in.control->write_index);

	if (r->broken) {
		return true;
	}
	if (!ring_index_valid(&r->in, write)) {
		broken(ch, "write index", write, r->in.size);
		return true;
	}
	r->sealed = true;
	/* A unit short of empty, where a full ring ends. */
	ring_control_store(r->gm, &r->in, &r->in.control->read_index,
			   ring_advance(&r->in, write, RING_UNIT));
	return write == r->in_read && ring_control_load(&r->in.control->write_index) == write &&
	       r->out_published == r->out_write &&
	       ring_control_load(&r->out.control->read_index) == r->out_write;
}
