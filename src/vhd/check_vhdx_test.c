// SPDX-License-Identifier: Apache-2.0
#include "check_test.h"
#include "vhdx_format.h"

#define DISK (20 * MIB + 4096)

static const struct lab_write writes[] = {
	{0, 4096, 1}, {3 * MIB, 3 * MIB, 2}, {DISK - 512, 512, 3}};
static const struct lab_write child_writes[] = {
	{4 * MIB, 4096, 4}, {9 * MIB, 8192, 5}, {DISK - 512, 512, 6}};

static void make_files(struct lab *l)
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

static unsigned current_slot(struct lab *l, const char *path, struct vhdx_header *ret)
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

static struct vhdx_header header_of(struct lab *l, const char *path)
{
	struct vhdx_header h;

	current_slot(l, path, &h);
	return h;
}

static void set_header(struct lab *l, const char *path, unsigned slot, const struct vhdx_header *h)
{
	uint8_t page[VHDX_PAGE];

	vhdx_header_encode(h, page);
	poke(l, path, VHDX_HEADER_OFFSET(slot), page, sizeof(page));
}

/* Both headers are @h. */
static void set_headers(struct lab *l, const char *path, const struct vhdx_header *h)
{
	set_header(l, path, 0, h);
	set_header(l, path, 1, h);
}

static void set_regions(struct lab *l, const char *path, unsigned copies, uint8_t *table)
{
	store_le32(table + 4, 0);
	store_le32(table + 4, vhdx_checksum(table, VHDX_REGIONS_BYTES));
	for (unsigned i = 0; i < 2; i++) {
		if (copies >> i & 1) {
			poke(l, path, VHDX_REGIONS_OFFSET(i), table, VHDX_REGIONS_BYTES);
		}
	}
}

static uint8_t *regions_of(struct lab *l, const char *path)
{
	uint8_t *table = malloc(VHDX_REGIONS_BYTES);

	peek(l, path, VHDX_REGIONS_OFFSET(0), table, VHDX_REGIONS_BYTES);
	return table;
}

static struct vhdx_region_entry *region(uint8_t *table, const struct guid *guid)
{
	struct vhdx_region_entry *e = (void *)(table + sizeof(struct vhdx_regions_header));

	while (!guid_equal(&e->guid, guid)) {
		e++;
	}
	return e;
}

static const struct guid bat_guid = VHDX_GUID_BAT, metadata_guid = VHDX_GUID_METADATA;

static uint64_t region_offset(struct lab *l, const char *path, const struct guid *guid)
{
	uint8_t *table = regions_of(l, path);
	uint64_t offset = region(table, guid)->offset;

	free(table);
	return offset;
}

/* Changes one region's entry in both copies. */
static void change_region(struct lab *l, const struct guid *guid, const struct vhdx_region_entry *e)
{
	uint8_t *table = regions_of(l, "a.vhdx");

	*region(table, guid) = *e;
	set_regions(l, "a.vhdx", 3, table);
	free(table);
}

static struct vhdx_region_entry region_entry(struct lab *l, const struct guid *guid)
{
	uint8_t *table = regions_of(l, "a.vhdx");
	struct vhdx_region_entry e = *region(table, guid);

	free(table);
	return e;
}

static uint64_t item_entry(struct lab *l, const char *path, enum vhdx_item k,
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

static uint64_t item_offset(struct lab *l, const char *path, enum vhdx_item k)
{
	struct vhdx_metadata_entry e;

	item_entry(l, path, k, &e);
	return region_offset(l, path, &metadata_guid) + e.offset;
}

static uint64_t entry_at(struct lab *l, const char *path, uint64_t index)
{
	return region_offset(l, path, &bat_guid) + index * 8;
}

static uint64_t get_entry(struct lab *l, const char *path, uint64_t index)
{
	uint64_t entry;

	peek(l, path, entry_at(l, path, index), &entry, sizeof(entry));
	return entry;
}

static void set_entry(struct lab *l, const char *path, uint64_t index, uint64_t entry)
{
	poke(l, path, entry_at(l, path, index), &entry, sizeof(entry));
}

/* In chunks of 4 GiB, with blocks of 1 MiB. */
#define BITMAP_INDEX 4096u

static uint64_t bits_of(struct lab *l, uint64_t block)
{
	return VHDX_ENTRY_OFFSET(get_entry(l, "b.avhdx", BITMAP_INDEX)) + block * 256;
}

/* ---- Headers ---- */

static void identifier(struct lab *l)
{
	wipe(l, "a.vhdx", 0, 3);
}

static void header_other(struct lab *l)
{
	struct vhdx_header h;

	wipe(l, "a.vhdx", VHDX_HEADER_OFFSET(1 - current_slot(l, "a.vhdx", &h)) + 20, 64);
}

static void header_current(struct lab *l)
{
	struct vhdx_header h;

	wipe(l, "a.vhdx", VHDX_HEADER_OFFSET(current_slot(l, "a.vhdx", &h)), 512);
}

static void headers_lost(struct lab *l)
{
	wipe(l, "a.vhdx", VHDX_HEADER_OFFSET(0), 128 * KIB);
}

static void headers_equal(struct lab *l)
{
	struct vhdx_header h;
	unsigned slot = current_slot(l, "a.vhdx", &h);

	h.data_write.bytes[0] ^= 1;
	set_header(l, "a.vhdx", 1 - slot, &h);
}

static void header_version(struct lab *l)
{
	struct vhdx_header h = header_of(l, "a.vhdx");

	h.version = 2;
	set_headers(l, "a.vhdx", &h);
}

static void log_misaligned(struct lab *l)
{
	struct vhdx_header h = header_of(l, "a.vhdx");

	h.log_offset += 4096;
	set_headers(l, "a.vhdx", &h);
}

static void log_outside(struct lab *l)
{
	struct vhdx_header h = header_of(l, "a.vhdx");

	h.log_offset = align_up(length(l, "a.vhdx"), MIB);
	h.log.bytes[0] = 1;
	set_headers(l, "a.vhdx", &h);
}

static void log_foreign(struct lab *l)
{
	struct vhdx_header h = header_of(l, "a.vhdx");

	h.log.bytes[5] = 1;
	set_headers(l, "a.vhdx", &h);
}

/* ---- Log ---- */

/* The file as a crash leaves it just after a flush: changes are in the log. */
static void crash(struct lab *l)
{
	struct vhd_disk *d = lab_open(l, "a.vhdx", VHD_OPEN_WRITE);

	lab_fill(l->buf, 12 * MIB, 9, 8192);
	LAB_EXPECT(l, block_write(vhd_block(d), 12 * MIB, l->buf, 8192), 0);
	LAB_EXPECT(l, block_flush(vhd_block(d)), 0);
	copy_file(l, "a.vhdx", "crashed.vhdx");
	lab_close(l, d);
}

static void crash_cut(struct lab *l)
{
	crash(l);
	struct vhdx_header h = header_of(l, "crashed.vhdx");
	struct vhdx_log_header entry;

	peek(l, "crashed.vhdx", h.log_offset, &entry, sizeof(entry));
	cut(l, "crashed.vhdx", entry.flushed_file_offset - MIB);
}

/* The only entry is damaged in its middle. */
static void crash_torn(struct lab *l)
{
	crash(l);
	struct vhdx_header h = header_of(l, "crashed.vhdx");

	for (uint64_t at = 0; at < h.log_bytes; at += VHDX_PAGE) {
		wipe(l, "crashed.vhdx", h.log_offset + at + 2000, 8);
		poke(l, "crashed.vhdx", h.log_offset + at + 2000, "torn!", 5);
	}
}

/* ---- Region tables ---- */

static void regions_first(struct lab *l)
{
	wipe(l, "a.vhdx", VHDX_REGIONS_OFFSET(0), 4096);
}

static void regions_second(struct lab *l)
{
	wipe(l, "a.vhdx", VHDX_REGIONS_OFFSET(1) + 16, 40);
}

static void regions_lost(struct lab *l)
{
	wipe(l, "a.vhdx", VHDX_REGIONS_OFFSET(0), 128 * KIB);
}

static void regions_differ(struct lab *l)
{
	uint8_t *table = regions_of(l, "a.vhdx");

	region(table, &bat_guid)->bytes += (uint32_t)MIB;
	set_regions(l, "a.vhdx", 2, table);
	free(table);
}

static void region_unknown(struct lab *l)
{
	uint8_t *table = regions_of(l, "a.vhdx");
	struct vhdx_regions_header *h = (void *)table;
	struct vhdx_region_entry *e = (void *)(table + sizeof(*h) + h->count++ * sizeof(*e));

	*e = (struct vhdx_region_entry){.guid = {{1}},
					.offset = align_down(length(l, "a.vhdx"), MIB) - MIB,
					.bytes = MIB,
					.flags = 1};
	set_regions(l, "a.vhdx", 3, table);
	free(table);
}

static void region_twice(struct lab *l)
{
	uint8_t *table = regions_of(l, "a.vhdx");
	struct vhdx_regions_header *h = (void *)table;
	struct vhdx_region_entry *e = (void *)(table + sizeof(*h) + h->count++ * sizeof(*e));

	*e = *region(table, &metadata_guid);
	set_regions(l, "a.vhdx", 3, table);
	free(table);
}

static void region_misaligned(struct lab *l)
{
	struct vhdx_region_entry e = region_entry(l, &bat_guid);

	e.offset += 4096;
	change_region(l, &bat_guid, &e);
}

static void region_outside(struct lab *l)
{
	struct vhdx_region_entry e = region_entry(l, &bat_guid);

	e.offset = align_up(length(l, "a.vhdx"), MIB);
	change_region(l, &bat_guid, &e);
}

static void region_on_log(struct lab *l)
{
	struct vhdx_region_entry e = region_entry(l, &metadata_guid);
	struct vhdx_header h = header_of(l, "a.vhdx");

	e.offset = h.log_offset;
	change_region(l, &metadata_guid, &e);
}

static void region_on_region(struct lab *l)
{
	struct vhdx_region_entry e = region_entry(l, &metadata_guid);

	e.offset = region_entry(l, &bat_guid).offset;
	change_region(l, &metadata_guid, &e);
}

static void region_no_bat(struct lab *l)
{
	struct vhdx_region_entry e = region_entry(l, &bat_guid);

	e.guid.bytes[0] ^= 1;
	e.flags = 0;
	change_region(l, &bat_guid, &e);
}

static void bat_small(struct lab *l)
{
	uint64_t bytes = 8192 * UINT64_C(0x100000) * 32,
		 at = item_offset(l, "a.vhdx", VHDX_ITEM_DISK_SIZE);

	poke(l, "a.vhdx", at, &bytes, 8);
}

/* ---- Metadata ---- */

static void metadata_signature(struct lab *l)
{
	wipe(l, "a.vhdx", region_offset(l, "a.vhdx", &metadata_guid), 8);
}

static void change_item(struct lab *l, enum vhdx_item k, const struct vhdx_metadata_entry *e)
{
	struct vhdx_metadata_entry old;

	poke(l, "a.vhdx", item_entry(l, "a.vhdx", k, &old), e, sizeof(*e));
}

static struct vhdx_metadata_entry item_of(struct lab *l, enum vhdx_item k)
{
	struct vhdx_metadata_entry e;

	item_entry(l, "a.vhdx", k, &e);
	return e;
}

static void item_missing(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_LOGICAL_SECTOR);

	e.guid.bytes[0] ^= 1;
	e.flags = 0;
	change_item(l, VHDX_ITEM_LOGICAL_SECTOR, &e);
}

static void item_unknown(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_LOGICAL_SECTOR);

	e.guid.bytes[0] ^= 1;
	change_item(l, VHDX_ITEM_LOGICAL_SECTOR, &e);
}

static void item_length(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_DISK_SIZE);

	e.bytes = 4;
	change_item(l, VHDX_ITEM_DISK_SIZE, &e);
}

static void item_outside(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_DISK_SIZE);

	e.offset = UINT32_MAX - 3;
	change_item(l, VHDX_ITEM_DISK_SIZE, &e);
}

static void item_overlap(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_PHYSICAL_SECTOR),
				   other = item_of(l, VHDX_ITEM_DISK_ID);

	e.offset = other.offset + 12;
	change_item(l, VHDX_ITEM_PHYSICAL_SECTOR, &e);
}

static void item_twice(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_PHYSICAL_SECTOR);

	e.guid = item_of(l, VHDX_ITEM_LOGICAL_SECTOR).guid;
	change_item(l, VHDX_ITEM_PHYSICAL_SECTOR, &e);
}

static void item_user_required(struct lab *l)
{
	struct vhdx_metadata_entry e = item_of(l, VHDX_ITEM_PHYSICAL_SECTOR);

	e.flags |= VHDX_ITEM_USER;
	change_item(l, VHDX_ITEM_PHYSICAL_SECTOR, &e);
}

static void item_incomplete(struct lab *l)
{
	uint64_t at = region_offset(l, "a.vhdx", &metadata_guid);
	struct vhdx_metadata_header h;
	struct vhdx_metadata_entry e = {.guid = vhdx_item_kinds[VHDX_ITEM_INCOMPLETE_FILE].guid,
					.flags = VHDX_ITEM_REQUIRED};

	peek(l, "a.vhdx", at, &h, sizeof(h));
	poke(l, "a.vhdx", at + sizeof(h) + h.count * sizeof(e), &e, sizeof(e));
	h.count++;
	poke(l, "a.vhdx", at, &h, sizeof(h));
}

static void value_sector(struct lab *l)
{
	const uint32_t v = 513;

	poke(l, "a.vhdx", item_offset(l, "a.vhdx", VHDX_ITEM_LOGICAL_SECTOR), &v, 4);
}

static void value_physical(struct lab *l)
{
	const uint32_t v = 0;

	poke(l, "a.vhdx", item_offset(l, "a.vhdx", VHDX_ITEM_PHYSICAL_SECTOR), &v, 4);
}

static void parent_sectors(struct lab *l)
{
	const uint32_t v = 4096;

	poke(l, "a.vhdx", item_offset(l, "a.vhdx", VHDX_ITEM_LOGICAL_SECTOR), &v, 4);
}

static void value_block(struct lab *l)
{
	const uint32_t v = 3 << 20;

	poke(l, "a.vhdx", item_offset(l, "a.vhdx", VHDX_ITEM_FILE_PARAMETERS), &v, 4);
}

static void value_size(struct lab *l)
{
	const uint64_t v = VHDX_DISK_MAX + 512;

	poke(l, "a.vhdx", item_offset(l, "a.vhdx", VHDX_ITEM_DISK_SIZE), &v, 8);
}

static void claims_parent(struct lab *l)
{
	const uint32_t v = VHDX_HAS_PARENT;

	poke(l, "a.vhdx", item_offset(l, "a.vhdx", VHDX_ITEM_FILE_PARAMETERS) + 4, &v, 4);
}

static void denies_parent(struct lab *l)
{
	const uint32_t v = 0;

	for (uint64_t i = 0; i <= BITMAP_INDEX; i++) {
		set_entry(l, "b.avhdx", i, 0);
	}
	poke(l, "b.avhdx", item_offset(l, "b.avhdx", VHDX_ITEM_FILE_PARAMETERS) + 4, &v, 4);
}

/* ---- Blocks ---- */

static void state_four(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, 4);
}

static void state_partial(struct lab *l)
{
	set_entry(l, "a.vhdx", 4, get_entry(l, "a.vhdx", 4) | VHDX_PARTIALLY_PRESENT);
}

static void state_bitmap(struct lab *l)
{
	set_entry(l, "b.avhdx", BITMAP_INDEX, 2);
}

static void reserved_bits(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, 0x1000);
}

static void entry_outside(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, align_up(length(l, "a.vhdx"), MIB) | VHDX_FULLY_PRESENT);
}

static void entry_far_outside(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, UINT64_C(0xfffffffffff00000) | VHDX_FULLY_PRESENT);
}

static void file_short(struct lab *l)
{
	uint64_t last = 0;

	for (uint64_t i = 0; i <= 20; i++) {
		last = max_u64(last, VHDX_ENTRY_OFFSET(get_entry(l, "a.vhdx", i)));
	}
	cut(l, "a.vhdx", last + 4096);
}

static void entry_on_headers(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, VHDX_FULLY_PRESENT);
}

static void entry_on_bat(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, region_offset(l, "a.vhdx", &bat_guid) | VHDX_FULLY_PRESENT);
}

static void blocks_shared(struct lab *l)
{
	set_entry(l, "a.vhdx", 8, get_entry(l, "a.vhdx", 4));
}

static void bitmap_shared(struct lab *l)
{
	set_entry(l, "b.avhdx", BITMAP_INDEX,
		  VHDX_ENTRY_OFFSET(get_entry(l, "b.avhdx", 4)) | VHDX_FULLY_PRESENT);
}

static void bitmap_missing(struct lab *l)
{
	set_entry(l, "b.avhdx", BITMAP_INDEX, 0);
}

static void bitmap_outside(struct lab *l)
{
	set_entry(l, "b.avhdx", BITMAP_INDEX,
		  align_up(length(l, "b.avhdx"), MIB) | VHDX_FULLY_PRESENT);
}

static void bits_empty(struct lab *l)
{
	wipe(l, "b.avhdx", bits_of(l, 4), 256);
}

static void bits_stale(struct lab *l)
{
	const uint8_t bits = 0x10;

	poke(l, "b.avhdx", bits_of(l, 2) + 7, &bits, 1);
}

static void bits_beyond(struct lab *l)
{
	const uint8_t bits = 0x02;

	/* The last block has 8 sectors of the disk. */
	poke(l, "b.avhdx", bits_of(l, 20) + 1, &bits, 1);
}

static void space_lost(struct lab *l)
{
	set_entry(l, "a.vhdx", 4, 0);
}

static void space_behind(struct lab *l)
{
	cut(l, "a.vhdx", length(l, "a.vhdx") + 100 * MIB);
}

/* ---- Parents ---- */

static uint64_t locator(struct lab *l)
{
	return item_offset(l, "b.avhdx", VHDX_ITEM_PARENT_LOCATOR);
}

static struct vhdx_locator_entry locator_entry(struct lab *l, unsigned i)
{
	struct vhdx_locator_entry e;

	peek(l, "b.avhdx", locator(l) + 20 + 12 * i, &e, sizeof(e));
	return e;
}

static void set_locator_entry(struct lab *l, unsigned i, const struct vhdx_locator_entry *e)
{
	poke(l, "b.avhdx", locator(l) + 20 + 12 * i, e, sizeof(*e));
}

static void locator_type(struct lab *l)
{
	wipe(l, "b.avhdx", locator(l), 4);
}

static void locator_count(struct lab *l)
{
	const uint16_t v = 300;

	poke(l, "b.avhdx", locator(l) + 18, &v, 2);
}

static void locator_outside(struct lab *l)
{
	struct vhdx_locator_entry e = locator_entry(l, 1);

	e.value_offset = 0xfffffff0;
	set_locator_entry(l, 1, &e);
}

static void locator_twice(struct lab *l)
{
	struct vhdx_locator_entry e = locator_entry(l, 1);

	set_locator_entry(l, 0, &e);
}

/* The number of the entry with a key of so many letters. */
static unsigned entry_with_key(struct lab *l, unsigned letters)
{
	unsigned i = 0;

	while (locator_entry(l, i).key_bytes != 2 * letters) {
		i++;
	}
	return i;
}

static void locator_no_linkage(struct lab *l)
{
	const uint8_t letter = 'P';

	poke(l, "b.avhdx", locator(l) + locator_entry(l, entry_with_key(l, 14)).key_offset, &letter,
	     1);
}

static void locator_bad_linkage(struct lab *l)
{
	const uint8_t letter = 'x';

	poke(l, "b.avhdx", locator(l) + locator_entry(l, entry_with_key(l, 14)).value_offset + 4,
	     &letter, 1);
}

static void locator_no_path(struct lab *l)
{
	const uint16_t v = 1;
	struct vhdx_locator_entry e = locator_entry(l, entry_with_key(l, 14));

	poke(l, "b.avhdx", locator(l) + 18, &v, 2);
	set_locator_entry(l, 0, &e);
}

static void parent_gone(struct lab *l)
{
	EXPECT_EQ(l->test, l->host->remove(l->host->ctx, "a.vhdx"), 0);
}

static void parent_changed(struct lab *l)
{
	lab_write(l, "a.vhdx", 0, 512, 77);
}

static void parent_loop(struct lab *l)
{
	const struct vhd_create child = {.format = VHD_VHDX_DIFFERENCING, .parent = "b.avhdx"};
	struct vhd_locator *locator = malloc(sizeof(*locator));

	lab_create(l, "c.avhdx", &child);
	parent_gone(l);
	EXPECT_EQ(l->test, l->host->rename(l->host->ctx, "c.avhdx", "a.vhdx"), 0);
	struct vhd_disk *d = lab_open(l, "b.avhdx", VHD_OPEN_WRITE | VHD_OPEN_NO_PARENT);

	LAB_EXPECT(l, d->layer->ops->locator(d->layer, locator, &l->error), 0);
	locator->linkage = header_of(l, "a.vhdx").data_write;
	LAB_EXPECT(l, d->layer->ops->set_locator(d->layer, locator, &l->error), 0);
	lab_close(l, d);
	free(locator);
}

#define ERROR VHD_FINDING_ERROR
#define WARNING VHD_FINDING_WARNING

static const struct damage damages[] = {
	{"identifier", identifier, "a.vhdx", ERROR, true, "file identifier", VHD_NOT_A_DISK,
	 "neither VHD (no \"conectix\" footer in the last sector or copy at 0) nor VHDX (no "
	 "\"vhdxfile\" at 0); say that it is raw if it is"},
	{"other header", header_other, "a.vhdx", WARNING, true, "is good, repair writes it anew"},
	{"current header", header_current, "a.vhdx", WARNING, true, "no signature \"head\""},
	{"headers lost", headers_lost, "a.vhdx", ERROR, false, "neither has a signature \"head\"",
	 VHD_CORRUPT,
	 "headers at 0x10000 and 0x20000: found neither with the expected signature \"head\" and "
	 "the right checksum; run check"},
	{"headers equal", headers_equal, "a.vhdx", ERROR, false, "same sequence number",
	 VHD_CORRUPT, "headers at 0x10000 and 0x20000 differ and have the same sequence"},
	{"version", header_version, "a.vhdx", ERROR, false, "version 2", VHD_UNSUPPORTED,
	 "header 1 at 0x10000: version 2, expected 1; the file needs newer software"},
	{"log misaligned", log_misaligned, "a.vhdx", ERROR, false, "expected whole MiB",
	 VHD_CORRUPT,
	 "header 1 at 0x10000: log of 0x100000 bytes at 0x101000; expected whole MiB, from 1 MiB "
	 "on; run check"},
	{"log outside", log_outside, "a.vhdx", ERROR, false, "the log ends at", VHD_TRUNCATED,
	 "header 1 at 0x10000: log of 0x100000 bytes at 0x900000, but the file has only 0x900000; "
	 "get a complete copy"},
	{"foreign log", log_foreign, "a.vhdx", ERROR, false, "no whole sequence", VHD_CORRUPT,
	 "must be replayed, but found no valid sequence of its entries; run check"},
	{"log", crash, "crashed.vhdx", WARNING, true, "wait to be made"},
	{"cut", crash_cut, "crashed.vhdx", ERROR, false, "it was cut off", VHD_TRUNCATED,
	 "log entry at 0x100000: the file had 0x900000 bytes when it was written and has 0x800000; "
	 "its end is missing, get a complete copy"},
	{"torn log", crash_torn, "crashed.vhdx", ERROR, false, "no whole sequence", VHD_CORRUPT,
	 "must be replayed, but found no valid sequence of its entries; run check"},
	{"regions 1", regions_first, "a.vhdx", WARNING, true, "region table 1:"},
	{"regions 2", regions_second, "a.vhdx", WARNING, true, "region table 2:"},
	{"regions lost", regions_lost, "a.vhdx", ERROR, false, "neither has a signature \"regi\"",
	 VHD_CORRUPT, "expected 0x69676572 (\"regi\"); run check"},
	{"regions differ", regions_differ, "a.vhdx", ERROR, false, "they differ"},
	{"unknown region", region_unknown, "a.vhdx", ERROR, false, "is unknown here",
	 VHD_UNSUPPORTED, "is unknown here and marked as required; the file needs newer software"},
	{"region twice", region_twice, "a.vhdx", ERROR, false, "is there already", VHD_CORRUPT,
	 "region table 1 at 0x30000: entry 2, 0x100000 bytes at 0x200000, collides with a second "
	 "entry of its kind; run check"},
	{"region misaligned", region_misaligned, "a.vhdx", ERROR, false, "expected whole MiB",
	 VHD_CORRUPT,
	 ") names 0x100000 bytes at 0x301000; expected whole MiB, from 1 MiB on; run check"},
	{"region outside", region_outside, "a.vhdx", ERROR, false, "but the file at", VHD_TRUNCATED,
	 "the BAT of 0x100000 bytes lies at 0x900000, but the file has only 0x900000; get a "
	 "complete copy"},
	{"region on log", region_on_log, "a.vhdx", ERROR, false, "overlap the log", VHD_CORRUPT,
	 "region table 1 at 0x30000: entry 1, 0x100000 bytes at 0x100000, collides with the log; "
	 "run check"},
	{"region on region", region_on_region, "a.vhdx", ERROR, false, "overlap entry", VHD_CORRUPT,
	 "region table 1 at 0x30000: entry 1, 0x100000 bytes at 0x300000, collides with another "
	 "region; run check"},
	{"no table", region_no_bat, "a.vhdx", ERROR, false, "no usable block allocation table",
	 VHD_CORRUPT, "region table 1 at 0x30000: has no BAT region; every disk needs one"},
	{"table too small", bat_small, "a.vhdx", ERROR, false, "but the disk needs", VHD_CORRUPT,
	 "the BAT at 0x300000 has 0x100000 bytes; a disk of 274877906944 bytes in blocks of "
	 "1048576 needs 0x2001f8"},
	{"metadata", metadata_signature, "a.vhdx", ERROR, false, "metadata table: signature",
	 VHD_CORRUPT,
	 "metadata table at 0x200000: signature 0x0 and 5 entries; expected 0x617461646174656d "
	 "(\"metadata\") and at most 2047; run check"},
	{"missing item", item_missing, "a.vhdx", ERROR, false,
	 "no usable item \"logical sector size\"", VHD_CORRUPT,
	 "metadata table at 0x200000: has no item \"logical sector size\"; every disk needs one"},
	{"unknown item", item_unknown, "a.vhdx", ERROR, false, "is unknown here", VHD_UNSUPPORTED,
	 "0x4 bytes at 0x10020, flags 0x6): is unknown here and marked as required; the file needs "
	 "newer software"},
	{"item's length", item_length, "a.vhdx", ERROR, false, "4 bytes; expected 8", VHD_CORRUPT,
	 "0x4 bytes at 0x10008, flags 0x6): has the wrong length; run check"},
	{"item outside", item_outside, "a.vhdx", ERROR, false, "of the region; expected",
	 VHD_CORRUPT,
	 "flags 0x6): expected at most 1 MiB between the table and the end of the region; run "
	 "check"},
	{"items overlap", item_overlap, "a.vhdx", ERROR, false, "overlaps entry", VHD_CORRUPT,
	 "0x4 bytes at 0x1001c, flags 0x6): overlaps an earlier item; run check"},
	{"item twice", item_twice, "a.vhdx", ERROR, false, "is there already", VHD_CORRUPT,
	 "0x4 bytes at 0x10024, flags 0x6): is there twice; run check"},
	{"user and required", item_user_required, "a.vhdx", ERROR, false, "which cannot be",
	 VHD_CORRUPT,
	 "0x4 bytes at 0x10024, flags 0x7): is a user item and required, which cannot be; run "
	 "check"},
	{"incomplete", item_incomplete, "a.vhdx", ERROR, false, "never finished", VHD_INCOMPLETE,
	 "0x0 bytes at 0x0, flags 0x4): the creation of this disk was never finished; create it "
	 "again"},
	{"sector size", value_sector, "a.vhdx", ERROR, false, "\"logical sector size\": 513",
	 VHD_UNSUPPORTED,
	 "metadata items from 0x210000 on: sector sizes 513 (logical) and 4096 (physical); "
	 "expected 512 or 4096"},
	{"physical sector size", value_physical, "a.vhdx", ERROR, false,
	 "\"physical sector size\": 0", VHD_UNSUPPORTED,
	 "metadata items from 0x210000 on: sector sizes 512 (logical) and 0 (physical); expected "
	 "512 or 4096"},
	{"block size", value_block, "a.vhdx", ERROR, false, "\"file parameters\": 3145728",
	 VHD_CORRUPT,
	 "metadata items from 0x210000 on: file parameters: block size 3145728; expected a power "
	 "of two from 1 to 256 MiB"},
	{"size", value_size, "a.vhdx", ERROR, false, "\"virtual disk size\"", VHD_CORRUPT,
	 "metadata items from 0x210000 on: virtual disk size 70368744178176; expected a multiple "
	 "of the sector size 512 up to 64 TiB"},
	{"claims a parent", claims_parent, "a.vhdx", ERROR, false, "no parent locator", VHD_CORRUPT,
	 "metadata items from 0x210000 on: file parameters: has a parent, but there is no parent "
	 "locator; run check"},
	{"denies its parent", denies_parent, "b.avhdx", WARNING, false, "the disk has no parent"},
	{"state 4", state_four, "a.vhdx", ERROR, false, "has the state 4", 0,
	 "BAT entry 8 at 0x300040 (data): found state 4, offset 0x0; expected a block of 1048576 "
	 "bytes within the file's 9437184, apart from log, BAT and metadata; run check"},
	{"partial without parent", state_partial, "a.vhdx", ERROR, false, "has the state 7"},
	{"bitmap's state", state_bitmap, "b.avhdx", ERROR, false, "expected 0 or 6", 0,
	 "BAT entry 4096 at 0x308000 (a sector bitmap): found state 2, offset 0x0; expected a "
	 "bitmap of 1048576 bytes within the file's 8388608, apart from log, BAT and metadata; run "
	 "check"},
	{"reserved", reserved_bits, "a.vhdx", WARNING, false, "reserved"},
	{"entry outside", entry_outside, "a.vhdx", ERROR, false, "but the file at", 0,
	 "BAT entry 8 at 0x300040 (data): found state 6, offset 0x900000; expected a block of "
	 "1048576 bytes within the file's 9437184, apart from log, BAT and metadata; run check"},
	{"entry far outside", entry_far_outside, "a.vhdx", ERROR, false, "but the file at", 0,
	 "BAT entry 8 at 0x300040 (data): found state 6, offset 0xfffffffffff00000; expected a "
	 "block of 1048576 bytes within the file's 9437184, apart from log, BAT and metadata; run "
	 "check"},
	{"short file", file_short, "a.vhdx", ERROR, false, "the file is too short", 0,
	 "BAT entry 20 at 0x3000a0 (data): found state 6, offset 0x800000; expected a block of "
	 "1048576 bytes within the file's 8392704, apart from log, BAT and metadata; run check"},
	{"entry on headers", entry_on_headers, "a.vhdx", ERROR, false, "overlaps the headers", 0,
	 "BAT entry 8 at 0x300040 (data): found state 6, offset 0x0; expected a block of 1048576 "
	 "bytes within the file's 9437184, apart from log, BAT and metadata; run check"},
	{"entry on table", entry_on_bat, "a.vhdx", ERROR, false,
	 "overlaps the block allocation table", 0,
	 "BAT entry 8 at 0x300040 (data): found state 6, offset 0x300000; expected a block of "
	 "1048576 bytes within the file's 9437184, apart from log, BAT and metadata; run check"},
	{"shared", blocks_shared, "a.vhdx", ERROR, false, "lies where the block 4"},
	{"shared bitmap", bitmap_shared, "b.avhdx", ERROR, false, "bitmap of chunk 0 at"},
	{"no bitmap", bitmap_missing, "b.avhdx", ERROR, false, "no usable bitmap", 0,
	 "BAT entry 4096 at 0x308000 (a sector bitmap): found state 0, offset 0x0; expected a "
	 "bitmap of 1048576 bytes within the file's 8388608, apart from log, BAT and metadata; run "
	 "check"},
	{"bitmap outside", bitmap_outside, "b.avhdx", ERROR, false, "no usable bitmap", 0,
	 "BAT entry 4096 at 0x308000 (a sector bitmap): found state 6, offset 0x800000; expected a "
	 "bitmap of 1048576 bytes within the file's 8388608, apart from log, BAT and metadata; run "
	 "check"},
	{"empty", bits_empty, "b.avhdx", WARNING, false, "no sector is marked"},
	{"stale", bits_stale, "b.avhdx", WARNING, true, "the block is not in this file"},
	{"beyond", bits_beyond, "b.avhdx", WARNING, true, "behind the end of the disk"},
	{"lost", space_lost, "a.vhdx", WARNING, false, "between blocks"},
	{"lost behind", space_behind, "a.vhdx", WARNING, false, "its last"},
	{"locator type", locator_type, "b.avhdx", ERROR, false, "of the unknown type",
	 VHD_UNSUPPORTED,
	 "metadata item at 0x220000: parent locator: found another type or more keys than "
	 "expected: that for VHDX and at most 256; the file needs newer software"},
	{"locator count", locator_count, "b.avhdx", ERROR, false, "300 entries", VHD_UNSUPPORTED,
	 "metadata item at 0x220000: parent locator: found another type or more keys than "
	 "expected: that for VHDX and at most 256; the file needs newer software"},
	{"locator outside", locator_outside, "b.avhdx", ERROR, false, "expected UTF-16 within",
	 VHD_CORRUPT,
	 "metadata item at 0x220000: parent locator: key 1 of 3 lies outside the 278 bytes of the "
	 "item, or its GUID is none; reconnect the disk"},
	{"locator twice", locator_twice, "b.avhdx", ERROR, false, "its key is there already",
	 VHD_CORRUPT,
	 "metadata item at 0x220000: parent locator: has no \"parent_linkage\"; reconnect the "
	 "disk"},
	{"no linkage", locator_no_linkage, "b.avhdx", ERROR, false, "no \"parent_linkage\"",
	 VHD_CORRUPT,
	 "metadata item at 0x220000: parent locator: has no \"parent_linkage\"; reconnect the "
	 "disk"},
	{"bad linkage", locator_bad_linkage, "b.avhdx", ERROR, false, "no GUID in braces",
	 VHD_CORRUPT,
	 "metadata item at 0x220000: parent locator: key 0 of 3 lies outside the 278 bytes of the "
	 "item, or its GUID is none; reconnect the disk"},
	{"no path", locator_no_path, "b.avhdx", ERROR, false, "where the parent is",
	 VHD_PARENT_MISSING,
	 "its parent is not there: recorded as \"\", looked for in /; put it there or reconnect "
	 "the disk to where it is"},
	{"parent gone", parent_gone, "b.avhdx", ERROR, false, "parent is not there",
	 VHD_PARENT_MISSING,
	 "its parent is not there: recorded as \".\\a.vhdx\", looked for in /; put it there or "
	 "reconnect the disk to where it is"},
	{"parent changed", parent_changed, "b.avhdx", ERROR, false, "must have the identity",
	 VHD_PARENT_MISMATCH, ": it was changed or replaced after the child was made"},
	{"parent's sectors", parent_sectors, "b.avhdx", ERROR, false, "has sectors of 512 bytes",
	 VHD_PARENT_SIZE, "has sectors of 512 bytes, but its parent /a.vhdx of 4096"},
	{"loop", parent_loop, "b.avhdx", ERROR, false, "already in the chain", VHD_CHAIN_CYCLE,
	 "its parent is /b.avhdx, which is already in the chain"},
};

static void test_damage(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct lab l;

		lab_init(&l, t);
		make_files(&l);
		check_damage(&l, &damages[i]);
		lab_fini(&l);
	}
}

static void test_clean(struct test *t)
{
	const struct vhd_create fixed = {.format = VHD_VHDX_FIXED, .bytes = DISK},
				large = {.format = VHD_VHDX_DYNAMIC, .bytes = UINT64_C(64) << 40};
	struct lab l;

	lab_init(&l, t);
	make_files(&l);
	lab_create(&l, "f.vhdx", &fixed);
	lab_create(&l, "l.vhdx", &large);
	EXPECT_EQ(t, lab_check_clean(&l, "a.vhdx"), 0);
	EXPECT_EQ(t, lab_check_clean(&l, "b.avhdx"), 0);
	EXPECT_EQ(t, lab_check_clean(&l, "f.vhdx"), 0);
	EXPECT_EQ(t, lab_check_clean(&l, "l.vhdx"), 0);
	lab_fini(&l);
}

/* A repaired log is a replayed one. */
static void test_replayed(struct test *t)
{
	const struct lab_write more = {12 * MIB, 8192, 9};
	struct lab_write all[ARRAY_LEN(writes) + 1];
	struct findings *f = malloc(sizeof(*f));
	struct lab l;

	memcpy(all, writes, sizeof(writes));
	all[ARRAY_LEN(writes)] = more;
	lab_init(&l, t);
	make_files(&l);
	crash(&l);
	lab_verify(&l, "crashed.vhdx", all,
		   ARRAY_LEN(all)); /* by the view of whoever may only read */
	examine(&l, "crashed.vhdx", true, f);
	EXPECT_EQ(t, f->result.repaired, 1);
	lab_verify(&l, "crashed.vhdx", all, ARRAY_LEN(all));
	EXPECT_EQ(t, lab_check_clean(&l, "crashed.vhdx"), 0);
	struct vhdx_header h = header_of(&l, "crashed.vhdx");

	EXPECT(t, guid_is_zero(&h.log));
	free(f);
	lab_fini(&l);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_clean), TEST(test_damage),
						 TEST(test_replayed)};

	return test_main(cases, ARRAY_LEN(cases));
}
