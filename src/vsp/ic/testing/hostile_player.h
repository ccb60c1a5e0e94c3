/* SPDX-License-Identifier: Apache-2.0 */
/* Inside hostile_play: its state, where the bytes of the script go, and what a step may be. */
#ifndef IC_HOSTILE_PLAYER_H
#define IC_HOSTILE_PLAYER_H

#include "hostile.h"
#include "rig.h"
#include "vmbus/testing/foul.h"

struct player {
	struct rig *r;
	struct foul foul;
	uint64_t violations; /* of components that are gone */
	unsigned ended;	     /* requests */
	bool over;
	struct hostile_result result;
	uint8_t packet[IC_PACKET_BYTES + 64];
	uint8_t state[64 << 10];
};

/* The script's next bytes as a number; zeros after its end. And one of the numbers at which things change. */
static inline uint64_t player_take(struct player *p, size_t bytes)
{
	return foul_take(&p->foul, bytes);
}

static inline uint32_t player_edge(struct player *p)
{
	return foul_edge(&p->foul);
}

/* ---- hostile_owner.c ---- */

void player_do_ask(struct player *p);
void player_do_time(struct player *p);
void player_do_replace(struct player *p);

#endif
