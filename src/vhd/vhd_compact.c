// SPDX-License-Identifier: Apache-2.0
/*
 * Compaction, one block at a time, with guests held back only during a step:
 *
 *	freeing	blocks whose data is all zeros (differencing: that have no sector of their own) leave the table
 *	moving	the last block goes into the first hole, until there is none below the last block
 *	cutting	the footer goes behind the last block, and the file ends there
 *
 * Every step leaves a good file: a block is copied and flushed before the table names its new place, its old place is not used again
 * before the end, and the old footer holds until the file is cut.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vhd_bits.h"
#include "vhd_image.h"

#define ZERO_CHECK_BYTES (256u << 10)
#define PAGES_PER_STEP 64u /* of unused entries */
#define SPACES_MAX (16u << 20)

/* Something that occupies space, in file order. */
struct space {
	uint64_t start, end;
	uint64_t block; /* UINT64_MAX: not a block, stays */
};

enum phase {
	FREEING,
	MOVING,
	CUTTING,
};

struct vhd_compaction {
	enum phase phase;
	uint64_t block; /* FREEING: the next to look at */
	struct space *spaces;
	size_t count, capacity;
	size_t next;  /* the first that begins at or above @low */
	size_t top;   /* what is from here on has moved or stays */
	uint64_t low; /* there are no holes below */
	uint64_t done, total;
};

void vhd_compaction_destroy(struct vhd_image *v)
{
	if (v->compaction != NULL) {
		free(v->compaction->spaces);
		free(v->compaction);
		v->compaction = NULL;
	}
}

static int count_used(void *ctx, uint64_t block, uint32_t entry)
{
	(void)block;
	(void)entry;
	++*(uint64_t *)ctx;
	return 0;
}

static int start(struct vhd_image *v)
{
	struct vhd_compaction *k = calloc(1, sizeof(*k));
	uint64_t used = 0;
	int err = k == NULL ? -ENOMEM : vhd_bat_scan(v, count_used, &used);

	if (err != 0) {
		free(k);
		return err;
	}
	k->total = 2 * used * v->stride; /* each is looked at, and may move */
	v->compaction = k;
	return 0;
}

static void progress(struct vhd_compaction *k, uint64_t bytes)
{
	k->done = min_u64(k->total, k->done + bytes);
}

/* ---- Freeing ---- */

static bool is_zero(const uint8_t *buf, size_t bytes)
{
	return buf[0] == 0 && memcmp(buf, buf + 1, bytes - 1) == 0;
}

static int range_is_zero(struct storage_file *f, uint64_t offset, uint64_t bytes, uint8_t *buf,
			 bool *ret)
{
	*ret = true;
	while (bytes != 0 && *ret) {
		enum storage_extent what;
		uint64_t n;
		int err = f->ops->extent(f, offset, &what, &n);

		if (err != 0) {
			return err;
		}
		n = min_u64(n, bytes);
		if (what == STORAGE_DATA) {
			n = min_u64(n, ZERO_CHECK_BYTES);
			err = storage_file_read(f, offset, buf, (size_t)n);
			*ret = err == 0 && is_zero(buf, (size_t)n);
		}
		if (err != 0) {
			return err;
		}
		offset += n;
		bytes -= n;
	}
	return 0;
}

/* A dynamic disk needs no block of zeros, a differencing one no block without sectors. */
static int is_needless(struct vhd_image *v, uint64_t position, bool *ret)
{
	uint8_t *buf = malloc(ZERO_CHECK_BYTES);
	uint64_t offset = v->differencing ? position : position + v->bitmap_bytes;
	uint64_t bytes = v->differencing ? v->bitmap_bytes : v->block_bytes;
	int err = buf == NULL ? -ENOMEM : range_is_zero(v->layer.file, offset, bytes, buf, ret);

	free(buf);
	return err;
}

static int free_if_needless(struct vhd_image *v, uint64_t block, uint32_t entry)
{
	uint64_t position = vhd_bat_position(v, entry);
	bool needless = false;
	int err = position == 0 ? -ENODATA : is_needless(v, position, &needless);

	progress(v->compaction, v->stride);
	if (err != 0 || !needless) {
		return err;
	}
	progress(v->compaction, v->stride);
	vhd_page_drop(v, position, v->bitmap_bytes);
	return vhd_bat_write(v, block, VHD_BAT_UNUSED);
}

/* Looks at the next used block. 1: there was one; 0: not in this stretch. */
static int free_next(struct vhd_image *v)
{
	struct vhd_compaction *k = v->compaction;
	uint32_t entries[VHD_PAGE_ENTRIES];
	uint64_t first = align_down(k->block, VHD_PAGE_ENTRIES);
	size_t count = (size_t)min_u64(VHD_PAGE_ENTRIES, v->header.entries - first);
	int err = vhd_bat_read(v, first, entries, count);

	while (err == 0 && k->block < first + count) {
		uint32_t entry = entries[k->block - first];

		k->block++;
		if (entry != VHD_BAT_UNUSED) {
			err = free_if_needless(v, k->block - 1, entry);
			return err == 0 ? 1 : err;
		}
	}
	return err;
}

/* ---- The map of what is occupied ---- */

static int add_space(struct vhd_compaction *k, uint64_t start_at, uint64_t end, uint64_t block)
{
	if (k->count == k->capacity) {
		size_t more = k->capacity == 0 ? 1024 : 2 * k->capacity;
		struct space *grown =
			more > SPACES_MAX ? NULL : realloc(k->spaces, more * sizeof(*grown));

		if (grown == NULL) {
			return -ENOMEM;
		}
		k->spaces = grown;
		k->capacity = more;
	}
	k->spaces[k->count++] = (struct space){.start = start_at, .end = end, .block = block};
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
	const struct space *x = a, *y = b;

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

static int begin_moving(struct vhd_image *v)
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
	k->phase = MOVING;
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
static struct space *last_block(struct vhd_image *v, int *ret_err)
{
	struct vhd_compaction *k = v->compaction;

	for (; k->top > k->next; k->top--) {
		struct space *s = &k->spaces[k->top - 1];
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

static int move_block(struct vhd_image *v, struct space *s, uint64_t to)
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
static int move_next(struct vhd_image *v)
{
	struct vhd_compaction *k = v->compaction;
	struct space *s;
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
	progress(k, v->stride);
	return err == 0 ? 1 : err;
}

/* ---- Cutting ---- */

static int find_end(void *ctx, uint64_t block, uint32_t entry)
{
	uint64_t *end = ctx;

	(void)block;
	*end = max_u64(*end, (uint64_t)entry * VHD_SECTOR_BYTES);
	return 0;
}

static int cut(struct vhd_image *v)
{
	struct storage_file *f = v->layer.file;
	uint64_t last = 0, end = vhd_image_extras_end(v), file_bytes;
	int err = vhd_image_flush(v);

	err = err == 0 ? vhd_bat_scan(v, find_end, &last) : err;
	err = err == 0 ? storage_file_get_size(f, &file_bytes) : err;
	if (err != 0) {
		return err;
	}
	end = last == 0 ? end : max_u64(end, last + v->stride);
	if (end + VHD_FOOTER_BYTES >= file_bytes) {
		return 0;
	}
	err = vhd_footer_write(v, &v->footer, end);
	err = err == 0 ? storage_file_set_size(f, end + VHD_FOOTER_BYTES) : err;
	err = err == 0 ? vhd_image_flush(v) : err;
	if (err == 0) {
		v->tail = end;
		v->tail_excess = false;
	}
	return err;
}

/* ---- Steps ---- */

/* 1: more to do; 0: this was all. */
static int step_held(struct vhd_image *v)
{
	struct vhd_compaction *k = v->compaction;
	int rc = 0;

	switch (k->phase) {
	case FREEING:
		for (unsigned i = 0; rc == 0 && i < PAGES_PER_STEP && k->block < v->header.entries;
		     i++) {
			rc = free_next(v);
		}
		if (rc == 0 && k->block >= v->header.entries) {
			rc = begin_moving(v);
		}
		return rc < 0 ? rc : 1;
	case MOVING:
		rc = move_next(v);
		k->phase = rc == 0 ? CUTTING : MOVING;
		return rc < 0 ? rc : 1;
	case CUTTING:
		break;
	}
	rc = cut(v);
	k->done = k->total;
	return rc;
}

static const char *const phase_names[] = {
	[FREEING] = "looking for empty blocks",
	[MOVING] = "moving blocks",
	[CUTTING] = "cutting the file",
};

static int step(struct vhd_image *v, struct vhd_progress *ret_progress)
{
	int rc = v->compaction == NULL ? start(v) : 0;

	if (rc != 0) {
		return rc;
	}
	rc = step_held(v);
	*ret_progress = (struct vhd_progress){
		.done_bytes = v->compaction->done,
		.total_bytes = v->compaction->total,
		.phase = phase_names[v->compaction->phase],
	};
	if (rc <= 0) {
		vhd_compaction_destroy(v);
	}
	return rc;
}

int vhd_vhd_compact_step(struct vhd_layer *l, struct vhd_progress *ret_progress,
			 struct vhd_error *error)
{
	struct vhd_image *v = vhd_image_of(l);
	int rc;

	if (v->footer.saved_state != 0) {
		return vhd_fail(
			error, VHD_NOT_POSSIBLE,
			"%s: belongs to a saved virtual machine; start or discard that first",
			l->file->name);
	}
	if (l->block.info.read_only) {
		return vhd_fail_errno(error, -EROFS, l->file->name, "cannot compact");
	}
	rc = vhd_hold(v);
	rc = rc == 0 ? step(v, ret_progress) : rc;
	vhd_release(v);
	return rc < 0 ? vhd_fail_errno(error, rc, l->file->name, "cannot compact") : rc;
}
