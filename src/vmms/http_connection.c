// SPDX-License-Identifier: Apache-2.0
/* Connections: how many, whose, and for how long. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http_state.h"
#include "lib/check.h"

#define HANGUPS_AT_ONCE 16
#define SWEEP_NS 500000000ull
#define SECOND_NS 1000000000ull

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family) {
		return false;
	}
	if (a->ss_family == AF_INET) {
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	}
	/* who has one address of an IPv6 network has all of it */
	return a->ss_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		      &((const struct sockaddr_in6 *)b)->sin6_addr, 8) == 0;
}

static bool same_caller(const struct http_connection *a, const struct http_connection *b)
{
	if (a->is_unix != b->is_unix) {
		return false;
	}
	return a->is_unix ? a->identity.uid == b->identity.uid
			  : same_address(&a->address, &b->address);
}

static bool is_over_limit(const struct http *h, const struct http_connection *c)
{
	unsigned same = 0;

	if (c->is_unix && identity_is_owner(&c->identity)) {
		return h->counters.open_connections >= HTTP_CONNECTIONS_MAX;
	}
	for (const struct http_connection *other = h->connections; other != NULL;
	     other = other->next) {
		same += same_caller(c, other);
	}
	return same >= HTTP_CONNECTIONS_PER_CALLER ||
	       h->counters.open_connections >= HTTP_CONNECTIONS_MAX - HTTP_CONNECTIONS_FOR_OWNER;
}

/* Said without the library, which would need a connection for it. TLS clients see the connection end. */
static void refuse(struct http_connection *c)
{
	static const char body[] =
		"{\"error\":{\"code\":\"busy\",\"message\":\"too many connections of this caller; "
		"close some, or try later\"}}\n";
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 sizeof(body) - 1, body);

	if (c->is_unix && send(c->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* nobody else to tell */
	}
	close(c->fd);
}

static void link_connection(struct http *h, struct http_connection *c)
{
	c->next = h->connections;
	c->link = &h->connections;
	if (c->next != NULL) {
		c->next->link = &c->next;
	}
	h->connections = c;
	h->counters.connections++;
	h->counters.open_connections++;
	if (h->sweep.deadline_ns == 0) {
		loop_timer_set(h->loop, &h->sweep, host_now_ns() + SWEEP_NS);
	}
}

struct http_connection *http_connection_create(struct http_listener *l, int fd,
					       const struct sockaddr_storage *address)
{
	struct http_connection *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->listener = l;
	c->fd = fd;
	c->address = *address;
	c->is_unix = l->tls == NULL;
	c->since_ns = host_now_ns();
	c->identified = c->is_unix && identity_of_peer(fd, &c->identity) == 0;
	if ((c->is_unix && !c->identified) || is_over_limit(l->http, c)) {
		l->http->counters.refused_connections++;
		refuse(c);
		free(c);
		return NULL;
	}
	link_connection(l->http, c);
	return c;
}

void http_connection_destroy(struct http_connection *c)
{
	struct http *h = c->listener->http;

	http_connection_watch(c, NULL);
	*c->link = c->next;
	if (c->next != NULL) {
		c->next->link = c->link;
	}
	h->counters.open_connections--;
	free(c);
}

void http_connection_phase(struct http_connection *c, enum http_phase phase)
{
	c->phase = phase;
	c->since_ns = host_now_ns();
}

/* ---- Hang-ups ---- */

/*
 * The library does not look at a connection whose request is being worked on. Pipelined requests make its socket readable all the time, so only
 * its end is asked for. On a Unix socket a client that only will not send more can be told from one that is gone.
 */
void http_connection_watch(struct http_connection *c, struct http_request *q)
{
	struct epoll_event e = {.events = c->is_unix ? 0 : EPOLLRDHUP, .data.ptr = c};
	int epoll = c->listener->http->hangups;

	if (q != NULL && c->watched == NULL) {
		/* out of memory: the client's end is seen when it is answered */
		epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
	} else if (q == NULL && c->watched != NULL) {
		epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
	}
	c->watched = q;
}

void http_connection_hangups(void *ctx)
{
	struct http *h = ctx;
	struct epoll_event events[HANGUPS_AT_ONCE];
	int n = epoll_wait(h->hangups, events, HANGUPS_AT_ONCE, 0);

	for (int i = 0; i < n; i++) {
		struct http_connection *c = events[i].data.ptr;
		struct http_request *q = c->watched;

		http_connection_watch(c, NULL);
		if (q != NULL) {
			http_request_gone(q);
		}
	}
}

/* ---- Time limits ---- */

static uint64_t limit_ns(const struct http *h, enum http_phase phase)
{
	switch (phase) {
	case HTTP_WAITING:
	case HTTP_RECEIVING:
		return h->config.request_timeout_s * SECOND_NS;
	case HTTP_ANSWERING:
		return HTTP_ANSWER_SECONDS * SECOND_NS;
	case HTTP_RUNNING:
	case HTTP_STREAMING:
	default:
		return UINT64_MAX;
	}
}

/* The library sees the end of a socket that is shut down, and closes it in its own time. */
void http_connection_sweep(void *ctx)
{
	struct http *h = ctx;
	uint64_t now = host_now_ns();

	for (struct http_connection *c = h->connections; c != NULL; c = c->next) {
		if (now - c->since_ns > limit_ns(h, c->phase)) {
			h->counters.timed_out_requests += c->phase == HTTP_RECEIVING;
			http_connection_phase(c, HTTP_STREAMING); /* once */
			shutdown(c->fd, SHUT_RDWR);
		}
	}
	if (h->connections != NULL) {
		loop_timer_set(h->loop, &h->sweep, now + SWEEP_NS);
	}
}
