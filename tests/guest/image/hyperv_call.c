// SPDX-License-Identifier: Apache-2.0
/* What the hypervisor says of itself; hypercalls: page, calling convention, status codes, repetition; overlay pages. Spec: TLFS 2, 3, 5.2.1. */
#include "hyperv.h"

#define APIC_ID_CALL_HEADER 16u /* of HvCallGetVpIndexFromApicId */
#define FLUSH_HEADER 24u
#define MANY_REPS 200u /* more than a hypervisor does at once */

/* ---- Identity ---- */

static void test_leaves(void)
{
	uint32_t r[4];

	test_begin("CPUID of the hypervisor");
	cpuid(1, 0, r);
	CHECK_EQ(r[2] >> 31, 1);
	cpuid(HV_CPUID_FUNCTION_VENDOR_AND_MAX, 0, r);
	CHECK_EQ(r[0] >= HV_CPUID_FUNCTION_LIMITS, true);
	CHECK_EQ(r[1], 0x7263694d);
	CHECK_EQ(r[2], 0x666f736f);
	CHECK_EQ(r[3], 0x76482074);
	cpuid(HV_CPUID_FUNCTION_INTERFACE, 0, r);
	CHECK_EQ(r[0], HV_CPUID_INTERFACE_SIGNATURE);
	cpuid(HV_CPUID_FUNCTION_FEATURES, 0, r);
	CHECK_EQ(r[0] & 0x2ff, 0x27f | (r[0] & 0x80));
	CHECK_EQ((r[1] >> 4) & 3, 3); /* messages and events */
	cpuid(HV_CPUID_FUNCTION_LIMITS, 0, r);
	CHECK_EQ(r[0] >= vp_count, true);
	test_end();
}

static void test_unknown_msrs(void)
{
	static const uint32_t unknown[] = {0x4000000f, 0x400000ff, 0x40000fff, 0x4000ffff};

	test_begin("synthetic registers that are none, or may not be written");
	for (unsigned i = 0; i < ARRAY_LEN(unknown); i++) {
		try_rdmsr(unknown[i]);
		check_trap("read", 13, 0);
		try_wrmsr(unknown[i], 0);
		check_trap("write", 13, 0);
	}
	try_wrmsr(HV_X64_MSR_VP_INDEX, 0);
	check_trap("VP_INDEX", 13, 0);
	try_wrmsr(HV_X64_MSR_TIME_REF_COUNT, 0);
	check_trap("TIME_REF_COUNT", 13, 0);
	try_rdmsr(HV_X64_MSR_EOI);
	check_trap("EOI", 13, 0);
	test_end();
}

static void test_page_needs_identity(void)
{
	test_begin("no hypercall page without an identity");
	CHECK_EQ(rdmsr(HV_X64_MSR_GUEST_OS_ID), 0);
	CHECK_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & HV_MSR_PAGE_ENABLE, 0);
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)hypercall_page | HV_MSR_PAGE_ENABLE);
	CHECK_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & HV_MSR_PAGE_ENABLE, 0);
	CHECK_EQ(hypercall_page[0], 0);
	test_end();
}

void hyperv_identity(void)
{
	test_leaves();
	test_unknown_msrs();
	test_page_needs_identity();
}

/* ---- Calls ---- */

static void test_page(void)
{
	static uint8_t other[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	uint8_t first;
	const uint64_t id = rdmsr(HV_X64_MSR_GUEST_OS_ID);

	test_begin("the hypercall page comes, moves and goes");
	CHECK_EQ(hypercall_page[0] != 0, true);
	memset(other, 0x5a, sizeof(other));
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)other | HV_MSR_PAGE_ENABLE);
	CHECK_EQ(hypercall_page[0], 0);
	first = other[0];
	CHECK_EQ(first != 0x5a, true);
	TRY("movb $1, (%%rdi)", "D"(other));
	if (trap.frame.vector == 256) { /* KVM: the page stands in the guest's own */
		CHECK_EQ(other[0], 1);
	} else {
		check_trap("it cannot be written", 13, 0);
		CHECK_EQ(other[0], first);
	}
	wrmsr(HV_X64_MSR_HYPERCALL, 0);
	CHECK_EQ(other[0], 0x5a);
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)other | HV_MSR_PAGE_ENABLE);
	CHECK_EQ(other[0], first);
	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	CHECK_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & HV_MSR_PAGE_ENABLE, 0);
	CHECK_EQ(other[0], 0x5a);
	wrmsr(HV_X64_MSR_GUEST_OS_ID, id);
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)hypercall_page | HV_MSR_PAGE_ENABLE);
	try_wrmsr(HV_X64_MSR_HYPERCALL, 1ull << 63);
	check_trap("beyond all memory", 13, 0);
	CHECK_EQ(hypercall_page[0] != 0, true);
	test_end();
}

static void test_user_calls(void)
{
	uint8_t *va = test_map(40, 0, 0);

	test_begin("a hypercall from user mode");
	test_pt[40] = (uint64_t)hypercall_page | PTE_P | PTE_U;
	invlpg(va);
	user_rcx = HvCallNotifyLongSpinWait | CONTROL_FAST;
	trap_clear();
	user_enter((uint64_t)va, TEST_VA + 0x1000, SEL_USER64, 2);
	CHECK_EQ(trap.frame.vector == 6 || trap.frame.vector == 13, true);
	CHECK_EQ(trap.frame.rip, (uint64_t)va);
	test_end();
}

static void test_status(void)
{
	static const struct {
		const char *name;
		uint64_t control, status;
	} rows[] = {
		{"a simple fast call", HvCallNotifyLongSpinWait | CONTROL_FAST, HV_STATUS_SUCCESS},
		{"no such call", 0xfff0, HV_STATUS_INVALID_HYPERCALL_CODE},
		{"no such fast call", 0xfff0 | CONTROL_FAST, HV_STATUS_INVALID_HYPERCALL_CODE},
		{"reserved bit 28", HvCallNotifyLongSpinWait | CONTROL_FAST | 1ull << 28,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		{"reserved bit 44", HvCallNotifyLongSpinWait | CONTROL_FAST | 1ull << 44,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		{"reserved bit 60", HvCallNotifyLongSpinWait | CONTROL_FAST | 1ull << 60,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		{"repetitions of what has none",
		 HvCallNotifyLongSpinWait | CONTROL_FAST | 1ull << 32,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		{"no repetitions of what has some", HvCallFlushVirtualAddressList,
		 HV_STATUS_INVALID_HYPERCALL_INPUT},
		{"a partition of its own", HvCallCreatePartition, HV_STATUS_ACCESS_DENIED},
	};

	test_begin("status codes");
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		check_eq(rows[i].name, hypercall(rows[i].control, (uint64_t)input_page(), 0),
			 rows[i].status);
	}
	check_eq("input that is not aligned",
		 hypercall(HvCallPostMessage, (uint64_t)input_page() + 4, 0),
		 HV_STATUS_INVALID_ALIGNMENT);
	check_eq("input across a page",
		 hypercall(HvCallPostMessage, (uint64_t)input_page() + 3840 + 8, 0),
		 HV_STATUS_INVALID_ALIGNMENT);
	test_end();
}

static void test_repetition(void)
{
	uint64_t *in = (uint64_t *)input_page(), result;
	static uint32_t out[VPS_MAX] __attribute__((aligned(PAGE_BYTES)));

	test_begin("calls that repeat");
	memset(in, 0, PAGE_BYTES);
	in[1] = HV_FLUSH_ALL_PROCESSORS;
	for (unsigned i = 0; i < MANY_REPS; i++) {
		in[FLUSH_HEADER / 8 + i] = TEST_VA + i * PAGE_BYTES;
	}
	result = hypercall(hv_hypercall_control(HvCallFlushVirtualAddressList, MANY_REPS),
			   (uint64_t)in, 0);
	CHECK_EQ(hv_result_status(result), HV_STATUS_SUCCESS);
	CHECK_EQ(hv_result_reps(result), MANY_REPS);
	result = hypercall(hv_hypercall_control(HvCallFlushVirtualAddressList, MANY_REPS) |
				   (uint64_t)(MANY_REPS - 1) << HV_HYPERCALL_REP_START_SHIFT,
			   (uint64_t)in, 0);
	check_eq("from the last one on", result, (uint64_t)MANY_REPS << 32);

	memset(in, 0, PAGE_BYTES);
	in[0] = HV_PARTITION_ID_SELF;
	for (uint32_t i = 0; i < vp_count; i++) {
		((uint32_t *)(in + APIC_ID_CALL_HEADER / 8))[i] = vp_count - 1 - i;
	}
	memset(out, 0xff, sizeof(out));
	result = hypercall(hv_hypercall_control(HvCallGetVpIndexFromApicId, vp_count), (uint64_t)in,
			   (uint64_t)out);
	check_eq("output", result, (uint64_t)vp_count << 32);
	for (uint32_t i = 0; i < vp_count; i++) {
		CHECK_EQ(out[i], vp_count - 1 - i);
	}
	((uint32_t *)(in + APIC_ID_CALL_HEADER / 8))[1] = 0x12345;
	result = hypercall(hv_hypercall_control(HvCallGetVpIndexFromApicId, 2), (uint64_t)in,
			   (uint64_t)out);
	check_eq("stops where it fails", hv_result_reps(result), 1);
	CHECK_EQ(hv_result_status(result) != HV_STATUS_SUCCESS, true);
	test_end();
}

static void same_call(struct vp *vp)
{
	for (unsigned i = 0; i < 200; i++) {
		vp_check(vp, "status", hypercall(HvCallNotifyLongSpinWait | CONTROL_FAST, i, 0),
			 HV_STATUS_SUCCESS);
		vp_check(vp, "index", rdmsr(HV_X64_MSR_VP_INDEX), vp->index);
	}
}

void hyperv_hypercalls(void)
{
	test_page();
	test_user_calls();
	test_status();
	test_repetition();
	test_begin("all processors call at the same time");
	everywhere(same_call);
	test_end();
}

/* ---- Overlays ---- */

static uint8_t covered[2][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static void place(uint32_t msr, const char *name)
{
	uint8_t *a = covered[0], *b = covered[1];

	memset(a, 0x11, PAGE_BYTES);
	memset(b, 0x22, PAGE_BYTES);
	wrmsr(msr, (uint64_t)a | HV_MSR_PAGE_ENABLE);
	check_eq(name, rdmsr(msr), (uint64_t)a | HV_MSR_PAGE_ENABLE);
	check_eq("covers", a[0x800], 0);
	a[0x800] = 0x33;
	check_eq("can be written", a[0x800], 0x33);
	wrmsr(msr, (uint64_t)b | HV_MSR_PAGE_ENABLE);
	check_eq("leaves what was there", a[0x800], 0x11);
	check_eq("takes along what was written", b[0x800], 0x33);
	b[0x800] = 0;
	wrmsr(msr, 0);
	check_eq("leaves the second place", b[0x800], 0x22);
}

static void place_own(struct vp *vp)
{
	wrmsr(HV_X64_MSR_SIMP, (uint64_t)vp_pages[vp->index].messages | HV_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SIEFP, (uint64_t)vp_pages[vp->index].events | HV_MSR_PAGE_ENABLE);
	vp_check(vp, "SIMP", rdmsr(HV_X64_MSR_SIMP),
		 (uint64_t)vp_pages[vp->index].messages | HV_MSR_PAGE_ENABLE);
	vp_check(vp, "SIEFP", rdmsr(HV_X64_MSR_SIEFP),
		 (uint64_t)vp_pages[vp->index].events | HV_MSR_PAGE_ENABLE);
	vp_check(vp, "empty", vp_pages[vp->index].messages[2].type, 0);
}

/* Two processors look at a page that a third one covers and uncovers. */
static volatile bool looking;

static void look(struct vp *vp)
{
	while (looking) {
		uint8_t seen = *(volatile uint8_t *)&covered[1][5];

		vp_check(vp, "one of two contents", seen == 0x22 || seen == 0, true);
	}
}

static void test_overlay_under_use(void)
{
	test_begin("an overlay comes and goes under the eyes of other processors");
	memset(covered[1], 0x22, PAGE_BYTES);
	looking = true;
	for (unsigned i = 1; i < vp_count; i++) {
		give_work(&vps[i], look);
	}
	for (unsigned i = 0; i < 50; i++) {
		wrmsr(HV_X64_MSR_SIMP, (uint64_t)covered[1] | HV_MSR_PAGE_ENABLE);
		CHECK_EQ(*(volatile uint8_t *)&covered[1][5], 0);
		wrmsr(HV_X64_MSR_SIMP, 0);
		CHECK_EQ(*(volatile uint8_t *)&covered[1][5], 0x22);
	}
	looking = false;
	for (unsigned i = 1; i < vp_count; i++) {
		CHECK_EQ(WAIT(work_done(&vps[i])), true);
		check_eq("what was seen", vps[i].failures, 0);
		vps[i].failures = 0;
	}
	test_end();
}

void hyperv_overlays(void)
{
	test_begin("overlay pages cover memory and give it back");
	place(HV_X64_MSR_SIMP, "SIMP");
	place(HV_X64_MSR_SIEFP, "SIEFP");
	test_end();
	test_overlay_under_use();
	test_begin("every processor has its own pages");
	everywhere(place_own);
	test_end();
}
