// SPDX-License-Identifier: Apache-2.0
/* Monitor pages: who gets an id, how often we look, and what the guest's hints do. */
#include "test/test.h"

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

struct world {
	struct fake_guest *g;
	struct fake_device d[2]; /* the second asks for a monitor id */
	struct vmbus_monitor_page *page;
	struct fake_guest_channel ch;
};

static struct fake_guest_offer *find(struct world *w, uint8_t number)
{
	struct guid instance = fake_device_instance(number);

	return fake_guest_find(w->g, &instance, 0);
}

static void start(struct test *t, struct world *w, uint32_t version, bool monitor)
{
	const struct fake_guest_config config = {.bus = {.monitor = monitor}};

	*w = (struct world){.g = fake_guest_create(&config)};
	EXPECT_EQ(t, fake_device_offer(w->g, &w->d[0], 1, 0), 0);
	EXPECT_EQ(t, fake_device_offer(w->g, &w->d[1], 2, VMBUS_OFFER_REQUEST_MONITOR), 0);
	EXPECT_EQ(t, fake_guest_connect(w->g, version), 1);
	w->page = fake_guest_page(w->g, w->g->monitor_gpa[1] >> GMEM_PAGE_SHIFT);
	EXPECT(t, fake_guest_request_offers(w->g));
}

static void end(struct world *w)
{
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
}

static void test_who_is_monitored(struct test *t)
{
	static const struct {
		uint32_t version;
		bool monitor, first, second;
	} cases[] = {
		{VERSION_WS2008, true, true, true},  {VERSION_WIN7, true, true, true},
		{VERSION_WIN8, true, false, true},   {VERSION_WIN10_V5_3, true, false, true},
		{VERSION_WIN7, false, false, false}, {VERSION_WIN10_V5_3, false, false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		start(t, &w, cases[i].version, cases[i].monitor);
		EXPECT_EQ(t, find(&w, 1)->message.monitor_allocated, cases[i].first);
		EXPECT_EQ(t, find(&w, 2)->message.monitor_allocated, cases[i].second);
		EXPECT_EQ(t, find(&w, 2)->message.monitor_id, cases[i].first);
		EXPECT_EQ(t, w.page->trigger_state, cases[i].second);
		EXPECT_EQ(t, w.page->latency_100ns[0][0] != 0, cases[i].second);
		EXPECT_EQ(t, fake_guest_open(w.g, find(&w, 2), 4, 4, 0, &w.ch), 0);
		EXPECT_EQ(t, w.g->poll_at_ns != UINT64_MAX, cases[i].second);
		end(&w);
	}
}

static void test_signals(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3, true);
	EXPECT_EQ(t, w.g->poll_at_ns, UINT64_MAX); /* nothing open: nothing to look at */
	EXPECT_EQ(t, fake_guest_open(w.g, find(&w, 2), 4, 4, 0, &w.ch), 0);
	EXPECT(t, w.g->poll_at_ns != UINT64_MAX);
	EXPECT(t, fake_guest_send(&w.ch, 1, "x", 1));
	fake_guest_run(w.g);
	EXPECT_EQ(t, w.d[1].signals, 0); /* not yet */
	w.g->now_ns = w.g->poll_at_ns;
	fake_guest_run(w.g);
	EXPECT_EQ(t, w.d[1].signals, 1);
	EXPECT_EQ(t, w.page->trigger_group[0].pending, 0);
	w.page->trigger_group[0].pending = 0xfffffffe; /* bits of nobody */
	w.page->trigger_group[3].pending = 1;
	w.g->now_ns = w.g->poll_at_ns;
	fake_guest_run(w.g);
	EXPECT_EQ(t, w.d[1].signals, 1);
	EXPECT_EQ(t, w.page->trigger_group[3].pending, 0);
	EXPECT(t, fake_guest_close(&w.ch));
	EXPECT_EQ(t, w.g->poll_at_ns, UINT64_MAX);
	end(&w);
}

static uint64_t next_look(struct world *w, bool busy)
{
	uint64_t before;

	w->page->trigger_group[0].pending = busy;
	w->g->now_ns = w->g->poll_at_ns;
	before = w->g->now_ns;
	fake_guest_run(w->g);
	return w->g->poll_at_ns - before;
}

/* The hint while there is work, less often without, at least once a millisecond. Silly hints have bounds. */
static void test_latency(struct test *t)
{
	static const struct {
		uint16_t hint;
		uint64_t busy_ns, idle_ns;
	} cases[] = {
		{1000, 100000, 1000000}, {0, 20000, 1000000},	    {200, 20000, 1000000},
		{500, 50000, 1000000},	 {30000, 3000000, 3000000}, {65535, 6553500, 6553500},
	};
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3, true);
	EXPECT_EQ(t, fake_guest_open(w.g, find(&w, 2), 4, 4, 0, &w.ch), 0);
	EXPECT_EQ(t, w.page->latency_100ns[0][0], 1000);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t now, before = 0;

		w.page->latency_100ns[0][0] = cases[i].hint;
		EXPECT_EQ(t, next_look(&w, true), cases[i].busy_ns);
		EXPECT_EQ(t, next_look(&w, true), cases[i].busy_ns);
		for (unsigned n = 0; n < 20; n++) {
			now = next_look(&w, false);
			EXPECT(t, now >= before);
			before = now;
		}
		EXPECT_EQ(t, before, cases[i].idle_ns);
	}
	end(&w);
}

static void test_ids_run_out(struct test *t)
{
	static const struct vmbus_device_ops ops = {0};
	struct vmbus_device *dev;
	unsigned with = 0;
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3, true);
	for (unsigned i = 0; i < 200; i++) {
		struct vmbus_offer offer = {.instance = {{(uint8_t)i, 7}},
					    .flags = VMBUS_OFFER_REQUEST_MONITOR,
					    .name = "many"};

		EXPECT_EQ(t, vmbus_device_offer(w.g->bus, &offer, &ops, NULL, &dev), 0);
	}
	for (unsigned i = 0; i < w.g->offer_count; i++) {
		with += w.g->offers[i].message.monitor_allocated;
	}
	EXPECT_EQ(t, with, 128); /* the others signal by hypercall */
	EXPECT_EQ(t, w.page->trigger_state, 0xf);
	EXPECT_EQ(t, fake_guest_connect(w.g, VERSION_WIN10_V5_3), 1); /* and all come back */
	EXPECT(t, fake_guest_request_offers(w.g));
	EXPECT(t, find(&w, 2)->message.monitor_allocated);
	end(&w);
}

static void test_pages_must_be_memory(struct test *t)
{
	static const uint64_t bad[][2] = {
		{0x1000, UINT64_C(1) << 36}, {0x1010, 0x2000}, {0x1000, 0x2008}};
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3, true);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		w.g->monitor_gpa[0] = bad[i][0];
		w.g->monitor_gpa[1] = bad[i][1];
		EXPECT_EQ(t, fake_guest_connect(w.g, VERSION_WIN10_V5_3), 1);
		EXPECT_EQ(t, vmbus_version(w.g->bus), 0); /* state: failed */
	}
	w.g->monitor_gpa[0] = w.g->monitor_gpa[1] = 0; /* none at all is fine */
	EXPECT_EQ(t, fake_guest_connect(w.g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(w.g));
	EXPECT(t, !find(&w, 2)->message.monitor_allocated);
	end(&w);
}

/* After UNLOAD nothing of the guest's memory is looked at. */
static void test_not_after_unload(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3, true);
	EXPECT_EQ(t, fake_guest_open(w.g, find(&w, 2), 4, 4, 0, &w.ch), 0);
	EXPECT(t, fake_guest_unload(w.g));
	w.page->trigger_group[0].pending = 1;
	w.g->now_ns += 1000000000;
	fake_guest_run(w.g);
	EXPECT_EQ(t, w.page->trigger_group[0].pending, 1);
	EXPECT_EQ(t, w.g->poll_at_ns, UINT64_MAX);
	end(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_who_is_monitored),
		TEST(test_signals),
		TEST(test_latency),
		TEST(test_ids_run_out),
		TEST(test_pages_must_be_memory),
		TEST(test_not_after_unload),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
