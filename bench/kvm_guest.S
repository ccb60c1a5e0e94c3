/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways into tests/guest/image/boot.S: from a PVH loader, which all peers have, and from a processor that another one starts. */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18			/* name, description, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_start

	.text
	.code32
pvh_start:
	movl $0x2badb002, %eax		/* the boot processor */
	jmp start

/* Copied to page 8 of memory and run in real mode there. */
	.balign 16
	.globl second, second_end
	.code16
second:
	cli
	lgdtl %cs:(second_gdt_pointer - second)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x08, $0x8000 + (1f - second)
	.code32
1:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $1, %ebx			/* its index */
	xorl %eax, %eax
	movl $start, %ecx
	jmp *%ecx
	.balign 8
second_gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
second_gdt_pointer:
	.word 3 * 8 - 1
	.long 0x8000 + (second_gdt - second)
second_end:
