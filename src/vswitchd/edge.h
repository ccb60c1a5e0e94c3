/* SPDX-License-Identifier: Apache-2.0 */
/* Between frames as the switch has them and frames as the kernel and others have them: tags in the bytes, offloads in front. */
#ifndef VSWITCHD_EDGE_H
#define VSWITCHD_EDGE_H

#include <sys/uio.h>

#include "vswitch/frame.h"

#define EDGE_TAG_BYTES 4u

/* A frame in one piece of stable memory. */
struct edge_frame {
	struct net_frame frame;
	struct io_vec rest;
};
/*
 * Makes a frame of @bytes at @data (changed: a tag is taken out of it) with what the kernel said about its offloads, corrected: what the kernel
 * calls the length of the headers need not be it.
 */
void edge_from_bytes(struct edge_frame *e, uint8_t *data, uint32_t bytes,
		     const struct net_offload *offload);

/* A frame of somebody who left its outer tag in the bytes; memory for the changed beginning. */
struct edge_untagged {
	struct net_frame frame;
	struct io_vec rest[2];
	uint8_t head[NET_HEAD_BYTES];
};
/* @f, or, when it has an 802.1Q tag in its bytes and none beside them, @e with the tag moved beside them. */
const struct net_frame *edge_untag(const struct net_frame *f, struct edge_untagged *e);

/* @f as pieces for writev or sendmsg: struct net_offload, the frame with its tag in the bytes. */
#define EDGE_PIECES_MAX 12u
struct edge_pieces {
	struct net_offload offload;
	uint8_t tag[EDGE_TAG_BYTES];
	struct iovec iov[EDGE_PIECES_MAX];
	unsigned count;
};
/* False: @f is in more pieces than that. */
bool edge_to_pieces(const struct net_frame *f, struct edge_pieces *ret);

#endif
