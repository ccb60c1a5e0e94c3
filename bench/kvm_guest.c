// SPDX-License-Identifier: Apache-2.0
/*
 * A guest without an operating system that bench/kvm starts on each peer, with two processors: how long a way out of the guest and back
 * takes, by reason; an interrupt between processors; how late timers are. Prints "result: NAME NUMBER" lines on COM1, nanoseconds.
 */
#include "abi/hv.h"
#include "guest.h"

#define BATCHES 9u
#define BATCH 200u
#define PINGS 400u
#define TICKS 300u
#define TICK_100NS 10000u /* 1 ms */
#define VECTOR_PING 0x40u
#define VECTOR_PONG 0x41u
#define VECTOR_TIMER 0x42u
#define MSR_APIC_BASE 0x1Bu
#define MSR_TSC_DEADLINE 0x6E0u
#define MSR_X2APIC_EOI 0x80Bu
#define MSR_X2APIC_SPURIOUS 0x80Fu
#define MSR_X2APIC_ICR 0x830u
#define MSR_X2APIC_TIMER 0x832u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define SECOND_GPA 0x8000u
#define NO_SUCH_CALL 0x0FFFu
#define UNUSED_PORT 0x80u

extern const uint8_t second[], second_end[];

static uint8_t hypercall_page[4096] __attribute__((aligned(4096)));
static struct {
	const char *name, *part;
	uint64_t cycles;
} results[32];
static unsigned result_count;
static volatile uint64_t pongs, fired_tsc;
static volatile bool second_up, second_halts;

static uint64_t now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

static void begin(const char *name)
{
	print("measure: ");
	print(name);
	print("\n");
}

static void note(const char *name, const char *part, uint64_t cycles)
{
	if (result_count < ARRAY_LEN(results)) {
		results[result_count].name = name;
		results[result_count].part = part;
		results[result_count++].cycles = cycles;
	}
}

static void sort(uint64_t *values, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint64_t v = values[i];
		unsigned at = i;

		for (; at > 0 && values[at - 1] > v; at--) {
			values[at] = values[at - 1];
		}
		values[at] = v;
	}
}

/* ---- Ways out and back ---- */

static void way_port(void)
{
	outb(UNUSED_PORT, 0);
}

static void way_msr(void)
{
	rdmsr(HV_X64_MSR_VP_INDEX);
}

static void way_cpuid(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
}

static void way_hypercall(void)
{
	register uint64_t r8 __asm__("r8") = 0;
	uint64_t control = NO_SUCH_CALL, input = 0, status;

	__asm__ volatile("call *%4"
			 : "=a"(status), "+c"(control), "+d"(input), "+r"(r8)
			 : "r"(hypercall_page)
			 : "memory", "cc", "r9", "r10", "r11");
}

static void measure_way(const char *name, void (*way)(void))
{
	uint64_t taken[BATCHES];

	begin(name);
	for (unsigned i = 0; i < BATCHES; i++) {
		uint64_t begun = now();

		for (unsigned k = 0; k < BATCH; k++) {
			way();
		}
		taken[i] = (now() - begun) / BATCH;
	}
	sort(taken, BATCHES);
	note(name, "", taken[BATCHES / 2]);
}

/* ---- Interrupts ---- */

static bool on_trap(struct trap_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_PING:
		wrmsr(MSR_X2APIC_EOI, 0);
		wrmsr(MSR_X2APIC_ICR, VECTOR_PONG); /* to processor 0 */
		return true;
	case VECTOR_PONG:
		pongs++;
		wrmsr(MSR_X2APIC_EOI, 0);
		return true;
	case VECTOR_TIMER:
		fired_tsc = now();
		wrmsr(MSR_X2APIC_EOI, 0);
		return true;
	default:
		return false;
	}
}

static void apic_on(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xC00);
	wrmsr(MSR_X2APIC_SPURIOUS, 0x1FF);
}

void guest_ap_main(unsigned index)
{
	(void)index;
	apic_on();
	second_up = true;
	for (;;) {
		if (second_halts) {
			__asm__ volatile("sti; hlt");
		} else {
			__asm__ volatile("sti; pause");
		}
	}
}

static bool start_second(void)
{
	uint64_t patience = now() + (UINT64_C(1) << 33);

	memcpy((void *)(uintptr_t)SECOND_GPA, second, (size_t)(second_end - second));
	wrmsr(MSR_X2APIC_ICR, UINT64_C(1) << 32 | ICR_INIT);
	for (uint64_t end = now() + 50000000; now() < end;) {
	}
	wrmsr(MSR_X2APIC_ICR, UINT64_C(1) << 32 | ICR_STARTUP | SECOND_GPA >> 12);
	while (!second_up && now() < patience) {
		__asm__ volatile("pause");
	}
	return second_up;
}

/* There and back, interrupt handlers on both sides. */
static void measure_pings(const char *name, bool halted)
{
	static uint64_t taken[PINGS];

	begin(name);
	second_halts = halted;
	wrmsr(MSR_X2APIC_ICR, UINT64_C(1) << 32 | VECTOR_PING); /* so that it looks */
	for (uint64_t end = now() + 20000000; now() < end;) {
		__asm__ volatile("sti; pause; cli");
	}
	for (unsigned i = 0; i < PINGS; i++) {
		uint64_t before = pongs, begun = now();

		wrmsr(MSR_X2APIC_ICR, UINT64_C(1) << 32 | VECTOR_PING);
		while (pongs == before) {
			if (halted) {
				__asm__ volatile("sti; hlt; cli");
			} else {
				__asm__ volatile("sti; pause; cli");
			}
		}
		taken[i] = now() - begun;
	}
	sort(taken, PINGS);
	note(name, "", taken[PINGS / 2]);
}

/* ---- Timers ---- */

static void note_lateness(const char *name, uint64_t *late)
{
	sort(late, TICKS);
	note(name, ", median", late[TICKS / 2]);
	note(name, ", 99 of 100", late[TICKS * 99 / 100]);
	note(name, ", most", late[TICKS - 1]);
}

static uint64_t wait_fired(void)
{
	fired_tsc = 0;
	while (fired_tsc == 0) {
		__asm__ volatile("sti; hlt; cli");
	}
	return fired_tsc;
}

static void measure_deadline(uint64_t tick_cycles)
{
	static uint64_t late[TICKS];

	begin("TSC deadline");
	wrmsr(MSR_X2APIC_TIMER, VECTOR_TIMER | 2u << 17);
	for (unsigned i = 0; i < TICKS; i++) {
		uint64_t deadline = now() + tick_cycles, fired;

		wrmsr(MSR_TSC_DEADLINE, deadline);
		fired = wait_fired();
		late[i] = fired > deadline ? fired - deadline : 0;
	}
	note_lateness("TSC deadline, late", late);
}

static void measure_synthetic(uint64_t tick_cycles)
{
	static uint64_t late[TICKS];

	begin("synthetic timer");
	/* one shot, direct, enabled by a write to its count */
	wrmsr(HV_X64_MSR_STIMER0_CONFIG, UINT64_C(1) << 12 | VECTOR_TIMER << 4 | 1u << 3);
	for (unsigned i = 0; i < TICKS; i++) {
		uint64_t before = now(), reference = rdmsr(HV_X64_MSR_TIME_REF_COUNT);
		uint64_t deadline = before + (now() - before) / 2 + tick_cycles, fired;

		wrmsr(HV_X64_MSR_STIMER0_COUNT, reference + TICK_100NS);
		fired = wait_fired();
		late[i] = fired > deadline ? fired - deadline : 0;
	}
	note_lateness("synthetic timer, late", late);
}

/* ---- All ---- */

static uint64_t cycles_per_ms(void)
{
	uint64_t reference = rdmsr(HV_X64_MSR_TIME_REF_COUNT), begun = now(), passed;

	do {
		passed = rdmsr(HV_X64_MSR_TIME_REF_COUNT) - reference;
	} while (passed < 200 * 10000);
	return (now() - begun) * 10000 / passed;
}

static void print_results(uint64_t per_ms)
{
	for (unsigned i = 0; i < result_count; i++) {
		print("result: ");
		print(results[i].name);
		print(results[i].part);
		print(" = ");
		print_decimal((unsigned)(results[i].cycles * 1000000 / per_ms));
		print("\n");
	}
}

void guest_main(void)
{
	uint32_t r[4];
	uint64_t per_ms;

	trap_hook = on_trap;
	cpuid(HV_CPUID_FUNCTION_INTERFACE, 0, r);
	if (r[0] != HV_CPUID_INTERFACE_SIGNATURE) {
		print("failed: no Hyper-V interface\n");
		return;
	}
	apic_on();
	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0x8100ull << 48);
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)hypercall_page | HV_MSR_PAGE_ENABLE);
	begin("clock");
	per_ms = cycles_per_ms();
	measure_way("port", way_port);
	measure_way("CPUID", way_cpuid);
	measure_way("Hyper-V MSR", way_msr);
	measure_way("hypercall", way_hypercall);
	measure_deadline(per_ms);
	cpuid(HV_CPUID_FUNCTION_FEATURES, 0, r);
	if (r[3] & 1u << 19) {
		measure_synthetic(per_ms);
	}
	begin("second processor");
	if (start_second()) {
		measure_pings("interrupt there and back, running", false);
		measure_pings("interrupt there and back, halted", true);
	}
	print_results(per_ms);
	print("results: end\n");
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}
