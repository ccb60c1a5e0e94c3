// SPDX-License-Identifier: Apache-2.0
/* Opening and closing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/utf16.h"
#include "vhdx.h"
#include "vhdx_log.h"

/* 32 MiB of metadata pages: the BAT of 8 TiB in blocks of 2 MiB. */
#define CACHE_PAGES 8192u

/* Up to this length the BAT is read at once, to find space that nothing uses; of larger disks compaction does it. */
#define GAPS_BAT_MAX (8 * VHDX_MIB)

static int vhdx_probe(struct storage_file *f)
{
	uint64_t signature = 0;
	int rc = storage_file_read(f, VHDX_FILE_ID_OFFSET, &signature, sizeof(signature));

	return rc != 0 ? rc : signature == VHDX_FILE_SIGNATURE;
}

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
	struct vhdx_layout other;
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

void vhdx_block_info(struct vhdx *v)
{
	struct block_info *i = &v->layer.block.info;

	*i = (struct block_info){
		.bytes = v->shape.disk_bytes,
		.sector_bytes = v->shape.sector_bytes,
		.physical_sector_bytes =
			(uint32_t)max_u64(v->shape.physical_sector_bytes, v->shape.sector_bytes),
		.read_only = !v->writable || v->error != 0,
		.discards = true,
		/* Parts of blocks are zeroed where they lie; what shows a parent is hidden only by the block. */
		.discard_granularity_bytes = v->shape.has_parent ? v->shape.block_bytes : 4096,
		.discard_zeros = true,
		.id = v->shape.id,
	};
}

static void vhdx_settle(struct block_device *b)
{
	struct vhdx *v = vhdx_from_block(b);

	if (v->writable && v->error == 0 && v->cache.dirty.count != 0) {
		vhdx_commit_start(v);
	}
}

static const struct block_ops block_ops = {
	.submit = vhdx_submit,
	.settle = vhdx_settle,
	.destroy = vhd_layer_destroy,
};

static int open_structures(struct vhdx *v, uint32_t flags, struct vhd_error *error)
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

static void free_all(struct vhdx *v)
{
	vhdx_compact_end(v);
	vhdx_commit_fini(v);
	vhdx_cache_fini(&v->cache);
	vhdx_space_fini(v);
	vhdx_flow_fini(v);
	storage_file_close(v->layer.file);
	free(v->header_page);
	free(v);
}

/* The copy of the region table that was damaged is made from the other one, with the first commit. */
static int mend_regions(struct vhdx *v)
{
	unsigned good = v->layout.regions_copy;

	for (uint64_t at = 0; v->layout.regions_damaged && at < VHDX_REGIONS_BYTES;
	     at += VHDX_PAGE) {
		struct vhdx_page *to, *from;
		int rc = vhdx_page_get_sync(v, VHDX_REGIONS_OFFSET(good ^ 1) + at, &to);

		rc = rc != 0 ? rc : vhdx_page_get_sync(v, VHDX_REGIONS_OFFSET(good) + at, &from);
		if (rc != 0) {
			return rc;
		}
		if (memcmp(to->data, from->data, VHDX_PAGE) != 0) {
			vhdx_page_dirty(v, to, 0);
			memcpy(to->data, from->data, VHDX_PAGE);
		}
	}
	v->layout.regions_damaged = false;
	return 0;
}

static int open_rest(struct vhdx *v, struct vhd_error *error)
{
	int rc = vhdx_commit_init(v);

	if (rc == 0 && v->writable && v->layout.regions_damaged) {
		rc = vhdx_session_start_sync(v, VHDX_CHANGE_FILE);
		rc = rc != 0 ? rc : mend_regions(v);
	}
	if (rc == 0 && v->writable && v->layout.bat.bytes <= GAPS_BAT_MAX) {
		rc = vhdx_gaps_find(v, true);
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name,
				      "cannot read the BAT, or write what opening changes");
	}
	v->layer.block.ops = &block_ops;
	v->layer.block.context = v->layer.file->context;
	v->layer.block.name = v->layer.file->name;
	vhdx_block_info(v);
	return 0;
}

int vhdx_open(const struct vhd_host *host, struct storage_file *f, uint32_t flags,
	      struct vhd_layer **ret, struct vhd_error *error)
{
	struct vhdx *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		int rc = vhd_fail_errno(error, -ENOMEM, f->name, "cannot open");

		storage_file_close(f);
		return rc;
	}
	v->layer.ops = &vhd_format_vhdx;
	v->layer.file = f;
	v->layer.host = host;
	v->writable = (flags & VHD_OPEN_WRITE) != 0;
	v->crc_instruction = crc32c_has_instruction();
	v->header_page = aligned_alloc(VHDX_PAGE, VHDX_PAGE);
	vhdx_flow_init(v);

	int rc = vhdx_cache_init(&v->cache, CACHE_PAGES);

	if (rc != 0 || v->header_page == NULL) {
		rc = vhd_fail_errno(error, -ENOMEM, f->name, "cannot open");
	}
	rc = rc != 0 ? rc : open_structures(v, flags, error);
	rc = rc != 0 ? rc : open_rest(v, error);
	if (rc != 0) {
		free_all(v);
		return rc;
	}
	*ret = &v->layer;
	return 0;
}

/* Everything in its place, nothing in the log, nothing behind the end. */
static int finish(struct vhdx *v)
{
	int rc;

	if (v->session == 0) {
		return 0; /* nothing was changed */
	}
	rc = vhdx_commit_sync(v);
	rc = rc != 0 ? rc : vhdx_space_settle(v);
	vhdx_commit_hold(v);
	rc = rc != 0 ? rc : vhdx_log_close(v);
	if (rc == 0 && v->space.end < v->space.file_bytes) {
		rc = vhdx_space_cut(v);
		rc = rc != 0 ? rc : vhdx_flush_sync(v);
	}
	return rc;
}

int vhdx_close(struct vhd_layer *l)
{
	struct vhdx *v = vhdx_from_layer(l);
	int rc = 0;

	vhdx_compact_end(v);
	if (v->writable) {
		rc = v->error != 0 ? v->error : finish(v);
	}
	/* A cycle that failed may still be on its way. */
	while (v->commit.running || v->space.punching != 0) {
		vhdx_turn(v);
	}
	free_all(v);
	return rc;
}

const struct vhd_format_ops vhd_format_vhdx = {
	.name = "VHDX",
	.probe = vhdx_probe,
	.open = vhdx_open,
	.create = vhdx_create,
	.info = vhdx_info,
	.locator = vhdx_locator,
	.set_locator = vhdx_set_locator,
	.map = vhdx_map,
	.resize = vhdx_resize,
	.compact_step = vhdx_compact_step,
	.new_linkage = vhdx_new_linkage,
	.close = vhdx_close,
};
