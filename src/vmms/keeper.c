// SPDX-License-Identifier: Apache-2.0
#include "keeper.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/loop.h"
#include "launch/nets.h"
#include "task.h"

struct keeper {
	struct loop *loop;
	struct tasks *tasks;
	int fd;
	struct launch_keeper *inner;
	struct loop_timer retry;
	bool watched; /* the loop looks at the descriptor */
	bool working; /* a thread has it: nobody else touches it */
	bool dead;    /* goes when the thread is done */
	int wait_ms;  /* what the thread found */
};

static void work(void *ctx)
{
	struct keeper *k = ctx;

	k->wait_ms = launch_keeper_try(k->inner);
}

static void release(struct keeper *k)
{
	launch_keeper_destroy(k->inner);
	close(k->fd);
	free(k);
}

static void on_request(void *ctx);

static void unwatch(struct keeper *k)
{
	if (k->watched) {
		loop_remove(k->loop, k->fd);
		k->watched = false;
	}
}

static void watch(struct keeper *k)
{
	k->watched = loop_add(k->loop, k->fd, on_request, k) == 0;
}

static void done(void *ctx)
{
	struct keeper *k = ctx;

	k->working = false;
	if (k->dead) {
		release(k);
		return;
	}
	watch(k);
	if (k->wait_ms >= 0) {
		loop_timer_set(k->loop, &k->retry, host_now_ns() + (uint64_t)k->wait_ms * 1000000u);
	}
}

static void try_again(void *ctx)
{
	struct keeper *k = ctx;

	unwatch(k);
	loop_timer_set(k->loop, &k->retry, 0);
	k->working = true;
	task_run(k->tasks, work, done, k);
}

static void on_request(void *ctx)
{
	struct keeper *k = ctx;

	if (!launch_keeper_take(k->inner)) {
		unwatch(k); /* the worker is gone; whoever owns us hears of it elsewhere */
		return;
	}
	try_again(k);
}

struct keeper *keeper_create(struct loop *loop, struct tasks *tasks, int fd)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		close(fd);
		return NULL;
	}
	*k = (struct keeper){
		.loop = loop, .tasks = tasks, .fd = fd, .inner = launch_keeper_create(fd)};
	k->retry = (struct loop_timer){.fn = try_again, .ctx = k};
	if (k->inner == NULL) {
		release(k);
		return NULL;
	}
	watch(k);
	return k;
}

void keeper_destroy(struct keeper *k)
{
	if (k == NULL) {
		return;
	}
	unwatch(k);
	loop_timer_set(k->loop, &k->retry, 0);
	k->dead = true;
	if (!k->working) {
		release(k);
	}
}
