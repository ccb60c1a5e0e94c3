/* SPDX-License-Identifier: Apache-2.0 */
/* IN, OUT, INS, OUTS: every element is an exit to the parent. Port number in imm, or in DX when imm is EMU_PORT_DX. */
#include "io.h"
#include "exec.h"

#define TSS_IO_MAP 102u

/* The I/O permission bitmap of the TSS; #GP(0) when a bit is set or beyond the limit. */
static bool bitmap_allows(struct emu_vp *vp, unsigned port, unsigned bytes)
{
	const struct x86_segment *tr = &vp->seg[X86_TR];
	unsigned type = tr->attributes & 0xf;
	uint16_t map, bits;

	if (!(tr->attributes & X86_SEG_P) || (type != 9 && type != 11) ||
	    tr->limit < TSS_IO_MAP + 1) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load16_sys(vp, tr->base + TSS_IO_MAP, &map)) {
		return false;
	}
	if (map + port / 8 + 1 > tr->limit) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load16_sys(vp, tr->base + map + port / 8, &bits)) {
		return false;
	}
	if ((bits >> (port & 7)) & ((1u << bytes) - 1)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	return true;
}

static bool allowed(struct emu_vp *vp, unsigned port, unsigned bytes)
{
	unsigned iopl = (vp->flags & X86_IOPL) >> 12;

	if (!(vp->cr0 & X86_CR0_PE) || (!(vp->flags & X86_VM) && vp->cpl <= iopl)) {
		return true;
	}
	return bitmap_allows(vp, port, bytes);
}

/* The parent's answer, in vp->slow. */
static bool ask(struct emu_vp *vp, const struct emu_insn *i, unsigned port, bool write, bool string,
		uint64_t data)
{
	uint64_t value;

	if (emu_answer(vp, HV_EXIT_PORT, (uint64_t)port << 1 | write, 1, &value)) {
		vp->slow = value;
		return true;
	}
	vp->exit.port.port = (uint16_t)port;
	vp->exit.port.bytes = i->osize;
	vp->exit.port.write = write;
	vp->exit.port.string = string;
	vp->exit.port.rep = i->flags & (EMU_I_REP | EMU_I_REPNE);
	vp->exit.port.data = write ? (uint32_t)(data & (BIT64(8u * i->osize) - 1)) : 0;
	return emu_exit(vp, HV_EXIT_PORT);
}

static unsigned port_of(const struct emu_vp *vp, const struct emu_insn *i)
{
	return i->imm == EMU_PORT_DX ? (uint16_t)vp->r[X86_RDX] : (unsigned)i->imm;
}

EMU_OP(emu_op_in)
{
	unsigned port = port_of(vp, i);

	if (!allowed(vp, port, i->osize) || !ask(vp, i, port, false, false, 0)) {
		return emu_leave(vp, i);
	}
	if (i->osize == 4) {
		vp->r[X86_RAX] = (uint32_t)vp->slow;
	} else {
		emu_reg_write(vp, i->osize == 1 ? 8 : 16, X86_RAX, vp->slow);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_out)
{
	unsigned port = port_of(vp, i);

	if (!allowed(vp, port, i->osize) || !ask(vp, i, port, true, false, vp->r[X86_RAX])) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* The destination is checked before the port is read: a fault must not lose a datum. */
static bool ins_element(struct emu_vp *vp, const struct emu_insn *i, unsigned port)
{
	uint64_t la;

	if (!emu_segment_address(vp, X86_ES, vp->r[X86_RDI] & emu_asize_mask(i), i->osize,
				 HV_ACCESS_WRITE)) {
		return false;
	}
	la = vp->slow;
	if (!emu_probe(vp, la, i->osize, HV_ACCESS_WRITE) || !ask(vp, i, port, false, true, 0) ||
	    !emu_store_slow(vp, la, i->osize, vp->slow)) {
		return false;
	}
	emu_string_advance(vp, i, X86_RDI);
	return true;
}

static bool outs_element(struct emu_vp *vp, const struct emu_insn *i, unsigned port)
{
	if (!emu_segment_address(vp, i->seg, vp->r[X86_RSI] & emu_asize_mask(i), i->osize,
				 HV_ACCESS_READ) ||
	    !emu_load_slow(vp, vp->slow, i->osize) || !ask(vp, i, port, true, true, vp->slow)) {
		return false;
	}
	emu_string_advance(vp, i, X86_RSI);
	return true;
}

static const struct emu_insn *port_string(struct emu_vp *vp, const struct emu_insn *i,
					  bool (*element)(struct emu_vp *vp,
							  const struct emu_insn *i, unsigned port))
{
	unsigned port = (uint16_t)vp->r[X86_RDX];
	bool rep = i->flags & (EMU_I_REP | EMU_I_REPNE);

	/* The permission is checked even when there is nothing to do. */
	if (!allowed(vp, port, i->osize)) {
		return emu_leave(vp, i);
	}
	if (rep && (vp->r[X86_RCX] & emu_asize_mask(i)) == 0) {
		EMU_NEXT(vp, i);
	}
	if (!element(vp, i, port)) {
		return emu_leave(vp, i);
	}
	if (rep && !emu_string_count(vp, i)) {
		return emu_string_pause(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_ins)
{
	return port_string(vp, i, ins_element);
}

EMU_OP(emu_op_outs)
{
	return port_string(vp, i, outs_element);
}
