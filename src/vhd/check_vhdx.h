/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through a VHDX file. */
#ifndef VHD_CHECK_VHDX_H
#define VHD_CHECK_VHDX_H

#include "check.h"
#include "check_space.h"
#include "vhdx_format.h"

/* One change of the log that has not been made in its place. */
struct vhdx_walk_change {
	uint64_t offset, bytes;
	const uint8_t *data; /* of a data sector in the log's memory; NULL: zeros */
	uint32_t trailing;
	uint64_t leading;
};

struct vhdx_walk {
	struct vhd_checker *c;
	struct vhdx_header header; /* the current one */
	unsigned slot;		   /* where it is */
	uint64_t file_bytes;	   /* with the log's changes made */

	uint8_t *log; /* the log region; NULL: no changes */
	struct vhdx_walk_change *changes;
	size_t change_count;

	struct vhdx_extent log_at, bat, metadata; /* bytes 0: not there */
	struct vhdx_items items;
	struct vhdx_shape shape;

	struct vhd_space space;	 /* MiB of the file that something is in */
	struct vhd_space parked; /* kept for blocks that are trimmed */
};

/* The page that a change with data makes: its ends lie in the descriptor. */
void vhdx_walk_page(const struct vhdx_walk_change *change, uint8_t page[VHDX_PAGE]);
/* Reads the file with the log's changes made. 0 or the host's error. */
int vhdx_walk_read(struct vhdx_walk *w, uint64_t offset, void *buf, size_t bytes);
/*
 * Writes the next header: @h with a higher sequence number goes to the place of the other one, which counts from then on. 0 or the host's error.
 */
int vhdx_walk_write_header(struct vhdx_walk *w, const struct vhdx_header *h);

/* The parts. 1: go on; 0: what follows cannot be made sense of; else the host's error. */
int vhdx_walk_log(struct vhdx_walk *w);	     /* check_vhdx_log.c */
int vhdx_walk_regions(struct vhdx_walk *w);  /* check_vhdx_regions.c */
int vhdx_walk_metadata(struct vhdx_walk *w); /* check_vhdx_metadata.c */
int vhdx_walk_bat(struct vhdx_walk *w);	     /* check_vhdx_bat.c */

/* The parent locator in @item of @bytes; tells what is wrong. @at: where it is. */
void vhdx_walk_locator(struct vhdx_walk *w, const uint8_t *item, size_t bytes,
		       uint64_t at); /* check_vhdx_locator.c */

#endif
