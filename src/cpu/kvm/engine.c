// SPDX-License-Identifier: Apache-2.0
/* The life of VMs and VPs, and what they need of KVM. */
#include "kvm/kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bits.h"
#include "vm.h"

/* Three pages, and one, of guest memory that Intel's processors without real mode of their own need: where no RAM ever is. */
#define TSS_GPA 0xFEFFD000ul
#define IDENTITY_GPA UINT64_C(0xFEFFC000)

/* What KVMs take that do not tell (Documentation/virt/kvm/api.rst, KVM_CREATE_VCPU). */
#define VPS_OF_OLD 4u

/* Everything below is made before the first guest instruction or while it runs; nothing is left out of this list. */
const unsigned kvm_engine_ioctls[] = {
	KVM_CHECK_EXTENSION,
	KVM_CREATE_VM,
	KVM_GET_VCPU_MMAP_SIZE,
	KVM_GET_SUPPORTED_CPUID,
	KVM_CREATE_VCPU,
	KVM_SET_USER_MEMORY_REGION,
	KVM_SET_TSS_ADDR,
	KVM_SET_IDENTITY_MAP_ADDR,
	KVM_ENABLE_CAP,
	KVM_X86_SET_MSR_FILTER,
	KVM_RUN,
	KVM_GET_REGS,
	KVM_SET_REGS,
	KVM_GET_SREGS,
	KVM_SET_SREGS,
	KVM_GET_XSAVE,
	KVM_SET_XSAVE,
	KVM_GET_XCRS,
	KVM_SET_XCRS,
	KVM_GET_DEBUGREGS,
	KVM_SET_DEBUGREGS,
	KVM_GET_VCPU_EVENTS,
	KVM_SET_VCPU_EVENTS,
	KVM_GET_MSRS,
	KVM_SET_MSRS,
	KVM_GET_CLOCK,
	KVM_SET_CPUID2,
	KVM_INTERRUPT,
	KVM_SIGNAL_MSI,
	KVM_SET_GSI_ROUTING,
	KVM_GET_LAPIC,
	KVM_SET_LAPIC,
	KVM_GET_MP_STATE,
	KVM_SET_MP_STATE,
	KVM_NMI,
	KVM_GET_TSC_KHZ,
	KVM_SET_TSC_KHZ,
	KVM_SET_DEVICE_ATTR,
	KVM_GET_DIRTY_LOG,
	KVM_CLEAR_DIRTY_LOG,
	KVM_RESET_DIRTY_RINGS,
};
const size_t kvm_engine_ioctl_count = ARRAY_LEN(kvm_engine_ioctls);

static bool has(int fd, int cap)
{
	return ioctl(fd, KVM_CHECK_EXTENSION, cap) > 0;
}

/* KVM gives up when a signal waits for this thread. */
int kvm_vm_open_fd(int device_fd)
{
	int fd;

	do {
		fd = ioctl(device_fd, KVM_CREATE_VM, 0);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int kvm_engine_try(int device_fd)
{
	int fd = kvm_vm_open_fd(device_fd);

	if (fd >= 0) {
		close(fd);
	}
	return fd < 0 ? fd : 0;
}

uint32_t kvm_engine_vps_max(int device_fd)
{
	int max = ioctl(device_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	if (max <= 0) {
		max = ioctl(device_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
	}
	return max > 0 ? (uint32_t)max : VPS_OF_OLD;
}

const char *kvm_engine_lacks(int device_fd)
{
	static const struct {
		int cap;
		const char *what;
	} needed[] = {
		{KVM_CAP_USER_MEMORY, "memory slots"},
		{KVM_CAP_READONLY_MEM, "read-only memory"},
		{KVM_CAP_X86_USER_SPACE_MSR, "exits for model-specific registers (Linux 5.10)"},
		{KVM_CAP_X86_MSR_FILTER, "filters of model-specific registers (Linux 5.10)"},
		{KVM_CAP_IMMEDIATE_EXIT, "leaving KVM_RUN at once"},
		{KVM_CAP_USER_NMI, "non-maskable interrupts"},
		{KVM_CAP_VCPU_EVENTS, "pending events"},
		{KVM_CAP_DEBUGREGS, "debug registers"},
		{KVM_CAP_XSAVE, "the FPU's whole state"},
		{KVM_CAP_GET_TSC_KHZ, "the rate of the time stamp counter"},
		{KVM_CAP_EXT_CPUID, "a processor model"},
	};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (!has(device_fd, needed[i].cap)) {
			return needed[i].what;
		}
	}
	return NULL;
}

/* ---- VM ---- */

void kvm_vm_destroy(struct hv_engine_vm *handle)
{
	struct kvm_vm *vm = kvm_vm_of(handle);

	if (vm == NULL) {
		return;
	}
	if (vm->fd >= 0) {
		close(vm->fd);
	}
	kvm_memory_fini(vm);
	kvm_apic_fini(vm);
	pthread_mutex_destroy(&vm->vps_lock);
	free(vm->vps);
	free(vm);
}

static int set_up(struct kvm_vm *vm)
{
	uint64_t identity_gpa = IDENTITY_GPA;
	int device = vm->config.device_fd, r, bytes;

	vm->fd = kvm_vm_open_fd(device);
	bytes = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm->fd < 0 || bytes < (int)sizeof(struct kvm_run)) {
		return vm->fd < 0 ? vm->fd : -ENOTSUP;
	}
	vm->run_bytes = (size_t)bytes;
	vm->sync_regs =
		(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS) != 0;
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_gpa) < 0 ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_GPA) < 0) {
		return -errno;
	}
	if ((r = kvm_memory_init(vm)) != 0 || (r = kvm_cpuid_init(vm)) != 0 ||
	    (r = kvm_apic_init(vm)) != 0) {
		return r;
	}
	return kvm_msr_set_filter(vm);
}

int kvm_vm_create(const struct hv_engine_config *config, struct hv_engine_vm **ret_vm)
{
	struct kvm_vm *vm;
	int r;

	if (config->count_instructions || config->device_fd < 0 ||
	    kvm_engine_lacks(config->device_fd) != NULL) {
		return -ENOTSUP;
	}
	vm = calloc(1, sizeof(*vm));
	if (vm == NULL) {
		return -ENOMEM;
	}
	vm->config = *config;
	vm->gmem = config->gmem;
	vm->fd = -1;
	pthread_mutex_init(&vm->vps_lock, NULL);
	vm->vps = calloc(config->vp_max > 0 ? config->vp_max : 1, sizeof(*vm->vps));
	r = vm->vps == NULL ? -ENOMEM : set_up(vm);
	if (r == 0) {
		r = kvm_signal_install();
	}
	if (r == 0) {
		r = kvm_clock_init(vm);
	}
	if (r != 0) {
		kvm_vm_destroy((struct hv_engine_vm *)(void *)vm);
		return r;
	}
	*ret_vm = (struct hv_engine_vm *)(void *)vm;
	return 0;
}

/* ---- VP ---- */

static void vp_free(struct kvm_vp *vp)
{
	kvm_vp_timer_fini(vp);
	kvm_dirty_vp_close(vp);
	if (vp->run != NULL) {
		munmap(vp->run, vp->vm->run_bytes);
	}
	if (vp->fd >= 0) {
		close(vp->fd);
	}
	free(vp);
}

void kvm_vp_destroy(struct hv_engine_vp *handle)
{
	struct kvm_vp *vp = kvm_vp_of(handle);

	if (vp != NULL) {
		pthread_mutex_lock(&vp->vm->vps_lock);
		atomic_store(&vp->vm->vps[vp->index], NULL);
		pthread_mutex_unlock(&vp->vm->vps_lock);
		vp_free(vp);
	}
}

void kvm_vp_reset(struct hv_engine_vp *handle, bool init)
{
	struct kvm_vp *vp = kvm_vp_of(handle);

	kvm_exit_drop(vp);
	kvm_vp_settle(vp);
	vp->stored = false;
	vp->pending = PENDING_NOTHING;
	vp->injected = false;
	kvm_msr_reset(vp, init);
	kvm_state_reset(vp, init);
}

static int vp_open(struct kvm_vp *vp)
{
	struct kvm_vm *vm = vp->vm;

	vp->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vp->index);
	if (vp->fd < 0) {
		return -errno;
	}
	void *run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vp->fd, 0);

	if (run == MAP_FAILED) {
		return -errno;
	}
	vp->run = run;
	vp->run->kvm_valid_regs = vm->sync_regs ? KVM_SYNC_X86_REGS : 0;
	return kvm_dirty_vp_open(vp);
}

int kvm_vp_create(struct hv_engine_vm *vm_handle, uint32_t index, struct hv_engine_vp **ret_vp)
{
	struct kvm_vm *vm = kvm_vm_of(vm_handle);
	struct kvm_vp *vp;
	uint32_t top;
	int r;

	if (index >= vm->config.vp_max) {
		return -ENOTSUP;
	}
	vp = calloc(1, sizeof(*vp));
	if (vp == NULL) {
		return -ENOMEM;
	}
	vp->vm = vm;
	vp->index = index;
	vp->fd = -1;
	vp->verified_rip = UINT64_MAX;
	r = vp_open(vp);
	if (r != 0) {
		vp_free(vp);
		return r;
	}
	kvm_vp_reset((struct hv_engine_vp *)(void *)vp, false);
	if (!kvm_clock_vp_init(vp)) {
		vp_free(vp);
		return -ENOTSUP;
	}
	atomic_store(&vm->vps[index], vp);
	top = atomic_load(&vm->vp_top);
	while (top < index + 1 && !atomic_compare_exchange_weak(&vm->vp_top, &top, index + 1)) {
	}
	*ret_vp = (struct hv_engine_vp *)(void *)vp;
	return 0;
}
