// SPDX-License-Identifier: Apache-2.0
/*
 * Resizing. The size is one item of the metadata, so the change is one commit; everything else happens where no reader looks: before it, behind the
 * end of a disk that grows; after it, behind the end of one that has shrunk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx.h"

#define CHUNK (1024 * 1024u)

/* ---- Entries of the BAT beyond the disk's ---- */

/* Gets the page of an entry, with room to make it dirty. */
static int prepare(struct vhdx *v, uint64_t index, struct vhdx_page **ret)
{
	struct vhdx_sync s;
	int rc;

	do {
		struct vhdx_waiter *w = vhdx_sync_begin(&s);

		rc = vhdx_page_get(v, vhdx_entry_page(v, index), w, ret);
		if (rc == 0 && !vhdx_commit_room(v, 1, w)) {
			rc = VHDX_WAIT;
		}
	} while (vhdx_sync_again(v, &s, &rc));
	return rc;
}

/* Entries that do not belong to the disk any more, or not yet. */
struct sweep {
	uint64_t first, end;
	uint64_t chunks; /* the bitmaps of so many chunks are in use */
	bool frees;	 /* what they name is given up; else it is somebody's litter */
};

static void sweep_entry(struct vhdx *v, const struct sweep *s, uint64_t index, struct vhdx_page *p)
{
	uint8_t *at = p->data + index % VHDX_ENTRIES_PER_PAGE * 8;
	uint64_t entry = load_le64(at), number;
	bool bitmap = vhdx_entry_is_bitmap(&v->shape, index, &number);
	struct vhdx_place place;

	if (entry == 0 || (bitmap && v->shape.has_parent && number < s->chunks)) {
		return;
	}
	vhdx_page_dirty(v, p, 0);
	store_le64(at, 0);
	if (s->frees && (!bitmap || v->shape.has_parent) &&
	    vhdx_entry_decode(v, entry, bitmap, &place) == 0 && place.offset != 0) {
		vhdx_space_free(v, place.offset, bitmap ? VHDX_BITMAP_BYTES : v->shape.block_bytes,
				bitmap);
	}
}

/* A page at a time; what is a hole in the file is zeros already. */
static int sweep(struct vhdx *v, const struct sweep *s)
{
	for (uint64_t i = s->first, next; i < s->end; i = next) {
		uint64_t offset = vhdx_entry_page(v, i);
		struct vhdx_page *p;
		int rc;

		next = min_u64((i / VHDX_ENTRIES_PER_PAGE + 1) * VHDX_ENTRIES_PER_PAGE, s->end);
		if (vhdx_page_peek(v, offset) == NULL && vhdx_is_hole(v, offset, VHDX_PAGE)) {
			continue;
		}
		rc = prepare(v, i, &p);
		if (rc != 0) {
			return rc;
		}
		for (; i < next; i++) {
			sweep_entry(v, s, i, p);
		}
	}
	return 0;
}

/* A fixed disk has all its blocks. */
static int allocate_blocks(struct vhdx *v, uint64_t first, uint64_t end)
{
	for (uint64_t block = first; block < end; block++) {
		struct vhdx_page *p;
		uint64_t index = vhdx_payload_index(&v->shape, block), offset;
		int rc = prepare(v, index, &p);

		rc = rc != 0 ? rc : vhdx_space_alloc(v, v->shape.block_bytes, UINT64_MAX, &offset);
		if (rc != 0) {
			return rc;
		}
		vhdx_bat_set(v, block, p, VHDX_FULLY_PRESENT, offset, 0);
	}
	return 0;
}

/* ---- A longer BAT ---- */

/* To clean space, so holes need not be copied. */
static int copy_bat(struct vhdx *v, const struct vhdx_extent *to)
{
	struct storage_file *f = v->layer.file;
	uint8_t *buffer = aligned_alloc(VHDX_PAGE, CHUNK);
	int rc = buffer == NULL ? -ENOMEM : 0;

	for (uint64_t at = 0; rc == 0 && at < v->layout.bat.bytes; at += CHUNK) {
		if (vhdx_is_hole(v, v->layout.bat.offset + at, CHUNK)) {
			continue;
		}
		rc = storage_file_read(f, v->layout.bat.offset + at, buffer, CHUNK);
		rc = rc != 0 ? rc : storage_file_write(f, to->offset + at, buffer, CHUNK);
	}
	free(buffer);
	return rc != 0 ? rc : vhdx_flush_sync(v);
}

/* Both copies of the region table, in one commit. */
static int change_regions(struct vhdx *v, const struct vhdx_extent *bat)
{
	static const struct guid guid = VHDX_GUID_BAT;
	uint8_t *table = malloc(VHDX_REGIONS_BYTES);
	int rc = table == NULL ? -ENOMEM
			       : storage_file_read(v->layer.file,
						   VHDX_REGIONS_OFFSET(v->layout.regions_copy),
						   table, VHDX_REGIONS_BYTES);

	if (rc == 0) {
		const struct vhdx_change changes[] = {
			{VHDX_REGIONS_OFFSET(0), table, VHDX_REGIONS_BYTES},
			{VHDX_REGIONS_OFFSET(1), table, VHDX_REGIONS_BYTES},
		};

		CHECK(vhdx_regions_move(table, &guid, bat));
		rc = vhdx_change(v, changes, ARRAY_LEN(changes));
	}
	free(table);
	return rc;
}

/* Nobody else is at work, and nothing is dirty or on its way. */
static int move_bat_quietly(struct vhdx *v, uint64_t bytes)
{
	struct vhdx_extent to = {.bytes = bytes}, old = v->layout.bat;
	int rc = vhdx_space_alloc(v, bytes, UINT64_MAX, &to.offset);

	if (rc != 0) {
		return rc;
	}
	rc = copy_bat(v, &to);
	rc = rc != 0 ? rc : change_regions(v, &to);
	if (rc != 0) {
		vhdx_space_free(v, to.offset, to.bytes, false);
		return rc;
	}
	vhdx_pages_forget(v, &old);
	v->layout.bat = to;
	vhdx_space_free(v, old.offset, old.bytes, true);
	return 0;
}

static int lengthen_bat(struct vhdx *v, uint64_t entries)
{
	uint64_t bytes = align_up(entries * 8, VHDX_UNIT);
	int rc;

	if (bytes <= v->layout.bat.bytes) {
		return 0;
	}
	vhdx_gate_close(v);
	rc = vhdx_commit_sync(v);
	vhdx_commit_hold(v);
	vhdx_commit_release(v);
	rc = rc != 0 ? rc : move_bat_quietly(v, bytes);
	vhdx_gate_open(v);
	return rc;
}

/* ---- Growing ---- */

/* Zeroes what a part of the last block, or a parent that is larger, would show beyond the old end. */
struct zeroing {
	struct io_request r;
	bool finished;
	int result;
};

static void zeroing_done(struct io_request *r, int result)
{
	struct zeroing *z = container_of(r, struct zeroing, r);

	z->finished = true;
	z->result = result;
}

/* Where zeroing has to end: nothing beyond it can show anything. */
static int visible_end(struct vhdx *v, uint64_t *ret)
{
	const struct vhdx_shape *s = &v->shape;
	uint64_t in_parent = v->layer.parent != NULL ? v->layer.parent->block.info.bytes : 0;
	struct vhdx_place place = {0};
	struct vhdx_sync sync;
	int rc = 0;

	if (s->disk_bytes % s->block_bytes != 0) {
		do {
			rc = vhdx_bat_get(v, s->disk_bytes >> s->block_shift,
					  vhdx_sync_begin(&sync), &place, NULL);
		} while (vhdx_sync_again(v, &sync, &rc));
	}
	*ret = place.offset == 0 ? in_parent
				 : max_u64(in_parent, align_up(s->disk_bytes, s->block_bytes));
	return rc;
}

static int zero_beyond(struct vhdx *v, uint64_t bytes)
{
	const struct vhdx_shape *s = &v->shape;
	uint64_t end;
	int rc = visible_end(v, &end);

	end = min_u64(end, bytes);
	if (rc != 0 || end <= s->disk_bytes) {
		return rc;
	}
	/* Past block_submit, which knows the old end. */
	struct zeroing z = {.r = {.op = IO_ZERO,
				  .flags = IO_UNMAP,
				  .offset = s->disk_bytes,
				  .bytes = end - s->disk_bytes,
				  .done = zeroing_done}};

	vhdx_submit(&v->layer.block, &z.r);
	while (!z.finished) {
		vhdx_turn(v);
	}
	return z.result;
}

/* Shows the new size. */
static void set_size(struct vhdx *v, uint64_t bytes)
{
	v->shape.disk_bytes = bytes;
	vhdx_block_info(v);
	block_changed(&v->layer.block);
}

static int grow(struct vhdx *v, uint64_t bytes)
{
	const struct vhdx_shape *s = &v->shape;
	const struct sweep litter = {
		.first = vhdx_payload_index(s, vhdx_blocks(s, s->disk_bytes)),
		.end = vhdx_bat_entries(s, bytes),
		.chunks = vhdx_chunks(s, s->disk_bytes),
	};
	int rc = lengthen_bat(v, litter.end);

	rc = rc != 0 ? rc : sweep(v, &litter);
	if (rc == 0 && s->leave_allocated) {
		rc = allocate_blocks(v, vhdx_blocks(s, s->disk_bytes), vhdx_blocks(s, bytes));
	}
	rc = rc != 0 ? rc : zero_beyond(v, bytes);
	/* What was zeroed is stable before the size that shows it. */
	rc = rc != 0 ? rc : vhdx_commit_sync(v);
	rc = rc != 0 ? rc : vhdx_set_disk_bytes(v, bytes);
	rc = rc != 0 ? rc : vhdx_commit_sync(v);
	if (rc == 0) {
		set_size(v, bytes);
	}
	return rc;
}

static int shrink(struct vhdx *v, uint64_t bytes)
{
	const struct vhdx_shape *s = &v->shape;
	const struct sweep behind = {
		.first = vhdx_payload_index(s, vhdx_blocks(s, bytes)),
		.end = vhdx_bat_entries(s, s->disk_bytes),
		.chunks = vhdx_chunks(s, bytes),
		.frees = true,
	};
	int rc;

	/* Requests on their way may reach beyond the new end. */
	vhdx_gate_close(v);
	rc = vhdx_set_disk_bytes(v, bytes);
	rc = rc != 0 ? rc : vhdx_commit_sync(v);
	if (rc == 0) {
		set_size(v, bytes);
	}
	vhdx_gate_open(v);
	rc = rc != 0 ? rc : sweep(v, &behind);
	return rc != 0 ? rc : vhdx_commit_sync(v);
}

int vhdx_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	int rc = v->error;

	CHECK(bytes != 0 && bytes <= VHDX_DISK_MAX && bytes % v->shape.sector_bytes == 0);
	if (rc == 0 && bytes != v->shape.disk_bytes) {
		rc = vhdx_session_start_sync(v, VHDX_CHANGE_DATA);
		rc = rc != 0 ? rc : bytes > v->shape.disk_bytes ? grow(v, bytes) : shrink(v, bytes);
	}
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, l->file->name, "cannot be resized");
}
