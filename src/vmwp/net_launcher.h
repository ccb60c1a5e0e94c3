/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who started this worker keeps its adapters plugged in: asked over a SOCK_SEQPACKET pair, it answers with a new cable, as soon as there
 * is a switch again.
 *
 *	worker -> launcher	"plug NUMBER QUEUES SPEC", "forget NUMBER": no cable is wanted any more
 *				SPEC as the launcher or the switch gave it: sealed, so nobody can choose another
 *	launcher -> worker	"cable NUMBER QUEUES", with connection, memory, switch bell, worker bells
 */
#ifndef VMWP_NET_LAUNCHER_H
#define VMWP_NET_LAUNCHER_H

struct loop;
struct net;
struct net_launcher;

/* @fd -1: there is nobody to ask. Takes over @fd. -errno. */
int net_launcher_create(struct net *n, struct loop *loop, int fd, struct net_launcher **ret);
void net_launcher_destroy(struct net_launcher *l);
void net_launcher_ask(struct net_launcher *l, unsigned number, const char *spec);
void net_launcher_forget(struct net_launcher *l, unsigned number);

/* Another one, since the first has gone: @fd is a connected socket, owned from here. -errno: then it is the caller's still. */
int net_launcher_replace(struct net_launcher *l, int fd);

#endif
