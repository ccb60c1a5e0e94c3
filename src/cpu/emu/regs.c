/* SPDX-License-Identifier: Apache-2.0 */
/* Registers by HV register name, RESET and INIT. Spec: TLFS, HV_REGISTER_NAME; Intel SDM vol. 3, table 9-1 (state after RESET, INIT). */
#include "abi/hv.h"
#include "control.h"
#include "flags.h"
#include "fpu.h"
#include "mem.h"
#include "segment.h"
#include "sys.h"
#include "x86/msr.h"
#include "x86/paging.h"

/* Index into vp->dr of HvX64RegisterDr0 .. Dr7. */
static unsigned dr_of_name(uint32_t name)
{
	unsigned n = name - HvX64RegisterDr0;

	return n < 4 ? n : n + 2;
}

/* ---- Segments: 64 bits base; limit, selector, attributes ---- */

static struct hv_u128 segment_pack(const struct x86_segment *s)
{
	return (struct hv_u128){.lo = s->base,
				.hi = s->limit | (uint64_t)s->selector << 32 |
				      (uint64_t)s->attributes << 48};
}

static struct x86_segment segment_unpack(const struct hv_u128 *v)
{
	return (struct x86_segment){
		.base = v->lo,
		.limit = (uint32_t)v->hi,
		.selector = (uint16_t)(v->hi >> 32),
		.attributes = (uint16_t)(v->hi >> 48 & 0xf0ff),
	};
}

/* CPL is SS's DPL, as in VMX. */
static void cpl_refresh(struct emu_vp *vp)
{
	if (!(vp->cr0 & X86_CR0_PE)) {
		vp->cpl = 0;
	} else if (emu_v86(vp)) {
		vp->cpl = 3;
	} else {
		vp->cpl = (uint8_t)x86_segment_dpl(&vp->seg[X86_SS]);
	}
}

static bool segment_set(struct emu_vp *vp, unsigned seg, const struct hv_u128 *value)
{
	struct x86_segment s = segment_unpack(value);

	if (!x86_canonical(s.base)) {
		return false;
	}
	/* L with D is no code size. */
	if (seg == X86_CS &&
	    (s.attributes & (X86_SEG_L | X86_SEG_DB)) == (X86_SEG_L | X86_SEG_DB)) {
		return false;
	}
	vp->seg[seg] = s;
	cpl_refresh(vp);
	emu_mode_update(vp);
	return true;
}

/* ---- Tables: 16 bits limit at bit 48, base above ---- */

static struct hv_u128 table_pack(const struct x86_table *t)
{
	return (struct hv_u128){.lo = (uint64_t)t->limit << 48, .hi = t->base};
}

static bool table_set(struct x86_table *t, const struct hv_u128 *value)
{
	if (!x86_canonical(value->hi)) {
		return false;
	}
	t->limit = (uint16_t)(value->lo >> 48);
	t->base = value->hi;
	return true;
}

/* ---- Control registers, set one at a time in any order ---- */

/*
 * Loaders and restore set CR0, CR3, CR4 and EFER independently, so the rules of MOV for transitions do not hold; what must hold is that
 * each value is one that the register can have. LMA follows from the others.
 */
static bool control_refresh(struct emu_vp *vp)
{
	bool long_mode =
		(vp->cr0 & X86_CR0_PG) && (vp->efer & X86_EFER_LME) && (vp->cr4 & X86_CR4_PAE);

	vp->efer = long_mode ? vp->efer | X86_EFER_LMA : vp->efer & ~(uint64_t)X86_EFER_LMA;
	cpl_refresh(vp);
	emu_tlb_flush(vp, false);
	emu_mode_update(vp);
	/* PDPTEs with reserved bits leave the old ones in force, as the register may be changed once more. */
	(void)emu_pdptes_load(vp, vp->cr0, vp->cr3, vp->cr4, vp->pdpte);
	return true;
}

static bool cr0_set(struct emu_vp *vp, uint64_t value)
{
	if (value >> 32 || ((value & X86_CR0_PG) && !(value & X86_CR0_PE)) ||
	    ((value & X86_CR0_NW) && !(value & X86_CR0_CD))) {
		return false;
	}
	vp->cr0 = (value & 0xe005002f) | X86_CR0_ET;
	return control_refresh(vp);
}

static bool cr3_set(struct emu_vp *vp, uint64_t value)
{
	if (value >> vp->vm->gmem->pa_bits) {
		return false;
	}
	vp->cr3 = value;
	return control_refresh(vp);
}

static bool cr4_set(struct emu_vp *vp, uint64_t value)
{
	if (value & ~(uint64_t)EMU_CR4_MASK) {
		return false;
	}
	vp->cr4 = value;
	return control_refresh(vp);
}

static bool efer_set(struct emu_vp *vp, uint64_t value)
{
	if (value & ~(uint64_t)(EMU_EFER_MASK | X86_EFER_LMA)) {
		return false;
	}
	vp->efer = value;
	return control_refresh(vp);
}

static bool flags_set(struct emu_vp *vp, uint64_t value)
{
	if (value >> 22) {
		return false;
	}
	emu_flags_set(vp, value);
	cpl_refresh(vp);
	emu_mode_update(vp);
	return true;
}

/* ---- By name ---- */

static bool get_word(struct emu_vp *vp, uint32_t name, uint64_t *ret)
{
	uint32_t msr;

	if (name - HvX64RegisterRax < X86_GPR_COUNT) {
		*ret = vp->r[name - HvX64RegisterRax];
		return true;
	}
	if (name - HvX64RegisterDr0 <= HvX64RegisterDr7 - HvX64RegisterDr0) {
		*ret = vp->dr[dr_of_name(name)];
		return true;
	}
	switch (name) {
	case HvX64RegisterRip:
		*ret = vp->rip;
		return true;
	case HvX64RegisterRflags:
		*ret = emu_flags_get(vp);
		return true;
	case HvX64RegisterCr0:
		*ret = vp->cr0;
		return true;
	case HvX64RegisterCr2:
		*ret = vp->cr2;
		return true;
	case HvX64RegisterCr3:
		*ret = vp->cr3;
		return true;
	case HvX64RegisterCr4:
		*ret = vp->cr4;
		return true;
	case HvX64RegisterXfem:
		*ret = vp->xcr0;
		return true;
	case HvX64RegisterTsc:
		*ret = emu_tsc(vp);
		return true;
	case HvX64RegisterEfer:
		*ret = vp->efer;
		return true;
	default:
		return x86_msr_of_register(name, &msr) &&
		       emu_msr_read(vp, msr, ret) == X86_MSRS_DONE;
	}
}

bool emu_reg_get(struct emu_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	uint64_t word;

	if (name - HvX64RegisterEs < X86_SEG_COUNT) {
		*ret_value = segment_pack(&vp->seg[name - HvX64RegisterEs]);
		return true;
	}
	if (name == HvX64RegisterIdtr || name == HvX64RegisterGdtr) {
		*ret_value = table_pack(name == HvX64RegisterIdtr ? &vp->idtr : &vp->gdtr);
		return true;
	}
	if (get_word(vp, name, &word)) {
		*ret_value = (struct hv_u128){.lo = word};
		return true;
	}
	return emu_fpu_reg_get(vp, name, ret_value);
}

static bool dr_set(struct emu_vp *vp, unsigned n, uint64_t value)
{
	if (n >= 6 && value >> 32) {
		return false;
	}
	emu_dr_write(vp, n, value);
	return true;
}

static bool xcr0_set(struct emu_vp *vp, uint64_t value)
{
	if (!(value & 1) || (value & ~(uint64_t)EMU_XCR0_MASK)) {
		return false;
	}
	vp->xcr0 = value;
	return true;
}

static bool set_word(struct emu_vp *vp, uint32_t name, uint64_t value)
{
	uint32_t msr;

	if (name - HvX64RegisterRax < X86_GPR_COUNT) {
		vp->r[name - HvX64RegisterRax] = value;
		return true;
	}
	if (name - HvX64RegisterDr0 <= HvX64RegisterDr7 - HvX64RegisterDr0) {
		return dr_set(vp, dr_of_name(name), value);
	}
	switch (name) {
	case HvX64RegisterRip:
		vp->rip = value;
		return true;
	case HvX64RegisterRflags:
		return flags_set(vp, value);
	case HvX64RegisterCr0:
		return cr0_set(vp, value);
	case HvX64RegisterCr2:
		vp->cr2 = value;
		return true;
	case HvX64RegisterCr3:
		return cr3_set(vp, value);
	case HvX64RegisterCr4:
		return cr4_set(vp, value);
	case HvX64RegisterXfem:
		return xcr0_set(vp, value);
	case HvX64RegisterEfer:
		return efer_set(vp, value);
	default:
		return x86_msr_of_register(name, &msr) &&
		       emu_msr_write(vp, msr, value) == X86_MSRS_DONE;
	}
}

bool emu_reg_set(struct emu_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	if (name - HvX64RegisterEs < X86_SEG_COUNT) {
		return segment_set(vp, name - HvX64RegisterEs, value);
	}
	if (name == HvX64RegisterIdtr || name == HvX64RegisterGdtr) {
		return table_set(name == HvX64RegisterIdtr ? &vp->idtr : &vp->gdtr, value);
	}
	return set_word(vp, name, value->lo) || emu_fpu_reg_set(vp, name, value);
}

bool emu_msr_get(struct emu_vp *vp, uint32_t index, uint64_t *ret_value)
{
	return emu_msr_read(vp, index, ret_value) == X86_MSRS_DONE;
}

bool emu_msr_set(struct emu_vp *vp, uint32_t index, uint64_t value)
{
	return index == X86_MSR_EFER ? efer_set(vp, value)
				     : emu_msr_write(vp, index, value) == X86_MSRS_DONE;
}

/* ---- RESET, INIT ---- */

static void segments_reset(struct emu_vp *vp)
{
	static const uint16_t data = X86_SEG_P | X86_SEG_S | X86_TYPE_RW | X86_TYPE_ACCESSED;

	for (unsigned n = 0; n < X86_SEG_COUNT; n++) {
		vp->seg[n] = (struct x86_segment){.limit = 0xffff, .attributes = data};
	}
	vp->seg[X86_CS].selector = 0xf000;
	vp->seg[X86_CS].base = 0xffff0000;
	vp->seg[X86_CS].attributes = data | X86_TYPE_CODE;
	vp->seg[X86_LDTR].attributes = X86_SEG_P | X86_TYPE_LDT;
	vp->seg[X86_TR].attributes = X86_SEG_P | X86_TYPE_TSS32_BUSY;
	vp->gdtr = (struct x86_table){.limit = 0xffff};
	vp->idtr = (struct x86_table){.limit = 0xffff};
}

static void events_reset(struct emu_vp *vp)
{
	vp->event = EMU_EVENT_NONE;
	vp->pending = false;
	vp->injected = false;
	vp->nmi_blocked = false;
	vp->shadow = false;
	vp->shadow_ss = false;
	vp->replay_count = 0;
	vp->replay_next = 0;
	vp->debug_hits = 0;
}

void emu_reset(struct emu_vp *vp, bool init)
{
	uint64_t cache_bits = init ? vp->cr0 & (X86_CR0_CD | X86_CR0_NW) : X86_CR0_CD | X86_CR0_NW;
	uint32_t cpuid[4];

	for (unsigned n = 0; n < X86_GPR_COUNT; n++) {
		vp->r[n] = 0;
	}
	emu_cpuid(vp->vm, 1, 0, cpuid);
	vp->r[X86_RDX] = cpuid[0];
	vp->r[EMU_REG_NONE] = 0;
	vp->rip = 0xfff0;
	segments_reset(vp);
	vp->cr0 = cache_bits | X86_CR0_ET;
	vp->cr2 = 0;
	vp->cr3 = 0;
	vp->cr4 = 0;
	vp->efer = 0;
	for (unsigned n = 0; n < 4; n++) {
		vp->pdpte[n] = 0;
		vp->dr[n] = 0;
	}
	vp->dr[6] = EMU_DR6_FIXED;
	vp->dr[7] = EMU_DR7_FIXED;
	vp->cpl = 0;
	if (!init) {
		/* Spec: SDM vol. 3, table 9-1: INIT leaves these MSRs alone; FS and GS bases go with their segments. */
		x86_msrs_reset(&vp->msr);
	}
	if (!init) {
		vp->xcr0 = 1;
		emu_fpu_reset(vp);
	}
	events_reset(vp);
	emu_flags_set(vp, 2);
	emu_mode_update(vp);
}
