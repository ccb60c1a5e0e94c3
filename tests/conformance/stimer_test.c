// SPDX-License-Identifier: Apache-2.0
/* Synthetic timers. TLFS 12.4. */
#include "rig.h"

#define SINT 2u
#define VECTOR 0xF3u
#define DIRECT_VECTOR 0xEDu
#define CONFIG(n) (HV_X64_MSR_STIMER0_CONFIG + 2 * (n))
#define COUNT(n) (HV_X64_MSR_STIMER0_COUNT + 2 * (n))
#define BY_SINT ((uint64_t)SINT << HV_STIMER_SINT_SHIFT)
#define DIRECT (HV_STIMER_DIRECT_MODE | (uint64_t)DIRECT_VECTOR << HV_STIMER_VECTOR_SHIFT)

static void init(struct rig *r)
{
	rig_init(r, NULL);
	rig_synic(r, 0, SINT, VECTOR);
}

static uint64_t now(struct rig *r)
{
	return rig_msr(r, 0, HV_X64_MSR_TIME_REF_COUNT);
}

static void set(struct test *t, struct rig *r, unsigned n, uint64_t config, uint64_t count)
{
	EXPECT_EQ(t, rig_wrmsr(r, 0, CONFIG(n), config), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(r, 0, COUNT(n), count), RIG_OK);
}

static struct hv_timer_message_payload payload(struct rig *r)
{
	struct hv_timer_message_payload p;

	memcpy(&p, rig_slot(r, 0, SINT)->payload, sizeof(p));
	return p;
}

/* ---- Registers ---- */

static void tlfs_12_4_config_bits(struct test *t)
{
	struct rig r;

	init(&r);
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		for (unsigned bit = 0; bit < 64; bit++) {
			bool exists = (HV_STIMER_CONFIG_BITS >> bit) & 1;

			rig_forget(&r, 0);
			EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(n), BIT64(bit)),
				  exists ? RIG_OK : X86_EXC_GP);
		}
		EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(n), 0), RIG_OK);
	}
	rig_fini(&r);
}

static void tlfs_12_4_auto_enable(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(0), BY_SINT | HV_STIMER_AUTO_ENABLE), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(0)) & HV_STIMER_ENABLED, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), now(&r) + 1000), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(0)),
		  BY_SINT | HV_STIMER_AUTO_ENABLE | HV_STIMER_ENABLED);
	/* Count 0 stops it. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), 0), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(0)), BY_SINT | HV_STIMER_AUTO_ENABLE);
	rig_time_100ns(&r, 2000);
	EXPECT(t, rig_took(&r, 0, -1));
	/* Without the bit a count alone starts nothing. */
	set(t, &r, 1, BY_SINT, now(&r) + 10);
	EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(1)), BY_SINT);
	rig_time_100ns(&r, 2000);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

static void tlfs_12_4_sint_0_cannot_be_enabled(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(0), HV_STIMER_ENABLED), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), now(&r) + 10), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(0)) & HV_STIMER_ENABLED, 0);
	rig_time_100ns(&r, 2000);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, rig_slot(&r, 0, 0)->type, HvMessageTypeNone);
	rig_fini(&r);
}

/* ---- One-shot ---- */

static void tlfs_12_4_one_shot_message(struct test *t)
{
	uint64_t start, expiry;
	struct rig r;

	init(&r);
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		start = now(&r);
		expiry = start + 12345;
		set(t, &r, n, BY_SINT | HV_STIMER_AUTO_ENABLE, expiry);
		EXPECT_EQ(t, rig_msr(&r, 0, COUNT(n)), expiry);
		EXPECT(t, rig_took(&r, 0, -1));
		rig_time_100ns(&r, 12344);
		EXPECT(t, rig_took(&r, 0, -1));
		rig_time_100ns(&r, 10);
		EXPECT(t, rig_took(&r, 0, VECTOR));
		EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, (uint32_t)HvMessageTimerExpired);
		EXPECT_EQ(t, rig_slot(&r, 0, SINT)->payload_size,
			  sizeof(struct hv_timer_message_payload));
		EXPECT_EQ(t, rig_slot(&r, 0, SINT)->origin, 0);
		EXPECT_EQ(t, payload(&r).timer_index, n);
		EXPECT_EQ(t, payload(&r).reserved, 0);
		EXPECT_EQ(t, payload(&r).expiration_time, expiry);
		EXPECT(t,
		       payload(&r).delivery_time >= expiry && payload(&r).delivery_time <= now(&r));
		/* It is over: not enabled, no second expiration. */
		EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(n)), BY_SINT | HV_STIMER_AUTO_ENABLE);
		rig_slot(&r, 0, SINT)->type = 0;
		rig_time_100ns(&r, 100000);
		EXPECT(t, rig_took(&r, 0, -1));
	}
	rig_fini(&r);
}

static void tlfs_12_4_expiry_in_the_past(struct test *t)
{
	struct rig r;

	init(&r);
	rig_time_100ns(&r, 50000);
	set(t, &r, 0, BY_SINT | HV_STIMER_AUTO_ENABLE, 1);
	rig_run(&r, 0);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, (uint32_t)HvMessageTimerExpired);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	rig_fini(&r);
}

static void count_injection(struct fake_vp *vp, void *ctx)
{
	*(uint64_t *)ctx = vp->how.deadline_tsc;
}

/*
 * Never early, for clocks that do not divide evenly: at the deadline that the engine is given, reference time has reached
 * the expiration, and one tick before it has not by more than rounding.
 */
static void tlfs_12_4_never_early(struct test *t)
{
	static const uint64_t clocks[] = {10000001,   33333333,	  999999999,  1000000007,
					  2345678901, 2400000000, 3999999979, UINT64_C(5123456789)};

	for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
		struct rig r;

		rig_init(&r, &(struct rig_options){.tsc_hz = clocks[i]});
		rig_synic(&r, 0, SINT, VECTOR);
		for (uint64_t delta = 1; delta < 3000000000; delta = delta * 7 + 3) {
			uint64_t deadline = 0, expiry = now(&r) + delta;

			set(t, &r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, expiry);
			fake_push_code(r.fake[0], count_injection, &deadline);
			EXPECT(t, rig_took(&r, 0, -1));
			EXPECT(t, deadline > r.machine.now);
			rig_time(&r, deadline - r.machine.now - 1);
			EXPECT(t, now(&r) < expiry + 1);
			if (now(&r) < expiry) {
				EXPECT(t, rig_took(&r, 0, -1));
			}
			rig_time(&r, 1);
			EXPECT(t, now(&r) >= expiry);
			rig_run(&r, 0);
			rig_eoi(&r, 0);
			EXPECT_EQ(t, rig_msr(&r, 0, CONFIG(0)) & HV_STIMER_ENABLED, 0);
		}
		rig_fini(&r);
	}
}

/* ---- Periodic and lazy ---- */

static void tlfs_12_4_periodic(struct test *t)
{
	uint64_t start;
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), 1000), RIG_OK);
	start = now(&r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(0), BY_SINT | HV_STIMER_PERIODIC | HV_STIMER_ENABLED),
		  RIG_OK);
	for (unsigned n = 1; n <= 5; n++) {
		rig_time_100ns(&r, 999);
		EXPECT(t, rig_took(&r, 0, -1));
		rig_time_100ns(&r, 1);
		EXPECT(t, rig_took(&r, 0, VECTOR));
		EXPECT_EQ(t, payload(&r).expiration_time, start + 1000 * n);
		rig_slot(&r, 0, SINT)->type = 0;
	}
	EXPECT(t, rig_msr(&r, 0, CONFIG(0)) & HV_STIMER_ENABLED);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(0), BY_SINT | HV_STIMER_PERIODIC), RIG_OK);
	rig_time_100ns(&r, 10000);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

/* Periods that nobody had time for are one expiration; the next one keeps the phase. */
static void tlfs_12_4_missed_periods(struct test *t)
{
	uint64_t start;
	struct rig r;

	init(&r);
	start = now(&r);
	set(t, &r, 0, DIRECT | HV_STIMER_PERIODIC | HV_STIMER_AUTO_ENABLE, 1000);
	rig_time_100ns(&r, 10500);
	EXPECT(t, rig_took(&r, 0, DIRECT_VECTOR));
	rig_time_100ns(&r, 499);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_time_100ns(&r, 1);
	EXPECT(t, rig_took(&r, 0, DIRECT_VECTOR));
	EXPECT_EQ(t, now(&r), start + 11000);
	rig_fini(&r);
}

/* A lazy timer alone does not wake a halted VP, and is delivered when it runs for another reason. */
static void tlfs_12_4_lazy(struct test *t)
{
	struct rig r;

	init(&r);
	set(t, &r, 0, DIRECT | HV_STIMER_LAZY | HV_STIMER_AUTO_ENABLE, now(&r) + 1000);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, r.wake_ns, UINT64_MAX);
	rig_time_100ns(&r, 5000);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	rig_run(&r, 0);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_interrupts(&r, 0, DIRECT_VECTOR), 1);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	rig_fini(&r);
}

static void tlfs_12_4_timer_wakes_a_halted_vp(struct test *t)
{
	struct rig r;

	init(&r);
	set(t, &r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + 1000);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT(t, r.wake_ns >= 100000 && r.wake_ns <= 100100);
	rig_time_100ns(&r, 1000);
	EXPECT(t, rig_took(&r, 0, DIRECT_VECTOR));
	rig_fini(&r);
}

/* ---- Direct mode ---- */

static void tlfs_12_4_direct_mode_needs_no_synic(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	set(t, &r, 3, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + 10);
	EXPECT(t, rig_msr(&r, 0, CONFIG(3)) & HV_STIMER_ENABLED);
	rig_time_100ns(&r, 10);
	EXPECT(t, rig_took(&r, 0, DIRECT_VECTOR));
	rig_fini(&r);
}

/* ---- Messages and slots ---- */

static void tlfs_12_4_busy_slot_is_retried(struct test *t)
{
	uint64_t expiry;
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, 1), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 0, VECTOR));
	expiry = now(&r) + 10;
	set(t, &r, 0, BY_SINT | HV_STIMER_AUTO_ENABLE, expiry);
	rig_time_100ns(&r, 20);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, 1);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->flags, HV_MESSAGE_FLAG_PENDING);
	rig_slot(&r, 0, SINT)->type = 0;
	rig_time_100ns(&r, 500);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, (uint32_t)HvMessageTimerExpired);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	EXPECT_EQ(t, payload(&r).expiration_time, expiry);
	EXPECT(t, payload(&r).delivery_time >= expiry + 500);
	rig_fini(&r);
}

/* Four timers on one SINT: all messages arrive, one at a time. */
static void tlfs_12_4_four_timers_on_one_sint(struct test *t)
{
	unsigned seen = 0;
	struct rig r;

	init(&r);
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		set(t, &r, n, BY_SINT | HV_STIMER_AUTO_ENABLE, now(&r) + 100);
	}
	rig_time_100ns(&r, 200);
	for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		rig_run(&r, 0);
		EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, (uint32_t)HvMessageTimerExpired);
		seen |= 1u << payload(&r).timer_index;
		EXPECT_EQ(t, rig_slot(&r, 0, SINT)->flags, n < 3 ? HV_MESSAGE_FLAG_PENDING : 0);
		rig_slot(&r, 0, SINT)->type = 0;
		EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	}
	EXPECT_EQ(t, seen, 0xF);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
	rig_fini(&r);
}

/* A new setting cancels a message that has not got its slot yet. */
static void tlfs_12_4_reprogramming_drops_the_pending_message(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, 1), HV_STATUS_SUCCESS);
	set(t, &r, 0, BY_SINT | HV_STIMER_AUTO_ENABLE, now(&r) + 10);
	rig_time_100ns(&r, 20);
	rig_run(&r, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), 0), RIG_OK);
	rig_slot(&r, 0, SINT)->type = 0;
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
	rig_fini(&r);
}

static void tlfs_12_4_timers_are_per_vp(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	rig_apic_write(&r, 1, 0xF0, 0x1FF);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, CONFIG(0), DIRECT | HV_STIMER_AUTO_ENABLE), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, COUNT(0), now(&r) + 10), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, COUNT(0)), 0);
	rig_time_100ns(&r, 20);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT(t, rig_took(&r, 1, DIRECT_VECTOR));
	rig_fini(&r);
}

static void tlfs_12_4_far_future(struct test *t)
{
	static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX - 1, INT64_MAX, UINT64_C(1) << 62};
	struct rig r;

	init(&r);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		set(t, &r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, counts[i]);
		EXPECT(t, rig_took(&r, 0, -1));
		EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), 0), RIG_OK);
		set(t, &r, 1, DIRECT | HV_STIMER_PERIODIC | HV_STIMER_AUTO_ENABLE, counts[i]);
		rig_time_100ns(&r, 1000000);
		EXPECT(t, rig_took(&r, 0, -1));
		EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(1), 0), RIG_OK);
	}
	rig_fini(&r);
}

/* Of a clock below 1 GHz: nanoseconds cannot tell how long the VP may sleep. */
static void later_than_nanoseconds(struct test *t)
{
	const uint64_t hz = 900000000, ticks = hz / 10000000;
	struct rig r;

	rig_init(&r, &(struct rig_options){.tsc_hz = hz});
	EXPECT_EQ(t,
		  rig_wrmsr(&r, 0, HV_X64_MSR_STIMER0_CONFIG,
			    HV_STIMER_DIRECT_MODE | HV_STIMER_AUTO_ENABLE | 0x51u << 4),
		  RIG_OK);
	EXPECT_EQ(t,
		  rig_wrmsr(&r, 0, HV_X64_MSR_STIMER0_COUNT,
			    (UINT64_MAX - (UINT64_C(1) << 40)) / ticks),
		  RIG_OK);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, r.wake_ns, UINT64_MAX);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_12_4_config_bits),
		TEST(tlfs_12_4_auto_enable),
		TEST(tlfs_12_4_sint_0_cannot_be_enabled),
		TEST(tlfs_12_4_one_shot_message),
		TEST(tlfs_12_4_expiry_in_the_past),
		TEST(tlfs_12_4_never_early),
		TEST(tlfs_12_4_periodic),
		TEST(tlfs_12_4_missed_periods),
		TEST(tlfs_12_4_lazy),
		TEST(tlfs_12_4_timer_wakes_a_halted_vp),
		TEST(tlfs_12_4_direct_mode_needs_no_synic),
		TEST(tlfs_12_4_busy_slot_is_retried),
		TEST(tlfs_12_4_four_timers_on_one_sint),
		TEST(tlfs_12_4_reprogramming_drops_the_pending_message),
		TEST(tlfs_12_4_timers_are_per_vp),
		TEST(tlfs_12_4_far_future),
		TEST(later_than_nanoseconds),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
