/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz input as a session with a unit: steps of {what, ...}, with several commands in flight, memory that changes under them, and time
 * that passes only when a step says so. Each command must be answered exactly once, within its buffer, with a status that there is.
 */
#ifndef FUZZ_SCSI_SESSION_H
#define FUZZ_SCSI_SESSION_H

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "storage/scsi.h"
#include "test/input.h"
#include "testing.h"

#define IN_FLIGHT 8u

struct command {
	struct scsi_command scsi;
	struct io_vec vec[2];
	uint8_t *memory; /* exactly as large as the buffer: sanitizers see what is beyond */
	bool busy;
};

struct session {
	struct io_context context;
	struct testing_clock clock;
	struct block_device *block;
	struct scsi_unit *unit;
	struct command commands[IN_FLIGHT];
	uint8_t state[16384];
	size_t state_bytes;
};

static inline void answered(struct scsi_command *c)
{
	struct command *own = c->ctx;
	bool sense = c->status == SCSI_CHECK_CONDITION;

	CHECK(own->busy);
	CHECK(c->transferred <= c->data_bytes);
	CHECK(c->sense_bytes == (sense ? SCSI_SENSE_BYTES : 0));
	CHECK(sense || c->status == SCSI_GOOD || c->status == SCSI_BUSY ||
	      c->status == SCSI_RESERVATION_CONFLICT || c->status == SCSI_TASK_ABORTED);
	CHECK(c->status == SCSI_GOOD || c->transferred == 0);
	own->busy = false;
	free(own->memory);
	own->memory = NULL;
}

static inline struct command *free_command(struct session *s)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		if (!s->commands[i].busy) {
			return &s->commands[i];
		}
	}
	return NULL;
}

static inline bool session_idle(const struct session *s)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		if (s->commands[i].busy) {
			return false;
		}
	}
	return true;
}

/* Lets everything finish; what takes for ever is cancelled. */
static inline void session_drain(struct session *s)
{
	for (unsigned i = 0; i < 100000 && !session_idle(s); i++) {
		for (unsigned n = 0; i == 2000 && n < IN_FLIGHT; n++) {
			if (s->commands[n].busy) {
				scsi_cancel(&s->commands[n].scsi);
			}
		}
		io_poll(&s->context, false, 0);
		if (s->block != NULL) {
			s->clock.now_ns += 1000000;
			block_filter_poll(s->block);
		}
	}
	CHECK(session_idle(s));
}

/* {initiator and direction, buffer bytes, split, cdb length, cdb[16], data bytes, data} */
static inline void session_command(struct session *s, struct input *in)
{
	struct command *own = free_command(s);

	if (own == NULL) {
		session_drain(s);
		own = &s->commands[0];
	}
	uint8_t who = input_u8(in);
	size_t bytes = input_u16(in), split = input_u8(in);

	memset(own, 0, sizeof(*own));
	own->memory = calloc(1, bytes != 0 ? bytes : 1);
	CHECK(own->memory != NULL);
	split = split < bytes ? split : bytes;
	own->vec[0] = (struct io_vec){own->memory, split};
	own->vec[1] = (struct io_vec){own->memory + split, bytes - split};
	own->scsi.cdb_bytes = input_u8(in);
	input_take(in, own->scsi.cdb, SCSI_CDB_BYTES);
	size_t sent = input_u8(in);

	input_take(in, own->memory, sent < bytes ? sent : bytes);
	own->scsi.direction = (enum scsi_direction)((who >> 4) % 3);
	own->scsi.vec = own->vec;
	own->scsi.vec_count = 2;
	own->scsi.data_bytes = bytes;
	own->scsi.initiator.id[0] = who & 0x0f;
	own->scsi.done = answered;
	own->scsi.ctx = own;
	own->busy = true;
	scsi_submit(s->unit, &own->scsi);
}

/* The guest writes to memory that is in use. */
static inline void session_scribble(struct session *s, struct input *in)
{
	uint8_t value = input_u8(in);

	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		struct command *own = &s->commands[i];

		if (own->busy) {
			memset(own->memory, value, own->scsi.data_bytes);
		}
	}
}

/* Saves and restores, or restores whatever the input has: refused or taken, the unit lives on. */
static inline void session_state(struct session *s, struct input *in)
{
	uint8_t what = input_u8(in);
	struct state_writer w;
	struct state_reader r;

	session_drain(s);
	state_writer_init(&w, s->state, sizeof(s->state));
	scsi_unit_save(s->unit, &w);
	CHECK(state_writer_ok(&w));
	size_t at = 0;

	if (what != 0) {
		for (unsigned i = 0; i < what % 8; i++) {
			at = input_u16(in) % w.used;
			s->state[at] = input_u8(in);
		}
	}
	state_reader_init(&r, s->state, w.used);
	bool restored = scsi_unit_restore(s->unit, &r);

	CHECK(restored || what != 0);
}

static inline void session_step(struct session *s, struct input *in, uint8_t what)
{
	switch (what % 8) {
	case 0:
		session_drain(s);
		break;
	case 1:
		io_poll(&s->context, false, 0);
		break;
	case 2:
		s->clock.now_ns += 500000;
		if (s->block != NULL) {
			block_filter_poll(s->block);
		}
		break;
	case 3:
		session_scribble(s, in);
		break;
	case 4:
		session_state(s, in);
		break;
	case 5:
		scsi_unit_reset(s->unit);
		break;
	default:
		session_command(s, in);
		break;
	}
}

#endif
