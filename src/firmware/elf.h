/* SPDX-License-Identifier: Apache-2.0 */
/* ELF executables, whole or as they come out of a decompressor. Spec: System V ABI, generic and x86 supplements. */
#ifndef FIRMWARE_ELF_H
#define FIRMWARE_ELF_H

#include "target.h"

#define ELF_SEGMENTS_MAX 32
#define ELF_HEAD_BYTES 65536u /* headers are expected within this much of a streamed file */

struct elf_segment {
	uint64_t offset;
	uint64_t file_bytes;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t mem_bytes;
};

struct elf_image {
	bool is_64;
	bool interpreted; /* wants a dynamic linker: a program of some system, no kernel */
	uint64_t entry;
	unsigned count;
	struct elf_segment segment[ELF_SEGMENTS_MAX]; /* PT_LOAD, in file order */
	unsigned note_count;
	struct elf_segment note[ELF_SEGMENTS_MAX]; /* PT_NOTE */
};

bool elf_is(const void *data, size_t bytes);
/*
 * Reads the headers. @head: the first @head_bytes of the file; @file_bytes: its length (UINT64_MAX: not known), against which
 * segments are checked. Only x86 executables pass.
 */
enum loader_status elf_parse(struct target *t, const uint8_t *head, size_t head_bytes,
			     uint64_t file_bytes, struct elf_image *ret);
/* A kernel that runs elsewhere than where it lies: its entry is a physical address within a segment with other virtual ones. */
bool elf_is_vmlinux(const struct elf_image *image);
/* Claims memory for every segment. */
enum loader_status elf_claim(struct target *t, const struct elf_image *image);
/* Copies the segments of a whole file. */
enum loader_status elf_load(struct target *t, const struct elf_image *image, const uint8_t *file);
/* XEN_ELFNOTE_PHYS32_ENTRY in a whole file. */
bool elf_pvh_entry(const struct elf_image *image, const uint8_t *file, uint32_t *ret_entry);
/* The physical address of virtual @entry; an entry in no segment is taken as physical. */
uint64_t elf_physical(const struct elf_image *image, uint64_t entry);

#endif
