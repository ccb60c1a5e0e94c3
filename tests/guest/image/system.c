// SPDX-License-Identifier: Apache-2.0
/* System instructions in long mode: SYSCALL and SYSENTER families, segment bases, LAR and friends, hypercalls, far transfers, task state. */
#include "guest.h"

#define VA ((uint64_t)TEST_VA)
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

static bool has(uint32_t leaf, unsigned reg, unsigned bit)
{
	uint32_t r[4];

	cpuid(leaf, 0, r);
	return (r[reg] >> bit & 1) != 0;
}

/* What the entry points saw. */
uint64_t entry_rcx, entry_r11, entry_rsp, entry_rflags, entry_cs, entry_ss, entry_count,
	entry_return;
void syscall_entry(void);
void sysenter_entry(void);
extern uint8_t user_syscall[], user_syscall_end[];
/* clang-format off */
__asm__(".pushsection .text\n"
	/* Returns to the user with what entry_return says: 0 SYSRETQ, 1 SYSRETL. */
	".globl syscall_entry\n"
	"syscall_entry:\n"
	"	movq %rsp, entry_rsp\n"
	"	movq %rcx, entry_rcx\n"
	"	movq %r11, entry_r11\n"
	"	leaq user_stack_kernel(%rip), %rsp\n"
	"	pushfq\n	popq entry_rflags\n"
	"	xorl %eax, %eax\n	movw %cs, %ax\n	movq %rax, entry_cs\n"
	"	movw %ss, %ax\n	movq %rax, entry_ss\n"
	"	incq entry_count\n"
	"	movq entry_rsp, %rsp\n"
	"	cmpq $1, entry_return\n"
	"	je 1f\n"
	"	sysretq\n"
	"1:	sysretl\n"
	".globl sysenter_entry\n"
	"sysenter_entry:\n"
	"	movq %rsp, entry_rsp\n"
	"	pushfq\n	popq entry_rflags\n"
	"	xorl %eax, %eax\n	movw %cs, %ax\n	movq %rax, entry_cs\n"
	"	movw %ss, %ax\n	movq %rax, entry_ss\n"
	"	incq entry_count\n"
	"	cmpq $1, entry_return\n"
	"	je 1f\n"
	"	sysexitq\n"
	"1:	sysexitl\n"
	/* The user: SYSCALL or SYSENTER, then a trap. */
	"user_syscall: syscall\n	int3\n"
	".balign 16\n"
	"user_syscall_end:\n"
	".popsection\n"
	".pushsection .bss\n	.skip 512\nuser_stack_kernel: .skip 16\n.popsection\n");
/* clang-format on */

static uint8_t *user_page(const uint8_t *bytes, unsigned count)
{
	uint8_t *code = test_map(8, 8, PTE_P | PTE_W | PTE_U);

	boot_pml4[0] |= PTE_U;
	memset(test_pages[8], 0xcc, 64);
	memcpy(test_pages[8], bytes, count);
	test_map(9, 9, PTE_P | PTE_W | PTE_U);
	return code;
}

static void run_user(uint64_t cs, uint64_t rflags)
{
	trap_clear();
	entry_count = 0;
	user_enter(VA + 0x8000, VA + 0x9f00, cs, rflags);
}

static void test_syscall(void)
{
	static const uint8_t code[] = {0x0f, 0x05};

	test_begin("SYSCALL and SYSRET");
	user_page(code, sizeof(code));
	wrmsr(MSR_STAR, (uint64_t)SEL_CODE << 32 | (uint64_t)SEL_CODE32 << 48);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, 0x200 | 0x400 | 0x1);
	TRY("syscall");
	check_trap("SYSCALL without EFER.SCE", 6, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	entry_return = 0;
	run_user(SEL_USER64, 0x203);
	check_trap("back in the user", 3, 0);
	CHECK_EQ(entry_count, 1);
	CHECK_EQ(entry_rcx, VA + 0x8002);
	CHECK_EQ(entry_r11, 0x203);
	CHECK_EQ(entry_rflags & 0x601, 0);
	CHECK_EQ(entry_cs, SEL_CODE);
	CHECK_EQ(entry_ss, SEL_CODE + 8);
	CHECK_EQ(trap.frame.rip, VA + 0x8003);
	CHECK_EQ(trap.frame.cs, SEL_CODE32 + 16 + 3); /* STAR 63:48 + 16 */
	CHECK_EQ(trap.frame.ss, SEL_CODE32 + 8 + 3);
	CHECK_EQ(trap.frame.rflags & 0xfd5, 0x201);
	CHECK_EQ(trap.frame.rsp, VA + 0x9f00);
	/* SYSRETL ends in compatibility mode: RIP is truncated, so the page must lie below 4 GiB to be reached. */
	entry_return = 1;
	idt[14].ist = 0;
	run_user(SEL_USER64, 0x202);
	check_trap("SYSRETL to a truncated RIP", 14, 0x15);
	CHECK_EQ(trap.frame.rip, (uint32_t)(VA + 0x8002));
	CHECK_EQ(trap.frame.cs, SEL_CODE32 + 3);
	TRY("movl $"
	    "0x200"
	    ", %%r11d\n\txorl %%ecx, %%ecx\n\tincq %%rcx\n\tshlq $62, %%rcx\n\tsysretq");
	check_trap("SYSRETQ to a non-canonical RIP", 13, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~1ull);
	run_user(SEL_USER64, 0x202);
	check_trap("user SYSCALL without SCE", 6, 0);
	test_end();
}

static void test_sysenter(void)
{
	static const uint8_t code[] = {0x0f, 0x34};

	test_begin("SYSENTER and SYSEXIT");
	user_page(code, sizeof(code));
	wrmsr(MSR_SYSENTER_CS, 0);
	run_user(SEL_USER64, 0x202);
	check_trap("SYSENTER with a null CS", 13, 0);
	wrmsr(MSR_SYSENTER_CS, SEL_CODE);
	wrmsr(MSR_SYSENTER_EIP, (uint64_t)sysenter_entry);
	wrmsr(MSR_SYSENTER_ESP, (uint64_t)stack_top - 5 * 16384);
	entry_return = 0;
	user_rdx = VA + 0x8002; /* SYSEXIT takes RIP from RDX and RSP from RCX */
	user_rcx = VA + 0x9e00;
	run_user(SEL_USER64, 0x202);
	check_trap("back in the user", 3, 0);
	CHECK_EQ(entry_count, 1);
	CHECK_EQ(entry_rsp, (uint64_t)stack_top - 5 * 16384);
	CHECK_EQ(entry_rflags & 0x200, 0);
	CHECK_EQ(entry_cs, SEL_CODE);
	CHECK_EQ(entry_ss, SEL_CODE + 8);
	CHECK_EQ(trap.frame.cs, SEL_CODE + 32 + 3);
	CHECK_EQ(trap.frame.ss, SEL_CODE + 40 + 3);
	CHECK_EQ(trap.frame.rsp, VA + 0x9e00);
	TRY("movl $1, %%edx\n\tmovl $1, %%ecx\n\tshlq $62, %%rdx\n\tsysexitq");
	check_trap("SYSEXIT to a non-canonical RIP", 13, 0);
	wrmsr(MSR_SYSENTER_CS, 0);
	TRY("sysexitq");
	check_trap("SYSEXIT with a null CS", 13, 0);
	test_end();
}

static void test_bases(void)
{
	uint64_t v;
	static uint64_t cells[2] = {0x1111, 0x2222};

	test_begin("FS and GS bases, SWAPGS");
	wrmsr(MSR_FS_BASE, (uint64_t)&cells[0]);
	wrmsr(MSR_GS_BASE, (uint64_t)&cells[1]);
	wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)&cells[0]);
	__asm__ volatile("movq %%fs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x1111);
	__asm__ volatile("movq %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x2222);
	__asm__ volatile("swapgs\n\tmovq %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x1111);
	CHECK_EQ(rdmsr(MSR_KERNEL_GS_BASE), (uint64_t)&cells[1]);
	__asm__ volatile("swapgs");
	__asm__ volatile("movq %%gs:(%1), %0" : "=r"(v) : "r"(-8ll));
	CHECK_EQ(v, 0x1111);
	/* Loading a selector replaces the base. */
	__asm__ volatile("movw %w0, %%fs" : : "r"(SEL_DATA));
	CHECK_EQ(rdmsr(MSR_FS_BASE), 0);
	TRY("rdfsbase %%rcx");
	check_trap("RDFSBASE without CR4.FSGSBASE", 6, 0);
	if (has(7, 1, 0)) {
		write_cr4(read_cr4() | 0x10000);
		__asm__ volatile("wrfsbase %0" : : "r"(0x7fff12345678ull));
		CHECK_EQ(rdmsr(MSR_FS_BASE), 0x7fff12345678ull);
		__asm__ volatile("wrgsbase %k0" : : "r"(0xfedcba9812345678ull));
		CHECK_EQ(rdmsr(MSR_GS_BASE), 0x12345678);
		__asm__ volatile("rdgsbase %0" : "=r"(v));
		CHECK_EQ(v, 0x12345678);
		TRY("wrfsbase %0", "r"(1ull << 62));
		check_trap("WRFSBASE of a non-canonical base", 13, 0);
		write_cr4(read_cr4() & ~0x10000ull);
	}
	TRY("movl $0xc0000100, %%ecx\n\tmovl $0x40000000, %%edx\n\twrmsr");
	if (on_test_host()) {
		check_trap("non-canonical FS base", 13, 0);
	}
	test_end();
}

#define LAR_LIKE(insn, selector, ret, zf)                                                          \
	__asm__ volatile(insn " %w2, %k0\n\tsetz %1"                                               \
			 : "=&r"(ret), "=q"(zf)                                                    \
			 : "r"((uint64_t)(selector)), "0"((uint64_t)0xdead)                        \
			 : "cc")

static void test_descriptors(void)
{
	static const struct {
		uint16_t selector;
		uint8_t lar, lsl, verr, verw;
		uint32_t rights, limit;
	} rows[] = {
		{0, 0, 0, 0, 0, 0, 0},
		{SEL_CODE, 1, 1, 1, 0, 0xaf9b00, 0xffffffff},
		{SEL_DATA, 1, 1, 1, 1, 0xcf9300, 0xffffffff},
		{SEL_USER_DATA, 1, 1, 1, 1, 0xcff300, 0xffffffff},
		{SEL_DATA | 3, 0, 0, 0, 0, 0, 0}, /* RPL above DPL */
		{SEL_TSS, 1, 1, 0, 0, 0x008b00, 0x67},
		{0x1f8, 0, 0, 0, 0, 0, 0}, /* empty descriptor: type 0 is not valid */
		{0xfff8, 0, 0, 0, 0, 0, 0},
	};

	test_begin("LAR, LSL, VERR, VERW, SLDT, STR");
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t v;
		uint8_t zf;

		LAR_LIKE("lar", rows[i].selector, v, zf);
		CHECK_EQ(zf, rows[i].lar);
		CHECK_EQ(zf ? v & 0xf0ff00 : 0, rows[i].rights & 0xf0ff00);
		LAR_LIKE("lsl", rows[i].selector, v, zf);
		CHECK_EQ(zf, rows[i].lsl);
		CHECK_EQ(zf ? v : 0, rows[i].limit);
		__asm__ volatile("verr %w1\n\tsetz %0"
				 : "=q"(zf)
				 : "r"((uint64_t)rows[i].selector)
				 : "cc");
		CHECK_EQ(zf, rows[i].verr);
		__asm__ volatile("verw %w1\n\tsetz %0"
				 : "=q"(zf)
				 : "r"((uint64_t)rows[i].selector)
				 : "cc");
		CHECK_EQ(zf, rows[i].verw);
	}
	{
		uint64_t v = ~0ull;
		struct {
			uint16_t limit;
			uint64_t base;
		} __attribute__((packed)) table;

		__asm__ volatile("str %w0" : "+r"(v));
		CHECK_EQ(v & 0xffff, SEL_TSS);
		__asm__ volatile("sldt %k0" : "+r"(v));
		CHECK_EQ(v, 0);
		__asm__ volatile("sgdt %0" : "=m"(table));
		CHECK_EQ(table.base, (uint64_t)gdt);
		CHECK_EQ(table.limit, 64 * 8 - 1);
		__asm__ volatile("smsw %0" : "=r"(v));
		CHECK_EQ(v & 0xffffffff, read_cr0() & 0xffffffff);
	}
	test_end();
}

static void test_far(void)
{
	uint64_t v, cs;
	struct {
		uint64_t offset;
		uint16_t selector;
	} __attribute__((packed)) pointer;

	test_begin("far transfers in long mode");
	/* lretq to the same ring. */
	__asm__ volatile("pushq %2\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:\tmovl $77, "
			 "%k0\n\tmovw %%cs, %w1"
			 : "=&r"(v), "=&r"(cs)
			 : "i"(SEL_CODE)
			 : "rax", "memory");
	CHECK_EQ(v, 77);
	/* Far jump into compatibility mode and back; 16-byte fine: 32-bit code runs at the identity map. */
	__asm__ volatile(
		"pushq %1\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n"
		".code32\n1:\tmovl $0x12345678, %%eax\n\tincl %%eax\n\t.byte 0x40\n\tljmp %2, $2f\n"
		".code64\n2:\tmovl %%eax, %k0"
		: "=r"(v)
		: "i"(SEL_CODE32), "i"(SEL_CODE)
		: "rax", "memory");
	CHECK_EQ(v, 0x1234567a);
	/* A 64-bit call gate. */
	gdt_set(SEL_FREE, ((uint64_t) && gate & 0xffff) | (uint64_t)SEL_CODE << 16 |
				  0x8c00ull << 32 | ((uint64_t) && gate >> 16 & 0xffff) << 48);
	gdt_set(SEL_FREE + 8, 0);
	pointer.offset = 0x5555;
	pointer.selector = SEL_FREE;
	v = 0;
	trap_clear();
	__asm__ volatile(
		"leaq gate_target(%%rip), %%rax\n\tmovw %%ax, gdt+%c2\n\tshrq $16, %%rax\n\tmovw "
		"%%ax, gdt+%c2+6\n\t"
		"jmp 1f\ngate_target:\n\tmovl $99, %k0\n\tlretq\n1:\t.byte 0x48\n\tlcall *%1"
		: "=&r"(v)
		: "m"(pointer), "i"(SEL_FREE)
		: "rax", "memory");
	CHECK_EQ(v, 99);
gate:
	TRY("pushq %0\n\tpushq $0x1000\n\tlretq", "i"(SEL_DATA));
	check_trap("far return to data", 13, SEL_DATA);
	TRY("pushq $0\n\tpushq $0x1000\n\tlretq");
	check_trap("far return to null", 13, 0);
	TRY("pushq %0\n\tpushq $0x1000\n\tlretq", "i"(SEL_USER64 & ~3));
	check_trap("far return to a ring-3 segment with RPL 0", 13, SEL_USER64 & ~3);
	TRY("pushq %0\n\tpushq %1\n\tpushq $0x202\n\tpushq %2\n\tpushq $0x1000\n\tiretq",
	    "i"(SEL_DATA), "i"(0x9000), "i"(SEL_DATA));
	check_trap("iret to data", 13, SEL_DATA);
	TRY("pushfq\n\torl $0x4000, (%%rsp)\n\tpopfq\n\tiretq");
	check_trap("iret with NT in long mode", 13, 0);
	test_end();
}

static void test_user_interrupt_stack(void)
{
	static const uint8_t int3[] = {0xcc};

	test_begin("stack switch on a trap from ring 3");
	user_page(int3, 1);
	run_user(SEL_USER64, 0x202);
	check_trap("breakpoint", 3, 0);
	CHECK_EQ((uint64_t)&trap.frame != 0, 1);
	CHECK_EQ(trap.frame.rsp, VA + 0x9f00);
	idt[3].ist = 1;
	run_user(SEL_USER64, 0x202);
	check_trap("breakpoint on an IST stack", 3, 0);
	idt[3].ist = 0;
	/* The frame is aligned to 16 bytes whatever RSP was. */
	TRY("subq $3, %%rsp\n\tint $0x81");
	check_trap("int 81 at an odd stack", 0x81, 0);
	CHECK_EQ(trap.frame.rsp & 3, (trap_resume_rsp - 3) & 3);
	test_end();
}

static void test_hypercall(void)
{
	uint64_t v;
	static const uint8_t vmcall[] = {0x0f, 0x01, 0xc1};

	if (on_kvm()) {
		test_skip("VMCALL exits at any ring",
			  "KVM answers it; what is for the hypervisor comes from its page");
		return;
	}
	test_begin("VMCALL exits at any ring");
	__asm__ volatile("vmcall" : "=a"(v) : "c"(41) : "memory");
	CHECK_EQ(v, 42);
	user_page(vmcall, 3);
	user_rcx = 99;
	run_user(SEL_USER64, 0x202);
	check_trap("user vmcall", 3, 0);
	CHECK_EQ(trap.frame.rax, 100);
	test_end();
}

static void test_misc(void)
{
	uint32_t r[4], aux;
	uint64_t first, second;

	test_begin("TSC, RDTSCP, UMIP, CR8, IOPL");
	__asm__ volatile("rdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax" : "=a"(first) : : "rdx");
	__asm__ volatile("rdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax" : "=a"(second) : : "rdx");
	CHECK_EQ(second >= first, 1);
	cpuid(0x80000001, 0, r);
	if ((r[3] >> 27 & 1) != 0) {
		wrmsr(MSR_TSC_AUX, 0x1234);
		__asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
		CHECK_EQ(aux, 0x1234);
	}
	write_cr4(read_cr4() | 4); /* TSD */
	TRY("rdtsc");
	check_trap("rdtsc at ring 0 with TSD", 256, 0);
	user_page((const uint8_t[]){0x0f, 0x31}, 2);
	run_user(SEL_USER64, 0x202);
	check_trap("user rdtsc with TSD", 13, 0);
	write_cr4(read_cr4() & ~4ull);
	run_user(SEL_USER64, 0x202);
	check_trap("user rdtsc", 3, 0);
	if (has(7, 2, 2)) {
		write_cr4(read_cr4() | 0x800);
		user_page((const uint8_t[]){0x0f, 0x00, 0xc8}, 3); /* str eax */
		run_user(SEL_USER64, 0x202);
		check_trap("user STR under UMIP", 13, 0);
		write_cr4(read_cr4() & ~0x800ull);
		run_user(SEL_USER64, 0x202);
		check_trap("user STR", 3, 0);
	}
	/* IOPL 3 lets the user do CLI and port I/O; POPF changes IOPL at ring 0 only. */
	user_page((const uint8_t[]){0xfa, 0xe4, 0x80, 0x9c, 0x81, 0x24, 0x24, 0xff, 0xcf, 0xff,
				    0xff, 0x9d},
		  12);
	run_user(SEL_USER64, 0x3202);
	check_trap("user CLI, IN, POPF at IOPL 3", 3, 0);
	CHECK_EQ(trap.frame.rflags & 0x3200, 0x3000);
	test_end();
}

static void test_io_bitmap(void)
{
	static struct {
		struct tss64 t;
		uint8_t bitmap[64];
	} __attribute__((packed)) wide;
	uint64_t base = (uint64_t)&wide;

	test_begin("I/O permission bitmap");
	wide.t = tss;
	wide.t.iomap = sizeof(wide.t);
	memset(wide.bitmap, 0xff, sizeof(wide.bitmap));
	wide.bitmap[0x80 / 8] = 0xfe; /* port 80h alone */
	gdt_set(SEL_TSS, (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56 | 0x890000000000ull |
				 (sizeof(wide) - 1));
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	user_page((const uint8_t[]){0xe6, 0x80}, 2);
	run_user(SEL_USER64, 0x202);
	check_trap("out to an open port", 3, 0);
	user_page((const uint8_t[]){0xe7, 0x80}, 2);
	run_user(SEL_USER64, 0x202);
	check_trap("dword out: the next port is closed", 13, 0);
	user_page((const uint8_t[]){0xe6, 0x81}, 2);
	run_user(SEL_USER64, 0x202);
	check_trap("out to a closed port", 13, 0);
	user_page((const uint8_t[]){0x66, 0xba, 0xff, 0xff, 0xec},
		  5); /* mov $0xffff, %dx; in (%dx), %al */
	run_user(SEL_USER64, 0x202);
	check_trap("port beyond the bitmap", 13, 0);
	base = (uint64_t)&tss;
	gdt_set(SEL_TSS, (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56 | 0x890000000000ull |
				 (sizeof(tss) - 1));
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	test_end();
}

void guest_main(void)
{
	test_syscall();
	if (on_test_host()) {
		test_sysenter(); /* TCG depends on its vendor */
	}
	test_bases();
	test_descriptors();
	test_far();
	test_user_interrupt_stack();
	if (on_test_host()) {
		test_hypercall();
	}
	test_misc();
	test_io_bitmap();
}
