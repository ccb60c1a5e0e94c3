// SPDX-License-Identifier: Apache-2.0
/* Convert: what a disk and its parents show, into a new file. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "job_copy.h"
#include "lib/bits.h"
#include "lib/check.h"

struct convert_job {
	struct vhd_job job;
	struct vhd_host host;
	struct vhd_disk *source;
	struct vhd_disk *target; /* NULL: not made, or closed */
	bool made;		 /* there is a file @part */
	struct vhd_copy copy;
	bool copying; /* copy is set up */
	/* The last answer of the source's map. */
	uint64_t mapped_at;
	struct vhd_extent mapped;
	char *path;
	char *part;
};

static uint64_t disk_bytes(struct vhd_disk *d)
{
	return vhd_block(d)->info.bytes;
}

/*
 * What of the file lies under an extent of data may never have been written: those blocks were allocated, and the file system knows that
 * they are holes. What it cannot tell is data.
 */
static void look_into_file(struct vhd_disk *d, struct vhd_extent *e)
{
	struct storage_file *f = vhd_ancestor(d, e->depth)->layer->file;
	enum storage_extent what;
	uint64_t bytes;

	if (f->ops->extent(f, e->file_offset, &what, &bytes) != 0) {
		return;
	}
	if (what == STORAGE_HOLE && align_down(bytes, VHD_COPY_ALIGN) != 0) {
		e->kind = VHD_EXTENT_ABSENT;
		e->bytes = min_u64(e->bytes, align_down(bytes, VHD_COPY_ALIGN));
	} else if (what == STORAGE_DATA) {
		e->bytes = min_u64(e->bytes, align_up(bytes, VHD_COPY_ALIGN));
	}
}

/* The map itself: an answer reaches far, and is asked for in small pieces. */
static int map_at(struct convert_job *j, uint64_t offset, struct vhd_extent *ret,
		  struct vhd_error *error)
{
	if (offset < j->mapped_at || offset - j->mapped_at >= j->mapped.bytes) {
		int r = vhd_map(j->source, offset, &j->mapped, error);

		if (r != 0) {
			j->mapped.bytes = 0;
			return r;
		}
		j->mapped_at = offset;
	}
	*ret = j->mapped;
	ret->bytes -= offset - j->mapped_at;
	ret->file_offset += offset - j->mapped_at;
	return 0;
}

static int extent_at(struct convert_job *j, uint64_t offset, struct vhd_extent *ret,
		     struct vhd_error *error)
{
	int r = map_at(j, offset, ret, error);

	if (r == 0 && ret->kind == VHD_EXTENT_DATA) {
		look_into_file(j->source, ret);
	}
	return r;
}

/*
 * From @start, where there is data, to the end of the last data in the same window of VHD_COPY_BYTES: one request
 * reads pieces of several files with the zeros between them.
 */
static int end_of_data(struct convert_job *j, uint64_t start, uint64_t *ret_end,
		       struct vhd_error *error)
{
	uint64_t limit =
		min_u64(align_down(start, VHD_COPY_BYTES) + VHD_COPY_BYTES, disk_bytes(j->source));
	struct vhd_extent e;

	for (uint64_t at = start; at < limit; at += e.bytes) {
		int r = extent_at(j, at, &e, error);

		if (r != 0) {
			return r;
		}
		if (e.kind == VHD_EXTENT_DATA) {
			*ret_end = min_u64(at + e.bytes, limit);
		}
	}
	return 0;
}

static int next_piece(void *ctx, uint64_t offset, struct vhd_copy_piece *ret,
		      struct vhd_error *error)
{
	struct convert_job *j = ctx;
	uint64_t bytes = disk_bytes(j->source), end = offset;
	struct vhd_extent e;
	int r = extent_at(j, offset, &e, error);

	if (r != 0) {
		return r;
	}
	if (e.kind != VHD_EXTENT_DATA) {
		/* The pieces stay aligned, so that whole units can be tested for zeros, and for targets with larger sectors. */
		end = min_u64(offset + e.bytes, bytes);
		end = end == bytes ? end : align_down(end, VHD_COPY_ALIGN);
		if (end > offset) {
			*ret = (struct vhd_copy_piece){.kind = VHD_COPY_SKIP,
						       .bytes = end - offset};
			return 0;
		}
	}
	r = end_of_data(j, offset, &end, error);
	if (r != 0) {
		return r;
	}
	end = min_u64(align_up(max_u64(end, offset + 1), VHD_COPY_ALIGN), bytes);
	*ret = (struct vhd_copy_piece){
		.kind = VHD_COPY_DATA, .bytes = end - offset, .from = vhd_block(j->source)};
	return 0;
}

static int finish(struct convert_job *j, struct vhd_error *error)
{
	struct vhd_disk *target = j->target;

	vhd_copy_fini(&j->copy);
	j->copying = false;
	int r = block_flush(vhd_block(target));

	j->target = NULL;
	int closed = vhd_close(target);

	r = r != 0 ? r : closed;
	if (r != 0) {
		return vhd_fail_errno(error, r < 0 ? r : -EIO, j->part, "cannot write it out");
	}
	r = vhd_publish(&j->host, j->part, j->path, error);
	j->made = r != 0;
	return r;
}

static int convert_step(struct vhd_job *job, struct vhd_progress *ret_progress,
			struct vhd_error *error)
{
	struct convert_job *j = container_of(job, struct convert_job, job);
	int r = vhd_copy_step(&j->copy, ret_progress, error);

	return r == 0 ? finish(j, error) : r;
}

static void convert_destroy(struct vhd_job *job)
{
	struct convert_job *j = container_of(job, struct convert_job, job);

	if (j->copying) {
		vhd_copy_fini(&j->copy);
	}
	if (j->target != NULL) {
		vhd_close(j->target);
	}
	if (j->made) {
		(void)j->host.remove(j->host.ctx, j->part);
	}
	free(j->path);
	free(j->part);
	free(j);
}

static const struct vhd_job_ops convert_ops = {.step = convert_step, .destroy = convert_destroy};

static bool is_vhdx(enum vhd_format f)
{
	return f == VHD_VHDX_FIXED || f == VHD_VHDX_DYNAMIC || f == VHD_VHDX_DIFFERENCING;
}

/* What of @c follows from the source. */
static int complete(struct convert_job *j, struct vhd_create *c, struct vhd_error *error)
{
	const struct block_info *source = &vhd_block(j->source)->info;

	if (c->format == VHD_VHD_DIFFERENCING || c->format == VHD_VHDX_DIFFERENCING ||
	    c->parent != NULL) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: the result of a conversion has no parent", j->path);
	}
	if (c->sector_bytes == 0) {
		c->sector_bytes = is_vhdx(c->format) ? source->sector_bytes : 512;
		if (c->format != VHD_RAW && c->sector_bytes != source->sector_bytes) {
			return vhd_fail(error, VHD_INVALID_ARGUMENT,
					"%s: has sectors of %" PRIu32
					" bytes, but a VHD's have 512: a system on it would not "
					"find its partitions; "
					"convert it to VHDX or raw",
					j->source->path, source->sector_bytes);
		}
	}
	if (c->physical_sector_bytes == 0 && is_vhdx(c->format)) {
		c->physical_sector_bytes = source->physical_sector_bytes;
	}
	if (c->bytes == 0) {
		c->bytes = align_up(source->bytes, c->sector_bytes);
	}
	if (c->bytes < source->bytes) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: %" PRIu64 " bytes are too few for the %" PRIu64 " of %s",
				j->path, c->bytes, source->bytes, j->source->path);
	}
	return 0;
}

static int make_target(struct convert_job *j, const struct vhd_create *c, struct vhd_error *error)
{
	int r = vhd_create_part(&j->host, j->path, j->part, c, error);

	if (r != 0) {
		return r;
	}
	j->made = true;
	return vhd_open(&j->host, j->part,
			VHD_OPEN_WRITE | (c->format == VHD_RAW ? VHD_OPEN_RAW : 0), &j->target,
			error);
}

static int start(struct convert_job *j, const struct vhd_create *create, struct vhd_error *error)
{
	struct vhd_create c = *create;
	int r = complete(j, &c, error);

	r = r == 0 ? vhd_refuse_existing(&j->host, j->path, error) : r;
	r = r == 0 ? make_target(j, &c, error) : r;
	if (r != 0) {
		return r;
	}
	const struct vhd_copy_source source = {
		.next = next_piece, .ctx = j, .bytes = disk_bytes(j->source)};

	r = vhd_copy_init(&j->copy, &source, j->target, true);
	if (r != 0) {
		return vhd_fail_errno(error, r, j->path, "cannot convert");
	}
	j->copying = true;
	return 0;
}

int vhd_convert(const struct vhd_host *host, struct vhd_disk *source, const char *target,
		const struct vhd_create *create, struct vhd_job **ret, struct vhd_error *error)
{
	struct convert_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		return vhd_fail_errno(error, -ENOMEM, target, "cannot convert");
	}
	*j = (struct convert_job){.job.ops = &convert_ops, .host = *host, .source = source};
	j->path = strdup(target);
	j->part = vhd_part_name(host, target);
	int r = j->path != NULL && j->part != NULL
			? start(j, create, error)
			: vhd_fail_errno(error, -ENOMEM, target, "cannot convert");

	if (r != 0) {
		convert_destroy(&j->job);
		return r;
	}
	*ret = &j->job;
	return 0;
}
