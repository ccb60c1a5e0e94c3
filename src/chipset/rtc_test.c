// SPDX-License-Identifier: Apache-2.0
#include "script_test.h"

#define S 1000000000
#define REG(i)                                                                                     \
	{                                                                                          \
		OUT, 0x70, i                                                                       \
	}
/* Register @i reads @v; register @i gets @v. */
#define GET(i, v)                                                                                  \
	REG(i),                                                                                    \
	{                                                                                          \
		IN, 0x71, v                                                                        \
	}
#define SET(i, v)                                                                                  \
	REG(i),                                                                                    \
	{                                                                                          \
		OUT, 0x71, v                                                                       \
	}
/* Slave 8259 input 0 is the RTC: vector 28h, automatic EOI. */
#define PIC_READY                                                                                  \
	{OUT, 0x20, 0x11}, {OUT, 0x21, 0x20}, {OUT, 0x21, 4}, {OUT, 0x21, 3}, {OUT, 0xa0, 0x11},   \
		{OUT, 0xa1, 0x28}, {OUT, 0xa1, 2}, {OUT, 0xa1, 3}, {OUT, 0x21, 0xfb},              \
	{                                                                                          \
		OUT, 0xa1, 0xfe                                                                    \
	}

/* The world starts on Saturday 2026-11-21 13:59:58.5. */
static void test_time_in_bcd(struct test *t)
{
	SCRIPT(t, GET(0, 0x58), GET(2, 0x59), GET(4, 0x13), GET(6, 7), GET(7, 0x21), GET(8, 0x11),
	       GET(9, 0x26), GET(0x32, 0x20), GET(0x0d, 0x80), GET(0x0a, 0x26), GET(0x0b, 0x02),
	       {WAIT, 2 * (int64_t)S, 0}, GET(0, 0x00), GET(2, 0x00), GET(4, 0x14));
}

static void test_time_in_binary_and_12_hours(struct test *t)
{
	SCRIPT(t, SET(0x0b, 0x06), GET(0, 58), GET(4, 13), GET(9, 26), GET(0x32, 20),
	       SET(0x0b, 0x04), GET(4, 0x81), SET(0x0b, 0x00), GET(4, 0x81), GET(2, 0x59));
}

static void test_setting_the_clock(struct test *t)
{
	SCRIPT(t, SET(0x0b, 0x82), SET(0, 0x30), SET(2, 0x15), SET(4, 0x08), SET(7, 0x29),
	       SET(8, 0x02), SET(9, 0x24), SET(0x32, 0x20), {WAIT, 5 * (int64_t)S, 0}, GET(0, 0x30),
	       SET(0x0b, 0x02), GET(0, 0x30), {WAIT, 1 * (int64_t)S, 0}, GET(0, 0x31), GET(4, 0x08),
	       GET(7, 0x29), GET(8, 0x02), GET(6, 5), {WAIT, 86400 * (int64_t)S, 0}, GET(7, 0x01),
	       GET(8, 0x03), GET(9, 0x24));
}

static void test_setting_one_field_while_it_runs(struct test *t)
{
	SCRIPT(t, SET(4, 0x05), GET(4, 0x05), GET(2, 0x59), GET(0, 0x58), {WAIT, 2 * (int64_t)S, 0},
	       GET(4, 0x06), GET(2, 0x00));
}

static void test_nonsense_is_kept_in_range(struct test *t)
{
	SCRIPT(t, SET(0x0b, 0x86), SET(8, 0xff), SET(7, 0), SET(4, 0xff), SET(2, 0xff),
	       SET(0, 0xff), SET(9, 0xff), SET(0x32, 0xff), SET(0x0b, 0x06), GET(8, 12),
	       SET(0x0b, 0x86), SET(9, 0), SET(0x32, 19), SET(0x0b, 6), GET(9, 70), GET(0x32, 19));
}

static void test_update_in_progress(struct test *t)
{
	SCRIPT(t, GET(0x0a, 0x26), {WAIT, S / 2 - 200000, 0}, GET(0x0a, 0xa6), {WAIT, 200000, 0},
	       GET(0x0a, 0x26), SET(0x0a, 0x76), {WAIT, S - 200000, 0}, GET(0x0a, 0x76));
}

static void test_update_interrupt(struct test *t)
{
	SCRIPT(t, PIC_READY, SET(0x0b, 0x12), {WAIT, S / 4, 0}, {EXTINT, 0, 0},
	       {WAIT, S / 4 + 1, 0}, {EXTINT, 1, 0}, {ACK, 0x28, 0}, {WAIT, 3 * (int64_t)S, 0},
	       {EXTINT, 0, 0}, REG(0x0c), {AND, 0x71, 0xb00090}, {AND, 0x71, 0xb00000},
	       {WAIT, 1 * (int64_t)S, 0}, {EXTINT, 1, 0}, REG(0x0c), {AND, 0x71, 0xb00090},
	       {EXTINT, 0, 0});
}

static void test_flags_without_interrupt(struct test *t)
{
	SCRIPT(t, {WAIT, S, 0}, GET(0x0c, 0x50), GET(0x0c, 0), {WAIT, 976600, 0}, GET(0x0c, 0x40));
}

static void test_alarm(struct test *t)
{
	/* at 14:00:03, then every minute at :03 */
	SCRIPT(t, PIC_READY, SET(1, 0x03), SET(3, 0x00), SET(5, 0x14), SET(0x0b, 0x22),
	       {WAIT, 4 * (int64_t)S, 0}, {EXTINT, 0, 0}, {WAIT, S, 0}, {EXTINT, 1, 0},
	       {ACK, 0x28, 0}, REG(0x0c), {AND, 0x71, 0xa000a0}, SET(3, 0xff), SET(5, 0xc0),
	       {WAIT, 59 * (int64_t)S, 0}, {EXTINT, 0, 0}, {WAIT, S, 0}, {EXTINT, 1, 0});
}

static void test_periodic_interrupt(struct test *t)
{
	/* rate 6 is 1024 Hz: 976562 ns */
	SCRIPT(t, PIC_READY, SET(0x0a, 0x26), SET(0x0b, 0x42), {WAIT, 970000, 0}, {EXTINT, 0, 0},
	       {WAIT, 7000, 0}, {ACK, 0x28, 0}, {WAIT, 5000000, 0}, {EXTINT, 0, 0}, REG(0x0c),
	       {AND, 0x71, 0xc000c0}, {WAIT, 976562, 0}, {ACK, 0x28, 0}, SET(0x0a, 0x20),
	       GET(0x0c, 0xc0), {WAIT, 5000000, 0}, {EXTINT, 0, 0});
}

static void test_cmos(struct test *t)
{
	SCRIPT(t, GET(0x15, 0x80), GET(0x16, 0x02), GET(0x17, 0x00), GET(0x18, 0xfc),
	       GET(0x34, 0x00), GET(0x35, 0x1f), GET(0x5b, 0), GET(0x5f, 1), SET(0x40, 0xaa),
	       SET(0xc0, 0xab), GET(0x40, 0xab), {OUT, 0x72, 0x10}, {OUT, 0x73, 0x77}, GET(0x10, 0),
	       {OUT, 0x72, 0x90}, {IN, 0x73, 0x77}, {IN, 0x72, 0x10});
}

static void test_reset_keeps_time_and_memory(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);

	board_port_write(b, 0x70, 1, 0x50);
	board_port_write(b, 0x71, 1, 0x42);
	board_port_write(b, 0x70, 1, 0x04);
	board_port_write(b, 0x71, 1, 0x07);
	board_port_write(b, 0x70, 1, 0x0b);
	board_port_write(b, 0x71, 1, 0x72);
	board_reset(b);
	board_port_write(b, 0x70, 1, 0x50);
	EXPECT_EQ(t, board_port_read(b, 0x71, 1), 0x42);
	board_port_write(b, 0x70, 1, 0x04);
	EXPECT_EQ(t, board_port_read(b, 0x71, 1), 0x07);
	board_port_write(b, 0x70, 1, 0x0b);
	EXPECT_EQ(t, board_port_read(b, 0x71, 1), 0x02);
	EXPECT_EQ(t, w.deadline_ns, UINT64_MAX);
	board_destroy(b);
}

/* The clock is the wall's: it goes on while the guest stands still. */
static void test_follows_the_wall_clock(struct test *t)
{
	SCRIPT(t, {WALL, 60 * (int64_t)S, 0}, GET(2, 0x00), GET(4, 0x14), GET(0, 0x58));
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_time_in_bcd),
		TEST(test_time_in_binary_and_12_hours),
		TEST(test_setting_the_clock),
		TEST(test_setting_one_field_while_it_runs),
		TEST(test_nonsense_is_kept_in_range),
		TEST(test_update_in_progress),
		TEST(test_update_interrupt),
		TEST(test_flags_without_interrupt),
		TEST(test_alarm),
		TEST(test_periodic_interrupt),
		TEST(test_cmos),
		TEST(test_reset_keeps_time_and_memory),
		TEST(test_follows_the_wall_clock),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
