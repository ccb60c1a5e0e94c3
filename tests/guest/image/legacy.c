// SPDX-License-Identifier: Apache-2.0
/* Legacy modes: segmentation, gates, tasks, virtual-8086, real mode, 32-bit and PAE paging, the way into long mode and back. */
#include "report.h"

struct trap_frame {
	uint32_t edi, esi, ebp, esp_unused, ebx, edx, ecx, eax, gs, fs, es, ds;
	uint32_t vector, error, eip, cs, eflags, esp, ss, v_es, v_ds, v_fs, v_gs;
};
static struct {
	uint32_t count;
	struct trap_frame frame;
	uint32_t cr2;
} trap;
uint32_t trap_resume, trap_resume_esp, trap_resume_ebp;

struct enter_frame {
	uint32_t eip, cs, eflags, esp, ss, es, ds, fs, gs;
};
void enter(const struct enter_frame *frame);
void real_mode(void);
uint32_t long_mode(uint32_t cr3);
extern uint32_t long_efer, long_efer_after;
void guest_start(void);
void trap_handler(struct trap_frame *frame);
_Noreturn void trap_leave(const struct trap_frame *frame);

struct tss32 {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp,
		ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, iomap;
};
struct tss32 tss_main;
static struct tss32 tss_other;
uint32_t task_runs, task_eflags, task_cr0, task_ebx, task_error, task_eip, task_saved_esp;
void task_call(void);
void task_entry(void);
void task_jump_entry(void);
void task_fault_entry(void);
void task_fault(void);
extern uint8_t task_fault_resume[];
uint32_t gate_esp, gate_ss, gate_sum;
void gate_entry(void);

static uint64_t idt[256] __attribute__((aligned(16)));
extern uint8_t trap_stubs[], stack_top[], kernel_stack_top[], user_stack_top[], task_stack_top[];
extern volatile uint64_t gdt[32];

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_USER_CODE 0x1b
#define SEL_USER_DATA 0x23
#define SEL_TEST 0x28
#define SEL_TEST2 0x30
#define SEL_MAIN 0x60
#define SEL_OTHER 0x68
#define SEL_GATE 0x70

#define TRY(text, ...)                                                                             \
	do {                                                                                       \
		trap_clear();                                                                      \
		__asm__ volatile("movl $99f, trap_resume\n\tmovl %%esp, trap_resume_esp\n\t"       \
				 "movl %%ebp, trap_resume_ebp\n\t" text                            \
				 "\n99:\tmovl $0, trap_resume"                                     \
				 :                                                                 \
				 : __VA_ARGS__                                                     \
				 : "eax", "ecx", "edx", "memory", "cc");                           \
	} while (0)

static void trap_clear(void)
{
	trap.count = 0;
	trap.frame.vector = 256;
	trap.frame.error = 0;
}

static void check_trap(const char *what, uint32_t vector, uint32_t error)
{
	check_eq(what, trap.frame.vector, vector);
	if (vector != 256 && trap.frame.vector == vector) {
		check_eq(what, trap.frame.error, error);
	}
}

void trap_handler(struct trap_frame *frame)
{
	uint32_t cr2;
	bool outer = (frame->eflags & 0x20000) != 0 || (frame->cs & 3) != 0;

	__asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
	memcpy(&trap.frame, frame, outer ? sizeof(*frame) : offsetof(struct trap_frame, esp));
	trap.cr2 = cr2;
	trap.count++;
	if (trap_resume == 0) {
		print("Bail out! unexpected trap ");
		print_hex(frame->vector);
		print(" error ");
		print_hex(frame->error);
		print(" eip ");
		print_hex(frame->eip);
		print("\n");
		outb(PORT_EXIT, 1);
		for (;;) {
			__asm__ volatile("cli; hlt");
		}
	}
	frame->eip = trap_resume;
	frame->esp_unused = trap_resume_esp;
	frame->ebp = trap_resume_ebp != 0 ? trap_resume_ebp : frame->ebp;
	trap_resume = 0;
	trap_resume_ebp = 0;
	trap_leave(frame);
}

static void idt_set(unsigned v, uint32_t at, uint16_t selector, uint8_t type)
{
	idt[v] = (at & 0xffff) | (uint64_t)selector << 16 | (uint64_t)type << 40 |
		 (uint64_t)(at >> 16) << 48;
}

/* @flags: bits 55:52 of the descriptor (G, D, L, AVL) in its high nibble, access byte in the low byte. */
static void gdt_set(unsigned selector, uint32_t base, uint32_t limit, uint16_t flags)
{
	gdt[selector / 8] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
			    (uint64_t)(flags & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
			    (uint64_t)(flags >> 12) << 52 | (uint64_t)(base >> 24) << 56;
}

static uint8_t buffer[8192] __attribute__((aligned(4096)));

#define LOAD_DS "movl %0, %%ecx\n\tmovw %%cx, %%fs\n\t"

static void test_limits(void)
{
	uint32_t base = (uint32_t)buffer;

	test_begin("segment limits and types");
	gdt_set(SEL_TEST, base, 0xfff, 0x4093); /* 4 KiB, byte granular */
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0xfff, %%al", "i"(SEL_TEST));
	check_trap("last byte", 256, 0);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0x1000, %%al", "i"(SEL_TEST));
	check_trap("one beyond", 13, 0);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovl %%fs:0xffd, %%eax", "i"(SEL_TEST));
	check_trap("dword across the limit", 13, 0);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovl %%fs:0xffffffff, %%eax", "i"(SEL_TEST));
	check_trap("dword across 4 GiB", 13, 0);
	gdt_set(SEL_TEST, base, 0xfff, 0x4097); /* expand down: 1000h..ffffffff */
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0xfff, %%al", "i"(SEL_TEST));
	check_trap("expand down, below", 13, 0);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0x1000, %%al", "i"(SEL_TEST));
	check_trap("expand down, first byte", 256, 0);
	gdt_set(SEL_TEST, base, 0xfff, 0x0097); /* the same with B clear: up to ffff */
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0x10000, %%al", "i"(SEL_TEST));
	check_trap("expand down, B clear, beyond 64 KiB", 13, 0);
	gdt_set(SEL_TEST, base, 1, 0xc093); /* 8 KiB, page granular */
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0x1fff, %%al", "i"(SEL_TEST));
	check_trap("page granular, last byte", 256, 0);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0x2000, %%al", "i"(SEL_TEST));
	check_trap("page granular, beyond", 13, 0);
	gdt_set(SEL_TEST, base, 0xfffff, 0xc091); /* read-only */
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%al, %%fs:0", "i"(SEL_TEST));
	check_trap("write to read-only data", 13, 0);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%ss", "i"(SEL_TEST));
	check_trap("read-only data in SS", 13, SEL_TEST);
	gdt_set(SEL_TEST, base, 0xfffff, 0xc099); /* execute only */
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs", "i"(SEL_TEST));
	check_trap("execute-only code in FS", 13, SEL_TEST);
	gdt_set(SEL_TEST, base, 0xfffff, 0xc09b);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%al, %%fs:0", "i"(SEL_TEST));
	check_trap("write to code", 13, 0);
	TRY("xorl %%ecx, %%ecx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0, %%al");
	check_trap("null FS", 13, 0);
	TRY("xorl %%ecx, %%ecx\n\tmovw %%cx, %%ss");
	check_trap("null SS", 13, 0);
	gdt_set(SEL_TEST, 0, 0xfffff, 0xc013);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs", "i"(SEL_TEST));
	check_trap("FS not present", 11, SEL_TEST);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%ss", "i"(SEL_TEST));
	check_trap("SS not present", 12, SEL_TEST);
	/* Loading sets the accessed bit. */
	gdt_set(SEL_TEST, 0, 0xfffff, 0xc092);
	TRY("movl %0, %%ecx\n\tmovw %%cx, %%fs", "i"(SEL_TEST));
	CHECK_EQ(gdt[SEL_TEST / 8] >> 40 & 0xff, 0x93);
	TRY("movw $0xffff, %%cx\n\tmovw %%cx, %%fs");
	check_trap("selector in an empty local table", 13, 0xfffc);
	TRY("movw %0, %%cx\n\tlldt %%cx", "i"(SEL_DATA));
	check_trap("lldt of data", 13, SEL_DATA);
	gdt_set(SEL_TEST, (uint32_t)buffer, 15, 0x0082); /* local table with one usable entry */
	((volatile uint64_t *)buffer)[1] = 0x00cf93000000ffffull;
	TRY("movw %0, %%cx\n\tlldt %%cx\n\tmovw $0xc, %%cx\n\tmovw %%cx, %%fs\n\tmovb %%fs:0x1000, "
	    "%%al",
	    "i"(SEL_TEST));
	check_trap("local table", 256, 0);
	TRY("movw $0x14, %%cx\n\tmovw %%cx, %%fs");
	check_trap("beyond the local table", 13, 0x14);
	TRY("xorl %%ecx, %%ecx\n\tlldt %%cx");
	test_end();
}

static void test_16bit(void)
{
	uint32_t sum;

	test_begin("16-bit code and stack segments");
	gdt_set(SEL_TEST, 0x8000, 0xffff, 0x009b);
	/* mov $0x1234, %ax; add $0x1111, %ax; lretl (66 cb) */
	memcpy((void *)0x8000, (const uint8_t[]){0xb8, 0x34, 0x12, 0x05, 0x11, 0x11, 0x66, 0xcb},
	       8);
	__asm__ volatile("movl $0xaaaa0000, %%eax\n\tlcall %1, $0"
			 : "=a"(sum)
			 : "i"(SEL_TEST)
			 : "memory");
	CHECK_EQ(sum, 0xaaaa2345);
	/* With a 16-bit stack segment a push changes SP only. */
	gdt_set(SEL_TEST2, 0, 0xffff, 0x0093);
	__asm__ volatile("movl %%esp, %%edx\n\tmovl %%ss, %%ecx\n\tmovl %1, %%eax\n\tmovl %%eax, "
			 "%%ss\n\tmovl $0x12340004, %%esp\n\t"
			 "pushl $0x55\n\tpushl $0x66\n\tmovl %%esp, %0\n\tmovl %%ecx, %%ss\n\tmovl "
			 "%%edx, %%esp"
			 : "=a"(sum)
			 : "i"(SEL_TEST2)
			 : "ecx", "edx", "memory");
	CHECK_EQ(sum, 0x1234fffc);
	CHECK_EQ(*(volatile uint32_t *)0xfffc, 0x66);
	test_end();
}

static void test_bound_into(void)
{
	static const int32_t bounds[2] = {5, 10};

	test_begin("BOUND, INTO, one-byte traps");
	TRY("movl $7, %%eax\n\tboundl %%eax, %0", "m"(bounds));
	check_trap("in range", 256, 0);
	TRY("movl $11, %%eax\n\tboundl %%eax, %0", "m"(bounds));
	check_trap("out of range", 5, 0);
	TRY("movl $0x7fffffff, %%eax\n\tincl %%eax\n\tinto");
	check_trap("overflow", 4, 0);
	TRY("xorl %%eax, %%eax\n\tinto");
	check_trap("no overflow", 256, 0);
	TRY("int3");
	check_trap("int3", 3, 0);
	test_end();
}

extern const uint8_t user_gate[], user_gate_end[];
/* clang-format off */
__asm__(".pushsection .text\n"
	"user_gate: pushl $3\n pushl $2\n pushl $1\n lcall $0x73, $0\n int3\n"
	"user_gate_end:\n.popsection\n");
/* clang-format on */

static void run_user(const uint8_t *code, uint32_t bytes, uint32_t eflags)
{
	struct enter_frame f = {(uint32_t)buffer,
				SEL_USER_CODE,
				eflags,
				(uint32_t)user_stack_top,
				SEL_USER_DATA,
				SEL_USER_DATA,
				SEL_USER_DATA,
				0,
				0};

	memcpy(buffer, code, bytes);
	trap_clear();
	enter(&f);
}

static void test_rings(void)
{
	test_begin("rings: stack switch, call gate with parameters");
	run_user((const uint8_t[]){0xcc}, 1, 0x202);
	check_trap("user int3", 3, 0);
	CHECK_EQ(trap.frame.cs, SEL_USER_CODE);
	CHECK_EQ(trap.frame.esp, (uint32_t)user_stack_top);
	CHECK_EQ(trap.frame.ss, SEL_USER_DATA);
	run_user((const uint8_t[]){0xcd, 0x80}, 2, 0x202);
	check_trap("user int 80 through a ring-0 gate", 13, 0x80 * 8 + 2);
	run_user((const uint8_t[]){0xf4}, 1, 0x202);
	check_trap("user hlt", 13, 0);
	run_user((const uint8_t[]){0x8e, 0xd8, 0xcc}, 3,
		 0x202); /* mov %eax, %ds with whatever EAX is: null or bad */
	gdt[SEL_GATE / 8] = ((uint32_t)gate_entry & 0xffff) | (uint32_t)SEL_CODE << 16 |
			    (uint64_t)0xec03 << 32 | (uint64_t)((uint32_t)gate_entry >> 16) << 48;
	gate_sum = 0;
	run_user(user_gate, (uint32_t)(user_gate_end - user_gate), 0x202);
	check_trap("back from the gate", 3, 0);
	CHECK_EQ(gate_sum, 0x010203);
	CHECK_EQ(gate_ss, SEL_DATA);
	CHECK_EQ(gate_esp, (uint32_t)kernel_stack_top - 7 * 4);
	CHECK_EQ(trap.frame.esp,
		 (uint32_t)user_stack_top);	 /* LRET 12 popped the parameters on both stacks */
	gdt[SEL_GATE / 8] &= ~(0x6000ull << 32); /* DPL 0 */
	run_user(user_gate, (uint32_t)(user_gate_end - user_gate), 0x202);
	check_trap("gate of ring 0", 13, SEL_GATE);
	gdt[SEL_GATE / 8] = (gdt[SEL_GATE / 8] | 0x6000ull << 32) & ~(0x8000ull << 32);
	run_user(user_gate, (uint32_t)(user_gate_end - user_gate), 0x202);
	check_trap("gate not present", 11, SEL_GATE);
	gdt[SEL_GATE / 8] |= 0x8000ull << 32;
	test_end();
}

static void task_init(void (*entry)(void))
{
	memset(&tss_other, 0, sizeof(tss_other));
	tss_other.eip = (uint32_t)entry;
	tss_other.esp = (uint32_t)task_stack_top;
	tss_other.eflags = 2;
	tss_other.cs = SEL_CODE;
	tss_other.ss = tss_other.ds = tss_other.es = SEL_DATA;
	tss_other.ebx = 0x1111;
	tss_other.iomap = sizeof(tss_other);
	gdt_set(SEL_OTHER, (uint32_t)&tss_other, sizeof(tss_other) - 1, 0x0089);
	task_runs = 0;
}

static uint32_t tss_type(unsigned selector)
{
	return (uint32_t)(gdt[selector / 8] >> 40) & 0xff;
}

static void test_tasks(void)
{
	uint32_t eflags, ebx, tr, cr0;

	test_begin("task switches: call, IRET, jump");
	task_init(task_entry);
	__asm__ volatile(
		"movl $0x7777, %%ebx\n\tlcall %2, $0\n\tpushfl\n\tpopl %0\n\tmovl %%ebx, %1"
		: "=&r"(eflags), "=&r"(ebx)
		: "i"(SEL_OTHER)
		: "ebx", "eax", "memory");
	CHECK_EQ(task_runs, 1);
	CHECK_EQ(task_eflags & 0x4000, 0x4000); /* NT */
	CHECK_EQ(task_cr0 & 8, 8);		/* TS */
	CHECK_EQ(task_ebx, 0x1111);
	CHECK_EQ(eflags & 0x4000, 0);
	CHECK_EQ(ebx, 0x7777);
	CHECK_EQ(tss_other.link, SEL_MAIN);
	CHECK_EQ(tss_other.ebx, 0x5a5a); /* saved when it left */
	CHECK_EQ(tss_type(SEL_MAIN), 0x8b);
	CHECK_EQ(tss_type(SEL_OTHER), 0x89);
	__asm__ volatile("str %w0" : "=r"(tr));
	CHECK_EQ(tr & 0xffff, SEL_MAIN);
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	CHECK_EQ(cr0 & 8, 8);
	__asm__ volatile("clts");
	/* Again: it goes on behind its IRET. */
	__asm__ volatile("lcall %0, $0" : : "i"(SEL_OTHER) : "eax", "memory");
	CHECK_EQ(task_runs, 2);
	__asm__ volatile("clts");
	task_init(task_jump_entry);
	__asm__ volatile("ljmp %0, $0" : : "i"(SEL_OTHER) : "eax", "memory");
	CHECK_EQ(task_runs, 1);
	CHECK_EQ(task_eflags & 0x4000, 0);
	CHECK_EQ(tss_type(SEL_MAIN), 0x8b);
	CHECK_EQ(tss_type(SEL_OTHER), 0x89);
	__asm__ volatile("clts");
	TRY("lcall %0, $0", "i"(SEL_MAIN));
	check_trap("call of a busy task", 13, SEL_MAIN);
	gdt[SEL_OTHER / 8] &= ~(0x8000ull << 32);
	TRY("lcall %0, $0", "i"(SEL_OTHER));
	check_trap("call of an absent task", 11, SEL_OTHER);
	task_init(task_entry);
	gdt_set(SEL_OTHER, (uint32_t)&tss_other, 0x66, 0x0089);
	TRY("lcall %0, $0", "i"(SEL_OTHER));
	check_trap("task state too short", 10, SEL_OTHER);
	test_end();
	test_begin("task gate for an exception");
	task_init(task_entry);
	idt_set(6, 0, SEL_OTHER, 0x85);
	tss_other.eip = (uint32_t)task_fault_entry;
	tss_other.esp -= 4; /* #UD has no error code: what the task pops is ours */
	*(volatile uint32_t *)tss_other.esp = 0x4321;
	task_fault();
	CHECK_EQ(task_runs, 1);
	CHECK_EQ(task_error, 0x4321);
	CHECK_EQ(*(const uint16_t *)task_eip, 0x0b0f);
	__asm__ volatile("clts");
	idt_set(6, (uint32_t)trap_stubs + 16 * 6, SEL_CODE, 0x8e);
	test_end();
}

static void test_invalid_task(void)
{
	uint32_t tr;

	/* QEMU's processor switches tasks without asking KVM. */
	if (on_kvm() && !on_emulated_host()) {
		test_skip("invalid task state", "KVM switches tasks itself, and drops faults of "
						"the new one's segments (Linux 6.1)");
		return;
	}
	test_begin("invalid task state");
	task_init(task_entry);
	/* DS is loaded last: the handler runs in the new task, on its stack. */
	tss_other.ds = 0x100;
	trap_clear();
	task_call();
	check_trap("bad DS in the new task", 10, 0x100);
	__asm__ volatile("str %w0" : "=r"(tr));
	CHECK_EQ(tr & 0xffff, SEL_OTHER); /* the switch had happened */
	/* Go back to the main task by hand. */
	gdt_set(SEL_MAIN, (uint32_t)&tss_main, sizeof(tss_main) - 1, 0x0089);
	__asm__ volatile("ltr %w0\n\tclts\n\tpushl $2\n\tpopfl" : : "r"(SEL_MAIN) : "memory");
	test_end();
}

static void v86(const uint8_t *code, uint32_t bytes, uint32_t eflags)
{
	struct enter_frame f = {0x10,	0x0a00, 0x20000 | eflags, 0x1000, 0x0b00,
				0x0c00, 0x0d00, 0x0e00,		  0x0f00};

	memcpy((void *)0xa010, code, bytes);
	trap_clear();
	enter(&f);
}

static void test_v86(void)
{
	if (on_emulated_host()) { /* its #VMEXIT leaves VM set in RFLAGS: the host goes on in virtual-8086 mode */
		test_skip("virtual-8086 mode", "QEMU's AMD-V does not survive an exit in it");
		return;
	}
	test_begin("virtual-8086 mode");
	/* mov $0x1234, %ax; mov %ax, %ds:0x20; int3 */
	*(volatile uint16_t *)0xd020 = 0;
	v86((const uint8_t[]){0xb8, 0x34, 0x12, 0xa3, 0x20, 0x00, 0xcc}, 7, 0x3202);
	check_trap("int3 at IOPL 3", 3, 0);
	CHECK_EQ(*(volatile uint16_t *)0xd020, 0x1234);
	CHECK_EQ(trap.frame.eflags & 0x20000, 0x20000);
	CHECK_EQ(trap.frame.cs, 0x0a00);
	CHECK_EQ(trap.frame.eip, 0x17);
	CHECK_EQ(trap.frame.ss, 0x0b00);
	CHECK_EQ(trap.frame.esp, 0x1000);
	CHECK_EQ(trap.frame.v_ds, 0x0d00);
	CHECK_EQ(trap.frame.v_es, 0x0c00);
	CHECK_EQ(trap.frame.v_fs, 0x0e00);
	CHECK_EQ(trap.frame.v_gs, 0x0f00);
	CHECK_EQ(trap.frame.ds & 0xffff, 0); /* a pushed selector need not fill its dword */
	v86((const uint8_t[]){0xcd, 0x21}, 2, 0x0202);
	check_trap("int at IOPL 0", 13, 0);
	CHECK_EQ(trap.frame.eip, 0x10);
	v86((const uint8_t[]){0xfa}, 1, 0x0202);
	check_trap("cli at IOPL 0", 13, 0);
	v86((const uint8_t[]){0x9c}, 1, 0x0202);
	check_trap("pushf at IOPL 0", 13, 0);
	v86((const uint8_t[]){0xcf}, 1, 0x0202);
	check_trap("iret at IOPL 0", 13, 0);
	v86((const uint8_t[]){0xf4}, 1, 0x3202);
	check_trap("hlt", 13, 0);
	v86((const uint8_t[]){0x0f, 0x00, 0xc8}, 3, 0x3202);
	check_trap("str", 6, 0);
	v86((const uint8_t[]){0x63, 0xc0}, 2, 0x3202);
	check_trap("arpl", 6, 0);
	/* mov $0xffff, %ax; mov %ax, %ds; mov %ds:0x10, %al -> linear 0x100000 */
	v86((const uint8_t[]){0xb8, 0xff, 0xff, 0x8e, 0xd8, 0xa0, 0x10, 0x00, 0xcc}, 9, 0x3202);
	check_trap("segment load is a shift", 3, 0);
	CHECK_EQ(trap.frame.eax & 0xff, *(volatile uint8_t *)0x100000);
	/* 67 8a 03: mov (%ebx), %al with EBX beyond 64 KiB; first mov $0x10000, %ebx */
	v86((const uint8_t[]){0x66, 0xbb, 0x00, 0x00, 0x01, 0x00, 0x67, 0x8a, 0x03}, 9, 0x3202);
	check_trap("beyond 64 KiB", 13, 0);
	/* far return and call inside: push cs; push 0x15 (6a); retf -> jumps to 0x15: int3 */
	v86((const uint8_t[]){0x0e, 0x6a, 0x15, 0xcb, 0x90, 0xcc}, 6, 0x3202);
	check_trap("far return", 3, 0);
	CHECK_EQ(trap.frame.eip, 0x16);
	test_end();
}

static void test_real(void)
{
	volatile uint32_t *r = (volatile uint32_t *)0x9000;

	test_begin("real mode and back");
	memset((void *)0x9000, 0xee, 0x40);
	real_mode();
	CHECK_EQ(r[0], *(volatile uint32_t *)0x100000);
	CHECK_EQ(r[1], 0x0003);
	CHECK_EQ(r[2] & 0xffff, 0x1235);
	CHECK_EQ(r[3], 1);
	CHECK_EQ(r[4], 0x2222fffe);
	CHECK_EQ(r[5], 1);
	CHECK_EQ(r[6], *(volatile uint32_t *)0x100000);
	CHECK_EQ(r[7], 0x22222222);
	CHECK_EQ(r[8] & 0xffff, 3);
	CHECK_EQ(r[9], 0x50000);
	CHECK_EQ(r[10] & 0xffffff, 0x770000);
	CHECK_EQ(r[11] & 1, 0);
	test_end();
}

static uint32_t pd[1024] __attribute__((aligned(4096)));
static volatile uint32_t pt[1024] __attribute__((aligned(4096)));
static uint64_t pae_pdpt[4] __attribute__((aligned(32)));
static volatile uint64_t pae_pd[512] __attribute__((aligned(4096)));
static volatile uint64_t pae_pt[512] __attribute__((aligned(4096)));
static uint64_t pml4[512] __attribute__((aligned(4096)));
static uint64_t long_pdpt[512] __attribute__((aligned(4096)));
static uint8_t page[3][4096] __attribute__((aligned(4096)));

static uint32_t cr0_get(void)
{
	uint32_t v;

	__asm__ volatile("movl %%cr0, %0" : "=r"(v));
	return v;
}

static void cr0_set(uint32_t v)
{
	__asm__ volatile("movl %0, %%cr0\n\tjmp 1f\n1:" : : "r"(v) : "memory");
}

static void cr4_change(uint32_t set, uint32_t clear)
{
	uint32_t v;

	__asm__ volatile("movl %%cr4, %0" : "=r"(v));
	v = (v | set) & ~clear;
	__asm__ volatile("movl %0, %%cr4" : : "r"(v) : "memory");
}

static void check_page_fault(const char *what, uint32_t address, uint32_t error)
{
	check_trap(what, 14, error);
	check_eq(what, trap.cr2, address);
}

static void test_paging32(void)
{
	volatile uint8_t *p = (volatile uint8_t *)0x40001000;

	test_begin("32-bit paging with 4 KiB and 4 MiB pages");
	for (uint32_t i = 0; i < 16; i++) {
		pd[i] = i << 22 | 0x87;
	}
	pd[0x100] = (uint32_t)pt | 7;
	pt[1] = (uint32_t)page[0] | 7;
	pt[2] = (uint32_t)page[1] | 5;
	page[0][0] = 0x12;
	cr4_change(0x10, 0);
	__asm__ volatile("movl %0, %%cr3" : : "r"(pd) : "memory");
	cr0_set(cr0_get() | 0x80010000);
	CHECK_EQ(p[0], 0x12);
	CHECK_EQ(pt[1] & 0x60, 0x20);
	p[0] = 0x34;
	CHECK_EQ(pt[1] & 0x60, 0x60);
	CHECK_EQ(page[0][0], 0x34);
	TRY("movb %%al, 0x40002000");
	check_page_fault("read-only page", 0x40002000, 3);
	TRY("movb 0x40003000, %%al");
	check_page_fault("absent page", 0x40003000, 0);
	TRY("movb 0x50003000, %%al");
	check_page_fault("absent table", 0x50003000, 0);
	pd[0x101] = 1u << 22 | 0x87 | 1u << 21; /* reserved bit of a 4 MiB page */
	__asm__ volatile("movl %0, %%cr3" : : "r"(pd) : "memory");
	TRY("movb 0x40400000, %%al");
	if (on_test_host()) {
		check_page_fault("reserved bit", 0x40400000, 9);
	}
	/* Without PSE the bit means nothing: the entry points to a table. */
	cr0_set(cr0_get() & ~0x80000000u);
	test_end();
}

static void test_pae(void)
{
	volatile uint8_t *p = (volatile uint8_t *)0x00c01000;
	uint32_t lo, hi;

	test_begin("PAE paging with no-execute");
	pae_pdpt[0] = (uint32_t)pae_pd | 1;
	for (uint32_t i = 0; i < 512; i++) {
		pae_pd[i] = (uint64_t)i << 21 | 0x87;
	}
	pae_pd[6] = (uint32_t)pae_pt | 7;
	pae_pt[1] = (uint32_t)page[0] | 7 | 1ull << 63;
	pae_pt[2] = (uint32_t)page[1] | 7 | 1ull << 50;
	page[0][0] = 0xc3;
	cr4_change(0x20, 0x10);
	__asm__ volatile("movl $0xc0000080, %%ecx\n\trdmsr\n\torl $0x800, %%eax\n\twrmsr"
			 :
			 :
			 : "eax", "ecx", "edx");
	__asm__ volatile("movl %0, %%cr3" : : "r"(pae_pdpt) : "memory");
	cr0_set(cr0_get() | 0x80010000);
	CHECK_EQ(p[0], 0xc3);
	CHECK_EQ((uint32_t)pae_pt[1] & 0x60, 0x20);
	TRY("movl $0x00c01000, %%eax\n\tcall *%%eax");
	check_page_fault("no-execute", 0x00c01000, 0x11);
	TRY("movb 0x00c02000, %%al");
	if (on_test_host()) {
		check_page_fault("reserved bit", 0x00c02000, 9);
	}
	TRY("movb 0x40000000, %%al");
	check_page_fault("absent directory", 0x40000000, 0);
	/* The four directory entries are loaded with CR3, not walked. */
	pae_pdpt[1] = (uint32_t)pae_pd | 1;
	TRY("movb 0x40000000, %%al");
	if (on_test_host()) {
		check_page_fault("directory entry written, CR3 not reloaded", 0x40000000, 0);
	}
	__asm__ volatile("movl %0, %%cr3" : : "r"(pae_pdpt) : "memory");
	TRY("movb 0x40000000, %%al");
	check_trap("directory entry loaded", 256, 0);
	pae_pdpt[2] = 0x1e7; /* reserved bits */
	TRY("movl %%cr3, %%eax\n\tmovl %%eax, %%cr3");
	if (on_test_host()) {
		check_trap("reserved bits in a directory entry", 13, 0);
	}
	pae_pdpt[2] = 0;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(0xc0000080));
	CHECK_EQ(lo & 0xd00, 0x800);
	cr0_set(cr0_get() & ~0x80000000u);
	cr4_change(0, 0x20);
	test_end();
}

static void test_long(void)
{
	test_begin("into long mode and back, twice");
	pml4[0] = (uint32_t)long_pdpt | 7;
	long_pdpt[0] = (uint32_t)pae_pd | 7;
	pae_pd[6] = 6ull << 21 | 0x87;
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(long_mode((uint32_t)pml4), 0x01234567);
		CHECK_EQ(long_efer & 0x500, 0x500);
		CHECK_EQ(long_efer_after & 0x500, 0x100);
	}
	real_mode();
	CHECK_EQ(*(volatile uint32_t *)0x901c, 0x22222222);
	test_end();
}

static void test_shutdown(void)
{
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) empty = {0, 0};

	test_begin("triple fault ends the machine");
	test_end();
	test_plan();
	outb(PORT_EXPECT_SHUTDOWN, 1);
	__asm__ volatile("lidt %0\n\tud2" : : "m"(empty));
}

void guest_start(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint32_t)idt};

	mask_8259();
	for (unsigned v = 0; v < 256; v++) {
		idt_set(v, (uint32_t)trap_stubs + 16 * v, SEL_CODE, v == 3 || v == 4 ? 0xee : 0x8e);
	}
	__asm__ volatile("lidt %0" : : "m"(pointer));
	tss_main.ss0 = SEL_DATA;
	tss_main.esp0 = (uint32_t)kernel_stack_top;
	tss_main.iomap = sizeof(tss_main);
	gdt_set(SEL_MAIN, (uint32_t)&tss_main, sizeof(tss_main) - 1, 0x0089);
	__asm__ volatile("ltr %w0" : : "r"(SEL_MAIN));
	test_limits();
	test_16bit();
	test_bound_into();
	test_rings();
	test_tasks();
	test_invalid_task();
	test_v86();
	test_real();
	test_paging32();
	test_pae();
	test_long();
	test_shutdown();
}
