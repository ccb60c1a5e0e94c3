// SPDX-License-Identifier: Apache-2.0
/* Opening and closing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vhdx.h"

/* 32 MiB of metadata pages: the BAT of 8 TiB in blocks of 2 MiB. */
#define CACHE_PAGES 8192u

/* Up to this length the BAT is read at once, to find space that nothing uses; of larger disks compaction does it. */
#define GAPS_BAT_MAX (8 * VHDX_MIB)

static int vhdx_probe(struct storage_file *f)
{
	uint64_t signature = 0;
	int rc = storage_file_read(f, VHDX_FILE_ID_OFFSET, &signature, sizeof(signature));

	return rc != 0 ? rc : signature == VHDX_FILE_SIGNATURE;
}

void vhdx_block_info(struct vhdx *v)
{
	struct block_info *i = &v->layer.block.info;

	*i = (struct block_info){
		.bytes = v->shape.disk_bytes,
		.sector_bytes = v->shape.sector_bytes,
		.physical_sector_bytes =
			(uint32_t)max_u64(v->shape.physical_sector_bytes, v->shape.sector_bytes),
		.read_only = !v->writable || v->error != 0,
		.discards = true,
		/* Parts of blocks are zeroed where they lie; what shows a parent is hidden only by the block. */
		.discard_granularity_bytes = v->shape.has_parent ? v->shape.block_bytes : 4096,
		.discard_zeros = true,
		.id = v->shape.id,
	};
}

static void vhdx_settle(struct block_device *b)
{
	struct vhdx *v = vhdx_from_block(b);

	if (v->writable && v->error == 0 && v->cache.dirty.count != 0) {
		vhdx_commit_start(v);
	}
}

static const struct block_ops block_ops = {
	.submit = vhdx_submit,
	.settle = vhdx_settle,
	.destroy = vhd_layer_destroy,
};

static void free_all(struct vhdx *v)
{
	vhdx_compact_end(v);
	vhdx_commit_fini(v);
	vhdx_cache_fini(&v->cache);
	vhdx_space_fini(v);
	vhdx_flow_fini(v);
	storage_file_close(v->layer.file);
	free(v->header_page);
	free(v);
}

/* The copy of the region table that was damaged is made from the other one, with the first commit. */
static int mend_regions(struct vhdx *v)
{
	unsigned good = v->layout.regions_copy;

	for (uint64_t at = 0; v->layout.regions_damaged && at < VHDX_REGIONS_BYTES;
	     at += VHDX_PAGE) {
		struct vhdx_page *to, *from;
		int rc = vhdx_page_get_sync(v, VHDX_REGIONS_OFFSET(good ^ 1) + at, &to);

		rc = rc != 0 ? rc : vhdx_page_get_sync(v, VHDX_REGIONS_OFFSET(good) + at, &from);
		if (rc != 0) {
			return rc;
		}
		if (memcmp(to->data, from->data, VHDX_PAGE) != 0) {
			vhdx_page_dirty(v, to, 0);
			memcpy(to->data, from->data, VHDX_PAGE);
		}
	}
	v->layout.regions_damaged = false;
	return 0;
}

/*
 * Nothing is written to a file whose BAT contradicts itself: a new block might come to lie where an entry points already. Larger tables are
 * believed.
 */
static int look_for_gaps(struct vhdx *v, struct vhd_error *error)
{
	struct vhdx_contradiction found = {0};
	int rc = vhdx_gaps_find(v, true, &found);

	return rc == 0 && found.what != VHDX_NO_CONTRADICTION ? vhdx_refuse_entry(v, &found, error)
							      : rc;
}

static int open_rest(struct vhdx *v, struct vhd_error *error)
{
	int rc = vhdx_commit_init(v);

	if (rc == 0 && v->writable && v->layout.bat.bytes <= GAPS_BAT_MAX) {
		rc = look_for_gaps(v, error);
	}
	if (rc > 0) {
		return rc;
	}
	if (rc == 0 && v->writable && v->layout.regions_damaged) {
		rc = vhdx_session_start_sync(v, VHDX_CHANGE_FILE);
		rc = rc != 0 ? rc : mend_regions(v);
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name,
				      "cannot read the BAT, or write what opening changes");
	}
	v->layer.block.ops = &block_ops;
	v->layer.block.context = v->layer.file->context;
	v->layer.block.name = v->layer.file->name;
	vhdx_block_info(v);
	return 0;
}

int vhdx_open(const struct vhd_host *host, struct storage_file *f, uint32_t flags,
	      struct vhd_layer **ret, struct vhd_error *error)
{
	struct vhdx *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		int rc = vhd_fail_errno(error, -ENOMEM, f->name, "cannot open");

		storage_file_close(f);
		return rc;
	}
	v->layer.ops = &vhd_format_vhdx;
	v->layer.file = f;
	v->layer.host = host;
	v->writable = (flags & VHD_OPEN_WRITE) != 0;
	v->crc_instruction = crc32c_has_instruction();
	v->header_page = aligned_alloc(VHDX_PAGE, VHDX_PAGE);
	vhdx_flow_init(v);

	int rc = vhdx_cache_init(&v->cache, CACHE_PAGES);

	if (rc != 0 || v->header_page == NULL) {
		rc = vhd_fail_errno(error, -ENOMEM, f->name, "cannot open");
	}
	rc = rc != 0 ? rc : vhdx_load(v, flags, error);
	rc = rc != 0 ? rc : open_rest(v, error);
	if (rc != 0) {
		free_all(v);
		return rc;
	}
	*ret = &v->layer;
	return 0;
}

/* Everything in its place, nothing in the log, nothing behind the end. */
static int finish(struct vhdx *v)
{
	int rc;

	if (v->session == 0) {
		return 0; /* nothing was changed */
	}
	rc = vhdx_commit_sync(v);
	rc = rc != 0 ? rc : vhdx_space_settle(v);
	vhdx_commit_hold(v);
	rc = rc != 0 ? rc : vhdx_log_close(v);
	if (rc == 0 && v->space.end < v->space.file_bytes) {
		rc = vhdx_space_cut(v);
		rc = rc != 0 ? rc : vhdx_flush_sync(v);
	}
	return rc;
}

int vhdx_freeze_file(struct vhd_layer *l, struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	int rc = v->error;

	if (!v->writable) {
		return 0;
	}
	vhdx_compact_end(v);
	rc = rc != 0 ? rc : finish(v);
	if (rc != 0) {
		vhdx_commit_release(v);
		return vhd_fail_errno(error, rc, l->file->name, "cannot write it out");
	}
	v->writable = false;
	vhdx_block_info(v);
	return 0;
}

int vhdx_close(struct vhd_layer *l)
{
	struct vhdx *v = vhdx_from_layer(l);
	int rc = 0;

	vhdx_compact_end(v);
	if (v->writable) {
		rc = v->error != 0 ? v->error : finish(v);
	}
	/* A cycle that failed may still be on its way. */
	while (v->commit.running || v->space.punching != 0) {
		vhdx_turn(v);
	}
	free_all(v);
	return rc;
}

const struct vhd_format_ops vhd_format_vhdx = {
	.name = "VHDX",
	.probe = vhdx_probe,
	.open = vhdx_open,
	.create = vhdx_create,
	.info = vhdx_info,
	.usage = vhdx_usage,
	.locator = vhdx_locator,
	.set_locator = vhdx_set_locator,
	.map = vhdx_map,
	.resize = vhdx_resize,
	.compact_step = vhdx_compact_step,
	.new_linkage = vhdx_new_linkage,
	.settle_linkage = vhdx_settle_linkage,
	.freeze = vhdx_freeze_file,
	.close = vhdx_close,
};
