/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of saved state: one bus takes the place of another. */
#ifndef VMBUS_RESTORE_TEST_H
#define VMBUS_RESTORE_TEST_H

#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

#define STATE_MAX (1u << 20)

struct saved {
	uint8_t *buf;
	size_t bytes;
};

static inline struct saved save(struct test *t, struct vmbus *bus)
{
	struct saved s = {.buf = malloc(STATE_MAX)};
	struct state_writer w;

	state_writer_init(&w, s.buf, STATE_MAX);
	vmbus_save(bus, &w);
	EXPECT(t, state_writer_ok(&w));
	s.bytes = w.used;
	return s;
}

static inline bool restore(struct vmbus *bus, const struct saved *s)
{
	struct state_reader r;

	state_reader_init(&r, s->buf, s->bytes);
	return vmbus_restore(bus, &r);
}

/* The old bus goes, a new one comes with devices 1..@devices, as a new process would offer them (in another order). */
static inline void replace_bus(struct test *t, struct fake_guest *g, struct fake_device *d,
			       unsigned devices, bool monitor)
{
	const struct vmbus_config config = {.monitor = monitor};

	vmbus_destroy(g->bus);
	memset(d, 0, devices * sizeof(*d));
	fake_guest_new_bus(g, &config);
	for (unsigned i = devices; i-- > 0;) {
		EXPECT_EQ(t, fake_device_offer(g, &d[i], (uint8_t)(i + 1), 0), 0);
	}
}

static inline struct fake_guest_offer *find(struct fake_guest *g, uint8_t number, uint32_t index)
{
	struct guid instance = fake_device_instance(number);

	return fake_guest_find(g, &instance, index);
}

static inline struct fake_guest *start(struct test *t, struct fake_device *d, unsigned devices,
				       uint32_t version, bool monitor)
{
	const struct fake_guest_config config = {.bus = {.monitor = monitor}, .scattered = true};
	struct fake_guest *g = fake_guest_create(&config);

	memset(d, 0, devices * sizeof(*d));
	for (unsigned i = 0; i < devices; i++) {
		EXPECT_EQ(t, fake_device_offer(g, &d[i], (uint8_t)(i + 1), 0), 0);
	}
	EXPECT_EQ(t, fake_guest_connect(g, version), 1);
	EXPECT(t, fake_guest_request_offers(g));
	return g;
}

static inline void write_host(struct test *t, struct vmbus_channel *ch, uint64_t value)
{
	const struct io_vec v = {&value, sizeof(value)};

	EXPECT_EQ(t, vmbus_ring_write(ch, VMBUS_PACKET_DATA_INBAND, false, value, &v, 1),
		  VMBUS_RING_OK);
}

/* Host reads @value from the guest. */
static inline void expect_at_host(struct test *t, struct vmbus_channel *ch, uint64_t value)
{
	struct vmbus_packet p;
	uint64_t buf[64];

	EXPECT_EQ(t, vmbus_ring_read(ch, buf, sizeof(buf), &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.transaction, value);
}

static inline void expect_at_guest(struct test *t, struct fake_guest_channel *ch, uint64_t value)
{
	uint64_t buf[64];

	EXPECT(t, fake_guest_read(ch, buf, sizeof(buf)) != 0);
	EXPECT_EQ(t, buf[1], value);
}

static inline void ping(struct test *t, struct fake_device *d, uint32_t index,
			struct fake_guest_channel *ch)
{
	uint32_t signals = d->signals;

	EXPECT(t, fake_guest_send(ch, 77, "ping", 4));
	fake_guest_run(ch->g);
	EXPECT_EQ(t, d->signals, signals + 1);
	expect_at_host(t, d->channels[index], 77);
	struct vmbus_packet p;
	uint64_t buf[64];

	EXPECT_EQ(t, vmbus_ring_read(d->channels[index], buf, sizeof(buf), &p), VMBUS_RING_EMPTY);
	fake_guest_interrupts(ch);
	write_host(t, d->channels[index], 78);
	vmbus_ring_flush(d->channels[index]);
	EXPECT_EQ(t, fake_guest_interrupts(ch), 1);
	expect_at_guest(t, ch, 78);
}

#endif
