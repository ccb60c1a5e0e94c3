// SPDX-License-Identifier: Apache-2.0
/* Questions about the whole BAT, and the map. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "vhdx.h"

#define CHUNK (256 * 1024u)

struct scan {
	struct vhdx *v;
	int (*fn)(void *ctx, uint64_t index, uint64_t entry);
	void *ctx;
	uint64_t entries; /* in all */
	uint8_t *chunk;
};

/* Entries from @first on, as many as lie in one page and belong to the disk. */
static int scan_page(const struct scan *s, const uint8_t *page, uint64_t first)
{
	uint64_t count = min_u64(VHDX_ENTRIES_PER_PAGE, s->entries - first);

	for (uint64_t i = 0; i < count; i++) {
		uint64_t entry = load_le64(page + i * 8);
		int rc = entry == 0 ? 0 : s->fn(s->ctx, first + i, entry);

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

/* A piece of the BAT: what is in memory is newer than what was read (@chunk, NULL: a hole). */
static int scan_chunk(const struct scan *s, const uint8_t *chunk, uint64_t at, uint64_t bytes)
{
	for (uint64_t in = 0; in < bytes; in += VHDX_PAGE) {
		const struct vhdx_page *p = vhdx_page_peek(s->v, s->v->layout.bat.offset + at + in);
		const uint8_t *page = p != NULL ? p->data : chunk != NULL ? chunk + in : NULL;
		int rc = page == NULL ? 0 : scan_page(s, page, (at + in) / 8);

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

bool vhdx_is_hole(struct vhdx *v, uint64_t offset, uint64_t bytes)
{
	struct storage_file *f = v->layer.file;
	enum storage_extent what;
	uint64_t length;

	return f->ops->extent(f, offset, &what, &length) == 0 && what == STORAGE_HOLE &&
	       length >= bytes;
}

static int scan_all(const struct scan *s)
{
	uint64_t end = align_up(s->entries * 8, VHDX_PAGE);
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && at < end; at += CHUNK) {
		uint64_t bytes = min_u64(CHUNK, end - at), offset = s->v->layout.bat.offset + at;
		bool hole = vhdx_is_hole(s->v, offset, bytes);

		if (!hole) {
			rc = storage_file_read(s->v->layer.file, offset, s->chunk, bytes);
		}
		rc = rc != 0 ? rc : scan_chunk(s, hole ? NULL : s->chunk, at, bytes);
	}
	return rc;
}

int vhdx_scan(struct vhdx *v, int (*fn)(void *ctx, uint64_t index, uint64_t entry), void *ctx)
{
	struct scan s = {
		.v = v,
		.fn = fn,
		.ctx = ctx,
		.entries = vhdx_bat_entries(&v->shape, v->shape.disk_bytes),
		.chunk = aligned_alloc(VHDX_PAGE, CHUNK),
	};
	int rc = s.chunk == NULL ? -ENOMEM : scan_all(&s);

	free(s.chunk);
	return rc;
}

/* ---- Info ---- */

/* Decision: how far back we look for blocks of a fixed disk that hold nothing. */
#define LOOK_BACK_MAX 65536u

struct usage {
	struct vhdx *v;
	uint64_t blocks;
	uint64_t end; /* block behind the last one in the file */
};

static int count_entry(void *ctx, uint64_t index, uint64_t entry)
{
	struct usage *u = ctx;
	uint64_t block;

	if (!vhdx_entry_is_bitmap(&u->v->shape, index, &block) &&
	    VHDX_ENTRY_STATE(entry) >= VHDX_FULLY_PRESENT) {
		u->blocks++;
		u->end = block + 1;
	}
	return 0;
}

/* The file has nothing for the block, or only a hole. */
static bool block_empty(struct vhdx *v, uint64_t block)
{
	struct vhdx_place place;
	struct vhdx_sync s;
	int rc;

	do {
		rc = vhdx_bat_get(v, block, vhdx_sync_begin(&s), &place, NULL);
	} while (vhdx_sync_again(v, &s, &rc));
	return rc == 0 &&
	       (place.offset == 0 ||
		(!v->shape.has_parent && vhdx_is_hole(v, place.offset, v->shape.block_bytes)));
}

void vhdx_usage(struct vhd_layer *l, struct vhd_info *info)
{
	struct vhdx *v = vhdx_from_layer(l);
	const struct vhdx_shape *s = &v->shape;
	struct usage u = {.v = v};

	if (vhdx_scan(v, count_entry, &u) != 0) {
		u.end = vhdx_blocks(s, s->disk_bytes); /* cannot tell: everything is in use */
	}
	info->allocated_bytes = u.blocks << s->block_shift;
	for (unsigned i = 0; i < LOOK_BACK_MAX && u.end != 0 && block_empty(v, u.end - 1); i++) {
		u.end--;
	}
	info->minimum_bytes =
		max_u64(min_u64(u.end << s->block_shift, s->disk_bytes), s->sector_bytes);
}

void vhdx_info(struct vhd_layer *l, struct vhd_info *info)
{
	struct vhdx *v = vhdx_from_layer(l);
	const struct vhdx_shape *s = &v->shape;

	info->format = s->has_parent	    ? VHD_VHDX_DIFFERENCING
		       : s->leave_allocated ? VHD_VHDX_FIXED
					    : VHD_VHDX_DYNAMIC;
	info->bytes = s->disk_bytes;
	info->sector_bytes = s->sector_bytes;
	info->physical_sector_bytes = s->physical_sector_bytes;
	info->block_bytes = s->block_bytes;
	info->id = s->id;
	info->linkage = v->header.data_write;
	info->has_parent = s->has_parent;
	info->log_was_replayed = v->replayed;
	_Static_assert(sizeof(info->creator) == sizeof(v->creator), "creator");
	__builtin_memcpy(info->creator, v->creator, sizeof(info->creator));
}

/* ---- Map ---- */

/* How far one answer goes, so that it comes soon. */
#define MAP_BLOCKS_MAX 65536u

static int map_once(struct vhdx *v, uint64_t offset, struct vhdx_waiter *w,
		    struct vhd_local_extent *ret)
{
	const struct vhdx_shape *s = &v->shape;
	uint64_t in_block = offset & (s->block_bytes - 1);
	struct vhdx_sectors sectors = {offset >> s->block_shift, in_block >> s->sector_shift,
				       (s->block_bytes - in_block) >> s->sector_shift};
	struct vhdx_place place;
	bool here = true;
	int rc = vhdx_bat_get(v, sectors.block, w, &place, NULL);

	if (rc == 0 && place.state == VHDX_PARTIALLY_PRESENT) {
		rc = vhdx_bitmap_run(v, &sectors, w, &here, &sectors.count);
	}
	if (rc != 0) {
		return rc;
	}
	/* A block that the file has no space for is zeros by record just as well. */
	if (place.state == VHDX_FULLY_PRESENT && vhdx_is_hole(v, place.offset, s->block_bytes)) {
		place = (struct vhdx_place){VHDX_ZERO, 0};
	}
	ret->bytes = sectors.count << s->sector_shift;
	ret->file_offset = place.offset + in_block;
	ret->kind = place.offset != 0 && here		    ? VHD_LOCAL_DATA
		    : place.offset != 0 || place.state == 0 ? VHD_LOCAL_PARENT
							    : VHD_LOCAL_ZERO;
	return 0;
}

static int map_sync(struct vhdx *v, uint64_t offset, struct vhd_local_extent *ret)
{
	struct vhdx_sync s;
	int rc;

	do {
		rc = map_once(v, offset, vhdx_sync_begin(&s), ret);
	} while (vhdx_sync_again(v, &s, &rc));
	return rc;
}

/* As it is in memory; 0 when its page is gone again. */
static uint64_t entry_of(struct vhdx *v, uint64_t index)
{
	const struct vhdx_page *p = vhdx_page_peek(v, vhdx_entry_page(v, index));

	return p != NULL ? load_le64(p->data + index % VHDX_ENTRIES_PER_PAGE * 8) : 0;
}

int vhdx_refuse_entry(const struct vhdx *v, const struct vhdx_contradiction *c,
		      struct vhd_error *error)
{
	static const char *const also[] = {
		[VHDX_OVERLAPS] = ", and where no other block lies",
		[VHDX_HAS_NO_BITMAP] = ", and a sector bitmap of its chunk",
	};
	uint64_t number;
	bool bitmap = vhdx_entry_is_bitmap(&v->shape, c->index, &number);

	return vhd_fail(error, VHD_CORRUPT,
			"%s: BAT entry %" PRIu64 " at 0x%" PRIx64
			" (%s): found state %u, offset 0x%" PRIx64 "; expected %s of %" PRIu64
			" bytes within the file's %" PRIu64
			", apart from log, BAT and metadata%s; run check%s",
			v->layer.file->name, c->index, v->layout.bat.offset + c->index * 8,
			bitmap ? "a sector bitmap" : "data", (unsigned)VHDX_ENTRY_STATE(c->entry),
			(uint64_t)VHDX_ENTRY_OFFSET(c->entry), bitmap ? "a bitmap" : "a block",
			bitmap ? (uint64_t)VHDX_BITMAP_BYTES : v->shape.block_bytes,
			v->space.file_bytes, c->what == VHDX_IMPOSSIBLE ? "" : also[c->what],
			v->writable ? "; the disk can be read only" : "");
}

/* What is wrong with the entry of @block, or with that of its sector bitmap. Both were looked at just now. */
static int refuse_block(struct vhdx *v, uint64_t block, struct vhd_error *error)
{
	struct vhdx_contradiction c = {VHDX_IMPOSSIBLE, vhdx_payload_index(&v->shape, block), 0};
	struct vhdx_place place;

	c.entry = entry_of(v, c.index);
	if (vhdx_entry_decode(v, c.entry, false, &place) == 0) {
		c.index = vhdx_bitmap_index(&v->shape, block >> v->shape.ratio_shift);
		c.entry = entry_of(v, c.index);
	}
	return vhdx_refuse_entry(v, &c, error);
}

int vhdx_map(struct vhd_layer *l, uint64_t offset, struct vhd_local_extent *ret,
	     struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	struct vhd_local_extent all, next;
	int rc = map_sync(v, offset, &all);

	if (rc != 0) {
		return rc != -ENODATA
			       ? vhd_fail_errno(error, rc, l->file->name, "cannot read the BAT")
			       : refuse_block(v, offset >> v->shape.block_shift, error);
	}
	/* Like neighbours are one extent. What is wrong further on is for the call that gets there. */
	for (unsigned i = 0;
	     i < MAP_BLOCKS_MAX && offset + all.bytes < v->shape.disk_bytes &&
	     map_sync(v, offset + all.bytes, &next) == 0 && next.kind == all.kind &&
	     (all.kind != VHD_LOCAL_DATA || next.file_offset == all.file_offset + all.bytes);
	     i++) {
		all.bytes += next.bytes;
	}
	all.bytes = min_u64(all.bytes, v->shape.disk_bytes - offset);
	*ret = all;
	return 0;
}
