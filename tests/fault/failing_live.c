// SPDX-License-Identifier: Apache-2.0
/* A new top, and merges, in a chain in use, of which something fails. */
#include <stdio.h>
#include <string.h>

#include "failing.h"
#include "lib/bits.h"
#include "lib/check.h"

#define CHILD "/lab/child.avhdx"

static void use_disk(struct scene *s, struct vhd_disk *d)
{
	s->disk = d;
	s->guest.block = vhd_block(d);
}

/* ---- A new top ---- */

void failing_prepare_branch(struct scene *s)
{
	prepare_used(s);
	lab_add(&s->lab, CHILD, image_create());
}

static int switch_disk(struct scene *s, struct vhd_error *error)
{
	struct vhd_disk *child;
	int r = vhd_branch_create(&s->lab.host, CHILD, s->disk, &child, error);

	if (r != 0) {
		return r;
	}
	guest_run(&s->guest, &s->scenario->mix, 5);
	r = vhd_branch_switch(child, s->disk, error);
	if (r != 0) {
		(void)vhd_close(child);
		return r;
	}
	use_disk(s, child);
	guest_run(&s->guest, &s->scenario->mix, 5);
	return vhd_branch_finish(child, error);
}

int failing_branch(struct scene *s, struct vhd_error *error)
{
	int r = failing_open(s, true, error);

	if (r != 0) {
		return r;
	}
	guest_run(&s->guest, &s->scenario->mix, 5);
	r = switch_disk(s, error);
	guest_run(&s->guest, &s->scenario->mix, 5);
	return failing_close(s, r);
}

/* The child is the disk when it is one that was written: nobody writes into it before it is. Else it shows the same as its parent. */
int failing_verify_branch(struct scene *s, int r, char *ret_why, size_t size)
{
	struct verify v = {.subject = &subject_vhd, .path = DISK, .model = &s->model, .turn = 7};
	struct vhd_error error;
	struct vhd_disk *d;

	if (vhd_open(&s->lab.host, CHILD, 0, &d, &error) == 0) {
		vhd_close(d);
		v.path = CHILD;
		v.others[0] = DISK;
	} else if (r == 0) {
		snprintf(ret_why, size, "the new top cannot be opened: %.500s", error.text);
		return 1;
	}
	return verify_disk(&v, &s->lab, ret_why, size);
}

/* ---- Merges ---- */

static int run_merge(struct scene *s, struct vhd_job *job, struct vhd_error *error)
{
	struct vhd_progress progress;
	int r = 1;

	while (r == 1) {
		if (vhd_merge_wants_quiet(job)) {
			guest_drain(&s->guest);
		} else {
			guest_step(&s->guest, &s->scenario->mix);
		}
		r = vhd_job_step(job, &progress, error);
		if (vhd_merge_top(job) != NULL) {
			use_disk(s, vhd_merge_top(job));
		}
	}
	vhd_job_destroy(job);
	return r;
}

static int merge(struct scene *s, unsigned depth, struct vhd_error *error)
{
	struct vhd_job *job;
	int r = failing_open(s, true, error);

	if (r != 0) {
		return r;
	}
	r = vhd_merge_live(s->disk, depth, 2 - depth, &s->lab.host, &job, error);
	r = r == 0 ? run_merge(s, job, error) : r;
	guest_run(&s->guest, &s->scenario->mix, 5);
	return failing_close(s, r);
}

int failing_merge_middle(struct scene *s, struct vhd_error *error)
{
	return merge(s, 1, error);
}

int failing_merge_top(struct scene *s, struct vhd_error *error)
{
	return merge(s, 0, error);
}

/* Whichever file the owner finds to be the disk. */
int failing_verify_live(struct scene *s, int r, char *ret_why, size_t size)
{
	struct verify v = {.subject = &subject_vhd, .path = DISK, .model = &s->model, .turn = 7};
	struct vhd_error error;
	struct vhd_disk *d;
	int rc = vhd_open(&s->lab.host, DISK, 0, &d, &error);

	if (rc == 0) {
		vhd_close(d);
		v.others[0] = BASE;
		v.others[1] = MIDDLE;
	} else if (rc == VHD_MERGED) {
		v.path = BASE;
	}
	return verify_disk(&v, &s->lab, ret_why, size);
}
