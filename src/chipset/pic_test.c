// SPDX-License-Identifier: Apache-2.0
#include "script_test.h"

/* ICW1..4 with vectors 20h and 28h; @icw4 for both; nothing masked. */
#define INIT(icw4)                                                                                 \
	{OUT, 0x20, 0x11}, {OUT, 0x21, 0x20}, {OUT, 0x21, 4}, {OUT, 0x21, icw4},                   \
		{OUT, 0xa0, 0x11}, {OUT, 0xa1, 0x28}, {OUT, 0xa1, 2}, {OUT, 0xa1, icw4},           \
		{OUT, 0x21, 0},                                                                    \
	{                                                                                          \
		OUT, 0xa1, 0                                                                       \
	}
#define READ_ISR                                                                                   \
	{                                                                                          \
		OUT, 0x20, 0x0b                                                                    \
	}
#define READ_IRR                                                                                   \
	{                                                                                          \
		OUT, 0x20, 0x0a                                                                    \
	}

static void test_masked_after_reset(struct test *t)
{
	SCRIPT(t, {IN, 0x21, 0xff}, {IN, 0xa1, 0xff}, {IN, 0x4d0, 0}, {IN, 0x4d1, 2}, {LINE, 1, 1},
	       {EXTINT, 0, 0}, {ACK, -1, 0});
}

static void test_mask_register(struct test *t)
{
	SCRIPT(t, INIT(1), {OUT, 0x21, 0xfb}, {IN, 0x21, 0xfb}, {OUT, 0xa1, 0x55},
	       {IN, 0xa1, 0x55});
}

static void test_priority_and_eoi(struct test *t)
{
	SCRIPT(t, INIT(1), {LINE, 5, 1}, {LINE, 3, 1}, {EXTINT, 1, 0}, {ACK, 0x23, 0}, READ_ISR,
	       {IN, 0x20, 0x08}, READ_IRR, {IN, 0x20, 0x20},
	       /* 5 waits until 3 is done, 1 does not */
	       {EXTINT, 0, 0}, {LINE, 1, 1}, {EXTINT, 1, 0}, {ACK, 0x21, 0}, {OUT, 0x20, 0x20},
	       READ_ISR, {IN, 0x20, 0x08}, {EXTINT, 0, 0}, {OUT, 0x20, 0x63}, {EXTINT, 1, 0},
	       {ACK, 0x25, 0}, {OUT, 0x20, 0x20}, {EXTINT, 0, 0}, {IN, 0x20, 0});
}

static void test_cascade(struct test *t)
{
	SCRIPT(t, INIT(1), {LINE, 12, 1}, {EXTINT, 1, 0}, {ACK, 0x2c, 0}, READ_ISR,
	       {IN, 0x20, 0x04}, {OUT, 0xa0, 0x0b}, {IN, 0xa0, 0x10},
	       /* a higher slave input does not get through the master's cascade level */
	       {LINE, 8, 1}, {EXTINT, 0, 0}, {OUT, 0x20, 0x62}, {EXTINT, 1, 0}, {ACK, 0x28, 0},
	       {OUT, 0xa0, 0x20}, {OUT, 0x20, 0x20}, {EXTINT, 0, 0}, {OUT, 0xa0, 0x20},
	       {EXTINT, 0, 0});
}

static void test_special_fully_nested(struct test *t)
{
	SCRIPT(t, INIT(0x11), {LINE, 12, 1}, {ACK, 0x2c, 0}, {EXTINT, 0, 0}, {LINE, 8, 1},
	       {EXTINT, 1, 0}, {ACK, 0x28, 0});
}

static void test_edge_needs_the_line_up(struct test *t)
{
	SCRIPT(t, INIT(1), {LINE, 4, 1}, {EXTINT, 1, 0}, {LINE, 4, 0}, {EXTINT, 0, 0}, {ACK, -1, 0},
	       {LINE, 4, 1}, {ACK, 0x24, 0}, {OUT, 0x20, 0x20},
	       /* one edge, one interrupt */
	       {EXTINT, 0, 0}, {LINE, 4, 1}, {EXTINT, 0, 0}, {LINE, 4, 0}, {LINE, 4, 1},
	       {EXTINT, 1, 0});
}

static void test_level_by_elcr(struct test *t)
{
	SCRIPT(t, INIT(1), {OUT, 0x4d1, 0xff}, {IN, 0x4d1, 0xde}, {OUT, 0x4d0, 0xff},
	       {IN, 0x4d0, 0xf8}, {LINE, 11, 1}, {ACK, 0x2b, 0}, {OUT, 0xa0, 0x20},
	       {OUT, 0x20, 0x20}, {EXTINT, 1, 0}, {ACK, 0x2b, 0}, {LINE, 11, 0}, {OUT, 0xa0, 0x20},
	       {OUT, 0x20, 0x20}, {EXTINT, 0, 0});
}

static void test_auto_eoi(struct test *t)
{
	SCRIPT(t, INIT(3), {LINE, 6, 1}, {ACK, 0x26, 0}, READ_ISR, {IN, 0x20, 0}, {LINE, 7, 1},
	       {EXTINT, 1, 0}, {ACK, 0x27, 0}, {EXTINT, 0, 0});
}

static void test_rotation(struct test *t)
{
	SCRIPT(t, INIT(1), {OUT, 0x20, 0xc3}, /* 3 lowest: 4 highest */
	       {LINE, 3, 1}, {LINE, 4, 1}, {LINE, 1, 1}, {ACK, 0x24, 0}, {OUT, 0x20, 0xa0},
	       /* 4 is lowest now */
	       {ACK, 0x21, 0}, {OUT, 0x20, 0xe1}, {ACK, 0x23, 0}, {OUT, 0x20, 0x20});
}

static void test_rotation_in_auto_eoi(struct test *t)
{
	SCRIPT(t, INIT(3), {OUT, 0x20, 0x80}, {LINE, 0, 1}, {ACK, 0x20, 0}, {LINE, 7, 1},
	       {LINE, 0, 0}, {LINE, 0, 1}, {ACK, 0x27, 0}, {ACK, 0x20, 0}, {OUT, 0x20, 0x00});
}

static void test_special_mask(struct test *t)
{
	SCRIPT(t, INIT(1), {LINE, 1, 1}, {ACK, 0x21, 0}, {LINE, 4, 1}, {EXTINT, 0, 0},
	       {OUT, 0x21, 2}, {OUT, 0x20, 0x68}, {EXTINT, 1, 0}, {ACK, 0x24, 0},
	       /* a masked level is not what a non-specific EOI ends */
	       {OUT, 0x20, 0x20}, READ_ISR, {IN, 0x20, 0x02}, {OUT, 0x20, 0x48}, {OUT, 0x20, 0x20},
	       {IN, 0x20, 0});
}

static void test_poll(struct test *t)
{
	SCRIPT(t, INIT(1), {OUT, 0x20, 0x0c}, {IN, 0x20, 0}, {LINE, 6, 1}, {OUT, 0x20, 0x0c},
	       {IN, 0x20, 0x86}, {EXTINT, 0, 0}, READ_ISR, {IN, 0x20, 0x40}, {OUT, 0x20, 0x20});
}

static void test_quiet_while_initialized(struct test *t)
{
	SCRIPT(t, INIT(1), {OUT, 0x20, 0x11}, {LINE, 3, 1}, {EXTINT, 0, 0}, {OUT, 0x21, 0x40},
	       {EXTINT, 0, 0}, {OUT, 0x21, 4}, {OUT, 0x21, 1}, {EXTINT, 1, 0}, {ACK, 0x43, 0});
}

static void test_single_without_icw4(struct test *t)
{
	SCRIPT(t, {OUT, 0x20, 0x12}, {OUT, 0x21, 0x50}, {OUT, 0x21, 0xfe}, {IN, 0x21, 0xfe},
	       {LINE, 0, 1}, {ACK, 0x50, 0});
}

static void test_cascade_line_is_no_input(struct test *t)
{
	SCRIPT(t, INIT(1), {LINE, 2, 1}, {EXTINT, 0, 0}, READ_IRR, {IN, 0x20, 0}, {LINE, 99, 1});
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_masked_after_reset),
		TEST(test_mask_register),
		TEST(test_priority_and_eoi),
		TEST(test_cascade),
		TEST(test_special_fully_nested),
		TEST(test_edge_needs_the_line_up),
		TEST(test_level_by_elcr),
		TEST(test_auto_eoi),
		TEST(test_rotation),
		TEST(test_rotation_in_auto_eoi),
		TEST(test_special_mask),
		TEST(test_poll),
		TEST(test_quiet_while_initialized),
		TEST(test_single_without_icw4),
		TEST(test_cascade_line_is_no_input),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
