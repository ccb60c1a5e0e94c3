// SPDX-License-Identifier: Apache-2.0
/*
 * The space of the file, in units of 1 MiB. What is handed out reads as zeros, durably. What is freed goes a long way before it may be
 * handed out again: committed; nobody using it; not in the log; punched; flushed.
 */
#include <errno.h>
#include <stdlib.h>

#include "vhdx.h"

#define UNIT_SHIFT 20
#define GROW_STEP (64 * VHDX_MIB)
#define PUNCHING_MAX 8u

void vhdx_space_init(struct vhdx *v, uint64_t file_bytes)
{
	struct vhdx_space *s = &v->space;

	*s = (struct vhdx_space){
		.end = align_up(file_bytes, VHDX_UNIT),
		.file_bytes = file_bytes,
		.durable_bytes = file_bytes,
		.failed_units = UINT64_MAX,
	};
	s->freed_tail = &s->freed;
	s->punched_tail = &s->punched;
}

static void free_list(struct vhdx_freed *f)
{
	while (f != NULL) {
		struct vhdx_freed *next = f->next;

		free(f);
		f = next;
	}
}

void vhdx_space_fini(struct vhdx *v)
{
	CHECK(v->space.punching == 0);
	free_list(v->space.freed);
	free_list(v->space.punched);
	free(v->space.clean);
}

/* ---- Units that are clean ---- */

static bool is_clean(const struct vhdx_space *s, uint64_t unit)
{
	return unit / 64 < s->clean_words && (s->clean[unit / 64] & BIT64(unit % 64)) != 0;
}

static void clear_units(struct vhdx_space *s, uint64_t unit, uint64_t count)
{
	for (uint64_t i = unit; i < unit + count; i++) {
		s->clean[i / 64] &= ~BIT64(i % 64);
	}
	s->clean_units -= count;
}

/* Room in the map. False: no memory. */
static bool cover_units(struct vhdx_space *s, uint64_t units)
{
	size_t words = (size_t)(units / 64 + 1);

	if (words <= s->clean_words) {
		return true;
	}
	words = (size_t)max_u64(words, s->clean_words * 2);

	uint64_t *clean = realloc(s->clean, words * sizeof(*clean));

	if (clean == NULL) {
		return false;
	}
	for (size_t i = s->clean_words; i < words; i++) {
		clean[i] = 0;
	}
	s->clean = clean;
	s->clean_words = words;
	return true;
}

/* Clean units at the end are as good as the zeros behind it. */
static void draw_in_end(struct vhdx_space *s)
{
	while (s->clean_units != 0 && is_clean(s, s->end / VHDX_UNIT - 1)) {
		s->end -= VHDX_UNIT;
		clear_units(s, s->end / VHDX_UNIT, 1);
	}
}

static void set_units(struct vhdx_space *s, const struct vhdx_extent *x)
{
	uint64_t first = x->offset / VHDX_UNIT, count = x->bytes / VHDX_UNIT;

	if (!cover_units(s, first + count)) {
		return; /* it leaks until the next compaction */
	}
	for (uint64_t i = first; i < first + count; i++) {
		/* Freed twice: two blocks of the file claim it. */
		if (i >= s->end / VHDX_UNIT || is_clean(s, i)) {
			s->suspect = true;
			return;
		}
		s->clean[i / 64] |= BIT64(i % 64);
		s->clean_units++;
	}
	s->clean_from = min_u64(s->clean_from, first);
	s->failed_units = UINT64_MAX;
	draw_in_end(s);
}

/* The lowest run of @count clean units below @limit. */
static bool find_units(const struct vhdx_space *s, uint64_t count, uint64_t limit, uint64_t *ret)
{
	uint64_t run = 0, units = min_u64(limit, s->clean_words * 64);

	for (uint64_t i = align_down(s->clean_from, 64); i < units; i++) {
		if (i % 64 == 0 && s->clean[i / 64] == 0) {
			run = 0;
			i += 63;
			continue;
		}
		run = is_clean(s, i) ? run + 1 : 0;
		if (run == count) {
			*ret = i + 1 - count;
			return true;
		}
	}
	return false;
}

static bool take_clean(struct vhdx_space *s, uint64_t bytes, uint64_t limit, uint64_t *ret_offset)
{
	uint64_t count = bytes >> UNIT_SHIFT, unit;

	if (s->suspect || s->clean_units < count ||
	    (limit == UINT64_MAX && count >= s->failed_units)) {
		return false;
	}
	if (!find_units(s, count, limit >> UNIT_SHIFT, &unit)) {
		if (limit == UINT64_MAX) {
			s->failed_units = count;
		}
		return false;
	}
	clear_units(s, unit, count);
	if (count == 1) {
		s->clean_from = unit + 1; /* the lowest there was */
	}
	*ret_offset = unit << UNIT_SHIFT;
	return true;
}

/* ---- Allocation ---- */

static int grow_to(struct vhdx *v, uint64_t bytes)
{
	int rc = storage_file_set_size(v->layer.file, bytes);

	if (rc == 0) {
		v->space.file_bytes = bytes;
	}
	return rc;
}

static int take_end(struct vhdx *v, uint64_t bytes, uint64_t *ret_offset)
{
	struct vhdx_space *s = &v->space;
	uint64_t end = s->end + bytes;
	int rc = 0;

	if (end > VHDX_FILE_MAX) {
		return -EFBIG;
	}
	if (end > s->file_bytes) {
		rc = grow_to(v, end + GROW_STEP);
		if (rc != 0) {
			rc = grow_to(v, end);
		}
	}
	if (rc == 0) {
		*ret_offset = s->end;
		s->end = end;
	}
	return rc;
}

int vhdx_space_alloc(struct vhdx *v, uint64_t bytes, uint64_t limit, uint64_t *ret_offset)
{
	int rc = 0;

	CHECK(bytes != 0 && bytes % VHDX_UNIT == 0);
	if (!take_clean(&v->space, bytes, limit, ret_offset)) {
		rc = limit == UINT64_MAX ? take_end(v, bytes, ret_offset) : -ENOSPC;
	}
	if (rc == 0) {
		vhdx_used_mark(v, *ret_offset, bytes);
	}
	return rc;
}

/* ---- The way back ---- */

void vhdx_space_free(struct vhdx *v, uint64_t offset, uint64_t bytes, bool metadata)
{
	struct vhdx_space *s = &v->space;
	struct vhdx_freed *last = s->freed != NULL ? s->last_freed : NULL;
	/* The next snapshot has the change. */
	uint64_t cycle = v->commit.cycle + 1;

	vhdx_used_mark(v, offset, bytes);
	if (s->suspect) {
		return;
	}
	if (last != NULL && last->cycle == cycle && last->metadata == metadata &&
	    last->x.offset + last->x.bytes == offset) {
		last->x.bytes += bytes;
		last->epoch = v->flow.epoch;
		return;
	}

	struct vhdx_freed *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		return; /* it leaks until the next compaction */
	}
	f->x = (struct vhdx_extent){offset, bytes};
	f->cycle = cycle;
	f->epoch = v->flow.epoch;
	f->metadata = metadata;
	*s->freed_tail = f;
	s->freed_tail = &f->next;
	s->last_freed = f;
}

static bool may_punch(struct vhdx *v, const struct vhdx_freed *f)
{
	/* Entries live in the log until the one after the next is stable. */
	uint64_t cycle = f->cycle + (f->metadata ? 2 : 0);

	return cycle <= v->commit.durable && vhdx_epoch_passed(v, f->epoch);
}

static void punched(struct vhdx_io *io, int result)
{
	struct vhdx_freed *f = container_of(io, struct vhdx_freed, io);
	struct vhdx *v = io->v;
	struct vhdx_space *s = &v->space;

	s->punching--;
	if (f->metadata) {
		vhdx_pages_forget(v, &f->x);
	}
	if (result != 0) {
		free(f); /* not known to be zeros: it leaks until the next compaction */
	} else {
		f->flush = v->flush_started + 1;
		f->next = NULL;
		*s->punched_tail = f;
		s->punched_tail = &f->next;
	}
	vhdx_space_progress(v);
}

static void take_punched(struct vhdx *v)
{
	struct vhdx_space *s = &v->space;
	struct vhdx_freed *f;

	while ((f = s->punched) != NULL && f->flush <= v->flush_completed) {
		s->punched = f->next;
		if (s->punched == NULL) {
			s->punched_tail = &s->punched;
		}
		set_units(s, &f->x);
		free(f);
	}
}

void vhdx_space_progress(struct vhdx *v)
{
	struct vhdx_space *s = &v->space;
	struct vhdx_freed *f;

	take_punched(v);
	while ((f = s->freed) != NULL && v->error == 0 && s->punching < PUNCHING_MAX &&
	       may_punch(v, f)) {
		s->freed = f->next;
		if (s->freed == NULL) {
			s->freed_tail = &s->freed;
		}
		s->punching++;
		vhdx_io_zero(v, &f->io, f->x.offset, f->x.bytes, punched);
	}
}

/* What was freed up to @cycle is not clean yet. */
static bool unsettled(const struct vhdx_space *s, uint64_t cycle)
{
	return s->punching != 0 || (s->freed != NULL && s->freed->cycle <= cycle) ||
	       (s->punched != NULL && s->punched->cycle <= cycle);
}

int vhdx_space_settle(struct vhdx *v)
{
	struct vhdx_space *s = &v->space;
	/* The guest may go on freeing; that is for another time. */
	uint64_t cycle = v->commit.cycle + 1;

	while (v->error == 0 && unsettled(s, cycle)) {
		if (s->punching != 0) {
			vhdx_turn(v);
			continue;
		}
		/* Each cycle, also an empty one, brings something further. */
		int rc = vhdx_commit_sync(v);

		if (rc != 0) {
			return rc;
		}
		if (s->freed != NULL && s->freed->cycle + 2 <= v->commit.durable) {
			vhdx_epoch_wait(v, s->freed->epoch);
			vhdx_space_progress(v);
		}
	}
	return v->error;
}

int vhdx_space_cut(struct vhdx *v)
{
	struct vhdx_space *s = &v->space;

	if (s->end >= s->file_bytes) {
		return 0;
	}
	int rc = grow_to(v, s->end);

	s->durable_bytes = min_u64(s->durable_bytes, s->file_bytes);
	return rc;
}
