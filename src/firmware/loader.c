// SPDX-License-Identifier: Apache-2.0
#include "firmware/loader.h"

#include <string.h>

#include "kernel.h"
#include "lib/bits.h"

/* What a BIOS leaves at 400h: base memory in KiB, segment of the EBDA. Systems look there for the end of usable low memory. */
#define BDA_EBDA_SEGMENT 0x40e
#define BDA_BASE_KIB 0x413

struct known_magic {
	size_t bytes;
	const char *magic;
	const char *name;
};

static const struct known_magic foreign[] = {
	{2, "\x1f\x8b", "gzip data"},
	{6,
	 "\xfd"
	 "7zXZ\0",
	 "xz data"},
	{4, "\x28\xb5\x2f\xfd", "zstd data"},
	{2, "MZ", "a PE image"},
	{2, "#!", "a script"},
	{6, "070701", "a cpio archive"},
	{8, "!<arch>\n", "an archive (a .deb?)"},
	{8, "conectix", "a virtual disk"},
	{8, "vhdxfile", "a virtual disk"},
};

static enum loader_status refuse(struct target *t, const struct loader_input *in)
{
	const char *found = "a file of no known kind";

	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		if (in->kernel_bytes >= foreign[i].bytes &&
		    memcmp(in->kernel, foreign[i].magic, foreign[i].bytes) == 0) {
			found = foreign[i].name;
			break;
		}
	}
	if (in->kernel_bytes == 0) {
		found = "an empty file";
	}
	return target_fail(t, LOADER_FOREIGN, LOADER_PART_KERNEL,
			   "%s found; a Linux bzImage, an x86 ELF or a multiboot kernel expected",
			   found);
}

static enum loader_status load_elf(struct target *t, const struct loader_input *in,
				   struct loader_start *ret)
{
	struct elf_image image;
	uint32_t entry;
	enum loader_status status =
		elf_parse(t, in->kernel, in->kernel_bytes, in->kernel_bytes, &image);

	if (status != LOADER_OK) {
		return status;
	}
	if (elf_pvh_entry(&image, in->kernel, &entry)) {
		return pvh_load(t, in, &image, entry, ret);
	}
	if (multiboot_is(in)) {
		return multiboot_load(t, in, ret);
	}
	if (!elf_is_vmlinux(&image)) {
		return target_fail(
			t, LOADER_FOREIGN, LOADER_PART_KERNEL,
			"an ELF program found; a kernel (vmlinux, PVH note or multiboot header) "
			"expected");
	}
	return linux_load_elf(t, in, &image, ret);
}

static enum loader_status load(struct target *t, const struct loader_input *in,
			       struct loader_start *ret)
{
	if (linux_is_bzimage(in)) {
		return linux_load_bzimage(t, in, ret);
	}
	if (elf_is(in->kernel, in->kernel_bytes)) {
		return load_elf(t, in, ret);
	}
	if (multiboot_is(in)) {
		return multiboot_load(t, in, ret);
	}
	return refuse(t, in);
}

static enum loader_status put_bios_data(struct target *t)
{
	uint8_t word[2];
	enum loader_status status;

	store_le16(word, MEMORY_EBDA_GPA >> 4);
	status = target_write(t, BDA_EBDA_SEGMENT, word, sizeof(word));
	store_le16(word, MEMORY_EBDA_GPA / 1024);
	return status == LOADER_OK ? target_write(t, BDA_BASE_KIB, word, sizeof(word)) : status;
}

enum loader_status loader_load(const struct loader_input *in, struct gmem *gm,
			       struct loader_start *ret, struct loader_error *err)
{
	struct target t = {.gm = gm, .map = in->map, .err = err};
	struct loader_start start;
	enum loader_status status;

	memset(&start, 0, sizeof(start));
	status = put_bios_data(&t);
	if (status == LOADER_OK) {
		status = load(&t, in, &start);
	}
	if (status == LOADER_OK) {
		*ret = start;
	}
	return status;
}
