/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux underneath src/storage: contexts on io_uring (or a few threads where the kernel gives none), files on them, locks, and
 * what src/vhd needs from its host.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "storage/io.h"
#include "vhd/vhd.h"

struct backend;

/*
 * A context for one thread; makes its ring and, without io_uring, its helper threads now: before sandbox_enter. @depth: requests in the
 * kernel at once, 1..4096; more wait in the context. -errno.
 */
int backend_create(unsigned depth, struct backend **ret);
/* All files closed. */
void backend_destroy(struct backend *b);
struct io_context *backend_context(struct backend *b);
/*
 * Memory that requests read or write is given to @touch before it is given to the kernel, on the thread of the context: for memory whose pages
 * come from this process when they are touched, which the kernel cannot wait for. Before the first request.
 */
void backend_set_touch(struct backend *b, void (*touch)(void *ctx, const void *start, size_t bytes),
		       void *ctx);
/* True with io_uring; false: threads. */
bool backend_has_uring(const struct backend *b);
/* Makes a blocking io_poll return soon (now, or the next one). Any thread. */
void backend_wake(struct backend *b);

enum backend_access {
	BACKEND_READ,	/* shared lock: nobody may write meanwhile */
	BACKEND_WRITE,	/* exclusive lock */
	BACKEND_CREATE, /* must not exist; exclusive lock */
	BACKEND_SHARE, /* for writing later, by a process that reads it already: a reader's lock now */
};

/*
 * Opens a regular file or block device with its lock (open file description locks over the whole file: QEMU's image locks see them).
 * -EWOULDBLOCK: locked by somebody else (@ret_pid: who, 0: unknown; may be NULL). -EINVAL: neither file nor block device. The descriptor goes to
 * *ret_fd; close it to unlock. A lock that no visible process holds is waited for, up to two seconds.
 */
int backend_open(const char *path, enum backend_access access, int *ret_fd, int *ret_pid);
/*
 * The reader's lock of @fd becomes exclusive, and that of @present, which is the same file and ours, ends. -EWOULDBLOCK: there are other readers; nothing
 * has changed.
 */
int backend_lock_take(int fd, int present);
/* @fd has a reader's lock from now on, instead of an exclusive one or none. */
int backend_lock_share(int fd);

/* A file of @b on descriptor @fd (taken over, also on failure), named @name in messages. Does not lock. -errno. */
int backend_file(struct backend *b, int fd, bool writable, const char *name,
		 struct storage_file **ret);
/* The descriptor of such a file, for passing on. */
int backend_file_fd(struct storage_file *f);

/* A vhd_host that opens by path on @b. Relative paths as the process has them. *ret is filled in, its ctx lives with @b. */
void backend_vhd_host(struct backend *b, struct vhd_host *ret);

/* Directories of this system, for vhd_find_children. */
extern const struct vhd_directory backend_directory;

/*
 * A vhd_host that knows nothing but descriptors handed over by another process: path -> descriptor. Opening for writing a descriptor that
 * was listed read-only is -EROFS; a path that is not listed, -ENOENT. Entries are taken over by the first open of their path.
 */
struct backend_handed {
	const char *path; /* exactly the string that will be opened */
	const char *real; /* what real_path answers for it; NULL: path itself */
	int fd;
	bool writable;
};
int backend_vhd_host_handed(struct backend *b, const struct backend_handed *files, size_t count,
			    struct vhd_host *ret);
/* Closes the descriptors of such a host that nobody has taken. */
void backend_vhd_host_drop(const struct vhd_host *handed);

#endif
