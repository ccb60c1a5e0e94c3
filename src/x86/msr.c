/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/msr.h"

#include "lib/bits.h"

/* UC 0, WC 1, WT 4, WP 5, WB 6. */
static bool mtrr_type_valid(uint64_t type)
{
	return type < 8 && (0x73u >> type & 1);
}

bool x86_msr_pat_valid(uint64_t value)
{
	for (unsigned i = 0; i < 8; i++) {
		/* PAT adds UC- (7). */
		uint64_t type = value >> (i * 8) & 0xff;

		if (type != 7 && !mtrr_type_valid(type)) {
			return false;
		}
	}
	return true;
}

bool x86_msr_mtrr_fixed_valid(uint64_t value)
{
	for (unsigned i = 0; i < 8; i++) {
		if (!mtrr_type_valid(value >> (i * 8) & 0xff)) {
			return false;
		}
	}
	return true;
}

bool x86_msr_mtrr_def_type_valid(uint64_t value)
{
	return !(value & ~UINT64_C(0xcff)) && mtrr_type_valid(value & 0xff);
}

bool x86_msr_mtrr_var_valid(uint64_t value, bool mask, unsigned pa_bits)
{
	if (value >> pa_bits) {
		return false;
	}
	return mask ? !(value & 0x7ff) : !(value & 0xf00) && mtrr_type_valid(value & 0xff);
}

int x86_msr_mtrr_fixed_index(uint32_t msr)
{
	if (msr == X86_MSR_MTRR_FIX64K) {
		return 0;
	}
	if (msr == X86_MSR_MTRR_FIX16K_80000 || msr == X86_MSR_MTRR_FIX16K_A0000) {
		return (int)(1 + msr - X86_MSR_MTRR_FIX16K_80000);
	}
	if (msr >= X86_MSR_MTRR_FIX4K && msr < X86_MSR_MTRR_FIX4K + 8) {
		return (int)(3 + msr - X86_MSR_MTRR_FIX4K);
	}
	return -1;
}
