// SPDX-License-Identifier: Apache-2.0
#include "script_test.h"

#define RBR 0x3f8
#define IER 0x3f9
#define IIR 0x3fa
#define FCR 0x3fa
#define LCR 0x3fb
#define MCR 0x3fc
#define LSR 0x3fd
#define MSR 0x3fe
#define SCR 0x3ff
/* COM1 raises master 8259 input 4; these program the pair with vectors 20h and 28h and everything but that masked. */
#define PIC_READY                                                                                  \
	{OUT, 0x20, 0x11}, {OUT, 0x21, 0x20}, {OUT, 0x21, 4}, {OUT, 0x21, 1}, {OUT, 0xa0, 0x11},   \
		{OUT, 0xa1, 0x28}, {OUT, 0xa1, 2}, {OUT, 0xa1, 1}, {OUT, 0x21, 0xeb},              \
	{                                                                                          \
		OUT, 0xa1, 0xff                                                                    \
	}

static void test_registers_after_reset(struct test *t)
{
	SCRIPT(t, {IN, IER, 0}, {IN, IIR, 1}, {IN, LCR, 0}, {IN, MCR, 0}, {IN, LSR, 0x60},
	       {IN, MSR, 0xb0}, {IN, SCR, 0});
}

static void test_divisor_and_scratch(struct test *t)
{
	SCRIPT(t, {OUT, SCR, 0x5a}, {OUT, LCR, 0x83}, {OUT, RBR, 0x0c}, {OUT, IER, 0x01},
	       {IN, RBR, 0x0c}, {IN, IER, 0x01}, {OUT, LCR, 0x03}, {IN, IER, 0}, {IN, LCR, 3},
	       {IN, SCR, 0x5a}, {SENT, 0, 0});
}

static void test_ier_holds_four_bits(struct test *t)
{
	SCRIPT(t, {OUT, IER, 0xff}, {IN, IER, 0x0f}, {OUT, MCR, 0xff}, {IN, MCR, 0x1f});
}

static void test_transmit_and_thre(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, MCR, 0x0b}, {OUT, RBR, 'a'}, {SENT, 0, 1}, {EXTINT, 0, 0},
	       /* enabling with an empty register raises it, reading IIR ends it */
	       {OUT, IER, 2}, {EXTINT, 1, 0}, {ACK, 0x24, 0}, {IN, IIR, 0x02}, {IN, IIR, 0x01},
	       {OUT, 0x20, 0x20}, {EXTINT, 0, 0},
	       /* every byte raises it again */
	       {OUT, RBR, 'b'}, {EXTINT, 1, 0}, {ACK, 0x24, 0}, {IN, IIR, 2}, {OUT, 0x20, 0x20},
	       /* turning it off and on, too: Linux tests for this */
	       {OUT, IER, 0}, {OUT, IER, 2}, {IN, IIR, 2}, {SENT, 0, 2});
}

static void test_receive_without_fifo(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, MCR, 0x08}, {OUT, IER, 1}, {TYPE, 0, 'x'}, {EXTINT, 1, 0},
	       {IN, IIR, 4}, {IN, LSR, 0x61}, {IN, RBR, 'x'}, {IN, LSR, 0x60}, {IN, IIR, 1});
}

static void test_receive_trigger_and_timeout(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, LCR, 0x83}, {OUT, RBR, 1}, {OUT, LCR, 3}, {OUT, MCR, 8},
	       {OUT, IER, 1}, {OUT, FCR, 0x41}, {IN, IIR, 0xc1}, {TYPE, 0, '1'}, {TYPE, 0, '2'},
	       {IN, IIR, 0xc1}, {EXTINT, 0, 0}, {WAIT, 300000, 0}, {IN, IIR, 0xc1},
	       {WAIT, 60000, 0}, {IN, IIR, 0xcc}, {EXTINT, 1, 0},
	       /* reading restarts the time-out */
	       {IN, RBR, '1'}, {IN, IIR, 0xc1}, {WAIT, 400000, 0}, {IN, IIR, 0xcc}, {IN, RBR, '2'},
	       {IN, IIR, 0xc1},
	       /* four bytes reach the trigger */
	       {TYPE, 0, '3'}, {TYPE, 0, '4'}, {TYPE, 0, '5'}, {IN, IIR, 0xc1}, {TYPE, 0, '6'},
	       {IN, IIR, 0xc4}, {IN, RBR, '3'}, {IN, IIR, 0xc1}, {IN, RBR, '4'}, {IN, RBR, '5'},
	       {IN, RBR, '6'}, {IN, LSR, 0x60});
}

static void test_loopback(struct test *t)
{
	SCRIPT(t, {OUT, FCR, 1}, {OUT, MCR, 0x10}, {IN, MSR, 0x0b}, {IN, MSR, 0}, {OUT, MCR, 0x1f},
	       {IN, MSR, 0xfb}, {OUT, MCR, 0x1a}, {IN, MSR, 0x96}, {OUT, RBR, 0xa5}, {SENT, 0, 0},
	       {IN, LSR, 0x61}, {IN, RBR, 0xa5}, {IN, LSR, 0x60});
}

static void test_overrun(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, MCR, 0x10}, {OUT, IER, 4}, {OUT, RBR, 1}, {OUT, RBR, 2},
	       {IN, IIR, 6}, {IN, LSR, 0x63}, {IN, LSR, 0x61}, {IN, RBR, 2}, {IN, IIR, 1},
	       {OUT, FCR, 1}, {OUT, RBR, 1}, {OUT, RBR, 2}, {OUT, RBR, 3}, {OUT, RBR, 4},
	       {OUT, RBR, 5}, {OUT, RBR, 6}, {OUT, RBR, 7}, {OUT, RBR, 8}, {OUT, RBR, 9},
	       {OUT, RBR, 10}, {OUT, RBR, 11}, {OUT, RBR, 12}, {OUT, RBR, 13}, {OUT, RBR, 14},
	       {OUT, RBR, 15}, {OUT, RBR, 16}, {IN, LSR, 0x61}, {OUT, RBR, 17}, {IN, LSR, 0x63},
	       {IN, RBR, 1}, {IN, RBR, 2}, {OUT, FCR, 3}, {IN, LSR, 0x60});
}

static void test_interrupt_gate(struct test *t)
{
	SCRIPT(t, PIC_READY, {OUT, IER, 2}, {EXTINT, 0, 0}, {OUT, MCR, 8}, {EXTINT, 1, 0},
	       {OUT, MCR, 0x18}, {EXTINT, 0, 0}, {OUT, MCR, 8}, {EXTINT, 1, 0}, {OUT, IER, 0},
	       {EXTINT, 0, 0});
}

static void test_second_port(struct test *t)
{
	SCRIPT(t, {OUT, 0x2f8, 'z'}, {SENT, 1, 1}, {SENT, 0, 0}, {TYPE, 1, 'q'}, {IN, LSR, 0x60},
	       {IN, 0x2fd, 0x61}, {IN, 0x2f8, 'q'});
}

static void test_flow_from_outside(struct test *t)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);
	uint8_t data[40] = {0};

	EXPECT_EQ(t, board_serial_room(b, 0), 1);
	board_port_write(b, FCR, 1, 1);
	EXPECT_EQ(t, board_serial_room(b, 0), 16);
	for (unsigned i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)i;
	}
	EXPECT_EQ(t, board_serial_in(b, 0, data, sizeof(data)), 16);
	EXPECT_EQ(t, board_serial_room(b, 0), 0);
	EXPECT_EQ(t, w.ready, 0);
	EXPECT_EQ(t, board_port_read(b, RBR, 1), 0);
	EXPECT_EQ(t, w.ready, 1);
	EXPECT_EQ(t, board_port_read(b, RBR, 1), 1);
	EXPECT_EQ(t, w.ready, 1); /* told once */
	EXPECT_EQ(t, board_serial_in(b, 0, data, 2), 2);
	board_port_write(b, MCR, 1, 0x10); /* nothing comes in while looped back */
	EXPECT_EQ(t, board_serial_in(b, 0, data, 1), 0);
	board_port_write(b, FCR, 1, 3);
	EXPECT_EQ(t, w.ready, 1);
	board_port_write(b, MCR, 1, 0);
	EXPECT_EQ(t, w.ready, 2);
	board_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_registers_after_reset),
		TEST(test_divisor_and_scratch),
		TEST(test_ier_holds_four_bits),
		TEST(test_transmit_and_thre),
		TEST(test_receive_without_fifo),
		TEST(test_receive_trigger_and_timeout),
		TEST(test_loopback),
		TEST(test_overrun),
		TEST(test_interrupt_gate),
		TEST(test_second_port),
		TEST(test_flow_from_outside),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
