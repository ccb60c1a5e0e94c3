// SPDX-License-Identifier: Apache-2.0
/* An uplink of an external switch: a packet socket on a host interface. The interface may go away, and come back under the same name. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "edge.h"
#include "host/log.h"
#include "packet_ring.h"

#define SOCKET_BYTES (8 << 20)

struct packet {
	struct port port;
	struct source source;
	struct packet_ring ring;
	struct packet_batch *batch;
	int fd;
	int index; /* of the interface that it is bound to; 0: none */
	uint32_t mtu;
	char name[IFNAMSIZ];
};

static bool deliver(void *ctx, const struct net_frame *f)
{
	struct packet *p = ctx;

	return p->index != 0 && packet_batch_add(p->batch, f);
}

static void flush(void *ctx)
{
	struct packet *p = ctx;
	uint64_t bytes;

	packet_batch_send(p->batch);
	unsigned lost = packet_batch_lost(p->batch, &bytes);

	if (lost > 0) {
		vswitch_port_lost(p->port.core, lost, bytes);
	}
}

static enum port_state serve(struct port *port, uint32_t budget, uint64_t now_ns)
{
	struct packet *p = (struct packet *)port;
	struct packet_frame f;
	enum packet_status status;
	int64_t left = budget;
	struct edge_frame e;

	while (left > 0 && (status = packet_ring_get(&p->ring, port->daemon->frame,
						     DAEMON_FRAME_BYTES, &f)) != PACKET_NONE) {
		left -= VSWITCH_COST_MIN;
		if (status == PACKET_FRAME) {
			edge_from_bytes(&e, f.data, f.bytes, &f.offload);
			e.frame.tag = e.frame.tag == NET_TAG_NONE ? f.tag : e.frame.tag;
			port_input(port, &e.frame, now_ns);
			left -= vswitch_cost(&e.frame) - VSWITCH_COST_MIN;
		}
		packet_ring_take(&p->ring);
	}
	return left < budget ? PORT_MOVED : PORT_EMPTY;
}

static void on_ready(void *ctx, uint32_t events)
{
	port_activate(ctx);
}

/* ---- The interface ---- */

static bool ask(const struct packet *p, unsigned long what, struct ifreq *r)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", p->name);
	return ioctl(p->fd, what, r) == 0;
}

static int bind_to(struct packet *p, int index)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
	const struct packet_mreq promiscuous = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};

	if (bind(p->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(p->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
		       sizeof(promiscuous)) < 0) {
		return -errno;
	}
	p->index = index;
	return 0;
}

static void set_mtu(struct packet *p, uint32_t mtu)
{
	struct vswitch_port_config config = *vswitch_port_config(p->port.core);

	if (mtu != p->mtu) {
		p->mtu = mtu;
		config.mtu = mtu < NET_MTU_MAX ? mtu : NET_MTU_MAX;
		vswitch_port_configure(p->port.core, &config);
	}
}

static void check(struct port *port)
{
	struct packet *p = (struct packet *)port;
	const char *name = port->sw->config.name;
	struct ifreq r;
	int index = ask(p, SIOCGIFINDEX, &r) ? r.ifr_ifindex : 0;

	if (index != p->index) {
		if (p->index != 0) {
			log_line("switch '%s': interface '%s' is gone; waiting for it", name,
				 p->name);
		}
		p->index = 0;
		if (index != 0 && bind_to(p, index) == 0) {
			log_line("switch '%s': interface '%s' is there", name, p->name);
		}
	}
	if (p->index == 0) {
		port_set_carrier(port, false, "there is no such interface");
		return;
	}
	if (ask(p, SIOCGIFMTU, &r) && r.ifr_mtu > 0) {
		set_mtu(p, (uint32_t)r.ifr_mtu);
	}
	bool flags = ask(p, SIOCGIFFLAGS, &r);
	bool up = flags && (r.ifr_flags & IFF_UP) != 0;
	bool running = up && (r.ifr_flags & IFF_RUNNING) != 0;

	port_set_carrier(port, running,
			 running ? NULL
			 : up	 ? "the interface has no link"
				 : "the interface is down");
}

uint32_t interface_mtu(const struct port *p)
{
	return p->kind->check == check ? ((const struct packet *)p)->mtu : 0;
}

static void destroy(struct port *port)
{
	struct packet *p = (struct packet *)port;

	daemon_remove_source(port->daemon, p->fd);
	packet_ring_close(&p->ring);
	packet_batch_destroy(p->batch);
	close(p->fd);
	free(p);
}

static const struct port_kind kind = {
	.name = "interface",
	.serve = serve,
	.destroy = destroy,
	.check = check,
};

static int check_descriptor(int fd)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || domain != AF_PACKET ||
	    type != SOCK_RAW) {
		return -EINVAL;
	}
	return 0;
}

static int set_options(int fd)
{
	const int on = 1, bytes = SOCKET_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes,
		   sizeof(bytes)); /* up to what the host allows */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
			       setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
			       setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) <
				       0
		       ? -errno
		       : 0;
}

int packet_create(struct sw *s, const char *name, int fd, char *error, size_t size)
{
	static const struct vswitch_port_ops ops = {.deliver = deliver, .flush = flush};
	struct vswitch_port_config config = {
		.role = VSWITCH_UPLINK,
		.vlan = {.mode = VSWITCH_VLAN_TRUNK},
		.takes = s->daemon->has_uso ? NET_TAKES_ALL : NET_TAKES_ALL & ~NET_TAKES_USO};
	struct packet *p = calloc(1, sizeof(*p));
	int r = p == NULL ? -ENOMEM : check_descriptor(fd);

	if (r == 0) {
		p->port = (struct port){.kind = &kind, .sw = s, .daemon = s->daemon};
		p->fd = fd;
		p->source = (struct source){on_ready, &p->port};
		snprintf(p->name, sizeof(p->name), "%s", name);
		snprintf(config.name, sizeof(config.name), "%s", name);
		memset(config.vlan.trunk, 0xff, sizeof(config.vlan.trunk));
		r = set_options(fd);
	}
	if (r == 0) {
		p->batch = packet_batch_create(fd);
		r = p->batch == NULL ? -ENOMEM : packet_ring_open(&p->ring, fd);
	}
	if (r == 0) {
		r = daemon_add_source(s->daemon, fd, &p->source);
	}
	if (r == 0 && (r = port_add(&p->port, &config, &ops)) < 0) {
		daemon_remove_source(s->daemon, fd);
	}
	if (r < 0) {
		snprintf(error, size, "switch '%s': interface '%s': %s", s->config.name, name,
			 r == -EINVAL ? "the descriptor is not a packet socket" : strerror(-r));
		if (p != NULL) {
			packet_ring_close(&p->ring);
			packet_batch_destroy(p->batch);
		}
		free(p);
		return r;
	}
	check(&p->port);
	port_activate(&p->port);
	return 0;
}
