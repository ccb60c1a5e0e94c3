// SPDX-License-Identifier: Apache-2.0
/*
 * VP dispatch: decides what a VP does next - take an event, run, sleep, or ask its parent - and answers the engine's exits.
 *
 * How nothing is lost without a lock: whoever makes work for a VP (a request bit, an IRR bit) does that first and then looks whether the
 * VP is "running" or "blocked" (vp_notify). The dispatcher announces "running" or "blocked" first and then looks for work.
 */
#include "core.h"

#define NS_PER_SECOND UINT64_C(1000000000)

enum step {
	STEP_AGAIN,
	STEP_INTERCEPT,
	STEP_BLOCKED,
	STEP_INTERRUPTED,
	STEP_SUSPENDED,
};

static const struct hv_engine_ops *ops(const struct hv_vp *vp)
{
	return vp_ops(vp);
}

static bool take_request(struct hv_vp *vp, uint32_t bit, uint32_t *ret_all)
{
	if (!vp_request_test(vp, bit)) {
		return false;
	}
	*ret_all = __atomic_fetch_and(&vp->requests, ~bit, __ATOMIC_SEQ_CST);
	return true;
}

static void complete(struct hv_vp *vp, uint64_t value)
{
	uint64_t values[4] = {value, 0, 0, 0};

	ops(vp)->complete(vp->engine, values);
}

static void fault_gp(struct hv_vp *vp)
{
	ops(vp)->inject_exception(vp->engine, X86_EXC_GP, true, 0, 0);
}

static void fault_ud(struct hv_vp *vp)
{
	ops(vp)->inject_exception(vp->engine, X86_EXC_UD, false, 0, 0);
}

/* ---- Events on their way into the guest ---- */

static bool extint_waits(const struct hv_vp *vp)
{
	return vp->index == 0 && (__atomic_load_n(&vp->partition->extint, __ATOMIC_SEQ_CST) & 1) &&
	       (apic_away(vp) || lapic_accepts_extint(vp));
}

/* Of those that the core injects itself. */
static int pending(const struct hv_vp *vp)
{
	return apic_away(vp) ? -1 : lapic_pending(vp);
}

static bool wakes(struct hv_vp *vp)
{
	if (vp_request_test(vp, REQUEST_NMI) && ops(vp)->can_nmi(vp->engine)) {
		return true;
	}
	/*
	 * An interrupt that IF or the priority holds back ends the idle state, too. Interop: Linux's
	 * paravirtual spinlocks wait like this in interrupt handlers of the kick's own class.
	 */
	if (vp->idle && lapic_any_requested(vp)) {
		return true;
	}
	if (pending(vp) < 0 && vp->extint_vector < 0 && !extint_waits(vp)) {
		return false;
	}
	return ops(vp)->can_interrupt(vp->engine);
}

void vp_take_init_sipi(struct hv_vp *vp)
{
	uint32_t all;

	if (take_request(vp, REQUEST_INIT, &all)) {
		vp_do_init(vp);
	}
	if (take_request(vp, REQUEST_SIPI, &all)) {
		vp_do_sipi(vp, (uint8_t)(all >> REQUEST_SIPI_VECTOR_SHIFT));
	}
}

static void inject_nmi(struct hv_vp *vp, struct hv_run *how)
{
	uint32_t all;

	if (!vp_request_test(vp, REQUEST_NMI)) {
		return;
	}
	if (!ops(vp)->can_nmi(vp->engine)) {
		how->want_nmi_window = true;
		return;
	}
	take_request(vp, REQUEST_NMI, &all);
	vp->halted = false;
	vp->idle = false;
	ops(vp)->inject_nmi(vp->engine);
}

static void inject_lapic(struct hv_vp *vp, uint8_t vector)
{
	lapic_accept(vp, vector);
	vp->halted = false;
	vp->idle = false;
	ops(vp)->inject_interrupt(vp->engine, vector);
	vp_assist_arm(vp, vector);
}

static void inject_extint(struct hv_vp *vp)
{
	uint8_t vector = (uint8_t)vp->extint_vector;

	vp->extint_vector = -1;
	vp->halted = false;
	vp->idle = false;
	ops(vp)->inject_interrupt(vp->engine, vector);
}

/* Gives at most one interrupt to the engine and asks for a window if more wait. AGAIN: nothing for the parent to do. */
static enum step inject_interrupts(struct hv_vp *vp, struct hv_run *how, struct hv_message *message)
{
	int vector = pending(vp);

	if (vector < 0 && vp->extint_vector < 0 && !extint_waits(vp)) {
		return STEP_AGAIN;
	}
	if (!ops(vp)->can_interrupt(vp->engine)) {
		how->want_interrupt_window = true;
		return STEP_AGAIN;
	}
	if (vp->extint_vector >= 0) {
		inject_extint(vp);
	} else if (vector >= 0) {
		inject_lapic(vp, (uint8_t)vector);
	} else {
		message_simple(vp, (uint32_t)HvMessageTypeX64InterruptionDeliverable, message);
		return STEP_INTERCEPT;
	}
	how->want_interrupt_window = pending(vp) >= 0 || extint_waits(vp);
	return STEP_AGAIN;
}

/* ---- Time ---- */

static void poll_timers(struct hv_vp *vp)
{
	uint64_t now = time_guest_tsc(vp->partition);

	stimer_poll(vp, time_reference_of(&vp->partition->time, now));
	if (!apic_away(vp)) {
		lapic_timer_poll(vp, now);
	}
}

/* Guest TSC of the nearest timer. */
static uint64_t next_timer(const struct hv_vp *vp, bool lazy_too)
{
	uint64_t stimer = time_tsc_of_reference(vp->partition, stimer_next(vp, lazy_too));

	return apic_away(vp) ? stimer : min_u64(stimer, lapic_timer_deadline(vp));
}

static uint64_t engine_deadline(const struct hv_vp *vp)
{
	uint64_t next = next_timer(vp, true);

	return next == UINT64_MAX ? UINT64_MAX : next - vp->partition->time.offset;
}

/* ---- Sleeping ---- */

static bool has_work(struct hv_vp *vp)
{
	if (vp_request_test(vp, REQUEST_KICK | REQUEST_INIT)) {
		return true;
	}
	if (vp->startup_suspend) {
		return vp_request_test(vp, REQUEST_SIPI);
	}
	return !vp->dead && wakes(vp);
}

static enum step block(struct hv_vp *vp, uint64_t *ret_wake_ns)
{
	uint64_t next = vp->startup_suspend || vp->dead ? UINT64_MAX : next_timer(vp, false);
	uint64_t now;

	__atomic_store_n(&vp->blocked, 1, __ATOMIC_SEQ_CST);
	now = time_guest_tsc(vp->partition);
	if (has_work(vp) || now >= next) {
		__atomic_store_n(&vp->blocked, 0, __ATOMIC_SEQ_CST);
		return STEP_AGAIN;
	}
	*ret_wake_ns = UINT64_MAX;
	if (next != UINT64_MAX) {
		*ret_wake_ns =
			mul_div_u64(next - now, NS_PER_SECOND, vp->partition->time.tsc_hz) + 1;
	}
	return STEP_BLOCKED;
}

/*
 * Idle by MSR where the engine halts: a HLT. That does not end for interrupts which IF holds back, so with IF clear the idle state ends at
 * once, as it may at any time; guests that start here are not told of it (cpuid.c).
 */
static void idle_away(struct hv_vp *vp)
{
	vp->idle = false;
	if (vp_reg(vp, HvX64RegisterRflags) & X86_IF) {
		vp->partition->apic->set_activity(vp->engine, HV_ACTIVITY_HALTED);
	}
}

static bool suspended(const struct hv_vp *vp)
{
	return __atomic_load_n(&vp->explicit_suspend, __ATOMIC_SEQ_CST) ||
	       time_frozen(vp->partition);
}

static enum step stay_suspended(struct hv_vp *vp)
{
	__atomic_store_n(&vp->blocked, 1, __ATOMIC_SEQ_CST);
	if (!suspended(vp) || vp_request_test(vp, REQUEST_KICK)) {
		__atomic_store_n(&vp->blocked, 0, __ATOMIC_SEQ_CST);
		return STEP_AGAIN;
	}
	return STEP_SUSPENDED;
}

/* ---- Exits ---- */

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
	ops(vp)->complete(vp->engine, values);
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

static enum step handle_exit(struct hv_vp *vp, struct hv_message *message)
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

/* ---- The loop ---- */

/* Something came up since the events were looked at. */
static bool must_not_run(struct hv_vp *vp, const struct hv_run *how)
{
	if (vp_request_test(vp, REQUEST_KICK | REQUEST_INIT | REQUEST_SIPI) || suspended(vp) ||
	    __atomic_load_n(&vp->wanted, __ATOMIC_SEQ_CST) != 0) {
		return true;
	}
	if (vp_request_test(vp, REQUEST_NMI) && !how->want_nmi_window) {
		return true;
	}
	return !how->want_interrupt_window && (pending(vp) >= 0 || extint_waits(vp));
}

/* Messages to the parent name the task priority; who sends to all VPs asks for the mode. */
static void run_with_apic(struct hv_vp *vp, const struct hv_run *how)
{
	const struct hv_engine_apic_ops *apic = vp->partition->apic;

	ops(vp)->run(vp->engine, how, &vp->exit);
	__atomic_store_n(&vp->lapic.tpr, (uint32_t)apic->cr8(vp->engine) << 4, __ATOMIC_RELAXED);
	__atomic_store_n(&vp->lapic.base, apic->base(vp->engine), __ATOMIC_RELAXED);
}

static void run_engine(struct hv_vp *vp, const struct hv_run *how)
{
	const struct hv_engine_ops *o = ops(vp);
	uint8_t priority = (uint8_t)(vp->lapic.tpr >> 4);

	if (apic_away(vp)) {
		run_with_apic(vp, how);
		return;
	}
	if (o->set_cr8 == NULL) {
		o->run(vp->engine, how, &vp->exit);
		return;
	}
	o->set_cr8(vp->engine, priority);
	o->run(vp->engine, how, &vp->exit);
	if (o->get_cr8(vp->engine) != priority) {
		lapic_tpr_set(vp, (uint32_t)o->get_cr8(vp->engine) << 4);
	}
}

static enum step run(struct hv_vp *vp, struct hv_run *how, struct hv_message *message)
{
	const struct hv_engine_ops *o = ops(vp);
	uint64_t before;

	vp_tsc_apply(vp);
	how->deadline_tsc = engine_deadline(vp);
	__atomic_store_n(&vp->running, 1, __ATOMIC_SEQ_CST);
	if (must_not_run(vp, how)) {
		__atomic_store_n(&vp->running, 0, __ATOMIC_SEQ_CST);
		return STEP_AGAIN;
	}
	before = o->tsc(vp->partition->engine);
	run_engine(vp, how);
	__atomic_store_n(&vp->running, 0, __ATOMIC_SEQ_CST);
	vp_assist_sync(
		vp); /* the exit may be about the APIC: an EOI that was left out came before */
	vp->runtime += o->tsc(vp->partition->engine) - before;
	counter_add(&vp->exits[vp->exit.kind & 15]);
	return handle_exit(vp, message);
}

static enum step step(struct hv_vp *vp, struct hv_message *message, uint64_t *ret_wake_ns)
{
	struct hv_run how = {0};
	enum step s;
	uint32_t all;

	if (vp->message_ready) {
		vp->message_ready = false;
		*message = *vp->message;
		return STEP_INTERCEPT;
	}
	if (take_request(vp, REQUEST_KICK, &all)) {
		return STEP_INTERRUPTED;
	}
	if (suspended(vp)) {
		return stay_suspended(vp);
	}
	vp_take_init_sipi(vp);
	if (vp->startup_suspend || vp->dead) {
		return block(vp, ret_wake_ns);
	}
	poll_timers(vp);
	vp_assist_sync(vp);
	if (vp->message_ready) {
		return STEP_AGAIN;
	}
	if (apic_away(vp) && vp->idle) {
		idle_away(vp);
	}
	if ((vp->halted || vp->idle) && !wakes(vp)) {
		return block(vp, ret_wake_ns);
	}
	vp->idle = false;
	inject_nmi(vp, &how);
	s = inject_interrupts(vp, &how, message);
	if (s != STEP_AGAIN) {
		return s;
	}
	/* Woken by an event that is gone again (the 8259 lowered its line). */
	if (vp->halted) {
		return STEP_AGAIN;
	}
	return run(vp, &how, message);
}

static bool settled(const struct hv_partition *p)
{
	return apic_settled(p) && overlays_settled(p);
}

/* Others have the VP now, and what moves while time is frozen goes where it belongs. */
static void give_way(struct hv_vp *vp)
{
	while (__atomic_load_n(&vp->wanted, __ATOMIC_SEQ_CST) != 0 || !settled(vp->partition)) {
		vp_release(vp);
		overlays_settle(vp->partition);
		apic_settle(vp->partition);
		for (unsigned round = 0; __atomic_load_n(&vp->wanted, __ATOMIC_SEQ_CST) != 0;
		     round++) {
			hv_host_relax(round);
		}
		vp_acquire(vp);
	}
}

enum hv_dispatch hv_vp_dispatch(struct hv_vp *vp, struct hv_message *ret_message,
				uint64_t *ret_wake_ns)
{
	static const enum hv_dispatch answers[] = {
		[STEP_INTERCEPT] = HV_DISPATCH_INTERCEPT,
		[STEP_BLOCKED] = HV_DISPATCH_BLOCKED,
		[STEP_INTERRUPTED] = HV_DISPATCH_INTERRUPTED,
		[STEP_SUSPENDED] = HV_DISPATCH_SUSPENDED,
	};
	enum step s;

	vp_acquire(vp);
	__atomic_store_n(&vp->blocked, 0, __ATOMIC_SEQ_CST);
	*ret_wake_ns = UINT64_MAX;
	if (vp->intercept) {
		ops(vp)->abandon(vp->engine);
		vp->intercept = false;
	}
	do {
		give_way(vp);
		s = step(vp, ret_message, ret_wake_ns);
	} while (s == STEP_AGAIN);
	vp_release(vp);
	return answers[s];
}

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
			ops(vp)->complete(vp->engine, values);
			break;
		case HV_EXIT_PORT:
		case HV_EXIT_MSR:
		case HV_EXIT_CPUID:
		case HV_EXIT_HYPERCALL:
			ops(vp)->complete(vp->engine, values);
			break;
		case HV_EXIT_EXCEPTION:
			ops(vp)->inject_exception(vp->engine, e->exception.vector,
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
		ops(vp)->inject_exception(vp->engine, vector, has_error, error,
					  vector == X86_EXC_PF ? vp->exit.memory.gva : 0);
	}
	vp_release(vp);
}

/* ---- The 8259's line ---- */

void hv_partition_set_extint(struct hv_partition *p, bool raised)
{
	uint32_t old = __atomic_load_n(&p->extint, __ATOMIC_RELAXED);
	struct hv_vp *vp = vp_find(p, 0);

	while (!__atomic_compare_exchange_n(&p->extint, &old, ((old | 1) + 1) | raised, true,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
	}
	if (raised && vp != NULL) {
		vp_notify(vp);
	}
}

uint32_t hv_partition_extint(struct hv_partition *p)
{
	return __atomic_load_n(&p->extint, __ATOMIC_SEQ_CST);
}

void hv_partition_extint_drop(struct hv_partition *p, uint32_t seen)
{
	__atomic_compare_exchange_n(&p->extint, &seen, seen & ~1u, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
}
