// SPDX-License-Identifier: Apache-2.0
/* The small chips, the dispatch, and the life of the whole board. */
#include <errno.h>

#include "script_test.h"

static void test_nobody_there(struct test *t)
{
	SCRIPT(t, {IN, 0x300, 0xff}, {INW, 0x300, 0xffff}, {INL, 0x300, 0xffffffff},
	       {OUTL, 0x300, 1}, {IN, 0xffff, 0xff}, {INL, 0xffff, 0xffffffff}, {OUTL, 0xffff, 1},
	       {IN, 0xed, 0xff});
}

static void test_wide_accesses_fall_apart(struct test *t)
{
	SCRIPT(t, {OUT, 0x3ff, 0x5a}, {INW, 0x3fe, 0x5ab0}, {INL, 0x3fc, 0x5ab06000},
	       {OUTW, 0x20, 0}, {INW, 0x20, 0x0000}, {INW, 0x3ff, 0x005a});
}

static void test_pci_has_no_device(struct test *t)
{
	SCRIPT(t, {OUTL, 0xcf8, 0x80000003}, {INL, 0xcf8, 0x80000000}, {INL, 0xcfc, 0xffffffff},
	       {INW, 0xcfe, 0xffff}, {IN, 0xcff, 0xff}, {OUTL, 0xcfc, 0}, {OUT, 0xcfb, 1},
	       {INL, 0xcf8, 0x80000000}, {OUTL, 0xcf8, 0xffffffff}, {INL, 0xcf8, 0x80fffffc},
	       {OUT, 0xcf8, 0}, {INL, 0xcf8, 0x80fffffc});
}

static void test_reset_ports(struct test *t)
{
	SCRIPT(t, {OUT, 0xcf9, 2}, {IN, 0xcf9, 2}, {POWER, 0, 0}, {OUT, 0xcf9, 6},
	       {POWER, 1, BOARD_POWER_RESET}, {IN, 0x92, 2}, {OUT, 0x92, 0}, {IN, 0x92, 0},
	       {OUT, 0x92, 3}, {POWER, 2, BOARD_POWER_RESET}, {OUT, 0x92, 3},
	       {POWER, 2, BOARD_POWER_RESET});
}

static void test_i8042(struct test *t)
{
	SCRIPT(t, {IN, 0x64, 0x14}, {OUT, 0x64, 0xaa}, {IN, 0x64, 0x1d}, {IN, 0x60, 0x55},
	       {IN, 0x64, 0x1c}, {OUT, 0x64, 0xd1}, {OUT, 0x60, 0xdf}, {POWER, 0, 0},
	       {OUT, 0x64, 0xd0}, {IN, 0x60, 0xdf}, {OUT, 0x64, 0x60}, {OUT, 0x60, 0x65},
	       {OUT, 0x64, 0x20}, {IN, 0x60, 0x65}, {OUT, 0x60, 0xff}, {IN, 0x64, 0x14},
	       {OUT, 0x64, 0xff}, {POWER, 0, 0}, {OUT, 0x64, 0xfe}, {POWER, 1, BOARD_POWER_RESET},
	       {OUT, 0x64, 0xd1}, {OUT, 0x60, 0xde}, {POWER, 2, BOARD_POWER_RESET});
}

static void test_i8042_interrupt(struct test *t)
{
	SCRIPT(t, {OUT, 0x20, 0x11}, {OUT, 0x21, 0x20}, {OUT, 0x21, 4}, {OUT, 0x21, 1},
	       {OUT, 0x21, 0xfd}, {OUT, 0x64, 0x60}, {OUT, 0x60, 1}, {OUT, 0x64, 0xd2},
	       {EXTINT, 0, 0}, {OUT, 0x60, 0x1c}, {EXTINT, 1, 0}, {ACK, 0x21, 0}, {IN, 0x60, 0x1c},
	       {OUT, 0x20, 0x20}, {EXTINT, 0, 0});
}

static void test_post_port(struct test *t)
{
	SCRIPT(t, {OUT, 0x80, 0x42}, {IN, 0x80, 0x42});
}

static void test_reset_of_everything(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);
	static uint8_t fresh[4096], after[4096];

	/* the chips that survive a reset are left alone here */
	size_t bytes = board_save(b, fresh, sizeof(fresh));

	for (unsigned port = 0; port < 0x500; port++) {
		if ((port & ~3u) != 0x70) {
			board_port_write(b, (uint16_t)port, 1, 0x5a);
		}
	}
	for (unsigned i = 0; i < 0x40; i++) {
		board_mmio_write(b, BOARD_IOAPIC_GPA, 4, i);
		board_mmio_write(b, BOARD_IOAPIC_GPA + 0x10, 4, 0x5a5a5a5a);
	}
	EXPECT_EQ(t, board_save(b, after, sizeof(after)), bytes);
	EXPECT(t, memcmp(fresh, after, bytes) != 0);
	board_reset(b);
	EXPECT_EQ(t, board_save(b, after, sizeof(after)), bytes);
	EXPECT_MEM(t, after, fresh, bytes);
	board_destroy(b);
}

static void test_without_legacy_chips(struct test *t)
{
	static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1,
					 0x40, 0x41, 0x42, 0x43, 0x61};
	struct script_world w = script_world();
	struct board *b = script_board_that(&w, true), *whole;
	static uint8_t state[4096], other[4096];

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		board_port_write(b, ports[i], 1, 0x11);
		EXPECT_EQ(t, board_port_read(b, ports[i], 1), 0xff);
	}
	board_mmio_write(b, BOARD_IOAPIC_GPA, 4, 0x10 + 2 * 4);
	board_mmio_write(b, BOARD_IOAPIC_GPA + 0x10, 4, 0x44);
	board_set_irq(b, 4, true);
	EXPECT_EQ(t, w.last_interrupt & 0xff, 0x44);
	EXPECT(t, !w.extint);
	EXPECT_EQ(t, board_pic_ack(b), -1);
	board_reset(b);
	script_wait(&w, b, 100000000);
	/* A whole board needs more than that state has. */
	size_t bytes = board_save(b, state, sizeof(state));

	EXPECT_EQ(t, board_restore(b, state, bytes), 0);
	whole = script_board(&w);
	EXPECT_EQ(t, board_restore(whole, state, bytes), -EINVAL);
	EXPECT_EQ(t, board_restore(b, other, board_save(whole, other, sizeof(other))), 0);
	board_destroy(whole);
	board_destroy(b);
}

/* Every damaged byte and every length of a saved state restores or is refused; afterwards the board still works. */
static void test_restore_of_damaged_state(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);
	static uint8_t good[4096], bad[4096];
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

	board_port_write(b, 0x43, 1, 0x34);
	board_port_write(b, 0x40, 1, 0x10);
	board_port_write(b, 0x40, 1, 0x10);
	size_t bytes = board_save(b, good, sizeof(good));

	for (size_t n = 0; n < bytes; n++) {
		EXPECT_EQ(t, board_restore(b, good, n), -EINVAL);
	}
	for (size_t at = 0; at < bytes; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			memcpy(bad, good, bytes);
			bad[at] = values[v];
			int r = board_restore(b, bad, bytes);

			EXPECT(t, r == 0 || r == -EINVAL);
			script_wait(&w, b, 100000);
			for (uint16_t port = 0x40; port < 0x44; port++) {
				board_port_read(b, port, 1);
			}
			board_port_write(b, 0x70, 1, 0x0c);
			board_port_read(b, 0x71, 1);
			board_port_read(b, 0x61, 1);
			board_port_read(b, 0x3f8, 1);
			w.deadline_ns = board_deadline_ns(b);
		}
	}
	EXPECT_EQ(t, board_restore(b, good, bytes), 0);
	EXPECT_EQ(t, board_save(b, bad, 10), bytes); /* says what it needs */
	board_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_nobody_there),
		TEST(test_wide_accesses_fall_apart),
		TEST(test_pci_has_no_device),
		TEST(test_reset_ports),
		TEST(test_i8042),
		TEST(test_i8042_interrupt),
		TEST(test_post_port),
		TEST(test_reset_of_everything),
		TEST(test_without_legacy_chips),
		TEST(test_restore_of_damaged_state),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
