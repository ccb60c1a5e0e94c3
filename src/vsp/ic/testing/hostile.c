// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "hostile_player.h"
#include "lib/bits.h"
#include "lib/check.h"

#define GUEST_PAGES 700u
#define STEPS_MAX 300u
#define OFFERS_MAX 1000u
#define HEAD_BYTES (sizeof(struct vmbus_pipe_header) + sizeof(struct ic_header))

/* Numbers at which things change. */
static const uint32_t edges[] = {
	0,	1,	4,     7,     8,	12,	    16,		20,	    27,	       28,
	36,	48,	100,   511,   512,	2048,	    2580,	4095,	    4096,      8192,
	0x3000, 0x4000, 65535, 65536, 1u << 20, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};

/* ---- Answers ---- */

/* Some bytes of the body are the script's, here and there. */
static void fill_body(struct player *p, uint8_t *body, size_t bytes)
{
	unsigned n = (unsigned)player_take(p, 1) % 24;

	memset(body, 0, bytes);
	for (unsigned i = 0; i < n && bytes != 0; i++) {
		size_t at = i < 12 ? i : player_take(p, 2) % bytes;

		body[at % bytes] = (uint8_t)player_take(p, 1);
	}
}

static size_t body_bytes(struct player *p, enum vsp_ic_kind kind)
{
	static const size_t usual[VSP_IC_KINDS] = {2060, 22, 40, 2580, 12, 36};
	uint8_t pick = (uint8_t)player_take(p, 1);

	if (pick < 180) {
		return usual[kind];
	}
	return pick < 200 ? IC_BODY_MAX : player_edge(p) % 8192;
}

static uint32_t any_status(struct player *p)
{
	static const uint32_t statuses[] = {0, 0, 0, 0, 0, IC_STATUS_FAIL, IC_STATUS_NO_MORE, 1};

	return statuses[player_take(p, 1) % ARRAY_LEN(statuses)];
}

/* The answer that is waited for, with a body of the script's. */
static void do_answer(struct player *p)
{
	int channel = foul_pick(&p->foul);
	enum vsp_ic_kind kind = channel >= 0 ? (enum vsp_ic_kind)channel : VSP_IC_SHUTDOWN;
	const struct ic_channel *ch = &p->r->ic->channels[kind];
	bool versions = ch->state == VSP_IC_NEGOTIATING;
	size_t bytes = versions ? 32 : body_bytes(p, kind);
	const struct vmbus_pipe_header pipe = {VMBUS_PIPE_DATA,
					       (uint32_t)(sizeof(struct ic_header) + bytes)};
	const struct ic_header h = {
		.type = versions ? IC_MESSAGE_NEGOTIATE : ch->component->message_type,
		.status = any_status(p),
		.transaction = ch->transaction,
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE,
	};

	memcpy(p->packet, &pipe, sizeof(pipe));
	memcpy(p->packet + sizeof(pipe), &h, sizeof(h));
	fill_body(p, p->packet + HEAD_BYTES, bytes);
	if (versions && player_take(p, 1) % 4 != 0) {
		const struct ic_version picked[2] = {{3, 0}, rig_newest(kind)};
		const struct ic_negotiate n = {1, 1, 0};

		memcpy(p->packet + HEAD_BYTES, &n, sizeof(n));
		memcpy(p->packet + HEAD_BYTES + sizeof(n), picked, sizeof(picked));
	}
	if (kind == VSP_IC_HEARTBEAT && !versions && player_take(p, 1) % 4 != 0) {
		store_le64(p->packet + HEAD_BYTES, p->r->ic->heartbeat.sequence + 1);
	}
	if (channel >= 0) {
		foul_send_good(&p->foul, kind, VMBUS_PACKET_DATA_INBAND, NULL, 0, p->packet,
			       HEAD_BYTES + bytes);
	}
}

/* Any header. */
static void do_foul(struct player *p)
{
	int channel = foul_pick(&p->foul);
	uint16_t type = player_take(p, 1) % 4 == 0 ? (uint16_t)player_take(p, 1) % 16
						   : VMBUS_PACKET_DATA_INBAND;
	size_t bytes = player_edge(p) % IC_PACKET_BYTES;

	memset(p->packet, 0, sizeof(p->packet));
	for (unsigned i = 0; i < 40; i++) {
		p->packet[i] = (uint8_t)player_take(p, 1);
	}
	if (player_take(p, 1) & 1) {
		store_le32(p->packet, VMBUS_PIPE_DATA);
		store_le32(p->packet + 4, player_edge(p));
	}
	if (channel >= 0) {
		foul_send_good(&p->foul, (unsigned)channel, type, NULL, 0, p->packet, bytes);
	}
}

/* ---- Rings and channels, by nobody's rules ---- */

FOUL_STEP(ring_word)
FOUL_STEP(ring_bytes)
FOUL_STEP(drain)
FOUL_STEP(close)
FOUL_STEP(connect)

static void do_open(struct player *p)
{
	unsigned kind = (unsigned)player_take(p, 1) % VSP_IC_KINDS;
	uint32_t pages = 2 + (uint32_t)player_take(p, 1) % RIG_RING_PAGES;

	foul_open(&p->foul, kind, rig_offer(p->r, (enum vsp_ic_kind)kind), pages);
}

static void do_run(struct player *p)
{
	rig_run(p->r);
}

/* ---- The play ---- */

typedef void action_fn(struct player *p);

enum { THEMES = 4, THEME_ACTIONS = 16 };

/* What a script's steps mean, by its first byte. */
static action_fn *const themes[THEMES][THEME_ACTIONS] = {
	{do_answer, do_answer, do_answer, do_answer, do_answer, do_foul, player_do_ask,
	 player_do_ask, player_do_ask, player_do_time, do_drain, do_run, do_open, do_close,
	 do_drain, player_do_replace},
	{do_answer, do_answer, do_answer, do_answer, do_answer, do_answer, do_answer, do_answer,
	 player_do_ask, player_do_ask, player_do_ask, player_do_ask, player_do_time, do_drain,
	 do_drain, do_run},
	{do_foul, do_foul, do_foul, do_foul, do_ring_word, do_ring_bytes, do_answer, do_answer,
	 player_do_ask, player_do_time, do_open, do_open, do_close, do_drain, do_run, do_connect},
	{do_answer, do_answer, do_answer, player_do_ask, player_do_ask, player_do_ask,
	 player_do_replace, player_do_replace, do_connect, do_open, do_open, do_close,
	 player_do_time, do_drain, do_drain, do_run},
};

/* How far a well-behaved driver came before: nothing, connected, everything open, everything agreed on. */
static void begin(struct player *p, unsigned level)
{
	const struct ic_version framework = {3, 0};

	if (level >= 1) {
		rig_connect(p->r, VERSION_WIN10_V5_3);
	}
	for (unsigned i = 0; level >= 2 && i < VSP_IC_KINDS; i++) {
		rig_open(p->r, (enum vsp_ic_kind)i);
		if (level >= 3) {
			rig_negotiate(p->r, (enum vsp_ic_kind)i, framework,
				      rig_newest((enum vsp_ic_kind)i));
		}
	}
	foul_take_over(&p->foul);
}

static void step(struct player *p, action_fn *const *actions)
{
	struct fake_guest *g = p->r->g;

	actions[player_take(p, 1) % THEME_ACTIONS](p);
	p->result.steps++;
	fake_guest_forget_inbox(g);
	if (g->offer_count > OFFERS_MAX) {
		g->offer_count = 0;
	}
}

static void end(struct player *p)
{
	struct rig *r = p->r;

	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		for (unsigned k = 0; k < IC_VIOLATION_KINDS; k++) {
			p->violations += r->ic->channels[i].violations[k];
		}
	}
	p->result.violations = p->violations;
	p->result.done = p->ended;
	p->result.sent = p->foul.sent;
	if (!p->over) {
		rig_pass(r, 100 * RIG_S);
		vmbus_reset(r->g->bus);
		rig_run(r);
		CHECK(vmbus_quiet(r->g->bus));
		CHECK(p->ended == p->result.asked);
	}
	rig_destroy(r);
	CHECK(p->ended == p->result.asked);
}

static void run(void *ctx)
{
	rig_run(ctx);
}

struct hostile_result hostile_play(const uint8_t *script, size_t bytes)
{
	const struct rig_config config = {.guest = {.pages = GUEST_PAGES}};
	struct player *p = calloc(1, sizeof(*p));
	struct hostile_result result;
	uint8_t first;

	CHECK(p != NULL);
	p->r = rig_create(&config);
	p->foul = (struct foul){.in = {script, bytes},
				.g = p->r->g,
				.channels = p->r->channels,
				.count = VSP_IC_KINDS,
				.choices = VSP_IC_KINDS,
				.edges = edges,
				.edge_count = ARRAY_LEN(edges),
				.run = run,
				.ctx = p->r,
				.transaction = 1};
	first = (uint8_t)player_take(p, 1);
	begin(p, first >> 6);
	while (p->foul.in.left > 0 && p->result.steps < STEPS_MAX && !p->over) {
		step(p, themes[first % THEMES]);
	}
	end(p);
	result = p->result;
	free(p);
	return result;
}
