// SPDX-License-Identifier: Apache-2.0
#include "paths.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json/file.h"

static bool fits(int n, size_t ret_size, char *error, size_t size)
{
	if (n < 0 || (size_t)n >= ret_size) {
		snprintf(error, size, "a path is too long: more than %zu characters", ret_size - 1);
		return false;
	}
	return true;
}

bool paths_state(char *ret, size_t ret_size, char *error, size_t size)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0) {
		return fits(snprintf(ret, ret_size, "/var/lib/virid"), ret_size, error, size);
	}
	if (xdg != NULL && xdg[0] == '/') {
		return fits(snprintf(ret, ret_size, "%s/virid", xdg), ret_size, error, size);
	}
	if (home == NULL || home[0] != '/') {
		snprintf(error, size, "HOME is not set: give the state folder with --state");
		return false;
	}
	return fits(snprintf(ret, ret_size, "%s/.local/state/virid", home), ret_size, error, size);
}

bool paths_runtime(char *ret, size_t ret_size, char *error, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0) {
		return fits(snprintf(ret, ret_size, "/run/virid"), ret_size, error, size);
	}
	if (xdg != NULL && xdg[0] == '/' && access(xdg, W_OK | X_OK) == 0) {
		return fits(snprintf(ret, ret_size, "%s/virid", xdg), ret_size, error, size);
	}
	return fits(snprintf(ret, ret_size, "/tmp/virid-%u", (unsigned)geteuid()), ret_size, error,
		    size) &&
	       folder_own(ret, error, size);
}

bool paths_make(const char *folder, mode_t mode, char *error, size_t size)
{
	char part[PATH_MAX];

	if (!fits(snprintf(part, sizeof(part), "%s/", folder), sizeof(part), error, size)) {
		return false;
	}
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST) {
			snprintf(error, size, "%s: cannot make the folder: %s", part,
				 strerror(errno));
			return false;
		}
		*slash = '/';
	}
	if (access(folder, R_OK | W_OK | X_OK) < 0) {
		snprintf(error, size, "%s: %s; expected a folder that this user can read and write",
			 folder, strerror(errno));
		return false;
	}
	return true;
}

int paths_remove_tree(const char *path)
{
	char copy[PATH_MAX];
	char *const roots[] = {copy, NULL};
	int r = 0;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		return -ENAMETOOLONG;
	}
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);

	if (tree == NULL) {
		return -errno;
	}
	for (const FTSENT *e = fts_read(tree); e != NULL; e = fts_read(tree)) {
		int bad = e->fts_info == FTS_DP	 ? rmdir(e->fts_accpath)
			  : e->fts_info == FTS_D ? 0
						 : unlink(e->fts_accpath);

		if (bad < 0 && errno != ENOENT && r == 0) {
			r = -errno;
		}
	}
	fts_close(tree);
	return r;
}
