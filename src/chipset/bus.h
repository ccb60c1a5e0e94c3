/* SPDX-License-Identifier: Apache-2.0 */
/* Which chip owns a port or a GPA: explicit tables, and the splitting of accesses wider than the owner understands. */
#ifndef CHIPSET_BUS_H
#define CHIPSET_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_WIDTH_1 1u
#define BUS_WIDTH_2 2u
#define BUS_WIDTH_4 4u

struct bus_port_ops {
	/* @port is absolute; the access lies within the range and has one of its widths. */
	uint32_t (*read)(void *chip, uint16_t port, unsigned bytes);
	void (*write)(void *chip, uint16_t port, unsigned bytes, uint32_t data);
};

struct bus_port_range {
	uint16_t first;
	uint16_t count;
	unsigned
		widths; /* or of BUS_WIDTH_*; byte access must be among them for anything smaller to work */
	const struct bus_port_ops *ops;
	void *chip;
};

struct bus_mmio_ops {
	uint64_t (*read)(void *chip, uint64_t offset, unsigned bytes);
	void (*write)(void *chip, uint64_t offset, unsigned bytes, uint64_t data);
};

struct bus_mmio_range {
	uint64_t first;
	uint64_t bytes;
	const struct bus_mmio_ops *ops;
	void *chip;
};

#define BUS_PORT_RANGES 24
#define BUS_MMIO_RANGES 4

/* Ranges are looked at in order: the first that covers an access takes it. */
struct bus {
	struct bus_port_range ports[BUS_PORT_RANGES];
	unsigned port_count;
	struct bus_mmio_range mmio[BUS_MMIO_RANGES];
	unsigned mmio_count;
};

void bus_add_ports(struct bus *bus, uint16_t first, uint16_t count, unsigned widths,
		   const struct bus_port_ops *ops, void *chip);
void bus_add_mmio(struct bus *bus, uint64_t first, uint64_t bytes, const struct bus_mmio_ops *ops,
		  void *chip);

uint32_t bus_port_read(const struct bus *bus, uint16_t port, unsigned bytes);
void bus_port_write(const struct bus *bus, uint16_t port, unsigned bytes, uint32_t data);
bool bus_mmio_read(const struct bus *bus, uint64_t gpa, unsigned bytes, uint64_t *ret_data);
bool bus_mmio_write(const struct bus *bus, uint64_t gpa, unsigned bytes, uint64_t data);

#endif
