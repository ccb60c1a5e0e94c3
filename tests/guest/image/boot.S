/* SPDX-License-Identifier: Apache-2.0 */
/* From multiboot's 32-bit protected mode into long mode; exception entry. EAX tells the boot processor from the others. */
#define MAGIC 0x1badb002
#define FLAGS 0x00010000

	.section .multiboot, "ax"
	.code32
	.balign 4
header:
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)
	.long header, image_start, image_end, bss_end, start

	.text
	.globl start
start:
	cli
	cld
	movl $stack_top, %esp
	cmpl $0x2badb002, %eax
	je 1f
	/* Another processor: EBX is its index 1..7. */
	movl %ebx, %ecx
	shll $14, %ecx
	subl %ecx, %esp
	jmp 2f
1:	movl %ebx, boot_info
	xorl %ebx, %ebx
	/* 4 GiB identity map of 2 MiB pages, supervisor, writable. */
	movl $boot_pd, %edi
	xorl %ecx, %ecx
	movl $0x83, %eax
3:	movl %eax, (%edi,%ecx,8)
	movl $0, 4(%edi,%ecx,8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jb 3b
	movl $boot_pdpt, %edi
	movl $boot_pd + 7, %eax
	movl $4, %ecx
4:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $8, %edi
	addl $4096, %eax
	loop 4b
	movl $boot_pdpt + 7, boot_pml4
2:	lgdt gdt_pointer
	movl %cr4, %eax
	orl $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax		/* LME, NXE */
	wrmsr
	movl %cr0, %eax
	andl $~0x60000004, %eax		/* not CD, NW, EM */
	orl $0x80010022, %eax		/* PG, WP, NE, MP */
	movl %eax, %cr0
	ljmp $0x08, $long_start
	.code64
long_start:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl %ebx, %edi
	call guest_start
1:	hlt
	jmp 1b

/* ---- exceptions and interrupts: all end in trap_handler(struct trap_frame *) ---- */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr
trap_common:
	cld
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	call trap_handler
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

/* void user_enter(uint64_t rip, uint64_t rsp, uint64_t cs, uint64_t rflags): comes back through a trap that resumes. */
	.globl user_enter
user_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	leaq 1f(%rip), %rax
	movq %rax, trap_resume
	movq %rsp, trap_resume_rsp
	pushq $0x2b
	pushq %rsi
	pushq %rcx
	pushq %rdx
	pushq %rdi
	movq user_rax, %rax
	movq user_rcx, %rcx
	movq user_rdi, %rdi
	movq user_rsi, %rsi
	movq user_rdx, %rdx
	iretq
1:	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.data
	.globl boot_info
boot_info: .long 0			/* multiboot information */
	.balign 16
	.globl gdt, gdt_pointer
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08 kernel code 64 */
	.quad 0x00cf93000000ffff	/* 10 kernel data */
	.quad 0x00cf9b000000ffff	/* 18 kernel code 32 */
	.quad 0x00cffb000000ffff	/* 20 user code 32 */
	.quad 0x00cff3000000ffff	/* 28 user data */
	.quad 0x00affb000000ffff	/* 30 user code 64 */
	.quad 0x00009b000000ffff	/* 38 code 16, base 0 */
	.quad 0x000093000000ffff	/* 40 data 16 */
	.fill 55, 8, 0
gdt_pointer:
	.word 64 * 8 - 1
	.quad gdt
	.bss
	.balign 4096
	.globl boot_pml4, boot_pdpt, boot_pd
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 4096 * 4
	.skip 16384 * 8
	.globl stack_top
stack_top:
