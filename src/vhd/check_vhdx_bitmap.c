// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: the sector bitmaps of a differencing disk. Only those bits count that belong to partially present blocks. */
#include <inttypes.h>
#include <string.h>

#include "check_vhdx_bat.h"
#include "lib/bits.h"

/* One block's part of its chunk's bitmap: whole bytes, as a block has at least 256 sectors. */
struct part {
	uint64_t block;
	unsigned state;
	uint64_t at; /* in the file */
	uint8_t *bits;
	size_t bytes;
	size_t own; /* bits that belong to sectors of the disk */
};

static struct part part_of(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e,
			   uint64_t in_chunk)
{
	const struct vhdx_shape *s = &b->w->shape;
	uint64_t block = (e->number << s->ratio_shift) + in_chunk;
	size_t sectors = s->block_bytes / s->sector_bytes, bytes = sectors / 8;
	uint64_t left = s->disk_bytes - (block << s->block_shift);

	return (struct part){
		.block = block,
		.state = b->states[in_chunk],
		.at = e->offset + in_chunk * bytes,
		.bits = b->bits + in_chunk * bytes,
		.bytes = bytes,
		.own = (size_t)(min_u64(left, s->block_bytes) / s->sector_bytes),
	};
}

static bool any_bit(const uint8_t *bits, size_t first, size_t last)
{
	for (size_t i = first; i < last; i = i % 8 == 0 && last - i >= 8 ? i + 8 : i + 1) {
		if (i % 8 == 0 && last - i >= 8 ? bits[i / 8] != 0
						: (bits[i / 8] >> i % 8 & 1) != 0) {
			return true;
		}
	}
	return false;
}

/*
 * Bits that mean nothing now, but would if the block became partially present, or the disk larger, in the hands of a program that
 * relies on them being clear.
 */
static int check_stale(struct vhdx_bat_walk *b, const struct part *p)
{
	struct vhd_checker *c = b->w->c;
	size_t first = p->state == VHDX_PARTIALLY_PRESENT ? p->own : 0;
	bool repair = c->check->repair;
	int r = 0;

	if (!any_bit(p->bits, first, p->bytes * 8)) {
		return 0;
	}
	if (repair) {
		for (size_t i = first; i < p->bytes * 8; i++) {
			p->bits[i / 8] &= (uint8_t) ~(1u << i % 8);
		}
		r = vhd_check_write(c, p->at, p->bits, p->bytes, "sector bitmap");
	}
	if (r == 0 && (repair || vhd_flood_add(c, &b->stale, p->at))) {
		vhd_finding(c, VHD_FINDING_WARNING, p->at, repair ? VHD_REPAIRED : VHD_REPAIRABLE,
			    "sector bitmap of block %" PRIu64
			    ": bits are set that mean nothing (%s); repair clears them",
			    p->block,
			    first != 0 ? "behind the end of the disk"
				       : "the block is not in this file");
	}
	return r;
}

static int check_part(struct vhdx_bat_walk *b, const struct part *p)
{
	if (p->state == VHDX_PARTIALLY_PRESENT && !any_bit(p->bits, 0, p->own) &&
	    vhd_flood_add(b->w->c, &b->empty, p->at)) {
		vhd_finding(b->w->c, VHD_FINDING_WARNING, p->at, VHD_NOT_REPAIRABLE,
			    "sector bitmap of block %" PRIu64
			    ": no sector is marked, the block only takes space; compact frees it",
			    p->block);
	}
	return p->state == VHDX_PARTIALLY_PRESENT || p->state == VHDX_NOT_PRESENT
		       ? check_stale(b, p)
		       : 0;
}

static uint64_t blocks_of_chunk(const struct vhdx_bat_walk *b, uint64_t chunk)
{
	uint64_t first = chunk << b->w->shape.ratio_shift;

	return min_u64(b->blocks - first, BIT64(b->w->shape.ratio_shift));
}

static void check_missing(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e)
{
	uint64_t at = b->w->bat.offset + e->index * 8, count = blocks_of_chunk(b, e->number);
	const uint8_t *partial = memchr(b->states, VHDX_PARTIALLY_PRESENT, count);

	if (partial != NULL && vhd_flood_add(b->w->c, &b->missing, at)) {
		vhd_finding(b->w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "table entry %" PRIu64 ": chunk %" PRIu64
			    " has no usable bitmap (0x%016" PRIx64 "), but block %" PRIu64
			    " is partially present: which of its sectors count cannot be told",
			    e->index, e->number, e->entry,
			    (e->number << b->w->shape.ratio_shift) +
				    (uint64_t)(partial - b->states));
	}
}

int vhdx_walk_bitmap(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e, bool present)
{
	if (!present) {
		check_missing(b, e);
		return 0;
	}
	int r = vhdx_walk_read(b->w, e->offset, b->bits, VHDX_BITMAP_BYTES);

	for (uint64_t i = 0; r == 0 && i < blocks_of_chunk(b, e->number); i++) {
		struct part p = part_of(b, e, i);

		r = check_part(b, &p);
	}
	return r;
}
