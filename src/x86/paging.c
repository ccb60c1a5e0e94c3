/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/paging.h"

#include "lib/bits.h"

void x86_paging_init(struct x86_paging *p, uint64_t cr0, uint64_t cr4, uint64_t efer,
		     unsigned pa_bits)
{
	if (!(cr0 & X86_CR0_PG)) {
		p->mode = X86_PAGING_NONE;
	} else if (!(cr4 & X86_CR4_PAE)) {
		p->mode = X86_PAGING_32BIT;
	} else {
		p->mode = efer & X86_EFER_LMA ? X86_PAGING_4LEVEL : X86_PAGING_PAE;
	}
	p->pa_bits = (uint8_t)pa_bits;
	p->nx = (efer & X86_EFER_NXE) && p->mode != X86_PAGING_32BIT;
	p->wp = cr0 & X86_CR0_WP;
	p->pse = cr4 & X86_CR4_PSE;
	p->smep = cr4 & X86_CR4_SMEP;
	p->smap = cr4 & X86_CR4_SMAP;
}

bool x86_paging_is_leaf(const struct x86_paging *p, unsigned level, uint64_t entry)
{
	if (level == 1) {
		return true;
	}
	if (p->mode == X86_PAGING_32BIT && !p->pse) {
		return false;
	}
	return level < 4 && (entry & X86_PTE_PS);
}

/* Bits from the physical address width up to 51. */
static uint64_t beyond_physical(const struct x86_paging *p)
{
	return (BIT64(52) - 1) & ~(BIT64(p->pa_bits) - 1);
}

/*
 * PSE-36: bits 20:13 of a 4 MiB page's entry are bits 39:32 of the address.
 * Spec: SDM vol. 3, table 4-4: M is the smaller of 40 and the physical address width; bits 21:(M-19) are reserved.
 */
static bool large_32bit_reserved(const struct x86_paging *p, uint64_t entry)
{
	unsigned m = p->pa_bits < 40 ? p->pa_bits : 40;

	return entry >> (m - 19) & (BIT64(22 - (m - 19)) - 1);
}

bool x86_paging_is_reserved(const struct x86_paging *p, unsigned level, uint64_t entry)
{
	uint64_t reserved;

	if (p->mode == X86_PAGING_32BIT) {
		return level == 2 && x86_paging_is_leaf(p, level, entry) &&
		       large_32bit_reserved(p, entry);
	}
	reserved = beyond_physical(p);
	if (!p->nx) {
		reserved |= X86_PTE_NX;
	}
	if (p->mode == X86_PAGING_PAE) {
		reserved |= UINT64_C(0x7ff0000000000000);
	}
	if (level == 4) {
		reserved |= X86_PTE_PS;
	}
	if (level == 3 && (entry & X86_PTE_PS)) {
		reserved |= UINT64_C(0x3fffe000);
	}
	if (level == 2 && (entry & X86_PTE_PS)) {
		reserved |= UINT64_C(0x1fe000);
	}
	return entry & reserved;
}

uint64_t x86_paging_table(const struct x86_paging *p, uint64_t entry)
{
	return entry &
	       (p->mode == X86_PAGING_32BIT ? UINT64_C(0xfffff000) : UINT64_C(0x000ffffffffff000));
}

uint64_t x86_paging_address(const struct x86_paging *p, unsigned level, uint64_t entry, uint64_t la)
{
	uint64_t mask = BIT64(x86_paging_shift(p, level)) - 1;

	if (p->mode == X86_PAGING_32BIT && level == 2) {
		return (entry & 0xffc00000) | bits_get(entry, 13, 8) << 32 | (la & mask);
	}
	return (entry & UINT64_C(0x000ffffffffff000) & ~mask) | (la & mask);
}

bool x86_paging_pdpte_reserved(const struct x86_paging *p, uint64_t pdpte)
{
	return pdpte & (beyond_physical(p) | UINT64_C(0xfff00000000001e6));
}

bool x86_page_readable(const struct x86_paging *p, const struct x86_page_rights *r,
		       const struct x86_page_access *a)
{
	if (a->user) {
		return r->user;
	}
	return !(r->user && p->smap && !a->ac);
}

bool x86_page_writable(const struct x86_paging *p, const struct x86_page_rights *r,
		       const struct x86_page_access *a)
{
	if (!x86_page_readable(p, r, a)) {
		return false;
	}
	return r->write || (!a->user && !p->wp);
}

bool x86_page_executable(const struct x86_paging *p, const struct x86_page_rights *r,
			 const struct x86_page_access *a)
{
	if (r->nx) {
		return false;
	}
	return a->user ? r->user : !(r->user && p->smep);
}
