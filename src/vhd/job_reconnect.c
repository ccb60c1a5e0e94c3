// SPDX-License-Identifier: Apache-2.0
/* Reconnect: another place, and perhaps identity, of a parent. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "locator.h"

struct reconnection {
	const struct vhd_host *host;
	const char *child;
	const char *parent;
	bool force;
	struct vhd_info parent_info, child_info;
	struct vhd_locator old, new;
	char child_dir[VHD_PATH_BYTES];
	char parent_path[VHD_PATH_BYTES];
};

/* The child must not be below itself. */
static int check_cycle(struct reconnection *c, struct vhd_disk *parent, struct vhd_error *error)
{
	for (unsigned depth = 0; vhd_ancestor(parent, depth) != NULL; depth++) {
		struct vhd_disk *d = vhd_ancestor(parent, depth);

		if (c->host->same_file(c->host->ctx, d->path, c->child)) {
			return vhd_fail(error, VHD_CHAIN_CYCLE,
					"%s: cannot be a parent of %s, on which it stands itself",
					c->parent, c->child);
		}
	}
	return 0;
}

/* The new parent must be a disk that works, with all its own parents. */
static int inspect_parent(struct reconnection *c, struct vhd_error *error)
{
	struct vhd_disk *parent;

	if (c->host->same_file(c->host->ctx, c->parent, c->child)) {
		return vhd_fail(error, VHD_CHAIN_CYCLE, "%s: cannot be its own parent", c->child);
	}
	int r = vhd_open(c->host, c->parent, 0, &parent, error);

	/* A file without any format can be a parent, too: as raw data. Nothing tells whether it is the right one. */
	if (r == VHD_NOT_A_DISK && c->force) {
		r = vhd_open(c->host, c->parent, VHD_OPEN_RAW, &parent, error);
	}
	if (r != 0) {
		return r;
	}
	r = check_cycle(c, parent, error);
	vhd_get_info(parent, &c->parent_info);
	vhd_close(parent);
	return r;
}

static bool is_vhd(enum vhd_format f)
{
	return f == VHD_VHD_FIXED || f == VHD_VHD_DYNAMIC || f == VHD_VHD_DIFFERENCING;
}

static int check_shape(const struct reconnection *c, struct vhd_error *error)
{
	const struct vhd_info *child = &c->child_info, *parent = &c->parent_info;

	if (parent->format == VHD_RAW && !is_vhd(child->format)) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: a VHDX cannot stand on %s, which is neither VHD nor VHDX",
				c->child, c->parent);
	}
	if (child->sector_bytes != parent->sector_bytes) {
		return vhd_fail(error, VHD_PARENT_SIZE,
				"%s: has sectors of %" PRIu32 " bytes, but %s of %" PRIu32,
				c->child, child->sector_bytes, c->parent, parent->sector_bytes);
	}
	if (is_vhd(child->format) && child->bytes != parent->bytes) {
		return vhd_fail(error, VHD_PARENT_SIZE,
				"%s: has %" PRIu64 " bytes, but %s has %" PRIu64
				"; a differencing VHD is as large as "
				"its parent",
				c->child, child->bytes, c->parent, parent->bytes);
	}
	return 0;
}

static int check_identity(const struct reconnection *c, struct vhd_error *error)
{
	const struct guid *found = &c->parent_info.linkage;
	char want[GUID_TEXT_BYTES], have[GUID_TEXT_BYTES];

	if (c->force || guid_equal(found, &c->old.linkage) ||
	    (!guid_is_zero(&c->old.linkage2) && guid_equal(found, &c->old.linkage2))) {
		return 0;
	}
	guid_format(&c->old.linkage, want);
	guid_format(found, have);
	return vhd_fail(error, VHD_PARENT_MISMATCH,
			"%s: was made on a disk with the identity %s, but %s has %s: it is another "
			"one, or was changed since; only force accepts it",
			c->child, want, c->parent, have);
}

/* Everything about the place is new; the identity is the one that was found. */
static int make_locator(struct reconnection *c, struct vhd_error *error)
{
	int r = c->host->real_path(c->host->ctx, c->parent, c->parent_path, sizeof(c->parent_path));

	if (r != 0) {
		return vhd_fail_errno(error, r, c->parent, "cannot find it");
	}
	r = vhd_real_directory(c->host, c->child, true, c->child_dir, error);
	r = r == 0 ? vhd_locator_make(c->child_dir, c->parent_path, &c->new, error) : r;
	c->new.linkage = c->parent_info.linkage;
	return r;
}

static int change_child(struct reconnection *c, struct vhd_disk *child, struct vhd_error *error)
{
	vhd_get_info(child, &c->child_info);
	if (!c->child_info.has_parent) {
		return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: is a %s disk and has no parent",
				c->child, vhd_format_name(c->child_info.format));
	}
	int r = child->layer->ops->locator(child->layer, &c->old, error);

	r = r == 0 ? check_shape(c, error) : r;
	r = r == 0 ? check_identity(c, error) : r;
	r = r == 0 ? make_locator(c, error) : r;
	return r == 0 ? child->layer->ops->set_locator(child->layer, &c->new, error) : r;
}

static int reconnect(struct reconnection *c, struct vhd_error *error)
{
	struct vhd_disk *child;
	int r = inspect_parent(c, error);

	r = r == 0 ? vhd_open(c->host, c->child, VHD_OPEN_WRITE | VHD_OPEN_NO_PARENT, &child, error)
		   : r;
	if (r != 0) {
		return r;
	}
	r = change_child(c, child, error);
	int closed = vhd_close(child);

	return r != 0 || closed == 0 ? r
				     : vhd_fail_errno(error, closed < 0 ? closed : -EIO, c->child,
						      "cannot write it out");
}

int vhd_reconnect(const struct vhd_host *host, const char *child, const char *parent, bool force,
		  struct vhd_error *error)
{
	struct reconnection *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		return vhd_fail_errno(error, -ENOMEM, child, "cannot reconnect");
	}
	c->host = host;
	c->child = child;
	c->parent = parent;
	c->force = force;
	int r = reconnect(c, error);

	free(c);
	return r;
}
