// SPDX-License-Identifier: Apache-2.0
/* Check of a VHD: the block allocation table, the blocks that it names, and their bitmaps. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check_vhd.h"
#include "lib/bits.h"

#define ENTRIES_PER_READ 16384u
/*
 * Blocks are all of one length, so two of them overlap only if they begin in the same or in neighbouring slots of that length: a slot
 * holds the one block that begins in it. 64 Mi slots are a 2 TiB file of 32 KiB blocks; 2 MiB blocks need 1 Mi.
 */
#define SLOTS_MAX (UINT64_C(64) << 20)

struct bat_walk {
	struct vhd_walk *w;
	uint32_t *slots; /* the sector of the block that begins there; 0: none */
	uint64_t slot_count;
	uint8_t *entries;
	uint8_t *bitmap;
	uint64_t allocated;
	struct vhd_flood outside, structure, shared, surplus, empty, beyond;
};

static const struct bat_walk bat_walk_start = {
	.outside = {VHD_FINDING_ERROR, "block beyond the end of the file"},
	.structure = {VHD_FINDING_ERROR, "block on a structure of the file"},
	.shared = {VHD_FINDING_ERROR, "blocks in the same place"},
	.surplus = {VHD_FINDING_WARNING, "block behind the end of the disk"},
	.empty = {VHD_FINDING_WARNING, "block that holds nothing"},
	.beyond = {VHD_FINDING_WARNING, "bitmap with bits behind the end of the disk"},
};

static uint64_t entry_offset(const struct bat_walk *b, uint64_t index)
{
	return b->w->header.table_offset + index * 4;
}

/* Which other entry up to @index names a place that overlaps @sector; UINT64_MAX: unreadable. For messages. */
static uint64_t find_other(struct bat_walk *b, uint64_t index, uint32_t sector)
{
	uint32_t stride = (uint32_t)(b->w->stride / VHD_SECTOR_BYTES);
	uint8_t raw[VHD_SECTOR_BYTES];

	for (uint64_t i = 0; i < index; i++) {
		if (i % VHD_BAT_SECTOR_ENTRIES == 0 &&
		    storage_file_read(b->w->c->file, entry_offset(b, i), raw, sizeof(raw)) != 0) {
			return UINT64_MAX;
		}
		uint32_t other = load_be32(raw + i % VHD_BAT_SECTOR_ENTRIES * 4);

		if (other != VHD_BAT_UNUSED &&
		    (other > sector ? other - sector : sector - other) < stride) {
			return i;
		}
	}
	return UINT64_MAX;
}

/* True: nobody else has this place. */
static bool claim(struct bat_walk *b, uint32_t sector)
{
	uint32_t stride = (uint32_t)(b->w->stride / VHD_SECTOR_BYTES);
	uint64_t slot = sector / stride;

	if (slot >= b->slot_count) {
		return true; /* no map: see make_slots */
	}
	if (b->slots[slot] != 0 ||
	    (slot > 0 && b->slots[slot - 1] != 0 && b->slots[slot - 1] + stride > sector) ||
	    (slot + 1 < b->slot_count && b->slots[slot + 1] != 0 &&
	     b->slots[slot + 1] < sector + stride)) {
		return false;
	}
	b->slots[slot] = sector;
	return true;
}

/* Where the block lies. True: it can be looked at. */
static bool check_place(struct bat_walk *b, uint64_t index, uint32_t sector)
{
	struct vhd_walk *w = b->w;
	uint64_t offset = (uint64_t)sector * VHD_SECTOR_BYTES, at = entry_offset(b, index);
	const struct vhd_walk_structure *s = vhd_walk_overlap(w, offset, w->stride, SIZE_MAX);

	if (!range_within(offset, w->stride, w->end)) {
		if (vhd_flood_add(w->c, &b->outside, at)) {
			vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
				    "table entry %" PRIu64 ": sector 0x%" PRIx32
				    ", so the block ends at 0x%" PRIx64
				    ", but blocks must end before 0x%" PRIx64
				    ": the file is too short or the entry is wrong",
				    index, sector, offset + w->stride, w->end);
		}
	} else if (s != NULL) {
		if (vhd_flood_add(w->c, &b->structure, at)) {
			vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
				    "table entry %" PRIu64 ": the block at 0x%" PRIx64
				    " overlaps the %s at 0x%" PRIx64,
				    index, offset, s->name, s->offset);
		}
	} else if (!claim(b, sector)) {
		if (vhd_flood_add(w->c, &b->shared, at)) {
			vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
				    "table entry %" PRIu64 ": the block at 0x%" PRIx64
				    " overlaps that of entry %" PRIu64
				    "; which of them is right cannot be told",
				    index, offset, find_other(b, index, sector));
		}
	} else {
		return true;
	}
	w->damaged = true;
	return false;
}

/* Sectors of the disk that lie in block @index. */
static uint32_t sectors_of(const struct vhd_walk *w, uint64_t index)
{
	uint64_t start = index * w->header.block_bytes;

	return (uint32_t)(min_u64(w->footer.current_bytes - start, w->header.block_bytes) /
			  VHD_SECTOR_BYTES);
}

/* Any bit set in [@first, @last) of the bitmap, most significant first. */
static bool any_bit(const uint8_t *bitmap, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i < last;) {
		if (i % 8 == 0 && last - i >= 8) {
			if (bitmap[i / 8] != 0) {
				return true;
			}
			i += 8;
		} else {
			if ((bitmap[i / 8] & 0x80u >> i % 8) != 0) {
				return true;
			}
			i++;
		}
	}
	return false;
}

/* The bitmap of a differencing disk's block: which sectors are its own. */
static int check_bitmap(struct bat_walk *b, uint64_t index, uint64_t offset)
{
	struct vhd_walk *w = b->w;
	uint32_t bytes = vhd_bitmap_bytes(w->header.block_bytes);
	uint32_t all = w->header.block_bytes / VHD_SECTOR_BYTES, own = sectors_of(w, index);
	int r = vhd_check_read(w->c, offset, b->bitmap, bytes);

	if (r != 0) {
		return r;
	}
	if (!any_bit(b->bitmap, 0, all) && vhd_flood_add(w->c, &b->empty, offset)) {
		vhd_finding(w->c, VHD_FINDING_WARNING, offset, VHD_NOT_REPAIRABLE,
			    "bitmap of block %" PRIu64
			    ": no sector is marked, the block only takes space; compact frees it",
			    index);
	}
	if (any_bit(b->bitmap, own, all) && vhd_flood_add(w->c, &b->beyond, offset)) {
		vhd_finding(w->c, VHD_FINDING_WARNING, offset, VHD_NOT_REPAIRABLE,
			    "bitmap of block %" PRIu64 ": marks sectors from %" PRIu32
			    " on, which lie behind the end of the disk",
			    index, own);
	}
	return 0;
}

static int check_entry(struct bat_walk *b, uint64_t index, uint32_t sector)
{
	struct vhd_walk *w = b->w;
	uint64_t offset = (uint64_t)sector * VHD_SECTOR_BYTES;

	if (sector == VHD_BAT_UNUSED) {
		return 0;
	}
	if (index >= w->blocks && vhd_flood_add(w->c, &b->surplus, entry_offset(b, index))) {
		vhd_finding(w->c, VHD_FINDING_WARNING, entry_offset(b, index), VHD_NOT_REPAIRABLE,
			    "table entry %" PRIu64 ": names a block at 0x%" PRIx64
			    ", but the disk has only %" PRIu64 " blocks",
			    index, offset, w->blocks);
	}
	if (!check_place(b, index, sector)) {
		return 0;
	}
	b->allocated++;
	w->used_end = max_u64(w->used_end, offset + w->stride);
	return w->footer.type == VHD_TYPE_DIFFERENCING && index < w->blocks
		       ? check_bitmap(b, index, offset)
		       : 0;
}

static int check_entries(struct bat_walk *b)
{
	uint64_t count = b->w->header.entries;

	for (uint64_t first = 0; first < count; first += ENTRIES_PER_READ) {
		uint64_t n = min_u64(count - first, ENTRIES_PER_READ);
		int r = vhd_check_read(b->w->c, entry_offset(b, first), b->entries, (size_t)n * 4);

		for (uint64_t i = 0; r == 0 && i < n; i++) {
			r = check_entry(b, first + i, load_be32(b->entries + i * 4));
		}
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

/* Blocks that we place leave up to 4 KiB each, so that data is aligned; what goes beyond that is waste. */
static void check_lost_space(const struct bat_walk *b)
{
	const struct vhd_walk *w = b->w;
	uint64_t used = b->allocated * (w->stride + 4096) + w->stride;

	for (size_t i = 0; i < w->structure_count; i++) {
		used += w->structures[i].bytes + 4096;
	}
	if (!w->damaged && w->end > used) {
		vhd_finding(w->c, VHD_FINDING_WARNING, 0, VHD_NOT_REPAIRABLE,
			    "file: about %" PRIu64
			    " MiB of it belong to no block; compact gives them back",
			    align_up(w->end - used, UINT64_C(1) << 20) >> 20);
	}
}

static int make_slots(struct bat_walk *b)
{
	struct vhd_walk *w = b->w;
	uint64_t sectors = min_u64(w->end / VHD_SECTOR_BYTES, UINT32_MAX);

	b->slot_count = sectors / (w->stride / VHD_SECTOR_BYTES) + 1;
	if (b->slot_count > SLOTS_MAX) {
		vhd_finding(w->c, VHD_FINDING_WARNING, w->header.table_offset, VHD_NOT_REPAIRABLE,
			    "table: blocks of %" PRIu32
			    " bytes in a file this long: whether blocks overlap is not looked at "
			    "behind 0x%" PRIx64,
			    w->header.block_bytes, SLOTS_MAX * w->stride);
		b->slot_count = SLOTS_MAX;
	}
	b->slots = calloc(b->slot_count, sizeof(*b->slots));
	b->entries = malloc(ENTRIES_PER_READ * 4);
	b->bitmap = malloc(vhd_bitmap_bytes(w->header.block_bytes));
	return b->slots != NULL && b->entries != NULL && b->bitmap != NULL ? 0 : -ENOMEM;
}

static void end_floods(struct bat_walk *b)
{
	const struct vhd_flood *const floods[] = {&b->outside, &b->structure, &b->shared,
						  &b->surplus, &b->empty,     &b->beyond};

	for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
		vhd_flood_end(b->w->c, floods[i]);
	}
}

int vhd_walk_bat(struct vhd_walk *w)
{
	struct bat_walk b = bat_walk_start;

	b.w = w;
	int r = make_slots(&b);

	if (r != 0) {
		vhd_fail_errno(w->c->error, r, w->c->path, "cannot check its blocks");
	} else {
		r = check_entries(&b);
	}
	if (r == 0) {
		end_floods(&b);
		check_lost_space(&b);
		w->c->result->blocks_checked = w->blocks;
	}
	free(b.slots);
	free(b.entries);
	free(b.bitmap);
	return r;
}
