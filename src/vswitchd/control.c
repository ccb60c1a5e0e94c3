// SPDX-License-Identifier: Apache-2.0
/* Who asks the process something: connections, at most one request of each at a time, and nobody can make us wait. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "message.h"

#define ASKERS_MAX 256u /* connections without a port */
#define REQUESTS_AT_ONCE 32u

struct connection {
	struct source source;
	struct daemon *daemon;
	int fd;
	bool closed;
	struct port *port;
	struct connection *next;
	struct connection *next_grave;
};

void connection_set_port(struct connection *c, struct port *p)
{
	c->port = p;
}

void connection_close(struct connection *c)
{
	struct daemon *d = c->daemon;
	struct connection **link = &d->connections;

	if (c->closed) {
		return;
	}
	while (*link != c) {
		link = &(*link)->next;
	}
	*link = c->next;
	d->connection_count--;
	c->closed = true;
	c->source.fn = NULL; /* an event of this turn may be on its way */
	daemon_remove_source(d, c->fd);
	close(c->fd);
	if (c->port != NULL) {
		port_kill(c->port);
	}
	c->next_grave = d->connection_graves;
	d->connection_graves = c;
}

void connection_free_graves(struct daemon *d)
{
	while (d->connection_graves != NULL) {
		struct connection *c = d->connection_graves;

		d->connection_graves = c->next_grave;
		free(c);
	}
}

bool connection_is_gone(struct connection *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void connection_tell(struct connection *c, const char *text)
{
	/* Who does not listen misses it; nobody answers. */
	(void)send(c->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Who does not take the answer in time does not get it. */
static void answer(struct connection *c, struct request *q, int code)
{
	if (code < 0) {
		json_decref(q->answer);
		q->answer = json_object(); /* the sentence may be cut within a letter */
		json_add_text(q->answer, "error", q->error);
		json_add_number(q->answer, "code", -code);
	}
	if (message_send(c->fd, q->answer, q->fds, code < 0 ? 0 : q->fd_count, MSG_DONTWAIT) < 0) {
		connection_close(c);
	}
	for (unsigned i = 0; i < q->fd_count; i++) {
		close(q->fds[i]);
	}
	json_decref(q->answer);
}

static void refuse_message(struct connection *c, const char *why)
{
	struct request q = {.answer = NULL};

	refuse(q.error, sizeof(q.error), "%s", why);
	answer(c, &q, -EBADMSG);
}

static void carry_out(struct connection *c, struct message *m)
{
	struct request q = {.daemon = c->daemon,
			    .connection = c,
			    .connected = c->port,
			    .message = m,
			    .answer = json_object()};

	daemon_reap(c->daemon); /* nobody sees ports whose connection ended before */
	int code = verbs_do(&q);

	answer(c, &q, code);
	message_drop(m);
}

static void on_request(void *ctx, uint32_t events)
{
	struct connection *c = ctx;
	struct epoll_event again = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
				    .data.ptr = &c->source};

	for (unsigned i = 0; i < REQUESTS_AT_ONCE && !c->closed; i++) {
		struct message m;
		const char *why = "";
		int r = message_receive(c->fd, MSG_DONTWAIT, false, &m, &why);

		if (r == -EAGAIN) {
			return;
		}
		if (r == 1) {
			carry_out(c, &m);
		} else if (r == -EBADMSG) {
			refuse_message(c, why);
		} else {
			connection_close(c);
		}
	}
	if (!c->closed) {
		/* There may be more; others first. */
		epoll_ctl(c->daemon->epoll_fd, EPOLL_CTL_MOD, c->fd, &again);
	}
}

static bool is_allowed(struct daemon *d, int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == d->owner || peer.uid == 0);
}

/* Whoever came first and has no port makes room: nobody keeps others out by asking nothing. */
static void make_room(struct daemon *d)
{
	struct connection *oldest = NULL;

	if (d->connection_count < d->vm_count + ASKERS_MAX) {
		return;
	}
	for (struct connection *c = d->connections; c != NULL; c = c->next) {
		oldest = c->port == NULL ? c : oldest;
	}
	if (oldest != NULL) {
		connection_close(oldest);
	}
}

void connection_open(struct daemon *d, int fd)
{
	struct connection *c = is_allowed(d, fd) ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->source = (struct source){on_request, c};
	c->daemon = d;
	c->fd = fd;
	if (daemon_add_source(d, fd, &c->source) < 0) {
		close(fd);
		free(c);
		return;
	}
	make_room(d);
	c->next = d->connections;
	d->connections = c;
	d->connection_count++;
}

static void on_connect(void *ctx, uint32_t events)
{
	struct daemon *d = ctx;
	int fd;

	while ((fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		connection_open(d, fd);
	}
}

int control_start(struct daemon *d)
{
	d->listen_source = (struct source){on_connect, d};
	return daemon_add_source(d, d->listen_fd, &d->listen_source);
}
