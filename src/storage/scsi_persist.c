// SPDX-License-Identifier: Apache-2.0
/*
 * PERSISTENT RESERVE OUT. Spec: SPC-4 5.13, 6.16. Registrations are saved with the unit, but do not survive a power loss: APTPL is refused.
 */
#include "lib/check.h"
#include "scsi_unit.h"

enum action_out {
	REGISTER = 0,
	RESERVE = 1,
	RELEASE = 2,
	CLEAR = 3,
	PREEMPT = 4,
	PREEMPT_AND_ABORT = 5,
	REGISTER_AND_IGNORE = 6,
};

#define LIST_BYTES 24u
#define SPECIFY_INITIATORS 0x08
#define APTPL 0x01

/* One PERSISTENT RESERVE OUT, read once. */
struct request {
	enum action_out action;
	uint8_t type;
	uint64_t key;	     /* of the sender */
	uint64_t action_key; /* new key, or the key to preempt */
};

static unsigned count_registered(const struct scsi_unit *u)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < u->nexus_count; i++) {
		count += u->nexuses[i].registered;
	}
	return count;
}

static void raise_registered(struct scsi_unit *u, enum scsi_attention what, uint32_t except)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (i != except && u->nexuses[i].registered) {
			u->nexuses[i].attentions |= BIT32(what);
		}
	}
}

/* The holder lets go; those who could rely on the reservation are told. */
static void release_reservation(struct scsi_unit *u, uint32_t by)
{
	bool others_relied = u->reservations.type >= SCSI_WRITE_EXCLUSIVE_REGISTRANTS;

	u->reservations.type = SCSI_RESERVATION_NONE;
	u->reservations.holder = SCSI_NO_NEXUS;
	if (others_relied) {
		raise_registered(u, SCSI_ATTENTION_RESERVATIONS_RELEASED, by);
	}
}

static void unregister(struct scsi_unit *u, uint32_t nexus)
{
	bool held = scsi_is_holder(u, nexus);

	u->nexuses[nexus].registered = false;
	u->nexuses[nexus].key = 0;
	/* what all registrants hold goes with the last one */
	if (held && (!scsi_held_by_all(u->reservations.type) || count_registered(u) == 0)) {
		release_reservation(u, nexus);
	}
}

static void act_register(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	struct scsi_nexus *n = scsi_nexus_of(u, c);
	bool registered = n != NULL && n->registered;

	if (q->action == REGISTER && q->key != (registered ? n->key : 0)) {
		scsi_conflict(c);
		return;
	}
	if (n == NULL && q->action_key != 0) {
		scsi_fail(c, SCSI_INSUFFICIENT_REGISTRATIONS);
		return;
	}
	u->reservations.generation++;
	if (q->action_key != 0) {
		n->registered = true;
		n->key = q->action_key;
	} else if (registered) {
		unregister(u, c->nexus);
	}
	scsi_good(c);
}

static void act_reserve(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	struct scsi_reservations *r = &u->reservations;

	if (r->type == SCSI_RESERVATION_NONE) {
		r->type = q->type;
		r->holder = c->nexus;
		scsi_good(c);
	} else if (scsi_is_holder(u, c->nexus) && r->type == q->type) {
		scsi_good(c);
	} else {
		scsi_conflict(c);
	}
}

static void act_release(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	if (!scsi_is_holder(u, c->nexus)) {
		scsi_good(c); /* nothing to release is not an error */
	} else if (u->reservations.type != q->type) {
		scsi_fail(c, SCSI_INVALID_RELEASE);
	} else {
		release_reservation(u, c->nexus);
		scsi_good(c);
	}
}

static void act_clear(struct scsi_unit *u, struct scsi_command *c)
{
	raise_registered(u, SCSI_ATTENTION_RESERVATIONS_PREEMPTED, c->nexus);
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		u->nexuses[i].registered = false;
		u->nexuses[i].key = 0;
	}
	u->reservations.type = SCSI_RESERVATION_NONE;
	u->reservations.holder = SCSI_NO_NEXUS;
	u->reservations.generation++;
	scsi_good(c);
}

/* Removes others' registrations with @key (0: all). Returns how many. */
static unsigned remove_registrations(struct scsi_unit *u, struct scsi_command *c, uint64_t key,
				     bool abort)
{
	unsigned removed = 0;

	for (uint32_t i = 0; i < u->nexus_count; i++) {
		struct scsi_nexus *n = &u->nexuses[i];

		if (i == c->nexus || !n->registered || (key != 0 && n->key != key)) {
			continue;
		}
		n->registered = false;
		n->key = 0;
		n->attentions |= BIT32(SCSI_ATTENTION_REGISTRATIONS_PREEMPTED);
		removed++;
		if (abort) {
			scsi_nexus_abort(u, i);
		}
	}
	return removed;
}

static bool key_is_registered(const struct scsi_unit *u, uint64_t key)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (u->nexuses[i].registered && u->nexuses[i].key == key) {
			return true;
		}
	}
	return false;
}

/* True when the reservation itself is to be taken, not only registrations removed. */
static bool takes_reservation(const struct scsi_unit *u, const struct request *q)
{
	const struct scsi_reservations *r = &u->reservations;

	if (r->type == SCSI_RESERVATION_NONE) {
		return false;
	}
	return scsi_held_by_all(r->type) ? q->action_key == 0
					 : u->nexuses[r->holder].key == q->action_key;
}

static void take_reservation(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	struct scsi_reservations *r = &u->reservations;
	bool changed = r->type != q->type;

	r->type = q->type;
	r->holder = c->nexus;
	if (changed) {
		raise_registered(u, SCSI_ATTENTION_RESERVATIONS_RELEASED, c->nexus);
	}
}

/* Finishes when the commands that were aborted are over: none of their writes may come later. */
static void finish_after_aborted(struct scsi_unit *u, struct scsi_command *c)
{
	c->status = SCSI_GOOD;
	if (u->aborted_in_flight == 0) {
		scsi_finish(c);
		return;
	}
	/* It cannot be waited for itself: two that wait for each other would never end. */
	CHECK(!scsi_nexus_leave(u, c));
	c->next = u->aborters;
	u->aborters = c;
}

static void act_preempt(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	bool abort = q->action == PREEMPT_AND_ABORT, takes = takes_reservation(u, q);

	if (!takes && q->action_key == 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_PARAMETER_LIST);
		return;
	}
	if (!takes && !key_is_registered(u, q->action_key)) {
		scsi_conflict(c);
		return;
	}
	u->reservations.generation++;
	remove_registrations(u, c, q->action_key, abort);
	if (takes) {
		take_reservation(u, c, q);
	}
	finish_after_aborted(u, c);
}

/* What must hold before anything else is looked at. */
static enum scsi_condition check_out(const struct scsi_command *c)
{
	uint8_t action = c->cdb[1] & 0x1f, scope = c->cdb[2] >> 4, type = c->cdb[2] & 0x0f;
	bool uses_type = action == RESERVE || action == RELEASE || action == PREEMPT ||
			 action == PREEMPT_AND_ABORT;

	if (action > REGISTER_AND_IGNORE) {
		return SCSI_INVALID_FIELD_IN_CDB;
	}
	if (uses_type && (scope != 0 || !scsi_reservation_type_valid(type))) {
		return SCSI_INVALID_FIELD_IN_CDB;
	}
	if (load_be32(c->cdb + 5) != LIST_BYTES ||
	    scsi_buffer_bytes(c, SCSI_DATA_OUT) < LIST_BYTES) {
		return SCSI_PARAMETER_LIST_LENGTH_ERROR;
	}
	return SCSI_NO_SENSE;
}

static void act(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	const struct scsi_nexus *n = scsi_nexus_of(u, c);

	if (q->action == REGISTER || q->action == REGISTER_AND_IGNORE) {
		act_register(u, c, q);
		return;
	}
	if (n == NULL || !n->registered || n->key != q->key) {
		scsi_conflict(c);
		return;
	}
	switch (q->action) {
	case RESERVE:
		act_reserve(u, c, q);
		break;
	case RELEASE:
		act_release(u, c, q);
		break;
	case CLEAR:
		act_clear(u, c);
		break;
	case PREEMPT:
	case PREEMPT_AND_ABORT:
		act_preempt(u, c, q);
		break;
	case REGISTER:
	case REGISTER_AND_IGNORE:
		break;
	}
}

void scsi_persistent_out(struct scsi_unit *u, struct scsi_command *c)
{
	enum scsi_condition bad = check_out(c);
	uint8_t list[LIST_BYTES];

	if (bad != SCSI_NO_SENSE) {
		scsi_fail(c, bad);
		return;
	}
	/* RESERVE(6) and this do not mix. */
	if (u->reservations.legacy != SCSI_NO_NEXUS) {
		scsi_conflict(c);
		return;
	}
	scsi_fetch(c, list, sizeof(list));
	if ((list[20] & (SPECIFY_INITIATORS | APTPL)) != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_PARAMETER_LIST);
		return;
	}
	const struct request q = {
		.action = (enum action_out)(c->cdb[1] & 0x1f),
		.type = c->cdb[2] & 0x0f,
		.key = load_be64(list),
		.action_key = load_be64(list + 8),
	};

	c->transferred = LIST_BYTES;
	act(u, c, &q);
}
