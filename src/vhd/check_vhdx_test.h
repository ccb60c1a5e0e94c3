/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of checking VHDXs: two disks, and ways to change what is in their structures. */
#ifndef VHD_CHECK_VHDX_TEST_H
#define VHD_CHECK_VHDX_TEST_H

#include "check_test.h"
#include "vhdx_format.h"

#define DISK (20 * MIB + 4096)

static const struct lab_write writes[] = {
	{0, 4096, 1}, {3 * MIB, 3 * MIB, 2}, {DISK - 512, 512, 3}};
static const struct lab_write child_writes[] = {
	{4 * MIB, 4096, 4}, {9 * MIB, 8192, 5}, {DISK - 512, 512, 6}};

static inline void make_files(struct lab *l)
{
	const struct vhd_create dynamic = {.format = VHD_VHDX_DYNAMIC,
					   .bytes = DISK,
					   .block_bytes = MIB},
				child = {.format = VHD_VHDX_DIFFERENCING,
					 .parent = "a.vhdx",
					 .block_bytes = MIB};

	lab_create(l, "a.vhdx", &dynamic);
	lab_write_all(l, "a.vhdx", writes, ARRAY_LEN(writes));
	lab_create(l, "b.avhdx", &child);
	lab_write_all(l, "b.avhdx", child_writes, ARRAY_LEN(child_writes));
}

/* ---- Reaching into files ---- */

static inline unsigned current_slot(struct lab *l, const char *path, struct vhdx_header *ret)
{
	uint8_t page[VHDX_PAGE];
	struct vhdx_header h[2];
	bool good[2];

	for (unsigned i = 0; i < 2; i++) {
		peek(l, path, VHDX_HEADER_OFFSET(i), page, sizeof(page));
		good[i] = vhdx_header_decode(page, &h[i]);
	}
	int slot = vhdx_header_current(good[0] ? &h[0] : NULL, good[1] ? &h[1] : NULL);

	EXPECT(l->test, slot >= 0);
	*ret = h[slot < 0 ? 0 : slot];
	return slot < 0 ? 0 : (unsigned)slot;
}

static inline struct vhdx_header header_of(struct lab *l, const char *path)
{
	struct vhdx_header h;

	current_slot(l, path, &h);
	return h;
}

static inline void set_header(struct lab *l, const char *path, unsigned slot,
			      const struct vhdx_header *h)
{
	uint8_t page[VHDX_PAGE];

	vhdx_header_encode(h, page);
	poke(l, path, VHDX_HEADER_OFFSET(slot), page, sizeof(page));
}

/* Both headers are @h. */
static inline void set_headers(struct lab *l, const char *path, const struct vhdx_header *h)
{
	set_header(l, path, 0, h);
	set_header(l, path, 1, h);
}

static inline void set_regions(struct lab *l, const char *path, unsigned copies, uint8_t *table)
{
	store_le32(table + 4, 0);
	store_le32(table + 4, vhdx_checksum(table, VHDX_REGIONS_BYTES));
	for (unsigned i = 0; i < 2; i++) {
		if (copies >> i & 1) {
			poke(l, path, VHDX_REGIONS_OFFSET(i), table, VHDX_REGIONS_BYTES);
		}
	}
}

static inline uint8_t *regions_of(struct lab *l, const char *path)
{
	uint8_t *table = malloc(VHDX_REGIONS_BYTES);

	peek(l, path, VHDX_REGIONS_OFFSET(0), table, VHDX_REGIONS_BYTES);
	return table;
}

static inline struct vhdx_region_entry *region(uint8_t *table, const struct guid *guid)
{
	struct vhdx_region_entry *e = (void *)(table + sizeof(struct vhdx_regions_header));

	while (!guid_equal(&e->guid, guid)) {
		e++;
	}
	return e;
}

static const struct guid bat_guid = VHDX_GUID_BAT, metadata_guid = VHDX_GUID_METADATA;

static inline uint64_t region_offset(struct lab *l, const char *path, const struct guid *guid)
{
	uint8_t *table = regions_of(l, path);
	uint64_t offset = region(table, guid)->offset;

	free(table);
	return offset;
}

/* Changes one region's entry in both copies. */
static inline void change_region(struct lab *l, const struct guid *guid,
				 const struct vhdx_region_entry *e)
{
	uint8_t *table = regions_of(l, "a.vhdx");

	*region(table, guid) = *e;
	set_regions(l, "a.vhdx", 3, table);
	free(table);
}

static inline struct vhdx_region_entry region_entry(struct lab *l, const struct guid *guid)
{
	uint8_t *table = regions_of(l, "a.vhdx");
	struct vhdx_region_entry e = *region(table, guid);

	free(table);
	return e;
}

static inline uint64_t item_entry(struct lab *l, const char *path, enum vhdx_item k,
				  struct vhdx_metadata_entry *ret)
{
	uint64_t at = region_offset(l, path, &metadata_guid) + sizeof(struct vhdx_metadata_header);

	for (;; at += sizeof(*ret)) {
		peek(l, path, at, ret, sizeof(*ret));
		if (guid_equal(&ret->guid, &vhdx_item_kinds[k].guid)) {
			return at;
		}
	}
}

static inline uint64_t item_offset(struct lab *l, const char *path, enum vhdx_item k)
{
	struct vhdx_metadata_entry e;

	item_entry(l, path, k, &e);
	return region_offset(l, path, &metadata_guid) + e.offset;
}

static inline uint64_t entry_at(struct lab *l, const char *path, uint64_t index)
{
	return region_offset(l, path, &bat_guid) + index * 8;
}

static inline uint64_t get_entry(struct lab *l, const char *path, uint64_t index)
{
	uint64_t entry;

	peek(l, path, entry_at(l, path, index), &entry, sizeof(entry));
	return entry;
}

static inline void set_entry(struct lab *l, const char *path, uint64_t index, uint64_t entry)
{
	poke(l, path, entry_at(l, path, index), &entry, sizeof(entry));
}

/* In chunks of 4 GiB, with blocks of 1 MiB. */
#define BITMAP_INDEX 4096u

static inline uint64_t bits_of(struct lab *l, uint64_t block)
{
	return VHDX_ENTRY_OFFSET(get_entry(l, "b.avhdx", BITMAP_INDEX)) + block * 256;
}

#define ERROR VHD_FINDING_ERROR
#define WARNING VHD_FINDING_WARNING

/* Each on new disks. */
static inline void check_damages(struct test *t, const struct damage *damages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct lab l;

		lab_init(&l, t);
		make_files(&l);
		check_damage(&l, &damages[i]);
		lab_fini(&l);
	}
}

#endif
