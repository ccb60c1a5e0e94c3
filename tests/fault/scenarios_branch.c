// SPDX-License-Identifier: Apache-2.0
/* Chains that change while they are in use: a new top, files merged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "scenarios.h"

#define BRANCHES 3u

/* The disk's file after so many switches. */
static const char *const files[BRANCHES + 1] = {DISK, "/lab/a.avhdx", "/lab/b.avhdx",
						"/lab/c.avhdx"};

/* What the disk showed at each switch. One scene is played at a time. */
static uint8_t *past[BRANCHES];
static uint64_t past_bytes;

static void prepare(struct scene *s)
{
	prepare_used(s);
	for (unsigned i = 1; i <= BRANCHES; i++) {
		lab_add(&s->lab, files[i], image_create());
	}
}

static void remember(struct scene *s, unsigned n)
{
	past_bytes = s->guest.block->info.bytes;
	past[n] = realloc(past[n], past_bytes);
	CHECK(past[n] != NULL && block_read(s->guest.block, 0, past[n], past_bytes) == 0);
}

/* The guest works on while the child is made, and while the parent is brought into order; in between it rests. */
static void switch_to(struct scene *s, unsigned n)
{
	struct vhd_error error = {""};
	struct vhd_disk *child;

	for (unsigned i = 0; i < 5; i++) {
		guest_step(&s->guest, &s->scenario->mix);
	}
	if (vhd_branch_create(&s->lab.host, files[n], s->disk, &child, &error) != 0) {
		scene_fail(s, "vhd_branch_create", error.text);
	}
	guest_drain(&s->guest);
	if (vhd_branch_switch(child, s->disk, &error) != 0) {
		scene_fail(s, "vhd_branch_switch", error.text);
	}
	s->disk = s->opened.handle = child;
	s->guest.block = s->opened.block = vhd_block(child);
	remember(s, n - 1);
	scene_event(s, EVENT_MARK, n);
	for (unsigned i = 0; i < 5; i++) {
		guest_step(&s->guest, &s->scenario->mix);
	}
	if (vhd_branch_finish(child, &error) != 0) {
		scene_fail(s, "vhd_branch_finish", error.text);
	}
}

static void branch(struct scene *s)
{
	scene_open(s, DISK);
	for (unsigned n = 1; n <= BRANCHES; n++) {
		guest_run(&s->guest, &s->scenario->mix, s->scenario->ops / 4);
		switch_to(s, n);
	}
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops / 4);
	scene_close(s);
}

static int compare(struct vhd_disk *d, unsigned n, char *ret_why, size_t size)
{
	uint8_t *now = malloc(past_bytes);
	int r = now == NULL ? 1 : block_read(vhd_block(d), 0, now, past_bytes);

	if (r != 0) {
		snprintf(ret_why, size, "%s cannot be read: %d", files[n], r);
	} else if (memcmp(now, past[n], past_bytes) != 0) {
		snprintf(ret_why, size, "%s is not what it was", files[n]);
		r = 1;
	}
	free(now);
	return r;
}

/* A file that was closed to writing shows for ever what it did then. */
static int verify_past(struct lab *lab, unsigned n, char *ret_why, size_t size)
{
	struct vhd_error error = {""};
	struct vhd_disk *d;
	int r = vhd_open(&lab->host, files[n], 0, &d, &error);

	if (r != 0) {
		snprintf(ret_why, size, "vhd_open: %d: %s", r, error.text);
		return r;
	}
	r = compare(d, n, ret_why, size);
	vhd_close(d);
	return r;
}

static int verify_branch(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
			 char *ret_why, size_t size)
{
	struct verify v = {.subject = s->scenario->subject,
			   .path = files[r->mark],
			   .model = r->model,
			   .turn = turn};
	int rc = 0;

	for (unsigned n = 0; n < min_u64(r->mark, ARRAY_LEN(v.others)); n++) {
		v.others[n] = files[r->mark - 1 - n];
	}
	for (unsigned n = 0; n < r->mark && rc == 0; n++) {
		rc = verify_past(lab, n, ret_why, size);
	}
	return rc == 0 ? verify_disk(&v, lab, ret_why, size) : rc;
}

/* ---- Merges ---- */

/* How many files of the top go, and from where on. */
static unsigned merge_depth(const struct scene *s)
{
	return s->scenario->largest_bytes == 0; /* scenarios of the top say how large they are */
}

/* As the owner of a disk in use has to do it. */
static void merge_live(struct scene *s)
{
	unsigned depth = merge_depth(s), count = 2 - depth;
	struct vhd_progress progress;
	struct vhd_error error = {""};
	struct vhd_job *job;
	int r = 1;

	scene_open(s, DISK);
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops / 4);
	if (vhd_merge_live(s->disk, depth, count, &s->lab.host, &job, &error) != 0) {
		scene_fail(s, "vhd_merge_live", error.text);
	}
	while (r == 1) {
		if (vhd_merge_wants_quiet(job)) {
			guest_drain(&s->guest);
		}
		r = vhd_job_step(job, &progress, &error);
		if (vhd_merge_top(job) != NULL && s->disk != vhd_merge_top(job)) {
			s->disk = s->opened.handle = vhd_merge_top(job);
			s->guest.block = s->opened.block = vhd_block(s->disk);
			guest_run(&s->guest, &s->scenario->mix, 12);
			guest_do(&s->guest, IO_FLUSH, 0, 0, 0);
		}
		for (uint64_t n = dice_below(&s->dice, 4); r == 1 && n != 0; n--) {
			guest_step(&s->guest, &s->scenario->mix);
		}
	}
	vhd_job_destroy(job);
	if (r != 0) {
		scene_fail(s, "merging", error.text);
	}
	scene_event(s, EVENT_MARK, 1);
	guest_run(&s->guest, &s->scenario->mix, s->scenario->ops / 4);
	scene_close(s);
}

/* What the owner does that finds the files after a cut: is the old top the disk? */
static const char *find_top(struct lab *lab)
{
	struct vhd_error error;
	struct vhd_disk *d;
	int r = vhd_open(&lab->host, DISK, 0, &d, &error);

	if (r == 0) {
		vhd_close(d);
	}
	return r == VHD_MERGED ? BASE : DISK;
}

/* What was interrupted, begun again without a machine. */
static int merge_offline(struct lab *lab, char *ret_why, size_t size)
{
	struct vhd_progress progress;
	struct vhd_error error = {""};
	struct vhd_job *job;
	int r = vhd_merge(&lab->host, MIDDLE, 1, &job, &error);

	if (r == 0) {
		while ((r = vhd_job_step(job, &progress, &error)) == 1) {
		}
		vhd_job_destroy(job);
	}
	r = r == 0 ? vhd_reconnect(&lab->host, DISK, BASE, true, &error) : r;
	lab_drain(lab);
	if (r != 0) {
		snprintf(ret_why, size, "merging again: %d: %s", r, error.text);
	}
	return r;
}

/* The same from the start, for cuts in it. */
static void merge_away(struct scene *s)
{
	char why[1024];

	if (merge_offline(&s->lab, why, sizeof(why)) != 0) {
		scene_fail(s, DISK, why);
	}
	scene_event(s, EVENT_MARK, 1);
}

static int verify_live(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
		       char *ret_why, size_t size)
{
	bool top = merge_depth(s) == 0, again = !top && r->mark == 0 && (turn & 0x30) == 0;
	const char *path = r->mark != 0 && top ? BASE : find_top(lab);
	struct verify v = {
		.subject = s->scenario->subject, .path = path, .model = r->model, .turn = turn};
	int rc = again ? merge_offline(lab, ret_why, size) : 0;

	if (r->mark != 0 || again) {
		/* The owner removes what went, and everything must still be there. */
		(void)lab->host.remove(lab, MIDDLE);
		if (top) {
			(void)lab->host.remove(lab, DISK);
		}
	}
	if (strcmp(path, DISK) == 0) {
		v.others[0] = BASE;
		v.others[1] = lab_find(lab, MIDDLE) >= 0 ? MIDDLE : NULL;
	}
	return rc == 0 ? verify_disk(&v, lab, ret_why, size) : rc;
}

#define BRANCH(label, type, block, sector)                                                         \
	{                                                                                          \
		.name = label "-branch", .subject = &subject_vhd, .prepare = prepare,              \
		.act = branch, .verify = verify_branch,                                            \
		.create = {.format = type,                                                         \
			   .bytes = 4 * MIB,                                                       \
			   .block_bytes = block,                                                   \
			   .sector_bytes = sector},                                                \
		.mix = {.large_writes = 12,                                                        \
			.fua = 10,                                                                 \
			.flushes = 10,                                                             \
			.discards = 10,                                                            \
			.zeros = 5,                                                                \
			.settles = 5},                                                             \
		.ops = 60, .every = 2                                                              \
	}

#define MERGE_AWAY(label, type, block)                                                             \
	{                                                                                          \
		.name = label "-merge-away", .subject = &subject_vhd, .prepare = prepare_chain,    \
		.act = merge_away, .verify = verify_live, .create = {                              \
			.format = type,                                                            \
			.bytes = 4 * MIB,                                                          \
			.block_bytes = block                                                       \
		}                                                                                  \
	}
/* @largest: 0: the file in the middle; else the top and it. */
#define MERGE(label, type, block, sector, largest)                                                 \
	{                                                                                          \
		.name = label, .subject = &subject_vhd, .prepare = prepare_chain,                  \
		.act = merge_live, .verify = verify_live, .largest_bytes = largest,                \
		.create = {.format = type,                                                         \
			   .bytes = 4 * MIB,                                                       \
			   .block_bytes = block,                                                   \
			   .sector_bytes = sector},                                                \
		.mix = {.large_writes = 12,                                                        \
			.fua = 10,                                                                 \
			.flushes = 10,                                                             \
			.discards = 10,                                                            \
			.zeros = 5,                                                                \
			.settles = 5},                                                             \
		.ops = 40, .every = 2                                                              \
	}

static const struct scenario scenarios[] = {
	MERGE_AWAY("vhdx", VHD_VHDX_DIFFERENCING, MIB),
	MERGE_AWAY("vhd", VHD_VHD_DIFFERENCING, MIB / 2),
	MERGE("vhdx-middle-live-merge", VHD_VHDX_DIFFERENCING, MIB, 512, 0),
	MERGE("vhdx-top-live-merge", VHD_VHDX_DIFFERENCING, MIB, 512, 4 * MIB),
	MERGE("vhdx-4k-top-live-merge", VHD_VHDX_DIFFERENCING, MIB, 4096, 4 * MIB),
	MERGE("vhd-middle-live-merge", VHD_VHD_DIFFERENCING, MIB / 2, 512, 0),
	MERGE("vhd-top-live-merge", VHD_VHD_DIFFERENCING, MIB / 2, 512, 4 * MIB),
	BRANCH("vhdx-dynamic", VHD_VHDX_DYNAMIC, MIB, 512),
	BRANCH("vhdx-dynamic-4k", VHD_VHDX_DYNAMIC, MIB, 4096),
	BRANCH("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB, 512),
	BRANCH("vhd-dynamic", VHD_VHD_DYNAMIC, MIB / 2, 512),
	BRANCH("vhd-fixed", VHD_VHD_FIXED, 0, 512),
};

const struct scenario_list scenarios_branch = {scenarios, ARRAY_LEN(scenarios)};
