// SPDX-License-Identifier: Apache-2.0
/* The way of a command through a unit, and the ways it ends. */
#include "storage/scsi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "scsi_unit.h"

#define SENSE_FIXED_CURRENT 0x70
#define SENSE_VALID 0x80
#define CONTROL_NACA 0x04

/* ---- Sense ---- */

void scsi_sense(struct scsi_command *c, uint8_t key, uint8_t asc, uint8_t ascq)
{
	memset(c->sense, 0, sizeof(c->sense));
	c->sense[0] = SENSE_FIXED_CURRENT;
	c->sense[2] = key;
	c->sense[7] = SCSI_SENSE_BYTES - 8;
	c->sense[12] = asc;
	c->sense[13] = ascq;
	c->sense_bytes = SCSI_SENSE_BYTES;
	c->status = SCSI_CHECK_CONDITION;
}

/* The one table from the host's errors to what the guest sees. */
static enum scsi_condition condition_of(enum io_op op, int error)
{
	switch (-error) {
	case EIO:
	case ENODATA:
		return op == IO_READ ? SCSI_UNRECOVERED_READ_ERROR : SCSI_WRITE_ERROR;
	case ENOSPC:
		return SCSI_SPACE_ALLOCATION_FAILED;
	case EROFS:
		return SCSI_WRITE_PROTECTED;
	case EINVAL:
		return SCSI_LBA_OUT_OF_RANGE;
	case ECANCELED:
		return SCSI_ABORTED_COMMAND;
	default:
		return SCSI_INTERNAL_TARGET_FAILURE;
	}
}

/* ---- Finishing ---- */

static void deliver(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;

	c->done(c);
}

/* Those who wait for commands of others: the last one of these is over. */
static void finish_aborters(struct scsi_unit *u)
{
	struct scsi_command *c = u->aborters;

	u->aborters = NULL;
	while (c != NULL) {
		struct scsi_command *next = c->next;

		scsi_finish(c);
		c = next;
	}
}

void scsi_finish(struct scsi_command *c)
{
	struct scsi_unit *u = c->unit;

	free(c->buffer);
	c->buffer = NULL;
	if (scsi_nexus_leave(u, c)) {
		c->status = SCSI_TASK_ABORTED;
		c->sense_bytes = 0;
		c->transferred = 0;
	}
	/* Whoever waits is in flight, so that the unit outlives done; otherwise it may not. */
	bool wake = u->aborters != NULL && u->aborted_in_flight == 0;

	if (u->submitting) {
		c->io.done = deliver;
		c->io.ctx = c;
		io_complete(u->context, &c->io, 0);
	} else {
		c->done(c);
	}
	if (wake) {
		finish_aborters(u);
	}
}

void scsi_good(struct scsi_command *c)
{
	c->status = SCSI_GOOD;
	scsi_finish(c);
}

void scsi_fail(struct scsi_command *c, enum scsi_condition why)
{
	scsi_sense(c, (uint8_t)(why >> 16), (uint8_t)(why >> 8), (uint8_t)why);
	c->transferred = 0;
	scsi_finish(c);
}

void scsi_fail_at(struct scsi_command *c, enum scsi_condition why, uint32_t information)
{
	scsi_sense(c, (uint8_t)(why >> 16), (uint8_t)(why >> 8), (uint8_t)why);
	c->sense[0] |= SENSE_VALID;
	store_be32(&c->sense[3], information);
	c->transferred = 0;
	scsi_finish(c);
}

static void finish_with_status(struct scsi_command *c, enum scsi_status status)
{
	c->status = (uint8_t)status;
	c->transferred = 0;
	scsi_finish(c);
}

void scsi_busy(struct scsi_command *c)
{
	finish_with_status(c, SCSI_BUSY);
}

void scsi_conflict(struct scsi_command *c)
{
	finish_with_status(c, SCSI_RESERVATION_CONFLICT);
}

void scsi_fail_io(struct scsi_command *c, int error)
{
	if (error == -ENOMEM) {
		scsi_busy(c); /* the guest tries again */
	} else {
		scsi_fail(c, condition_of(c->io.op, error));
	}
}

/* ---- Long commands ---- */

void scsi_cancel(struct scsi_command *c)
{
	c->cancelled = true;
}

bool scsi_end_if_cancelled(struct scsi_command *c)
{
	const struct scsi_nexus *n = scsi_nexus_of(c->unit, c);
	bool aborted = n != NULL && n->epoch != c->epoch;

	if (!c->cancelled && !aborted) {
		return false;
	}
	finish_with_status(c, SCSI_TASK_ABORTED);
	return true;
}

/* ---- Data ---- */

static struct io_request data_of(const struct scsi_command *c)
{
	return (struct io_request){
		.bytes = c->data_bytes, .vec = c->vec, .vec_count = c->vec_count};
}

void scsi_fetch(const struct scsi_command *c, void *to, size_t bytes)
{
	struct io_request data = data_of(c);

	CHECK(bytes <= scsi_buffer_bytes(c, SCSI_DATA_OUT));
	io_copy_out(&data, 0, to, bytes);
}

void scsi_reply(struct scsi_command *c, const void *from, size_t bytes, size_t allocation)
{
	struct io_request data = data_of(c);
	size_t room = (size_t)min_u64(allocation, scsi_buffer_bytes(c, SCSI_DATA_IN));

	c->transferred = (size_t)min_u64(bytes, room);
	io_copy_in(&data, 0, from, c->transferred);
	scsi_good(c);
}

void scsi_io_done(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;

	if (result == 0) {
		scsi_good(c);
	} else {
		scsi_fail_io(c, result);
	}
}

void scsi_submit_io(struct scsi_command *c, void (*done)(struct io_request *r, int result))
{
	c->io.done = done;
	c->io.ctx = c;
	block_submit(c->unit->block, &c->io);
}

/* ---- The way in ---- */

static bool action_matches(const struct scsi_opcode *o, uint8_t action)
{
	return o->action == SCSI_ANY_ACTION || o->action == action;
}

const struct scsi_opcode *scsi_find_opcode(const struct scsi_unit *u, uint8_t opcode,
					   uint8_t action)
{
	unsigned first = u->first_opcode[opcode];

	if (first == 0) {
		return NULL;
	}
	for (unsigned i = first - 1; i < u->kind->opcode_count; i++) {
		const struct scsi_opcode *o = &u->kind->opcodes[i];

		if (o->opcode != opcode) {
			break;
		}
		if (action_matches(o, action)) {
			return o;
		}
	}
	return NULL;
}

static bool cdb_is_sound(const struct scsi_opcode *o, const struct scsi_command *c)
{
	return c->cdb_bytes >= o->cdb_bytes && (c->cdb[o->cdb_bytes - 1] & CONTROL_NACA) == 0;
}

static void dispatch(struct scsi_unit *u, struct scsi_command *c)
{
	const struct scsi_opcode *o = scsi_find_opcode(u, c->cdb[0], c->cdb[1] & 0x1f);
	struct scsi_nexus *n = scsi_nexus_of(u, c);
	bool quiet = o != NULL && (o->flags & SCSI_QUIET) != 0;

	if (n != NULL && n->attentions != 0 && !quiet) {
		scsi_fail(c, scsi_take_attention(n));
	} else if (o == NULL) {
		scsi_fail(c, u->first_opcode[c->cdb[0]] == 0 ? SCSI_INVALID_OPCODE
							     : SCSI_INVALID_FIELD_IN_CDB);
	} else if (!cdb_is_sound(o, c)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (!scsi_reservation_allows(u, c->nexus, o->flags)) {
		scsi_conflict(c);
	} else if ((o->flags & SCSI_NEEDS_MEDIUM) != 0 && u->block == NULL) {
		scsi_fail(c, u->kind->no_medium(u));
	} else {
		o->run(u, c);
	}
}

void scsi_submit(struct scsi_unit *u, struct scsi_command *c)
{
	c->status = SCSI_GOOD;
	c->sense_bytes = 0;
	c->transferred = 0;
	c->io = (struct io_request){0};
	c->buffer = NULL;
	c->unit = u;
	c->next = NULL;
	c->progress = 0;
	c->cancelled = false;
	c->cdb_bytes = (uint8_t)min_u64(c->cdb_bytes, SCSI_CDB_BYTES);
	scsi_nexus_enter(u, c);
	u->submitting = true;
	dispatch(u, c);
	u->submitting = false;
}

struct scsi_range scsi_range_of(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		/* 21 bits of address; a count of 0 means 256 */
		return (struct scsi_range){load_be24(cdb + 1) & 0x1fffff,
					   cdb[4] != 0 ? cdb[4] : 256};
	case 4:
		return (struct scsi_range){load_be64(cdb + 2), load_be32(cdb + 10)};
	case 5:
		return (struct scsi_range){load_be32(cdb + 2), load_be32(cdb + 6)};
	default:
		return (struct scsi_range){load_be32(cdb + 2), load_be16(cdb + 7)};
	}
}

/* ---- Life ---- */

void scsi_unit_init(struct scsi_unit *u, const struct scsi_kind *kind, struct io_context *context,
		    const struct scsi_unit_config *config)
{
	u->kind = kind;
	u->context = context;
	u->config = *config;
	u->reservations.holder = SCSI_NO_NEXUS;
	u->reservations.legacy = SCSI_NO_NEXUS;
	CHECK(kind->opcode_count < UINT8_MAX);
	for (unsigned i = kind->opcode_count; i-- > 0;) {
		u->first_opcode[kind->opcodes[i].opcode] = (uint8_t)(i + 1);
	}
}

void scsi_unit_destroy(struct scsi_unit *u)
{
	if (u == NULL) {
		return;
	}
	if (u->block != NULL) {
		u->block->listener = NULL;
	}
	free(u);
}

struct block_device *scsi_unit_block(struct scsi_unit *u)
{
	return u->block;
}

void scsi_unit_reset(struct scsi_unit *u)
{
	u->reservations.legacy = SCSI_NO_NEXUS;
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		u->nexuses[i].attentions = 0;
		u->nexuses[i].prevents = false;
	}
	u->kind->reset(u);
	scsi_raise(u, SCSI_ATTENTION_RESET, SCSI_NO_NEXUS);
}
