// SPDX-License-Identifier: Apache-2.0
/* Consoles that come and go while the machine runs: one thread reads and writes them all, and waits for none of them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "console.h"
#include "lib/state.h"

#define CHUNK 4096u

static void leave(struct console *c, struct console_client *client)
{
	pthread_mutex_lock(&c->lock);
	close(client->fd);
	client->fd = -1;
	c->client_count--;
	pthread_mutex_unlock(&c->lock);
}

/* False: it is gone. */
static bool read_client(struct console *c, struct console_client *client)
{
	uint8_t data[CHUNK];
	ssize_t n = read(client->fd, data, sizeof(data));

	if (n > 0) {
		console_type(c, data, (size_t)n, false);
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* As much as it takes now. False: it is gone. */
static bool write_client(struct console *c, struct console_client *client)
{
	uint8_t data[CHUNK];
	uint64_t lost = 0;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		uint64_t at = client->at;
		size_t bytes = console_take(c, &at, &lost, data, sizeof(data));

		pthread_mutex_unlock(&c->lock);
		if (bytes == 0) {
			return true;
		}
		ssize_t n = write(client->fd, data, bytes);

		if (n < 0) {
			return errno == EAGAIN || errno == EINTR;
		}
		client->at = at - bytes + (size_t)n;
	}
}

/* Fills @fds with who is there, first the wake-up. False: it is over. */
static bool prepare(struct console *c, struct pollfd *fds)
{
	pthread_mutex_lock(&c->lock);
	bool closing = c->closing;

	fds[0] = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
		const struct console_client *client = &c->clients[i];
		bool behind = client->fd >= 0 && client->at != c->written;

		fds[1 + i] = (struct pollfd){.fd = client->fd,
					     .events = (short)(POLLIN | (behind ? POLLOUT : 0))};
	}
	pthread_mutex_unlock(&c->lock);
	return !closing;
}

static void serve(struct console *c, const struct pollfd *fds)
{
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
		struct console_client *client = &c->clients[i];
		short happened = fds[1 + i].fd >= 0 ? fds[1 + i].revents : 0;

		if (happened != 0 &&
		    (((happened & POLLOUT) && !write_client(c, client)) ||
		     ((happened & (POLLIN | POLLHUP | POLLERR)) && !read_client(c, client)))) {
			leave(c, client);
		}
	}
}

/* What is written from here on wakes this thread anew; what was before is seen. */
static void listen_again(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	c->told = false;
	pthread_mutex_unlock(&c->lock);
}

static void *client_main(void *arg)
{
	struct console *c = arg;
	struct pollfd fds[1 + CONSOLE_CLIENTS_MAX];
	uint64_t count;

	while (prepare(c, fds)) {
		if (poll(fds, 1 + CONSOLE_CLIENTS_MAX, -1) < 0) {
			continue;
		}
		if (fds[0].revents != 0 && read(c->wake_fd, &count, sizeof(count)) < 0) {
			continue;
		}
		listen_again(c);
		serve(c, fds);
	}
	/* The guest's last words. */
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
		if (c->clients[i].fd >= 0) {
			write_client(c, &c->clients[i]);
			leave(c, &c->clients[i]);
		}
	}
	return NULL;
}

int console_clients_start(struct console *c)
{
	pthread_attr_t attr;

	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake_fd < 0) {
		return -errno;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CONSOLE_STACK_BYTES);
	int r = -pthread_create(&c->client_thread, &attr, client_main, c);

	pthread_attr_destroy(&attr);
	c->clients_started = r == 0;
	return r;
}

void console_clients_wake(struct console *c)
{
	const uint64_t one = 1;

	if (c->clients_started && !c->told && (c->client_count != 0 || c->closing)) {
		ssize_t n = write(c->wake_fd, &one, sizeof(one));

		(void)n; /* EAGAIN: it is awake */
		c->told = true;
	}
}

void console_clients_stop(struct console *c)
{
	if (c->clients_started) {
		pthread_join(c->client_thread, NULL);
	}
	if (c->wake_fd >= 0) {
		close(c->wake_fd);
	}
}

/* lock held. */
static bool add(struct console *c, int fd)
{
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++) {
		if (c->clients[i].fd < 0) {
			uint64_t back = c->written < CONSOLE_HISTORY_BYTES ? c->written
									   : CONSOLE_HISTORY_BYTES;

			c->clients[i] = (struct console_client){.fd = fd, .at = c->written - back};
			c->client_count++;
			console_clients_wake(c);
			return true;
		}
	}
	return false;
}

const char *console_join(struct console *c, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (!c->clients_started) {
		return "the machine takes no consoles";
	}
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		return "that is not a stream";
	}
	pthread_mutex_lock(&c->lock);
	bool added = add(c, fd);

	pthread_mutex_unlock(&c->lock);
	return added ? NULL : "as many consoles are open as the machine has";
}
