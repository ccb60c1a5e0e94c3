// SPDX-License-Identifier: Apache-2.0
/* One channel: requests out, answers in, one at a time. */
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "service.h"
#include "vmbus/protocol.h"

#define HEAD_BYTES (sizeof(struct vmbus_pipe_header) + sizeof(struct ic_header))

/* ---- Life ---- */

static void forget(struct ic_channel *ch)
{
	ch->readable = false;
	ch->blocked = false;
	ch->waiting = false;
	ch->orphan = false;
	ch->stuck_ns = 0;
	ch->framework = (struct ic_version){0};
	ch->message = (struct ic_version){0};
}

void ic_channel_drop(struct ic_channel *ch)
{
	if (ch->component->lost != NULL) {
		ch->component->lost(ch, VSP_IC_GONE);
	}
	forget(ch);
}

void ic_channel_break(struct ic_channel *ch)
{
	ch->state = VSP_IC_BROKEN;
	ic_channel_drop(ch);
	ic_changed(ch);
}

bool ic_channel_ready(const struct ic_channel *ch)
{
	return ch->state == VSP_IC_READY;
}

static uint32_t bus_open(void *ctx, struct vmbus_channel *vmbus, const uint8_t *user)
{
	struct ic_channel *ch = ctx;

	CHECK(ch->vmbus == NULL);
	ch->vmbus = vmbus;
	ch->state = VSP_IC_NEGOTIATING;
	ch->unasked = 0;
	/* A signal of before may have set it, and then nobody would wake us. The ring is looked at in any case. */
	__atomic_store_n(&ch->signalled, false, __ATOMIC_SEQ_CST);
	ch->readable = true;
	ic_wake(ch->ic);
	ic_changed(ch);
	return VMBUS_STATUS_SUCCESS;
}

static void bus_close(void *ctx, struct vmbus_channel *vmbus)
{
	struct ic_channel *ch = ctx;

	CHECK(ch->vmbus == vmbus);
	ch->vmbus = NULL;
	ch->state = VSP_IC_CLOSED;
	ic_channel_drop(ch);
	vmbus_channel_closed(vmbus);
	ic_changed(ch);
}

/* Any thread, and often a VP's: one wake is enough until the poll has looked. */
static void bus_signal(void *ctx, struct vmbus_channel *vmbus)
{
	struct ic_channel *ch = ctx;

	if (!__atomic_exchange_n(&ch->signalled, true, __ATOMIC_SEQ_CST)) {
		ic_wake(ch->ic);
	}
}

const struct vmbus_device_ops ic_vmbus_ops = {
	.open = bus_open,
	.close = bus_close,
	.signal = bus_signal,
};

/* ---- Answers ---- */

/* The body of an answer, in *ret_body; false: it is none, and that was reported. */
static bool unwrap(struct ic_channel *ch, const struct vmbus_packet *p, struct ic_header *ret,
		   const uint8_t **ret_body, size_t *ret_bytes)
{
	struct vmbus_pipe_header pipe;

	if (p->type != VMBUS_PACKET_DATA_INBAND || p->bytes < HEAD_BYTES) {
		ic_report(ch, IC_VIOLATION_PACKET,
			  "packet of type %u with %zu bytes, expected type %u and at least %zu",
			  p->type, p->bytes, VMBUS_PACKET_DATA_INBAND, HEAD_BYTES);
		return false;
	}
	memcpy(&pipe, p->data, sizeof(pipe));
	memcpy(ret, p->data + sizeof(pipe), sizeof(*ret));
	if (pipe.type != VMBUS_PIPE_DATA || pipe.bytes < sizeof(*ret) ||
	    pipe.bytes > p->bytes - sizeof(pipe)) {
		ic_report(ch, IC_VIOLATION_PACKET,
			  "message of type %u with %u bytes in a packet of %zu", pipe.type,
			  pipe.bytes, p->bytes);
		return false;
	}
	*ret_body = p->data + HEAD_BYTES;
	*ret_bytes = pipe.bytes - sizeof(*ret);
	return true;
}

static uint16_t expected_type(const struct ic_channel *ch)
{
	return ch->state == VSP_IC_NEGOTIATING ? IC_MESSAGE_NEGOTIATE : ch->component->message_type;
}

/*
 * Late answers, after their time limit, look like answers to nothing: no violation, but a guest that sends many of them is not listened to
 * any longer.
 */
static bool asked_for(struct ic_channel *ch, const struct ic_header *h)
{
	if (ch->waiting && h->type == expected_type(ch) && (h->flags & IC_FLAG_RESPONSE) &&
	    h->transaction == ch->transaction) {
		return true;
	}
	if (!(h->flags & IC_FLAG_RESPONSE) || h->type != expected_type(ch)) {
		ic_report(ch, IC_VIOLATION_UNASKED,
			  "message of type %u with flags 0x%x, expected answers of type %u",
			  h->type, h->flags, expected_type(ch));
	}
	ch->unasked++;
	return false;
}

static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	const struct ic_component *c = ch->component;
	bool orphan = ch->orphan;

	ch->waiting = false;
	ch->orphan = false;
	if (ch->state == VSP_IC_NEGOTIATING) {
		ic_negotiate_answered(ch, body, bytes);
		return;
	}
	if (orphan) {
		return;
	}
	if (status == IC_STATUS_OK && bytes < c->answer_bytes) {
		ic_report(ch, IC_VIOLATION_BODY, "answer of %zu bytes, expected %zu", bytes,
			  c->answer_bytes);
		status = IC_STATUS_FAIL;
	}
	c->answered(ch, status, body, bytes);
}

static void take_packet(struct ic_channel *ch, const struct vmbus_packet *p)
{
	struct ic_header h;
	const uint8_t *body;
	size_t bytes;

	if (!unwrap(ch, p, &h, &body, &bytes)) {
		ch->unasked++;
	} else if (asked_for(ch, &h)) {
		answered(ch, h.status, body, bytes);
	}
	if (ch->unasked > IC_UNASKED_MAX) {
		ic_report(ch, IC_VIOLATION_UNASKED,
			  "%u messages that nobody asked for: not listened to any longer",
			  ch->unasked);
		ic_channel_break(ch);
	}
}

static void set_broken(struct ic_channel *ch)
{
	ic_report(ch, IC_VIOLATION_RING, "its ring is of no use any more");
	ic_channel_break(ch);
}

static void take_packets(struct ic_channel *ch)
{
	struct vsp_ic *ic = ch->ic;
	struct vmbus_packet p;

	for (unsigned i = 0; i < IC_BATCH && ch->readable; i++) {
		switch (vmbus_ring_read(ch->vmbus, ic->packet, sizeof(ic->packet), &p)) {
		case VMBUS_RING_OK:
			take_packet(ch, &p);
			break;
		case VMBUS_RING_TOO_BIG:
			ic_report(ch, IC_VIOLATION_PACKET, "packet of more than %zu bytes, dropped",
				  sizeof(ic->packet));
			ch->unasked++;
			break;
		case VMBUS_RING_EMPTY:
			ch->readable = false;
			break;
		case VMBUS_RING_BROKEN:
		case VMBUS_RING_FULL:
		default:
			set_broken(ch);
			break;
		}
	}
}

/* ---- Requests ---- */

static size_t build_body(struct ic_channel *ch, uint8_t *body)
{
	return ch->state == VSP_IC_NEGOTIATING ? ic_negotiate_build(ch->component, body)
					       : ch->component->build(ch, body);
}

/* Before there are versions, guests expect the oldest ones in the header. */
static void wrap(const struct ic_channel *ch, uint8_t *message, size_t body_bytes)
{
	const struct ic_version oldest = {1, 0};
	bool agreed = ch->state == VSP_IC_READY;
	const struct vmbus_pipe_header pipe = {
		.type = VMBUS_PIPE_DATA,
		.bytes = (uint32_t)(sizeof(struct ic_header) + body_bytes),
	};
	const struct ic_header header = {
		.framework = agreed ? ch->framework : oldest,
		.type = expected_type(ch),
		.message = agreed ? ch->message : oldest,
		.bytes = (uint16_t)body_bytes,
		.transaction = (uint8_t)(ch->transaction + 1),
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
	};

	memcpy(message, &pipe, sizeof(pipe));
	memcpy(message + sizeof(pipe), &header, sizeof(header));
}

static void sent(struct ic_channel *ch)
{
	bool negotiating = ch->state == VSP_IC_NEGOTIATING;

	ch->transaction++;
	ch->packet++;
	ch->waiting = true;
	ch->stuck_ns = 0;
	/* Linux reads the versions of KVP only when its daemon is there: however late. */
	ch->limit_ns = negotiating ? IC_NEVER : ic_after(ch->ic, ch->component->timeout_ns);
	if (!negotiating && ch->component->sent != NULL) {
		ch->component->sent(ch);
	}
}

static void send(struct ic_channel *ch)
{
	uint8_t *message = (uint8_t *)ch->ic->message;
	struct io_vec vec = {.base = message};
	size_t bytes = build_body(ch, message + HEAD_BYTES);

	if (bytes == 0) {
		return;
	}
	wrap(ch, message, bytes);
	vec.bytes = HEAD_BYTES + bytes;
	switch (vmbus_ring_write(ch->vmbus, VMBUS_PACKET_DATA_INBAND, false, ch->packet, &vec, 1)) {
	case VMBUS_RING_OK:
		sent(ch);
		break;
	case VMBUS_RING_FULL:
		ch->blocked = true;
		if (ch->stuck_ns == 0) {
			ch->stuck_ns = ic_after(ch->ic, ch->component->timeout_ns);
		}
		break;
	case VMBUS_RING_TOO_BIG: /* a ring into which it can never go */
	case VMBUS_RING_BROKEN:
	case VMBUS_RING_EMPTY:
	default:
		set_broken(ch);
		break;
	}
}

static uint64_t due_ns(const struct ic_channel *ch)
{
	if (ch->vmbus == NULL || ch->waiting || ch->blocked) {
		return IC_NEVER;
	}
	if (ch->state == VSP_IC_NEGOTIATING) {
		return 0;
	}
	return ch->state == VSP_IC_READY ? ch->component->due_ns(ch) : IC_NEVER;
}

static uint64_t limit_ns(const struct ic_channel *ch)
{
	if (ch->waiting) {
		return ch->limit_ns;
	}
	return ch->stuck_ns != 0 ? ch->stuck_ns : IC_NEVER;
}

static void expire(struct ic_channel *ch)
{
	bool orphan = ch->orphan;

	if (limit_ns(ch) > ic_now(ch->ic)) {
		return;
	}
	ch->waiting = false;
	ch->orphan = false;
	ch->blocked = false; /* the next request tries its own luck */
	ch->stuck_ns = 0;
	if (!orphan && ch->state == VSP_IC_READY && ch->component->lost != NULL) {
		ch->component->lost(ch, VSP_IC_TIMEOUT);
	}
}

static void take_signal(struct ic_channel *ch)
{
	if (__atomic_load_n(&ch->signalled, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&ch->signalled, false, __ATOMIC_SEQ_CST)) {
		ch->readable = ch->state != VSP_IC_BROKEN;
		ch->blocked = false;
	}
}

uint64_t ic_channel_serve(struct ic_channel *ch)
{
	if (ch->vmbus == NULL) {
		return IC_NEVER;
	}
	take_signal(ch);
	take_packets(ch);
	expire(ch);
	if (due_ns(ch) <= ic_now(ch->ic)) {
		send(ch);
	}
	vmbus_ring_flush(ch->vmbus);
	return ch->readable ? 0 : min_u64(limit_ns(ch), due_ns(ch));
}
