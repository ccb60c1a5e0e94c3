// SPDX-License-Identifier: Apache-2.0
/* GPADLs: in pieces, interleaved, with several ranges, beyond the limits; and copies within them. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

struct world {
	struct fake_guest *g;
	struct fake_device d, e;
	struct fake_guest_channel ch;
};

static void start(struct test *t, struct world *w)
{
	struct guid instance = fake_device_instance(1);

	*w = (struct world){.g = fake_guest_create(NULL)};
	EXPECT_EQ(t, fake_device_offer(w->g, &w->d, 1, 0), 0);
	EXPECT_EQ(t, fake_device_offer(w->g, &w->e, 2, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(w->g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(w->g));
	EXPECT_EQ(t, fake_guest_open(w->g, fake_guest_find(w->g, &instance, 0), 4, 4, 0, &w->ch),
		  0);
}

static void end(struct world *w)
{
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
}

static uint32_t created(struct world *w)
{
	struct fake_guest_message r;

	return fake_guest_take(w->g, CHANNELMSG_GPADL_CREATED, &r) ? r.created.status : UINT32_MAX;
}

static void post_header(struct world *w, uint32_t relid, uint32_t id, uint32_t range_count,
			uint32_t range_bytes, const uint64_t *words, size_t count)
{
	struct vmbus_gpadl_header h = {.header.type = CHANNELMSG_GPADL_HEADER,
				       .relid = relid,
				       .gpadl = id,
				       .range_bytes = (uint16_t)range_bytes,
				       .range_count = (uint16_t)range_count};
	uint8_t m[VMBUS_MESSAGE_MAX_BYTES];

	memcpy(m, &h, sizeof(h));
	memcpy(m + sizeof(h), words, count * 8);
	fake_guest_post(w->g, m, sizeof(h) + count * 8);
}

static void post_body(struct world *w, uint32_t id, const uint64_t *words, size_t count)
{
	struct vmbus_gpadl_body h = {.header.type = CHANNELMSG_GPADL_BODY, .gpadl = id};
	uint8_t m[VMBUS_MESSAGE_MAX_BYTES];

	memcpy(m, &h, sizeof(h));
	memcpy(m + sizeof(h), words, count * 8);
	fake_guest_post(w->g, m, sizeof(h) + count * 8);
}

static uint64_t range(uint32_t bytes, uint32_t offset)
{
	return (uint64_t)offset << 32 | bytes;
}

/* Every count of pages around the edges of messages, and the largest that the protocol can say. */
static void test_sizes(struct test *t)
{
	static const uint32_t pages[] = {1, 2, 25, 26, 27, 28, 53, 54, 55, 82, 83, 500, 2000, 8190};
	static uint64_t pfns[8190];
	struct world w;

	start(t, &w);
	for (uint32_t i = 0; i < ARRAY_LEN(pfns); i++) {
		pfns[i] = 1 + i % 4000; /* pages may repeat */
	}
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		EXPECT_EQ(t, fake_guest_gpadl(w.g, 1, 7, pages[i] * 4096 - 1, 0, pfns), 0);
		EXPECT_EQ(t, vmbus_gpadl_bytes(w.d.channels[0], 7), pages[i] * 4096 - 1);
		EXPECT_EQ(t, created(&w), UINT32_MAX); /* answered once */
		EXPECT(t, fake_guest_teardown(w.g, 1, 7));
		EXPECT_EQ(t, vmbus_gpadl_bytes(w.d.channels[0], 7), 0);
	}
	EXPECT_EQ(t, w.g->log_lines, 0);
	end(&w);
}

static void test_pieces_of_any_size(struct test *t)
{
	uint64_t words[41] = {range(40 * 4096, 0)};
	struct world w;

	start(t, &w);
	for (uint32_t i = 1; i < 41; i++) {
		words[i] = i;
	}
	post_header(&w, 1, 7, 1, 41 * 8, words, 0); /* nothing at all in the header */
	for (uint32_t i = 0; i < 41; i++) {
		EXPECT_EQ(t, created(&w), UINT32_MAX);
		post_body(&w, 7, words + i, 1);
	}
	EXPECT_EQ(t, created(&w), 0);
	post_body(&w, 7, words, 1); /* one more: ignored */
	EXPECT_EQ(t, w.g->inbox_count, 0);
	post_header(&w, 1, 8, 1, 2 * 8, words, 20); /* more than announced, and wrong without it */
	EXPECT_EQ(t, created(&w), VMBUS_STATUS_UNEXPECTED);
	words[0] = range(4096, 0);
	post_header(&w, 1, 8, 1, 2 * 8, words, 20); /* right: the rest is ignored */
	EXPECT_EQ(t, created(&w), 0);
	end(&w);
}

/* Two channels' threads send at the same time; one id at a time may collect. */
static void test_interleaved(struct test *t)
{
	const uint64_t words[3] = {range(2 * 4096, 0), 1, 2};
	struct world w;

	start(t, &w);
	post_header(&w, 1, 7, 1, 3 * 8, words, 1);
	post_header(&w, 2, 8, 1, 3 * 8, words, 1);
	post_header(&w, 2, 7, 1, 3 * 8, words, 1); /* bodies could not tell them apart */
	EXPECT_EQ(t, created(&w), VMBUS_STATUS_UNEXPECTED);
	post_body(&w, 8, words + 1, 2);
	EXPECT_EQ(t, created(&w), 0);
	post_body(&w, 7, words + 1, 2);
	EXPECT_EQ(t, created(&w), 0);
	post_header(&w, 2, 7, 1, 3 * 8, words, 3); /* done: the other channel may have the id too */
	EXPECT_EQ(t, created(&w), 0);
	post_header(&w, 1, 7, 1, 3 * 8, words, 3); /* the same channel not */
	EXPECT_EQ(t, created(&w), VMBUS_STATUS_UNEXPECTED);
	EXPECT(t, fake_guest_teardown(w.g, 1, 7));
	EXPECT_EQ(t, vmbus_gpadl_bytes(w.d.channels[0], 7), 0);
	end(&w);
}

static void test_abandoned(struct test *t)
{
	const uint64_t words[3] = {range(2 * 4096, 0), 1, 2};
	struct world w;
	unsigned lines;

	start(t, &w);
	post_header(&w, 1, 7, 1, 3 * 8, words, 1);
	lines = w.g->log_lines;
	EXPECT(t, fake_guest_teardown(w.g, 1, 7));
	EXPECT_EQ(t, w.g->log_lines, lines);
	post_body(&w, 7, words + 1, 2); /* nobody waits */
	EXPECT_EQ(t, w.g->inbox_count, 0);
	post_header(&w, 1, 7, 1, 3 * 8, words, 1);
	EXPECT(t, fake_guest_unload(w.g)); /* nor now */
	end(&w);
}

static void test_copies(struct test *t)
{
	/* 100 bytes at the end of page 10, 8192 over 11, 12, 13, one byte of page 14 */
	const uint64_t words[] = {range(100, 3996), 10, range(8192, 48), 11, 12, 13,
				  range(1, 4095),   14};
	const size_t total = 100 + 8192 + 1;
	uint8_t data[100 + 8192 + 1], back[sizeof(data)];
	struct world w;
	struct vmbus_channel *ch;

	start(t, &w);
	ch = w.d.channels[0];
	post_header(&w, 1, 7, 3, sizeof(words), words, ARRAY_LEN(words));
	EXPECT_EQ(t, created(&w), 0);
	EXPECT_EQ(t, vmbus_gpadl_bytes(ch, 7), total);
	for (size_t i = 0; i < total; i++) {
		data[i] = (uint8_t)(i * 7 + 1);
	}
	EXPECT(t, vmbus_gpadl_write(ch, 7, 0, data, total));
	EXPECT_MEM(t, (uint8_t *)fake_guest_page(w.g, 10) + 3996, data, 100);
	EXPECT_MEM(t, (uint8_t *)fake_guest_page(w.g, 11) + 48, data + 100, 4048);
	EXPECT_MEM(t, fake_guest_page(w.g, 12), data + 4148, 4096);
	EXPECT_MEM(t, fake_guest_page(w.g, 13), data + 8244, 48);
	EXPECT_EQ(t, ((uint8_t *)fake_guest_page(w.g, 13))[48], 0);
	EXPECT_MEM(t, (uint8_t *)fake_guest_page(w.g, 14) + 4095, data + 8292, 1);
	for (size_t at = 0; at < total; at += 61) {
		size_t n = min_u64(total - at, 700);

		memset(back, 0, sizeof(back));
		EXPECT(t, vmbus_gpadl_read(ch, 7, at, back, n));
		EXPECT_MEM(t, back, data + at, n);
	}
	EXPECT(t, gmem_entry(&w.g->gm, 12) & GMEM_DIRTY);
	EXPECT(t, vmbus_gpadl_read(ch, 7, total, back, 0));
	EXPECT(t, !vmbus_gpadl_read(ch, 7, total, back, 1));
	EXPECT(t, !vmbus_gpadl_read(ch, 7, 1, back, total));
	EXPECT(t, !vmbus_gpadl_read(ch, 7, SIZE_MAX, back, 2));
	EXPECT(t, !vmbus_gpadl_read(ch, 8, 0, back, 1));
	EXPECT(t, !vmbus_gpadl_write(ch, 7, total - 1, data, 2));
	gmem_protect(&w.g->gm, 12, GMEM_R);
	EXPECT(t, vmbus_gpadl_read(ch, 7, 0, back, total));
	EXPECT(t, !vmbus_gpadl_write(ch, 7, 0, data, total));
	end(&w);
}

/* The same bytes through vectors, and what gives none. */
static void test_mapped(struct test *t)
{
	const uint64_t words[] = {range(8192, 100), 10, 11, 13, range(1, 4095), 14};
	struct io_vec v[4];
	struct world w;

	start(t, &w);
	post_header(&w, 1, 7, 2, sizeof(words), words, ARRAY_LEN(words));
	EXPECT_EQ(t, created(&w), 0);
	struct vmbus_channel *ch = w.d.channels[0];
	uint8_t *page10 = fake_guest_page(w.g, 10), *page13 = fake_guest_page(w.g, 13);

	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, 0, 8193, GMEM_R, v, 4), 3);
	EXPECT(t, v[0].base == page10 + 100 && v[0].bytes == 8092);
	EXPECT(t, v[1].base == page13 && v[1].bytes == 100);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, 8192, 1, GMEM_W, v, 4), 1);
	EXPECT(t, v[0].base == page13 + 4096 + 4095 && v[0].bytes == 1);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, 8193, 0, GMEM_R, v, 4), 0);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, 0, 8193, GMEM_R, v, 2), -E2BIG);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, 1, 8193, GMEM_R, v, 4), -EINVAL);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, SIZE_MAX, 2, GMEM_R, v, 4), -EINVAL);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 8, 0, 1, GMEM_R, v, 4), -EINVAL);
	char abc[] = "abc", defgh[] = "defgh";
	const struct io_vec parts[] = {{abc, 3}, {abc, 0}, {defgh, 5}};

	EXPECT(t, vmbus_gpadl_write_vec(ch, 7, 8092 - 4, parts, 3));
	EXPECT_MEM(t, page10 + 100 + 8092 - 4, "abcd", 4);
	EXPECT_MEM(t, page13, "efgh", 4);
	EXPECT(t, vmbus_gpadl_write_vec(ch, 7, 8193 - 8, parts, 3));
	EXPECT(t, !vmbus_gpadl_write_vec(ch, 7, 8193 - 7, parts, 3));
	EXPECT(t, !vmbus_gpadl_write_vec(ch, 7, SIZE_MAX - 2, parts, 3));
	EXPECT(t, !vmbus_gpadl_write_vec(ch, 8, 0, parts, 3));
	gmem_protect(&w.g->gm, 11, GMEM_R);
	EXPECT_EQ(t, vmbus_gpadl_map(ch, 7, 0, 8193, GMEM_W, v, 4), -EFAULT);
	end(&w);
}

/* Page frames are looked at when they are used. */
static void test_frames_that_are_not_there(struct test *t)
{
	const uint64_t words[] = {range(3 * 4096, 0), 5, UINT64_MAX, UINT64_C(1) << 52};
	struct world w;
	uint8_t b = 0;

	start(t, &w);
	post_header(&w, 1, 7, 1, sizeof(words), words, ARRAY_LEN(words));
	EXPECT_EQ(t, created(&w), 0);
	EXPECT(t, vmbus_gpadl_read(w.d.channels[0], 7, 4095, &b, 1));
	EXPECT(t, !vmbus_gpadl_read(w.d.channels[0], 7, 4096, &b, 1));
	EXPECT(t, !vmbus_gpadl_write(w.d.channels[0], 7, 4096, &b, 1));
	EXPECT(t, !vmbus_gpadl_read(w.d.channels[0], 7, 8192, &b, 1)); /* not page 0 */
	end(&w);
}

/* What a guest may hold has limits, and they are given back. */
static void test_limits(struct test *t)
{
	static uint64_t pfns[8190];
	struct world w;

	start(t, &w);
	for (unsigned round = 0; round < 2; round++) {
		const uint64_t words[3] = {range(2 * 4096, 0), 1, 2};
		uint32_t n = 0, status;

		while ((status = fake_guest_gpadl(w.g, 1, 1000 + n, 4096, 0, pfns)) == 0) {
			n++;
		}
		EXPECT_EQ(t, status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
		EXPECT_EQ(t, n, 255); /* and the ring's */
		for (uint32_t i = 0; i < n; i++) {
			EXPECT(t, fake_guest_teardown(w.g, 1, 1000 + i));
		}

		n = 0; /* 128 MiB of page frames is more than all of the bus */
		while ((status = fake_guest_gpadl(w.g, 1, 1000 + n, 8190 * 4096, 0, pfns)) == 0) {
			n++;
		}
		EXPECT_EQ(t, status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
		EXPECT(t, n > 100 && n < 129);
		for (uint32_t i = 0; i < n; i++) {
			EXPECT(t, fake_guest_teardown(w.g, 1, 1000 + i));
		}

		for (n = 0; n < 400; n++) { /* never completed, over two channels */
			post_header(&w, 1 + n % 2, 2000 + n, 1, 3 * 8, words, 1);
		}
		n = 0;
		while ((status = created(&w)) != UINT32_MAX) {
			EXPECT_EQ(t, status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
			n++;
		}
		EXPECT_EQ(t, n, 400 - 256);
		EXPECT_EQ(t, fake_guest_connect(w.g, VERSION_WIN10_V5_3), 1);
		EXPECT(t, fake_guest_request_offers(w.g));
		fake_guest_abandon(&w.ch);
		struct guid instance = fake_device_instance(1);

		EXPECT_EQ(t,
			  fake_guest_open(w.g, fake_guest_find(w.g, &instance, 0), 4, 4, 0, &w.ch),
			  0);
	}
	end(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_sizes),	TEST(test_pieces_of_any_size),
		TEST(test_interleaved), TEST(test_abandoned),
		TEST(test_copies),	TEST(test_frames_that_are_not_there),
		TEST(test_limits),	TEST(test_mapped),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
