/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM for the tests and fuzz targets of this component. */
#ifndef FIRMWARE_MACHINE_TEST_H
#define FIRMWARE_MACHINE_TEST_H

#include <stdlib.h>
#include <sys/mman.h>

#include "firmware/memory_map.h"
#include "gmem/gmem.h"
#include "test/guest_ram.h"

struct machine {
	struct memory_map map;
	struct gmem gm;
	uint8_t *ram; /* contiguous; GPA 4 GiB follows GPA low_bytes */
};

static inline bool machine_map(struct machine *m, uint64_t gpa, uint8_t *ram, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += GMEM_PAGE_BYTES) {
		if (gmem_map(&m->gm, (gpa + at) >> GMEM_PAGE_SHIFT, ram + at,
			     GMEM_R | GMEM_W | GMEM_X) != 0) {
			return false;
		}
	}
	return true;
}

/* False: out of memory, or a size that memory_map_init refuses. */
static inline bool machine_init(struct machine *m, uint64_t ram_bytes)
{
	if (!memory_map_init(&m->map, ram_bytes) || test_space_init(&m->gm, 46) != 0) {
		return false;
	}
	m->ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->ram == MAP_FAILED) {
		return false;
	}
	return machine_map(m, 0, m->ram, m->map.low_bytes) &&
	       machine_map(m, MEMORY_HIGH_BASE, m->ram + m->map.low_bytes, m->map.high_bytes);
}

static inline void machine_fini(struct machine *m)
{
	gmem_fini(&m->gm);
	munmap(m->ram, m->map.ram_bytes);
}

#endif
