// SPDX-License-Identifier: Apache-2.0
/* Channel messages. */
#include "hostile_player.h"
#include "lib/bits.h"

#define PAGES_RESERVE 40u /* a guest that has opened so often keeps what is open */

void player_do_open(struct player *p)
{
	struct rig *r = p->r;
	unsigned index = (unsigned)player_take(p, 1) % RIG_CHANNELS;
	const struct fake_guest_offer *offer = fake_guest_find(r->g, &r->instance, index);
	uint32_t pages = 2 + (uint32_t)player_take(p, 1) % PLAYER_RING_PAGES;

	if (offer == NULL || r->g->pages - r->g->next_page < PAGES_RESERVE) {
		return;
	}
	if (r->channels[index].pfns != NULL) {
		fake_guest_abandon(&r->channels[index]);
	}
	p->write[index] = 0;
	fake_guest_prepare(r->g, offer, pages, pages, &r->channels[index]);
	fake_guest_post_open(&r->channels[index], index % FAKE_GUEST_VPS);
}

void player_do_close(struct player *p)
{
	unsigned index;
	struct fake_guest_channel *ch = player_pick_channel(p, &index);

	if (ch != NULL) {
		const struct vmbus_gpadl_teardown m = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
						       .relid = ch->offer.relid,
						       .gpadl = ch->gpadl};

		fake_guest_post_close(ch);
		fake_guest_post(p->r->g, &m, sizeof(m));
	}
}

/* Any message, with numbers that mean something now and then. */
void player_do_message(struct player *p)
{
	struct fake_guest *g = p->r->g;
	uint8_t message[VMBUS_MESSAGE_MAX_BYTES] = {0};
	uint32_t type = (uint32_t)player_take(p, 1) % 26, n = (uint32_t)player_take(p, 1);
	size_t bytes = 8 + player_take(p, 1) % 100;

	store_le32(message, type);
	for (size_t i = 8; i < bytes; i++) {
		message[i] = (uint8_t)player_take(p, 1);
	}
	if (n & 1) {
		store_le32(message + 8, 1 + n % 8); /* a relid */
	}
	if (n & 2) {
		store_le32(message + (type == CHANNELMSG_OPENCHANNEL ? 16 : 12),
			   0xe1e10 + n % 8); /* a GPADL */
	}
	if (n & 4 && type == CHANNELMSG_INITIATE_CONTACT) {
		store_le32(message + 8, n & 8 ? VERSION_WIN10 : VERSION_WIN10_V5_3);
		bytes = max_u64(bytes, 40);
	}
	fake_guest_post(g, message, bytes);
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
