// SPDX-License-Identifier: Apache-2.0
#include "host/memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define HUGE_BYTES ((size_t)2 << 20)

int host_ram_map(size_t bytes, void **ret)
{
	size_t span = bytes + HUGE_BYTES;
	uint8_t *map = mmap(NULL, span, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED) {
		return -errno;
	}
	uint8_t *ram =
		(uint8_t *)(((uintptr_t)map + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
	size_t before = (size_t)(ram - map);
	size_t after = span - before - bytes;

	if (before != 0) {
		munmap(map, before);
	}
	if (after != 0) {
		munmap(ram + bytes, after);
	}
	madvise(ram, bytes, MADV_HUGEPAGE); /* an optimisation: refusal is fine */
	madvise(ram, bytes, MADV_DONTDUMP);
	*ret = ram;
	return 0;
}

void host_ram_unmap(void *ram, size_t bytes)
{
	munmap(ram, bytes);
}

void host_ram_discard(void *ram, size_t bytes)
{
	madvise(ram, bytes, MADV_DONTNEED);
}

void host_ram_populate(void *start, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += HUGE_BYTES) {
		size_t step = bytes - at < HUGE_BYTES ? bytes - at : HUGE_BYTES;

		if (madvise((char *)start + at, step, MADV_POPULATE_WRITE) < 0 && errno != EINTR) {
			return;
		}
	}
}

size_t host_ram_resident(const void *ram, size_t bytes)
{
	enum { CHUNK = 4096 };
	unsigned char map[CHUNK];
	size_t pages = bytes / PAGE_BYTES, resident = 0;

	for (size_t at = 0; at < pages; at += CHUNK) {
		size_t n = pages - at < CHUNK ? pages - at : CHUNK;

		if (mincore((char *)(uintptr_t)ram + at * PAGE_BYTES, n * PAGE_BYTES, map) < 0) {
			break;
		}
		for (size_t i = 0; i < n; i++) {
			resident += map[i] & 1;
		}
	}
	return resident * PAGE_BYTES;
}

size_t host_peak_resident(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (size_t)usage.ru_maxrss * 1024;
}

uint64_t host_physical_bytes(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Not from the heap: beside each aligned piece another page would be touched there. Nor in large pages: a machine needs a megabyte. */
void *host_pages_alloc(size_t pages)
{
	void *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		return NULL;
	}
	madvise(memory, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	return memory;
}

void host_pages_free(void *memory, size_t pages)
{
	munmap(memory, pages * PAGE_BYTES);
}
