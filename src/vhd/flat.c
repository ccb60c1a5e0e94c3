// SPDX-License-Identifier: Apache-2.0
#include "flat.h"

#include <errno.h>

#include "lib/bits.h"

void vhd_flat_submit(struct block_device *b, struct io_request *r)
{
	storage_file_submit(container_of(b, struct vhd_layer, block)->file, r);
}

/* What lies at @offset up to at most the end of the disk. Sectors that are partly a hole count as data. */
static int extent_at(struct vhd_layer *l, uint64_t offset, enum storage_extent *ret_what,
		     uint64_t *ret_bytes)
{
	uint64_t end = l->block.info.bytes, bytes;
	uint32_t sector = l->block.info.sector_bytes;
	int err = l->file->ops->extent(l->file, offset, ret_what, &bytes);

	if (err == -ENXIO) {
		/* Beyond the end of a file that is too short. */
		*ret_what = STORAGE_HOLE;
		bytes = end - offset;
	} else if (err != 0) {
		return err;
	}
	bytes = min_u64(bytes, end - offset);
	if (*ret_what == STORAGE_HOLE && bytes < sector) {
		*ret_what = STORAGE_DATA;
	}
	bytes = *ret_what == STORAGE_HOLE ? align_down(bytes, sector) : align_up(bytes, sector);
	*ret_bytes = min_u64(bytes, end - offset);
	return 0;
}

int vhd_flat_map(struct vhd_layer *l, uint64_t offset, struct vhd_local_extent *ret,
		 struct vhd_error *error)
{
	enum storage_extent what;
	uint64_t bytes;
	int err = extent_at(l, offset, &what, &bytes);

	if (err != 0) {
		return vhd_fail_errno(error, err, l->file->name, "cannot tell data from holes");
	}
	*ret = (struct vhd_local_extent){
		.kind = what == STORAGE_HOLE ? VHD_LOCAL_ZERO : VHD_LOCAL_DATA,
		.bytes = bytes,
		.file_offset = what == STORAGE_HOLE ? 0 : offset,
	};
	return 0;
}

void vhd_flat_usage(struct vhd_layer *l, uint64_t *ret_allocated, uint64_t *ret_end)
{
	uint64_t allocated = 0, last = 0, end = l->block.info.bytes;

	for (uint64_t at = 0; at < end;) {
		enum storage_extent what;
		uint64_t bytes;

		if (extent_at(l, at, &what, &bytes) != 0) {
			/* It cannot tell: everything may be in use. */
			allocated = last = end;
			break;
		}
		at += bytes;
		if (what == STORAGE_DATA) {
			allocated += bytes;
			last = at;
		}
	}
	*ret_allocated = allocated;
	*ret_end = last;
}

int vhd_flat_freeze(struct vhd_layer *l, struct vhd_error *error)
{
	int err = l->file->writable ? storage_file_flush(l->file) : 0;

	if (err != 0) {
		return vhd_fail_errno(error, err, l->file->name, "cannot write it out");
	}
	l->block.info.read_only = true;
	return 0;
}
