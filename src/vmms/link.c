// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/loop.h"
#include "lib/check.h"

#define ANSWER_BYTES ((size_t)64 << 10)
#define RETRY_NS (UINT64_C(20) * 1000000) /* the worker has as many callers as it takes */

/* A request with a connection of its own, or the stream of events. */
struct ask {
	struct link *link;
	struct ask *next;
	int fd;		       /* -1: not yet connected */
	struct packet *packet; /* NULL once it is sent */
	struct loop_timer retry;
	link_answered *answered;
	void *ctx;
	bool events;
};

struct link {
	struct loop *loop;
	int folder; /* O_PATH: however long its name is */
	struct ask *asks;
	void (*event)(void *ctx, const char *name, const char *text);
	void *event_ctx;
	char text[ANSWER_BYTES];
};

struct link *link_create(struct loop *loop, const char *folder)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l != NULL) {
		l->loop = loop;
		l->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return l;
}

static void drop_packet(struct ask *a)
{
	packet_drop(a->packet);
	a->packet = NULL;
}

static void end_ask(struct ask *a, const char *answer)
{
	struct link *l = a->link;
	struct ask **p = &l->asks;

	while (*p != a) {
		p = &(*p)->next;
	}
	*p = a->next;
	loop_timer_set(l->loop, &a->retry, 0);
	if (a->fd >= 0) {
		loop_remove(l->loop, a->fd);
		close(a->fd);
	}
	drop_packet(a);
	link_answered *answered = a->answered;
	void *ctx = a->ctx;

	free(a);
	if (answered != NULL) {
		answered(ctx, answer);
	}
}

void link_destroy(struct link *l)
{
	if (l == NULL) {
		return;
	}
	while (l->asks != NULL) {
		end_ask(l->asks, NULL);
	}
	if (l->folder >= 0) {
		close(l->folder);
	}
	free(l);
}

static void take_event(struct link *l, char *text)
{
	char *end = strchrnul(text, '\n');
	const char *rest = *end == '\0' ? end : end + 1;

	*end = '\0';
	if (l->event != NULL && strcmp(text, "ok") != 0) {
		l->event(l->event_ctx, text, rest);
	}
}

static void on_answer(void *ctx)
{
	struct ask *a = ctx;
	struct link *l = a->link;
	ssize_t n = recv(a->fd, l->text, sizeof(l->text) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	l->text[n > 0 ? n : 0] = '\0';
	if (n > 0 && a->events) {
		take_event(l, l->text);
		return;
	}
	end_ask(a, n > 0 ? l->text : NULL);
}

/* -EAGAIN: the worker has not room for another caller yet. */
static int connect_to(const struct link *l)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return -errno;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", l->folder);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static void try_ask(void *ctx)
{
	struct ask *a = ctx;
	struct launch_error error;
	int fd = connect_to(a->link);

	if (fd == -EAGAIN) {
		loop_timer_set(a->link->loop, &a->retry, host_now_ns() + RETRY_NS);
		return;
	}
	a->fd = fd;
	if (fd < 0 || !packet_send(fd, a->packet, &error) ||
	    loop_add(a->link->loop, fd, on_answer, a) < 0) {
		end_ask(a, NULL);
		return;
	}
	drop_packet(a);
}

static struct ask *add_ask(struct link *l, struct packet *p, link_answered *answered, void *ctx)
{
	struct ask *a = calloc(1, sizeof(*a));

	CHECK(a != NULL);
	*a = (struct ask){.link = l,
			  .fd = -1,
			  .packet = p,
			  .answered = answered,
			  .ctx = ctx,
			  .next = l->asks};
	a->retry = (struct loop_timer){.fn = try_ask, .ctx = a};
	l->asks = a;
	/* From the loop, so that nobody is answered while asking. */
	loop_timer_set(l->loop, &a->retry, host_now_ns());
	return a;
}

void link_ask(struct link *l, struct packet *p, link_answered *answered, void *ctx)
{
	add_ask(l, p, answered, ctx);
}

void link_ask_list(struct link *l, link_answered *answered, void *ctx, int fd,
		   const char *const *words)
{
	struct packet *p = calloc(1, sizeof(*p));
	struct launch_error error;

	CHECK(p != NULL);
	for (; *words != NULL; words++) {
		CHECK(packet_add_word(p, *words, &error)); /* they are ours, and short */
	}
	if (fd >= 0) {
		CHECK(packet_add_fd(p, fd, &error));
	}
	add_ask(l, p, answered, ctx);
}

void link_watch(struct link *l, void (*event)(void *ctx, const char *name, const char *text),
		void *ctx)
{
	struct packet *p = calloc(1, sizeof(*p));
	struct launch_error error;

	CHECK(p != NULL && packet_add_word(p, "events", &error));
	l->event = event;
	l->event_ctx = ctx;
	add_ask(l, p, NULL, NULL)->events = true;
}

/* ---- What it says ---- */

bool link_is_ok(const char *answer)
{
	return answer != NULL && strncmp(answer, "ok", 2) == 0 &&
	       (answer[2] == '\0' || answer[2] == '\n');
}

bool link_value(const char *text, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);

	for (const char *line = text; line != NULL && *line != '\0';) {
		const char *end = strchrnul(line, '\n');

		if (strncmp(line, key, n) == 0 && line[n] == '=') {
			size_t bytes = (size_t)(end - line) - n - 1;

			if (bytes >= size) {
				return false;
			}
			memcpy(ret, line + n + 1, bytes);
			ret[bytes] = '\0';
			return true;
		}
		line = *end == '\0' ? NULL : end + 1;
	}
	return false;
}

unsigned long long link_number(const char *text, const char *key)
{
	char value[32];

	return link_value(text, key, value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;
}
