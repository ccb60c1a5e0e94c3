// SPDX-License-Identifier: Apache-2.0
/* The first of the writing processes: it starts the others, and alone writes what is not memory. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "background.h"
#include "job.h"
#include "lib/bits.h"
#include "lib/crc32c.h"

/* False: there is nobody to write for. */
static bool begin(const struct saved_job *j)
{
	if (!j->image.awaited) {
		background_enter(BACKGROUND_WRITER);
	}
	return process_follow(j->starter);
}

static _Noreturn void stripe_main(struct saved_job *j)
{
	if (begin(j)) {
		stripe_write(j);
		atomic_fetch_add(&j->shared->finished, 1);
	}
	_exit(0);
}

/* As many as the host gives: one is enough. */
static unsigned start_stripes(struct saved_job *j)
{
	unsigned started = 0;

	for (unsigned i = 1; i < j->processes; i++) {
		pid_t pid = process_clone(&j->shared->pidfds[i], true);

		if (pid == 0) {
			stripe_main(j);
		}
		if (pid < 0) {
			j->shared->pidfds[i] = -1;
			break;
		}
		started++;
	}
	return started;
}

static void wait_for_stripes(struct saved_job *j, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		struct pollfd p = {.fd = j->shared->pidfds[i], .events = POLLIN};

		while (poll(&p, 1, -1) < 0 && errno == EINTR) {
		}
	}
	if (atomic_load(&j->shared->finished) != count) {
		job_fail(j, JOB_STEP_PROCESS, -ECHILD);
	}
}

static void step(struct saved_job *j, enum job_step what, int r)
{
	if (r < 0) {
		job_fail(j, what, r);
	}
}

static void write_part(struct saved_job *j, enum job_step what, const void *data, size_t bytes,
		       uint64_t offset)
{
	if (!job_failed(j)) {
		step(j, what, write_all(j->fd, data, bytes, offset));
	}
}

static void flush(struct saved_job *j)
{
	if (!job_failed(j)) {
		step(j, JOB_STEP_FLUSH, fsync(j->fd) < 0 ? -errno : 0);
	}
}

/* Index, then everything durable, then the header that makes it a saved state, then that durable. */
static void write_end(struct saved_job *j)
{
	uint64_t index_offset = atomic_load(&j->shared->next_offset);
	bool instruction = j->packer.crc_instruction;
	uint8_t bytes[SAVED_HEADER_BYTES];
	struct saved_header h = {
		.file_bytes = index_offset + j->index_bytes,
		.memory_bytes = j->image.memory_bytes,
		.device_offset = SAVED_HEADER_BYTES,
		.device_bytes = j->image.device_bytes,
		.index_offset = index_offset,
		.index_bytes = j->index_bytes,
		.device_checksum =
			crc32c_with(instruction, 0, j->image.devices, j->image.device_bytes),
		.index_checksum = crc32c_with(instruction, 0, j->index, j->index_bytes),
		.chunk_bytes = SAVED_CHUNK_BYTES,
	};

	write_part(j, JOB_STEP_INDEX, j->index, j->index_bytes, index_offset);
	flush(j);
	saved_header_encode(&h, bytes);
	write_part(j, JOB_STEP_HEADER, bytes, sizeof(bytes), 0);
	flush(j);
}

_Noreturn void writer_main(struct saved_job *j)
{
	if (!begin(j)) {
		_exit(1);
	}
	signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error, not a death */
	unsigned others = start_stripes(j);

	write_part(j, JOB_STEP_DEVICES, j->image.devices, j->image.device_bytes,
		   SAVED_HEADER_BYTES);
	stripe_write(j);
	wait_for_stripes(j, others);
	if (!job_failed(j)) {
		write_end(j);
	}
	_exit(0);
}
