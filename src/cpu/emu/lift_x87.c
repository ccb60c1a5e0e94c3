/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the handler of an x87 instruction by its opcode and ModRM byte. */
#include "decode.h"
#include "x87.h"

/* Bytes of the memory operand of D8..DF /0../7; S: the operand is written; 0: a control
 * instruction. */
#define S 0x80
static const uint8_t operand_bytes[8][8] = {
	{4, 4, 4, 4, 4, 4, 4, 4}, {4, 0, S | 4, S | 4, 0, 0, 0, 0},
	{4, 4, 4, 4, 4, 4, 4, 4}, {4, S | 4, S | 4, S | 4, 0, 10, 0, S | 10},
	{8, 8, 8, 8, 8, 8, 8, 8}, {8, S | 8, S | 8, S | 8, 0, 0, 0, 0},
	{2, 2, 2, 2, 2, 2, 2, 2}, {2, S | 2, S | 2, S | 2, 10, 8, S | 10, S | 8},
};

/* Handlers of control instructions; NULL: an ordinary operation. */
static emu_fn *control_handler(const struct emu_decoded *d)
{
	switch (d->insn.mnemonic) { /* NOLINT: only these few of the mnemonics */
	case ZYDIS_MNEMONIC_FWAIT:
		return x87_fwait;
	case ZYDIS_MNEMONIC_FNOP:
		return x87_fnop;
	case ZYDIS_MNEMONIC_FENI8087_NOP:
	case ZYDIS_MNEMONIC_FDISI8087_NOP:
	case ZYDIS_MNEMONIC_FSETPM287_NOP:
		return x87_nop8087;
	case ZYDIS_MNEMONIC_FNCLEX:
		return x87_fnclex;
	case ZYDIS_MNEMONIC_FNINIT:
		return x87_fninit;
	case ZYDIS_MNEMONIC_FNSTCW:
		return x87_fnstcw;
	case ZYDIS_MNEMONIC_FLDCW:
		return x87_fldcw;
	case ZYDIS_MNEMONIC_FNSTSW:
		return d->mem != NULL ? x87_fnstsw_mem : x87_fnstsw_ax;
	case ZYDIS_MNEMONIC_FNSTENV:
		return x87_fnstenv;
	case ZYDIS_MNEMONIC_FLDENV:
		return x87_fldenv;
	case ZYDIS_MNEMONIC_FNSAVE:
		return x87_fnsave;
	case ZYDIS_MNEMONIC_FRSTOR:
		return x87_frstor;
	default:
		return NULL;
	}
}

/* DA C0-DF, DB C0-DF: FCMOVcc; DB E8-F7, DF E8-F7: FCOMI, FUCOMI and their popping forms. */
static bool touches_flags(uint8_t opcode, uint8_t modrm)
{
	if ((opcode == 0xda || opcode == 0xdb) && modrm < 0xe0) {
		return true;
	}
	return (opcode == 0xdb || opcode == 0xdf) && modrm >= 0xe8 && modrm < 0xf8;
}

bool emu_lift_x87(const struct emu_decoded *d, struct emu_insn *i)
{
	uint8_t opcode = d->insn.opcode;
	uint8_t reg = d->insn.raw.modrm.reg;
	uint8_t modrm = (uint8_t)(d->insn.raw.modrm.mod << 6 | reg << 3 | d->insn.raw.modrm.rm);
	emu_fn *control = control_handler(d);

	if (control != NULL) {
		i->fn = control;
		i->rs = d->mem != NULL ? (uint8_t)(d->mem->size / 8) : 0;
		return true;
	}
	if (d->insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT || opcode < 0xd8 || opcode > 0xdf) {
		return false;
	}
	i->imm = (uint64_t)(opcode & 7) << 8 | modrm;
	if (d->insn.raw.modrm.mod == 3) {
		i->fn = touches_flags(opcode, modrm) ? x87_op_flags : x87_op_reg;
		i->aux = x87_stub_reg(opcode, modrm);
		return true;
	}
	i->rs = operand_bytes[opcode & 7][reg] & ~S;
	if (i->rs == 0) {
		return false;
	}
	i->fn = operand_bytes[opcode & 7][reg] & S ? x87_op_store : x87_op_load;
	i->aux = x87_stub_mem(opcode, reg);
	return true;
}
