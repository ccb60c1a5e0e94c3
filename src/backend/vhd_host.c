// SPDX-License-Identifier: Apache-2.0
/* What src/vhd needs from its host, by path. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "lib/text.h"
#include "vhd_host.h"

/* Makes names that were made or changed in the folder of @path durable. */
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];

	if (!text_copy(copy, sizeof(copy), path)) {
		return -ENAMETOOLONG;
	}
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = fsync(fd) < 0 ? -errno : 0;

	close(fd);
	return r == -EINVAL ? 0 : r; /* file systems that have no such thing */
}

static int host_open(void *ctx, const char *path, bool write, bool create,
		     struct storage_file **ret)
{
	enum backend_access access = create ? BACKEND_CREATE : write ? BACKEND_WRITE : BACKEND_READ;
	int fd;
	int r = backend_open(path, access, &fd, NULL);

	if (r < 0) {
		return r == -EWOULDBLOCK ? VHD_IN_USE : r;
	}
	r = backend_file(ctx, fd, write || create, path, ret);
	/* The name need not be durable: files are made under another than they will have. */
	if (r < 0 && create) {
		unlink(path);
	}
	return r;
}

void backend_host_unclaim(void *ctx, struct storage_file *f)
{
	(void)ctx;
	f->writable = false;
	(void)backend_lock_share(backend_file_fd(f)); /* nobody else can have it */
}

static int host_claim(void *ctx, const char *path, struct storage_file *present,
		      struct storage_file **ret)
{
	int fd;
	int r = backend_open(path, BACKEND_SHARE, &fd, NULL);

	if (r == 0 && (r = backend_lock_take(fd, backend_file_fd(present))) != 0) {
		close(fd);
	}
	if (r != 0) {
		return r == -EWOULDBLOCK ? VHD_IN_USE : r;
	}
	return backend_file(ctx, fd, true, path, ret);
}

static int host_remove(void *ctx, const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

static int host_rename(void *ctx, const char *from, const char *to)
{
	int r = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0 ? -errno : 0;

	/* File systems that cannot do that at once. */
	if (r == -EINVAL) {
		r = link(from, to) < 0 || unlink(from) < 0 ? -errno : 0;
	}
	return r < 0 ? r : sync_folder(to);
}

static bool host_same_file(void *ctx, const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static int host_real_path(void *ctx, const char *path, char *ret, size_t size)
{
	char real[PATH_MAX];

	if (realpath(path, real) == NULL) {
		return -errno;
	}
	return text_copy(ret, size, real) ? 0 : -ENAMETOOLONG;
}

void backend_vhd_host(struct backend *b, struct vhd_host *ret)
{
	*ret = (struct vhd_host){
		.context = backend_context(b),
		.open = host_open,
		.remove = host_remove,
		.rename = host_rename,
		.same_file = host_same_file,
		.real_path = host_real_path,
		.random = backend_host_random,
		.now_s = backend_host_now_s,
		.claim = host_claim,
		.unclaim = backend_host_unclaim,
		.ctx = b,
	};
}
