// SPDX-License-Identifier: Apache-2.0
#include "packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t packet_receive(int fd, void *buf, size_t capacity, int *ret_fds, size_t *ret_fd_count)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * PACKET_DESCRIPTORS_MAX)];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {buf, capacity};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &ancillary,
			   .msg_controllen = sizeof(ancillary)};

	*ret_fd_count = 0;
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	for (struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; h != NULL;
	     h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			*ret_fd_count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(ret_fds, CMSG_DATA(h), *ret_fd_count * sizeof(int));
		}
	}
	return n < 0 ? -errno : n;
}

void packet_close(const int *fds, size_t fd_count)
{
	for (size_t i = 0; i < fd_count; i++) {
		close(fds[i]);
	}
}

int packet_send(int fd, const void *data, size_t bytes)
{
	return send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
