/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sees what is written to a layer in use: between a layer's block device and its format, for as long as somebody copies from it. A region is dirty
 * from when a change of it has finished until it is taken.
 */
#ifndef VHD_WATCH_H
#define VHD_WATCH_H

#include "format.h"

struct vhd_watch {
	struct vhd_layer *layer;
	const struct block_ops *plain; /* the layer's own */
	struct block_ops ops;	       /* instead of them */
	unsigned shift;		       /* of a region's size */
	uint64_t regions, dirty;       /* dirty: how many are */
	uint64_t *bits;
	unsigned in_flight;
};

/* Regions are at least @least_bytes (a power of two). Everything is dirty in the beginning. -ENOMEM. */
int vhd_watch_start(struct vhd_watch *w, struct vhd_layer *layer, uint64_t least_bytes);
/* Waits for requests that it sees to their end. */
void vhd_watch_stop(struct vhd_watch *w);
/* The first dirty region at or behind byte @offset: where it begins; UINT64_MAX: none. */
uint64_t vhd_watch_find(const struct vhd_watch *w, uint64_t offset);
/* The dirty region at @offset is clean from now on; returns where it ends. */
uint64_t vhd_watch_take(struct vhd_watch *w, uint64_t offset);
static inline uint64_t vhd_watch_dirty_bytes(const struct vhd_watch *w)
{
	return w->dirty << w->shift;
}

#endif
