// SPDX-License-Identifier: Apache-2.0
/*
 * Saved units. A record 'scsu' of version 1: kind, initiators, reservations, what the kind adds. All of it is checked before any
 * of it is taken over.
 */
#include <string.h>

#include "scsi_unit.h"

#define TAG STATE_TAG('s', 'c', 's', 'u')
#define VERSION 1

static void save_nexus(struct state_writer *w, const struct scsi_nexus *n)
{
	state_put_bytes(w, n->id.id, sizeof(n->id.id));
	state_put_u32(w, n->attentions);
	state_put_u8(w, n->registered);
	state_put_u64(w, n->key);
	state_put_u8(w, n->prevents);
	state_put_u8(w, n->media_event);
}

void scsi_unit_save(struct scsi_unit *u, struct state_writer *w)
{
	const struct scsi_reservations *r = &u->reservations;

	state_begin(w, TAG, VERSION);
	state_put_u8(w, u->kind->type);
	state_put_u32(w, u->nexus_count);
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		save_nexus(w, &u->nexuses[i]);
	}
	state_put_u32(w, r->generation);
	state_put_u8(w, r->type);
	state_put_u32(w, r->holder);
	state_put_u32(w, r->legacy);
	u->kind->save(u, w);
	state_end(w);
}

/* What a save can contain, for one unit. */
struct saved {
	uint32_t nexus_count;
	struct scsi_nexus nexuses[SCSI_NEXUSES];
	struct scsi_reservations reservations;
};

static bool load_nexus(struct state_reader *r, struct scsi_nexus *n)
{
	*n = (struct scsi_nexus){0};
	state_get_bytes(r, n->id.id, sizeof(n->id.id));
	n->attentions = state_get_u32(r);
	uint8_t registered = state_get_u8(r);

	n->key = state_get_u64(r);
	uint8_t prevents = state_get_u8(r);

	n->media_event = state_get_u8(r);
	n->registered = registered != 0;
	n->prevents = prevents != 0;
	return !r->bad && registered <= 1 && prevents <= 1 &&
	       n->attentions < BIT32(SCSI_ATTENTION_COUNT) && n->registered == (n->key != 0) &&
	       n->media_event <= SCSI_MEDIA_EVENT_LAST;
}

static bool ids_differ(const struct saved *s)
{
	for (uint32_t i = 0; i < s->nexus_count; i++) {
		for (uint32_t k = 0; k < i; k++) {
			if (memcmp(&s->nexuses[i].id, &s->nexuses[k].id,
				   sizeof(s->nexuses[i].id)) == 0) {
				return false;
			}
		}
	}
	return true;
}

static unsigned registered_count(const struct saved *s)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < s->nexus_count; i++) {
		count += s->nexuses[i].registered;
	}
	return count;
}

static bool reservations_are_possible(const struct saved *s)
{
	const struct scsi_reservations *r = &s->reservations;

	if (r->legacy != SCSI_NO_NEXUS &&
	    (r->legacy >= s->nexus_count || registered_count(s) != 0)) {
		return false;
	}
	switch (r->type) {
	case SCSI_RESERVATION_NONE:
		return r->holder == SCSI_NO_NEXUS;
	case SCSI_WRITE_EXCLUSIVE_ALL:
	case SCSI_EXCLUSIVE_ACCESS_ALL:
		return registered_count(s) != 0;
	default:
		return scsi_reservation_type_valid(r->type) && r->holder < s->nexus_count &&
		       s->nexuses[r->holder].registered;
	}
}

static bool load(struct state_reader *r, struct saved *s)
{
	s->nexus_count = state_get_u32(r);
	if (s->nexus_count > SCSI_NEXUSES) {
		return false;
	}
	for (uint32_t i = 0; i < s->nexus_count; i++) {
		if (!load_nexus(r, &s->nexuses[i])) {
			return false;
		}
	}
	s->reservations.generation = state_get_u32(r);
	s->reservations.type = state_get_u8(r);
	s->reservations.holder = state_get_u32(r);
	s->reservations.legacy = state_get_u32(r);
	return !r->bad && ids_differ(s) && reservations_are_possible(s);
}

bool scsi_unit_restore(struct scsi_unit *u, struct state_reader *r)
{
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;
	struct saved s = {0};

	if (!state_next(r, &tag, &version, &payload) || tag != TAG || version != VERSION ||
	    state_get_u8(&payload) != u->kind->type || !load(&payload, &s)) {
		return false;
	}
	struct state_reader again = payload;

	if (!u->kind->restore(u, &payload, false) || payload.left != 0) {
		return false;
	}
	memcpy(u->nexuses, s.nexuses, sizeof(u->nexuses));
	u->nexus_count = s.nexus_count;
	u->reservations = s.reservations;
	u->kind->restore(u, &again, true);
	return true;
}
