// SPDX-License-Identifier: Apache-2.0
/* Files of a disk's chain are merged while the guest uses it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk_parts.h"
#include "lib/check.h"

const char *disk_parent(const struct disk *d)
{
	const struct vhd_disk *parent = d->vhd != NULL ? vhd_ancestor(d->vhd, 1) : NULL;

	return parent != NULL ? vhd_path(parent) : NULL;
}

bool disk_merges(const struct disk *d)
{
	return d->merge != NULL;
}

bool disk_merge(struct disk *d, const struct vhd_host *host, unsigned depth, unsigned count)
{
	struct vhd_error error;

	if (!disk_branches(d)) {
		return disk_failed(d, "it is no disk whose files change", -EINVAL);
	}
	if (d->merge != NULL || d->branch != NULL) {
		return disk_failed(d, "a checkpoint is being made of it, or merged", -EBUSY);
	}
	if (!disk_switch_finish(d)) {
		return false;
	}
	if (vhd_merge_live(d->vhd, depth, count, host, &d->merge, &error) != 0) {
		d->merge = NULL;
		return disk_failed_vhd(d, &error);
	}
	return true;
}

/* The guest's requests wait for a moment, and those on their way are done. */
static void quiet(struct disk *d)
{
	block_hold_gate(d->hold, true);
	while (!block_hold_idle(d->hold)) {
		io_poll(d->hold->context, true, UINT64_MAX);
	}
}

/* The file below is the disk now. */
static void take_new_top(struct disk *d)
{
	struct vhd_disk *top = vhd_merge_top(d->merge);

	if (top == NULL || top == d->vhd) {
		return;
	}
	char *path = strdup(vhd_path(top));

	d->vhd = top;
	block_hold_exchange(d->hold, vhd_block(top));
	if (path != NULL) { /* else messages name the old one */
		free(d->path);
		d->config.path = d->path = path;
	}
}

int disk_merge_step(struct disk *d, struct vhd_progress *ret_progress)
{
	struct vhd_error error;

	if (vhd_merge_wants_quiet(d->merge)) {
		quiet(d);
	}
	int r = vhd_job_step(d->merge, ret_progress, &error);

	take_new_top(d);
	block_hold_gate(d->hold, false);
	if (r == 1) {
		return 1;
	}
	disk_merge_cancel(d);
	if (r != 0) {
		disk_failed_vhd(d, &error);
	}
	return r == 0 ? 0 : -1;
}

bool disk_merge_decided(const struct disk *d)
{
	return vhd_merge_is_decided(d->merge);
}

void disk_merge_cancel(struct disk *d)
{
	vhd_job_destroy(d->merge);
	d->merge = NULL;
}

bool disk_merge_due(struct disk *d, uint64_t now_ns, uint64_t every_ns)
{
	if (now_ns < d->merge_told_ns + every_ns) {
		return false;
	}
	d->merge_told_ns = now_ns;
	return true;
}
