/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of connections: a guest with one device. */
#ifndef VMBUS_BUS_TEST_H
#define VMBUS_BUS_TEST_H

#include "lib/bits.h"
#include "test/test.h"
#include "vmbus/testing/guest.h"

static const uint32_t all_versions[] = {
	VERSION_WS2008,	    VERSION_WIN7,	VERSION_WIN8,	  VERSION_WIN8_1,
	VERSION_WIN10,	    VERSION_WIN10_V4_1, VERSION_WIN10_V5, VERSION_WIN10_V5_1,
	VERSION_WIN10_V5_2, VERSION_WIN10_V5_3,
};

/* Offers device 1 and connects. */
static inline struct fake_guest *start(struct test *t, struct fake_device *d, uint32_t version)
{
	struct fake_guest *g = fake_guest_create(NULL);

	*d = (struct fake_device){0};
	EXPECT_EQ(t, fake_device_offer(g, d, 1, VMBUS_OFFER_ENUMERATE), 0);
	EXPECT_EQ(t, fake_guest_connect(g, version), 1);
	EXPECT(t, fake_guest_request_offers(g));
	return g;
}

static inline void open_first(struct test *t, struct fake_guest *g, struct fake_guest_channel *ret)
{
	struct guid instance = fake_device_instance(1);
	struct fake_guest_offer *offer = fake_guest_find(g, &instance, 0);

	EXPECT(t, offer != NULL);
	EXPECT_EQ(t, fake_guest_open(g, offer, 4, 3, 0, ret), 0);
}

/* A request and its answer over the rings. */
static inline void ping(struct test *t, struct fake_device *d, struct fake_guest_channel *ch)
{
	static char pong[] = "hello, guest";
	const struct io_vec v = {pong, sizeof(pong)};
	uint32_t signals = d->signals;
	struct vmbus_packet p;
	uint64_t buf[64];
	size_t bytes;

	EXPECT(t, fake_guest_send(ch, 0x1234, "hello, host", 12));
	EXPECT_EQ(t, d->signals, signals + 1);
	EXPECT_EQ(t, vmbus_ring_read(d->channels[0], buf, sizeof(buf), &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.type, VMBUS_PACKET_DATA_INBAND);
	EXPECT_EQ(t, p.transaction, 0x1234);
	EXPECT(t, p.wants_completion);
	EXPECT_EQ(t, p.bytes, 16);
	EXPECT_MEM(t, p.data, "hello, host", 12);
	EXPECT_EQ(t, vmbus_ring_read(d->channels[0], buf, sizeof(buf), &p), VMBUS_RING_EMPTY);

	EXPECT_EQ(t,
		  vmbus_ring_write(d->channels[0], VMBUS_PACKET_COMPLETION, false, 0x1234, &v, 1),
		  VMBUS_RING_OK);
	EXPECT_EQ(t, fake_guest_interrupts(ch), 0);
	vmbus_ring_flush(d->channels[0]);
	EXPECT_EQ(t, fake_guest_interrupts(ch), 1);
	EXPECT(t, fake_guest_read(ch, buf, sizeof(buf)) != 0);
	EXPECT_MEM(t, fake_guest_payload(buf, &bytes), pong, sizeof(pong));
	EXPECT_EQ(t, bytes, 16);
}

#endif
