// SPDX-License-Identifier: Apache-2.0
#include "launch/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool packet_add_word(struct packet *p, const char *word, struct launch_error *error)
{
	size_t n = strlen(word) + 1;

	if (n > sizeof(p->text) - p->bytes) {
		return launch_refuse(error, "the request is too long");
	}
	memcpy(p->text + p->bytes, word, n);
	p->bytes += n;
	return true;
}

bool packet_add_fd(struct packet *p, int fd, struct launch_error *error)
{
	if (p->fd_count == PACKET_DESCRIPTORS_MAX) {
		return launch_refuse(error, "the request has too many files; expected at most %u",
				     PACKET_DESCRIPTORS_MAX);
	}
	p->fds[p->fd_count++] = fd;
	return true;
}

bool packet_copy_fd(struct packet *p, int fd, struct launch_error *error)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0) {
		return launch_refuse(error, "%s", strerror(errno));
	}
	if (!packet_add_fd(p, copy, error)) {
		close(copy);
		return false;
	}
	return true;
}

void packet_drop(struct packet *p)
{
	for (unsigned i = 0; p != NULL && i < p->fd_count; i++) {
		close(p->fds[i]);
	}
	free(p);
}

bool packet_send(int socket, const struct packet *p, struct launch_error *error)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * PACKET_DESCRIPTORS_MAX)];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {(void *)(uintptr_t)p->text, p->bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t bytes = p->fd_count * sizeof(int);

	if (bytes > 0) {
		memset(&ancillary, 0, sizeof(ancillary));
		m.msg_control = &ancillary;
		m.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(h), p->fds, bytes);
	}
	if (sendmsg(socket, &m, MSG_NOSIGNAL) < 0) {
		return launch_refuse(error, "sending the request: %s", strerror(errno));
	}
	return true;
}
