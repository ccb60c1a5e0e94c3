/* SPDX-License-Identifier: Apache-2.0 */
/* Inside net.c and net_change.c: the adapters of a VM. Loop thread. */
#ifndef VMWP_NET_ADAPTER_H
#define VMWP_NET_ADAPTER_H

#include <pthread.h>

#include "host/loop.h"
#include "net.h"
#include "net_thread.h"

/* An adapter that is taken away: until the guest has its answers. */
struct net_farewell {
	struct loop_timer timer;
	uint64_t deadline_ns;
	unsigned quiet; /* times in a row that it had all its answers */
};

struct adapter {
	struct net *net;
	unsigned number;
	char name[8];
	uint8_t mac[NET_MAC_BYTES];
	uint32_t mtu;
	char *spec;
	struct net_port port;
	struct loop_timer patience;
	struct net_farewell farewell;
	pthread_mutex_t mailbox;
	bool disconnected; /* on no switch, as somebody asked for */
	bool gone;	   /* the guest let go of it */
	bool leaving;
	void (*done)(void *ctx); /* of the one who takes it away */
	void *ctx;
};

struct net {
	struct worker *worker;
	unsigned queues;
	struct vmbus *bus; /* of this boot; NULL: between boots */
	bool running;	   /* the threads serve; false: the machine stands still */
	struct net_threads *threads;
	struct net_launcher *launcher;
	struct adapter *adapters[NET_ADAPTERS_MAX];
	struct net_port *ports[NET_ADAPTERS_MAX]; /* of the adapters, for the threads */
};

/* All of these with the threads parked. A new adapter is plugged in, and not on the bus yet. */
int net_adapter_create(struct net *n, const struct net_adapter_config *config);
/* Takes it off the bus; its descriptors are closed, if it is plugged in. */
void net_adapter_forget(struct adapter *a);
int net_adapter_offer(struct adapter *a, struct vmbus *bus);

/* -errno: then @plug is the caller's still. */
int net_adapter_plug(struct adapter *a, const struct net_plug *plug);
/* Its descriptors are closed, or (release) the caller's again. */
void net_adapter_unplug(struct adapter *a);
void net_adapter_release(struct adapter *a);
/* The switch did not come back in time. */
void net_adapter_impatient(void *ctx);
/* Time to look whether the guest is quiet. */
void net_adapter_farewell(void *ctx);

#endif
