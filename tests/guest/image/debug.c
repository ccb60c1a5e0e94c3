// SPDX-License-Identifier: Apache-2.0
/* Single step, breakpoints, interrupt shadows, NMI. */
#include "guest.h"

#define DR6_CLEAR 0xffff0ff0ull
#define DR6_B0 1ull
#define DR6_BD 0x2000ull
#define DR6_BS 0x4000ull

/* Written by the trap hook. */
static volatile uint64_t steps[32];
static volatile uint64_t step_dr6[32];
static volatile unsigned step_count;
static volatile unsigned interrupts, nmis;
static volatile uint64_t interrupt_rip;

static void write_dr6(uint64_t v)
{
	__asm__ volatile("movq %0, %%dr6" : : "r"(v));
}

static uint64_t read_dr6(void)
{
	uint64_t v;

	__asm__ volatile("movq %%dr6, %0" : "=r"(v));
	return v;
}

static void write_dr7(uint64_t v)
{
	__asm__ volatile("movq %0, %%dr7" : : "r"(v | 0x400));
}

static bool on_debug(struct trap_frame *frame)
{
	switch (frame->vector) {
	case 1:
		if (step_count < 32) {
			steps[step_count] = frame->rip;
			step_dr6[step_count++] = read_dr6();
		}
		write_dr6(DR6_CLEAR);
		frame->rflags |= 0x10000; /* RF: an execution breakpoint does not fire again */
		return true;
	case 2:
		nmis++;
		return true;
	case 0x40:
	case 0x41:
		interrupts++;
		interrupt_rip = frame->rip;
		return true;
	default:
		return false;
	}
}

static void begin(const char *name)
{
	test_begin(name);
	step_count = 0;
	interrupts = 0;
	nmis = 0;
	write_dr6(DR6_CLEAR);
}

#define TF_ON "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\t"
#define TF_OFF "pushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq\n\t"

static void test_step(void)
{
	uint64_t first, last, target;
	uint64_t count = 3;
	static uint8_t from[8] = {1, 2, 3}, to[8];
	void *s = from, *d = to;

	begin("single step");
	__asm__ volatile(TF_ON "1:\tnop\n2:\tnop\n\t" TF_OFF
			       "3:\tleaq 1b(%%rip), %0\n\tleaq 3b(%%rip), %1\n\tleaq 2b(%%rip), %2"
			 : "=&r"(first), "=&r"(last), "=&r"(target)
			 :
			 : "memory", "cc");
	/* After the first nop, the second, pushf, andl, popf: the POPF that clears TF still traps. */
	CHECK_EQ(step_count, 5);
	CHECK_EQ(steps[0], target);
	CHECK_EQ(steps[4], last);
	CHECK_EQ(step_dr6[0], DR6_CLEAR | DR6_BS);
	test_end();
	begin("single step through a repeated string instruction");
	__asm__ volatile(TF_ON "1:\trep movsb\n2:\t" TF_OFF
			       "leaq 1b(%%rip), %0\n\tleaq 2b(%%rip), %1"
			 : "=&r"(first), "=&r"(last), "+S"(s), "+D"(d), "+c"(count)
			 :
			 : "memory", "cc");
	/* A trap after each element; only the last one is behind the instruction. */
	CHECK_EQ(steps[0], first);
	CHECK_EQ(steps[1], first);
	CHECK_EQ(steps[2], last);
	CHECK_EQ(to[2], 3);
	test_end();
	begin("single step over MOV SS");
	__asm__ volatile("movw %%ss, %%cx\n\t" TF_ON "movw %%cx, %%ss\n1:\tnop\n2:\t" TF_OFF
			 "leaq 1b(%%rip), %0\n\tleaq 2b(%%rip), %1"
			 : "=&r"(first), "=&r"(last)
			 :
			 : "rcx", "memory", "cc");
	CHECK_EQ(steps[0], last); /* no trap between MOV SS and the next instruction */
	test_end();
	begin("single step over a branch");
	__asm__ volatile(TF_ON "jmp 1f\n\tnop\n1:\t" TF_OFF "leaq 1b(%%rip), %0"
			 : "=&r"(first)
			 :
			 : "memory", "cc");
	CHECK_EQ(steps[0], first);
	test_end();
}

static void test_breakpoints(void)
{
	static volatile uint64_t watched[4] __attribute__((aligned(32)));
	uint64_t at, after;

	begin("execution breakpoint");
	__asm__ volatile("leaq 1f(%%rip), %0\n\tmovq %0, %%dr0\n\tmovq %2, "
			 "%%dr7\n\tnop\n1:\tnop\n\tleaq 1b(%%rip), %1"
			 : "=&r"(at), "=&r"(after)
			 : "r"(0x402ull)
			 : "memory");
	write_dr7(0);
	CHECK_EQ(step_count, 1);
	CHECK_EQ(steps[0], after);
	CHECK_EQ(step_dr6[0] & 0xf, DR6_B0);
	CHECK_EQ(step_dr6[0] & DR6_BS, 0);
	test_end();
	begin("data breakpoints");
	__asm__ volatile("movq %0, %%dr0" : : "r"(&watched[1]));
	__asm__ volatile("movq %0, %%dr1" : : "r"((uint64_t)&watched[2] + 2));
	/* DR0: writes of 8 bytes, DR1: reads and writes of 2 bytes. */
	write_dr7(0x402 | 0x8 | 9u << 16 | 7u << 20);
	watched[0] = 1;
	CHECK_EQ(step_count, 0);
	watched[1] = 1;
	CHECK_EQ(step_count, 1);
	CHECK_EQ(step_dr6[0] & 0xf, 1);
	(void)watched[1];
	CHECK_EQ(step_count, 1);
	((volatile uint8_t *)watched)[15] = 1;
	CHECK_EQ(step_count, 2);
	(void)((volatile uint8_t *)watched)[19];
	CHECK_EQ(step_count, 3);
	CHECK_EQ(step_dr6[2] & 0xf, 2);
	(void)((volatile uint8_t *)watched)[20];
	CHECK_EQ(step_count, 3);
	((volatile uint8_t *)watched)[18] = 1;
	CHECK_EQ(step_count, 4);
	/* One access, both registers; the trap comes after the instruction. */
	__asm__ volatile("movq %2, 4(%1)\n1:\tleaq 1b(%%rip), %0"
			 : "=&r"(after)
			 : "r"(&watched[1]), "r"(5ull)
			 : "memory");
	if (on_test_host()) {
		CHECK_EQ(step_dr6[4] & 0xf, 3);
	}
	CHECK_EQ(steps[4], after);
	write_dr7(0);
	test_end();
	begin("general detect, DR4, ICEBP");
	write_dr7(0x2000);
	__asm__ volatile("nop");
	TRY("movq %%dr0, %%rcx");
	/* GD faults on any access; the processor clears it on entry. The hook returned to the instruction, which now passes. */
	CHECK_EQ(step_count, 1);
	CHECK_EQ(step_dr6[0] & DR6_BD, DR6_BD);
	write_dr7(0);
	if (on_test_host()) {
		TRY(".byte 0x0f, 0x21, 0xe1"); /* mov dr4, rcx: alias of DR6 */
		check_trap("DR4 without CR4.DE", 256, 0);
	}
	write_cr4(read_cr4() | 8);
	TRY(".byte 0x0f, 0x21, 0xe1");
	check_trap("DR4 with CR4.DE", 6, 0);
	write_cr4(read_cr4() & ~8ull);
	if (on_test_host()) {
		step_count = 0;
		__asm__ volatile(".byte 0xf1\n1:\tleaq 1b(%%rip), %0" : "=r"(after));
		CHECK_EQ(step_count, 1);
		CHECK_EQ(steps[0], after);
	}
	TRY("movq %0, %%rcx\n\tmovq %%rcx, %%dr7", "r"(1ull << 32));
	if (on_test_host()) {
		check_trap("DR7 beyond 32 bits", 13, 0);
	}
	write_dr7(0);
	test_end();
}

static void test_interrupts(void)
{
	uint64_t first, second;

	begin("interrupts: STI shadow, MOV SS shadow, HLT");
	outb(PORT_INTERRUPT, 0x40);
	for (volatile int i = 0; i < 1000; i++) {
	}
	CHECK_EQ(interrupts, 0);
	__asm__ volatile("sti\n1:\tnop\n2:\tnop\n\tcli\n\tleaq 1b(%%rip), %0\n\tleaq 2b(%%rip), %1"
			 : "=&r"(first), "=&r"(second));
	CHECK_EQ(interrupts, 1);
	CHECK_EQ(interrupt_rip, second); /* not before the instruction after STI */
	outb(PORT_INTERRUPT, 0x41);
	__asm__ volatile("sti\n\thlt\n1:\tcli\n\tleaq 1b(%%rip), %0" : "=r"(first));
	CHECK_EQ(interrupts, 2);
	CHECK_EQ(interrupt_rip, first);
	__asm__ volatile("movw %%ss, %%cx\n\tmovl $0x40, %%eax\n\tsti\n\tnop\n\toutb %%al, "
			 "$0xe0\n\tmovw %%cx, %%ss\n1:\tnop\n2:\tnop\n\tcli\n\t"
			 "leaq 1b(%%rip), %0\n\tleaq 2b(%%rip), %1"
			 : "=&r"(first), "=&r"(second)
			 :
			 : "rax", "rcx");
	CHECK_EQ(interrupts, 3);
	CHECK_EQ(interrupt_rip != first, 1); /* before MOV SS or after the nop */
	/* POPF opens the window too. */
	outb(PORT_INTERRUPT, 0x40);
	__asm__ volatile(
		"pushfq\n\torl $0x200, (%%rsp)\n\tpopfq\n1:\tnop\n\tcli\n\tleaq 1b(%%rip), %0"
		: "=r"(first)
		:
		: "memory", "cc");
	CHECK_EQ(interrupts, 4);
	CHECK_EQ(interrupt_rip, first);
	/* STI; CLI: no window at all. */
	outb(PORT_INTERRUPT, 0x40);
	__asm__ volatile("sti\n\tcli\n\tnop");
	CHECK_EQ(interrupts, 4);
	__asm__ volatile("sti\n\tnop\n\tcli");
	CHECK_EQ(interrupts, 5);
	test_end();
}

static void test_nmi(void)
{
	begin("NMI");
	outb(PORT_NMI, 0);
	__asm__ volatile("nop\n\tnop");
	CHECK_EQ(nmis, 1);
	outb(PORT_NMI, 0);
	__asm__ volatile("nop\n\tnop");
	CHECK_EQ(nmis, 2); /* IRET ended the blocking */
	test_end();
}

void guest_main(void)
{
	trap_hook = on_debug;
	test_step();
	test_breakpoints();
	if (on_test_host()) {
		test_interrupts();
		test_nmi();
	}
}
