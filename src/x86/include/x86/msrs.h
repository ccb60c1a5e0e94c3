/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers that only store something, with the values that they take: the same ones whoever runs the guest. Registers that steer the
 * processor are the engine's own. Spec: Intel SDM vol. 4.
 */
#ifndef X86_MSRS_H
#define X86_MSRS_H

#include "x86/cpu.h"
#include "x86/msr.h"

/* An engine whose processor keeps some of these itself leaves them here unused. */
struct x86_msrs {
	uint64_t star, lstar, cstar, sfmask;
	uint64_t kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t tsc_aux;
	uint64_t pat;
	uint64_t mtrr_def_type, mtrr_fixed[X86_MSR_MTRR_FIXED_COUNT],
		mtrr_var[2 * X86_MSR_MTRR_VAR_COUNT];
	uint64_t misc_enable, spec_ctrl, debugctl;
	uint64_t mcg_status, mcg_ctl, mc[4 * X86_MSR_MC_BANKS];
};

enum x86_msrs_result {
	X86_MSRS_DONE,
	X86_MSRS_REFUSED, /* #GP(0) */
	X86_MSRS_FOREIGN, /* none of these */
};

/* As RDMSR and WRMSR. @cpu: of the guest. */
enum x86_msrs_result x86_msrs_read(const struct x86_msrs *m, const struct x86_cpu *cpu,
				   uint32_t index, uint64_t *ret_value);
enum x86_msrs_result x86_msrs_write(struct x86_msrs *m, unsigned pa_bits, uint32_t index,
				    uint64_t value);
/* Whether WRMSR takes @value: registers without a rule of their own take any. */
bool x86_msrs_valid(unsigned pa_bits, uint32_t index, uint64_t value);
/* RESET; INIT leaves all of them alone. */
void x86_msrs_reset(struct x86_msrs *m);
/* The @n-th index of those that keep a value, UINT32_MAX at the end: what is saved. */
uint32_t x86_msrs_kept(unsigned n);

/* The MSR that has this HV register name. False: it is no MSR. */
bool x86_msr_of_register(uint32_t name, uint32_t *ret_msr);

#endif
