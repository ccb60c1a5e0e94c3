// SPDX-License-Identifier: Apache-2.0
/* The metadata table and the values behind it. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "vhdx_format.h"

/* The table that is being looked at. */
struct table {
	const uint8_t *bytes;
	const struct vhdx_extent *region;
	const char *file;
	struct vhd_error *error;
	unsigned count;
};

static struct vhdx_metadata_entry entry_at(const struct table *t, unsigned i)
{
	struct vhdx_metadata_entry e;

	memcpy(&e, t->bytes + sizeof(struct vhdx_metadata_header) + i * sizeof(e), sizeof(e));
	return e;
}

static uint64_t entry_offset(const struct table *t, unsigned i)
{
	return t->region->offset + sizeof(struct vhdx_metadata_header) +
	       i * sizeof(struct vhdx_metadata_entry);
}

static int fail_entry(const struct table *t, unsigned i, const struct vhdx_metadata_entry *e,
		      int status, const char *what)
{
	char guid[GUID_TEXT_BYTES];

	guid_format(&e->guid, guid);
	return vhd_fail(t->error, status,
			"%s: metadata table entry %u at 0x%llx (%s, 0x%x bytes at 0x%x, flags "
			"0x%x): %s",
			t->file, i, (unsigned long long)entry_offset(t, i), guid, e->bytes,
			e->offset, e->flags, what);
}

static int check_entry(const struct table *t, unsigned i, const struct vhdx_metadata_entry *e)
{
	if (e->bytes == 0
		    ? e->offset != 0
		    : e->offset < VHDX_METADATA_TABLE_BYTES || e->bytes > VHDX_METADATA_ITEM_MAX ||
			      !range_within(e->offset, e->bytes, t->region->bytes)) {
		return fail_entry(t, i, e, VHD_CORRUPT,
				  "expected at most 1 MiB between the table and the end of the "
				  "region; run check");
	}
	if ((e->flags & VHDX_ITEM_USER) != 0 && (e->flags & VHDX_ITEM_REQUIRED) != 0) {
		return fail_entry(t, i, e, VHD_CORRUPT,
				  "is a user item and required, which cannot be; run check");
	}
	return VHD_OK;
}

/* Against all entries before. */
static int check_entry_apart(const struct table *t, unsigned i, const struct vhdx_metadata_entry *e)
{
	for (unsigned k = 0; k < i; k++) {
		struct vhdx_metadata_entry other = entry_at(t, k);

		if (guid_equal(&e->guid, &other.guid) &&
		    ((e->flags ^ other.flags) & VHDX_ITEM_USER) == 0) {
			return fail_entry(t, i, e, VHD_CORRUPT, "is there twice; run check");
		}
		if (e->bytes != 0 && other.bytes != 0 && e->offset < other.offset + other.bytes &&
		    other.offset < e->offset + e->bytes) {
			return fail_entry(t, i, e, VHD_CORRUPT,
					  "overlaps an earlier item; run check");
		}
	}
	return VHD_OK;
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

static int take_entry(const struct table *t, unsigned i, const struct vhdx_metadata_entry *e,
		      struct vhdx_items *items)
{
	int k = item_of(e);

	if (k < 0) {
		return (e->flags & VHDX_ITEM_REQUIRED) == 0
			       ? VHD_OK
			       : fail_entry(
					 t, i, e, VHD_UNSUPPORTED,
					 "is unknown here and marked as required; the file needs "
					 "newer software");
	}
	if (k == VHDX_ITEM_INCOMPLETE_FILE) {
		return fail_entry(t, i, e, VHD_INCOMPLETE,
				  "the creation of this disk was never finished; create it again");
	}
	if (vhdx_item_kinds[k].bytes != 0 && e->bytes != vhdx_item_kinds[k].bytes) {
		return fail_entry(t, i, e, VHD_CORRUPT, "has the wrong length; run check");
	}
	items->present[k] = true;
	items->item[k] = (struct vhdx_extent){t->region->offset + e->offset, e->bytes};
	return VHD_OK;
}

static int check_table_header(struct table *t)
{
	struct vhdx_metadata_header h;

	memcpy(&h, t->bytes, sizeof(h));
	if (h.signature != VHDX_METADATA_SIGNATURE || h.count > VHDX_METADATA_MAX) {
		return vhd_fail(t->error, VHD_CORRUPT,
				"%s: metadata table at 0x%llx: signature 0x%llx and %u entries; "
				"expected 0x%llx (\"metadata\") and at most %u; run check",
				t->file, (unsigned long long)t->region->offset,
				(unsigned long long)h.signature, h.count,
				(unsigned long long)VHDX_METADATA_SIGNATURE, VHDX_METADATA_MAX);
	}
	t->count = h.count;
	return VHD_OK;
}

static int check_limits(const struct table *t)
{
	unsigned user = 0;

	for (unsigned i = 0; i < t->count; i++) {
		user += entry_at(t, i).flags & VHDX_ITEM_USER;
	}
	if (user > VHDX_METADATA_USER_MAX || t->count - user > VHDX_METADATA_SYSTEM_MAX ||
	    t->region->bytes > VHDX_METADATA_REGION_MAX) {
		return vhd_fail(t->error, VHD_CORRUPT,
				"%s: metadata at 0x%llx: %u user and %u system items in %llu "
				"bytes; at most %u, %u and %llu are allowed",
				t->file, (unsigned long long)t->region->offset, user,
				t->count - user, (unsigned long long)t->region->bytes,
				VHDX_METADATA_USER_MAX, VHDX_METADATA_SYSTEM_MAX,
				(unsigned long long)VHDX_METADATA_REGION_MAX);
	}
	return VHD_OK;
}

static int check_mandatory(const struct table *t, const struct vhdx_items *items)
{
	for (int k = 0; k < VHDX_ITEM_COUNT; k++) {
		if (vhdx_item_kinds[k].mandatory && !items->present[k]) {
			return vhd_fail(t->error, VHD_CORRUPT,
					"%s: metadata table at 0x%llx: has no item \"%s\"; every "
					"disk needs one",
					t->file, (unsigned long long)t->region->offset,
					vhdx_item_kinds[k].name);
		}
	}
	return VHD_OK;
}

int vhdx_metadata_decode(const void *table, const struct vhdx_extent *region, const char *file,
			 struct vhdx_items *ret, struct vhd_error *error)
{
	struct table t = {.bytes = table, .region = region, .file = file, .error = error};
	struct vhdx_items items = {0};
	int rc = check_table_header(&t);

	rc = rc != VHD_OK ? rc : check_limits(&t);
	for (unsigned i = 0; rc == VHD_OK && i < t.count; i++) {
		struct vhdx_metadata_entry e = entry_at(&t, i);

		rc = check_entry(&t, i, &e);
		rc = rc != VHD_OK ? rc : check_entry_apart(&t, i, &e);
		rc = rc != VHD_OK ? rc : take_entry(&t, i, &e, &items);
	}
	rc = rc != VHD_OK ? rc : check_mandatory(&t, &items);
	if (rc == VHD_OK) {
		*ret = items;
	}
	return rc;
}

/* ---- The shape ---- */

static bool power_of_two_between(uint64_t v, uint64_t min, uint64_t max)
{
	return v >= min && v <= max && (v & (v - 1)) == 0;
}

int vhdx_shape_check(const struct vhdx_shape *s, const char *file, struct vhd_error *error)
{
	if (!power_of_two_between(s->block_bytes, VHDX_BLOCK_MIN, VHDX_BLOCK_MAX)) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: file parameters: block size %u; expected a power of two from "
				"1 to 256 MiB",
				file, s->block_bytes);
	}
	if ((s->sector_bytes != 512 && s->sector_bytes != 4096) ||
	    (s->physical_sector_bytes != 512 && s->physical_sector_bytes != 4096)) {
		return vhd_fail(error, VHD_UNSUPPORTED,
				"%s: sector sizes %u (logical) and %u (physical); expected 512 or "
				"4096",
				file, s->sector_bytes, s->physical_sector_bytes);
	}
	if (s->disk_bytes == 0 || s->disk_bytes > VHDX_DISK_MAX ||
	    s->disk_bytes % s->sector_bytes != 0) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: virtual disk size %llu; expected a multiple of the sector "
				"size %u up to 64 TiB",
				file, (unsigned long long)s->disk_bytes, s->sector_bytes);
	}
	return VHD_OK;
}

int vhdx_shape_read(struct storage_file *f, const struct vhdx_items *items, struct vhdx_shape *ret,
		    struct vhd_error *error)
{
	struct vhdx_file_parameters p;
	struct vhdx_shape s = {0};
	const struct {
		enum vhdx_item item;
		void *to;
	} values[] = {
		{VHDX_ITEM_FILE_PARAMETERS, &p},
		{VHDX_ITEM_DISK_SIZE, &s.disk_bytes},
		{VHDX_ITEM_DISK_ID, &s.id},
		{VHDX_ITEM_LOGICAL_SECTOR, &s.sector_bytes},
		{VHDX_ITEM_PHYSICAL_SECTOR, &s.physical_sector_bytes},
	};

	for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
		const struct vhdx_extent *x = &items->item[values[i].item];
		int rc = storage_file_read(f, x->offset, values[i].to, x->bytes);

		if (rc != 0) {
			char what[96];

			snprintf(what, sizeof(what), "cannot read the item \"%s\" at 0x%" PRIx64,
				 vhdx_item_kinds[values[i].item].name, x->offset);
			return vhd_fail_errno(error, rc, f->name, what);
		}
	}
	s.block_bytes = p.block_bytes;
	s.has_parent = (p.flags & VHDX_HAS_PARENT) != 0;
	/* Spec: 2.6.2.1: of no meaning in a differencing disk. */
	s.leave_allocated = (p.flags & VHDX_LEAVE_ALLOCATED) != 0 && !s.has_parent;

	char where[PATH_MAX + 64];

	snprintf(where, sizeof(where), "%s: metadata items from 0x%" PRIx64 " on", f->name,
		 items->item[VHDX_ITEM_FILE_PARAMETERS].offset);
	int rc = vhdx_shape_check(&s, where, error);

	if (rc != VHD_OK) {
		return rc;
	}
	if (s.has_parent && !items->present[VHDX_ITEM_PARENT_LOCATOR]) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: file parameters: has a parent, but there is no parent "
				"locator; run check",
				where);
	}
	vhdx_shape_finish(&s);
	*ret = s;
	return VHD_OK;
}
