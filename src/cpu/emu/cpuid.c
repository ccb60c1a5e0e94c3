/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine can do on this host, and what its processor says about itself. */
#include "x86/cpuid.h"

#include "emu/emu.h"
#include "fpu.h"
#include "sys.h"

/* Groups of instructions that only some hosts have, whose processors carry them out for us. */
static void drop_missing(struct x86_cpu_features *f)
{
	static const struct {
		uint32_t simd;
		uint8_t word, bit;
	} groups[] = {
		{EMU_SIMD_SSE3, X86_CPU_1_ECX, 0},   {EMU_SIMD_PCLMUL, X86_CPU_1_ECX, 1},
		{EMU_SIMD_SSSE3, X86_CPU_1_ECX, 9},  {EMU_SIMD_SSE41, X86_CPU_1_ECX, 19},
		{EMU_SIMD_SSE42, X86_CPU_1_ECX, 20}, {EMU_SIMD_AES, X86_CPU_1_ECX, 25},
		{EMU_SIMD_SHA, X86_CPU_7_EBX, 29},
	};
	uint32_t simd = emu_simd_host_features();

	for (size_t n = 0; n < ARRAY_LEN(groups); n++) {
		if (!(simd & groups[n].simd)) {
			f->word[groups[n].word] &= ~BIT32(groups[n].bit);
		}
	}
}

void emu_cpu_offer(bool count_instructions, struct x86_cpu_offer *ret)
{
	struct x86_cpu baseline;

	x86_cpu_make(X86_CPU_SEQUENTIAL, &ret->host);
	x86_cpu_make(X86_CPU_BASELINE, &baseline);
	drop_missing(&ret->host.features);
	if (!emu_rdrand_offered(count_instructions)) {
		ret->host.features.word[X86_CPU_1_ECX] &= ~BIT32(30);
	}
	if (!emu_rdseed_offered(count_instructions)) {
		ret->host.features.word[X86_CPU_7_EBX] &= ~BIT32(18);
	}
	ret->host.model = X86_CPU_HOST;
	ret->usual = X86_CPU_SEQUENTIAL;
	/* Controls of speculation are there for who wants them, without effect: there is none. */
	ret->features = ret->host.features;
	ret->features.word[X86_CPU_7_EDX] |= baseline.features.word[X86_CPU_7_EDX];
}

void emu_cpu_usual(bool count_instructions, struct x86_cpu *ret)
{
	const struct x86_cpu_wish usual = {.model = X86_CPU_USUAL};
	struct x86_cpu_features missing;
	struct x86_cpu_offer offer;

	emu_cpu_offer(count_instructions, &offer);
	x86_cpu_resolve(&usual, &offer, ret, &missing);
}

void emu_cpuid(struct emu_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	x86_cpuid(&vm->cpu, vm->gmem->pa_bits, leaf, subleaf, regs);
}
