// SPDX-License-Identifier: Apache-2.0
/* Loaders against images made here, whole and damaged, and against Debian's own where they are installed. */
#include <fcntl.h>
#include <glob.h>
#include <lz4.h>
#include <lzma.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "firmware/loader.h"
#include "lib/bits.h"
#include "machine_test.h"
#include "test/test.h"

#define MIB (UINT64_C(1) << 20)
#define KERNEL_GPA 0x1000000u
#define ELF_BYTES 0x30000u
#define SETUP_BYTES 1024u

struct image {
	uint8_t *data;
	size_t bytes;
};

static struct machine machine;

static enum loader_status load_into(struct machine *m, const struct image *kernel,
				    const void *initrd, size_t initrd_bytes, const char *cmdline,
				    struct loader_start *start, struct loader_error *err)
{
	const struct loader_input in = {
		.kernel = kernel->data,
		.kernel_bytes = kernel->bytes,
		.initrd = initrd,
		.initrd_bytes = initrd_bytes,
		.cmdline = cmdline,
		.map = &m->map,
		.rsdp_gpa = MEMORY_RSDP_GPA,
	};

	memset(err, 0, sizeof(*err));
	memset(start, 0xa5, sizeof(*start));
	return loader_load(&in, &m->gm, start, err);
}

static enum loader_status load(const struct image *kernel, struct loader_start *start,
			       struct loader_error *err)
{
	return load_into(&machine, kernel, NULL, 0, "console=ttyS0", start, err);
}

/* A failure must say so in one line and leave the result alone. */
static void expect_refused(struct test *t, enum loader_status status,
			   const struct loader_start *start, const struct loader_error *err)
{
	static const uint8_t untouched[16] = {0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
					      0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5};

	EXPECT(t, status != LOADER_OK);
	EXPECT_EQ(t, err->status, status);
	EXPECT(t, err->text[0] != 0 && strchr(err->text, '\n') == NULL);
	EXPECT_MEM(t, start, untouched, sizeof(untouched));
}

static void put_phdr64(uint8_t *p, uint32_t type, uint64_t offset, uint64_t vaddr, uint64_t paddr,
		       uint64_t file_bytes, uint64_t mem_bytes)
{
	store_le32(p, type);
	store_le64(p + 8, offset);
	store_le64(p + 16, vaddr);
	store_le64(p + 24, paddr);
	store_le64(p + 32, file_bytes);
	store_le64(p + 40, mem_bytes);
}

/*
 * An ELF64 with three segments: two at one distance from their file offsets with a gap between, one at another; and a note segment
 * with the PVH entry if @pvh.
 */
static struct image make_elf64(bool pvh)
{
	struct image i = {calloc(1, ELF_BYTES), ELF_BYTES};
	uint8_t *d = i.data;

	for (size_t at = 0x1000; at < ELF_BYTES; at++) {
		d[at] = (uint8_t)(at * 7 + (at >> 8));
	}
	memset(d + 0x22000, 0, 0x2000); /* whole zero pages */
	memcpy(d, "\177ELF\2\1\1", 7);
	store_le16(d + 16, 2);
	store_le16(d + 18, 62);
	store_le64(d + 24, KERNEL_GPA);
	store_le64(d + 32, 64);
	store_le16(d + 54, 56);
	store_le16(d + 56, pvh ? 4 : 3);
	put_phdr64(d + 64, 1, 0x1000, 0xffffffff81000000, KERNEL_GPA, 0x8000, 0x8000);
	put_phdr64(d + 64 + 56, 1, 0xa000, 0xffffffff81009000, KERNEL_GPA + 0x9000, 0x10000,
		   0x10000);
	put_phdr64(d + 64 + 112, 1, 0x20000, 0xffffffff8101a000, KERNEL_GPA + 0x1a000, 0x6000,
		   0x9000);
	if (pvh) {
		uint8_t *note = d + 0x2000;

		put_phdr64(d + 64 + 168, 4, 0x2000, 0, 0, 0x40, 0x40);
		store_le32(note, 4);
		store_le32(note + 4, 4);
		store_le32(note + 8, 6);
		memcpy(note + 12, "Xen", 4);
		store_le32(note + 20, 4);
		store_le32(note + 24, 8);
		store_le32(note + 28, 18);
		memcpy(note + 32, "Xen", 4);
		store_le64(note + 36, KERNEL_GPA + 0x40);
	}
	return i;
}

static struct image make_elf32(void)
{
	struct image i = {calloc(1, 0x2000), 0x2000};
	uint8_t *d = i.data;

	memset(d + 0x1000, 0x90, 0x1000);
	memcpy(d, "\177ELF\1\1\1", 7);
	store_le16(d + 16, 2);
	store_le16(d + 18, 3);
	store_le32(d + 24, KERNEL_GPA + 4);
	store_le32(d + 28, 52);
	store_le16(d + 42, 32);
	store_le16(d + 44, 1);
	store_le32(d + 52, 1);
	store_le32(d + 56, 0x1000);
	store_le32(d + 60, 0xc1000000);
	store_le32(d + 64, KERNEL_GPA);
	store_le32(d + 68, 0x1000);
	store_le32(d + 72, 0x3000);
	return i;
}

static void expect_segments(struct test *t, const struct image *elf)
{
	static uint8_t got[0x10000];

	EXPECT(t, gmem_read(&machine.gm, KERNEL_GPA, got, 0x8000));
	EXPECT_MEM(t, got, elf->data + 0x1000, 0x8000);
	EXPECT(t, gmem_read(&machine.gm, KERNEL_GPA + 0x9000, got, 0x10000));
	EXPECT_MEM(t, got, elf->data + 0xa000, 0x10000);
	EXPECT(t, gmem_read(&machine.gm, KERNEL_GPA + 0x1a000, got, 0x9000));
	EXPECT_MEM(t, got, elf->data + 0x20000, 0x6000);
	for (unsigned i = 0x6000; i < 0x9000; i++) {
		EXPECT(t, got[i] == 0);
	}
	/* between the segments, and where file headers would have landed */
	EXPECT(t, gmem_read(&machine.gm, KERNEL_GPA + 0x8000, got, 0x1000));
	for (unsigned i = 0; i < 0x1000; i++) {
		EXPECT(t, got[i] == 0);
	}
	EXPECT(t, gmem_read(&machine.gm, KERNEL_GPA - 0x1000, got, 0x1000));
	for (unsigned i = 0; i < 0x1000; i++) {
		EXPECT(t, got[i] == 0);
	}
}

enum codec { CODEC_GZIP, CODEC_XZ, CODEC_LZMA, CODEC_ZSTD, CODEC_LZ4, CODEC_COUNT };

static size_t pack_gzip(const struct image *in, uint8_t *out, size_t room)
{
	z_stream z = {.next_in = in->data,
		      .avail_in = (uInt)in->bytes,
		      .next_out = out,
		      .avail_out = (uInt)room};

	deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return z.total_out; /* its trailer is the length */
}

static size_t pack_lzma(const struct image *in, uint8_t *out, size_t room, bool alone)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	lzma_lzma_preset(&options, 6);
	lzma_ret made = alone ? lzma_alone_encoder(&z, &options)
			      : lzma_easy_encoder(&z, 6, LZMA_CHECK_CRC32);

	z.next_in = in->data;
	z.avail_in = in->bytes;
	z.next_out = out;
	z.avail_out = room;
	if (made != LZMA_OK || lzma_code(&z, LZMA_FINISH) != LZMA_STREAM_END) {
		abort();
	}
	lzma_end(&z);
	return room - z.avail_out;
}

static size_t pack_lz4(const struct image *in, uint8_t *out, size_t room)
{
	size_t used = 4;

	store_le32(out, 0x184c2102);
	for (size_t at = 0; at < in->bytes; at += 8 << 20) {
		int n = LZ4_compress_default((char *)in->data + at, (char *)out + used + 4,
					     (int)min_u64(in->bytes - at, 8 << 20),
					     (int)(room - used - 4));

		store_le32(out + used, (uint32_t)n);
		used += 4 + (size_t)n;
	}
	return used;
}

static size_t pack(enum codec codec, const struct image *in, uint8_t *out, size_t room)
{
	size_t n = 0;

	switch (codec) {
	case CODEC_GZIP:
		return pack_gzip(in, out, room);
	case CODEC_XZ:
		n = pack_lzma(in, out, room, false);
		break;
	case CODEC_LZMA:
		n = pack_lzma(in, out, room, true);
		break;
	case CODEC_ZSTD:
		n = ZSTD_compress(out, room, in->data, in->bytes, 3);
		break;
	case CODEC_LZ4:
		n = pack_lz4(in, out, room);
		break;
	case CODEC_COUNT:
	default:
		break;
	}
	store_le32(out + n, (uint32_t)in->bytes);
	return n + 4;
}

/* A bzImage of protocol 2.15 around @payload; NULL: one without, with 32 bytes of code. */
static struct image make_bzimage(const uint8_t *payload, size_t payload_bytes, uint16_t xloadflags)
{
	size_t code = 64 + payload_bytes;
	struct image i = {calloc(1, SETUP_BYTES + code), SETUP_BYTES + code};
	uint8_t *d = i.data;

	d[0x1f1] = 1;
	store_le16(d + 0x1fe, 0xaa55);
	store_le16(d + 0x200, 0x6aeb);
	store_le32(d + 0x202, 0x53726448); /* HdrS */
	store_le16(d + 0x206, 0x20f);
	d[0x211] = 1;
	store_le32(d + 0x214, 0x100000);
	store_le32(d + 0x22c, 0x7fffffff);
	store_le32(d + 0x230, 0x200000);
	d[0x234] = 1;
	store_le16(d + 0x236, xloadflags);
	store_le32(d + 0x238, 2047);
	store_le64(d + 0x258, KERNEL_GPA);
	store_le32(d + 0x260, 0x40000);
	if (payload != NULL) {
		store_le32(d + 0x248, 64);
		store_le32(d + 0x24c, (uint32_t)payload_bytes);
		memcpy(d + SETUP_BYTES + 64, payload, payload_bytes);
	}
	memset(d + SETUP_BYTES, 0xcc, 64);
	return i;
}

static struct image make_packed(enum codec codec)
{
	struct image elf = make_elf64(false);
	size_t room = ELF_BYTES * 2;
	uint8_t *packed = malloc(room);
	size_t bytes = pack(codec, &elf, packed, room);
	struct image i = make_bzimage(packed, bytes, 3);

	free(packed);
	free(elf.data);
	return i;
}

static struct image make_multiboot(void)
{
	struct image i = {calloc(1, 0x3000), 0x3000};
	uint8_t *d = i.data;
	uint32_t flags = 0x00010003;

	memset(d + 0x100, 0xf4, 0x2f00);
	store_le32(d + 0x40, 0x1badb002);
	store_le32(d + 0x44, flags);
	store_le32(d + 0x48, 0u - 0x1badb002 - flags);
	store_le32(d + 0x4c, 0x200040); /* header */
	store_le32(d + 0x50, 0x200000); /* load */
	store_le32(d + 0x54, 0x202000); /* load end */
	store_le32(d + 0x58, 0x205000); /* bss end */
	store_le32(d + 0x5c, 0x200100); /* entry */
	return i;
}

static void fresh(uint64_t ram_bytes)
{
	if (machine.ram != NULL) {
		machine_fini(&machine);
	}
	if (!machine_init(&machine, ram_bytes)) {
		abort();
	}
}

static void expect_params(struct test *t, const char *cmdline)
{
	uint8_t bp[4096];
	char text[64];

	EXPECT(t, gmem_read(&machine.gm, 0x90000, bp, sizeof(bp)));
	EXPECT_EQ(t, load_le16(bp + 0x1fe), 0xaa55);
	EXPECT_MEM(t, bp + 0x202, "HdrS", 4);
	EXPECT_EQ(t, bp[0x210], 0xff);
	EXPECT_EQ(t, bp[0x1ef], 0); /* sentinel */
	EXPECT_EQ(t, load_le64(bp + 0x70), MEMORY_RSDP_GPA);
	EXPECT_EQ(t, bp[0x1e8], 5);
	EXPECT_EQ(t, load_le64(bp + 0x2d0), 0);
	EXPECT_EQ(t, load_le64(bp + 0x2d8), MEMORY_EBDA_GPA);
	EXPECT_EQ(t, load_le32(bp + 0x2d0 + 16), E820_RAM);
	EXPECT(t, gmem_read(&machine.gm, load_le32(bp + 0x228), text, sizeof(text)));
	EXPECT(t, strcmp(text, cmdline) == 0);
}

static void expect_long_mode(struct test *t, const struct loader_start *s)
{
	uint64_t pml4, pdpt, pde;

	EXPECT_EQ(t, s->cr0 & (X86_CR0_PE | X86_CR0_PG), X86_CR0_PE | X86_CR0_PG);
	EXPECT_EQ(t, s->cr4, X86_CR4_PAE);
	EXPECT_EQ(t, s->efer, X86_EFER_LME | X86_EFER_LMA);
	EXPECT_EQ(t, s->rflags, 2);
	EXPECT_EQ(t, s->segment[X86_CS].selector, 0x10);
	EXPECT_EQ(t, s->segment[X86_CS].attributes, 0xa09b);
	EXPECT_EQ(t, s->segment[X86_SS].selector, 0x18);
	EXPECT_EQ(t, s->segment[X86_SS].attributes, 0xc093);
	EXPECT_EQ(t, s->gpr[X86_RSI], 0x90000);
	EXPECT(t, gmem_read(&machine.gm, s->cr3, &pml4, 8));
	EXPECT(t, gmem_read(&machine.gm, (pml4 & ~UINT64_C(0xfff)) + 3 * 8, &pdpt, 8));
	EXPECT(t, gmem_read(&machine.gm, (pdpt & ~UINT64_C(0xfff)) + 511 * 8, &pde, 8));
	EXPECT_EQ(t, pde, 0xffe00083);
}

static void expect_footprint(struct test *t, const struct image *i)
{
	uint64_t gpa = 0, bytes = 0;

	EXPECT(t, loader_footprint(i->data, LOADER_HEAD_BYTES, &gpa, &bytes));
	EXPECT_EQ(t, gpa, KERNEL_GPA);
	EXPECT_EQ(t, bytes, 0x40000);
	EXPECT(t, !loader_footprint(i->data, LOADER_HEAD_BYTES - 1, &gpa, &bytes));
	EXPECT(t, !loader_footprint("#!/bin/sh", 9, &gpa, &bytes));
}

static void test_bzimage_payload_in_every_format(struct test *t)
{
	struct image elf = make_elf64(false);

	for (enum codec c = 0; c < CODEC_COUNT; c++) {
		struct image i = make_packed(c);
		struct loader_start s;
		struct loader_error err;

		fresh(64 * MIB);
		EXPECT_EQ(t, load(&i, &s, &err), LOADER_OK);
		EXPECT_EQ(t, s.kind, LOADER_LINUX64);
		EXPECT_EQ(t, s.rip, KERNEL_GPA);
		expect_footprint(t, &i);
		expect_long_mode(t, &s);
		expect_params(t, "console=ttyS0");
		expect_segments(t, &elf);
		free(i.data);
	}
	free(elf.data);
}

/* Bigger than one lz4 block, so that blocks go into guest memory whole, at its end and across the change of distance. */
static void test_lz4_blocks(struct test *t)
{
	const size_t bytes = 40 << 20;
	struct image elf = {calloc(1, bytes), bytes};
	struct image small = make_elf64(false);
	struct loader_start s;
	struct loader_error err;
	uint8_t *packed = malloc(bytes);

	memcpy(elf.data, small.data, 0x1000);
	for (size_t at = 0x1000; at < bytes; at += 8) {
		store_le64(elf.data + at, at * 0x9e3779b97f4a7c15);
	}
	memset(elf.data + 0x1c00000, 0, 0x100000);
	put_phdr64(elf.data + 64, 1, 0x200000, 0, KERNEL_GPA, 0x1800000, 0x1800000);
	put_phdr64(elf.data + 64 + 56, 1, 0x1a00000, 0, KERNEL_GPA + 0x1800000, 0x10000, 0x10000);
	put_phdr64(elf.data + 64 + 112, 1, 0x1b00000, 0, KERNEL_GPA + 0x1810000, 0xc00000,
		   0xd00000);
	fresh(128 * MIB);
	/* incompressible blocks grow a little */
	free(packed);
	packed = malloc(bytes + (1 << 20));
	size_t n = pack(CODEC_LZ4, &elf, packed, bytes + (1 << 20));
	struct image i = make_bzimage(packed, n, 3);

	EXPECT_EQ(t, load(&i, &s, &err), LOADER_OK);
	EXPECT_MEM(t, machine.ram + KERNEL_GPA, elf.data + 0x200000, 0x1800000);
	EXPECT_MEM(t, machine.ram + KERNEL_GPA + 0x1800000, elf.data + 0x1a00000, 0x10000);
	EXPECT_MEM(t, machine.ram + KERNEL_GPA + 0x1810000, elf.data + 0x1b00000, 0xc00000);
	for (size_t at = 0; at < 0x100000; at++) {
		EXPECT(t, machine.ram[KERNEL_GPA + 0x2410000 + at] == 0);
	}
	for (size_t at = 0x100000; at < KERNEL_GPA; at += 8) {
		EXPECT(t, load_le64(machine.ram + at) == 0);
	}
	free(packed);
	free(i.data);
	free(small.data);
	free(elf.data);
}

static void test_bzimage_without_payload(struct test *t)
{
	static const struct {
		uint16_t xloadflags;
		bool relocatable;
		enum loader_kind kind;
		uint64_t rip;
	} cases[] = {
		{0x1, false, LOADER_LINUX64, 0x100200},
		{0x0, false, LOADER_LINUX32, 0x100000},
		{0x1, true, LOADER_LINUX64, KERNEL_GPA + 0x200},
		{0x0, true, LOADER_LINUX32, KERNEL_GPA},
	};

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct image i = make_bzimage(NULL, 0, cases[c].xloadflags);
		struct loader_start s;
		struct loader_error err;
		uint8_t got[64];

		i.data[0x234] = cases[c].relocatable;
		fresh(64 * MIB);
		EXPECT_EQ(t, load(&i, &s, &err), LOADER_OK);
		EXPECT_EQ(t, s.kind, cases[c].kind);
		EXPECT_EQ(t, s.rip, cases[c].rip);
		EXPECT_EQ(t, s.gpr[X86_RSI], 0x90000);
		EXPECT(t,
		       gmem_read(&machine.gm, cases[c].rip & ~UINT64_C(0xfff), got, sizeof(got)));
		EXPECT_MEM(t, got, i.data + SETUP_BYTES, sizeof(got));
		if (cases[c].kind == LOADER_LINUX32) {
			EXPECT_EQ(t, s.cr0, X86_CR0_PE | X86_CR0_ET);
			EXPECT_EQ(t, s.efer, 0);
			EXPECT_EQ(t, s.segment[X86_CS].attributes, 0xc09b);
		}
		free(i.data);
	}
}

static void test_elf32_payload_enters_in_32_bits(struct test *t)
{
	struct image elf = make_elf32();
	uint8_t packed[0x4000];
	size_t n = pack(CODEC_ZSTD, &elf, packed, sizeof(packed));
	struct image i = make_bzimage(packed, n, 0);
	struct loader_start s;
	struct loader_error err;

	fresh(64 * MIB);
	EXPECT_EQ(t, load(&i, &s, &err), LOADER_OK);
	EXPECT_EQ(t, s.kind, LOADER_LINUX32);
	EXPECT_EQ(t, s.rip, KERNEL_GPA + 4);
	EXPECT_EQ(t, s.cr3, 0);
	EXPECT_EQ(t, s.gpr[X86_RSI], 0x90000);
	expect_params(t, "console=ttyS0");
	free(i.data);
	free(elf.data);
}

static void test_elf_vmlinux_and_pvh(struct test *t)
{
	struct image elf = make_elf64(false);
	struct image pvh = make_elf64(true);
	const uint8_t initrd[5000] = {1, 2, 3};
	uint8_t info[56], module[32], memory[24];
	struct loader_start s;
	struct loader_error err;

	fresh(64 * MIB);
	EXPECT_EQ(t, load(&elf, &s, &err), LOADER_OK);
	EXPECT_EQ(t, s.kind, LOADER_LINUX64);
	EXPECT_EQ(t, s.rip, KERNEL_GPA);
	expect_params(t, "console=ttyS0");
	expect_segments(t, &elf);

	fresh(64 * MIB);
	EXPECT_EQ(t, load_into(&machine, &pvh, initrd, sizeof(initrd), "a b", &s, &err), LOADER_OK);
	EXPECT_EQ(t, s.kind, LOADER_PVH);
	EXPECT_EQ(t, s.rip, KERNEL_GPA + 0x40);
	EXPECT_EQ(t, s.cr0, X86_CR0_PE | X86_CR0_ET);
	EXPECT(t, gmem_read(&machine.gm, s.gpr[X86_RBX], info, sizeof(info)));
	EXPECT_EQ(t, load_le32(info), 0x336ec578);
	EXPECT_EQ(t, load_le32(info + 4), 1);
	EXPECT_EQ(t, load_le32(info + 12), 1);
	EXPECT_EQ(t, load_le64(info + 32), MEMORY_RSDP_GPA);
	EXPECT_EQ(t, load_le32(info + 48), 5);
	EXPECT(t, gmem_read(&machine.gm, load_le64(info + 16), module, sizeof(module)));
	EXPECT_EQ(t, load_le64(module + 8), sizeof(initrd));
	EXPECT(t, gmem_read(&machine.gm, load_le64(module), module, 3));
	EXPECT_MEM(t, module, initrd, 3);
	EXPECT(t, gmem_read(&machine.gm, load_le64(info + 40), memory, sizeof(memory)));
	EXPECT_EQ(t, load_le64(memory + 8), MEMORY_EBDA_GPA);
	free(elf.data);
	free(pvh.data);
}

static void test_multiboot(struct test *t)
{
	struct image i = make_multiboot();
	const uint8_t module[4097] = {9, 8, 7};
	uint8_t info[120], list[16], got[0x3000];
	struct loader_start s;
	struct loader_error err;

	fresh(16 * MIB);
	EXPECT_EQ(t, load_into(&machine, &i, module, sizeof(module), "x=1", &s, &err), LOADER_OK);
	EXPECT_EQ(t, s.kind, LOADER_MULTIBOOT);
	EXPECT_EQ(t, s.rip, 0x200100);
	EXPECT_EQ(t, s.gpr[X86_RAX], 0x2badb002);
	EXPECT_EQ(t, s.segment[X86_CS].attributes, 0xc09b);
	EXPECT(t, gmem_read(&machine.gm, 0x200000, got, 0x3000));
	EXPECT_MEM(t, got, i.data, 0x2000);
	EXPECT_EQ(t, got[0x2000], 0); /* bss */
	EXPECT(t, gmem_read(&machine.gm, s.gpr[X86_RBX], info, sizeof(info)));
	EXPECT_EQ(t, load_le32(info), 0x24d);
	EXPECT_EQ(t, load_le32(info + 4), 639);
	EXPECT_EQ(t, load_le32(info + 20), 1);
	EXPECT_EQ(t, load_le32(info + 44), 5 * 24);
	EXPECT(t, gmem_read(&machine.gm, load_le32(info + 24), list, sizeof(list)));
	EXPECT_EQ(t, load_le32(list + 4) - load_le32(list), sizeof(module));
	EXPECT_EQ(t, load_le32(list) % 4096, 0);
	EXPECT(t, gmem_read(&machine.gm, load_le32(info + 16), got, 4));
	EXPECT_MEM(t, got, "x=1", 4);
	free(i.data);
}

static void test_multiboot_elf(struct test *t)
{
	struct image i = make_elf32();
	struct loader_start s;
	struct loader_error err;

	store_le32(i.data + 0x200, 0x1badb002);
	store_le32(i.data + 0x208, 0u - 0x1badb002);
	store_le32(i.data + 24, 0xc1000004); /* virtual entry */
	fresh(64 * MIB);
	EXPECT_EQ(t, load(&i, &s, &err), LOADER_OK);
	EXPECT_EQ(t, s.kind, LOADER_MULTIBOOT);
	EXPECT_EQ(t, s.rip, KERNEL_GPA + 4);
	free(i.data);
}

/* Every prefix of a file either loads or is refused with a reason; the file is copied so that a read past its end is caught by ASan. */
static void truncate_all(struct test *t, const struct image *whole, size_t step)
{
	for (size_t bytes = 0; bytes < whole->bytes; bytes += bytes < 0x300 ? 1 : step) {
		struct image cut = {malloc(bytes != 0 ? bytes : 1), bytes};
		struct loader_start s;
		struct loader_error err;

		memcpy(cut.data, whole->data, bytes);
		enum loader_status status = load(&cut, &s, &err);

		expect_refused(t, status, &s, &err);
		free(cut.data);
	}
}

static void test_truncated_files_are_refused(struct test *t)
{
	struct image elf = make_elf64(true);

	fresh(32 * MIB);
	for (enum codec c = 0; c < CODEC_COUNT; c++) {
		struct image i = make_packed(c);

		truncate_all(t, &i, 1009);
		free(i.data);
	}
	elf.bytes = 0x26000; /* what follows the last segment may be missing */
	truncate_all(t, &elf, 4093);
	free(elf.data);
}

/* Each field of the headers with each extreme value: loads or refuses, never anything else. */
static void test_lying_fields_are_survived(struct test *t)
{
	static const uint64_t lies[] = {0,
					1,
					0x7f,
					0xff,
					0x7fffffff,
					0x80000000,
					0xffffffff,
					0x7fffffffffffffff,
					0xffffffffffffffff,
					0xfffffffffffff000,
					0x1000,
					0x100000000,
					0xf8000000};
	struct image images[3];

	images[0] = make_packed(CODEC_LZ4);
	images[1] = make_elf64(true);
	images[2] = make_multiboot();
	fresh(32 * MIB);
	for (size_t n = 0; n < ARRAY_LEN(images); n++) {
		size_t end = min_u64(images[n].bytes, n == 0 ? 0x290 : 0x140);

		for (size_t at = n == 0 ? 0x1f0 : 0; at < end; at++) {
			for (size_t l = 0; l < ARRAY_LEN(lies); l++) {
				uint8_t saved[8];
				struct loader_start s;
				struct loader_error err;

				memcpy(saved, images[n].data + at, 8);
				store_le64(images[n].data + at, lies[l]);
				enum loader_status status = load(&images[n], &s, &err);

				if (status != LOADER_OK) {
					expect_refused(t, status, &s, &err);
				}
				memcpy(images[n].data + at, saved, 8);
			}
		}
		free(images[n].data);
	}
}

static void test_messages(struct test *t)
{
	struct loader_start s;
	struct loader_error err;
	struct image empty = {(uint8_t *)(uintptr_t) "", 0};
	struct image text = {(uint8_t *)(uintptr_t) "#!/bin/sh\necho this is no kernel, and it is "
						    "long enough to look at\n",
			     66};
	struct image big = make_elf64(false);
	uint8_t *initrd = calloc(1, 20 * MIB);
	char longline[4000];

	fresh(32 * MIB);
	EXPECT_EQ(t, load(&empty, &s, &err), LOADER_FOREIGN);
	EXPECT(t, strstr(err.text, "an empty file found") != NULL);
	EXPECT_EQ(t, load(&text, &s, &err), LOADER_FOREIGN);
	EXPECT(t, strstr(err.text, "a script found") != NULL);

	EXPECT_EQ(t, load_into(&machine, &big, initrd, 20 * MIB, "", &s, &err),
		  LOADER_INITRD_TOO_LARGE);
	EXPECT_EQ(t, err.part, LOADER_PART_INITRD);
	EXPECT(t, strstr(err.text, "20 MiB found") != NULL);
	memset(longline, 'x', sizeof(longline) - 1);
	longline[sizeof(longline) - 1] = 0;
	EXPECT_EQ(t, load_into(&machine, &big, NULL, 0, longline, &s, &err),
		  LOADER_CMDLINE_TOO_LONG);
	EXPECT_EQ(t, err.part, LOADER_PART_CMDLINE);
	EXPECT(t, strstr(err.text, "at most 2047") != NULL);

	store_le64(big.data + 64 + 40, 100 * MIB); /* memory size of the first segment */
	EXPECT_EQ(t, load(&big, &s, &err), LOADER_NO_MEMORY);
	EXPECT_EQ(t, err.part, LOADER_PART_MEMORY);
	EXPECT(t, strstr(err.text, "32 MiB found, the kernel needs at least 117 MiB") != NULL);

	struct image program = make_elf64(false);

	for (unsigned i = 0; i < 3; i++) { /* virtual is physical */
		store_le64(program.data + 64 + 56 * i + 16,
			   load_le64(program.data + 64 + 56 * i + 24));
	}
	EXPECT_EQ(t, load(&program, &s, &err), LOADER_FOREIGN);
	EXPECT(t, strstr(err.text, "an ELF program found") != NULL);
	free(program.data);
	struct image needy = make_packed(CODEC_GZIP);

	store_le32(needy.data + 0x260, 60 << 20); /* init_size */
	EXPECT_EQ(t, load(&needy, &s, &err), LOADER_NO_MEMORY);
	EXPECT(t, strstr(err.text, "32 MiB found, the kernel needs at least 77 MiB") != NULL);
	free(needy.data);

	store_le16(big.data + 18, 183); /* AArch64 */
	EXPECT_EQ(t, load(&big, &s, &err), LOADER_FOREIGN);
	EXPECT(t, strstr(err.text, "machine 183") != NULL);
	free(big.data);
	free(initrd);
}

static void test_initrd_goes_above_4g_only_if_allowed(struct test *t)
{
	const uint64_t ram = UINT64_C(5120) << 20;
	const size_t bytes = (size_t)(16 * MIB);
	uint8_t *initrd = malloc(bytes);
	struct loader_start s;
	struct loader_error err;
	uint8_t bp[4096];

	memset(initrd, 0x5a, bytes);
	for (unsigned allowed = 0; allowed < 2; allowed++) {
		struct image i = make_packed(CODEC_ZSTD);

		store_le16(i.data + 0x236, allowed ? 3 : 1);
		store_le32(i.data + 0x22c, KERNEL_GPA + 0x800000 - 1);
		fresh(ram);
		enum loader_status status = load_into(&machine, &i, initrd, bytes, "", &s, &err);

		EXPECT_EQ(t, status, allowed ? LOADER_OK : LOADER_INITRD_TOO_LARGE);
		if (allowed) {
			EXPECT(t, gmem_read(&machine.gm, 0x90000, bp, sizeof(bp)));
			uint64_t at = load_le32(bp + 0x218) | (uint64_t)load_le32(bp + 0xc0) << 32;

			EXPECT_EQ(t, at, MEMORY_HIGH_BASE + machine.map.high_bytes - bytes);
			EXPECT_EQ(t, load_le32(bp + 0x21c), bytes);
			EXPECT(t, gmem_read(&machine.gm, at + bytes - 8, bp, 8));
			EXPECT_EQ(t, bp[7], 0x5a);
		}
		free(i.data);
	}
	free(initrd);
}

static void test_memory_map(struct test *t)
{
	static const uint64_t sizes[] = {4 * MIB, 512 * MIB, 3968 * MIB, 3969 * MIB, 65536 * MIB};
	struct memory_map map;

	EXPECT(t, !memory_map_init(&map, 4 * MIB - 4096));
	EXPECT(t, !memory_map_init(&map, 512 * MIB + 1));
	EXPECT(t, !memory_map_init(&map, MEMORY_MAX_BYTES + 4096));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct e820_entry e[MEMORY_E820_MAX];
		uint64_t end = 0, ram = 0;

		EXPECT(t, memory_map_init(&map, sizes[i]));
		EXPECT_EQ(t, map.low_bytes + map.high_bytes, sizes[i]);
		EXPECT(t, map.low_bytes <= MEMORY_LOW_LIMIT);
		size_t n = memory_map_e820(&map, e);

		for (size_t k = 0; k < n; k++) {
			EXPECT(t, e[k].gpa >= end && e[k].bytes > 0);
			end = e[k].gpa + e[k].bytes;
			ram += e[k].type == E820_RAM ? e[k].bytes : 0;
		}
		EXPECT_EQ(t, ram, sizes[i] - 0x100000 + MEMORY_EBDA_GPA - MEMORY_ACPI_BYTES);
		EXPECT(t, map.mmio_high_gpa >= end &&
				  map.end_gpa == map.mmio_high_gpa + map.mmio_high_bytes);
	}
}

static bool read_file(const char *path, struct image *ret)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0) {
		return false;
	}
	ret->bytes = (size_t)st.st_size;
	ret->data = malloc(ret->bytes);
	bool good = read(fd, ret->data, ret->bytes) == (ssize_t)ret->bytes;

	close(fd);
	return good;
}

static void load_real(struct test *t, const char *path, unsigned *loaded)
{
	struct image i;
	struct loader_start s;
	struct loader_error err;
	struct timespec a, b;

	if (!read_file(path, &i)) {
		return;
	}
	fresh(512 * MIB);
	clock_gettime(CLOCK_MONOTONIC, &a);
	enum loader_status status = load(&i, &s, &err);

	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("# %s: kind %d entry 0x%" PRIx64 ", %ld ms %s\n", path,
	       status == LOADER_OK ? (int)s.kind : -1, status == LOADER_OK ? s.rip : 0,
	       (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, err.text);
	EXPECT_EQ(t, status, LOADER_OK);
	free(i.data);
	(*loaded)++;
}

/* Whatever kernels the machine has; VIRID_TEST_KERNELS may name more (a glob). */
static void test_installed_kernels_load(struct test *t)
{
	static const char *const patterns[] = {
		"/boot/vmlinuz-*",
		"/boot/memtest86+*.bin",
		"/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux",
	};
	const char *more = getenv("VIRID_TEST_KERNELS");
	glob_t found = {0};
	unsigned loaded = 0;

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &found);
	}
	if (more != NULL) {
		glob(more, GLOB_APPEND, NULL, &found);
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		load_real(t, found.gl_pathv[i], &loaded);
	}
	globfree(&found);
	if (loaded == 0) {
		SKIP(t, "no kernel is installed in /boot");
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_memory_map),
		TEST(test_bzimage_payload_in_every_format),
		TEST(test_lz4_blocks),
		TEST(test_bzimage_without_payload),
		TEST(test_elf32_payload_enters_in_32_bits),
		TEST(test_elf_vmlinux_and_pvh),
		TEST(test_multiboot),
		TEST(test_multiboot_elf),
		TEST(test_truncated_files_are_refused),
		TEST(test_lying_fields_are_survived),
		TEST(test_messages),
		TEST(test_initrd_goes_above_4g_only_if_allowed),
		TEST(test_installed_kernels_load),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
