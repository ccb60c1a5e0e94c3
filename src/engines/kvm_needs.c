// SPDX-License-Identifier: Apache-2.0
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "lib/bits.h"
#include "measure.h"

#define API_VERSION 12

static const struct need {
	int capability;
	int least;
	const char *name;
} needs[] = {
	{KVM_CAP_USER_MEMORY, 1, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_SYNC_MMU, 1, "KVM_CAP_SYNC_MMU (memory that may move)"},
	{KVM_CAP_NR_MEMSLOTS, 32, "KVM_CAP_NR_MEMSLOTS of at least 32"},
	{KVM_CAP_EXT_CPUID, 1, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_MP_STATE, 1, "KVM_CAP_MP_STATE"},
	{KVM_CAP_VCPU_EVENTS, 1, "KVM_CAP_VCPU_EVENTS"},
	{KVM_CAP_DEBUGREGS, 1, "KVM_CAP_DEBUGREGS"},
	{KVM_CAP_SET_GUEST_DEBUG, 1, "KVM_CAP_SET_GUEST_DEBUG"},
	{KVM_CAP_XSAVE, 1, "KVM_CAP_XSAVE"},
	{KVM_CAP_XCRS, 1, "KVM_CAP_XCRS"},
	{KVM_CAP_READONLY_MEM, 1, "KVM_CAP_READONLY_MEM"},
	{KVM_CAP_IMMEDIATE_EXIT, 1, "KVM_CAP_IMMEDIATE_EXIT"},
	{KVM_CAP_GET_TSC_KHZ, 1, "KVM_CAP_GET_TSC_KHZ"},
	{KVM_CAP_X86_USER_SPACE_MSR, 1, "KVM_CAP_X86_USER_SPACE_MSR"},
	{KVM_CAP_X86_MSR_FILTER, 1, "KVM_CAP_X86_MSR_FILTER"},
};

const char *kvm_lacks(int device)
{
	if (ioctl(device, KVM_GET_API_VERSION, 0) != API_VERSION) {
		return "the API of version 12";
	}
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		if (ioctl(device, KVM_CHECK_EXTENSION, needs[i].capability) < needs[i].least) {
			return needs[i].name;
		}
	}
	return NULL;
}
