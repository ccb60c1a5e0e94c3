// SPDX-License-Identifier: Apache-2.0
/* The synthetic interrupt controller: SINTs, message slots, event flags. TLFS 11. */
#include "rig.h"

#define SINT 2u
#define VECTOR 0xF3u
#define TYPE 1u

static const struct hv_port_info to_vp0 = {
	.port_type = HvPortTypeMessage, .target_sint = SINT, .target_vp = 0};

/* One VP with its SynIC on, and a message port of the child that the root feeds. */
static void init(struct test *t, struct rig *r)
{
	rig_init(r, &(struct rig_options){.vps = 2});
	rig_synic(r, 0, SINT, VECTOR);
	EXPECT_EQ(t, rig_port(r, r->id, HV_PARTITION_ID_SELF, 5, &to_vp0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(r, HV_PARTITION_ID_SELF, r->id, 5, HvPortTypeMessage),
		  HV_STATUS_SUCCESS);
}

static uint16_t post(struct rig *r, uint32_t tag)
{
	return rig_root_post(r, 5, TYPE, &tag, sizeof(tag));
}

/* What the guest does with a full slot; true when it has to write EOM. */
static bool take(struct rig *r, unsigned sint, uint32_t *ret_tag)
{
	struct hv_message *slot = rig_slot(r, 0, sint);

	*ret_tag = load_le32(slot->payload);
	__atomic_store_n(&slot->type, HvMessageTypeNone, __ATOMIC_SEQ_CST);
	return (__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) != 0;
}

/* ---- Registers ---- */

static void tlfs_11_9_sint_registers(struct test *t)
{
	static const struct {
		uint64_t value;
		int result;
	} rows[] = {
		{HV_SINT_MASKED, RIG_OK},
		{HV_SINT_MASKED | 5, RIG_OK},
		{0, X86_EXC_GP},
		{15, X86_EXC_GP},
		{16, RIG_OK},
		{0xFF, RIG_OK},
		{HV_SINT_AUTO_EOI | 3, X86_EXC_GP},
		{HV_SINT_AUTO_EOI | 0x30, RIG_OK},
		{HV_SINT_POLLING | 0x30, RIG_OK},
	};
	struct rig r;

	rig_init(&r, NULL);
	for (uint32_t sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			uint64_t before = rig_msr(&r, 0, HV_X64_MSR_SINT0 + sint);

			rig_forget(&r, 0);
			EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + sint, rows[i].value),
				  rows[i].result);
			EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_SINT0 + sint),
				  rows[i].result == RIG_OK ? rows[i].value : before);
		}
	}
	rig_fini(&r);
}

static void tlfs_11_9_two_sints_may_share_a_vector(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + 3, VECTOR), RIG_OK);
	EXPECT_EQ(t, rig_post_direct(&r, 0, 2, TYPE), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_post_direct(&r, 0, 3, TYPE), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 0, VECTOR));
	EXPECT_EQ(t, rig_slot(&r, 0, 2)->type, TYPE);
	EXPECT_EQ(t, rig_slot(&r, 0, 3)->type, TYPE);
	rig_fini(&r);
}

/* ---- Message slots ---- */

static void tlfs_11_8_message_layout(struct test *t)
{
	const uint8_t payload[] = "virtual machine bus";
	const struct hv_message *slot;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_root_post(&r, 5, 0x7FFFFFFF, payload, sizeof(payload)), HV_STATUS_SUCCESS);
	slot = rig_slot(&r, 0, SINT);
	EXPECT_EQ(t, slot->type, 0x7FFFFFFF);
	EXPECT_EQ(t, slot->payload_size, sizeof(payload));
	EXPECT_EQ(t, slot->flags, 0);
	EXPECT_EQ(t, slot->origin & UINT32_MAX, 5); /* the port */
	EXPECT_MEM(t, slot->payload, payload, sizeof(payload));
	EXPECT(t, rig_took(&r, 0, VECTOR));
	/* The other slots are untouched. */
	EXPECT_EQ(t, rig_slot(&r, 0, SINT - 1)->type, 0);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT + 1)->type, 0);
	rig_fini(&r);
}

static void tlfs_11_10_busy_slot_pending_flag_and_eom(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->flags & HV_MESSAGE_FLAG_PENDING, 0);
	EXPECT_EQ(t, post(&r, 2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, post(&r, 3), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->flags & HV_MESSAGE_FLAG_PENDING,
		  HV_MESSAGE_FLAG_PENDING);
	EXPECT_EQ(t, load_le32(rig_slot(&r, 0, SINT)->payload), 1);
	EXPECT(t, rig_took(&r, 0, VECTOR));
	for (uint32_t n = 1; n <= 3; n++) {
		bool more = take(&r, SINT, &tag);

		EXPECT_EQ(t, tag, n);
		EXPECT_EQ(t, more, n < 3);
		if (more) {
			EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
			EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
			EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, TYPE);
			EXPECT(t, rig_took(&r, 0, VECTOR) || rig_interrupts(&r, 0, VECTOR) == 0);
		}
	}
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
	rig_fini(&r);
}

static void tlfs_11_10_eom_raises_an_interrupt_for_the_next(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, post(&r, 2), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 0, VECTOR));
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT(t, take(&r, SINT, &tag));
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	rig_fini(&r);
}

/* An EOI of the SINT's vector is as good as EOM; of another vector it is not. */
static void tlfs_11_10_eoi_scans_the_slot(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, post(&r, 2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	EXPECT(t, take(&r, SINT, &tag));
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
	rig_forget(&r, 0);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, TYPE);
	EXPECT_EQ(t, load_le32(rig_slot(&r, 0, SINT)->payload), 2);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	rig_fini(&r);
}

/* A guest that empties the slot between two messages without seeing the pending flag: the next post finds it free. */
static void tlfs_11_10_new_message_rescans(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, post(&r, 2), HV_STATUS_SUCCESS);
	take(&r, SINT, &tag);
	EXPECT_EQ(t, post(&r, 3), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, load_le32(rig_slot(&r, 0, SINT)->payload), 2);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->flags, HV_MESSAGE_FLAG_PENDING);
	rig_fini(&r);
}

static void tlfs_11_10_sixteen_buffers(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	/* One message in the slot frees its buffer; then sixteen wait. */
	for (uint32_t n = 0; n < 17; n++) {
		EXPECT_EQ(t, post(&r, n), HV_STATUS_SUCCESS);
	}
	EXPECT_EQ(t, post(&r, 17), HV_STATUS_INSUFFICIENT_BUFFERS);
	EXPECT_EQ(t, post(&r, 18), HV_STATUS_INSUFFICIENT_BUFFERS);
	take(&r, SINT, &tag);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, post(&r, 19), HV_STATUS_SUCCESS);
	for (uint32_t n = 1; n < 18; n++) {
		take(&r, SINT, &tag);
		EXPECT_EQ(t, tag, n == 17 ? 19 : n);
		EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	}
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
	rig_fini(&r);
}

static void tlfs_11_9_scontrol_and_simp_off(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 0), RIG_OK);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 1), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SIMP, RIG_SIM_GPA(0)), RIG_OK);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SIMP, RIG_SIM_GPA(0) | 1), RIG_OK);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* Messages that wait while the SynIC is switched off come when it is on again. */
static void tlfs_11_9_queue_survives_simp_off(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, post(&r, 2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 0), RIG_OK);
	take(&r, SINT, &tag);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, HvMessageTypeNone);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 1), RIG_OK);
	EXPECT_EQ(t, load_le32(rig_slot(&r, 0, SINT)->payload), 2);
	rig_fini(&r);
}

static void tlfs_11_masked_sint_raises_no_interrupt(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_MASKED | VECTOR), RIG_OK);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, TYPE);
	/* Unmasking does not bring the lost interrupt back. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, VECTOR), RIG_OK);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

static void tlfs_11_polling_mode(struct test *t)
{
	uint8_t newly = 0;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_POLLING | VECTOR), RIG_OK);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 7, &newly), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, newly, 1);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, TYPE);
	EXPECT(t, rig_flag(&r, 0, SINT, 7));
	rig_fini(&r);
}

static void tlfs_11_auto_eoi(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_AUTO_EOI | VECTOR), RIG_OK);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	/* Nothing in service: lower ones come without an EOI. */
	EXPECT_EQ(t, rig_apic_read(&r, 0, 0x170), 0);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	/* Without AutoEOI the vector stays in service. */
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, VECTOR), RIG_OK);
	rig_slot(&r, 0, SINT)->type = 0;
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_apic_read(&r, 0, 0x170), BIT32(VECTOR % 32));
	rig_fini(&r);
}

/* AutoEOI and a queue: the delivered message itself never frees the slot, EOM does. */
static void tlfs_11_auto_eoi_with_queue(struct test *t)
{
	uint32_t tag;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_AUTO_EOI | VECTOR), RIG_OK);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, post(&r, 2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT(t, take(&r, SINT, &tag));
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, VECTOR), 1);
	EXPECT_EQ(t, load_le32(rig_slot(&r, 0, SINT)->payload), 2);
	rig_fini(&r);
}

static void tlfs_11_10_post_direct(struct test *t)
{
	struct hv_input_post_message_direct in = {.sint = SINT};
	const struct hv_message *slot;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_SUCCESS);
	slot = rig_slot(&r, 0, SINT);
	EXPECT_EQ(t, slot->type, TYPE);
	EXPECT_EQ(t, slot->payload_size, 8);
	EXPECT_EQ(t, load_le64(slot->payload), UINT64_C(0x0807060504030201));
	/* No queue here: a full slot is an answer. */
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, TYPE), HV_STATUS_OBJECT_IN_USE);
	EXPECT_EQ(t, rig_post_direct(&r, 0, 16, TYPE), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_post_direct(&r, 0, SINT, 0), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_post_direct(&r, 7, SINT, TYPE), HV_STATUS_INVALID_VP_INDEX);
	in.partition_id = r.id;
	in.message[0] = 1;
	in.message[4] = 241;
	EXPECT_EQ(t, rig_root(&r, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

/* A halted VP is woken by its message. */
static void tlfs_11_message_wakes_a_halted_vp(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, r.wake_ns, UINT64_MAX);
	EXPECT_EQ(t, r.wake[0].count, 0);
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.wake[0].count, 1);
	EXPECT(t, rig_took(&r, 0, VECTOR));
	rig_fini(&r);
}

static void tlfs_11_messages_mark_the_page_dirty(struct test *t)
{
	uint64_t bitmap = 0;
	struct rig r;

	init(t, &r);
	gmem_dirty_take(hv_partition_gmem(r.partition), RIG_SIM_GPA(0) >> 12, 2, &bitmap);
	bitmap = 0;
	EXPECT_EQ(t, post(&r, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 3, &(uint8_t){0}), HV_STATUS_SUCCESS);
	gmem_dirty_take(hv_partition_gmem(r.partition), RIG_SIM_GPA(0) >> 12, 2, &bitmap);
	EXPECT_EQ(t, bitmap, 3);
	rig_fini(&r);
}

/* ---- Event flags ---- */

static void tlfs_11_9_event_flags(struct test *t)
{
	static const uint16_t flags[] = {0, 1, 31, 32, 63, 1000, 2047};
	struct rig r;

	init(t, &r);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		uint8_t newly = 9;

		EXPECT(t, !rig_flag(&r, 0, SINT, flags[i]));
		EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, flags[i], &newly), HV_STATUS_SUCCESS);
		EXPECT_EQ(t, newly, 1);
		EXPECT(t, rig_flag(&r, 0, SINT, flags[i]));
		EXPECT(t, rig_took(&r, 0, VECTOR));
		/* Set already: no second interrupt. */
		EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, flags[i], &newly), HV_STATUS_SUCCESS);
		EXPECT_EQ(t, newly, 0);
		EXPECT(t, rig_took(&r, 0, -1));
	}
	EXPECT(t, !rig_flag(&r, 0, SINT, 2));
	EXPECT(t, !rig_flag(&r, 0, SINT + 1, 0));
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 2048, &(uint8_t){0}),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, 16, 0, &(uint8_t){0}), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_signal_direct(&r, 9, SINT, 0, &(uint8_t){0}), HV_STATUS_INVALID_VP_INDEX);
	rig_fini(&r);
}

static void tlfs_11_9_events_need_an_enabled_synic(struct test *t)
{
	uint8_t newly;
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 0), RIG_OK);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 0, &newly), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 1), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SIEFP, RIG_SIEF_GPA(0)), RIG_OK);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 0, &newly), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SIEFP, RIG_SIEF_GPA(0) | 1), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_MASKED), RIG_OK);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 0, &newly), HV_STATUS_INVALID_SYNIC_STATE);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, VECTOR), RIG_OK);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, SINT, 0, &newly), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* An INIT of the processor leaves the SynIC alone: it belongs to the VP, not to the core. */
static void tlfs_11_synic_survives_init(struct test *t)
{
	struct rig r;

	init(t, &r);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeInit, 0, 0, 0), HV_STATUS_SUCCESS);
	rig_run(&r, 0);
	EXPECT_EQ(t, r.fake[0]->inits, 1);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterSipp), RIG_SIM_GPA(0) | 1);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterSint0 + SINT), VECTOR);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_11_9_sint_registers),
		TEST(tlfs_11_9_two_sints_may_share_a_vector),
		TEST(tlfs_11_8_message_layout),
		TEST(tlfs_11_10_busy_slot_pending_flag_and_eom),
		TEST(tlfs_11_10_eom_raises_an_interrupt_for_the_next),
		TEST(tlfs_11_10_eoi_scans_the_slot),
		TEST(tlfs_11_10_new_message_rescans),
		TEST(tlfs_11_10_sixteen_buffers),
		TEST(tlfs_11_9_scontrol_and_simp_off),
		TEST(tlfs_11_9_queue_survives_simp_off),
		TEST(tlfs_11_masked_sint_raises_no_interrupt),
		TEST(tlfs_11_polling_mode),
		TEST(tlfs_11_auto_eoi),
		TEST(tlfs_11_auto_eoi_with_queue),
		TEST(tlfs_11_10_post_direct),
		TEST(tlfs_11_message_wakes_a_halted_vp),
		TEST(tlfs_11_messages_mark_the_page_dirty),
		TEST(tlfs_11_9_event_flags),
		TEST(tlfs_11_9_events_need_an_enabled_synic),
		TEST(tlfs_11_synic_survives_init),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
