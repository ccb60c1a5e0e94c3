/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/cpuid.h"

#include "lib/bits.h"

/*
 * Family 6, model 36h, stepping 1: an in-order Intel core. Decision: operating systems know that such a core does not speculate and run
 * without any of the mitigations, and none of their model-specific workarounds applies to it.
 */
#define SIGNATURE 0x00030661u

struct feature {
	uint32_t offer;
	uint32_t bit;
};

static uint32_t offered(const struct x86_cpuid_policy *policy, const struct feature *f,
			size_t count)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < count; i++) {
		if (policy->offer & f[i].offer) {
			bits |= f[i].bit;
		}
	}
	return bits;
}

static void set(uint32_t regs[4], uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	regs[0] = a;
	regs[1] = b;
	regs[2] = c;
	regs[3] = d;
}

static void features(const struct x86_cpuid_policy *policy, uint32_t regs[4])
{
	static const struct feature ecx[] = {
		{X86_OFFER_SSE3, BIT32(0)},    {X86_OFFER_PCLMUL, BIT32(1)},
		{X86_OFFER_SSSE3, BIT32(9)},   {X86_OFFER_SSE41, BIT32(19)},
		{X86_OFFER_SSE42, BIT32(20)},  {X86_OFFER_AES, BIT32(25)},
		{X86_OFFER_RDRAND, BIT32(30)},
	};
	/* CX16 13, PCID 17, MOVBE 22, POPCNT 23, XSAVE 26 */
	static const uint32_t ecx_always = 0x04c22000;
	/*
	 * FPU 0, VME 1, DE 2, PSE 3, TSC 4, MSR 5, PAE 6, MCE 7, CX8 8, SEP 11, MTRR 12, PGE 13, MCA 14, CMOV 15, PAT 16, PSE36 17,
	 * CLFSH 19, MMX 23, FXSR 24, SSE 25, SSE2 26, SS 27
	 */
	static const uint32_t edx_always = 0x0f8bf9ff;

	set(regs, SIGNATURE, 8u << 8 | 1u << 16, ecx_always | offered(policy, ecx, ARRAY_LEN(ecx)),
	    edx_always);
}

/* L1 data 32 KiB, L1 code 32 KiB, L2 256 KiB, L3 8 MiB; 64-byte lines. */
static void caches(uint32_t subleaf, uint32_t regs[4])
{
	static const struct {
		uint8_t type, level;
		uint16_t ways;
		uint32_t sets;
	} cache[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 4, 1024}, {3, 3, 16, 8192}};

	if (subleaf >= ARRAY_LEN(cache)) {
		set(regs, 0, 0, 0, 0);
		return;
	}
	/* EAX bit 8: self-initializing. */
	set(regs, cache[subleaf].type | (uint32_t)cache[subleaf].level << 5 | 1u << 8,
	    63u | (uint32_t)(cache[subleaf].ways - 1) << 22, cache[subleaf].sets - 1, 0);
}

static void structured(const struct x86_cpuid_policy *policy, uint32_t subleaf, uint32_t regs[4])
{
	static const struct feature ebx[] = {
		{X86_OFFER_BMI, BIT32(3) | BIT32(8)},
		{X86_OFFER_RDRAND, BIT32(18)},
		{X86_OFFER_ADX, BIT32(19)},
		{X86_OFFER_SHA, BIT32(29)},
	};
	/* FSGSBASE 0, SMEP 7, ERMS 9, INVPCID 10, SMAP 20 */
	static const uint32_t ebx_always = 0x00100681;
	/* UMIP 2, RDPID 22 */
	static const uint32_t ecx_always = 0x00400004;
	/*
	 * FSRM 4, MD_CLEAR 10, ARCH_CAPABILITIES 29. Decision: no IBRS, STIBP, SSBD: there is no speculation to control, and systems
	 * that find the controls report what they leave off as vulnerable.
	 */
	static const uint32_t edx_always = 0x20000410;

	if (subleaf != 0) {
		set(regs, 0, 0, 0, 0);
		return;
	}
	set(regs, 0, ebx_always | offered(policy, ebx, ARRAY_LEN(ebx)), ecx_always, edx_always);
}

static void xsave(const struct x86_cpuid_policy *policy, uint32_t subleaf, uint32_t regs[4])
{
	if (subleaf == 0) {
		set(regs, (uint32_t)policy->xcr0, policy->xsave_bytes, policy->xsave_bytes,
		    (uint32_t)(policy->xcr0 >> 32));
	} else if (subleaf == 1) {
		/* XSAVEOPT */
		set(regs, 1, 0, 0, 0);
	} else {
		set(regs, 0, 0, 0, 0);
	}
}

static void brand(uint32_t part, uint32_t regs[4])
{
	static const char text[48] = "Virid software processor";
	const char *p = text + (size_t)part * 16;

	set(regs, load_le32(p), load_le32(p + 4), load_le32(p + 8), load_le32(p + 12));
}

static void extended(const struct x86_cpuid_policy *policy, uint32_t leaf, uint32_t regs[4])
{
	/* LZCNT belongs to BMI. */
	static const struct feature ecx[] = {{X86_OFFER_BMI, BIT32(5)}};

	set(regs, 0, 0, 0, 0);
	switch (leaf) {
	case 0x80000000:
		regs[0] = X86_CPUID_MAX_EXTENDED;
		break;
	case 0x80000001:
		/* LAHF in 64-bit mode 0, PREFETCHW 8; SYSCALL 11, NX 20, 1 GiB pages 26, RDTSCP 27, long mode 29 */
		regs[2] = 0x00000101 | offered(policy, ecx, ARRAY_LEN(ecx));
		regs[3] = 0x2c100800;
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		brand(leaf - 0x80000002, regs);
		break;
	case 0x80000006:
		/* L2: 256 KiB, 4 ways, 64-byte lines. */
		regs[2] = 256u << 16 | 4u << 12 | 64u;
		break;
	case 0x80000008:
		regs[0] = policy->pa_bits | 48u << 8;
		break;
	default:
		break;
	}
}

static void basic(const struct x86_cpuid_policy *policy, uint32_t leaf, uint32_t subleaf,
		  uint32_t regs[4])
{
	set(regs, 0, 0, 0, 0);
	switch (leaf) {
	case 0x0:
		/* GenuineIntel */
		set(regs, X86_CPUID_MAX_BASIC, 0x756e6547, 0x6c65746e, 0x49656e69);
		break;
	case 0x1:
		features(policy, regs);
		break;
	case 0x2:
		/* One round; descriptor FF: see leaf 4. */
		set(regs, 0x00feff01, 0, 0, 0);
		break;
	case 0x4:
		caches(subleaf, regs);
		break;
	case 0x6:
		/* The APIC timer does not stop. */
		regs[0] = 4;
		break;
	case 0x7:
		structured(policy, subleaf, regs);
		break;
	case 0xd:
		xsave(policy, subleaf, regs);
		break;
	default:
		break;
	}
}

void x86_cpuid(const struct x86_cpuid_policy *policy, uint32_t leaf, uint32_t subleaf,
	       uint32_t regs[4])
{
	if (leaf >= 0x80000000 && leaf <= X86_CPUID_MAX_EXTENDED) {
		extended(policy, leaf, regs);
	} else {
		basic(policy, leaf <= X86_CPUID_MAX_BASIC ? leaf : X86_CPUID_MAX_BASIC, subleaf,
		      regs);
	}
}
