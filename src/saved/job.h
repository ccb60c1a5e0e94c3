/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that writes a saved state: what the one who started it and the writing processes share.
 *
 * The starter clones one process, which has memory as it is at that moment; that one clones the others from itself, as children of the starter (CLONE_PARENT), so that the
 * pause has one clone in it and the starter can wait for each. All of them share the table of descriptors: no file of the starter stays open because of
 * a job. No process allocates memory or takes a lock: other threads of the starter may have held any lock when it was cloned.
 */
#ifndef SAVED_JOB_H
#define SAVED_JOB_H

#include <stdatomic.h>
#include <sys/types.h>

#include "chunk.h"
#include "saved/saved.h"

#define JOB_PROCESSES_MAX 16u

enum job_step {
	JOB_STEP_MEMORY,
	JOB_STEP_DEVICES,
	JOB_STEP_INDEX,
	JOB_STEP_HEADER,
	JOB_STEP_FLUSH,
	JOB_STEP_PROCESS,
};

/* In shared memory, with the index behind it on a page of its own. */
struct job_shared {
	_Atomic uint64_t next_group;
	_Atomic uint64_t next_offset;
	_Atomic uint64_t done_bytes;   /* of memory */
	_Atomic int error;	       /* the first, negative errno; stops everybody */
	_Atomic int step;	       /* where it was */
	_Atomic unsigned finished;     /* other processes that came to their end */
	int pidfds[JOB_PROCESSES_MAX]; /* of all; the first process is the first; -1: none */
};

struct saved_job {
	int fd;
	struct saved_image image;
	unsigned processes;
	pid_t starter;
	struct chunk_packer packer;
	uint8_t *buffer; /* SAVED_GROUP_BYTES, each process has its own copy */
	struct job_shared *shared;
	size_t shared_bytes;
	uint8_t *index;
	size_t index_bytes;
	int result; /* once it ended */
	bool ended;
};

/* Remembers the first failure; everybody stops soon. */
void job_fail(struct saved_job *j, enum job_step step, int error);
static inline bool job_failed(const struct saved_job *j)
{
	return atomic_load_explicit(&j->shared->error, memory_order_relaxed) != 0;
}

/* Clones this process with memory copied on write, its descriptors shared; @parent: as a child of the caller's parent. 0 in the child. -errno. */
pid_t process_clone(int *ret_pidfd, bool parent);
/* In a child: dies with the thread @starter's that is its parent. False: that is dead already. */
bool process_follow(pid_t starter);
/* Waits for the child's end. 0: it left by itself with status 0; -EBADF: @pidfd is no process's; -ECHILD: it ended otherwise. */
int process_reap(int pidfd);
/* Whether it has ended; does not wait. */
bool process_ended(int pidfd);

/* The first process's life. */
_Noreturn void writer_main(struct saved_job *j);
/* Packs and writes groups of chunks until there are none. All processes at once. */
void stripe_write(struct saved_job *j);
/* All of it at @offset. 0 or -errno. */
int write_all(int fd, const void *data, size_t bytes, uint64_t offset);

#endif
