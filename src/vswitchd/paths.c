// SPDX-License-Identifier: Apache-2.0
#include "paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/text.h"
#include "vswitchd/config.h"
#include "json/file.h"

static bool fits(int n, size_t ret_size, char *error, size_t size)
{
	if (n < 0 || (size_t)n >= ret_size) {
		snprintf(error, size, "a path is too long: more than %zu characters", ret_size - 1);
		return false;
	}
	return true;
}

bool paths_make_above(const char *path, char *error, size_t size)
{
	char part[PATH_MAX];

	if (!fits(snprintf(part, sizeof(part), "%s", path), sizeof(part), error, size)) {
		return false;
	}
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST) {
			snprintf(error, size, "%s: cannot make the folder: %s", part,
				 strerror(errno));
			return false;
		}
		*slash = '/';
	}
	return true;
}

bool paths_socket(bool make, char *ret, size_t ret_size, char *error, size_t size)
{
	const char *given = getenv("VIRID_VSWITCH_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
	char folder[64];

	if (given != NULL && given[0] != '\0') {
		return fits(snprintf(ret, ret_size, "%s", given), ret_size, error, size);
	}
	if (geteuid() == 0) {
		snprintf(ret, ret_size, "/run/virid/vswitch.sock");
		return !make || paths_make_above(ret, error, size);
	}
	if (runtime != NULL && runtime[0] == '/' && access(runtime, W_OK | X_OK) == 0) {
		return fits(snprintf(ret, ret_size, "%s/virid/vswitch.sock", runtime), ret_size,
			    error, size) &&
		       (!make || paths_make_above(ret, error, size));
	}
	snprintf(folder, sizeof(folder), "/tmp/virid-%u", (unsigned)geteuid());
	snprintf(ret, ret_size, "%s/vswitch.sock", folder);
	return (!make && access(folder, F_OK) < 0) || folder_own(folder, error, size);
}

bool config_path(char *ret, size_t ret_size, char *error, size_t size)
{
	const char *given = getenv("VIRID_VSWITCH_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"),
		   *home = getenv("HOME");

	if (given != NULL && given[0] != '\0') {
		return fits(snprintf(ret, ret_size, "%s", given), ret_size, error, size);
	}
	if (geteuid() == 0) {
		return fits(snprintf(ret, ret_size, "/var/lib/virid/switches.json"), ret_size,
			    error, size);
	}
	if (xdg != NULL && xdg[0] == '/') {
		return fits(snprintf(ret, ret_size, "%s/virid/switches.json", xdg), ret_size, error,
			    size);
	}
	/* Without a home there is nothing written down: only the default switch. */
	return fits(snprintf(ret, ret_size, "%s/.config/virid/switches.json",
			     home != NULL && home[0] == '/' ? home : "/nonexistent"),
		    ret_size, error, size);
}

void paths_program(char *ret, size_t ret_size)
{
	ssize_t n = readlink("/proc/self/exe", ret, ret_size - 1);

	if (n > 0) {
		ret[n] = '\0';
		char *slash = strrchr(ret, '/');

		if (slash != NULL &&
		    text_copy(slash, ret_size - (size_t)(slash - ret), "/virid-vswitch") &&
		    access(ret, X_OK) == 0) {
			return;
		}
	}
	snprintf(ret, ret_size, "%s", VIRID_LIBEXECDIR "/virid-vswitch");
}
