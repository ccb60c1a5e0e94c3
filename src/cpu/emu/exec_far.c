/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that leave the code segment: far transfers, software interrupts, fast system calls. */
#include "exec_sys.h"
#include "x86/paging.h"

typedef bool far_fn(struct emu_vp *vp, uint16_t selector, uint64_t offset, const struct emu_insn *i,
		    uint64_t *ret_rip);

static bool jump(struct emu_vp *vp, uint16_t selector, uint64_t offset, const struct emu_insn *i,
		 uint64_t *ret_rip)
{
	return emu_far_jump(vp, selector, offset, emu_insn_next_rip(vp, i), ret_rip);
}

static bool call(struct emu_vp *vp, uint16_t selector, uint64_t offset, const struct emu_insn *i,
		 uint64_t *ret_rip)
{
	return emu_far_call(vp, selector, offset, i->osize, emu_insn_next_rip(vp, i), ret_rip);
}

static const struct emu_insn *transfer(struct emu_vp *vp, const struct emu_insn *i, far_fn *fn,
				       uint16_t selector, uint64_t offset)
{
	uint64_t rip;

	return fn(vp, selector, offset, i, &rip) ? emu_end_at(vp, i, rip) : emu_leave(vp, i);
}

static bool load_offset(struct emu_vp *vp, uint64_t la, unsigned bytes, uint64_t *ret)
{
	uint32_t low;
	uint16_t word;

	switch (bytes) {
	case 8:
		return emu_load64(vp, la, ret);
	case 4:
		if (!emu_load32(vp, la, &low)) {
			return false;
		}
		*ret = low;
		return true;
	default:
		if (!emu_load16(vp, la, &word)) {
			return false;
		}
		*ret = word;
		return true;
	}
}

static const struct emu_insn *transfer_memory(struct emu_vp *vp, const struct emu_insn *i,
					      far_fn *fn)
{
	uint64_t la, offset;
	uint16_t selector;

	if (!emu_address(vp, i, i->osize + 2u, HV_ACCESS_READ, &la) ||
	    !load_offset(vp, la, i->osize, &offset) || !emu_load16(vp, la + i->osize, &selector)) {
		return emu_leave(vp, i);
	}
	return transfer(vp, i, fn, selector, offset);
}

const struct emu_insn *emu_op_far_jump(struct emu_vp *vp, const struct emu_insn *i)
{
	return transfer(vp, i, jump, (uint16_t)i->aux, i->imm);
}

const struct emu_insn *emu_op_far_jump_m(struct emu_vp *vp, const struct emu_insn *i)
{
	return transfer_memory(vp, i, jump);
}

const struct emu_insn *emu_op_far_call(struct emu_vp *vp, const struct emu_insn *i)
{
	return transfer(vp, i, call, (uint16_t)i->aux, i->imm);
}

const struct emu_insn *emu_op_far_call_m(struct emu_vp *vp, const struct emu_insn *i)
{
	return transfer_memory(vp, i, call);
}

const struct emu_insn *emu_op_far_return(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t rip;

	return emu_far_return(vp, i->osize, (uint16_t)i->imm, &rip) ? emu_end_at(vp, i, rip)
								    : emu_leave(vp, i);
}

const struct emu_insn *emu_op_iret(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t rip;

	return emu_iret(vp, i->osize, emu_insn_next_rip(vp, i), &rip) ? emu_end_at(vp, i, rip)
								      : emu_leave(vp, i);
}

/* ---- Software interrupts ---- */

/* The run loop delivers it; should the delivery fault, the parameter leads back to the instruction. */
static const struct emu_insn *software(struct emu_vp *vp, const struct emu_insn *i, uint8_t vector)
{
	emu_raise(vp, vector);
	vp->fault.software = true;
	vp->fault.parameter = i->bytes;
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_int(struct emu_vp *vp, const struct emu_insn *i)
{
	bool redirected;
	uint64_t rip;

	if (emu_v86(vp)) {
		if (!emu_v86_redirect(vp, (uint8_t)i->imm, emu_insn_next_rip(vp, i), &redirected,
				      &rip)) {
			return emu_leave(vp, i);
		}
		if (redirected) {
			return emu_end_at(vp, i, rip);
		}
	}
	return software(vp, i, (uint8_t)i->imm);
}

const struct emu_insn *emu_op_int3(struct emu_vp *vp, const struct emu_insn *i)
{
	return software(vp, i, X86_EXC_BP);
}

const struct emu_insn *emu_op_into(struct emu_vp *vp, const struct emu_insn *i)
{
	return emu_of(vp) ? software(vp, i, X86_EXC_OF) : emu_end(vp, i);
}

/* A trap-like #DB without any DR6 bit; no DPL check. */
const struct emu_insn *emu_op_int1(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise(vp, X86_EXC_DB);
	return emu_end(vp, i);
}

/* ---- Fast system calls ---- */

const struct emu_insn *emu_op_syscall(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t flags, next = emu_insn_next_rip(vp, i), rip = vp->msr.lstar;

	/* Intel: only 64-bit code has it. */
	if (vp->mode != EMU_MODE_64 || !(vp->efer & X86_EFER_SCE)) {
		return emu_undefined(vp, i);
	}
	flags = emu_flags_get(vp);
	vp->r[X86_RCX] = next;
	vp->r[X86_R11] = flags;
	emu_flags_set(vp, flags & ~(vp->msr.sfmask | X86_RF));
	/* Here TF is looked at after the instruction: with TF in SFMASK the kernel is not traced. */
	vp->untraced = !(vp->flags & X86_TF);
	emu_segment_flat_code(vp, (uint16_t)(vp->msr.star >> 32 & 0xfffc), 0, true);
	emu_segment_flat_stack(vp, (uint16_t)((vp->msr.star >> 32 & 0xfffc) + 8), 0);
	emu_mode_update(vp);
	return emu_end_at(vp, i, rip);
}

const struct emu_insn *emu_op_sysret(struct emu_vp *vp, const struct emu_insn *i)
{
	bool wide = i->aux;
	uint64_t rip = wide ? vp->r[X86_RCX] : (uint32_t)vp->r[X86_RCX];
	uint16_t base = (uint16_t)(vp->msr.star >> 48);

	if (vp->mode != EMU_MODE_64 || !(vp->efer & X86_EFER_SCE)) {
		return emu_undefined(vp, i);
	}
	if (vp->cpl != 0 || !x86_canonical(rip)) {
		return emu_gp(vp, i);
	}
	emu_flags_set(vp, (vp->r[X86_R11] & 0x3c7fd7) | 2);
	emu_segment_flat_code(vp, (uint16_t)((base + (wide ? 16 : 0)) | 3), 3, wide);
	emu_segment_flat_stack(vp, (uint16_t)((base + 8) | 3), 3);
	emu_mode_update(vp);
	if (vp->flags & X86_TF) {
		/* As if the system call had just been stepped over. */
		emu_raise(vp, X86_EXC_DB);
		vp->fault.parameter = EMU_DR6_BS;
	}
	return emu_end_at(vp, i, rip);
}

const struct emu_insn *emu_op_sysenter(struct emu_vp *vp, const struct emu_insn *i)
{
	bool wide = emu_long(vp);
	uint16_t cs = vp->msr.sysenter_cs & 0xfffc;
	uint64_t rip = wide ? vp->msr.sysenter_eip : (uint32_t)vp->msr.sysenter_eip;

	if (!(vp->cr0 & X86_CR0_PE) || cs == 0) {
		return emu_gp(vp, i);
	}
	emu_flags_set(vp, emu_flags_get(vp) & ~(uint64_t)(X86_VM | X86_IF | X86_RF));
	vp->r[X86_RSP] = wide ? vp->msr.sysenter_esp : (uint32_t)vp->msr.sysenter_esp;
	emu_segment_flat_code(vp, cs, 0, wide);
	emu_segment_flat_stack(vp, (uint16_t)(cs + 8), 0);
	emu_mode_update(vp);
	return emu_end_at(vp, i, rip);
}

const struct emu_insn *emu_op_sysexit(struct emu_vp *vp, const struct emu_insn *i)
{
	bool wide = i->aux;
	uint16_t cs = vp->msr.sysenter_cs & 0xfffc;
	uint64_t rip = vp->r[X86_RDX], rsp = vp->r[X86_RCX];

	if (!(vp->cr0 & X86_CR0_PE) || cs == 0 || vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	if (!wide) {
		rip = (uint32_t)rip;
		rsp = (uint32_t)rsp;
	} else if (!x86_canonical(rip) || !x86_canonical(rsp)) {
		return emu_gp(vp, i);
	}
	vp->r[X86_RSP] = rsp;
	emu_segment_flat_code(vp, (uint16_t)((cs + (wide ? 32 : 16)) | 3), 3, wide);
	emu_segment_flat_stack(vp, (uint16_t)((cs + (wide ? 40 : 24)) | 3), 3);
	emu_mode_update(vp);
	return emu_end_at(vp, i, rip);
}
