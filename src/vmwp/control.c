// SPDX-License-Identifier: Apache-2.0
/* Connections, and which word is whose. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_connection.h"
#include "end.h"
#include "lib/bits.h"

#define CONNECTIONS_MAX 32u
#define EVENT_BYTES 2048u
#define POST_BYTES (6u << 10) /* room for a path */

struct control {
	struct worker *worker;
	struct connection *connections;
	unsigned count;
	pthread_mutex_t lock; /* the list below */
	struct connection *answered;
	struct posted *posted, **posted_tail;
};

/* An event of another thread. */
struct posted {
	struct posted *next;
	char text[];
};

static const struct control_word *const tables[] = {
	control_state_words, control_checkpoint_words, control_disk_words, control_net_words,
	control_ic_words,    control_copy_words,       control_ip_words,
};

/* ---- Answers ---- */

void control_answer(struct connection *c, const char *text)
{
	c->plain = true;
	c->answer_bytes = 0;
	control_say(c, "%s", text);
}

bool control_refuse(struct connection *c, const char *why)
{
	control_answer(c, why);
	return false;
}

void control_say(struct connection *c, const char *fmt, ...)
{
	size_t room = sizeof(c->answer) - c->answer_bytes;
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(c->answer + c->answer_bytes, room, fmt, ap);

	va_end(ap);
	if (n >= 0 && (size_t)n + 1 < room) {
		c->answer_bytes += (size_t)n;
		c->answer[c->answer_bytes++] = '\n';
		c->answer[c->answer_bytes] = '\0';
	}
}

static void answer(struct connection *c)
{
	static const char ok[] = "ok\n";
	char text[CONTROL_ANSWER_BYTES + sizeof(ok)];
	int n = snprintf(text, sizeof(text), "%s%s", c->plain ? "" : ok, c->answer);

	/* Without the last newline. */
	if (packet_send(c->fd, text, (size_t)n - 1) < 0) {
		c->hung_up = true; /* nobody wants to know */
	}
}

static void begin_answer(struct connection *c)
{
	c->plain = false;
	c->answer_bytes = 0;
	c->answer[0] = '\0';
}

void control_later(struct connection *c, void (*fn)(struct connection *c))
{
	struct control *control = c->control;

	c->then = fn;
	pthread_mutex_lock(&control->lock);
	c->answered = control->answered;
	control->answered = c;
	pthread_mutex_unlock(&control->lock);
	loop_wake(control->worker->loop);
}

void control_done(struct connection *c, const char *why)
{
	if (why != NULL) {
		control_refuse(c, why);
	}
	control_later(c, NULL);
}

static void connection_close(struct connection *c)
{
	struct control *control = c->control;
	struct connection **link = &control->connections;

	while (*link != c) {
		link = &(*link)->next;
	}
	*link = c->next;
	control->count--;
	loop_remove(control->worker->loop, c->fd);
	close(c->fd);
	control_disk_forget(c);
	free(c);
}

static void bury(struct control *control)
{
	struct connection *next;

	for (struct connection *c = control->connections; c != NULL; c = next) {
		next = c->next;
		if (c->hung_up && !c->busy) {
			connection_close(c);
		}
	}
}

static void send_posted(struct control *control);

void control_poll(struct control *control)
{
	if (control == NULL) {
		return;
	}
	send_posted(control);
	pthread_mutex_lock(&control->lock);
	struct connection *c = control->answered;

	control->answered = NULL;
	pthread_mutex_unlock(&control->lock);
	for (struct connection *next; c != NULL; c = next) {
		next = c->answered;
		if (c->then != NULL) {
			c->then(c);
			continue;
		}
		c->busy = false;
		control_disk_forget(c);
		answer(c);
	}
	bury(control);
}

/* ---- Events ---- */

/* Connections are closed later: one of them may be in the middle of a request. */
static void send_event(struct control *control, const char *text)
{
	for (struct connection *c = control->connections; c != NULL; c = c->next) {
		if (c->watches && !c->hung_up && packet_send(c->fd, text, strlen(text)) < 0) {
			c->hung_up = true;
			loop_wake(control->worker->loop);
		}
	}
}

void control_event(struct control *control, const char *name, const char *fmt, ...)
{
	char text[EVENT_BYTES];
	va_list ap;

	if (control == NULL) {
		return;
	}
	int n = snprintf(text, sizeof(text), "%s\n", name);

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	send_event(control, text);
}

void control_post(struct control *control, const char *name, const char *fmt, ...)
{
	struct posted *p = control != NULL ? malloc(sizeof(*p) + POST_BYTES) : NULL;
	va_list ap;

	if (p == NULL) {
		return; /* nobody, or no memory: who watches can ask */
	}
	p->next = NULL;
	int n = snprintf(p->text, POST_BYTES, "%s\n", name);

	va_start(ap, fmt);
	vsnprintf(p->text + n, POST_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&control->lock);
	*control->posted_tail = p;
	control->posted_tail = &p->next;
	pthread_mutex_unlock(&control->lock);
	loop_wake(control->worker->loop);
}

static struct posted *take_posted(struct control *control)
{
	pthread_mutex_lock(&control->lock);
	struct posted *p = control->posted;

	control->posted = NULL;
	control->posted_tail = &control->posted;
	pthread_mutex_unlock(&control->lock);
	return p;
}

static void send_posted(struct control *control)
{
	struct posted *next;

	for (struct posted *p = take_posted(control); p != NULL; p = next) {
		next = p->next;
		send_event(control, p->text);
		free(p);
	}
}

void control_end(struct control *control, enum worker_end end)
{
	control_event(control, "end", "end=%s\n", end_word(end));
}

/* ---- Requests ---- */

bool control_running(struct connection *c)
{
	return !c->worker->machine.paused ||
	       control_refuse(c, "the machine stands still: it can be changed when it runs");
}

char *control_option(const struct control_request *q, char *at)
{
	char *next = at == NULL ? q->options : at + strlen(at) + 1;

	return next < q->end ? next : NULL;
}

bool control_has(const struct control_request *q, const char *word)
{
	for (char *o = NULL; (o = control_option(q, o)) != NULL;) {
		if (strcmp(o, word) == 0) {
			return true;
		}
	}
	return false;
}

static const struct control_word *find_word(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (const struct control_word *w = tables[i]; w->word != NULL; w++) {
			if (strcmp(w->word, word) == 0) {
				return w;
			}
		}
	}
	return NULL;
}

/* True: done or on its way. Then the descriptors are somebody's. */
static bool carry_out(struct connection *c, size_t bytes, const int *fds, size_t fd_count)
{
	if (bytes == 0 || c->packet[bytes - 1] != '\0') {
		return control_refuse(c, "the request is malformed");
	}
	const struct control_word *word = find_word(c->packet);
	const struct control_request request = {
		.options = c->packet + strlen(c->packet) + 1,
		.end = c->packet + bytes,
		.fds = fds,
		.fd_count = fd_count,
	};

	if (word == NULL) {
		return control_refuse(c, "the request is not known");
	}
	if (word->fds != CONTROL_ANY_FDS && fd_count != word->fds) {
		return control_refuse(c, "the request lacks a descriptor, or has too many");
	}
	return word->run(c, &request);
}

static void take_packet(struct connection *c, size_t bytes, const int *fds, size_t fd_count)
{
	begin_answer(c);
	if (!carry_out(c, bytes, fds, fd_count)) {
		packet_close(fds, fd_count);
	}
	if (!c->busy) {
		control_disk_forget(c);
		answer(c);
	}
}

/*
 * What changes which files are written is not begun for somebody who is gone: who comes after him asks what is so, and could not know that it is about to change. The
 * other requests are carried out: who comes after has written down that they were made.
 */
static bool is_forgotten(const struct connection *c)
{
	struct pollfd p = {.fd = c->fd};

	return (strcmp(c->packet, "checkpoint") == 0 || strcmp(c->packet, "merge") == 0) &&
	       poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void on_packet(void *ctx)
{
	struct connection *c = ctx;
	int fds[PACKET_DESCRIPTORS_MAX];
	size_t fd_count;

	if (c->busy) {
		/* One request at a time: an asker that does not wait for the answer does not get it. */
		c->hung_up = true;
		loop_remove(c->control->worker->loop, c->fd);
		return;
	}
	ssize_t n = packet_receive(c->fd, c->packet, sizeof(c->packet), fds, &fd_count);

	if (n <= 0 || (c->packet[n - 1] == '\0' && is_forgotten(c))) {
		packet_close(fds, fd_count);
		connection_close(c);
	} else {
		take_packet(c, (size_t)n, fds, fd_count);
	}
}

static void on_connect(void *ctx)
{
	struct control *control = ctx;
	int fd = accept4(control->worker->config.control_fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *c =
		fd >= 0 && control->count < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL || loop_add(control->worker->loop, fd, on_packet, c) < 0) {
		free(c);
		if (fd >= 0) {
			close(fd);
		}
		return;
	}
	c->control = control;
	c->worker = control->worker;
	c->fd = fd;
	c->next = control->connections;
	control->connections = c;
	control->count++;
}

int control_create(struct worker *w, struct control **ret)
{
	struct control *control;

	if (w->config.control_fd < 0) {
		return 0;
	}
	control = calloc(1, sizeof(*control));
	if (control == NULL) {
		return -ENOMEM;
	}
	control->worker = w;
	control->posted_tail = &control->posted;
	pthread_mutex_init(&control->lock, NULL);
	int r = loop_add(w->loop, w->config.control_fd, on_connect, control);

	if (r < 0) {
		free(control);
		return r;
	}
	*ret = control;
	return 0;
}

void control_destroy(struct control *control)
{
	if (control == NULL) {
		return;
	}
	send_posted(control);
	while (control->connections != NULL) {
		connection_close(control->connections);
	}
	free(control);
}
