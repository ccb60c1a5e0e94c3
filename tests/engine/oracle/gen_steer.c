// SPDX-License-Identifier: Apache-2.0
/*
 * Points memory operands and branch targets of a random instruction where both sides have the same memory: mostly into the middle
 * window, sometimes across a page boundary or where the access must fault.
 */
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"
#include "x86/arch.h"

struct steer {
	const struct oracle_gen *gen;
	struct oracle_rng *rng;
	struct oracle_case *c;
	const ZydisDecodedInstruction *insn;
	const ZydisDecodedOperand *ops;
	uint32_t fixed; /* general registers that already have a meaning */
};

static int gpr_number(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR16:
		return ZydisRegisterGetId(reg);
	default:
		return -1;
	}
}

static bool is_16(const ZydisDecodedInstruction *insn)
{
	return insn->machine_mode == ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
}

static uint64_t segment_base(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			     const ZydisDecodedOperand *op)
{
	switch (op->mem.segment) {
	case ZYDIS_REGISTER_FS:
		return c->in.fs_base;
	case ZYDIS_REGISTER_GS:
		return c->in.gs_base;
	case ZYDIS_REGISTER_CS:
		return is_16(insn) ? ORACLE_CODE : 0;
	case ZYDIS_REGISTER_DS:
	case ZYDIS_REGISTER_ES:
		return is_16(insn) ? ORACLE_DATA : 0;
	default:
		return 0; /* the stack is flat in all modes */
	}
}

/* PUSH and the like: they go by the size of the stack segment, which is never 16 bits here. */
static bool is_stack_access(const ZydisDecodedOperand *op)
{
	int base = gpr_number(op->mem.base);

	return op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
	       (base == X86_RSP || base == X86_RBP);
}

static uint64_t address_mask(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *op)
{
	if (insn->address_width == 16) {
		return is_stack_access(op) ? UINT32_MAX : 0xffff;
	}
	return insn->address_width == 32 ? UINT32_MAX : UINT64_MAX;
}

/* Displacements may have been patched since the bytes were decoded: they are read from the code again. */
static uint64_t displacement(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			     const ZydisDecodedOperand *op)
{
	const uint8_t *at = c->code + (c->bad_lock ? 1 : 0) + insn->raw.disp.offset;

	if (op->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT || insn->raw.disp.size < 16) {
		return (uint64_t)op->mem.disp.value;
	}
	if (insn->raw.disp.size == 16) {
		return (uint64_t)(int64_t)(int16_t)load_le16(at);
	}
	return insn->raw.disp.size == 64 ? load_le64(at)
					 : (uint64_t)(int64_t)(int32_t)load_le32(at);
}

uint64_t oracle_effective(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			  const ZydisDecodedOperand *op)
{
	int base = gpr_number(op->mem.base), index = gpr_number(op->mem.index);
	uint64_t at = displacement(c, insn, op);

	if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP) {
		at += c->address + insn->length;
	}
	at += base >= 0 ? c->in.gpr[base] : 0;
	at += index >= 0 ? c->in.gpr[index] * (op->mem.scale == 0 ? 1 : op->mem.scale) : 0;
	return (at & address_mask(insn, op)) + segment_base(c, insn, op);
}

/* Sets the part of a register that an address of the instruction's address size uses. */
static void reg_put(struct steer *s, int reg, uint64_t value)
{
	uint64_t *r = &s->c->in.gpr[reg];

	if (s->insn->address_width == 16 && value <= 0xffff && reg != X86_RSP) {
		*r = (*r & ~UINT64_C(0xffff)) | value;
	} else if (s->insn->address_width == 32 && s->gen->mode == 64 && value <= UINT32_MAX &&
		   reg != X86_RSP) {
		*r = (*r & ~(uint64_t)UINT32_MAX) | value;
	} else {
		*r = s->gen->mode != 64 ? (uint32_t)value : value;
	}
	s->fixed |= BIT32(reg);
}

static uint64_t pick_middle(struct steer *s, uint32_t bytes)
{
	uint32_t first = ORACLE_MID - 448, room = 896 > bytes ? 896 - bytes : 1;
	uint64_t at = first + oracle_below(s->rng, room);

	if (bytes >= 512) {
		at = ORACLE_MID - 512 + 16 * oracle_below(s->rng, 33);
		return oracle_percent(s->rng, 95) ? at : at + 1;
	}
	if (oracle_percent(s->rng, 15)) {
		return ORACLE_MID -
		       oracle_below(s->rng, bytes + 2); /* across the boundary, or touching it */
	}
	if (bytes >= 16) {
		return oracle_percent(s->rng, 85) ? align_down(at, 16) : at;
	}
	return oracle_percent(s->rng, 60) ? at - at % bytes : at;
}

/* @may_be_far: the register can hold any 64-bit value. */
static uint64_t pick_target(struct steer *s, uint32_t bytes, bool may_be_far)
{
	uint32_t r = oracle_below(s->rng, 100), span = bytes > 255 ? 255 : bytes;

	switch (r) {
	case 0:
	case 1:
	case 2:
		return ORACLE_RO - oracle_below(s->rng, span) - 1; /* the end of what is writable */
	case 3:
		return ORACLE_RW - oracle_below(s->rng, span + 1);
	case 4:
	case 5:
		return ORACLE_RO + 16 * oracle_below(s->rng, 128);
	case 6:
		return ORACLE_GAP - oracle_below(s->rng, span + 1);
	case 7:
		return ORACLE_GAP + oracle_below(s->rng, 0x1000);
	case 8:
		if (may_be_far) { /* not canonical with four or five levels */
			return (UINT64_C(0x4000) << 48) | (oracle_random(s->rng) >> 8);
		}
		return ORACLE_CODE_END + oracle_below(s->rng, 0x1000);
	default:
		return pick_middle(s, bytes);
	}
}

static void patch_disp(struct steer *s, uint64_t value)
{
	const ZydisDecodedInstruction *insn = s->insn;

	if (insn->raw.disp.size >= 16) {
		memcpy(s->c->code + insn->raw.disp.offset, &value, insn->raw.disp.size / 8u);
	}
}

static uint32_t operand_bytes(const ZydisDecodedOperand *op)
{
	uint32_t bytes = op->size / 8u;

	return bytes == 0 ? 1 : bytes;
}

/* Base and index registers such that base + index * scale + disp is @target. */
static void solve(struct steer *s, const ZydisDecodedOperand *op, uint64_t target)
{
	int base = gpr_number(op->mem.base), index = gpr_number(op->mem.index);
	uint64_t disp = (uint64_t)op->mem.disp.value, mask = address_mask(s->insn, op);
	uint64_t scale = op->mem.scale == 0 ? 1 : op->mem.scale;

	if (base < 0 && index >= 0) {
		uint64_t want = (target - disp) & mask;

		if ((s->fixed & BIT32(index)) == 0) {
			reg_put(s, index, (want / scale) & mask);
		}
		return;
	}
	if (index >= 0 && index != base && (s->fixed & BIT32(index)) == 0 &&
	    oracle_percent(s->rng, 70)) {
		reg_put(s, index, (uint64_t)(int64_t)(int8_t)oracle_random(s->rng) & mask);
	}
	if (base >= 0 && (s->fixed & BIT32(base)) == 0) {
		uint64_t rest = (target - disp) & mask;

		if (index == base) {
			reg_put(s, base, (rest / (scale + 1)) & mask);
		} else {
			uint64_t by = index >= 0 ? s->c->in.gpr[index] * scale : 0;

			reg_put(s, base, (rest - by) & mask);
			s->fixed |= index >= 0 ? BIT32(index) : 0;
		}
	}
}

static void steer_memory(struct steer *s, const ZydisDecodedOperand *op, uint32_t bytes)
{
	bool has_reg = gpr_number(op->mem.base) >= 0 || gpr_number(op->mem.index) >= 0;
	bool far = has_reg && s->insn->address_width == 64;
	uint64_t target = pick_target(s, bytes, far) - segment_base(s->c, s->insn, op);

	if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP) {
		patch_disp(s, target - (s->c->address + s->insn->length));
	} else if (!has_reg) {
		patch_disp(s, target);
	} else {
		solve(s, op, target);
	}
}

static bool patch_operand(struct steer *s, const ZydisDecodedOperand *op, const void *data,
			  uint32_t bytes)
{
	return oracle_patch_add(s->c, oracle_effective(s->c, s->insn, op), data, bytes);
}

static const ZydisDecodedOperand *memory_operand(const struct steer *s)
{
	for (unsigned i = 0; i < s->insn->operand_count; i++) {
		if (s->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    s->ops[i].mem.type == ZYDIS_MEMOP_TYPE_MEM) {
			return &s->ops[i];
		}
	}
	return NULL;
}

static uint32_t code_base(const struct steer *s)
{
	return is_16(s->insn) ? ORACLE_CODE : 0;
}

/* An offset in the code segment: an address in the case's own slot that holds INT3. */
static uint64_t trap_address(struct steer *s)
{
	uint32_t slot = s->c->address & ~(ORACLE_SLOT_BYTES - 1);
	uint32_t end = s->c->address + s->insn->length;

	if (end >= slot + ORACLE_SLOT_BYTES || oracle_percent(s->rng, 40)) {
		return slot - code_base(s) + oracle_below(s->rng, s->c->address - slot);
	}
	return end - code_base(s) + oracle_below(s->rng, slot + ORACLE_SLOT_BYTES - end);
}

/* False: the target would be whatever memory holds, or the code of another case. */
static bool steer_branch(struct steer *s)
{
	uint64_t trap = oracle_percent(s->rng, 97) ? trap_address(s)
						   : ORACLE_GAP + oracle_below(s->rng, 4096);
	const ZydisDecodedOperand *mem = memory_operand(s);

	if (s->insn->raw.imm[0].is_relative) {
		uint64_t rel = trap_address(s) - (s->c->address - code_base(s) + s->insn->length);

		memcpy(s->c->code + s->insn->raw.imm[0].offset, &rel,
		       s->insn->raw.imm[0].size / 8u);
	} else if (s->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		   s->ops[0].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
		int reg = gpr_number(s->ops[0].reg.value);

		if (reg >= 0 && (s->fixed & BIT32(reg)) == 0) {
			s->c->in.gpr[reg] = trap;
			s->fixed |= BIT32(reg);
		} else if (is_16(s->insn)) {
			return false; /* CALL SP: a stack's offset is also one of another case's code */
		}
	} else if (mem != NULL) {
		uint64_t at = oracle_effective(s->c, s->insn, mem);
		bool readable = at > ORACLE_RW - 8 && at < ORACLE_GAP;

		return patch_operand(s, mem, &trap, s->gen->mode / 8) || !readable;
	}
	return true;
}

static void steer_bit_offset(struct steer *s)
{
	const ZydisDecodedOperand *src = &s->ops[1];
	int reg = src->type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_number(src->reg.value) : -1;

	if (s->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY && reg >= 0 &&
	    (s->fixed & BIT32(reg)) == 0) {
		int64_t offset = (int64_t)oracle_below(s->rng, 2048) - 1024;

		s->c->in.gpr[reg] = s->gen->mode == 64 ? (uint64_t)offset : (uint32_t)offset;
		if (s->insn->operand_width == 16 && oracle_percent(s->rng, 50)) {
			s->c->in.gpr[reg] ^= UINT64_C(0xabcd0000);
		}
		s->fixed |= BIT32(reg);
	}
}

/* Most random dividends overflow: make two of three divisions possible. */
static void steer_division(struct steer *s)
{
	uint64_t *r = s->c->in.gpr;

	if (oracle_percent(s->rng, 35)) {
		return;
	}
	if (s->insn->operand_width == 8) {
		r[X86_RAX] &= ~UINT64_C(0xff80);
	} else if ((s->fixed & BIT32(X86_RDX)) == 0) {
		r[X86_RDX] = 0;
		if (s->insn->mnemonic == ZYDIS_MNEMONIC_IDIV && oracle_percent(s->rng, 50)) {
			unsigned top = s->insn->operand_width - 1u;

			r[X86_RDX] = ((r[X86_RAX] >> top) & 1) != 0 ? UINT64_MAX : 0;
			r[X86_RDX] = s->gen->mode != 64 ? (uint32_t)r[X86_RDX] : r[X86_RDX];
		} else if (oracle_percent(s->rng, 50)) {
			r[X86_RDX] = oracle_below(s->rng, 4);
		}
	}
}

static void steer_compare_exchange(struct steer *s)
{
	const ZydisDecodedOperand *mem = memory_operand(s);
	uint64_t pair[2] = {s->c->in.gpr[X86_RAX], s->c->in.gpr[X86_RDX]};

	if (oracle_percent(s->rng, 50)) {
		return;
	}
	if (s->insn->mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B) {
		pair[0] = (uint32_t)pair[0] | pair[1] << 32;
	}
	if (mem != NULL) {
		(void)patch_operand(s, mem, pair, operand_bytes(mem));
	} else if (s->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		   gpr_number(s->ops[0].reg.value) >= 0) {
		s->c->in.gpr[gpr_number(s->ops[0].reg.value)] = pair[0];
	}
}

static void steer_fp_memory(struct steer *s, const ZydisDecodedOperand *mem)
{
	uint8_t value[32] = {0};
	uint32_t mxcsr = 0x1f80 | (oracle_below(s->rng, 4) << 13) | oracle_below(s->rng, 64);

	switch (s->insn->mnemonic) {
	case ZYDIS_MNEMONIC_FLD:
		if (mem->size == 80) {
			oracle_value_f80(s->rng, value);
			(void)patch_operand(s, mem, value, 10);
		}
		break;
	case ZYDIS_MNEMONIC_FBLD:
		oracle_value_bcd(s->rng, value);
		(void)patch_operand(s, mem, value, 10);
		break;
	case ZYDIS_MNEMONIC_LDMXCSR:
		/* Bit 17 exists on one vendor's processors. */
		mxcsr |= oracle_percent(s->rng, 15) ? 0x80000000u : 0;
		(void)patch_operand(s, mem, &mxcsr, 4);
		break;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		memcpy(value, s->c->in.fx, 24);
		store_le32(value + FX_MXCSR,
			   oracle_percent(s->rng, 90) ? mxcsr : mxcsr | 0x80000000u);
		store_le32(value + FX_MXCSR_MASK, 0);
		(void)patch_operand(s, mem, value, 32);
		break;
	default:
		break;
	}
}

/* ENTER reads and writes a run of words around RBP and RSP. */
static void steer_enter(struct steer *s)
{
	uint64_t *r = s->c->in.gpr;

	r[X86_RSP] = ORACLE_MID + 200 + oracle_below(s->rng, 200);
	r[X86_RBP] = ORACLE_MID + 200 + oracle_below(s->rng, 200);
	if (oracle_percent(s->rng, 70)) {
		r[X86_RSP] &= ~UINT64_C(7);
		r[X86_RBP] &= ~UINT64_C(7);
	}
	if (oracle_percent(s->rng, 80)) {
		s->c->code[s->insn->raw.imm[0].offset + 1] = 0;
	}
}

static void steer_count(struct steer *s)
{
	if ((s->insn->attributes &
	     (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0) {
		uint64_t count = oracle_below(s->rng, oracle_percent(s->rng, 90) ? 20 : 200);

		reg_put(s, X86_RCX, count);
	}
}

static void steer_special(struct steer *s)
{
	const ZydisDecodedOperand *mem = memory_operand(s);

	switch (s->insn->mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		steer_bit_offset(s);
		break;
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
		steer_division(s);
		break;
	case ZYDIS_MNEMONIC_CMPXCHG:
	case ZYDIS_MNEMONIC_CMPXCHG8B:
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		steer_compare_exchange(s);
		break;
	case ZYDIS_MNEMONIC_XLAT:
		s->c->in.gpr[X86_RBX] -= s->c->in.gpr[X86_RAX] & 0xff;
		if (s->gen->mode != 64) {
			s->c->in.gpr[X86_RBX] = (uint32_t)s->c->in.gpr[X86_RBX];
		}
		break;
	default:
		if (mem != NULL) {
			steer_fp_memory(s, mem);
		}
		break;
	}
}

static uint32_t access_bytes(const struct steer *s, const ZydisDecodedOperand *op)
{
	switch (s->insn->mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		return 512;
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		return 32;
	default:
		return operand_bytes(op);
	}
}

bool oracle_steer(const struct oracle_gen *gen, struct oracle_rng *rng, struct oracle_case *c,
		  const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	struct steer s = {gen, rng, c, insn, ops, 0};

	if (insn->mnemonic == ZYDIS_MNEMONIC_ENTER) {
		steer_enter(&s);
		return true;
	}
	steer_count(&s);
	for (unsigned i = 0; i < insn->operand_count; i++) {
		const ZydisDecodedOperand *op = &ops[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM) {
			bool xlat = insn->mnemonic == ZYDIS_MNEMONIC_XLAT;
			ZydisDecodedOperand plain = *op;

			plain.mem.index = xlat ? ZYDIS_REGISTER_NONE : op->mem.index;
			steer_memory(&s, &plain, access_bytes(&s, op));
		}
	}
	if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) {
		return steer_branch(&s);
	}
	steer_special(&s);
	return true;
}
