/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XMM operations whose immediate byte the host's instruction must carry too: for each of them 256
 * small functions "op xmm0, xmm1, imm; ret" of eight bytes. They follow the C calling convention;
 * the lifter picks one.
 */
#define EMU_HOT 1
#include "decode.h"
#include "simd.h"

/* Name, bytes of the memory source, under MXCSR, opcode bytes of "op xmm0, xmm1". */
#define FOR_EACH(X)                                                                                \
	X(PSHUFD, 16, false, "0x66,0x0f,0x70,0xc1")                                                \
	X(PSHUFHW, 16, false, "0xf3,0x0f,0x70,0xc1")                                               \
	X(PSHUFLW, 16, false, "0xf2,0x0f,0x70,0xc1")                                               \
	X(SHUFPS, 16, false, "0x0f,0xc6,0xc1")                                                     \
	X(SHUFPD, 16, false, "0x66,0x0f,0xc6,0xc1")                                                \
	X(PSLLDQ, 0, false, "0x66,0x0f,0x73,0xf8")                                                 \
	X(PSRLDQ, 0, false, "0x66,0x0f,0x73,0xd8")                                                 \
	X(PALIGNR, 16, false, "0x66,0x0f,0x3a,0x0f,0xc1")                                          \
	X(BLENDPS, 16, false, "0x66,0x0f,0x3a,0x0c,0xc1")                                          \
	X(BLENDPD, 16, false, "0x66,0x0f,0x3a,0x0d,0xc1")                                          \
	X(PBLENDW, 16, false, "0x66,0x0f,0x3a,0x0e,0xc1")                                          \
	X(MPSADBW, 16, false, "0x66,0x0f,0x3a,0x42,0xc1")                                          \
	X(INSERTPS, 4, false, "0x66,0x0f,0x3a,0x21,0xc1")                                          \
	X(AESKEYGENASSIST, 16, false, "0x66,0x0f,0x3a,0xdf,0xc1")                                  \
	X(PCLMULQDQ, 16, false, "0x66,0x0f,0x3a,0x44,0xc1")                                        \
	X(CMPPS, 16, true, "0x0f,0xc2,0xc1")                                                       \
	X(CMPPD, 16, true, "0x66,0x0f,0xc2,0xc1")                                                  \
	X(CMPSS, 4, true, "0xf3,0x0f,0xc2,0xc1")                                                   \
	X(CMPSD, 8, true, "0xf2,0x0f,0xc2,0xc1")                                                   \
	X(ROUNDPS, 16, true, "0x66,0x0f,0x3a,0x08,0xc1")                                           \
	X(ROUNDPD, 16, true, "0x66,0x0f,0x3a,0x09,0xc1")                                           \
	X(ROUNDSS, 4, true, "0x66,0x0f,0x3a,0x0a,0xc1")                                            \
	X(ROUNDSD, 8, true, "0x66,0x0f,0x3a,0x0b,0xc1")                                            \
	X(DPPS, 16, true, "0x66,0x0f,0x3a,0x40,0xc1")                                              \
	X(DPPD, 16, true, "0x66,0x0f,0x3a,0x41,0xc1")

#define STUB_BYTES 8
#define STUBS(name, bytes, fp, code)                                                               \
	__asm__(".pushsection .text\n"                                                             \
		"	.balign 64\n"                                                                    \
		"emu_stubs_" #name ":\n"                                                           \
		"	.set emu_stub_n, 0\n"                                                            \
		"	.rept 256\n"                                                                     \
		"	.byte " code ", emu_stub_n, 0xc3\n"                                        \
		"	.balign 8\n"                                                                     \
		"	.set emu_stub_n, emu_stub_n + 1\n"                                               \
		"	.endr\n"                                                                         \
		"	.popsection\n");                                                           \
	extern const uint8_t emu_stubs_##name[256][STUB_BYTES] __asm__("emu_stubs_" #name);
FOR_EACH(STUBS)

EMU_INLINE __m128i stub_call(const struct emu_insn *i, __m128i d, __m128i s)
{
	return ((__m128i(*)(__m128i, __m128i))(uintptr_t)i->aux)(d, s);
}

EMU_INLINE bool stub_call_fp(struct emu_vp *vp, const struct emu_insn *i, __m128i s)
{
	uint32_t special = simd_fp_enter(vp);
	__m128i v = stub_call(i, *simd_xmm(vp, i->rd), s);

	if (unlikely(!simd_fp_leave(vp, special))) {
		return false;
	}
	*simd_xmm(vp, i->rd) = v;
	return true;
}

static const struct emu_insn *imm_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	*simd_xmm(vp, i->rd) = stub_call(i, *simd_xmm(vp, i->rd), *simd_xmm(vp, i->rs));
	EMU_NEXT(vp, i);
}

static const struct emu_insn *imm_fp_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!stub_call_fp(vp, i, *simd_xmm(vp, i->rs))) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

#define DEFINE_RM(bytes)                                                                           \
	static const struct emu_insn *imm_rm##bytes(struct emu_vp *vp, const struct emu_insn *i)   \
	{                                                                                          \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s)) {                                              \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		*simd_xmm(vp, i->rd) = stub_call(i, *simd_xmm(vp, i->rd), s);                      \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_RM(4)
DEFINE_RM(16)

#define DEFINE_FP_RM(bytes)                                                                        \
	static const struct emu_insn *imm_fp_rm##bytes(struct emu_vp *vp,                          \
						       const struct emu_insn *i)                   \
	{                                                                                          \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_source(vp, i, bytes, &s) || !stub_call_fp(vp, i, s)) {                   \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_FP_RM(4)
DEFINE_FP_RM(8)
DEFINE_FP_RM(16)

/* DPPS and DPPD: i->osize 8 for doubles. */
EMU_INLINE bool dot_product(struct emu_vp *vp, const struct emu_insn *i, __m128i s)
{
	if (!simd_mxcsr_masked(vp->fpu.mxcsr) &&
	    !simd_dot_product_steps(vp, *simd_xmm(vp, i->rd), s, i->osize == 8, (uint8_t)i->imm)) {
		return false;
	}
	return stub_call_fp(vp, i, s);
}

static const struct emu_insn *dot_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!dot_product(vp, i, *simd_xmm(vp, i->rs))) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static const struct emu_insn *dot_rm(struct emu_vp *vp, const struct emu_insn *i)
{
	__m128i s;

	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!simd_source(vp, i, 16, &s) || !dot_product(vp, i, s)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

struct imm_op {
	const uint8_t (*stubs)[STUB_BYTES];
	uint8_t bytes;
	bool fp;
};

static const struct imm_op *find(ZydisMnemonic mnemonic)
{
#define OP(name, bytes, fp, code)                                                                  \
	static const struct imm_op name##_op = {emu_stubs_##name, bytes, fp};
	FOR_EACH(OP)

	switch (mnemonic) { /* NOLINT */
#define CASE(name, bytes, fp, code)                                                                \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_op;
		FOR_EACH(CASE)
	default:
		return NULL;
	}
}

bool simd_lift_imm(const struct emu_decoded *d, struct emu_insn *i)
{
	const struct imm_op *op = find(d->insn.mnemonic);
	uint8_t imm = (uint8_t)i->imm;

	if (op == NULL) {
		return false;
	}
	/* From memory INSERTPS takes the one word that is there. */
	if (d->insn.mnemonic == ZYDIS_MNEMONIC_INSERTPS && d->mem != NULL) {
		imm &= 0x3f;
	}
	i->aux = (uintptr_t)op->stubs[imm];
	if (d->insn.mnemonic == ZYDIS_MNEMONIC_DPPS || d->insn.mnemonic == ZYDIS_MNEMONIC_DPPD) {
		i->osize = d->insn.mnemonic == ZYDIS_MNEMONIC_DPPD ? 8 : 4;
		i->fn = d->mem != NULL ? dot_rm : dot_rr;
	} else if (d->mem == NULL) {
		i->fn = op->fp ? imm_fp_rr : imm_rr;
	} else if (!op->fp) {
		i->fn = op->bytes == 4 ? imm_rm4 : imm_rm16;
	} else {
		i->fn = op->bytes == 4 ? imm_fp_rm4 : op->bytes == 8 ? imm_fp_rm8 : imm_fp_rm16;
	}
	return true;
}
