// SPDX-License-Identifier: Apache-2.0
/* Offers: what they say to each version, hot add and removal, relids, subchannels. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

#define CONNECTION_BASE 0x2000u

static struct fake_guest *start(struct test *t, struct fake_device *d, uint32_t version)
{
	struct fake_guest *g = fake_guest_create(NULL);

	*d = (struct fake_device){0};
	EXPECT_EQ(t, fake_device_offer(g, d, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(g, version), 1);
	EXPECT(t, fake_guest_request_offers(g));
	return g;
}

static struct fake_guest_offer *find(struct fake_guest *g, uint8_t number, uint32_t index)
{
	struct guid instance = fake_device_instance(number);

	return fake_guest_find(g, &instance, index);
}

static bool take_rescind(struct fake_guest *g, uint32_t relid)
{
	struct fake_guest_message r;

	return fake_guest_take(g, CHANNELMSG_RESCIND_CHANNELOFFER, &r) && r.relid.relid == relid;
}

static void test_offer_fields(struct test *t)
{
	static const uint32_t versions[] = {VERSION_WS2008, VERSION_WIN7, VERSION_WIN8,
					    VERSION_WIN10_V5_3};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct fake_device d;
		struct fake_guest *g = start(t, &d, versions[i]);
		struct vmbus_offer_channel *m = &find(g, 1, 0)->message;
		bool shared = versions[i] == VERSION_WS2008;

		EXPECT_EQ(t, m->type.bytes[0], 0xfa);
		EXPECT_EQ(t, m->user[0], 1);
		EXPECT_EQ(t, m->user[3], 3);
		EXPECT_EQ(t, m->relid, 1);
		EXPECT_EQ(t, m->subchannel_index, 0);
		EXPECT_EQ(t, m->monitor_allocated, 0);
		EXPECT_EQ(t, m->is_dedicated_interrupt, !shared);
		EXPECT_EQ(t, m->connection_id, shared ? 2 : CONNECTION_BASE + 1);
		EXPECT(t, g->connections[m->connection_id]);
		EXPECT(t, shared == g->connections[2]);
		fake_guest_destroy(g);
	}
}

static void test_same_device_twice(struct test *t)
{
	struct fake_device d, e = {0}, f = {0};
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);

	EXPECT_EQ(t, (uint32_t)fake_device_offer(g, &e, 1, 0), (uint32_t)-EEXIST);
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT_EQ(t, fake_device_offer(g, &f, 2, 0), 0); /* hot added: offered at once */
	EXPECT(t, fake_guest_take(g, CHANNELMSG_OFFERCHANNEL, NULL));
	EXPECT(t, !fake_guest_take(g, CHANNELMSG_ALLOFFERS_DELIVERED, NULL));
	fake_guest_destroy(g);
}

static void test_no_event_connection(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_device e = {0};
	struct fake_guest_channel ch;

	g->event_open_fails = 1;
	EXPECT_EQ(t, (uint32_t)fake_device_offer(g, &e, 2, 0), (uint32_t)-EIO);
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT_EQ(t, fake_device_offer(g, &e, 2, 0), 0);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_OFFERCHANNEL, NULL));

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &ch), 0);
	g->event_open_fails = 3; /* all subchannels or none */
	EXPECT_EQ(t, (uint32_t)vmbus_device_offer_subchannels(d.dev, 3), (uint32_t)-EIO);
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT_EQ(t, vmbus_device_offer_subchannels(d.dev, 3), 0);
	EXPECT_EQ(t, g->inbox_count, 3);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

static void test_rescind_closed(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_device e = {0};

	fake_device_rescind(&d);
	fake_guest_run(g);
	EXPECT(t, take_rescind(g, 1));
	EXPECT_EQ(t, d.gone, 0);
	EXPECT_EQ(t, (uint32_t)fake_device_offer(g, &e, 1, 0),
		  (uint32_t)-EEXIST); /* the guest still has it */
	EXPECT_EQ(t, fake_device_offer(g, &e, 2, 0), 0);
	EXPECT_EQ(t, find(g, 2, 0)->message.relid, 2); /* 1 is not free */
	fake_guest_release(g, 1);
	EXPECT_EQ(t, d.gone, 1);
	EXPECT(t, !g->connections[CONNECTION_BASE + 1]);
	EXPECT_EQ(t, fake_device_offer(g, &d, 1, 0), 0);
	EXPECT_EQ(t, find(g, 1, 0)->message.relid, 1);
	fake_guest_destroy(g);
}

static void test_rescind_unknown_to_guest(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);
	struct fake_device d = {0}, e = {0};

	EXPECT_EQ(t, fake_device_offer(g, &d, 1, 0), 0);
	fake_device_rescind(&d);
	EXPECT_EQ(t, d.gone, 0); /* not from within the call */
	fake_guest_run(g);
	EXPECT_EQ(t, d.gone, 1);
	EXPECT_EQ(t, fake_device_offer(g, &e, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3),
		  1); /* connected, offers not asked for */
	fake_device_rescind(&e);
	fake_guest_run(g);
	EXPECT_EQ(t, e.gone, 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT_EQ(t, g->offer_count, 0);
	fake_guest_destroy(g);
}

/* The device lets go of the ring before the guest hears RESCIND: it frees the ring at once then. */
static void test_rescind_open(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &ch), 0);
	d.slow_close = true;
	fake_device_rescind(&d);
	fake_guest_run(g);
	EXPECT_EQ(t, d.closes, 1);
	EXPECT_EQ(t, g->inbox_count, 0);
	fake_guest_post_open(&ch, 0); /* meanwhile: no answer, RESCIND is on its way */
	EXPECT_EQ(t, g->inbox_count, 0);
	fake_device_closed(&d, 0);
	fake_guest_run(g);
	EXPECT(t, take_rescind(g, 1));
	fake_guest_post_open(&ch, 0); /* and after it */
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT(t, fake_guest_close(&ch)); /* close and teardown are fine */
	fake_guest_release(g, 1);
	EXPECT_EQ(t, d.gone, 1);
	EXPECT_EQ(t, g->log_lines, 0);
	fake_guest_destroy(g);
}

/* Linux does not tear down the GPADLs of a rescinded channel: RELID_RELEASED does. */
static void test_release_drops_gpadls(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &ch), 0);
	fake_device_rescind(&d);
	fake_guest_run(g);
	EXPECT_EQ(t, fake_guest_gpadl(g, 1, 99, 4096, 0, ch.pfns), VMBUS_STATUS_UNEXPECTED);
	fake_guest_release(g, 1);
	EXPECT_EQ(t, d.gone, 1);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g); /* checks that no GPADL is left */
}

static void test_rescind_and_unload(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &ch), 0);
	d.slow_close = true;
	fake_device_rescind(&d);
	EXPECT(t, !fake_guest_unload(g));
	EXPECT_EQ(t, d.gone, 0);
	fake_device_closed(&d, 0);
	fake_guest_run(g);
	EXPECT_EQ(t, d.gone, 1); /* nobody is there to release it */
	EXPECT(t, fake_guest_take(g, CHANNELMSG_UNLOAD_RESPONSE, NULL));
	EXPECT_EQ(t, g->inbox_count, 0);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

/* A guest without memory for a channel releases it unasked: offered again at the next connection. */
static void test_release_of_offered(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;
	struct fake_guest_offer offer = *find(g, 1, 0);

	fake_guest_release(g, 1);
	EXPECT_EQ(t, fake_guest_prepare(g, &offer, 4, 4, &ch), VMBUS_STATUS_UNEXPECTED);
	fake_guest_abandon(&ch);
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT(t, find(g, 1, 0) != NULL);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 4, 4, 0, &ch), 0);
	const struct vmbus_relid_message m = {.header.type = CHANNELMSG_RELID_RELEASED, .relid = 1};

	fake_guest_post(g, &m, sizeof(m)); /* open: ignored */
	EXPECT(t, fake_guest_send(&ch, 1, "x", 1));
	EXPECT(t, fake_guest_close(&ch));
	fake_guest_destroy(g);
}

/* Guests before WIN8 look at 256 bits. */
static void test_relids_of_old_guests(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);
	struct fake_device *d = calloc(300, sizeof(*d));

	for (unsigned i = 0; i < 300; i++) {
		static const struct vmbus_device_ops ops = {0};
		struct vmbus_offer offer = {.instance = {{(uint8_t)i, (uint8_t)(i >> 8), 9}},
					    .name = "many"};

		EXPECT_EQ(t, vmbus_device_offer(g->bus, &offer, &ops, NULL, &d[i].dev), 0);
	}
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN7), 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT_EQ(t, g->offer_count, 255);
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN8), 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT_EQ(t, g->offer_count, 300);
	fake_guest_destroy(g);
	free(d);
}

static void test_relids_run_out(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);
	static const struct vmbus_device_ops ops = {0};
	struct vmbus_device *dev;

	for (unsigned i = 1; i <= 2048; i++) {
		struct vmbus_offer offer = {.instance = {{(uint8_t)i, (uint8_t)(i >> 8), 9}},
					    .name = "many"};

		EXPECT_EQ(t, (uint32_t)vmbus_device_offer(g->bus, &offer, &ops, NULL, &dev),
			  i < 2048 ? 0 : (uint32_t)-ENOSPC);
	}
	fake_guest_destroy(g);
}

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
		TEST(test_offer_fields),
		TEST(test_same_device_twice),
		TEST(test_no_event_connection),
		TEST(test_rescind_closed),
		TEST(test_rescind_unknown_to_guest),
		TEST(test_rescind_open),
		TEST(test_release_drops_gpadls),
		TEST(test_rescind_and_unload),
		TEST(test_release_of_offered),
		TEST(test_relids_of_old_guests),
		TEST(test_relids_run_out),
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
