/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through the block allocation table of a VHDX. */
#ifndef VHD_CHECK_VHDX_BAT_H
#define VHD_CHECK_VHDX_BAT_H

#include "check_vhdx.h"

struct vhdx_bat_entry {
	uint64_t index;
	uint64_t entry;
	unsigned state;
	uint64_t offset;
	bool bitmap;
	uint64_t number; /* of the block, or of the bitmap's chunk */
};

struct vhdx_bat_walk {
	struct vhdx_walk *w;
	uint64_t blocks;
	uint64_t *entries;
	uint8_t *bits;	 /* of one chunk */
	uint8_t *states; /* of its blocks: enum vhdx_state */
	struct vhd_flood state, reserved, outside, structure, shared, missing, empty, stale;
};

/*
 * The bitmap block of a chunk of a differencing disk, with b->states. @present: it has its own place in the file, else there is none that could be
 * read. 0 or the host's error.
 */
int vhdx_walk_bitmap(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e, bool present);

#endif
