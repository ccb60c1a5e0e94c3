// SPDX-License-Identifier: Apache-2.0
/* Guests that break the rules of rings: told once, and nothing more until the channel is opened again. */
#include "ring_test.h"

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
		TEST(test_too_big_for_reader),
		TEST(test_bad_write_index),
		TEST(test_bad_packets),
		TEST(test_bad_read_index),
		TEST(test_control_page_overwritten),
		TEST(test_dirty_pages),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
