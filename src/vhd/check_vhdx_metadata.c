// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: the metadata table, its items, and the shape of the disk that they give. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_vhdx.h"
#include "lib/bits.h"

struct metadata_walk {
	struct vhdx_walk *w;
	uint8_t *table;
	unsigned count;
	bool usable; /* the shape can be made from it */
};

static struct vhdx_metadata_entry entry_at(const struct metadata_walk *m, unsigned i)
{
	struct vhdx_metadata_entry e;

	memcpy(&e, m->table + sizeof(struct vhdx_metadata_header) + i * sizeof(e), sizeof(e));
	return e;
}

static uint64_t offset_of(const struct metadata_walk *m, unsigned i)
{
	return m->w->metadata.offset + sizeof(struct vhdx_metadata_header) +
	       i * sizeof(struct vhdx_metadata_entry);
}

/* Tells that entry @i is wrong. */
__attribute__((format(printf, 4, 5))) static void entry_error(struct metadata_walk *m, unsigned i,
							      const struct vhdx_metadata_entry *e,
							      const char *fmt, ...)
{
	char guid[GUID_TEXT_BYTES], text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	guid_format(&e->guid, guid);
	vhd_finding(m->w->c, VHD_FINDING_ERROR, offset_of(m, i), VHD_NOT_REPAIRABLE,
		    "metadata table entry %u (%s): %s", i, guid, text);
}

/* 1: there is a table. */
static int check_table(struct metadata_walk *m)
{
	struct vhdx_walk *w = m->w;
	struct vhdx_metadata_header h;

	memcpy(&h, m->table, sizeof(h));
	if (h.signature != VHDX_METADATA_SIGNATURE || h.count > VHDX_METADATA_MAX) {
		vhd_finding(w->c, VHD_FINDING_ERROR, w->metadata.offset, VHD_NOT_REPAIRABLE,
			    "metadata table: signature 0x%016" PRIx64
			    " and %u entries; expected 0x%016" PRIx64
			    " (\"metadata\") and at most %u",
			    h.signature, h.count, VHDX_METADATA_SIGNATURE, VHDX_METADATA_MAX);
		return 0;
	}
	m->count = h.count;
	return 1;
}

static bool check_place(struct metadata_walk *m, unsigned i, const struct vhdx_metadata_entry *e)
{
	if (e->bytes == 0 ? e->offset == 0
			  : e->offset >= VHDX_METADATA_TABLE_BYTES &&
				    e->bytes <= VHDX_METADATA_ITEM_MAX &&
				    range_within(e->offset, e->bytes, m->w->metadata.bytes)) {
		return true;
	}
	entry_error(m, i, e,
		    "0x%" PRIx32 " bytes at 0x%" PRIx32
		    " of the region; expected at most 1 MiB between the table (0x%x) and the "
		    "region's end "
		    "(0x%" PRIx64 ")",
		    e->bytes, e->offset, VHDX_METADATA_TABLE_BYTES, m->w->metadata.bytes);
	return false;
}

static void check_apart(struct metadata_walk *m, unsigned i, const struct vhdx_metadata_entry *e)
{
	for (unsigned k = 0; k < i; k++) {
		struct vhdx_metadata_entry other = entry_at(m, k);

		if (guid_equal(&e->guid, &other.guid) &&
		    ((e->flags ^ other.flags) & VHDX_ITEM_USER) == 0) {
			entry_error(m, i, e, "is there already as entry %u", k);
			return;
		}
		if (e->bytes != 0 && other.bytes != 0 &&
		    e->offset < (uint64_t)other.offset + other.bytes &&
		    other.offset < (uint64_t)e->offset + e->bytes) {
			entry_error(m, i, e, "overlaps entry %u", k);
			return;
		}
	}
}

static int item_of(const struct vhdx_metadata_entry *e)
{
	for (int k = 0; k < VHDX_ITEM_COUNT; k++) {
		if ((e->flags & VHDX_ITEM_USER) == 0 &&
		    guid_equal(&e->guid, &vhdx_item_kinds[k].guid)) {
			return k;
		}
	}
	return -1;
}

/* Notes a known item; complains of what nobody may overlook. */
static void take_item(struct metadata_walk *m, unsigned i, const struct vhdx_metadata_entry *e)
{
	int k = item_of(e);

	if (k < 0) {
		if (e->flags & VHDX_ITEM_REQUIRED) {
			entry_error(m, i, e,
				    "is unknown here and marked as required; the file needs newer "
				    "software");
		}
		return;
	}
	const struct vhdx_item_kind *kind = &vhdx_item_kinds[k];

	if (k == VHDX_ITEM_INCOMPLETE_FILE) {
		entry_error(m, i, e,
			    "the creation of this disk was never finished; create it again");
	} else if (kind->bytes != 0 && e->bytes != kind->bytes) {
		entry_error(m, i, e, "%s: %" PRIu32 " bytes; expected %" PRIu32, kind->name,
			    e->bytes, kind->bytes);
		return;
	}
	m->w->items.present[k] = true;
	m->w->items.item[k] = (struct vhdx_extent){m->w->metadata.offset + e->offset, e->bytes};
}

static void check_entries(struct metadata_walk *m)
{
	unsigned user = 0;

	for (unsigned i = 0; i < m->count; i++) {
		struct vhdx_metadata_entry e = entry_at(m, i);

		user += e.flags & VHDX_ITEM_USER;
		if ((e.flags & VHDX_ITEM_USER) != 0 && (e.flags & VHDX_ITEM_REQUIRED) != 0) {
			entry_error(m, i, &e, "is a user's item and required, which cannot be");
		}
		if (check_place(m, i, &e)) {
			check_apart(m, i, &e);
			take_item(m, i, &e);
		}
	}
	if (user > VHDX_METADATA_USER_MAX || m->count - user > VHDX_METADATA_SYSTEM_MAX) {
		vhd_finding(m->w->c, VHD_FINDING_ERROR, m->w->metadata.offset, VHD_NOT_REPAIRABLE,
			    "metadata table: %u items of users and %u others; at most %u and %u "
			    "are allowed",
			    user, m->count - user, VHDX_METADATA_USER_MAX,
			    VHDX_METADATA_SYSTEM_MAX);
	}
	for (int k = 0; k < VHDX_ITEM_COUNT; k++) {
		if (vhdx_item_kinds[k].mandatory && !m->w->items.present[k]) {
			vhd_finding(m->w->c, VHD_FINDING_ERROR, m->w->metadata.offset,
				    VHD_NOT_REPAIRABLE,
				    "metadata table: no usable item \"%s\"; every disk needs one",
				    vhdx_item_kinds[k].name);
			m->usable = false;
		}
	}
}

/* The value of an item that is there with the right length. */
static int read_item(struct metadata_walk *m, enum vhdx_item k, void *ret)
{
	const struct vhdx_extent *item = &m->w->items.item[k];

	return vhdx_walk_read(m->w, item->offset, ret, item->bytes);
}

static int read_shape(struct metadata_walk *m)
{
	struct vhdx_shape *s = &m->w->shape;
	struct vhdx_file_parameters file;
	int r = read_item(m, VHDX_ITEM_FILE_PARAMETERS, &file);

	r = r == 0 ? read_item(m, VHDX_ITEM_DISK_SIZE, &s->disk_bytes) : r;
	r = r == 0 ? read_item(m, VHDX_ITEM_DISK_ID, &s->id) : r;
	r = r == 0 ? read_item(m, VHDX_ITEM_LOGICAL_SECTOR, &s->sector_bytes) : r;
	r = r == 0 ? read_item(m, VHDX_ITEM_PHYSICAL_SECTOR, &s->physical_sector_bytes) : r;
	if (r != 0) {
		return r;
	}
	s->block_bytes = file.block_bytes;
	s->has_parent = (file.flags & VHDX_HAS_PARENT) != 0;
	s->leave_allocated = (file.flags & VHDX_LEAVE_ALLOCATED) != 0;
	return 0;
}

static void value_error(struct metadata_walk *m, enum vhdx_item k, uint64_t found,
			const char *expected)
{
	vhd_finding(m->w->c, VHD_FINDING_ERROR, m->w->items.item[k].offset, VHD_NOT_REPAIRABLE,
		    "metadata item \"%s\": %" PRIu64 "; expected %s", vhdx_item_kinds[k].name,
		    found, expected);
	m->usable = false;
}

static bool is_sector(uint32_t bytes)
{
	return bytes == 512 || bytes == 4096;
}

static void check_shape(struct metadata_walk *m)
{
	const struct vhdx_shape *s = &m->w->shape;
	uint32_t block = s->block_bytes;

	if (block < VHDX_BLOCK_MIN || block > VHDX_BLOCK_MAX || (block & (block - 1)) != 0) {
		value_error(m, VHDX_ITEM_FILE_PARAMETERS, block,
			    "a block size that is a power of two from 1 to 256 MiB");
	}
	if (!is_sector(s->sector_bytes)) {
		value_error(m, VHDX_ITEM_LOGICAL_SECTOR, s->sector_bytes, "512 or 4096");
	}
	if (!is_sector(s->physical_sector_bytes)) {
		value_error(m, VHDX_ITEM_PHYSICAL_SECTOR, s->physical_sector_bytes, "512 or 4096");
	}
	if (s->disk_bytes == 0 || s->disk_bytes > VHDX_DISK_MAX ||
	    (is_sector(s->sector_bytes) && s->disk_bytes % s->sector_bytes != 0)) {
		value_error(m, VHDX_ITEM_DISK_SIZE, s->disk_bytes, "whole sectors, at most 64 TiB");
	}
}

/* A differencing disk has a parent locator, and no other has. */
static int check_parent(struct metadata_walk *m)
{
	struct vhdx_walk *w = m->w;
	const struct vhdx_extent *item = &w->items.item[VHDX_ITEM_PARENT_LOCATOR];

	if (!w->shape.has_parent) {
		if (w->items.present[VHDX_ITEM_PARENT_LOCATOR]) {
			vhd_finding(
				w->c, VHD_FINDING_WARNING, item->offset, VHD_NOT_REPAIRABLE,
				"metadata: there is a parent locator, but the disk has no parent");
		}
		return 0;
	}
	if (!w->items.present[VHDX_ITEM_PARENT_LOCATOR] || item->bytes == 0) {
		vhd_finding(w->c, VHD_FINDING_ERROR, w->metadata.offset, VHD_NOT_REPAIRABLE,
			    "metadata: a differencing disk, but no parent locator; reconnect it");
		return 0;
	}
	uint8_t *locator = malloc(item->bytes);
	int r = locator == NULL ? vhd_fail_errno(w->c->error, -ENOMEM, w->c->path,
						 "cannot read its parent locator")
				: vhdx_walk_read(w, item->offset, locator, item->bytes);

	if (r == 0) {
		vhdx_walk_locator(w, locator, item->bytes, item->offset);
	}
	free(locator);
	return r;
}

static int check_items(struct metadata_walk *m)
{
	int r = check_table(m);

	if (r != 1) {
		return r;
	}
	check_entries(m);
	if (!m->usable) {
		return 0;
	}
	r = read_shape(m);
	if (r == 0) {
		check_shape(m);
		r = check_parent(m);
	}
	if (r != 0 || !m->usable || m->w->bat.bytes == 0) {
		return r;
	}
	vhdx_shape_finish(&m->w->shape);
	return 1;
}

int vhdx_walk_metadata(struct vhdx_walk *w)
{
	struct metadata_walk m = {.w = w, .usable = true};

	m.table = malloc(VHDX_METADATA_TABLE_BYTES);
	if (m.table == NULL) {
		return vhd_fail_errno(w->c->error, -ENOMEM, w->c->path, "cannot read its metadata");
	}
	int r = vhdx_walk_read(w, w->metadata.offset, m.table, VHDX_METADATA_TABLE_BYTES);

	r = r == 0 ? check_items(&m) : r;
	free(m.table);
	return r;
}
