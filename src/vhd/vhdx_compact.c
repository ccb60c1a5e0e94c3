// SPDX-License-Identifier: Apache-2.0
/*
 * Compaction, a block at a time, beside the guest's requests. First blocks that hold nothing are given up, then gaps left by earlier opens are
 * found, then blocks at the end of the file move into the lowest gaps, then the file is cut. Nothing here is promised before a commit, and
 * nothing old is overwritten before the commit is durable: see vhdx.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx_compact.h"

/* Blocks moved before the BAT is looked through again. */
#define CANDIDATES_MAX 65536u
/* Entries without a block that are passed over in one step. */
#define SKIP_MAX 65536u

void vhdx_compact_end(struct vhdx *v)
{
	if (v->compact != NULL) {
		free(v->compact->candidates);
		free(v->compact->buffer);
		free(v->compact);
		v->compact = NULL;
	}
}

static int compact_begin(struct vhdx *v)
{
	struct vhdx_compact *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		return -ENOMEM;
	}
	v->compact = c;
	c->candidates = calloc(CANDIDATES_MAX, sizeof(*c->candidates));
	c->buffer = aligned_alloc(VHDX_PAGE, VHDX_COMPACT_CHUNK);
	if (c->candidates == NULL || c->buffer == NULL) {
		vhdx_compact_end(v);
		return -ENOMEM;
	}
	return vhdx_session_start_sync(v, VHDX_CHANGE_FILE);
}

/* ---- The phases: each returns 1: go on, 0: the phase is over, -errno ---- */

static int step_emptying(struct vhdx *v)
{
	struct vhdx_compact *c = v->compact;
	uint64_t blocks = vhdx_blocks(&v->shape, v->shape.disk_bytes);

	for (unsigned skipped = 0; c->block < blocks && skipped < SKIP_MAX; skipped++) {
		uint64_t block = c->block++;
		struct vhdx_place p;
		struct vhdx_page *page;
		int rc = vhdx_compact_place(v, vhdx_payload_index(&v->shape, block), &p, &page);

		if (rc == -ENODATA) {
			continue; /* not ours to mend */
		}
		if (rc != 0) {
			return rc;
		}
		if (p.offset == 0) {
			continue;
		}
		/* First without holding the guest up. */
		rc = vhdx_compact_is_empty(v, block, &p);
		if (rc == 1) {
			vhdx_freeze(v, block);
			rc = vhdx_compact_empty(v, block);
			vhdx_thaw(v);
		}
		return rc < 0 ? rc : 1;
	}
	return c->block < blocks;
}

static int step_finding(struct vhdx *v)
{
	struct vhdx_contradiction found;
	int rc = vhdx_space_settle(v);

	rc = rc != 0 ? rc : vhdx_gaps_find(v, false, &found);
	return rc != 0 ? rc : vhdx_space_settle(v);
}

/* ---- Choosing: the blocks that lie highest ---- */

static void heap_down(struct vhdx_candidate *h, unsigned count, unsigned i)
{
	for (;;) {
		unsigned least = i, left = 2 * i + 1, right = left + 1;

		least = left < count && h[left].offset < h[least].offset ? left : least;
		least = right < count && h[right].offset < h[least].offset ? right : least;
		if (least == i) {
			return;
		}
		struct vhdx_candidate t = h[i];

		h[i] = h[least];
		h[least] = t;
		i = least;
	}
}

static int choose(void *ctx, uint64_t index, uint64_t entry)
{
	struct vhdx *v = ctx;
	struct vhdx_compact *c = v->compact;
	struct vhdx_place p;
	uint64_t number;
	bool bitmap = vhdx_entry_is_bitmap(&v->shape, index, &number);

	if ((bitmap && !v->shape.has_parent) || vhdx_entry_decode(v, entry, bitmap, &p) != 0 ||
	    p.offset == 0) {
		return 0;
	}
	if (c->count < CANDIDATES_MAX) {
		/* Becomes a heap when it is full; until then any order does. */
		c->candidates[c->count++] = (struct vhdx_candidate){p.offset, index};
		for (unsigned i = CANDIDATES_MAX / 2; c->count == CANDIDATES_MAX && i-- > 0;) {
			heap_down(c->candidates, c->count, i);
		}
	} else if (p.offset > c->candidates[0].offset) {
		c->candidates[0] = (struct vhdx_candidate){p.offset, index};
		heap_down(c->candidates, c->count, 0);
	}
	return 0;
}

static int by_offset_down(const void *a, const void *b)
{
	const struct vhdx_candidate *x = a, *y = b;

	return x->offset > y->offset ? -1 : x->offset < y->offset;
}

static int step_choosing(struct vhdx *v)
{
	struct vhdx_compact *c = v->compact;
	int rc;

	c->count = c->next = 0;
	c->moved = 0;
	rc = vhdx_scan(v, choose, v);
	qsort(c->candidates, c->count, sizeof(*c->candidates), by_offset_down);
	return rc;
}

/* ---- Moving ---- */

/* @to reads as zeros. */
static int copy(struct vhdx *v, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint64_t n;

	for (uint64_t at = 0; at < bytes; at += n) {
		if (vhdx_compact_hole_at(v, from + at, bytes - at, &n)) {
			continue;
		}
		n = min_u64(n, VHDX_COMPACT_CHUNK);

		int rc = storage_file_read(v->layer.file, from + at, v->compact->buffer, n);

		if (rc == 0 && !vhd_is_zero(v->compact->buffer, n)) {
			rc = storage_file_write(v->layer.file, to + at, v->compact->buffer, n);
		}
		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

/* Nobody writes to the block. @to is clean space. */
static int move_payload(struct vhdx *v, const struct vhdx_candidate *c, uint64_t to)
{
	struct vhdx_place p;
	struct vhdx_page *page;
	uint64_t block;
	int rc = copy(v, c->offset, to, v->shape.block_bytes);
	uint64_t data_flush = v->flush_started + 1;

	(void)vhdx_entry_is_bitmap(&v->shape, c->index, &block);
	rc = rc != 0 ? rc : vhdx_compact_prepare(v, c->index, &p, &page);
	if (rc == 0) {
		vhdx_bat_set(v, block, page, p.state, to, data_flush);
		vhdx_space_free(v, c->offset, v->shape.block_bytes, false);
	}
	return rc;
}

/* Nobody does anything, and no page is dirty or on its way. */
static int move_bitmap(struct vhdx *v, const struct vhdx_candidate *c, uint64_t to)
{
	struct vhdx_place p;
	struct vhdx_page *page;
	uint64_t chunk;
	int rc = copy(v, c->offset, to, VHDX_BITMAP_BYTES);

	(void)vhdx_entry_is_bitmap(&v->shape, c->index, &chunk);
	rc = rc != 0 ? rc : vhdx_flush_sync(v);
	rc = rc != 0 ? rc : vhdx_compact_prepare(v, c->index, &p, &page);
	if (rc == 0) {
		vhdx_bat_set_bitmap(v, chunk, page, VHDX_FULLY_PRESENT, to);
		vhdx_space_free(v, c->offset, VHDX_BITMAP_BYTES, true);
	}
	return rc;
}

/* It is still where it was when it was chosen. */
static int check_place(struct vhdx *v, const struct vhdx_candidate *c)
{
	struct vhdx_place p;
	struct vhdx_page *page;
	int rc = vhdx_compact_place(v, c->index, &p, &page);

	return rc != 0 ? rc : p.offset == c->offset;
}

/* 1: moved, 0: gone meanwhile, -ENOSPC: there is no gap below it, -errno. */
static int move(struct vhdx *v, const struct vhdx_candidate *c)
{
	uint64_t number, to;
	bool bitmap = vhdx_entry_is_bitmap(&v->shape, c->index, &number);
	uint64_t bytes = bitmap ? VHDX_BITMAP_BYTES : v->shape.block_bytes;
	int rc = check_place(v, c);

	if (rc != 1) {
		return rc;
	}
	rc = vhdx_space_alloc(v, bytes, c->offset, &to);
	if (rc != 0) {
		return rc;
	}
	rc = bitmap ? move_bitmap(v, c, to) : move_payload(v, c, to);
	if (rc != 0) {
		vhdx_space_free(v, to, bytes, false);
	}
	return rc == 0 ? 1 : rc;
}

static int move_quietly(struct vhdx *v, const struct vhdx_candidate *c)
{
	uint64_t number;
	int rc;

	if (!vhdx_entry_is_bitmap(&v->shape, c->index, &number)) {
		vhdx_freeze(v, number);
		rc = move(v, c);
		vhdx_thaw(v);
		return rc;
	}
	vhdx_gate_close(v);
	rc = vhdx_commit_sync(v);
	vhdx_commit_hold(v);
	vhdx_commit_release(v);
	rc = rc != 0 ? rc : move(v, c);
	vhdx_gate_open(v);
	return rc;
}

static int step_moving(struct vhdx *v)
{
	struct vhdx_compact *c = v->compact;

	if (c->next == c->count) {
		return 0;
	}
	const struct vhdx_candidate *k = &c->candidates[c->next++];
	int rc = move_quietly(v, k);

	if (rc == -ENOSPC) {
		/* Nor is there a gap for those of its size further down; smaller ones may find one. */
		return 1;
	}
	c->moved += rc == 1;
	return rc < 0 && rc != -ENODATA ? rc : 1;
}

/* ---- The end ---- */

static int step_cutting(struct vhdx *v)
{
	int rc = vhdx_space_settle(v);

	if (rc != 0 || v->space.end >= v->space.file_bytes) {
		return rc != 0 ? rc : vhdx_commit_sync(v);
	}
	vhdx_commit_hold(v);
	/* Entries name the length that the file had: they must not be looked at any more once it is shorter. */
	rc = vhdx_log_close(v);
	rc = rc != 0 ? rc : vhdx_space_cut(v);
	rc = rc != 0 ? rc : vhdx_flush_sync(v);
	vhdx_commit_release(v);
	return rc;
}

static int step(struct vhdx *v)
{
	struct vhdx_compact *c = v->compact;
	int rc = -EINVAL;

	switch (c->phase) {
	case EMPTYING:
		rc = step_emptying(v);
		c->phase = rc == 0 ? FINDING : EMPTYING;
		break;
	case FINDING:
		rc = step_finding(v);
		c->phase = CHOOSING;
		break;
	case CHOOSING:
		rc = step_choosing(v);
		c->phase = MOVING;
		break;
	case MOVING:
		rc = step_moving(v);
		if (rc == 0) {
			/* There may be more than could be chosen. */
			rc = vhdx_space_settle(v);
			c->phase = c->count == CANDIDATES_MAX && c->moved != 0 ? CHOOSING : CUTTING;
		}
		break;
	case CUTTING:
		rc = step_cutting(v);
		return rc;
	}
	return rc < 0 ? rc : 1;
}

static void report(const struct vhdx *v, struct vhd_progress *p)
{
	static const char *const names[] = {
		[EMPTYING] = "looking for empty blocks", [FINDING] = "looking for gaps",
		[CHOOSING] = "looking for gaps",	 [MOVING] = "moving blocks",
		[CUTTING] = "cutting the file",
	};
	const struct vhdx_compact *c = v->compact;
	uint64_t blocks = vhdx_blocks(&v->shape, v->shape.disk_bytes), file = v->space.file_bytes;

	p->phase = names[c->phase];
	p->total_bytes = 2 * file;
	/* Half of it for looking, half for moving. */
	p->done_bytes = c->phase == EMPTYING
				? (uint64_t)((double)file * (double)c->block / (double)blocks)
			: c->phase == MOVING && c->count != 0 ? file + file / c->count * c->next
							      : file;
}

int vhdx_compact_step(struct vhd_layer *l, struct vhd_progress *ret_progress,
		      struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	int rc = v->error;

	*ret_progress = (struct vhd_progress){.phase = ""};
	if (v->shape.leave_allocated) {
		*ret_progress = (struct vhd_progress){.phase = "nothing to do"};
		return 0; /* its blocks keep their places */
	}
	if (rc == 0 && v->compact == NULL) {
		rc = compact_begin(v);
	}
	rc = rc != 0 ? rc : step(v);
	if (v->compact != NULL) {
		report(v, ret_progress);
	}
	if (rc != 1) {
		vhdx_compact_end(v);
	}
	if (rc == 0) {
		ret_progress->done_bytes = ret_progress->total_bytes;
	}
	return rc >= 0 ? rc : vhd_fail_errno(error, rc, l->file->name, "compaction");
}
