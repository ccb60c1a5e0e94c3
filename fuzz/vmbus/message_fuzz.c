// SPDX-License-Identifier: Apache-2.0
/*
 * Any sequence of messages, signals, closes, removals, resets and saves: nothing breaks, and at the end a well-behaved guest connects, opens every
 * device and unloads.
 */
#include <stdlib.h>

#include "lib/bits.h"
#include "test/input.h"
#include "vmbus/testing/guest.h"

#define DEVICES 3u

struct world {
	struct fake_guest *g;
	struct fake_device d[DEVICES];
	bool offered[DEVICES];
	bool asked; /* for subchannels */
};

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static void offer(struct world *w, unsigned i)
{
	if (!w->offered[i]) {
		memset(&w->d[i], 0, sizeof(w->d[i]));
		int err = fake_device_offer(w->g, &w->d[i], (uint8_t)i,
					    i == 1 ? VMBUS_OFFER_REQUEST_MONITOR : 0);

		w->offered[i] = err == 0; /* the old one may be there still */
	}
}

static void close_some(struct world *w, unsigned i, uint32_t index)
{
	if (w->d[i].closing[index]) {
		fake_device_closed(&w->d[i], index);
	}
}

static void close_all(struct world *w)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		for (uint32_t index = 0; index < ARRAY_LEN(w->d[i].closing); index++) {
			close_some(w, i, index);
		}
	}
	fake_guest_run(w->g);
}

static void answered(void *ctx, int result)
{
	((struct world *)ctx)->asked = false;
}

static void post(struct world *w, uint8_t type, struct input *in)
{
	uint8_t m[VMBUS_MESSAGE_MAX_BYTES] = {type & 0x7f};
	uint8_t bytes = input_u8(in);

	bytes = bytes < sizeof(m) - 8 ? bytes : sizeof(m) - 8;
	input_take(in, m + 8, bytes);
	vmbus_message(w->g->bus, type & 0x80 ? 4 : 1, m, 8u + bytes);
}

static void save_and_restore(struct world *w)
{
	const struct vmbus_config config = {.monitor = true};
	size_t capacity = 1u << 20;
	uint8_t *buf = malloc(capacity);
	struct state_writer sw;
	struct state_reader sr;

	require(buf != NULL);
	close_all(w);
	state_writer_init(&sw, buf, capacity);
	vmbus_save(w->g->bus, &sw);
	require(state_writer_ok(&sw));
	vmbus_destroy(w->g->bus);
	fake_guest_new_bus(w->g, &config);
	for (unsigned i = 0; i < DEVICES; i++) {
		bool there = w->offered[i];

		w->offered[i] = false;
		if (there) {
			offer(w, i);
		}
	}
	state_reader_init(&sr, buf, sw.used);
	require(vmbus_restore(w->g->bus, &sr));
	free(buf);
}

static void use_ring(struct world *w, unsigned i, uint32_t index)
{
	static uint64_t buf[1024];
	struct vmbus_channel *ch = w->d[i].channels[index];
	const struct io_vec v = {buf, 100};
	struct vmbus_packet p;

	if (ch != NULL && !w->d[i].closing[index]) {
		vmbus_ring_read(ch, buf, sizeof(buf), &p);
		vmbus_ring_write(ch, VMBUS_PACKET_DATA_INBAND, false, 1, &v, 1);
		vmbus_ring_flush(ch);
		vmbus_gpadl_read(ch, 7, 3, buf, 100);
	}
}

static void rescind(struct world *w, unsigned i)
{
	if (w->offered[i] && !w->asked) {
		/* its memory must stay until it is gone: devices of a fuzz run are never freed */
		vmbus_device_rescind(w->d[i].dev, NULL, NULL);
		w->d[i].slow_close = false;
		for (uint32_t index = 0; index < ARRAY_LEN(w->d[i].closing); index++) {
			close_some(w, i, index);
		}
		fake_guest_run(w->g);
		w->offered[i] = false;
	}
}

static void ask(struct world *w, unsigned i, uint8_t count)
{
	struct vmbus_channel *ch = w->d[i].channels[0];

	if (ch != NULL && !w->d[i].closing[0] && !w->asked) {
		w->asked = true;
		vmbus_request_subchannels(ch, count, answered, w);
	}
}

static void step(struct world *w, struct input *in)
{
	uint8_t what = input_u8(in);
	unsigned i = what / 32 % DEVICES;
	uint8_t arg;

	if (what < 32 || what >= 0x80) {
		post(w, what < 32 ? what : what & 0x9f, in);
		return;
	}
	arg = input_u8(in);
	switch (what % 32) {
	case 0:
		fake_guest_run(w->g);
		break;
	case 1:
		w->g->now_ns += (uint64_t)arg << 20;
		break;
	case 2:
		vmbus_event(w->g->bus, arg < 128 ? arg : 0x2000u + (arg & 0x7f), 0);
		break;
	case 3:
		close_some(w, i, arg % 8);
		break;
	case 4:
		w->d[i].slow_close = arg & 1;
		w->d[i].open_status = arg >> 1 == 0x7f ? 5 : 0;
		break;
	case 5:
		rescind(w, i);
		break;
	case 6:
		offer(w, i);
		break;
	case 7:
		ask(w, i, arg);
		break;
	case 8:
		vmbus_reset(w->g->bus);
		break;
	case 9:
		w->g->deaf = arg & 1;
		break;
	case 10:
		use_ring(w, i, arg % 8);
		break;
	case 11:
		save_and_restore(w);
		break;
	default:
		fake_guest_forget_inbox(w->g);
		break;
	}
}

/* Whatever was before: this works. */
static void behave(struct world *w)
{
	struct fake_guest *g = w->g;

	g->deaf = false;
	close_all(w);
	for (unsigned i = 0; i < DEVICES; i++) {
		w->d[i].slow_close = false;
		w->d[i].open_status = 0;
	}
	fake_guest_forget_inbox(g);
	require(fake_guest_connect(g, VERSION_WIN10_V5_3) == 1);
	require(vmbus_version(g->bus) == VERSION_WIN10_V5_3 && vmbus_quiet(g->bus));
	for (unsigned i = 0; i < DEVICES; i++) {
		offer(w, i); /* a new connection: nothing stands in the way any more */
		require(w->offered[i]);
	}
	require(fake_guest_request_offers(g));
	require(g->offer_count == DEVICES);
	for (unsigned i = 0; i < DEVICES; i++) {
		struct fake_guest_channel ch;

		require(fake_guest_open(g, &g->offers[i], 3, 3, i, &ch) == 0);
		require(fake_guest_send(&ch, 1, "x", 1));
		fake_guest_abandon(&ch);
	}
	require(fake_guest_unload(g));
	require(vmbus_quiet(g->bus));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct fake_guest_config config = {.pages = 128, .bus = {.monitor = true}};
	struct input in = {data, bytes};
	struct world w = {.g = fake_guest_create(&config)};

	for (unsigned i = 0; i < DEVICES; i++) {
		offer(&w, i);
	}
	w.g->next_page = 90; /* what is below is the fuzzer's to name */
	while (in.left != 0) {
		step(&w, &in);
	}
	w.g->interrupt_page_gpa = 0;
	behave(&w);
	fake_guest_destroy(w.g);
	return 0;
}
