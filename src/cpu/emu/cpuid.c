/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/cpuid.h"

#include "fpu.h"
#include "sys.h"

void emu_cpuid(struct emu_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	static const struct {
		uint32_t simd;
		uint32_t offer;
	} groups[] = {
		{EMU_SIMD_SSE3, X86_OFFER_SSE3},   {EMU_SIMD_SSSE3, X86_OFFER_SSSE3},
		{EMU_SIMD_SSE41, X86_OFFER_SSE41}, {EMU_SIMD_SSE42, X86_OFFER_SSE42},
		{EMU_SIMD_AES, X86_OFFER_AES},	   {EMU_SIMD_PCLMUL, X86_OFFER_PCLMUL},
		{EMU_SIMD_SHA, X86_OFFER_SHA},
	};
	struct x86_cpuid_policy policy = {
		.offer = X86_OFFER_BMI | X86_OFFER_ADX,
		.pa_bits = (uint8_t)vm->gmem->pa_bits,
		.xcr0 = EMU_XCR0_MASK,
		.xsave_bytes = EMU_XSAVE_BYTES,
	};
	uint32_t simd = emu_simd_host_features();

	if (vm->random) {
		policy.offer |= X86_OFFER_RDRAND;
	}
	for (size_t n = 0; n < ARRAY_LEN(groups); n++) {
		if (simd & groups[n].simd) {
			policy.offer |= groups[n].offer;
		}
	}
	x86_cpuid(&policy, leaf, subleaf, regs);
}
