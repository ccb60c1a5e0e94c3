// SPDX-License-Identifier: Apache-2.0
/* New cables for a worker whose switch went away: asked for until there are some. The worker's side is src/vmwp/net_launcher.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch/nets.h"
#include "launch/packet.h"

#define TEXT_BYTES ((size_t)66 << 10) /* how to plug an adapter in can be long */
#define RETRY_MS 250

struct launch_keeper {
	int fd;
	json_t *wanted[LAUNCH_NETS_MAX]; /* adapters without a cable */
	struct packet packet;
	char text[TEXT_BYTES];
};

struct launch_keeper *launch_keeper_create(int fd)
{
	struct launch_keeper *k = calloc(1, sizeof(*k));

	if (k != NULL) {
		k->fd = fd;
	}
	return k;
}

void launch_keeper_destroy(struct launch_keeper *k)
{
	for (unsigned i = 0; k != NULL && i < LAUNCH_NETS_MAX; i++) {
		json_decref(k->wanted[i]);
	}
	free(k);
}

bool launch_keeper_take(struct launch_keeper *k)
{
	unsigned number, queues;
	int spec;
	char *text = k->text;
	ssize_t n = recv(k->fd, text, sizeof(k->text) - 1, MSG_DONTWAIT);

	if (n <= 0) {
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	}
	text[n] = '\0';
	if (sscanf(text, "plug %u %u %n", &number, &queues, &spec) == 2 &&
	    number < LAUNCH_NETS_MAX) {
		json_decref(k->wanted[number]);
		k->wanted[number] = vswitch_client_unseal(text + spec);
	} else if (sscanf(text, "forget %u", &number) == 1 && number < LAUNCH_NETS_MAX) {
		json_decref(k->wanted[number]);
		k->wanted[number] = NULL;
	}
	return true;
}

static void send_cable(struct launch_keeper *k, unsigned number, const struct vswitch_cable *c)
{
	int fds[PACKET_DESCRIPTORS_MAX];
	unsigned count = launch_nets_cable_fds(c, fds, PACKET_DESCRIPTORS_MAX);
	struct launch_error error;

	k->packet.bytes = (size_t)snprintf(k->packet.text, sizeof(k->packet.text), "cable %u %u",
					   number, c->queues);
	memcpy(k->packet.fds, fds, count * sizeof(int));
	k->packet.fd_count = count;
	/* A worker that does not take it is gone or asks again. */
	(void)packet_send(k->fd, &k->packet, &error);
}

int launch_keeper_try(struct launch_keeper *k)
{
	int wait_ms = -1;

	for (unsigned i = 0; i < LAUNCH_NETS_MAX; i++) {
		struct vswitch_cable cable;
		char error[700];

		if (k->wanted[i] == NULL) {
			continue;
		}
		if (vswitch_client_plug(true, k->wanted[i], &cable, error, sizeof(error)) != 0) {
			wait_ms = RETRY_MS;
			continue;
		}
		send_cable(k, i, &cable);
		vswitch_cable_close(&cable);
		json_decref(k->wanted[i]);
		k->wanted[i] = NULL;
	}
	return wait_ms;
}
