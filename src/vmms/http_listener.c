// SPDX-License-Identifier: Apache-2.0
/* Sockets that listen, and the library's machinery in our loop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http_auth.h"
#include "http_listener.h"
#include "lib/check.h"

#define ACCEPTS_AT_ONCE 16
#define MS_NS 1000000ull
#define DEFAULT_TIMEOUT_S 60

/* ---- The library's turn ---- */

static void run_daemon(void *ctx)
{
	struct http_listener *l = ctx;
	MHD_UNSIGNED_LONG_LONG ms;
	uint64_t deadline = UINT64_MAX;

	MHD_run(l->daemon);
	if (MHD_get_timeout(l->daemon, &ms) == MHD_YES) {
		deadline = host_now_ns() + ms * MS_NS;
	}
	loop_timer_set(l->http->loop, &l->timer, deadline);
}

void http_kick(struct http_listener *l)
{
	loop_timer_set(l->http->loop, &l->timer, host_now_ns());
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_listener *l = ctx;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = l->accepting;
		l->accepting = NULL;
	} else if (*socket_context != NULL) {
		http_connection_destroy(*socket_context);
		*socket_context = NULL;
	}
}

/* Targets stay as they are: a slash that was escaped is no separator. */
static size_t leave_escapes(void *ctx, struct MHD_Connection *mhd, char *s)
{
	return strlen(s);
}

static int start_daemon(struct http_listener *l)
{
	unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
			 MHD_ALLOW_UPGRADE | (l->tls != NULL ? MHD_USE_TLS : 0);
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem *more = l->tls != NULL ? http_tls_options(l->tls) : none;

	l->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, http_request_continue, l, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		HTTP_HEADER_BYTES, MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX + 1,
		MHD_OPTION_CONNECTION_TIMEOUT, HTTP_ANSWER_SECONDS, MHD_OPTION_URI_LOG_CALLBACK,
		http_request_begin, l, MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, http_request_end, l, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, l, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	if (l->daemon == NULL) {
		return -EIO;
	}
	l->epoll_fd = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	l->timer = (struct loop_timer){.fn = run_daemon, .ctx = l};
	return loop_add(l->http->loop, l->epoll_fd, run_daemon, l);
}

/* ---- Accepting ---- */

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Without descriptors nothing could be accepted, and the socket would stay readable: one caller goes for all. */
static void refuse_one(struct http_listener *l)
{
	struct http *h = l->http;

	close(h->spare_fd);
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		h->counters.refused_connections++;
		close(fd);
	}
	h->spare_fd = open_spare();
}

static void take(struct http_listener *l, int fd, const struct sockaddr_storage *address,
		 socklen_t bytes)
{
	l->accepting = http_connection_create(l, fd, address);
	if (l->accepting == NULL) {
		return;
	}
	/* closes the descriptor when it fails */
	if (MHD_add_connection(l->daemon, fd, (const struct sockaddr *)address, bytes) != MHD_YES &&
	    l->accepting != NULL) {
		http_connection_destroy(l->accepting);
	}
	l->accepting = NULL;
	http_kick(l);
}

static void on_accept(void *ctx)
{
	struct http_listener *l = ctx;

	for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct sockaddr_storage address = {0};
		socklen_t bytes = sizeof(address);
		int fd = accept4(l->fd, (struct sockaddr *)&address, &bytes,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE) {
				refuse_one(l);
			}
			return;
		}
		take(l, fd, &address, bytes);
	}
}

/* ---- Listeners ---- */

static void listener_destroy(struct http_listener *l)
{
	struct loop *loop = l->http->loop;

	loop_remove(loop, l->fd);
	close(l->fd);
	if (l->daemon != NULL) {
		loop_remove(loop, l->epoll_fd);
		MHD_stop_daemon(l->daemon);
	}
	loop_timer_set(loop, &l->timer, 0);
	if (l->path[0] != '\0') {
		unlink(l->path);
	}
	http_tls_destroy(l->tls);
	free(l);
}

int http_listener_start(struct http *h, int fd, struct http_tls *tls, const char *path)
{
	struct http_listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		http_tls_destroy(tls);
		return -ENOMEM;
	}
	l->http = h;
	l->fd = fd;
	l->tls = tls;
	snprintf(l->path, sizeof(l->path), "%s", path == NULL ? "" : path);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	int r = start_daemon(l);

	if (r == 0) {
		r = loop_add(h->loop, fd, on_accept, l);
	}
	if (r < 0) {
		listener_destroy(l);
		return r;
	}
	l->next = h->listeners;
	h->listeners = l;
	return 0;
}

/* ---- The whole ---- */

int http_create(struct api *a, const struct http_config *config, struct tasks *tasks,
		struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		return -ENOMEM;
	}
	h->api = a;
	h->loop = api_loop(a);
	h->auth = tasks == NULL ? NULL : http_auth_create(tasks, config->pam_folder, api_audit(a));
	h->config = *config;
	h->config.request_timeout_s += config->request_timeout_s == 0 ? DEFAULT_TIMEOUT_S : 0;
	h->sweep = (struct loop_timer){.fn = http_connection_sweep, .ctx = h};
	h->spare_fd = open_spare();
	h->hangups = epoll_create1(EPOLL_CLOEXEC);
	int r = h->hangups < 0 ? -errno : loop_add(h->loop, h->hangups, http_connection_hangups, h);

	if (r < 0) {
		http_destroy(h);
		return r;
	}
	api_set_http(a, h);
	*ret = h;
	return 0;
}

/* The library does not end while connections sleep. */
static void wake_all(struct http *h)
{
	for (struct http_connection *c = h->connections; c != NULL; c = c->next) {
		struct http_request *q = c->watched;

		if (q != NULL) {
			http_request_gone(q);
		}
	}
}

void http_destroy(struct http *h)
{
	if (h == NULL) {
		return;
	}
	api_drop_slots(h->api);
	api_set_http(h->api, NULL);
	wake_all(h);
	while (h->listeners != NULL) {
		struct http_listener *l = h->listeners;

		h->listeners = l->next;
		listener_destroy(l);
	}
	loop_timer_set(h->loop, &h->sweep, 0);
	if (h->hangups >= 0) {
		loop_remove(h->loop, h->hangups);
		close(h->hangups);
	}
	if (h->spare_fd >= 0) {
		close(h->spare_fd);
	}
	http_auth_destroy(h->auth);
	free(h);
}

void http_get_counters(const struct http *h, struct http_counters *ret)
{
	*ret = h->counters;
}
