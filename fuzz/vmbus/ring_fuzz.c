// SPDX-License-Identifier: Apache-2.0
/* Any contents of a channel's rings, changed at any time: packets come out whole or not at all, and no byte outside the guest is touched. */
#include <stdlib.h>

#include "lib/bits.h"
#include "test/input.h"
#include "vmbus/testing/guest.h"

#define RING_PAGES 3u

struct world {
	struct fake_guest *g;
	struct fake_device d;
	struct fake_guest_channel ch;
	uint64_t sum;
};

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

/* Reads every byte that a packet shows, so that sanitizers look too. */
static void look(struct world *w, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++) {
		w->sum += p[i];
	}
}

static void use_ranges(struct world *w, const struct vmbus_packet *p, uint32_t need)
{
	struct vmbus_channel *ch = w->d.channels[0];
	struct io_vec vec[8];
	uint64_t total = 0;
	int n = vmbus_ranges_map(ch, p, need, GMEM_R | GMEM_W, vec, ARRAY_LEN(vec));

	for (int i = 0; i < n; i++) {
		const uint8_t *base = vec[i].base;

		require(base >= w->g->memory &&
			range_within((uint64_t)(base - w->g->memory), vec[i].bytes,
				     (uint64_t)w->g->pages * 4096));
		total += vec[i].bytes;
	}
	require(n < 0 || total == need);
	vmbus_ranges_touch(ch, p, need);
}

static void read_host(struct world *w, uint8_t arg)
{
	size_t capacity = arg & 1 ? 256 : 8192;
	uint64_t *buf = malloc(capacity); /* exact, for the sanitizer */
	struct vmbus_packet p;

	require(buf != NULL);
	if (vmbus_ring_read(w->d.channels[0], buf, capacity, &p) == VMBUS_RING_OK) {
		require((const uint8_t *)p.data >= (const uint8_t *)buf &&
			p.data + p.bytes <= (const uint8_t *)buf + capacity);
		look(w, p.data, p.bytes);
		look(w, p.ranges, p.ranges_bytes);
		if (p.type == VMBUS_PACKET_DATA_USING_GPA_DIRECT) {
			use_ranges(w, &p, arg * 97u);
		}
	}
	free(buf);
}

static void write_host(struct world *w, uint8_t arg)
{
	static uint8_t data[8192];
	const struct io_vec v[2] = {{data, arg * 31u}, {data, arg % 9}};
	const struct vmbus_xfer_range ranges[4] = {{1, 2}};
	struct vmbus_channel *ch = w->d.channels[0];

	if (arg & 1) {
		vmbus_ring_write(ch, VMBUS_PACKET_COMPLETION, arg & 2, arg, v, 2);
	} else {
		vmbus_ring_write_xfer(ch, arg, arg, ranges, arg % 5, data, arg);
	}
	if (arg & 4) {
		vmbus_ring_flush(ch);
	}
	w->sum += vmbus_ring_room(ch);
}

/* Somewhere in the rings' pages; often a control word. */
static void poke(struct world *w, struct input *in)
{
	uint16_t where = input_u16(in);
	uint64_t pfn = w->ch.pfns[where % (2 * RING_PAGES)];
	uint8_t *page = fake_guest_page(w->g, pfn);

	if (where % RING_PAGES == 0) {
		uint32_t word = where / 16 % 5;

		((uint32_t *)(void *)page)[word == 4 ? 16 : word] = input_u32(in);
	} else {
		size_t at = where / (2 * RING_PAGES) * 8u % 4096;
		size_t n = input_u8(in);

		input_take(in, page + at, min_u64(n, 4096 - at));
	}
}

/* A packet with any descriptor, properly published. */
static void packet(struct world *w, struct input *in)
{
	struct fake_guest_ring *r = &w->ch.out;
	uint32_t write = r->control->write_index;
	uint8_t bytes[256];
	size_t n = align_up(input_u8(in), 8);

	input_take(in, bytes, n);
	if (write >= r->size || n < 24) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t at = (write + (uint32_t)i) % r->size;

		r->pages[at / 4096][at % 4096] = bytes[i];
	}
	r->control->write_index = (write + (uint32_t)n) % r->size;
}

static void reopen(struct world *w)
{
	require(fake_guest_close(&w->ch));
	w->g->next_page = 1;
	require(fake_guest_open(w->g, &w->g->offers[0], RING_PAGES, RING_PAGES, 0, &w->ch) == 0);
}

static void step(struct world *w, struct input *in)
{
	uint8_t what = input_u8(in);

	switch (what % 8) {
	case 0:
		poke(w, in);
		break;
	case 1:
	case 2:
		packet(w, in);
		break;
	case 3:
	case 4:
		read_host(w, what / 8);
		break;
	case 5:
		write_host(w, input_u8(in));
		break;
	case 6:
		vmbus_ring_flush(w->d.channels[0]);
		fake_guest_run(w->g);
		break;
	default:
		if (what == 0xff) {
			reopen(w);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct fake_guest_config config = {.pages = 32, .scattered = true};
	struct input in = {data, bytes};
	struct world w = {.g = fake_guest_create(&config)};

	require(fake_device_offer(w.g, &w.d, 1, 0) == 0);
	w.g->next_page = 20;
	require(fake_guest_connect(w.g, VERSION_WIN10_V5_3) == 1);
	require(fake_guest_request_offers(w.g));
	w.g->next_page = 1;
	require(fake_guest_open(w.g, &w.g->offers[0], RING_PAGES, RING_PAGES, 0, &w.ch) == 0);
	while (in.left != 0) {
		step(&w, &in);
	}
	reopen(&w); /* and all is well */
	require(fake_guest_send(&w.ch, 1, "x", 1));
	read_host(&w, 0);
	require(vmbus_ring_room(w.d.channels[0]) != 0);
	fake_guest_abandon(&w.ch);
	fake_guest_destroy(w.g);
	return 0;
}
