/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A UART. Spec: National Semiconductor PC16550D data sheet.
 * The transmitter takes a byte in no time: THRE and TEMT always read 1. The far end always asserts DCD, DSR and CTS.
 */
#ifndef CHIPSET_SERIAL_H
#define CHIPSET_SERIAL_H

#include <stddef.h>

#include "bus.h"
#include "chip.h"

#define SERIAL_FIFO_BYTES 16
#define SERIAL_PORTS 8 /* I/O ports taken */

struct serial {
	/* configuration */
	struct chip_link link;
	unsigned irq;
	void *ctx;
	void (*out)(void *ctx, uint8_t byte);
	void (*ready)(void *ctx);

	/* saved */
	uint8_t ier;
	uint8_t fcr; /* enable and trigger bits */
	uint8_t lcr;
	uint8_t mcr;
	uint8_t lsr; /* error bits only */
	uint8_t msr; /* lines as last seen, and delta bits */
	uint8_t scratch;
	uint16_t divisor;
	uint8_t rx[SERIAL_FIFO_BYTES];
	uint8_t rx_head;
	uint8_t rx_count;
	bool thre_pending;
	bool timeout_pending;
	uint64_t timeout_ns;

	/* runtime */
	bool irq_level;
	bool refused; /* input did not fit: tell when there is room */
};

extern const struct chip_ops serial_chip;
extern const struct bus_port_ops serial_ports;

size_t serial_in(struct serial *s, const uint8_t *data, size_t bytes);
size_t serial_room(const struct serial *s);

#endif
