// SPDX-License-Identifier: Apache-2.0
/*
 * GPA overlay pages: what the guest sees and what comes back. TLFS 5.2.1. Built twice: with pages that cover the guest's, and with contents that are exchanged
 * in place (IN_PLACE).
 */
#include "rig.h"

static void start(struct rig *r, uint32_t vps)
{
	rig_init(r, &(struct rig_options){.vps = vps, .holds = IN_PLACE});
}

/* Each overlay with its MSR; per VP ones are placed by VP 0. */
static const struct {
	const char *name;
	uint32_t msr;
	uint32_t rights;
	bool keeps_contents; /* moves with what the guest wrote */
} overlays[] = {
	{"hypercall", HV_X64_MSR_HYPERCALL, GMEM_R | GMEM_X, false},
	{"reference TSC", HV_X64_MSR_REFERENCE_TSC, GMEM_R | GMEM_W, false},
	{"SIM", HV_X64_MSR_SIMP, GMEM_R | GMEM_W, true},
	{"SIEF", HV_X64_MSR_SIEFP, GMEM_R | GMEM_W, true},
	{"VP assist", HV_X64_MSR_VP_ASSIST_PAGE, GMEM_R | GMEM_W, true},
};

#define FIRST UINT64_C(0x20000)
#define SECOND UINT64_C(0x30000)
#define MARK 0xF00u /* within a page, where nobody but the tests writes */

static void fill(struct rig *r)
{
	memset(r->ram + FIRST, 0x11, HV_PAGE_SIZE);
	memset(r->ram + SECOND, 0x22, HV_PAGE_SIZE);
}

static void place(struct test *t, struct rig *r, size_t i, uint64_t value)
{
	if (rig_wrmsr(r, 0, overlays[i].msr, value) != RIG_OK) {
		test_fail(t, __FILE__, __LINE__, "%s: write of 0x%" PRIx64, overlays[i].name,
			  value);
	}
}

static uint64_t entry(struct rig *r, uint64_t gpa)
{
	return gmem_entry(hv_partition_gmem(r->partition), gpa >> 12);
}

static bool is_ram(struct rig *r, uint64_t gpa)
{
	return !(entry(r, gpa) & GMEM_OVERLAY) && rig_seen(r, gpa) == r->ram + gpa;
}

static void tlfs_5_2_1_cover_and_restore(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(overlays); i++) {
		struct rig r;

		start(&r, 1);
		fill(&r);
		place(t, &r, i, FIRST | 1);
		EXPECT(t, !is_ram(&r, FIRST));
		EXPECT_EQ(t, entry(&r, FIRST) & GMEM_RIGHTS,
			  overlays[i].rights | (IN_PLACE ? GMEM_W : 0));
		EXPECT(t, entry(&r, FIRST) & GMEM_OVERLAY);
		EXPECT(t, *(uint8_t *)rig_seen(&r, FIRST + 0x800) != 0x11);
		EXPECT_EQ(t, r.vm->changed_gpn == FIRST >> 12, !IN_PLACE);
		EXPECT_EQ(t, rig_msr(&r, 0, overlays[i].msr), FIRST | 1);
		place(t, &r, i, FIRST);
		EXPECT(t, is_ram(&r, FIRST));
		EXPECT_EQ(t, r.ram[FIRST + 0x800], 0x11);
		EXPECT_EQ(t, rig_msr(&r, 0, overlays[i].msr), FIRST);
		rig_fini(&r);
	}
}

static void tlfs_5_2_1_move(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(overlays); i++) {
		struct rig r;
		uint8_t before[HV_PAGE_SIZE];

		start(&r, 1);
		fill(&r);
		place(t, &r, i, FIRST | 1);
		if (overlays[i].keeps_contents) {
			memset((uint8_t *)rig_seen(&r, FIRST) + 0x900, 0x33, 0x100);
		}
		memcpy(before, rig_seen(&r, FIRST), HV_PAGE_SIZE);
		place(t, &r, i, SECOND | 1);
		EXPECT(t, is_ram(&r, FIRST));
		EXPECT_EQ(t, r.ram[FIRST], 0x11);
		EXPECT(t, !is_ram(&r, SECOND));
		/* The reference TSC page is written anew. */
		EXPECT_MEM(t, (uint8_t *)rig_seen(&r, SECOND) + 8, before + 8, HV_PAGE_SIZE - 8);
		place(t, &r, i, 0);
		EXPECT(t, is_ram(&r, SECOND));
		EXPECT_EQ(t, r.ram[SECOND], 0x22);
		rig_fini(&r);
	}
}

/* All five on one page: the newest is seen, and removing them in any order ends with RAM. */
static void tlfs_5_2_1_stack(struct test *t)
{
	static const unsigned orders[][5] = {
		{0, 1, 2, 3, 4},
		{4, 3, 2, 1, 0},
		{2, 0, 4, 1, 3},
		{1, 4, 0, 3, 2},
	};

	for (size_t o = 0; o < ARRAY_LEN(orders); o++) {
		bool active[5] = {false};
		struct rig r;

		start(&r, 1);
		fill(&r);
		for (unsigned i = 0; i < 5; i++) {
			place(t, &r, i, FIRST | 1);
			*(uint8_t *)rig_seen(&r, FIRST + MARK) = (uint8_t)(0xA0 + i);
			active[i] = true;
		}
		for (unsigned n = 0; n < 5; n++) {
			int top = -1;

			place(t, &r, orders[o][n], 0);
			active[orders[o][n]] = false;
			for (int i = 0; i < 5; i++) {
				top = active[i] ? i : top;
			}
			EXPECT_EQ(t, *(uint8_t *)rig_seen(&r, FIRST + MARK),
				  top < 0 ? 0x11 : 0xA0 + top);
		}
		EXPECT(t, is_ram(&r, FIRST));
		EXPECT_EQ(t, r.ram[FIRST], 0x11);
		rig_fini(&r);
	}
}

/* What the parent maps beneath an overlay shows when the overlay goes. */
static void tlfs_5_2_1_map_beneath(struct test *t)
{
	uint8_t *other = aligned_alloc(4096, 4096);
	struct rig r;

	start(&r, 1);
	memset(other, 0x44, 4096);
	place(t, &r, 2, FIRST | 1);
	EXPECT_EQ(t, rig_map(&r, FIRST, other, 1, HV_MAP_GPA_READABLE), HV_STATUS_SUCCESS);
	EXPECT(t, entry(&r, FIRST) & GMEM_OVERLAY);
	place(t, &r, 2, 0);
	EXPECT(t, rig_seen(&r, FIRST) == other);
	EXPECT_EQ(t, entry(&r, FIRST) & GMEM_RIGHTS, GMEM_R);
	/* And unmapping beneath leaves the overlay, then nothing. */
	place(t, &r, 2, FIRST | 1);
	EXPECT_EQ(t, rig_unmap(&r, FIRST, 1), HV_STATUS_SUCCESS);
	EXPECT(t, entry(&r, FIRST) & GMEM_OVERLAY);
	place(t, &r, 2, 0);
	EXPECT_EQ(t, entry(&r, FIRST), 0);
	rig_fini(&r);
	free(other);
}

static void tlfs_5_2_1_over_unmapped_pages(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(overlays); i++) {
		struct rig r;

		start(&r, 1);
		place(t, &r, i, 0x800000 | 1);
		EXPECT(t, entry(&r, 0x800000) & GMEM_OVERLAY);
		place(t, &r, i, 0);
		EXPECT_EQ(t, entry(&r, 0x800000), 0);
		rig_fini(&r);
	}
}

/* A page number beyond the GPA space: #GP for the hypercall page (tested there), else the page is just not visible. */
static void tlfs_5_2_1_beyond_the_space(struct test *t)
{
	for (size_t i = 1; i < ARRAY_LEN(overlays); i++) {
		const uint64_t beyond = UINT64_C(1) << 40 | 1;
		struct rig r;
		int got;

		start(&r, 1);
		fill(&r);
		place(t, &r, i, FIRST | 1);
		got = rig_wrmsr(&r, 0, overlays[i].msr, beyond);
		if (got == RIG_OK) {
			EXPECT_EQ(t, rig_msr(&r, 0, overlays[i].msr), beyond);
			EXPECT(t, is_ram(&r, FIRST));
			place(t, &r, i, FIRST | 1);
		} else {
			EXPECT_EQ(t, got, X86_EXC_GP);
		}
		EXPECT(t, !is_ram(&r, FIRST));
		rig_fini(&r);
	}
}

static void tlfs_5_2_1_writes_to_read_only_overlays_fault(struct test *t)
{
	struct rig r;

	start(&r, 1);
	place(t, &r, 0, FIRST | 1);
	EXPECT_EQ(t, rig_write(&r, 0, FIRST, 8, 1), X86_EXC_GP);
	/* The same with an intercept for memory: overlays are the hypervisor's own. */
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeMmio, 7, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_write(&r, 0, FIRST, 8, 1), X86_EXC_GP);
	rig_fini(&r);
}

static void tlfs_5_2_1_vp_pages_are_per_vp(struct test *t)
{
	struct rig r;

	start(&r, 2);
	for (size_t i = 2; i < ARRAY_LEN(overlays); i++) {
		EXPECT_EQ(t, rig_wrmsr(&r, 0, overlays[i].msr, FIRST | 1), RIG_OK);
		EXPECT_EQ(t, rig_msr(&r, 1, overlays[i].msr), 0);
		EXPECT_EQ(t, rig_wrmsr(&r, 1, overlays[i].msr, SECOND | 1), RIG_OK);
		EXPECT(t, rig_seen(&r, FIRST) != rig_seen(&r, SECOND));
		EXPECT_EQ(t, rig_wrmsr(&r, 0, overlays[i].msr, 0), RIG_OK);
		EXPECT(t, !is_ram(&r, SECOND));
		EXPECT_EQ(t, rig_wrmsr(&r, 1, overlays[i].msr, 0), RIG_OK);
	}
	rig_fini(&r);
}

/* The SIM and SIEF pages are zero when the guest first sees them, whatever lay there. */
static void tlfs_11_pages_start_zeroed(struct test *t)
{
	static const uint8_t zero[HV_PAGE_SIZE];
	struct rig r;

	start(&r, 1);
	fill(&r);
	place(t, &r, 2, FIRST | 1);
	place(t, &r, 3, SECOND | 1);
	EXPECT_MEM(t, rig_seen(&r, FIRST), zero, HV_PAGE_SIZE);
	EXPECT_MEM(t, rig_seen(&r, SECOND), zero, HV_PAGE_SIZE);
	rig_fini(&r);
}

/* A deleted VP takes its overlays along. */
static void tlfs_7_deleted_vp_uncovers(struct test *t)
{
	struct rig r;

	start(&r, 2);
	const struct hv_input_vp in = {.partition_id = r.id, .vp_index = 1};

	fill(&r);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, HV_X64_MSR_SIMP, FIRST | 1), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, HV_X64_MSR_VP_ASSIST_PAGE, FIRST | 1), RIG_OK);
	EXPECT_EQ(t, rig_root(&r, HvCallDeleteVp, &in, sizeof(in), NULL, 0), HV_STATUS_SUCCESS);
	EXPECT(t, is_ram(&r, FIRST));
	EXPECT_EQ(t, r.ram[FIRST], 0x11);
	rig_fini(&r);
}

/* The guest may write the reference TSC page and so spoil its own clock, until it enables the page again. */
static void tlfs_12_reference_tsc_page_heals(struct test *t)
{
	struct hv_reference_tsc_page before, *seen;
	struct rig r;

	start(&r, 1);
	place(t, &r, 1, FIRST | 1);
	seen = rig_seen(&r, FIRST);
	before = *seen;
	memset(seen, 0xFF, sizeof(*seen));
	place(t, &r, 1, FIRST);
	place(t, &r, 1, FIRST | 1);
	seen = rig_seen(&r, FIRST);
	EXPECT(t, seen->tsc_sequence != 0 && seen->tsc_sequence != UINT32_MAX);
	EXPECT_EQ(t, seen->tsc_scale, before.tsc_scale);
	EXPECT_EQ(t, seen->tsc_offset, before.tsc_offset);
	rig_fini(&r);
}

/* While time is frozen memory is what lies beneath; messages and flags that come meanwhile are there when a VP runs. */
static void frozen_memory_is_what_lies_beneath(struct test *t)
{
	uint8_t newly;
	struct rig r;

	start(&r, 1);
	fill(&r);
	rig_synic(&r, 0, 2, 0x40);
	place(t, &r, 2, FIRST | 1);
	place(t, &r, 3, SECOND | 1);
	((uint8_t *)rig_seen(&r, FIRST))[MARK] = 0x33;
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.ram[FIRST], 0x11);
	EXPECT_EQ(t, r.ram[FIRST + MARK], 0x11);
	EXPECT_EQ(t, r.ram[SECOND], 0x22);
	EXPECT_EQ(t, rig_post_direct(&r, 0, 2, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_signal_direct(&r, 0, 2, 9, &newly), HV_STATUS_SUCCESS);
	rig_run(&r, 0);
	EXPECT_EQ(t, r.answer, HV_DISPATCH_SUSPENDED);
	EXPECT_EQ(t, r.ram[FIRST + 2 * HV_MESSAGE_SIZE], 0x11);
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 0), HV_STATUS_SUCCESS);
	rig_run(&r, 0);
	EXPECT_EQ(t, ((uint8_t *)rig_seen(&r, FIRST))[MARK], 0x33);
	EXPECT_EQ(t, ((struct hv_message *)rig_seen(&r, FIRST))[2].type, 1);
	EXPECT_EQ(t, ((uint8_t *)rig_seen(&r, SECOND))[2 * HV_EVENT_FLAGS_COUNT / 8 + 1], 1 << 1);
	place(t, &r, 2, 0);
	EXPECT_EQ(t, r.ram[FIRST + MARK], 0x11);
	EXPECT_EQ(t, r.vm->holds, 0);
	EXPECT_EQ(t, r.vm->held != 0, IN_PLACE);
	rig_fini(&r);
}

/* What stands in place is like every other overlay when the parent, or another overlay, comes. */
static void place_is_given_up(struct test *t)
{
	struct rig r;

	start(&r, 1);
	fill(&r);
	place(t, &r, 2, FIRST | 1);
	((uint8_t *)rig_seen(&r, FIRST))[MARK] = 0x33;
	place(t, &r, 0, FIRST | 1);
	EXPECT_EQ(t, r.ram[FIRST + MARK], 0x11);
	place(t, &r, 0, 0);
	EXPECT_EQ(t, ((uint8_t *)rig_seen(&r, FIRST))[MARK], 0x33);
	EXPECT(t, rig_seen(&r, FIRST) != r.ram + FIRST);
	place(t, &r, 2, SECOND | 1);
	EXPECT_EQ(t, rig_seen(&r, SECOND) == r.ram + SECOND, IN_PLACE);
	EXPECT_EQ(t, rig_unmap(&r, SECOND, 1), HV_STATUS_SUCCESS);
	EXPECT(t, rig_seen(&r, SECOND) != r.ram + SECOND);
	EXPECT_EQ(t, ((uint8_t *)rig_seen(&r, SECOND))[MARK], 0x33);
	EXPECT_EQ(t, r.ram[SECOND + MARK], 0x22);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_5_2_1_cover_and_restore),
		TEST(tlfs_5_2_1_move),
		TEST(tlfs_5_2_1_stack),
		TEST(tlfs_5_2_1_map_beneath),
		TEST(tlfs_5_2_1_over_unmapped_pages),
		TEST(tlfs_5_2_1_beyond_the_space),
		TEST(tlfs_5_2_1_writes_to_read_only_overlays_fault),
		TEST(tlfs_5_2_1_vp_pages_are_per_vp),
		TEST(tlfs_11_pages_start_zeroed),
		TEST(tlfs_7_deleted_vp_uncovers),
		TEST(tlfs_12_reference_tsc_page_heals),
		TEST(frozen_memory_is_what_lies_beneath),
		TEST(place_is_given_up),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
