/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the handlers of MMX, SSE..SSE4.2, AES, PCLMULQDQ, SHA, FXSAVE, XSAVE and MXCSR
 * instructions. */
#include "decode.h"
#include "simd.h"

uint32_t emu_simd_host_features(void)
{
	return (__builtin_cpu_supports("sse3") ? EMU_SIMD_SSE3 : 0) |
	       (__builtin_cpu_supports("ssse3") ? EMU_SIMD_SSSE3 : 0) |
	       (__builtin_cpu_supports("sse4.1") ? EMU_SIMD_SSE41 : 0) |
	       (__builtin_cpu_supports("sse4.2") ? EMU_SIMD_SSE42 : 0) |
	       (__builtin_cpu_supports("aes") ? EMU_SIMD_AES : 0) |
	       (__builtin_cpu_supports("pclmul") ? EMU_SIMD_PCLMUL : 0) | EMU_SIMD_SHA;
}

/* The group's bit, 0 for those that every host has. */
static uint32_t group_needed(ZydisISASet set)
{
	switch (set) { /* NOLINT */
	case ZYDIS_ISA_SET_SSE3:
	case ZYDIS_ISA_SET_SSE3X87:
		return EMU_SIMD_SSE3;
	case ZYDIS_ISA_SET_SSSE3:
	case ZYDIS_ISA_SET_SSSE3MMX:
		return EMU_SIMD_SSSE3;
	case ZYDIS_ISA_SET_SSE4:
		return EMU_SIMD_SSE41;
	case ZYDIS_ISA_SET_SSE42:
		return EMU_SIMD_SSE42;
	case ZYDIS_ISA_SET_AES:
		return EMU_SIMD_AES;
	case ZYDIS_ISA_SET_PCLMULQDQ:
		return EMU_SIMD_PCLMUL;
	case ZYDIS_ISA_SET_SHA:
		return EMU_SIMD_SHA;
	default:
		return 0;
	}
}

static bool is_general(const ZydisDecodedOperand *op)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(op->reg.value);

	return class >= ZYDIS_REGCLASS_GPR8 && class <= ZYDIS_REGCLASS_GPR64;
}

/* Full registers, also where the decoder names a byte register (PINSRB, PEXTRB). */
static uint8_t register_number(const ZydisDecodedOperand *op)
{
	ZydisRegister reg = op->reg.value;

	return is_general(op) ? (uint8_t)ZydisRegisterGetId(reg) : emu_reg_number(reg);
}

static bool has_mm(const struct emu_decoded *d)
{
	for (unsigned n = 0; n < d->insn.operand_count_visible; n++) {
		if (d->ops[n].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(d->ops[n].reg.value) == ZYDIS_REGCLASS_MMX) {
			return true;
		}
	}
	return false;
}

static void operands_fill(const struct emu_decoded *d, struct emu_insn *i)
{
	for (unsigned n = 0; n < d->insn.operand_count_visible; n++) {
		const ZydisDecodedOperand *op = &d->ops[n];

		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && n == 0) {
			i->rd = register_number(op);
		} else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && n == 1) {
			i->rs = register_number(op);
		} else if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			i->imm = op->imm.value.u & 0xff;
		}
	}
}

/* Is the integer operand (either of the two) 64 bits wide? */
static bool wide_general(const struct emu_decoded *d)
{
	for (unsigned n = 0; n < 2; n++) {
		if (d->ops[n].type == ZYDIS_OPERAND_TYPE_REGISTER && is_general(&d->ops[n])) {
			return d->ops[n].size == 64;
		}
	}
	/* CVTSI2SS/SD from memory. */
	return d->mem != NULL && d->mem->size == 64;
}

static bool lift_shift(const struct emu_decoded *d, struct emu_insn *i, bool mm)
{
	emu_fn *fn;

	if (d->insn.operand_count_visible != 2 || d->ops[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		return false;
	}
	fn = mm ? simd_find_mmx_shift(d->insn.mnemonic) : simd_find_int_shift(d->insn.mnemonic);
	if (fn == NULL) {
		return false;
	}
	i->fn = fn;
	return true;
}

static const struct simd_pair *find_pair(const struct emu_decoded *d, bool mm)
{
	ZydisMnemonic mnemonic = d->insn.mnemonic;
	const struct simd_pair *pair = simd_find_cvt(mnemonic, wide_general(d));

	if (pair != NULL) {
		return pair;
	}
	if (mm || mnemonic == ZYDIS_MNEMONIC_EMMS) {
		return simd_find_mmx(mnemonic);
	}
	pair = simd_find_int(mnemonic);
	pair = pair != NULL ? pair : simd_find_fp(mnemonic);
	pair = pair != NULL ? pair : simd_find_ssse3(mnemonic);
	return pair != NULL ? pair : simd_find_sha(mnemonic);
}

bool emu_lift_simd(const struct emu_decoded *d, struct emu_insn *i)
{
	const struct simd_pair *pair;
	bool mm = has_mm(d);
	emu_fn *fn;

	if (d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    d->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ||
	    (group_needed(d->insn.meta.isa_set) & ~emu_simd_host_features())) {
		return false;
	}
	operands_fill(d, i);
	if (simd_lift_state(d, i) || simd_lift_move(d, i) || lift_shift(d, i, mm) ||
	    (!mm && simd_lift_imm(d, i)) || simd_lift_string(d, i)) {
		return true;
	}
	pair = find_pair(d, mm);
	if (pair == NULL) {
		return false;
	}
	fn = d->mem != NULL ? pair->rm : pair->rr;
	if (fn == NULL) {
		return false;
	}
	i->fn = fn;
	return true;
}
