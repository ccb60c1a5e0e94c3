/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's network adapters: a thread for each queue number, which serves that queue of all adapters, and for each adapter a cable
 * (vswitch/wire.h) to the switch process. Over a reset of the VM the cables stay. When the switch goes away, the launcher is asked for a new cable; until it
 * comes the guest's packets wait, for a few seconds, and then the adapter's link goes down.
 */
#ifndef VMWP_NET_H
#define VMWP_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/state.h"
#include "vsp/net.h"
#include "vswitch/wire.h"

#define NET_ADAPTERS_MAX 64u
#define NET_SPEC_BYTES ((size_t)64 << 10) /* how to plug an adapter in, at most */
#define NET_QUEUES_MAX WIRE_QUEUES_WORKER

struct net;
struct vmbus;
struct worker;

/* The worker's end of a cable; descriptors, owned. */
struct net_plug {
	int connection; /* hangs up when the switch goes away */
	int memory;
	int switch_bell;
	int worker_bells[NET_QUEUES_MAX];
	unsigned queues;
};

struct net_adapter_config {
	unsigned number; /* below NET_ADAPTERS_MAX */
	uint8_t mac[NET_MAC_BYTES];
	uint32_t mtu;
	const char *spec;     /* what the launcher needs to plug it in again; copied by net */
	struct net_plug plug; /* queues 0: on no switch */
};

struct net_config {
	struct net_adapter_config *adapters;
	size_t count;
	uint32_t processors;
	bool later; /* adapters may come while the VM runs */
};

/* Descriptors in the order connection, memory, switch bell, worker bells. False: not that many. */
bool net_plug_take(struct net_plug *plug, unsigned queues, const int *fds, size_t fd_count);

/* Starts the threads, and opens the cables. Loop thread, before sandbox_enter. What is wrong is on the log; 0 or -errno. */
int net_create(struct worker *w, struct net **ret);
/* Puts the adapters on @bus; the threads do not serve yet. Loop thread, before any VP runs. 0 or -errno. */
int net_offer(struct net *n, struct vmbus *bus);
/* An adapter is on its way out, and the guest has not been told yet (4 s at most): the machine cannot stand still now. */
bool net_parting(const struct net *n);
/* Standing still: the threads park (waits); resume: they serve, also for the first time. */
void net_quiesce(struct net *n);
void net_resume(struct net *n);
/* Of quiet adapters: records of a run of which others are skipped. Restore: before the first resume, with the bus restored. False: torn. */
void net_save(struct net *n, struct state_writer *w);
bool net_restore(struct net *n, const struct state_reader *run);
/* The bus is quiet: makes the threads leave it. Waits. */
void net_park(struct net *n);
/* The bus is gone. */
void net_withdraw(struct net *n);
/* Loop thread, when woken: ends removals that are due. */
void net_poll(struct net *n);
/* Ends the threads. @n may be NULL. */
void net_destroy(struct net *n);

/* Adds an adapter to the running VM; loop thread. NULL, or why not; then descriptors are the caller's still. */
const char *net_attach(struct net *n, const struct net_adapter_config *config);
/* Takes one away; @done (loop thread) when it is gone. NULL, or why not; then @done is not called. */
const char *net_detach(struct net *n, unsigned number, void (*done)(void *ctx), void *ctx);
/* Moves an adapter to another switch, the one behind @config's cable, or to none. The guest is told. NULL, or why not; then descriptors are the caller's still. */
const char *net_connect(struct net *n, const struct net_adapter_config *config);
const char *net_disconnect(struct net *n, unsigned number);
/* Of adapter @number; NULL: there is none. */
const uint8_t *net_mac(const struct net *n, unsigned number);
/* The VMBus instance that adapter @number has or would have. */
struct guid net_instance(unsigned number);
/* Bit n: adapter n is on the bus, and stays. */
uint64_t net_numbers(struct net *n);
/* Counters of adapter @number; false: it is not on the bus. */
bool net_stats(struct net *n, unsigned number, struct vsp_net_stats *ret);
/* Of each adapter. */
unsigned net_worker_queues(const struct net *n);
/* Another launcher on @fd (a connected socket, owned then), who is asked for the cables that are missing. NULL, or why not. */
const char *net_relaunch(struct net *n, int fd);
/* A new cable for adapter @number, from the launcher; owned by net from here. */
void net_replug(struct net *n, unsigned number, const struct net_plug *plug);

#endif
