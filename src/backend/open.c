// SPDX-License-Identifier: Apache-2.0
/*
 * Opening disk images so that nobody destroys them by opening them twice.
 *
 * Locks are those of open file descriptions, so they go along when a descriptor is passed to a worker. A writer locks the whole file. A
 * reader read-locks all but the bytes by which QEMU would take it for a writer (100 + n: permission n is used; 200 + n: it is not shared
 * with others; n: 0 read, 1 write, 2 write unchanged, 3 resize, 4 change of the graph), so that QEMU may read along with it but not write.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"
#include "holder.h"
#include "lib/bits.h"

/* How long a lock that nobody seems to hold is waited for: two seconds. */
#define PAUSE_NS 20000000
#define PAUSES_MAX 100u

struct range {
	off_t start, bytes; /* bytes 0: to the end, wherever that is */
};

static const struct range whole_file = {0, 0};
/* All but 101..200, 202 and 204. */
static const struct range read_ranges[] = {{0, 101}, {201, 1}, {203, 1}, {205, 0}};
/* What a QEMU that writes holds. */
static const struct range qemu_writes[] = {{101, 1}, {103, 1}};

static struct flock lock_on(struct range range, short type)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = range.start, .l_len = range.bytes};
}

static int take_lock(int fd, struct range range, short type)
{
	struct flock lock = lock_on(range, type);
	int r;

	do {
		r = fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r == -EACCES ? -EWOULDBLOCK : r;
}

/* -EWOULDBLOCK: somebody's lock would be in the way of @type. */
static int test_lock(int fd, struct range range, short type, int *ret_pid)
{
	struct flock lock = lock_on(range, type);

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0) {
		return -errno;
	}
	if (lock.l_type == F_UNLCK) {
		return 0;
	}
	*ret_pid = lock.l_pid > 0 ? lock.l_pid : 0;
	return -EWOULDBLOCK;
}

static int lock_for_reading(int fd)
{
	int pid, r = 0;

	for (size_t i = 0; i < ARRAY_LEN(read_ranges) && r == 0; i++) {
		r = take_lock(fd, read_ranges[i], F_RDLCK);
	}
	for (size_t i = 0; i < ARRAY_LEN(qemu_writes) && r == 0; i++) {
		r = test_lock(fd, qemu_writes[i], F_WRLCK, &pid);
	}
	return r;
}

static int try_lock(int fd, enum backend_access access)
{
	return access == BACKEND_READ || access == BACKEND_SHARE
		       ? lock_for_reading(fd)
		       : take_lock(fd, whole_file, F_WRLCK);
}

int backend_lock_take(int fd, int present)
{
	int r = take_lock(present, whole_file, F_UNLCK);

	if (r != 0) {
		return r;
	}
	/* Until this succeeds the reader's lock of @fd keeps writers away. */
	r = take_lock(fd, whole_file, F_WRLCK);
	if (r != 0) {
		(void)lock_for_reading(present);
	}
	return r;
}

int backend_lock_share(int fd)
{
	int r = lock_for_reading(fd);

	/* What readers do not lock. */
	for (size_t i = 0; i + 1 < ARRAY_LEN(read_ranges) && r == 0; i++) {
		off_t start = read_ranges[i].start + read_ranges[i].bytes;
		struct range gap = {start, read_ranges[i + 1].start - start};

		r = take_lock(fd, gap, F_UNLCK);
	}
	return r;
}

/* Locks of open file descriptions name nobody: then the holder is looked for in /proc. */
static int find_holder(int fd)
{
	int pid = 0;

	test_lock(fd, whole_file, F_WRLCK, &pid);
	return pid != 0 ? pid : backend_lock_holder(fd);
}

/*
 * A lock that no process holds is that of one that was killed: the kernel ends its requests after the process itself, and only then closes
 * the file. That is waited for, so that whoever starts the same command again is not told of a process that is gone.
 */
static int lock_file(int fd, enum backend_access access, int *ret_pid)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int r;

	for (unsigned i = 0;; i++) {
		r = try_lock(fd, access);
		*ret_pid = r == -EWOULDBLOCK ? find_holder(fd) : 0;
		if (r != -EWOULDBLOCK || *ret_pid != 0 || i == PAUSES_MAX) {
			return r;
		}
		nanosleep(&pause, NULL);
	}
}

/*
 * O_NONBLOCK: opening a FIFO must not wait for a writer. O_EXCL for writing to a block device: not while it is mounted.
 */
static int open_path(const char *path, enum backend_access access)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;

	switch (access) {
	case BACKEND_READ:
		flags |= O_RDONLY;
		break;
	case BACKEND_SHARE:
		flags |= O_RDWR;
		break;
	case BACKEND_WRITE:
		flags |= O_RDWR;
		if (stat(path, &st) == 0 && S_ISBLK(st.st_mode)) {
			flags |= O_EXCL;
		}
		break;
	case BACKEND_CREATE:
		flags |= O_RDWR | O_CREAT | O_EXCL;
		break;
	}
	int fd = open(path, flags, 0666);

	if (fd < 0) {
		return errno == EBUSY ? -EWOULDBLOCK : -errno;
	}
	return fd;
}

/* -EINVAL: neither file nor block device. For those O_NONBLOCK is of no use, and io_uring would take it literally. */
static int settle_descriptor(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, &st) < 0 || flags < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		return -EINVAL;
	}
	return fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int backend_open(const char *path, enum backend_access access, int *ret_fd, int *ret_pid)
{
	int fd = open_path(path, access);
	int pid = 0;

	if (fd < 0) {
		if (fd == -EWOULDBLOCK && ret_pid != NULL) {
			*ret_pid = 0;
		}
		return fd;
	}
	int r = settle_descriptor(fd);

	if (r == 0) {
		r = lock_file(fd, access, &pid);
	}
	if (r == 0) {
		*ret_fd = fd;
		return 0;
	}
	close(fd);
	if (access == BACKEND_CREATE) {
		unlink(path);
	}
	if (r == -EWOULDBLOCK && ret_pid != NULL) {
		*ret_pid = pid;
	}
	return r;
}
