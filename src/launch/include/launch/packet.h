/* SPDX-License-Identifier: Apache-2.0 */
/* A request to a worker: words, and descriptors beside them, in one packet of a SOCK_SEQPACKET socket. */
#ifndef LAUNCH_PACKET_H
#define LAUNCH_PACKET_H

#include <stddef.h>

#include "launch/error.h"

#define PACKET_BYTES ((size_t)64 << 10)
#define PACKET_DESCRIPTORS_MAX 64u

struct packet {
	char text[PACKET_BYTES];
	size_t bytes;
	int fds[PACKET_DESCRIPTORS_MAX]; /* the packet's maker's, but for those of packet_copy_fd */
	unsigned fd_count;
};

/* False: no room. */
bool packet_add_word(struct packet *p, const char *word, struct launch_error *error);
bool packet_add_fd(struct packet *p, int fd, struct launch_error *error);
/* Adds a duplicate of @fd, which is closed by packet_drop: for packets that live on. False: no room, or no descriptor. */
bool packet_copy_fd(struct packet *p, int fd, struct launch_error *error);
/* Closes all its descriptors and frees @p, which was malloced, or is NULL. */
void packet_drop(struct packet *p);
/* False: it could not be sent; with a socket that does not block also because the other side does not read. */
bool packet_send(int socket, const struct packet *p, struct launch_error *error);

#endif
