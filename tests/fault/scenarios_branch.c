// SPDX-License-Identifier: Apache-2.0
/* Disks that get a new top while they are in use. */
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

static const struct scenario scenarios[] = {
	BRANCH("vhdx-dynamic", VHD_VHDX_DYNAMIC, MIB, 512),
	BRANCH("vhdx-dynamic-4k", VHD_VHDX_DYNAMIC, MIB, 4096),
	BRANCH("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB, 512),
	BRANCH("vhd-dynamic", VHD_VHD_DYNAMIC, MIB / 2, 512),
	BRANCH("vhd-fixed", VHD_VHD_FIXED, 0, 512),
};

const struct scenario_list scenarios_branch = {scenarios, ARRAY_LEN(scenarios)};
