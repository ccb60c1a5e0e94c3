// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>

#include "backend/backend.h"

static int list_directory(void *ctx, const char *path, bool (*entry)(void *ctx, const char *name),
			  void *entry_ctx)
{
	DIR *d = opendir(path);

	if (d == NULL) {
		return -errno;
	}
	for (struct dirent *e = readdir(d); e != NULL && entry(entry_ctx, e->d_name);
	     e = readdir(d)) {
	}
	closedir(d);
	return 0;
}

const struct vhd_directory backend_directory = {.list = list_directory};
