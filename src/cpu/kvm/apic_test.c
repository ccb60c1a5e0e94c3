// SPDX-License-Identifier: Apache-2.0
/*
 * Local APICs in KVM: their state there and back, interrupts that stop nobody, levels and their EOIs, task priority, the 8259's interrupts, numbers
 * of many bits, startup; and a storm of interrupts from several threads while VPs are kicked and their state is carried away and back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "test_apic.h"

/* ---- A VP on a thread of its own ---- */

struct runner {
	struct test_machine *m;
	unsigned vp;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned exits[16];
};

static void *run_vp(void *arg)
{
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE};
	struct runner *r = arg;
	struct hv_exit exit;

	while (!atomic_load(&r->stop)) {
		r->m->ops->run(r->m->vps[r->vp], &how, &exit);
		atomic_fetch_add(&r->exits[exit.kind], 1);
		if (exit.kind == HV_EXIT_FAILED) {
			printf("# %s\n", exit.failed.what);
			return NULL;
		}
	}
	return NULL;
}

static void runner_start(struct runner *r, struct test_machine *m, unsigned vp)
{
	*r = (struct runner){.m = m, .vp = vp};
	pthread_create(&r->thread, NULL, run_vp, r);
}

static void runner_stop(struct runner *r)
{
	atomic_store(&r->stop, true);
	r->m->ops->kick(r->m->vps[r->vp]);
	pthread_join(r->thread, NULL);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void wait_counted(struct test_machine *m, uint8_t vector, uint64_t n)
{
	while (counted(m, vector) < n) {
		nap();
	}
}

/* ---- State ---- */

static void test_carry(struct test *t)
{
	APIC_MACHINE(t, m, 0xF4);
	struct hv_engine_apic a = fresh(0, XAPIC_BASE), back;

	a.tpr = 0x2F;
	a.ldr = 0x04000000;
	a.icr_low = 0x000840F1;
	a.icr_high = 0x03000000;
	a.lvt[0] = 0x200EC; /* periodic */
	a.lvt[3] = LVT_EXTINT;
	a.divide = 0xA;
	a.initial_count = UINT32_MAX;
	a.current_count = UINT32_MAX / 2;
	a.irr[2] = 0x11;
	a.isr[1] = 0x80;
	a.tmr[1] = 0x80;
	a.activity = HV_ACTIVITY_HALTED;
	apic_of(&m)->give(m.vps[0], &a);
	EXPECT_EQ(t, apic_of(&m)->cr8(m.vps[0]), 2);
	EXPECT_EQ(t, apic_of(&m)->base(m.vps[0]), a.base);
	/* Writing control registers touches the priority. */
	machine_set(&m, 0, HvX64RegisterCr2, 0x1234);
	machine_get(&m, 0, HvX64RegisterCr2);
	apic_of(&m)->take(m.vps[0], &back);
	EXPECT(t,
	       back.current_count <= a.current_count && back.current_count > a.current_count / 2);
	back.current_count = a.current_count;
	EXPECT_MEM(t, &back, &a, sizeof(a));

	a = fresh(1, X2APIC_BASE);
	a.lvt[0] = 0x400EC; /* TSC deadline */
	a.tsc_deadline = UINT64_C(1) << 60;
	a.activity = HV_ACTIVITY_WAITS_FOR_SIPI;
	apic_of(&m)->give(m.vps[1], &a);
	apic_of(&m)->take(m.vps[1], &back);
	EXPECT_MEM(t, &back, &a, sizeof(a));
	machine_fini(&m);
}

/* ---- Interrupts ---- */

/* sti; hlt; jmp: halted in KVM between interrupts, and never out. */
static void test_without_exit(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);
	struct runner r;

	counting_handler(&m, VECTOR);
	runner_start(&r, &m, 0);
	for (unsigned n = 1; n <= 200; n++) {
		apic_of(&m)->request(m.vps[0], VECTOR);
		wait_counted(&m, VECTOR, n);
	}
	runner_stop(&r);
	EXPECT_EQ(t, counted(&m, VECTOR), 200);
	EXPECT_EQ(t, atomic_load(&r.exits[HV_EXIT_HALT]), 0);
	EXPECT_EQ(t, atomic_load(&r.exits[HV_EXIT_MSR]), 0);
	EXPECT_EQ(t, atomic_load(&r.exits[HV_EXIT_INTERRUPTED]), 1); /* the last kick */
	machine_fini(&m);
}

static void test_level(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);
	const struct hv_engine_message level = {.destination = 0, .vector = VECTOR, .level = true};

	counting_handler(&m, VECTOR);
	for (unsigned n = 1; n <= 3; n++) {
		apic_of(&m)->message(m.vm, &level);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_EOI);
		EXPECT_EQ(t, m.exit.eoi.vector, VECTOR);
		EXPECT_EQ(t, counted(&m, VECTOR), n);
	}
	machine_fini(&m);
}

/* More of them than KVM has places for: each is told of all the same. */
static void test_many_levels(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);

	for (unsigned v = 0x20; v < 0x20 + 80; v++) {
		const struct hv_engine_message level = {.vector = (uint8_t)v, .level = true};

		counting_handler(&m, (uint8_t)v);
		apic_of(&m)->message(m.vm, &level);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_EOI);
		EXPECT_EQ(t, m.exit.eoi.vector, v);
	}
	machine_fini(&m);
}

static void test_priority(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB,	     /* sti */
		     0x44, 0x0F, 0x22, 0xC0, /* mov cr8, rax */
		     0xE6, 0x10,	     /* out 0x10, al */
		     0x31, 0xC0,	     /* xor eax, eax */
		     0x44, 0x0F, 0x22, 0xC0, /* mov cr8, rax */
		     0xE6, 0x11);	     /* out 0x11, al */

	counting_handler(&m, VECTOR);
	machine_set(&m, 0, HvX64RegisterRax, 5);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, apic_of(&m)->cr8(m.vps[0]), 5);
	machine_answer(&m, 0, 0);
	apic_of(&m)->request(m.vps[0], VECTOR);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, m.exit.port.port, 0x11);
	EXPECT_EQ(t, counted(&m, VECTOR), 1);
	machine_fini(&m);
}

/* ---- The 8259 ---- */

static enum hv_exit_kind run_for_window(struct test_machine *m)
{
	const struct hv_run how = {.deadline_tsc = __builtin_ia32_rdtsc() + 300000000,
				   .want_interrupt_window = true};

	m->ops->run(m->vps[0], &how, &m->exit);
	return m->exit.kind;
}

static void test_extint(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xE6, 0x10); /* sti; hlt; out 0x10, al */
	struct hv_engine_apic a = fresh(0, X2APIC_BASE);
	static const uint8_t count[] = {0x48, 0xFF, 0x03, 0x48, 0xCF}; /* inc [rbx]; iretq */

	machine_code(&m, HANDLER + 16 * VECTOR, count, sizeof(count));
	/* LINT0 is masked: no window, and the VP halts. */
	EXPECT_EQ(t, run_for_window(&m), HV_EXIT_INTERRUPTED);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0]));
	apic_of(&m)->take(m.vps[0], &a);
	EXPECT_EQ(t, a.activity, HV_ACTIVITY_HALTED);
	a.lvt[3] = LVT_EXTINT;
	apic_of(&m)->give(m.vps[0], &a);
	EXPECT_EQ(t, run_for_window(&m), HV_EXIT_INTERRUPT_WINDOW);
	EXPECT(t, m.ops->can_interrupt(m.vps[0]));
	m.ops->inject_interrupt(m.vps[0], VECTOR);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0]));
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, load_le64(m.ram + DATA), 1);
	/* It was no interrupt of the APIC's. */
	apic_of(&m)->take(m.vps[0], &a);
	EXPECT_EQ(t, a.isr[VECTOR / 32], 0);
	machine_fini(&m);
}

/* ---- Who is meant ---- */

static void test_wide_ids(struct test *t)
{
	APIC_MACHINE(t, m, 0xF4);
	struct hv_engine_apic a = fresh(257, X2APIC_BASE);
	struct hv_engine_message to = {.destination = 257, .vector = VECTOR};
	struct hv_engine_vp *far = NULL;

	EXPECT_EQ(t, m.ops->vp_create(m.vm, 257, &far), 0);
	apic_of(&m)->give(far, &a);
	apic_of(&m)->message(m.vm, &to);
	apic_of(&m)->take(far, &a);
	EXPECT_EQ(t, a.irr[VECTOR / 32], BIT32(VECTOR % 32));
	apic_of(&m)->take(m.vps[1], &a);
	EXPECT_EQ(t, a.irr[VECTOR / 32], 0);
	/* And to all. */
	to = (struct hv_engine_message){.destination = UINT32_MAX, .vector = VECTOR + 1};
	apic_of(&m)->message(m.vm, &to);
	apic_of(&m)->take(far, &a);
	EXPECT_EQ(t, a.irr[VECTOR / 32], BIT32(VECTOR % 32) | BIT32(VECTOR % 32 + 1));
	apic_of(&m)->take(m.vps[1], &a);
	EXPECT_EQ(t, a.irr[VECTOR / 32], BIT32(VECTOR % 32 + 1));
	m.ops->vp_destroy(far);
	machine_fini(&m);
}

/* INIT and SIPI go by in KVM; registers here must not be those of before. */
static void test_startup(struct test *t)
{
	APIC_MACHINE(t, m, 0xE6, 0x10); /* out 0x10, al */
	struct hv_engine_apic a = fresh(1, X2APIC_BASE);
	const struct hv_engine_message init = {.type = 5, .destination = 1},
				       sipi = {.type = 6, .destination = 1, .vector = CODE >> 12};

	EXPECT_EQ(t, machine_get(&m, 1, HvX64RegisterRip), CODE);
	/* Changed before the INIT, and not in KVM yet. */
	machine_set(&m, 1, HvX64RegisterRip, CODE + 1);
	machine_set(&m, 1, HvX64RegisterCr2, 0x1234);
	apic_of(&m)->message(m.vm, &init);
	EXPECT_EQ(t, apic_of(&m)->activity(m.vps[1]), HV_ACTIVITY_WAITS_FOR_SIPI);
	EXPECT_EQ(t, machine_get(&m, 1, HvX64RegisterRip), 0xFFF0);
	apic_of(&m)->message(m.vm, &sipi);
	EXPECT_EQ(t, machine_run(&m, 1), HV_EXIT_PORT);
	EXPECT_EQ(t, m.exit.port.port, 0x10);
	EXPECT_EQ(t, machine_get(&m, 1, HvX64RegisterRip), 0);
	EXPECT(t, !(machine_get(&m, 1, HvX64RegisterCr0) & X86_CR0_PE));
	apic_of(&m)->take(m.vps[1], &a);
	EXPECT_EQ(t, a.activity, HV_ACTIVITY_RUNNING);
	machine_fini(&m);
}

/* An NMI from another VP comes when an exception waits here to be written. */
static void test_nmi_meanwhile(struct test *t)
{
	APIC_MACHINE(t, m, 0xE6, 0x10, 0x90); /* out 0x10, al; nop */
	const struct hv_engine_message nmi = {.type = 4, .destination = 0};

	machine_code(&m, HANDLER + 16 * X86_EXC_GP, "\xE6\x11", 2);
	machine_code(&m, HANDLER + 16 * X86_EXC_NMI, "\xE6\x12\x48\xCF",
		     4); /* out 0x12, al; iretq */
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	machine_answer(&m, 0, 0);
	m.ops->inject_exception(m.vps[0], X86_EXC_GP, true, 0, 0);
	apic_of(&m)->message(m.vm, &nmi);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, m.exit.port.port, 0x12);
	machine_answer(&m, 0, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, m.exit.port.port, 0x11);
	machine_fini(&m);
}

/* ---- Hyper-V's part ---- */

static void test_auto_eoi(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);
	static const uint8_t count[] = {
		0x48, 0xFF, 0x83, VECTOR * 8 & 0xFF, VECTOR * 8 >> 8, 0,
		0,    0x48, 0xCF}; /* inc [rbx + 8 * vector]; iretq: no EOI */
	struct runner r;

	machine_code(&m, HANDLER + 16 * VECTOR, count, sizeof(count));
	apic_of(&m)->auto_eoi(m.vps[0], 2, VECTOR, true);
	runner_start(&r, &m, 0);
	for (unsigned n = 1; n <= 5; n++) {
		apic_of(&m)->request(m.vps[0], VECTOR);
		wait_counted(&m, VECTOR, n);
	}
	runner_stop(&r);
	EXPECT_EQ(t, counted(&m, VECTOR), 5);
	machine_fini(&m);
}

/* The handler asks the VP assist page whether an EOI is needed, and counts those that are not. */
static void test_assist(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);
	static const uint8_t ask[] = {0x48, 0xFF, 0x83, 0, 0x18, 0, 0, /* inc [rbx + 0x1800] */
				      0x0F, 0xBA, 0xB3, 0, 0x10, 0, 0,
				      0,			       /* btr [rbx + 0x1000], 0 */
				      0x73, 9,			       /* jnc END */
				      0x48, 0xFF, 0x83, 8, 0x18, 0, 0, /* inc [rbx + 0x1808] */
				      0x48, 0xCF, 0xE9};
	const uint64_t at = HANDLER + 0x2100, counts = DATA + 0x1800;
	struct hv_engine_apic a;
	uint8_t to_ask[5] = {0xE9}, to_end[4];
	struct runner r;

	store_le32(to_ask + 1, (uint32_t)(at - (HANDLER + 16 * VECTOR + 5)));
	machine_code(&m, HANDLER + 16 * VECTOR, to_ask, sizeof(to_ask));
	machine_code(&m, at, ask, sizeof(ask));
	store_le32(to_end, (uint32_t)(END - (at + sizeof(ask) + 4)));
	machine_code(&m, at + sizeof(ask), to_end, sizeof(to_end));
	apic_of(&m)->assist(m.vps[0], (DATA + 0x1000) | 1);
	runner_start(&r, &m, 0);
	for (uint64_t n = 1; n <= 20; n++) {
		apic_of(&m)->request(m.vps[0], VECTOR);
		while (__atomic_load_n((uint64_t *)(void *)(m.ram + counts), __ATOMIC_SEQ_CST) <
		       n) {
			nap();
		}
	}
	runner_stop(&r);
	EXPECT_EQ(t, load_le64(m.ram + counts), 20);
	EXPECT(t, load_le64(m.ram + counts + 8) > 0);
	/* Whichever way, none is left in service. */
	apic_of(&m)->take(m.vps[0], &a);
	EXPECT_EQ(t, a.isr[VECTOR / 32], 0);
	machine_fini(&m);
}

/* A handler that exits for an MSR first is offered to leave out the EOI all the same; not where the host's own interrupt comes in between. */
static void test_assist_after_exit(struct test *t)
{
	APIC_MACHINE(t, m, 0x8B, 0x83, 0, 0x10, 0,
		     0,			      /* mov eax, [rbx + 0x1000]: mapped from here on */
		     0xFB, 0x90, 0xEB, 0xFE); /* sti; nop; jmp $ */
	static const uint8_t ask[] = {0xB9, 0xB1, 0,	0,    0x40,	  /* mov ecx, 0x400000B1 */
				      0x31, 0xC0, 0x31, 0xD2, 0x0F, 0x30, /* zero; wrmsr */
				      0x0F, 0xBA, 0xB3, 0,    0x10, 0,	  0,
				      0,		/* btr [rbx + 0x1000], 0 */
				      0x0F, 0x92, 0xC0, /* setc al */
				      0xE6, 0x10,	/* out 0x10, al */
				      0x72, 5,	  0xE9, 0,    0,    0,	  0, /* jnc END */
				      0x48, 0xCF};
	const uint64_t at = HANDLER + 0x2100;
	uint8_t to_ask[5] = {0xE9}, to_end[4];
	unsigned offers = 0;

	store_le32(to_ask + 1, (uint32_t)(at - (HANDLER + 16 * VECTOR + 5)));
	store_le32(to_end, (uint32_t)(END - (at + sizeof(ask) - 2)));
	machine_code(&m, HANDLER + 16 * VECTOR, to_ask, sizeof(to_ask));
	machine_code(&m, at, ask, sizeof(ask));
	machine_code(&m, at + sizeof(ask) - 6, to_end, sizeof(to_end));
	apic_of(&m)->assist(m.vps[0], (DATA + 0x1000) | 1);
	for (unsigned n = 0; n < 20; n++) {
		apic_of(&m)->request(m.vps[0], VECTOR);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MSR);
		EXPECT_EQ(t, m.exit.msr.index, 0x400000B1);
		machine_answer(&m, 0, 0);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
		offers += m.exit.port.data;
		machine_answer(&m, 0, 0);
	}
	EXPECT(t, offers > 0);
	machine_fini(&m);
}

/* ---- A storm ---- */

#define SENDERS 3u
#define EACH 60u

struct storm {
	struct test_machine *m;
	pthread_rwlock_t home; /* held for writing while APICs are carried */
	_Atomic bool go_on;
};

struct sender {
	struct storm *storm;
	unsigned number;
	pthread_t thread;
	bool done;
};

/* One vector each, to both VPs in turn; the next when the one before was counted: what is counted more or less shows. */
static void *send(void *arg)
{
	struct sender *s = arg;
	struct test_machine *m = s->storm->m;
	uint8_t vector = (uint8_t)(VECTOR + 16 * s->number);

	for (unsigned n = 1; n <= EACH; n++) {
		const struct hv_engine_message to = {.destination = n % VPS, .vector = vector};

		pthread_rwlock_rdlock(&s->storm->home);
		if (n % 3 == 0) {
			apic_of(m)->message(m->vm, &to);
		} else {
			apic_of(m)->request(m->vps[n % VPS], vector);
		}
		pthread_rwlock_unlock(&s->storm->home);
		wait_counted(m, vector, n);
	}
	return NULL;
}

/* Stops the VPs, carries everything out of KVM and back in, and lets them run again. */
static void carry(struct storm *s, struct runner *runners)
{
	struct hv_engine_apic a;
	uint8_t state[4096];

	pthread_rwlock_wrlock(&s->home);
	for (unsigned n = 0; n < VPS; n++) {
		runner_stop(&runners[n]);
	}
	for (unsigned n = 0; n < VPS; n++) {
		struct hv_engine_vp *vp = s->m->vps[n];

		apic_of(s->m)->take(vp, &a);
		size_t bytes = s->m->ops->save(vp, state, sizeof(state));

		if (!s->m->ops->restore(vp, state, bytes)) {
			abort();
		}
		apic_of(s->m)->give(vp, &a);
	}
	for (unsigned n = 0; n < VPS; n++) {
		runner_start(&runners[n], s->m, n);
	}
	pthread_rwlock_unlock(&s->home);
}

static uint64_t all_counted(struct test_machine *m)
{
	uint64_t sum = 0;

	for (unsigned n = 0; n < SENDERS; n++) {
		sum += counted(m, (uint8_t)(VECTOR + 16 * n));
	}
	return sum;
}

/* VPs that are kicked faster than they get to their first instruction would go nowhere: some machines are that slow. */
static void let_them_run(struct test_machine *m, uint64_t before)
{
	for (unsigned i = 0; i < 1000 && all_counted(m) == before; i++) {
		nap();
	}
}

static void test_storm(struct test *t)
{
	APIC_MACHINE(t, m, 0xFB, 0xF4, 0xEB, 0xFC);
	struct storm s = {.m = &m, .home = PTHREAD_RWLOCK_INITIALIZER};
	struct sender senders[SENDERS];
	struct runner runners[VPS];
	unsigned rounds = 0;

	for (unsigned n = 0; n < SENDERS; n++) {
		counting_handler(&m, (uint8_t)(VECTOR + 16 * n));
		senders[n] = (struct sender){.storm = &s, .number = n};
	}
	for (unsigned n = 0; n < VPS; n++) {
		runner_start(&runners[n], &m, n);
	}
	for (unsigned n = 0; n < SENDERS; n++) {
		pthread_create(&senders[n].thread, NULL, send, &senders[n]);
	}
	for (uint64_t seen; (seen = all_counted(&m)) < SENDERS * EACH; rounds++) {
		m.ops->kick(m.vps[rounds % VPS]);
		if (rounds % 16 == 0) {
			carry(&s, runners);
		}
		let_them_run(&m, seen);
	}
	for (unsigned n = 0; n < SENDERS; n++) {
		pthread_join(senders[n].thread, NULL);
	}
	for (unsigned n = 0; n < VPS; n++) {
		runner_stop(&runners[n]);
	}
	for (unsigned n = 0; n < SENDERS; n++) {
		EXPECT_EQ(t, counted(&m, (uint8_t)(VECTOR + 16 * n)), EACH);
	}
	printf("# carried or kicked %u times\n", rounds);
	pthread_rwlock_destroy(&s.home);
	machine_fini(&m);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_carry),	TEST(test_without_exit), TEST(test_level),
		TEST(test_many_levels), TEST(test_priority),	 TEST(test_extint),
		TEST(test_wide_ids),	TEST(test_startup),	 TEST(test_nmi_meanwhile),
		TEST(test_auto_eoi),	TEST(test_assist),	 TEST(test_assist_after_exit),
		TEST(test_storm)};

	open_apic_device();
	return test_main(cases, ARRAY_LEN(cases));
}
