// SPDX-License-Identifier: Apache-2.0
/*
 * Model-specific registers in three groups. The few that steer the processor are KVM's, which lets the guest at them without an exit. Those that only
 * store something are kept here, as by the software engine (x86/msrs.h), so that they do not depend on what this host's KVM knows. All others are the hypervisor core's. KVM is told so by a filter that denies everything but the first group.
 *
 * x2APIC registers cannot be filtered; without a local APIC of KVM's they fail there and come out as refused accesses. With one, they and the
 * other MSRs of an APIC are KVM's.
 */
#include "x86/msrs.h"

#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/hv.h"
#include "lib/bits.h"
#include "vm.h"
#include "x86/paging.h"

/* ---- KVM's ---- */

#define READ KVM_MSR_FILTER_READ
#define WRITE KVM_MSR_FILTER_WRITE

struct range {
	uint32_t first;
	uint32_t count; /* at most 32 */
	uint32_t flags;
};
/* For every guest. */
static const struct range always[] = {
	{X86_MSR_TSC, 1, READ},
	{X86_MSR_SYSENTER_CS, 3, READ | WRITE},
	{X86_MSR_PAT, 1, READ | WRITE},
	{X86_MSR_EFER, 5, READ | WRITE},
	{X86_MSR_FS_BASE, 4, READ | WRITE},
};

/* Controls of speculation: for guests whose processor has one of these features, which are offered only where KVM has them. */
static const struct {
	struct range range;
	uint32_t edx; /* of leaf 7 */
	uint32_t ebx; /* of leaf 80000008h */
} controls[] = {
	{{X86_MSR_SPEC_CTRL, 1, READ | WRITE},
	 BIT32(26) | BIT32(27) | BIT32(31),
	 BIT32(14) | BIT32(15) | BIT32(24)},
	{{X86_MSR_PRED_CMD, 1, WRITE}, BIT32(26), BIT32(12)},
	{{X86_MSR_FLUSH_CMD, 1, WRITE}, BIT32(28), 0},
};

/* Where the local APICs are there, too. */
static const struct range of_apic[] = {
	{X86_MSR_APIC_BASE, 1, READ | WRITE},
	{X86_MSR_TSC_DEADLINE, 1, READ | WRITE},
	{HV_X64_MSR_EOI, 3, READ | WRITE},
};

#define RANGES (ARRAY_LEN(always) + ARRAY_LEN(of_apic) + ARRAY_LEN(controls))

/* The @n-th range of those that this guest reaches without an exit; NULL: not one of them. */
static const struct range *range_of(const struct kvm_vm *vm, size_t n)
{
	const uint32_t *word = vm->cpu.features.word;

	if (n < ARRAY_LEN(always)) {
		return &always[n];
	}
	n -= ARRAY_LEN(always);
	if (n < ARRAY_LEN(of_apic)) {
		return vm->apic.here ? &of_apic[n] : NULL;
	}
	n -= ARRAY_LEN(of_apic);
	return (word[X86_CPU_7_EDX] & controls[n].edx) || (word[X86_CPU_88_EBX] & controls[n].ebx)
		       ? &controls[n].range
		       : NULL;
}

bool kvm_msr_in_kernel(const struct kvm_vm *vm, uint32_t index, bool write)
{
	if (kvm_apic_has_msr(vm, index)) {
		return true;
	}
	for (size_t i = 0; i < RANGES; i++) {
		const struct range *r = range_of(vm, i);

		if (r != NULL && index - r->first < r->count) {
			return (r->flags & (write ? WRITE : READ)) != 0;
		}
	}
	return false;
}

static bool host_has_svm(void)
{
	uint32_t eax, name[3];

	__cpuid(0, eax, name[0], name[2], name[1]);
	return memcmp(name, "AuthenticAMD", sizeof(name)) == 0 ||
	       memcmp(name, "HygonGenuine", sizeof(name)) == 0;
}

/*
 * One write passes by the filter: on VT-x KVM takes IA32_TSC_DEADLINE right behind the guest's exit, for a timer that the processor has for guests, and drops it
 * when the APIC is not KVM's (Linux 6.1: handle_fastpath_set_tscdeadline). It does not where guests may wait by MWAIT, as that timer stands still then. CPUID
 * tells none of ours of MWAIT; one that executes it all the same waits for the host's next interrupt, as in a loop of its own. False: KVM does not let them.
 */
static bool let_deadlines_exit(const struct kvm_vm *vm)
{
	struct kvm_enable_cap mwait = {.cap = KVM_CAP_X86_DISABLE_EXITS,
				       .args = {KVM_X86_DISABLE_EXITS_MWAIT}};
	int offered;

	if (vm->apic.here || host_has_svm()) {
		return true;
	}
	offered = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS);
	return offered > 0 && (offered & KVM_X86_DISABLE_EXITS_MWAIT) &&
	       ioctl(vm->fd, KVM_ENABLE_CAP, &mwait) == 0;
}

int kvm_msr_set_filter(struct kvm_vm *vm)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
				     .args = {KVM_MSR_EXIT_REASON_INVAL |
					      KVM_MSR_EXIT_REASON_UNKNOWN |
					      KVM_MSR_EXIT_REASON_FILTER}};
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_DENY};
	uint32_t allowed[RANGES];
	size_t used = 0;

	_Static_assert(RANGES <= KVM_MSR_FILTER_MAX_RANGES, "ranges");
	vm->deadline_exits = let_deadlines_exit(vm);
	for (size_t i = 0; i < RANGES; i++) {
		const struct range *r = range_of(vm, i);

		if (r != NULL) {
			allowed[used] = BIT32(r->count) - 1;
			filter.ranges[used] =
				(struct kvm_msr_filter_range){.flags = r->flags,
							      .nmsrs = r->count,
							      .base = r->first,
							      .bitmap = (uint8_t *)&allowed[used]};
			used++;
		}
	}
	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0 ||
			       ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter) < 0
		       ? -errno
		       : 0;
}

bool kvm_msr_kernel_get(struct kvm_vp *vp, uint32_t index, uint64_t *ret)
{
	struct kvm_one_msr m = {.count = 1, .entry = {.index = index}};

	if (ioctl(vp->fd, KVM_GET_MSRS, &m) != 1) {
		return false;
	}
	*ret = m.entry.data;
	return true;
}

bool kvm_msr_kernel_set(struct kvm_vp *vp, uint32_t index, uint64_t value)
{
	struct kvm_one_msr m = {.count = 1, .entry = {.index = index, .data = value}};

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

/* ---- Both ---- */

enum x86_msrs_result kvm_msr_read(struct kvm_vp *vp, uint32_t index, uint64_t *ret_value)
{
	if (index == X86_MSR_TSC) {
		return X86_MSRS_FOREIGN;
	}
	if (is_cached(index)) {
		kvm_state_fetch(vp, PART_SREGS);
		*ret_value = *cached(vp, index);
		return X86_MSRS_DONE;
	}
	if (kvm_msr_in_kernel(vp->vm, index, false)) {
		kvm_vp_settle(vp);
		return kvm_msr_kernel_get(vp, index, ret_value) ? X86_MSRS_DONE : X86_MSRS_REFUSED;
	}
	return x86_msrs_read(&vp->msr, &vp->vm->cpu, index, ret_value);
}

/* As WRMSR would: KVM does not look closely at what it is given from here, but for the controls of speculation. */
static bool kernel_valid(const struct kvm_vm *vm, uint32_t index, uint64_t value)
{
	switch (index) {
	case X86_MSR_SPEC_CTRL:
	case X86_MSR_PRED_CMD:
		return true;
	case X86_MSR_FS_BASE:
	case X86_MSR_GS_BASE:
		return x86_canonical(value);
	default:
		return x86_msrs_valid(vm->gmem->pa_bits, index, value);
	}
}

enum x86_msrs_result kvm_msr_write(struct kvm_vp *vp, uint32_t index, uint64_t value)
{
	if (index == X86_MSR_TSC) {
		return X86_MSRS_FOREIGN;
	}
	if (!kvm_msr_in_kernel(vp->vm, index, true)) {
		return x86_msrs_write(&vp->msr, vp->vm->gmem->pa_bits, index, value);
	}
	if (!kernel_valid(vp->vm, index, value)) {
		return X86_MSRS_REFUSED;
	}
	if (index == X86_MSR_EFER) {
		return kvm_reg_set(vp, HvX64RegisterEfer, &(struct hv_u128){.lo = value})
			       ? X86_MSRS_DONE
			       : X86_MSRS_REFUSED;
	}
	if (is_cached(index)) {
		kvm_state_change(vp, PART_SREGS);
		*cached(vp, index) = value;
		return X86_MSRS_DONE;
	}
	kvm_vp_settle(vp);
	return kvm_msr_kernel_set(vp, index, value) ? X86_MSRS_DONE : X86_MSRS_REFUSED;
}

void kvm_msr_reset(struct kvm_vp *vp, bool init)
{
	uint64_t value;

	/* Spec: SDM vol. 3, table 9-1: INIT leaves these MSRs alone. */
	if (init) {
		return;
	}
	x86_msrs_reset(&vp->msr);
	for (unsigned n = 0; x86_msrs_kept(n) != UINT32_MAX; n++) {
		uint32_t index = x86_msrs_kept(n);

		/* One that KVM does not take is one that this processor does not have: it keeps nothing, either. */
		if (kvm_msr_in_kernel(vp->vm, index, true) &&
		    x86_msrs_read(&vp->msr, &vp->vm->cpu, index, &value) == X86_MSRS_DONE) {
			kvm_msr_kernel_set(vp, index, value);
		}
	}
}
