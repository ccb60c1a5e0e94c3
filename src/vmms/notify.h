/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd wants to hear, and gives. Without it all of this does nothing. Loop thread. */
#ifndef VMMS_NOTIFY_H
#define VMMS_NOTIFY_H

struct loop;
struct notify;

/* Sockets that were opened for us: how many, and the first one's descriptor. */
int notify_sockets(int *ret_first);
/* Ready; and from now on the watchdog is fed while the loop turns. */
struct notify *notify_begin(struct loop *loop);
/* As sd_notify(3); NULL @n is nobody. */
void notify_status(struct notify *n, const char *state);
void notify_end(struct notify *n);

#endif
