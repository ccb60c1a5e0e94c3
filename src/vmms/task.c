// SPDX-License-Identifier: Apache-2.0
#include "task.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/loop.h"
#include "lib/check.h"

struct task {
	void (*work)(void *ctx);
	void (*done)(void *ctx);
	void *ctx;
	struct task *next;
};

struct queue {
	struct task *first;
	struct task **last;
};

struct tasks {
	struct loop *loop;
	int done_fd; /* eventfd: something lies in done */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue waiting;
	struct queue done;
	unsigned idle; /* threads that wait */
	unsigned thread_count;
	bool ending;
	pthread_t threads[TASKS_THREADS_MAX];
};

static void push(struct queue *q, struct task *t)
{
	t->next = NULL;
	*q->last = t;
	q->last = &t->next;
}

static struct task *pop(struct queue *q)
{
	struct task *t = q->first;

	if (t != NULL) {
		q->first = t->next;
		if (q->first == NULL) {
			q->last = &q->first;
		}
	}
	return t;
}

static void *thread_main(void *arg)
{
	struct tasks *all = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&all->lock);
	while (!all->ending) {
		struct task *t = pop(&all->waiting);

		if (t == NULL) {
			all->idle++;
			pthread_cond_wait(&all->changed, &all->lock);
			all->idle--;
			continue;
		}
		pthread_mutex_unlock(&all->lock);
		t->work(t->ctx);
		pthread_mutex_lock(&all->lock);
		push(&all->done, t);
		ssize_t n = write(all->done_fd, &one, sizeof(one));

		(void)n; /* EAGAIN: it is readable already */
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

static void on_done(void *ctx)
{
	struct tasks *all = ctx;
	uint64_t count;
	ssize_t n = read(all->done_fd, &count, sizeof(count));

	(void)n;
	for (;;) {
		pthread_mutex_lock(&all->lock);
		struct task *t = pop(&all->done);

		pthread_mutex_unlock(&all->lock);
		if (t == NULL) {
			return;
		}
		t->done(t->ctx);
		free(t);
	}
}

int tasks_create(struct loop *loop, struct tasks **ret)
{
	struct tasks *all = calloc(1, sizeof(*all));

	if (all == NULL) {
		return -ENOMEM;
	}
	all->loop = loop;
	all->waiting.last = &all->waiting.first;
	all->done.last = &all->done.first;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	all->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = all->done_fd < 0 ? -errno : loop_add(loop, all->done_fd, on_done, all);

	if (r < 0) {
		if (all->done_fd >= 0) {
			close(all->done_fd);
		}
		free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void tasks_destroy(struct tasks *all)
{
	if (all == NULL) {
		return;
	}
	pthread_mutex_lock(&all->lock);
	all->ending = true;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
	for (unsigned i = 0; i < all->thread_count; i++) {
		pthread_join(all->threads[i], NULL);
	}
	for (struct task *t; (t = pop(&all->waiting)) != NULL || (t = pop(&all->done)) != NULL;) {
		free(t);
	}
	loop_remove(all->loop, all->done_fd);
	close(all->done_fd);
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

void task_run(struct tasks *all, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx)
{
	struct task *t = malloc(sizeof(*t));

	CHECK(t != NULL); /* some bytes: there is no going on without */
	*t = (struct task){.work = work, .done = done, .ctx = ctx};
	pthread_mutex_lock(&all->lock);
	push(&all->waiting, t);
	bool wanted = all->idle == 0 && all->thread_count < TASKS_THREADS_MAX;

	/* Without a new thread it waits for one that is at work; the first one has to be had. */
	if (wanted &&
	    pthread_create(&all->threads[all->thread_count], NULL, thread_main, all) == 0) {
		all->thread_count++;
	}
	CHECK(all->thread_count > 0);
	pthread_cond_signal(&all->changed);
	pthread_mutex_unlock(&all->lock);
}
