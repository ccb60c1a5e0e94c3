/* SPDX-License-Identifier: Apache-2.0 */
/* Segment registers, descriptor tables and what looks at descriptors. */
#include "exec_sys.h"
#include "x86/paging.h"

/* UMIP keeps the addresses of system tables from user code. */
static bool umip_forbids(const struct emu_vp *vp)
{
	return vp->cpl != 0 && (vp->cr4 & X86_CR4_UMIP);
}

static bool source16(struct emu_vp *vp, const struct emu_insn *i, unsigned reg, uint16_t *ret)
{
	uint64_t la;

	if (reg != EMU_SYS_MEMORY) {
		*ret = (uint16_t)vp->r[reg];
		return true;
	}
	return emu_address(vp, i, 2, HV_ACCESS_READ, &la) && emu_load16(vp, la, ret);
}

/* A 16-bit value to memory, or zero-extended to a register. */
static const struct emu_insn *result16(struct emu_vp *vp, const struct emu_insn *i, uint16_t value)
{
	uint64_t la;

	if (i->rd != EMU_SYS_MEMORY) {
		emu_reg_write(vp, i->osize * 8u, i->rd, value);
		return i + 1;
	}
	if (!emu_address(vp, i, 2, HV_ACCESS_WRITE, &la) || !emu_store16(vp, la, value)) {
		return emu_leave(vp, i);
	}
	return i + 1;
}

/* ---- Segment registers ---- */

const struct emu_insn *emu_op_mov_from_sreg(struct emu_vp *vp, const struct emu_insn *i)
{
	return result16(vp, i, vp->seg[i->rs].selector);
}

static const struct emu_insn *segment_loaded(struct emu_vp *vp, const struct emu_insn *i,
					     bool stack_shadow)
{
	emu_mode_update(vp);
	if (stack_shadow) {
		vp->shadow = true;
		vp->shadow_ss = true;
	}
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_mov_to_sreg(struct emu_vp *vp, const struct emu_insn *i)
{
	uint16_t selector;

	if (i->rs == X86_CS) {
		return emu_undefined(vp, i);
	}
	if (!source16(vp, i, i->rd, &selector) || !emu_segment_load(vp, i->rs, selector)) {
		return emu_leave(vp, i);
	}
	return segment_loaded(vp, i, i->rs == X86_SS);
}

const struct emu_insn *emu_op_push_sreg(struct emu_vp *vp, const struct emu_insn *i)
{
	uint16_t selector = vp->seg[i->rs].selector;

	if (i->osize != 4) {
		if (!emu_push(vp, i->osize, selector)) {
			return emu_leave(vp, i);
		}
		return i + 1;
	}
	/* Spec: SDM vol. 2, PUSH: with 32 bits recent processors write only the selector's two bytes. */
	if (!emu_stack_address(vp, vp->r[X86_RSP] - 4, 2, HV_ACCESS_WRITE) ||
	    !emu_store16(vp, vp->slow, selector)) {
		return emu_leave(vp, i);
	}
	emu_sp_set(vp, vp->r[X86_RSP] - 4);
	return i + 1;
}

const struct emu_insn *emu_op_pop_sreg(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t rsp = vp->r[X86_RSP];
	uint16_t selector;

	if (!emu_stack_load(vp, 0, i->osize)) {
		return emu_leave(vp, i);
	}
	selector = (uint16_t)vp->slow;
	/* The old stack's size counts, also for POP SS. */
	emu_sp_set(vp, rsp + i->osize);
	if (!emu_segment_load(vp, i->rs, selector)) {
		vp->r[X86_RSP] = rsp;
		return emu_leave(vp, i);
	}
	return segment_loaded(vp, i, i->rs == X86_SS);
}

const struct emu_insn *emu_op_load_pointer(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t la, offset;
	uint32_t low;
	uint16_t word, selector;
	bool loaded;

	if (!emu_address(vp, i, i->osize + 2u, HV_ACCESS_READ, &la)) {
		return emu_leave(vp, i);
	}
	if (i->osize == 8) {
		loaded = emu_load64(vp, la, &offset);
	} else if (i->osize == 4) {
		loaded = emu_load32(vp, la, &low);
		offset = loaded ? low : 0;
	} else {
		loaded = emu_load16(vp, la, &word);
		offset = loaded ? word : 0;
	}
	if (!loaded || !emu_load16(vp, la + i->osize, &selector) ||
	    !emu_segment_load(vp, i->rs, selector)) {
		return emu_leave(vp, i);
	}
	emu_reg_write(vp, i->osize * 8u, i->rd, offset);
	return segment_loaded(vp, i, false);
}

const struct emu_insn *emu_op_swapgs(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t base = vp->seg[X86_GS].base;

	if (vp->mode != EMU_MODE_64) {
		return emu_undefined(vp, i);
	}
	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	vp->seg[X86_GS].base = vp->msr.kernel_gs_base;
	vp->msr.kernel_gs_base = base;
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_rdbase(struct emu_vp *vp, const struct emu_insn *i)
{
	if (vp->mode != EMU_MODE_64 || !(vp->cr4 & X86_CR4_FSGSBASE)) {
		return emu_undefined(vp, i);
	}
	emu_reg_write(vp, i->osize * 8u, i->rd, vp->seg[i->rs].base);
	return i + 1;
}

const struct emu_insn *emu_op_wrbase(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t base = i->osize == 8 ? vp->r[i->rd] : (uint32_t)vp->r[i->rd];

	if (vp->mode != EMU_MODE_64 || !(vp->cr4 & X86_CR4_FSGSBASE)) {
		return emu_undefined(vp, i);
	}
	if (!x86_canonical(base)) {
		return emu_gp(vp, i);
	}
	vp->seg[i->rs].base = base;
	return i + 1;
}

/* ---- Looking at descriptors: ZF tells ---- */

typedef bool accepts_fn(uint64_t raw, unsigned rpl, unsigned cpl);

/* *ret_good: the selector names a descriptor that @accepts. */
static bool verify(struct emu_vp *vp, uint16_t selector, accepts_fn *accepts, bool *ret_good,
		   uint64_t *ret_raw)
{
	bool found;

	*ret_good = false;
	if (emu_null(selector)) {
		return true;
	}
	if (!emu_descriptor_try(vp, selector, &found, ret_raw)) {
		return false;
	}
	*ret_good = found && accepts(*ret_raw, selector & 3, vp->cpl);
	return true;
}

static bool lar_legacy(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_lar_accepts(raw, rpl, cpl, false);
}

static bool lar_long(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_lar_accepts(raw, rpl, cpl, true);
}

static bool lsl_legacy(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_lsl_accepts(raw, rpl, cpl, false);
}

static bool lsl_long(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_lsl_accepts(raw, rpl, cpl, true);
}

const struct emu_insn *emu_op_lar(struct emu_vp *vp, const struct emu_insn *i)
{
	uint16_t selector;
	uint64_t raw;
	bool good;

	if (!emu_protected(vp)) {
		return emu_undefined(vp, i);
	}
	if (!source16(vp, i, i->rs, &selector) ||
	    !verify(vp, selector, emu_long(vp) ? lar_long : lar_legacy, &good, &raw)) {
		return emu_leave(vp, i);
	}
	if (good) {
		emu_reg_write(vp, i->osize * 8u, i->rd, raw >> 32 & 0x00f0ff00);
	}
	emu_set_zf(vp, good);
	return i + 1;
}

const struct emu_insn *emu_op_lsl(struct emu_vp *vp, const struct emu_insn *i)
{
	uint16_t selector;
	uint64_t raw;
	bool good;

	if (!emu_protected(vp)) {
		return emu_undefined(vp, i);
	}
	if (!source16(vp, i, i->rs, &selector) ||
	    !verify(vp, selector, emu_long(vp) ? lsl_long : lsl_legacy, &good, &raw)) {
		return emu_leave(vp, i);
	}
	if (good) {
		emu_reg_write(vp, i->osize * 8u, i->rd, x86_desc_limit(raw));
	}
	emu_set_zf(vp, good);
	return i + 1;
}

static const struct emu_insn *verify_op(struct emu_vp *vp, const struct emu_insn *i,
					accepts_fn *accepts)
{
	uint16_t selector;
	uint64_t raw;
	bool good;

	if (!emu_protected(vp)) {
		return emu_undefined(vp, i);
	}
	if (!source16(vp, i, i->rd, &selector) || !verify(vp, selector, accepts, &good, &raw)) {
		return emu_leave(vp, i);
	}
	emu_set_zf(vp, good);
	return i + 1;
}

const struct emu_insn *emu_op_verr(struct emu_vp *vp, const struct emu_insn *i)
{
	return verify_op(vp, i, x86_verr_accepts);
}

const struct emu_insn *emu_op_verw(struct emu_vp *vp, const struct emu_insn *i)
{
	return verify_op(vp, i, x86_verw_accepts);
}

const struct emu_insn *emu_op_arpl(struct emu_vp *vp, const struct emu_insn *i)
{
	unsigned rpl = vp->r[i->rs] & 3;
	uint16_t selector;
	uint64_t la = 0;

	if (!emu_protected(vp)) {
		return emu_undefined(vp, i);
	}
	if (i->rd != EMU_SYS_MEMORY) {
		selector = (uint16_t)vp->r[i->rd];
	} else if (!emu_address(vp, i, 2, HV_ACCESS_WRITE, &la) || !emu_rmw_begin(vp, la, 2)) {
		return emu_leave(vp, i);
	} else {
		selector = (uint16_t)vp->slow;
	}
	if ((selector & 3u) < rpl) {
		uint16_t adjusted = (uint16_t)((selector & ~3u) | rpl);

		if (i->rd != EMU_SYS_MEMORY) {
			emu_reg_write(vp, 16, i->rd, adjusted);
		} else if (!emu_store16(vp, la, adjusted)) {
			return emu_leave(vp, i);
		}
		emu_set_zf(vp, true);
	} else {
		emu_set_zf(vp, false);
	}
	return i + 1;
}

/* ---- Descriptor tables ---- */

static const struct emu_insn *table_store(struct emu_vp *vp, const struct emu_insn *i,
					  const struct x86_table *table)
{
	uint8_t image[10];
	unsigned bytes = vp->mode == EMU_MODE_64 ? 10 : 6;
	uint64_t la;

	if (umip_forbids(vp)) {
		return emu_gp(vp, i);
	}
	store_le16(image, table->limit);
	store_le64(image + 2, table->base);
	if (!emu_address(vp, i, bytes, HV_ACCESS_WRITE, &la) ||
	    !emu_store_bytes(vp, la, image, bytes)) {
		return emu_leave(vp, i);
	}
	return i + 1;
}

const struct emu_insn *emu_op_sgdt(struct emu_vp *vp, const struct emu_insn *i)
{
	return table_store(vp, i, &vp->gdtr);
}

const struct emu_insn *emu_op_sidt(struct emu_vp *vp, const struct emu_insn *i)
{
	return table_store(vp, i, &vp->idtr);
}

static const struct emu_insn *table_load(struct emu_vp *vp, const struct emu_insn *i,
					 struct x86_table *table)
{
	uint8_t image[10] = {0};
	unsigned bytes = vp->mode == EMU_MODE_64 ? 10 : 6;
	uint64_t la, base;

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	if (!emu_address(vp, i, bytes, HV_ACCESS_READ, &la) ||
	    !emu_load_bytes(vp, la, image, bytes)) {
		return emu_leave(vp, i);
	}
	base = load_le64(image + 2);
	if (vp->mode == EMU_MODE_64) {
		if (!x86_canonical(base)) {
			return emu_gp(vp, i);
		}
	} else {
		base &= i->osize == 2 ? 0xffffff : 0xffffffff;
	}
	table->limit = load_le16(image);
	table->base = base;
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_lgdt(struct emu_vp *vp, const struct emu_insn *i)
{
	return table_load(vp, i, &vp->gdtr);
}

const struct emu_insn *emu_op_lidt(struct emu_vp *vp, const struct emu_insn *i)
{
	return table_load(vp, i, &vp->idtr);
}

static const struct emu_insn *system_selector(struct emu_vp *vp, const struct emu_insn *i,
					      enum x86_seg seg)
{
	if (!emu_protected(vp)) {
		return emu_undefined(vp, i);
	}
	if (umip_forbids(vp)) {
		return emu_gp(vp, i);
	}
	return result16(vp, i, vp->seg[seg].selector);
}

const struct emu_insn *emu_op_sldt(struct emu_vp *vp, const struct emu_insn *i)
{
	return system_selector(vp, i, X86_LDTR);
}

const struct emu_insn *emu_op_str(struct emu_vp *vp, const struct emu_insn *i)
{
	return system_selector(vp, i, X86_TR);
}

static const struct emu_insn *system_load(struct emu_vp *vp, const struct emu_insn *i,
					  bool (*load)(struct emu_vp *vp, uint16_t selector))
{
	uint16_t selector;

	if (!emu_protected(vp)) {
		return emu_undefined(vp, i);
	}
	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	if (!source16(vp, i, i->rd, &selector) || !load(vp, selector)) {
		return emu_leave(vp, i);
	}
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_lldt(struct emu_vp *vp, const struct emu_insn *i)
{
	return system_load(vp, i, emu_lldt);
}

const struct emu_insn *emu_op_ltr(struct emu_vp *vp, const struct emu_insn *i)
{
	return system_load(vp, i, emu_ltr);
}
