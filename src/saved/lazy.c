// SPDX-License-Identifier: Apache-2.0
#include "lazy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "uffd.h"

#define THREADS_MAX 64u
/* Each makes the kernel keep track of memory apart; a process may have some ten thousand. */
#define RANGES_MAX 1024u

/* ---- What is registered ---- */

static bool group_has_data(const struct saved_file *f, uint64_t group)
{
	uint64_t first = group * SAVED_GROUP_CHUNKS;
	uint64_t last = min_u64(f->chunks, first + SAVED_GROUP_CHUNKS);

	for (uint64_t chunk = first; chunk < last; chunk++) {
		if (file_entry(f, chunk).kind != SAVED_KIND_ZERO) {
			return true;
		}
	}
	return false;
}

/* The next range of data at or after group @from; gaps of less than @gap groups do not end it. False: none. */
static bool next_range(const struct saved_file *f, uint64_t from, uint64_t gap, uint64_t *ret_first,
		       uint64_t *ret_end)
{
	uint64_t groups = saved_groups(f->memory_bytes), end = 0;

	while (from < groups && !group_has_data(f, from)) {
		from++;
	}
	if (from == groups) {
		return false;
	}
	for (uint64_t group = from; group < groups && (end == 0 || group < end + gap); group++) {
		if (group_has_data(f, group)) {
			end = group + 1;
		}
	}
	*ret_first = from;
	*ret_end = end;
	return true;
}

static uint64_t count_ranges(const struct saved_file *f, uint64_t gap)
{
	uint64_t first, end = 0, count = 0;

	while (next_range(f, end, gap, &first, &end)) {
		count++;
	}
	return count;
}

static int register_ranges(struct saved_lazy *l)
{
	uint64_t first, end = 0, gap = 1;

	while (count_ranges(l->file, gap) > RANGES_MAX) {
		gap *= 2;
	}
	while (next_range(l->file, end, gap, &first, &end)) {
		uint64_t start = first * SAVED_GROUP_BYTES;
		uint64_t stop = min_u64(end * SAVED_GROUP_BYTES, l->file->memory_bytes);
		int r = uffd_register(l->uffd, l->ram + start, (size_t)(stop - start));

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* ---- Life ---- */

static int init_chunks(struct saved_lazy *l)
{
	l->chunks = calloc((size_t)l->file->chunks, sizeof(*l->chunks));
	if (l->chunks == NULL) {
		return -ENOMEM;
	}
	atomic_init(&l->left, 1);
	for (uint64_t i = 0; i < l->file->chunks; i++) {
		if (file_entry(l->file, i).kind == SAVED_KIND_ZERO) {
			atomic_init(&l->chunks[i], LAZY_THERE);
		} else {
			l->left++;
		}
	}
	return 0;
}

static int init_thread(struct saved_lazy *l, struct lazy_thread *t)
{
	t->lazy = l;
	t->chunk = aligned_alloc(SAVED_PAGE_BYTES, SAVED_CHUNK_BYTES);
	return t->chunk == NULL ? -ENOMEM : reader_init(&t->reader, l->file);
}

static int start_threads(struct saved_lazy *l)
{
	int r = 0;

	for (unsigned i = 0; i < l->thread_count && r == 0; i++) {
		struct lazy_thread *t = &l->threads[i];

		r = -pthread_create(&t->thread, NULL, i == 0 ? lazy_fault_main : lazy_load_main, t);
		t->started = r == 0;
	}
	return r;
}

static int prepare(struct saved_lazy *l)
{
	int r = init_chunks(l);

	l->threads = calloc(l->thread_count, sizeof(*l->threads));
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0 && l->threads == NULL) {
		r = -ENOMEM;
	}
	if (r == 0 && l->stop_fd < 0) {
		r = -errno;
	}
	for (unsigned i = 0; i < l->thread_count && r == 0; i++) {
		r = init_thread(l, &l->threads[i]);
	}
	return r;
}

int saved_lazy_start(struct saved_file *f, void *ram, unsigned threads,
		     const struct saved_lazy_events *events, struct saved_lazy **ret)
{
	struct saved_lazy *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		return -ENOMEM;
	}
	*l = (struct saved_lazy){.file = f, .ram = ram, .events = *events, .stop_fd = -1};
	l->thread_count = (unsigned)min_u64(max_u64(threads, 1), THREADS_MAX) + 1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	int r = uffd_open(&l->uffd);

	if (r < 0) {
		l->uffd = -1;
	}
	if (r == 0) {
		r = prepare(l);
	}
	if (r == 0) {
		r = register_ranges(l);
	}
	if (r == 0) {
		r = start_threads(l);
	}
	if (r < 0) {
		saved_lazy_destroy(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Ends all threads but the calling one. */
static void stop(struct saved_lazy *l)
{
	uint64_t one = 1;

	atomic_store(&l->stopping, true);
	CHECK(write(l->stop_fd, &one, sizeof(one)) == sizeof(one));
}

void lazy_end(struct saved_lazy *l, int result, const struct saved_error *error)
{
	pthread_mutex_lock(&l->lock);
	bool first = !l->ended && !atomic_load(&l->stopping);

	if (first) {
		l->result = result;
		if (result != 0) {
			l->error = *error;
		} else {
			uffd_unregister(l->uffd, l->ram, (size_t)l->file->memory_bytes);
			atomic_store(&l->complete, true);
		}
		stop(l);
	}
	pthread_mutex_unlock(&l->lock);
	if (!first) {
		return;
	}
	l->events.ended(l->events.ctx, result, &l->error);
	pthread_mutex_lock(&l->lock);
	l->ended = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

void saved_lazy_touch(struct saved_lazy *l, const void *start, size_t bytes)
{
	if (l == NULL || bytes == 0 || atomic_load_explicit(&l->complete, memory_order_acquire)) {
		return;
	}
	uintptr_t page = (uintptr_t)start & ~(uintptr_t)(SAVED_PAGE_BYTES - 1);
	uintptr_t end = (uintptr_t)start + bytes;

	/* Whoever hangs here goes on in saved_lazy_destroy: no look at @l any more. */
	for (; page < end; page += SAVED_PAGE_BYTES) {
		__atomic_load_n((const uint8_t *)page, __ATOMIC_RELAXED);
	}
}

int saved_lazy_finish(struct saved_lazy *l, struct saved_error *error)
{
	pthread_mutex_lock(&l->lock);
	while (!l->ended) {
		pthread_cond_wait(&l->changed, &l->lock);
	}
	int result = l->result;

	if (result != 0) {
		*error = l->error;
	}
	pthread_mutex_unlock(&l->lock);
	return result;
}

static void fini_thread(struct lazy_thread *t)
{
	if (t->started) {
		pthread_join(t->thread, NULL);
	}
	reader_fini(&t->reader);
	free(t->chunk);
}

void saved_lazy_destroy(struct saved_lazy *l)
{
	if (l == NULL) {
		return;
	}
	atomic_store(&l->leaving, true);
	if (l->stop_fd >= 0) {
		stop(l);
	}
	if (l->uffd >= 0) {
		uffd_unregister(l->uffd, l->ram, (size_t)l->file->memory_bytes);
	}
	for (unsigned i = 0; l->threads != NULL && i < l->thread_count; i++) {
		fini_thread(&l->threads[i]);
	}
	if (l->stop_fd >= 0) {
		close(l->stop_fd);
	}
	if (l->uffd >= 0) {
		close(l->uffd);
	}
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	free(l->threads);
	free(l->chunks);
	free(l);
}
