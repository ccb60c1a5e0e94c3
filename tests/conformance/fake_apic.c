// SPDX-License-Identifier: Apache-2.0
/*
 * The scripted engine with local APICs: it keeps what it was given, sets the bits of interrupts, and halts nobody. Its timers make their requests
 * only when the VP is run, as KVM's do.
 */
#include "fake_engine.h"
#include "lib/check.h"

static struct fake_vp *to_vp(struct hv_engine_vp *vp)
{
	return (struct fake_vp *)(void *)vp;
}

static void give(struct hv_engine_vp *vp, const struct hv_engine_apic *state)
{
	CHECK(!to_vp(vp)->has_apic);
	to_vp(vp)->has_apic = true;
	to_vp(vp)->apic = *state;
}

static void take(struct hv_engine_vp *vp, struct hv_engine_apic *ret)
{
	CHECK(to_vp(vp)->has_apic);
	to_vp(vp)->has_apic = false;
	*ret = to_vp(vp)->apic;
}

static enum hv_engine_activity activity(struct hv_engine_vp *vp)
{
	return to_vp(vp)->apic.activity;
}

static void set_activity(struct hv_engine_vp *vp, enum hv_engine_activity wanted)
{
	to_vp(vp)->apic.activity = wanted;
}

static void request(struct hv_engine_vp *vp, uint8_t vector)
{
	CHECK(to_vp(vp)->has_apic);
	to_vp(vp)->apic.irr[vector / 32] |= 1u << (vector % 32);
	to_vp(vp)->requests[vector]++;
}

static void message(struct hv_engine_vm *vm, const struct hv_engine_message *m)
{
}

static void auto_eoi(struct hv_engine_vp *vp, unsigned sint, uint8_t vector, bool on)
{
}

static void assist(struct hv_engine_vp *vp, uint64_t msr)
{
}

static bool timer_set(struct hv_engine_vp *vp, unsigned n, uint8_t vector, uint64_t deadline_tsc)
{
	CHECK(n < FAKE_TIMERS && vector >= 16);
	if (to_vp(vp)->vm->machine->no_timers) {
		return false;
	}
	to_vp(vp)->timer[n] =
		(struct fake_timer){.set = true, .vector = vector, .deadline_tsc = deadline_tsc};
	return true;
}

static bool timer_end(struct hv_engine_vp *vp, unsigned n)
{
	struct fake_timer *t = &to_vp(vp)->timer[n];

	CHECK(t->set);
	t->set = false;
	return t->fired;
}

void fake_timers_look(struct fake_vp *vp)
{
	for (unsigned n = 0; n < FAKE_TIMERS; n++) {
		struct fake_timer *t = &vp->timer[n];

		if (t->set && !t->fired && fake_clock(vp->vm->machine) >= t->deadline_tsc) {
			t->fired = true;
			request((struct hv_engine_vp *)(void *)vp, t->vector);
		}
	}
}

static uint8_t cr8(const struct hv_engine_vp *vp)
{
	return (uint8_t)(((const struct fake_vp *)(const void *)vp)->apic.tpr >> 4);
}

static uint64_t base(const struct hv_engine_vp *vp)
{
	return ((const struct fake_vp *)(const void *)vp)->apic.base;
}

const struct hv_engine_apic_ops fake_apic = {
	.give = give,
	.take = take,
	.activity = activity,
	.set_activity = set_activity,
	.request = request,
	.message = message,
	.auto_eoi = auto_eoi,
	.assist = assist,
	.timer_set = timer_set,
	.timer_end = timer_end,
	.cr8 = cr8,
	.base = base,
};
