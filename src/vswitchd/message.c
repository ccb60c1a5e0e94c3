// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "json/file.h"

#define DEPTH_MAX 8

union ancillary {
	char space[CMSG_SPACE(sizeof(int) * MESSAGE_DESCRIPTORS)];
	struct cmsghdr align;
};

bool refuse(char *error, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return false;
}

json_t *message_parse(const char *text, size_t bytes)
{
	char unused[200];

	return json_parse("", text, bytes, DEPTH_MAX, unused, sizeof(unused));
}

static int send_packet(int socket, const char *text, size_t bytes, const int *fds,
		       unsigned fd_count, int flags)
{
	union ancillary a;
	struct iovec iov = {(void *)(uintptr_t)text, bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count > MESSAGE_DESCRIPTORS) {
		return -EMSGSIZE;
	}
	if (fd_count > 0) {
		memset(&a, 0, sizeof(a));
		m.msg_control = &a;
		m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(h), fds, fd_count * sizeof(int));
	}
	/* io_uring's completions interrupt what its thread waits for, and calls with a time limit are not restarted. */
	while (sendmsg(socket, &m, flags | MSG_NOSIGNAL) < 0) {
		if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int send_long(int socket, const char *text, size_t bytes, const int *fds, unsigned fd_count,
		     int flags)
{
	int all[MESSAGE_DESCRIPTORS];
	char head[64];

	if (bytes > MESSAGE_LONG_MAX || fd_count >= MESSAGE_DESCRIPTORS) {
		return -EMSGSIZE;
	}
	int memory = memfd_create("answer", MFD_CLOEXEC);

	if (memory < 0) {
		return -errno;
	}
	for (unsigned i = 0; i < fd_count; i++) {
		all[i] = fds[i];
	}
	all[fd_count] = memory;
	int n = snprintf(head, sizeof(head), "{\"long\":%zu}", bytes);
	int r = file_write_all(memory, text, bytes);

	if (r == 0) {
		r = send_packet(socket, head, (size_t)n, all, fd_count + 1, flags);
	}
	close(memory);
	return r;
}

int message_send(int socket, json_t *body, const int *fds, unsigned fd_count, int flags)
{
	char *text = json_line(body);
	size_t bytes = strlen(text);
	int r = bytes <= MESSAGE_BYTES_MAX ? send_packet(socket, text, bytes, fds, fd_count, flags)
					   : send_long(socket, text, bytes, fds, fd_count, flags);

	free(text);
	return r;
}

void message_drop(struct message *m)
{
	for (unsigned i = 0; i < m->fd_count; i++) {
		if (m->fds[i] >= 0) {
			close(m->fds[i]);
		}
	}
	json_decref(m->body);
	*m = (struct message){0};
}

static void take_descriptors(struct msghdr *m, struct message *ret)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (ret->fd_count < MESSAGE_DESCRIPTORS) {
				ret->fds[ret->fd_count++] = fd;
			} else {
				close(fd);
			}
		}
	}
}

/* The text is in the last descriptor. */
static json_t *read_long(struct message *m, uint64_t bytes)
{
	json_t *o = NULL;
	char *text = bytes <= MESSAGE_LONG_MAX && m->fd_count > 0 ? malloc(bytes) : NULL;
	size_t got = 0;

	while (text != NULL && got < bytes) {
		ssize_t n = pread(m->fds[m->fd_count - 1], text + got, bytes - got, (off_t)got);

		if (n <= 0) {
			break;
		}
		got += (size_t)n;
	}
	if (text != NULL && got == bytes) {
		o = message_parse(text, bytes);
		close(m->fds[--m->fd_count]);
	}
	free(text);
	return o;
}

static bool take_body(const char *text, size_t bytes, bool allow_long, struct message *m)
{
	uint64_t long_bytes;

	m->body = message_parse(text, bytes);
	if (m->body != NULL && allow_long && json_number(m->body, "long", &long_bytes)) {
		json_decref(m->body);
		m->body = read_long(m, long_bytes);
	}
	return m->body != NULL;
}

static ssize_t receive(int socket, struct msghdr *m, int flags)
{
	ssize_t n;

	do {
		n = recvmsg(socket, m, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR); /* as in send_packet */
	return n;
}

int message_receive(int socket, int flags, bool allow_long, struct message *ret,
		    const char **ret_why)
{
	union ancillary a;
	struct message got = {0};
	char *text = malloc(MESSAGE_BYTES_MAX + 1);
	struct iovec iov = {text, MESSAGE_BYTES_MAX + 1};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &a, .msg_controllen = sizeof(a)};
	ssize_t n = text == NULL ? -1 : receive(socket, &m, flags);
	int r = text == NULL ? -ENOMEM : n < 0 ? -errno : n == 0 ? 0 : 1;

	if (r == 1) {
		take_descriptors(&m, &got);
		*ret_why = (m.msg_flags & MSG_TRUNC) != 0 || (size_t)n > MESSAGE_BYTES_MAX
				   ? "the request is longer than 64 KiB"
			   : (m.msg_flags & MSG_CTRUNC) != 0 ? "the request has more descriptors "
							       "than 80, or more than this process "
							       "can hold"
			   : !take_body(text, (size_t)n, allow_long, &got)
				   ? "the request is no JSON object of at most 8 levels"
				   : NULL;
		if (*ret_why != NULL) {
			message_drop(&got);
			r = -EBADMSG;
		} else {
			*ret = got;
		}
	}
	free(text);
	return r;
}
