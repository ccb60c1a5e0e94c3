// SPDX-License-Identifier: Apache-2.0
/*
 * The bus on one thread, the controller on another, the guest's CPUs on more: opening, closing and subchannels while I/O goes on. For the
 * thread sanitizer, and for lost wake-ups: a test that waits for ever is stopped by the harness.
 */
#include "test/test.h"

#include <pthread.h>
#include <sched.h>

#include "lib/bits.h"
#include "rig.h"

#define ROUNDS 20u
#define REQUESTS 400u

struct world {
	struct rig *r;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool woken; /* under lock */
	bool stop;  /* under lock */
};

static void lock(void *ctx)
{
	pthread_mutex_lock(ctx);
}

static void unlock(void *ctx)
{
	pthread_mutex_unlock(ctx);
}

static void wake(void *ctx)
{
	struct world *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->woken = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* As a worker's controller thread: sleeps only when there is nothing to do. */
static void *io_main(void *arg)
{
	struct world *w = arg;
	bool stop = false;

	while (!stop) {
		bool more = stor_poll(w->r->s);

		more |= io_poll(&w->r->io, false, 0) != 0;
		more |= w->r->s->command_count != 0;
		block_filter_poll(w->r->disks[0].block);
		pthread_mutex_lock(&w->lock);
		while (!more && !w->woken && !w->stop) {
			pthread_cond_wait(&w->changed, &w->lock);
		}
		w->woken = false;
		stop = w->stop;
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

struct cpu {
	struct rig *r;
	unsigned channel;
	unsigned answers;
	uint64_t wrong;
};

/* A CPU of the guest: keeps its channel busy and counts what comes back. */
static void *cpu_main(void *arg)
{
	struct cpu *c = arg;
	unsigned sent = 0;
	struct rig_srb srb = rig_read(0, 0, 8);
	uint64_t transaction;
	struct vstor_packet answer;
	uint16_t type;

	srb.offset = c->channel * 4096;
	while (c->answers < REQUESTS) {
		if (sent < REQUESTS && sent - c->answers < 30 &&
		    rig_send(c->r, c->channel, sent + 1, &srb)) {
			sent++;
			continue;
		}
		if (rig_receive(c->r, c->channel, &transaction, &type, &answer) == 0) {
			sched_yield();
			continue;
		}
		c->answers++;
		c->wrong += transaction == 0 || transaction > REQUESTS;
	}
	return NULL;
}

/* The bus thread waits for an answer of the controller's thread. */
static uint32_t ask(struct rig *r, uint32_t operation, uint16_t value)
{
	struct vstor_packet packet = {.header = {.operation = operation, .flags = 1},
				      .version.version = value};
	uint64_t transaction;
	uint16_t type;

	while (!fake_guest_send(&r->channels[0], 1, &packet, sizeof(packet))) {
		sched_yield();
	}
	while (rig_receive(r, 0, &transaction, &type, &packet) == 0) {
		fake_guest_run(r->g);
		sched_yield();
	}
	return packet.header.status;
}

static void open_channel(struct test *t, struct rig *r, unsigned index)
{
	EXPECT(t, fake_guest_open_index(r->g, &r->instance, index, 9, &r->channels[index]));
}

static void close_channel(struct rig *r, unsigned index)
{
	fake_guest_begin_close(&r->channels[index]);
	while (!fake_guest_end_close(&r->channels[index])) {
		fake_guest_run(r->g);
		sched_yield();
	}
}

static void one_round(struct test *t, struct rig *r, bool in_flight)
{
	struct cpu cpus[RIG_CHANNELS];
	pthread_t threads[RIG_CHANNELS];
	uint32_t next_page = r->g->next_page;

	open_channel(t, r, 0);
	EXPECT_EQ(t, ask(r, VSTOR_OPERATION_BEGIN_INITIALIZATION, 0), 0);
	EXPECT_EQ(t, ask(r, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VSTOR_VERSION_WIN10), 0);
	EXPECT_EQ(t, ask(r, VSTOR_OPERATION_QUERY_PROPERTIES, 0), 0);
	EXPECT_EQ(t, ask(r, VSTOR_OPERATION_END_INITIALIZATION, 0), 0);
	EXPECT_EQ(t, ask(r, VSTOR_OPERATION_CREATE_SUB_CHANNELS, RIG_CHANNELS - 1), 0);
	for (unsigned i = 0; i < RIG_CHANNELS; i++) {
		if (i != 0) {
			open_channel(t, r, i);
		}
		cpus[i] = (struct cpu){.r = r, .channel = i};
		EXPECT_EQ(t, pthread_create(&threads[i], NULL, cpu_main, &cpus[i]), 0);
	}
	for (unsigned i = 0; i < RIG_CHANNELS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(t, cpus[i].answers, REQUESTS);
		EXPECT_EQ(t, cpus[i].wrong, 0);
	}
	for (unsigned i = 0; in_flight && i < 20; i++) {
		struct rig_srb srb = rig_read(0, i, 8);

		rig_send(r, i % RIG_CHANNELS, i + 1, &srb);
	}
	for (unsigned i = RIG_CHANNELS; i-- > 0;) {
		close_channel(r, i);
	}
	fake_guest_forget_inbox(r->g);
	r->g->next_page = next_page;
}

static void test_threads(struct test *t)
{
	const struct rig_config config = {.subchannels = RIG_CHANNELS - 1};
	struct rig *r = rig_create(&config);
	struct world w = {
		.r = r, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	pthread_mutex_t mailbox = PTHREAD_MUTEX_INITIALIZER;
	pthread_t io;

	rig_add_disk(r, 0, 1 << 20, 0);
	r->s->config.lock = &mailbox;
	r->s->config.lock_ops = (struct stor_lock_ops){lock, unlock};
	r->s->config.wake = wake;
	r->s->config.ctx = &w;
	r->s->config.log = NULL;
	EXPECT_EQ(t, pthread_create(&io, NULL, io_main, &w), 0);
	EXPECT_EQ(t, fake_guest_connect(r->g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(r->g));
	for (unsigned round = 0; round < ROUNDS; round++) {
		one_round(t, r, round & 1);
	}
	EXPECT(t, vmbus_quiet(r->g->bus));
	pthread_mutex_lock(&w.lock);
	w.stop = true;
	pthread_cond_broadcast(&w.changed);
	pthread_mutex_unlock(&w.lock);
	pthread_join(io, NULL);
	EXPECT_EQ(t, r->s->pool_size, r->s->pool_free);
	r->s->config.lock_ops = (struct stor_lock_ops){0};
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_threads),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
