// SPDX-License-Identifier: Apache-2.0
/*
 * RESET_BUS, RESET_ADAPTER, RESET_LUN: answered when the commands of their scope that were there before are done (Linux waits for them
 * after the answer, with a timeout). Only commands of many parts are cut short: what a unit has begun it otherwise ends.
 */
#include "controller.h"

#include "lib/bits.h"
#include "lib/check.h"

#define RESET_LUN_BYTES (sizeof(struct vstor_header) + offsetof(struct vstor_srb, cdb_bytes))

static struct stor_reset *free_reset(struct stor *s)
{
	for (unsigned i = 0; i < STOR_RESETS; i++) {
		if (s->resets[i].request == NULL) {
			return &s->resets[i];
		}
	}
	return NULL;
}

static void finish(struct stor *s, struct stor_reset *reset)
{
	struct stor_request *r = reset->request;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		struct stor_slot *slot = &s->slots[lun];

		if (slot->unit != NULL && (reset->slot == NULL || reset->slot == slot)) {
			scsi_unit_reset(slot->unit);
		}
	}
	reset->request = NULL;
	stor_answer_status(r, STATUS_SUCCESS);
}

static void start(struct stor *s, struct stor_reset *reset)
{
	uint32_t bit = BIT32(reset - s->resets);

	reset->commands = 0;
	for (struct stor_request *r = s->commands; r != NULL; r = r->list_next) {
		if (reset->slot == NULL || reset->slot == r->slot) {
			r->resets |= bit;
			scsi_cancel(&r->command);
			reset->commands++;
		}
	}
	if (reset->commands == 0) {
		finish(s, reset);
	}
}

void stor_reset_progress(struct stor *s, uint32_t resets)
{
	for (; resets != 0; resets &= resets - 1) {
		struct stor_reset *reset = &s->resets[__builtin_ctz(resets)];

		CHECK(reset->request != NULL && reset->commands > 0);
		if (--reset->commands == 0) {
			finish(s, reset);
		}
	}
}

/* False: the packet is answered already. */
static bool valid(struct stor_request *r, const struct vstor_packet *packet, size_t bytes)
{
	struct stor_channel *ch = r->channel;

	if (ch->stor->state != STOR_READY) {
		stor_report(ch->stor, VIOLATION_ORDER,
			    "channel %u: reset %u before the start is done (step %u)", ch->index,
			    packet->header.operation, ch->stor->state);
		stor_answer_status(r, STATUS_INVALID_DEVICE_STATE);
		return false;
	}
	if (packet->header.operation == VSTOR_OPERATION_RESET_LUN && bytes < RESET_LUN_BYTES) {
		stor_report(ch->stor, VIOLATION_PACKET_SHORT,
			    "channel %u: RESET_LUN in %zu bytes, expected %zu", ch->index, bytes,
			    RESET_LUN_BYTES);
		stor_answer_status(r, STATUS_INVALID_PARAMETER);
		return false;
	}
	return true;
}

/* Resetting what is not there succeeds. */
void stor_reset(struct stor_request *r, const struct vstor_packet *packet, size_t bytes)
{
	struct stor *s = r->channel->stor;
	struct stor_reset *reset;
	struct stor_slot *slot = NULL;

	if (!valid(r, packet, bytes)) {
		return;
	}
	if (packet->header.operation == VSTOR_OPERATION_RESET_LUN) {
		unsigned lun = stor_route(s, &packet->srb);

		if (lun == STOR_LUNS) {
			stor_answer_status(r, STATUS_SUCCESS);
			return;
		}
		slot = &s->slots[lun];
	}
	reset = free_reset(s);
	if (reset == NULL) {
		stor_report(s, VIOLATION_RESETS, "channel %u: more than %u resets at the same time",
			    r->channel->index, STOR_RESETS);
		stor_answer_status(r, STATUS_DEVICE_BUSY);
		return;
	}
	*reset = (struct stor_reset){.request = r, .slot = slot};
	start(s, reset);
}
