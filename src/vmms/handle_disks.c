// SPDX-License-Identifier: Apache-2.0
/* /disks: files of virtual disks, apart from any VM. */
#include <stdlib.h>
#include <string.h>

#include "disk_paths.h"
#include "disk_work.h"
#include "job.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "routes.h"
#include "schema.h"
#include "task.h"
#include "vmms.h"

#define LARGEST_BYTES (INT64_C(64) << 40)

/* ---- What is asked ---- */

static bool is_creatable(const char *text)
{
	enum vhd_format f;

	return vhd_format_parse(text, &f);
}

static bool is_convertible(const char *text)
{
	enum vhd_format f;

	return vhd_format_parse(text, &f) && f != VHD_VHD_DIFFERENCING &&
	       f != VHD_VHDX_DIFFERENCING;
}

#define PATH_MEMBER(member)                                                                        \
	{                                                                                          \
		.name = (member), .type = SCHEMA_TEXT, .expected = "the absolute path of a file",  \
		.max = 4095                                                                        \
	}
#define SIZES                                                                                      \
	{.name = "block_bytes",                                                                    \
	 .type = SCHEMA_WHOLE,                                                                     \
	 .optional = true,                                                                         \
	 .expected = "512 bytes to 256 MiB",                                                       \
	 .min = 512,                                                                               \
	 .max = 256 << 20},                                                                        \
		{.name = "sector_bytes",                                                           \
		 .type = SCHEMA_WHOLE,                                                             \
		 .optional = true,                                                                 \
		 .expected = "512 or 4096",                                                        \
		 .min = 512,                                                                       \
		 .max = 4096,                                                                      \
		 .step = 512},                                                                     \
	{                                                                                          \
		.name = "physical_sector_bytes", .type = SCHEMA_WHOLE, .optional = true,           \
		.expected = "512 or 4096", .min = 512, .max = 4096, .step = 512                    \
	}

static const struct schema create_schema[] = {
	PATH_MEMBER("path"),
	{.name = "format",
	 .type = SCHEMA_TEXT,
	 .optional = true,
	 .expected = "raw, vhd-fixed, vhd-dynamic, vhd-differencing, vhdx-fixed, vhdx-dynamic or "
		     "vhdx-differencing",
	 .max = 32,
	 .check = is_creatable},
	{.name = "bytes",
	 .type = SCHEMA_WHOLE,
	 .optional = true,
	 .expected = "the size in bytes, a multiple of 512, up to 64 TiB",
	 .min = 512,
	 .max = LARGEST_BYTES,
	 .step = 512},
	{.name = "parent",
	 .type = SCHEMA_TEXT,
	 .optional = true,
	 .nullable = true,
	 .expected = "the absolute path of a disk, or null",
	 .max = 4095},
	SIZES,
	{0},
};
static const struct schema resize_schema[] = {
	PATH_MEMBER("path"),
	{.name = "bytes",
	 .type = SCHEMA_WHOLE,
	 .expected = "the size in bytes, a multiple of 512, up to 64 TiB",
	 .min = 512,
	 .max = LARGEST_BYTES,
	 .step = 512},
	{0},
};
static const struct schema path_schema[] = {PATH_MEMBER("path"), {0}};
static const struct schema convert_schema[] = {
	PATH_MEMBER("path"),
	PATH_MEMBER("target"),
	{.name = "format",
	 .type = SCHEMA_TEXT,
	 .optional = true,
	 .expected = "raw, vhd-fixed, vhd-dynamic, vhdx-fixed or vhdx-dynamic",
	 .max = 32,
	 .check = is_convertible},
	SIZES,
	{0},
};
static const struct schema merge_schema[] = {
	PATH_MEMBER("path"),
	{.name = "depth",
	 .type = SCHEMA_WHOLE,
	 .optional = true,
	 .expected = "1 (the parent) to 255",
	 .min = 1,
	 .max = 255},
	{0},
};

static const char *text_of(const struct call *c, const char *name)
{
	return json_string_value(json_object_get(c->body, name));
}

static uint64_t number_of(const struct call *c, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(c->body, name));
}

static bool check_path(struct call *c, const char *path)
{
	char error[1200];

	if (disk_path_allowed(c->vmms, c->caller, path, error, sizeof(error))) {
		return true;
	}
	call_refuse(c, API_DENIED, NULL, "%s", error);
	return false;
}

/* The body fits @schema, and its paths are the caller's to name. */
static bool check_body(struct call *c, const struct schema *schema)
{
	static const char *const paths[] = {"path", "target", "parent"};
	struct schema_error error;

	if (c->body == NULL) {
		call_refuse(c, API_INVALID, NULL, "the request has no body; expected an object");
		return false;
	}
	if (!schema_check(c->body, schema, "", &error)) {
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const char *path = text_of(c, paths[i]);

		if (path != NULL && !check_path(c, path)) {
			return false;
		}
	}
	return true;
}

static char *copy(const char *text)
{
	char *s = text == NULL ? NULL : strdup(text);

	CHECK(text == NULL || s != NULL);
	return s;
}

static struct disk_work *new_work(const struct call *c, enum disk_work_kind kind)
{
	struct disk_work *w = calloc(1, sizeof(*w));

	CHECK(w != NULL);
	*w = (struct disk_work){
		.kind = kind,
		.path = copy(text_of(c, "path")),
		.target = copy(text_of(c, "target")),
		.parent = copy(text_of(c, "parent")),
		.bytes = number_of(c, "bytes"),
		.create = {.bytes = number_of(c, "bytes"),
			   .block_bytes = number_of(c, "block_bytes"),
			   .sector_bytes = (uint32_t)number_of(c, "sector_bytes"),
			   .physical_sector_bytes =
				   (uint32_t)number_of(c, "physical_sector_bytes")},
	};
	CHECK(w->path != NULL); /* every schema has it */
	return w;
}

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
	const char *format = text_of(c, "format"), *parent = text_of(c, "parent");

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
	bool has_parent = text_of(c, "parent") != NULL;

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

	if (!check_body(c, create_schema)) {
		return;
	}
	w = new_work(c, DISK_WORK_CREATE);
	if (!choose_format(c, w->path, &w->create) || !check_create(c, &w->create)) {
		free_work(w);
		return;
	}
	begin(c, "disk.create", w);
}

static void resize_disk(struct call *c)
{
	if (check_body(c, resize_schema)) {
		begin(c, "disk.resize", new_work(c, DISK_WORK_RESIZE));
	}
}

static void compact_disk(struct call *c)
{
	if (check_body(c, path_schema)) {
		begin(c, "disk.compact", new_work(c, DISK_WORK_COMPACT));
	}
}

static void convert_disk(struct call *c)
{
	struct disk_work *w;

	if (!check_body(c, convert_schema)) {
		return;
	}
	w = new_work(c, DISK_WORK_CONVERT);
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

	if (!check_body(c, merge_schema)) {
		return;
	}
	w = new_work(c, DISK_WORK_MERGE);
	w->depth = (unsigned)number_of(c, "depth");
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
	if (!check_path(c, path)) {
		return;
	}
	i = calloc(1, sizeof(*i));
	CHECK(i != NULL);
	*i = (struct info){.call = c, .work = {.kind = DISK_WORK_INFO, .path = copy(path)}};
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
