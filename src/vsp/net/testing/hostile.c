// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "hostile_player.h"
#include "lib/check.h"

#define GUEST_PAGES 500u
#define STEPS_MAX 400u

/* Numbers at which things change. */
static const uint32_t edges[] = {0,	   1,	    4,		7,	    8,		11,
				 12,	   16,	    20,		36,	    40,		44,
				 60,	   152,	    1514,	1727,	    1728,	4096,
				 6144,	   6145,    65535,	65536,	    65600,	65601,
				 1u << 20, 0x60001, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};

/* ---- What the owner does ---- */

static void do_room(struct player *p)
{
	p->r->room = player_take(p, 1) % 4 == 0 ? (uint32_t)player_take(p, 1) % 4 : UINT32_MAX;
}

/* Frames from the network are hostile as well. */
static void do_offer(struct player *p)
{
	static const uint32_t sizes[] = {14, 60, 1514, 1519, 4000, 30000, 65600};
	static const uint8_t everybody[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static uint8_t frame[NET_FRAME_BYTES_MAX];
	uint8_t what = (uint8_t)player_take(p, 1), more = (uint8_t)player_take(p, 1);
	unsigned queue = what % RIG_QUEUES;
	struct net_offload o = {0};

	memcpy(frame, what & 0x10 ? everybody : RIG_MAC, NET_MAC_BYTES);
	store_le16(frame + 12, 0x0008);
	frame[14] = 0x45;
	frame[23] = 6;
	frame[46] = 0x50;
	if (what & 0x20) {
		o = (struct net_offload){NET_OFFLOAD_NEEDS_CSUM,
					 NET_GSO_TCPV4,
					 54,
					 more & 1 ? 1400 : (uint16_t)player_edge(p),
					 34,
					 16};
	} else if (what & 0x40) {
		o = (struct net_offload){
			(uint8_t)(more % 4),	  more & 0x10 ? (uint8_t)player_take(p, 1) : 0,
			(uint16_t)player_edge(p), (uint16_t)player_edge(p),
			(uint16_t)player_edge(p), (uint16_t)player_edge(p)};
	}
	for (unsigned i = 0; i < 1u + more % 8; i++) {
		if (p->r->waiting_count[queue] < RIG_FRAMES) {
			rig_offer(p->r, queue, frame, sizes[(more >> 3) % ARRAY_LEN(sizes)],
				  what & 0x80 ? 0x2005 : NET_TAG_NONE, &o);
		}
	}
}

static void do_link(struct player *p)
{
	uint8_t v = (uint8_t)player_take(p, 1);

	vsp_net_link(p->r->n, v & 1);
	vsp_net_speed(p->r->n, (uint64_t)(v >> 4) << 30);
}

static void do_turn(struct player *p)
{
	uint8_t which = (uint8_t)player_take(p, 1);

	if (which & 1) {
		fake_guest_run(p->r->g);
	}
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		if (which >> 1 & 1u << i) {
			vsp_net_poll(p->r->n, i);
		}
	}
}

/* Rings, by nobody's rules. */
FOUL_STEP(raw)
FOUL_STEP(ring_word)
FOUL_STEP(ring_bytes)
FOUL_STEP(drain)

static void do_run(struct player *p)
{
	rig_run_host(p->r);
}

static void add_up(struct player *p)
{
	struct vsp_net_stats s;

	for (unsigned i = 0; i < VIOLATION_KINDS; i++) {
		p->result.violations += p->r->n->violations[i];
	}
	vsp_net_get_stats(p->r->n, &s);
	p->result.frames += s.rx_frames + s.tx_frames;
}

/* Another process takes over. A guest that has spoiled its ring words may not survive it. */
static void do_replace(struct player *p)
{
	struct rig *r = p->r;
	size_t bytes;

	if (player_take(p, 1) % 4 != 0) {
		return;
	}
	rig_run_host(r);
	bytes = rig_save(r, p->state, sizeof(p->state));
	CHECK(bytes <= sizeof(p->state));
	add_up(p);
	rig_replace(r);
	p->over = !rig_restore(r, p->state, bytes);
}

/* ---- The play ---- */

enum { THEMES = 8, THEME_ACTIONS = 16 };

/* What a script's steps mean, by its first byte: everything, or mostly something. */
static action_fn *const themes[THEMES][THEME_ACTIONS] = {
	{player_do_frame, player_do_frame, player_do_control, player_do_oid, do_offer, do_offer,
	 do_run, do_drain, player_do_completion, player_do_nvsp, do_raw, do_room, do_turn, do_link,
	 do_ring_word, player_do_map},
	{player_do_frame, player_do_frame, player_do_frame, player_do_frame, player_do_frame,
	 player_do_frame, player_do_frame, player_do_frame, do_run, do_drain, do_room, do_turn,
	 player_do_memory, player_do_map, player_do_oid, player_do_completion},
	{player_do_nvsp, player_do_nvsp, player_do_nvsp, player_do_nvsp, player_do_nvsp,
	 player_do_open, player_do_close, player_do_teardown, player_do_frame, do_offer, do_run,
	 do_drain, do_turn, player_do_completion, player_do_start, player_do_oid},
	{do_ring_word, do_ring_bytes, do_ring_bytes, player_do_frame, player_do_frame,
	 player_do_frame, do_offer, do_offer, do_turn, do_run, do_drain, player_do_close,
	 player_do_open, player_do_start, player_do_completion, do_raw},
	{do_offer, do_offer, do_offer, do_offer, do_offer, player_do_completion,
	 player_do_completion, player_do_completion, player_do_completion, do_drain, do_drain,
	 do_run, do_turn, player_do_oid, player_do_map, player_do_nvsp},
	{player_do_control, player_do_control, player_do_control, player_do_oid, player_do_oid,
	 player_do_oid, player_do_oid, player_do_oid, player_do_oid, do_run, do_drain,
	 player_do_completion, do_offer, do_link, do_turn, player_do_frame},
	{do_raw, do_raw, do_raw, do_raw, player_do_frame, player_do_memory, player_do_map,
	 player_do_map, player_do_teardown, do_offer, player_do_completion, do_run, do_drain,
	 do_turn, player_do_start, player_do_close},
	{do_replace, do_replace, do_offer, do_offer, player_do_frame, player_do_frame,
	 player_do_oid, player_do_completion, do_drain, do_turn, do_turn, do_room, player_do_close,
	 player_do_open, player_do_start, player_do_nvsp},
};

/* How far a well-behaved driver came before: from nothing to everything open. */
static void begin(struct player *p, unsigned level)
{
	struct rig *r = p->r;

	if (level < 1 || !rig_connect(r, VERSION_WIN10_V5_3)) {
		return;
	}
	if (level >= 2 && rig_start(r, NVSP_PROTOCOL_VERSION_61, 1500)) {
		rig_set_filter(r, 0xd);
	}
	if (level >= 3) {
		rig_create_subchannels(r, RIG_QUEUES - 1);
	}
	foul_take_over(&p->foul);
}

static uint32_t chain_length(const struct net_pool *pool, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t i = first; i != NET_SUBALLOC_NONE; i = pool->next[i]) {
		CHECK(i < pool->count && n < pool->count);
		n++;
	}
	return n;
}

/* Every suballocation is free, kept by a queue, being filled, or the guest's; and none of them twice. */
static void check_pool(const struct vsp_net *n)
{
	const struct net_pool *pool = &n->pool;
	uint32_t sum = pool->free_count;

	for (unsigned i = 0; i < n->config.queues_max; i++) {
		sum += n->queues[i].cache_count + n->queues[i].range_count;
	}
	for (uint32_t i = 0; i < pool->count; i++) {
		if (pool->owner[i] != 0) {
			sum += chain_length(pool, i);
		}
	}
	CHECK(sum == pool->count || !n->settings.receive); /* revoked: it goes as a whole */
}

static void free_sent(struct rig *r)
{
	if (r->sent_count > RIG_FRAMES / 2) {
		rig_forget(r);
	}
}

static void end(struct player *p)
{
	struct rig *r = p->r;

	add_up(p);
	p->result.sent = p->foul.sent;
	if (!p->over) {
		vmbus_reset(r->g->bus);
		rig_run_host(r);
		CHECK(vmbus_quiet(r->g->bus));
		for (unsigned i = 0; i < RIG_QUEUES; i++) {
			CHECK(net_queue_state(&r->n->queues[i]) == NET_QUEUE_CLOSED);
		}
		CHECK(r->n->pool.count == 0);
	}
	player_check_canaries(r);
	rig_destroy(r);
}

static void run(void *ctx)
{
	rig_run_host(ctx);
}

struct hostile_result hostile_play(const uint8_t *script, size_t bytes)
{
	const struct rig_config config = {.queues = RIG_QUEUES,
					  .ring_pages = PLAYER_RING_PAGES,
					  .guest = {.pages = GUEST_PAGES}};
	struct player *p = calloc(1, sizeof(*p));
	struct hostile_result result;
	uint8_t first;

	CHECK(p != NULL);
	p->r = rig_create(&config);
	p->foul = (struct foul){.in = {script, bytes},
				.g = p->r->g,
				.channels = p->r->channels,
				.count = RIG_QUEUES,
				.choices = 8,
				.edges = edges,
				.edge_count = ARRAY_LEN(edges),
				.run = run,
				.ctx = p->r,
				.transaction = 1};
	player_fill_canaries(p->r);
	first = (uint8_t)player_take(p, 1);
	begin(p, first >> 6);
	while (p->foul.in.left > 0 && p->result.steps < STEPS_MAX && !p->over) {
		themes[first % THEMES][player_take(p, 1) % THEME_ACTIONS](p);
		p->result.steps++;
		free_sent(p->r);
		if (!p->over) {
			check_pool(p->r->n);
		}
	}
	end(p);
	result = p->result;
	free(p);
	return result;
}
