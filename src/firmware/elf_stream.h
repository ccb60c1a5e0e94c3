/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF file that arrives from its beginning, piece by piece: a decompressor asks where its next output goes and writes straight into guest
 * memory. Only the headers and what lies between segments pass through a buffer.
 */
#ifndef FIRMWARE_ELF_STREAM_H
#define FIRMWARE_ELF_STREAM_H

#include "elf.h"

struct elf_stream {
	struct target *target;
	uint64_t total; /* bytes that have come */
	bool parsed;
	enum loader_status status; /* LOADER_OK as long as it goes on */
	struct elf_image image;
	uint8_t *buffer; /* ELF_HEAD_BYTES: first the head of the file, then a bin for the gaps */
};

/* LOADER_HOST: no memory. */
enum loader_status elf_stream_init(struct elf_stream *s, struct target *t);
void elf_stream_fini(struct elf_stream *s);

/* Where the next bytes go, *ret_bytes at most; NULL: stop, s->status says why. */
void *elf_stream_reserve(struct elf_stream *s, size_t *ret_bytes);
/* The first @bytes of what reserve gave are written. False: stop. */
bool elf_stream_commit(struct elf_stream *s, size_t bytes);
/* Copies @bytes that come next. False: stop. */
bool elf_stream_put(struct elf_stream *s, const uint8_t *data, size_t bytes);

/*
 * Host memory where file bytes [@offset, @offset + @bytes) may be written in one piece although gaps lie between; @offset is at or
 * before the next byte. NULL: there is none. elf_stream_window_done ends the use: gaps become zero, the stream goes on after it.
 */
void *elf_stream_window(struct elf_stream *s, uint64_t offset, size_t bytes);
void elf_stream_window_done(struct elf_stream *s, uint64_t offset, size_t bytes);

/* The file has ended: checks that all of it came. */
enum loader_status elf_stream_end(struct elf_stream *s);

#endif
