/* SPDX-License-Identifier: Apache-2.0 */
/* What the guests of this folder share: results as TAP on port E9, traps as values, page tables. Processor 0 alone uses traps. */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

/* ---- traps ---- */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
struct trap {
	uint64_t count;		 /* traps since trap_clear */
	struct trap_frame frame; /* of the last one */
	uint64_t cr2, dr6;
};
extern struct trap trap;
extern uint64_t trap_resume, trap_resume_rsp,
	trap_resume_rbp; /* where the handler goes on; 0: returns to the frame */
extern bool (*trap_hook)(
	struct trap_frame *frame); /* true: handled, return to the (changed) frame */
void trap_clear(void);

/* Runs assembler text that should trap; afterwards `trap` tells. Uses RAX before the text. */
#define TRY(text, ...)                                                                             \
	do {                                                                                       \
		trap_clear();                                                                      \
		__asm__ volatile("leaq 99f(%%rip), %%rax\n\tmovq %%rax, trap_resume\n\tmovq "      \
				 "%%rsp, trap_resume_rsp\n\t"                                      \
				 "movq %%rbp, trap_resume_rbp\n\t"                                 \
				 "xorl %%eax, %%eax\n\t" text "\n99:\tmovq $0, trap_resume"        \
				 :                                                                 \
				 : __VA_ARGS__                                                     \
				 : "rax", "rcx", "rdx", "rbx", "r8", "r9", "memory", "cc");        \
	} while (0)
/* The trap of the last TRY: vector and error code; vector 256: none. */
void check_trap(const char *what, uint64_t vector, uint64_t error);
void check_page_fault(const char *what, uint64_t address, uint64_t error);

struct idt_entry {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, zero;
};
extern struct idt_entry idt[256];
extern uint8_t trap_stubs[];
extern uint64_t gdt[64];
extern uint64_t stack_top[];
struct tss64 {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));
extern struct tss64 tss;
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_CODE32 0x18
#define SEL_USER32 0x23
#define SEL_USER_DATA 0x2b
#define SEL_USER64 0x33
#define SEL_CODE16 0x38
#define SEL_DATA16 0x40
#define SEL_TSS 0x50  /* two slots */
#define SEL_FREE 0x60 /* first slot that tests may fill */
void gdt_set(unsigned selector, uint64_t descriptor);

/* ---- user mode ---- */
/* Runs code at @rip in ring 3 until it traps; `trap` tells. Registers of the user as below. */
void user_enter(uint64_t rip, uint64_t rsp, uint64_t cs, uint64_t rflags);
extern uint64_t user_rax, user_rcx, user_rdx, user_rsi, user_rdi;

/* ---- paging: 2 MiB of 4 KiB pages at TEST_VA ---- */
#define TEST_VA 0x140000000ull /* above the identity map */
#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull
#define PTE_A 0x20ull
#define PTE_D 0x40ull
#define PTE_PS 0x80ull
#define PTE_G 0x100ull
#define PTE_NX (1ull << 63)
extern volatile uint64_t boot_pml4[512], boot_pdpt[512], boot_pd[2048];
extern volatile uint64_t test_pd[512], test_pt[512];
#define TEST_PAGES 64
extern uint8_t test_pages[TEST_PAGES][4096];
/* Maps page @n of TEST_VA onto test_pages[@page] and returns its address; flushes it. */
uint8_t *test_map(unsigned n, unsigned page, uint64_t flags);
/* Copies machine code (between two labels) to a page. */
void copy_code(void *to, const void *from, const void *end);

/* ---- instructions ---- */
static inline void invlpg(const volatile void *p)
{
	__asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
}
static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index));
	return lo | (uint64_t)hi << 32;
}
static inline void wrmsr(uint32_t index, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(index), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}
#define CR_ACCESS(n)                                                                               \
	static inline uint64_t read_cr##n(void)                                                    \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("movq %%cr" #n ", %0" : "=r"(v));                                 \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_cr##n(uint64_t v)                                                 \
	{                                                                                          \
		__asm__ volatile("movq %0, %%cr" #n : : "r"(v) : "memory");                        \
	}
CR_ACCESS(0)
CR_ACCESS(2)
CR_ACCESS(3)
CR_ACCESS(4)
static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(subleaf));
}

/* Each image has one. */
void guest_main(void);
/* Runs on processors 1.. that guest_main started; the default halts. */
void guest_ap_main(unsigned index);

#endif
