// SPDX-License-Identifier: Apache-2.0
/*
 * A new file on top of a disk in use: the disk becomes the parent that never changes again.
 *
 * What takes time comes before (making the child) and after (bringing the parent's file into order); in between, while nobody uses the
 * disk, there is one flush of the parent and nothing else. It is needed: what the guest flushes from then on reaches the child only.
 * After a power cut before the end the parent may have a log to replay, which opening it for reading does in memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "chain.h"
#include "lib/check.h"

static int open_empty(const struct vhd_host *host, const char *path, struct storage_file **ret,
		      struct vhd_error *error)
{
	uint64_t bytes = 0;
	struct storage_file *f;
	int rc = host->open(host->ctx, path, true, false, &f);

	if (rc != 0) {
		return rc == VHD_IN_USE ? vhd_fail(error, rc, "%s: in use by somebody else", path)
					: vhd_fail_errno(error, rc, path, "cannot open");
	}
	rc = storage_file_get_size(f, &bytes);
	if (rc != 0) {
		vhd_fail_errno(error, rc, path, "cannot tell its size");
	} else if (bytes != 0) {
		rc = vhd_fail(error, VHD_INVALID_ARGUMENT,
			      "%s: has %" PRIu64
			      " bytes; only an empty file is made into a new disk: give another "
			      "name",
			      path, bytes);
	}
	if (rc != 0) {
		storage_file_close(f);
		return rc;
	}
	*ret = f;
	return 0;
}

static int check_writable(struct vhd_disk *d, struct vhd_error *error)
{
	return vhd_block(d)->info.read_only
		       ? vhd_fail(error, VHD_NOT_POSSIBLE, "%s: is open for reading only", d->path)
		       : 0;
}

static int settle_linkage(struct vhd_disk *d, struct vhd_error *error)
{
	const struct vhd_format_ops *ops = d->layer->ops;

	return ops->settle_linkage != NULL ? ops->settle_linkage(d->layer, error) : 0;
}

/* The new disk in @f, open; @f is taken over. */
static int make_child(const struct vhd_host *host, const char *path, struct storage_file *f,
		      struct vhd_disk *parent, struct vhd_disk **ret, struct vhd_error *error)
{
	int rc = vhd_fill_child(host, path, f, parent, error);

	if (rc != 0) {
		storage_file_close(f);
		return rc;
	}
	rc = vhd_open_file(host, path, f, VHD_OPEN_WRITE | VHD_OPEN_NO_PARENT, ret, error);
	if (rc != 0) {
		return rc;
	}
	/* So that the guest's first write need not wait for it. */
	rc = settle_linkage(*ret, error);
	if (rc != 0) {
		vhd_close(*ret);
	}
	return rc;
}

int vhd_branch_create(const struct vhd_host *host, const char *path, struct vhd_disk *parent,
		      struct vhd_disk **ret, struct vhd_error *error)
{
	struct storage_file *f = NULL;
	int rc = check_writable(parent, error);

	rc = rc == 0 ? settle_linkage(parent, error) : rc;
	rc = rc == 0 ? open_empty(host, path, &f, error) : rc;
	return rc == 0 ? make_child(host, path, f, parent, ret, error) : rc;
}

/* ---- The moment ---- */

/* What the child was made for must be what there is. */
static int check_same(struct vhd_disk *child, struct vhd_disk *parent, struct vhd_error *error)
{
	uint64_t want = vhd_block(child)->info.bytes, have = vhd_block(parent)->info.bytes;
	struct vhd_locator *locator = malloc(sizeof(*locator));
	struct vhd_info *info = malloc(sizeof(*info));
	int rc = locator == NULL || info == NULL
			 ? vhd_fail_errno(error, -ENOMEM, child->path, "cannot be used")
			 : child->layer->ops->locator(child->layer, locator, error);

	if (rc == 0) {
		vhd_layer_info(parent->layer, info);
		if (want != have || !guid_equal(&locator->linkage, &info->linkage)) {
			rc = vhd_fail(
				error, VHD_PARENT_MISMATCH,
				"%s: %s was resized or merged since it was made as its child; "
				"make it again",
				child->path, parent->path);
		}
	}
	free(locator);
	free(info);
	return rc;
}

int vhd_branch_switch(struct vhd_disk *child, struct vhd_disk *parent, struct vhd_error *error)
{
	int rc = check_writable(parent, error);

	CHECK(child->parent == NULL);
	if (rc != 0) {
		return rc;
	}
	rc = block_flush(vhd_block(parent));
	if (rc != 0) {
		return vhd_fail_errno(error, rc, parent->path, "cannot write it out");
	}
	rc = check_same(child, parent, error);
	if (rc != 0) {
		return rc;
	}
	parent->layer->block.info.read_only = true;
	vhd_join(child, parent);
	return 0;
}

struct vhd_disk *vhd_branch_undo(struct vhd_disk *child)
{
	struct vhd_disk *parent = child->parent;

	child->parent = NULL;
	child->layer->parent = NULL;
	parent->layer->block.info.read_only = false;
	return parent;
}

int vhd_branch_finish(struct vhd_disk *child, struct vhd_error *error)
{
	return vhd_freeze_disk(child->parent, error);
}
