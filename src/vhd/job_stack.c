// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "job_stack.h"
#include "lib/bits.h"
#include "lib/check.h"

int vhd_stack_init(struct vhd_stack *s, unsigned count, const struct vhd_layer *target)
{
	*s = (struct vhd_stack){
		.count = count,
		.layers = calloc(count, sizeof(*s->layers)),
		.target_bytes = target->block.info.bytes,
		.target_has_parent = target->parent != NULL,
	};
	return s->layers != NULL ? 0 : -ENOMEM;
}

void vhd_stack_fini(struct vhd_stack *s)
{
	free(s->layers);
	s->layers = NULL;
}

void vhd_stack_put(struct vhd_stack *s, unsigned i, struct vhd_layer *layer, bool changes)
{
	CHECK(i < s->count);
	s->layers[i] = (struct vhd_stacked){
		.layer = layer, .bytes = layer->block.info.bytes, .changes = changes};
	if (i == 0) {
		s->bytes = s->layers[0].bytes;
	}
}

/* What @l by itself has at @offset, up to where that ends. */
static int extent_at(struct vhd_stacked *l, uint64_t offset, struct vhd_local_extent *ret,
		     struct vhd_error *error)
{
	bool known = offset >= l->at && offset - l->at < l->extent.bytes;

	if (l->changes || !known) {
		int r = l->layer->ops->map(l->layer, offset, &l->extent, error);

		if (r != 0) {
			l->extent.bytes = 0;
			return r;
		}
		CHECK(l->extent.bytes != 0);
		l->at = offset;
	}
	*ret = l->extent;
	ret->bytes = min_u64(l->extent.bytes - (offset - l->at), l->bytes - offset);
	return 0;
}

/* Nothing above has it: the target's own, but for what has come by growing, which no parent of the target may show through. */
static void piece_below(const struct vhd_stack *s, uint64_t offset, struct vhd_copy_piece *piece)
{
	if (offset < s->target_bytes) {
		piece->kind = VHD_COPY_SKIP;
		piece->bytes = min_u64(piece->bytes, s->target_bytes - offset);
	} else {
		piece->kind = s->target_has_parent ? VHD_COPY_ZERO : VHD_COPY_SKIP;
	}
}

/* @l has it. */
static void piece_of(struct vhd_stacked *l, const struct vhd_local_extent *extent, uint64_t offset,
		     struct vhd_copy_piece *piece)
{
	piece->kind = VHD_COPY_ZERO;
	if (extent->kind == VHD_LOCAL_DATA) {
		piece->kind = VHD_COPY_DATA;
		piece->bytes = min_u64(piece->bytes, VHD_COPY_BYTES - offset % VHD_COPY_BYTES);
		piece->from = &l->layer->block;
	}
}

/* The uppermost layer that has something at @offset tells what it is; the pieces of those above it bound the length. */
int vhd_stack_next(void *ctx, uint64_t offset, struct vhd_copy_piece *ret, struct vhd_error *error)
{
	struct vhd_stack *s = ctx;
	struct vhd_copy_piece piece = {.kind = VHD_COPY_ZERO,
				       .bytes = max_u64(s->bytes, s->target_bytes) - offset};

	if (offset >= s->bytes) {
		/* The top is smaller: what is left of the target goes away. */
		*ret = piece;
		return 0;
	}
	piece.bytes = s->bytes - offset;
	for (unsigned i = 0; i < s->count; i++) {
		struct vhd_stacked *l = &s->layers[i];
		struct vhd_local_extent extent;

		if (offset >= l->bytes) {
			/* Beyond the end of a layer in the middle everything is zero, whatever is below. */
			*ret = piece;
			return 0;
		}
		int r = extent_at(l, offset, &extent, error);

		if (r != 0) {
			return r;
		}
		piece.bytes = min_u64(piece.bytes, extent.bytes);
		if (extent.kind != VHD_LOCAL_PARENT) {
			piece_of(l, &extent, offset, &piece);
			*ret = piece;
			return 0;
		}
	}
	piece_below(s, offset, &piece);
	*ret = piece;
	return 0;
}

struct vhd_copy_source vhd_stack_source(struct vhd_stack *s)
{
	return (struct vhd_copy_source){
		.next = vhd_stack_next, .ctx = s, .bytes = max_u64(s->bytes, s->target_bytes)};
}
