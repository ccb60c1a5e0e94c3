/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that may block, off the loop thread: a few threads, made when needed. What a piece of work needs goes in by value, what it found out comes
 * back with it.
 */
#ifndef VMMS_TASK_H
#define VMMS_TASK_H

struct loop;
struct tasks;

#define TASKS_THREADS_MAX 16u

/* -errno. */
int tasks_create(struct loop *loop, struct tasks **ret);
/* Waits for what is at work; what has not begun is not begun any more, and no @done is called. */
void tasks_destroy(struct tasks *t);
/* Calls @work(@ctx) on a thread, then @done(@ctx) on the loop's. Loop thread. */
void task_run(struct tasks *t, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx);

#endif
