// SPDX-License-Identifier: Apache-2.0
/*
 * Closing: the device is told, its thread finishes, vmbus_channel_closed comes back, and only then is the ring let go of and what waits
 * for that answered: GPADL_TORNDOWN, CLOSE_RESERVED_RESPONSE, the next open, RESCIND.
 */
#include "bus.h"

#include "lib/check.h"

/* Somebody waits for an open that will not come any more. */
static void cancel_reopen(struct vmbus_channel *ch)
{
	if (ch->reopen) {
		ch->reopen = false;
		if (ch->bus->state == CONNECTION_UP && !rescind_leaving(ch)) {
			open_result(ch, &ch->reopen_request, VMBUS_STATUS_UNEXPECTED);
		}
	}
}

static void begin_one(struct vmbus_channel *ch)
{
	cancel_reopen(ch);
	if (ch->state == CHANNEL_OPEN) {
		ch->state = CHANNEL_CLOSING;
		ch->bus->closing_count++;
		__atomic_store_n(&ch->live, false, __ATOMIC_RELEASE);
		ch->dev->ops->close(ch->dev->ctx, ch);
	}
}

void close_begin(struct vmbus_channel *ch)
{
	if (ch->index == 0) {
		for (struct vmbus_channel *sub = ch->next; sub != NULL; sub = sub->next) {
			ch->dev->subs_leaving = true;
			begin_one(sub);
		}
	}
	begin_one(ch);
}

static void close_reserved_response(struct vmbus_channel *ch)
{
	const struct vmbus_relid_message m = {
		.header.type = CHANNELMSG_CLOSE_RESERVED_RESPONSE,
		.relid = ch->relid,
	};
	uint32_t vp = ch->close_reserved_vp, sint = ch->close_reserved_sint;

	ch->close_reserved_due = false;
	if (vp < ch->bus->transport.processors && sint != 0 && sint < 16) {
		queue_send_to(ch->bus, vp, sint, &m, sizeof(m));
	}
}

/* The writer may have left while it waited for room. */
static void unblock(struct vmbus_channel *ch)
{
	if (__atomic_exchange_n(&ch->blocked, false, __ATOMIC_ACQ_REL)) {
		__atomic_fetch_sub(&ch->bus->blocked_count, 1, __ATOMIC_RELEASE);
	}
}

void close_then_reopen(struct vmbus_channel *ch)
{
	if (ch->reopen && ch->state == CHANNEL_CLOSED) {
		ch->reopen = false;
		open_now(ch, &ch->reopen_request);
	}
}

void close_finish(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;

	CHECK(ch->state == CHANNEL_CLOSING);
	unblock(ch);
	ch->state = CHANNEL_CLOSED;
	bus->open_count--;
	bus->closing_count--;
	bus->advance_due = true;
	ch->reserved_open = false;
	open_unmap_ring(ch);
	__atomic_store_n(&ch->target, 0, __ATOMIC_SEQ_CST);
	if (ch->close_reserved_due) {
		close_reserved_response(ch);
	}
	if (ch->index != 0) {
		close_then_reopen(
			ch); /* index 0: rescind_advance, when its subchannels are closed too */
	}
}

void close_message(struct vmbus_channel *ch)
{
	if (ch->state != CHANNEL_OPEN && !ch->reopen) {
		/* A rescinded channel is closed already when the guest gets to it. */
		if (!rescind_leaving(ch)) {
			bus_log(ch->bus, "%s: CLOSECHANNEL of relid %u, which is not open: ignored",
				ch->dev->name, ch->relid);
		}
		return;
	}
	close_begin(ch);
}

void close_reserved_message(struct vmbus_channel *ch, const struct vmbus_close_reserved *m)
{
	ch->close_reserved_vp = m->target_vp;
	ch->close_reserved_sint = m->target_sint;
	ch->close_reserved_due = true;
	if (ch->reserved_open) {
		close_begin(ch);
	}
	if (ch->state != CHANNEL_CLOSING) {
		close_reserved_response(ch);
	}
}
