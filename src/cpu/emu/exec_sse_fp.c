/* SPDX-License-Identifier: Apache-2.0 */
/* XMM arithmetic and conversions under the guest's MXCSR, and the comparisons that set EFLAGS. */
#define EMU_HOT 1
#include "flags.h"
#include "simd.h"

/* Name, host instruction, bytes of the memory source, what it computes (SIMD_OP_*). */
#define FOR_EACH(X)                                                                                \
	X(ADDPS, "addps", 16, ADD)                                                                 \
	X(ADDPD, "addpd", 16, ADD)                                                                 \
	X(ADDSS, "addss", 4, ADD)                                                                  \
	X(ADDSD, "addsd", 8, ADD)                                                                  \
	X(SUBPS, "subps", 16, SUB)                                                                 \
	X(SUBPD, "subpd", 16, SUB)                                                                 \
	X(SUBSS, "subss", 4, SUB)                                                                  \
	X(SUBSD, "subsd", 8, SUB)                                                                  \
	X(MULPS, "mulps", 16, MUL)                                                                 \
	X(MULPD, "mulpd", 16, MUL)                                                                 \
	X(MULSS, "mulss", 4, MUL)                                                                  \
	X(MULSD, "mulsd", 8, MUL)                                                                  \
	X(DIVPS, "divps", 16, DIV)                                                                 \
	X(DIVPD, "divpd", 16, DIV)                                                                 \
	X(DIVSS, "divss", 4, DIV)                                                                  \
	X(DIVSD, "divsd", 8, DIV)                                                                  \
	X(MINPS, "minps", 16, OTHER)                                                               \
	X(MINPD, "minpd", 16, OTHER)                                                               \
	X(MINSS, "minss", 4, OTHER)                                                                \
	X(MINSD, "minsd", 8, OTHER)                                                                \
	X(MAXPS, "maxps", 16, OTHER)                                                               \
	X(MAXPD, "maxpd", 16, OTHER)                                                               \
	X(MAXSS, "maxss", 4, OTHER)                                                                \
	X(MAXSD, "maxsd", 8, OTHER)                                                                \
	X(SQRTPS, "sqrtps", 16, OTHER)                                                             \
	X(SQRTPD, "sqrtpd", 16, OTHER)                                                             \
	X(SQRTSS, "sqrtss", 4, OTHER)                                                              \
	X(SQRTSD, "sqrtsd", 8, OTHER)                                                              \
	X(ADDSUBPS, "addsubps", 16, ADDSUB)                                                        \
	X(ADDSUBPD, "addsubpd", 16, ADDSUB)                                                        \
	X(HADDPS, "haddps", 16, HADD)                                                              \
	X(HADDPD, "haddpd", 16, HADD)                                                              \
	X(HSUBPS, "hsubps", 16, HSUB)                                                              \
	X(HSUBPD, "hsubpd", 16, HSUB)                                                              \
	X(CVTDQ2PS, "cvtdq2ps", 16, OTHER)                                                         \
	X(CVTPS2DQ, "cvtps2dq", 16, OTHER)                                                         \
	X(CVTTPS2DQ, "cvttps2dq", 16, OTHER)                                                       \
	X(CVTPD2DQ, "cvtpd2dq", 16, OTHER)                                                         \
	X(CVTTPD2DQ, "cvttpd2dq", 16, OTHER)                                                       \
	X(CVTPD2PS, "cvtpd2ps", 16, NARROW)                                                        \
	X(CVTPS2PD, "cvtps2pd", 8, OTHER)                                                          \
	X(CVTDQ2PD, "cvtdq2pd", 8, OTHER)                                                          \
	X(CVTSS2SD, "cvtss2sd", 4, OTHER)                                                          \
	X(CVTSD2SS, "cvtsd2ss", 8, NARROW)

/* Of the operation, by the last two letters of its name: PS, PD, SS, SD. */
#define IS_DOUBLE(text) ((text)[sizeof(text) - 2] == 'd')
#define IS_PACKED(text) ((text)[sizeof(text) - 3] == 'p')

/* The source is the second operand; the result is written only without an unmasked exception. */
#define DEFINE(name, text, bytes, op)                                                              \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		uint32_t special;                                                                  \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		special = simd_fp_enter(vp);                                                       \
		__asm__ volatile(text " %1, %0" : "+x"(v) : "x"(*simd_xmm(vp, i->rs)));            \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return simd_fp_fault(vp, i, SIMD_OP_##op, IS_DOUBLE(text),                 \
					     IS_PACKED(text), *d, *simd_xmm(vp, i->rs));           \
		}                                                                                  \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		__m128i s;                                                                         \
		uint32_t special;                                                                  \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s)) {                                              \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		special = simd_fp_enter(vp);                                                       \
		__asm__ volatile(text " %1, %0" : "+x"(v) : "x"(s));                               \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return simd_fp_fault(vp, i, SIMD_OP_##op, IS_DOUBLE(text),                 \
					     IS_PACKED(text), *d, s);                              \
		}                                                                                  \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH(DEFINE)

#define FOR_EACH_COMPARE(X)                                                                        \
	X(COMISS, "comiss", 4)                                                                     \
	X(COMISD, "comisd", 8)                                                                     \
	X(UCOMISS, "ucomiss", 4)                                                                   \
	X(UCOMISD, "ucomisd", 8)

#define DEFINE_COMPARE(name, text, bytes)                                                          \
	EMU_INLINE bool name##_do(struct emu_vp *vp, __m128i a, __m128i b)                         \
	{                                                                                          \
		bool zero, parity, carry;                                                          \
		uint32_t special = simd_fp_enter(vp);                                              \
                                                                                                   \
		__asm__ volatile(text " %4, %3"                                                    \
				 : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry)                  \
				 : "x"(a), "x"(b));                                                \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return false;                                                              \
		}                                                                                  \
		emu_arith_set(vp,                                                                  \
			      (zero ? X86_ZF : 0) | (parity ? X86_PF : 0) | (carry ? X86_CF : 0)); \
		return true;                                                                       \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!name##_do(vp, *simd_xmm(vp, i->rd), *simd_xmm(vp, i->rs))) {                  \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s) || !name##_do(vp, *simd_xmm(vp, i->rd), s)) {   \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_COMPARE(DEFINE_COMPARE)

const struct simd_pair *simd_find_fp(ZydisMnemonic mnemonic)
{
#define PAIR(name, ...) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH(PAIR)
	FOR_EACH_COMPARE(PAIR)

	switch (mnemonic) { /* NOLINT */
#define CASE(name, ...)                                                                            \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
		FOR_EACH(CASE)
		FOR_EACH_COMPARE(CASE)
	default:
		return NULL;
	}
}
