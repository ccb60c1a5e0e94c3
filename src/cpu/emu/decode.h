/* SPDX-License-Identifier: Apache-2.0 */
/* What decode.c gives to the lifters. */
#ifndef EMU_DECODE_H
#define EMU_DECODE_H

#include <Zydis/Zydis.h>

#include "vp.h"

struct emu_decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *code; /* the instruction's bytes */
	enum emu_mode mode;
	struct emu_vp *vp;
	const ZydisDecodedOperand *mem; /* the explicit memory operand, or NULL */
};

/* Index into vp->r, byte offset for 8-bit registers, or xmm/mm/st/seg/cr/dr number of a Zydis register. */
uint8_t emu_reg_number(ZydisRegister reg);

/*
 * Who claims what. Integer: everything that user code computes, moves, jumps (near) and loops with, IN/OUT/INS/OUTS, LAHF/SAHF, CLC..STD,
 * NOPs, fences, PAUSE, CLFLUSH, UD0-2. System: RDRAND/RDSEED, all that touches segment registers (MOV/PUSH/POP Sreg, LDS.., far transfers),
 * PUSHF/POPF, CLI/STI, INT*, IRET, HLT, RDTSC/RDTSCP/RDPID/RDPMC, CPUID, MSRs, control and debug registers, descriptor tables,
 * SYSCALL.., INVLPG.., VMCALL/VMMCALL, MONITOR/MWAIT, ARPL/LAR/LSL/VERR, SMSW, RDFSBASE.., WBINVD, SWAPGS, CLAC/STAC.
 */
bool emu_lift_int(const struct emu_decoded *d, struct emu_insn *i); /* lift_int.c */
bool emu_lift_bmi(const struct emu_decoded *d,
		  struct emu_insn *i); /* exec_bmi.c: BMI1, BMI2, asked by the integer lifter */
bool emu_lift_sys(const struct emu_decoded *d, struct emu_insn *i); /* lift_sys.c */
bool emu_lift_x87(const struct emu_decoded *d, struct emu_insn *i); /* lift_x87.c */
bool emu_lift_simd(
	const struct emu_decoded *d,
	struct emu_insn *i); /* lift_simd.c: MMX, SSE.., AES, PCLMUL, FXSAVE, XSAVE, LDMXCSR */

#endif
