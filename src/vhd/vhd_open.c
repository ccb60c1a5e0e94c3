// SPDX-License-Identifier: Apache-2.0
/* Opening a VHD: which footer counts, and what kind of disk it says there is. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "vhd_image.h"

#define OLD_FOOTER_BYTES 511u /* writers before Virtual PC 2004 */

static bool is_good(const uint8_t *raw, struct vhd_footer *ret, char text[VHD_FAULT_BYTES])
{
	return vhd_footer_decode(raw, ret, text) == NULL && vhd_footer_fault(ret, text) == NULL;
}

static int read_tail(struct storage_file *f, struct vhd_footers *ret)
{
	uint8_t raw[VHD_FOOTER_BYTES] = {0};
	uint64_t bytes = ret->file_bytes;
	uint32_t length =
		bytes % VHD_SECTOR_BYTES == OLD_FOOTER_BYTES ? OLD_FOOTER_BYTES : VHD_FOOTER_BYTES;
	int err;

	ret->tail_offset = bytes;
	if (bytes < length) {
		snprintf(ret->tail_text, sizeof(ret->tail_text),
			 "the file has only %" PRIu64 " bytes", bytes);
		return 0;
	}
	err = storage_file_read(f, bytes - length, raw, length);
	ret->tail_good = err == 0 && is_good(raw, &ret->tail, ret->tail_text);
	if (ret->tail_good) {
		ret->tail_offset = bytes - length;
	}
	return err;
}

static int read_footers(struct storage_file *f, struct vhd_footers *ret)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	memset(ret, 0, sizeof(*ret));
	err = storage_file_get_size(f, &ret->file_bytes);
	err = err == 0 ? read_tail(f, ret) : err;
	err = err == 0 ? storage_file_read(f, 0, raw, sizeof(raw)) : err;
	if (err != 0) {
		return err;
	}
	ret->copy_good = is_good(raw, &ret->copy, ret->copy_text);
	if (ret->copy_good && ret->copy.type == VHD_TYPE_FIXED) {
		ret->copy_good = false; /* the guest's own data: a fixed disk has no copy */
		snprintf(ret->copy_text, sizeof(ret->copy_text), "not that of a dynamic disk");
	}
	return 0;
}

static bool has_cookie(struct storage_file *f, uint64_t offset, int *ret_err)
{
	uint8_t raw[8];

	*ret_err = storage_file_read(f, offset, raw, sizeof(raw));
	return *ret_err == 0 && memcmp(raw, VHD_FOOTER_COOKIE, sizeof(raw)) == 0;
}

static int vhd_probe(struct storage_file *f)
{
	uint64_t bytes;
	int err = storage_file_get_size(f, &bytes);

	if (err != 0 || bytes < OLD_FOOTER_BYTES) {
		return err;
	}
	if (has_cookie(f, bytes - OLD_FOOTER_BYTES, &err) || (err == 0 && has_cookie(f, 0, &err))) {
		return 1;
	}
	if (err != 0 || bytes < VHD_FOOTER_BYTES) {
		return err;
	}
	return has_cookie(f, bytes - VHD_FOOTER_BYTES, &err) ? 1 : err;
}

static int open_found(const struct vhd_host *host, const struct vhd_footers *found,
		      struct storage_file *f, uint32_t flags, struct vhd_layer **ret,
		      struct vhd_error *error)
{
	int rc;

	if (!found->tail_good && !found->copy_good) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: footer in the last sector: %s; copy at 0: %s", f->name,
				found->tail_text, found->copy_text);
	}
	if (found->tail_good && found->tail.type == VHD_TYPE_FIXED) {
		rc = vhd_fixed_open(found, f, flags, ret, error);
	} else {
		rc = vhd_image_open(found, f, flags, ret, error);
	}
	if (rc == 0) {
		(*ret)->host = host;
	}
	return rc;
}

static int vhd_vhd_open(const struct vhd_host *host, struct storage_file *f, uint32_t flags,
			struct vhd_layer **ret, struct vhd_error *error)
{
	struct vhd_footers found;
	int rc = read_footers(f, &found);

	if (rc != 0) {
		vhd_fail_errno(error, rc, f->name, "cannot read the footers");
	} else {
		rc = open_found(host, &found, f, flags, ret, error);
	}
	if (rc != 0) {
		storage_file_close(f);
	}
	return rc;
}

/* The rest is in the tables of the two kinds of layers. */
const struct vhd_format_ops vhd_format_vhd = {
	.name = "vhd",
	.probe = vhd_probe,
	.open = vhd_vhd_open,
	.create = vhd_vhd_create,
};
