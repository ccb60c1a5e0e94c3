/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction of a VHD: vhd_compact.c, vhd_compact_move.c. */
#ifndef VHD_VHD_COMPACT_H
#define VHD_VHD_COMPACT_H

#include "lib/bits.h"
#include "vhd_image.h"

/* Something that occupies space, in file order. */
struct vhd_occupied {
	uint64_t start, end;
	uint64_t block; /* UINT64_MAX: not a block, stays */
};

enum vhd_compact_phase {
	VHD_COMPACT_FREEING,
	VHD_COMPACT_MOVING,
	VHD_COMPACT_CUTTING,
};

struct vhd_compaction {
	enum vhd_compact_phase phase;
	uint64_t block; /* VHD_COMPACT_FREEING: the next to look at */
	struct vhd_occupied *spaces;
	size_t count, capacity;
	size_t next;  /* the first that begins at or above @low */
	size_t top;   /* what is from here on has moved or stays */
	uint64_t low; /* there are no holes below */
	uint64_t done, total;
};

static inline void vhd_compact_progress(struct vhd_compaction *k, uint64_t bytes)
{
	k->done = min_u64(k->total, k->done + bytes);
}

/* Finds out what is occupied. 0 or -errno. */
int vhd_compact_begin_moving(struct vhd_image *v);
/* Moves one block into a hole below it. 1: there may be more; 0: none; -errno. */
int vhd_compact_move_next(struct vhd_image *v);

#endif
