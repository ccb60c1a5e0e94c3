/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside console*.c: what the guest has written last is kept in a ring; who shows it (the worker's own output, and any number of clients up to
 * CONSOLE_CLIENTS_MAX) has a place in it, and loses what is overwritten before he got there.
 */
#ifndef VMWP_CONSOLE_H
#define VMWP_CONSOLE_H

#include <pthread.h>

#include "worker.h"

#define CONSOLE_RING_BYTES ((size_t)1 << 20)
#define CONSOLE_HISTORY_BYTES ((size_t)64 << 10)
#define CONSOLE_IN_BYTES 4096u
#define CONSOLE_CLIENTS_MAX 8u
#define CONSOLE_STACK_BYTES ((size_t)256 << 10)

struct console_client {
	int fd; /* stream, does not block; -1: free */
	uint64_t at;
};

struct console {
	struct worker *worker;
	pthread_mutex_t lock;  /* inner to board_lock; all below, but for the threads */
	pthread_cond_t output; /* the guest has written, or what it wrote has gone out */
	pthread_cond_t
		input; /* somebody has typed, or the guest takes more: not for each byte that it writes */
	uint8_t *ring;	  /* allocated as used: untouched pages cost nothing */
	uint64_t written; /* bytes of the guest ever */
	uint64_t at;	  /* of the worker's own output */
	uint64_t lost;	  /* bytes that nobody read in time there */
	bool failed;	  /* the other side is gone */
	bool out_idle; /* the writer sleeps until it is woken: once for all that is written before it looks */
	bool closing;
	bool room;		      /* the guest's receiver may take bytes */
	uint8_t in[CONSOLE_IN_BYTES]; /* ring: read, not yet taken by the guest */
	size_t in_start;
	size_t in_used;
	struct console_client clients[CONSOLE_CLIENTS_MAX];
	unsigned client_count;
	int wake_fd; /* of the clients' thread; -1: no clients here */
	bool told;   /* it has been woken and has not looked yet */

	pthread_t out_thread;
	pthread_t in_thread;
	pthread_t feed_thread;
	pthread_t client_thread;
	bool out_started;
	bool in_started;
	bool in_ended;
	bool feed_started;
	bool clients_started;
};

/* lock held: up to @capacity bytes from @*at on, which is moved behind them. Returns how many; what was overwritten is added to @*lost. */
size_t console_take(const struct console *c, uint64_t *at, uint64_t *lost, uint8_t *buf,
		    size_t capacity);
/* Appends input for the guest; with @wait until there is room, otherwise the surplus is dropped, as a tty does. */
void console_type(struct console *c, const uint8_t *data, size_t bytes, bool wait);

/* console_clients.c: before the sandbox. -errno. */
int console_clients_start(struct console *c);
/* lock held: there is output, or the end. */
void console_clients_wake(struct console *c);
/* Ends the thread; closing is set. */
void console_clients_stop(struct console *c);

#endif
