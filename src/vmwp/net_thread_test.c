// SPDX-License-Identifier: Apache-2.0
/*
 * A queue's thread and the guest's processor, which takes its place while it sleeps: a guest on this thread, a real cable, and a switch on a thread of its
 * own that gives back every frame. For the thread sanitizer, and for lost wake-ups: a test that waits for ever is stopped by the harness.
 */
#include "net_thread.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "lib/check.h"
#include "net_far.h"
#include "rig.h"
#include "test/test.h"

#define FRAMES 3000u
#define FRAME_BYTES 100u
#define WINDOW 8u /* frames on their way: fewer than sections */
#define SECTIONS 20u

struct world {
	struct rig *r;
	struct net_port port;
	struct net_port *ports[NET_ADAPTERS_MAX];
	struct net_threads *threads;
	struct net_far far;
	pthread_mutex_t mailbox;
	pthread_t guest, parker, switch_thread;
	_Atomic unsigned by_guest; /* frames that the guest's processor has put into the cable */
	_Atomic bool stop;
	uint32_t sent, got;
};

/* ---- The owner ---- */

static void lock(void *ctx)
{
	pthread_mutex_lock(ctx);
}

static void unlock(void *ctx)
{
	pthread_mutex_unlock(ctx);
}

static void wake(void *ctx, unsigned queue)
{
	net_threads_wake(((struct world *)ctx)->threads, queue);
}

static void signalled(void *ctx, unsigned queue)
{
	struct world *w = ctx;

	net_threads_signal(w->threads, &w->port, queue);
}

static bool port_send(void *ctx, unsigned queue, const struct net_frame *f)
{
	struct world *w = ctx;

	w->by_guest += pthread_equal(pthread_self(), w->guest) != 0;
	return net_cable_port.send(&w->port.cable, queue, f);
}

static bool port_receive(void *ctx, unsigned queue, struct net_frame *ret)
{
	return net_cable_port.receive(&((struct world *)ctx)->port.cable, queue, ret);
}

static void port_received(void *ctx, unsigned queue)
{
	net_cable_port.received(&((struct world *)ctx)->port.cable, queue);
}

static void port_flush(void *ctx, unsigned queue)
{
	net_cable_port.flush(&((struct world *)ctx)->port.cable, queue);
}

static void port_set_rss(void *ctx, const struct net_rss *rss, unsigned queues)
{
}

static const struct vsp_net_port_ops port_ops = {
	.send = port_send,
	.receive = port_receive,
	.received = port_received,
	.flush = port_flush,
	.set_rss = port_set_rss,
};

static void begin(struct test *t, struct world *w)
{
	*w = (struct world){.r = rig_create(NULL),
			    .mailbox = PTHREAD_MUTEX_INITIALIZER,
			    .guest = pthread_self()};
	struct vsp_net_config *c = &w->r->n->config;

	EXPECT(t, rig_up(w->r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(w->r);
	w->port = (struct net_port){.vsp = w->r->n, .link_told = true};
	w->ports[3] = &w->port;
	net_far_create(&w->far, 1, F_SEAL_SHRINK);
	EXPECT_EQ(t, net_cable_plug(&w->port.cable, &w->far.plug, 1), 0);
	EXPECT_EQ(t, net_threads_create(1, w->ports, &w->threads), 0);
	EXPECT_EQ(t, net_threads_listen(w->threads, &w->far.plug), 0);
	c->lock = &w->mailbox;
	c->lock_ops = (struct vsp_net_lock_ops){lock, unlock};
	c->wake = wake;
	c->signalled = signalled;
	c->port = &port_ops;
	c->port_ctx = w;
	c->ctx = w;
	c->log = NULL;
	net_threads_serve(w->threads);
}

static void end(struct world *w)
{
	net_threads_park(w->threads);
	net_threads_destroy(w->threads);
	net_cable_unplug(&w->port.cable);
	net_far_destroy(&w->far);
	w->r->n->config.lock_ops = (struct vsp_net_lock_ops){0};
	rig_destroy(w->r);
}

/* ---- The guest ---- */

static void send(struct world *w)
{
	uint8_t frame[FRAME_BYTES] = {0}, buf[FRAME_BYTES + 100];

	memcpy(frame, RIG_MAC, NET_MAC_BYTES);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	store_le32(frame + 20, w->sent);
	uint32_t n = rig_message(buf, frame, FRAME_BYTES, NULL, 0);

	CHECK(rig_send_raw(w->r, 0, RIG_SECTION, w->sent % SECTIONS, buf, n, 0) != 0);
	w->sent++;
}

static void take(struct test *t, struct world *w)
{
	const struct rig_message *m;
	uint32_t bytes;

	rig_take(w->r, 0);
	for (unsigned i = 0; (m = rig_frame_message(w->r, i)) != NULL; i++) {
		EXPECT_EQ(t, load_le32(rig_data(m, &bytes) + 20), w->got);
		EXPECT_EQ(t, bytes, FRAME_BYTES);
		w->got++;
	}
	rig_forget(w->r);
}

/* ---- The switch ---- */

static void ring(int fd)
{
	const uint64_t one = 1;

	CHECK(write(fd, &one, sizeof(one)) == sizeof(one));
}

/* Gives back what came. False: nothing did. */
static bool give_back(struct world *w)
{
	struct wire_ring *from = &w->far.from_worker[0], *to = &w->far.to_worker[0];
	struct net_frame f;
	bool moved = false;

	while (wire_get(from, &f) == WIRE_OK) {
		CHECK(wire_put(to, &f) == WIRE_OK);
		wire_take(from);
		moved = true;
	}
	bool room = wire_show(from);

	if (wire_show(to) || room) {
		ring(w->far.plug.worker_bells[0]);
	}
	return moved;
}

static void *switch_main(void *arg)
{
	struct world *w = arg;
	struct wire_ring *from = &w->far.from_worker[0];
	struct pollfd bell = {.fd = w->far.plug.switch_bell, .events = POLLIN};

	while (!w->stop) {
		if (!give_back(w) && wire_sleep(from)) {
			poll(&bell, 1, -1);
			net_far_rings(bell.fd);
			wire_wake(from);
		}
	}
	return NULL;
}

/* Somebody who stops the threads again and again. */
static void *parker_main(void *arg)
{
	struct world *w = arg;

	while (!w->stop) {
		net_threads_park(w->threads);
		sched_yield();
		net_threads_serve(w->threads);
		poll(NULL, 0, 1);
	}
	return NULL;
}

/* ---- Tests ---- */

/* Sooner or later the thread sleeps when the guest signals: then the frame is in the cable before the guest goes on. */
static void test_in_its_place(struct test *t)
{
	struct net_frame f;
	struct world w;

	begin(t, &w);
	while (w.by_guest == 0) {
		send(&w);
		bool here = w.by_guest != 0;

		while (wire_get(&w.far.from_worker[0], &f) != WIRE_OK) {
			EXPECT(t, !here);
			sched_yield();
		}
		EXPECT_EQ(t, load_le32(f.head + 20), w.sent - 1);
		wire_take(&w.far.from_worker[0]);
		wire_show(&w.far.from_worker[0]);
		poll(NULL, 0, 1);
		take(t, &w); /* its answer */
	}
	end(&w);
}

/* A machine that stands still: nobody takes the place of a thread that is parked. */
static void test_parked(struct test *t)
{
	struct net_frame f;
	struct world w;

	begin(t, &w);
	for (unsigned i = 0; i < 20; i++) {
		net_threads_park(w.threads);
		send(&w);
		fake_guest_signal(&w.r->channels[0]);
		EXPECT_EQ(t, wire_get(&w.far.from_worker[0], &f), WIRE_EMPTY);
		net_threads_serve(w.threads);
		while (wire_get(&w.far.from_worker[0], &f) != WIRE_OK) {
			sched_yield();
		}
		EXPECT_EQ(t, load_le32(f.head + 20), i);
		wire_take(&w.far.from_worker[0]);
		wire_show(&w.far.from_worker[0]);
		take(t, &w);
	}
	EXPECT_EQ(t, w.sent, 20);
	end(&w);
}

static void test_round_trips(struct test *t)
{
	struct world w;

	begin(t, &w);
	EXPECT_EQ(t, pthread_create(&w.switch_thread, NULL, switch_main, &w), 0);
	EXPECT_EQ(t, pthread_create(&w.parker, NULL, parker_main, &w), 0);
	while (w.got < FRAMES) {
		if (w.sent < FRAMES && w.sent - w.got < WINDOW) {
			send(&w);
		} else {
			sched_yield();
		}
		take(t, &w);
	}
	printf("# %u of %u frames by the guest's processor\n", w.by_guest, w.sent);
	w.stop = true;
	ring(w.far.plug.switch_bell);
	pthread_join(w.switch_thread, NULL);
	pthread_join(w.parker, NULL);
	EXPECT_EQ(t, w.got, FRAMES);
	end(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_in_its_place),
		TEST(test_parked),
		TEST(test_round_trips),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
