// SPDX-License-Identifier: Apache-2.0
/* Offers: what they say to each version, hot add and removal, relids. */
#include "offer_test.h"

#include <errno.h>

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
	};

	return test_main(cases, ARRAY_LEN(cases));
}
