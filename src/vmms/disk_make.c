// SPDX-License-Identifier: Apache-2.0
#include "disk_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk_work.h"
#include "lib/check.h"

static char *copy(const char *text)
{
	char *s = text == NULL ? NULL : strdup(text);

	CHECK(text == NULL || s != NULL);
	return s;
}

static bool run(struct disk_work *w, struct disk_make_error *error)
{
	disk_work_run(w);
	error->code = w->error;
	error->cancelled = w->cancelled;
	snprintf(error->text, sizeof(error->text), "%s",
		 w->cancelled ? "it was cancelled" : w->text);
	bool ok = !w->failed && !w->cancelled;

	disk_work_fini(w);
	return ok;
}

static enum vhd_format differencing(enum vhd_format format)
{
	return format == VHD_VHDX_DYNAMIC  ? VHD_VHDX_DIFFERENCING
	       : format == VHD_VHD_DYNAMIC ? VHD_VHD_DIFFERENCING
					   : format;
}

bool disk_make(const char *path, uint64_t bytes, const char *parent, struct job *job,
	       struct disk_make_error *error)
{
	struct disk_work w = {
		.kind = DISK_WORK_CREATE, .path = copy(path), .parent = copy(parent), .job = job};

	*error = (struct disk_make_error){.code = API_INVALID};
	if (!disk_format_of_name(path, &w.create.format) || w.create.format == VHD_RAW) {
		snprintf(error->text, sizeof(error->text),
			 "%.700s: expected a name that ends in .vhdx or .vhd", path);
		disk_work_fini(&w);
		return false;
	}
	w.create.bytes = bytes;
	if (parent != NULL) {
		w.create.format = differencing(w.create.format);
	}
	return run(&w, error);
}

bool disk_flatten(const char *path, const char *from, struct job *job,
		  struct disk_make_error *error)
{
	struct disk_work w = {
		.kind = DISK_WORK_CONVERT, .path = copy(from), .target = copy(path), .job = job};

	*error = (struct disk_make_error){.code = API_INVALID};
	if (!disk_format_of_name(path, &w.create.format) || w.create.format == VHD_RAW) {
		snprintf(error->text, sizeof(error->text),
			 "%.700s: expected a name that ends in .vhdx or .vhd", path);
		disk_work_fini(&w);
		return false;
	}
	return run(&w, error);
}

bool disk_resize(const char *path, bool raw, uint64_t bytes, struct job *job,
		 struct disk_make_error *error)
{
	struct disk_work w = {.kind = DISK_WORK_RESIZE,
			      .path = copy(path),
			      .raw = raw,
			      .bytes = bytes,
			      .job = job};

	*error = (struct disk_make_error){.code = API_INVALID};
	return run(&w, error);
}
