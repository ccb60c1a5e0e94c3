/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine that runs guest code on the processor itself, through Linux's KVM. hv_engine_config.device_fd is an open /dev/kvm; nothing else of
 * the system is opened. Uses the signal KVM_ENGINE_SIGNAL and POSIX timers on the threads that run VPs.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <stddef.h>

#include "hv/engine.h"

extern const struct hv_engine_ops kvm_engine_ops;

/* Numbers of all ioctls that the engine makes, for a system call filter. */
extern const unsigned kvm_engine_ioctls[];
extern const size_t kvm_engine_ioctl_count;

/*
 * The first thing that this /dev/kvm lacks of what the engine cannot do without, as text for people; NULL: nothing. Makes no VM.
 */
const char *kvm_engine_lacks(int device_fd);

/* Makes a VM and throws it away: 0, or the -errno for which KVM makes none now (EBUSY: another hypervisor has the processors). */
int kvm_engine_try(int device_fd);
/* So many VPs a VM may have. */
uint32_t kvm_engine_vps_max(int device_fd);

struct x86_cpu_offer; /* x86/cpu.h */

/* What this /dev/kvm can give to a guest's processor, for hv_engine_config.cpu. -errno. [any] */
int kvm_cpu_offer(int device_fd, struct x86_cpu_offer *ret);

#endif
