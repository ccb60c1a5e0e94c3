// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <string.h>

#include "lib/bits.h"

#define START_INFO_MAGIC 0x336ec578u
#define START_INFO_VERSION 1u
#define START_INFO_BYTES 56
#define MODULE_BYTES 32
#define MEMORY_BYTES 24

#define MODULE_GPA BOOT_LISTS_GPA
#define MEMORY_GPA (BOOT_LISTS_GPA + 0x100)

static enum loader_status put_lists(struct target *t, uint64_t initrd, uint64_t initrd_bytes,
				    size_t *ret_count)
{
	uint8_t module[MODULE_BYTES] = {0};
	uint8_t memory[MEMORY_E820_MAX * MEMORY_BYTES] = {0};
	struct e820_entry e820[MEMORY_E820_MAX];

	*ret_count = memory_map_e820(t->map, e820);
	for (size_t i = 0; i < *ret_count; i++) {
		store_le64(memory + i * MEMORY_BYTES, e820[i].gpa);
		store_le64(memory + i * MEMORY_BYTES + 8, e820[i].bytes);
		store_le32(memory + i * MEMORY_BYTES + 16, e820[i].type);
	}
	store_le64(module, initrd);
	store_le64(module + 8, initrd_bytes);
	enum loader_status status = target_write(t, MODULE_GPA, module, sizeof(module));

	return status == LOADER_OK ? target_write(t, MEMORY_GPA, memory, sizeof(memory)) : status;
}

enum loader_status pvh_load(struct target *t, const struct loader_input *in,
			    const struct elf_image *image, uint32_t entry, struct loader_start *ret)
{
	uint8_t info[START_INFO_BYTES] = {0};
	uint64_t initrd = 0;
	size_t memory_count = 0;
	enum loader_status status = elf_claim(t, image);

	if (status == LOADER_OK) {
		status = elf_load(t, image, in->kernel);
	}
	if (status == LOADER_OK) {
		status = target_cmdline(t, in->cmdline, SIZE_MAX);
	}
	if (status == LOADER_OK) {
		status = target_initrd(t, in, MEMORY_LOW_LIMIT, false, &initrd);
	}
	if (status == LOADER_OK) {
		status = put_lists(t, initrd, in->initrd_bytes, &memory_count);
	}
	if (status != LOADER_OK) {
		return status;
	}
	store_le32(info, START_INFO_MAGIC);
	store_le32(info + 4, START_INFO_VERSION);
	store_le32(info + 12, initrd != 0);
	store_le64(info + 16, initrd != 0 ? MODULE_GPA : 0);
	store_le64(info + 24, BOOT_CMDLINE_GPA);
	store_le64(info + 32, in->rsdp_gpa);
	store_le64(info + 40, MEMORY_GPA);
	store_le32(info + 48, (uint32_t)memory_count);
	status = target_write(t, BOOT_PARAMS_GPA, info, sizeof(info));
	if (status == LOADER_OK) {
		status = start_flat32(t, ret);
	}
	ret->kind = LOADER_PVH;
	ret->rip = entry;
	ret->gpr[X86_RBX] = BOOT_PARAMS_GPA;
	return status;
}
