// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <inttypes.h>
#include <string.h>

#include "lib/bits.h"
#include "payload.h"
#include "tables.h"

/* boot_params ("zero page") */
#define BP_EXT_RAMDISK_IMAGE 0x0c0
#define BP_EXT_RAMDISK_SIZE 0x0c4
#define BP_ACPI_RSDP 0x070
#define BP_E820_ENTRIES 0x1e8
#define BP_E820_TABLE 0x2d0
#define BP_E820_ENTRY_BYTES 20
/* setup_header, at the same offsets in the file */
#define HDR_START 0x1f1
#define HDR_BOOT_FLAG 0x1fe
#define HDR_JUMP_LENGTH 0x201
#define HDR_MAGIC 0x202
#define HDR_VERSION 0x206
#define HDR_LOADER 0x210
#define HDR_LOADFLAGS 0x211
#define HDR_CODE32_START 0x214
#define HDR_RAMDISK_IMAGE 0x218
#define HDR_RAMDISK_SIZE 0x21c
#define HDR_CMD_LINE_PTR 0x228
#define HDR_INITRD_MAX 0x22c
#define HDR_RELOCATABLE 0x234
#define HDR_XLOADFLAGS 0x236
#define HDR_CMDLINE_SIZE 0x238
#define HDR_PAYLOAD_OFFSET 0x248
#define HDR_PAYLOAD_LENGTH 0x24c
#define HDR_SETUP_DATA 0x250
#define HDR_PREF_ADDRESS 0x258
#define HDR_INIT_SIZE 0x260
#define HDR_LIMIT LOADER_HEAD_BYTES

#define BOOT_FLAG 0xaa55u
#define LOADER_UNKNOWN 0xffu
#define LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x01u
#define XLF_ABOVE_4G 0x02u
#define SECTOR_BYTES 512u
#define ENTRY_64_OFFSET 0x200u
#define DEFAULT_SETUP_SECTORS 4u
#define VERSION_MIN 0x0202u
#define VERSION_INITRD_MAX 0x0203u
#define VERSION_CMDLINE_SIZE 0x0206u
#define VERSION_PAYLOAD 0x0208u
#define VERSION_INIT_SIZE 0x020au
#define VERSION_XLOADFLAGS 0x020cu
#define OLD_INITRD_MAX 0x37ffffffu
#define OLD_CMDLINE_BYTES 255u

/* A vmlinux without a setup header is taken for a kernel of today. */
#define VMLINUX_VERSION 0x020fu
#define VMLINUX_INITRD_MAX 0x7fffffffu
#define VMLINUX_CMDLINE_BYTES 2047u

/* The setup header, with the defaults of older protocol versions filled in. */
struct header {
	unsigned version;
	uint32_t initrd_max;
	uint32_t cmdline_bytes;
	unsigned xloadflags;
	bool relocatable;
	uint64_t preferred;
	uint32_t init_bytes;
	size_t code_offset; /* of the protected-mode part in the file */
	size_t code_bytes;
	size_t payload_offset; /* in the file */
	size_t payload_bytes;  /* 0: none */
	uint32_t code32_start;
	size_t header_end;
};

bool linux_is_bzimage(const struct loader_input *in)
{
	const uint8_t *file = in->kernel;

	return in->kernel_bytes >= HDR_MAGIC + 4 && load_le16(file + HDR_BOOT_FLAG) == BOOT_FLAG &&
	       memcmp(file + HDR_MAGIC, "HdrS", 4) == 0;
}

bool loader_footprint(const void *head, size_t bytes, uint64_t *ret_gpa, uint64_t *ret_bytes)
{
	const struct loader_input in = {.kernel = head, .kernel_bytes = bytes};
	const uint8_t *file = head;

	if (bytes < HDR_LIMIT || !linux_is_bzimage(&in) ||
	    load_le16(file + HDR_VERSION) < VERSION_INIT_SIZE) {
		return false;
	}
	*ret_gpa = load_le64(file + HDR_PREF_ADDRESS);
	*ret_bytes = load_le32(file + HDR_INIT_SIZE);
	return true;
}

static enum loader_status read_payload(struct target *t, const uint8_t *file, struct header *h)
{
	uint32_t offset = load_le32(file + HDR_PAYLOAD_OFFSET);
	uint32_t bytes = load_le32(file + HDR_PAYLOAD_LENGTH);

	if (bytes == 0) {
		return LOADER_OK;
	}
	if (!range_within(offset, bytes, h->code_bytes)) {
		return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
				   "the bzImage holds %zu bytes after its setup, a payload of %u "
				   "bytes at %u expected",
				   h->code_bytes, bytes, offset);
	}
	h->payload_offset = h->code_offset + offset;
	h->payload_bytes = bytes;
	return LOADER_OK;
}

static enum loader_status read_header(struct target *t, const struct loader_input *in,
				      struct header *h)
{
	const uint8_t *file = in->kernel;
	unsigned sectors = file[HDR_START] != 0 ? file[HDR_START] : DEFAULT_SETUP_SECTORS;

	if (in->kernel_bytes < HDR_LIMIT) {
		return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
				   "the bzImage ends within its header, after %zu bytes",
				   in->kernel_bytes);
	}
	h->version = load_le16(file + HDR_VERSION);
	h->code_offset = (sectors + 1) * SECTOR_BYTES;
	if (h->version < VERSION_MIN || !(file[HDR_LOADFLAGS] & LOADED_HIGH)) {
		return target_fail(t, LOADER_FOREIGN, LOADER_PART_KERNEL,
				   "boot protocol %u.%02u, load flags 0x%02x found; a bzImage of "
				   "2.02 or later expected",
				   h->version >> 8, h->version & 0xff, file[HDR_LOADFLAGS]);
	}
	if (h->code_offset >= in->kernel_bytes) {
		return target_fail(
			t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
			"the bzImage ends at %zu, the kernel after %zu bytes of setup expected",
			in->kernel_bytes, h->code_offset);
	}
	h->code_bytes = in->kernel_bytes - h->code_offset;
	h->header_end = min_u64(HDR_MAGIC + file[HDR_JUMP_LENGTH], HDR_LIMIT);
	h->initrd_max = h->version >= VERSION_INITRD_MAX ? load_le32(file + HDR_INITRD_MAX)
							 : OLD_INITRD_MAX;
	h->cmdline_bytes = h->version >= VERSION_CMDLINE_SIZE ? load_le32(file + HDR_CMDLINE_SIZE)
							      : OLD_CMDLINE_BYTES;
	h->code32_start = load_le32(file + HDR_CODE32_START);
	h->preferred = h->code32_start;
	h->init_bytes = (uint32_t)min_u64(h->code_bytes, UINT32_MAX);
	if (h->version >= VERSION_INIT_SIZE) {
		h->relocatable = file[HDR_RELOCATABLE] != 0;
		h->preferred =
			h->relocatable ? load_le64(file + HDR_PREF_ADDRESS) : h->code32_start;
		h->init_bytes = (uint32_t)max_u64(h->init_bytes, load_le32(file + HDR_INIT_SIZE));
	}
	if (h->version >= VERSION_XLOADFLAGS) {
		h->xloadflags = load_le16(file + HDR_XLOADFLAGS);
	}
	return h->version >= VERSION_PAYLOAD ? read_payload(t, file, h) : LOADER_OK;
}

static void put_e820(uint8_t *params, const struct memory_map *map)
{
	struct e820_entry e820[MEMORY_E820_MAX];
	size_t count = memory_map_e820(map, e820);

	for (size_t i = 0; i < count; i++) {
		uint8_t *entry = params + BP_E820_TABLE + i * BP_E820_ENTRY_BYTES;

		store_le64(entry, e820[i].gpa);
		store_le64(entry + 8, e820[i].bytes);
		store_le32(entry + 16, e820[i].type);
	}
	params[BP_E820_ENTRIES] = (uint8_t)count;
}

/*
 * Command line, initrd and boot_params. @file holds the image's own setup header, NULL for a vmlinux. screen_info
 * stays zero: there is no display, the kernel uses its dummy console and what console= names.
 */
static enum loader_status put_params(struct target *t, const struct loader_input *in,
				     const uint8_t *file, const struct header *h)
{
	uint8_t params[GMEM_PAGE_BYTES] = {0};
	uint64_t initrd = 0;
	enum loader_status status = target_cmdline(t, in->cmdline, h->cmdline_bytes);

	if (status == LOADER_OK) {
		status = target_initrd(t, in, (uint64_t)h->initrd_max + 1,
				       h->xloadflags & XLF_ABOVE_4G, &initrd);
	}
	if (status != LOADER_OK) {
		return status;
	}
	if (file != NULL && h->header_end > HDR_START) {
		memcpy(params + HDR_START, file + HDR_START, h->header_end - HDR_START);
	}
	uint64_t initrd_bytes = initrd != 0 ? in->initrd_bytes : 0;

	store_le16(params + HDR_BOOT_FLAG, BOOT_FLAG);
	table_tag(params + HDR_MAGIC, "HdrS", 4);
	store_le16(params + HDR_VERSION, (uint16_t)h->version);
	params[HDR_LOADER] = LOADER_UNKNOWN;
	params[HDR_LOADFLAGS] |= LOADED_HIGH;
	store_le32(params + HDR_CMD_LINE_PTR, BOOT_CMDLINE_GPA);
	store_le64(params + HDR_SETUP_DATA, 0);
	store_le32(params + HDR_RAMDISK_IMAGE, (uint32_t)initrd);
	store_le32(params + HDR_RAMDISK_SIZE, (uint32_t)initrd_bytes);
	store_le32(params + BP_EXT_RAMDISK_IMAGE, (uint32_t)(initrd >> 32));
	store_le32(params + BP_EXT_RAMDISK_SIZE, (uint32_t)(initrd_bytes >> 32));
	store_le64(params + BP_ACPI_RSDP, in->rsdp_gpa);
	put_e820(params, t->map);
	return target_write(t, BOOT_PARAMS_GPA, params, sizeof(params));
}

static enum loader_status enter(struct target *t, bool is_64, uint64_t entry,
				struct loader_start *ret)
{
	enum loader_status status = is_64 ? start_long(t, ret) : start_flat32(t, ret);

	ret->kind = is_64 ? LOADER_LINUX64 : LOADER_LINUX32;
	ret->rip = entry;
	ret->gpr[X86_RSI] = BOOT_PARAMS_GPA;
	return status;
}

/* Decompresses the payload here: the guest starts at the vmlinux's entry, at the address it was linked for. */
static enum loader_status load_payload(struct target *t, const struct loader_input *in,
				       const struct header *h, const struct payload_format *format,
				       struct loader_start *ret)
{
	const uint8_t *file = in->kernel;
	/* The file is larger than what it loads: symbols and relocations stay behind. */
	uint64_t limit = t->map->ram_bytes + (UINT64_C(64) << 20);
	struct elf_stream stream;
	enum loader_status status = elf_stream_init(&stream, t);

	/* What the kernel says it needs before it can look at the memory map. */
	if (status == LOADER_OK) {
		status = target_claim(t, h->preferred, h->init_bytes);
	}
	if (status == LOADER_OK) {
		status = payload_expand(format, file + h->payload_offset, h->payload_bytes, limit,
					&stream);
	}
	if (status == LOADER_OK) {
		status = put_params(t, in, file, h);
	}
	if (status == LOADER_OK) {
		status = enter(t, stream.image.is_64, stream.image.entry, ret);
	}
	elf_stream_fini(&stream);
	return status;
}

/* Puts the protected-mode part where it wants to be and lets it do the rest. */
static enum loader_status load_code(struct target *t, const struct loader_input *in,
				    const struct header *h, struct loader_start *ret)
{
	const uint8_t *file = in->kernel;
	bool is_64 = h->xloadflags & XLF_KERNEL_64;
	enum loader_status status = target_claim(t, h->preferred, h->init_bytes);

	if (status == LOADER_OK) {
		status = target_write(t, h->preferred, file + h->code_offset, h->code_bytes);
	}
	if (status == LOADER_OK) {
		status = put_params(t, in, file, h);
	}
	if (status != LOADER_OK) {
		return status;
	}
	return enter(t, is_64, h->preferred + (is_64 ? ENTRY_64_OFFSET : 0), ret);
}

enum loader_status linux_load_bzimage(struct target *t, const struct loader_input *in,
				      struct loader_start *ret)
{
	const uint8_t *file = in->kernel;
	struct header h = {0};
	enum loader_status status = read_header(t, in, &h);

	if (status != LOADER_OK) {
		return status;
	}
	const struct payload_format *format =
		h.payload_bytes != 0 ? payload_detect(file + h.payload_offset, h.payload_bytes)
				     : NULL;

	return format != NULL ? load_payload(t, in, &h, format, ret) : load_code(t, in, &h, ret);
}

enum loader_status linux_load_elf(struct target *t, const struct loader_input *in,
				  const struct elf_image *image, struct loader_start *ret)
{
	const struct header h = {
		.version = VMLINUX_VERSION,
		.initrd_max = VMLINUX_INITRD_MAX,
		.cmdline_bytes = VMLINUX_CMDLINE_BYTES,
		.xloadflags = image->is_64 ? XLF_KERNEL_64 | XLF_ABOVE_4G : 0,
	};
	enum loader_status status = elf_claim(t, image);

	if (status == LOADER_OK) {
		status = elf_load(t, image, in->kernel);
	}
	if (status == LOADER_OK) {
		status = put_params(t, in, NULL, &h);
	}
	return status == LOADER_OK ? enter(t, image->is_64, image->entry, ret) : status;
}
