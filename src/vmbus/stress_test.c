// SPDX-License-Identifier: Apache-2.0
/*
 * Two threads on one channel: the guest's and the device's, with packets of random sizes both ways through rings that are often full. Both
 * sleep only when the rules let them: a signal that is forgotten is a test that hangs, and fails by its watch.
 */
#include "test/test.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

#define PACKETS 60000u
#define WAIT_SECONDS 40

struct flag {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool set;
};

struct side {
	struct flag wake;
	uint64_t seed;
	uint32_t sent, received, full;
	bool lost; /* slept through the whole watch */
	bool wrong;
};

struct world {
	struct fake_guest *g;
	struct fake_guest_channel ch;
	struct vmbus_channel *host_channel;
	struct side host, guest;
	uint32_t in_flight_max;
	bool closing, stop; /* atomic */
};

static void flag_set(struct flag *f)
{
	pthread_mutex_lock(&f->mutex);
	f->set = true;
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->mutex);
}

/* False: nobody came. */
static bool flag_wait(struct flag *f)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&f->mutex);
	while (!f->set && err == 0) {
		err = pthread_cond_timedwait(&f->cond, &f->mutex, &until);
	}
	f->set = false;
	pthread_mutex_unlock(&f->mutex);
	return err == 0;
}

static uint32_t next_random(struct side *s)
{
	s->seed = s->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(s->seed >> 33);
}

/* Mostly small, sometimes a good part of the ring. */
static uint32_t random_bytes(struct side *s)
{
	uint32_t r = next_random(s);

	return 8 + (r % 16 == 0 ? r / 16 % 7000 : r / 16 % 200);
}

static void fill(uint8_t *data, uint32_t bytes, uint32_t number)
{
	for (uint32_t i = 0; i < bytes; i++) {
		data[i] = (uint8_t)(number + i * 13);
	}
	memcpy(data, &bytes, sizeof(bytes));
}

/* Numbered in order, contents as sent. */
static void check(struct side *s, uint64_t transaction, const uint8_t *data, size_t bytes)
{
	static _Thread_local uint8_t want[8192];
	uint32_t real;

	memcpy(&real, data, sizeof(real));
	if (transaction != s->received || real > bytes || bytes != align_up(real, 8)) {
		s->wrong = true;
		return;
	}
	fill(want, real, s->received);
	s->wrong |= memcmp(want, data, real) != 0;
	s->received++;
}

/* ---- The host's side ---- */

static uint32_t on_open(void *ctx, struct vmbus_channel *ch, const uint8_t *user)
{
	((struct world *)ctx)->host_channel = ch;
	return 0;
}

static void on_close(void *ctx, struct vmbus_channel *ch)
{
	struct world *w = ctx;

	__atomic_store_n(&w->closing, true, __ATOMIC_SEQ_CST);
	flag_set(&w->host.wake);
}

static void on_signal(void *ctx, struct vmbus_channel *ch)
{
	flag_set(&((struct world *)ctx)->host.wake);
}

/* Everything that is there; false: broken. */
static bool host_receive(struct world *w, uint64_t *buf, size_t capacity)
{
	struct vmbus_packet p;
	enum vmbus_ring_status status;

	while ((status = vmbus_ring_read(w->host_channel, buf, capacity, &p)) == VMBUS_RING_OK) {
		check(&w->host, p.transaction, p.data, p.bytes);
	}
	return status == VMBUS_RING_EMPTY;
}

/* Until it is full or all is sent. */
static bool host_send(struct world *w, uint8_t *data, uint32_t *next_bytes)
{
	enum vmbus_ring_status status = VMBUS_RING_OK;

	while (w->host.sent < PACKETS) {
		struct io_vec v = {data, *next_bytes};

		fill(data, *next_bytes, w->host.sent);
		status = vmbus_ring_write(w->host_channel, VMBUS_PACKET_DATA_INBAND, false,
					  w->host.sent, &v, 1);
		if (status != VMBUS_RING_OK) {
			w->host.full++;
			break;
		}
		w->host.sent++;
		*next_bytes = random_bytes(&w->host);
		if (*next_bytes % 5 == 0) {
			vmbus_ring_flush(w->host_channel);
		}
	}
	vmbus_ring_flush(w->host_channel);
	return status == VMBUS_RING_OK || status == VMBUS_RING_FULL;
}

static void *host_thread(void *ctx)
{
	static uint64_t buf[1024];
	static uint8_t data[8192];
	struct world *w = ctx;
	uint32_t next_bytes = random_bytes(&w->host);

	while (!__atomic_load_n(&w->closing, __ATOMIC_SEQ_CST)) {
		w->host.wrong |= !host_receive(w, buf, sizeof(buf));
		w->host.wrong |= !host_send(w, data, &next_bytes);
		if (!flag_wait(&w->host.wake)) {
			w->host.lost = true;
			break;
		}
	}
	while (!__atomic_load_n(&w->closing, __ATOMIC_SEQ_CST)) {
		flag_wait(&w->host.wake);
	}
	vmbus_channel_closed(w->host_channel);
	return NULL;
}

/* ---- The guest's side ---- */

/* On any VP: the bus thread moves the channel about. */
static bool take_interrupts(struct world *w)
{
	bool any = false;

	for (uint32_t vp = 0; vp < FAKE_GUEST_VPS; vp++) {
		any |= __atomic_exchange_n(&w->g->events[vp][w->ch.offer.relid], 0,
					   __ATOMIC_SEQ_CST) != 0;
	}
	return any;
}

/* Interrupts are counted by the fake guest; this stands for the processor that takes them. */
static bool guest_wait(struct world *w)
{
	for (unsigned i = 0; i < WAIT_SECONDS * 20000; i++) {
		if (take_interrupts(w)) {
			return true;
		}
		usleep(50);
	}
	return false;
}

static void guest_receive(struct world *w, uint64_t *buf, size_t capacity)
{
	do {
		size_t bytes;

		fake_guest_begin_read(&w->ch);
		while (fake_guest_read(&w->ch, buf, capacity) != 0) {
			const uint8_t *data = fake_guest_payload(buf, &bytes);

			check(&w->guest, buf[1], data, bytes);
		}
	} while (!fake_guest_end_read(&w->ch));
}

/* As hv_sock: says how much it waits for when there is no room, and looks once more after that. */
static void guest_send(struct world *w, uint8_t *data, uint32_t *next_bytes)
{
	bool waiting = false;

	while (w->guest.sent < PACKETS) {
		fill(data, *next_bytes, w->guest.sent);
		if (fake_guest_send(&w->ch, w->guest.sent, data, *next_bytes)) {
			w->guest.sent++;
			*next_bytes = random_bytes(&w->guest);
			if (waiting) {
				fake_guest_set_pending(&w->ch, 0);
				waiting = false;
			}
			continue;
		}
		if (waiting) {
			return;
		}
		w->guest.full++;
		fake_guest_set_pending(&w->ch, (uint32_t)align_up(*next_bytes, 8) + 24);
		waiting = true;
	}
}

static bool finished(const struct world *w)
{
	return w->guest.sent == PACKETS && w->guest.received == PACKETS;
}

static void *guest_thread(void *ctx)
{
	static uint64_t buf[1024];
	static uint8_t data[8192];
	struct world *w = ctx;
	uint32_t next_bytes = random_bytes(&w->guest);

	for (;;) {
		guest_receive(w, buf, sizeof(buf));
		guest_send(w, data, &next_bytes);
		if (finished(w)) {
			break;
		}
		if (!guest_wait(w)) {
			w->guest.lost = true;
			break;
		}
	}
	__atomic_store_n(&w->stop, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* ---- Both ---- */

static void side_init(struct side *s, uint64_t seed)
{
	*s = (struct side){.seed = seed};
	pthread_mutex_init(&s->wake.mutex, NULL);
	pthread_cond_init(&s->wake.cond, NULL);
}

/* The bus thread meanwhile: moves the channel about, polls, and tears GPADLs down that the threads do not use. */
static void bus_loop(struct test *t, struct world *w)
{
	const uint64_t pfns[4] = {1, 2, 3, 4};

	struct vmbus_modify_channel modify = {.header.type = CHANNELMSG_MODIFYCHANNEL, .relid = 1};

	while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
		EXPECT_EQ(t, fake_guest_gpadl(w->g, 1, 5, 4 * 4096, 0, pfns), 0);
		if (w->g->version >= VERSION_WIN10_V5_3) {
			modify.target_vp = (modify.target_vp + 1) % FAKE_GUEST_VPS;
			fake_guest_post(w->g, &modify, sizeof(modify));
			EXPECT(t, fake_guest_take(w->g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, NULL));
		}
		fake_guest_run(w->g);
		EXPECT(t, fake_guest_teardown(w->g, 1, 5));
		usleep(300);
	}
}

/* The device's thread took everything out; or stopped, and then the test fails. */
static bool all_consumed(const struct fake_guest_channel *ch)
{
	const struct vmbus_ring_control *c = ch->out.control;

	return __atomic_load_n(&c->read_index, __ATOMIC_SEQ_CST) ==
	       __atomic_load_n(&c->write_index, __ATOMIC_SEQ_CST);
}

static void run(struct test *t, uint32_t version, uint32_t pages)
{
	static const struct vmbus_device_ops ops = {on_open, on_close, on_signal, NULL};
	const struct vmbus_offer offer = {.instance = {{1, 0x11, 0x22, 0x33}}, .name = "stress"};
	const struct fake_guest_config config = {.scattered = true};
	struct world *w = calloc(1, sizeof(*w));
	struct vmbus_device *dev;
	pthread_t host, guest;

	w->g = fake_guest_create(&config);
	side_init(&w->host, 1);
	side_init(&w->guest, 2);
	EXPECT_EQ(t, vmbus_device_offer(w->g->bus, &offer, &ops, w, &dev), 0);
	EXPECT_EQ(t, fake_guest_connect(w->g, version), 1);
	EXPECT(t, fake_guest_request_offers(w->g));
	EXPECT_EQ(t, fake_guest_open(w->g, &w->g->offers[0], pages, pages, 0, &w->ch), 0);
	pthread_create(&host, NULL, host_thread, w);
	pthread_create(&guest, NULL, guest_thread, w);
	bus_loop(t, w);
	pthread_join(guest, NULL);
	for (unsigned i = 0; i < 20000 && !all_consumed(&w->ch); i++) {
		usleep(1000);
	}
	fake_guest_post_close(&w->ch);
	pthread_join(host, NULL);
	fake_guest_run(w->g);
	EXPECT(t, vmbus_quiet(w->g->bus));
	EXPECT(t, fake_guest_teardown(w->g, 1, w->ch.gpadl));
	EXPECT(t, !w->host.lost && !w->guest.lost);
	EXPECT(t, !w->host.wrong && !w->guest.wrong);
	EXPECT_EQ(t, w->guest.received, PACKETS);
	EXPECT_EQ(t, w->host.received, PACKETS);
	EXPECT(t, pages > 3 || (w->host.full != 0 && w->guest.full != 0));
	EXPECT_EQ(t, w->g->log_lines, 0);
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
	free(w);
}

static void test_small_rings(struct test *t)
{
	run(t, VERSION_WIN10_V5_3, 3);
}

static void test_large_rings(struct test *t)
{
	run(t, VERSION_WIN8, 33);
}

/* ---- GPADLs torn down while a device's thread copies ---- */

struct copies {
	struct fake_guest *g;
	struct vmbus_channel *ch;
	bool stop;	 /* atomic */
	uint32_t rounds; /* atomic */
};

static void *copy_thread(void *ctx)
{
	struct copies *c = ctx;
	uint8_t buf[5000];

	while (!__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST)) {
		for (uint32_t id = 10; id < 14; id++) {
			(void)vmbus_gpadl_read(c->ch, id, 3, buf, sizeof(buf)); /* there or not */
		}
		__atomic_fetch_add(&c->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void wait_rounds(const struct copies *c, uint32_t rounds)
{
	while (__atomic_load_n(&c->rounds, __ATOMIC_RELAXED) < rounds) {
		usleep(100);
	}
}

static bool wait_torndown(struct fake_guest *g)
{
	for (unsigned i = 0; i < 100000; i++) {
		fake_guest_run(g);
		if (fake_guest_take(g, CHANNELMSG_GPADL_TORNDOWN, NULL)) {
			return true;
		}
		usleep(10);
	}
	return false;
}

static void test_gpadl_torn_down_in_use(struct test *t)
{
	const uint64_t pfns[4] = {1, 2, 3, 4};
	struct fake_device d = {0};
	struct copies c = {.g = fake_guest_create(NULL)};
	struct fake_guest_channel ch;
	pthread_t threads[2];

	EXPECT_EQ(t, fake_device_offer(c.g, &d, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(c.g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(c.g));
	EXPECT_EQ(t, fake_guest_open(c.g, &c.g->offers[0], 4, 4, 0, &ch), 0);
	c.ch = d.channels[0];
	struct copies second = c;

	pthread_create(&threads[0], NULL, copy_thread, &c);
	pthread_create(&threads[1], NULL, copy_thread, &second);
	wait_rounds(&c, 1);
	wait_rounds(&second, 1);
	for (unsigned n = 0; n < 3000; n++) {
		uint32_t id = 10 + n % 4;

		EXPECT_EQ(t, fake_guest_gpadl(c.g, 1, id, 4 * 4096, 0, pfns), 0);
		if (!fake_guest_teardown(c.g, 1, id)) {
			EXPECT(t, wait_torndown(c.g));
		}
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&second.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	EXPECT(t, fake_guest_close(&ch));
	fake_guest_destroy(c.g);
}

/* ---- Signals to channels that go ---- */

static void *signal_thread(void *ctx)
{
	struct copies *c = ctx;

	while (!__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST)) {
		for (uint32_t relid = 0; relid < 8; relid++) {
			vmbus_event(c->g->bus, 0x2000 + relid, 0);
		}
		__atomic_fetch_add(&c->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void rescind_and_wait(struct test *t, struct fake_guest *g, struct fake_device *d)
{
	fake_device_rescind(d);
	fake_guest_run(g);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_RESCIND_CHANNELOFFER, NULL));
	fake_guest_release(g, 1);
	for (unsigned i = 0; i < 100000 && d->gone == 0; i++) {
		fake_guest_run(g);
	}
	EXPECT_EQ(t, d->gone, 1);
}

static void test_signals_to_what_goes(struct test *t)
{
	struct copies c = {.g = fake_guest_create(NULL)};
	pthread_t thread;

	EXPECT_EQ(t, fake_guest_connect(c.g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(c.g));
	pthread_create(&thread, NULL, signal_thread, &c);
	wait_rounds(&c, 1);
	for (unsigned n = 0; n < 500; n++) {
		struct fake_device *d =
			calloc(1, sizeof(*d)); /* freed: a late signal would be seen */
		struct fake_guest_channel ch;
		uint32_t page = c.g->next_page;

		EXPECT_EQ(t, fake_device_offer(c.g, d, 1, 0), 0);
		fake_guest_forget_inbox(c.g);
		EXPECT_EQ(t, fake_guest_open(c.g, &c.g->offers[0], 2, 2, 0, &ch), 0);
		EXPECT_EQ(t, vmbus_device_offer_subchannels(d->dev, 1), 0);
		fake_guest_forget_inbox(c.g);
		fake_guest_abandon(&ch);
		if (n % 2 == 0) {
			vmbus_reset(c.g->bus);
			EXPECT_EQ(t, fake_guest_connect(c.g, VERSION_WIN10_V5_3), 1);
			EXPECT(t, fake_guest_request_offers(c.g));
		} else {
			fake_guest_release(c.g, 2);
		}
		rescind_and_wait(t, c.g, d);
		free(d);
		c.g->offer_count = 0;
		c.g->next_page = page;
		fake_guest_forget_inbox(c.g);
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	fake_guest_destroy(c.g);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_small_rings),
		TEST(test_large_rings),
		TEST(test_gpadl_torn_down_in_use),
		TEST(test_signals_to_what_goes),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
