/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the model-specific registers, and which values they take. Spec: Intel SDM vol. 4; vol. 3 ch. 12 (memory types). */
#ifndef X86_MSR_H
#define X86_MSR_H

#include <stdbool.h>
#include <stdint.h>

#define X86_MSR_P5_MC_ADDR 0x00000000u
#define X86_MSR_P5_MC_TYPE 0x00000001u
#define X86_MSR_TSC 0x00000010u
#define X86_MSR_PLATFORM_ID 0x00000017u
#define X86_MSR_APIC_BASE 0x0000001bu
#define X86_MSR_TSC_DEADLINE 0x000006e0u
#define X86_MSR_X2APIC_FIRST 0x00000800u
#define X86_MSR_X2APIC_LAST 0x000008ffu
#define X86_MSR_FEATURE_CONTROL 0x0000003au
#define X86_MSR_SPEC_CTRL 0x00000048u
#define X86_MSR_PRED_CMD 0x00000049u
#define X86_MSR_BIOS_UPDT_TRIG 0x00000079u
#define X86_MSR_BIOS_SIGN_ID 0x0000008bu
#define X86_MSR_MTRRCAP 0x000000feu
#define X86_MSR_ARCH_CAPABILITIES 0x0000010au
#define X86_MSR_FLUSH_CMD 0x0000010bu
#define X86_MSR_SYSENTER_CS 0x00000174u
#define X86_MSR_SYSENTER_ESP 0x00000175u
#define X86_MSR_SYSENTER_EIP 0x00000176u
#define X86_MSR_MCG_CAP 0x00000179u
#define X86_MSR_MCG_STATUS 0x0000017au
#define X86_MSR_MCG_CTL 0x0000017bu
#define X86_MSR_MISC_ENABLE 0x000001a0u
#define X86_MSR_DEBUGCTL 0x000001d9u
#define X86_MSR_MTRR_VAR_BASE0 0x00000200u
#define X86_MSR_MTRR_VAR_COUNT 8u
#define X86_MSR_MTRR_FIXED_COUNT 11u
#define X86_MSR_MTRR_FIX64K 0x00000250u
#define X86_MSR_MTRR_FIX16K_80000 0x00000258u
#define X86_MSR_MTRR_FIX16K_A0000 0x00000259u
#define X86_MSR_MTRR_FIX4K 0x00000268u
#define X86_MSR_PAT 0x00000277u
#define X86_MSR_MTRR_DEF_TYPE 0x000002ffu
#define X86_MSR_MC0_CTL 0x00000400u
#define X86_MSR_MC_BANKS 4u
#define X86_MSR_EFER 0xc0000080u
#define X86_MSR_STAR 0xc0000081u
#define X86_MSR_LSTAR 0xc0000082u
#define X86_MSR_CSTAR 0xc0000083u
#define X86_MSR_SFMASK 0xc0000084u
#define X86_MSR_FS_BASE 0xc0000100u
#define X86_MSR_GS_BASE 0xc0000101u
#define X86_MSR_KERNEL_GS_BASE 0xc0000102u
#define X86_MSR_TSC_AUX 0xc0000103u

#define X86_PAT_RESET UINT64_C(0x0007040600070406)
/* Fast strings; no monitor, no EIST. Bits 11 and 12: branch trace and PEBS are not there. */
#define X86_MISC_ENABLE_RESET UINT64_C(0x1801)
/* 8 variable ranges, fixed ranges, write combining. */
#define X86_MTRRCAP_VALUE UINT64_C(0x508)
/* MCG_CTL is there; the low byte counts the banks. */
#define X86_MCG_CAP_VALUE (UINT64_C(0x100) | X86_MSR_MC_BANKS)
#define X86_MICROCODE_REVISION UINT64_C(1)

/*
 * Of a processor that does not speculate: RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO,
 * FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO and ITS_NO.
 */
#define X86_ARCH_CAPABILITIES_SEQUENTIAL                                                           \
	(UINT64_C(1) << 0 | UINT64_C(1) << 3 | UINT64_C(1) << 4 | UINT64_C(1) << 5 |               \
	 UINT64_C(1) << 6 | UINT64_C(1) << 8 | UINT64_C(1) << 13 | UINT64_C(1) << 14 |             \
	 UINT64_C(1) << 15 | UINT64_C(1) << 20 | UINT64_C(1) << 24 | UINT64_C(1) << 26 |           \
	 UINT64_C(1) << 27 | UINT64_C(1) << 62)
/* Of any processor at all: immune to nothing, and RSBA, for retpolines alone do not help on some. */
#define X86_ARCH_CAPABILITIES_BASELINE (UINT64_C(1) << 2)
/*
 * What may be passed on of a host's: facts about the processor, and no promises of other registers. Those above, IBRS_ALL, FB_CLEAR, RRSBA and RFDS_CLEAR.
 */
#define X86_ARCH_CAPABILITIES_FACTS                                                                \
	(X86_ARCH_CAPABILITIES_SEQUENTIAL | X86_ARCH_CAPABILITIES_BASELINE | UINT64_C(1) << 1 |    \
	 UINT64_C(1) << 17 | UINT64_C(1) << 19 | UINT64_C(1) << 28)
/* IBRS, STIBP, SSBD: where they are not offered they are stored without effect, for systems that write them unasked. */
#define X86_SPEC_CTRL_MASK UINT64_C(0x7)

/* Values that WRMSR takes; all others are #GP. */
bool x86_msr_pat_valid(uint64_t value);
bool x86_msr_mtrr_fixed_valid(uint64_t value);
bool x86_msr_mtrr_def_type_valid(uint64_t value);
/* @mask: the odd register of the pair. */
bool x86_msr_mtrr_var_valid(uint64_t value, bool mask, unsigned pa_bits);
/* Index 0..10 of a fixed-range MTRR among them, or -1. */
int x86_msr_mtrr_fixed_index(uint32_t msr);

#endif
