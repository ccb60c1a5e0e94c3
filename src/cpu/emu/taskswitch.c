/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware task switches. Spec: Intel SDM vol. 3, 7.2 (TSS), 7.3 (task switching). */
#include "control.h"
#include "flags.h"
#include "mem.h"
#include "segment.h"

/* Where things are in the two formats of a TSS. */
struct layout {
	uint8_t word;		 /* bytes of a general register */
	uint8_t rip, flags, gpr; /* gpr: AX CX DX BX SP BP SI DI */
	uint8_t seg, segs;	 /* ES CS SS DS (FS GS), stride = seg_stride */
	uint8_t seg_stride;
	uint8_t ldt;
	uint8_t limit; /* smallest */
};

static const struct layout layout16 = {/* Spec: figure 7-10 */
				       .word = 2,	.rip = 0x0e, .flags = 0x10,
				       .gpr = 0x12,	.seg = 0x22, .segs = 4,
				       .seg_stride = 2, .ldt = 0x2a, .limit = 0x2b};
static const struct layout layout32 = {/* Spec: figure 7-2 */
				       .word = 4,	.rip = 0x20, .flags = 0x24,
				       .gpr = 0x28,	.seg = 0x48, .segs = 6,
				       .seg_stride = 4, .ldt = 0x60, .limit = 0x67};

#define TSS32_CR3 0x1c
#define TSS32_TRAP 0x64

/* What the new task starts with. */
struct task {
	uint16_t selector;
	uint64_t raw;
	struct x86_segment tr;
	const struct layout *l;
	uint32_t rip, flags, cr3;
	uint32_t gpr[8];
	uint16_t seg[6];
	uint16_t ldt;
	bool trap;
};

static const struct layout *layout_of(const struct x86_segment *tr)
{
	return tr->attributes & 8 ? &layout32 : &layout16;
}

static bool load_word(struct emu_vp *vp, uint64_t la, unsigned bytes, uint32_t *ret)
{
	uint16_t low;

	if (bytes == 4) {
		return emu_load32_sys(vp, (uint32_t)la, ret);
	}
	if (!emu_load16_sys(vp, (uint32_t)la, &low)) {
		return false;
	}
	*ret = low;
	return true;
}

static bool store_word(struct emu_vp *vp, uint64_t la, unsigned bytes, uint32_t value)
{
	return bytes == 4 ? emu_store32_sys(vp, (uint32_t)la, value)
			  : emu_store16_sys(vp, (uint32_t)la, (uint16_t)value);
}

static bool task_descriptor(struct emu_vp *vp, struct task *t, enum emu_task_cause cause,
			    uint32_t ext)
{
	unsigned vector = cause == EMU_TASK_IRET ? X86_EXC_TS : X86_EXC_GP, type;

	if (emu_null(t->selector) || (t->selector & 4)) {
		return emu_raise_selector(vp, vector, t->selector, ext);
	}
	if (!emu_descriptor_read(vp, t->selector, vector, ext, &t->raw)) {
		return false;
	}
	type = x86_desc_type(t->raw) & ~(cause == EMU_TASK_IRET ? 2u : 0);
	if (x86_desc_is_segment(t->raw) || (type != X86_TYPE_TSS16 && type != X86_TYPE_TSS32) ||
	    (cause == EMU_TASK_IRET && !(t->raw & X86_DESC_BUSY))) {
		return emu_raise_selector(vp, vector, t->selector, ext);
	}
	if (!x86_desc_present(t->raw)) {
		return emu_raise_selector(vp, X86_EXC_NP, t->selector, ext);
	}
	x86_segment_from_descriptor(&t->tr, t->selector, t->raw);
	t->tr.attributes |= X86_TYPE_RW;
	t->l = layout_of(&t->tr);
	return t->tr.limit >= t->l->limit || emu_raise_selector(vp, X86_EXC_TS, t->selector, ext);
}

static bool task_read(struct emu_vp *vp, struct task *t)
{
	const struct layout *l = t->l;
	uint64_t base = t->tr.base;
	uint32_t word;

	if (!load_word(vp, base + l->rip, l->word, &t->rip) ||
	    !load_word(vp, base + l->flags, l->word, &t->flags)) {
		return false;
	}
	for (unsigned n = 0; n < 8; n++) {
		if (!load_word(vp, base + l->gpr + n * l->word, l->word, &t->gpr[n])) {
			return false;
		}
	}
	for (unsigned n = 0; n < l->segs; n++) {
		if (!load_word(vp, base + l->seg + n * l->seg_stride, 2, &word)) {
			return false;
		}
		t->seg[n] = (uint16_t)word;
	}
	if (!load_word(vp, base + l->ldt, 2, &word)) {
		return false;
	}
	t->ldt = (uint16_t)word;
	if (l->word == 2) {
		return true;
	}
	if (!load_word(vp, base + TSS32_CR3, 4, &t->cr3) ||
	    !load_word(vp, base + TSS32_TRAP, 2, &word)) {
		return false;
	}
	t->trap = word & 1;
	return true;
}

static bool state_store(struct emu_vp *vp, enum emu_task_cause cause, uint64_t next_rip)
{
	const struct layout *l = layout_of(&vp->seg[X86_TR]);
	uint64_t base = vp->seg[X86_TR].base;
	uint32_t flags = (uint32_t)emu_flags_get(vp);

	if (cause == EMU_TASK_IRET) {
		flags &= ~X86_NT;
	}
	if (!store_word(vp, base + l->rip, l->word, (uint32_t)next_rip) ||
	    !store_word(vp, base + l->flags, l->word, flags)) {
		return false;
	}
	for (unsigned n = 0; n < 8; n++) {
		if (!store_word(vp, base + l->gpr + n * l->word, l->word, (uint32_t)vp->r[n])) {
			return false;
		}
	}
	for (unsigned n = 0; n < l->segs; n++) {
		if (!store_word(vp, base + l->seg + n * l->seg_stride, 2, vp->seg[n].selector)) {
			return false;
		}
	}
	return true;
}

static bool busy_set(struct emu_vp *vp, uint16_t selector, bool busy)
{
	uint64_t la = (uint32_t)(vp->gdtr.base + (selector & 0xfff8u) + 5);
	uint8_t byte;

	if (!emu_load8_sys(vp, la, &byte)) {
		return false;
	}
	return emu_store8_sys(vp, la, (uint8_t)(busy ? byte | 2 : byte & ~2));
}

/* Everything of the switch that is in memory; can fail, the registers are still the old task's. */
static bool memory_switch(struct emu_vp *vp, const struct task *t, enum emu_task_cause cause,
			  uint64_t next_rip)
{
	const struct x86_segment *old = &vp->seg[X86_TR];
	bool nested = cause == EMU_TASK_CALL || cause == EMU_TASK_INTERRUPT;

	if (!emu_probe_sys(vp, (uint32_t)old->base, layout_of(old)->limit + 1u, HV_ACCESS_WRITE) ||
	    (nested && !emu_probe_sys(vp, (uint32_t)t->tr.base, 2, HV_ACCESS_WRITE))) {
		return false;
	}
	if (!state_store(vp, cause, next_rip)) {
		return false;
	}
	if (!nested && !busy_set(vp, old->selector, false)) {
		return false;
	}
	if (nested && !store_word(vp, t->tr.base, 2, old->selector)) {
		return false;
	}
	return cause == EMU_TASK_IRET || busy_set(vp, t->selector, true);
}

static void registers_switch(struct emu_vp *vp, const struct task *t, enum emu_task_cause cause)
{
	uint32_t flags = t->flags;

	if (cause == EMU_TASK_CALL || cause == EMU_TASK_INTERRUPT) {
		flags |= X86_NT;
	}
	vp->seg[X86_TR] = t->tr;
	vp->cr0 |= X86_CR0_TS;
	/* Local breakpoints end with their task. */
	vp->dr[7] &= ~UINT64_C(0x155);
	for (unsigned n = 0; n < 8; n++) {
		vp->r[n] = t->l->word == 4 ? t->gpr[n] : (vp->r[n] & 0xffff0000u) | t->gpr[n];
	}
	emu_flags_set(vp, t->l->word == 4 ? flags : flags & 0xffff);
	for (unsigned n = 0; n < 6; n++) {
		emu_segment_load_null(vp, n, t->seg[n], 0);
	}
	emu_segment_load_null(vp, X86_LDTR, t->ldt, 0);
	vp->cpl = vp->flags & X86_VM ? 3 : t->seg[X86_CS] & 3;
}

/* ---- In the new task: faults from here on are its own. ---- */

static bool ldt_load(struct emu_vp *vp, uint16_t selector)
{
	uint64_t raw;

	if (emu_null(selector)) {
		return true;
	}
	if (selector & 4) {
		return emu_raise_selector(vp, X86_EXC_TS, selector, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_TS, 0, &raw)) {
		return false;
	}
	if (x86_desc_is_segment(raw) || x86_desc_type(raw) != X86_TYPE_LDT ||
	    !x86_desc_present(raw)) {
		return emu_raise_selector(vp, X86_EXC_TS, selector, 0);
	}
	x86_segment_from_descriptor(&vp->seg[X86_LDTR], selector, raw);
	return true;
}

/* One segment register by its own rule; #GP of the rule becomes #TS. */
static bool segment_load(struct emu_vp *vp, unsigned seg, uint16_t selector)
{
	unsigned vector;
	uint64_t raw;

	if (emu_null(selector)) {
		return (seg != X86_CS && seg != X86_SS) ||
		       emu_raise_selector(vp, X86_EXC_TS, selector, 0);
	}
	if (!emu_descriptor_read(vp, selector, X86_EXC_TS, 0, &raw)) {
		return false;
	}
	if (seg == X86_CS) {
		vector = x86_check_code_return(raw, selector & 3, vp->cpl, false);
	} else if (seg == X86_SS) {
		vector = x86_check_stack_load(raw, selector & 3, vp->cpl);
	} else {
		vector = x86_check_data_load(raw, selector & 3, vp->cpl);
	}
	if (vector != 0) {
		return emu_raise_selector(vp, vector == X86_EXC_GP ? X86_EXC_TS : vector, selector,
					  0);
	}
	if (!emu_descriptor_accessed(vp, selector, &raw)) {
		return false;
	}
	x86_segment_from_descriptor(&vp->seg[seg], selector, raw);
	return true;
}

static bool segments_load(struct emu_vp *vp, const struct task *t)
{
	static const uint8_t order[] = {X86_CS, X86_SS, X86_ES, X86_DS, X86_FS, X86_GS};

	if (!ldt_load(vp, t->ldt)) {
		return false;
	}
	for (unsigned n = 0; n < sizeof(order); n++) {
		if (vp->flags & X86_VM) {
			emu_segment_load_real(vp, order[n], t->seg[order[n]]);
		} else if (!segment_load(vp, order[n], t->seg[order[n]])) {
			return false;
		}
	}
	return t->rip <= vp->seg[X86_CS].limit || emu_raise_error(vp, X86_EXC_GP, 0);
}

static bool error_push(struct emu_vp *vp, const struct task *t, const uint32_t *error)
{
	struct emu_stack st;

	if (error == NULL) {
		return true;
	}
	emu_stack_current(vp, &st);
	if (!emu_stack_push(vp, &st, t->l->word, *error)) {
		return false;
	}
	vp->r[X86_RSP] = emu_stack_pointer(vp, &st);
	return true;
}

static bool address_space_switch(struct emu_vp *vp, const struct task *t)
{
	if (t->l->word == 2 || !(vp->cr0 & X86_CR0_PG)) {
		return true;
	}
	return emu_cr3_write(vp, t->cr3) || emu_raise_selector(vp, X86_EXC_TS, t->selector, 0);
}

bool emu_task_switch(struct emu_vp *vp, uint16_t selector, enum emu_task_cause cause,
		     uint64_t next_rip, uint32_t ext, const uint32_t *error, uint64_t *ret_rip)
{
	struct task t = {.selector = selector};
	bool good;

	if (!(vp->seg[X86_TR].attributes & X86_SEG_P)) {
		return emu_raise_error(vp, X86_EXC_TS, ext);
	}
	if (!task_descriptor(vp, &t, cause, ext) || !task_read(vp, &t) ||
	    !memory_switch(vp, &t, cause, next_rip)) {
		return false;
	}
	registers_switch(vp, &t, cause);
	good = address_space_switch(vp, &t) && segments_load(vp, &t);
	emu_mode_update(vp);
	good = good && error_push(vp, &t, error);
	if (good && t.trap) {
		emu_raise(vp, X86_EXC_DB);
		vp->fault.parameter = EMU_DR6_BT;
	}
	*ret_rip = t.rip;
	return true;
}
