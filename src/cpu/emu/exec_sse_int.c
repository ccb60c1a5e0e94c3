/* SPDX-License-Identifier: Apache-2.0 */
/* XMM integer and logic operations of SSE and SSE2: destination and source registers, or an aligned
 * 16-byte memory source. */
#define EMU_HOT 1
#include "simd.h"

#define FOR_EACH(X)                                                                                \
	X(PACKSSDW, "packssdw")                                                                    \
	X(PACKSSWB, "packsswb")                                                                    \
	X(PACKUSWB, "packuswb")                                                                    \
	X(PADDB, "paddb")                                                                          \
	X(PADDD, "paddd")                                                                          \
	X(PADDQ, "paddq")                                                                          \
	X(PADDSB, "paddsb")                                                                        \
	X(PADDSW, "paddsw")                                                                        \
	X(PADDUSB, "paddusb")                                                                      \
	X(PADDUSW, "paddusw")                                                                      \
	X(PADDW, "paddw")                                                                          \
	X(PAND, "pand")                                                                            \
	X(PANDN, "pandn")                                                                          \
	X(PAVGB, "pavgb")                                                                          \
	X(PAVGW, "pavgw")                                                                          \
	X(PCMPEQB, "pcmpeqb")                                                                      \
	X(PCMPEQD, "pcmpeqd")                                                                      \
	X(PCMPEQW, "pcmpeqw")                                                                      \
	X(PCMPGTB, "pcmpgtb")                                                                      \
	X(PCMPGTD, "pcmpgtd")                                                                      \
	X(PCMPGTW, "pcmpgtw")                                                                      \
	X(PMADDWD, "pmaddwd")                                                                      \
	X(PMAXSW, "pmaxsw")                                                                        \
	X(PMAXUB, "pmaxub")                                                                        \
	X(PMINSW, "pminsw")                                                                        \
	X(PMINUB, "pminub")                                                                        \
	X(PMULHUW, "pmulhuw")                                                                      \
	X(PMULHW, "pmulhw")                                                                        \
	X(PMULLW, "pmullw")                                                                        \
	X(PMULUDQ, "pmuludq")                                                                      \
	X(POR, "por")                                                                              \
	X(PSADBW, "psadbw")                                                                        \
	X(PSLLD, "pslld")                                                                          \
	X(PSLLQ, "psllq")                                                                          \
	X(PSLLW, "psllw")                                                                          \
	X(PSRAD, "psrad")                                                                          \
	X(PSRAW, "psraw")                                                                          \
	X(PSRLD, "psrld")                                                                          \
	X(PSRLQ, "psrlq")                                                                          \
	X(PSRLW, "psrlw")                                                                          \
	X(PSUBB, "psubb")                                                                          \
	X(PSUBD, "psubd")                                                                          \
	X(PSUBQ, "psubq")                                                                          \
	X(PSUBSB, "psubsb")                                                                        \
	X(PSUBSW, "psubsw")                                                                        \
	X(PSUBUSB, "psubusb")                                                                      \
	X(PSUBUSW, "psubusw")                                                                      \
	X(PSUBW, "psubw")                                                                          \
	X(PUNPCKHBW, "punpckhbw")                                                                  \
	X(PUNPCKHDQ, "punpckhdq")                                                                  \
	X(PUNPCKHQDQ, "punpckhqdq")                                                                \
	X(PUNPCKHWD, "punpckhwd")                                                                  \
	X(PUNPCKLBW, "punpcklbw")                                                                  \
	X(PUNPCKLDQ, "punpckldq")                                                                  \
	X(PUNPCKLQDQ, "punpcklqdq")                                                                \
	X(PUNPCKLWD, "punpcklwd")                                                                  \
	X(PXOR, "pxor")                                                                            \
	X(ANDNPD, "andnpd")                                                                        \
	X(ANDNPS, "andnps")                                                                        \
	X(ANDPD, "andpd")                                                                          \
	X(ANDPS, "andps")                                                                          \
	X(ORPD, "orpd")                                                                            \
	X(ORPS, "orps")                                                                            \
	X(XORPD, "xorpd")                                                                          \
	X(XORPS, "xorps")                                                                          \
	X(UNPCKHPD, "unpckhpd")                                                                    \
	X(UNPCKHPS, "unpckhps")                                                                    \
	X(UNPCKLPD, "unpcklpd")                                                                    \
	X(UNPCKLPS, "unpcklps")                                                                    \
	X(RCPPS, "rcpps")                                                                          \
	X(RSQRTPS, "rsqrtps")

#define DEFINE(name, text)                                                                         \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		__asm__(text " %1, %0" : "+x"(v) : "xm"(*simd_xmm(vp, i->rs)));                    \
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
		if (!simd_load128(vp, i, true, &s)) {                                              \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		__asm__(text " %1, %0" : "+x"(v) : "x"(s));                                        \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH(DEFINE)

/* Shifts by an immediate have one register and the count in i->imm. */
#define FOR_EACH_SHIFT(X)                                                                          \
	X(PSLLW, "psllw")                                                                          \
	X(PSLLD, "pslld")                                                                          \
	X(PSLLQ, "psllq")                                                                          \
	X(PSRLW, "psrlw")                                                                          \
	X(PSRLD, "psrld")                                                                          \
	X(PSRLQ, "psrlq")                                                                          \
	X(PSRAW, "psraw")                                                                          \
	X(PSRAD, "psrad")
#define DEFINE_SHIFT(name, text)                                                                   \
	static const struct emu_insn *name##_imm(struct emu_vp *vp, const struct emu_insn *i)      \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		__asm__(text " %1, %0" : "+x"(v) : "x"(_mm_cvtsi32_si128((uint8_t)i->imm)));       \
		*d = v;                                                                            \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_SHIFT(DEFINE_SHIFT)

emu_fn *simd_find_int_shift(ZydisMnemonic mnemonic)
{
	switch (mnemonic) { /* NOLINT */
#define CASE_SHIFT(name, text)                                                                     \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return name##_imm;
		FOR_EACH_SHIFT(CASE_SHIFT)
	default:
		return NULL;
	}
}

const struct simd_pair *simd_find_int(ZydisMnemonic mnemonic)
{
#define PAIR(name, text) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH(PAIR)

	switch (mnemonic) { /* NOLINT */
#define CASE(name, text)                                                                           \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
		FOR_EACH(CASE)
	default:
		return NULL;
	}
}
