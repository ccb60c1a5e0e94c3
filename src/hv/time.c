// SPDX-License-Identifier: Apache-2.0
/*
 * Partition time. Guest TSC, reference TSC page and reference counter are all computed from the engine's clock in the same way,
 * so that they agree to the tick; a frozen partition's clock stands still and goes on without a jump.
 *
 * Spec: TLFS 12 (partition reference time enlightenment).
 */
#include "core.h"

/* floor(2^64 * 10^7 / @hz): fits for any clock above 10 MHz. */
static uint64_t scale_of(uint64_t hz)
{
	uint64_t quotient, remainder;

	CHECK(hz > REFERENCE_HZ);
	__asm__("divq %4"
		: "=a"(quotient), "=d"(remainder)
		: "a"(UINT64_C(0)), "d"(REFERENCE_HZ), "rm"(hz)
		: "cc");
	return quotient;
}

static uint64_t multiply_high(uint64_t a, uint64_t b)
{
	return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

static uint64_t engine_tsc(const struct hv_partition *p)
{
	return p->hv->engine->tsc(p->engine);
}

void time_init(struct hv_partition *p, bool frozen)
{
	struct hv_time *time = &p->time;

	*time = (struct hv_time){.tsc_hz = p->hv->engine->tsc_hz(p->engine),
				 .apic_hz = HV_APIC_HZ,
				 .frozen = frozen};
	time->scale = scale_of(time->tsc_hz);
	time->offset = 0 - engine_tsc(p);
}

/* Rates that no machine has are not asked for. */
#define RATE_MIN_HZ UINT64_C(100000000)
#define RATE_MAX_HZ UINT64_C(20000000000)

/* The engine's ticks are others now: what VPs' offsets were computed from is gone. */
static void rate_changed(struct hv_partition *p)
{
	struct hv_vp *vp;

	p->time.tsc_hz = p->hv->engine->tsc_hz(p->engine);
	p->time.scale = scale_of(p->time.tsc_hz);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		vp_ops(vp)->set_tsc_offset(vp->engine, 0);
		vp->tsc_applied = 0;
	}
}

void time_keep_rate(struct hv_partition *p, uint64_t hz)
{
	const struct hv_engine_ops *ops = p->hv->engine;
	struct hv_time *time = &p->time;
	bool sane = hz >= RATE_MIN_HZ && hz <= RATE_MAX_HZ;

	time->lost_hz = 0;
	if (sane && hz != time->tsc_hz && ops->set_tsc_hz != NULL &&
	    ops->set_tsc_hz(p->engine, hz)) {
		rate_changed(p);
	}
	if (!sane || !hv_engine_same_rate(time->tsc_hz, hz)) {
		time->lost_hz = hz;
	}
}

uint64_t hv_partition_lost_tsc_hz(struct hv_partition *p)
{
	return p->time.lost_hz;
}

uint64_t hv_partition_tsc_hz(struct hv_partition *p)
{
	return p->time.tsc_hz;
}

/* Changes are rare and made by one thread at a time; readers retry. */
static void change_begin(struct hv_time *time)
{
	__atomic_store_n(&time->sequence, time->sequence + 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void change_end(struct hv_time *time)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&time->sequence, time->sequence + 1, __ATOMIC_SEQ_CST);
}

void time_freeze(struct hv_partition *p, bool frozen)
{
	struct hv_time *time = &p->time;

	if (time->frozen == frozen) {
		return;
	}
	change_begin(time);
	if (frozen) {
		__atomic_store_n(&time->frozen_tsc, engine_tsc(p) + time->offset, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&time->offset, time->frozen_tsc - engine_tsc(p), __ATOMIC_RELAXED);
	}
	__atomic_store_n(&time->frozen, frozen, __ATOMIC_RELAXED);
	change_end(time);
}

uint64_t time_frozen(const struct hv_partition *p)
{
	return __atomic_load_n(&p->time.frozen, __ATOMIC_RELAXED);
}

uint64_t time_guest_tsc(const struct hv_partition *p)
{
	const struct hv_time *time = &p->time;
	uint32_t before, after;
	uint64_t tsc;

	do {
		before = __atomic_load_n(&time->sequence, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&time->frozen, __ATOMIC_RELAXED)) {
			tsc = __atomic_load_n(&time->frozen_tsc, __ATOMIC_RELAXED);
		} else {
			tsc = engine_tsc(p) + __atomic_load_n(&time->offset, __ATOMIC_RELAXED);
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&time->sequence, __ATOMIC_RELAXED);
	} while (before != after || (before & 1));
	return tsc;
}

uint64_t time_reference_of(const struct hv_time *time, uint64_t guest_tsc)
{
	return multiply_high(guest_tsc, time->scale) + (uint64_t)time->reference_offset;
}

uint64_t time_reference(const struct hv_partition *p)
{
	return time_reference_of(&p->time, time_guest_tsc(p));
}

#define ROUNDINGS 4u /* ticks of a unit of reference time are made up for in so many steps */

uint64_t time_tsc_of_reference(const struct hv_partition *p, uint64_t reference)
{
	uint64_t now = time_guest_tsc(p), now_reference = time_reference_of(&p->time, now), left;
	uint64_t more = 1 + p->time.tsc_hz / REFERENCE_HZ / ROUNDINGS;

	if (reference <= now_reference) {
		return 0;
	}
	left = mul_div_u64(reference - now_reference, p->time.tsc_hz, REFERENCE_HZ);
	if (left >= UINT64_MAX - now - ROUNDINGS * more) {
		return UINT64_MAX;
	}
	/* Both roundings are towards now: some ticks more make sure that the deadline is not early. */
	for (unsigned i = 0; i < ROUNDINGS && time_reference_of(&p->time, now + left) < reference;
	     i++) {
		left += more;
	}
	return now + left;
}

/* The guest's TSC and the engine's clock are apart by any distance: only what is left until then counts. */
uint64_t time_engine_tsc(const struct hv_partition *p, uint64_t guest_tsc)
{
	uint64_t engine = engine_tsc(p);
	uint64_t now = engine + __atomic_load_n(&p->time.offset, __ATOMIC_RELAXED);
	uint64_t left = guest_tsc > now ? guest_tsc - now : 0;

	return guest_tsc == UINT64_MAX || left > UINT64_MAX - engine ? UINT64_MAX : engine + left;
}

void time_set(struct hv_partition *p, uint64_t guest_tsc, uint64_t reference)
{
	struct hv_time *time = &p->time;

	change_begin(time);
	time->frozen = true;
	time->frozen_tsc = guest_tsc;
	time->reference_offset = (int64_t)(reference - multiply_high(guest_tsc, time->scale));
	change_end(time);
}

uint64_t time_100ns(const struct hv_partition *p, uint64_t ticks)
{
	return multiply_high(ticks, p->time.scale);
}
