// SPDX-License-Identifier: Apache-2.0
/*
 * Events on their way into the guest. Exceptions are set as if their delivery had begun: KVM carries it out before the next instruction, and
 * setting registers does not drop them. A non-maskable interrupt that is blocked waits inside KVM, as it does in a processor.
 */
#include <sys/ioctl.h>

#include "lib/bits.h"
#include "vm.h"

void kvm_event_exception(struct kvm_vp *vp, uint8_t vector, bool has_error, uint32_t error,
			 uint64_t parameter)
{
	kvm_exit_drop(vp);
	kvm_state_change(vp, PART_EVENTS);
	vp->events.exception.injected = 1;
	vp->events.exception.pending = 0;
	vp->events.exception.nr = vector;
	vp->events.exception.has_error_code = has_error;
	vp->events.exception.error_code = error;
	if (vector == X86_EXC_PF) {
		kvm_state_change(vp, PART_SREGS);
		vp->sregs.cr2 = parameter;
	} else if (vector == X86_EXC_DB) {
		kvm_state_change(vp, PART_DEBUG);
		vp->debug.dr6 |= parameter;
	}
	vp->injected = true;
}

/* At an instruction boundary with nothing on its way in. */
static bool at_boundary(struct kvm_vp *vp)
{
	kvm_vp_settle(vp);
	return vp->pending == PENDING_NOTHING && !vp->stored && !vp->injected;
}

static bool nothing_on_its_way(const struct kvm_vcpu_events *e)
{
	return !e->exception.injected && !e->exception.pending && !e->interrupt.injected &&
	       !e->nmi.injected;
}

bool kvm_event_can_interrupt(struct kvm_vp *vp)
{
	if (!at_boundary(vp)) {
		return false;
	}
	/* KVM's answer when it came out is the only one that knows LINT0; after changes it has to be asked anew. */
	if (vp->vm->apic.here) {
		return vp->started && vp->dirty == 0 && vp->run->kvm_dirty_regs == 0 &&
		       vp->run->ready_for_interrupt_injection;
	}
	kvm_state_fetch(vp, PART_REGS);
	if (!(kvm_vp_regs(vp)->rflags & X86_IF)) {
		return false;
	}
	/* What KVM said when it came out, unless something was changed since. */
	if (vp->started && vp->dirty == 0 && vp->run->kvm_dirty_regs == 0) {
		return vp->run->ready_for_interrupt_injection;
	}
	kvm_state_fetch(vp, PART_EVENTS);
	return nothing_on_its_way(&vp->events) && !vp->events.interrupt.shadow;
}

bool kvm_event_can_nmi(struct kvm_vp *vp)
{
	if (!at_boundary(vp)) {
		return false;
	}
	kvm_state_fetch(vp, PART_EVENTS);
	return !vp->events.nmi.pending;
}

void kvm_event_interrupt(struct kvm_vp *vp, uint8_t vector)
{
	struct kvm_interrupt interrupt = {.irq = vector};

	vp->injected = true;
	/* As if its delivery had begun: what KVM_INTERRUPT gives to an APIC of KVM's is in no state that is saved. */
	if (vp->vm->apic.here) {
		kvm_apic_wake(vp);
		kvm_state_change(vp, PART_EVENTS);
	}
	if (vp->dirty & PART_EVENTS) {
		vp->events.interrupt.injected = 1;
		vp->events.interrupt.nr = vector;
		vp->events.interrupt.soft = 0;
		return;
	}
	if (ioctl(vp->fd, KVM_INTERRUPT, &interrupt) < 0) {
		atomic_store(&vp->vm->failed, "KVM does not take an interrupt");
	}
	vp->valid &= ~PART_EVENTS;
}

void kvm_event_nmi(struct kvm_vp *vp)
{
	vp->injected = true;
	if (vp->dirty & PART_EVENTS) {
		vp->events.nmi.pending = 1;
		vp->nmi_changed = true;
		return;
	}
	if (ioctl(vp->fd, KVM_NMI) < 0) {
		atomic_store(&vp->vm->failed, "KVM does not take a non-maskable interrupt");
	}
	vp->valid &= ~PART_EVENTS;
}
