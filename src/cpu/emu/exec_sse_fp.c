/* SPDX-License-Identifier: Apache-2.0 */
/* XMM arithmetic and conversions under the guest's MXCSR, and the comparisons that set EFLAGS. */
#define EMU_HOT 1
#include "flags.h"
#include "simd.h"

/* Name, host instruction, bytes of the memory source. */
#define FOR_EACH(X)                                                                                \
	X(ADDPS, "addps", 16)                                                                      \
	X(ADDPD, "addpd", 16)                                                                      \
	X(ADDSS, "addss", 4)                                                                       \
	X(ADDSD, "addsd", 8)                                                                       \
	X(SUBPS, "subps", 16)                                                                      \
	X(SUBPD, "subpd", 16)                                                                      \
	X(SUBSS, "subss", 4)                                                                       \
	X(SUBSD, "subsd", 8)                                                                       \
	X(MULPS, "mulps", 16)                                                                      \
	X(MULPD, "mulpd", 16)                                                                      \
	X(MULSS, "mulss", 4)                                                                       \
	X(MULSD, "mulsd", 8)                                                                       \
	X(DIVPS, "divps", 16)                                                                      \
	X(DIVPD, "divpd", 16)                                                                      \
	X(DIVSS, "divss", 4)                                                                       \
	X(DIVSD, "divsd", 8)                                                                       \
	X(MINPS, "minps", 16)                                                                      \
	X(MINPD, "minpd", 16)                                                                      \
	X(MINSS, "minss", 4)                                                                       \
	X(MINSD, "minsd", 8)                                                                       \
	X(MAXPS, "maxps", 16)                                                                      \
	X(MAXPD, "maxpd", 16)                                                                      \
	X(MAXSS, "maxss", 4)                                                                       \
	X(MAXSD, "maxsd", 8)                                                                       \
	X(SQRTPS, "sqrtps", 16)                                                                    \
	X(SQRTPD, "sqrtpd", 16)                                                                    \
	X(SQRTSS, "sqrtss", 4)                                                                     \
	X(SQRTSD, "sqrtsd", 8)                                                                     \
	X(ADDSUBPS, "addsubps", 16)                                                                \
	X(ADDSUBPD, "addsubpd", 16)                                                                \
	X(HADDPS, "haddps", 16)                                                                    \
	X(HADDPD, "haddpd", 16)                                                                    \
	X(HSUBPS, "hsubps", 16)                                                                    \
	X(HSUBPD, "hsubpd", 16)                                                                    \
	X(CVTDQ2PS, "cvtdq2ps", 16)                                                                \
	X(CVTPS2DQ, "cvtps2dq", 16)                                                                \
	X(CVTTPS2DQ, "cvttps2dq", 16)                                                              \
	X(CVTPD2DQ, "cvtpd2dq", 16)                                                                \
	X(CVTTPD2DQ, "cvttpd2dq", 16)                                                              \
	X(CVTPD2PS, "cvtpd2ps", 16)                                                                \
	X(CVTPS2PD, "cvtps2pd", 8)                                                                 \
	X(CVTDQ2PD, "cvtdq2pd", 8)                                                                 \
	X(CVTSS2SD, "cvtss2sd", 4)                                                                 \
	X(CVTSD2SS, "cvtsd2ss", 8)

/* The source is the second operand; the result is written only when no unmasked exception came up.
 */
#define DEFINE(name, text, bytes)                                                                  \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		uint32_t want;                                                                     \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		want = simd_fp_enter(vp);                                                          \
		__asm__ volatile(text " %1, %0" : "+x"(v) : "x"(*simd_xmm(vp, i->rs)));            \
		if (unlikely(!simd_fp_leave(vp, want))) {                                          \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		__m128i s;                                                                         \
		uint32_t want;                                                                     \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s)) {                                              \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		want = simd_fp_enter(vp);                                                          \
		__asm__ volatile(text " %1, %0" : "+x"(v) : "x"(s));                               \
		if (unlikely(!simd_fp_leave(vp, want))) {                                          \
			return emu_leave(vp, i);                                                   \
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
		uint32_t want = simd_fp_enter(vp);                                                 \
                                                                                                   \
		__asm__ volatile(text " %4, %3"                                                    \
				 : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry)                  \
				 : "x"(a), "x"(b));                                                \
		if (unlikely(!simd_fp_leave(vp, want))) {                                          \
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
#define PAIR(name, text, bytes) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH(PAIR)
	FOR_EACH_COMPARE(PAIR)

	switch (mnemonic) { /* NOLINT */
#define CASE(name, text, bytes)                                                                    \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
		FOR_EACH(CASE)
		FOR_EACH_COMPARE(CASE)
	default:
		return NULL;
	}
}
