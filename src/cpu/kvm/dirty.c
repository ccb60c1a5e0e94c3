// SPDX-License-Identifier: Apache-2.0
/*
 * Which pages VPs wrote. KVM tells it in one of two ways: each VP has a ring of the pages that it wrote first (nothing to be gone through, but
 * the VP exits when the ring is full), or each slot has a bitmap. Either way what was found goes into gmem's log, where what devices wrote is
 * already, and one lock (of memory.c) makes "found, and watched again" one step: a page that leaves KVM's log and is not watched yet
 * must not leave gmem's.
 *
 * Bitmaps begin with all bits set where KVM offers that: pages are then made to report writes as they are taken for the first
 * time, in small portions, instead of all at once. Slots made later (the map changed) begin with none.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/bits.h"
#include "vm.h"

#define RING_ENTRIES 4096u
#define RING_BYTES (RING_ENTRIES * (uint32_t)sizeof(struct kvm_dirty_gfn))
#define RESETS_MAX 1000u
#define WORD_BITS 64u
#define SLOT_ID_MASK 0xFFFFu /* above: the address space, 0 */

/* ---- What KVM offers ---- */

static int enable(const struct kvm_vm *vm, uint32_t cap, uint64_t argument)
{
	struct kvm_enable_cap enable = {.cap = cap, .args = {argument}};

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable) < 0 ? -errno : 0;
}

static bool enable_ring(struct kvm_vm *vm)
{
	static const uint32_t caps[] = {KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING};

	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		if (ioctl(vm->fd, KVM_CHECK_EXTENSION, caps[i]) >= (int)RING_BYTES &&
		    enable(vm, caps[i], RING_BYTES) == 0) {
			return true;
		}
	}
	return false;
}

void kvm_dirty_init(struct kvm_vm *vm)
{
	const int wanted = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	struct kvm_dirty *d = &vm->memory.dirty;
	int offered;

	if (!vm->config.without_dirty_ring && enable_ring(vm)) {
		d->ring = true;
		return;
	}
	offered = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	offered = offered > 0 ? offered & wanted : 0;
	if (offered != 0 && enable(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, (uint64_t)offered) == 0) {
		d->manual = true;
		d->initially_set = (offered & KVM_DIRTY_LOG_INITIALLY_SET) != 0;
	}
}

/* ---- Rings ---- */

int kvm_dirty_vp_open(struct kvm_vp *vp)
{
	if (!vp->vm->memory.dirty.ring) {
		return 0;
	}
	void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vp->fd,
			  (off_t)KVM_DIRTY_LOG_PAGE_OFFSET * GMEM_PAGE_BYTES);

	if (ring == MAP_FAILED) {
		return -errno;
	}
	vp->ring = ring;
	return 0;
}

static const struct kvm_piece *piece_of_slot(const struct kvm_memory *m, uint32_t id,
					     const struct kvm_piece *last)
{
	if (last != NULL && last->id == id) {
		return last;
	}
	for (size_t i = 0; i < m->count; i++) {
		if (m->pieces[i].id == id) {
			return &m->pieces[i];
		}
	}
	return NULL;
}

/*
 * Takes over what the VP's ring holds; the entries are KVM's again after rings_reset. KVM keeps some entries in
 * reserve: one that fills all of them has gone on beyond the end, over entries that nobody read.
 */
static void ring_drain(struct kvm_vm *vm, struct kvm_vp *vp)
{
	const struct kvm_piece *piece = NULL;
	unsigned taken = 0;

	for (;;) {
		struct kvm_dirty_gfn *e = &vp->ring[vp->ring_next % RING_ENTRIES];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY) {
			break;
		}
		piece = piece_of_slot(&vm->memory, e->slot & SLOT_ID_MASK, piece);
		if (piece != NULL && e->offset < piece->count) {
			gmem_entry_set(vm->gmem, piece->gpn + e->offset, GMEM_DIRTY);
		}
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		vp->ring_next++;
		taken++;
	}
	vm->memory.dirty.drained += taken;
	if (taken >= RING_ENTRIES) {
		kvm_memory_fail(vm, "KVM's ring of written pages ran over");
	}
}

/* KVM stops half-way when a signal waits for this thread (Linux 6.16), and says how far it came. */
static void rings_reset(struct kvm_vm *vm)
{
	struct kvm_dirty *d = &vm->memory.dirty;

	for (unsigned fruitless = 0; d->drained > 0 && fruitless < RESETS_MAX; fruitless++) {
		int n = ioctl(vm->fd, KVM_RESET_DIRTY_RINGS);

		if (n < 0 && errno != EINTR) {
			break;
		}
		if (n > 0) {
			d->drained -= min_u64(d->drained, (uint64_t)n);
			fruitless = 0;
		}
	}
	if (d->drained > 0) {
		kvm_memory_fail(vm, "KVM does not take its dirty rings back");
		d->drained = 0;
	}
}

void kvm_dirty_rings_collect(struct kvm_vm *vm)
{
	struct kvm_vp *vp;

	if (!vm->memory.dirty.ring) {
		return;
	}
	pthread_mutex_lock(&vm->vps_lock);
	for (uint32_t i = 0; (vp = kvm_vm_next_vp(vm, &i)) != NULL;) {
		ring_drain(vm, vp);
	}
	pthread_mutex_unlock(&vm->vps_lock);
	rings_reset(vm);
}

void kvm_dirty_ring_full(struct kvm_vp *vp)
{
	pthread_mutex_lock(&vp->vm->memory.lock);
	ring_drain(vp->vm, vp);
	rings_reset(vp->vm);
	pthread_mutex_unlock(&vp->vm->memory.lock);
}

void kvm_dirty_vp_close(struct kvm_vp *vp)
{
	if (vp->ring != NULL) {
		kvm_dirty_ring_full(vp);
		munmap(vp->ring, RING_BYTES);
		vp->ring = NULL;
	}
}

/* ---- Bitmaps ---- */

/* The log of @p, one bit for each page, in memory that is the caller's; NULL: not to be had. */
static uint64_t *bitmap_get(struct kvm_vm *vm, const struct kvm_piece *p)
{
	struct kvm_dirty_log log = {.slot = p->id};

	log.dirty_bitmap = calloc((p->count + WORD_BITS - 1) / WORD_BITS, sizeof(uint64_t));
	if (log.dirty_bitmap == NULL) {
		return NULL;
	}
	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0) {
		kvm_memory_fail(vm, "KVM does not tell which pages were written");
		free(log.dirty_bitmap);
		return NULL;
	}
	return log.dirty_bitmap;
}

static void bitmap_clear(struct kvm_vm *vm, const struct kvm_piece *p, uint64_t *bitmap,
			 uint64_t first, uint64_t count)
{
	struct kvm_clear_dirty_log clear = {
		.slot = p->id, .num_pages = (uint32_t)count, .first_page = first};

	clear.dirty_bitmap = bitmap;
	if (ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &clear) < 0) {
		kvm_memory_fail(vm, "KVM does not take a record of written pages back");
	}
}

static void mark_all(struct kvm_vm *vm, const struct kvm_piece *p)
{
	for (uint64_t n = 0; n < p->count; n++) {
		gmem_entry_set(vm->gmem, p->gpn + n, GMEM_DIRTY);
	}
}

static void mark_bits(struct kvm_vm *vm, const struct kvm_piece *p, const uint64_t *bitmap,
		      uint64_t first, uint64_t end)
{
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < end; word++) {
		for (uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1) {
			uint64_t n = word * WORD_BITS + (uint64_t)__builtin_ctzll(bits);

			gmem_entry_set(vm->gmem, p->gpn + n, GMEM_DIRTY);
		}
	}
}

/* Pages [@first, @end) of the piece, or some more: KVM wants whole words, and without manual protection gives all that there is. */
static void piece_collect(struct kvm_vm *vm, const struct kvm_piece *p, uint64_t first,
			  uint64_t end)
{
	bool manual = vm->memory.dirty.manual;
	uint64_t *bitmap = bitmap_get(vm, p);

	if (bitmap == NULL) {
		mark_all(vm, p);
		return;
	}
	first = manual ? align_down(first, WORD_BITS) : 0;
	end = manual ? min_u64(align_up(end, WORD_BITS), p->count) : p->count;
	mark_bits(vm, p, bitmap, first, end);
	if (manual) {
		bitmap_clear(vm, p, bitmap + first / WORD_BITS, first, end - first);
	}
	free(bitmap);
}

/* KVM keeps no log of what cannot be written, nor of what it does not know yet. */
static bool logged(const struct kvm_memory *m, const struct kvm_piece *p)
{
	return m->dirty.on && m->live && p->writable;
}

void kvm_dirty_slot_gone(struct kvm_vm *vm, const struct kvm_piece *p)
{
	if (logged(&vm->memory, p) && !vm->memory.dirty.ring) {
		piece_collect(vm, p, 0, p->count);
	}
}

void kvm_dirty_slot_made(struct kvm_vm *vm, const struct kvm_piece *p)
{
	enum { AT_ONCE = 32768 };
	uint64_t bitmap[AT_ONCE / WORD_BITS];

	if (!logged(&vm->memory, p) || !vm->memory.dirty.initially_set) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(bitmap); i++) {
		bitmap[i] = UINT64_MAX;
	}
	for (uint64_t first = 0; first < p->count; first += AT_ONCE) {
		bitmap_clear(vm, p, bitmap, first, min_u64(AT_ONCE, p->count - first));
	}
}

/* ---- The operations ---- */

static int set_logging(struct kvm_vm *vm, bool on)
{
	struct kvm_memory *m = &vm->memory;
	int r = 0;

	m->dirty.on = on;
	for (size_t i = 0; i < m->count && m->live; i++) {
		if (m->pieces[i].writable) {
			int err = kvm_memory_set_region(vm, &m->pieces[i], false);

			r = r == 0 ? err : r;
		}
	}
	return r;
}

int kvm_dirty_start(struct kvm_vm *vm)
{
	int r;

	pthread_mutex_lock(&vm->memory.lock);
	r = vm->memory.dirty.on ? 0 : set_logging(vm, true);
	if (r != 0) {
		(void)set_logging(vm, false);
	}
	pthread_mutex_unlock(&vm->memory.lock);
	return r;
}

void kvm_dirty_stop(struct kvm_vm *vm)
{
	pthread_mutex_lock(&vm->memory.lock);
	if (vm->memory.dirty.on && set_logging(vm, false) != 0) {
		kvm_memory_fail(vm, "KVM does not stop recording which pages are written");
	}
	pthread_mutex_unlock(&vm->memory.lock);
}

static void bitmaps_collect(struct kvm_vm *vm, uint64_t gpn, uint64_t count)
{
	const struct kvm_memory *m = &vm->memory;

	for (size_t i = 0; i < m->count; i++) {
		const struct kvm_piece *p = &m->pieces[i];
		uint64_t first = max_u64(p->gpn, gpn);
		uint64_t end = min_u64(p->gpn + p->count, gpn + count);

		if (first < end && logged(m, p)) {
			piece_collect(vm, p, first - p->gpn, end - p->gpn);
		}
	}
}

/* A processor may hold back the last pages that a VP wrote until the VP leaves the guest (Intel's page-modification log). */
static void rings_collect_all(struct kvm_vm *vm)
{
	kvm_vm_close(vm);
	kvm_dirty_rings_collect(vm);
	kvm_vm_open(vm);
}

void kvm_dirty_take(struct kvm_vm *vm, uint64_t gpn, uint64_t count, uint64_t *bitmap)
{
	pthread_mutex_lock(&vm->memory.lock);
	if (vm->memory.dirty.ring) {
		rings_collect_all(vm);
	} else {
		bitmaps_collect(vm, gpn, count);
	}
	gmem_dirty_take(vm->gmem, gpn, count, bitmap);
	pthread_mutex_unlock(&vm->memory.lock);
}
