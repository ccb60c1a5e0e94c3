// SPDX-License-Identifier: Apache-2.0
/* Compaction: blocks that hold nothing. */
#include <string.h>

#include "vhdx_compact.h"

/* ---- What a block holds ---- */

int vhdx_compact_place(struct vhdx *v, uint64_t index, struct vhdx_place *ret,
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

bool vhdx_compact_hole_at(struct vhdx *v, uint64_t at, uint64_t bytes, uint64_t *ret_bytes)
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

/* 1: nothing but zeros, 0: something else, -errno. */
static int range_is_zero(struct vhdx *v, uint64_t offset, uint64_t bytes)
{
	uint64_t n;

	for (uint64_t at = 0; at < bytes; at += n) {
		if (vhdx_compact_hole_at(v, offset + at, bytes - at, &n)) {
			continue;
		}
		n = min_u64(n, VHDX_COMPACT_CHUNK);

		int rc = storage_file_read(v->layer.file, offset + at, v->compact->buffer, n);

		if (rc != 0) {
			return rc;
		}
		if (!vhd_is_zero(v->compact->buffer, n)) {
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

int vhdx_compact_is_empty(struct vhdx *v, uint64_t block, const struct vhdx_place *p)
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

int vhdx_compact_prepare(struct vhdx *v, uint64_t index, struct vhdx_place *ret,
			 struct vhdx_page **page)
{
	struct vhdx_sync s;
	int rc;

	do {
		rc = vhdx_compact_place(v, index, ret, page);
		if (rc == 0 && !vhdx_commit_room(v, 1, vhdx_sync_begin(&s))) {
			rc = VHDX_WAIT;
		}
	} while (rc == VHDX_WAIT && vhdx_sync_again(v, &s, &rc));
	return rc;
}

int vhdx_compact_empty(struct vhdx *v, uint64_t block)
{
	uint64_t index = vhdx_payload_index(&v->shape, block);
	struct vhdx_place p;
	struct vhdx_page *page;
	int rc = vhdx_compact_place(v, index, &p, &page);

	rc = rc != 0 ? rc : vhdx_compact_is_empty(v, block, &p);
	if (rc != 1) {
		return rc;
	}
	rc = vhdx_compact_prepare(v, index, &p, &page);
	if (rc == 0) {
		bool hides = v->shape.has_parent && p.state == VHDX_FULLY_PRESENT;

		vhdx_bat_set(v, block, page, hides ? VHDX_ZERO : VHDX_NOT_PRESENT, 0, 0);
		vhdx_space_free(v, p.offset, v->shape.block_bytes, false);
	}
	return rc;
}
