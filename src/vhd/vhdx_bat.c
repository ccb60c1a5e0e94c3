// SPDX-License-Identifier: Apache-2.0
/* The block allocation table. Spec: MS-VHDX 2.5. */
#include <errno.h>

#include "vhdx.h"

static bool apart(const struct vhdx_extent *a, uint64_t offset, uint64_t bytes)
{
	return offset + bytes <= a->offset || a->offset + a->bytes <= offset;
}

/* May a block lie there? Whether another one does is for vhd_check to find out. */
static bool place_possible(const struct vhdx *v, uint64_t offset, uint64_t bytes)
{
	return offset >= VHDX_UNIT && range_within(offset, bytes, v->space.file_bytes) &&
	       apart(&v->layout.log, offset, bytes) && apart(&v->layout.bat, offset, bytes) &&
	       apart(&v->layout.metadata, offset, bytes);
}

static bool present(enum vhdx_state state)
{
	return state == VHDX_FULLY_PRESENT || state == VHDX_PARTIALLY_PRESENT;
}

int vhdx_entry_decode(const struct vhdx *v, uint64_t entry, bool bitmap, struct vhdx_place *ret)
{
	enum vhdx_state state = VHDX_ENTRY_STATE(entry);
	uint64_t offset = VHDX_ENTRY_OFFSET(entry);

	if (state == 4 || (bitmap && state != VHDX_NOT_PRESENT && !present(state))) {
		return -ENODATA;
	}
	/* Interop: as other implementations read what should not be there. */
	if (state == VHDX_PARTIALLY_PRESENT && (bitmap || !v->shape.has_parent)) {
		state = VHDX_FULLY_PRESENT;
	} else if (state == VHDX_UNMAPPED_OLD) {
		state = VHDX_UNMAPPED;
	}
	if (!present(state)) {
		offset = 0;
	} else if (!place_possible(v, offset, bitmap ? VHDX_BITMAP_BYTES : v->shape.block_bytes)) {
		return -ENODATA;
	}
	*ret = (struct vhdx_place){state, offset};
	return 0;
}

static int get(struct vhdx *v, uint64_t index, bool bitmap, struct vhdx_waiter *w,
	       struct vhdx_place *ret, struct vhdx_page **ret_page)
{
	struct vhdx_page *p;
	int rc = vhdx_page_get(v, vhdx_entry_page(v, index), w, &p);

	if (rc != 0) {
		return rc;
	}
	if (ret_page != NULL) {
		*ret_page = p;
	}
	return vhdx_entry_decode(v, load_le64(p->data + index % VHDX_ENTRIES_PER_PAGE * 8), bitmap,
				 ret);
}

int vhdx_bat_get(struct vhdx *v, uint64_t block, struct vhdx_waiter *w, struct vhdx_place *ret,
		 struct vhdx_page **ret_page)
{
	return get(v, vhdx_payload_index(&v->shape, block), false, w, ret, ret_page);
}

int vhdx_bat_get_bitmap(struct vhdx *v, uint64_t chunk, struct vhdx_waiter *w,
			struct vhdx_place *ret, struct vhdx_page **ret_page)
{
	return get(v, vhdx_bitmap_index(&v->shape, chunk), true, w, ret, ret_page);
}

static void set(struct vhdx *v, uint64_t index, struct vhdx_page *page, uint64_t entry,
		uint64_t data_flush)
{
	CHECK(page->offset == vhdx_entry_page(v, index));
	vhdx_page_dirty(v, page, data_flush);
	store_le64(page->data + index % VHDX_ENTRIES_PER_PAGE * 8, entry);
}

void vhdx_bat_set(struct vhdx *v, uint64_t block, struct vhdx_page *page, enum vhdx_state state,
		  uint64_t offset, uint64_t data_flush)
{
	set(v, vhdx_payload_index(&v->shape, block), page, offset | state, data_flush);
}

void vhdx_bat_set_bitmap(struct vhdx *v, uint64_t chunk, struct vhdx_page *page,
			 enum vhdx_state state, uint64_t offset)
{
	set(v, vhdx_bitmap_index(&v->shape, chunk), page, offset | state, 0);
}

/* ---- Allocation ---- */

static int allocate_zeros(struct vhdx *v, uint64_t block, struct vhdx_page *page,
			  struct vhdx_waiter *w)
{
	uint64_t offset;

	if (!vhdx_commit_room(v, 1, w)) {
		return VHDX_WAIT;
	}
	int rc = vhdx_space_alloc(v, v->shape.block_bytes, UINT64_MAX, &offset);

	if (rc == 0) {
		vhdx_bat_set(v, block, page, VHDX_FULLY_PRESENT, offset, 0);
	}
	return rc;
}

static int allocate_bitmap(struct vhdx *v, uint64_t chunk, struct vhdx_page *page,
			   struct vhdx_waiter *w)
{
	uint64_t offset;

	if (!vhdx_commit_room(v, 1, w)) {
		return VHDX_WAIT;
	}
	int rc = vhdx_space_alloc(v, VHDX_BITMAP_BYTES, UINT64_MAX, &offset);

	if (rc == 0) {
		vhdx_bat_set_bitmap(v, chunk, page, VHDX_FULLY_PRESENT, offset);
	}
	return rc;
}

/* Where the parent shows through. The block's bits may be left over from an earlier life: they become clear in the same cycle. */
static int allocate_over_parent(struct vhdx *v, uint64_t block, struct vhdx_page *page,
				struct vhdx_waiter *w)
{
	uint64_t chunk = block >> v->shape.ratio_shift, offset;
	struct vhdx_page *bitmap_page;
	struct vhdx_place bitmap;
	unsigned pages;
	int rc = vhdx_bat_get_bitmap(v, chunk, w, &bitmap, &bitmap_page);

	if (rc == 0 && bitmap.state == VHDX_NOT_PRESENT) {
		rc = allocate_bitmap(v, chunk, bitmap_page, w);
		/* Its place is known only now; start over with it. */
		rc = rc != 0 ? rc : vhdx_bat_get_bitmap(v, chunk, w, &bitmap, &bitmap_page);
	}
	rc = rc != 0 ? rc : vhdx_bitmap_load(v, block, bitmap.offset, w, &pages);
	if (rc != 0) {
		return rc;
	}
	if (!vhdx_commit_room(v, 1 + pages, w)) {
		return VHDX_WAIT;
	}
	rc = vhdx_space_alloc(v, v->shape.block_bytes, UINT64_MAX, &offset);
	if (rc == 0) {
		vhdx_bitmap_clear(v, block, bitmap.offset);
		vhdx_bat_set(v, block, page, VHDX_PARTIALLY_PRESENT, offset, 0);
	}
	return rc;
}

int vhdx_block_allocate(struct vhdx *v, uint64_t block, struct vhdx_waiter *w)
{
	struct vhdx_place place;
	struct vhdx_page *page;
	int rc = vhdx_bat_get(v, block, w, &place, &page);

	if (rc != 0) {
		return rc;
	}
	CHECK(!present(place.state));
	return v->shape.has_parent && place.state == VHDX_NOT_PRESENT
		       ? allocate_over_parent(v, block, page, w)
		       : allocate_zeros(v, block, page, w);
}
