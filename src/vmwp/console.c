// SPDX-License-Identifier: Apache-2.0
/*
 * COM1 and the world. Output goes through a ring to a thread of its own, so that no VP waits for
 * a slow terminal or pipe. Input is read by another thread and handed over by a third as the
 * guest's receiver takes it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "host/log.h"
#include "lib/bits.h"

#define IN_CHUNK 256
#define OUT_CHUNK ((size_t)32 << 10)
#define ESCAPE 0x1d /* Ctrl-] */
#define DRAIN_NS 2000000000u

static bool write_all(int fd, const uint8_t *data, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			poll(&p, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		data += n;
		bytes -= (size_t)n;
	}
	return true;
}

size_t console_take(const struct console *c, uint64_t *at, uint64_t *lost, uint8_t *buf,
		    size_t capacity)
{
	if (c->written - *at > CONSOLE_RING_BYTES) {
		*lost += c->written - *at - CONSOLE_RING_BYTES;
		*at = c->written - CONSOLE_RING_BYTES;
	}
	size_t bytes = min_u64(c->written - *at, capacity);

	for (size_t i = 0; i < bytes; i++) {
		buf[i] = c->ring[(*at + i) % CONSOLE_RING_BYTES];
	}
	*at += bytes;
	return bytes;
}

static void *out_main(void *arg)
{
	struct console *c = arg;
	int fd = c->worker->config.console_out_fd;
	uint8_t data[OUT_CHUNK];

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->at == c->written && !c->closing) {
			c->out_idle = true;
			pthread_cond_wait(&c->output, &c->lock);
		}
		uint64_t at = c->at;
		size_t bytes = console_take(c, &at, &c->lost, data, sizeof(data));

		if (bytes == 0) {
			break;
		}
		pthread_mutex_unlock(&c->lock);
		bool ok = c->failed || write_all(fd, data, bytes);
		int error = errno;

		pthread_mutex_lock(&c->lock);
		c->at = at;
		pthread_cond_broadcast(&c->output);
		if (!ok) {
			c->failed = true;
			log_line("console: writing failed: %s; the guest goes on without it",
				 strerror(error));
		}
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

void console_write(struct console *c, const uint8_t *data, size_t bytes)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < bytes; i++) {
		c->ring[(c->written + i) % CONSOLE_RING_BYTES] = data[i];
	}
	c->written += bytes;
	bool idle = c->out_idle;

	c->out_idle = false;
	console_clients_wake(c);
	pthread_mutex_unlock(&c->lock);
	if (idle) {
		pthread_cond_broadcast(&c->output); /* without the lock, which it takes first */
	}
}

void console_ready(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	c->room = true;
	pthread_cond_broadcast(&c->input);
	pthread_mutex_unlock(&c->lock);
}

void console_type(struct console *c, const uint8_t *data, size_t bytes, bool wait)
{
	pthread_mutex_lock(&c->lock);
	while (bytes != 0 && !c->closing) {
		if (c->in_used == CONSOLE_IN_BYTES) {
			if (!wait) {
				break;
			}
			pthread_cond_wait(&c->input, &c->lock);
			continue;
		}
		c->in[(c->in_start + c->in_used++) % CONSOLE_IN_BYTES] = *data++;
		bytes--;
	}
	pthread_cond_broadcast(&c->input);
	pthread_mutex_unlock(&c->lock);
}

/* Reads on even while the guest takes nothing, so that Ctrl-] always works. */
static void read_input(struct console *c)
{
	const struct worker_config *config = &c->worker->config;
	uint8_t data[IN_CHUNK];

	for (;;) {
		ssize_t n = read(config->console_in_fd, data, sizeof(data));

		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			struct pollfd p = {.fd = config->console_in_fd, .events = POLLIN};

			poll(&p, 1, -1);
			continue;
		}
		if (n <= 0) {
			return; /* end of input: the guest goes on */
		}
		if (config->console_escape && memchr(data, ESCAPE, (size_t)n) != NULL) {
			worker_end_round(c->worker, END_LEFT);
			return;
		}
		/* A file or pipe waits. */
		console_type(c, data, (size_t)n, !config->console_escape);
	}
}

static void *in_main(void *arg)
{
	struct console *c = arg;

	read_input(c);
	pthread_mutex_lock(&c->lock);
	c->in_ended = true;
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Up to @bytes into the guest's receiver; between boots there is none, and one that stands still takes nothing. */
static size_t offer(struct machine *m, const uint8_t *data, size_t bytes)
{
	pthread_mutex_lock(&m->board_lock);
	size_t n = m->board != NULL && m->listening ? board_serial_in(m->board, 0, data, bytes) : 0;

	pthread_mutex_unlock(&m->board_lock);
	return n;
}

static void *feed_main(void *arg)
{
	struct console *c = arg;
	uint8_t data[IN_CHUNK];

	pthread_mutex_lock(&c->lock);
	while (!c->closing) {
		if (c->in_used == 0 || !c->room) {
			pthread_cond_wait(&c->input, &c->lock);
			continue;
		}
		size_t n = min_u64(c->in_used, sizeof(data));

		for (size_t i = 0; i < n; i++) {
			data[i] = c->in[(c->in_start + i) % CONSOLE_IN_BYTES];
		}
		c->room = false; /* before the offer: a ready that comes with it must not be lost */
		pthread_mutex_unlock(&c->lock);
		size_t taken = offer(&c->worker->machine, data, n);

		pthread_mutex_lock(&c->lock);
		c->room = c->room || taken == n;
		c->in_start = (c->in_start + taken) % CONSOLE_IN_BYTES;
		c->in_used -= taken;
		pthread_cond_broadcast(&c->input);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int console_create(struct worker *w, struct console **ret)
{
	struct console *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		return -ENOMEM;
	}
	c->worker = w;
	c->wake_fd = -1;
	c->ring = malloc(CONSOLE_RING_BYTES);
	if (c->ring == NULL) {
		free(c);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
		c->clients[i].fd = -1;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->output, NULL);
	pthread_cond_init(&c->input, NULL);
	*ret = c;
	return 0;
}

static int start(pthread_t *thread, void *(*main)(void *), struct console *c, bool *ret_started)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CONSOLE_STACK_BYTES);
	int r = -pthread_create(thread, &attr, main, c);

	pthread_attr_destroy(&attr);
	*ret_started = r == 0;
	return r;
}

int console_start(struct console *c)
{
	const struct worker_config *config = &c->worker->config;
	bool clients = config->control_fd >= 0;
	int r = 0;

	if (config->console_out_fd >= 0) {
		r = start(&c->out_thread, out_main, c, &c->out_started);
	}
	if (r == 0 && config->console_in_fd >= 0) {
		r = start(&c->in_thread, in_main, c, &c->in_started);
		if (c->in_started) {
			/* It may sit in read() until the process ends. */
			pthread_detach(c->in_thread);
		}
	}
	if (r == 0 && clients) {
		r = console_clients_start(c);
	}
	if (r == 0 && (clients || config->console_in_fd >= 0)) {
		r = start(&c->feed_thread, feed_main, c, &c->feed_started);
	}
	return r;
}

/* ---- The end ---- */

/*
 * Waits for the writer, but not for ever: the reader of a pipe may have stopped reading. True when no thread is in read() or write() any
 * more.
 */
static bool drain(struct console *c)
{
	uint64_t give_up = host_now_ns() + DRAIN_NS;

	pthread_mutex_lock(&c->lock);
	c->closing = true;
	pthread_cond_broadcast(&c->output);
	pthread_cond_broadcast(&c->input);
	console_clients_wake(c);
	while (c->out_started && c->at != c->written && host_now_ns() < give_up) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 100000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
		pthread_cond_timedwait(&c->output, &c->lock, &ts);
	}
	bool drained = !c->out_started || c->at == c->written;
	bool idle = drained && (!c->in_started || c->in_ended);

	c->lost += drained ? 0 : c->written - c->at;
	pthread_mutex_unlock(&c->lock);
	if (c->out_started) {
		if (drained) {
			pthread_join(c->out_thread, NULL);
		} else {
			pthread_detach(c->out_thread);
		}
	}
	if (c->lost != 0) {
		log_line("console: %llu bytes were lost because nobody read them in time",
			 (unsigned long long)c->lost);
	}
	return idle;
}

void console_destroy(struct console *c)
{
	if (c == NULL) {
		return;
	}
	bool idle = drain(c);

	console_clients_stop(c);
	if (c->feed_started) {
		pthread_join(c->feed_thread, NULL);
	}
	/* Otherwise a thread holds on to the memory: it goes with the process. */
	if (idle) {
		free(c->ring);
		free(c);
	}
}
