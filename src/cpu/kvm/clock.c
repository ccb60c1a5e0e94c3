// SPDX-License-Identifier: Apache-2.0
/*
 * Time: the guest's TSC is the host's plus an offset, so that RDTSC needs no exit and everything that is computed from it here agrees with
 * what the guest reads. Its rate is the host's.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

#define HZ_PER_KHZ UINT64_C(1000)

uint64_t kvm_clock(const struct kvm_vm *vm)
{
	return __builtin_ia32_rdtsc();
}

/* Before Linux 5.18 the rate is known of VPs only: asked of one in a VM that is thrown away again, which takes as long as all else together. */
static int rate_of_a_vp(const struct kvm_vm *vm)
{
	int other = ioctl(vm->config.device_fd, KVM_CREATE_VM, 0);
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
	bool known = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_VM_TSC_CONTROL) > 0;
	int khz = known ? ioctl(vm->fd, KVM_GET_TSC_KHZ) : rate_of_a_vp(vm);

	if (known && khz < 0) {
		return -errno;
	}
	vm->tsc_hz = khz > 0 ? (uint64_t)khz * HZ_PER_KHZ : 0;
	return khz < 0 ? khz : khz == 0 ? -ENOTSUP : 0;
}

/* Without the attribute (before Linux 5.16) the counter itself is set, as near as that comes. */
void kvm_clock_set_offset(struct kvm_vp *vp, uint64_t offset)
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
