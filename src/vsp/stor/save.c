// SPDX-License-Identifier: Apache-2.0
/*
 * Saved: how far the start of the protocol is, answers that the ring had no room for, and each unit's state. Packets that were not taken
 * yet are in the guest's memory; how far rings are read is the bus's to save.
 */
#include "controller.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define TAG_STOR STATE_TAG('S', 'T', 'O', 'R')
#define TAG_ANSWER STATE_TAG('A', 'N', 'S', 'W')
#define TAG_UNIT STATE_TAG('U', 'N', 'I', 'T')
#define SAVE_VERSION 1u

/* ---- Save ---- */

static void save_answers(const struct stor_channel *ch, struct state_writer *w)
{
	for (const struct stor_request *r = ch->answers; r != NULL; r = r->next) {
		state_begin(w, TAG_ANSWER, SAVE_VERSION);
		state_put_u32(w, ch->index);
		state_put_u64(w, r->transaction);
		state_put_u8(w, r->answer_bytes);
		state_put_bytes(w, &r->answer, r->answer_bytes);
		state_end(w);
	}
}

static void save_unit(struct scsi_unit *unit, unsigned lun, struct state_writer *w)
{
	state_begin(w, TAG_UNIT, SAVE_VERSION);
	state_put_u8(w, (uint8_t)lun);
	scsi_unit_save(unit, w);
	state_end(w);
}

void stor_save(struct stor *s, struct state_writer *w)
{
	CHECK(stor_idle(s));
	state_begin(w, TAG_STOR, SAVE_VERSION);
	state_put_u8(w, (uint8_t)s->state);
	state_put_u16(w, s->version);
	state_put_u8(w, s->rescan_due);
	for (uint32_t i = 0; i < s->channel_count; i++) {
		save_answers(&s->channels[i], w);
	}
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (s->slots[lun].unit != NULL) {
			save_unit(s->slots[lun].unit, lun, w);
		}
	}
	state_end(w);
}

/* ---- Restore ---- */

static bool restore_protocol(struct stor *s, struct state_reader *r)
{
	uint8_t state = state_get_u8(r);
	uint16_t version = state_get_u16(r);
	uint8_t rescan_due = state_get_u8(r);
	bool versioned = state > STOR_VERSION;

	if (r->bad || state >= STOR_STATES || rescan_due > 1 ||
	    (versioned ? !stor_version_known(version) : version != 0) ||
	    (state != STOR_BEGIN && s->channels[0].state != STOR_CHANNEL_OPEN)) {
		return false;
	}
	s->state = (enum stor_state)state;
	s->version = version;
	s->rescan_due = rescan_due;
	return true;
}

static bool restore_answer(struct stor *s, struct state_reader *r)
{
	uint32_t index = state_get_u32(r);
	uint64_t transaction = state_get_u64(r);
	uint8_t bytes = state_get_u8(r);
	struct stor_request *q;

	if (index >= s->channel_count || s->channels[index].state != STOR_CHANNEL_OPEN ||
	    s->channels[index].outstanding >= STOR_CHANNEL_DEPTH ||
	    bytes < VSTOR_PACKET_BYTES_WIN7 || bytes > VSTOR_PACKET_BYTES) {
		return false;
	}
	q = stor_pool_take(s);
	if (q == NULL) {
		return false;
	}
	stor_channel_owe(&s->channels[index], q);
	q->transaction = transaction;
	q->wanted = true;
	q->answer_bytes = bytes;
	memset(&q->answer, 0, sizeof(q->answer));
	state_get_bytes(r, &q->answer, bytes);
	stor_channel_answer(q);
	return !r->bad;
}

static bool restore_unit(struct stor *s, struct state_reader *r)
{
	uint8_t lun = state_get_u8(r);

	if (r->bad || lun >= STOR_LUNS || s->slots[lun].unit == NULL) {
		return false;
	}
	return scsi_unit_restore(s->slots[lun].unit, r);
}

static bool restore_parts(struct stor *s, struct state_reader *r)
{
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;

	while (state_next(r, &tag, &version, &payload)) {
		if (version > SAVE_VERSION) {
			return false;
		}
		if (tag == TAG_ANSWER && !restore_answer(s, &payload)) {
			return false;
		}
		if (tag == TAG_UNIT && !restore_unit(s, &payload)) {
			return false;
		}
	}
	return !r->bad;
}

/* The channels that the bus opened anew are in the mailbox. */
bool stor_restore(struct stor *s, struct state_reader *r)
{
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;

	stor_mailbox_take(s);
	CHECK(stor_idle(s));
	if (!state_next(r, &tag, &version, &payload) || tag != TAG_STOR || version > SAVE_VERSION) {
		return false;
	}
	return restore_protocol(s, &payload) && restore_parts(s, &payload);
}
