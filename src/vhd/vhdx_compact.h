/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction of a VHDX: vhdx_compact.c, vhdx_compact_empty.c. */
#ifndef VHD_VHDX_COMPACT_H
#define VHD_VHDX_COMPACT_H

#include "vhdx.h"

#define VHDX_COMPACT_CHUNK (1024 * 1024u) /* of the buffer */

struct vhdx_candidate {
	uint64_t offset;
	uint64_t index; /* in the BAT */
};

struct vhdx_compact {
	enum { EMPTYING, FINDING, CHOOSING, MOVING, CUTTING } phase;
	uint64_t block; /* EMPTYING: the next */
	struct vhdx_candidate
		*candidates; /* a heap, lowest first; while moving sorted, highest first */
	unsigned count, next;
	uint64_t moved; /* in this round */
	uint8_t *buffer;
};

/* The entry @index of the BAT, of a block or a sector bitmap. Waits. As vhdx_bat_get. */
int vhdx_compact_place(struct vhdx *v, uint64_t index, struct vhdx_place *ret,
		       struct vhdx_page **ret_page);
/* The same, with room for one dirty page. */
int vhdx_compact_prepare(struct vhdx *v, uint64_t index, struct vhdx_place *ret,
			 struct vhdx_page **page);
/* The data at @at in the file, up to @bytes, is a hole; *@ret_bytes: how far it is or is not. */
bool vhdx_compact_hole_at(struct vhdx *v, uint64_t at, uint64_t bytes, uint64_t *ret_bytes);
/* 1: the block has nothing but zeros, or nothing of its own; 0: something else; -errno. */
int vhdx_compact_is_empty(struct vhdx *v, uint64_t block, const struct vhdx_place *p);
/* Gives the block up if it is still empty. It is frozen: nobody writes to it any more. 0 or 1, or -errno. */
int vhdx_compact_empty(struct vhdx *v, uint64_t block);

#endif
