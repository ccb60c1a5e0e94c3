// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <inttypes.h>
#include <string.h>

#include "lib/bits.h"

#define SEARCH_BYTES 8192u
#define HEADER_MAGIC 0x1badb002u
#define HEADER_BYTES 12
#define HEADER_ADDRESS_BYTES 32
#define FLAG_ADDRESSES 0x00010000u
/* Must be understood: page-aligned modules, memory information, video mode (a wish that may stay unfulfilled). */
#define FLAGS_REQUIRED 0x0000ffffu
#define FLAGS_UNDERSTOOD 0x00000007u

#define BOOT_MAGIC 0x2badb002u
#define INFO_BYTES 120
#define INFO_MEMORY 0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODULES 0x008u
#define INFO_MMAP 0x040u
#define INFO_LOADER_NAME 0x200u
#define MODULE_BYTES 16
#define MMAP_BYTES 24

#define MODULE_GPA BOOT_LISTS_GPA
#define MMAP_GPA (BOOT_LISTS_GPA + 0x100)
#define NAME_GPA (BOOT_LISTS_GPA + 0x200)

struct header {
	size_t offset; /* in the file */
	uint32_t flags;
};

static bool find_header(const struct loader_input *in, struct header *ret)
{
	const uint8_t *file = in->kernel;
	size_t end = (size_t)min_u64(in->kernel_bytes, SEARCH_BYTES);

	for (size_t at = 0; at + HEADER_BYTES <= end; at += 4) {
		uint32_t flags = load_le32(file + at + 4);

		if (load_le32(file + at) == HEADER_MAGIC &&
		    (uint32_t)(HEADER_MAGIC + flags + load_le32(file + at + 8)) == 0) {
			*ret = (struct header){at, flags};
			return true;
		}
	}
	return false;
}

bool multiboot_is(const struct loader_input *in)
{
	struct header h;

	return find_header(in, &h);
}

static enum loader_status bad_addresses(struct target *t, const char *what, uint32_t found,
					uint32_t against)
{
	return target_fail(t, LOADER_CORRUPT, LOADER_PART_KERNEL,
			   "multiboot address fields contradict each other: %s 0x%x and 0x%x", what,
			   found, against);
}

/* The header's address fields say what part of the file goes where ("a.out kludge"). */
static enum loader_status load_by_addresses(struct target *t, const struct loader_input *in,
					    const struct header *h, uint64_t *ret_entry)
{
	const uint8_t *file = in->kernel;
	const uint8_t *fields = file + h->offset + HEADER_BYTES;

	if (!range_within(h->offset, HEADER_ADDRESS_BYTES, in->kernel_bytes)) {
		return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
				   "the file ends within its multiboot header, after %zu bytes",
				   in->kernel_bytes);
	}
	uint32_t header_addr = load_le32(fields);
	uint32_t load_addr = load_le32(fields + 4);
	uint32_t load_end = load_le32(fields + 8);
	uint32_t bss_end = load_le32(fields + 12);

	*ret_entry = load_le32(fields + 16);
	if (header_addr < load_addr || header_addr - load_addr > h->offset) {
		return bad_addresses(t, "header and load address", header_addr, load_addr);
	}
	size_t start = h->offset - (header_addr - load_addr);
	uint64_t bytes = in->kernel_bytes - start;

	if (load_end != 0) {
		if (load_end < load_addr) {
			return bad_addresses(t, "load end and load address", load_end, load_addr);
		}
		if (load_end - load_addr > bytes) {
			return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
					   "the file holds %" PRIu64 " bytes to load, %u expected",
					   bytes, load_end - load_addr);
		}
		bytes = load_end - load_addr;
	}
	if (bss_end != 0 && bss_end < load_addr + bytes) {
		return bad_addresses(t, "end of bss and of load", bss_end,
				     (uint32_t)(load_addr + bytes));
	}
	enum loader_status status =
		target_claim(t, load_addr, bss_end != 0 ? bss_end - load_addr : bytes);

	return status == LOADER_OK ? target_write_sparse(t, load_addr, file + start, (size_t)bytes)
				   : status;
}

static enum loader_status load_elf(struct target *t, const struct loader_input *in,
				   uint64_t *ret_entry)
{
	struct elf_image image;
	enum loader_status status;

	if (!elf_is(in->kernel, in->kernel_bytes)) {
		return target_fail(
			t, LOADER_FOREIGN, LOADER_PART_KERNEL,
			"a multiboot header without addresses found; the file is no ELF either");
	}
	status = elf_parse(t, in->kernel, in->kernel_bytes, in->kernel_bytes, &image);
	if (status == LOADER_OK) {
		status = elf_claim(t, &image);
	}
	if (status == LOADER_OK) {
		status = elf_load(t, &image, in->kernel);
	}
	if (status == LOADER_OK) {
		*ret_entry = elf_physical(&image, image.entry);
	}
	return status;
}

static enum loader_status put_lists(struct target *t, uint32_t module, size_t module_bytes,
				    size_t *ret_mmap_bytes)
{
	static const char name[] = "Virid";
	uint8_t modules[MODULE_BYTES] = {0};
	uint8_t mmap[MEMORY_E820_MAX * MMAP_BYTES] = {0};
	struct e820_entry e820[MEMORY_E820_MAX];
	size_t count = memory_map_e820(t->map, e820);

	for (size_t i = 0; i < count; i++) {
		uint8_t *entry = mmap + i * MMAP_BYTES;

		store_le32(entry, MMAP_BYTES - 4);
		store_le64(entry + 4, e820[i].gpa);
		store_le64(entry + 12, e820[i].bytes);
		store_le32(entry + 20, e820[i].type);
	}
	*ret_mmap_bytes = count * MMAP_BYTES;
	store_le32(modules, module);
	store_le32(modules + 4, (uint32_t)(module + module_bytes));
	enum loader_status status = target_write(t, MODULE_GPA, modules, sizeof(modules));

	if (status == LOADER_OK) {
		status = target_write(t, MMAP_GPA, mmap, sizeof(mmap));
	}
	return status == LOADER_OK ? target_write(t, NAME_GPA, name, sizeof(name)) : status;
}

static enum loader_status put_info(struct target *t, uint32_t module, size_t module_bytes)
{
	uint8_t info[INFO_BYTES] = {0};
	size_t mmap_bytes;
	enum loader_status status = put_lists(t, module, module_bytes, &mmap_bytes);

	if (status != LOADER_OK) {
		return status;
	}
	store_le32(info, INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER_NAME |
				 (module != 0 ? INFO_MODULES : 0));
	store_le32(info + 4, MEMORY_EBDA_GPA / 1024);
	store_le32(info + 8, (uint32_t)((t->map->acpi_gpa - (1 << 20)) / 1024));
	store_le32(info + 16, BOOT_CMDLINE_GPA);
	store_le32(info + 20, module != 0);
	store_le32(info + 24, module != 0 ? MODULE_GPA : 0);
	store_le32(info + 44, (uint32_t)mmap_bytes);
	store_le32(info + 48, MMAP_GPA);
	store_le32(info + 64, NAME_GPA);
	return target_write(t, BOOT_PARAMS_GPA, info, sizeof(info));
}

enum loader_status multiboot_load(struct target *t, const struct loader_input *in,
				  struct loader_start *ret)
{
	struct header h = {0};
	uint64_t entry = 0;
	uint64_t module = 0;
	enum loader_status status;

	find_header(in, &h);
	if (h.flags & FLAGS_REQUIRED & ~FLAGS_UNDERSTOOD) {
		return target_fail(
			t, LOADER_FOREIGN, LOADER_PART_KERNEL,
			"multiboot flags 0x%x found, of the required ones 0x%x are known", h.flags,
			FLAGS_UNDERSTOOD);
	}
	status = h.flags & FLAG_ADDRESSES ? load_by_addresses(t, in, &h, &entry)
					  : load_elf(t, in, &entry);
	if (status == LOADER_OK && entry > UINT32_MAX) {
		status = target_fail(t, LOADER_CORRUPT, LOADER_PART_KERNEL,
				     "entry point 0x%" PRIx64 " found, one below 4 GiB expected",
				     entry);
	}
	if (status == LOADER_OK) {
		status = target_cmdline(t, in->cmdline, SIZE_MAX);
	}
	if (status == LOADER_OK) {
		status = target_initrd(t, in, MEMORY_LOW_LIMIT, false, &module);
	}
	if (status == LOADER_OK) {
		status = put_info(t, (uint32_t)module, in->initrd_bytes);
	}
	if (status == LOADER_OK) {
		status = start_flat32(t, ret);
	}
	ret->kind = LOADER_MULTIBOOT;
	ret->rip = entry;
	ret->gpr[X86_RAX] = BOOT_MAGIC;
	ret->gpr[X86_RBX] = BOOT_PARAMS_GPA;
	return status;
}
