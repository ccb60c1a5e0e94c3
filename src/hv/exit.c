// SPDX-License-Identifier: Apache-2.0
/* The engine's exits: what the core answers by itself, what becomes a message to the parent, and how the parent's answer is carried out. */
#include "run.h"

static void complete(struct hv_vp *vp, uint64_t value)
{
	uint64_t values[4] = {value, 0, 0, 0};

	vp_ops(vp)->complete(vp->engine, values);
}

static void fault_gp(struct hv_vp *vp)
{
	vp_ops(vp)->inject_exception(vp->engine, X86_EXC_GP, true, 0, 0);
}

static void fault_ud(struct hv_vp *vp)
{
	vp_ops(vp)->inject_exception(vp->engine, X86_EXC_UD, false, 0, 0);
}

static enum step intercepted(struct hv_vp *vp)
{
	vp->intercept = true;
	return STEP_INTERCEPT;
}

static enum step exit_port(struct hv_vp *vp, struct hv_message *message)
{
	if (intercept_port(vp->partition, vp->exit.port.port, vp->exit.port.write)) {
		message_port(vp, &vp->exit, message);
		return intercepted(vp);
	}
	complete(vp, UINT32_MAX >> (32 - 8 * vp->exit.port.bytes));
	return STEP_AGAIN;
}

static bool is_apic_page(const struct hv_vp *vp, uint64_t gpa)
{
	return (vp->lapic.base & LAPIC_BASE_ENABLE) && !lapic_x2apic(vp) &&
	       ((gpa ^ vp->lapic.base) & GMEM_PAGE_MASK) == 0 &&
	       vp->exit.memory.access != HV_ACCESS_EXECUTE;
}

static enum step apic_page(struct hv_vp *vp)
{
	unsigned offset = (unsigned)vp->exit.memory.gpa & (GMEM_PAGE_BYTES - 1);
	uint64_t value = 0;

	if (vp->exit.memory.access == HV_ACCESS_WRITE) {
		lapic_mmio_write(vp, offset, vp->exit.memory.bytes, vp->exit.memory.data);
	} else {
		lapic_mmio_read(vp, offset, vp->exit.memory.bytes, &value);
	}
	complete(vp, value);
	return STEP_AGAIN;
}

static enum step exit_memory(struct hv_vp *vp, struct hv_message *message)
{
	uint64_t gpa = vp->exit.memory.gpa;
	uint32_t access = 1u << vp->exit.memory.access;

	if (is_apic_page(vp, gpa)) {
		return apic_page(vp);
	}
	/* Spec: TLFS 3.13: a write to the hypercall page is #GP. */
	if (gmem_entry(&vp->partition->gmem, gpa >> GMEM_PAGE_SHIFT) & GMEM_OVERLAY) {
		fault_gp(vp);
		return STEP_AGAIN;
	}
	if (vp->partition->intercepts.mmio & access) {
		message_memory(vp, &vp->exit, message);
		return intercepted(vp);
	}
	if (vp->exit.memory.access == HV_ACCESS_EXECUTE) {
		fault_ud(vp); /* an empty bus reads as ones, and FF FF is no instruction */
		return STEP_AGAIN;
	}
	complete(vp, UINT64_MAX);
	return STEP_AGAIN;
}

static enum step unknown_msr(struct hv_vp *vp, struct hv_message *message)
{
	if (intercept_msr(vp->partition, vp->exit.msr.index, vp->exit.msr.write)) {
		message_msr(vp, vp->exit.msr.index, vp->exit.msr.write, vp->exit.msr.data, message);
		return intercepted(vp);
	}
	if (vp->partition->settings.unimplemented_msr_action == HV_UNIMPLEMENTED_MSR_ACTION_FAULT) {
		fault_gp(vp);
	} else {
		complete(vp, 0);
	}
	return STEP_AGAIN;
}

static enum step exit_msr(struct hv_vp *vp, struct hv_message *message)
{
	uint64_t value = 0;
	enum msr_result r;

	if (vp->exit.msr.write) {
		r = msr_write(vp, vp->exit.msr.index, vp->exit.msr.data);
	} else {
		r = msr_read(vp, vp->exit.msr.index, &value);
	}
	if (r == MSR_UNKNOWN) {
		return unknown_msr(vp, message);
	}
	if (r == MSR_FAULT) {
		fault_gp(vp);
	} else {
		complete(vp, value);
	}
	return STEP_AGAIN;
}

static enum step exit_cr8(struct hv_vp *vp)
{
	if (!vp->exit.cr8.write) {
		complete(vp, vp->lapic.tpr >> 4);
	} else if (vp->exit.cr8.data > 0xF) {
		fault_gp(vp);
	} else {
		lapic_tpr_set(vp, (uint32_t)vp->exit.cr8.data << 4);
		complete(vp, 0);
	}
	return STEP_AGAIN;
}

static enum step exit_cpuid(struct hv_vp *vp, struct hv_message *message)
{
	uint64_t values[4];
	uint32_t regs[4];

	cpuid_answer(vp, vp->exit.cpuid.leaf, vp->exit.cpuid.subleaf, regs);
	if (intercept_cpuid(vp->partition, vp->exit.cpuid.leaf)) {
		message_cpuid(vp, &vp->exit, regs, message);
		return intercepted(vp);
	}
	for (unsigned i = 0; i < 4; i++) {
		values[i] = regs[i];
	}
	vp_ops(vp)->complete(vp->engine, values);
	return STEP_AGAIN;
}

static enum step exit_hypercall(struct hv_vp *vp, struct hv_message *message)
{
	if (hypercall_guest(vp)) {
		return STEP_AGAIN;
	}
	*message = *vp->message;
	return intercepted(vp);
}

enum step exit_answer(struct hv_vp *vp, struct hv_message *message)
{
	switch (vp->exit.kind) {
	case HV_EXIT_PORT:
		return exit_port(vp, message);
	case HV_EXIT_MEMORY:
		return exit_memory(vp, message);
	case HV_EXIT_MSR:
		return exit_msr(vp, message);
	case HV_EXIT_CR8:
		return exit_cr8(vp);
	case HV_EXIT_CPUID:
		return exit_cpuid(vp, message);
	case HV_EXIT_HYPERCALL:
		return exit_hypercall(vp, message);
	case HV_EXIT_HALT:
		vp->halted = true;
		return STEP_AGAIN;
	case HV_EXIT_EXCEPTION:
		message_exception(vp, &vp->exit, message);
		return intercepted(vp);
	case HV_EXIT_TRIPLE_FAULT:
		vp->dead = true;
		message_simple(vp, (uint32_t)HvMessageTypeUnrecoverableException, message);
		return STEP_INTERCEPT;
	case HV_EXIT_FAILED:
		vp->dead = true;
		message_text(vp, (uint32_t)HvMessageTypeUnsupportedFeature, vp->exit.failed.what,
			     message);
		return STEP_INTERCEPT;
	case HV_EXIT_EOI:
		message_apic_eoi(vp, vp->exit.eoi.vector, message);
		return STEP_INTERCEPT;
	case HV_EXIT_INTERRUPTED:
	case HV_EXIT_INTERRUPT_WINDOW:
	case HV_EXIT_IRET_NMI:
		return STEP_AGAIN;
	}
	return STEP_AGAIN;
}

/* ---- The parent's answer ---- */

void hv_vp_finish(struct hv_vp *vp, const uint64_t values[4])
{
	const struct hv_exit *e = &vp->exit;

	vp_acquire(vp);
	if (vp->intercept) {
		vp->intercept = false;
		switch (e->kind) {
		case HV_EXIT_MEMORY:
			if (e->memory.access == HV_ACCESS_EXECUTE) {
				fault_ud(vp);
				break;
			}
			vp_ops(vp)->complete(vp->engine, values);
			break;
		case HV_EXIT_PORT:
		case HV_EXIT_MSR:
		case HV_EXIT_CPUID:
		case HV_EXIT_HYPERCALL:
			vp_ops(vp)->complete(vp->engine, values);
			break;
		case HV_EXIT_EXCEPTION:
			vp_ops(vp)->inject_exception(vp->engine, e->exception.vector,
						     e->exception.has_error, e->exception.error,
						     e->exception.parameter);
			break;
		default:
			break;
		}
	}
	vp_release(vp);
}

void hv_vp_finish_fault(struct hv_vp *vp, uint8_t vector, bool has_error, uint32_t error)
{
	vp_acquire(vp);
	if (vp->intercept) {
		vp->intercept = false;
		vp_ops(vp)->inject_exception(vp->engine, vector, has_error, error,
					     vector == X86_EXC_PF ? vp->exit.memory.gva : 0);
	}
	vp_release(vp);
}
