// SPDX-License-Identifier: Apache-2.0
/*
 * COM1 and the world. Output goes through a buffer to a thread of its own, so that no VP waits for
 * a slow terminal or pipe. Input is read by another thread and handed over by a third as the
 * guest's receiver takes it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "lib/bits.h"
#include "worker.h"

#define OUT_CAPACITY ((size_t)1 << 20)
#define IN_CAPACITY 4096
#define IN_CHUNK 256
#define ESCAPE 0x1d /* Ctrl-] */
#define STACK_BYTES ((size_t)128 << 10)
#define DRAIN_NS 2000000000u

struct console {
	struct worker *worker;
	pthread_mutex_t lock; /* inner to board_lock */
	pthread_cond_t changed;
	uint8_t *out; /* ring of OUT_CAPACITY, allocated as used: untouched pages cost nothing */
	size_t out_start;
	size_t out_used;
	uint64_t lost; /* bytes dropped because nobody read them in time */
	bool failed;   /* the other side is gone */
	bool closing;
	bool room;		 /* the guest's receiver may take bytes */
	uint8_t in[IN_CAPACITY]; /* ring: read, not yet taken by the guest */
	size_t in_start;
	size_t in_used;
	pthread_t out_thread;
	pthread_t in_thread;
	pthread_t feed_thread;
	bool out_started;
	bool in_started;
	bool in_ended;
	bool feed_started;
};

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

static void *out_main(void *arg)
{
	struct console *c = arg;
	int fd = c->worker->config.console_out_fd;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->out_used == 0 && !c->closing) {
			pthread_cond_wait(&c->changed, &c->lock);
		}
		if (c->out_used == 0) {
			break;
		}
		size_t run = min_u64(c->out_used, OUT_CAPACITY - c->out_start);
		const uint8_t *data = c->out + c->out_start;

		pthread_mutex_unlock(&c->lock);
		bool ok = c->failed || write_all(fd, data, run);
		int error = errno;

		pthread_mutex_lock(&c->lock);
		c->out_start = (c->out_start + run) % OUT_CAPACITY;
		c->out_used -= run;
		pthread_cond_broadcast(&c->changed);
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
	if (c->worker->config.console_out_fd < 0) {
		return;
	}
	pthread_mutex_lock(&c->lock);
	size_t room = OUT_CAPACITY - c->out_used;
	size_t taken = min_u64(bytes, room);

	c->lost += bytes - taken;
	for (size_t i = 0; i < taken; i++) {
		c->out[(c->out_start + c->out_used + i) % OUT_CAPACITY] = data[i];
	}
	c->out_used += taken;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void console_ready(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	c->room = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* Appends input for the guest. A terminal's surplus is dropped, as a tty does; a file or pipe waits. */
static void enqueue_input(struct console *c, const uint8_t *data, size_t bytes)
{
	pthread_mutex_lock(&c->lock);
	while (bytes != 0 && !c->closing) {
		if (c->in_used == IN_CAPACITY) {
			if (c->worker->config.console_escape) {
				break;
			}
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		c->in[(c->in_start + c->in_used++) % IN_CAPACITY] = *data++;
		bytes--;
	}
	pthread_cond_broadcast(&c->changed);
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
		enqueue_input(c, data, (size_t)n);
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

/* Up to @bytes into the guest's receiver; between boots there is none. */
static size_t offer(struct machine *m, const uint8_t *data, size_t bytes)
{
	pthread_mutex_lock(&m->board_lock);
	size_t n = m->board != NULL ? board_serial_in(m->board, 0, data, bytes) : 0;

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
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		size_t n = min_u64(c->in_used, sizeof(data));

		for (size_t i = 0; i < n; i++) {
			data[i] = c->in[(c->in_start + i) % IN_CAPACITY];
		}
		c->room = false; /* before the offer: a ready that comes with it must not be lost */
		pthread_mutex_unlock(&c->lock);
		size_t taken = offer(&c->worker->machine, data, n);

		pthread_mutex_lock(&c->lock);
		c->room = c->room || taken == n;
		c->in_start = (c->in_start + taken) % IN_CAPACITY;
		c->in_used -= taken;
		pthread_cond_broadcast(&c->changed);
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
	c->out = malloc(OUT_CAPACITY);
	if (c->out == NULL) {
		free(c);
		return -ENOMEM;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	*ret = c;
	return 0;
}

int console_start(struct console *c)
{
	const struct worker_config *config = &c->worker->config;
	pthread_attr_t attr;
	int r = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (config->console_out_fd >= 0) {
		r = -pthread_create(&c->out_thread, &attr, out_main, c);
		c->out_started = r == 0;
	}
	if (r == 0 && config->console_in_fd >= 0) {
		r = -pthread_create(&c->in_thread, &attr, in_main, c);
		c->in_started = r == 0;
		if (c->in_started) {
			/* It may sit in read() until the process ends. */
			pthread_detach(c->in_thread);
			r = -pthread_create(&c->feed_thread, &attr, feed_main, c);
			c->feed_started = r == 0;
		}
	}
	pthread_attr_destroy(&attr);
	return r;
}

/*
 * Waits for the writer, but not for ever: the reader of a pipe may have stopped reading. True when no thread is in read() or write() any
 * more.
 */
static bool drain(struct console *c)
{
	uint64_t give_up = host_now_ns() + DRAIN_NS;

	pthread_mutex_lock(&c->lock);
	c->closing = true;
	pthread_cond_broadcast(&c->changed);
	while (c->out_used != 0 && host_now_ns() < give_up) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 100000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
		pthread_cond_timedwait(&c->changed, &c->lock, &ts);
	}
	bool drained = c->out_used == 0, idle = drained && (!c->in_started || c->in_ended);

	c->lost += c->out_used;
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

	if (c->feed_started) {
		pthread_join(c->feed_thread, NULL);
	}
	/* Otherwise a thread holds on to the memory: it goes with the process. */
	if (idle) {
		free(c->out);
		free(c);
	}
}
