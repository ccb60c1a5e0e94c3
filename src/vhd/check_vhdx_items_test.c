// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: the metadata table, its items, parents. */
#include "check_vhdx_test.h"

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

static const struct damage damages[] = {
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
	check_damages(t, damages, ARRAY_LEN(damages));
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_damage)};

	return test_main(cases, ARRAY_LEN(cases));
}
