// SPDX-License-Identifier: Apache-2.0
/* Opening disks: which format, which parents; and what is known about an open one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chain.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "locator.h"

static const char *const format_names[] = {
	[VHD_RAW] = "raw",
	[VHD_VHD_FIXED] = "vhd-fixed",
	[VHD_VHD_DYNAMIC] = "vhd-dynamic",
	[VHD_VHD_DIFFERENCING] = "vhd-differencing",
	[VHD_VHDX_FIXED] = "vhdx-fixed",
	[VHD_VHDX_DYNAMIC] = "vhdx-dynamic",
	[VHD_VHDX_DIFFERENCING] = "vhdx-differencing",
};

const char *vhd_format_name(enum vhd_format format)
{
	CHECK((size_t)format < ARRAY_LEN(format_names));
	return format_names[format];
}

bool vhd_format_parse(const char *name, enum vhd_format *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(format_names); i++) {
		if (strcmp(name, format_names[i]) == 0) {
			*ret = (enum vhd_format)i;
			return true;
		}
	}
	return false;
}

static bool has_extension(const char *path, const char *vhd, const char *avhd)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && (strcasecmp(dot, vhd) == 0 || strcasecmp(dot, avhd) == 0);
}

/*
 * The start of a fixed VHD and the end of a VHDX are the guest's to write: when a file claims to be both, only its name can tell.
 */
static int settle_claims(const char *path, const struct vhd_format_ops **ret,
			 struct vhd_error *error)
{
	if (has_extension(path, ".vhd", ".avhd")) {
		*ret = &vhd_format_vhd;
		return 0;
	}
	if (has_extension(path, ".vhdx", ".avhdx")) {
		*ret = &vhd_format_vhdx;
		return 0;
	}
	return vhd_fail(
		error, VHD_NOT_A_DISK,
		"%s: begins as a VHDX and ends as a VHD; give it the extension of what it is",
		path);
}

static int find_format(const char *path, struct storage_file *f, uint32_t flags,
		       const struct vhd_format_ops **ret, struct vhd_error *error)
{
	int vhd, vhdx;

	if (flags & VHD_OPEN_RAW) {
		*ret = &vhd_format_raw;
		return 0;
	}
	vhd = vhd_format_vhd.probe(f);
	vhdx = vhd < 0 ? vhd : vhd_format_vhdx.probe(f);
	if (vhdx < 0) {
		return vhd_fail_errno(error, vhdx, path, "cannot read its first and last sector");
	}
	if (vhd && vhdx) {
		return settle_claims(path, ret, error);
	}
	if (!vhd && !vhdx) {
		return vhd_fail(error, VHD_NOT_A_DISK,
				"%s: neither VHD (no \"conectix\" footer in the last sector or "
				"copy at 0) nor VHDX (no "
				"\"vhdxfile\" at 0); say that it is raw if it is",
				path);
	}
	*ret = vhd ? &vhd_format_vhd : &vhd_format_vhdx;
	return 0;
}

static int open_file(const struct vhd_host *host, const char *path, bool write,
		     struct storage_file **ret, struct vhd_error *error)
{
	int rc = host->open(host->ctx, path, write, false, ret);

	if (rc == VHD_IN_USE) {
		return vhd_fail(error, rc, "%s: in use by somebody else", path);
	}
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, path, "cannot open");
}

/* Takes over @f. */
static int open_layer(struct vhd_disk *d, struct storage_file *f, uint32_t flags,
		      struct vhd_error *error)
{
	const struct vhd_format_ops *ops = NULL;
	int rc = find_format(d->path, f, flags, &ops, error);
	if (rc != 0) {
		storage_file_close(f);
		return rc;
	}
	rc = ops->open(&d->host, f, flags, &d->layer, error);
	if (rc == 0) {
		d->layer->disk = d;
	}
	return rc;
}

int vhd_open_file(const struct vhd_host *host, const char *path, struct storage_file *f,
		  uint32_t flags, struct vhd_disk **ret, struct vhd_error *error)
{
	struct vhd_disk *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL || (d->path = strdup(path)) == NULL) {
		free(d);
		storage_file_close(f);
		return vhd_fail_errno(error, -ENOMEM, path, "cannot open");
	}
	d->host = *host;
	rc = open_layer(d, f, flags, error);
	if (rc != 0) {
		free(d->path);
		free(d);
		return rc;
	}
	*ret = d;
	return 0;
}

int vhd_open_one(const struct vhd_host *host, const char *path, uint32_t flags,
		 struct vhd_disk **ret, struct vhd_error *error)
{
	struct storage_file *f;
	int rc = open_file(host, path, (flags & VHD_OPEN_WRITE) != 0, &f, error);

	return rc == 0 ? vhd_open_file(host, path, f, flags, ret, error) : rc;
}

static int close_one(struct vhd_disk *d)
{
	int rc = d->layer->ops->close(d->layer);

	free(d->path);
	free(d->parent_path);
	free(d);
	return rc;
}

int vhd_close(struct vhd_disk *d)
{
	int result = 0;

	/* The top first: what it still writes it may have to read from its parents. */
	while (d != NULL) {
		struct vhd_disk *parent = d->parent;
		int rc = close_one(d);

		result = result == 0 ? rc : result;
		d = parent;
	}
	return result;
}

void vhd_layer_destroy(struct block_device *b)
{
	(void)vhd_close(container_of(b, struct vhd_layer, block)->disk);
}

struct block_device *vhd_block(struct vhd_disk *d)
{
	return &d->layer->block;
}

const char *vhd_path(const struct vhd_disk *d)
{
	return d->path;
}

struct vhd_disk *vhd_ancestor(struct vhd_disk *d, unsigned depth)
{
	while (d != NULL && depth-- > 0) {
		d = d->parent;
	}
	return d;
}

/* ---- Opening ---- */

int vhd_open(const struct vhd_host *host, const char *path, uint32_t flags, struct vhd_disk **ret,
	     struct vhd_error *error)
{
	struct vhd_disk *d;
	int rc = vhd_open_one(host, path, flags, &d, error);

	if (rc != 0) {
		return rc;
	}
	rc = flags & VHD_OPEN_NO_PARENT ? 0 : vhd_attach_parents(d, flags, error);
	if (rc != 0) {
		vhd_close(d);
		return rc;
	}
	*ret = d;
	return 0;
}

/* ---- Inspection ---- */

/* What the file itself says about its parent. */
static void recorded_parent(struct vhd_disk *d, struct vhd_info *ret)
{
	struct vhd_locator *l = malloc(sizeof(*l));

	if (l != NULL && d->layer->ops->locator(d->layer, l, NULL) == 0) {
		ret->parent_linkage = l->linkage;
		snprintf(ret->parent_path, sizeof(ret->parent_path), "%s", vhd_recorded_path(l));
	}
	free(l);
}

void vhd_layer_info(struct vhd_layer *l, struct vhd_info *ret)
{
	memset(ret, 0, sizeof(*ret));
	l->ops->info(l, ret);
}

int vhd_freeze_disk(struct vhd_disk *d, struct vhd_error *error)
{
	struct storage_file *f = d->layer->file;
	int rc = f->writable ? d->layer->ops->freeze(d->layer, error) : 0;

	if (rc == 0 && f->writable && d->host.unclaim != NULL) {
		d->host.unclaim(d->host.ctx, f);
	}
	return rc;
}

void vhd_get_info(struct vhd_disk *d, struct vhd_info *ret)
{
	vhd_layer_info(d->layer, ret);
	d->layer->ops->usage(d->layer, ret);
	if (storage_file_get_size(d->layer->file, &ret->file_bytes) != 0) {
		ret->file_bytes = 0;
	}
	snprintf(ret->path, sizeof(ret->path), "%s", d->path);
	if (ret->has_parent) {
		recorded_parent(d, ret);
	}
	if (d->parent_path != NULL) {
		snprintf(ret->parent_path, sizeof(ret->parent_path), "%s", d->parent_path);
	}
}

int vhd_map(struct vhd_disk *d, uint64_t offset, struct vhd_extent *ret, struct vhd_error *error)
{
	struct vhd_extent found = {.kind = VHD_EXTENT_ABSENT};
	uint64_t end = d->layer->block.info.bytes;

	if (offset >= end || offset % d->layer->block.info.sector_bytes != 0) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT, "%s: no sector begins at %" PRIu64,
				d->path, offset);
	}
	found.bytes = end - offset;
	for (; d != NULL && offset < d->layer->block.info.bytes; d = d->parent, found.depth++) {
		struct vhd_local_extent local;
		int rc = d->layer->ops->map(d->layer, offset, &local, error);

		if (rc != 0) {
			return rc;
		}
		CHECK(local.bytes != 0);
		found.bytes = min_u64(found.bytes,
				      min_u64(local.bytes, d->layer->block.info.bytes - offset));
		if (local.kind == VHD_LOCAL_PARENT) {
			continue;
		}
		found.kind = local.kind == VHD_LOCAL_ZERO ? VHD_EXTENT_ZERO : VHD_EXTENT_DATA;
		found.file_offset = local.kind == VHD_LOCAL_DATA ? local.file_offset : 0;
		*ret = found;
		return 0;
	}
	found.depth = 0;
	*ret = found;
	return 0;
}
