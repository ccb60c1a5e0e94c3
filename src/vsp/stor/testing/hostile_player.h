/* SPDX-License-Identifier: Apache-2.0 */
/* Inside hostile_play: its state, where the bytes of the script go, and what a step may be. */
#ifndef STOR_HOSTILE_PLAYER_H
#define STOR_HOSTILE_PLAYER_H

#include "hostile.h"
#include "rig.h"
#include "vmbus/testing/foul.h"

#define PLAYER_STATE_BYTES (256u << 10)
#define PLAYER_RING_PAGES 5u
#define PLAYER_CANARY_PAGES 4u /* at the end of memory, and page 0 */

struct player {
	struct rig *r;
	struct foul foul;
	uint64_t violations; /* of controllers that are gone */
	struct hostile_result result;
	uint8_t packet[64 << 10];
	uint8_t state[PLAYER_STATE_BYTES];
	bool over;
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

/* ---- hostile_memory.c ---- */

/* Memory that is not the guest's to give: outside of it, missing, or read-only. Checked: none of it was written. */
void player_fill_canaries(struct rig *r);
void player_check_canaries(struct rig *r);
/* A page: data, read-only, missing, of a ring, or not of this world. */
uint64_t player_pick_pfn(struct player *p);
void player_do_data_bytes(struct player *p);
void player_do_map(struct player *p);

/* ---- hostile_srb.c ---- */

void player_do_step(struct player *p);
void player_do_operation(struct player *p);
void player_do_srb(struct player *p);

/* ---- hostile_message.c ---- */

void player_do_open(struct player *p);
void player_do_message(struct player *p);

#endif
