// SPDX-License-Identifier: Apache-2.0
/* A VM's port: rings in memory that its worker shares. What the worker does with them costs nobody but itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon.h"
#include "edge.h"
#include "host/log.h"
#include "host/loop.h"
#include "vswitch/wire.h"

/*
 * One direction of an adapter, all queues together: some thirty large segments. With less than TCP has on its way, a worker that is kept from its processor
 * for a moment loses frames, and a guest that sends stands still each time that the switch is.
 */
#define RINGS_BYTES (2u << 20)

struct cable {
	struct port port;
	struct connection *connection;
	struct source bell_source;
	int switch_bell;
	void *memory;
	size_t bytes;
	unsigned queues;
	unsigned queues_used;	/* by the worker, for what it receives */
	unsigned next;		/* queue to begin with */
	uint32_t generation;	/* of rss */
	uint64_t touched;	/* queues that got something since the last flush */
	struct wire_ring *from; /* the worker's frames */
	struct wire_ring *to;
	struct net_rss rss;
	int worker_bells[WIRE_QUEUES_MAX];
};

static void broken(struct cable *c, const char *how)
{
	if (!c->port.dying) {
		log_line("switch '%s': port '%s': its worker %s; the port is closed",
			 c->port.sw->config.name, port_name(&c->port), how);
		port_kill(&c->port);
	}
}

/*
 * A bell that is full rings already. But the worker shares it: it can make a full one block, and only the alarm (main.c) gets us out of that.
 */
static void ring_bell(struct cable *c, unsigned q)
{
	const uint64_t one = 1;

	if (!c->port.dying && write(c->worker_bells[q], &one, sizeof(one)) < 0 && errno == EINTR) {
		broken(c, "made its bell block");
	}
}

/* ---- To the worker ---- */

static unsigned choose_queue(struct cable *c, const struct net_frame *f)
{
	if (c->queues == 1) {
		return 0;
	}
	wire_get_rss(c->memory, c->queues, &c->generation, &c->rss, &c->queues_used);
	return c->queues_used == 1 ? 0 : net_rss_queue(&c->rss, f, c->queues_used);
}

static bool deliver(void *ctx, const struct net_frame *f)
{
	struct cable *c = ctx;
	unsigned q = choose_queue(c, f);
	enum wire_status status = wire_put(&c->to[q], f);

	c->touched |= UINT64_C(1) << q;
	if (status == WIRE_BROKEN) {
		broken(c, "wrote nonsense to the cable");
	}
	return status == WIRE_OK;
}

static void flush(void *ctx)
{
	struct cable *c = ctx;

	while (c->touched != 0) {
		unsigned q = (unsigned)__builtin_ctzll(c->touched);

		c->touched &= c->touched - 1;
		if (wire_show(&c->to[q])) {
			ring_bell(c, q);
		}
	}
}

/* The network behind the switch has a link, or lost it. */
static void on_network(void *ctx, bool up)
{
	port_set_carrier(ctx, up, up ? NULL : "no uplink of the switch has a link");
}

static void tell_link(struct port *p)
{
	struct cable *c = (struct cable *)p;

	wire_set_link(c->memory, p->link);
	ring_bell(c, 0);
}

/* ---- From the worker ---- */

/* Frames of one queue for up to @budget; returns what is left of it. */
static int64_t drain(struct cable *c, unsigned q, int64_t budget, uint64_t now_ns, bool *ret_moved)
{
	struct wire_ring *r = &c->from[q];
	struct net_frame f;
	struct edge_untagged space;
	enum wire_status status = WIRE_OK;

	while (budget > 0 && (status = wire_get(r, &f)) == WIRE_OK) {
		*ret_moved = true;
		port_input(&c->port, edge_untag(&f, &space), now_ns);
		wire_take(r);
		budget -= vswitch_cost(&f);
	}
	if (status == WIRE_BROKEN) {
		broken(c, "wrote nonsense to the cable");
	} else if (wire_show(r)) {
		ring_bell(c, q);
	}
	return budget;
}

static enum port_state serve(struct port *p, uint32_t budget, uint64_t now_ns)
{
	struct cable *c = (struct cable *)p;
	int64_t left = budget;
	bool moved = false;

	for (unsigned i = 0; i < c->queues && left > 0 && !p->dying; i++) {
		left = drain(c, (c->next + i) % c->queues, left, now_ns, &moved);
	}
	c->next = (c->next + 1) % c->queues;
	return moved ? PORT_MOVED : PORT_EMPTY;
}

static void wake(struct port *p)
{
	struct cable *c = (struct cable *)p;

	for (unsigned q = 0; q < c->queues; q++) {
		wire_wake(&c->from[q]);
	}
}

static bool cable_sleep(struct port *p)
{
	struct cable *c = (struct cable *)p;

	for (unsigned q = 0; q < c->queues; q++) {
		if (!wire_sleep(&c->from[q])) {
			wake(p);
			return false;
		}
	}
	return true;
}

/* Edge-triggered: the count is never read, each ring is an edge. */
static void on_bell(void *ctx, uint32_t events)
{
	struct cable *c = ctx;
	struct daemon *d = c->port.daemon;

	if (c->port.active || c->port.dying) {
		return;
	}
	wake(&c->port);
	spin_was_short(&d->spin, host_now_ns() - c->port.slept_ns);
	port_activate(&c->port);
}

/* ---- Life ---- */

static void destroy(struct port *p)
{
	struct cable *c = (struct cable *)p;

	if (c->switch_bell >= 0) {
		daemon_remove_source(p->daemon, c->switch_bell);
		close(c->switch_bell);
	}
	for (unsigned q = 0; q < c->queues; q++) {
		if (c->worker_bells[q] >= 0) {
			close(c->worker_bells[q]);
		}
	}
	if (c->memory != NULL) {
		munmap(c->memory, c->bytes);
	}
	free(c->from);
	free(c->to);
	free(c);
}

static const struct port_kind kind = {
	.name = "vm",
	.spins = true,
	.serve = serve,
	.sleep = cable_sleep,
	.wake = wake,
	.destroy = destroy,
	.tell_link = tell_link,
};

bool port_is_cable(const struct port *p)
{
	return p->kind == &kind;
}

struct connection *cable_connection(struct port *p)
{
	return ((struct cable *)p)->connection;
}

unsigned cable_queues(const struct port *p)
{
	return ((const struct cable *)p)->queues;
}

/* Memory that can neither shrink below us nor grow. The descriptor is for the worker. */
static int make_memory(struct cable *c, uint32_t ring_bytes, int *ret_fd)
{
	int fd = memfd_create("virid-cable", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = 0;

	if (fd < 0) {
		return -errno;
	}
	c->bytes = wire_bytes(c->queues, ring_bytes);
	if (ftruncate(fd, (off_t)c->bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		r = -errno;
	} else {
		c->memory = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		r = c->memory == MAP_FAILED ? -errno : 0;
		c->memory = r == 0 ? c->memory : NULL;
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	wire_format(c->memory, c->queues, ring_bytes);
	*ret_fd = fd;
	return 0;
}

static int make_rings(struct cable *c, uint32_t ring_bytes)
{
	c->from = calloc(c->queues, sizeof(*c->from));
	c->to = calloc(c->queues, sizeof(*c->to));
	if (c->from == NULL || c->to == NULL) {
		return -ENOMEM;
	}
	for (unsigned q = 0; q < c->queues; q++) {
		wire_ring_init(&c->from[q], c->memory, ring_bytes, q, WIRE_TO_SWITCH,
			       WIRE_CONSUMER);
		wire_ring_init(&c->to[q], c->memory, ring_bytes, q, WIRE_TO_WORKER, WIRE_PRODUCER);
	}
	return 0;
}

static int make_bells(struct cable *c)
{
	c->switch_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->switch_bell < 0) {
		return -errno;
	}
	for (unsigned q = 0; q < c->queues; q++) {
		c->worker_bells[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (c->worker_bells[q] < 0) {
			return -errno;
		}
	}
	c->bell_source = (struct source){on_bell, c};
	return daemon_add_source(c->port.daemon, c->switch_bell, &c->bell_source);
}

/* Copies for the worker: ours may be closed while they are on their way. */
static int give_descriptors(struct cable *c, int memory_fd, int *ret_fds)
{
	unsigned n = 0;

	ret_fds[n++] = memory_fd;
	for (unsigned i = 0; i <= c->queues; i++) {
		int fd =
			fcntl(i == 0 ? c->switch_bell : c->worker_bells[i - 1], F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			int r = -errno;

			while (n > 1) {
				close(ret_fds[--n]);
			}
			return r;
		}
		ret_fds[n++] = fd;
	}
	return 0;
}

static uint32_t ring_bytes_of(unsigned queues)
{
	uint32_t bytes = RINGS_BYTES;

	while (bytes > WIRE_RING_BYTES_MIN && bytes > RINGS_BYTES / queues) {
		bytes /= 2;
	}
	return bytes;
}

int cable_create(struct sw *s, struct connection *connection,
		 const struct vswitch_port_config *config, unsigned queues, struct port **ret,
		 int *ret_fds)
{
	static const struct vswitch_port_ops ops = {
		.deliver = deliver, .flush = flush, .link = on_network};
	uint32_t ring_bytes = ring_bytes_of(queues);
	struct cable *c = calloc(1, sizeof(*c));
	int memory_fd = -1, r;

	if (c == NULL) {
		return -ENOMEM;
	}
	c->port = (struct port){.kind = &kind, .sw = s, .daemon = s->daemon};
	c->connection = connection;
	c->queues = queues;
	c->queues_used = 1;
	c->switch_bell = -1;
	memset(c->worker_bells, 0xff, sizeof(c->worker_bells));
	if ((r = make_memory(c, ring_bytes, &memory_fd)) < 0 ||
	    (r = make_rings(c, ring_bytes)) < 0 || (r = make_bells(c)) < 0 ||
	    (r = give_descriptors(c, memory_fd, ret_fds)) < 0) {
		goto fail;
	}
	r = port_add(&c->port, config, &ops);
	if (r < 0) {
		for (unsigned i = 1; i < 2 + queues; i++) {
			close(ret_fds[i]);
		}
		goto fail;
	}
	port_activate(&c->port);
	*ret = &c->port;
	return 0;
fail:
	if (memory_fd >= 0) {
		close(memory_fd);
	}
	destroy(&c->port);
	return r;
}
