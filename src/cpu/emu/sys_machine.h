/* SPDX-License-Identifier: Apache-2.0 */
/* A machine with descriptor tables, a task and page tables, for the tests of the engine's system part (sys_test.c, far_test.c). */
#ifndef EMU_SYS_MACHINE_H
#define EMU_SYS_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "core.h"
#include "emu/emu.h"
#include "flags.h"
#include "segment.h"
#include "sys.h"
#include "test/guest_ram.h"
#include "x86/paging.h"

#define RAM_PAGES 256u
#define GDT 0x1000u
#define IDT 0x2000u
#define TSS 0x3000u
#define TSS2 0x3800u
#define LDT 0x4000u
#define TABLES 0x10000u
#define CODE 0x20000u
#define STACK 0x30000u
#define STACK0 0x38000u

/* Selectors of the test GDT. */
enum {
	S_CODE0 = 0x08,
	S_DATA0 = 0x10,
	S_CODE3 = 0x18 | 3,
	S_DATA3 = 0x20 | 3,
	S_TSS = 0x28, /* and 0x30 in long mode */
	S_CODE16 = 0x38,
	S_CONFORMING = 0x40,
	S_ABSENT = 0x48,
	S_READONLY = 0x50,
	S_EXECONLY = 0x58,
	S_CODE64 = 0x60,
	S_GATE = 0x68, /* and 0x70 in long mode */
	S_LDT = 0x78,  /* and 0x80 in long mode */
	S_TSS2 = 0x88,
	S_TASKGATE = 0x90,
	S_USER64 = 0x98 | 3,
	S_ABSENT_CODE = 0xa0,
	GDT_BYTES = 0xa8,
};

struct machine {
	struct gmem gmem;
	uint8_t *ram;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *handle;
	struct emu_vp *vp;
};

static inline uint64_t fake_clock(void *ctx)
{
	return 1000;
}

static inline void relax(void *ctx, unsigned round)
{
}

static inline void put64(struct machine *m, uint64_t gpa, uint64_t value)
{
	memcpy(m->ram + gpa, &value, 8);
}

static inline uint64_t get64(const struct machine *m, uint64_t gpa)
{
	return load_le64(m->ram + gpa);
}

static inline uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 |
	       (uint64_t)(base >> 24) << 56;
}

static inline uint64_t gate(uint16_t selector, uint32_t offset, unsigned access, unsigned low)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)low << 32 |
	       (uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48;
}

static inline void build_gdt(struct machine *m)
{
	put64(m, GDT + S_CODE0, descriptor(0, 0xfffff, 0x9b, 0xc));
	put64(m, GDT + S_DATA0, descriptor(0, 0xfffff, 0x92, 0xc));
	put64(m, GDT + (S_CODE3 & ~7), descriptor(0, 0xfffff, 0xfb, 0xc));
	put64(m, GDT + (S_DATA3 & ~7), descriptor(0, 0xfffff, 0xf3, 0xc));
	put64(m, GDT + S_TSS, descriptor(TSS, 0x100, 0x89, 0));
	put64(m, GDT + S_CODE16, descriptor(0x20000, 0xffff, 0x9b, 0));
	put64(m, GDT + S_CONFORMING, descriptor(0, 0xfffff, 0x9f, 0xc));
	put64(m, GDT + S_ABSENT, descriptor(0, 0xfffff, 0x13, 0xc));
	put64(m, GDT + S_READONLY, descriptor(0, 0xfffff, 0x91, 0xc));
	put64(m, GDT + S_EXECONLY, descriptor(0, 0xfffff, 0x99, 0xc));
	put64(m, GDT + S_CODE64, descriptor(0, 0xfffff, 0x9b, 0xa));
	put64(m, GDT + S_LDT, descriptor(LDT, 0xf, 0x82, 0));
	put64(m, GDT + S_TSS2, descriptor(TSS2, 0x67, 0x89, 0));
	put64(m, GDT + S_TASKGATE, gate(S_TSS2, 0, 0xe5, 0));
	put64(m, GDT + (S_USER64 & ~7), descriptor(0, 0xfffff, 0xfb, 0xa));
	put64(m, GDT + S_ABSENT_CODE, descriptor(0, 0xfffff, 0x1b, 0xc));
}

static inline bool machine_init(struct machine *m)
{
	struct hv_engine_config config = {.gmem = &m->gmem,
					  .vp_max = 1,
					  .clock = fake_clock,
					  .clock_hz = 1000000000,
					  .relax = relax};

	memset(m, 0, sizeof(*m));
	m->ram = test_pages_alloc(RAM_PAGES);
	if (m->ram == NULL || test_space_init(&m->gmem, 40) != 0 ||
	    test_ram_map(&m->gmem, m->ram, 0, RAM_PAGES) != 0) {
		return false;
	}
	build_gdt(m);
	if (emu_engine_ops.vm_create(&config, &m->vm) != 0 ||
	    emu_engine_ops.vp_create(m->vm, 0, &m->handle) != 0) {
		return false;
	}
	m->vp = (struct emu_vp *)(void *)m->handle;
	return true;
}

static inline void machine_fini(struct machine *m)
{
	emu_engine_ops.vp_destroy(m->handle);
	emu_engine_ops.vm_destroy(m->vm);
	gmem_fini(&m->gmem);
	free(m->ram);
}

static inline struct x86_segment segment(struct machine *m, uint16_t selector)
{
	struct x86_segment s;

	x86_segment_from_descriptor(&s, selector, get64(m, GDT + (selector & ~7u)));
	return s;
}

/* Flat protected mode without paging, ring @cpl. */
static inline void protected_mode(struct machine *m, unsigned cpl)
{
	struct emu_vp *vp = m->vp;

	vp->cr0 = X86_CR0_PE | X86_CR0_ET;
	vp->gdtr = (struct x86_table){GDT, GDT_BYTES - 1};
	vp->idtr = (struct x86_table){IDT, 0x7ff};
	vp->seg[X86_CS] = segment(m, cpl == 0 ? S_CODE0 : S_CODE3);
	for (unsigned n = 0; n < 6; n++) {
		if (n != X86_CS) {
			vp->seg[n] = segment(m, cpl == 0 ? S_DATA0 : S_DATA3);
		}
	}
	vp->seg[X86_TR] = segment(m, S_TSS);
	vp->seg[X86_TR].attributes |= 2;
	vp->cpl = (uint8_t)cpl;
	vp->r[X86_RSP] = STACK;
	vp->rip = CODE;
	vp->event = EMU_EVENT_NONE;
	emu_flags_set(vp, 2 | X86_IF);
	/* Ring 0 stack */
	store_le32(m->ram + TSS + 4, STACK0);
	store_le16(m->ram + TSS + 8, S_DATA0);
	store_le16(m->ram + TSS + 102, 0x68);
	emu_mode_update(vp);
}

/* 64-bit mode, identity map of 2 MiB by 4 KiB pages, ring @cpl. */
static inline void long_mode(struct machine *m, unsigned cpl)
{
	struct emu_vp *vp = m->vp;

	put64(m, TABLES, (TABLES + 0x1000) | 7);
	put64(m, TABLES + 0x1000, (TABLES + 0x2000) | 7);
	put64(m, TABLES + 0x2000, (TABLES + 0x3000) | 7);
	for (unsigned n = 0; n < RAM_PAGES; n++) {
		put64(m, TABLES + 0x3000 + n * 8, n << 12 | 7);
	}
	protected_mode(m, cpl);
	vp->cr0 |= X86_CR0_PG | X86_CR0_WP;
	vp->cr4 = X86_CR4_PAE;
	vp->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE | X86_EFER_NXE;
	vp->cr3 = TABLES;
	vp->seg[X86_CS] = segment(m, cpl == 0 ? S_CODE64 : S_USER64);
	put64(m, TSS + 4, STACK0);
	put64(m, TSS + 36, STACK0 + 0x2008); /* IST1 */
	emu_drop_all(vp);
	emu_mode_update(vp);
}

#endif
