/* SPDX-License-Identifier: Apache-2.0 */
/* The 32-bit image: protected mode without paging; exception entry; ways into real mode, virtual-8086 mode and long mode. */
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
	lgdt gdt_pointer
	ljmp $0x08, $1f
1:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl %cr0, %eax
	orl $0x22, %eax
	andl $~4, %eax
	movl %eax, %cr0
	call guest_start
1:	hlt
	jmp 1b

	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushl $0
	.endif
	pushl $vector
	jmp trap_common
	.set vector, vector + 1
	.endr
trap_common:
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	pushal
	cld
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	pushl %esp
	call trap_handler
	addl $4, %esp
	popal
	popl %gs
	popl %fs
	popl %es
	popl %ds
	addl $8, %esp
	iretl

/* void trap_leave(frame): goes on at frame->eip with ESP from frame->esp_unused: without a change of rings IRET would not load it. */
	.globl trap_leave
trap_leave:
	movl 4(%esp), %ecx
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl 12(%ecx), %esp
	movl 0(%ecx), %edi
	movl 4(%ecx), %esi
	movl 8(%ecx), %ebp
	movl 16(%ecx), %ebx
	movl 56(%ecx), %edx
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	pushl $2
	popfl
	jmp *%edx

/* void enter(struct enter_frame *): IRETs with the frame (eip cs eflags esp ss es ds fs gs); comes back through a trap that resumes. */
	.globl enter
enter:
	movl 4(%esp), %eax
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl $1f, trap_resume
	movl %esp, trap_resume_esp
	pushl 32(%eax)
	pushl 28(%eax)
	pushl 24(%eax)
	pushl 20(%eax)
	pushl 16(%eax)
	pushl 12(%eax)
	pushl 8(%eax)
	pushl 4(%eax)
	pushl (%eax)
	iretl
1:	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret

/* void task_call(void): calls the other task; a trap that resumes comes back here with the caller's registers. */
	.globl task_call
task_call:
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl $1f, trap_resume
	movl %esp, trap_resume_esp
	lcall $0x68, $0
1:	movl $0, trap_resume
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret

/* The task that the task tests switch to: counts, checks NT, goes back with IRET. */
	.globl task_entry
task_entry:
1:	incl task_runs
	pushfl
	popl task_eflags
	movl %cr0, %eax
	movl %eax, task_cr0
	clts
	movl %ebx, task_ebx
	movl $0x5a5a, %ebx
	iretl
	jmp 1b
/* Entered through a jump: goes back with a jump. */
	.globl task_jump_entry
task_jump_entry:
	incl task_runs
	pushfl
	popl task_eflags
	ljmp $0x60, $0
	jmp task_jump_entry
/* Entered through a task gate for an exception: drops the error code. */
	.globl task_fault_entry
task_fault_entry:
1:	incl task_runs
	popl task_error
	movl tss_main+32, %eax
	movl %eax, task_eip
	movl $task_fault_resume, tss_main+32
	iretl
	jmp 1b
	.globl task_fault_resume, task_fault
task_fault:
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl %esp, task_saved_esp
	ud2
	ud2
task_fault_resume:
	movl task_saved_esp, %esp
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret

/* Call gate target: three dwords of parameters. */
	.globl gate_entry
gate_entry:
	movl $0x10, %eax		/* the user's data segments are null: IRET to it dropped the kernel's */
	movl %eax, %ds
	movl %esp, gate_esp
	movl %ss, %eax
	movl %eax, gate_ss
	movl 8(%esp), %eax
	shll $8, %eax
	addl 12(%esp), %eax
	shll $8, %eax
	addl 16(%esp), %eax
	movl %eax, gate_sum
	lretl $12

/* void real_mode(void): copies real_start.. to 0x8000 and runs it there in real mode; results at 0x9000. */
	.globl real_mode
real_mode:
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl %esp, real_saved_esp
	sidt real_saved_idt
	movl $real_start, %esi
	movl $0x8000, %edi
	movl $real_end - real_start, %ecx
	rep movsb
	lidt real_idt
	ljmp $0x38, $0x8000		/* 16-bit code segment */
real_back:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl real_saved_esp, %esp
	lgdt gdt_pointer
	lidt real_saved_idt
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret

	.code16
#define REAL(label) (label - real_start + 0x8000)
real_start:
	movw $0x40, %ax			/* 16-bit data segments: limit 64 KiB for real mode */
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl %cr0, %eax
	andb $0xfe, %al
	movl %eax, %cr0
	ljmp $0, $REAL(real_in)
real_in:
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7000, %sp
	movl $0, %edi
	movw $0x9000, %di
	/* 0: segment arithmetic: ffff:0010 is 100000 */
	movw $0xffff, %ax
	movw %ax, %es
	movl %es:0x10, %eax
	movl %eax, 0x9000
	/* 1: INT through the vector table, flags and return address on the stack */
	movw $REAL(real_handler), 0x60*4
	movw $0, 0x60*4+2
	stc
	int $0x60
real_after_int:
	movl %eax, 0x9004
	/* 2: a 16-bit far call and return */
	movw $0x1234, %bx
	lcall $0x800, $REAL(real_far) - 0x8000
	movw %bx, 0x9008
	/* 3: operand beyond the segment limit: INT 13 with the faulting IP */
	movw $REAL(real_gp), 13*4
	movw $0, 13*4+2
	movl $0x10000, %ebx
	movl $0, 0x900c
real_gp_insn:
	addr32 movl (%ebx), %eax
real_gp_next:
	/* 4: SP wraps at 64 KiB */
	movw $2, %sp
	pushw $0x1111
	pushw $0x2222			/* at ss:fffe */
	movw %sp, 0x9010
	movw 0xfffe, %ax
	movw %ax, 0x9012
	movw $0x7000, %sp
	/* 5: divide error */
	movw $REAL(real_de), 0
	movw $0, 2
	movl $0, 0x9014
	xorw %cx, %cx
	divw %cx
	/* 6: unreal mode: a 4 GiB data segment survives the way back */
	lgdtl REAL(real_gdt_pointer)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	movw $0x10, %cx
	movw %cx, %gs
	andb $0xfe, %al
	movl %eax, %cr0
	movl $0x100000, %ebx
	addr32 movl %gs:(%ebx), %eax
	movl %eax, 0x9018
	/* 7: 32-bit operands and addresses in 16-bit code */
	movl $0x11110000, %eax
	addr32 leal 0x2222(%eax,%eax,1), %edx
	movl %edx, 0x901c
	/* 8: LOOP with CX, JCXZ */
	movl $0x50003, %ecx
	xorw %ax, %ax
1:	incw %ax
	loop 1b
	movw %ax, 0x9020
	movl %ecx, 0x9024
	/* 9: string instruction wraps SI within 64 KiB */
	movw $0xffff, %si
	movb $0x77, 0xffff
	lodsb
	movw %si, 0x9028
	movb %al, 0x902a
	/* 10: SMSW and a word with MSW */
	smsw %ax
	movw %ax, 0x902c
	/* back */
	lgdtl REAL(real_gdt_pointer)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $0x08, $real_back
real_handler:
	pushw %bp
	movw %sp, %bp
	movzwl 2(%bp), %eax		/* IP */
	subw $REAL(real_after_int), %ax	/* 0 */
	shll $16, %eax
	movw 6(%bp), %ax		/* flags: CF and bit 1 */
	andw $0x0203, %ax
	popw %bp
	iretw
real_far:
	addw $1, %bx
	lretw
real_gp:
	popw %ax			/* IP of the faulting instruction */
	cmpw $REAL(real_gp_insn), %ax
	sete %al
	movzbl %al, %eax
	movl %eax, 0x900c
	pushw $REAL(real_gp_next)
	iretw
real_de:
	movl $1, 0x9014
	popw %ax
	addw $2, %ax
	pushw %ax
	iretw
	.balign 4
real_gdt_pointer:
	.word 16 * 8 - 1
	.long gdt
real_end:

	.code32
/* uint32_t long_mode(uint32_t cr3): enters long mode, computes with 64-bit registers, leaves it again; returns what it computed. */
	.globl long_mode
long_mode:
	movl 4(%esp), %eax
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl %eax, %cr3
	movl %cr4, %eax
	movl %eax, %esi
	orl $0x20, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	/* Compatibility mode: LMA is set, code is still 32-bit. */
	rdmsr
	movl %eax, long_efer
	ljmp $0x48, $1f
	.code64
1:	movq $0x123456789abcdef0, %rax
	movq %rax, %r15
	shrq $4, %r15
	movq %r15, %rbx
	shrq $32, %rbx
	movl %ebx, %edi
	pushq %rax			/* 8 bytes */
	popq %rax
	leaq 2f(%rip), %rbx
	pushq $0x08
	pushq %rbx
	lretq
	.code32
2:	movl %cr0, %eax
	andl $~0x80000000, %eax
	movl %eax, %cr0
	rdmsr
	movl %eax, long_efer_after
	andl $~0x100, %eax
	wrmsr
	movl %esi, %cr4
	movl %edi, %eax
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret

	.data
	.balign 16
	.globl gdt, gdt_pointer
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* 08 kernel code */
	.quad 0x00cf93000000ffff	/* 10 kernel data */
	.quad 0x00cffb000000ffff	/* 18 user code */
	.quad 0x00cff3000000ffff	/* 20 user data */
	.quad 0				/* 28 test */
	.quad 0				/* 30 test */
	.quad 0x00009b000000ffff	/* 38 code 16 */
	.quad 0x000093000000ffff	/* 40 data 16 */
	.quad 0x00af9b000000ffff	/* 48 code 64 */
	.fill 22, 8, 0			/* 50 spare, 58.. tests, 60 main TSS, 68 other TSS .. */
gdt_pointer:
	.word 32 * 8 - 1
	.long gdt
real_idt:
	.word 0x3ff
	.long 0
	.bss
	.globl long_efer, long_efer_after
real_saved_esp: .skip 4
real_saved_idt: .skip 8
long_efer: .skip 4
long_efer_after: .skip 4
	.balign 4096
	.skip 16384
	.globl stack_top
stack_top:
	.skip 8192
	.globl kernel_stack_top
kernel_stack_top:
	.skip 8192
	.globl user_stack_top
user_stack_top:
	.skip 8192
	.globl task_stack_top
task_stack_top:
