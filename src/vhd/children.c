// SPDX-License-Identifier: Apache-2.0
/* Which differencing disks stand on a disk: as far as its directory can tell. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/bits.h"
#include "locator.h"

struct family {
	const struct vhd_host *host;
	const char *path;
	bool (*found)(void *ctx, const char *child);
	void *ctx;
	struct vhd_locator locator;
	char directory[VHD_PATH_BYTES];
	char candidate[VHD_PATH_BYTES];
	char place[VHD_PATH_BYTES];
};

static bool is_disk_name(const char *name)
{
	static const char *const extensions[] = {".vhd", ".avhd", ".vhdx", ".avhdx"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < ARRAY_LEN(extensions); i++) {
		if (strcasecmp(dot, extensions[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Any of the places where opening the child would look for its parent is this file. */
static bool names_path(struct family *f)
{
	for (unsigned i = 0; i < VHD_LOCATOR_PLACES; i++) {
		if (vhd_locator_place(&f->locator, f->directory, i, f->place) &&
		    f->host->same_file(f->host->ctx, f->place, f->path)) {
			return true;
		}
	}
	return false;
}

static bool is_child(struct family *f)
{
	struct vhd_disk *d;

	if (f->host->same_file(f->host->ctx, f->candidate, f->path) ||
	    vhd_open(f->host, f->candidate, VHD_OPEN_NO_PARENT, &d, NULL) != 0) {
		return false;
	}
	/* A disk without parent has no locator, which is an error here. What was merged away has a path, but no parent. */
	static const struct guid merged = VHD_MERGED_LINKAGE;
	bool child = d->layer->parent_absent &&
		     d->layer->ops->locator(d->layer, &f->locator, NULL) == 0 &&
		     !guid_equal(&f->locator.linkage, &merged) && names_path(f);

	vhd_close(d);
	return child;
}

static bool on_name(void *ctx, const char *name)
{
	struct family *f = ctx;

	if (!is_disk_name(name)) {
		return true;
	}
	int n = snprintf(f->candidate, sizeof(f->candidate), "%s/%s", f->directory, name);

	if (n < 0 || (size_t)n >= sizeof(f->candidate) || !is_child(f)) {
		return true;
	}
	return f->found(f->ctx, f->candidate);
}

int vhd_find_children(const struct vhd_host *host, const char *path,
		      const struct vhd_directory *directory,
		      bool (*found)(void *ctx, const char *child), void *ctx,
		      struct vhd_error *error)
{
	struct family *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		return vhd_fail_errno(error, -ENOMEM, path, "cannot look for its children");
	}
	f->host = host;
	f->path = path;
	f->found = found;
	f->ctx = ctx;
	int r = host->real_path(host->ctx, path, f->place, sizeof(f->place));

	if (r != 0) {
		vhd_fail_errno(error, r, path, "cannot open");
	} else {
		r = vhd_real_directory(host, path, true, f->directory, error);
	}
	if (r == 0) {
		r = directory->list(directory->ctx, f->directory, on_name, f);
		if (r != 0) {
			vhd_fail_errno(error, r, f->directory,
				       "cannot list it for children of a disk");
		}
	}
	free(f);
	return r;
}
