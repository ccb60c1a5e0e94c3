/* SPDX-License-Identifier: Apache-2.0 */
/* Names and bits of the x86-64 architecture (Intel SDM, AMD APM). */
#ifndef X86_ARCH_H
#define X86_ARCH_H

#include <stdint.h>

/* General registers by encoding number. */
enum x86_gpr {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
	X86_GPR_COUNT,
};

enum x86_seg {
	X86_ES,
	X86_CS,
	X86_SS,
	X86_DS,
	X86_FS,
	X86_GS,
	X86_LDTR,
	X86_TR,
	X86_SEG_COUNT,
};

#define X86_CF 0x00000001u
#define X86_PF 0x00000004u
#define X86_AF 0x00000010u
#define X86_ZF 0x00000040u
#define X86_SF 0x00000080u
#define X86_TF 0x00000100u
#define X86_IF 0x00000200u
#define X86_DF 0x00000400u
#define X86_OF 0x00000800u
#define X86_IOPL 0x00003000u
#define X86_NT 0x00004000u
#define X86_RF 0x00010000u
#define X86_VM 0x00020000u
#define X86_AC 0x00040000u
#define X86_VIF 0x00080000u
#define X86_VIP 0x00100000u
#define X86_ID 0x00200000u
#define X86_ARITH (X86_CF | X86_PF | X86_AF | X86_ZF | X86_SF | X86_OF)

#define X86_CR0_PE 0x00000001u
#define X86_CR0_MP 0x00000002u
#define X86_CR0_EM 0x00000004u
#define X86_CR0_TS 0x00000008u
#define X86_CR0_ET 0x00000010u
#define X86_CR0_NE 0x00000020u
#define X86_CR0_WP 0x00010000u
#define X86_CR0_AM 0x00040000u
#define X86_CR0_NW 0x20000000u
#define X86_CR0_CD 0x40000000u
#define X86_CR0_PG 0x80000000u

#define X86_CR4_VME 0x00000001u
#define X86_CR4_PVI 0x00000002u
#define X86_CR4_TSD 0x00000004u
#define X86_CR4_DE 0x00000008u
#define X86_CR4_PSE 0x00000010u
#define X86_CR4_PAE 0x00000020u
#define X86_CR4_MCE 0x00000040u
#define X86_CR4_PGE 0x00000080u
#define X86_CR4_PCE 0x00000100u
#define X86_CR4_OSFXSR 0x00000200u
#define X86_CR4_OSXMMEXCPT 0x00000400u
#define X86_CR4_UMIP 0x00000800u
#define X86_CR4_FSGSBASE 0x00010000u
#define X86_CR4_PCIDE 0x00020000u
#define X86_CR4_OSXSAVE 0x00040000u
#define X86_CR4_SMEP 0x00100000u
#define X86_CR4_SMAP 0x00200000u
#define X86_CR4_PKE 0x00400000u

#define X86_EFER_SCE 0x00000001u
#define X86_EFER_LME 0x00000100u
#define X86_EFER_LMA 0x00000400u
#define X86_EFER_NXE 0x00000800u

enum x86_vector {
	X86_EXC_DE = 0,
	X86_EXC_DB = 1,
	X86_EXC_NMI = 2,
	X86_EXC_BP = 3,
	X86_EXC_OF = 4,
	X86_EXC_BR = 5,
	X86_EXC_UD = 6,
	X86_EXC_NM = 7,
	X86_EXC_DF = 8,
	X86_EXC_TS = 10,
	X86_EXC_NP = 11,
	X86_EXC_SS = 12,
	X86_EXC_GP = 13,
	X86_EXC_PF = 14,
	X86_EXC_MF = 16,
	X86_EXC_AC = 17,
	X86_EXC_MC = 18,
	X86_EXC_XM = 19,
};

/* Page-fault error code bits. */
#define X86_PF_P 0x01u
#define X86_PF_W 0x02u
#define X86_PF_U 0x04u
#define X86_PF_RSVD 0x08u
#define X86_PF_I 0x10u

/*
 * Segment attributes as in HV_X64_SEGMENT_REGISTER: [3:0] type, 4 S, [6:5] DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G.
 * An unusable (null) segment has P clear.
 */
#define X86_SEG_TYPE 0x000fu
#define X86_SEG_S 0x0010u
#define X86_SEG_DPL_SHIFT 5
#define X86_SEG_DPL 0x0060u
#define X86_SEG_P 0x0080u
#define X86_SEG_L 0x2000u
#define X86_SEG_DB 0x4000u
#define X86_SEG_G 0x8000u

struct x86_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, granularity already applied */
	uint16_t selector;
	uint16_t attributes;
};

struct x86_table {
	uint64_t base;
	uint16_t limit;
};

#endif
