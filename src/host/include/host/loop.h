/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop: file descriptors, one-shot timers, and wake-ups from other threads.
 * All functions but loop_wake and loop_quit belong to the thread that runs the loop. Callbacks may
 * add and remove anything.
 */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop_timer {
	void (*fn)(void *ctx);
	void *ctx;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: not armed */
	struct loop_timer *next;
};

/* -errno when the kernel gives no epoll or eventfd. */
int loop_create(struct loop **ret);
void loop_destroy(struct loop *l);

/* Calls @fn when @fd is readable or hung up, until removed. -errno: not pollable (EPERM: a regular
 * file), or no memory. */
int loop_add(struct loop *l, int fd, void (*fn)(void *ctx), void *ctx);
void loop_remove(struct loop *l, int fd);
/*
 * The same for any of LOOP_READ and LOOP_WRITE, also instead of what @fd was added for before; 0 removes it. @fn is called for a hang-up in any case.
 */
#define LOOP_READ 1u
#define LOOP_WRITE 2u
int loop_watch(struct loop *l, int fd, unsigned events, void (*fn)(void *ctx), void *ctx);

/* (Re-)arms @t, the caller's memory, zeroed at first, at an absolute time; UINT64_MAX or 0 disarms
 * it. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns);

/* Makes the loop call its wake function soon. Any thread; wake-ups merge. */
void loop_set_wake(struct loop *l, void (*fn)(void *ctx), void *ctx);
void loop_wake(struct loop *l);

/* Runs until loop_quit (any thread, also before loop_run), then may be run again. Blocks. */
int loop_run(struct loop *l);
void loop_quit(struct loop *l);

/* CLOCK_MONOTONIC in nanoseconds. Any thread. */
uint64_t host_now_ns(void);

#endif
