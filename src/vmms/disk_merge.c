// SPDX-License-Identifier: Apache-2.0
/* A disk's chain merged into an ancestor, and who stands on it: without a machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_error.h"
#include "disk_session.h"
#include "lib/check.h"

/* ---- Children ---- */

struct child_search {
	struct disk_session *session;
	const char *except;
	char found[4096];
};

static bool on_child(void *ctx, const char *child)
{
	struct child_search *c = ctx;
	const struct vhd_host *host = &c->session->host;

	if (c->except != NULL && host->same_file(host->ctx, c->except, child)) {
		return true;
	}
	snprintf(c->found, sizeof(c->found), "%s", child);
	return false;
}

/* A disk that others are read through must not change below them. */
bool disk_session_no_children(struct disk_session *s, const char *path, const char *except)
{
	struct child_search c = {.session = s, .except = except};
	struct vhd_error error = {{0}};
	char why[600];
	int r = vhd_find_children(&s->host, path, &backend_directory, on_child, &c, &error);

	if (r != 0) {
		return disk_session_fail(s, r, &error);
	}
	if (c.found[0] == '\0') {
		return true;
	}
	snprintf(why, sizeof(why),
		 "is the parent of %.400s, which a change would make useless; merge, move or "
		 "remove the "
		 "child first",
		 c.found);
	return disk_session_refuse(s, API_WRONG_STATE, path, why);
}

/* ---- Merging ---- */

struct merge_files {
	char *path[DISK_WORK_CHAIN_MAX];
	unsigned count;
};

static bool find_files(struct disk_session *s, struct merge_files *f)
{
	struct vhd_disk *d = disk_session_open(s, s->work->path, 0), *file = d;
	struct vhd_info *info = malloc(sizeof(*info));

	CHECK(info != NULL);
	while (file != NULL && f->count <= s->work->depth && f->count < DISK_WORK_CHAIN_MAX) {
		vhd_get_info(file, info);
		f->path[f->count] = strdup(f->count == 0 ? s->work->path : info->path);
		CHECK(f->path[f->count] != NULL);
		file = vhd_ancestor(d, ++f->count);
	}
	free(info);
	if (d == NULL) {
		return false;
	}
	vhd_close(d);
	return f->count == s->work->depth + 1 ||
	       disk_session_refuse(s, API_INVALID, s->work->path, "has no ancestor that deep");
}

static bool reconnect(void *ctx, const char *child)
{
	struct child_search *c = ctx;
	struct vhd_error error = {{0}};

	(void)vhd_reconnect(&c->session->host, child, c->except, true, &error);
	return true;
}

/* Children of the top see the same disk in the ancestor from now on. */
static bool remove_merged(struct disk_session *s, const struct merge_files *f)
{
	struct child_search c = {.session = s, .except = f->path[f->count - 1]};
	struct vhd_error error = {{0}};
	int r = vhd_find_children(&s->host, f->path[0], &backend_directory, reconnect, &c, &error);

	if (r != 0) {
		return disk_session_fail(s, r, &error);
	}
	for (unsigned i = 0; i + 1 < f->count; i++) {
		r = s->host.remove(s->host.ctx, f->path[i]);
		if (r < 0) {
			return disk_session_refuse(s, api_error_of_errno(-r), f->path[i],
						   "merged, but cannot be removed");
		}
	}
	return disk_session_describe(s, f->path[f->count - 1], false);
}

static bool merge(struct disk_session *s, const struct merge_files *f)
{
	struct vhd_error error = {{0}};
	struct vhd_job *j;

	for (unsigned i = 1; i < f->count; i++) {
		if (!disk_session_no_children(s, f->path[i], f->path[i - 1])) {
			return false;
		}
	}
	int r = vhd_merge(&s->host, f->path[0], f->count - 1, &j, &error);

	return (r != 0 ? disk_session_fail(s, r, &error) : disk_session_run(s, j)) &&
	       remove_merged(s, f);
}

bool disk_session_merge(struct disk_session *s)
{
	struct merge_files *f = calloc(1, sizeof(*f));

	CHECK(f != NULL);
	bool ok = find_files(s, f) && merge(s, f);

	for (unsigned i = 0; i < f->count; i++) {
		free(f->path[i]);
	}
	free(f);
	return ok;
}
