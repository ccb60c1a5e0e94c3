// SPDX-License-Identifier: Apache-2.0
/* Exceptions in 64-bit mode: vector, error code, CR2, saved RIP. */
#include "guest.h"

#define STR2(x) #x
#define STR(x) STR2(x)
#define VA ((uint64_t)TEST_VA)
#define EXT 1 /* error code bit 0: met while an exception was delivered */

static void test_arithmetic(void)
{
	test_begin("divide error, invalid opcode, breakpoint");
	TRY("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\txorl %%edx, %%edx\n\tdivl %%ecx");
	check_trap("div by zero", 0, 0);
	TRY("movl $2, %%edx\n\tmovl $1, %%ecx\n\tdivl %%ecx");
	check_trap("div overflow", 0, 0);
	TRY("movl $0x80000000, %%eax\n\tcltd\n\tmovl $-1, %%ecx\n\tidivl %%ecx");
	check_trap("idiv overflow", 0, 0);
	TRY("ud2");
	check_trap("ud2", 6, 0);
	CHECK_EQ(*(uint16_t *)trap.frame.rip, 0x0b0f);
	TRY(".byte 0xf0, 0x90"); /* LOCK NOP */
	check_trap("lock nop", 6, 0);
	TRY(".byte 0x0f, 0x0b");
	check_trap("ud2 again", 6, 0);
	TRY(".byte 0x06"); /* PUSH ES */
	check_trap("push es", 6, 0);
	TRY("int3");
	check_trap("int3", 3, 0);
	CHECK_EQ(*(uint8_t *)(trap.frame.rip - 1), 0xcc);
	TRY("int $0x80");
	check_trap("int 80", 0x80, 0);
	CHECK_EQ(*(uint16_t *)(trap.frame.rip - 2), 0x80cd);
	test_end();
}

static void test_general_protection(void)
{
	uint64_t far = 0x4000000000000000ull;

	test_begin("general protection and stack fault");
	TRY("movq (%0), %%rcx", "S"(far));
	check_trap("non-canonical load", 13, 0);
	TRY("movq %%rcx, (%0)", "S"(far));
	check_trap("non-canonical store", 13, 0);
	TRY("movq %0, %%rbp\n\tmovq (%%rbp), %%rcx", "S"(far));
	check_trap("non-canonical load through rbp", 12, 0);
	TRY("jmp *%0", "r"(far));
	check_trap("non-canonical jump", 13, 0);
	TRY("movl $0x0badf008, %%ecx\n\tmovw %%cx, %%ds");
	check_trap("ds beyond the table", 13, 0xf008);
	TRY("movl $0x1234, %%ecx\n\tmovw %%cx, %%es");
	check_trap("es in an empty local table", 13, 0x1234);
	TRY("xorl %%ecx, %%ecx\n\tmovw %%cx, %%ds\n\tmovl $" STR(
		SEL_DATA) ", %%ecx\n\tmovw %%cx, %%ds");
	check_trap("null ds is fine", 256, 0);
	if (on_test_host()) { /* other emulators are lax here */
		TRY("movl $3, %%ecx\n\tmovw %%cx, %%ss");
		check_trap("null ss with rpl 3", 13, 0);
	}
	TRY("movl $" STR(SEL_CODE) ", %%ecx\n\tmovw %%cx, %%ss");
	check_trap("code in ss", 13, SEL_CODE);
	gdt_set(SEL_FREE, gdt[SEL_DATA / 8] & ~(1ull << 47));
	TRY("movl $" STR(SEL_FREE) ", %%ecx\n\tmovw %%cx, %%ds");
	check_trap("ds not present", 11, SEL_FREE);
	TRY("movl $" STR(SEL_FREE) ", %%ecx\n\tmovw %%cx, %%ss");
	check_trap("ss not present", 12, SEL_FREE);
	TRY("movl $" STR(SEL_USER_DATA) ", %%ecx\n\tmovw %%cx, %%ss");
	check_trap("ss of ring 3", 13, SEL_USER_DATA & ~3);
	TRY("movl $" STR(SEL_TSS) ", %%ecx\n\tltr %%cx");
	check_trap("ltr of a busy tss", 13, SEL_TSS);
	TRY("movl $" STR(SEL_DATA) ", %%ecx\n\tlldt %%cx");
	check_trap("lldt of data", 13, SEL_DATA);
	TRY("movl $0x12345678, %%ecx\n\trdmsr");
	check_trap("unknown msr", 13, 0);
	TRY("movl $0xc0000082, %%ecx\n\tmovl $0x40000000, %%edx\n\twrmsr");
	check_trap("non-canonical lstar", 13, 0);
	test_end();
}

static void test_control_registers(void)
{
	test_begin("control registers refuse what is reserved");
	TRY("movq %%cr4, %%rcx\n\torq %0, %%rcx\n\tmovq %%rcx, %%cr4", "r"(1ull << 40));
	check_trap("cr4 reserved bit", 13, 0);
	TRY("movq %%cr0, %%rcx\n\tbtrq $0, %%rcx\n\tmovq %%rcx, %%cr0");
	check_trap("cr0.pg without pe", 13, 0);
	TRY("movl $0xc0000080, %%ecx\n\trdmsr\n\tbtrl $8, %%eax\n\twrmsr");
	check_trap("efer.lme while paging", 13, 0);
	TRY("movq %%cr4, %%rcx\n\tbtrq $5, %%rcx\n\tmovq %%rcx, %%cr4");
	check_trap("cr4.pae in long mode", 13, 0);
	test_end();
}

static void test_page_fault(void)
{
	uint8_t *p = test_map(1, 1, PTE_P | PTE_W);

	test_begin("page faults: error codes and CR2");
	test_map(2, 2, 0);
	TRY("movb 4096(%0), %%cl", "r"(p));
	check_page_fault("read of nothing", VA + 0x2000, 0);
	TRY("movb %%cl, 4099(%0)", "r"(p));
	check_page_fault("write of nothing", VA + 0x2003, 2);
	TRY("movq 4092(%0), %%rcx", "r"(p));
	check_page_fault("read across", VA + 0x2000, 0);
	p[4095] = 0x5a;
	TRY("movq %%rcx, 4092(%0)", "r"(p));
	check_page_fault("write across", VA + 0x2000, 2);
	CHECK_EQ(p[4095], 0x5a);
	TRY("addq %%rcx, 4092(%0)", "r"(p));
	check_page_fault("modify across", VA + 0x2000, 2);
	TRY("leaq 4096(%0), %%rcx\n\tjmp *%%rcx", "r"(p));
	check_page_fault("fetch of nothing", VA + 0x2000, 0x10);
	CHECK_EQ(trap.frame.rip, VA + 0x2000);
	test_map(2, 2, PTE_P);
	TRY("movb %%cl, 4099(%0)", "r"(p));
	check_page_fault("write of read-only", VA + 0x2003, 3);
	TRY("movb 4099(%0), %%cl", "r"(p));
	check_trap("read of read-only", 256, 0);
	write_cr0(read_cr0() & ~0x10000ull);
	TRY("movb %%cl, 4099(%0)", "r"(p));
	check_trap("write of read-only without WP", 256, 0);
	write_cr0(read_cr0() | 0x10000ull);
	test_map(2, 2, PTE_P | PTE_W | PTE_NX);
	test_pages[2][0] = 0xc3;
	TRY("leaq 4096(%0), %%rcx\n\tcall *%%rcx", "r"(p));
	check_page_fault("fetch of no-execute", VA + 0x2000, 0x11);
	test_pt[2] = (uint64_t)test_pages[2] | PTE_P | PTE_W | (1ull << 51);
	invlpg(p + 4096);
	TRY("movb 4099(%0), %%cl", "r"(p));
	check_page_fault("reserved bit", VA + 0x2003, 9);
	test_pd[1] = PTE_P | PTE_W | PTE_PS | 0x2000; /* reserved address bit of a large page */
	TRY("movb (%0), %%cl", "r"(VA + 0x200000));
	check_page_fault("reserved bit of a large page", VA + 0x200000, 9);
	test_pd[1] = 0;
	TRY("movb (%0), %%cl", "r"(VA + 0x200000));
	check_page_fault("no page directory entry", VA + 0x200000, 0);
	TRY("movb (%0), %%cl", "r"(0x7f0000000000ull));
	check_page_fault("no PML4 entry", 0x7f0000000000ull, 0);
	test_end();
}

extern uint8_t user_code[], user_load[], user_store[], user_jump[], user_hlt[], user_cli[],
	user_int80[], user_ud[], user_out[], user_code_end[];
/* clang-format off */
__asm__(".pushsection .text\n"
	"user_code:\n"
	"user_load: movb (%rdi), %al\n\tint3\n"
	"user_store: movb %al, (%rdi)\n\tint3\n"
	"user_jump: jmp *%rdi\n"
	"user_hlt: hlt\n"
	"user_cli: cli\n"
	"user_int80: int $0x80\n"
	"user_ud: ud2\n"
	"user_out: outb %al, $0x80\n\tint3\n"
	"user_code_end:\n"
	".popsection\n");
/* clang-format on */

static void user(const uint8_t *label, uint64_t rdi)
{
	trap_clear();
	user_rdi = rdi;
	user_enter(VA + 8 * 4096 + (uint64_t)(label - user_code), VA + 10 * 4096, SEL_USER64,
		   0x202);
}

static void test_user(void)
{
	uint8_t *code = test_map(8, 8, PTE_P | PTE_W | PTE_U);

	test_begin("ring 3: rights, gates, privileged instructions");
	copy_code(code, user_code, user_code_end);
	boot_pml4[0] |= PTE_U;
	test_map(9, 9, PTE_P | PTE_W | PTE_U | PTE_NX);
	test_map(1, 1, PTE_P | PTE_W);
	test_map(2, 2, PTE_P | PTE_U);
	test_map(3, 3, 0);
	user(user_load, VA + 0x9000);
	check_trap("user load", 3, 0);
	CHECK_EQ(trap.frame.cs, SEL_USER64);
	CHECK_EQ(trap.frame.ss, SEL_USER_DATA);
	CHECK_EQ(trap.frame.rsp, VA + 10 * 4096);
	user(user_load, VA + 0x1000);
	check_page_fault("user load of supervisor page", VA + 0x1000, 5);
	user(user_store, VA + 0x1000);
	check_page_fault("user store to supervisor page", VA + 0x1000, 7);
	user(user_store, VA + 0x2000);
	check_page_fault("user store to read-only page", VA + 0x2000, 7);
	write_cr0(read_cr0() & ~0x10000ull);
	user(user_store, VA + 0x2000);
	check_page_fault("WP does not matter to the user", VA + 0x2000, 7);
	write_cr0(read_cr0() | 0x10000ull);
	user(user_load, VA + 0x3000);
	check_page_fault("user load of nothing", VA + 0x3000, 4);
	user(user_store, VA + 0x3000);
	check_page_fault("user store to nothing", VA + 0x3000, 6);
	user(user_jump, VA + 0x9000);
	check_page_fault("user fetch of no-execute", VA + 0x9000, 0x15);
	user(user_jump, VA + 0x3000);
	check_page_fault("user fetch of nothing", VA + 0x3000, 0x14);
	user(user_jump, VA + 0x1000);
	check_page_fault("user fetch of supervisor page", VA + 0x1000, 0x15);
	user(user_hlt, 0);
	check_trap("user hlt", 13, 0);
	user(user_cli, 0);
	check_trap("user cli", 13, 0);
	user(user_int80, 0);
	check_trap("user int through a gate of ring 0", 13, 0x80 * 8 + 2);
	user(user_ud, 0);
	check_trap("user ud2", 6, 0);
	user(user_out, 0);
	check_trap("user out without a bitmap", 13, 0);
	test_end();
}

static void test_nested(void)
{
	struct idt_entry saved_ud = idt[6], saved_np = idt[11];

	test_begin("faults during delivery");
	idt[6].type = 0x0e;
	TRY("ud2");
	check_trap("gate not present", 11, 6 * 8 + 2 + EXT);
	idt[11].type = 0x0e; /* #NP while delivering #NP: contributory after contributory */
	idt[8].ist = 1;
	TRY("ud2");
	check_trap("double fault", 8, 0);
	idt[6] = saved_ud;
	idt[11] = saved_np;
	idt[6].selector = SEL_DATA;
	TRY("ud2");
	check_trap("gate to a data segment", 13, SEL_DATA + EXT);
	idt[6] = saved_ud;
	idt[6].selector = 0;
	TRY("ud2");
	check_trap("gate with a null selector", 13, EXT);
	idt[6] = saved_ud;
	idt[14].type = 0x0e;
	TRY("movb (%0), %%cl", "r"(VA + 0x3000));
	check_trap("page fault gate not present: double fault", 8, 0);
	idt[14].type = 0x8e;
	/* A stack that cannot take the frame: #PF during delivery of #UD is serial, #PF during delivery of #PF double. */
	idt[14].ist = 1;
	TRY("movq %%rsp, %%rbx\n\tmovq %0, %%rsp\n\tud2", "r"(VA + 0x3800));
	check_trap("page fault while delivering #UD", 14, 2);
	CHECK_EQ(trap.frame.rsp, VA + 0x3800);
	idt[14].ist = 0;
	TRY("movq %%rsp, %%rbx\n\tmovq %0, %%rsp\n\tmovb (%%rsp), %%cl", "r"(VA + 0x3800));
	check_trap("page fault while delivering #PF", 8, 0);
	CHECK_EQ(trap.cr2, VA + 0x37f8);
	idt[12].ist = 1;
	TRY("movq %0, %%rsp\n\tpushq %%rax", "r"(0x4000000000000000ull));
	check_trap("push at a non-canonical rsp", 12, 0);
	idt[12].ist = 0;
	TRY("movq %0, %%rsp\n\tud2", "r"(0x4000000000000000ull));
	check_trap("delivery at a non-canonical rsp", 8, 0);
	idt[8].ist = 0;
	test_end();
}

static void test_fpu(void)
{
	static const uint16_t fcw_unmasked = 0x37b; /* ZM clear */
	static const uint32_t mxcsr_unmasked = 0x1d80;
	static const uint32_t mxcsr = 0x1f80;

	test_begin("device not available, floating-point errors");
	write_cr0(read_cr0() | 8);
	TRY("fnop");
	check_trap("x87 with TS", 7, 0);
	TRY("movaps %%xmm0, %%xmm1");
	check_trap("sse with TS", 7, 0);
	TRY("fwait");
	check_trap("fwait with TS and MP", 7, 0);
	__asm__ volatile("clts");
	write_cr0(read_cr0() | 4);
	TRY("fnop");
	check_trap("x87 with EM", 7, 0);
	TRY("movaps %%xmm0, %%xmm1");
	check_trap("sse with EM", 6, 0);
	write_cr0(read_cr0() & ~4ull);
	TRY("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait", "m"(fcw_unmasked));
	check_trap("x87 division by zero", 16, 0);
	__asm__ volatile("fnclex\n\tfninit");
	TRY("ldmxcsr %0\n\tpxor %%xmm1, %%xmm1\n\tpcmpeqd %%xmm0, %%xmm0\n\tpsrld $25, "
	    "%%xmm0\n\tpslld $23, %%xmm0\n\t"
	    "divss %%xmm1, %%xmm0",
	    "m"(mxcsr_unmasked));
	check_trap("sse division by zero", 19, 0);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	write_cr4(read_cr4() & ~0x400ull);
	TRY("ldmxcsr %0\n\tpxor %%xmm1, %%xmm1\n\tpcmpeqd %%xmm0, %%xmm0\n\tpsrld $25, "
	    "%%xmm0\n\tpslld $23, %%xmm0\n\t"
	    "divss %%xmm1, %%xmm0",
	    "m"(mxcsr_unmasked));
	check_trap("sse division by zero without OSXMMEXCPT", 6, 0);
	write_cr4(read_cr4() | 0x400);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	write_cr4(read_cr4() & ~0x200ull);
	TRY("movaps %%xmm0, %%xmm1");
	check_trap("sse without OSFXSR", 6, 0);
	write_cr4(read_cr4() | 0x200);
	TRY("movaps (%0), %%xmm1", "r"(test_pages[5] + 8));
	check_trap("misaligned movaps", 13, 0);
	test_end();
}

static void test_alignment(void)
{
	uint8_t *code = test_map(8, 8, PTE_P | PTE_W | PTE_U);

	test_begin("alignment check");
	/* mov (%rdi), %eax; int3 */
	code[0] = 0x8b;
	code[1] = 0x07;
	code[2] = 0xcc;
	test_map(9, 9, PTE_P | PTE_W | PTE_U);
	write_cr0(read_cr0() | 0x40000);
	trap_clear();
	user_rdi = VA + 0x9001;
	user_enter(VA + 0x8000, VA + 0xa000, SEL_USER64, 0x40202);
	check_trap("AC and AM at ring 3", 17, 0);
	trap_clear();
	user_enter(VA + 0x8000, VA + 0xa000, SEL_USER64, 0x202);
	check_trap("AM without AC", 3, 0);
	trap_clear();
	user_rdi = VA + 0x9004;
	user_enter(VA + 0x8000, VA + 0xa000, SEL_USER64, 0x40202);
	check_trap("aligned", 3, 0);
	write_cr0(read_cr0() & ~0x40000ull);
	trap_clear();
	user_rdi = VA + 0x9001;
	user_enter(VA + 0x8000, VA + 0xa000, SEL_USER64, 0x40202);
	check_trap("AC without AM", 3, 0);
	TRY("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmovl 1(%0), %%ecx\n\tpushfq\n\tandl "
	    "$~0x40000, (%%rsp)\n\tpopfq",
	    "r"(test_pages[5]));
	check_trap("ring 0 is never checked", 256, 0);
	test_end();
}

static void test_strings(void)
{
	uint8_t *p = test_map(16, 16, PTE_P | PTE_W);
	uint64_t rcx, rsi, rdi;

	test_begin("string instructions that fault half-way");
	test_map(17, 17, 0);
	memset(p, 0x11, 4096);
	memset(test_pages[18], 0x22, 4096);
	trap_clear();
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, trap_resume\n\tmovq %%rsp, "
			 "trap_resume_rsp\n\trep movsq\n1:"
			 : "=c"(rcx), "=S"(rsi), "=D"(rdi)
			 : "c"(32), "S"(test_pages[18]), "D"(p + 4096 - 80)
			 : "rax", "memory");
	check_page_fault("rep movsq", VA + 17 * 4096, 2);
	CHECK_EQ(trap.frame.rcx, 22);
	CHECK_EQ(trap.frame.rdi, VA + 17 * 4096);
	CHECK_EQ(trap.frame.rsi, (uint64_t)test_pages[18] + 80);
	CHECK_EQ(p[4095], 0x22);
	CHECK_EQ(p[4096 - 81], 0x11);
	CHECK_EQ(*(uint16_t *)trap.frame.rip & 0xff, 0xf3);
	trap_clear();
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, trap_resume\n\tmovq %%rsp, "
			 "trap_resume_rsp\n\tstd\n\trep "
			 "stosb\n1:\tcld"
			 : "=c"(rcx), "=D"(rdi)
			 : "c"(100), "D"(VA + 18 * 4096 + 9)
			 : "rax", "memory");
	test_map(18, 18, PTE_P | PTE_W);
	check_trap("rep stosb on nothing", 14, 2);
	CHECK_EQ(trap.frame.rcx, 100);
	trap_clear();
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, trap_resume\n\tmovq %%rsp, "
			 "trap_resume_rsp\n\tmovb $0x33, "
			 "%%al\n\tstd\n\trep stosb\n1:\tcld"
			 : "=c"(rcx), "=D"(rdi)
			 : "c"(100), "D"(VA + 18 * 4096 + 9)
			 : "rax", "memory");
	check_page_fault("rep stosb downwards", VA + 18 * 4096 - 1, 2);
	CHECK_EQ(trap.frame.rcx, 90);
	CHECK_EQ(test_pages[18][0], 0x33);
	trap_clear();
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, trap_resume\n\tmovq %%rsp, "
			 "trap_resume_rsp\n\tcmpb %%al, "
			 "%%al\n\trepe cmpsb\n1:"
			 : "=c"(rcx), "=S"(rsi), "=D"(rdi)
			 : "c"(100), "S"(p + 4096 - 16), "D"(p + 4096 - 16)
			 : "rax", "memory");
	check_page_fault("repe cmpsb", VA + 17 * 4096, 0);
	CHECK_EQ(trap.frame.rcx, 84);
	CHECK_EQ(trap.frame.rflags & 0x40, 0x40);
	test_end();
}

void guest_main(void)
{
	test_arithmetic();
	test_general_protection();
	if (on_test_host()) { /* other emulators are lax here */
		test_control_registers();
	}
	test_page_fault();
	test_user();
	test_nested();
	test_fpu();
	test_alignment();
	test_strings();
}
