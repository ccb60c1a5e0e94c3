// SPDX-License-Identifier: Apache-2.0
/* A raw file as a layer: the base of everything that is converted, and never part of a chain made here. */
#include <errno.h>
#include <stdlib.h>

#include "flat.h"
#include "lib/bits.h"

#define RAW_SECTOR_BYTES 512u

static int raw_probe(struct storage_file *f)
{
	(void)f;
	return 0; /* anything could be: the caller says so */
}

static const struct block_ops raw_block_ops = {
	.submit = vhd_flat_submit,
	.destroy = vhd_layer_destroy,
};

static int raw_open(const struct vhd_host *host, struct storage_file *f, uint32_t flags,
		    struct vhd_layer **ret, struct vhd_error *error)
{
	struct vhd_layer *l = calloc(1, sizeof(*l));
	uint64_t bytes = 0;
	int err = l == NULL ? -ENOMEM : storage_file_get_size(f, &bytes);

	if (err != 0) {
		vhd_fail_errno(error, err, f->name, "cannot open");
		storage_file_close(f);
		free(l);
		return err;
	}
	l->ops = &vhd_format_raw;
	l->file = f;
	l->host = host;
	l->block = (struct block_device){
		.ops = &raw_block_ops,
		.context = f->context,
		.name = f->name,
		.info =
			{
				/* What is missing in the last sector reads as zeros. */
				.bytes = align_up(bytes, RAW_SECTOR_BYTES),
				.sector_bytes = RAW_SECTOR_BYTES,
				.physical_sector_bytes = 4096,
				.read_only = !(flags & VHD_OPEN_WRITE),
				.discards = true,
			},
	};
	*ret = l;
	return 0;
}

static int raw_create(const struct vhd_host *host, struct storage_file *f,
		      const struct vhd_create *create, const struct vhd_locator *locator,
		      struct vhd_error *error)
{
	int err = storage_file_set_size(f, create->bytes);

	(void)host;
	(void)locator;
	err = err == 0 ? storage_file_flush(f) : err;
	return err == 0 ? 0 : vhd_fail_errno(error, err, f->name, "cannot give it its size");
}

static void raw_info(struct vhd_layer *l, struct vhd_info *info)
{
	info->format = VHD_RAW;
	info->bytes = l->block.info.bytes;
	info->sector_bytes = l->block.info.sector_bytes;
	info->physical_sector_bytes = l->block.info.physical_sector_bytes;
}

static void raw_usage(struct vhd_layer *l, struct vhd_info *info)
{
	vhd_flat_usage(l, &info->allocated_bytes, &info->minimum_bytes);
}

static int raw_no_parent(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error)
{
	(void)ret;
	return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: a raw disk has no parent", l->file->name);
}

static int raw_set_locator(struct vhd_layer *l, const struct vhd_locator *locator,
			   struct vhd_error *error)
{
	(void)locator;
	return raw_no_parent(l, NULL, error);
}

static int raw_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error)
{
	int err = storage_file_set_size(l->file, bytes);

	err = err == 0 ? storage_file_flush(l->file) : err;
	if (err != 0) {
		return vhd_fail_errno(error, err, l->file->name, "cannot change its size");
	}
	l->block.info.bytes = bytes;
	block_changed(&l->block);
	return 0;
}

static int raw_new_linkage(struct vhd_layer *l, const struct guid *linkage, struct vhd_error *error)
{
	(void)linkage;
	return raw_no_parent(l, NULL, error);
}

static int raw_close(struct vhd_layer *l)
{
	int err = l->file->writable ? storage_file_flush(l->file) : 0;

	storage_file_close(l->file);
	free(l);
	return err;
}

const struct vhd_format_ops vhd_format_raw = {
	.name = "raw",
	.probe = raw_probe,
	.open = raw_open,
	.create = raw_create,
	.info = raw_info,
	.usage = raw_usage,
	.locator = raw_no_parent,
	.set_locator = raw_set_locator,
	.map = vhd_flat_map,
	.resize = raw_resize,
	.new_linkage = raw_new_linkage,
	.freeze = vhd_flat_freeze,
	.close = raw_close,
};
