// SPDX-License-Identifier: Apache-2.0
/* A connection from INITIATE_CONTACT to UNLOAD, and what may happen to the bus in between. */
#include "test/test.h"

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

static void test_first_packets(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);
	struct fake_device d = {0};
	struct fake_guest_channel ch;
	struct guid instance = fake_device_instance(7);
	struct vmbus_packet p;
	uint64_t buf[64];
	size_t bytes;

	EXPECT_EQ(t, fake_device_offer(g, &d, 7, VMBUS_OFFER_ENUMERATE), 0);
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(g));
	EXPECT(t, fake_guest_find(g, &instance, 0) != NULL);
	EXPECT_EQ(t, fake_guest_open(g, fake_guest_find(g, &instance, 0), 4, 4, 1, &ch), 0);
	EXPECT_EQ(t, d.user[1], 0xaa);

	EXPECT(t, fake_guest_send(&ch, 0x1234, "hello, host", 12));
	EXPECT_EQ(t, d.signals, 1);
	EXPECT_EQ(t, vmbus_ring_read(d.channels[0], buf, sizeof(buf), &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.transaction, 0x1234);
	EXPECT_EQ(t, p.bytes, 16);
	EXPECT_MEM(t, p.data, "hello, host", 12);
	EXPECT_EQ(t, vmbus_ring_read(d.channels[0], buf, sizeof(buf), &p), VMBUS_RING_EMPTY);

	const struct io_vec v = {(void *)(uintptr_t) "hello, guest", 13};

	EXPECT_EQ(t, vmbus_ring_write(d.channels[0], VMBUS_PACKET_COMPLETION, false, 0x1234, &v, 1),
		  VMBUS_RING_OK);
	EXPECT_EQ(t, fake_guest_interrupts(&ch), 0);
	vmbus_ring_flush(d.channels[0]);
	EXPECT_EQ(t, fake_guest_interrupts(&ch), 1);
	EXPECT(t, fake_guest_read(&ch, buf, sizeof(buf)) != 0);
	EXPECT_MEM(t, fake_guest_payload(buf, &bytes), "hello, guest", 13);
	EXPECT_EQ(t, bytes, 16);

	EXPECT(t, !vmbus_quiet(g->bus));
	EXPECT(t, fake_guest_close(&ch));
	EXPECT(t, vmbus_quiet(g->bus));
	EXPECT(t, fake_guest_unload(g));
	EXPECT_EQ(t, g->log_lines, 0);
	fake_guest_destroy(g);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_first_packets),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
