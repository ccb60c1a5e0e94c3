/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory access, slow paths: segmentation, TLB fills, page crossings, guest memory that is not there (an exit to the parent, whose answer
 * is replayed when the instruction runs again), pages with code, alignment checks and data breakpoints.
 */
#include "core.h"

#include <string.h>

/* Not by the code size: compatibility mode reaches its descriptor tables above 4 GiB. */
static bool long_mode(const struct emu_vp *vp)
{
	return vp->efer & X86_EFER_LMA;
}

static uint64_t wrap(const struct emu_vp *vp, uint64_t la)
{
	return long_mode(vp) ? la : (uint32_t)la;
}

bool emu_raise_noncanonical(struct emu_vp *vp)
{
	emu_raise_error(vp, X86_EXC_GP, 0);
	vp->noncanonical = true;
	return false;
}

/* ---- Segmentation ---- */

static bool raise_segment(struct emu_vp *vp, unsigned seg)
{
	return emu_raise_error(vp, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
}

static bool segment_allows(const struct x86_segment *s, unsigned access)
{
	bool code = s->attributes & 8;

	if (access == HV_ACCESS_WRITE) {
		return !code && (s->attributes & 2);
	}
	return !code || (s->attributes & 2);
}

static bool segment_holds(const struct x86_segment *s, uint64_t ea, unsigned bytes)
{
	uint64_t last = ea + bytes - 1;

	if ((s->attributes & 0xc) == 0x4) {
		return ea > s->limit &&
		       last <= (s->attributes & X86_SEG_DB ? 0xffffffffu : 0xffffu);
	}
	return last <= s->limit;
}

/* Flat segments, as 32-bit systems use them: nothing to check but the end of the address space. */
static inline bool flat_address(struct emu_vp *vp, unsigned seg, uint64_t ea, unsigned bytes)
{
	vp->slow = ea;
	return likely(vp->flat >> seg & 1) && ea + bytes <= UINT64_C(0x100000000);
}

bool emu_segment_address(struct emu_vp *vp, unsigned seg, uint64_t ea, unsigned bytes,
			 unsigned access)
{
	const struct x86_segment *s = &vp->seg[seg];

	if (flat_address(vp, seg, ea, bytes)) {
		return true;
	}
	if (vp->mode == EMU_MODE_64) {
		vp->slow = seg >= X86_FS ? ea + s->base : ea;
		return true;
	}
	if (!(s->attributes & X86_SEG_P) || !segment_holds(s, ea, bytes) ||
	    (vp->mode != EMU_MODE_REAL && !segment_allows(s, access))) {
		return raise_segment(vp, seg);
	}
	vp->slow = (uint32_t)(s->base + ea);
	return true;
}

bool emu_address_slow(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes, unsigned access)
{
	uint64_t ea = emu_effective(vp, i);

	return flat_address(vp, i->seg, ea, bytes) ||
	       emu_segment_address(vp, i->seg, ea, bytes, access);
}

/* ---- TLB ---- */

void emu_tlb_select(struct emu_vp *vp)
{
	bool user = vp->cpl == 3;
	bool aligned = user && (vp->cr0 & X86_CR0_AM) && (vp->flags & X86_AC);

	vp->tlb_mode = user						  ? EMU_TLB_USER
		       : (vp->cr4 & X86_CR4_SMAP) && (vp->flags & X86_AC) ? EMU_TLB_KERNEL_AC
									  : EMU_TLB_KERNEL;
	vp->careful = aligned || (vp->dr[7] & 0xff) != 0;
	vp->tlb =
		vp->tlbs + (vp->careful ? (unsigned)EMU_TLB_MODES : vp->tlb_mode) * EMU_TLB_ENTRIES;
}

static void entry_clear(struct emu_tlb_entry *e)
{
	e->tag_r = EMU_TLB_NONE;
	e->tag_w = EMU_TLB_NONE;
	e->tag_x = EMU_TLB_NONE;
}

void emu_tlb_init(struct emu_vp *vp)
{
	memset(vp->tlbs, 0, (EMU_TLB_MODES + 1) * EMU_TLB_ENTRIES * sizeof(*vp->tlbs));
	for (unsigned n = 0; n < (EMU_TLB_MODES + 1) * EMU_TLB_ENTRIES; n++) {
		entry_clear(&vp->tlbs[n]);
	}
	vp->tlb_listed = 0;
	vp->tlb_large = 0;
}

/*
 * A translation that writes without asking goes away. The dirty log may have been taken since it was made, so the page is marked again unless
 * it still is; the caller has put a fence between the stores and this look.
 */
static void keep_dirty(const struct emu_vp *vp, const struct emu_tlb_entry *e)
{
	if (e->tag_w != EMU_TLB_NONE && !(gmem_entry(vp->vm->gmem, e->gpn) & GMEM_DIRTY)) {
		gmem_entry_set(vp->vm->gmem, e->gpn, GMEM_DIRTY);
	}
}

static void entry_drop(const struct emu_vp *vp, struct emu_tlb_entry *e)
{
	if (e->tag_w != EMU_TLB_NONE) {
		atomic_thread_fence(memory_order_seq_cst);
		keep_dirty(vp, e);
	}
	entry_clear(e);
}

static bool entry_empty(const struct emu_tlb_entry *e)
{
	return e->tag_r == EMU_TLB_NONE && e->tag_w == EMU_TLB_NONE && e->tag_x == EMU_TLB_NONE;
}

/* Linear address of the page an entry that is not empty stands for. */
static uint64_t entry_page(const struct emu_tlb_entry *e)
{
	return e->tag_r != EMU_TLB_NONE ? e->tag_r : e->tag_w != EMU_TLB_NONE ? e->tag_w : e->tag_x;
}

void emu_tlb_flush(struct emu_vp *vp, bool non_global_only)
{
	uint32_t kept = 0;

	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t n = 0; n < vp->tlb_listed; n++) {
		struct emu_tlb_entry *e = &vp->tlbs[vp->tlb_list[n]];

		if (non_global_only && e->global && !entry_empty(e)) {
			vp->tlb_list[kept++] = vp->tlb_list[n];
			continue;
		}
		keep_dirty(vp, e);
		entry_clear(e);
		e->listed = false;
	}
	vp->tlb_listed = kept;
	if (kept == 0) {
		vp->tlb_large = 0;
	}
}

static unsigned large_bit(uint64_t la)
{
	return (unsigned)((la >> 21) % 63);
}

void emu_tlb_flush_page(struct emu_vp *vp, uint64_t la)
{
	la = wrap(vp, la);
	for (unsigned mode = 0; mode < EMU_TLB_MODES; mode++) {
		struct emu_tlb_entry *e =
			&vp->tlbs[mode * EMU_TLB_ENTRIES + ((la >> 12) & (EMU_TLB_ENTRIES - 1))];

		if (!entry_empty(e) && entry_page(e) == (la & EMU_PAGE_MASK)) {
			entry_drop(vp, e);
		}
	}
	if (!(vp->tlb_large &
	      (BIT64(63) | BIT64(large_bit(la)) | BIT64(large_bit(la ^ (1u << 21)))))) {
		return;
	}
	for (uint32_t n = 0; n < vp->tlb_listed; n++) {
		struct emu_tlb_entry *e = &vp->tlbs[vp->tlb_list[n]];

		if (e->page_bits > 12 && !entry_empty(e) &&
		    ((entry_page(e) ^ la) >> e->page_bits) == 0) {
			entry_drop(vp, e);
		}
	}
}

void emu_tlb_drop_gpns(struct emu_vp *vp, uint64_t gpn, uint64_t count)
{
	for (uint32_t n = 0; n < vp->tlb_listed; n++) {
		struct emu_tlb_entry *e = &vp->tlbs[vp->tlb_list[n]];

		if (e->gpn - gpn < count) {
			entry_drop(vp, e);
		}
	}
}

void emu_tlb_drop_writes(struct emu_vp *vp, uint64_t gpn)
{
	for (uint32_t n = 0; n < vp->tlb_listed; n++) {
		struct emu_tlb_entry *e = &vp->tlbs[vp->tlb_list[n]];

		if (e->gpn == gpn && e->tag_w != EMU_TLB_NONE) {
			atomic_thread_fence(memory_order_seq_cst);
			keep_dirty(vp, e);
			e->tag_w = EMU_TLB_NONE;
		}
	}
}

/* The slot for @la, made to stand for its page; tags of another translation go. */
static struct emu_tlb_entry *slot_claim(struct emu_vp *vp, uint64_t la, unsigned mode,
					const struct emu_walk *walk, uintptr_t host)
{
	uint32_t index = (uint32_t)(mode * EMU_TLB_ENTRIES + ((la >> 12) & (EMU_TLB_ENTRIES - 1)));
	struct emu_tlb_entry *e = &vp->tlbs[index];
	uint64_t page = la & EMU_PAGE_MASK;

	if (entry_empty(e) || entry_page(e) != page || e->gpn != walk->gpa >> 12 ||
	    e->addend != host - page) {
		entry_drop(vp, e);
	}
	e->addend = host - page;
	e->gpn = walk->gpa >> 12;
	e->global = walk->global;
	e->page_bits = walk->page_bits < 12 ? 12 : walk->page_bits;
	if (e->page_bits > 12) {
		vp->tlb_large |= e->page_bits >= 30 ? BIT64(63) : BIT64(large_bit(la));
	}
	if (!e->listed) {
		e->listed = true;
		vp->tlb_list[vp->tlb_listed++] = (uint16_t)index;
	}
	return e;
}

static bool fetch_exit(struct emu_vp *vp, uint64_t la, uint64_t gpa, uint64_t entry)
{
	vp->exit.memory.gpa = gpa;
	vp->exit.memory.gva = la;
	vp->exit.memory.bytes = 1;
	vp->exit.memory.access = HV_ACCESS_EXECUTE;
	vp->exit.memory.mapped = (entry & GMEM_PAGE_MASK) != 0;
	vp->exit.memory.gva_valid = true;
	vp->exit.memory.data = 0;
	return emu_exit(vp, HV_EXIT_MEMORY);
}

const struct emu_tlb_entry *emu_tlb_execute(struct emu_vp *vp, uint64_t la)
{
	struct emu_tlb_entry *e =
		&vp->tlbs[vp->tlb_mode * EMU_TLB_ENTRIES + ((la >> 12) & (EMU_TLB_ENTRIES - 1))];
	struct emu_walk walk = {0};
	uint64_t entry;

	if (e->tag_x == (la & EMU_PAGE_MASK)) {
		return e;
	}
	if (!emu_walk(vp, la, HV_ACCESS_EXECUTE, vp->tlb_mode, &walk)) {
		return NULL;
	}
	entry = gmem_entry(vp->vm->gmem, walk.gpa >> 12);
	if (!(entry & GMEM_X)) {
		fetch_exit(vp, la, walk.gpa, entry);
		return NULL;
	}
	e = slot_claim(vp, la, vp->tlb_mode, &walk, (uintptr_t)gmem_entry_page(entry));
	e->tag_x = la & EMU_PAGE_MASK;
	return e;
}

/* ---- One piece of an access, within a page ---- */

struct target {
	uint8_t *host; /* NULL: no plain memory, ask the parent */
	uint64_t gpa;
	uint64_t la;
	unsigned bytes;
	bool mapped;
	bool code; /* a write has to be reported */
};

/* Sets WCACHED and DIRTY unless the page holds code; true: writes need no question from now on. */
static bool claim_writes(struct emu_vp *vp, uint64_t gpn, uint64_t entry)
{
	if (!(entry & GMEM_CODE)) {
		entry = gmem_entry_set(vp->vm->gmem, gpn, GMEM_DIRTY | GMEM_WCACHED);
		if (!(entry & GMEM_CODE)) {
			return true;
		}
	}
	gmem_entry_set(vp->vm->gmem, gpn, GMEM_DIRTY);
	return false;
}

static bool resolve_walk(struct emu_vp *vp, uint64_t la, unsigned access, struct target *t)
{
	struct emu_walk walk = {0};
	uint64_t entry;
	uint32_t right = access == HV_ACCESS_WRITE ? GMEM_W : GMEM_R;
	struct emu_tlb_entry *e;

	if (!emu_walk(vp, la, access, vp->tlb_mode, &walk)) {
		return false;
	}
	entry = gmem_entry(vp->vm->gmem, walk.gpa >> 12);
	t->gpa = walk.gpa;
	t->mapped = (entry & GMEM_PAGE_MASK) != 0;
	if (!(entry & right)) {
		t->host = NULL;
		return true;
	}
	t->host = (uint8_t *)gmem_entry_page(entry) + (la & 0xfff);
	e = slot_claim(vp, la, vp->tlb_mode, &walk, (uintptr_t)gmem_entry_page(entry));
	if ((entry & GMEM_R) && walk.readable) {
		e->tag_r = la & EMU_PAGE_MASK;
	}
	if (access == HV_ACCESS_WRITE) {
		t->code = !claim_writes(vp, walk.gpa >> 12, entry);
		e->tag_w = t->code ? EMU_TLB_NONE : la & EMU_PAGE_MASK;
	}
	return true;
}

static bool resolve(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access,
		    struct target *t)
{
	const struct emu_tlb_entry *e =
		&vp->tlbs[vp->tlb_mode * EMU_TLB_ENTRIES + ((la >> 12) & (EMU_TLB_ENTRIES - 1))];

	t->la = la;
	t->bytes = bytes;
	t->code = false;
	if ((access == HV_ACCESS_WRITE ? e->tag_w : e->tag_r) == (la & EMU_PAGE_MASK)) {
		t->host = (uint8_t *)(la + e->addend);
		t->gpa = e->gpn << 12 | (la & 0xfff);
		t->mapped = true;
		return true;
	}
	return resolve_walk(vp, la, access, t);
}

/* The parent's answer for a piece of at most 8 bytes that is no plain memory. */
static bool ask_parent(struct emu_vp *vp, const struct target *t, unsigned offset, unsigned bytes,
		       unsigned access, uint64_t *data)
{
	uint64_t gpa = t->gpa + offset, value;

	if (emu_answer(vp, HV_EXIT_MEMORY, gpa << 1 | (access == HV_ACCESS_WRITE), 1, &value)) {
		if (access == HV_ACCESS_READ) {
			*data = value;
		}
		return true;
	}
	vp->exit.memory.gpa = gpa;
	vp->exit.memory.gva = t->la + offset;
	vp->exit.memory.bytes = (uint8_t)bytes;
	vp->exit.memory.access = (uint8_t)access;
	vp->exit.memory.mapped = t->mapped;
	vp->exit.memory.gva_valid = true;
	vp->exit.memory.data = access == HV_ACCESS_WRITE ? *data : 0;
	return emu_exit(vp, HV_EXIT_MEMORY);
}

static bool parent_read(struct emu_vp *vp, const struct target *t, uint8_t *buf)
{
	for (unsigned done = 0; done < t->bytes;) {
		unsigned n = t->bytes - done < 8 ? t->bytes - done : 8;
		uint64_t data = 0;

		if (!ask_parent(vp, t, done, n, HV_ACCESS_READ, &data)) {
			return false;
		}
		memcpy(buf + done, &data, n);
		done += n;
	}
	return true;
}

static bool parent_write(struct emu_vp *vp, const struct target *t, const uint8_t *buf)
{
	for (unsigned done = 0; done < t->bytes;) {
		unsigned n = t->bytes - done < 8 ? t->bytes - done : 8;
		uint64_t data = 0;

		memcpy(&data, buf + done, n);
		if (!ask_parent(vp, t, done, n, HV_ACCESS_WRITE, &data)) {
			return false;
		}
		done += n;
	}
	return true;
}

/* One host access where the size allows it. */
static void host_copy(void *to, const void *from, unsigned bytes)
{
	switch (bytes) {
	case 1:
		((volatile struct emu_u8 *)to)->v = ((const volatile struct emu_u8 *)from)->v;
		break;
	case 2:
		((volatile struct emu_u16 *)to)->v = ((const volatile struct emu_u16 *)from)->v;
		break;
	case 4:
		((volatile struct emu_u32 *)to)->v = ((const volatile struct emu_u32 *)from)->v;
		break;
	case 8:
		((volatile struct emu_u64 *)to)->v = ((const volatile struct emu_u64 *)from)->v;
		break;
	default:
		memcpy(to, from, bytes);
		break;
	}
}

/* ---- Whole accesses ---- */

/* Marks data breakpoints that [@la, @la + @bytes) touches. */
static void watch(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access)
{
	static const uint8_t lengths[4] = {1, 2, 8, 4};

	for (unsigned n = 0; n < 4; n++) {
		unsigned kind = (unsigned)(vp->dr[7] >> (16 + 4 * n)) & 3;
		unsigned length = lengths[(vp->dr[7] >> (18 + 4 * n)) & 3];
		uint64_t at = vp->dr[n] & ~(uint64_t)(length - 1);

		if (!((vp->dr[7] >> (2 * n)) & 3) ||
		    !(kind == 3 || (kind == 1 && access == HV_ACCESS_WRITE))) {
			continue;
		}
		if (la < at + length && at < la + bytes) {
			vp->debug_hits |= (uint8_t)(1u << n);
		}
	}
}

/* Splits the access at the page boundary and resolves both parts; the number of parts in @ret_parts. */
static bool resolve_all(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access,
			struct target t[2], unsigned *ret_parts)
{
	unsigned first = 4096 - ((unsigned)la & 0xfff);
	uint64_t rest;

	if (long_mode(vp) && (!emu_canonical(la) || !emu_canonical(la + bytes - 1))) {
		return emu_raise_noncanonical(vp);
	}
	if (bytes <= first) {
		*ret_parts = 1;
		return resolve(vp, la, bytes, access, &t[0]);
	}
	rest = wrap(vp, la + first);
	*ret_parts = 2;
	return resolve(vp, la, first, access, &t[0]) &&
	       resolve(vp, rest, bytes - first, access, &t[1]);
}

static bool careful(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access)
{
	bool aligned = vp->cpl == 3 && (vp->cr0 & X86_CR0_AM) && (vp->flags & X86_AC);

	if (aligned && bytes <= 8 && (la & (bytes - 1)) != 0) {
		return emu_raise_error(vp, X86_EXC_AC, 0);
	}
	watch(vp, la, bytes, access);
	return true;
}

static bool load(struct emu_vp *vp, uint64_t la, void *buf, unsigned bytes)
{
	struct target t[2];
	unsigned parts;

	la = wrap(vp, la);
	if (!resolve_all(vp, la, bytes, HV_ACCESS_READ, t, &parts)) {
		return false;
	}
	for (unsigned n = 0; n < parts; n++) {
		uint8_t *to = (uint8_t *)buf + (n ? t[0].bytes : 0);

		if (t[n].host != NULL) {
			host_copy(to, t[n].host, t[n].bytes);
		} else if (!parent_read(vp, &t[n], to)) {
			return false;
		}
	}
	return true;
}

static bool store(struct emu_vp *vp, uint64_t la, const void *buf, unsigned bytes)
{
	struct target t[2];
	unsigned parts;

	la = wrap(vp, la);
	if (!resolve_all(vp, la, bytes, HV_ACCESS_WRITE, t, &parts)) {
		return false;
	}
	/* The parent first: nothing is written before all its answers are there. */
	for (unsigned n = 0; n < parts; n++) {
		if (t[n].host == NULL &&
		    !parent_write(vp, &t[n], (const uint8_t *)buf + (n ? t[0].bytes : 0))) {
			return false;
		}
	}
	for (unsigned n = 0; n < parts; n++) {
		if (t[n].host == NULL) {
			continue;
		}
		host_copy(t[n].host, (const uint8_t *)buf + (n ? t[0].bytes : 0), t[n].bytes);
		if (t[n].code) {
			emu_code_written(vp->vm, vp, t[n].gpa, t[n].bytes);
		}
	}
	return true;
}

bool emu_load_slow(struct emu_vp *vp, uint64_t la, unsigned bytes)
{
	uint64_t value = 0;

	if ((vp->careful && !careful(vp, la, bytes, HV_ACCESS_READ)) ||
	    !load(vp, la, &value, bytes)) {
		return false;
	}
	vp->slow = value;
	return true;
}

bool emu_store_slow(struct emu_vp *vp, uint64_t la, unsigned bytes, uint64_t value)
{
	return (!vp->careful || careful(vp, la, bytes, HV_ACCESS_WRITE)) &&
	       store(vp, la, &value, bytes);
}

bool emu_load_bytes(struct emu_vp *vp, uint64_t la, void *buf, unsigned bytes)
{
	const void *p = emu_fast_read(vp, la, bytes);

	if (likely(p != NULL)) {
		memcpy(buf, p, bytes);
		return true;
	}
	if (vp->careful) {
		watch(vp, la, bytes, HV_ACCESS_READ);
	}
	return load(vp, la, buf, bytes);
}

bool emu_store_bytes(struct emu_vp *vp, uint64_t la, const void *buf, unsigned bytes)
{
	void *p = emu_fast_write(vp, la, bytes);

	if (likely(p != NULL)) {
		memcpy(p, buf, bytes);
		return true;
	}
	if (vp->careful) {
		watch(vp, la, bytes, HV_ACCESS_WRITE);
	}
	return store(vp, la, buf, bytes);
}

bool emu_probe(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access)
{
	struct target t[2];
	unsigned parts;

	return resolve_all(vp, wrap(vp, la), bytes, access, t, &parts);
}

bool emu_rmw_begin(struct emu_vp *vp, uint64_t la, unsigned bytes)
{
	if (vp->careful && !careful(vp, la, bytes, HV_ACCESS_WRITE)) {
		return false;
	}
	return emu_probe(vp, la, bytes, HV_ACCESS_WRITE) && emu_load_slow(vp, la, bytes);
}

/* ---- Locked accesses ---- */

bool emu_atomic_begin(struct emu_vp *vp, uint64_t la, unsigned bytes, void **ret_host)
{
	struct target t[2];
	unsigned parts;

	la = wrap(vp, la);
	if ((vp->careful && !careful(vp, la, bytes, HV_ACCESS_WRITE)) ||
	    !resolve_all(vp, la, bytes, HV_ACCESS_WRITE, t, &parts)) {
		return false;
	}
	vp->atomic_gpa = EMU_NO_GPA;
	/* The host's own locked instructions are good within a cache line; beyond it hosts may refuse them. */
	if (parts == 1 && t[0].host != NULL && (la & 63) + bytes <= 64) {
		*ret_host = t[0].host;
		if (t[0].code) {
			vp->atomic_gpa = t[0].gpa;
		}
		return true;
	}
	emu_spin_lock(vp->vm, &vp->vm->split_lock);
	*ret_host = NULL;
	return true;
}

bool emu_atomic_host(struct emu_vp *vp, uint64_t la, unsigned bytes)
{
	void *host = (la & (bytes - 1)) == 0 ? emu_fast_write(vp, la, bytes) : NULL;

	vp->atomic_gpa = EMU_NO_GPA;
	if (unlikely(host == NULL) && !emu_atomic_begin(vp, la, bytes, &host)) {
		return false;
	}
	vp->slow = (uintptr_t)host;
	return true;
}

void emu_atomic_done(struct emu_vp *vp, uint64_t la, unsigned bytes, void *host)
{
	(void)la;
	if (host == NULL) {
		emu_spin_unlock(&vp->vm->split_lock);
	} else if (vp->atomic_gpa != EMU_NO_GPA) {
		emu_code_written(vp->vm, vp, vp->atomic_gpa, bytes);
	}
}

/* ---- Supervisor accesses ---- */

struct saved_mode {
	struct emu_tlb_entry *tlb;
	uint8_t mode;
	bool careful;
};

static struct saved_mode sys_begin(struct emu_vp *vp)
{
	struct saved_mode saved = {vp->tlb, vp->tlb_mode, vp->careful};

	vp->tlb_mode = EMU_TLB_KERNEL;
	vp->careful = false;
	vp->tlb = vp->tlbs + EMU_TLB_KERNEL * EMU_TLB_ENTRIES;
	return saved;
}

static bool sys_end(struct emu_vp *vp, struct saved_mode saved, bool result)
{
	vp->tlb = saved.tlb;
	vp->tlb_mode = saved.mode;
	vp->careful = saved.careful;
	return result;
}

static bool sys_load(struct emu_vp *vp, uint64_t la, void *value, unsigned bytes)
{
	struct saved_mode saved = sys_begin(vp);

	return sys_end(vp, saved, emu_load_bytes(vp, la, value, bytes));
}

static bool sys_store(struct emu_vp *vp, uint64_t la, const void *value, unsigned bytes)
{
	struct saved_mode saved = sys_begin(vp);

	return sys_end(vp, saved, emu_store_bytes(vp, la, value, bytes));
}

bool emu_load8_sys(struct emu_vp *vp, uint64_t la, uint8_t *ret)
{
	return sys_load(vp, la, ret, sizeof(*ret));
}

bool emu_load16_sys(struct emu_vp *vp, uint64_t la, uint16_t *ret)
{
	return sys_load(vp, la, ret, sizeof(*ret));
}

bool emu_load32_sys(struct emu_vp *vp, uint64_t la, uint32_t *ret)
{
	return sys_load(vp, la, ret, sizeof(*ret));
}

bool emu_load64_sys(struct emu_vp *vp, uint64_t la, uint64_t *ret)
{
	return sys_load(vp, la, ret, sizeof(*ret));
}

bool emu_store8_sys(struct emu_vp *vp, uint64_t la, uint8_t value)
{
	return sys_store(vp, la, &value, sizeof(value));
}

bool emu_store16_sys(struct emu_vp *vp, uint64_t la, uint16_t value)
{
	return sys_store(vp, la, &value, sizeof(value));
}

bool emu_store32_sys(struct emu_vp *vp, uint64_t la, uint32_t value)
{
	return sys_store(vp, la, &value, sizeof(value));
}

bool emu_store64_sys(struct emu_vp *vp, uint64_t la, uint64_t value)
{
	return sys_store(vp, la, &value, sizeof(value));
}

bool emu_probe_sys(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access)
{
	struct saved_mode saved = sys_begin(vp);

	return sys_end(vp, saved, emu_probe(vp, la, bytes, access));
}

/* ---- Stack ---- */

/* A non-canonical stack address is #SS(0). */
static bool stack_fault(struct emu_vp *vp)
{
	if (vp->noncanonical) {
		vp->noncanonical = false;
		vp->fault.vector = X86_EXC_SS;
	}
	return false;
}

bool emu_stack_address(struct emu_vp *vp, uint64_t sp, unsigned bytes, unsigned access)
{
	sp &= emu_sp_mask(vp);
	if (vp->mode == EMU_MODE_64 && (!emu_canonical(sp) || !emu_canonical(sp + bytes - 1))) {
		return emu_raise_error(vp, X86_EXC_SS, 0);
	}
	return emu_segment_address(vp, X86_SS, sp, bytes, access);
}

bool emu_push(struct emu_vp *vp, unsigned bytes, uint64_t value)
{
	uint64_t sp = vp->r[X86_RSP] - bytes;

	void *p;

	if (!emu_stack_address(vp, sp, bytes, HV_ACCESS_WRITE)) {
		return false;
	}
	p = emu_fast_write(vp, vp->slow, bytes);
	if (likely(p != NULL)) {
		host_copy(p, &value, bytes);
	} else if (!emu_store_slow(vp, vp->slow, bytes, value)) {
		return stack_fault(vp);
	}
	emu_sp_set(vp, sp);
	return true;
}

bool emu_stack_load(struct emu_vp *vp, uint64_t offset, unsigned bytes)
{
	const void *p;

	if (!emu_stack_address(vp, vp->r[X86_RSP] + offset, bytes, HV_ACCESS_READ)) {
		return false;
	}
	p = emu_fast_read(vp, vp->slow, bytes);
	if (likely(p != NULL)) {
		vp->slow = 0;
		host_copy(&vp->slow, p, bytes);
		return true;
	}
	return emu_load_slow(vp, vp->slow, bytes) || stack_fault(vp);
}

bool emu_pop(struct emu_vp *vp, unsigned bytes)
{
	if (!emu_stack_load(vp, 0, bytes)) {
		return false;
	}
	emu_sp_set(vp, vp->r[X86_RSP] + bytes);
	return true;
}
