/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIMD: what lift_simd.c and the exec_mmx.c, exec_sse*.c, exec_sha.c, exec_xsave.c files share.
 *
 * Operands of a lifted instruction: rd and rs are the register numbers of the first and second
 * register operand (XMM, MM or general as the instruction has them), imm the immediate byte, the
 * address fields the memory operand.
 */
#ifndef EMU_SIMD_H
#define EMU_SIMD_H

#include <Zydis/Zydis.h>
#include <emmintrin.h>

#include "fpu.h"
#include "mem.h"
#include "vp.h"
#include "x87.h"

struct emu_decoded;

/* Handlers of one instruction: second operand in a register, or in memory (NULL: no such form). */
struct simd_pair {
	emu_fn *rr;
	emu_fn *rm;
};

/* NULL: not one of that file's instructions. */
const struct simd_pair *
simd_find_int(ZydisMnemonic mnemonic); /* exec_sse_int.c: XMM integer and logic */
const struct simd_pair *
simd_find_ssse3(ZydisMnemonic mnemonic); /* exec_sse_ext.c: SSE3..SSE4.2, AES without immediate */
const struct simd_pair *simd_find_fp(ZydisMnemonic mnemonic); /* exec_sse_fp.c: MXCSR in force */
const struct simd_pair *simd_find_cvt(ZydisMnemonic mnemonic, bool wide_gpr); /* exec_sse_cvt.c */
const struct simd_pair *simd_find_mmx(ZydisMnemonic mnemonic);		      /* exec_mmx.c */
const struct simd_pair *simd_find_sha(ZydisMnemonic mnemonic);		      /* exec_sha.c */
/* Shifts by an immediate: one register and i->imm. */
emu_fn *simd_find_int_shift(ZydisMnemonic mnemonic);
emu_fn *simd_find_mmx_shift(ZydisMnemonic mnemonic);
/* Instructions with an immediate that is part of the host's code: fills in @i->fn and @i->aux.
 * Finds @i->imm set. */
bool simd_lift_imm(const struct emu_decoded *d, struct emu_insn *i); /* exec_sse_imm.c */
bool simd_lift_string(const struct emu_decoded *d,
		      struct emu_insn *i); /* exec_sse_string.c: PCMPxSTRx */
/* Moves and whatever has its own operand shapes; fills in @i->fn. False: not one of them. */
bool simd_lift_move(const struct emu_decoded *d, struct emu_insn *i);  /* exec_sse_move.c */
bool simd_lift_state(const struct emu_decoded *d, struct emu_insn *i); /* exec_xsave.c */

/* ---- Registers ---- */

EMU_INLINE __m128i *simd_xmm(struct emu_vp *vp, unsigned n)
{
	return (__m128i *)(void *)&vp->fpu.xmm[n];
}

EMU_INLINE uint64_t simd_mm(const struct emu_vp *vp, unsigned n)
{
	return load_le64(vp->fpu.st[n]);
}

/* Every MMX instruction: TOP = 0, all registers valid. */
EMU_INLINE void simd_mmx_enter(struct emu_vp *vp)
{
	vp->fpu.fsw &= (uint16_t)~X87_FSW_TOP;
	vp->fpu.ftw = 0xff;
}

EMU_INLINE void simd_mm_set(struct emu_vp *vp, unsigned n, uint64_t value)
{
	simd_mmx_enter(vp);
	store_le64(vp->fpu.st[n], value);
	store_le16(vp->fpu.st[n] + 8, 0xffff);
}

/* ---- Availability ---- */

EMU_INLINE bool simd_sse_blocked(const struct emu_vp *vp)
{
	return unlikely((vp->cr0 & (X86_CR0_EM | X86_CR0_TS)) | (~vp->cr4 & X86_CR4_OSFXSR));
}

EMU_INLINE bool simd_mmx_blocked(const struct emu_vp *vp)
{
	return x87_blocked(vp);
}

const struct emu_insn *simd_sse_refuse(struct emu_vp *vp, const struct emu_insn *i);
const struct emu_insn *simd_mmx_refuse(struct emu_vp *vp, const struct emu_insn *i);
/* An XMM instruction with an MMX register operand. */
const struct emu_insn *simd_mixed_refuse(struct emu_vp *vp, const struct emu_insn *i);

/* ---- Memory operands ---- */

void simd_misaligned(struct emu_vp *vp);		/* records #GP(0), whatever the segment */
bool simd_load128_slow(struct emu_vp *vp, uint64_t la); /* into vp->fpu.operand */
bool simd_store128_slow(struct emu_vp *vp, uint64_t la, __m128i value);

EMU_INLINE bool simd_load128_at(struct emu_vp *vp, uint64_t la, __m128i *ret)
{
	const void *p = emu_fast_read(vp, la, 16);

	if (likely(p != NULL)) {
		*ret = _mm_loadu_si128(p);
		return true;
	}
	if (!simd_load128_slow(vp, la)) {
		return false;
	}
	*ret = *(__m128i *)(void *)&vp->fpu.operand;
	return true;
}

EMU_INLINE bool simd_store128_at(struct emu_vp *vp, uint64_t la, __m128i value)
{
	void *p = emu_fast_write(vp, la, 16);

	if (likely(p != NULL)) {
		_mm_storeu_si128(p, value);
		return true;
	}
	return simd_store128_slow(vp, la, value);
}

/* The instruction's memory operand: 16 bytes, aligned (#GP) or anyhow. */
EMU_INLINE bool simd_load128(struct emu_vp *vp, const struct emu_insn *i, bool aligned,
			     __m128i *ret)
{
	uint64_t la;

	if (!emu_address(vp, i, 16, HV_ACCESS_READ, &la)) {
		return false;
	}
	if (aligned && unlikely(la & 15)) {
		simd_misaligned(vp);
		return false;
	}
	return simd_load128_at(vp, la, ret);
}

EMU_INLINE bool simd_store128(struct emu_vp *vp, const struct emu_insn *i, bool aligned,
			      __m128i value)
{
	uint64_t la;

	if (!emu_address(vp, i, 16, HV_ACCESS_WRITE, &la)) {
		return false;
	}
	if (aligned && unlikely(la & 15)) {
		simd_misaligned(vp);
		return false;
	}
	return simd_store128_at(vp, la, value);
}

/* The memory operand of 1..8 bytes, zero-extended. */
EMU_INLINE bool simd_load(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes,
			  uint64_t *ret)
{
	uint64_t la;
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;

	if (!emu_address(vp, i, bytes, HV_ACCESS_READ, &la)) {
		return false;
	}
	switch (bytes) {
	case 1:
		if (!emu_load8(vp, la, &v8)) {
			return false;
		}
		*ret = v8;
		return true;
	case 2:
		if (!emu_load16(vp, la, &v16)) {
			return false;
		}
		*ret = v16;
		return true;
	case 4:
		if (!emu_load32(vp, la, &v32)) {
			return false;
		}
		*ret = v32;
		return true;
	default:
		return emu_load64(vp, la, ret);
	}
}

EMU_INLINE bool simd_store(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes,
			   uint64_t value)
{
	uint64_t la;

	if (!emu_address(vp, i, bytes, HV_ACCESS_WRITE, &la)) {
		return false;
	}
	switch (bytes) {
	case 1:
		return emu_store8(vp, la, (uint8_t)value);
	case 2:
		return emu_store16(vp, la, (uint16_t)value);
	case 4:
		return emu_store32(vp, la, (uint32_t)value);
	default:
		return emu_store64(vp, la, value);
	}
}

/* A memory source of any size as the register that the host's instruction reads; 16 is aligned, 17
 * is 16 bytes unaligned. */
#define SIMD_U128 17
EMU_INLINE bool simd_source(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes,
			    __m128i *ret)
{
	uint64_t v;

	if (bytes >= 16) {
		return simd_load128(vp, i, bytes == 16, ret);
	}
	if (!simd_load(vp, i, bytes, &v)) {
		return false;
	}
	*ret = _mm_cvtsi64_si128((long long)v);
	return true;
}

/* ---- MXCSR ---- */

#define SIMD_MXCSR_FLAGS 0x003fu
#define SIMD_MXCSR_MASKS 0x1f80u
#define SIMD_MXCSR_UM 0x0800u
#define SIMD_MXCSR_FZ 0x8000u

/* Through the VP: a local whose address escapes would cost the handlers their tail calls. */
EMU_INLINE uint32_t simd_host_mxcsr(struct emu_vp *vp)
{
	__asm__ volatile("stmxcsr %0" : "=m"(vp->fpu.host_mxcsr));
	return vp->fpu.host_mxcsr;
}

EMU_INLINE void simd_host_mxcsr_set(struct emu_vp *vp, uint32_t v)
{
	vp->fpu.host_mxcsr = v;
	__asm__ volatile("ldmxcsr %0" : : "m"(vp->fpu.host_mxcsr));
}

EMU_INLINE bool simd_mxcsr_masked(uint32_t mxcsr)
{
	return likely((mxcsr & SIMD_MXCSR_MASKS) == SIMD_MXCSR_MASKS);
}

/*
 * Around a volatile asm statement that computes with the guest's MXCSR.
 *
 * A guest with all exceptions masked: the host's MXCSR is the guest's and simply collects the flags
 * (reading it costs more than the operation); emu_fpu_sync() fetches them and gives the host its
 * default back. Any other: the host runs the instruction with all exceptions masked and flags
 * clear, then these are looked at; an underflow that the guest does not mask is found by flushing
 * to zero, since a masked exact denormal raises no flag.
 */
uint32_t simd_fp_enter_slow(struct emu_vp *vp);
bool simd_fp_leave_slow(struct emu_vp *vp);

/* 0: all masked. */
EMU_INLINE uint32_t simd_fp_enter(struct emu_vp *vp)
{
	return likely(vp->fpu.host_live) ? 0 : simd_fp_enter_slow(vp);
}

/* False: an unmasked exception; recorded, and the instruction must not write its result. */
EMU_INLINE bool simd_fp_leave(struct emu_vp *vp, uint32_t special)
{
	return likely(special == 0) || simd_fp_leave_slow(vp);
}

/* What an instruction computes, as far as an exact PE beside an unmasked overflow or underflow
 * needs to know. */
enum simd_op {
	SIMD_OP_OTHER, /* no overflow or underflow */
	SIMD_OP_ADD,
	SIMD_OP_SUB,
	SIMD_OP_MUL,
	SIMD_OP_DIV,
	SIMD_OP_ADDSUB,
	SIMD_OP_HADD,
	SIMD_OP_HSUB,
	SIMD_OP_NARROW, /* double to single */
};

/* After simd_fp_leave() said no: leaves, with PE corrected. @d and @s are the operands. */
const struct emu_insn *simd_fp_fault(struct emu_vp *vp, const struct emu_insn *i, enum simd_op op,
				     bool is_double, bool packed, __m128i d, __m128i s);

/*
 * DPPS, DPPD with an exception unmasked: multiplication and additions each raise their own. False:
 * recorded. To be followed by the instruction itself for the result.
 */
bool simd_dot_product_steps(struct emu_vp *vp, __m128i d, __m128i s, bool is_double, uint8_t imm);

#endif
