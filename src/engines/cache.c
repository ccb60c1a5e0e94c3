// SPDX-License-Identifier: Apache-2.0
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENGINES_PATH_BYTES 4096u
#define ENGINES_NAME_BYTES 300u

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

/*
 * Only what belongs to this user is read or written, and only where nobody else may put things: root may run with the home of another user
 * (sudo), or the variable may name a folder of everybody's. Otherwise there is no file, and each call measures.
 */
static bool is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* The folder of @path; *ret_name is the file's name in it. -errno. */
static int open_folder(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char folder[ENGINES_PATH_BYTES];
	struct stat st;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(folder)) {
		return -ENAMETOOLONG;
	}
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &st) < 0 || !is_ours(&st)) {
		close(fd);
		return -EPERM;
	}
	*ret_name = slash + 1;
	return fd;
}

static ssize_t read_ours(int folder, const char *name, char *text, size_t bytes)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0) {
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_ours(&st)) {
		n = read(fd, text, bytes);
	}
	close(fd);
	return n;
}

bool engines_cache_read(const char *path, uint64_t key, struct engines_report *ret_report)
{
	char text[ENGINES_FILE_BYTES_MAX];
	const char *name;
	int folder = open_folder(path, &name);

	if (folder < 0) {
		return false;
	}
	ssize_t n = read_ours(folder, name, text, sizeof(text));

	close(folder);
	return n > 0 && engines_cache_parse(text, (size_t)n, key, ret_report);
}

/* The folder of @path and those above it, for us alone, if the first one that is missing is in a folder of ours; what fails shows when the file is made. */
static void make_folders(const char *path)
{
	char folder[ENGINES_PATH_BYTES];
	bool ours = false;
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(folder, &st) == 0) {
			ours = st.st_uid == geteuid();
		} else if (!ours || mkdir(folder, 0700) < 0) {
			return;
		}
		*slash = '/';
	}
}

static int write_new(int folder, const char *name, const char *text, size_t bytes)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		return -errno;
	}
	ssize_t n = write(fd, text, bytes);
	int error = n < 0 ? -errno : (size_t)n != bytes ? -ENOSPC : 0;

	close(fd);
	return error;
}

static int replace(int folder, const char *name, const char *text, size_t bytes)
{
	char new_name[ENGINES_NAME_BYTES];
	int n = snprintf(new_name, sizeof(new_name), "%s.%d", name, (int)gettid());

	if (n < 0 || (size_t)n >= sizeof(new_name)) {
		return -ENAMETOOLONG;
	}
	(void)unlinkat(folder, new_name, 0); /* of a process that ended half-way */
	int error = write_new(folder, new_name, text, bytes);

	if (error == 0 && renameat(folder, new_name, folder, name) < 0) {
		error = -errno;
	}
	if (error != 0) {
		(void)unlinkat(folder, new_name, 0);
	}
	return error;
}

int engines_cache_write(const char *path, uint64_t key, const struct engines_report *r)
{
	char text[ENGINES_FILE_BYTES_MAX];
	size_t bytes = engines_cache_format(r, key, text);
	const char *name;

	make_folders(path);
	int folder = open_folder(path, &name);

	if (folder < 0) {
		return folder;
	}
	int error = replace(folder, name, text, bytes);

	close(folder);
	return error;
}
