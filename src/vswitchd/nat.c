// SPDX-License-Identifier: Apache-2.0
/*
 * The port of a NAT switch behind which the world is. Frames for it wait in a ring until the port is served, because answers come at once and the
 * switch cannot be called from within. What is addressed to others than the DHCP server goes to one of several ways out, always the same one
 * for the same guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "dhcp.h"
#include "host/loop.h"
#include "nat_filter.h"
#include "nat_join.h"
#include "nat_way.h"
#include "vswitch/wire.h"

#define FIFO_BYTES (4u << 20)
#define WAYS 64u /* each has room for sixteen addresses of guests, of either family */

struct nat {
	struct port port;
	struct nat_network network;
	struct nat_way *ways[WAYS]; /* made when their first guest speaks */
	void *fifo;
	struct wire_ring put, get;
	struct dhcp dhcp;
	struct nat_join join;
	uint8_t reply[DHCP_REPLY_BYTES];
};

/* ---- To the guests ---- */

static void send_frame(void *ctx, const struct net_frame *f)
{
	struct nat *n = ctx;

	port_input(&n->port, f, host_now_ns());
}

static void on_packet(void *ctx, const uint8_t *bytes, size_t count)
{
	struct nat *n = ctx;

	if (count >= NET_ETHERNET_BYTES && count <= NET_ETHERNET_BYTES + NAT_MTU) {
		nat_join_add(&n->join, bytes, (uint32_t)count);
	}
}

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

/* For the guest with @mac; guests with addresses in a row are spread evenly. NULL: no memory. */
static struct nat_way *way_of(struct nat *n, const uint8_t *mac)
{
	struct nat_way **w = &n->ways[(mac[5] + 7u * mac[4] + 29u * mac[3]) % WAYS];

	if (*w == NULL) {
		*w = nat_way_open(&n->network, on_packet, n);
	}
	return *w;
}

static void take(struct nat *n, const struct net_frame *f, uint64_t now_ns)
{
	uint8_t *frame = n->port.daemon->frame;
	size_t reply_bytes;

	net_frame_copy(f, 0, frame, f->bytes);
	if (!net_frame_finish(frame, f->bytes, &f->offload)) {
		return;
	}
	if (dhcp_input(&n->dhcp, frame, f->bytes, now_ns, n->reply, &reply_bytes)) {
		if (reply_bytes > 0) {
			on_packet(n, n->reply, reply_bytes);
		}
	} else if (nat_filter_allows(&n->network, frame, f->bytes)) {
		struct nat_way *w = way_of(n, frame + NET_MAC_BYTES);

		if (w != NULL) {
			nat_way_input(w, frame, f->bytes);
		}
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
	nat_join_flush(&n->join);
	wire_show(&n->get);
	return left < budget ? PORT_MOVED : PORT_EMPTY;
}

/* ---- Waiting ---- */

void nat_before_wait(struct nat *n, struct poll_set *set, uint64_t *timeout_ns)
{
	for (unsigned i = 0; i < WAYS; i++) {
		if (n->ways[i] != NULL) {
			nat_way_before_wait(n->ways[i], set, timeout_ns);
		}
	}
}

void nat_after_wait(struct nat *n, struct poll_set *set, bool failed)
{
	for (unsigned i = 0; i < WAYS; i++) {
		if (n->ways[i] != NULL) {
			nat_way_after_wait(n->ways[i], set, failed);
		}
	}
	nat_join_flush(&n->join);
}

/* ---- Life ---- */

static void destroy(struct port *p)
{
	struct nat *n = (struct nat *)p;

	for (unsigned i = 0; i < WAYS; i++) {
		if (n->ways[i] != NULL) {
			nat_way_close(n->ways[i]);
		}
	}
	free(n->fifo);
	free(n);
}

static const struct port_kind kind = {
	.name = "nat",
	.serve = serve,
	.destroy = destroy,
};

int nat_create(struct sw *s, struct nat **ret)
{
	static const struct vswitch_port_ops ops = {.deliver = deliver, .flush = flush};
	/* libslirp takes large segments whole; it does not know what to do with large datagrams. */
	const struct vswitch_port_config config = {.name = "nat",
						   .role = VSWITCH_HOST,
						   .mtu = NAT_MTU,
						   .takes = NET_TAKES_CSUM | NET_TAKES_TSO4 |
							    NET_TAKES_TSO6};
	size_t bytes = wire_bytes(1, FIFO_BYTES);
	struct nat *n = calloc(1, sizeof(*n));
	int r = -ENOMEM;

	if (n == NULL) {
		return r;
	}
	n->port = (struct port){.kind = &kind, .sw = s, .daemon = s->daemon};
	n->network = nat_network_of(s->config.address);
	n->dhcp.network = n->network;
	n->join.send = send_frame;
	n->join.ctx = n;
	n->fifo = calloc(1, bytes);
	if (n->fifo == NULL) {
		goto fail;
	}
	wire_format(n->fifo, 1, FIFO_BYTES);
	wire_ring_init(&n->put, n->fifo, FIFO_BYTES, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	wire_ring_init(&n->get, n->fifo, FIFO_BYTES, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	r = port_add(&n->port, &config, &ops);
	if (r < 0) {
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
