/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a cable, and the switch's end of it. */
#ifndef VMWP_NET_FAR_H
#define VMWP_NET_FAR_H

#include "net_cable.h"

#define NET_FAR_QUEUES 2u
#define NET_FAR_RING WIRE_RING_BYTES_MIN

struct net_far {
	struct net_plug plug; /* the worker's, who closes it */
	void *memory;
	size_t bytes;
	struct wire_ring from_worker[NET_FAR_QUEUES], to_worker[NET_FAR_QUEUES];
};

/* @queues of them in the memory, rings for as many as there is place here; @seals of the memory (F_SEAL_*). */
void net_far_create(struct net_far *f, unsigned queues, int seals);
void net_far_destroy(struct net_far *f);
/* How often @bell was rung since. */
unsigned net_far_rings(int bell);

#endif
