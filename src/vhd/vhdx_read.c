// SPDX-License-Identifier: Apache-2.0
/* Reading. */
#include <errno.h>

#include "vhdx.h"

static int read_zeros(struct vhdx_op *op, uint64_t bytes, uint64_t *ret_bytes)
{
	io_fill_zero(op->guest, (size_t)op->at, (size_t)bytes);
	*ret_bytes = bytes;
	return 0;
}

static int read_file(struct vhdx_op *op, uint64_t offset, uint64_t bytes, uint64_t *ret_bytes)
{
	struct vhdx_part *part = vhdx_part_create(op, bytes);

	if (part == NULL) {
		return -ENOMEM;
	}
	vhdx_part_submit(part, offset);
	*ret_bytes = bytes;
	return 0;
}

/* What is not here: the parent's, and zeros beyond its end. */
static int read_parent(struct vhdx_op *op, uint64_t bytes, uint64_t *ret_bytes)
{
	const struct vhdx *v = op->v;
	uint64_t offset = op->guest->offset + op->at;

	if (v->layer.parent == NULL) {
		return -ENODATA;
	}
	uint64_t end = v->layer.parent->block.info.bytes;

	if (offset >= end) {
		return read_zeros(op, bytes, ret_bytes);
	}
	bytes = min_u64(bytes, end - offset);

	struct vhdx_part *part = vhdx_part_create(op, bytes);

	if (part == NULL) {
		return -ENOMEM;
	}
	vhdx_part_submit_parent(part);
	*ret_bytes = bytes;
	return 0;
}

/* Sectors of a block that has some of its own. */
static int read_partial(struct vhdx_op *op, const struct vhdx_sectors *s, uint64_t place,
			uint64_t *ret_bytes)
{
	unsigned shift = op->v->shape.sector_shift;
	uint64_t count;
	bool here;
	int rc = vhdx_bitmap_run(op->v, s, &op->wait, &here, &count);

	if (rc != 0) {
		return rc;
	}
	return here ? read_file(op, place + (s->first << shift), count << shift, ret_bytes)
		    : read_parent(op, count << shift, ret_bytes);
}

/* Blocks are often neighbours in the file, too: how many bytes from @offset of the disk, at @place of the file, go in one piece. */
uint64_t vhdx_run_bytes(struct vhdx_op *op, uint64_t offset, uint64_t place)
{
	struct vhdx *v = op->v;
	uint64_t left = op->guest->bytes - op->at;
	uint64_t block = offset >> v->shape.block_shift;
	uint64_t run = v->shape.block_bytes - (offset & (v->shape.block_bytes - 1));

	while (run < left) {
		uint64_t index = vhdx_payload_index(&v->shape, ++block);
		const struct vhdx_page *p = vhdx_page_peek(v, vhdx_entry_page(v, index));
		struct vhdx_place next;

		if (p == NULL || block == v->flow.frozen ||
		    vhdx_entry_decode(v, load_le64(p->data + index % VHDX_ENTRIES_PER_PAGE * 8),
				      false, &next) != 0 ||
		    next.state != VHDX_FULLY_PRESENT || next.offset != place + run) {
			break;
		}
		run += v->shape.block_bytes;
	}
	return min_u64(run, left);
}

int vhdx_read_piece(struct vhdx_op *op, uint64_t *ret_bytes)
{
	struct vhdx *v = op->v;
	uint64_t offset = op->guest->offset + op->at;
	uint64_t in_block = offset & (v->shape.block_bytes - 1);
	uint64_t bytes = min_u64(op->guest->bytes - op->at, v->shape.block_bytes - in_block);
	struct vhdx_sectors s = {offset >> v->shape.block_shift, in_block >> v->shape.sector_shift,
				 bytes >> v->shape.sector_shift};
	struct vhdx_place place;
	int rc = vhdx_bat_get(v, s.block, &op->wait, &place, NULL);

	if (rc != 0) {
		return rc;
	}
	switch (place.state) {
	case VHDX_FULLY_PRESENT:
		place.offset += in_block;
		return read_file(op, place.offset, vhdx_run_bytes(op, offset, place.offset),
				 ret_bytes);
	case VHDX_PARTIALLY_PRESENT:
		return read_partial(op, &s, place.offset, ret_bytes);
	case VHDX_NOT_PRESENT:
		return v->shape.has_parent ? read_parent(op, bytes, ret_bytes)
					   : read_zeros(op, bytes, ret_bytes);
	case VHDX_UNDEFINED:
	case VHDX_ZERO:
	case VHDX_UNMAPPED:
	case VHDX_UNMAPPED_OLD:
		break;
	}
	return read_zeros(op, bytes, ret_bytes);
}
