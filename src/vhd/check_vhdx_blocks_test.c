// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: blocks and sector bitmaps. */
#include "check_vhdx_test.h"

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

static const struct damage damages[] = {
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
	{"shared", blocks_shared, "a.vhdx", ERROR, false, "lies where the block 4", 0, NULL, true},
	{"shared bitmap", bitmap_shared, "b.avhdx", ERROR, false, "bitmap of chunk 0 at", 0, NULL,
	 true},
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
