// SPDX-License-Identifier: Apache-2.0
#include "vhd_bits.h"

#include "lib/bits.h"

struct vhd_place vhd_place_of(const struct vhd_op *op)
{
	const struct vhd_image *v = op->v;
	uint64_t at = op->guest->offset + op->at;
	struct vhd_place p = {
		.block = at >> v->block_shift,
		.offset = (uint32_t)(at & (v->block_bytes - 1)),
	};
	uint32_t sector = p.offset / VHD_SECTOR_BYTES;
	uint64_t sectors = vhd_place_run(op, p, 1) / VHD_SECTOR_BYTES;

	p.page = sector / VHD_PAGE_BITS;
	p.bit = sector % VHD_PAGE_BITS;
	p.bits = (uint32_t)min_u64(sectors, VHD_PAGE_BITS - p.bit);
	return p;
}

uint64_t vhd_place_run(const struct vhd_op *op, struct vhd_place place, uint64_t blocks)
{
	uint64_t bytes = (blocks << op->v->block_shift) - place.offset;

	return min_u64(bytes, op->guest->bytes - op->at);
}

uint32_t vhd_bits_page_bytes(const struct vhd_image *v)
{
	return (uint32_t)min_u64(v->bitmap_bytes, VHD_PAGE_BYTES);
}

uint64_t vhd_bits_page_offset(uint64_t position, struct vhd_place place)
{
	return position + (uint64_t)place.page * VHD_PAGE_BYTES;
}

bool vhd_bits_page(struct vhd_op *op, uint64_t position, struct vhd_place place,
		   struct vhd_page **ret)
{
	return vhd_page_get(op, VHD_PAGE_BITMAP, vhd_bits_page_offset(position, place),
			    vhd_bits_page_bytes(op->v), ret);
}

static bool get_bit(const struct vhd_page *p, uint32_t bit)
{
	return p->data[bit / 8] & 0x80u >> bit % 8;
}

bool vhd_bits_run(const struct vhd_page *p, uint32_t first, uint32_t count, uint32_t *ret_run)
{
	bool value = get_bit(p, first);
	uint8_t same = value ? 0xff : 0;
	uint32_t run = 1;

	while (run < count) {
		uint32_t bit = first + run;

		if (bit % 8 == 0 && count - run >= 8 && p->data[bit / 8] == same) {
			run += 8;
		} else if (get_bit(p, bit) == value) {
			run++;
		} else {
			break;
		}
	}
	*ret_run = run;
	return value;
}

void vhd_bits_set(struct vhd_page *p, uint32_t first, uint32_t count)
{
	for (uint32_t bit = first; bit < first + count; bit++) {
		uint8_t *byte = &p->data[bit / 8];
		uint8_t all =
			(uint8_t)(bit % 8 == 0 && first + count - bit >= 8 ? 0xffu
									   : 0x80u >> bit % 8);

		if ((*byte & all) != all) {
			*byte |= all;
			vhd_page_mark(p, bit / 8);
		}
		bit += all == 0xff ? 7 : 0;
	}
}
