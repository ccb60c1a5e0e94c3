// SPDX-License-Identifier: Apache-2.0
/* A file's bytes as a disk's: requests pass straight through. */
#include <errno.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "storage/block.h"

struct raw {
	struct block_device block;
	struct storage_file *file;
};

static struct raw *from_block(struct block_device *b)
{
	return container_of(b, struct raw, block);
}

static void submit(struct block_device *b, struct io_request *r)
{
	storage_file_submit(from_block(b)->file, r);
}

static void destroy(struct block_device *b)
{
	struct raw *raw = from_block(b);

	storage_file_close(raw->file);
	free(raw);
}

static int extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		  uint64_t *ret_bytes)
{
	struct storage_file *f = from_block(b)->file;
	int rc = f->ops->extent(f, offset, ret_what, ret_bytes);

	if (rc == 0) {
		*ret_bytes = min_u64(*ret_bytes, b->info.bytes - offset);
	}
	return rc;
}

static const struct block_ops raw_ops = {
	.submit = submit,
	.destroy = destroy,
	.extent = extent,
};

int block_raw_refresh(struct block_device *b)
{
	uint64_t bytes = 0;

	CHECK(b->ops == &raw_ops);
	int rc = storage_file_get_size(from_block(b)->file, &bytes);

	if (rc != 0) {
		return rc;
	}
	bytes = align_down(bytes, b->info.sector_bytes);
	if (bytes != b->info.bytes) {
		b->info.bytes = bytes;
		block_changed(b);
	}
	return 0;
}

int block_raw_create(struct storage_file *f, uint32_t sector_bytes, bool read_only,
		     struct block_device **ret)
{
	uint64_t bytes;

	CHECK(sector_bytes == 512 || sector_bytes == 2048 || sector_bytes == 4096);
	struct raw *raw = calloc(1, sizeof(*raw));
	int rc = raw == NULL ? -ENOMEM : storage_file_get_size(f, &bytes);

	if (rc != 0) {
		free(raw);
		storage_file_close(f);
		return rc;
	}
	raw->file = f;
	raw->block = (struct block_device){.ops = &raw_ops, .context = f->context, .name = f->name};
	raw->block.info = (struct block_info){
		.bytes = align_down(bytes, sector_bytes),
		.sector_bytes = sector_bytes,
		/* Host pages and file systems deal in 4 KiB; a guest that knows it aligns. */
		.physical_sector_bytes = sector_bytes == 2048 ? 2048 : 4096,
		.read_only = read_only || !f->writable,
		.discards = f->writable && !read_only,
		.discard_granularity_bytes = f->discard_granule_bytes,
		.discard_zeros = f->discard_granule_bytes != 0,
	};
	*ret = &raw->block;
	return 0;
}
