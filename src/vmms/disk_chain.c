// SPDX-License-Identifier: Apache-2.0
#include "disk_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "vhd/vhd.h"

#define DEPTH 16
#define FILES_MAX 4096u

static bool open_host(struct backend **ret, struct vhd_host *ret_host, char *error, size_t size)
{
	int r = backend_create(DEPTH, ret);

	if (r < 0) {
		snprintf(error, size, "disks: %s", strerror(-r));
		return false;
	}
	backend_vhd_host(*ret, ret_host);
	return true;
}

static bool add(struct disk_chain *c, const char *path)
{
	char **paths = realloc(c->paths, (c->count + 1) * sizeof(*paths));

	if (paths == NULL) {
		return false;
	}
	c->paths = paths;
	paths[c->count] = strdup(path);
	return paths[c->count] != NULL && ++c->count <= FILES_MAX;
}

static bool list(struct vhd_disk *top, struct disk_chain *c)
{
	struct vhd_info *info = malloc(sizeof(*info));
	bool ok = info != NULL;

	for (unsigned depth = 0; ok; depth++) {
		struct vhd_disk *d = vhd_ancestor(top, depth);

		if (d == NULL) {
			break;
		}
		vhd_get_info(d, info);
		ok = add(c, info->path);
	}
	free(info);
	return ok;
}

bool disk_chain_find(const char *path, bool raw, struct disk_chain *ret, char *error, size_t size)
{
	struct vhd_error why = {""};
	struct vhd_host host;
	struct vhd_disk *d;
	struct backend *b;

	*ret = (struct disk_chain){NULL, 0};
	if (!open_host(&b, &host, error, size)) {
		return false;
	}
	int r = vhd_open(&host, path, raw ? VHD_OPEN_RAW : 0, &d, &why);
	bool ok = r == 0 && list(d, ret);

	if (r == 0) {
		vhd_close(d);
	}
	if (!ok) {
		snprintf(error, size, "%s", r != 0 ? why.text : "out of memory");
		disk_chain_fini(ret);
	}
	backend_destroy(b);
	return ok;
}

void disk_chain_fini(struct disk_chain *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->paths[i]);
	}
	free(c->paths);
	*c = (struct disk_chain){NULL, 0};
}

bool disk_chain_reconnect(const char *child, const char *parent, char *error, size_t size)
{
	struct vhd_error why = {""};
	struct vhd_host host;
	struct backend *b;

	if (!open_host(&b, &host, error, size)) {
		return false;
	}
	int r = vhd_reconnect(&host, child, parent, false, &why);

	snprintf(error, size, "%s", why.text);
	backend_destroy(b);
	return r == 0;
}
