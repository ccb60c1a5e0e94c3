/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and exceptions through the IDT. Spec: Intel SDM vol. 3, chapter 6; INT n in vol. 2. */
#include "control.h"
#include "flags.h"
#include "mem.h"
#include "segment.h"
#include "x86/paging.h"

/* More faults in a row than any chain of different ones: a processor that gets nowhere. */
#define CHAIN_MAX 8

/* Delivery of one event. */
struct delivery {
	const struct emu_fault *f;
	uint32_t ext; /* EXT bit of error codes */
	bool has_error;
	uint64_t flags; /* image to be pushed */
	uint64_t rip;	/* handler */
	uint16_t cs;
	uint64_t raw;	/* its descriptor */
	unsigned bytes; /* of a stack word */
	unsigned ist;
	bool trap_gate;
};

static bool is_fault_class(const struct emu_fault *f)
{
	static const uint32_t faults = 1u << X86_EXC_DE | 1u << X86_EXC_BR | 1u << X86_EXC_UD |
				       1u << X86_EXC_NM | 1u << X86_EXC_TS | 1u << X86_EXC_NP |
				       1u << X86_EXC_SS | 1u << X86_EXC_GP | 1u << X86_EXC_PF |
				       1u << X86_EXC_MF | 1u << X86_EXC_AC | 1u << X86_EXC_XM;

	return !f->software && !f->external && f->vector < 32 && (faults >> f->vector & 1);
}

static bool raise_gate(struct emu_vp *vp, const struct delivery *d, unsigned vector)
{
	/* Bit 1: the index is the IDT's. */
	return emu_raise_error(vp, (uint8_t)vector, d->f->vector * 8u + 2 + d->ext);
}

static void flags_after(struct emu_vp *vp, uint32_t cleared)
{
	emu_flags_set(vp, emu_flags_get(vp) & ~(uint64_t)cleared);
}

/* ---- Real mode ---- */

static bool push3(struct emu_vp *vp, struct emu_stack *st, unsigned bytes, uint64_t flags)
{
	return emu_stack_push(vp, st, bytes, flags) &&
	       emu_stack_push(vp, st, bytes, vp->seg[X86_CS].selector) &&
	       emu_stack_push(vp, st, bytes, vp->rip);
}

static bool deliver_real(struct emu_vp *vp, const struct delivery *d)
{
	struct emu_stack st;
	uint32_t entry;

	if (d->f->vector * 4u + 3 > vp->idtr.limit) {
		return emu_raise_error(vp, X86_EXC_GP, d->f->vector * 8u + 2);
	}
	if (!emu_load32_sys(vp, (uint32_t)(vp->idtr.base + d->f->vector * 4u), &entry)) {
		return false;
	}
	emu_stack_current(vp, &st);
	if (!push3(vp, &st, 2, d->flags)) {
		return false;
	}
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	flags_after(vp, X86_IF | X86_TF | X86_AC | X86_RF);
	emu_segment_load_real(vp, X86_CS, (uint16_t)(entry >> 16));
	vp->rip = entry & 0xffff;
	return true;
}

/* ---- Protected and long mode ---- */

static bool deliver_task(struct emu_vp *vp, const struct delivery *d, uint16_t selector)
{
	uint32_t error = d->f->error;

	return emu_task_switch(vp, selector, EMU_TASK_INTERRUPT, vp->rip, d->ext,
			       d->has_error ? &error : NULL, &vp->rip);
}

static bool gate_type_good(const struct emu_vp *vp, unsigned type)
{
	if (emu_long(vp)) {
		return type == X86_TYPE_INT32 || type == X86_TYPE_TRAP32;
	}
	return type == X86_TYPE_TASK || type == X86_TYPE_INT16 || type == X86_TYPE_TRAP16 ||
	       type == X86_TYPE_INT32 || type == X86_TYPE_TRAP32;
}

/* Reads and checks the gate; *ret_raw is its first 8 bytes. */
static bool gate_read(struct emu_vp *vp, struct delivery *d, uint64_t *ret_raw)
{
	unsigned size = emu_long(vp) ? 16 : 8;
	uint32_t offset = d->f->vector * size;
	uint64_t la = vp->idtr.base + offset, high = 0;

	if (offset + size - 1 > vp->idtr.limit) {
		return raise_gate(vp, d, X86_EXC_GP);
	}
	if (!emu_load64_sys(vp, emu_long(vp) ? la : (uint32_t)la, ret_raw)) {
		return false;
	}
	if (emu_long(vp) && !emu_load64_sys(vp, la + 8, &high)) {
		return false;
	}
	if (x86_desc_is_segment(*ret_raw) || !gate_type_good(vp, x86_desc_type(*ret_raw)) ||
	    (d->f->software && x86_desc_dpl(*ret_raw) < vp->cpl)) {
		return raise_gate(vp, d, X86_EXC_GP);
	}
	if (!x86_desc_present(*ret_raw)) {
		return raise_gate(vp, d, X86_EXC_NP);
	}
	d->cs = x86_gate_selector(*ret_raw);
	d->rip = x86_gate_offset(*ret_raw) | high << 32;
	d->trap_gate = x86_desc_type(*ret_raw) & 1;
	d->bytes = emu_long(vp) ? 8 : x86_desc_type(*ret_raw) & 8 ? 4 : 2;
	d->ist = emu_long(vp) ? x86_gate_ist(*ret_raw) : 0;
	if (d->bytes == 2) {
		d->rip &= 0xffff;
	}
	return true;
}

static bool handler_read(struct emu_vp *vp, struct delivery *d)
{
	if (emu_null(d->cs)) {
		return emu_raise_error(vp, X86_EXC_GP, d->ext);
	}
	if (!emu_descriptor_read(vp, d->cs, X86_EXC_GP, d->ext, &d->raw)) {
		return false;
	}
	if (!x86_desc_is_code(d->raw) || x86_desc_dpl(d->raw) > vp->cpl ||
	    (emu_long(vp) && (d->raw >> 53 & 3) != 1)) {
		return emu_raise_selector(vp, X86_EXC_GP, d->cs, d->ext);
	}
	return x86_desc_present(d->raw) || emu_raise_selector(vp, X86_EXC_NP, d->cs, d->ext);
}

/* The stack of the handler; *ret_inner when the privilege changes. */
static bool handler_stack(struct emu_vp *vp, const struct delivery *d, struct emu_stack *st,
			  bool *ret_inner)
{
	unsigned dpl = x86_desc_dpl(d->raw);

	*ret_inner = !x86_desc_is_conforming(d->raw) && dpl < vp->cpl;
	if (emu_v86(vp) && (!*ret_inner || dpl != 0)) {
		return emu_raise_selector(vp, X86_EXC_GP, d->cs, d->ext);
	}
	if (*ret_inner || d->ist != 0) {
		if (!emu_stack_from_tss(vp, *ret_inner ? dpl : vp->cpl, d->ist, d->ext, st)) {
			return false;
		}
		st->user = (*ret_inner ? dpl : vp->cpl) == 3;
	} else {
		emu_stack_current(vp, st);
		st->error = d->ext;
		st->flat = emu_long(vp);
		st->mask = emu_long(vp) ? ~UINT64_C(0) : st->mask;
	}
	if (emu_long(vp)) {
		st->sp &= ~UINT64_C(15);
	}
	return true;
}

static bool frame_push(struct emu_vp *vp, const struct delivery *d, struct emu_stack *st,
		       bool inner)
{
	static const uint8_t v86_segments[] = {X86_GS, X86_FS, X86_DS, X86_ES};

	if (emu_v86(vp)) {
		for (unsigned n = 0; n < sizeof(v86_segments); n++) {
			if (!emu_stack_push(vp, st, d->bytes, vp->seg[v86_segments[n]].selector)) {
				return false;
			}
		}
	}
	if ((inner || emu_long(vp)) &&
	    (!emu_stack_push(vp, st, d->bytes, vp->seg[X86_SS].selector) ||
	     !emu_stack_push(vp, st, d->bytes, vp->r[X86_RSP]))) {
		return false;
	}
	return push3(vp, st, d->bytes, d->flags) &&
	       (!d->has_error || emu_stack_push(vp, st, d->bytes, d->f->error));
}

static bool deliver_protected(struct emu_vp *vp, struct delivery *d)
{
	static const uint8_t segments[] = {X86_ES, X86_DS, X86_FS, X86_GS};
	struct emu_stack st;
	uint64_t gate;
	bool inner, from_v86 = emu_v86(vp);
	unsigned cpl;

	if (!gate_read(vp, d, &gate)) {
		return false;
	}
	if (x86_desc_type(gate) == X86_TYPE_TASK) {
		return deliver_task(vp, d, d->cs);
	}
	if (!handler_read(vp, d) || !handler_stack(vp, d, &st, &inner) ||
	    !emu_code_prepare(vp, d->cs, &d->raw, d->rip) || !frame_push(vp, d, &st, inner)) {
		return false;
	}
	cpl = inner ? x86_desc_dpl(d->raw) : vp->cpl;
	if (inner) {
		vp->seg[X86_SS] = st.ss;
	}
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	flags_after(vp, X86_TF | X86_NT | X86_RF | X86_VM | (d->trap_gate ? 0 : X86_IF));
	emu_code_segment_set(vp, d->cs, d->raw, cpl);
	if (from_v86) {
		for (unsigned n = 0; n < sizeof(segments); n++) {
			emu_segment_load_null(vp, segments[n], 0, 0);
		}
	}
	vp->rip = d->rip;
	return true;
}

/* Registers that tell the handler what happened; they change even when the delivery itself fails. */
static void report(struct emu_vp *vp, const struct emu_fault *f)
{
	if (f->software || f->external) {
		return;
	}
	if (f->vector == X86_EXC_PF) {
		vp->cr2 = f->parameter;
	} else if (f->vector == X86_EXC_DB) {
		vp->dr[6] = (vp->dr[6] & ~UINT64_C(0xf)) | EMU_DR6_FIXED |
			    (f->parameter & EMU_DR6_MASK);
		vp->dr[7] &= ~EMU_DR7_GD;
		vp->msr.debugctl &= ~UINT64_C(3);
	}
}

static bool deliver_one(struct emu_vp *vp, const struct emu_fault *f)
{
	struct delivery d = {
		.f = f,
		.ext = !f->software,
		.has_error = f->has_error && !f->software,
		.flags = emu_flags_get(vp) | (is_fault_class(f) ? X86_RF : 0),
	};
	bool done;

	report(vp, f);
	if (vp->cr0 & X86_CR0_PE) {
		done = deliver_protected(vp, &d);
	} else {
		done = deliver_real(vp, &d);
	}
	if (!done) {
		return false;
	}
	if (f->external && f->vector == X86_EXC_NMI) {
		vp->nmi_blocked = true;
	}
	vp->shadow = false;
	vp->shadow_ss = false;
	vp->replay_count = 0;
	vp->replay_next = 0;
	emu_mode_update(vp);
	return true;
}

/* ---- Faults on the way. Spec: SDM vol. 3, table 6-5 ---- */

enum severity {
	BENIGN,
	CONTRIBUTORY,
	PAGE_FAULT,
	DOUBLE_FAULT,
};

static enum severity severity(const struct emu_fault *f)
{
	if (f->software || f->external) {
		return BENIGN;
	}
	switch (f->vector) {
	case X86_EXC_DE:
	case X86_EXC_TS:
	case X86_EXC_NP:
	case X86_EXC_SS:
	case X86_EXC_GP:
		return CONTRIBUTORY;
	case X86_EXC_PF:
		return PAGE_FAULT;
	case X86_EXC_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

/* @second came up while @first was delivered: what to deliver now. False: triple fault. */
static bool combine(const struct emu_fault *first, const struct emu_fault *second,
		    struct emu_fault *ret)
{
	enum severity a = severity(first), b = severity(second);

	if (a == DOUBLE_FAULT && b != BENIGN) {
		return false;
	}
	if ((a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b >= CONTRIBUTORY)) {
		*ret = (struct emu_fault){.vector = X86_EXC_DF, .has_error = true};
	} else {
		*ret = *second;
	}
	return true;
}

/* The parent has to answer an access of the delivery: it starts over afterwards. */
static void deliver_later(struct emu_vp *vp, const struct emu_fault *f)
{
	vp->inject = *f;
	vp->injected = true;
	vp->pending = vp->exit.kind == HV_EXIT_MEMORY;
}

void emu_deliver(struct emu_vp *vp, const struct emu_fault *fault)
{
	struct emu_fault f = *fault, next;

	for (unsigned chain = 0; chain < CHAIN_MAX; chain++) {
		bool done;

		vp->event = EMU_EVENT_NONE;
		vp->replay_next = 0;
		done = deliver_one(vp, &f);
		if (vp->event == EMU_EVENT_NONE) {
			return;
		}
		if (vp->event == EMU_EVENT_EXIT) {
			if (!done) {
				deliver_later(vp, &f);
			}
			return;
		}
		vp->noncanonical = false;
		if (done) {
			/* A task switch whose new task begins with a fault of its own. */
			f = vp->fault;
			continue;
		}
		if (f.software) {
			/* INT n itself faults: parameter is its length. */
			vp->rip -= f.parameter;
			vp->rip = vp->mode == EMU_MODE_64 ? vp->rip : (uint32_t)vp->rip;
		}
		next = vp->fault;
		if (next.vector == X86_EXC_PF) {
			/* Even when it becomes a double fault. Spec: SDM vol. 3, 6.15, interrupt 14, footnote */
			vp->cr2 = next.parameter;
		}
		if (!combine(&f, &next, &f)) {
			break;
		}
	}
	emu_exit(vp, HV_EXIT_TRIPLE_FAULT);
}

/* ---- Virtual-8086 interrupts with VME. Spec: SDM vol. 3, 20.3.3 ---- */

/* The redirection bitmap ends where the I/O bitmap begins. *ret_set: the interrupt goes to the monitor. */
static bool redirection_bit(struct emu_vp *vp, uint8_t vector, bool *ret_set)
{
	const struct x86_segment *tr = &vp->seg[X86_TR];
	uint16_t map;
	uint8_t byte;

	if (tr->limit < 103) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load16_sys(vp, tr->base + 102, &map)) {
		return false;
	}
	if (map < 32 || map - 32u + vector / 8u > tr->limit) {
		return emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load8_sys(vp, tr->base + map - 32u + vector / 8u, &byte)) {
		return false;
	}
	*ret_set = byte >> (vector & 7) & 1;
	return true;
}

bool emu_v86_redirect(struct emu_vp *vp, uint8_t vector, uint64_t next_rip, bool *ret_redirected,
		      uint64_t *ret_rip)
{
	bool virtual = emu_iopl(vp) < 3, to_monitor = true;
	uint64_t flags = emu_flags_get(vp);
	struct emu_stack st;
	uint32_t entry;

	*ret_redirected = false;
	if ((vp->cr4 & X86_CR4_VME) && !redirection_bit(vp, vector, &to_monitor)) {
		return false;
	}
	if (to_monitor) {
		return !virtual || emu_raise_error(vp, X86_EXC_GP, 0);
	}
	if (!emu_load32(vp, vector * 4u, &entry)) {
		return false;
	}
	if (virtual) {
		flags = (flags & ~(uint64_t)X86_IF) | X86_IOPL | (flags & X86_VIF ? X86_IF : 0);
	}
	emu_stack_current(vp, &st);
	if (!emu_stack_push(vp, &st, 2, flags) ||
	    !emu_stack_push(vp, &st, 2, vp->seg[X86_CS].selector) ||
	    !emu_stack_push(vp, &st, 2, next_rip)) {
		return false;
	}
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	flags_after(vp, X86_TF | X86_RF | (virtual ? X86_VIF : X86_IF));
	emu_segment_load_real(vp, X86_CS, (uint16_t)(entry >> 16));
	emu_mode_update(vp);
	*ret_redirected = true;
	*ret_rip = entry & 0xffff;
	return true;
}
