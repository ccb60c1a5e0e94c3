// SPDX-License-Identifier: Apache-2.0
/*
 * Time: the guest's TSC is the host's plus an offset, so that RDTSC needs no exit and everything that is computed from it here agrees with
 * what the guest reads. Its rate is the host's, until a state comes that ran at another one and the processor can scale: then the same
 * multiplication is made here. How many bits it has is not told (32 with AMD-V, 48 with VT-x): it is found out by reading the guest's counter.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/bits.h"
#include "vm.h"

#define HZ_PER_KHZ UINT64_C(1000)

static uint64_t scaled(const struct kvm_scale *s, uint64_t host_tsc)
{
	return s->bits == 0 ? host_tsc
			    : (uint64_t)((unsigned __int128)host_tsc * s->ratio >> s->bits);
}

uint64_t kvm_clock_at(const struct kvm_vm *vm, uint64_t host_tsc)
{
	return scaled(&vm->scale, host_tsc);
}

uint64_t kvm_clock(const struct kvm_vm *vm)
{
	return kvm_clock_at(vm, __builtin_ia32_rdtsc());
}

/* Before Linux 5.18 the rate is known of VPs only: asked of one in a VM that is thrown away again, which takes as long as all else together. */
static int rate_of_a_vp(const struct kvm_vm *vm)
{
	int other = kvm_vm_open_fd(vm->config.device_fd);
	int vp = other < 0 ? -1 : ioctl(other, KVM_CREATE_VCPU, 0ul);
	int khz = vp < 0 ? -1 : ioctl(vp, KVM_GET_TSC_KHZ);
	int r = khz < 0 ? -errno : khz;

	if (vp >= 0) {
		close(vp);
	}
	if (other >= 0) {
		close(other);
	}
	return r;
}

int kvm_clock_init(struct kvm_vm *vm)
{
	/* The capability says that the rate can be set; reading it works without. */
	int khz = ioctl(vm->fd, KVM_GET_TSC_KHZ);

	if (khz <= 0) {
		khz = rate_of_a_vp(vm);
	}
	vm->tsc_hz = khz > 0 ? (uint64_t)khz * HZ_PER_KHZ : 0;
	vm->host_khz = khz > 0 ? (uint32_t)khz : 0;
	return khz < 0 ? khz : khz == 0 ? -ENOTSUP : 0;
}

/* Without the attribute (before Linux 5.16) the counter itself is set, as near as that comes. */
static void set_offset(struct kvm_vp *vp, uint64_t offset)
{
	struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL,
				       .attr = KVM_VCPU_TSC_OFFSET,
				       .addr = (uintptr_t)&offset};
	struct {
		__u32 count;
		__u32 pad;
		struct kvm_msr_entry entry;
	} m = {.count = 1, .entry = {.index = X86_MSR_TSC}};

	kvm_vp_settle(vp);
	if (ioctl(vp->fd, KVM_SET_DEVICE_ATTR, &attr) == 0) {
		return;
	}
	m.entry.data = kvm_clock(vp->vm) + offset;
	if (ioctl(vp->fd, KVM_SET_MSRS, &m) != 1) {
		atomic_store(&vp->vm->failed, "KVM does not set the time stamp counter");
	}
}

/* A TSC deadline in KVM's local APIC is a time of the host's there already: it is set anew. */
void kvm_clock_set_offset(struct kvm_vp *vp, uint64_t offset)
{
	uint64_t deadline = 0;
	bool armed = vp->vm->apic.here && kvm_msr_kernel_get(vp, X86_MSR_TSC_DEADLINE, &deadline) &&
		     deadline != 0;

	set_offset(vp, offset);
	if (armed && !kvm_msr_kernel_set(vp, X86_MSR_TSC_DEADLINE, deadline)) {
		atomic_store(&vp->vm->failed, "KVM does not set a TSC deadline");
	}
}

/* ---- Another rate than the host's ---- */

struct kvm_scale kvm_scale_of(uint64_t guest_khz, uint64_t host_khz, unsigned bits)
{
	return (struct kvm_scale){
		.ratio = (uint64_t)(((unsigned __int128)guest_khz << bits) / host_khz),
		.bits = bits};
}

static bool read_counter(struct kvm_vp *vp, uint64_t *ret)
{
	struct {
		__u32 count;
		__u32 pad;
		struct kvm_msr_entry entry;
	} m = {.count = 1, .entry = {.index = X86_MSR_TSC}};

	if (ioctl(vp->fd, KVM_GET_MSRS, &m) != 1) {
		return false;
	}
	*ret = m.entry.data;
	return true;
}

/* The VP's counter, whose offset is 0, is what @s says of the host's. */
static bool scale_holds(struct kvm_vp *vp, const struct kvm_scale *s)
{
	uint64_t before = __builtin_ia32_rdtsc(), guest, after;

	if (!read_counter(vp, &guest)) {
		return false;
	}
	after = __builtin_ia32_rdtsc();
	return guest >= scaled(s, before) && guest <= scaled(s, after);
}

static bool find_scale(struct kvm_vp *vp, uint32_t khz, struct kvm_scale *ret)
{
	static const unsigned bits[] = {48, 32};

	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		struct kvm_scale s = kvm_scale_of(khz, vp->vm->host_khz, bits[i]);

		if (scale_holds(vp, &s)) {
			*ret = s;
			return true;
		}
	}
	return false;
}

static bool vps_set_rate(struct kvm_vm *vm, uint32_t khz, struct kvm_vp **ret_any)
{
	struct kvm_vp *vp;
	bool ok = true;

	pthread_mutex_lock(&vm->vps_lock);
	for (uint32_t i = 0; ok && (vp = kvm_vm_next_vp(vm, &i)) != NULL;) {
		ok = ioctl(vp->fd, KVM_SET_TSC_KHZ, (unsigned long)khz) == 0;
		kvm_clock_set_offset(vp, 0); /* known, for find_scale */
		*ret_any = vp;
	}
	pthread_mutex_unlock(&vm->vps_lock);
	return ok;
}

bool kvm_clock_set_rate(struct kvm_vm *vm, uint64_t hz)
{
	uint64_t khz = hz / HZ_PER_KHZ;
	struct kvm_scale scale = {0};
	struct kvm_vp *vp = NULL;

	if (khz == vm->host_khz || hv_engine_same_rate(vm->host_khz * HZ_PER_KHZ, hz)) {
		khz = vm->host_khz;
	} else if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <= 0 ||
		   khz > UINT32_MAX) {
		return false;
	}
	if (khz == vm->host_khz && vm->scale.bits == 0) {
		return true;
	}
	if (!vps_set_rate(vm, (uint32_t)khz, &vp) || vp == NULL ||
	    (khz != vm->host_khz && !find_scale(vp, (uint32_t)khz, &scale))) {
		uint32_t present = (uint32_t)(vm->tsc_hz / HZ_PER_KHZ);

		(void)vps_set_rate(vm, present, &vp);
		return false;
	}
	vm->scale = scale;
	vm->tsc_hz = khz * HZ_PER_KHZ;
	return true;
}

/* A VP that is made later ticks as the others do. */
bool kvm_clock_vp_init(struct kvm_vp *vp)
{
	uint64_t khz = vp->vm->tsc_hz / HZ_PER_KHZ;

	if (vp->vm->scale.bits != 0 && ioctl(vp->fd, KVM_SET_TSC_KHZ, (unsigned long)khz) < 0) {
		return false;
	}
	kvm_clock_set_offset(vp, 0);
	return true;
}
