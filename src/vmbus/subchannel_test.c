// SPDX-License-Identifier: Apache-2.0
/* Subchannels: asked for, opened, gone with their primary channel. */
#include "offer_test.h"

#include <errno.h>

/* ---- Subchannels ---- */

struct answer {
	unsigned calls;
	int result;
};

static void on_answer(void *ctx, int result)
{
	struct answer *a = ctx;

	a->calls++;
	a->result = result;
}

static void open_with_subs(struct test *t, struct fake_guest *g, struct fake_device *d,
			   uint32_t count, struct fake_guest_channel *chs)
{
	struct answer a = {0};

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &chs[0]), 0);
	vmbus_request_subchannels(d->channels[0], count, on_answer, &a);
	EXPECT_EQ(t, a.calls, 0);
	fake_guest_run(g);
	EXPECT_EQ(t, a.calls, 1);
	EXPECT_EQ(t, a.result, 0);
	for (uint32_t i = 1; i <= count; i++) {
		struct fake_guest_message m;

		EXPECT(t, fake_guest_take(g, CHANNELMSG_OFFERCHANNEL, &m)); /* in order */
		EXPECT_EQ(t, m.offer.subchannel_index, i);
		EXPECT_EQ(t, fake_guest_open(g, find(g, 1, i), 3, 3, i % 4, &chs[i]), 0);
	}
}

static void test_subchannels(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN8);
	struct fake_guest_channel chs[4];

	for (unsigned round = 0; round < 3; round++) {
		uint32_t relids[4];

		open_with_subs(t, g, &d, 3, chs);
		for (uint32_t i = 0; i < 4; i++) {
			relids[i] = chs[i].offer.relid;
			EXPECT_EQ(t, vmbus_channel_index(d.channels[i]), i);
			EXPECT_EQ(t, vmbus_channel_relid(d.channels[i]), relids[i]);
			EXPECT(t, fake_guest_send(&chs[i], i, "x", 1));
		}
		/* as Linux: subchannels first, each with its teardown */
		for (uint32_t i = 1; i < 4; i++) {
			EXPECT(t, fake_guest_close(&chs[i]));
		}
		EXPECT(t, !fake_guest_take(g, CHANNELMSG_RESCIND_CHANNELOFFER, NULL));
		EXPECT(t, fake_guest_close(&chs[0]));
		for (uint32_t i = 1; i < 4; i++) {
			EXPECT(t, take_rescind(g, relids[i]));
			fake_guest_release(g, relids[i]);
		}
		EXPECT_EQ(t, g->offer_count, 1);
	}
	EXPECT_EQ(t, d.signals, 12);
	EXPECT_EQ(t, g->log_lines, 0);
	fake_guest_destroy(g);
}

/* A guest that closes channel 0 alone takes the others along, and they are told first. */
static void test_primary_takes_subchannels(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel chs[3];

	open_with_subs(t, g, &d, 2, chs);
	d.slow_close = true;
	fake_guest_post_close(&chs[0]);
	EXPECT_EQ(t, d.closes, 3);
	EXPECT_MEM(t, d.order, "120", 3);
	fake_device_closed(&d, 0);
	fake_device_closed(&d, 2);
	fake_guest_run(g);
	EXPECT_EQ(t, g->inbox_count, 0); /* one still uses its ring */
	fake_device_closed(&d, 1);
	fake_guest_run(g);
	EXPECT(t, take_rescind(g, chs[1].offer.relid));
	EXPECT(t, take_rescind(g, chs[2].offer.relid));

	/* the guest may start over before it has released them */
	d.slow_close = false;
	struct fake_guest_channel again[3];

	open_with_subs(t, g, &d, 2, again);
	EXPECT(t, again[1].offer.relid != chs[1].offer.relid);
	fake_guest_release(g, chs[1].offer.relid);
	fake_guest_release(g, chs[2].offer.relid);
	EXPECT(t, fake_guest_send(&again[1], 1, "x", 1));
	for (unsigned i = 0; i < 3; i++) {
		fake_guest_abandon(&chs[i]);
		fake_guest_abandon(&again[i]);
	}
	fake_guest_destroy(g);
}

/*
 * Channel 0 is opened again before its subchannels have let go (itself, perhaps, has): it waits for them, and they are rescinded before the
 * answer.
 */
static void reopen_waits(struct test *t, bool let_go_before_open)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel chs[3], again[3];

	open_with_subs(t, g, &d, 2, chs);
	d.slow_close = true;
	fake_guest_post_close(&chs[0]);
	EXPECT_EQ(t, fake_guest_prepare(g, find(g, 1, 0), 4, 4, &again[0]), 0);
	if (let_go_before_open) {
		fake_device_closed(&d, 0);
		fake_guest_run(g);
	}
	fake_guest_post_open(&again[0], 0);
	if (!let_go_before_open) {
		fake_device_closed(&d, 0);
	}
	fake_device_closed(&d, 1);
	fake_guest_run(g);
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT_EQ(t, d.opens, 3);
	fake_device_closed(&d, 2);
	fake_guest_run(g);
	EXPECT_EQ(t, d.opens, 4);
	EXPECT_EQ(t, g->inbox_count, 3);
	EXPECT_EQ(t, g->inbox[2].header.type, CHANNELMSG_OPENCHANNEL_RESULT);
	EXPECT_EQ(t, g->inbox[2].open_result.status, 0);
	EXPECT(t, take_rescind(g, chs[1].offer.relid));
	EXPECT(t, take_rescind(g, chs[2].offer.relid));
	fake_guest_forget_inbox(g);
	EXPECT(t, fake_guest_send(&again[0], 1, "x", 1));
	EXPECT_EQ(t, vmbus_device_offer_subchannels(d.dev, 2), 0);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 2), 3, 3, 0, &again[2]), 0);
	d.slow_close = false;
	EXPECT(t, fake_guest_unload(g));
	fake_guest_abandon(&chs[0]);
	fake_guest_abandon(&chs[1]);
	fake_guest_abandon(&chs[2]);
	fake_guest_abandon(&again[0]);
	fake_guest_abandon(&again[2]);
	fake_guest_destroy(g);
}

static void test_reopen_waits_for_subchannels(struct test *t)
{
	reopen_waits(t, false);
	reopen_waits(t, true);
}

/* The open that waits for subchannels is taken back by a close: an answer says so, and the next open works. */
static void test_reopen_taken_back(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel chs[3], again;
	struct fake_guest_message m;

	open_with_subs(t, g, &d, 2, chs);
	d.slow_close = true;
	fake_guest_post_close(&chs[0]);
	fake_device_closed(&d, 0);
	EXPECT_EQ(t, fake_guest_prepare(g, find(g, 1, 0), 4, 4, &again), 0);
	fake_guest_post_open(&again, 0);
	fake_guest_post_close(&again);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_OPENCHANNEL_RESULT, &m));
	EXPECT_EQ(t, m.open_result.status, VMBUS_STATUS_UNEXPECTED);
	d.slow_close = false;
	fake_device_closed(&d, 1);
	fake_device_closed(&d, 2);
	fake_guest_run(g);
	EXPECT_EQ(t, d.opens, 3);
	EXPECT(t, take_rescind(g, chs[1].offer.relid));
	EXPECT(t, take_rescind(g, chs[2].offer.relid));
	fake_guest_post_open(&again, 0);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_OPENCHANNEL_RESULT, &m));
	EXPECT_EQ(t, m.open_result.status, 0);
	EXPECT(t, fake_guest_unload(g));
	for (int i = 0; i < 3; i++) {
		fake_guest_abandon(&chs[i]);
	}
	fake_guest_abandon(&again);
	fake_guest_destroy(g);
}

static void test_subchannels_refused(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel chs[3];
	struct answer a = {0};

	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 1), (uint32_t)-ENODEV);
	open_with_subs(t, g, &d, 1, chs);
	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 1), (uint32_t)-EBUSY);
	EXPECT(t, fake_guest_close(&chs[1]));
	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 1), (uint32_t)-EBUSY);
	EXPECT(t, fake_guest_close(&chs[0]));
	EXPECT(t, take_rescind(g, 2));
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &chs[0]), 0);
	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 5000), (uint32_t)-ENOSPC);
	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 2046), (uint32_t)-ENOSPC);
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT_EQ(t, vmbus_device_offer_subchannels(d.dev, 2045), 0);
	EXPECT_EQ(t, g->inbox_count, 2045);
	fake_guest_forget_inbox(g);

	/* asked for, and then closed before the bus looks */
	EXPECT(t, fake_guest_close(&chs[0]));
	fake_guest_forget_inbox(g);
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &chs[0]), 0);
	vmbus_request_subchannels(d.channels[0], 1, on_answer, &a);
	const struct vmbus_relid_message m = {.header.type = CHANNELMSG_CLOSECHANNEL, .relid = 1};

	vmbus_message(g->bus, 4, &m, sizeof(m));
	fake_guest_run(g);
	EXPECT_EQ(t, a.calls, 1);
	EXPECT_EQ(t, (uint32_t)a.result, (uint32_t)-ENODEV);
	fake_guest_abandon(&chs[0]);
	fake_guest_destroy(g);
}

static void test_subchannels_of_old_guest(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN7);
	struct fake_guest_channel ch;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &ch), 0);
	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 1), (uint32_t)-ENOTSUP);
	EXPECT(t, fake_guest_close(&ch));
	fake_guest_destroy(g);
}

static void test_rescind_with_subchannels(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel chs[3];

	open_with_subs(t, g, &d, 2, chs);
	fake_device_rescind(&d);
	fake_guest_run(g);
	EXPECT_MEM(t, d.order, "120", 3);
	EXPECT(t, take_rescind(g, chs[1].offer.relid));
	EXPECT(t, take_rescind(g, chs[2].offer.relid));
	EXPECT(t, take_rescind(g, 1));
	fake_guest_release(g, 1); /* in whatever order */
	fake_guest_release(g, chs[2].offer.relid);
	EXPECT_EQ(t, d.gone, 0);
	fake_guest_release(g, chs[1].offer.relid);
	EXPECT_EQ(t, d.gone, 1);
	for (unsigned i = 0; i < 3; i++) {
		fake_guest_abandon(&chs[i]);
	}
	fake_guest_destroy(g);
}

/* A subchannel that the guest gives back is gone; the others stay. */
static void test_release_of_subchannel(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel chs[3];
	uint32_t relid;

	open_with_subs(t, g, &d, 2, chs);
	relid = chs[1].offer.relid;
	EXPECT(t, fake_guest_close(&chs[1]));
	fake_guest_release(g, relid);
	EXPECT(t, !g->connections[CONNECTION_BASE + relid]);
	EXPECT(t, fake_guest_send(&chs[2], 1, "x", 1));
	EXPECT(t, fake_guest_unload(g));
	EXPECT_EQ(t, d.closes, 3);
	fake_guest_abandon(&chs[0]);
	fake_guest_abandon(&chs[2]);
	fake_guest_destroy(g);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_subchannels),
		TEST(test_primary_takes_subchannels),
		TEST(test_reopen_waits_for_subchannels),
		TEST(test_reopen_taken_back),
		TEST(test_subchannels_refused),
		TEST(test_subchannels_of_old_guest),
		TEST(test_rescind_with_subchannels),
		TEST(test_release_of_subchannel),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
