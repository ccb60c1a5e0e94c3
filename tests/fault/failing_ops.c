// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "failing.h"
#include "lib/bits.h"
#include "lib/check.h"

#define COPY "/lab/copy.vhdx"
#define MOVED "/lab/moved/base.vhdx"

static const struct guest_mix light = {.large_writes = 15,
				       .fua = 10,
				       .flushes = 15,
				       .discards = 10,
				       .zeros = 10,
				       .large_bytes = MIB / 2,
				       .settles = 5};

/* ---- An open disk ---- */

int failing_open(struct scene *s, bool write, struct vhd_error *error)
{
	int r = vhd_open(&s->lab.host, DISK, write ? VHD_OPEN_WRITE : 0, &s->disk, error);

	if (r == 0) {
		struct block_device *b = vhd_block(s->disk);

		s->guest = (struct guest){.block = b,
					  .context = &s->lab.context,
					  .history = &s->history,
					  .model = &s->model,
					  .dice = {dice_roll(&s->dice)},
					  .sectors = b->info.bytes / MODEL_SECTOR_BYTES,
					  .depth = 4,
					  .may_fail = true};
	}
	return r;
}

/* @r: what failed before; closing may have failed because of that, and has no text. */
int failing_close(struct scene *s, int r)
{
	guest_drain(&s->guest);
	int c = vhd_close(s->disk);

	s->disk = NULL;
	lab_drain(&s->lab);
	if (c == 0) {
		model_settle(&s->model);
	}
	return r;
}

static int finish_job(struct scene *s, int r, struct vhd_job *job, bool guest,
		      struct vhd_error *error)
{
	struct vhd_progress progress;

	if (r != 0) {
		return r;
	}
	while ((r = vhd_job_step(job, &progress, error)) == 1) {
		if (guest) {
			guest_step(&s->guest, &s->scenario->mix);
		}
	}
	vhd_job_destroy(job);
	return r;
}

/* ---- Operations ---- */

static int use(struct scene *s, struct vhd_error *error)
{
	int r = failing_open(s, true, error);

	if (r != 0) {
		return r;
	}
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops);
	return failing_close(s, 0);
}

static int read_only(struct scene *s, struct vhd_error *error)
{
	uint8_t buf[MODEL_CHUNK_BYTES];
	int r = failing_open(s, false, error);

	if (r != 0) {
		return r;
	}
	for (uint64_t at = 0; at < s->guest.block->info.bytes; at += sizeof(buf)) {
		struct vhd_extent extent;

		(void)block_read(s->guest.block, at, buf, sizeof(buf));
		r = r == 0 ? vhd_map(s->disk, at, &extent, error) : r;
	}
	return failing_close(s, r);
}

static int resize(struct scene *s, uint64_t bytes, struct vhd_error *error)
{
	struct vhd_job *job;
	int r = failing_open(s, true, error);

	if (r != 0) {
		return r;
	}
	s->guest.sectors = min_u64(s->guest.sectors, bytes / MODEL_SECTOR_BYTES);
	guest_run(&s->guest, &s->scenario->mix, 4);
	s->model.next_size = bytes;
	r = vhd_resize(s->disk, bytes, &job, error);
	r = finish_job(s, r, job, true, error);
	if (r == 0) {
		s->model.size = bytes;
	}
	guest_run(&s->guest, &s->scenario->mix, 4);
	return failing_close(s, r);
}

static int grow(struct scene *s, struct vhd_error *error)
{
	return resize(s, s->scenario->largest_bytes, error);
}

static int shrink(struct scene *s, struct vhd_error *error)
{
	return resize(s, 4 * MIB, error);
}

static int compact(struct scene *s, struct vhd_error *error)
{
	struct vhd_job *job;
	int r = failing_open(s, true, error);

	if (r != 0) {
		return r;
	}
	guest_do(&s->guest, IO_DISCARD, 0, s->guest.sectors / 4, s->guest.sectors / 4);
	r = vhd_compact(s->disk, &job, error);
	return failing_close(s, finish_job(s, r, job, true, error));
}

static int merge(struct scene *s, struct vhd_error *error)
{
	struct vhd_job *job;
	int r = vhd_merge(&s->lab.host, DISK, 1, &job, error);

	return finish_job(s, r, job, false, error);
}

static int convert(struct scene *s, struct vhd_error *error)
{
	struct vhd_create create = {.format = s->scenario->copy};
	struct vhd_job *job;
	int r = failing_open(s, false, error);

	if (r != 0) {
		return r;
	}
	r = vhd_convert(&s->lab.host, s->disk, COPY, &create, &job, error);
	return failing_close(s, finish_job(s, r, job, false, error));
}

static int reconnect(struct scene *s, struct vhd_error *error)
{
	return vhd_reconnect(&s->lab.host, DISK, MOVED, false, error);
}

static int create(struct scene *s, struct vhd_error *error)
{
	struct vhd_create create = s->scenario->create;

	create.parent = is_differencing(create.format) ? BASE : NULL;
	return vhd_create(&s->lab.host, DISK, &create, error);
}

static void hear(void *ctx, const struct vhd_finding *f)
{
}

static int repair(struct scene *s, struct vhd_error *error)
{
	const struct vhd_check check = {.repair = true, .finding = hear};
	struct vhd_check_result result;

	return vhd_check(&s->lab.host, DISK, &check, &result, error);
}

/* ---- Preparations ---- */

/* The second half is free for shrinking. */
static void prepare_half(struct scene *s)
{
	struct vhd_error error = {""};
	struct vhd_job *job;

	prepare_used(s);
	scene_open(s, DISK);
	guest_do(&s->guest, IO_ZERO, IO_UNMAP, s->guest.sectors / 2, s->guest.sectors / 2);
	if (vhd_compact(s->disk, &job, &error) != 0 || finish_job(s, 0, job, false, &error) != 0) {
		scene_fail(s, "vhd_compact", error.text);
	}
	scene_close(s);
}

static void prepare_moved(struct scene *s)
{
	prepare_used(s);
	lab_add(&s->lab, MOVED, image_copy(s->lab.files[lab_find(&s->lab, BASE)].image));
}

static void prepare_nothing(struct scene *s)
{
	if (is_differencing(s->scenario->create.format)) {
		scene_create(s, BASE,
			     s->scenario->create.format == VHD_VHD_DIFFERENCING ? VHD_VHD_DYNAMIC
										: VHD_VHDX_DYNAMIC,
			     NULL);
	}
}

static void prepare_broken(struct scene *s)
{
	static const uint8_t junk[512] = {0xde, 0xad};

	prepare_used(s);
	struct image *i = s->lab.files[lab_find(&s->lab, DISK)].image;
	bool vhdx = s->scenario->create.format >= VHD_VHDX_FIXED;

	image_write(i, vhdx ? 192 * KIB : image_bytes(i) - 512, junk, sizeof(junk));
}

/* ---- Verdicts ---- */

static int verify_whole(struct scene *s, int r, char *ret_why, size_t size)
{
	struct verify v = {.subject = &subject_vhd, .path = DISK, .model = &s->model, .turn = 7};

	if (lab_find(&s->lab, BASE) >= 0) {
		v.others[0] = BASE;
	}
	return verify_disk(&v, &s->lab, ret_why, size);
}

/* What is not made is not there at all. */
static int verify_new(struct scene *s, int r, const char *path, char *ret_why, size_t size)
{
	for (unsigned i = 0; i < s->lab.file_count; i++) {
		const char *name = s->lab.files[i].path;
		bool is_new = strncmp(name, path, strlen(path)) == 0;

		if (is_new && (r != 0 || strcmp(name, path) != 0)) {
			snprintf(ret_why, size, "%s was left behind", name);
			return 1;
		}
	}
	return 0;
}

static int verify_created(struct scene *s, int r, char *ret_why, size_t size)
{
	int rc = verify_new(s, r, DISK, ret_why, size);

	return rc != 0 || r != 0 ? rc : verify_whole(s, r, ret_why, size);
}

static int verify_converted(struct scene *s, int r, char *ret_why, size_t size)
{
	const struct verify copy = {.subject = &subject_vhd, .path = COPY, .model = &s->model};
	int rc = verify_new(s, r, COPY, ret_why, size);

	if (rc == 0 && r == 0 && s->scenario->copy != VHD_RAW) {
		rc = verify_disk(&copy, &s->lab, ret_why, size);
	}
	return rc != 0 ? rc : verify_whole(s, r, ret_why, size);
}

/* The child shows what it did; and merging can be done again. */
static int verify_merged(struct scene *s, int r, char *ret_why, size_t size)
{
	const struct verify both = {
		.subject = &subject_vhd, .path = DISK, .others = {BASE}, .model = &s->model};
	const struct verify base = {.subject = &subject_vhd, .path = BASE, .model = &s->model};
	struct vhd_error error = {""};
	int rc = verify_disk(&both, &s->lab, ret_why, size);

	if (rc == 0 && r != 0) {
		rc = merge(s, &error);
		lab_drain(&s->lab);
		snprintf(ret_why, size, "merging again: %s", error.text);
	}
	return rc != 0 ? rc : verify_disk(&base, &s->lab, ret_why, size);
}

static int verify_repaired(struct scene *s, int r, char *ret_why, size_t size)
{
	struct vhd_error error = {""};
	int rc = r == 0 ? 0 : repair(s, &error);

	lab_drain(&s->lab);
	if (rc != 0) {
		snprintf(ret_why, size, "repairing again: %s", error.text);
		return rc;
	}
	return verify_whole(s, r, ret_why, size);
}

/* ---- All of them ---- */

#define OP(...) OP_(__VA_ARGS__)
#define OP_(label, begin, does, judge, type, block, to)                                            \
	{                                                                                          \
		.scenario = {.name = label,                                                        \
			     .subject = &subject_vhd,                                              \
			     .prepare = begin,                                                     \
			     .create = {.format = type, .bytes = 6 * MIB, .block_bytes = block},   \
			     .copy = to,                                                           \
			     .largest_bytes = 9 * MIB,                                             \
			     .mix = light,                                                         \
			     .ops = 30},                                                           \
		.act = does, .verify = judge                                                       \
	}
#define FIXED VHD_VHD_FIXED, 0
#define DYNAMIC VHD_VHD_DYNAMIC, MIB / 2
#define DIFFERENCING VHD_VHD_DIFFERENCING, MIB / 2
#define X_FIXED VHD_VHDX_FIXED, MIB
#define X_DYNAMIC VHD_VHDX_DYNAMIC, MIB
#define X_DIFFERENCING VHD_VHDX_DIFFERENCING, MIB

const struct failing_op failing_ops[] = {
	OP("vhd-fixed-create", prepare_nothing, create, verify_created, FIXED, VHD_RAW),
	OP("vhd-dynamic-create", prepare_nothing, create, verify_created, DYNAMIC, VHD_RAW),
	OP("vhd-differencing-create", prepare_nothing, create, verify_created, DIFFERENCING,
	   VHD_RAW),
	OP("vhdx-fixed-create", prepare_nothing, create, verify_created, X_FIXED, VHD_RAW),
	OP("vhdx-dynamic-create", prepare_nothing, create, verify_created, X_DYNAMIC, VHD_RAW),
	OP("vhdx-differencing-create", prepare_nothing, create, verify_created, X_DIFFERENCING,
	   VHD_RAW),
	OP("vhd-fixed-use", prepare_used, use, verify_whole, FIXED, VHD_RAW),
	OP("vhd-dynamic-use", prepare_empty, use, verify_whole, DYNAMIC, VHD_RAW),
	OP("vhd-differencing-use", prepare_empty, use, verify_whole, DIFFERENCING, VHD_RAW),
	OP("vhdx-fixed-use", prepare_used, use, verify_whole, X_FIXED, VHD_RAW),
	OP("vhdx-dynamic-use", prepare_empty, use, verify_whole, X_DYNAMIC, VHD_RAW),
	OP("vhdx-differencing-use", prepare_empty, use, verify_whole, X_DIFFERENCING, VHD_RAW),
	OP("vhd-differencing-read", prepare_used, read_only, verify_whole, DIFFERENCING, VHD_RAW),
	OP("vhdx-differencing-read", prepare_used, read_only, verify_whole, X_DIFFERENCING,
	   VHD_RAW),
	OP("vhd-fixed-grow", prepare_used, grow, verify_whole, FIXED, VHD_RAW),
	OP("vhd-dynamic-grow", prepare_used, grow, verify_whole, DYNAMIC, VHD_RAW),
	OP("vhdx-fixed-grow", prepare_used, grow, verify_whole, X_FIXED, VHD_RAW),
	OP("vhdx-dynamic-grow", prepare_used, grow, verify_whole, X_DYNAMIC, VHD_RAW),
	OP("vhd-dynamic-shrink", prepare_half, shrink, verify_whole, DYNAMIC, VHD_RAW),
	OP("vhdx-dynamic-shrink", prepare_half, shrink, verify_whole, X_DYNAMIC, VHD_RAW),
	OP("vhd-dynamic-compact", prepare_used, compact, verify_whole, DYNAMIC, VHD_RAW),
	OP("vhdx-dynamic-compact", prepare_used, compact, verify_whole, X_DYNAMIC, VHD_RAW),
	OP("vhdx-differencing-compact", prepare_used, compact, verify_whole, X_DIFFERENCING,
	   VHD_RAW),
	OP("vhd-differencing-merge", prepare_used, merge, verify_merged, DIFFERENCING, VHD_RAW),
	OP("vhdx-differencing-merge", prepare_used, merge, verify_merged, X_DIFFERENCING, VHD_RAW),
	OP("vhd-dynamic-branch", failing_prepare_branch, failing_branch, failing_verify_branch,
	   DYNAMIC, VHD_RAW),
	OP("vhdx-dynamic-branch", failing_prepare_branch, failing_branch, failing_verify_branch,
	   X_DYNAMIC, VHD_RAW),
	OP("vhd-middle-live-merge", prepare_chain, failing_merge_middle, failing_verify_live,
	   DIFFERENCING, VHD_RAW),
	OP("vhdx-middle-live-merge", prepare_chain, failing_merge_middle, failing_verify_live,
	   X_DIFFERENCING, VHD_RAW),
	OP("vhd-top-live-merge", prepare_chain, failing_merge_top, failing_verify_live,
	   DIFFERENCING, VHD_RAW),
	OP("vhdx-top-live-merge", prepare_chain, failing_merge_top, failing_verify_live,
	   X_DIFFERENCING, VHD_RAW),
	OP("vhd-to-vhdx-convert", prepare_used, convert, verify_converted, DIFFERENCING,
	   VHD_VHDX_DYNAMIC),
	OP("vhdx-to-vhd-convert", prepare_used, convert, verify_converted, X_DIFFERENCING,
	   VHD_VHD_DYNAMIC),
	OP("vhdx-to-raw-convert", prepare_used, convert, verify_converted, X_DYNAMIC, VHD_RAW),
	OP("vhd-differencing-reconnect", prepare_moved, reconnect, verify_whole, DIFFERENCING,
	   VHD_RAW),
	OP("vhdx-differencing-reconnect", prepare_moved, reconnect, verify_whole, X_DIFFERENCING,
	   VHD_RAW),
	OP("vhd-dynamic-repair", prepare_broken, repair, verify_repaired, DYNAMIC, VHD_RAW),
	OP("vhdx-dynamic-repair", prepare_broken, repair, verify_repaired, X_DYNAMIC, VHD_RAW),
};

const size_t failing_op_count = ARRAY_LEN(failing_ops);
