/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest that is measured: 64 KiB of memory from address 0, page tables that map them for kernel and user, and three programs. It starts in
 * 64-bit mode, which the one who runs it sets up from the numbers below.
 */
#ifndef ENGINES_GUEST_H
#define ENGINES_GUEST_H

#include <stdint.h>

#define GUEST_BYTES 0x10000u
#define GUEST_CR3 0x1000u
#define GUEST_GDT 0x4000u
#define GUEST_GDT_LIMIT 0x27u
#define GUEST_STACK 0x6000u
#define GUEST_DATA 0x7000u /* RSI of all programs */
#define GUEST_CODE 0x8000u

#define GUEST_CR0 0x80010033u /* PG WP NE ET MP PE */
#define GUEST_CR4 0x620u      /* PAE OSFXSR OSXMMEXCPT */
#define GUEST_EFER 0xd01u     /* NXE LMA LME SCE */
#define GUEST_RFLAGS_KERNEL 0x2u
#define GUEST_RFLAGS_USER 0x3002u /* IOPL 3: user mode may use ports */

#define GUEST_CS_KERNEL 0x08u
#define GUEST_SS_KERNEL 0x10u
#define GUEST_SS_USER 0x1bu
#define GUEST_CS_USER 0x23u

#define GUEST_PORT_DONE 0x10u /* written when a program has ended */
#define GUEST_LOOP_INSTRUCTIONS 11u

enum guest_program {
	GUEST_CHECK, /* instructions that kernels need, one by one; R15 says at which it is */
	GUEST_LOOP,  /* RCX times GUEST_LOOP_INSTRUCTIONS */
	GUEST_EXIT,  /* writes GUEST_PORT_DONE for ever */
};

/* Fills @memory (GUEST_BYTES, zeroed). */
void guest_build(uint8_t *memory);
/* Where @program starts. */
uint64_t guest_entry(enum guest_program program);
/* What GUEST_CHECK does at @step (R15). */
const char *guest_step_name(uint64_t step);

#endif
