// SPDX-License-Identifier: Apache-2.0
/* Resize and compact: what one open disk does to its own file. The formats do the work. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "job.h"
#include "lib/bits.h"
#include "vhd_layout.h"

#define VHDX_BYTES_MAX (UINT64_C(64) << 40)

struct disk_job {
	struct vhd_job job;
	struct vhd_disk *disk;
	uint64_t bytes; /* resize */
};

static bool is_vhdx(enum vhd_format f)
{
	return f == VHD_VHDX_FIXED || f == VHD_VHDX_DYNAMIC || f == VHD_VHDX_DIFFERENCING;
}

static void destroy(struct vhd_job *job)
{
	free(container_of(job, struct disk_job, job));
}

static int make_job(struct vhd_disk *d, const struct vhd_job_ops *ops, uint64_t bytes,
		    struct vhd_job **ret, struct vhd_error *error)
{
	struct disk_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		return vhd_fail_errno(error, -ENOMEM, d->path, "cannot begin");
	}
	*j = (struct disk_job){.job.ops = ops, .disk = d, .bytes = bytes};
	*ret = &j->job;
	return 0;
}

/* What holds for both. @info: 8 KiB, so the caller's heap. */
static int check_disk(struct vhd_disk *d, const struct vhd_info *info, struct vhd_error *error)
{
	if (vhd_block(d)->info.read_only) {
		return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: is open for reading only", d->path);
	}
	if (info->saved_state) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: belongs to a saved machine, which expects it as it is; start "
				"and shut that down first",
				d->path);
	}
	return 0;
}

/* ---- Resize ---- */

static int check_new_size(struct vhd_disk *d, const struct vhd_info *info, uint64_t bytes,
			  struct vhd_error *error)
{
	if (bytes == 0 || bytes % info->sector_bytes != 0) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a size of %" PRIu64
				" bytes; it must be whole sectors of %" PRIu32,
				d->path, bytes, info->sector_bytes);
	}
	if (is_vhdx(info->format) && bytes > VHDX_BYTES_MAX) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a VHDX holds at most 64 TiB, %" PRIu64
				" bytes; asked for %" PRIu64,
				d->path, VHDX_BYTES_MAX, bytes);
	}
	if (!is_vhdx(info->format) && info->format != VHD_RAW && bytes > VHD_BYTES_MAX) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a VHD holds at most 2040 GiB, %" PRIu64
				" bytes; asked for %" PRIu64 "; convert it to VHDX",
				d->path, VHD_BYTES_MAX, bytes);
	}
	if (info->format == VHD_VHD_DIFFERENCING && bytes != info->bytes) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: a differencing VHD is as large as its parent; merge it first",
				d->path);
	}
	return 0;
}

/* Whatever the guest sees above the new end must be nothing, in the parents too. */
static int check_shrink(struct vhd_disk *d, uint64_t bytes, struct vhd_error *error)
{
	uint64_t end = vhd_block(d)->info.bytes;
	struct vhd_extent e;

	for (uint64_t at = bytes; at < end; at += e.bytes) {
		int r = vhd_map(d, at, &e, error);

		if (r != 0) {
			return r;
		}
		if (e.kind == VHD_EXTENT_DATA) {
			return vhd_fail(error, VHD_WOULD_TRUNCATE,
					"%s: there is data at offset 0x%" PRIx64
					", behind the new end of 0x%" PRIx64
					"; free it in the guest, or ask for more",
					d->path, at, bytes);
		}
	}
	return 0;
}

static int resize_step(struct vhd_job *job, struct vhd_progress *ret_progress,
		       struct vhd_error *error)
{
	struct disk_job *j = container_of(job, struct disk_job, job);
	uint64_t bytes = vhd_block(j->disk)->info.bytes;
	int r = 0;

	/* Looked at here and not when the job was made: the guest may have written since. */
	if (j->bytes < bytes) {
		r = check_shrink(j->disk, j->bytes, error);
	}
	if (r == 0 && j->bytes != bytes) {
		r = j->disk->layer->ops->resize(j->disk->layer, j->bytes, error);
	}
	*ret_progress =
		(struct vhd_progress){.done_bytes = r == 0, .total_bytes = 1, .phase = "resizing"};
	return r;
}

static const struct vhd_job_ops resize_ops = {.step = resize_step, .destroy = destroy};

int vhd_resize(struct vhd_disk *d, uint64_t bytes, struct vhd_job **ret, struct vhd_error *error)
{
	struct vhd_info *info = malloc(sizeof(*info));

	if (info == NULL) {
		return vhd_fail_errno(error, -ENOMEM, d->path, "cannot resize");
	}
	vhd_get_info(d, info);
	int r = check_disk(d, info, error);

	r = r == 0 ? check_new_size(d, info, bytes, error) : r;
	r = r == 0 && bytes < info->bytes ? check_shrink(d, bytes, error) : r;
	free(info);
	return r == 0 ? make_job(d, &resize_ops, bytes, ret, error) : r;
}

/* ---- Compact ---- */

static int compact_step(struct vhd_job *job, struct vhd_progress *ret_progress,
			struct vhd_error *error)
{
	struct vhd_layer *l = container_of(job, struct disk_job, job)->disk->layer;

	return l->ops->compact_step(l, ret_progress, error);
}

static const struct vhd_job_ops compact_ops = {.step = compact_step, .destroy = destroy};

int vhd_compact(struct vhd_disk *d, struct vhd_job **ret, struct vhd_error *error)
{
	struct vhd_info *info = malloc(sizeof(*info));

	if (info == NULL) {
		return vhd_fail_errno(error, -ENOMEM, d->path, "cannot compact");
	}
	vhd_get_info(d, info);
	int r = check_disk(d, info, error);

	if (r == 0 && (d->layer->ops->compact_step == NULL || info->format == VHD_VHD_FIXED ||
		       info->format == VHD_VHDX_FIXED)) {
		r = vhd_fail(error, VHD_NOT_POSSIBLE,
			     "%s: a %s disk keeps the space of all its blocks; convert it to a "
			     "dynamic one",
			     d->path, vhd_format_name(info->format));
	}
	free(info);
	return r == 0 ? make_job(d, &compact_ops, 0, ret, error) : r;
}
