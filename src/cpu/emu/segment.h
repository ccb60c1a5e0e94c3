/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation, far transfers and task switches. All functions run on the VP's own thread; false means that a fault or an exit was
 * recorded and that no architectural state changed, unless stated otherwise.
 */
#ifndef EMU_SEGMENT_H
#define EMU_SEGMENT_H

#include "vp.h"
#include "x86/descriptor.h"

/* Protected mode and not virtual-8086: selectors name descriptors. */
static inline bool emu_protected(const struct emu_vp *vp)
{
	return (vp->cr0 & X86_CR0_PE) && !(vp->flags & X86_VM);
}

static inline bool emu_v86(const struct emu_vp *vp)
{
	return vp->flags & X86_VM;
}

static inline bool emu_long(const struct emu_vp *vp)
{
	return vp->efer & X86_EFER_LMA;
}

static inline unsigned emu_iopl(const struct emu_vp *vp)
{
	return vp->flags >> 12 & 3;
}

static inline bool emu_null(uint16_t selector)
{
	return !(selector & ~3);
}

/* Raises @vector with @selector's index and table bits, and @ext (0 or 1), as error code. Returns false. */
bool emu_raise_selector(struct emu_vp *vp, unsigned vector, uint16_t selector, uint32_t ext);

/* The descriptor of @selector (not null); beyond its table: @vector with the selector. */
bool emu_descriptor_read(struct emu_vp *vp, uint16_t selector, unsigned vector, uint32_t ext,
			 uint64_t *ret_raw);
/* Without faults of its own: *ret_found is false beyond the table. False only when reading memory failed. For LAR, LSL, VERR, VERW. */
bool emu_descriptor_try(struct emu_vp *vp, uint16_t selector, bool *ret_found, uint64_t *ret_raw);
/* Upper 8 bytes of a 16-byte system descriptor in long mode; its type field must be 0. */
bool emu_descriptor_high(struct emu_vp *vp, uint16_t selector, unsigned vector, uint64_t *ret_high);
/* Sets the accessed bit of a code or data descriptor in memory and in *@raw. */
bool emu_descriptor_accessed(struct emu_vp *vp, uint16_t selector, uint64_t *raw);

/* MOV, POP, Lxs to ES, SS, DS, FS, GS in every mode. */
bool emu_segment_load(struct emu_vp *vp, unsigned seg, uint16_t selector);
/* Real and virtual-8086 mode: base from the selector. */
void emu_segment_load_real(struct emu_vp *vp, unsigned seg, uint16_t selector);
/* A null selector. SS keeps @dpl in its attributes: it carries the CPL. */
void emu_segment_load_null(struct emu_vp *vp, unsigned seg, uint16_t selector, unsigned dpl);
/* CS from a checked descriptor that has its accessed bit; sets CPL. The caller runs emu_mode_update(). */
void emu_code_segment_set(struct emu_vp *vp, uint16_t selector, uint64_t raw, unsigned cpl);

bool emu_lldt(struct emu_vp *vp, uint16_t selector);
bool emu_ltr(struct emu_vp *vp, uint16_t selector);

/* A stack that is not yet (or just) the VP's: pushes go below *sp, nothing else changes. */
struct emu_stack {
	struct x86_segment ss;
	uint64_t sp;	/* full register */
	uint64_t mask;	/* of the bits that count */
	bool user;	/* accesses with the rights of CPL 3 */
	bool flat;	/* 64-bit mode: no limits, canonical addresses */
	uint32_t error; /* of the #SS that a push outside of the segment raises */
};
void emu_stack_current(const struct emu_vp *vp, struct emu_stack *st);
bool emu_stack_push(struct emu_vp *vp, struct emu_stack *st, unsigned bytes, uint64_t value);
/* What RSP becomes when the stack is adopted. */
uint64_t emu_stack_pointer(const struct emu_vp *vp, const struct emu_stack *st);
/*
 * The stack for @dpl from the current TSS (legacy modes: SS and ESP, checked; long mode: RSP, or the IST entry @ist when not 0).
 */
bool emu_stack_from_tss(struct emu_vp *vp, unsigned dpl, unsigned ist, uint32_t ext,
			struct emu_stack *ret_st);

/* ---- Far transfers, far.c. On success state has changed, emu_mode_update() ran and *ret_rip is where to go on. ---- */
/*
 * After a task switch a fault may be recorded although true is returned: it belongs to the new task, and *ret_rip is its return address.
 * @bytes: operand size 2, 4, 8. @next_rip: return address.
 */
bool emu_far_jump(struct emu_vp *vp, uint16_t selector, uint64_t offset, uint64_t next_rip,
		  uint64_t *ret_rip);
bool emu_far_call(struct emu_vp *vp, uint16_t selector, uint64_t offset, unsigned bytes,
		  uint64_t next_rip, uint64_t *ret_rip);
bool emu_far_return(struct emu_vp *vp, unsigned bytes, uint16_t release, uint64_t *ret_rip);
bool emu_iret(struct emu_vp *vp, unsigned bytes, uint64_t next_rip, uint64_t *ret_rip);

/* A new CS:@rip: limit or canonical check (#GP(0)) and accessed bit; then, when nothing can fail any more, emu_code_segment_set(). */
bool emu_code_prepare(struct emu_vp *vp, uint16_t selector, uint64_t *raw, uint64_t rip);

/* ---- Task switch, taskswitch.c ---- */
enum emu_task_cause {
	EMU_TASK_JUMP,
	EMU_TASK_CALL,
	EMU_TASK_INTERRUPT,
	EMU_TASK_IRET,
};
/*
 * To the TSS that @selector names (already checked for privilege; its descriptor is read and checked here). @next_rip is saved in the old
 * TSS. @error: to be pushed on the new stack. False: nothing changed. True: the new task runs from *ret_rip; a fault that came up after the
 * commit point is recorded in vp->event.
 */
bool emu_task_switch(struct emu_vp *vp, uint16_t selector, enum emu_task_cause cause,
		     uint64_t next_rip, uint32_t ext, const uint32_t *error, uint64_t *ret_rip);

/* Loads SYSCALL/SYSENTER style flat segments. */
void emu_segment_flat_code(struct emu_vp *vp, uint16_t selector, unsigned dpl, bool code64);
void emu_segment_flat_stack(struct emu_vp *vp, uint16_t selector, unsigned dpl);

/* I/O permission: IOPL, else the TSS's bitmap. False: #GP(0) or a fault of the TSS access is recorded. */
bool emu_io_allowed(struct emu_vp *vp, uint16_t port, unsigned bytes);

/*
 * INT @vector of a virtual-8086 task with CR4.VME: *ret_redirected tells whether the task's own handler was entered (state changed,
 * *ret_rip); otherwise the caller goes through the IDT.
 */
bool emu_v86_redirect(struct emu_vp *vp, uint8_t vector, uint64_t next_rip, bool *ret_redirected,
		      uint64_t *ret_rip);

/* RFLAGS bits that POPF or IRET at the current CPL may change (without VM, VIF, VIP); @bytes 2, 4, 8. */
uint32_t emu_flags_changeable(const struct emu_vp *vp, unsigned bytes);

#endif
