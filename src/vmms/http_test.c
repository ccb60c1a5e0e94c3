// SPDX-License-Identifier: Apache-2.0
/*
 * The API's front over a real socket, with routes of this test: what goes through, what is refused, and that nothing a client does harms the
 * service. The service runs on a thread; clients are plain sockets.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_testing.h"
#include "lib/bits.h"
#include "test/test.h"

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
	at[80] = '}';
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
		("GET /api/v1/things HTTP/1.1\r\nAuthorization: Basic ====\r\n"
		 "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
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
	pthread_create(&server.thread, NULL, server_main, NULL);
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
