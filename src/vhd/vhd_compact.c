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
#include "vhd_compact.h"

#define ZERO_CHECK_BYTES (256u << 10)
#define PAGES_PER_STEP 64u /* of unused entries */

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

/* ---- Freeing ---- */

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
			*ret = err == 0 && vhd_is_zero(buf, (size_t)n);
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

	vhd_compact_progress(v->compaction, v->stride);
	if (err != 0 || !needless) {
		return err;
	}
	vhd_compact_progress(v->compaction, v->stride);
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
	case VHD_COMPACT_FREEING:
		for (unsigned i = 0; rc == 0 && i < PAGES_PER_STEP && k->block < v->header.entries;
		     i++) {
			rc = free_next(v);
		}
		if (rc == 0 && k->block >= v->header.entries) {
			rc = vhd_compact_begin_moving(v);
		}
		return rc < 0 ? rc : 1;
	case VHD_COMPACT_MOVING:
		rc = vhd_compact_move_next(v);
		k->phase = rc == 0 ? VHD_COMPACT_CUTTING : VHD_COMPACT_MOVING;
		return rc < 0 ? rc : 1;
	case VHD_COMPACT_CUTTING:
		break;
	}
	rc = cut(v);
	k->done = k->total;
	return rc;
}

static const char *const phase_names[] = {
	[VHD_COMPACT_FREEING] = "looking for empty blocks",
	[VHD_COMPACT_MOVING] = "moving blocks",
	[VHD_COMPACT_CUTTING] = "cutting the file",
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
