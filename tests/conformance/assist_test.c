// SPDX-License-Identifier: Apache-2.0
/* VP assist page with EOI assist, and the APIC access MSRs. TLFS 10.2, 10.3. */
#include "rig.h"

#define PAGE RIG_ASSIST_GPA(0)

static void init(struct test *t, struct rig *r)
{
	rig_init(r, &(struct rig_options){.vps = 2});
	rig_apic_write(r, 0, 0xF0, 0x1FF);
	rig_apic_write(r, 1, 0xF0, 0x1FF);
	EXPECT_EQ(t, rig_wrmsr(r, 0, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 1), RIG_OK);
}

static uint32_t *word(struct rig *r)
{
	return rig_seen(r, PAGE);
}

/* The guest's end of interrupt: true when it had to write the MSR. */
static bool guest_eoi(struct rig *r)
{
	uint32_t old =
		__atomic_fetch_and(word(r), ~HV_APIC_ASSIST_NO_EOI_REQUIRED, __ATOMIC_SEQ_CST);

	if (old & HV_APIC_ASSIST_NO_EOI_REQUIRED) {
		return false;
	}
	rig_eoi(r, 0);
	return true;
}

static void interrupt(struct test *t, struct rig *r, uint8_t vector)
{
	EXPECT_EQ(t, rig_assert(r, HvX64InterruptTypeFixed, vector, 0, 0), HV_STATUS_SUCCESS);
}

static bool in_service(struct rig *r, uint8_t vector)
{
	return (rig_apic_read(r, 0, 0x100 + 0x10 * (vector / 32)) >> (vector % 32)) & 1;
}

static void tlfs_10_3_page_register(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 3), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 0x801), X86_EXC_GP);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE), PAGE | 1);
	EXPECT_EQ(t, rig_msr(&r, 1, HV_X64_MSR_VP_ASSIST_PAGE), 0);
	*word(&r) = 0xFFFFFFFF;
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, PAGE), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 1), RIG_OK);
	EXPECT_EQ(t, *word(&r), 0); /* no stale offer */
	rig_fini(&r);
}

static void tlfs_10_3_eoi_left_out(struct test *t)
{
	struct rig r;

	init(t, &r);
	for (unsigned i = 0; i < 5; i++) {
		rig_forget(&r, 0);
		interrupt(t, &r, 0x41);
		EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
		EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
		EXPECT(t, in_service(&r, 0x41));
		EXPECT_EQ(t, *word(&r) & 1, 1);
		EXPECT(t, !guest_eoi(&r));
		EXPECT(t, !in_service(&r, 0x41));
	}
	rig_fini(&r);
}

static void look_at_word(struct fake_vp *vp, void *ctx)
{
	struct rig *r = ctx;

	r->wake_ns = *word(r);
}

/* The handler of the higher one already must not see an offer while a lower one waits. */
static void tlfs_10_3_handler_sees_no_offer(struct test *t)
{
	struct rig r;
	int what;

	init(t, &r);
	interrupt(t, &r, 0x81);
	interrupt(t, &r, 0x41);
	fake_push_code(r.fake[0], look_at_word, &r);
	fake_push(r.fake[0], &(struct hv_exit){.kind = HV_EXIT_HALT});
	r.wake_ns = 9;
	what = (int)hv_vp_dispatch(r.vp[0], &r.message, &(uint64_t){0});
	EXPECT_EQ(t, what, HV_DISPATCH_BLOCKED);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x81), 1);
	EXPECT_EQ(t, r.wake_ns & 1, 0);
	rig_fini(&r);
}

/* A lower or equal interrupt waits: the offer is not made, or taken back, so that the EOI is seen. */
static void tlfs_10_3_no_offer_while_others_wait(struct test *t)
{
	struct rig r;

	init(t, &r);
	interrupt(t, &r, 0x81);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x81), 1);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 0);
	EXPECT_EQ(t, *word(&r) & 1, 0);
	EXPECT(t, guest_eoi(&r));
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	EXPECT(t, !guest_eoi(&r));
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	/* The offer stands when a lower one comes: it is taken back on the way in. */
	rig_forget(&r, 0);
	interrupt(t, &r, 0x81);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 1);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 0);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 0);
	EXPECT(t, guest_eoi(&r));
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	rig_fini(&r);
}

/* A guest that took the offer and gets a lower interrupt afterwards. */
static void tlfs_10_3_taken_offer_frees_lower_interrupts(struct test *t)
{
	struct rig r;

	init(t, &r);
	interrupt(t, &r, 0x81);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT(t, !guest_eoi(&r));
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	EXPECT(t, !in_service(&r, 0x81));
	EXPECT(t, in_service(&r, 0x41));
	rig_fini(&r);
}

static void take_offer(struct fake_vp *vp, void *ctx)
{
	__atomic_fetch_and(word(ctx), ~HV_APIC_ASSIST_NO_EOI_REQUIRED, __ATOMIC_SEQ_CST);
}

/* Between taking the offer and an exit that is about the APIC there is nothing else: the exit sees that the interrupt has ended. */
static void tlfs_10_3_offer_taken_right_before_an_exit(struct test *t)
{
	struct rig r;

	init(t, &r);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	interrupt(t, &r, 0x81);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 1);
	fake_push_code(r.fake[0], take_offer, &r);
	rig_eoi(&r, 0); /* the outer one's */
	EXPECT(t, !in_service(&r, 0x81));
	EXPECT(t, !in_service(&r, 0x41));

	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 1);
	fake_push_code(r.fake[0], take_offer, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, 0), RIG_OK);
	EXPECT(t, !in_service(&r, 0x41));
	rig_fini(&r);
}

static void tlfs_10_3_nested_interrupts(struct test *t)
{
	struct rig r;

	/* A higher one comes while the offer for the lower stands: the inner EOI must not end the outer interrupt. */
	init(t, &r);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 1);
	interrupt(t, &r, 0x81);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x81), 1);
	EXPECT(t, in_service(&r, 0x41) && in_service(&r, 0x81));
	guest_eoi(&r);
	EXPECT(t, in_service(&r, 0x41));
	EXPECT(t, !in_service(&r, 0x81));
	guest_eoi(&r);
	EXPECT(t, !in_service(&r, 0x41));
	rig_fini(&r);
}

static void tlfs_10_3_level_interrupts_always_need_eoi(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, HV_INTERRUPT_CONTROL_LEVEL),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 0);
	rig_fini(&r);
}

/* A SINT with queued messages needs its EOI: the next message comes with it. */
static void tlfs_10_3_no_offer_with_queued_messages(struct test *t)
{
	const struct hv_port_info info = {.port_type = HvPortTypeMessage, .target_sint = 2};
	struct rig r;

	init(t, &r);
	rig_synic(&r, 0, 2, 0xF3);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 1), RIG_OK);
	EXPECT_EQ(t, rig_port(&r, r.id, HV_PARTITION_ID_SELF, 5, &info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 5, HvPortTypeMessage),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "a", 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "b", 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xF3), 1);
	EXPECT_EQ(t, *word(&r) & 1, 0);
	rig_fini(&r);
}

static void tlfs_10_3_disabling_the_page_ends_the_offer(struct test *t)
{
	struct rig r;

	init(t, &r);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, *word(&r) & 1, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, 0), RIG_OK);
	EXPECT(t, in_service(&r, 0x41));
	rig_eoi(&r, 0);
	EXPECT(t, !in_service(&r, 0x41));
	rig_fini(&r);
}

/* ---- 10.2: EOI, ICR, TPR ---- */

static void tlfs_10_2_tpr(struct test *t)
{
	uint64_t value;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TPR, 0x50), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_TPR), 0x50);
	EXPECT_EQ(t, rig_apic_read(&r, 0, 0x80), 0x50);
	EXPECT_EQ(t, rig_reg(&r, 0, HvX64RegisterCr8), 5);
	EXPECT_EQ(t, rig_exit(&r, 0, &(struct hv_exit){.kind = HV_EXIT_CR8}), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], 5);
	interrupt(t, &r, 0x4F);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, rig_exit(&r, 0, &(struct hv_exit){.kind = HV_EXIT_CR8, .cr8 = {true, 3}}),
		  RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x4F), 1);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_TPR), 0x30);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TPR, 0x100), X86_EXC_GP);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_exit(&r, 0, &(struct hv_exit){.kind = HV_EXIT_CR8, .cr8 = {true, 16}}),
		  X86_EXC_GP);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, HV_X64_MSR_EOI, &value), X86_EXC_GP);
	rig_fini(&r);
}

static void tlfs_10_2_icr(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_ICR, UINT64_C(1) << 56 | 0x77), RIG_OK);
	EXPECT(t, rig_took(&r, 1, 0x77));
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_ICR), UINT64_C(1) << 56 | 0x77);
	EXPECT_EQ(t, rig_apic_read(&r, 0, 0x310), 0x01000000);
	EXPECT_EQ(t, rig_apic_read(&r, 0, 0x300), 0x77);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_10_3_page_register),
		TEST(tlfs_10_3_eoi_left_out),
		TEST(tlfs_10_3_handler_sees_no_offer),
		TEST(tlfs_10_3_no_offer_while_others_wait),
		TEST(tlfs_10_3_taken_offer_frees_lower_interrupts),
		TEST(tlfs_10_3_offer_taken_right_before_an_exit),
		TEST(tlfs_10_3_nested_interrupts),
		TEST(tlfs_10_3_level_interrupts_always_need_eoi),
		TEST(tlfs_10_3_no_offer_with_queued_messages),
		TEST(tlfs_10_3_disabling_the_page_ends_the_offer),
		TEST(tlfs_10_2_tpr),
		TEST(tlfs_10_2_icr),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
