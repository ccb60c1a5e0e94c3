/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a kernel image straight into guest memory and says how VP 0 starts. Understands
 *  - Linux bzImage: the payload is decompressed here (gzip, xz, lzma, zstd, lz4) and entered at the vmlinux's own 64- or 32-bit
 *    entry; an image without a payload (memtest86+) or with one of another kind goes by the 64- or 32-bit boot protocol;
 *  - ELF: PVH (XEN_ELFNOTE_PHYS32_ENTRY), else multiboot 1 if it carries that header, else Linux' vmlinux entry;
 *  - multiboot 1 images with address fields.
 * Every byte of the files is hostile: offsets and sizes are checked, decompression is bounded by RAM.
 */
#ifndef FIRMWARE_LOADER_H
#define FIRMWARE_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/memory_map.h"
#include "gmem/gmem.h"
#include "x86/arch.h"

struct loader_input {
	const void *kernel;
	size_t kernel_bytes;
	const void *initrd; /* NULL: none; multiboot: the first module */
	size_t initrd_bytes;
	const char *cmdline;	      /* NULL: empty */
	const struct memory_map *map; /* RAM is mapped in the gmem accordingly and reads as zero */
	uint64_t rsdp_gpa;	      /* 0: no ACPI */
};

enum loader_kind {
	LOADER_LINUX64, /* bzImage or vmlinux at its 64-bit entry */
	LOADER_LINUX32, /* at a 32-bit entry */
	LOADER_PVH,
	LOADER_MULTIBOOT,
};

/* Registers of VP 0; everything that is not named here is as after RESET. */
struct loader_start {
	enum loader_kind kind;
	uint64_t gpr[X86_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	struct x86_segment segment[X86_SEG_COUNT];
	struct x86_table gdtr;
	struct x86_table idtr;
};

enum loader_status {
	LOADER_OK,
	LOADER_FOREIGN,	  /* not an image of a kind we load */
	LOADER_TRUNCATED, /* the file ends before what its header promises */
	LOADER_CORRUPT,	  /* a field contradicts another, or the payload does not decompress */
	LOADER_NO_MEMORY, /* the guest has too little memory for the kernel */
	LOADER_INITRD_TOO_LARGE,
	LOADER_CMDLINE_TOO_LONG,
	LOADER_HOST, /* the host ran out of memory, or guest RAM is not mapped */
};

/* Whose fault it is, so that a message can name the option. */
enum loader_part {
	LOADER_PART_KERNEL,
	LOADER_PART_INITRD,
	LOADER_PART_CMDLINE,
	LOADER_PART_MEMORY
};

struct loader_error {
	enum loader_status status;
	enum loader_part part;
	char text[160]; /* one line without a newline: what was found and what was expected */
};

/*
 * Loads @in. On LOADER_OK *ret is filled in; otherwise *ret is untouched, *err says what is wrong and guest memory holds
 * whatever was written before that was noticed. Not for several threads on one @gm.
 */
enum loader_status loader_load(const struct loader_input *in, struct gmem *gm,
			       struct loader_start *ret, struct loader_error *err);

/*
 * Where the kernel will lie, as far as the start of the file says: a hint, so that this memory can be made ready while everything
 * else is set up. @bytes of the file's start, LOADER_HEAD_BYTES are enough. False: it does not say.
 */
#define LOADER_HEAD_BYTES 0x290u
bool loader_footprint(const void *head, size_t bytes, uint64_t *ret_gpa, uint64_t *ret_bytes);

#endif
