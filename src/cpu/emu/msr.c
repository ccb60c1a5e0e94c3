/* SPDX-License-Identifier: Apache-2.0 */
/* The model-specific registers that the engine owns. Numbers and value rules: x86/msr.h. */
#include "x86/msr.h"
#include "control.h"

#include "mem.h"
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
	uint16_t offset; /* in struct emu_msrs; unused for rules without storage */
	uint64_t mask;
	uint64_t reset;
};

#define AT(field) ((uint16_t)offsetof(struct emu_msrs, field))
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
	{X86_MSR_ARCH_CAPABILITIES, CONSTANT, .reset = X86_ARCH_CAPABILITIES_SEQUENTIAL},
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

static uint64_t *slot(struct emu_vp *vp, const struct msr *m)
{
	return (uint64_t *)(void *)((char *)&vp->msr + m->offset);
}

/* ---- MTRRs, PAT and machine check banks: stored, each with its own rule ---- */

static uint64_t *mtrr_slot(struct emu_vp *vp, uint32_t index)
{
	int fixed = x86_msr_mtrr_fixed_index(index);

	if (fixed >= 0) {
		return &vp->msr.mtrr_fixed[fixed];
	}
	if (index >= X86_MSR_MTRR_VAR_BASE0 &&
	    index < X86_MSR_MTRR_VAR_BASE0 + 2 * X86_MSR_MTRR_VAR_COUNT) {
		return &vp->msr.mtrr_var[index - X86_MSR_MTRR_VAR_BASE0];
	}
	if (index == X86_MSR_MTRR_DEF_TYPE) {
		return &vp->msr.mtrr_def_type;
	}
	return index == X86_MSR_PAT ? &vp->msr.pat : NULL;
}

static bool mtrr_valid(const struct emu_vp *vp, uint32_t index, uint64_t value)
{
	if (index == X86_MSR_PAT) {
		return x86_msr_pat_valid(value);
	}
	if (index == X86_MSR_MTRR_DEF_TYPE) {
		return x86_msr_mtrr_def_type_valid(value);
	}
	if (x86_msr_mtrr_fixed_index(index) >= 0) {
		return x86_msr_mtrr_fixed_valid(value);
	}
	return x86_msr_mtrr_var_valid(value, index & 1, vp->vm->gmem->pa_bits);
}

static uint64_t *bank_slot(struct emu_vp *vp, uint32_t index)
{
	if (index < X86_MSR_MC0_CTL || index >= X86_MSR_MC0_CTL + 4 * X86_MSR_MC_BANKS) {
		return NULL;
	}
	return &vp->msr.mc[index - X86_MSR_MC0_CTL];
}

/* CTL takes anything; STATUS, ADDR and MISC can only be cleared. */
static bool bank_valid(uint32_t index, uint64_t value)
{
	return (index & 3) == 0 || value == 0;
}

/* ---- Registers that steer ---- */

static uint64_t *base_slot(struct emu_vp *vp, uint32_t index)
{
	return index == X86_MSR_FS_BASE	  ? &vp->seg[X86_FS].base
	       : index == X86_MSR_GS_BASE ? &vp->seg[X86_GS].base
					  : NULL;
}

enum emu_msr_result emu_msr_read(struct emu_vp *vp, uint32_t index, uint64_t *ret_value)
{
	uint64_t *p = base_slot(vp, index);
	const struct msr *m;

	if (index == X86_MSR_EFER) {
		*ret_value = vp->efer;
		return EMU_MSR_OK;
	}
	if (index == X86_MSR_TSC) {
		*ret_value = emu_tsc(vp);
		return EMU_MSR_OK;
	}
	p = p != NULL ? p : mtrr_slot(vp, index);
	p = p != NULL ? p : bank_slot(vp, index);
	if (p != NULL) {
		*ret_value = *p;
		return EMU_MSR_OK;
	}
	m = find(index);
	if (m == NULL) {
		return EMU_MSR_FOREIGN;
	}
	switch ((enum rule)m->rule) {
	case CONSTANT:
	case IGNORED:
		*ret_value = m->reset;
		return EMU_MSR_OK;
	case COMMAND:
		return EMU_MSR_REFUSED;
	case STORED:
	case CANONICAL:
	default:
		*ret_value = *slot(vp, m);
		return EMU_MSR_OK;
	}
}

static enum emu_msr_result store(uint64_t *p, bool valid, uint64_t value)
{
	if (!valid) {
		return EMU_MSR_REFUSED;
	}
	*p = value;
	return EMU_MSR_OK;
}

enum emu_msr_result emu_msr_write(struct emu_vp *vp, uint32_t index, uint64_t value)
{
	const struct msr *m;

	if (index == X86_MSR_EFER) {
		return emu_efer_write(vp, value) ? EMU_MSR_OK : EMU_MSR_REFUSED;
	}
	if (base_slot(vp, index) != NULL) {
		return store(base_slot(vp, index), x86_canonical(value), value);
	}
	if (mtrr_slot(vp, index) != NULL) {
		return store(mtrr_slot(vp, index), mtrr_valid(vp, index, value), value);
	}
	if (bank_slot(vp, index) != NULL) {
		return store(bank_slot(vp, index), bank_valid(index, value), value);
	}
	m = find(index);
	if (m == NULL) {
		return EMU_MSR_FOREIGN;
	}
	switch ((enum rule)m->rule) {
	case CONSTANT:
		return EMU_MSR_REFUSED;
	case IGNORED:
		return EMU_MSR_OK;
	case COMMAND:
		return value & ~m->mask ? EMU_MSR_REFUSED : EMU_MSR_OK;
	case CANONICAL:
		return store(slot(vp, m), x86_canonical(value), value);
	case STORED:
	default:
		return store(slot(vp, m), !(value & ~m->mask), value);
	}
}

void emu_msr_reset(struct emu_vp *vp, bool init)
{
	for (size_t n = 0; n < ARRAY_LEN(msrs); n++) {
		bool stored = msrs[n].rule == STORED || msrs[n].rule == CANONICAL;

		/* Spec: SDM vol. 3, table 9-1: INIT leaves these MSRs alone; FS and GS bases go with their segments. */
		if (stored && !init) {
			*slot(vp, &msrs[n]) = msrs[n].reset;
		}
	}
	if (init) {
		return;
	}
	vp->msr.pat = X86_PAT_RESET;
	vp->msr.mtrr_def_type = 0;
	__builtin_memset(vp->msr.mtrr_fixed, 0, sizeof(vp->msr.mtrr_fixed));
	__builtin_memset(vp->msr.mtrr_var, 0, sizeof(vp->msr.mtrr_var));
	__builtin_memset(vp->msr.mc, 0, sizeof(vp->msr.mc));
}

uint32_t emu_msr_saved(unsigned n)
{
	static const uint32_t others[] = {X86_MSR_PAT, X86_MSR_MTRR_DEF_TYPE};

	for (size_t i = 0; i < ARRAY_LEN(msrs); i++) {
		if (msrs[i].rule != STORED && msrs[i].rule != CANONICAL) {
			continue;
		}
		if (n-- == 0) {
			return msrs[i].index;
		}
	}
	if (n < ARRAY_LEN(others)) {
		return others[n];
	}
	n -= ARRAY_LEN(others);
	if (n < 2 * X86_MSR_MTRR_VAR_COUNT) {
		return X86_MSR_MTRR_VAR_BASE0 + n;
	}
	n -= 2 * X86_MSR_MTRR_VAR_COUNT;
	for (uint32_t msr = X86_MSR_MTRR_FIX64K; msr < X86_MSR_MTRR_FIX4K + 8; msr++) {
		if (x86_msr_mtrr_fixed_index(msr) == (int)n) {
			return msr;
		}
	}
	n -= 11;
	return n < 4 * X86_MSR_MC_BANKS ? X86_MSR_MC0_CTL + n : UINT32_MAX;
}
