/* SPDX-License-Identifier: Apache-2.0 */
/* The pair of 8259A interrupt controllers with the edge/level registers (ELCR). Spec: Intel 8259A data sheet; EISA ELCR. */
#ifndef CHIPSET_PIC_H
#define CHIPSET_PIC_H

#include "bus.h"
#include "chip.h"

struct pic_8259 {
	uint8_t irr;
	uint8_t isr;
	uint8_t imr;
	uint8_t lines;
	uint8_t elcr;
	uint8_t base;	   /* vector of IR0 */
	uint8_t lowest;	   /* IR with the lowest priority; 7 unless rotated */
	uint8_t init_step; /* ICW2..4 expected next; 0: ready */
	bool init_icw4;
	bool init_single;
	bool level_mode; /* ICW1.LTIM */
	bool read_isr;
	bool poll;
	bool special_mask;
	bool special_nested;
	bool auto_eoi;
	bool rotate_auto_eoi;
};

struct pic {
	struct chip_link link;
	void *ctx;
	void (*output)(void *ctx, bool raised);

	struct pic_8259 chip[2]; /* master, slave */

	bool raised;
};

extern const struct chip_ops pic_chip;
extern const struct bus_port_ops pic_ports;	 /* 20-21, A0-A1 */
extern const struct bus_port_ops pic_elcr_ports; /* 4D0-4D1 */

/* @irq 0..15; 2 is the cascade and ignored. */
void pic_set_irq(struct pic *p, unsigned irq, bool level);
/* INTA: the vector, -1 if nothing is requested any more. */
int pic_ack(struct pic *p);

#endif
