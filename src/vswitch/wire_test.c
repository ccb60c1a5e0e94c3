// SPDX-License-Identifier: Apache-2.0
#include "vswitch/wire.h"

#include <pthread.h>
#include <sched.h>

#include "test/test.h"
#include "testing.h"

#define RING WIRE_RING_BYTES_MIN

static uint64_t next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static void *make(unsigned queues)
{
	size_t bytes = wire_bytes(queues, RING);
	void *memory = aligned_alloc(WIRE_PAGE_BYTES, bytes);

	CHECK(memory != NULL);
	memset(memory, 0, bytes);
	wire_format(memory, queues, RING);
	return memory;
}

static struct wire_control *control(void *memory, unsigned queue, enum wire_way way)
{
	return (void *)((uint8_t *)memory + 8192 + (queue * 2 + way) * (WIRE_PAGE_BYTES + RING));
}

static void test_shape(struct test *t)
{
	uint8_t *memory = make(3);
	size_t bytes = wire_bytes(3, RING);
	struct wire_header header;
	unsigned queues;
	uint32_t ring_bytes;

	EXPECT_EQ(t, bytes, 8192 + 6 * (4096 + RING));
	EXPECT(t, wire_check(memory, bytes, &queues, &ring_bytes));
	EXPECT_EQ(t, queues, 3);
	EXPECT_EQ(t, ring_bytes, RING);
	EXPECT(t, !wire_check(memory, bytes - 1, &queues, &ring_bytes));
	EXPECT(t, !wire_check(memory, 100, &queues, &ring_bytes));
	memcpy(&header, memory, sizeof(header));
	for (unsigned i = 0; i < 6; i++) {
		static const struct wire_header bad[] = {
			{WIRE_MAGIC + 1, 3, RING},    {WIRE_MAGIC, 0, RING},
			{WIRE_MAGIC, 65, RING},	      {WIRE_MAGIC, 3, RING / 2},
			{WIRE_MAGIC, 3, RING + 4096}, {WIRE_MAGIC, 3, WIRE_RING_BYTES_MAX * 2},
		};

		memcpy(memory, &bad[i], sizeof(header));
		EXPECT(t, !wire_check(memory, bytes, &queues, &ring_bytes));
	}
	free(memory);
}

/* ---- Two honest sides ---- */

/* Frame number @n: its size and content follow from the number. */
static void number(struct packet *p, uint64_t n)
{
	uint64_t random = n * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint64_t draw = next(&random);
	uint32_t bytes = draw % 16 == 0	 ? 14 + (uint32_t)(draw >> 8) % (NET_FRAME_BYTES_MAX - 13)
			 : draw % 2 == 0 ? 64
					 : 14 + (uint32_t)(draw >> 8) % 1600;

	packet_plain(p, MAC(1), MAC(2), 14);
	p->count = bytes;
	for (uint32_t i = 0; i < bytes; i += 8) {
		store_le64(p->bytes + i, n + i);
	}
	p->offload.gso_bytes = (uint16_t)n;
}

static bool is_number(const struct net_frame *f, uint64_t n, struct packet *want, uint8_t *got)
{
	number(want, n);
	if (f->bytes != want->count || f->tag != (n & 0xffff) ||
	    f->offload.gso_bytes != (uint16_t)n ||
	    f->head_bytes != min_u64(f->bytes, NET_HEAD_BYTES)) {
		return false;
	}
	net_frame_copy(f, 0, got, f->bytes);
	return memcmp(got, want->bytes, f->bytes) == 0;
}

/* Any order of puts, shows and gets: nothing is lost, changed or seen before it was shown. */
static void test_order(struct test *t)
{
	void *memory = make(1);
	struct packet *p = malloc(sizeof(*p));
	uint8_t *got = malloc(NET_FRAME_BYTES_MAX);
	struct wire_ring in, out;
	uint64_t put = 0, shown = 0, seen = 0, random = 7;
	unsigned full = 0;

	wire_ring_init(&in, memory, RING, 0, WIRE_TO_WORKER, WIRE_PRODUCER);
	wire_ring_init(&out, memory, RING, 0, WIRE_TO_WORKER, WIRE_CONSUMER);
	while (seen < 20000 && t->failures == 0) {
		unsigned what = (unsigned)(next(&random) % 8);
		struct net_frame f;

		if (what < 4) {
			number(p, put);
			f = packet_frame(p, put & 0xffff);
			enum wire_status status = wire_put(&in, &f);

			EXPECT(t, status == WIRE_OK || status == WIRE_FULL);
			put += status == WIRE_OK;
			full += status == WIRE_FULL;
		} else if (what < 5) {
			wire_show(&in);
			shown = put;
		} else if (what < 7) {
			enum wire_status status = wire_get(&out, &f);

			EXPECT_EQ(t, status, seen < shown ? WIRE_OK : WIRE_EMPTY);
			if (status == WIRE_OK) {
				EXPECT(t, is_number(&f, seen, p, got));
				wire_take(&out);
				seen++;
			}
		} else {
			wire_show(&out);
		}
	}
	EXPECT(t, full != 0);
	free(got);
	free(p);
	free(memory);
}

/* A frame that was not taken comes again; three of the largest fit. */
static void test_largest(struct test *t)
{
	void *memory = make(1);
	struct packet *p = malloc(sizeof(*p));
	struct wire_ring in, out;
	struct net_frame f, g;

	wire_ring_init(&in, memory, RING, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	wire_ring_init(&out, memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	packet_plain(p, MAC(1), MAC(2), NET_FRAME_BYTES_MAX);
	f = packet_frame(p, NET_TAG_NONE);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(t, wire_put(&in, &f), WIRE_OK);
	}
	EXPECT_EQ(t, wire_put(&in, &f), WIRE_FULL);
	wire_show(&in);
	EXPECT_EQ(t, wire_get(&out, &g), WIRE_OK);
	EXPECT_EQ(t, wire_get(&out, &g), WIRE_OK);
	EXPECT_EQ(t, g.bytes, NET_FRAME_BYTES_MAX);
	wire_take(&out);
	EXPECT_EQ(t, wire_put(&in, &f), WIRE_FULL); /* not shown yet */
	wire_show(&out);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT_EQ(t, wire_get(&out, &g), WIRE_OK);
		wire_take(&out);
	}
	EXPECT_EQ(t, wire_get(&out, &g), WIRE_EMPTY);
	wire_show(&out);
	EXPECT_EQ(t, wire_put(&in, &f), WIRE_OK);
	free(p);
	free(memory);
}

static void test_bells(struct test *t)
{
	void *memory = make(1);
	struct packet *p = malloc(sizeof(*p));
	struct wire_ring in, out;
	struct net_frame f, g;

	wire_ring_init(&in, memory, RING, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	wire_ring_init(&out, memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	packet_plain(p, MAC(1), MAC(2), 8192 - 24);
	f = packet_frame(p, NET_TAG_NONE);
	EXPECT(t, wire_sleep(&out));
	EXPECT(t, !wire_show(&in)); /* nothing new */
	wire_put(&in, &f);
	EXPECT(t, wire_show(&in));
	wire_put(&in, &f);
	EXPECT(t, !wire_show(&in));   /* once */
	EXPECT(t, !wire_sleep(&out)); /* something is there */
	wire_put(&in, &f);
	EXPECT(t, !wire_show(&in)); /* that took it back */
	for (unsigned i = 3; i < 32; i++) {
		EXPECT_EQ(t, wire_put(&in, &f), WIRE_OK);
	}
	EXPECT_EQ(t, wire_put(&in, &f), WIRE_FULL);
	wire_show(&in);
	EXPECT(t, wire_sleep(&in));
	for (unsigned i = 1; i <= 32; i++) {
		EXPECT_EQ(t, wire_get(&out, &g), WIRE_OK);
		wire_take(&out);
		EXPECT_EQ(t, wire_show(&out), i == 16); /* at half, once */
	}
	EXPECT(t, !wire_sleep(&in));
	EXPECT_EQ(t, wire_put(&in, &f), WIRE_OK);
	wire_show(&in);
	EXPECT_EQ(t, wire_get(&out, &g), WIRE_OK);
	free(p);
	free(memory);
}

/* ---- Two threads ---- */

#define THREAD_FRAMES 30000u

struct sides {
	void *memory;
	_Atomic unsigned bell[2]; /* of the producer, of the consumer */
	struct test *t;
};

/* Sleeps until the bell: a lost one hangs the test. */
static void wait_bell(struct sides *s, enum wire_side side)
{
	while (atomic_exchange(&s->bell[side], 0) == 0) {
		sched_yield();
	}
}

static void *produce(void *arg)
{
	struct sides *s = arg;
	struct packet *p = malloc(sizeof(*p));
	struct wire_ring r;

	wire_ring_init(&r, s->memory, RING, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	for (uint64_t n = 0; n < THREAD_FRAMES;) {
		number(p, n);
		struct net_frame f = packet_frame(p, n & 0xffff);
		enum wire_status status = wire_put(&r, &f);

		n += status == WIRE_OK;
		if ((status != WIRE_OK || n % 8 == 0 || n == THREAD_FRAMES) && wire_show(&r)) {
			atomic_store(&s->bell[WIRE_CONSUMER], 1);
		}
		if (status == WIRE_FULL && wire_sleep(&r)) {
			wait_bell(s, WIRE_PRODUCER);
			wire_wake(&r);
		}
	}
	free(p);
	return NULL;
}

static void test_threads(struct test *t)
{
	struct sides s = {.memory = make(1), .t = t};
	struct packet *p = malloc(sizeof(*p));
	uint8_t *got = malloc(NET_FRAME_BYTES_MAX);
	struct wire_ring r;
	pthread_t thread;

	wire_ring_init(&r, s.memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	CHECK(pthread_create(&thread, NULL, produce, &s) == 0);
	for (uint64_t n = 0; n < THREAD_FRAMES;) {
		struct net_frame f;
		enum wire_status status = wire_get(&r, &f);

		if (status == WIRE_OK) {
			EXPECT(t, is_number(&f, n, p, got));
			n++;
			wire_take(&r);
		}
		if ((status != WIRE_OK || n % 4 == 0) && wire_show(&r)) {
			atomic_store(&s.bell[WIRE_PRODUCER], 1);
		}
		if (status == WIRE_EMPTY && wire_sleep(&r)) {
			wait_bell(&s, WIRE_CONSUMER);
			wire_wake(&r);
		}
		CHECK(status != WIRE_BROKEN);
	}
	if (wire_show(&r)) {
		atomic_store(&s.bell[WIRE_PRODUCER], 1);
	}
	pthread_join(thread, NULL);
	free(got);
	free(p);
	free(s.memory);
}

/* ---- One hostile side ---- */

/* Indices and records that a consumer refuses. */
static void test_nonsense(struct test *t)
{
	static const struct {
		uint64_t head;
		uint32_t at; /* where the record is, and what it says */
		uint32_t bytes;
		uint32_t skip_at; /* 0: none */
	} rows[] = {
		{4, 0, 64, 0},
		{RING + 8, 0, 64, 0},
		{UINT64_MAX - 7, 0, 64, 0},
		{80, 0, 64, 0},			       /* 88 are needed */
		{RING, 0, 13, 0},		       /* no whole header */
		{RING, 0, NET_FRAME_BYTES_MAX + 1, 0}, /* too large */
		{RING, 0, 0x7fffffff, 0},
		{RING, 0, 0xfffffffe, 0},
		{RING, 0, WIRE_SKIP, 0}, /* a skip at the beginning */
	};
	struct net_frame f;
	struct wire_ring r;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		void *memory = make(1);
		struct wire_control *c = control(memory, 0, WIRE_TO_SWITCH);

		wire_ring_init(&r, memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
		store_le32((uint8_t *)c + WIRE_PAGE_BYTES + rows[i].at, rows[i].bytes);
		atomic_store(&c->head, rows[i].head);
		EXPECT_EQ(t, wire_get(&r, &f), WIRE_BROKEN);
		atomic_store(&c->head, 0);
		EXPECT_EQ(t, wire_get(&r, &f), WIRE_BROKEN); /* for ever */
		EXPECT(t, !wire_show(&r));
		free(memory);
	}
}

/* Takes frames of 64 KiB until the ring's end is near; the offset of the next record. */
static uint32_t go_near_end(struct wire_ring *in, struct wire_ring *out, struct packet *p)
{
	struct net_frame f, g;

	packet_plain(p, MAC(1), MAC(2), 65536 - 24);
	f = packet_frame(p, NET_TAG_NONE);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(wire_put(in, &f) == WIRE_OK);
	}
	packet_plain(p, MAC(1), MAC(2), 65536 - 24 - 64);
	f = packet_frame(p, NET_TAG_NONE);
	CHECK(wire_put(in, &f) == WIRE_OK);
	wire_show(in);
	while (wire_get(out, &g) == WIRE_OK) {
		wire_take(out);
	}
	wire_show(out);
	return RING - 64;
}

static void test_nonsense_at_end(struct test *t)
{
	static const struct {
		uint64_t more; /* that head shows */
		uint32_t bytes, first;
		enum wire_status want;
	} rows[] = {
		{64, 14, 0, WIRE_OK},
		{64, 41, 0, WIRE_BROKEN},		  /* over the end */
		{64, WIRE_SKIP, 0, WIRE_BROKEN},	  /* a skip and nothing behind */
		{32, WIRE_SKIP, 14, WIRE_BROKEN},	  /* a skip beyond what is shown */
		{72, WIRE_SKIP, 14, WIRE_BROKEN},	  /* a part of a record */
		{128, WIRE_SKIP, WIRE_SKIP, WIRE_BROKEN}, /* two skips */
		{104, WIRE_SKIP, 14, WIRE_OK},
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		void *memory = make(1);
		struct packet *p = malloc(sizeof(*p));
		struct wire_control *c = control(memory, 0, WIRE_TO_SWITCH);
		uint8_t *data = (uint8_t *)c + WIRE_PAGE_BYTES;
		struct wire_ring in, out;
		struct net_frame f;

		wire_ring_init(&in, memory, RING, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
		wire_ring_init(&out, memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
		store_le32(data + go_near_end(&in, &out, p), rows[i].bytes);
		store_le32(data, rows[i].first);
		atomic_store(&c->head, out.at + rows[i].more);
		EXPECT_EQ(t, wire_get(&out, &f), rows[i].want);
		free(p);
		free(memory);
	}
}

/* Tails that a producer refuses. */
static void test_nonsense_tail(struct test *t)
{
	static const uint64_t tails[] = {4, RING * 2, UINT64_MAX - 7, UINT64_C(1) << 63};
	struct packet *p = malloc(sizeof(*p));

	for (unsigned i = 0; i < ARRAY_LEN(tails); i++) {
		void *memory = make(1);
		struct wire_control *c = control(memory, 0, WIRE_TO_WORKER);
		struct wire_ring in;
		struct net_frame f;
		enum wire_status status;

		wire_ring_init(&in, memory, RING, 0, WIRE_TO_WORKER, WIRE_PRODUCER);
		packet_plain(p, MAC(1), MAC(2), 1500);
		f = packet_frame(p, NET_TAG_NONE);
		atomic_store(&c->tail, tails[i]);
		do {
			status = wire_put(&in, &f);
		} while (status == WIRE_OK);
		EXPECT_EQ(t, status, WIRE_BROKEN);
		atomic_store(&c->tail, 0);
		EXPECT_EQ(t, wire_put(&in, &f), WIRE_BROKEN);
		free(memory);
	}
	free(p);
}

static void scribble(void *memory, uint64_t *random)
{
	struct wire_control *c = control(memory, 0, WIRE_TO_SWITCH);
	uint64_t draw = next(random);

	switch (draw % 6) {
	case 0:
		atomic_store(&c->head, next(random) >> (draw >> 8) % 64 & ~UINT64_C(7));
		break;
	case 1:
		atomic_fetch_add(&c->head, (draw >> 8) % 4096 & ~UINT64_C(7));
		break;
	case 2:
		atomic_store(&c->tail, next(random) >> (draw >> 8) % 64);
		break;
	default: /* a record's size, most often a likely one */
		store_le32((uint8_t *)c + WIRE_PAGE_BYTES + ((draw >> 8) % RING & ~UINT64_C(7)),
			   draw % 6 == 3 ? (uint32_t)next(random) : (uint32_t)(draw >> 40) % 2000);
		break;
	}
}

/* Whatever the other side writes: frames lie within the ring, sizes add up, and both ends come to an end. */
static void test_scribble(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	uint8_t *got = malloc(NET_FRAME_BYTES_MAX);
	uint64_t random = 99, frames = 0, broken = 0;

	for (unsigned round = 0; round < 300; round++) {
		void *memory = make(1);
		uint8_t *data = (uint8_t *)control(memory, 0, WIRE_TO_SWITCH) + WIRE_PAGE_BYTES;
		struct wire_ring in, out;

		wire_ring_init(&in, memory, RING, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
		wire_ring_init(&out, memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
		for (unsigned i = 0; i < 200 && !out.broken; i++) {
			struct net_frame f;

			number(p, next(&random));
			f = packet_frame(p, 1);
			wire_put(&in, &f);
			wire_show(&in);
			if (next(&random) % 16 == 0) {
				scribble(memory, &random);
			}
			if (wire_get(&out, &f) == WIRE_OK) {
				const uint8_t *rest = f.rest->base;

				EXPECT(t,
				       f.rest_count == 0 || (rest >= data &&
							     rest + f.rest->bytes <= data + RING));
				EXPECT_EQ(t, f.head_bytes + (f.rest_count != 0 ? f.rest->bytes : 0),
					  f.bytes);
				net_frame_copy(&f, 0, got, f.bytes);
				wire_take(&out);
				wire_show(&out);
				frames++;
			}
		}
		broken += out.broken;
		free(memory);
	}
	EXPECT(t, frames > 300);
	EXPECT(t, broken > 100);
	free(got);
	free(p);
}

static void test_rss(struct test *t)
{
	uint8_t *memory = make(4);
	struct net_rss rss = {.types = NDIS_HASH_IPV4, .table_entries = 4, .table = {0, 1, 2, 1}};
	struct net_rss got;
	struct wire_rss *w = (void *)(memory + 4096);
	uint32_t generation = 0;
	unsigned used = 9;

	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used)); /* nothing was set */
	wire_set_rss(memory, &rss, 3);
	EXPECT(t, wire_get_rss(memory, 4, &generation, &got, &used));
	EXPECT_EQ(t, used, 3);
	EXPECT_MEM(t, &got, &rss, sizeof(rss));
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used)); /* nothing new */
	wire_set_rss(memory, &rss, 5);				       /* more than there are */
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used));
	wire_set_rss(memory, &rss, 0);
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used));
	wire_set_rss(memory, &rss, 2); /* the table names queue 2 */
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used));
	rss.table_entries = 3;
	wire_set_rss(memory, &rss, 3);
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used));
	rss.table_entries = 256;
	wire_set_rss(memory, &rss, 3);
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used));
	rss.table_entries = 2;
	wire_set_rss(memory, &rss, 2);
	atomic_fetch_sub(&w->generation, 1); /* being written */
	EXPECT(t, !wire_get_rss(memory, 4, &generation, &got, &used));
	EXPECT_EQ(t, used, 3);
	atomic_fetch_add(&w->generation, 1);
	EXPECT(t, wire_get_rss(memory, 4, &generation, &got, &used));
	EXPECT_EQ(t, used, 2);
	free(memory);
}

static void test_link(struct test *t)
{
	size_t bytes = wire_bytes(1, WIRE_RING_BYTES_MIN);
	void *memory = calloc(1, bytes);
	uint32_t ring_bytes;
	unsigned queues;

	wire_format(memory, 1, WIRE_RING_BYTES_MIN);
	EXPECT(t, wire_link(memory));
	wire_set_link(memory, false);
	EXPECT(t, !wire_link(memory));
	EXPECT(t, wire_check(memory, bytes, &queues, &ring_bytes) && queues == 1);
	wire_set_link(memory, true);
	EXPECT(t, wire_link(memory));
	free(memory);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_shape),	  TEST(test_order),
		TEST(test_largest),	  TEST(test_bells),
		TEST(test_threads),	  TEST(test_nonsense),
		TEST(test_scribble),	  TEST(test_nonsense_at_end),
		TEST(test_nonsense_tail), TEST(test_rss),
		TEST(test_link)};

	return test_main(cases, ARRAY_LEN(cases));
}
