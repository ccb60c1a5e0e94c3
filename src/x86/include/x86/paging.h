/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats of the page tables as pure functions of an entry. The walk itself (reading entries, setting A and D) is the caller's.
 * Spec: Intel SDM vol. 3, chapter 4 (4.3 32-bit, 4.4 PAE, 4.5 4-level, 4.6 access rights).
 */
#ifndef X86_PAGING_H
#define X86_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "x86/arch.h"

#define X86_PTE_P 0x001u
#define X86_PTE_W 0x002u
#define X86_PTE_U 0x004u
#define X86_PTE_PWT 0x008u
#define X86_PTE_PCD 0x010u
#define X86_PTE_A 0x020u
#define X86_PTE_D 0x040u
#define X86_PTE_PS 0x080u
#define X86_PTE_G 0x100u
#define X86_PTE_NX (UINT64_C(1) << 63)

enum x86_paging_mode {
	X86_PAGING_NONE,
	X86_PAGING_32BIT,
	X86_PAGING_PAE,
	X86_PAGING_4LEVEL,
};

struct x86_paging {
	enum x86_paging_mode mode;
	uint8_t pa_bits;
	bool nx; /* EFER.NXE */
	bool wp;
	bool pse; /* 32-bit paging: large pages */
	bool smep;
	bool smap;
};

void x86_paging_init(struct x86_paging *p, uint64_t cr0, uint64_t cr4, uint64_t efer,
		     unsigned pa_bits);

/* The level whose table CR3 (or a PDPTE register, with PAE) points to: 2 or 4. */
static inline unsigned x86_paging_top(const struct x86_paging *p)
{
	return p->mode == X86_PAGING_4LEVEL ? 4 : 2;
}

static inline unsigned x86_paging_entry_bytes(const struct x86_paging *p)
{
	return p->mode == X86_PAGING_32BIT ? 4 : 8;
}

/* Lowest linear address bit that the tables of @level translate. */
static inline unsigned x86_paging_shift(const struct x86_paging *p, unsigned level)
{
	return 12 + (level - 1) * (p->mode == X86_PAGING_32BIT ? 10 : 9);
}

/* Byte offset of @la's entry in its table of @level. */
static inline unsigned x86_paging_offset(const struct x86_paging *p, unsigned level, uint64_t la)
{
	if (p->mode == X86_PAGING_32BIT) {
		return (unsigned)(la >> x86_paging_shift(p, level) & 0x3ff) * 4;
	}
	return (unsigned)(la >> x86_paging_shift(p, level) & 0x1ff) * 8;
}

/* A present @entry of @level maps a page (rather than pointing to a table). */
bool x86_paging_is_leaf(const struct x86_paging *p, unsigned level, uint64_t entry);
/* A present @entry has a reserved bit set. */
bool x86_paging_is_reserved(const struct x86_paging *p, unsigned level, uint64_t entry);
/* Address of the table that @entry points to. */
uint64_t x86_paging_table(const struct x86_paging *p, uint64_t entry);
/* Physical address of @la in the page that the leaf @entry of @level maps. */
uint64_t x86_paging_address(const struct x86_paging *p, unsigned level, uint64_t entry,
			    uint64_t la);
/* A present PDPTE register value of PAE paging that MOV CR3 refuses. */
bool x86_paging_pdpte_reserved(const struct x86_paging *p, uint64_t pdpte);

/* Rights that all entries of a walk have in common: X86_PTE_W, X86_PTE_U, and X86_PTE_NX if any entry had it. */
struct x86_page_rights {
	bool write;
	bool user;
	bool nx;
};

/* Who asks. @user: CPL 3 and not an implicit supervisor access. @ac: supervisor access that EFLAGS.AC lets into user pages. */
struct x86_page_access {
	bool user;
	bool ac;
};

bool x86_page_readable(const struct x86_paging *p, const struct x86_page_rights *r,
		       const struct x86_page_access *a);
bool x86_page_writable(const struct x86_paging *p, const struct x86_page_rights *r,
		       const struct x86_page_access *a);
bool x86_page_executable(const struct x86_paging *p, const struct x86_page_rights *r,
			 const struct x86_page_access *a);

/* Bits of a @bits wide linear address above the implemented ones repeat its top bit. */
static inline bool x86_canonical(uint64_t la)
{
	return (uint64_t)((int64_t)(la << 16) >> 16) == la;
}

#endif
