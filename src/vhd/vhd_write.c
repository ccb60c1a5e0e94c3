// SPDX-License-Identifier: Apache-2.0
/* Writes, zeros and discards. A block that exists takes data at once, its bits are set when the data is there. */
#include <errno.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_bits.h"
#include "vhd_image.h"

/* The data of [op->at, op->at + bytes) reads as zeros. */
static bool zero_file(struct vhd_op *op, uint64_t offset, uint64_t bytes)
{
	struct vhd_child *c = vhd_child_create(op, IO_ZERO, bytes, offset);

	if (c == NULL) {
		return false;
	}
	c->r.flags |= op->guest->op == IO_DISCARD ? IO_UNMAP : 0;
	vhd_child_submit(c);
	return true;
}

/* Frees what is here; what is the parent's stays as it is. */
static bool discard_by_bitmap(struct vhd_op *op, const struct vhd_page *page, uint64_t data,
			      struct vhd_place place)
{
	uint32_t run;

	if (vhd_bits_run(page, place.bit, place.bits, &run)) {
		return zero_file(op, data, (uint64_t)run * VHD_SECTOR_BYTES);
	}
	op->at += (uint64_t)run * VHD_SECTOR_BYTES;
	return true;
}

static bool write_present(struct vhd_op *op, struct vhd_page *page, uint64_t data,
			  struct vhd_place place)
{
	struct vhd_child *c;
	uint32_t run;
	bool all = vhd_bits_run(page, place.bit, place.bits, &run) && run == place.bits;

	if (!all && vhd_too_many_dirty(op)) {
		return false;
	}
	if (!all && !vhd_page_prepare(page)) {
		return vhd_op_fail(op, -ENOMEM);
	}
	c = vhd_child_create(op, op->guest->op, (uint64_t)place.bits * VHD_SECTOR_BYTES, data);
	if (c == NULL) {
		return false;
	}
	if (!all) {
		vhd_page_pin(page);
		c->bitmap = page;
		c->bit = place.bit;
		c->bits = place.bits;
	}
	vhd_child_submit(c);
	return true;
}

static bool change_present(struct vhd_op *op, uint32_t entry, struct vhd_place place)
{
	struct vhd_image *v = op->v;
	uint64_t position = vhd_bat_position(v, entry);
	uint64_t data = position + v->bitmap_bytes + place.offset;
	struct vhd_page *page;

	if (position == 0) {
		return vhd_op_fail(op, -ENODATA);
	}
	if (!v->differencing && op->guest->op != IO_WRITE) {
		return zero_file(op, data, vhd_place_run(op, place, 1));
	}
	if (!vhd_bits_page(op, position, place, &page)) {
		return false;
	}
	if (op->guest->op == IO_DISCARD) {
		return discard_by_bitmap(op, page, data, place);
	}
	return write_present(op, page, data, place);
}

/* True when a missing block already is what the request wants. */
static bool is_enough_missing(const struct vhd_op *op)
{
	return op->guest->op == IO_DISCARD || (op->guest->op == IO_ZERO && !op->v->differencing);
}

bool vhd_write_step(struct vhd_op *op)
{
	struct vhd_image *v = op->v;
	struct vhd_place place = vhd_place_of(op);
	struct vhd_page *bat;
	uint32_t entry;

	if (v->failed != 0) {
		return vhd_op_fail(op, -EROFS);
	}
	if (!vhd_bat_get(op, place.block, &entry, &bat)) {
		return false;
	}
	if (entry != VHD_BAT_UNUSED) {
		return change_present(op, entry, place);
	}
	if (is_enough_missing(op)) {
		op->at += vhd_place_run(op, place, vhd_bat_unused_run(v, bat, place.block));
		return true;
	}
	return vhd_allocate(op, bat, place);
}

void vhd_write_done(struct vhd_child *c, int result)
{
	if (c->alloc != NULL) {
		c->alloc->data_result = result;
		vhd_alloc_part_done(c->alloc);
		return;
	}
	if (result == 0) {
		vhd_set_bits(c);
	}
	vhd_page_unpin(c->bitmap);
	vhd_child_finish(c, result);
}
