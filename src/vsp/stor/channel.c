// SPDX-License-Identifier: Apache-2.0
/* One channel: packets in, answers out. */
#include "controller.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

/* ---- Life ---- */

void stor_channel_open(struct stor_channel *ch, struct vmbus_channel *vmbus)
{
	CHECK(ch->state == STOR_CHANNEL_CLOSED && ch->outstanding == 0);
	ch->vmbus = vmbus;
	ch->state = STOR_CHANNEL_OPEN;
	ch->blocked = false;
	ch->broken = false;
	/* A signal of before may have set it, and then nobody would wake us. The ring is looked at in any case. */
	__atomic_store_n(&ch->signalled, false, __ATOMIC_SEQ_CST);
	ch->readable = true;
	if (ch->index == 0) {
		stor_negotiate_reset(ch->stor);
	}
}

void stor_channel_close(struct stor_channel *ch)
{
	CHECK(ch->state == STOR_CHANNEL_OPEN);
	ch->state = STOR_CHANNEL_CLOSING;
	for (struct stor_request *r = ch->stor->commands; r != NULL; r = r->list_next) {
		if (r->channel == ch) {
			scsi_cancel(&r->command);
		}
	}
	stor_channel_drop_answers(ch);
	if (ch->index == 0) {
		stor_negotiate_reset(ch->stor);
	}
}

static void finish_close(struct stor_channel *ch)
{
	struct vmbus_channel *vmbus = ch->vmbus;

	if (ch->state == STOR_CHANNEL_CLOSING && ch->outstanding == 0) {
		ch->state = STOR_CHANNEL_CLOSED;
		ch->vmbus = NULL;
		vmbus_channel_closed(vmbus);
	}
}

/* ---- Answers ---- */

void stor_channel_owe(struct stor_channel *ch, struct stor_request *r)
{
	r->channel = ch;
	ch->outstanding++;
}

static void forget(struct stor_request *r)
{
	struct stor_channel *ch = r->channel;

	CHECK(ch->outstanding > 0);
	ch->outstanding--;
	stor_pool_give(ch->stor, r);
}

void stor_channel_answer(struct stor_request *r)
{
	struct stor_channel *ch = r->channel;

	if (!r->wanted || ch->broken || ch->state != STOR_CHANNEL_OPEN) {
		forget(r);
		return;
	}
	r->next = NULL;
	*ch->answers_tail = r;
	ch->answers_tail = &r->next;
}

static void pop_answer(struct stor_channel *ch)
{
	struct stor_request *r = ch->answers;

	ch->answers = r->next;
	if (ch->answers == NULL) {
		ch->answers_tail = &ch->answers;
	}
	forget(r);
}

void stor_channel_drop_answers(struct stor_channel *ch)
{
	while (ch->answers != NULL) {
		pop_answer(ch);
	}
}

static void set_broken(struct stor_channel *ch)
{
	ch->broken = true;
	ch->readable = false;
	stor_channel_drop_answers(ch);
}

/* True: gone, in one way or another. False: it has to wait. */
static bool write_packet(struct stor_channel *ch, uint16_t type, uint64_t transaction,
			 struct vstor_packet *packet, size_t bytes)
{
	const struct io_vec vec = {.base = packet, .bytes = bytes};

	switch (vmbus_ring_write(ch->vmbus, type, false, transaction, &vec, 1)) {
	case VMBUS_RING_FULL:
		ch->blocked = true;
		return false;
	case VMBUS_RING_BROKEN:
		ch->broken = true;
		return true;
	case VMBUS_RING_OK:
	case VMBUS_RING_EMPTY:
	case VMBUS_RING_TOO_BIG:
	default:
		return true;
	}
}

/*
 * LUNs came or went: the guest scans the bus. The way of both in Hyper-V; REMOVE_DEVICE, which Linux takes for the same, is not sent. Guests
 * of WIN6 do not know it.
 */
static void send_rescan(struct stor_channel *ch)
{
	struct stor *s = ch->stor;
	struct vstor_packet packet = {.header.operation = VSTOR_OPERATION_ENUMERATE_BUS};
	size_t bytes =
		s->version >= VSTOR_VERSION_WIN8 ? VSTOR_PACKET_BYTES : VSTOR_PACKET_BYTES_WIN7;

	if (ch->index != 0 || !s->rescan_due || s->state != STOR_READY) {
		return;
	}
	if (s->version < VSTOR_VERSION_WIN7 ||
	    write_packet(ch, VMBUS_PACKET_DATA_INBAND, 0, &packet, bytes)) {
		s->rescan_due = false;
	}
}

static void send_answers(struct stor_channel *ch)
{
	while (!ch->blocked && !ch->broken && ch->answers != NULL) {
		struct stor_request *r = ch->answers;

		if (write_packet(ch, VMBUS_PACKET_COMPLETION, r->transaction, &r->answer,
				 r->answer_bytes)) {
			pop_answer(ch);
		}
	}
	if (!ch->blocked && !ch->broken) {
		send_rescan(ch);
	}
	if (ch->broken) {
		set_broken(ch);
	}
}

/* ---- Requests ---- */

/*
 * Windows wants answers of exactly the size of its version's packets, Linux 6 of 64 bytes even before there is a version, older Linux no more
 * than it sent: all are content with the size of the request.
 */
static uint8_t answer_bytes(size_t bytes)
{
	return (uint8_t)max_u64(min_u64(bytes, VSTOR_PACKET_BYTES), VSTOR_PACKET_BYTES_WIN7);
}

static void dispatch(struct stor_request *r, const struct vmbus_packet *p)
{
	struct vstor_packet packet = {0};
	size_t bytes = min_u64(p->bytes, sizeof(packet));

	memcpy(&packet, p->data, bytes);
	r->transaction = p->transaction;
	r->wanted = p->wants_completion;
	r->answer_bytes = answer_bytes(p->bytes);
	memset(&r->answer, 0, sizeof(r->answer));
	if (bytes < sizeof(packet.header)) {
		stor_report(r->channel->stor, VIOLATION_PACKET_SHORT,
			    "channel %u: packet of %zu bytes, less than its header of %zu",
			    r->channel->index, bytes, sizeof(packet.header));
		stor_answer_status(r, STATUS_INVALID_PARAMETER);
		return;
	}
	switch (packet.header.operation) {
	case VSTOR_OPERATION_EXECUTE_SRB:
		stor_execute(r, p, &packet);
		break;
	case VSTOR_OPERATION_RESET_LUN:
	case VSTOR_OPERATION_RESET_ADAPTER:
	case VSTOR_OPERATION_RESET_BUS:
		stor_reset(r, &packet, bytes);
		break;
	default:
		stor_negotiate(r, &packet, bytes);
		break;
	}
}

static bool type_known(struct stor_channel *ch, const struct vmbus_packet *p)
{
	if (p->type == VMBUS_PACKET_DATA_INBAND || p->type == VMBUS_PACKET_DATA_USING_GPA_DIRECT) {
		return true;
	}
	stor_report(ch->stor, VIOLATION_PACKET_TYPE,
		    "channel %u: packet of type %u, expected in-band (%u) or GPA-direct (%u)",
		    ch->index, p->type, VMBUS_PACKET_DATA_INBAND,
		    VMBUS_PACKET_DATA_USING_GPA_DIRECT);
	return false;
}

/* @r is free. True: a packet was taken. */
static bool take_packet(struct stor_channel *ch, struct stor_request *r)
{
	struct stor *s = ch->stor;
	struct vmbus_packet p;

	switch (vmbus_ring_read(ch->vmbus, s->packet, sizeof(s->packet), &p)) {
	case VMBUS_RING_OK:
		if (!type_known(ch, &p)) {
			break;
		}
		stor_channel_owe(ch, r);
		dispatch(r, &p);
		return true;
	case VMBUS_RING_TOO_BIG:
		stor_report(s, VIOLATION_PACKET_BIG,
			    "channel %u: packet of more than %zu bytes, dropped", ch->index,
			    sizeof(s->packet));
		break;
	case VMBUS_RING_EMPTY:
		stor_pool_give(s, r);
		ch->readable = false;
		return false;
	case VMBUS_RING_BROKEN:
	case VMBUS_RING_FULL:
	default:
		stor_pool_give(s, r);
		set_broken(ch);
		return false;
	}
	stor_pool_give(s, r);
	return true;
}

/* Subchannels are not looked at before the primary one has negotiated what their packets mean. */
bool stor_channel_more(const struct stor_channel *ch)
{
	return ch->state == STOR_CHANNEL_OPEN && !ch->stor->held && ch->readable && !ch->blocked &&
	       !ch->broken && ch->outstanding < STOR_CHANNEL_DEPTH && !stor_pool_empty(ch->stor) &&
	       (ch->index == 0 || ch->stor->state == STOR_READY);
}

static void take_packets(struct stor_channel *ch)
{
	for (unsigned i = 0; i < STOR_BATCH && stor_channel_more(ch); i++) {
		struct stor_request *r = stor_pool_take(ch->stor);

		if (r == NULL || !take_packet(ch, r)) {
			return;
		}
	}
}

static void take_signal(struct stor_channel *ch)
{
	if (__atomic_load_n(&ch->signalled, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&ch->signalled, false, __ATOMIC_SEQ_CST)) {
		ch->readable = !ch->broken;
		ch->blocked = false;
	}
}

void stor_channel_serve(struct stor_channel *ch)
{
	if (ch->state == STOR_CHANNEL_OPEN) {
		take_signal(ch);
		send_answers(ch);
		take_packets(ch);
		send_answers(ch);
		vmbus_ring_flush(ch->vmbus);
	}
	finish_close(ch);
}
