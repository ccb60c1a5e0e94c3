// SPDX-License-Identifier: Apache-2.0
/* The engine for kernels without io_uring: helper threads that make the same calls, all started at creation. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "lib/bits.h"
#include "lib/check.h"

#define HELPERS 4u
#define NSEC_PER_SEC UINT64_C(1000000000)

struct op_queue {
	struct op *first, **tail;
};

struct helpers {
	pthread_mutex_t lock; /* all below */
	pthread_cond_t work, finished;
	struct op_queue todo, done;
	bool woken, stop;
	unsigned idle; /* helpers that sleep */
	pthread_t threads[HELPERS];
	unsigned started;
};

static void queue_init(struct op_queue *q)
{
	q->first = NULL;
	q->tail = &q->first;
}

static void queue_add(struct op_queue *q, struct op *op)
{
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
}

static struct op *queue_take(struct op_queue *q)
{
	struct op *op = q->first;

	q->first = op->next;
	if (q->first == NULL) {
		q->tail = &q->first;
	}
	return op;
}

static int64_t call_kernel(int fd, const struct op_call *call)
{
	int64_t r = -1;

	switch (call->kind) {
	case OP_CALL_READ:
		r = preadv2(fd, call->vec, (int)call->vec_count, (off_t)call->offset, call->flags);
		break;
	case OP_CALL_WRITE:
		r = pwritev2(fd, call->vec, (int)call->vec_count, (off_t)call->offset, call->flags);
		break;
	case OP_CALL_SYNC:
		r = fdatasync(fd);
		break;
	case OP_CALL_FALLOCATE:
		r = fallocate(fd, call->flags, (off_t)call->offset, (off_t)call->bytes);
		break;
	}
	return r < 0 ? -errno : r;
}

static void carry_out(struct op *op)
{
	while (op_step(op, call_kernel(op->file->fd, &op->call))) {
	}
}

static void *helper_main(void *arg)
{
	struct helpers *h = arg;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		if (h->todo.first == NULL) {
			h->idle++;
			pthread_cond_wait(&h->work, &h->lock);
			h->idle--;
			continue;
		}
		struct op *op = queue_take(&h->todo);

		pthread_mutex_unlock(&h->lock);
		carry_out(op);
		pthread_mutex_lock(&h->lock);
		if (h->done.first == NULL) {
			pthread_cond_signal(&h->finished);
		}
		queue_add(&h->done, op);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void stop_helpers(struct helpers *h)
{
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->work);
	pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < h->started; i++) {
		pthread_join(h->threads[i], NULL);
	}
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->finished);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* With every signal blocked: they are for the program's own threads. */
static int start_helpers(struct helpers *h)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (h->started < HELPERS && r == 0) {
		r = -pthread_create(&h->threads[h->started], NULL, helper_main, h);
		h->started += r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int threads_create(struct backend *b)
{
	struct helpers *h = calloc(1, sizeof(*h));
	pthread_condattr_t monotonic;

	if (h == NULL) {
		return -ENOMEM;
	}
	queue_init(&h->todo);
	queue_init(&h->done);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->finished, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = start_helpers(h);

	if (r < 0) {
		stop_helpers(h);
		return r;
	}
	b->engine_state = h;
	return 0;
}

static void threads_destroy(struct backend *b)
{
	stop_helpers(b->engine_state);
}

static void threads_wake(struct backend *b)
{
	struct helpers *h = b->engine_state;

	pthread_mutex_lock(&h->lock);
	h->woken = true;
	pthread_cond_signal(&h->finished);
	pthread_mutex_unlock(&h->lock);
}

static struct timespec deadline_after(uint64_t timeout_ns)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	uint64_t ns = (uint64_t)ts.tv_nsec + timeout_ns % NSEC_PER_SEC;

	ts.tv_sec += (time_t)(timeout_ns / NSEC_PER_SEC + ns / NSEC_PER_SEC);
	ts.tv_nsec = (long)(ns % NSEC_PER_SEC);
	return ts;
}

/* Until something has finished, a wake-up, or the time; the lock is held. */
static void wait_finished(struct helpers *h, uint64_t timeout_ns)
{
	struct timespec deadline = {0};
	int r = 0;

	if (timeout_ns != UINT64_MAX) {
		deadline = deadline_after(timeout_ns);
	}
	while (h->done.first == NULL && !h->woken && r == 0) {
		r = timeout_ns == UINT64_MAX
			    ? pthread_cond_wait(&h->finished, &h->lock)
			    : pthread_cond_timedwait(&h->finished, &h->lock, &deadline);
	}
	h->woken = false;
}

static void threads_poll(struct backend *b, bool block, uint64_t timeout_ns)
{
	struct helpers *h = b->engine_state;
	unsigned added = 0;
	struct op *op;

	pthread_mutex_lock(&h->lock);
	while ((op = backend_next_op(b)) != NULL) {
		queue_add(&h->todo, op);
		added++;
	}
	for (unsigned i = 0; i < added && i < h->idle; i++) {
		pthread_cond_signal(&h->work);
	}
	if (block) {
		wait_finished(h, timeout_ns);
	}
	struct op *done = h->done.first;

	queue_init(&h->done);
	pthread_mutex_unlock(&h->lock);
	while (done != NULL) {
		op = done;
		done = op->next;
		backend_end_op(b, op);
	}
}

const struct engine engine_threads = {
	.create = threads_create,
	.destroy = threads_destroy,
	.poll = threads_poll,
	.wake = threads_wake,
};
