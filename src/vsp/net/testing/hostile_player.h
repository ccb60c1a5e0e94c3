/* SPDX-License-Identifier: Apache-2.0 */
/* Inside hostile_play: its state, and what a step may be. */
#ifndef NET_HOSTILE_PLAYER_H
#define NET_HOSTILE_PLAYER_H

#include "hostile.h"
#include "rig.h"
#include "vmbus/testing/foul.h"

#define PLAYER_STATE_BYTES (256u << 10)
#define PLAYER_RING_PAGES 4u
#define PLAYER_CANARY 0xc5

struct player {
	struct rig *r;
	struct foul foul;
	struct hostile_result result;
	uint8_t state[PLAYER_STATE_BYTES];
	bool over;
};

typedef void action_fn(struct player *p);

/* The script's next bytes as a number; zeros after its end. And one of the numbers at which things change. */
static inline uint64_t player_take(struct player *p, size_t bytes)
{
	return foul_take(&p->foul, bytes);
}

static inline uint32_t player_edge(struct player *p)
{
	return foul_edge(&p->foul);
}

/* ---- hostile_guest.c ---- */

action_fn player_do_nvsp, player_do_frame, player_do_control, player_do_oid, player_do_start,
	player_do_open, player_do_close, player_do_completion, player_do_teardown, player_do_map,
	player_do_memory;
void player_fill_canaries(struct rig *r);
void player_check_canaries(struct rig *r);

#endif
