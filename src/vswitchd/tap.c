// SPDX-License-Identifier: Apache-2.0
/* The host's end of an internal switch: a TAP device. */
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon.h"
#include "edge.h"
#include "host/log.h"

#ifndef TUNSETCARRIER
#define TUNSETCARRIER _IOW('T', 226, int)
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20u
#define TUN_F_USO6 0x40u
#endif

struct tap {
	struct port port;
	struct source source;
	int fd;
	bool gone;
	char name[IFNAMSIZ];
};

static bool deliver(void *ctx, const struct net_frame *f)
{
	struct tap *t = ctx;
	struct edge_pieces pieces;

	/* EIO: the interface is down; EAGAIN: the host is behind. */
	return !t->gone && edge_to_pieces(f, &pieces) &&
	       writev(t->fd, pieces.iov, (int)pieces.count) >= 0;
}

static void flush(void *ctx)
{
	(void)ctx; /* each frame went by itself */
}

/* Somebody took the interface away. */
static void mark_gone(struct tap *t)
{
	if (!t->gone) {
		t->gone = true;
		log_line("switch '%s': interface '%s' is gone; remove the switch and make it again "
			 "to have it back",
			 t->port.sw->config.name, t->name);
		port_set_carrier(&t->port, false, "the interface is gone");
	}
}

static enum port_state serve(struct port *p, uint32_t budget, uint64_t now_ns)
{
	struct tap *t = (struct tap *)p;
	uint8_t *buffer = p->daemon->frame;
	struct net_offload offload;
	const struct iovec iov[2] = {{&offload, sizeof(offload)}, {buffer, DAEMON_FRAME_BYTES}};
	int64_t left = budget;
	bool moved = false;

	while (left > 0) {
		struct edge_frame e;
		ssize_t n = readv(t->fd, iov, 2);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != EIO) {
				mark_gone(t);
			}
			return moved ? PORT_MOVED : PORT_EMPTY;
		}
		if ((size_t)n <= sizeof(offload)) {
			continue;
		}
		edge_from_bytes(&e, buffer, (uint32_t)((size_t)n - sizeof(offload)), &offload);
		port_input(p, &e.frame, now_ns);
		left -= vswitch_cost(&e.frame);
		moved = true;
	}
	return PORT_MOVED;
}

static void on_ready(void *ctx, uint32_t events)
{
	struct tap *t = ctx;

	if (!t->gone) {
		port_activate(&t->port);
	}
}

static void destroy(struct port *p)
{
	struct tap *t = (struct tap *)p;

	daemon_remove_source(p->daemon, t->fd);
	close(t->fd);
	free(t);
}

static void check(struct port *p)
{
	struct tap *t = (struct tap *)p;
	struct ifreq r;

	if (ioctl(t->fd, TUNGETIFF, &r) < 0) {
		mark_gone(t);
	}
}

/* The host sees a cable pulled out. A kernel that cannot tell it loses frames all the same. */
static void tell_link(struct port *p)
{
	struct tap *t = (struct tap *)p;
	int up = p->link;

	if (!t->gone) {
		ioctl(t->fd, TUNSETCARRIER, &up);
	}
}

static const struct port_kind kind = {
	.name = "tap",
	.serve = serve,
	.destroy = destroy,
	.check = check,
	.tell_link = tell_link,
};

/* What we want from who hands us @fd: a TAP in packet mode with the header of offloads. */
static int check_descriptor(int fd, char *name)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	if (ioctl(fd, TUNGETIFF, &r) < 0 || (r.ifr_flags & IFF_TAP) == 0 ||
	    (r.ifr_flags & IFF_NO_PI) == 0 || (r.ifr_flags & IFF_VNET_HDR) == 0) {
		return -EINVAL;
	}
	snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, r.ifr_name);
	return 0;
}

/* Which large frames the kernel gives; it takes all that it knows. */
static uint32_t set_offloads(int fd)
{
	const unsigned large = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	int header = sizeof(struct net_offload);

	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) {
		return 0;
	}
	if (ioctl(fd, TUNSETOFFLOAD, large | TUN_F_USO4 | TUN_F_USO6) == 0) {
		return NET_TAKES_ALL;
	}
	ioctl(fd, TUNSETOFFLOAD, large);
	return NET_TAKES_ALL & ~NET_TAKES_USO;
}

int tap_create(struct sw *s, const char *name, int fd, char *error, size_t size)
{
	static const struct vswitch_port_ops ops = {.deliver = deliver, .flush = flush};
	struct vswitch_port_config config = {.role = VSWITCH_HOST,
					     .vlan = {.mode = VSWITCH_VLAN_TRUNK}};
	struct tap *t = calloc(1, sizeof(*t));
	int r = t == NULL ? -ENOMEM : check_descriptor(fd, t->name);

	if (r < 0) {
		snprintf(error, size,
			 "switch '%s': the descriptor for '%s' is not a TAP device with "
			 "IFF_VNET_HDR",
			 s->config.name, name);
		free(t);
		return r;
	}
	t->port = (struct port){.kind = &kind, .sw = s, .daemon = s->daemon};
	t->fd = fd;
	t->source = (struct source){on_ready, t};
	snprintf(config.name, sizeof(config.name), "%s", t->name);
	memset(config.vlan.trunk, 0xff, sizeof(config.vlan.trunk));
	config.takes = set_offloads(fd);
	r = daemon_add_source(s->daemon, fd, &t->source);
	if (r == 0) {
		r = port_add(&t->port, &config, &ops);
		if (r < 0) {
			daemon_remove_source(s->daemon, fd);
		}
	}
	if (r < 0) {
		snprintf(error, size, "switch '%s': interface '%s': %s", s->config.name, name,
			 strerror(-r));
		free(t);
		return r;
	}
	port_activate(&t->port);
	return 0;
}
