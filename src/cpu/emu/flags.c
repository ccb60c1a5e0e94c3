/* SPDX-License-Identifier: Apache-2.0 */
#include "flags.h"

#define SETTABLE                                                                                   \
	(X86_TF | X86_IF | X86_DF | X86_IOPL | X86_NT | X86_RF | X86_VM | X86_AC | X86_VIF |       \
	 X86_VIP | X86_ID)

uint64_t emu_flags_get(const struct emu_vp *vp)
{
	return vp->flags | emu_arith_get(vp);
}

void emu_flags_set(struct emu_vp *vp, uint64_t value)
{
	uint32_t before = vp->flags;

	vp->flags = ((uint32_t)value & SETTABLE) | 2;
	emu_arith_set(vp, (uint32_t)value);
	if ((before ^ vp->flags) & (X86_AC | X86_VM)) {
		emu_mode_update(vp);
	}
}
