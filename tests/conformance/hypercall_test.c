// SPDX-License-Identifier: Apache-2.0
/* The hypercall page and the calling convention. TLFS 3. */
#include "rig.h"

#define IDLE_CODE 0x0001u /* SwitchVirtualAddressSpace: not implemented */
#define SPIN HvCallNotifyLongSpinWait
#define GUEST_CALLS 14u
#define PARENT_CALLS 27u
#define OTHER_OS UINT64_C(0x8100060100000000)

static uint64_t control(unsigned code, unsigned count, unsigned start)
{
	return hv_hypercall_control(code, count) | (uint64_t)start << HV_HYPERCALL_REP_START_SHIFT;
}

/* ---- 3.13: establishing the interface ---- */

static void tlfs_3_13_page_contents(struct test *t)
{
	static const uint8_t code[] = {0x0F, 0x01, 0xC1, 0xC3};
	const uint8_t *page;
	struct rig r;

	rig_init(&r, NULL);
	page = rig_seen(&r, RIG_HYPERCALL_GPA);
	EXPECT_MEM(t, page, code, sizeof(code));
	for (unsigned i = sizeof(code); i < HV_PAGE_SIZE; i++) {
		if (page[i] != 0xCC) {
			test_fail(t, __FILE__, __LINE__, "byte %u is %02x", i, page[i]);
			break;
		}
	}
	EXPECT_EQ(t,
		  gmem_entry(hv_partition_gmem(r.partition), RIG_HYPERCALL_GPA >> 12) & GMEM_RIGHTS,
		  GMEM_R | GMEM_X);
	rig_fini(&r);
}

static void tlfs_3_13_guest_os_id_gates_the_page(struct test *t)
{
	uint64_t result;
	struct rig r;

	rig_init(&r, &(struct rig_options){.no_hypercall_page = true});
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_GUEST_OS_ID), 0);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL), 0);
	/* Without an identity the enable bit does not stick, and there is no fault. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, RIG_HYPERCALL_GPA | 1), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL) & 1, 0);
	EXPECT(t, rig_seen(&r, RIG_HYPERCALL_GPA) == r.ram + RIG_HYPERCALL_GPA);
	EXPECT_EQ(t, rig_call_raw(&r, 0, SPIN, 0, 0, &result), X86_EXC_UD);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_GUEST_OS_ID, OTHER_OS), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_GUEST_OS_ID), OTHER_OS);
	EXPECT_EQ(t, rig_property_get(&r, HvPartitionPropertyGuestOsId), OTHER_OS);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, RIG_HYPERCALL_GPA | 1), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL), RIG_HYPERCALL_GPA | 1);
	EXPECT_EQ(t, rig_call_status(&r, 0, SPIN, "\0\0\0\0\0\0\0", 8), HV_STATUS_SUCCESS);
	/* Identity 0 takes the page away again. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_GUEST_OS_ID, 0), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL) & 1, 0);
	EXPECT(t, rig_seen(&r, RIG_HYPERCALL_GPA) == r.ram + RIG_HYPERCALL_GPA);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_call_raw(&r, 0, SPIN, 0, 0, &result), X86_EXC_UD);
	rig_fini(&r);
}

static void tlfs_3_13_disable_and_move(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	memset(r.ram + RIG_HYPERCALL_GPA, 0x11, HV_PAGE_SIZE);
	memset(r.ram + 0x9000, 0x22, HV_PAGE_SIZE);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, RIG_HYPERCALL_GPA), 0x0F);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, 0x9000 | 1), RIG_OK);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, RIG_HYPERCALL_GPA), 0x11);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, 0x9000), 0x0F);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, 0x9000), RIG_OK);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, 0x9000), 0x22);
	rig_fini(&r);
}

static void tlfs_3_13_bad_page_numbers_and_lock(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, UINT64_C(1) << 40 | 1), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, UINT64_C(1) << 63 | 1), X86_EXC_GP);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL), RIG_HYPERCALL_GPA | 1);
	/* Bits 11:2 are the guest's. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, RIG_HYPERCALL_GPA | 0xA5D), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL), RIG_HYPERCALL_GPA | 0xA5D);
	/* A page where nothing is mapped is shown all the same. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, 0xA00000 | 1), RIG_OK);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, 0xA00000), 0x0F);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, RIG_HYPERCALL_GPA | 3), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL), RIG_HYPERCALL_GPA | 3);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, RIG_HYPERCALL_GPA | 1), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_HYPERCALL, 0), X86_EXC_GP);
	EXPECT_EQ(t, rig_msr(&r, 0, HV_X64_MSR_HYPERCALL), RIG_HYPERCALL_GPA | 3);
	rig_fini(&r);
}

static void tlfs_3_13_writes_to_the_page_fault(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_write(&r, 0, RIG_HYPERCALL_GPA, 4, 0), X86_EXC_GP);
	EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, RIG_HYPERCALL_GPA), 0x0F);
	rig_fini(&r);
}

/* ---- 3.5: legal environments ---- */

static void tlfs_3_5_illegal_callers(struct test *t)
{
	struct hv_x64_segment_register ring3 = {
		.limit = UINT32_MAX, .selector = 0x2B, .attributes = 0xC0F3};
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	memcpy(fake_reg(r.fake[0], HvX64RegisterSs), &ring3, sizeof(ring3));
	EXPECT_EQ(t, rig_call_raw(&r, 0, SPIN | HV_HYPERCALL_FAST, 0, 0, &result), X86_EXC_UD);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRip)->lo, r.fake[0]->last_rip);
	EXPECT_EQ(t, result, UINT64_C(0xDEADDEADDEADDEAD));
	rig_mode64(&r, 0);
	rig_forget(&r, 0);
	/* Real mode. */
	fake_reg(r.fake[0], HvX64RegisterCr0)->lo = X86_CR0_ET;
	fake_reg(r.fake[0], HvX64RegisterEfer)->lo = 0;
	EXPECT_EQ(t, rig_call_raw(&r, 0, SPIN | HV_HYPERCALL_FAST, 0, 0, &result), X86_EXC_UD);
	/* Virtual-8086 mode. */
	rig_mode32(&r, 0);
	rig_forget(&r, 0);
	fake_reg(r.fake[0], HvX64RegisterRflags)->lo |= X86_VM;
	EXPECT_EQ(t, rig_call_raw(&r, 0, SPIN | HV_HYPERCALL_FAST, 0, 0, &result), X86_EXC_UD);
	EXPECT_EQ(t, r.fake[0]->completions, 2); /* the two MSR writes of the fixture */
	rig_fini(&r);
}

/* ---- 3.7: control word ---- */

static void tlfs_3_7_control_word(struct test *t)
{
	static const struct {
		uint64_t control;
		uint16_t status;
	} rows[] = {
		{SPIN, HV_STATUS_SUCCESS},
		{SPIN | UINT64_C(1) << 27, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 28, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 29, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 30, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 31, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 44, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 47, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 60, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 63, HV_STATUS_INVALID_HYPERCALL_INPUT},
		/* rep count, rep start, variable header on a simple call */
		{SPIN | UINT64_C(1) << 32, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 48, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{SPIN | UINT64_C(1) << 17, HV_STATUS_INVALID_HYPERCALL_INPUT},
		/* a rep call without count, or that is done already */
		{HvCallFlushVirtualAddressList, HV_STATUS_INVALID_HYPERCALL_INPUT},
		{HvCallFlushVirtualAddressList | UINT64_C(2) << 32 | UINT64_C(2) << 48,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		{HvCallFlushVirtualAddressList | UINT64_C(2) << 32 | UINT64_C(3) << 48,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		/* unknown codes, also with other things wrong */
		{0x0000, HV_STATUS_INVALID_HYPERCALL_CODE},
		{IDLE_CODE, HV_STATUS_INVALID_HYPERCALL_CODE},
		{0x0057, HV_STATUS_INVALID_HYPERCALL_CODE},
		{0x8001, HV_STATUS_INVALID_HYPERCALL_CODE},
		{0xFFFF, HV_STATUS_INVALID_HYPERCALL_CODE},
		{0xFFFF | HV_HYPERCALL_FAST, HV_STATUS_INVALID_HYPERCALL_CODE},
	};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t result = rig_call(&r, 0, rows[i].control, "\0\0\0\0\0\0\0", 8);

		if (result != rows[i].status) {
			test_fail(t, __FILE__, __LINE__, "control 0x%" PRIx64 " gave 0x%" PRIx64,
				  rows[i].control, result);
		}
	}
	rig_fini(&r);
}

/* Every code that the hypervisor does not know, in all 64 Ki. */
static void tlfs_3_unknown_codes(struct test *t)
{
	unsigned known = 0;
	struct rig r;

	rig_init(&r, NULL);
	for (unsigned code = 0; code < 0x10000; code++) {
		/* bits that no call takes: known codes refuse them, unknown ones are refused for the same reason or as unknown */
		uint64_t result =
			rig_call(&r, 0, code | HV_HYPERCALL_FAST | UINT64_C(1) << 48, NULL, 0);

		known += result != HV_STATUS_INVALID_HYPERCALL_CODE;
	}
	EXPECT_EQ(t, known, GUEST_CALLS + PARENT_CALLS);
	rig_fini(&r);
}

static void tlfs_3_parents_calls_are_denied(struct test *t)
{
	static const unsigned codes[] = {
		HvCallCreatePartition,
		HvCallInitializePartition,
		HvCallFinalizePartition,
		HvCallDeletePartition,
		HvCallGetPartitionProperty,
		HvCallSetPartitionProperty,
		HvCallGetNextChildPartition,
		HvCallDepositMemory,
		HvCallWithdrawMemory,
		HvCallGetMemoryBalance,
		HvCallMapGpaPages,
		HvCallUnmapGpaPages,
		HvCallInstallIntercept,
		HvCallCreateVp,
		HvCallDeleteVp,
		HvCallTranslateVirtualAddress,
		HvCallReadGpa,
		HvCallWriteGpa,
		HvCallDeletePort,
		HvCallDisconnectPort,
		HvCallModifySparseGpaPages,
		HvCallGetGpaPagesAccessState,
		HvCallAssertVirtualInterrupt,
		HvCallCreatePort,
		HvCallConnectPort,
		HvCallSignalEventDirect,
		HvCallPostMessageDirect,
	};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		EXPECT_EQ(t, rig_call(&r, 0, codes[i], NULL, 0), HV_STATUS_ACCESS_DENIED);
		EXPECT_EQ(t, rig_call(&r, 0, control(codes[i], 1, 0) | HV_HYPERCALL_FAST, NULL, 0),
			  HV_STATUS_ACCESS_DENIED);
	}
	rig_fini(&r);
}

/* ---- 3.6: where parameters lie ---- */

static void tlfs_3_6_parameter_addresses(struct test *t)
{
	static const struct {
		const char *what;
		unsigned code;
		uint64_t in;
		uint64_t out;
		uint16_t status;
	} rows[] = {
		{"plain", HvCallSendSyntheticClusterIpi, RIG_INPUT_GPA, 0,
		 HV_STATUS_INVALID_PARAMETER},
		{"unaligned", HvCallSendSyntheticClusterIpi, RIG_INPUT_GPA + 4, 0,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"unaligned by 1", HvCallSendSyntheticClusterIpi, RIG_INPUT_GPA + 1, 0,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"crosses", HvCallSendSyntheticClusterIpi, RIG_INPUT_GPA + 0xFF8, 0,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"ends at the end", HvCallSendSyntheticClusterIpi, RIG_INPUT_GPA + 0xFF0, 0,
		 HV_STATUS_INVALID_PARAMETER},
		{"beyond the space", HvCallSendSyntheticClusterIpi, UINT64_C(1) << 40, 0,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"far beyond", HvCallSendSyntheticClusterIpi, UINT64_C(0xFFFFFFFFFFFFF000), 0,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"unused input is ignored", HvCallGetPartitionId, UINT64_MAX, RIG_OUTPUT_GPA,
		 HV_STATUS_SUCCESS},
		{"unused output is ignored", SPIN, RIG_INPUT_GPA, UINT64_MAX, HV_STATUS_SUCCESS},
		{"output unaligned", HvCallGetPartitionId, 0, RIG_OUTPUT_GPA + 2,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"output at the end", HvCallGetPartitionId, 0, RIG_OUTPUT_GPA + 0xFF8,
		 HV_STATUS_SUCCESS},
		{"output beyond", HvCallGetPartitionId, 0, UINT64_C(1) << 52,
		 HV_STATUS_INVALID_ALIGNMENT},
		{"input on an overlay", SPIN, RIG_HYPERCALL_GPA, 0, HV_STATUS_INVALID_PARAMETER},
		{"output on an overlay", HvCallGetPartitionId, 0, RIG_HYPERCALL_GPA,
		 HV_STATUS_INVALID_PARAMETER},
		{"input unmapped", SPIN, 0x900000, 0, HV_STATUS_INVALID_PARAMETER},
		{"output read-only", HvCallGetPartitionId, 0, 0x30000, HV_STATUS_INVALID_PARAMETER},
		{"output unmapped", HvCallGetPartitionId, 0, 0x900000, HV_STATUS_INVALID_PARAMETER},
	};
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_map(&r, 0x30000, r.ram, 1, HV_MAP_GPA_READABLE), HV_STATUS_SUCCESS);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t result;

		EXPECT_EQ(t, rig_call_raw(&r, 0, rows[i].code, rows[i].in, rows[i].out, &result),
			  RIG_OK);
		if (result != rows[i].status) {
			test_fail(t, __FILE__, __LINE__, "%s: 0x%" PRIx64, rows[i].what, result);
		}
	}
	rig_fini(&r);
}

static void tlfs_3_6_input_and_output_must_not_overlap(struct test *t)
{
	const struct {
		struct hv_input_vp head;
		uint32_t name;
	} in = {{HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF, 0, {0}}, HvX64RegisterRbx};
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	memcpy(r.ram + RIG_INPUT_GPA, &in, 20);
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallGetVpRegisters, 1, 0), RIG_INPUT_GPA,
			       RIG_INPUT_GPA + 16, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallGetVpRegisters, 1, 0), RIG_INPUT_GPA,
			       RIG_INPUT_GPA + 24, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, UINT64_C(1) << 32);
	rig_fini(&r);
}

static void tlfs_3_8_failed_call_writes_no_output(struct test *t)
{
	uint64_t result;
	struct rig r;

	rig_init(&r, &(struct rig_options){.privileges = RIG_PRIVILEGES_ALL &
							 ~HV_PRIVILEGE_AccessPartitionId});
	memset(r.ram + RIG_OUTPUT_GPA, 0x77, 16);
	EXPECT_EQ(t, rig_call_raw(&r, 0, HvCallGetPartitionId, 0, RIG_OUTPUT_GPA, &result), RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_ACCESS_DENIED);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), UINT64_C(0x7777777777777777));
	rig_fini(&r);
}

static void tlfs_3_8_output_marks_the_page_dirty(struct test *t)
{
	uint64_t bitmap = 0, result;
	struct rig r;

	rig_init(&r, NULL);
	gmem_dirty_take(hv_partition_gmem(r.partition), RIG_OUTPUT_GPA >> 12, 1, &bitmap);
	EXPECT_EQ(t, rig_call_raw(&r, 0, HvCallGetPartitionId, 0, RIG_OUTPUT_GPA, &result), RIG_OK);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), r.id);
	bitmap = 0;
	gmem_dirty_take(hv_partition_gmem(r.partition), RIG_OUTPUT_GPA >> 12, 1, &bitmap);
	EXPECT_EQ(t, bitmap & 1, 1);
	rig_fini(&r);
}

/* Only RAX changes, RIP moves past the instruction. */
static void tlfs_3_5_registers_that_change(struct test *t)
{
	struct hv_u128 before[16], after[16];
	uint64_t rip, result;
	struct rig r;

	rig_init(&r, NULL);
	for (uint32_t i = 0; i < 16; i++) {
		fake_reg(r.fake[0], HvX64RegisterRax + i)->lo = 0x1111 * i;
	}
	fake_reg(r.fake[0], HvX64RegisterRcx)->lo = SPIN | HV_HYPERCALL_FAST;
	rip = fake_reg(r.fake[0], HvX64RegisterRip)->lo;
	memcpy(before, fake_reg(r.fake[0], HvX64RegisterRax), sizeof(before));
	before[1].lo = SPIN | HV_HYPERCALL_FAST;
	before[2].lo = 0;
	before[8].lo = 0;
	EXPECT_EQ(t, rig_call_raw(&r, 0, SPIN | HV_HYPERCALL_FAST, 0, 0, &result), RIG_OK);
	memcpy(after, fake_reg(r.fake[0], HvX64RegisterRax), sizeof(after));
	EXPECT_EQ(t, after[0].lo, HV_STATUS_SUCCESS);
	EXPECT_MEM(t, &after[1], &before[1], sizeof(after) - sizeof(after[0]));
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRip)->lo, rip + 3);
	rig_fini(&r);
}

/* ---- 3.9: fast calls ---- */

static uint64_t fast(struct test *t, struct rig *r, uint64_t word, uint64_t p1, uint64_t p2)
{
	uint64_t result = 0;

	EXPECT_EQ(t, rig_call_raw(r, 0, word | HV_HYPERCALL_FAST, p1, p2, &result), RIG_OK);
	return result;
}

static void tlfs_3_9_fast_input(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	rig_apic_write(&r, 1, 0xF0, 0x1FF);
	EXPECT_EQ(t, fast(t, &r, HvCallSendSyntheticClusterIpi, 0x55, 2), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 1, 0x55));
	rig_fini(&r);
}

static void tlfs_3_9_xmm_fast_input(struct test *t)
{
	struct rig r;

	/* FlushVirtualAddressSpace: 24 bytes of input are RDX, R8, XMM0 low. */
	rig_init(&r, &(struct rig_options){.vps = 2});
	*fake_reg(r.fake[0], HvX64RegisterXmm0) = (struct hv_u128){2, 0};
	EXPECT_EQ(t, fast(t, &r, HvCallFlushVirtualAddressSpace, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.fake[1]->flush_all_count, 1);
	EXPECT_EQ(t, r.fake[0]->flush_all_count, 0);
	rig_fini(&r);
}

static void tlfs_3_9_xmm_fast_rep_input(struct test *t)
{
	struct rig r;

	/* 24 bytes and 11 elements fill all seven pairs; a twelfth does not fit. */
	rig_init(&r, NULL);
	*fake_reg(r.fake[0], HvX64RegisterXmm0) = (struct hv_u128){1, 0x10000};
	for (uint32_t i = 1; i < 6; i++) {
		*fake_reg(r.fake[0], HvX64RegisterXmm0 + i) =
			(struct hv_u128){0x20000 * i, 0x20000 * i + 0x10000};
	}
	EXPECT_EQ(t, fast(t, &r, control(HvCallFlushVirtualAddressList, 11, 0), 0, 0),
		  UINT64_C(11) << 32);
	EXPECT_EQ(t, r.fake[0]->flush_page_count, 11);
	for (unsigned i = 0; i < 11; i++) {
		EXPECT_EQ(t, r.fake[0]->flush_pages[i], 0x10000 * (i + 1));
	}
	EXPECT_EQ(t, fast(t, &r, control(HvCallFlushVirtualAddressList, 12, 0), 0, 0),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t, r.fake[0]->flush_page_count, 11);
	rig_fini(&r);
}

static void tlfs_3_9_too_much_for_registers(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, fast(t, &r, HvCallPostMessage, 0, 0), HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t, fast(t, &r, HvCallStartVirtualProcessor, 0, 0),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	rig_fini(&r);
}

static void tlfs_3_12_fast_output(struct test *t)
{
	uint64_t result;
	struct rig r;

	/* No input: the output starts in the first pair. */
	rig_init(&r, NULL);
	EXPECT_EQ(t, fast(t, &r, HvCallGetPartitionId, 0x1234, 0x5678), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRdx)->lo, r.id);
	/* 16 + 8 bytes of input fill two pairs; two registers come out in XMM1 and XMM2. */
	fake_reg(r.fake[0], HvX64RegisterRbx)->lo = UINT64_C(0x1122334455667788);
	*fake_reg(r.fake[0], HvX64RegisterXmm0) =
		(struct hv_u128){(uint64_t)HvX64RegisterRsi << 32 | HvX64RegisterRbx, 0};
	fake_reg(r.fake[0], HvX64RegisterRsi)->lo = 0x99;
	EXPECT_EQ(t,
		  fast(t, &r, control(HvCallGetVpRegisters, 2, 0), HV_PARTITION_ID_SELF,
		       HV_VP_INDEX_SELF),
		  UINT64_C(2) << 32);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterXmm1)->lo, UINT64_C(0x1122334455667788));
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterXmm2)->lo, 0x99);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterXmm3)->lo, 0);
	/* Six registers after 40 bytes of input are more than the four pairs that are left. */
	EXPECT_EQ(t,
		  fast(t, &r, control(HvCallGetVpRegisters, 6, 0), HV_PARTITION_ID_SELF,
		       HV_VP_INDEX_SELF),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	rig_fini(&r);
	rig_init(&r, &(struct rig_options){.privileges = RIG_PRIVILEGES_ALL &
							 ~HV_PRIVILEGE_FastHypercallOutput});
	EXPECT_EQ(t, rig_call_raw(&r, 0, HvCallGetPartitionId | HV_HYPERCALL_FAST, 0, 0, &result),
		  X86_EXC_UD);
	rig_fini(&r);
}

/* ---- 32-bit callers ---- */

static void tlfs_3_7_32_bit_callers(struct test *t)
{
	uint64_t result;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	rig_apic_write(&r, 1, 0xF0, 0x1FF);
	rig_mode32(&r, 0);
	fake_reg(r.fake[0], HvX64RegisterRbp)->lo = 0xB0B;
	EXPECT_EQ(t,
		  rig_call32(&r, 0, HvCallSendSyntheticClusterIpi | HV_HYPERCALL_FAST, 0x66, 2,
			     &result),
		  RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 1, 0x66));
	/* Rep count in EDX, parameters by GPA in EBX:ECX and EDI:ESI. */
	memset(r.ram + RIG_INPUT_GPA, 0, 64);
	store_le64(r.ram + RIG_INPUT_GPA + 8, HV_FLUSH_ALL_PROCESSORS);
	store_le64(r.ram + RIG_INPUT_GPA + 24, 0x7000);
	store_le64(r.ram + RIG_INPUT_GPA + 32, 0x9000);
	EXPECT_EQ(t,
		  rig_call32(&r, 0, control(HvCallFlushVirtualAddressList, 2, 0), RIG_INPUT_GPA, 0,
			     &result),
		  RIG_OK);
	EXPECT_EQ(t, result, UINT64_C(2) << 32);
	EXPECT_EQ(t, r.fake[1]->flush_page_count, 2);
	EXPECT_EQ(t, rig_call32(&r, 0, HvCallGetPartitionId, 0, RIG_OUTPUT_GPA, &result), RIG_OK);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), r.id);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRbp)->lo, 0xB0B);
	/* Upper halves of registers are not looked at. */
	fake_reg(r.fake[0], HvX64RegisterRax)->lo = UINT64_C(0xFFFFFFFF00000000);
	EXPECT_EQ(t, rig_call32(&r, 0, 0xFFFF, 0, 0, &result), RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_INVALID_HYPERCALL_CODE);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRax)->lo, HV_STATUS_INVALID_HYPERCALL_CODE);
	rig_fini(&r);
}

/* Compatibility mode under a 64-bit system calls like 32-bit code: CS.L decides. */
static void tlfs_3_7_compatibility_mode(struct test *t)
{
	struct hv_x64_segment_register cs = {
		.limit = UINT32_MAX, .selector = 8, .attributes = 0xC09B};
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	memcpy(fake_reg(r.fake[0], HvX64RegisterCs), &cs, sizeof(cs));
	EXPECT_EQ(t, rig_call32(&r, 0, HvCallGetPartitionId, 0, RIG_OUTPUT_GPA, &result), RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_SUCCESS);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), r.id);
	rig_fini(&r);
}

/* ---- 3.3: continuation ---- */

static void tlfs_3_3_continuation(struct test *t)
{
	const unsigned count = 300;
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	memset(r.ram + RIG_INPUT_GPA, 0, HV_PAGE_SIZE);
	store_le64(r.ram + RIG_INPUT_GPA + 8, HV_FLUSH_ALL_PROCESSORS);
	for (unsigned i = 0; i < count; i++) {
		store_le64(r.ram + RIG_INPUT_GPA + 24 + 8 * i, (uint64_t)i << 12);
	}
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallFlushVirtualAddressList, count, 0),
			       RIG_INPUT_GPA, 0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, (uint64_t)count << 32);
	EXPECT_EQ(t, r.fake[0]->flush_page_count, count);
	EXPECT(t, r.fake[0]->retries > 0); /* gave way in between */
	/* The control register holds where the last entry began. */
	EXPECT_EQ(t, bits_get(fake_reg(r.fake[0], HvX64RegisterRcx)->lo, 32, 12), count);
	EXPECT(t, bits_get(fake_reg(r.fake[0], HvX64RegisterRcx)->lo, 48, 12) > 0);
	/* A start index given by the caller leaves out what lies before; the count of the result is absolute. */
	r.fake[0]->flush_page_count = 0;
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallFlushVirtualAddressList, count, count - 2),
			       RIG_INPUT_GPA, 0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, (uint64_t)count << 32);
	EXPECT_EQ(t, r.fake[0]->flush_page_count, 2);
	EXPECT_EQ(t, r.fake[0]->flush_pages[0], (uint64_t)(count - 2) << 12);
	rig_fini(&r);
}

static void tlfs_3_3_interrupts_come_in_between(struct test *t)
{
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	memset(r.ram + RIG_INPUT_GPA, 0, HV_PAGE_SIZE);
	store_le64(r.ram + RIG_INPUT_GPA + 8, HV_FLUSH_ALL_PROCESSORS);
	/* The interrupt is there before the call; STI's shadow holds it off until the second entry. */
	r.fake[0]->shadow = true;
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallFlushVirtualAddressList, 200, 0), RIG_INPUT_GPA,
			       0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, UINT64_C(200) << 32);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	rig_fini(&r);
}

static void tlfs_3_3_continuation_of_32_bit_callers(struct test *t)
{
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	rig_mode32(&r, 0);
	memset(r.ram + RIG_INPUT_GPA, 0, HV_PAGE_SIZE);
	store_le64(r.ram + RIG_INPUT_GPA + 8, HV_FLUSH_ALL_PROCESSORS);
	EXPECT_EQ(t,
		  rig_call32(&r, 0, control(HvCallFlushVirtualAddressList, 500, 0), RIG_INPUT_GPA,
			     0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, UINT64_C(500) << 32);
	EXPECT_EQ(t, r.fake[0]->flush_page_count, 500);
	rig_fini(&r);
}

/* Reps that were done before the failing one count, and their output is there. */
static void tlfs_3_3_error_in_the_middle(struct test *t)
{
	const struct {
		struct hv_input_vp head;
		uint32_t names[4];
	} in = {{HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF, 0, {0}},
		{HvX64RegisterRbp, HvX64RegisterRbx, 0x7FFFFFFF, HvX64RegisterRbp}};
	struct rig r;

	rig_init(&r, NULL);
	fake_reg(r.fake[0], HvX64RegisterRbp)->lo = 0xAB;
	fake_reg(r.fake[0], HvX64RegisterRbx)->lo = 0xCD;
	memset(r.ram + RIG_OUTPUT_GPA, 0x77, 64);
	EXPECT_EQ(t, rig_call(&r, 0, control(HvCallGetVpRegisters, 4, 0), &in, sizeof(in)),
		  UINT64_C(2) << 32 | HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA), 0xAB);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA + 16), 0xCD);
	EXPECT_EQ(t, load_le64(r.ram + RIG_OUTPUT_GPA + 48), UINT64_C(0x7777777777777777));
	rig_fini(&r);
}

static void tlfs_3_rep_list_must_fit_a_page(struct test *t)
{
	uint64_t result;
	struct rig r;

	rig_init(&r, NULL);
	memset(r.ram + RIG_INPUT_GPA, 0, HV_PAGE_SIZE);
	store_le64(r.ram + RIG_INPUT_GPA + 8, HV_FLUSH_ALL_PROCESSORS);
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallFlushVirtualAddressList, 509, 0), RIG_INPUT_GPA,
			       0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, UINT64_C(509) << 32);
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallFlushVirtualAddressList, 510, 0), RIG_INPUT_GPA,
			       0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_INVALID_ALIGNMENT);
	/* The whole list counts, even if only its end is left to do. */
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, control(HvCallFlushVirtualAddressList, 4095, 4094),
			       RIG_INPUT_GPA, 0, &result),
		  RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_INVALID_ALIGNMENT);
	rig_fini(&r);
}

static void tlfs_3_root_calls(struct test *t)
{
	uint64_t in[600] = {0}, out[8];
	struct rig r;

	rig_init(&r, NULL);
	in[0] = r.id;
	EXPECT_EQ(t, rig_root_raw(&r, 0xFFFF, in, 8, out, 8), HV_STATUS_INVALID_HYPERCALL_CODE);
	EXPECT_EQ(t, rig_root_raw(&r, HvCallGetPartitionId, NULL, 0, out, 8), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, out[0], HV_ROOT_PARTITION_ID);
	EXPECT_EQ(t, hv_root_hypercall(r.hv, HvCallGetPartitionId, NULL, NULL),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t, hv_root_hypercall(r.hv, HvCallInitializePartition, NULL, NULL),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t, hv_root_hypercall(r.hv, HvCallInitializePartition, (uint8_t *)in + 4, NULL),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t,
		  rig_root_raw(&r, HvCallInitializePartition | HV_HYPERCALL_FAST, in, 8, NULL, 0),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t, rig_root_raw(&r, control(HvCallDepositMemory, 600, 0), in, 16, NULL, 0),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	EXPECT_EQ(t, rig_root_raw(&r, control(HvCallInitializePartition, 1, 0), in, 16, NULL, 0),
		  HV_STATUS_INVALID_HYPERCALL_INPUT);
	/* The root has no VPs here: calls that mean "my own processors" reach nobody. */
	EXPECT_EQ(
		t,
		rig_root_raw(&r, HvCallSendSyntheticClusterIpi, (uint64_t[]){0x40, 1}, 16, NULL, 0),
		HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* Calls are counted by code and exits by VP and kind, for the person who asks what the guest does. */
static void statistics_of_calls(struct test *t)
{
	struct hv_vp_stats one;
	struct hv_stats stats;
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	rig_call(&r, 0, SPIN | HV_HYPERCALL_FAST, NULL, 0);
	rig_call(&r, 0, SPIN | HV_HYPERCALL_FAST, NULL, 0);
	rig_call(&r, 0, 0x9999, NULL, 0);
	hv_partition_stats(r.partition, &stats);
	EXPECT_EQ(t, stats.hypercalls[SPIN], 2);
	EXPECT_EQ(t, stats.hypercalls[HV_STATS_CALLS - 1], 1);
	EXPECT_EQ(t, stats.exits[HV_EXIT_HYPERCALL], 3);
	EXPECT_EQ(t, stats.exits[HV_EXIT_MSR], 2);
	hv_vp_stats(r.vp[1], &one);
	EXPECT_EQ(t, one.exits[HV_EXIT_HYPERCALL], 0);
	rig_call(&r, 1, SPIN | HV_HYPERCALL_FAST, NULL, 0);
	rig_halt(&r, 1);
	hv_vp_stats(r.vp[0], &one);
	EXPECT_EQ(t, one.exits[HV_EXIT_HYPERCALL], 3);
	EXPECT_EQ(t, one.exits[HV_EXIT_HALT], 0);
	hv_vp_stats(r.vp[1], &one);
	EXPECT_EQ(t, one.exits[HV_EXIT_HYPERCALL], 1);
	EXPECT_EQ(t, one.exits[HV_EXIT_HALT], 1);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_3_13_page_contents),
		TEST(tlfs_3_13_guest_os_id_gates_the_page),
		TEST(tlfs_3_13_disable_and_move),
		TEST(tlfs_3_13_bad_page_numbers_and_lock),
		TEST(tlfs_3_13_writes_to_the_page_fault),
		TEST(tlfs_3_5_illegal_callers),
		TEST(tlfs_3_7_control_word),
		TEST(tlfs_3_unknown_codes),
		TEST(tlfs_3_parents_calls_are_denied),
		TEST(tlfs_3_6_parameter_addresses),
		TEST(tlfs_3_6_input_and_output_must_not_overlap),
		TEST(tlfs_3_8_failed_call_writes_no_output),
		TEST(tlfs_3_8_output_marks_the_page_dirty),
		TEST(tlfs_3_5_registers_that_change),
		TEST(tlfs_3_9_fast_input),
		TEST(tlfs_3_9_xmm_fast_input),
		TEST(tlfs_3_9_xmm_fast_rep_input),
		TEST(tlfs_3_9_too_much_for_registers),
		TEST(tlfs_3_12_fast_output),
		TEST(tlfs_3_7_32_bit_callers),
		TEST(tlfs_3_7_compatibility_mode),
		TEST(tlfs_3_3_continuation),
		TEST(tlfs_3_3_interrupts_come_in_between),
		TEST(tlfs_3_3_continuation_of_32_bit_callers),
		TEST(tlfs_3_3_error_in_the_middle),
		TEST(tlfs_3_rep_list_must_fit_a_page),
		TEST(tlfs_3_root_calls),
		TEST(statistics_of_calls),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
