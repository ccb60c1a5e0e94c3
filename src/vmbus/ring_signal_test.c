// SPDX-License-Identifier: Apache-2.0
/* Who signals whom, and when: masks, pending sizes, room. */
#include "ring_test.h"

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
	w->d.signals = 0;
	for (unsigned i = 0; i < 100; i++) { /* called often, it looks as rarely as before */
		fake_guest_run(w->g);
	}
	EXPECT_EQ(t, w->d.signals, 0);
	w->g->now_ns = w->g->poll_at_ns;
	fake_guest_run(w->g);
	EXPECT_EQ(t, w->d.signals, 1);
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

/* ---- The end ---- */

static void test_seal(struct test *t)
{
	struct world *w = malloc(sizeof(*w));
	struct vmbus_packet p;
	uint32_t read;

	start(t, w, 5);
	EXPECT(t, fake_guest_send(&w->ch, 1, w->buf, 100));
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_EMPTY);
	EXPECT_EQ(t, host_write(w, "answer", 6), VMBUS_RING_OK);
	EXPECT(t, !vmbus_ring_seal(w->host)); /* not shown yet */
	vmbus_ring_flush(w->host);
	EXPECT(t, !vmbus_ring_seal(w->host)); /* not taken yet */
	EXPECT(t, !fake_guest_send(&w->ch, 2, w->buf, 8));
	EXPECT(t, fake_guest_read(&w->ch, w->buf, sizeof(w->buf)) != 0);
	EXPECT(t, vmbus_ring_seal(w->host));

	/* A packet of a guest that had looked for room before. */
	read = w->ch.out.control->read_index;
	w->ch.out.control->read_index = w->ch.out.control->write_index;
	EXPECT(t, fake_guest_send(&w->ch, 3, w->buf, 100));
	w->ch.out.control->read_index = read;
	EXPECT(t, !vmbus_ring_seal(w->host));
	EXPECT(t, !fake_guest_send(&w->ch, 4, w->buf, 8));
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.transaction, 3);
	EXPECT_EQ(t, host_read(w, &p), VMBUS_RING_EMPTY);
	EXPECT(t, !fake_guest_send(&w->ch, 5, w->buf, 8));
	EXPECT(t, vmbus_ring_seal(w->host));

	w->ch.out.control->write_index = 4; /* there is nothing to wait for in a broken one */
	EXPECT(t, vmbus_ring_seal(w->host));
	EXPECT_EQ(t, w->g->log_lines, 1);
	EXPECT(t, fake_guest_close(&w->ch));
	end(w);
	free(w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_interrupts_to_guest),	    TEST(test_mask_towards_guest),
		TEST(test_room_in_batches),	    TEST(test_guest_waits_for_room),
		TEST(test_guest_waits_for_exactly), TEST(test_host_waits_for_room),
		TEST(test_host_polls_for_room),	    TEST(test_seal),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
