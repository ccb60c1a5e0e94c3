// SPDX-License-Identifier: Apache-2.0
#include "job.h"
#include "lib/check.h"

int vhd_job_step(struct vhd_job *j, struct vhd_progress *ret_progress, struct vhd_error *error)
{
	CHECK(!j->ended);
	int r = j->ops->step(j, ret_progress, error);

	j->ended = r != 1;
	return r;
}

void vhd_job_destroy(struct vhd_job *j)
{
	if (j != NULL) {
		j->ops->destroy(j);
	}
}
