/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet socket without a system call for each frame: what comes in lies in a ring that the kernel shares (PACKET_RX_RING), what goes out is
 * gathered and sent many at a time (sendmmsg).
 *
 * A slot of the ring is for frames of an ordinary MTU. Larger ones (large segments, jumbo frames) have a slot that says so, and come by the
 * socket itself, in the same order.
 */
#ifndef VSWITCHD_PACKET_RING_H
#define VSWITCHD_PACKET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge.h"

struct packet_ring {
	int fd; /* not owned */
	uint8_t *memory;
	unsigned next; /* slot */
};

struct packet_frame {
	uint8_t *data; /* may be written to; until packet_ring_take */
	uint32_t bytes;
	uint32_t tag; /* that the driver took out of the frame; NET_TAG_NONE */
	struct net_offload offload;
};

enum packet_status { PACKET_FRAME, PACKET_NONE, PACKET_BAD };

/* @fd: with PACKET_VNET_HDR and PACKET_AUXDATA, not bound yet. -errno. */
int packet_ring_open(struct packet_ring *r, int fd);
void packet_ring_close(struct packet_ring *r);
/*
 * The next frame; @space has @size bytes for one that is in no slot. BAD: there was one, and it is lost. Either is followed by packet_ring_take.
 */
enum packet_status packet_ring_get(struct packet_ring *r, uint8_t *space, size_t size,
				   struct packet_frame *ret);
void packet_ring_take(struct packet_ring *r);

/* ---- To the network ---- */

struct packet_batch;

/* NULL: no memory. @fd is not owned. */
struct packet_batch *packet_batch_create(int fd);
void packet_batch_destroy(struct packet_batch *b);
/* Copies @f; what is full is sent first. False: it can never be sent. */
bool packet_batch_add(struct packet_batch *b, const struct net_frame *f);
void packet_batch_send(struct packet_batch *b);
/* Frames that the kernel did not take since the last time this was asked, and their bytes (without tags). */
unsigned packet_batch_lost(struct packet_batch *b, uint64_t *ret_bytes);

#endif
