/* SPDX-License-Identifier: Apache-2.0 */
/* Inside hostile_play: its state, and what a step may be. */
#ifndef NET_HOSTILE_PLAYER_H
#define NET_HOSTILE_PLAYER_H

#include "hostile.h"
#include "rig.h"
#include "test/input.h"

#define PLAYER_STATE_BYTES (256u << 10)
#define PLAYER_RING_PAGES 4u
#define PLAYER_CANARY 0xc5

struct player {
	struct rig *r;
	struct input in;
	uint32_t write[RIG_QUEUES]; /* our index, whatever the control page says */
	uint64_t transaction;
	struct hostile_result result;
	uint8_t state[PLAYER_STATE_BYTES];
	bool over;
};

typedef void action_fn(struct player *p);

/* The script's next bytes as a number; zeros after its end. And one of the numbers at which things change. */
uint64_t player_take(struct player *p, size_t bytes);
uint32_t player_edge(struct player *p);

/* ---- hostile_ring.c ---- */

/* A packet that keeps to the rules of rings: @header (ranges) and payload. */
void player_send(struct player *p, unsigned queue, uint16_t type, const void *header,
		 size_t header_bytes, const void *payload, size_t bytes);
/* An open channel; -1: none. */
int player_queue(struct player *p);
action_fn player_do_raw, player_do_ring_word, player_do_ring_bytes, player_do_drain,
	player_do_completion;

/* ---- hostile_guest.c ---- */

action_fn player_do_nvsp, player_do_frame, player_do_control, player_do_oid, player_do_start,
	player_do_open, player_do_close, player_do_teardown, player_do_map, player_do_memory;
void player_fill_canaries(struct rig *r);
void player_check_canaries(struct rig *r);

#endif
