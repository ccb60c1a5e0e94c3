// SPDX-License-Identifier: Apache-2.0
/*
 * The least of a kernel that exceptions can be delivered to, for engines that cannot intercept them: a 64-bit interrupt gate for each
 * vector, whose handler is OUT to the port with the vector's number. It changes no register, and the exit tells which one it was.
 *
 *	page 0: task state segment, GDT, handlers	page 1: IDT	page 2: stack
 */
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"
#include "x86/arch.h"

#define PAGE 4096u
#define HANDLERS 0x200u
#define HANDLER_BYTES 2u
#define OUT_IMM8_AL 0xe6
#define VECTORS 256u
#define STACK_TOP (ORACLE_IDT + ORACLE_IDT_PAGES * PAGE)
#define TSS_RSP0 4u
#define TSS_IO_MAP 102u
#define GATE_INTERRUPT 0x8eu
#define GATE_DPL3 0x60u
#define KERNEL_CODE UINT64_C(0x00af9b000000ffff)

_Static_assert(HANDLERS + VECTORS * HANDLER_BYTES <= PAGE, "the first page holds all");
_Static_assert(ORACLE_GDT - ORACLE_IDT + ORACLE_GDT_BYTES <= HANDLERS, "and in this order");

/* User mode may use INT3 and INTO, as an operating system lets it. */
static void gate(uint8_t *table, unsigned vector)
{
	uint64_t at = ORACLE_IDT + HANDLERS + HANDLER_BYTES * vector;
	uint64_t type =
		GATE_INTERRUPT | (vector == X86_EXC_BP || vector == X86_EXC_OF ? GATE_DPL3 : 0);

	store_le64(table + 16 * vector, (at & 0xffff) | (uint64_t)ORACLE_SEL_KERNEL << 16 |
						type << 40 | (at >> 16 & 0xffff) << 48);
	store_le64(table + 16 * vector + 8, at >> 32);
}

void oracle_idt_build(uint8_t *pages)
{
	store_le64(pages + TSS_RSP0, STACK_TOP);
	store_le16(pages + TSS_IO_MAP, 0xffff);
	store_le64(pages + (ORACLE_GDT - ORACLE_IDT) + ORACLE_SEL_KERNEL, KERNEL_CODE);
	for (unsigned v = 0; v < VECTORS; v++) {
		pages[HANDLERS + HANDLER_BYTES * v] = OUT_IMM8_AL;
		pages[HANDLERS + HANDLER_BYTES * v + 1] = (uint8_t)v;
		gate(pages + PAGE, v);
	}
}

static bool has_error_code(unsigned vector)
{
	return vector == X86_EXC_DF || (vector >= X86_EXC_TS && vector <= X86_EXC_PF) ||
	       vector == X86_EXC_AC;
}

/* Pushed, from the stack's top: SS, RSP, RFLAGS, CS, RIP, and some exceptions' error code. */
void oracle_idt_frame_get(const uint8_t *pages, unsigned vector, struct oracle_idt_frame *ret)
{
	const uint8_t *top = pages + ORACLE_IDT_PAGES * PAGE;

	*ret = (struct oracle_idt_frame){
		.rsp = load_le64(top - 16),
		.rflags = load_le64(top - 24),
		.rip = load_le64(top - 40),
		.error = has_error_code(vector) ? (uint32_t)load_le64(top - 48) : 0,
	};
}
