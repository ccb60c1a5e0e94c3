// SPDX-License-Identifier: Apache-2.0
#include "format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/crc32c.h"

static const uint8_t signature[8] = "VIRIDSAV";

enum {
	AT_SIGNATURE = 0,
	AT_VERSION = 8,
	AT_CHECKSUM = 12,
	AT_FILE_BYTES = 16,
	AT_MEMORY_BYTES = 24,
	AT_DEVICE_OFFSET = 32,
	AT_DEVICE_BYTES = 40,
	AT_INDEX_OFFSET = 48,
	AT_INDEX_BYTES = 56,
	AT_DEVICE_CHECKSUM = 64,
	AT_INDEX_CHECKSUM = 68,
	AT_CHUNK_BYTES = 72,
	AT_FLAGS = 76,
};

#define ENTRY_BYTES_BITS 24

int saved_fail(struct saved_error *error, int result, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error->text, sizeof(error->text), format, ap); /* NOLINT: "uninitialized" */
	va_end(ap);
	return result;
}

/* Over the whole header, as if the checksum in it was zero. */
static uint32_t header_checksum(const uint8_t *bytes)
{
	static const uint8_t none[4];
	uint32_t crc = crc32c(0, bytes, AT_CHECKSUM);

	crc = crc32c(crc, none, sizeof(none));
	return crc32c(crc, bytes + AT_CHECKSUM + 4, SAVED_HEADER_BYTES - AT_CHECKSUM - 4);
}

void saved_header_encode(const struct saved_header *h, uint8_t *ret)
{
	memset(ret, 0, SAVED_HEADER_BYTES);
	memcpy(ret + AT_SIGNATURE, signature, sizeof(signature));
	store_le32(ret + AT_VERSION, SAVED_VERSION);
	store_le64(ret + AT_FILE_BYTES, h->file_bytes);
	store_le64(ret + AT_MEMORY_BYTES, h->memory_bytes);
	store_le64(ret + AT_DEVICE_OFFSET, h->device_offset);
	store_le64(ret + AT_DEVICE_BYTES, h->device_bytes);
	store_le64(ret + AT_INDEX_OFFSET, h->index_offset);
	store_le64(ret + AT_INDEX_BYTES, h->index_bytes);
	store_le32(ret + AT_DEVICE_CHECKSUM, h->device_checksum);
	store_le32(ret + AT_INDEX_CHECKSUM, h->index_checksum);
	store_le32(ret + AT_CHUNK_BYTES, h->chunk_bytes);
	store_le32(ret + AT_FLAGS, h->flags);
	store_le32(ret + AT_CHECKSUM, header_checksum(ret));
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
}

static int check_identity(const uint8_t *bytes, struct saved_error *error)
{
	uint32_t found = load_le32(bytes + AT_CHECKSUM), want = header_checksum(bytes);
	uint32_t version = load_le32(bytes + AT_VERSION);

	if (all_zero(bytes, SAVED_HEADER_BYTES)) {
		return saved_fail(error, SAVED_NOT_ONE,
				  "header is empty: the state was never written to its end; what "
				  "was saved before it is still valid");
	}
	if (memcmp(bytes + AT_SIGNATURE, signature, sizeof(signature)) != 0) {
		return saved_fail(error, SAVED_NOT_ONE,
				  "offset 0: no signature VIRIDSAV: not a saved state");
	}
	if (found != want) {
		return saved_fail(error, SAVED_CORRUPT,
				  "header: checksum 0x%08x, expected 0x%08x: the file is damaged",
				  found, want);
	}
	if (version != SAVED_VERSION) {
		return saved_fail(error, SAVED_UNSUPPORTED,
				  "header: version %u, known is %u: use the version of Virid that "
				  "wrote it, or a newer one",
				  version, SAVED_VERSION);
	}
	return 0;
}

int saved_header_decode(const uint8_t *bytes, struct saved_header *ret, struct saved_error *error)
{
	int r = check_identity(bytes, error);

	if (r != 0) {
		return r;
	}
	*ret = (struct saved_header){
		.file_bytes = load_le64(bytes + AT_FILE_BYTES),
		.memory_bytes = load_le64(bytes + AT_MEMORY_BYTES),
		.device_offset = load_le64(bytes + AT_DEVICE_OFFSET),
		.device_bytes = load_le64(bytes + AT_DEVICE_BYTES),
		.index_offset = load_le64(bytes + AT_INDEX_OFFSET),
		.index_bytes = load_le64(bytes + AT_INDEX_BYTES),
		.device_checksum = load_le32(bytes + AT_DEVICE_CHECKSUM),
		.index_checksum = load_le32(bytes + AT_INDEX_CHECKSUM),
		.chunk_bytes = load_le32(bytes + AT_CHUNK_BYTES),
		.flags = load_le32(bytes + AT_FLAGS),
	};
	return 0;
}

void saved_entry_encode(const struct saved_entry *e, uint8_t *ret)
{
	store_le64(ret, e->where);
	store_le32(ret + 8, e->bytes | (uint32_t)e->kind << ENTRY_BYTES_BITS);
	store_le32(ret + 12, e->checksum);
}

bool saved_entry_decode(const uint8_t *bytes, struct saved_entry *ret)
{
	uint32_t word = load_le32(bytes + 8);

	ret->where = load_le64(bytes);
	ret->bytes = word & (BIT32(ENTRY_BYTES_BITS) - 1);
	ret->checksum = load_le32(bytes + 12);
	ret->kind = (enum saved_kind)(word >> ENTRY_BYTES_BITS);
	return word >> ENTRY_BYTES_BITS <= SAVED_KIND_ZSTD;
}
