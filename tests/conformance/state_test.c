// SPDX-License-Identifier: Apache-2.0
/* Save and restore of a partition: what comes out of one hypervisor goes on in another as if nothing had happened. */
#include "lib/state.h"
#include "rig.h"

#define VPS 3u
#define SINT 2u
#define VECTOR 0xF3u
#define TSC_PAGE UINT64_C(0x40000)
#define IMAGE_MAX (1u << 18)
/* Where the image holds the reference TSC page's sequence: the one thing that a restore changes, to tell the guest. */
#define SEQUENCE_AT 64u

static const struct hv_port_info message_port = {
	.port_type = HvPortTypeMessage, .target_sint = SINT, .target_vp = 1};

static void add_port(struct test *t, struct rig *r)
{
	EXPECT_EQ(t, rig_port(r, r->id, HV_PARTITION_ID_SELF, 5, &message_port), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(r, HV_PARTITION_ID_SELF, r->id, 5, HvPortTypeMessage),
		  HV_STATUS_SUCCESS);
}

static size_t save(struct test *t, struct rig *r, uint8_t *image)
{
	size_t bytes = hv_partition_save(r->partition, NULL, 0);

	EXPECT(t, bytes != 0 && bytes <= IMAGE_MAX);
	EXPECT_EQ(t, hv_partition_save(r->partition, image, IMAGE_MAX), bytes);
	return bytes;
}

static void freeze(struct test *t, struct rig *r, bool frozen)
{
	EXPECT_EQ(t, rig_property_set(r, HvPartitionPropertyTimeFreeze, frozen), HV_STATUS_SUCCESS);
}

/* Something of everything. */
static void make_rich(struct test *t, struct rig *r)
{
	const uint64_t direct = HV_STIMER_DIRECT_MODE | HV_STIMER_AUTO_ENABLE | 0xED0;

	for (uint32_t vp = 0; vp < VPS; vp++) {
		rig_synic(r, vp, SINT, VECTOR);
		EXPECT_EQ(t, rig_wrmsr(r, vp, HV_X64_MSR_VP_ASSIST_PAGE, RIG_ASSIST_GPA(vp) | 1),
			  RIG_OK);
		EXPECT_EQ(t, rig_wrmsr(r, vp, HV_X64_MSR_SINT0 + 4, HV_SINT_AUTO_EOI | 0x71),
			  RIG_OK);
		for (uint32_t i = 0; i < 16; i++) {
			fake_reg(r->fake[vp], HvX64RegisterRax + i)->lo = 0x1000 * vp + i;
			*fake_reg(r->fake[vp], HvX64RegisterXmm0 + i) = (struct hv_u128){vp, i};
		}
		fake_reg(r->fake[vp], HvX64RegisterKernelGsBase)->lo = 0x7777 + vp;
		fake_reg(r->fake[vp], HvX64RegisterLstar)->lo = 0x8888 + vp;
	}
	EXPECT_EQ(t, rig_wrmsr(r, 0, HV_X64_MSR_REFERENCE_TSC, TSC_PAGE | 1), RIG_OK);
	for (uint32_t i = 0; i < 5; i++) {
		EXPECT_EQ(t, rig_wrmsr(r, 0, HV_X64_MSR_CRASH_P0 + i, 100 + i), RIG_OK);
	}
	EXPECT_EQ(t, rig_wrmsr(r, 0, HV_X64_MSR_REENLIGHTENMENT_CONTROL, 0x100EE), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(r, 0, HV_X64_MSR_TSC_INVARIANT_CONTROL, 1), RIG_OK);
	/* VP 0: its own TSC, a TSC deadline, a nested interrupt in service, another one requested, and an NMI. */
	EXPECT_EQ(t, rig_wrmsr(r, 0, 0x10, 1000000), RIG_OK);
	rig_apic_write(r, 0, 0x320, 0x400EC);
	EXPECT_EQ(t, rig_wrmsr(r, 0, 0x6E0, 1000000 + 5000), RIG_OK);
	EXPECT_EQ(t, rig_assert(r, HvX64InterruptTypeFixed, 0x51, 0, HV_INTERRUPT_CONTROL_LEVEL),
		  HV_STATUS_SUCCESS);
	rig_run(r, 0);
	EXPECT_EQ(t, rig_assert(r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	/* VP 1: a full slot, two messages behind it, a flag, two timers; halted. */
	for (uint32_t n = 1; n <= 3; n++) {
		EXPECT_EQ(t, rig_root_post(r, 5, 1, &n, 4), HV_STATUS_SUCCESS);
	}
	EXPECT_EQ(t, rig_signal_direct(r, 1, 3, 77, &(uint8_t){0}),
		  HV_STATUS_INVALID_SYNIC_STATE); /* SINT 3 is masked */
	EXPECT_EQ(t, rig_signal_direct(r, 1, SINT, 77, &(uint8_t){0}), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(r, 1, VECTOR));
	EXPECT_EQ(t, rig_wrmsr(r, 1, HV_X64_MSR_STIMER0_CONFIG, direct), RIG_OK);
	EXPECT_EQ(t,
		  rig_wrmsr(r, 1, HV_X64_MSR_STIMER0_COUNT,
			    rig_msr(r, 1, HV_X64_MSR_TIME_REF_COUNT) + 3000),
		  RIG_OK);
	EXPECT_EQ(t,
		  rig_wrmsr(r, 1, HV_X64_MSR_STIMER1_CONFIG, direct | HV_STIMER_PERIODIC | 0x010),
		  RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(r, 1, HV_X64_MSR_STIMER1_COUNT, 10000000), RIG_OK);
	EXPECT_EQ(t, rig_halt(r, 1), RIG_BLOCKED);
	/* VP 2: an xAPIC periodic timer, task priority, waiting NMI while NMIs are blocked. */
	rig_apic_write(r, 2, 0x3E0, 0xB);
	rig_apic_write(r, 2, 0x320, 0x200EB);
	rig_apic_write(r, 2, 0x380, 1000000);
	rig_apic_write(r, 2, 0x80, 0x20);
	r->fake[2]->nmi_blocked = true;
	EXPECT_EQ(t, rig_assert(r, HvX64InterruptTypeNmi, 0, 2, 0), HV_STATUS_SUCCESS);
	rig_run(r, 2);
}

static void round_trip_compares_with_a_second_save(struct test *t)
{
	static uint8_t first[IMAGE_MAX], second[IMAGE_MAX];
	struct rig from, to;
	size_t bytes, again;

	rig_init(&from, &(struct rig_options){.vps = VPS});
	add_port(t, &from);
	make_rich(t, &from);
	freeze(t, &from, true);
	bytes = save(t, &from, first);
	/* Saving changes nothing. */
	EXPECT_EQ(t, save(t, &from, second), bytes);
	EXPECT_MEM(t, first, second, bytes);

	rig_init(&to, &(struct rig_options){.vps = VPS, .frozen = true});
	to.machine.now += 987654321; /* another machine, another clock */
	add_port(t, &to);
	memcpy(to.ram, from.ram, RIG_RAM_PAGES * HV_PAGE_SIZE);
	EXPECT(t, hv_partition_restore(to.partition, first, bytes));
	again = save(t, &to, second);
	EXPECT_EQ(t, again, bytes);
	EXPECT_EQ(t, load_le32(second + SEQUENCE_AT), load_le32(first + SEQUENCE_AT) + 1);
	store_le32(second + SEQUENCE_AT, load_le32(first + SEQUENCE_AT));
	for (size_t i = 0; i < bytes && i < again; i++) {
		if (first[i] != second[i]) {
			test_fail(t, __FILE__, __LINE__, "byte %zu of %zu differs: %02x, then %02x",
				  i, bytes, first[i], second[i]);
			break;
		}
	}
	rig_fini(&from);
	rig_fini(&to);
}

/* What the guest sees after the move. */
static void the_guest_goes_on(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	uint64_t reference;
	uint32_t tag;
	size_t bytes;

	rig_init(&from, &(struct rig_options){.vps = VPS});
	add_port(t, &from);
	make_rich(t, &from);
	reference = rig_msr(&from, 2, HV_X64_MSR_TIME_REF_COUNT);
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	rig_init(&to, &(struct rig_options){.vps = VPS, .frozen = true});
	to.machine.now += 987654321;
	add_port(t, &to);
	memcpy(to.ram, from.ram, RIG_RAM_PAGES * HV_PAGE_SIZE);
	rig_fini(&from);
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	EXPECT_EQ(t, rig_run(&to, 0), RIG_SUSPENDED); /* still frozen */
	rig_time_100ns(&to, 5000);
	freeze(t, &to, false);

	/* VP 0: time, registers, page, the interrupt in service and the one that waits. */
	EXPECT_EQ(t, rig_msr(&to, 0, HV_X64_MSR_TIME_REF_COUNT), reference);
	EXPECT_EQ(t, rig_msr(&to, 0, 0x10), 1000000);
	EXPECT_EQ(t, rig_msr(&to, 0, HV_X64_MSR_HYPERCALL), RIG_HYPERCALL_GPA | 1);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&to, RIG_HYPERCALL_GPA), 0x0F);
	EXPECT_EQ(t, rig_msr(&to, 0, HV_X64_MSR_CRASH_P4), 104);
	EXPECT_EQ(t, fake_reg(to.fake[0], HvX64RegisterR9)->lo, 9);
	EXPECT_EQ(t, rig_interrupts(&to, 0, 0x41), 0);
	EXPECT_EQ(t, rig_wrmsr(&to, 0, HV_X64_MSR_EOI, 0), RIG_INTERCEPT); /* it was a level one */
	EXPECT_EQ(t, to.message.type, (uint32_t)HvMessageTypeX64ApicEoi);
	EXPECT(t, rig_took(&to, 0, 0x41));
	rig_time(&to, 4999);
	EXPECT(t, rig_took(&to, 0, -1));
	rig_time(&to, 1);
	EXPECT(t, rig_took(&to, 0, 0xEC));

	/* VP 1: halted, its slot and queue as they were, timers to the tick. */
	EXPECT_EQ(t, rig_run(&to, 1), RIG_BLOCKED);
	EXPECT(t, rig_flag(&to, 1, SINT, 77));
	rig_time_100ns(&to, 3000);
	EXPECT(t, rig_took(&to, 1, 0xED));
	for (uint32_t n = 1; n <= 3; n++) {
		tag = load_le32(rig_slot(&to, 1, SINT)->payload);
		EXPECT_EQ(t, tag, n);
		EXPECT_EQ(t, rig_slot(&to, 1, SINT)->flags & 1, n < 3);
		rig_slot(&to, 1, SINT)->type = 0;
		EXPECT_EQ(t, rig_wrmsr(&to, 1, HV_X64_MSR_EOM, 0), RIG_OK);
	}
	/* The buffers are the port's: sixteen again. */
	for (unsigned i = 0; i < 17; i++) {
		EXPECT_EQ(t, rig_root_post(&to, 5, 1, "x", 1), HV_STATUS_SUCCESS);
	}
	EXPECT_EQ(t, rig_root_post(&to, 5, 1, "x", 1), HV_STATUS_INSUFFICIENT_BUFFERS);

	/* VP 2: the NMI is still wanted. */
	rig_run(&to, 2);
	EXPECT(t, to.fake[2]->nmi_blocked);
	EXPECT_EQ(t, to.fake[2]->event_count, 0);
	to.fake[2]->nmi_blocked = false;
	rig_run(&to, 2);
	EXPECT_EQ(t, to.fake[2]->events[0].kind, FAKE_NMI);
	EXPECT_EQ(t, rig_msr(&to, 2, HV_X64_MSR_TPR), 0x20);
	rig_fini(&to);
}

/* To a machine with another clock, which can (@scales) or cannot take the old rate: reference time and the page go on at the right pace. */
static void clock_rate_differs(struct test *t, bool scales)
{
	const uint64_t hz = scales ? RIG_TSC_HZ : 1000000007;
	static uint8_t image[IMAGE_MAX];
	const struct hv_reference_tsc_page *page;
	struct rig from, to;
	uint64_t reference, from_page;
	size_t bytes;

	rig_init(&from, NULL);
	EXPECT_EQ(t, rig_wrmsr(&from, 0, HV_X64_MSR_REFERENCE_TSC, TSC_PAGE | 1), RIG_OK);
	rig_time_100ns(&from, 12345678);
	reference = rig_msr(&from, 0, HV_X64_MSR_TIME_REF_COUNT);
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	rig_init(&to, &(struct rig_options){.frozen = true, .tsc_hz = 1000000007});
	to.machine.scales = scales;
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	EXPECT_EQ(t, hv_partition_tsc_hz(to.partition), hz);
	EXPECT_EQ(t, hv_partition_lost_tsc_hz(to.partition), scales ? 0 : RIG_TSC_HZ);
	freeze(t, &to, false);
	EXPECT_EQ(t, rig_msr(&to, 0, HV_X64_MSR_TSC_FREQUENCY), hz);
	EXPECT_EQ(t, rig_msr(&to, 0, HV_X64_MSR_TIME_REF_COUNT), reference);
	rig_time(&to, hz);
	EXPECT_EQ(t, rig_msr(&to, 0, HV_X64_MSR_TIME_REF_COUNT), reference + 10000000);
	page = rig_seen(&to, TSC_PAGE);
	rig_run(&to, 0);
	from_page = (uint64_t)(((unsigned __int128)(to.machine.now + to.fake[0]->tsc_offset) *
				page->tsc_scale) >>
			       64) +
		    (uint64_t)page->tsc_offset;
	EXPECT_EQ(t, from_page, reference + 10000000);
	rig_fini(&from);
	rig_fini(&to);
}

static void another_clock_rate(struct test *t)
{
	clock_rate_differs(t, false);
	clock_rate_differs(t, true);
}

#define APIC_SVR 0xF0u
#define APIC_LVT_TIMER 0x320u
#define APIC_INITIAL 0x380u
#define APIC_CURRENT 0x390u
#define APIC_DIVIDE 0x3E0u
#define DIVIDE_BY_1 0xBu
#define HZ_RECORD_BYTES 20u

/* Where the image tells of the rate of APIC timers. */
static uint8_t *hz_record(struct test *t, uint8_t *image, size_t bytes)
{
	for (size_t at = 0; at + HZ_RECORD_BYTES <= bytes; at++) {
		if (memcmp(image + at, "APHZ", 4) == 0) {
			EXPECT_EQ(t, load_le32(image + at + 8), 8);
			return image + at;
		}
	}
	test_fail(t, __FILE__, __LINE__, "no record of the APIC timers' rate");
	return NULL;
}

/* As it was written before there was that record: 200 MHz. */
static size_t without_rate(struct test *t, uint8_t *image, size_t bytes)
{
	uint8_t *record = hz_record(t, image, bytes);

	if (record == NULL) {
		return bytes;
	}
	memmove(record, record + HZ_RECORD_BYTES,
		bytes - (size_t)(record - image) - HZ_RECORD_BYTES);
	return bytes - HZ_RECORD_BYTES;
}

/* VP 0's timer, a millisecond of @hz: what remains is as the guest's program expects, and it comes in time. */
static void timer_runs_at(struct test *t, struct rig *r, uint64_t hz)
{
	const uint64_t ms = RIG_TSC_HZ / 1000;

	EXPECT_EQ(t, rig_msr(r, 0, HV_X64_MSR_APIC_FREQUENCY), hz);
	rig_apic_write(r, 0, APIC_SVR, 0x1FF);
	rig_apic_write(r, 0, APIC_DIVIDE, DIVIDE_BY_1);
	rig_apic_write(r, 0, APIC_LVT_TIMER, 0xEA);
	rig_apic_write(r, 0, APIC_INITIAL, (uint32_t)(hz / 1000));
	rig_time(r, ms / 2);
	EXPECT_EQ(t, rig_apic_read(r, 0, APIC_CURRENT), hz / 2000);
	EXPECT(t, rig_took(r, 0, -1));
	rig_time(r, ms / 2 - 1);
	EXPECT(t, rig_took(r, 0, -1));
	rig_time(r, 1);
	EXPECT(t, rig_took(r, 0, 0xEA));
}

/* A guest has measured its APIC timer once: it keeps the rate where it was saved, and when it is saved again. */
static void old_apic_timers_keep_their_rate(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to, again;
	size_t bytes;

	rig_init(&from, NULL);
	timer_runs_at(t, &from, HV_APIC_HZ);
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	EXPECT_EQ(t, hv_saved_apic_hz(image, bytes), HV_APIC_HZ);
	bytes = without_rate(t, image, bytes);
	EXPECT_EQ(t, hv_saved_apic_hz(image, bytes), HV_APIC_HZ_BEFORE);
	rig_init(&to, &(struct rig_options){.frozen = true});
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	freeze(t, &to, false);
	timer_runs_at(t, &to, HV_APIC_HZ_BEFORE);
	freeze(t, &to, true);
	bytes = save(t, &to, image);
	EXPECT_EQ(t, hv_saved_apic_hz(image, bytes), HV_APIC_HZ_BEFORE);
	rig_init(&again, &(struct rig_options){.frozen = true});
	EXPECT(t, hv_partition_restore(again.partition, image, bytes));
	freeze(t, &again, false);
	timer_runs_at(t, &again, HV_APIC_HZ_BEFORE);
	rig_fini(&from);
	rig_fini(&to);
	rig_fini(&again);
}

/* An engine that keeps the APICs has one rate; and there are no others than the two. */
static void apic_rates_that_nobody_has_are_refused(struct test *t)
{
	static const uint64_t foreign[] = {0, 1, 200000001, UINT64_MAX};
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	size_t bytes;

	rig_init(&from, NULL);
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	rig_init(&to, &(struct rig_options){.frozen = true});
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		store_le64(hz_record(t, image, bytes) + 12, foreign[i]);
		EXPECT(t, !hv_partition_restore(to.partition, image, bytes));
	}
	rig_fini(&to);
	rig_init(&to, &(struct rig_options){.frozen = true, .apics = true});
	store_le64(hz_record(t, image, bytes) + 12, HV_APIC_HZ);
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	bytes = without_rate(t, image, bytes);
	EXPECT(t, !hv_partition_restore(to.partition, image, bytes));
	rig_fini(&to);
	rig_fini(&from);
}

#define DEADLINE_RECORD_BYTES 13u

/* As it was written when every guest was told of deadlines, and nothing of that was written. */
static size_t without_deadline(struct test *t, uint8_t *image, size_t bytes)
{
	for (size_t at = 0; at + DEADLINE_RECORD_BYTES <= bytes; at++) {
		if (memcmp(image + at, "TSCD", 4) == 0) {
			EXPECT_EQ(t, load_le32(image + at + 8), 1);
			memmove(image + at, image + at + DEADLINE_RECORD_BYTES,
				bytes - at - DEADLINE_RECORD_BYTES);
			return bytes - DEADLINE_RECORD_BYTES;
		}
	}
	test_fail(t, __FILE__, __LINE__, "no record of the TSC deadline");
	return bytes;
}

static bool told_of_deadlines(struct rig *r)
{
	uint32_t regs[4];

	rig_cpuid(r, 0, 1, 0, regs);
	return (regs[2] & 1u << 24) != 0;
}

/* A guest that was told of TSC deadlines may use them wherever it goes on; one that was not is not told later. */
static void deadlines_stay_what_they_were(struct test *t)
{
	static const struct {
		bool from, apics, to, restores;
	} rows[] = {{true, false, true, true},	{true, false, false, false},
		    {true, true, false, true}, /* the engine's own APICs have them */
		    {false, false, true, true}, {false, true, true, true},
		    {false, false, false, true}};
	static uint8_t image[IMAGE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig from, to;
		size_t bytes;

		rig_init(&from, &(struct rig_options){.no_deadlines = !rows[i].from});
		EXPECT_EQ(t, told_of_deadlines(&from), rows[i].from);
		freeze(t, &from, true);
		bytes = save(t, &from, image);
		EXPECT_EQ(t, hv_saved_deadline(image, bytes), rows[i].from);
		rig_init(&to, &(struct rig_options){.frozen = true,
						    .apics = rows[i].apics,
						    .no_deadlines = !rows[i].to});
		EXPECT_EQ(t, hv_partition_has_deadline(to.partition), rows[i].to || rows[i].apics);
		EXPECT_EQ(t, hv_partition_restore(to.partition, image, bytes), rows[i].restores);
		if (rows[i].restores) {
			freeze(t, &to, false);
			EXPECT_EQ(t, told_of_deadlines(&to), rows[i].from);
			freeze(t, &to, true);
			bytes = save(t, &to, image);
			EXPECT_EQ(t, hv_saved_deadline(image, bytes), rows[i].from);
		}
		rig_fini(&from);
		rig_fini(&to);
	}
}

static void old_states_tell_of_deadlines(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	size_t bytes;

	rig_init(&from, &(struct rig_options){.no_deadlines = true});
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	bytes = without_deadline(t, image, bytes);
	EXPECT(t, hv_saved_deadline(image, bytes));
	rig_init(&to, &(struct rig_options){.frozen = true, .no_deadlines = true});
	EXPECT(t, !hv_partition_restore(to.partition, image, bytes));
	rig_fini(&to);
	rig_init(&to, &(struct rig_options){.frozen = true});
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	freeze(t, &to, false);
	EXPECT(t, told_of_deadlines(&to));
	rig_fini(&to);
	rig_fini(&from);
}

/* A processor's own fixed registers are in the image, and need not be set: but they must be the same. */
static void locked_registers_have_their_value(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig a, b;

	rig_init(&a, &(struct rig_options){.vps = VPS, .frozen = true});
	rig_init(&b, &(struct rig_options){.vps = VPS, .frozen = true});

	for (uint32_t vp = 0; vp < VPS; vp++) {
		fake_reg(a.fake[vp], HvX64RegisterSfmask)->lo = 5;
		fake_reg(b.fake[vp], HvX64RegisterSfmask)->lo = 5;
		b.fake[vp]->locked = HvX64RegisterSfmask;
	}
	size_t bytes = save(t, &a, image);

	EXPECT(t, hv_partition_restore(b.partition, image, bytes));
	fake_reg(b.fake[1], HvX64RegisterSfmask)->lo = 1;
	EXPECT(t, !hv_partition_restore(b.partition, image, bytes));
	rig_fini(&a);
	rig_fini(&b);
}

static void wrong_shapes_are_refused(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	size_t bytes;

	rig_init(&from, &(struct rig_options){.vps = 2});
	bytes = save(t, &from, image);
	rig_init(&to, &(struct rig_options){.vps = 1, .frozen = true});
	EXPECT(t, !hv_partition_restore(to.partition, image, bytes)); /* a VP too many */
	rig_fini(&to);
	rig_init(&to, &(struct rig_options){.vps = 3, .frozen = true});
	EXPECT(t, !hv_partition_restore(to.partition, image, bytes)); /* a VP is missing */
	rig_fini(&to);
	rig_init(&to, &(struct rig_options){.vps = 2, .frozen = true});
	EXPECT(t, !hv_partition_restore(to.partition, image, 0));
	EXPECT(t, !hv_partition_restore(to.partition, "not a saved state", 17));
	rig_fini(&to);
	rig_fini(&from);
}

/* No prefix of an image is taken for the whole. */
/* The records of VPs in @image; their number. */
static unsigned vp_records(uint8_t *image, size_t bytes, uint8_t *ret[VPS])
{
	struct state_reader r, payload;
	uint16_t version;
	uint32_t tag;
	unsigned n = 0;

	state_reader_init(&r, image, bytes);
	while (state_next(&r, &tag, &version, &payload)) {
		if (tag == STATE_TAG('V', 'P', ' ', ' ') && n < VPS) {
			ret[n++] = image + (payload.buf - image);
		}
	}
	return n;
}

/* As many VPs as there have to be, but one of them twice: the other one would be left as it is after a reset. */
static void a_vp_twice_is_refused(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	uint8_t *vps[VPS];
	size_t bytes;

	rig_init(&from, &(struct rig_options){.vps = VPS});
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	EXPECT_EQ(t, vp_records(image, bytes, vps), VPS);
	EXPECT_EQ(t, load_le32(vps[2]), 2);
	store_le32(vps[2], 1);
	rig_init(&to, &(struct rig_options){.vps = VPS, .frozen = true});
	EXPECT(t, !hv_partition_restore(to.partition, image, bytes));
	store_le32(vps[2], 2);
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	rig_fini(&to);
	rig_fini(&from);
}

/* The payload of the first record of a VP with @tag. */
static uint8_t *inner_record(uint8_t *vp, uint32_t tag)
{
	for (uint8_t *at = vp + 4;; at += 12 + load_le32(at + 8)) {
		if (load_le32(at) == tag) {
			return at + 12;
		}
	}
}

/* An APIC base that no processor has would be refused by an engine that keeps the APIC, when the VP shall run. */
static void an_impossible_apic_base_is_refused(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	uint8_t *vps[VPS], *base;
	size_t bytes;

	rig_init(&from, NULL);
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	EXPECT_EQ(t, vp_records(image, bytes, vps), 1);
	base = inner_record(vps[0], STATE_TAG('A', 'P', 'I', 'C'));
	EXPECT_EQ(t, load_le64(base), 0xFEE00900);
	for (unsigned bit = 0; bit < 2; bit++) {
		rig_init(&to, &(struct rig_options){.frozen = true});
		base[0] = (uint8_t)bit;
		EXPECT_EQ(t, hv_partition_restore(to.partition, image, bytes), bit == 0);
		rig_fini(&to);
	}
	rig_fini(&from);
}

/* One that waits inside an engine reaches the guest on another one, as soon as that can take it. */
static void an_nmi_in_the_engine_goes_along(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	size_t bytes;

	rig_init(&from, NULL);
	freeze(t, &from, true);
	from.fake[0]->nmi_blocked = true;
	from.fake[0]->nmi_waits = true;
	bytes = save(t, &from, image);
	rig_init(&to, &(struct rig_options){.frozen = true});
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	freeze(t, &to, false);
	rig_forget(&to, 0);
	rig_run(&to, 0);
	EXPECT_EQ(t, to.fake[0]->event_count, 0);
	to.fake[0]->nmi_blocked = false;
	rig_run(&to, 0);
	EXPECT_EQ(t, to.fake[0]->event_count, 1);
	EXPECT_EQ(t, (int)to.fake[0]->events[0].kind, FAKE_NMI);
	rig_fini(&to);
	rig_fini(&from);
}

static void torn_images_are_refused(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	size_t bytes;

	rig_init(&from, &(struct rig_options){.vps = 2});
	rig_synic(&from, 1, SINT, VECTOR);
	bytes = save(t, &from, image);
	rig_init(&to, &(struct rig_options){.vps = 2, .frozen = true});
	for (size_t n = 0; n < bytes; n += n < 700 ? 1 : 97) {
		uint8_t *exact = malloc(n != 0 ? n : 1);

		memcpy(exact, image, n);
		if (hv_partition_restore(to.partition, exact, n)) {
			test_fail(t, __FILE__, __LINE__, "prefix of %zu bytes", n);
		}
		free(exact);
	}
	EXPECT(t, hv_partition_restore(to.partition, image, bytes));
	rig_fini(&to);
	rig_fini(&from);
}

/* Any single damaged byte: true or false, but nothing breaks, and the partition can still be taken down. */
static void damaged_images_do_no_harm(struct test *t)
{
	static uint8_t image[IMAGE_MAX];
	struct rig from, to;
	size_t bytes;

	rig_init(&from, &(struct rig_options){.vps = VPS});
	add_port(t, &from);
	make_rich(t, &from);
	freeze(t, &from, true);
	bytes = save(t, &from, image);
	for (size_t at = 0; at < bytes; at += at < 3000 ? 5 : 211) {
		rig_init(&to, &(struct rig_options){.vps = VPS, .frozen = true});
		add_port(t, &to);
		image[at] ^= 0xFF;
		if (hv_partition_restore(to.partition, image, bytes)) {
			freeze(t, &to, false);
			for (uint32_t vp = 0; vp < VPS; vp++) {
				rig_time_100ns(&to, 100000);
				rig_run(&to, vp);
			}
		}
		image[at] ^= 0xFF;
		rig_fini(&to);
	}
	EXPECT(t, bytes > 0);
	rig_fini(&from);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(round_trip_compares_with_a_second_save),
		TEST(the_guest_goes_on),
		TEST(another_clock_rate),
		TEST(old_apic_timers_keep_their_rate),
		TEST(apic_rates_that_nobody_has_are_refused),
		TEST(deadlines_stay_what_they_were),
		TEST(old_states_tell_of_deadlines),
		TEST(locked_registers_have_their_value),
		TEST(wrong_shapes_are_refused),
		TEST(a_vp_twice_is_refused),
		TEST(an_nmi_in_the_engine_goes_along),
		TEST(an_impossible_apic_base_is_refused),
		TEST(torn_images_are_refused),
		TEST(damaged_images_do_no_harm),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
