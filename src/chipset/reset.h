/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two of the ports through which a PC resets itself: CF9 and system control port A (92). The A20 bit of port 92 reads back
 * as written; the address line itself is always enabled.
 */
#ifndef CHIPSET_RESET_H
#define CHIPSET_RESET_H

#include "bus.h"
#include "chip.h"

struct reset_ports {
	struct chip_link link;
	void *ctx;
	void (*reset)(void *ctx);

	uint8_t cf9;
	uint8_t port92;
};

extern const struct chip_ops reset_chip;
extern const struct bus_port_ops reset_cf9_ports;
extern const struct bus_port_ops reset_port92_ports;

#endif
