// SPDX-License-Identifier: Apache-2.0
#include "firmware/memory_map.h"

#include "lib/bits.h"

#define GIB (UINT64_C(1) << 30)
#define MMIO_HIGH_BYTES (4 * GIB)

bool memory_map_init(struct memory_map *map, uint64_t ram_bytes)
{
	if (ram_bytes < MEMORY_MIN_BYTES || ram_bytes > MEMORY_MAX_BYTES || ram_bytes % 4096 != 0) {
		return false;
	}
	map->ram_bytes = ram_bytes;
	map->low_bytes = min_u64(ram_bytes, MEMORY_LOW_LIMIT);
	map->high_bytes = ram_bytes - map->low_bytes;
	map->acpi_gpa = map->low_bytes - MEMORY_ACPI_BYTES;
	map->mmio_low_gpa = MEMORY_LOW_LIMIT;
	map->mmio_low_bytes = MEMORY_IOAPIC_GPA - MEMORY_LOW_LIMIT;
	map->mmio_high_gpa = align_up(MEMORY_HIGH_BASE + map->high_bytes, GIB);
	map->mmio_high_bytes = MMIO_HIGH_BYTES;
	map->end_gpa = map->mmio_high_gpa + map->mmio_high_bytes;
	return true;
}

size_t memory_map_e820(const struct memory_map *map, struct e820_entry ret[MEMORY_E820_MAX])
{
	const uint64_t mib = 1 << 20;
	size_t n = 0;

	ret[n++] = (struct e820_entry){0, MEMORY_EBDA_GPA, E820_RAM};
	ret[n++] = (struct e820_entry){MEMORY_EBDA_GPA, MEMORY_HOLE_GPA - MEMORY_EBDA_GPA,
				       E820_RESERVED};
	ret[n++] = (struct e820_entry){MEMORY_RSDP_GPA, mib - MEMORY_RSDP_GPA, E820_RESERVED};
	ret[n++] = (struct e820_entry){mib, map->acpi_gpa - mib, E820_RAM};
	ret[n++] = (struct e820_entry){map->acpi_gpa, MEMORY_ACPI_BYTES, E820_ACPI};
	if (map->high_bytes != 0) {
		ret[n++] = (struct e820_entry){MEMORY_HIGH_BASE, map->high_bytes, E820_RAM};
	}
	return n;
}
