// SPDX-License-Identifier: Apache-2.0
/* Reference time, the reference TSC page, freezing; and the small registers: VP run time, guest idle, reset, crash. TLFS 12, 10, 7. */
#include "rig.h"

#define TSC_PAGE UINT64_C(0x40000)
#define MSR_IA32_TSC 0x10u

static uint64_t reference(struct rig *r)
{
	return rig_msr(r, 0, HV_X64_MSR_TIME_REF_COUNT);
}

/* What a guest computes from the page and its own TSC. */
static uint64_t from_page(struct rig *r, uint64_t tsc)
{
	const struct hv_reference_tsc_page *page = rig_seen(r, TSC_PAGE);

	return (uint64_t)(((unsigned __int128)tsc * page->tsc_scale) >> 64) +
	       (uint64_t)page->tsc_offset;
}

/* RDTSC inside the engine, with the offset that the hypervisor gave it. */
static uint64_t rdtsc(struct rig *r, uint32_t vp)
{
	return r->machine.now + r->fake[vp]->tsc_offset;
}

/* ---- 12.2: reference counter ---- */

static void tlfs_12_2_reference_counter(struct test *t)
{
	uint64_t before;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT(t, reference(&r) < 10); /* starts with the partition, not with the engine */
	before = reference(&r);
	rig_time_100ns(&r, 123456789);
	EXPECT_EQ(t, reference(&r), before + 123456789);
	EXPECT_EQ(t, hv_partition_reference_time(r.partition), reference(&r));
	EXPECT_EQ(t, rig_property_get(&r, HvPartitionPropertyReferenceTime), reference(&r));
	rig_fini(&r);
}

static void tlfs_12_2_long_runs_do_not_drift(struct test *t)
{
	static const uint64_t clocks[] = {1000000007, 2345678901, RIG_TSC_HZ, 3999999979};

	for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
		const uint64_t seconds = 10 * 365 * 86400;
		uint64_t before, passed, want = seconds * 10000000;
		struct rig r;

		rig_init(&r, &(struct rig_options){.tsc_hz = clocks[i]});
		before = reference(&r);
		rig_time(&r, seconds * clocks[i]);
		passed = reference(&r) - before;
		/* Ten years: less than a microsecond away. */
		EXPECT(t, passed + 10 >= want && passed <= want + 10);
		rig_fini(&r);
	}
}

static void tlfs_12_2_monotonic_across_vps(struct test *t)
{
	uint64_t last = 0, value;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 4, .tsc_hz = 2345678901});
	for (unsigned i = 0; i < 2000; i++) {
		rig_time(&r, 17 * i % 301);
		value = rig_msr(&r, i % 4, HV_X64_MSR_TIME_REF_COUNT);
		EXPECT(t, value >= last);
		last = value;
	}
	rig_fini(&r);
}

/* ---- 12.7: reference TSC page ---- */

static void tlfs_12_7_page_agrees_with_the_counter(struct test *t)
{
	static const uint64_t clocks[] = {1000000007, 2345678901, RIG_TSC_HZ, 3999999979};

	for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
		struct rig r;

		rig_init(&r, &(struct rig_options){.tsc_hz = clocks[i]});
		EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_REFERENCE_TSC, TSC_PAGE | 1), RIG_OK);
		const struct hv_reference_tsc_page *page = rig_seen(&r, TSC_PAGE);

		EXPECT(t, page->tsc_sequence != 0 && page->tsc_sequence != UINT32_MAX);
		EXPECT_EQ(t, page->reserved1, 0);
		for (uint64_t step = 1; step < UINT64_C(1) << 50; step = step * 3 + 1) {
			rig_time(&r, step);
			rig_run(&r, 0);
			EXPECT_EQ(t, from_page(&r, rdtsc(&r, 0)), reference(&r));
		}
		rig_fini(&r);
	}
}

/* A guest that writes its TSC moves away from the page alone; the counter and other VPs stay. */
static void tlfs_12_guest_writes_its_tsc(struct test *t)
{
	uint64_t before;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	rig_time_100ns(&r, 1000000);
	before = reference(&r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_IA32_TSC, 42), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, MSR_IA32_TSC), 42);
	rig_run(&r, 0);
	EXPECT_EQ(t, rdtsc(&r, 0), 42);
	EXPECT_EQ(t, reference(&r), before);
	rig_time(&r, 100);
	EXPECT_EQ(t, rig_msr(&r, 0, MSR_IA32_TSC), 142);
	EXPECT(t, rig_msr(&r, 1, MSR_IA32_TSC) > 1000000);
	rig_fini(&r);
}

static void tlfs_12_7_writes_fault_and_content_is_constant(struct test *t)
{
	struct hv_reference_tsc_page before;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_REFERENCE_TSC, TSC_PAGE | 1), RIG_OK);
	memcpy(&before, rig_seen(&r, TSC_PAGE), sizeof(before));
	EXPECT_EQ(t, rig_write(&r, 0, TSC_PAGE, 4, 0), X86_EXC_GP);
	rig_time_100ns(&r, 5000000);
	rig_run(&r, 0);
	EXPECT_MEM(t, rig_seen(&r, TSC_PAGE), &before, sizeof(before));
	rig_fini(&r);
}

/* ---- Frozen time ---- */

static void tlfs_12_frozen_partition_stands_still(struct test *t)
{
	uint64_t reference_before, tsc_before;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_REFERENCE_TSC, TSC_PAGE | 1), RIG_OK);
	rig_time_100ns(&r, 777777);
	reference_before = reference(&r);
	tsc_before = rig_msr(&r, 0, MSR_IA32_TSC);
	for (unsigned round = 0; round < 3; round++) {
		EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 1),
			  HV_STATUS_SUCCESS);
		EXPECT_EQ(t, rig_property_get(&r, HvPartitionPropertyTimeFreeze), 1);
		EXPECT_EQ(t, rig_run(&r, 0), RIG_SUSPENDED);
		rig_time_100ns(&r, 1000000000);
		EXPECT_EQ(t, hv_partition_reference_time(r.partition), reference_before);
		EXPECT_EQ(t, rig_run(&r, 0), RIG_SUSPENDED);
		EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 0),
			  HV_STATUS_SUCCESS);
		EXPECT_EQ(t, reference(&r), reference_before);
		EXPECT_EQ(t, rig_msr(&r, 0, MSR_IA32_TSC), tsc_before);
		EXPECT_EQ(t, rdtsc(&r, 0), tsc_before);
		EXPECT_EQ(t, from_page(&r, rdtsc(&r, 0)), reference_before);
	}
	rig_time_100ns(&r, 5);
	EXPECT_EQ(t, reference(&r), reference_before + 5);
	rig_fini(&r);
}

static void tlfs_12_timers_do_not_run_in_frozen_time(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	EXPECT_EQ(t,
		  rig_wrmsr(&r, 0, HV_X64_MSR_STIMER0_CONFIG,
			    HV_STIMER_DIRECT_MODE | HV_STIMER_AUTO_ENABLE | 0xED0),
		  RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_STIMER0_COUNT, reference(&r) + 1000), RIG_OK);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 1), HV_STATUS_SUCCESS);
	rig_time_100ns(&r, 100000);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_SUSPENDED);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xED), 0);
	r.wake[0].count = 0;
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.wake[0].count, 1); /* its dispatcher is told */
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED);
	EXPECT(t, r.wake_ns > 99000 && r.wake_ns < 101000);
	rig_time_100ns(&r, 1000);
	EXPECT(t, rig_took(&r, 0, 0xED));
	rig_fini(&r);
}

static void tlfs_12_a_partition_can_start_frozen(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.frozen = true});
	EXPECT_EQ(t, rig_run(&r, 0), RIG_SUSPENDED);
	rig_time_100ns(&r, 100000);
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 0), HV_STATUS_SUCCESS);
	EXPECT(t, reference(&r) < 10);
	rig_fini(&r);
}

static void tlfs_12_the_parent_sets_reference_time(struct test *t)
{
	uint32_t sequence;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_REFERENCE_TSC, TSC_PAGE | 1), RIG_OK);
	sequence = ((struct hv_reference_tsc_page *)rig_seen(&r, TSC_PAGE))->tsc_sequence;
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyReferenceTime, UINT64_C(1) << 50),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, hv_partition_reference_time(r.partition), UINT64_C(1) << 50);
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, reference(&r), UINT64_C(1) << 50);
	EXPECT_EQ(t, from_page(&r, rdtsc(&r, 0)), reference(&r));
	EXPECT(t,
	       ((struct hv_reference_tsc_page *)rig_seen(&r, TSC_PAGE))->tsc_sequence != sequence);
	rig_fini(&r);
}

/* ---- VP run time ---- */

static void burn(struct fake_vp *vp, void *ctx)
{
	vp->vm->machine->now += *(uint64_t *)ctx;
}

static void tlfs_7_vp_run_time_counts_only_running(struct test *t)
{
	uint64_t ticks = 5000 * RIG_TICKS_100NS, before;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	before = rig_msr(&r, 0, HV_X64_MSR_VP_RUNTIME);
	rig_time_100ns(&r, 100000);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_VP_RUNTIME), before);
	fake_push_code(r.fake[0], burn, &ticks);
	rig_run(&r, 0);
	EXPECT(t, rig_msr(&r, 0, HV_X64_MSR_VP_RUNTIME) >= before + 4999);
	EXPECT(t, rig_msr(&r, 0, HV_X64_MSR_VP_RUNTIME) <= before + 5001);
	EXPECT_EQ(t, rig_msr(&r, 1, HV_X64_MSR_VP_RUNTIME), 0);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterVpRuntime), rig_msr(&r, 0, HV_X64_MSR_VP_RUNTIME));
	rig_fini(&r);
}

/* ---- Guest idle ---- */

static void tlfs_10_guest_idle(struct test *t)
{
	uint64_t value;
	struct rig r;

	rig_init(&r, NULL);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, HV_X64_MSR_GUEST_IDLE, &value), RIG_BLOCKED);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterInternalActivityState),
		  HV_INTERNAL_ACTIVITY_IDLE_SUSPEND);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.wake[0].count, 1);
	EXPECT(t, rig_took(&r, 0, 0x41));
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterInternalActivityState), 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_GUEST_IDLE, 0), X86_EXC_GP);
	rig_fini(&r);
}

/* An interrupt ends the wait even with IF clear, and is then not taken: that is why it exists beside HLT. */
static void tlfs_10_guest_idle_with_interrupts_off(struct test *t)
{
	uint64_t value;
	struct rig r;

	rig_init(&r, NULL);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	fake_reg(r.fake[0], HvX64RegisterRflags)->lo &= ~(uint64_t)X86_IF;
	EXPECT_EQ(t, rig_rdmsr(&r, 0, HV_X64_MSR_GUEST_IDLE, &value), RIG_BLOCKED);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 0);
	EXPECT(t, r.fake[0]->how.want_interrupt_window);
	fake_reg(r.fake[0], HvX64RegisterRflags)->lo |= X86_IF;
	EXPECT(t, rig_took(&r, 0, 0x41));
	/* So does one that waits behind another of its own class. */
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x45, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, HV_X64_MSR_GUEST_IDLE, &value), RIG_BLOCKED);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 0);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	rig_eoi(&r, 0);
	/* HLT with IF clear sleeps on. */
	fake_reg(r.fake[0], HvX64RegisterRflags)->lo &= ~(uint64_t)X86_IF;
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x42, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED);
	/* An NMI ends it. */
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeNmi, 0, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->events[r.fake[0]->event_count - 1].kind, FAKE_NMI);
	rig_fini(&r);
}

/* So does one that the priority of the interrupt in service holds back. */
static void tlfs_10_guest_idle_in_a_handler(struct test *t)
{
	uint64_t value;
	struct rig r;

	rig_init(&r, NULL);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0xFB, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xFB), 1);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, HV_X64_MSR_GUEST_IDLE, &value), RIG_BLOCKED);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0xF7, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xF7), 0);
	rig_apic_write(&r, 0, 0xB0, 0);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xF7), 1);
	rig_fini(&r);
}

/* ---- Reset and crash ---- */

static void tlfs_7_reset_register(struct test *t)
{
	struct hv_x64_msr_intercept_message m;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_RESET, 0), RIG_OK);
	EXPECT_EQ(t, r.messages, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_RESET, 1), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeMsrIntercept);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.msr_number, HV_X64_MSR_RESET);
	EXPECT_EQ(t, m.header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
	EXPECT_EQ(t, m.rax, 1);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.messages, 1);
	rig_fini(&r);
}

static void tlfs_7_crash_registers(struct test *t)
{
	struct hv_x64_msr_intercept_message m;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	EXPECT_EQ(t, rig_msr(&r, 1, HV_X64_MSR_CRASH_CTL),
		  HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
	for (uint32_t i = 0; i < 5; i++) {
		EXPECT_EQ(
			t,
			rig_wrmsr(&r, 1, HV_X64_MSR_CRASH_P0 + i, UINT64_C(0x1111111100000000) + i),
			RIG_OK);
	}
	EXPECT_EQ(t, rig_wrmsr(&r, 1, HV_X64_MSR_CRASH_CTL, HV_CRASH_CTL_MESSAGE), RIG_OK);
	EXPECT_EQ(t, r.messages, 0);
	EXPECT_EQ(
		t,
		rig_wrmsr(&r, 1, HV_X64_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE),
		RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeMsrIntercept);
	EXPECT_EQ(t, m.header.vp_index, 1);
	EXPECT_EQ(t, m.msr_number, HV_X64_MSR_CRASH_CTL);
	EXPECT_EQ(t, m.rdx << 32 | m.rax, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
	for (uint32_t i = 0; i < 5; i++) {
		EXPECT_EQ(t, rig_reg(&r, 1, HvRegisterGuestCrashP0 + i),
			  UINT64_C(0x1111111100000000) + i);
	}
	EXPECT_EQ(t, rig_reg(&r, 1, HvRegisterGuestCrashCtl),
		  HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
	/* The guest runs on; what happens to it is the parent's decision. */
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_12_2_reference_counter),
		TEST(tlfs_12_2_long_runs_do_not_drift),
		TEST(tlfs_12_2_monotonic_across_vps),
		TEST(tlfs_12_7_page_agrees_with_the_counter),
		TEST(tlfs_12_guest_writes_its_tsc),
		TEST(tlfs_12_7_writes_fault_and_content_is_constant),
		TEST(tlfs_12_frozen_partition_stands_still),
		TEST(tlfs_12_timers_do_not_run_in_frozen_time),
		TEST(tlfs_12_a_partition_can_start_frozen),
		TEST(tlfs_12_the_parent_sets_reference_time),
		TEST(tlfs_7_vp_run_time_counts_only_running),
		TEST(tlfs_10_guest_idle),
		TEST(tlfs_10_guest_idle_with_interrupts_off),
		TEST(tlfs_10_guest_idle_in_a_handler),
		TEST(tlfs_7_reset_register),
		TEST(tlfs_7_crash_registers),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
