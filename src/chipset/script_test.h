/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chip tests are scripts: rows of accesses, time, lines and what must be seen. Every script runs once straight through, and then once
 * for each of its rows with the board saved, destroyed and restored before that row: what a chip forgets shows.
 */
#ifndef CHIPSET_SCRIPT_TEST_H
#define CHIPSET_SCRIPT_TEST_H

#include "chipset/board.h"
#include "lib/bits.h"
#include "test/test.h"

enum step_op {
	OUT,  /* port a, byte b */
	IN,   /* port a reads byte b */
	OUTL, /* doubleword */
	INL,
	INW,
	OUTW,
	AND, /* port a, byte, masked with the high half of b, reads its low half: (mask << 16 | value) */
	WAIT,	  /* a ns pass; timers run when due */
	LINE,	  /* line a to level b */
	EXTINT,	  /* INTR is a */
	ACK,	  /* INTA gives vector a (-1: none) */
	EOI,	  /* local APIC's EOI of vector a */
	ENDED,	  /* no vector but a waits in a local APIC */
	MMIO_OUT, /* IOAPIC register a gets b */
	MMIO_IN,
	INTERRUPTS, /* a interrupts came from the IOAPIC so far; the last one's packed form is b (see script_pack) */
	TYPE,	/* byte b arrives at COM(a + 1) */
	SENT,	/* COM(a + 1) has sent b bytes so far */
	POWER,	/* a power events so far, the last one was b */
	WALL,	/* the wall clock jumps by a ns */
	BUTTON, /* power button; the answer is a */
};

struct step {
	enum step_op op;
	int64_t a;
	int64_t b;
};

struct script_world {
	uint64_t now_ns;
	uint64_t wall_ns;
	uint64_t deadline_ns;
	bool extint;
	unsigned interrupts;
	int64_t last_interrupt;
	unsigned power_events;
	enum board_power power;
	unsigned sent[BOARD_SERIAL_PORTS];
	uint8_t sent_last;
	unsigned ready;
};

static inline bool script_waits(void *ctx, uint8_t vector)
{
	return vector == (uintptr_t)ctx;
}

static inline int64_t script_pack(uint32_t type, uint8_t vector, uint32_t destination, bool logical,
				  bool level)
{
	return (int64_t)type << 24 | (int64_t)destination << 16 | (int64_t)logical << 9 |
	       (int64_t)level << 8 | vector;
}

static inline uint64_t script_now(void *ctx)
{
	return ((struct script_world *)ctx)->now_ns;
}

static inline uint64_t script_wall(void *ctx)
{
	return ((struct script_world *)ctx)->wall_ns;
}

static inline void script_rearm(void *ctx, uint64_t deadline_ns)
{
	((struct script_world *)ctx)->deadline_ns = deadline_ns;
}

static inline void script_interrupt(void *ctx, uint32_t type, uint8_t vector, uint32_t destination,
				    bool logical, bool level)
{
	struct script_world *w = ctx;

	w->interrupts++;
	w->last_interrupt = script_pack(type, vector, destination, logical, level);
}

static inline void script_extint(void *ctx, bool raised)
{
	((struct script_world *)ctx)->extint = raised;
}

static inline void script_power(void *ctx, enum board_power what)
{
	struct script_world *w = ctx;

	w->power_events++;
	w->power = what;
}

static inline void script_serial_out(void *ctx, unsigned port, const uint8_t *data, size_t bytes)
{
	struct script_world *w = ctx;

	w->sent[port] += (unsigned)bytes;
	w->sent_last = data[bytes - 1];
}

static inline void script_serial_ready(void *ctx, unsigned port)
{
	((struct script_world *)ctx)->ready++;
}

static inline struct board *script_board_that(struct script_world *w, bool no_legacy)
{
	const struct board_config config = {
		.ram_bytes = UINT64_C(512) << 20,
		.processors = 2,
		.no_legacy = no_legacy,
		.ctx = w,
		.now_ns = script_now,
		.wall_ns = script_wall,
		.rearm = script_rearm,
		.interrupt = script_interrupt,
		.extint = script_extint,
		.power = script_power,
		.serial_out = script_serial_out,
		.serial_ready = script_serial_ready,
	};
	struct board *b;

	if (board_create(&config, &b) != 0) {
		abort();
	}
	return b;
}

static inline struct board *script_board(struct script_world *w)
{
	return script_board_that(w, false);
}

/* Saturday 2026-11-21 13:59:58.5 UTC, and a guest that has run for a while. */
static inline struct script_world script_world(void)
{
	return (struct script_world){
		.now_ns = UINT64_C(7000000000),
		.wall_ns = UINT64_C(1795269598500000000),
		.deadline_ns = UINT64_MAX,
	};
}

/* Time goes from deadline to deadline, as the worker's event loop would have it. */
static inline void script_wait(struct script_world *w, struct board *b, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	while (w->deadline_ns <= end) {
		uint64_t step = w->deadline_ns > w->now_ns ? w->deadline_ns - w->now_ns : 0;

		w->now_ns += step;
		w->wall_ns += step;
		board_poll(b);
	}
	w->wall_ns += end - w->now_ns;
	w->now_ns = end;
}

#define SCRIPT_EXPECT(t, row, got, want)                                                           \
	do {                                                                                       \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                            \
		if (got_ != want_) {                                                               \
			test_fail(t, __FILE__, __LINE__,                                           \
				  "row %u, saved before row %u: got 0x%" PRIx64                    \
				  ", want 0x%" PRIx64,                                             \
				  row, saved_at, (uint64_t)got_, (uint64_t)want_);                 \
		}                                                                                  \
	} while (0)

static inline void script_step(struct test *t, struct script_world *w, struct board *b,
			       const struct step *s, unsigned row, unsigned saved_at)
{
	uint16_t port = (uint16_t)s->a;
	uint64_t data = 0;
	uint8_t byte = (uint8_t)s->b;

	switch (s->op) {
	case OUT:
		board_port_write(b, port, 1, (uint32_t)s->b);
		break;
	case OUTW:
		board_port_write(b, port, 2, (uint32_t)s->b);
		break;
	case OUTL:
		board_port_write(b, port, 4, (uint32_t)s->b);
		break;
	case IN:
		SCRIPT_EXPECT(t, row, board_port_read(b, port, 1), s->b);
		break;
	case INW:
		SCRIPT_EXPECT(t, row, board_port_read(b, port, 2), s->b);
		break;
	case INL:
		SCRIPT_EXPECT(t, row, board_port_read(b, port, 4), s->b);
		break;
	case AND:
		SCRIPT_EXPECT(t, row, board_port_read(b, port, 1) & (s->b >> 16), s->b & 0xff);
		break;
	case WAIT:
		script_wait(w, b, (uint64_t)s->a);
		break;
	case LINE:
		board_set_irq(b, (unsigned)s->a, s->b != 0);
		break;
	case EXTINT:
		SCRIPT_EXPECT(t, row, w->extint, s->a);
		break;
	case ACK:
		SCRIPT_EXPECT(t, row, board_pic_ack(b), s->a);
		break;
	case EOI:
		board_eoi(b, (uint8_t)s->a);
		break;
	case ENDED:
		board_find_ended(b, script_waits, (void *)(uintptr_t)s->a);
		break;
	case MMIO_OUT:
		board_mmio_write(b, BOARD_IOAPIC_GPA, 4, (uint64_t)s->a);
		board_mmio_write(b, BOARD_IOAPIC_GPA + 0x10, 4, (uint64_t)s->b);
		break;
	case MMIO_IN:
		board_mmio_write(b, BOARD_IOAPIC_GPA, 4, (uint64_t)s->a);
		board_mmio_read(b, BOARD_IOAPIC_GPA + 0x10, 4, &data);
		SCRIPT_EXPECT(t, row, data, s->b);
		break;
	case INTERRUPTS:
		SCRIPT_EXPECT(t, row, w->interrupts, s->a);
		if (s->a != 0) {
			SCRIPT_EXPECT(t, row, w->last_interrupt, s->b);
		}
		break;
	case TYPE:
		SCRIPT_EXPECT(t, row, board_serial_in(b, (unsigned)s->a, &byte, 1), 1);
		break;
	case SENT:
		SCRIPT_EXPECT(t, row, w->sent[s->a], s->b);
		break;
	case POWER:
		SCRIPT_EXPECT(t, row, w->power_events, s->a);
		SCRIPT_EXPECT(t, row, w->power, s->b);
		break;
	case WALL:
		w->wall_ns += (uint64_t)s->a;
		break;
	case BUTTON:
		SCRIPT_EXPECT(t, row, board_power_button(b), s->a);
		break;
	default:
		abort();
	}
}

static inline struct board *script_replant(struct test *t, struct script_world *w, struct board *b)
{
	uint8_t buf[4096];
	size_t bytes = board_save(b, buf, sizeof(buf));
	uint64_t deadline = board_deadline_ns(b);

	EXPECT(t, bytes <= sizeof(buf));
	board_destroy(b);
	w->deadline_ns = UINT64_MAX;
	w->extint = false;
	b = script_board(w);
	EXPECT_EQ(t, board_restore(b, buf, bytes), 0);
	/* a tick's rounding may be lost */
	if (deadline != UINT64_MAX) {
		EXPECT(t, board_deadline_ns(b) - deadline + 1000 <= 2000);
	}
	EXPECT_EQ(t, w->deadline_ns, board_deadline_ns(b));
	return b;
}

static inline void script_run_once(struct test *t, const struct step *steps, unsigned count,
				   unsigned saved_at)
{
	struct script_world w = script_world();
	struct board *b = script_board(&w);

	for (unsigned i = 0; i < count; i++) {
		if (i == saved_at) {
			b = script_replant(t, &w, b);
		}
		script_step(t, &w, b, &steps[i], i, saved_at);
	}
	board_destroy(b);
}

static inline void script_run(struct test *t, const struct step *steps, unsigned count)
{
	script_run_once(t, steps, count, UINT32_MAX);
	for (unsigned i = 0; i < count && t->failures == 0; i++) {
		script_run_once(t, steps, count, i);
	}
}

#define SCRIPT(t, ...)                                                                             \
	do {                                                                                       \
		static const struct step steps_[] = {__VA_ARGS__};                                 \
		script_run(t, steps_, (unsigned)ARRAY_LEN(steps_));                                \
	} while (0)

#endif
