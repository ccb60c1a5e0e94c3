// SPDX-License-Identifier: Apache-2.0
/* A disk gets a new top: the file that it wrote so far is frozen below it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk_parts.h"
#include "lib/check.h"

bool disk_branches(const struct disk *d)
{
	return d->vhd != NULL && !d->config.read_only && !d->config.temporary;
}

bool disk_has_branch(const struct disk *d)
{
	return d->branch != NULL;
}

bool disk_branch(struct disk *d, const struct vhd_host *host, const char *path)
{
	struct vhd_error error;
	char *copy = strdup(path);

	CHECK(disk_branches(d) && d->branch == NULL);
	if (d->merge != NULL) {
		snprintf(d->why, sizeof(d->why),
			 "disk %s: files of it are being merged; wait for that, or cancel it",
			 d->config.path);
		free(copy);
		return false;
	}
	if (!disk_switch_finish(d)) {
		free(copy);
		return false;
	}
	if (copy == NULL) {
		return disk_failed(d, "checkpoint", -ENOMEM);
	}
	if (vhd_branch_create(host, path, d->vhd, &d->branch, &error) != 0) {
		d->branch = NULL;
		free(copy);
		return disk_failed_vhd(d, &error);
	}
	d->branch_path = copy;
	/* So that little is left to be flushed while the machine stands still. */
	int r = block_flush(vhd_block(d->vhd));

	if (r != 0) {
		disk_branch_forget(d);
		return disk_failed(d, "flushing before a checkpoint", r);
	}
	return true;
}

void disk_branch_forget(struct disk *d)
{
	if (d->branch != NULL) {
		vhd_close(d->branch);
		free(d->branch_path);
		d->branch = NULL;
		d->branch_path = NULL;
	}
}

bool disk_switch(struct disk *d)
{
	struct vhd_error error;

	CHECK(d->branch != NULL);
	if (vhd_branch_switch(d->branch, d->vhd, &error) != 0) {
		return disk_failed_vhd(d, &error);
	}
	block_hold_exchange(d->hold, vhd_block(d->branch));
	free(d->old_path); /* of a switch that was never finished: closing will do it */
	d->old_path = d->path;
	d->config.path = d->path = d->branch_path;
	d->vhd = d->branch;
	d->branch = NULL;
	d->branch_path = NULL;
	return true;
}

void disk_switch_back(struct disk *d)
{
	if (d->old_path == NULL) {
		disk_branch_forget(d);
		return;
	}
	struct vhd_disk *child = d->vhd;

	d->vhd = vhd_branch_undo(child);
	block_hold_exchange(d->hold, vhd_block(d->vhd));
	(void)vhd_close(child);
	free(d->path);
	d->config.path = d->path = d->old_path;
	d->old_path = NULL;
}

bool disk_switch_finish(struct disk *d)
{
	struct vhd_error error;

	if (d->old_path == NULL) {
		return true;
	}
	free(d->old_path);
	d->old_path = NULL;
	return vhd_branch_finish(d->vhd, &error) == 0 || disk_failed_vhd(d, &error);
}
