/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a running VM on a socket: disks and network adapters that come and go, media, sizes. One packet each way on a SOCK_SEQPACKET connection, with
 * descriptors of the files that a request brings. Only who may open the socket can ask; the guest cannot.
 */
#ifndef VMWP_CONTROL_H
#define VMWP_CONTROL_H

struct control;
struct worker;

/* Listens on @w's control descriptor (if it has one); loop thread. -errno. */
int control_create(struct worker *w, struct control **ret);
/* Sends answers that are ready. Loop thread; @c may be NULL. */
void control_poll(struct control *c);
/* Disk controllers have ended. */
void control_destroy(struct control *c);

#endif
