// SPDX-License-Identifier: Apache-2.0
/* Where control goes elsewhere, function by function: segment loads, delivery of events, far transfers, tasks. */
#include "test/test.h"

#include "control.h"
#include "sys_machine.h"

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

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_segment_loads), TEST(test_deliver_long), TEST(test_deliver_legacy),
		TEST(test_far_transfers), TEST(test_tasks),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
