/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network service provider: a synthetic adapter as netvsc knows it, NVSP 1 to 6.1 with RNDIS inside.
 *
 * Threads. The bus side (offer, open, close) runs on the bus thread. Each queue (channel 0, above it the subchannels) is served by one
 * thread with vsp_net_poll; queue 0's thread also carries the control messages. One thread may serve several queues. The
 * sides meet in a small locked mailbox and through config.wake.
 *
 * Frames are copied once on their way: out of guest memory into the port, and from the port into the guest's receive buffer.
 *
 * Spec: the protocol of Linux drivers/net/hyperv; [MS-RNDIS]; NDIS offload and RSS structures; protocol.h of this folder.
 */
#ifndef VSP_NET_H
#define VSP_NET_H

#include "lib/state.h"
#include "vmbus/vmbus.h"
#include "vswitch/frame.h"

#define VSP_NET_QUEUES_MAX 64u

struct vsp_net;

/* The network behind the adapter. [queue]: called on the thread of that queue. */
struct vsp_net_port_ops {
	/* Takes a frame (copies it). False: no room; vsp_net_poll of that queue is called again when there is. [queue] */
	bool (*send)(void *ctx, unsigned queue, const struct net_frame *f);
	/*
	 * The next frame for the guest, lent until received, the next receive, or the end of vsp_net_poll. One that was not received comes
	 * again, unless the network behind the port is another one then. False: none. [queue]
	 */
	bool (*receive)(void *ctx, unsigned queue, struct net_frame *ret);
	void (*received)(void *ctx, unsigned queue);
	/* Ends a batch of both ways: tell the other side. [queue] */
	void (*flush)(void *ctx, unsigned queue);
	/* How received frames are spread; NULL: all to queue 0. Queue 0's thread. */
	void (*set_rss)(void *ctx, const struct net_rss *rss, unsigned queues);
	/* The guest took another MAC address. False: not allowed. Queue 0's thread. */
	bool (*set_mac)(void *ctx, const uint8_t *mac);
};

struct vsp_net_lock_ops {
	void (*lock)(void *lock);
	void (*unlock)(void *lock);
};

struct vsp_net_config {
	struct guid instance;
	uint8_t mac[NET_MAC_BYTES];
	uint32_t
		mtu; /* 68 to NET_MTU_MAX; 0: 1500. The guest may choose less, or more up to mtu_max */
	uint32_t mtu_max;    /* 0: NET_MTU_MAX */
	uint32_t queues_max; /* 1 to VSP_NET_QUEUES_MAX */
	uint32_t takes;	     /* NET_TAKES_* of the port: the offloads that the guest is offered */
	uint64_t link_bps;   /* what the guest shows; 0: 10 Gbit/s */
	const char *name;    /* "net0"; friendly name and messages; copied */
	const struct vsp_net_port_ops *port;
	void *port_ctx;
	void *lock;			  /* a mutex of the owner, for the mailbox */
	struct vsp_net_lock_ops lock_ops; /* NULLs: all sides are one thread */
	void (*wake)(
		void *ctx,
		unsigned queue); /* any thread: that queue's thread shall call vsp_net_poll soon */
	void (*log)(
		void *ctx,
		const char *
			line); /* any queue's thread; bounded: the 1st, 2nd, 4th, 8th of a kind. May be NULL */
	void *ctx;
};

/* Offers the adapter on @bus (bus thread, before its threads serve it). 0 or -errno. */
int vsp_net_create(struct vmbus *bus, const struct vsp_net_config *config, struct vsp_net **ret);
/*
 * It will be removed soon: the guest is told that its link is gone, gets no more frames, and finds no more room in its rings when it has given
 * back what it had. Linux waits for answers to all that it sent before it lets go of an adapter, but hears none of them once vmbus has told it of
 * the removal. To be called every now and then until vsp_net_left; a guest that does not cooperate is not to be waited for. Any thread.
 */
void vsp_net_leave(struct vsp_net *n);
/* After leave: the guest has all its answers. Any thread. */
bool vsp_net_left(const struct vsp_net *n);
/* Takes it away from the guest; @gone when nothing of it is used any more (bus thread). Its threads go on calling vsp_net_poll until then. */
void vsp_net_remove(struct vsp_net *n, void (*gone)(void *ctx), void *ctx);
/* After vmbus_destroy or @gone, with the threads stopped. NULL: nothing. */
void vsp_net_destroy(struct vsp_net *n);

/*
 * Serves @queue for a bounded time: packets of the guest, frames for it, its part of a close, and (queue 0) control messages. True: there is
 * more to do at once; false: sleep until wake, or until the port has something.
 */
bool vsp_net_poll(struct vsp_net *n, unsigned queue);
/*
 * After vsp_net_poll, on the same thread: would a frame in the port be taken now? False: the guest has no room, and @queue is woken when it has; until
 * then what lies in the port is no reason to poll.
 */
bool vsp_net_takes(const struct vsp_net *n, unsigned queue);
/* The network's link (up at first) and its speed; any thread. */
void vsp_net_link(struct vsp_net *n, bool up);
void vsp_net_speed(struct vsp_net *n, uint64_t bps);
/* The adapter is on another network now: a guest whose link stayed up looks for its addresses again. Any thread. */
void vsp_net_changed(struct vsp_net *n);

struct vsp_net_stats {
	uint64_t rx_frames, rx_bytes,
		rx_dropped; /* to the guest; dropped: no room in its receive buffer, filter off */
	uint64_t tx_frames, tx_bytes, tx_dropped; /* dropped: malformed */
};
void vsp_net_get_stats(const struct vsp_net *n, struct vsp_net_stats *ret); /* any thread */

/* State of the protocol; threads stopped. Restore comes after vmbus_restore opened the channels again. False: torn. */
void vsp_net_save(struct vsp_net *n, struct state_writer *w);
bool vsp_net_restore(struct vsp_net *n, struct state_reader *r);

#endif
