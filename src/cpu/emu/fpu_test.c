/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 and SIMD state in the cases that a comparison with the host's processor in user mode hardly
 * reaches: faults by CR0, CR4 and alignment, unmasked exceptions, stack faults, images in every
 * layout, XSAVE's rules. Guest code is assembled into this program and copied; it runs at CPL 0 and
 * ends with HLT, and every exception exits.
 */
#include <emmintrin.h>

#include "fpu_machine.h"
#include "test/test.h"

static uint32_t xmm_csr(struct machine *m)
{
	return (uint32_t)reg_get(m, HvX64RegisterXmmControlStatus).hi;
}

static uint16_t fsw(struct machine *m)
{
	return (uint16_t)(reg_get(m, HvX64RegisterFpControlStatus).lo >> 16);
}

static uint8_t ftw(struct machine *m)
{
	return (uint8_t)(reg_get(m, HvX64RegisterFpControlStatus).lo >> 32);
}

static unsigned top(struct machine *m)
{
	return fsw(m) >> 11 & 7;
}

static uint64_t rip(struct machine *m)
{
	return reg_get(m, HvX64RegisterRip).lo;
}

/* ---- x87 ---- */

static void test_stack_faults(struct test *t)
{
	struct machine m;

	machine_start(&m);
	EXPECT_EQ(t, run(&m, ASM("fninit; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1")),
		  HALTED);
	EXPECT_EQ(t, fsw(&m), 0);
	EXPECT_EQ(t, ftw(&m), 0xff);
	/* Overflow: C1 set, the indefinite value is pushed. */
	EXPECT_EQ(t, run(&m, ASM("fldz; fstpt (%%rsi)")), HALTED);
	EXPECT_EQ(t, fsw(&m) & 0x2ff, 0x241 & ~0x200);
	EXPECT_EQ(t, load_le64(m.data), 0xc000000000000000);
	EXPECT_EQ(t, load_le16(m.data + 8), 0xffff);
	EXPECT_EQ(t,
		  run(&m,
		      ASM("fnclex; fninit; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fldz")),
		  HALTED);
	EXPECT_EQ(t, fsw(&m) & 0x2ff, 0x241);
	EXPECT_EQ(t, top(&m), 7);
	/* Underflow: C1 clear. */
	EXPECT_EQ(t, run(&m, ASM("fninit; fadds (%%rsi)")), HALTED);
	EXPECT_EQ(t, fsw(&m) & 0x2ff, 0x041);
	EXPECT_EQ(t, run(&m, ASM("fninit; fldz; fxch %%st(1)")), HALTED);
	EXPECT_EQ(t, fsw(&m) & 0x2ff, 0x041);
	EXPECT_EQ(t, ftw(&m), 0x81);
	/* FFREE, FINCSTP, FDECSTP. */
	EXPECT_EQ(t, run(&m, ASM("fninit; fld1; fldz; ffree %%st(1); fincstp; fdecstp; fdecstp")),
		  HALTED);
	EXPECT_EQ(t, ftw(&m), 0x40);
	EXPECT_EQ(t, top(&m), 5);
	machine_stop(&m);
}

static void test_x87_unmasked(struct test *t)
{
	struct machine m;

	machine_start(&m);
	store_le16(m.data, 0x037b);	/* zero divide unmasked */
	store_le16(m.data + 2, 0x037e); /* invalid unmasked */
	EXPECT_EQ(t, run(&m, ASM("fninit; fldcw (%%rsi); fld1; fldz; fdivrp; fnstsw %%ax; fld1")),
		  X86_EXC_MF);
	/* Not carried out: no pop, ST0 = 0, ST1 = 1. */
	EXPECT_EQ(t, fsw(&m) & 0xb8ff, 0x8000 | 6 << 11 | 0x84);
	EXPECT_EQ(t, (uint16_t)reg_get(&m, HvX64RegisterRax).lo, fsw(&m));
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterFpMmx0 + 1).lo, 0x8000000000000000);
	EXPECT_EQ(t, rip(&m) - CODE, 12);
	/* Instructions that do not wait. */
	EXPECT_EQ(t, run(&m, ASM("fnstcw 8(%%rsi); fnstsw 10(%%rsi); fnstenv 16(%%rsi)")), HALTED);
	EXPECT_EQ(t, load_le16(m.data + 8), 0x37b);
	EXPECT_EQ(t, load_le16(m.data + 10) & 0x8084, 0x8084);
	EXPECT_EQ(t, fsw(&m) & 0x8084, 0x0004);			  /* FNSTENV masks */
	EXPECT_EQ(t, run(&m, ASM("fldcw (%%rsi); nop")), HALTED); /* unmasks: pending again */
	EXPECT_EQ(t, fsw(&m) & 0x8084, 0x8084);
	EXPECT_EQ(t, run(&m, ASM("fwait")), X86_EXC_MF);
	EXPECT_EQ(t, run(&m, ASM("paddb %%mm0, %%mm1")), X86_EXC_MF);
	EXPECT_EQ(t, run(&m, ASM("cvtps2pi %%xmm0, %%mm1")), X86_EXC_MF);
	EXPECT_EQ(t, run(&m, ASM("paddb %%xmm0, %%xmm1; fxsave 64(%%rsi)")), HALTED);
	EXPECT_EQ(t, run(&m, ASM("fnclex; fwait")), HALTED);
	EXPECT_EQ(t, fsw(&m) & 0x80ff, 0);
	/* An unmasked invalid operation stores nothing. */
	store_le64(m.data + 16, 0x1122334455667788);
	EXPECT_EQ(t, run(&m, ASM("fninit; fldcw 2(%%rsi); fstpl 16(%%rsi); nop")), HALTED);
	EXPECT_EQ(t, load_le64(m.data + 16), 0x1122334455667788);
	EXPECT_EQ(t, fsw(&m), 0x8000 | 0xc1);
	EXPECT_EQ(t, run(&m, ASM("fnop")), X86_EXC_MF);
	machine_stop(&m);
}

static void test_availability(struct test *t)
{
	static const struct {
		uint64_t cr0, cr4; /* toggled */
		unsigned x87, wait, mmx, sse, fx, xs;
	} rows[] = {
		{0, 0, HALTED, HALTED, HALTED, HALTED, HALTED, HALTED},
		{X86_CR0_TS, 0, X86_EXC_NM, X86_EXC_NM, X86_EXC_NM, X86_EXC_NM, X86_EXC_NM,
		 X86_EXC_NM},
		{X86_CR0_TS | X86_CR0_MP, 0, X86_EXC_NM, HALTED, X86_EXC_NM, X86_EXC_NM, X86_EXC_NM,
		 X86_EXC_NM},
		{X86_CR0_EM, 0, X86_EXC_NM, HALTED, X86_EXC_UD, X86_EXC_UD, X86_EXC_NM, HALTED},
		{X86_CR0_EM | X86_CR0_TS, 0, X86_EXC_NM, X86_EXC_NM, X86_EXC_UD, X86_EXC_UD,
		 X86_EXC_NM, X86_EXC_NM},
		{0, X86_CR4_OSFXSR, HALTED, HALTED, HALTED, X86_EXC_UD, HALTED, HALTED},
		{0, X86_CR4_OSXSAVE, HALTED, HALTED, HALTED, HALTED, HALTED, X86_EXC_UD},
		{X86_CR0_TS, X86_CR4_OSXSAVE, X86_EXC_NM, X86_EXC_NM, X86_EXC_NM, X86_EXC_NM,
		 X86_EXC_NM, X86_EXC_UD},
	};
	struct machine m;

	machine_start(&m);
	for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
		reg_set(&m, HvX64RegisterCr0, CR0 ^ rows[n].cr0);
		reg_set(&m, HvX64RegisterCr4, CR4 ^ rows[n].cr4);
		EXPECT_EQ(t, run(&m, ASM("fninit")), rows[n].x87);
		EXPECT_EQ(t, run(&m, ASM("fnstsw %%ax")), rows[n].x87);
		EXPECT_EQ(t, run(&m, ASM("fldz")), rows[n].x87);
		EXPECT_EQ(t, run(&m, ASM("fwait")), rows[n].wait);
		EXPECT_EQ(t, run(&m, ASM("movq %%mm0, %%mm1")), rows[n].mmx);
		EXPECT_EQ(t, run(&m, ASM("emms")), rows[n].mmx);
		EXPECT_EQ(t, run(&m, ASM("movaps %%xmm0, %%xmm1")), rows[n].sse);
		EXPECT_EQ(t, run(&m, ASM("addps (%%rsi), %%xmm1")), rows[n].sse);
		EXPECT_EQ(t, run(&m, ASM("stmxcsr 16(%%rsi)")), rows[n].sse);
		EXPECT_EQ(t, run(&m, ASM("fxsave 64(%%rsi)")), rows[n].fx);
		EXPECT_EQ(t, run(&m, ASM("xsave 1024(%%rsi)")), rows[n].xs);
	}
	machine_stop(&m);
}

/* ---- Images ---- */

static const uint8_t pi80[10] = {0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40};

/* What an FNSTENV image says after FNINIT, FLDPI: @wide is the 32-bit form. */
static void check_environment(struct test *t, const uint8_t *p, bool wide)
{
	unsigned step = wide ? 4 : 2;

	EXPECT_EQ(t, load_le16(p), 0x37f);
	EXPECT_EQ(t, load_le16(p + step), 7 << 11);
	EXPECT_EQ(t, load_le16(p + step * 2), 0x3fff); /* R7 valid */
	if (wide) {
		EXPECT_EQ(t, load_le16(p + 2), 0xffff);
		EXPECT_EQ(t, load_le16(p + 6), 0xffff);
		EXPECT_EQ(t, load_le16(p + 10), 0xffff);
	}
	EXPECT_MEM(t, p + step * 7, pi80, 10);
}

static void test_fsave_layouts(struct test *t)
{
	struct machine m;

	machine_start(&m);
	memset(m.data, 0xee, 256);
	EXPECT_EQ(t, run(&m, ASM("fninit; fldpi; fnsave (%%rsi)")), HALTED);
	check_environment(t, m.data, true);
	EXPECT_EQ(t, load_le32(m.data + 12), CODE + 2);
	EXPECT_EQ(t, load_le16(m.data + 18), 0x1eb);
	EXPECT_EQ(t, m.data[108], 0xee);
	EXPECT_EQ(t, ftw(&m), 0); /* FNSAVE initializes */
	EXPECT_EQ(t, run(&m, ASM("frstor (%%rsi)")), HALTED);
	EXPECT_EQ(t, ftw(&m), 0x80);
	EXPECT_EQ(t, top(&m), 7);
	/* Compatibility mode: 32-bit, then 16-bit by prefix. */
	segment_set(&m, HvX64RegisterCs, 0xffffffff, 0x18, SEG_CODE32);
	memset(m.data, 0xee, 256);
	EXPECT_EQ(t, run(&m, BYTES(0xdb, 0xe3, 0xd9, 0xeb, 0xdd, 0x36)), HALTED);
	check_environment(t, m.data, true);
	EXPECT_EQ(t, load_le32(m.data + 12), CODE + 2);
	EXPECT_EQ(t, m.data[108], 0xee);
	memset(m.data, 0xee, 256);
	EXPECT_EQ(t, run(&m, BYTES(0xdb, 0xe3, 0xd9, 0xeb, 0x66, 0xdd, 0x36)), HALTED);
	check_environment(t, m.data, false);
	EXPECT_EQ(t, load_le16(m.data + 6), (CODE + 2) & 0xffff);
	EXPECT_EQ(t, m.data[94], 0xee);
	EXPECT_EQ(t, run(&m, BYTES(0xdb, 0xe3, 0x66, 0xdd, 0x26)), HALTED);
	EXPECT_EQ(t, ftw(&m), 0x80);
	machine_stop(&m);
}

static void test_fsave_real_mode(struct test *t)
{
	struct machine m;

	machine_start(&m);
	reg_set(&m, HvX64RegisterCr0, X86_CR0_ET | X86_CR0_NE);
	reg_set(&m, HvX64RegisterEfer, 0);
	for (uint32_t seg = HvX64RegisterEs; seg <= HvX64RegisterGs; seg++) {
		struct hv_x64_segment_register s = {.base = 0x10000,
						    .limit = 0xffff,
						    .selector = 0x1000,
						    .attributes =
							    seg == HvX64RegisterCs ? 0x9b : 0x93};
		struct hv_u128 v;

		memcpy(&v, &s, sizeof(v));
		emu_engine_ops.reg_set(m.vp, seg, &v);
	}
	/* fninit; fldpi; fnsave [0x100] at 1000:0000. */
	memset(m.ram + 0x10100, 0xee, 256);
	memcpy(m.ram + 0x10000,
	       (const uint8_t[]){0xdb, 0xe3, 0xd9, 0xeb, 0xdd, 0x36, 0x00, 0x01, 0xf4}, 9);
	reg_set(&m, HvX64RegisterRip, 0);
	{
		struct hv_run how = {.deadline_tsc = UINT64_MAX};
		struct hv_exit exit;

		emu_engine_ops.run(m.vp, &how, &exit);
		EXPECT_EQ(t, exit.kind, HV_EXIT_HALT);
	}
	check_environment(t, m.ram + 0x10100, false);
	EXPECT_EQ(t, load_le16(m.ram + 0x10106), 0x0002); /* linear 10002h */
	EXPECT_EQ(t, load_le16(m.ram + 0x10108), 0x1000 | 0x1eb);
	machine_stop(&m);
}

static void test_fxsave(struct test *t)
{
	struct machine m;
	struct hv_u128 v = {0x1111, 0x2222};

	machine_start(&m);
	memset(m.data, 0xee, 512);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0 + 9, &v);
	EXPECT_EQ(t, run(&m, ASM("fninit; fldpi; fxsave64 (%%rsi)")), HALTED);
	EXPECT_EQ(t, load_le16(m.data), 0x37f);
	EXPECT_EQ(t, m.data[4], 0x80);
	EXPECT_EQ(t, m.data[5], 0);
	EXPECT_EQ(t, load_le32(m.data + 24), 0x1f80);
	EXPECT_EQ(t, load_le32(m.data + 28), 0xffff);
	EXPECT_MEM(t, m.data + 32, pi80, 10);
	EXPECT_EQ(t, load_le64(m.data + 160 + 9 * 16), 0x1111);
	EXPECT_EQ(t, m.data[416], 0xee);
	EXPECT_EQ(t, m.data[511], 0xee);
	/* Reserved MXCSR bits, misalignment: nothing is loaded. */
	store_le32(m.data + 24, 0x11f80);
	store_le16(m.data, 0x27f);
	EXPECT_EQ(t, run(&m, ASM("fxrstor64 (%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterFpControlStatus).lo & 0xffff, 0x37f);
	store_le32(m.data + 24, 0x1f00);
	EXPECT_EQ(t, run(&m, ASM("fxrstor64 (%%rsi)")), HALTED);
	EXPECT_EQ(t, xmm_csr(&m), 0x1f00);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterFpControlStatus).lo & 0xffff, 0x27f);
	EXPECT_EQ(t, run(&m, ASM("fxsave64 8(%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, m.error, 0);
	EXPECT_EQ(t, run(&m, ASM("fxrstor64 8(%%rsi)")), X86_EXC_GP);
	machine_stop(&m);
}

static void test_fxsave_legacy_mode(struct test *t)
{
	struct machine m;

	machine_start(&m);
	segment_set(&m, HvX64RegisterCs, 0xffffffff, 0x18, SEG_CODE32);
	memset(m.data, 0xee, 512);
	EXPECT_EQ(t, run(&m, BYTES(0x0f, 0xae, 0x06)), HALTED); /* fxsave [esi] */
	EXPECT_EQ(t, load_le64(m.data + 160 + 7 * 16), 0);
	EXPECT_EQ(t, load_le64(m.data + 160 + 8 * 16), 0xeeeeeeeeeeeeeeee);
	machine_stop(&m);
}

static void test_xsave(struct test *t)
{
	struct machine m;
	uint8_t *area;

	machine_start(&m);
	area = m.data + 64;
	memset(m.data, 0xee, 1024);
	memset(area + 512, 0, 64);
	store_le64(area + 512, 4); /* a bit that is not requested stays */
	EXPECT_EQ(t,
		  run(&m, ASM("fninit; fldpi; mov $1, %%eax; xor %%edx, %%edx; xsave64 64(%%rsi)")),
		  HALTED);
	EXPECT_EQ(t, load_le64(area + 512), 5);
	EXPECT_EQ(t, load_le32(area + 24), 0xeeeeeeee);
	EXPECT_MEM(t, area + 32, pi80, 10);
	EXPECT_EQ(t, area[160], 0xee);
	memset(area + 512, 0, 8);
	EXPECT_EQ(t, run(&m, ASM("mov $-1, %%eax; mov %%eax, %%edx; xsaveopt64 64(%%rsi)")),
		  HALTED);
	EXPECT_EQ(t, load_le64(area + 512), 3);
	EXPECT_EQ(t, load_le32(area + 24), 0x1f80);
	EXPECT_EQ(t, area[160], 0);
	EXPECT_EQ(t, area[416], 0xee);
	EXPECT_EQ(t, run(&m, ASM("xsave64 16(%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("xrstor64 16(%%rsi)")), X86_EXC_GP);
	/* Across a page. */
	memset(m.data + 0xf40 + 512, 0, 64);
	EXPECT_EQ(t, run(&m, ASM("xsave64 0xf40(%%rsi)")), HALTED);
	EXPECT_EQ(t, load_le64(m.data + 0xf40 + 512), 3);
	EXPECT_MEM(t, m.data + 0xf40, area, 416);
	/* Into the hole: all or nothing. */
	memset(m.data + 0x1f40, 0xee, 0xc0);
	EXPECT_EQ(t, run(&m, ASM("xsave64 0x1f40(%%rsi)")), X86_EXC_PF);
	EXPECT_EQ(t, m.data[0x1f40], 0xee);
	machine_stop(&m);
}

static void test_xrstor(struct test *t)
{
	struct machine m;
	uint8_t *area;

	machine_start(&m);
	area = m.data + 64;
	EXPECT_EQ(t,
		  run(&m, ASM("fninit; fldpi; mov $3, %%eax; xor %%edx, %%edx; xsave64 64(%%rsi)")),
		  HALTED);
	memset(area + 160, 0x55, 256);
	EXPECT_EQ(t, run(&m, ASM("fninit; xrstor64 64(%%rsi)")), HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0 + 15).hi, 0x5555555555555555);
	EXPECT_EQ(t, ftw(&m), 0x80);
	/* A component that is absent is initialized; MXCSR is loaded all the same. */
	store_le64(area + 512, 0);
	store_le32(area + 24, 0x1fa0);
	EXPECT_EQ(t, run(&m, ASM("xrstor64 64(%%rsi)")), HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0 + 15).hi, 0);
	EXPECT_EQ(t, ftw(&m), 0);
	EXPECT_EQ(t, xmm_csr(&m), 0x1fa0);
	/* Header rules. */
	store_le64(area + 512, 4);
	EXPECT_EQ(t, run(&m, ASM("xrstor64 64(%%rsi)")), X86_EXC_GP);
	store_le64(area + 512, 3);
	store_le64(area + 520, UINT64_C(1) << 63);
	EXPECT_EQ(t, run(&m, ASM("xrstor64 64(%%rsi)")), X86_EXC_GP);
	store_le64(area + 520, 0);
	store_le64(area + 528, 1);
	EXPECT_EQ(t, run(&m, ASM("xrstor64 64(%%rsi)")), X86_EXC_GP);
	store_le64(area + 528, 0);
	store_le32(area + 24, 0x10000);
	EXPECT_EQ(t, run(&m, ASM("xrstor64 64(%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("mov $1, %%eax; xrstor64 64(%%rsi)")), HALTED);
	EXPECT_EQ(t, xmm_csr(&m), 0x1fa0);
	/* Not offered: compaction, AVX. */
	EXPECT_EQ(t, run(&m, ASM("xsavec64 64(%%rsi)")), X86_EXC_UD);
	EXPECT_EQ(t, run(&m, ASM("xsaves64 64(%%rsi)")), X86_EXC_UD);
	EXPECT_EQ(t, run(&m, ASM("vpaddb %%xmm0, %%xmm1, %%xmm2")), X86_EXC_UD);
	EXPECT_EQ(t, run(&m, ASM("vzeroupper")), X86_EXC_UD);
	machine_stop(&m);
}

/* ---- SSE ---- */

static void test_alignment(struct test *t)
{
	struct machine m;

	machine_start(&m);
	EXPECT_EQ(t, run(&m, ASM("movaps 8(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t, m.error, 0);
	EXPECT_EQ(t, run(&m, ASM("movdqa %%xmm0, 8(%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("movntdq %%xmm0, 8(%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("paddb 8(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("mulpd 8(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("pshufd $1, 8(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t,
		  run(&m, ASM("movups 8(%%rsi), %%xmm0; movdqu %%xmm0, 1(%%rsi); lddqu 3(%%rsi), "
			      "%%xmm1")),
		  HALTED);
	EXPECT_EQ(t,
		  run(&m, ASM("pcmpistri $0, 3(%%rsi), %%xmm0; addss 3(%%rsi), %%xmm0; cvtps2pd "
			      "1(%%rsi), %%xmm0")),
		  HALTED);
	EXPECT_EQ(t, run(&m, ASM("sha1msg1 8(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("sha256rnds2 %%xmm0, 8(%%rsi), %%xmm1")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("sha1rnds4 $1, 16(%%rsi), %%xmm1")), HALTED);
	/* Alignment comes before the page fault. */
	EXPECT_EQ(t, run(&m, ASM("sha1nexte 0x2008(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("movaps 0x2008(%%rsi), %%xmm0")), X86_EXC_GP);
	EXPECT_EQ(t, run(&m, ASM("movaps 0x2000(%%rsi), %%xmm0")), X86_EXC_PF);
	machine_stop(&m);
}

static void test_split_stores(struct test *t)
{
	struct machine m;
	struct hv_u128 ones = {UINT64_MAX, UINT64_MAX};

	machine_start(&m);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &ones);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0 + 1, &ones);
	EXPECT_EQ(t, run(&m, ASM("movups %%xmm0, 0x1ff8(%%rsi)")), X86_EXC_PF);
	EXPECT_EQ(t, load_le64(m.data + 0x1ff8), 0);
	EXPECT_EQ(t, run(&m, ASM("fninit; fldpi; fstpt 0x1ff8(%%rsi)")), X86_EXC_PF);
	EXPECT_EQ(t, load_le64(m.data + 0x1ff8), 0);
	EXPECT_EQ(t, top(&m), 7); /* not popped */
	EXPECT_EQ(t, run(&m, ASM("lea 0x1ff8(%%rsi), %%rdi; maskmovdqu %%xmm1, %%xmm0")),
		  X86_EXC_PF);
	EXPECT_EQ(t, load_le64(m.data + 0x1ff8), 0);
	EXPECT_EQ(t, run(&m, ASM("movups %%xmm0, 0xff8(%%rsi)")), HALTED);
	EXPECT_EQ(t, load_le64(m.data + 0xff8), UINT64_MAX);
	EXPECT_EQ(t, load_le64(m.data + 0x1000), UINT64_MAX);
	machine_stop(&m);
}

static void test_mxcsr(struct test *t)
{
	struct machine m;
	struct hv_u128 one = {0x3ff0000000000000, 0x3ff0000000000000};
	struct hv_u128 three = {0x4008000000000000, 0x4008000000000000};

	machine_start(&m);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &one);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0 + 1, &three);
	store_le32(m.data, 0x10000);
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr (%%rsi)")), X86_EXC_GP);
	EXPECT_EQ(t, xmm_csr(&m), 0x1f80);
	/* Rounding up: the guest's mode counts for the guest, and the host's stays the default. */
	store_le32(m.data, 0x5f80);
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr (%%rsi); divpd %%xmm1, %%xmm0")), HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0).lo, 0x3fd5555555555556);
	EXPECT_EQ(t, xmm_csr(&m), 0x5fa0);
	EXPECT_EQ(t, _mm_getcsr() & ~0x3fu, 0x1f80);
	store_le32(m.data, 0x1f80);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &one);
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr (%%rsi); divpd %%xmm1, %%xmm0; stmxcsr 4(%%rsi)")),
		  HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0).lo, 0x3fd5555555555555);
	EXPECT_EQ(t, load_le32(m.data + 4), 0x1fa0);
	/* The host's sticky flags are not the guest's. */
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr (%%rsi); addpd %%xmm1, %%xmm1; stmxcsr 4(%%rsi)")),
		  HALTED);
	EXPECT_EQ(t, load_le32(m.data + 4), 0x1f80);
	machine_stop(&m);
}

static void test_simd_unmasked(struct test *t)
{
	struct machine m;
	struct hv_u128 one = {0x3ff0000000000000, 0x3ff0000000000000};
	struct hv_u128 tiny = {0x0020000000000000, 0};
	struct hv_u128 half = {0x3fd0000000000000, 0};
	struct hv_u128 zero = {0, 0};

	machine_start(&m);
	store_le32(m.data, 0x1d80);		   /* zero divide */
	store_le32(m.data + 4, 0x1780);		   /* underflow */
	store_le32(m.data + 8, 0x1fa0 & ~0x1000u); /* precision, with its flag set already */
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &one);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0 + 1, &zero);
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr (%%rsi); divpd %%xmm1, %%xmm0")), X86_EXC_XM);
	EXPECT_EQ(t, rip(&m) - CODE, 3);
	EXPECT_EQ(t, xmm_csr(&m), 0x1d84);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0).lo, one.lo);
	reg_set(&m, HvX64RegisterCr4, CR4 & ~(uint64_t)X86_CR4_OSXMMEXCPT);
	EXPECT_EQ(t, run(&m, ASM("divpd %%xmm1, %%xmm0")), X86_EXC_UD);
	reg_set(&m, HvX64RegisterCr4, CR4);
	/* An exact denormal underflows only when unmasked. */
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &tiny);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0 + 1, &half);
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr 4(%%rsi); mulsd %%xmm1, %%xmm0")), X86_EXC_XM);
	EXPECT_EQ(t, xmm_csr(&m) & 0x10, 0x10);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0).lo, tiny.lo);
	store_le32(m.data, 0x1f80);
	EXPECT_EQ(t, run(&m, ASM("ldmxcsr (%%rsi); mulsd %%xmm1, %%xmm0")), HALTED);
	EXPECT_EQ(t, xmm_csr(&m), 0x1f80);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0).lo, 0x0008000000000000);
	/* A sticky flag does not hide a new unmasked exception. */
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &one);
	EXPECT_EQ(t,
		  run(&m, ASM("ldmxcsr 8(%%rsi); mov $3, %%eax; cvtsi2sd %%eax, %%xmm1; divsd "
			      "%%xmm1, %%xmm0")),
		  X86_EXC_XM);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterXmm0).lo, one.lo);
	machine_stop(&m);
}

static void test_mmx_state(struct test *t)
{
	struct machine m;

	machine_start(&m);
	EXPECT_EQ(t, run(&m, ASM("fninit; fldpi; pcmpeqd %%mm2, %%mm2; movd %%mm2, %%eax")),
		  HALTED);
	EXPECT_EQ(t, top(&m), 0);
	EXPECT_EQ(t, ftw(&m), 0xff);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterRax).lo, 0xffffffff);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterFpMmx0 + 2).lo, UINT64_MAX);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterFpMmx0 + 2).hi, 0xffff);
	EXPECT_EQ(t, run(&m, ASM("emms")), HALTED);
	EXPECT_EQ(t, ftw(&m), 0);
	machine_stop(&m);
}

static void test_string_lengths(struct test *t)
{
	struct machine m;
	struct hv_u128 set = {0x0807060504030201, 0x100f0e0d0c0b0a09};
	struct hv_u128 text = {0x0202020202010b0a, 0x0202020202020202};

	machine_start(&m);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0, &set);
	emu_engine_ops.reg_set(m.vp, HvX64RegisterXmm0 + 1, &text);
	/* The first byte of the text that is in the set. Only with REX.W do lengths of 64 bits
	 * count; they saturate. */
	EXPECT_EQ(
		t,
		run(&m,
		    ASM("mov $0x100000003, %%rax; mov %%rax, %%rdx; pcmpestri $0, %%xmm1, %%xmm0")),
		HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterRcx).lo, 2);
	EXPECT_EQ(t, run(&m, ASM(".byte 0x66, 0x48, 0x0f, 0x3a, 0x61, 0xc1, 0x00")), HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterRcx).lo, 0);
	EXPECT_EQ(t,
		  run(&m, ASM("mov $-0x100000000, %%rax; mov %%rax, %%rdx; pcmpestri $0, %%xmm1, "
			      "%%xmm0")),
		  HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterRcx).lo, 16);
	EXPECT_EQ(t, run(&m, ASM(".byte 0x66, 0x48, 0x0f, 0x3a, 0x61, 0xc1, 0x00")), HALTED);
	EXPECT_EQ(t, reg_get(&m, HvX64RegisterRcx).lo, 0);
	machine_stop(&m);
}

static void test_save_restore(struct test *t)
{
	struct machine a, b;
	static uint8_t buf[1 << 16];
	struct hv_u128 v = {0x1122334455667788, 0x99aabbccddeeff00};
	size_t bytes;

	machine_start(&a);
	machine_start(&b);
	emu_engine_ops.reg_set(a.vp, HvX64RegisterXmm0 + 11, &v);
	store_le32(a.data, 0x9fc0);
	EXPECT_EQ(t, run(&a, ASM("fninit; fldpi; fld1; ldmxcsr (%%rsi)")), HALTED);
	bytes = emu_engine_ops.save(a.vp, buf, sizeof(buf));
	EXPECT(t, bytes <= sizeof(buf));
	EXPECT(t, emu_engine_ops.restore(b.vp, buf, bytes));
	for (uint32_t name = HvX64RegisterXmm0; name <= HvX64RegisterXmmControlStatus; name++) {
		struct hv_u128 x = reg_get(&a, name), y = reg_get(&b, name);

		EXPECT_EQ(t, x.lo, y.lo);
		EXPECT_EQ(t, x.hi, y.hi);
	}
	EXPECT_EQ(t, run(&b, ASM("fstp %%st(0); fstpt 16(%%rsi)")), HALTED);
	EXPECT_MEM(t, b.data + 16, pi80, 10);
	machine_stop(&a);
	machine_stop(&b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_stack_faults),
		TEST(test_x87_unmasked),
		TEST(test_availability),
		TEST(test_fsave_layouts),
		TEST(test_fsave_real_mode),
		TEST(test_fxsave),
		TEST(test_fxsave_legacy_mode),
		TEST(test_xsave),
		TEST(test_xrstor),
		TEST(test_alignment),
		TEST(test_split_stores),
		TEST(test_mxcsr),
		TEST(test_simd_unmasked),
		TEST(test_mmx_state),
		TEST(test_string_lengths),
		TEST(test_save_restore),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
