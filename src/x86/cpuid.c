/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/cpuid.h"

#include "lib/bits.h"

#define AMD_EBX 0x68747541u	      /* "Auth" */
#define AMD_81_EDX_COPIES 0x0183f3ffu /* bits of leaf 1 that AMD repeats in leaf 80000001h */
#define XSAVE_LEGACY_BYTES 576u

static void set(uint32_t regs[4], uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	regs[0] = a;
	regs[1] = b;
	regs[2] = c;
	regs[3] = d;
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
		return;
	}
	/* EAX bit 8: self-initializing. */
	set(regs, cache[subleaf].type | (uint32_t)cache[subleaf].level << 5 | 1u << 8,
	    63u | (uint32_t)(cache[subleaf].ways - 1) << 22, cache[subleaf].sets - 1, 0);
}

static void structured(const uint32_t *word, uint32_t subleaf, uint32_t regs[4])
{
	if (subleaf == 0) {
		set(regs, word[X86_CPU_7_1_EAX] != 0 ? 1 : 0, word[X86_CPU_7_EBX],
		    word[X86_CPU_7_ECX], word[X86_CPU_7_EDX]);
	} else if (subleaf == 1) {
		set(regs, word[X86_CPU_7_1_EAX], 0, 0, 0);
	}
}

/* Of the standard format with all components. */
static uint32_t xsave_bytes(const struct x86_cpu *cpu)
{
	uint32_t bytes = XSAVE_LEGACY_BYTES;

	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		if (cpu->xcr0 >> i & 1) {
			bytes = (uint32_t)max_u64(bytes, (uint64_t)cpu->component[i][0] +
								 cpu->component[i][1]);
		}
	}
	return bytes;
}

static void xsave(const struct x86_cpu *cpu, uint32_t subleaf, uint32_t regs[4])
{
	if (cpu->xcr0 == 0) {
		return;
	}
	if (subleaf == 0) {
		set(regs, (uint32_t)cpu->xcr0, xsave_bytes(cpu), xsave_bytes(cpu),
		    (uint32_t)(cpu->xcr0 >> 32));
	} else if (subleaf == 1) {
		set(regs, cpu->features.word[X86_CPU_D_1_EAX], 0, 0, 0);
	} else if (subleaf < X86_CPU_COMPONENTS) {
		set(regs, cpu->component[subleaf][0], cpu->component[subleaf][1],
		    cpu->component[subleaf][2], 0);
	}
}

static void brand(const struct x86_cpu *cpu, uint32_t part, uint32_t regs[4])
{
	const char *p = cpu->brand + (size_t)part * 16;

	set(regs, load_le32(p), load_le32(p + 4), load_le32(p + 8), load_le32(p + 12));
}

static void extended(const struct x86_cpu *cpu, unsigned pa_bits, uint32_t leaf, uint32_t regs[4])
{
	const uint32_t *word = cpu->features.word;
	uint32_t copies = cpu->vendor[0] == AMD_EBX ? AMD_81_EDX_COPIES : 0;

	switch (leaf) {
	case 0x80000000:
		regs[0] = word[X86_CPU_A1_EAX] != 0 ? X86_CPUID_MAX_EXTENDED_MORE
						    : X86_CPUID_MAX_EXTENDED;
		break;
	case 0x80000001:
		regs[2] = word[X86_CPU_81_ECX];
		regs[3] = word[X86_CPU_81_EDX] | (word[X86_CPU_1_EDX] & copies);
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		brand(cpu, leaf - 0x80000002, regs);
		break;
	case 0x80000005:
	case 0x80000006:
		__builtin_memcpy(regs, cpu->caches[leaf - 0x80000005], 4 * sizeof(regs[0]));
		break;
	case 0x80000008:
		regs[0] = pa_bits | 48u << 8;
		regs[1] = word[X86_CPU_88_EBX];
		break;
	case 0x80000021:
		regs[0] = word[X86_CPU_A1_EAX];
		break;
	default:
		break;
	}
}

static void basic(const struct x86_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	const uint32_t *word = cpu->features.word;

	switch (leaf) {
	case 0x0:
		set(regs, X86_CPUID_MAX_BASIC, cpu->vendor[0], cpu->vendor[2], cpu->vendor[1]);
		break;
	case 0x1:
		/* CLFLUSH takes 64 bytes; one processor. */
		set(regs, cpu->signature, 8u << 8 | 1u << 16, word[X86_CPU_1_ECX],
		    word[X86_CPU_1_EDX]);
		break;
	case 0x2:
		/* One round; descriptor FF: see leaf 4. */
		set(regs, 0x00feff01, 0, 0, 0);
		break;
	case 0x4:
		caches(subleaf, regs);
		break;
	case 0x6:
		regs[0] = word[X86_CPU_6_EAX];
		break;
	case 0x7:
		structured(word, subleaf, regs);
		break;
	case 0xd:
		xsave(cpu, subleaf, regs);
		break;
	default:
		break;
	}
}

void x86_cpuid(const struct x86_cpu *cpu, unsigned pa_bits, uint32_t leaf, uint32_t subleaf,
	       uint32_t regs[4])
{
	uint32_t last = cpu->features.word[X86_CPU_A1_EAX] != 0 ? X86_CPUID_MAX_EXTENDED_MORE
								: X86_CPUID_MAX_EXTENDED;

	set(regs, 0, 0, 0, 0);
	if (leaf >= 0x80000000 && leaf <= last) {
		extended(cpu, pa_bits, leaf, regs);
	} else {
		basic(cpu, leaf <= X86_CPUID_MAX_BASIC ? leaf : X86_CPUID_MAX_BASIC, subleaf, regs);
	}
}
