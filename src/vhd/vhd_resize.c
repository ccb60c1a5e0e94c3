// SPDX-License-Identifier: Apache-2.0
/* Another size for a dynamic VHD. The table may have to grow: blocks that lie where it grows to move to the end first. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "vhd_image.h"

#define COPY_BYTES (1u << 20)

int vhd_footer_write(struct vhd_image *v, const struct vhd_footer *f, uint64_t offset)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	vhd_footer_encode(f, raw);
	err = storage_file_write(v->layer.file, offset, raw, sizeof(raw));
	return err == 0 ? storage_file_flush(v->layer.file) : err;
}

int vhd_image_flush(struct vhd_image *v)
{
	int err = storage_file_flush(v->layer.file);

	if (err != 0) {
		vhd_image_fail(v, err);
	}
	return err;
}

void vhd_image_restore_end(struct vhd_image *v)
{
	int err;

	if (v->failed != 0) {
		return;
	}
	err = storage_file_set_size(v->layer.file, v->tail);
	err = err == 0 ? vhd_footer_write(v, &v->footer, v->tail) : err;
	if (err != 0) {
		vhd_image_fail(v, err);
	}
	v->tail_excess = false;
}

/* ---- Moving blocks ---- */

/* The kind of what lies at @offset, and how much of @bytes is of that kind. */
static int extent_at(struct storage_file *f, uint64_t offset, uint64_t bytes,
		     enum storage_extent *ret_what, uint64_t *ret_bytes)
{
	int err = f->ops->extent(f, offset, ret_what, ret_bytes);

	if (err == -ENXIO) {
		*ret_what = STORAGE_HOLE;
		*ret_bytes = bytes;
		return 0;
	}
	*ret_bytes = min_u64(*ret_bytes, bytes);
	return err;
}

static int copy_range(struct storage_file *f, uint64_t from, uint64_t to, uint64_t bytes,
		      uint8_t *buf)
{
	int err = 0;

	while (err == 0 && bytes != 0) {
		enum storage_extent what;
		uint64_t n = 0;

		err = extent_at(f, from, bytes, &what, &n);
		if (err == 0 && what == STORAGE_HOLE) {
			err = storage_file_zero(f, to, n, true);
		} else if (err == 0) {
			n = min_u64(n, COPY_BYTES);
			err = storage_file_read(f, from, buf, (size_t)n);
			err = err == 0 ? storage_file_write(f, to, buf, (size_t)n) : err;
		}
		from += n;
		to += n;
		bytes -= n;
	}
	return err;
}

int vhd_block_copy(struct vhd_image *v, uint64_t from, uint64_t to)
{
	uint8_t *buf = malloc(COPY_BYTES);
	int err = buf == NULL ? -ENOMEM : copy_range(v->layer.file, from, to, v->stride, buf);

	free(buf);
	return err;
}

/* ---- Growing the table ---- */

struct growth {
	struct vhd_image *v;
	uint32_t entries;
	uint64_t end;		  /* of the table then */
	uint64_t block, position; /* one that is in the way */
};

static int find_in_the_way(void *ctx, uint64_t block, uint32_t entry)
{
	struct growth *g = ctx;

	g->block = block;
	g->position = (uint64_t)entry * VHD_SECTOR_BYTES;
	return g->position < g->end;
}

/* Behind everything: there the file has a footer again, at @tail, before anything refers to what lies before it. */
static int extend_to(struct vhd_image *v, uint64_t tail)
{
	int err = vhd_footer_write(v, &v->footer, tail);

	if (err == 0) {
		v->tail = tail;
		v->footer_dirty = false;
	}
	return err;
}

static int move_to_end(struct growth *g)
{
	struct vhd_image *v = g->v;
	uint64_t to = vhd_align_block(v, max_u64(v->tail, g->end));
	int err = vhd_block_copy(v, g->position, to);

	err = err == 0 ? extend_to(v, to + v->stride) : err;
	err = err == 0 ? vhd_bat_write(v, g->block, (uint32_t)(to / VHD_SECTOR_BYTES)) : err;
	return err == 0 ? vhd_image_flush(v) : err;
}

static int clear_the_way(struct growth *g)
{
	int rc;

	do {
		rc = vhd_bat_scan(g->v, find_in_the_way, g);
		if (rc > 0) {
			int err = move_to_end(g);

			rc = err == 0 ? rc : err;
		}
	} while (rc > 0);
	return rc;
}

/* The number of entries and the checksum lie in the same sector. */
static int write_entries(struct growth *g)
{
	struct vhd_image *v = g->v;
	struct vhd_header h = v->header;
	uint8_t raw[VHD_HEADER_BYTES];
	int err;

	h.entries = g->entries;
	vhd_header_encode(&h, raw);
	err = storage_file_write(v->layer.file, v->footer.data_offset, raw, VHD_SECTOR_BYTES);
	err = err == 0 ? storage_file_flush(v->layer.file) : err;
	if (err != 0) {
		vhd_image_fail(v, err); /* it may be there or not */
	}
	return err;
}

static int grow_table(struct growth *g)
{
	struct vhd_image *v = g->v;
	uint64_t old_end = v->header.table_offset + (uint64_t)v->header.entries * 4;
	int err = clear_the_way(g);

	if (err == 0 && v->tail < g->end) {
		err = extend_to(v, g->end);
	}
	err = err == 0 ? vhd_fill_unused(v->layer.file, old_end, g->end) : err;
	err = err == 0 ? storage_file_flush(v->layer.file) : err;
	err = err == 0 ? write_entries(g) : err;
	if (err == 0) {
		v->header.entries = g->entries;
		v->first_block = g->end;
		vhd_page_drop_all(v); /* the last page is longer now */
	}
	return err;
}

/* ---- Sizes ---- */

int vhd_resize_check(struct vhd_layer *l, const struct vhd_footer *f, uint64_t bytes,
		     struct vhd_error *error)
{
	if (l->block.info.read_only) {
		return vhd_fail_errno(error, -EROFS, l->file->name, "cannot change its size");
	}
	if (f->saved_state != 0) {
		return vhd_fail(
			error, VHD_NOT_POSSIBLE,
			"%s: belongs to a saved virtual machine; start or discard that first",
			l->file->name);
	}
	if (f->type == VHD_TYPE_DIFFERENCING) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: a differencing VHD is as large as its parent; merge it, or "
				"convert it to VHDX",
				l->file->name);
	}
	if (bytes == 0 || bytes % VHD_SECTOR_BYTES != 0 || bytes > VHD_BYTES_MAX) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: size %" PRIu64
				"; a VHD has whole sectors of 512 bytes, at most %" PRIu64 " bytes",
				l->file->name, bytes, VHD_BYTES_MAX);
	}
	return 0;
}

static int check_growth(const struct growth *g, struct vhd_error *error)
{
	const struct vhd_image *v = g->v;
	uint64_t reach = g->end + (v->stride + VHD_ALIGN) * g->entries;

	if (vhd_image_extras_end(v) > v->first_block) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: its table cannot grow: the header or locators lie behind it; "
				"convert the disk",
				v->layer.file->name);
	}
	if (reach / VHD_SECTOR_BYTES >= VHD_BAT_UNUSED) {
		return vhd_fail(
			error, VHD_INVALID_ARGUMENT,
			"%s: with blocks of %" PRIu32
			" bytes it cannot become so large; convert it to VHDX or larger blocks",
			v->layer.file->name, v->block_bytes);
	}
	return 0;
}

static int prepare_growth(struct vhd_image *v, uint64_t blocks, struct vhd_error *error)
{
	struct growth g = {
		.v = v,
		.entries = (uint32_t)blocks,
		.end = v->header.table_offset + vhd_bat_bytes((uint32_t)blocks),
	};
	int rc = check_growth(&g, error);

	if (rc == 0) {
		rc = grow_table(&g);
		rc = rc == 0 ? 0
			     : vhd_fail_errno(error, rc, v->layer.file->name,
					      "cannot make its table longer");
	}
	return rc;
}

/* Copy first: a difference is settled in favour of the other one. */
static int write_size(struct vhd_image *v, uint64_t bytes, struct vhd_error *error)
{
	struct vhd_footer footer = v->footer;
	int err;

	vhd_footer_set_bytes(&footer, bytes);
	err = vhd_footer_write(v, &footer, 0);
	err = err == 0 ? vhd_footer_write(v, &footer, v->tail) : err;
	if (err != 0) {
		vhd_image_fail(v, err); /* it may be there or not */
		return vhd_fail_errno(error, err, v->layer.file->name, "cannot write its size");
	}
	v->footer = footer;
	v->layer.block.info.bytes = bytes;
	return 0;
}

static int resize_held(struct vhd_image *v, uint64_t bytes, struct vhd_error *error)
{
	uint64_t blocks = vhd_block_count(bytes, v->block_bytes);
	int rc = 0;

	vhd_compaction_destroy(v);
	if (v->tail_excess) {
		vhd_image_restore_end(v);
		rc = v->failed;
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name, "cannot change its size");
	}
	if (blocks > v->header.entries) {
		rc = prepare_growth(v, blocks, error);
	}
	rc = rc == 0 ? write_size(v, bytes, error) : rc;
	if (rc < 0) {
		vhd_image_restore_end(v);
	}
	return rc;
}

int vhd_vhd_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error)
{
	struct vhd_image *v = vhd_image_of(l);
	int rc = vhd_resize_check(l, &v->footer, bytes, error);

	if (rc != 0 || bytes == v->footer.current_bytes) {
		return rc;
	}
	rc = vhd_hold(v);
	if (rc != 0) {
		vhd_fail_errno(error, rc, l->file->name, "cannot write out what is pending");
	} else {
		rc = resize_held(v, bytes, error);
	}
	vhd_release(v);
	if (rc == 0) {
		block_changed(&l->block);
	}
	return rc;
}
