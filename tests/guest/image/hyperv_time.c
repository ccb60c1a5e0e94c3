// SPDX-License-Identifier: Apache-2.0
/*
 * Reference time by register and by page, the TSC, frequencies, run time, and synthetic timers. Spec: TLFS 12. Nothing here depends on how fast the
 * machine is: what is compared was read in a known order.
 */
#include "hyperv.h"

#define LOOKS 400u
#define TIMER_SINT 3u
#define TIMER_VECTOR 0x43u
#define DIRECT_VECTOR 0x50u /* and the three after it */
#define TIMER_CONFIG(n) (HV_X64_MSR_STIMER0_CONFIG + 2 * (n))
#define TIMER_COUNT(n) (HV_X64_MSR_STIMER0_COUNT + 2 * (n))
#define TIMER_BY_SINT (HV_STIMER_ENABLED | (uint64_t)TIMER_SINT << HV_STIMER_SINT_SHIFT)
#define PERIODS 10u

static struct hv_reference_tsc_page tsc_page __attribute__((aligned(PAGE_BYTES)));

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

/* As the specification says to read it. */
static uint64_t page_time(void)
{
	const volatile struct hv_reference_tsc_page *p = &tsc_page;
	uint32_t sequence;
	uint64_t high;

	do {
		uint64_t low, tsc;

		sequence = p->tsc_sequence;
		if (sequence == 0) {
			return hv_now();
		}
		tsc = rdtsc();
		__asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(tsc), "rm"(p->tsc_scale) : "cc");
		high += (uint64_t)p->tsc_offset;
	} while (p->tsc_sequence != sequence);
	return high;
}

/* ---- Clocks ---- */

/* Page time lies between what the register says before and after. */
static void compare_clocks(struct vp *vp)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		uint64_t before = hv_now(), page = page_time(), after = hv_now();

		vp_check(vp, "the page is not before the register", page >= before, true);
		vp_check(vp, "the register is not before the page", after >= page, true);
	}
}

static volatile uint64_t latest;

/* Whatever any processor has read before, this one reads no less. */
static void watch_others(struct vp *vp)
{
	for (unsigned i = 0; i < 20 * LOOKS; i++) {
		uint64_t seen = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), now = page_time();

		vp_check(vp, "no clock is behind another", now >= seen, true);
		while (seen < now &&
		       !__atomic_compare_exchange_n(&latest, &seen, now, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST)) {
		}
	}
}

/* The TSC's frequency is what the register says, as exactly as both clocks can be read together. */
static void test_frequency(void)
{
	uint64_t hz = rdmsr(HV_X64_MSR_TSC_FREQUENCY), a[2], b[2], from, to;

	test_begin("the TSC runs at the frequency that the register tells");
	a[0] = rdtsc();
	from = hv_now();
	a[1] = rdtsc();
	wait_for(50 * MILLISECOND);
	b[0] = rdtsc();
	to = hv_now();
	b[1] = rdtsc();
	/* One tick of 100 ns is lost by rounding at either end. */
	CHECK_EQ(hz > 10000000, true);
	check_eq("not slower", (b[1] - a[0]) >= (to - from - 1) * (hz / 10000) / 1000, true);
	check_eq("not faster", (b[0] - a[1]) / 1000 <= (to - from + 2) * (hz / 10000000 + 1) / 1000,
		 true);
	CHECK_EQ(rdmsr(HV_X64_MSR_APIC_FREQUENCY) > 0, true);
	test_end();
}

static void own_run_time(struct vp *vp)
{
	uint64_t begin = hv_now(), before = rdmsr(HV_X64_MSR_VP_RUNTIME), end = begin;

	while (end < begin + 5 * MILLISECOND) {
		end = hv_now();
	}
	uint64_t run = rdmsr(HV_X64_MSR_VP_RUNTIME) - before;

	end = hv_now();
	vp_check(vp, "it has run", run > 0, true);
	/* 64-tick buckets, and the register is taken at another moment than the time. */
	vp_check(vp, "it has not run longer than time went by", run <= end - begin + MILLISECOND,
		 true);
}

static void test_page_itself(void)
{
	test_begin("the reference TSC page");
	CHECK_EQ(rdmsr(HV_X64_MSR_REFERENCE_TSC) & HV_MSR_PAGE_ENABLE, 0);
	wrmsr(HV_X64_MSR_REFERENCE_TSC, (uint64_t)&tsc_page | HV_MSR_PAGE_ENABLE);
	CHECK_EQ(rdmsr(HV_X64_MSR_REFERENCE_TSC), (uint64_t)&tsc_page | HV_MSR_PAGE_ENABLE);
	CHECK_EQ(tsc_page.tsc_sequence != 0, true);
	CHECK_EQ(tsc_page.tsc_sequence != UINT32_MAX, true);
	/* Who writes there spoils his own clock, until he enables the page again. */
	*(volatile uint64_t *)&tsc_page.tsc_scale = 0;
	wrmsr(HV_X64_MSR_REFERENCE_TSC, (uint64_t)&tsc_page);
	CHECK_EQ(*(volatile uint64_t *)&tsc_page.tsc_scale, 0);
	wrmsr(HV_X64_MSR_REFERENCE_TSC, (uint64_t)&tsc_page | HV_MSR_PAGE_ENABLE);
	CHECK_EQ(*(volatile uint64_t *)&tsc_page.tsc_scale != 0, true);
	CHECK_EQ(tsc_page.tsc_sequence != 0, true);
	test_end();
}

void hyperv_time(void)
{
	test_page_itself();
	test_begin("page and register tell the same time");
	everywhere(compare_clocks);
	test_end();
	test_begin("time does not go back from one processor to another");
	everywhere(watch_others);
	test_end();
	test_frequency();
	test_begin("a processor's own run time");
	everywhere(own_run_time);
	test_end();
}

/* ---- Timers ---- */

static struct hv_message *timer_slot(struct vp *vp)
{
	return &vp_pages[vp->index].messages[TIMER_SINT];
}

static uint32_t slot_type(struct vp *vp)
{
	return __atomic_load_n(&timer_slot(vp)->type, __ATOMIC_SEQ_CST);
}

/* The message that has come; true when there is one. */
static bool take_message(struct vp *vp, struct hv_timer_message_payload *ret)
{
	struct hv_message *m = timer_slot(vp);

	if (!WAIT(slot_type(vp) != 0)) {
		vp_check(vp, "a message", 0, 1);
		return false;
	}
	vp_check(vp, "its type", slot_type(vp), (uint32_t)HvMessageTimerExpired);
	vp_check(vp, "its size", m->payload_size, sizeof(*ret));
	memcpy(ret, m->payload, sizeof(*ret));
	__atomic_store_n(&m->type, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&m->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) {
		wrmsr(HV_X64_MSR_EOM, 0);
	}
	return true;
}

static void check_expiry(struct vp *vp, const struct hv_timer_message_payload *p, unsigned n,
			 uint64_t due)
{
	vp_check(vp, "which timer", p->timer_index, n);
	vp_check(vp, "when it was due", p->expiration_time, due);
	vp_check(vp, "not delivered too early", p->delivery_time >= due, true);
	vp_check(vp, "not delivered later than now", p->delivery_time <= hv_now(), true);
}

static void one_shot(struct vp *vp)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		uint64_t before = vp->taken[TIMER_VECTOR], due = hv_now() + 2 * MILLISECOND;
		struct hv_timer_message_payload p;

		wrmsr(TIMER_COUNT(n), due);
		wrmsr(TIMER_CONFIG(n), TIMER_BY_SINT);
		if (take_message(vp, &p)) {
			check_expiry(vp, &p, n, due);
		}
		vp_check(vp, "one interrupt", WAIT(vp->taken[TIMER_VECTOR] == before + 1), true);
		vp_check(vp, "it is off", rdmsr(TIMER_CONFIG(n)) & HV_STIMER_ENABLED, 0);
		vp_check(vp, "its count", rdmsr(TIMER_COUNT(n)), due);
	}
}

static void automatic(struct vp *vp)
{
	struct hv_timer_message_payload p;
	uint64_t due;

	wrmsr(TIMER_CONFIG(1), (TIMER_BY_SINT & ~HV_STIMER_ENABLED) | HV_STIMER_AUTO_ENABLE);
	vp_check(vp, "off without a count", rdmsr(TIMER_CONFIG(1)) & HV_STIMER_ENABLED, 0);
	due = hv_now() + MILLISECOND;
	wrmsr(TIMER_COUNT(1), due);
	if (take_message(vp, &p)) {
		check_expiry(vp, &p, 1, due);
	}
	due = hv_now() - MILLISECOND; /* over already */
	wrmsr(TIMER_COUNT(1), due);
	if (take_message(vp, &p)) {
		check_expiry(vp, &p, 1, due);
	}
	wrmsr(TIMER_COUNT(1), hv_now() + PATIENCE);
	vp_check(vp, "on with a count", rdmsr(TIMER_CONFIG(1)) & HV_STIMER_ENABLED, 1);
	wrmsr(TIMER_COUNT(1), 0);
	vp_check(vp, "off with a count of 0", rdmsr(TIMER_CONFIG(1)) & HV_STIMER_ENABLED, 0);
	wrmsr(TIMER_CONFIG(1), 0);
}

static void drain(struct vp *vp)
{
	__atomic_store_n(&timer_slot(vp)->type, 0, __ATOMIC_SEQ_CST);
	wrmsr(HV_X64_MSR_EOM, 0);
	let_in();
}

static void periodic(struct vp *vp)
{
	const uint64_t period = MILLISECOND, begun = hv_now();
	struct hv_timer_message_payload p;
	uint64_t last = 0;

	wrmsr(TIMER_COUNT(2), period);
	wrmsr(TIMER_CONFIG(2), TIMER_BY_SINT | HV_STIMER_PERIODIC);
	for (unsigned i = 0; i < PERIODS && take_message(vp, &p); i++) {
		vp_check(vp, "which timer", p.timer_index, 2);
		vp_check(vp, "not before a period is over", p.expiration_time >= begun + period,
			 true);
		vp_check(vp, "later than the last", p.expiration_time > last, true);
		vp_check(vp, "whole periods", last != 0 ? (p.expiration_time - last) % period : 0,
			 0);
		last = p.expiration_time;
	}
	vp_check(vp, "it goes on", rdmsr(TIMER_CONFIG(2)) & HV_STIMER_ENABLED, 1);
	wrmsr(TIMER_CONFIG(2), 0);
	drain(vp);
	wait_for(3 * period);
	vp_check(vp, "nothing after its end", slot_type(vp), 0);
}

/* All four are due while their slot is in use: each is delivered when the one before has been taken. */
static void four_at_once(struct vp *vp)
{
	struct hv_timer_message_payload p;
	uint64_t due = hv_now() + MILLISECOND, seen = 0;

	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		wrmsr(TIMER_COUNT(n), due);
		wrmsr(TIMER_CONFIG(n), TIMER_BY_SINT);
	}
	vp_check(vp, "one that waits is announced",
		 WAIT(__atomic_load_n(&timer_slot(vp)->flags, __ATOMIC_SEQ_CST) &
		      HV_MESSAGE_FLAG_PENDING),
		 true);
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT && take_message(vp, &p); n++) {
		vp_check(vp, "when it was due", p.expiration_time, due);
		seen |= 1ull << p.timer_index;
	}
	vp_check(vp, "all of them", seen, 0xf);
}

static void direct(struct vp *vp)
{
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		uint8_t vector = (uint8_t)(DIRECT_VECTOR + n);
		uint64_t before = vp->taken[vector], due = hv_now() + MILLISECOND;

		wrmsr(TIMER_COUNT(n), due);
		wrmsr(TIMER_CONFIG(n), HV_STIMER_DIRECT_MODE | HV_STIMER_ENABLED |
					       (uint64_t)vector << HV_STIMER_VECTOR_SHIFT);
		vp_check(vp, "its interrupt", WAIT(vp->taken[vector] == before + 1), true);
		vp_check(vp, "not too early", hv_now() >= due, true);
		vp_check(vp, "no message", slot_type(vp), 0);
		vp_check(vp, "it is off", rdmsr(TIMER_CONFIG(n)) & HV_STIMER_ENABLED, 0);
	}
}

/* A processor that halts, or says that it is idle, wakes up for it. */
static void wakes(struct vp *vp)
{
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = vp->taken[DIRECT_VECTOR], due = hv_now() + MILLISECOND;

		wrmsr(TIMER_COUNT(0), due);
		wrmsr(TIMER_CONFIG(0), HV_STIMER_DIRECT_MODE | HV_STIMER_ENABLED |
					       (uint64_t)DIRECT_VECTOR << HV_STIMER_VECTOR_SHIFT);
		if (i & 1) {
			rdmsr(HV_X64_MSR_GUEST_IDLE); /* interrupts are off: wakes, and is taken later */
		}
		while (vp->taken[DIRECT_VECTOR] == before) {
			halt();
		}
		vp_check(vp, "not before its time", hv_now() >= due, true);
	}
}

static void test_refused(void)
{
	test_begin("timers that cannot be");
	for (unsigned bit = 13; bit < 64; bit++) {
		if (bit < HV_STIMER_SINT_SHIFT || bit >= HV_STIMER_SINT_SHIFT + 4) {
			try_wrmsr(TIMER_CONFIG(0), 1ull << bit);
			check_trap("a reserved bit", 13, 0);
		}
	}
	wrmsr(TIMER_COUNT(0), hv_now() + PATIENCE);
	wrmsr(TIMER_CONFIG(0), HV_STIMER_ENABLED);
	check_eq("without a source", rdmsr(TIMER_CONFIG(0)) & HV_STIMER_ENABLED, 0);
	wrmsr(TIMER_CONFIG(0), 0);
	test_end();
}

static void timers_begin(struct vp *vp)
{
	(void)vp;
	wrmsr(HV_X64_MSR_SCONTROL, HV_SCONTROL_ENABLE);
	wrmsr(HV_X64_MSR_SINT0 + TIMER_SINT, TIMER_VECTOR);
}

static void timers_end(struct vp *vp)
{
	wrmsr(HV_X64_MSR_SINT0 + TIMER_SINT, HV_SINT_MASKED);
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		wrmsr(TIMER_CONFIG(n), 0);
		vp_check(vp, "off", rdmsr(TIMER_CONFIG(n)), 0);
	}
}

void hyperv_timers(void)
{
	static const struct {
		const char *name;
		void (*work)(struct vp *vp);
	} tests[] = {
		{"timers, once", one_shot},
		{"timers that begin with their count", automatic},
		{"a periodic timer", periodic},
		{"four timers for one slot", four_at_once},
		{"timers without messages", direct},
		{"a processor that halts wakes up for its timer", wakes},
		{"timers end", timers_end},
	};

	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		eoi_of[DIRECT_VECTOR + n] = n & 1 ? EOI_MSR : EOI_APIC;
	}
	eoi_of[TIMER_VECTOR] = EOI_APIC;
	test_refused();
	everywhere(timers_begin);
	for (unsigned i = 0; i < ARRAY_LEN(tests); i++) {
		test_begin(tests[i].name);
		everywhere(tests[i].work);
		test_end();
	}
}
