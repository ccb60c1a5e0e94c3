// SPDX-License-Identifier: Apache-2.0
/* What opening reads, in its order: file identifier, headers, log (it is replayed), region tables, metadata. All of it is foreign. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/utf16.h"
#include "vhdx.h"
#include "vhdx_log.h"

static int read_file_id(struct vhdx *v, struct vhd_error *error)
{
	struct vhdx_file_id id;
	int rc = storage_file_read(v->layer.file, VHDX_FILE_ID_OFFSET, &id, sizeof(id));

	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name,
				      "cannot read the file identifier at 0x0");
	}
	if (id.signature != VHDX_FILE_SIGNATURE) {
		return vhd_fail(error, VHD_NOT_A_DISK,
				"%s: file identifier at 0x0: 0x%016llx, expected 0x%016llx "
				"(\"vhdxfile\")",
				v->layer.file->name, (unsigned long long)id.signature,
				(unsigned long long)VHDX_FILE_SIGNATURE);
	}
	if (!utf16_decode_padded((const uint8_t *)id.creator, sizeof(id.creator), UTF16_LE,
				 v->creator, sizeof(v->creator))) {
		v->creator[0] = '\0';
	}
	return 0;
}

/* ---- Headers ---- */

static int check_header(const struct vhdx *v, uint64_t file_bytes, struct vhd_error *error)
{
	const struct vhdx_header *h = &v->header;
	unsigned long long at = VHDX_HEADER_OFFSET(v->header_slot);
	bool has_log = !guid_is_zero(&h->log);

	if (h->version != 1) {
		return vhd_fail(error, VHD_UNSUPPORTED,
				"%s: header %u at 0x%llx: version %u, expected 1; the file needs "
				"newer software",
				v->layer.file->name, v->header_slot + 1, at, h->version);
	}
	if (h->log_version != 0 && (has_log || v->writable)) {
		return vhd_fail(error, VHD_UNSUPPORTED,
				"%s: header %u at 0x%llx: log version %u, expected 0; the file "
				"needs newer software",
				v->layer.file->name, v->header_slot + 1, at, h->log_version);
	}
	if (h->log_offset % VHDX_UNIT != 0 || h->log_bytes % VHDX_UNIT != 0 ||
	    (h->log_bytes == 0 ? has_log || v->writable
			       : h->log_offset < VHDX_UNIT || h->log_offset > VHDX_FILE_MAX)) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: header %u at 0x%llx: log of 0x%x bytes at 0x%llx; expected "
				"whole MiB, from 1 MiB on; run check",
				v->layer.file->name, v->header_slot + 1, at, h->log_bytes,
				(unsigned long long)h->log_offset);
	}
	if (!range_within(h->log_offset, h->log_bytes, file_bytes)) {
		return vhd_fail(error, VHD_TRUNCATED,
				"%s: header %u at 0x%llx: log of 0x%x bytes at 0x%llx, but the "
				"file has only 0x%llx; get a complete copy",
				v->layer.file->name, v->header_slot + 1, at, h->log_bytes,
				(unsigned long long)h->log_offset, (unsigned long long)file_bytes);
	}
	return 0;
}

static int no_header(const struct vhdx *v, const struct vhdx_header h[2], const bool valid[2],
		     struct vhd_error *error)
{
	if (valid[0] && valid[1]) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: headers at 0x10000 and 0x20000 differ and have the same "
				"sequence number %llu; run check",
				v->layer.file->name, (unsigned long long)h[0].sequence);
	}
	return vhd_fail(error, VHD_CORRUPT,
			"%s: headers at 0x10000 and 0x20000: found neither with the expected "
			"signature \"head\" and the right checksum; run check",
			v->layer.file->name);
}

static int read_headers(struct vhdx *v, struct vhd_error *error)
{
	struct vhdx_header h[2];
	bool valid[2];
	uint64_t file_bytes;
	int rc = storage_file_get_size(v->layer.file, &file_bytes);

	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		rc = storage_file_read(v->layer.file, VHDX_HEADER_OFFSET(i), v->header_page,
				       VHDX_PAGE);
		valid[i] = rc == 0 && vhdx_header_decode(v->header_page, &h[i]);
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name,
				      "cannot read the headers at 0x10000 and 0x20000");
	}
	int slot = vhdx_header_current(valid[0] ? &h[0] : NULL, valid[1] ? &h[1] : NULL);

	if (slot < 0) {
		return no_header(v, h, valid, error);
	}
	v->header_slot = (unsigned)slot;
	v->header = h[slot];
	return check_header(v, file_bytes, error);
}

/* ---- The log ---- */

/* Once it is in the file the header no longer names it. */
static int replay_into_file(struct vhdx *v, struct vhd_error *error)
{
	int rc = vhdx_session_start_sync(v, VHDX_CHANGE_FILE);

	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name, "cannot write the header");
	}
	rc = vhdx_log_replay_into(v->layer.file, &v->header, error);
	if (rc != 0) {
		return rc;
	}
	rc = vhdx_header_change_sync(v, VHDX_CHANGE_LOG, NULL, NULL);
	return rc == 0 ? 0
		       : vhd_fail_errno(error, rc, v->layer.file->name, "cannot write the header");
}

static int replay_log(struct vhdx *v, struct vhd_error *error)
{
	if (guid_is_zero(&v->header.log)) {
		return 0;
	}
	v->replayed = true;
	return v->writable ? replay_into_file(v, error)
			   : vhdx_log_replay_view(&v->layer.file, &v->header, error);
}

/* ---- Tables ---- */

static int read_regions(struct vhdx *v, struct vhd_error *error)
{
	struct vhd_error second;
	uint8_t *table = malloc(VHDX_REGIONS_BYTES);
	struct vhdx_layout other = {0};
	int rc = table == NULL ? -ENOMEM : 0, damaged = 0;

	v->layout.log = (struct vhdx_extent){v->header.log_offset, v->header.log_bytes};
	for (unsigned copy = 0; rc == 0 && copy < 2; copy++) {
		struct vhdx_layout *to = copy == 0 || damaged != 0 ? &v->layout : &other;

		rc = storage_file_read(v->layer.file, VHDX_REGIONS_OFFSET(copy), table,
				       VHDX_REGIONS_BYTES);
		if (rc != 0) {
			break;
		}
		other.log = v->layout.log;
		/* The text is that of the first one. */
		int bad = vhdx_regions_decode(table, copy, v->layer.file->name, to,
					      damaged != 0 ? &second : error);

		if (bad != 0 && damaged != 0) {
			free(table);
			return damaged;
		}
		damaged = bad != 0 ? bad : damaged;
	}
	free(table);
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name,
				      "cannot read the region tables at 0x30000 and 0x40000");
	}
	v->layout.regions_damaged = damaged != 0;
	return damaged == VHD_UNSUPPORTED ? damaged : 0;
}

static int read_metadata(struct vhdx *v, struct vhd_error *error)
{
	uint8_t *table = malloc(VHDX_METADATA_TABLE_BYTES);
	int rc = table == NULL ? -ENOMEM
			       : storage_file_read(v->layer.file, v->layout.metadata.offset, table,
						   VHDX_METADATA_TABLE_BYTES);

	if (rc != 0) {
		rc = vhd_fail_errno(error, rc, v->layer.file->name,
				    "cannot read the metadata table");
	} else {
		rc = vhdx_metadata_decode(table, &v->layout.metadata, v->layer.file->name,
					  &v->items, error);
	}
	free(table);
	return rc != 0 ? rc : vhdx_shape_read(v->layer.file, &v->items, &v->shape, error);
}

static int check_region_end(const struct vhdx *v, const struct vhdx_extent *x, const char *what,
			    struct vhd_error *error)
{
	if (!range_within(x->offset, x->bytes, v->space.file_bytes)) {
		return vhd_fail(error, VHD_TRUNCATED,
				"%s: the %s of 0x%llx bytes lies at 0x%llx, but the file has only "
				"0x%llx; get a complete copy",
				v->layer.file->name, what, (unsigned long long)x->bytes,
				(unsigned long long)x->offset,
				(unsigned long long)v->space.file_bytes);
	}
	return 0;
}

static int check_layout(struct vhdx *v, struct vhd_error *error)
{
	uint64_t need = vhdx_bat_entries(&v->shape, v->shape.disk_bytes) * 8;
	int rc = check_region_end(v, &v->layout.bat, "BAT", error);

	rc = rc != 0 ? rc : check_region_end(v, &v->layout.metadata, "metadata", error);
	if (rc != 0) {
		return rc;
	}
	if (need > v->layout.bat.bytes) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: the BAT at 0x%llx has 0x%llx bytes; a disk of %llu bytes in "
				"blocks of %u needs 0x%llx",
				v->layer.file->name, (unsigned long long)v->layout.bat.offset,
				(unsigned long long)v->layout.bat.bytes,
				(unsigned long long)v->shape.disk_bytes, v->shape.block_bytes,
				(unsigned long long)need);
	}
	return 0;
}

/* ---- All of it ---- */

int vhdx_load(struct vhdx *v, uint32_t flags, struct vhd_error *error)
{
	uint64_t file_bytes;
	int rc = read_file_id(v, error);

	rc = rc != 0 ? rc : read_headers(v, error);
	if (rc != 0) {
		return rc;
	}
	/* Replay writes headers, which counts flushes, which looks at space. */
	vhdx_space_init(v, 0);
	rc = replay_log(v, error);
	rc = rc != 0 ? rc : read_regions(v, error);
	rc = rc != 0 ? rc : read_metadata(v, error);
	if (rc != 0) {
		return rc;
	}
	rc = storage_file_get_size(v->layer.file, &file_bytes);
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name, "cannot tell the size");
	}
	vhdx_space_init(v, file_bytes);
	v->layer.parent_absent = v->shape.has_parent && (flags & VHD_OPEN_NO_PARENT) != 0;
	return check_layout(v, error);
}
