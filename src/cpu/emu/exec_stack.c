/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, POP, PUSHA, POPA, ENTER, LEAVE. The 64-bit forms have fast paths. */
#define EMU_HOT
#include "exec.h"

EMU_INLINE bool push_quick(struct emu_vp *vp, uint64_t value)
{
	uint64_t sp = vp->r[X86_RSP] - 8;
	struct emu_u64 *p = emu_fast_write(vp, sp, 8);

	if (unlikely(p == NULL)) {
		return false;
	}
	p->v = value;
	vp->r[X86_RSP] = sp;
	return true;
}

EMU_OP(emu_op_push64_r)
{
	if (unlikely(!push_quick(vp, vp->r[i->rs]))) {
		return emu_op_push_r(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_push64_i)
{
	if (unlikely(!push_quick(vp, i->imm))) {
		return emu_op_push_i(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_pop64_r)
{
	uint64_t sp = vp->r[X86_RSP], value;
	const struct emu_u64 *p = emu_fast_read(vp, sp, 8);

	if (unlikely(p == NULL)) {
		return emu_op_pop_r(vp, i);
	}
	value = p->v;
	vp->r[X86_RSP] = sp + 8;
	vp->r[i->rd] = value;
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_push_r)
{
	if (!emu_push(vp, i->osize, vp->r[i->rs])) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_push_i)
{
	if (!emu_push(vp, i->osize, i->imm)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_push_m)
{
	uint64_t la;

	if (!emu_address(vp, i, i->osize, HV_ACCESS_READ, &la) ||
	    !emu_load_slow(vp, la, i->osize) || !emu_push(vp, i->osize, vp->slow)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static void write_reg(struct emu_vp *vp, unsigned n, unsigned bytes, uint64_t value)
{
	if (bytes == 2) {
		emu_reg_write(vp, 16, n, value);
	} else {
		vp->r[n] = bytes == 4 ? (uint32_t)value : value;
	}
}

EMU_OP(emu_op_pop_r)
{
	if (!emu_pop(vp, i->osize)) {
		return emu_leave(vp, i);
	}
	write_reg(vp, i->rd, i->osize, vp->slow);
	EMU_NEXT(vp, i);
}

/* An address that uses RSP uses it after the increment. */
EMU_OP(emu_op_pop_m)
{
	uint64_t before = vp->r[X86_RSP], value, la;

	if (!emu_pop(vp, i->osize)) {
		return emu_leave(vp, i);
	}
	value = vp->slow;
	if (!emu_address(vp, i, i->osize, HV_ACCESS_WRITE, &la) ||
	    !emu_store_slow(vp, la, i->osize, value)) {
		vp->r[X86_RSP] = before;
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* Nothing is written before the whole range is known to be good. */
EMU_OP(emu_op_pusha)
{
	uint64_t before = vp->r[X86_RSP];

	if (!emu_stack_address(vp, before - 8u * i->osize, i->osize, HV_ACCESS_WRITE) ||
	    !emu_probe(vp, vp->slow, 8u * i->osize, HV_ACCESS_WRITE)) {
		return emu_leave(vp, i);
	}
	for (unsigned n = X86_RAX; n <= X86_RDI; n++) {
		if (!emu_push(vp, i->osize, n == X86_RSP ? before : vp->r[n])) {
			vp->r[X86_RSP] = before;
			return emu_leave(vp, i);
		}
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_popa)
{
	uint64_t sp = vp->r[X86_RSP];

	/* All eight words first; the registers change when nothing can fault any more. */
	for (unsigned n = 0; n < 8; n++) {
		if (!emu_stack_load(vp, (uint64_t)n * i->osize, i->osize)) {
			return emu_leave(vp, i);
		}
	}
	vp->replay_next = 0;
	for (unsigned n = 0; n < 8; n++) {
		if (!emu_stack_load(vp, (uint64_t)n * i->osize, i->osize)) {
			return emu_leave(vp, i);
		}
		if (7 - n != X86_RSP) {
			write_reg(vp, 7 - n, i->osize, vp->slow);
		}
	}
	emu_sp_set(vp, sp + 8u * i->osize);
	EMU_NEXT(vp, i);
}

/* One step of ENTER: copies the frame pointer at RBP - @offset. */
static bool enter_copy(struct emu_vp *vp, const struct emu_insn *i, uint64_t offset)
{
	return emu_stack_address(vp, vp->r[X86_RBP] - offset, i->osize, HV_ACCESS_READ) &&
	       emu_load_slow(vp, vp->slow, i->osize) && emu_push(vp, i->osize, vp->slow);
}

/* imm: bytes of locals, aux: nesting level. RBP changes last, so that a fault in between starts over. */
EMU_OP(emu_op_enter)
{
	uint64_t before = vp->r[X86_RSP], frame, level = i->aux & 31, mask = emu_sp_mask(vp);
	bool good = emu_push(vp, i->osize, vp->r[X86_RBP]);

	frame = vp->r[X86_RSP];
	for (uint64_t n = 1; good && n < level; n++) {
		good = enter_copy(vp, i, n * i->osize);
	}
	if (good && level > 0) {
		good = emu_push(vp, i->osize, frame);
	}
	if (good) {
		uint64_t sp = vp->r[X86_RSP] - i->imm;

		/* The new top of stack has to be writable. */
		good = emu_stack_address(vp, sp, 1, HV_ACCESS_WRITE) &&
		       emu_probe(vp, vp->slow, 1, HV_ACCESS_WRITE);
		if (good) {
			emu_sp_set(vp, sp);
			vp->r[X86_RBP] =
				mask == 0xffffu || i->osize == 2
					? (vp->r[X86_RBP] & ~UINT64_C(0xffff)) | (frame & 0xffff)
					: frame & mask;
			EMU_NEXT(vp, i);
		}
	}
	vp->r[X86_RSP] = before;
	return emu_leave(vp, i);
}

EMU_OP(emu_op_leave64)
{
	uint64_t bp = vp->r[X86_RBP];
	const struct emu_u64 *p = emu_fast_read(vp, bp, 8);

	if (likely(p != NULL)) {
		vp->r[X86_RBP] = p->v;
		vp->r[X86_RSP] = bp + 8;
		EMU_NEXT(vp, i);
	}
	return emu_op_leave(vp, i);
}

EMU_OP(emu_op_leave)
{
	uint64_t before = vp->r[X86_RSP];

	emu_sp_set(vp, vp->r[X86_RBP]);
	if (!emu_pop(vp, i->osize)) {
		vp->r[X86_RSP] = before;
		return emu_leave(vp, i);
	}
	write_reg(vp, X86_RBP, i->osize, vp->slow);
	EMU_NEXT(vp, i);
}
