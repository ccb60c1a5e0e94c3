// SPDX-License-Identifier: Apache-2.0
/*
 * Several integer instructions on registers in a row: what one leaves in the flags is what the next one finds, over conditional branches
 * too. Only instructions that leave nothing open but AF take part, and nothing that looks at AF after it became open.
 */
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"
#include "x86/arch.h"

#define SEQUENCE_BYTES (ORACLE_SLOT_BYTES - ORACLE_SLOT_START - 1)

static bool looks_at_af(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_LAHF:
	case ZYDIS_MNEMONIC_AAA:
	case ZYDIS_MNEMONIC_AAS:
	case ZYDIS_MNEMONIC_DAA:
	case ZYDIS_MNEMONIC_DAS:
		return true;
	default:
		return false;
	}
}

static bool on_registers(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count; i++) {
		bool cl = ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			  ops[i].reg.value == ZYDIS_REGISTER_CL && i > 0;

		if ((ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		     ops[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN) ||
		    (cl && insn->meta.category == ZYDIS_CATEGORY_SHIFT) ||
		    (cl && insn->meta.category == ZYDIS_CATEGORY_ROTATE)) {
			return false;
		}
	}
	return true;
}

/* May it stand in a sequence? *ret_af: it leaves AF open. */
static bool fits(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
		 const ZydisDecodedOperand *ops, bool *ret_af)
{
	struct oracle_open open;
	bool none = true;

	if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
	    (insn->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0 || !on_registers(insn, ops) ||
	    insn->mnemonic == ZYDIS_MNEMONIC_UD2 || insn->mnemonic == ZYDIS_MNEMONIC_WRFSBASE ||
	    insn->mnemonic == ZYDIS_MNEMONIC_WRGSBASE || insn->mnemonic == ZYDIS_MNEMONIC_AAM ||
	    insn->meta.category == ZYDIS_CATEGORY_IO) {
		return false;
	}
	oracle_open_get(c, insn, ops, &open);
	for (unsigned i = 0; i < 16; i++) {
		none = none && open.gpr[i] == 0;
	}
	*ret_af = open.rflags == X86_AF;
	return none && (open.rflags & ~(uint64_t)X86_AF) == 0 && !open.memory;
}

/* Appends one instruction that fits to buf; its length, or 0 when none was found that still has room. */
static unsigned append(const struct oracle_gen *gen, struct oracle_rng *rng,
		       const struct oracle_case *c, uint8_t *at, unsigned room, bool *af)
{
	for (unsigned attempt = 0; attempt < 64; attempt++) {
		const struct oracle_form *f = oracle_pick_form(gen->forms, rng);
		ZydisDecodedInstruction insn;
		ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
		uint8_t buf[40];
		bool opens;

		if (f->group != ORACLE_INT) {
			continue;
		}
		oracle_put_code(gen, f, rng, buf);
		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&gen->decoder, buf, 15, &insn, ops)) &&
		    insn.length <= room && oracle_acceptable(gen->forms, gen->mode, &insn, ops) &&
		    fits(c, &insn, ops, &opens) &&
		    !(gen->below_qemu && oracle_emulated_wrong(c, &insn, ops)) &&
		    !(*af && looks_at_af(insn.mnemonic))) {
			*af = *af || opens;
			memcpy(at, buf, insn.length);
			return insn.length;
		}
	}
	return 0;
}

bool oracle_sequence(const struct oracle_gen *gen, struct oracle_rng *rng, struct oracle_case *c)
{
	unsigned wanted = 2 + oracle_below(rng, 6), n = 0;
	bool af = false;

	c->instructions = 0;
	while (c->instructions < wanted && n < SEQUENCE_BYTES) {
		bool branch =
			c->instructions > 0 && oracle_percent(rng, 20) && SEQUENCE_BYTES - n > 4;
		unsigned at = n + (branch ? 2 : 0);
		unsigned bytes = append(gen, rng, c, c->code + at, SEQUENCE_BYTES - at, &af);

		if (bytes == 0) {
			break;
		}
		if (branch) { /* a conditional jump over it */
			c->code[n] = (uint8_t)(0x70 | oracle_below(rng, 16));
			c->code[n + 1] = (uint8_t)bytes;
			c->instructions++;
		}
		c->instructions++;
		n = at + bytes;
	}
	c->length = (uint8_t)n;
	return c->instructions >= 2;
}
