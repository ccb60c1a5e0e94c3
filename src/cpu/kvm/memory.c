// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory as KVM's slots. Slots are the runs of the GPA map in which guest page, host page and rights go on together; an overlay
 * page cuts a run in three, and they grow together again when it goes.
 *
 * KVM can change slots only by deleting and making them, and a VP that runs in between finds no memory where there is some: worse than
 * a spurious exit, a page walk through it becomes a page fault of the guest. So VPs stay out while slots are deleted.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vm.h"

#define NO_ID UINT32_MAX
#define SLOTS_MIN 32

/* A map under construction. */
struct list {
	struct kvm_piece *at;
	size_t count;
	size_t room;
	bool failed;
};

static bool joins(const struct kvm_piece *a, const struct kvm_piece *b)
{
	return a->gpn + a->count == b->gpn && a->host + a->count * GMEM_PAGE_BYTES == b->host &&
	       a->writable == b->writable;
}

static void append(struct list *l, const struct kvm_piece *p)
{
	if (p->count == 0 || l->failed) {
		return;
	}
	if (l->count > 0 && joins(&l->at[l->count - 1], p)) {
		l->at[l->count - 1].count += p->count;
		l->at[l->count - 1].id = NO_ID;
		return;
	}
	if (l->count == l->room) {
		size_t room = l->room == 0 ? 64 : 2 * l->room;
		struct kvm_piece *at = realloc(l->at, room * sizeof(*at));

		if (at == NULL) {
			l->failed = true;
			return;
		}
		l->at = at;
		l->room = room;
	}
	l->at[l->count++] = *p;
}

/* The part of @p within [@start, @end). */
static struct kvm_piece cut(const struct kvm_piece *p, uint64_t start, uint64_t end)
{
	uint64_t first = max_u64(p->gpn, start), last = min_u64(p->gpn + p->count, end);
	struct kvm_piece part = *p;

	part.count = first < last ? last - first : 0;
	if (part.count != p->count) {
		part.gpn = first;
		part.host = p->host + (first - p->gpn) * GMEM_PAGE_BYTES;
		part.id = NO_ID;
	}
	return part;
}

static void scan(const struct kvm_vm *vm, uint64_t start, uint64_t end, struct list *l)
{
	for (uint64_t gpn = start; gpn < end; gpn++) {
		uint64_t entry = gmem_entry(vm->gmem, gpn);
		const struct kvm_piece page = {.gpn = gpn,
					       .count = 1,
					       .host = (uintptr_t)gmem_entry_page(entry),
					       .writable = (entry & GMEM_W) != 0,
					       .id = NO_ID};

		/* KVM knows no memory that cannot be read: such pages exit. */
		if (page.host != 0 && (entry & GMEM_R)) {
			append(l, &page);
		}
	}
}

/* The map with [@start, @end) read anew. */
static struct list renew(const struct kvm_vm *vm, uint64_t start, uint64_t end)
{
	const struct kvm_memory *m = &vm->memory;
	struct list l = {0};
	size_t i = 0;

	for (; i < m->count && m->pieces[i].gpn < start; i++) {
		struct kvm_piece part = cut(&m->pieces[i], 0, start);

		append(&l, &part);
		if (m->pieces[i].gpn + m->pieces[i].count > end) {
			break; /* its other end comes below */
		}
	}
	scan(vm, start, end, &l);
	for (; i < m->count; i++) {
		struct kvm_piece part = cut(&m->pieces[i], end, UINT64_MAX);

		append(&l, &part);
	}
	return l;
}

int kvm_memory_set_region(struct kvm_vm *vm, const struct kvm_piece *p, bool remove)
{
	struct kvm_userspace_memory_region region = {
		.slot = p->id,
		.flags = !p->writable	       ? KVM_MEM_READONLY
			 : vm->memory.dirty.on ? KVM_MEM_LOG_DIRTY_PAGES
					       : 0,
		.guest_phys_addr = p->gpn << GMEM_PAGE_SHIFT,
		.memory_size = remove ? 0 : p->count << GMEM_PAGE_SHIFT,
		.userspace_addr = p->host,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

void kvm_memory_fail(struct kvm_vm *vm, const char *what)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&vm->failed, &none, what);
}

/* Pieces of the present map that are not in @l. @carry_out: they go, else they are only counted. */
static size_t remove_gone(struct kvm_vm *vm, const struct list *l, bool carry_out)
{
	struct kvm_memory *m = &vm->memory;
	size_t gone = 0, k = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct kvm_piece *old = &m->pieces[i];

		while (k < l->count && l->at[k].gpn < old->gpn) {
			k++;
		}
		if (old->id == NO_ID ||
		    (k < l->count && l->at[k].gpn == old->gpn && l->at[k].id == old->id)) {
			continue;
		}
		gone++;
		if (carry_out) {
			kvm_dirty_slot_gone(vm, old);
			if (kvm_memory_set_region(vm, old, true) != 0) {
				kvm_memory_fail(vm, "KVM does not give up a memory slot");
			}
			m->free_ids[m->free_count++] = old->id;
		}
	}
	return gone;
}

static void add_new(struct kvm_vm *vm, struct list *l)
{
	struct kvm_memory *m = &vm->memory;

	for (size_t i = 0; i < l->count; i++) {
		if (l->at[i].id != NO_ID) {
			continue;
		}
		if (m->free_count == 0) {
			kvm_memory_fail(vm,
					"the guest's memory is in more pieces than KVM has slots");
			return;
		}
		l->at[i].id = m->free_ids[--m->free_count];
		if (kvm_memory_set_region(vm, &l->at[i], false) != 0) {
			kvm_memory_fail(vm, "KVM refuses a memory slot");
			continue;
		}
		kvm_dirty_slot_made(vm, &l->at[i]);
	}
}

static void apply(struct kvm_vm *vm, struct list *l)
{
	bool close = remove_gone(vm, l, false) > 0;

	if (close) {
		kvm_vm_close(vm);
		kvm_dirty_rings_collect(vm);
		remove_gone(vm, l, true);
	}
	add_new(vm, l);
	if (close) {
		kvm_vm_open(vm);
	}
}

void kvm_memory_changed(struct kvm_vm *vm, uint64_t gpn, uint64_t count)
{
	struct kvm_memory *m = &vm->memory;

	pthread_mutex_lock(&m->lock);
	struct list l = renew(vm, gpn, gpn + count);

	if (l.failed) {
		free(l.at);
		kvm_memory_fail(vm, "no memory for the list of memory slots");
	} else {
		if (m->live) {
			apply(vm, &l);
		}
		free(m->pieces);
		m->pieces = l.at;
		m->count = l.count;
	}
	pthread_mutex_unlock(&m->lock);
}

void kvm_memory_hold(struct kvm_vm *vm, bool on)
{
	if (on) {
		pthread_mutex_lock(&vm->memory.lock);
		kvm_vm_close(vm);
	} else {
		kvm_vm_open(vm);
		pthread_mutex_unlock(&vm->memory.lock);
	}
}

void kvm_memory_go_live(struct kvm_vm *vm)
{
	struct kvm_memory *m = &vm->memory;

	pthread_mutex_lock(&m->lock);
	if (!m->live) {
		struct list l = {.at = m->pieces, .count = m->count};

		m->live = true;
		add_new(vm, &l);
	}
	pthread_mutex_unlock(&m->lock);
}

int kvm_memory_init(struct kvm_vm *vm)
{
	struct kvm_memory *m = &vm->memory;
	int slots = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	pthread_mutexattr_t attributes;

	slots = slots < SLOTS_MIN ? SLOTS_MIN : slots;
	m->free_ids = calloc((size_t)slots, sizeof(*m->free_ids));
	if (m->free_ids == NULL) {
		return -ENOMEM;
	}
	while (m->free_count < (size_t)slots) {
		m->free_ids[m->free_count] = (uint32_t)((size_t)slots - 1 - m->free_count);
		m->free_count++;
	}
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&m->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	kvm_dirty_init(vm);
	return 0;
}

void kvm_memory_fini(struct kvm_vm *vm)
{
	if (vm->memory.free_ids != NULL) {
		pthread_mutex_destroy(&vm->memory.lock);
	}
	free(vm->memory.pieces);
	free(vm->memory.free_ids);
}
