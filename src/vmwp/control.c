// SPDX-License-Identifier: Apache-2.0
#include "control.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bits.h"
#include "net.h"
#include "packet.h"
#include "worker.h"

#define PACKET_BYTES ((size_t)64 << 10)
#define CONNECTIONS_MAX 8u

/* One asker: a connection with at most one request on its way. */
struct connection {
	struct control *control;
	int fd;
	bool busy;    /* its request is with a controller */
	bool hung_up; /* the asker is gone; freed when not busy */
	struct storage_request request;
	struct storage_config parsed; /* what the request's options say */
	struct backend_handed *files;
	char error[700];	     /* the answer; empty: done well */
	struct connection *next;     /* of all */
	struct connection *answered; /* next of those whose request is done */
	char packet[PACKET_BYTES];
};

struct control {
	struct worker *worker;
	struct connection *connections;
	unsigned count;
	pthread_mutex_t lock; /* the list below */
	struct connection *answered;
};

/* ---- Answers ---- */

static void answer(struct connection *c)
{
	char text[sizeof(c->error) + 8];
	int n = snprintf(text, sizeof(text), "%s", c->error[0] == '\0' ? "ok" : c->error);

	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		c->hung_up = true; /* nobody wants to know */
	}
}

static void request_done(struct storage_request *r, const char *error)
{
	struct connection *c = r->ctx;
	struct control *control = c->control;

	snprintf(c->error, sizeof(c->error), "%s", error == NULL ? "" : error);
	pthread_mutex_lock(&control->lock);
	c->answered = control->answered;
	control->answered = c;
	pthread_mutex_unlock(&control->lock);
	loop_wake(control->worker->loop);
}

/* Loop thread, from within net: the answer goes out with the others. */
static void adapter_gone(void *ctx)
{
	struct connection *c = ctx;

	request_done(&c->request, NULL);
}

static void forget_parsed(struct connection *c)
{
	free(c->parsed.disks);
	free(c->parsed.files);
	free(c->files);
	c->parsed = (struct storage_config){0};
	c->files = NULL;
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
	forget_parsed(c);
	free(c);
}

void control_poll(struct control *control)
{
	if (control == NULL) {
		return;
	}
	pthread_mutex_lock(&control->lock);
	struct connection *c = control->answered;

	control->answered = NULL;
	pthread_mutex_unlock(&control->lock);
	while (c != NULL) {
		struct connection *next = c->answered;

		c->busy = false;
		forget_parsed(c);
		answer(c);
		if (c->hung_up) {
			connection_close(c);
		}
		c = next;
	}
}

/* ---- Requests ---- */

static bool refuse(struct connection *c, const char *why)
{
	snprintf(c->error, sizeof(c->error), "%s", why);
	return false;
}

static bool find_change(const char *word, enum storage_change *ret)
{
	static const struct {
		const char *word;
		enum storage_change what;
	} changes[] = {{"attach", STORAGE_ATTACH},
		       {"detach", STORAGE_DETACH},
		       {"medium", STORAGE_MEDIUM},
		       {"resize", STORAGE_RESIZE}};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		if (strcmp(word, changes[i].word) == 0) {
			*ret = changes[i].what;
			return true;
		}
	}
	return false;
}

/* The options behind the word: those of disks, and for a new size a number. */
static bool parse_options(struct connection *c, size_t bytes)
{
	char *end = c->packet + bytes, *next = c->packet + strlen(c->packet) + 1;

	while (next < end) {
		char *at = next;

		next = at + strlen(at) + 1; /* before the option is cut up in place */
		if (strncmp(at, "--bytes=", 8) == 0) {
			c->request.bytes = strtoull(at + 8, NULL, 10);
		} else if (!options_storage(&c->parsed, at)) {
			return false;
		}
	}
	return true;
}

/* The options name descriptors by their place in the message. */
static bool take_files(struct connection *c, const int *fds, size_t fd_count)
{
	size_t count = c->parsed.file_count;

	c->files = calloc(count + 1, sizeof(*c->files));
	if (c->files == NULL) {
		return refuse(c, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		int n = c->parsed.files[i].file.fd;

		if (n < 0 || (size_t)n >= fd_count || fd_count != count) {
			return refuse(c, "the request lacks a descriptor");
		}
		c->files[i] = c->parsed.files[i].file;
		c->files[i].fd = fds[n];
	}
	c->request.files = c->files;
	c->request.file_count = count;
	return true;
}

/* WORD then options, each with a NUL at its end: as `virid control` writes them. */
static bool parse(struct connection *c, size_t bytes, const int *fds, size_t fd_count)
{
	c->request = (struct storage_request){.done = request_done, .ctx = c};
	if (!parse_options(c, bytes)) {
		return refuse(c, "the request is malformed");
	}
	if (!find_change(c->packet, &c->request.what) || c->parsed.disk_count != 1) {
		return refuse(c, "the request is not known");
	}
	c->request.disk = c->parsed.disks[0];
	return take_files(c, fds, fd_count);
}

/* "net-detach", then --number=N */
static bool detach_adapter(struct connection *c, const char *option)
{
	unsigned number;

	if (sscanf(option, "--number=%u", &number) != 1) {
		return refuse(c, "the request is malformed");
	}
	c->request.ctx = c;
	const char *why = net_detach(c->control->worker->net, number, adapter_gone, c);

	c->busy = why == NULL;
	return why == NULL || refuse(c, why);
}

/* "net-attach", then --net=... */
static bool attach_adapter(struct connection *c, char *option, const int *fds, size_t fd_count)
{
	struct net_config parsed = {0};
	bool ok = strncmp(option, "--net=", 6) == 0 &&
		  options_net(&parsed, option + 6, fds, fd_count);
	const char *why = ok ? net_attach(c->control->worker->net, &parsed.adapters[0])
			     : "the request is malformed";

	free(parsed.adapters);
	return why == NULL || refuse(c, why);
}

/* "net-connect", then --net=... */
static bool connect_adapter(struct connection *c, char *option, const int *fds, size_t fd_count)
{
	struct net_config parsed = {0};
	bool ok = strncmp(option, "--net=", 6) == 0 &&
		  options_net(&parsed, option + 6, fds, fd_count);
	const char *why = ok ? net_connect(c->control->worker->net, &parsed.adapters[0])
			     : "the request is malformed";

	free(parsed.adapters);
	return why == NULL || refuse(c, why);
}

/* "net-disconnect", then --number=N */
static bool disconnect_adapter(struct connection *c, const char *option)
{
	unsigned number;
	const char *why = sscanf(option, "--number=%u", &number) == 1
				  ? net_disconnect(c->control->worker->net, number)
				  : "the request is malformed";

	return why == NULL || refuse(c, why);
}

/* "net-info", perhaps --number=N: what adapters of this machine need to be plugged in, and the address of one that is there. */
static void describe_nets(struct connection *c, const char *option)
{
	const struct worker_config *config = &c->control->worker->config;
	const uint8_t *m = NULL;
	unsigned number;
	int n = snprintf(c->error, sizeof(c->error), "queues %u of %.64s",
			 wire_queues(config->processors), config->name);

	if (sscanf(option, "--number=%u", &number) == 1 &&
	    (m = net_mac(c->control->worker->net, number)) != NULL) {
		snprintf(c->error + n, sizeof(c->error) - (size_t)n,
			 "\nmac %02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	}
}

/* True: done or on its way. Then the descriptors are somebody's. */
static bool carry_out(struct connection *c, size_t bytes, const int *fds, size_t fd_count)
{
	if (bytes == 0 || c->packet[bytes - 1] != '\0' || c->busy) {
		return refuse(c, "the request is malformed");
	}
	size_t word = strlen(c->packet) + 1;
	char *option = word < bytes ? c->packet + word : c->packet + bytes - 1;

	if (strcmp(c->packet, "net-info") == 0) {
		describe_nets(c, option);
		return true;
	}
	if (strcmp(c->packet, "net-attach") == 0) {
		return attach_adapter(c, option, fds, fd_count);
	}
	if (strcmp(c->packet, "net-connect") == 0) {
		return connect_adapter(c, option, fds, fd_count);
	}
	if (strcmp(c->packet, "net-disconnect") == 0) {
		return disconnect_adapter(c, option);
	}
	if (strcmp(c->packet, "net-detach") == 0) {
		return detach_adapter(c, option);
	}
	if (!parse(c, bytes, fds, fd_count)) {
		return false;
	}
	c->busy = storage_submit(c->control->worker->storage, &c->request);
	return c->busy || refuse(c, "the machine has no such controller");
}

static void take_packet(struct connection *c, size_t bytes, const int *fds, size_t fd_count)
{
	c->error[0] = '\0';
	if (!carry_out(c, bytes, fds, fd_count)) {
		packet_close(fds, fd_count);
	}
	if (!c->busy) {
		forget_parsed(c);
		answer(c);
	}
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

	if (n <= 0) {
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
	while (control->connections != NULL) {
		connection_close(control->connections);
	}
	free(control);
}
