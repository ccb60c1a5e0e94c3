// SPDX-License-Identifier: Apache-2.0
/* Opening a channel, and moving it to another VP. An OPENCHANNEL that comes while the channel still closes waits for that. */
#include "bus.h"

#include <string.h>

void open_result(struct vmbus_channel *ch, const struct open_request *r, uint32_t status)
{
	const struct vmbus_open_result m = {
		.header.type = CHANNELMSG_OPENCHANNEL_RESULT,
		.relid = ch->relid,
		.open_id = r->open_id,
		.status = status,
	};

	if (status != VMBUS_STATUS_SUCCESS) {
		bus_log(ch->bus,
			"%s: relid %u not opened, status 0x%x (GPADL 0x%x, second ring at page %u, "
			"VP %u)",
			ch->dev->name, ch->relid, status, r->gpadl, r->downstream_page, r->vp);
	}
	if (!r->reserved) {
		queue_send(ch->bus, &m, sizeof(m));
	}
}

bool open_map_ring(struct vmbus_channel *ch, struct gpadl *g, uint32_t downstream_page)
{
	uint32_t count;
	const uint64_t *pfns = gpadl_ring_pfns(g, &count);

	if (pfns == NULL ||
	    !ring_map(&ch->ring, ch->bus->transport.gm, pfns, count, downstream_page)) {
		return false;
	}
	g->ring = true;
	ch->ring_gpadl = g;
	ch->downstream_page = downstream_page;
	return true;
}

void open_unmap_ring(struct vmbus_channel *ch)
{
	struct gpadl *g = ch->ring_gpadl;

	ring_unmap(&ch->ring);
	ch->ring_gpadl = NULL;
	if (g != NULL) {
		g->ring = false;
		gpadl_ring_done(g);
	}
}

void open_set_open(struct vmbus_channel *ch)
{
	ch->state = CHANNEL_OPEN;
	ch->bus->open_count++;
	__atomic_store_n(&ch->close_posted, false, __ATOMIC_RELAXED);
	__atomic_store_n(&ch->live, true, __ATOMIC_RELEASE);
	if (ch->monitor_id >= 0) {
		ch->bus->transport.wake(
			ch->bus->transport.ctx); /* vmbus_poll looks at its bit from now on */
	}
}

/* Where the guest wants its interrupts; false: no such place. */
static bool choose_target(struct vmbus_channel *ch, const struct open_request *r)
{
	uint64_t target = 0;

	if (ch->bus->version < VERSION_WIN8) {
		target = (uint64_t)VMBUS_SINT << 32 | BUS_TARGET_LEGACY; /* VP 0 */
	} else if (r->vp != VMBUS_NO_INTERRUPTS_VP) {
		if (r->vp >= ch->bus->transport.processors || r->sint == 0 || r->sint > 15) {
			return false;
		}
		target = (uint64_t)r->sint << 32 | r->vp;
	}
	__atomic_store_n(&ch->target, target, __ATOMIC_SEQ_CST);
	return true;
}

static uint32_t try_open(struct vmbus_channel *ch, const struct open_request *r)
{
	struct gpadl *g = gpadl_find(ch, r->gpadl);
	uint32_t status;

	if (g == NULL || !gpadl_free_for_ring(g) || !choose_target(ch, r) ||
	    !open_map_ring(ch, g, r->downstream_page)) {
		return VMBUS_STATUS_INVALID_PARAMETER;
	}
	if (!ring_start(&ch->ring)) {
		open_unmap_ring(ch);
		return VMBUS_STATUS_INVALID_PARAMETER;
	}
	memcpy(ch->user, r->user, sizeof(ch->user));
	ch->reserved_open = r->reserved;
	status = ch->dev->ops->open(ch->dev->ctx, ch, ch->user);
	if (status != VMBUS_STATUS_SUCCESS) {
		ch->reserved_open = false;
		open_unmap_ring(ch);
		return status;
	}
	open_set_open(ch);
	return VMBUS_STATUS_SUCCESS;
}

void open_now(struct vmbus_channel *ch, const struct open_request *r)
{
	open_result(ch, r, try_open(ch, r));
}

/* Its last close is not over yet: channel 0 waits for its subchannels too. */
static bool still_closing(const struct vmbus_channel *ch)
{
	return ch->state == CHANNEL_CLOSING ||
	       (ch->index == 0 && ch->dev->subs_leaving && ch->state == CHANNEL_CLOSED);
}

/* What to do depends on where the channel is in its life. */
static void request_open(struct vmbus_channel *ch, const struct open_request *r)
{
	if (rescind_leaving(ch)) {
		return; /* RESCIND, sent or about to be, is the answer */
	}
	if (ch->state == CHANNEL_OPEN || ch->reopen) {
		open_result(ch, r, VMBUS_STATUS_INVALID_DEVICE_STATE);
	} else if (still_closing(ch)) {
		ch->reopen = true;
		ch->reopen_request = *r;
	} else {
		open_now(ch, r);
	}
}

void open_message(struct vmbus *bus, const struct vmbus_open_channel *m)
{
	struct vmbus_channel *ch = bus_channel(bus, m->relid);
	struct open_request r = {
		.open_id = m->open_id,
		.gpadl = m->ring_gpadl,
		.downstream_page = m->downstream_page,
		.vp = m->target_vp,
		.sint = VMBUS_SINT,
	};

	if (ch == NULL || !ch->offered) {
		const struct vmbus_open_result no = {
			.header.type = CHANNELMSG_OPENCHANNEL_RESULT,
			.relid = m->relid,
			.open_id = m->open_id,
			.status = VMBUS_STATUS_UNEXPECTED,
		};

		bus_log(bus, "OPENCHANNEL of relid %u, which was not offered", m->relid);
		queue_send(bus, &no, sizeof(no));
		return;
	}
	memcpy(r.user, m->user, sizeof(r.user));
	request_open(ch, &r);
}

void open_reserved_message(struct vmbus_channel *ch, const struct vmbus_open_reserved *m)
{
	const struct open_request r = {
		.gpadl = m->ring_gpadl,
		.downstream_page = m->downstream_page,
		.vp = m->target_vp,
		.sint = m->target_sint,
		.reserved = true,
	};

	request_open(ch, &r);
}

/* ---- MODIFYCHANNEL ---- */

static uint32_t modify(struct vmbus *bus, const struct vmbus_modify_channel *m)
{
	struct vmbus_channel *ch = bus_channel(bus, m->relid);
	uint64_t sint = VMBUS_SINT;

	if (ch == NULL || !ch->offered || ch->state != CHANNEL_OPEN ||
	    m->target_vp >= bus->transport.processors) {
		bus_log(bus, "MODIFYCHANNEL of relid %u to VP %u: %s", m->relid, m->target_vp,
			ch == NULL || ch->state != CHANNEL_OPEN ? "not open" : "no such VP");
		return VMBUS_STATUS_UNEXPECTED;
	}
	if (ch->reserved_open) {
		sint = bits_get(__atomic_load_n(&ch->target, __ATOMIC_RELAXED), 32, 8);
	}
	__atomic_store_n(&ch->target, sint << 32 | m->target_vp, __ATOMIC_SEQ_CST);
	if (ch->dev->ops->target_changed != NULL) {
		ch->dev->ops->target_changed(ch->dev->ctx, ch, m->target_vp);
	}
	/* What was signalled to the old VP may have been lost with it; one interrupt too many does no harm. */
	event_to_guest(ch);
	return VMBUS_STATUS_SUCCESS;
}

void open_modify_message(struct vmbus *bus, const struct vmbus_modify_channel *m)
{
	const struct vmbus_modify_channel_response r = {
		.header.type = CHANNELMSG_MODIFYCHANNEL_RESPONSE,
		.relid = m->relid,
		.status = modify(bus, m),
	};

	if (bus->version >= VERSION_WIN10_V5_3) {
		queue_send(bus, &r, sizeof(r));
	}
}

/* ---- What devices ask of a channel: [any] ---- */

uint32_t vmbus_channel_index(const struct vmbus_channel *ch)
{
	return ch->index;
}

uint32_t vmbus_channel_relid(const struct vmbus_channel *ch)
{
	return ch->relid;
}

uint32_t vmbus_channel_target_vp(const struct vmbus_channel *ch)
{
	uint64_t target = __atomic_load_n(&ch->target, __ATOMIC_RELAXED);

	return bits_get(target, 32, 8) != 0 ? (uint32_t)target : VMBUS_NO_INTERRUPTS_VP;
}

void vmbus_channel_set_context(struct vmbus_channel *ch, void *context)
{
	__atomic_store_n(&ch->context, context, __ATOMIC_RELEASE);
}

void *vmbus_channel_context(const struct vmbus_channel *ch)
{
	return __atomic_load_n(&ch->context, __ATOMIC_ACQUIRE);
}
