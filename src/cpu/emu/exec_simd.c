/* SPDX-License-Identifier: Apache-2.0 */
/* SIMD: slow paths that all groups share. */
#include "simd.h"

/* Pre-computation exceptions: IE, DE, ZE. When one of them is unmasked, the others of the
 * instruction are not reported. */
#define PRE_COMPUTATION 0x07u

const struct emu_insn *simd_sse_refuse(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise(vp,
		  vp->cr0 & X86_CR0_EM || !(vp->cr4 & X86_CR4_OSFXSR) ? X86_EXC_UD : X86_EXC_NM);
	return emu_leave(vp, i);
}

const struct emu_insn *simd_mmx_refuse(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise(vp, vp->cr0 & X86_CR0_EM   ? X86_EXC_UD
		      : vp->cr0 & X86_CR0_TS ? X86_EXC_NM
					     : X86_EXC_MF);
	return emu_leave(vp, i);
}

const struct emu_insn *simd_mixed_refuse(struct emu_vp *vp, const struct emu_insn *i)
{
	return simd_sse_blocked(vp) ? simd_sse_refuse(vp, i) : simd_mmx_refuse(vp, i);
}

void simd_misaligned(struct emu_vp *vp)
{
	emu_raise_error(vp, X86_EXC_GP, 0);
}

__attribute__((noinline)) bool simd_load128_slow(struct emu_vp *vp, uint64_t la)
{
	return emu_load_bytes(vp, la, &vp->fpu.operand, 16);
}

__attribute__((noinline)) bool simd_store128_slow(struct emu_vp *vp, uint64_t la, __m128i value)
{
	return emu_store_bytes(vp, la, &value, 16);
}

void emu_fpu_sync_slow(struct emu_vp *vp)
{
	uint32_t host = simd_host_mxcsr(vp);

	vp->fpu.mxcsr |= host & SIMD_MXCSR_FLAGS;
	vp->fpu.host_live = false;
	if ((host & ~SIMD_MXCSR_FLAGS) != EMU_MXCSR_RESET) {
		simd_host_mxcsr_set(vp, EMU_MXCSR_RESET);
	}
}

__attribute__((noinline)) uint32_t simd_fp_enter_slow(struct emu_vp *vp)
{
	uint32_t guest = vp->fpu.mxcsr;

	if (simd_mxcsr_masked(guest)) {
		simd_host_mxcsr_set(vp, guest);
		vp->fpu.host_live = true;
		return 0;
	}
	simd_host_mxcsr_set(vp, (guest & ~SIMD_MXCSR_FLAGS) | SIMD_MXCSR_MASKS |
					(guest & SIMD_MXCSR_UM ? 0 : SIMD_MXCSR_FZ));
	return 1;
}

__attribute__((noinline)) bool simd_fp_leave_slow(struct emu_vp *vp)
{
	uint32_t raised = simd_host_mxcsr(vp) & SIMD_MXCSR_FLAGS;
	uint32_t unmasked = raised & ~(vp->fpu.mxcsr >> 7) & SIMD_MXCSR_FLAGS;

	simd_host_mxcsr_set(vp, EMU_MXCSR_RESET);
	if (unmasked & PRE_COMPUTATION) {
		raised &= PRE_COMPUTATION;
	}
	/* For simd_fp_fault(). */
	vp->fpu.host_mxcsr = vp->fpu.mxcsr | raised << 16;
	vp->fpu.mxcsr |= raised;
	if (unmasked) {
		return emu_raise(vp, vp->cr4 & X86_CR4_OSXMMEXCPT ? X86_EXC_XM : X86_EXC_UD);
	}
	return true;
}
