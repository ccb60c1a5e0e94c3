// SPDX-License-Identifier: Apache-2.0
/* Saved state: a bus with everything open goes on in another one; a state that cannot be leaves the bus as after a reset. */
#include "restore_test.h"

static void test_open_channels(struct test *t)
{
	static const uint32_t versions[] = {VERSION_WS2008, VERSION_WIN7, VERSION_WIN8,
					    VERSION_WIN10_V5_3};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct fake_device d[3];
		struct fake_guest *g = start(t, d, 3, versions[i], false);
		struct fake_guest_channel ch[2];
		struct vmbus_packet p;
		uint64_t buf[64];
		struct saved s, again;

		EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 3, 3, 0, &ch[0]), 0);
		EXPECT_EQ(t, fake_guest_open(g, find(g, 2, 0), 5, 4, 2, &ch[1]), 0);
		for (uint64_t n = 0; n < 60; n++) { /* somewhere in the ring */
			ping(t, &d[1], 0, &ch[1]);
		}
		EXPECT(t, fake_guest_send(&ch[1], 1, "a", 1));
		EXPECT(t, fake_guest_send(&ch[1], 2, "b", 1));
		EXPECT(t, fake_guest_send(&ch[1], 3, "c", 1));
		EXPECT_EQ(t, vmbus_ring_read(d[1].channels[0], buf, sizeof(buf), &p),
			  VMBUS_RING_OK); /* one taken, the mask is on */
		write_host(t, d[1].channels[0], 10);
		vmbus_ring_flush(d[1].channels[0]);
		write_host(t, d[1].channels[0], 11); /* not shown yet */

		s = save(t, g->bus);
		replace_bus(t, g, d, 3, false);
		EXPECT(t, restore(g->bus, &s));
		fake_guest_run(g);
		EXPECT_EQ(t, g->inbox_count, 0);
		again = save(t, g->bus);
		EXPECT_EQ(t, vmbus_version(g->bus), versions[i]);
		EXPECT_EQ(t, d[0].opens, 1);
		EXPECT_EQ(t, d[1].opens, 1);
		EXPECT_EQ(t, d[2].opens, 0);
		EXPECT_EQ(t, d[1].user[1], 0xaa);
		expect_at_host(t, d[1].channels[0], 2);
		expect_at_host(t, d[1].channels[0], 3);
		EXPECT_EQ(t, vmbus_ring_read(d[1].channels[0], buf, sizeof(buf), &p),
			  VMBUS_RING_EMPTY);
		vmbus_ring_flush(d[1].channels[0]);
		expect_at_guest(t, &ch[1], 10);
		expect_at_guest(t, &ch[1], 11);
		ping(t, &d[1], 0, &ch[1]);
		ping(t, &d[0], 0, &ch[0]);
		EXPECT(t, fake_guest_close(&ch[0])); /* the GPADLs are there */
		EXPECT(t, fake_guest_close(&ch[1]));
		EXPECT(t, fake_guest_unload(g));
		EXPECT_EQ(t, s.bytes, again.bytes);
		free(s.buf);
		free(again.buf);
		fake_guest_destroy(g);
	}
}

/* Fills the ring to the guest; how many packets fit. */
static unsigned fill_from_host(struct vmbus_channel *ch)
{
	uint8_t big[400] = {0};
	const struct io_vec v = {big, sizeof(big)};
	unsigned n = 0;

	while (vmbus_ring_write(ch, VMBUS_PACKET_DATA_INBAND, false, n, &v, 1) == VMBUS_RING_OK) {
		n++;
	}
	return n;
}

/* Both rings full, both sides wait for room: each still hears when there is some. */
static void test_full_rings(struct test *t)
{
	static const uint32_t versions[] = {VERSION_WIN7, VERSION_WIN10_V5_3};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		bool old = versions[i] == VERSION_WIN7; /* the bus has to look for its writer */
		struct fake_device d[1];
		struct fake_guest *g = start(t, d, 1, versions[i], false);
		struct fake_guest_channel ch;
		uint64_t buf[64], sent = 0, taken = 0;
		struct vmbus_packet p;
		struct saved s;

		EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 2, 2, 0, &ch), 0);
		EXPECT(t, fill_from_host(d[0].channels[0]) > 5);
		while (fake_guest_send(&ch, sent, buf, 200)) {
			sent++;
		}
		fake_guest_set_pending(&ch, old ? 0 : 3000);
		fake_guest_interrupts(&ch);

		s = save(t, g->bus);
		replace_bus(t, g, d, 1, false);
		EXPECT(t, restore(g->bus, &s));
		fake_guest_run(g);
		EXPECT_EQ(t, fill_from_host(d[0].channels[0]), 0);
		d[0].signals = 0;
		for (unsigned n = 0; n < 3; n++) {
			EXPECT(t, fake_guest_read(&ch, buf, sizeof(buf)) != 0);
		}
		g->now_ns += old ? 2000000 : 0;
		fake_guest_run(g);
		EXPECT(t, d[0].signals >= 1);
		EXPECT(t, fill_from_host(d[0].channels[0]) >= 2);
		EXPECT_EQ(t, fake_guest_interrupts(&ch), 0);
		while (vmbus_ring_read(d[0].channels[0], buf, sizeof(buf), &p) == VMBUS_RING_OK) {
			EXPECT_EQ(t, p.transaction, taken);
			taken++;
		}
		EXPECT_EQ(t, taken, sent);
		EXPECT_EQ(t, fake_guest_interrupts(&ch), !old);
		EXPECT(t, fake_guest_close(&ch));
		EXPECT_EQ(t, g->log_lines, 0);
		free(s.buf);
		fake_guest_destroy(g);
	}
}

/* A ring that was broken stays so until the channel is opened again. */
static void test_broken_ring(struct test *t)
{
	struct fake_device d[1];
	struct fake_guest *g = start(t, d, 1, VERSION_WIN10_V5_3, false);
	struct fake_guest_channel ch, again;
	struct vmbus_packet p;
	uint64_t buf[64];
	struct saved s;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 2, 2, 0, &ch), 0);
	ch.out.control->write_index = 12345;
	EXPECT_EQ(t, vmbus_ring_read(d[0].channels[0], buf, sizeof(buf), &p), VMBUS_RING_BROKEN);
	EXPECT_EQ(t, g->log_lines, 1);
	ch.out.control->write_index = 0;

	s = save(t, g->bus);
	replace_bus(t, g, d, 1, false);
	EXPECT(t, restore(g->bus, &s));
	EXPECT_EQ(t, vmbus_ring_read(d[0].channels[0], buf, sizeof(buf), &p), VMBUS_RING_BROKEN);
	EXPECT_EQ(t, vmbus_ring_room(d[0].channels[0]), 0);
	EXPECT_EQ(t, g->log_lines, 1);
	EXPECT(t, fake_guest_close(&ch));
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 2, 2, 0, &again), 0);
	ping(t, &d[0], 0, &again);
	EXPECT(t, fake_guest_close(&again));
	free(s.buf);
	fake_guest_destroy(g);
}

/* Who sealed a ring does it again, if that is still wanted. */
static void test_sealed_ring(struct test *t)
{
	struct fake_device d[1];
	struct fake_guest *g = start(t, d, 1, VERSION_WIN10_V5_3, false);
	struct fake_guest_channel ch;
	struct vmbus_packet p;
	uint64_t buf[64];
	struct saved s;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 3, 3, 0, &ch), 0);
	ping(t, &d[0], 0, &ch);
	EXPECT(t, vmbus_ring_seal(d[0].channels[0]));
	EXPECT(t, !fake_guest_send(&ch, 1, "a", 1));
	s = save(t, g->bus);
	replace_bus(t, g, d, 1, false);
	EXPECT(t, restore(g->bus, &s));
	EXPECT_EQ(t, vmbus_ring_read(d[0].channels[0], buf, sizeof(buf), &p), VMBUS_RING_EMPTY);
	ping(t, &d[0], 0, &ch);
	EXPECT(t, fake_guest_close(&ch));
	EXPECT_EQ(t, g->log_lines, 0);
	free(s.buf);
	fake_guest_destroy(g);
}

static void test_subchannels_and_gpadls(struct test *t)
{
	struct fake_device d[2];
	struct fake_guest *g = start(t, d, 2, VERSION_WIN10_V5_3, false);
	struct fake_guest_channel ch[3];
	struct fake_guest_message m;
	uint64_t pfns[60], half[] = {(uint64_t)2 * 4096, 1};
	struct vmbus_gpadl_header header = {.header.type = CHANNELMSG_GPADL_HEADER,
					    .relid = 1,
					    .gpadl = 500,
					    .range_bytes = 24,
					    .range_count = 1};
	struct vmbus_gpadl_body body = {.header.type = CHANNELMSG_GPADL_BODY, .gpadl = 500};
	uint8_t message[64];
	struct saved s;

	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 0), 3, 3, 0, &ch[0]), 0);
	EXPECT_EQ(t, vmbus_device_offer_subchannels(d[0].dev, 3), 0);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 1), 3, 3, 1, &ch[1]), 0);
	EXPECT_EQ(t, fake_guest_open(g, find(g, 1, 2), 3, 3, 2, &ch[2]), 0);
	fake_guest_forget_inbox(g);
	fake_guest_alloc(g, 60, pfns);
	EXPECT_EQ(t, fake_guest_gpadl(g, 1, 400, 60 * 4096, 0, pfns), 0);
	EXPECT(t, vmbus_gpadl_write(d[0].channels[0], 400, 4090, "over the edge", 13));
	memcpy(message, &header, sizeof(header)); /* a GPADL with one body to come */
	memcpy(message + sizeof(header), half, 16);
	fake_guest_post(g, message, sizeof(header) + 16);

	s = save(t, g->bus);
	replace_bus(t, g, d, 2, false);
	EXPECT(t, restore(g->bus, &s));
	fake_guest_run(g);
	EXPECT_EQ(t, g->inbox_count, 0);
	for (uint32_t i = 0; i < 3; i++) {
		EXPECT_EQ(t, vmbus_channel_relid(d[0].channels[i]), ch[i].offer.relid);
		EXPECT_EQ(t, vmbus_channel_target_vp(d[0].channels[i]), i);
		ping(t, &d[0], i, &ch[i]);
	}
	EXPECT(t, vmbus_gpadl_read(d[0].channels[0], 400, 4090, message, 13));
	EXPECT_MEM(t, message, "over the edge", 13);
	memcpy(message, &body, sizeof(body));
	memcpy(message + sizeof(body), half, 8);
	fake_guest_post(g, message, sizeof(body) + 8);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_GPADL_CREATED, &m));
	EXPECT_EQ(t, m.created.status, 0);
	EXPECT(t, fake_guest_teardown(g, 1, 400));
	EXPECT(t, fake_guest_close(&ch[2]));
	EXPECT(t, fake_guest_close(&ch[1]));
	EXPECT(t, fake_guest_close(&ch[0]));
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(t, fake_guest_take(g, CHANNELMSG_RESCIND_CHANNELOFFER, NULL));
	}
	EXPECT_EQ(t, g->log_lines, 0);
	free(s.buf);
	fake_guest_destroy(g);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_open_channels),
		TEST(test_full_rings),
		TEST(test_broken_ring),
		TEST(test_sealed_ring),
		TEST(test_subchannels_and_gpadls),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
