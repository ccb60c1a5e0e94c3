// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_error.h"
#include "backend/backend.h"
#include "job.h"
#include "lib/bits.h"
#include "vhd/vhd.h"

#define DEPTH 64

static bool fail(struct checkpoint_merge *m, int status, const char *text)
{
	m->failed = true;
	m->failure.code = status < 0		 ? api_error_of_errno(-status)
			  : status == VHD_IN_USE ? API_BUSY
						 : API_FAILED;
	snprintf(m->failure.text, sizeof(m->failure.text), "%s",
		 text[0] != '\0' ? text : strerror(status < 0 ? -status : EIO));
	return false;
}

/* Destroys @j. */
static bool run_job(struct checkpoint_merge *m, struct vhd_job *j)
{
	struct vhd_progress p = {0};
	struct vhd_error error = {{0}};
	int r = 1;

	while (r == 1 && !job_is_cancelling(m->job)) {
		r = vhd_job_step(j, &p, &error);
		if (p.total_bytes > 0) {
			uint64_t done = min_u64(p.done_bytes, p.total_bytes);

			job_progress(m->job, (unsigned)mul_div_u64(done, 100, p.total_bytes),
				     "merging");
		}
	}
	vhd_job_destroy(j);
	m->cancelled = r == 1;
	return r == 0 || (r != 1 && fail(m, r, error.text));
}

static bool move_data(struct checkpoint_merge *m, const struct vhd_host *host)
{
	struct vhd_error error = {{0}};
	struct vhd_job *j;
	int r = vhd_merge(host, m->last, m->count, &j, &error);

	return r != 0 ? fail(m, r, error.text) : run_job(m, j);
}

static bool merge(struct checkpoint_merge *m, const struct vhd_host *host)
{
	struct vhd_error error = {{0}};

	if (m->count != 0 && !move_data(m, host)) {
		return false;
	}
	for (size_t i = 0; i < m->child_count; i++) {
		int r = vhd_reconnect(host, m->children[i], m->base, true, &error);
		if (r != 0) {
			return fail(m, r, error.text);
		}
	}
	return true;
}

void checkpoint_merge_run(struct checkpoint_merge *m)
{
	struct vhd_host host;
	struct backend *backend;
	int r = backend_create(DEPTH, &backend);

	if (r < 0) {
		fail(m, r, "");
		return;
	}
	backend_vhd_host(backend, &host);
	(void)merge(m, &host);
	backend_destroy(backend);
}

void checkpoint_merge_fini(struct checkpoint_merge *m)
{
	for (size_t i = 0; i < m->child_count; i++) {
		free(m->children[i]);
	}
	free(m->children);
	free(m->base);
	free(m->last);
}
