/* SPDX-License-Identifier: Apache-2.0 */
/* An opened saved state. Everything in it was checked but the chunks' data. */
#ifndef SAVED_FILE_H
#define SAVED_FILE_H

#include "chunk.h"

/* More than a host has: bounds what a wrong header makes us allocate (the index has to be in the file as well). */
#define SAVED_MEMORY_MAX (UINT64_C(16) << 40)
#define SAVED_DEVICES_MAX (UINT64_C(256) << 20)

struct saved_file {
	int fd;
	uint64_t memory_bytes;
	uint64_t file_bytes;
	uint64_t chunks;
	uint8_t *index;
	uint8_t *devices;
	size_t device_bytes;
	uint64_t data_bytes;
};

/* The entry of @chunk, which is right: open saw it. */
struct saved_entry file_entry(const struct saved_file *f, uint64_t chunk);
/* All of it. 0, -errno, SAVED_TRUNCATED. */
int file_read(int fd, void *ret, size_t bytes, uint64_t offset, const char *what,
	      struct saved_error *error);

/* What a thread needs to load chunks. */
struct saved_reader {
	const struct saved_file *file;
	struct chunk_unpacker unpacker;
	uint8_t *packed; /* SAVED_GROUP_BYTES, what was fetched last */
	uint64_t fetched_offset;
	size_t fetched_bytes;
};
int reader_init(struct saved_reader *r, const struct saved_file *f);
void reader_fini(struct saved_reader *r);
/* Reads the data of a group's chunks at once, if it lies together; else each is read when it is asked for. */
int reader_fetch(struct saved_reader *r, uint64_t group, struct saved_error *error);
/* Unpacks one chunk to @ret; what is zeros is not touched. */
int reader_chunk(struct saved_reader *r, uint64_t chunk, void *ret, struct saved_error *error);

#endif
