// SPDX-License-Identifier: Apache-2.0
/* Fixed VHDs: data and a footer. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "flat.h"
#include "lib/bits.h"
#include "vhd_image.h"

/* A fixed disk is a layer with its footer. */
struct vhd_fixed {
	struct vhd_layer layer;
	struct vhd_footer footer;
};

static const struct vhd_format_ops fixed_ops;

static const struct block_ops fixed_block_ops = {
	.submit = vhd_flat_submit,
	.destroy = vhd_layer_destroy,
};

int vhd_fixed_open(const struct vhd_footers *found, struct storage_file *f, uint32_t flags,
		   struct vhd_layer **ret, struct vhd_error *error)
{
	struct vhd_fixed *x;

	if (found->tail.current_bytes > found->tail_offset) {
		return vhd_fail(error, VHD_TRUNCATED,
				"%s: footer at %" PRIu64 ": a fixed disk of %" PRIu64
				" bytes, but only as many as its offset precede it: the file is "
				"not complete",
				f->name, found->tail_offset, found->tail.current_bytes);
	}
	x = calloc(1, sizeof(*x));
	if (x == NULL) {
		return vhd_fail_errno(error, -ENOMEM, f->name, "cannot open");
	}
	x->footer = found->tail;
	x->layer.ops = &fixed_ops;
	x->layer.block.ops = &fixed_block_ops;
	vhd_init_block(&x->layer, f, &x->footer, flags);
	*ret = &x->layer;
	return 0;
}

static struct vhd_fixed *fixed_of(struct vhd_layer *l)
{
	return container_of(l, struct vhd_fixed, layer);
}

static void fixed_info(struct vhd_layer *l, struct vhd_info *info)
{
	info->format = VHD_VHD_FIXED;
	vhd_describe_block(l, info);
	vhd_describe_footer(&fixed_of(l)->footer, info);
}

static void fixed_usage(struct vhd_layer *l, struct vhd_info *info)
{
	vhd_flat_usage(l, &info->allocated_bytes, &info->minimum_bytes);
}

static int fixed_locator(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error)
{
	(void)ret;
	return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: only a differencing disk has a parent",
			l->file->name);
}

static int fixed_set_locator(struct vhd_layer *l, const struct vhd_locator *locator,
			     struct vhd_error *error)
{
	(void)locator;
	return fixed_locator(l, NULL, error);
}

/* Writes a footer and makes it durable. */
static int put_footer(struct vhd_fixed *x, const struct vhd_footer *footer, uint64_t offset)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	vhd_footer_encode(footer, raw);
	err = storage_file_write(x->layer.file, offset, raw, sizeof(raw));
	return err == 0 ? storage_file_flush(x->layer.file) : err;
}

/* Ends the file behind a footer at @bytes. Until then the old footer is the last one, and holds. */
static int cut_behind(struct vhd_fixed *x, uint64_t bytes)
{
	int err = storage_file_set_size(x->layer.file, bytes + VHD_FOOTER_BYTES);

	return err == 0 ? storage_file_flush(x->layer.file) : err;
}

/*
 * The last footer of the file moves behind the new end while it still tells the old size; only when its old place is zeros
 * is the new size told.
 */
static int grow(struct vhd_fixed *x, const struct vhd_footer *larger, uint64_t file_bytes)
{
	uint64_t bytes = larger->current_bytes, old = x->footer.current_bytes;
	int err = put_footer(x, &x->footer, bytes);

	err = err == 0 ? cut_behind(x, bytes) : err;
	if (err == 0) {
		err = storage_file_zero(x->layer.file, old, min_u64(file_bytes, bytes) - old,
					false);
	}
	err = err == 0 ? storage_file_flush(x->layer.file) : err;
	return err == 0 ? put_footer(x, larger, bytes) : err;
}

static int shrink(struct vhd_fixed *x, const struct vhd_footer *smaller)
{
	int err = put_footer(x, smaller, smaller->current_bytes);

	return err == 0 ? cut_behind(x, smaller->current_bytes) : err;
}

static int fixed_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error)
{
	struct vhd_fixed *x = fixed_of(l);
	struct vhd_footer footer = x->footer;
	uint64_t file_bytes = 0;
	int rc = vhd_resize_check(l, &x->footer, bytes, error);

	if (rc != 0 || bytes == x->footer.current_bytes) {
		return rc;
	}
	vhd_footer_set_bytes(&footer, bytes);
	rc = storage_file_get_size(l->file, &file_bytes);
	if (rc == 0) {
		rc = bytes > x->footer.current_bytes ? grow(x, &footer, file_bytes)
						     : shrink(x, &footer);
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, l->file->name, "cannot change its size");
	}
	x->footer = footer;
	l->block.info.bytes = bytes;
	block_changed(&l->block);
	return 0;
}

static int fixed_close(struct vhd_layer *l)
{
	int err = l->file->writable ? storage_file_flush(l->file) : 0;

	storage_file_close(l->file);
	free(fixed_of(l));
	return err;
}

static const struct vhd_format_ops fixed_ops = {
	.name = "vhd",
	.info = fixed_info,
	.usage = fixed_usage,
	.locator = fixed_locator,
	.set_locator = fixed_set_locator,
	.map = vhd_flat_map,
	.resize = fixed_resize,
	.new_linkage = vhd_new_linkage,
	.freeze = vhd_flat_freeze,
	.close = fixed_close,
};
