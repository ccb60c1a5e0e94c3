/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MXCSR.PE beside an unmasked overflow or underflow. Then PE tells whether the result is inexact
 * with an exponent of any size, but the host ran the instruction with everything masked, where an
 * overflow always counts as inexact. The x87 FPU has exponents wide enough: the elements are
 * computed again there, rounded to the precision of the result.
 */
#include <string.h>

#include "simd.h"

#define OE 0x08u
#define UE 0x10u
#define PE 0x20u
#define FCW_SINGLE 0x007fu
#define FCW_DOUBLE 0x027fu

/* ST0 = @a op @b; does it have to be rounded? */
static bool is_inexact(enum simd_op op, long double a, long double b, uint16_t fcw)
{
	uint16_t fsw, fcw_host = X87_FCW_INIT;

	__asm__ volatile("fnclex\n\tfldcw %0" : : "m"(fcw));
	switch (op) {
	case SIMD_OP_MUL:
		__asm__ volatile("fmulp" : "=t"(a) : "0"(a), "u"(b) : "st(1)");
		break;
	case SIMD_OP_DIV:
		__asm__ volatile("fdivrp" : "=t"(a) : "0"(b), "u"(a) : "st(1)");
		break;
	case SIMD_OP_SUB:
		__asm__ volatile("fsubp" : "=t"(a) : "0"(a), "u"(b) : "st(1)");
		break;
	case SIMD_OP_ADD:
	default:
		__asm__ volatile("faddp" : "=t"(a) : "0"(a), "u"(b) : "st(1)");
		break;
	}
	__asm__ volatile("fnstsw %0\n\tfnclex\n\tfldcw %1" : "=a"(fsw) : "m"(fcw_host));
	return fsw & X87_FSW_PE;
}

static long double element(const union emu_xmm *v, bool is_double, bool zero_denormals, unsigned n)
{
	if (zero_denormals &&
	    (is_double ? !(v->u64[n] & 0x7ff0000000000000) : !(v->u32[n] & 0x7f800000))) {
		return 0;
	}
	return is_double ? (long double)v->f64[n] : (long double)v->f32[n];
}

/* Element @n of the result: operands and operation. */
static bool element_inexact(enum simd_op op, bool is_double, bool daz, const union emu_xmm *d,
			    const union emu_xmm *s, unsigned n, unsigned count)
{
	uint16_t fcw = is_double ? FCW_DOUBLE : FCW_SINGLE;
	const union emu_xmm *from = n < count / 2 ? d : s;
	unsigned pair = n % (count / 2 == 0 ? 1 : count / 2) * 2;

	switch (op) {
	case SIMD_OP_HADD:
	case SIMD_OP_HSUB:
		return is_inexact(op == SIMD_OP_HADD ? SIMD_OP_ADD : SIMD_OP_SUB,
				  element(from, is_double, daz, pair),
				  element(from, is_double, daz, pair + 1), fcw);
	case SIMD_OP_ADDSUB:
		return is_inexact(n & 1 ? SIMD_OP_ADD : SIMD_OP_SUB, element(d, is_double, daz, n),
				  element(s, is_double, daz, n), fcw);
	case SIMD_OP_NARROW:
		return is_inexact(SIMD_OP_MUL, element(s, true, daz, n), 1, FCW_SINGLE);
	case SIMD_OP_ADD:
	case SIMD_OP_SUB:
	case SIMD_OP_MUL:
	case SIMD_OP_DIV:
	case SIMD_OP_OTHER:
	default:
		return is_inexact(op, element(d, is_double, daz, n), element(s, is_double, daz, n),
				  fcw);
	}
}

static void precision_correct(struct emu_vp *vp, enum simd_op op, bool is_double, bool packed,
			      __m128i d, __m128i s)
{
	uint32_t before = vp->fpu.host_mxcsr & 0xffff;
	uint32_t raised = vp->fpu.host_mxcsr >> 16;
	bool wide = is_double || op == SIMD_OP_NARROW;
	unsigned count = !packed ? 1 : wide ? 2 : 4;
	union emu_xmm a, b;

	/* A masked overflow or underflow among the elements is inexact by definition. */
	if (op == SIMD_OP_OTHER || (before & PE) || !(raised & (OE | UE)) || !(raised & PE) ||
	    (raised & (OE | UE) & before >> 7)) {
		return;
	}
	memcpy(&a, &d, sizeof(a));
	memcpy(&b, &s, sizeof(b));
	vp->fpu.mxcsr &= ~PE;
	for (unsigned n = 0; n < count; n++) {
		if (element_inexact(op, is_double, before & 0x40, &a, &b, n, count)) {
			vp->fpu.mxcsr |= PE;
		}
	}
}

__attribute__((noinline)) const struct emu_insn *simd_fp_fault(struct emu_vp *vp,
							       const struct emu_insn *i,
							       enum simd_op op, bool is_double,
							       bool packed, __m128i d, __m128i s)
{
	precision_correct(vp, op, is_double, packed, d, s);
	return emu_leave(vp, i);
}

/* One step of a dot product. */
static bool step(struct emu_vp *vp, enum simd_op op, bool is_double, __m128i a, __m128i b,
		 __m128i *ret)
{
	__m128i v = a;
	uint32_t special = simd_fp_enter(vp);

	if (op == SIMD_OP_MUL && is_double) {
		__asm__ volatile("mulpd %1, %0" : "+x"(v) : "x"(b));
	} else if (op == SIMD_OP_MUL) {
		__asm__ volatile("mulps %1, %0" : "+x"(v) : "x"(b));
	} else if (is_double) {
		__asm__ volatile("haddpd %1, %0" : "+x"(v) : "x"(b));
	} else {
		__asm__ volatile("haddps %1, %0" : "+x"(v) : "x"(b));
	}
	if (!simd_fp_leave(vp, special)) {
		precision_correct(vp, op, is_double, true, a, b);
		return false;
	}
	*ret = v;
	return true;
}

__attribute__((noinline)) bool simd_dot_product_steps(struct emu_vp *vp, __m128i d, __m128i s,
						      bool is_double, uint8_t imm)
{
	union emu_xmm mask;
	__m128i chosen, v;

	for (unsigned n = 0; n < 4; n++) {
		mask.u32[n] = imm >> (is_double ? 4 + n / 2 : 4 + n) & 1 ? UINT32_MAX : 0;
	}
	memcpy(&chosen, &mask, sizeof(chosen));
	return step(vp, SIMD_OP_MUL, is_double, _mm_and_si128(d, chosen), _mm_and_si128(s, chosen),
		    &v) &&
	       step(vp, SIMD_OP_HADD, is_double, v, v, &v) &&
	       (is_double || step(vp, SIMD_OP_HADD, is_double, v, v, &v));
}
