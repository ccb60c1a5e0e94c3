// SPDX-License-Identifier: Apache-2.0
/* The chain of a disk: finding, opening and checking its parents, one after the other. */
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

void vhd_join(struct vhd_disk *child, struct vhd_disk *parent)
{
	struct block_info *info = &child->layer->block.info;

	child->parent = parent;
	child->layer->parent = parent->layer;
	child->layer->parent_absent = false;
	/* A VHDX records both itself. */
	if (child->layer->ops != &vhd_format_vhdx) {
		info->id = parent->layer->block.info.id;
		info->physical_sector_bytes = parent->layer->block.info.physical_sector_bytes;
	}
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
	rc = vhd_open_one(&s->top->host, s->place, flags, &parent, error);
	if (rc != 0) {
		return rc;
	}
	vhd_layer_info(parent->layer, &s->parent_info);
	rc = check_linkage(s, error);
	rc = rc == 0 ? check_shape(s, error) : rc;
	if (rc != 0) {
		vhd_close(parent);
		return rc;
	}
	s->child->parent = parent;
	return 0;
}

const char *vhd_recorded_path(const struct vhd_locator *l)
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
			s->child->path, vhd_recorded_path(&s->locator), s->child_dir);
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

static int check_merged(const struct search *s, struct vhd_error *error)
{
	static const struct guid merged = VHD_MERGED_LINKAGE;

	if (!guid_equal(&s->locator.linkage, &merged)) {
		return 0;
	}
	return vhd_fail(error, VHD_MERGED,
			"%s: was merged into its parent, recorded as \"%.160s\", which is the disk "
			"now; use that one, and remove this file",
			s->child->path, vhd_recorded_path(&s->locator));
}

/* Finds, opens and attaches the parent of s->child. */
static int attach_parent(struct search *s, struct vhd_error *error)
{
	struct vhd_disk *d = s->child;
	int rc = d->layer->ops->locator(d->layer, &s->locator, error);

	rc = rc == 0 ? check_merged(s, error) : rc;
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

/* From the bottom up, as each takes something from the one below. Without recursion: as often through the chain as it is deep. */
static void join_all(struct vhd_disk *top)
{
	for (struct vhd_disk *below = NULL; below != top;) {
		struct vhd_disk *d = top;

		while (d->parent != below) {
			d = d->parent;
		}
		if (below != NULL) {
			vhd_join(d, below);
		}
		below = d;
	}
}

int vhd_attach_parents(struct vhd_disk *top, uint32_t flags, struct vhd_error *error)
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
		vhd_layer_info(d->layer, &s->child_info);
		if (!s->child_info.has_parent) {
			break;
		}
		rc = attach_parent(s, error);
	}
	free(s);
	if (rc == 0) {
		join_all(top);
	}
	return rc;
}
