// SPDX-License-Identifier: Apache-2.0
/* Disks that are copied into others: merge, convert. */
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "scenarios.h"

#define COPY "/lab/copy.vhdx"

/* Steps to the end, the guest at work in between. */
void run_job(struct scene *s, struct vhd_job *job, bool guest)
{
	struct vhd_progress progress;
	struct vhd_error error = {""};
	int r;

	while ((r = vhd_job_step(job, &progress, &error)) == 1) {
		for (uint64_t n = guest ? dice_below(&s->dice, 4) : 0; n != 0; n--) {
			guest_step(&s->guest, &s->scenario->mix);
		}
	}
	vhd_job_destroy(job);
	if (r != 0) {
		scene_fail(s, "job", error.text);
	}
}

/* ---- Merge ---- */

static int merge_all(struct lab *lab, char *ret_why, size_t size)
{
	struct vhd_progress progress;
	struct vhd_error error = {""};
	struct vhd_job *job;
	int r = vhd_merge(&lab->host, DISK, lab_find(lab, MIDDLE) >= 0 ? 2 : 1, &job, &error);

	if (r == 0) {
		do {
			r = vhd_job_step(job, &progress, &error);
		} while (r == 1);
		vhd_job_destroy(job);
	}
	if (r != 0) {
		snprintf(ret_why, size, "merging: %d: %s", r, error.text);
	}
	lab_drain(lab);
	return r;
}

static void merge(struct scene *s)
{
	char why[1024];

	if (merge_all(&s->lab, why, sizeof(why)) != 0) {
		scene_fail(s, DISK, why);
	}
	scene_event(s, EVENT_MARK, 1);
}

/* The child shows its contents at any time; and so does the parent alone when the merge is done, or has been done again. */
static int verify_merge(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
			char *ret_why, size_t size)
{
	struct verify parent = {.subject = &subject_vhd, .path = BASE, .model = r->model};
	int rc = scene_verify(s, r, lab, turn, ret_why, size);
	bool again = (turn & 0x30) == 0 && (turn & 15) != 7 && (turn & 7) != 3;

	if (rc == 0 && again) {
		rc = merge_all(lab, ret_why, size);
	}
	if (rc == 0 && (again || r->mark == 1) && (turn & 15) != 7) {
		rc = verify_disk(&parent, lab, ret_why, size);
	}
	return rc;
}

/* ---- Convert ---- */

static void convert(struct scene *s)
{
	struct vhd_error error = {""};
	struct vhd_create create = {.format = s->scenario->copy};
	struct vhd_disk *source;
	struct vhd_job *job;

	if (vhd_open(&s->lab.host, DISK, 0, &source, &error) != 0 ||
	    vhd_convert(&s->lab.host, source, COPY, &create, &job, &error) != 0) {
		scene_fail(s, "vhd_convert", error.text);
	}
	run_job(s, job, false);
	vhd_close(source);
	lab_drain(&s->lab);
	scene_event(s, EVENT_MARK, 1);
}

/* The source is what it was. The copy is not there at all or whole; there, once it is done. */
static int verify_convert(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
			  char *ret_why, size_t size)
{
	static const struct subject *const subjects[] = {&subject_vhd, &subject_raw};
	const struct verify copy = {.subject = subjects[s->scenario->copy == VHD_RAW],
				    .path = COPY,
				    .model = r->model,
				    .turn = turn};

	if (lab_find(lab, COPY) >= 0) {
		int rc = verify_disk(&copy, lab, ret_why, size);

		if (rc != 0) {
			return rc;
		}
	} else if (r->mark != 0) {
		snprintf(ret_why, size, "the copy is gone");
		return 1;
	}
	return scene_verify(s, r, lab, turn, ret_why, size);
}

#define MERGE(label, type, block, sector)                                                          \
	{                                                                                          \
		.name = label "-merge", .subject = &subject_vhd, .prepare = prepare_used,          \
		.act = merge, .verify = verify_merge,                                              \
		.create = {.format = type,                                                         \
			   .bytes = 12 * MIB,                                                      \
			   .block_bytes = block,                                                   \
			   .sector_bytes = sector},                                                \
	}
#define MERGE_CHAIN(label, type, block)                                                            \
	{                                                                                          \
		.name = label "-chain-merge", .subject = &subject_vhd, .prepare = prepare_chain,   \
		.act = merge, .verify = verify_merge, .create = {                                  \
			.format = type,                                                            \
			.bytes = 8 * MIB,                                                          \
			.block_bytes = block                                                       \
		}                                                                                  \
	}
#define CONVERT(label, from, block, to)                                                            \
	{                                                                                          \
		.name = label "-convert", .subject = &subject_vhd, .prepare = prepare_used,        \
		.act = convert, .verify = verify_convert,                                          \
		.create = {.format = from, .bytes = 6 * MIB, .block_bytes = block}, .copy = to     \
	}

static const struct scenario scenarios[] = {
	MERGE("vhdx-differencing", VHD_VHDX_DIFFERENCING, MIB, 512),
	MERGE("vhdx-differencing-4k", VHD_VHDX_DIFFERENCING, MIB, 4096),
	MERGE("vhd-differencing", VHD_VHD_DIFFERENCING, MIB / 2, 512),
	MERGE_CHAIN("vhdx", VHD_VHDX_DIFFERENCING, MIB),
	MERGE_CHAIN("vhd", VHD_VHD_DIFFERENCING, MIB / 2),
	CONVERT("vhd-to-vhdx-dynamic", VHD_VHD_DIFFERENCING, MIB / 2, VHD_VHDX_DYNAMIC),
	CONVERT("vhd-to-vhdx-fixed", VHD_VHD_DYNAMIC, MIB / 2, VHD_VHDX_FIXED),
	CONVERT("vhdx-to-vhd-dynamic", VHD_VHDX_DIFFERENCING, MIB, VHD_VHD_DYNAMIC),
	CONVERT("vhdx-to-vhd-fixed", VHD_VHDX_DYNAMIC, MIB, VHD_VHD_FIXED),
	CONVERT("vhdx-to-raw", VHD_VHDX_DYNAMIC, MIB, VHD_RAW),
};

const struct scenario_list scenarios_copy = {scenarios, ARRAY_LEN(scenarios)};
