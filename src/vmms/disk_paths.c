// SPDX-License-Identifier: Apache-2.0
#include "disk_paths.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "vmms.h"

/* Without links; of a file that is not there, the folder is. */
static bool resolve(const char *path, char ret[PATH_MAX], char *error, size_t size)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (path[0] != '/' || strlen(path) >= PATH_MAX || slash[1] == '\0') {
		snprintf(error, size,
			 "'%.500s' is no absolute path of a file; expected such as "
			 "/srv/disks/a.vhdx",
			 path);
		return false;
	}
	if (realpath(path, ret) != NULL) {
		return true;
	}
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	char *real = errno == ENOENT ? realpath(folder, NULL) : NULL;

	if (real == NULL || strcmp(slash, "/..") == 0 || strcmp(slash, "/.") == 0 ||
	    snprintf(ret, PATH_MAX, "%s%s", strcmp(real, "/") == 0 ? "" : real, slash) >=
		    PATH_MAX) {
		snprintf(error, size, "%.500s: %s", path, strerror(errno == 0 ? ENOENT : errno));
		free(real);
		return false;
	}
	free(real);
	return true;
}

static bool is_below(const char *path, const char *folder)
{
	char real[PATH_MAX];
	size_t n;

	if (realpath(folder, real) == NULL) {
		return false;
	}
	n = strlen(real);
	return strncmp(path, real, n) == 0 && (path[n] == '/' || n == 1);
}

bool disk_path_allowed(const struct vmms *v, const struct caller *caller, const char *path,
		       char *error, size_t size)
{
	char real[PATH_MAX], own[PATH_MAX];
	const json_t *folders = json_object_get(v->host, "disk_folders"), *folder;
	size_t i;

	if (!resolve(path, real, error, size)) {
		return false;
	}
	snprintf(own, sizeof(own), "%s/vms", v->state);
	if (caller->owner || is_below(real, own)) {
		return true;
	}
	json_array_foreach(folders, i, folder)
	{
		if (json_is_string(folder) && is_below(real, json_string_value(folder))) {
			return true;
		}
	}
	snprintf(error, size,
		 "%.500s: lies outside of the folders for disks; an administrator can add one "
		 "(host set "
		 "disk_folders)",
		 path);
	return false;
}
