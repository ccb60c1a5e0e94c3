// SPDX-License-Identifier: Apache-2.0
/*
 * Synthetic timers, four per VP, in reference time. Nobody else's thread touches them: the VP's dispatch looks at them before it
 * runs the guest and hands the nearest one to the engine as a deadline. Spec: TLFS 12.4.
 *
 * While the engine has the local APIC a timer that is nothing but one interrupt is lent to it, too: the engine raises the interrupt, and whether it
 * has done so is asked only when it matters.
 */
#include "core.h"

#define FIRST_VECTOR 16u

static struct hv_stimer *timer_of(struct hv_vp *vp, unsigned n)
{
	return &vp->synic.timer[n];
}

static bool is_direct(const struct hv_stimer *t)
{
	return (t->config & HV_STIMER_DIRECT_MODE) != 0;
}

static uint8_t vector_of(const struct hv_stimer *t)
{
	return (uint8_t)(t->config >> HV_STIMER_VECTOR_SHIFT);
}

static unsigned sint_of(const struct hv_stimer *t)
{
	return (unsigned)(t->config >> HV_STIMER_SINT_SHIFT) & 0xF;
}

/* ---- Timers that the engine counts ---- */

/* Without a message and without a next time. */
static bool lendable(const struct hv_stimer *t)
{
	return t->armed && is_direct(t) && !(t->config & HV_STIMER_PERIODIC) &&
	       vector_of(t) >= FIRST_VECTOR;
}

/* The APIC is with the engine, or on its way there. */
static bool lend(struct hv_vp *vp, unsigned n)
{
	const struct hv_engine_apic_ops *apic = vp->partition->apic;
	const struct hv_stimer *t = timer_of(vp, n);
	uint64_t tsc;

	if (apic->timer_set == NULL || !lendable(t)) {
		return false;
	}
	tsc = time_tsc_of_reference(vp->partition, t->expiry);
	if (tsc == 0) {
		return false; /* what is due already is for stimer_poll */
	}
	tsc = time_engine_tsc(vp->partition, tsc);
	return tsc != UINT64_MAX && apic->timer_set(vp->engine, n, vector_of(t), tsc);
}

/* Whatever the engine had of it is over. */
static bool recall(struct hv_vp *vp, unsigned n)
{
	bool lent = timer_of(vp, n)->lent;

	timer_of(vp, n)->lent = false;
	return lent && vp->partition->apic->timer_end(vp->engine, n);
}

static void disarm(struct hv_stimer *t)
{
	t->armed = false;
	t->config &= ~HV_STIMER_ENABLED;
}

/* What became of it at the engine is written down; it is the core's afterwards. */
static void settle(struct hv_vp *vp, unsigned n)
{
	if (recall(vp, n)) {
		disarm(timer_of(vp, n));
	}
}

void stimer_recall_all(struct hv_vp *vp)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		settle(vp, n);
	}
}

void stimer_lend_all(struct hv_vp *vp)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		timer_of(vp, n)->lent = lend(vp, n);
	}
}

/* ---- What the guest writes ---- */

static void start(struct hv_vp *vp, unsigned n)
{
	struct hv_stimer *t = timer_of(vp, n);

	t->expiry = t->count;
	if (t->config & HV_STIMER_PERIODIC) {
		uint64_t now = time_reference(vp->partition);

		t->expiry = t->count > UINT64_MAX - now ? UINT64_MAX : now + t->count;
	}
	if (apic_away(vp) && lend(vp, n)) {
		t->lent = true;
	} else {
		recall(vp, n);
	}
}

static void arm(struct hv_vp *vp, unsigned n)
{
	struct hv_stimer *t = timer_of(vp, n);

	/* Without direct mode a timer needs a SINT for its messages, and SINT 0 is the hypervisor's own. */
	if (!is_direct(t) && sint_of(t) == 0) {
		t->config &= ~HV_STIMER_ENABLED;
	}
	hv_host_lock(&vp->synic.lock);
	t->message_pending = false;
	hv_host_unlock(&vp->synic.lock);
	t->armed = (t->config & HV_STIMER_ENABLED) && t->count != 0;
	if (t->armed) {
		start(vp, n);
	} else {
		recall(vp, n);
	}
}

bool stimer_config_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	struct hv_stimer *t = timer_of(vp, n);

	if (value & ~HV_STIMER_CONFIG_BITS) {
		return false;
	}
	/* Enabling a timer without a count waits for the count. */
	t->config = value;
	arm(vp, n);
	return true;
}

void stimer_count_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	struct hv_stimer *t = timer_of(vp, n);

	/* Only then it matters whether the timer is still enabled. */
	if (!(t->config & HV_STIMER_AUTO_ENABLE)) {
		settle(vp, n);
	}
	t->count = value;
	if (value == 0) {
		t->config &= ~HV_STIMER_ENABLED;
	} else if (t->config & HV_STIMER_AUTO_ENABLE) {
		t->config |= HV_STIMER_ENABLED;
	}
	arm(vp, n);
}

uint64_t stimer_config_read(struct hv_vp *vp, unsigned n)
{
	struct hv_stimer *t = timer_of(vp, n);

	if (t->lent) {
		settle(vp, n);
		t->lent = lend(vp, n);
	}
	return t->config;
}

/* ---- Expiration ---- */

static void rearm_periodic(struct hv_stimer *t, uint64_t now)
{
	/* Missed expirations are one expiration; the phase stays. */
	uint64_t late = (now - t->expiry) % t->count;

	t->expiry = t->count > UINT64_MAX - now ? UINT64_MAX : now + t->count - late;
}

static void expire(struct hv_vp *vp, struct hv_stimer *t, uint64_t now)
{
	uint64_t expiry = t->expiry;

	if (t->config & HV_STIMER_PERIODIC) {
		rearm_periodic(t, now);
	} else {
		disarm(t);
	}
	if (is_direct(t)) {
		lapic_request(vp, vector_of(t));
		return;
	}
	hv_host_lock(&vp->synic.lock);
	if (!t->message_pending) {
		t->message_pending = true;
		t->message_expiry = expiry;
	}
	hv_host_unlock(&vp->synic.lock);
	synic_scan(vp);
}

void stimer_poll(struct hv_vp *vp, uint64_t reference)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		struct hv_stimer *t = timer_of(vp, n);

		if (t->armed && !t->lent && reference >= t->expiry) {
			expire(vp, t, reference);
		}
	}
}

uint64_t stimer_next(const struct hv_vp *vp, bool lazy_too)
{
	uint64_t next = UINT64_MAX;

	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		const struct hv_stimer *t = &vp->synic.timer[n];

		if (t->armed && !t->lent && (lazy_too || !(t->config & HV_STIMER_LAZY))) {
			next = min_u64(next, t->expiry);
		}
	}
	return next;
}

bool stimer_has_message(const struct hv_vp *vp, unsigned sint)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		const struct hv_stimer *t = &vp->synic.timer[n];

		if (t->message_pending && sint_of(t) == sint) {
			return true;
		}
	}
	return false;
}

bool stimer_take_message(struct hv_vp *vp, unsigned sint, struct hv_message *ret)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		struct hv_stimer *t = timer_of(vp, n);
		struct hv_timer_message_payload payload;

		if (!t->message_pending || sint_of(t) != sint) {
			continue;
		}
		t->message_pending = false;
		payload = (struct hv_timer_message_payload){
			.timer_index = n,
			.expiration_time = t->message_expiry,
			.delivery_time = time_reference(vp->partition),
		};
		*ret = (struct hv_message){.type = (uint32_t)HvMessageTimerExpired,
					   .payload_size = sizeof(payload)};
		__builtin_memcpy(ret->payload, &payload, sizeof(payload));
		return true;
	}
	return false;
}
