// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: file identifier, headers, log, region tables; and disks without a fault. */
#include "check_vhdx_test.h"

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
};

static void test_damage(struct test *t)
{
	check_damages(t, damages, ARRAY_LEN(damages));
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
