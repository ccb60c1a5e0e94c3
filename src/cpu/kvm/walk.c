// SPDX-License-Identifier: Apache-2.0
/*
 * Page walks on behalf of the hypervisor core: KVM's own (KVM_TRANSLATE) knows neither rights nor error codes. Reads the guest's tables and
 * changes nothing. Spec: Intel SDM vol. 3, chapter 4; formats: x86/paging.h.
 */
#include "vm.h"
#include "x86/paging.h"

struct walk {
	struct x86_paging p;
	struct x86_page_access who;
	struct x86_page_rights rights;
	uint64_t la;
	unsigned access;
};

static bool fault(const struct walk *w, uint32_t bits, uint32_t *ret_error)
{
	*ret_error =
		bits | (w->access == HV_ACCESS_WRITE ? X86_PF_W : 0) | (w->who.user ? X86_PF_U : 0);
	/* Spec: 4.7: the I/D flag is reported only when NX or SMEP is in force. */
	if (w->access == HV_ACCESS_EXECUTE && (w->p.nx || w->p.smep)) {
		*ret_error |= X86_PF_I;
	}
	return false;
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

/* Where no memory is there are no tables. */
static uint64_t load(const struct kvm_vp *vp, const struct walk *w, uint64_t gpa)
{
	uint64_t entry = 0;

	gmem_read(vp->vm->gmem, gpa, &entry, x86_paging_entry_bytes(&w->p));
	return entry;
}

static void narrow(struct walk *w, uint64_t entry)
{
	w->rights.write &= (entry & X86_PTE_W) != 0;
	w->rights.user &= (entry & X86_PTE_U) != 0;
	w->rights.nx |= w->p.nx && (entry & X86_PTE_NX);
}

static bool descend(const struct kvm_vp *vp, struct walk *w, uint64_t table, uint64_t *ret_gpa,
		    uint32_t *ret_error)
{
	for (unsigned level = x86_paging_top(&w->p); level > 0; level--) {
		uint64_t entry = load(vp, w, table + x86_paging_offset(&w->p, level, w->la));

		if (!(entry & X86_PTE_P)) {
			return fault(w, 0, ret_error);
		}
		if (x86_paging_is_reserved(&w->p, level, entry)) {
			return fault(w, X86_PF_P | X86_PF_RSVD, ret_error);
		}
		narrow(w, entry);
		if (x86_paging_is_leaf(&w->p, level, entry)) {
			if (!allowed(w)) {
				return fault(w, X86_PF_P, ret_error);
			}
			*ret_gpa = x86_paging_address(&w->p, level, entry, w->la);
			return true;
		}
		table = x86_paging_table(&w->p, entry);
	}
	return fault(w, 0, ret_error);
}

bool kvm_walk(struct kvm_vp *vp, uint64_t gva, unsigned access, bool user, uint64_t *ret_gpa,
	      uint32_t *ret_error)
{
	struct walk w = {.who = {.user = user, .ac = true},
			 .rights = {.write = true, .user = true},
			 .la = gva,
			 .access = access};
	const struct kvm_sregs *s = &vp->sregs;

	kvm_state_fetch(vp, PART_SREGS);
	x86_paging_init(&w.p, s->cr0, s->cr4, s->efer, vp->vm->gmem->pa_bits);
	if (w.p.mode == X86_PAGING_NONE) {
		*ret_gpa = (uint32_t)gva;
		return true;
	}
	if (w.p.mode == X86_PAGING_4LEVEL && !x86_canonical(gva)) {
		*ret_error = 0;
		return false;
	}
	uint64_t table = x86_paging_table(&w.p, s->cr3);

	if (w.p.mode == X86_PAGING_PAE) {
		uint64_t pdpte = load(vp, &w, (s->cr3 & 0xffffffe0u) + (gva >> 30 & 3) * 8);

		if (!(pdpte & X86_PTE_P)) {
			return fault(&w, 0, ret_error);
		}
		table = x86_paging_table(&w.p, pdpte);
	}
	return descend(vp, &w, table, ret_gpa, ret_error);
}
