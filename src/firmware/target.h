/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM as the place where a loader puts things, and the loader's way to say what went wrong. */
#ifndef FIRMWARE_TARGET_H
#define FIRMWARE_TARGET_H

#include <stdbool.h>

#include "firmware/loader.h"

/* What the loader itself leaves for the kernel to find, below the EBDA. */
#define BOOT_AREA_GPA 0x90000u
#define BOOT_PARAMS_GPA 0x90000u /* boot_params, hvm_start_info or multiboot info */
#define BOOT_GDT_GPA 0x91000u
#define BOOT_PAGES_GPA 0x92000u /* PML4, PDPT, four PDs */
#define BOOT_LISTS_GPA 0x98000u /* memory map and modules of PVH and multiboot */
#define BOOT_CMDLINE_GPA 0x99000u
#define BOOT_CMDLINE_BYTES 0x6000u
#define BOOT_AREA_END 0xa0000u

struct target {
	struct gmem *gm;
	const struct memory_map *map;
	struct loader_error *err;
	uint64_t kernel_end; /* first GPA after everything of the kernel in low RAM */
};

__attribute__((format(printf, 4, 5))) enum loader_status target_fail(struct target *t,
								     enum loader_status status,
								     enum loader_part part,
								     const char *fmt, ...);

/* Claims [@gpa, @gpa + @bytes) for the kernel: must be RAM that nothing else uses. */
enum loader_status target_claim(struct target *t, uint64_t gpa, uint64_t bytes);

/* Host memory of the guest's from @gpa on; *ret_bytes (in: wanted) becomes the length of the piece. NULL: not mapped. */
void *target_piece(const struct target *t, uint64_t gpa, size_t *ret_bytes);
enum loader_status target_write(struct target *t, uint64_t gpa, const void *data, size_t bytes);
/* As target_write, but leaves pages alone that would become zero: fresh RAM is. */
enum loader_status target_write_sparse(struct target *t, uint64_t gpa, const void *data,
				       size_t bytes);

/*
 * Finds room for the initrd as high as possible below @limit (and above the kernel), or above 4 GiB if @high_ok, and copies it.
 * No initrd: *ret_gpa is 0.
 */
enum loader_status target_initrd(struct target *t, const struct loader_input *in, uint64_t limit,
				 bool high_ok, uint64_t *ret_gpa);
/* Writes the command line; more than @max bytes without the NUL is an error. */
enum loader_status target_cmdline(struct target *t, const char *cmdline, size_t max);

#endif
