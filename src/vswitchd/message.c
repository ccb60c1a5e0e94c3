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

bool json_text(struct json_object *o, const char *key, const char **ret)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string) ||
	    strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v)) {
		return false;
	}
	*ret = json_object_get_string(v);
	return true;
}

bool json_number(struct json_object *o, const char *key, uint64_t *ret)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int) ||
	    json_object_get_int64(v) < 0) {
		return false;
	}
	*ret = json_object_get_uint64(v);
	return true;
}

bool json_flag(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_boolean) &&
	       json_object_get_boolean(v);
}

struct json_object *message_parse(const char *text, size_t bytes)
{
	struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *o;

	if (t == NULL) {
		return NULL;
	}
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text, (int)bytes);
	bool whole = json_tokener_get_error(t) == json_tokener_success &&
		     json_tokener_get_parse_end(t) == bytes;

	json_tokener_free(t);
	if (!whole || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return NULL;
	}
	return o;
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

static int write_all(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, text, bytes);

		if (n < 0) {
			return -errno;
		}
		text += n;
		bytes -= (size_t)n;
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
	int r = write_all(memory, text, bytes);

	if (r == 0) {
		r = send_packet(socket, head, (size_t)n, all, fd_count + 1, flags);
	}
	close(memory);
	return r;
}

int message_send(int socket, struct json_object *body, const int *fds, unsigned fd_count, int flags)
{
	const char *text = json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN);

	if (text == NULL) {
		return -ENOMEM;
	}
	size_t bytes = strlen(text);

	return bytes <= MESSAGE_BYTES_MAX ? send_packet(socket, text, bytes, fds, fd_count, flags)
					  : send_long(socket, text, bytes, fds, fd_count, flags);
}

void message_drop(struct message *m)
{
	for (unsigned i = 0; i < m->fd_count; i++) {
		if (m->fds[i] >= 0) {
			close(m->fds[i]);
		}
	}
	json_object_put(m->body);
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
static struct json_object *read_long(struct message *m, uint64_t bytes)
{
	struct json_object *o = NULL;
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
		json_object_put(m->body);
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
