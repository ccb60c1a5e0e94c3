// SPDX-License-Identifier: Apache-2.0
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define SECTOR_BYTES UINT64_C(512)

void replay_init(struct replay *r, struct lab *before, const struct journal *journal,
		 struct model *model)
{
	*r = (struct replay){.journal = journal, .model = model};
	r->file_count = before->file_count;
	for (unsigned i = 0; i < before->file_count; i++) {
		strcpy(r->files[i].path, before->files[i].path);
		r->files[i].base = image_copy(before->files[i].image);
	}
}

void replay_fini(struct replay *r)
{
	for (unsigned i = 0; i < r->file_count; i++) {
		image_destroy(r->files[i].base);
		free(r->files[i].pending);
	}
}

/* ---- How an event changes an image ---- */

enum landing {
	LANDS_NOT,
	LANDS_WHOLE,
	LANDS_START,   /* up to some sector */
	LANDS_SECTORS, /* some of them */
};

static bool sector_lands(enum landing landing, uint64_t dice, uint64_t n, uint64_t count)
{
	switch (landing) {
	case LANDS_NOT:
		return false;
	case LANDS_WHOLE:
		return true;
	case LANDS_START:
		return n < dice % count;
	case LANDS_SECTORS:
		return (dice_mix(dice + n) & 1) != 0;
	}
	return false;
}

/* @bytes of @e from @skip on. */
static void apply_piece(struct image *i, const struct event *e, uint64_t skip, uint64_t bytes)
{
	uint64_t offset = e->offset + skip;

	if (e->op == IO_WRITE) {
		image_write(i, offset, e->data + skip, bytes);
	} else if (e->op == IO_ZERO) {
		image_zero(i, offset, bytes);
	} else if (offset < image_bytes(i)) { /* a discard */
		image_zero(i, offset, min_u64(bytes, image_bytes(i) - offset));
	}
}

static void apply_sectors(struct image *i, const struct event *e, enum landing landing,
			  uint64_t dice)
{
	uint64_t first = e->offset / SECTOR_BYTES;
	uint64_t count = (e->offset + e->bytes + SECTOR_BYTES - 1) / SECTOR_BYTES - first;

	for (uint64_t n = 0; n < count; n++) {
		uint64_t start = max_u64((first + n) * SECTOR_BYTES, e->offset);
		uint64_t end = min_u64((first + n + 1) * SECTOR_BYTES, e->offset + e->bytes);

		if (sector_lands(landing, dice, n, count)) {
			apply_piece(i, e, start - e->offset, end - start);
		}
	}
}

static void apply(struct image *i, const struct event *e, enum landing landing, uint64_t dice)
{
	if (landing == LANDS_NOT) {
		return;
	}
	if (e->kind == EVENT_SIZE) {
		image_resize(i, e->bytes);
	} else if (landing == LANDS_WHOLE) {
		apply_piece(i, e, 0, e->bytes);
	} else {
		apply_sectors(i, e, landing, dice);
	}
}

/* ---- Going through the events ---- */

static void add_pending(struct replay_file *f, uint32_t event, bool done)
{
	if (f->count == f->room) {
		f->room = f->room == 0 ? 64 : 2 * f->room;
		f->pending = realloc(f->pending, f->room * sizeof(*f->pending));
		CHECK(f->pending != NULL);
	}
	f->pending[f->count++] = (struct replay_pending){.event = event, .done = done};
}

/* What is durable and has nothing undecided before it goes into the base. */
static void advance_base(struct replay *r, struct replay_file *f)
{
	uint32_t n = 0;

	while (n < f->count && f->pending[n].durable) {
		apply(f->base, &r->journal->events[f->pending[n].event], LANDS_WHOLE, 0);
		n++;
	}
	if (n != 0) {
		memmove(f->pending, f->pending + n, (f->count - n) * sizeof(*f->pending));
		f->count -= n;
	}
	r->advances++;
}

static void submit_flush(struct replay_file *f, uint32_t flush)
{
	for (uint32_t i = 0; i < f->count; i++) {
		if (f->pending[i].done && f->pending[i].cover == 0) {
			f->pending[i].cover = flush;
		}
	}
}

static void flush_done(struct replay *r, struct replay_file *f, uint32_t flush)
{
	for (uint32_t i = 0; i < f->count; i++) {
		struct replay_pending *p = &f->pending[i];

		p->durable = p->durable || (p->cover != 0 && p->cover <= flush);
	}
	advance_base(r, f);
	r->worth_a_cut = true;
}

static void request_done(struct replay *r, struct replay_file *f, uint32_t event)
{
	bool through = (r->journal->events[event].flags & IO_FUA) != 0;

	for (uint32_t i = f->count; i-- != 0;) {
		if (f->pending[i].event == event) {
			f->pending[i].done = true;
			f->pending[i].durable |= through;
			break;
		}
	}
	if (through) {
		advance_base(r, f);
		r->worth_a_cut = true;
	}
}

static void file_created(struct replay *r, const struct event *e)
{
	struct replay_file *f = &r->files[r->file_count];

	CHECK(e->file == r->file_count && r->file_count < LAB_FILES);
	strcpy(f->path, (const char *)e->data);
	f->base = image_create();
	r->file_count++;
	r->worth_a_cut = true;
}

static void file_event(struct replay *r, uint32_t number, const struct event *e)
{
	struct replay_file *f = &r->files[e->file];

	switch (e->kind) {
	case EVENT_SIZE:
		add_pending(f, number, true);
		r->worth_a_cut = true;
		break;
	case EVENT_SUBMIT:
		if (e->op == IO_FLUSH) {
			submit_flush(f, number);
		} else {
			add_pending(f, number, false);
			r->worth_a_cut = true;
		}
		break;
	case EVENT_DONE:
		if (r->journal->events[e->ref].op == IO_FLUSH) {
			flush_done(r, f, e->ref);
		} else {
			request_done(r, f, e->ref);
		}
		break;
	default:
		break;
	}
}

static void guest_event(struct replay *r, const struct event *e)
{
	struct model *m = r->model;

	if (m == NULL) {
		return;
	}
	uint32_t promises = m->promises;

	switch (e->kind) {
	case EVENT_GUEST_SUBMIT:
		model_submit(m, e->ref);
		break;
	case EVENT_GUEST_DONE:
		model_done(m, e->ref);
		break;
	case EVENT_GUEST_SETTLED:
		model_settle(m);
		m->promises++;
		break;
	case EVENT_RESIZING:
		m->next_size = e->bytes;
		break;
	case EVENT_RESIZED:
		m->size = e->bytes;
		m->next_size = e->bytes;
		m->promises++;
		break;
	default:
		break;
	}
	r->worth_a_cut = m->promises != promises;
}

bool replay_next(struct replay *r)
{
	if (r->at == r->journal->count) {
		return false;
	}
	uint32_t number = r->at++;
	const struct event *e = &r->journal->events[number];

	r->worth_a_cut = false;
	switch (e->kind) {
	case EVENT_CREATE:
		file_created(r, e);
		break;
	case EVENT_NAME:
		strcpy(r->files[e->file].path, (const char *)e->data);
		r->advances++;
		r->worth_a_cut = true;
		break;
	case EVENT_SUBMIT:
	case EVENT_DONE:
	case EVENT_SIZE:
		file_event(r, number, e);
		break;
	case EVENT_GUEST_SUBMIT:
	case EVENT_GUEST_DONE:
	case EVENT_GUEST_SETTLED:
	case EVENT_RESIZING:
	case EVENT_RESIZED:
		guest_event(r, e);
		break;
	case EVENT_MARK:
		r->mark = e->ref;
		r->worth_a_cut = true;
		break;
	}
	return true;
}

/* ---- Cutting ---- */

/* The undecided events that are first and last of all files'. */
static void find_ends(const struct replay *r, uint32_t *ret_first, uint32_t *ret_last)
{
	*ret_first = UINT32_MAX;
	*ret_last = 0;
	for (unsigned n = 0; n < r->file_count; n++) {
		for (uint32_t i = 0; i < r->files[n].count; i++) {
			const struct replay_pending *p = &r->files[n].pending[i];

			if (!p->durable) {
				*ret_first = *ret_first < p->event ? *ret_first : p->event;
				*ret_last = *ret_last > p->event ? *ret_last : p->event;
			}
		}
	}
}

static enum landing random_landing(const struct event *e, uint64_t dice)
{
	unsigned n = dice >> 32 & 7;

	if (n < 3) {
		return LANDS_WHOLE;
	}
	if (n < 6 || e->kind == EVENT_SIZE || e->bytes <= SECTOR_BYTES) {
		return n < 6 ? LANDS_NOT : LANDS_WHOLE;
	}
	return n == 6 ? LANDS_START : LANDS_SECTORS;
}

static uint64_t event_dice(struct cut cut, uint32_t event)
{
	return dice_mix(cut.seed * UINT64_C(0x9e3779b97f4a7c15) + event);
}

static enum landing decide(const struct replay *r, struct cut cut, const struct replay_pending *p,
			   uint32_t first, uint32_t last)
{
	if (p->durable) {
		return LANDS_WHOLE;
	}
	switch (cut.kind) {
	case CUT_NONE:
		return LANDS_NOT;
	case CUT_ALL:
		return LANDS_WHOLE;
	case CUT_ONLY_LAST:
		return p->event == last ? LANDS_WHOLE : LANDS_NOT;
	case CUT_ALL_BUT_FIRST:
		return p->event == first ? LANDS_NOT : LANDS_WHOLE;
	case CUT_RANDOM:
		return random_landing(&r->journal->events[p->event], event_dice(cut, p->event));
	}
	return LANDS_NOT;
}

uint64_t replay_key(const struct replay *r, struct cut cut)
{
	uint64_t key = dice_mix((uint64_t)r->advances << 32 | (r->model ? r->model->promises : 0));
	uint32_t first, last;

	find_ends(r, &first, &last);
	key = dice_mix(key + r->mark + 1000 * r->file_count);
	for (unsigned n = 0; n < r->file_count; n++) {
		for (uint32_t i = 0; i < r->files[n].count; i++) {
			const struct replay_pending *p = &r->files[n].pending[i];
			enum landing landing = decide(r, cut, p, first, last);

			if (landing != LANDS_NOT) {
				key = dice_mix(key + p->event);
			}
			if (landing == LANDS_START || landing == LANDS_SECTORS) {
				key = dice_mix(key + event_dice(cut, p->event));
			}
		}
	}
	return key;
}

void replay_cut(struct replay *r, struct cut cut, uint64_t lab_seed, struct lab *ret)
{
	uint32_t first, last;

	find_ends(r, &first, &last);
	lab_init(ret, lab_seed);
	for (unsigned n = 0; n < r->file_count; n++) {
		struct replay_file *f = &r->files[n];
		struct image *image = image_copy(f->base);

		for (uint32_t i = 0; i < f->count; i++) {
			const struct replay_pending *p = &f->pending[i];

			apply(image, &r->journal->events[p->event], decide(r, cut, p, first, last),
			      event_dice(cut, p->event));
		}
		lab_add(ret, f->path, image);
	}
}
