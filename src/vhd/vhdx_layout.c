// SPDX-License-Identifier: Apache-2.0
/* Headers, region table and metadata table: what is in them, and what is wrong with them. */
#include <string.h>

#include "format.h"
#include "lib/crc32c.h"
#include "vhdx_format.h"

/* Spec: MS-VHDX 2.6.2; the last two: Interop: written by Microsoft's tools. */
const struct vhdx_item_kind vhdx_item_kinds[VHDX_ITEM_COUNT] = {
	[VHDX_ITEM_FILE_PARAMETERS] = {GUID(0xcaa16737, 0xfa36, 0x4d43, 0xb3, 0xb6, 0x33, 0xf0,
					    0xaa, 0x44, 0xe7, 0x6b),
				       VHDX_ITEM_REQUIRED, 8, true, "file parameters"},
	[VHDX_ITEM_DISK_SIZE] = {GUID(0x2fa54224, 0xcd1b, 0x4876, 0xb2, 0x11, 0x5d, 0xbe, 0xd8,
				      0x3b, 0xf4, 0xb8),
				 VHDX_ITEM_VIRTUAL_DISK | VHDX_ITEM_REQUIRED, 8, true,
				 "virtual disk size"},
	[VHDX_ITEM_DISK_ID] = {GUID(0xbeca12ab, 0xb2e6, 0x4523, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00,
				    0xc7, 0x46),
			       VHDX_ITEM_VIRTUAL_DISK | VHDX_ITEM_REQUIRED, 16, true,
			       "virtual disk id"},
	[VHDX_ITEM_LOGICAL_SECTOR] = {GUID(0x8141bf1d, 0xa96f, 0x4709, 0xba, 0x47, 0xf2, 0x33, 0xa8,
					   0xfa, 0xab, 0x5f),
				      VHDX_ITEM_VIRTUAL_DISK | VHDX_ITEM_REQUIRED, 4, true,
				      "logical sector size"},
	[VHDX_ITEM_PHYSICAL_SECTOR] = {GUID(0xcda348c7, 0x445d, 0x4471, 0x9c, 0xc9, 0xe9, 0x88,
					    0x52, 0x51, 0xc5, 0x56),
				       VHDX_ITEM_VIRTUAL_DISK | VHDX_ITEM_REQUIRED, 4, true,
				       "physical sector size"},
	[VHDX_ITEM_PARENT_LOCATOR] = {GUID(0xa8d35f2d, 0xb30b, 0x454d, 0xab, 0xf7, 0xd3, 0xd8, 0x48,
					   0x34, 0xab, 0x0c),
				      VHDX_ITEM_REQUIRED, 0, false, "parent locator"},
	[VHDX_ITEM_CHS] = {GUID(0xda02d7bc, 0x3d3a, 0x423c, 0xac, 0x88, 0x2a, 0x36, 0xab, 0x21,
				0x47, 0x9b),
			   0, 0, false, "CHS parameters"},
	[VHDX_ITEM_INCOMPLETE_FILE] = {GUID(0x71cc85f0, 0x1b69, 0x4e28, 0x95, 0x58, 0xc3, 0xbf,
					    0x83, 0xae, 0x75, 0xd3),
				       VHDX_ITEM_REQUIRED, 0, false, "incomplete file"},
	[VHDX_ITEM_PMEM_LABELS] = {GUID(0x10e1ae8a, 0x4b7e, 0x4169, 0xa4, 0x0f, 0xcd, 0x70, 0xde,
					0x92, 0x83, 0x93),
				   0, 0, false, "PMEM labels"},
};

void vhdx_shape_finish(struct vhdx_shape *s)
{
	s->block_shift = (unsigned)__builtin_ctz(s->block_bytes);
	s->sector_shift = (unsigned)__builtin_ctz(s->sector_bytes);
	/* A chunk is 2^23 sectors. */
	s->ratio_shift = 23 + s->sector_shift - s->block_shift;
}

uint32_t vhdx_checksum(const void *structure, size_t bytes)
{
	const uint8_t *p = structure;
	const uint32_t zero = 0;
	uint32_t crc = crc32c(0, p, 4);

	crc = crc32c(crc, &zero, 4);
	return crc32c(crc, p + 8, bytes - 8);
}

bool vhdx_header_decode(const void *page, struct vhdx_header *ret)
{
	struct vhdx_header h;

	memcpy(&h, page, sizeof(h));
	if (h.signature != VHDX_HEADER_SIGNATURE || h.checksum != vhdx_checksum(page, VHDX_PAGE)) {
		return false;
	}
	*ret = h;
	return true;
}

void vhdx_header_encode(const struct vhdx_header *h, void *page)
{
	struct vhdx_header out = *h;

	out.signature = VHDX_HEADER_SIGNATURE;
	out.checksum = 0;
	memset(page, 0, VHDX_PAGE);
	memcpy(page, &out, sizeof(out));
	out.checksum = vhdx_checksum(page, VHDX_PAGE);
	memcpy(page, &out, sizeof(out));
}

int vhdx_header_current(const struct vhdx_header *h0, const struct vhdx_header *h1)
{
	if (h0 == NULL || h1 == NULL) {
		return h0 != NULL ? 0 : h1 != NULL ? 1 : -1;
	}
	if (h0->sequence != h1->sequence) {
		return h0->sequence > h1->sequence ? 0 : 1;
	}
	return memcmp(h0, h1, sizeof(*h0)) == 0 ? 0 : -1;
}

/* ---- Region table ---- */

static bool overlap(const struct vhdx_extent *a, const struct vhdx_extent *b)
{
	return a->bytes != 0 && b->bytes != 0 && a->offset < b->offset + b->bytes &&
	       b->offset < a->offset + a->bytes;
}

/* Where an error is, for its text. */
struct place {
	const char *file;
	const char *what;
	uint64_t offset;
	struct vhd_error *error;
};

static struct vhdx_region_entry region_entry(const void *table, unsigned i)
{
	struct vhdx_region_entry e;

	memcpy(&e, (const uint8_t *)table + sizeof(struct vhdx_regions_header) + i * sizeof(e),
	       sizeof(e));
	return e;
}

static int check_region(const struct place *p, unsigned i, const struct vhdx_region_entry *e)
{
	char guid[GUID_TEXT_BYTES];

	guid_format(&e->guid, guid);
	if (e->offset < VHDX_UNIT || e->offset % VHDX_UNIT != 0 || e->bytes == 0 ||
	    e->bytes % VHDX_UNIT != 0 || e->offset > VHDX_FILE_MAX) {
		return vhd_fail(p->error, VHD_CORRUPT,
				"%s: %s at 0x%llx: entry %u (%s) names 0x%x bytes at 0x%llx; "
				"expected whole MiB, from 1 MiB on; run check",
				p->file, p->what, (unsigned long long)p->offset, i, guid, e->bytes,
				(unsigned long long)e->offset);
	}
	return VHD_OK;
}

/* Against the log and all entries before. */
static int check_region_apart(const struct place *p, const void *table, unsigned i,
			      const struct vhdx_extent *log)
{
	struct vhdx_region_entry e = region_entry(table, i);
	struct vhdx_extent x = {e.offset, e.bytes};
	bool bad = overlap(&x, log);
	const char *with = "the log";

	for (unsigned k = 0; !bad && k < i; k++) {
		struct vhdx_region_entry other = region_entry(table, k);
		struct vhdx_extent y = {other.offset, other.bytes};

		bad = overlap(&x, &y) || guid_equal(&e.guid, &other.guid);
		with = guid_equal(&e.guid, &other.guid) ? "a second entry of its kind"
							: "another region";
	}
	return !bad ? VHD_OK
		    : vhd_fail(p->error, VHD_CORRUPT,
			       "%s: %s at 0x%llx: entry %u, 0x%llx bytes at 0x%llx, collides with "
			       "%s; run check",
			       p->file, p->what, (unsigned long long)p->offset, i,
			       (unsigned long long)x.bytes, (unsigned long long)x.offset, with);
}

static int take_region(const struct place *p, unsigned i, const struct vhdx_region_entry *e,
		       struct vhdx_layout *l)
{
	static const struct guid bat = VHDX_GUID_BAT, metadata = VHDX_GUID_METADATA;
	char guid[GUID_TEXT_BYTES];

	if (guid_equal(&e->guid, &bat)) {
		l->bat = (struct vhdx_extent){e->offset, e->bytes};
	} else if (guid_equal(&e->guid, &metadata)) {
		l->metadata = (struct vhdx_extent){e->offset, e->bytes};
	} else if (e->flags & VHDX_REGION_REQUIRED) {
		guid_format(&e->guid, guid);
		return vhd_fail(p->error, VHD_UNSUPPORTED,
				"%s: %s at 0x%llx: entry %u: region %s is unknown here and marked "
				"as required; the file needs newer software",
				p->file, p->what, (unsigned long long)p->offset, i, guid);
	}
	return VHD_OK;
}

static int check_regions_header(const struct place *p, const void *table,
				struct vhdx_regions_header *ret)
{
	uint32_t crc = vhdx_checksum(table, VHDX_REGIONS_BYTES);

	memcpy(ret, table, sizeof(*ret));
	if (ret->signature != VHDX_REGIONS_SIGNATURE) {
		return vhd_fail(p->error, VHD_CORRUPT,
				"%s: %s at 0x%llx: signature 0x%08x, expected 0x%08x (\"regi\"); "
				"run check",
				p->file, p->what, (unsigned long long)p->offset, ret->signature,
				VHDX_REGIONS_SIGNATURE);
	}
	if (ret->checksum != crc) {
		return vhd_fail(p->error, VHD_CORRUPT,
				"%s: %s at 0x%llx: checksum 0x%08x, expected 0x%08x; run check",
				p->file, p->what, (unsigned long long)p->offset, ret->checksum,
				crc);
	}
	if (ret->count > VHDX_REGIONS_MAX) {
		return vhd_fail(p->error, VHD_CORRUPT,
				"%s: %s at 0x%llx: %u entries, at most %u fit; run check", p->file,
				p->what, (unsigned long long)p->offset, ret->count,
				VHDX_REGIONS_MAX);
	}
	return VHD_OK;
}

int vhdx_regions_decode(const void *table, unsigned copy, const char *file, struct vhdx_layout *ret,
			struct vhd_error *error)
{
	const struct place p = {file, copy == 0 ? "region table 1" : "region table 2",
				VHDX_REGIONS_OFFSET(copy), error};
	struct vhdx_layout l = {.log = ret->log, .regions_copy = copy};
	struct vhdx_regions_header h;
	int rc = check_regions_header(&p, table, &h);

	for (unsigned i = 0; rc == VHD_OK && i < h.count; i++) {
		struct vhdx_region_entry e = region_entry(table, i);

		rc = check_region(&p, i, &e);
		rc = rc != VHD_OK ? rc : check_region_apart(&p, table, i, &l.log);
		rc = rc != VHD_OK ? rc : take_region(&p, i, &e, &l);
	}
	if (rc != VHD_OK) {
		return rc;
	}
	if (l.bat.bytes == 0 || l.metadata.bytes == 0) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: %s at 0x%llx: has no %s region; every disk needs one", file,
				p.what, (unsigned long long)p.offset,
				l.bat.bytes == 0 ? "BAT" : "metadata");
	}
	*ret = l;
	return VHD_OK;
}

bool vhdx_regions_entry(const void *table, unsigned i, struct vhdx_extent *ret)
{
	struct vhdx_regions_header h;

	memcpy(&h, table, sizeof(h));
	if (i >= h.count || i >= VHDX_REGIONS_MAX) {
		return false;
	}
	struct vhdx_region_entry e = region_entry(table, i);

	*ret = (struct vhdx_extent){e.offset, e.bytes};
	return true;
}

static void regions_seal(void *table)
{
	uint32_t crc = vhdx_checksum(table, VHDX_REGIONS_BYTES);

	memcpy((uint8_t *)table + offsetof(struct vhdx_regions_header, checksum), &crc,
	       sizeof(crc));
}

void vhdx_regions_encode(const struct vhdx_layout *layout, void *table)
{
	const struct vhdx_regions_header h = {.signature = VHDX_REGIONS_SIGNATURE, .count = 2};
	const struct vhdx_region_entry e[2] = {
		{VHDX_GUID_BAT, layout->bat.offset, (uint32_t)layout->bat.bytes,
		 VHDX_REGION_REQUIRED},
		{VHDX_GUID_METADATA, layout->metadata.offset, (uint32_t)layout->metadata.bytes,
		 VHDX_REGION_REQUIRED},
	};

	memset(table, 0, VHDX_REGIONS_BYTES);
	memcpy(table, &h, sizeof(h));
	memcpy((uint8_t *)table + sizeof(h), e, sizeof(e));
	regions_seal(table);
}

bool vhdx_regions_move(void *table, const struct guid *region, const struct vhdx_extent *to)
{
	struct vhdx_regions_header h;

	memcpy(&h, table, sizeof(h));
	for (unsigned i = 0; i < h.count && i < VHDX_REGIONS_MAX; i++) {
		struct vhdx_region_entry e = region_entry(table, i);

		if (guid_equal(&e.guid, region)) {
			e.offset = to->offset;
			e.bytes = (uint32_t)to->bytes;
			memcpy((uint8_t *)table + sizeof(h) + i * sizeof(e), &e, sizeof(e));
			regions_seal(table);
			return true;
		}
	}
	return false;
}
