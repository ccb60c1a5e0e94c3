// SPDX-License-Identifier: Apache-2.0
/* HvCallGetVpRegisters and HvCallSetVpRegisters, by the parent and by the guest. TLFS 7.8, appendix G (register names). */
#include "rig.h"

struct get_in {
	struct hv_input_vp vp;
	uint32_t names[8];
};

static uint64_t get_raw(struct rig *r, uint64_t id, uint32_t vp, uint32_t name, struct hv_u128 *ret)
{
	const struct get_in in = {{.partition_id = id, .vp_index = vp}, {name}};

	return rig_root_full(r, hv_hypercall_control(HvCallGetVpRegisters, 1), &in, 20, ret,
			     sizeof(*ret));
}

/* ---- The parent ---- */

static void tlfs_7_8_processor_registers(struct test *t)
{
	static const struct {
		uint32_t first;
		uint32_t last;
		bool wide;
	} groups[] = {
		{HvX64RegisterRax, HvX64RegisterRip, false},
		{HvX64RegisterXmm0, HvX64RegisterXmm15, true},
		{HvX64RegisterFpMmx0, HvX64RegisterFpMmx7, true},
		{HvX64RegisterCr2, HvX64RegisterCr4, false},
		{HvX64RegisterDr0, HvX64RegisterDr7, false},
		{HvX64RegisterEs, HvX64RegisterTr, true},
		{HvX64RegisterIdtr, HvX64RegisterGdtr, true},
		{HvX64RegisterEfer, HvX64RegisterKernelGsBase, false},
	};
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		for (uint32_t name = groups[g].first; name <= groups[g].last; name++) {
			struct hv_u128 value = {0x1100000000 + name,
						groups[g].wide ? 0x2200000000 + name : 0},
				       got = {0, 0};

			EXPECT_EQ(t, rig_reg_set128(&r, 1, name, value), HV_STATUS_SUCCESS);
			EXPECT_MEM(t, fake_reg(r.fake[1], name), &value, sizeof(value));
			EXPECT_EQ(t, get_raw(&r, r.id, 1, name, &got), UINT64_C(1) << 32);
			EXPECT_MEM(t, &got, &value, sizeof(value));
		}
	}
	rig_fini(&r);
}

static void tlfs_7_8_errors(struct test *t)
{
	struct {
		struct hv_input_vp vp;
		struct hv_register_assoc assoc;
	} set = {.assoc = {.name = HvX64RegisterRax}};
	struct get_in vtl = {.vp = {.target_vtl = 1}, .names = {HvX64RegisterRax}};
	struct hv_u128 value;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, get_raw(&r, r.id, 1, HvX64RegisterRax, &value), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, get_raw(&r, r.id, HV_ANY_VP, HvX64RegisterRax, &value),
		  HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, get_raw(&r, r.id, HV_VP_INDEX_SELF, HvX64RegisterRax, &value),
		  HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, get_raw(&r, HV_PARTITION_ID_SELF, 0, HvX64RegisterRax, &value),
		  HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, get_raw(&r, r.id, 0, 0x7FFFFFFF, &value), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, get_raw(&r, r.id, 0, UINT32_MAX, &value), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_reg_set(&r, 0, 0x7FFFFFFF, 1), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterCr0, UINT64_MAX),
		  HV_STATUS_INVALID_REGISTER_VALUE);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterCr8, 16), HV_STATUS_INVALID_REGISTER_VALUE);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterSint0 + 3, 5), HV_STATUS_INVALID_REGISTER_VALUE);
	set.vp.partition_id = r.id;
	set.assoc.reserved1 = 1;
	EXPECT_EQ(t,
		  rig_root_full(&r, hv_hypercall_control(HvCallSetVpRegisters, 1), &set,
				sizeof(set), NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	vtl.vp.partition_id = r.id;
	EXPECT_EQ(t,
		  rig_root_full(&r, hv_hypercall_control(HvCallGetVpRegisters, 1), &vtl, 20, &value,
				16),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

static void tlfs_7_8_many_at_once(struct test *t)
{
	struct get_in in = {
		.names = {HvX64RegisterRax, HvX64RegisterRbx, HvRegisterVpIndex, HvX64RegisterR15}};
	struct hv_u128 out[4];
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	in.vp.partition_id = r.id;
	in.vp.vp_index = 1;
	EXPECT_EQ(t, rig_reg_set(&r, 1, HvX64RegisterRax, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_reg_set(&r, 1, HvX64RegisterRbx, 2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_reg_set(&r, 1, HvX64RegisterR15, 4), HV_STATUS_SUCCESS);
	EXPECT_EQ(t,
		  rig_root_full(&r, hv_hypercall_control(HvCallGetVpRegisters, 4), &in, 32, out,
				sizeof(out)),
		  UINT64_C(4) << 32);
	EXPECT_EQ(t, out[0].lo, 1);
	EXPECT_EQ(t, out[1].lo, 2);
	EXPECT_EQ(t, out[2].lo, 1);
	EXPECT_EQ(t, out[3].lo, 4);
	rig_fini(&r);
}

static void tlfs_7_8_synthetic_registers(struct test *t)
{
	static const struct {
		uint32_t name;
		uint32_t msr;
		uint64_t value;
	} rows[] = {
		{HvRegisterGuestOsId, HV_X64_MSR_GUEST_OS_ID, 0x8100000000000001},
		{HvX64RegisterHypercall, HV_X64_MSR_HYPERCALL, 0x9001},
		{HvX64RegisterTpr, HV_X64_MSR_TPR, 0x30},
		{HvRegisterVpAssistPage, HV_X64_MSR_VP_ASSIST_PAGE, 0x50001},
		{HvRegisterReferenceTsc, HV_X64_MSR_REFERENCE_TSC, 0x51001},
		{HvRegisterSint0 + 4, HV_X64_MSR_SINT0 + 4, 0x55},
		{HvRegisterScontrol, HV_X64_MSR_SCONTROL, 1},
		{HvRegisterSifp, HV_X64_MSR_SIEFP, 0x52001},
		{HvRegisterSipp, HV_X64_MSR_SIMP, 0x53001},
		{HvRegisterStimer0Config + 2, HV_X64_MSR_STIMER1_CONFIG, 0x20008},
		{HvRegisterStimer0Count + 2, HV_X64_MSR_STIMER1_COUNT, 0x7000000000000000},
		{HvRegisterGuestCrashP0 + 2, HV_X64_MSR_CRASH_P2, 0x1234},
	};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t seen;

		EXPECT_EQ(t, rig_reg_set(&r, 0, rows[i].name, rows[i].value), HV_STATUS_SUCCESS);
		seen = rig_msr(&r, 0, rows[i].msr);
		if (rows[i].name == HvRegisterStimer0Config + 2) {
			EXPECT_EQ(t, seen, rows[i].value);
		} else if (rows[i].name == HvRegisterStimer0Count + 2) {
			EXPECT_EQ(t, seen, rows[i].value);
		} else {
			EXPECT_EQ(t, rig_reg(&r, 0, rows[i].name), rows[i].value);
			EXPECT_EQ(t, seen, rows[i].value);
		}
	}
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterVpIndex), 0);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterProcessorClockFrequency), RIG_TSC_HZ);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterTimeRefCount),
		  rig_msr(&r, 0, HV_X64_MSR_TIME_REF_COUNT));
	EXPECT_EQ(t, rig_reg(&r, 0, HvX64RegisterApicBase), UINT64_C(0xFEE00900));
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterPrivilegesAndFeaturesInfo), RIG_PRIVILEGES_ALL);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterVpIndex, 5), HV_STATUS_INVALID_REGISTER_VALUE);
	rig_fini(&r);
}

/* The parent is above the child's privileges. */
static void tlfs_7_8_parent_needs_no_privilege(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.privileges = HV_PRIVILEGE_AccessHypercallMsrs});
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterScontrol, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterScontrol), 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 0), X86_EXC_GP);
	rig_fini(&r);
}

static void look_at_own_registers(struct fake_vp *vp, void *ctx)
{
	struct rig *r = ctx;
	struct hv_u128 value;

	/* From within run(): the VP is busy. */
	r->options.tsc_hz = get_raw(r, r->id, vp->index, HvX64RegisterRax, &value);
}

static void tlfs_7_8_running_vp_is_refused(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	fake_push_code(r.fake[0], look_at_own_registers, &r);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.options.tsc_hz, HV_STATUS_INVALID_VP_STATE);
	rig_fini(&r);
}

static void tlfs_7_8_pending_interruption(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterPendingInterruption), 0);
	EXPECT_EQ(t,
		  rig_reg_set(&r, 0, HvRegisterPendingInterruption,
			      HV_PENDING_INTERRUPTION_EXTERNAL(0x20)),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterPendingInterruption),
		  HV_PENDING_INTERRUPTION_EXTERNAL(0x20));
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x20), 1);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterPendingInterruption), 0);
	/* An exception with its error code: pending, type 3, deliver error code, vector, error code. */
	rig_forget(&r, 0);
	EXPECT_EQ(t,
		  rig_reg_set(&r, 0, HvRegisterPendingInterruption,
			      UINT64_C(0x1234) << 32 | X86_EXC_GP << 16 | 0x10 | 3 << 1 | 1),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 1);
	EXPECT_EQ(t, r.fake[0]->events[0].vector, X86_EXC_GP);
	EXPECT_EQ(t, r.fake[0]->events[0].error, 0x1234);
	/* An NMI. */
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterPendingInterruption, 2 << 16 | 2 << 1 | 1),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->events[0].kind, FAKE_NMI);
	/* Nonsense. */
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterPendingInterruption, 0x100 << 16 | 1),
		  HV_STATUS_INVALID_REGISTER_VALUE);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterPendingInterruption, 32 << 16 | 3 << 1 | 1),
		  HV_STATUS_INVALID_REGISTER_VALUE);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterPendingInterruption, 7 << 1 | 1),
		  HV_STATUS_INVALID_REGISTER_VALUE);
	rig_fini(&r);
}

static void tlfs_7_8_activity_state(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t,
		  rig_reg_set(&r, 0, HvRegisterInternalActivityState,
			      HV_INTERNAL_ACTIVITY_HALT_SUSPEND),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterInternalActivityState),
		  HV_INTERNAL_ACTIVITY_HALT_SUSPEND);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterInternalActivityState, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	rig_fini(&r);
}

/* ---- The guest ---- */

static uint64_t guest_get(struct rig *r, uint64_t id, uint32_t vp, uint32_t name)
{
	const struct get_in in = {{.partition_id = id, .vp_index = vp}, {name}};

	return rig_call(r, 0, hv_hypercall_control(HvCallGetVpRegisters, 1), &in, 20);
}

static uint64_t guest_set(struct rig *r, uint64_t id, uint32_t vp, uint32_t name, uint64_t value)
{
	const struct {
		struct hv_input_vp vp;
		struct hv_register_assoc assoc;
	} in = {{.partition_id = id, .vp_index = vp}, {.name = name, .value = {value, 0}}};

	return rig_call(r, 0, hv_hypercall_control(HvCallSetVpRegisters, 1), &in, sizeof(in));
}

static void tlfs_7_8_guest_reads_its_own(struct test *t)
{
	const uint64_t done = UINT64_C(1) << 32;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	fake_reg(r.fake[0], HvX64RegisterRbx)->lo = 0x1234;
	fake_reg(r.fake[1], HvX64RegisterRbx)->lo = 0x5678;
	EXPECT_EQ(t, guest_get(&r, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF, HvX64RegisterRbx), done);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), 0x1234);
	EXPECT_EQ(t, guest_get(&r, r.id, 0, HvX64RegisterRbx), done);
	EXPECT_EQ(t, guest_get(&r, HV_PARTITION_ID_SELF, 1, HvX64RegisterRbx), done);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), 0x5678);
	EXPECT_EQ(t, guest_get(&r, HV_PARTITION_ID_SELF, 0, HvRegisterVpIndex), done);
	EXPECT_EQ(t, guest_get(&r, HV_PARTITION_ID_SELF, 2, HvX64RegisterRbx),
		  HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, guest_get(&r, HV_ROOT_PARTITION_ID, 0, HvX64RegisterRbx),
		  HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, guest_get(&r, r.id + 1, 0, HvX64RegisterRbx), HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, guest_get(&r, HV_PARTITION_ID_SELF, 0, 0x12345678),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t,
		  guest_set(&r, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF, HvRegisterSint0 + 2, 0x42),
		  done);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_SINT0 + 2), 0x42);
	EXPECT_EQ(t, guest_set(&r, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF, HvRegisterSint0 + 2, 3),
		  HV_STATUS_INVALID_REGISTER_VALUE);
	rig_fini(&r);
}

/* The suspend and event state is the parent's. */
static void tlfs_7_8_guest_must_not_name(struct test *t)
{
	static const uint32_t names[] = {
		HvRegisterExplicitSuspend,	 HvRegisterInterceptSuspend,
		HvRegisterInternalActivityState, HvRegisterPendingInterruption,
		HvRegisterInterruptState,	 HvX64RegisterDeliverabilityNotifications};
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		for (uint32_t vp = 0; vp < 2; vp++) {
			EXPECT_EQ(t, guest_get(&r, HV_PARTITION_ID_SELF, vp, names[i]),
				  HV_STATUS_INVALID_PARAMETER);
			EXPECT_EQ(t, guest_set(&r, HV_PARTITION_ID_SELF, vp, names[i], 1),
				  HV_STATUS_INVALID_PARAMETER);
		}
	}
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	rig_fini(&r);
}

/* By register name the guest has no more rights than by MSR. */
static void tlfs_7_8_guest_privileges_hold_by_name(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.privileges = RIG_PRIVILEGES_ALL &
							 ~HV_PRIVILEGE_AccessSynicRegs});
	EXPECT(t, hv_result_status(guest_get(&r, HV_PARTITION_ID_SELF, 0, HvRegisterScontrol)) !=
			  HV_STATUS_SUCCESS);
	EXPECT(t, hv_result_status(guest_set(&r, HV_PARTITION_ID_SELF, 0, HvRegisterScontrol, 1)) !=
			  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterScontrol), 0);
	rig_fini(&r);
}

/* Values that IA32_APIC_BASE cannot have: an engine that keeps the APIC would refuse them later. */
static void tlfs_7_8_apic_base(struct test *t)
{
	static const uint64_t wrong[] = {0xFEE00801, 0xFEE00A00, 0xFEE00400, UINT64_C(1) << 52};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterApicBase, wrong[i]),
			  HV_STATUS_INVALID_REGISTER_VALUE);
	}
	EXPECT_EQ(t, rig_reg(&r, 0, HvX64RegisterApicBase), 0xFEE00900);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterApicBase, 0xFEE00D00), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_7_8_processor_registers),
		TEST(tlfs_7_8_errors),
		TEST(tlfs_7_8_many_at_once),
		TEST(tlfs_7_8_synthetic_registers),
		TEST(tlfs_7_8_parent_needs_no_privilege),
		TEST(tlfs_7_8_running_vp_is_refused),
		TEST(tlfs_7_8_pending_interruption),
		TEST(tlfs_7_8_activity_state),
		TEST(tlfs_7_8_guest_reads_its_own),
		TEST(tlfs_7_8_guest_must_not_name),
		TEST(tlfs_7_8_guest_privileges_hold_by_name),
		TEST(tlfs_7_8_apic_base),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
