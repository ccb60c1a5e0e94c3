/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System instructions: what lift_sys.c and the exec_*.c files of the system part share. Operands as the lifter leaves them:
 *   rd   general register, or EMU_SYS_MEMORY: the memory operand
 *   rs   segment, control or debug register
 *   imm  immediate; far pointers: offset, with the selector in aux
 * Handlers that have to take the address of a local return i + 1 instead of EMU_NEXT: they cannot make a tail call.
 */
#ifndef EMU_EXEC_SYS_H
#define EMU_EXEC_SYS_H

#include "control.h"
#include "flags.h"
#include "mem.h"
#include "segment.h"

#define EMU_SYS_MEMORY 0xffu

static inline const struct emu_insn *emu_gp(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise_error(vp, X86_EXC_GP, 0);
	return emu_leave(vp, i);
}

static inline const struct emu_insn *emu_undefined(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise(vp, X86_EXC_UD);
	return emu_leave(vp, i);
}

/* The instruction retired after it moved execution to @rip, maybe in another mode. */
static inline const struct emu_insn *emu_end_at(struct emu_vp *vp, const struct emu_insn *i,
						uint64_t rip)
{
	const struct emu_insn *next = emu_end(vp, i);

	vp->rip = rip;
	return next;
}

/* exec_segment.c */
emu_fn emu_op_mov_from_sreg, emu_op_mov_to_sreg, emu_op_push_sreg, emu_op_pop_sreg,
	emu_op_load_pointer;
emu_fn emu_op_lar, emu_op_lsl, emu_op_verr, emu_op_verw, emu_op_arpl;
emu_fn emu_op_sgdt, emu_op_sidt, emu_op_lgdt, emu_op_lidt, emu_op_sldt, emu_op_str, emu_op_lldt,
	emu_op_ltr;
emu_fn emu_op_swapgs, emu_op_rdbase, emu_op_wrbase;

/* exec_far.c; rs of the software interrupts: vector */
emu_fn emu_op_far_jump, emu_op_far_jump_m, emu_op_far_call, emu_op_far_call_m, emu_op_far_return,
	emu_op_iret;
emu_fn emu_op_int, emu_op_int3, emu_op_int1, emu_op_into;
emu_fn emu_op_syscall, emu_op_sysret, emu_op_sysenter, emu_op_sysexit;

/* exec_control.c */
emu_fn emu_op_mov_from_cr, emu_op_mov_to_cr, emu_op_mov_from_dr, emu_op_mov_to_dr, emu_op_clts,
	emu_op_smsw, emu_op_lmsw;
emu_fn emu_op_rdmsr, emu_op_wrmsr, emu_op_cpuid, emu_op_rdtsc, emu_op_rdtscp, emu_op_rdpid,
	emu_op_rdpmc;
emu_fn emu_op_xgetbv, emu_op_xsetbv, emu_op_hypercall, emu_op_hlt, emu_op_cache, emu_op_invlpg,
	emu_op_invpcid;
emu_fn emu_op_cli, emu_op_sti, emu_op_clac, emu_op_stac, emu_op_pushf, emu_op_popf;

/* exec_random.c */
emu_fn emu_op_rdrand, emu_op_rdseed;

#endif
