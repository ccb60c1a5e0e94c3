// SPDX-License-Identifier: Apache-2.0
#include "script_test.h"

#define LOW(pin) (0x10 + 2 * (pin))
#define HIGH(pin) (0x11 + 2 * (pin))
#define FIXED(vector, level) ((vector) | (level) << 8)

static void test_identity(struct test *t)
{
	SCRIPT(t, {MMIO_IN, 0, 0x02000000}, {MMIO_IN, 1, 0x00170011}, {MMIO_OUT, 0, 0x0f000000},
	       {MMIO_IN, 0, 0x0f000000}, {MMIO_IN, 2, 0x0f000000}, {MMIO_IN, LOW(0), 0x10000},
	       {MMIO_IN, HIGH(23), 0}, {MMIO_IN, 0x40, 0}, {MMIO_IN, 0xff, 0});
}

static void test_only_writable_bits_stay(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(5), 0xffffffff}, {MMIO_IN, LOW(5), 0x1afff},
	       {MMIO_OUT, HIGH(5), 0xffffffff}, {MMIO_IN, HIGH(5), 0xff000000});
}

static void test_edge(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, HIGH(4), 0x01000000}, {MMIO_OUT, LOW(4), 0x31}, {LINE, 4, 1},
	       {INTERRUPTS, 1, FIXED(0x31, 0) | 0x10000}, {LINE, 4, 1},
	       {INTERRUPTS, 1, FIXED(0x31, 0) | 0x10000}, {EOI, 0x31, 0},
	       {INTERRUPTS, 1, FIXED(0x31, 0) | 0x10000}, {LINE, 4, 0}, {LINE, 4, 1},
	       {INTERRUPTS, 2, FIXED(0x31, 0) | 0x10000}, {MMIO_IN, LOW(4), 0x31});
}

static void test_edge_while_masked_is_lost(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(4), 0x10031}, {LINE, 4, 1}, {MMIO_OUT, LOW(4), 0x31},
	       {INTERRUPTS, 0, 0});
}

static void test_level_and_remote_irr(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(9), 0x8041}, {LINE, 9, 1}, {INTERRUPTS, 1, FIXED(0x41, 1)},
	       {MMIO_IN, LOW(9), 0xc041}, {LINE, 9, 0}, {LINE, 9, 1},
	       {INTERRUPTS, 1, FIXED(0x41, 1)},
	       /* still asserted at the EOI: again */
	       {EOI, 0x41, 0}, {INTERRUPTS, 2, FIXED(0x41, 1)}, {LINE, 9, 0}, {EOI, 0x42, 0},
	       {MMIO_IN, LOW(9), 0xc041}, {EOI, 0x41, 0}, {MMIO_IN, LOW(9), 0x8041},
	       {INTERRUPTS, 2, FIXED(0x41, 1)});
}

/* The end of an interrupt was not told. */
static void test_level_ended_unheard(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(9), 0x8041}, {MMIO_OUT, LOW(10), 0x8042}, {LINE, 9, 1},
	       {LINE, 10, 1}, {INTERRUPTS, 2, FIXED(0x42, 1)}, {LINE, 10, 0},
	       /* both are on their way, or one is */
	       {ENDED, 0x41, 0}, {MMIO_IN, LOW(9), 0xc041}, {MMIO_IN, LOW(10), 0x8042},
	       {INTERRUPTS, 2, FIXED(0x42, 1)},
	       /* ended, and asserted still: again */
	       {ENDED, 0, 0}, {INTERRUPTS, 3, FIXED(0x41, 1)}, {MMIO_IN, LOW(9), 0xc041},
	       {LINE, 9, 0}, {ENDED, 0, 0}, {MMIO_IN, LOW(9), 0x8041}, {LINE, 9, 1},
	       {INTERRUPTS, 4, FIXED(0x41, 1)});
}

static void test_level_waits_for_the_mask(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(10), 0x18042}, {LINE, 10, 1}, {INTERRUPTS, 0, 0},
	       {MMIO_OUT, LOW(10), 0x8042}, {INTERRUPTS, 1, FIXED(0x42, 1)},
	       /* masked and unmasked with remote IRR set: once */
	       {MMIO_OUT, LOW(10), 0x18042}, {MMIO_OUT, LOW(10), 0x8042},
	       {INTERRUPTS, 1, FIXED(0x42, 1)});
}

static void test_switching_to_edge_clears_remote_irr(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(10), 0x8042}, {LINE, 10, 1}, {MMIO_OUT, LOW(10), 0x10042},
	       {MMIO_IN, LOW(10), 0x10042}, {MMIO_OUT, LOW(10), 0x18042},
	       {MMIO_IN, LOW(10), 0x18042}, {MMIO_OUT, LOW(10), 0x8042},
	       {INTERRUPTS, 2, FIXED(0x42, 1)});
}

static void test_shared_vector(struct test *t)
{
	SCRIPT(t, {MMIO_OUT, LOW(10), 0x8042}, {MMIO_OUT, LOW(11), 0x8042}, {LINE, 10, 1},
	       {LINE, 11, 1}, {INTERRUPTS, 2, FIXED(0x42, 1)}, {LINE, 10, 0}, {EOI, 0x42, 0},
	       {INTERRUPTS, 3, FIXED(0x42, 1)}, {MMIO_IN, LOW(10), 0x8042},
	       {MMIO_IN, LOW(11), 0xc042});
}

static void test_delivery_modes(struct test *t)
{
	/* type << 24 | destination << 16 | logical << 9 | level << 8 | vector */
	SCRIPT(t, {MMIO_OUT, HIGH(5), 0x03000000}, {MMIO_OUT, LOW(5), 0x0951}, {LINE, 5, 1},
	       {INTERRUPTS, 1, 0x01030251}, {LINE, 5, 0}, {MMIO_OUT, LOW(5), 0x0400}, {LINE, 5, 1},
	       {INTERRUPTS, 2, 0x04030000}, {LINE, 5, 0},
	       /* an NMI is an edge even if the entry says level */
	       {MMIO_OUT, LOW(5), 0x8400}, {LINE, 5, 1}, {INTERRUPTS, 3, 0x04030000},
	       {MMIO_IN, LOW(5), 0x8400});
}

static void test_wiring(struct test *t)
{
	/* ISA 0 arrives at pin 2; the 8259s' output at pin 0 as ExtINT */
	SCRIPT(t, {MMIO_OUT, LOW(2), 0x30}, {LINE, 0, 1}, {INTERRUPTS, 1, FIXED(0x30, 0)},
	       {LINE, 0, 0}, {MMIO_OUT, LOW(0), 0x700}, {OUT, 0x20, 0x11}, {OUT, 0x21, 0x20},
	       {OUT, 0x21, 4}, {OUT, 0x21, 1}, {OUT, 0x21, 0}, {LINE, 3, 1},
	       {INTERRUPTS, 2, 0x07000000}, {LINE, 2, 1}, {INTERRUPTS, 2, 0x07000000},
	       {LINE, 23, 1}, {LINE, 24, 1}, {LINE, 4000000000, 1});
}

static void test_access_sizes(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);
	uint64_t data;

	EXPECT(t, board_mmio_write(b, BOARD_IOAPIC_GPA, 1, 1));
	EXPECT(t, board_mmio_read(b, BOARD_IOAPIC_GPA + 0x12, 1, &data));
	EXPECT_EQ(t, data, 0x17);
	EXPECT(t, board_mmio_read(b, BOARD_IOAPIC_GPA + 0x10, 8, &data));
	EXPECT_EQ(t, data, 0x170011);
	EXPECT(t, board_mmio_read(b, BOARD_IOAPIC_GPA + 0x20, 4, &data));
	EXPECT_EQ(t, data, 0);
	EXPECT(t, board_mmio_read(b, BOARD_IOAPIC_GPA + 0xff8, 8, &data));
	EXPECT(t, !board_mmio_read(b, BOARD_IOAPIC_GPA + 0xffc, 8, &data));
	EXPECT(t, !board_mmio_read(b, BOARD_IOAPIC_GPA - 1, 1, &data));
	EXPECT_EQ(t, data, 0xff);
	EXPECT(t, !board_mmio_write(b, UINT64_MAX, 8, 0));
	board_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_identity),
		TEST(test_only_writable_bits_stay),
		TEST(test_edge),
		TEST(test_edge_while_masked_is_lost),
		TEST(test_level_and_remote_irr),
		TEST(test_level_ended_unheard),
		TEST(test_level_waits_for_the_mask),
		TEST(test_switching_to_edge_clears_remote_irr),
		TEST(test_shared_vector),
		TEST(test_delivery_modes),
		TEST(test_wiring),
		TEST(test_access_sizes),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
