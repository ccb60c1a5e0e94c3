// SPDX-License-Identifier: Apache-2.0
/* The timer of a local APIC: counts down, once or periodically, or waits for a TSC. Spec: Intel SDM volume 3, chapter 11.5.4. */
#include "lapic.h"

static uint64_t tsc_of_ticks(const struct hv_vp *vp, uint64_t ticks)
{
	const struct hv_time *time = &vp->partition->time;

	return mul_div_u64(ticks, time->tsc_hz, time->apic_hz);
}

static uint64_t ticks_of_tsc(const struct hv_vp *vp, uint64_t tsc)
{
	const struct hv_time *time = &vp->partition->time;

	return mul_div_u64(tsc, time->apic_hz, time->tsc_hz);
}

static unsigned divide_shift(const struct lapic *l)
{
	return (((l->divide & 3) | ((l->divide & 8) >> 1)) + 1) & 7;
}

static uint64_t timer_period(const struct hv_vp *vp)
{
	uint64_t ticks = (uint64_t)vp->lapic.initial_count << divide_shift(&vp->lapic);

	return max_u64(tsc_of_ticks(vp, ticks), 1);
}

void lapic_initial_count_write(struct hv_vp *vp, uint32_t count)
{
	struct lapic *l = &vp->lapic;

	l->initial_count = count;
	if (lapic_timer_mode(vp) == TIMER_TSC_DEADLINE || count == 0) {
		l->timer_deadline = 0;
		return;
	}
	l->timer_deadline = time_guest_tsc(vp->partition) + timer_period(vp);
}

uint32_t lapic_current_count(const struct hv_vp *vp)
{
	const struct lapic *l = &vp->lapic;
	uint64_t now = time_guest_tsc(vp->partition), left;

	if (l->timer_deadline == 0 || l->timer_deadline <= now) {
		return 0;
	}
	left = ticks_of_tsc(vp, l->timer_deadline - now) >> divide_shift(l);
	return (uint32_t)min_u64(left, l->initial_count);
}

static void timer_fire(struct hv_vp *vp)
{
	uint32_t lvt = vp->lapic.lvt[LVT_TIMER];

	if (!(lvt & LVT_MASKED)) {
		lapic_request_here(vp, (uint8_t)lvt, false);
	}
}

void lapic_timer_poll(struct hv_vp *vp, uint64_t guest_tsc)
{
	struct lapic *l = &vp->lapic;

	if (l->tsc_deadline != 0 && guest_tsc + vp->tsc_offset >= l->tsc_deadline) {
		l->tsc_deadline = 0;
		timer_fire(vp);
	}
	if (l->timer_deadline != 0 && guest_tsc >= l->timer_deadline) {
		if (lapic_timer_mode(vp) == TIMER_PERIODIC) {
			uint64_t period = timer_period(vp);

			/* Missed periods are one interrupt; the phase stays. */
			l->timer_deadline =
				guest_tsc + period - (guest_tsc - l->timer_deadline) % period;
		} else {
			l->timer_deadline = 0;
		}
		timer_fire(vp);
	}
}

uint64_t lapic_timer_deadline(const struct hv_vp *vp)
{
	const struct lapic *l = &vp->lapic;
	uint64_t next = UINT64_MAX;

	/* A masked timer needs no wake-up: whoever looks at the count computes it. A periodic one catches up. */
	if (vp->lapic.lvt[LVT_TIMER] & LVT_MASKED) {
		return UINT64_MAX;
	}
	if (l->timer_deadline != 0) {
		next = l->timer_deadline;
	}
	if (l->tsc_deadline != 0) {
		uint64_t now = time_guest_tsc(vp->partition), vps_now = now + vp->tsc_offset;
		uint64_t left = l->tsc_deadline > vps_now ? l->tsc_deadline - vps_now : 0;

		next = min_u64(next, left > UINT64_MAX - 1 - now ? UINT64_MAX : now + left);
	}
	return next;
}

void lapic_tsc_deadline_write(struct hv_vp *vp, uint64_t value)
{
	if (lapic_timer_mode(vp) == TIMER_TSC_DEADLINE) {
		vp->lapic.tsc_deadline = value;
	}
}

uint64_t lapic_tsc_deadline_read(struct hv_vp *vp)
{
	return vp->lapic.tsc_deadline;
}

/* ---- Handing over ---- */

void lapic_timer_export(const struct hv_vp *vp, struct hv_engine_apic *a)
{
	const struct lapic *l = &vp->lapic;
	bool once = lapic_timer_mode(vp) == 0;

	a->divide = l->divide;
	/* One that has fired already must not fire again where it is started anew. */
	a->initial_count = once && l->timer_deadline == 0 ? 0 : l->initial_count;
	a->current_count = lapic_current_count(vp);
	if (l->timer_deadline != 0 && a->current_count == 0) {
		a->current_count = 1;
	}
	a->tsc_deadline = l->tsc_deadline;
}

/*
 * A timer that runs once and stands at zero has fired, but an engine may have had no occasion to raise its interrupt: one too many does less
 * harm than none.
 */
static bool may_have_fired(const struct hv_engine_apic *a)
{
	uint32_t lvt = a->lvt[LVT_TIMER];
	uint8_t vector = (uint8_t)lvt;

	return !(lvt & (TIMER_MODE | LVT_MASKED)) && a->initial_count != 0 &&
	       !bitmap256_test(a->irr, vector) && !bitmap256_test(a->isr, vector);
}

void lapic_timer_import(struct hv_vp *vp, const struct hv_engine_apic *a)
{
	struct lapic *l = &vp->lapic;
	uint64_t ticks;

	l->divide = a->divide;
	l->initial_count = a->initial_count;
	l->tsc_deadline = a->tsc_deadline;
	l->timer_deadline = 0;
	if (lapic_timer_mode(vp) != TIMER_TSC_DEADLINE &&
	    (a->current_count != 0 || may_have_fired(a))) {
		ticks = (uint64_t)a->current_count << divide_shift(l);
		l->timer_deadline = time_guest_tsc(vp->partition) + tsc_of_ticks(vp, ticks);
	}
}
