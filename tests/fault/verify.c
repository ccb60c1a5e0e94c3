// SPDX-License-Identifier: Apache-2.0
#include "verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "replay.h"

/* In one of 16 turns an untouched chunk is looked at, too. */
static bool is_chosen(const struct verify *v, uint64_t chunk)
{
	return model_touches(v->model, chunk) || (dice_mix(v->turn + chunk) & 15) == 0;
}

static int verify_chunk(const struct verify *v, struct block_device *block, uint64_t offset,
			char *ret_why, size_t size)
{
	uint8_t data[MODEL_CHUNK_BYTES];
	uint64_t bytes = min_u64(sizeof(data), block->info.bytes - offset);
	int r = block_read(block, offset, data, bytes);

	if (r != 0) {
		snprintf(ret_why, size, "reading 0x%" PRIx64 " bytes at 0x%" PRIx64 ": %s", bytes,
			 offset, strerror(-r));
		return r;
	}
	for (uint64_t at = 0; at < bytes; at += MODEL_SECTOR_BYTES) {
		if (!model_allows(v->model, (offset + at) / MODEL_SECTOR_BYTES, data + at, ret_why,
				  size)) {
			return 1;
		}
	}
	return 0;
}

int verify_contents(const struct verify *v, struct block_device *block, char *ret_why, size_t size)
{
	const struct model *m = v->model;
	uint64_t bytes = block->info.bytes;
	int r = 0;

	if (bytes != m->size && bytes != m->next_size) {
		snprintf(ret_why, size,
			 "the disk has %" PRIu64 " bytes, not %" PRIu64 " or %" PRIu64, bytes,
			 m->size, m->next_size);
		return 1;
	}
	for (uint64_t at = 0; at < bytes && r == 0; at += MODEL_CHUNK_BYTES) {
		if (is_chosen(v, at / MODEL_CHUNK_BYTES)) {
			r = verify_chunk(v, block, at, ret_why, size);
		}
	}
	return r;
}

static int check_files(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	const struct subject *s = v->subject;
	int r = 0;

	if (s->check == NULL) {
		return 0;
	}
	r = s->check(&lab->host, v->path, ret_why, size);
	for (size_t i = 0; i < ARRAY_LEN(v->others) && v->others[i] != NULL && r == 0; i++) {
		r = s->check(&lab->host, v->others[i], ret_why, size);
	}
	return r;
}

static int close_disk(const struct subject *s, struct subject_disk *d, char *ret_why, size_t size)
{
	int r = s->close(d);

	if (r != 0) {
		snprintf(ret_why, size, "closing: %d", r);
	}
	return r;
}

static int open_and_read(const struct verify *v, struct lab *lab, bool write, char *ret_why,
			 size_t size)
{
	struct subject_disk d;
	char why[512];
	int r = v->subject->open(v->subject, &lab->host, v->path, write, &d, ret_why, size);

	if (r != 0) {
		return r;
	}
	r = verify_contents(v, d.block, ret_why, size);
	int c = close_disk(v->subject, &d, why, sizeof(why));

	lab_drain(lab);
	if (r == 0 && c != 0) {
		snprintf(ret_why, size, "%s", why);
	}
	return r != 0 ? r : c;
}

static void prefix(char *why, size_t size, const char *with)
{
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s: %s", with, why);
	snprintf(why, size, "%s", copy);
}

static int verify_plain(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	int r = open_and_read(v, lab, true, ret_why, size);

	if (r == 0) {
		r = check_files(v, lab, ret_why, size);
	}
	if (r == 0 && lab->violation[0] != 0) {
		snprintf(ret_why, size, "%s", lab->violation);
		r = 1;
	}
	return r;
}

int verify_read_only(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	uint64_t before = image_bytes(lab->files[0].image);
	int r = open_and_read(v, lab, false, ret_why, size);

	if (r == 0 && image_bytes(lab->files[0].image) != before) {
		snprintf(ret_why, size, "opening for reading changed the file's length");
		r = 1;
	}
	if (r != 0) {
		prefix(ret_why, size, "opened for reading");
	}
	return r;
}

/* Opening writes (a log is replayed, headers change): the power may fail there as well. */
static int verify_cut_opening(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	struct journal journal = {0};
	struct lab before, after;
	struct replay replay;
	struct subject_disk d;

	lab_copy(&before, lab, v->turn);
	lab->journal = &journal;
	lab->shuffle = true;
	int r = v->subject->open(v->subject, &lab->host, v->path, true, &d, ret_why, size);

	if (r == 0) {
		r = close_disk(v->subject, &d, ret_why, size);
		lab_drain(lab);
	}
	if (r == 0 && journal.count != 0) {
		struct cut cut = {.kind = dice_mix(v->turn) % (CUT_RANDOM + 1), .seed = v->turn};
		uint32_t at = (uint32_t)(dice_mix(v->turn + 1) % journal.count);

		replay_init(&replay, &before, &journal, NULL);
		while (replay.at <= at) {
			replay_next(&replay);
		}
		replay_cut(&replay, cut, v->turn, &after);
		r = verify_plain(v, &after, ret_why, size);
		lab_fini(&after);
		replay_fini(&replay);
	}
	if (r != 0) {
		prefix(ret_why, size, "cut again while opening");
	}
	lab->journal = NULL;
	lab->shuffle = false;
	journal_clear(&journal);
	lab_fini(&before);
	return r;
}

/* ---- Using it again ---- */

static uint8_t *read_all(struct block_device *block)
{
	uint8_t *all = malloc(block->info.bytes);

	CHECK(all != NULL);
	if (block_read(block, 0, all, block->info.bytes) != 0) {
		free(all);
		return NULL;
	}
	return all;
}

/* A few writes of which @mirror is told. */
static int scribble(struct block_device *block, uint8_t *mirror, struct dice *dice)
{
	const uint64_t unit = block->info.sector_bytes;
	uint8_t data[32768];
	int r = 0;

	for (unsigned i = 0; i < 6 && r == 0; i++) {
		uint64_t bytes = min_u64(unit * (1 + dice_below(dice, sizeof(data) / unit)),
					 block->info.bytes);
		uint64_t at = dice_below(dice, (block->info.bytes - bytes) / unit + 1) * unit;

		memset(data, (int)(i + 1), bytes);
		memcpy(mirror + at, data, bytes);
		r = block_write(block, at, data, bytes);
	}
	return r == 0 ? block_flush(block) : r;
}

static int scribble_and_reopen(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	struct dice dice = {v->turn};
	struct subject_disk d;
	uint8_t *mirror = NULL, *now = NULL;
	int r = v->subject->open(v->subject, &lab->host, v->path, true, &d, ret_why, size);

	if (r != 0) {
		return r;
	}
	snprintf(ret_why, size, "reading or writing failed");
	mirror = read_all(d.block);
	r = mirror == NULL ? 1 : scribble(d.block, mirror, &dice);
	r = v->subject->close(&d) != 0 ? 1 : r;
	lab_drain(lab);
	if (r == 0) {
		r = v->subject->open(v->subject, &lab->host, v->path, false, &d, ret_why, size);
	}
	if (r == 0) {
		now = read_all(d.block);
		if (now == NULL || memcmp(now, mirror, d.block->info.bytes) != 0) {
			snprintf(ret_why, size,
				 "contents are not those before plus what was written");
			r = 1;
		}
		r = v->subject->close(&d) != 0 ? 1 : r;
	}
	free(mirror);
	free(now);
	return r != 0 ? r : check_files(v, lab, ret_why, size);
}

static int verify_usable(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	int r = scribble_and_reopen(v, lab, ret_why, size);

	if (r != 0) {
		prefix(ret_why, size, "used again");
	}
	return r;
}

int verify_disk(const struct verify *v, struct lab *lab, char *ret_why, size_t size)
{
	unsigned extra = v->turn & 15;
	int r = 0;

	if (extra == 1 || extra == 9) {
		r = verify_read_only(v, lab, ret_why, size);
	} else if (extra == 5 || extra == 13) {
		r = check_files(v, lab, ret_why, size);
		if (r != 0) {
			prefix(ret_why, size, "before opening for writing");
		}
	} else if (extra == 3 || extra == 11) {
		return verify_cut_opening(v, lab, ret_why, size);
	}
	if (r == 0) {
		r = verify_plain(v, lab, ret_why, size);
	}
	if (r == 0 && extra == 7) {
		r = verify_usable(v, lab, ret_why, size);
	}
	return r;
}
