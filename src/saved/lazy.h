/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is loaded as it is touched. One thread answers faults, others load the rest in order; whoever claims a chunk loads it. Only what holds data is
 * registered with userfaultfd: the rest is memory like any other, in large pages.
 */
#ifndef SAVED_LAZY_H
#define SAVED_LAZY_H

#include <pthread.h>
#include <stdatomic.h>

#include "file.h"
#include "saved/saved.h"

enum lazy_chunk {
	LAZY_MISSING,
	LAZY_CLAIMED,
	LAZY_AWAITED, /* claimed, and somebody may have missed that it came */
	LAZY_THERE,   /* or zeros: a page of it that is missing is zeros */
};

/* One thread. */
struct lazy_thread {
	struct saved_lazy *lazy;
	pthread_t thread;
	bool started;
	struct saved_reader reader;
	uint8_t *chunk; /* SAVED_CHUNK_BYTES, page-aligned */
};

struct saved_lazy {
	struct saved_file *file;
	uint8_t *ram;
	struct saved_lazy_events events;
	int uffd;
	int stop_fd; /* an eventfd: ends the thread that answers faults */
	_Atomic uint8_t *chunks;
	_Atomic uint64_t next_group;
	_Atomic uint64_t next_collapse; /* group */
	_Atomic uint64_t left;		/* chunks that are not there, and one until loading began */
	atomic_bool stopping;		/* loading is over */
	atomic_bool complete;		/* and all is there */
	atomic_bool leaving;
	unsigned thread_count;
	struct lazy_thread *threads; /* the first answers faults */
	pthread_mutex_t lock;	     /* the rest */
	pthread_cond_t changed;
	bool ended;
	int result;
	struct saved_error error;
};

/* lazy_load.c: the threads' lives. */
void *lazy_fault_main(void *thread);
void *lazy_load_main(void *thread);

/* Tells everybody that it is over, once: 0, or the error. */
void lazy_end(struct saved_lazy *l, int result, const struct saved_error *error);

#endif
