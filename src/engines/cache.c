// SPDX-License-Identifier: Apache-2.0
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool engines_cache_path(char *ret_path, size_t bytes)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = -1;

	if (xdg != NULL && xdg[0] == '/') {
		n = snprintf(ret_path, bytes, "%s/virid/engines", xdg);
	} else if (home != NULL && home[0] == '/') {
		n = snprintf(ret_path, bytes, "%s/.cache/virid/engines", home);
	}
	return n > 0 && (size_t)n < bytes;
}

bool engines_cache_read(const char *path, uint64_t key, struct engines_report *ret_report)
{
	char text[ENGINES_FILE_BYTES_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		return false;
	}
	ssize_t n = read(fd, text, sizeof(text));

	close(fd);
	return n > 0 && engines_cache_parse(text, (size_t)n, key, ret_report);
}

/* The folder of @path and those above it, for us alone; what fails shows when the file is made. */
static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
}

static int write_new(const char *path, const char *text, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		return -errno;
	}
	ssize_t n = write(fd, text, bytes);
	int error = n < 0 ? -errno : (size_t)n != bytes ? -ENOSPC : 0;

	close(fd);
	return error;
}

int engines_cache_write(const char *path, uint64_t key, const struct engines_report *r)
{
	char text[ENGINES_FILE_BYTES_MAX], new_path[4096];
	size_t bytes = engines_cache_format(r, key, text);
	int n = snprintf(new_path, sizeof(new_path), "%s.%d", path, (int)gettid());

	if (n < 0 || (size_t)n >= sizeof(new_path)) {
		return -ENAMETOOLONG;
	}
	make_folders(new_path);
	(void)unlink(new_path); /* of a process that ended half-way */
	int error = write_new(new_path, text, bytes);

	if (error == 0 && rename(new_path, path) < 0) {
		error = -errno;
	}
	if (error != 0) {
		(void)unlink(new_path);
	}
	return error;
}
