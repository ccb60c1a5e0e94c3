/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87, MMX and SSE state: what the system part of the engine needs. All functions run on the VP's
 * own thread.
 *
 * The operations themselves are carried out by the host's processor on copies of the guest's
 * operands, so results, status flags and condition codes are the hardware's own.
 */
#ifndef EMU_FPU_H
#define EMU_FPU_H

#include "hv/engine_state.h"
#include "vp.h"

/*
 * While guest code runs, its SSE exception flags may pile up in the host's MXCSR. Takes them over
 * into vp->fpu.mxcsr: when the VP leaves guest code, and before anything looks at or replaces
 * MXCSR.
 */
void emu_fpu_sync_slow(struct emu_vp *vp);
static inline void emu_fpu_sync(struct emu_vp *vp)
{
	if (vp->fpu.host_live) {
		emu_fpu_sync_slow(vp);
	}
}

/* State after RESET (INIT leaves it alone): FCW 0040h, all registers +0.0, tags full, MXCSR 1F80h,
 * XMM registers 0. */
void emu_fpu_reset(struct emu_vp *vp);

/* HvX64RegisterXmm0..15, FpMmx0..7, FpControlStatus, XmmControlStatus. False: not one of these, or
 * (set) a reserved MXCSR bit. */
bool emu_fpu_reg_get(const struct emu_vp *vp, uint32_t name, struct hv_u128 *ret_value);
bool emu_fpu_reg_set(struct emu_vp *vp, uint32_t name, const struct hv_u128 *value);

/* One record with the tag EMU_STATE_FPU. Restore takes that record's payload; false: torn, or a
 * value no processor can hold. */
#define EMU_STATE_FPU HV_ENGINE_STATE_FPU
#define EMU_STATE_FPU_VERSION HV_ENGINE_STATE_FPU_VERSION
void emu_fpu_save(const struct emu_vp *vp, struct state_writer *w);
bool emu_fpu_restore(struct emu_vp *vp, uint16_t version, struct state_reader *payload);

/*
 * Groups that need the host's processor: CPUID may offer a group only when its bit is set here; the
 * lifters refuse (#UD) the others. x87, MMX, SSE, SSE2, FXSAVE and SHA are always there.
 */
#define EMU_SIMD_SSE3 0x01u
#define EMU_SIMD_SSSE3 0x02u
#define EMU_SIMD_SSE41 0x04u
#define EMU_SIMD_SSE42 0x08u
#define EMU_SIMD_AES 0x10u
#define EMU_SIMD_PCLMUL 0x20u
#define EMU_SIMD_SHA 0x40u
uint32_t emu_simd_host_features(void);

/* XSAVE: components x87 (bit 0) and SSE (bit 1) in the standard format, with XSAVEOPT, without
 * XSAVEC, XSAVES and compaction. */
#define EMU_XCR0_MASK 0x3u
#define EMU_XSAVE_BYTES 576u
#define EMU_MXCSR_MASK 0x0000ffffu
#define EMU_MXCSR_RESET 0x00001f80u

#endif
