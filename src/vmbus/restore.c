// SPDX-License-Identifier: Apache-2.0
/*
 * The way back. Everything is parsed and checked first, with all relids taken from the devices and given out again as the guest knows them;
 * then memory is attached, and only then do devices get their channels. On failure the bus is as after a reset.
 */
#include "save.h"

#include <string.h>

#include "bus.h"

/* For devices that were on their way out: the guest has only to release their relids. Never called. */
static const struct vmbus_device_ops no_ops;

struct connection {
	bool up, offers_sent;
	uint32_t version, message_vp, message_sint;
	uint64_t interrupt_page_gpa, monitor_gpa[2];
};

static bool restore_connection(struct vmbus *bus, struct state_reader *r)
{
	struct connection c = {0};

	c.up = state_get_u8(r);
	c.offers_sent = state_get_u8(r);
	c.version = state_get_u32(r);
	c.message_vp = state_get_u32(r);
	c.message_sint = state_get_u32(r);
	c.interrupt_page_gpa = state_get_u64(r);
	c.monitor_gpa[0] = state_get_u64(r);
	c.monitor_gpa[1] = state_get_u64(r);
	if (r->bad || bus->state != CONNECTION_NONE || c.message_sint == 0 || c.message_sint > 15 ||
	    c.message_vp >= bus->transport.processors) {
		return false;
	}
	bus->message_vp = c.message_vp;
	bus->message_sint = c.message_sint;
	if (!c.up) {
		return !c.offers_sent;
	}
	bus->offers_sent = c.offers_sent;
	return version_known(bus, c.version) &&
	       version_attach(bus, c.version, c.interrupt_page_gpa, c.monitor_gpa);
}

/* ---- Channels ---- */

static bool restore_gpadl(struct vmbus_channel *ch, struct state_reader *r)
{
	uint32_t id = state_get_u32(r), range_count = state_get_u32(r);
	uint32_t wanted = state_get_u32(r), words = state_get_u32(r), flags = state_get_u32(r);
	bool complete = flags & SAVE_COMPLETE;
	struct gpadl *g;

	if (r->bad || range_count == 0 || wanted > UINT16_MAX / 8 || wanted / 2 < range_count ||
	    words > wanted || complete != (words == wanted) || (flags & ~SAVE_GPADL_FLAGS) ||
	    r->left != words * sizeof(uint64_t) || gpadl_find(ch, id) != NULL ||
	    (!complete && gpadl_collecting(ch->bus, id))) {
		return false;
	}
	g = gpadl_add(ch, id, range_count, wanted);
	if (g == NULL) {
		return false;
	}
	g->words = words;
	state_get_bytes(r, g->word, words * sizeof(uint64_t));
	g->teardown_pending = flags & SAVE_TEARDOWN;
	g->dropped = flags & SAVE_DROPPED;
	return !complete || gpadl_complete(g);
}

static bool target_valid(const struct vmbus *bus, uint64_t target)
{
	uint64_t sint = bits_get(target, 32, 8);
	bool legacy = bus->state == CONNECTION_UP && bus->version < VERSION_WIN8;

	if (target == 0) {
		return !legacy;
	}
	return (uint32_t)target < bus->transport.processors && sint > 0 && sint < 16 &&
	       bits_get(target, 40, 23) == 0 && legacy == ((target & BUS_TARGET_LEGACY) != 0);
}

static bool indices_valid(const struct ring *r)
{
	return ring_index_valid(&r->in, r->in_read) && ring_index_valid(&r->in, r->in_published) &&
	       ring_index_valid(&r->out, r->out_write) &&
	       ring_index_valid(&r->out, r->out_published) &&
	       ring_index_valid(&r->out, r->out_read);
}

static bool restore_ring(struct vmbus_channel *ch, struct state_reader *r)
{
	struct gpadl *g = gpadl_find(ch, state_get_u32(r));
	uint32_t downstream = state_get_u32(r), flags;
	struct ring *ring = &ch->ring;

	ch->target = state_get_u64(r);
	state_get_bytes(r, ch->user, sizeof(ch->user));
	if (r->bad || g == NULL || ch->ring_gpadl != NULL || !target_valid(ch->bus, ch->target) ||
	    !open_map_ring(ch, g, downstream)) {
		return false;
	}
	ring->in_read = ring->in_write = state_get_u32(r);
	ring->in_published = state_get_u32(r);
	ring->out_write = state_get_u32(r);
	ring->out_published = state_get_u32(r);
	ring->out_read = state_get_u32(r);
	flags = state_get_u32(r);
	ring->broken = flags & SAVE_BROKEN;
	ring->in_masked = flags & SAVE_MASKED;
	ring->out_pending = flags & SAVE_PENDING;
	ring->stale = flags & SAVE_SEALED;
	return !r->bad && (flags & ~SAVE_RING_FLAGS) == 0 && indices_valid(ring);
}

/* The parts within a channel: GPADLs, then the ring in one of them. */
static bool restore_parts(struct vmbus_channel *ch, struct state_reader *r)
{
	struct state_reader part;
	uint32_t tag;
	uint16_t version;

	while (state_next(r, &tag, &version, &part)) {
		if (version > SAVE_VERSION || (tag == SAVE_GPADL && !restore_gpadl(ch, &part)) ||
		    (tag == SAVE_RING && !restore_ring(ch, &part))) {
			return false;
		}
	}
	for (const struct gpadl *g = ch->gpadls; g != NULL; g = g->next) {
		if ((g->teardown_pending || g->dropped) && !g->ring) {
			return false;
		}
	}
	return !r->bad;
}

static bool channel_flags_valid(const struct vmbus_device *dev, uint32_t index, uint32_t flags)
{
	const struct vmbus *bus = dev->bus;
	bool offered = flags & SAVE_OFFERED, revoked = flags & SAVE_REVOKED;
	bool open = flags & SAVE_OPEN, reserved = flags & SAVE_RESERVED;
	const struct vmbus_channel *first = dev->channels;

	if ((flags & ~SAVE_CHANNEL_FLAGS) || (offered && !bus->offers_sent) ||
	    (revoked && !offered) || (open && revoked) || (open && !offered && !reserved) ||
	    (reserved && !open) || (open && dev->rescinding)) {
		return false;
	}
	if (index == 0) {
		return first == NULL;
	}
	return revoked || (first != NULL && first->index == 0 && first->ring_gpadl != NULL);
}

static bool restore_channel(struct vmbus_device *dev, struct state_reader *r)
{
	struct vmbus *bus = dev->bus;
	uint32_t index = state_get_u32(r), relid = state_get_u32(r);
	uint32_t monitor = state_get_u32(r), flags = state_get_u32(r);
	struct vmbus_channel *ch;

	if (r->bad || index >= VMBUS_RELIDS || relid == 0 || relid >= VMBUS_RELIDS ||
	    bus->slots[relid].taken || !channel_flags_valid(dev, index, flags) ||
	    offer_channel_add(dev, index, relid, &ch) != 0) {
		return false;
	}
	ch->offered = flags & SAVE_OFFERED;
	ch->revoked = flags & SAVE_REVOKED;
	ch->reserved_open = flags & SAVE_RESERVED;
	if (monitor != 0 && !monitor_restore(ch, monitor - 1)) {
		return false;
	}
	return restore_parts(ch, r) && ((flags & SAVE_OPEN) != 0) == (ch->ring_gpadl != NULL);
}

/* ---- Devices ---- */

/* The device that is meant: offered again by its owner, or none any more because it was being rescinded. */
static struct vmbus_device *find_device(struct vmbus *bus, struct state_reader *r)
{
	struct vmbus_offer offer = {.name = "removed device"};
	struct vmbus_device *dev;
	bool rescinding;

	state_get_bytes(r, offer.type.bytes, sizeof(offer.type.bytes));
	state_get_bytes(r, offer.instance.bytes, sizeof(offer.instance.bytes));
	rescinding = state_get_u8(r);
	dev = offer_device_find(bus, &offer.type, &offer.instance);
	if (r->bad || (dev != NULL) == rescinding || (dev != NULL && dev->channels != NULL)) {
		return NULL;
	}
	if (rescinding) {
		dev = offer_device_add(bus, &offer, &no_ops, NULL);
		if (dev != NULL) {
			dev->rescinding = true;
		}
	}
	return dev;
}

static bool restore_device(struct vmbus *bus, struct state_reader *r)
{
	struct vmbus_device *dev = find_device(bus, r);
	struct state_reader channel;
	uint32_t tag;
	uint16_t version;

	if (dev == NULL) {
		return false;
	}
	while (state_next(r, &tag, &version, &channel)) {
		if (version > SAVE_VERSION ||
		    (tag == SAVE_CHANNEL && !restore_channel(dev, &channel))) {
			return false;
		}
	}
	return !r->bad && (dev->rescinding || dev->channels != NULL);
}

static bool restore_message(struct vmbus *bus, struct state_reader *r)
{
	uint32_t vp = state_get_u32(r), sint = state_get_u32(r);
	uint8_t message[VMBUS_MESSAGE_MAX_BYTES];
	size_t bytes = r->left;

	if (r->bad || vp >= bus->transport.processors || sint == 0 || sint > 15 ||
	    bytes < sizeof(struct vmbus_message_header) || bytes > sizeof(message)) {
		return false;
	}
	state_get_bytes(r, message, bytes);
	return queue_append(bus, vp, sint, message, bytes);
}

static bool restore_record(struct vmbus *bus, uint32_t tag, struct state_reader *r)
{
	switch (tag) {
	case SAVE_CONNECTION:
		return restore_connection(bus, r);
	case SAVE_DEVICE:
		return restore_device(bus, r);
	case SAVE_MESSAGE:
		return restore_message(bus, r);
	default:
		return true;
	}
}

static bool restore_records(struct vmbus *bus, struct state_reader *r)
{
	struct state_reader bus_record, record;
	uint32_t tag;
	uint16_t version;

	if (!state_next(r, &tag, &version, &bus_record) || tag != SAVE_BUS ||
	    version > SAVE_VERSION) {
		return false;
	}
	while (state_next(&bus_record, &tag, &version, &record)) {
		if (version > SAVE_VERSION || !restore_record(bus, tag, &record)) {
			return false;
		}
	}
	return !bus_record.bad;
}

/* ---- The bus before and after ---- */

static void take_relids(struct vmbus *bus)
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		while (dev->channels != NULL) {
			offer_channel_remove(dev->channels);
		}
	}
	offer_reap(bus);
}

/* Devices that the saved bus did not have: added meanwhile. */
static bool give_relids(struct vmbus *bus)
{
	bool ok = true;

	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		struct vmbus_channel *ch;

		if (dev->rescinding || (dev->channels != NULL && dev->channels->index == 0)) {
			continue;
		}
		if (offer_channel_add(dev, 0, 0, &ch) != 0) {
			ok = false;
		} else if (bus->offers_sent) {
			offer_send(ch);
		}
	}
	return ok;
}

/* Index 0 comes first in each device. */
static bool open_channels(struct vmbus *bus)
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
			if (ch->ring_gpadl != NULL) {
				if (dev->ops->open(dev->ctx, ch, ch->user) !=
				    VMBUS_STATUS_SUCCESS) {
					return false;
				}
				open_set_open(ch);
			}
		}
	}
	return true;
}

static void undo(struct vmbus *bus)
{
	for (struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		for (struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
			if (ch->state == CHANNEL_CLOSED && ch->ring_gpadl != NULL) {
				ch->reserved_open = false;
				open_unmap_ring(ch);
			}
		}
	}
	vmbus_reset(bus);
	give_relids(bus);
}

bool vmbus_restore(struct vmbus *bus, struct state_reader *r)
{
	if (bus->state != CONNECTION_NONE || !vmbus_quiet(bus)) {
		return false;
	}
	queue_clear(bus);
	take_relids(bus);
	if (!restore_records(bus, r) || !give_relids(bus) || !open_channels(bus)) {
		undo(bus);
		return false;
	}
	bus->advance_due = true;
	bus->transport.wake(bus->transport.ctx);
	return true;
}
