// SPDX-License-Identifier: Apache-2.0
#include "elf_stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"

#define PIECE_BYTES (1u << 20)

enum loader_status elf_stream_init(struct elf_stream *s, struct target *t)
{
	memset(s, 0, sizeof(*s));
	s->target = t;
	s->buffer = malloc(ELF_HEAD_BYTES);
	if (s->buffer == NULL) {
		s->status = target_fail(t, LOADER_HOST, LOADER_PART_KERNEL,
					"no memory for the headers");
	}
	return s->status;
}

void elf_stream_fini(struct elf_stream *s)
{
	free(s->buffer);
	s->buffer = NULL;
}

/* The segment that holds file offset @at, or NULL; *ret_until is where the segment or the gap ends. */
static const struct elf_segment *find(const struct elf_stream *s, uint64_t at, uint64_t *ret_until)
{
	*ret_until = UINT64_MAX;
	for (unsigned i = 0; i < s->image.count; i++) {
		const struct elf_segment *g = &s->image.segment[i];

		if (g->file_bytes == 0) {
			continue;
		}
		if (at < g->offset) {
			*ret_until = g->offset;
			return NULL;
		}
		if (at - g->offset < g->file_bytes) {
			*ret_until = g->offset + g->file_bytes;
			return g;
		}
	}
	return NULL;
}

/* A stream passes once: its segments must come in file order without overlap. */
static enum loader_status check_order(struct elf_stream *s)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < s->image.count; i++) {
		const struct elf_segment *g = &s->image.segment[i];

		if (g->file_bytes == 0) {
			continue;
		}
		if (g->offset < end || g->offset + g->file_bytes < g->offset) {
			return target_fail(s->target, LOADER_CORRUPT, LOADER_PART_KERNEL,
					   "ELF segment %u at file offset 0x%" PRIx64
					   " overlaps the one before it",
					   i, g->offset);
		}
		end = g->offset + g->file_bytes;
	}
	return LOADER_OK;
}

static bool parse_head(struct elf_stream *s)
{
	size_t bytes = (size_t)s->total;

	if (!elf_is(s->buffer, bytes)) {
		s->status = target_fail(s->target, LOADER_FOREIGN, LOADER_PART_KERNEL,
					"the payload of the bzImage is not an ELF file");
	}
	if (s->status == LOADER_OK) {
		s->status = elf_parse(s->target, s->buffer, bytes, UINT64_MAX, &s->image);
	}
	if (s->status == LOADER_OK) {
		s->status = check_order(s);
	}
	if (s->status == LOADER_OK) {
		s->status = elf_claim(s->target, &s->image);
	}
	for (unsigned i = 0; i < s->image.count && s->status == LOADER_OK; i++) {
		const struct elf_segment *g = &s->image.segment[i];

		if (g->offset < bytes) {
			s->status = target_write_sparse(
				s->target, g->paddr, s->buffer + g->offset,
				(size_t)min_u64(g->file_bytes, bytes - g->offset));
		}
	}
	s->parsed = true;
	return s->status == LOADER_OK;
}

void *elf_stream_reserve(struct elf_stream *s, size_t *ret_bytes)
{
	uint64_t until;

	if (s->status != LOADER_OK) {
		return NULL;
	}
	if (!s->parsed) {
		*ret_bytes = ELF_HEAD_BYTES - (size_t)s->total;
		return s->buffer + s->total;
	}
	const struct elf_segment *g = find(s, s->total, &until);

	if (g == NULL) {
		*ret_bytes = (size_t)min_u64(until - s->total, ELF_HEAD_BYTES);
		return s->buffer;
	}
	*ret_bytes = (size_t)min_u64(until - s->total, PIECE_BYTES);
	uint64_t gpa = g->paddr + (s->total - g->offset);
	void *piece = target_piece(s->target, gpa, ret_bytes);

	if (piece == NULL) {
		s->status = target_fail(s->target, LOADER_HOST, LOADER_PART_MEMORY,
					"guest memory at 0x%" PRIx64 " is not mapped", gpa);
	}
	return piece;
}

bool elf_stream_commit(struct elf_stream *s, size_t bytes)
{
	uint64_t until;

	if (!s->parsed) {
		s->total += bytes;
		return s->total < ELF_HEAD_BYTES || parse_head(s);
	}
	const struct elf_segment *g = find(s, s->total, &until);

	if (g != NULL) {
		gmem_touch(s->target->gm, g->paddr + (s->total - g->offset), bytes);
	}
	s->total += bytes;
	return true;
}

/* Like reserve, copy and commit, but zero pages are skipped. */
bool elf_stream_put(struct elf_stream *s, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		uint64_t until;
		size_t n = bytes;
		const struct elf_segment *g = s->parsed ? find(s, s->total, &until) : NULL;

		if (g != NULL) {
			n = (size_t)min_u64(n, until - s->total);
			s->status = target_write_sparse(s->target,
							g->paddr + (s->total - g->offset), data, n);
			s->total += n;
		} else {
			size_t room;
			void *to = elf_stream_reserve(s, &room);

			if (to == NULL) {
				return false;
			}
			n = n < room ? n : room;
			memcpy(to, data, n);
			elf_stream_commit(s, n);
		}
		if (s->status != LOADER_OK) {
			return false;
		}
		data += n;
		bytes -= n;
	}
	return true;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/*
 * Usable when all segments that the range touches lie at one distance from their file offsets, and the range so displaced is
 * free RAM and hits no segment that lies at another distance.
 */
void *elf_stream_window(struct elf_stream *s, uint64_t offset, size_t bytes)
{
	const struct memory_map *map = s->target->map;
	uint64_t delta = 0;
	bool any = false;

	if (!s->parsed || s->status != LOADER_OK || bytes == 0) {
		return NULL;
	}
	for (unsigned i = 0; i < s->image.count; i++) {
		const struct elf_segment *g = &s->image.segment[i];

		if (g->file_bytes == 0 || !overlap(offset, bytes, g->offset, g->file_bytes)) {
			continue;
		}
		if (any && g->paddr - g->offset != delta) {
			return NULL;
		}
		delta = g->paddr - g->offset;
		any = true;
	}
	uint64_t gpa = offset + delta;

	if (!any || gpa < (1u << 20) || !range_within(gpa, bytes, map->acpi_gpa)) {
		return NULL;
	}
	for (unsigned i = 0; i < s->image.count; i++) {
		const struct elf_segment *g = &s->image.segment[i];

		if (g->paddr - g->offset != delta && overlap(gpa, bytes, g->paddr, g->mem_bytes)) {
			return NULL;
		}
	}
	size_t piece = bytes;
	void *to = target_piece(s->target, gpa, &piece);

	return piece == bytes ? to : NULL;
}

void elf_stream_window_done(struct elf_stream *s, uint64_t offset, size_t bytes)
{
	uint64_t delta = 0;
	uint64_t end = offset + bytes;
	uint64_t until;

	for (uint64_t at = offset; at < end; at = until) {
		const struct elf_segment *g = find(s, at, &until);

		if (g != NULL) {
			delta = g->paddr - g->offset;
		}
	}
	for (uint64_t at = offset; at < end; at = until) {
		const struct elf_segment *g = find(s, at, &until);

		until = min_u64(until, end);
		if (g == NULL) {
			size_t n = (size_t)(until - at);
			void *gap = target_piece(s->target, at + delta, &n);

			memset(gap, 0, n);
		}
	}
	gmem_touch(s->target->gm, offset + delta, bytes);
	s->total = end;
}

enum loader_status elf_stream_end(struct elf_stream *s)
{
	if (s->status == LOADER_OK && !s->parsed) {
		parse_head(s);
	}
	for (unsigned i = 0; i < s->image.count && s->status == LOADER_OK; i++) {
		const struct elf_segment *g = &s->image.segment[i];

		if (g->file_bytes != 0 && s->total < g->offset + g->file_bytes) {
			s->status = target_fail(s->target, LOADER_TRUNCATED, LOADER_PART_KERNEL,
						"the decompressed kernel ends at %" PRIu64
						", %" PRIu64 " bytes expected",
						s->total, g->offset + g->file_bytes);
		}
	}
	return s->status;
}
