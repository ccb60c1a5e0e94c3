/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between XMM registers and general or MMX registers. */
#define EMU_HOT 1
#include "simd.h"

/*
 * General register to XMM. @bits is the width of the integer. CVTSI2SD of 32 bits is always exact,
 * but the bracket does not hurt.
 */
#define FOR_EACH_FROM_GPR(X)                                                                       \
	X(CVTSI2SS_32, "cvtsi2ssl", 32)                                                            \
	X(CVTSI2SS_64, "cvtsi2ssq", 64)                                                            \
	X(CVTSI2SD_32, "cvtsi2sdl", 32)                                                            \
	X(CVTSI2SD_64, "cvtsi2sdq", 64)

#define DEFINE_FROM_GPR(name, text, bits)                                                          \
	EMU_INLINE bool name##_do(struct emu_vp *vp, const struct emu_insn *i, uint64_t s)         \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		uint32_t special = simd_fp_enter(vp);                                              \
                                                                                                   \
		__asm__ volatile(text " %1, %0" : "+x"(v) : "r"((uint##bits##_t)s));               \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return false;                                                              \
		}                                                                                  \
		*d = v;                                                                            \
		return true;                                                                       \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!name##_do(vp, i, vp->r[i->rs])) {                                             \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		uint64_t s;                                                                        \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_load(vp, i, bits / 8, &s) || !name##_do(vp, i, s)) {                     \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_FROM_GPR(DEFINE_FROM_GPR)

/* XMM or memory of @bytes to a general register of @bits. */
#define FOR_EACH_TO_GPR(X)                                                                         \
	X(CVTSS2SI_32, "cvtss2sil", 32, 4)                                                         \
	X(CVTSS2SI_64, "cvtss2siq", 64, 4)                                                         \
	X(CVTSD2SI_32, "cvtsd2sil", 32, 8)                                                         \
	X(CVTSD2SI_64, "cvtsd2siq", 64, 8)                                                         \
	X(CVTTSS2SI_32, "cvttss2sil", 32, 4)                                                       \
	X(CVTTSS2SI_64, "cvttss2siq", 64, 4)                                                       \
	X(CVTTSD2SI_32, "cvttsd2sil", 32, 8)                                                       \
	X(CVTTSD2SI_64, "cvttsd2siq", 64, 8)

#define DEFINE_TO_GPR(name, text, bits, bytes)                                                     \
	EMU_INLINE bool name##_do(struct emu_vp *vp, const struct emu_insn *i, __m128i s)          \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		uint32_t special = simd_fp_enter(vp);                                              \
                                                                                                   \
		__asm__ volatile(text " %1, %0" : "=r"(v) : "x"(s));                               \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return false;                                                              \
		}                                                                                  \
		vp->r[i->rd] = v;                                                                  \
		return true;                                                                       \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!name##_do(vp, i, *simd_xmm(vp, i->rs))) {                                     \
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
		if (!simd_source(vp, i, bytes, &s) || !name##_do(vp, i, s)) {                      \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_TO_GPR(DEFINE_TO_GPR)

/*
 * MMX register or memory to XMM, and back. On the host the MMX operand goes through MM0, and the
 * FPU is left empty. From memory nothing is an MMX operand, and the guest's x87 state is left alone
 * (Interop: AMD; the SDM says so for CVTPI2PD only). With an MMX operand the state changes even
 * when #XM follows.
 */
#define FOR_EACH_FROM_MM(X)                                                                        \
	X(CVTPI2PS, "cvtpi2ps")                                                                    \
	X(CVTPI2PD, "cvtpi2pd")

#define DEFINE_FROM_MM(name, text)                                                                 \
	EMU_INLINE bool name##_do(struct emu_vp *vp, const struct emu_insn *i, uint64_t s)         \
	{                                                                                          \
		__m128i *d = simd_xmm(vp, i->rd);                                                  \
		__m128i v = *d;                                                                    \
		uint32_t special = simd_fp_enter(vp);                                              \
                                                                                                   \
		__asm__ volatile("movq %1, %%mm0\n\t" text " %%mm0, %0\n\temms"                    \
				 : "+x"(v)                                                         \
				 : "r"(s)                                                          \
				 : "mm0");                                                         \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return false;                                                              \
		}                                                                                  \
		*d = v;                                                                            \
		return true;                                                                       \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_sse_blocked(vp) || simd_mmx_blocked(vp)) {                                \
			return simd_mixed_refuse(vp, i);                                           \
		}                                                                                  \
		simd_mmx_enter(vp);                                                                \
		if (!name##_do(vp, i, simd_mm(vp, i->rs))) {                                       \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		uint64_t s;                                                                        \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_load(vp, i, 8, &s) || !name##_do(vp, i, s)) {                            \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_FROM_MM(DEFINE_FROM_MM)

#define FOR_EACH_TO_MM(X)                                                                          \
	X(CVTPS2PI, "cvtps2pi", 8)                                                                 \
	X(CVTTPS2PI, "cvttps2pi", 8)                                                               \
	X(CVTPD2PI, "cvtpd2pi", 16)                                                                \
	X(CVTTPD2PI, "cvttpd2pi", 16)

#define DEFINE_TO_MM(name, text, bytes)                                                            \
	EMU_INLINE bool name##_do(struct emu_vp *vp, const struct emu_insn *i, __m128i s)          \
	{                                                                                          \
		uint64_t v;                                                                        \
		uint32_t special = simd_fp_enter(vp);                                              \
                                                                                                   \
		__asm__ volatile(text " %1, %%mm0\n\tmovq %%mm0, %0\n\temms"                       \
				 : "=r"(v)                                                         \
				 : "x"(s)                                                          \
				 : "mm0");                                                         \
		simd_mmx_enter(vp);                                                                \
		if (unlikely(!simd_fp_leave(vp, special))) {                                       \
			return false;                                                              \
		}                                                                                  \
		simd_mm_set(vp, i->rd, v);                                                         \
		return true;                                                                       \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_sse_blocked(vp) || simd_mmx_blocked(vp)) {                                \
			return simd_mixed_refuse(vp, i);                                           \
		}                                                                                  \
		if (!name##_do(vp, i, *simd_xmm(vp, i->rs))) {                                     \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp) || simd_mmx_blocked(vp)) {                                \
			return simd_mixed_refuse(vp, i);                                           \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s) || !name##_do(vp, i, s)) {                      \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_TO_MM(DEFINE_TO_MM)

const struct simd_pair *simd_find_cvt(ZydisMnemonic mnemonic, bool wide_gpr)
{
#define PAIR(name, ...) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH_FROM_GPR(PAIR)
	FOR_EACH_TO_GPR(PAIR)
	FOR_EACH_FROM_MM(PAIR)
	FOR_EACH_TO_MM(PAIR)

	switch (mnemonic) { /* NOLINT */
#define CASE(name, ...)                                                                            \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
#define CASE_GPR(name)                                                                             \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return wide_gpr ? &name##_64_pair : &name##_32_pair;
		FOR_EACH_FROM_MM(CASE)
		FOR_EACH_TO_MM(CASE)
		CASE_GPR(CVTSI2SS)
		CASE_GPR(CVTSI2SD)
		CASE_GPR(CVTSS2SI)
		CASE_GPR(CVTSD2SI)
		CASE_GPR(CVTTSS2SI)
		CASE_GPR(CVTTSD2SI)
	default:
		return NULL;
	}
}
