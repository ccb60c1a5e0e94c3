/* SPDX-License-Identifier: Apache-2.0 */
/* x87: what lift_x87.c, exec_x87*.c, exec_mmx.c and exec_xsave.c share. */
#ifndef EMU_X87_H
#define EMU_X87_H

#include "fpu.h"
#include "mem.h"
#include "vp.h"

#define X87_FSW_IE 0x0001u
#define X87_FSW_DE 0x0002u
#define X87_FSW_ZE 0x0004u
#define X87_FSW_OE 0x0008u
#define X87_FSW_UE 0x0010u
#define X87_FSW_PE 0x0020u
#define X87_FSW_SF 0x0040u
#define X87_FSW_ES 0x0080u
#define X87_FSW_C0 0x0100u
#define X87_FSW_C1 0x0200u
#define X87_FSW_C2 0x0400u
#define X87_FSW_C3 0x4000u
#define X87_FSW_TOP 0x3800u
#define X87_FSW_TOP_SHIFT 11
#define X87_FSW_B 0x8000u
#define X87_EXCEPTIONS 0x003fu /* IE..PE, the same bits in FSW (flags) and FCW (masks) */
#define X87_FCW_RESET 0x0040u
#define X87_FCW_INIT 0x037fu
#define X87_FCW_WRITABLE 0x1f3fu
#define X87_FCW_FIXED 0x0040u

/* The FXSAVE area; ST order, not physical order. */
struct x87_image {
	uint16_t fcw;
	uint16_t fsw;
	uint8_t ftw;
	uint8_t zero;
	uint16_t fop;
	uint64_t fip;
	uint64_t fdp;
	uint32_t mxcsr;
	uint32_t mxcsr_mask;
	uint8_t st[8][16];
	union emu_xmm xmm[16];
	uint8_t unused[96];
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct x87_image) == 512, "FXSAVE area");

static inline unsigned x87_top(const struct emu_fpu *fpu)
{
	return fpu->fsw >> X87_FSW_TOP_SHIFT & 7;
}

/* Sets ES and B exactly when an unmasked exception flag is set. */
static inline void x87_summarize(struct emu_fpu *fpu)
{
	fpu->fsw &= (uint16_t) ~(X87_FSW_ES | X87_FSW_B);
	if (fpu->fsw & ~fpu->fcw & X87_EXCEPTIONS) {
		fpu->fsw |= X87_FSW_ES | X87_FSW_B;
	}
}

/* True when an x87 (or MMX) instruction that waits must fault: device not available, or an
 * exception is pending. */
static inline bool x87_blocked(const struct emu_vp *vp)
{
	return unlikely((vp->cr0 & (X86_CR0_EM | X86_CR0_TS)) | (vp->fpu.fsw & X87_FSW_ES));
}

/* The same for those that do not wait. */
static inline bool x87_unavailable(const struct emu_vp *vp)
{
	return unlikely(vp->cr0 & (X86_CR0_EM | X86_CR0_TS));
}

/* Leaves with the fault that x87_blocked() or x87_unavailable() found. */
const struct emu_insn *x87_refuse(struct emu_vp *vp, const struct emu_insn *i);

void x87_init(struct emu_fpu *fpu); /* FNINIT */
/* ST order <-> physical order. */
void x87_st_get(const struct emu_fpu *fpu, uint8_t st[8][16]);
void x87_st_set(struct emu_fpu *fpu, const uint8_t st[8][16]);

/* The host's code for register form (@opcode D8..DF, @modrm C0..FF) and memory form (@reg 0..7,
 * operand at %rdx). */
unsigned x87_stub_index(uint8_t opcode, uint8_t modrm);
uint64_t x87_stub_reg_index(unsigned index);
uint64_t x87_stub_mem(uint8_t opcode, uint8_t reg);

/* FDP and its selector for an operand at linear address @la. */
void x87_data_pointer_set(struct emu_vp *vp, const struct emu_insn *i, uint64_t la);

/* Operations: @i->aux is the host's code, @i->imm the value for FOP, @i->rs the operand's bytes. */
emu_fn x87_op_reg;   /* registers only */
emu_fn x87_op_flags; /* uses or sets EFLAGS: FCMOVcc, FCOMI.. */
emu_fn x87_op_load;  /* memory source */
emu_fn x87_op_store; /* memory destination */

/*
 * The same for common operations, exec_x87_fast.c. Register forms: @i->rs is the number of ST(i),
 * @i->disp the index of the host's code for ST(1) in its place, @i->rd how often to pop
 * (comparisons, stores).
 */
emu_fn x87_fast_arith_st0; /* ST0 = ST0 op ST(i) */
emu_fn x87_fast_arith_sti; /* ST(i) = ST(i) op ST0 */
emu_fn x87_fast_arith_sti_pop;
emu_fn x87_fast_compare;
emu_fn x87_fast_compare_flags; /* FCOMI.. */
emu_fn x87_fast_exchange;
emu_fn x87_fast_store_sti;
emu_fn x87_fast_load_sti;
emu_fn x87_fast_constant; /* FLD1.. */
emu_fn x87_fast_unary;	  /* FCHS, FABS, FSQRT, FRNDINT */
emu_fn x87_fast_examine;  /* FTST, FXAM */
emu_fn x87_fast_arith_mem;
emu_fn x87_fast_compare_mem;
emu_fn x87_fast_compare_mem_pop;
emu_fn x87_fast_load;
emu_fn x87_fast_load80;
emu_fn x87_fast_store;

/* Control instructions, exec_x87_control.c. @i->rs: bytes of the environment or state image. */
emu_fn x87_fwait;
emu_fn x87_fnop;
emu_fn x87_nop8087; /* FENI, FDISI, FSETPM: not even a wait */
emu_fn x87_fnclex;
emu_fn x87_fninit;
emu_fn x87_fnstcw;
emu_fn x87_fldcw;
emu_fn x87_fnstsw_ax;
emu_fn x87_fnstsw_mem;
emu_fn x87_fnstenv;
emu_fn x87_fldenv;
emu_fn x87_fnsave;
emu_fn x87_frstor;

#endif
