// SPDX-License-Identifier: Apache-2.0
#include "script_test.h"

/* 1193182 ticks are exactly one second; 11932 take just over 10 ms. */
#define MS 1000000
#define PIC_READY                                                                                  \
	{OUT, 0x20, 0x11}, {OUT, 0x21, 0x20}, {OUT, 0x21, 4}, {OUT, 0x21, 3},                      \
	{                                                                                          \
		OUT, 0x21, 0xfe                                                                    \
	}

static void test_mode_0_one_shot(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, 0x43, 0x30}, {OUT, 0x40, 0x9c}, {OUT, 0x40, 0x2e},
	       {EXTINT, 0, 0}, {WAIT, 5 * MS, 0},
	       /* 11932 - 5965 = 5967: latched, then both bytes */
	       {OUT, 0x43, 0x00}, {WAIT, MS, 0}, {IN, 0x40, 0x4f}, {IN, 0x40, 0x17}, {EXTINT, 0, 0},
	       {WAIT, 4 * MS, 0}, {EXTINT, 0, 0}, {WAIT, MS / 100, 0}, {EXTINT, 1, 0},
	       {ACK, 0x20, 0},
	       /* once */
	       {WAIT, 100 * MS, 0}, {EXTINT, 0, 0});
}

static void test_mode_2_periodic(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, 0x43, 0x34}, {OUT, 0x40, 0x9c}, {OUT, 0x40, 0x2e},
	       {ACK, 0x20, 0}, {WAIT, 9 * MS, 0}, {EXTINT, 0, 0}, {WAIT, 1 * MS + 1000, 0},
	       {ACK, 0x20, 0}, {WAIT, 9 * MS, 0}, {EXTINT, 0, 0}, {WAIT, 1 * MS + 1000, 0},
	       {ACK, 0x20, 0},
	       /* lost ticks come as one */
	       {WAIT, 50 * MS, 0}, {ACK, 0x20, 0}, {EXTINT, 0, 0});
}

static void test_mode_2_new_count_waits(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, 0x43, 0x34}, {OUT, 0x40, 0x9c}, {OUT, 0x40, 0x2e},
	       {ACK, 0x20, 0}, {WAIT, 2 * MS, 0}, {OUT, 0x40, 0xa9},
	       {OUT, 0x40, 0x04}, /* 1193: 1 ms */
	       {WAIT, 7 * MS, 0}, {EXTINT, 0, 0}, {WAIT, MS + 1000, 0}, {ACK, 0x20, 0},
	       {WAIT, MS + 1000, 0}, {ACK, 0x20, 0}, {WAIT, MS + 1000, 0}, {ACK, 0x20, 0});
}

static void test_mode_3_counts_by_two(struct test *t)
{
	SCRIPT(t, {OUT, 0x43, 0x36}, {OUT, 0x40, 0x00}, {OUT, 0x40, 0x00}, {WAIT, 10 * MS, 0},
	       /* 65536 - 2 * 11931 = 41674 */
	       {OUT, 0x43, 0xd2}, {IN, 0x40, 0xca}, {IN, 0x40, 0xa2},
	       /* the second half: 32768 + 7017 after 33 ms */
	       {WAIT, 23343000, 0}, {OUT, 0x43, 0xc2}, {IN, 0x40, 0x36});
}

static void test_read_back_status(struct test *t)
{
	SCRIPT(t, {OUT, 0x43, 0x34}, {OUT, 0x43, 0xe2}, {IN, 0x40, 0xf4}, {OUT, 0x40, 0},
	       {OUT, 0x40, 0}, {OUT, 0x43, 0xe2}, {IN, 0x40, 0xb4}, {OUT, 0x43, 0x70},
	       {OUT, 0x43, 0xe4}, {IN, 0x41, 0x70}, {IN, 0x43, 0xff});
}

static void test_low_and_high_byte_access(struct test *t)
{
	SCRIPT(t, {OUT, 0x43, 0x10}, {OUT, 0x40, 200}, {WAIT, 41906, 0}, {IN, 0x40, 150},
	       {OUT, 0x43, 0x20}, {OUT, 0x40, 0x10}, {WAIT, 1 * MS, 0}, {IN, 0x40, 0x0b});
}

static void test_toggled_reads(struct test *t)
{
	SCRIPT(t, {OUT, 0x43, 0x30}, {OUT, 0x40, 0x00}, {OUT, 0x40, 0x80}, {IN, 0x40, 0x00},
	       {IN, 0x40, 0x80}, {IN, 0x40, 0x00}, {IN, 0x40, 0x80});
}

static void test_bcd(struct test *t)
{
	SCRIPT(t, {OUT, 0x43, 0x31}, {OUT, 0x40, 0x34}, {OUT, 0x40, 0x12}, /* 1234 */
	       {WAIT, 838097, 0},					   /* 1000 ticks */
	       {OUT, 0x43, 0}, {IN, 0x40, 0x34}, {IN, 0x40, 0x02}, {OUT, 0x43, 0x31},
	       {OUT, 0x40, 0}, {OUT, 0x40, 0}, {WAIT, 838097, 0}, {OUT, 0x43, 0}, {IN, 0x40, 0x00},
	       {IN, 0x40, 0x90});
}

static void test_channel_2_gate_and_output(struct test *t)
{
	/* mode 0, 10 ms, as Linux calibrates: OUT2 is bit 5 of port 61 */
	SCRIPT(t, {OUT, 0x61, 0x01}, {OUT, 0x43, 0xb0}, {OUT, 0x42, 0x9c}, {OUT, 0x42, 0x2e},
	       {AND, 0x61, 0x210001}, {WAIT, 6 * MS, 0}, {OUT, 0x61, 0}, {WAIT, 30 * MS, 0},
	       {AND, 0x61, 0x210000}, {OUT, 0x61, 1}, {WAIT, 3 * MS, 0}, {AND, 0x61, 0x210001},
	       {WAIT, 1 * MS + 1000, 0}, {AND, 0x61, 0x210021});
}

static void test_gate_triggers_modes_1_and_5(struct test *t)
{
	SCRIPT(t, {OUT, 0x61, 0}, {OUT, 0x43, 0xb2}, {OUT, 0x42, 0xa9}, {OUT, 0x42, 0x04},
	       {AND, 0x61, 0x200020}, {WAIT, 5 * MS, 0}, {AND, 0x61, 0x200020}, {OUT, 0x61, 1},
	       {AND, 0x61, 0x200000}, {WAIT, MS / 2, 0}, {OUT, 0x61, 0}, {AND, 0x61, 0x200000},
	       /* a new edge starts again */
	       {OUT, 0x61, 1}, {WAIT, MS * 9 / 10, 0}, {AND, 0x61, 0x200000}, {WAIT, MS / 5, 0},
	       {AND, 0x61, 0x200020}, {OUT, 0x61, 0}, {OUT, 0x43, 0xba}, {OUT, 0x42, 0xa9},
	       {OUT, 0x42, 0x04}, {OUT, 0x61, 1}, {AND, 0x61, 0x200020}, {WAIT, 999900, 0},
	       {AND, 0x61, 0x200000}, {WAIT, 900, 0}, {AND, 0x61, 0x200020});
}

static void test_mode_4_strobe(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, 0x43, 0x38}, {ACK, 0x20, 0}, {OUT, 0x40, 0xa9}, {OUT, 0x40, 4},
	       {WAIT, 999000, 0}, {EXTINT, 0, 0}, {WAIT, 3000, 0}, {ACK, 0x20, 0},
	       {WAIT, 99 * MS, 0}, {EXTINT, 0, 0});
}

static void test_refresh_bit_toggles(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);
	unsigned toggles = 0;
	uint32_t last = board_port_read(b, 0x61, 1) & 0x10;

	for (unsigned i = 0; i < 1000; i++) {
		script_wait(&w, b, 1000);
		uint32_t v = board_port_read(b, 0x61, 1) & 0x10;

		toggles += v != last;
		last = v;
	}
	EXPECT(t, toggles == 66 || toggles == 67);
	board_destroy(b);
}

/* A guest cannot make the host poll more often than every 50 us. */
static void test_shortest_period(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);
	unsigned polls = 0;
	uint64_t end = w.now_ns + 10 * MS;

	board_port_write(b, 0x43, 1, 0x14);
	board_port_write(b, 0x40, 1, 1);
	while (w.now_ns < end) {
		EXPECT(t, w.deadline_ns >= w.now_ns);
		w.now_ns = w.deadline_ns;
		board_poll(b);
		polls++;
	}
	EXPECT(t, polls >= 100 && polls <= 201);
	board_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_mode_0_one_shot),
		TEST(test_mode_2_periodic),
		TEST(test_mode_2_new_count_waits),
		TEST(test_mode_3_counts_by_two),
		TEST(test_read_back_status),
		TEST(test_low_and_high_byte_access),
		TEST(test_toggled_reads),
		TEST(test_bcd),
		TEST(test_channel_2_gate_and_output),
		TEST(test_gate_triggers_modes_1_and_5),
		TEST(test_mode_4_strobe),
		TEST(test_refresh_bit_toggles),
		TEST(test_shortest_period),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
