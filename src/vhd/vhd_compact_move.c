// SPDX-License-Identifier: Apache-2.0
/* Compaction: which space is occupied, and blocks that move into what is not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vhd_compact.h"

#define SPACES_MAX (16u << 20)

/* ---- The map of what is occupied ---- */

static int add_space(struct vhd_compaction *k, uint64_t start_at, uint64_t end, uint64_t block)
{
	if (k->count == k->capacity) {
		size_t more = k->capacity == 0 ? 1024 : 2 * k->capacity;
		struct vhd_occupied *grown =
			more > SPACES_MAX ? NULL : realloc(k->spaces, more * sizeof(*grown));

		if (grown == NULL) {
			return -ENOMEM;
		}
		k->spaces = grown;
		k->capacity = more;
	}
	k->spaces[k->count++] =
		(struct vhd_occupied){.start = start_at, .end = end, .block = block};
	return 0;
}

static int add_block(void *ctx, uint64_t block, uint32_t entry)
{
	struct vhd_image *v = ctx;
	uint64_t position = vhd_bat_position(v, entry);

	return position == 0 ? -ENODATA
			     : add_space(v->compaction, position, position + v->stride, block);
}

/* The header and the locators, where they lie behind the table. */
static int add_extras(struct vhd_image *v)
{
	uint64_t at = v->footer.data_offset;
	int err = 0;

	if (at >= v->first_block) {
		err = add_space(v->compaction, at, at + VHD_HEADER_BYTES, UINT64_MAX);
	}
	for (size_t i = 0; err == 0 && i < VHD_LOCATORS; i++) {
		const struct vhd_locator_entry *e = &v->header.locators[i];
		uint64_t space =
			max_u64(vhd_locator_space(e->space), align_up(e->bytes, VHD_SECTOR_BYTES));

		if (e->code != 0 && e->offset >= v->first_block &&
		    range_within(e->offset, space, v->tail)) {
			err = add_space(v->compaction, align_down(e->offset, VHD_SECTOR_BYTES),
					align_up(e->offset + space, VHD_SECTOR_BYTES), UINT64_MAX);
		}
	}
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct vhd_occupied *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Space that was given up is a hole like any other from now on. */
static void forget_slots(struct vhd_image *v)
{
	while (v->slots != NULL) {
		struct vhd_alloc *a = v->slots;

		v->slots = a->next;
		free(a);
	}
}

int vhd_compact_begin_moving(struct vhd_image *v)
{
	struct vhd_compaction *k = v->compaction;
	/* The table must forget the freed blocks before anything else lies in their place. */
	int err = vhd_image_flush(v);

	forget_slots(v);
	err = err == 0 ? add_extras(v) : err;
	err = err == 0 ? vhd_bat_scan(v, add_block, v) : err;
	if (err != 0) {
		return err;
	}
	if (k->count != 0) {
		qsort(k->spaces, k->count, sizeof(*k->spaces), by_start);
	}
	k->top = k->count;
	k->low = v->first_block;
	k->phase = VHD_COMPACT_MOVING;
	return 0;
}

/* ---- Moving ---- */

/* The first place for a block at or above k->low. False: only behind everything. */
static bool find_hole(struct vhd_image *v, uint64_t *ret)
{
	struct vhd_compaction *k = v->compaction;

	while (k->next < k->count) {
		uint64_t aligned = vhd_align_block(v, k->low), limit = k->spaces[k->next].start;

		if (aligned + v->stride <= limit || k->low + v->stride <= limit) {
			*ret = aligned + v->stride <= limit ? aligned : k->low;
			return true;
		}
		k->low = max_u64(k->low, k->spaces[k->next].end);
		k->next++;
	}
	return false;
}

/* The last block that is still where it was. NULL: there is none above what is packed. */
static struct vhd_occupied *last_block(struct vhd_image *v, int *ret_err)
{
	struct vhd_compaction *k = v->compaction;

	for (; k->top > k->next; k->top--) {
		struct vhd_occupied *s = &k->spaces[k->top - 1];
		uint32_t entries[VHD_PAGE_ENTRIES];
		uint64_t first;

		if (s->block == UINT64_MAX) {
			continue;
		}
		first = align_down(s->block, VHD_PAGE_ENTRIES);
		*ret_err =
			vhd_bat_read(v, first, entries,
				     (size_t)min_u64(VHD_PAGE_ENTRIES, v->header.entries - first));
		if (*ret_err != 0) {
			return NULL;
		}
		if ((uint64_t)entries[s->block - first] * VHD_SECTOR_BYTES == s->start) {
			return s;
		}
	}
	return NULL;
}

static int move_block(struct vhd_image *v, struct vhd_occupied *s, uint64_t to)
{
	int err = vhd_block_copy(v, s->start, to);

	err = err == 0 ? vhd_image_flush(v) : err;
	if (err != 0) {
		return err;
	}
	vhd_page_drop(v, s->start, v->bitmap_bytes);
	v->compaction->top--;
	return vhd_bat_write(v, s->block, (uint32_t)(to / VHD_SECTOR_BYTES));
}

/* One block. 1: moved; 0: nothing is left to move. */
int vhd_compact_move_next(struct vhd_image *v)
{
	struct vhd_compaction *k = v->compaction;
	struct vhd_occupied *s;
	uint64_t to;
	int err = 0;

	if (!find_hole(v, &to)) {
		return 0;
	}
	s = last_block(v, &err);
	if (s == NULL || s->start < to) {
		return err;
	}
	err = move_block(v, s, to);
	k->low = to + v->stride;
	vhd_compact_progress(k, v->stride);
	return err == 0 ? 1 : err;
}
