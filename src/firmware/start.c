// SPDX-License-Identifier: Apache-2.0
#include "start.h"

#include <string.h>

#include "lib/bits.h"

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define GDT_BYTES 0x20

#define DESCRIPTOR_CODE64 UINT64_C(0x00af9b000000ffff)
#define DESCRIPTOR_CODE32 UINT64_C(0x00cf9b000000ffff)
#define DESCRIPTOR_DATA UINT64_C(0x00cf93000000ffff)

#define ATTRIBUTES_CODE64 (X86_SEG_G | X86_SEG_L | X86_SEG_P | X86_SEG_S | 0xb)
#define ATTRIBUTES_CODE32 (X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S | 0xb)
#define ATTRIBUTES_DATA (X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S | 0x3)
#define ATTRIBUTES_TSS_BUSY (X86_SEG_P | 0xb)

#define PAGE_PRESENT_WRITE 0x03u
#define PAGE_LARGE 0x80u
#define PAGE_2M_SHIFT 21
#define DIRECTORIES 4

static enum loader_status write_gdt(struct target *t, uint64_t code, struct loader_start *ret)
{
	uint8_t gdt[GDT_BYTES] = {0};

	store_le64(gdt + SELECTOR_CODE, code);
	store_le64(gdt + SELECTOR_DATA, DESCRIPTOR_DATA);
	ret->gdtr = (struct x86_table){BOOT_GDT_GPA, GDT_BYTES - 1};
	return target_write(t, BOOT_GDT_GPA, gdt, sizeof(gdt));
}

static void set_segments(struct loader_start *ret, uint16_t code_attributes)
{
	const struct x86_segment data = {0, UINT32_MAX, SELECTOR_DATA, ATTRIBUTES_DATA};

	ret->segment[X86_CS] = (struct x86_segment){0, UINT32_MAX, SELECTOR_CODE, code_attributes};
	ret->segment[X86_DS] = data;
	ret->segment[X86_ES] = data;
	ret->segment[X86_SS] = data;
	ret->segment[X86_FS] = data;
	ret->segment[X86_GS] = data;
	/* No selector, but a state that every processor accepts. */
	ret->segment[X86_TR] = (struct x86_segment){0, 0x67, 0, ATTRIBUTES_TSS_BUSY};
	ret->segment[X86_LDTR] = (struct x86_segment){0, 0, 0, 0};
}

enum loader_status start_flat32(struct target *t, struct loader_start *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->rflags = 2;
	ret->cr0 = X86_CR0_PE | X86_CR0_ET;
	set_segments(ret, ATTRIBUTES_CODE32);
	return write_gdt(t, DESCRIPTOR_CODE32, ret);
}

static enum loader_status write_page_tables(struct target *t)
{
	uint8_t page[GMEM_PAGE_BYTES] = {0};
	uint64_t pdpt = BOOT_PAGES_GPA + GMEM_PAGE_BYTES;
	uint64_t pd = pdpt + GMEM_PAGE_BYTES;

	store_le64(page, pdpt | PAGE_PRESENT_WRITE);
	enum loader_status status = target_write(t, BOOT_PAGES_GPA, page, sizeof(page));

	for (unsigned i = 0; i < DIRECTORIES; i++) {
		store_le64(page + 8 * i, (pd + i * GMEM_PAGE_BYTES) | PAGE_PRESENT_WRITE);
	}
	if (status == LOADER_OK) {
		status = target_write(t, pdpt, page, sizeof(page));
	}
	for (uint64_t i = 0; i < DIRECTORIES && status == LOADER_OK; i++) {
		for (uint64_t j = 0; j < 512; j++) {
			store_le64(page + 8 * j, (i * 512 + j) << PAGE_2M_SHIFT | PAGE_LARGE |
							 PAGE_PRESENT_WRITE);
		}
		status = target_write(t, pd + i * GMEM_PAGE_BYTES, page, sizeof(page));
	}
	return status;
}

enum loader_status start_long(struct target *t, struct loader_start *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->rflags = 2;
	ret->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_PG;
	ret->cr3 = BOOT_PAGES_GPA;
	ret->cr4 = X86_CR4_PAE;
	ret->efer = X86_EFER_LME | X86_EFER_LMA;
	set_segments(ret, ATTRIBUTES_CODE64);
	enum loader_status status = write_gdt(t, DESCRIPTOR_CODE64, ret);

	return status == LOADER_OK ? write_page_tables(t) : status;
}
