// SPDX-License-Identifier: Apache-2.0
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format.h"
#include "lib/bits.h"

#define READ_AT_ONCE 16u

/* With privilege the kernel's own accesses are answered too; without, it has to do with those of user mode. */
static int open_any(void)
{
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == EPERM) {
		fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	}
	return fd < 0 ? -errno : (int)fd;
}

int uffd_open(int *ret_fd)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = open_any();

	if (fd < 0) {
		return fd;
	}
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		close(fd);
		return -ENOSYS;
	}
	*ret_fd = fd;
	return 0;
}

int uffd_register(int fd, void *start, size_t bytes)
{
	struct uffdio_register r = {.range = {.start = (uintptr_t)start, .len = bytes},
				    .mode = UFFDIO_REGISTER_MODE_MISSING};

	return ioctl(fd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;
}

void uffd_unregister(int fd, void *start, size_t bytes)
{
	struct uffdio_range range = {.start = (uintptr_t)start, .len = bytes};

	ioctl(fd, UFFDIO_UNREGISTER, &range);
}

void uffd_wake(int fd, void *start, size_t bytes)
{
	struct uffdio_range range = {.start = (uintptr_t)start, .len = bytes};

	ioctl(fd, UFFDIO_WAKE, &range);
}

/*
 * After a call that put @done bytes in place or failed with @error: how far to go on, 0 or less to end. A page that is there is skipped, but
 * somebody may wait for it who missed that.
 */
static int64_t advance(int fd, uint64_t at, int64_t done, int error)
{
	if (done > 0) {
		return done;
	}
	if (error == EEXIST) {
		uffd_wake(fd, (void *)(uintptr_t)at, SAVED_PAGE_BYTES);
		return SAVED_PAGE_BYTES;
	}
	return error == EAGAIN ? 0 : -error;
}

int uffd_copy(int fd, void *to, const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		struct uffdio_copy c = {
			.dst = (uintptr_t)to + at, .src = (uintptr_t)from + at, .len = bytes - at};
		int error = ioctl(fd, UFFDIO_COPY, &c) < 0 ? errno : 0;
		int64_t step = advance(fd, c.dst, c.copy, error);

		if (step < 0) {
			return (int)step;
		}
		at += (size_t)step;
	}
	return 0;
}

int uffd_zero(int fd, void *to, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		struct uffdio_zeropage z = {
			.range = {.start = (uintptr_t)to + at, .len = bytes - at}};
		int error = ioctl(fd, UFFDIO_ZEROPAGE, &z) < 0 ? errno : 0;
		int64_t step = advance(fd, z.range.start, z.zeropage, error);

		if (step < 0) {
			return (int)step;
		}
		at += (size_t)step;
	}
	return 0;
}

size_t uffd_read(int fd, uint64_t *ret_addresses, size_t count)
{
	struct uffd_msg messages[READ_AT_ONCE];
	ssize_t n = read(fd, messages, min_u64(count, READ_AT_ONCE) * sizeof(messages[0]));
	size_t found = 0;

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(messages[0]); i++) {
		if (messages[i].event == UFFD_EVENT_PAGEFAULT) {
			ret_addresses[found++] = messages[i].arg.pagefault.address;
		}
	}
	return found;
}
