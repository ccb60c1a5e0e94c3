// SPDX-License-Identifier: Apache-2.0
/*
 * Registers by HV register name. Which values are refused is what the software engine refuses, so that a state that one of them takes the other takes, too.
 * Spec: TLFS, HV_REGISTER_NAME.
 */
#include "abi/hv.h"
#include "lib/bits.h"
#include "vm.h"
#include "x86/paging.h"

#define CR0_WRITABLE UINT64_C(0xe005002f)
#define CR4_WRITABLE                                                                               \
	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |        \
	 X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT |           \
	 X86_CR4_UMIP | X86_CR4_FSGSBASE | X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP |        \
	 X86_CR4_SMAP)
#define EFER_WRITABLE (X86_EFER_SCE | X86_EFER_LME | X86_EFER_NXE | X86_EFER_LMA)
#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_MASK UINT64_C(0xe00f)
#define DR7_FIXED UINT64_C(0x400)
#define DR7_MASK UINT64_C(0xffff23ff)

/* KVM's order of general registers: RAX RBX RCX RDX RSI RDI RSP RBP R8 .. R15. */
static __u64 *gpr(struct kvm_vp *vp, unsigned n)
{
	static const uint8_t place[X86_GPR_COUNT] = {0, 2, 3,  1,  6,  7,  4,  5,
						     8, 9, 10, 11, 12, 13, 14, 15};

	return &kvm_vp_regs(vp)->rax + place[n];
}

/* ---- Segments and tables ---- */

static struct kvm_segment *segment(struct kvm_vp *vp, unsigned n)
{
	struct kvm_sregs *s = &vp->sregs;
	struct kvm_segment *const all[X86_SEG_COUNT] = {&s->es, &s->cs, &s->ss,	 &s->ds,
							&s->fs, &s->gs, &s->ldt, &s->tr};

	return all[n];
}

/* 64 bits base; limit, selector, attributes. */
static struct hv_u128 segment_pack(const struct kvm_segment *s)
{
	uint16_t attributes = (uint16_t)((s->type & 0xf) | (s->s ? X86_SEG_S : 0) |
					 (s->dpl & 3) << X86_SEG_DPL_SHIFT |
					 (s->present && !s->unusable ? X86_SEG_P : 0) |
					 (s->avl & 1) << 12 | (s->l ? X86_SEG_L : 0) |
					 (s->db ? X86_SEG_DB : 0) | (s->g ? X86_SEG_G : 0));

	return (struct hv_u128){.lo = s->base,
				.hi = s->limit | (uint64_t)s->selector << 32 |
				      (uint64_t)attributes << 48};
}

static struct kvm_segment segment_unpack(const struct hv_u128 *v)
{
	uint16_t attributes = (uint16_t)(v->hi >> 48);
	bool present = attributes & X86_SEG_P;

	return (struct kvm_segment){
		.base = v->lo,
		.limit = (uint32_t)v->hi,
		.selector = (uint16_t)(v->hi >> 32),
		.type = attributes & 0xf,
		.s = (attributes & X86_SEG_S) != 0,
		.dpl = attributes >> X86_SEG_DPL_SHIFT & 3,
		.present = present,
		.unusable = !present,
		.avl = attributes >> 12 & 1,
		.l = (attributes & X86_SEG_L) != 0,
		.db = (attributes & X86_SEG_DB) != 0,
		.g = (attributes & X86_SEG_G) != 0,
	};
}

static bool segment_set(struct kvm_vp *vp, unsigned n, const struct hv_u128 *value)
{
	struct kvm_segment s = segment_unpack(value);

	if (!x86_canonical(s.base) || (n == X86_CS && s.l && s.db)) {
		return false;
	}
	kvm_state_change(vp, PART_SREGS);
	*segment(vp, n) = s;
	return true;
}

static struct kvm_dtable *table(struct kvm_vp *vp, uint32_t name)
{
	return name == HvX64RegisterIdtr ? &vp->sregs.idt : &vp->sregs.gdt;
}

static bool table_set(struct kvm_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	if (!x86_canonical(value->hi)) {
		return false;
	}
	kvm_state_change(vp, PART_SREGS);
	table(vp, name)->limit = (uint16_t)(value->lo >> 48);
	table(vp, name)->base = value->hi;
	return true;
}

/* ---- Control registers, set one at a time in any order ---- */

/* Bits that the guest's processor does not have KVM refuses, too, but not before it takes all registers together. */
static uint64_t cr4_writable(const struct kvm_vp *vp)
{
	static const struct {
		uint64_t bit;
		uint8_t word, feature;
	} rows[] = {{X86_CR4_UMIP, X86_CPU_7_ECX, 2},	{X86_CR4_FSGSBASE, X86_CPU_7_EBX, 0},
		    {X86_CR4_PCIDE, X86_CPU_1_ECX, 17}, {X86_CR4_OSXSAVE, X86_CPU_1_ECX, 26},
		    {X86_CR4_SMEP, X86_CPU_7_EBX, 7},	{X86_CR4_SMAP, X86_CPU_7_EBX, 20},
		    {X86_CR4_PKE, X86_CPU_7_ECX, 3}};
	uint64_t writable = CR4_WRITABLE;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (x86_cpu_has(&vp->vm->cpu.features, rows[i].word, rows[i].feature)) {
			writable |= rows[i].bit;
		} else {
			writable &= ~rows[i].bit;
		}
	}
	return writable;
}

static bool control_valid(const struct kvm_vp *vp, uint32_t name, uint64_t value)
{
	switch (name) {
	case HvX64RegisterCr0:
		return !(value >> 32 || ((value & X86_CR0_PG) && !(value & X86_CR0_PE)) ||
			 ((value & X86_CR0_NW) && !(value & X86_CR0_CD)));
	case HvX64RegisterCr3:
		return value >> vp->vm->gmem->pa_bits == 0;
	case HvX64RegisterCr4:
		return !(value & ~cr4_writable(vp));
	case HvX64RegisterEfer:
		return !(value & ~(uint64_t)EFER_WRITABLE);
	default:
		return true;
	}
}

static bool control_set(struct kvm_vp *vp, uint32_t name, uint64_t value)
{
	struct kvm_sregs *s = &vp->sregs;

	if (!control_valid(vp, name, value)) {
		return false;
	}
	kvm_state_change(vp, PART_SREGS);
	if (name == HvX64RegisterCr0) {
		s->cr0 = (value & CR0_WRITABLE) | X86_CR0_ET;
	} else if (name == HvX64RegisterCr2) {
		s->cr2 = value;
	} else if (name == HvX64RegisterCr3) {
		s->cr3 = value;
	} else if (name == HvX64RegisterCr4) {
		s->cr4 = value;
	} else {
		s->efer = value;
	}
	/* LMA follows from the others. */
	bool long_mode =
		(s->cr0 & X86_CR0_PG) && (s->efer & X86_EFER_LME) && (s->cr4 & X86_CR4_PAE);

	s->efer = long_mode ? s->efer | X86_EFER_LMA : s->efer & ~(uint64_t)X86_EFER_LMA;
	return true;
}

static uint64_t control_get(const struct kvm_vp *vp, uint32_t name)
{
	const struct kvm_sregs *s = &vp->sregs;

	return name == HvX64RegisterCr0	  ? s->cr0
	       : name == HvX64RegisterCr2 ? s->cr2
	       : name == HvX64RegisterCr3 ? s->cr3
	       : name == HvX64RegisterCr4 ? s->cr4
					  : s->efer;
}

static bool is_control(uint32_t name)
{
	return (name >= HvX64RegisterCr0 && name <= HvX64RegisterCr4) || name == HvX64RegisterEfer;
}

/* ---- Debug registers ---- */

static uint64_t debug_get(const struct kvm_vp *vp, uint32_t name)
{
	return name == HvX64RegisterDr6	  ? vp->debug.dr6
	       : name == HvX64RegisterDr7 ? vp->debug.dr7
					  : vp->debug.db[name - HvX64RegisterDr0];
}

static bool debug_set(struct kvm_vp *vp, uint32_t name, uint64_t value)
{
	if (name >= HvX64RegisterDr6 && value >> 32) {
		return false;
	}
	kvm_state_change(vp, PART_DEBUG);
	if (name == HvX64RegisterDr6) {
		vp->debug.dr6 = DR6_FIXED | (value & DR6_MASK);
	} else if (name == HvX64RegisterDr7) {
		vp->debug.dr7 = DR7_FIXED | (value & DR7_MASK);
	} else {
		vp->debug.db[name - HvX64RegisterDr0] = value;
	}
	return true;
}

/* ---- By name ---- */

static bool is_debug(uint32_t name)
{
	return name >= HvX64RegisterDr0 && name <= HvX64RegisterDr7;
}

static bool is_table(uint32_t name)
{
	return name == HvX64RegisterIdtr || name == HvX64RegisterGdtr;
}

static bool is_fpu(uint32_t name)
{
	return name >= HvX64RegisterXmm0 && name <= HvX64RegisterXmmControlStatus;
}

static bool word_get(struct kvm_vp *vp, uint32_t name, uint64_t *ret)
{
	uint32_t msr;

	if (name - HvX64RegisterRax <= HvX64RegisterRflags - HvX64RegisterRax) {
		kvm_state_fetch(vp, PART_REGS);
		*ret = name == HvX64RegisterRip	     ? kvm_vp_regs(vp)->rip
		       : name == HvX64RegisterRflags ? kvm_vp_regs(vp)->rflags
						     : *gpr(vp, name - HvX64RegisterRax);
		return true;
	}
	if (is_control(name)) {
		kvm_state_fetch(vp, PART_SREGS);
		*ret = control_get(vp, name);
		return true;
	}
	if (is_debug(name)) {
		kvm_state_fetch(vp, PART_DEBUG);
		*ret = debug_get(vp, name);
		return true;
	}
	if (name == HvX64RegisterXfem) {
		kvm_state_fetch(vp, PART_XCR0);
		*ret = vp->xcr0;
		return true;
	}
	return x86_msr_of_register(name, &msr) && kvm_msr_read(vp, msr, ret) == X86_MSRS_DONE;
}

bool kvm_reg_get(struct kvm_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	uint64_t word;

	if (is_fpu(name)) {
		return kvm_fpu_reg_get(vp, name, ret_value);
	}
	if (name - HvX64RegisterEs < X86_SEG_COUNT) {
		kvm_state_fetch(vp, PART_SREGS);
		*ret_value = segment_pack(segment(vp, name - HvX64RegisterEs));
		return true;
	}
	if (is_table(name)) {
		kvm_state_fetch(vp, PART_SREGS);
		*ret_value = (struct hv_u128){.lo = (uint64_t)table(vp, name)->limit << 48,
					      .hi = table(vp, name)->base};
		return true;
	}
	if (!word_get(vp, name, &word)) {
		return false;
	}
	*ret_value = (struct hv_u128){.lo = word};
	return true;
}

static bool general_set(struct kvm_vp *vp, uint32_t name, uint64_t value)
{
	if (name == HvX64RegisterRflags && value >> 22) {
		return false;
	}
	kvm_state_change(vp, PART_REGS);
	if (name == HvX64RegisterRip) {
		kvm_vp_regs(vp)->rip = value;
	} else if (name == HvX64RegisterRflags) {
		kvm_vp_regs(vp)->rflags = value | 2;
	} else {
		*gpr(vp, name - HvX64RegisterRax) = value;
	}
	return true;
}

static bool xcr0_set(struct kvm_vp *vp, uint64_t value)
{
	if (!(value & 1) || (value & ~(vp->vm->cpu.xcr0 | 1))) {
		return false;
	}
	kvm_state_change(vp, PART_XCR0);
	vp->xcr0 = value;
	return true;
}

bool kvm_reg_set(struct kvm_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	uint32_t msr;

	if (is_fpu(name)) {
		return kvm_fpu_reg_set(vp, name, value);
	}
	if (name - HvX64RegisterEs < X86_SEG_COUNT) {
		return segment_set(vp, name - HvX64RegisterEs, value);
	}
	if (is_table(name)) {
		return table_set(vp, name, value);
	}
	if (name - HvX64RegisterRax <= HvX64RegisterRflags - HvX64RegisterRax) {
		return general_set(vp, name, value->lo);
	}
	if (is_control(name)) {
		return control_set(vp, name, value->lo);
	}
	if (is_debug(name)) {
		return debug_set(vp, name, value->lo);
	}
	if (name == HvX64RegisterXfem) {
		return xcr0_set(vp, value->lo);
	}
	return x86_msr_of_register(name, &msr) &&
	       kvm_msr_write(vp, msr, value->lo) == X86_MSRS_DONE;
}
