// SPDX-License-Identifier: Apache-2.0
/* /disks: files of virtual disks, apart from any VM. */
#include <stdlib.h>
#include <string.h>

#include "disk_ask.h"
#include "disk_work.h"
#include "job.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "routes.h"
#include "task.h"
#include "vmms.h"

/* ---- Jobs ---- */

static void work(void *ctx)
{
	disk_work_run(ctx);
}

static void free_work(struct disk_work *w)
{
	disk_work_fini(w);
	free(w);
}

static void done(void *ctx)
{
	struct disk_work *w = ctx;

	if (w->cancelled) {
		job_cancelled(w->job);
	} else if (w->failed) {
		job_fail(w->job, w->error, NULL, "%s", w->text);
	} else {
		job_complete(w->job, json_incref(w->result));
	}
	free_work(w);
}

static void begin(struct call *c, const char *kind, struct disk_work *w)
{
	w->job = job_create(c->vmms, kind, NULL, c->caller->name);
	CHECK(w->job != NULL);
	if (w->kind != DISK_WORK_CREATE) {
		job_allow_cancel(w->job, NULL, NULL);
	}
	task_run(c->vmms->tasks, work, done, w);
	call_job(c, w->job);
}

/* ---- Handlers ---- */

/* From what the body says, else from the name; a parent makes it differencing. */
static bool choose_format(struct call *c, const char *path, struct vhd_create *ret)
{
	const char *format = disk_ask_text(c, "format"), *parent = disk_ask_text(c, "parent");

	if (format != NULL) {
		vhd_format_parse(format, &ret->format);
	} else if (!disk_format_of_name(path, &ret->format)) {
		call_refuse(c, API_INVALID, NULL,
			    "%s: its name does not say the format (.vhd, .vhdx, .avhd, .avhdx, "
			    ".raw, .img); give "
			    "\"format\"",
			    path);
		return false;
	} else if (parent != NULL && ret->format != VHD_RAW) {
		ret->format = ret->format == VHD_VHD_DYNAMIC || ret->format == VHD_VHD_DIFFERENCING
				      ? VHD_VHD_DIFFERENCING
				      : VHD_VHDX_DIFFERENCING;
	}
	return true;
}

static bool check_create(struct call *c, const struct vhd_create *create)
{
	bool differencing =
		create->format == VHD_VHD_DIFFERENCING || create->format == VHD_VHDX_DIFFERENCING;
	bool has_parent = disk_ask_text(c, "parent") != NULL;

	if (differencing != has_parent) {
		call_refuse(c, API_INVALID, NULL, "a %s disk has %s parent; %s \"parent\"",
			    vhd_format_name(create->format), differencing ? "a" : "no",
			    differencing ? "give its" : "leave out");
		return false;
	}
	if (create->bytes == 0 && !has_parent) {
		call_refuse(c, API_INVALID, NULL, "bytes: found nothing; expected the disk's size");
		return false;
	}
	return true;
}

static void create_disk(struct call *c)
{
	struct disk_work *w;

	if (!disk_ask_check(c, disk_ask_create)) {
		return;
	}
	w = disk_ask_work(c, DISK_WORK_CREATE);
	if (!choose_format(c, w->path, &w->create) || !check_create(c, &w->create)) {
		free_work(w);
		return;
	}
	begin(c, "disk.create", w);
}

static void resize_disk(struct call *c)
{
	if (disk_ask_check(c, disk_ask_resize)) {
		begin(c, "disk.resize", disk_ask_work(c, DISK_WORK_RESIZE));
	}
}

static void compact_disk(struct call *c)
{
	if (disk_ask_check(c, disk_ask_path)) {
		begin(c, "disk.compact", disk_ask_work(c, DISK_WORK_COMPACT));
	}
}

static void convert_disk(struct call *c)
{
	struct disk_work *w;

	if (!disk_ask_check(c, disk_ask_convert)) {
		return;
	}
	w = disk_ask_work(c, DISK_WORK_CONVERT);
	if (!choose_format(c, w->target, &w->create)) {
		free_work(w);
		return;
	}
	if (w->create.format == VHD_VHD_DIFFERENCING || w->create.format == VHD_VHDX_DIFFERENCING) {
		call_refuse(c, API_INVALID, NULL,
			    "%s: its name is a differencing disk's; the result has no parent, name "
			    "it .vhd or "
			    ".vhdx",
			    w->target);
		free_work(w);
		return;
	}
	begin(c, "disk.convert", w);
}

/* Merging takes files away: not those that a VM's configuration or checkpoints name (their checkpoints are removed instead). */
static void merge_disk(struct call *c)
{
	struct disk_work *w;
	char own[VMMS_PATH_BYTES + 8];

	if (!disk_ask_check(c, disk_ask_merge)) {
		return;
	}
	w = disk_ask_work(c, DISK_WORK_MERGE);
	w->depth = (unsigned)disk_ask_number(c, "depth");
	w->depth = w->depth == 0 ? 1 : w->depth;
	snprintf(own, sizeof(own), "%s/vms/", c->vmms->state);
	if (strncmp(w->path, own, strlen(own)) == 0) {
		call_refuse(c, API_WRONG_STATE, NULL,
			    "%s: belongs to a VM; remove its checkpoint instead, which merges it",
			    w->path);
		free_work(w);
		return;
	}
	begin(c, "disk.merge", w);
}

struct info {
	struct call *call;
	struct disk_work work;
};

static void info_work(void *ctx)
{
	struct info *i = ctx;

	disk_work_run(&i->work);
}

static void info_done(void *ctx)
{
	struct info *i = ctx;

	if (i->work.failed) {
		call_refuse(i->call, i->work.error, NULL, "%s", i->work.text);
	} else {
		call_ok(i->call, json_incref(i->work.result));
	}
	disk_work_fini(&i->work);
	free(i);
}

static void get_info(struct call *c)
{
	const char *path = call_query(c, "path");
	struct info *i;

	if (path == NULL) {
		call_refuse(c, API_INVALID, NULL, "expected ?path=FILE");
		return;
	}
	if (!disk_ask_path_allowed(c, path)) {
		return;
	}
	i = calloc(1, sizeof(*i));
	CHECK(i != NULL);
	*i = (struct info){.call = c, .work = {.kind = DISK_WORK_INFO, .path = strdup(path)}};
	CHECK(i->work.path != NULL);
	call_hold(c, NULL, NULL);
	task_run(c->vmms->tasks, info_work, info_done, i);
}

static const struct route routes[] = {
	{"GET", "/disks/info", RIGHT_HOST, false, get_info,
	 "What a disk's file is, and those it stands on (?path=)", NULL, "DiskInfo"},
	{"POST", "/disks", RIGHT_HOST, true, create_disk, "Makes a new disk", "DiskCreate", "Job"},
	{"POST", "/disks/resize", RIGHT_HOST, true, resize_disk,
	 "Makes a disk that no VM uses larger or smaller", "DiskResize", "Job"},
	{"POST", "/disks/compact", RIGHT_HOST, true, compact_disk,
	 "Gives unused space of a disk's file back", "DiskPath", "Job"},
	{"POST", "/disks/convert", RIGHT_HOST, true, convert_disk,
	 "Copies a disk into another format", "DiskConvert", "Job"},
	{"POST", "/disks/merge", RIGHT_HOST, true, merge_disk,
	 "Writes a differencing disk into its parent, and removes it", "DiskMerge", "Job"},
};

const struct route_table disk_routes = {routes, ARRAY_LEN(routes)};
