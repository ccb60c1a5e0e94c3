/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's processor says about itself. Leaves that describe the machine rather than the processor (APIC ids, topology, hypervisor) are 0 here and
 * are filled in by the hypervisor core.
 */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <stdint.h>

#include "x86/cpu.h"

#define X86_CPUID_MAX_BASIC 0xdu
#define X86_CPUID_MAX_EXTENDED 0x80000008u
#define X86_CPUID_MAX_EXTENDED_MORE 0x80000021u /* of processors that have features there */

/* EAX EBX ECX EDX of @leaf / @subleaf. Leaves beyond the highest answer as the highest basic leaf does, like Intel's. */
void x86_cpuid(const struct x86_cpu *cpu, unsigned pa_bits, uint32_t leaf, uint32_t subleaf,
	       uint32_t regs[4]);

#endif
