// SPDX-License-Identifier: Apache-2.0
/* What is on its way into the guest: NMIs, interrupts of the local APIC where the core has it, the 8259's; INIT and startup messages. */
#include "run.h"

bool event_extint_waits(const struct hv_vp *vp)
{
	return vp->index == 0 && (__atomic_load_n(&vp->partition->extint, __ATOMIC_SEQ_CST) & 1) &&
	       (apic_away(vp) || lapic_accepts_extint(vp));
}

/* Of those that the core injects itself. */
int event_pending(const struct hv_vp *vp)
{
	return apic_away(vp) ? -1 : lapic_pending(vp);
}

bool event_wakes(struct hv_vp *vp)
{
	if (vp_request_test(vp, REQUEST_NMI) && vp_ops(vp)->can_nmi(vp->engine)) {
		return true;
	}
	/*
	 * An interrupt that IF or the priority holds back ends the idle state, too. Interop: Linux's
	 * paravirtual spinlocks wait like this in interrupt handlers of the kick's own class.
	 */
	if (vp->idle && lapic_any_requested(vp)) {
		return true;
	}
	if (event_pending(vp) < 0 && vp->extint_vector < 0 && !event_extint_waits(vp)) {
		return false;
	}
	return vp_ops(vp)->can_interrupt(vp->engine);
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

void event_inject_nmi(struct hv_vp *vp, struct hv_run *how)
{
	uint32_t all;

	if (!vp_request_test(vp, REQUEST_NMI)) {
		return;
	}
	if (!vp_ops(vp)->can_nmi(vp->engine)) {
		how->want_nmi_window = true;
		return;
	}
	take_request(vp, REQUEST_NMI, &all);
	vp->halted = false;
	vp->idle = false;
	vp_ops(vp)->inject_nmi(vp->engine);
}

static void inject_lapic(struct hv_vp *vp, uint8_t vector)
{
	lapic_accept(vp, vector);
	vp->halted = false;
	vp->idle = false;
	vp_ops(vp)->inject_interrupt(vp->engine, vector);
	vp_assist_arm(vp, vector);
}

static void inject_extint(struct hv_vp *vp)
{
	uint8_t vector = (uint8_t)vp->extint_vector;

	vp->extint_vector = -1;
	vp->halted = false;
	vp->idle = false;
	vp_ops(vp)->inject_interrupt(vp->engine, vector);
}

enum step event_inject_interrupts(struct hv_vp *vp, struct hv_run *how, struct hv_message *message)
{
	int vector = event_pending(vp);

	if (vector < 0 && vp->extint_vector < 0 && !event_extint_waits(vp)) {
		return STEP_AGAIN;
	}
	if (!vp_ops(vp)->can_interrupt(vp->engine)) {
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
	how->want_interrupt_window = event_pending(vp) >= 0 || event_extint_waits(vp);
	return STEP_AGAIN;
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
