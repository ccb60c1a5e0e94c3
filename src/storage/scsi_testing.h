/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a unit, one buffer in odd pieces with guards around it, and rows of commands with what they must answer. */
#ifndef STORAGE_SCSI_TESTING_H
#define STORAGE_SCSI_TESTING_H

#include <ctype.h>

#include "lib/check.h"
#include "storage/scsi.h"
#include "test/test.h"
#include "testing.h"

#define RIG_BUFFER (160u << 10)
#define RIG_GUARD 64u

#define RIG_ID(n)                                                                                  \
	{                                                                                          \
		{                                                                                  \
			(n), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15                     \
		}                                                                                  \
	}

struct rig_command {
	struct scsi_command scsi;
	struct io_vec vec[3];
	unsigned calls;
	uint8_t *memory; /* guard, data, guard */
	uint8_t *data;
	size_t bytes;
};

static inline void rig_done(struct scsi_command *c)
{
	((struct rig_command *)c->ctx)->calls++;
}

/* The bytes of "12 00 ff ..."; returns how many. */
static inline size_t rig_parse(const char *hex, uint8_t *to, size_t room)
{
	size_t n = 0;

	while (*hex != '\0') {
		unsigned v;

		if (isspace((unsigned char)*hex)) {
			hex++;
			continue;
		}
		CHECK(sscanf(hex, "%2x", &v) == 1 && n < room);
		to[n++] = (uint8_t)v;
		hex += 2;
	}
	return n;
}

static inline void rig_prepare(struct rig_command *r, const char *cdb,
			       enum scsi_direction direction, size_t bytes, uint8_t initiator)
{
	size_t first = bytes / 3, second = bytes / 2 - bytes / 3;

	memset(r, 0, sizeof(*r));
	r->memory = malloc(bytes + 2 * RIG_GUARD);
	CHECK(r->memory != NULL);
	memset(r->memory, 0xe5, bytes + 2 * RIG_GUARD);
	r->data = r->memory + RIG_GUARD;
	r->bytes = bytes;
	r->vec[0] = (struct io_vec){r->data, first};
	r->vec[1] = (struct io_vec){r->data + first, second};
	r->vec[2] = (struct io_vec){r->data + first + second, bytes - first - second};
	r->scsi.cdb_bytes = (uint8_t)rig_parse(cdb, r->scsi.cdb, SCSI_CDB_BYTES);
	r->scsi.direction = direction;
	r->scsi.vec = r->vec;
	r->scsi.vec_count = 3;
	r->scsi.data_bytes = bytes;
	r->scsi.initiator = (struct scsi_initiator)RIG_ID(initiator);
	r->scsi.done = rig_done;
	r->scsi.ctx = r;
	/* what the unit owns may hold anything before */
	r->scsi.buffer = (void *)1;
	r->scsi.status = 0xff;
	r->scsi.sense_bytes = 7;
}

static inline void rig_turn(struct io_context *c)
{
	for (unsigned i = 0; i < 2000; i++) {
		if (io_poll(c, false, 0) == 0) {
			break;
		}
	}
}

/* Sends what is prepared and waits; writes beyond the buffer are found here. */
static inline void rig_run(struct scsi_unit *u, struct io_context *c, struct rig_command *r)
{
	scsi_submit(u, &r->scsi);
	CHECK(r->calls == 0); /* never from within */
	rig_turn(c);
	CHECK(r->calls == 1);
	CHECK(r->scsi.buffer == NULL);
	CHECK(r->scsi.transferred <= r->bytes);
	for (unsigned i = 0; i < RIG_GUARD; i++) {
		CHECK(r->memory[i] == 0xe5 && r->data[r->bytes + i] == 0xe5);
	}
}

/* Status, and with CHECK CONDITION the sense: key << 16 | asc << 8 | ascq. */
#define RIG_GOOD 0u
#define RIG_BUSY 0x8000000u
#define RIG_CONFLICT 0x18000000u
#define RIG_ABORTED 0x40000000u

static inline uint32_t rig_result(const struct rig_command *r)
{
	const uint8_t *s = r->scsi.sense;

	if (r->scsi.status != SCSI_CHECK_CONDITION) {
		CHECK(r->scsi.sense_bytes == 0);
		return (uint32_t)r->scsi.status << 24;
	}
	CHECK(r->scsi.sense_bytes == SCSI_SENSE_BYTES && (s[0] & 0x7f) == 0x70 && s[7] == 10);
	return (uint32_t)s[2] << 16 | (uint32_t)s[12] << 8 | s[13];
}

static inline void rig_free(struct rig_command *r)
{
	free(r->memory);
	r->memory = NULL;
}

/* One command with data @out (may be NULL: 0xe5 throughout); returns rig_result. */
static inline uint32_t rig_send(struct scsi_unit *u, struct io_context *c, const char *cdb,
				enum scsi_direction direction, const void *out, size_t bytes,
				uint8_t initiator)
{
	struct rig_command r;

	rig_prepare(&r, cdb, direction, bytes, initiator);
	if (out != NULL) {
		memcpy(r.data, out, bytes);
	}
	rig_run(u, c, &r);
	uint32_t result = rig_result(&r);

	rig_free(&r);
	return result;
}

struct rig_row {
	const char *what;
	const char *cdb;
	enum scsi_direction direction;
	uint32_t bytes;	  /* of the buffer */
	const char *out;  /* data sent, hex; the rest of the buffer is e5 */
	uint32_t want;	  /* rig_result */
	const char *data; /* data expected, hex; NULL: not looked at, "": nothing transferred */
};

static inline void rig_check_data(struct test *t, const struct rig_row *row,
				  const struct rig_command *r)
{
	static uint8_t want[8192];
	size_t n = rig_parse(row->data, want, sizeof(want));

	if (r->scsi.transferred != n || memcmp(want, r->data, n) != 0) {
		test_fail(t, __FILE__, __LINE__, "%s: %zu bytes, want %zu", row->what,
			  r->scsi.transferred, n);
		for (size_t i = 0; i < r->scsi.transferred && i < 128; i++) {
			printf("%s%02x", i % 16 == 0 ? "\n#  " : " ", r->data[i]);
		}
		printf("\n");
	}
}

static inline void rig_rows(struct test *t, struct scsi_unit *u, struct io_context *c,
			    const struct rig_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rig_row *row = &rows[i];
		struct rig_command r;

		rig_prepare(&r, row->cdb, row->direction, row->bytes, 0);
		if (row->out != NULL) {
			rig_parse(row->out, r.data, row->bytes);
		}
		rig_run(u, c, &r);
		if (rig_result(&r) != row->want) {
			test_fail(t, __FILE__, __LINE__, "%s: got %06x, want %06x", row->what,
				  rig_result(&r), row->want);
		} else if (row->data != NULL) {
			rig_check_data(t, row, &r);
		}
		rig_free(&r);
	}
}

#endif
