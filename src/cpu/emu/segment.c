/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include "mem.h"
#include "x86/paging.h"

bool emu_raise_selector(struct emu_vp *vp, unsigned vector, uint16_t selector, uint32_t ext)
{
	return emu_raise_error(vp, (uint8_t)vector, (selector & 0xfffcu) | ext);
}

/* Linear address of @selector's descriptor; false when it lies beyond its table. */
static bool descriptor_address(const struct emu_vp *vp, uint16_t selector, uint64_t *ret_la)
{
	uint32_t offset = selector & 0xfff8u;
	uint64_t base = vp->gdtr.base;
	uint32_t limit = vp->gdtr.limit;

	if (selector & 4) {
		if (!(vp->seg[X86_LDTR].attributes & X86_SEG_P)) {
			return false;
		}
		base = vp->seg[X86_LDTR].base;
		limit = vp->seg[X86_LDTR].limit;
	}
	if (offset + 7 > limit) {
		return false;
	}
	*ret_la = emu_long(vp) ? base + offset : (uint32_t)(base + offset);
	return true;
}

bool emu_descriptor_try(struct emu_vp *vp, uint16_t selector, bool *ret_found, uint64_t *ret_raw)
{
	uint64_t la;

	*ret_found = descriptor_address(vp, selector, &la);
	return !*ret_found || emu_load64_sys(vp, la, ret_raw);
}

bool emu_descriptor_read(struct emu_vp *vp, uint16_t selector, unsigned vector, uint32_t ext,
			 uint64_t *ret_raw)
{
	bool found;

	if (!emu_descriptor_try(vp, selector, &found, ret_raw)) {
		return false;
	}
	return found || emu_raise_selector(vp, vector, selector, ext);
}

bool emu_descriptor_high(struct emu_vp *vp, uint16_t selector, unsigned vector, uint64_t *ret_high)
{
	uint64_t la;

	if ((selector & 0xfff8u) > 0xffffu - 15 ||
	    !descriptor_address(vp, (uint16_t)(selector + 8), &la)) {
		return emu_raise_selector(vp, vector, selector, 0);
	}
	if (!emu_load64_sys(vp, la, ret_high)) {
		return false;
	}
	return !(*ret_high >> 40 & 0x1f) || emu_raise_selector(vp, vector, selector, 0);
}

bool emu_descriptor_accessed(struct emu_vp *vp, uint16_t selector, uint64_t *raw)
{
	uint64_t la;

	if (*raw & X86_DESC_ACCESSED) {
		return true;
	}
	*raw |= X86_DESC_ACCESSED;
	return !descriptor_address(vp, selector, &la) ||
	       emu_store8_sys(vp, la + 5, (uint8_t)(*raw >> 40));
}

static bool descriptor_busy(struct emu_vp *vp, uint16_t selector, uint64_t raw)
{
	uint64_t la;

	return !descriptor_address(vp, selector, &la) ||
	       emu_store8_sys(vp, la + 5, (uint8_t)((raw | X86_DESC_BUSY) >> 40));
}

void emu_segment_load_real(struct emu_vp *vp, unsigned seg, uint16_t selector)
{
	struct x86_segment *s = &vp->seg[seg];

	s->selector = selector;
	s->base = (uint32_t)selector << 4;
	if (emu_v86(vp)) {
		s->limit = 0xffff;
		s->attributes =
			X86_SEG_P | X86_SEG_DPL | X86_SEG_S | X86_TYPE_RW | X86_TYPE_ACCESSED;
	} else if (seg == X86_CS) {
		s->attributes = (s->attributes & (X86_SEG_DB | X86_SEG_G)) | X86_SEG_P | X86_SEG_S |
				X86_TYPE_RW | X86_TYPE_ACCESSED;
	} else if (!(s->attributes & X86_SEG_P)) {
		/* A null selector of protected mode is forgotten; limits and sizes otherwise stay as they were ("big real mode"). */
		s->limit = 0xffff;
		s->attributes = X86_SEG_P | X86_SEG_S | X86_TYPE_RW | X86_TYPE_ACCESSED;
	}
}

void emu_segment_load_null(struct emu_vp *vp, unsigned seg, uint16_t selector, unsigned dpl)
{
	vp->seg[seg] = (struct x86_segment){.selector = selector,
					    .attributes = (uint16_t)(dpl << X86_SEG_DPL_SHIFT)};
}

static bool stack_load(struct emu_vp *vp, uint16_t selector)
{
	unsigned vector;
	uint64_t raw;

	if (emu_null(selector)) {
		if (vp->mode != EMU_MODE_64 || vp->cpl == 3 || (selector & 3) != vp->cpl) {
			return emu_raise_error(vp, X86_EXC_GP, 0);
		}
		emu_segment_load_null(vp, X86_SS, selector, vp->cpl);
		return true;
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	vector = x86_check_stack_load(raw, selector & 3, vp->cpl);
	if (vector != 0) {
		return emu_raise_selector(vp, vector, selector, 0);
	}
	if (!emu_descriptor_accessed(vp, selector, &raw)) {
		return false;
	}
	x86_segment_from_descriptor(&vp->seg[X86_SS], selector, raw);
	return true;
}

bool emu_segment_load(struct emu_vp *vp, unsigned seg, uint16_t selector)
{
	unsigned vector;
	uint64_t raw;

	if (!emu_protected(vp)) {
		emu_segment_load_real(vp, seg, selector);
		return true;
	}
	if (seg == X86_SS) {
		return stack_load(vp, selector);
	}
	if (emu_null(selector)) {
		emu_segment_load_null(vp, seg, selector, 0);
		return true;
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	vector = x86_check_data_load(raw, selector & 3, vp->cpl);
	if (vector != 0) {
		return emu_raise_selector(vp, vector, selector, 0);
	}
	if (!emu_descriptor_accessed(vp, selector, &raw)) {
		return false;
	}
	x86_segment_from_descriptor(&vp->seg[seg], selector, raw);
	return true;
}

void emu_code_segment_set(struct emu_vp *vp, uint16_t selector, uint64_t raw, unsigned cpl)
{
	x86_segment_from_descriptor(&vp->seg[X86_CS], (uint16_t)((selector & ~3u) | cpl), raw);
	vp->cpl = (uint8_t)cpl;
}

void emu_segment_flat_code(struct emu_vp *vp, uint16_t selector, unsigned dpl, bool code64)
{
	vp->seg[X86_CS] = (struct x86_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.attributes = (uint16_t)(X86_SEG_G | (code64 ? X86_SEG_L : X86_SEG_DB) | X86_SEG_P |
					 X86_SEG_S | dpl << X86_SEG_DPL_SHIFT | X86_TYPE_CODE |
					 X86_TYPE_RW | X86_TYPE_ACCESSED),
	};
	vp->cpl = (uint8_t)dpl;
}

void emu_segment_flat_stack(struct emu_vp *vp, uint16_t selector, unsigned dpl)
{
	vp->seg[X86_SS] = (struct x86_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.attributes =
			(uint16_t)(X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S |
				   dpl << X86_SEG_DPL_SHIFT | X86_TYPE_RW | X86_TYPE_ACCESSED),
	};
}

/* Base of a system segment: 64 bits in long mode. */
static bool system_segment(struct emu_vp *vp, uint16_t selector, uint64_t raw,
			   struct x86_segment *ret)
{
	uint64_t high = 0;

	if (emu_long(vp) && !emu_descriptor_high(vp, selector, X86_EXC_GP, &high)) {
		return false;
	}
	x86_segment_from_descriptor(ret, selector, raw);
	ret->base |= high << 32;
	return emu_canonical(ret->base) || !emu_long(vp) ||
	       emu_raise_selector(vp, X86_EXC_GP, selector, 0);
}

bool emu_lldt(struct emu_vp *vp, uint16_t selector)
{
	struct x86_segment s;
	uint64_t raw;

	if (emu_null(selector)) {
		emu_segment_load_null(vp, X86_LDTR, selector, 0);
		return true;
	}
	if (selector & 4) {
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	if (x86_desc_is_segment(raw) || x86_desc_type(raw) != X86_TYPE_LDT) {
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	if (!x86_desc_present(raw)) {
		return emu_raise_selector(vp, X86_EXC_NP, selector, 0);
	}
	if (!system_segment(vp, selector, raw, &s)) {
		return false;
	}
	vp->seg[X86_LDTR] = s;
	return true;
}

bool emu_ltr(struct emu_vp *vp, uint16_t selector)
{
	struct x86_segment s;
	uint64_t raw;

	if (emu_null(selector)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (selector & 4) {
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	if (x86_desc_is_segment(raw) || (x86_desc_type(raw) != X86_TYPE_TSS32 &&
					 (x86_desc_type(raw) != X86_TYPE_TSS16 || emu_long(vp)))) {
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	if (!x86_desc_present(raw)) {
		return emu_raise_selector(vp, X86_EXC_NP, selector, 0);
	}
	if (!system_segment(vp, selector, raw, &s) || !descriptor_busy(vp, selector, raw)) {
		return false;
	}
	s.attributes |= X86_TYPE_RW;
	vp->seg[X86_TR] = s;
	return true;
}

void emu_stack_current(const struct emu_vp *vp, struct emu_stack *st)
{
	st->ss = vp->seg[X86_SS];
	st->sp = vp->r[X86_RSP];
	st->mask = emu_sp_mask(vp);
	st->user = vp->cpl == 3;
	st->flat = vp->mode == EMU_MODE_64;
	st->error = 0;
}

static bool stack_store(struct emu_vp *vp, bool user, uint64_t la, unsigned bytes, uint64_t value)
{
	if (bytes == 8) {
		return user ? emu_store64(vp, la, value) : emu_store64_sys(vp, la, value);
	}
	if (bytes == 4) {
		return user ? emu_store32(vp, la, (uint32_t)value)
			    : emu_store32_sys(vp, la, (uint32_t)value);
	}
	return user ? emu_store16(vp, la, (uint16_t)value)
		    : emu_store16_sys(vp, la, (uint16_t)value);
}

bool emu_stack_push(struct emu_vp *vp, struct emu_stack *st, unsigned bytes, uint64_t value)
{
	uint64_t sp = (st->sp - bytes) & st->mask;
	uint64_t la = sp;

	if (st->flat) {
		if (!emu_canonical(la) || !emu_canonical(la + bytes - 1)) {
			return emu_raise_error(vp, X86_EXC_SS, st->error);
		}
	} else {
		if (!x86_segment_contains(&st->ss, (uint32_t)sp, bytes)) {
			return emu_raise_error(vp, X86_EXC_SS, st->error);
		}
		la = (uint32_t)(st->ss.base + sp);
	}
	if (!stack_store(vp, st->user, la, bytes, value)) {
		return false;
	}
	st->sp = (st->sp & ~st->mask) | sp;
	return true;
}

uint64_t emu_stack_pointer(const struct emu_vp *vp, const struct emu_stack *st)
{
	/* Only a 16-bit stack keeps the upper half. */
	return st->mask == 0xffffu ? (vp->r[X86_RSP] & ~UINT64_C(0xffff)) | (st->sp & 0xffff)
				   : st->sp & st->mask;
}

static bool tss_contains(const struct emu_vp *vp, uint32_t offset, unsigned bytes)
{
	return offset + bytes - 1 <= vp->seg[X86_TR].limit;
}

static bool stack_from_tss64(struct emu_vp *vp, unsigned dpl, unsigned ist, uint32_t ext,
			     struct emu_stack *ret_st)
{
	uint32_t offset = ist != 0 ? 36 + (ist - 1) * 8 : 4 + dpl * 8;

	if (!tss_contains(vp, offset, 8)) {
		return emu_raise_selector(vp, X86_EXC_TS, vp->seg[X86_TR].selector, ext);
	}
	if (!emu_load64_sys(vp, vp->seg[X86_TR].base + offset, &ret_st->sp)) {
		return false;
	}
	if (!emu_canonical(ret_st->sp)) {
		return emu_raise_error(vp, X86_EXC_SS, ext);
	}
	ret_st->ss = (struct x86_segment){.selector = (uint16_t)dpl,
					  .attributes = (uint16_t)(dpl << X86_SEG_DPL_SHIFT)};
	ret_st->mask = ~UINT64_C(0);
	ret_st->flat = true;
	ret_st->user = dpl == 3;
	ret_st->error = ext;
	return true;
}

static bool read_tss_stack(struct emu_vp *vp, unsigned dpl, uint32_t ext, uint16_t *ret_ss,
			   uint32_t *ret_sp)
{
	const struct x86_segment *tr = &vp->seg[X86_TR];
	bool wide = tr->attributes & 8;
	uint32_t offset = wide ? 4 + dpl * 8 : 2 + dpl * 4;
	uint16_t sp16;

	if (!tss_contains(vp, offset, wide ? 6 : 4)) {
		return emu_raise_selector(vp, X86_EXC_TS, tr->selector, ext);
	}
	if (wide) {
		return emu_load32_sys(vp, (uint32_t)(tr->base + offset), ret_sp) &&
		       emu_load16_sys(vp, (uint32_t)(tr->base + offset + 4), ret_ss);
	}
	if (!emu_load16_sys(vp, (uint32_t)(tr->base + offset), &sp16) ||
	    !emu_load16_sys(vp, (uint32_t)(tr->base + offset + 2), ret_ss)) {
		return false;
	}
	*ret_sp = sp16;
	return true;
}

bool emu_stack_from_tss(struct emu_vp *vp, unsigned dpl, unsigned ist, uint32_t ext,
			struct emu_stack *ret_st)
{
	uint16_t selector;
	uint32_t sp;
	uint64_t raw;
	unsigned vector;

	if (emu_long(vp)) {
		return stack_from_tss64(vp, dpl, ist, ext, ret_st);
	}
	if (!read_tss_stack(vp, dpl, ext, &selector, &sp)) {
		return false;
	}
	if (emu_null(selector)) {
		return emu_raise_error(vp, X86_EXC_TS, ext);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_TS, ext, &raw)) {
		return false;
	}
	vector = x86_check_stack_load(raw, selector & 3, dpl);
	if (vector != 0) {
		return emu_raise_selector(vp, vector == X86_EXC_SS ? X86_EXC_SS : X86_EXC_TS,
					  selector, ext);
	}
	if (!emu_descriptor_accessed(vp, selector, &raw)) {
		return false;
	}
	x86_segment_from_descriptor(&ret_st->ss, selector, raw);
	ret_st->sp = sp;
	ret_st->mask = raw >> 54 & 1 ? 0xffffffffu : 0xffffu;
	ret_st->flat = false;
	ret_st->user = dpl == 3;
	ret_st->error = (selector & 0xfffcu) | ext;
	return true;
}

/* True with the port's bits clear in the TSS's bitmap. */
static bool io_bitmap_allows(struct emu_vp *vp, uint16_t port, unsigned bytes)
{
	const struct x86_segment *tr = &vp->seg[X86_TR];
	uint16_t map, bits;

	if (!(tr->attributes & X86_SEG_P) || !(tr->attributes & 8) || !tss_contains(vp, 102, 2)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load16_sys(vp, tr->base + 102, &map)) {
		return false;
	}
	/* Two bytes are always read, so the bitmap needs one byte more than its last port. */
	if (!tss_contains(vp, map + port / 8u, 2)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load16_sys(vp, tr->base + map + port / 8u, &bits)) {
		return false;
	}
	if (bits >> (port & 7) & ((1u << bytes) - 1)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	return true;
}

bool emu_io_allowed(struct emu_vp *vp, uint16_t port, unsigned bytes)
{
	if (!(vp->cr0 & X86_CR0_PE) || (!emu_v86(vp) && vp->cpl <= emu_iopl(vp))) {
		return true;
	}
	return io_bitmap_allows(vp, port, bytes);
}

uint32_t emu_flags_changeable(const struct emu_vp *vp, unsigned bytes)
{
	uint32_t mask = X86_ARITH | X86_TF | X86_DF | X86_NT;

	if (bytes > 2) {
		mask |= X86_AC | X86_ID | X86_RF;
	}
	if (vp->cpl == 0) {
		mask |= X86_IOPL;
	}
	if (!(vp->cr0 & X86_CR0_PE) || vp->cpl <= emu_iopl(vp)) {
		mask |= X86_IF;
	}
	return mask;
}
