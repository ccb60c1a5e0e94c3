/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that are merged into the one below them: what of it comes from where. */
#ifndef VHD_JOB_STACK_H
#define VHD_JOB_STACK_H

#include "job_copy.h"

/* One layer above the target, by itself. */
struct vhd_stacked {
	struct vhd_layer *layer;
	uint64_t bytes;
	bool changes; /* it is written meanwhile: every answer is asked for anew */
	/* The last answer of its map. */
	uint64_t at;
	struct vhd_local_extent extent;
};

struct vhd_stack {
	unsigned count;
	struct vhd_stacked *layers; /* the top first */
	uint64_t bytes;		    /* of the top layer: the target's after it */
	uint64_t target_bytes;	    /* before */
	bool target_has_parent;
};

/* For @count layers on @target, which has its old size still; each is put into its place then. -ENOMEM. */
int vhd_stack_init(struct vhd_stack *s, unsigned count, const struct vhd_layer *target);
void vhd_stack_fini(struct vhd_stack *s);
/* 0 is the top. */
void vhd_stack_put(struct vhd_stack *s, unsigned i, struct vhd_layer *layer, bool changes);
/* What the target is to get: vhd_copy_source.next with @s as ctx, and the whole source. */
int vhd_stack_next(void *s, uint64_t offset, struct vhd_copy_piece *ret, struct vhd_error *error);
struct vhd_copy_source vhd_stack_source(struct vhd_stack *s);

#endif
