// SPDX-License-Identifier: Apache-2.0
/* The engine on small programs: exits and how they are finished, dropped or answered with faults; memory; kicks and deadlines; clocks. */
#include "test_kvm.h"

#include <pthread.h>
#include <stdatomic.h>

static void test_halt(struct test *t)
{
	MACHINE(t, m, 0x48, 0xC7, 0xC0, 0x2A, 0, 0, 0, /* mov rax, 42 */
		0x48, 0x01, 0xC3,		       /* add rbx, rax */
		0xF4);				       /* hlt */

	machine_set(&m, 0, HvX64RegisterRbx, 100);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRbx), 142);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE + 11);
	machine_fini(&m);
}

static void test_port(struct test *t)
{
	MACHINE(t, m, 0xE6, 0x10, /* out 0x10, al */
		0x66, 0xE5, 0x20, /* in ax, 0x20 */
		0xF4);

	machine_set(&m, 0, HvX64RegisterRax, 0x1122334455667788);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT(t, m.exit.port.write && m.exit.port.port == 0x10 && m.exit.port.bytes == 1);
	EXPECT_EQ(t, m.exit.port.data, 0x88);
	machine_answer(&m, 0, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT(t, !m.exit.port.write && m.exit.port.port == 0x20 && m.exit.port.bytes == 2);
	machine_answer(&m, 0, 0xABCD);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 0x112233445566ABCD);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	machine_fini(&m);
}

static void test_string_port(struct test *t)
{
	MACHINE(t, m, 0xF3, 0x6E, /* rep outsb */
		0xB1, 3,	  /* mov cl, 3 */
		0xF3, 0x6C,	  /* rep insb */
		0xF4);

	memcpy(m.ram + DATA, "hello", 5);
	machine_set(&m, 0, HvX64RegisterRdx, 0x3F8);
	machine_set(&m, 0, HvX64RegisterRcx, 5);
	machine_set(&m, 0, HvX64RegisterRsi, DATA);
	machine_set(&m, 0, HvX64RegisterRdi, DATA + 64);
	for (unsigned i = 0; i < 5; i++) {
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
		EXPECT(t, m.exit.port.write && m.exit.port.bytes == 1);
		EXPECT_EQ(t, m.exit.port.data, "hello"[i]);
		machine_answer(&m, 0, 0);
	}
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRcx), 0);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRsi), DATA + 5);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
		EXPECT(t, !m.exit.port.write);
		machine_answer(&m, 0, (uint64_t)'x' + i);
	}
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_MEM(t, m.ram + DATA + 64, "xyz", 3);
	machine_fini(&m);
}

static void test_port_dropped(struct test *t)
{
	MACHINE(t, m, 0xE4, 0x10, 0xF4); /* in al, 0x10 */

	machine_set(&m, 0, HvX64RegisterRax, 0x77);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	m.ops->abandon(m.vps[0]);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 0x77);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	m.ops->inject_exception(m.vps[0], X86_EXC_GP, true, 0x1234, 0);
	machine_code(&m, HANDLER + 16 * X86_EXC_GP, "\xF4", 1);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), HANDLER + 16 * X86_EXC_GP + 1);
	EXPECT_EQ(t, load_le64(m.ram + machine_get(&m, 0, HvX64RegisterRsp)), 0x1234);
	EXPECT_EQ(t, load_le64(m.ram + machine_get(&m, 0, HvX64RegisterRsp) + 8), CODE);
	machine_fini(&m);
}

static void test_memory(struct test *t)
{
	MACHINE(t, m, 0x8B, 0x03,    /* mov eax, [rbx] */
		0x48, 0x89, 0x43, 8, /* mov [rbx + 8], rax */
		0xF4);

	machine_set(&m, 0, HvX64RegisterRbx, MMIO_GPA + 0x10);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MEMORY);
	EXPECT_EQ(t, m.exit.memory.gpa, MMIO_GPA + 0x10);
	EXPECT(t, m.exit.memory.access == HV_ACCESS_READ && m.exit.memory.bytes == 4);
	EXPECT(t, !m.exit.memory.mapped);
	machine_answer(&m, 0, 0xCAFEF00D);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MEMORY);
	EXPECT(t, m.exit.memory.access == HV_ACCESS_WRITE && m.exit.memory.bytes == 8);
	EXPECT_EQ(t, m.exit.memory.data, 0xCAFEF00D);
	machine_answer(&m, 0, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	machine_fini(&m);
}

static void test_memory_dropped(struct test *t)
{
	MACHINE(t, m, 0x8B, 0x03, 0xF4); /* mov eax, [rbx] */

	machine_set(&m, 0, HvX64RegisterRbx, MMIO_GPA);
	machine_set(&m, 0, HvX64RegisterRax, 5);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MEMORY);
	m.ops->abandon(m.vps[0]);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 5);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MEMORY);
	machine_answer(&m, 0, 6);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 6);
	machine_fini(&m);
}

/* A page that cannot be written, over memory that can; beneath it nothing changes. */
static void test_overlay(struct test *t)
{
	MACHINE(t, m, 0x8B, 0x03, /* mov eax, [rbx] */
		0x89, 0x0B,	  /* mov [rbx], ecx */
		0xEB, 0xFA);	  /* back to the start */
	uint8_t *page = test_pages_alloc(1);
	struct gmem_overlay overlay;

	store_le32(m.ram + DATA, 1);
	store_le32(page, 2);
	machine_set(&m, 0, HvX64RegisterRbx, DATA);
	machine_set(&m, 0, HvX64RegisterRcx, 3);
	EXPECT_EQ(t, gmem_overlay_add(&m.gmem, &overlay, DATA >> 12, page, GMEM_R), 0);
	m.ops->gpa_changed(m.vm, DATA >> 12, 1);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MEMORY);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 2);
	EXPECT(t, m.exit.memory.access == HV_ACCESS_WRITE && m.exit.memory.mapped);
	EXPECT_EQ(t, m.exit.memory.gpa, DATA);
	m.ops->abandon(m.vps[0]);
	machine_set(&m, 0, HvX64RegisterRip, CODE + 2);
	gmem_overlay_remove(&m.gmem, &overlay);
	m.ops->gpa_changed(m.vm, DATA >> 12, 1);
	machine_code(&m, CODE + 4, "\xF4", 1);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, load_le32(m.ram + DATA), 3);
	EXPECT_EQ(t, load_le32(page), 2);
	machine_fini(&m);
	free(page);
}

static void test_execute_nothing(struct test *t)
{
	MACHINE(t, m, 0xFF, 0xE0); /* jmp rax */

	machine_set(&m, 0, HvX64RegisterRax, MMIO_GPA);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MEMORY);
	EXPECT_EQ(t, m.exit.memory.access, HV_ACCESS_EXECUTE);
	EXPECT_EQ(t, m.exit.memory.gpa, MMIO_GPA);
	m.ops->inject_exception(m.vps[0], X86_EXC_UD, false, 0, 0);
	machine_code(&m, HANDLER + 16 * X86_EXC_UD, "\xF4", 1);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, load_le64(m.ram + machine_get(&m, 0, HvX64RegisterRsp)), MMIO_GPA);
	machine_fini(&m);
}

/* One RDMSR and one WRMSR of ECX. */
static void test_msr_foreign(struct test *t)
{
	static const uint32_t indexes[] = {0x40000000, 0x40000001, 0x40000070, 0x400000B0, 0x1B,
					   0x802,      0x830,	   0x83F,      0x12345};
	MACHINE(t, m, 0x0F, 0x32, /* rdmsr */
		0x0F, 0x30,	  /* wrmsr */
		0xF4);

	for (size_t i = 0; i < ARRAY_LEN(indexes); i++) {
		machine_set(&m, 0, HvX64RegisterRip, CODE);
		machine_set(&m, 0, HvX64RegisterRcx, indexes[i]);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MSR);
		EXPECT(t, !m.exit.msr.write);
		EXPECT_EQ(t, m.exit.msr.index, indexes[i]);
		machine_answer(&m, 0, UINT64_C(0x1111222233334444) + i);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MSR);
		EXPECT(t, m.exit.msr.write);
		EXPECT_EQ(t, m.exit.msr.index, indexes[i]);
		EXPECT_EQ(t, m.exit.msr.data, UINT64_C(0x1111222233334444) + i);
		machine_answer(&m, 0, 0);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	}
	machine_fini(&m);
}

/* What the engine says of writes of IA32_TSC_DEADLINE is so: the core tells the guest of its timer by that. */
static void test_msr_deadline(struct test *t)
{
	const uint64_t due = UINT64_C(0x123456789ABC);
	MACHINE(t, m, 0x0F, 0x30, /* wrmsr */
		0x0F, 0x32,	  /* rdmsr: the core's in any case */
		0xF4);

	machine_set(&m, 0, HvX64RegisterRcx, 0x6E0);
	machine_set(&m, 0, HvX64RegisterRax, (uint32_t)due);
	machine_set(&m, 0, HvX64RegisterRdx, due >> 32);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MSR);
	EXPECT_EQ(t, m.exit.msr.index, 0x6E0);
	EXPECT(t, m.exit.msr.write || !m.ops->deadline_exits(m.vm));
	if (m.exit.msr.write) {
		EXPECT_EQ(t, m.exit.msr.data, due);
		machine_answer(&m, 0, 0);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MSR);
	} else {
		printf("# this host's KVM keeps TSC deadlines from APICs that are not its own\n");
	}
	EXPECT(t, !m.exit.msr.write);
	machine_answer(&m, 0, due);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), (uint32_t)due);
	machine_fini(&m);
}

/* Bits of CR4 are those of the guest's processor. */
static void test_cr4(struct test *t)
{
	static const struct {
		uint32_t bit, leaf;
		uint8_t reg, feature;
	} rows[] = {{X86_CR4_UMIP, 7, 2, 2},   {X86_CR4_FSGSBASE, 7, 1, 0},
		    {X86_CR4_PCIDE, 1, 2, 17}, {X86_CR4_OSXSAVE, 1, 2, 26},
		    {X86_CR4_SMEP, 7, 1, 7},   {X86_CR4_SMAP, 7, 1, 20},
		    {X86_CR4_PKE, 7, 2, 3}};
	MACHINE(t, m, 0xF4);
	const uint64_t before = machine_get(&m, 0, HvX64RegisterCr4);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hv_u128 value = {before | rows[i].bit, 0};
		uint32_t regs[4];

		m.ops->cpuid(m.vm, rows[i].leaf, 0, regs);
		EXPECT_EQ(t, m.ops->reg_set(m.vps[0], HvX64RegisterCr4, &value),
			  (regs[rows[i].reg] >> rows[i].feature & 1) != 0);
		machine_set(&m, 0, HvX64RegisterCr4, before);
	}
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	machine_fini(&m);
}

static void test_msr_fault(struct test *t)
{
	MACHINE(t, m, 0x0F, 0x32, 0xF4);

	machine_code(&m, HANDLER + 16 * X86_EXC_GP, "\xF4", 1);
	machine_set(&m, 0, HvX64RegisterRcx, 0x40000055);
	machine_set(&m, 0, HvX64RegisterRax, 7);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_MSR);
	m.ops->inject_exception(m.vps[0], X86_EXC_GP, true, 0, 0);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0]));
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), HANDLER + 16 * X86_EXC_GP + 1);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 7);
	EXPECT_EQ(t, load_le64(m.ram + machine_get(&m, 0, HvX64RegisterRsp) + 8), CODE);
	machine_fini(&m);
}

/* Those that are kept in the engine, which answers and counts each access, and KVM's. */
static void test_msr_owned(struct test *t)
{
	static const struct {
		uint32_t index;
		bool kept; /* here: the fault is of our making */
		uint64_t good;
		uint64_t bad;
	} rows[] = {{0x1A0, true, 0x1801, 0x10000},
		    {0x200, true, 0x80000006, 0x80000007},
		    {0x277, false, 0x0007040600070406, 0x0808080808080808},
		    {0x174, false, 0x10, 0},
		    {0xC0000082, false, 0xFFFFFFFF81000000, 0x8000000000000000},
		    {0xC0000102, false, 0xFFFF888000000000, 0x4567800000000000}};
	MACHINE(t, m, 0x0F, 0x30, /* wrmsr */
		0x31, 0xC0,	  /* xor eax, eax */
		0x0F, 0x32,	  /* rdmsr */
		0xF4);
	uint64_t value, before;

	machine_code(&m, HANDLER + 16 * X86_EXC_GP, "\xF4", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		machine_set(&m, 0, HvX64RegisterRip, CODE);
		machine_set(&m, 0, HvX64RegisterRcx, rows[i].index);
		machine_set(&m, 0, HvX64RegisterRax, rows[i].good & UINT32_MAX);
		machine_set(&m, 0, HvX64RegisterRdx, rows[i].good >> 32);
		before = m.ops->own_exits(m.vps[0]);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
		EXPECT(t, m.ops->own_exits(m.vps[0]) >= before + (rows[i].kept ? 2 : 0));
		EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE + 7);
		EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), rows[i].good & UINT32_MAX);
		EXPECT(t, m.ops->msr_get(m.vps[0], rows[i].index, &value));
		EXPECT_EQ(t, value, rows[i].good);
		if (rows[i].bad != 0) {
			EXPECT(t, !m.ops->msr_set(m.vps[0], rows[i].index, rows[i].bad));
		}
		if (rows[i].kept) {
			machine_set(&m, 0, HvX64RegisterRip, CODE);
			machine_set(&m, 0, HvX64RegisterRax, rows[i].bad & UINT32_MAX);
			machine_set(&m, 0, HvX64RegisterRdx, rows[i].bad >> 32);
			EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
			EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip),
				  HANDLER + 16 * X86_EXC_GP + 1);
		}
	}
	machine_fini(&m);
}

static void test_hypercall(struct test *t)
{
	MACHINE(t, m, 0xFF, 0xD0, /* call rax */
		0xF4);
	uint8_t *page = test_pages_alloc(1), insn[8];
	unsigned bytes = m.ops->hypercall_insn(m.vm, insn);
	struct gmem_overlay overlay;

	memcpy(page, insn, bytes);
	page[bytes] = 0xC3;
	EXPECT_EQ(t, gmem_overlay_add(&m.gmem, &overlay, DATA >> 12, page, GMEM_R | GMEM_X), 0);
	m.ops->gpa_changed(m.vm, DATA >> 12, 1);
	machine_set(&m, 0, HvX64RegisterRax, DATA);
	machine_set(&m, 0, HvX64RegisterRcx, 0x5C);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HYPERCALL);
	EXPECT_EQ(t, m.exit.insn_bytes, bytes);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), DATA);
	m.ops->abandon(m.vps[0]); /* a rep call that gives way comes again */
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), DATA);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HYPERCALL);
	machine_set(&m, 0, HvX64RegisterRax, 0x1122334455667788);
	machine_answer(&m, 0, 0);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), DATA + bytes);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax), 0x1122334455667788);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRcx), 0x5C);
	/* The same instruction anywhere else writes to a port. */
	machine_code(&m, CODE, insn, bytes);
	machine_set(&m, 0, HvX64RegisterRip, CODE);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	machine_fini(&m);
	free(page);
}

static void test_triple_fault(struct test *t)
{
	MACHINE(t, m, 0x0F, 0x0B); /* ud2 */

	machine_set128(&m, 0, HvX64RegisterIdtr, 0, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_TRIPLE_FAULT);
	m.ops->vp_reset(m.vps[0], true);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), 0xFFF0);
	machine_long_mode(&m, 0);
	machine_code(&m, CODE, "\xF4", 1);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	machine_fini(&m);
}

/* ---- Other threads ---- */

static void *kick_soon(void *arg)
{
	struct test_machine *m = arg;

	while (m->ram[DATA] == 0) { /* it runs */
		sched_yield();
	}
	m->ops->kick(m->vps[0]);
	return NULL;
}

static void test_kick(struct test *t)
{
	MACHINE(t, m, 0xC6, 0x03, 1, /* mov byte [rbx], 1 */
		0xEB, 0xFE);	     /* jmp . */
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE};
	pthread_t thread;

	machine_set(&m, 0, HvX64RegisterRbx, DATA);
	m.ops->kick(m.vps[0]); /* before: the next run comes back */
	m.ops->run(m.vps[0], &how, &m.exit);
	EXPECT_EQ(t, m.exit.kind, HV_EXIT_INTERRUPTED);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE);
	for (unsigned i = 0; i < 50; i++) {
		m.ram[DATA] = 0;
		machine_set(&m, 0, HvX64RegisterRip, CODE);
		EXPECT_EQ(t, pthread_create(&thread, NULL, kick_soon, &m), 0);
		m.ops->run(m.vps[0], &how, &m.exit);
		EXPECT_EQ(t, m.exit.kind, HV_EXIT_INTERRUPTED);
		pthread_join(thread, NULL);
	}
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE + 3);
	machine_fini(&m);
}

static void test_deadline(struct test *t)
{
	MACHINE(t, m, 0xEB, 0xFE);
	struct hv_run how;

	for (unsigned i = 0; i < 20; i++) {
		how = (struct hv_run){.deadline_tsc = m.ops->tsc(m.vm) +
						      m.ops->tsc_hz(m.vm) / 1000 * (i % 4)};
		m.ops->run(m.vps[0], &how, &m.exit);
		EXPECT_EQ(t, m.exit.kind, HV_EXIT_INTERRUPTED);
		EXPECT(t, m.ops->tsc(m.vm) >= how.deadline_tsc);
	}
	machine_fini(&m);
}

struct changer {
	struct test_machine *m;
	atomic_bool stop;
	unsigned rounds;
};

/* Puts a page over the middle of memory and takes it away again, under a VP that reads both sides. */
static void *change_map(void *arg)
{
	struct changer *c = arg;
	struct test_machine *m = c->m;
	uint8_t *page = test_pages_alloc(1);
	struct gmem_overlay overlay;

	/* Not before the VP runs: a hundred rounds may take less time than its first instruction. */
	for (unsigned i = 0; i < 30000 && load_le64(m->ram + DATA + 0x2000) == 0; i++) {
		usleep(1000);
	}
	for (; c->rounds < 100; c->rounds++) {
		gmem_overlay_add(&m->gmem, &overlay, (DATA >> 12) + 1, page, GMEM_RIGHTS);
		m->ops->gpa_changed(m->vm, (DATA >> 12) + 1, 1);
		gmem_overlay_remove(&m->gmem, &overlay);
		m->ops->gpa_changed(m->vm, (DATA >> 12) + 1, 1);
	}
	free(page);
	atomic_store(&c->stop, true);
	m->ops->kick(m->vps[0]);
	return NULL;
}

static void test_map_changes_under_vp(struct test *t)
{
	MACHINE(t, m, 0x48, 0x8B, 0x03,		 /* mov rax, [rbx] */
		0x48, 0x01, 0xC2,		 /* add rdx, rax */
		0x48, 0xFF, 0x83, 0, 0x20, 0, 0, /* inc qword [rbx + 0x2000] */
		0xEB, 0xF1);			 /* back */
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE};
	struct changer c = {.m = &m};
	pthread_t thread;

	machine_set(&m, 0, HvX64RegisterRbx, DATA);
	EXPECT_EQ(t, pthread_create(&thread, NULL, change_map, &c), 0);
	while (!atomic_load(&c.stop) && t->failures == 0) {
		m.ops->run(m.vps[0], &how, &m.exit);
		EXPECT_EQ(t, m.exit.kind, HV_EXIT_INTERRUPTED);
	}
	pthread_join(thread, NULL);
	EXPECT(t, load_le64(m.ram + DATA + 0x2000) > 0);
	machine_fini(&m);
}

static void *flush_other(void *arg)
{
	struct test_machine *m = arg;

	while (m->ram[DATA] == 0) {
		sched_yield();
	}
	/* The guest's address MMIO_GPA moves from one page of memory to another. */
	uint64_t *pd = (uint64_t *)(void *)(m->ram + PAGE_TABLES + 0x4000);

	__atomic_store_n(&pd[0], UINT64_C(0x200000) | 0x87, __ATOMIC_SEQ_CST);
	m->ops->flush_all(m->vps[0], false);
	while (!m->ops->flush_done(m->vps[0])) {
		sched_yield();
	}
	m->ram[DATA + 1] = 1;
	return NULL;
}

/* Reads through an address whose page table entry another processor changes: after its flush the old page is not seen any more. */
static void test_flush(struct test *t)
{
	MACHINE(t, m, 0x8A, 0x06, /* mov al, [rsi] */
		0xC6, 0x03, 1,	  /* mov byte [rbx], 1 */
		0x80, 0x7B, 1, 0, /* cmp byte [rbx + 1], 0 */
		0x74, 0xF5,	  /* je start */
		0x8A, 0x06,	  /* mov al, [rsi] */
		0xF4);
	uint64_t *pd = (uint64_t *)(void *)(m.ram + PAGE_TABLES + 0x4000);
	pthread_t thread;

	pd[0] = 0x87;
	m.ram[DATA + 0x800] = 1;
	m.ram[0x200000 + DATA + 0x800] = 2;
	machine_set(&m, 0, HvX64RegisterRbx, DATA);
	machine_set(&m, 0, HvX64RegisterRsi, MMIO_GPA + DATA + 0x800);
	EXPECT_EQ(t, pthread_create(&thread, NULL, flush_other, &m), 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	pthread_join(thread, NULL);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax) & 0xFF, 2);
	machine_fini(&m);
}

static void test_tsc(struct test *t)
{
	MACHINE(t, m, 0x0F, 0x31, /* rdtsc */
		0xF4);
	uint64_t before, after, offset = UINT64_C(1) << 50, seen;

	for (unsigned i = 0; i < 2; i++, offset = 0 - m.ops->tsc(m.vm)) {
		machine_set(&m, 0, HvX64RegisterRip, CODE);
		m.ops->set_tsc_offset(m.vps[0], offset);
		before = m.ops->tsc(m.vm) + offset;
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
		after = m.ops->tsc(m.vm) + offset;
		seen = machine_get(&m, 0, HvX64RegisterRdx) << 32 |
		       machine_get(&m, 0, HvX64RegisterRax);
		if (seen - (before - offset) <= after - before) {
			machine_fini(&m);
			SKIP(t, "this KVM does not apply an offset to the time stamp counter");
		}
		EXPECT(t, seen >= before && seen <= after);
	}
	machine_fini(&m);
}

static void test_cpuid(struct test *t)
{
	static const uint32_t leaves[] = {0, 1, 7, 0x80000001, 0x80000008};
	MACHINE(t, m, 0x0F, 0xA2, /* cpuid */
		0xF4);
	static const uint32_t names[] = {HvX64RegisterRax, HvX64RegisterRbx, HvX64RegisterRcx,
					 HvX64RegisterRdx};
	uint32_t want[4];

	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		machine_set(&m, 0, HvX64RegisterRip, CODE);
		machine_set(&m, 0, HvX64RegisterRax, leaves[i]);
		machine_set(&m, 0, HvX64RegisterRcx, 0);
		m.ops->cpuid(m.vm, leaves[i], 0, want);
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
		for (unsigned n = 0; n < 4; n++) {
			uint64_t got = machine_get(&m, 0, names[n]);

			/* The local APIC's bit is KVM's; without a core there is nobody to offer it. */
			got &= leaves[i] == 1 && n == 3 ? ~UINT64_C(0x200) : UINT64_MAX;
			if (leaves[i] == 1 && n == 2 && (got & ~(uint64_t)want[n]) != 0) {
				machine_fini(&m);
				SKIP(t, "this KVM offers the guest more than it was told to");
			}
			EXPECT_EQ(t, got, want[n]);
		}
	}
	machine_fini(&m);
}

/* The guest's own XSAVE and XRSTOR, with the components of the model. */
static void test_xsave(struct test *t)
{
	MACHINE(t, m, 0x31, 0xC9,	/* xor ecx, ecx */
		0x0F, 0x01, 0xD1,	/* xsetbv */
		0x0F, 0xAE, 0x23,	/* xsave [rbx] */
		0x0F, 0xAE, 0x2B,	/* xrstor [rbx] */
		0x48, 0x0F, 0xAE, 0x33, /* xsaveopt64 [rbx] */
		0x48, 0x0F, 0xAE, 0x2B, /* xrstor64 [rbx] */
		0xF4);
	uint32_t model[4];

	m.ops->cpuid(m.vm, 1, 0, model);
	if (!(model[2] & BIT32(26))) {
		machine_fini(&m);
		SKIP(t, "this host has no XSAVE");
	}
	machine_code(&m, HANDLER + 16 * X86_EXC_GP, "\xF4", 1);
	machine_set(&m, 0, HvX64RegisterCr4, X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXSAVE);
	machine_set(&m, 0, HvX64RegisterRax, 3);
	machine_set(&m, 0, HvX64RegisterRdx, 0);
	machine_set(&m, 0, HvX64RegisterRbx, DATA);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE + 20);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterXfem), 3);
	EXPECT(t, load_le64(m.ram + DATA + 512) <= 3);
	EXPECT_EQ(t, load_le64(m.ram + DATA + 520), 0);
	machine_fini(&m);
}

/* A code segment may say "64 bits" where there is no long mode, and means nothing by it; also while translations are dropped. */
static void test_flush_outside_long_mode(struct test *t)
{
	MACHINE(t, m, 0xF4, 0xF4);

	machine_set(&m, 0, HvX64RegisterCr0, X86_CR0_PE | X86_CR0_NE | X86_CR0_ET);
	machine_set(&m, 0, HvX64RegisterEfer, 0);
	machine_set128(&m, 0, HvX64RegisterCs, 0,
		       UINT64_C(0xA09B) << 48 | UINT64_C(8) << 32 | 0xffffffff);
	m.ops->flush_all(m.vps[0], false);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT); /* what failed shows here */
	machine_fini(&m);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_halt),	 TEST(test_port),
		TEST(test_string_port),	 TEST(test_port_dropped),
		TEST(test_memory),	 TEST(test_memory_dropped),
		TEST(test_overlay),	 TEST(test_execute_nothing),
		TEST(test_msr_foreign),	 TEST(test_msr_deadline),
		TEST(test_cr4),		 TEST(test_msr_fault),
		TEST(test_msr_owned),	 TEST(test_hypercall),
		TEST(test_triple_fault), TEST(test_kick),
		TEST(test_deadline),	 TEST(test_map_changes_under_vp),
		TEST(test_flush),	 TEST(test_flush_outside_long_mode),
		TEST(test_tsc),		 TEST(test_cpuid),
		TEST(test_xsave)};

	open_device();
	return test_main(cases, ARRAY_LEN(cases));
}
