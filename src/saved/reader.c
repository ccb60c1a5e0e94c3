// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "file.h"
#include "lib/bits.h"

int reader_init(struct saved_reader *r, const struct saved_file *f)
{
	*r = (struct saved_reader){.file = f};
	r->packed = malloc(SAVED_GROUP_BYTES);
	if (r->packed == NULL || chunk_unpacker_init(&r->unpacker) < 0) {
		free(r->packed);
		r->packed = NULL;
		return -ENOMEM;
	}
	return 0;
}

void reader_fini(struct saved_reader *r)
{
	if (r->packed != NULL) {
		chunk_unpacker_fini(&r->unpacker);
		free(r->packed);
	}
}

/* Where the group's data lies in the file. False: nowhere, or too far apart. */
static bool group_range(const struct saved_file *f, uint64_t group, uint64_t *ret_start,
			size_t *ret_bytes)
{
	uint64_t first = group * SAVED_GROUP_CHUNKS, start = UINT64_MAX, end = 0;
	uint64_t last = min_u64(f->chunks, first + SAVED_GROUP_CHUNKS);

	for (uint64_t chunk = first; chunk < last; chunk++) {
		struct saved_entry e = file_entry(f, chunk);

		if (e.bytes != 0) {
			start = min_u64(start, e.where);
			end = max_u64(end, e.where + e.bytes);
		}
	}
	if (end == 0 || end - start > SAVED_GROUP_BYTES) {
		return false;
	}
	*ret_start = start;
	*ret_bytes = (size_t)(end - start);
	return true;
}

int reader_fetch(struct saved_reader *r, uint64_t group, struct saved_error *error)
{
	uint64_t start;
	size_t bytes;

	r->fetched_bytes = 0;
	if (!group_range(r->file, group, &start, &bytes)) {
		return 0;
	}
	int result = file_read(r->file->fd, r->packed, bytes, start, "memory", error);

	if (result == 0) {
		r->fetched_offset = start;
		r->fetched_bytes = bytes;
	}
	return result;
}

/* The chunk's data: fetched already, or read now. */
static int find(struct saved_reader *r, const struct saved_entry *e, const uint8_t **ret,
		struct saved_error *error)
{
	if (e->where >= r->fetched_offset &&
	    range_within(e->where - r->fetched_offset, e->bytes, r->fetched_bytes)) {
		*ret = r->packed + (e->where - r->fetched_offset);
		return 0;
	}
	r->fetched_bytes = 0;
	*ret = r->packed;
	return file_read(r->file->fd, r->packed, e->bytes, e->where, "memory", error);
}

int reader_chunk(struct saved_reader *r, uint64_t chunk, void *ret, struct saved_error *error)
{
	size_t length = saved_chunk_length(r->file->memory_bytes, chunk);
	struct saved_entry e = file_entry(r->file, chunk);
	unsigned long long address = chunk * SAVED_CHUNK_BYTES;
	const uint8_t *packed = NULL;
	int result = e.bytes != 0 ? find(r, &e, &packed, error) : 0;

	if (result != 0 || chunk_unpack(&r->unpacker, &e, packed, length, ret)) {
		return result;
	}
	return saved_fail(error, SAVED_CORRUPT,
			  "memory at 0x%llx, %u bytes at offset %llu: not what was written: the "
			  "file is damaged",
			  address, e.bytes, (unsigned long long)e.where);
}
