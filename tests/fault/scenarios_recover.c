// SPDX-License-Identifier: Apache-2.0
/* Disks that were left behind in disorder: a log to replay, damage to repair. */
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "scenarios.h"

/* ---- A log to replay ---- */

static void take_files(struct lab *to, struct lab *from)
{
	CHECK(to->file_count == from->file_count);
	for (unsigned i = 0; i < to->file_count; i++) {
		image_destroy(to->files[i].image);
		to->files[i].image = image_copy(from->files[i].image);
	}
}

/* A disk as the power left it: of what was not flushed nothing has come through, so that the log has all the news. */
static void prepare_logged(struct scene *s)
{
	struct journal journal = {0};
	struct lab before, after;
	struct replay replay;

	prepare_empty(s);
	lab_copy(&before, &s->lab, 0);
	s->lab.journal = &journal;
	s->lab.shuffle = true;
	scene_open(s, DISK);
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops);
	lab_drain(&s->lab);
	s->lab.journal = NULL;
	replay_init(&replay, &before, &journal, &s->model);
	while (replay_next(&replay)) {
	}
	replay_cut(&replay, (struct cut){.kind = CUT_NONE}, 1, &after);
	CHECK(s->scenario->subject->close(&s->opened) == 0);
	lab_drain(&s->lab);
	take_files(&s->lab, &after);
	model_forget(&s->model);
	lab_fini(&after);
	replay_fini(&replay);
	lab_fini(&before);
	journal_clear(&journal);
	s->lab.shuffle = false;
}

static void open_and_close(struct scene *s)
{
	struct vhd_info info;

	scene_open(s, DISK);
	vhd_get_info(s->disk, &info);
	if (!info.log_was_replayed) {
		scene_fail(s, DISK, "there was no log to replay");
	}
	scene_close(s);
	scene_use(s, DISK, &s->scenario->mix, 5);
}

/* ---- Damage to repair ---- */

static void damage(struct image *i, uint64_t offset)
{
	static const uint8_t junk[512] = {0xde, 0xad};

	image_write(i, offset, junk, sizeof(junk));
}

/* Of everything there are two of, one breaks. */
static void prepare_damaged(struct scene *s)
{
	enum vhd_format format = s->scenario->create.format;

	prepare_used(s);
	struct image *i = s->lab.files[lab_find(&s->lab, DISK)].image;

	if (format == VHD_VHDX_DYNAMIC || format == VHD_VHDX_DIFFERENCING) {
		damage(i, 64 * KIB + s->dice.state % 2 * 64 * KIB);
		damage(i, 192 * KIB);
	} else {
		damage(i, image_bytes(i) - 512);
	}
}

static void hear(void *ctx, const struct vhd_finding *f)
{
}

static int repair_disk(struct lab *lab, struct vhd_check_result *result, char *ret_why, size_t size)
{
	const struct vhd_check check = {.repair = true, .finding = hear};
	struct vhd_error error = {""};
	int r;

	*result = (struct vhd_check_result){0};
	r = vhd_check(&lab->host, DISK, &check, result, &error);
	lab_drain(lab);
	if (r != 0) {
		snprintf(ret_why, size, "vhd_check: %d: %s", r, error.text);
	} else if (result->errors != 0) {
		snprintf(ret_why, size, "%u errors after repair", result->errors);
		r = 1;
	}
	return r;
}

static void repair(struct scene *s)
{
	struct vhd_check_result result;
	char why[1024];

	if (repair_disk(&s->lab, &result, why, sizeof(why)) != 0) {
		scene_fail(s, DISK, why);
	}
	if (result.repaired == 0) {
		scene_fail(s, DISK, "nothing was repaired");
	}
	scene_event(s, EVENT_MARK, 1);
}

/* Repaired, or repairable as before. */
static int verify_repair(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
			 char *ret_why, size_t size)
{
	struct vhd_check_result result = {0};
	int rc = r->mark == 0 ? repair_disk(lab, &result, ret_why, size) : 0;

	return rc != 0 ? rc : scene_verify(s, r, lab, turn, ret_why, size);
}

static const struct guest_mix log_mix = {
	.large_writes = 5, .flushes = 10, .discards = 5, .large_bytes = MIB / 2};

#define REPLAY(label, type, sector)                                                                \
	{                                                                                          \
		.name = label "-replay", .subject = &subject_vhd, .prepare = prepare_logged,       \
		.act = open_and_close, .verify = scene_verify,                                     \
		.create = {.format = type,                                                         \
			   .bytes = 16 * MIB,                                                      \
			   .sector_bytes = sector,                                                 \
			   .block_bytes = MIB},                                                    \
		.mix = log_mix, .ops = 80                                                          \
	}
#define REPAIR(label, type, block)                                                                 \
	{                                                                                          \
		.name = label "-repair", .subject = &subject_vhd, .prepare = prepare_damaged,      \
		.act = repair, .verify = verify_repair, .create = {                                \
			.format = type,                                                            \
			.bytes = 8 * MIB,                                                          \
			.block_bytes = block                                                       \
		}                                                                                  \
	}

static const struct scenario scenarios[] = {
	REPLAY("vhdx-dynamic", VHD_VHDX_DYNAMIC, 512),
	REPLAY("vhdx-dynamic-4k", VHD_VHDX_DYNAMIC, 4096),
	REPLAY("vhdx-differencing", VHD_VHDX_DIFFERENCING, 512),
	REPAIR("vhdx-dynamic", VHD_VHDX_DYNAMIC, MIB),
	REPAIR("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB),
	REPAIR("vhd-dynamic", VHD_VHD_DYNAMIC, MIB / 2),
	REPAIR("vhd-differencing", VHD_VHD_DIFFERENCING, MIB / 2),
};

const struct scenario_list scenarios_recover = {scenarios, ARRAY_LEN(scenarios)};
