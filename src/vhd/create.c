// SPDX-License-Identifier: Apache-2.0
/* Making disks: fills in what the caller left open, refuses what cannot be, and leaves nothing behind when it fails. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "locator.h"
#include "vhd_layout.h"

#define MIB (UINT64_C(1) << 20)
#define VHDX_BYTES_MAX (UINT64_C(64) << 40)
#define VHDX_BLOCK_MIN MIB
#define VHDX_BLOCK_MAX (256 * MIB)
#define VHDX_BLOCK_DEFAULT (32 * MIB)
#define VHDX_BLOCK_DIFFERENCING (2 * MIB)
#define PHYSICAL_SECTOR_DEFAULT 4096u

/* One creation under way. */
struct creation {
	const struct vhd_host *host;
	const char *path;    /* the name it will have: for messages */
	const char *part;    /* the name it is made under; NULL: the file is there */
	struct vhd_create c; /* becomes complete */
	struct vhd_locator locator;
	struct vhd_info parent;
	char child_dir[VHD_PATH_BYTES];
	char parent_path[VHD_PATH_BYTES];
};

static bool is_differencing(enum vhd_format f)
{
	return f == VHD_VHD_DIFFERENCING || f == VHD_VHDX_DIFFERENCING;
}

static bool is_vhdx(enum vhd_format f)
{
	return f == VHD_VHDX_FIXED || f == VHD_VHDX_DYNAMIC || f == VHD_VHDX_DIFFERENCING;
}

static bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static const struct vhd_format_ops *format_ops(enum vhd_format f)
{
	return f == VHD_RAW ? &vhd_format_raw : is_vhdx(f) ? &vhd_format_vhdx : &vhd_format_vhd;
}

/* ---- The parent of a differencing disk ---- */

static int describe_parent(struct creation *n, const struct vhd_host *parent_host,
			   struct vhd_error *error)
{
	int rc = parent_host->real_path(parent_host->ctx, n->c.parent, n->parent_path,
					sizeof(n->parent_path));

	if (rc != 0) {
		return vhd_fail_errno(error, rc, n->c.parent, "cannot find the parent");
	}
	rc = vhd_real_directory(n->host, n->path, n->part == NULL, n->child_dir, error);
	rc = rc == 0 ? vhd_locator_make(n->child_dir, n->parent_path, &n->locator, error) : rc;
	if (rc == 0) {
		n->locator.linkage = n->parent.linkage;
	}
	return rc;
}

/* What a child takes over unless the caller says otherwise. */
static void inherit(struct creation *n)
{
	struct vhd_create *c = &n->c;

	c->bytes = c->bytes == 0 ? n->parent.bytes : c->bytes;
	c->sector_bytes = c->sector_bytes == 0 ? n->parent.sector_bytes : c->sector_bytes;
	if (c->physical_sector_bytes == 0) {
		c->physical_sector_bytes = n->parent.physical_sector_bytes;
	}
	/* The guest must not see another disk when a checkpoint is taken (VPD page 83h). */
	if (is_vhdx(c->format) && guid_is_zero(&c->id)) {
		c->id = n->parent.id;
	}
}

static int check_against_parent(const struct creation *n, struct vhd_error *error)
{
	const struct vhd_create *c = &n->c;

	if (c->sector_bytes != n->parent.sector_bytes) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: sectors of %" PRIu32
				" bytes do not fit the parent's of %" PRIu32
				"; leave the sector size out",
				n->path, c->sector_bytes, n->parent.sector_bytes);
	}
	if (c->format == VHD_VHD_DIFFERENCING && c->bytes != n->parent.bytes) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: %" PRIu64 " bytes asked for, but a differencing VHD is as "
				"large as its parent, %" PRIu64 "; leave the size out",
				n->path, c->bytes, n->parent.bytes);
	}
	if (c->bytes < n->parent.bytes) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: %" PRIu64 " bytes asked for, less than the parent's %" PRIu64,
				n->path, c->bytes, n->parent.bytes);
	}
	return 0;
}

static int take_parent(struct creation *n, struct vhd_error *error)
{
	struct vhd_disk *parent;
	int rc;

	if (n->c.parent == NULL) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a differencing disk needs a parent", n->path);
	}
	rc = vhd_open(n->host, n->c.parent, 0, &parent, error);
	if (rc != 0) {
		return rc;
	}
	vhd_get_info(parent, &n->parent);
	vhd_close(parent);
	inherit(n);
	rc = check_against_parent(n, error);
	return rc == 0 ? describe_parent(n, n->host, error) : rc;
}

/* ---- Sizes ---- */

static uint64_t default_block(enum vhd_format f)
{
	switch (f) {
	case VHD_VHD_DYNAMIC:
	case VHD_VHD_DIFFERENCING:
		return VHD_BLOCK_BYTES_DEFAULT;
	case VHD_VHDX_FIXED:
	case VHD_VHDX_DYNAMIC:
		return VHDX_BLOCK_DEFAULT;
	case VHD_VHDX_DIFFERENCING:
		return VHDX_BLOCK_DIFFERENCING;
	case VHD_RAW:
	case VHD_VHD_FIXED:
		break;
	}
	return 0;
}

static void fill_in(struct creation *n)
{
	struct vhd_create *c = &n->c;

	c->block_bytes = c->block_bytes == 0 ? default_block(c->format) : c->block_bytes;
	c->sector_bytes = c->sector_bytes == 0 ? 512 : c->sector_bytes;
	if (c->physical_sector_bytes == 0) {
		c->physical_sector_bytes = is_vhdx(c->format) ? PHYSICAL_SECTOR_DEFAULT : 512;
	}
	if (guid_is_zero(&c->id)) {
		uint8_t random[16];

		n->host->random(n->host->ctx, random, sizeof(random));
		c->id = guid_from_random(random);
	}
}

static int check_sectors(const struct creation *n, struct vhd_error *error)
{
	const struct vhd_create *c = &n->c;

	if (c->sector_bytes != 512 && !(is_vhdx(c->format) && c->sector_bytes == 4096)) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: sector size %" PRIu32
				"; a VHDX has 512 or 4096, everything else 512",
				n->path, c->sector_bytes);
	}
	if (is_vhdx(c->format) && c->physical_sector_bytes != 512 &&
	    c->physical_sector_bytes != 4096) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: physical sector size %" PRIu32 "; it is 512 or 4096", n->path,
				c->physical_sector_bytes);
	}
	return 0;
}

static int check_size(const struct creation *n, struct vhd_error *error)
{
	const struct vhd_create *c = &n->c;
	uint64_t up = align_up(c->bytes, c->sector_bytes);

	if (c->bytes == 0) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT, "%s: a disk needs a size", n->path);
	}
	if (is_vhdx(c->format) && c->bytes > VHDX_BYTES_MAX) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a VHDX holds at most 64 TiB, %" PRIu64
				" bytes; asked for %" PRIu64,
				n->path, VHDX_BYTES_MAX, c->bytes);
	}
	if (!is_vhdx(c->format) && c->format != VHD_RAW && c->bytes > VHD_BYTES_MAX) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a VHD holds at most 2040 GiB, %" PRIu64
				" bytes; asked for %" PRIu64 "; make a VHDX",
				n->path, VHD_BYTES_MAX, c->bytes);
	}
	if (up != c->bytes) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: %" PRIu64 " bytes are not whole sectors of %" PRIu32
				"; the next size is %" PRIu64,
				n->path, c->bytes, c->sector_bytes, up);
	}
	return 0;
}

static int check_block(const struct creation *n, struct vhd_error *error)
{
	const struct vhd_create *c = &n->c;
	uint64_t least = is_vhdx(c->format) ? VHDX_BLOCK_MIN : VHD_BLOCK_BYTES_MIN;
	uint64_t most = is_vhdx(c->format) ? VHDX_BLOCK_MAX : VHD_BLOCK_BYTES_MAX;

	if (c->format == VHD_RAW || c->format == VHD_VHD_FIXED) {
		if (c->block_bytes == 0) {
			return 0;
		}
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: a %s disk has no blocks; leave the block size out", n->path,
				vhd_format_name(c->format));
	}
	if (!is_power_of_two(c->block_bytes) || c->block_bytes < least || c->block_bytes > most) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: block size %" PRIu64 "; a power of two from %" PRIu64
				" to %" PRIu64,
				n->path, c->block_bytes, least, most);
	}
	return 0;
}

static int complete_shape(struct creation *n, struct vhd_error *error)
{
	fill_in(n);
	int rc = check_sectors(n, error);

	rc = rc == 0 ? check_size(n, error) : rc;
	return rc == 0 ? check_block(n, error) : rc;
}

/* Turns what was asked into what will be made. */
static int complete(struct creation *n, struct vhd_error *error)
{
	int rc = 0;

	if (is_differencing(n->c.format)) {
		rc = take_parent(n, error);
	} else if (n->c.parent != NULL) {
		rc = vhd_fail(error, VHD_INVALID_ARGUMENT,
			      "%s: only a differencing disk has a parent", n->path);
	}
	return rc == 0 ? complete_shape(n, error) : rc;
}

/* ---- The file ---- */

/* Durable when it returns 0. */
static int fill_file(struct creation *n, struct storage_file *f, struct vhd_error *error)
{
	const struct vhd_locator *locator = is_differencing(n->c.format) ? &n->locator : NULL;
	int rc = format_ops(n->c.format)->create(n->host, f, &n->c, locator, error);

	if (rc == 0) {
		rc = storage_file_flush(f);
		rc = rc == 0 ? 0 : vhd_fail_errno(error, rc, n->path, "cannot write it out");
	}
	return rc;
}

static int make_file(struct creation *n, struct vhd_error *error)
{
	const struct vhd_host *host = n->host;
	struct storage_file *f;
	int rc = host->open(host->ctx, n->part, true, true, &f);

	if (rc == VHD_IN_USE) {
		return vhd_fail(error, rc, "%s: in use by somebody else", n->path);
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, n->path, "cannot create");
	}
	rc = fill_file(n, f, error);
	storage_file_close(f);
	if (rc != 0) {
		(void)host->remove(host->ctx, n->part);
	}
	return rc;
}

int vhd_create_part(const struct vhd_host *host, const char *path, const char *part,
		    const struct vhd_create *create, struct vhd_error *error)
{
	struct creation *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL) {
		return vhd_fail_errno(error, -ENOMEM, path, "cannot create");
	}
	n->host = host;
	n->path = path;
	n->part = part;
	n->c = *create;
	rc = complete(n, error);
	rc = rc == 0 ? make_file(n, error) : rc;
	free(n);
	return rc;
}

int vhd_create(const struct vhd_host *host, const char *path, const struct vhd_create *create,
	       struct vhd_error *error)
{
	char *part = vhd_part_name(host, path);
	int rc = part == NULL ? vhd_fail_errno(error, -ENOMEM, path, "cannot create")
			      : vhd_refuse_existing(host, path, error);

	if (rc == 0) {
		rc = vhd_create_part(host, path, part, create, error);
		if (rc == 0) {
			rc = vhd_publish(host, part, path, error);
			if (rc != 0) {
				(void)host->remove(host->ctx, part);
			}
		}
	}
	free(part);
	return rc;
}

/* ---- A child of an open disk ---- */

static int shape_child(struct creation *n, struct vhd_disk *parent, struct vhd_error *error)
{
	vhd_layer_info(parent->layer, &n->parent);
	n->c.parent = parent->path;
	n->c.format = is_vhdx(n->parent.format) ? VHD_VHDX_DIFFERENCING : VHD_VHD_DIFFERENCING;
	if (!is_vhdx(n->parent.format) && n->parent.bytes > VHD_BYTES_MAX) {
		return vhd_fail(
			error, VHD_NOT_POSSIBLE,
			"%s: a %s disk of %" PRIu64
			" bytes can have no differencing disk: a VHD, the only kind that can "
			"stand on it, holds at most %" PRIu64 "; convert it to VHDX",
			parent->path, vhd_format_name(n->parent.format), n->parent.bytes,
			VHD_BYTES_MAX);
	}
	inherit(n);
	int rc = describe_parent(n, &parent->host, error);

	return rc == 0 ? complete_shape(n, error) : rc;
}

int vhd_fill_child(const struct vhd_host *host, const char *path, struct storage_file *f,
		   struct vhd_disk *parent, struct vhd_error *error)
{
	struct creation *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		return vhd_fail_errno(error, -ENOMEM, path, "cannot create");
	}
	n->host = host;
	n->path = path;
	int rc = shape_child(n, parent, error);

	rc = rc == 0 ? fill_file(n, f, error) : rc;
	free(n);
	return rc;
}
