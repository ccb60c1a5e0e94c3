// SPDX-License-Identifier: Apache-2.0
/* Loading all of memory before anything runs. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "file.h"
#include "lib/bits.h"

#define THREADS_MAX 64u

struct load {
	struct saved_file *file;
	uint8_t *ram;
	_Atomic uint64_t next_group;
	_Atomic int result;
	pthread_mutex_t lock; /* of error */
	struct saved_error *error;
};

static void fail(struct load *l, int result, const struct saved_error *error)
{
	pthread_mutex_lock(&l->lock);
	if (atomic_load(&l->result) == 0) {
		*l->error = *error;
		atomic_store(&l->result, result);
	}
	pthread_mutex_unlock(&l->lock);
}

static int load_group(struct load *l, struct saved_reader *reader, uint64_t group,
		      struct saved_error *error)
{
	uint64_t first = group * SAVED_GROUP_CHUNKS;
	uint64_t last = min_u64(l->file->chunks, first + SAVED_GROUP_CHUNKS);
	int r = reader_fetch(reader, group, error);

	for (uint64_t chunk = first; chunk < last && r == 0; chunk++) {
		r = reader_chunk(reader, chunk, l->ram + chunk * SAVED_CHUNK_BYTES, error);
	}
	return r;
}

static void load_groups(struct load *l)
{
	uint64_t groups = saved_groups(l->file->memory_bytes);
	struct saved_error error = {"no memory"};
	struct saved_reader reader;
	int r = reader_init(&reader, l->file);

	while (r == 0 && atomic_load_explicit(&l->result, memory_order_relaxed) == 0) {
		uint64_t group = atomic_fetch_add(&l->next_group, 1);

		if (group >= groups) {
			break;
		}
		r = load_group(l, &reader, group, &error);
	}
	if (r != 0) {
		fail(l, r, &error);
	}
	reader_fini(&reader);
}

static void *load_main(void *arg)
{
	load_groups(arg);
	return NULL;
}

int saved_load(struct saved_file *f, void *ram, unsigned threads, struct saved_error *error)
{
	struct load l = {.file = f, .ram = ram, .error = error};
	pthread_t others[THREADS_MAX - 1];
	unsigned started = 0;

	pthread_mutex_init(&l.lock, NULL);
	/* The caller is one of them, and enough when there are no more to be had. */
	while (started + 1 < min_u64(threads, THREADS_MAX) &&
	       pthread_create(&others[started], NULL, load_main, &l) == 0) {
		started++;
	}
	load_groups(&l);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(others[i], NULL);
	}
	pthread_mutex_destroy(&l.lock);
	return atomic_load(&l.result);
}
