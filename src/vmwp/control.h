/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a running VM on a socket (docs/design/0006-saved-state.md: the worker's part). One packet each way on a SOCK_SEQPACKET connection, with
 * descriptors of the files that a request brings. Only who may open the socket can ask; the guest cannot.
 */
#ifndef VMWP_CONTROL_H
#define VMWP_CONTROL_H

#include "worker.h"

struct control;

/* Listens on @w's control descriptor (if it has one); loop thread. -errno. */
int control_create(struct worker *w, struct control **ret);
/* Sends answers that are ready. Loop thread; @c may be NULL. */
void control_poll(struct control *c);
/*
 * Tells everybody who watches: @fmt gives lines of key=value, each with its newline. One who does not read is cut off, and has to ask how things are.
 * Loop thread; @c may be NULL.
 */
__attribute__((format(printf, 3, 4))) void control_event(struct control *c, const char *name,
							 const char *fmt, ...);
/* The same from any thread, soon; only while disk controllers are there. */
__attribute__((format(printf, 3, 4))) void control_post(struct control *c, const char *name,
							const char *fmt, ...);
/* Hears what disks have to tell (control_disk.c). Before they serve. */
void control_disk_listen(struct worker *w);
/* The event of the end. */
void control_end(struct control *c, enum worker_end end);
/* Disk controllers have ended. */
void control_destroy(struct control *c);

#endif
