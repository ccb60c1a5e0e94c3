// SPDX-License-Identifier: Apache-2.0
#include "http_testing.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"

#define ANSWER_MS 60000

/* ---- The service under test ---- */

struct server server;

static void get_things(struct call *c)
{
	const char *filter = call_query(c, "filter");

	call_ok(c, json_pack("{s:s, s:s, s:i}", "who", c->caller->name, "filter",
			     filter == NULL ? "" : filter, "revision", 7));
}

static void post_things(struct call *c)
{
	call_created(c, "/things/9", json_pack("{s:O?}", "body", c->body));
}

static void get_vm(struct call *c)
{
	call_ok(c, json_pack("{s:s, s:s?}", "id", c->parameters[0], "if_match", c->if_match));
}

static void delete_part(struct call *c)
{
	if (strcmp(c->parameters[1], "9") == 0) {
		call_refuse(c, API_WRONG_STATE, json_pack("{s:s}", "state", "running"),
			    "part %s:%s is in use", c->parameters[1], c->parameters[2]);
		return;
	}
	call_ok(c, NULL);
}

static void on_late(void *ctx)
{
	call_ok(server.late, json_pack("{s:b}", "late", 1));
}

static void on_gone(void *ctx, struct call *c)
{
	server.gone++;
	loop_timer_set(server.loop, &server.late_timer, 0);
}

static void get_late(struct call *c)
{
	const char *ms = call_query(c, "ms");

	server.late = c;
	server.late_timer = (struct loop_timer){.fn = on_late};
	call_hold(c, on_gone, NULL);
	loop_timer_set(server.loop, &server.late_timer,
		       host_now_ns() + strtoull(ms, NULL, 10) * 1000000);
}

static void on_more(void *ctx)
{
	call_stream_wake(server.stream);
}

static enum stream_pull pull(void *ctx, char *buf, size_t capacity, size_t *ret_bytes)
{
	if (server.stream_sent == 3) {
		return STREAM_END;
	}
	if (server.stream_sent > 0 && server.late_timer.deadline_ns == 0 && ctx == NULL) {
		/* once asleep between any two */
		static unsigned slept;

		if (slept++ % 2 == 0) {
			server.late_timer = (struct loop_timer){.fn = on_more};
			loop_timer_set(server.loop, &server.late_timer, host_now_ns() + 1000000);
			return STREAM_EMPTY;
		}
	}
	*ret_bytes = (size_t)snprintf(buf, capacity, "piece %u\n", server.stream_sent++);
	return STREAM_DATA;
}

static void closed(void *ctx)
{
	server.streams_closed++;
}

static void get_stream(struct call *c)
{
	static const struct stream_source source = {pull, closed};

	server.stream_sent = 0;
	if (call_stream(c, "text/plain", &source, NULL)) {
		server.stream = c;
	}
}

static void on_upgraded_data(void *ctx)
{
	char buf[64];
	ssize_t n = read(server.up->fd, buf, sizeof(buf));

	if (n > 0) {
		CHECK(write(server.up->fd, buf, (size_t)n) == n);
	} else if (n == 0) {
		loop_remove(server.loop, server.up->fd);
		server.up->close(server.up);
		server.up = NULL;
	}
}

static void up_ready(void *ctx, struct upgraded *u)
{
	server.up = u;
	if (u->extra_bytes > 0 && write(u->fd, u->extra, u->extra_bytes) < 0) {
		return;
	}
	loop_add(server.loop, u->fd, on_upgraded_data, NULL);
}

static void up_failed(void *ctx)
{
}

static void get_echo(struct call *c)
{
	static const struct upgrade_user user = {up_ready, up_failed};

	call_upgrade(c, "test-echo", &user, NULL);
}

static const struct route routes[] = {
	{"GET", "/things", RIGHT_READ, false, get_things, "", NULL, NULL},
	{"POST", "/things", RIGHT_HOST, true, post_things, "", "Thing", NULL},
	{"GET", "/vms/{vm}", RIGHT_READ, false, get_vm, "", NULL, NULL},
	{"GET", "/vms/special", RIGHT_READ, false, get_things, "", NULL, NULL},
	{"DELETE", "/vms/{vm}/parts/{a}:{b}", RIGHT_CHANGE, true, delete_part, "", NULL, NULL},
	{"GET", "/late", RIGHT_READ, false, get_late, "", NULL, NULL},
	{"GET", "/stream", RIGHT_READ, false, get_stream, "", NULL, NULL},
	{"GET", "/echo", RIGHT_READ, false, get_echo, "", NULL, NULL},
};
static const struct route_table table = {routes, ARRAY_LEN(routes)};
static const struct route_table *const tables[] = {&table, NULL};

static void each_vm(struct vmms *v, const char *text,
		    bool (*fn)(void *ctx, const char *id, const char *name), void *ctx)
{
	static const char *const vms[][2] = {{ID_A, "one"}, {ID_B, "two"}, {ID_C, "two"}};

	for (size_t i = 0; i < ARRAY_LEN(vms); i++) {
		if (text == NULL || strcasecmp(text, vms[i][0]) == 0 ||
		    strcmp(text, vms[i][1]) == 0) {
			fn(ctx, vms[i][0], vms[i][1]);
		}
	}
}

static const struct api_hooks hooks = {.each_vm = each_vm};

void *server_main(void *arg)
{
	loop_run(server.loop);
	return NULL;
}

bool server_start(unsigned timeout_s)
{
	const struct api_config api = {0};
	const struct http_config config = {.request_timeout_s = timeout_s};
	char error[256] = "";

	server = (struct server){.folder = "/tmp/virid-http-XXXXXX"};
	if (mkdtemp(server.folder) == NULL || loop_create(&server.loop) < 0) {
		return false;
	}
	snprintf(server.path, sizeof(server.path), "%s/sock", server.folder);
	if (api_create(NULL, server.loop, &hooks, &api, tables, &server.api, error, sizeof(error)) <
		    0 ||
	    http_create(server.api, &config, NULL, &server.http) < 0 ||
	    http_listen_unix(server.http, server.path, NULL, error, sizeof(error)) < 0) {
		printf("# %s\n", error);
		return false;
	}
	return pthread_create(&server.thread, NULL, server_main, NULL) == 0;
}

void server_stop(void)
{
	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
	http_destroy(server.http);
	api_destroy(server.api);
	loop_destroy(server.loop);
	rmdir(server.folder);
}

/* What belongs to the loop's thread is looked at while it stands still. */
struct http_counters server_counters(void)
{
	struct http_counters c;

	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
	http_get_counters(server.http, &c);
	pthread_create(&server.thread, NULL, server_main, NULL);
	return c;
}

/* ---- Clients ---- */

int client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", server.path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* All until @want came, the connection ended, or much time went by. */
const char *receive(int fd, const char *want)
{
	static char text[1 << 16];
	size_t at = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	text[0] = '\0';
	while (at + 1 < sizeof(text) && poll(&p, 1, ANSWER_MS) > 0) {
		ssize_t n = read(fd, text + at, sizeof(text) - 1 - at);

		if (n <= 0) {
			break;
		}
		at += (size_t)n;
		text[at] = '\0';
		if (want != NULL && strstr(text, want) != NULL) {
			break;
		}
	}
	return text;
}

bool send_text(int fd, const char *text)
{
	size_t n = strlen(text);

	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* One request on its own connection, and all that comes back. */
const char *ask(const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	int fd = client();

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_text(fd, text);
	const char *answer = receive(fd, NULL);

	close(fd);
	return answer;
}
