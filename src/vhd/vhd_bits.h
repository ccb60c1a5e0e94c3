/* SPDX-License-Identifier: Apache-2.0 */
/* Where in blocks and bitmaps a request lies, and runs of bits in bitmap pages. Bits are most significant first. */
#ifndef VHD_VHD_BITS_H
#define VHD_VHD_BITS_H

#include "vhd_image.h"

/* The piece of an op that begins at op->at and lies in one block and one bitmap page. */
struct vhd_place {
	uint64_t block;
	uint32_t offset;    /* in the block's data */
	uint32_t page;	    /* of the block's bitmap */
	uint32_t bit, bits; /* in that page */
};

struct vhd_place vhd_place_of(const struct vhd_op *op);
/* How many bytes of the op, from op->at on, lie in @blocks blocks from the place's on. */
uint64_t vhd_place_run(const struct vhd_op *op, struct vhd_place place, uint64_t blocks);

/* The bitmap page of @place in the block at @position. False: as vhd_page_get. */
bool vhd_bits_page(struct vhd_op *op, uint64_t position, struct vhd_place place,
		   struct vhd_page **ret);
uint64_t vhd_bits_page_offset(uint64_t position, struct vhd_place place);
uint32_t vhd_bits_page_bytes(const struct vhd_image *v);
/* The value of bit @first, and how many of @count bits from it on have it. */
bool vhd_bits_run(const struct vhd_page *p, uint32_t first, uint32_t count, uint32_t *ret_run);
/* Sets bits; the page is marked where they were not. */
void vhd_bits_set(struct vhd_page *p, uint32_t first, uint32_t count);

#endif
