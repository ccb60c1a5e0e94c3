// SPDX-License-Identifier: Apache-2.0
/* Rings, by nobody's rules. */
#include <string.h>

#include "hostile_player.h"

int player_queue(struct player *p)
{
	unsigned queue = (unsigned)player_take(p, 1) % 8;

	queue = queue < RIG_QUEUES ? queue : 0;
	return p->r->channels[queue].out.pages != NULL ? (int)queue : -1;
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

/* Takes everything, or pretends to. */
static void drain(struct fake_guest_channel *ch)
{
	uint32_t write = __atomic_load_n(&ch->in.control->write_index, __ATOMIC_ACQUIRE);

	ch->in.private_read = write;
	__atomic_store_n(&ch->in.control->read_index, write, __ATOMIC_RELEASE);
}

static bool has_room(const struct player *p, unsigned queue, size_t bytes)
{
	const struct fake_guest_channel *ch = &p->r->channels[queue];
	uint32_t read = __atomic_load_n(&ch->out.control->read_index, __ATOMIC_ACQUIRE);
	uint32_t used = (p->write[queue] + ch->out.size - read % ch->out.size) % ch->out.size;

	return bytes < ch->out.size - used;
}

static void send(struct player *p, unsigned queue, const struct vmbus_packet_descriptor *d,
		 const void *header, size_t header_bytes, const void *payload, size_t bytes)
{
	struct fake_guest_channel *ch = &p->r->channels[queue];
	size_t padded = align_up(bytes, 8), total = sizeof(*d) + header_bytes + padded + 8;
	const uint8_t zero[16] = {0};
	uint32_t at = p->write[queue];

	if (!has_room(p, queue, total)) {
		drain(ch);
		signal_host(p, ch);
		rig_run_host(p->r);
		if (!has_room(p, queue, total)) {
			return;
		}
	}
	p->result.sent++;
	at = ring_put(&ch->out, at, d, sizeof(*d));
	at = ring_put(&ch->out, at, header, header_bytes);
	at = ring_put(&ch->out, at, payload, bytes);
	at = ring_put(&ch->out, at, zero, padded - bytes + 8);
	p->write[queue] = at;
	__atomic_store_n(&ch->out.control->write_index, at, __ATOMIC_RELEASE);
	signal_host(p, ch);
}

void player_send(struct player *p, unsigned queue, uint16_t type, const void *header,
		 size_t header_bytes, const void *payload, size_t bytes)
{
	struct vmbus_packet_descriptor d = {
		.type = type,
		.offset8 = (uint16_t)((sizeof(d) + header_bytes) / 8),
		.length8 = (uint16_t)((sizeof(d) + header_bytes + align_up(bytes, 8)) / 8),
		.flags = player_take(p, 1) % 8 != 0,
		.transaction = p->transaction++,
	};

	send(p, queue, &d, header, header_bytes, payload, bytes);
}

void player_do_raw(struct player *p)
{
	struct vmbus_packet_descriptor d = {
		.type = (uint16_t)(player_take(p, 1) % 16),
		.offset8 = (uint16_t)(player_take(p, 1) & 0x1f),
		.length8 = (uint16_t)(player_take(p, 1) & 0x3f),
		.flags = (uint16_t)player_take(p, 1),
		.transaction = p->transaction++,
	};
	uint8_t body[256] = {0};
	size_t bytes = d.length8 * 8u > sizeof(d) ? d.length8 * 8u - sizeof(d) : 0;
	int queue = player_queue(p);

	if (queue < 0) {
		return;
	}
	bytes = min_u64(bytes, sizeof(body));
	for (size_t i = 0; i < bytes; i++) {
		body[i] = (uint8_t)player_take(p, 1);
	}
	d.offset8 = d.type & 1 ? d.offset8 : (uint16_t)min_u64(max_u64(d.offset8, 2), d.length8);
	send(p, (unsigned)queue, &d, NULL, 0, body, bytes);
}

/* Of what the guest has, of what it may have, or of nothing that there is. */
void player_do_completion(struct player *p)
{
	const struct net_pool *pool = &p->r->n->pool;
	uint32_t which = (uint32_t)player_take(p, 2);
	const uint32_t body[2] = {NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE, which & 1};
	struct vmbus_packet_descriptor d = {
		.type = VMBUS_PACKET_COMPLETION, .offset8 = 2, .length8 = 3};
	int queue = player_queue(p);

	if (queue < 0) {
		return;
	}
	d.transaction = which % 16 == 0 ? player_edge(p) : which;
	for (uint32_t i = 0; i < pool->count && which % 16 > 3; i++) {
		if (pool->owner[(i + which) % pool->count] == queue + 1) {
			d.transaction = (i + which) % pool->count + 1;
			break;
		}
	}
	send(p, (unsigned)queue, &d, NULL, 0, body, sizeof(body));
}

void player_do_ring_word(struct player *p)
{
	int queue = player_queue(p);
	uint8_t which = (uint8_t)player_take(p, 1);
	uint32_t value = player_edge(p);

	if (queue >= 0) {
		struct fake_guest_channel *ch = &p->r->channels[queue];
		uint32_t *words = &(which & 0x80 ? ch->in : ch->out).control->write_index;

		__atomic_store_n(&words[which % 17], value, __ATOMIC_RELEASE);
		signal_host(p, ch);
	}
}

void player_do_ring_bytes(struct player *p)
{
	int queue = player_queue(p);
	uint8_t n = (uint8_t)player_take(p, 1);

	if (queue >= 0) {
		struct fake_guest_ring *out = &p->r->channels[queue].out;
		uint32_t at = (uint32_t)player_take(p, 2) % out->size;

		for (unsigned i = 0; i < n % 32u; i++) {
			uint8_t byte = (uint8_t)player_take(p, 1);

			at = ring_put(out, at, &byte, 1);
		}
	}
}

void player_do_drain(struct player *p)
{
	int queue = player_queue(p);

	if (queue >= 0) {
		drain(&p->r->channels[queue]);
		signal_host(p, &p->r->channels[queue]);
	}
}
