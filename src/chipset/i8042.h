/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of an 8042 keyboard controller that works without a keyboard: its own commands answer, its reset line works, whatever is
 * sent to a device vanishes. The FADT says that there is none, so systems with ACPI leave it alone; old code only polls it.
 */
#ifndef CHIPSET_I8042_H
#define CHIPSET_I8042_H

#include "bus.h"
#include "chip.h"

#define I8042_IRQ 1

struct i8042 {
	struct chip_link link;
	void *ctx;
	void (*reset)(void *ctx);

	uint8_t config; /* the command byte */
	uint8_t output_port;
	uint8_t pending; /* command that waits for its data byte; 0: none */
	uint8_t output;
	bool output_full;
	bool last_command; /* the last write went to 64h */
	bool irq_level;
};

extern const struct chip_ops i8042_chip;
extern const struct bus_port_ops i8042_ports; /* 60h and 64h, one range each */

#endif
