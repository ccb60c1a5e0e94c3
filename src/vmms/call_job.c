// SPDX-License-Identifier: Apache-2.0
/* Answers that are jobs. */
#include <stdio.h>

#include "exchange_state.h"
#include "job.h"

void call_job(struct call *c, const struct job *j)
{
	char location[128];

	snprintf(location, sizeof(location), "/jobs/%s", job_id(j));
	exchange_reply_at(c, 202, location, job_json(j));
}
