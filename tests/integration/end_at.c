// SPDX-License-Identifier: Apache-2.0
/*
 * Loaded into the service and its workers (LD_PRELOAD) by tests that want one of them to die at an exact step: counts what changes files or tells somebody else
 * something, and before the step that the test chose ends the process, or lets it stand there while the test ends another one. The test and all
 * processes share a file (VIRID_END_AT) that says which step of whom.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	NOBODY,
	SERVICE,
	WORKER,
};

/* Little-endian 32-bit words, as the test writes them. */
struct order {
	_Atomic uint32_t who;  /* whose steps are counted */
	_Atomic uint32_t hold; /* 0: dies at the step; 1: stands there while `held` is 1 */
	_Atomic uint32_t at;   /* the step, from 1 */
	_Atomic uint32_t count;
	_Atomic uint32_t held;
	_Atomic uint32_t pid; /* who came to the step: one of ours, or a copy of it */
};

static struct order *order;
static uint32_t self;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("VIRID_END_AT");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

	self = strcmp(program_invocation_short_name, "virid-vmms") == 0	  ? SERVICE
	       : strcmp(program_invocation_short_name, "virid-vmwp") == 0 ? WORKER
									  : NOBODY;
	if (fd < 0) {
		return;
	}
	if (self != NOBODY) {
		void *p = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		order = p == MAP_FAILED ? NULL : p;
	}
	close(fd);
}

static void stand(void)
{
	const struct timespec nap = {.tv_nsec = 500000};

	atomic_store(&order->held, 1);
	while (atomic_load(&order->held) == 1) {
		nanosleep(&nap, NULL);
	}
}

static void step(void)
{
	int saved = errno;

	if (order != NULL && atomic_load(&order->who) == self &&
	    atomic_fetch_add(&order->count, 1) + 1 == atomic_load(&order->at)) {
		atomic_store(&order->pid, (uint32_t)getpid());
		if (atomic_load(&order->hold) != 0) {
			stand();
		} else {
			syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGKILL);
		}
	}
	errno = saved;
}

/* What is written to sockets and pipes is no step, nor are logs: their number is not the same each time. */
static void step_of_file(int fd)
{
	struct stat st;

	if (order != NULL && fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		step();
	}
}

/* ---- Names ---- */

int open64(const char *path, int flags, ...)
{
	va_list list;

	va_start(list, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;

	va_end(list);
	if ((flags & O_CREAT) != 0) {
		step();
	}
	return NEXT(open64)(path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
	va_list list;

	va_start(list, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;

	va_end(list);
	if ((flags & O_CREAT) != 0) {
		step();
	}
	return NEXT(openat64)(folder, path, flags, mode);
}

int rename(const char *from, const char *to)
{
	step();
	return NEXT(rename)(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
	step();
	return NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to)
{
	step();
	return NEXT(link)(from, to);
}

int unlink(const char *path)
{
	step();
	return NEXT(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags)
{
	step();
	return NEXT(unlinkat)(folder, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
	step();
	return NEXT(mkdir)(path, mode);
}

int rmdir(const char *path)
{
	step();
	return NEXT(rmdir)(path);
}

/* ---- Contents ---- */

ssize_t write(int fd, const void *data, size_t bytes)
{
	step_of_file(fd);
	return NEXT(write)(fd, data, bytes);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
	step_of_file(fd);
	return NEXT(pwrite64)(fd, data, bytes, offset);
}

ssize_t pwritev64v2(int fd, const struct iovec *vec, int count, off64_t offset, int flags)
{
	step_of_file(fd);
	return NEXT(pwritev64v2)(fd, vec, count, offset, flags);
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t bytes,
			unsigned flags)
{
	step();
	return NEXT(copy_file_range)(from, from_offset, to, to_offset, bytes, flags);
}

int ftruncate64(int fd, off64_t bytes)
{
	step();
	return NEXT(ftruncate64)(fd, bytes);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
	step();
	return NEXT(fallocate64)(fd, mode, offset, bytes);
}

int fsync(int fd)
{
	step();
	return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
	step();
	return NEXT(fdatasync)(fd);
}

/* Reading changes nothing. */
static bool reads_only(const struct io_uring *ring)
{
	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		switch (ring->sq.sqes[i & *ring->sq.kring_mask].opcode) {
		case IORING_OP_READ:
		case IORING_OP_READV:
		case IORING_OP_READ_FIXED:
		case IORING_OP_POLL_ADD:
		case IORING_OP_TIMEOUT:
		case IORING_OP_NOP:
			break;
		default:
			return false;
		}
	}
	return true;
}

int io_uring_submit(struct io_uring *ring)
{
	if (!reads_only(ring)) {
		step();
	}
	return NEXT(io_uring_submit)(ring);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
				     unsigned wait_nr, struct __kernel_timespec *ts,
				     sigset_t *sigmask)
{
	if (!reads_only(ring)) {
		step();
	}
	return NEXT(io_uring_submit_and_wait_timeout)(ring, cqe, wait_nr, ts, sigmask);
}

/* ---- What is said to others: requests to workers, their answers and events ---- */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	step();
	return NEXT(sendmsg)(fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
	if (self == WORKER) {
		step();
	}
	return NEXT(send)(fd, data, bytes, flags);
}
