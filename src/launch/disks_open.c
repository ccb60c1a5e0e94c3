// SPDX-License-Identifier: Apache-2.0
/*
 * Opens and locks the files of the disks. The library itself finds the parents: it opens the chain through a host that locks each file as
 * the worker will need it and keeps a second descriptor, which holds the lock until the worker is gone. Nothing is written
 * here: a log that waits is replayed by the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "launch/disks.h"
#include "vhd/vhd.h"

#define RING_DEPTH 16u
#define IDE_SLOT 4u
#define IDE_DRIVES 2u

struct opening {
	struct launch_disks *all;
	struct launch_disk *disk;
	struct launch_error *error;
	struct backend *backend;
	struct vhd_host below; /* what the backend offers */
	char refused[512];     /* why a file could not be had; empty: it could */
};

static unsigned slot_of(const struct launch_disk *d)
{
	return d->kind == LAUNCH_DISK_IDE ? IDE_SLOT + d->controller * IDE_DRIVES + d->lun
					  : d->controller;
}

static bool keep(struct opening *o, const char *path, int fd, bool writable)
{
	struct launch_disks *all = o->all;
	struct launch_disk_file *files =
		realloc(all->files, (all->file_count + 1) * sizeof(*files));
	char real[PATH_MAX];

	if (files == NULL) {
		return false;
	}
	all->files = files;
	if (realpath(path, real) == NULL) {
		snprintf(real, sizeof(real), "%s", path);
	}
	struct launch_disk_file f = {.slot = slot_of(o->disk),
				     .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
				     .writable = writable,
				     .path = strdup(path),
				     .real = strdup(real)};

	if (f.fd < 0 || f.path == NULL || f.real == NULL) {
		if (f.fd >= 0) {
			close(f.fd);
		}
		free(f.path);
		free(f.real);
		return false;
	}
	files[all->file_count++] = f;
	return true;
}

static void refuse(struct opening *o, const char *path, bool writable, int r, int pid)
{
	if (r == -EWOULDBLOCK && pid > 0) {
		snprintf(o->refused, sizeof(o->refused),
			 "%s: is in use by process %d; expected a file that nobody %s", path, pid,
			 writable ? "has open" : "writes");
	} else if (r == -EWOULDBLOCK) {
		snprintf(o->refused, sizeof(o->refused),
			 "%s: is in use by another process; expected a file that nobody %s", path,
			 writable ? "has open" : "writes");
	} else if (r == -EINVAL) {
		snprintf(o->refused, sizeof(o->refused),
			 "%s: neither a regular file nor a block device", path);
	} else {
		snprintf(o->refused, sizeof(o->refused), "%s: %s%s", path, strerror(-r),
			 vhd_advice(r));
	}
}

/* The first file opened is the disk's own; those after it are its parents, which nobody writes. */
static int open_and_keep(void *ctx, const char *path, bool write, bool create,
			 struct storage_file **ret)
{
	struct opening *o = ctx;
	bool leaf = strcmp(path, o->disk->path) == 0;
	bool writable = leaf && !o->disk->read_only && !o->disk->temporary;
	int fd, pid = 0;
	int r = backend_open(path, writable ? BACKEND_WRITE : BACKEND_READ, &fd, &pid);

	(void)write;
	(void)create;
	if (r < 0) {
		if (leaf || r != -ENOENT) {
			refuse(o, path, writable, r, pid);
		}
		return r;
	}
	if (!keep(o, path, fd, writable)) {
		close(fd);
		return -ENOMEM;
	}
	return backend_file(o->backend, fd, false, path, ret);
}

static bool reject(const struct opening *o, const char *text)
{
	return launch_refuse(o->error, "%s %s", o->disk->option,
			     o->refused[0] != '\0' ? o->refused : text);
}

static bool absolute_path(struct opening *o)
{
	struct launch_disk *d = o->disk;
	char *real = realpath(d->path, NULL);

	if (real == NULL) {
		return launch_refuse(o->error, "%s %s: %s%s", d->option, d->path, strerror(errno),
				     vhd_advice(-errno));
	}
	free(d->path);
	d->path = real;
	return true;
}

static bool is_block_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static bool open_dvd(struct opening *o)
{
	struct storage_file *f;

	if (o->disk->path[0] == '\0') {
		return true;
	}
	if (!absolute_path(o)) {
		return false;
	}
	if (open_and_keep(o, o->disk->path, false, false, &f) != 0) {
		return reject(o, o->disk->path);
	}
	storage_file_close(f);
	return true;
}

/* What the host is asked besides opening goes through to the backend's. */

static int real_path(void *ctx, const char *path, char *ret, size_t size)
{
	struct opening *o = ctx;

	return o->below.real_path(o->below.ctx, path, ret, size);
}

static bool same_file(void *ctx, const char *a, const char *b)
{
	struct opening *o = ctx;

	return o->below.same_file(o->below.ctx, a, b);
}

static void random_bytes(void *ctx, void *buf, size_t bytes)
{
	struct opening *o = ctx;

	o->below.random(o->below.ctx, buf, bytes);
}

static int64_t now_s(void *ctx)
{
	struct opening *o = ctx;

	return o->below.now_s(o->below.ctx);
}

static bool note_child(void *ctx, const char *child)
{
	struct opening *o = ctx;

	snprintf(o->refused, sizeof(o->refused),
		 "%s: is the parent of %s, which would be damaged by writing to it; expected a "
		 "disk without children, or to have it read-only (ro) or temporary",
		 o->disk->path, child);
	return false;
}

static bool has_no_child(struct opening *o)
{
	struct vhd_error error = {""};
	int r = vhd_find_children(&o->below, o->disk->path, &backend_directory, note_child, o,
				  &error);

	return (r == 0 && o->refused[0] == '\0') || reject(o, error.text);
}

static bool reject_disk(const struct opening *o, int r, const char *text)
{
	if (r == VHD_NOT_A_DISK && o->refused[0] == '\0') {
		return launch_refuse(o->error, "%s %s (of a raw image say so: raw)",
				     o->disk->option, text);
	}
	return reject(o, text);
}

static bool open_disk(struct opening *o)
{
	struct launch_disk *d = o->disk;
	const struct vhd_host host = {
		.context = o->below.context,
		.open = open_and_keep,
		.real_path = real_path,
		.same_file = same_file,
		.random = random_bytes,
		.now_s = now_s,
		.ctx = o,
	};
	struct vhd_error error = {""};
	struct vhd_disk *vhd;

	if (!absolute_path(o)) {
		return false;
	}
	d->raw |= is_block_device(d->path);
	if (!d->read_only && !d->temporary && !d->raw && !has_no_child(o)) {
		return false;
	}
	int r = vhd_open(&host, d->path, d->raw ? VHD_OPEN_RAW : 0, &vhd, &error);

	if (r != 0) {
		return reject_disk(o, r, error.text);
	}
	vhd_close(vhd);
	return true;
}

bool launch_disks_open(struct launch_disks *all, struct launch_error *error)
{
	struct opening o = {.all = all, .error = error};
	bool ok = true;

	if (all->count == 0) {
		return true;
	}
	int r = backend_create(RING_DEPTH, &o.backend);

	if (r < 0) {
		return launch_refuse(error, "disks: %s", strerror(-r));
	}
	backend_vhd_host(o.backend, &o.below);
	for (size_t i = 0; i < all->count && ok; i++) {
		o.disk = &all->disks[i];
		o.refused[0] = '\0';
		ok = o.disk->kind == LAUNCH_DISK_DVD ? open_dvd(&o) : open_disk(&o);
	}
	backend_destroy(o.backend);
	return ok;
}
