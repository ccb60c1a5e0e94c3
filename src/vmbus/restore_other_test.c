// SPDX-License-Identifier: Apache-2.0
/* Saved buses that are not like the new one: devices gone or added, nobody connected, reserved channels, damage. */
#include "restore_test.h"

/* Removed before, not released yet: the new bus has no such device, but the relid is taken until the guest lets go. */
static void test_rescinded_device(struct test *t)
{
	struct fake_device d[3];
	struct fake_guest *g = start(t, d, 3, VERSION_WIN10_V5_3, false);
	struct saved s;

	fake_device_rescind(&d[2]);
	fake_guest_run(g);
	fake_guest_forget_inbox(g);
	s = save(t, g->bus);
	replace_bus(t, g, d, 2, false);
	EXPECT(t, restore(g->bus, &s));
	fake_guest_run(g);
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT(t, g->connections[0x2003]);
	EXPECT_EQ(t, (uint32_t)fake_device_offer(g, &d[2], 3, 0), (uint32_t)-EEXIST);
	fake_guest_release(g, 3);
	EXPECT(t, !g->connections[0x2003]);
	EXPECT_EQ(t, fake_device_offer(g, &d[2], 3, 0), 0);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_OFFERCHANNEL, NULL));
	free(s.buf);
	fake_guest_destroy(g);
}

/* A device more than before is a hot added one; a device less cannot be. */
static void test_other_devices(struct test *t)
{
	struct fake_device d[3];
	struct fake_guest *g = start(t, d, 2, VERSION_WIN10_V5_3, false);
	struct fake_guest_message m;
	struct saved s = save(t, g->bus);

	replace_bus(t, g, d, 3, false);
	EXPECT(t, restore(g->bus, &s));
	EXPECT(t, fake_guest_take(g, CHANNELMSG_OFFERCHANNEL, &m));
	EXPECT_EQ(t, m.offer.instance.bytes[0], 3);
	EXPECT_EQ(t, m.offer.relid, 3);
	EXPECT_EQ(t, g->inbox_count, 0);
	replace_bus(t, g, d, 1, false);
	EXPECT(t, !restore(g->bus, &s));
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT_EQ(t, g->offer_count, 1);
	free(s.buf);
	fake_guest_destroy(g);
}

static void test_queued_messages(struct test *t)
{
	struct fake_device d[2];
	struct fake_guest *g = start(t, d, 2, VERSION_WIN10_V5_3, false);
	struct fake_guest_message m;
	struct saved s;

	g->deaf = true;
	for (uint32_t id = 1; id <= 3; id++) {
		EXPECT(t, !fake_guest_teardown(g, 1, id));
	}
	s = save(t, g->bus);
	replace_bus(t, g, d, 2, false);
	EXPECT(t, restore(g->bus, &s));
	g->deaf = false;
	fake_guest_run(g);
	for (uint32_t id = 1; id <= 3; id++) {
		EXPECT(t, fake_guest_take(g, CHANNELMSG_GPADL_TORNDOWN, &m));
		EXPECT_EQ(t, m.torndown.gpadl, id);
	}
	free(s.buf);
	fake_guest_destroy(g);
}

static void test_not_connected(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);
	struct fake_device d[1] = {0};
	struct saved s;

	EXPECT_EQ(t, fake_device_offer(g, &d[0], 1, 0), 0);
	s = save(t, g->bus);
	replace_bus(t, g, d, 1, false);
	EXPECT(t, restore(g->bus, &s));
	EXPECT_EQ(t, vmbus_version(g->bus), 0);
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN8), 1);
	EXPECT(t, !restore(g->bus, &s)); /* only a fresh bus */
	EXPECT_EQ(t, vmbus_version(g->bus), VERSION_WIN8);
	free(s.buf);
	fake_guest_destroy(g);
}

static void test_monitored(struct test *t)
{
	struct fake_device d[2];
	struct fake_guest *g = start(t, d, 2, VERSION_WIN7, true);
	struct fake_guest_channel ch;
	struct saved s;

	EXPECT(t, find(g, 2, 0)->message.monitor_allocated);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 2, 0), 3, 3, 0, &ch), 0);
	s = save(t, g->bus);
	replace_bus(t, g, d, 2, false);
	EXPECT(t, !restore(g->bus, &s)); /* the guest signals where this bus does not look */
	replace_bus(t, g, d, 2, true);
	EXPECT(t, restore(g->bus, &s));
	g->now_ns += 20000000;
	EXPECT(t, fake_guest_send(&ch, 5, "x", 1));
	fake_guest_run(g);
	EXPECT_EQ(t, d[1].signals, 1);
	EXPECT_EQ(t, vmbus_channel_relid(d[1].channels[0]), ch.offer.relid);
	free(s.buf);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

static void test_reserved(struct test *t)
{
	struct fake_device d[1];
	struct fake_guest *g = start(t, d, 1, VERSION_WIN10, false);
	struct fake_guest_channel ch;
	struct saved s;

	EXPECT_EQ(t, fake_guest_prepare(g, find(g, 1, 0), 3, 3, &ch), 0);
	const struct vmbus_open_reserved open = {.header.type = CHANNELMSG_OPEN_RESERVED_CHANNEL,
						 .relid = 1,
						 .target_sint = 4,
						 .ring_gpadl = ch.gpadl,
						 .downstream_page = 3};
	const struct vmbus_close_reserved close = {
		.header.type = CHANNELMSG_CLOSE_RESERVED_CHANNEL, .relid = 1, .target_sint = 4};

	fake_guest_post(g, &open, sizeof(open));
	EXPECT(t, fake_guest_unload(g));
	s = save(t, g->bus);
	replace_bus(t, g, d, 1, false);
	EXPECT(t, restore(g->bus, &s));
	EXPECT_EQ(t, d[0].opens, 1);
	ping(t, &d[0], 0, &ch);
	fake_guest_post(g, &close, sizeof(close));
	EXPECT(t, fake_guest_take(g, CHANNELMSG_CLOSE_RESERVED_RESPONSE, NULL));
	EXPECT(t, vmbus_quiet(g->bus));
	free(s.buf);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

static void test_device_refuses(struct test *t)
{
	struct fake_device d[2];
	struct fake_guest *g = start(t, d, 2, VERSION_WIN10_V5_3, false);
	struct fake_guest_channel ch[2];
	struct saved s;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 3, 3, 0, &ch[0]), 0);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 2, 0), 3, 3, 0, &ch[1]), 0);
	s = save(t, g->bus);
	replace_bus(t, g, d, 2, false);
	d[0].open_status = 1;
	EXPECT(t, !restore(g->bus, &s));
	EXPECT_EQ(t, d[1].opens, d[1].closes);
	EXPECT(t, vmbus_quiet(g->bus));
	d[0].open_status = 0;
	EXPECT(t, restore(g->bus, &s)); /* as good as new */
	ping(t, &d[0], 0, &ch[0]);
	ping(t, &d[1], 0, &ch[1]);
	free(s.buf);
	fake_guest_abandon(&ch[0]);
	fake_guest_abandon(&ch[1]);
	fake_guest_destroy(g);
}

/* Cut anywhere, or with any one byte wrong: restored or refused, and in both cases a bus that works. */
static void test_torn(struct test *t)
{
	struct fake_device d[2];
	struct fake_guest *g = start(t, d, 2, VERSION_WIN10_V5_3, false);
	struct fake_guest_channel ch[2];
	unsigned restored = 0;
	struct saved s;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 3, 3, 0, &ch[0]), 0);
	EXPECT_EQ(t, vmbus_device_offer_subchannels(d[0].dev, 1), 0);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 1), 3, 3, 1, &ch[1]), 0);
	fake_guest_forget_inbox(g);
	s = save(t, g->bus);
	size_t bytes = s.bytes;

	for (s.bytes = 0; s.bytes < bytes; s.bytes += 7) {
		replace_bus(t, g, d, 2, false);
		EXPECT(t, !restore(g->bus, &s));
		EXPECT(t, vmbus_quiet(g->bus));
	}
	s.bytes = bytes;
	for (size_t i = 0; i < bytes; i++) {
		for (unsigned bit = 0; bit < 8; bit += 3) {
			s.buf[i] ^= (uint8_t)(1 << bit);
			replace_bus(t, g, d, 2, false);
			restored += restore(g->bus, &s);
			s.buf[i] ^= (uint8_t)(1 << bit);
			EXPECT(t, fake_guest_connect(g, VERSION_WIN10_V5_3) == 1);
			EXPECT(t, fake_guest_request_offers(g));
			EXPECT(t, g->offer_count == 2);
			fake_guest_forget_inbox(g);
		}
	}
	EXPECT(t, restored != 0); /* user data and the like */
	free(s.buf);
	fake_guest_abandon(&ch[0]);
	fake_guest_abandon(&ch[1]);
	fake_guest_destroy(g);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_rescinded_device), TEST(test_other_devices), TEST(test_queued_messages),
		TEST(test_not_connected),    TEST(test_monitored),     TEST(test_reserved),
		TEST(test_device_refuses),   TEST(test_torn),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
