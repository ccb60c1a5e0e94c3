// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"

#define MIB (UINT64_C(1) << 20)

enum loader_status target_fail(struct target *t, enum loader_status status, enum loader_part part,
			       const char *fmt, ...)
{
	va_list ap;

	t->err->status = status;
	t->err->part = part;
	va_start(ap, fmt);
	vsnprintf(t->err->text, sizeof(t->err->text), fmt, ap);
	va_end(ap);
	return status;
}

static uint64_t in_mib(uint64_t bytes)
{
	return bytes / MIB + (bytes % MIB != 0);
}

enum loader_status target_claim(struct target *t, uint64_t gpa, uint64_t bytes)
{
	const struct memory_map *map = t->map;
	uint64_t end;

	if (bytes == 0) {
		return LOADER_OK;
	}
	if (__builtin_add_overflow(gpa, bytes, &end)) {
		return target_fail(t, LOADER_CORRUPT, LOADER_PART_KERNEL,
				   "a segment of 0x%" PRIx64 " bytes at 0x%" PRIx64 " wraps around",
				   bytes, gpa);
	}
	if (end <= BOOT_AREA_GPA || (gpa >= MIB && end <= map->acpi_gpa)) {
		t->kernel_end = max_u64(t->kernel_end, end);
		return LOADER_OK;
	}
	if (gpa >= MEMORY_HIGH_BASE && end - MEMORY_HIGH_BASE <= map->high_bytes) {
		return LOADER_OK;
	}
	if (gpa < MIB) {
		return target_fail(t, LOADER_CORRUPT, LOADER_PART_KERNEL,
				   "a segment at 0x%" PRIx64 "..0x%" PRIx64
				   " lies over firmware; expected below 0x%x or from 1 MiB up",
				   gpa, end, BOOT_AREA_GPA);
	}
	if (end > MEMORY_LOW_LIMIT && end <= MEMORY_HIGH_BASE) {
		return target_fail(t, LOADER_CORRUPT, LOADER_PART_KERNEL,
				   "a segment at 0x%" PRIx64 "..0x%" PRIx64 " lies in the MMIO gap",
				   gpa, end);
	}
	return target_fail(t, LOADER_NO_MEMORY, LOADER_PART_MEMORY,
			   "%" PRIu64 " MiB found, the kernel needs at least %" PRIu64 " MiB",
			   map->ram_bytes / MIB, in_mib(end + MEMORY_ACPI_BYTES));
}

void *target_piece(const struct target *t, uint64_t gpa, size_t *ret_bytes)
{
	size_t wanted = *ret_bytes;
	size_t in_page = GMEM_PAGE_BYTES - (size_t)(gpa % GMEM_PAGE_BYTES);
	size_t have = wanted < in_page ? wanted : in_page;
	uint8_t *start = gmem_ptr(t->gm, gpa, have, GMEM_R | GMEM_W);

	if (start == NULL) {
		return NULL;
	}
	while (have < wanted) {
		size_t more = wanted - have < GMEM_PAGE_BYTES ? wanted - have : GMEM_PAGE_BYTES;

		if (gmem_ptr(t->gm, gpa + have, more, GMEM_R | GMEM_W) != start + have) {
			break;
		}
		have += more;
	}
	*ret_bytes = have;
	return start;
}

static enum loader_status not_mapped(struct target *t, uint64_t gpa)
{
	return target_fail(t, LOADER_HOST, LOADER_PART_MEMORY,
			   "guest memory at 0x%" PRIx64 " is not mapped", gpa);
}

enum loader_status target_write(struct target *t, uint64_t gpa, const void *data, size_t bytes)
{
	return gmem_write_any(t->gm, gpa, data, bytes) ? LOADER_OK : not_mapped(t, gpa);
}

static bool is_zero(const uint8_t *p, size_t bytes)
{
	return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

enum loader_status target_write_sparse(struct target *t, uint64_t gpa, const void *data,
				       size_t bytes)
{
	const uint8_t *p = data;

	while (bytes > 0) {
		size_t n = GMEM_PAGE_BYTES - (size_t)(gpa % GMEM_PAGE_BYTES);

		n = n < bytes ? n : bytes;
		if (!is_zero(p, n) && !gmem_write_any(t->gm, gpa, p, n)) {
			return not_mapped(t, gpa);
		}
		gpa += n;
		p += n;
		bytes -= n;
	}
	return LOADER_OK;
}

enum loader_status target_initrd(struct target *t, const struct loader_input *in, uint64_t limit,
				 bool high_ok, uint64_t *ret_gpa)
{
	const struct memory_map *map = t->map;
	uint64_t bytes = align_up(in->initrd_bytes, GMEM_PAGE_BYTES);
	uint64_t floor = max_u64(align_up(t->kernel_end, GMEM_PAGE_BYTES), MIB);
	uint64_t top = align_down(min_u64(limit, map->acpi_gpa), GMEM_PAGE_BYTES);
	uint64_t gpa;

	if (in->initrd == NULL || in->initrd_bytes == 0) {
		*ret_gpa = 0;
		return LOADER_OK;
	}
	if (top > floor && bytes <= top - floor) {
		gpa = top - bytes;
	} else if (high_ok && bytes <= map->high_bytes) {
		gpa = MEMORY_HIGH_BASE + map->high_bytes - bytes;
	} else {
		uint64_t low = top > floor ? top - floor : 0;

		return target_fail(t, LOADER_INITRD_TOO_LARGE, LOADER_PART_INITRD,
				   "%" PRIu64 " MiB found, %" PRIu64 " MiB of %" PRIu64
				   " MiB memory are left for it beside the kernel",
				   in_mib(in->initrd_bytes),
				   (high_ok ? max_u64(low, map->high_bytes) : low) / MIB,
				   map->ram_bytes / MIB);
	}
	*ret_gpa = gpa;
	return target_write(t, gpa, in->initrd, in->initrd_bytes);
}

enum loader_status target_cmdline(struct target *t, const char *cmdline, size_t max)
{
	const char *text = cmdline != NULL ? cmdline : "";
	size_t bytes = strlen(text);

	max = max < BOOT_CMDLINE_BYTES - 1 ? max : BOOT_CMDLINE_BYTES - 1;
	if (bytes > max) {
		return target_fail(t, LOADER_CMDLINE_TOO_LONG, LOADER_PART_CMDLINE,
				   "%zu bytes found, this kernel takes at most %zu", bytes, max);
	}
	return target_write(t, BOOT_CMDLINE_GPA, text, bytes + 1);
}
