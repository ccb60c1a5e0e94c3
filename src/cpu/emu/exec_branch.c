/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near jumps, calls and returns. A direct jump within a page of 64-bit code keeps a link to the block it leads to (aux); all
 * others go through the TLB and the block hash, which stays right whatever happens to the page tables.
 *
 * imm of a direct jump is the target counted from the block's first instruction. osize is the size of the instruction pointer.
 */
#define EMU_HOT
#include "exec.h"

static emu_fn call64_far, jmp64_far;

static uint64_t truncate(uint64_t rip, unsigned osize)
{
	return osize == 8 ? rip : osize == 4 ? (uint32_t)rip : (uint16_t)rip;
}

/* Is @rip good for a near jump? */
static bool target_good(struct emu_vp *vp, uint64_t rip)
{
	if (vp->mode == EMU_MODE_64 ? emu_canonical(rip) : rip <= vp->seg[X86_CS].limit) {
		return true;
	}
	return emu_raise_error(vp, X86_EXC_GP, 0);
}

/*
 * Find the block and remember it. JMP and CALL into another page get a handler that looks at that page first.
 */
EMU_OP(emu_link_jump)
{
	uint64_t from = emu_insn_rip(vp, i), rip = vp->r[EMU_REG_BASE] + i->imm;
	struct emu_insn *self = (struct emu_insn *)(uintptr_t)i;
	const struct emu_block *b = emu_block_in(vp, rip, EMU_MODE_64);

	if (b == NULL) {
		vp->rip = rip;
		return NULL;
	}
	if (((from ^ rip) & EMU_PAGE_MASK) == 0) {
		self->aux = (uintptr_t)b;
	} else if (self->fn == emu_op_call64 || self->fn == call64_far) {
		self->fn = call64_far;
		self->aux = (uintptr_t)b;
	} else if (self->fn == emu_op_jmp64 || self->fn == jmp64_far) {
		self->fn = jmp64_far;
		self->aux = (uintptr_t)b;
	}
	return emu_enter(vp, b, rip);
}

/*
 * Legacy modes: the target wraps to the operand size and has to lie within the segment. With 32 bits a target in the same page is remembered. A
 * conditional jump that is taken leaves the rest of its block (disp) uncounted; one that faults does not.
 */
static __attribute__((noinline)) EMU_OP(link_legacy)
{
	uint64_t whole = vp->r[EMU_REG_BASE] + i->imm, rip = truncate(whole, i->osize);
	uint64_t from = emu_code_address(vp, emu_insn_rip(vp, i));
	const struct emu_block *b;

	if (!target_good(vp, rip)) {
		return emu_leave(vp, i);
	}
	vp->budget += i->disp;
	b = emu_block_at(vp, rip);
	if (b == NULL) {
		vp->rip = rip;
		return NULL;
	}
	if (i->osize == 4 && whole == rip &&
	    ((from ^ emu_code_address(vp, rip)) & EMU_PAGE_MASK) == 0) {
		((struct emu_insn *)(uintptr_t)i)->aux = (uintptr_t)b;
	}
	return emu_enter(vp, b, rip);
}

EMU_INLINE const struct emu_insn *jump_legacy(struct emu_vp *vp, const struct emu_insn *i)
{
	const struct emu_block *b = (const struct emu_block *)(uintptr_t)i->aux;
	uint64_t rip = vp->r[EMU_REG_BASE] + i->imm, limit = vp->seg[X86_CS].limit;

	if (likely(b != NULL && rip <= limit && rip + b->bytes - 1 <= limit)) {
		vp->budget += i->disp;
		return emu_enter(vp, b, rip);
	}
	return link_legacy(vp, i);
}

EMU_OP(emu_op_jmp64)
{
	return emu_jump_direct(vp, i);
}

/* Into another page: where it leads is remembered too, but the page may be mapped elsewhere by now. */
EMU_INLINE const struct emu_insn *jump_far(struct emu_vp *vp, const struct emu_insn *i)
{
	const struct emu_block *b = (const struct emu_block *)(uintptr_t)i->aux;
	uint64_t rip = vp->r[EMU_REG_BASE] + i->imm;
	const struct emu_tlb_entry *e = emu_tlb_slot(vp, rip);

	if (likely(b != NULL && e->tag_x == (rip & EMU_PAGE_MASK) && e->gpn == b->gpn)) {
		return emu_enter(vp, b, rip);
	}
	return emu_link_jump(vp, i);
}

static EMU_OP(jmp64_far)
{
	return jump_far(vp, i);
}

/* End of a block without a jump; imm is its length. */
EMU_OP(emu_op_next)
{
	return likely(vp->mode == EMU_MODE_64) ? emu_jump_direct(vp, i) : jump_legacy(vp, i);
}

EMU_OP(emu_op_jmp_legacy)
{
	return jump_legacy(vp, i);
}

#define DEFINE_JCC(cc)                                                                             \
	static EMU_OP(j_##cc##_64)                                                                 \
	{                                                                                          \
		if (emu_condition(vp, cc)) {                                                       \
			vp->budget += i->disp;                                                     \
			return emu_jump_direct(vp, i);                                             \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(j_##cc##_legacy)                                                             \
	{                                                                                          \
		if (emu_condition(vp, cc)) {                                                       \
			return jump_legacy(vp, i);                                                 \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_JCC(0)
DEFINE_JCC(1)
DEFINE_JCC(2)
DEFINE_JCC(3)
DEFINE_JCC(4)
DEFINE_JCC(5)
DEFINE_JCC(6)
DEFINE_JCC(7)
DEFINE_JCC(8)
DEFINE_JCC(9)
DEFINE_JCC(10)
DEFINE_JCC(11)
DEFINE_JCC(12)
DEFINE_JCC(13)
DEFINE_JCC(14)
DEFINE_JCC(15)

#define JCC_FORMS(cc)                                                                              \
	{                                                                                          \
		j_##cc##_legacy, j_##cc##_64                                                       \
	}

emu_fn *emu_find_jcc(unsigned cc, bool long_mode)
{
	static emu_fn *const table[16][2] = {
		JCC_FORMS(0),  JCC_FORMS(1),  JCC_FORMS(2),  JCC_FORMS(3),
		JCC_FORMS(4),  JCC_FORMS(5),  JCC_FORMS(6),  JCC_FORMS(7),
		JCC_FORMS(8),  JCC_FORMS(9),  JCC_FORMS(10), JCC_FORMS(11),
		JCC_FORMS(12), JCC_FORMS(13), JCC_FORMS(14), JCC_FORMS(15),
	};

	return table[cc][long_mode];
}

/* ---- LOOP, JCXZ: counter size in asize ---- */

static EMU_OP(counted_jump)
{
	if (vp->mode == EMU_MODE_64) {
		vp->budget += i->disp;
		return emu_jump_direct(vp, i);
	}
	return jump_legacy(vp, i);
}

static uint64_t counter(const struct emu_vp *vp, const struct emu_insn *i)
{
	return vp->r[X86_RCX] & emu_asize_mask(i);
}

static void counter_write(struct emu_vp *vp, const struct emu_insn *i, uint64_t value)
{
	vp->r[X86_RCX] = i->asize == 2	 ? (vp->r[X86_RCX] & ~UINT64_C(0xffff)) | (uint16_t)value
			 : i->asize == 4 ? (uint32_t)value
					 : value;
}

static EMU_OP(loop_if)
{
	counter_write(vp, i, counter(vp, i) - 1);
	EMU_NEXT(vp, i);
}

/* A jump beyond the segment faults with the counter as it was. */
static EMU_OP(loop_taken)
{
	uint64_t rip = truncate(vp->r[EMU_REG_BASE] + i->imm, i->osize);

	if (vp->mode != EMU_MODE_64 && !target_good(vp, rip)) {
		return emu_leave(vp, i);
	}
	counter_write(vp, i, counter(vp, i) - 1);
	vp->budget += i->disp;
	return vp->mode == EMU_MODE_64 ? emu_jump_direct(vp, i) : emu_goto_inline(vp, rip);
}

EMU_OP(emu_op_loop)
{
	return counter(vp, i) != 1 ? loop_taken(vp, i) : loop_if(vp, i);
}

EMU_OP(emu_op_loope)
{
	return counter(vp, i) != 1 && emu_zf(vp) ? loop_taken(vp, i) : loop_if(vp, i);
}

EMU_OP(emu_op_loopne)
{
	return counter(vp, i) != 1 && !emu_zf(vp) ? loop_taken(vp, i) : loop_if(vp, i);
}

EMU_OP(emu_op_jcxz)
{
	if (counter(vp, i) == 0) {
		return counted_jump(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* ---- CALL and RET ---- */

/* Pushes the return address without a question; false: emu_push() is needed. */
EMU_INLINE bool push_quick(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t sp = vp->r[X86_RSP] - 8;
	struct emu_u64 *p = emu_fast_write(vp, sp, 8);

	if (unlikely(p == NULL)) {
		return false;
	}
	p->v = vp->r[EMU_REG_BASE] + i->offset + i->bytes;
	vp->r[X86_RSP] = sp;
	return true;
}

EMU_SLOW_OP(call64_slow)
{
	if (!emu_push(vp, 8, vp->r[EMU_REG_BASE] + i->offset + i->bytes)) {
		return emu_leave(vp, i);
	}
	return emu_goto_in(vp, vp->r[EMU_REG_BASE] + i->imm, EMU_MODE_64);
}

EMU_OP(emu_op_call64)
{
	if (unlikely(!push_quick(vp, i))) {
		return call64_slow(vp, i);
	}
	return emu_jump_direct(vp, i);
}

static EMU_OP(call64_far)
{
	if (unlikely(!push_quick(vp, i))) {
		return call64_slow(vp, i);
	}
	return jump_far(vp, i);
}

EMU_OP(emu_op_call_legacy)
{
	uint64_t rip = truncate(vp->r[EMU_REG_BASE] + i->imm, i->osize);

	if (!target_good(vp, rip) || !emu_push(vp, i->osize, emu_insn_next_rip(vp, i))) {
		return emu_leave(vp, i);
	}
	return emu_goto_inline(vp, rip);
}

EMU_SLOW_OP(ret64_slow)
{
	uint64_t sp = vp->r[X86_RSP];

	if (!emu_stack_load(vp, 0, 8)) {
		return emu_leave(vp, i);
	}
	if (!emu_canonical(vp->slow)) {
		emu_raise_error(vp, X86_EXC_GP, 0);
		return emu_leave(vp, i);
	}
	vp->r[X86_RSP] = sp + 8 + i->imm;
	return emu_goto_in(vp, vp->slow, EMU_MODE_64);
}

/* 64-bit RET; imm bytes of arguments go. A block that is at hand is at a canonical address. */
EMU_OP(emu_op_ret64)
{
	uint64_t sp = vp->r[X86_RSP];
	const struct emu_u64 *p = emu_fast_read(vp, sp, 8);
	const struct emu_block *b;
	uint64_t rip;

	if (unlikely(p == NULL)) {
		return ret64_slow(vp, i);
	}
	rip = p->v;
	b = emu_block_in(vp, rip, EMU_MODE_64);
	if (unlikely(b == NULL)) {
		return ret64_slow(vp, i);
	}
	vp->r[X86_RSP] = sp + 8 + i->imm;
	return emu_enter(vp, b, rip);
}

EMU_OP(emu_op_ret)
{
	if (!emu_stack_load(vp, 0, i->osize) || !target_good(vp, vp->slow)) {
		return emu_leave(vp, i);
	}
	emu_sp_set(vp, vp->r[X86_RSP] + i->osize + i->imm);
	return emu_goto_inline(vp, vp->slow);
}

/* ---- Indirect ---- */

EMU_OP(emu_op_jmp_r)
{
	uint64_t rip = truncate(vp->r[i->rs], i->osize);

	if (!target_good(vp, rip)) {
		return emu_leave(vp, i);
	}
	return emu_goto_inline(vp, rip);
}

/* Target of the memory operand into vp->slow. */
static bool load_target(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t la;

	if (!emu_address(vp, i, i->osize, HV_ACCESS_READ, &la)) {
		return false;
	}
	return emu_load_slow(vp, la, i->osize) && target_good(vp, vp->slow);
}

EMU_OP(emu_op_jmp_m)
{
	if (!load_target(vp, i)) {
		return emu_leave(vp, i);
	}
	return emu_goto_inline(vp, vp->slow);
}

EMU_OP(emu_op_call_r)
{
	uint64_t rip = truncate(vp->r[i->rs], i->osize);

	if (!target_good(vp, rip) || !emu_push(vp, i->osize, emu_insn_next_rip(vp, i))) {
		return emu_leave(vp, i);
	}
	return emu_goto_inline(vp, rip);
}

EMU_OP(emu_op_call_m)
{
	uint64_t rip;

	if (!load_target(vp, i)) {
		return emu_leave(vp, i);
	}
	rip = vp->slow;
	if (!emu_push(vp, i->osize, emu_insn_next_rip(vp, i))) {
		return emu_leave(vp, i);
	}
	return emu_goto_inline(vp, rip);
}
