// SPDX-License-Identifier: Apache-2.0
/* Partition life cycle, memory pools and GPA space, with the error conditions of every call. TLFS 4 (partitions), 5 (GPA spaces). */
#include "rig.h"

#define UNKNOWN_PARTITION UINT64_C(0x7777)
#define RWX 0xFu

static uint16_t by_id(struct rig *r, unsigned code, uint64_t id)
{
	return rig_root(r, code, &id, 8, NULL, 0);
}

static uint64_t create(struct test *t, struct rig *r)
{
	const struct hv_input_create_partition in = {0};
	uint64_t id = 0;

	EXPECT_EQ(t, rig_root(r, HvCallCreatePartition, &in, sizeof(in), &id, 8),
		  HV_STATUS_SUCCESS);
	return id;
}

static void drain(struct test *t, struct rig *r, uint64_t id)
{
	const uint64_t in[2] = {id, 0};
	uint64_t out[512], result;

	do {
		result = rig_root_raw(r, hv_hypercall_control(HvCallWithdrawMemory, 512), in,
				      sizeof(in), out, sizeof(out));
	} while (hv_result_status(result) == HV_STATUS_SUCCESS);
	EXPECT_EQ(t, hv_result_status(result), HV_STATUS_NO_RESOURCES);
}

static void tlfs_4_life_cycle(struct test *t)
{
	struct rig r;
	uint64_t id;

	rig_init(&r, NULL);
	id = create(t, &r);
	EXPECT(t, id != HV_PARTITION_ID_INVALID && id != HV_PARTITION_ID_SELF && id != r.id);
	EXPECT(t, hv_root_partition(r.hv, id) != NULL);
	EXPECT_EQ(t, by_id(&r, HvCallFinalizePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	EXPECT_EQ(t, by_id(&r, HvCallInitializePartition, id), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, by_id(&r, HvCallInitializePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	EXPECT_EQ(t, by_id(&r, HvCallFinalizePartition, id), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, by_id(&r, HvCallFinalizePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	EXPECT_EQ(t, by_id(&r, HvCallInitializePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_OPERATION_DENIED);
	drain(t, &r, id);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_SUCCESS);
	EXPECT(t, hv_root_partition(r.hv, id) == NULL);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_INVALID_PARTITION_ID);
	rig_fini(&r);
}

static void tlfs_4_uninitialized_partition_can_be_deleted(struct test *t)
{
	struct rig r;
	uint64_t id;

	rig_init(&r, NULL);
	id = create(t, &r);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

static void tlfs_4_ids_are_not_reused(struct test *t)
{
	struct rig r;
	uint64_t first, second;

	rig_init(&r, NULL);
	first = create(t, &r);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, first), HV_STATUS_SUCCESS);
	second = create(t, &r);
	EXPECT(t, second != first);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, second), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

static void tlfs_4_calls_on_unknown_partitions(struct test *t)
{
	static const struct {
		unsigned code;
		unsigned reps;
		unsigned bytes;
	} calls[] = {
		{HvCallInitializePartition, 0, 8},
		{HvCallFinalizePartition, 0, 8},
		{HvCallDeletePartition, 0, 8},
		{HvCallGetPartitionProperty, 0, 16},
		{HvCallSetPartitionProperty, 0, 24},
		{HvCallDepositMemory, 1, 16},
		{HvCallWithdrawMemory, 1, 16},
		{HvCallGetMemoryBalance, 0, 16},
		{HvCallMapGpaPages, 1, 32},
		{HvCallUnmapGpaPages, 1, 24},
		{HvCallModifySparseGpaPages, 1, 24},
		{HvCallGetGpaPagesAccessState, 1, 24},
		{HvCallInstallIntercept, 0, 24},
		{HvCallCreateVp, 0, 40},
		{HvCallDeleteVp, 0, 16},
		{HvCallGetVpRegisters, 1, 20},
		{HvCallSetVpRegisters, 1, 48},
		{HvCallTranslateVirtualAddress, 0, 32},
		{HvCallReadGpa, 0, 32},
		{HvCallWriteGpa, 0, 48},
		{HvCallAssertVirtualInterrupt, 0, 32},
		{HvCallCreatePort, 0, 56},
		{HvCallDeletePort, 0, 16},
		{HvCallConnectPort, 0, 72},
		{HvCallDisconnectPort, 0, 16},
		{HvCallSignalEventDirect, 0, 16},
		{HvCallPostMessageDirect, 0, 280},
		{HvCallStartVirtualProcessor, 0, 240},
		{HvCallGetVpIndexFromApicId, 1, 20},
	};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		uint64_t in[64] = {UNKNOWN_PARTITION}, out[64];
		uint64_t result =
			rig_root_raw(&r, hv_hypercall_control(calls[i].code, calls[i].reps), in,
				     calls[i].bytes, out, sizeof(out));

		if (result != HV_STATUS_INVALID_PARTITION_ID) {
			test_fail(t, __FILE__, __LINE__, "call 0x%x gave 0x%" PRIx64, calls[i].code,
				  result);
		}
	}
	rig_fini(&r);
}

static void tlfs_4_next_child(struct test *t)
{
	struct rig r;
	uint64_t in[2], next = 0, second;

	rig_init(&r, NULL);
	second = create(t, &r);
	in[0] = HV_PARTITION_ID_SELF;
	in[1] = HV_PARTITION_ID_INVALID;
	EXPECT_EQ(t, rig_root(&r, HvCallGetNextChildPartition, in, 16, &next, 8),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, next, r.id);
	in[1] = next;
	EXPECT_EQ(t, rig_root(&r, HvCallGetNextChildPartition, in, 16, &next, 8),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, next, second);
	in[1] = next;
	EXPECT_EQ(t, rig_root(&r, HvCallGetNextChildPartition, in, 16, &next, 8),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, next, HV_PARTITION_ID_INVALID);
	in[0] = UNKNOWN_PARTITION;
	EXPECT_EQ(t, rig_root(&r, HvCallGetNextChildPartition, in, 16, &next, 8),
		  HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, second), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* Memory comes only from the pools: what is missing is told, nothing is half done. */
static void tlfs_4_out_of_pool_memory(struct test *t)
{
	const struct hv_input_create_vp vp = {0};
	struct hv_input_create_vp in = vp;
	uint64_t result;
	struct rig r;
	uint64_t id;

	rig_init(&r, NULL);
	id = create(t, &r);
	result = rig_root_raw(&r, HvCallInitializePartition, &id, 8, NULL, 0);
	EXPECT_EQ(t, result, HV_STATUS_INSUFFICIENT_MEMORY);
	EXPECT_EQ(t, r.machine.vms, 1);
	/* Page by page until it works: every point of failure is passed. */
	for (unsigned pages = 1; result == HV_STATUS_INSUFFICIENT_MEMORY && pages < 100; pages++) {
		rig_deposit(&r, id, 1);
		result = rig_root_raw(&r, HvCallInitializePartition, &id, 8, NULL, 0);
	}
	EXPECT_EQ(t, result, HV_STATUS_SUCCESS);
	in.partition_id = id;
	result = rig_root_raw(&r, HvCallCreateVp, &in, sizeof(in), NULL, 0);
	EXPECT_EQ(t, result, HV_STATUS_INSUFFICIENT_MEMORY);
	for (unsigned pages = 1; result == HV_STATUS_INSUFFICIENT_MEMORY && pages < 100; pages++) {
		EXPECT_EQ(t, r.machine.vps, 1);
		rig_deposit(&r, id, 1);
		result = rig_root_raw(&r, HvCallCreateVp, &in, sizeof(in), NULL, 0);
	}
	EXPECT_EQ(t, result, HV_STATUS_SUCCESS);
	rig_partition_delete(&r, id);
	rig_fini(&r);
}

static void tlfs_4_memory_balance(struct test *t)
{
	struct rig r;
	uint64_t id, in[2], before[2], after[2], page[1];

	rig_init(&r, NULL);
	id = create(t, &r);
	in[0] = id;
	in[1] = 0;
	EXPECT_EQ(t, rig_root(&r, HvCallGetMemoryBalance, in, 16, before, 16), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, before[0] + before[1], 0);
	rig_deposit(&r, id, 3);
	EXPECT_EQ(t, rig_root(&r, HvCallGetMemoryBalance, in, 16, after, 16), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, after[0], 3);
	EXPECT_EQ(t, after[1], 0);
	EXPECT_EQ(t,
		  rig_root_raw(&r, hv_hypercall_control(HvCallWithdrawMemory, 1), in, 16, page, 8),
		  UINT64_C(1) << 32);
	EXPECT(t, hv_host_page(page[0]) != NULL);
	drain(t, &r, id);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

static void tlfs_4_deposit_wants_real_pages(struct test *t)
{
	struct rig r;
	const uint64_t none = 0;
	uint64_t in[2];

	rig_init(&r, NULL);
	in[0] = r.id;
	in[1] = none;
	EXPECT_EQ(t,
		  rig_root_raw(&r, hv_hypercall_control(HvCallDepositMemory, 1), in, 16, NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	in[1] = UINT64_MAX;
	EXPECT_EQ(t,
		  rig_root_raw(&r, hv_hypercall_control(HvCallDepositMemory, 1), in, 16, NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

static void tlfs_4_create_reserved_fields(struct test *t)
{
	struct hv_input_create_partition in = {.padding = 1};
	struct rig r;
	uint64_t id;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_root(&r, HvCallCreatePartition, &in, sizeof(in), &id, 8),
		  HV_STATUS_INVALID_PARAMETER);
	in = (struct hv_input_create_partition){.isolation = 1};
	EXPECT_EQ(t, rig_root(&r, HvCallCreatePartition, &in, sizeof(in), &id, 8),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

/* Calls that need an active partition say so before and after its active life. */
static void tlfs_4_calls_need_an_active_partition(struct test *t)
{
	struct hv_input_create_vp vp = {0};
	struct hv_input_install_intercept intercept = {.access_type = 1};
	struct hv_input_assert_virtual_interrupt interrupt = {.requested_vector = 0x40};
	struct rig r;
	uint64_t id;

	rig_init(&r, NULL);
	id = create(t, &r);
	vp.partition_id = id;
	intercept.partition_id = id;
	interrupt.partition_id = id;
	for (int round = 0; round < 2; round++) {
		uint64_t map[4] = {id, 0, RWX, hv_host_spn(r.ram)};

		EXPECT_EQ(t, rig_root(&r, HvCallCreateVp, &vp, sizeof(vp), NULL, 0),
			  HV_STATUS_INVALID_PARTITION_STATE);
		EXPECT_EQ(t,
			  rig_root(&r, HvCallInstallIntercept, &intercept, sizeof(intercept), NULL,
				   0),
			  HV_STATUS_INVALID_PARTITION_STATE);
		EXPECT_EQ(t,
			  rig_root(&r, HvCallAssertVirtualInterrupt, &interrupt, sizeof(interrupt),
				   NULL, 0),
			  HV_STATUS_INVALID_PARTITION_STATE);
		EXPECT_EQ(t,
			  rig_root_full(&r, hv_hypercall_control(HvCallMapGpaPages, 1), map, 32,
					NULL, 0),
			  HV_STATUS_INVALID_PARTITION_STATE);
		EXPECT_EQ(t,
			  rig_root_full(&r, hv_hypercall_control(HvCallUnmapGpaPages, 1), map, 24,
					NULL, 0),
			  HV_STATUS_INVALID_PARTITION_STATE);
		if (round == 0) {
			EXPECT_EQ(t, by_id(&r, HvCallInitializePartition, id), HV_STATUS_SUCCESS);
			EXPECT_EQ(t, by_id(&r, HvCallFinalizePartition, id), HV_STATUS_SUCCESS);
		}
	}
	drain(t, &r, id);
	EXPECT_EQ(t, by_id(&r, HvCallDeletePartition, id), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* ---- VPs ---- */

static uint16_t create_vp(struct rig *r, uint32_t index, uint64_t flags)
{
	const struct hv_input_create_vp in = {
		.partition_id = r->id, .vp_index = index, .flags = flags};

	return rig_root(r, HvCallCreateVp, &in, sizeof(in), NULL, 0);
}

static uint16_t delete_vp(struct rig *r, uint32_t index)
{
	const struct hv_input_vp in = {.partition_id = r->id, .vp_index = index};

	return rig_root(r, HvCallDeleteVp, &in, sizeof(in), NULL, 0);
}

static void tlfs_7_create_and_delete_vp(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, create_vp(&r, 0, 0), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, create_vp(&r, HV_MAXIMUM_PROCESSORS, 0), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, create_vp(&r, UINT32_MAX, 0), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, create_vp(&r, 1, 1), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, delete_vp(&r, 1), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, create_vp(&r, 1, 0), HV_STATUS_SUCCESS);
	/* Indexes need not be dense. */
	EXPECT_EQ(t, create_vp(&r, 1000, 0), HV_STATUS_SUCCESS);
	EXPECT(t, hv_root_vp(r.partition, 1000) != NULL);
	EXPECT(t, hv_root_vp(r.partition, 999) == NULL);
	EXPECT_EQ(t, delete_vp(&r, 1000), HV_STATUS_SUCCESS);
	EXPECT(t, hv_root_vp(r.partition, 1000) == NULL);
	EXPECT_EQ(t, delete_vp(&r, 1000), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, create_vp(&r, 1000, 0), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

static void tlfs_7_new_vp_is_explicitly_suspended(struct test *t)
{
	struct hv_message message;
	uint64_t ns;
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, create_vp(&r, 1, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_reg(&r, 1, HvRegisterExplicitSuspend), 1);
	EXPECT_EQ(t, hv_vp_dispatch(hv_root_vp(r.partition, 1), &message, &ns),
		  HV_DISPATCH_SUSPENDED);
	EXPECT_EQ(t, rig_reg_set(&r, 1, HvRegisterExplicitSuspend, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, hv_vp_dispatch(hv_root_vp(r.partition, 1), &message, &ns),
		  HV_DISPATCH_BLOCKED);
	EXPECT_EQ(t, rig_reg(&r, 1, HvRegisterInternalActivityState),
		  HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND);
	rig_fini(&r);
}

static void tlfs_7_explicit_suspend(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterExplicitSuspend, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_SUSPENDED);
	EXPECT_EQ(t, r.wake[0].count, 0);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvRegisterExplicitSuspend, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.wake[0].count, 1);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	rig_fini(&r);
}

/* ---- GPA space ---- */

static void tlfs_5_map_and_unmap(struct test *t)
{
	uint8_t *memory;
	struct rig r;

	rig_init(&r, NULL);
	memory = aligned_alloc(4096, 8 * 4096);
	memset(memory, 0x5A, 8 * 4096);
	EXPECT_EQ(t, rig_map(&r, UINT64_C(0x4000000000), memory, 8, RWX), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.vm->changed_gpn, 0x4000000);
	EXPECT_EQ(t, r.vm->changed_count, 8);
	EXPECT(t, rig_seen(&r, UINT64_C(0x4000007FF8)) == memory + 0x7FF8);
	EXPECT_EQ(t, rig_unmap(&r, UINT64_C(0x4000002000), 2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, gmem_entry(hv_partition_gmem(r.partition), 0x4000002), 0);
	EXPECT_EQ(t, gmem_entry(hv_partition_gmem(r.partition), 0x4000003), 0);
	EXPECT(t, rig_seen(&r, UINT64_C(0x4000004000)) == memory + 0x4000);
	/* Beyond the GPA space (40 bits), unknown flags, no such page of the root. */
	EXPECT_EQ(t, rig_map(&r, UINT64_C(1) << 40, memory, 1, RWX), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_map(&r, UINT64_C(0xFFFFFFF) << 12, memory, 2, RWX),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_map(&r, 0x400000, memory, 1, 0x10000000), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_map(&r, 0x400000, NULL, 1, RWX), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_unmap(&r, UINT64_C(1) << 40, 1), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_unmap(&r, 0, 1), HV_STATUS_SUCCESS);
	rig_fini(&r);
	free(memory);
}

static uint64_t page_states(struct rig *r, uint64_t flags, uint64_t gpn, uint8_t states[8])
{
	const uint64_t in[3] = {r->id, flags, gpn};

	return rig_root_full(r, hv_hypercall_control(HvCallGetGpaPagesAccessState, 8), in,
			     sizeof(in), states, 8);
}

/* Which pages were written: everything at first, then what the parent writes and where overlay pages come and go. */
static void pages_written(struct test *t)
{
	const uint8_t both = HV_GPA_PAGE_STATE_ACCESSED | HV_GPA_PAGE_STATE_DIRTY;
	const uint64_t done = HV_STATUS_SUCCESS | (uint64_t)8 << 32,
		       clear = HV_GPA_PAGE_CLEAR_DIRTY;
	const uint64_t assist_page = RIG_ASSIST_GPA(0) >> 12;
	const uint32_t tracking = HvPartitionPropertyGpaPageAccessTracking;
	uint8_t states[8];
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, page_states(&r, clear, 0, states), HV_STATUS_INVALID_PARTITION_STATE);
	EXPECT_EQ(t, rig_property_set(&r, tracking, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, page_states(&r, 0, 0, states), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, page_states(&r, clear | 1, 0, states), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, page_states(&r, clear, UINT64_C(1) << 28, states),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, page_states(&r, clear, 0x20, states), done);
	EXPECT(t, states[0] == both && states[7] == both);
	EXPECT_EQ(t, page_states(&r, clear, 0x20, states), done);
	EXPECT(t, states[0] == 0 && states[7] == 0);
	EXPECT(t, gmem_write(hv_partition_gmem(r.partition), 0x22FFC, "12345678", 8));
	EXPECT_EQ(t, page_states(&r, clear, 0x20, states), done);
	EXPECT(t, states[1] == 0 && states[2] == both && states[3] == both && states[4] == 0);
	page_states(&r, clear, assist_page, states);
	for (unsigned on = 0; on < 2; on++) {
		EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_VP_ASSIST_PAGE, RIG_ASSIST_GPA(0) | !on),
			  RIG_OK);
		EXPECT_EQ(t, page_states(&r, clear, assist_page, states), done);
		EXPECT(t, states[0] == both && states[1] == 0);
	}
	EXPECT_EQ(t, rig_property_set(&r, tracking, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, page_states(&r, clear, 0, states), HV_STATUS_INVALID_PARTITION_STATE);
	rig_fini(&r);
}

static void tlfs_5_rights_of_pages(struct test *t)
{
	static const struct {
		uint32_t flags;
		uint32_t rights;
	} rows[] = {
		{HV_MAP_GPA_READABLE, GMEM_R},
		{HV_MAP_GPA_READABLE | HV_MAP_GPA_WRITABLE, GMEM_R | GMEM_W},
		{HV_MAP_GPA_READABLE | HV_MAP_GPA_KERNEL_EXECUTABLE, GMEM_R | GMEM_X},
		{HV_MAP_GPA_READABLE | HV_MAP_GPA_USER_EXECUTABLE, GMEM_R | GMEM_X},
		{0, 0},
		{RWX, GMEM_R | GMEM_W | GMEM_X},
	};
	struct rig r;

	rig_init(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const uint64_t in[3] = {r.id, rows[i].flags, 0x20};

		EXPECT_EQ(t, rig_map(&r, 0x300000, r.ram, 1, rows[i].flags), HV_STATUS_SUCCESS);
		EXPECT_EQ(t, gmem_entry(hv_partition_gmem(r.partition), 0x300) & GMEM_RIGHTS,
			  rows[i].rights);
		EXPECT_EQ(t,
			  rig_root_full(&r, hv_hypercall_control(HvCallModifySparseGpaPages, 1), in,
					24, NULL, 0),
			  UINT64_C(1) << 32);
		EXPECT_EQ(t, gmem_entry(hv_partition_gmem(r.partition), 0x20) & GMEM_RIGHTS,
			  rows[i].rights);
	}
	rig_fini(&r);
}

/* A rep call stops at the element that fails and counts those before it. */
static void tlfs_5_map_stops_at_the_bad_element(struct test *t)
{
	struct {
		struct hv_input_map_gpa head;
		uint64_t spn[4];
	} in;
	struct rig r;

	rig_init(&r, NULL);
	in.head = (struct hv_input_map_gpa){
		.target_partition_id = r.id, .target_gpa_base = 0x300, .map_flags = RWX};
	in.spn[0] = hv_host_spn(r.ram);
	in.spn[1] = hv_host_spn(r.ram) + 1;
	in.spn[2] = 0;
	in.spn[3] = hv_host_spn(r.ram) + 3;
	EXPECT_EQ(t,
		  rig_root_full(&r, hv_hypercall_control(HvCallMapGpaPages, 4), &in, sizeof(in),
				NULL, 0),
		  UINT64_C(2) << 32 | HV_STATUS_INVALID_PARAMETER);
	EXPECT(t, gmem_entry(hv_partition_gmem(r.partition), 0x301) != 0);
	EXPECT_EQ(t, gmem_entry(hv_partition_gmem(r.partition), 0x302), 0);
	EXPECT_EQ(t, gmem_entry(hv_partition_gmem(r.partition), 0x303), 0);
	rig_fini(&r);
}

static void tlfs_5_modify_needs_a_mapped_page(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	const uint64_t in[3] = {r.id, RWX, 0x300};

	EXPECT_EQ(t,
		  rig_root_full(&r, hv_hypercall_control(HvCallModifySparseGpaPages, 1), in, 24,
				NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

static void tlfs_5_map_waits_for_running_vps(struct test *t)
{
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	r.fake[1]->flush_busy = 5;
	EXPECT_EQ(t, rig_unmap(&r, 0x20000, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.fake[1]->flush_busy, 0);
	rig_fini(&r);
}

static uint16_t read_gpa(struct rig *r, uint64_t gpa, uint32_t bytes,
			 struct hv_output_read_gpa *out)
{
	const struct hv_input_read_gpa in = {
		.partition_id = r->id, .byte_count = bytes, .gpa = gpa};

	return rig_root(r, HvCallReadGpa, &in, 32, out, sizeof(*out));
}

static void tlfs_5_read_and_write_gpa(struct test *t)
{
	struct hv_input_read_gpa write;
	struct hv_output_read_gpa out;
	struct rig r;

	rig_init(&r, NULL);
	memcpy(r.ram + 0x2345, "0123456789abcdef", 16);
	EXPECT_EQ(t, read_gpa(&r, 0x2345, 16, &out), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, out.result_code, HvAccessGpaSuccess);
	EXPECT_MEM(t, out.data, "0123456789abcdef", 16);
	EXPECT_EQ(t, read_gpa(&r, 0x2345, 17, &out), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, read_gpa(&r, 0x2345, 0, &out), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, read_gpa(&r, 0x2FF8, 16, &out), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, read_gpa(&r, 0x900000, 8, &out), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, out.result_code, HvAccessGpaUnmapped);
	write = (struct hv_input_read_gpa){
		.partition_id = r.id, .byte_count = 3, .gpa = 0x3000, .data = "xyz"};
	EXPECT_EQ(t, rig_root(&r, HvCallWriteGpa, &write, sizeof(write), &out, 4),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, out.result_code, HvAccessGpaSuccess);
	EXPECT_MEM(t, r.ram + 0x3000, "xyz\0", 4);
	write.vp_index = 9;
	EXPECT_EQ(t, rig_root(&r, HvCallWriteGpa, &write, sizeof(write), &out, 4),
		  HV_STATUS_INVALID_VP_INDEX);
	rig_fini(&r);
}

static void tlfs_5_translate_virtual_address(struct test *t)
{
	static const struct {
		uint64_t flags;
		uint64_t page;
		uint16_t status;
		uint32_t result;
	} rows[] = {
		{0, 2, HV_STATUS_INVALID_PARAMETER, 0},
		{HV_TRANSLATE_GVA_VALIDATE_READ, 2, HV_STATUS_SUCCESS, HvTranslateGvaSuccess},
		{HV_TRANSLATE_GVA_VALIDATE_WRITE, 3, HV_STATUS_SUCCESS,
		 HvTranslateGvaGpaNoWriteAccess},
		{HV_TRANSLATE_GVA_VALIDATE_READ, 3, HV_STATUS_SUCCESS, HvTranslateGvaSuccess},
		{HV_TRANSLATE_GVA_VALIDATE_READ, 4, HV_STATUS_SUCCESS,
		 HvTranslateGvaGpaNoReadAccess},
		{HV_TRANSLATE_GVA_VALIDATE_READ, 0x900, HV_STATUS_SUCCESS,
		 HvTranslateGvaGpaUnmapped},
		{HV_TRANSLATE_GVA_VALIDATE_READ, UINT64_C(1) << 28, HV_STATUS_SUCCESS,
		 HvTranslateGvaPageNotPresent},
		{HV_TRANSLATE_GVA_VALIDATE_WRITE, UINT64_C(1) << 26, HV_STATUS_SUCCESS,
		 HvTranslateGvaPrivilegeViolation},
	};
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_map(&r, 0x3000, r.ram, 1, HV_MAP_GPA_READABLE), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_map(&r, 0x4000, r.ram, 1, 0), HV_STATUS_SUCCESS);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct hv_input_translate_gva in = {.partition_id = r.id,
							  .control_flags = rows[i].flags,
							  .gva_page = rows[i].page};
		struct hv_output_translate_gva out = {.result_code = 0};

		EXPECT_EQ(t,
			  rig_root(&r, HvCallTranslateVirtualAddress, &in, sizeof(in), &out,
				   sizeof(out)),
			  rows[i].status);
		EXPECT_EQ(t, out.result_code, rows[i].result);
	}
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_4_life_cycle),
		TEST(tlfs_4_uninitialized_partition_can_be_deleted),
		TEST(tlfs_4_ids_are_not_reused),
		TEST(tlfs_4_calls_on_unknown_partitions),
		TEST(tlfs_4_next_child),
		TEST(tlfs_4_out_of_pool_memory),
		TEST(tlfs_4_memory_balance),
		TEST(tlfs_4_deposit_wants_real_pages),
		TEST(tlfs_4_create_reserved_fields),
		TEST(tlfs_4_calls_need_an_active_partition),
		TEST(tlfs_7_create_and_delete_vp),
		TEST(tlfs_7_new_vp_is_explicitly_suspended),
		TEST(tlfs_7_explicit_suspend),
		TEST(tlfs_5_map_and_unmap),
		TEST(pages_written),
		TEST(tlfs_5_rights_of_pages),
		TEST(tlfs_5_map_stops_at_the_bad_element),
		TEST(tlfs_5_modify_needs_a_mapped_page),
		TEST(tlfs_5_map_waits_for_running_vps),
		TEST(tlfs_5_read_and_write_gpa),
		TEST(tlfs_5_translate_virtual_address),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
