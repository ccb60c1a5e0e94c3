/* SPDX-License-Identifier: Apache-2.0 */
/* Packets with descriptors on a SOCK_SEQPACKET socket; never blocks. */
#ifndef VMWP_PACKET_H
#define VMWP_PACKET_H

#include <stddef.h>
#include <sys/types.h>

#define PACKET_DESCRIPTORS_MAX 64u

/* One packet; its descriptors are the caller's. Its length, 0 at the end, -errno. */
ssize_t packet_receive(int fd, void *buf, size_t capacity, int *ret_fds, size_t *ret_fd_count);
void packet_close(const int *fds, size_t fd_count);
/* -errno. */
int packet_send(int fd, const void *data, size_t bytes);

#endif
