// SPDX-License-Identifier: Apache-2.0
/* Partition properties and the privilege mask. TLFS 4.2 (privileges), 5.4 of the partition chapter (properties), appendix F (MSRs). */
#include "rig.h"

static uint64_t created(struct rig *r)
{
	const struct hv_input_create_partition in = {0};
	uint64_t id = 0;

	CHECK(rig_root(r, HvCallCreatePartition, &in, sizeof(in), &id, 8) == HV_STATUS_SUCCESS);
	return id;
}

static uint16_t set(struct rig *r, uint64_t id, uint32_t code, uint64_t value)
{
	const struct hv_input_partition_property in = {
		.partition_id = id, .property_code = code, .value = value};

	return rig_root(r, HvCallSetPartitionProperty, &in, sizeof(in), NULL, 0);
}

static uint16_t get(struct rig *r, uint64_t id, uint32_t code, uint64_t *ret)
{
	const struct hv_input_partition_property in = {.partition_id = id, .property_code = code};

	return rig_root(r, HvCallGetPartitionProperty, &in, 16, ret, 8);
}

static void delete_uninitialized(struct rig *r, uint64_t id)
{
	CHECK(rig_root(r, HvCallDeletePartition, &id, 8, NULL, 0) == HV_STATUS_SUCCESS);
}

/* ---- Properties ---- */

static void tlfs_4_early_properties(struct test *t)
{
	static const struct {
		uint32_t code;
		uint64_t value;
	} rows[] = {
		{HvPartitionPropertyPrivilegeFlags, HV_PRIVILEGE_AccessHypercallMsrs},
		{HvPartitionPropertySyntheticProcFeatures, 0x12345},
		{HvPartitionPropertyPhysicalAddressWidth, 46},
	};
	struct rig r;
	uint64_t id, value;

	rig_init(&r, NULL);
	id = created(&r);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EXPECT_EQ(t, set(&r, id, rows[i].code, rows[i].value), HV_STATUS_SUCCESS);
		EXPECT_EQ(t, get(&r, id, rows[i].code, &value), HV_STATUS_SUCCESS);
		EXPECT_EQ(t, value, rows[i].value);
		/* Too late once the partition is initialized. */
		EXPECT_EQ(t, rig_property_set(&r, rows[i].code, rows[i].value),
			  HV_STATUS_INVALID_PARTITION_STATE);
	}
	delete_uninitialized(&r, id);
	rig_fini(&r);
}

static void tlfs_4_property_ranges(struct test *t)
{
	static const struct {
		uint32_t code;
		uint64_t value;
		uint16_t status;
	} rows[] = {
		{0x00012345, 0, HV_STATUS_UNKNOWN_PROPERTY},
		{0, 0, HV_STATUS_UNKNOWN_PROPERTY},
		{UINT32_MAX, 0, HV_STATUS_UNKNOWN_PROPERTY},
		{HvPartitionPropertyCpuWeight, 0, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyCpuWeight, 1, HV_STATUS_SUCCESS},
		{HvPartitionPropertyCpuWeight, 10000, HV_STATUS_SUCCESS},
		{HvPartitionPropertyCpuWeight, 10001, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyCpuCap, 0x10001, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyCpuCap, 0x8000, HV_STATUS_SUCCESS},
		/* the reserve is never above the cap */
		{HvPartitionPropertyCpuReserve, 0x8001, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyCpuReserve, 0x4000, HV_STATUS_SUCCESS},
		{HvPartitionPropertyCpuCap, 0x3FFF, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyTimeFreeze, 2, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertySuspend, 2, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyUnimplementedMsrAction, 2,
		 HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyProcessorsPerSocket, HV_MAXIMUM_PROCESSORS + 1,
		 HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		/* facts, not settings */
		{HvPartitionPropertyGuestOsId, 1, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		{HvPartitionPropertyProcessorClockFrequency, 1000000,
		 HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
		/* the clock can be set only while it stands */
		{HvPartitionPropertyReferenceTime, 5, HV_STATUS_INVALID_PARTITION_STATE},
	};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint16_t status = rig_property_set(&r, rows[i].code, rows[i].value);

		if (status != rows[i].status) {
			test_fail(t, __FILE__, __LINE__, "property 0x%x = 0x%" PRIx64 " gave 0x%x",
				  rows[i].code, rows[i].value, status);
		}
	}
	rig_fini(&r);
}

static void tlfs_4_property_defaults(struct test *t)
{
	struct rig r;
	uint64_t id, value;

	rig_init(&r, NULL);
	id = created(&r);
	EXPECT_EQ(t, get(&r, id, HvPartitionPropertyCpuReserve, &value), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, value, 0);
	EXPECT_EQ(t, get(&r, id, HvPartitionPropertyCpuCap, &value), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, value, 0x10000);
	EXPECT_EQ(t, get(&r, id, HvPartitionPropertyCpuWeight, &value), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, value, 100);
	EXPECT_EQ(t, get(&r, id, HvPartitionPropertyTimeFreeze, &value), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, value, 0);
	EXPECT_EQ(t, get(&r, id, 0x77777777, &value), HV_STATUS_UNKNOWN_PROPERTY);
	EXPECT_EQ(t, rig_property_get(&r, HvPartitionPropertyProcessorClockFrequency), RIG_TSC_HZ);
	delete_uninitialized(&r, id);
	rig_fini(&r);
}

/* What a child must never be given: above all CpuManagement and CreatePartitions, which would make Linux think that it is the root. */
static void tlfs_4_2_privileges_that_cannot_be_given(struct test *t)
{
	struct rig r;
	uint64_t id;

	rig_init(&r, NULL);
	id = created(&r);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool may = (RIG_PRIVILEGES_ALL >> bit) & 1;

		EXPECT_EQ(t, set(&r, id, HvPartitionPropertyPrivilegeFlags, BIT64(bit)),
			  may ? HV_STATUS_SUCCESS : HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
	}
	delete_uninitialized(&r, id);
	rig_fini(&r);
}

/* ---- Privileges and MSRs ---- */

#define MAY(name) HV_PRIVILEGE_##name
#define MSR(name) HV_X64_MSR_##name
#define READABLE 1u
#define WRITABLE 2u

static const struct msr_row {
	uint32_t first;
	uint32_t last;
	uint64_t privilege;
	unsigned access;
	uint64_t value; /* that may be written */
} msrs[] = {
	{MSR(GUEST_OS_ID), MSR(GUEST_OS_ID), MAY(AccessHypercallMsrs), READABLE | WRITABLE, 1},
	{MSR(HYPERCALL), MSR(HYPERCALL), MAY(AccessHypercallMsrs), READABLE | WRITABLE, 0},
	{MSR(VP_INDEX), MSR(VP_INDEX), MAY(AccessVpIndex), READABLE, 0},
	{MSR(RESET), MSR(RESET), MAY(AccessResetReg), READABLE | WRITABLE, 0},
	{MSR(VP_RUNTIME), MSR(VP_RUNTIME), MAY(AccessVpRunTimeReg), READABLE, 0},
	{MSR(TIME_REF_COUNT), MSR(TIME_REF_COUNT), MAY(AccessPartitionReferenceCounter), READABLE,
	 0},
	{MSR(REFERENCE_TSC), MSR(REFERENCE_TSC), MAY(AccessPartitionReferenceTsc),
	 READABLE | WRITABLE, 0},
	{MSR(TSC_FREQUENCY), MSR(APIC_FREQUENCY), MAY(AccessFrequencyRegs), READABLE, 0},
	{MSR(EOI), MSR(EOI), MAY(AccessIntrCtrlRegs), WRITABLE, 0},
	{MSR(ICR), MSR(ICR), MAY(AccessIntrCtrlRegs), READABLE | WRITABLE, 0x40},
	{MSR(TPR), MSR(TPR), MAY(AccessIntrCtrlRegs), READABLE | WRITABLE, 0},
	{MSR(VP_ASSIST_PAGE), MSR(VP_ASSIST_PAGE), MAY(AccessIntrCtrlRegs), READABLE | WRITABLE, 0},
	{MSR(SCONTROL), MSR(SCONTROL), MAY(AccessSynicRegs), READABLE | WRITABLE, 0},
	{MSR(SVERSION), MSR(SVERSION), MAY(AccessSynicRegs), READABLE, 0},
	{MSR(SIEFP), MSR(EOM), MAY(AccessSynicRegs), READABLE | WRITABLE, 0},
	{MSR(SINT0), MSR(SINT15), MAY(AccessSynicRegs), READABLE | WRITABLE, 0x10000},
	{MSR(STIMER0_CONFIG), MSR(STIMER3_COUNT), MAY(AccessSyntheticTimerRegs),
	 READABLE | WRITABLE, 0},
	{MSR(CRASH_P0), MSR(CRASH_P4), 0, READABLE | WRITABLE, 0x1234},
	{MSR(CRASH_CTL), MSR(CRASH_CTL), 0, READABLE | WRITABLE, 0},
	{MSR(REENLIGHTENMENT_CONTROL), MSR(TSC_EMULATION_STATUS),
	 MAY(AccessReenlightenmentControls), READABLE | WRITABLE, 0},
	{MSR(TSC_INVARIANT_CONTROL), MSR(TSC_INVARIANT_CONTROL), MAY(AccessTscInvariantControls),
	 READABLE | WRITABLE, 1},
};

static void check_msr(struct test *t, struct rig *r, const struct msr_row *row, uint32_t index,
		      bool privileged)
{
	int want_read = privileged && (row->access & READABLE) ? RIG_OK : X86_EXC_GP;
	int want_write = privileged && (row->access & WRITABLE) ? RIG_OK : X86_EXC_GP;
	uint64_t value;
	int got;

	rig_forget(r, 0);
	got = rig_rdmsr(r, 0, index, &value);
	if (got != want_read) {
		test_fail(t, __FILE__, __LINE__, "read of MSR 0x%x: %d, want %d", index, got,
			  want_read);
	}
	rig_forget(r, 0);
	got = rig_wrmsr(r, 0, index, row->value);
	if (got != want_write) {
		test_fail(t, __FILE__, __LINE__, "write of MSR 0x%x: %d, want %d", index, got,
			  want_write);
	}
}

static void check_all_msrs(struct test *t, struct rig *r, uint64_t missing)
{
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++) {
		for (uint32_t index = msrs[i].first; index <= msrs[i].last; index++) {
			check_msr(t, r, &msrs[i], index, (msrs[i].privilege & missing) == 0);
		}
	}
}

static void tlfs_f_msr_access(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	check_all_msrs(t, &r, 0);
	rig_fini(&r);
}

/* Each privilege taken away in turn: #GP on its MSRs, no change for the others. */
static void tlfs_4_2_msr_privileges(struct test *t)
{
	for (unsigned bit = 0; bit < 16; bit++) {
		struct rig r;

		if (!((RIG_PRIVILEGES_ALL >> bit) & 1)) {
			continue;
		}
		rig_init(&r, &(struct rig_options){.privileges = RIG_PRIVILEGES_ALL & ~BIT64(bit),
						   .no_hypercall_page = true});
		check_all_msrs(t, &r, BIT64(bit));
		rig_fini(&r);
	}
}

static void tlfs_4_2_call_privileges(struct test *t)
{
	static const struct {
		unsigned code;
		unsigned reps;
		uint64_t privilege;
	} rows[] = {
		{HvCallPostMessage, 0, HV_PRIVILEGE_PostMessages},
		{HvCallSignalEvent, 0, HV_PRIVILEGE_SignalEvents},
		{HvCallGetVpRegisters, 1, HV_PRIVILEGE_AccessVpRegisters},
		{HvCallSetVpRegisters, 1, HV_PRIVILEGE_AccessVpRegisters},
		{HvCallGetPartitionId, 0, HV_PRIVILEGE_AccessPartitionId},
		{HvCallStartVirtualProcessor, 0, HV_PRIVILEGE_StartVirtualProcessor},
		{HvCallGetVpIndexFromApicId, 1, HV_PRIVILEGE_AccessVpIndex},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig r;

		rig_init(&r, &(struct rig_options){.privileges = RIG_PRIVILEGES_ALL &
								 ~rows[i].privilege});
		for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
			uint16_t status = hv_result_status(rig_call(
				&r, 0, hv_hypercall_control(rows[n].code, rows[n].reps), NULL, 0));

			if ((status == HV_STATUS_ACCESS_DENIED) !=
			    (rows[n].privilege == rows[i].privilege)) {
				test_fail(t, __FILE__, __LINE__,
					  "call 0x%x without privilege of 0x%x: 0x%x", rows[n].code,
					  rows[i].code, status);
			}
		}
		rig_fini(&r);
	}
}

static void tlfs_f_unknown_msrs(struct test *t)
{
	static const uint32_t unknown[] = {
		0x40000004, 0x4000000F, 0x40000011, 0x40000024, 0x40000074, 0x40000085, 0x400000A0,
		0x400000B8, 0x40000109, 0x40000119, 0x4000FFFF, 0x12345678, 0xC0010000};
	struct rig r;
	uint64_t value;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		rig_forget(&r, 0);
		EXPECT_EQ(t, rig_rdmsr(&r, 0, unknown[i], &value), X86_EXC_GP);
		EXPECT_EQ(t, rig_wrmsr(&r, 0, unknown[i], 0), X86_EXC_GP);
		EXPECT_EQ(t, r.fake[0]->events[0].error, 0);
		EXPECT(t, r.fake[0]->events[0].has_error);
	}
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyUnimplementedMsrAction, 1),
		  HV_STATUS_SUCCESS);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		rig_forget(&r, 0);
		EXPECT_EQ(t, rig_wrmsr(&r, 0, unknown[i], 5), RIG_OK);
		EXPECT_EQ(t, rig_rdmsr(&r, 0, unknown[i], &value), RIG_OK);
		EXPECT_EQ(t, value, 0);
	}
	/* Known ones keep their rules. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_INDEX, 0), X86_EXC_GP);
	rig_fini(&r);
}

static void tlfs_f_msr_values(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 3});
	for (uint32_t vp = 0; vp < 3; vp++) {
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_VP_INDEX), vp);
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_SVERSION), 1);
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_SCONTROL), 0);
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_SIMP), 0);
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_SIEFP), 0);
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_EOM), 0);
		EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_RESET), 0);
		for (uint32_t i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
			EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_SINT0 + i), HV_SINT_MASKED);
		}
		for (uint32_t i = 0; i < 2 * HV_SYNIC_STIMER_COUNT; i++) {
			EXPECT_EQ(t, rig_msr(&r, vp, HV_X64_MSR_STIMER0_CONFIG + i), 0);
		}
	}
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_TSC_FREQUENCY), RIG_TSC_HZ);
	EXPECT(t, rig_msr(&r, 0, HV_X64_MSR_APIC_FREQUENCY) != 0);
	/* Partition-wide ones are seen by all. */
	EXPECT_EQ(t, rig_wrmsr(&r, 2, HV_X64_MSR_CRASH_P3, 0xABC), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 1, HV_X64_MSR_CRASH_P3), 0xABC);
	EXPECT_EQ(t, rig_msr(&r, 1, HV_X64_MSR_GUEST_OS_ID),
		  rig_msr(&r, 0, HV_X64_MSR_GUEST_OS_ID));
	rig_fini(&r);
}

static void tlfs_f_reenlightenment_and_invariant_tsc(struct test *t)
{
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_REENLIGHTENMENT_CONTROL, UINT64_C(0x1000100EE)),
		  RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_REENLIGHTENMENT_CONTROL), UINT64_C(0x1000100EE));
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TSC_EMULATION_CONTROL, 1), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_TSC_EMULATION_CONTROL), 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TSC_EMULATION_STATUS, 0), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TSC_EMULATION_STATUS, 1), X86_EXC_GP);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_TSC_EMULATION_STATUS), 0);
	rig_cpuid(&r, 0, 0x80000007, 0, regs);
	EXPECT_EQ(t, regs[3] & 0x100, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TSC_INVARIANT_CONTROL, 2), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_TSC_INVARIANT_CONTROL, 1), RIG_OK);
	rig_cpuid(&r, 0, 0x80000007, 0, regs);
	EXPECT_EQ(t, regs[3] & 0x100, 0x100);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_4_early_properties),	TEST(tlfs_4_property_ranges),
		TEST(tlfs_4_property_defaults), TEST(tlfs_4_2_privileges_that_cannot_be_given),
		TEST(tlfs_f_msr_access),	TEST(tlfs_4_2_msr_privileges),
		TEST(tlfs_4_2_call_privileges), TEST(tlfs_f_unknown_msrs),
		TEST(tlfs_f_msr_values),	TEST(tlfs_f_reenlightenment_and_invariant_tsc),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
