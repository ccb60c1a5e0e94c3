// SPDX-License-Identifier: Apache-2.0
/* Where a channel's interrupts go: none, another VP, a reserved channel's own. */
#include "open_test.h"

static void flush_one(struct vmbus_channel *ch)
{
	static char data[8] = "data";
	const struct io_vec v = {data, sizeof(data)};

	vmbus_ring_write(ch, VMBUS_PACKET_DATA_INBAND, false, 0, &v, 1);
	vmbus_ring_flush(ch);
}

static void test_no_interrupts(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, VMBUS_NO_INTERRUPTS_VP, &w.ch), 0);
	EXPECT_EQ(t, vmbus_channel_target_vp(w.d.channels[0]), VMBUS_NO_INTERRUPTS_VP);
	flush_one(w.d.channels[0]);
	for (w.ch.vp = 0; w.ch.vp < FAKE_GUEST_VPS; w.ch.vp++) {
		EXPECT_EQ(t, fake_guest_interrupts(&w.ch), 0);
	}
	w.ch.vp = 0;
	end(&w);
}

static void modify(struct world *w, uint32_t vp)
{
	const struct vmbus_modify_channel m = {.header.type = CHANNELMSG_MODIFYCHANNEL,
					       .relid = w->ch.offer.relid,
					       .target_vp = vp};

	fake_guest_post(w->g, &m, sizeof(m));
}

static void test_modify(struct test *t)
{
	struct fake_guest_message r;
	struct world w;
	uint64_t buf[16];

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 1, &w.ch), 0);
	modify(&w, 3);
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, &r));
	EXPECT_EQ(t, r.modify.relid, 1);
	EXPECT_EQ(t, r.modify.status, 0);
	EXPECT_EQ(t, w.d.target_vp, 3);
	EXPECT_EQ(t, fake_guest_interrupts(&w.ch), 0); /* VP 1 */
	w.ch.vp = 3;
	EXPECT_EQ(t, fake_guest_interrupts(&w.ch), 1); /* what VP 1 may have lost */
	flush_one(w.d.channels[0]);
	EXPECT_EQ(t, fake_guest_interrupts(&w.ch), 1);
	EXPECT(t, fake_guest_read(&w.ch, buf, sizeof(buf)) != 0);

	modify(&w, 4); /* no such VP: all stays */
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, &r));
	EXPECT_EQ(t, r.modify.status, VMBUS_STATUS_UNEXPECTED);
	modify(&w, VMBUS_NO_INTERRUPTS_VP);
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_MODIFYCHANNEL_RESPONSE, &r));
	EXPECT_EQ(t, r.modify.status, VMBUS_STATUS_UNEXPECTED);
	EXPECT_EQ(t, vmbus_channel_target_vp(w.d.channels[0]), 3);
	end(&w);
}

/* Before 5.3 there is no answer; several may be under way, the last counts. */
static void test_modify_unanswered(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V4_1);
	EXPECT_EQ(t, fake_guest_open(w.g, &w.offer, 4, 4, 0, &w.ch), 0);
	modify(&w, 1);
	modify(&w, 2);
	EXPECT_EQ(t, w.g->inbox_count, 0);
	EXPECT_EQ(t, vmbus_channel_target_vp(w.d.channels[0]), 2);
	end(&w);
}

/* ---- Reserved channels ---- */

static void open_reserved(struct world *w, uint32_t vp, uint32_t sint)
{
	const struct vmbus_open_reserved m = {
		.header.type = CHANNELMSG_OPEN_RESERVED_CHANNEL,
		.relid = w->ch.offer.relid,
		.target_vp = vp,
		.target_sint = sint,
		.ring_gpadl = w->ch.gpadl,
		.downstream_page = w->ch.out_pages,
	};

	fake_guest_post(w->g, &m, sizeof(m));
}

static void close_reserved(struct world *w, uint32_t vp, uint32_t sint)
{
	const struct vmbus_close_reserved m = {
		.header.type = CHANNELMSG_CLOSE_RESERVED_CHANNEL,
		.relid = w->ch.offer.relid,
		.target_vp = vp,
		.target_sint = sint,
	};

	fake_guest_post(w->g, &m, sizeof(m));
}

static void test_reserved(struct test *t)
{
	struct fake_guest_message r;
	struct world w;

	start(t, &w, VERSION_WIN10);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &w.ch), 0);
	open_reserved(&w, 0, 16); /* no such SINT: nothing happens, there is no answer */
	EXPECT_EQ(t, w.d.opens, 0);
	open_reserved(&w, 3, 2);
	EXPECT_EQ(t, w.g->inbox_count, 0);
	EXPECT_EQ(t, w.d.opens, 1);
	w.ch.vp = 3;
	flush_one(w.d.channels[0]);
	EXPECT_EQ(t, fake_guest_interrupts(&w.ch), 1);
	w.d.slow_close = true;
	close_reserved(&w, 2, 7);
	EXPECT_EQ(t, w.g->inbox_count, 0);
	fake_device_closed(&w.d, 0);
	fake_guest_run(w.g);
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_CLOSE_RESERVED_RESPONSE, &r));
	EXPECT_EQ(t, r.relid.relid, 1);
	EXPECT_EQ(t, r.vp, 2);
	EXPECT_EQ(t, r.sint, 7);
	end(&w);
}

/* A crash dump is written through it after everything else was unloaded. */
static void test_reserved_outlives_unload(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &w.ch), 0);
	open_reserved(&w, 1, 2);
	EXPECT(t, fake_guest_unload(w.g));
	EXPECT_EQ(t, w.d.closes, 0);
	w.ch.vp = 1;
	EXPECT(t, fake_guest_send(&w.ch, 1, "dump", 4));
	EXPECT_EQ(t, w.d.signals, 1);
	flush_one(w.d.channels[0]);
	EXPECT_EQ(t, fake_guest_interrupts(&w.ch), 1);
	close_reserved(&w, 1, 2);
	EXPECT(t, fake_guest_take(w.g, CHANNELMSG_CLOSE_RESERVED_RESPONSE, NULL));
	EXPECT(t, vmbus_quiet(w.g->bus));
	EXPECT_EQ(t, fake_guest_connect(w.g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(w.g));
	end(&w);
}

/* The next kernel finds nothing open. */
static void test_reserved_ends_with_contact(struct test *t)
{
	struct world w;

	start(t, &w, VERSION_WIN10_V5_3);
	EXPECT_EQ(t, fake_guest_prepare(w.g, &w.offer, 4, 4, &w.ch), 0);
	open_reserved(&w, 1, 2);
	EXPECT(t, fake_guest_unload(w.g));
	EXPECT_EQ(t, fake_guest_connect(w.g, VERSION_WIN10_V5_3), 1);
	EXPECT_EQ(t, w.d.closes, 1);
	EXPECT(t, vmbus_quiet(w.g->bus));
	end(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_no_interrupts),
		TEST(test_modify),
		TEST(test_modify_unanswered),
		TEST(test_reserved),
		TEST(test_reserved_outlives_unload),
		TEST(test_reserved_ends_with_contact),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
