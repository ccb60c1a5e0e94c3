// SPDX-License-Identifier: Apache-2.0
#include "vmbus/testing/foul.h"

#include "lib/bits.h"
#include "lib/check.h"

#define PAGES_RESERVE 64u /* a guest that has opened so often keeps what is open */

uint64_t foul_take(struct foul *f, size_t bytes)
{
	return input_number(&f->in, bytes);
}

uint32_t foul_edge(struct foul *f)
{
	uint8_t pick = input_u8(&f->in);

	return pick < 200 ? f->edges[pick % f->edge_count] : input_u32(&f->in);
}

int foul_pick(struct foul *f)
{
	unsigned n = input_u8(&f->in) % f->choices;

	n = n < f->count ? n : 0;
	return f->channels[n].out.pages != NULL ? (int)n : -1;
}

void foul_take_over(struct foul *f)
{
	CHECK(f->count <= FOUL_CHANNELS_MAX);
	for (unsigned i = 0; i < f->count; i++) {
		if (f->channels[i].out.pages != NULL) {
			f->write[i] = f->channels[i].out.control->write_index;
		}
	}
}

/* ---- Rings ---- */

static uint32_t ring_put(struct fake_guest_ring *ring, uint32_t at, const void *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		ring->pages[at / GMEM_PAGE_BYTES][at % GMEM_PAGE_BYTES] =
			((const uint8_t *)data)[i];
		at = (at + 1) % ring->size;
	}
	return at;
}

static void signal_host(struct fake_guest_channel *ch)
{
	if (ch->g->connections[ch->offer.connection_id]) {
		fake_guest_signal(ch);
	}
}

/* Takes everything, or pretends to. */
static void drain(struct fake_guest_channel *ch)
{
	uint32_t write = __atomic_load_n(&ch->in.control->write_index, __ATOMIC_ACQUIRE);

	ch->in.private_read = write;
	__atomic_store_n(&ch->in.control->read_index, write, __ATOMIC_RELEASE);
}

static bool has_room(const struct foul *f, unsigned channel, size_t bytes)
{
	const struct fake_guest_ring *out = &f->channels[channel].out;
	uint32_t read = __atomic_load_n(&out->control->read_index, __ATOMIC_ACQUIRE);
	uint32_t used = (f->write[channel] + out->size - read % out->size) % out->size;

	return bytes < out->size - used;
}

void foul_send(struct foul *f, unsigned channel, const struct vmbus_packet_descriptor *d,
	       const void *header, size_t header_bytes, const void *payload, size_t bytes)
{
	struct fake_guest_channel *ch = &f->channels[channel];
	size_t padded = align_up(bytes, 8), total = sizeof(*d) + header_bytes + padded + 8;
	const uint8_t zero[16] = {0};
	uint32_t at = f->write[channel];

	if (!has_room(f, channel, total)) {
		drain(ch);
		signal_host(ch);
		f->run(f->ctx);
		if (!has_room(f, channel, total)) {
			return;
		}
	}
	f->sent++;
	at = ring_put(&ch->out, at, d, sizeof(*d));
	at = ring_put(&ch->out, at, header, header_bytes);
	at = ring_put(&ch->out, at, payload, bytes);
	at = ring_put(&ch->out, at, zero, padded - bytes + 8);
	f->write[channel] = at;
	__atomic_store_n(&ch->out.control->write_index, at, __ATOMIC_RELEASE);
	signal_host(ch);
}

void foul_send_good(struct foul *f, unsigned channel, uint16_t type, const void *header,
		    size_t header_bytes, const void *payload, size_t bytes)
{
	const struct vmbus_packet_descriptor d = {
		.type = type,
		.offset8 = (uint16_t)((sizeof(d) + header_bytes) / 8),
		.length8 = (uint16_t)((sizeof(d) + header_bytes + align_up(bytes, 8)) / 8),
		.flags = input_u8(&f->in) % 8 != 0,
		.transaction = f->transaction++,
	};

	foul_send(f, channel, &d, header, header_bytes, payload, bytes);
}

void foul_do_raw(struct foul *f)
{
	struct vmbus_packet_descriptor d = {
		.type = input_u8(&f->in) % 16,
		.offset8 = input_u8(&f->in) & 0x1f,
		.length8 = input_u8(&f->in) & 0x3f,
		.flags = input_u8(&f->in),
		.transaction = f->transaction++,
	};
	uint8_t body[256];
	size_t bytes = d.length8 * 8u > sizeof(d) ? d.length8 * 8u - sizeof(d) : 0;
	int channel = foul_pick(f);

	if (channel < 0) {
		return;
	}
	bytes = min_u64(bytes, sizeof(body));
	input_take(&f->in, body, bytes);
	d.offset8 = d.type & 1 ? d.offset8 : (uint16_t)min_u64(max_u64(d.offset8, 2), d.length8);
	foul_send(f, (unsigned)channel, &d, NULL, 0, body, bytes);
}

void foul_do_ring_word(struct foul *f)
{
	int channel = foul_pick(f);
	uint8_t which = input_u8(&f->in);
	uint32_t value = foul_edge(f);

	if (channel >= 0) {
		struct fake_guest_channel *ch = &f->channels[channel];
		uint32_t *words = &(which & 0x80 ? ch->in : ch->out).control->write_index;

		__atomic_store_n(&words[which % 17], value, __ATOMIC_RELEASE);
		signal_host(ch);
	}
}

void foul_do_ring_bytes(struct foul *f)
{
	int channel = foul_pick(f);
	uint8_t n = input_u8(&f->in);

	if (channel >= 0) {
		struct fake_guest_ring *out = &f->channels[channel].out;
		uint32_t at = input_u16(&f->in) % out->size;

		for (unsigned i = 0; i < n % 32u; i++) {
			uint8_t byte = input_u8(&f->in);

			at = ring_put(out, at, &byte, 1);
		}
	}
}

void foul_do_drain(struct foul *f)
{
	int channel = foul_pick(f);

	if (channel >= 0) {
		drain(&f->channels[channel]);
		signal_host(&f->channels[channel]);
	}
}

/* ---- Channels ---- */

static bool has_pages(const struct fake_guest *g)
{
	return g->pages - g->next_page > PAGES_RESERVE;
}

void foul_open(struct foul *f, unsigned channel, const struct fake_guest_offer *offer,
	       uint32_t pages)
{
	struct fake_guest_channel *ch = &f->channels[channel];

	if (offer == NULL || !has_pages(f->g)) {
		return;
	}
	if (ch->pfns != NULL) {
		fake_guest_abandon(ch);
	}
	f->write[channel] = 0;
	fake_guest_prepare(f->g, offer, pages, pages, ch);
	fake_guest_post_open(ch, channel % FAKE_GUEST_VPS);
}

void foul_do_close(struct foul *f)
{
	int channel = foul_pick(f);

	if (channel >= 0) {
		fake_guest_begin_close(&f->channels[channel]);
	}
}

void foul_do_connect(struct foul *f)
{
	static const uint32_t versions[] = {VERSION_WIN10_V5_3, VERSION_WIN10, VERSION_WIN8,
					    VERSION_WIN7, VERSION_WS2008};
	struct fake_guest *g = f->g;
	uint8_t n = input_u8(&f->in);

	if (n & 0x80) {
		fake_guest_unload(g);
	}
	if (n & 0x40) {
		vmbus_reset(g->bus);
	}
	if (has_pages(g)) {
		fake_guest_connect(g, versions[n % ARRAY_LEN(versions)]);
		fake_guest_request_offers(g);
	}
}

/* ---- Scripts ---- */

uint64_t foul_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void foul_script(uint32_t number, unsigned themes, uint8_t *script, size_t bytes)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15) * (number + 1);

	for (size_t i = 0; i < bytes; i++) {
		uint64_t v = foul_random(&state) >> 20;

		script[i] = (uint8_t)(v % 3 == 0 ? v >> 8 & 0x0f : v >> 8);
	}
	script[0] = (uint8_t)(number % themes | (number % 5 < 3 ? 3 : number % 5 - 3) << 6);
}
