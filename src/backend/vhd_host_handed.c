// SPDX-License-Identifier: Apache-2.0
/* A vhd_host for a process that may open nothing: it finds descriptors by the names that its starter gave them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "engine.h"
#include "lib/bits.h"
#include "lib/text.h"
#include "vhd_host.h"

struct entry {
	char *path, *real;
	int fd;
	bool writable;
	bool taken; /* by an open file, which closes fd */
	dev_t device;
	ino_t inode;
};

struct handed {
	struct backend_owned owned;
	struct backend *backend;
	size_t count;
	struct entry entries[];
};

static void free_handed(struct backend_owned *o)
{
	struct handed *h = container_of(o, struct handed, owned);

	for (size_t i = 0; i < h->count; i++) {
		struct entry *e = &h->entries[i];

		if (!e->taken) {
			close(e->fd);
		}
		free(e->path);
		free(e->real);
	}
	free(h);
}

/*
 * @path without "." and "..", by its letters: right where the folders are real ones, as those of an absolute path that was
 * resolved. Returns false when it is not absolute or does not fit.
 */
static bool normalise(const char *path, char *ret, size_t size)
{
	size_t used = 0;

	if (path[0] != '/' || strlen(path) >= size) {
		return false;
	}
	while (*path != 0) {
		path += strspn(path, "/");
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (used != 0 && ret[--used] != '/') {
			}
		} else if (n != 0 && !(n == 1 && path[0] == '.')) {
			ret[used++] = '/';
			memcpy(ret + used, path, n);
			used += n;
		}
		path += n;
	}
	if (used == 0) {
		ret[used++] = '/';
	}
	ret[used] = 0;
	return true;
}

/* A parent that several disks share is there several times: one that nobody took goes first. */
static struct entry *find_exactly(struct handed *h, const char *path)
{
	struct entry *found = NULL;

	for (size_t i = 0; i < h->count; i++) {
		struct entry *e = &h->entries[i];

		if ((strcmp(e->path, path) == 0 || strcmp(e->real, path) == 0) &&
		    (found == NULL || (found->taken && !e->taken))) {
			found = e;
		}
	}
	return found;
}

static struct entry *find(struct handed *h, const char *path)
{
	char plain[4096];
	struct entry *e = find_exactly(h, path);

	return e == NULL && normalise(path, plain, sizeof(plain)) ? find_exactly(h, plain) : e;
}

static int handed_open(void *ctx, const char *path, bool write, bool create,
		       struct storage_file **ret)
{
	struct handed *h = ctx;
	struct entry *e = find(h, path);

	if (create) {
		return -EROFS;
	}
	if (e == NULL) {
		return -ENOENT;
	}
	if (write && !e->writable) {
		return -EROFS;
	}
	if (e->taken) {
		return VHD_IN_USE;
	}
	e->taken = true;
	return backend_file(h->backend, e->fd, write, path, ret);
}

static bool same_inode(const struct entry *e, struct storage_file *f)
{
	struct stat st;

	return fstat(backend_file_fd(f), &st) == 0 && st.st_dev == e->device &&
	       st.st_ino == e->inode;
}

static int handed_claim(void *ctx, const char *path, struct storage_file *present,
			struct storage_file **ret)
{
	struct handed *h = ctx;
	struct entry *e = find(h, path);

	if (e == NULL || e->taken || !same_inode(e, present)) {
		return -ENOENT;
	}
	if (!e->writable) {
		return -EROFS;
	}
	int r = backend_lock_take(e->fd, backend_file_fd(present));

	if (r != 0) {
		return r == -EWOULDBLOCK ? VHD_IN_USE : r;
	}
	e->taken = true;
	return backend_file(h->backend, e->fd, true, path, ret);
}

static int handed_remove(void *ctx, const char *path)
{
	return -EROFS;
}

static int handed_rename(void *ctx, const char *from, const char *to)
{
	return -EROFS;
}

static bool handed_same_file(void *ctx, const char *a, const char *b)
{
	const struct entry *ea = find(ctx, a), *eb = find(ctx, b);

	return ea != NULL && eb != NULL && ea->device == eb->device && ea->inode == eb->inode;
}

static int handed_real_path(void *ctx, const char *path, char *ret, size_t size)
{
	const struct entry *e = find(ctx, path);

	if (e == NULL) {
		return -ENOENT;
	}
	return text_copy(ret, size, e->real) ? 0 : -ENAMETOOLONG;
}

static int fill_entry(struct entry *e, const struct backend_handed *file)
{
	struct stat st;

	*e = (struct entry){.path = strdup(file->path),
			    .real = strdup(file->real != NULL ? file->real : file->path),
			    .fd = file->fd,
			    .writable = file->writable};
	if (e->path == NULL || e->real == NULL) {
		return -ENOMEM;
	}
	if (fstat(e->fd, &st) < 0) {
		return -errno;
	}
	e->device = st.st_dev;
	e->inode = st.st_ino;
	return 0;
}

int backend_vhd_host_handed(struct backend *b, const struct backend_handed *files, size_t count,
			    struct vhd_host *ret)
{
	struct handed *h = calloc(1, sizeof(*h) + count * sizeof(h->entries[0]));
	int r = 0;

	if (h == NULL) {
		return -ENOMEM;
	}
	h->owned.free = free_handed;
	h->backend = b;
	for (size_t i = 0; i < count && r == 0; i++) {
		r = fill_entry(&h->entries[i], &files[i]);
		h->count++;
	}
	if (r < 0) {
		for (size_t i = 0; i < h->count; i++) {
			h->entries[i].taken = true; /* the descriptors stay the caller's */
		}
		free_handed(&h->owned);
		return r;
	}
	backend_own(b, &h->owned);
	*ret = (struct vhd_host){
		.context = backend_context(b),
		.open = handed_open,
		.remove = handed_remove,
		.rename = handed_rename,
		.same_file = handed_same_file,
		.real_path = handed_real_path,
		.random = backend_host_random,
		.now_s = backend_host_now_s,
		.claim = handed_claim,
		.unclaim = backend_host_unclaim,
		.ctx = h,
	};
	return 0;
}

void backend_vhd_host_drop(const struct vhd_host *handed)
{
	struct handed *h = handed->ctx;

	for (size_t i = 0; i < h->count; i++) {
		struct entry *e = &h->entries[i];

		if (!e->taken) {
			e->taken = true;
			close(e->fd);
		}
	}
}
