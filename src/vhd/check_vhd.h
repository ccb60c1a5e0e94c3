/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through a VHD file. */
#ifndef VHD_CHECK_VHD_H
#define VHD_CHECK_VHD_H

#include "check.h"
#include "vhd_layout.h"

/* The footer copy, the header, the table, eight locators. */
#define VHD_WALK_STRUCTURES 11

struct vhd_walk_structure {
	uint64_t offset, bytes;
	const char *name;
};

struct vhd_walk {
	struct vhd_checker *c;
	struct vhd_footer footer; /* the one that counts */
	struct vhd_header header;
	uint64_t blocks;   /* that the disk has */
	uint64_t stride;   /* bytes of a block with its bitmap */
	uint64_t end;	   /* of what blocks may use: where the footer is, or the end of the file */
	uint64_t used_end; /* behind the last structure and block */
	uint64_t used_bytes; /* of blocks */
	bool damaged;	     /* the table has entries that cannot be */
	struct vhd_walk_structure structures[VHD_WALK_STRUCTURES];
	size_t structure_count;
};

/* The table and what it names. 0 or the host's error. */
int vhd_walk_bat(struct vhd_walk *w);
/* The first structure that [@offset, @offset + @bytes) overlaps, but for number @except; NULL: none. */
const struct vhd_walk_structure *vhd_walk_overlap(const struct vhd_walk *w, uint64_t offset,
						  uint64_t bytes, size_t except);

#endif
