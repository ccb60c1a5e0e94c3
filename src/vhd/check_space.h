/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a file are claimed: a bit for each unit, in pieces that are made when they are needed, so that a small file
 * takes nothing and 64 TiB of 1 MiB units take 8 MiB.
 */
#ifndef VHD_CHECK_SPACE_H
#define VHD_CHECK_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHD_SPACE_PIECE_UNITS UINT64_C(32768)

struct vhd_space {
	uint64_t units;
	uint64_t **pieces;
	size_t piece_count;
};

/* A map of @units, all free. 0 or -ENOMEM. */
int vhd_space_init(struct vhd_space *s, uint64_t units);
void vhd_space_fini(struct vhd_space *s);
bool vhd_space_test(const struct vhd_space *s, uint64_t unit);
/* Claims [@first, @first + @count), which lies within the map. *ret_taken: the first unit that was claimed already, UINT64_MAX: none. 0 or
 * -ENOMEM. */
int vhd_space_claim(struct vhd_space *s, uint64_t first, uint64_t count, uint64_t *ret_taken);

#endif
