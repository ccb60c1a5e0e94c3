// SPDX-License-Identifier: Apache-2.0
/* Requests about network adapters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_connection.h"

static const char malformed[] = "the request is malformed";

static bool result(struct connection *c, const char *why)
{
	return why == NULL || control_refuse(c, why);
}

static bool number_of(const struct control_request *q, unsigned *ret)
{
	const char *option = control_option(q, NULL);

	return option != NULL && sscanf(option, "--number=%u", ret) == 1;
}

/* Loop thread, from within net: the answer goes out with the others. */
static void adapter_gone(void *ctx)
{
	control_done(ctx, NULL);
}

/* --number=N */
static bool detach(struct connection *c, const struct control_request *q)
{
	unsigned number;

	if (!control_running(c)) {
		return false;
	}
	if (!number_of(q, &number)) {
		return control_refuse(c, malformed);
	}
	c->busy = true; /* adapter_gone may come at once */
	const char *why = net_detach(c->worker->net, number, adapter_gone, c);

	c->busy = why == NULL;
	return result(c, why);
}

/* --net=... */
static bool plug(struct connection *c, const struct control_request *q,
		 const char *(*act)(struct net *n, const struct net_adapter_config *config))
{
	struct net_config parsed = {0};
	char *option = control_option(q, NULL);
	bool ok = option != NULL && strncmp(option, "--net=", 6) == 0 &&
		  options_net(&parsed, option + 6, q->fds, q->fd_count);
	const char *why = ok ? act(c->worker->net, &parsed.adapters[0]) : malformed;

	free(parsed.adapters);
	return result(c, why);
}

static bool attach(struct connection *c, const struct control_request *q)
{
	return control_running(c) && plug(c, q, net_attach);
}

static bool connect_to(struct connection *c, const struct control_request *q)
{
	return plug(c, q, net_connect);
}

/* --number=N */
static bool disconnect(struct connection *c, const struct control_request *q)
{
	unsigned number;

	return result(c,
		      number_of(q, &number) ? net_disconnect(c->worker->net, number) : malformed);
}

static bool relaunch(struct connection *c, const struct control_request *q)
{
	return result(c, net_relaunch(c->worker->net, q->fds[0]));
}

/* Perhaps --number=N: what adapters of this machine need to be plugged in, and the address of one that is there. */
static bool info(struct connection *c, const struct control_request *q)
{
	const struct worker_config *config = &c->worker->config;
	const uint8_t *m = NULL;
	char text[200];
	unsigned number;
	int n = snprintf(text, sizeof(text), "queues %u of %.64s", wire_queues(config->processors),
			 config->name);

	if (number_of(q, &number) && (m = net_mac(c->worker->net, number)) != NULL) {
		snprintf(text + n, sizeof(text) - (size_t)n, "\nmac %02x:%02x:%02x:%02x:%02x:%02x",
			 m[0], m[1], m[2], m[3], m[4], m[5]);
	}
	control_answer(c, text);
	return true;
}

const struct control_word control_net_words[] = {
	{"net-attach", CONTROL_ANY_FDS, attach},
	{"net-detach", 0, detach},
	{"net-connect", CONTROL_ANY_FDS, connect_to},
	{"net-disconnect", 0, disconnect},
	{"launcher", 1, relaunch},
	{"net-info", 0, info},
	{NULL},
};
