/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's core on small programs: blocks, memory, self-modifying code, exits that are answered, repetition, SMP. */
#include "test/test.h"

#include <pthread.h>
#include <sched.h>

#include "core.h"
#include "emu/emu.h"
#include "flags.h"
#include "test/guest_ram.h"

#define RAM_PAGES 1024u
#define PAGE_TABLES 0x1000u
#define CODE 0x10000u
#define DATA 0x20000u
#define STACK 0x40000u
#define MMIO_LA 0x80000000u
#define VPS 2u

struct machine {
	struct gmem gmem;
	uint8_t *ram;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *vps[VPS];
};

static uint64_t fake_clock(void *ctx)
{
	return __builtin_ia32_rdtsc();
}

static void relax(void *ctx, unsigned round)
{
	sched_yield();
}

static void watch_code(void *ctx, uint64_t gpa, size_t bytes)
{
	struct machine *m = ctx;

	emu_engine_ops.code_written(m->vm, gpa, bytes);
}

static struct emu_vp *vp_of(struct machine *m, unsigned n)
{
	return (struct emu_vp *)(void *)m->vps[n];
}

/* Identity map of the first 4 GiB with 2 MiB pages, one table at a fixed place. */
static void build_page_tables(struct machine *m)
{
	uint64_t *pml4 = (uint64_t *)(void *)(m->ram + PAGE_TABLES), *pdpt = pml4 + 512;

	pml4[0] = (PAGE_TABLES + 0x1000) | 7;
	for (unsigned g = 0; g < 4; g++) {
		uint64_t *pd = pml4 + 1024 + 512 * g;

		pdpt[g] = (PAGE_TABLES + 0x2000 + 0x1000 * g) | 7;
		for (unsigned n = 0; n < 512; n++) {
			pd[n] = (uint64_t)g << 30 | (uint64_t)n << 21 | 0x87;
		}
	}
}

static void enter_long_mode(struct emu_vp *vp)
{
	vp->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET;
	vp->cr4 = X86_CR4_PAE;
	vp->efer = X86_EFER_LME | X86_EFER_LMA;
	vp->cr3 = PAGE_TABLES;
	vp->cpl = 0;
	vp->flags = 2;
	vp->seg[X86_CS] = (struct x86_segment){0, 0xffffffff, 8,
					       X86_SEG_P | X86_SEG_S | 0xb | X86_SEG_L | X86_SEG_G};
	for (unsigned n = 0; n < 6; n++) {
		if (n != X86_CS) {
			vp->seg[n] = (struct x86_segment){0, 0xffffffff, 16,
							  X86_SEG_P | X86_SEG_S | 3 | X86_SEG_DB |
								  X86_SEG_G};
		}
	}
	memset(vp->r, 0, X86_GPR_COUNT * sizeof(vp->r[0]));
	vp->r[X86_RSP] = STACK;
	vp->rip = CODE;
	emu_drop_all(vp);
	emu_mode_update(vp);
}

static bool machine_init(struct machine *m, bool count)
{
	const struct gmem_watch watch = {.code_written = watch_code, .ctx = m};
	struct hv_engine_config config = {
		.gmem = &m->gmem,
		.vp_max = VPS,
		.clock = fake_clock,
		.clock_hz = 1000000000,
		.relax = relax,
		.count_instructions = count,
	};

	memset(m, 0, sizeof(*m));
	m->ram = test_pages_alloc(RAM_PAGES);
	if (m->ram == NULL || test_space_init(&m->gmem, 40) != 0 ||
	    test_ram_map(&m->gmem, m->ram, 0, RAM_PAGES) != 0) {
		return false;
	}
	gmem_set_watch(&m->gmem, &watch);
	build_page_tables(m);
	if (emu_engine_ops.vm_create(&config, &m->vm) != 0) {
		return false;
	}
	for (unsigned n = 0; n < VPS; n++) {
		if (emu_engine_ops.vp_create(m->vm, n, &m->vps[n]) != 0) {
			return false;
		}
		enter_long_mode(vp_of(m, n));
	}
	return true;
}

static void machine_fini(struct machine *m)
{
	for (unsigned n = 0; n < VPS; n++) {
		emu_engine_ops.vp_destroy(m->vps[n]);
	}
	emu_engine_ops.vm_destroy(m->vm);
	gmem_fini(&m->gmem);
	free(m->ram);
}

static void put_code(struct machine *m, uint64_t at, const void *code, size_t bytes)
{
	gmem_write_any(&m->gmem, at, code, bytes);
}

static void run(struct machine *m, unsigned n, struct hv_exit *exit)
{
	const struct hv_run how = {.deadline_tsc = UINT64_MAX};

	emu_engine_ops.run(m->vps[n], &how, exit);
}

/* OUT 80h, AL ends every program. */
#define END 0xe6, 0x80

static void test_loop(struct test *t)
{
	/* mov ecx, 1000000; xor eax, eax; 1: add rax, rcx; dec ecx; jnz 1b */
	static const uint8_t code[] = {0xb9, 0x40, 0x42, 0x0f, 0x00, 0x31, 0xc0, 0x48,
				       0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9, END};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	EXPECT_EQ(t, exit.port.port, 0x80);
	EXPECT_EQ(t, exit.insn_bytes, 2);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RAX], 500000500000);
	EXPECT_EQ(t, vp_of(&m, 0)->rip, CODE + sizeof(code) - 2);
	EXPECT_EQ(t, emu_engine_ops.instructions(m.vps[0]), 2 + 3 * 1000000);
	machine_fini(&m);
}

/* Calls, returns, and memory through all sizes of ADD. */
static void test_calls(struct test *t)
{
	static const uint8_t code[] = {
		0xbb, 0x00, 0x00, 0x02, 0x00, /* mov ebx, DATA */
		0xb9, 0xe8, 0x03, 0x00, 0x00, /* mov ecx, 1000 */
		0xe8, 0x06, 0x00, 0x00, 0x00, /* 1: call f */
		0xff, 0xc9,		      /* dec ecx */
		0x75, 0xf7,		      /* jnz 1b */
		END,  0x48, 0x83, 0x03, 0x01, /* f: add qword [rbx], 1 */
		0x66, 0x83, 0x43, 0x08, 0xff, /* add word [rbx + 8], -1 */
		0xc3,
	};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	EXPECT_EQ(t, load_le64(m.ram + DATA), 1000);
	EXPECT_EQ(t, load_le32(m.ram + DATA + 8), 0x10000 - 1000);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RSP], STACK);
	machine_fini(&m);
}

/* An instruction ahead in the same block is overwritten; then one in a loop. */
static void test_self_modifying(struct test *t)
{
	static const uint8_t code[] = {
		0xbb, 0x11, 0x00, 0x01, 0x00, /* mov ebx, CODE + 17 */
		0xb8, 0x05, 0x00, 0x00, 0x00, /* mov eax, 5 */
		0x88, 0x03,		      /* mov [rbx], al */
		0x90, 0x90, 0x90, 0x90,	      /* nops */
		0xb9, 0x01, 0x00, 0x00, 0x00, /* mov ecx, 1: the 1 becomes 5 */
		0x01, 0xca,		      /* add edx, ecx */
		0xff, 0xc8,		      /* dec eax */
		0x75, 0xef,		      /* jnz to the mov [rbx], al */
		END,
	};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	/* 5 + 4 + 3 + 2 + 1 */
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RDX], 15);
	machine_fini(&m);
}

/* A device writes code that has been decoded. */
static void test_code_written_by_device(struct test *t)
{
	static const uint8_t code[] = {0xb8, 0x01, 0x00, 0x00, 0x00, END, 0xeb, 0xf7};
	static const uint8_t two = 2;
	const uint64_t values[4] = {0};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RAX], 1);
	put_code(&m, CODE + 1, &two, 1);
	emu_engine_ops.complete(m.vps[0], values);
	run(&m, 0, &exit);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RAX], 2);
	machine_fini(&m);
}

/* ADD on device memory: a read, then a write, then it retires. */
static void test_device_memory(struct test *t)
{
	static const uint8_t code[] = {0xbb, 0x04, 0x00, 0x00, 0x80, 0x83, 0x03, 0x05, END};
	uint64_t values[4] = {37};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_MEMORY);
	EXPECT_EQ(t, exit.memory.gpa, MMIO_LA + 4);
	EXPECT_EQ(t, exit.memory.bytes, 4);
	EXPECT_EQ(t, exit.memory.access, HV_ACCESS_READ);
	EXPECT(t, !exit.memory.mapped);
	EXPECT(t, !emu_engine_ops.can_interrupt(m.vps[0]));
	emu_engine_ops.complete(m.vps[0], values);
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_MEMORY);
	EXPECT_EQ(t, exit.memory.access, HV_ACCESS_WRITE);
	EXPECT_EQ(t, exit.memory.data, 42);
	EXPECT_EQ(t, vp_of(&m, 0)->rip, CODE + 5);
	emu_engine_ops.complete(m.vps[0], values);
	EXPECT_EQ(t, vp_of(&m, 0)->rip, CODE + 8);
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	machine_fini(&m);
}

/* REP OUTSB: one exit per element, registers in between. */
static void test_port_string(struct test *t)
{
	/* mov esi, DATA; mov ecx, 3; mov dx, 3f8; rep outsb */
	static const uint8_t code[] = {0xbe, 0,	   0,	 2,    0, 0xb9, 3,    0,  0,
				       0,    0x66, 0xba, 0xf8, 3, 0xf3, 0x6e, END};
	const uint64_t values[4] = {0};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	put_code(&m, DATA, "abc", 3);
	for (unsigned n = 0; n < 3; n++) {
		run(&m, 0, &exit);
		EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
		EXPECT_EQ(t, exit.port.port, 0x3f8);
		EXPECT_EQ(t, exit.port.data, 'a' + n);
		EXPECT(t, exit.port.rep && exit.port.string && exit.port.write);
		EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RCX], 3 - n);
		emu_engine_ops.complete(m.vps[0], values);
		EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RCX], 2 - n);
	}
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.port.port, 0x80);
	machine_fini(&m);
}

/* REP MOVSB over several pages, unaligned, and a pattern through overlap. */
static void test_rep_movs(struct test *t)
{
	static const uint8_t code[] = {
		0xbe, 0x03, 0x00, 0x02, 0x00, 0xbf, 0x05, 0x00, 0x10,
		0x00, 0xb9, 0x10, 0x27, 0x00, 0x00, 0xf3, 0xa4, END,
	};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	for (unsigned n = 0; n < 10000; n++) {
		m.ram[DATA + 3 + n] = (uint8_t)(n * 7 + n / 256);
	}
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.port.port, 0x80);
	EXPECT_MEM(t, m.ram + DATA + 3, m.ram + 0x100005, 10000);
	EXPECT_EQ(t, m.ram[0x100004], 0);
	EXPECT_EQ(t, m.ram[0x100005 + 10000], 0);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RCX], 0);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RDI], 0x100005 + 10000);
	machine_fini(&m);
}

/* The instruction at a page's end that goes on in the next page. */
static void test_straddling(struct test *t)
{
	static const uint8_t code[] = {0xb8, 0x78, 0x56, 0x34, 0x12, 0x83, 0xc0, 0x01, END};
	static const uint8_t jump[] = {0xe9, 0xf8, 0x0f, 0x00, 0x00};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, jump, sizeof(jump));
	put_code(&m, CODE + 0xffd, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT_EQ(t, exit.kind, HV_EXIT_PORT);
	EXPECT_EQ(t, vp_of(&m, 0)->r[X86_RAX], 0x12345679);
	machine_fini(&m);
}

/* What the host's processor says about @cc after the comparison. */
static bool host_condition(bool test, unsigned bits, uint64_t a, uint64_t b, unsigned cc)
{
	uint64_t flags;
	bool yes[8];

	a <<= 64 - bits;
	b <<= 64 - bits;
	if (test) {
		__asm__ volatile("test %2, %1\n\tpushfq\n\tpop %0"
				 : "=r"(flags)
				 : "r"(a), "r"(b)
				 : "cc");
	} else {
		__asm__ volatile("cmp %2, %1\n\tpushfq\n\tpop %0"
				 : "=r"(flags)
				 : "r"(a), "r"(b)
				 : "cc");
	}
	/* Parity is of the low byte, which the shift above has moved. */
	yes[0] = flags & X86_OF;
	yes[1] = flags & X86_CF;
	yes[2] = flags & X86_ZF;
	yes[3] = yes[1] || yes[2];
	yes[4] = flags & X86_SF;
	yes[5] = !__builtin_parity((unsigned)((test ? a & b : a - b) >> (64 - bits) & 0xff));
	yes[6] = yes[4] != yes[0];
	yes[7] = yes[2] || yes[6];
	return yes[cc >> 1] != (cc & 1);
}

/* CMP and TEST with a Jcc behind, all forms and conditions; a device patches the code each time. */
static void test_compare_and_jump(struct test *t)
{
	/* RAX = a, RCX = b, RBX -> memory with a (and RSI -> b) */
	static const struct {
		const char *text;
		uint8_t code[4];
		unsigned length, bits;
		bool test, immediate;
	} forms[] = {
		{"cmp cl, al", {0x38, 0xc8}, 2, 8, false, false},
		{"cmp eax, ecx", {0x39, 0xc8}, 2, 32, false, false},
		{"cmp rax, rcx", {0x48, 0x39, 0xc8}, 3, 64, false, false},
		{"cmp eax, [rsi]", {0x3b, 0x06}, 2, 32, false, false},
		{"cmp [rbx], ecx", {0x39, 0x0b}, 2, 32, false, false},
		{"cmp [rbx], rcx", {0x48, 0x39, 0x0b}, 3, 64, false, false},
		{"cmp byte [rbx], 5", {0x80, 0x3b, 0x05}, 3, 8, false, true},
		{"cmp rax, 5", {0x48, 0x83, 0xf8, 0x05}, 4, 64, false, true},
		{"cmp cx word", {0x66, 0x39, 0xc8}, 3, 16, false, false},
		{"test al, cl", {0x84, 0xc8}, 2, 8, true, false},
		{"test eax, ecx", {0x85, 0xc8}, 2, 32, true, false},
		{"test [rbx], rcx", {0x48, 0x85, 0x0b}, 3, 64, true, false},
		{"test byte [rbx], 5", {0xf6, 0x03, 0x05}, 3, 8, true, true},
	};
	static const uint64_t values[] = {0,
					  1,
					  5,
					  0x7f,
					  0x80,
					  0xff,
					  0x7fff,
					  0x8000,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  0x7fffffffffffffff,
					  0x8000000000000000,
					  UINT64_MAX};
	/* jcc 1f; xor edx, edx; jmp 2f; 1: mov edx, 1; 2: */
	uint8_t tail[] = {0x70, 0x04, 0x31, 0xd2, 0xeb, 0x05, 0xba, 1, 0, 0, 0, END};
	static struct machine m;
	struct hv_exit exit;
	unsigned wrong = 0;

	EXPECT(t, machine_init(&m, false));
	for (unsigned f = 0; f < ARRAY_LEN(forms); f++) {
		for (unsigned cc = 0; cc < 16; cc++) {
			tail[0] = (uint8_t)(0x70 + cc);
			put_code(&m, CODE, forms[f].code, forms[f].length);
			put_code(&m, CODE + forms[f].length, tail, sizeof(tail));
			for (unsigned n = 0; n < ARRAY_LEN(values) * ARRAY_LEN(values); n++) {
				uint64_t a = values[n % ARRAY_LEN(values)],
					 b = values[n / ARRAY_LEN(values)];
				struct emu_vp *vp = vp_of(&m, 0);

				store_le64(m.ram + DATA, a);
				store_le64(m.ram + DATA + 8, b);
				vp->r[X86_RAX] = a;
				vp->r[X86_RCX] = b;
				vp->r[X86_RBX] = DATA;
				vp->r[X86_RSI] = DATA + 8;
				vp->rip = CODE;
				run(&m, 0, &exit);
				emu_engine_ops.abandon(m.vps[0]);
				wrong += vp->r[X86_RDX] !=
					 host_condition(forms[f].test, forms[f].bits, a,
							forms[f].immediate ? 5 : b, cc);
			}
			if (wrong != 0) {
				test_fail(t, __FILE__, __LINE__, "%s, condition %u: %u wrong",
					  forms[f].text, cc, wrong);
				wrong = 0;
			}
		}
	}
	machine_fini(&m);
}

static bool page_dirty(struct machine *m, uint64_t gpa)
{
	uint64_t bitmap[RAM_PAGES / 64] = {0};

	gmem_dirty_take(&m->gmem, 0, RAM_PAGES, bitmap);
	return bitmap[gpa / 4096 / 64] >> (gpa / 4096 % 64) & 1;
}

/* A store through a translation that is older than the log's last take is not lost. */
static void test_dirty_log(struct test *t)
{
	/* 1: mov [DATA], eax; out 80h, al; jmp 1b */
	static const uint8_t code[] = {0x89, 0x04, 0x25, 0x00, 0x00, 0x02, 0x00, END, 0xeb, 0xf5};
	static const uint8_t quiet[] = {END, 0xeb, 0xfc};
	const uint64_t values[4] = {0};
	static struct machine m;
	struct hv_exit exit;

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	run(&m, 0, &exit);
	EXPECT(t, page_dirty(&m, DATA));
	/* The log was taken, the flush has not been asked for yet: the VP writes without a question. */
	emu_engine_ops.complete(m.vps[0], values);
	run(&m, 0, &exit);
	emu_engine_ops.flush_all(m.vps[0], false);
	EXPECT(t, emu_engine_ops.flush_done(m.vps[0]));
	emu_engine_ops.complete(m.vps[0], values);
	EXPECT(t, page_dirty(&m, DATA));
	/* From here on the translation is gone: no store, no mark; a store, a mark. */
	put_code(&m, CODE, quiet, sizeof(quiet));
	vp_of(&m, 0)->rip = CODE;
	run(&m, 0, &exit);
	page_dirty(&m, DATA);
	emu_engine_ops.flush_all(m.vps[0], false);
	emu_engine_ops.complete(m.vps[0], values);
	run(&m, 0, &exit);
	EXPECT(t, !page_dirty(&m, DATA));
	put_code(&m, CODE, code, sizeof(code));
	vp_of(&m, 0)->rip = CODE;
	emu_engine_ops.abandon(m.vps[0]);
	run(&m, 0, &exit);
	EXPECT(t, page_dirty(&m, DATA));
	machine_fini(&m);
}

/* Deterministic clock: the deadline is met at the same instruction every time. */
static void test_counted_deadline(struct test *t)
{
	static const uint8_t code[] = {0xff, 0xc0, 0xff, 0xc0, 0xff, 0xc0, 0xeb, 0xf8};
	uint64_t seen[2];

	for (unsigned round = 0; round < 2; round++) {
		const struct hv_run how = {.deadline_tsc = 100000};
		static struct machine m;
		struct hv_exit exit;

		EXPECT(t, machine_init(&m, true));
		put_code(&m, CODE, code, sizeof(code));
		emu_engine_ops.run(m.vps[0], &how, &exit);
		EXPECT_EQ(t, exit.kind, HV_EXIT_INTERRUPTED);
		seen[round] = vp_of(&m, 0)->r[X86_RAX];
		EXPECT(t, emu_engine_ops.tsc(m.vm) >= 100000 &&
				  emu_engine_ops.tsc(m.vm) < 100000 + EMU_BLOCK_INSNS);
		machine_fini(&m);
	}
	EXPECT_EQ(t, seen[0], seen[1]);
}

/* ---- Two VPs ---- */

struct thread {
	struct machine *m;
	unsigned vp;
	struct hv_exit exit;
};

static void *vp_thread(void *arg)
{
	struct thread *th = arg;

	do {
		run(th->m, th->vp, &th->exit);
	} while (th->exit.kind == HV_EXIT_INTERRUPTED);
	return NULL;
}

static bool run_both(struct machine *m, struct thread th[2])
{
	pthread_t threads[2];

	for (unsigned n = 0; n < 2; n++) {
		th[n] = (struct thread){.m = m, .vp = n};
		if (pthread_create(&threads[n], NULL, vp_thread, &th[n]) != 0) {
			return false;
		}
	}
	for (unsigned n = 0; n < 2; n++) {
		pthread_join(threads[n], NULL);
	}
	return true;
}

/* LOCK INC on one counter from both, plain and split across cache lines. */
static void test_locked(struct test *t)
{
	static const uint8_t code[] = {
		0xb9, 0x50, 0xc3, 0x00, 0x00,			/* mov ecx, 50000 */
		0xf0, 0xff, 0x04, 0x25, 0x00, 0x00, 0x02, 0x00, /* 1: lock inc dword [DATA] */
		0xf0, 0x48, 0xff, 0x04, 0x25, 0x7c, 0x00, 0x02,
		0x00,			/* lock inc qword [DATA + 7ch] */
		0xff, 0xc9, 0x75, 0xeb, /* dec ecx; jnz 1b */
		END,
	};
	static struct machine m;
	struct thread th[2];

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, code, sizeof(code));
	EXPECT(t, run_both(&m, th));
	EXPECT_EQ(t, load_le32(m.ram + DATA), 100000);
	EXPECT_EQ(t, load_le64(m.ram + DATA + 0x7c), 100000);
	machine_fini(&m);
}

/*
 * VP 0 patches the immediate of a function and then says so in a word; VP 1 waits for the word, calls the function and must find the
 * new immediate, 2000 times.
 */
static void test_cross_modifying(struct test *t)
{
	static const uint8_t writer[] = {
		0x31, 0xc9,				  /* xor ecx, ecx */
		0xff, 0xc1,				  /* 1: inc ecx */
		0x89, 0x0c, 0x25, 0x01, 0x00, 0x03, 0x00, /* mov [30001h], ecx: the immediate */
		0x89, 0x0c, 0x25, 0x00, 0x00, 0x02, 0x00, /* mov [DATA], ecx */
		0xf3, 0x90,				  /* 2: pause */
		0x39, 0x0c, 0x25, 0x00, 0x01, 0x02, 0x00, /* cmp [DATA + 100h], ecx */
		0x75, 0xf5,				  /* jne 2b */
		0x81, 0xf9, 0xd0, 0x07, 0x00, 0x00,	  /* cmp ecx, 2000 */
		0x75, 0xdd,				  /* jne 1b */
		END,
	};
	static const uint8_t reader[] = {
		0x31, 0xc9, 0x31, 0xd2,			  /* xor ecx, ecx; xor edx, edx */
		0xff, 0xc1,				  /* 1: inc ecx */
		0xf3, 0x90,				  /* 2: pause */
		0x39, 0x0c, 0x25, 0x00, 0x00, 0x02, 0x00, /* cmp [DATA], ecx */
		0x75, 0xf5,				  /* jne 2b */
		0xe8, 0xea, 0x0f, 0x01, 0x00,		  /* call 30000h */
		0x39, 0xc8,				  /* cmp eax, ecx */
		0x74, 0x02,				  /* je 3f */
		0xff, 0xc2,				  /* inc edx: errors */
		0x89, 0x0c, 0x25, 0x00, 0x01, 0x02, 0x00, /* 3: mov [DATA + 100h], ecx */
		0x81, 0xf9, 0xd0, 0x07, 0x00, 0x00,	  /* cmp ecx, 2000 */
		0x75, 0xd9,				  /* jne 1b */
		END,
	};
	static const uint8_t function[] = {0xb8, 0x00, 0x00, 0x00, 0x00, 0xc3};
	static struct machine m;
	struct thread th[2];

	EXPECT(t, machine_init(&m, false));
	put_code(&m, CODE, writer, sizeof(writer));
	put_code(&m, CODE + 0xf000, reader, sizeof(reader));
	put_code(&m, 0x30000, function, sizeof(function));
	vp_of(&m, 1)->rip = CODE + 0xf000;
	vp_of(&m, 1)->r[X86_RSP] = STACK - 0x1000;
	EXPECT(t, run_both(&m, th));
	EXPECT_EQ(t, vp_of(&m, 1)->r[X86_RDX], 0);
	EXPECT_EQ(t, vp_of(&m, 1)->r[X86_RCX], 2000);
	machine_fini(&m);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_loop),
		TEST(test_calls),
		TEST(test_self_modifying),
		TEST(test_code_written_by_device),
		TEST(test_device_memory),
		TEST(test_port_string),
		TEST(test_rep_movs),
		TEST(test_straddling),
		TEST(test_compare_and_jump),
		TEST(test_dirty_log),
		TEST(test_counted_deadline),
		TEST(test_locked),
		TEST(test_cross_modifying),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
