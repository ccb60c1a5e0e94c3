// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "bus.h"
#include "lib/bits.h"
#include "lib/check.h"

void bus_add_ports(struct bus *bus, uint16_t first, uint16_t count, unsigned widths,
		   const struct bus_port_ops *ops, void *chip)
{
	CHECK(bus->port_count < BUS_PORT_RANGES);
	bus->ports[bus->port_count++] = (struct bus_port_range){first, count, widths, ops, chip};
}

void bus_add_mmio(struct bus *bus, uint64_t first, uint64_t bytes, const struct bus_mmio_ops *ops,
		  void *chip)
{
	CHECK(bus->mmio_count < BUS_MMIO_RANGES);
	bus->mmio[bus->mmio_count++] = (struct bus_mmio_range){first, bytes, ops, chip};
}

static const struct bus_port_range *find_port(const struct bus *bus, uint16_t port, unsigned bytes)
{
	for (unsigned i = 0; i < bus->port_count; i++) {
		const struct bus_port_range *r = &bus->ports[i];

		if (port >= r->first && port + bytes <= r->first + r->count &&
		    (r->widths & bytes)) {
			return r;
		}
	}
	return NULL;
}

static uint32_t all_ones(unsigned bytes)
{
	return bytes >= 4 ? UINT32_MAX : (UINT32_C(1) << (8 * bytes)) - 1;
}

/* Nobody takes the access whole: halves, down to bytes, as an ISA bridge does. The last port wraps to nothing. */
uint32_t bus_port_read(const struct bus *bus, uint16_t port, unsigned bytes)
{
	const struct bus_port_range *r = find_port(bus, port, bytes);

	if (r != NULL) {
		return r->ops->read(r->chip, port, bytes) & all_ones(bytes);
	}
	if (bytes == 1 || (bytes != 2 && bytes != 4)) {
		return all_ones(bytes);
	}
	unsigned half = bytes / 2;
	uint32_t low = bus_port_read(bus, port, half);
	uint32_t high = port + half > UINT16_MAX
				? all_ones(half)
				: bus_port_read(bus, (uint16_t)(port + half), half);

	return low | high << (8 * half);
}

void bus_port_write(const struct bus *bus, uint16_t port, unsigned bytes, uint32_t data)
{
	const struct bus_port_range *r = find_port(bus, port, bytes);

	if (r != NULL) {
		r->ops->write(r->chip, port, bytes, data & all_ones(bytes));
		return;
	}
	if (bytes != 2 && bytes != 4) {
		return;
	}
	unsigned half = bytes / 2;

	bus_port_write(bus, port, half, data & all_ones(half));
	if (port + half <= UINT16_MAX) {
		bus_port_write(bus, (uint16_t)(port + half), half, data >> (8 * half));
	}
}

static const struct bus_mmio_range *find_mmio(const struct bus *bus, uint64_t gpa, unsigned bytes)
{
	for (unsigned i = 0; i < bus->mmio_count; i++) {
		const struct bus_mmio_range *r = &bus->mmio[i];

		if (gpa >= r->first && range_within(gpa - r->first, bytes, r->bytes)) {
			return r;
		}
	}
	return NULL;
}

bool bus_mmio_read(const struct bus *bus, uint64_t gpa, unsigned bytes, uint64_t *ret_data)
{
	const struct bus_mmio_range *r = find_mmio(bus, gpa, bytes);
	uint64_t ones = bytes >= 8 ? UINT64_MAX : BIT64(8 * bytes) - 1;

	*ret_data = ones;
	if (r == NULL) {
		return false;
	}
	*ret_data = r->ops->read(r->chip, gpa - r->first, bytes) & ones;
	return true;
}

bool bus_mmio_write(const struct bus *bus, uint64_t gpa, unsigned bytes, uint64_t data)
{
	const struct bus_mmio_range *r = find_mmio(bus, gpa, bytes);

	if (r == NULL) {
		return false;
	}
	r->ops->write(r->chip, gpa - r->first, bytes, data);
	return true;
}
