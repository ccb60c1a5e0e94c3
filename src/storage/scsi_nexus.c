// SPDX-License-Identifier: Apache-2.0
/*
 * Who sends commands. Each initiator that was seen has an entry; when the table is full, entries that hold nothing worth keeping are
 * used again, and if all do, the newcomer gets none: it can send commands, but not register.
 */
#include <string.h>

#include "lib/check.h"
#include "scsi_unit.h"

static bool same(const struct scsi_initiator *a, const struct scsi_initiator *b)
{
	return memcmp(a->id, b->id, sizeof(a->id)) == 0;
}

static bool can_go(const struct scsi_unit *u, uint32_t i)
{
	const struct scsi_nexus *n = &u->nexuses[i];

	/* with commands of earlier epochs about, their numbers must not come again */
	return !n->registered && !n->prevents && n->in_flight == 0 && u->aborted_in_flight == 0 &&
	       u->reservations.legacy != i;
}

static uint32_t free_slot(struct scsi_unit *u)
{
	if (u->nexus_count < SCSI_NEXUSES) {
		return u->nexus_count++;
	}
	for (uint32_t tries = 0; tries < SCSI_NEXUSES; tries++) {
		uint32_t i = u->victim;

		u->victim = (u->victim + 1) % SCSI_NEXUSES;
		if (can_go(u, i)) {
			return i;
		}
	}
	return SCSI_NO_NEXUS;
}

static uint32_t find_or_make(struct scsi_unit *u, const struct scsi_initiator *id)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (same(&u->nexuses[i].id, id)) {
			return i;
		}
	}
	uint32_t i = free_slot(u);

	if (i != SCSI_NO_NEXUS) {
		u->nexuses[i] = (struct scsi_nexus){.id = *id};
	}
	return i;
}

struct scsi_nexus *scsi_nexus_of(struct scsi_unit *u, const struct scsi_command *c)
{
	return c->nexus == SCSI_NO_NEXUS ? NULL : &u->nexuses[c->nexus];
}

void scsi_nexus_enter(struct scsi_unit *u, struct scsi_command *c)
{
	c->nexus = find_or_make(u, &c->initiator);
	struct scsi_nexus *n = scsi_nexus_of(u, c);

	if (n != NULL) {
		c->epoch = n->epoch;
		n->in_flight++;
	}
}

bool scsi_nexus_leave(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_nexus *n = scsi_nexus_of(u, c);

	if (n == NULL) {
		return false;
	}
	bool aborted = c->epoch != n->epoch;

	if (aborted) {
		CHECK(u->aborted_in_flight != 0);
		u->aborted_in_flight--;
	} else {
		CHECK(n->in_flight != 0);
		n->in_flight--;
	}
	c->nexus = SCSI_NO_NEXUS;
	return aborted;
}

void scsi_nexus_abort(struct scsi_unit *u, uint32_t i)
{
	struct scsi_nexus *n = &u->nexuses[i];

	u->aborted_in_flight += n->in_flight;
	n->in_flight = 0;
	n->epoch++;
}

void scsi_raise(struct scsi_unit *u, enum scsi_attention what, uint32_t except)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (i != except) {
			u->nexuses[i].attentions |= BIT32(what);
		}
	}
}

enum scsi_condition scsi_take_attention(struct scsi_nexus *n)
{
	static const uint32_t conditions[SCSI_ATTENTION_COUNT] = {
		[SCSI_ATTENTION_RESET] = 0x062900,
		[SCSI_ATTENTION_MEDIUM] = 0x062800,
		[SCSI_ATTENTION_CAPACITY] = 0x062a09,
		[SCSI_ATTENTION_MODE] = 0x062a01,
		[SCSI_ATTENTION_RESERVATIONS_PREEMPTED] = 0x062a03,
		[SCSI_ATTENTION_RESERVATIONS_RELEASED] = 0x062a04,
		[SCSI_ATTENTION_REGISTRATIONS_PREEMPTED] = 0x062a05,
	};

	for (unsigned i = 0; i < SCSI_ATTENTION_COUNT; i++) {
		if ((n->attentions & BIT32(i)) != 0) {
			n->attentions &= ~BIT32(i);
			return (enum scsi_condition)conditions[i];
		}
	}
	return SCSI_NO_SENSE;
}

bool scsi_medium_is_locked(const struct scsi_unit *u)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (u->nexuses[i].prevents) {
			return true;
		}
	}
	return false;
}
