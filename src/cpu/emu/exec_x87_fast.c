/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 operations that programs use most, without moving the whole state: the operands alone go
 * through the host's stack. Only when all exceptions are masked and no register is in the way
 * (stack faults); everything else is exec_x87.c's.
 *
 * The host's exception flags pile up, but are always a subset of the guest's: since nothing is
 * unmasked, the guest's new flags are then the union. Outside of here the host's control word is
 * the C ABI's.
 */
#include <string.h>

#include "flags.h"
#include "x87.h"

#define HOST_FCW X87_FCW_INIT
#define STICKY (X87_EXCEPTIONS | X87_FSW_SF)
#define CC_ALL (X87_FSW_C0 | X87_FSW_C1 | X87_FSW_C2 | X87_FSW_C3)

struct st80 {
	uint8_t bytes[10];
};

/* Calls i->aux's or i->disp's code; the red zone must survive. */
#define CALL_STUB                                                                                  \
	"leaq -128(%%rsp), %%rsp\n\t"                                                              \
	"call *%[stub]\n\t"                                                                        \
	"leaq 128(%%rsp), %%rsp\n\t"

static inline struct st80 *st(struct emu_fpu *fpu, unsigned n)
{
	return (struct st80 *)(void *)fpu->st[(x87_top(fpu) + n) & 7];
}

static inline bool valid(const struct emu_fpu *fpu, unsigned n)
{
	return fpu->ftw >> ((x87_top(fpu) + n) & 7) & 1;
}

static inline bool masked(const struct emu_fpu *fpu)
{
	return likely((fpu->fcw & X87_EXCEPTIONS) == X87_EXCEPTIONS);
}

static inline void fldcw(uint16_t fcw)
{
	__asm__ volatile("fldcw %0" : : "m"(fcw));
}

static inline void host_enter(const struct emu_fpu *fpu)
{
	uint16_t fsw;

	__asm__ volatile("fnstsw %0" : "=a"(fsw));
	if (unlikely(fsw & ~fpu->fsw & STICKY)) {
		__asm__ volatile("fnclex");
	}
	if (unlikely(fpu->fcw != HOST_FCW)) {
		fldcw(fpu->fcw);
	}
}

static inline void host_leave(const struct emu_fpu *fpu)
{
	if (unlikely(fpu->fcw != HOST_FCW)) {
		fldcw(HOST_FCW);
	}
}

/* One operand and result, or operand alone. */
static uint16_t host_unary(struct emu_fpu *fpu, uint64_t stub, struct st80 *a)
{
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile("fldt %[a]\n\t" CALL_STUB "fnstsw %%ax\n\tfstpt %[a]"
			 : [a] "+m"(*a), "=&a"(fsw)
			 : [stub] "r"(stub), "d"(&fpu->operand)
			 : "cc", "memory");
	host_leave(fpu);
	return fsw;
}

/* The operand stays on the host's stack and is dropped. */
static uint16_t host_read(struct emu_fpu *fpu, uint64_t stub, const struct st80 *a)
{
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile("fldt %[a]\n\t" CALL_STUB "fnstsw %%ax\n\tfstp %%st(0)"
			 : "=&a"(fsw)
			 : [a] "m"(*a), [stub] "r"(stub), "d"(&fpu->operand)
			 : "cc", "memory");
	host_leave(fpu);
	return fsw;
}

/* The code pops the operand itself. */
static uint16_t host_read_pop(struct emu_fpu *fpu, uint64_t stub, const struct st80 *a)
{
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile("fldt %[a]\n\t" CALL_STUB "fnstsw %%ax"
			 : "=&a"(fsw)
			 : [a] "m"(*a), [stub] "r"(stub), "d"(&fpu->operand)
			 : "cc", "memory");
	host_leave(fpu);
	return fsw;
}

static uint16_t host_push(struct emu_fpu *fpu, uint64_t stub, struct st80 *to)
{
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile(CALL_STUB "fnstsw %%ax\n\tfstpt %[to]"
			 : [to] "=m"(*to), "=&a"(fsw)
			 : [stub] "r"(stub), "d"(&fpu->operand)
			 : "cc", "memory");
	host_leave(fpu);
	return fsw;
}

/* ST0 @a and ST1 @b; both are taken back, so that the code may write either. */
static uint16_t host_binary(struct emu_fpu *fpu, uint64_t stub, struct st80 *a, struct st80 *b)
{
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile("fldt %[b]\n\tfldt %[a]\n\t" CALL_STUB
			 "fnstsw %%ax\n\tfstpt %[a]\n\tfstpt %[b]"
			 : [a] "+m"(*a), [b] "+m"(*b), "=&a"(fsw)
			 : [stub] "r"(stub)
			 : "cc", "memory");
	host_leave(fpu);
	return fsw;
}

/* The code pops @a and leaves the result where @b was. */
static uint16_t host_binary_pop(struct emu_fpu *fpu, uint64_t stub, const struct st80 *a,
				struct st80 *b)
{
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile("fldt %[b]\n\tfldt %[a]\n\t" CALL_STUB "fnstsw %%ax\n\tfstpt %[b]"
			 : [b] "+m"(*b), "=&a"(fsw)
			 : [a] "m"(*a), [stub] "r"(stub)
			 : "cc", "memory");
	host_leave(fpu);
	return fsw;
}

/* A comparison without pops; arithmetic flags as X86_* bits. */
static uint16_t host_compare(struct emu_fpu *fpu, uint64_t stub, const struct st80 *a,
			     const struct st80 *b, uint32_t *ret_flags)
{
	bool zero, parity, carry;
	uint16_t fsw;

	host_enter(fpu);
	__asm__ volatile("fldt %[b]\n\tfldt %[a]\n\t" CALL_STUB
			 "fnstsw %%ax\n\tfstp %%st(0)\n\tfstp %%st(0)"
			 : "=&a"(fsw), "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry)
			 : [a] "m"(*a), [b] "m"(*b), [stub] "r"(stub)
			 : "memory");
	host_leave(fpu);
	*ret_flags = (zero ? X86_ZF : 0) | (parity ? X86_PF : 0) | (carry ? X86_CF : 0);
	return fsw;
}

/* ---- After the operation ---- */

static void status_merge(struct emu_fpu *fpu, uint16_t fsw, uint16_t cc)
{
	fpu->fsw = (fpu->fsw & (uint16_t)~cc) | (fsw & (cc | X87_EXCEPTIONS));
}

static void pointers_set(struct emu_vp *vp, const struct emu_insn *i)
{
	vp->fpu.fip = emu_insn_rip(vp, i);
	vp->fpu.fcs = vp->seg[X86_CS].selector;
	vp->fpu.fop = (uint16_t)i->imm;
}

static void top_move(struct emu_fpu *fpu, int by)
{
	fpu->fsw = (fpu->fsw & (uint16_t)~X87_FSW_TOP) |
		   (uint16_t)(((x87_top(fpu) + (unsigned)by) & 7) << X87_FSW_TOP_SHIFT);
}

static void pop(struct emu_fpu *fpu)
{
	fpu->ftw &= (uint8_t)~BIT32(x87_top(fpu));
	top_move(fpu, 1);
}

static void push(struct emu_fpu *fpu)
{
	top_move(fpu, -1);
	fpu->ftw |= (uint8_t)BIT32(x87_top(fpu));
}

/* ---- Handlers: i->disp is the code for operands in ST0 and ST1 (register forms), i->aux the
 * instruction's own. ---- */

static uint64_t near_stub(const struct emu_insn *i)
{
	return x87_stub_reg_index((unsigned)i->disp);
}

#define FAST(name, condition, statement)                                                           \
	const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)                   \
	{                                                                                          \
		struct emu_fpu *fpu = &vp->fpu;                                                    \
                                                                                                   \
		if (x87_blocked(vp) || !masked(fpu) || !(condition)) {                             \
			return x87_op_reg(vp, i);                                                  \
		}                                                                                  \
		statement;                                                                         \
		pointers_set(vp, i);                                                               \
		EMU_NEXT(vp, i);                                                                   \
	}

#define BOTH (valid(fpu, 0) && valid(fpu, i->rs))

static void arith_st0(struct emu_fpu *fpu, const struct emu_insn *i)
{
	struct st80 copy = *st(fpu, i->rs);

	status_merge(fpu, host_binary(fpu, near_stub(i), st(fpu, 0), &copy), X87_FSW_C1);
}

static void arith_sti(struct emu_fpu *fpu, const struct emu_insn *i)
{
	struct st80 copy = *st(fpu, 0);

	status_merge(fpu, host_binary(fpu, near_stub(i), &copy, st(fpu, i->rs)), X87_FSW_C1);
}

static void arith_sti_pop(struct emu_fpu *fpu, const struct emu_insn *i)
{
	struct st80 copy = *st(fpu, 0);

	status_merge(fpu, host_binary_pop(fpu, near_stub(i), &copy, st(fpu, i->rs)), X87_FSW_C1);
	pop(fpu);
}

static void compare(struct emu_vp *vp, const struct emu_insn *i, bool eflags)
{
	struct emu_fpu *fpu = &vp->fpu;
	uint32_t flags;
	uint16_t fsw = host_compare(fpu, near_stub(i), st(fpu, 0), st(fpu, i->rs), &flags);

	status_merge(fpu, fsw, eflags ? X87_FSW_C1 : CC_ALL);
	if (eflags) {
		emu_arith_set(vp, flags);
	}
	for (unsigned n = 0; n < i->rd; n++) {
		pop(fpu);
	}
}

static void exchange(struct emu_fpu *fpu, const struct emu_insn *i)
{
	struct st80 a = *st(fpu, 0);

	*st(fpu, 0) = *st(fpu, i->rs);
	*st(fpu, i->rs) = a;
	fpu->fsw &= (uint16_t)~X87_FSW_C1;
}

static void store_sti(struct emu_fpu *fpu, const struct emu_insn *i)
{
	*st(fpu, i->rs) = *st(fpu, 0);
	fpu->ftw |= (uint8_t)BIT32((x87_top(fpu) + i->rs) & 7);
	fpu->fsw &= (uint16_t)~X87_FSW_C1;
	if (i->rd) {
		pop(fpu);
	}
}

static void load_sti(struct emu_fpu *fpu, const struct emu_insn *i)
{
	struct st80 copy = *st(fpu, i->rs);

	push(fpu);
	*st(fpu, 0) = copy;
	fpu->fsw &= (uint16_t)~X87_FSW_C1;
}

static void constant(struct emu_fpu *fpu, const struct emu_insn *i)
{
	status_merge(fpu, host_push(fpu, i->aux, st(fpu, 7)), X87_FSW_C1);
	push(fpu);
}

FAST(x87_fast_arith_st0, BOTH, arith_st0(fpu, i))
FAST(x87_fast_arith_sti, BOTH, arith_sti(fpu, i))
FAST(x87_fast_arith_sti_pop, BOTH, arith_sti_pop(fpu, i))
FAST(x87_fast_compare, BOTH, compare(vp, i, false))
FAST(x87_fast_exchange, BOTH, exchange(fpu, i))
FAST(x87_fast_store_sti, valid(fpu, 0), store_sti(fpu, i))
FAST(x87_fast_load_sti, valid(fpu, i->rs) && !valid(fpu, 7), load_sti(fpu, i))
FAST(x87_fast_constant, !valid(fpu, 7), constant(fpu, i))
FAST(x87_fast_unary, valid(fpu, 0),
     status_merge(fpu, host_unary(fpu, i->aux, st(fpu, 0)), X87_FSW_C1))
FAST(x87_fast_examine, valid(fpu, 0), status_merge(fpu, host_read(fpu, i->aux, st(fpu, 0)), CC_ALL))

const struct emu_insn *x87_fast_compare_flags(struct emu_vp *vp, const struct emu_insn *i)
{
	struct emu_fpu *fpu = &vp->fpu;

	if (x87_blocked(vp) || !masked(fpu) || !BOTH) {
		return x87_op_flags(vp, i);
	}
	compare(vp, i, true);
	pointers_set(vp, i);
	EMU_NEXT(vp, i);
}

/* ---- Memory operands, in fpu->operand ---- */

static bool operand_load_at(struct emu_vp *vp, uint64_t la, unsigned bytes)
{
	union emu_xmm *v = &vp->fpu.operand;

	switch (bytes) {
	case 2:
		return emu_load16(vp, la, &v->u16[0]);
	case 4:
		return emu_load32(vp, la, &v->u32[0]);
	case 8:
		return emu_load64(vp, la, &v->u64[0]);
	default:
		return emu_load_bytes(vp, la, v, bytes);
	}
}

static bool operand_load(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t la;

	if (!emu_address(vp, i, i->rs, HV_ACCESS_READ, &la) || !operand_load_at(vp, la, i->rs)) {
		return false;
	}
	x87_data_pointer_set(vp, i, la);
	return true;
}

static bool operand_store(struct emu_vp *vp, const struct emu_insn *i)
{
	union emu_xmm *v = &vp->fpu.operand;
	uint64_t la;

	if (!emu_address(vp, i, i->rs, HV_ACCESS_WRITE, &la) ||
	    !(i->rs == 8   ? emu_store64(vp, la, v->u64[0])
	      : i->rs == 4 ? emu_store32(vp, la, v->u32[0])
	      : i->rs == 2 ? emu_store16(vp, la, v->u16[0])
			   : emu_store_bytes(vp, la, v, 10))) {
		return false;
	}
	x87_data_pointer_set(vp, i, la);
	return true;
}

#define FAST_LOAD(name, condition, statement)                                                      \
	const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)                   \
	{                                                                                          \
		struct emu_fpu *fpu = &vp->fpu;                                                    \
                                                                                                   \
		if (x87_blocked(vp) || !masked(fpu) || !(condition)) {                             \
			return x87_op_load(vp, i);                                                 \
		}                                                                                  \
		if (!operand_load(vp, i)) {                                                        \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		statement;                                                                         \
		pointers_set(vp, i);                                                               \
		EMU_NEXT(vp, i);                                                                   \
	}

static void compare_mem(struct emu_fpu *fpu, const struct emu_insn *i)
{
	status_merge(fpu, host_read(fpu, i->aux, st(fpu, 0)), CC_ALL);
}

static void compare_mem_pop(struct emu_fpu *fpu, const struct emu_insn *i)
{
	status_merge(fpu, host_read_pop(fpu, i->aux, st(fpu, 0)), CC_ALL);
	pop(fpu);
}

static void load80(struct emu_fpu *fpu)
{
	push(fpu);
	memcpy(st(fpu, 0), &fpu->operand, 10);
	fpu->fsw &= (uint16_t)~X87_FSW_C1;
}

FAST_LOAD(x87_fast_arith_mem, valid(fpu, 0),
	  status_merge(fpu, host_unary(fpu, i->aux, st(fpu, 0)), X87_FSW_C1))
FAST_LOAD(x87_fast_compare_mem, valid(fpu, 0), compare_mem(fpu, i))
FAST_LOAD(x87_fast_compare_mem_pop, valid(fpu, 0), compare_mem_pop(fpu, i))
FAST_LOAD(x87_fast_load, !valid(fpu, 7), constant(fpu, i))
FAST_LOAD(x87_fast_load80, !valid(fpu, 7), load80(fpu))

/* i->rd: pops. */
const struct emu_insn *x87_fast_store(struct emu_vp *vp, const struct emu_insn *i)
{
	struct emu_fpu *fpu = &vp->fpu;
	uint16_t fsw;

	if (x87_blocked(vp) || !masked(fpu) || !valid(fpu, 0)) {
		return x87_op_store(vp, i);
	}
	fsw = i->rd ? host_read_pop(fpu, i->aux, st(fpu, 0)) : host_read(fpu, i->aux, st(fpu, 0));
	if (!operand_store(vp, i)) {
		return emu_leave(vp, i);
	}
	status_merge(fpu, fsw, X87_FSW_C1);
	if (i->rd) {
		pop(fpu);
	}
	pointers_set(vp, i);
	EMU_NEXT(vp, i);
}
