/* SPDX-License-Identifier: Apache-2.0 */
/* Far JMP, CALL, RET and IRET. Spec: Intel SDM vol. 2, the instructions' pseudo code; vol. 3, 5.8 and 7.3. */
#include "flags.h"
#include "mem.h"
#include "segment.h"
#include "x86/paging.h"

static bool code_is_64(const struct emu_vp *vp, uint64_t raw)
{
	return emu_long(vp) && (raw >> 53 & 1);
}

bool emu_code_prepare(struct emu_vp *vp, uint16_t selector, uint64_t *raw, uint64_t rip)
{
	if (code_is_64(vp, *raw) ? !x86_canonical(rip) : rip > x86_desc_limit(*raw)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	return emu_descriptor_accessed(vp, selector, raw);
}

static bool enter(struct emu_vp *vp, uint16_t selector, uint64_t raw, unsigned cpl, uint64_t rip,
		  uint64_t *ret_rip)
{
	emu_code_segment_set(vp, selector, raw, cpl);
	emu_mode_update(vp);
	*ret_rip = rip;
	return true;
}

static bool enter_real(struct emu_vp *vp, uint16_t selector, uint64_t rip, uint64_t *ret_rip)
{
	emu_segment_load_real(vp, X86_CS, selector);
	emu_mode_update(vp);
	*ret_rip = rip;
	return true;
}

/* A call gate, checked; where it leads. */
struct gate {
	uint16_t selector; /* of the code segment */
	uint64_t raw;	   /* its descriptor */
	uint64_t rip;
	unsigned bytes; /* of what is pushed */
	unsigned parameters;
};

static bool gate_target(struct emu_vp *vp, struct gate *g)
{
	if (emu_null(g->selector)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_descriptor_read(vp, g->selector, X86_EXC_GP, 0, &g->raw)) {
		return false;
	}
	if (!x86_desc_is_code(g->raw) || x86_desc_dpl(g->raw) > vp->cpl ||
	    (emu_long(vp) && (g->raw >> 53 & 3) != 1)) {
		return emu_raise_selector(vp, X86_EXC_GP, g->selector, 0);
	}
	return x86_desc_present(g->raw) || emu_raise_selector(vp, X86_EXC_NP, g->selector, 0);
}

/* System descriptors by DPL and presence: what all of them have in common. */
static bool system_usable(struct emu_vp *vp, uint16_t selector, uint64_t raw)
{
	if (x86_desc_dpl(raw) < vp->cpl || x86_desc_dpl(raw) < (selector & 3u)) {
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	return x86_desc_present(raw) || emu_raise_selector(vp, X86_EXC_NP, selector, 0);
}

static bool gate_read(struct emu_vp *vp, uint16_t selector, uint64_t raw, struct gate *ret)
{
	uint64_t high = 0;

	if (!system_usable(vp, selector, raw)) {
		return false;
	}
	if (emu_long(vp) && !emu_descriptor_high(vp, selector, X86_EXC_GP, &high)) {
		return false;
	}
	ret->selector = x86_gate_selector(raw);
	ret->parameters = emu_long(vp) ? 0 : x86_gate_parameters(raw);
	if (x86_desc_type(raw) == X86_TYPE_CALL16) {
		ret->bytes = 2;
		ret->rip = x86_gate_offset(raw) & 0xffff;
	} else {
		ret->bytes = emu_long(vp) ? 8 : 4;
		ret->rip = x86_gate_offset(raw) | high << 32;
	}
	return gate_target(vp, ret);
}

static bool task_transfer(struct emu_vp *vp, uint16_t selector, uint64_t raw,
			  enum emu_task_cause cause, uint64_t next_rip, uint64_t *ret_rip)
{
	if (!system_usable(vp, selector, raw)) {
		return false;
	}
	if (x86_desc_type(raw) == X86_TYPE_TASK) {
		selector = x86_gate_selector(raw);
	}
	return emu_task_switch(vp, selector, cause, next_rip, 0, NULL, ret_rip);
}

enum system_kind {
	SYSTEM_GATE,
	SYSTEM_TASK,
	SYSTEM_BAD,
};

static enum system_kind system_kind(const struct emu_vp *vp, uint64_t raw)
{
	switch (x86_desc_type(raw)) {
	case X86_TYPE_CALL32:
		return SYSTEM_GATE;
	case X86_TYPE_CALL16:
		return emu_long(vp) ? SYSTEM_BAD : SYSTEM_GATE;
	case X86_TYPE_TSS16:
	case X86_TYPE_TSS32:
	case X86_TYPE_TASK:
		return emu_long(vp) ? SYSTEM_BAD : SYSTEM_TASK;
	default:
		return SYSTEM_BAD;
	}
}

static bool jump_system(struct emu_vp *vp, uint16_t selector, uint64_t raw, uint64_t next_rip,
			uint64_t *ret_rip)
{
	unsigned vector;
	struct gate g;

	switch (system_kind(vp, raw)) {
	case SYSTEM_TASK:
		return task_transfer(vp, selector, raw, EMU_TASK_JUMP, next_rip, ret_rip);
	case SYSTEM_GATE:
		break;
	case SYSTEM_BAD:
	default:
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	if (!gate_read(vp, selector, raw, &g)) {
		return false;
	}
	vector = x86_check_code_transfer(g.raw, g.selector & 3, vp->cpl, true, emu_long(vp));
	if (vector != 0) {
		return emu_raise_selector(vp, vector, g.selector, 0);
	}
	return emu_code_prepare(vp, g.selector, &g.raw, g.rip) &&
	       enter(vp, g.selector, g.raw, vp->cpl, g.rip, ret_rip);
}

bool emu_far_jump(struct emu_vp *vp, uint16_t selector, uint64_t offset, uint64_t next_rip,
		  uint64_t *ret_rip)
{
	unsigned vector;
	uint64_t raw;

	if (!emu_protected(vp)) {
		if (offset > vp->seg[X86_CS].limit) {
			return emu_raise_error(vp, X86_EXC_GP, 0);
		}
		return enter_real(vp, selector, offset, ret_rip);
	}
	if (emu_null(selector)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	if (!x86_desc_is_segment(raw)) {
		return jump_system(vp, selector, raw, next_rip, ret_rip);
	}
	vector = x86_check_code_transfer(raw, selector & 3, vp->cpl, false, emu_long(vp));
	if (vector != 0) {
		return emu_raise_selector(vp, vector, selector, 0);
	}
	return emu_code_prepare(vp, selector, &raw, offset) &&
	       enter(vp, selector, raw, vp->cpl, offset, ret_rip);
}

static bool push_return(struct emu_vp *vp, struct emu_stack *st, unsigned bytes, uint64_t next_rip)
{
	return emu_stack_push(vp, st, bytes, vp->seg[X86_CS].selector) &&
	       emu_stack_push(vp, st, bytes, next_rip);
}

/* Same privilege: return address on the current stack. */
static bool call_code(struct emu_vp *vp, uint16_t selector, uint64_t raw, uint64_t rip,
		      unsigned bytes, uint64_t next_rip, uint64_t *ret_rip)
{
	struct emu_stack st;

	emu_stack_current(vp, &st);
	if (!emu_code_prepare(vp, selector, &raw, rip) || !push_return(vp, &st, bytes, next_rip)) {
		return false;
	}
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	return enter(vp, selector, raw, vp->cpl, rip, ret_rip);
}

static bool copy_parameters(struct emu_vp *vp, struct emu_stack *st, const struct gate *g)
{
	for (unsigned n = g->parameters; n-- > 0;) {
		if (!emu_stack_load(vp, (uint64_t)n * g->bytes, g->bytes) ||
		    !emu_stack_push(vp, st, g->bytes, vp->slow)) {
			return false;
		}
	}
	return true;
}

/* To more privilege: onto the stack that the TSS names. */
static bool call_inner(struct emu_vp *vp, struct gate *g, uint64_t next_rip, uint64_t *ret_rip)
{
	unsigned dpl = x86_desc_dpl(g->raw);
	struct emu_stack st;

	if (!emu_stack_from_tss(vp, dpl, 0, 0, &st) ||
	    !emu_code_prepare(vp, g->selector, &g->raw, g->rip)) {
		return false;
	}
	if (!emu_stack_push(vp, &st, g->bytes, vp->seg[X86_SS].selector) ||
	    !emu_stack_push(vp, &st, g->bytes, vp->r[X86_RSP]) || !copy_parameters(vp, &st, g) ||
	    !push_return(vp, &st, g->bytes, next_rip)) {
		return false;
	}
	vp->seg[X86_SS] = st.ss;
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	return enter(vp, g->selector, g->raw, dpl, g->rip, ret_rip);
}

static bool call_system(struct emu_vp *vp, uint16_t selector, uint64_t raw, uint64_t next_rip,
			uint64_t *ret_rip)
{
	struct gate g;

	switch (system_kind(vp, raw)) {
	case SYSTEM_TASK:
		return task_transfer(vp, selector, raw, EMU_TASK_CALL, next_rip, ret_rip);
	case SYSTEM_GATE:
		break;
	case SYSTEM_BAD:
	default:
		return emu_raise_selector(vp, X86_EXC_GP, selector, 0);
	}
	if (!gate_read(vp, selector, raw, &g)) {
		return false;
	}
	if (!x86_desc_is_conforming(g.raw) && x86_desc_dpl(g.raw) < vp->cpl) {
		return call_inner(vp, &g, next_rip, ret_rip);
	}
	return call_code(vp, g.selector, g.raw, g.rip, g.bytes, next_rip, ret_rip);
}

static bool call_real(struct emu_vp *vp, uint16_t selector, uint64_t offset, unsigned bytes,
		      uint64_t next_rip, uint64_t *ret_rip)
{
	struct emu_stack st;

	if (offset > vp->seg[X86_CS].limit) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	emu_stack_current(vp, &st);
	if (!push_return(vp, &st, bytes, next_rip)) {
		return false;
	}
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	return enter_real(vp, selector, offset, ret_rip);
}

bool emu_far_call(struct emu_vp *vp, uint16_t selector, uint64_t offset, unsigned bytes,
		  uint64_t next_rip, uint64_t *ret_rip)
{
	unsigned vector;
	uint64_t raw;

	if (!emu_protected(vp)) {
		return call_real(vp, selector, offset, bytes, next_rip, ret_rip);
	}
	if (emu_null(selector)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	if (!x86_desc_is_segment(raw)) {
		return call_system(vp, selector, raw, next_rip, ret_rip);
	}
	vector = x86_check_code_transfer(raw, selector & 3, vp->cpl, false, emu_long(vp));
	if (vector != 0) {
		return emu_raise_selector(vp, vector, selector, 0);
	}
	return call_code(vp, selector, raw, offset, bytes, next_rip, ret_rip);
}

/* ---- Returns ---- */

/* The @n-th word of @bytes above the stack pointer, into *ret. */
static bool peek(struct emu_vp *vp, uint64_t offset, unsigned bytes, uint64_t *ret)
{
	if (!emu_stack_load(vp, offset, bytes)) {
		return false;
	}
	*ret = vp->slow;
	return true;
}

static bool return_code(struct emu_vp *vp, uint16_t selector, uint64_t *ret_raw)
{
	unsigned vector;

	if (emu_null(selector)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, ret_raw)) {
		return false;
	}
	vector = x86_check_code_return(*ret_raw, selector & 3, vp->cpl, emu_long(vp));
	return vector == 0 || emu_raise_selector(vp, vector, selector, 0);
}

/* SS that comes with a return to @cpl; a null selector is fine for 64-bit code outside of ring 3. */
static bool return_stack(struct emu_vp *vp, uint16_t selector, unsigned cpl, bool code64,
			 struct x86_segment *ret_ss)
{
	unsigned vector;
	uint64_t raw;

	if (emu_null(selector)) {
		if (!code64 || cpl == 3 || (selector & 3u) != cpl) {
			return emu_raise_error(vp, X86_EXC_GP, 0);
		}
		*ret_ss = (struct x86_segment){.selector = selector,
					       .attributes = (uint16_t)(cpl << X86_SEG_DPL_SHIFT)};
		return true;
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_GP, 0, &raw)) {
		return false;
	}
	vector = x86_check_stack_load(raw, selector & 3, cpl);
	if (vector != 0) {
		return emu_raise_selector(vp, vector, selector, 0);
	}
	if (!emu_descriptor_accessed(vp, selector, &raw)) {
		return false;
	}
	x86_segment_from_descriptor(ret_ss, selector, raw);
	return true;
}

/* After the new mode is in force. */
static void stack_adopt(struct emu_vp *vp, const struct x86_segment *ss, uint64_t sp)
{
	vp->seg[X86_SS] = *ss;
	emu_mode_update(vp);
	emu_sp_set(vp, sp);
}

static void drop_privileged_segments(struct emu_vp *vp)
{
	static const uint8_t segs[] = {X86_ES, X86_DS, X86_FS, X86_GS};

	for (unsigned n = 0; n < sizeof(segs); n++) {
		struct x86_segment *s = &vp->seg[segs[n]];

		if (!(s->attributes & X86_SEG_P) || !x86_segment_survives_return(s, vp->cpl)) {
			/* Null selectors lose their RPL. The base stays: 64-bit code sees it in FS and GS. */
			s->selector = 0;
			s->attributes = 0;
		}
	}
	emu_mode_update(vp);
}

static bool return_real(struct emu_vp *vp, unsigned bytes, uint16_t release, uint64_t *ret_rip)
{
	uint64_t rip, cs;

	if (!peek(vp, 0, bytes, &rip) || !peek(vp, bytes, bytes, &cs)) {
		return false;
	}
	if (rip > vp->seg[X86_CS].limit) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	emu_sp_set(vp, vp->r[X86_RSP] + bytes * 2 + release);
	return enter_real(vp, (uint16_t)cs, rip, ret_rip);
}

bool emu_far_return(struct emu_vp *vp, unsigned bytes, uint16_t release, uint64_t *ret_rip)
{
	uint64_t rip, cs, raw, rsp = 0, ss = 0;
	struct x86_segment stack;
	unsigned cpl;

	if (!emu_protected(vp)) {
		return return_real(vp, bytes, release, ret_rip);
	}
	if (!peek(vp, 0, bytes, &rip) || !peek(vp, bytes, bytes, &cs) ||
	    !return_code(vp, (uint16_t)cs, &raw)) {
		return false;
	}
	cpl = cs & 3;
	if (cpl == vp->cpl) {
		if (!emu_code_prepare(vp, (uint16_t)cs, &raw, rip)) {
			return false;
		}
		emu_sp_set(vp, vp->r[X86_RSP] + bytes * 2 + release);
		return enter(vp, (uint16_t)cs, raw, cpl, rip, ret_rip);
	}
	if (!peek(vp, bytes * 2 + (uint64_t)release, bytes, &rsp) ||
	    !peek(vp, bytes * 3 + (uint64_t)release, bytes, &ss) ||
	    !return_stack(vp, (uint16_t)ss, cpl, code_is_64(vp, raw), &stack) ||
	    !emu_code_prepare(vp, (uint16_t)cs, &raw, rip)) {
		return false;
	}
	enter(vp, (uint16_t)cs, raw, cpl, rip, ret_rip);
	stack_adopt(vp, &stack, rsp + release);
	drop_privileged_segments(vp);
	return true;
}

/* ---- IRET ---- */

struct iret_frame {
	uint64_t rip, cs, flags, rsp, ss;
};

static void merge_flags(struct emu_vp *vp, uint64_t image, uint32_t mask)
{
	emu_flags_set(vp, (emu_flags_get(vp) & ~(uint64_t)(mask | X86_RF)) | (image & mask));
}

static bool iret_real(struct emu_vp *vp, unsigned bytes, uint64_t *ret_rip)
{
	uint32_t mask = emu_flags_changeable(vp, bytes);
	struct iret_frame f;

	if (!peek(vp, 0, bytes, &f.rip) || !peek(vp, bytes, bytes, &f.cs) ||
	    !peek(vp, bytes * 2, bytes, &f.flags)) {
		return false;
	}
	if (f.rip > vp->seg[X86_CS].limit) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (emu_v86(vp) && emu_iopl(vp) < 3) {
		/* VME: the task's interrupt flag is VIF. */
		if (!(vp->cr4 & X86_CR4_VME) || bytes != 2 || (f.flags & X86_TF) ||
		    ((f.flags & X86_IF) && (vp->flags & X86_VIP))) {
			return emu_raise_error(vp, X86_EXC_GP, 0);
		}
		mask = (mask & ~X86_IF) | X86_VIF;
		f.flags |= f.flags & X86_IF ? X86_VIF : 0;
	}
	emu_sp_set(vp, vp->r[X86_RSP] + bytes * 3);
	merge_flags(vp, f.flags, mask);
	return enter_real(vp, (uint16_t)f.cs, f.rip, ret_rip);
}

/* From ring 0 back into a virtual-8086 task. */
static bool iret_v86(struct emu_vp *vp, const struct iret_frame *f, uint64_t *ret_rip)
{
	static const uint8_t order[] = {X86_ES, X86_DS, X86_FS, X86_GS};
	uint64_t rsp, ss, value[4];

	if (!peek(vp, 12, 4, &rsp) || !peek(vp, 16, 4, &ss)) {
		return false;
	}
	for (unsigned n = 0; n < 4; n++) {
		if (!peek(vp, 20 + n * 4, 4, &value[n])) {
			return false;
		}
	}
	if (f->rip > 0xffff) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	emu_flags_set(vp, f->flags);
	vp->cpl = 3;
	emu_segment_load_real(vp, X86_CS, (uint16_t)f->cs);
	emu_segment_load_real(vp, X86_SS, (uint16_t)ss);
	for (unsigned n = 0; n < 4; n++) {
		emu_segment_load_real(vp, order[n], (uint16_t)value[n]);
	}
	vp->r[X86_RSP] = rsp;
	emu_mode_update(vp);
	*ret_rip = f->rip;
	return true;
}

static bool iret_task(struct emu_vp *vp, uint64_t next_rip, uint64_t *ret_rip)
{
	uint16_t link;

	if (emu_long(vp)) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load16_sys(vp, vp->seg[X86_TR].base, &link)) {
		return false;
	}
	return emu_task_switch(vp, link, EMU_TASK_IRET, next_rip, 0, NULL, ret_rip);
}

static bool iret_same(struct emu_vp *vp, unsigned bytes, const struct iret_frame *f, uint64_t raw,
		      uint32_t mask, uint64_t *ret_rip)
{
	if (!emu_code_prepare(vp, (uint16_t)f->cs, &raw, f->rip)) {
		return false;
	}
	emu_sp_set(vp, vp->r[X86_RSP] + bytes * 3);
	merge_flags(vp, f->flags, mask);
	return enter(vp, (uint16_t)f->cs, raw, vp->cpl, f->rip, ret_rip);
}

/* To less privilege, or in 64-bit mode, where the stack is always in the frame. */
static bool iret_stack(struct emu_vp *vp, unsigned bytes, struct iret_frame *f, uint64_t raw,
		       uint32_t mask, uint64_t *ret_rip)
{
	unsigned cpl = f->cs & 3, old_cpl = vp->cpl;
	struct x86_segment stack;

	if (!peek(vp, bytes * 3, bytes, &f->rsp) || !peek(vp, bytes * 4, bytes, &f->ss) ||
	    !return_stack(vp, (uint16_t)f->ss, cpl, code_is_64(vp, raw), &stack) ||
	    !emu_code_prepare(vp, (uint16_t)f->cs, &raw, f->rip)) {
		return false;
	}
	merge_flags(vp, f->flags, mask);
	emu_code_segment_set(vp, (uint16_t)f->cs, raw, cpl);
	vp->seg[X86_SS] = stack;
	emu_mode_update(vp);
	emu_sp_set(vp, f->rsp);
	if (cpl > old_cpl) {
		drop_privileged_segments(vp);
	}
	*ret_rip = f->rip;
	return true;
}

static bool iret_protected(struct emu_vp *vp, unsigned bytes, uint64_t next_rip, uint64_t *ret_rip)
{
	uint32_t mask = emu_flags_changeable(vp, bytes);
	struct iret_frame f;
	uint64_t raw;

	if (vp->flags & X86_NT) {
		return iret_task(vp, next_rip, ret_rip);
	}
	if (!peek(vp, 0, bytes, &f.rip) || !peek(vp, bytes, bytes, &f.cs) ||
	    !peek(vp, bytes * 2, bytes, &f.flags)) {
		return false;
	}
	if (bytes == 4 && (f.flags & X86_VM) && vp->cpl == 0 && !emu_long(vp)) {
		return iret_v86(vp, &f, ret_rip);
	}
	if (bytes > 2 && vp->cpl == 0) {
		mask |= X86_VIF | X86_VIP;
	}
	if (!return_code(vp, (uint16_t)f.cs, &raw)) {
		return false;
	}
	if (vp->mode == EMU_MODE_64 || (f.cs & 3) != vp->cpl) {
		return iret_stack(vp, bytes, &f, raw, mask, ret_rip);
	}
	return iret_same(vp, bytes, &f, raw, mask, ret_rip);
}

bool emu_iret(struct emu_vp *vp, unsigned bytes, uint64_t next_rip, uint64_t *ret_rip)
{
	bool done = emu_protected(vp) ? iret_protected(vp, bytes, next_rip, ret_rip)
				      : iret_real(vp, bytes, ret_rip);

	/* Spec: SDM vol. 3, 27.2.4: NMIs are no longer blocked even when the IRET faults. */
	if (done || vp->event == EMU_EVENT_FAULT) {
		vp->nmi_blocked = false;
	}
	return done;
}
