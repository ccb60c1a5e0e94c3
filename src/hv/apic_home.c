// SPDX-License-Identifier: Apache-2.0
/*
 * Where the local APICs are. The core has them while a partition is made, restored or saved and whenever its time is frozen, so they always
 * are saved from here and in one format. An engine that can keep them gets all of them together right before a VP runs, and gives them
 * back when time is frozen.
 *
 * They move while no VP is in anybody's hands but the mover's and nobody is about to deliver an interrupt: whoever delivers counts himself as a
 * sender first and then looks where they are; the mover says that they move and then waits for the senders. So no interrupt
 * goes to a place that has been left.
 */
#include "core.h"

enum { HOME_CORE, HOME_MOVING, HOME_ENGINE };

static uint32_t home_of(const struct hv_partition *p)
{
	return __atomic_load_n(&p->apic_home, __ATOMIC_SEQ_CST);
}

bool apic_away(const struct hv_vp *vp)
{
	return home_of(vp->partition) == HOME_ENGINE;
}

bool apic_begin(struct hv_partition *p)
{
	for (unsigned round = 0;; round++) {
		uint32_t home;

		__atomic_fetch_add(&p->apic_senders, 1, __ATOMIC_SEQ_CST);
		home = home_of(p);
		if (home != HOME_MOVING) {
			return home == HOME_ENGINE;
		}
		__atomic_fetch_sub(&p->apic_senders, 1, __ATOMIC_SEQ_CST);
		hv_host_relax(round);
	}
}

void apic_end(struct hv_partition *p)
{
	__atomic_fetch_sub(&p->apic_senders, 1, __ATOMIC_SEQ_CST);
}

static void move_begin(struct hv_partition *p)
{
	__atomic_store_n(&p->apic_home, HOME_MOVING, __ATOMIC_SEQ_CST);
	for (unsigned round = 0; __atomic_load_n(&p->apic_senders, __ATOMIC_SEQ_CST) != 0;
	     round++) {
		hv_host_relax(round);
	}
}

/* ---- To the engine ---- */

void apic_tell_assist(struct hv_vp *vp)
{
	if (apic_away(vp)) {
		vp->partition->apic->assist(vp->engine, vp->assist.overlay.msr);
	}
}

static bool ends_itself(uint64_t sint)
{
	return (sint & HV_SINT_AUTO_EOI) && !(sint & HV_SINT_MASKED);
}

void apic_tell_sint(struct hv_vp *vp, unsigned sint, uint64_t old)
{
	uint64_t now = vp->synic.sint[sint];

	if (!apic_away(vp)) {
		return;
	}
	if (ends_itself(old)) {
		vp->partition->apic->auto_eoi(vp->engine, sint, (uint8_t)old, false);
	}
	if (ends_itself(now)) {
		vp->partition->apic->auto_eoi(vp->engine, sint, (uint8_t)now, true);
	}
}

static void give(struct hv_vp *vp)
{
	const struct hv_engine_apic_ops *apic = vp->partition->apic;
	struct hv_engine_apic state;

	/* One that came until nobody could send any more; the core takes none while the engine does. */
	vp_take_init_sipi(vp);
	vp_tsc_apply(vp);
	lapic_export(vp, &state);
	state.activity = vp->startup_suspend ? HV_ACTIVITY_WAITS_FOR_SIPI
			 : vp->halted	     ? HV_ACTIVITY_HALTED
					     : HV_ACTIVITY_RUNNING;
	vp->startup_suspend = false;
	vp->halted = false;
	vp->idle = false;
	apic->give(vp->engine, &state);
	apic->assist(vp->engine, vp->assist.overlay.msr);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		uint64_t sint = vp->synic.sint[i];

		apic->auto_eoi(vp->engine, i, (uint8_t)sint, ends_itself(sint));
	}
	stimer_lend_all(vp);
}

/* What only the core can do comes before, while there still are senders: a timer that is due, an EOI that the guest has left out. */
static void make_ready(struct hv_vp *vp)
{
	lapic_timer_poll(vp, time_guest_tsc(vp->partition));
	vp_assist_withdraw(vp);
}

static void move_in(struct hv_partition *p)
{
	struct hv_vp *vp;

	vp_claim_all(p);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		make_ready(vp);
	}
	move_begin(p);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		give(vp);
	}
	__atomic_store_n(&p->apic_home, HOME_ENGINE, __ATOMIC_SEQ_CST);
	vp_release_all(p);
}

bool apic_settled(const struct hv_partition *p)
{
	return p->apic == NULL || home_of(p) == HOME_ENGINE || time_frozen(p);
}

void apic_settle(struct hv_partition *p)
{
	if (apic_settled(p)) {
		return;
	}
	hv_host_lock(&p->apic_lock);
	if (!apic_settled(p)) {
		move_in(p);
	}
	hv_host_unlock(&p->apic_lock);
}

void apic_adopt(struct hv_vp *vp)
{
	if (apic_away(vp)) {
		give(vp);
	}
}

bool hv_partition_vector_waits(struct hv_partition *p, uint8_t vector)
{
	struct hv_vp *vp;

	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		if (bitmap256_test(vp->lapic.irr, vector) ||
		    bitmap256_test(vp->lapic.isr, vector)) {
			return true;
		}
	}
	return false;
}

/* ---- And back ---- */

static void take(struct hv_vp *vp)
{
	struct hv_engine_apic state;

	vp->partition->apic->take(vp->engine, &state);
	lapic_import(vp, &state);
	stimer_recall_all(vp);
	vp->startup_suspend = state.activity == HV_ACTIVITY_WAITS_FOR_SIPI;
	vp->halted = state.activity == HV_ACTIVITY_HALTED;
}

void apic_gather(struct hv_partition *p)
{
	struct hv_vp *vp;

	if (p->apic == NULL || home_of(p) != HOME_ENGINE) {
		return;
	}
	vp_claim_all(p);
	move_begin(p);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		take(vp);
	}
	__atomic_store_n(&p->apic_home, HOME_CORE, __ATOMIC_SEQ_CST);
	vp_release_all(p);
}
