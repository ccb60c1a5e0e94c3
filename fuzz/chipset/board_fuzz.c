// SPDX-License-Identifier: Apache-2.0
/*
 * Any stream of accesses to the motherboard. The first byte picks the chip whose ports are hit most; then come operations of one to five
 * bytes each: accesses, time, lines, bytes from outside, acknowledges, save and restore.
 */
#include <stdlib.h>
#include <string.h>

#include "chipset/board.h"
#include "lib/bits.h"
#include "test/input.h"

struct world {
	uint64_t now_ns;
	uint64_t wall_ns;
	uint64_t deadline_ns;
	bool extint;
	uint64_t sum; /* keeps the compiler from dropping reads */
};

struct ports {
	uint16_t first;
	uint16_t count;
};

/* One row per chip. */
static const struct ports focus[][3] = {
	{{0x3f8, 8}, {0x2f8, 8}, {0x20, 2}},	    {{0x20, 2}, {0xa0, 2}, {0x4d0, 2}},
	{{0x40, 4}, {0x61, 1}, {0x40, 4}},	    {{0x70, 2}, {0x72, 2}, {0x70, 2}},
	{{0x400, 0x40}, {0x400, 0x10}, {0x430, 4}}, {{0xcf8, 8}, {0x92, 1}, {0xcf9, 1}},
	{{0x60, 1}, {0x64, 1}, {0x80, 1}},	    {{0, 0xffff}, {0x3f8, 8}, {0x40, 4}},
};

static uint64_t now_ns(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static uint64_t wall_ns(void *ctx)
{
	return ((struct world *)ctx)->wall_ns;
}

static void rearm(void *ctx, uint64_t deadline_ns)
{
	((struct world *)ctx)->deadline_ns = deadline_ns;
}

static void interrupt(void *ctx, uint32_t type, uint8_t vector, uint32_t destination, bool logical,
		      bool level)
{
	((struct world *)ctx)->sum += type + vector + destination + logical + level;
}

static void extint(void *ctx, bool raised)
{
	struct world *w = ctx;

	if (w->extint == raised && raised) {
		abort(); /* only changes are told */
	}
	w->extint = raised;
}

static void power(void *ctx, enum board_power what)
{
	((struct world *)ctx)->sum += what;
}

static void serial_out(void *ctx, unsigned port, const uint8_t *data, size_t bytes)
{
	((struct world *)ctx)->sum += data[0] + bytes;
}

static void serial_ready(void *ctx, unsigned port)
{
	((struct world *)ctx)->sum += port;
}

static void post_code(void *ctx, uint8_t code)
{
	((struct world *)ctx)->sum += code;
}

static struct board *make_board(struct world *w)
{
	const struct board_config config = {
		.ram_bytes = UINT64_C(5) << 30,
		.processors = 3,
		.ctx = w,
		.now_ns = now_ns,
		.wall_ns = wall_ns,
		.rearm = rearm,
		.interrupt = interrupt,
		.extint = extint,
		.power = power,
		.serial_out = serial_out,
		.serial_ready = serial_ready,
		.post_code = post_code,
	};
	struct board *b;

	if (board_create(&config, &b) != 0) {
		abort();
	}
	return b;
}

/* At most 64 timer events per wait: a deadline that never moves on would be found as a hang otherwise. */
static void pass_time(struct world *w, struct board *b, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	for (unsigned i = 0; i < 64 && w->deadline_ns <= end; i++) {
		uint64_t before = w->now_ns;

		w->now_ns = max_u64(w->now_ns, w->deadline_ns);
		w->wall_ns += w->now_ns - before;
		board_poll(b);
		if (w->deadline_ns <= w->now_ns) {
			board_poll(b);
			if (w->deadline_ns <= w->now_ns) {
				abort(); /* a timer that is due again at once never ends */
			}
		}
	}
	w->wall_ns += end - min_u64(end, w->now_ns);
	w->now_ns = max_u64(w->now_ns, end);
}

static struct board *replant(struct world *w, struct board *b)
{
	uint8_t state[4096], again[4096];
	size_t bytes = board_save(b, state, sizeof(state));

	board_destroy(b);
	w->deadline_ns = UINT64_MAX;
	w->extint = false;
	b = make_board(w);
	if (bytes > sizeof(state) || board_restore(b, state, bytes) != 0 ||
	    board_save(b, again, sizeof(again)) != bytes) {
		abort(); /* what a board saved it must take back */
	}
	return b;
}

static uint16_t pick_port(struct input *in, unsigned chip)
{
	uint8_t v = input_u8(in);
	const struct ports *p = &focus[chip][v >> 6 > 2 ? 0 : v >> 6];

	if (p->count > 0x100) {
		return (uint16_t)(p->first + input_u16(in));
	}
	return (uint16_t)(p->first + (v & 0x3f) % p->count);
}

static struct board *step(struct world *w, struct board *b, struct input *in, unsigned chip)
{
	uint8_t op = input_u8(in);
	unsigned bytes = 1u << (op >> 4) % 3;
	uint8_t buf[32];
	uint64_t data;

	switch (op & 15) {
	case 0:
	case 1:
	case 2:
		w->sum += board_port_read(b, pick_port(in, chip), bytes);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		board_port_write(b, pick_port(in, chip), bytes, (uint32_t)input_number(in, bytes));
		break;
	case 7:
		pass_time(w, b, input_number(in, 1) << (op >> 4));
		break;
	case 8:
		pass_time(w, b, input_number(in, 2) << (12 + (op >> 4)));
		break;
	case 9:
		data = input_u8(in);
		board_set_irq(b, (unsigned)data & 0x3f, data >> 7);
		break;
	case 10:
		w->sum += (unsigned)board_pic_ack(b);
		break;
	case 11:
		board_eoi(b, input_u8(in));
		break;
	case 12:
		board_mmio_write(b, BOARD_IOAPIC_GPA, 4, input_u8(in));
		board_mmio_write(b, BOARD_IOAPIC_GPA + (op & 0x80 ? input_u8(in) : 0x10), 4,
				 input_u32(in));
		break;
	case 13:
		board_mmio_read(b, BOARD_IOAPIC_GPA + input_u8(in), 1u << (op >> 6), &data);
		w->sum += data;
		break;
	case 14:
		memset(buf, op, sizeof(buf));
		w->sum += board_serial_in(b, op >> 7, buf, input_u8(in) % sizeof(buf));
		break;
	default:
		if (op & 0x80) {
			w->wall_ns += input_number(in, 4) << 12;
		} else if (op & 0x40) {
			board_power_button(b);
		} else if (op & 0x20) {
			board_reset(b);
		} else {
			b = replant(w, b);
		}
		break;
	}
	return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	struct world w = {.now_ns = 1000000000,
			  .wall_ns = UINT64_C(1795269598500000000),
			  .deadline_ns = UINT64_MAX};
	struct board *b = make_board(&w);
	unsigned chip = input_u8(&in) % ARRAY_LEN(focus);

	while (in.left > 0) {
		b = step(&w, b, &in, chip);
	}
	board_destroy(b);
	return 0;
}
