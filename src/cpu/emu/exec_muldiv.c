/* SPDX-License-Identifier: Apache-2.0 */
/* MUL, IMUL, DIV, IDIV and the decimal adjustments. */
#define EMU_HOT
#include "exec.h"

typedef unsigned __int128 emu_wide;
typedef __int128 emu_wide_signed;

/* CF = OF = @overflow; ZF, SF, PF follow the low half. */
static void product_flags(struct emu_vp *vp, unsigned bits, uint64_t low, bool overflow)
{
	emu_flags_result(vp, bits, low, overflow, overflow, false);
}

static void mul8(struct emu_vp *vp, uint64_t b)
{
	unsigned product = (uint8_t)vp->r[X86_RAX] * (unsigned)(uint8_t)b;

	emu_reg_write(vp, 16, X86_RAX, product);
	product_flags(vp, 8, product, product >> 8);
}

static void imul8(struct emu_vp *vp, uint64_t b)
{
	int product = (int8_t)vp->r[X86_RAX] * (int8_t)b;

	emu_reg_write(vp, 16, X86_RAX, (uint64_t)product);
	product_flags(vp, 8, (uint64_t)product, product != (int8_t)product);
}

#define DEFINE_MUL(bits, wide, swide)                                                              \
	static void mul##bits(struct emu_vp *vp, uint64_t b)                                       \
	{                                                                                          \
		wide product = (wide)(uint##bits##_t)vp->r[X86_RAX] * (uint##bits##_t)b;           \
                                                                                                   \
		emu_reg_write(vp, bits, X86_RAX, (uint##bits##_t)product);                         \
		emu_reg_write(vp, bits, X86_RDX, (uint##bits##_t)(product >> bits));               \
		product_flags(vp, bits, (uint##bits##_t)product, (product >> bits) != 0);          \
	}                                                                                          \
	static void imul##bits(struct emu_vp *vp, uint64_t b)                                      \
	{                                                                                          \
		swide product = (swide)(int##bits##_t)vp->r[X86_RAX] * (int##bits##_t)b;           \
                                                                                                   \
		emu_reg_write(vp, bits, X86_RAX, (uint##bits##_t)product);                         \
		emu_reg_write(vp, bits, X86_RDX, (uint##bits##_t)(product >> bits));               \
		product_flags(vp, bits, (uint##bits##_t)product,                                   \
			      product != (int##bits##_t)product);                                  \
	}
DEFINE_MUL(16, uint32_t, int32_t)
DEFINE_MUL(32, uint64_t, int64_t)
DEFINE_MUL(64, emu_wide, emu_wide_signed)

/* Division: false with #DE recorded. */
static bool div8(struct emu_vp *vp, uint64_t b)
{
	unsigned a = (uint16_t)vp->r[X86_RAX], d = (uint8_t)b;

	if (d == 0 || a / d > 0xff) {
		return emu_raise(vp, X86_EXC_DE);
	}
	emu_reg_write(vp, 16, X86_RAX, (a % d) << 8 | a / d);
	return true;
}

static bool idiv8(struct emu_vp *vp, uint64_t b)
{
	int a = (int16_t)vp->r[X86_RAX], d = (int8_t)b;

	if (d == 0 || a / d != (int8_t)(a / d)) {
		return emu_raise(vp, X86_EXC_DE);
	}
	emu_reg_write(vp, 16, X86_RAX,
		      (uint64_t)((unsigned)(uint8_t)(a % d) << 8 | (uint8_t)(a / d)));
	return true;
}

#define DEFINE_DIV(bits, wide, swide)                                                              \
	static bool div##bits(struct emu_vp *vp, uint64_t b)                                       \
	{                                                                                          \
		wide a = (wide)(uint##bits##_t)vp->r[X86_RDX] << bits |                            \
			 (uint##bits##_t)vp->r[X86_RAX];                                           \
		uint##bits##_t d = (uint##bits##_t)b;                                              \
                                                                                                   \
		if (d == 0 || (uint##bits##_t)vp->r[X86_RDX] >= d) {                               \
			return emu_raise(vp, X86_EXC_DE);                                          \
		}                                                                                  \
		emu_reg_write(vp, bits, X86_RAX, (uint##bits##_t)(a / d));                         \
		emu_reg_write(vp, bits, X86_RDX, (uint##bits##_t)(a % d));                         \
		return true;                                                                       \
	}                                                                                          \
	static bool idiv##bits(struct emu_vp *vp, uint64_t b)                                      \
	{                                                                                          \
		swide a = (swide)((wide)(uint##bits##_t)vp->r[X86_RDX] << bits |                   \
				  (uint##bits##_t)vp->r[X86_RAX]);                                 \
		swide d = (int##bits##_t)b, q;                                                     \
                                                                                                   \
		/* The most negative dividend by -1 would trap on the host. */                     \
		if (d == 0 || (d == -1 && a == (swide)((wide)1 << (2 * bits - 1)))) {              \
			return emu_raise(vp, X86_EXC_DE);                                          \
		}                                                                                  \
		q = a / d;                                                                         \
		if (q != (int##bits##_t)q) {                                                       \
			return emu_raise(vp, X86_EXC_DE);                                          \
		}                                                                                  \
		emu_reg_write(vp, bits, X86_RAX, (uint##bits##_t)q);                               \
		emu_reg_write(vp, bits, X86_RDX, (uint##bits##_t)(a % d));                         \
		return true;                                                                       \
	}
DEFINE_DIV(16, uint32_t, int32_t)
DEFINE_DIV(32, uint64_t, int64_t)
DEFINE_DIV(64, emu_wide, emu_wide_signed)

#define DEFINE_FORMS(op, bits, act)                                                                \
	static EMU_OP(op##bits##_r)                                                                \
	{                                                                                          \
		uint64_t b = emu_reg_read(vp, bits, i->rs);                                        \
                                                                                                   \
		act;                                                                               \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(op##bits##_m)                                                                \
	{                                                                                          \
		uint##bits##_t b;                                                                  \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_READ, &la) ||                          \
		    !emu_load##bits(vp, la, &b)) {                                                 \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		act;                                                                               \
		EMU_NEXT(vp, i);                                                                   \
	}
#define OR_LEAVE(call)                                                                             \
	if (!(call)) {                                                                             \
		return emu_leave(vp, i);                                                           \
	}
#define DEFINE_MULDIV(bits)                                                                        \
	DEFINE_FORMS(op_mul, bits, mul##bits(vp, b))                                               \
	DEFINE_FORMS(op_imul, bits, imul##bits(vp, b))                                             \
	DEFINE_FORMS(op_div, bits, OR_LEAVE(div##bits(vp, b)))                                     \
	DEFINE_FORMS(op_idiv, bits, OR_LEAVE(idiv##bits(vp, b)))
DEFINE_MULDIV(8)
DEFINE_MULDIV(16)
DEFINE_MULDIV(32)
DEFINE_MULDIV(64)

#define MULDIV_FORMS(op)                                                                           \
	{                                                                                          \
		{op##8_r, op##8_m}, {op##16_r, op##16_m}, {op##32_r, op##32_m},                    \
		{                                                                                  \
			op##64_r, op##64_m                                                         \
		}                                                                                  \
	}

emu_fn *emu_find_muldiv(unsigned reg, unsigned log, bool memory)
{
	static emu_fn *const table[4][4][2] = {MULDIV_FORMS(op_mul), MULDIV_FORMS(op_imul),
					       MULDIV_FORMS(op_div), MULDIV_FORMS(op_idiv)};

	return table[reg & 3][log][memory];
}

/* IMUL with two or three operands: rd = rs or memory, times rd or imm. */
#define DEFINE_IMUL(bits, swide)                                                                   \
	EMU_INLINE void imul_to##bits(struct emu_vp *vp, const struct emu_insn *i, uint64_t a,     \
				      uint64_t b)                                                  \
	{                                                                                          \
		swide product = (swide)(int##bits##_t)a * (int##bits##_t)b;                        \
                                                                                                   \
		emu_reg_write(vp, bits, i->rd, (uint##bits##_t)product);                           \
		product_flags(vp, bits, (uint##bits##_t)product,                                   \
			      product != (int##bits##_t)product);                                  \
	}                                                                                          \
	DEFINE_FORMS(imul_two, bits, imul_to##bits(vp, i, vp->r[i->rd], b))                        \
	DEFINE_FORMS(imul_three, bits, imul_to##bits(vp, i, i->imm, b))
DEFINE_IMUL(16, int32_t)
DEFINE_IMUL(32, int64_t)
DEFINE_IMUL(64, emu_wide_signed)

#define IMUL_FORMS(bits)                                                                           \
	{                                                                                          \
		{imul_two##bits##_r, imul_three##bits##_r},                                        \
		{                                                                                  \
			imul_two##bits##_m, imul_three##bits##_m                                   \
		}                                                                                  \
	}

emu_fn *emu_find_imul(unsigned log, bool memory, bool imm)
{
	static emu_fn *const table[4][2][2] = {
		{{NULL}}, IMUL_FORMS(16), IMUL_FORMS(32), IMUL_FORMS(64)};

	return table[log][memory][imm];
}

/* ---- Decimal adjustments ---- */

/* AAA, AAS: @sign +1 or -1. */
static void ascii_adjust(struct emu_vp *vp, int sign)
{
	uint16_t ax = (uint16_t)vp->r[X86_RAX];
	bool adjust = (ax & 0xf) > 9 || emu_af(vp);

	if (adjust) {
		ax = (uint16_t)(ax + sign * 0x106);
	}
	emu_reg_write(vp, 16, X86_RAX, ax & 0xff0f);
	emu_flags_result(vp, 8, ax & 0x0f, adjust, false, adjust);
}

EMU_OP(emu_op_aaa)
{
	ascii_adjust(vp, 1);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_aas)
{
	ascii_adjust(vp, -1);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_aam)
{
	unsigned al = (uint8_t)vp->r[X86_RAX], base = (uint8_t)i->imm;

	if (base == 0) {
		emu_raise(vp, X86_EXC_DE);
		return emu_leave(vp, i);
	}
	emu_reg_write(vp, 16, X86_RAX, (al / base) << 8 | al % base);
	emu_flags_result(vp, 8, al % base, false, false, false);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_aad)
{
	unsigned al = (uint8_t)(vp->r[X86_RAX] + ((vp->r[X86_RAX] >> 8) & 0xff) * i->imm);

	emu_reg_write(vp, 16, X86_RAX, al);
	emu_flags_result(vp, 8, al, false, false, false);
	EMU_NEXT(vp, i);
}

/* DAA, DAS: @sign +1 or -1. */
static void decimal_adjust(struct emu_vp *vp, int sign)
{
	uint8_t al = (uint8_t)vp->r[X86_RAX], old = al;
	bool cf = emu_cf(vp), af = (al & 0xf) > 9 || emu_af(vp), carry = false;

	if (af) {
		/* The borrow or carry out of the low correction counts too. */
		carry = cf || (sign > 0 ? al > 0xf9 : al < 6);
		al = (uint8_t)(al + sign * 6);
	}
	if (old > 0x99 || cf) {
		al = (uint8_t)(al + sign * 0x60);
		carry = true;
	}
	emu_reg_write(vp, 8, 0, al);
	emu_flags_result(vp, 8, al, carry, false, af);
}

EMU_OP(emu_op_daa)
{
	decimal_adjust(vp, 1);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_das)
{
	decimal_adjust(vp, -1);
	EMU_NEXT(vp, i);
}
