/* SPDX-License-Identifier: Apache-2.0 */
/* x87 and SSE state as the system part sees it: reset, hypervisor registers, saved state. */
#include "fpu.h"

#include <string.h>

#include "abi/hv.h"
#include "x87.h"

void emu_fpu_reset(struct emu_vp *vp)
{
	struct emu_fpu *fpu = &vp->fpu;

	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = X87_FCW_RESET;
	fpu->ftw = 0xff;
	fpu->mxcsr = EMU_MXCSR_RESET;
}

/* HV_X64_FP_CONTROL_STATUS_REGISTER: FCW, FSW, FTW and a zero byte, FOP; last RIP, or EIP and CS.
 */
static void fp_control_get(const struct emu_fpu *fpu, struct hv_u128 *v)
{
	v->lo = fpu->fcw | (uint64_t)fpu->fsw << 16 | (uint64_t)fpu->ftw << 32 |
		(uint64_t)fpu->fop << 48;
	v->hi = fpu->fip >> 32 ? fpu->fip : fpu->fip | (uint64_t)fpu->fcs << 32;
}

static void fp_control_set(struct emu_fpu *fpu, const struct hv_u128 *v)
{
	fpu->fcw = ((uint16_t)v->lo & X87_FCW_WRITABLE) | X87_FCW_FIXED;
	fpu->fsw = (uint16_t)(v->lo >> 16);
	fpu->ftw = (uint8_t)(v->lo >> 32);
	fpu->fop = (uint16_t)(v->lo >> 48) & 0x7ff;
	fpu->fip = v->hi;
	fpu->fcs = (uint16_t)(v->hi >> 32);
	x87_summarize(fpu);
}

/* HV_X64_XMM_CONTROL_STATUS_REGISTER: last RDP, or EDP and DS; MXCSR and its mask. */
static void xmm_control_get(const struct emu_fpu *fpu, struct hv_u128 *v)
{
	v->lo = fpu->fdp >> 32 ? fpu->fdp : fpu->fdp | (uint64_t)fpu->fds << 32;
	v->hi = fpu->mxcsr | (uint64_t)EMU_MXCSR_MASK << 32;
}

static bool xmm_control_set(struct emu_fpu *fpu, const struct hv_u128 *v)
{
	if ((uint32_t)v->hi & ~EMU_MXCSR_MASK) {
		return false;
	}
	fpu->fdp = v->lo;
	fpu->fds = (uint16_t)(v->lo >> 32);
	fpu->mxcsr = (uint32_t)v->hi;
	return true;
}

bool emu_fpu_reg_get(const struct emu_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	const struct emu_fpu *fpu = &vp->fpu;

	if (name >= HvX64RegisterXmm0 && name < HvX64RegisterXmm0 + 16) {
		memcpy(ret_value, &fpu->xmm[name - HvX64RegisterXmm0], 16);
		return true;
	}
	if (name >= HvX64RegisterFpMmx0 && name <= HvX64RegisterFpMmx7) {
		memcpy(ret_value, fpu->st[(x87_top(fpu) + name - HvX64RegisterFpMmx0) & 7], 16);
		return true;
	}
	if (name == HvX64RegisterFpControlStatus) {
		fp_control_get(fpu, ret_value);
		return true;
	}
	if (name == HvX64RegisterXmmControlStatus) {
		xmm_control_get(fpu, ret_value);
		return true;
	}
	return false;
}

bool emu_fpu_reg_set(struct emu_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	struct emu_fpu *fpu = &vp->fpu;

	if (name >= HvX64RegisterXmm0 && name < HvX64RegisterXmm0 + 16) {
		memcpy(&fpu->xmm[name - HvX64RegisterXmm0], value, 16);
		return true;
	}
	if (name >= HvX64RegisterFpMmx0 && name <= HvX64RegisterFpMmx7) {
		memcpy(fpu->st[(x87_top(fpu) + name - HvX64RegisterFpMmx0) & 7], value, 10);
		return true;
	}
	if (name == HvX64RegisterFpControlStatus) {
		fp_control_set(fpu, value);
		return true;
	}
	return name == HvX64RegisterXmmControlStatus && xmm_control_set(fpu, value);
}

void emu_fpu_save(const struct emu_vp *vp, struct state_writer *w)
{
	const struct emu_fpu *fpu = &vp->fpu;

	state_begin(w, EMU_STATE_FPU, EMU_STATE_FPU_VERSION);
	state_put_u16(w, fpu->fcw);
	state_put_u16(w, fpu->fsw);
	state_put_u8(w, fpu->ftw);
	state_put_u16(w, fpu->fop);
	state_put_u16(w, fpu->fcs);
	state_put_u16(w, fpu->fds);
	state_put_u64(w, fpu->fip);
	state_put_u64(w, fpu->fdp);
	state_put_u32(w, fpu->mxcsr);
	for (unsigned n = 0; n < 8; n++) {
		state_put_bytes(w, fpu->st[n], 10);
	}
	for (unsigned n = 0; n < 16; n++) {
		state_put_u64(w, fpu->xmm[n].u64[0]);
		state_put_u64(w, fpu->xmm[n].u64[1]);
	}
	state_end(w);
}

bool emu_fpu_restore(struct emu_vp *vp, uint16_t version, struct state_reader *payload)
{
	struct emu_fpu fpu = {0};

	if (version != EMU_STATE_FPU_VERSION) {
		return false;
	}
	fpu.fcw = (state_get_u16(payload) & X87_FCW_WRITABLE) | X87_FCW_FIXED;
	fpu.fsw = state_get_u16(payload);
	fpu.ftw = state_get_u8(payload);
	fpu.fop = state_get_u16(payload) & 0x7ff;
	fpu.fcs = state_get_u16(payload);
	fpu.fds = state_get_u16(payload);
	fpu.fip = state_get_u64(payload);
	fpu.fdp = state_get_u64(payload);
	fpu.mxcsr = state_get_u32(payload);
	for (unsigned n = 0; n < 8; n++) {
		state_get_bytes(payload, fpu.st[n], 10);
	}
	for (unsigned n = 0; n < 16; n++) {
		fpu.xmm[n].u64[0] = state_get_u64(payload);
		fpu.xmm[n].u64[1] = state_get_u64(payload);
	}
	if (payload->bad || (fpu.mxcsr & ~EMU_MXCSR_MASK)) {
		return false;
	}
	x87_summarize(&fpu);
	vp->fpu = fpu;
	return true;
}
