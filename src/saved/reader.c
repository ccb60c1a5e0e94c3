// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "file.h"
#include "lib/bits.h"

int reader_init(struct saved_reader *r, const struct saved_file *f)
{
	r->file = f;
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

static int unpack(struct saved_reader *r, uint64_t chunk, const struct saved_entry *e,
		  const uint8_t *packed, void *ret, struct saved_error *error)
{
	size_t length = saved_chunk_length(r->file->memory_bytes, chunk);

	if (chunk_unpack(&r->unpacker, e, packed, length, ret)) {
		return 0;
	}
	return saved_fail(error, SAVED_CORRUPT,
			  "memory at 0x%llx, %u bytes at offset %llu: not what was written: the "
			  "file is damaged",
			  (unsigned long long)(chunk * SAVED_CHUNK_BYTES), e->bytes,
			  (unsigned long long)e->where);
}

int reader_chunk(struct saved_reader *r, uint64_t chunk, void *ret, struct saved_error *error)
{
	struct saved_entry e = file_entry(r->file, chunk);
	int result = 0;

	if (e.bytes != 0) {
		result = file_read(r->file->fd, r->packed, e.bytes, e.where, "memory", error);
	}
	return result != 0 ? result : unpack(r, chunk, &e, r->packed, ret, error);
}

/* Where in the file the group's data lies. True when it is worth being read at once. */
static bool group_range(const struct saved_entry *entries, uint64_t count, uint64_t *ret_start,
			size_t *ret_bytes)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (entries[i].bytes != 0) {
			start = min_u64(start, entries[i].where);
			end = max_u64(end, entries[i].where + entries[i].bytes);
		}
	}
	if (end == 0 || end - start > SAVED_GROUP_BYTES) {
		return false;
	}
	*ret_start = start;
	*ret_bytes = (size_t)(end - start);
	return true;
}

int reader_group(struct saved_reader *r, uint64_t group, uint8_t *ram, struct saved_error *error)
{
	struct saved_entry entries[SAVED_GROUP_CHUNKS];
	uint64_t first = group * SAVED_GROUP_CHUNKS;
	uint64_t count = min_u64(SAVED_GROUP_CHUNKS, r->file->chunks - first), start = 0;
	size_t bytes = 0;
	int result = 0;

	for (uint64_t i = 0; i < count; i++) {
		entries[i] = file_entry(r->file, first + i);
	}
	bool together = group_range(entries, count, &start, &bytes);

	if (together) {
		result = file_read(r->file->fd, r->packed, bytes, start, "memory", error);
	}
	for (uint64_t i = 0; i < count && result == 0; i++) {
		uint8_t *to = ram + (first + i) * SAVED_CHUNK_BYTES;

		if (together) {
			const uint8_t *from =
				r->packed + (entries[i].bytes != 0 ? entries[i].where - start : 0);

			result = unpack(r, first + i, &entries[i], from, to, error);
		} else {
			result = reader_chunk(r, first + i, to, error);
		}
	}
	return result;
}
