// SPDX-License-Identifier: Apache-2.0
#include "net_thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/check.h"

#define STACK_BYTES ((size_t)512 << 10)
#define EVENTS_AT_ONCE 16

enum order { ORDER_PARK, ORDER_SERVE, ORDER_END };

struct net_thread {
	struct net_threads *all;
	unsigned queue;
	pthread_t thread;
	bool started;
	int epoll_fd;
	int wake_fd;
};

struct net_threads {
	struct net_port *const *ports;
	unsigned count;
	pthread_mutex_t lock; /* the words below */
	pthread_cond_t changed;
	enum order order;
	unsigned serving;
	_Atomic bool leave; /* what serves should come to rest */
	struct net_thread threads[NET_QUEUES_MAX];
};

/* The guest hears of the link that the cable has. */
static void pass_link(struct net_port *p)
{
	bool up = net_cable_link(&p->cable);

	if (up != p->link_told) {
		p->link_told = up;
		vsp_net_link(p->vsp, up);
	}
}

static bool poll_ports(struct net_thread *t)
{
	bool more = false;

	for (unsigned i = 0; i < NET_ADAPTERS_MAX; i++) {
		struct net_port *p = t->all->ports[i];

		if (p != NULL && p->vsp != NULL) {
			if (t->queue == 0) {
				pass_link(p);
			}
			more |= vsp_net_poll(p->vsp, t->queue);
		}
	}
	return more;
}

/* Asks every cable for its bell, and waits for one of them or a wake-up. */
static void sleep_for_bell(struct net_thread *t)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	bool sleep = true;

	for (unsigned i = 0; i < NET_ADAPTERS_MAX; i++) {
		struct net_port *p = t->all->ports[i];

		if (p != NULL && p->vsp != NULL) {
			sleep &= net_cable_sleep(&p->cable, t->queue,
						 vsp_net_takes(p->vsp, t->queue));
		}
	}
	if (sleep && !atomic_load(&t->all->leave)) {
		/* Edges: a bell need not be read to ring again. */
		epoll_wait(t->epoll_fd, events, EVENTS_AT_ONCE, -1);
	}
	for (unsigned i = 0; i < NET_ADAPTERS_MAX; i++) {
		struct net_port *p = t->all->ports[i];

		if (p != NULL && p->vsp != NULL) {
			net_cable_awake(&p->cable, t->queue);
		}
	}
}

static enum order wait_for_order(struct net_threads *all)
{
	pthread_mutex_lock(&all->lock);
	while (all->order == ORDER_PARK) {
		pthread_cond_wait(&all->changed, &all->lock);
	}
	enum order order = all->order;

	all->serving += order == ORDER_SERVE;
	pthread_mutex_unlock(&all->lock);
	return order;
}

static void *thread_main(void *arg)
{
	struct net_thread *t = arg;
	struct net_threads *all = t->all;

	while (wait_for_order(all) == ORDER_SERVE) {
		while (!atomic_load(&all->leave)) {
			if (!poll_ports(t)) {
				sleep_for_bell(t);
			}
		}
		pthread_mutex_lock(&all->lock);
		all->serving--;
		pthread_cond_broadcast(&all->changed);
		pthread_mutex_unlock(&all->lock);
	}
	return NULL;
}

static void set_order(struct net_threads *all, enum order order)
{
	pthread_mutex_lock(&all->lock);
	all->order = order;
	atomic_store(&all->leave, order != ORDER_SERVE);
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

void net_threads_park(struct net_threads *all)
{
	set_order(all, ORDER_PARK);
	for (unsigned i = 0; i < all->count; i++) {
		net_threads_wake(all, i);
	}
	pthread_mutex_lock(&all->lock);
	while (all->serving != 0) {
		pthread_cond_wait(&all->changed, &all->lock);
	}
	pthread_mutex_unlock(&all->lock);
}

void net_threads_serve(struct net_threads *all)
{
	set_order(all, ORDER_SERVE);
}

void net_threads_wake(struct net_threads *all, unsigned queue)
{
	const uint64_t one = 1;

	CHECK(queue < all->count);
	ssize_t n = write(all->threads[queue].wake_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: it has been awake for long */
}

static int listen_to(struct net_thread *t, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int net_threads_listen(struct net_threads *all, const struct net_plug *plug)
{
	int r = 0;

	CHECK(plug->queues == all->count);
	for (unsigned i = 0; i < all->count && r == 0; i++) {
		r = listen_to(&all->threads[i], plug->worker_bells[i]);
	}
	if (r != 0) {
		net_threads_forget(all, plug);
	}
	return r;
}

void net_threads_forget(struct net_threads *all, const struct net_plug *plug)
{
	for (unsigned i = 0; i < all->count; i++) {
		epoll_ctl(all->threads[i].epoll_fd, EPOLL_CTL_DEL, plug->worker_bells[i], NULL);
	}
}

static int start(struct net_thread *t)
{
	pthread_attr_t attr;

	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->epoll_fd < 0 || t->wake_fd < 0) {
		return -errno;
	}
	int r = listen_to(t, t->wake_fd);

	if (r == 0) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK_BYTES);
		r = -pthread_create(&t->thread, &attr, thread_main, t);
		pthread_attr_destroy(&attr);
		t->started = r == 0;
	}
	return r;
}

int net_threads_create(unsigned queues, struct net_port *const *ports, struct net_threads **ret)
{
	struct net_threads *all = calloc(1, sizeof(*all));
	int r = 0;

	if (all == NULL) {
		return -ENOMEM;
	}
	CHECK(queues >= 1 && queues <= NET_QUEUES_MAX);
	all->ports = ports;
	atomic_init(&all->leave, true);
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		all->threads[i] =
			(struct net_thread){.all = all, .queue = i, .epoll_fd = -1, .wake_fd = -1};
	}
	for (; all->count < queues && r == 0; all->count++) {
		r = start(&all->threads[all->count]);
	}
	if (r != 0) {
		net_threads_destroy(all);
		return r;
	}
	*ret = all;
	return 0;
}

void net_threads_destroy(struct net_threads *all)
{
	if (all == NULL) {
		return;
	}
	set_order(all, ORDER_END);
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		struct net_thread *t = &all->threads[i];

		if (t->started) {
			net_threads_wake(all, i);
			pthread_join(t->thread, NULL);
		}
		if (t->epoll_fd >= 0) {
			close(t->epoll_fd);
		}
		if (t->wake_fd >= 0) {
			close(t->wake_fd);
		}
	}
	free(all);
}
