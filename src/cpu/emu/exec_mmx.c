/* SPDX-License-Identifier: Apache-2.0 */
/* MMX operations on MM registers, with the SSE, SSE2 and SSSE3 additions. The host's MM0 does the
 * work. */
#define EMU_HOT 1
#include "simd.h"

/* Name, host instruction, bytes of the memory source. */
#define FOR_EACH(X)                                                                                \
	X(PACKSSDW, "packssdw", 8)                                                                 \
	X(PACKSSWB, "packsswb", 8)                                                                 \
	X(PACKUSWB, "packuswb", 8)                                                                 \
	X(PADDB, "paddb", 8)                                                                       \
	X(PADDD, "paddd", 8)                                                                       \
	X(PADDQ, "paddq", 8)                                                                       \
	X(PADDSB, "paddsb", 8)                                                                     \
	X(PADDSW, "paddsw", 8)                                                                     \
	X(PADDUSB, "paddusb", 8)                                                                   \
	X(PADDUSW, "paddusw", 8)                                                                   \
	X(PADDW, "paddw", 8)                                                                       \
	X(PAND, "pand", 8)                                                                         \
	X(PANDN, "pandn", 8)                                                                       \
	X(PAVGB, "pavgb", 8)                                                                       \
	X(PAVGW, "pavgw", 8)                                                                       \
	X(PCMPEQB, "pcmpeqb", 8)                                                                   \
	X(PCMPEQD, "pcmpeqd", 8)                                                                   \
	X(PCMPEQW, "pcmpeqw", 8)                                                                   \
	X(PCMPGTB, "pcmpgtb", 8)                                                                   \
	X(PCMPGTD, "pcmpgtd", 8)                                                                   \
	X(PCMPGTW, "pcmpgtw", 8)                                                                   \
	X(PMADDWD, "pmaddwd", 8)                                                                   \
	X(PMAXSW, "pmaxsw", 8)                                                                     \
	X(PMAXUB, "pmaxub", 8)                                                                     \
	X(PMINSW, "pminsw", 8)                                                                     \
	X(PMINUB, "pminub", 8)                                                                     \
	X(PMULHUW, "pmulhuw", 8)                                                                   \
	X(PMULHW, "pmulhw", 8)                                                                     \
	X(PMULLW, "pmullw", 8)                                                                     \
	X(PMULUDQ, "pmuludq", 8)                                                                   \
	X(POR, "por", 8)                                                                           \
	X(PSADBW, "psadbw", 8)                                                                     \
	X(PSLLD, "pslld", 8)                                                                       \
	X(PSLLQ, "psllq", 8)                                                                       \
	X(PSLLW, "psllw", 8)                                                                       \
	X(PSRAD, "psrad", 8)                                                                       \
	X(PSRAW, "psraw", 8)                                                                       \
	X(PSRLD, "psrld", 8)                                                                       \
	X(PSRLQ, "psrlq", 8)                                                                       \
	X(PSRLW, "psrlw", 8)                                                                       \
	X(PSUBB, "psubb", 8)                                                                       \
	X(PSUBD, "psubd", 8)                                                                       \
	X(PSUBQ, "psubq", 8)                                                                       \
	X(PSUBSB, "psubsb", 8)                                                                     \
	X(PSUBSW, "psubsw", 8)                                                                     \
	X(PSUBUSB, "psubusb", 8)                                                                   \
	X(PSUBUSW, "psubusw", 8)                                                                   \
	X(PSUBW, "psubw", 8)                                                                       \
	X(PUNPCKHBW, "punpckhbw", 8)                                                               \
	X(PUNPCKHDQ, "punpckhdq", 8)                                                               \
	X(PUNPCKHWD, "punpckhwd", 8)                                                               \
	X(PXOR, "pxor", 8)                                                                         \
	X(PSHUFB, "pshufb", 8)                                                                     \
	X(PHADDW, "phaddw", 8)                                                                     \
	X(PHADDD, "phaddd", 8)                                                                     \
	X(PHADDSW, "phaddsw", 8)                                                                   \
	X(PHSUBW, "phsubw", 8)                                                                     \
	X(PHSUBD, "phsubd", 8)                                                                     \
	X(PHSUBSW, "phsubsw", 8)                                                                   \
	X(PMADDUBSW, "pmaddubsw", 8)                                                               \
	X(PMULHRSW, "pmulhrsw", 8)                                                                 \
	X(PSIGNB, "psignb", 8)                                                                     \
	X(PSIGNW, "psignw", 8)                                                                     \
	X(PSIGND, "psignd", 8)                                                                     \
	X(PABSB, "pabsb", 8)                                                                       \
	X(PABSW, "pabsw", 8)                                                                       \
	X(PABSD, "pabsd", 8)                                                                       \
	X(PUNPCKLBW, "punpcklbw", 4)                                                               \
	X(PUNPCKLDQ, "punpckldq", 4)                                                               \
	X(PUNPCKLWD, "punpcklwd", 4)

#define DEFINE(name, text, bytes)                                                                  \
	EMU_INLINE uint64_t name##_do(uint64_t d, uint64_t s)                                      \
	{                                                                                          \
		__asm__ volatile("movq %0, %%mm0\n\tmovq %1, %%mm1\n\t" text                       \
				 " %%mm1, %%mm0\n\tmovq %%mm0, %0\n\temms"                         \
				 : "+r"(d)                                                         \
				 : "r"(s)                                                          \
				 : "mm0", "mm1");                                                  \
		return d;                                                                          \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_mmx_blocked(vp)) {                                                        \
			return simd_mmx_refuse(vp, i);                                             \
		}                                                                                  \
		simd_mm_set(vp, i->rd, name##_do(simd_mm(vp, i->rd), simd_mm(vp, i->rs)));         \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		uint64_t s;                                                                        \
                                                                                                   \
		if (simd_mmx_blocked(vp)) {                                                        \
			return simd_mmx_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_load(vp, i, bytes, &s)) {                                                \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		simd_mm_set(vp, i->rd, name##_do(simd_mm(vp, i->rd), s));                          \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH(DEFINE)

/* Shifts by an immediate have one register and the count in i->imm. */
#define FOR_EACH_SHIFT(X)                                                                          \
	X(PSLLW)                                                                                   \
	X(PSLLD)                                                                                   \
	X(PSLLQ)                                                                                   \
	X(PSRLW)                                                                                   \
	X(PSRLD)                                                                                   \
	X(PSRLQ)                                                                                   \
	X(PSRAW)                                                                                   \
	X(PSRAD)
#define DEFINE_SHIFT(name)                                                                         \
	static const struct emu_insn *name##_imm(struct emu_vp *vp, const struct emu_insn *i)      \
	{                                                                                          \
		if (simd_mmx_blocked(vp)) {                                                        \
			return simd_mmx_refuse(vp, i);                                             \
		}                                                                                  \
		simd_mm_set(vp, i->rd, name##_do(simd_mm(vp, i->rd), i->imm & 0xff));              \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_SHIFT(DEFINE_SHIFT)

emu_fn *simd_find_mmx_shift(ZydisMnemonic mnemonic)
{
	switch (mnemonic) { /* NOLINT */
#define CASE_SHIFT(name)                                                                           \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return name##_imm;
		FOR_EACH_SHIFT(CASE_SHIFT)
	default:
		return NULL;
	}
}

static uint64_t shuffle_words(uint64_t s, uint8_t order)
{
	uint64_t d = 0;

	for (unsigned n = 0; n < 4; n++) {
		d |= (s >> (order >> 2 * n & 3) * 16 & 0xffff) << 16 * n;
	}
	return d;
}

/* Bytes @count.. of source:destination. */
static uint64_t align_right(uint64_t d, uint64_t s, uint8_t count)
{
	if (count >= 16) {
		return 0;
	}
	if (count >= 8) {
		return d >> (count - 8) * 8;
	}
	return count == 0 ? s : s >> count * 8 | d << (8 - count) * 8;
}

#define FOR_EACH_IMM(X)                                                                            \
	X(PSHUFW, shuffle_words(s, (uint8_t)i->imm))                                               \
	X(PALIGNR, align_right(simd_mm(vp, i->rd), s, (uint8_t)i->imm))
#define DEFINE_IMM(name, value)                                                                    \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		uint64_t s = simd_mm(vp, i->rs);                                                   \
                                                                                                   \
		if (simd_mmx_blocked(vp)) {                                                        \
			return simd_mmx_refuse(vp, i);                                             \
		}                                                                                  \
		simd_mm_set(vp, i->rd, value);                                                     \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		uint64_t s;                                                                        \
                                                                                                   \
		if (simd_mmx_blocked(vp)) {                                                        \
			return simd_mmx_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_load(vp, i, 8, &s)) {                                                    \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		simd_mm_set(vp, i->rd, value);                                                     \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH_IMM(DEFINE_IMM)

static const struct emu_insn *EMMS_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_mmx_blocked(vp)) {
		return simd_mmx_refuse(vp, i);
	}
	vp->fpu.fsw &= (uint16_t)~X87_FSW_TOP;
	vp->fpu.ftw = 0;
	EMU_NEXT(vp, i);
}

const struct simd_pair *simd_find_mmx(ZydisMnemonic mnemonic)
{
#define PAIR(name, ...) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH(PAIR)
	FOR_EACH_IMM(PAIR)
	static const struct simd_pair EMMS_pair = {EMMS_rr, NULL};

	switch (mnemonic) { /* NOLINT */
#define CASE(name, ...)                                                                            \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
		FOR_EACH(CASE)
		FOR_EACH_IMM(CASE)
		CASE(EMMS)
	default:
		return NULL;
	}
}
