/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control, debug and model-specific registers: checked changes, shared by the instructions, by registers by name and by the restore of
 * saved state. Functions that answer bool refuse (false) what a MOV or WRMSR would answer with #GP, and have then changed nothing.
 */
#ifndef EMU_CONTROL_H
#define EMU_CONTROL_H

#include "vp.h"
#include "x86/msrs.h"

#define EMU_CR4_MASK                                                                               \
	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |        \
	 X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT |           \
	 X86_CR4_UMIP | X86_CR4_FSGSBASE | X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP |        \
	 X86_CR4_SMAP)
#define EMU_EFER_MASK (X86_EFER_SCE | X86_EFER_LME | X86_EFER_NXE)
#define EMU_DR6_FIXED UINT64_C(0xffff0ff0)
#define EMU_DR6_MASK UINT64_C(0xe00f)
#define EMU_DR7_FIXED UINT64_C(0x400)
#define EMU_DR7_MASK UINT64_C(0xffff23ff)
#define EMU_DR7_GD UINT64_C(0x2000)
#define EMU_DR6_BD UINT64_C(0x2000)
#define EMU_DR6_BS UINT64_C(0x4000)
#define EMU_DR6_BT UINT64_C(0x8000)

static inline bool emu_long_mode(const struct emu_vp *vp)
{
	return vp->efer & X86_EFER_LMA;
}

/* As MOV CRn and WRMSR do: with flushes and emu_mode_update(). */
bool emu_cr0_write(struct emu_vp *vp, uint64_t value);
bool emu_cr3_write(struct emu_vp *vp, uint64_t value);
bool emu_cr4_write(struct emu_vp *vp, uint64_t value);
bool emu_efer_write(struct emu_vp *vp, uint64_t value);
/* @n 0..3, 6, 7; the reserved bits take their fixed values. */
void emu_dr_write(struct emu_vp *vp, unsigned n, uint64_t value);

/*
 * The four PDPTEs that PAE paging with these control registers uses; untouched in other modes. False: a present one has reserved bits.
 */
bool emu_pdptes_load(struct emu_vp *vp, uint64_t cr0, uint64_t cr3, uint64_t cr4,
		     uint64_t ret_pdptes[4]);

enum x86_msrs_result emu_msr_read(struct emu_vp *vp, uint32_t index, uint64_t *ret_value);
enum x86_msrs_result emu_msr_write(struct emu_vp *vp, uint32_t index, uint64_t value);

#endif
