// SPDX-License-Identifier: Apache-2.0
/*
 * IO_DISCARD and IO_ZERO. Whole blocks change their state and give their space back; parts are zeroed where they lie. What was discarded
 * reads as zeros. A part of a block that shows its parent is left alone by IO_DISCARD: to hide the parent would cost space.
 */
#include <errno.h>

#include "vhdx.h"

/* Zeroes the sectors in the file. */
static int zero_in_place(struct vhdx_op *op, const struct vhdx_sectors *s, uint64_t place,
			 bool marks, uint64_t *ret_bytes)
{
	unsigned shift = op->v->shape.sector_shift;
	struct vhdx_part *part = vhdx_part_create(op, s->count << shift);

	if (part == NULL) {
		return -ENOMEM;
	}
	if (op->guest->op == IO_DISCARD) {
		part->io.op = IO_ZERO;
		part->io.flags = IO_UNMAP;
	}
	if ((part->io.flags & IO_FUA) != 0) {
		part->io.flags &= ~IO_FUA;
		op->unsafe = true;
	}
	part->marks = marks;
	part->sectors = *s;
	part->place = place;
	vhdx_part_submit(part, place + (s->first << shift));
	*ret_bytes = s->count << shift;
	return 0;
}

/* Sectors that were the parent's and are zeros here already become ours. Nothing has to be written. */
static int mark_zero(struct vhdx_op *op, const struct vhdx_sectors *s, uint64_t place,
		     uint64_t *ret_bytes)
{
	int rc = vhdx_bitmap_mark(op->v, s, place, 0, &op->wait);

	if (rc == 0) {
		op->unsafe |= (op->guest->flags & IO_FUA) != 0;
		*ret_bytes = s->count << op->v->shape.sector_shift;
	}
	return rc;
}

/* The whole block becomes zeros by record. */
static int zero_block(struct vhdx_op *op, const struct vhdx_place *place, struct vhdx_page *page,
		      const struct vhdx_sectors *s, uint64_t *ret_bytes)
{
	struct vhdx *v = op->v;
	uint64_t bytes = s->count << v->shape.sector_shift;

	if (!vhdx_commit_room(v, 1, &op->wait)) {
		return VHDX_WAIT;
	}
	vhdx_bat_set(v, s->block, page, VHDX_ZERO, 0, 0);
	if (place->offset != 0) {
		vhdx_space_free(v, place->offset, v->shape.block_bytes, false);
	}
	op->unsafe |= (op->guest->flags & IO_FUA) != 0;
	*ret_bytes = bytes;
	return 0;
}

static int trim_partial(struct vhdx_op *op, const struct vhdx_sectors *s, uint64_t place,
			uint64_t *ret_bytes)
{
	struct vhdx_sectors run = *s;
	bool here;
	int rc = vhdx_bitmap_run(op->v, s, &op->wait, &here, &run.count);

	if (rc != 0) {
		return rc;
	}
	if (!here && op->guest->op == IO_DISCARD) {
		*ret_bytes = run.count << op->v->shape.sector_shift;
		return 0;
	}
	return zero_in_place(op, &run, place, !here, ret_bytes);
}

/* Nothing of the block is in the file. */
static int trim_absent(struct vhdx_op *op, const struct vhdx_place *place, struct vhdx_page *page,
		       const struct vhdx_sectors *s, bool whole, uint64_t *ret_bytes)
{
	struct vhdx *v = op->v;
	bool parent_shows = v->shape.has_parent && place->state == VHDX_NOT_PRESENT;

	if (parent_shows && whole) {
		return zero_block(op, place, page, s, ret_bytes);
	}
	if (parent_shows && op->guest->op == IO_ZERO) {
		int rc = vhdx_block_allocate(v, s->block, &op->wait);
		struct vhdx_place now;

		rc = rc != 0 ? rc : vhdx_bat_get(v, s->block, &op->wait, &now, NULL);
		return rc != 0 ? rc : mark_zero(op, s, now.offset, ret_bytes);
	}
	/* That it is absent may be news which the file does not have yet. */
	op->unsafe |= (op->guest->flags & IO_FUA) != 0 && (page->dirty || page->logged);
	*ret_bytes = s->count << v->shape.sector_shift;
	return 0;
}

/* The whole of the block, as far as the disk has it. A disk that grows zeroes what lies beyond its end. */
static bool covers_block(const struct vhdx *v, uint64_t block, uint64_t in_block, uint64_t bytes)
{
	uint64_t end = (block << v->shape.block_shift) + bytes;

	return in_block == 0 && (bytes == v->shape.block_bytes || end >= v->shape.disk_bytes);
}

int vhdx_trim_piece(struct vhdx_op *op, uint64_t *ret_bytes)
{
	struct vhdx *v = op->v;
	uint64_t offset = op->guest->offset + op->at;
	uint64_t in_block = offset & (v->shape.block_bytes - 1);
	uint64_t bytes = min_u64(op->guest->bytes - op->at, v->shape.block_bytes - in_block);
	struct vhdx_sectors s = {offset >> v->shape.block_shift, in_block >> v->shape.sector_shift,
				 bytes >> v->shape.sector_shift};
	bool whole = covers_block(v, s.block, in_block, bytes);
	bool may_free = op->guest->op == IO_DISCARD || (op->guest->flags & IO_UNMAP) != 0;
	struct vhdx_place place;
	struct vhdx_page *page;

	if (unlikely(s.block == v->flow.frozen)) {
		vhdx_wait_on(&v->flow.frozen_waiters, &op->wait);
		return VHDX_WAIT;
	}
	int rc = vhdx_bat_get(v, s.block, &op->wait, &place, &page);

	if (rc != 0) {
		return rc;
	}
	if (place.offset == 0) {
		return trim_absent(op, &place, page, &s, whole, ret_bytes);
	}
	if (whole && may_free && !v->shape.leave_allocated) {
		return zero_block(op, &place, page, &s, ret_bytes);
	}
	return place.state == VHDX_FULLY_PRESENT
		       ? zero_in_place(op, &s, place.offset, false, ret_bytes)
		       : trim_partial(op, &s, place.offset, ret_bytes);
}
