// SPDX-License-Identifier: Apache-2.0
/* Rings in one thread: every place of the wrap, masks, signals, pending sizes, batches, and guests that break the rules. */
#include "test/test.h"

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

struct world {
	struct fake_guest *g;
	struct fake_device d;
	struct fake_guest_channel ch;
	struct vmbus_channel *host;
	uint64_t buf[16384];
};

static void start_version(struct test *t, struct world *w, uint32_t version, uint32_t pages)
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

static void start(struct test *t, struct world *w, uint32_t pages)
{
	start_version(t, w, VERSION_WIN10_V5_3, pages);
}

static void end(struct world *w)
{
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
}

static enum vmbus_ring_status host_read(struct world *w, struct vmbus_packet *p)
{
	return vmbus_ring_read(w->host, w->buf, sizeof(w->buf), p);
}

static enum vmbus_ring_status host_write(struct world *w, const void *data, size_t bytes)
{
	const struct io_vec v = {(void *)(uintptr_t)data, bytes};

	return vmbus_ring_write(w->host, VMBUS_PACKET_DATA_INBAND, false, 9, &v, 1);
}

static void fill(uint8_t *data, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++) {
		data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
	}
}

/* Packets of sizes that never divide the ring pass every offset, in both directions. */
static void test_wrap_everywhere(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	uint8_t data[6000];
	size_t bytes;

	start(t, w, 3);
	for (unsigned n = 0; n < 5000; n++) {
		size_t size = (n * 61) % 5000;
		struct vmbus_packet p;

		fill(data, size, n);
		EXPECT(t, fake_guest_send(&w->ch, n, data, size));
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
		EXPECT_EQ(t, p.transaction, n);
		EXPECT_EQ(t, p.bytes, align_up(size, 8));
		EXPECT_MEM(t, p.data, data, size);
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_EMPTY);

		EXPECT_EQ(t, host_write(w, data, size), VMBUS_RING_OK);
		vmbus_ring_flush(w->host);
		EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) !=
				  0); /* checks the trailer */
		EXPECT_MEM(t, fake_guest_payload(w->buf, &bytes), data, size);
		EXPECT_EQ(t, bytes, align_up(size, 8));
	}
	EXPECT_EQ(t, w->d.signals, 5000);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 5000);
	end(w);
	free(w);
}

/* The last 8 bytes stay empty. */
static void test_largest_packet(struct test *t)
{
	static uint8_t data[8192];
	struct world *w = malloc(sizeof(*w));
	const size_t largest = 8192 - 16 - 8 - 8;
	struct vmbus_packet p;

	start(t, w, 3);
	for (unsigned n = 0; n < 20; n++) {
		EXPECT_EQ(t, vmbus_ring_room(w->host), largest);
		EXPECT_EQ(t, host_write(w, data, largest + 1), VMBUS_RING_TOO_BIG);
		EXPECT_EQ(t, host_write(w, data, largest), VMBUS_RING_OK);
		EXPECT_EQ(t, vmbus_ring_room(w->host), 0);
		vmbus_ring_flush(w->host);
		EXPECT_EQ(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)), largest + 16);
		EXPECT_EQ(t, host_write(w, data, n * 8), VMBUS_RING_OK); /* elsewhere next time */
		vmbus_ring_flush(w->host);
		EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);

		EXPECT(t, fake_guest_send(&w->ch, 1, data, largest));
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
		EXPECT_EQ(t, p.bytes, largest);
	}
	end(w);
	free(w);
}

/* length8 has 16 bits. */
static void test_length_field(struct test *t)
{
	static uint8_t data[65535 * 8];
	struct world *w = malloc(sizeof(*w));
	const size_t largest = 65535 * 8 - 16;

	start(t, w, 140);
	EXPECT_EQ(t, vmbus_ring_room(w->host), largest);
	EXPECT_EQ(t, host_write(w, data, largest + 1), VMBUS_RING_TOO_BIG);
	EXPECT_EQ(t, host_write(w, data, SIZE_MAX - 7), VMBUS_RING_TOO_BIG);
	EXPECT_EQ(t, host_write(w, data, largest), VMBUS_RING_OK);
	end(w);
	free(w);
}

static void test_payload_vectors(struct test *t)
{
	static char a[] = "in ", b[] = "three ", c[] = "pieces";
	const struct io_vec v[] = {{a, 3}, {NULL, 0}, {b, 6}, {c, 7}};
	struct world *w = malloc(sizeof(*w));
	const uint64_t *d = w->buf;
	size_t bytes;

	start(t, w, 3);
	EXPECT_EQ(
		t,
		vmbus_ring_write(w->host, VMBUS_PACKET_COMPLETION, true, 0x1122334455667788, v, 4),
		VMBUS_RING_OK);
	EXPECT_EQ(t, vmbus_ring_write(w->host, VMBUS_PACKET_COMPLETION, false, 5, NULL, 0),
		  VMBUS_RING_OK);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)), 32);
	EXPECT_EQ(t, d[0], UINT64_C(0x000100040002000b));
	EXPECT_EQ(t, d[1], 0x1122334455667788);
	EXPECT_MEM(t, fake_guest_payload(w->buf, &bytes), "in three pieces", 16);
	EXPECT_EQ(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)), 16);
	EXPECT_EQ(t, d[0], UINT64_C(0x000000020002000b));
	end(w);
	free(w);
}

static void test_transfer_pages(struct test *t)
{
	const struct vmbus_xfer_range ranges[] = {{1500, 0}, {60, 4096}, {9000, 65536}};
	struct world *w = malloc(sizeof(*w));
	const uint8_t *raw = (const uint8_t *)w->buf;

	start(t, w, 3);
	EXPECT_EQ(t, vmbus_ring_write_xfer(w->host, 0x42, 0xcafe, ranges, 3, "payload", 8),
		  VMBUS_RING_OK);
	EXPECT_EQ(t, vmbus_ring_write_xfer(w->host, 0x42, 0xcafe, ranges, UINT32_MAX, "payload", 8),
		  VMBUS_RING_TOO_BIG);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)), 16 + 8 + 24 + 8);
	EXPECT_EQ(t, load_le16(raw), VMBUS_PACKET_DATA_USING_XFER_PAGES);
	EXPECT_EQ(t, load_le16(raw + 2), 6);
	EXPECT_EQ(t, load_le16(raw + 4), 7);
	EXPECT_EQ(t, load_le16(raw + 6), VMBUS_PACKET_COMPLETION_REQUESTED);
	EXPECT_EQ(t, load_le64(raw + 8), 0x42);
	EXPECT_EQ(t, load_le16(raw + 16), 0xcafe);
	EXPECT_EQ(t, load_le32(raw + 20), 3);
	EXPECT_MEM(t, raw + 24, ranges, sizeof(ranges));
	EXPECT_MEM(t, raw + 48, "payload", 8);
	end(w);
	free(w);
}

/* ---- Interrupts ---- */

/* The guest hears once for a batch, only when the ring was empty before it and its mask is off. */
static void test_interrupts_to_guest(struct test *t)
{
	struct world *w = malloc(sizeof(*w));

	start(t, w, 3);
	EXPECT_EQ(t, host_write(w, "a", 1), VMBUS_RING_OK);
	EXPECT_EQ(t, host_write(w, "b", 1), VMBUS_RING_OK);
	EXPECT_EQ(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)), 0); /* not before flush */
	vmbus_ring_flush(w->host);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 1);
	EXPECT_EQ(t, host_write(w, "c", 1), VMBUS_RING_OK);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 0); /* it was not empty */

	fake_guest_begin_read(&w->ch);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);
	}
	EXPECT_EQ(t, host_write(w, "d", 1), VMBUS_RING_OK);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 0); /* masked */
	EXPECT(t, !fake_guest_end_read(&w->ch));	/* it finds it by itself */
	EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);
	EXPECT(t, fake_guest_end_read(&w->ch));
	EXPECT_EQ(t, host_write(w, "e", 1), VMBUS_RING_OK);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 1);
	end(w);
	free(w);
}

/* The guest does not signal while we drain; after EMPTY it does. */
static void test_mask_towards_guest(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	struct vmbus_packet p;

	start(t, w, 3);
	EXPECT(t, fake_guest_send(&w->ch, 1, "a", 1));
	EXPECT(t, fake_guest_send(&w->ch, 2, "b", 1));
	EXPECT_EQ(t, w->d.signals, 1);
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	EXPECT_EQ(t, w->ch.out.control->interrupt_mask, 1);
	EXPECT_EQ(t, w->ch.out.control->read_index, 0); /* given back later */
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	EXPECT(t, fake_guest_send(&w->ch, 3, "c", 1));
	EXPECT_EQ(t, w->d.signals, 1);
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.transaction, 3);
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_EMPTY);
	EXPECT_EQ(t, w->ch.out.control->interrupt_mask, 0);
	EXPECT_EQ(t, w->ch.out.control->read_index, w->ch.out.control->write_index);
	EXPECT(t, fake_guest_send(&w->ch, 4, "d", 1));
	EXPECT_EQ(t, w->d.signals, 2);
	end(w);
	free(w);
}

/* Room comes back before the ring is empty, so that a guest that fills it does not wait for all of it. */
static void test_room_in_batches(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	struct vmbus_packet p;
	unsigned n = 0, reads = 0;

	start(t, w, 5); /* 16 KiB */
	while (fake_guest_send(&w->ch, n, w->buf, 1000)) {
		n++;
	}
	EXPECT_EQ(t, n, 15);
	while (w->ch.out.control->read_index == 0 && reads < n) {
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
		reads++;
	}
	EXPECT_EQ(t, reads, 4);
	EXPECT(t, fake_guest_send(&w->ch, n, w->buf, 1000));
	end(w);
	free(w);
}

/* ---- A guest that waits for room ---- */

static unsigned read_all(struct test *t, struct world *w)
{
	struct vmbus_packet p;
	unsigned n = 0;

	while (host_read(w, &p) == VMBUS_RING_OK) {
		n++;
	}
	return n;
}

/*
 * One signal when the room passes what it asked for; none before, none after, none unasked. Room comes back 4096 bytes at a time on top of
 * 1024: a guest that asked for exactly what is there then hears once more when it is more.
 */
static void test_guest_waits_for_room(struct test *t)
{
	struct world *w = malloc(sizeof(*w));

	for (unsigned pending = 0; pending < 16384; pending += 1024) {
		start(t, w, 5);
		while (fake_guest_send(&w->ch, 1, w->buf, 1000)) {
		}
		fake_guest_set_pending(&w->ch, pending);
		fake_guest_begin_read(&w->ch); /* the mask does not count here */
		EXPECT(t, read_all(t, w) == 15);
		EXPECT_EQ(t, fake_guest_interrupts(&w->ch),
			  pending == 0				     ? 0
			  : pending > 1024 && pending % 4096 == 1024 ? 2
								     : 1);
		end(w);
	}
	/* more than there will ever be */
	start(t, w, 5);
	fake_guest_set_pending(&w->ch, 1 << 20);
	EXPECT(t, fake_guest_send(&w->ch, 1, w->buf, 1000));
	EXPECT_EQ(t, read_all(t, w), 1);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 0);
	end(w);
	/* no feature bit: no signal */
	start(t, w, 5);
	w->ch.out.control->features = 0;
	while (fake_guest_send(&w->ch, 1, w->buf, 1000)) {
	}
	fake_guest_set_pending(&w->ch, 8192);
	EXPECT_EQ(t, read_all(t, w), 15);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 0);
	end(w);
	free(w);
}

/* Exactly what was asked for is enough for some guests and not for Linux: each hears at its moment. */
static void test_guest_waits_for_exactly(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	struct vmbus_packet p;

	start(t, w, 5);
	while (fake_guest_send(&w->ch, 1, w->buf, 1000)) { /* 15 of 1024 bytes: 1024 free */
	}
	fake_guest_set_pending(&w->ch, 5 * 1024);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	}
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 1); /* a batch came back: 5 KiB are free */
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	}
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 1); /* now more than 5 KiB */
	EXPECT_EQ(t, read_all(t, w), 7);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 0);
	end(w);
	free(w);
}

/* ---- The host waits for room ---- */

static void test_host_waits_for_room(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	unsigned n = 0;

	start(t, w, 5);
	while (host_write(w, w->buf, 1000) == VMBUS_RING_OK) {
		n++;
	}
	EXPECT_EQ(t, n, 15);
	EXPECT_EQ(t, w->ch.in.control->pending_send_size, 1024);
	EXPECT_EQ(t, fake_guest_interrupts(&w->ch), 1); /* it was shown what is there */
	EXPECT_EQ(t, w->d.signals, 0);
	EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);
	EXPECT_EQ(t, w->d.signals, 1);
	EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);
	EXPECT_EQ(t, w->d.signals, 1);
	EXPECT_EQ(t, host_write(w, w->buf, 1000), VMBUS_RING_OK);
	EXPECT_EQ(t, w->ch.in.control->pending_send_size, 0);
	EXPECT_EQ(t, w->g->poll_at_ns, UINT64_MAX); /* nobody polls */
	end(w);
	free(w);
}

/* A guest that knows nothing of pending sizes: the bus looks for it. */
static void test_host_polls_for_room(struct test *t)
{
	struct world *w = malloc(sizeof(*w));

	start_version(t, w, VERSION_WIN7, 5);
	while (host_write(w, w->buf, 1000) == VMBUS_RING_OK) {
	}
	EXPECT(t, w->g->woken);
	fake_guest_run(w->g);
	EXPECT(t, w->g->poll_at_ns < w->g->now_ns + 10000000);
	EXPECT(t, w->d.signals != 0);
	EXPECT_EQ(t, host_write(w, w->buf, 1000), VMBUS_RING_FULL);
	while (fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0) {
	}
	EXPECT_EQ(t, host_write(w, w->buf, 1000), VMBUS_RING_OK);
	fake_guest_run(w->g);
	EXPECT_EQ(t, w->g->poll_at_ns, UINT64_MAX);
	while (host_write(w, w->buf, 1000) == VMBUS_RING_OK) { /* closed while it waits */
	}
	EXPECT(t, fake_guest_close(&w->ch));
	fake_guest_run(w->g);
	EXPECT_EQ(t, w->g->poll_at_ns, UINT64_MAX);
	end(w);
	free(w);
}

/* ---- Guests that break the rules ---- */

static void test_too_big_for_reader(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	struct vmbus_packet p;

	start(t, w, 5);
	EXPECT(t, fake_guest_send(&w->ch, 1, w->buf, 2000));
	EXPECT(t, fake_guest_send(&w->ch, 2, w->buf, 100));
	EXPECT_EQ(t, vmbus_ring_read(w->host, w->buf, 2000, &p), VMBUS_RING_TOO_BIG);
	EXPECT_EQ(t, vmbus_ring_read(w->host, w->buf, 2000, &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.transaction, 2);
	EXPECT_EQ(t, vmbus_ring_read(w->host, w->buf, 2000, &p), VMBUS_RING_EMPTY);
	end(w);
	free(w);
}

/* The channel stops for good, says so once, and works again when it was closed and opened. */
static void expect_broken(struct test *t, struct world *w)
{
	struct guid instance = fake_device_instance(1);
	unsigned lines = w->g->log_lines;
	struct vmbus_packet p;

	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_BROKEN);
	EXPECT_EQ(t, w->g->log_lines, lines + 1);
	w->ch.out.control->write_index = 0;
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_BROKEN);
	EXPECT_EQ(t, host_write(w, "x", 1), VMBUS_RING_BROKEN);
	EXPECT_EQ(t, vmbus_ring_room(w->host), 0);
	vmbus_ring_flush(w->host);
	EXPECT_EQ(t, w->g->log_lines, lines + 1);
	EXPECT(t, fake_guest_close(&w->ch));
	EXPECT_EQ(t, fake_guest_open(w->g, fake_guest_find(w->g, &instance, 0), 5, 5, 0, &w->ch),
		  0);
	w->host = w->d.channels[0];
	EXPECT(t, fake_guest_send(&w->ch, 1, "again", 5));
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
}

static void test_bad_write_index(struct test *t)
{
	static const uint32_t bad[] = {4, 12, 8, 16, 16384, 16392, UINT32_MAX, UINT32_MAX - 7};
	struct world *w = malloc(sizeof(*w));

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		start(t, w, 5);
		w->ch.out.control->write_index = bad[i];
		expect_broken(t, w);
		end(w);
	}
	free(w);
}

struct bad_packet {
	const char *what;
	uint16_t type, offset8, length8;
	uint32_t write_index;
	uint32_t words[10]; /* after the descriptor */
};

static void test_bad_packets(struct test *t)
{
	static const struct bad_packet cases[] = {
		{"length 0", 6, 2, 0, 64, {0}},
		{"length 1", 6, 1, 1, 64, {0}},
		{"offset 0", 6, 0, 4, 64, {0}},
		{"offset 1", 6, 1, 4, 64, {0}},
		{"offset beyond length", 6, 5, 4, 64, {0}},
		{"longer than there is", 6, 2, 8, 64, {0}},
		{"longer than the ring", 6, 2, 65535, 64, {0}},
		{"no header of ranges", 9, 2, 6, 64, {0}},
		{"range count without ranges", 9, 3, 6, 64, {0, 1}},
		{"huge range count", 9, 5, 6, 64, {0, UINT32_MAX, 8, 0, 5}},
		{"range without frames", 9, 4, 6, 64, {0, 1, 8, 0}},
		{"range of more frames", 9, 5, 6, 64, {0, 1, 8192, 0, 5}},
		{"huge range", 9, 5, 6, 64, {0, 1, UINT32_MAX, 4095, 5}},
		{"offset beyond the page", 9, 5, 6, 64, {0, 1, 8, 4096, 5}},
		{"second range missing", 9, 5, 6, 64, {0, 2, 8, 0, 5}},
		{"no header of transfer pages", 7, 2, 6, 64, {0}},
		{"transfer ranges missing", 7, 3, 6, 64, {0, 1}},
		{"huge transfer count", 7, 4, 6, 64, {0, UINT32_MAX}},
	};
	struct world *w = malloc(sizeof(*w));

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct bad_packet *c = &cases[i];
		const struct vmbus_packet_descriptor d = {
			.type = c->type, .offset8 = c->offset8, .length8 = c->length8};
		unsigned before = t->failures;

		start(t, w, 5);
		memcpy(w->ch.out.pages[0], &d, sizeof(d));
		memcpy(w->ch.out.pages[0] + sizeof(d), c->words, sizeof(c->words));
		w->ch.out.control->write_index = c->write_index;
		expect_broken(t, w);
		if (t->failures != before) {
			printf("# %s\n", c->what);
		}
		end(w);
	}
	free(w);
}

static void test_bad_read_index(struct test *t)
{
	static const uint32_t bad[] = {4, 16384, UINT32_MAX, 8000};
	struct world *w = malloc(sizeof(*w));

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		start(t, w, 5);
		EXPECT_EQ(t, host_write(w, "one", 3), VMBUS_RING_OK);
		vmbus_ring_flush(w->host);
		w->ch.in.control->read_index = bad[i]; /* 8000: more than there is to read */
		if (i % 2 == 0) {
			EXPECT_EQ(t, vmbus_ring_room(w->host), 0);
			EXPECT_EQ(t, host_write(w, "two", 3), VMBUS_RING_BROKEN);
		} else {
			EXPECT_EQ(t, host_write(w, w->buf, 16384 - 32 - 8), VMBUS_RING_BROKEN);
		}
		EXPECT_EQ(t, w->g->log_lines, 1);
		end(w);
	}
	free(w);
}

/* Our own words in the control pages may be overwritten: we decide by our copies. */
static void test_control_page_overwritten(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	struct vmbus_packet p;

	start(t, w, 5);
	for (unsigned i = 0; i < 1000; i++) {
		EXPECT(t, fake_guest_send(&w->ch, i, w->buf, 40));
		w->ch.out.control->interrupt_mask = i % 3;
		w->ch.out.control->pending_send_size = i * 77;
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
		EXPECT_EQ(t, p.transaction, i);
		w->ch.out.control->read_index = 0x12345; /* ours */
		EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_EMPTY);
		EXPECT_EQ(t, w->ch.out.control->read_index, w->ch.out.control->write_index);
		EXPECT_EQ(t, host_write(w, w->buf, 40), VMBUS_RING_OK);
		w->ch.in.control->write_index = 0x999; /* ours too */
		vmbus_ring_flush(w->host);
		EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);
	}
	EXPECT_EQ(t, w->g->log_lines, 0);
	end(w);
	free(w);
}

/* What the host writes shows in the dirty log, page by page. */
static void test_dirty_pages(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t bitmap[64];
	struct vmbus_packet p;

	start(t, w, 5);
	gmem_dirty_take(&w->g->gm, 0, 4096, bitmap);
	EXPECT_EQ(t, host_write(w, w->buf, 5000), VMBUS_RING_OK);
	EXPECT(t, gmem_entry(&w->g->gm, w->ch.pfns[6]) & GMEM_DIRTY);
	EXPECT(t, gmem_entry(&w->g->gm, w->ch.pfns[7]) & GMEM_DIRTY);
	EXPECT(t, !(gmem_entry(&w->g->gm, w->ch.pfns[8]) & GMEM_DIRTY));
	EXPECT(t, !(gmem_entry(&w->g->gm, w->ch.pfns[5]) & GMEM_DIRTY));
	vmbus_ring_flush(w->host);
	EXPECT(t, gmem_entry(&w->g->gm, w->ch.pfns[5]) & GMEM_DIRTY);
	EXPECT(t, !(gmem_entry(&w->g->gm, w->ch.pfns[0]) & GMEM_DIRTY));
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_EMPTY);
	EXPECT(t, gmem_entry(&w->g->gm, w->ch.pfns[0]) & GMEM_DIRTY);
	EXPECT(t, !(gmem_entry(&w->g->gm, w->ch.pfns[1]) & GMEM_DIRTY));
	end(w);
	free(w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_wrap_everywhere),
		TEST(test_largest_packet),
		TEST(test_length_field),
		TEST(test_payload_vectors),
		TEST(test_transfer_pages),
		TEST(test_interrupts_to_guest),
		TEST(test_mask_towards_guest),
		TEST(test_room_in_batches),
		TEST(test_guest_waits_for_room),
		TEST(test_guest_waits_for_exactly),
		TEST(test_host_waits_for_room),
		TEST(test_host_polls_for_room),
		TEST(test_too_big_for_reader),
		TEST(test_bad_write_index),
		TEST(test_bad_packets),
		TEST(test_bad_read_index),
		TEST(test_control_page_overwritten),
		TEST(test_dirty_pages),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
