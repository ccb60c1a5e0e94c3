// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/bits.h"
#include "vhd_bits.h"
#include "vhd_image.h"

static bool read_file(struct vhd_op *op, uint64_t offset, uint64_t bytes)
{
	struct vhd_child *c = vhd_child_create(op, IO_READ, bytes, offset);

	if (c == NULL) {
		return false;
	}
	vhd_child_submit(c);
	return true;
}

/* What this file does not have: the parent's, zeros where there is none or where it ends. */
static bool read_parent(struct vhd_op *op, uint64_t bytes)
{
	struct vhd_layer *l = &op->v->layer;
	uint64_t offset = op->guest->offset + op->at, end;
	struct vhd_child *c;

	if (l->parent == NULL && l->parent_absent) {
		return vhd_op_fail(op, -ENODATA);
	}
	end = l->parent == NULL ? 0 : l->parent->block.info.bytes;
	if (offset >= end) {
		io_fill_zero(op->guest, (size_t)op->at, (size_t)bytes);
		op->at += bytes;
		return true;
	}
	c = vhd_child_create(op, IO_READ, min_u64(bytes, end - offset), offset);
	if (c == NULL) {
		return false;
	}
	vhd_child_submit_parent(c);
	return true;
}

/* Sectors of a differencing disk's block are here or in the parent: one run of either. */
static bool read_by_bitmap(struct vhd_op *op, uint64_t position, struct vhd_place place)
{
	struct vhd_image *v = op->v;
	struct vhd_page *page;
	uint32_t run;
	bool here;

	if (!vhd_bits_page(op, position, place, &page)) {
		return false;
	}
	here = vhd_bits_run(page, place.bit, place.bits, &run);
	if (here) {
		return read_file(op, position + v->bitmap_bytes + place.offset,
				 (uint64_t)run * VHD_SECTOR_BYTES);
	}
	return read_parent(op, (uint64_t)run * VHD_SECTOR_BYTES);
}

bool vhd_read_step(struct vhd_op *op)
{
	struct vhd_image *v = op->v;
	struct vhd_place place = vhd_place_of(op);
	struct vhd_page *page;
	uint64_t position;
	uint32_t entry;

	if (!vhd_bat_get(op, place.block, &entry, &page)) {
		return false;
	}
	if (entry == VHD_BAT_UNUSED) {
		uint64_t run = vhd_bat_unused_run(v, page, place.block);

		return read_parent(op, vhd_place_run(op, place, run));
	}
	position = vhd_bat_position(v, entry);
	if (position == 0) {
		return vhd_op_fail(op, -ENODATA);
	}
	if (v->differencing) {
		return read_by_bitmap(op, position, place);
	}
	return read_file(op, position + v->bitmap_bytes + place.offset,
			 vhd_place_run(op, place, 1));
}
