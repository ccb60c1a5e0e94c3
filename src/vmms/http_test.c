// SPDX-License-Identifier: Apache-2.0
/*
 * The API's front over a real socket, with routes of this test: what goes through, what is refused, and that nothing a client does harms the
 * service. The service runs on a thread; clients are plain sockets.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "call_stream.h"
#include "host/loop.h"
#include "http.h"
#include "lib/bits.h"
#include "test/test.h"

#define ANSWER_MS 60000
#define ID_A "11111111-2222-3333-4444-555555555555"
#define ID_B "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"
#define ID_C "AAAAAAAA-BBBB-CCCC-DDDD-FFFFFFFFFFFF"

/* ---- The service under test ---- */

struct server {
	struct loop *loop;
	struct api *api;
	struct http *http;
	pthread_t thread;
	char folder[64], path[96];
	struct call *late; /* held */
	struct loop_timer late_timer;
	atomic_uint gone;
	struct call *stream;
	unsigned stream_sent;
	atomic_uint streams_closed;
	struct upgraded *up;
};

static struct server server;

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
		n = write(server.up->fd, buf, (size_t)n);
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

static void *serve(void *arg)
{
	loop_run(server.loop);
	return NULL;
}

static bool server_start(unsigned timeout_s)
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
	return pthread_create(&server.thread, NULL, serve, NULL) == 0;
}

static void server_stop(void)
{
	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
	http_destroy(server.http);
	api_destroy(server.api);
	loop_destroy(server.loop);
	rmdir(server.folder);
}

/* What belongs to the loop's thread is looked at while it stands still. */
static struct http_counters server_counters(void)
{
	struct http_counters c;

	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
	http_get_counters(server.http, &c);
	pthread_create(&server.thread, NULL, serve, NULL);
	return c;
}

/* ---- Clients ---- */

static int client(void)
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
static const char *receive(int fd, const char *want)
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

static bool send_text(int fd, const char *text)
{
	size_t n = strlen(text);

	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* One request on its own connection, and all that comes back. */
__attribute__((format(printf, 1, 2))) static const char *ask(const char *fmt, ...)
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

#define HEAD " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
#define HAS(t, answer, what)                                                                       \
	do {                                                                                       \
		const char *answer_ = (answer);                                                    \
		if (strstr(answer_, what) == NULL) {                                               \
			test_fail(t, __FILE__, __LINE__, "no '%s' in: %s", what, answer_);         \
		}                                                                                  \
	} while (0)

/* ---- Tests ---- */

static void test_answers(struct test *t)
{
	const char *a = ask("GET /api/v1/things?filter=a%%20b+c%%2f" HEAD "\r\n");

	HAS(t, a, "HTTP/1.1 200 OK");
	HAS(t, a, "Content-Type: application/json");
	HAS(t, a, "ETag: \"7\"");
	HAS(t, a, "\"filter\":\"a b c/\"");
	a = ask("POST /api/v1/things" HEAD "Content-Length: 8\r\n\r\n{\"a\":[]}");
	HAS(t, a, "HTTP/1.1 201 Created");
	HAS(t, a, "Location: /api/v1/things/9");
	HAS(t, a, "{\"body\":{\"a\":[]}}");
	a = ask("POST /api/v1/things" HEAD
		"Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n5\r\n\":1}\n\r\n0\r\n\r\n");
	HAS(t, a, "{\"body\":{\"a\":1}}");
	HAS(t, ask("DELETE /api/v1/vms/one/parts/scsi0:3" HEAD "\r\n"), "HTTP/1.1 204");
	a = ask("DELETE /api/v1/vms/one/parts/9:3" HEAD "\r\n");
	HAS(t, a, "HTTP/1.1 409");
	HAS(t, a,
	    "{\"error\":{\"code\":\"wrong-state\",\"message\":\"part 9:3 is in "
	    "use\",\"state\":\"running\"}}");
	HAS(t, ask("GET /api/v1/vms/special" HEAD "\r\n"), "\"who\"");
	a = ask("HEAD /api/v1/things" HEAD "\r\n");
	HAS(t, a, "HTTP/1.1 200 OK");
	EXPECT(t, strstr(a, "\"who\"") == NULL);
	HAS(t, ask("OPTIONS /api/v1/things" HEAD "\r\n"), "Allow: GET, POST");
}

static void test_vm_by_name(struct test *t)
{
	HAS(t, ask("GET /api/v1/vms/one" HEAD "If-Match: \"42\"\r\n\r\n"),
	    "{\"id\":\"" ID_A "\",\"if_match\":\"42\"}");
	HAS(t, ask("GET /api/v1/vms/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" HEAD "\r\n"), ID_B);
	const char *a = ask("GET /api/v1/vms/two" HEAD "\r\n");

	HAS(t, a, "HTTP/1.1 409");
	HAS(t, a, "\"candidates\":[{\"id\":\"" ID_B "\",\"name\":\"two\"},{\"id\":\"" ID_C "\"");
	HAS(t, ask("GET /api/v1/vms/none" HEAD "\r\n"), "no VM with the name or id 'none'");
}

static void test_refusals(struct test *t)
{
	static const struct {
		const char *request, *status, *text;
	} cases[] = {
		{"GET /api/v1/nothing" HEAD "\r\n", "404", "there is no /api/v1/nothing here"},
		{"GET /other" HEAD "\r\n", "404", "there is no /other here"},
		{"PUT /api/v1/things" HEAD "\r\n", "405", "Allow: GET, POST"},
		{"BREW /api/v1/things" HEAD "\r\n", "405", "BREW is not possible"},
		{"GET /api/v1/things/%zz" HEAD "\r\n", "400", "'%zz' is not an escape"},
		{"GET /api/v1/things/%00" HEAD "\r\n", "400", "'%00' is not an escape"},
		{"GET /api/v1/vms/%ff" HEAD "\r\n", "400", "not UTF-8"},
		{"GET /api/v1/vms/a%0ab" HEAD "\r\n", "400", "control characters"},
		{"GET /api/v1//things" HEAD "\r\n", "400", "empty part"},
		{"GET api/v1/things" HEAD "\r\n", "400", "begins with '/'"},
		{"POST /api/v1/things" HEAD "Content-Length: 9\r\n\r\n{\"a\":\n 1,", "400",
		 "line 2, column 3: not JSON"},
		{"POST /api/v1/things" HEAD "Content-Length: 2\r\n\r\n[]", "400",
		 "expected an object"},
		{"POST /api/v1/things" HEAD "Content-Length: 15\r\n\r\n{\"a\":1, \"a\": 2}", "400",
		 "duplicate"},
		{"POST /api/v1/things" HEAD "Content-Type: text/xml\r\nContent-Length: 2\r\n\r\n{}",
		 "415", "expected application/json"},
		{"POST /api/v1/things" HEAD "Origin: http://evil\r\nContent-Length: 2\r\n\r\n{}",
		 "403", "web pages"},
		{"DELETE /api/v1/vms/one/parts/1:2" HEAD "Content-Length: 2\r\n\r\n{}", "400",
		 "takes no body"},
		{"GET /api/v1/vms/one" HEAD "If-Match: seven\r\n\r\n", "400", "is not a revision"},
		{"GET /api/v1/vms/one" HEAD "If-Match: \"7\r\n\r\n", "400", "is not a revision"},
		{"POST /api/v1/things" HEAD "Content-Length: 99999999\r\n\r\n", "413",
		 "at most 1048576"},
		{"GET /api/v1/echo" HEAD "\r\n", "426", "Upgrade: test-echo"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *a = ask("%s", cases[i].request);

		if (strncmp(a, "HTTP/1.1 ", 9) != 0 || strncmp(a + 9, cases[i].status, 3) != 0 ||
		    strstr(a, cases[i].text) == NULL) {
			test_fail(t, __FILE__, __LINE__, "%s: want %s '%s', got: %s",
				  cases[i].request, cases[i].status, cases[i].text, a);
		}
	}
}

static void test_deep_json(struct test *t)
{
	char body[2 * 40 + 8] = "{\"a\":", *at = body + 5;

	memset(at, '[', 40);
	memset(at + 40, ']', 40);
	strcpy(at + 80, "}");
	const char *a =
		ask("POST /api/v1/things" HEAD "Content-Length: %zu\r\n\r\n%s", strlen(body), body);

	HAS(t, a, "HTTP/1.1 400");
	HAS(t, a, "column 37: nested deeper than 32 levels");
}

/* A body of no declared length that goes on and on. */
static void test_endless_body(struct test *t)
{
	static char block[65536 + 16];
	int fd = client(), n = snprintf(block, sizeof(block), "10000\r\n");
	unsigned sent = 0;

	send_text(fd, "POST /api/v1/things" HEAD "Transfer-Encoding: chunked\r\n\r\n");
	memset(block + n, 'x', 65536);
	memcpy(block + n + 65536, "\r\n", 2);
	while (sent < 1000 && send(fd, block, (size_t)n + 65538, MSG_NOSIGNAL) > 0) {
		sent++;
	}
	EXPECT(t, sent < 1000);
	close(fd);
	HAS(t, ask("GET /api/v1/things" HEAD "\r\n"), "200 OK");
}

static void test_large_header(struct test *t)
{
	int fd = client();

	send_text(fd, "GET /api/v1/things HTTP/1.1\r\nHost: x\r\n");
	for (unsigned i = 0;
	     i < 2000 && send_text(fd, "X-Filler: 0123456789012345678901234567890\r\n"); i++) {
	}
	send_text(fd, "\r\n");
	const char *a = receive(fd, NULL);

	/* refused, or the connection ended */
	EXPECT(t, strstr(a, "200 OK") == NULL);
	close(fd);
	HAS(t, ask("GET /api/v1/things" HEAD "\r\n"), "200 OK");
}

static void test_keep_alive_and_pipelining(struct test *t)
{
	int fd = client();

	for (unsigned i = 0; i < 3; i++) {
		send_text(fd, "GET /api/v1/vms/one HTTP/1.1\r\nHost: x\r\n\r\n");
		HAS(t, receive(fd, "}\n"), ID_A);
	}
	/* the second waits while the first sleeps */
	send_text(fd, "GET /api/v1/late?ms=30 HTTP/1.1\r\nHost: x\r\n\r\n"
		      "GET /api/v1/vms/one HTTP/1.1\r\nHost: x\r\n\r\n");
	const char *a = receive(fd, ID_A);

	HAS(t, a, "\"late\":true");
	HAS(t, a, ID_A);
	close(fd);
}

/* Raw bytes of all kinds; whatever the answer, the next client is served. */
static void test_malformed(struct test *t)
{
	static const char *const texts[] = {
		"GET\r\n\r\n",
		"GET /api/v1/things\r\n\r\n",
		"GET /api/v1/things HTTP/9.9\r\n\r\n",
		"POST /api/v1/things HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
		"POST /api/v1/things HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /api/v1/things HTTP/1.1\r\nnocolon\r\n\r\n",
		"GET * HTTP/1.1\r\n\r\n",
		"GET /api/v1/things HTTP/1.1\r\nAuthorization: Basic ====\r\nConnection: "
		"Upgrade\r\nUpgrade: h2c\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		int fd = client();

		send_text(fd, texts[i]);
		shutdown(fd, SHUT_WR);
		receive(fd, NULL);
		close(fd);
		HAS(t, ask("GET /api/v1/things" HEAD "\r\n"), "200 OK");
	}
	/* What is no whole header has no answer. */
	for (unsigned i = 0; i < 2; i++) {
		int fd = client();

		send_text(fd, i == 0 ? "\r\n\r\n" : "\x16\x03\x01\x02");
		close(fd);
		HAS(t, ask("GET /api/v1/things" HEAD "\r\n"), "200 OK");
	}
}

static void test_client_goes(struct test *t)
{
	int fd = client();

	send_text(fd, "GET /api/v1/late?ms=100000 HTTP/1.1\r\nHost: x\r\n\r\n");
	/* it has arrived when another request was answered behind it */
	ask("GET /api/v1/things" HEAD "\r\n");
	EXPECT_EQ(t, server.gone, 0);
	close(fd);
	for (unsigned i = 0; i < 1000 && server.gone == 0; i++) {
		ask("GET /api/v1/things" HEAD "\r\n");
	}
	EXPECT_EQ(t, server.gone, 1);
	/* one that only will not send more still gets its answer */
	fd = client();
	send_text(fd, "GET /api/v1/late?ms=50 HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	HAS(t, receive(fd, "true"), "\"late\":true");
	close(fd);
	EXPECT(t, server_counters().requests > 3);
}

static void test_stream(struct test *t)
{
	const char *a = ask("GET /api/v1/stream" HEAD "\r\n");

	HAS(t, a, "piece 0\n");
	HAS(t, a, "piece 1\n");
	HAS(t, a, "piece 2\n");
	EXPECT_EQ(t, server.streams_closed, 1);
}

static void test_upgrade(struct test *t)
{
	int fd = client();

	send_text(fd, "GET /api/v1/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
		      "test-echo\r\n\r\nearly");
	const char *a = receive(fd, "early");

	HAS(t, a, "HTTP/1.1 101");
	HAS(t, a, "Upgrade: test-echo");
	HAS(t, a, "early");
	send_text(fd, "hello");
	HAS(t, receive(fd, "hello"), "hello");
	shutdown(fd, SHUT_WR);
	EXPECT(t, receive(fd, NULL)[0] == '\0');
	close(fd);
}

static void test_many_connections(struct test *t)
{
	int fds[300];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = client();
		EXPECT(t, fds[i] >= 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		send_text(fds[i], "GET /api/v1/vms/one" HEAD "\r\n");
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		HAS(t, receive(fds[i], NULL), ID_A);
		close(fds[i]);
	}
}

/* A client that never finishes its request does not stay. */
static void test_slow(struct test *t)
{

	server_stop();
	if (!server_start(1)) {
		test_fail(t, __FILE__, __LINE__, "the service does not start");
		return;
	}
	int header = client(), body = client(), idle = client();

	send_text(header, "GET /api/v1/things HTTP/1.1\r\nHo");
	send_text(body, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
	EXPECT(t, receive(header, NULL)[0] == '\0');
	EXPECT(t, receive(body, NULL)[0] == '\0');
	EXPECT(t, receive(idle, NULL)[0] == '\0');
	close(header);
	close(body);
	close(idle);
	HAS(t, ask("GET /api/v1/things" HEAD "\r\n"), "200 OK");
	EXPECT_EQ(t, server_counters().timed_out_requests, 1);
}

static void test_second_service(struct test *t)
{
	struct http *other;
	struct http_config config = {0};
	char error[256];

	/* the loop belongs to the thread: stopped for this */
	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
	EXPECT_EQ(t, http_create(server.api, &config, NULL, &other), 0);
	EXPECT_EQ(t, http_listen_unix(other, server.path, NULL, error, sizeof(error)), -EADDRINUSE);
	EXPECT(t, strstr(error, "another service listens") != NULL);
	http_destroy(other);
	pthread_create(&server.thread, NULL, serve, NULL);
	HAS(t, ask("GET /api/v1/things" HEAD "\r\n"), "200 OK");
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_answers),
		TEST(test_vm_by_name),
		TEST(test_refusals),
		TEST(test_deep_json),
		TEST(test_endless_body),
		TEST(test_large_header),
		TEST(test_keep_alive_and_pipelining),
		TEST(test_malformed),
		TEST(test_client_goes),
		TEST(test_stream),
		TEST(test_upgrade),
		TEST(test_many_connections),
		TEST(test_second_service),
		TEST(test_slow),
	};

	signal(SIGPIPE, SIG_IGN);
	if (!server_start(0)) {
		printf("Bail out! the service does not start\n");
		return 1;
	}
	int r = test_main(cases, ARRAY_LEN(cases));

	server_stop();
	return r;
}
