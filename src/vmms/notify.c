// SPDX-License-Identifier: Apache-2.0
#include "notify.h"

#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "host/loop.h"

struct notify {
	struct loop *loop;
	struct loop_timer timer;
	uint64_t every_ns;
};

int notify_sockets(int *ret_first)
{
	int n = sd_listen_fds(1);

	*ret_first = SD_LISTEN_FDS_START;
	return n < 0 ? 0 : n;
}

static void feed(void *ctx)
{
	struct notify *n = ctx;

	sd_notify(0, "WATCHDOG=1");
	loop_timer_set(n->loop, &n->timer, host_now_ns() + n->every_ns);
}

struct notify *notify_begin(struct loop *loop)
{
	struct notify *n = calloc(1, sizeof(*n));
	uint64_t us = 0;

	sd_notify(0, "READY=1");
	if (n == NULL || sd_watchdog_enabled(0, &us) <= 0) {
		us = 0;
	}
	if (n != NULL) {
		*n = (struct notify){.loop = loop, .every_ns = us * 1000 / 3};
		n->timer = (struct loop_timer){.fn = feed, .ctx = n};
	}
	if (us != 0) {
		feed(n);
	}
	return n;
}

void notify_status(struct notify *n, const char *state)
{
	if (n != NULL) {
		sd_notify(0, state);
	}
}

void notify_end(struct notify *n)
{
	if (n != NULL) {
		loop_timer_set(n->loop, &n->timer, 0);
		free(n);
	}
}
