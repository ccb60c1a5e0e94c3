/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state: a flat run of tagged, versioned records, never a dump of a struct.
 * A record is {u32 tag, u16 version, u16 zero, u32 payload bytes, payload}, little endian; records
 * nest by putting a run of records into a payload. Readers skip unknown tags and may read an older
 * version. No allocation: the writer counts on past the end of its buffer, so a first pass with
 * capacity 0 gives the size.
 */
#ifndef LIB_STATE_H
#define LIB_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_TAG(a, b, c, d)                                                                      \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define STATE_DEPTH_MAX 8

struct state_writer {
	uint8_t *buf;
	size_t capacity;
	size_t used; /* bytes wanted so far; above capacity means that the buffer was too small */
	size_t open[STATE_DEPTH_MAX];
	unsigned depth;
};

struct state_reader {
	const uint8_t *buf;
	size_t left;
	bool bad; /* sticky: a read went past the end; all later reads give zero */
};

void state_writer_init(struct state_writer *w, void *buf, size_t capacity);
void state_begin(struct state_writer *w, uint32_t tag, uint16_t version);
void state_end(struct state_writer *w);
void state_put_u8(struct state_writer *w, uint8_t v);
void state_put_u16(struct state_writer *w, uint16_t v);
void state_put_u32(struct state_writer *w, uint32_t v);
void state_put_u64(struct state_writer *w, uint64_t v);
void state_put_bytes(struct state_writer *w, const void *data, size_t bytes);
/* True when everything fitted and every record was ended. */
bool state_writer_ok(const struct state_writer *w);

void state_reader_init(struct state_reader *r, const void *buf, size_t bytes);
/* Next record of the run: fills tag, version and a reader of the payload; false at the end or when
 * torn (then r->bad). */
bool state_next(struct state_reader *r, uint32_t *ret_tag, uint16_t *ret_version,
		struct state_reader *ret_payload);
uint8_t state_get_u8(struct state_reader *r);
uint16_t state_get_u16(struct state_reader *r);
uint32_t state_get_u32(struct state_reader *r);
uint64_t state_get_u64(struct state_reader *r);
void state_get_bytes(struct state_reader *r, void *data, size_t bytes);

#endif
