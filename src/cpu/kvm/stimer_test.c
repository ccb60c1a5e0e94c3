// SPDX-License-Identifier: Apache-2.0
/* KVM's timers as the engine's: each raises one interrupt, not before its time and without an exit, and is taken back without losing or doubling it. */
#include <time.h>

#include "test_apic.h"

#define STARTS 0x1800u /* at DATA: the TSC when the handler began */
#define MILLISECOND (machine_hz / 1000)

static uint64_t machine_hz;

/* Counts at DATA + 8 * VECTOR, and writes down when. */
static void timing_handler(struct test_machine *m)
{
	static const uint8_t code[] = {
		0x50, 0x52,				     /* push rax, rdx */
		0x0F, 0x31, 0x48, 0xC1, 0xE2, 32,	     /* rdtsc; shl rdx, 32 */
		0x48, 0x09, 0xD0,			     /* or rax, rdx */
		0x48, 0x89, 0x83, 0,	0x18, 0,    0,	     /* mov [rbx + STARTS], rax */
		0x5A, 0x58, 0x48, 0xFF, 0x83, 0x80, 2, 0, 0, /* pop; inc [rbx + 8 * VECTOR] */
		0xE9};
	const uint64_t at = HANDLER + 0x2100;
	uint8_t there[5] = {0xE9}, end[4];

	store_le32(there + 1, (uint32_t)(at - (HANDLER + 16 * VECTOR + 5)));
	machine_code(m, HANDLER + 16 * VECTOR, there, sizeof(there));
	machine_code(m, at, code, sizeof(code));
	store_le32(end, (uint32_t)(END - (at + sizeof(code) + 4)));
	machine_code(m, at + sizeof(code), end, sizeof(end));
}

static uint64_t now(struct test_machine *m)
{
	return m->ops->tsc(m->vm);
}

/* Until @ticks from now, or until the vector was counted @n times. False: the guest left for something else than the time. */
static bool run_for(struct test_machine *m, uint64_t ticks, uint64_t n)
{
	const uint64_t end = now(m) + ticks;

	do {
		const struct hv_run how = {.deadline_tsc = now(m) + MILLISECOND};

		m->ops->run(m->vps[0], &how, &m->exit);
	} while (m->exit.kind == HV_EXIT_INTERRUPTED && now(m) < end && counted(m, VECTOR) < n);
	return m->exit.kind == HV_EXIT_INTERRUPTED;
}

static bool set(struct test_machine *m, unsigned n, uint64_t deadline_tsc)
{
	return apic_of(m)->timer_set(m->vps[0], n, VECTOR, deadline_tsc);
}

static bool end(struct test_machine *m, unsigned n)
{
	return apic_of(m)->timer_end(m->vps[0], n);
}

/* sti; hlt; jmp: halted in KVM. Some KVMs' clocks are steady only when a VP has run. */
#define TIMER_MACHINE(t, m)                                                                        \
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);                                                \
	machine_hz = m.ops->tsc_hz(m.vm);                                                          \
	timing_handler(&m);                                                                        \
	EXPECT(t, run_for(&m, 20 * MILLISECOND, 1));                                               \
	if (!set(&m, 3, now(&m) + 1000 * machine_hz)) {                                            \
		machine_fini(&m);                                                                  \
		SKIP(t, "this KVM's clock does not run on the TSC");                               \
	}

static void test_not_before(struct test *t)
{
	TIMER_MACHINE(t, m);

	for (unsigned n = 1; n <= 50; n++) {
		uint64_t deadline = now(&m) + MILLISECOND * (n % 7) / 3;

		EXPECT(t, set(&m, n % 3, deadline));
		EXPECT(t, run_for(&m, 10 * machine_hz, n));
		EXPECT_EQ(t, counted(&m, VECTOR), n);
		EXPECT(t, load_le64(m.ram + DATA + STARTS) >= deadline);
		EXPECT(t, end(&m, n % 3));
	}
	EXPECT(t, !end(&m, 3));
	machine_fini(&m);
}

/* The one before is forgotten. */
static void test_set_anew(struct test *t)
{
	TIMER_MACHINE(t, m);

	EXPECT(t, set(&m, 0, now(&m) + MILLISECOND));
	EXPECT(t, set(&m, 0, now(&m) + 1000 * machine_hz));
	EXPECT(t, run_for(&m, 5 * MILLISECOND, 1));
	EXPECT_EQ(t, counted(&m, VECTOR), 0);
	EXPECT(t, set(&m, 0, now(&m) + MILLISECOND));
	EXPECT(t, run_for(&m, 10 * machine_hz, 1));
	EXPECT(t, run_for(&m, 5 * MILLISECOND, 2));
	EXPECT_EQ(t, counted(&m, VECTOR), 1);
	EXPECT(t, end(&m, 0));
	machine_fini(&m);
}

/* A time that came while the VP was not run is nobody's interrupt yet: whoever takes the timer has to see to it. */
static void test_end_before_run(struct test *t)
{
	TIMER_MACHINE(t, m);

	EXPECT(t, set(&m, 0, now(&m) + MILLISECOND / 10));
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	EXPECT(t, !end(&m, 0));
	EXPECT(t, run_for(&m, 5 * MILLISECOND, 1));
	EXPECT_EQ(t, counted(&m, VECTOR), 0);

	/* And one that is left to KVM is looked at when it runs. */
	EXPECT(t, set(&m, 0, now(&m) + MILLISECOND / 10));
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	EXPECT(t, run_for(&m, 10 * machine_hz, 1));
	EXPECT_EQ(t, counted(&m, VECTOR), 1);
	EXPECT(t, end(&m, 0));
	machine_fini(&m);
}

static void test_switched_off(struct test *t)
{
	MACHINE_THAT(t, m, apic_machine_start(&m, HV_WITHOUT_TIMERS), 0xFB, 0xF4, 0xEB, 0xFC);

	machine_hz = m.ops->tsc_hz(m.vm);
	EXPECT(t, run_for(&m, 20 * MILLISECOND, 1));
	EXPECT(t, !set(&m, 0, now(&m) + MILLISECOND));
	machine_fini(&m);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_not_before), TEST(test_set_anew),
						 TEST(test_end_before_run),
						 TEST(test_switched_off)};

	open_apic_device();
	return test_main(cases, ARRAY_LEN(cases));
}
