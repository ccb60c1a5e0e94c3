/* SPDX-License-Identifier: Apache-2.0 */
/* Moves between XMM, MMX and general registers and memory, inserts and extracts, masks, masked
 * stores. */
#define EMU_HOT 1
#include "decode.h"
#include "simd.h"

/*
 * A handler that only moves: @guard (sse, mmx or mixed) may refuse, @statement acts. In LOAD the
 * memory operand is `s` (zero-extended), in STORE the value to store is given.
 */
#define MOVE(name, guard, statement)                                                               \
	static const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)            \
	{                                                                                          \
		if (guard##_blocked(vp)) {                                                         \
			return guard##_refuse(vp, i);                                              \
		}                                                                                  \
		statement;                                                                         \
		EMU_NEXT(vp, i);                                                                   \
	}

#define LOAD(name, guard, bytes, statement)                                                        \
	static const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)            \
	{                                                                                          \
		uint64_t s;                                                                        \
                                                                                                   \
		if (guard##_blocked(vp)) {                                                         \
			return guard##_refuse(vp, i);                                              \
		}                                                                                  \
		if (!simd_load(vp, i, bytes, &s)) {                                                \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		statement;                                                                         \
		EMU_NEXT(vp, i);                                                                   \
	}

#define STORE(name, guard, bytes, value)                                                           \
	static const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)            \
	{                                                                                          \
		if (guard##_blocked(vp)) {                                                         \
			return guard##_refuse(vp, i);                                              \
		}                                                                                  \
		if (!simd_store(vp, i, bytes, value)) {                                            \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

#define LOAD128(name, aligned)                                                                     \
	static const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)            \
	{                                                                                          \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_load128(vp, i, aligned, &s)) {                                           \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		*simd_xmm(vp, i->rd) = s;                                                          \
		EMU_NEXT(vp, i);                                                                   \
	}

#define STORE128(name, aligned)                                                                    \
	static const struct emu_insn *name(struct emu_vp *vp, const struct emu_insn *i)            \
	{                                                                                          \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_store128(vp, i, aligned, *simd_xmm(vp, i->rs))) {                        \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

/* CVTPI2PS and friends apart, these are the instructions with XMM and MMX registers. */
#define simd_mixed_blocked(vp) (simd_sse_blocked(vp) || simd_mmx_blocked(vp))

#define D (vp->fpu.xmm[i->rd])
#define S (vp->fpu.xmm[i->rs])

static inline void xmm_zero_extend(union emu_xmm *d, uint64_t low)
{
	d->u64[0] = low;
	d->u64[1] = 0;
}

/* 16 bytes */
LOAD128(load_aligned, true)
LOAD128(load_unaligned, false)
STORE128(store_aligned, true)
STORE128(store_unaligned, false)
MOVE(move128, simd_sse, D = S)

/* Scalars: a register source merges, a memory source clears the rest. */
MOVE(movss_rr, simd_sse, D.u32[0] = S.u32[0])
MOVE(movsd_rr, simd_sse, D.u64[0] = S.u64[0])
LOAD(load32, simd_sse, 4, xmm_zero_extend(&D, s))
LOAD(load64, simd_sse, 8, xmm_zero_extend(&D, s))
STORE(store32, simd_sse, 4, S.u32[0])
STORE(store64, simd_sse, 8, S.u64[0])
STORE(store64_high, simd_sse, 8, S.u64[1])
LOAD(load64_low, simd_sse, 8, D.u64[0] = s)
LOAD(load64_high, simd_sse, 8, D.u64[1] = s)
MOVE(movhlps_rr, simd_sse, D.u64[0] = S.u64[1])
MOVE(movlhps_rr, simd_sse, D.u64[1] = S.u64[0])
MOVE(movq_rr, simd_sse, xmm_zero_extend(&D, S.u64[0]))

/* General registers */
MOVE(xmm_from_gpr32, simd_sse, xmm_zero_extend(&D, (uint32_t)vp->r[i->rs]))
MOVE(xmm_from_gpr64, simd_sse, xmm_zero_extend(&D, vp->r[i->rs]))
MOVE(gpr32_from_xmm, simd_sse, vp->r[i->rd] = S.u32[0])
MOVE(gpr64_from_xmm, simd_sse, vp->r[i->rd] = S.u64[0])
MOVE(movmskps_rr, simd_sse,
     vp->r[i->rd] = (uint64_t)_mm_movemask_ps(_mm_castsi128_ps(*simd_xmm(vp, i->rs))))
MOVE(movmskpd_rr, simd_sse,
     vp->r[i->rd] = (uint64_t)_mm_movemask_pd(_mm_castsi128_pd(*simd_xmm(vp, i->rs))))
MOVE(pmovmskb_rr, simd_sse,
     vp->r[i->rd] = (uint64_t)(unsigned)_mm_movemask_epi8(*simd_xmm(vp, i->rs)))

/* Elements: i->imm is the index, already masked by the lifter. */
MOVE(pinsrb_rr, simd_sse, D.u8[i->imm] = (uint8_t)vp->r[i->rs])
MOVE(pinsrw_rr, simd_sse, D.u16[i->imm] = (uint16_t)vp->r[i->rs])
MOVE(pinsrd_rr, simd_sse, D.u32[i->imm] = (uint32_t)vp->r[i->rs])
MOVE(pinsrq_rr, simd_sse, D.u64[i->imm] = vp->r[i->rs])
LOAD(pinsrb_rm, simd_sse, 1, D.u8[i->imm] = (uint8_t)s)
LOAD(pinsrw_rm, simd_sse, 2, D.u16[i->imm] = (uint16_t)s)
LOAD(pinsrd_rm, simd_sse, 4, D.u32[i->imm] = (uint32_t)s)
LOAD(pinsrq_rm, simd_sse, 8, D.u64[i->imm] = s)
MOVE(pextrb_rr, simd_sse, vp->r[i->rd] = S.u8[i->imm])
MOVE(pextrw_rr, simd_sse, vp->r[i->rd] = S.u16[i->imm])
MOVE(pextrd_rr, simd_sse, vp->r[i->rd] = S.u32[i->imm])
MOVE(pextrq_rr, simd_sse, vp->r[i->rd] = S.u64[i->imm])
STORE(pextrb_mr, simd_sse, 1, S.u8[i->imm])
STORE(pextrw_mr, simd_sse, 2, S.u16[i->imm])
STORE(pextrd_mr, simd_sse, 4, S.u32[i->imm])
STORE(pextrq_mr, simd_sse, 8, S.u64[i->imm])

/* MMX */
MOVE(mm_from_gpr32, simd_mmx, simd_mm_set(vp, i->rd, (uint32_t)vp->r[i->rs]))
MOVE(mm_from_gpr64, simd_mmx, simd_mm_set(vp, i->rd, vp->r[i->rs]))
MOVE(mm_from_mm, simd_mmx, simd_mm_set(vp, i->rd, simd_mm(vp, i->rs)))
LOAD(mm_load32, simd_mmx, 4, simd_mm_set(vp, i->rd, s))
LOAD(mm_load64, simd_mmx, 8, simd_mm_set(vp, i->rd, s))
MOVE(gpr32_from_mm, simd_mmx, simd_mmx_enter(vp); vp->r[i->rd] = (uint32_t)simd_mm(vp, i->rs))
MOVE(gpr64_from_mm, simd_mmx, simd_mmx_enter(vp); vp->r[i->rd] = simd_mm(vp, i->rs))
MOVE(movq2dq_rr, simd_mixed, simd_mmx_enter(vp); xmm_zero_extend(&D, simd_mm(vp, i->rs)))
MOVE(movdq2q_rr, simd_mixed, simd_mm_set(vp, i->rd, S.u64[0]))

static const struct emu_insn *mm_store(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_mmx_blocked(vp)) {
		return simd_mmx_refuse(vp, i);
	}
	if (!(i->rd == 4 ? simd_store(vp, i, 4, simd_mm(vp, i->rs))
			 : simd_store(vp, i, 8, simd_mm(vp, i->rs)))) {
		return emu_leave(vp, i);
	}
	simd_mmx_enter(vp);
	EMU_NEXT(vp, i);
}

static uint64_t sign_mask(uint64_t v)
{
	uint64_t mask = 0;

	for (unsigned n = 0; n < 8; n++) {
		mask |= (v >> (n * 8 + 7) & 1) << n;
	}
	return mask;
}

static uint64_t word_insert(uint64_t v, uint64_t index, uint64_t word)
{
	return (v & ~(UINT64_C(0xffff) << index * 16)) | (word & 0xffff) << index * 16;
}

MOVE(pmovmskb_mm, simd_mmx, simd_mmx_enter(vp); vp->r[i->rd] = sign_mask(simd_mm(vp, i->rs)))
MOVE(pinsrw_mm_rr, simd_mmx,
     simd_mm_set(vp, i->rd, word_insert(simd_mm(vp, i->rd), i->imm, vp->r[i->rs])))
LOAD(pinsrw_mm_rm, simd_mmx, 2, simd_mm_set(vp, i->rd, word_insert(simd_mm(vp, i->rd), i->imm, s)))
MOVE(pextrw_mm, simd_mmx, simd_mmx_enter(vp);
     vp->r[i->rd] = simd_mm(vp, i->rs) >> i->imm * 16 & 0xffff)

/*
 * Stores the bytes of @value that @mask (top bit of each byte) selects to seg:rDI. The whole range
 * is checked, also what the mask leaves out (up to the processor; Interop: AMD).
 */
static bool store_masked(struct emu_vp *vp, const struct emu_insn *i, const uint8_t *value,
			 const uint8_t *mask, unsigned bytes)
{
	uint64_t offset = vp->r[X86_RDI];
	uint64_t la;

	offset = i->asize == 8 ? offset : i->asize == 4 ? (uint32_t)offset : (uint16_t)offset;
	if (!emu_segment_address(vp, i->seg, offset, bytes, HV_ACCESS_WRITE)) {
		return false;
	}
	la = vp->slow;
	if (!emu_probe(vp, la, bytes, HV_ACCESS_WRITE)) {
		return false;
	}
	for (unsigned n = 0; n < bytes; n++) {
		if (mask[n] & 0x80 && !emu_store8(vp, la + n, value[n])) {
			return false;
		}
	}
	return true;
}

static const struct emu_insn *maskmovdqu_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!store_masked(vp, i, D.u8, S.u8, 16)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static const struct emu_insn *maskmovq_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_mmx_blocked(vp)) {
		return simd_mmx_refuse(vp, i);
	}
	if (!store_masked(vp, i, vp->fpu.st[i->rd], vp->fpu.st[i->rs], 8)) {
		return emu_leave(vp, i);
	}
	simd_mmx_enter(vp);
	EMU_NEXT(vp, i);
}

#undef D
#undef S

enum kind {
	KIND_NONE,
	KIND_XMM,
	KIND_MM,
	KIND_GPR,
	KIND_MEM,
};

static enum kind operand_kind(const ZydisDecodedOperand *op)
{
	if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		return KIND_MEM;
	}
	if (op->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return KIND_NONE;
	}
	switch (ZydisRegisterGetClass(op->reg.value)) { /* NOLINT */
	case ZYDIS_REGCLASS_XMM:
		return KIND_XMM;
	case ZYDIS_REGCLASS_MMX:
		return KIND_MM;
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return KIND_GPR;
	default:
		return KIND_NONE;
	}
}

/* Whole-register moves: register, load, store. */
static emu_fn *lift_move128(const struct emu_decoded *d, bool aligned)
{
	if (d->mem == NULL) {
		return move128;
	}
	if (d->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
		return aligned ? store_aligned : store_unaligned;
	}
	return aligned ? load_aligned : load_unaligned;
}

static emu_fn *lift_scalar(const struct emu_decoded *d, emu_fn *rr, emu_fn *load, emu_fn *store)
{
	return d->mem == NULL ? rr : d->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? store : load;
}

/* MOVD and MOVQ in all their forms. */
static emu_fn *lift_movd(const struct emu_decoded *d, struct emu_insn *i)
{
	enum kind to = operand_kind(&d->ops[0]), from = operand_kind(&d->ops[1]);
	bool wide = d->insn.mnemonic != ZYDIS_MNEMONIC_MOVD;

	if (to == KIND_XMM) {
		return from == KIND_XMM	  ? movq_rr
		       : from == KIND_GPR ? (wide ? xmm_from_gpr64 : xmm_from_gpr32)
					  : (wide ? load64 : load32);
	}
	if (to == KIND_MM) {
		return from == KIND_MM	  ? mm_from_mm
		       : from == KIND_GPR ? (wide ? mm_from_gpr64 : mm_from_gpr32)
					  : (wide ? mm_load64 : mm_load32);
	}
	if (to == KIND_GPR) {
		return from == KIND_XMM ? (wide ? gpr64_from_xmm : gpr32_from_xmm)
					: (wide ? gpr64_from_mm : gpr32_from_mm);
	}
	if (from == KIND_XMM) {
		return wide ? store64 : store32;
	}
	i->rd = wide ? 8 : 4;
	return mm_store;
}

static emu_fn *lift_insert(const struct emu_decoded *d, struct emu_insn *i)
{
	bool mem = d->mem != NULL;

	switch (d->insn.mnemonic) { /* NOLINT */
	case ZYDIS_MNEMONIC_PINSRB:
		i->imm &= 15;
		return mem ? pinsrb_rm : pinsrb_rr;
	case ZYDIS_MNEMONIC_PINSRW:
		if (operand_kind(&d->ops[0]) == KIND_MM) {
			i->imm &= 3;
			return mem ? pinsrw_mm_rm : pinsrw_mm_rr;
		}
		i->imm &= 7;
		return mem ? pinsrw_rm : pinsrw_rr;
	case ZYDIS_MNEMONIC_PINSRD:
		i->imm &= 3;
		return mem ? pinsrd_rm : pinsrd_rr;
	case ZYDIS_MNEMONIC_PINSRQ:
		i->imm &= 1;
		return mem ? pinsrq_rm : pinsrq_rr;
	default:
		return NULL;
	}
}

static emu_fn *lift_extract(const struct emu_decoded *d, struct emu_insn *i)
{
	bool mem = d->mem != NULL;

	switch (d->insn.mnemonic) { /* NOLINT */
	case ZYDIS_MNEMONIC_PEXTRB:
		i->imm &= 15;
		return mem ? pextrb_mr : pextrb_rr;
	case ZYDIS_MNEMONIC_PEXTRW:
		if (operand_kind(&d->ops[1]) == KIND_MM) {
			i->imm &= 3;
			return pextrw_mm;
		}
		i->imm &= 7;
		return mem ? pextrw_mr : pextrw_rr;
	case ZYDIS_MNEMONIC_PEXTRD:
	case ZYDIS_MNEMONIC_EXTRACTPS:
		i->imm &= 3;
		return mem ? pextrd_mr : pextrd_rr;
	case ZYDIS_MNEMONIC_PEXTRQ:
		i->imm &= 1;
		return mem ? pextrq_mr : pextrq_rr;
	default:
		return NULL;
	}
}

static emu_fn *lift_masked(const struct emu_decoded *d, struct emu_insn *i, emu_fn *fn)
{
	for (unsigned n = 0; n < d->insn.operand_count; n++) {
		if (d->ops[n].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			i->seg = emu_reg_number(d->ops[n].mem.segment);
		}
	}
	i->asize = d->insn.address_width / 8;
	return fn;
}

static emu_fn *find_move(const struct emu_decoded *d, struct emu_insn *i)
{
	switch (d->insn.mnemonic) { /* NOLINT */
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVAPD:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_MOVNTDQA:
		return lift_move128(d, true);
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
		return lift_move128(d, false);
	case ZYDIS_MNEMONIC_MOVSS:
		return lift_scalar(d, movss_rr, load32, store32);
	case ZYDIS_MNEMONIC_MOVSD:
		return lift_scalar(d, movsd_rr, load64, store64);
	case ZYDIS_MNEMONIC_MOVLPS:
	case ZYDIS_MNEMONIC_MOVLPD:
		return lift_scalar(d, NULL, load64_low, store64);
	case ZYDIS_MNEMONIC_MOVHPS:
	case ZYDIS_MNEMONIC_MOVHPD:
		return lift_scalar(d, NULL, load64_high, store64_high);
	case ZYDIS_MNEMONIC_MOVHLPS:
		return movhlps_rr;
	case ZYDIS_MNEMONIC_MOVLHPS:
		return movlhps_rr;
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_MOVNTQ:
		return lift_movd(d, i);
	case ZYDIS_MNEMONIC_MOVQ2DQ:
		return movq2dq_rr;
	case ZYDIS_MNEMONIC_MOVDQ2Q:
		return movdq2q_rr;
	case ZYDIS_MNEMONIC_MOVMSKPS:
		return movmskps_rr;
	case ZYDIS_MNEMONIC_MOVMSKPD:
		return movmskpd_rr;
	case ZYDIS_MNEMONIC_PMOVMSKB:
		return operand_kind(&d->ops[1]) == KIND_MM ? pmovmskb_mm : pmovmskb_rr;
	case ZYDIS_MNEMONIC_MASKMOVDQU:
		return lift_masked(d, i, maskmovdqu_rr);
	case ZYDIS_MNEMONIC_MASKMOVQ:
		return lift_masked(d, i, maskmovq_rr);
	default:
		return NULL;
	}
}

bool simd_lift_move(const struct emu_decoded *d, struct emu_insn *i)
{
	emu_fn *fn = find_move(d, i);

	if (fn == NULL) {
		fn = lift_insert(d, i);
	}
	if (fn == NULL) {
		fn = lift_extract(d, i);
	}
	if (fn == NULL) {
		return false;
	}
	i->fn = fn;
	return true;
}
