// SPDX-License-Identifier: Apache-2.0
/*
 * For the network tests, on Linux in a guest: many TCP connections at once, each of which carries data both ways that is checked at both ends.
 *
 *	traffic serve PORT
 *	traffic connect ADDRESS PORT CONNECTIONS BYTES [MILLISECONDS]	all are open before the first one sends; then it waits that long
 *	traffic make BYTES						data for a file, on standard output
 *
 * A connection begins with what it is (struct hello) from the one who connects. Then both send BYTES that follow from its number, and at the end
 * the other's verdict comes back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)32 << 10)
#define EVENTS 64
#define GOOD 'k'
#define BAD 'x'

struct hello {
	uint64_t number, bytes;
};

struct connection {
	int fd; /* -1: over */
	struct hello hello;
	size_t greeted; /* bytes of hello that have gone or come */
	uint64_t sent, received;
	bool client, wrong, told,
		waits; /* told: the verdict has gone; waits: epoll looks for room to write */
	char verdict;  /* of the other one, once it has come */
};

struct state {
	int epoll;
	int listener; /* -1: a client */
	unsigned open, finished, failed;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- Data ---- */

static uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void pattern(uint64_t seed, uint64_t at, uint8_t *to, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		uint64_t word = word_at(seed, (at + i) / 8), skip = (at + i) % 8;
		size_t n = 8 - skip < bytes - i ? (size_t)(8 - skip) : bytes - i;

		memcpy(to + i, (const uint8_t *)&word + skip, n);
		i += n;
	}
}

/* What the client sends on connection n is stream 2n, what the server sends stream 2n + 1. */
static uint64_t seed_of(const struct connection *c, bool from_client)
{
	return 2 * c->hello.number + !from_client;
}

static size_t chunk(uint64_t left)
{
	return left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
}

/* ---- A connection ---- */

static void finish(struct state *s, struct connection *c, const char *why)
{
	if (why != NULL) {
		fprintf(stderr, "traffic: connection %llu: %s after %llu sent, %llu received\n",
			(unsigned long long)c->hello.number, why, (unsigned long long)c->sent,
			(unsigned long long)c->received);
		s->failed++;
	}
	close(c->fd);
	c->fd = -1;
	s->finished++;
	s->open--;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* False: there is no room, or it is over. */
static bool write_some(struct state *s, struct connection *c, const void *data, size_t bytes,
		       size_t *ret)
{
	ssize_t n = send(c->fd, data, bytes, MSG_NOSIGNAL);

	if (n < 0) {
		if (!would_block()) {
			finish(s, c, strerror(errno));
		}
		return false;
	}
	*ret = (size_t)n;
	return true;
}

static bool everything_is_there(const struct connection *c)
{
	return c->greeted == sizeof(c->hello) && c->sent == c->hello.bytes &&
	       c->received == c->hello.bytes;
}

/* Sends what can be sent; true: there is more, but no room. */
static bool push(struct state *s, struct connection *c)
{
	static uint8_t buffer[CHUNK_BYTES];
	size_t n;

	while (c->client && c->greeted < sizeof(c->hello)) {
		if (!write_some(s, c, (const uint8_t *)&c->hello + c->greeted,
				sizeof(c->hello) - c->greeted, &n)) {
			return c->fd >= 0;
		}
		c->greeted += n;
	}
	while (c->greeted == sizeof(c->hello) && c->sent < c->hello.bytes) {
		size_t want = chunk(c->hello.bytes - c->sent);

		pattern(seed_of(c, c->client), c->sent, buffer, want);
		if (!write_some(s, c, buffer, want, &n)) {
			return c->fd >= 0;
		}
		c->sent += n;
	}
	if (everything_is_there(c) && !c->told) {
		char verdict = c->wrong ? BAD : GOOD;

		if (!write_some(s, c, &verdict, 1, &n)) {
			return c->fd >= 0;
		}
		c->told = true;
	}
	return false;
}

/* @bytes have come into @data, no more than belong to one part. */
static void take(struct connection *c, const uint8_t *data, size_t bytes)
{
	static uint8_t expected[CHUNK_BYTES];

	if (!c->client && c->greeted < sizeof(c->hello)) {
		memcpy((uint8_t *)&c->hello + c->greeted, data, bytes);
		c->greeted += bytes;
	} else if (c->received < c->hello.bytes) {
		pattern(seed_of(c, !c->client), c->received, expected, bytes);
		c->wrong |= memcmp(expected, data, bytes) != 0;
		c->received += bytes;
	} else {
		c->verdict = (char)data[0];
	}
}

static void pull(struct state *s, struct connection *c)
{
	static uint8_t buffer[CHUNK_BYTES];

	for (;;) {
		size_t want = !c->client && c->greeted < sizeof(c->hello)
				      ? sizeof(c->hello) - c->greeted
			      : c->received < c->hello.bytes ? chunk(c->hello.bytes - c->received)
							     : 1;
		ssize_t n = recv(c->fd, buffer, want, 0);

		if (n < 0 && would_block()) {
			return;
		}
		if (n <= 0) {
			const char *why = n < 0 ? strerror(errno)
					  : c->verdict == GOOD && !c->wrong && c->told ? NULL
					  : c->verdict == 0 ? "closed too early"
							    : "wrong data";

			finish(s, c, why);
			return;
		}
		take(c, buffer, (size_t)n);
	}
}

static void serve(struct state *s, struct connection *c)
{
	bool more;

	pull(s, c);
	if (c->fd < 0) {
		return;
	}
	more = push(s, c);
	if (c->fd >= 0 && c->told && c->verdict != 0) {
		finish(s, c, c->verdict == GOOD && !c->wrong ? NULL : "wrong data");
		return;
	}
	if (c->fd >= 0 && more != c->waits) {
		struct epoll_event ev = {.events = EPOLLIN | (more ? EPOLLOUT : 0u), .data.ptr = c};

		c->waits = more;
		epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
	}
}

static struct connection *add(struct state *s, int fd, bool client)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN | (client ? EPOLLOUT : 0u), .data.ptr = c};

	if (c == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		die("adding a connection");
	}
	*c = (struct connection){.fd = fd, .client = client, .waits = client};
	s->open++;
	return c;
}

/* ---- The two sides ---- */

static struct state begin(void)
{
	const struct rlimit many = {8192, 8192};
	struct state s = {.epoll = epoll_create1(0), .listener = -1};

	if (s.epoll < 0 || setrlimit(RLIMIT_NOFILE, &many) < 0) {
		die("preparing");
	}
	return s;
}

static void accept_all(struct state *s)
{
	int fd = accept(s->listener, NULL, NULL);

	if (fd >= 0) {
		add(s, fd, false);
	}
}

static void turn(struct state *s)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll, events, EVENTS, -1);

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;

		if (c == NULL) {
			accept_all(s);
		} else if (c->fd >= 0) {
			serve(s, c);
		}
	}
}

_Noreturn static void run_server(const char *port)
{
	struct state s = begin();
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct epoll_event ev = {.events = EPOLLIN};
	const int one = 1;

	s.listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s.listener < 0 || bind(s.listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(s.listener, 4096) < 0 ||
	    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &ev) < 0) {
		die("listening");
	}
	for (;;) {
		turn(&s);
	}
}

/* One after the other; the time that takes does not matter, all stay open. */
static struct connection *connect_one(struct state *s, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		die("connecting");
	}
	return add(s, fd, true);
}

static int run_client(const char *address, const char *port, unsigned count, uint64_t bytes,
		      unsigned wait_ms)
{
	struct state s = begin();
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct connection **all = calloc(count, sizeof(struct connection *));

	if (all == NULL || inet_pton(AF_INET, address, &to.sin_addr) != 1) {
		die("address");
	}
	for (unsigned i = 0; i < count; i++) {
		all[i] = connect_one(&s, &to);
		all[i]->hello = (struct hello){.number = i, .bytes = bytes};
	}
	printf("traffic: %u connections are open\n", s.open);
	fflush(stdout);
	usleep(wait_ms * 1000);
	while (s.finished < count) {
		turn(&s);
	}
	printf("traffic: %u connections, %llu bytes each way on each, %u failed\n", count,
	       (unsigned long long)bytes, s.failed);
	return s.failed != 0;
}

static int make(uint64_t bytes)
{
	static uint8_t buffer[CHUNK_BYTES];

	for (uint64_t at = 0; at < bytes;) {
		size_t n = chunk(bytes - at);

		pattern(1, at, buffer, n);
		if (fwrite(buffer, 1, n, stdout) != n) {
			die("writing");
		}
		at += n;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		run_server(argv[2]);
	}
	if ((argc == 6 || argc == 7) && strcmp(argv[1], "connect") == 0) {
		return run_client(argv[2], argv[3], (unsigned)atoi(argv[4]),
				  strtoull(argv[5], NULL, 10),
				  argc == 7 ? (unsigned)atoi(argv[6]) : 0);
	}
	if (argc == 3 && strcmp(argv[1], "make") == 0) {
		return make(strtoull(argv[2], NULL, 10));
	}
	fprintf(stderr, "usage: traffic serve PORT | connect ADDRESS PORT CONNECTIONS BYTES "
			"[MILLISECONDS] | make BYTES\n");
	return 2;
}
