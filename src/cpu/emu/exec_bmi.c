/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BMI1 and BMI2: general registers with VEX encoding. One handler works on the operation in osize's upper bits; these are rare enough.
 * rd destination, rs second source (or the first destination of MULX), the other source in memory or in register aux; imm of RORX.
 */
#include "decode.h"
#include "exec.h"

enum bmi {
	BMI_ANDN,
	BMI_BEXTR,
	BMI_BLSI,
	BMI_BLSMSK,
	BMI_BLSR,
	BMI_BZHI,
	BMI_MULX,
	BMI_PDEP,
	BMI_PEXT,
	BMI_RORX,
	BMI_SARX,
	BMI_SHLX,
	BMI_SHRX,
	BMI_NONE,
};

#define OPERATION_SHIFT 8 /* in aux, above the register number */

static void flags(struct emu_vp *vp, unsigned bits, uint64_t result, bool cf)
{
	emu_flags_result(vp, bits, result, cf, false, false);
}

static uint64_t deposit(uint64_t source, uint64_t mask)
{
	uint64_t result = 0;

	for (; mask != 0; mask &= mask - 1, source >>= 1) {
		result |= (source & 1) ? mask & (0 - mask) : 0;
	}
	return result;
}

static uint64_t extract(uint64_t source, uint64_t mask)
{
	uint64_t result = 0;

	for (unsigned n = 0; mask != 0; mask &= mask - 1, n++) {
		result |= (source & mask & (0 - mask)) ? BIT64(n) : 0;
	}
	return result;
}

static uint64_t bit_field(uint64_t source, uint64_t control)
{
	unsigned start = control & 0xff, length = (control >> 8) & 0xff;

	if (start >= 64 || length == 0) {
		return 0;
	}
	source >>= start;
	return length >= 64 ? source : source & (BIT64(length) - 1);
}

/* @s: source that may be in memory; @t: the other one. Both zero-extended. */
static uint64_t compute(struct emu_vp *vp, const struct emu_insn *i, enum bmi op, unsigned bits,
			uint64_t s, uint64_t t)
{
	uint64_t mask = bits == 64 ? ~UINT64_C(0) : 0xffffffffu, r;
	unsigned n = (unsigned)t & (bits - 1);

	switch (op) {
	case BMI_ANDN:
		r = ~t & s & mask;
		flags(vp, bits, r, false);
		return r;
	case BMI_BEXTR:
		r = bit_field(s, t);
		flags(vp, bits, r, false);
		return r;
	case BMI_BLSI:
		r = s & (0 - s);
		flags(vp, bits, r, s != 0);
		return r;
	case BMI_BLSMSK:
		r = (s ^ (s - 1)) & mask;
		flags(vp, bits, r, s == 0);
		return r;
	case BMI_BLSR:
		r = s & (s - 1) & mask;
		flags(vp, bits, r, s == 0);
		return r;
	case BMI_BZHI:
		r = (t & 0xff) < bits ? s & (BIT64(t & 0xff) - 1) : s;
		flags(vp, bits, r, (t & 0xff) >= bits);
		return r;
	case BMI_PDEP:
		return deposit(t, s);
	case BMI_PEXT:
		return extract(t, s);
	case BMI_RORX:
		n = (unsigned)i->imm & (bits - 1);
		return n == 0 ? s : (s >> n | s << (bits - n)) & mask;
	case BMI_SARX:
		return (uint64_t)((int64_t)emu_sign_extend(s, bits) >> n) & mask;
	case BMI_SHLX:
		return (s << n) & mask;
	case BMI_SHRX:
		return s >> n;
	case BMI_MULX:
	case BMI_NONE:
	default:
		return s;
	}
}

static void multiply(struct emu_vp *vp, const struct emu_insn *i, unsigned bits, uint64_t s)
{
	unsigned __int128 product = (unsigned __int128)s * emu_reg_read(vp, bits, X86_RDX);

	/* The high half wins when both destinations are the same. */
	emu_reg_write(vp, bits, i->rs, (uint64_t)product);
	emu_reg_write(vp, bits, i->rd, (uint64_t)(product >> bits));
}

static const struct emu_insn *finish(struct emu_vp *vp, const struct emu_insn *i, uint64_t s)
{
	enum bmi op = (enum bmi)(i->aux >> OPERATION_SHIFT);
	unsigned bits = 8u * i->osize;

	if (op == BMI_MULX) {
		multiply(vp, i, bits, s);
	} else {
		emu_reg_write(vp, bits, i->rd,
			      compute(vp, i, op, bits, s, emu_reg_read(vp, bits, i->rs)));
	}
	EMU_NEXT(vp, i);
}

static EMU_OP(op_register)
{
	return finish(vp, i, emu_reg_read(vp, 8u * i->osize, (uint8_t)i->aux));
}

static EMU_OP(op_memory)
{
	uint64_t la;

	if (!emu_address(vp, i, i->osize, HV_ACCESS_READ, &la) ||
	    !emu_load_slow(vp, la, i->osize)) {
		return emu_leave(vp, i);
	}
	return finish(vp, i, vp->slow);
}

static enum bmi operation(ZydisMnemonic mnemonic)
{
	switch ((int)mnemonic) {
	case ZYDIS_MNEMONIC_ANDN:
		return BMI_ANDN;
	case ZYDIS_MNEMONIC_BEXTR:
		return BMI_BEXTR;
	case ZYDIS_MNEMONIC_BLSI:
		return BMI_BLSI;
	case ZYDIS_MNEMONIC_BLSMSK:
		return BMI_BLSMSK;
	case ZYDIS_MNEMONIC_BLSR:
		return BMI_BLSR;
	case ZYDIS_MNEMONIC_BZHI:
		return BMI_BZHI;
	case ZYDIS_MNEMONIC_MULX:
		return BMI_MULX;
	case ZYDIS_MNEMONIC_PDEP:
		return BMI_PDEP;
	case ZYDIS_MNEMONIC_PEXT:
		return BMI_PEXT;
	case ZYDIS_MNEMONIC_RORX:
		return BMI_RORX;
	case ZYDIS_MNEMONIC_SARX:
		return BMI_SARX;
	case ZYDIS_MNEMONIC_SHLX:
		return BMI_SHLX;
	case ZYDIS_MNEMONIC_SHRX:
		return BMI_SHRX;
	default:
		return BMI_NONE;
	}
}

/* Which operand is the one that may be in memory: the last of ANDN, MULX, PDEP, PEXT and the two-operand ones, else the second. */
static unsigned source_index(const struct emu_decoded *d, enum bmi op)
{
	return d->insn.operand_count_visible == 3 && (op == BMI_ANDN || op == BMI_MULX ||
						      op == BMI_PDEP || op == BMI_PEXT)
		       ? 2
		       : 1;
}

bool emu_lift_bmi(const struct emu_decoded *d, struct emu_insn *i)
{
	enum bmi op = operation(d->insn.mnemonic);
	unsigned source = source_index(d, op), other = source == 2 ? 1 : 2;

	if (op == BMI_NONE || d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) {
		return false;
	}
	i->osize = (uint8_t)(d->ops[0].size / 8);
	i->rd = emu_reg_number(d->ops[0].reg.value);
	i->rs = i->rd;
	i->aux = (uint64_t)op << OPERATION_SHIFT;
	if (op == BMI_RORX) {
		i->imm = d->ops[2].imm.value.u;
	} else if (d->insn.operand_count_visible == 3) {
		i->rs = emu_reg_number(d->ops[other].reg.value);
	}
	if (d->ops[source].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		i->aux |= emu_reg_number(d->ops[source].reg.value);
		i->fn = op_register;
	} else {
		i->fn = op_memory;
	}
	return true;
}
