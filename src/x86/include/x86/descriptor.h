/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment and gate descriptors: fields, and the checks that a processor makes before it uses one. Pure functions of the descriptor's
 * 8 bytes (as one little-endian word) and the privilege levels in question.
 * Spec: Intel SDM vol. 3, 3.4.5 (segment descriptors), 3.5 (system descriptors), 5.5-5.8 (privilege), 6.11 and 6.14.1 (gates).
 */
#ifndef X86_DESCRIPTOR_H
#define X86_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "x86/arch.h"

/* Types of system descriptors (S = 0). */
enum x86_system_type {
	X86_TYPE_TSS16 = 1,
	X86_TYPE_LDT = 2,
	X86_TYPE_TSS16_BUSY = 3,
	X86_TYPE_CALL16 = 4,
	X86_TYPE_TASK = 5,
	X86_TYPE_INT16 = 6,
	X86_TYPE_TRAP16 = 7,
	X86_TYPE_TSS32 = 9, /* in long mode: the 64-bit TSS */
	X86_TYPE_TSS32_BUSY = 11,
	X86_TYPE_CALL32 = 12, /* in long mode: the 64-bit gates */
	X86_TYPE_INT32 = 14,
	X86_TYPE_TRAP32 = 15,
};

/* Type bits of code and data segments. */
#define X86_TYPE_ACCESSED 0x1u
#define X86_TYPE_RW 0x2u /* data: writable; code: readable */
#define X86_TYPE_DC 0x4u /* data: expand-down; code: conforming */
#define X86_TYPE_CODE 0x8u

#define X86_DESC_ACCESSED (UINT64_C(1) << 40)
#define X86_DESC_BUSY (UINT64_C(1) << 41)

static inline uint32_t x86_desc_base(uint64_t raw)
{
	return (uint32_t)(raw >> 16 & 0xffffff) | (uint32_t)(raw >> 56 << 24);
}

/* In bytes, granularity applied. */
static inline uint32_t x86_desc_limit(uint64_t raw)
{
	uint32_t limit = (uint32_t)(raw & 0xffff) | (uint32_t)(raw >> 32 & 0xf0000);

	return raw >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

/* X86_SEG_* attributes. */
static inline uint16_t x86_desc_attributes(uint64_t raw)
{
	return (uint16_t)(raw >> 40 & 0xf0ff);
}

static inline unsigned x86_desc_type(uint64_t raw)
{
	return raw >> 40 & 0xf;
}

static inline bool x86_desc_is_segment(uint64_t raw)
{
	return raw >> 44 & 1;
}

static inline unsigned x86_desc_dpl(uint64_t raw)
{
	return raw >> 45 & 3;
}

static inline bool x86_desc_present(uint64_t raw)
{
	return raw >> 47 & 1;
}

static inline bool x86_desc_is_code(uint64_t raw)
{
	return (raw >> 40 & 0x18) == 0x18;
}

static inline bool x86_desc_is_conforming(uint64_t raw)
{
	return (raw >> 40 & 0x1c) == 0x1c;
}

/* Data segment, or code segment that may be read. */
static inline bool x86_desc_is_readable(uint64_t raw)
{
	return x86_desc_is_segment(raw) && (!x86_desc_is_code(raw) || (raw >> 41 & 1));
}

static inline bool x86_desc_is_writable(uint64_t raw)
{
	return (raw >> 40 & 0x1a) == 0x12;
}

static inline uint16_t x86_gate_selector(uint64_t raw)
{
	return (uint16_t)(raw >> 16);
}

static inline uint32_t x86_gate_offset(uint64_t raw)
{
	return (uint32_t)(raw & 0xffff) | (uint32_t)(raw >> 32 & 0xffff0000);
}

/* Call gates: words or double words to copy. */
static inline unsigned x86_gate_parameters(uint64_t raw)
{
	return raw >> 32 & 0x1f;
}

/* Long mode interrupt and trap gates. */
static inline unsigned x86_gate_ist(uint64_t raw)
{
	return raw >> 32 & 7;
}

static inline unsigned x86_segment_dpl(const struct x86_segment *s)
{
	return (s->attributes & X86_SEG_DPL) >> X86_SEG_DPL_SHIFT;
}

/* Whether [@offset, @offset + @bytes) lies within the segment's limit (expand-down segments included). @bytes 1..64 KiB. */
bool x86_segment_contains(const struct x86_segment *s, uint32_t offset, unsigned bytes);

void x86_segment_from_descriptor(struct x86_segment *s, uint16_t selector, uint64_t raw);

/*
 * The checks below return the vector of the exception to raise with the selector as error code, or 0 when the descriptor passes.
 * (Vector 0, #DE, never comes from a selector.) @rpl is the selector's.
 */
/* MOV, POP, LDS.. to DS, ES, FS, GS with a selector that is not null: #GP, #NP. */
unsigned x86_check_data_load(uint64_t raw, unsigned rpl, unsigned cpl);
/* SS: #GP, #SS. */
unsigned x86_check_stack_load(uint64_t raw, unsigned rpl, unsigned cpl);
/* CS of a far JMP or CALL, directly or (@gate) as the target of a call gate used by JMP; long_mode refuses L with D. */
unsigned x86_check_code_transfer(uint64_t raw, unsigned rpl, unsigned cpl, bool gate,
				 bool long_mode);
/* CS of a far RET or IRET; @rpl is the new CPL. */
unsigned x86_check_code_return(uint64_t raw, unsigned rpl, unsigned cpl, bool long_mode);

/* Whether LAR, LSL, VERR and VERW accept the descriptor (they clear ZF otherwise). */
bool x86_lar_accepts(uint64_t raw, unsigned rpl, unsigned cpl, bool long_mode);
bool x86_lsl_accepts(uint64_t raw, unsigned rpl, unsigned cpl, bool long_mode);
bool x86_verr_accepts(uint64_t raw, unsigned rpl, unsigned cpl);
bool x86_verw_accepts(uint64_t raw, unsigned rpl, unsigned cpl);

/* What survives in a data segment register when control returns to @cpl: false means that it becomes null. */
bool x86_segment_survives_return(const struct x86_segment *s, unsigned cpl);

#endif
