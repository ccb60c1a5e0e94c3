// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define WORDS (MODEL_SECTOR_BYTES / 8)

uint32_t history_add(struct history *h, const struct guest_op *op)
{
	if (h->count == h->room) {
		h->room = h->room == 0 ? 256 : 2 * h->room;
		h->ops = realloc(h->ops, h->room * sizeof(*h->ops));
		CHECK(h->ops != NULL);
	}
	h->ops[h->count++] = *op;
	return h->count;
}

void history_clear(struct history *h)
{
	free(h->ops);
	*h = (struct history){0};
}

const struct guest_op *history_op(const struct history *h, uint32_t number)
{
	CHECK(number >= 1 && number <= h->count);
	return &h->ops[number - 1];
}

static uint64_t word(uint32_t number, uint64_t sector, unsigned i)
{
	return (uint64_t)number << 40 | (sector & UINT32_MAX) << 8 | i;
}

void model_pattern(uint32_t number, uint64_t sector, uint8_t *ret)
{
	for (unsigned i = 0; i < WORDS; i++) {
		store_le64(ret + 8 * i, word(number, sector, i));
	}
}

void model_init(struct model *m, const struct history *history, uint64_t bytes,
		uint64_t largest_bytes)
{
	*m = (struct model){.history = history,
			    .count = largest_bytes / MODEL_SECTOR_BYTES,
			    .size = bytes,
			    .next_size = bytes};
	m->sectors = calloc(m->count, sizeof(*m->sectors));
	CHECK(m->sectors != NULL);
}

void model_fini(struct model *m)
{
	free(m->sectors);
	free(m->touched);
	free(m->unfinished);
	free(m->cover);
	free(m->finished);
}

bool model_touches(const struct model *m, uint64_t chunk)
{
	return m->touched == NULL || (m->touched[chunk / 8] & 1u << chunk % 8) != 0;
}

void model_find_touched(struct model *m)
{
	const uint64_t sectors = MODEL_CHUNK_BYTES / MODEL_SECTOR_BYTES;

	m->touched = calloc(1, m->count / sectors / 8 + 2);
	CHECK(m->touched != NULL);
	for (uint32_t i = 1; i <= m->history->count; i++) {
		const struct guest_op *op = history_op(m->history, i);
		uint64_t end = op->op == IO_FLUSH ? 0 : op->sector + op->sectors;

		for (uint64_t s = op->sector / sectors * sectors; s < end; s += sectors) {
			m->touched[s / sectors / 8] |= (uint8_t)(1u << s / sectors % 8);
		}
	}
}

static void open_op(struct model *m, uint32_t number)
{
	if (m->open_count == m->open_room) {
		m->open_room = m->open_room == 0 ? 64 : 2 * m->open_room;
		m->unfinished = realloc(m->unfinished, m->open_room * sizeof(*m->unfinished));
		m->cover = realloc(m->cover, m->open_room * sizeof(*m->cover));
		m->finished = realloc(m->finished, m->open_room * sizeof(*m->finished));
		CHECK(m->unfinished != NULL && m->cover != NULL && m->finished != NULL);
	}
	m->unfinished[m->open_count] = number;
	m->cover[m->open_count] = 0;
	m->finished[m->open_count++] = false;
}

void model_submit(struct model *m, uint32_t number)
{
	const struct guest_op *op = history_op(m->history, number);

	CHECK(number == m->submitted + 1);
	m->submitted = number;
	if (op->op == IO_FLUSH) {
		for (uint32_t i = 0; i < m->open_count; i++) {
			if (m->finished[i] && m->cover[i] == 0) {
				m->cover[i] = number;
			}
		}
		return;
	}
	CHECK(op->sector + op->sectors <= m->count);
	for (uint64_t s = op->sector; op->op != IO_WRITE && s < op->sector + op->sectors; s++) {
		m->sectors[s].last_zero = number;
	}
	open_op(m, number);
}

/* A discard promises nothing: what was there before may stay. */
static void raise_floor(struct model *m, uint32_t number)
{
	const struct guest_op *op = history_op(m->history, number);

	for (uint64_t s = op->sector; op->op != IO_DISCARD && s < op->sector + op->sectors; s++) {
		m->sectors[s].floor = max_u64(m->sectors[s].floor, number) & UINT32_MAX;
	}
	m->promises++;
}

static void close_op(struct model *m, uint32_t i)
{
	raise_floor(m, m->unfinished[i]);
	m->open_count--;
	m->unfinished[i] = m->unfinished[m->open_count];
	m->cover[i] = m->cover[m->open_count];
	m->finished[i] = m->finished[m->open_count];
}

static uint32_t find_open(const struct model *m, uint32_t number)
{
	uint32_t i = 0;

	while (i < m->open_count && m->unfinished[i] != number) {
		i++;
	}
	CHECK(i < m->open_count);
	return i;
}

void model_done(struct model *m, uint32_t number)
{
	const struct guest_op *op = history_op(m->history, number);

	if (op->op != IO_FLUSH) {
		uint32_t i = find_open(m, number);

		m->finished[i] = true;
		if ((op->flags & IO_FUA) != 0) {
			close_op(m, i);
		}
		return;
	}
	for (uint32_t i = 0; i < m->open_count;) {
		if (m->cover[i] != 0 && m->cover[i] <= number) {
			close_op(m, i);
		} else {
			i++;
		}
	}
}

void model_settle(struct model *m)
{
	for (uint32_t i = 0; i < m->open_count;) {
		if (m->finished[i]) {
			close_op(m, i);
		} else {
			i++; /* it failed: perhaps done, perhaps not */
		}
	}
}

void model_forget(struct model *m)
{
	m->open_count = 0;
}

/* Most of the time of a run is spent in these two: a comparison with itself one word on is the fastest that there is. */
static bool all_zero(const uint8_t *data)
{
	return load_le64(data) == 0 && memcmp(data, data + 8, MODEL_SECTOR_BYTES - 8) == 0;
}

/* The first word of @data that operation @number did not write; WORDS: none. */
static unsigned first_wrong(const uint8_t *data, uint32_t number, uint64_t sector)
{
	uint64_t any = 0;
	unsigned i = 0;

	for (unsigned n = 0; n < WORDS; n++) {
		any |= load_le64(data + 8 * n) ^ word(number, sector, n);
	}
	while (i < WORDS && (any == 0 || load_le64(data + 8 * i) == word(number, sector, i))) {
		i++;
	}
	return i;
}

static void describe_op(const struct model *m, uint32_t number, char *ret, size_t size)
{
	static const char *const names[] = {"read", "write", "flush", "discard", "zero"};

	if (number == 0) {
		snprintf(ret, size, "its beginning (zeros)");
		return;
	}
	const struct guest_op *op = history_op(m->history, number);

	snprintf(ret, size, "operation %" PRIu32 " (%s%s of %" PRIu64 " sectors at %" PRIu64 ")",
		 number, names[op->op], (op->flags & IO_FUA) != 0 ? " FUA" : "", op->sectors,
		 op->sector);
}

static bool refuse(const struct model *m, uint64_t sector, const char *found, char *ret_why,
		   size_t size)
{
	char floor[128];

	describe_op(m, m->sectors[sector].floor, floor, sizeof(floor));
	snprintf(ret_why, size, "sector %" PRIu64 ": found %s, promised %s or later", sector, found,
		 floor);
	return false;
}

static bool allows_zero(const struct model *m, uint64_t sector, char *ret_why, size_t size)
{
	const struct sector_state *s = &m->sectors[sector];

	if (s->floor == 0 || s->last_zero >= s->floor) {
		return true;
	}
	return refuse(m, sector, "zeros", ret_why, size);
}

bool model_allows(const struct model *m, uint64_t sector, const uint8_t *data, char *ret_why,
		  size_t size)
{
	uint64_t first = load_le64(data);
	uint32_t number = (uint32_t)(first >> 40);
	char found[192];

	if (m->footer_shows && m->next_size != m->size &&
	    sector == min_u64(m->size, m->next_size) / MODEL_SECTOR_BYTES) {
		return true;
	}
	if (all_zero(data)) {
		return allows_zero(m, sector, ret_why, size);
	}
	if (number == 0 || number > m->submitted ||
	    history_op(m->history, number)->op != IO_WRITE) {
		snprintf(found, sizeof(found), "what nobody wrote (0x%016" PRIx64 ")", first);
		return refuse(m, sector, found, ret_why, size);
	}
	unsigned wrong = first_wrong(data, number, sector);

	if (wrong != WORDS) {
		snprintf(found, sizeof(found),
			 "data of operation %" PRIu32 " in the wrong place or mixed (0x%016" PRIx64
			 " in word %u)",
			 number, load_le64(data + 8 * wrong), wrong);
		return refuse(m, sector, found, ret_why, size);
	}
	if (number < m->sectors[sector].floor) {
		describe_op(m, number, found, sizeof(found));
		return refuse(m, sector, found, ret_why, size);
	}
	return true;
}
