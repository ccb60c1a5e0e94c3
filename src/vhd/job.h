/* SPDX-License-Identifier: Apache-2.0 */
/* Inside src/vhd: long operations. Each is a struct with a vhd_job in it. */
#ifndef VHD_JOB_H
#define VHD_JOB_H

#include "format.h"

struct vhd_job_ops {
	/* As vhd_job_step; not called again after anything but 1. */
	int (*step)(struct vhd_job *j, struct vhd_progress *ret_progress, struct vhd_error *error);
	/* As vhd_job_destroy; frees @j. */
	void (*destroy)(struct vhd_job *j);
};

struct vhd_job {
	const struct vhd_job_ops *ops;
	bool ended;
};

#endif
