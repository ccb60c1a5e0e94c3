// SPDX-License-Identifier: Apache-2.0
/* Who may do what while somebody holds a reservation, and RESERVE/RELEASE (6) and (10). Spec: SPC-2 5.5, SPC-4 5.13. */
#include "scsi_unit.h"

static bool is_write_exclusive(uint8_t type)
{
	return type == SCSI_WRITE_EXCLUSIVE || type == SCSI_WRITE_EXCLUSIVE_REGISTRANTS ||
	       type == SCSI_WRITE_EXCLUSIVE_ALL;
}

static bool registrants_may_access(uint8_t type)
{
	return type >= SCSI_WRITE_EXCLUSIVE_REGISTRANTS;
}

static bool may_access(const struct scsi_unit *u, uint32_t nexus)
{
	const struct scsi_reservations *r = &u->reservations;

	if (nexus == SCSI_NO_NEXUS) {
		return false;
	}
	if (registrants_may_access(r->type)) {
		return u->nexuses[nexus].registered;
	}
	return r->holder == nexus;
}

bool scsi_reservation_allows(const struct scsi_unit *u, uint32_t nexus, uint8_t flags)
{
	const struct scsi_reservations *r = &u->reservations;
	bool accesses = (flags & (SCSI_READS | SCSI_WRITES)) != 0;

	if (r->legacy != SCSI_NO_NEXUS && r->legacy != nexus &&
	    (accesses || (flags & SCSI_LEGACY_CONFLICT) != 0)) {
		return false;
	}
	if (r->type == SCSI_RESERVATION_NONE || !accesses || may_access(u, nexus)) {
		return true;
	}
	return (flags & SCSI_WRITES) == 0 && is_write_exclusive(r->type);
}

bool scsi_reservation_type_valid(uint8_t type)
{
	switch ((enum scsi_reservation_type)type) {
	case SCSI_WRITE_EXCLUSIVE:
	case SCSI_EXCLUSIVE_ACCESS:
	case SCSI_WRITE_EXCLUSIVE_REGISTRANTS:
	case SCSI_EXCLUSIVE_ACCESS_REGISTRANTS:
	case SCSI_WRITE_EXCLUSIVE_ALL:
	case SCSI_EXCLUSIVE_ACCESS_ALL:
		return true;
	case SCSI_RESERVATION_NONE:
		break;
	}
	return false;
}

bool scsi_held_by_all(uint8_t type)
{
	return type == SCSI_WRITE_EXCLUSIVE_ALL || type == SCSI_EXCLUSIVE_ACCESS_ALL;
}

bool scsi_is_holder(const struct scsi_unit *u, uint32_t nexus)
{
	const struct scsi_reservations *r = &u->reservations;

	if (r->type == SCSI_RESERVATION_NONE) {
		return false;
	}
	return scsi_held_by_all(r->type) ? u->nexuses[nexus].registered : r->holder == nexus;
}

/* ---- RESERVE and RELEASE ---- */

static bool anybody_registered(const struct scsi_unit *u)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (u->nexuses[i].registered) {
			return true;
		}
	}
	return false;
}

/* Third parties, extents and long identifiers: obsolete, never ours. */
static bool asks_for_obsolete(const struct scsi_command *c)
{
	return (c->cdb[1] & 0x1f) != 0;
}

void scsi_reserve(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_reservations *r = &u->reservations;

	if (asks_for_obsolete(c)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (anybody_registered(u) || c->nexus == SCSI_NO_NEXUS ||
		   (r->legacy != SCSI_NO_NEXUS && r->legacy != c->nexus)) {
		scsi_conflict(c);
	} else {
		r->legacy = c->nexus;
		scsi_good(c);
	}
}

void scsi_release(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_reservations *r = &u->reservations;

	if (asks_for_obsolete(c)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (anybody_registered(u)) {
		scsi_conflict(c);
	} else {
		if (r->legacy == c->nexus) {
			r->legacy = SCSI_NO_NEXUS;
		}
		scsi_good(c);
	}
}
