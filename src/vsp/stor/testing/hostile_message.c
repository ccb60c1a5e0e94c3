// SPDX-License-Identifier: Apache-2.0
/* Channel messages. */
#include "hostile_player.h"
#include "lib/bits.h"

void player_do_open(struct player *p)
{
	unsigned index = (unsigned)player_take(p, 1) % RIG_CHANNELS;
	uint32_t pages = 2 + (uint32_t)player_take(p, 1) % PLAYER_RING_PAGES;

	foul_open(&p->foul, index, fake_guest_find(p->r->g, &p->r->instance, index), pages);
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
