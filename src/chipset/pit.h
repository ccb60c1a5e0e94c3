/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 programmable interval timer and the port B register (61h) that gates channel 2. Spec: Intel 8254 data sheet.
 * Counters are computed from guest time; nothing runs unless channel 0 owes an interrupt.
 */
#ifndef CHIPSET_PIT_H
#define CHIPSET_PIT_H

#include "bus.h"
#include "chip.h"

#define PIT_HZ UINT64_C(1193182)
#define PIT_CHANNELS 3
#define PIT_IRQ 0

struct pit_channel {
	uint8_t mode;	/* 0..5 */
	uint8_t access; /* 1 low byte, 2 high byte, 3 both */
	bool bcd;
	bool gate;
	bool loaded;	     /* a count was written since the control word */
	bool triggered;	     /* modes 1 and 5: a gate edge came */
	uint32_t count;	     /* 1..65536, or 1..10000 in BCD */
	uint32_t next_count; /* modes 2 and 3: takes over at the end of the period; 0: none */
	bool running;	     /* ticks go on from start_ns */
	uint64_t ticks;	     /* passed before start_ns */
	uint64_t start_ns;
	bool write_high; /* next byte is the high one */
	uint8_t write_low;
	bool read_high;
	uint8_t latched; /* bytes of latch still to be read: 0, 1 or 2 */
	uint16_t latch;
	bool status_latched;
	uint8_t status;
};

struct pit {
	struct chip_link link;

	struct pit_channel channel[PIT_CHANNELS];
	uint8_t speaker;     /* bits 0 and 1 of port 61 */
	uint64_t event_tick; /* channel 0: tick of the next rise of OUT; CHIP_NEVER: none */
	bool out0;
};

extern const struct chip_ops pit_chip;
extern const struct bus_port_ops pit_ports; /* 40-43 */
extern const struct bus_port_ops pit_port61;

#endif
