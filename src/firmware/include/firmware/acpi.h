/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that firmware leaves in memory: ACPI and SMBIOS. */
#ifndef FIRMWARE_ACPI_H
#define FIRMWARE_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/memory_map.h"
#include "gmem/gmem.h"

#define ACPI_PROCESSORS_MAX 2048

struct acpi_config {
	const struct memory_map *map;
	uint32_t
		processors; /* 1..ACPI_PROCESSORS_MAX; APIC id = index, ACPI processor uid = index + 1 */
	bool vmbus;	    /* \_SB.VMOD.VMBS is present (_STA) */
	bool no_legacy; /* there are no 8259s and no 8254 */
};

/*
 * Writes RSDP, RSDT, XSDT, FADT, FACS, MADT, WAET, DSDT and SSDT. RAM must be mapped already.
 * 0; -EINVAL: a value out of range; -EFAULT: the memory is not mapped; -ENOSPC: MEMORY_ACPI_BYTES are too few.
 */
int acpi_build(const struct acpi_config *config, struct gmem *gm, uint64_t *ret_rsdp_gpa);

struct smbios_config {
	const char *serial; /* chassis and system serial number; NULL: none */
	uint8_t uuid[16];   /* of the VM, in SMBIOS byte order */
	uint32_t processors;
	uint64_t ram_bytes;
};

/* SMBIOS 2.8 entry point and tables at MEMORY_SMBIOS_GPA. 0; -EFAULT; -ENOSPC (a very long serial). */
int smbios_build(const struct smbios_config *config, struct gmem *gm);

#endif
