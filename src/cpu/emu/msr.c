/* SPDX-License-Identifier: Apache-2.0 */
/* The model-specific registers that the engine owns: those that steer are here, those that only store in x86/msrs.h. */
#include "control.h"
#include "x86/msrs.h"

#include "mem.h"
#include "x86/paging.h"

static bool is_base(uint32_t index)
{
	return index == X86_MSR_FS_BASE || index == X86_MSR_GS_BASE;
}

static uint64_t *base(struct emu_vp *vp, uint32_t index)
{
	return &vp->seg[index == X86_MSR_FS_BASE ? X86_FS : X86_GS].base;
}

enum x86_msrs_result emu_msr_read(struct emu_vp *vp, uint32_t index, uint64_t *ret_value)
{
	if (index == X86_MSR_EFER) {
		*ret_value = vp->efer;
		return X86_MSRS_DONE;
	}
	if (index == X86_MSR_TSC) {
		*ret_value = emu_tsc(vp);
		return X86_MSRS_DONE;
	}
	if (is_base(index)) {
		*ret_value = *base(vp, index);
		return X86_MSRS_DONE;
	}
	return x86_msrs_read(&vp->msr, &vp->vm->cpu, index, ret_value);
}

enum x86_msrs_result emu_msr_write(struct emu_vp *vp, uint32_t index, uint64_t value)
{
	if (index == X86_MSR_EFER) {
		return emu_efer_write(vp, value) ? X86_MSRS_DONE : X86_MSRS_REFUSED;
	}
	if (is_base(index)) {
		if (!x86_canonical(value)) {
			return X86_MSRS_REFUSED;
		}
		*base(vp, index) = value;
		return X86_MSRS_DONE;
	}
	return x86_msrs_write(&vp->msr, vp->vm->gmem->pa_bits, index, value);
}
