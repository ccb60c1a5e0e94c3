// SPDX-License-Identifier: Apache-2.0
/*
 * What a host's processor gets wrong that is QEMU's (10.0), in plain programs as in guests: cases of --below-qemu leave it out. Each was seen without
 * any hypervisor.
 */
#include "oracle.h"

#define PAGE 4096u

/* MOV of a segment register with REX.R, which selects none of them: QEMU reads what lies behind its segment registers. */
static bool is_selector_with_rex_r(const ZydisDecodedInstruction *insn,
				   const ZydisDecodedOperand *ops)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_MOV && insn->raw.rex.R != 0 &&
	       ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ZydisRegisterGetClass(ops[1].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

/*
 * x87 operands of more than eight bytes across two pages. A piece that begins in the first is taken whole from what lies behind it in QEMU's memory, or
 * written there: into some other page of the machine.
 */
static bool is_long_across_pages(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
				 const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count; i++) {
		if ((oracle_group_of(insn, ops) & ORACLE_X87) != 0 &&
		    ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].size > 64 &&
		    oracle_effective(c, insn, &ops[i]) % PAGE + ops[i].size / 8 > PAGE) {
			return true;
		}
	}
	return false;
}

bool oracle_emulated_wrong(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			   const ZydisDecodedOperand *ops)
{
	return is_selector_with_rex_r(insn, ops) || is_long_across_pages(c, insn, ops);
}
