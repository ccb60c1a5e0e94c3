// SPDX-License-Identifier: Apache-2.0
/* What a guest can see of the bus, with its channels open. */
#include "save.h"

#include "bus.h"
#include "lib/check.h"

static uint32_t flag(bool set, uint32_t bit)
{
	return set ? bit : 0;
}

static void save_connection(const struct vmbus *bus, struct state_writer *w)
{
	state_begin(w, SAVE_CONNECTION, SAVE_VERSION);
	state_put_u8(w, bus->state == CONNECTION_UP);
	state_put_u8(w, bus->offers_sent);
	state_put_u32(w, bus->version);
	state_put_u32(w, bus->message_vp);
	state_put_u32(w, bus->message_sint);
	state_put_u64(w, bus->interrupt_page != NULL ? bus->interrupt_page_gpa : 0);
	state_put_u64(w, bus->monitor[0] != NULL ? bus->monitor_gpa[0] : 0);
	state_put_u64(w, bus->monitor[1] != NULL ? bus->monitor_gpa[1] : 0);
	state_end(w);
}

static void save_gpadl(const struct gpadl *g, bool complete, struct state_writer *w)
{
	state_begin(w, SAVE_GPADL, SAVE_VERSION);
	state_put_u32(w, g->id);
	state_put_u32(w, g->range_count);
	state_put_u32(w, g->words_wanted);
	state_put_u32(w, g->words);
	state_put_u32(w, flag(complete, SAVE_COMPLETE) | flag(g->teardown_pending, SAVE_TEARDOWN) |
				 flag(g->dropped, SAVE_DROPPED));
	for (uint32_t i = 0; i < g->words; i++) {
		state_put_u64(w, g->word[i]);
	}
	state_end(w);
}

/* Oldest first, as restore adds each in front. */
static void save_gpadls(const struct gpadl *newest, const struct vmbus_channel *ch, bool complete,
			struct state_writer *w)
{
	const struct gpadl *done = NULL;

	while (newest != done) {
		const struct gpadl *g = newest;

		while (g->next != done) {
			g = g->next;
		}
		if (g->channel == ch) {
			save_gpadl(g, complete, w);
		}
		done = g;
	}
}

static void save_ring(const struct vmbus_channel *ch, struct state_writer *w)
{
	const struct ring *r = &ch->ring;

	state_begin(w, SAVE_RING, SAVE_VERSION);
	state_put_u32(w, ch->ring_gpadl->id);
	state_put_u32(w, ch->downstream_page);
	state_put_u64(w, ch->target);
	state_put_bytes(w, ch->user, sizeof(ch->user));
	state_put_u32(w, r->in_read);
	state_put_u32(w, r->in_published);
	state_put_u32(w, r->out_write);
	state_put_u32(w, r->out_published);
	state_put_u32(w, r->out_read);
	state_put_u32(w, flag(r->broken, SAVE_BROKEN) | flag(r->in_masked, SAVE_MASKED) |
				 flag(r->out_pending, SAVE_PENDING) |
				 flag(r->sealed || r->stale, SAVE_SEALED));
	state_end(w);
}

static void save_channel(const struct vmbus_channel *ch, struct state_writer *w)
{
	CHECK(ch->state != CHANNEL_CLOSING && !ch->reopen && !ch->released);
	state_begin(w, SAVE_CHANNEL, SAVE_VERSION);
	state_put_u32(w, ch->index);
	state_put_u32(w, ch->relid);
	state_put_u32(w, (uint32_t)(ch->monitor_id + 1));
	state_put_u32(w, flag(ch->offered, SAVE_OFFERED) | flag(ch->revoked, SAVE_REVOKED) |
				 flag(ch->state == CHANNEL_OPEN, SAVE_OPEN) |
				 flag(ch->reserved_open, SAVE_RESERVED));
	save_gpadls(ch->gpadls, ch, true, w);
	save_gpadls(ch->bus->collecting, ch, false, w);
	if (ch->state == CHANNEL_OPEN) {
		save_ring(ch, w);
	}
	state_end(w);
}

static void save_device(const struct vmbus_device *dev, struct state_writer *w)
{
	state_begin(w, SAVE_DEVICE, SAVE_VERSION);
	state_put_bytes(w, dev->offer.type.bytes, sizeof(dev->offer.type.bytes));
	state_put_bytes(w, dev->offer.instance.bytes, sizeof(dev->offer.instance.bytes));
	state_put_u8(w, dev->rescinding);
	for (const struct vmbus_channel *ch = dev->channels; ch != NULL; ch = ch->next) {
		save_channel(ch, w);
	}
	state_end(w);
}

void vmbus_save(struct vmbus *bus, struct state_writer *w)
{
	bus_settle(bus);
	CHECK(bus->state != CONNECTION_GOING);
	state_begin(w, SAVE_BUS, SAVE_VERSION);
	save_connection(bus, w);
	for (const struct vmbus_device *dev = bus->devices; dev != NULL; dev = dev->next) {
		save_device(dev, w);
	}
	for (const struct queued *q = bus->queue; q != NULL; q = q->next) {
		state_begin(w, SAVE_MESSAGE, SAVE_VERSION);
		state_put_u32(w, q->vp);
		state_put_u32(w, q->sint);
		state_put_bytes(w, q->message, q->bytes);
		state_end(w);
	}
	state_end(w);
}
