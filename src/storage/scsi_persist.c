// SPDX-License-Identifier: Apache-2.0
/* PERSISTENT RESERVE OUT and IN. Spec: SPC-4 5.13, 6.15, 6.16. Reservations do not survive power loss (no APTPL). */
#include <string.h>

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

enum action_in {
	READ_KEYS = 0,
	READ_RESERVATION = 1,
	REPORT_CAPABILITIES = 2,
	READ_FULL_STATUS = 3
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

static bool is_all_registrants(uint8_t type)
{
	return type == SCSI_WRITE_EXCLUSIVE_ALL || type == SCSI_EXCLUSIVE_ACCESS_ALL;
}

static bool is_holder(const struct scsi_unit *u, uint32_t nexus)
{
	const struct scsi_reservations *r = &u->reservations;

	if (r->type == SCSI_RESERVATION_NONE) {
		return false;
	}
	return is_all_registrants(r->type) ? u->nexuses[nexus].registered : r->holder == nexus;
}

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
	bool held = is_holder(u, nexus);

	u->nexuses[nexus].registered = false;
	u->nexuses[nexus].key = 0;
	/* what all registrants hold goes with the last one */
	if (held && (!is_all_registrants(u->reservations.type) || count_registered(u) == 0)) {
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
	} else if (is_holder(u, c->nexus) && r->type == q->type) {
		scsi_good(c);
	} else {
		scsi_conflict(c);
	}
}

static void act_release(struct scsi_unit *u, struct scsi_command *c, const struct request *q)
{
	if (!is_holder(u, c->nexus)) {
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
	return is_all_registrants(r->type) ? q->action_key == 0
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

/* ---- PERSISTENT RESERVE IN ---- */

#define TRANSPORT_ID_BYTES 24u
#define FULL_STATUS_BYTES (24u + TRANSPORT_ID_BYTES)

static unsigned read_keys(const struct scsi_unit *u, uint8_t *body)
{
	unsigned bytes = 0;

	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (u->nexuses[i].registered) {
			store_be64(body + bytes, u->nexuses[i].key);
			bytes += 8;
		}
	}
	return bytes;
}

static unsigned read_reservation(const struct scsi_unit *u, uint8_t *body)
{
	const struct scsi_reservations *r = &u->reservations;

	if (r->type == SCSI_RESERVATION_NONE) {
		return 0;
	}
	store_be64(body, is_all_registrants(r->type) ? 0 : u->nexuses[r->holder].key);
	body[13] = r->type;
	return 16;
}

/* As if we were SAS, whose addresses are 8 bytes: the identifier's halves together. */
static void store_transport_id(uint8_t *to, const struct scsi_initiator *id)
{
	to[0] = 0x06;
	for (unsigned i = 0; i < 8; i++) {
		to[4 + i] = id->id[i] ^ id->id[i + 8];
	}
}

static unsigned read_full_status(const struct scsi_unit *u, uint8_t *body)
{
	unsigned bytes = 0;

	for (uint32_t i = 0; i < u->nexus_count; i++) {
		const struct scsi_nexus *n = &u->nexuses[i];
		uint8_t *d = body + bytes;

		if (!n->registered) {
			continue;
		}
		store_be64(d, n->key);
		if (is_holder(u, i)) {
			d[12] = 0x01;
			d[13] = u->reservations.type;
		}
		store_be16(d + 18, 1); /* relative target port */
		store_be32(d + 20, TRANSPORT_ID_BYTES);
		store_transport_id(d + 24, &n->id);
		bytes += FULL_STATUS_BYTES;
	}
	return bytes;
}

static void report_capabilities(struct scsi_command *c, size_t allocation)
{
	static const uint8_t data[8] = {
		0,    8, 0x04, /* ALL_TG_PT is understood: there is one port */
		0x80,	       /* the mask that follows is valid */
		0xea,	       /* all types */
		0x01,
	};

	scsi_reply(c, data, sizeof(data), allocation);
}

void scsi_persistent_in(struct scsi_unit *u, struct scsi_command *c)
{
	size_t allocation = load_be16(c->cdb + 7);
	uint8_t data[8 + SCSI_NEXUSES * FULL_STATUS_BYTES] = {0};
	unsigned bytes = 0;

	if (u->reservations.legacy != SCSI_NO_NEXUS) {
		scsi_conflict(c);
		return;
	}
	switch (c->cdb[1] & 0x1f) {
	case READ_KEYS:
		bytes = read_keys(u, data + 8);
		break;
	case READ_RESERVATION:
		bytes = read_reservation(u, data + 8);
		break;
	case REPORT_CAPABILITIES:
		report_capabilities(c, allocation);
		return;
	case READ_FULL_STATUS:
		bytes = read_full_status(u, data + 8);
		break;
	default:
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	store_be32(data, u->reservations.generation);
	store_be32(data + 4, bytes);
	scsi_reply(c, data, 8 + bytes, allocation);
}
