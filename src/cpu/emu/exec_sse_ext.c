/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XMM operations of SSE3, SSSE3, SSE4.1, SSE4.2 and AES without an immediate, and the widening ones
 * whose memory source is small. The lifter has checked that the host's processor has the group.
 */
#define EMU_HOT 1
#include "flags.h"
#include "simd.h"

/* Name, host instruction, bytes of the memory source. */
#define FOR_EACH(X)                                                                                \
	X(PSHUFB, "pshufb", 16)                                                                    \
	X(PHADDW, "phaddw", 16)                                                                    \
	X(PHADDD, "phaddd", 16)                                                                    \
	X(PHADDSW, "phaddsw", 16)                                                                  \
	X(PHSUBW, "phsubw", 16)                                                                    \
	X(PHSUBD, "phsubd", 16)                                                                    \
	X(PHSUBSW, "phsubsw", 16)                                                                  \
	X(PMADDUBSW, "pmaddubsw", 16)                                                              \
	X(PMULHRSW, "pmulhrsw", 16)                                                                \
	X(PSIGNB, "psignb", 16)                                                                    \
	X(PSIGNW, "psignw", 16)                                                                    \
	X(PSIGND, "psignd", 16)                                                                    \
	X(PABSB, "pabsb", 16)                                                                      \
	X(PABSW, "pabsw", 16)                                                                      \
	X(PABSD, "pabsd", 16)                                                                      \
	X(PMULDQ, "pmuldq", 16)                                                                    \
	X(PMULLD, "pmulld", 16)                                                                    \
	X(PMINSB, "pminsb", 16)                                                                    \
	X(PMAXSB, "pmaxsb", 16)                                                                    \
	X(PMINUW, "pminuw", 16)                                                                    \
	X(PMAXUW, "pmaxuw", 16)                                                                    \
	X(PMINSD, "pminsd", 16)                                                                    \
	X(PMAXSD, "pmaxsd", 16)                                                                    \
	X(PMINUD, "pminud", 16)                                                                    \
	X(PMAXUD, "pmaxud", 16)                                                                    \
	X(PCMPEQQ, "pcmpeqq", 16)                                                                  \
	X(PCMPGTQ, "pcmpgtq", 16)                                                                  \
	X(PACKUSDW, "packusdw", 16)                                                                \
	X(PHMINPOSUW, "phminposuw", 16)                                                            \
	X(MOVSHDUP, "movshdup", 16)                                                                \
	X(MOVSLDUP, "movsldup", 16)                                                                \
	X(AESENC, "aesenc", 16)                                                                    \
	X(AESENCLAST, "aesenclast", 16)                                                            \
	X(AESDEC, "aesdec", 16)                                                                    \
	X(AESDECLAST, "aesdeclast", 16)                                                            \
	X(AESIMC, "aesimc", 16)                                                                    \
	X(PMOVSXBW, "pmovsxbw", 8)                                                                 \
	X(PMOVSXBD, "pmovsxbd", 4)                                                                 \
	X(PMOVSXBQ, "pmovsxbq", 2)                                                                 \
	X(PMOVSXWD, "pmovsxwd", 8)                                                                 \
	X(PMOVSXWQ, "pmovsxwq", 4)                                                                 \
	X(PMOVSXDQ, "pmovsxdq", 8)                                                                 \
	X(PMOVZXBW, "pmovzxbw", 8)                                                                 \
	X(PMOVZXBD, "pmovzxbd", 4)                                                                 \
	X(PMOVZXBQ, "pmovzxbq", 2)                                                                 \
	X(PMOVZXWD, "pmovzxwd", 8)                                                                 \
	X(PMOVZXWQ, "pmovzxwq", 4)                                                                 \
	X(PMOVZXDQ, "pmovzxdq", 8)                                                                 \
	X(MOVDDUP, "movddup", 8)                                                                   \
	X(RCPSS, "rcpss", 4)                                                                       \
	X(RSQRTSS, "rsqrtss", 4)

/* XMM0 is an implicit third operand. */
#define FOR_EACH_BLEND(X)                                                                          \
	X(BLENDVPD, "blendvpd %%xmm0,", 16, "Yz"(*simd_xmm(vp, 0)))                                \
	X(BLENDVPS, "blendvps %%xmm0,", 16, "Yz"(*simd_xmm(vp, 0)))                                \
	X(PBLENDVB, "pblendvb %%xmm0,", 16, "Yz"(*simd_xmm(vp, 0)))

#define DEFINE(name, text, bytes, ...)                                                             \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		__asm__(text " %1, %0" : "+x"(v) : "x"(*simd_xmm(vp, i->rs)), ##__VA_ARGS__);      \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s)) {                                              \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		__asm__(text " %1, %0" : "+x"(v) : "x"(s), ##__VA_ARGS__);                         \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH(DEFINE)
FOR_EACH_BLEND(DEFINE)

static void ptest(struct emu_vp *vp, __m128i a, __m128i b)
{
	bool zero, carry;

	__asm__("ptest %3, %2" : "=@ccz"(zero), "=@ccc"(carry) : "x"(a), "x"(b));
	emu_arith_set(vp, (zero ? X86_ZF : 0) | (carry ? X86_CF : 0));
}

static const struct emu_insn *PTEST_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	ptest(vp, *simd_xmm(vp, i->rd), *simd_xmm(vp, i->rs));
	EMU_NEXT(vp, i);
}

static const struct emu_insn *PTEST_rm(struct emu_vp *vp, const struct emu_insn *i)
{
	__m128i s;

	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!simd_load128(vp, i, true, &s)) {
		return emu_leave(vp, i);
	}
	ptest(vp, *simd_xmm(vp, i->rd), s);
	EMU_NEXT(vp, i);
}

const struct simd_pair *simd_find_ssse3(ZydisMnemonic mnemonic)
{
#define PAIR(name, ...) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH(PAIR)
	FOR_EACH_BLEND(PAIR)
	PAIR(PTEST)

	switch (mnemonic) { /* NOLINT */
#define CASE(name, ...)                                                                            \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
		FOR_EACH(CASE)
		FOR_EACH_BLEND(CASE)
		CASE(PTEST)
	default:
		return NULL;
	}
}
