/* SPDX-License-Identifier: Apache-2.0 */
/* The system part of the engine, function by function: page walks, segment loads, delivery, far transfers, tasks, registers, saved state. */
#include "test/test.h"

#include "abi/hv.h"
#include "control.h"
#include "core.h"
#include "emu/emu.h"
#include "flags.h"
#include "segment.h"
#include "sys.h"
#include "test/guest_ram.h"
#include "x86/msr.h"
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

static uint64_t fake_clock(void *ctx)
{
	return 1000;
}

static void relax(void *ctx, unsigned round)
{
}

static void put64(struct machine *m, uint64_t gpa, uint64_t value)
{
	memcpy(m->ram + gpa, &value, 8);
}

static uint64_t get64(const struct machine *m, uint64_t gpa)
{
	return load_le64(m->ram + gpa);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 |
	       (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(uint16_t selector, uint32_t offset, unsigned access, unsigned low)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)low << 32 |
	       (uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48;
}

static void build_gdt(struct machine *m)
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

static bool machine_init(struct machine *m)
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

static void machine_fini(struct machine *m)
{
	emu_engine_ops.vp_destroy(m->handle);
	emu_engine_ops.vm_destroy(m->vm);
	gmem_fini(&m->gmem);
	free(m->ram);
}

static struct x86_segment segment(struct machine *m, uint16_t selector)
{
	struct x86_segment s;

	x86_segment_from_descriptor(&s, selector, get64(m, GDT + (selector & ~7u)));
	return s;
}

/* Flat protected mode without paging, ring @cpl. */
static void protected_mode(struct machine *m, unsigned cpl)
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
static void long_mode(struct machine *m, unsigned cpl)
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

/* ---- Page walks ---- */

static void test_walk_errors(struct test *t)
{
	static const struct {
		const char *what;
		uint64_t pte;
		uint64_t cr0, cr4;
		unsigned access;
		enum emu_tlb_mode mode;
		int error;	/* -1: success */
		uint64_t after; /* bits that the walk adds */
	} cases[] = {
		{"not present", 0, X86_CR0_WP, 0, HV_ACCESS_READ, EMU_TLB_KERNEL, 0, 0},
		{"not present, user write", 6, X86_CR0_WP, 0, HV_ACCESS_WRITE, EMU_TLB_USER, 6, 0},
		{"kernel read", 1, X86_CR0_WP, 0, HV_ACCESS_READ, EMU_TLB_KERNEL, -1, 0x20},
		{"kernel write", 3, X86_CR0_WP, 0, HV_ACCESS_WRITE, EMU_TLB_KERNEL, -1, 0x60},
		{"kernel write, read-only, WP", 1, X86_CR0_WP, 0, HV_ACCESS_WRITE, EMU_TLB_KERNEL,
		 3, 0},
		{"kernel write, read-only, no WP", 1, 0, 0, HV_ACCESS_WRITE, EMU_TLB_KERNEL, -1,
		 0x60},
		{"user read of kernel page", 3, X86_CR0_WP, 0, HV_ACCESS_READ, EMU_TLB_USER, 5, 0},
		{"user write, read-only", 5, X86_CR0_WP, 0, HV_ACCESS_WRITE, EMU_TLB_USER, 7, 0},
		{"user read", 5, X86_CR0_WP, 0, HV_ACCESS_READ, EMU_TLB_USER, -1, 0x20},
		{"NX", X86_PTE_NX | 7, X86_CR0_WP, 0, HV_ACCESS_EXECUTE, EMU_TLB_USER, 0x15, 0},
		{"NX data", X86_PTE_NX | 7, X86_CR0_WP, 0, HV_ACCESS_READ, EMU_TLB_USER, -1, 0x20},
		{"SMEP", 7, X86_CR0_WP, X86_CR4_SMEP, HV_ACCESS_EXECUTE, EMU_TLB_KERNEL, 0x11, 0},
		{"no SMEP", 7, X86_CR0_WP, 0, HV_ACCESS_EXECUTE, EMU_TLB_KERNEL, -1, 0x20},
		{"SMAP", 7, X86_CR0_WP, X86_CR4_SMAP, HV_ACCESS_READ, EMU_TLB_KERNEL, 1, 0},
		{"SMAP write", 7, X86_CR0_WP, X86_CR4_SMAP, HV_ACCESS_WRITE, EMU_TLB_KERNEL, 3, 0},
		{"SMAP with AC", 7, X86_CR0_WP, X86_CR4_SMAP, HV_ACCESS_READ, EMU_TLB_KERNEL_AC, -1,
		 0x20},
		{"reserved address bit", UINT64_C(1) << 45 | 7, X86_CR0_WP, 0, HV_ACCESS_READ,
		 EMU_TLB_USER, 0xd, 0},
		{"dirty already", 0x47, X86_CR0_WP, 0, HV_ACCESS_READ, EMU_TLB_USER, -1, 0x20},
	};
	const uint64_t slot = TABLES + 0x3000 + 0x50 * 8, la = 0x50123;
	static struct machine m;
	struct emu_walk w;

	EXPECT(t, machine_init(&m));
	long_mode(&m, 0);
	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		uint64_t pte = cases[n].pte | 0x50000;
		unsigned before = t->failures;
		bool good;

		put64(&m, slot, pte);
		m.vp->cr0 = (m.vp->cr0 & ~(uint64_t)X86_CR0_WP) | cases[n].cr0;
		m.vp->cr4 = X86_CR4_PAE | cases[n].cr4;
		m.vp->event = EMU_EVENT_NONE;
		good = emu_walk(m.vp, la, cases[n].access, cases[n].mode, &w);
		EXPECT_EQ(t, good, cases[n].error < 0);
		EXPECT_EQ(t, get64(&m, slot), pte | cases[n].after);
		if (good) {
			EXPECT_EQ(t, w.gpa, la);
		} else {
			EXPECT_EQ(t, m.vp->fault.vector, X86_EXC_PF);
			EXPECT_EQ(t, m.vp->fault.error, cases[n].error);
			EXPECT_EQ(t, m.vp->fault.parameter, la);
		}
		if (t->failures != before) {
			printf("# in case '%s'\n", cases[n].what);
		}
	}
	/* A bits of the levels above were set on the way. */
	EXPECT_EQ(t, get64(&m, TABLES) & 0x20, 0x20);
	EXPECT_EQ(t, get64(&m, TABLES + 0x2000) & 0x60, 0x20);
	machine_fini(&m);
}

static void test_walk_large_and_legacy(struct test *t)
{
	static struct machine m;
	struct emu_walk w;
	struct emu_vp *vp;

	EXPECT(t, machine_init(&m));
	long_mode(&m, 0);
	vp = m.vp;
	/* 2 MiB at 4 MiB linear, 1 GiB at 1 GiB linear. */
	put64(&m, TABLES + 0x2000 + 2 * 8, 0x600000 | 0x83);
	put64(&m, TABLES + 0x1000 + 8, UINT64_C(0x80000000) | 0x183);
	vp->cr4 |= X86_CR4_PGE;
	EXPECT(t, emu_walk(vp, 0x412345, HV_ACCESS_READ, EMU_TLB_KERNEL, &w));
	EXPECT_EQ(t, w.gpa, 0x612345);
	EXPECT(t, !w.global && !w.writable);
	EXPECT(t, emu_walk(vp, 0x412345, HV_ACCESS_WRITE, EMU_TLB_KERNEL, &w));
	EXPECT(t, w.writable);
	EXPECT(t, emu_walk(vp, 0x45678901, HV_ACCESS_READ, EMU_TLB_KERNEL, &w));
	EXPECT_EQ(t, w.gpa, 0x85678901);
	EXPECT(t, w.global);
	/* Reserved bits between address and PS. */
	put64(&m, TABLES + 0x2000 + 2 * 8, 0x602000 | 0x83);
	EXPECT(t, !emu_walk(vp, 0x412345, HV_ACCESS_READ, EMU_TLB_KERNEL, &w));
	EXPECT_EQ(t, vp->fault.error, 9);

	/* 32-bit paging with a PSE-36 page. */
	vp->event = EMU_EVENT_NONE;
	vp->efer = 0;
	vp->cr4 = X86_CR4_PSE;
	vp->seg[X86_CS] = segment(&m, S_CODE0);
	vp->cr3 = TABLES + 0x8000;
	store_le32(m.ram + TABLES + 0x8000 + 4, 0x12c00000 | 1u << 13 | 0x83);
	EXPECT(t, emu_walk(vp, 0x412345, HV_ACCESS_READ, EMU_TLB_KERNEL, &w));
	EXPECT_EQ(t, w.gpa, UINT64_C(0x112c12345));
	store_le32(m.ram + TABLES + 0x8000 + 8, (TABLES + 0x9000) | 7);
	store_le32(m.ram + TABLES + 0x9000 + 4, 0x55000 | 5);
	EXPECT(t, emu_walk(vp, 0x801abc, HV_ACCESS_READ, EMU_TLB_USER, &w));
	EXPECT_EQ(t, w.gpa, 0x55abc);
	EXPECT_EQ(t, load_le32(m.ram + TABLES + 0x9000 + 4), 0x55025);

	/* PAE: PDPTEs are read with CR3, not later. */
	put64(&m, TABLES + 0xa000, (TABLES + 0xb000) | 1);
	put64(&m, TABLES + 0xb000, 0x200000 | 0x83);
	vp->cr4 = X86_CR4_PAE;
	EXPECT(t, emu_cr3_write(vp, TABLES + 0xa000));
	put64(&m, TABLES + 0xa000, 0);
	EXPECT(t, emu_walk(vp, 0x1234, HV_ACCESS_READ, EMU_TLB_KERNEL, &w));
	EXPECT_EQ(t, w.gpa, 0x201234);
	put64(&m, TABLES + 0xa000, (TABLES + 0xb000) | 3);
	EXPECT(t, !emu_cr3_write(vp, TABLES + 0xa000));
	machine_fini(&m);
}

/* ---- Segment loads ---- */

static void test_segment_loads(struct test *t)
{
	static const struct {
		unsigned cpl;
		unsigned seg;
		uint16_t selector;
		int vector; /* -1: loads */
		uint32_t error;
	} cases[] = {
		{0, X86_DS, S_DATA0, -1, 0},
		{0, X86_DS, 0, -1, 0},
		{0, X86_DS, 3, -1, 0},
		{0, X86_DS, S_DATA0 | 3, X86_EXC_GP, S_DATA0},
		{0, X86_DS, S_CODE0, -1, 0},
		{0, X86_DS, S_EXECONLY, X86_EXC_GP, S_EXECONLY},
		{0, X86_DS, S_ABSENT, X86_EXC_NP, S_ABSENT},
		{0, X86_DS, S_TSS, X86_EXC_GP, S_TSS},
		{0, X86_DS, 0x1000, X86_EXC_GP, 0x1000},
		{0, X86_DS, 0x0c, X86_EXC_GP, 0x0c}, /* LDT without one */
		{3, X86_ES, S_DATA0, X86_EXC_GP, S_DATA0},
		{3, X86_ES, S_DATA3, -1, 0},
		{3, X86_ES, S_CONFORMING | 3, -1, 0},
		{0, X86_SS, S_DATA0, -1, 0},
		{0, X86_SS, 0, X86_EXC_GP, 0},
		{0, X86_SS, S_DATA3, X86_EXC_GP, S_DATA3 & ~3},
		{0, X86_SS, S_DATA0 | 1, X86_EXC_GP, S_DATA0},
		{0, X86_SS, S_READONLY, X86_EXC_GP, S_READONLY},
		{0, X86_SS, S_CODE0, X86_EXC_GP, S_CODE0},
		{0, X86_SS, S_ABSENT, X86_EXC_SS, S_ABSENT},
		{3, X86_SS, S_DATA3, -1, 0},
	};
	static struct machine m;

	EXPECT(t, machine_init(&m));
	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		unsigned before = t->failures;
		bool good;

		protected_mode(&m, cases[n].cpl);
		good = emu_segment_load(m.vp, cases[n].seg, cases[n].selector);
		EXPECT_EQ(t, good, cases[n].vector < 0);
		if (good) {
			EXPECT_EQ(t, m.vp->seg[cases[n].seg].selector, cases[n].selector);
		} else {
			EXPECT_EQ(t, m.vp->fault.vector, cases[n].vector);
			EXPECT_EQ(t, m.vp->fault.error, cases[n].error);
			EXPECT_EQ(t, m.vp->seg[cases[n].seg].selector,
				  cases[n].cpl == 0 ? S_DATA0 : S_DATA3);
		}
		if (t->failures != before) {
			printf("# in case %zu\n", n);
		}
	}
	/* The accessed bit was set in memory. */
	EXPECT_EQ(t, get64(&m, GDT + S_DATA0) >> 40 & 1, 1);
	/* LDT */
	protected_mode(&m, 0);
	EXPECT(t, emu_lldt(m.vp, S_LDT));
	put64(&m, LDT + 8, descriptor(0x1234, 0xff, 0x93, 0x4));
	EXPECT(t, emu_segment_load(m.vp, X86_FS, 0xc));
	EXPECT_EQ(t, m.vp->seg[X86_FS].base, 0x1234);
	EXPECT_EQ(t, m.vp->seg[X86_FS].limit, 0xff);
	EXPECT(t, !emu_segment_load(m.vp, X86_FS, 0x14));
	EXPECT_EQ(t, m.vp->fault.error, 0x14);
	/* Real mode keeps limits. */
	m.vp->cr0 &= ~(uint64_t)X86_CR0_PE;
	EXPECT(t, emu_segment_load(m.vp, X86_DS, 0x1234));
	EXPECT_EQ(t, m.vp->seg[X86_DS].base, 0x12340);
	EXPECT_EQ(t, m.vp->seg[X86_DS].limit, 0xffffffff);
	machine_fini(&m);
}

/* ---- Delivery ---- */

static void deliver(struct machine *m, uint8_t vector, bool has_error, uint32_t error,
		    bool software)
{
	struct emu_fault f = {.vector = vector,
			      .has_error = has_error,
			      .error = error,
			      .software = software,
			      .parameter = 2};

	emu_deliver(m->vp, &f);
}

static void test_deliver_long(struct test *t)
{
	static struct machine m;
	struct emu_vp *vp;

	EXPECT(t, machine_init(&m));
	vp = m.vp;
	/* Vector 14: interrupt gate; 3: trap gate, DPL 3; 2: IST1; 13: absent; 6: to a 32-bit code segment. */
	put64(&m, IDT + 14 * 16, gate(S_CODE64, 0x81000, 0x8e, 0));
	put64(&m, IDT + 14 * 16 + 8, 0xffff8000);
	put64(&m, IDT + 3 * 16, gate(S_CODE64, 0x82000, 0xef, 0));
	put64(&m, IDT + 2 * 16, gate(S_CODE64, 0x83000, 0x8e, 1));
	put64(&m, IDT + 13 * 16, gate(S_CODE64, 0x84000, 0x8e, 0));
	put64(&m, IDT + 11 * 16, gate(S_CODE64, 0x85000, 0x8e, 0));
	put64(&m, IDT + 6 * 16, gate(S_CODE0, 0x85000, 0x8e, 0));
	put64(&m, IDT + 8 * 16, gate(S_CODE64, 0x88000, 0x8e, 0));

	/* User to kernel with error code. */
	long_mode(&m, 3);
	deliver(&m, 14, true, 7, false);
	EXPECT_EQ(t, vp->event, EMU_EVENT_NONE);
	EXPECT_EQ(t, vp->rip, UINT64_C(0xffff800000081000));
	EXPECT_EQ(t, vp->cpl, 0);
	EXPECT_EQ(t, vp->seg[X86_CS].selector, S_CODE64);
	EXPECT_EQ(t, vp->seg[X86_SS].selector, 0);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK0 - 48);
	EXPECT_EQ(t, get64(&m, STACK0 - 48), 7);
	EXPECT_EQ(t, get64(&m, STACK0 - 40), CODE);
	EXPECT_EQ(t, get64(&m, STACK0 - 32), S_USER64);
	EXPECT_EQ(t, get64(&m, STACK0 - 24), X86_RF | X86_IF | 2);
	EXPECT_EQ(t, get64(&m, STACK0 - 16), STACK);
	EXPECT_EQ(t, get64(&m, STACK0 - 8), S_DATA3);
	EXPECT_EQ(t, emu_flags_get(vp), 2);
	EXPECT_EQ(t, vp->cr2, 2);

	/* Kernel to kernel: the stack is aligned, SS stays. */
	long_mode(&m, 0);
	vp->r[X86_RSP] = STACK - 4;
	deliver(&m, 3, false, 0, true);
	EXPECT_EQ(t, vp->rip, 0x82000);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK - 16 - 40);
	EXPECT_EQ(t, get64(&m, STACK - 16 - 24), X86_IF | 2);
	EXPECT_EQ(t, get64(&m, STACK - 16 - 16), STACK - 4);
	EXPECT_EQ(t, vp->seg[X86_SS].selector, S_DATA0);
	EXPECT_EQ(t, emu_flags_get(vp), X86_IF | 2);

	/* IST */
	long_mode(&m, 0);
	deliver(&m, 2, false, 0, false);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK0 + 0x2000 - 40);

	/* INT 14 from user code: DPL 0 gives #GP with the vector, RIP back at the instruction. */
	long_mode(&m, 3);
	deliver(&m, 14, false, 0, true);
	EXPECT_EQ(t, vp->rip, 0x84000);
	EXPECT_EQ(t, get64(&m, STACK0 - 48), 14 * 8 + 2);
	EXPECT_EQ(t, get64(&m, STACK0 - 40), CODE - 2);

	/* Gate to 32-bit code: #GP with the selector and EXT. */
	long_mode(&m, 0);
	deliver(&m, 6, false, 0, false);
	EXPECT_EQ(t, vp->rip, 0x84000);
	EXPECT_EQ(t, get64(&m, vp->r[X86_RSP]), S_CODE0 | 1);

	/* Contributory after contributory: double fault. */
	long_mode(&m, 0);
	deliver(&m, 12, true, 0x10, false);
	EXPECT_EQ(t, vp->rip, 0x88000);
	EXPECT_EQ(t, get64(&m, vp->r[X86_RSP]), 0);

	/* No IDT at all: triple fault. */
	long_mode(&m, 0);
	vp->idtr.limit = 0;
	deliver(&m, 13, true, 0, false);
	EXPECT_EQ(t, vp->event, EMU_EVENT_EXIT);
	EXPECT_EQ(t, vp->exit.kind, HV_EXIT_TRIPLE_FAULT);
	machine_fini(&m);
}

static void test_deliver_legacy(struct test *t)
{
	static const uint32_t v86_frame[] = {
		0x1234, 0x100, X86_VM | X86_RF | 2, 0x500, 0x3000, 0xe000, 0xd000, 0xf000, 0xb000};
	static struct machine m;
	struct emu_vp *vp;

	EXPECT(t, machine_init(&m));
	vp = m.vp;
	put64(&m, IDT + 13 * 8, gate(S_CODE0, 0x81000, 0x8e, 0));
	put64(&m, IDT + 6 * 8, gate(S_CODE0, 0x82000, 0x86, 0)); /* 16-bit gate */
	put64(&m, IDT + 10 * 8, gate(S_TASKGATE, 0, 0x8e, 0));

	protected_mode(&m, 3);
	deliver(&m, 13, true, 0x1234, false);
	EXPECT_EQ(t, vp->rip, 0x81000);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK0 - 24);
	EXPECT_EQ(t, vp->seg[X86_SS].selector, S_DATA0);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 24), 0x1234);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 20), CODE);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 16), S_CODE3);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 8), STACK);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 4), S_DATA3);

	protected_mode(&m, 0);
	deliver(&m, 6, false, 0, false);
	EXPECT_EQ(t, vp->rip, 0x2000);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK - 6);
	EXPECT_EQ(t, load_le16(m.ram + STACK - 4), S_CODE0);

	/* Virtual-8086: all segments go to the ring 0 stack and become null. */
	protected_mode(&m, 0);
	emu_flags_set(vp, X86_VM | X86_IF | 2);
	vp->cpl = 3;
	for (unsigned n = 0; n < 6; n++) {
		emu_segment_load_real(vp, n, (uint16_t)(0x1000 + n));
	}
	vp->r[X86_RSP] = 0x400;
	vp->rip = 0x77;
	emu_mode_update(vp);
	deliver(&m, 13, true, 0, false);
	EXPECT_EQ(t, vp->rip, 0x81000);
	EXPECT_EQ(t, vp->cpl, 0);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK0 - 40);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 4), 0x1005);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 16), 0x1000);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 20), 0x1002);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 36), 0x77);
	EXPECT_EQ(t, vp->seg[X86_GS].selector, 0);
	EXPECT(t, !(vp->flags & X86_VM));

	/* And back with IRETD. */
	memcpy(m.ram + STACK0 - 36, v86_frame, sizeof(v86_frame));
	vp->r[X86_RSP] = STACK0 - 36;
	EXPECT(t, emu_iret(vp, 4, 0, &vp->rip));
	EXPECT(t, emu_v86(vp));
	EXPECT_EQ(t, vp->cpl, 3);
	EXPECT_EQ(t, vp->rip, 0x1234);
	EXPECT_EQ(t, vp->seg[X86_CS].base, 0x1000);
	EXPECT_EQ(t, vp->seg[X86_SS].base, 0x30000);
	EXPECT_EQ(t, vp->seg[X86_ES].base, 0xe0000);
	EXPECT_EQ(t, vp->r[X86_RSP], 0x500);

	/* Real mode. */
	emu_reset(vp, false);
	emu_drop_all(vp);
	vp->seg[X86_SS].base = STACK;
	vp->r[X86_RSP] = 0x100;
	vp->rip = 0x55;
	vp->idtr.limit = 0x3ff;
	store_le32(m.ram + 0x21 * 4, 0xf0001234);
	deliver(&m, 0x21, false, 0, true);
	EXPECT_EQ(t, vp->rip, 0x1234);
	EXPECT_EQ(t, vp->seg[X86_CS].base, 0xf0000);
	EXPECT_EQ(t, load_le16(m.ram + STACK + 0xfa), 0x55);
	EXPECT_EQ(t, load_le16(m.ram + STACK + 0xfc), 0xf000);
	machine_fini(&m);
}

/* ---- Far transfers ---- */

static void test_far_transfers(struct test *t)
{
	static struct machine m;
	struct emu_vp *vp;
	uint64_t rip = 0;

	EXPECT(t, machine_init(&m));
	vp = m.vp;

	/* Direct: to 16-bit code with a base. */
	protected_mode(&m, 0);
	EXPECT(t, emu_far_jump(vp, S_CODE16, 0x10, 0, &rip));
	EXPECT_EQ(t, vp->mode, EMU_MODE_16);
	EXPECT_EQ(t, vp->seg[X86_CS].base, 0x20000);
	protected_mode(&m, 0);
	EXPECT(t, !emu_far_jump(vp, S_CODE16, 0x10000, 0, &rip));
	EXPECT_EQ(t, vp->fault.vector, X86_EXC_GP);
	EXPECT_EQ(t, vp->fault.error, 0);
	EXPECT(t, !emu_far_jump(vp, S_ABSENT_CODE, 0, 0, &rip));
	EXPECT_EQ(t, vp->fault.vector, X86_EXC_NP);
	EXPECT(t, !emu_far_jump(vp, S_DATA0, 0, 0, &rip));
	EXPECT_EQ(t, vp->fault.error, S_DATA0);
	EXPECT(t, !emu_far_jump(vp, S_CODE3, 0, 0, &rip));
	EXPECT_EQ(t, vp->fault.error, S_CODE3 & ~3);
	EXPECT(t, !emu_far_jump(vp, 2, 0, 0, &rip));
	EXPECT_EQ(t, vp->fault.error, 0);

	/* Conforming code keeps the caller's privilege. */
	protected_mode(&m, 3);
	EXPECT(t, emu_far_call(vp, S_CONFORMING, 0x1234, 4, CODE + 7, &rip));
	EXPECT_EQ(t, vp->cpl, 3);
	EXPECT_EQ(t, vp->seg[X86_CS].selector, S_CONFORMING | 3);
	EXPECT_EQ(t, rip, 0x1234);
	EXPECT_EQ(t, load_le32(m.ram + STACK - 8), CODE + 7);
	EXPECT_EQ(t, load_le32(m.ram + STACK - 4), S_CODE3);

	/* A call gate to ring 0 with two parameters, and back. */
	put64(&m, GDT + S_GATE, gate(S_CODE0, 0x4567, 0xec, 2));
	protected_mode(&m, 3);
	vp->r[X86_RSP] = STACK - 8;
	store_le32(m.ram + STACK - 8, 111);
	store_le32(m.ram + STACK - 4, 222);
	EXPECT(t, emu_far_call(vp, S_GATE | 3, 0, 4, CODE + 7, &rip));
	EXPECT_EQ(t, rip, 0x4567);
	EXPECT_EQ(t, vp->cpl, 0);
	EXPECT_EQ(t, vp->seg[X86_CS].selector, S_CODE0);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK0 - 24);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 24), CODE + 7);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 16), 111);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 12), 222);
	EXPECT_EQ(t, load_le32(m.ram + STACK0 - 8), STACK - 8);
	vp->seg[X86_DS] = segment(&m, S_DATA0);
	vp->seg[X86_ES] = segment(&m, S_DATA3);
	emu_segment_load_null(vp, X86_FS, 3, 0);
	EXPECT(t, emu_far_return(vp, 4, 8, &rip));
	EXPECT_EQ(t, rip, CODE + 7);
	EXPECT_EQ(t, vp->cpl, 3);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK);
	EXPECT_EQ(t, vp->seg[X86_DS].selector, 0);
	EXPECT_EQ(t, vp->seg[X86_FS].selector, 0);
	EXPECT_EQ(t, vp->seg[X86_ES].selector, S_DATA3);
	/* JMP cannot change privilege through it. */
	EXPECT(t, !emu_far_jump(vp, S_GATE | 3, 0, 0, &rip));
	EXPECT_EQ(t, vp->fault.error, S_CODE0);

	/* 64-bit: gate of 16 bytes, stack from the TSS, null SS. */
	put64(&m, GDT + S_GATE, gate(S_CODE64, 0x4567, 0xec, 0));
	put64(&m, GDT + S_GATE + 8, 0xffff8000);
	long_mode(&m, 3);
	EXPECT(t, emu_far_call(vp, S_GATE | 3, 0, 4, CODE + 7, &rip));
	EXPECT_EQ(t, rip, UINT64_C(0xffff800000004567));
	EXPECT_EQ(t, vp->r[X86_RSP], STACK0 - 32);
	EXPECT_EQ(t, vp->seg[X86_SS].selector, 0);
	EXPECT(t, emu_far_return(vp, 8, 0, &rip));
	EXPECT_EQ(t, vp->cpl, 3);
	EXPECT_EQ(t, vp->seg[X86_SS].selector, S_DATA3);

	/* IRETQ within ring 0 loads a null SS; flags follow. */
	long_mode(&m, 0);
	vp->r[X86_RSP] = STACK - 40;
	put64(&m, STACK - 40, 0x9999);
	put64(&m, STACK - 32, S_CODE64);
	put64(&m, STACK - 24, X86_IF | X86_AC | X86_CF | X86_RF | 2);
	put64(&m, STACK - 16, STACK - 0x100);
	put64(&m, STACK - 8, 0);
	vp->nmi_blocked = true;
	EXPECT(t, emu_iret(vp, 8, 0, &rip));
	EXPECT_EQ(t, rip, 0x9999);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK - 0x100);
	EXPECT_EQ(t, emu_flags_get(vp), X86_IF | X86_AC | X86_CF | X86_RF | 2);
	EXPECT(t, !vp->nmi_blocked);
	/* Compatibility mode through IRETQ. */
	long_mode(&m, 0);
	vp->r[X86_RSP] = STACK - 40;
	put64(&m, STACK - 40, 0x9999);
	put64(&m, STACK - 32, S_CODE3);
	put64(&m, STACK - 16, STACK - 0x100);
	put64(&m, STACK - 8, S_DATA3);
	EXPECT(t, emu_iret(vp, 8, 0, &rip));
	EXPECT_EQ(t, vp->mode, EMU_MODE_32);
	EXPECT_EQ(t, vp->cpl, 3);
	machine_fini(&m);
}

/* ---- Tasks ---- */

static void build_task(struct machine *m, uint32_t flags)
{
	uint8_t *tss = m->ram + TSS2;

	store_le32(tss + 0x20, 0x7777);
	store_le32(tss + 0x24, flags);
	for (unsigned n = 0; n < 8; n++) {
		store_le32(tss + 0x28 + 4 * n, n == X86_RSP ? STACK - 0x1000 : 0x100 + n);
	}
	for (unsigned n = 0; n < 6; n++) {
		store_le16(tss + 0x48 + 4 * n, n == X86_CS ? S_CODE0 : n == X86_GS ? 0 : S_DATA0);
	}
}

static void test_tasks(struct test *t)
{
	static struct machine m;
	struct emu_vp *vp;
	uint64_t rip = 0;

	EXPECT(t, machine_init(&m));
	vp = m.vp;
	build_task(&m, 2);
	protected_mode(&m, 0);
	vp->r[X86_RBX] = 0xbbbb;
	EXPECT(t, emu_far_call(vp, S_TASKGATE, 0, 4, CODE + 7, &rip));
	EXPECT_EQ(t, vp->event, EMU_EVENT_NONE);
	EXPECT_EQ(t, rip, 0x7777);
	EXPECT_EQ(t, vp->r[X86_RCX], 0x101);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK - 0x1000);
	EXPECT_EQ(t, vp->seg[X86_TR].selector, S_TSS2);
	EXPECT_EQ(t, emu_flags_get(vp), X86_NT | 2);
	EXPECT(t, vp->cr0 & X86_CR0_TS);
	EXPECT_EQ(t, load_le32(m.ram + TSS + 0x20), CODE + 7);
	EXPECT_EQ(t, load_le32(m.ram + TSS + 0x34), 0xbbbb);
	EXPECT_EQ(t, load_le16(m.ram + TSS2), S_TSS);
	EXPECT_EQ(t, get64(&m, GDT + S_TSS2) >> 40 & 0xff, 0x8b);
	/* A busy task cannot be entered again. */
	EXPECT(t, !emu_far_jump(vp, S_TSS2, 0, 0, &rip));
	EXPECT_EQ(t, vp->fault.error, S_TSS2);
	/* IRET with NT goes back. The old task's descriptor is busy (LTR made it so). */
	put64(&m, GDT + S_TSS, get64(&m, GDT + S_TSS) | X86_DESC_BUSY);
	vp->event = EMU_EVENT_NONE;
	EXPECT(t, emu_iret(vp, 4, 0x8888, &rip));
	EXPECT_EQ(t, vp->event, EMU_EVENT_NONE);
	EXPECT_EQ(t, rip, CODE + 7);
	EXPECT_EQ(t, vp->r[X86_RBX], 0xbbbb);
	EXPECT_EQ(t, get64(&m, GDT + S_TSS2) >> 40 & 0xff, 0x89);
	EXPECT_EQ(t, load_le32(m.ram + TSS2 + 0x20), 0x8888);
	EXPECT(t, !(load_le32(m.ram + TSS2 + 0x24) & X86_NT));

	/* Exception through a task gate: error code on the new stack. */
	put64(&m, IDT + 13 * 8, gate(S_TSS2, 0, 0x85, 0));
	build_task(&m, 2);
	protected_mode(&m, 3);
	deliver(&m, 13, true, 0x4321, false);
	EXPECT_EQ(t, vp->event, EMU_EVENT_NONE);
	EXPECT_EQ(t, vp->rip, 0x7777);
	EXPECT_EQ(t, vp->cpl, 0);
	EXPECT_EQ(t, vp->r[X86_RSP], STACK - 0x1004);
	EXPECT_EQ(t, load_le32(m.ram + STACK - 0x1004), 0x4321);

	/* A bad segment in the new task faults there. */
	build_task(&m, 2);
	store_le16(m.ram + TSS2 + 0x48 + 4 * X86_SS, S_DATA3);
	put64(&m, GDT + S_TSS2, get64(&m, GDT + S_TSS2) & ~X86_DESC_BUSY);
	protected_mode(&m, 0);
	EXPECT(t, emu_far_jump(vp, S_TSS2, 0, CODE, &rip));
	EXPECT_EQ(t, vp->event, EMU_EVENT_FAULT);
	EXPECT_EQ(t, vp->fault.vector, X86_EXC_TS);
	EXPECT_EQ(t, vp->fault.error, S_DATA3 & ~3);
	EXPECT_EQ(t, rip, 0x7777);
	machine_fini(&m);
}

/* ---- Port rights ---- */

static void test_io_rights(struct test *t)
{
	static struct machine m;

	EXPECT(t, machine_init(&m));
	protected_mode(&m, 0);
	EXPECT(t, emu_io_allowed(m.vp, 0x3f8, 4));
	protected_mode(&m, 3);
	/* Bitmap from 68h to the limit 100h: ports 0 .. 4BFh; port 3F8h denied. */
	m.ram[TSS + 0x68 + 0x3f8 / 8] = 1;
	EXPECT(t, !emu_io_allowed(m.vp, 0x3f8, 1));
	EXPECT_EQ(t, m.vp->fault.vector, X86_EXC_GP);
	EXPECT(t, emu_io_allowed(m.vp, 0x3f9, 1));
	EXPECT(t, !emu_io_allowed(m.vp, 0x3f7, 2));
	EXPECT(t, !emu_io_allowed(m.vp, 0xcf8, 4));
	emu_flags_set(m.vp, X86_IOPL | 2);
	EXPECT(t, emu_io_allowed(m.vp, 0xcf8, 4));
	machine_fini(&m);
}

/* ---- Control registers and MSRs ---- */

static void test_control_registers(struct test *t)
{
	static struct machine m;
	struct emu_vp *vp;

	EXPECT(t, machine_init(&m));
	vp = m.vp;
	protected_mode(&m, 0);
	EXPECT(t, !emu_cr0_write(vp, X86_CR0_PG));
	EXPECT(t, !emu_cr0_write(vp, X86_CR0_PE | X86_CR0_NW));
	EXPECT(t, !emu_cr0_write(vp, UINT64_C(1) << 32 | X86_CR0_PE));
	EXPECT(t, !emu_cr4_write(vp, UINT64_C(1) << 12));
	EXPECT(t, !emu_cr4_write(vp, X86_CR4_PCIDE));
	/* Long mode needs PAE. */
	EXPECT(t, emu_efer_write(vp, X86_EFER_LME | X86_EFER_NXE));
	EXPECT(t, !emu_cr0_write(vp, X86_CR0_PE | X86_CR0_PG));
	EXPECT(t, emu_cr4_write(vp, X86_CR4_PAE));
	EXPECT(t, emu_cr3_write(vp, TABLES));
	EXPECT(t, emu_cr0_write(vp, X86_CR0_PE | X86_CR0_PG));
	EXPECT(t, vp->efer & X86_EFER_LMA);
	EXPECT_EQ(t, vp->mode, EMU_MODE_32);
	EXPECT(t, !emu_cr4_write(vp, 0));
	EXPECT(t, !emu_efer_write(vp, X86_EFER_NXE));
	EXPECT(t, !emu_efer_write(vp, X86_EFER_LME | 2));
	EXPECT(t, !emu_cr3_write(vp, UINT64_C(1) << 45));
	EXPECT(t, !emu_cr3_write(vp, UINT64_C(1) << 63 | TABLES));
	EXPECT(t, emu_cr4_write(vp, X86_CR4_PAE | X86_CR4_PCIDE));
	EXPECT(t, emu_cr3_write(vp, UINT64_C(1) << 63 | TABLES | 5));
	EXPECT_EQ(t, vp->cr3, TABLES | 5);
	EXPECT(t, !emu_cr0_write(vp, X86_CR0_PE));
	EXPECT(t, emu_cr4_write(vp, X86_CR4_PAE));
	EXPECT(t, emu_cr0_write(vp, X86_CR0_PE));
	EXPECT(t, !(vp->efer & X86_EFER_LMA));
	machine_fini(&m);
}

static void test_msrs(struct test *t)
{
	static const struct {
		uint32_t index;
		uint64_t value;
		enum x86_msrs_result result;
		uint64_t after;
	} cases[] = {
		{X86_MSR_LSTAR, UINT64_C(0xffffffff81000000), X86_MSRS_DONE,
		 UINT64_C(0xffffffff81000000)},
		{X86_MSR_LSTAR, UINT64_C(0x8000000000000000), X86_MSRS_REFUSED,
		 UINT64_C(0xffffffff81000000)},
		{X86_MSR_FS_BASE, UINT64_C(0x7fffffffffff), X86_MSRS_DONE,
		 UINT64_C(0x7fffffffffff)},
		{X86_MSR_FS_BASE, UINT64_C(0x800000000000), X86_MSRS_REFUSED,
		 UINT64_C(0x7fffffffffff)},
		{X86_MSR_PAT, UINT64_C(0x0407010600070106), X86_MSRS_DONE,
		 UINT64_C(0x0407010600070106)},
		{X86_MSR_PAT, 2, X86_MSRS_REFUSED, UINT64_C(0x0407010600070106)},
		{X86_MSR_BIOS_SIGN_ID, 0, X86_MSRS_DONE, UINT64_C(0x100000000)},
		{X86_MSR_SFMASK, UINT64_C(0x100000000), X86_MSRS_REFUSED, 0},
		{X86_MSR_SPEC_CTRL, 1, X86_MSRS_DONE, 1},
		{X86_MSR_SPEC_CTRL, 8, X86_MSRS_REFUSED, 1},
		{X86_MSR_MTRR_VAR_BASE0, 6, X86_MSRS_DONE, 6},
		{X86_MSR_MTRR_VAR_BASE0 + 1, UINT64_C(0xff00000800), X86_MSRS_DONE,
		 UINT64_C(0xff00000800)},
		{X86_MSR_MTRR_VAR_BASE0 + 1, UINT64_C(0xffff00000800), X86_MSRS_REFUSED,
		 UINT64_C(0xff00000800)},
		{X86_MSR_MTRR_FIX4K + 3, UINT64_C(0x0606060606060606), X86_MSRS_DONE,
		 UINT64_C(0x0606060606060606)},
		{X86_MSR_MTRR_DEF_TYPE, 0xc06, X86_MSRS_DONE, 0xc06},
		{X86_MSR_MTRRCAP, 0, X86_MSRS_REFUSED, X86_MTRRCAP_VALUE},
		{X86_MSR_MC0_CTL + 4, ~UINT64_C(0), X86_MSRS_DONE, ~UINT64_C(0)},
		{X86_MSR_MC0_CTL + 5, 1, X86_MSRS_REFUSED, 0},
	};
	static struct machine m;
	uint64_t value;

	EXPECT(t, machine_init(&m));
	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		unsigned before = t->failures;

		EXPECT_EQ(t, emu_msr_write(m.vp, cases[n].index, cases[n].value), cases[n].result);
		EXPECT_EQ(t, emu_msr_read(m.vp, cases[n].index, &value), X86_MSRS_DONE);
		EXPECT_EQ(t, value, cases[n].after);
		if (t->failures != before) {
			printf("# in case %zu, MSR 0x%x\n", n, cases[n].index);
		}
	}
	EXPECT_EQ(t, emu_msr_read(m.vp, X86_MSR_APIC_BASE, &value), X86_MSRS_FOREIGN);
	EXPECT_EQ(t, emu_msr_read(m.vp, 0x40000000, &value), X86_MSRS_FOREIGN);
	EXPECT_EQ(t, emu_msr_write(m.vp, X86_MSR_TSC, 0), X86_MSRS_FOREIGN);
	EXPECT_EQ(t, emu_msr_read(m.vp, X86_MSR_PRED_CMD, &value), X86_MSRS_REFUSED);
	machine_fini(&m);
}

/* ---- Registers by name, saved state ---- */

static void test_registers(struct test *t)
{
	static struct machine m;
	struct hv_u128 v;

	EXPECT(t, machine_init(&m));
	EXPECT(t, emu_reg_get(m.vp, HvX64RegisterRip, &v));
	EXPECT_EQ(t, v.lo, 0xfff0);
	EXPECT(t, emu_reg_get(m.vp, HvX64RegisterCs, &v));
	EXPECT_EQ(t, v.lo, 0xffff0000);
	EXPECT_EQ(t, v.hi, UINT64_C(0x009bf0000000ffff));
	EXPECT(t, emu_reg_get(m.vp, HvX64RegisterCr0, &v));
	EXPECT_EQ(t, v.lo, 0x60000010);
	EXPECT(t, emu_reg_get(m.vp, HvX64RegisterDr6, &v));
	EXPECT_EQ(t, v.lo, 0xffff0ff0);

	/* What the Linux 64-bit boot protocol wants. */
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterEfer, &(struct hv_u128){0x500, 0}));
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterCr4, &(struct hv_u128){0x20, 0}));
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterCr3, &(struct hv_u128){TABLES, 0}));
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterCr0, &(struct hv_u128){0x80000011, 0}));
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterCs,
			      &(struct hv_u128){0, UINT64_C(0xa09b0010ffffffff)}));
	EXPECT_EQ(t, m.vp->mode, EMU_MODE_64);
	EXPECT(t, emu_reg_get(m.vp, HvX64RegisterEfer, &v));
	EXPECT_EQ(t, v.lo, 0x500);
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterSs,
			      &(struct hv_u128){0, UINT64_C(0xc0f3002bffffffff)}));
	EXPECT_EQ(t, m.vp->cpl, 3);
	EXPECT(t, emu_reg_set(m.vp, HvX64RegisterGdtr,
			      &(struct hv_u128){UINT64_C(0x7f) << 48, 0x1234}));
	EXPECT_EQ(t, m.vp->gdtr.limit, 0x7f);
	EXPECT_EQ(t, m.vp->gdtr.base, 0x1234);

	EXPECT(t, !emu_reg_set(m.vp, HvX64RegisterCr0, &(struct hv_u128){0x80000010, 0}));
	EXPECT(t, !emu_reg_set(m.vp, HvX64RegisterCr4, &(struct hv_u128){1u << 31, 0}));
	EXPECT(t, !emu_reg_set(m.vp, HvX64RegisterEfer, &(struct hv_u128){2, 0}));
	EXPECT(t, !emu_reg_set(m.vp, HvX64RegisterCs,
			       &(struct hv_u128){0, UINT64_C(0xe09b0010ffffffff)}));
	EXPECT(t, !emu_reg_set(m.vp, HvX64RegisterDr7, &(struct hv_u128){UINT64_C(1) << 32, 0}));
	EXPECT(t, !emu_reg_set(m.vp, 0x12345678, &v));
	EXPECT(t, !emu_reg_get(m.vp, HvX64RegisterCr8, &v));
	machine_fini(&m);
}

static void test_saved_state(struct test *t)
{
	static struct machine a, b;
	static uint8_t first[16384], second[16384];
	struct emu_vp *vp;
	size_t bytes;

	EXPECT(t, machine_init(&a));
	EXPECT(t, machine_init(&b));
	long_mode(&a, 3);
	vp = a.vp;
	for (unsigned n = 0; n < X86_GPR_COUNT; n++) {
		vp->r[n] = n * UINT64_C(0x0123456789abcdef);
	}
	emu_flags_set(vp, X86_CF | X86_ZF | X86_SF | X86_IF | X86_ID | 2);
	vp->shadow = true;
	vp->nmi_blocked = true;
	vp->injected = true;
	vp->inject = (struct emu_fault){.vector = 0x30, .external = true};
	vp->replay[0] = (struct emu_replay){77, 88};
	vp->replay_count = 1;
	vp->dr[0] = 0x1234;
	vp->msr.lstar = 0x5678;
	vp->msr.mc[1] = 99;
	vp->fpu.xmm[3].u64[1] = 0xabcd;
	bytes = emu_save(vp, first, sizeof(first));
	EXPECT(t, bytes > 0 && bytes <= sizeof(first));
	EXPECT_EQ(t, emu_save(vp, NULL, 0), bytes);
	EXPECT(t, emu_restore(b.vp, first, bytes));
	EXPECT_EQ(t, emu_save(b.vp, second, sizeof(second)), bytes);
	EXPECT_MEM(t, first, second, bytes);
	EXPECT_EQ(t, b.vp->mode, EMU_MODE_64);
	EXPECT_EQ(t, b.vp->cpl, 3);
	EXPECT(t, b.vp->injected && b.vp->inject.external);
	EXPECT_EQ(t, emu_flags_get(b.vp), emu_flags_get(vp));
	/* Torn at any place: refused, or what was cut off was whole records. */
	for (size_t n = 0; n < bytes; n += 7) {
		if (!emu_restore(b.vp, first, n)) {
			EXPECT_EQ(t, b.vp->rip, 0xfff0);
		}
	}
	machine_fini(&a);
	machine_fini(&b);
}

static void test_init(struct test *t)
{
	static struct machine m;

	EXPECT(t, machine_init(&m));
	long_mode(&m, 0);
	m.vp->fpu.mxcsr = 0x1fa0;
	m.vp->msr.mtrr_def_type = 0xc06;
	m.vp->r[X86_RBX] = 5;
	emu_engine_ops.vp_reset(m.handle, true);
	EXPECT_EQ(t, m.vp->mode, EMU_MODE_REAL);
	EXPECT_EQ(t, m.vp->cr0, 0x10);
	EXPECT_EQ(t, m.vp->fpu.mxcsr, 0x1fa0);
	EXPECT_EQ(t, m.vp->msr.mtrr_def_type, 0xc06);
	EXPECT_EQ(t, m.vp->r[X86_RBX], 0);
	emu_engine_ops.vp_reset(m.handle, false);
	EXPECT_EQ(t, m.vp->msr.mtrr_def_type, 0);
	EXPECT_EQ(t, m.vp->fpu.mxcsr, 0x1f80);
	machine_fini(&m);
}

/* ---- With the parent's answers ---- */

static void run(struct machine *m, struct hv_exit *exit)
{
	const struct hv_run how = {.deadline_tsc = UINT64_MAX};

	emu_engine_ops.run(m->handle, &how, exit);
}

/* The stack of an interrupt lies where no memory is: every word is the parent's, and the delivery goes on after each. */
static void test_deliver_to_device(struct test *t)
{
	static const uint8_t handler[] = {0xe6, 0x80};
	const uint64_t words[] = {S_DATA0, 0x50800, X86_RF | X86_IF | 2, S_CODE64, CODE};
	const uint64_t values[4] = {0};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m));
	long_mode(&m, 0);
	put64(&m, TABLES + 0x3000 + 0x50 * 8, 0x900000 | 3);
	put64(&m, IDT + 6 * 16, gate(S_CODE64, 0x60000, 0x8e, 0));
	memcpy(m.ram + 0x60000, handler, sizeof(handler));
	m.vp->r[X86_RSP] = 0x50800;
	emu_engine_ops.inject_exception(m.handle, 6, false, 0, 0);
	for (size_t n = 0; n < ARRAY_LEN(words); n++) {
		run(&m, &exit);
		EXPECT_EQ(t, exit.kind, HV_EXIT_MEMORY);
		EXPECT_EQ(t, exit.memory.access, HV_ACCESS_WRITE);
		EXPECT_EQ(t, exit.memory.gpa, 0x900800 - 8 * (n + 1));
		EXPECT_EQ(t, exit.memory.data, words[n]);
		EXPECT_EQ(t, m.vp->rip, CODE);
		emu_engine_ops.complete(m.handle, values);
	}
	run(&m, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	EXPECT_EQ(t, m.vp->r[X86_RSP], 0x50800 - 40);
	EXPECT_EQ(t, m.vp->rip, 0x60000);
	machine_fini(&m);
}

/* A page table where no memory is. */
static void test_table_from_parent(struct test *t)
{
	/* mov rax, [rbx]; out 80h, al */
	static const uint8_t code[] = {0x48, 0x8b, 0x03, 0xe6, 0x80};
	const uint64_t values[4] = {0x51000 | 3};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m));
	long_mode(&m, 0);
	memcpy(m.ram + CODE, code, sizeof(code));
	put64(&m, TABLES + 0x2000 + 8, 0x900000 | 3);
	put64(&m, 0x51008, 0x123456789abcdef0);
	m.vp->r[X86_RBX] = 0x200000 + 0x7000 + 8;
	run(&m, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_MEMORY);
	EXPECT_EQ(t, exit.memory.gpa, 0x900000 + 7 * 8);
	EXPECT_EQ(t, exit.memory.bytes, 8);
	EXPECT_EQ(t, exit.memory.access, HV_ACCESS_READ);
	EXPECT(t, !exit.memory.gva_valid);
	emu_engine_ops.complete(m.handle, values);
	run(&m, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	EXPECT_EQ(t, m.vp->r[X86_RAX], 0x123456789abcdef0);
	machine_fini(&m);
}

/* Saved between the read and the write of one instruction; another VP goes on with the write. */
static void test_restore_within_instruction(struct test *t)
{
	/* add dword [rbx], 5; out 80h, al */
	static const uint8_t code[] = {0x83, 0x03, 0x05, 0xe6, 0x80};
	static struct machine m[2];
	static uint8_t state[16384];
	uint64_t values[4] = {37};
	struct hv_exit exit;
	size_t bytes;

	for (unsigned n = 0; n < 2; n++) {
		EXPECT(t, machine_init(&m[n]));
		long_mode(&m[n], 0);
		memcpy(m[n].ram + CODE, code, sizeof(code));
		put64(&m[n], TABLES + 0x3000 + 0x50 * 8, 0x900000 | 3);
	}
	m[0].vp->r[X86_RBX] = 0x50010;
	run(&m[0], &exit);
	EXPECT_EQ(t, exit.memory.access, HV_ACCESS_READ);
	emu_engine_ops.complete(m[0].handle, values);
	bytes = emu_engine_ops.save(m[0].handle, state, sizeof(state));
	EXPECT(t, emu_engine_ops.restore(m[1].handle, state, bytes));
	run(&m[1], &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_MEMORY);
	EXPECT_EQ(t, exit.memory.access, HV_ACCESS_WRITE);
	EXPECT_EQ(t, exit.memory.data, 42);
	emu_engine_ops.complete(m[1].handle, values);
	run(&m[1], &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	EXPECT_EQ(t, m[1].vp->rip, CODE + 3);
	machine_fini(&m[0]);
	machine_fini(&m[1]);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_walk_errors),
		TEST(test_walk_large_and_legacy),
		TEST(test_segment_loads),
		TEST(test_deliver_long),
		TEST(test_deliver_legacy),
		TEST(test_far_transfers),
		TEST(test_tasks),
		TEST(test_io_rights),
		TEST(test_control_registers),
		TEST(test_msrs),
		TEST(test_registers),
		TEST(test_saved_state),
		TEST(test_init),
		TEST(test_deliver_to_device),
		TEST(test_table_from_parent),
		TEST(test_restore_within_instruction),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
