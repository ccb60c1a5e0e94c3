// SPDX-License-Identifier: Apache-2.0
#include "nat_way.h"

#include <arpa/inet.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "host/loop.h"

#define NS_PER_MS UINT64_C(1000000)

struct timer {
	SlirpTimerCb fn;
	void *ctx;
	int64_t expires_ms; /* -1: not armed */
	struct timer *next;
};

struct nat_way {
	Slirp *slirp;
	struct timer *timers;
	struct poll_set *set; /* between before_wait and after_wait */
	void (*send)(void *ctx, const uint8_t *bytes, size_t count);
	void *ctx;
};

static ssize_t on_packet(const void *bytes, size_t count, void *ctx)
{
	struct nat_way *w = ctx;

	w->send(w->ctx, bytes, count);
	return (ssize_t)count;
}

/* ---- What libslirp wants of its host ---- */

static void on_guest_error(const char *message, void *ctx)
{
	(void)message; /* a guest's mistake: nobody's log */
	(void)ctx;
}

static int64_t on_clock(void *ctx)
{
	return (int64_t)host_now_ns();
}

static void *on_timer_new(SlirpTimerCb fn, void *fn_ctx, void *ctx)
{
	struct nat_way *w = ctx;
	struct timer *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		abort(); /* libslirp cannot be told */
	}
	*t = (struct timer){.fn = fn, .ctx = fn_ctx, .expires_ms = -1, .next = w->timers};
	w->timers = t;
	return t;
}

static void on_timer_free(void *timer, void *ctx)
{
	struct nat_way *w = ctx;

	for (struct timer **t = &w->timers; *t != NULL; t = &(*t)->next) {
		if (*t == timer) {
			*t = (*t)->next;
			free(timer);
			return;
		}
	}
}

static void on_timer_mod(void *timer, int64_t expires_ms, void *ctx)
{
	((struct timer *)timer)->expires_ms = expires_ms;
}

static void on_fd(int fd, void *ctx)
{
	(void)fd; /* asked for before each wait */
	(void)ctx;
}

static void on_notify(void *ctx)
{
	(void)ctx; /* we look before each wait anyway */
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_fd,
	.unregister_poll_fd = on_fd,
	.notify = on_notify,
};

/* ---- Waiting ---- */

static const struct {
	int slirp, poll;
} event_bits[] = {
	{SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
	{SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int events, void *ctx)
{
	struct nat_way *w = ctx;
	short wanted = 0;

	for (size_t i = 0; i < sizeof(event_bits) / sizeof(event_bits[0]); i++) {
		if ((events & event_bits[i].slirp) != 0) {
			wanted = (short)(wanted | event_bits[i].poll);
		}
	}
	return poll_set_add(w->set, fd, wanted);
}

static int get_events(int at, void *ctx)
{
	struct nat_way *w = ctx;
	int events = 0;

	if (at < 0 || (unsigned)at >= w->set->count) {
		return 0;
	}
	for (size_t i = 0; i < sizeof(event_bits) / sizeof(event_bits[0]); i++) {
		if ((w->set->fds[at].revents & event_bits[i].poll) != 0) {
			events |= event_bits[i].slirp;
		}
	}
	return events;
}

static int64_t now_ms(void)
{
	return (int64_t)(host_now_ns() / NS_PER_MS);
}

void nat_way_before_wait(struct nat_way *w, struct poll_set *set, uint64_t *timeout_ns)
{
	uint32_t ms = *timeout_ns / NS_PER_MS < UINT32_MAX ? (uint32_t)(*timeout_ns / NS_PER_MS)
							   : UINT32_MAX;
	uint32_t asked = ms;

	w->set = set;
	slirp_pollfds_fill(w->slirp, &ms, add_poll, w);
	for (const struct timer *t = w->timers; t != NULL; t = t->next) {
		int64_t left = t->expires_ms - now_ms();

		if (t->expires_ms >= 0 && left < ms) {
			ms = left > 0 ? (uint32_t)left : 0;
		}
	}
	if (ms < asked) {
		*timeout_ns = ms * NS_PER_MS;
	}
}

void nat_way_after_wait(struct nat_way *w, struct poll_set *set, bool failed)
{
	w->set = set;
	slirp_pollfds_poll(w->slirp, failed, get_events, w);
	w->set = NULL;
	/* A timer may end others: begin again after each. */
	for (struct timer *t = w->timers; t != NULL;) {
		if (t->expires_ms >= 0 && t->expires_ms <= now_ms()) {
			t->expires_ms = -1;
			t->fn(t->ctx);
			t = w->timers;
		} else {
			t = t->next;
		}
	}
}

void nat_way_input(struct nat_way *w, const uint8_t *bytes, size_t count)
{
	slirp_input(w->slirp, bytes, (int)count);
}

/* ---- Life ---- */

static struct in_addr address4(const struct nat_network *n, unsigned last)
{
	return (struct in_addr){htonl(nat_address(n, last))};
}

static struct in6_addr address6(const struct nat_network *n, unsigned last)
{
	struct in6_addr a = {0};

	nat_address6(n, last, a.s6_addr);
	return a;
}

struct nat_way *nat_way_open(const struct nat_network *network,
			     void (*send)(void *ctx, const uint8_t *bytes, size_t count), void *ctx)
{
	const SlirpConfig c = {
		.version = 4,
		.in_enabled = true,
		.vnetwork = address4(network, 0),
		.vnetmask = {htonl(0xffffff00)},
		.vhost = address4(network, NAT_HOST),
		.vdhcp_start = address4(network, NAT_DNS + 1),
		.vnameserver = address4(network, NAT_DNS),
		.in6_enabled = true,
		.vprefix_addr6 = address6(network, 0),
		.vprefix_len = 64,
		.vhost6 = address6(network, NAT_HOST),
		.vnameserver6 = address6(network, NAT_DNS),
		.if_mtu = NAT_MTU,
		.if_mru = NAT_MTU,
		/* What listens on the host's loopback address trusts who reaches it: no guest does. */
		.disable_host_loopback = true,
		.disable_dhcp = true,
	};
	struct nat_way *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		return NULL;
	}
	w->send = send;
	w->ctx = ctx;
	w->slirp = slirp_new(&c, &callbacks, w);
	if (w->slirp == NULL) {
		nat_way_close(w);
		return NULL;
	}
	return w;
}

void nat_way_close(struct nat_way *w)
{
	if (w->slirp != NULL) {
		slirp_cleanup(w->slirp);
	}
	while (w->timers != NULL) {
		on_timer_free(w->timers, w);
	}
	free(w);
}
