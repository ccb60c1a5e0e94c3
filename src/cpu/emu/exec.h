/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer instructions: what lift_int.c and the exec_*.c files share. Each exec file finds handlers by operation, operand size and form;
 * NULL means that there is no such handler.
 */
#ifndef EMU_EXEC_H
#define EMU_EXEC_H

#include "core.h"
#include "flags.h"

/* Operand forms: r register, m memory, i immediate; destination first. */
enum emu_form {
	EMU_RR,
	EMU_RI,
	EMU_RM,
	EMU_MR,
	EMU_MI,
	EMU_FORMS,
};

/* Two-operand arithmetic; the first eight in the order of the encoding. */
enum emu_alu {
	EMU_ADD,
	EMU_OR,
	EMU_ADC,
	EMU_SBB,
	EMU_AND,
	EMU_SUB,
	EMU_XOR,
	EMU_CMP,
	EMU_TEST,
	EMU_ALU_OPS,
};

enum emu_unary {
	EMU_INC,
	EMU_DEC,
	EMU_NEG,
	EMU_NOT,
	EMU_UNARY_OPS,
};

enum emu_shift {
	EMU_ROL,
	EMU_ROR,
	EMU_RCL,
	EMU_RCR,
	EMU_SHL,
	EMU_SHR,
	EMU_SAR,
	EMU_SHIFT_OPS,
};

enum emu_bit {
	EMU_BT,
	EMU_BTS,
	EMU_BTR,
	EMU_BTC,
	EMU_BIT_OPS,
};

/* log2 of the operand size in bytes */
static inline unsigned emu_size_log(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

emu_fn *emu_find_alu(enum emu_alu op, unsigned log, enum emu_form form);
emu_fn *emu_find_unary(enum emu_unary op, unsigned log, bool memory);
emu_fn *emu_find_mov(unsigned log, enum emu_form form);
/* MOVZX, MOVSX, MOVSXD */
emu_fn *emu_find_extend(bool sign, unsigned to_log, unsigned from_log, bool memory);
emu_fn *emu_find_cmov(unsigned cc, unsigned log, bool memory);
emu_fn *emu_find_setcc(unsigned cc, bool memory);
emu_fn *emu_find_shift(enum emu_shift op, unsigned log, bool memory, bool by_cl);
emu_fn *emu_find_jcc(unsigned cc, bool long_mode);
/* rs: source register, or EMU_ATOMIC_IMM with imm. */
#define EMU_ATOMIC_IMM 0xffu
emu_fn *emu_find_locked_alu(enum emu_alu op, unsigned log);
emu_fn *emu_find_locked_unary(enum emu_unary op, unsigned log);
/* Memory bit operations; rs EMU_ATOMIC_IMM: bit number in imm. */
emu_fn *emu_find_bit(enum emu_bit op, unsigned log, bool memory, bool lock);

/* The part of a handler that is rarely needed, reached by a tail call so that the common part has no stack frame. */
#define EMU_SLOW_OP(name) static __attribute__((noinline, cold)) EMU_OP(name)

/* A handler */
#define EMU_OP(name) const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)

/* exec_mov.c */
emu_fn emu_op_mov_load_absolute, emu_op_mov_store_absolute;
emu_fn emu_op_lea64, emu_op_lea32, emu_op_lea16;
emu_fn emu_op_xchg_rr, emu_op_bswap32, emu_op_bswap64, emu_op_bswap16;
emu_fn emu_op_cbw, emu_op_cwde, emu_op_cdqe, emu_op_cwd, emu_op_cdq, emu_op_cqo;
emu_fn emu_op_lahf, emu_op_sahf, emu_op_clc, emu_op_stc, emu_op_cmc, emu_op_cld, emu_op_std,
	emu_op_salc;
emu_fn emu_op_movbe_load, emu_op_movbe_store, emu_op_xlat;
emu_fn emu_op_nop, emu_op_pause, emu_op_fence, emu_op_clflush, emu_op_ud, emu_op_too_long,
	emu_op_bound;

/* exec_stack.c */
emu_fn emu_op_push64_r, emu_op_push64_i, emu_op_pop64_r;
emu_fn emu_op_push_r, emu_op_push_i, emu_op_push_m, emu_op_pop_r, emu_op_pop_m;
emu_fn emu_op_pusha, emu_op_popa, emu_op_enter, emu_op_leave, emu_op_leave64;

/* exec_branch.c */
emu_fn emu_op_jmp64, emu_op_jmp_legacy, emu_op_call64, emu_op_call_legacy, emu_op_ret64, emu_op_ret;
emu_fn emu_op_jmp_r, emu_op_jmp_m, emu_op_call_r, emu_op_call_m;
emu_fn emu_op_loop, emu_op_loope, emu_op_loopne, emu_op_jcxz;

emu_fn emu_link_jump;
/* Goes on at the target of the direct jump @i of 64-bit code. */
EMU_INLINE const struct emu_insn *emu_jump_direct(struct emu_vp *vp, const struct emu_insn *i)
{
	const struct emu_block *b = (const struct emu_block *)(uintptr_t)i->aux;

	if (likely(b != NULL)) {
		return emu_enter(vp, b, vp->r[EMU_REG_BASE] + i->imm);
	}
	return emu_link_jump(vp, i);
}

/*
 * exec_fused.c: CMP or TEST and the Jcc behind it as one handler; both stay in their slots. The lifters leave EMU_FUSE_* in aux of the first and
 * the condition in rd of the second.
 */
#define EMU_FUSE(op, log, form) (1u | (unsigned)(op) << 1 | (log) << 5 | (unsigned)(form) << 7)
void emu_fuse(struct emu_insn *insns, uint32_t count);

/* exec_muldiv.c: operand in rs, or memory */
emu_fn *emu_find_muldiv(unsigned reg, unsigned log,
			bool memory); /* reg: MUL 4, IMUL 5, DIV 6, IDIV 7 */
emu_fn *emu_find_imul(unsigned log, bool memory, bool imm);
emu_fn emu_op_aaa, emu_op_aas, emu_op_aam, emu_op_aad, emu_op_daa, emu_op_das;

/* exec_bit.c */
enum emu_count {
	EMU_BSF,
	EMU_BSR,
	EMU_TZCNT,
	EMU_LZCNT,
	EMU_POPCNT,
	EMU_COUNT_OPS,
};
emu_fn *emu_find_count(enum emu_count op, unsigned log, bool memory);
emu_fn *emu_find_double_shift(bool left, unsigned log, bool memory, bool by_cl);
emu_fn *emu_find_crc32(unsigned from_log, bool memory);
emu_fn *emu_find_adx(bool overflow, unsigned log, bool memory);
/* exec_atomic.c */
emu_fn *emu_find_xchg(unsigned log);
emu_fn *emu_find_xadd(unsigned log, bool memory, bool lock);
emu_fn *emu_find_cmpxchg(unsigned log, bool memory, bool lock);
emu_fn emu_op_cmpxchg8b, emu_op_cmpxchg16b;

/* exec_string.c, io.c */
enum emu_string {
	EMU_MOVS,
	EMU_STOS,
	EMU_LODS,
	EMU_CMPS,
	EMU_SCAS,
	EMU_STRING_OPS,
};
emu_fn *emu_find_string(enum emu_string op);
emu_fn emu_op_in, emu_op_out, emu_op_ins, emu_op_outs;

/* A string instruction stops between two elements: registers are up to date, RIP stays. */
const struct emu_insn *emu_string_pause(struct emu_vp *vp, const struct emu_insn *i);
/* After an element of a repeated string instruction: takes one off the counter. True: the instruction is done. */
bool emu_string_count(struct emu_vp *vp, const struct emu_insn *i);
/* Moves RSI/RDI (@reg) by one element. */
void emu_string_advance(struct emu_vp *vp, const struct emu_insn *i, unsigned reg);
static inline uint64_t emu_asize_mask(const struct emu_insn *i)
{
	return i->asize == 8 ? ~UINT64_C(0) : i->asize == 4 ? 0xffffffffu : 0xffffu;
}

#endif
