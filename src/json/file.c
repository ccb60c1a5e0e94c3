// SPDX-License-Identifier: Apache-2.0
#include "json/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t read_all(int fd, char *buf, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		ssize_t n = read(fd, buf + at, bytes - at);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n == 0) {
			break;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)at;
}

/* What lies there may have been put there by anybody with rights to the folder: nothing that never ends, or that opening waits for. */
int file_load(const char *path, size_t bytes_max, char **ret, size_t *ret_bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		return -errno;
	}
	int r = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;

	if (r == 0 && (uint64_t)st.st_size > bytes_max) {
		r = -EFBIG;
	}
	char *text = r == 0 ? malloc((size_t)st.st_size + 1) : NULL;

	if (r == 0 && text == NULL) {
		r = -ENOMEM;
	}
	ssize_t n = r == 0 ? read_all(fd, text, (size_t)st.st_size) : r;

	close(fd);
	if (n < 0) {
		free(text);
		return (int)n;
	}
	*ret = text;
	*ret_bytes = (size_t)n;
	return 0;
}

int file_write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n > 0) {
			data += n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

/* ---- Replacing ---- */

int folder_flush(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = fsync(fd) < 0 ? -errno : 0;

	close(fd);
	return r;
}

int folder_flush_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
		 slash == NULL ? "." : path);
	return folder_flush(folder);
}

static int write_new(const char *path, const void *data, size_t bytes, unsigned mode, bool durable)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);

	if (fd < 0) {
		return -errno;
	}
	int r = file_write_all(fd, data, bytes);

	if (r == 0 && durable && fsync(fd) < 0) {
		r = -errno;
	}
	if (close(fd) < 0 && r == 0) {
		r = -errno; /* NFS says here that there is no room */
	}
	return r;
}

int file_replace(const char *path, const void *data, size_t bytes, unsigned mode, bool durable)
{
	char new_path[PATH_MAX];
	int n = snprintf(new_path, sizeof(new_path), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(new_path)) {
		return -ENAMETOOLONG;
	}
	int r = write_new(new_path, data, bytes, mode, durable);

	if (r == 0 && rename(new_path, path) < 0) {
		r = -errno;
	}
	if (r != 0) {
		unlink(new_path);
		return r;
	}
	return durable ? folder_flush_of(path) : 0;
}

/* ---- Folders ---- */

bool folder_own(const char *folder, char *error, size_t size)
{
	struct stat st = {0};

	if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
		snprintf(error, size, "%s: cannot make the folder: %s", folder, strerror(errno));
		return false;
	}
	if (lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0) {
		snprintf(error, size,
			 "%s: not a folder of this user alone (found owner %u, mode %o; expected "
			 "owner %u, mode 700); remove it, or set XDG_RUNTIME_DIR",
			 folder, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777u,
			 (unsigned)geteuid());
		return false;
	}
	return true;
}
