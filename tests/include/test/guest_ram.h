/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory in tests: a space whose tables come from the heap, and RAM that lies in it from some page on. */
#ifndef TEST_GUEST_RAM_H
#define TEST_GUEST_RAM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gmem/gmem.h"

/* @pages zeroed pages; NULL: no memory. free() takes them back. */
static inline void *test_pages_alloc(size_t pages)
{
	void *memory = aligned_alloc(GMEM_PAGE_BYTES, pages * GMEM_PAGE_BYTES);

	return memory == NULL ? NULL : memset(memory, 0, pages * GMEM_PAGE_BYTES);
}

static inline void *test_table_alloc(void *ctx)
{
	(void)ctx;
	return test_pages_alloc(1);
}

static inline void test_table_free(void *ctx, void *page)
{
	(void)ctx;
	free(page);
}

/* An empty space; what gmem_init says. */
static inline int test_space_init(struct gmem *gm, unsigned pa_bits)
{
	const struct gmem_pages pages = {.alloc = test_table_alloc, .free = test_table_free};

	return gmem_init(gm, pa_bits, &pages);
}

/* Guest pages @first up to @end are, with all rights, the host's pages of the same numbers from @ram on. */
static inline int test_ram_map(struct gmem *gm, uint8_t *ram, uint64_t first, uint64_t end)
{
	for (uint64_t gpn = first; gpn < end; gpn++) {
		int err = gmem_map(gm, gpn, ram + gpn * GMEM_PAGE_BYTES, GMEM_RIGHTS);

		if (err != 0) {
			return err;
		}
	}
	return 0;
}

#endif
