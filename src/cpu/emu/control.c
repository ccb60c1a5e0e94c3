/* SPDX-License-Identifier: Apache-2.0 */
/* Control and debug registers. Spec: Intel SDM vol. 3, 2.5 (control registers), 9.8 (mode switching), 17.2 (debug registers). */
#include "control.h"

#include "core.h"
#include "mem.h"
#include "segment.h"
#include "x86/msr.h"
#include "x86/paging.h"

static void note_first_user(struct emu_vm *vm)
{
	uint64_t none = 0;

	atomic_compare_exchange_strong(&vm->first_user, &none, emu_clock(vm));
}

/* Segments whose checks can never fail in this mode. */
static uint8_t flat_segments(const struct emu_vp *vp)
{
	static const uint16_t mask =
		X86_SEG_P | X86_SEG_S | X86_TYPE_CODE | X86_TYPE_DC | X86_TYPE_RW;
	uint8_t flat = 0;

	if (vp->mode != EMU_MODE_16 && vp->mode != EMU_MODE_32) {
		return 0;
	}
	for (unsigned n = X86_ES; n <= X86_GS; n++) {
		const struct x86_segment *s = &vp->seg[n];

		if ((s->attributes & mask) == (X86_SEG_P | X86_SEG_S | X86_TYPE_RW) &&
		    s->base == 0 && s->limit == 0xffffffff) {
			flat |= (uint8_t)BIT32(n);
		}
	}
	return flat;
}

void emu_mode_update(struct emu_vp *vp)
{
	const uint16_t cs = vp->seg[X86_CS].attributes;
	enum emu_mode mode;

	if (emu_v86(vp)) {
		mode = EMU_MODE_REAL;
	} else if (!(vp->cr0 & X86_CR0_PE)) {
		/* Real mode right after protected mode: CS keeps its size until it is loaded. */
		mode = cs & X86_SEG_DB ? EMU_MODE_32 : EMU_MODE_REAL;
	} else if (emu_long(vp) && (cs & X86_SEG_L)) {
		mode = EMU_MODE_64;
	} else {
		mode = cs & X86_SEG_DB ? EMU_MODE_32 : EMU_MODE_16;
	}
	vp->mode = (uint8_t)mode;
	vp->flat = flat_segments(vp);
	emu_tlb_select(vp);
	if (unlikely(vp->cpl == 3 &&
		     atomic_load_explicit(&vp->vm->first_user, memory_order_relaxed) == 0)) {
		note_first_user(vp->vm);
	}
}

static bool cr0_valid(const struct emu_vp *vp, uint64_t value)
{
	bool paging = value & X86_CR0_PG;

	if (value >> 32 || (paging && !(value & X86_CR0_PE)) ||
	    ((value & X86_CR0_NW) && !(value & X86_CR0_CD))) {
		return false;
	}
	if (paging && !(vp->cr0 & X86_CR0_PG) && (vp->efer & X86_EFER_LME)) {
		return (vp->cr4 & X86_CR4_PAE) && !(vp->seg[X86_CS].attributes & X86_SEG_L);
	}
	if (!paging && (vp->cr0 & X86_CR0_PG)) {
		return vp->mode != EMU_MODE_64 && !(vp->cr4 & X86_CR4_PCIDE);
	}
	return true;
}

bool emu_cr0_write(struct emu_vp *vp, uint64_t value)
{
	static const uint64_t known = X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS |
				      X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW |
				      X86_CR0_CD | X86_CR0_PG;
	uint64_t efer = vp->efer, changed;

	if (!cr0_valid(vp, value)) {
		return false;
	}
	value = (value & known) | X86_CR0_ET;
	changed = value ^ vp->cr0;
	if (changed & X86_CR0_PG) {
		vp->efer = value & X86_CR0_PG && efer & X86_EFER_LME ? efer | X86_EFER_LMA
								     : efer & ~X86_EFER_LMA;
	}
	if ((changed & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) &&
	    !emu_pdptes_load(vp, value, vp->cr3, vp->cr4, vp->pdpte)) {
		vp->efer = efer;
		return false;
	}
	vp->cr0 = value;
	if (changed & X86_CR0_PE) {
		/* Leaving protected mode is only possible in ring 0, so the privilege is 0 either way. */
		vp->cpl = 0;
	}
	if (changed & (X86_CR0_PG | X86_CR0_PE | X86_CR0_WP)) {
		emu_tlb_flush(vp, false);
	}
	emu_mode_update(vp);
	return true;
}

bool emu_cr3_write(struct emu_vp *vp, uint64_t value)
{
	uint64_t reserved = ~(BIT64(vp->vm->gmem->pa_bits) - 1);

	if (!emu_long(vp)) {
		value &= 0xffffffff;
	} else {
		if (vp->cr4 & X86_CR4_PCIDE) {
			/* Bit 63 allows to keep translations; forgetting more is always right. */
			value &= ~BIT64(63);
		}
		if (value & reserved) {
			return false;
		}
	}
	if (!emu_pdptes_load(vp, vp->cr0, value, vp->cr4, vp->pdpte)) {
		return false;
	}
	vp->cr3 = value;
	emu_tlb_flush(vp, true);
	return true;
}

bool emu_cr4_write(struct emu_vp *vp, uint64_t value)
{
	static const uint64_t paging =
		X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | X86_CR4_SMEP | X86_CR4_SMAP;
	uint64_t changed = value ^ vp->cr4;

	if (value & ~(uint64_t)EMU_CR4_MASK) {
		return false;
	}
	if (emu_long(vp) && !(value & X86_CR4_PAE)) {
		return false;
	}
	if ((changed & value & X86_CR4_PCIDE) && (!emu_long(vp) || (vp->cr3 & 0xfff))) {
		return false;
	}
	if ((changed & paging) && !emu_pdptes_load(vp, vp->cr0, vp->cr3, value, vp->pdpte)) {
		return false;
	}
	vp->cr4 = value;
	if (changed & (paging | X86_CR4_PCIDE)) {
		emu_tlb_flush(vp, false);
	}
	emu_mode_update(vp);
	return true;
}

bool emu_efer_write(struct emu_vp *vp, uint64_t value)
{
	uint64_t changed;

	value &= ~(uint64_t)X86_EFER_LMA;
	if (value & ~(uint64_t)EMU_EFER_MASK) {
		return false;
	}
	changed = value ^ vp->efer;
	if ((changed & X86_EFER_LME) && (vp->cr0 & X86_CR0_PG)) {
		return false;
	}
	vp->efer = value | (vp->efer & X86_EFER_LMA);
	if (changed & X86_EFER_NXE) {
		emu_tlb_flush(vp, false);
	}
	emu_mode_update(vp);
	return true;
}

void emu_dr_write(struct emu_vp *vp, unsigned n, uint64_t value)
{
	if (n == 6) {
		vp->dr[6] = EMU_DR6_FIXED | (value & EMU_DR6_MASK);
	} else if (n == 7) {
		vp->dr[7] = EMU_DR7_FIXED | (value & EMU_DR7_MASK);
		emu_mode_update(vp);
	} else {
		vp->dr[n] = value;
	}
}
