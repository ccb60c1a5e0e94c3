/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to struct emu_insn: Zydis decodes, the fields common to all groups are filled in here, then the lifters are asked. */
#include "decode.h"

#include <string.h>

#include "core.h"
#include "exec.h"

uint8_t emu_reg_number(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
		return (uint8_t)((reg - ZYDIS_REGISTER_AL) * 8);
	}
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		return (uint8_t)((reg - ZYDIS_REGISTER_AH) * 8 + 1);
	}
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
		return (uint8_t)((reg - ZYDIS_REGISTER_SPL + X86_RSP) * 8);
	}
	if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
		return (uint8_t)(reg - ZYDIS_REGISTER_AX);
	}
	if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
		return (uint8_t)(reg - ZYDIS_REGISTER_EAX);
	}
	if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
		return (uint8_t)(reg - ZYDIS_REGISTER_RAX);
	}
	if (reg == ZYDIS_REGISTER_IP || reg == ZYDIS_REGISTER_EIP || reg == ZYDIS_REGISTER_RIP) {
		return EMU_REG_BASE;
	}
	/* Segment registers: ES, CS, SS, DS, FS, GS in the order of enum x86_seg. */
	return reg == ZYDIS_REGISTER_NONE ? EMU_REG_NONE : (uint8_t)ZydisRegisterGetId(reg);
}

static bool init_decoder(ZydisDecoder *decoder, enum emu_mode mode)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[] = {
		[EMU_MODE_REAL] = {ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16},
		[EMU_MODE_16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
		[EMU_MODE_32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
		[EMU_MODE_64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
	};

	return ZYAN_SUCCESS(ZydisDecoderInit(decoder, modes[mode].machine, modes[mode].stack)) &&
	       ZYAN_SUCCESS(ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE)) &&
	       ZYAN_SUCCESS(ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE)) &&
	       ZYAN_SUCCESS(
		       ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE)) &&
	       ZYAN_SUCCESS(
		       ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE));
}

/* The last of F2 and F3 counts, whatever the instruction makes of it. */
static uint8_t repeat_flags(const ZydisDecodedInstruction *insn)
{
	uint8_t flags = 0;

	for (unsigned n = 0; n < insn->raw.prefix_count; n++) {
		if (insn->raw.prefixes[n].value == 0xf3) {
			flags = EMU_I_REP;
		} else if (insn->raw.prefixes[n].value == 0xf2) {
			flags = EMU_I_REPNE;
		}
	}
	return flags;
}

static void fill_memory(const struct emu_decoded *d, struct emu_insn *i)
{
	const ZydisDecodedOperandMem *mem = &d->mem->mem;
	int64_t disp = mem->disp.has_displacement ? mem->disp.value : 0;

	i->base = emu_reg_number(mem->base);
	if (d->insn.address_width >= 32 && (d->insn.attributes & ZYDIS_ATTRIB_HAS_SIB) &&
	    d->insn.raw.modrm.mod == 0 && (d->insn.raw.sib.base & 7) == 5) {
		/* No base, whatever REX.B says; Zydis 4.0 gives R13 with an address-size prefix. */
		i->base = EMU_REG_NONE;
		disp = d->insn.raw.disp.value;
	}
	i->index = emu_reg_number(mem->index);
	i->scale = mem->scale == 2 ? 1 : mem->scale == 4 ? 2 : mem->scale == 8 ? 3 : 0;
	i->seg = emu_reg_number(mem->segment);
	if (i->base == EMU_REG_BASE) {
		disp += i->offset + i->bytes;
		if (disp > INT32_MAX) {
			i->index = EMU_REG_4K;
			disp -= 4096;
		}
	}
	i->disp = (int32_t)disp;
	if (d->mode != EMU_MODE_64 || i->asize != 8 || i->seg >= X86_FS) {
		i->flags |= EMU_I_SLOWADDR;
	}
}

static bool lift(const struct emu_decoded *d, struct emu_insn *i)
{
	return emu_lift_int(d, i) || emu_lift_sys(d, i) || emu_lift_x87(d, i) ||
	       emu_lift_simd(d, i);
}

static bool is_cr8_lock(const ZydisDecodedInstruction *insn)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_MOV && insn->opcode_map == ZYDIS_OPCODE_MAP_0F;
}

static void fill(struct emu_decode_state *s, struct emu_decoded *d, struct emu_insn *i)
{
	const ZydisDecodedInstruction *insn = &d->insn;

	i->bytes = insn->length;
	i->asize = (uint8_t)(insn->address_width / 8);
	i->osize = (uint8_t)(insn->operand_width / 8);
	i->flags = repeat_flags(insn);
	if (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK) {
		i->flags |= EMU_I_LOCK;
	}
	for (unsigned n = 0; n < insn->operand_count_visible && d->mem == NULL; n++) {
		const ZydisDecodedOperand *op = &d->ops[n];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
			d->mem = op;
		}
	}
	if (d->mem != NULL) {
		fill_memory(d, i);
	}
	/* LOCK needs a destination in memory. */
	if (((i->flags & EMU_I_LOCK) && d->mem == NULL && !is_cr8_lock(insn)) || !lift(d, i)) {
		i->fn = emu_op_ud;
		i->flags |= EMU_I_END;
	}
	if (i->flags & EMU_I_EXIT) {
		s->exits++;
	}
}

enum emu_decode_result emu_decode(struct emu_decode_state *s, struct emu_insn *i)
{
	enum emu_mode mode = (enum emu_mode)s->vp->mode;
	struct emu_decoded d = {.code = s->code, .mode = mode, .vp = s->vp};
	ZydisDecoder decoder;
	ZyanStatus status;

	CHECK(init_decoder(&decoder, mode));
	*i = (struct emu_insn){.offset = s->offset,
			       .bytes = 1,
			       .base = EMU_REG_NONE,
			       .index = EMU_REG_NONE,
			       .seg = X86_DS};
	status = ZydisDecoderDecodeFull(&decoder, s->code, s->available, &d.insn, d.ops);
	if (status == ZYDIS_STATUS_NO_MORE_DATA && s->available < 15) {
		return EMU_DECODE_MORE;
	}
	if (ZYAN_SUCCESS(status)) {
		fill(s, &d, i);
		return EMU_DECODE_OK;
	}
	i->fn = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA
			? emu_op_too_long
			: emu_op_ud;
	i->flags = EMU_I_END;
	return EMU_DECODE_OK;
}
