// SPDX-License-Identifier: Apache-2.0
#include "guest.h"

#include <stddef.h>
#include <string.h>

#include "lib/bits.h"

#define PAGE_KERNEL_USER 0x7u /* present, writable, user */
#define PAGE_LARGE 0x80u

/* The programs are position independent apart from GUEST_CODE, which only `iretq` and the tables of `lgdt` need: they take it from RIP. */
__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"engines_guest_code:\n"
	"engines_guest_check:\n"
	"	mov $1, %r15d\n" /* SSE and x87 in kernel mode */
	"	movups (%rsi), %xmm0\n"
	"	pxor %xmm0, %xmm0\n"
	"	movaps %xmm0, 64(%rsi)\n"
	"	fninit\n"
	"	fldl (%rsi)\n"
	"	fstpl 8(%rsi)\n"
	"	mov $2, %r15d\n"
	"	fxsave 0x200(%rsi)\n"
	"	fxrstor 0x200(%rsi)\n"
	"	mov $3, %r15d\n"
	"	mov $1, %eax\n"
	"	xor %ecx, %ecx\n"
	"	cpuid\n"
	"	bt $26, %ecx\n"
	"	jnc 1f\n"
	"	mov $4, %r15d\n"
	"	mov %cr4, %rax\n"
	"	bts $18, %rax\n"
	"	mov %rax, %cr4\n"
	"	xor %ecx, %ecx\n"
	"	xgetbv\n"
	"	or $3, %eax\n"
	"	xsetbv\n"
	"	mov $5, %r15d\n"
	"	mov $3, %eax\n"
	"	xor %edx, %edx\n"
	"	xsave 0x400(%rsi)\n"
	"	xrstor 0x400(%rsi)\n"
	"1:	mov $6, %r15d\n"
	"	mov $0xc0000082, %ecx\n" /* LSTAR */
	"	mov $0x1234, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	xor %eax, %eax\n"
	"	rdmsr\n"
	"	cmp $0x1234, %eax\n"
	"	jne engines_guest_stuck\n"
	"	mov $7, %r15d\n"
	"	mov %cr3, %rax\n"
	"	mov %rax, %cr3\n"
	"	invlpg (%rsi)\n"
	"	clts\n"
	"	mov $8, %r15d\n"
	"	xor %eax, %eax\n"
	"	xor %edx, %edx\n"
	"	xor %ebx, %ebx\n"
	"	xor %ecx, %ecx\n"
	"	lock cmpxchg16b 64(%rsi)\n"
	"	lock btsl $3, (%rsi)\n"
	"	lock xaddq %rax, (%rsi)\n"
	"	mov $9, %r15d\n"
	"	mov %rsi, %rbx\n"
	"	lea 0x800(%rsi), %rdi\n"
	"	mov $16, %ecx\n"
	"	rep movsq\n"
	"	mov %rbx, %rsi\n"
	"	mov $10, %r15d\n"
	"	swapgs\n"
	"	swapgs\n"
	"	pushfq\n"
	"	popfq\n"
	"	rdtsc\n"
	"	mov $11, %r15d\n"
	"	sub $16, %rsp\n"
	"	movw $0x27, (%rsp)\n"	 /* GUEST_GDT_LIMIT */
	"	movq $0x4000, 2(%rsp)\n" /* GUEST_GDT */
	"	lgdt (%rsp)\n"
	"	add $16, %rsp\n"
	"	mov $12, %r15d\n"
	"	mov %rsp, %rbx\n"
	"	push $0x10\n" /* GUEST_SS_KERNEL */
	"	push %rbx\n"
	"	push $2\n"
	"	push $0x08\n" /* GUEST_CS_KERNEL */
	"	lea 2f(%rip), %rax\n"
	"	push %rax\n"
	"	iretq\n"
	"2:	mfence\n"
	"	lfence\n"
	"	pause\n"
	"	mov $0, %r15d\n"
	"	out %al, $0x10\n" /* GUEST_PORT_DONE */
	"engines_guest_stuck:\n"
	"	jmp engines_guest_stuck\n"
	"engines_guest_loop:\n"
	"	mov (%rsi), %rax\n"
	"	add %rcx, %rax\n"
	"	mov %rax, 8(%rsi)\n"
	"	lea 1(%rdx,%rax), %rdx\n"
	"	shr $3, %rax\n"
	"	xor %rax, %rdx\n"
	"	test %rcx, %rcx\n"
	"	js engines_guest_stuck\n"
	"	inc %rdi\n"
	"	dec %rcx\n"
	"	jnz engines_guest_loop\n"
	"	out %al, $0x10\n"
	"engines_guest_exit:\n"
	"	out %al, $0x10\n"
	"	jmp engines_guest_exit\n"
	"engines_guest_end:\n"
	".popsection\n");

extern const uint8_t engines_guest_code[], engines_guest_check[], engines_guest_loop[],
	engines_guest_exit[], engines_guest_end[];

static void put64(uint8_t *memory, size_t at, uint64_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

void guest_build(uint8_t *memory)
{
	put64(memory, GUEST_CR3, 0x2000 | PAGE_KERNEL_USER);
	put64(memory, 0x2000, 0x3000 | PAGE_KERNEL_USER);
	put64(memory, 0x3000, PAGE_KERNEL_USER | PAGE_LARGE); /* the first 2 MiB */
	put64(memory, GUEST_GDT + GUEST_CS_KERNEL, UINT64_C(0x00af9b000000ffff));
	put64(memory, GUEST_GDT + GUEST_SS_KERNEL, UINT64_C(0x00cf93000000ffff));
	put64(memory, GUEST_GDT + (GUEST_SS_USER & ~3u), UINT64_C(0x00cff3000000ffff));
	put64(memory, GUEST_GDT + (GUEST_CS_USER & ~3u), UINT64_C(0x00affb000000ffff));
	/* cppcheck-suppress comparePointers ; two labels of one piece of code */
	size_t bytes = (size_t)(engines_guest_end - engines_guest_code);

	memcpy(memory + GUEST_CODE, engines_guest_code, bytes);
}

uint64_t guest_entry(enum guest_program program)
{
	static const uint8_t *const entries[] = {
		[GUEST_CHECK] = engines_guest_check,
		[GUEST_LOOP] = engines_guest_loop,
		[GUEST_EXIT] = engines_guest_exit,
	};

	return GUEST_CODE + (uint64_t)(entries[program] - engines_guest_code);
}

const char *guest_step_name(uint64_t step)
{
	static const char *const names[] = {
		"entering 64-bit mode",
		"SSE and x87",
		"fxsave, fxrstor",
		"cpuid",
		"xgetbv, xsetbv",
		"xsave, xrstor",
		"wrmsr, rdmsr",
		"mov cr3, invlpg, clts",
		"lock cmpxchg16b, bts, xadd",
		"rep movsq",
		"swapgs, pushfq, popfq, rdtsc",
		"lgdt",
		"iretq, mfence, lfence, pause",
	};

	return step < ARRAY_LEN(names) ? names[step] : names[0];
}
