/* SPDX-License-Identifier: Apache-2.0 */
/* The page walk: reads and marks the guest's page tables. Spec: Intel SDM vol. 3, chapter 4; formats: x86/paging.h. */
#include "control.h"
#include "mem.h"
#include "sys.h"
#include "x86/paging.h"

/* One walk under way. */
struct walk {
	struct x86_paging p;
	struct x86_page_access who;
	struct x86_page_rights rights;
	uint64_t la;
	unsigned access;
	bool quiet;	/* translate only: no A and D bits, no exits */
	uint32_t error; /* of the page fault */
};

enum outcome {
	WALK_OK,
	WALK_FAULT, /* walk->error */
	WALK_EXIT,  /* recorded */
	WALK_AGAIN, /* an entry changed under us */
};

static uint64_t entry_load(const void *host, unsigned bytes)
{
	return bytes == 8 ? __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED)
			  : __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);
}

static bool entry_exchange(void *host, unsigned bytes, uint64_t old, uint64_t new)
{
	uint32_t old32 = (uint32_t)old;

	if (bytes == 8) {
		return __atomic_compare_exchange_n((uint64_t *)host, &old, new, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	return __atomic_compare_exchange_n((uint32_t *)host, &old32, (uint32_t) new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Page tables where no memory is: the parent supplies the entry. */
static enum outcome entry_from_parent(struct emu_vp *vp, const struct walk *w, uint64_t gpa,
				      uint64_t *ret_entry)
{
	unsigned bytes = x86_paging_entry_bytes(&w->p);

	if (w->quiet) {
		*ret_entry = 0;
		return WALK_OK;
	}
	if (emu_answer(vp, HV_EXIT_MEMORY, gpa, 1, ret_entry)) {
		*ret_entry &= bytes == 8 ? ~UINT64_C(0) : 0xffffffffu;
		return WALK_OK;
	}
	vp->exit.memory.gpa = gpa;
	vp->exit.memory.gva = w->la;
	vp->exit.memory.bytes = (uint8_t)bytes;
	vp->exit.memory.access = HV_ACCESS_READ;
	vp->exit.memory.mapped = gmem_entry(vp->vm->gmem, gpa >> 12) != 0;
	vp->exit.memory.gva_valid = false;
	vp->exit.memory.data = 0;
	emu_exit(vp, HV_EXIT_MEMORY);
	return WALK_EXIT;
}

/* Sets A, and D for @dirty. A page table in memory that cannot be written keeps its bits, as ROM would. */
static enum outcome entry_mark(struct emu_vp *vp, const struct walk *w, uint64_t gpa,
			       uint64_t *entry, bool dirty)
{
	unsigned bytes = x86_paging_entry_bytes(&w->p);
	uint64_t want = *entry | X86_PTE_A | (dirty ? X86_PTE_D : 0);
	void *host;

	if (want == *entry || w->quiet) {
		return WALK_OK;
	}
	host = gmem_ptr(vp->vm->gmem, gpa, bytes, GMEM_R | GMEM_W);
	if (host == NULL) {
		return WALK_OK;
	}
	if (!entry_exchange(host, bytes, *entry, want)) {
		return WALK_AGAIN;
	}
	gmem_touch(vp->vm->gmem, gpa, bytes);
	*entry = want;
	return WALK_OK;
}

static enum outcome entry_read(struct emu_vp *vp, const struct walk *w, uint64_t gpa,
			       uint64_t *ret_entry)
{
	unsigned bytes = x86_paging_entry_bytes(&w->p);
	const void *host = gmem_ptr(vp->vm->gmem, gpa, bytes, GMEM_R);

	if (host == NULL) {
		return entry_from_parent(vp, w, gpa, ret_entry);
	}
	*ret_entry = entry_load(host, bytes);
	return WALK_OK;
}

static enum outcome fault(struct walk *w, uint32_t bits)
{
	w->error =
		bits | (w->access == HV_ACCESS_WRITE ? X86_PF_W : 0) | (w->who.user ? X86_PF_U : 0);
	/* Spec: 4.7: the I/D flag is reported only when NX or SMEP is in force. */
	if (w->access == HV_ACCESS_EXECUTE && (w->p.nx || w->p.smep)) {
		w->error |= X86_PF_I;
	}
	return WALK_FAULT;
}

static bool allowed(const struct walk *w)
{
	switch (w->access) {
	case HV_ACCESS_WRITE:
		return x86_page_writable(&w->p, &w->rights, &w->who);
	case HV_ACCESS_EXECUTE:
		return x86_page_executable(&w->p, &w->rights, &w->who);
	default:
		return x86_page_readable(&w->p, &w->rights, &w->who);
	}
}

static void narrow(struct walk *w, uint64_t entry)
{
	w->rights.write &= (entry & X86_PTE_W) != 0;
	w->rights.user &= (entry & X86_PTE_U) != 0;
	w->rights.nx |= w->p.nx && (entry & X86_PTE_NX);
}

static enum outcome leaf(struct emu_vp *vp, struct walk *w, unsigned level, uint64_t gpa,
			 uint64_t entry, struct emu_walk *ret)
{
	enum outcome o;

	if (!allowed(w)) {
		return fault(w, X86_PF_P);
	}
	o = entry_mark(vp, w, gpa, &entry, w->access == HV_ACCESS_WRITE);
	if (o != WALK_OK) {
		return o;
	}
	ret->gpa = x86_paging_address(&w->p, level, entry, w->la);
	ret->page_bits = (uint8_t)x86_paging_shift(&w->p, level);
	ret->global = (entry & X86_PTE_G) && (vp->cr4 & X86_CR4_PGE);
	ret->writable = (entry & X86_PTE_D) && x86_page_writable(&w->p, &w->rights, &w->who);
	ret->readable = x86_page_readable(&w->p, &w->rights, &w->who);
	ret->executable = x86_page_executable(&w->p, &w->rights, &w->who);
	return WALK_OK;
}

static enum outcome walk_once(struct emu_vp *vp, struct walk *w, struct emu_walk *ret)
{
	uint64_t table = x86_paging_table(&w->p, vp->cr3), entry, gpa;
	enum outcome o;

	w->rights = (struct x86_page_rights){.write = true, .user = true};
	if (w->p.mode == X86_PAGING_PAE) {
		uint64_t pdpte = vp->pdpte[w->la >> 30 & 3];

		if (!(pdpte & X86_PTE_P)) {
			return fault(w, 0);
		}
		table = x86_paging_table(&w->p, pdpte);
	}
	for (unsigned level = x86_paging_top(&w->p);; level--) {
		gpa = table + x86_paging_offset(&w->p, level, w->la);
		o = entry_read(vp, w, gpa, &entry);
		if (o != WALK_OK) {
			return o;
		}
		if (!(entry & X86_PTE_P)) {
			return fault(w, 0);
		}
		if (x86_paging_is_reserved(&w->p, level, entry)) {
			return fault(w, X86_PF_P | X86_PF_RSVD);
		}
		narrow(w, entry);
		if (x86_paging_is_leaf(&w->p, level, entry)) {
			return leaf(vp, w, level, gpa, entry, ret);
		}
		o = entry_mark(vp, w, gpa, &entry, false);
		if (o != WALK_OK) {
			return o;
		}
		table = x86_paging_table(&w->p, entry);
	}
}

static enum outcome walk_run(struct emu_vp *vp, struct walk *w, struct emu_walk *ret)
{
	enum outcome o;

	x86_paging_init(&w->p, vp->cr0, vp->cr4, vp->efer, vp->vm->gmem->pa_bits);
	if (w->p.mode == X86_PAGING_NONE) {
		*ret = (struct emu_walk){.gpa = (uint32_t)w->la,
					 .writable = true,
					 .executable = true,
					 .readable = true};
		return WALK_OK;
	}
	do {
		o = walk_once(vp, w, ret);
	} while (o == WALK_AGAIN);
	return o;
}

bool emu_walk(struct emu_vp *vp, uint64_t la, unsigned access, enum emu_tlb_mode tlb_mode,
	      struct emu_walk *ret)
{
	struct walk w = {
		.who = {.user = tlb_mode == EMU_TLB_USER, .ac = tlb_mode == EMU_TLB_KERNEL_AC},
		.la = la,
		.access = access,
	};

	switch (walk_run(vp, &w, ret)) {
	case WALK_OK:
		return true;
	case WALK_FAULT:
		return emu_raise_page_fault(vp, la, w.error);
	case WALK_EXIT:
	case WALK_AGAIN:
	default:
		return false;
	}
}

bool emu_translate(struct emu_vp *vp, uint64_t gva, unsigned access, bool user, uint64_t *ret_gpa,
		   uint32_t *ret_error)
{
	struct walk w = {
		.who = {.user = user, .ac = true}, .la = gva, .access = access, .quiet = true};
	struct emu_walk found;

	if (emu_long_mode(vp) && !x86_canonical(gva)) {
		*ret_error = 0;
		return false;
	}
	if (walk_run(vp, &w, &found) != WALK_OK) {
		*ret_error = w.error;
		return false;
	}
	*ret_gpa = found.gpa;
	return true;
}

bool emu_pdptes_load(struct emu_vp *vp, uint64_t cr0, uint64_t cr3, uint64_t cr4,
		     uint64_t ret_pdptes[4])
{
	struct x86_paging p;

	x86_paging_init(&p, cr0, cr4, vp->efer, vp->vm->gmem->pa_bits);
	if (p.mode != X86_PAGING_PAE) {
		return true;
	}
	for (unsigned i = 0; i < 4; i++) {
		const void *host = gmem_ptr(vp->vm->gmem, (cr3 & 0xffffffe0u) + i * 8, 8, GMEM_R);

		/* Where no memory is there are no tables. */
		ret_pdptes[i] = host != NULL ? entry_load(host, 8) : 0;
		if ((ret_pdptes[i] & X86_PTE_P) && x86_paging_pdpte_reserved(&p, ret_pdptes[i])) {
			return false;
		}
	}
	return true;
}
