// SPDX-License-Identifier: Apache-2.0
/*
 * The default switch's way out: libslirp turns the guests' connections into sockets of this process. Frames for it wait in a ring until the
 * port is served, because it answers at once and the switch cannot be called from within.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "dhcp.h"
#include "host/loop.h"
#include "nat_filter.h"
#include "vswitch/wire.h"

#define NAT_MTU 1500u
#define FIFO_BYTES (1u << 20)
#define NS_PER_MS UINT64_C(1000000)

struct timer {
	SlirpTimerCb fn;
	void *ctx;
	int64_t expires_ms; /* -1: not armed */
	struct timer *next;
};

struct nat {
	struct port port;
	Slirp *slirp;
	struct timer *timers;
	void *fifo;
	struct wire_ring put, get;
	struct pollfd *fds; /* between before_wait and after_wait */
	unsigned fd_count, fd_max;
	struct dhcp dhcp;
	uint8_t reply[DHCP_REPLY_BYTES];
};

/* ---- From the guests ---- */

static bool deliver(void *ctx, const struct net_frame *f)
{
	struct nat *n = ctx;

	return wire_put(&n->put, f) == WIRE_OK;
}

static void flush(void *ctx)
{
	struct nat *n = ctx;

	wire_show(&n->put);
	port_activate(&n->port);
}

static void send_frame(struct nat *n, const uint8_t *bytes, size_t count);

static void take(struct nat *n, const struct net_frame *f, uint64_t now_ns)
{
	uint8_t *frame = n->port.daemon->frame;
	size_t reply_bytes;

	net_frame_copy(f, 0, frame, f->bytes);
	if (!dhcp_input(&n->dhcp, frame, f->bytes, now_ns, n->reply, &reply_bytes)) {
		if (nat_filter_allows(frame, f->bytes)) {
			slirp_input(n->slirp, frame, (int)f->bytes);
		}
	} else if (reply_bytes > 0) {
		send_frame(n, n->reply, reply_bytes);
	}
}

static enum port_state serve(struct port *p, uint32_t budget, uint64_t now_ns)
{
	struct nat *n = (struct nat *)p;
	struct net_frame f;
	int64_t left = budget;

	while (left > 0 && wire_get(&n->get, &f) == WIRE_OK) {
		left -= vswitch_cost(&f);
		take(n, &f, now_ns);
		wire_take(&n->get);
	}
	wire_show(&n->get);
	return left < budget ? PORT_MOVED : PORT_EMPTY;
}

/* ---- To the guests ---- */

static void send_frame(struct nat *n, const uint8_t *bytes, size_t count)
{
	struct net_frame f = {.head = bytes, .bytes = (uint32_t)count, .tag = NET_TAG_NONE};
	struct io_vec rest;

	f.head_bytes = f.bytes < NET_HEAD_BYTES ? f.bytes : NET_HEAD_BYTES;
	if (f.bytes > NET_HEAD_BYTES) {
		rest = (struct io_vec){(void *)(uintptr_t)(bytes + NET_HEAD_BYTES),
				       count - NET_HEAD_BYTES};
		f.rest = &rest;
		f.rest_count = 1;
	}
	port_input(&n->port, &f, host_now_ns());
}

static ssize_t on_packet(const void *bytes, size_t count, void *ctx)
{
	if (count >= NET_ETHERNET_BYTES && count <= NET_FRAME_BYTES_MAX) {
		send_frame(ctx, bytes, count);
	}
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
	struct nat *n = ctx;
	struct timer *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		abort(); /* libslirp cannot be told */
	}
	*t = (struct timer){.fn = fn, .ctx = fn_ctx, .expires_ms = -1, .next = n->timers};
	n->timers = t;
	return t;
}

static void on_timer_free(void *timer, void *ctx)
{
	struct nat *n = ctx;

	for (struct timer **t = &n->timers; *t != NULL; t = &(*t)->next) {
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
	struct nat *n = ctx;
	struct pollfd p = {.fd = fd};

	if (n->fd_count == n->fd_max) {
		return -1;
	}
	for (size_t i = 0; i < sizeof(event_bits) / sizeof(event_bits[0]); i++) {
		if ((events & event_bits[i].slirp) != 0) {
			p.events = (short)(p.events | event_bits[i].poll);
		}
	}
	n->fds[n->fd_count] = p;
	return (int)n->fd_count++;
}

static int get_events(int at, void *ctx)
{
	struct nat *n = ctx;
	int events = 0;

	if (at < 0 || (unsigned)at >= n->fd_count) {
		return 0;
	}
	for (size_t i = 0; i < sizeof(event_bits) / sizeof(event_bits[0]); i++) {
		if ((n->fds[at].revents & event_bits[i].poll) != 0) {
			events |= event_bits[i].slirp;
		}
	}
	return events;
}

static int64_t now_ms(void)
{
	return (int64_t)(host_now_ns() / NS_PER_MS);
}

unsigned nat_before_wait(struct nat *n, struct pollfd *fds, unsigned max, uint64_t *timeout_ns)
{
	uint32_t ms = *timeout_ns / NS_PER_MS < UINT32_MAX ? (uint32_t)(*timeout_ns / NS_PER_MS)
							   : UINT32_MAX;
	uint32_t asked = ms;

	n->fds = fds;
	n->fd_count = 0;
	n->fd_max = max;
	slirp_pollfds_fill(n->slirp, &ms, add_poll, n);
	for (const struct timer *t = n->timers; t != NULL; t = t->next) {
		int64_t left = t->expires_ms - now_ms();

		if (t->expires_ms >= 0 && left < ms) {
			ms = left > 0 ? (uint32_t)left : 0;
		}
	}
	if (ms < asked) {
		*timeout_ns = ms * NS_PER_MS;
	}
	return n->fd_count;
}

void nat_after_wait(struct nat *n, struct pollfd *fds, bool failed)
{
	n->fds = fds;
	slirp_pollfds_poll(n->slirp, failed, get_events, n);
	n->fds = NULL;
	/* A timer may end others: begin again after each. */
	for (struct timer *t = n->timers; t != NULL;) {
		if (t->expires_ms >= 0 && t->expires_ms <= now_ms()) {
			t->expires_ms = -1;
			t->fn(t->ctx);
			t = n->timers;
		} else {
			t = t->next;
		}
	}
}

/* ---- Life ---- */

static void destroy(struct port *p)
{
	struct nat *n = (struct nat *)p;

	slirp_cleanup(n->slirp);
	while (n->timers != NULL) {
		on_timer_free(n->timers, n);
	}
	free(n->fifo);
	free(n);
}

static const struct port_kind kind = {
	.name = "nat",
	.serve = serve,
	.destroy = destroy,
};

static Slirp *open_slirp(struct nat *n)
{
	SlirpConfig c = {
		.version = 4,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = NAT_MTU,
		.if_mru = NAT_MTU,
		/* What listens on the host's loopback address trusts who reaches it: no guest does. */
		.disable_host_loopback = true,
		.disable_dhcp = true,
	};

	inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &c.vhost);
	inet_pton(AF_INET, "10.0.2.15", &c.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
	inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &c.vhost6);
	inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
	return slirp_new(&c, &callbacks, n);
}

int nat_create(struct sw *s, struct nat **ret)
{
	static const struct vswitch_port_ops ops = {.deliver = deliver, .flush = flush};
	const struct vswitch_port_config config = {
		.name = "nat", .role = VSWITCH_HOST, .mtu = NAT_MTU};
	size_t bytes = wire_bytes(1, FIFO_BYTES);
	struct nat *n = calloc(1, sizeof(*n));
	int r = -ENOMEM;

	if (n == NULL) {
		return r;
	}
	n->port = (struct port){.kind = &kind, .sw = s, .daemon = s->daemon};
	n->fifo = calloc(1, bytes);
	if (n->fifo == NULL || (n->slirp = open_slirp(n)) == NULL) {
		goto fail;
	}
	wire_format(n->fifo, 1, FIFO_BYTES);
	wire_ring_init(&n->put, n->fifo, FIFO_BYTES, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	wire_ring_init(&n->get, n->fifo, FIFO_BYTES, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	r = port_add(&n->port, &config, &ops);
	if (r < 0) {
		slirp_cleanup(n->slirp);
		goto fail;
	}
	*ret = n;
	return 0;
fail:
	free(n->fifo);
	free(n);
	return r;
}

void nat_destroy(struct nat *n)
{
	port_kill(&n->port);
}

void nat_forget(struct nat *n, const uint8_t *mac)
{
	dhcp_forget(&n->dhcp, mac);
}
