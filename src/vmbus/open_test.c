// SPDX-License-Identifier: Apache-2.0
/* Open and close: what a ring may be, order of answers, reopening. */
#include "open_test.h"

static void test_ring_shapes(struct test *t)
{
	static const struct {
		uint32_t out, in;
		bool ok;
	} cases[] = {{2, 2, true},  {1, 3, false},    {3, 1, false}, {2, 9, true},
		     {40, 2, true}, {300, 300, true}, {4, 4, true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		start(t, &w, VERSION_WIN10_V5_3);
		EXPECT_EQ(t,
			  fake_guest_open(w.g, &w.offer, cases[i].out, cases[i].in, 0, &w.ch) == 0,
			  cases[i].ok);
		EXPECT_EQ(t, w.d.opens, cases[i].ok);
		EXPECT(t, fake_guest_teardown(w.g, 1, w.ch.gpadl) != cases[i].ok);
		end(&w);
	}
}

/* Everything about an open that cannot be: a status, and the device never hears of it. */
static void test_bad_opens(struct test *t)
{
	static const struct {
		uint32_t vp, downstream, gpadl_off;
	} cases[] = {{4, 4, 0}, {UINT32_MAX - 1, 4, 0}, {0, 0, 0}, {0, 1, 0}, {0, 7, 0},
		     {0, 8, 0}, {0, UINT32_MAX, 0},	{0, 4, 1}};
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &w.ch), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct vmbus_open_channel m = {
			.header.type = CHANNELMSG_OPENCHANNEL,
			.relid = 1,
			.ring_gpadl = w.ch.gpadl + cases[i].gpadl_off,
			.downstream_page = cases[i].downstream,
			.target_vp = cases[i].vp,
		};

		fake_guest_post(w.g, &m, sizeof(m));
		EXPECT(t, open_result(&w) != 0);
	}
	EXPECT_EQ(t, w.d.opens, 0);
	fake_guest_post_open(&w.ch, 0); /* the GPADL is still good */
	EXPECT_EQ(t, open_result(&w), 0);
	end(&w);
}

/* A ring must be memory that is there for good. */
static void test_ring_memory(struct test *t)
{
	enum { UNMAPPED, READ_ONLY, OVERLAID, BEYOND, HUGE_PFN, CASES };

	for (unsigned i = 0; i < CASES; i++) {
		struct gmem_overlay overlay;
		struct world w;
		uint64_t pfns[4];

		start(t, &w, VERSION_WIN10_V5_3);
		fake_guest_alloc(w.g, 4, pfns);
		if (i == UNMAPPED) {
			gmem_unmap(&w.g->gm, pfns[2]);
		} else if (i == READ_ONLY) {
			gmem_protect(&w.g->gm, pfns[2], GMEM_R);
		} else if (i == OVERLAID) {
			gmem_overlay_add(&w.g->gm, &overlay, pfns[2], fake_guest_page(w.g, 100),
					 GMEM_R | GMEM_W);
		} else {
			pfns[2] = i == BEYOND ? w.g->pages : UINT64_MAX;
		}
		EXPECT_EQ(t, fake_guest_gpadl(w.g, 1, 5, 4 * 4096, 0, pfns), 0);

		const struct vmbus_open_channel m = {.header.type = CHANNELMSG_OPENCHANNEL,
						     .relid = 1,
						     .ring_gpadl = 5,
						     .downstream_page = 2};

		fake_guest_post(w.g, &m, sizeof(m));
		EXPECT(t, open_result(&w) != 0);
		EXPECT(t, fake_guest_teardown(w.g, 1, 5));
		end(&w);
	}
}

/* A ring GPADL is one range of whole pages. */
static void test_ring_gpadl_shape(struct test *t)
{
	static const struct {
		uint32_t bytes, offset;
	} cases[] = {{4 * 4096 - 8, 0}, {4 * 4096, 8}, {100, 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		uint64_t pfns[5];

		start(t, &w, VERSION_WIN10_V5_3);
		fake_guest_alloc(w.g, 5, pfns);
		EXPECT_EQ(t, fake_guest_gpadl(w.g, 1, 5, cases[i].bytes, cases[i].offset, pfns), 0);

		const struct vmbus_open_channel m = {.header.type = CHANNELMSG_OPENCHANNEL,
						     .relid = 1,
						     .ring_gpadl = 5,
						     .downstream_page = 2};

		fake_guest_post(w.g, &m, sizeof(m));
		EXPECT(t, open_result(&w) != 0);
		end(&w);
	}
}

static void test_initial_indices(struct test *t)
{
	static const struct {
		uint32_t out_read, out_write, in_read, in_write;
		bool ok;
	} cases[] = {
		{0, 0, 0, 0, true},	      {8, 8, 16, 16, true},
		{0, 4096, 0, 0, true},	      {3 * 4096, 0, 0, 0, false},
		{0, 3 * 4096, 0, 0, false},   {0, 0, 3 * 4096, 0, false},
		{0, 0, 0, UINT32_MAX, false}, {4, 4, 0, 0, false},
		{0, 0, 12290, 12290, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		start(t, &w, VERSION_WIN10_V5_3);
		EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &w.ch), 0);
		w.ch.out.control->read_index = cases[i].out_read;
		w.ch.out.control->write_index = cases[i].out_write;
		w.ch.in.control->read_index = cases[i].in_read;
		w.ch.in.control->write_index = cases[i].in_write;
		fake_guest_post_open(&w.ch, 0);
		EXPECT_EQ(t, open_result(&w) == 0, cases[i].ok);
		EXPECT_EQ(t, w.d.opens, cases[i].ok);
		end(&w);
	}
}

static void test_features_announced(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &w.ch), 0);
	w.ch.in.control->features = 0x10; /* what we do not know stays */
	fake_guest_post_open(&w.ch, 0);
	EXPECT_EQ(t, open_result(&w), 0);
	EXPECT_EQ(t, w.ch.in.control->features, 0x11);
	EXPECT_EQ(t, w.ch.out.control->features, 1);
	end(&w);
}

static void test_device_refuses(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	w.d.open_status = 0xc0000001;
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0xc0000001);
	EXPECT(t, vmbus_quiet(w.g->bus));
	EXPECT(t, fake_guest_teardown(w.g, 1, w.ch.gpadl)); /* the ring is not in use */
	end(&w);
}

static void test_open_twice(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0);
	fake_guest_post_open(&w.ch, 0);
	EXPECT(t, open_result(&w) != 0);
	EXPECT_EQ(t, w.d.opens, 1);
	EXPECT(t, fake_guest_send(&w.ch, 1, "x", 1)); /* and the channel works on */
	EXPECT_EQ(t, w.d.signals, 1);
	EXPECT(t, fake_guest_close(&w.ch));
	end(&w);
}

/* As Linux: CLOSECHANNEL, GPADL_TEARDOWN at once. TORNDOWN comes when the device let go, not before. */
static void test_teardown_waits_for_close(struct test *t)
{
	struct world w;
	unsigned before;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0);
	EXPECT(t, !fake_guest_teardown(w.g, 1, w.ch.gpadl)); /* not even closed */
	w.d.slow_close = true;
	post_close(&w);
	EXPECT_EQ(t, w.d.closes, 1);
	EXPECT(t, !fake_guest_take(w.g, CHANNELMSG_GPADL_TORNDOWN, NULL));
	before = w.d.signals;
	fake_guest_signal(&w.ch);
	EXPECT_EQ(t, w.d.signals, before); /* no signals to one that closes */
	fake_device_closed(&w.d, 0);
	fake_guest_run(w.g);
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_GPADL_TORNDOWN, NULL));
	EXPECT(t, !fake_guest_take(w.g, CHANNELMSG_GPADL_TORNDOWN, NULL));
	EXPECT(t, fake_guest_teardown(w.g, 1, w.ch.gpadl)); /* nothing any more: answered too */
	end(&w);
}

/* OPENCHANNEL while the channel still closes: answered after it. */
static void test_reopen_while_closing(struct test *t)
{
	struct fake_guest_channel again;
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0);
	w.d.slow_close = true;
	post_close(&w);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &again), 0);
	fake_guest_post_open(&again, 2);
	EXPECT_EQ(t, open_result(&w), UINT32_MAX);
	EXPECT_EQ(t, w.d.opens, 1);
	fake_guest_post_open(&again, 2); /* a second one has no place to wait */
	EXPECT_EQ(t, open_result(&w), VMBUS_STATUS_INVALID_DEVICE_STATE);
	EXPECT(t, !vmbus_settled(w.g->bus));
	fake_device_closed(&w.d, 0);
	EXPECT(t, vmbus_settled(w.g->bus)); /* and open again */
	fake_guest_run(w.g);
	EXPECT_EQ(t, open_result(&w), 0);
	EXPECT_EQ(t, w.d.opens, 2);
	EXPECT_EQ(t, vmbus_channel_target_vp(w.d.channels[0]), 2);
	EXPECT(t, fake_guest_send(&again, 1, "x", 1));
	w.d.slow_close = false;
	EXPECT(t, fake_guest_close(&again));
	end(&w);
}

/* Closed before it was opened again: the open fails, so that nobody waits. */
static void test_close_cancels_reopen(struct test *t)
{
	struct fake_guest_channel again;
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0);
	w.d.slow_close = true;
	post_close(&w);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &again), 0);
	fake_guest_post_open(&again, 0);
	post_close(&w);
	EXPECT_EQ(t, open_result(&w), VMBUS_STATUS_UNEXPECTED);
	fake_device_closed(&w.d, 0);
	fake_guest_run(w.g);
	EXPECT_EQ(t, w.d.opens, 1);
	EXPECT(t, vmbus_quiet(w.g->bus));
	fake_guest_abandon(&again);
	end(&w);
}

/* The same ring again, and its GPADL torn down meanwhile: then there is nothing to open. */
static void test_reopen_without_ring(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0);
	w.d.slow_close = true;
	post_close(&w);
	fake_guest_post_open(&w.ch, 0);
	EXPECT(t, !fake_guest_teardown(w.g, 1, w.ch.gpadl));
	fake_device_closed(&w.d, 0);
	fake_guest_run(w.g);
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_GPADL_TORNDOWN, NULL));
	EXPECT_EQ(t, open_result(&w), VMBUS_STATUS_INVALID_PARAMETER);
	end(&w);
}

static void test_reopen_many(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN8);
	for (unsigned i = 0; i < 100; i++) {
		uint32_t page = w.g->next_page;

		EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 3, 3, i % FAKE_GUEST_VPS, &w.ch), 0);
		EXPECT_EQ(t, vmbus_channel_target_vp(w.d.channels[0]), i % FAKE_GUEST_VPS);
		EXPECT(t, fake_guest_send(&w.ch, 1, "x", 1));
		EXPECT(t, fake_guest_close(&w.ch));
		w.g->next_page = page;
	}
	EXPECT_EQ(t, w.g->inbox_count, 0);
	end(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_ring_shapes),
		TEST(test_bad_opens),
		TEST(test_ring_memory),
		TEST(test_ring_gpadl_shape),
		TEST(test_initial_indices),
		TEST(test_features_announced),
		TEST(test_device_refuses),
		TEST(test_open_twice),
		TEST(test_teardown_waits_for_close),
		TEST(test_reopen_while_closing),
		TEST(test_close_cancels_reopen),
		TEST(test_reopen_without_ring),
		TEST(test_reopen_many),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
