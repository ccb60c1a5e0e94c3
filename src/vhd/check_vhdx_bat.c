// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: the block allocation table, and with it who has which part of the file. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "check_vhdx_bat.h"
#include "lib/bits.h"

#define ENTRIES_PER_READ 131072u /* 1 MiB */
#define NOBODY UINT64_MAX
/* Free space at the end of a file is how it grows; more than this is worth a word. */
#define TRAILING_UNITS 64u

static uint64_t entry_offset(const struct vhdx_bat_walk *b, uint64_t index)
{
	return b->w->bat.offset + index * 8;
}

static uint64_t units_of(const struct vhdx_bat_walk *b, bool bitmap)
{
	return (bitmap ? VHDX_BITMAP_BYTES : b->w->shape.block_bytes) / VHDX_UNIT;
}

static const char *kind_of(bool bitmap)
{
	return bitmap ? "bitmap of chunk" : "block";
}

/* ---- Where blocks lie ---- */

static bool takes_space(uint64_t entry, bool bitmap)
{
	unsigned state = VHDX_ENTRY_STATE(entry);

	return state == VHDX_FULLY_PRESENT || (state == VHDX_PARTIALLY_PRESENT && !bitmap);
}

/* Which entry before @index claims @unit, for a message. */
static uint64_t find_owner(struct vhdx_bat_walk *b, uint64_t index, uint64_t unit)
{
	uint64_t entries[VHDX_ENTRIES_PER_PAGE];

	for (uint64_t i = 0; i < index; i++) {
		if (i % VHDX_ENTRIES_PER_PAGE == 0 &&
		    vhdx_walk_read(b->w, entry_offset(b, i), entries, sizeof(entries)) != 0) {
			return NOBODY;
		}
		uint64_t entry = entries[i % VHDX_ENTRIES_PER_PAGE], number;
		bool bitmap = vhdx_entry_is_bitmap(&b->w->shape, i, &number);
		uint64_t first = VHDX_ENTRY_OFFSET(entry) / VHDX_UNIT;

		if (takes_space(entry, bitmap) && unit >= first &&
		    unit - first < units_of(b, bitmap)) {
			return i;
		}
	}
	return NOBODY;
}

static const char *region_at(const struct vhdx_walk *w, uint64_t offset)
{
	const struct {
		const struct vhdx_extent *extent;
		const char *name;
	} regions[] = {{&w->log_at, "the log"},
		       {&w->bat, "the block allocation table"},
		       {&w->metadata, "the metadata"}};

	for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
		if (offset >= regions[i].extent->offset &&
		    offset - regions[i].extent->offset < regions[i].extent->bytes) {
			return regions[i].name;
		}
	}
	return offset < VHDX_UNIT ? "the headers" : NULL;
}

static void tell_taken(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e, uint64_t unit)
{
	struct vhd_checker *c = b->w->c;
	uint64_t at = entry_offset(b, e->index), offset = unit * VHDX_UNIT, number;
	const char *region = region_at(b->w, offset);

	if (!vhd_flood_add(c, region != NULL ? &b->structure : &b->shared, at)) {
		return;
	}
	if (region != NULL) {
		vhd_finding(c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "table entry %" PRIu64 ": the %s %" PRIu64 " at 0x%" PRIx64
			    " overlaps %s at 0x%" PRIx64,
			    e->index, kind_of(e->bitmap), e->number, e->offset, region, offset);
		return;
	}
	uint64_t owner = find_owner(b, e->index, unit);
	bool bitmap = vhdx_entry_is_bitmap(&b->w->shape, owner, &number);

	vhd_finding(c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
		    "table entry %" PRIu64 ": the %s %" PRIu64 " at 0x%" PRIx64
		    " lies where the %s %" PRIu64 " (entry %" PRIu64
		    ") is; which of them is right cannot be told",
		    e->index, kind_of(e->bitmap), e->number, e->offset, kind_of(bitmap), number,
		    owner);
}

/* 1: the entry's space is its own; 0: it is not, which was told. */
static int claim(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e)
{
	struct vhdx_walk *w = b->w;
	uint64_t bytes = units_of(b, e->bitmap) * VHDX_UNIT, at = entry_offset(b, e->index), taken;

	if (e->offset > VHDX_FILE_MAX || e->offset + bytes > w->file_bytes) {
		if (vhd_flood_add(w->c, &b->outside, at)) {
			vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
				    "table entry %" PRIu64 ": the %s %" PRIu64 " ends at 0x%" PRIx64
				    ", but the file at 0x%" PRIx64
				    ": the file is too short or the entry is wrong",
				    e->index, kind_of(e->bitmap), e->number, e->offset + bytes,
				    w->file_bytes);
		}
		return 0;
	}
	int r = vhd_space_claim(&w->space, e->offset / VHDX_UNIT, bytes / VHDX_UNIT, &taken);

	if (r != 0) {
		return vhd_fail_errno(w->c->error, r, w->c->path, "cannot check its blocks");
	}
	if (taken != UINT64_MAX) {
		tell_taken(b, e, taken);
		return 0;
	}
	return 1;
}

/* A trimmed block may have kept its place, to get it back: nobody's data, but no waste either. */
static int park(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e)
{
	struct vhdx_walk *w = b->w;
	uint64_t first = e->offset / VHDX_UNIT, count = units_of(b, false), ignored;

	if (first == 0 || !range_within(first, count, w->parked.units)) {
		return 0;
	}
	int r = vhd_space_claim(&w->parked, first, count, &ignored);

	return r == 0 ? 0 : vhd_fail_errno(w->c->error, r, w->c->path, "cannot check its blocks");
}

/* ---- Entries ---- */

static void tell_state(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e,
		       const char *expected)
{
	uint64_t at = entry_offset(b, e->index);

	if (vhd_flood_add(b->w->c, &b->state, at)) {
		vhd_finding(b->w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "table entry %" PRIu64 ": 0x%016" PRIx64 ", so the %s %" PRIu64
			    " has the state %u; expected %s",
			    e->index, e->entry, kind_of(e->bitmap), e->number, e->state, expected);
	}
}

/* The space of what the entry names; 1: it has some that is its own, 0: none. */
static int check_payload(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e)
{
	switch (e->state) {
	case VHDX_FULLY_PRESENT:
		return claim(b, e);
	case VHDX_PARTIALLY_PRESENT:
		if (!b->w->shape.has_parent) {
			tell_state(b, e, "0 to 3 or 6, as the disk has no parent");
		}
		return claim(b, e);
	case VHDX_UNDEFINED:
	case VHDX_UNMAPPED:
	case VHDX_UNMAPPED_OLD:
		return park(b, e);
	case VHDX_NOT_PRESENT:
	case VHDX_ZERO:
		return 0;
	default:
		tell_state(b, e, "0 to 3, 6 or 7");
		return 0;
	}
}

static int check_bitmap_entry(struct vhdx_bat_walk *b, const struct vhdx_bat_entry *e)
{
	int r = 0;

	if (e->state != VHDX_NOT_PRESENT && e->state != VHDX_FULLY_PRESENT) {
		tell_state(b, e, "0 or 6");
		return 0;
	}
	if (e->state == VHDX_FULLY_PRESENT) {
		r = claim(b, e);
	}
	if (r < 0 || !b->w->shape.has_parent) {
		return r;
	}
	return vhdx_walk_bitmap(b, e, r == 1);
}

static int check_entry(struct vhdx_bat_walk *b, uint64_t index, uint64_t entry)
{
	struct vhdx_bat_entry e = {.index = index,
				   .entry = entry,
				   .state = VHDX_ENTRY_STATE(entry),
				   .offset = VHDX_ENTRY_OFFSET(entry)};

	e.bitmap = vhdx_entry_is_bitmap(&b->w->shape, index, &e.number);
	if (!e.bitmap && e.number >= b->blocks) {
		return 0; /* fills the last chunk up */
	}
	if (VHDX_ENTRY_RESERVED(entry) != 0 &&
	    vhd_flood_add(b->w->c, &b->reserved, entry_offset(b, index))) {
		vhd_finding(
			b->w->c, VHD_FINDING_WARNING, entry_offset(b, index), VHD_NOT_REPAIRABLE,
			"table entry %" PRIu64 ": 0x%016" PRIx64 " has bits set that are reserved",
			index, entry);
	}
	if (e.bitmap) {
		return check_bitmap_entry(b, &e);
	}
	int r = check_payload(b, &e);

	b->states[e.number & (BIT64(b->w->shape.ratio_shift) - 1)] = (uint8_t)e.state;
	return r < 0 ? r : 0;
}

static int check_entries(struct vhdx_bat_walk *b)
{
	struct vhdx_walk *w = b->w;
	uint64_t count = vhdx_bat_entries(&w->shape, w->shape.disk_bytes);

	if (count * 8 > w->bat.bytes) {
		vhd_finding(w->c, VHD_FINDING_ERROR, w->bat.offset, VHD_NOT_REPAIRABLE,
			    "block allocation table: 0x%" PRIx64 " bytes hold %" PRIu64
			    " entries, but the disk needs %" PRIu64,
			    w->bat.bytes, w->bat.bytes / 8, count);
		return 0;
	}
	for (uint64_t first = 0; first < count; first += ENTRIES_PER_READ) {
		uint64_t n = min_u64(count - first, ENTRIES_PER_READ);
		int r = vhdx_walk_read(w, entry_offset(b, first), b->entries, (size_t)n * 8);

		for (uint64_t i = 0; r == 0 && i < n; i++) {
			r = check_entry(b, first + i, b->entries[i]);
		}
		if (r != 0) {
			return r;
		}
	}
	w->c->result->blocks_checked = b->blocks;
	return 0;
}

/* ---- Space ---- */

static int claim_structures(struct vhdx_walk *w)
{
	const struct vhdx_extent first = {0, VHDX_UNIT};
	const struct vhdx_extent *const extents[] = {&first, &w->log_at, &w->bat, &w->metadata};

	for (size_t i = 0; i < ARRAY_LEN(extents); i++) {
		uint64_t at = extents[i]->offset / VHDX_UNIT, taken;
		uint64_t end = min_u64((extents[i]->offset + extents[i]->bytes) / VHDX_UNIT,
				       w->space.units);
		int r = end > at ? vhd_space_claim(&w->space, at, end - at, &taken) : 0;

		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static void check_lost_space(struct vhdx_bat_walk *b)
{
	struct vhdx_walk *w = b->w;
	uint64_t lost = 0, run = 0, run_start = 0, first = 0;

	for (uint64_t unit = 1; unit < w->space.units; unit++) {
		if (vhd_space_test(&w->space, unit) || vhd_space_test(&w->parked, unit)) {
			first = lost == 0 && run != 0 ? run_start : first;
			lost += run;
			run = 0;
		} else if (run++ == 0) {
			run_start = unit;
		}
	}
	if (lost != 0) {
		vhd_finding(w->c, VHD_FINDING_WARNING, first * VHDX_UNIT, VHD_NOT_REPAIRABLE,
			    "file: %" PRIu64 " MiB between blocks belong to nothing, the first of "
			    "them here; compact gives them back",
			    lost);
	}
	if (run > TRAILING_UNITS + units_of(b, false)) {
		vhd_finding(w->c, VHD_FINDING_WARNING, run_start * VHDX_UNIT, VHD_NOT_REPAIRABLE,
			    "file: its last %" PRIu64
			    " MiB belong to nothing; compact gives them back",
			    run);
	}
}

static void end_floods(struct vhdx_bat_walk *b)
{
	const struct vhd_flood *const floods[] = {&b->state,	 &b->reserved, &b->outside,
						  &b->structure, &b->shared,   &b->missing,
						  &b->empty,	 &b->stale};

	for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
		vhd_flood_end(b->w->c, floods[i]);
	}
}

static int walk(struct vhdx_bat_walk *b)
{
	uint64_t units = min_u64(b->w->file_bytes, VHDX_FILE_MAX) / VHDX_UNIT + 1;

	b->entries = malloc(ENTRIES_PER_READ * sizeof(*b->entries));
	b->bits = malloc(VHDX_BITMAP_BYTES);
	b->states = calloc(1, BIT64(b->w->shape.ratio_shift));
	int r = b->entries == NULL || b->bits == NULL || b->states == NULL ? -ENOMEM : 0;

	r = r == 0 ? vhd_space_init(&b->w->space, units) : r;
	r = r == 0 ? vhd_space_init(&b->w->parked, units) : r;
	r = r == 0 ? claim_structures(b->w) : r;
	if (r != 0) {
		return vhd_fail_errno(b->w->c->error, r, b->w->c->path, "cannot check its blocks");
	}
	r = check_entries(b);
	if (r == 0) {
		end_floods(b);
		check_lost_space(b);
	}
	return r;
}

int vhdx_walk_bat(struct vhdx_walk *w)
{
	struct vhdx_bat_walk b = {
		.w = w,
		.blocks = vhdx_blocks(&w->shape, w->shape.disk_bytes),
		.state = {VHD_FINDING_ERROR, "entry with an impossible state"},
		.reserved = {VHD_FINDING_WARNING, "entry with reserved bits"},
		.outside = {VHD_FINDING_ERROR, "block beyond the end of the file"},
		.structure = {VHD_FINDING_ERROR, "block on a structure of the file"},
		.shared = {VHD_FINDING_ERROR, "blocks in the same place"},
		.missing = {VHD_FINDING_ERROR, "chunk without a bitmap"},
		.empty = {VHD_FINDING_WARNING, "block that holds nothing"},
		.stale = {VHD_FINDING_WARNING, "bitmap with stale bits"},
	};
	int r = walk(&b);

	free(b.entries);
	free(b.bits);
	free(b.states);
	vhd_space_fini(&w->space);
	vhd_space_fini(&w->parked);
	return r;
}
