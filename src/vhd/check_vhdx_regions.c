// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: both copies of the region table. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check_vhdx.h"
#include "lib/bits.h"

struct region_walk {
	struct vhdx_walk *w;
	uint8_t *table[2];
	bool good[2];
	unsigned copy; /* the one that counts */
	uint32_t count;
};

static struct vhdx_region_entry entry_at(const struct region_walk *t, uint32_t i)
{
	struct vhdx_region_entry e;

	memcpy(&e, t->table[t->copy] + sizeof(struct vhdx_regions_header) + i * sizeof(e),
	       sizeof(e));
	return e;
}

static uint64_t offset_of(const struct region_walk *t, uint32_t i)
{
	return VHDX_REGIONS_OFFSET(t->copy) + sizeof(struct vhdx_regions_header) +
	       i * sizeof(struct vhdx_region_entry);
}

static int read_copy(struct region_walk *t, unsigned copy)
{
	struct vhdx_regions_header h;
	int r;

	t->table[copy] = malloc(VHDX_REGIONS_BYTES);
	if (t->table[copy] == NULL) {
		return vhd_fail_errno(t->w->c->error, -ENOMEM, t->w->c->path,
				      "cannot read its region table");
	}
	r = vhdx_walk_read(t->w, VHDX_REGIONS_OFFSET(copy), t->table[copy], VHDX_REGIONS_BYTES);
	memcpy(&h, t->table[copy], sizeof(h));
	t->good[copy] = r == 0 && h.signature == VHDX_REGIONS_SIGNATURE &&
			h.count <= VHDX_REGIONS_MAX &&
			h.checksum == vhdx_checksum(t->table[copy], VHDX_REGIONS_BYTES);
	return r;
}

/* The other copy is what it should be: that is how the format allows for damage. */
static int check_bad_copy(struct region_walk *t)
{
	struct vhd_checker *c = t->w->c;
	unsigned bad = 1 - t->copy;
	int r = c->check->repair ? vhd_check_write(c, VHDX_REGIONS_OFFSET(bad), t->table[t->copy],
						   VHDX_REGIONS_BYTES, "copy of the region table")
				 : 0;

	if (r == 0) {
		vhd_finding(c, VHD_FINDING_WARNING, VHDX_REGIONS_OFFSET(bad),
			    c->check->repair ? VHD_REPAIRED : VHD_REPAIRABLE,
			    "region table %u: no signature \"regi\", wrong checksum or more than "
			    "%u entries; table %u is good, repair copies it",
			    bad + 1, VHDX_REGIONS_MAX, t->copy + 1);
	}
	return r;
}

/* 1: t->copy is good. */
static int choose_copy(struct region_walk *t)
{
	struct vhd_checker *c = t->w->c;
	struct vhdx_regions_header h;

	if (!t->good[0] && !t->good[1]) {
		vhd_finding(c, VHD_FINDING_ERROR, VHDX_REGIONS_OFFSET(0), VHD_NOT_REPAIRABLE,
			    "region tables: neither has a signature \"regi\" with a right "
			    "checksum; the table of blocks cannot be found");
		return 0;
	}
	t->copy = t->good[0] ? 0 : 1;
	memcpy(&h, t->table[t->copy], sizeof(h));
	t->count = h.count;
	if (!t->good[1 - t->copy]) {
		int r = check_bad_copy(t);

		return r == 0 ? 1 : r;
	}
	if (memcmp(t->table[0], t->table[1],
		   sizeof(h) + t->count * sizeof(struct vhdx_region_entry)) != 0) {
		vhd_finding(c, VHD_FINDING_ERROR, VHDX_REGIONS_OFFSET(1), VHD_NOT_REPAIRABLE,
			    "region tables: both have right checksums, but they differ; the first "
			    "one is used");
	}
	return 1;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/* True: it lies where a region may lie. */
static bool check_place(struct region_walk *t, uint32_t i, const struct vhdx_region_entry *e,
			const char *guid)
{
	const struct vhdx_extent *log = &t->w->log_at;

	if (e->offset < VHDX_UNIT || e->offset % VHDX_UNIT != 0 || e->bytes == 0 ||
	    e->bytes % VHDX_UNIT != 0 || e->offset > VHDX_FILE_MAX) {
		vhd_finding(t->w->c, VHD_FINDING_ERROR, offset_of(t, i), VHD_NOT_REPAIRABLE,
			    "region table entry %" PRIu32 " (%s): 0x%" PRIx32 " bytes at 0x%" PRIx64
			    "; expected whole MiB, from 1 MiB on",
			    i, guid, e->bytes, e->offset);
		return false;
	}
	if (e->offset + e->bytes > t->w->file_bytes) {
		vhd_finding(t->w->c, VHD_FINDING_ERROR, offset_of(t, i), VHD_NOT_REPAIRABLE,
			    "region table entry %" PRIu32 " (%s): ends at 0x%" PRIx64
			    ", but the file at 0x%" PRIx64,
			    i, guid, e->offset + e->bytes, t->w->file_bytes);
		return false;
	}
	if (overlap(e->offset, e->bytes, log->offset, log->bytes)) {
		vhd_finding(t->w->c, VHD_FINDING_ERROR, offset_of(t, i), VHD_NOT_REPAIRABLE,
			    "region table entry %" PRIu32 " (%s): 0x%" PRIx32 " bytes at 0x%" PRIx64
			    " overlap the log at 0x%" PRIx64,
			    i, guid, e->bytes, e->offset, log->offset);
	}
	return true;
}

static void check_apart(struct region_walk *t, uint32_t i, const struct vhdx_region_entry *e,
			const char *guid)
{
	for (uint32_t k = 0; k < i; k++) {
		struct vhdx_region_entry other = entry_at(t, k);

		if (guid_equal(&e->guid, &other.guid)) {
			vhd_finding(t->w->c, VHD_FINDING_ERROR, offset_of(t, i), VHD_NOT_REPAIRABLE,
				    "region table entry %" PRIu32
				    ": the region %s is there already as entry %" PRIu32,
				    i, guid, k);
			return;
		}
		if (other.offset <= VHDX_FILE_MAX &&
		    overlap(e->offset, e->bytes, other.offset, other.bytes)) {
			vhd_finding(t->w->c, VHD_FINDING_ERROR, offset_of(t, i), VHD_NOT_REPAIRABLE,
				    "region table entry %" PRIu32 " (%s): 0x%" PRIx32
				    " bytes at 0x%" PRIx64 " overlap entry %" PRIu32,
				    i, guid, e->bytes, e->offset, k);
			return;
		}
	}
}

static void check_entry(struct region_walk *t, uint32_t i)
{
	static const struct guid bat = VHDX_GUID_BAT, metadata = VHDX_GUID_METADATA;
	struct vhdx_region_entry e = entry_at(t, i);
	char guid[GUID_TEXT_BYTES];

	guid_format(&e.guid, guid);
	if (!check_place(t, i, &e, guid)) {
		return;
	}
	check_apart(t, i, &e, guid);
	if (guid_equal(&e.guid, &bat)) {
		t->w->bat = (struct vhdx_extent){e.offset, e.bytes};
	} else if (guid_equal(&e.guid, &metadata)) {
		t->w->metadata = (struct vhdx_extent){e.offset, e.bytes};
	} else if (e.flags & VHDX_REGION_REQUIRED) {
		vhd_finding(t->w->c, VHD_FINDING_ERROR, offset_of(t, i), VHD_NOT_REPAIRABLE,
			    "region table entry %" PRIu32
			    ": the region %s is unknown here and marked as required; the file "
			    "needs newer software",
			    i, guid);
	}
}

static int check_entries(struct region_walk *t)
{
	struct vhdx_walk *w = t->w;

	for (uint32_t i = 0; i < t->count; i++) {
		check_entry(t, i);
	}
	if (w->bat.bytes == 0 || w->metadata.bytes == 0) {
		vhd_finding(w->c, VHD_FINDING_ERROR, VHDX_REGIONS_OFFSET(t->copy),
			    VHD_NOT_REPAIRABLE, "region table: names no usable %s region",
			    w->metadata.bytes == 0 ? "metadata" : "block allocation table");
	}
	return w->metadata.bytes != 0;
}

int vhdx_walk_regions(struct vhdx_walk *w)
{
	struct region_walk t = {.w = w};
	int r = read_copy(&t, 0);

	r = r == 0 ? read_copy(&t, 1) : r;
	r = r == 0 ? choose_copy(&t) : r;
	r = r == 1 ? check_entries(&t) : r;
	free(t.table[0]);
	free(t.table[1]);
	return r;
}
