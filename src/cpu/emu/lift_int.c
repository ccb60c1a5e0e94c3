/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the handlers of integer instructions. */
#include "decode.h"
#include "exec.h"
#include "io.h"

/* Operands of an ordinary instruction, brought into one of the forms. */
struct shape {
	enum emu_form form;
	unsigned log; /* of the operand size */
};

static bool is_reg(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

static bool is_mem(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static bool is_imm(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static unsigned size_log(const ZydisDecodedOperand *op)
{
	return emu_size_log(op->size / 8u);
}

static uint8_t reg_of(const ZydisDecodedOperand *op)
{
	return emu_reg_number(op->reg.value);
}

static bool set(struct emu_insn *i, emu_fn *fn)
{
	i->fn = fn;
	return fn != NULL;
}

/* Segment, control and debug registers belong to the system lifter. */
static bool general(const ZydisDecodedOperand *op)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(op->reg.value);

	return !is_reg(op) || class == ZYDIS_REGCLASS_GPR8 || class == ZYDIS_REGCLASS_GPR16 ||
	       class == ZYDIS_REGCLASS_GPR32 || class == ZYDIS_REGCLASS_GPR64;
}

/* Two operands: destination first. */
static bool two(const struct emu_decoded *d, struct emu_insn *i, struct shape *ret)
{
	const ZydisDecodedOperand *a = &d->ops[0], *b = &d->ops[1];

	if (!general(a) || !general(b)) {
		return false;
	}
	ret->log = size_log(a);
	i->osize = (uint8_t)(1u << ret->log);
	if (is_reg(a)) {
		i->rd = reg_of(a);
		if (is_reg(b)) {
			i->rs = reg_of(b);
			ret->form = EMU_RR;
		} else if (is_imm(b)) {
			i->imm = b->imm.value.u;
			ret->form = EMU_RI;
		} else {
			ret->form = EMU_RM;
		}
		return true;
	}
	if (is_reg(b)) {
		i->rs = reg_of(b);
		ret->form = EMU_MR;
	} else {
		i->imm = b->imm.value.u;
		i->rs = EMU_ATOMIC_IMM;
		ret->form = EMU_MI;
	}
	return true;
}

static bool lift_alu(const struct emu_decoded *d, struct emu_insn *i, enum emu_alu op)
{
	struct shape shape;

	if (!two(d, i, &shape)) {
		return false;
	}
	if (i->flags & EMU_I_LOCK) {
		return (shape.form == EMU_MR || shape.form == EMU_MI) &&
		       set(i, emu_find_locked_alu(op, shape.log));
	}
	i->aux = EMU_FUSE(op, shape.log, shape.form);
	return set(i, emu_find_alu(op, shape.log, shape.form));
}

static bool lift_unary(const struct emu_decoded *d, struct emu_insn *i, enum emu_unary op)
{
	unsigned log = size_log(&d->ops[0]);

	i->osize = (uint8_t)(1u << log);
	if (is_mem(&d->ops[0])) {
		return set(i, i->flags & EMU_I_LOCK ? emu_find_locked_unary(op, log)
						    : emu_find_unary(op, log, true));
	}
	i->rd = reg_of(&d->ops[0]);
	return set(i, emu_find_unary(op, log, false));
}

static bool lift_mov(const struct emu_decoded *d, struct emu_insn *i)
{
	struct shape shape;

	if (!two(d, i, &shape)) {
		return false;
	}
	if (d->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && d->insn.opcode >= 0xa0 &&
	    d->insn.opcode <= 0xa3) {
		/* Absolute offset as wide as the address. */
		i->imm = (uint64_t)d->mem->mem.disp.value & emu_asize_mask(i);
		return set(i, d->insn.opcode < 0xa2 ? emu_op_mov_load_absolute
						    : emu_op_mov_store_absolute);
	}
	return set(i, emu_find_mov(shape.log, shape.form));
}

static bool lift_extend(const struct emu_decoded *d, struct emu_insn *i, bool sign)
{
	i->rd = reg_of(&d->ops[0]);
	if (is_reg(&d->ops[1])) {
		i->rs = reg_of(&d->ops[1]);
	}
	return set(i, emu_find_extend(sign, size_log(&d->ops[0]), size_log(&d->ops[1]),
				      is_mem(&d->ops[1])));
}

static bool lift_lea(const struct emu_decoded *d, struct emu_insn *i)
{
	unsigned log = size_log(&d->ops[0]);

	i->rd = reg_of(&d->ops[0]);
	return set(i, log == 3 ? emu_op_lea64 : log == 2 ? emu_op_lea32 : emu_op_lea16);
}

static bool lift_xchg(const struct emu_decoded *d, struct emu_insn *i)
{
	struct shape shape;

	if (!two(d, i, &shape)) {
		return false;
	}
	switch (shape.form) {
	case EMU_RM:
		i->rs = i->rd;
		return set(i, emu_find_xchg(shape.log));
	case EMU_MR:
		return set(i, emu_find_xchg(shape.log));
	case EMU_RR:
		return set(i, emu_op_xchg_rr);
	case EMU_RI:
	case EMU_MI:
	case EMU_FORMS:
	default:
		return false;
	}
}

static bool lift_xadd(const struct emu_decoded *d, struct emu_insn *i, bool compare)
{
	struct shape shape;
	bool lock = i->flags & EMU_I_LOCK;

	if (!two(d, i, &shape)) {
		return false;
	}
	return set(i, compare ? emu_find_cmpxchg(shape.log, shape.form == EMU_MR, lock)
			      : emu_find_xadd(shape.log, shape.form == EMU_MR, lock));
}

/* rd from rs or memory; CMOVcc, BSF.., POPCNT. */
static bool to_register(const struct emu_decoded *d, struct emu_insn *i, unsigned *ret_log,
			bool *ret_memory)
{
	i->rd = reg_of(&d->ops[0]);
	*ret_memory = is_mem(&d->ops[1]);
	if (!*ret_memory) {
		i->rs = reg_of(&d->ops[1]);
	}
	*ret_log = size_log(&d->ops[0]);
	return true;
}

static bool lift_cmov(const struct emu_decoded *d, struct emu_insn *i)
{
	unsigned log;
	bool memory;

	to_register(d, i, &log, &memory);
	return set(i, emu_find_cmov(d->insn.opcode & 15, log, memory));
}

static bool lift_setcc(const struct emu_decoded *d, struct emu_insn *i)
{
	bool memory = is_mem(&d->ops[0]);

	if (!memory) {
		i->rd = reg_of(&d->ops[0]);
	}
	return set(i, emu_find_setcc(d->insn.opcode & 15, memory));
}

static bool lift_shift(const struct emu_decoded *d, struct emu_insn *i, enum emu_shift op)
{
	unsigned log = size_log(&d->ops[0]);
	bool memory = is_mem(&d->ops[0]), by_cl = is_reg(&d->ops[1]);

	i->osize = (uint8_t)(1u << log);
	if (!memory) {
		i->rd = reg_of(&d->ops[0]);
	}
	if (!by_cl) {
		i->imm = d->ops[1].imm.value.u & (log == 3 ? 63 : 31);
	}
	return set(i, emu_find_shift(op, log, memory, by_cl));
}

static bool lift_double_shift(const struct emu_decoded *d, struct emu_insn *i, bool left)
{
	unsigned log = size_log(&d->ops[0]);
	bool memory = is_mem(&d->ops[0]), by_cl = is_reg(&d->ops[2]);

	if (!memory) {
		i->rd = reg_of(&d->ops[0]);
	}
	i->rs = reg_of(&d->ops[1]);
	if (!by_cl) {
		i->imm = d->ops[2].imm.value.u & (log == 3 ? 63 : 31);
	}
	return set(i, emu_find_double_shift(left, log, memory, by_cl));
}

/* One operand besides the accumulator; IMUL also with two and three. */
static bool lift_muldiv(const struct emu_decoded *d, struct emu_insn *i, unsigned reg)
{
	const ZydisDecodedOperand *op = &d->ops[0];
	unsigned log;

	if (reg == 5 && d->insn.operand_count_visible >= 2) {
		bool memory = is_mem(&d->ops[1]), imm = d->insn.operand_count_visible == 3;

		i->rd = reg_of(&d->ops[0]);
		if (!memory) {
			i->rs = reg_of(&d->ops[1]);
		}
		if (imm) {
			i->imm = d->ops[2].imm.value.u;
		}
		return set(i, emu_find_imul(size_log(&d->ops[0]), memory, imm));
	}
	log = size_log(op);
	if (is_reg(op)) {
		i->rs = reg_of(op);
	}
	return set(i, emu_find_muldiv(reg, log, is_mem(op)));
}

static bool lift_bit(const struct emu_decoded *d, struct emu_insn *i, enum emu_bit op)
{
	bool memory = is_mem(&d->ops[0]), lock = i->flags & EMU_I_LOCK;

	if (!memory) {
		i->rd = reg_of(&d->ops[0]);
	}
	if (is_imm(&d->ops[1])) {
		i->rs = EMU_ATOMIC_IMM;
		i->imm = d->ops[1].imm.value.u;
	} else {
		i->rs = reg_of(&d->ops[1]);
	}
	return set(i, emu_find_bit(op, size_log(&d->ops[0]), memory, lock));
}

static bool lift_count(const struct emu_decoded *d, struct emu_insn *i, enum emu_count op)
{
	unsigned log;
	bool memory;

	to_register(d, i, &log, &memory);
	return set(i, emu_find_count(op, log, memory));
}

static bool lift_adx(const struct emu_decoded *d, struct emu_insn *i, bool overflow)
{
	unsigned log;
	bool memory;

	to_register(d, i, &log, &memory);
	return set(i, emu_find_adx(overflow, log, memory));
}

static bool lift_crc32(const struct emu_decoded *d, struct emu_insn *i)
{
	unsigned log;
	bool memory;

	to_register(d, i, &log, &memory);
	return set(i, emu_find_crc32(size_log(&d->ops[1]), memory));
}

static bool lift_movbe(const struct emu_decoded *d, struct emu_insn *i)
{
	if (is_mem(&d->ops[1])) {
		i->rd = reg_of(&d->ops[0]);
		i->osize = (uint8_t)(d->ops[0].size / 8);
		return set(i, emu_op_movbe_load);
	}
	i->rs = reg_of(&d->ops[1]);
	i->osize = (uint8_t)(d->ops[1].size / 8);
	return set(i, emu_op_movbe_store);
}

static bool lift_bswap(const struct emu_decoded *d, struct emu_insn *i)
{
	unsigned log = size_log(&d->ops[0]);

	i->rd = reg_of(&d->ops[0]);
	return set(i, log == 3 ? emu_op_bswap64 : log == 2 ? emu_op_bswap32 : emu_op_bswap16);
}

/* ---- Stack ---- */

static bool lift_push(const struct emu_decoded *d, struct emu_insn *i)
{
	const ZydisDecodedOperand *op = &d->ops[0];
	bool wide;

	if (!general(op)) {
		return false;
	}
	i->osize = (uint8_t)(d->insn.operand_width / 8);
	wide = d->mode == EMU_MODE_64 && i->osize == 8;
	if (is_mem(op)) {
		return set(i, emu_op_push_m);
	}
	i->seg = X86_SS;
	if (is_imm(op)) {
		i->imm = (uint64_t)op->imm.value.s;
		return set(i, wide ? emu_op_push64_i : emu_op_push_i);
	}
	i->rs = reg_of(op);
	return set(i, wide ? emu_op_push64_r : emu_op_push_r);
}

static bool lift_pop(const struct emu_decoded *d, struct emu_insn *i)
{
	const ZydisDecodedOperand *op = &d->ops[0];

	if (!general(op)) {
		return false;
	}
	i->osize = (uint8_t)(d->insn.operand_width / 8);
	if (is_mem(op)) {
		return set(i, emu_op_pop_m);
	}
	i->seg = X86_SS;
	i->rd = reg_of(op);
	return set(i, d->mode == EMU_MODE_64 && i->osize == 8 ? emu_op_pop64_r : emu_op_pop_r);
}

static bool lift_enter(const struct emu_decoded *d, struct emu_insn *i)
{
	i->seg = X86_SS;
	i->osize = (uint8_t)(d->insn.operand_width / 8);
	i->imm = d->ops[0].imm.value.u & 0xffff;
	i->aux = d->ops[1].imm.value.u;
	return set(i, emu_op_enter);
}

static bool lift_leave(const struct emu_decoded *d, struct emu_insn *i)
{
	i->seg = X86_SS;
	i->osize = (uint8_t)(d->insn.operand_width / 8);
	return set(i, d->mode == EMU_MODE_64 && i->osize == 8 ? emu_op_leave64 : emu_op_leave);
}

/* ---- Branches ---- */

/* Size of the instruction pointer: in 64-bit mode near branches are 64 bits wide whatever the prefixes. */
static uint8_t ip_size(const struct emu_decoded *d)
{
	return d->mode == EMU_MODE_64 ? 8 : (uint8_t)(d->insn.operand_width / 8);
}

static void direct_target(const struct emu_decoded *d, struct emu_insn *i)
{
	i->osize = ip_size(d);
	i->imm = (uint64_t)i->offset + i->bytes + (uint64_t)d->ops[0].imm.value.s;
}

static bool lift_jcc(const struct emu_decoded *d, struct emu_insn *i)
{
	direct_target(d, i);
	i->flags |= EMU_I_EXIT;
	i->rd = d->insn.opcode & 15;
	return set(i, emu_find_jcc(d->insn.opcode & 15, d->mode == EMU_MODE_64));
}

static bool lift_counted(const struct emu_decoded *d, struct emu_insn *i, emu_fn *fn)
{
	direct_target(d, i);
	if (fn == emu_op_loope || fn == emu_op_loopne) {
		/* Undocumented: a repeat prefix overrides the condition. */
		fn = i->flags & EMU_I_REP     ? emu_op_loope
		     : i->flags & EMU_I_REPNE ? emu_op_loopne
					      : fn;
	}
	i->asize = (uint8_t)(d->insn.address_width / 8);
	i->flags |= EMU_I_EXIT;
	return set(i, fn);
}

static bool is_far(const struct emu_decoded *d)
{
	return d->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

static bool lift_jmp(const struct emu_decoded *d, struct emu_insn *i)
{
	if (is_far(d)) {
		return false;
	}
	i->flags |= EMU_I_END;
	if (is_imm(&d->ops[0])) {
		direct_target(d, i);
		return set(i, d->mode == EMU_MODE_64 ? emu_op_jmp64 : emu_op_jmp_legacy);
	}
	i->osize = ip_size(d);
	if (is_mem(&d->ops[0])) {
		return set(i, emu_op_jmp_m);
	}
	i->rs = reg_of(&d->ops[0]);
	return set(i, emu_op_jmp_r);
}

static bool lift_call(const struct emu_decoded *d, struct emu_insn *i)
{
	if (is_far(d)) {
		return false;
	}
	i->flags |= EMU_I_END;
	if (is_imm(&d->ops[0])) {
		direct_target(d, i);
		i->seg = X86_SS;
		return set(i, d->mode == EMU_MODE_64 ? emu_op_call64 : emu_op_call_legacy);
	}
	i->osize = ip_size(d);
	if (is_mem(&d->ops[0])) {
		return set(i, emu_op_call_m);
	}
	i->rs = reg_of(&d->ops[0]);
	return set(i, emu_op_call_r);
}

static bool lift_ret(const struct emu_decoded *d, struct emu_insn *i)
{
	if (is_far(d)) {
		return false;
	}
	i->flags |= EMU_I_END;
	i->seg = X86_SS;
	i->osize = ip_size(d);
	if (d->insn.operand_count_visible > 0 && is_imm(&d->ops[0])) {
		i->imm = d->ops[0].imm.value.u & 0xffff;
	}
	return set(i, d->mode == EMU_MODE_64 ? emu_op_ret64 : emu_op_ret);
}

/* ---- Strings and ports ---- */

static bool lift_string(const struct emu_decoded *d, struct emu_insn *i, enum emu_string op,
			unsigned bytes)
{
	/* MOVSD and CMPSD are SSE2 instructions too. */
	if (d->insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
		return false;
	}
	i->osize = (uint8_t)bytes;
	i->seg = X86_DS;
	for (unsigned n = 0; n < d->insn.operand_count; n++) {
		/* The source: the memory operand that is not ES:RDI. */
		if (is_mem(&d->ops[n]) && emu_reg_number(d->ops[n].mem.base) == X86_RSI) {
			i->seg = emu_reg_number(d->ops[n].mem.segment);
		}
	}
	return set(i, emu_find_string(op));
}

static bool lift_port_string(const struct emu_decoded *d, struct emu_insn *i, emu_fn *fn,
			     unsigned bytes)
{
	i->osize = (uint8_t)bytes;
	for (unsigned n = 0; n < d->insn.operand_count; n++) {
		if (is_mem(&d->ops[n]) && emu_reg_number(d->ops[n].mem.base) == X86_RSI) {
			i->seg = emu_reg_number(d->ops[n].mem.segment);
		}
	}
	return set(i, fn);
}

static bool lift_port(const struct emu_decoded *d, struct emu_insn *i, bool out)
{
	const ZydisDecodedOperand *port = &d->ops[out ? 0 : 1], *data = &d->ops[out ? 1 : 0];

	i->osize = (uint8_t)(data->size / 8);
	i->imm = is_imm(port) ? port->imm.value.u & 0xff : EMU_PORT_DX;
	return set(i, out ? emu_op_out : emu_op_in);
}

static bool lift_xlat(const struct emu_decoded *d, struct emu_insn *i)
{
	for (unsigned n = 0; n < d->insn.operand_count; n++) {
		if (is_mem(&d->ops[n])) {
			i->seg = emu_reg_number(d->ops[n].mem.segment);
		}
	}
	return set(i, emu_op_xlat);
}

static bool lift_bound(const struct emu_decoded *d, struct emu_insn *i)
{
	if (d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
		return false;
	}
	i->rd = reg_of(&d->ops[0]);
	i->osize = (uint8_t)(d->ops[0].size / 8);
	return set(i, emu_op_bound);
}

static bool lift_adjust(const struct emu_decoded *d, struct emu_insn *i, emu_fn *fn)
{
	i->imm = d->insn.operand_count_visible > 0 && is_imm(&d->ops[0])
			 ? d->ops[0].imm.value.u & 0xff
			 : 10;
	return set(i, fn);
}

/* ---- Groups of mnemonics ---- */

static bool lift_arithmetic(const struct emu_decoded *d, struct emu_insn *i)
{
	switch ((int)d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
		return lift_alu(d, i, EMU_ADD);
	case ZYDIS_MNEMONIC_OR:
		return lift_alu(d, i, EMU_OR);
	case ZYDIS_MNEMONIC_ADC:
		return lift_alu(d, i, EMU_ADC);
	case ZYDIS_MNEMONIC_SBB:
		return lift_alu(d, i, EMU_SBB);
	case ZYDIS_MNEMONIC_AND:
		return lift_alu(d, i, EMU_AND);
	case ZYDIS_MNEMONIC_SUB:
		return lift_alu(d, i, EMU_SUB);
	case ZYDIS_MNEMONIC_XOR:
		return lift_alu(d, i, EMU_XOR);
	case ZYDIS_MNEMONIC_CMP:
		return lift_alu(d, i, EMU_CMP);
	case ZYDIS_MNEMONIC_TEST:
		return lift_alu(d, i, EMU_TEST);
	case ZYDIS_MNEMONIC_INC:
		return lift_unary(d, i, EMU_INC);
	case ZYDIS_MNEMONIC_DEC:
		return lift_unary(d, i, EMU_DEC);
	case ZYDIS_MNEMONIC_NEG:
		return lift_unary(d, i, EMU_NEG);
	case ZYDIS_MNEMONIC_NOT:
		return lift_unary(d, i, EMU_NOT);
	case ZYDIS_MNEMONIC_ROL:
		return lift_shift(d, i, EMU_ROL);
	case ZYDIS_MNEMONIC_ROR:
		return lift_shift(d, i, EMU_ROR);
	case ZYDIS_MNEMONIC_RCL:
		return lift_shift(d, i, EMU_RCL);
	case ZYDIS_MNEMONIC_RCR:
		return lift_shift(d, i, EMU_RCR);
	case ZYDIS_MNEMONIC_SHL:
		return lift_shift(d, i, EMU_SHL);
	case ZYDIS_MNEMONIC_SHR:
		return lift_shift(d, i, EMU_SHR);
	case ZYDIS_MNEMONIC_SAR:
		return lift_shift(d, i, EMU_SAR);
	case ZYDIS_MNEMONIC_SHLD:
		return lift_double_shift(d, i, true);
	case ZYDIS_MNEMONIC_SHRD:
		return lift_double_shift(d, i, false);
	case ZYDIS_MNEMONIC_MUL:
		return lift_muldiv(d, i, 4);
	case ZYDIS_MNEMONIC_IMUL:
		return lift_muldiv(d, i, 5);
	case ZYDIS_MNEMONIC_DIV:
		return lift_muldiv(d, i, 6);
	case ZYDIS_MNEMONIC_IDIV:
		return lift_muldiv(d, i, 7);
	case ZYDIS_MNEMONIC_AAA:
		return set(i, emu_op_aaa);
	case ZYDIS_MNEMONIC_AAS:
		return set(i, emu_op_aas);
	case ZYDIS_MNEMONIC_AAM:
		return lift_adjust(d, i, emu_op_aam);
	case ZYDIS_MNEMONIC_AAD:
		return lift_adjust(d, i, emu_op_aad);
	case ZYDIS_MNEMONIC_DAA:
		return set(i, emu_op_daa);
	case ZYDIS_MNEMONIC_DAS:
		return set(i, emu_op_das);
	default:
		return false;
	}
}

static bool lift_bits(const struct emu_decoded *d, struct emu_insn *i)
{
	switch ((int)d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_BT:
		return lift_bit(d, i, EMU_BT);
	case ZYDIS_MNEMONIC_BTS:
		return lift_bit(d, i, EMU_BTS);
	case ZYDIS_MNEMONIC_BTR:
		return lift_bit(d, i, EMU_BTR);
	case ZYDIS_MNEMONIC_BTC:
		return lift_bit(d, i, EMU_BTC);
	case ZYDIS_MNEMONIC_BSF:
		return lift_count(d, i, EMU_BSF);
	case ZYDIS_MNEMONIC_BSR:
		return lift_count(d, i, EMU_BSR);
	case ZYDIS_MNEMONIC_TZCNT:
		return lift_count(d, i, EMU_TZCNT);
	case ZYDIS_MNEMONIC_LZCNT:
		return lift_count(d, i, EMU_LZCNT);
	case ZYDIS_MNEMONIC_POPCNT:
		return lift_count(d, i, EMU_POPCNT);
	case ZYDIS_MNEMONIC_CRC32:
		return lift_crc32(d, i);
	case ZYDIS_MNEMONIC_ADCX:
		return lift_adx(d, i, false);
	case ZYDIS_MNEMONIC_ADOX:
		return lift_adx(d, i, true);
	case ZYDIS_MNEMONIC_BSWAP:
		return lift_bswap(d, i);
	case ZYDIS_MNEMONIC_MOVBE:
		return lift_movbe(d, i);
	default:
		return false;
	}
}

static bool lift_moves(const struct emu_decoded *d, struct emu_insn *i)
{
	switch ((int)d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVNTI:
		return lift_mov(d, i);
	case ZYDIS_MNEMONIC_MOVZX:
		return lift_extend(d, i, false);
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return lift_extend(d, i, true);
	case ZYDIS_MNEMONIC_LEA:
		return lift_lea(d, i);
	case ZYDIS_MNEMONIC_XCHG:
		return lift_xchg(d, i);
	case ZYDIS_MNEMONIC_XADD:
		return lift_xadd(d, i, false);
	case ZYDIS_MNEMONIC_CMPXCHG:
		return lift_xadd(d, i, true);
	case ZYDIS_MNEMONIC_CMPXCHG8B:
		return set(i, emu_op_cmpxchg8b);
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		return set(i, emu_op_cmpxchg16b);
	case ZYDIS_MNEMONIC_PUSH:
		return lift_push(d, i);
	case ZYDIS_MNEMONIC_POP:
		return lift_pop(d, i);
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
		i->seg = X86_SS;
		i->osize = d->insn.mnemonic == ZYDIS_MNEMONIC_PUSHA ? 2 : 4;
		return set(i, emu_op_pusha);
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		i->seg = X86_SS;
		i->osize = d->insn.mnemonic == ZYDIS_MNEMONIC_POPA ? 2 : 4;
		return set(i, emu_op_popa);
	case ZYDIS_MNEMONIC_ENTER:
		return lift_enter(d, i);
	case ZYDIS_MNEMONIC_LEAVE:
		return lift_leave(d, i);
	case ZYDIS_MNEMONIC_CBW:
		return set(i, emu_op_cbw);
	case ZYDIS_MNEMONIC_CWDE:
		return set(i, emu_op_cwde);
	case ZYDIS_MNEMONIC_CDQE:
		return set(i, emu_op_cdqe);
	case ZYDIS_MNEMONIC_CWD:
		return set(i, emu_op_cwd);
	case ZYDIS_MNEMONIC_CDQ:
		return set(i, emu_op_cdq);
	case ZYDIS_MNEMONIC_CQO:
		return set(i, emu_op_cqo);
	case ZYDIS_MNEMONIC_XLAT:
		return lift_xlat(d, i);
	case ZYDIS_MNEMONIC_BOUND:
		return lift_bound(d, i);
	default:
		return false;
	}
}

static bool lift_branches(const struct emu_decoded *d, struct emu_insn *i)
{
	switch ((int)d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		return lift_jmp(d, i);
	case ZYDIS_MNEMONIC_CALL:
		return lift_call(d, i);
	case ZYDIS_MNEMONIC_RET:
		return lift_ret(d, i);
	case ZYDIS_MNEMONIC_LOOP:
		return lift_counted(d, i, emu_op_loop);
	case ZYDIS_MNEMONIC_LOOPE:
		return lift_counted(d, i, emu_op_loope);
	case ZYDIS_MNEMONIC_LOOPNE:
		return lift_counted(d, i, emu_op_loopne);
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JRCXZ:
		return lift_counted(d, i, emu_op_jcxz);
	default:
		return false;
	}
}

static bool lift_strings(const struct emu_decoded *d, struct emu_insn *i)
{
	switch ((int)d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
		return lift_string(d, i, EMU_MOVS, 1);
	case ZYDIS_MNEMONIC_MOVSW:
		return lift_string(d, i, EMU_MOVS, 2);
	case ZYDIS_MNEMONIC_MOVSD:
		return lift_string(d, i, EMU_MOVS, 4);
	case ZYDIS_MNEMONIC_MOVSQ:
		return lift_string(d, i, EMU_MOVS, 8);
	case ZYDIS_MNEMONIC_STOSB:
		return lift_string(d, i, EMU_STOS, 1);
	case ZYDIS_MNEMONIC_STOSW:
		return lift_string(d, i, EMU_STOS, 2);
	case ZYDIS_MNEMONIC_STOSD:
		return lift_string(d, i, EMU_STOS, 4);
	case ZYDIS_MNEMONIC_STOSQ:
		return lift_string(d, i, EMU_STOS, 8);
	case ZYDIS_MNEMONIC_LODSB:
		return lift_string(d, i, EMU_LODS, 1);
	case ZYDIS_MNEMONIC_LODSW:
		return lift_string(d, i, EMU_LODS, 2);
	case ZYDIS_MNEMONIC_LODSD:
		return lift_string(d, i, EMU_LODS, 4);
	case ZYDIS_MNEMONIC_LODSQ:
		return lift_string(d, i, EMU_LODS, 8);
	case ZYDIS_MNEMONIC_CMPSB:
		return lift_string(d, i, EMU_CMPS, 1);
	case ZYDIS_MNEMONIC_CMPSW:
		return lift_string(d, i, EMU_CMPS, 2);
	case ZYDIS_MNEMONIC_CMPSD:
		return lift_string(d, i, EMU_CMPS, 4);
	case ZYDIS_MNEMONIC_CMPSQ:
		return lift_string(d, i, EMU_CMPS, 8);
	case ZYDIS_MNEMONIC_SCASB:
		return lift_string(d, i, EMU_SCAS, 1);
	case ZYDIS_MNEMONIC_SCASW:
		return lift_string(d, i, EMU_SCAS, 2);
	case ZYDIS_MNEMONIC_SCASD:
		return lift_string(d, i, EMU_SCAS, 4);
	case ZYDIS_MNEMONIC_SCASQ:
		return lift_string(d, i, EMU_SCAS, 8);
	case ZYDIS_MNEMONIC_INSB:
		return lift_port_string(d, i, emu_op_ins, 1);
	case ZYDIS_MNEMONIC_INSW:
		return lift_port_string(d, i, emu_op_ins, 2);
	case ZYDIS_MNEMONIC_INSD:
		return lift_port_string(d, i, emu_op_ins, 4);
	case ZYDIS_MNEMONIC_OUTSB:
		return lift_port_string(d, i, emu_op_outs, 1);
	case ZYDIS_MNEMONIC_OUTSW:
		return lift_port_string(d, i, emu_op_outs, 2);
	case ZYDIS_MNEMONIC_OUTSD:
		return lift_port_string(d, i, emu_op_outs, 4);
	case ZYDIS_MNEMONIC_IN:
		return lift_port(d, i, false);
	case ZYDIS_MNEMONIC_OUT:
		return lift_port(d, i, true);
	default:
		return false;
	}
}

static bool lift_rest(const struct emu_decoded *d, struct emu_insn *i)
{
	switch ((int)d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_LAHF:
		return set(i, emu_op_lahf);
	case ZYDIS_MNEMONIC_SAHF:
		return set(i, emu_op_sahf);
	case ZYDIS_MNEMONIC_CLC:
		return set(i, emu_op_clc);
	case ZYDIS_MNEMONIC_STC:
		return set(i, emu_op_stc);
	case ZYDIS_MNEMONIC_CMC:
		return set(i, emu_op_cmc);
	case ZYDIS_MNEMONIC_CLD:
		return set(i, emu_op_cld);
	case ZYDIS_MNEMONIC_STD:
		return set(i, emu_op_std);
	case ZYDIS_MNEMONIC_SALC:
		return set(i, emu_op_salc);
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_ENDBR32:
	case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_PREFETCH:
	case ZYDIS_MNEMONIC_PREFETCHW:
	case ZYDIS_MNEMONIC_PREFETCHWT1:
	case ZYDIS_MNEMONIC_PREFETCHNTA:
	case ZYDIS_MNEMONIC_PREFETCHT0:
	case ZYDIS_MNEMONIC_PREFETCHT1:
	case ZYDIS_MNEMONIC_PREFETCHT2:
		return set(i, emu_op_nop);
	case ZYDIS_MNEMONIC_PAUSE:
		return set(i, emu_op_pause);
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
		return set(i, emu_op_fence);
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
		return set(i, emu_op_clflush);
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		i->flags |= EMU_I_END;
		return set(i, emu_op_ud);
	default:
		return false;
	}
}

/* CMOVcc, SETcc and Jcc by category: the condition is in the opcode. */
static bool lift_conditional(const struct emu_decoded *d, struct emu_insn *i)
{
	bool two_byte = d->insn.opcode_map == ZYDIS_OPCODE_MAP_0F;

	if (d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
		return false;
	}
	switch (d->insn.opcode & 0xf0) {
	case 0x40:
		return two_byte && lift_cmov(d, i);
	case 0x70:
		return d->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && lift_jcc(d, i);
	case 0x80:
		return two_byte && lift_jcc(d, i);
	case 0x90:
		return two_byte && lift_setcc(d, i);
	default:
		return false;
	}
}

bool emu_lift_int(const struct emu_decoded *d, struct emu_insn *i)
{
	if (d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
		return emu_lift_bmi(d, i);
	}
	return lift_conditional(d, i) || lift_moves(d, i) || lift_arithmetic(d, i) ||
	       lift_branches(d, i) || lift_bits(d, i) || lift_strings(d, i) || lift_rest(d, i);
}
