// SPDX-License-Identifier: Apache-2.0
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "host/loop.h"

#define EVENTS_AT_ONCE 64
#define POLLS_AT_FIRST 64u
#define EVENTS_EVERY_NS UINT64_C(20000)
#define CHECK_EVERY_NS UINT64_C(1000000000)

int daemon_add_source(struct daemon *d, int fd, struct source *s)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = s};

	return epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void daemon_remove_source(struct daemon *d, int fd)
{
	epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- Serving ---- */

/* The port had nothing this time. */
static void rest(struct port *p, uint64_t now_ns)
{
	struct daemon *d = p->daemon;

	if (p->kind->spins) {
		if (p->idle_since_ns == 0) {
			p->idle_since_ns = now_ns;
			return;
		}
		if (now_ns - p->idle_since_ns < spin_time(&d->spin, now_ns)) {
			return;
		}
	}
	if (p->kind->sleep != NULL && !p->kind->sleep(p)) {
		return;
	}
	port_deactivate(p);
	p->slept_ns = now_ns;
	if (p->kind->spins) {
		spin_was_vain(&d->spin);
	}
}

/* One turn for each port that may have something. *ret_next: 0, or when the first of those that wait for their rate limit may go on. */
static void serve_round(struct daemon *d, uint64_t now_ns, uint64_t *ret_next)
{
	uint64_t next = UINT64_MAX;

	for (struct port *p = d->active, *after; p != NULL; p = after) {
		uint64_t when = now_ns;

		after = p->active_next;
		if (p->dying) {
			continue;
		}
		if (p->wait_ns > now_ns) {
			next = p->wait_ns < next ? p->wait_ns : next;
			continue;
		}
		uint32_t budget = vswitch_port_budget(p->core, now_ns, &when);

		if (budget == 0) {
			p->wait_ns = when > now_ns ? when : now_ns + 1;
			next = p->wait_ns < next ? p->wait_ns : next;
			continue;
		}
		if (p->kind->serve(p, budget, now_ns) == PORT_MOVED) {
			p->idle_since_ns = 0;
		} else if (p->active) {
			rest(p, now_ns);
		}
		next = p->active ? 0 : next;
	}
	*ret_next = d->active == NULL ? UINT64_MAX : next;
}

static void flush(struct daemon *d)
{
	for (struct sw *s = d->switches; s != NULL; s = s->next) {
		if (s->touched) {
			s->touched = false;
			vswitch_flush(s->core);
		}
	}
}

static uint64_t tick(struct daemon *d, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (struct sw *s = d->switches; s != NULL; s = s->next) {
		if (now_ns >= s->tick_ns) {
			s->tick_ns = vswitch_tick(s->core, now_ns);
			s->tick_ns = s->tick_ns > now_ns ? s->tick_ns : now_ns + 1000000;
			s->touched = true;
		}
		next = s->tick_ns < next ? s->tick_ns : next;
	}
	return next;
}

/* Interfaces come, go and change. *ret: when to look again. */
static uint64_t check_ports(struct daemon *d, uint64_t now_ns)
{
	bool any = false;

	if (d->links_changed || now_ns - d->check_ns >= CHECK_EVERY_NS) {
		d->links_changed = false;
		d->check_ns = now_ns;
		for (struct sw *s = d->switches; s != NULL; s = s->next) {
			for (struct port *p = s->config.interface_count > 0 ? s->ports : NULL;
			     p != NULL; p = p->next) {
				if (p->kind->check != NULL && !p->dying) {
					p->kind->check(p);
				}
			}
		}
	}
	for (struct sw *s = d->switches; s != NULL && !any; s = s->next) {
		any = s->config.interface_count > 0;
	}
	return any ? d->check_ns + CHECK_EVERY_NS : UINT64_MAX;
}

/* ---- Waiting ---- */

static void ring_up(struct daemon *d)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n;

	do {
		n = epoll_wait(d->epoll_fd, events, EVENTS_AT_ONCE, 0);
		for (int i = 0; i < n; i++) {
			struct source *s = events[i].data.ptr;

			if (s->fn != NULL) {
				s->fn(s->ctx, events[i].events);
			}
		}
	} while (n == EVENTS_AT_ONCE);
}

int poll_set_add(struct poll_set *set, int fd, short events)
{
	if (set->count == set->max) {
		unsigned max = set->max == 0 ? POLLS_AT_FIRST : set->max * 2;
		struct pollfd *fds = realloc(set->fds, max * sizeof(*fds));

		if (fds == NULL) {
			return -1;
		}
		set->fds = fds;
		set->max = max;
	}
	set->fds[set->count] = (struct pollfd){.fd = fd, .events = events};
	return (int)set->count++;
}

static int wait_events(struct daemon *d, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t left = until_ns > now_ns ? until_ns - now_ns : 0;
	struct poll_set *set = &d->waits;

	set->count = 0;
	if (poll_set_add(set, d->epoll_fd, POLLIN) < 0) {
		return -ENOMEM;
	}
	for (struct sw *s = d->switches; s != NULL; s = s->next) {
		if (s->nat != NULL) {
			nat_before_wait(s->nat, set, &left);
		}
	}
	const struct timespec limit = {.tv_sec = (time_t)(left / 1000000000u),
				       .tv_nsec = (long)(left % 1000000000u)};
	int n = ppoll(set->fds, set->count, left > UINT64_MAX / 2 ? NULL : &limit, NULL);

	if (n < 0 && errno != EINTR) {
		return -errno;
	}
	for (struct sw *s = d->switches; s != NULL; s = s->next) {
		if (s->nat != NULL) {
			nat_after_wait(s->nat, set, n < 0);
		}
	}
	if (n > 0 && set->fds[0].revents != 0) {
		ring_up(d);
	}
	d->events_ns = host_now_ns();
	return 0;
}

void daemon_free_graves(struct daemon *d)
{
	while (d->graves != NULL) {
		struct port *p = d->graves;

		d->graves = p->dying_next;
		json_decref(p->options);
		p->kind->destroy(p);
	}
	connection_free_graves(d);
}

/* Nobody needs it any more? Returns when that would be so. */
static uint64_t idle_until(struct daemon *d, uint64_t now_ns)
{
	bool busy = d->vm_count > 0 || d->idle_ns == 0;

	for (struct sw *s = d->switches; s != NULL && !busy; s = s->next) {
		busy = sw_is_held(s);
	}
	if (busy) {
		d->idle_since_ns = 0;
		return UINT64_MAX;
	}
	if (d->idle_since_ns == 0) {
		d->idle_since_ns = now_ns;
	}
	if (now_ns - d->idle_since_ns >= d->idle_ns && d->connection_count == 0) {
		d->quit = true;
	}
	/* With somebody still asking: a moment later. */
	return d->idle_since_ns + d->idle_ns > now_ns ? d->idle_since_ns + d->idle_ns
						      : now_ns + 1000000000u;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int daemon_turn(struct daemon *d, uint64_t latest_ns)
{
	uint64_t now = host_now_ns(), next;
	int r = 0;

	serve_round(d, now, &next);
	next = sooner(next, tick(d, now));
	flush(d);
	daemon_reap(d);
	if (next > now || now - d->events_ns >= EVENTS_EVERY_NS) {
		next = sooner(next, check_ports(d, now));
		next = sooner(next, idle_until(d, now));
		flush(d);
		r = d->quit ? 0 : wait_events(d, sooner(next, latest_ns), now);
	}
	daemon_reap(d);
	daemon_free_graves(d);
	return r;
}

int daemon_run(struct daemon *d)
{
	int r = 0;

	while (!d->quit && r == 0) {
		r = daemon_turn(d, UINT64_MAX);
	}
	return r;
}

int daemon_init(struct daemon *d)
{
	*d = (struct daemon){.listen_fd = -1,
			     .link_fd = -1,
			     .signal_fd = -1,
			     .epoll_fd = -1,
			     .spin = {.load_fd = -1}};
	d->owner = geteuid();
	d->frame = malloc(DAEMON_FRAME_BYTES);
	if (d->frame == NULL) {
		return -ENOMEM;
	}
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return d->epoll_fd < 0 ? -errno : 0;
}

void daemon_fini(struct daemon *d)
{
	while (d->connections != NULL) {
		connection_close(d->connections);
	}
	while (d->switches != NULL) {
		sw_destroy(d->switches);
	}
	while (d->absent != NULL) {
		sw_drop_absent(d, d->absent->config.name);
	}
	daemon_free_graves(d);
	spin_fini(&d->spin);
	free(d->frame);
	free(d->waits.fds);
	if (d->epoll_fd >= 0) {
		close(d->epoll_fd);
	}
}
