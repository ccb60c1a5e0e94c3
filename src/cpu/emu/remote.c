/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that other threads make of a VP. Each kind has a small list; one that runs over turns into "all of it". A VP handles them
 * between blocks, and before anything else when it enters the guest; a VP outside the guest counts as done.
 */
#include "core.h"

#include <stdlib.h>

#define REQUEST_PAGES 32u
#define REQUEST_LINES 64u
#define REQUEST_RANGES 16u
#define REQUEST_WRITES 16u

struct request_pair {
	uint64_t gpn;
	uint64_t value; /* lines, or count of pages */
};

struct request_set {
	bool flush_all;
	bool flush_non_global;
	bool drop_blocks;
	uint32_t page_count, line_count, range_count, write_count;
	uint64_t pages[REQUEST_PAGES];
	struct request_pair lines[REQUEST_LINES];
	struct request_pair ranges[REQUEST_RANGES];
	uint64_t writes[REQUEST_WRITES];
};

struct emu_requests {
	_Atomic uint32_t lock;
	_Atomic uint64_t posted; /* number of the last request */
	_Atomic uint64_t done;
	struct request_set set;
};

void emu_relax(struct emu_vm *vm, unsigned round)
{
	if (vm->config.relax != NULL && round >= 16) {
		vm->config.relax(vm->config.relax_ctx, round);
	} else {
		__builtin_ia32_pause();
	}
}

void emu_spin_lock(struct emu_vm *vm, _Atomic uint32_t *lock)
{
	for (unsigned round = 0; atomic_exchange(lock, 1) != 0; round++) {
		emu_relax(vm, round);
	}
}

void emu_spin_unlock(_Atomic uint32_t *lock)
{
	atomic_store(lock, 0);
}

struct emu_requests *emu_requests_create(void)
{
	return calloc(1, sizeof(struct emu_requests));
}

void emu_requests_destroy(struct emu_requests *requests)
{
	free(requests);
}

static struct request_set *post_begin(struct emu_vp *vp)
{
	emu_spin_lock(vp->vm, &vp->requests->lock);
	return &vp->requests->set;
}

static uint64_t post_end(struct emu_vp *vp)
{
	uint64_t number = atomic_fetch_add(&vp->requests->posted, 1) + 1;

	emu_spin_unlock(&vp->requests->lock);
	atomic_fetch_or(&vp->attention, EMU_ATTENTION_REQUEST);
	return number;
}

uint64_t emu_post_flush(struct emu_vp *vp, bool non_global_only)
{
	struct request_set *set = post_begin(vp);

	if (non_global_only) {
		set->flush_non_global = true;
	} else {
		set->flush_all = true;
	}
	return post_end(vp);
}

void emu_post_flush_page(struct emu_vp *vp, uint64_t la)
{
	struct request_set *set = post_begin(vp);

	if (set->page_count < REQUEST_PAGES) {
		set->pages[set->page_count++] = la;
	} else {
		set->flush_all = true;
	}
	post_end(vp);
}

void emu_post_lines(struct emu_vp *vp, uint64_t gpn, uint64_t lines)
{
	struct request_set *set = post_begin(vp);

	if (set->line_count > 0 && set->lines[set->line_count - 1].gpn == gpn) {
		set->lines[set->line_count - 1].value |= lines;
	} else if (set->line_count < REQUEST_LINES) {
		set->lines[set->line_count++] = (struct request_pair){gpn, lines};
	} else {
		set->drop_blocks = true;
	}
	post_end(vp);
}

void emu_post_gpa(struct emu_vp *vp, uint64_t gpn, uint64_t count)
{
	struct request_set *set = post_begin(vp);

	if (set->range_count < REQUEST_RANGES) {
		set->ranges[set->range_count++] = (struct request_pair){gpn, count};
	} else {
		set->flush_all = true;
		set->drop_blocks = true;
	}
	post_end(vp);
}

uint64_t emu_post_no_write(struct emu_vp *vp, uint64_t gpn)
{
	struct request_set *set = post_begin(vp);

	if (set->write_count < REQUEST_WRITES) {
		set->writes[set->write_count++] = gpn;
	} else {
		set->flush_all = true;
	}
	return post_end(vp);
}

bool emu_post_done(struct emu_vp *vp, uint64_t number)
{
	return atomic_load(&vp->requests->done) >= number || !atomic_load(&vp->in_guest);
}

bool emu_vp_done(struct emu_vm *vm, uint32_t n, const struct emu_vp *vp, uint64_t number)
{
	bool done;

	emu_spin_lock(vm, &vm->vps_lock);
	done = atomic_load(&vm->vps[n]) != vp || emu_post_done(atomic_load(&vm->vps[n]), number);
	emu_spin_unlock(&vm->vps_lock);
	return done;
}

/* The lock is not held while a VP is waited for: it may want it before it comes to its requests. */
void emu_stores_ask(struct emu_vm *vm)
{
	uint32_t top = atomic_load(&vm->vp_top);

	for (uint32_t n = 0; n < top; n++) {
		uint64_t number = 0;
		struct emu_vp *vp;

		emu_spin_lock(vm, &vm->vps_lock);
		vp = atomic_load(&vm->vps[n]);
		if (vp != NULL) {
			number = emu_post_flush(vp, false);
		}
		emu_spin_unlock(&vm->vps_lock);
		for (unsigned round = 0; vp != NULL && !emu_vp_done(vm, n, vp, number); round++) {
			emu_relax(vm, round);
		}
	}
}

bool emu_post_idle(struct emu_vp *vp)
{
	return emu_post_done(vp, atomic_load(&vp->requests->posted));
}

static void handle_range(struct emu_vp *vp, uint64_t gpn, uint64_t count)
{
	emu_tlb_drop_gpns(vp, gpn, count);
	if (count > 256) {
		emu_cache_drop(vp->cache);
		return;
	}
	for (uint64_t n = 0; n < count; n++) {
		emu_cache_invalidate(vp->cache, gpn + n, ~UINT64_C(0));
	}
}

static void handle(struct emu_vp *vp, const struct request_set *set)
{
	if (set->flush_all || set->flush_non_global) {
		emu_tlb_flush(vp, !set->flush_all);
	}
	for (uint32_t n = 0; n < set->page_count; n++) {
		emu_tlb_flush_page(vp, set->pages[n]);
	}
	for (uint32_t n = 0; n < set->write_count; n++) {
		emu_tlb_drop_writes(vp, set->writes[n]);
	}
	for (uint32_t n = 0; n < set->range_count; n++) {
		handle_range(vp, set->ranges[n].gpn, set->ranges[n].value);
	}
	if (set->drop_blocks) {
		emu_cache_drop(vp->cache);
	}
	for (uint32_t n = 0; n < set->line_count; n++) {
		emu_cache_invalidate(vp->cache, set->lines[n].gpn, set->lines[n].value);
	}
}

void emu_requests_handle(struct emu_vp *vp)
{
	struct emu_requests *requests = vp->requests;
	struct request_set set;
	uint64_t number;

	atomic_fetch_and(&vp->attention, ~EMU_ATTENTION_REQUEST);
	emu_spin_lock(vp->vm, &requests->lock);
	set = requests->set;
	requests->set = (struct request_set){0};
	number = atomic_load(&requests->posted);
	emu_spin_unlock(&requests->lock);
	handle(vp, &set);
	atomic_store(&requests->done, number);
}
