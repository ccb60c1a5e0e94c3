// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>

#include "background.h"
#include "lazy.h"
#include "lib/bits.h"
#include "uffd.h"

#define FAULTS_AT_ONCE 16u

#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

static void chunk_done(struct saved_lazy *l)
{
	if (atomic_fetch_sub(&l->left, 1) == 1) {
		lazy_end(l, 0, NULL);
	}
}

static bool claim(struct saved_lazy *l, uint64_t chunk)
{
	uint8_t missing = LAZY_MISSING;

	return atomic_compare_exchange_strong(&l->chunks[chunk], &missing, LAZY_CLAIMED);
}

/*
 * Somebody is putting the chunk there, which wakes whoever waits; but who touches a page that came and was given back again at once, before the chunk
 * counts as there, is woken once more. False: it is there.
 */
static bool await(struct saved_lazy *l, uint64_t chunk)
{
	uint8_t claimed = LAZY_CLAIMED;

	return atomic_compare_exchange_strong(&l->chunks[chunk], &claimed, LAZY_AWAITED) ||
	       claimed == LAZY_AWAITED;
}

static bool over(struct saved_lazy *l)
{
	return atomic_load_explicit(&l->stopping, memory_order_relaxed);
}

/* Loads a chunk that was claimed. */
static void load_chunk(struct lazy_thread *t, uint64_t chunk)
{
	struct saved_lazy *l = t->lazy;
	size_t length = saved_chunk_length(l->file->memory_bytes, chunk);
	unsigned long long address = chunk * SAVED_CHUNK_BYTES;
	struct saved_error error = {""};
	int r = reader_chunk(&t->reader, chunk, t->chunk, &error);

	if (r == 0) {
		r = uffd_copy(l->uffd, l->ram + address, t->chunk, length);
		if (r < 0) {
			saved_fail(&error, r, "memory at 0x%llx cannot be put in place (error %d)",
				   address, -r);
		}
	}
	if (r != 0) {
		lazy_end(l, r, &error);
		return;
	}
	if (atomic_exchange(&l->chunks[chunk], LAZY_THERE) == LAZY_AWAITED) {
		uffd_wake(l->uffd, l->ram + address, length);
	}
	chunk_done(l);
}

static void answer_fault(struct lazy_thread *t, uint64_t address)
{
	struct saved_lazy *l = t->lazy;
	uint64_t chunk = (address - (uintptr_t)l->ram) / SAVED_CHUNK_BYTES;

	if (claim(l, chunk)) {
		load_chunk(t, chunk);
	} else if (!await(l, chunk)) {
		/* Zeros, or pages given back since; who fails because it is all over needs nothing. */
		uffd_zero(l->uffd, l->ram + chunk * SAVED_CHUNK_BYTES,
			  saved_chunk_length(l->file->memory_bytes, chunk));
	}
}

void *lazy_fault_main(void *thread)
{
	struct lazy_thread *t = thread;
	struct saved_lazy *l = t->lazy;
	struct pollfd fds[] = {{.fd = l->uffd, .events = POLLIN},
			       {.fd = l->stop_fd, .events = POLLIN}};
	uint64_t addresses[FAULTS_AT_ONCE];

	while (!over(l)) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
			continue;
		}
		size_t count = uffd_read(l->uffd, addresses, FAULTS_AT_ONCE);

		for (size_t i = 0; i < count && !over(l); i++) {
			answer_fault(t, addresses[i]);
		}
	}
	return NULL;
}

static bool anything_missing(struct saved_lazy *l, uint64_t first, uint64_t last)
{
	for (uint64_t chunk = first; chunk < last; chunk++) {
		if (atomic_load_explicit(&l->chunks[chunk], memory_order_relaxed) == LAZY_MISSING) {
			return true;
		}
	}
	return false;
}

/* The group's data is read at once, but chunks are claimed one after the other: nobody waits for more than one of them to be unpacked. */
static void load_group(struct lazy_thread *t, uint64_t group)
{
	struct saved_lazy *l = t->lazy;
	uint64_t first = group * SAVED_GROUP_CHUNKS;
	uint64_t last = min_u64(l->file->chunks, first + SAVED_GROUP_CHUNKS);
	struct saved_error error = {""};

	if (!anything_missing(l, first, last)) {
		return;
	}
	int r = reader_fetch(&t->reader, group, &error);

	if (r != 0) {
		lazy_end(l, r, &error);
		return;
	}
	for (uint64_t chunk = first; chunk < last && !over(l); chunk++) {
		if (claim(l, chunk)) {
			load_chunk(t, chunk);
		}
	}
}

static bool mostly_data(const struct saved_file *f, uint64_t group)
{
	uint64_t first = group * SAVED_GROUP_CHUNKS;
	uint64_t last = min_u64(f->chunks, first + SAVED_GROUP_CHUNKS);
	unsigned data = 0;

	for (uint64_t chunk = first; chunk < last; chunk++) {
		data += file_entry(f, chunk).kind != SAVED_KIND_ZERO;
	}
	return data >= SAVED_GROUP_CHUNKS / 2;
}

/*
 * Memory came in small pages. In large ones the machine runs faster, and stands still shorter when it is caught the next time: a copy of the process
 * needs its page tables. The kernel does the same by itself, in hours. Whatever it refuses stays as it is.
 */
static void collapse(struct saved_lazy *l)
{
	uint64_t groups = l->file->memory_bytes / SAVED_GROUP_BYTES, group;

	while (!atomic_load_explicit(&l->leaving, memory_order_relaxed) &&
	       (group = atomic_fetch_add(&l->next_collapse, 1)) < groups) {
		if (mostly_data(l->file, group)) {
			madvise(l->ram + group * SAVED_GROUP_BYTES, SAVED_GROUP_BYTES,
				MADV_COLLAPSE);
		}
	}
}

void *lazy_load_main(void *thread)
{
	struct lazy_thread *t = thread;
	struct saved_lazy *l = t->lazy;
	uint64_t groups = saved_groups(l->file->memory_bytes), group;

	background_enter(BACKGROUND_LOADER);
	if (t == &l->threads[1]) {
		chunk_done(l); /* the one for having begun */
	}
	while (!over(l) && (group = atomic_fetch_add(&l->next_group, 1)) < groups) {
		load_group(t, group);
	}
	if (atomic_load(&l->complete)) {
		collapse(l);
	}
	return NULL;
}
