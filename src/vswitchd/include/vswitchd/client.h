/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to the switch process of this user: plugging adapters in, and managing switches. Any thread; calls block for as long as
 * the process needs to answer (at most 10 s).
 *
 * The process listens on a SOCK_SEQPACKET socket. A request is one JSON object {"do": verb, ...}, with descriptors beside it; an answer is one
 * JSON object, {"error": text} when it failed. A connection that has plugged in an adapter is that port's life: when its last descriptor is
 * closed the port is gone, and when the process goes away the connection hangs up. It can ask for nothing else: a worker has it. When options of the
 * port change, it gets the text to plug it in again with (as of vswitch_client_seal), so that the port comes back as it was when the process was killed.
 *
 * Where it is: $VIRID_VSWITCH_SOCKET; else /run/virid/vswitch.sock for root; else virid/vswitch.sock in $XDG_RUNTIME_DIR, or in /tmp/virid-UID
 * (made with mode 0700, and refused when it is somebody else's).
 */
#ifndef VSWITCHD_CLIENT_H
#define VSWITCHD_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/wire.h"

#define VSWITCH_CLIENT_DESCRIPTORS 80u

/*
 * Connects to the process, and starts it when none is there (@start; it stays as long as it is needed). A root that starts it opens the host
 * interfaces of its configured switches first, the process itself gives up all privileges. The socket, or -errno with a sentence in @error.
 */
int vswitch_client_connect(bool start, char *error, size_t size);

/*
 * One request and its answer. @fds go with it (not closed). *ret_answer is the caller's (json_decref); descriptors of the answer go to
 * @ret_fds (at most VSWITCH_CLIENT_DESCRIPTORS; may be NULL: closed). 0; -errno: the process is gone, or answered with an error, which is in @error.
 */
int vswitch_client_request(int socket, json_t *request, const int *fds, unsigned fd_count,
			   json_t **ret_answer, int *ret_fds, unsigned *ret_fd_count, char *error,
			   size_t size);

/* The request {"do": @verb}, with "switch": @name unless that is NULL. */
json_t *vswitch_client_verb(const char *verb, const char *name);
/* Connects, puts @request (taken over), and hangs up; answers without descriptors. As above; -EHOSTDOWN: nobody listens. */
int vswitch_client_ask(bool start, json_t *request, const int *fds, unsigned fd_count,
		       json_t **ret_answer, char *error, size_t size);

/* A cable (vswitch/wire.h) from a switch to the one who asked; descriptors are the owner's. */
struct vswitch_cable {
	int connection;			   /* the port's life */
	int memory;			   /* memfd, sealed against shrinking */
	int switch_bell;		   /* eventfd: rung by the worker, for all queues */
	int worker_bells[WIRE_QUEUES_MAX]; /* eventfds: one for each queue, rung by the switch */
	unsigned queues;
	uint32_t mtu; /* of the switch's network */
	uint32_t
		takes; /* NET_TAKES_* that the switch takes from this port (always NET_TAKES_ALL today) */
};

/*
 * Plugs an adapter into a switch. @adapter is {"switch": name, "port": name shown to people, "mac": "02:..", "queues": n, and options as of
 * `virid run --net` under the same names (vlan, trunk, native, ...)}. Connects by itself, with @start as above.
 */
int vswitch_client_plug(bool start, json_t *adapter, struct vswitch_cable *ret, char *error,
			size_t size);
/*
 * How to plug @adapter (with port and queues) in again, as text for a worker to keep. It is sealed: a worker cannot choose what it says. Malloced;
 * NULL: this user's key cannot be had. Unseal: NULL when somebody else made it.
 */
char *vswitch_client_seal(json_t *adapter);
json_t *vswitch_client_unseal(const char *text);
void vswitch_cable_close(struct vswitch_cable *cable);

/*
 * Turns "SWITCH[,option...]" (of --net and `virid switch port`) into the object for plug, without "port" and "queues". A comma in a name is
 * written twice. Options: mac=, vlan=N, trunk=LIST (10,20-30 written as 10+20-30), native=N, private=isolated|community|promiscuous with primary=N and
 * secondary=N, spoofing, dhcp-guard, router-guard, mirror=in|out|both|to, max=RATE, weight=N, broadcast=PPS, multicast=PPS, unknown=PPS, mtu=N,
 * link=up|down, acl=TEXT (repeatable). NULL: @error says what is wrong, what was expected and, for a near miss, what was probably meant.
 */
json_t *vswitch_client_parse(const char *text, char *error, size_t size);

#endif
