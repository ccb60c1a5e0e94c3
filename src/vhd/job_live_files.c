// SPDX-License-Identifier: Apache-2.0
/* The files of a merge in use: opened for writing beside the chain, put into it, and what they say of each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "job_live.h"
#include "lib/bits.h"
#include "lib/check.h"

/* ---- Claiming ---- */

static int claim_file(struct vhd_live *j, struct vhd_disk *d, struct storage_file **ret,
		      struct vhd_error *error)
{
	int r = j->host.claim(j->host.ctx, d->path, d->layer->file, ret);

	if (r == VHD_IN_USE) {
		return vhd_fail(
			error, r,
			"%s: in use by somebody else, too; a merge would change what they see",
			d->path);
	}
	return r == 0 ? 0 : vhd_fail_errno(error, r, d->path, "cannot open it for writing");
}

static int claim(struct vhd_live *j, struct vhd_live_file *f, struct vhd_disk *d,
		 struct vhd_error *error)
{
	uint32_t flags = VHD_OPEN_WRITE | VHD_OPEN_NO_PARENT;
	struct storage_file *file = NULL;
	int r = vhd_freeze_disk(d, error); /* of a checkpoint just made */

	r = r == 0 ? claim_file(j, d, &file, error) : r;
	if (r != 0) {
		return r;
	}
	flags |= d->layer->ops == &vhd_format_raw ? VHD_OPEN_RAW : 0;
	r = vhd_open_file(&j->host, d->path, file, flags, &f->fresh, error);
	if (r != 0) {
		f->fresh = NULL;
		j->host.unclaim(j->host.ctx, d->layer->file);
		return r;
	}
	f->old = d;
	return 0;
}

int vhd_live_claim(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_disk *lowest = vhd_ancestor(j->top, j->depth + j->count - 1);
	int r = claim(j, &j->base, lowest->parent, error);

	if (r == 0 && lowest != j->top) {
		r = claim(j, &j->lowest, lowest, error);
	}
	if (r == 0 && j->depth > 1) {
		r = claim(j, &j->above, vhd_ancestor(j->top, j->depth - 1), error);
	}
	return r;
}

static void swap(struct vhd_live *j, struct vhd_live_file *f)
{
	struct vhd_disk *child = j->top, *old = f->old, *fresh = f->fresh;

	if (old == NULL) {
		return;
	}
	while (child->parent != old) {
		child = child->parent;
	}
	fresh->parent_path = old->parent_path;
	old->parent_path = NULL;
	if (old->parent != NULL) {
		vhd_join(fresh, old->parent);
	}
	old->parent = NULL;
	old->layer->parent = NULL;
	vhd_join(child, fresh);
	(void)vhd_close(old); /* for reading only: nothing to lose */
	f->old = NULL;
	f->swapped = true;
}

void vhd_live_swap(struct vhd_live *j)
{
	/* From the bottom up: each takes what it tells the guest from the one below. */
	swap(j, &j->base);
	swap(j, &j->lowest);
	swap(j, &j->above);
}

static void release(struct vhd_live *j, struct vhd_live_file *f)
{
	if (f->fresh == NULL) {
		return;
	}
	if (!f->swapped) {
		struct storage_file *present = f->old->layer->file;

		(void)vhd_close(f->fresh);
		j->host.unclaim(j->host.ctx, present);
	} else if (f->fresh != j->new_top) {
		(void)vhd_freeze_disk(f->fresh, NULL);
	}
	f->fresh = NULL;
}

void vhd_live_release(struct vhd_live *j)
{
	release(j, &j->above);
	release(j, &j->lowest);
	release(j, &j->base);
}

/* ---- What they say of each other ---- */

struct vhd_disk *vhd_live_lowest(const struct vhd_live *j)
{
	return j->lowest.fresh != NULL ? j->lowest.fresh : j->top;
}

struct vhd_disk *vhd_live_above(const struct vhd_live *j)
{
	return j->above.fresh != NULL ? j->above.fresh : j->top;
}

int vhd_live_announce(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_layer *lowest = vhd_live_lowest(j)->layer, *base = j->base.fresh->layer;
	uint8_t random[16];

	if (base->ops != &vhd_format_vhdx) {
		return 0; /* its identity never changes */
	}
	j->host.random(j->host.ctx, random, sizeof(random));
	struct guid linkage = guid_from_random(random);
	int r = lowest->ops->locator(lowest, &j->locator, error);

	if (r != 0) {
		return r;
	}
	vhd_layer_info(base, &j->info);
	/* The present one may be what an interrupted merge had announced. */
	j->locator.linkage = j->info.linkage;
	j->locator.linkage2 = linkage;
	r = lowest->ops->set_locator(lowest, &j->locator, error);
	return r == 0 ? base->ops->new_linkage(base, &linkage, error) : r;
}

static int describe_base(struct vhd_live *j, struct vhd_disk *above, struct vhd_error *error)
{
	struct vhd_disk *base = j->base.fresh;
	int r = base->host.real_path(base->host.ctx, base->path, j->parent_path,
				     sizeof(j->parent_path));

	if (r != 0) {
		return vhd_fail_errno(error, r, base->path, "cannot find it");
	}
	r = vhd_real_directory(&above->host, above->path, true, j->child_dir, error);
	r = r == 0 ? vhd_locator_make(j->child_dir, j->parent_path, &j->locator, error) : r;
	if (r == 0) {
		vhd_layer_info(base->layer, &j->info);
		j->locator.linkage = j->info.linkage;
	}
	return r;
}

int vhd_live_relink(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_disk *above = vhd_live_above(j);
	int r = describe_base(j, above, error);

	return r == 0 ? above->layer->ops->set_locator(above->layer, &j->locator, error) : r;
}

int vhd_live_join(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_disk *above = vhd_live_above(j), *lowest = vhd_live_lowest(j);
	char *path = strdup(j->base.fresh->path);

	if (path == NULL) {
		return vhd_fail_errno(error, -ENOMEM, above->path, "cannot merge");
	}
	free(above->parent_path);
	above->parent_path = path;
	j->gone = above->parent;
	lowest->parent = NULL;
	lowest->layer->parent = NULL;
	vhd_join(above, j->base.fresh);
	return 0;
}

int vhd_live_disown(struct vhd_live *j, struct vhd_error *error)
{
	static const struct guid merged = VHD_MERGED_LINKAGE;
	struct vhd_layer *lowest = vhd_live_lowest(j)->layer;
	int r = lowest->ops->locator(lowest, &j->locator, error);

	if (r != 0) {
		return r;
	}
	j->locator.linkage = merged;
	memset(&j->locator.linkage2, 0, sizeof(j->locator.linkage2));
	return lowest->ops->set_locator(lowest, &j->locator, error);
}
