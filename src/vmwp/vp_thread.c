// SPDX-License-Identifier: Apache-2.0
#include "vp_thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/hv.h"
#include "host/log.h"
#include "lib/bits.h"
#include "worker.h"

#define STACK_BYTES ((size_t)256 << 10)

void vp_thread_wake(struct vp_thread *t)
{
	if (atomic_exchange(&t->wake, 1) == 0) {
		syscall(SYS_futex, &t->wake, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL,
			0);
	}
}

/* Sleeps until woken or @ns passed (UINT64_MAX: no limit). */
static void sleep_until_woken(struct vp_thread *t, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u),
			      .tv_nsec = (long)(ns % 1000000000u)};

	if (ns == 0) {
		return;
	}
	syscall(SYS_futex, &t->wake, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0,
		ns == UINT64_MAX ? NULL : &ts, NULL, 0);
}

/*
 * Nothing to run for @wake_ns. When instructions are the clock, time only passes if somebody moves it on: to the next timer, of the
 * hypervisor or of a chip.
 */
static void idle(struct vp_thread *t, uint64_t wake_ns)
{
	struct machine *m = &t->worker->machine;

	if (!t->worker->config.count_instructions) {
		sleep_until_woken(t, wake_ns);
		return;
	}
	uint64_t due = atomic_load(&m->board_deadline_ns), now = machine_guest_ns(t->worker);
	uint64_t board_ns = due == UINT64_MAX ? UINT64_MAX : due > now ? due - now : 0;
	uint64_t ns = min_u64(wake_ns, board_ns);

	if (ns == UINT64_MAX || !vid_partition_skip(m->partition, ns)) {
		sleep_until_woken(t, ns);
		return;
	}
	if (board_ns <= wake_ns) {
		pthread_mutex_lock(&m->board_lock);
		board_poll(m->board);
		pthread_mutex_unlock(&m->board_lock);
	}
}

/* Runs the VP until its round ends, or the machine shall stand still. */
static void run_round(struct vp_thread *t)
{
	struct worker *w = t->worker;
	struct hv_message message;
	uint64_t none = 0, wake_ns;

	atomic_compare_exchange_strong(&w->machine.first_run_ns, &none, host_now_ns());
	while (atomic_load_explicit(&w->end, memory_order_relaxed) == END_NONE &&
	       !atomic_load_explicit(&w->machine.halt, memory_order_relaxed)) {
		/* Cleared before looking: what is woken after this is seen by the dispatch or ends
		 * the sleep. */
		atomic_store(&t->wake, 0);
		switch (vid_vp_dispatch(t->vp, &message, &wake_ns)) {
		case VID_INTERCEPT:
			intercept_handle(t, &message);
			break;
		case VID_BLOCKED:
			idle(t, wake_ns);
			break;
		case VID_SUSPENDED:
			sleep_until_woken(t, UINT64_MAX);
			break;
		case VID_INTERRUPTED:
			break;
		}
	}
}

static void *vp_thread_main(void *arg)
{
	struct vp_thread *t = arg;
	struct worker *w = t->worker;
	uint32_t seen = 0;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->round == seen && !w->quitting) {
			pthread_cond_wait(&w->changed, &w->lock);
		}
		if (w->quitting) {
			break;
		}
		seen = w->round;
		pthread_mutex_unlock(&w->lock);
		run_round(t);
		pthread_mutex_lock(&w->lock);
		if (--w->running == 0) {
			pthread_cond_broadcast(&w->changed);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int vp_threads_create(struct worker *w)
{
	pthread_attr_t attr;
	int r = 0;

	w->vps = calloc(w->config.processors, sizeof(*w->vps));
	if (w->vps == NULL) {
		return -ENOMEM;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (uint32_t i = 0; i < w->config.processors && r == 0; i++) {
		struct vp_thread *t = &w->vps[i];

		*t = (struct vp_thread){.worker = w, .index = i};
		r = -pthread_create(&t->thread, &attr, vp_thread_main, t);
		t->created = r == 0;
	}
	pthread_attr_destroy(&attr);
	return r;
}

void vp_threads_start(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->running = w->config.processors;
	w->round++;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void vp_threads_kick(struct worker *w)
{
	for (uint32_t i = 0; i < w->config.processors; i++) {
		if (w->vps[i].vp != NULL) {
			vid_vp_kick(w->vps[i].vp);
		}
		vp_thread_wake(&w->vps[i]);
	}
}

void vp_threads_wait(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->running != 0) {
		pthread_cond_wait(&w->changed, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}

void vp_threads_join(struct worker *w)
{
	if (w->vps == NULL) {
		return;
	}
	pthread_mutex_lock(&w->lock);
	w->quitting = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < w->config.processors; i++) {
		if (w->vps[i].created) {
			pthread_join(w->vps[i].thread, NULL);
		}
	}
	free(w->vps);
	w->vps = NULL;
}
