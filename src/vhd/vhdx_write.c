// SPDX-License-Identifier: Apache-2.0
/* Writing. */
#include <errno.h>

#include "vhdx.h"

/* The block's metadata is on stable storage already, so that FUA of the data alone keeps the promise. */
static bool metadata_stable(const struct vhdx_page *page)
{
	return !page->dirty && !page->logged;
}

static int write_present(struct vhdx_op *op, uint64_t offset, uint64_t bytes, bool stable,
			 uint64_t *ret_bytes)
{
	struct vhdx_part *part = vhdx_part_create(op, bytes);

	if (part == NULL) {
		return -ENOMEM;
	}
	if ((part->io.flags & IO_FUA) != 0 && !stable) {
		part->io.flags &= ~IO_FUA;
		op->unsafe = true;
	}
	vhdx_part_submit(part, offset);
	*ret_bytes = bytes;
	return 0;
}

/* Into a block that has some sectors of its own: these are ours as soon as they are written. */
static int write_partial(struct vhdx_op *op, const struct vhdx_sectors *s, uint64_t place,
			 uint64_t *ret_bytes)
{
	unsigned shift = op->v->shape.sector_shift;
	uint64_t count;
	bool here;
	int rc = vhdx_bitmap_run(op->v, s, &op->wait, &here, &count);

	if (rc != 0) {
		return rc;
	}
	struct vhdx_part *part = vhdx_part_create(op, s->count << shift);

	if (part == NULL) {
		return -ENOMEM;
	}
	if ((part->io.flags & IO_FUA) != 0) {
		part->io.flags &= ~IO_FUA;
		op->unsafe = true;
	}
	part->marks = !here || count != s->count;
	part->sectors = *s;
	part->place = place;
	vhdx_part_submit(part, place + (s->first << shift));
	*ret_bytes = s->count << shift;
	return 0;
}

int vhdx_write_piece(struct vhdx_op *op, uint64_t *ret_bytes)
{
	struct vhdx *v = op->v;
	uint64_t offset = op->guest->offset + op->at;
	uint64_t in_block = offset & (v->shape.block_bytes - 1);
	uint64_t bytes = min_u64(op->guest->bytes - op->at, v->shape.block_bytes - in_block);
	struct vhdx_sectors s = {offset >> v->shape.block_shift, in_block >> v->shape.sector_shift,
				 bytes >> v->shape.sector_shift};
	struct vhdx_place place;
	struct vhdx_page *page;

	if (unlikely(s.block == v->flow.frozen)) {
		vhdx_wait_on(&v->flow.frozen_waiters, &op->wait);
		return VHDX_WAIT;
	}
	for (;;) {
		int rc = vhdx_bat_get(v, s.block, &op->wait, &place, &page);

		if (rc != 0) {
			return rc;
		}
		if (place.state == VHDX_FULLY_PRESENT) {
			break;
		}
		if (place.state == VHDX_PARTIALLY_PRESENT) {
			return write_partial(op, &s, place.offset, ret_bytes);
		}
		rc = vhdx_block_allocate(v, s.block, &op->wait);
		if (rc != 0) {
			return rc;
		}
	}
	place.offset += in_block;
	/* A run goes on into blocks that may be newer than this one. */
	return (op->guest->flags & IO_FUA) != 0
		       ? write_present(op, place.offset, bytes, metadata_stable(page), ret_bytes)
		       : write_present(op, place.offset, vhdx_run_bytes(op, offset, place.offset),
				       true, ret_bytes);
}
