/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/msrs.h"

#include "abi/hv.h"
#include "lib/bits.h"
#include "x86/paging.h"

enum rule {
	STORED, /* bits outside of the mask: #GP */
	CANONICAL,
	CONSTANT, /* reads as the reset value, writes: #GP */
	IGNORED,  /* reads as the reset value, writes are taken and forgotten */
	COMMAND,  /* write-only bits in the mask; reading: #GP */
};

struct msr {
	uint32_t index;
	uint8_t rule;
	uint16_t offset; /* in struct x86_msrs; unused for rules without storage */
	uint64_t mask;
	uint64_t reset;
};

#define AT(field) ((uint16_t)offsetof(struct x86_msrs, field))
#define ANY (~UINT64_C(0))

static const struct msr msrs[] = {
	{X86_MSR_P5_MC_ADDR, IGNORED, .reset = 0},
	{X86_MSR_P5_MC_TYPE, IGNORED, .reset = 0},
	{X86_MSR_PLATFORM_ID, CONSTANT, .reset = 0},
	/* Locked, so that nobody looks for VMX. */
	{X86_MSR_FEATURE_CONTROL, CONSTANT, .reset = 1},
	{X86_MSR_SPEC_CTRL, STORED, AT(spec_ctrl), X86_SPEC_CTRL_MASK, 0},
	{X86_MSR_PRED_CMD, COMMAND, .mask = 1},
	{X86_MSR_BIOS_UPDT_TRIG, COMMAND, .mask = ANY},
	{X86_MSR_BIOS_SIGN_ID, IGNORED, .reset = X86_MICROCODE_REVISION << 32},
	{X86_MSR_MTRRCAP, CONSTANT, .reset = X86_MTRRCAP_VALUE},
	{X86_MSR_SYSENTER_CS, STORED, AT(sysenter_cs), 0xffffffff, 0},
	{X86_MSR_SYSENTER_ESP, CANONICAL, AT(sysenter_esp), ANY, 0},
	{X86_MSR_SYSENTER_EIP, CANONICAL, AT(sysenter_eip), ANY, 0},
	{X86_MSR_MCG_CAP, CONSTANT, .reset = X86_MCG_CAP_VALUE},
	{X86_MSR_MCG_STATUS, STORED, AT(mcg_status), 0x7, 0},
	{X86_MSR_MCG_CTL, STORED, AT(mcg_ctl), ANY, 0},
	{X86_MSR_MISC_ENABLE, STORED, AT(misc_enable), 0x1801, X86_MISC_ENABLE_RESET},
	{X86_MSR_DEBUGCTL, STORED, AT(debugctl), 0x3, 0},
	{X86_MSR_STAR, STORED, AT(star), ANY, 0},
	{X86_MSR_LSTAR, CANONICAL, AT(lstar), ANY, 0},
	{X86_MSR_CSTAR, CANONICAL, AT(cstar), ANY, 0},
	{X86_MSR_SFMASK, STORED, AT(sfmask), 0xffffffff, 0},
	{X86_MSR_KERNEL_GS_BASE, CANONICAL, AT(kernel_gs_base), ANY, 0},
	{X86_MSR_TSC_AUX, STORED, AT(tsc_aux), 0xffffffff, 0},
};

static const struct msr *find(uint32_t index)
{
	for (size_t n = 0; n < ARRAY_LEN(msrs); n++) {
		if (msrs[n].index == index) {
			return &msrs[n];
		}
	}
	return NULL;
}

static bool keeps(const struct msr *m)
{
	return m->rule == STORED || m->rule == CANONICAL;
}

/* ---- PAT, MTRRs and machine check banks: stored, each with its own rule ---- */

static bool is_bank(uint32_t index)
{
	return index - X86_MSR_MC0_CTL < 4 * X86_MSR_MC_BANKS;
}

static bool is_variable(uint32_t index)
{
	return index - X86_MSR_MTRR_VAR_BASE0 < 2 * X86_MSR_MTRR_VAR_COUNT;
}

static const uint64_t *memory_type_slot(const struct x86_msrs *m, uint32_t index)
{
	int fixed = x86_msr_mtrr_fixed_index(index);

	if (fixed >= 0) {
		return &m->mtrr_fixed[fixed];
	}
	if (is_variable(index)) {
		return &m->mtrr_var[index - X86_MSR_MTRR_VAR_BASE0];
	}
	if (index == X86_MSR_MTRR_DEF_TYPE) {
		return &m->mtrr_def_type;
	}
	return index == X86_MSR_PAT ? &m->pat : NULL;
}

/* Where its value is kept; NULL: nowhere. */
static const uint64_t *slot(const struct x86_msrs *m, uint32_t index)
{
	const struct msr *row = find(index);

	if (row != NULL) {
		return keeps(row) ? (const uint64_t *)(const void *)((const char *)m + row->offset)
				  : NULL;
	}
	return is_bank(index) ? &m->mc[index - X86_MSR_MC0_CTL] : memory_type_slot(m, index);
}

static uint64_t *slot_of(struct x86_msrs *m, uint32_t index)
{
	const uint64_t *s = slot(m, index);

	return s == NULL ? NULL : (uint64_t *)((uint8_t *)m + ((const uint8_t *)s - (uint8_t *)m));
}

bool x86_msrs_valid(unsigned pa_bits, uint32_t index, uint64_t value)
{
	const struct msr *row = find(index);

	if (row != NULL) {
		return row->rule == CANONICAL  ? x86_canonical(value)
		       : row->rule == CONSTANT ? false
		       : row->rule == IGNORED  ? true
					       : !(value & ~row->mask);
	}
	if (is_bank(index)) {
		/* CTL takes anything; STATUS, ADDR and MISC can only be cleared. */
		return (index & 3) == 0 || value == 0;
	}
	if (index == X86_MSR_PAT) {
		return x86_msr_pat_valid(value);
	}
	if (index == X86_MSR_MTRR_DEF_TYPE) {
		return x86_msr_mtrr_def_type_valid(value);
	}
	if (x86_msr_mtrr_fixed_index(index) >= 0) {
		return x86_msr_mtrr_fixed_valid(value);
	}
	return !is_variable(index) || x86_msr_mtrr_var_valid(value, index & 1, pa_bits);
}

/* ---- Reading and writing ---- */

enum x86_msrs_result x86_msrs_read(const struct x86_msrs *m, const struct x86_cpu *cpu,
				   uint32_t index, uint64_t *ret_value)
{
	const struct msr *row = find(index);
	const uint64_t *kept = slot(m, index);

	if (index == X86_MSR_ARCH_CAPABILITIES) {
		*ret_value = cpu->arch_capabilities;
		return X86_MSRS_DONE;
	}
	if (kept != NULL) {
		*ret_value = *kept;
		return X86_MSRS_DONE;
	}
	if (row == NULL) {
		return X86_MSRS_FOREIGN;
	}
	if (row->rule == COMMAND) {
		return X86_MSRS_REFUSED;
	}
	*ret_value = row->reset;
	return X86_MSRS_DONE;
}

enum x86_msrs_result x86_msrs_write(struct x86_msrs *m, unsigned pa_bits, uint32_t index,
				    uint64_t value)
{
	uint64_t *kept = slot_of(m, index);

	if (index == X86_MSR_ARCH_CAPABILITIES) {
		return X86_MSRS_REFUSED;
	}
	if (kept == NULL && find(index) == NULL) {
		return X86_MSRS_FOREIGN;
	}
	if (!x86_msrs_valid(pa_bits, index, value)) {
		return X86_MSRS_REFUSED;
	}
	if (kept != NULL) {
		*kept = value;
	}
	return X86_MSRS_DONE;
}

void x86_msrs_reset(struct x86_msrs *m)
{
	__builtin_memset(m, 0, sizeof(*m));
	m->pat = X86_PAT_RESET;
	for (size_t n = 0; n < ARRAY_LEN(msrs); n++) {
		if (keeps(&msrs[n])) {
			*slot_of(m, msrs[n].index) = msrs[n].reset;
		}
	}
}

uint32_t x86_msrs_kept(unsigned n)
{
	static const uint32_t others[] = {X86_MSR_PAT, X86_MSR_MTRR_DEF_TYPE};

	for (size_t i = 0; i < ARRAY_LEN(msrs); i++) {
		if (keeps(&msrs[i]) && n-- == 0) {
			return msrs[i].index;
		}
	}
	if (n < ARRAY_LEN(others)) {
		return others[n];
	}
	n -= (unsigned)ARRAY_LEN(others);
	if (n < 2 * X86_MSR_MTRR_VAR_COUNT) {
		return X86_MSR_MTRR_VAR_BASE0 + n;
	}
	n -= 2 * X86_MSR_MTRR_VAR_COUNT;
	for (uint32_t msr = X86_MSR_MTRR_FIX64K; msr < X86_MSR_MTRR_FIX4K + 8; msr++) {
		if (x86_msr_mtrr_fixed_index(msr) == (int)n) {
			return msr;
		}
	}
	n -= X86_MSR_MTRR_FIXED_COUNT;
	return n < 4 * X86_MSR_MC_BANKS ? X86_MSR_MC0_CTL + n : UINT32_MAX;
}

/* ---- Names ---- */

/* Registers that are MSRs under another name. */
static const struct {
	uint32_t name;
	uint32_t msr;
	uint32_t count;	 /* consecutive names */
	uint32_t stride; /* between their MSRs */
} msr_names[] = {
	{HvX64RegisterKernelGsBase, X86_MSR_KERNEL_GS_BASE, 1, 0},
	{HvX64RegisterPat, X86_MSR_PAT, 1, 0},
	{HvX64RegisterSysenterCs, X86_MSR_SYSENTER_CS, 1, 0},
	{HvX64RegisterSysenterEip, X86_MSR_SYSENTER_EIP, 1, 0},
	{HvX64RegisterSysenterEsp, X86_MSR_SYSENTER_ESP, 1, 0},
	{HvX64RegisterStar, X86_MSR_STAR, 1, 0},
	{HvX64RegisterLstar, X86_MSR_LSTAR, 1, 0},
	{HvX64RegisterCstar, X86_MSR_CSTAR, 1, 0},
	{HvX64RegisterSfmask, X86_MSR_SFMASK, 1, 0},
	{HvX64RegisterMsrMtrrCap, X86_MSR_MTRRCAP, 1, 0},
	{HvX64RegisterMsrMtrrDefType, X86_MSR_MTRR_DEF_TYPE, 1, 0},
	{HvX64RegisterMsrMtrrPhysBase0, X86_MSR_MTRR_VAR_BASE0, X86_MSR_MTRR_VAR_COUNT, 2},
	{HvX64RegisterMsrMtrrPhysMask0, X86_MSR_MTRR_VAR_BASE0 + 1, X86_MSR_MTRR_VAR_COUNT, 2},
	{HvX64RegisterMsrMtrrFix64k00000, X86_MSR_MTRR_FIX64K, 1, 0},
	{HvX64RegisterMsrMtrrFix16k80000, X86_MSR_MTRR_FIX16K_80000, 2, 1},
	{HvX64RegisterMsrMtrrFix4kC0000, X86_MSR_MTRR_FIX4K, 8, 1},
	{HvX64RegisterTscAux, X86_MSR_TSC_AUX, 1, 0},
	{HvX64RegisterDebugCtl, X86_MSR_DEBUGCTL, 1, 0},
	{HvX64RegisterSpecCtrl, X86_MSR_SPEC_CTRL, 1, 0},
	{HvX64RegisterMsrIa32MiscEnable, X86_MSR_MISC_ENABLE, 1, 0},
	{HvX64RegisterIa32FeatureControl, X86_MSR_FEATURE_CONTROL, 1, 0},
};

bool x86_msr_of_register(uint32_t name, uint32_t *ret_msr)
{
	for (size_t n = 0; n < ARRAY_LEN(msr_names); n++) {
		if (name - msr_names[n].name < msr_names[n].count) {
			*ret_msr =
				msr_names[n].msr + (name - msr_names[n].name) * msr_names[n].stride;
			return true;
		}
	}
	return false;
}
