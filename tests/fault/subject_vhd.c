// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "subject.h"

static int open_disk(const struct subject *s, const struct vhd_host *host, const char *path,
		     bool write, struct subject_disk *ret, char *why, size_t size)
{
	struct vhd_error error = {""};
	struct vhd_disk *d = NULL;
	int r = vhd_open(host, path, s->flags | (write ? VHD_OPEN_WRITE : 0), &d, &error);

	if (r != 0) {
		snprintf(why, size, "vhd_open %s of %s: %d: %s",
			 write ? "for writing" : "for reading", path, r, error.text);
		return r;
	}
	*ret = (struct subject_disk){.block = vhd_block(d), .handle = d};
	return 0;
}

static int close_disk(struct subject_disk *d)
{
	return vhd_close(d->handle);
}

struct findings {
	char *why;
	size_t size;
	unsigned errors;
};

static void finding(void *ctx, const struct vhd_finding *f)
{
	struct findings *n = ctx;

	if (f->kind == VHD_FINDING_ERROR && n->errors++ == 0) {
		snprintf(n->why, n->size, "vhd_check: at 0x%llx: %s",
			 (unsigned long long)f->file_offset, f->text);
	}
}

static int check_disk(const struct vhd_host *host, const char *path, char *why, size_t size)
{
	struct findings n = {.why = why, .size = size};
	const struct vhd_check check = {.finding = finding, .ctx = &n};
	struct vhd_check_result result = {0};
	struct vhd_error error = {""};
	int r = vhd_check(host, path, &check, &result, &error);

	if (r != 0) {
		snprintf(why, size, "vhd_check of %s: %d: %s", path, r, error.text);
		return r;
	}
	if (result.errors != n.errors) {
		snprintf(why, size, "vhd_check of %s: %u errors told, %u counted", path, n.errors,
			 result.errors);
		return 1;
	}
	return n.errors != 0;
}

const struct subject subject_vhd = {.open = open_disk, .close = close_disk, .check = check_disk};
const struct subject subject_raw = {.open = open_disk, .close = close_disk, .flags = VHD_OPEN_RAW};
