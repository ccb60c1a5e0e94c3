/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of rings: an open channel, and both its ends. */
#ifndef VMBUS_RING_TEST_H
#define VMBUS_RING_TEST_H

#include "lib/bits.h"
#include "test/test.h"
#include "vmbus/testing/guest.h"

struct world {
	struct fake_guest *g;
	struct fake_device d;
	struct fake_guest_channel ch;
	struct vmbus_channel *host;
	uint64_t buf[16384];
};

static inline void start_version(struct test *t, struct world *w, uint32_t version, uint32_t pages)
{
	const struct fake_guest_config config = {.scattered = true};
	struct guid instance = fake_device_instance(1);

	memset(w, 0, sizeof(*w));
	w->g = fake_guest_create(&config);
	EXPECT_EQ(t, fake_device_offer(w->g, &w->d, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(w->g, version), 1);
	EXPECT(t, fake_guest_request_offers(w->g));
	EXPECT_EQ(
		t,
		fake_guest_open(w->g, fake_guest_find(w->g, &instance, 0), pages, pages, 0, &w->ch),
		0);
	w->host = w->d.channels[0];
}

static inline void start(struct test *t, struct world *w, uint32_t pages)
{
	start_version(t, w, VERSION_WIN10_V5_3, pages);
}

static inline void end(struct world *w)
{
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
}

static inline enum vmbus_ring_status host_read(struct world *w, struct vmbus_packet *p)
{
	return vmbus_ring_read(w->host, w->buf, sizeof(w->buf), p);
}

static inline enum vmbus_ring_status host_write(struct world *w, const void *data, size_t bytes)
{
	const struct io_vec v = {(void *)(uintptr_t)data, bytes};

	return vmbus_ring_write(w->host, VMBUS_PACKET_DATA_INBAND, false, 9, &v, 1);
}

static inline void fill(uint8_t *data, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++) {
		data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
	}
}

/* Packets of sizes that never divide the ring pass every offset, in both directions. */

#endif
