// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "job.h"
#include "lib/bits.h"

int write_all(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *p = data;

	while (bytes != 0) {
		ssize_t n = pwrite(fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return n < 0 ? -errno : -EIO;
		}
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* Packs the chunks into the buffer; the entries' offsets are those in the buffer. */
static size_t pack_group(struct saved_job *j, uint64_t first, uint64_t count,
			 struct saved_entry *ret_entries)
{
	const uint8_t *memory = j->image.memory;
	size_t used = 0;

	for (uint64_t i = 0; i < count && !job_failed(j); i++) {
		uint64_t chunk = first + i;
		size_t bytes = saved_chunk_length(j->image.memory_bytes, chunk);

		chunk_pack(&j->packer, memory + chunk * SAVED_CHUNK_BYTES, bytes, j->buffer + used,
			   &ret_entries[i]);
		if (ret_entries[i].bytes != 0) {
			ret_entries[i].where = used;
			used += ret_entries[i].bytes;
		}
		atomic_fetch_add_explicit(&j->shared->done_bytes, bytes, memory_order_relaxed);
	}
	return used;
}

/*
 * The host's disk begins at once: left to the flush at the end it would stand still while memory is packed. The last page is the next group's too, which
 * it goes with. Whatever this fails at, the flush says.
 */
static void write_back(int fd, size_t bytes, uint64_t offset)
{
	uint64_t start = align_down(offset, SAVED_PAGE_BYTES);
	uint64_t end = align_down(offset + bytes, SAVED_PAGE_BYTES);

	if (end > start) {
		sync_file_range(fd, (off_t)start, (off_t)(end - start), SYNC_FILE_RANGE_WRITE);
	}
}

static void write_group(struct saved_job *j, uint64_t first, uint64_t count)
{
	struct saved_entry entries[SAVED_GROUP_CHUNKS] = {0};
	size_t bytes = pack_group(j, first, count, entries);

	if (job_failed(j)) {
		return;
	}
	uint64_t offset = atomic_fetch_add(&j->shared->next_offset, bytes);

	for (uint64_t i = 0; i < count; i++) {
		if (entries[i].bytes != 0) {
			entries[i].where += offset;
		}
		/* Zeros are what is there already: the pages of the index stay untouched. */
		if (entries[i].kind != SAVED_KIND_ZERO) {
			saved_entry_encode(&entries[i], j->index + (first + i) * SAVED_ENTRY_BYTES);
		}
	}
	int r = write_all(j->fd, j->buffer, bytes, offset);

	if (r < 0) {
		job_fail(j, JOB_STEP_MEMORY, r);
	} else {
		write_back(j->fd, bytes, offset);
	}
}

void stripe_write(struct saved_job *j)
{
	uint64_t chunks = saved_chunks(j->image.memory_bytes);

	while (!job_failed(j)) {
		uint64_t first = atomic_fetch_add(&j->shared->next_group, 1) * SAVED_GROUP_CHUNKS;

		if (first >= chunks) {
			return;
		}
		write_group(j, first, min_u64(chunks - first, SAVED_GROUP_CHUNKS));
	}
}
