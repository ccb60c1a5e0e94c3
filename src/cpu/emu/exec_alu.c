/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT: one handler per operation, size and form. */
#define EMU_HOT
#include "exec.h"

#define COMPUTE_add (a + b)
#define COMPUTE_or (a | b)
#define COMPUTE_adc (a + b + emu_cf(vp))
#define COMPUTE_sbb (a - b - emu_cf(vp))
#define COMPUTE_and (a & b)
#define COMPUTE_sub (a - b)
#define COMPUTE_xor (a ^ b)
#define COMPUTE_cmp (a - b)
#define COMPUTE_test (a & b)

#define FLAGS_add(bits) emu_flags_add(vp, bits, a, b, r)
#define FLAGS_or(bits) emu_flags_logic(vp, bits, r)
#define FLAGS_adc(bits) emu_flags_add(vp, bits, a, b, r)
#define FLAGS_sbb(bits) emu_flags_sub(vp, bits, a, b, r)
#define FLAGS_and(bits) emu_flags_logic(vp, bits, r)
#define FLAGS_sub(bits) emu_flags_sub(vp, bits, a, b, r)
#define FLAGS_xor(bits) emu_flags_logic(vp, bits, r)
#define FLAGS_cmp(bits) emu_flags_sub(vp, bits, a, b, r)
#define FLAGS_test(bits) emu_flags_logic(vp, bits, r)

/* Forms with a register as destination; @writes 0: CMP, TEST. */
#define DEFINE_TO_REGISTER(op, bits, form, writes, get_b)                                          \
	static EMU_OP(op##bits##_##form)                                                           \
	{                                                                                          \
		uint##bits##_t a, b, r;                                                            \
                                                                                                   \
		get_b;                                                                             \
		a = (uint##bits##_t)emu_reg_read(vp, bits, i->rd);                                 \
		r = (uint##bits##_t)COMPUTE_##op;                                                  \
		FLAGS_##op(bits);                                                                  \
		if (writes) {                                                                      \
			emu_reg_write(vp, bits, i->rd, r);                                         \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

#define DEFINE_TO_MEMORY(op, bits, form, writes, source)                                           \
	EMU_SLOW_OP(op##bits##_##form##_slow)                                                      \
	{                                                                                          \
		uint##bits##_t a, b, r;                                                            \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_WRITE, &la) ||                         \
		    !emu_rmw_begin(vp, la, bits / 8)) {                                            \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		b = (uint##bits##_t)(source);                                                      \
		a = (uint##bits##_t)vp->slow;                                                      \
		r = (uint##bits##_t)COMPUTE_##op;                                                  \
		if (!emu_store##bits(vp, la, r)) {                                                 \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		FLAGS_##op(bits);                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(op##bits##_##form)                                                           \
	{                                                                                          \
		struct emu_u##bits *p;                                                             \
		uint##bits##_t a, b, r;                                                            \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address_quick(vp, i, &la)) {                                              \
			return op##bits##_##form##_slow(vp, i);                                    \
		}                                                                                  \
		p = emu_fast_write(vp, la, bits / 8);                                              \
		if (unlikely(p == NULL)) {                                                         \
			return op##bits##_##form##_slow(vp, i);                                    \
		}                                                                                  \
		b = (uint##bits##_t)(source);                                                      \
		a = p->v;                                                                          \
		r = (uint##bits##_t)COMPUTE_##op;                                                  \
		p->v = r;                                                                          \
		FLAGS_##op(bits);                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

/* Memory is only read: it is @m; the other operand, @source, is @o. CMP and TEST with memory first, all others with memory second. */
#define DEFINE_READ_MEMORY(op, bits, form, m, o, writes, source)                                   \
	EMU_INLINE const struct emu_insn *op##bits##_##form##_with(                                \
		struct emu_vp *vp, const struct emu_insn *i, uint##bits##_t m)                     \
	{                                                                                          \
		uint##bits##_t o = (uint##bits##_t)(source);                                       \
		uint##bits##_t r = (uint##bits##_t)COMPUTE_##op;                                   \
                                                                                                   \
		FLAGS_##op(bits);                                                                  \
		if (writes) {                                                                      \
			emu_reg_write(vp, bits, i->rd, r);                                         \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	EMU_SLOW_OP(op##bits##_##form##_slow)                                                      \
	{                                                                                          \
		uint##bits##_t value;                                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_READ, &la) ||                          \
		    !emu_load##bits(vp, la, &value)) {                                             \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		return op##bits##_##form##_with(vp, i, value);                                     \
	}                                                                                          \
	static EMU_OP(op##bits##_##form)                                                           \
	{                                                                                          \
		const volatile struct emu_u##bits *p;                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address_quick(vp, i, &la)) {                                              \
			return op##bits##_##form##_slow(vp, i);                                    \
		}                                                                                  \
		p = emu_fast_read(vp, la, bits / 8);                                               \
		if (unlikely(p == NULL)) {                                                         \
			return op##bits##_##form##_slow(vp, i);                                    \
		}                                                                                  \
		return op##bits##_##form##_with(vp, i, p->v);                                      \
	}

#define DEFINE_COMPARE_MEMORY(op, bits, form, writes, source)                                      \
	DEFINE_READ_MEMORY(op, bits, form, a, b, writes, source)

#define DEFINE_ALU_SIZE(op, bits, writes, MEMORY)                                                  \
	DEFINE_TO_REGISTER(op, bits, rr, writes,                                                   \
			   b = (uint##bits##_t)emu_reg_read(vp, bits, i->rs))                      \
	DEFINE_TO_REGISTER(op, bits, ri, writes, b = (uint##bits##_t)i->imm)                       \
	DEFINE_READ_MEMORY(op, bits, rm, b, a, writes, emu_reg_read(vp, bits, i->rd))              \
	MEMORY(op, bits, mr, writes, emu_reg_read(vp, bits, i->rs))                                \
	MEMORY(op, bits, mi, writes, i->imm)

#define DEFINE_ALU(op, writes, MEMORY)                                                             \
	DEFINE_ALU_SIZE(op, 8, writes, MEMORY)                                                     \
	DEFINE_ALU_SIZE(op, 16, writes, MEMORY)                                                    \
	DEFINE_ALU_SIZE(op, 32, writes, MEMORY)                                                    \
	DEFINE_ALU_SIZE(op, 64, writes, MEMORY)

DEFINE_ALU(add, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(or, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(adc, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(sbb, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(and, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(sub, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(xor, 1, DEFINE_TO_MEMORY)
DEFINE_ALU(cmp, 0, DEFINE_COMPARE_MEMORY)
DEFINE_ALU(test, 0, DEFINE_COMPARE_MEMORY)

#define FORMS(op, bits)                                                                            \
	{                                                                                          \
		op##bits##_rr, op##bits##_ri, op##bits##_rm, op##bits##_mr, op##bits##_mi          \
	}
#define SIZES(op)                                                                                  \
	{                                                                                          \
		FORMS(op, 8), FORMS(op, 16), FORMS(op, 32), FORMS(op, 64)                          \
	}

emu_fn *emu_find_alu(enum emu_alu op, unsigned log, enum emu_form form)
{
	static emu_fn *const table[EMU_ALU_OPS][4][EMU_FORMS] = {
		SIZES(add), SIZES(or),	SIZES(adc), SIZES(sbb),	 SIZES(and),
		SIZES(sub), SIZES(xor), SIZES(cmp), SIZES(test),
	};

	return table[op][log][form];
}

/* ---- One operand ---- */

/* INC and DEC keep CF. */
#define KEEP_CF(flags)                                                                             \
	do {                                                                                       \
		uint64_t before = vp->lf_carry;                                                    \
                                                                                                   \
		flags;                                                                             \
		vp->lf_carry ^= (0 - ((before ^ vp->lf_carry) >> 63)) & (EMU_LF_CF | EMU_LF_PO);   \
	} while (0)

#define UNARY_inc (a + 1)
#define UNARY_dec (a - 1)
#define UNARY_neg (0 - a)
#define UNARY_not (~a)
#define UNARY_FLAGS_inc(bits) KEEP_CF(emu_flags_add(vp, bits, a, 1, r))
#define UNARY_FLAGS_dec(bits) KEEP_CF(emu_flags_sub(vp, bits, a, 1, r))
#define UNARY_FLAGS_neg(bits) emu_flags_sub(vp, bits, 0, a, r)
#define UNARY_FLAGS_not(bits) ((void)0)

#define DEFINE_UNARY_SIZE(op, bits)                                                                \
	static EMU_OP(op##bits##_r)                                                                \
	{                                                                                          \
		uint##bits##_t a = (uint##bits##_t)emu_reg_read(vp, bits, i->rd);                  \
		uint##bits##_t r = (uint##bits##_t)UNARY_##op;                                     \
                                                                                                   \
		UNARY_FLAGS_##op(bits);                                                            \
		emu_reg_write(vp, bits, i->rd, r);                                                 \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(op##bits##_m)                                                                \
	{                                                                                          \
		struct emu_u##bits *p;                                                             \
		uint##bits##_t a, r;                                                               \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_WRITE, &la)) {                         \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		p = emu_fast_write(vp, la, bits / 8);                                              \
		if (likely(p != NULL)) {                                                           \
			a = p->v;                                                                  \
			r = (uint##bits##_t)UNARY_##op;                                            \
			p->v = r;                                                                  \
			UNARY_FLAGS_##op(bits);                                                    \
			EMU_NEXT(vp, i);                                                           \
		}                                                                                  \
		if (!emu_rmw_begin(vp, la, bits / 8)) {                                            \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		a = (uint##bits##_t)vp->slow;                                                      \
		r = (uint##bits##_t)UNARY_##op;                                                    \
		if (!emu_store_slow(vp, la, bits / 8, r)) {                                        \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		UNARY_FLAGS_##op(bits);                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}

#define DEFINE_UNARY(op)                                                                           \
	DEFINE_UNARY_SIZE(op, 8)                                                                   \
	DEFINE_UNARY_SIZE(op, 16)                                                                  \
	DEFINE_UNARY_SIZE(op, 32)                                                                  \
	DEFINE_UNARY_SIZE(op, 64)

DEFINE_UNARY(inc)
DEFINE_UNARY(dec)
DEFINE_UNARY(neg)
DEFINE_UNARY(not )

#define UNARY_FORMS(op)                                                                            \
	{                                                                                          \
		{op##8_r, op##8_m}, {op##16_r, op##16_m}, {op##32_r, op##32_m},                    \
		{                                                                                  \
			op##64_r, op##64_m                                                         \
		}                                                                                  \
	}

emu_fn *emu_find_unary(enum emu_unary op, unsigned log, bool memory)
{
	static emu_fn *const table[EMU_UNARY_OPS][4][2] = {UNARY_FORMS(inc), UNARY_FORMS(dec),
							   UNARY_FORMS(neg), UNARY_FORMS(not )};

	return table[op][log][memory];
}
