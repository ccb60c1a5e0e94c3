/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shifts and rotates. A count of 0 (after masking) changes no flag. Where the manuals leave OF undefined (counts above 1) it gets the value
 * that the formula for a count of 1 gives, as processors do.
 */
#define EMU_HOT
#include "exec.h"

/* Each computes r from a and count (1..31, or 1..63 for 64 bits) and sets the flags. */
#define DEFINE_COMPUTE(bits, T, S)                                                                 \
	EMU_INLINE T shl##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		T r = count < bits ? (T)(a << count) : 0;                                          \
		bool cf = count <= bits && (a >> (bits - count)) & 1;                              \
                                                                                                   \
		emu_flags_result(vp, bits, r, cf, (r >> (bits - 1)) != cf, false);                 \
		return r;                                                                          \
	}                                                                                          \
	EMU_INLINE T shr##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		T r = count < bits ? (T)(a >> count) : 0;                                          \
		bool cf = count <= bits && (a >> (count - 1)) & 1;                                 \
                                                                                                   \
		emu_flags_result(vp, bits, r, cf, ((r ^ (T)(r << 1)) >> (bits - 1)) & 1, false);   \
		return r;                                                                          \
	}                                                                                          \
	EMU_INLINE T sar##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		unsigned n = count < bits ? count : bits - 1;                                      \
		T r = (T)((S)a >> n);                                                              \
		bool cf = count < bits ? ((S)a >> (count - 1)) & 1 : (S)a < 0;                     \
                                                                                                   \
		emu_flags_result(vp, bits, r, cf, false, false);                                   \
		return r;                                                                          \
	}                                                                                          \
	EMU_INLINE T rol##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		unsigned n = count & (bits - 1);                                                   \
		T r = n ? (T)(a << n | a >> (bits - n)) : a;                                       \
                                                                                                   \
		emu_set_cf_of(vp, r & 1, (r & 1) != r >> (bits - 1));                              \
		return r;                                                                          \
	}                                                                                          \
	EMU_INLINE T ror##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		unsigned n = count & (bits - 1);                                                   \
		T r = n ? (T)(a >> n | a << (bits - n)) : a;                                       \
                                                                                                   \
		emu_set_cf_of(vp, r >> (bits - 1), ((r ^ (T)(r << 1)) >> (bits - 1)) & 1);         \
		return r;                                                                          \
	}                                                                                          \
	EMU_INLINE T rcl##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		unsigned n = count % (bits + 1);                                                   \
		bool cf = emu_cf(vp);                                                              \
		T r = a;                                                                           \
                                                                                                   \
		if (n != 0) {                                                                      \
			r = (T)((n < bits ? a << n : 0) | (T)cf << (n - 1) |                       \
				(n > 1 ? a >> (bits + 1 - n) : 0));                                \
			cf = (a >> (bits - n)) & 1;                                                \
		}                                                                                  \
		emu_set_cf_of(vp, cf, (r >> (bits - 1)) != cf);                                    \
		return r;                                                                          \
	}                                                                                          \
	EMU_INLINE T rcr##bits(struct emu_vp *vp, T a, unsigned count)                             \
	{                                                                                          \
		unsigned n = count % (bits + 1);                                                   \
		bool cf = emu_cf(vp);                                                              \
		T r = a;                                                                           \
                                                                                                   \
		if (n != 0) {                                                                      \
			r = (T)((n < bits ? a >> n : 0) | (T)((T)cf << (bits - n)) |               \
				(n > 1 ? (T)(a << (bits + 1 - n)) : 0));                           \
			cf = (a >> (n - 1)) & 1;                                                   \
		}                                                                                  \
		emu_set_cf_of(vp, cf, ((r ^ (T)(r << 1)) >> (bits - 1)) & 1);                      \
		return r;                                                                          \
	}
DEFINE_COMPUTE(8, uint8_t, int8_t)
DEFINE_COMPUTE(16, uint16_t, int16_t)
/* cppcheck-suppress shiftTooManyBitsSigned */
DEFINE_COMPUTE(32, uint32_t, int32_t)
/* cppcheck-suppress shiftTooManyBitsSigned */
DEFINE_COMPUTE(64, uint64_t, int64_t)

/* Count in imm (masked by the lifter) or CL. */
#define COUNT_i(bits) ((unsigned)i->imm)
#define COUNT_c(bits) ((unsigned)*emu_r8(vp, 8) & (bits == 64 ? 63 : 31))

#define DEFINE_SHIFT_FORM(op, bits, by)                                                            \
	static EMU_OP(op##bits##_r##by)                                                            \
	{                                                                                          \
		unsigned count = COUNT_##by(bits);                                                 \
		uint##bits##_t a = (uint##bits##_t)emu_reg_read(vp, bits, i->rd);                  \
                                                                                                   \
		emu_reg_write(vp, bits, i->rd, count ? op##bits(vp, a, count) : a);                \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(op##bits##_m##by)                                                            \
	{                                                                                          \
		unsigned count = COUNT_##by(bits);                                                 \
		uint64_t result = vp->lf_result, carry = vp->lf_carry, la;                         \
		uint##bits##_t a;                                                                  \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_WRITE, &la) ||                         \
		    !emu_rmw_begin(vp, la, bits / 8)) {                                            \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		a = (uint##bits##_t)vp->slow;                                                      \
		if (count) {                                                                       \
			a = op##bits(vp, a, count);                                                \
		}                                                                                  \
		if (!emu_store##bits(vp, la, a)) {                                                 \
			vp->lf_result = result;                                                    \
			vp->lf_carry = carry;                                                      \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

#define DEFINE_SHIFT_SIZE(op, bits)                                                                \
	DEFINE_SHIFT_FORM(op, bits, i)                                                             \
	DEFINE_SHIFT_FORM(op, bits, c)
#define DEFINE_SHIFT(op)                                                                           \
	DEFINE_SHIFT_SIZE(op, 8)                                                                   \
	DEFINE_SHIFT_SIZE(op, 16)                                                                  \
	DEFINE_SHIFT_SIZE(op, 32)                                                                  \
	DEFINE_SHIFT_SIZE(op, 64)

DEFINE_SHIFT(rol)
DEFINE_SHIFT(ror)
DEFINE_SHIFT(rcl)
DEFINE_SHIFT(rcr)
DEFINE_SHIFT(shl)
DEFINE_SHIFT(shr)
DEFINE_SHIFT(sar)

#define SHIFT_SIZE(op, bits)                                                                       \
	{                                                                                          \
		{op##bits##_ri, op##bits##_rc},                                                    \
		{                                                                                  \
			op##bits##_mi, op##bits##_mc                                               \
		}                                                                                  \
	}
#define SHIFT_SIZES(op)                                                                            \
	{                                                                                          \
		SHIFT_SIZE(op, 8), SHIFT_SIZE(op, 16), SHIFT_SIZE(op, 32), SHIFT_SIZE(op, 64)      \
	}

emu_fn *emu_find_shift(enum emu_shift op, unsigned log, bool memory, bool by_cl)
{
	static emu_fn *const table[EMU_SHIFT_OPS][4][2][2] = {
		SHIFT_SIZES(rol), SHIFT_SIZES(ror), SHIFT_SIZES(rcl), SHIFT_SIZES(rcr),
		SHIFT_SIZES(shl), SHIFT_SIZES(shr), SHIFT_SIZES(sar),
	};

	return table[op][log][memory][by_cl];
}

/* ---- SHLD, SHRD ---- */

/* 16-bit operands with counts above 16 are undefined; processors shift the 32-bit pair on. */
static uint64_t double_shift(struct emu_vp *vp, bool left, unsigned bits, uint64_t a, uint64_t b,
			     unsigned count)
{
	uint64_t mask = bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1, r;
	bool cf;

	a &= mask;
	b &= mask;
	if (bits == 16 && count > 16) {
		/* Goes on with the destination's bits behind the source's. */
		uint64_t wide = left ? a << 32 | b << 16 | a : a << 32 | b << 16 | a;

		r = left ? (wide << count) >> 32 : wide >> count;
		cf = left ? (wide >> (48 - count)) & 1 : (wide >> (count - 1)) & 1;
	} else {
		r = left ? a << count | b >> (bits - count) : a >> count | b << (bits - count);
		cf = left ? (a >> (bits - count)) & 1 : (a >> (count - 1)) & 1;
	}
	r &= mask;
	emu_flags_result(vp, bits, r, cf, ((r ^ a) >> (bits - 1)) & 1, false);
	return r;
}

#define DEFINE_DOUBLE_FORM(name, left, bits, by)                                                   \
	static EMU_OP(name##bits##_r##by)                                                          \
	{                                                                                          \
		unsigned count = COUNT_##by(bits);                                                 \
		uint64_t a = emu_reg_read(vp, bits, i->rd);                                        \
                                                                                                   \
		emu_reg_write(vp, bits, i->rd,                                                     \
			      count ? double_shift(vp, left, bits, a, vp->r[i->rs], count) : a);   \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(name##bits##_m##by)                                                          \
	{                                                                                          \
		unsigned count = COUNT_##by(bits);                                                 \
		uint64_t result = vp->lf_result, carry = vp->lf_carry, la, a;                      \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_WRITE, &la) ||                         \
		    !emu_rmw_begin(vp, la, bits / 8)) {                                            \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		a = vp->slow;                                                                      \
		if (count) {                                                                       \
			a = double_shift(vp, left, bits, a, vp->r[i->rs], count);                  \
		}                                                                                  \
		if (!emu_store##bits(vp, la, (uint##bits##_t)a)) {                                 \
			vp->lf_result = result;                                                    \
			vp->lf_carry = carry;                                                      \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
#define DEFINE_DOUBLE(name, left, bits)                                                            \
	DEFINE_DOUBLE_FORM(name, left, bits, i)                                                    \
	DEFINE_DOUBLE_FORM(name, left, bits, c)
DEFINE_DOUBLE(shld, true, 16)
DEFINE_DOUBLE(shld, true, 32)
DEFINE_DOUBLE(shld, true, 64)
DEFINE_DOUBLE(shrd, false, 16)
DEFINE_DOUBLE(shrd, false, 32)
DEFINE_DOUBLE(shrd, false, 64)

#define DOUBLE_SIZES(name)                                                                         \
	{                                                                                          \
		{{NULL}}, SHIFT_SIZE(name, 16), SHIFT_SIZE(name, 32), SHIFT_SIZE(name, 64)         \
	}

emu_fn *emu_find_double_shift(bool left, unsigned log, bool memory, bool by_cl)
{
	static emu_fn *const table[2][4][2][2] = {DOUBLE_SIZES(shrd), DOUBLE_SIZES(shld)};

	return table[left][log][memory][by_cl];
}
