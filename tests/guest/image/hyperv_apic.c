// SPDX-License-Identifier: Apache-2.0
/*
 * The local APIC as page, as x2APIC MSRs and as the hypervisor's MSRs, its timers, and interrupts between processors by register and by hypercall.
 * Spec: Intel SDM vol. 3, 11; TLFS 10, 11.11.
 */
#include "hyperv.h"

#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define BASE_X2APIC (1ull << 10)
#define BASE_ENABLE (1ull << 11)
#define SVR_ON 0x1ffu
#define VECTOR 0x61u
#define HIGH_VECTOR 0x91u
#define TIMER_VECTOR 0x71u
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define LVT_DEADLINE 0x40000u
#define LEAF1_TSC_DEADLINE (1u << 24)
#define ICR_NMI 0x400u
#define ICR_LOGICAL 0x800u
#define ICR_SELF 0x40000u
#define ICR_ALL 0x80000u
#define ICR_OTHERS 0xc0000u
#define ROUNDS 50u

static volatile uint32_t *page_register(unsigned reg)
{
	return (volatile uint32_t *)((rdmsr(MSR_APIC_BASE) & 0xffffff000ull) + reg * 16);
}

void apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_ENABLE | BASE_X2APIC);
	apic_write(APIC_SVR, SVR_ON);
}

/* ---- One processor ---- */

static void test_page(void)
{
	struct vp *vp = &vps[0];

	test_begin("the local APIC as a page");
	CHECK_EQ(rdmsr(MSR_APIC_BASE) & (BASE_ENABLE | 0x100), BASE_ENABLE | 0x100);
	CHECK_EQ(*page_register(APIC_ID) >> 24, 0);
	CHECK_EQ(*page_register(APIC_VERSION) & 0xf0, 0x10);
	*page_register(APIC_SVR) = SVR_ON;
	CHECK_EQ(*page_register(APIC_SVR), SVR_ON);
	*page_register(APIC_TPR) = 0xf0;
	CHECK_EQ(*page_register(APIC_TPR), 0xf0);
	CHECK_EQ(rdmsr(HV_X64_MSR_TPR), 0xf0);
	eoi_of[VECTOR] = EOI_MSR;
	*page_register(APIC_ICR_HIGH) = 0;
	*page_register(APIC_ICR) = ICR_SELF | VECTOR;
	let_in();
	check_eq("not with this priority", vp->taken[VECTOR], 0);
	CHECK_EQ(*page_register(APIC_IRR + VECTOR / 32), 1u << VECTOR % 32);
	*page_register(APIC_TPR) = 0;
	CHECK_EQ(WAIT(vp->taken[VECTOR] == 1), true);
	CHECK_EQ(*page_register(APIC_IRR + VECTOR / 32), 0);
	CHECK_EQ(*page_register(APIC_ISR + VECTOR / 32), 0);
	try_rdmsr(0x802);
	check_trap("no MSRs yet", 13, 0);
	test_end();
}

/* KVM, where it has the local APICs, takes bits that do not exist and forgets them. */
static void check_reserved(const char *what)
{
	if (trap.frame.vector != 256) {
		check_trap(what, 13, 0);
	}
}

static void test_x2apic(void)
{
	test_begin("the local APIC as MSRs");
	apic_enable();
	CHECK_EQ(rdmsr(MSR_APIC_BASE) & (BASE_ENABLE | BASE_X2APIC), BASE_ENABLE | BASE_X2APIC);
	CHECK_EQ(apic_read(APIC_ID), 0);
	CHECK_EQ(apic_read(APIC_SVR), SVR_ON);
	try_wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~BASE_X2APIC);
	check_trap("no way back", 13, 0);
	try_wrmsr(0x802, 0);
	check_trap("its number", 13, 0);
	try_wrmsr(0x80b, 1);
	check_reserved("EOI of something");
	try_rdmsr(0x80b);
	check_trap("EOI, read", 13, 0);
	try_wrmsr(0x800 + APIC_TPR, 0x100);
	check_reserved("reserved bits");
	test_end();
}

static void write_cr8(uint64_t v)
{
	__asm__ volatile("movq %0, %%cr8" : : "r"(v) : "memory");
}

static uint64_t read_cr8(void)
{
	uint64_t v;

	__asm__ volatile("movq %%cr8, %0" : "=r"(v));
	return v;
}

static void priorities(struct vp *vp)
{
	eoi_of[VECTOR] = eoi_of[HIGH_VECTOR] = EOI_APIC;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = vp->taken[VECTOR], high = vp->taken[HIGH_VECTOR];

		write_cr8(VECTOR >> 4);
		vp_check(vp, "TPR", apic_read(APIC_TPR), VECTOR & 0xf0);
		vp_check(vp, "the hypervisor's TPR", rdmsr(HV_X64_MSR_TPR), VECTOR & 0xf0);
		apic_write(APIC_SELF_IPI, VECTOR);
		wrmsr(HV_X64_MSR_ICR, ICR_SELF | HIGH_VECTOR);
		let_in();
		vp_check(vp, "held back", vp->taken[VECTOR], before);
		vp_check(vp, "above it", WAIT(vp->taken[HIGH_VECTOR] == high + 1), true);
		vp_check(vp, "requested", apic_bit(APIC_IRR, VECTOR), true);
		if (i & 1) {
			write_cr8(0);
		} else {
			wrmsr(HV_X64_MSR_TPR, 0);
		}
		vp_check(vp, "CR8", read_cr8(), 0);
		vp_check(vp, "let in", WAIT(vp->taken[VECTOR] == before + 1), true);
	}
}

/* An interrupt in service keeps equal and lower ones out until its end. */
static void in_service(struct vp *vp)
{
	uint64_t before;

	eoi_of[HIGH_VECTOR] = EOI_LEFT;
	before = vp->taken[HIGH_VECTOR];
	apic_write(APIC_SELF_IPI, HIGH_VECTOR);
	vp_check(vp, "taken", WAIT(vp->taken[HIGH_VECTOR] == before + 1), true);
	vp_check(vp, "in service", apic_bit(APIC_ISR, HIGH_VECTOR), true);
	before = vp->taken[VECTOR];
	apic_write(APIC_SELF_IPI, VECTOR);
	wait_for(MILLISECOND);
	vp_check(vp, "held back", vp->taken[VECTOR], before);
	wrmsr(HV_X64_MSR_EOI, 0);
	vp_check(vp, "let in", WAIT(vp->taken[VECTOR] == before + 1), true);
	vp_check(vp, "not in service", apic_bit(APIC_ISR, HIGH_VECTOR), false);
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return lo | (uint64_t)hi << 32;
}

/* Where they are offered; the hypervisor cannot have them on every host. */
static void deadlines(struct vp *vp)
{
	uint64_t before = vp->taken[TIMER_VECTOR], due;
	uint32_t leaf[4];

	cpuid(1, 0, leaf);
	if (!(leaf[2] & LEAF1_TSC_DEADLINE)) {
		return;
	}
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR | LVT_DEADLINE);
	for (unsigned i = 0; i < 10; i++) {
		due = rdtsc() + 1000000;
		wrmsr(MSR_TSC_DEADLINE, due);
		vp_check(vp, "at its deadline", WAIT(vp->taken[TIMER_VECTOR] == before + 1 + i),
			 true);
		vp_check(vp, "not before", rdtsc() >= due, true);
		vp_check(vp, "it is over", rdmsr(MSR_TSC_DEADLINE), 0);
	}
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + (1ull << 50));
	wrmsr(MSR_TSC_DEADLINE, 0);
}

static void timers(struct vp *vp)
{
	uint64_t before = vp->taken[TIMER_VECTOR];

	eoi_of[TIMER_VECTOR] = EOI_APIC;
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	apic_write(APIC_TIMER_INITIAL, 200000);
	vp_check(vp, "once", WAIT(vp->taken[TIMER_VECTOR] == before + 1), true);
	vp_check(vp, "at its end", apic_read(APIC_TIMER_CURRENT), 0);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR | LVT_PERIODIC);
	apic_write(APIC_TIMER_INITIAL, 200000);
	vp_check(vp, "again and again", WAIT(vp->taken[TIMER_VECTOR] >= before + 6), true);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
	apic_write(APIC_TIMER_INITIAL, 0);
	wait_for(MILLISECOND);
	deadlines(vp);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

void hyperv_apic(void)
{
	test_page();
	test_x2apic();
}

/* ---- Between processors ---- */

static uint64_t taken_by_all(unsigned vector)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < vp_count; i++) {
		sum += vps[i].taken[vector];
	}
	return sum;
}

static uint64_t send_mask(uint64_t mask)
{
	const struct hv_input_send_synthetic_cluster_ipi in = {.vector = VECTOR,
							       .processor_mask = mask};

	return hypercall_with(HvCallSendSyntheticClusterIpi, &in, sizeof(in));
}

static uint64_t send_fast(uint64_t mask)
{
	return hypercall(HvCallSendSyntheticClusterIpi | CONTROL_FAST, VECTOR, mask);
}

static uint64_t send_sparse(uint64_t mask)
{
	const uint64_t words[4] = {VECTOR, HV_GENERIC_SET_SPARSE_4K, 1, mask};

	return hypercall_with(HvCallSendSyntheticClusterIpiEx | 1ull << HV_HYPERCALL_VARHEAD_SHIFT,
			      words, sizeof(words));
}

static uint64_t send_registers(uint64_t mask)
{
	for (unsigned i = 0; i < vp_count; i++) {
		if ((mask >> i) & 1) {
			apic_write(APIC_ICR, (uint64_t)i << 32 | VECTOR);
		}
	}
	return 0;
}

static uint64_t send_msr(uint64_t mask)
{
	for (unsigned i = 0; i < vp_count; i++) {
		if ((mask >> i) & 1) {
			wrmsr(HV_X64_MSR_ICR, (uint64_t)i << 32 | VECTOR);
		}
	}
	return 0;
}

static uint64_t send_logical(uint64_t mask)
{
	apic_write(APIC_ICR, mask << 32 | ICR_LOGICAL | VECTOR);
	return 0;
}

/* Every set of processors gets it, each member once, and nobody else. */
static void sets(const char *name, uint64_t (*send)(uint64_t mask))
{
	test_begin(name);
	for (uint64_t mask = 1; mask < 1ull << vp_count; mask++) {
		uint64_t before[VPS_MAX];

		for (unsigned i = 0; i < vp_count; i++) {
			before[i] = vps[i].taken[VECTOR];
		}
		CHECK_EQ(send(mask), 0);
		for (unsigned i = 0; i < vp_count; i++) {
			uint64_t want = before[i] + ((mask >> i) & 1);

			check_eq("its interrupts", WAIT(vps[i].taken[VECTOR] >= want), true);
			check_eq("not more than its own", vps[i].taken[VECTOR], want);
		}
	}
	test_end();
}

static volatile bool asleep;

static void sleep_until_told(struct vp *vp)
{
	(void)vp;
	while (asleep) {
		halt();
	}
}

/* Processors that halt are woken by each way to send, again and again. */
static void test_sleepers(void)
{
	static uint64_t (*const ways[])(uint64_t mask) = {send_mask, send_fast, send_sparse,
							  send_registers, send_logical};
	uint64_t others = (1ull << vp_count) - 2, before;

	test_begin("interrupts wake processors that halt");
	asleep = true;
	for (unsigned i = 1; i < vp_count; i++) {
		give_work(&vps[i], sleep_until_told);
	}
	for (unsigned n = 0; n < ROUNDS; n++) {
		before = taken_by_all(VECTOR);
		CHECK_EQ(ways[n % ARRAY_LEN(ways)](others), 0);
		CHECK_EQ(WAIT(taken_by_all(VECTOR) == before + vp_count - 1), true);
	}
	asleep = false;
	send_registers(others);
	for (unsigned i = 1; i < vp_count; i++) {
		CHECK_EQ(WAIT(work_done(&vps[i])), true);
	}
	test_end();
}

static void test_shorthands(void)
{
	uint64_t all = taken_by_all(VECTOR), own = vps[0].taken[VECTOR];

	test_begin("shorthands");
	apic_write(APIC_ICR, ICR_ALL | VECTOR);
	CHECK_EQ(WAIT(taken_by_all(VECTOR) == all + vp_count), true);
	apic_write(APIC_ICR, ICR_OTHERS | VECTOR);
	CHECK_EQ(WAIT(taken_by_all(VECTOR) == all + 2 * vp_count - 1), true);
	CHECK_EQ(vps[0].taken[VECTOR], own + 1);
	apic_write(APIC_ICR, ICR_SELF | VECTOR);
	CHECK_EQ(WAIT(vps[0].taken[VECTOR] == own + 2), true);
	CHECK_EQ(taken_by_all(VECTOR), all + 2 * vp_count);
	test_end();
}

static void test_nmi(void)
{
	test_begin("non-maskable interrupts");
	for (unsigned i = 1; i < vp_count; i++) {
		for (unsigned n = 0; n < 10; n++) {
			uint64_t before = vps[i].nmis;

			apic_write(APIC_ICR, (uint64_t)i << 32 | ICR_NMI);
			CHECK_EQ(WAIT(vps[i].nmis == before + 1), true);
		}
	}
	test_end();
}

static void test_refused(void)
{
	const struct hv_input_send_synthetic_cluster_ipi low = {.vector = 15, .processor_mask = 1};
	const struct hv_input_send_synthetic_cluster_ipi high = {.vector = 256,
								 .processor_mask = 1};
	const uint64_t format[4] = {VECTOR, 9, 1, 1};

	test_begin("interrupts that cannot be sent");
	CHECK_EQ(hypercall_with(HvCallSendSyntheticClusterIpi, &low, sizeof(low)),
		 HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(hypercall_with(HvCallSendSyntheticClusterIpi, &high, sizeof(high)),
		 HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(
		hypercall_with(HvCallSendSyntheticClusterIpiEx | 1ull << HV_HYPERCALL_VARHEAD_SHIFT,
			       format, sizeof(format)),
		HV_STATUS_INVALID_PARAMETER);
	test_end();
}

/* Everybody to everybody at the same time: none is lost, none comes twice. */
static volatile uint64_t sent;

static void storm(struct vp *vp)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned other = (vp->index + 1 + i) % vp_count;
		uint64_t before = vps[other].taken[HIGH_VECTOR + 1 + vp->index];

		wrmsr(HV_X64_MSR_ICR, (uint64_t)other << 32 | (HIGH_VECTOR + 1 + vp->index));
		__asm__ volatile("lock incq %0" : "+m"(sent) : : "cc");
		vp_check(vp, "it arrives",
			 WAIT(vps[other].taken[HIGH_VECTOR + 1 + vp->index] == before + 1), true);
	}
}

void hyperv_ipis(void)
{
	static const struct {
		const char *name;
		void (*work)(struct vp *vp);
	} tests[] = {
		{"priorities", priorities},
		{"an interrupt in service", in_service},
		{"timers of the local APIC", timers},
		{"everybody interrupts everybody", storm},
	};

	eoi_of[VECTOR] = EOI_APIC;
	for (unsigned i = 0; i < VPS_MAX; i++) {
		eoi_of[HIGH_VECTOR + 1 + i] = i & 1 ? EOI_MSR : EOI_APIC;
	}
	sets("IPIs by hypercall, mask in memory", send_mask);
	sets("IPIs by fast hypercall", send_fast);
	sets("IPIs by hypercall, sparse set", send_sparse);
	sets("IPIs by x2APIC register", send_registers);
	sets("IPIs by the hypervisor's register", send_msr);
	sets("IPIs to logical destinations", send_logical);
	test_shorthands();
	test_sleepers();
	test_nmi();
	test_refused();
	for (unsigned i = 0; i < ARRAY_LEN(tests); i++) {
		test_begin(tests[i].name);
		everywhere(tests[i].work);
		test_end();
	}
}
