// SPDX-License-Identifier: Apache-2.0
#include "testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"

#define TURNS 3

static void turn(struct testing_daemon *t)
{
	for (unsigned i = 0; i < TURNS; i++) {
		t->daemon.events_ns = 0; /* look at descriptors each time */
		if (daemon_turn(&t->daemon, 0) < 0) {
			abort();
		}
	}
}

static void connect_client(struct testing_daemon *t)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		abort();
	}
	t->client = pair[0];
	connection_open(&t->daemon, pair[1]);
}

void testing_open(struct testing_daemon *t)
{
	static const struct switch_config switches[] = {
		{.name = SWITCH_DEFAULT, .type = SWITCH_NAT},
		{.name = "lan", .type = SWITCH_PRIVATE},
		{.name = "wan", .type = SWITCH_PRIVATE},
	};
	char error[400];

	t->kept_count = 0;
	if (daemon_init(&t->daemon) < 0) {
		abort();
	}
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		if (sw_create(&t->daemon, &switches[i], NULL, error, sizeof(error)) < 0) {
			abort();
		}
	}
	connect_client(t);
}

void testing_close(struct testing_daemon *t)
{
	close(t->client);
	while (t->kept_count > 0) {
		close(t->kept[--t->kept_count]);
	}
	daemon_fini(&t->daemon);
}

void testing_keep(struct testing_daemon *t)
{
	if (t->kept_count == TESTING_KEPT) {
		abort();
	}
	t->kept[t->kept_count++] = t->client;
	connect_client(t);
}

void testing_reconnect(struct testing_daemon *t)
{
	close(t->client);
	turn(t);
	connect_client(t);
}

bool testing_ask(struct testing_daemon *t, const void *request, size_t bytes, char *answer,
		 size_t size)
{
	struct message m;
	const char *why;

	if (send(t->client, request, bytes, MSG_NOSIGNAL) < 0) {
		return false;
	}
	turn(t);
	if (message_receive(t->client, MSG_DONTWAIT, true, &m, &why) != 1) {
		return false;
	}
	char *text = json_line(m.body);
	size_t n = strlen(text) < size ? strlen(text) : size - 1;

	memcpy(answer, text, n);
	answer[n] = '\0';
	free(text);
	message_drop(&m);
	return true;
}
