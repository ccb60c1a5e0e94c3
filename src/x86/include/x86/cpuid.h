/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the software processor says about itself. It offers exactly what works; leaves that describe the machine rather than the
 * processor (APIC ids, topology, hypervisor) are 0 here and are filled in by the hypervisor core.
 */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <stdbool.h>
#include <stdint.h>

/* Instruction groups that are offered only when whoever executes them says so. */
#define X86_OFFER_SSE3 0x0001u
#define X86_OFFER_SSSE3 0x0002u
#define X86_OFFER_SSE41 0x0004u
#define X86_OFFER_SSE42 0x0008u
#define X86_OFFER_AES 0x0010u
#define X86_OFFER_PCLMUL 0x0020u
#define X86_OFFER_SHA 0x0040u
#define X86_OFFER_RDRAND 0x0080u /* RDRAND and RDSEED */
#define X86_OFFER_BMI 0x0100u	 /* BMI1, BMI2, LZCNT */
#define X86_OFFER_ADX 0x0200u

struct x86_cpuid_policy {
	uint32_t offer; /* X86_OFFER_* */
	uint8_t pa_bits;
	uint64_t xcr0;	      /* state components that XCR0 can enable */
	uint32_t xsave_bytes; /* of the standard format with all of them */
};

#define X86_CPUID_MAX_BASIC 0xdu
#define X86_CPUID_MAX_EXTENDED 0x80000008u

/* EAX EBX ECX EDX of @leaf / @subleaf. Leaves beyond the highest answer as the highest basic leaf does, like Intel's. */
void x86_cpuid(const struct x86_cpuid_policy *policy, uint32_t leaf, uint32_t subleaf,
	       uint32_t regs[4]);

#endif
