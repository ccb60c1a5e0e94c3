// SPDX-License-Identifier: Apache-2.0
/*
 * VP dispatch: decides what a VP does next - take an event (event.c), run, sleep, or ask its parent (exit.c).
 *
 * How nothing is lost without a lock: whoever makes work for a VP (a request bit, an IRR bit) does that first and then looks whether the
 * VP is "running" or "blocked" (vp_notify). The dispatcher announces "running" or "blocked" first and then looks for work.
 */
#include "run.h"

#define NS_PER_SECOND UINT64_C(1000000000)

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

/* ---- Sleeping ---- */

static bool has_work(struct hv_vp *vp)
{
	if (vp_request_test(vp, REQUEST_KICK | REQUEST_INIT)) {
		return true;
	}
	if (vp->startup_suspend) {
		return vp_request_test(vp, REQUEST_SIPI);
	}
	return !vp->dead && event_wakes(vp);
}

/* Rounded up. A clock of less than 1 GHz can tell of times that nanoseconds cannot: never, then. */
static uint64_t ns_until(const struct hv_vp *vp, uint64_t ticks)
{
	uint64_t ns = mul_div_u64(ticks, NS_PER_SECOND, vp->partition->time.tsc_hz);

	return ns == UINT64_MAX ? ns : ns + 1;
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
	*ret_wake_ns = next == UINT64_MAX ? UINT64_MAX : ns_until(vp, next - now);
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

/* ---- The loop ---- */

/* Something came up since the events were looked at. */
static bool must_not_run(struct hv_vp *vp, const struct hv_run *how)
{
	if (vp_request_test(vp, REQUEST_KICK | REQUEST_INIT | REQUEST_SIPI) || suspended(vp) ||
	    __atomic_load_n(&vp->wanted, __ATOMIC_SEQ_CST) != 0 || !overlays_seen(vp->partition)) {
		return true;
	}
	if (vp_request_test(vp, REQUEST_NMI) && !how->want_nmi_window) {
		return true;
	}
	return !how->want_interrupt_window && (event_pending(vp) >= 0 || event_extint_waits(vp));
}

/* Messages to the parent name the task priority; who sends to all VPs asks for the mode. */
static void run_with_apic(struct hv_vp *vp, const struct hv_run *how)
{
	const struct hv_engine_apic_ops *apic = vp->partition->apic;

	vp_ops(vp)->run(vp->engine, how, &vp->exit);
	__atomic_store_n(&vp->lapic.tpr, (uint32_t)apic->cr8(vp->engine) << 4, __ATOMIC_RELAXED);
	__atomic_store_n(&vp->lapic.base, apic->base(vp->engine), __ATOMIC_RELAXED);
}

static void run_engine(struct hv_vp *vp, const struct hv_run *how)
{
	const struct hv_engine_ops *o = vp_ops(vp);
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
	const struct hv_engine_ops *o = vp_ops(vp);
	uint64_t before;

	vp_tsc_apply(vp);
	how->deadline_tsc = time_engine_tsc(vp->partition, next_timer(vp, true));
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
	return exit_answer(vp, message);
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
	if ((vp->halted || vp->idle) && !event_wakes(vp)) {
		return block(vp, ret_wake_ns);
	}
	vp->idle = false;
	event_inject_nmi(vp, &how);
	s = event_inject_interrupts(vp, &how, message);
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
		vp_ops(vp)->abandon(vp->engine);
		vp->intercept = false;
	}
	do {
		give_way(vp);
		s = step(vp, ret_message, ret_wake_ns);
	} while (s == STEP_AGAIN);
	vp_release(vp);
	return answers[s];
}
