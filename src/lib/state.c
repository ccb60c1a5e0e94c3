// SPDX-License-Identifier: Apache-2.0
#include "lib/state.h"
#include "lib/bits.h"
#include "lib/check.h"

#define RECORD_HEADER_BYTES 12

void state_writer_init(struct state_writer *w, void *buf, size_t capacity)
{
	*w = (struct state_writer){.buf = buf, .capacity = capacity};
}

void state_put_bytes(struct state_writer *w, const void *data, size_t bytes)
{
	if (bytes != 0 && range_within(w->used, bytes, w->capacity)) {
		__builtin_memcpy(w->buf + w->used, data, bytes);
	}
	w->used += bytes;
}

void state_put_u8(struct state_writer *w, uint8_t v)
{
	state_put_bytes(w, &v, sizeof(v));
}

void state_put_u16(struct state_writer *w, uint16_t v)
{
	state_put_bytes(w, &v, sizeof(v));
}

void state_put_u32(struct state_writer *w, uint32_t v)
{
	state_put_bytes(w, &v, sizeof(v));
}

void state_put_u64(struct state_writer *w, uint64_t v)
{
	state_put_bytes(w, &v, sizeof(v));
}

void state_begin(struct state_writer *w, uint32_t tag, uint16_t version)
{
	CHECK(w->depth < STATE_DEPTH_MAX);
	state_put_u32(w, tag);
	state_put_u16(w, version);
	state_put_u16(w, 0);
	state_put_u32(w, 0);
	w->open[w->depth++] = w->used;
}

void state_end(struct state_writer *w)
{
	CHECK(w->depth > 0);
	size_t start = w->open[--w->depth];

	if (w->used <= w->capacity) {
		store_le32(w->buf + start - sizeof(uint32_t), (uint32_t)(w->used - start));
	}
}

bool state_writer_ok(const struct state_writer *w)
{
	return w->depth == 0 && w->used <= w->capacity;
}

void state_reader_init(struct state_reader *r, const void *buf, size_t bytes)
{
	*r = (struct state_reader){.buf = buf, .left = bytes};
}

void state_get_bytes(struct state_reader *r, void *data, size_t bytes)
{
	if (r->bad || bytes > r->left) {
		r->bad = true;
		__builtin_memset(data, 0, bytes);
		return;
	}
	__builtin_memcpy(data, r->buf, bytes);
	r->buf += bytes;
	r->left -= bytes;
}

uint8_t state_get_u8(struct state_reader *r)
{
	uint8_t v;

	state_get_bytes(r, &v, sizeof(v));
	return v;
}

uint16_t state_get_u16(struct state_reader *r)
{
	uint16_t v;

	state_get_bytes(r, &v, sizeof(v));
	return v;
}

uint32_t state_get_u32(struct state_reader *r)
{
	uint32_t v;

	state_get_bytes(r, &v, sizeof(v));
	return v;
}

uint64_t state_get_u64(struct state_reader *r)
{
	uint64_t v;

	state_get_bytes(r, &v, sizeof(v));
	return v;
}

bool state_next(struct state_reader *r, uint32_t *ret_tag, uint16_t *ret_version,
		struct state_reader *ret_payload)
{
	if (r->bad || r->left == 0) {
		return false;
	}
	if (r->left < RECORD_HEADER_BYTES) {
		r->bad = true;
		return false;
	}
	uint32_t tag = state_get_u32(r);
	uint16_t version = state_get_u16(r);
	uint16_t zero = state_get_u16(r);
	uint32_t bytes = state_get_u32(r);

	if (zero != 0 || bytes > r->left) {
		r->bad = true;
		return false;
	}
	state_reader_init(ret_payload, r->buf, bytes);
	*ret_tag = tag;
	*ret_version = version;
	r->buf += bytes;
	r->left -= bytes;
	return true;
}
