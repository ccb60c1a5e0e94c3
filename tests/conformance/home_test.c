// SPDX-License-Identifier: Apache-2.0
/*
 * Local APICs and timers that the engine keeps (hv/engine.h: hv_engine_apic_ops): they are there while VPs run and here while time is frozen, and
 * no expiration is lost, doubled or early on the way.
 */
#include "rig.h"

#define VECTOR 0xEDu
#define CONFIG(n) (HV_X64_MSR_STIMER0_CONFIG + 2 * (n))
#define COUNT(n) (HV_X64_MSR_STIMER0_COUNT + 2 * (n))
#define DIRECT (HV_STIMER_DIRECT_MODE | (uint64_t)VECTOR << HV_STIMER_VECTOR_SHIFT)
#define NEVER UINT64_MAX
#define MSR_TSC 0x10u
#define IMAGE_MAX (1u << 18)

static void init(struct rig *r)
{
	rig_init(r, &(struct rig_options){.apics = true});
	rig_time_100ns(r, 1000); /* a count of 0 says something else */
	rig_run(r, 0);
	CHECK(r->fake[0]->has_apic);
}

static uint64_t now(struct rig *r)
{
	return rig_msr(r, 0, HV_X64_MSR_TIME_REF_COUNT);
}

static void set(struct rig *r, unsigned n, uint64_t config, uint64_t count)
{
	CHECK(rig_wrmsr(r, 0, CONFIG(n), config) == RIG_OK &&
	      rig_wrmsr(r, 0, COUNT(n), count) == RIG_OK);
}

static void freeze(struct rig *r, bool frozen)
{
	CHECK(rig_property_set(r, HvPartitionPropertyTimeFreeze, frozen) == HV_STATUS_SUCCESS);
}

static bool enabled(struct rig *r, unsigned n)
{
	return rig_msr(r, 0, CONFIG(n)) & HV_STIMER_ENABLED;
}

/* The guest does nothing, and then something. What the latest run() was told of deadlines. */
static uint64_t deadline(struct rig *r)
{
	rig_run(r, 0);
	return r->fake[0]->how.deadline_tsc;
}

static unsigned requests(struct rig *r)
{
	return r->fake[0]->requests[VECTOR];
}

static void expires_there(struct test *t)
{
	struct rig r;
	uint64_t due;

	init(&r);
	due = now(&r) + 1000;
	set(&r, 1, DIRECT | HV_STIMER_AUTO_ENABLE, due);
	EXPECT(t, r.fake[0]->timer[1].set);
	EXPECT_EQ(t, deadline(&r), NEVER);
	/* At the very tick, and not before. */
	while (requests(&r) == 0) {
		rig_time(&r, 1);
		rig_run(&r, 0);
	}
	EXPECT_EQ(t, now(&r), due);
	rig_time_100ns(&r, 5000);
	EXPECT(t, !enabled(&r, 1));
	EXPECT_EQ(t, requests(&r), 1);
	/* Again, by a count alone. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(1), now(&r) + 10), RIG_OK);
	EXPECT(t, enabled(&r, 1));
	rig_time_100ns(&r, 20);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 2);
	rig_fini(&r);
}

/* A count in the past expires at once; one that is taken back does not. */
static void past_and_stopped(struct test *t)
{
	struct rig r;

	init(&r);
	set(&r, 0, DIRECT | HV_STIMER_ENABLED, now(&r));
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 1);
	set(&r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + 10);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), 0), RIG_OK);
	EXPECT(t, !r.fake[0]->timer[0].set);
	set(&r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + 10);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, CONFIG(0), 0), RIG_OK);
	EXPECT(t, !r.fake[0]->timer[0].set);
	rig_time_100ns(&r, 100);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 1);
	rig_fini(&r);
}

/* Without AUTO_ENABLE a count after the expiration starts nothing: whether it has expired is asked for. */
static void count_after_expiration(struct test *t)
{
	struct rig r;

	init(&r);
	set(&r, 0, DIRECT | HV_STIMER_ENABLED, now(&r) + 10);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), now(&r) + 20), RIG_OK);
	EXPECT(t, enabled(&r, 0));
	rig_time_100ns(&r, 30);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), now(&r) + 20), RIG_OK);
	EXPECT(t, !enabled(&r, 0));
	rig_time_100ns(&r, 30);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 1);
	rig_fini(&r);
}

/* Messages and periods are the core's. */
static void not_lent(struct test *t)
{
	struct rig r;

	init(&r);
	rig_synic(&r, 0, 2, 0xF3);
	set(&r, 0, HV_STIMER_ENABLED | UINT64_C(2) << HV_STIMER_SINT_SHIFT, now(&r) + 1000);
	set(&r, 1, DIRECT | HV_STIMER_ENABLED | HV_STIMER_PERIODIC, 1000);
	set(&r, 2, HV_STIMER_DIRECT_MODE | HV_STIMER_ENABLED | 0xF0,
	    now(&r) + 1000); /* vector 15 */
	for (unsigned n = 0; n < 4; n++) {
		EXPECT(t, !r.fake[0]->timer[n].set);
	}
	EXPECT(t, deadline(&r) != NEVER);
	rig_time_100ns(&r, 1100);
	rig_run(&r, 0);
	EXPECT_EQ(t, rig_slot(&r, 0, 2)->type, (uint32_t)HvMessageTimerExpired);
	EXPECT_EQ(t, requests(&r), 1);
	rig_fini(&r);
}

/* Later than the engine's clock, which is ahead of the guest's, can tell. */
static void far_away(struct test *t)
{
	struct rig r;

	init(&r);
	set(&r, 0, DIRECT | HV_STIMER_AUTO_ENABLE,
	    (UINT64_MAX - (UINT64_C(1) << 30)) / RIG_TICKS_100NS);
	EXPECT(t, !r.fake[0]->timer[0].set);
	EXPECT_EQ(t, deadline(&r), NEVER);
	EXPECT(t, enabled(&r, 0));
	EXPECT_EQ(t, requests(&r), 0);
	rig_fini(&r);
}

/* So late that the ticks which make up for roundings would go past the last one: never, and not at once. */
static void nearly_never(struct test *t)
{
	struct rig r;

	init(&r);
	for (uint64_t i = 0; i < RIG_TICKS_100NS; i++) {
		uint64_t last = UINT64_MAX - rig_msr(&r, 0, MSR_TSC) - 5;

		set(&r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + last / RIG_TICKS_100NS);
		EXPECT(t, !r.fake[0]->timer[0].set ||
				  r.fake[0]->timer[0].deadline_tsc > r.machine.now);
		rig_time(&r, 1);
	}
	rig_fini(&r);
}

static void engine_cannot(struct test *t)
{
	struct rig r;

	init(&r);
	set(&r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + 50);
	EXPECT(t, r.fake[0]->timer[0].set);
	r.machine.no_timers = true;
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), now(&r) + 1000), RIG_OK);
	EXPECT(t, !r.fake[0]->timer[0].set);
	EXPECT(t, deadline(&r) != NEVER);
	rig_time_100ns(&r, 1100);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 1);
	rig_fini(&r);
}

/* Before, at and after the expiration; and due, but not yet looked at by the VP. */
static void frozen(struct test *t)
{
	struct rig r;

	init(&r);
	set(&r, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&r) + 1000);
	freeze(&r, true);
	EXPECT(t, !r.fake[0]->has_apic && !r.fake[0]->timer[0].set);
	rig_time_100ns(&r, 5000);
	freeze(&r, false);
	rig_run(&r, 0);
	EXPECT(t, r.fake[0]->timer[0].set);
	rig_time_100ns(&r, 900);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 0);
	rig_time_100ns(&r, 200); /* due, and the VP does not run */
	freeze(&r, true);
	rig_time_100ns(&r, 5000);
	freeze(&r, false);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 1);
	EXPECT(t, !enabled(&r, 0));
	/* It expired there; only the request comes back. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, COUNT(0), now(&r) + 10), RIG_OK);
	rig_time_100ns(&r, 20);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 2);
	freeze(&r, true);
	freeze(&r, false);
	rig_run(&r, 0);
	EXPECT_EQ(t, requests(&r), 2);
	EXPECT(t, r.fake[0]->apic.irr[VECTOR / 32] & BIT32(VECTOR % 32));
	EXPECT(t, !enabled(&r, 0));
	rig_fini(&r);
}

/* A level-triggered interrupt that the guest has ended there, with the report of it still to come, waits nowhere. */
static void waits_there(struct test *t)
{
	struct rig r;

	init(&r);
	r.fake[0]->apic.irr[0x41 / 32] = BIT32(0x41 % 32);
	r.fake[0]->apic.isr[0x51 / 32] = BIT32(0x51 % 32);
	r.fake[0]->apic.tmr[0x61 / 32] = BIT32(0x61 % 32); /* over */
	freeze(&r, true);
	EXPECT(t, hv_partition_vector_waits(r.partition, 0x41));
	EXPECT(t, hv_partition_vector_waits(r.partition, 0x51));
	EXPECT(t, !hv_partition_vector_waits(r.partition, 0x61));
	rig_fini(&r);
}

static void send_init(void *ctx)
{
	struct rig *r = ctx;

	CHECK(!r->fake[0]->has_apic);
	CHECK(rig_assert(r, HvX64InterruptTypeInit, 0, 1, 0) == HV_STATUS_SUCCESS);
}

/* The core looks for what it has to do first on each VP in turn: an INIT comes for one that it has looked at, before the APICs go. */
static void init_on_the_way(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.apics = true, .vps = 3});
	freeze(&r, true);
	freeze(&r, false);
	EXPECT(t, !r.fake[0]->has_apic);
	r.machine.look = send_init;
	r.machine.look_ctx = &r;
	r.machine.look_in = 3;
	rig_run(&r, 0);
	EXPECT_EQ(t, r.machine.look_in, 0);
	EXPECT(t, r.fake[0]->has_apic && r.fake[1]->has_apic);
	EXPECT_EQ(t, r.fake[1]->inits, 1);
	EXPECT_EQ(t, (int)r.fake[1]->apic.activity, HV_ACTIVITY_WAITS_FOR_SIPI);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK); /* where the engine waits for its SIPI */
	EXPECT_EQ(t, r.fake[1]->inits, 1);
	rig_fini(&r);
}

/* From an engine that has timers to one that has none, with one to come and one that has been. */
static void moved(struct test *t)
{
	uint8_t *image = malloc(IMAGE_MAX);
	struct rig from, to;
	size_t bytes;

	CHECK(image != NULL);
	init(&from);
	rig_apic_write(&from, 0, 0xF0, 0x1FF);
	set(&from, 0, DIRECT | HV_STIMER_AUTO_ENABLE, now(&from) + 1000);
	set(&from, 1, DIRECT | HV_STIMER_AUTO_ENABLE, now(&from) + 10);
	rig_time_100ns(&from, 20);
	rig_run(&from, 0);
	from.fake[0]->apic.irr[VECTOR / 32] = 0; /* taken */
	freeze(&from, true);
	bytes = hv_partition_save(from.partition, image, IMAGE_MAX);
	rig_init(&to, &(struct rig_options){.frozen = true});
	rig_deposit(&to, to.id, 64);
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	freeze(&to, false);
	EXPECT_EQ(t, rig_msr(&to, 0, CONFIG(1)) & HV_STIMER_ENABLED, 0);
	EXPECT(t, enabled(&to, 0));
	rig_forget(&to, 0);
	rig_time_100ns(&to, 970);
	EXPECT_EQ(t, rig_interrupts(&to, 0, VECTOR), 0);
	EXPECT(t, deadline(&to) != NEVER);
	rig_time_100ns(&to, 100);
	rig_run(&to, 0);
	EXPECT(t, !enabled(&to, 0));
	rig_fini(&from);
	rig_fini(&to);
	free(image);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(expires_there),   TEST(past_and_stopped), TEST(count_after_expiration),
		TEST(not_lent),	       TEST(engine_cannot),    TEST(frozen),
		TEST(moved),	       TEST(far_away),	       TEST(nearly_never),
		TEST(init_on_the_way), TEST(waits_there),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
