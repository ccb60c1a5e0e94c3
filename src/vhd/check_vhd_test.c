// SPDX-License-Identifier: Apache-2.0
#include "check_test.h"
#include "vhd_layout.h"

#define DISK (20 * MIB)
#define BLOCK (2 * MIB)

static const struct lab_write writes[] = {{0, 512, 1}, {3 * MIB, 3 * MIB, 2}, {DISK - 512, 512, 3}};

static void make_files(struct lab *l)
{
	const struct vhd_create fixed = {.format = VHD_VHD_FIXED, .bytes = DISK},
				dynamic = {.format = VHD_VHD_DYNAMIC, .bytes = DISK},
				child = {.format = VHD_VHD_DIFFERENCING, .parent = "a.vhd"};

	lab_create(l, "f.vhd", &fixed);
	lab_create(l, "a.vhd", &dynamic);
	lab_write_all(l, "a.vhd", writes, ARRAY_LEN(writes));
	lab_create(l, "b.avhd", &child);
	lab_write(l, "b.avhd", 4 * MIB, 4096, 4);
	lab_write(l, "b.avhd", DISK - 512, 512, 5);
}

static struct vhd_header header_of(struct lab *l, const char *path)
{
	uint8_t raw[VHD_HEADER_BYTES];
	struct vhd_header h = {0};
	char text[VHD_FAULT_BYTES];

	peek(l, path, 512, raw, sizeof(raw));
	EXPECT(l->test, vhd_header_decode(raw, &h, text) == NULL);
	return h;
}

static void set_header(struct lab *l, const char *path, const struct vhd_header *h)
{
	uint8_t raw[VHD_HEADER_BYTES];

	vhd_header_encode(h, raw);
	poke(l, path, 512, raw, sizeof(raw));
}

static struct vhd_footer footer_of(struct lab *l, const char *path)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	struct vhd_footer f = {0};
	char text[VHD_FAULT_BYTES];

	peek(l, path, length(l, path) - 512, raw, sizeof(raw));
	EXPECT(l->test, vhd_footer_decode(raw, &f, text) == NULL);
	return f;
}

static void set_footer(struct lab *l, const char *path, uint64_t offset, const struct vhd_footer *f)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	vhd_footer_encode(f, raw);
	poke(l, path, offset, raw, sizeof(raw));
}

static uint64_t entry_at(struct lab *l, const char *path, unsigned i)
{
	return header_of(l, path).table_offset + 4 * i;
}

static uint32_t get_entry(struct lab *l, const char *path, unsigned i)
{
	uint8_t raw[4];

	peek(l, path, entry_at(l, path, i), raw, sizeof(raw));
	return load_be32(raw);
}

static void set_entry(struct lab *l, const char *path, unsigned i, uint32_t sector)
{
	uint8_t raw[4];

	store_be32(raw, sector);
	poke(l, path, entry_at(l, path, i), raw, sizeof(raw));
}

/* ---- Damage ---- */

static void copy_lost(struct lab *l)
{
	wipe(l, "a.vhd", 0, 512);
}

static void copy_torn(struct lab *l)
{
	wipe(l, "a.vhd", 60, 30);
}

static void copy_differs(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "a.vhd");

	f.timestamp++;
	set_footer(l, "a.vhd", 0, &f);
}

static void tail_lost(struct lab *l)
{
	wipe(l, "a.vhd", length(l, "a.vhd") - 512, 512);
}

static void tail_cut(struct lab *l)
{
	cut(l, "a.vhd", length(l, "a.vhd") - 512);
}

static void tail_torn(struct lab *l)
{
	wipe(l, "b.avhd", length(l, "b.avhd") - 500, 32);
}

static void both_lost(struct lab *l)
{
	wipe(l, "a.vhd", 64, 4);
	tail_lost(l);
}

static void fixed_lost(struct lab *l)
{
	wipe(l, "f.vhd", length(l, "f.vhd") - 512 + 64, 4);
}

static void fixed_short(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "f.vhd");

	f.current_bytes += MIB;
	set_footer(l, "f.vhd", length(l, "f.vhd") - 512, &f);
}

static void type_unknown(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "f.vhd");

	f.type = 6;
	set_footer(l, "f.vhd", length(l, "f.vhd") - 512, &f);
}

static void header_torn(struct lab *l)
{
	wipe(l, "a.vhd", 512 + 36, 4);
}

static void header_elsewhere(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "a.vhd");

	f.data_offset = length(l, "a.vhd");
	set_footer(l, "a.vhd", 0, &f);
	set_footer(l, "a.vhd", length(l, "a.vhd") - 512, &f);
}

static void header_entries(struct lab *l)
{
	struct vhd_header h = header_of(l, "a.vhd");

	h.entries = 3;
	set_header(l, "a.vhd", &h);
}

static void header_block(struct lab *l)
{
	struct vhd_header h = header_of(l, "a.vhd");

	h.block_bytes = 3 * MIB;
	set_header(l, "a.vhd", &h);
}

static void table_on_header(struct lab *l)
{
	struct vhd_header h = header_of(l, "a.vhd");

	h.table_offset = 1024;
	set_header(l, "a.vhd", &h);
}

static void entry_outside(struct lab *l)
{
	set_entry(l, "a.vhd", 4, (uint32_t)(length(l, "a.vhd") / 512) + 8);
}

static void file_short(struct lab *l)
{
	cut(l, "a.vhd", length(l, "a.vhd") - MIB);
}

static void entry_on_table(struct lab *l)
{
	set_entry(l, "a.vhd", 4, 3);
}

static void blocks_shared(struct lab *l)
{
	set_entry(l, "a.vhd", 4, get_entry(l, "a.vhd", 0));
}

static void blocks_overlap(struct lab *l)
{
	set_entry(l, "a.vhd", 4, get_entry(l, "a.vhd", 0) + 1000);
}

static void blocks_overlap_next(struct lab *l)
{
	set_entry(l, "a.vhd", 4, get_entry(l, "a.vhd", 1) - 7);
}

static void block_surplus(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "a.vhd");

	f.current_bytes = DISK - BLOCK;
	set_footer(l, "a.vhd", 0, &f);
	set_footer(l, "a.vhd", length(l, "a.vhd") - 512, &f);
}

static void bitmap_empty(struct lab *l)
{
	wipe(l, "b.avhd", (uint64_t)get_entry(l, "b.avhd", 2) * 512, 512);
}

static void bitmap_beyond(struct lab *l)
{
	const uint8_t bits = 0xff;
	const char *const paths[] = {"a.vhd", "b.avhd"};

	for (unsigned i = 0; i < 2; i++) {
		struct vhd_footer f = footer_of(l, paths[i]);

		f.current_bytes = DISK - MIB;
		set_footer(l, paths[i], 0, &f);
		set_footer(l, paths[i], length(l, paths[i]) - 512, &f);
	}
	poke(l, "b.avhd", (uint64_t)get_entry(l, "b.avhd", 9) * 512 + 300, &bits, 1);
}

static void space_lost(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "a.vhd");

	set_footer(l, "a.vhd", length(l, "a.vhd") + 8 * MIB, &f);
}

static void locator_outside(struct lab *l)
{
	struct vhd_header h = header_of(l, "b.avhd");

	h.locators[0].offset = length(l, "b.avhd");
	set_header(l, "b.avhd", &h);
}

static void locator_on_table(struct lab *l)
{
	struct vhd_header h = header_of(l, "b.avhd");

	h.locators[0].offset = h.table_offset;
	set_header(l, "b.avhd", &h);
}

static void locator_none(struct lab *l)
{
	struct vhd_header h = header_of(l, "b.avhd");

	memset(h.locators, 0, sizeof(h.locators));
	memset(h.parent_name, 0, sizeof(h.parent_name));
	set_header(l, "b.avhd", &h);
}

static void parent_gone(struct lab *l)
{
	EXPECT_EQ(l->test, l->host->remove(l->host->ctx, "a.vhd"), 0);
}

static void parent_other(struct lab *l)
{
	const struct vhd_create dynamic = {.format = VHD_VHD_DYNAMIC, .bytes = DISK};

	parent_gone(l);
	lab_create(l, "a.vhd", &dynamic);
}

static void parent_larger(struct lab *l)
{
	struct vhd_footer f = footer_of(l, "a.vhd");

	f.current_bytes -= 512;
	set_footer(l, "a.vhd", 0, &f);
	set_footer(l, "a.vhd", length(l, "a.vhd") - 512, &f);
}

#define ERROR VHD_FINDING_ERROR
#define WARNING VHD_FINDING_WARNING

static const struct damage damages[] = {
	{"copy lost", copy_lost, "a.vhd", WARNING, true, "copy of the footer: no \"conectix\""},
	{"copy torn", copy_torn, "a.vhd", WARNING, true, "copy of the footer: checksum"},
	{"copy differs", copy_differs, "a.vhd", WARNING, true, "differs from the footer"},
	{"tail lost", tail_lost, "a.vhd", WARNING, true, "footer at the end: no"},
	{"tail cut", tail_cut, "a.vhd", WARNING, true, "footer at the end"},
	{"tail torn", tail_torn, "b.avhd", WARNING, true, "footer at the end: checksum"},
	{"both lost", both_lost, "a.vhd", ERROR, false, "without either", VHD_CORRUPT,
	 "footer in the last sector: no \"conectix\" there; copy at 0: checksum"},
	{"fixed lost", fixed_lost, "f.vhd", ERROR, false, "checksum", VHD_CORRUPT,
	 "footer in the last sector: checksum"},
	{"fixed short", fixed_short, "f.vhd", ERROR, false, "lie before the footer", VHD_TRUNCATED,
	 "footer at 20971520: a fixed disk of 22020096 bytes, but only as many as its offset "
	 "precede it: the file is not complete"},
	{"type", type_unknown, "f.vhd", ERROR, false, "disk type 6", VHD_CORRUPT,
	 "footer in the last sector: disk type 6 instead of 2 (fixed), 3 (dynamic) or 4 "
	 "(differencing); copy at 0: no \"conectix\" there"},
	{"header torn", header_torn, "a.vhd", ERROR, false, "header: checksum", VHD_CORRUPT,
	 "dynamic header at 512: checksum"},
	{"header elsewhere", header_elsewhere, "a.vhd", ERROR, false, "places the header",
	 VHD_CORRUPT,
	 "footer: dynamic header at 8405504, in a file of 8405504 bytes; expected 512"},
	{"too few entries", header_entries, "a.vhd", ERROR, false, "3 table entries", VHD_CORRUPT,
	 "dynamic header at 512: 3 table entries, but the disk's size needs 10"},
	{"block size", header_block, "a.vhd", ERROR, false, "block size", VHD_CORRUPT,
	 "dynamic header at 512: block size 3145728 instead of a power of two from 512 up"},
	{"table on header", table_on_header, "a.vhd", ERROR, false, "overlap the header",
	 VHD_CORRUPT,
	 "BAT entry 0 at 1024: sector 0, but blocks begin at 3 or later; see virid disk check"},
	{"entry outside", entry_outside, "a.vhd", ERROR, false, "blocks must end before",
	 VHD_TRUNCATED,
	 "BAT entry 4 at 1552: block of 2097664 bytes at 8409600, but data ends at 8404992: the "
	 "file is not complete"},
	{"file short", file_short, "a.vhd", ERROR, false, "the file is too short", VHD_TRUNCATED,
	 "BAT entry 9 at 1572: block of 2097664 bytes at 6307328, but data ends at 7356928: the "
	 "file is not complete"},
	{"entry on table", entry_on_table, "a.vhd", ERROR, false,
	 "overlaps the block allocation table", VHD_CORRUPT,
	 "BAT entry 4 at 1552: sector 3, but blocks begin at 4 or later; see virid disk check"},
	{"shared", blocks_shared, "a.vhd", ERROR, false, "overlaps that of entry 0", VHD_CORRUPT,
	 "BAT: two blocks overlap, at sectors 7 and 7 (a block takes 4097); see virid disk check"},
	{"overlap", blocks_overlap, "a.vhd", ERROR, false, "overlaps that of entry", VHD_CORRUPT,
	 "BAT: two blocks overlap, at sectors 7 and 1007 (a block takes 4097); see virid disk "
	 "check"},
	{"overlap before", blocks_overlap_next, "a.vhd", ERROR, false, "overlaps that of entry",
	 VHD_CORRUPT,
	 "BAT: two blocks overlap, at sectors 4111 and 4104 (a block takes 4097); see virid disk "
	 "check"},
	{"surplus", block_surplus, "a.vhd", WARNING, false, "the disk has only 9 blocks"},
	{"empty", bitmap_empty, "b.avhd", WARNING, false, "no sector is marked"},
	{"beyond", bitmap_beyond, "b.avhd", WARNING, false, "behind the end of the disk"},
	{"lost", space_lost, "a.vhd", WARNING, false, "belong to no block"},
	{"locator outside", locator_outside, "b.avhd", ERROR, false, "parent locator 0x"},
	{"locator on table", locator_on_table, "b.avhd", ERROR, false,
	 "overlap the block allocation table"},
	{"no name", locator_none, "b.avhd", ERROR, false, "no name of its parent",
	 VHD_PARENT_MISSING,
	 "its parent is not there: recorded as \"\", looked for in /; put it there or reconnect "
	 "the disk to where it is"},
	{"parent gone", parent_gone, "b.avhd", ERROR, false, "parent is not there",
	 VHD_PARENT_MISSING,
	 "its parent is not there: recorded as \".\\a.vhd\", looked for in /; put it there or "
	 "reconnect the disk to where it is"},
	{"parent other", parent_other, "b.avhd", ERROR, false, "must have the identity",
	 VHD_PARENT_MISMATCH, ": it was changed or replaced after the child was made"},
	{"parent size", parent_larger, "b.avhd", ERROR, false, "bytes, but its parent",
	 VHD_PARENT_SIZE, "has 20971520 bytes, but its parent /a.vhd has 20971008"},
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
	struct lab l;

	lab_init(&l, t);
	make_files(&l);
	EXPECT_EQ(t, lab_check_clean(&l, "f.vhd"), 0);
	EXPECT_EQ(t, lab_check_clean(&l, "a.vhd"), 0);
	EXPECT_EQ(t, lab_check_clean(&l, "b.avhd"), 0);
	lab_fini(&l);
}

/* What is left without its footer at the end holds all its data once it is repaired. */
static void test_repaired_data(struct test *t)
{
	struct findings *all = malloc(sizeof(*all));
	struct lab l;

	lab_init(&l, t);
	make_files(&l);
	tail_cut(&l);
	examine(&l, "a.vhd", true, all);
	EXPECT_EQ(t, all->result.repaired, 1);
	lab_verify(&l, "a.vhd", writes, ARRAY_LEN(writes));
	free(all);
	lab_fini(&l);
}

/* A table full of nonsense gives a few findings and a number. */
static void test_flood(struct test *t)
{
	struct findings *all = malloc(sizeof(*all));
	struct lab l;

	lab_init(&l, t);
	make_files(&l);
	for (unsigned i = 0; i < 10; i++) {
		set_entry(&l, "a.vhd", i, 0x7fffff00u + i);
	}
	examine(&l, "a.vhd", false, all);
	EXPECT_EQ(t, all->result.errors, 10);
	EXPECT_EQ(t, all->count, 9);
	EXPECT(t, find_finding(all, "2 more of them") != NULL);
	free(all);
	lab_fini(&l);
}

static void test_no_disk(struct test *t)
{
	struct findings *all = malloc(sizeof(*all));
	struct lab l;

	lab_init(&l, t);
	EXPECT_EQ(t, vhd_testing_add(l.files, "x", "hello", 5), 0);
	EXPECT_EQ(t, vhd_testing_add(l.files, "empty", "", 0), 0);
	examine(&l, "x", false, all);
	EXPECT_EQ(t, all->status, VHD_NOT_A_DISK);
	examine(&l, "empty", false, all);
	EXPECT_EQ(t, all->status, VHD_NOT_A_DISK);
	examine(&l, "nothing", false, all);
	EXPECT_EQ(t, all->status, -ENOENT);
	free(all);
	lab_fini(&l);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_clean), TEST(test_damage),  TEST(test_repaired_data),
		TEST(test_flood), TEST(test_no_disk),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
