// SPDX-License-Identifier: Apache-2.0
#include "payload.h"

#include <inttypes.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/bits.h"

#define TRAILER_BYTES 4
#define LZ4_BLOCK_BYTES (8u << 20)
#define LZ4_SPARSE_RATIO 64
#define LZMA_MEMORY_MAX (UINT64_C(256) << 20)
#define ZSTD_WINDOW_LOG_MAX 27

static enum loader_status corrupt(struct elf_stream *s, const char *format)
{
	if (s->status == LOADER_OK) {
		s->status =
			target_fail(s->target, LOADER_CORRUPT, LOADER_PART_KERNEL,
				    "the %s payload is damaged after %" PRIu64 " bytes of output",
				    format, s->total);
	}
	return s->status;
}

static enum loader_status no_memory(struct elf_stream *s)
{
	s->status = target_fail(s->target, LOADER_HOST, LOADER_PART_KERNEL,
				"no memory to decompress it");
	return s->status;
}

/* Room for output, never past @expected: NULL when the stream refuses or there is too much. */
static void *room(struct elf_stream *s, uint64_t expected, size_t *ret_bytes)
{
	void *to = elf_stream_reserve(s, ret_bytes);

	if (to != NULL && s->total < expected) {
		*ret_bytes = (size_t)min_u64(*ret_bytes, expected - s->total);
	}
	return s->total <= expected ? to : NULL;
}

static enum loader_status expand_gzip(const uint8_t *in, size_t bytes, uint64_t expected,
				      struct elf_stream *s)
{
	z_stream z = {0};
	int rc = Z_DATA_ERROR;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
		return no_memory(s);
	}
	z.next_in = (z_const Bytef *)(uintptr_t)in;
	z.avail_in = (uInt)min_u64(bytes, UINT32_MAX);
	do {
		size_t n;
		void *to = room(s, expected, &n);

		if (to == NULL) {
			break;
		}
		z.next_out = to;
		z.avail_out = (uInt)n;
		rc = inflate(&z, Z_NO_FLUSH);
		if (!elf_stream_commit(s, n - z.avail_out)) {
			break;
		}
	} while (rc == Z_OK);
	inflateEnd(&z);
	return rc == Z_STREAM_END && s->status == LOADER_OK ? LOADER_OK : corrupt(s, "gzip");
}

static enum loader_status run_lzma(lzma_stream *z, const uint8_t *in, size_t bytes,
				   uint64_t expected, struct elf_stream *s, const char *name)
{
	lzma_ret rc;

	z->next_in = in;
	z->avail_in = bytes;
	do {
		size_t n;
		void *to = room(s, expected, &n);

		if (to == NULL) {
			rc = LZMA_DATA_ERROR;
			break;
		}
		z->next_out = to;
		z->avail_out = n;
		rc = lzma_code(z, LZMA_FINISH);
		if (!elf_stream_commit(s, n - z->avail_out)) {
			break;
		}
	} while (rc == LZMA_OK);
	lzma_end(z);
	if (rc == LZMA_MEM_ERROR) {
		return no_memory(s);
	}
	return rc == LZMA_STREAM_END && s->status == LOADER_OK ? LOADER_OK : corrupt(s, name);
}

static enum loader_status expand_xz(const uint8_t *in, size_t bytes, uint64_t expected,
				    struct elf_stream *s)
{
	lzma_stream z = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&z, LZMA_MEMORY_MAX, 0) != LZMA_OK) {
		return no_memory(s);
	}
	return run_lzma(&z, in, bytes, expected, s, "xz");
}

static enum loader_status expand_lzma(const uint8_t *in, size_t bytes, uint64_t expected,
				      struct elf_stream *s)
{
	lzma_stream z = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&z, LZMA_MEMORY_MAX) != LZMA_OK) {
		return no_memory(s);
	}
	return run_lzma(&z, in, bytes, expected, s, "lzma");
}

static enum loader_status run_zstd(ZSTD_DStream *z, const uint8_t *in, size_t bytes,
				   uint64_t expected, struct elf_stream *s)
{
	ZSTD_inBuffer from = {in, bytes, 0};
	size_t left;

	do {
		size_t n;
		void *to = room(s, expected, &n);

		if (to == NULL) {
			return corrupt(s, "zstd");
		}
		ZSTD_outBuffer out = {to, n, 0};
		size_t before = from.pos;

		left = ZSTD_decompressStream(z, &out, &from);
		if (ZSTD_isError(left) || (out.pos == 0 && from.pos == before && left != 0) ||
		    !elf_stream_commit(s, out.pos)) {
			return corrupt(s, "zstd");
		}
	} while (left != 0);
	return s->status;
}

static enum loader_status expand_zstd(const uint8_t *in, size_t bytes, uint64_t expected,
				      struct elf_stream *s)
{
	ZSTD_DStream *z = ZSTD_createDStream();

	if (z == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX))) {
		ZSTD_freeDStream(z);
		return no_memory(s);
	}
	run_zstd(z, in, bytes, expected, s);
	ZSTD_freeDStream(z);
	return s->status;
}

/* The headers decide where the first block goes, so its beginning is decompressed twice. */
static bool lz4_head(const uint8_t *block, size_t bytes, size_t output, struct elf_stream *s)
{
	size_t n;
	void *to = elf_stream_reserve(s, &n);

	if (to == NULL) {
		return false;
	}
	n = n < output ? n : output;
	int got = LZ4_decompress_safe_partial((const char *)block, to, (int)bytes, (int)n, (int)n);

	return got == (int)n && elf_stream_commit(s, n);
}

/*
 * One block of exactly @output bytes: into guest memory if it fits there in one piece, else by way of @scratch. A block that
 * shrank this much is zero for the most part; by way of @scratch its pages stay unallocated.
 */
static bool lz4_block(const uint8_t *block, size_t bytes, uint64_t offset, size_t output,
		      uint8_t **scratch, struct elf_stream *s)
{
	bool sparse = bytes < output / LZ4_SPARSE_RATIO;
	char *to = sparse ? NULL : elf_stream_window(s, offset, output);
	bool window = to != NULL;

	if (!window) {
		if (*scratch == NULL) {
			*scratch = malloc(LZ4_BLOCK_BYTES);
		}
		to = (char *)*scratch;
		if (to == NULL) {
			no_memory(s);
			return false;
		}
	}
	if (LZ4_decompress_safe((const char *)block, to, (int)bytes, (int)output) != (int)output) {
		return false;
	}
	if (window) {
		elf_stream_window_done(s, offset, output);
		return true;
	}
	size_t known = (size_t)(s->total - offset);

	return elf_stream_put(s, *scratch + known, output - known);
}

/* The legacy format: blocks of 8 MiB, each with its compressed length in front, until the output is complete. */
static enum loader_status expand_lz4(const uint8_t *in, size_t bytes, uint64_t expected,
				     struct elf_stream *s)
{
	size_t at = 4;
	uint8_t *scratch = NULL;
	bool good = true;
	uint64_t offset = 0;

	while (good && offset < expected) {
		size_t output = (size_t)min_u64(LZ4_BLOCK_BYTES, expected - offset);

		good = range_within(at, 4, bytes);
		uint32_t block_bytes = good ? load_le32(in + at) : 0;

		at += 4;
		good = good && block_bytes <= INT32_MAX && range_within(at, block_bytes, bytes) &&
		       (offset != 0 || lz4_head(in + at, block_bytes, output, s)) &&
		       (s->total >= expected ||
			lz4_block(in + at, block_bytes, offset, output, &scratch, s));
		at += block_bytes;
		offset += output;
	}
	free(scratch);
	return good && s->status == LOADER_OK ? LOADER_OK : corrupt(s, "lz4");
}

static const struct payload_format formats[] = {
	{"gzip", 2, "\x1f\x8b", expand_gzip, false},
	{"xz", 6,
	 "\xfd"
	 "7zXZ\0",
	 expand_xz, true},
	{"lzma", 3, "\x5d\0\0", expand_lzma, true},
	{"zstd", 4, "\x28\xb5\x2f\xfd", expand_zstd, true},
	{"lz4", 4, "\x02\x21\x4c\x18", expand_lz4, true},
};

const struct payload_format *payload_detect(const uint8_t *in, size_t bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (bytes >= formats[i].magic_bytes + TRAILER_BYTES &&
		    memcmp(in, formats[i].magic, formats[i].magic_bytes) == 0) {
			return &formats[i];
		}
	}
	return NULL;
}

enum loader_status payload_expand(const struct payload_format *format, const uint8_t *in,
				  size_t bytes, uint64_t limit, struct elf_stream *s)
{
	uint64_t expected = load_le32(in + bytes - TRAILER_BYTES);
	enum loader_status status;

	if (expected > limit) {
		return target_fail(s->target, LOADER_NO_MEMORY, LOADER_PART_MEMORY,
				   "%" PRIu64 " MiB found, the decompressed kernel has %" PRIu64
				   " MiB",
				   s->target->map->ram_bytes >> 20, expected >> 20);
	}
	status = format->expand(in, format->size_trailer ? bytes - TRAILER_BYTES : bytes, expected,
				s);
	if (status != LOADER_OK) {
		return status;
	}
	if (s->total != expected) {
		return target_fail(s->target, LOADER_CORRUPT, LOADER_PART_KERNEL,
				   "the %s payload has %" PRIu64
				   " bytes, its length field says %" PRIu64,
				   format->name, s->total, expected);
	}
	return elf_stream_end(s);
}
