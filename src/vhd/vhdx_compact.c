// SPDX-License-Identifier: Apache-2.0
/*
 * Compaction, a block at a time, beside the guest's requests. First blocks that hold nothing are given up, then gaps left by earlier opens are
 * found, then blocks at the end of the file move into the lowest gaps, then the file is cut. Nothing here is promised before a commit, and
 * nothing old is overwritten before the commit is durable: see vhdx.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx.h"

#define CHUNK (1024 * 1024u)
/* Blocks moved before the BAT is looked through again. */
#define CANDIDATES_MAX 65536u
/* Entries without a block that are passed over in one step. */
#define SKIP_MAX 65536u

struct candidate {
	uint64_t offset;
	uint64_t index; /* in the BAT */
};

struct vhdx_compact {
	enum { EMPTYING, FINDING, CHOOSING, MOVING, CUTTING } phase;
	uint64_t block;		      /* EMPTYING: the next */
	struct candidate *candidates; /* a heap, lowest first; while moving sorted, highest first */
	unsigned count, next;
	uint64_t moved; /* in this round */
	uint8_t *buffer;
};

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
	c->buffer = aligned_alloc(VHDX_PAGE, CHUNK);
	if (c->candidates == NULL || c->buffer == NULL) {
		vhdx_compact_end(v);
		return -ENOMEM;
	}
	return vhdx_session_start_sync(v, VHDX_CHANGE_FILE);
}

/* ---- What a block holds ---- */

static int place_of(struct vhdx *v, uint64_t index, struct vhdx_place *ret,
		    struct vhdx_page **ret_page)
{
	uint64_t number;
	bool bitmap = vhdx_entry_is_bitmap(&v->shape, index, &number);
	struct vhdx_sync s;
	int rc;

	do {
		struct vhdx_waiter *w = vhdx_sync_begin(&s);

		rc = bitmap ? vhdx_bat_get_bitmap(v, number, w, ret, ret_page)
			    : vhdx_bat_get(v, number, w, ret, ret_page);
	} while (vhdx_sync_again(v, &s, &rc));
	return rc;
}

/* The data at @at in the file, up to @bytes: how far it is a hole or not. */
static bool hole_at(struct vhdx *v, uint64_t at, uint64_t bytes, uint64_t *ret_bytes)
{
	struct storage_file *f = v->layer.file;
	enum storage_extent what;

	if (f->ops->extent(f, at, &what, ret_bytes) != 0 || *ret_bytes == 0) {
		*ret_bytes = bytes;
		return false;
	}
	*ret_bytes = min_u64(*ret_bytes, bytes);
	return what == STORAGE_HOLE;
}

static bool is_zero(const uint8_t *p, size_t bytes)
{
	return p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0;
}

/* 1: nothing but zeros, 0: something else, -errno. */
static int range_is_zero(struct vhdx *v, uint64_t offset, uint64_t bytes)
{
	uint64_t n;

	for (uint64_t at = 0; at < bytes; at += n) {
		if (hole_at(v, offset + at, bytes - at, &n)) {
			continue;
		}
		n = min_u64(n, CHUNK);

		int rc = storage_file_read(v->layer.file, offset + at, v->compact->buffer, n);

		if (rc != 0) {
			return rc;
		}
		if (!is_zero(v->compact->buffer, n)) {
			return 0;
		}
	}
	return 1;
}

/* 1: none of the block's sectors is here. */
static int partial_is_empty(struct vhdx *v, uint64_t block)
{
	const struct vhdx_sectors all = {.block = block,
					 .count = v->shape.block_bytes >> v->shape.sector_shift};
	struct vhdx_sync s;
	uint64_t count;
	bool here;
	int rc;

	do {
		rc = vhdx_bitmap_run(v, &all, vhdx_sync_begin(&s), &here, &count);
	} while (vhdx_sync_again(v, &s, &rc));
	return rc != 0 ? rc : !here && count == all.count;
}

static int block_is_empty(struct vhdx *v, uint64_t block, const struct vhdx_place *p)
{
	switch (p->state) {
	case VHDX_FULLY_PRESENT:
		return range_is_zero(v, p->offset, v->shape.block_bytes);
	case VHDX_PARTIALLY_PRESENT:
		return partial_is_empty(v, block);
	case VHDX_NOT_PRESENT:
	case VHDX_UNDEFINED:
	case VHDX_ZERO:
	case VHDX_UNMAPPED:
	case VHDX_UNMAPPED_OLD:
		break;
	}
	return 0;
}

/* ---- Changing an entry ---- */

/* Like place_of, with room for one dirty page. */
static int prepare(struct vhdx *v, uint64_t index, struct vhdx_place *ret, struct vhdx_page **page)
{
	struct vhdx_sync s;
	int rc;

	do {
		rc = place_of(v, index, ret, page);
		if (rc == 0 && !vhdx_commit_room(v, 1, vhdx_sync_begin(&s))) {
			rc = VHDX_WAIT;
		}
	} while (rc == VHDX_WAIT && vhdx_sync_again(v, &s, &rc));
	return rc;
}

/* Nobody writes to the block any more. */
static int empty_frozen(struct vhdx *v, uint64_t block)
{
	uint64_t index = vhdx_payload_index(&v->shape, block);
	struct vhdx_place p;
	struct vhdx_page *page;
	int rc = place_of(v, index, &p, &page);

	rc = rc != 0 ? rc : block_is_empty(v, block, &p);
	if (rc != 1) {
		return rc;
	}
	rc = prepare(v, index, &p, &page);
	if (rc == 0) {
		bool hides = v->shape.has_parent && p.state == VHDX_FULLY_PRESENT;

		vhdx_bat_set(v, block, page, hides ? VHDX_ZERO : VHDX_NOT_PRESENT, 0, 0);
		vhdx_space_free(v, p.offset, v->shape.block_bytes, false);
	}
	return rc;
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
		int rc = place_of(v, vhdx_payload_index(&v->shape, block), &p, &page);

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
		rc = block_is_empty(v, block, &p);
		if (rc == 1) {
			vhdx_freeze(v, block);
			rc = empty_frozen(v, block);
			vhdx_thaw(v);
		}
		return rc < 0 ? rc : 1;
	}
	return c->block < blocks;
}

static int step_finding(struct vhdx *v)
{
	int rc = vhdx_space_settle(v);

	rc = rc != 0 ? rc : vhdx_gaps_find(v, false);
	return rc != 0 ? rc : vhdx_space_settle(v);
}

/* ---- Choosing: the blocks that lie highest ---- */

static void heap_down(struct candidate *h, unsigned count, unsigned i)
{
	for (;;) {
		unsigned least = i, left = 2 * i + 1, right = left + 1;

		least = left < count && h[left].offset < h[least].offset ? left : least;
		least = right < count && h[right].offset < h[least].offset ? right : least;
		if (least == i) {
			return;
		}
		struct candidate t = h[i];

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
		c->candidates[c->count++] = (struct candidate){p.offset, index};
		for (unsigned i = CANDIDATES_MAX / 2; c->count == CANDIDATES_MAX && i-- > 0;) {
			heap_down(c->candidates, c->count, i);
		}
	} else if (p.offset > c->candidates[0].offset) {
		c->candidates[0] = (struct candidate){p.offset, index};
		heap_down(c->candidates, c->count, 0);
	}
	return 0;
}

static int by_offset_down(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

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
		if (hole_at(v, from + at, bytes - at, &n)) {
			continue;
		}
		n = min_u64(n, CHUNK);

		int rc = storage_file_read(v->layer.file, from + at, v->compact->buffer, n);

		if (rc == 0 && !is_zero(v->compact->buffer, n)) {
			rc = storage_file_write(v->layer.file, to + at, v->compact->buffer, n);
		}
		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

/* Nobody writes to the block. @to is clean space. */
static int move_payload(struct vhdx *v, const struct candidate *c, uint64_t to)
{
	struct vhdx_place p;
	struct vhdx_page *page;
	uint64_t block;
	int rc = copy(v, c->offset, to, v->shape.block_bytes);
	uint64_t data_flush = v->flush_started + 1;

	(void)vhdx_entry_is_bitmap(&v->shape, c->index, &block);
	rc = rc != 0 ? rc : prepare(v, c->index, &p, &page);
	if (rc == 0) {
		vhdx_bat_set(v, block, page, p.state, to, data_flush);
		vhdx_space_free(v, c->offset, v->shape.block_bytes, false);
	}
	return rc;
}

/* Nobody does anything, and no page is dirty or on its way. */
static int move_bitmap(struct vhdx *v, const struct candidate *c, uint64_t to)
{
	struct vhdx_place p;
	struct vhdx_page *page;
	uint64_t chunk;
	int rc = copy(v, c->offset, to, VHDX_BITMAP_BYTES);

	(void)vhdx_entry_is_bitmap(&v->shape, c->index, &chunk);
	rc = rc != 0 ? rc : vhdx_flush_sync(v);
	rc = rc != 0 ? rc : prepare(v, c->index, &p, &page);
	if (rc == 0) {
		vhdx_bat_set_bitmap(v, chunk, page, VHDX_FULLY_PRESENT, to);
		vhdx_space_free(v, c->offset, VHDX_BITMAP_BYTES, true);
	}
	return rc;
}

/* It is still where it was when it was chosen. */
static int check_place(struct vhdx *v, const struct candidate *c)
{
	struct vhdx_place p;
	struct vhdx_page *page;
	int rc = place_of(v, c->index, &p, &page);

	return rc != 0 ? rc : p.offset == c->offset;
}

/* 1: moved, 0: gone meanwhile, -ENOSPC: there is no gap below it, -errno. */
static int move(struct vhdx *v, const struct candidate *c)
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

static int move_quietly(struct vhdx *v, const struct candidate *c)
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
	const struct candidate *k = &c->candidates[c->next++];
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
