/* SPDX-License-Identifier: Apache-2.0 */
/* A request to a worker: words, and descriptors beside them, in one packet of a SOCK_SEQPACKET socket. */
#ifndef CLI_PACKET_H
#define CLI_PACKET_H

#include <stdbool.h>
#include <stddef.h>

#define PACKET_BYTES ((size_t)64 << 10)
#define PACKET_DESCRIPTORS_MAX 64u

struct packet {
	char text[PACKET_BYTES];
	size_t bytes;
	int fds[PACKET_DESCRIPTORS_MAX]; /* not owned */
	unsigned fd_count;
};

/* False: no room, after a message. */
bool packet_add_word(struct packet *p, const char *word);
bool packet_add_fd(struct packet *p, int fd);
/* False: it could not be sent, after a message. */
bool packet_send(int socket, const struct packet *p);

#endif
