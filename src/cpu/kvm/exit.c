// SPDX-License-Identifier: Apache-2.0
/*
 * What KVM's exits mean, and how an instruction is finished or dropped. KVM finishes at the next KVM_RUN: until then a completed
 * instruction is "unsettled", and whoever needs the registers has it settled first (kvm_vp_settle).
 */
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vm.h"

/* Parts that an instruction can come in when it is dropped half-way: more than any has. */
#define DROP_ROUNDS 32

/* ---- Hypercalls ---- */

/* The guest is at the first instruction of a page that only the hypervisor makes: executable, not its own, and beginning with it. */
static bool in_hypercall_page(struct kvm_vp *vp, uint64_t linear)
{
	uint8_t insn[8];
	uint64_t gpa;
	uint32_t error;
	unsigned bytes = kvm_hypercall_insn(insn);

	if (!kvm_walk(vp, linear, HV_ACCESS_EXECUTE, false, &gpa, &error)) {
		return false;
	}
	uint64_t entry = gmem_entry(vp->vm->gmem, gpa >> GMEM_PAGE_SHIFT);
	const void *page = gmem_entry_page(entry);

	return page != NULL && (entry & GMEM_OVERLAY) && (entry & GMEM_X) &&
	       memcmp(page, insn, bytes) == 0;
}

/*
 * A write to the private port from anywhere else is a write to a port. Where KVM emulates OUT it has stepped over it already, else it will.
 */
static bool is_hypercall(struct kvm_vp *vp)
{
	kvm_state_fetch(vp, PART_REGS);
	uint64_t rip = kvm_vp_regs(vp)->rip, offset = rip % GMEM_PAGE_BYTES;

	if (offset != 0 && offset != HYPERCALL_BYTES) {
		return false;
	}
	if (rip - offset != vp->verified_rip) {
		kvm_state_fetch(vp, PART_SREGS);
		if (!in_hypercall_page(vp, rip - offset + vp->sregs.cs.base)) {
			return false;
		}
		vp->verified_rip = rip - offset;
	}
	if (offset != 0) {
		kvm_state_change(vp, PART_REGS);
		kvm_vp_regs(vp)->rip -= offset;
	}
	return true;
}

static bool exit_hypercall(struct kvm_vp *vp, struct hv_exit *ret)
{
	vp->pending = PENDING_HYPERCALL;
	*ret = (struct hv_exit){.kind = HV_EXIT_HYPERCALL, .insn_bytes = HYPERCALL_BYTES};
	return true;
}

/* ---- Ports: one element at a time ---- */

static void *element(struct kvm_vp *vp)
{
	return (uint8_t *)vp->run + vp->run->io.data_offset +
	       (size_t)vp->element * vp->run->io.size;
}

static void describe_element(struct kvm_vp *vp, struct hv_exit *ret)
{
	const struct kvm_run *run = vp->run;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;

	*ret = (struct hv_exit){.kind = HV_EXIT_PORT,
				.port = {.port = run->io.port,
					 .bytes = run->io.size,
					 .write = write,
					 .string = run->io.count > 1,
					 .rep = run->io.count > 1}};
	if (write) {
		memcpy(&ret->port.data, element(vp), run->io.size);
	}
}

static bool exit_port(struct kvm_vp *vp, struct hv_exit *ret)
{
	const struct kvm_run *run = vp->run;

	if (run->io.port == HYPERCALL_PORT && run->io.direction == KVM_EXIT_IO_OUT &&
	    run->io.size == 4 && run->io.count == 1 && is_hypercall(vp)) {
		return exit_hypercall(vp, ret);
	}
	vp->pending = PENDING_PORT;
	vp->element = 0;
	describe_element(vp, ret);
	return true;
}

static void complete_port(struct kvm_vp *vp, uint64_t value)
{
	struct kvm_run *run = vp->run;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		memcpy(element(vp), &value, run->io.size);
	}
	if (++vp->element < run->io.count) {
		describe_element(vp, &vp->exit);
		vp->stored = true;
		return;
	}
	vp->pending = PENDING_NOTHING;
	vp->unsettled = true;
}

/* ---- Memory ---- */

/* Mapped since the guest ran into it: no exit any more. */
static bool memory_there(struct kvm_vp *vp)
{
	struct kvm_run *run = vp->run;

	return run->mmio.is_write ? gmem_write(vp->vm->gmem, run->mmio.phys_addr, run->mmio.data,
					       run->mmio.len)
				  : gmem_read(vp->vm->gmem, run->mmio.phys_addr, run->mmio.data,
					      run->mmio.len);
}

static bool exit_memory(struct kvm_vp *vp, struct hv_exit *ret)
{
	const struct kvm_run *run = vp->run;
	uint64_t gpa = run->mmio.phys_addr;
	uint64_t entry = gmem_entry(vp->vm->gmem, gpa >> GMEM_PAGE_SHIFT);

	if (memory_there(vp)) {
		vp->unsettled = true;
		return false;
	}
	vp->pending = PENDING_MEMORY;
	*ret = (struct hv_exit){
		.kind = HV_EXIT_MEMORY,
		.memory = {.gpa = gpa,
			   .bytes = (uint8_t)run->mmio.len,
			   .access = run->mmio.is_write ? HV_ACCESS_WRITE : HV_ACCESS_READ,
			   .mapped = gmem_entry_page(entry) != NULL}};
	if (run->mmio.is_write) {
		memcpy(&ret->memory.data, run->mmio.data, run->mmio.len);
	}
	return true;
}

/* KVM gives up when it shall execute what is not in memory. */
static bool exit_emulation(struct kvm_vp *vp, struct hv_exit *ret)
{
	uint64_t gpa, linear;
	uint32_t error;

	kvm_state_fetch(vp, PART_REGS);
	kvm_state_fetch(vp, PART_SREGS);
	linear = kvm_vp_regs(vp)->rip + vp->sregs.cs.base;
	if (!kvm_walk(vp, linear, HV_ACCESS_EXECUTE, false, &gpa, &error)) {
		return kvm_exit_failed(ret, "KVM cannot emulate an instruction");
	}
	uint64_t entry = gmem_entry(vp->vm->gmem, gpa >> GMEM_PAGE_SHIFT);

	if (gmem_entry_page(entry) != NULL && (entry & GMEM_R)) {
		return kvm_exit_failed(ret, "KVM cannot emulate an instruction");
	}
	vp->pending = PENDING_EXCEPTION;
	*ret = (struct hv_exit){.kind = HV_EXIT_MEMORY,
				.memory = {.gpa = gpa,
					   .gva = linear,
					   .gva_valid = true,
					   .bytes = 1,
					   .access = HV_ACCESS_EXECUTE,
					   .mapped = gmem_entry_page(entry) != NULL}};
	return true;
}

/* ---- MSRs ---- */

static bool finish_msr(struct kvm_vp *vp, bool fault, uint64_t value)
{
	vp->run->msr.error = fault;
	vp->run->msr.data = value;
	vp->unsettled = true;
	return false;
}

static bool exit_msr(struct kvm_vp *vp, struct hv_exit *ret, bool write)
{
	uint32_t index = vp->run->msr.index;
	uint64_t value = write ? vp->run->msr.data : 0;
	enum x86_msrs_result r;

	if (kvm_msr_in_kernel(vp->vm, index, write)) {
		return finish_msr(vp, true, value); /* it came here because KVM has refused it */
	}
	r = write ? kvm_msr_write(vp, index, value) : kvm_msr_read(vp, index, &value);
	if (r != X86_MSRS_FOREIGN) {
		return finish_msr(vp, r == X86_MSRS_REFUSED, value);
	}
	vp->pending = PENDING_MSR;
	*ret = (struct hv_exit){.kind = HV_EXIT_MSR,
				.insn_bytes = 2,
				.msr = {.index = index, .write = write, .data = value}};
	return true;
}

/* ---- All ---- */

/* What KVM gives up at besides instructions. */
static const char *internal_error(const struct kvm_run *run)
{
	switch (run->internal.suberror) {
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		/* A stack, or a descriptor table, at a device's address or where nothing is: KVM has no way to go on with the delivery (VT-x). */
		return "KVM cannot deliver an interrupt or exception through memory that is no RAM";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "KVM meets two exceptions at once";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "KVM does not know why the processor left the guest";
	default:
		return "KVM reports an internal error";
	}
}

bool kvm_exit_translate(struct kvm_vp *vp, struct hv_exit *ret)
{
	switch (vp->run->exit_reason) {
	case KVM_EXIT_IO:
		return exit_port(vp, ret);
	case KVM_EXIT_MMIO:
		return exit_memory(vp, ret);
	case KVM_EXIT_X86_RDMSR:
		return exit_msr(vp, ret, false);
	case KVM_EXIT_X86_WRMSR:
		return exit_msr(vp, ret, true);
	case KVM_EXIT_HLT:
		return kvm_exit_plain(ret, HV_EXIT_HALT);
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return kvm_exit_plain(ret, HV_EXIT_INTERRUPT_WINDOW);
	case KVM_EXIT_SET_TPR:
		return kvm_exit_plain(ret, HV_EXIT_INTERRUPTED); /* interrupts may be let in now */
	case KVM_EXIT_IOAPIC_EOI:
		*ret = (struct hv_exit){.kind = HV_EXIT_EOI, .eoi.vector = vp->run->eoi.vector};
		return true;
	case KVM_EXIT_SHUTDOWN:
		return kvm_exit_plain(ret, HV_EXIT_TRIPLE_FAULT);
	case KVM_EXIT_INTR:
		return false;
	case KVM_EXIT_DIRTY_RING_FULL:
		kvm_dirty_ring_full(vp);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		if (vp->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
			return exit_emulation(vp, ret);
		}
		return kvm_exit_failed(ret, internal_error(vp->run));
	case KVM_EXIT_FAIL_ENTRY:
		return kvm_exit_failed(ret, "the processor refuses the guest's state");
	default:
		return kvm_exit_failed(ret, "KVM exits for a reason that nobody asked for");
	}
}

void kvm_exit_complete(struct kvm_vp *vp, const uint64_t values[4])
{
	switch (vp->pending) {
	case PENDING_PORT:
		complete_port(vp, values[0]);
		return;
	case PENDING_MEMORY:
		memcpy(vp->run->mmio.data, &values[0], sizeof(vp->run->mmio.data));
		vp->unsettled = true;
		break;
	case PENDING_MSR:
		finish_msr(vp, false, values[0]);
		break;
	case PENDING_HYPERCALL:
		/* KVM would step over the instruction if RIP were still there; like this it sees that somebody else did. */
		kvm_state_change(vp, PART_REGS);
		kvm_vp_regs(vp)->rip += HYPERCALL_BYTES;
		break;
	case PENDING_NOTHING:
	case PENDING_EXCEPTION:
		break;
	}
	vp->pending = PENDING_NOTHING;
}

/* The harmless answer to whatever exit is at hand: nothing is done with it. */
static void answer_with_nothing(struct kvm_vp *vp)
{
	struct kvm_run *run = vp->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_IN) {
			memset((uint8_t *)run + run->io.data_offset, 0xFF,
			       (size_t)run->io.size * run->io.count);
		}
		break;
	case KVM_EXIT_MMIO:
		memset(run->mmio.data, 0xFF, sizeof(run->mmio.data));
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		run->msr.error = 1;
		break;
	default:
		break;
	}
}

/* A fault that finishing it has raised. */
static void forget_fault(struct kvm_vp *vp)
{
	kvm_state_fetch(vp, PART_EVENTS);
	if (vp->events.exception.injected || vp->events.exception.pending) {
		kvm_state_change(vp, PART_EVENTS);
		vp->events.exception.injected = 0;
		vp->events.exception.pending = 0;
	}
}

void kvm_exit_drop(struct kvm_vp *vp)
{
	enum kvm_pending pending = vp->pending;
	struct kvm_regs before;
	const char *what;

	vp->pending = PENDING_NOTHING;
	vp->stored = false;
	if (pending == PENDING_NOTHING || pending == PENDING_EXCEPTION) {
		return;
	}
	kvm_state_change(vp, PART_REGS);
	before = *kvm_vp_regs(vp);
	if (pending == PENDING_PORT || pending == PENDING_HYPERCALL) {
		kvm_vp_regs(vp)->rip ^= 1; /* KVM steps only over the instruction that it knows */
	}
	if (!kvm_state_flush(vp, &what)) {
		atomic_store(&vp->vm->failed, what);
		return;
	}
	answer_with_nothing(vp);
	for (unsigned n = 0; n < DROP_ROUNDS && kvm_vp_enter(vp, true) == 0; n++) {
		answer_with_nothing(vp);
	}
	forget_fault(vp);
	kvm_state_change(vp, PART_REGS);
	*kvm_vp_regs(vp) = before;
}
