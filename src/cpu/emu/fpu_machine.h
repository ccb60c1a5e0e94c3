/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small machine around one VP of the engine, for fpu_test.c, int_test.c and fpu_bench.c. Guest
 * code is assembled into the program and copied; it runs in 64-bit mode at CPL 0 and ends with HLT,
 * and every exception exits.
 */
#ifndef EMU_FPU_MACHINE_H
#define EMU_FPU_MACHINE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "emu/emu.h"
#include "gmem/gmem.h"
#include "hv/engine.h"
#include "lib/bits.h"
#include "test/guest_ram.h"
#include "x86/arch.h"

#define PAGES 64u
#define CODE 0x10000u
#define DATA 0x20000u /* two pages; RSI points here */
#define HOLE 0x22000u /* not present */
#define STACK 0x2f000u
#define CR0 (X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_PG)
#define CR4 (X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE)
#define HALTED 0x100u /* run() result: HLT was reached */

#define SEG_CODE64 0xa09bu
#define SEG_CODE32 0xc09bu
#define SEG_CODE16 0x009bu
#define SEG_DATA 0xc093u

struct machine {
	struct gmem gm;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *vp;
	uint8_t *ram;
	uint8_t *data;	/* host view of DATA */
	uint32_t error; /* error code of the last exception */
};

/* The machine code of an asm snippet of this program. */
struct code {
	const uint8_t *start;
	const uint8_t *end;
};
#define ASM(text)                                                                                  \
	({                                                                                         \
		struct code code_;                                                                 \
		__asm__(".pushsection .rodata\n1:\n" text "\n2:\n.popsection\n"                    \
			"lea 1b(%%rip), %0\n\tlea 2b(%%rip), %1"                                   \
			: "=r"(code_.start), "=r"(code_.end));                                     \
		code_;                                                                             \
	})
#define BYTES(...)                                                                                 \
	({                                                                                         \
		static const uint8_t bytes_[] = {__VA_ARGS__};                                     \
		(struct code){bytes_, bytes_ + sizeof(bytes_)};                                    \
	})

static inline uint64_t no_clock(void *ctx)
{
	return 0;
}

static inline void reg_set(struct machine *m, uint32_t name, uint64_t lo)
{
	struct hv_u128 v = {lo, 0};

	if (!emu_engine_ops.reg_set(m->vp, name, &v)) {
		printf("# register 0x%x refused 0x%" PRIx64 "\n", name, lo);
		abort();
	}
}

static inline struct hv_u128 reg_get(struct machine *m, uint32_t name)
{
	struct hv_u128 v = {0, 0};

	if (!emu_engine_ops.reg_get(m->vp, name, &v)) {
		printf("# no register 0x%x\n", name);
		abort();
	}
	return v;
}

static inline void segment_set(struct machine *m, uint32_t name, uint32_t limit, uint16_t selector,
			       uint16_t attributes)
{
	struct hv_x64_segment_register s = {
		.limit = limit, .selector = selector, .attributes = attributes};
	struct hv_u128 v;

	memcpy(&v, &s, sizeof(v));
	if (!emu_engine_ops.reg_set(m->vp, name, &v)) {
		abort();
	}
}

/* 64-bit mode, identity map of 256 KiB without HOLE. */
static inline void long_mode(struct machine *m)
{
	reg_set(m, HvX64RegisterCr4, CR4);
	reg_set(m, HvX64RegisterCr3, 0x1000);
	reg_set(m, HvX64RegisterEfer, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
	reg_set(m, HvX64RegisterCr0, CR0);
	segment_set(m, HvX64RegisterCs, 0xffffffff, 8, SEG_CODE64);
}

static inline void page_tables(struct machine *m)
{
	store_le64(m->ram + 0x1000, 0x2000 | 3);
	store_le64(m->ram + 0x2000, 0x3000 | 3);
	store_le64(m->ram + 0x3000, 0x4000 | 3);
	for (uint64_t n = 0; n < PAGES; n++) {
		store_le64(m->ram + 0x4000 + n * 8, n == HOLE >> 12 ? 0 : n << 12 | 3);
	}
}

static inline void code_written(void *ctx, uint64_t gpa, size_t bytes)
{
	struct machine *m = ctx;

	emu_engine_ops.code_written(m->vm, gpa, bytes);
}

static inline void machine_start(struct machine *m)
{
	struct gmem_watch watch = {.code_written = code_written, .ctx = m};
	struct hv_engine_config config = {
		.gmem = &m->gm, .vp_max = 1, .clock = no_clock, .clock_hz = 1000000000};

	memset(m, 0, sizeof(*m));
	m->ram = test_pages_alloc(PAGES);
	if (m->ram == NULL || test_space_init(&m->gm, 36) != 0 ||
	    test_ram_map(&m->gm, m->ram, 0, PAGES) != 0) {
		abort();
	}
	m->data = m->ram + DATA;
	if (emu_engine_ops.vm_create(&config, &m->vm) != 0 ||
	    emu_engine_ops.vp_create(m->vm, 0, &m->vp) != 0) {
		abort();
	}
	gmem_set_watch(&m->gm, &watch);
	emu_engine_ops.intercept_exceptions(m->vm, 0xffffffff);
	page_tables(m);
	for (uint32_t seg = HvX64RegisterEs; seg <= HvX64RegisterGs; seg++) {
		if (seg != HvX64RegisterCs) {
			segment_set(m, seg, 0xffffffff, 16, SEG_DATA);
		}
	}
	long_mode(m);
	reg_set(m, HvX64RegisterXfem, 3);
	reg_set(m, HvX64RegisterRsp, STACK);
	reg_set(m, HvX64RegisterRsi, DATA);
}

static inline void machine_stop(struct machine *m)
{
	emu_engine_ops.vp_destroy(m->vp);
	emu_engine_ops.vm_destroy(m->vm);
	gmem_fini(&m->gm);
	free(m->ram);
}

/* Runs @code followed by HLT. HALTED, or the vector of the exception that came up; 0x200 + kind:
 * another exit. */
static inline unsigned run(struct machine *m, struct code code)
{
	size_t bytes = (size_t)(code.end - code.start);
	struct hv_run how = {.deadline_tsc = UINT64_MAX};
	struct hv_exit exit;
	uint8_t image[512];

	memcpy(image, code.start, bytes);
	image[bytes] = 0xf4;
	if (!gmem_write(&m->gm, CODE, image, bytes + 1)) {
		abort();
	}
	reg_set(m, HvX64RegisterRip, CODE);
	do {
		emu_engine_ops.run(m->vp, &how, &exit);
	} while (exit.kind == HV_EXIT_INTERRUPTED);
	if (exit.kind == HV_EXIT_EXCEPTION) {
		m->error = exit.exception.error;
		emu_engine_ops.abandon(m->vp);
		return exit.exception.vector;
	}
	return exit.kind == HV_EXIT_HALT ? HALTED : 0x200 + exit.kind;
}

#endif
