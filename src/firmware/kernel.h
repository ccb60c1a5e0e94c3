/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of image, each with its own loader. Every *_is looks at the file only; every *_load follows struct loader_input. */
#ifndef FIRMWARE_KERNEL_H
#define FIRMWARE_KERNEL_H

#include "elf.h"
#include "start.h"

/* Linux boot protocol. Spec: the kernel's Documentation/arch/x86/boot.rst. */
bool linux_is_bzimage(const struct loader_input *in);
enum loader_status linux_load_bzimage(struct target *t, const struct loader_input *in,
				      struct loader_start *ret);
/* A vmlinux: ELF without any other way in. */
enum loader_status linux_load_elf(struct target *t, const struct loader_input *in,
				  const struct elf_image *image, struct loader_start *ret);

/* Spec: Xen's x86/HVM direct boot ABI (PVH). */
enum loader_status pvh_load(struct target *t, const struct loader_input *in,
			    const struct elf_image *image, uint32_t entry,
			    struct loader_start *ret);

/* Spec: Multiboot Specification 0.6.96. */
bool multiboot_is(const struct loader_input *in);
enum loader_status multiboot_load(struct target *t, const struct loader_input *in,
				  struct loader_start *ret);

#endif
