// SPDX-License-Identifier: Apache-2.0
#include "disk_work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_error.h"
#include "backend/backend.h"
#include "job.h"
#include "lib/bits.h"
#include "lib/check.h"

#define DEPTH 64

/* One piece of work with the library's host for its thread. */
struct session {
	struct disk_work *work;
	struct backend *backend;
	struct vhd_host host;
};

bool disk_format_of_name(const char *path, enum vhd_format *ret)
{
	static const struct {
		const char *extension;
		enum vhd_format format;
	} known[] = {{".vhd", VHD_VHD_DYNAMIC},
		     {".vhdx", VHD_VHDX_DYNAMIC},
		     {".avhd", VHD_VHD_DIFFERENCING},
		     {".avhdx", VHD_VHDX_DIFFERENCING},
		     {".raw", VHD_RAW},
		     {".img", VHD_RAW}};
	const char *name = strrchr(path, '/'), *dot = strrchr(name == NULL ? path : name, '.');

	for (size_t i = 0; dot != NULL && i < ARRAY_LEN(known); i++) {
		if (strcasecmp(dot, known[i].extension) == 0) {
			*ret = known[i].format;
			return true;
		}
	}
	return false;
}

/* ---- Failing ---- */

static enum api_error error_of(int status)
{
	switch (status) {
	case VHD_IN_USE:
		return API_BUSY;
	case VHD_INVALID_ARGUMENT:
	case VHD_WOULD_TRUNCATE:
	case VHD_NOT_A_DISK:
		return API_INVALID;
	case VHD_UNSUPPORTED:
		return API_NOT_SUPPORTED;
	case -ENOENT:
		return API_NOT_FOUND;
	case -EEXIST:
		return API_EXISTS;
	default:
		return status < 0 ? api_error_of_errno(-status) : API_WRONG_STATE;
	}
}

static bool fail(struct session *s, int status, const struct vhd_error *error)
{
	struct disk_work *w = s->work;

	w->failed = true;
	w->error = error_of(status);
	snprintf(w->text, sizeof(w->text), "%s", error->text);
	return false;
}

static bool fail_with(struct session *s, enum api_error code, const char *path, const char *why)
{
	s->work->failed = true;
	s->work->error = code;
	snprintf(s->work->text, sizeof(s->work->text), "%.400s: %s", path, why);
	return false;
}

/* ---- Opening ---- */

/* What lies in a raw image is the guest's to choose: the name decides, and the content only among names of virtual disks. */
static uint32_t raw_flag(const struct session *s, const char *path)
{
	enum vhd_format format;
	struct stat st;

	return s->work->raw || (stat(path, &st) == 0 && S_ISBLK(st.st_mode)) ||
			       (disk_format_of_name(path, &format) && format == VHD_RAW)
		       ? VHD_OPEN_RAW
		       : 0;
}

static struct vhd_disk *open_disk(struct session *s, const char *path, uint32_t flags)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;
	int r = vhd_open(&s->host, path, flags | raw_flag(s, path), &d, &error);

	if (r != 0) {
		fail(s, r, &error);
		return NULL;
	}
	return d;
}

static bool close_written(struct session *s, struct vhd_disk *d)
{
	int r = vhd_close(d);

	return r == 0 || fail_with(s, r < 0 ? api_error_of_errno(-r) : API_FAILED, s->work->path,
				   "writing the rest at the end failed");
}

struct child_search {
	struct session *session;
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
static bool check_no_children(struct session *s, const char *path, const char *except)
{
	struct child_search c = {.session = s, .except = except};
	struct vhd_error error = {{0}};
	char why[600];
	int r = vhd_find_children(&s->host, path, &backend_directory, on_child, &c, &error);

	if (r != 0) {
		return fail(s, r, &error);
	}
	if (c.found[0] == '\0') {
		return true;
	}
	snprintf(why, sizeof(why),
		 "is the parent of %.400s, which a change would make useless; merge, move or "
		 "remove the "
		 "child first",
		 c.found);
	return fail_with(s, API_WRONG_STATE, path, why);
}

/* ---- Steps ---- */

/* Destroys @j. False: failed or cancelled. */
static bool run_job(struct session *s, struct vhd_job *j)
{
	struct job *job = s->work->job;
	struct vhd_progress p = {0};
	struct vhd_error error = {{0}};
	int r = 1;

	while (r == 1 && !(job != NULL && job_is_cancelling(job))) {
		r = vhd_job_step(j, &p, &error);
		if (job != NULL && p.total_bytes > 0) {
			job_progress(job,
				     (unsigned)mul_div_u64(min_u64(p.done_bytes, p.total_bytes),
							   100, p.total_bytes),
				     p.phase);
		}
	}
	vhd_job_destroy(j);
	if (r == 1) {
		s->work->cancelled = true;
		return false;
	}
	return r == 0 || fail(s, r, &error);
}

static json_t *guid_json(const struct guid *g)
{
	char text[GUID_TEXT_BYTES];

	if (guid_is_zero(g)) {
		return json_null();
	}
	guid_format(g, text);
	return json_string(text);
}

/* A file's name may hold any bytes. */
static json_t *path_json(const char *path)
{
	json_t *text = path[0] == '\0' ? json_null() : json_string(path);

	return text != NULL ? text : json_string("(a name that is not UTF-8)");
}

json_t *disk_info_json(const struct vhd_info *i)
{
	return json_pack(
		"{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o?, s:b}", "path",
		path_json(i->path), "format", vhd_format_name(i->format), "bytes",
		(json_int_t)i->bytes, "sector_bytes", (json_int_t)i->sector_bytes,
		"physical_sector_bytes", (json_int_t)i->physical_sector_bytes, "block_bytes",
		(json_int_t)i->block_bytes, "file_bytes", (json_int_t)i->file_bytes,
		"allocated_bytes", (json_int_t)i->allocated_bytes, "minimum_bytes",
		(json_int_t)i->minimum_bytes, "id", guid_json(&i->id), "linkage",
		guid_json(&i->linkage), "parent", path_json(i->has_parent ? i->parent_path : ""),
		"creator", json_string(i->creator), "saved_state", i->saved_state);
}

static bool describe(struct session *s, const char *path, bool chain)
{
	struct vhd_disk *d = open_disk(s, path, chain ? 0 : VHD_OPEN_NO_PARENT), *file = d;
	struct vhd_info *info = malloc(sizeof(*info));
	json_t *list = json_array();

	CHECK(info != NULL && list != NULL);
	for (unsigned depth = 0; file != NULL && depth < DISK_WORK_CHAIN_MAX;
	     file = vhd_ancestor(d, ++depth)) {
		vhd_get_info(file, info);
		json_array_append_new(list, disk_info_json(info));
	}
	free(info);
	if (d != NULL) {
		s->work->result = json_pack("{s:O}", "disk", json_array_get(list, 0));
		if (chain) {
			json_object_set(s->work->result, "chain", list);
		}
		vhd_close(d);
	}
	json_decref(list);
	return d != NULL;
}

/* ---- Each kind ---- */

static bool do_info(struct session *s)
{
	return describe(s, s->work->path, true);
}

static bool do_create(struct session *s)
{
	struct vhd_error error = {{0}};
	struct vhd_create create = s->work->create;

	create.parent = s->work->parent;
	int r = vhd_create(&s->host, s->work->path, &create, &error);

	return r == 0 ? describe(s, s->work->path, false) : fail(s, r, &error);
}

static bool change(struct session *s, int (*start)(struct session *s, struct vhd_disk *d,
						   struct vhd_job **ret, struct vhd_error *error))
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;
	struct vhd_job *j;

	if (!check_no_children(s, s->work->path, NULL)) {
		return false;
	}
	d = open_disk(s, s->work->path, VHD_OPEN_WRITE);
	if (d == NULL) {
		return false;
	}
	int r = start(s, d, &j, &error);
	bool ok = r != 0 ? fail(s, r, &error) : run_job(s, j);
	bool closed = close_written(s, d);

	return ok && closed && describe(s, s->work->path, false);
}

static int start_resize(struct session *s, struct vhd_disk *d, struct vhd_job **ret,
			struct vhd_error *error)
{
	return vhd_resize(d, s->work->bytes, ret, error);
}

static int start_compact(struct session *s, struct vhd_disk *d, struct vhd_job **ret,
			 struct vhd_error *error)
{
	return vhd_compact(d, ret, error);
}

static bool do_resize(struct session *s)
{
	return change(s, start_resize);
}

static bool do_compact(struct session *s)
{
	return change(s, start_compact);
}

static bool do_convert(struct session *s)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d = open_disk(s, s->work->path, 0);
	struct vhd_job *j;

	if (d == NULL) {
		return false;
	}
	int r = vhd_convert(&s->host, d, s->work->target, &s->work->create, &j, &error);
	bool ok = r != 0 ? fail(s, r, &error) : run_job(s, j);

	vhd_close(d);
	s->work->raw = false; /* the name of the new one says it */
	return ok && describe(s, s->work->target, false);
}

/* The files from the disk down to its ancestor, which are all this chain's alone. */
struct merge_files {
	char *path[DISK_WORK_CHAIN_MAX];
	unsigned count;
};

static bool find_files(struct session *s, struct merge_files *f)
{
	struct vhd_disk *d = open_disk(s, s->work->path, 0), *file = d;
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
	       fail_with(s, API_INVALID, s->work->path, "has no ancestor that deep");
}

static bool reconnect(void *ctx, const char *child)
{
	struct child_search *c = ctx;
	struct vhd_error error = {{0}};

	(void)vhd_reconnect(&c->session->host, child, c->except, true, &error);
	return true;
}

/* Children of the top see the same disk in the ancestor from now on. */
static bool remove_merged(struct session *s, const struct merge_files *f)
{
	struct child_search c = {.session = s, .except = f->path[f->count - 1]};
	struct vhd_error error = {{0}};
	int r = vhd_find_children(&s->host, f->path[0], &backend_directory, reconnect, &c, &error);

	if (r != 0) {
		return fail(s, r, &error);
	}
	for (unsigned i = 0; i + 1 < f->count; i++) {
		r = s->host.remove(s->host.ctx, f->path[i]);
		if (r < 0) {
			return fail_with(s, api_error_of_errno(-r), f->path[i],
					 "merged, but cannot be removed");
		}
	}
	return describe(s, f->path[f->count - 1], false);
}

static bool merge(struct session *s, const struct merge_files *f)
{
	struct vhd_error error = {{0}};
	struct vhd_job *j;

	for (unsigned i = 1; i < f->count; i++) {
		if (!check_no_children(s, f->path[i], f->path[i - 1])) {
			return false;
		}
	}
	int r = vhd_merge(&s->host, f->path[0], f->count - 1, &j, &error);

	return (r != 0 ? fail(s, r, &error) : run_job(s, j)) && remove_merged(s, f);
}

static bool do_merge(struct session *s)
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

void disk_work_run(struct disk_work *w)
{
	static bool (*const kinds[])(struct session * s) = {
		[DISK_WORK_INFO] = do_info,	  [DISK_WORK_CREATE] = do_create,
		[DISK_WORK_RESIZE] = do_resize,	  [DISK_WORK_COMPACT] = do_compact,
		[DISK_WORK_CONVERT] = do_convert, [DISK_WORK_MERGE] = do_merge,
	};
	struct session s = {.work = w};
	int r = backend_create(DEPTH, &s.backend);

	if (r < 0) {
		fail_with(&s, api_error_of_errno(-r), w->path, strerror(-r));
		return;
	}
	backend_vhd_host(s.backend, &s.host);
	kinds[w->kind](&s);
	backend_destroy(s.backend);
}

void disk_work_fini(struct disk_work *w)
{
	free(w->path);
	free(w->target);
	free(w->parent);
	json_decref(w->result);
}
