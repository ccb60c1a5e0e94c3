// SPDX-License-Identifier: Apache-2.0
/*
 * KVM's synthetic timers as timers of the engine's: each raises one interrupt, and the VP need not come out for it. The guest's own synthetic
 * timers stay the core's, which says what they shall do at which tick; the guest does not reach these here (msr.c).
 *
 * KVM counts them in its clock, which runs on the host's TSC with factors rounded in another way than ours, and may be set anew at any time. So
 * a deadline is carried over by a pair of both clocks that is at most a second old, and always to the later side.
 */
#include <sys/ioctl.h>

#include "abi/hv.h"
#include "lib/bits.h"
#include "vm.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_UNIT 100u
/* How long a pair is good for; a clock that was not steady is looked at again sooner. */
#define STEADY_PER_SECOND 1u
#define UNSTEADY_PER_SECOND 100u
/* Later ones are not worth a second thought. */
#define NS_MAX (UINT64_C(1) << 62)

/*
 * Before Linux 5.16 KVM does not tell the tick at which it read its clock: then it is the one before, so that the clock seems to be ahead and timers are late by the time of
 * a system call.
 */
static struct kvm_clock_pair read_pair(const struct kvm_vm *vm)
{
	uint64_t before = __builtin_ia32_rdtsc();
	struct kvm_clock_data data = {0};
	bool ok = ioctl(vm->fd, KVM_GET_CLOCK, &data) == 0;

	return (struct kvm_clock_pair){
		.tsc = kvm_clock_at(vm, (data.flags & KVM_CLOCK_HOST_TSC) ? data.host_tsc : before),
		.ns = data.clock,
		.steady = ok && (data.flags & KVM_CLOCK_TSC_STABLE)};
}

static const struct kvm_clock_pair *pair_of(struct kvm_vp *vp)
{
	struct kvm_clock_pair *pair = &vp->reference;
	uint64_t age = kvm_clock(vp->vm) - pair->tsc;

	if (age > vp->vm->tsc_hz / (pair->steady ? STEADY_PER_SECOND : UNSTEADY_PER_SECOND)) {
		*pair = read_pair(vp->vm);
	}
	return pair;
}

/* In KVM's reference time, rounded up; one more for the factors. */
static uint64_t count_of(const struct kvm_vm *vm, const struct kvm_clock_pair *pair, uint64_t tsc)
{
	uint64_t ns = tsc > pair->tsc ? mul_div_u64(tsc - pair->tsc, NS_PER_SECOND, vm->tsc_hz) : 0;

	return (pair->ns + min_u64(ns, NS_MAX)) / NS_PER_UNIT + 2;
}

static uint32_t config_msr(unsigned n)
{
	return HV_X64_MSR_STIMER0_CONFIG + 2 * n;
}

bool kvm_stimer_set(struct hv_engine_vp *handle, unsigned n, uint8_t vector, uint64_t deadline_tsc)
{
	union {
		struct kvm_msrs all;
		uint8_t room[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)];
	} m = {.room = {0}};
	struct kvm_vp *vp = kvm_vp_of(handle);
	const struct kvm_clock_pair *pair = pair_of(vp);

	if ((vp->vm->config.without & HV_WITHOUT_TIMERS) || !pair->steady || !kvm_apic_synic(vp)) {
		return false;
	}
	m.all.nmsrs = 2;
	m.all.entries[0] = (struct kvm_msr_entry){.index = config_msr(n) + 1,
						  .data = count_of(vp->vm, pair, deadline_tsc)};
	m.all.entries[1] =
		(struct kvm_msr_entry){.index = config_msr(n),
				       .data = HV_STIMER_ENABLED | HV_STIMER_DIRECT_MODE |
					       (uint64_t)vector << HV_STIMER_VECTOR_SHIFT};
	return ioctl(vp->fd, KVM_SET_MSRS, &m) == 2;
}

/* KVM disables a timer that has made its request. One that is due and has not been looked at by the VP is none of those. */
bool kvm_stimer_end(struct hv_engine_vp *handle, unsigned n)
{
	struct kvm_vp *vp = kvm_vp_of(handle);
	uint64_t config = HV_STIMER_ENABLED;

	if (!kvm_msr_kernel_get(vp, config_msr(n), &config) ||
	    !kvm_msr_kernel_set(vp, config_msr(n), 0)) {
		atomic_store(&vp->vm->failed, "KVM does not give a timer back");
	}
	return !(config & HV_STIMER_ENABLED);
}
