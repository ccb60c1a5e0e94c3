// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "test/guest_ram.h"
#include "test/input.h"
#include "x86/arch.h"

#define MEMORY_BYTES WORLD_MEMORY_BYTES
#define GDT 0x1000u
#define IDT 0x2000u
#define TSS 0x3000u
#define STACK 0x7000u
#define CODE 0x8000u
#define DATA 0xa000u
#define TABLES 0x10000u
#define READ_ONLY                                                                                  \
	0x30000u /* GPA rights: this page cannot be written, the next not executed, the next is not there */

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_USER_CODE 0x1b
#define SEL_USER_DATA 0x23
#define SEL_CODE64 0x28
#define SEL_CODE16 0x30
#define SEL_DATA16 0x38
#define SEL_TSS 0x40

enum mode { REAL, V86, PROTECTED_16, PROTECTED_32, PAGING_32, PAE, LONG_64, COMPAT, MODES };

uint64_t world_draw(struct world *w)
{
	uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void code_written(void *ctx, uint64_t gpa, size_t bytes)
{
	struct world *w = ctx;

	w->ops->code_written(w->vm, gpa, bytes);
}

static uint64_t no_clock(void *ctx)
{
	(void)ctx;
	return 0;
}

static void memory_map(struct world *w)
{
	for (uint64_t gpn = 0; gpn < MEMORY_BYTES / GMEM_PAGE_BYTES; gpn++) {
		uint32_t rights = GMEM_RIGHTS;

		if (gpn == READ_ONLY / GMEM_PAGE_BYTES) {
			rights = GMEM_R | GMEM_X;
		} else if (gpn == READ_ONLY / GMEM_PAGE_BYTES + 1) {
			rights = GMEM_R | GMEM_W;
		} else if (gpn == READ_ONLY / GMEM_PAGE_BYTES + 2) {
			continue;
		}
		CHECK(gmem_map(&w->gmem, gpn, w->memory + gpn * GMEM_PAGE_BYTES, rights) == 0);
	}
}

static void tables_build(struct world *w, enum mode mode)
{
	static const uint64_t gdt[] = {
		0,
		UINT64_C(0x00cf9b000000ffff),
		UINT64_C(0x00cf93000000ffff),
		UINT64_C(0x00cffb000000ffff),
		UINT64_C(0x00cff3000000ffff),
		UINT64_C(0x00af9b000000ffff),
		UINT64_C(0x00009b000000ffff),
		UINT64_C(0x000093000000ffff),
		UINT64_C(0x00008b0000000067) | (uint64_t)TSS << 16,
		0,
		UINT64_C(0x0000e90000000067) | (uint64_t)(TSS + 0x100) << 16, /* another task */
		UINT64_C(0x0000ec0000080000) | CODE,			      /* call gate */
		UINT64_C(0x0000e20000000000) | 0x37 |
			(uint64_t)GDT << 16,  /* local table = this one */
		UINT64_C(0x0000e50000500000), /* task gate */
		UINT64_C(0x00affb000000ffff),
	};

	memcpy(w->memory + GDT, gdt, sizeof(gdt));
	for (unsigned v = 0; v < 256; v++) {
		uint32_t at = CODE + v * 3;

		if (mode == LONG_64 || mode == COMPAT) {
			store_le64(w->memory + IDT + v * 16,
				   at | (uint64_t)SEL_CODE64 << 16 | UINT64_C(0xee00) << 32);
		} else if (mode == REAL) {
			store_le32(w->memory + v * 4, at);
		} else {
			store_le64(w->memory + IDT + v * 8,
				   at | (uint64_t)SEL_CODE << 16 | UINT64_C(0xee00) << 32);
		}
	}
	store_le32(w->memory + TSS + 4, STACK); /* ESP0, RSP0 */
	store_le32(w->memory + TSS + 8, mode == LONG_64 || mode == COMPAT ? 0 : SEL_DATA);
	store_le32(w->memory + TSS + 36, STACK); /* IST1 in long mode, EFLAGS of a task */
	store_le16(w->memory + TSS + 102, 0x68);
	store_le32(w->memory + TSS + 0x100 + 32, CODE + 16);
	store_le32(w->memory + TSS + 0x100 + 56, STACK);
	store_le16(w->memory + TSS + 0x100 + 76, SEL_CODE);
	store_le16(w->memory + TSS + 0x100 + 80, SEL_DATA);
}

/* Tables for 32-bit, PAE and 4-level paging; identity for the whole memory, user and writable. */
static void paging_build(struct world *w)
{
	uint8_t *t = w->memory + TABLES;

	store_le32(t, (TABLES + 0x1000) | 7); /* 32-bit directory; and with 4 MiB pages */
	store_le32(t + 4, 0x87);
	for (uint32_t i = 0; i < 1024; i++) {
		store_le32(t + 0x1000 + i * 4, (i % 64) << 12 | 7);
	}
	store_le64(t + 0x2000, (TABLES + 0x3000) | 1); /* PAE pointers */
	for (uint32_t i = 0; i < 4; i++) {
		store_le64(t + 0x2000 + 8 * i, (TABLES + 0x3000) | 1);
	}
	store_le64(t + 0x3000, (TABLES + 0x4000) | 7);
	store_le64(t + 0x3008, 0x87);
	for (uint32_t i = 0; i < 512; i++) {
		store_le64(t + 0x4000 + i * 8, (uint64_t)(i % 64) << 12 | 7);
	}
	store_le64(t + 0x5000, (TABLES + 0x6000) | 7); /* PML4 */
	store_le64(t + 0x5000 + 511 * 8, (TABLES + 0x6000) | 7);
	store_le64(t + 0x6000, (TABLES + 0x3000) | 7);
	store_le64(t + 0x6000 + 511 * 8, 0x87);
}

static void put(struct world *w, uint32_t name, uint64_t lo, uint64_t hi)
{
	struct hv_u128 v = {lo, hi};

	(void)w->ops->reg_set(w->vp, name, &v); /* what the processor refuses, it keeps */
}

static void put_segment(struct world *w, unsigned seg, uint16_t selector, uint16_t attributes,
			uint64_t base, uint32_t limit)
{
	put(w, HvX64RegisterEs + seg, base,
	    limit | (uint64_t)selector << 32 | (uint64_t)attributes << 48);
}

static void segments_set(struct world *w, enum mode mode, unsigned cpl)
{
	bool flat64 = mode == LONG_64;
	uint16_t dpl = (uint16_t)(cpl << 5);
	uint16_t code = (uint16_t)((flat64		   ? 0xa09b
				    : mode == PROTECTED_16 ? 0x009b
							   : 0xc09b) |
				   dpl);
	uint16_t data = (uint16_t)((mode == PROTECTED_16 ? 0x0093 : 0xc093) | dpl);
	uint32_t limit = mode == PROTECTED_16 ? 0xffff : UINT32_MAX;
	uint16_t code_sel = flat64		   ? (cpl ? 0x73 : SEL_CODE64)
			    : mode == PROTECTED_16 ? SEL_CODE16
			    : cpl		   ? SEL_USER_CODE
						   : SEL_CODE;
	uint16_t data_sel = mode == PROTECTED_16 ? SEL_DATA16 : cpl ? SEL_USER_DATA : SEL_DATA;

	if (mode == REAL || mode == V86) {
		uint16_t rights = mode == V86 ? 0xf3 : 0x93;

		for (unsigned seg = X86_ES; seg <= X86_GS; seg++) {
			uint16_t selector = seg == X86_CS   ? CODE >> 4
					    : seg == X86_SS ? 0
							    : DATA >> 4;

			put_segment(w, seg, selector, rights, (uint64_t)selector << 4, 0xffff);
		}
		return;
	}
	put_segment(w, X86_CS, code_sel, code, 0, limit);
	for (unsigned seg = X86_ES; seg <= X86_GS; seg++) {
		if (seg != X86_CS) {
			put_segment(w, seg, data_sel, data, 0, limit);
		}
	}
}

static void control_set(struct world *w, enum mode mode, uint8_t features)
{
	uint64_t cr0 = X86_CR0_ET | X86_CR0_NE | ((features & 4) != 0 ? X86_CR0_WP : 0),
		 cr4 = X86_CR4_OSFXSR, cr3 = TABLES, efer = 0;

	cr4 |= (features & 8) != 0 ? X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE | X86_CR4_FSGSBASE
				   : X86_CR4_DE;
	cr4 |= (features & 16) != 0 ? X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PGE | X86_CR4_UMIP
				    : X86_CR4_PSE | X86_CR4_TSD;
	cr0 |= mode != REAL ? X86_CR0_PE : 0;
	if (mode == LONG_64 || mode == COMPAT) {
		efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE | X86_EFER_NXE;
		cr4 |= X86_CR4_PAE | ((features & 32) != 0 ? X86_CR4_PCIDE : 0);
		cr3 = TABLES + 0x5000;
	} else if (mode == PAE) {
		efer = X86_EFER_NXE;
		cr4 |= X86_CR4_PAE;
		cr3 = TABLES + 0x2000;
	}
	cr0 |= mode >= PAGING_32 || (mode == V86 && (features & 32) != 0) ? X86_CR0_PG : 0;
	cr0 |= (features & 64) != 0 ? X86_CR0_AM | X86_CR0_MP : 0;
	put(w, HvX64RegisterCr4, cr4 & ~(uint64_t)X86_CR4_PCIDE, 0); /* in long mode alone */
	put(w, HvX64RegisterCr3, cr3, 0);
	put(w, HvX64RegisterEfer, efer, 0);
	put(w, HvX64RegisterCr0, cr0, 0);
	put(w, HvX64RegisterCr4, cr4, 0);
}

static void registers_set(struct world *w, enum mode mode, uint8_t features)
{
	unsigned cpl = mode == V86 ? 3 : mode == REAL ? 0 : features & 3;
	uint64_t flags =
		2 | (world_draw(w) & (X86_ARITH | X86_DF | X86_IF | X86_TF | X86_AC | X86_NT));

	cpl = cpl == 3 || mode == V86 ? 3 : 0;
	control_set(w, mode, features);
	segments_set(w, mode, cpl);
	put(w, HvX64RegisterGdtr, (uint64_t)0x77 << 48, GDT);
	put(w, HvX64RegisterIdtr, (uint64_t)(mode == REAL ? 0x3ff : 0xfff) << 48,
	    mode == REAL ? 0 : IDT);
	put_segment(w, X86_TR, SEL_TSS, 0x008b, TSS, 0x67 + 32);
	put_segment(w, X86_LDTR, 0, 0, 0, 0);
	if ((world_draw(w) & 7) != 0) {
		flags &= ~(uint64_t)(X86_TF | X86_NT | X86_AC);
	}
	flags |= mode == V86 ? X86_VM | ((features & 128) != 0 ? X86_IOPL : 0) : 0;
	for (uint32_t i = 0; i < 16; i++) {
		uint64_t r = world_draw(w);

		put(w, HvX64RegisterRax + i,
		    (r & 3) == 0   ? r
		    : (r & 7) == 1 ? (r >> 8) & 0xff
				   : DATA + ((r >> 8) & 0xfff),
		    0);
		put(w, HvX64RegisterXmm0 + i, world_draw(w), world_draw(w));
	}
	put(w, HvX64RegisterRsp, STACK - 64, 0);
	put(w, HvX64RegisterRflags, flags, 0);
	put(w, HvX64RegisterRip, mode == REAL || mode == V86 ? 0 : CODE, 0);
	w->ops->msr_set(w->vp, 0xc0000082, CODE + 8);
	w->ops->msr_set(w->vp, 0xc0000081, (uint64_t)SEL_CODE64 << 32 | (uint64_t)0x1b << 48);
	w->ops->msr_set(w->vp, 0x174, SEL_CODE);
	w->ops->msr_set(w->vp, 0x176, CODE + 24);
	w->ops->msr_set(w->vp, 0x175, STACK);
}

bool world_answer(struct world *w, const struct hv_exit *e)
{
	uint64_t values[4] = {world_draw(w), world_draw(w), world_draw(w), world_draw(w)};

	switch (e->kind) {
	case HV_EXIT_PORT:
	case HV_EXIT_MSR:
	case HV_EXIT_CPUID:
	case HV_EXIT_CR8:
	case HV_EXIT_HYPERCALL:
	case HV_EXIT_MEMORY:
		if (e->kind == HV_EXIT_MEMORY && e->memory.access == HV_ACCESS_EXECUTE) {
			w->ops->inject_exception(w->vp, X86_EXC_GP, true, 0, 0);
		} else if ((values[3] & 0xf) == 0) {
			w->ops->inject_exception(w->vp, X86_EXC_GP, true, 0, 0);
		} else if ((values[3] & 0xff) == 1) {
			w->ops->abandon(w->vp);
		} else {
			w->ops->complete(w->vp, values);
		}
		return true;
	case HV_EXIT_EXCEPTION:
		w->ops->inject_exception(w->vp, e->exception.vector, e->exception.has_error,
					 e->exception.error, e->exception.parameter);
		return true;
	case HV_EXIT_HALT:
	case HV_EXIT_INTERRUPTED:
	case HV_EXIT_INTERRUPT_WINDOW:
	case HV_EXIT_IRET_NMI:
	case HV_EXIT_EOI:
		if (w->ops->can_interrupt(w->vp)) {
			w->ops->inject_interrupt(w->vp, (uint8_t)(values[0] | 0x20));
		} else if (w->ops->can_nmi(w->vp)) {
			w->ops->inject_nmi(w->vp);
		}
		return true;
	case HV_EXIT_FAILED:
		w->failed = e->failed.what;
		return false;
	case HV_EXIT_TRIPLE_FAULT:
		return false;
	}
	return false;
}

void world_run(struct world *w, uint64_t end)
{
	for (unsigned i = 0; i < WORLD_EXITS && w->ops->tsc(w->vm) < end; i++) {
		struct hv_run how = {.deadline_tsc = end};
		struct hv_exit exit;
		uint64_t r = world_draw(w);

		how.want_interrupt_window = (r & 3) == 0;
		how.want_nmi_window = (r & 63) == 0;
		w->ops->run(w->vp, &how, &exit);
		if (!world_answer(w, &exit)) {
			break;
		}
		w->exits++;
	}
}

static void patches_apply(struct world *w, struct input *in)
{
	unsigned count = input_u8(in) & 31;

	for (unsigned i = 0; i < count; i++) {
		uint32_t at = (uint32_t)input_number(in, 3) % MEMORY_BYTES;
		unsigned bytes = input_u8(in);

		while (bytes-- > 0 && in->left > 0) {
			w->memory[at] = input_u8(in);
			at = (at + 1) % MEMORY_BYTES;
		}
	}
	for (uint32_t at = CODE; in->left > 0 && at < MEMORY_BYTES; at++) {
		w->memory[at] = input_u8(in);
	}
}

struct world *world_create(const struct hv_engine_ops *ops, int device_fd)
{
	struct world *w = calloc(1, sizeof(*w));
	struct hv_engine_config config = {.vp_max = 2,
					  .clock = no_clock,
					  .clock_hz = 1000000000,
					  .device_fd = device_fd,
					  .count_instructions = device_fd < 0};

	CHECK(w != NULL);
	config.gmem = &w->gmem;
	w->ops = ops;
	w->memory = test_pages_alloc(MEMORY_BYTES / GMEM_PAGE_BYTES);
	CHECK(w->memory != NULL && test_space_init(&w->gmem, 40) == 0);
	memory_map(w);
	CHECK(w->ops->vm_create(&config, &w->vm) == 0);
	w->ops->gpa_changed(w->vm, 0, MEMORY_BYTES / GMEM_PAGE_BYTES);
	CHECK(w->ops->vp_create(w->vm, 0, &w->vp) == 0);
	CHECK(w->ops->vp_create(w->vm, 1, &w->other) == 0);
	gmem_set_watch(&w->gmem, &(struct gmem_watch){code_written, w});
	return w;
}

void world_destroy(struct world *w)
{
	w->ops->vp_destroy(w->vp);
	w->ops->vp_destroy(w->other);
	w->ops->vm_destroy(w->vm);
	gmem_fini(&w->gmem);
	free(w->memory);
	free(w);
}

bool world_is_legacy(const uint8_t *data, size_t bytes)
{
	enum mode mode = (enum mode)(bytes != 0 ? data[0] % MODES : 0);

	return mode != REAL && mode != LONG_64 && mode != COMPAT;
}

void world_load(struct world *w, const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	enum mode mode = (enum mode)(input_u8(&in) % MODES);
	uint8_t features = input_u8(&in);

	w->random = input_u64(&in);
	w->exits = 0;
	memset(w->memory, 0, MEMORY_BYTES);
	tables_build(w, mode);
	paging_build(w);
	patches_apply(w, &in);
	for (uint64_t gpa = 0; gpa < MEMORY_BYTES; gpa += GMEM_PAGE_BYTES) {
		gmem_touch(&w->gmem, gpa, GMEM_PAGE_BYTES);
	}
	w->ops->vp_reset(w->vp, false);
	w->ops->flush_all(w->vp, false);
	w->ops->intercept_exceptions(
		w->vm, (features & 128) != 0 && mode != V86 ? (uint32_t)world_draw(w) : 0);
	registers_set(w, mode, features);
}
