/* SPDX-License-Identifier: Apache-2.0 */
/* Inside hostile_play: its state, where the bytes of the script go, and what a step may be. */
#ifndef IC_HOSTILE_PLAYER_H
#define IC_HOSTILE_PLAYER_H

#include "hostile.h"
#include "rig.h"
#include "test/input.h"

struct player {
	struct rig *r;
	struct input in;
	uint32_t write[VSP_IC_KINDS]; /* our index, whatever the control page says */
	uint64_t violations;	      /* of components that are gone */
	unsigned ended;		      /* requests */
	bool over;
	struct hostile_result result;
	uint8_t packet[IC_PACKET_BYTES + 64];
	uint8_t state[64 << 10];
};

/* The script's next bytes as a number; zeros after its end. And one of the numbers at which things change. */
uint64_t player_take(struct player *p, size_t bytes);
uint32_t player_edge(struct player *p);

/* ---- hostile_ring.c ---- */

/* A component that has a ring; NULL: none. */
struct fake_guest_channel *player_pick(struct player *p, enum vsp_ic_kind *ret_kind);
/* A packet that keeps to the rules of rings, if there is room. */
void player_send(struct player *p, enum vsp_ic_kind kind, uint16_t type, const void *data,
		 size_t bytes);
void player_do_ring_word(struct player *p);
void player_do_ring_bytes(struct player *p);
void player_do_drain(struct player *p);
void player_do_open(struct player *p);
void player_do_close(struct player *p);
void player_do_connect(struct player *p);

/* ---- hostile_owner.c ---- */

void player_do_ask(struct player *p);
void player_do_time(struct player *p);
void player_do_replace(struct player *p);

#endif
