// SPDX-License-Identifier: Apache-2.0
#include "pic.h"

#include <string.h>

#include "lib/bits.h"

#define CASCADE 2u
#define MASTER 0
#define SLAVE 1
/* Lines 0, 1, 2 of the master and 8, 13 of the slave are edge-triggered by design. */
#define ELCR_MASTER_MASK 0xf8u
#define ELCR_SLAVE_MASK 0xdeu
/* What firmware leaves behind: the ACPI interrupt is level-triggered. */
#define ELCR_SLAVE_RESET 0x02u

#define ICW1 0x10u
#define ICW1_ICW4 0x01u
#define ICW1_SINGLE 0x02u
#define ICW1_LEVEL 0x08u
#define ICW4_AUTO_EOI 0x02u
#define ICW4_SPECIAL_NESTED 0x10u
#define OCW3 0x08u

/* Distance from the highest-priority IR to the best one in @mask; 8: none. */
static unsigned best(const struct pic_8259 *c, uint8_t mask)
{
	for (unsigned i = 0; i < 8; i++) {
		if (mask & (1u << ((c->lowest + 1 + i) & 7))) {
			return i;
		}
	}
	return 8;
}

static unsigned ir_at(const struct pic_8259 *c, unsigned distance)
{
	return (c->lowest + 1 + distance) & 7;
}

/* The IR whose request the chip passes on; -1: none. */
static int request(const struct pic *p, unsigned which)
{
	const struct pic_8259 *c = &p->chip[which];
	unsigned wanted = best(c, c->irr & (uint8_t)~c->imr);
	uint8_t in_service = c->isr;

	if (wanted == 8 || c->init_step != 0) {
		return -1;
	}
	if (c->special_mask) {
		in_service &= (uint8_t)~c->imr;
	}
	if (c->special_nested && which == MASTER) {
		in_service &= (uint8_t) ~(1u << CASCADE);
	}
	return wanted < best(c, in_service) ? (int)ir_at(c, wanted) : -1;
}

/*
 * The INTR output. The cascade input follows the slave's output without an edge detector: the slave drops it in every INTA
 * cycle.
 */
static bool output(struct pic *p)
{
	struct pic_8259 *m = &p->chip[MASTER];
	bool cascade = request(p, SLAVE) >= 0;

	m->irr = (uint8_t)((m->irr & ~(1u << CASCADE)) | (cascade ? 1u << CASCADE : 0));
	return request(p, MASTER) >= 0;
}

static void update(struct pic *p)
{
	bool raised = output(p);

	if (raised != p->raised) {
		p->raised = raised;
		p->output(p->ctx, raised);
	}
}

static bool is_level(const struct pic_8259 *c, unsigned ir)
{
	return c->level_mode || (c->elcr & (1u << ir));
}

void pic_set_irq(struct pic *p, unsigned irq, bool level)
{
	if (irq >= 16 || irq == CASCADE) {
		return;
	}
	struct pic_8259 *c = &p->chip[irq / 8];
	uint8_t bit = (uint8_t)(1u << (irq & 7));

	if (level) {
		if (is_level(c, irq & 7) || !(c->lines & bit)) {
			c->irr |= bit;
		}
		c->lines |= bit;
	} else {
		/* The request is gone with the line, edge-triggered or not: the latch needs the line up at INTA. */
		c->irr &= (uint8_t)~bit;
		c->lines &= (uint8_t)~bit;
	}
	update(p);
}

static void acknowledge(struct pic_8259 *c, unsigned ir)
{
	uint8_t bit = (uint8_t)(1u << ir);

	if (!is_level(c, ir)) {
		c->irr &= (uint8_t)~bit;
	}
	if (!c->auto_eoi) {
		c->isr |= bit;
	} else if (c->rotate_auto_eoi) {
		c->lowest = (uint8_t)ir;
	}
}

int pic_ack(struct pic *p)
{
	int ir = request(p, MASTER);
	int slave_ir = request(p, SLAVE);
	int vector;

	/*
	 * Hardware would answer IR7 here. The processor asks again only because it saw INTR a moment ago, so no guest can tell
	 * a withdrawn request from one that never was; it is spared the spurious interrupt.
	 */
	if (ir < 0) {
		return -1;
	}
	acknowledge(&p->chip[MASTER], (unsigned)ir);
	vector = p->chip[MASTER].base + ir;
	if (ir == CASCADE && slave_ir >= 0) {
		acknowledge(&p->chip[SLAVE], (unsigned)slave_ir);
		vector = p->chip[SLAVE].base + slave_ir;
	}
	update(p);
	return vector;
}

static void end_of_interrupt(struct pic_8259 *c, unsigned command, unsigned ir)
{
	uint8_t candidates = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
	unsigned distance = best(c, candidates);

	switch (command) {
	case 0: /* rotate in automatic EOI mode: clear */
	case 4: /* set */
		c->rotate_auto_eoi = command == 4;
		break;
	case 1: /* non-specific */
	case 5: /* and rotate */
		if (distance < 8) {
			unsigned done = ir_at(c, distance);

			c->isr &= (uint8_t) ~(1u << done);
			if (command == 5) {
				c->lowest = (uint8_t)done;
			}
		}
		break;
	case 3: /* specific */
	case 7: /* and rotate */
		c->isr &= (uint8_t) ~(1u << ir);
		if (command == 7) {
			c->lowest = (uint8_t)ir;
		}
		break;
	case 6: /* set priority */
		c->lowest = (uint8_t)ir;
		break;
	default: /* 2: no operation */
		break;
	}
}

static void write_icw1(struct pic_8259 *c, uint8_t v)
{
	c->init_step = 2;
	c->init_icw4 = v & ICW1_ICW4;
	c->init_single = v & ICW1_SINGLE;
	c->level_mode = v & ICW1_LEVEL;
	/* The edge detectors are reset: a line that is up must fall and rise again. */
	c->irr = c->level_mode ? c->lines : c->lines & c->elcr;
	c->isr = 0;
	c->imr = 0;
	c->lowest = 7;
	c->read_isr = false;
	c->poll = false;
	c->special_mask = false;
	c->special_nested = false;
	c->auto_eoi = false;
	c->rotate_auto_eoi = false;
}

static void write_command(struct pic_8259 *c, uint8_t v)
{
	if (v & ICW1) {
		write_icw1(c, v);
	} else if (v & OCW3) {
		c->poll = (v & 0x04) != 0;
		if (v & 0x02) {
			c->read_isr = v & 0x01;
		}
		if (v & 0x40) {
			c->special_mask = (v & 0x20) != 0;
		}
	} else {
		end_of_interrupt(c, v >> 5, v & 7);
	}
}

static void write_data(struct pic_8259 *c, uint8_t v)
{
	switch (c->init_step) {
	case 2:
		c->base = v & 0xf8;
		c->init_step = !c->init_single ? 3 : c->init_icw4 ? 4 : 0;
		break;
	case 3: /* the wiring of the cascade is fixed */
		c->init_step = c->init_icw4 ? 4 : 0;
		break;
	case 4:
		c->auto_eoi = v & ICW4_AUTO_EOI;
		c->special_nested = v & ICW4_SPECIAL_NESTED;
		c->init_step = 0;
		break;
	default:
		c->imr = v;
		break;
	}
}

static void pic_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct pic *p = chip;
	struct pic_8259 *c = &p->chip[port & 0x80 ? SLAVE : MASTER];

	if (port & 1) {
		write_data(c, (uint8_t)data);
	} else {
		write_command(c, (uint8_t)data);
	}
	update(p);
}

/* A read after the poll command acknowledges like INTA. */
static uint8_t poll_read(struct pic *p, unsigned which)
{
	struct pic_8259 *c = &p->chip[which];
	int ir = request(p, which);

	c->poll = false;
	if (ir < 0) {
		return 0;
	}
	acknowledge(c, (unsigned)ir);
	update(p);
	return (uint8_t)(0x80 | ir);
}

static uint32_t pic_read(void *chip, uint16_t port, unsigned bytes)
{
	struct pic *p = chip;
	unsigned which = port & 0x80 ? SLAVE : MASTER;
	struct pic_8259 *c = &p->chip[which];

	if (c->poll) {
		return poll_read(p, which);
	}
	if (port & 1) {
		return c->imr;
	}
	return c->read_isr ? c->isr : c->irr;
}

static uint32_t elcr_read(void *chip, uint16_t port, unsigned bytes)
{
	struct pic *p = chip;

	return p->chip[port & 1].elcr;
}

static void elcr_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct pic *p = chip;
	struct pic_8259 *c = &p->chip[port & 1];

	c->elcr = (uint8_t)data & (port & 1 ? ELCR_SLAVE_MASK : ELCR_MASTER_MASK);
	c->irr |= c->lines & c->elcr;
	update(p);
}

/*
 * Masked and at vectors 0 and 8, as no firmware ran: a system that wants the chips programs them first, and nothing disturbs one
 * that does not.
 */
static void pic_reset(void *chip)
{
	struct pic *p = chip;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t lines = p->chip[i].lines;

		memset(&p->chip[i], 0, sizeof(p->chip[i]));
		p->chip[i].lines = lines;
		p->chip[i].imr = 0xff;
		p->chip[i].lowest = 7;
	}
	p->chip[MASTER].base = 0x08;
	p->chip[SLAVE].base = 0x70;
	p->chip[SLAVE].elcr = ELCR_SLAVE_RESET;
	update(p);
}

static void pic_save(const void *chip, struct state_writer *w)
{
	const struct pic *p = chip;

	for (unsigned i = 0; i < 2; i++) {
		const struct pic_8259 *c = &p->chip[i];

		state_put_u8(w, c->irr);
		state_put_u8(w, c->isr);
		state_put_u8(w, c->imr);
		state_put_u8(w, c->lines);
		state_put_u8(w, c->elcr);
		state_put_u8(w, c->base);
		state_put_u8(w, c->lowest);
		state_put_u8(w, c->init_step);
		state_put_u16(w, (uint16_t)(c->init_icw4 | c->init_single << 1 |
					    c->level_mode << 2 | c->read_isr << 3 | c->poll << 4 |
					    c->special_mask << 5 | c->special_nested << 6 |
					    c->auto_eoi << 7 | c->rotate_auto_eoi << 8));
	}
}

static bool pic_restore(void *chip, struct state_reader *r)
{
	struct pic *p = chip;

	for (unsigned i = 0; i < 2; i++) {
		struct pic_8259 *c = &p->chip[i];

		c->irr = state_get_u8(r);
		c->isr = state_get_u8(r);
		c->imr = state_get_u8(r);
		c->lines = state_get_u8(r);
		c->elcr = state_get_u8(r) & (i == SLAVE ? ELCR_SLAVE_MASK : ELCR_MASTER_MASK);
		c->base = state_get_u8(r) & 0xf8;
		c->lowest = state_get_u8(r);
		c->init_step = state_get_u8(r);
		uint16_t flags = state_get_u16(r);

		c->init_icw4 = flags & BIT32(0);
		c->init_single = flags & BIT32(1);
		c->level_mode = flags & BIT32(2);
		c->read_isr = flags & BIT32(3);
		c->poll = flags & BIT32(4);
		c->special_mask = flags & BIT32(5);
		c->special_nested = flags & BIT32(6);
		c->auto_eoi = flags & BIT32(7);
		c->rotate_auto_eoi = flags & BIT32(8);
		if (r->bad || c->lowest > 7 || c->init_step > 4 || c->init_step == 1) {
			return false;
		}
	}
	p->raised = output(p);
	return true;
}

const struct chip_ops pic_chip = {
	.tag = STATE_TAG('P', 'I', 'C', ' '),
	.version = 1,
	.reset = pic_reset,
	.save = pic_save,
	.restore = pic_restore,
};

const struct bus_port_ops pic_ports = {pic_read, pic_write};
const struct bus_port_ops pic_elcr_ports = {elcr_read, elcr_write};
