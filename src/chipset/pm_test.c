// SPDX-License-Identifier: Apache-2.0
#include "script_test.h"

#define STATUS 0x400
#define ENABLE 0x402
#define CONTROL 0x404
#define TIMER 0x408

/* SCI is IRQ 9: slave input 1, vector 29h. */
#define PIC_READY                                                                                  \
	{OUT, 0x20, 0x11}, {OUT, 0x21, 0x20}, {OUT, 0x21, 4}, {OUT, 0x21, 3}, {OUT, 0xa0, 0x11},   \
		{OUT, 0xa1, 0x28}, {OUT, 0xa1, 2}, {OUT, 0xa1, 3}, {OUT, 0x21, 0xfb},              \
	{                                                                                          \
		OUT, 0xa1, 0xfd                                                                    \
	}

static void test_timer_rate(struct test *t)
{
	/* 7 s have passed when the script starts: 7 * 3579545 */
	SCRIPT(t, {INL, TIMER, 25056815}, {WAIT, 1000000000, 0}, {INL, TIMER, 28636360},
	       {INW, TIMER, 0xf4c8}, {IN, TIMER + 3, 0x01}, {OUTL, TIMER, 0},
	       {INL, TIMER, 28636360});
}

static void test_always_in_acpi_mode(struct test *t)
{
	SCRIPT(t, {INW, CONTROL, 1}, {OUTW, CONTROL, 0}, {INW, CONTROL, 1}, {OUTW, CONTROL, 0x1c02},
	       {INW, CONTROL, 0x1c03}, {OUTW, ENABLE, 0xffff}, {INW, ENABLE, 0x0721});
}

static void test_power_off(struct test *t)
{
	SCRIPT(t, {OUTW, CONTROL, 0x0001}, {OUTW, CONTROL, 0x2001}, {POWER, 1, BOARD_POWER_OFF});
}

static void test_other_sleep_types(struct test *t)
{
	SCRIPT(t, {OUTW, CONTROL, 0x3401 | 0x0800}, {POWER, 0, 0}, {OUTW, CONTROL, 0x2401},
	       {POWER, 1, BOARD_POWER_HIBERNATE}, {OUT, CONTROL + 1, 0x20},
	       {POWER, 2, BOARD_POWER_OFF});
}

static void test_reset_register(struct test *t)
{
	SCRIPT(t, {OUT, 0x433, 2}, {POWER, 0, 0}, {OUT, 0x433, 1}, {POWER, 1, BOARD_POWER_RESET});
}

static void test_power_button(struct test *t)
{
	SCRIPT(t, PIC_READY, {BUTTON, 0, 0}, {EXTINT, 0, 0}, {INW, STATUS, 0x0100},
	       {OUTW, STATUS, 0x0100}, {INW, STATUS, 0}, {OUTW, ENABLE, 0x0100}, {BUTTON, 1, 0},
	       {EXTINT, 1, 0}, {ACK, 0x29, 0},
	       /* level-triggered: until the status is cleared */
	       {EXTINT, 1, 0}, {OUT, STATUS, 0xff}, {EXTINT, 1, 0}, {OUT, STATUS + 1, 1},
	       {EXTINT, 0, 0});
}

static void test_timer_overflow(struct test *t)
{
	/* bit 31 toggles every 599.9 s */
	SCRIPT(t, PIC_READY, {OUTW, ENABLE, 1}, {WAIT, 592900000000, 0}, {EXTINT, 0, 0},
	       {WAIT, 100000000, 0}, {EXTINT, 1, 0}, {INL, STATUS, 0x00010001}, {OUTW, STATUS, 1},
	       {EXTINT, 0, 0}, {WAIT, 599800000000, 0}, {EXTINT, 0, 0}, {WAIT, 200000000, 0},
	       {EXTINT, 1, 0});
}

static void test_gpe_and_processor_block(struct test *t)
{
	SCRIPT(t, {OUTW, 0x40e, 0xa55a}, {INL, 0x40c, 0xa55a0000}, {OUTL, 0x410, 0x12345678},
	       {INL, 0x410, 0x12345678}, {INL, 0x418, 0}, {INL, 0x43c, 0},
	       {INL, 0x43e, 0xffff0000});
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_timer_rate),	   TEST(test_always_in_acpi_mode),
		TEST(test_power_off),	   TEST(test_other_sleep_types),
		TEST(test_reset_register), TEST(test_power_button),
		TEST(test_timer_overflow), TEST(test_gpe_and_processor_block),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
