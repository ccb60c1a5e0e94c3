// SPDX-License-Identifier: Apache-2.0
#include "net_cable.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED_DESCRIPTORS 3u /* before the worker's bells */

bool net_plug_take(struct net_plug *plug, unsigned queues, const int *fds, size_t fd_count)
{
	if (queues == 0 || queues > NET_QUEUES_MAX || fd_count != FIXED_DESCRIPTORS + queues) {
		return false;
	}
	*plug = (struct net_plug){
		.connection = fds[0], .memory = fds[1], .switch_bell = fds[2], .queues = queues};
	memcpy(plug->worker_bells, fds + FIXED_DESCRIPTORS, queues * sizeof(int));
	return true;
}

void net_plug_close(const struct net_plug *plug)
{
	close(plug->connection);
	close(plug->memory);
	close(plug->switch_bell);
	for (unsigned i = 0; i < plug->queues; i++) {
		close(plug->worker_bells[i]);
	}
}

/* Memory that the switch could cut short under our feet is not used. */
static int map_memory(int fd, void **ret, size_t *ret_bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) < 0 || st.st_size <= 0) {
		return -EINVAL;
	}
	void *memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED) {
		return -errno;
	}
	*ret = memory;
	*ret_bytes = (size_t)st.st_size;
	return 0;
}

int net_cable_plug(struct net_cable *c, const struct net_plug *plug, unsigned queues)
{
	uint32_t ring_bytes;
	unsigned found;
	void *memory = NULL;
	size_t bytes = 0;
	int r = map_memory(plug->memory, &memory, &bytes);

	if (r != 0) {
		return r;
	}
	if (!wire_check(memory, bytes, &found, &ring_bytes) || found != queues ||
	    plug->queues != queues) {
		munmap(memory, bytes);
		return -EPROTO;
	}
	c->plug = *plug;
	c->memory = memory;
	c->bytes = bytes;
	c->dropping = false;
	for (unsigned i = 0; i < queues; i++) {
		struct net_queue *q = &c->queues[i];

		q->full = false;
		wire_ring_init(&q->to_switch, memory, ring_bytes, i, WIRE_TO_SWITCH, WIRE_PRODUCER);
		wire_ring_init(&q->to_worker, memory, ring_bytes, i, WIRE_TO_WORKER, WIRE_CONSUMER);
	}
	if (c->rss_queues != 0) {
		wire_set_rss(memory, &c->rss, c->rss_queues);
	}
	return 0;
}

void net_cable_release(struct net_cable *c)
{
	if (c->memory != NULL) {
		munmap(c->memory, c->bytes);
		c->memory = NULL;
	}
}

void net_cable_unplug(struct net_cable *c)
{
	if (c->memory != NULL) {
		net_cable_release(c);
		net_plug_close(&c->plug);
	}
}

/* ---- The port ---- */

static bool port_send(void *ctx, unsigned queue, const struct net_frame *f)
{
	struct net_cable *c = ctx;
	struct net_queue *q = &c->queues[queue];

	if (c->memory == NULL) {
		return c->dropping;
	}
	/* A broken ring loses frames until the switch has dropped this cable. */
	q->full = wire_put(&q->to_switch, f) == WIRE_FULL;
	return !q->full;
}

static bool port_receive(void *ctx, unsigned queue, struct net_frame *ret)
{
	struct net_cable *c = ctx;

	return c->memory != NULL && wire_get(&c->queues[queue].to_worker, ret) == WIRE_OK;
}

static void port_received(void *ctx, unsigned queue)
{
	struct net_cable *c = ctx;

	wire_take(&c->queues[queue].to_worker);
}

static void ring_bell(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* EAGAIN: it has been ringing for long */
}

static void port_flush(void *ctx, unsigned queue)
{
	struct net_cable *c = ctx;
	struct net_queue *q = &c->queues[queue];

	if (c->memory == NULL) {
		return;
	}
	bool sent = wire_show(&q->to_switch), room = wire_show(&q->to_worker);

	if (sent || room) {
		ring_bell(c->plug.switch_bell);
	}
}

static void port_set_rss(void *ctx, const struct net_rss *rss, unsigned queues)
{
	struct net_cable *c = ctx;

	c->rss = *rss;
	c->rss_queues = queues;
	if (c->memory != NULL) {
		wire_set_rss(c->memory, rss, queues);
	}
}

/* The switch drops what comes from an address that the port must not use, so there is nothing to refuse here. */
static bool port_set_mac(void *ctx, const uint8_t *mac)
{
	(void)ctx;
	(void)mac;
	return true;
}

const struct vsp_net_port_ops net_cable_port = {
	.send = port_send,
	.receive = port_receive,
	.received = port_received,
	.flush = port_flush,
	.set_rss = port_set_rss,
	.set_mac = port_set_mac,
};

/* ---- Link ---- */

bool net_cable_link(struct net_cable *c)
{
	if (c->memory != NULL) {
		c->link = wire_link(c->memory);
	} else if (c->dropping) {
		c->link = false;
	}
	return c->link;
}

/* ---- Sleep ---- */

bool net_cable_sleep(struct net_cable *c, unsigned queue, bool takes)
{
	struct net_queue *q = &c->queues[queue];

	if (c->memory == NULL) {
		return true;
	}
	return (!takes || wire_sleep(&q->to_worker)) && (!q->full || wire_sleep(&q->to_switch));
}

void net_cable_awake(struct net_cable *c, unsigned queue)
{
	struct net_queue *q = &c->queues[queue];

	if (c->memory != NULL) {
		wire_wake(&q->to_worker);
		wire_wake(&q->to_switch);
	}
}
