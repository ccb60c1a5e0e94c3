/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the handlers of system instructions. */
#include "decode.h"
#include "exec_sys.h"

/* Instructions whose only operand, if any, is a register or memory in rd, or an immediate in imm. */
struct simple {
	ZydisMnemonic mnemonic;
	emu_fn *fn;
	bool end; /* of the block */
};

static const struct simple simple[] = {
	{ZYDIS_MNEMONIC_VERR, emu_op_verr, false},
	{ZYDIS_MNEMONIC_VERW, emu_op_verw, false},
	{ZYDIS_MNEMONIC_SGDT, emu_op_sgdt, false},
	{ZYDIS_MNEMONIC_SIDT, emu_op_sidt, false},
	{ZYDIS_MNEMONIC_LGDT, emu_op_lgdt, true},
	{ZYDIS_MNEMONIC_LIDT, emu_op_lidt, true},
	{ZYDIS_MNEMONIC_SLDT, emu_op_sldt, false},
	{ZYDIS_MNEMONIC_STR, emu_op_str, false},
	{ZYDIS_MNEMONIC_LLDT, emu_op_lldt, true},
	{ZYDIS_MNEMONIC_LTR, emu_op_ltr, true},
	{ZYDIS_MNEMONIC_SWAPGS, emu_op_swapgs, true},
	{ZYDIS_MNEMONIC_IRET, emu_op_iret, true},
	{ZYDIS_MNEMONIC_IRETD, emu_op_iret, true},
	{ZYDIS_MNEMONIC_IRETQ, emu_op_iret, true},
	{ZYDIS_MNEMONIC_INT, emu_op_int, true},
	{ZYDIS_MNEMONIC_INT3, emu_op_int3, true},
	{ZYDIS_MNEMONIC_INT1, emu_op_int1, true},
	{ZYDIS_MNEMONIC_INTO, emu_op_into, true},
	{ZYDIS_MNEMONIC_SYSCALL, emu_op_syscall, true},
	{ZYDIS_MNEMONIC_SYSRET, emu_op_sysret, true},
	{ZYDIS_MNEMONIC_SYSENTER, emu_op_sysenter, true},
	{ZYDIS_MNEMONIC_SYSEXIT, emu_op_sysexit, true},
	{ZYDIS_MNEMONIC_CLTS, emu_op_clts, true},
	{ZYDIS_MNEMONIC_SMSW, emu_op_smsw, false},
	{ZYDIS_MNEMONIC_LMSW, emu_op_lmsw, true},
	{ZYDIS_MNEMONIC_RDMSR, emu_op_rdmsr, true},
	{ZYDIS_MNEMONIC_WRMSR, emu_op_wrmsr, true},
	{ZYDIS_MNEMONIC_CPUID, emu_op_cpuid, true},
	{ZYDIS_MNEMONIC_RDTSC, emu_op_rdtsc, false},
	{ZYDIS_MNEMONIC_RDTSCP, emu_op_rdtscp, false},
	{ZYDIS_MNEMONIC_RDPID, emu_op_rdpid, false},
	{ZYDIS_MNEMONIC_RDPMC, emu_op_rdpmc, true},
	{ZYDIS_MNEMONIC_XGETBV, emu_op_xgetbv, false},
	{ZYDIS_MNEMONIC_XSETBV, emu_op_xsetbv, true},
	{ZYDIS_MNEMONIC_VMCALL, emu_op_hypercall, true},
	{ZYDIS_MNEMONIC_VMMCALL, emu_op_hypercall, true},
	{ZYDIS_MNEMONIC_HLT, emu_op_hlt, true},
	{ZYDIS_MNEMONIC_WBINVD, emu_op_cache, true},
	{ZYDIS_MNEMONIC_INVD, emu_op_cache, true},
	{ZYDIS_MNEMONIC_INVLPG, emu_op_invlpg, true},
	{ZYDIS_MNEMONIC_CLI, emu_op_cli, false},
	{ZYDIS_MNEMONIC_STI, emu_op_sti, true},
	{ZYDIS_MNEMONIC_CLAC, emu_op_clac, true},
	{ZYDIS_MNEMONIC_STAC, emu_op_stac, true},
	{ZYDIS_MNEMONIC_PUSHF, emu_op_pushf, false},
	{ZYDIS_MNEMONIC_PUSHFD, emu_op_pushf, false},
	{ZYDIS_MNEMONIC_PUSHFQ, emu_op_pushf, false},
	{ZYDIS_MNEMONIC_POPF, emu_op_popf, true},
	{ZYDIS_MNEMONIC_POPFD, emu_op_popf, true},
	{ZYDIS_MNEMONIC_POPFQ, emu_op_popf, true},
};

static bool finish(struct emu_insn *i, emu_fn *fn, bool end)
{
	i->fn = fn;
	if (end) {
		i->flags |= EMU_I_END;
	}
	return true;
}

/* A general register or memory. */
static uint8_t general(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER ? emu_reg_number(op->reg.value)
						       : EMU_SYS_MEMORY;
}

static bool is_class(const ZydisDecodedOperand *op, ZydisRegisterClass class)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ZydisRegisterGetClass(op->reg.value) == class;
}

static bool lift_simple(const struct emu_decoded *d, struct emu_insn *i, const struct simple *s)
{
	if (d->insn.operand_count_visible > 0) {
		if (d->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			i->imm = d->ops[0].imm.value.u;
		} else {
			i->rd = general(&d->ops[0]);
		}
	}
	/* SYSRET and SYSEXIT: REX.W returns to 64-bit code. */
	i->aux = d->insn.raw.rex.W;
	return finish(i, s->fn, s->end);
}

/* MOV with a segment, control or debug register. */
static bool lift_mov(const struct emu_decoded *d, struct emu_insn *i)
{
	const ZydisDecodedOperand *dst = &d->ops[0], *src = &d->ops[1];
	static const struct {
		ZydisRegisterClass class;
		emu_fn *from, *to;
	} kinds[] = {
		{ZYDIS_REGCLASS_SEGMENT, emu_op_mov_from_sreg, emu_op_mov_to_sreg},
		{ZYDIS_REGCLASS_CONTROL, emu_op_mov_from_cr, emu_op_mov_to_cr},
		{ZYDIS_REGCLASS_DEBUG, emu_op_mov_from_dr, emu_op_mov_to_dr},
	};

	for (size_t n = 0; n < ARRAY_LEN(kinds); n++) {
		if (is_class(src, kinds[n].class)) {
			i->rd = general(dst);
			i->rs = emu_reg_number(src->reg.value);
			i->osize = (uint8_t)(dst->size / 8);
			return finish(i, kinds[n].from, n != 0);
		}
		if (is_class(dst, kinds[n].class)) {
			i->rd = general(src);
			i->rs = emu_reg_number(dst->reg.value);
			return finish(i, kinds[n].to, true);
		}
	}
	return false;
}

static bool lift_stack(const struct emu_decoded *d, struct emu_insn *i, emu_fn *fn, bool end)
{
	if (!is_class(&d->ops[0], ZYDIS_REGCLASS_SEGMENT)) {
		return false;
	}
	i->rs = emu_reg_number(d->ops[0].reg.value);
	return finish(i, fn, end);
}

static bool lift_pointer(const struct emu_decoded *d, struct emu_insn *i, enum x86_seg seg)
{
	i->rd = emu_reg_number(d->ops[0].reg.value);
	i->rs = (uint8_t)seg;
	i->osize = (uint8_t)(d->ops[0].size / 8);
	return finish(i, emu_op_load_pointer, true);
}

static bool lift_far(const struct emu_decoded *d, struct emu_insn *i, emu_fn *direct,
		     emu_fn *indirect)
{
	if (d->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
		return false;
	}
	if (d->ops[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
		i->imm = i->osize == 2 ? d->ops[0].ptr.offset & 0xffff : d->ops[0].ptr.offset;
		i->aux = d->ops[0].ptr.segment;
		return finish(i, direct, true);
	}
	/* m16:16, m16:32, m16:64 */
	i->osize = (uint8_t)(d->ops[0].size / 8 - 2);
	return finish(i, indirect, true);
}

static bool lift_two(const struct emu_decoded *d, struct emu_insn *i, emu_fn *fn)
{
	/* LAR, LSL: destination rd, source register or memory in rs. */
	i->rd = emu_reg_number(d->ops[0].reg.value);
	i->rs = general(&d->ops[1]);
	i->osize = (uint8_t)(d->ops[0].size / 8);
	return finish(i, fn, false);
}

static bool lift_return(const struct emu_decoded *d, struct emu_insn *i)
{
	if (d->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
		return false;
	}
	if (d->insn.operand_count_visible > 0 && d->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		i->imm = d->ops[0].imm.value.u;
	}
	return finish(i, emu_op_far_return, true);
}

static bool lift_base(const struct emu_decoded *d, struct emu_insn *i, enum x86_seg seg, bool write)
{
	i->rd = emu_reg_number(d->ops[0].reg.value);
	i->rs = (uint8_t)seg;
	i->osize = (uint8_t)(d->ops[0].size / 8);
	return finish(i, write ? emu_op_wrbase : emu_op_rdbase, false);
}

/* Only for guests that find the instruction in CPUID: not every host can carry it out. */
static bool lift_random(const struct emu_decoded *d, enum x86_cpu_word word, unsigned bit,
			struct emu_insn *i, emu_fn *fn)
{
	if (!x86_cpu_has(&d->vp->vm->cpu.features, word, bit)) {
		return false;
	}
	i->rd = emu_reg_number(d->ops[0].reg.value);
	i->osize = (uint8_t)(d->ops[0].size / 8);
	return finish(i, fn, false);
}

static bool lift_invpcid(const struct emu_decoded *d, struct emu_insn *i)
{
	i->rd = emu_reg_number(d->ops[0].reg.value);
	return finish(i, emu_op_invpcid, true);
}

static bool lift_arpl(const struct emu_decoded *d, struct emu_insn *i)
{
	i->rd = general(&d->ops[0]);
	i->rs = emu_reg_number(d->ops[1].reg.value);
	return finish(i, emu_op_arpl, false);
}

bool emu_lift_sys(const struct emu_decoded *d, struct emu_insn *i)
{
	if (i->flags & EMU_I_LOCK) {
		return false;
	}
	for (size_t n = 0; n < ARRAY_LEN(simple); n++) {
		if (simple[n].mnemonic == d->insn.mnemonic) {
			return lift_simple(d, i, &simple[n]);
		}
	}
	switch (d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		return lift_mov(d, i);
	case ZYDIS_MNEMONIC_PUSH:
		return lift_stack(d, i, emu_op_push_sreg, false);
	case ZYDIS_MNEMONIC_POP:
		return lift_stack(d, i, emu_op_pop_sreg, true);
	case ZYDIS_MNEMONIC_LDS:
		return lift_pointer(d, i, X86_DS);
	case ZYDIS_MNEMONIC_LES:
		return lift_pointer(d, i, X86_ES);
	case ZYDIS_MNEMONIC_LFS:
		return lift_pointer(d, i, X86_FS);
	case ZYDIS_MNEMONIC_LGS:
		return lift_pointer(d, i, X86_GS);
	case ZYDIS_MNEMONIC_LSS:
		return lift_pointer(d, i, X86_SS);
	case ZYDIS_MNEMONIC_JMP:
		return lift_far(d, i, emu_op_far_jump, emu_op_far_jump_m);
	case ZYDIS_MNEMONIC_CALL:
		return lift_far(d, i, emu_op_far_call, emu_op_far_call_m);
	case ZYDIS_MNEMONIC_RET:
		return lift_return(d, i);
	case ZYDIS_MNEMONIC_LAR:
		return lift_two(d, i, emu_op_lar);
	case ZYDIS_MNEMONIC_LSL:
		return lift_two(d, i, emu_op_lsl);
	case ZYDIS_MNEMONIC_ARPL:
		return lift_arpl(d, i);
	case ZYDIS_MNEMONIC_RDFSBASE:
		return lift_base(d, i, X86_FS, false);
	case ZYDIS_MNEMONIC_RDGSBASE:
		return lift_base(d, i, X86_GS, false);
	case ZYDIS_MNEMONIC_WRFSBASE:
		return lift_base(d, i, X86_FS, true);
	case ZYDIS_MNEMONIC_WRGSBASE:
		return lift_base(d, i, X86_GS, true);
	case ZYDIS_MNEMONIC_RDRAND:
		return lift_random(d, X86_CPU_1_ECX, 30, i, emu_op_rdrand);
	case ZYDIS_MNEMONIC_RDSEED:
		return lift_random(d, X86_CPU_7_EBX, 18, i, emu_op_rdseed);
	case ZYDIS_MNEMONIC_INVPCID:
		return lift_invpcid(d, i);
	default:
		return false;
	}
}
