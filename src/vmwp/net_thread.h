/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that serve queues. They stop as a whole when anything is to be changed under them. */
#ifndef VMWP_NET_THREAD_H
#define VMWP_NET_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "net_cable.h"

/* What a thread serves; changed only while all are parked. */
struct net_port {
	struct vsp_net *vsp; /* NULL: nothing to serve */
	struct net_cable cable;
	bool link_told; /* to vsp */
};

struct net_threads;

/* @ports: NET_ADAPTERS_MAX pointers, NULL where there is none. Parked at first. -errno. */
int net_threads_create(unsigned queues, struct net_port *const *ports, struct net_threads **ret);
void net_threads_destroy(struct net_threads *t);
/* Waits until all have come to rest, or are on their way. */
void net_threads_park(struct net_threads *t);
void net_threads_serve(struct net_threads *t);
/* That queue has something to do. Any thread. */
void net_threads_wake(struct net_threads *t, unsigned queue);
/* Bells of a cable that wake the threads; parked. -errno. */
int net_threads_listen(struct net_threads *t, const struct net_plug *plug);
void net_threads_forget(struct net_threads *t, const struct net_plug *plug);

#endif
