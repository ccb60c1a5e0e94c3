/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things lie in a child partition's GPA space. RAM is one block from 0 (at most up to 0xF8000000) and
 * the rest from 4 GiB; between them are the low MMIO gap, the IOAPIC and the local APICs; above them the high MMIO gap.
 */
#ifndef FIRMWARE_MEMORY_MAP_H
#define FIRMWARE_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_LOW_LIMIT UINT64_C(0xf8000000) /* RAM below 4 GiB ends here at the latest */
#define MEMORY_HIGH_BASE UINT64_C(0x100000000)
#define MEMORY_IOAPIC_GPA UINT64_C(0xfec00000)
#define MEMORY_LAPIC_GPA UINT64_C(0xfee00000)
#define MEMORY_EBDA_GPA 0x9fc00u
#define MEMORY_HOLE_GPA                                                                            \
	0xa0000u /* to 1 MiB: reserved; RAM all the same, so that old code may scribble there */
#define MEMORY_RSDP_GPA 0xe0000u
#define MEMORY_SMBIOS_GPA 0xf0000u
#define MEMORY_ACPI_BYTES 0x40000u /* ACPI tables at the end of low RAM */
#define MEMORY_MIN_BYTES (UINT64_C(4) << 20)
#define MEMORY_MAX_BYTES (UINT64_C(1) << 46)

#define E820_RAM 1u
#define E820_RESERVED 2u
#define E820_ACPI 3u
#define MEMORY_E820_MAX 8

struct memory_map {
	uint64_t ram_bytes;
	uint64_t low_bytes;  /* RAM at [0, low_bytes) */
	uint64_t high_bytes; /* RAM at [4 GiB, 4 GiB + high_bytes) */
	uint64_t acpi_gpa;   /* MEMORY_ACPI_BYTES of tables */
	uint64_t mmio_low_gpa;
	uint64_t mmio_low_bytes;
	uint64_t mmio_high_gpa;
	uint64_t mmio_high_bytes;
	uint64_t
		end_gpa; /* nothing lies at or above this: the physical address width follows from it */
};

struct e820_entry {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t type;
};

/* False: @ram_bytes is below MEMORY_MIN_BYTES, above MEMORY_MAX_BYTES or not a multiple of 4 KiB. */
bool memory_map_init(struct memory_map *map, uint64_t ram_bytes);
/* Fills @ret with the map as firmware reports it, sorted, without overlap; returns the number of entries. */
size_t memory_map_e820(const struct memory_map *map, struct e820_entry ret[MEMORY_E820_MAX]);

#endif
