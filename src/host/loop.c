// SPDX-License-Identifier: Apache-2.0
#include "host/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 16

struct source {
	int fd;
	void (*fn)(void *ctx);
	void *ctx;
	struct source *next;
};

struct loop {
	int epoll_fd;
	int wake_fd;
	atomic_bool quit;
	void (*wake_fn)(void *ctx);
	void *wake_ctx;
	struct source *sources;
	struct source *dead;	   /* removed while events were being handled */
	struct loop_timer *timers; /* unsorted: a loop has a handful */
};

uint64_t host_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int loop_create(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL) {
		return -ENOMEM;
	}
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	if (l->epoll_fd < 0 || l->wake_fd < 0 ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0) {
		r = -errno;
		loop_destroy(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void free_sources(struct source *s)
{
	while (s != NULL) {
		struct source *next = s->next;

		free(s);
		s = next;
	}
}

void loop_destroy(struct loop *l)
{
	if (l == NULL) {
		return;
	}
	free_sources(l->sources);
	free_sources(l->dead);
	if (l->epoll_fd >= 0) {
		close(l->epoll_fd);
	}
	if (l->wake_fd >= 0) {
		close(l->wake_fd);
	}
	free(l);
}

static uint32_t epoll_events(unsigned events)
{
	return ((events & LOOP_READ) != 0 ? (uint32_t)EPOLLIN : 0) |
	       ((events & LOOP_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0);
}

static int add(struct loop *l, int fd, unsigned events, void (*fn)(void *ctx), void *ctx)
{
	struct source *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		return -ENOMEM;
	}
	*s = (struct source){.fd = fd, .fn = fn, .ctx = ctx, .next = l->sources};
	struct epoll_event ev = {.events = epoll_events(events), .data.ptr = s};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int r = -errno;

		free(s);
		return r;
	}
	l->sources = s;
	return 0;
}

int loop_add(struct loop *l, int fd, void (*fn)(void *ctx), void *ctx)
{
	return add(l, fd, LOOP_READ, fn, ctx);
}

int loop_watch(struct loop *l, int fd, unsigned events, void (*fn)(void *ctx), void *ctx)
{
	struct source *s = l->sources;

	if (events == 0) {
		loop_remove(l, fd);
		return 0;
	}
	while (s != NULL && s->fd != fd) {
		s = s->next;
	}
	if (s == NULL) {
		return add(l, fd, events, fn, ctx);
	}
	struct epoll_event ev = {.events = epoll_events(events), .data.ptr = s};

	s->fn = fn;
	s->ctx = ctx;
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

void loop_remove(struct loop *l, int fd)
{
	for (struct source **p = &l->sources; *p != NULL; p = &(*p)->next) {
		struct source *s = *p;

		if (s->fd == fd) {
			epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
			*p = s->next;
			s->fn = NULL;
			s->next = l->dead;
			l->dead = s;
			return;
		}
	}
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns)
{
	struct loop_timer **p = &l->timers;

	while (*p != NULL && *p != t) {
		p = &(*p)->next;
	}
	if (deadline_ns == 0 || deadline_ns == UINT64_MAX) {
		if (*p == t) {
			*p = t->next;
		}
		t->deadline_ns = 0;
		return;
	}
	if (*p == NULL) {
		t->next = l->timers;
		l->timers = t;
	}
	t->deadline_ns = deadline_ns;
}

void loop_set_wake(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
	l->wake_fn = fn;
	l->wake_ctx = ctx;
}

void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: already awake */
}

void loop_quit(struct loop *l)
{
	atomic_store(&l->quit, true);
	loop_wake(l);
}

static struct loop_timer *earliest(struct loop *l)
{
	struct loop_timer *best = l->timers;

	for (struct loop_timer *t = l->timers; t != NULL; t = t->next) {
		if (t->deadline_ns < best->deadline_ns) {
			best = t;
		}
	}
	return best;
}

static void run_timers(struct loop *l)
{
	struct loop_timer *t;
	uint64_t now = host_now_ns();

	while ((t = earliest(l)) != NULL && t->deadline_ns <= now) {
		loop_timer_set(l, t, 0);
		t->fn(t->ctx);
	}
}

static bool wait_events(struct loop *l, struct epoll_event *events, int *ret_count)
{
	struct loop_timer *t = earliest(l);
	struct timespec ts = {0};

	if (t != NULL) {
		uint64_t now = host_now_ns();
		uint64_t left = t->deadline_ns > now ? t->deadline_ns - now : 0;

		ts.tv_sec = (time_t)(left / 1000000000u);
		ts.tv_nsec = (long)(left % 1000000000u);
	}
	int n = epoll_pwait2(l->epoll_fd, events, EVENTS_AT_ONCE, t != NULL ? &ts : NULL, NULL);

	if (n < 0 && errno != EINTR) {
		return false;
	}
	*ret_count = n < 0 ? 0 : n;
	return true;
}

int loop_run(struct loop *l)
{
	struct epoll_event events[EVENTS_AT_ONCE];

	while (!atomic_exchange(&l->quit, false)) {
		int n;

		if (!wait_events(l, events, &n)) {
			return -errno;
		}
		for (int i = 0; i < n; i++) {
			struct source *s = events[i].data.ptr;

			if (s != NULL) {
				if (s->fn != NULL) {
					s->fn(s->ctx);
				}
				continue;
			}
			uint64_t count;
			ssize_t got = read(l->wake_fd, &count, sizeof(count));

			if (got > 0 && l->wake_fn != NULL) {
				l->wake_fn(l->wake_ctx);
			}
		}
		free_sources(l->dead);
		l->dead = NULL;
		run_timers(l);
	}
	return 0;
}
