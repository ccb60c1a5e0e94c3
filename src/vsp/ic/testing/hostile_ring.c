// SPDX-License-Identifier: Apache-2.0
/* Rings and channels, by nobody's rules. */
#include <string.h>

#include "hostile_player.h"
#include "lib/bits.h"

#define PAGES_RESERVE 64u /* a guest that has opened so often keeps what is open */

struct fake_guest_channel *player_pick(struct player *p, enum vsp_ic_kind *ret_kind)
{
	*ret_kind = (enum vsp_ic_kind)(player_take(p, 1) % VSP_IC_KINDS);
	return p->r->channels[*ret_kind].out.pages != NULL ? &p->r->channels[*ret_kind] : NULL;
}

static uint32_t ring_put(struct fake_guest_ring *ring, uint32_t at, const void *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		ring->pages[at / GMEM_PAGE_BYTES][at % GMEM_PAGE_BYTES] =
			((const uint8_t *)data)[i];
		at = (at + 1) % ring->size;
	}
	return at;
}

static void signal_host(struct player *p, struct fake_guest_channel *ch)
{
	if (p->r->g->connections[ch->offer.connection_id]) {
		fake_guest_signal(ch);
	}
}

/* Takes all requests, or pretends to. */
static void drain(struct fake_guest_channel *ch)
{
	uint32_t write = __atomic_load_n(&ch->in.control->write_index, __ATOMIC_ACQUIRE);

	ch->in.private_read = write;
	__atomic_store_n(&ch->in.control->read_index, write, __ATOMIC_RELEASE);
}

static bool has_room(const struct player *p, const struct fake_guest_channel *ch,
		     enum vsp_ic_kind kind, size_t bytes)
{
	uint32_t read = __atomic_load_n(&ch->out.control->read_index, __ATOMIC_ACQUIRE);
	uint32_t used = (p->write[kind] + ch->out.size - read % ch->out.size) % ch->out.size;

	return bytes < ch->out.size - used;
}

void player_send(struct player *p, enum vsp_ic_kind kind, uint16_t type, const void *data,
		 size_t bytes)
{
	struct fake_guest_channel *ch = &p->r->channels[kind];
	size_t padded = align_up(bytes, 8);
	const struct vmbus_packet_descriptor d = {
		.type = type,
		.offset8 = sizeof(d) / 8,
		.length8 = (uint16_t)((sizeof(d) + padded) / 8),
		.transaction = p->result.sent,
	};
	const uint8_t zero[16] = {0};
	uint32_t at = p->write[kind];

	if (!has_room(p, ch, kind, sizeof(d) + padded + 8)) {
		signal_host(p, ch);
		rig_run(p->r);
		if (!has_room(p, ch, kind, sizeof(d) + padded + 8)) {
			return;
		}
	}
	at = ring_put(&ch->out, at, &d, sizeof(d));
	at = ring_put(&ch->out, at, data, bytes);
	at = ring_put(&ch->out, at, zero, padded - bytes + 8);
	p->write[kind] = at;
	p->result.sent++;
	__atomic_store_n(&ch->out.control->write_index, at, __ATOMIC_RELEASE);
	signal_host(p, ch);
}

void player_do_ring_word(struct player *p)
{
	enum vsp_ic_kind kind;
	struct fake_guest_channel *ch = player_pick(p, &kind);
	uint8_t which = (uint8_t)player_take(p, 1);
	uint32_t value = player_edge(p);

	if (ch != NULL) {
		uint32_t *words = &(which & 0x80 ? ch->in : ch->out).control->write_index;

		__atomic_store_n(&words[which % 17], value, __ATOMIC_RELEASE);
		signal_host(p, ch);
	}
}

void player_do_ring_bytes(struct player *p)
{
	enum vsp_ic_kind kind;
	struct fake_guest_channel *ch = player_pick(p, &kind);
	uint8_t n = (uint8_t)player_take(p, 1);

	if (ch != NULL) {
		uint32_t at = (uint32_t)player_take(p, 2) % ch->out.size;

		for (unsigned i = 0; i < n % 32u; i++) {
			uint8_t byte = (uint8_t)player_take(p, 1);

			at = ring_put(&ch->out, at, &byte, 1);
		}
	}
}

void player_do_drain(struct player *p)
{
	enum vsp_ic_kind kind;
	struct fake_guest_channel *ch = player_pick(p, &kind);

	if (ch != NULL) {
		drain(ch);
		signal_host(p, ch);
	}
}

void player_do_open(struct player *p)
{
	struct rig *r = p->r;
	unsigned kind = (unsigned)player_take(p, 1) % VSP_IC_KINDS;
	uint32_t pages = 2 + (uint32_t)player_take(p, 1) % RIG_RING_PAGES;
	const struct fake_guest_offer *offer = rig_offer(r, (enum vsp_ic_kind)kind);

	if (offer == NULL || r->g->pages - r->g->next_page < PAGES_RESERVE) {
		return;
	}
	if (r->channels[kind].pfns != NULL) {
		fake_guest_abandon(&r->channels[kind]);
	}
	p->write[kind] = 0;
	fake_guest_prepare(r->g, offer, pages, pages, &r->channels[kind]);
	fake_guest_post_open(&r->channels[kind], kind % FAKE_GUEST_VPS);
}

void player_do_close(struct player *p)
{
	enum vsp_ic_kind kind;
	struct fake_guest_channel *ch = player_pick(p, &kind);

	if (ch != NULL) {
		const struct vmbus_gpadl_teardown m = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
						       .relid = ch->offer.relid,
						       .gpadl = ch->gpadl};

		fake_guest_post_close(ch);
		fake_guest_post(p->r->g, &m, sizeof(m));
	}
}

void player_do_connect(struct player *p)
{
	static const uint32_t versions[] = {VERSION_WIN10_V5_3, VERSION_WIN10, VERSION_WIN8,
					    VERSION_WIN7, VERSION_WS2008};
	struct fake_guest *g = p->r->g;
	uint8_t n = (uint8_t)player_take(p, 1);

	if (n & 0x80) {
		fake_guest_unload(g);
	}
	if (n & 0x40) {
		vmbus_reset(g->bus);
	}
	if (g->pages - g->next_page > PAGES_RESERVE) {
		fake_guest_connect(g, versions[n % ARRAY_LEN(versions)]);
		fake_guest_request_offers(g);
	}
}
