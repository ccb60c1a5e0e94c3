/* SPDX-License-Identifier: Apache-2.0 */
/* Port 80: the POST code, which much code also writes just to wait. */
#ifndef CHIPSET_POST_H
#define CHIPSET_POST_H

#include "bus.h"
#include "chip.h"

struct post {
	struct chip_link link;
	void *ctx;
	void (*code)(void *ctx, uint8_t code); /* may be NULL */

	uint8_t last;
};

extern const struct chip_ops post_chip;
extern const struct bus_port_ops post_ports;

#endif
