// SPDX-License-Identifier: Apache-2.0
/* Flushes and cluster IPIs by hypercall, with masks and sparse VP sets. TLFS 8.8 (flushes), 7.8.7 (VP sets), 10 (IPIs). */
#include "rig.h"

#define VPS 64u
#define VECTOR 0x41u
#define ALL_SPACES HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES

static void init(struct rig *r, uint32_t vps)
{
	rig_init(r, &(struct rig_options){.vps = vps});
	for (uint32_t i = 0; i < vps; i++) {
		rig_apic_write(r, i, 0xF0, 0x1FF);
	}
}

static uint64_t flushed(struct rig *r)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < r->vps; i++) {
		mask |= r->fake[i]->flush_all_count + r->fake[i]->flush_page_count != 0 ? BIT64(i)
											: 0;
		r->fake[i]->flush_all_count = 0;
		r->fake[i]->flush_page_count = 0;
		r->fake[i]->flush_non_global_count = 0;
	}
	return mask;
}

static uint64_t interrupted(struct rig *r)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < r->vps; i++) {
		rig_run(r, i);
		if (rig_interrupts(r, i, VECTOR)) {
			mask |= BIT64(i);
			rig_eoi(r, i);
		}
		rig_forget(r, i);
	}
	return mask;
}

static uint16_t flush(struct rig *r, uint64_t flags, uint64_t mask)
{
	const struct hv_input_flush_virtual_address_space in = {0x5000, flags, mask};

	return rig_call_status(r, 0, HvCallFlushVirtualAddressSpace, &in, sizeof(in));
}

static uint64_t flush_list(struct rig *r, uint64_t flags, uint64_t mask, const uint64_t *ranges,
			   unsigned count)
{
	uint64_t in[3 + 16] = {0x5000, flags, mask};

	memcpy(in + 3, ranges, count * 8);
	return rig_call(r, 0, hv_hypercall_control(HvCallFlushVirtualAddressList, count), in,
			24 + 8 * count);
}

/* ---- Plain masks ---- */

static void tlfs_8_8_flush_space(struct test *t)
{
	struct rig r;

	init(&r, VPS);
	flushed(&r);
	EXPECT_EQ(t, flush(&r, 0, 0x8000000000000005), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, flushed(&r), UINT64_C(0x8000000000000005));
	EXPECT_EQ(t, flush(&r, ALL_SPACES, 0x2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, flushed(&r), 0x2);
	EXPECT_EQ(t, flush(&r, HV_FLUSH_ALL_PROCESSORS, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, flushed(&r), UINT64_MAX);
	EXPECT_EQ(t, flush(&r, HV_FLUSH_ALL_PROCESSORS, 0x1),
		  HV_STATUS_SUCCESS); /* the mask is ignored */
	EXPECT_EQ(t, flushed(&r), UINT64_MAX);
	EXPECT_EQ(t, flush(&r, HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, 0x2), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.fake[1]->flush_non_global_count, 1);
	EXPECT_EQ(t, flushed(&r), 0x2);
	EXPECT_EQ(t, flush(&r, 0, 0), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, flush(&r, 0x10, 1), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, flush(&r, UINT64_C(1) << 63, 1), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, flushed(&r), 0);
	rig_fini(&r);
}

static void tlfs_8_8_flush_list(struct test *t)
{
	static const uint64_t ranges[] = {0x7000, UINT64_C(0xFFFF800000001003), 0x9000};
	struct rig r;

	init(&r, 4);
	flushed(&r);
	EXPECT_EQ(t, flush_list(&r, 0, 0x6, ranges, 3), UINT64_C(3) << 32);
	EXPECT_EQ(t, r.fake[1]->flush_page_count, 6);
	EXPECT_EQ(t, r.fake[1]->flush_pages[0], 0x7000);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(t, r.fake[1]->flush_pages[1 + i],
			  UINT64_C(0xFFFF800000001000) + 0x1000 * i);
	}
	EXPECT_EQ(t, r.fake[1]->flush_pages[5], 0x9000);
	EXPECT_EQ(t, flushed(&r), 0x6);
	/* Long ranges may become a flush of everything, but never of less. */
	EXPECT_EQ(t, flush_list(&r, 0, 0x1, (uint64_t[]){0x10000FFF}, 1), UINT64_C(1) << 32);
	EXPECT(t, r.fake[0]->flush_all_count == 1 || r.fake[0]->flush_page_count == 4096);
	flushed(&r);
	/* The top of the address space does not wrap into trouble. */
	EXPECT_EQ(t, flush_list(&r, 0, 0x1, (uint64_t[]){UINT64_MAX}, 1), UINT64_C(1) << 32);
	EXPECT_EQ(t, flushed(&r), 0x1);
	EXPECT_EQ(t, flush_list(&r, HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, 1, ranges, 3),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, flush_list(&r, HV_FLUSH_USE_EXTENDED_RANGE_FORMAT, 1, ranges, 3),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, flush_list(&r, 0, 0, ranges, 3), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, flushed(&r), 0);
	rig_fini(&r);
}

/* The call comes back only when every target has flushed. */
static void tlfs_8_8_flush_waits(struct test *t)
{
	struct rig r;

	init(&r, 3);
	r.fake[1]->flush_busy = 3;
	r.fake[2]->flush_busy = 7;
	EXPECT_EQ(t, flush(&r, HV_FLUSH_ALL_PROCESSORS, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.fake[1]->flush_busy + r.fake[2]->flush_busy, 0);
	r.fake[1]->flush_busy = 3;
	r.fake[2]->flush_busy = 7;
	EXPECT_EQ(t, flush_list(&r, 0, 0x2, (uint64_t[]){0x1000}, 1), UINT64_C(1) << 32);
	EXPECT_EQ(t, r.fake[1]->flush_busy, 0);
	EXPECT_EQ(t, r.fake[2]->flush_busy, 7); /* not a target: not waited for */
	r.fake[2]->flush_busy = 0;
	rig_fini(&r);
}

/* ---- Sparse sets ---- */

struct set_row {
	const char *what;
	uint64_t format;
	uint64_t valid;
	unsigned banks;
	uint64_t contents[3];
	uint16_t status;
	uint64_t want; /* of VPs 0..63 */
};

static const struct set_row sets[] = {
	{"bank 0", 0, 1, 1, {0x15}, HV_STATUS_SUCCESS, 0x15},
	{"empty", 0, 0, 0, {0}, HV_STATUS_SUCCESS, 0},
	{"bank of zeros", 0, 1, 1, {0}, HV_STATUS_SUCCESS, 0},
	{"banks of absent VPs", 0, 0x6, 2, {UINT64_MAX, UINT64_MAX}, HV_STATUS_SUCCESS, 0},
	{"packed banks", 0, 0x8000000000000011, 3, {0x2, 0xFF, 0xFF}, HV_STATUS_SUCCESS, 0x2},
	{"first bank is not bank 0", 0, 0x2, 1, {0xFF}, HV_STATUS_SUCCESS, 0},
	{"all", 1, 0, 0, {0}, HV_STATUS_SUCCESS, UINT64_MAX},
	{"too few banks", 0, 3, 1, {1, 1}, HV_STATUS_INVALID_HYPERCALL_INPUT, 0},
	{"too many banks", 0, 1, 2, {1, 1}, HV_STATUS_INVALID_HYPERCALL_INPUT, 0},
	{"banks without valid bits", 0, 0, 1, {1}, HV_STATUS_INVALID_HYPERCALL_INPUT, 0},
	{"format 2", 2, 1, 1, {1}, HV_STATUS_INVALID_PARAMETER, 0},
	{"format with high bits", UINT64_C(1) << 32, 1, 1, {1}, HV_STATUS_INVALID_PARAMETER, 0},
};

static uint64_t call_with_set(struct rig *r, unsigned code, const uint64_t *head,
			      unsigned head_qwords, const struct set_row *row, const uint64_t *list,
			      unsigned count)
{
	uint64_t in[32] = {0};
	unsigned at = 0;

	for (unsigned i = 0; i < head_qwords; i++) {
		in[at++] = head[i];
	}
	in[at++] = row->format;
	in[at++] = row->valid;
	for (unsigned i = 0; i < row->banks; i++) {
		in[at++] = row->contents[i];
	}
	for (unsigned i = 0; i < count; i++) {
		in[at++] = list[i];
	}
	return rig_call(r, 0,
			hv_hypercall_control(code, count) | (uint64_t)row->banks
								    << HV_HYPERCALL_VARHEAD_SHIFT,
			in, 8 * at);
}

static void tlfs_7_8_sets_of_flush_space_ex(struct test *t)
{
	struct rig r;

	init(&r, VPS);
	flushed(&r);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const uint64_t head[2] = {0x5000, 0};
		uint64_t got, result = call_with_set(&r, HvCallFlushVirtualAddressSpaceEx, head, 2,
						     &sets[i], NULL, 0);

		got = flushed(&r);
		if (result != sets[i].status || got != sets[i].want) {
			test_fail(t, __FILE__, __LINE__, "%s: 0x%" PRIx64 ", VPs 0x%" PRIx64,
				  sets[i].what, result, got);
		}
	}
	/* With the flag for all processors the set does not matter. */
	EXPECT_EQ(t,
		  call_with_set(&r, HvCallFlushVirtualAddressSpaceEx,
				(uint64_t[]){0, HV_FLUSH_ALL_PROCESSORS | ALL_SPACES}, 2, &sets[1],
				NULL, 0),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, flushed(&r), UINT64_MAX);
	EXPECT_EQ(t,
		  call_with_set(&r, HvCallFlushVirtualAddressSpaceEx, (uint64_t[]){0, 0x100}, 2,
				&sets[0], NULL, 0),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

static void tlfs_7_8_sets_of_flush_list_ex(struct test *t)
{
	static const uint64_t list[] = {0x1000, 0x3001};
	struct rig r;

	init(&r, VPS);
	flushed(&r);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const uint64_t head[2] = {0x5000, 0};
		uint64_t got, want = sets[i].status == HV_STATUS_SUCCESS ? UINT64_C(2) << 32
									 : sets[i].status;
		uint64_t result = call_with_set(&r, HvCallFlushVirtualAddressListEx, head, 2,
						&sets[i], list, 2);

		if (sets[i].want & 1) {
			EXPECT_EQ(t, r.fake[0]->flush_page_count, 3);
			EXPECT_EQ(t, r.fake[0]->flush_pages[2], 0x4000);
		}
		got = flushed(&r);
		if (result != want || got != sets[i].want) {
			test_fail(t, __FILE__, __LINE__, "%s: 0x%" PRIx64 ", VPs 0x%" PRIx64,
				  sets[i].what, result, got);
		}
		memset(r.fake[0]->flush_pages, 0, sizeof(r.fake[0]->flush_pages));
	}
	rig_fini(&r);
}

static void tlfs_7_8_sets_of_cluster_ipi_ex(struct test *t)
{
	struct rig r;

	init(&r, VPS);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const uint64_t head[1] = {VECTOR};
		uint64_t result = call_with_set(&r, HvCallSendSyntheticClusterIpiEx, head, 1,
						&sets[i], NULL, 0);
		uint64_t got = interrupted(&r);

		if (result != sets[i].status || got != sets[i].want) {
			test_fail(t, __FILE__, __LINE__, "%s: 0x%" PRIx64 ", VPs 0x%" PRIx64,
				  sets[i].what, result, got);
		}
	}
	rig_fini(&r);
}

/* A variable header that is longer than a page, or as long as the field can say. */
static void tlfs_7_8_oversized_variable_header(struct test *t)
{
	uint64_t result;
	struct rig r;

	init(&r, 1);
	for (unsigned banks = 60; banks < 1024; banks += 53) {
		EXPECT_EQ(t,
			  rig_call_raw(&r, 0,
				       HvCallSendSyntheticClusterIpiEx |
					       (uint64_t)banks << HV_HYPERCALL_VARHEAD_SHIFT,
				       RIG_INPUT_GPA, 0, &result),
			  RIG_OK);
		EXPECT(t, result != HV_STATUS_SUCCESS);
	}
	rig_fini(&r);
}

/* ---- Cluster IPIs ---- */

static void tlfs_10_cluster_ipi(struct test *t)
{
	struct hv_input_send_synthetic_cluster_ipi in = {.vector = VECTOR,
							 .processor_mask = 0x8000000000000009};
	struct rig r;

	init(&r, VPS);
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, interrupted(&r), UINT64_C(0x8000000000000009));
	for (uint32_t vector = 0; vector < 0x200; vector++) {
		bool legal = vector >= 0x10 && vector <= 0xFF;

		in.vector = vector;
		in.processor_mask = 0x2;
		EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
			  legal ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER);
		if (legal) {
			EXPECT(t, rig_took(&r, 1, (int)vector));
		}
	}
	in.vector = 0x80000041;
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_INVALID_PARAMETER);
	in = (struct hv_input_send_synthetic_cluster_ipi){.vector = VECTOR, .processor_mask = 0};
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_SUCCESS);
	in = (struct hv_input_send_synthetic_cluster_ipi){
		.vector = VECTOR, .target_vtl = 1, .processor_mask = 1};
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_INVALID_PARAMETER);
	in = (struct hv_input_send_synthetic_cluster_ipi){
		.vector = VECTOR, .padding = {1}, .processor_mask = 1};
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

static void tlfs_10_cluster_ipi_to_absent_vps(struct test *t)
{
	const struct hv_input_send_synthetic_cluster_ipi in = {.vector = VECTOR,
							       .processor_mask = UINT64_MAX};
	struct rig r;

	init(&r, 3);
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, interrupted(&r), 0x7);
	rig_fini(&r);
}

static void tlfs_10_cluster_ipi_wakes_halted_vps(struct test *t)
{
	const struct hv_input_send_synthetic_cluster_ipi in = {.vector = VECTOR,
							       .processor_mask = 0x6};
	struct rig r;

	init(&r, 3);
	EXPECT_EQ(t, rig_halt(&r, 1), RIG_BLOCKED);
	EXPECT_EQ(t, rig_halt(&r, 2), RIG_BLOCKED);
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallSendSyntheticClusterIpi, &in, sizeof(in)),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.wake[1].count, 1);
	EXPECT_EQ(t, r.wake[2].count, 1);
	EXPECT_EQ(t, interrupted(&r), 0x6);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_8_8_flush_space),
		TEST(tlfs_8_8_flush_list),
		TEST(tlfs_8_8_flush_waits),
		TEST(tlfs_7_8_sets_of_flush_space_ex),
		TEST(tlfs_7_8_sets_of_flush_list_ex),
		TEST(tlfs_7_8_sets_of_cluster_ipi_ex),
		TEST(tlfs_7_8_oversized_variable_header),
		TEST(tlfs_10_cluster_ipi),
		TEST(tlfs_10_cluster_ipi_to_absent_vps),
		TEST(tlfs_10_cluster_ipi_wakes_halted_vps),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
