// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/bits.h"

static void count(struct vhd_checker *c, enum vhd_finding_kind kind)
{
	if (kind == VHD_FINDING_ERROR) {
		c->result->errors++;
	} else {
		c->result->warnings++;
	}
}

void vhd_finding(struct vhd_checker *c, enum vhd_finding_kind kind, uint64_t file_offset,
		 enum vhd_repair repair, const char *fmt, ...)
{
	struct vhd_finding f = {
		.kind = kind,
		.repairable = repair != VHD_NOT_REPAIRABLE,
		.repaired = repair == VHD_REPAIRED,
		.file_offset = file_offset,
	};
	va_list args;

	va_start(args, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, args);
	va_end(args);
	if (f.repaired) {
		c->result->repaired++;
	} else {
		count(c, kind);
	}
	c->check->finding(c->check->ctx, &f);
}

bool vhd_flood_add(struct vhd_checker *c, struct vhd_flood *f, uint64_t file_offset)
{
	f->last_offset = file_offset;
	if (f->count++ < VHD_FLOOD_TOLD) {
		return true;
	}
	if (f->count > VHD_FLOOD_TOLD + 1) { /* the one that vhd_flood_end tells counts by itself */
		count(c, f->kind);
	}
	return false;
}

void vhd_flood_end(struct vhd_checker *c, const struct vhd_flood *f)
{
	if (f->count > VHD_FLOOD_TOLD) {
		vhd_finding(c, f->kind, f->last_offset, VHD_NOT_REPAIRABLE,
			    "%s: %" PRIu64 " more of them, this being the last", f->what,
			    f->count - VHD_FLOOD_TOLD);
	}
}

int vhd_check_read(struct vhd_checker *c, uint64_t offset, void *buf, size_t bytes)
{
	int r = storage_file_read(c->file, offset, buf, bytes);

	return r == 0 ? 0
		      : vhd_fail(c->error, r, "%s: cannot read %zu bytes at 0x%" PRIx64 ": %s",
				 c->path, bytes, offset, strerror(-r));
}

int vhd_check_write(struct vhd_checker *c, uint64_t offset, const void *buf, size_t bytes,
		    const char *what)
{
	int r = storage_file_write(c->file, offset, buf, bytes);

	r = r == 0 ? storage_file_flush(c->file) : r;
	return r == 0 ? 0
		      : vhd_fail(c->error, r, "%s: cannot write the %s at 0x%" PRIx64 ": %s",
				 c->path, what, offset, strerror(-r));
}

/*
 * The start of a fixed VHD and what follows the blocks of a VHDX are the guest's to write: when a file could be both, its name decides.
 */
static bool is_named_vhd(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && (strcasecmp(dot, ".vhd") == 0 || strcasecmp(dot, ".avhd") == 0);
}

static int examine(struct vhd_checker *c)
{
	int vhd, vhdx;
	int r = storage_file_get_size(c->file, &c->file_bytes);

	if (r != 0) {
		return vhd_fail_errno(c->error, r, c->path, "cannot tell its length");
	}
	vhd = vhd_check_is_vhd(c);
	vhdx = vhd < 0 ? vhd : vhd_check_is_vhdx(c);
	if (vhdx < 0) {
		return vhdx;
	}
	if (!vhd && !vhdx) {
		return vhd_fail(
			c->error, VHD_NOT_A_DISK,
			"%s: neither VHD (no \"conectix\" in the last sector or at 0) nor VHDX (no "
			"\"vhdxfile\" at 0 and no "
			"\"head\" at 64 or 128 KiB); a raw image has no structures to check",
			c->path);
	}
	return vhd && (!vhdx || is_named_vhd(c->path)) ? vhd_check_vhd(c) : vhd_check_vhdx(c);
}

/*
 * Lastly the disk is opened as a machine would: its parents, and whatever the walk has overlooked. A file with errors of its own has
 * said enough unless the trouble is with its parent.
 */
static void open_chain(struct vhd_checker *c)
{
	struct vhd_disk *d;
	struct vhd_error error;
	int r = vhd_open(c->host, c->path, 0, &d, &error);

	if (r == 0) {
		vhd_close(d);
		return;
	}
	bool parent = r == VHD_PARENT_MISSING || r == VHD_PARENT_MISMATCH || r == VHD_PARENT_SIZE ||
		      r == VHD_CHAIN_CYCLE;

	if (parent || c->result->errors == 0) {
		vhd_finding(c, VHD_FINDING_ERROR, 0, VHD_NOT_REPAIRABLE, "%s: %s",
			    parent ? "parent" : "open", error.text);
	}
}

int vhd_check(const struct vhd_host *host, const char *path, const struct vhd_check *check,
	      struct vhd_check_result *ret, struct vhd_error *error)
{
	struct vhd_checker c = {
		.host = host, .path = path, .check = check, .result = ret, .error = error};

	*ret = (struct vhd_check_result){0};
	int r = host->open(host->ctx, path, check->repair, false, &c.file);

	if (r == VHD_IN_USE) {
		return vhd_fail(error, r, "%s: in use by somebody else", path);
	}
	if (r != 0) {
		return vhd_fail_errno(error, r, path, "cannot open");
	}
	r = examine(&c);
	storage_file_close(c.file);
	if (r == 0) {
		open_chain(&c);
	}
	return r;
}
