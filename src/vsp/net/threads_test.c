// SPDX-License-Identifier: Apache-2.0
/*
 * The bus on one thread, each queue on its own, the guest's CPUs on more: frames go round (the port gives back what it gets), settings change, and
 * channels open and close. For the thread sanitizer, and for lost wake-ups: a test that waits for ever is stopped by the harness.
 */
#include "test/test.h"

#include <pthread.h>
#include <sched.h>

#include "lib/check.h"
#include "rig.h"

#define ROUNDS 12u
#define FRAMES 300u
#define FRAME_BYTES 200u
#define FIFO 32u
#define SECTIONS 4u /* of each CPU */

struct port_queue {
	uint8_t frames[FIFO][FRAME_BYTES];
	unsigned first, count;
	bool moved;
};

struct world {
	struct rig *r;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool woken[RIG_QUEUES]; /* under lock */
	bool stop;		/* under lock */
	struct port_queue port[RIG_QUEUES];
	struct io_vec rest[RIG_QUEUES];
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
	struct world *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->woken[queue] = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static bool port_send(void *ctx, unsigned queue, const struct net_frame *f)
{
	struct port_queue *p = &((struct world *)ctx)->port[queue];

	if (p->count == FIFO) {
		return false;
	}
	CHECK(f->bytes == FRAME_BYTES);
	net_frame_copy(f, 0, p->frames[(p->first + p->count++) % FIFO], FRAME_BYTES);
	p->moved = true;
	return true;
}

static bool port_receive(void *ctx, unsigned queue, struct net_frame *ret)
{
	struct world *w = ctx;
	struct port_queue *p = &w->port[queue];
	uint8_t *frame = p->frames[p->first];

	if (p->count == 0) {
		return false;
	}
	w->rest[queue] = (struct io_vec){frame + NET_HEAD_BYTES, FRAME_BYTES - NET_HEAD_BYTES};
	*ret = (struct net_frame){.head = frame,
				  .head_bytes = NET_HEAD_BYTES,
				  .bytes = FRAME_BYTES,
				  .rest = &w->rest[queue],
				  .rest_count = 1,
				  .tag = NET_TAG_NONE};
	return true;
}

static void port_received(void *ctx, unsigned queue)
{
	struct port_queue *p = &((struct world *)ctx)->port[queue];

	p->first = (p->first + 1) % FIFO;
	p->count--;
	p->moved = true;
}

static void port_flush(void *ctx, unsigned queue)
{
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

struct worker {
	struct world *w;
	unsigned queue;
	pthread_t thread;
};

/* As a worker's network thread: sleeps only when there is nothing to do. */
static void *worker_main(void *arg)
{
	struct worker *k = arg;
	struct world *w = k->w;
	bool stop = false;

	while (!stop) {
		bool more = vsp_net_poll(w->r->n, k->queue);

		more |= w->port[k->queue].moved;
		w->port[k->queue].moved = false;
		pthread_mutex_lock(&w->lock);
		while (!more && !w->woken[k->queue] && !w->stop) {
			pthread_cond_wait(&w->changed, &w->lock);
		}
		w->woken[k->queue] = false;
		stop = w->stop;
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

/* ---- The guest ---- */

struct cpu {
	struct rig *r;
	unsigned channel;
	pthread_t thread;
	unsigned sent, done, got, replies, asked;
	bool section[SECTIONS]; /* in use */
	uint64_t wrong;
};

static void *section_of(const struct cpu *c, unsigned i)
{
	/* sections lie in pages that are neighbours */
	return (uint8_t *)fake_guest_page(c->r->g, c->r->send_pfns[0]) +
	       (size_t)(c->channel * SECTIONS + i) * NET_SEND_SECTION_BYTES;
}

static bool send_frame(struct cpu *c)
{
	uint8_t frame[FRAME_BYTES] = {0}, buf[512];
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT};
	unsigned i = 0;

	while (i < SECTIONS && c->section[i]) {
		i++;
	}
	if (i == SECTIONS) {
		return false;
	}
	memcpy(frame, RIG_MAC, 6);
	store_le32(frame + 196, c->sent);
	m.rndis.section = c->channel * SECTIONS + i;
	m.rndis.section_bytes = rig_message(buf, frame, FRAME_BYTES, NULL, 0);
	memcpy(section_of(c, i), buf, m.rndis.section_bytes);
	if (!fake_guest_send(&c->r->channels[c->channel], i + 1, &m, sizeof(m))) {
		return false;
	}
	c->section[i] = true;
	c->sent++;
	return true;
}

/* CPU 0 changes what all queues go by, again and again. */
static void change_settings(struct cpu *c)
{
	struct {
		struct rndis_header h;
		struct rndis_set s;
		uint32_t value;
	} set = {{RNDIS_MSG_SET, sizeof(set)},
		 {c->asked, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0},
		 c->asked & 1 ? 0xd : 0x2d};
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
				 .rndis = {NVSP_CHANNEL_CONTROL, NVSP_NO_SECTION, 0}};
	uint64_t pfn = c->r->data_pfns[c->asked % RIG_DATA_PAGES];

	memcpy(fake_guest_page(c->r->g, pfn), &set, sizeof(set));
	if (fake_guest_send_gpa(&c->r->channels[0], 1000, sizeof(set), 0, &pfn, &m, sizeof(m))) {
		c->asked++;
	}
}

static void take_range(struct cpu *c, const struct vmbus_xfer_range *range)
{
	uint8_t *buffer = fake_guest_page(c->r->g, c->r->receive_pfns[0]);
	uint32_t type;

	memcpy(&type, buffer + range->offset, 4);
	if (type != RNDIS_MSG_PACKET) {
		c->replies++;
		return;
	}
	c->wrong += load_le32(buffer + range->offset + range->bytes - 4) != c->got;
	c->got++;
}

static bool take_packet(struct cpu *c)
{
	struct fake_guest_channel *ch = &c->r->channels[c->channel];
	uint64_t buf[256];
	struct vmbus_packet_descriptor d;
	struct vmbus_packet_xfer x;
	struct vmbus_xfer_range range;

	if (fake_guest_read(ch, buf, sizeof(buf)) == 0) {
		return false;
	}
	memcpy(&d, buf, sizeof(d));
	if (d.type == VMBUS_PACKET_COMPLETION) {
		if (d.transaction <= SECTIONS) {
			c->section[d.transaction - 1] = false;
			c->done++;
		}
		return true;
	}
	if (d.type == VMBUS_PACKET_DATA_USING_XFER_PAGES) {
		memcpy(&x, buf + 2, sizeof(x));
		for (uint32_t i = 0; i < x.range_count; i++) {
			memcpy(&range, buf + 3 + i, sizeof(range));
			take_range(c, &range);
		}
		while (!rig_complete(c->r, c->channel, d.transaction)) {
			sched_yield();
		}
	}
	return true;
}

static void *cpu_main(void *arg)
{
	struct cpu *c = arg;

	while (c->done < FRAMES || c->got < FRAMES || c->replies < c->asked) {
		if (c->channel == 0 && c->asked < FRAMES / 20 && c->sent >= c->asked * 20) {
			change_settings(c);
		}
		if (!(c->sent < FRAMES && send_frame(c)) && !take_packet(c)) {
			sched_yield();
		}
	}
	return NULL;
}

/* ---- The guest's driver, on the bus thread ---- */

static void wait_packet(struct rig *r, uint64_t *buf, size_t bytes)
{
	while (fake_guest_read(&r->channels[0], buf, bytes) == 0) {
		fake_guest_run(r->g);
		sched_yield();
	}
}

static struct nvsp_message ask(struct rig *r, struct nvsp_message m)
{
	uint64_t buf[256];
	size_t bytes;

	CHECK(fake_guest_send(&r->channels[0], 1, &m, sizeof(m)));
	wait_packet(r, buf, sizeof(buf));
	memcpy(&m, fake_guest_payload(buf, &bytes), sizeof(m));
	CHECK(bytes == sizeof(m));
	return m;
}

/* Two packets come back: the completion, and the answer in the receive buffer. */
static void control(struct rig *r, const void *message, uint32_t bytes)
{
	const struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
				       .rndis = {NVSP_CHANNEL_CONTROL, NVSP_NO_SECTION, 0}};
	uint64_t buf[256];
	struct vmbus_packet_descriptor d;

	memcpy(fake_guest_page(r->g, r->data_pfns[0]), message, bytes);
	CHECK(fake_guest_send_gpa(&r->channels[0], 1, bytes, 0, r->data_pfns, &m, sizeof(m)));
	for (unsigned i = 0; i < 2; i++) {
		wait_packet(r, buf, sizeof(buf));
		memcpy(&d, buf, sizeof(d));
		if (d.type == VMBUS_PACKET_DATA_USING_XFER_PAGES) {
			CHECK(rig_complete(r, 0, d.transaction));
		}
	}
}

static void open_channel(struct test *t, struct rig *r, unsigned index)
{
	EXPECT(t, fake_guest_open_index(r->g, &r->instance, index, 5, &r->channels[index]));
}

static void close_channel(struct rig *r, unsigned index)
{
	fake_guest_begin_close(&r->channels[index]);
	while (!fake_guest_end_close(&r->channels[index])) {
		fake_guest_run(r->g);
		sched_yield();
	}
}

static void start_driver(struct test *t, struct rig *r)
{
	const uint32_t init[6] = {RNDIS_MSG_INIT, 24, 7, 1, 0, 0x4000};
	const uint32_t filter[8] = {
		RNDIS_MSG_SET, 32, 8, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0, 0xd};
	struct nvsp_message m = {.type = NVSP_MSG_TYPE_INIT, .init = {0x60001, 0x60001}};
	uint32_t relid = r->channels[0].offer.relid;

	EXPECT_EQ(t, ask(r, m).init_complete.status, NVSP_STAT_SUCCESS);
	EXPECT_EQ(t,
		  fake_guest_gpadl(r->g, relid, RIG_RECEIVE_GPADL, RIG_RECEIVE_PAGES * 4096, 0,
				   r->receive_pfns),
		  0);
	EXPECT_EQ(t,
		  fake_guest_gpadl(r->g, relid, RIG_SEND_GPADL, RIG_SEND_PAGES * 4096, 0,
				   r->send_pfns),
		  0);
	m = (struct nvsp_message){.type = NVSP_MSG1_TYPE_SEND_RECV_BUF,
				  .buffer = {RIG_RECEIVE_GPADL, RIG_RECEIVE_ID}};
	EXPECT_EQ(t, ask(r, m).receive_complete.status, NVSP_STAT_SUCCESS);
	m = (struct nvsp_message){.type = NVSP_MSG1_TYPE_SEND_SEND_BUF,
				  .buffer = {RIG_SEND_GPADL, 0}};
	EXPECT_EQ(t, ask(r, m).send_complete.status, NVSP_STAT_SUCCESS);
	control(r, init, sizeof(init));
	control(r, filter, sizeof(filter));
	m = (struct nvsp_message){.type = NVSP_MSG5_TYPE_SUBCHANNEL,
				  .subchannel = {NVSP_SUBCHANNEL_ALLOCATE, RIG_QUEUES - 1}};
	EXPECT_EQ(t, ask(r, m).subchannel.count, RIG_QUEUES - 1);
}

static void stop_driver(struct rig *r, bool revoke)
{
	uint32_t relid = r->channels[0].offer.relid;
	const struct nvsp_message m = {.type = NVSP_MSG1_TYPE_REVOKE_RECV_BUF,
				       .revoke.id = RIG_RECEIVE_ID};

	if (revoke) { /* while the others still receive */
		while (!fake_guest_write(&r->channels[0], VMBUS_PACKET_DATA_INBAND, false, 0, NULL,
					 0, &m, sizeof(m))) {
			sched_yield();
		}
	}
	for (unsigned i = RIG_QUEUES; i-- > 0;) {
		close_channel(r, i);
	}
	while (!fake_guest_teardown(r->g, relid, RIG_RECEIVE_GPADL)) {
		sched_yield();
	}
	while (!fake_guest_teardown(r->g, relid, RIG_SEND_GPADL)) {
		sched_yield();
	}
	fake_guest_forget_inbox(r->g);
}

static void one_round(struct test *t, struct rig *r, unsigned round)
{
	struct cpu cpus[RIG_QUEUES];
	uint32_t next_page = r->g->next_page;

	open_channel(t, r, 0);
	start_driver(t, r);
	for (unsigned i = 1; i < RIG_QUEUES; i++) {
		open_channel(t, r, i);
	}
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		cpus[i] = (struct cpu){.r = r, .channel = i};
		EXPECT_EQ(t, pthread_create(&cpus[i].thread, NULL, cpu_main, &cpus[i]), 0);
	}
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		pthread_join(cpus[i].thread, NULL);
		EXPECT_EQ(t, cpus[i].got, FRAMES);
		EXPECT_EQ(t, cpus[i].wrong, 0);
	}
	for (unsigned i = 0; i < RIG_QUEUES * SECTIONS && round & 1; i++) {
		struct cpu *c = &cpus[i % RIG_QUEUES];

		send_frame(c); /* under way when the channels close */
	}
	stop_driver(r, round & 2);
	r->g->next_page = next_page;
}

static void test_threads(struct test *t)
{
	const struct rig_config config = {.queues = RIG_QUEUES};
	struct rig *r = rig_create(&config);
	static struct world w = {.lock = PTHREAD_MUTEX_INITIALIZER,
				 .changed = PTHREAD_COND_INITIALIZER};
	pthread_mutex_t mailbox = PTHREAD_MUTEX_INITIALIZER;
	struct worker workers[RIG_QUEUES];
	struct vsp_net_config *c = &r->n->config;
	struct vsp_net_stats s;

	w.r = r;
	c->lock = &mailbox;
	c->lock_ops = (struct vsp_net_lock_ops){lock, unlock};
	c->wake = wake;
	c->port = &port_ops;
	c->port_ctx = &w;
	c->ctx = &w;
	c->log = NULL;
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		workers[i] = (struct worker){.w = &w, .queue = i};
		EXPECT_EQ(t, pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
	}
	EXPECT_EQ(t, fake_guest_connect(r->g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(r->g));
	for (unsigned round = 0; round < ROUNDS; round++) {
		one_round(t, r, round);
		vsp_net_link(r->n, round & 1);
	}
	EXPECT(t, vmbus_quiet(r->g->bus));
	pthread_mutex_lock(&w.lock);
	w.stop = true;
	pthread_cond_broadcast(&w.changed);
	pthread_mutex_unlock(&w.lock);
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		pthread_join(workers[i].thread, NULL);
	}
	vsp_net_get_stats(r->n, &s);
	EXPECT(t, s.tx_frames >= ROUNDS * FRAMES * RIG_QUEUES);
	c->lock_ops = (struct vsp_net_lock_ops){0};
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_threads),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
