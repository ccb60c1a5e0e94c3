// SPDX-License-Identifier: Apache-2.0
/* The system part of the engine, function by function: page walks, rights to ports, registers, saved state. far_test.c has what transfers control. */
#include "test/test.h"

#include "control.h"
#include "sys_machine.h"
#include "x86/msr.h"

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
