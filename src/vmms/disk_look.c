// SPDX-License-Identifier: Apache-2.0
#include "disk_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "vhd/vhd.h"

#define DEPTH 8

static int open_unlocked(void *ctx, const char *path, bool write, bool create,
			 struct storage_file **ret)
{
	int fd = write || create ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -EACCES : backend_file(ctx, fd, false, path, ret);
}

static void take_info(struct vhd_disk *d, struct disk_look *ret)
{
	struct vhd_info *info = malloc(sizeof(*info));

	if (info != NULL) {
		vhd_get_info(d, info);
		ret->format = vhd_format_name(info->format);
		ret->bytes = info->bytes;
		ret->has_parent = info->has_parent;
		snprintf(ret->parent, sizeof(ret->parent), "%s", info->parent_path);
	}
	free(info);
}

static void open_disk(const char *path, bool raw, struct disk_look *ret)
{
	struct vhd_error error;
	struct vhd_host host;
	struct vhd_disk *d;
	struct backend *b;

	if (backend_create(DEPTH, &b) < 0) {
		return;
	}
	backend_vhd_host(b, &host);
	host.open = open_unlocked;
	host.ctx = b;
	if (vhd_open(&host, path, VHD_OPEN_NO_PARENT | (raw ? VHD_OPEN_RAW : 0), &d, &error) == 0) {
		take_info(d, ret);
		vhd_close(d);
	}
	backend_destroy(b);
}

bool disk_look(const char *path, bool raw, struct disk_look *ret)
{
	struct stat st;

	*ret = (struct disk_look){.format = NULL};
	if (stat(path, &st) < 0) {
		return false;
	}
	ret->file_bytes = (uint64_t)st.st_size;
	ret->used_bytes = (uint64_t)st.st_blocks * 512;
	open_disk(path, raw, ret);
	return true;
}
