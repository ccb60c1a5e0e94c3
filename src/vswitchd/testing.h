/* SPDX-License-Identifier: Apache-2.0 */
/* A switch process within a test or a fuzz target: no privileges are given up, nobody listens, one client at the other end of a socket. */
#ifndef VSWITCHD_TESTING_H
#define VSWITCHD_TESTING_H

#include "daemon.h"

#define TESTING_KEPT 64u

struct testing_daemon {
	struct daemon daemon;
	int client;
	int kept[TESTING_KEPT]; /* clients with ports */
	unsigned kept_count;
};

/* With the switches "default", "lan" and "wan" (private). Ends the program when that cannot be. */
void testing_open(struct testing_daemon *t);
void testing_close(struct testing_daemon *t);
/* A new client instead of the one before, whose connection and port are gone then. */
void testing_reconnect(struct testing_daemon *t);
/* A new client beside the one before, whose port stays. */
void testing_keep(struct testing_daemon *t);
/* Sends @bytes as one request and serves; the answer as text in @answer, its descriptors are closed. False: the process hung up. */
bool testing_ask(struct testing_daemon *t, const void *request, size_t bytes, char *answer,
		 size_t size);

#endif
