// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "scenarios.h"

#define MOVED "/lab/moved/base.vhdx"

static const struct guest_mix busy_mix = {
	.large_writes = 10, .fua = 10, .flushes = 10, .discards = 10, .large_bytes = MIB / 2};

/* ---- Create ---- */

static void prepare_parent(struct scene *s)
{
	enum vhd_format format = s->scenario->create.format;

	if (is_differencing(format)) {
		scene_create(s, BASE,
			     format == VHD_VHD_DIFFERENCING ? VHD_VHD_DYNAMIC : VHD_VHDX_DYNAMIC,
			     NULL);
		scene_use(s, BASE, &busy_mix, 20);
	}
}

static void create(struct scene *s)
{
	enum vhd_format format = s->scenario->create.format;

	scene_create(s, DISK, format, is_differencing(format) ? BASE : NULL);
	scene_event(s, EVENT_MARK, 1);
}

/* Until it is done there may be no disk, said clearly; or a whole one. */
static int verify_create(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
			 char *ret_why, size_t size)
{
	const struct subject *subject = s->scenario->subject;
	struct subject_disk d;

	if (r->mark == 0) {
		if (lab_find(lab, DISK) < 0) {
			return 0;
		}
		int rc = subject->open(subject, &lab->host, DISK, false, &d, ret_why, size);

		if (rc != 0) {
			return rc > 0 && strlen(ret_why) > 20 ? 0 : rc;
		}
		subject->close(&d);
	}
	return scene_verify(s, r, lab, turn, ret_why, size);
}

/* ---- Long operations ---- */

/* What is cut off never comes back: as if zeroed, durably, when it is done. */
static uint32_t begin_cut(struct scene *s, uint64_t from_bytes, uint64_t to_bytes)
{
	const struct guest_op op = {.op = IO_ZERO,
				    .flags = IO_FUA,
				    .sector = to_bytes / MODEL_SECTOR_BYTES,
				    .sectors = (from_bytes - to_bytes) / MODEL_SECTOR_BYTES};
	uint32_t number = history_add(&s->history, &op);

	scene_event(s, EVENT_GUEST_SUBMIT, number);
	return number;
}

static void resize_to(struct scene *s, uint64_t bytes)
{
	uint64_t old = s->guest.block->info.bytes;
	struct vhd_error error = {""};
	struct vhd_job *job;
	uint32_t number = 0;

	if (bytes < old) {
		guest_drain(&s->guest);
		s->guest.sectors = bytes / MODEL_SECTOR_BYTES;
		number = begin_cut(s, old, bytes);
	}
	scene_event(s, EVENT_RESIZING, bytes);
	if (vhd_resize(s->disk, bytes, &job, &error) != 0) {
		scene_fail(s, "vhd_resize", error.text);
	}
	run_job(s, job, true);
	scene_event(s, EVENT_RESIZED, bytes);
	if (number != 0) {
		scene_event(s, EVENT_GUEST_DONE, number);
	}
	s->guest.sectors = bytes / MODEL_SECTOR_BYTES;
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops / 6);
}

/* Trims the end and shrinks to what is used then. */
static void shrink(struct scene *s)
{
	uint64_t unit = s->scenario->create.block_bytes;
	struct vhd_info info;

	guest_drain(&s->guest);
	guest_do(&s->guest, IO_DISCARD, 0, s->guest.sectors / 2, s->guest.sectors / 2);
	vhd_get_info(s->disk, &info);
	uint64_t least = max_u64(info.minimum_bytes, 2 * MIB);

	unit = unit != 0 ? unit : MIB;
	least = (least + unit - 1) / unit * unit;
	if (least < info.bytes) {
		resize_to(s, least);
	}
}

static void resize(struct scene *s)
{
	scene_open(s, DISK);
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops / 6);
	resize_to(s, 7 * MIB);
	resize_to(s, 12 * MIB);
	shrink(s);
	resize_to(s, s->guest.block->info.bytes + MIB);
	scene_close(s);
}

static void prepare_full(struct scene *s)
{
	static const struct guest_mix full = {.large_writes = 60, .large_bytes = MIB};

	prepare_empty(s);
	scene_use(s, DISK, &full, 40);
}

static void compact(struct scene *s)
{
	struct vhd_error error = {""};
	struct vhd_job *job;

	for (unsigned i = 0; i < 2; i++) {
		scene_open(s, DISK);
		uint64_t sectors = s->guest.sectors / 16;

		for (unsigned n = 0; n < 5; n++) {
			guest_do(&s->guest, n % 2 ? IO_ZERO : IO_DISCARD, 0,
				 dice_below(&s->dice, 13) * sectors, 3 * sectors);
		}
		if (vhd_compact(s->disk, &job, &error) != 0) {
			scene_fail(s, "vhd_compact", error.text);
		}
		run_job(s, job, i == 1);
		guest_run(&s->guest, &s->scenario->mix, s->scenario->ops);
		scene_close(s);
	}
}

/* ---- Reconnect ---- */

static void prepare_moved(struct scene *s)
{
	prepare_used(s);
	lab_add(&s->lab, MOVED, image_copy(s->lab.files[lab_find(&s->lab, BASE)].image));
}

static const char *parent_after(uint32_t reconnects)
{
	return reconnects % 2 == 0 ? BASE : MOVED;
}

static void reconnect(struct scene *s)
{
	struct vhd_error error = {""};

	for (uint32_t n = 1; n <= s->scenario->ops; n++) {
		int r = vhd_reconnect(&s->lab.host, DISK, parent_after(n), false, &error);

		lab_drain(&s->lab);
		if (r != 0) {
			scene_fail(s, "vhd_reconnect", error.text);
		}
		scene_event(s, EVENT_MARK, n);
	}
}

static int verify_reconnect(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
			    char *ret_why, size_t size)
{
	struct vhd_error error = {""};
	struct vhd_disk *disk;
	struct vhd_info info;
	int rc = vhd_open(&lab->host, DISK, 0, &disk, &error);

	if (rc != 0) {
		snprintf(ret_why, size, "vhd_open: %d: %s", rc, error.text);
		return rc;
	}
	vhd_get_info(disk, &info);
	vhd_close(disk);
	bool was = strcmp(info.parent_path, parent_after(r->mark)) == 0;
	bool is = strcmp(info.parent_path, parent_after(r->mark + 1)) == 0;

	if (!was && !(is && r->mark < s->scenario->ops)) {
		snprintf(ret_why, size, "the parent is %s after %u reconnections", info.parent_path,
			 r->mark);
		return 1;
	}
	return scene_verify(s, r, lab, turn, ret_why, size);
}

#define CREATE(label, type, size)                                                                  \
	{                                                                                          \
		.name = label "-create", .subject = &subject_vhd, .prepare = prepare_parent,       \
		.act = create, .verify = verify_create, .create = {                                \
			.format = type,                                                            \
			.bytes = size                                                              \
		}                                                                                  \
	}
#define RESIZE(label, type, block)                                                                 \
	{                                                                                          \
		.name = label "-resize", .subject = &subject_vhd, .prepare = prepare_used,         \
		.act = resize, .verify = scene_verify,                                             \
		.create = {.format = type, .bytes = 6 * MIB, .block_bytes = block},                \
		.largest_bytes = 13 * MIB, .mix = busy_mix, .ops = 60                              \
	}
#define COMPACT(label, type, block)                                                                \
	{                                                                                          \
		.name = label "-compact", .subject = &subject_vhd, .prepare = prepare_full,        \
		.act = compact, .verify = scene_verify,                                            \
		.create = {.format = type, .bytes = 16 * MIB, .block_bytes = block},               \
		.mix = busy_mix, .ops = 25                                                         \
	}
#define RECONNECT(label, type, block)                                                              \
	{                                                                                          \
		.name = label "-reconnect", .subject = &subject_vhd, .prepare = prepare_moved,     \
		.act = reconnect, .verify = verify_reconnect,                                      \
		.create = {.format = type, .bytes = 8 * MIB, .block_bytes = block}, .ops = 3       \
	}

static const struct scenario scenarios[] = {
	CREATE("vhdx-dynamic", VHD_VHDX_DYNAMIC, 64 * MIB),
	CREATE("vhdx-fixed", VHD_VHDX_FIXED, 6 * MIB),
	CREATE("vhdx-differencing", VHD_VHDX_DIFFERENCING, 16 * MIB),
	RESIZE("vhdx-dynamic", VHD_VHDX_DYNAMIC, MIB),
	RESIZE("vhdx-fixed", VHD_VHDX_FIXED, MIB),
	RESIZE("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB),
	COMPACT("vhdx-dynamic", VHD_VHDX_DYNAMIC, MIB),
	COMPACT("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB),
	RECONNECT("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB),
	CREATE("vhd-dynamic", VHD_VHD_DYNAMIC, 64 * MIB),
	CREATE("vhd-fixed", VHD_VHD_FIXED, 4 * MIB),
	CREATE("vhd-differencing", VHD_VHD_DIFFERENCING, 16 * MIB),
	RESIZE("vhd-dynamic", VHD_VHD_DYNAMIC, MIB / 2),
	RESIZE("vhd-fixed", VHD_VHD_FIXED, 0),
	COMPACT("vhd-dynamic", VHD_VHD_DYNAMIC, MIB / 2),
	COMPACT("vhd-differencing", VHD_VHD_DIFFERENCING, MIB / 2),
	RECONNECT("vhd-differencing", VHD_VHD_DIFFERENCING, MIB / 2),
};

const struct scenario_list scenarios_change = {scenarios, ARRAY_LEN(scenarios)};
