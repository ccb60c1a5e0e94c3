// SPDX-License-Identifier: Apache-2.0
#include "elf.h"

#include <inttypes.h>
#include <string.h>

#include "lib/bits.h"

#define EI_CLASS 4
#define EI_DATA 5
#define CLASS_32 1
#define CLASS_64 2
#define DATA_LSB 1
#define MACHINE_386 3
#define MACHINE_X86_64 62
#define TYPE_EXEC 2
#define TYPE_DYN 3
#define PT_LOAD 1
#define PT_INTERP 3
#define PT_NOTE 4
#define HEADER_BYTES_32 52
#define HEADER_BYTES_64 64
#define PHDR_BYTES_32 32
#define PHDR_BYTES_64 56
#define XEN_ELFNOTE_PHYS32_ENTRY 18

static enum loader_status corrupt(struct target *t, const char *field, uint64_t found,
				  const char *expected)
{
	return target_fail(t, LOADER_CORRUPT, LOADER_PART_KERNEL,
			   "ELF %s 0x%" PRIx64 " found, %s expected", field, found, expected);
}

bool elf_is(const void *data, size_t bytes)
{
	return bytes >= 4 && memcmp(data, "\177ELF", 4) == 0;
}

static void read_phdr(const uint8_t *p, bool is_64, uint32_t *ret_type, struct elf_segment *ret)
{
	*ret_type = load_le32(p);
	if (is_64) {
		ret->offset = load_le64(p + 8);
		ret->vaddr = load_le64(p + 16);
		ret->paddr = load_le64(p + 24);
		ret->file_bytes = load_le64(p + 32);
		ret->mem_bytes = load_le64(p + 40);
	} else {
		ret->offset = load_le32(p + 4);
		ret->vaddr = load_le32(p + 8);
		ret->paddr = load_le32(p + 12);
		ret->file_bytes = load_le32(p + 16);
		ret->mem_bytes = load_le32(p + 20);
	}
}

static enum loader_status check_identity(struct target *t, const uint8_t *head, size_t head_bytes)
{
	if (head_bytes < HEADER_BYTES_32 ||
	    (head[EI_CLASS] == CLASS_64 && head_bytes < HEADER_BYTES_64)) {
		return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
				   "the ELF file ends within its header, after %zu bytes",
				   head_bytes);
	}
	uint16_t machine = load_le16(head + 18);
	uint16_t type = load_le16(head + 16);

	if ((head[EI_CLASS] != CLASS_32 && head[EI_CLASS] != CLASS_64) ||
	    head[EI_DATA] != DATA_LSB || (machine != MACHINE_386 && machine != MACHINE_X86_64)) {
		return target_fail(t, LOADER_FOREIGN, LOADER_PART_KERNEL,
				   "an ELF file of class %u, byte order %u, machine %u found; an "
				   "x86 one expected",
				   head[EI_CLASS], head[EI_DATA], machine);
	}
	if (type != TYPE_EXEC && type != TYPE_DYN) {
		return target_fail(t, LOADER_FOREIGN, LOADER_PART_KERNEL,
				   "an ELF file of type %u found, an executable (2) expected",
				   type);
	}
	return LOADER_OK;
}

static enum loader_status add_segment(struct target *t, struct elf_image *image, uint32_t type,
				      const struct elf_segment *s, uint64_t file_bytes)
{
	if (type == PT_INTERP) {
		image->interpreted = true;
	}
	if (type != PT_LOAD && type != PT_NOTE) {
		return LOADER_OK;
	}
	if (!range_within(s->offset, s->file_bytes, file_bytes)) {
		return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
				   "the file ends at %" PRIu64 ", a segment of %" PRIu64
				   " bytes at %" PRIu64 " expected",
				   file_bytes, s->file_bytes, s->offset);
	}
	if (type == PT_NOTE) {
		if (image->note_count < ELF_SEGMENTS_MAX) {
			image->note[image->note_count++] = *s;
		}
		return LOADER_OK;
	}
	if (s->mem_bytes < s->file_bytes) {
		return corrupt(t, "segment memory size", s->mem_bytes, "at least its file size");
	}
	if (image->count == ELF_SEGMENTS_MAX) {
		return corrupt(t, "segment count", image->count + 1, "at most 32 loadable ones");
	}
	image->segment[image->count++] = *s;
	return LOADER_OK;
}

enum loader_status elf_parse(struct target *t, const uint8_t *head, size_t head_bytes,
			     uint64_t file_bytes, struct elf_image *ret)
{
	enum loader_status status = check_identity(t, head, head_bytes);

	if (status != LOADER_OK) {
		return status;
	}
	bool is_64 = head[EI_CLASS] == CLASS_64;
	uint64_t phoff = is_64 ? load_le64(head + 32) : load_le32(head + 28);
	unsigned phentsize = load_le16(head + (is_64 ? 54 : 42));
	unsigned phnum = load_le16(head + (is_64 ? 56 : 44));

	memset(ret, 0, sizeof(*ret));
	ret->is_64 = is_64;
	ret->entry = is_64 ? load_le64(head + 24) : load_le32(head + 24);
	if (phentsize < (is_64 ? PHDR_BYTES_64 : PHDR_BYTES_32)) {
		return corrupt(t, "program header size", phentsize, is_64 ? "56" : "32");
	}
	if (!range_within(phoff, (uint64_t)phnum * phentsize, head_bytes)) {
		return target_fail(t, LOADER_TRUNCATED, LOADER_PART_KERNEL,
				   "%u ELF program headers at 0x%" PRIx64
				   " do not fit into the first %zu bytes",
				   phnum, phoff, head_bytes);
	}
	for (unsigned i = 0; i < phnum && status == LOADER_OK; i++) {
		struct elf_segment s;
		uint32_t type;

		read_phdr(head + phoff + (uint64_t)i * phentsize, is_64, &type, &s);
		status = add_segment(t, ret, type, &s, file_bytes);
	}
	if (status == LOADER_OK && ret->count == 0) {
		return corrupt(t, "count of loadable segments", 0, "at least one");
	}
	return status;
}

bool elf_is_vmlinux(const struct elf_image *image)
{
	for (unsigned i = 0; i < image->count && !image->interpreted; i++) {
		const struct elf_segment *s = &image->segment[i];

		if (image->entry >= s->paddr && image->entry - s->paddr < s->mem_bytes) {
			return s->vaddr != s->paddr;
		}
	}
	return false;
}

/* The one that ends last goes first: the message about too little memory then names all that is needed. */
static enum loader_status claim_highest(struct target *t, const struct elf_image *image)
{
	const struct elf_segment *highest = &image->segment[0];

	for (unsigned i = 1; i < image->count; i++) {
		const struct elf_segment *s = &image->segment[i];

		if (s->paddr + s->mem_bytes > highest->paddr + highest->mem_bytes) {
			highest = s;
		}
	}
	return target_claim(t, highest->paddr, highest->mem_bytes);
}

enum loader_status elf_claim(struct target *t, const struct elf_image *image)
{
	enum loader_status status = claim_highest(t, image);

	for (unsigned i = 0; i < image->count && status == LOADER_OK; i++) {
		status = target_claim(t, image->segment[i].paddr, image->segment[i].mem_bytes);
	}
	return status;
}

enum loader_status elf_load(struct target *t, const struct elf_image *image, const uint8_t *file)
{
	enum loader_status status = LOADER_OK;

	for (unsigned i = 0; i < image->count && status == LOADER_OK; i++) {
		const struct elf_segment *s = &image->segment[i];

		status = target_write_sparse(t, s->paddr, file + s->offset, (size_t)s->file_bytes);
	}
	return status;
}

static bool find_note(const uint8_t *notes, uint64_t bytes, uint32_t *ret_entry)
{
	uint64_t at = 0;

	while (range_within(at, 12, bytes)) {
		uint64_t name_bytes = load_le32(notes + at);
		uint64_t value_bytes = load_le32(notes + at + 4);
		uint32_t type = load_le32(notes + at + 8);
		uint64_t name_at = at + 12;
		uint64_t value_at = name_at + align_up(name_bytes, 4);

		if (!range_within(value_at, value_bytes, bytes)) {
			return false;
		}
		if (type == XEN_ELFNOTE_PHYS32_ENTRY && name_bytes == 4 && value_bytes >= 4 &&
		    memcmp(notes + name_at, "Xen", 4) == 0) {
			*ret_entry = load_le32(notes + value_at);
			return true;
		}
		at = value_at + align_up(value_bytes, 4);
	}
	return false;
}

bool elf_pvh_entry(const struct elf_image *image, const uint8_t *file, uint32_t *ret_entry)
{
	for (unsigned i = 0; i < image->note_count; i++) {
		if (find_note(file + image->note[i].offset, image->note[i].file_bytes, ret_entry)) {
			return true;
		}
	}
	return false;
}

uint64_t elf_physical(const struct elf_image *image, uint64_t entry)
{
	for (unsigned i = 0; i < image->count; i++) {
		const struct elf_segment *s = &image->segment[i];

		if (entry >= s->vaddr && entry - s->vaddr < s->mem_bytes) {
			return s->paddr + (entry - s->vaddr);
		}
	}
	return entry;
}
