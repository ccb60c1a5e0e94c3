// SPDX-License-Identifier: Apache-2.0
#include "net_launcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/loop.h"
#include "net.h"
#include "packet.h"

#define ANSWER_BYTES 64u

struct net_launcher {
	struct net *net;
	struct loop *loop;
	int fd;
};

static void leave(struct net_launcher *l)
{
	if (l->fd >= 0) {
		loop_remove(l->loop, l->fd);
		close(l->fd);
		l->fd = -1;
	}
}

static void on_packet(void *ctx)
{
	struct net_launcher *l = ctx;
	int fds[PACKET_DESCRIPTORS_MAX];
	struct net_plug plug;
	char text[ANSWER_BYTES];
	unsigned number, queues;
	size_t fd_count;
	ssize_t n = packet_receive(l->fd, text, sizeof(text) - 1, fds, &fd_count);

	if (n <= 0) {
		if (n != -EAGAIN) {
			leave(l);
		}
		return;
	}
	text[n] = '\0';
	if (sscanf(text, "cable %u %u", &number, &queues) == 2 &&
	    net_plug_take(&plug, queues, fds, fd_count)) {
		net_replug(l->net, number, &plug);
		return;
	}
	packet_close(fds, fd_count);
}

int net_launcher_create(struct net *n, struct loop *loop, int fd, struct net_launcher **ret)
{
	struct net_launcher *l = calloc(1, sizeof(*l));
	int r = 0;

	if (l == NULL) {
		return -ENOMEM;
	}
	*l = (struct net_launcher){.net = n, .loop = loop, .fd = fd};
	if (fd >= 0) {
		r = loop_add(loop, fd, on_packet, l);
	}
	if (r != 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

int net_launcher_replace(struct net_launcher *l, int fd)
{
	int r = loop_add(l->loop, fd, on_packet, l);

	if (r == 0) {
		leave(l);
		l->fd = fd;
	}
	return r;
}

void net_launcher_destroy(struct net_launcher *l)
{
	if (l != NULL) {
		leave(l);
		free(l);
	}
}

void net_launcher_ask(struct net_launcher *l, unsigned number, const char *spec)
{
	char *text = NULL;
	int n = asprintf(&text, "plug %u %u %s", number, net_worker_queues(l->net), spec);

	if (n > 0) {
		if (l->fd >= 0) {
			packet_send(l->fd, text, (size_t)n);
		}
		free(text);
	}
}

void net_launcher_forget(struct net_launcher *l, unsigned number)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "forget %u", number);

	if (l->fd >= 0) {
		packet_send(l->fd, text, (size_t)n);
	}
}
