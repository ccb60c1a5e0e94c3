// SPDX-License-Identifier: Apache-2.0
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"

void job_fail(struct saved_job *j, enum job_step step, int error)
{
	int none = 0;

	/* Two at once: the step may be the other's, which is as true. */
	if (atomic_load(&j->shared->error) == 0) {
		atomic_store(&j->shared->step, (int)step);
		atomic_compare_exchange_strong(&j->shared->error, &none, error);
	}
}

/* NULL with errno. */
static void *map(size_t bytes, int sharing)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int allocate(struct saved_job *j)
{
	size_t head = (size_t)align_up(sizeof(struct job_shared), SAVED_PAGE_BYTES);

	j->index_bytes = (size_t)saved_chunks(j->image.memory_bytes) * SAVED_ENTRY_BYTES;
	j->shared_bytes = head + j->index_bytes;
	j->shared = map(j->shared_bytes, MAP_SHARED);
	j->buffer = j->shared != NULL ? map(SAVED_GROUP_BYTES, MAP_PRIVATE) : NULL;
	if (j->buffer == NULL) {
		return -errno;
	}
	j->index = (uint8_t *)j->shared + head;
	for (unsigned i = 0; i < JOB_PROCESSES_MAX; i++) {
		j->shared->pidfds[i] = -1;
	}
	j->shared->next_offset = SAVED_HEADER_BYTES + j->image.device_bytes;
	return chunk_packer_init(&j->packer);
}

static void release(struct saved_job *j)
{
	if (j->shared != NULL) {
		munmap(j->shared, j->shared_bytes);
	}
	if (j->buffer != NULL) {
		munmap(j->buffer, SAVED_GROUP_BYTES);
	}
	chunk_packer_fini(&j->packer);
	free(j);
}

int saved_start(int fd, const struct saved_image *image, unsigned processes, struct saved_job **ret)
{
	struct saved_job *j = calloc(1, sizeof(*j));
	int r = -ENOMEM;

	CHECK(image->memory_bytes != 0 && image->memory_bytes % SAVED_PAGE_BYTES == 0);
	if (j == NULL) {
		return r;
	}
	j->fd = fd;
	j->image = *image;
	j->processes = (unsigned)min_u64(max_u64(processes, 1), JOB_PROCESSES_MAX);
	j->starter = getpid();
	r = allocate(j);
	if (r == 0) {
		r = process_clone(&j->shared->pidfds[0], false);
	}
	if (r == 0) {
		writer_main(j);
	}
	if (r < 0) {
		release(j);
		return r;
	}
	*ret = j;
	return 0;
}

int saved_job_fd(const struct saved_job *j)
{
	return j->shared->pidfds[0];
}

/*
 * Waits for all processes. A descriptor that turns out to be none of a process may have been written down by a clone that then failed: it is somebody
 * else's by now.
 */
static void end(struct saved_job *j)
{
	struct job_shared *s = j->shared;

	if (process_reap(s->pidfds[0]) < 0) {
		job_fail(j, JOB_STEP_PROCESS, -ECHILD);
	}
	/* Where the first was killed, some of the others may still be at work. */
	for (unsigned i = 1; i < JOB_PROCESSES_MAX; i++) {
		if (s->pidfds[i] >= 0 && process_reap(s->pidfds[i]) != -EBADF) {
			close(s->pidfds[i]);
		}
	}
	j->result = atomic_load(&s->error);
	j->ended = true;
}

static void describe(const struct saved_job *j, struct saved_error *error)
{
	static const char *const steps[] = {
		[JOB_STEP_MEMORY] = "writing memory",
		[JOB_STEP_DEVICES] = "writing the state of devices",
		[JOB_STEP_INDEX] = "writing the index",
		[JOB_STEP_HEADER] = "writing the header",
		[JOB_STEP_FLUSH] = "flushing",
	};
	int step = atomic_load(&j->shared->step);

	if (step == JOB_STEP_PROCESS) {
		saved_fail(error, 0,
			   "a process that wrote the saved state was killed: was the host out of "
			   "memory?");
	} else {
		saved_fail(error, 0, "%s: %s", steps[step], strerror(-j->result));
	}
}

int saved_job_poll(struct saved_job *j, uint64_t *ret_done, uint64_t *ret_total,
		   struct saved_error *error)
{
	if (!j->ended && process_ended(j->shared->pidfds[0])) {
		end(j);
	}
	*ret_done = atomic_load(&j->shared->done_bytes);
	*ret_total = j->image.memory_bytes;
	if (!j->ended) {
		return 1;
	}
	if (j->result < 0) {
		describe(j, error);
	}
	return j->result;
}

void saved_job_destroy(struct saved_job *j)
{
	if (j == NULL) {
		return;
	}
	if (!j->ended) {
		job_fail(j, JOB_STEP_PROCESS, -ECANCELED);
		end(j);
	}
	close(j->shared->pidfds[0]); /* not before: somebody may be polling it */
	release(j);
}
