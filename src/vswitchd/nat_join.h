/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP segments that libslirp sends in a row, joined into large ones: a guest that takes those has a fraction of the work. What is joined goes on
 * at the end of the call in which it came, so nothing waits.
 */
#ifndef VSWITCHD_NAT_JOIN_H
#define VSWITCHD_NAT_JOIN_H

#include "vswitch/frame.h"

#define NAT_JOIN_FLOWS 8u

/* A segment, or several of one connection. */
struct nat_joined {
	uint32_t bytes;	  /* 0: none */
	uint32_t headers; /* up to the payload */
	uint32_t segment; /* payload of each but the last */
	uint32_t next;	  /* sequence number behind it */
	unsigned count;
	bool full; /* nothing comes behind it */
	uint8_t frame[NET_FRAME_BYTES_MAX];
};

struct nat_join {
	void (*send)(void *ctx, const struct net_frame *f);
	void *ctx;
	struct nat_joined flows[NAT_JOIN_FLOWS];
};

/* @frame of @bytes, whole with its checksums, is kept for now or sent, after what it must not overtake. */
void nat_join_add(struct nat_join *j, const uint8_t *frame, uint32_t bytes);
/* Sends what was kept. */
void nat_join_flush(struct nat_join *j);

#endif
