// SPDX-License-Identifier: Apache-2.0
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define SMALL_BYTES UINT64_C(16384)
#define LARGE_BYTES (UINT64_C(1) << 20)
#define TRIES 8

static void note(struct guest *g, enum event_kind kind, uint32_t number)
{
	if (g->journal != NULL) {
		journal_add(g->journal, &(struct event){.kind = kind, .ref = number});
	} else if (g->model != NULL && kind == EVENT_GUEST_SUBMIT) {
		model_submit(g->model, number);
	} else if (g->model != NULL) {
		model_done(g->model, number);
	}
}

static void slot_done(struct io_request *r, int result)
{
	struct guest_slot *s = r->ctx;
	struct guest *g = s->guest;

	if (result == 0) {
		note(g, EVENT_GUEST_DONE, s->number);
	} else {
		CHECK(g->may_fail);
		g->failed++;
	}
	free(s->data);
	s->data = NULL;
	s->number = 0;
}

static struct guest_slot *free_slot(struct guest *g)
{
	for (unsigned i = 0; i < g->depth; i++) {
		if (g->slots[i].number == 0) {
			return &g->slots[i];
		}
	}
	return NULL;
}

static bool is_busy(const struct guest *g)
{
	for (unsigned i = 0; i < g->depth; i++) {
		if (g->slots[i].number != 0) {
			return true;
		}
	}
	return false;
}

static bool overlaps(const struct guest *g, uint64_t sector, uint64_t sectors)
{
	for (unsigned i = 0; i < g->depth; i++) {
		const struct guest_slot *s = &g->slots[i];

		if (s->number != 0 && sector < s->sector + s->sectors &&
		    s->sector < sector + sectors) {
			return true;
		}
	}
	return false;
}

/* The data in two pieces, so that vectors are not always one. */
static void fill_data(struct guest_slot *s, struct dice *dice)
{
	uint64_t bytes = s->sectors * MODEL_SECTOR_BYTES;
	uint64_t split = dice_below(dice, bytes + 1);

	s->data = malloc(bytes);
	CHECK(s->data != NULL);
	for (uint64_t i = 0; i < s->sectors; i++) {
		model_pattern(s->number, s->sector + i, s->data + i * MODEL_SECTOR_BYTES);
	}
	s->vec[0] = (struct io_vec){s->data, (size_t)split};
	s->vec[1] = (struct io_vec){s->data + split, (size_t)(bytes - split)};
	s->request.vec = s->vec;
	s->request.vec_count = 2;
}

static void start(struct guest *g, struct guest_slot *s, enum io_op op, uint32_t flags,
		  uint64_t sector, uint64_t sectors)
{
	const struct guest_op entry = {
		.op = op, .flags = flags, .sector = sector, .sectors = sectors};

	s->guest = g;
	s->number = history_add(g->history, &entry);
	s->sector = sector;
	s->sectors = sectors;
	s->request = (struct io_request){.op = op,
					 .flags = flags,
					 .offset = sector * MODEL_SECTOR_BYTES,
					 .bytes = sectors * MODEL_SECTOR_BYTES,
					 .done = slot_done,
					 .ctx = s};
	if (op == IO_WRITE) {
		fill_data(s, &g->dice);
	}
	note(g, EVENT_GUEST_SUBMIT, s->number);
	block_submit(g->block, &s->request);
}

static enum io_op choose_op(struct guest *g, const struct guest_mix *mix, bool *ret_large)
{
	uint64_t roll = dice_below(&g->dice, 100);

	*ret_large = false;
	if (roll < mix->flushes) {
		return IO_FLUSH;
	}
	if ((roll -= mix->flushes) < mix->discards) {
		*ret_large = dice_percent(&g->dice, 50);
		return IO_DISCARD;
	}
	if ((roll -= mix->discards) < mix->zeros) {
		*ret_large = dice_percent(&g->dice, 50);
		return IO_ZERO;
	}
	*ret_large = roll - mix->zeros < mix->large_writes;
	return IO_WRITE;
}

/* A place of whole sectors of the device, often one of 4 KiB, that nobody is at work on. */
static bool choose_place(struct guest *g, uint64_t limit_bytes, uint64_t *ret_sector,
			 uint64_t *ret_sectors)
{
	uint64_t unit = g->block->info.sector_bytes / MODEL_SECTOR_BYTES;

	if (unit < 8 && dice_percent(&g->dice, 60)) {
		unit = 8;
	}
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t limit = limit_bytes / MODEL_SECTOR_BYTES / unit;
		uint64_t sectors = unit * (1 + dice_below(&g->dice, limit));
		uint64_t sector = g->first_sector + dice_below(&g->dice, g->sectors) / unit * unit;
		uint64_t end = g->first_sector + g->sectors;

		if (sector + sectors > end) {
			sectors = (end - sector) / unit * unit;
		}
		if (sectors != 0 && !overlaps(g, sector, sectors)) {
			*ret_sector = sector;
			*ret_sectors = sectors;
			return true;
		}
	}
	return false;
}

static uint32_t choose_flags(struct guest *g, const struct guest_mix *mix, enum io_op op)
{
	uint32_t flags = 0;

	if ((op == IO_WRITE || op == IO_ZERO) && dice_percent(&g->dice, mix->fua)) {
		flags |= IO_FUA;
	}
	if (op == IO_ZERO && dice_percent(&g->dice, 50)) {
		flags |= IO_UNMAP;
	}
	return flags;
}

static bool start_one(struct guest *g, const struct guest_mix *mix)
{
	struct guest_slot *s = free_slot(g);
	uint64_t sector = 0, sectors = 0;
	bool large;

	if (s == NULL) {
		return false;
	}
	enum io_op op = choose_op(g, mix, &large);
	uint64_t limit = !large			 ? SMALL_BYTES
			 : mix->large_bytes != 0 ? mix->large_bytes
						 : LARGE_BYTES;

	if (op != IO_FLUSH && !choose_place(g, limit, &sector, &sectors)) {
		return false;
	}
	start(g, s, op, choose_flags(g, mix, op), sector, sectors);
	return true;
}

void guest_step(struct guest *g, const struct guest_mix *mix)
{
	while (!start_one(g, mix)) {
		io_poll(g->context, is_busy(g), UINT64_MAX);
	}
	if (dice_percent(&g->dice, 50)) {
		io_poll(g->context, false, 0);
	}
	if (dice_percent(&g->dice, mix->settles)) {
		block_settle(g->block);
	}
}

void guest_drain(struct guest *g)
{
	while (is_busy(g)) {
		io_poll(g->context, true, UINT64_MAX);
	}
}

void guest_run(struct guest *g, const struct guest_mix *mix, unsigned count)
{
	while (count-- != 0) {
		guest_step(g, mix);
	}
	guest_drain(g);
}

void guest_do(struct guest *g, enum io_op op, uint32_t flags, uint64_t sector, uint64_t sectors)
{
	while (free_slot(g) == NULL || (op != IO_FLUSH && overlaps(g, sector, sectors))) {
		io_poll(g->context, true, UINT64_MAX);
	}
	struct guest_slot *s = free_slot(g);

	start(g, s, op, flags, sector, sectors);
	while (s->number != 0) {
		io_poll(g->context, true, UINT64_MAX);
	}
}
