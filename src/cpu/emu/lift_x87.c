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

/* Register forms of common operations; NULL: leave it to the general handler. @ret_pops as in
 * x87.h; @ret_near: ModRM with ST(1). */
static emu_fn *fast_reg(uint8_t opcode, uint8_t modrm, uint8_t *ret_pops, uint8_t *ret_near)
{
	uint8_t group = modrm >> 3 & 7;

	*ret_pops = 0;
	*ret_near = (uint8_t)((modrm & ~7) | 1);
	switch (opcode) {
	case 0xd8:
		*ret_pops = group == 3;
		*ret_near = group == 3 ? 0xd1 : *ret_near;
		return group == 2 || group == 3 ? x87_fast_compare : x87_fast_arith_st0;
	case 0xd9:
		if (group < 2) {
			return group == 0 ? x87_fast_load_sti : x87_fast_exchange;
		}
		if (modrm >= 0xe8 && modrm <= 0xee) {
			return x87_fast_constant;
		}
		return modrm == 0xe0 || modrm == 0xe1 || modrm == 0xfa || modrm == 0xfc
			       ? x87_fast_unary
		       : modrm == 0xe4 || modrm == 0xe5 ? x87_fast_examine
							: NULL;
	case 0xdb:
		return group == 5 || group == 6 ? x87_fast_compare_flags : NULL;
	case 0xdc:
		return group >= 4 || group < 2 ? x87_fast_arith_sti : NULL;
	case 0xdd:
		*ret_pops = group & 1;
		*ret_near = 0xe1; /* FUCOM */
		return group == 2 || group == 3	  ? x87_fast_store_sti
		       : group == 4 || group == 5 ? x87_fast_compare
						  : NULL;
	case 0xde:
		return group >= 4 || group < 2 ? x87_fast_arith_sti_pop : NULL;
	default:
		return NULL;
	}
}

/* The same for those whose code sits at another opcode or with two pops. */
static emu_fn *fast_popping(uint8_t opcode, uint8_t modrm, struct emu_insn *i)
{
	uint8_t group = modrm >> 3 & 7;

	if (opcode == 0xda && modrm == 0xe9) { /* FUCOMPP: FUCOM ST(1) */
		i->rd = 2;
		i->disp = (int32_t)x87_stub_index(0xdd, 0xe1);
		return x87_fast_compare;
	}
	if (opcode == 0xde && modrm == 0xd9) { /* FCOMPP: FCOM ST(1) */
		i->rd = 2;
		i->disp = (int32_t)x87_stub_index(0xd8, 0xd1);
		return x87_fast_compare;
	}
	if (opcode == 0xdf && (group == 5 || group == 6)) { /* FUCOMIP, FCOMIP */
		i->rd = 1;
		i->disp = (int32_t)x87_stub_index(0xdb, (uint8_t)((modrm & ~7) | 1));
		return x87_fast_compare_flags;
	}
	return NULL;
}

static void lift_reg(uint8_t opcode, uint8_t modrm, struct emu_insn *i)
{
	uint8_t pops, near;
	emu_fn *fast = fast_reg(opcode, modrm, &pops, &near);

	i->aux = x87_stub_reg_index(x87_stub_index(opcode, modrm));
	i->rs = modrm & 7;
	if (fast != NULL) {
		i->fn = fast;
		i->rd = pops;
		i->disp = (int32_t)x87_stub_index(opcode, near);
		return;
	}
	fast = fast_popping(opcode, modrm, i);
	i->fn = fast != NULL ? fast : touches_flags(opcode, modrm) ? x87_op_flags : x87_op_reg;
}

static emu_fn *fast_mem(uint8_t opcode, uint8_t reg, bool store)
{
	if (!(opcode & 1)) {
		return reg == 2	  ? x87_fast_compare_mem
		       : reg == 3 ? x87_fast_compare_mem_pop
				  : x87_fast_arith_mem;
	}
	if (reg == 4 || (opcode == 0xdf && reg == 6)) { /* FBLD, FBSTP */
		return store ? x87_op_store : x87_op_load;
	}
	if (store) {
		return x87_fast_store;
	}
	return opcode == 0xdb && reg == 5 ? x87_fast_load80 : x87_fast_load;
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
		lift_reg(opcode, modrm, i);
		return true;
	}
	i->rs = operand_bytes[opcode & 7][reg] & ~S;
	if (i->rs == 0) {
		return false;
	}
	i->fn = fast_mem(opcode, reg, operand_bytes[opcode & 7][reg] & S);
	i->rd = reg == 1 || reg == 3 || reg == 7; /* a store pops */
	i->aux = x87_stub_mem(opcode, reg);
	return true;
}
