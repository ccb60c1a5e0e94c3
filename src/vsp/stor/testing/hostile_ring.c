// SPDX-License-Identifier: Apache-2.0
/* Rings, by nobody's rules. */
#include <string.h>

#include "hostile_player.h"
#include "lib/bits.h"

struct fake_guest_channel *player_pick_channel(struct player *p, unsigned *ret_index)
{
	*ret_index = (unsigned)player_take(p, 1) % 8;
	*ret_index = *ret_index < RIG_CHANNELS ? *ret_index : 0;
	return p->r->channels[*ret_index].out.pages != NULL ? &p->r->channels[*ret_index] : NULL;
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

/* Takes all answers, or pretends to. */
static void drain(struct fake_guest_channel *ch)
{
	uint32_t write = __atomic_load_n(&ch->in.control->write_index, __ATOMIC_ACQUIRE);

	ch->in.private_read = write;
	__atomic_store_n(&ch->in.control->read_index, write, __ATOMIC_RELEASE);
}

static bool has_room(const struct player *p, const struct fake_guest_channel *ch, unsigned index,
		     size_t bytes)
{
	uint32_t read = __atomic_load_n(&ch->out.control->read_index, __ATOMIC_ACQUIRE);
	uint32_t used = (p->write[index] + ch->out.size - read % ch->out.size) % ch->out.size;

	return bytes < ch->out.size - used;
}

static void send(struct player *p, unsigned index, struct vmbus_packet_descriptor *d,
		 const void *header, size_t header_bytes, const void *payload, size_t bytes)
{
	struct fake_guest_channel *ch = &p->r->channels[index];
	size_t padded = align_up(bytes, 8), total = sizeof(*d) + header_bytes + padded + 8;
	const uint8_t zero[16] = {0};
	uint32_t at = p->write[index];

	if (!has_room(p, ch, index, total)) {
		drain(ch);
		signal_host(p, ch);
		rig_run(p->r);
		if (!has_room(p, ch, index, total)) {
			return;
		}
	}
	at = ring_put(&ch->out, at, d, sizeof(*d));
	at = ring_put(&ch->out, at, header, header_bytes);
	at = ring_put(&ch->out, at, payload, bytes);
	at = ring_put(&ch->out, at, zero, padded - bytes + 8);
	p->write[index] = at;
	__atomic_store_n(&ch->out.control->write_index, at, __ATOMIC_RELEASE);
	signal_host(p, ch);
}

void player_send_good(struct player *p, unsigned index, uint16_t type, const void *header,
		      size_t header_bytes, const void *payload, size_t bytes)
{
	struct vmbus_packet_descriptor d = {
		.type = type,
		.offset8 = (uint16_t)((sizeof(d) + header_bytes) / 8),
		.length8 = (uint16_t)((sizeof(d) + header_bytes + align_up(bytes, 8)) / 8),
		.flags = player_take(p, 1) % 8 != 0,
		.transaction = p->transaction++,
	};

	send(p, index, &d, header, header_bytes, payload, bytes);
}

void player_send_operation(struct player *p, unsigned index, struct vstor_packet *packet)
{
	uint8_t cut = (uint8_t)player_take(p, 1);
	size_t bytes = cut < 200 ? sizeof(*packet) : cut % (sizeof(*packet) + 1);

	packet->header.flags = 1;
	player_send_good(p, index, VMBUS_PACKET_DATA_INBAND, NULL, 0, packet, bytes);
}

/* Any packet at all. */
void player_do_raw(struct player *p)
{
	struct vmbus_packet_descriptor d = {
		.type = (uint16_t)(player_take(p, 1) % 16),
		.offset8 = (uint16_t)(player_take(p, 1) & 0x1f),
		.length8 = (uint16_t)(player_take(p, 1) & 0x3f),
		.flags = (uint16_t)player_take(p, 1),
		.transaction = p->transaction++,
	};
	uint8_t body[256];
	size_t bytes = d.length8 * 8u > sizeof(d) ? d.length8 * 8u - sizeof(d) : 0;
	unsigned index;

	if (player_pick_channel(p, &index) == NULL) {
		return;
	}
	bytes = min_u64(bytes, sizeof(body));
	for (size_t i = 0; i < bytes; i++) {
		body[i] = (uint8_t)player_take(p, 1);
	}
	d.offset8 = d.type & 1 ? d.offset8 : (uint16_t)min_u64(max_u64(d.offset8, 2), d.length8);
	send(p, index, &d, NULL, 0, body, bytes);
}

void player_do_ring_word(struct player *p)
{
	unsigned index;
	struct fake_guest_channel *ch = player_pick_channel(p, &index);
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
	unsigned index;
	struct fake_guest_channel *ch = player_pick_channel(p, &index);
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
	unsigned index;
	struct fake_guest_channel *ch = player_pick_channel(p, &index);

	if (ch != NULL) {
		drain(ch);
		signal_host(p, ch);
	}
}
