// SPDX-License-Identifier: Apache-2.0
/* Opening disks: which format, which parents; and what is known about an open one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

static int open_layer(struct vhd_disk *d, uint32_t flags, struct vhd_error *error)
{
	const struct vhd_format_ops *ops = NULL;
	struct storage_file *f;
	int rc = open_file(&d->host, d->path, (flags & VHD_OPEN_WRITE) != 0, &f, error);

	if (rc != 0) {
		return rc;
	}
	rc = find_format(d->path, f, flags, &ops, error);
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

/* Opens one file, without parents. */
static int open_one(const struct vhd_host *host, const char *path, uint32_t flags,
		    struct vhd_disk **ret, struct vhd_error *error)
{
	struct vhd_disk *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL || (d->path = strdup(path)) == NULL) {
		free(d);
		return vhd_fail_errno(error, -ENOMEM, path, "cannot open");
	}
	d->host = *host;
	rc = open_layer(d, flags, error);
	if (rc != 0) {
		free(d->path);
		free(d);
		return rc;
	}
	*ret = d;
	return 0;
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

struct vhd_disk *vhd_ancestor(struct vhd_disk *d, unsigned depth)
{
	while (d != NULL && depth-- > 0) {
		d = d->parent;
	}
	return d;
}

/* ---- Parents ---- */

/* The search for one disk's parent. */
struct search {
	struct vhd_disk *top;
	struct vhd_disk *child;
	uint32_t flags;
	struct vhd_locator locator;
	struct vhd_info child_info, parent_info;
	char child_dir[VHD_PATH_BYTES];
	char place[VHD_PATH_BYTES];
};

static int check_cycle(const struct search *s, struct vhd_error *error)
{
	const struct vhd_host *host = &s->top->host;

	for (struct vhd_disk *d = s->top; d != NULL; d = d->parent) {
		if (host->same_file(host->ctx, d->path, s->place)) {
			return vhd_fail(error, VHD_CHAIN_CYCLE,
					"%s: its parent is %s, which is already in the chain",
					s->child->path, s->place);
		}
	}
	return 0;
}

static bool is_vhd(enum vhd_format f)
{
	return f == VHD_VHD_FIXED || f == VHD_VHD_DYNAMIC || f == VHD_VHD_DIFFERENCING;
}

static int check_linkage(const struct search *s, struct vhd_error *error)
{
	const struct vhd_locator *l = &s->locator;
	const struct guid *found = &s->parent_info.linkage;
	char want[GUID_TEXT_BYTES], have[GUID_TEXT_BYTES];

	if (guid_equal(found, &l->linkage) ||
	    (!guid_is_zero(&l->linkage2) && guid_equal(found, &l->linkage2))) {
		return 0;
	}
	guid_format(&l->linkage, want);
	guid_format(found, have);
	return vhd_fail(error, VHD_PARENT_MISMATCH,
			"%s: its parent must have the identity %s, but %s has %s: it was changed "
			"or replaced after the "
			"child was made",
			s->child->path, want, s->place, have);
}

static int check_shape(const struct search *s, struct vhd_error *error)
{
	const struct vhd_info *child = &s->child_info, *parent = &s->parent_info;

	if (child->sector_bytes != parent->sector_bytes) {
		return vhd_fail(
			error, VHD_PARENT_SIZE,
			"%s: has sectors of %" PRIu32 " bytes, but its parent %s of %" PRIu32,
			s->child->path, child->sector_bytes, s->place, parent->sector_bytes);
	}
	/* Both formats say it so: VHD children are as large as their parents, VHDX children may differ. */
	if (is_vhd(child->format) && child->bytes != parent->bytes) {
		return vhd_fail(error, VHD_PARENT_SIZE,
				"%s: has %" PRIu64 " bytes, but its parent %s has %" PRIu64,
				s->child->path, child->bytes, s->place, parent->bytes);
	}
	return 0;
}

/* Opens s->place as the parent. */
static int try_place(struct search *s, struct vhd_error *error)
{
	uint32_t flags = s->flags & VHD_OPEN_CHS_SIZE;
	struct vhd_disk *parent;
	int rc = check_cycle(s, error);

	if (rc != 0) {
		return rc;
	}
	/* A VHD that names no identity stands on raw data (Interop: blktap). */
	if (guid_is_zero(&s->locator.linkage) && is_vhd(s->child_info.format)) {
		flags |= VHD_OPEN_RAW;
	}
	rc = open_one(&s->top->host, s->place, flags, &parent, error);
	if (rc != 0) {
		return rc;
	}
	parent->layer->ops->info(parent->layer, &s->parent_info);
	rc = check_linkage(s, error);
	rc = rc == 0 ? check_shape(s, error) : rc;
	if (rc != 0) {
		vhd_close(parent);
		return rc;
	}
	s->child->parent = parent;
	s->child->layer->parent = parent->layer;
	return 0;
}

static const char *recorded_path(const struct vhd_locator *l)
{
	return l->relative[0]	? l->relative
	       : l->absolute[0] ? l->absolute
	       : l->volume[0]	? l->volume
				: l->name;
}

static int parent_missing(const struct search *s, struct vhd_error *error)
{
	return vhd_fail(error, VHD_PARENT_MISSING,
			"%s: its parent is not there: recorded as \"%.160s\", looked for in "
			"%.160s; put it there or "
			"reconnect the disk to where it is",
			s->child->path, recorded_path(&s->locator), s->child_dir);
}

/*
 * Goes through the places where the parent may be. What is there but does not fit is passed over: a better one may follow; if none does, the
 * first thing that was wrong is told.
 */
static int find_parent(struct search *s, struct vhd_error *error)
{
	struct vhd_error trouble;
	int result = VHD_PARENT_MISSING;

	for (unsigned i = 0; i < VHD_LOCATOR_PLACES; i++) {
		int rc;

		if (!vhd_locator_place(&s->locator, s->child_dir, i, s->place)) {
			continue;
		}
		rc = try_place(s, &trouble);
		if (rc == 0) {
			return 0;
		}
		if (rc != -ENOENT && rc != -ENOTDIR && result == VHD_PARENT_MISSING) {
			result = rc;
			vhd_fail(error, rc, "%s", trouble.text);
		}
	}
	return result == VHD_PARENT_MISSING ? parent_missing(s, error) : result;
}

/* Finds, opens and attaches the parent of s->child. */
static int attach_parent(struct search *s, struct vhd_error *error)
{
	struct vhd_disk *d = s->child;
	int rc = d->layer->ops->locator(d->layer, &s->locator, error);

	if (rc == 0) {
		rc = vhd_real_directory(&d->host, d->path, true, s->child_dir, error);
	}
	if (rc == 0) {
		rc = find_parent(s, error);
	}
	if (rc == 0 && (d->parent_path = strdup(s->place)) == NULL) {
		rc = vhd_fail_errno(error, -ENOMEM, d->path, "cannot open");
	}
	return rc;
}

static int attach_parents(struct vhd_disk *top, uint32_t flags, struct vhd_error *error)
{
	struct search *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (s == NULL) {
		return vhd_fail_errno(error, -ENOMEM, top->path, "cannot open");
	}
	s->top = top;
	s->flags = flags;
	for (struct vhd_disk *d = top; d != NULL && rc == 0; d = d->parent) {
		s->child = d;
		d->layer->ops->info(d->layer, &s->child_info);
		if (!s->child_info.has_parent) {
			break;
		}
		rc = attach_parent(s, error);
	}
	free(s);
	return rc;
}

int vhd_open(const struct vhd_host *host, const char *path, uint32_t flags, struct vhd_disk **ret,
	     struct vhd_error *error)
{
	struct vhd_disk *d;
	int rc = open_one(host, path, flags, &d, error);

	if (rc != 0) {
		return rc;
	}
	rc = flags & VHD_OPEN_NO_PARENT ? 0 : attach_parents(d, flags, error);
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
		snprintf(ret->parent_path, sizeof(ret->parent_path), "%s", recorded_path(l));
	}
	free(l);
}

void vhd_get_info(struct vhd_disk *d, struct vhd_info *ret)
{
	memset(ret, 0, sizeof(*ret));
	d->layer->ops->info(d->layer, ret);
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
