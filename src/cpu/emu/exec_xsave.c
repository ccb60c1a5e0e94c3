/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MXCSR, FXSAVE/FXRSTOR and XSAVE/XRSTOR (standard format, components x87 and SSE). Both components
 * always count as in use. Kernels do this on every context switch: when the area lies within one
 * page it is accessed in place.
 */
#include <string.h>

#include "decode.h"
#include "simd.h"

#define X87_COMPONENT 1u
#define SSE_COMPONENT 2u
#define FX_BYTES 512u

/* Offsets in the area. */
#define FX_FCW 0
#define FX_FSW 2
#define FX_FTW 4
#define FX_FOP 6
#define FX_FIP 8
#define FX_FDP 16
#define FX_MXCSR 24
#define FX_MXCSR_MASK 28
#define FX_ST 32
#define FX_XMM 160
#define XS_BV 512
#define XS_XCOMP_BV 520
#define XS_RESERVED 528

/* 8 XMM registers outside of 64-bit mode; those above stay as they are, in memory and in the VP. */
static size_t xmm_bytes(const struct emu_vp *vp)
{
	return vp->mode == EMU_MODE_64 ? 256 : 128;
}

static void x87_put(const struct emu_vp *vp, uint8_t *p, bool wide)
{
	const struct emu_fpu *fpu = &vp->fpu;
	unsigned top = x87_top(fpu);

	store_le16(p + FX_FCW, fpu->fcw);
	store_le16(p + FX_FSW, fpu->fsw);
	store_le16(p + FX_FTW, fpu->ftw);
	store_le16(p + FX_FOP, fpu->fop);
	store_le64(p + FX_FIP, wide ? fpu->fip : (uint32_t)fpu->fip | (uint64_t)fpu->fcs << 32);
	store_le64(p + FX_FDP, wide ? fpu->fdp : (uint32_t)fpu->fdp | (uint64_t)fpu->fds << 32);
	for (unsigned k = 0; k < 8; k++) {
		memcpy(p + FX_ST + k * 16, fpu->st[(top + k) & 7], 16);
	}
}

static void x87_get(struct emu_vp *vp, const uint8_t *p, bool wide)
{
	struct emu_fpu *fpu = &vp->fpu;
	unsigned top;

	fpu->fcw = (load_le16(p + FX_FCW) & X87_FCW_WRITABLE) | X87_FCW_FIXED;
	fpu->fsw = load_le16(p + FX_FSW);
	fpu->ftw = p[FX_FTW];
	fpu->fop = load_le16(p + FX_FOP) & 0x7ff;
	fpu->fip = load_le64(p + FX_FIP);
	fpu->fdp = load_le64(p + FX_FDP);
	if (!wide) {
		fpu->fcs = (uint16_t)(fpu->fip >> 32);
		fpu->fds = (uint16_t)(fpu->fdp >> 32);
		fpu->fip = (uint32_t)fpu->fip;
		fpu->fdp = (uint32_t)fpu->fdp;
	}
	x87_summarize(fpu);
	top = x87_top(fpu);
	for (unsigned k = 0; k < 8; k++) {
		memcpy(fpu->st[(top + k) & 7], p + FX_ST + k * 16, 10);
	}
}

static void mxcsr_put(const struct emu_vp *vp, uint8_t *p)
{
	store_le32(p + FX_MXCSR, vp->fpu.mxcsr);
	store_le32(p + FX_MXCSR_MASK, EMU_MXCSR_MASK);
}

static bool mxcsr_set(struct emu_vp *vp, uint32_t value)
{
	if (value & ~EMU_MXCSR_MASK) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	emu_fpu_sync(vp);
	vp->fpu.mxcsr = value;
	return true;
}

/* ---- MXCSR ---- */

static const struct emu_insn *ldmxcsr(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t value;

	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!simd_load(vp, i, 4, &value) || !mxcsr_set(vp, (uint32_t)value)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static const struct emu_insn *stmxcsr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	emu_fpu_sync(vp);
	if (!simd_store(vp, i, 4, vp->fpu.mxcsr)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* ---- FXSAVE ---- */

static bool area_address(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes,
			 unsigned align, unsigned access, uint64_t *ret_la)
{
	uint64_t la;

	if (!emu_address(vp, i, bytes, access, &la)) {
		return false;
	}
	if (la & (align - 1)) {
		if (vp->mode == EMU_MODE_64 && !emu_canonical(la)) {
			emu_raise_noncanonical(vp);
		} else {
			emu_raise_error(vp, X86_EXC_GP, 0);
		}
		return false;
	}
	*ret_la = la;
	return true;
}

static void fxsave_put(const struct emu_vp *vp, uint8_t *p, bool wide)
{
	x87_put(vp, p, wide);
	mxcsr_put(vp, p);
	memcpy(p + FX_XMM, vp->fpu.xmm, xmm_bytes(vp));
}

static __attribute__((noinline)) bool fxsave_do(struct emu_vp *vp, const struct emu_insn *i)
{
	uint8_t buf[FX_BYTES];
	uint64_t la;
	void *p;

	if (!area_address(vp, i, FX_BYTES, 16, HV_ACCESS_WRITE, &la)) {
		return false;
	}
	emu_fpu_sync(vp);
	p = emu_fast_write(vp, la, FX_BYTES);
	if (p != NULL) {
		fxsave_put(vp, p, i->osize == 8);
		return true;
	}
	fxsave_put(vp, buf, i->osize == 8);
	return emu_store_bytes(vp, la, buf, (unsigned)(FX_XMM + xmm_bytes(vp)));
}

/* The area in place (fields are read once each), or its copy in @buf; NULL: faulted. */
static const uint8_t *area_load(struct emu_vp *vp, uint64_t la, uint8_t *buf, unsigned bytes)
{
	const uint8_t *p = emu_fast_read(vp, la, bytes);

	return p != NULL ? p : emu_load_bytes(vp, la, buf, bytes) ? buf : NULL;
}

static __attribute__((noinline)) bool fxrstor_do(struct emu_vp *vp, const struct emu_insn *i)
{
	uint8_t buf[FX_BYTES];
	const uint8_t *p;
	uint64_t la;

	if (!area_address(vp, i, FX_BYTES, 16, HV_ACCESS_READ, &la)) {
		return false;
	}
	p = area_load(vp, la, buf, FX_BYTES);
	if (p == NULL || !mxcsr_set(vp, load_le32(p + FX_MXCSR))) {
		return false;
	}
	x87_get(vp, p, i->osize == 8);
	memcpy(vp->fpu.xmm, p + FX_XMM, xmm_bytes(vp));
	return true;
}

static const struct emu_insn *fxsave(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	if (!fxsave_do(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static const struct emu_insn *fxrstor(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	if (!fxrstor_do(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* ---- XSAVE ---- */

static bool xsave_blocked(const struct emu_vp *vp)
{
	return (vp->cr0 & X86_CR0_TS) || !(vp->cr4 & X86_CR4_OSXSAVE);
}

static const struct emu_insn *xsave_refuse(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise(vp, vp->cr4 & X86_CR4_OSXSAVE ? X86_EXC_NM : X86_EXC_UD);
	return emu_leave(vp, i);
}

/* The requested components: EDX:EAX within XCR0. */
static uint64_t xsave_request(const struct emu_vp *vp)
{
	return vp->xcr0 & EMU_XCR0_MASK & (uint32_t)vp->r[X86_RAX];
}

static void xsave_put(const struct emu_vp *vp, uint8_t *p, uint64_t request, bool wide)
{
	if (request & X87_COMPONENT) {
		x87_put(vp, p, wide);
	}
	if (request & SSE_COMPONENT) {
		mxcsr_put(vp, p);
		memcpy(p + FX_XMM, vp->fpu.xmm, xmm_bytes(vp));
	}
	store_le64(p + XS_BV, load_le64(p + XS_BV) | request);
}

static __attribute__((noinline)) bool xsave_do(struct emu_vp *vp, const struct emu_insn *i)
{
	uint8_t buf[EMU_XSAVE_BYTES];
	uint64_t la;
	void *p;

	if (!area_address(vp, i, EMU_XSAVE_BYTES, 64, HV_ACCESS_WRITE, &la)) {
		return false;
	}
	emu_fpu_sync(vp);
	p = emu_fast_write(vp, la, EMU_XSAVE_BYTES);
	if (p != NULL) {
		xsave_put(vp, p, xsave_request(vp), i->osize == 8);
		return true;
	}
	/* What is not requested goes back as it was. */
	if (!emu_probe(vp, la, EMU_XSAVE_BYTES, HV_ACCESS_WRITE) ||
	    !emu_load_bytes(vp, la, buf, EMU_XSAVE_BYTES)) {
		return false;
	}
	xsave_put(vp, buf, xsave_request(vp), i->osize == 8);
	return emu_store_bytes(vp, la, buf, EMU_XSAVE_BYTES);
}

/* XSTATE_BV within XCR0, XCOMP_BV and the eight bytes after it zero. */
static bool header_valid(const struct emu_vp *vp, const uint8_t *p)
{
	return !(load_le64(p + XS_BV) & ~vp->xcr0) && load_le64(p + XS_XCOMP_BV) == 0 &&
	       load_le64(p + XS_RESERVED) == 0;
}

static bool xrstor_get(struct emu_vp *vp, const uint8_t *p, uint64_t request, bool wide)
{
	uint64_t present = load_le64(p + XS_BV);

	if (!header_valid(vp, p)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	/* MXCSR is loaded whether or not the SSE component is present. */
	if ((request & SSE_COMPONENT) && !mxcsr_set(vp, load_le32(p + FX_MXCSR))) {
		return false;
	}
	if (request & present & X87_COMPONENT) {
		x87_get(vp, p, wide);
	} else if (request & X87_COMPONENT) {
		x87_init(&vp->fpu);
		memset(vp->fpu.st, 0, sizeof(vp->fpu.st));
	}
	if (request & present & SSE_COMPONENT) {
		memcpy(vp->fpu.xmm, p + FX_XMM, xmm_bytes(vp));
	} else if (request & SSE_COMPONENT) {
		memset(vp->fpu.xmm, 0, xmm_bytes(vp));
	}
	return true;
}

static __attribute__((noinline)) bool xrstor_do(struct emu_vp *vp, const struct emu_insn *i)
{
	uint8_t buf[EMU_XSAVE_BYTES];
	const uint8_t *p;
	uint64_t la;

	if (!area_address(vp, i, EMU_XSAVE_BYTES, 64, HV_ACCESS_READ, &la)) {
		return false;
	}
	p = area_load(vp, la, buf, EMU_XSAVE_BYTES);
	return p != NULL && xrstor_get(vp, p, xsave_request(vp), i->osize == 8);
}

static const struct emu_insn *xsave(struct emu_vp *vp, const struct emu_insn *i)
{
	if (xsave_blocked(vp)) {
		return xsave_refuse(vp, i);
	}
	if (!xsave_do(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static const struct emu_insn *xrstor(struct emu_vp *vp, const struct emu_insn *i)
{
	if (xsave_blocked(vp)) {
		return xsave_refuse(vp, i);
	}
	if (!xrstor_do(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static emu_fn *find_state(ZydisMnemonic mnemonic, uint8_t *ret_osize)
{
	*ret_osize = 4;
	switch (mnemonic) { /* NOLINT */
	case ZYDIS_MNEMONIC_LDMXCSR:
		return ldmxcsr;
	case ZYDIS_MNEMONIC_STMXCSR:
		return stmxcsr;
	case ZYDIS_MNEMONIC_FXSAVE64:
		*ret_osize = 8;
		return fxsave;
	case ZYDIS_MNEMONIC_FXSAVE:
		return fxsave;
	case ZYDIS_MNEMONIC_FXRSTOR64:
		*ret_osize = 8;
		return fxrstor;
	case ZYDIS_MNEMONIC_FXRSTOR:
		return fxrstor;
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
		*ret_osize = 8;
		return xsave;
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVEOPT:
		return xsave;
	case ZYDIS_MNEMONIC_XRSTOR64:
		*ret_osize = 8;
		return xrstor;
	case ZYDIS_MNEMONIC_XRSTOR:
		return xrstor;
	default:
		return NULL;
	}
}

bool simd_lift_state(const struct emu_decoded *d, struct emu_insn *i)
{
	uint8_t osize;
	emu_fn *fn = find_state(d->insn.mnemonic, &osize);

	if (fn == NULL) {
		return false;
	}
	i->fn = fn;
	i->osize = osize;
	return true;
}
