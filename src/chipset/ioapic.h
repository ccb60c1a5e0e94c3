/* SPDX-License-Identifier: Apache-2.0 */
/* I/O APIC with 24 inputs. Spec: Intel 82093AA data sheet (version 0x11: EOIs come from the local APICs only). */
#ifndef CHIPSET_IOAPIC_H
#define CHIPSET_IOAPIC_H

#include "bus.h"
#include "chip.h"

#define IOAPIC_PINS 24
#define IOAPIC_VERSION 0x11u

struct ioapic {
	struct chip_link link;
	void *ctx;
	/* As board_config's interrupt. */
	void (*interrupt)(void *ctx, uint32_t type, uint8_t vector, uint32_t destination,
			  bool logical, bool level);
	uint8_t default_id;

	uint8_t id;
	uint8_t select;
	uint32_t lines;
	uint64_t entry[IOAPIC_PINS];
};

extern const struct chip_ops ioapic_chip;
extern const struct bus_mmio_ops ioapic_mmio;

void ioapic_set_pin(struct ioapic *a, unsigned pin, bool level);
void ioapic_eoi(struct ioapic *a, uint8_t vector);
void ioapic_find_ended(struct ioapic *a, bool (*waits)(void *ctx, uint8_t vector), void *ctx);

#endif
