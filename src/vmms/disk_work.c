// SPDX-License-Identifier: Apache-2.0
#include "disk_session.h"

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
#include "json/json.h"

#define DEPTH 64

/* One piece of work with the library's host for its thread. */
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

bool disk_session_fail(struct disk_session *s, int status, const struct vhd_error *error)
{
	struct disk_work *w = s->work;

	w->failed = true;
	w->error = error_of(status);
	snprintf(w->text, sizeof(w->text), "%s", error->text);
	return false;
}

bool disk_session_refuse(struct disk_session *s, enum api_error code, const char *path,
			 const char *why)
{
	s->work->failed = true;
	s->work->error = code;
	snprintf(s->work->text, sizeof(s->work->text), "%.400s: %s", path, why);
	return false;
}

/* ---- Opening ---- */

/* What lies in a raw image is the guest's to choose: the name decides, and the content only among names of virtual disks. */
static uint32_t raw_flag(const struct disk_session *s, const char *path)
{
	enum vhd_format format;
	struct stat st;

	return s->work->raw || (stat(path, &st) == 0 && S_ISBLK(st.st_mode)) ||
			       (disk_format_of_name(path, &format) && format == VHD_RAW)
		       ? VHD_OPEN_RAW
		       : 0;
}

struct vhd_disk *disk_session_open(struct disk_session *s, const char *path, uint32_t flags)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;
	int r = vhd_open(&s->host, path, flags | raw_flag(s, path), &d, &error);

	if (r != 0) {
		disk_session_fail(s, r, &error);
		return NULL;
	}
	return d;
}

static bool close_written(struct disk_session *s, struct vhd_disk *d)
{
	int r = vhd_close(d);

	return r == 0 || disk_session_refuse(s, r < 0 ? api_error_of_errno(-r) : API_FAILED,
					     s->work->path, "writing the rest at the end failed");
}

/* ---- Steps ---- */

/* Destroys @j. False: failed or cancelled. */
bool disk_session_run(struct disk_session *s, struct vhd_job *j)
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
	return r == 0 || disk_session_fail(s, r, &error);
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
	return path[0] == '\0' ? json_null() : json_new_text(path);
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

bool disk_session_describe(struct disk_session *s, const char *path, bool chain)
{
	struct vhd_disk *d = disk_session_open(s, path, chain ? 0 : VHD_OPEN_NO_PARENT), *file = d;
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

static bool do_info(struct disk_session *s)
{
	return disk_session_describe(s, s->work->path, true);
}

static bool do_create(struct disk_session *s)
{
	struct vhd_error error = {{0}};
	struct vhd_create create = s->work->create;

	create.parent = s->work->parent;
	int r = vhd_create(&s->host, s->work->path, &create, &error);

	return r == 0 ? disk_session_describe(s, s->work->path, false)
		      : disk_session_fail(s, r, &error);
}

static bool change(struct disk_session *s,
		   int (*start)(struct disk_session *s, struct vhd_disk *d, struct vhd_job **ret,
				struct vhd_error *error))
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;
	struct vhd_job *j;

	if (!disk_session_no_children(s, s->work->path, NULL)) {
		return false;
	}
	d = disk_session_open(s, s->work->path, VHD_OPEN_WRITE);
	if (d == NULL) {
		return false;
	}
	int r = start(s, d, &j, &error);
	bool ok = r != 0 ? disk_session_fail(s, r, &error) : disk_session_run(s, j);
	bool closed = close_written(s, d);

	return ok && closed && disk_session_describe(s, s->work->path, false);
}

static int start_resize(struct disk_session *s, struct vhd_disk *d, struct vhd_job **ret,
			struct vhd_error *error)
{
	return vhd_resize(d, s->work->bytes, ret, error);
}

static int start_compact(struct disk_session *s, struct vhd_disk *d, struct vhd_job **ret,
			 struct vhd_error *error)
{
	return vhd_compact(d, ret, error);
}

static bool do_resize(struct disk_session *s)
{
	return change(s, start_resize);
}

static bool do_compact(struct disk_session *s)
{
	return change(s, start_compact);
}

static bool do_convert(struct disk_session *s)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d = disk_session_open(s, s->work->path, 0);
	struct vhd_job *j;

	if (d == NULL) {
		return false;
	}
	int r = vhd_convert(&s->host, d, s->work->target, &s->work->create, &j, &error);
	bool ok = r != 0 ? disk_session_fail(s, r, &error) : disk_session_run(s, j);

	vhd_close(d);
	s->work->raw = false; /* the name of the new one says it */
	return ok && disk_session_describe(s, s->work->target, false);
}

/* The files from the disk down to its ancestor, which are all this chain's alone. */
void disk_work_run(struct disk_work *w)
{
	static bool (*const kinds[])(struct disk_session * s) = {
		[DISK_WORK_INFO] = do_info,	  [DISK_WORK_CREATE] = do_create,
		[DISK_WORK_RESIZE] = do_resize,	  [DISK_WORK_COMPACT] = do_compact,
		[DISK_WORK_CONVERT] = do_convert, [DISK_WORK_MERGE] = disk_session_merge,
	};
	struct disk_session s = {.work = w};
	int r = backend_create(DEPTH, &s.backend);

	if (r < 0) {
		disk_session_refuse(&s, api_error_of_errno(-r), w->path, strerror(-r));
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
