// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hostile_player.h"
#include "lib/bits.h"
#include "lib/check.h"

#define GUEST_PAGES 640u
#define STEPS_MAX 400u
#define OFFERS_MAX 1000u

/* Numbers at which things change. */
static const uint32_t edges[] = {
	0,	    1,		7,	    8,	       12,    16,	20,
	36,	    48,		64,	    511,       512,   4088,	4095,
	4096,	    4097,	16384,	    65535,     65536, 1u << 20, (1u << 20) + 1,
	0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};

/* ---- What the owner does ---- */

static void do_disk(struct player *p)
{
	unsigned lun = (unsigned)player_take(p, 1) % 4;
	struct rig *r = p->r;

	if (r->s->slots[lun].unit != NULL) {
		rig_detach(r, lun);
	} else {
		stor_attach(r->s, lun, r->disks[lun].unit);
	}
}

static uint64_t violations(const struct stor *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < VIOLATION_KINDS; i++) {
		sum += s->violations[i];
	}
	return sum;
}

/* Another process takes over. A guest that has spoiled its ring words may not survive it. */
static void do_replace(struct player *p)
{
	struct rig *r = p->r;
	size_t bytes;

	rig_pass(r, UINT64_C(1000000000));
	rig_pass(r, UINT64_C(1000000000));
	if (!stor_idle(r->s)) {
		return;
	}
	bytes = rig_save(r, p->state, sizeof(p->state));
	CHECK(bytes <= sizeof(p->state));
	p->violations += violations(r->s);
	rig_replace(r);
	p->over = !rig_restore(r, p->state, bytes);
}

static void do_turn(struct player *p)
{
	struct rig *r = p->r;
	uint8_t which = (uint8_t)player_take(p, 1);

	if (which & 1) {
		fake_guest_run(r->g);
	}
	if (which & 2) {
		stor_poll(r->s);
	}
	if (which & 4) {
		io_poll(&r->io, false, 0);
	}
	if (which & 8) {
		r->clock.now_ns += 1000;
		block_filter_poll(r->disks[0].block);
	}
}

/* Rings and channels, by nobody's rules. */
FOUL_STEP(raw)
FOUL_STEP(ring_word)
FOUL_STEP(ring_bytes)
FOUL_STEP(drain)
FOUL_STEP(close)
FOUL_STEP(connect)

static void do_run(struct player *p)
{
	rig_run(p->r);
}

static void do_time(struct player *p)
{
	rig_pass(p->r, player_take(p, 2) * 1000);
}

/* ---- The play ---- */

typedef void action_fn(struct player *p);

enum { THEMES = 8, THEME_ACTIONS = 16 };

/* What a script's steps mean, by its first byte: everything, or mostly something. */
static action_fn *const themes[THEMES][THEME_ACTIONS] = {
	{player_do_srb, player_do_srb, player_do_srb, player_do_srb, do_run, do_drain,
	 player_do_operation, do_ring_word, do_ring_bytes, player_do_map, do_raw, do_disk, do_time,
	 do_turn, player_do_message, player_do_step},
	{player_do_srb, player_do_srb, player_do_srb, player_do_srb, player_do_srb, player_do_srb,
	 player_do_srb, player_do_srb, do_run, do_drain, do_time, do_turn, player_do_data_bytes,
	 player_do_map, player_do_step, do_drain},
	{player_do_operation, player_do_operation, player_do_operation, player_do_operation,
	 player_do_step, player_do_step, player_do_step, do_raw, do_raw, player_do_srb, do_drain,
	 do_run, do_close, player_do_open, do_turn, do_time},
	{do_ring_word, do_ring_word, do_ring_bytes, do_ring_bytes, player_do_srb, player_do_srb,
	 player_do_srb, do_turn, do_turn, do_run, do_drain, do_close, player_do_open,
	 player_do_step, player_do_step, player_do_step},
	{player_do_message, player_do_message, player_do_message, player_do_message, do_connect,
	 player_do_open, player_do_open, do_close, player_do_step, player_do_step, player_do_step,
	 player_do_step, player_do_srb, player_do_srb, do_turn, do_run},
	{do_raw, do_raw, do_raw, do_raw, do_raw, player_do_srb, player_do_srb, do_drain, do_run,
	 do_turn, do_close, player_do_open, player_do_step, player_do_step, player_do_step,
	 do_time},
	{player_do_srb, player_do_srb, player_do_srb, player_do_map, player_do_map,
	 player_do_data_bytes, do_turn, do_turn, do_disk, do_disk, do_time, do_run, do_drain,
	 player_do_step, player_do_operation, player_do_map},
	{player_do_srb, player_do_srb, player_do_open, player_do_open, do_close, do_replace,
	 do_disk, player_do_step, player_do_step, player_do_step, do_drain, do_time, do_turn,
	 do_connect, player_do_operation, do_run},
};

static struct rig *make_world(void)
{
	const struct rig_config config = {.subchannels = RIG_CHANNELS - 1,
					  .ring_pages = PLAYER_RING_PAGES,
					  .guest = {.pages = GUEST_PAGES}};
	const struct block_error_rule rule = {
		.ops = 1u << IO_READ | 1u << IO_WRITE, .after = 3, .count = 5, .error = -EIO};
	struct rig *r = rig_create(&config);
	struct block_device *errors;
	int err = block_error_create(testing_disk(&r->io, 1 << 20, 512, false), &rule, 1, &errors);

	CHECK(err == 0);
	rig_add_disk(r, 0, 4 << 20, 1000);
	rig_add_block(r, 1, errors, 0);
	rig_add_block(r, 2, testing_disk(&r->io, 1 << 20, 4096, true), 0);
	rig_add_dvd(r, 3);
	player_fill_canaries(r);
	return r;
}

/* How far a well-behaved driver came before: from nothing to everything open. */
static void begin(struct player *p, unsigned level)
{
	if (level < 1 || !rig_connect(p->r, VERSION_WIN10_V5_3)) {
		return;
	}
	if (level >= 2) {
		rig_start(p->r, VSTOR_VERSION_WIN10);
	}
	if (level >= 3) {
		rig_create_subchannels(p->r, RIG_CHANNELS - 1);
	}
	foul_take_over(&p->foul);
}

/* Every request is in the pool or owed to a channel. */
static void check_requests(const struct stor *s)
{
	unsigned owed = 0;

	for (uint32_t i = 0; i < s->channel_count; i++) {
		owed += s->channels[i].outstanding;
		CHECK(s->channels[i].outstanding <= STOR_CHANNEL_DEPTH);
	}
	CHECK(owed == s->pool_size - s->pool_free);
	CHECK(s->command_count <= owed);
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
	check_requests(p->r->s);
}

static void end(struct player *p)
{
	struct rig *r = p->r;

	for (unsigned i = 0; i < 8; i++) {
		rig_pass(r, UINT64_C(1000000000));
	}
	CHECK(r->s->command_count == 0);
	check_requests(r->s);
	if (!p->over) {
		vmbus_reset(r->g->bus);
		rig_run(r);
		CHECK(stor_idle(r->s));
		CHECK(vmbus_quiet(r->g->bus));
		CHECK(r->s->pool_free == r->s->pool_size);
	}
	player_check_canaries(r);
	p->result.violations = p->violations + violations(r->s);
	p->result.sent = p->foul.sent;
	rig_destroy(r);
}

static void run(void *ctx)
{
	rig_run(ctx);
}

struct hostile_result hostile_play(const uint8_t *script, size_t bytes)
{
	struct player *p = calloc(1, sizeof(*p));
	struct hostile_result result;
	uint8_t first;

	CHECK(p != NULL);
	p->r = make_world();
	p->foul = (struct foul){.in = {script, bytes},
				.g = p->r->g,
				.channels = p->r->channels,
				.count = RIG_CHANNELS,
				.choices = 8,
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
