// SPDX-License-Identifier: Apache-2.0
/*
 * Where interrupts go: ICR shorthands and destinations, messages of the IOAPIC, INIT and SIPI, starting VPs by hypercall.
 * SDM volume 3, chapters "APIC" and "Multiple-processor management"; TLFS 7.
 */
#include "rig.h"

#define MSR_APIC_BASE 0x1Bu
#define X2APIC_ICR 0x830u
#define X2APIC_ON (UINT64_C(0xFEE00000) | 0xC00)
#define ICR_LOW 0x300u
#define ICR_HIGH 0x310u
#define LOGICAL 0x800u
#define LOWEST 0x100u
#define NMI 0x400u
#define INIT 0x500u
#define STARTUP 0x600u
#define SELF 0x40000u
#define ALL 0x80000u
#define OTHERS 0xC0000u
#define VECTOR 0x41u

static void init(struct rig *r, uint32_t vps)
{
	rig_init(r, &(struct rig_options){.vps = vps});
	for (uint32_t i = 0; i < vps; i++) {
		rig_apic_write(r, i, 0xF0, 0x1FF);
	}
}

/* Which VPs take VECTOR now, as a mask. */
static uint64_t reached(struct rig *r)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < r->vps; i++) {
		rig_run(r, i);
		if (rig_interrupts(r, i, VECTOR) != 0) {
			mask |= BIT64(i);
			rig_eoi(r, i);
		}
		rig_forget(r, i);
	}
	return mask;
}

static void send(struct rig *r, uint32_t from, uint8_t destination, uint32_t low)
{
	rig_apic_write(r, from, ICR_HIGH, (uint32_t)destination << 24);
	rig_apic_write(r, from, ICR_LOW, low);
}

static void sdm_icr_shorthands(struct test *t)
{
	struct rig r;

	init(&r, 5);
	send(&r, 2, 0, VECTOR | SELF);
	EXPECT_EQ(t, reached(&r), 0x04);
	send(&r, 2, 0, VECTOR | ALL);
	EXPECT_EQ(t, reached(&r), 0x1F);
	send(&r, 2, 0, VECTOR | OTHERS);
	EXPECT_EQ(t, reached(&r), 0x1B);
	rig_fini(&r);
}

static void sdm_icr_physical(struct test *t)
{
	struct rig r;

	init(&r, 5);
	for (uint8_t to = 0; to < 5; to++) {
		send(&r, 1, to, VECTOR);
		EXPECT_EQ(t, reached(&r), 1u << to);
	}
	send(&r, 1, 5, VECTOR); /* nobody */
	EXPECT_EQ(t, reached(&r), 0);
	send(&r, 1, 0xFF, VECTOR);
	EXPECT_EQ(t, reached(&r), 0x1F);
	rig_fini(&r);
}

static void sdm_icr_logical_flat(struct test *t)
{
	struct rig r;

	init(&r, 4);
	for (uint32_t i = 0; i < 4; i++) {
		rig_apic_write(&r, i, 0xD0, 1u << (24 + i));
	}
	send(&r, 0, 0x05, VECTOR | LOGICAL);
	EXPECT_EQ(t, reached(&r), 0x5);
	send(&r, 0, 0x80, VECTOR | LOGICAL);
	EXPECT_EQ(t, reached(&r), 0);
	send(&r, 0, 0xFF, VECTOR | LOGICAL);
	EXPECT_EQ(t, reached(&r), 0xF);
	rig_fini(&r);
}

static void sdm_icr_logical_cluster(struct test *t)
{
	struct rig r;

	/* Two clusters of two. */
	init(&r, 4);
	for (uint32_t i = 0; i < 4; i++) {
		rig_apic_write(&r, i, 0xE0, 0x0FFFFFFF);
		rig_apic_write(&r, i, 0xD0, ((i / 2) << 4 | 1u << (i % 2)) << 24);
	}
	send(&r, 0, 0x11, VECTOR | LOGICAL);
	EXPECT_EQ(t, reached(&r), 0x4);
	send(&r, 0, 0x03, VECTOR | LOGICAL);
	EXPECT_EQ(t, reached(&r), 0x3);
	send(&r, 0, 0xF2, VECTOR | LOGICAL); /* all clusters */
	EXPECT_EQ(t, reached(&r), 0xA);
	send(&r, 0, 0x2F, VECTOR | LOGICAL);
	EXPECT_EQ(t, reached(&r), 0);
	rig_fini(&r);
}

static void sdm_icr_x2apic(struct test *t)
{
	struct rig r;

	init(&r, 40);
	for (uint32_t i = 0; i < 40; i++) {
		EXPECT_EQ(t, rig_wrmsr(&r, i, MSR_APIC_BASE, X2APIC_ON), RIG_OK);
	}
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC_ICR, UINT64_C(39) << 32 | VECTOR), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, X2APIC_ICR), UINT64_C(39) << 32 | VECTOR);
	EXPECT_EQ(t,
		  rig_wrmsr(&r, 0, X2APIC_ICR,
			    UINT64_C(2) << 48 | UINT64_C(0x81) << 32 | LOGICAL | 0x42),
		  RIG_OK);
	for (uint32_t i = 0; i < 40; i++) {
		rig_run(&r, i);
		EXPECT_EQ(t, rig_wrmsr(&r, i, 0x80B, 0), RIG_OK);
		EXPECT_EQ(t, rig_wrmsr(&r, i, 0x80B, 0), RIG_OK);
		EXPECT_EQ(t, rig_interrupts(&r, i, VECTOR), i == 39);
		EXPECT_EQ(t, rig_interrupts(&r, i, 0x42), i == 32 || i == 39);
		rig_forget(&r, i);
	}
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC_ICR, UINT64_C(0xFFFFFFFF) << 32 | 0x43), RIG_OK);
	for (uint32_t i = 0; i < 40; i++) {
		rig_run(&r, i);
		EXPECT_EQ(t, rig_interrupts(&r, i, 0x43), 1);
	}
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC_ICR, UINT64_C(1) << 12 | VECTOR), X86_EXC_GP);
	rig_fini(&r);
}

static void sdm_icr_lowest_priority(struct test *t)
{
	struct rig r;

	init(&r, 3);
	rig_apic_write(&r, 0, 0x80, 0x20);
	rig_apic_write(&r, 1, 0x80, 0x10);
	rig_apic_write(&r, 2, 0x80, 0x30);
	for (uint32_t i = 0; i < 3; i++) {
		rig_apic_write(&r, i, 0xD0, 1u << (24 + i));
	}
	send(&r, 0, 0x07, VECTOR | LOGICAL | LOWEST);
	EXPECT_EQ(t, reached(&r), 0x2);
	send(&r, 0, 0x05, VECTOR | LOGICAL | LOWEST);
	EXPECT_EQ(t, reached(&r), 0x1);
	rig_fini(&r);
}

static void sdm_icr_nmi(struct test *t)
{
	struct rig r;

	init(&r, 3);
	send(&r, 0, 0, NMI | OTHERS);
	for (uint32_t i = 0; i < 3; i++) {
		rig_run(&r, i);
		EXPECT_EQ(t, r.fake[i]->event_count, i != 0);
	}
	rig_fini(&r);
}

static void tlfs_10_assert_virtual_interrupt(struct test *t)
{
	struct hv_input_assert_virtual_interrupt in = {.requested_vector = VECTOR};
	struct rig r;

	init(&r, 3);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, VECTOR, 1, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, reached(&r), 0x2);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, VECTOR, 0xFF, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, reached(&r), 0x7);
	rig_apic_write(&r, 2, 0xD0, 0x08000000);
	EXPECT_EQ(
		t,
		rig_assert(&r, HvX64InterruptTypeFixed, VECTOR, 0x08, HV_INTERRUPT_CONTROL_LOGICAL),
		HV_STATUS_SUCCESS);
	EXPECT_EQ(t, reached(&r), 0x4);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 15, 1, 0),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeLowestPriority, 0, 1, 0),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeExtInt, VECTOR, 1, 0),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_assert(&r, 99, VECTOR, 1, 0), HV_STATUS_INVALID_PARAMETER);
	in.partition_id = r.id;
	in.requested_vector = 0x141;
	EXPECT_EQ(t, rig_root(&r, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	in.requested_vector = VECTOR;
	in.target_vtl = 1;
	EXPECT_EQ(t, rig_root(&r, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

/* ---- INIT and SIPI ---- */

/* The multiprocessor start of an operating system: INIT, two SIPIs, for 63 processors. */
static void sdm_mp_start_of_64_vps(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 64, .start_waiting = true});
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	for (uint8_t i = 1; i < 64; i++) {
		struct hv_x64_segment_register cs;

		EXPECT_EQ(t, rig_run(&r, i), RIG_BLOCKED);
		EXPECT_EQ(t, r.wake_ns, UINT64_MAX);
		send(&r, 0, i, INIT | 0x4000);
		EXPECT_EQ(t, rig_run(&r, i), RIG_BLOCKED);
		EXPECT_EQ(t, r.fake[i]->inits, 1);
		r.wake[i].count = 0;
		send(&r, 0, i, STARTUP | 0x4000 | 0x9A);
		EXPECT_EQ(t, r.wake[i].count, 1);
		send(&r, 0, i, STARTUP | 0x4000 | 0x9A);
		EXPECT_EQ(t, rig_run(&r, i), RIG_OK);
		memcpy(&cs, fake_reg(r.fake[i], HvX64RegisterCs), sizeof(cs));
		EXPECT_EQ(t, cs.base, 0x9A000);
		EXPECT_EQ(t, cs.selector, 0x9A00);
		EXPECT_EQ(t, fake_reg(r.fake[i], HvX64RegisterRip)->lo, 0);
		EXPECT(t, r.fake[i]->runs > 0);
	}
	/* A SIPI to a processor that runs is nothing. */
	fake_reg(r.fake[5], HvX64RegisterRip)->lo = 0x1234;
	send(&r, 0, 5, STARTUP | 0x55);
	EXPECT_EQ(t, rig_run(&r, 5), RIG_OK);
	EXPECT_EQ(t, fake_reg(r.fake[5], HvX64RegisterRip)->lo, 0x1234);
	rig_fini(&r);
}

static void sdm_init_resets(struct test *t)
{
	struct rig r;

	init(&r, 2);
	rig_apic_write(&r, 1, 0x80, 0x50);
	rig_apic_write(&r, 1, 0x320, 0xEC);
	EXPECT_EQ(t, rig_halt(&r, 1), RIG_BLOCKED);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 1, 0), HV_STATUS_SUCCESS);
	send(&r, 0, 1, INIT | 0x4000);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_BLOCKED);
	EXPECT_EQ(t, rig_reg(&r, 1, HvRegisterInternalActivityState),
		  HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND);
	EXPECT_EQ(t, rig_interrupts(&r, 1, 0x41), 0);
	send(&r, 0, 1, STARTUP | 0x10);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 1, 0x41), 0); /* requests are gone */
	EXPECT_EQ(t, rig_apic_read(&r, 1, 0x80), 0);
	EXPECT_EQ(t, rig_apic_read(&r, 1, 0x320), 0x10000);
	EXPECT_EQ(t, rig_apic_read(&r, 1, 0xF0), 0xFF);
	/* INIT keeps the base register and the APIC's identity. */
	EXPECT_EQ(t, rig_msr(&r, 1, MSR_APIC_BASE), UINT64_C(0xFEE00800));
	rig_fini(&r);
}

/* An INIT while the parent works on an intercept: the instruction is gone, and so is the answer to it. */
static void sdm_init_during_an_intercept(struct test *t)
{
	struct rig r;

	init(&r, 2);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, 3, 0x60), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_port_in(&r, 1, 0x60, 1), RIG_INTERCEPT);
	send(&r, 0, 1, INIT | 0x4000);
	hv_vp_finish(r.vp[1], (uint64_t[4]){0x55});
	EXPECT_EQ(t, rig_run(&r, 1), RIG_BLOCKED);
	EXPECT_EQ(t, r.fake[1]->inits, 1);
	hv_vp_finish(r.vp[1], (uint64_t[4]){0x55});
	send(&r, 0, 1, STARTUP | 0x10);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	rig_fini(&r);
}

/* An INIT de-assert is not an INIT. */
static void sdm_init_deassert(struct test *t)
{
	struct rig r;

	init(&r, 2);
	send(&r, 0, 1, INIT | 0x8000);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	EXPECT_EQ(t, r.fake[1]->inits, 0);
	rig_fini(&r);
}

/* A SIPI from before the INIT does not start the processor after it. */
static void sdm_init_voids_an_earlier_sipi(struct test *t)
{
	struct rig r;

	init(&r, 2);
	send(&r, 0, 1, STARTUP | 0x10);
	send(&r, 0, 1, INIT | 0x4000);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_BLOCKED);
	rig_fini(&r);
}

static void sdm_bsp_starts_again_after_init(struct test *t)
{
	struct rig r;

	init(&r, 2);
	send(&r, 1, 0, INIT | 0x4000);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->inits, 1);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRip)->lo, 0xFFF0);
	rig_fini(&r);
}

static void sdm_triple_fault_and_init(struct test *t)
{
	struct rig r;

	init(&r, 2);
	EXPECT_EQ(t, rig_exit(&r, 1, &(struct hv_exit){.kind = HV_EXIT_TRIPLE_FAULT}),
		  RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeUnrecoverableException);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_BLOCKED); /* shut down */
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 1, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_BLOCKED);
	send(&r, 0, 1, INIT | 0x4000);
	send(&r, 0, 1, STARTUP | 0x10);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	rig_fini(&r);
}

/* ---- HvCallStartVirtualProcessor, HvCallGetVpIndexFromApicId ---- */

static void tlfs_7_start_virtual_processor(struct test *t)
{
	struct hv_input_start_virtual_processor in = {
		.partition_id = HV_PARTITION_ID_SELF,
		.vp_index = 1,
		.vp_context = {.rip = 0x1234,
			       .rsp = 0x8000,
			       .rflags = 2,
			       .cr0 = 0x80000011,
			       .cr3 = 0x5000,
			       .cr4 = 0x20,
			       .efer = 0x500,
			       .msr_cr_pat = 0x0007040600070406,
			       .cs = {.limit = UINT32_MAX, .selector = 0x10, .attributes = 0xA09B},
			       .gdtr = {.limit = 0x7F, .base = 0x6000}},
	};
	struct hv_x64_table_register gdtr;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2, .start_waiting = true});
	EXPECT_EQ(t, rig_run(&r, 1), RIG_BLOCKED);
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallStartVirtualProcessor, &in, sizeof(in)),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.wake[1].count, 1);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	EXPECT_EQ(t, rig_reg(&r, 1, HvX64RegisterRip), 0x1234);
	EXPECT_EQ(t, rig_reg(&r, 1, HvX64RegisterRsp), 0x8000);
	EXPECT_EQ(t, rig_reg(&r, 1, HvX64RegisterCr0), 0x80000011);
	EXPECT_EQ(t, rig_reg(&r, 1, HvX64RegisterCr3), 0x5000);
	EXPECT_EQ(t, rig_reg(&r, 1, HvX64RegisterEfer), 0x500);
	EXPECT_EQ(t, rig_reg(&r, 1, HvX64RegisterPat), UINT64_C(0x0007040600070406));
	memcpy(&gdtr, fake_reg(r.fake[1], HvX64RegisterGdtr), sizeof(gdtr));
	EXPECT_EQ(t, gdtr.base, 0x6000);
	EXPECT_EQ(t, gdtr.limit, 0x7F);
	/* Only once; only a VP that waits; only one that is there. */
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallStartVirtualProcessor, &in, sizeof(in)),
		  HV_STATUS_INVALID_VP_STATE);
	in.vp_index = 0;
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallStartVirtualProcessor, &in, sizeof(in)),
		  HV_STATUS_INVALID_VP_STATE);
	in.vp_index = 2;
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallStartVirtualProcessor, &in, sizeof(in)),
		  HV_STATUS_INVALID_VP_INDEX);
	in.vp_index = 1;
	in.target_vtl = 1;
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallStartVirtualProcessor, &in, sizeof(in)),
		  HV_STATUS_INVALID_PARAMETER);
	in.target_vtl = 0;
	in.partition_id = HV_ROOT_PARTITION_ID;
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallStartVirtualProcessor, &in, sizeof(in)),
		  HV_STATUS_INVALID_PARTITION_ID);
	rig_fini(&r);
}

static void tlfs_7_vp_index_from_apic_id(struct test *t)
{
	struct {
		uint64_t partition;
		uint8_t vtl;
		uint8_t padding[7];
		uint32_t ids[4];
	} in = {.partition = HV_PARTITION_ID_SELF, .ids = {2, 0, 1, 9}};
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 3});
	EXPECT_EQ(t,
		  rig_call(&r, 0, hv_hypercall_control(HvCallGetVpIndexFromApicId, 3), &in,
			   sizeof(in)),
		  UINT64_C(3) << 32);
	EXPECT_EQ(t, load_le32(r.ram + RIG_OUTPUT_GPA), 2);
	EXPECT_EQ(t, load_le32(r.ram + RIG_OUTPUT_GPA + 4), 0);
	EXPECT_EQ(t, load_le32(r.ram + RIG_OUTPUT_GPA + 8), 1);
	EXPECT_EQ(t,
		  rig_call(&r, 0, hv_hypercall_control(HvCallGetVpIndexFromApicId, 4), &in,
			   sizeof(in)),
		  UINT64_C(3) << 32 | HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(sdm_icr_shorthands),
		TEST(sdm_icr_physical),
		TEST(sdm_icr_logical_flat),
		TEST(sdm_icr_logical_cluster),
		TEST(sdm_icr_x2apic),
		TEST(sdm_icr_lowest_priority),
		TEST(sdm_icr_nmi),
		TEST(tlfs_10_assert_virtual_interrupt),
		TEST(sdm_mp_start_of_64_vps),
		TEST(sdm_init_resets),
		TEST(sdm_init_during_an_intercept),
		TEST(sdm_init_deassert),
		TEST(sdm_init_voids_an_earlier_sipi),
		TEST(sdm_bsp_starts_again_after_init),
		TEST(sdm_triple_fault_and_init),
		TEST(tlfs_7_start_virtual_processor),
		TEST(tlfs_7_vp_index_from_apic_id),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
