// SPDX-License-Identifier: Apache-2.0
/* Packets in rings: every place of the wrap, all kinds, batches. */
#include "ring_test.h"

static void test_wrap_everywhere(struct test *t)
{
	struct world *w = calloc(1, sizeof(*w));
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
	struct world *w = calloc(1, sizeof(*w));
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
	struct world *w = calloc(1, sizeof(*w));
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
	struct world *w = calloc(1, sizeof(*w));
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
	struct world *w = calloc(1, sizeof(*w));
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

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_wrap_everywhere), TEST(test_largest_packet), TEST(test_length_field),
		TEST(test_payload_vectors), TEST(test_transfer_pages),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
