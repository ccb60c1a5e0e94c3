/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a saved state's file, little endian: README.md describes them. */
#ifndef SAVED_FORMAT_H
#define SAVED_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saved/saved.h"

#define SAVED_VERSION 1u
#define SAVED_HEADER_BYTES 4096u
#define SAVED_ENTRY_BYTES 16u
#define SAVED_PAGE_BYTES 4096u
/* Chunks that one thread or process handles together: their data lies together in the file. */
#define SAVED_GROUP_CHUNKS 32u
#define SAVED_GROUP_BYTES (SAVED_GROUP_CHUNKS * SAVED_CHUNK_BYTES)

enum saved_kind {
	SAVED_KIND_ZERO,   /* nothing but zeros, nothing in the file */
	SAVED_KIND_REPEAT, /* one word of 8 bytes again and again, in the index */
	SAVED_KIND_RAW,
	SAVED_KIND_ZSTD,
};

struct saved_header {
	uint64_t file_bytes;
	uint64_t memory_bytes;
	uint64_t device_offset;
	uint64_t device_bytes;
	uint64_t index_offset;
	uint64_t index_bytes;
	uint32_t device_checksum;
	uint32_t index_checksum;
	uint32_t chunk_bytes;
	uint32_t flags;
};

struct saved_entry {
	uint64_t where; /* in the file; or the word that repeats */
	uint32_t bytes; /* in the file */
	uint32_t checksum;
	enum saved_kind kind;
};

/* @ret is SAVED_HEADER_BYTES, with signature, version and checksum. */
void saved_header_encode(const struct saved_header *h, uint8_t *ret);
/* Checks signature, checksum and version of SAVED_HEADER_BYTES; what the fields say is not looked at. */
int saved_header_decode(const uint8_t *bytes, struct saved_header *ret, struct saved_error *error);

void saved_entry_encode(const struct saved_entry *e, uint8_t *ret);
/* False: no such kind. */
bool saved_entry_decode(const uint8_t *bytes, struct saved_entry *ret);

static inline uint64_t saved_chunks(uint64_t memory_bytes)
{
	return memory_bytes / SAVED_CHUNK_BYTES + (memory_bytes % SAVED_CHUNK_BYTES != 0);
}

static inline uint64_t saved_groups(uint64_t memory_bytes)
{
	return (saved_chunks(memory_bytes) + SAVED_GROUP_CHUNKS - 1) / SAVED_GROUP_CHUNKS;
}

/* Only the last one may be shorter. */
static inline size_t saved_chunk_length(uint64_t memory_bytes, uint64_t chunk)
{
	uint64_t left = memory_bytes - chunk * SAVED_CHUNK_BYTES;

	return left < SAVED_CHUNK_BYTES ? (size_t)left : SAVED_CHUNK_BYTES;
}

/* Returns @result. */
__attribute__((format(printf, 3, 4))) int saved_fail(struct saved_error *error, int result,
						     const char *format, ...);

#endif
