/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's end of a cable to the switch, as the port behind an adapter. */
#ifndef VMWP_NET_CABLE_H
#define VMWP_NET_CABLE_H

#include "net.h"
#include "vsp/net.h"

struct net_queue {
	struct wire_ring to_switch, to_worker;
	bool full; /* a frame found no room: wants the bell */
};

/* Changed only while no thread serves. */
struct net_cable {
	struct net_plug plug;
	void *memory; /* NULL: unplugged */
	size_t bytes;
	bool dropping;	     /* unplugged for long: what the guest sends is lost */
	bool link;	     /* as last seen */
	struct net_rss rss;  /* what the guest asked for last */
	unsigned rss_queues; /* 0: it did not ask */
	struct net_queue queues[NET_QUEUES_MAX];
};

/* Takes over @plug. -errno: not a cable, or not as many queues as @queues; then @plug is the caller's still. */
int net_cable_plug(struct net_cable *c, const struct net_plug *plug, unsigned queues);
/* Lets go of the memory; descriptors are the caller's again. */
void net_cable_release(struct net_cable *c);
/* Lets go of memory and descriptors; what waited in the rings is lost. */
void net_cable_unplug(struct net_cable *c);
void net_plug_close(const struct net_plug *plug);

/* Has the network behind it a link? While a switch is away for a short time it is as it was. Queue 0's thread. */
bool net_cable_link(struct net_cable *c);

/*
 * Queue's thread: says that it goes to sleep. False: there is something to do. @takes: what lies there for the guest could be delivered. Awake:
 * takes it back.
 */
bool net_cable_sleep(struct net_cable *c, unsigned queue, bool takes);
void net_cable_awake(struct net_cable *c, unsigned queue);

extern const struct vsp_net_port_ops net_cable_port; /* ctx: the cable */

#endif
