/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which 64-byte lines of guest memory hold code that some VP has decoded. One map for the VM under one lock.
 *
 * The order that makes self-modifying and cross-modifying code right:
 *   a decoder sets the line's bit and the page's GMEM_CODE, makes sure that no VP still writes to the page without asking, reads the bytes;
 *   a writer writes the bytes, then looks at the bit, posts an invalidation to every VP, and only then clears the bit.
 * So either the decoder reads the new bytes, or the writer sees the bit; and who finds the bit clear knows that the posts are out.
 * A VP looks at its requests between blocks, hence before it runs code that it learned about after the write.
 */
#include "core.h"

#include <stdlib.h>

#define CODE_BUCKETS 4096u

struct code_page {
	struct code_page *next;
	uint64_t gpn;
	uint64_t lines;
	uint32_t pins; /* VPs that wait for write translations of the page to go */
};

struct emu_code {
	_Atomic uint32_t lock;
	struct code_page *buckets[CODE_BUCKETS];
};

struct emu_code *emu_code_create(void)
{
	return calloc(1, sizeof(struct emu_code));
}

void emu_code_destroy(struct emu_code *code)
{
	if (code == NULL) {
		return;
	}
	for (unsigned n = 0; n < CODE_BUCKETS; n++) {
		while (code->buckets[n] != NULL) {
			struct code_page *page = code->buckets[n];

			code->buckets[n] = page->next;
			free(page);
		}
	}
	free(code);
}

static struct code_page **page_find(struct emu_code *code, uint64_t gpn)
{
	struct code_page **slot = &code->buckets[(gpn ^ gpn >> 12) & (CODE_BUCKETS - 1)];

	while (*slot != NULL && (*slot)->gpn != gpn) {
		slot = &(*slot)->next;
	}
	return slot;
}

/* A page without code needs no watching. */
static void page_release(struct emu_vm *vm, struct code_page **slot, uint64_t gpn)
{
	struct code_page *page = *slot;

	if (page != NULL) {
		if (page->lines != 0 || page->pins != 0) {
			return;
		}
		*slot = page->next;
		free(page);
	}
	gmem_entry_clear(vm->gmem, gpn, GMEM_CODE);
}

static struct code_page *page_get(struct emu_code *code, uint64_t gpn)
{
	struct code_page **slot = page_find(code, gpn);

	if (*slot == NULL) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot != NULL) {
			(*slot)->gpn = gpn;
		}
	}
	return *slot;
}

/* Posts the request to VP number @n; NULL: nobody to wait for. */
static struct emu_vp *post_no_write(struct emu_vp *vp, uint32_t n, uint64_t gpn,
				    uint64_t *ret_number)
{
	struct emu_vm *vm = vp->vm;
	struct emu_vp *other;

	emu_spin_lock(vm, &vm->vps_lock);
	other = atomic_load(&vm->vps[n]);
	if (other == vp) {
		other = NULL;
	}
	if (other != NULL) {
		*ret_number = emu_post_no_write(other, gpn);
	}
	emu_spin_unlock(&vm->vps_lock);
	return other;
}

/* Waits until no other VP writes to @gpn without asking. */
static void wait_no_write(struct emu_vp *vp, uint64_t gpn)
{
	struct emu_vm *vm = vp->vm;
	uint32_t top = atomic_load(&vm->vp_top);

	emu_tlb_drop_writes(vp, gpn);
	for (uint32_t n = 0; n < top; n++) {
		uint64_t number;
		struct emu_vp *other = post_no_write(vp, n, gpn, &number);

		for (unsigned round = 0; other != NULL && !emu_vp_done(vm, n, other, number);
		     round++) {
			if (atomic_load(&vp->attention) & EMU_ATTENTION_REQUEST) {
				emu_requests_handle(vp);
			}
			emu_relax(vm, round);
		}
	}
}

bool emu_code_mark(struct emu_vp *vp, uint64_t gpn, uint64_t lines, bool *ret_retry)
{
	struct emu_vm *vm = vp->vm;
	struct emu_code *code = vm->code;
	struct code_page *page;
	uint64_t before;

	emu_spin_lock(vm, &code->lock);
	page = page_get(code, gpn);
	if (page == NULL) {
		emu_spin_unlock(&code->lock);
		return false;
	}
	page->lines |= lines;
	before = gmem_entry_set(vm->gmem, gpn, GMEM_CODE);
	if (!(before & GMEM_WCACHED)) {
		emu_spin_unlock(&code->lock);
		return true;
	}
	page->pins++;
	emu_spin_unlock(&code->lock);

	wait_no_write(vp, gpn);

	/* GMEM_CODE stayed set while the page was pinned: no write translation was made since. */
	emu_spin_lock(vm, &code->lock);
	gmem_entry_clear(vm->gmem, gpn, GMEM_WCACHED);
	page->pins--;
	emu_spin_unlock(&code->lock);
	*ret_retry = true;
	return false;
}

static void post_lines(struct emu_vm *vm, const struct emu_vp *self, uint64_t gpn, uint64_t lines)
{
	uint32_t top = atomic_load(&vm->vp_top);

	emu_spin_lock(vm, &vm->vps_lock);
	for (uint32_t n = 0; n < top; n++) {
		struct emu_vp *vp = atomic_load(&vm->vps[n]);

		if (vp != NULL && vp != self) {
			emu_post_lines(vp, gpn, lines);
		}
	}
	emu_spin_unlock(&vm->vps_lock);
}

static void page_written(struct emu_vm *vm, struct emu_vp *vp, uint64_t gpn, uint64_t lines)
{
	struct emu_code *code = vm->code;
	struct code_page **slot;
	uint64_t hit = 0;

	emu_spin_lock(vm, &code->lock);
	slot = page_find(code, gpn);
	if (*slot != NULL) {
		hit = (*slot)->lines & lines;
	}
	if (hit != 0) {
		post_lines(vm, vp, gpn, hit);
		(*slot)->lines &= ~hit;
	}
	page_release(vm, slot, gpn);
	emu_spin_unlock(&code->lock);
	if (hit != 0 && vp != NULL) {
		emu_cache_invalidate(vp->cache, gpn, hit);
	}
}

void emu_code_written(struct emu_vm *vm, struct emu_vp *vp, uint64_t gpa, size_t bytes)
{
	atomic_thread_fence(memory_order_seq_cst);
	while (bytes > 0) {
		unsigned offset = (unsigned)gpa & 0xfff;
		size_t n = min_u64(bytes, 4096 - offset);
		unsigned from = offset >> 6, to = (unsigned)(offset + n - 1) >> 6;

		page_written(vm, vp, gpa >> 12,
			     (~UINT64_C(0) << from) & (~UINT64_C(0) >> (63 - to)));
		gpa += n;
		bytes -= n;
	}
}
