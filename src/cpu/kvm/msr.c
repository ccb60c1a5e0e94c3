// SPDX-License-Identifier: Apache-2.0
/*
 * Model-specific registers in three groups. The few that steer the processor are KVM's, which lets the guest at them without an exit. Those that only
 * store something are kept here, with the values and refusals of the software engine, so that they do not depend on what this host's KVM
 * knows. All others are the hypervisor core's. KVM is told so by a filter that denies everything but the first group.
 *
 * x2APIC registers cannot be filtered; without a local APIC of KVM's they fail there and come out as refused accesses.
 */
#include "x86/msr.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/hv.h"
#include "lib/bits.h"
#include "vm.h"
#include "x86/paging.h"

/* ---- KVM's ---- */

/* Runs of at most 32. */
static const struct {
	uint32_t first;
	uint32_t count;
	uint32_t flags;
} in_kernel[] = {
	{X86_MSR_TSC, 1, KVM_MSR_FILTER_READ},
	{X86_MSR_SYSENTER_CS, 3, KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE},
	{X86_MSR_PAT, 1, KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE},
	{X86_MSR_EFER, 5, KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE},
	{X86_MSR_FS_BASE, 4, KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE},
};

bool kvm_msr_in_kernel(uint32_t index, bool write)
{
	uint32_t flag = write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ;

	for (size_t i = 0; i < ARRAY_LEN(in_kernel); i++) {
		if (index - in_kernel[i].first < in_kernel[i].count) {
			return (in_kernel[i].flags & flag) != 0;
		}
	}
	return false;
}

int kvm_msr_set_filter(int vm_fd)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
				     .args = {KVM_MSR_EXIT_REASON_INVAL |
					      KVM_MSR_EXIT_REASON_UNKNOWN |
					      KVM_MSR_EXIT_REASON_FILTER}};
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_DENY};
	uint32_t allowed[ARRAY_LEN(in_kernel)];

	_Static_assert(ARRAY_LEN(in_kernel) <= KVM_MSR_FILTER_MAX_RANGES, "ranges");
	for (size_t i = 0; i < ARRAY_LEN(in_kernel); i++) {
		allowed[i] = BIT32(in_kernel[i].count) - 1;
		filter.ranges[i] = (struct kvm_msr_filter_range){.flags = in_kernel[i].flags,
								 .nmsrs = in_kernel[i].count,
								 .base = in_kernel[i].first,
								 .bitmap = (uint8_t *)&allowed[i]};
	}
	return ioctl(vm_fd, KVM_ENABLE_CAP, &cap) < 0 ||
			       ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter) < 0
		       ? -errno
		       : 0;
}

/* The kernel's struct kvm_msrs ends with an array; this is it with one entry. */
struct one_msr {
	__u32 count;
	__u32 pad;
	struct kvm_msr_entry entry;
};
_Static_assert(offsetof(struct one_msr, entry) == sizeof(struct kvm_msrs), "KVM_GET_MSRS");

static bool kernel_get(struct kvm_vp *vp, uint32_t index, uint64_t *ret)
{
	struct one_msr m = {.count = 1, .entry = {.index = index}};

	kvm_vp_settle(vp);
	if (ioctl(vp->fd, KVM_GET_MSRS, &m) != 1) {
		return false;
	}
	*ret = m.entry.data;
	return true;
}

static bool kernel_set(struct kvm_vp *vp, uint32_t index, uint64_t value)
{
	struct one_msr m = {.count = 1, .entry = {.index = index, .data = value}};

	kvm_vp_settle(vp);
	return ioctl(vp->fd, KVM_SET_MSRS, &m) == 1;
}

/* EFER and the segment bases are part of the cached registers. */
static bool is_cached(uint32_t index)
{
	return index == X86_MSR_EFER || index == X86_MSR_FS_BASE || index == X86_MSR_GS_BASE;
}

static __u64 *cached(struct kvm_vp *vp, uint32_t index)
{
	return index == X86_MSR_EFER	  ? &vp->sregs.efer
	       : index == X86_MSR_FS_BASE ? &vp->sregs.fs.base
					  : &vp->sregs.gs.base;
}

/* ---- Kept here ---- */

enum rule {
	STORED,	  /* bits outside of the mask: #GP */
	CONSTANT, /* reads as the reset value, writes: #GP */
	IGNORED,  /* reads as the reset value, writes are taken and forgotten */
	COMMAND,  /* write-only bits in the mask; reading: #GP */
};

struct msr {
	uint32_t index;
	uint8_t rule;
	uint16_t offset; /* in struct kvm_vp_msrs; unused for rules without storage */
	uint64_t mask;
	uint64_t reset;
};

#define AT(field) ((uint16_t)offsetof(struct kvm_vp_msrs, field))
#define ANY (~UINT64_C(0))

static const struct msr msrs[] = {
	{X86_MSR_P5_MC_ADDR, IGNORED, .reset = 0},
	{X86_MSR_P5_MC_TYPE, IGNORED, .reset = 0},
	{X86_MSR_PLATFORM_ID, CONSTANT, .reset = 0},
	/* Locked, so that nobody looks for VMX. */
	{X86_MSR_FEATURE_CONTROL, CONSTANT, .reset = 1},
	{X86_MSR_SPEC_CTRL, STORED, AT(spec_ctrl), X86_SPEC_CTRL_MASK, 0},
	{X86_MSR_PRED_CMD, COMMAND, .mask = 1},
	{X86_MSR_BIOS_UPDT_TRIG, COMMAND, .mask = ANY},
	{X86_MSR_BIOS_SIGN_ID, IGNORED, .reset = X86_MICROCODE_REVISION << 32},
	{X86_MSR_MTRRCAP, CONSTANT, .reset = X86_MTRRCAP_VALUE},
	{X86_MSR_ARCH_CAPABILITIES, CONSTANT, .reset = X86_ARCH_CAPABILITIES_SEQUENTIAL},
	{X86_MSR_MCG_CAP, CONSTANT, .reset = X86_MCG_CAP_VALUE},
	{X86_MSR_MCG_STATUS, STORED, AT(mcg_status), 0x7, 0},
	{X86_MSR_MCG_CTL, STORED, AT(mcg_ctl), ANY, 0},
	{X86_MSR_MISC_ENABLE, STORED, AT(misc_enable), 0x1801, X86_MISC_ENABLE_RESET},
	{X86_MSR_DEBUGCTL, STORED, AT(debugctl), 0x3, 0},
};

static const struct msr *find(uint32_t index)
{
	for (size_t n = 0; n < ARRAY_LEN(msrs); n++) {
		if (msrs[n].index == index) {
			return &msrs[n];
		}
	}
	return NULL;
}

static uint64_t *slot(struct kvm_vp *vp, const struct msr *m)
{
	return (uint64_t *)(void *)((char *)&vp->msr + m->offset);
}

/* MTRRs and machine check banks: stored, each with its own rule. */
static uint64_t *array_slot(struct kvm_vp *vp, uint32_t index)
{
	int fixed = x86_msr_mtrr_fixed_index(index);

	if (fixed >= 0) {
		return &vp->msr.mtrr_fixed[fixed];
	}
	if (index - X86_MSR_MTRR_VAR_BASE0 < ARRAY_LEN(vp->msr.mtrr_var)) {
		return &vp->msr.mtrr_var[index - X86_MSR_MTRR_VAR_BASE0];
	}
	if (index - X86_MSR_MC0_CTL < ARRAY_LEN(vp->msr.mc)) {
		return &vp->msr.mc[index - X86_MSR_MC0_CTL];
	}
	return index == X86_MSR_MTRR_DEF_TYPE ? &vp->msr.mtrr_def_type : NULL;
}

static bool array_valid(const struct kvm_vp *vp, uint32_t index, uint64_t value)
{
	if (index - X86_MSR_MC0_CTL < ARRAY_LEN(vp->msr.mc)) {
		/* CTL takes anything; STATUS, ADDR and MISC can only be cleared. */
		return (index & 3) == 0 || value == 0;
	}
	if (index == X86_MSR_MTRR_DEF_TYPE) {
		return x86_msr_mtrr_def_type_valid(value);
	}
	if (x86_msr_mtrr_fixed_index(index) >= 0) {
		return x86_msr_mtrr_fixed_valid(value);
	}
	return x86_msr_mtrr_var_valid(value, index & 1, vp->vm->gmem->pa_bits);
}

static enum kvm_msr_result kept_read(struct kvm_vp *vp, uint32_t index, uint64_t *ret_value)
{
	const struct msr *m = find(index);

	if (array_slot(vp, index) != NULL) {
		*ret_value = *array_slot(vp, index);
		return MSR_DONE;
	}
	if (m == NULL) {
		return MSR_FOREIGN;
	}
	if (m->rule == COMMAND) {
		return MSR_REFUSED;
	}
	*ret_value = m->rule == STORED ? *slot(vp, m) : m->reset;
	return MSR_DONE;
}

static enum kvm_msr_result store(uint64_t *p, bool valid, uint64_t value)
{
	if (!valid) {
		return MSR_REFUSED;
	}
	*p = value;
	return MSR_DONE;
}

static enum kvm_msr_result kept_write(struct kvm_vp *vp, uint32_t index, uint64_t value)
{
	const struct msr *m = find(index);

	if (array_slot(vp, index) != NULL) {
		return store(array_slot(vp, index), array_valid(vp, index, value), value);
	}
	if (m == NULL) {
		return MSR_FOREIGN;
	}
	switch ((enum rule)m->rule) {
	case CONSTANT:
		return MSR_REFUSED;
	case IGNORED:
		return MSR_DONE;
	case COMMAND:
		return value & ~m->mask ? MSR_REFUSED : MSR_DONE;
	case STORED:
	default:
		return store(slot(vp, m), !(value & ~m->mask), value);
	}
}

/* ---- Both ---- */

enum kvm_msr_result kvm_msr_read(struct kvm_vp *vp, uint32_t index, uint64_t *ret_value)
{
	if (index == X86_MSR_TSC) {
		return MSR_FOREIGN;
	}
	if (is_cached(index)) {
		kvm_state_fetch(vp, PART_SREGS);
		*ret_value = *cached(vp, index);
		return MSR_DONE;
	}
	if (kvm_msr_in_kernel(index, false)) {
		return kernel_get(vp, index, ret_value) ? MSR_DONE : MSR_REFUSED;
	}
	return kept_read(vp, index, ret_value);
}

/* As WRMSR would: KVM does not look closely at what it is given from here. */
static bool kernel_valid(uint32_t index, uint64_t value)
{
	switch (index) {
	case X86_MSR_SYSENTER_ESP:
	case X86_MSR_SYSENTER_EIP:
	case X86_MSR_LSTAR:
	case X86_MSR_CSTAR:
	case X86_MSR_FS_BASE:
	case X86_MSR_GS_BASE:
	case X86_MSR_KERNEL_GS_BASE:
		return x86_canonical(value);
	case X86_MSR_SYSENTER_CS:
	case X86_MSR_SFMASK:
	case X86_MSR_TSC_AUX:
		return value >> 32 == 0;
	case X86_MSR_PAT:
		return x86_msr_pat_valid(value);
	default:
		return true;
	}
}

enum kvm_msr_result kvm_msr_write(struct kvm_vp *vp, uint32_t index, uint64_t value)
{
	if (!kvm_msr_in_kernel(index, true)) {
		return index == X86_MSR_TSC ? MSR_FOREIGN : kept_write(vp, index, value);
	}
	if (!kernel_valid(index, value)) {
		return MSR_REFUSED;
	}
	if (index == X86_MSR_EFER) {
		return kvm_reg_set(vp, HvX64RegisterEfer, &(struct hv_u128){.lo = value})
			       ? MSR_DONE
			       : MSR_REFUSED;
	}
	if (is_cached(index)) {
		kvm_state_change(vp, PART_SREGS);
		*cached(vp, index) = value;
		return MSR_DONE;
	}
	return kernel_set(vp, index, value) ? MSR_DONE : MSR_REFUSED;
}

void kvm_msr_reset(struct kvm_vp *vp, bool init)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} kernel[] = {
		{X86_MSR_SYSENTER_CS, 0},  {X86_MSR_SYSENTER_ESP, 0},
		{X86_MSR_SYSENTER_EIP, 0}, {X86_MSR_STAR, 0},
		{X86_MSR_LSTAR, 0},	   {X86_MSR_CSTAR, 0},
		{X86_MSR_SFMASK, 0},	   {X86_MSR_KERNEL_GS_BASE, 0},
		{X86_MSR_TSC_AUX, 0},	   {X86_MSR_PAT, X86_PAT_RESET},
	};

	/* Spec: SDM vol. 3, table 9-1: INIT leaves these MSRs alone. */
	if (init) {
		return;
	}
	/* One that KVM does not take is one that this processor does not have: it keeps nothing, either. */
	for (size_t i = 0; i < ARRAY_LEN(kernel); i++) {
		kernel_set(vp, kernel[i].index, kernel[i].value);
	}
	memset(&vp->msr, 0, sizeof(vp->msr));
	for (size_t n = 0; n < ARRAY_LEN(msrs); n++) {
		if (msrs[n].rule == STORED) {
			*slot(vp, &msrs[n]) = msrs[n].reset;
		}
	}
}
