// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile saved state: refused by name, or loaded, at once and as it is touched, with the same in memory. The input is a byte that says which checksums are
 * left as they are, the header's fields (64 bytes), and all that follows the header.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "lib/crc32c.h"
#include "test/input.h"

#define FIELDS_BYTES 64u
#define REST_MAX 65536u
#define MEMORY_MAX (UINT64_C(512) << 20)

enum wrong {
	WRONG_HEADER = 1,
	WRONG_INDEX = 2,
	WRONG_DEVICES = 4,
	WRONG_CHUNKS = 8,
	LAZY = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct file {
	uint8_t *bytes;
	size_t count;
};

static uint32_t sum_of(const struct file *f, uint64_t offset, uint64_t bytes, uint32_t otherwise)
{
	return range_within(offset, bytes, f->count) ? crc32c(0, f->bytes + offset, (size_t)bytes)
						     : otherwise;
}

static void sum_chunks(const struct file *f, uint64_t offset, uint64_t bytes)
{
	if (!range_within(offset, bytes, f->count)) {
		return;
	}
	for (uint64_t at = offset; at + SAVED_ENTRY_BYTES <= offset + bytes;
	     at += SAVED_ENTRY_BYTES) {
		struct saved_entry e;

		if (saved_entry_decode(f->bytes + at, &e)) {
			e.checksum = sum_of(f, e.where, e.bytes, e.checksum);
			store_le32(f->bytes + at + 12, e.checksum);
		}
	}
}

/* The header with the input's fields, and right checksums where the input does not want wrong ones. */
static void make_header(struct file *f, uint8_t wrong, const uint8_t *fields)
{
	struct saved_header h = {
		.file_bytes = load_le64(fields),
		.memory_bytes = load_le64(fields + 8),
		.device_offset = load_le64(fields + 16),
		.device_bytes = load_le64(fields + 24),
		.index_offset = load_le64(fields + 32),
		.index_bytes = load_le64(fields + 40),
		.device_checksum = load_le32(fields + 48),
		.index_checksum = load_le32(fields + 52),
		.chunk_bytes = load_le32(fields + 56),
		.flags = load_le32(fields + 60),
	};

	if ((wrong & WRONG_CHUNKS) == 0) {
		sum_chunks(f, h.index_offset, h.index_bytes);
	}
	if ((wrong & WRONG_INDEX) == 0) {
		h.index_checksum = sum_of(f, h.index_offset, h.index_bytes, h.index_checksum);
	}
	if ((wrong & WRONG_DEVICES) == 0) {
		h.device_checksum = sum_of(f, h.device_offset, h.device_bytes, h.device_checksum);
	}
	saved_header_encode(&h, f->bytes);
	if ((wrong & WRONG_HEADER) != 0) {
		memcpy(f->bytes, fields, FIELDS_BYTES);
	}
}

static void *map(uint64_t bytes)
{
	void *ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(ram != MAP_FAILED);
	return ram;
}

static void on_ended(void *ctx, int result, const struct saved_error *error)
{
}

static void load_lazily(struct saved_file *f, const uint8_t *want, int result)
{
	const struct saved_lazy_events events = {on_ended, NULL};
	uint64_t bytes = saved_memory_bytes(f);
	struct saved_error error = {""};
	struct saved_lazy *lazy;
	uint8_t *ram = map(bytes);

	if (saved_lazy_start(f, ram, 1, &events, &lazy) == 0) {
		CHECK((saved_lazy_finish(lazy, &error) == 0) == (result == 0));
		saved_lazy_destroy(lazy);
		CHECK(result != 0 || memcmp(ram, want, bytes) == 0);
	}
	munmap(ram, bytes);
}

static void load(struct saved_file *f, bool lazily)
{
	uint64_t bytes = saved_memory_bytes(f);
	struct saved_error error = {""};
	size_t device_bytes;

	CHECK(bytes <= MEMORY_MAX); /* the index has to be in the file */
	uint8_t *ram = map(bytes);
	int r = saved_load(f, ram, 1, &error);

	CHECK(r >= 0 && (r == 0 || error.text[0] != '\0'));
	CHECK(saved_devices(f, &device_bytes) != NULL && saved_data_bytes(f) <= bytes);
	if (lazily) {
		load_lazily(f, ram, r);
	}
	munmap(ram, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	uint8_t wrong = input_u8(&in), fields[FIELDS_BYTES];
	struct saved_error error = {""};
	struct saved_file *saved;

	input_take(&in, fields, sizeof(fields));
	if (in.left > REST_MAX) {
		return 0;
	}
	struct file f = {.count = SAVED_HEADER_BYTES + in.left};

	f.bytes = calloc(1, f.count);
	CHECK(f.bytes != NULL);
	memcpy(f.bytes + SAVED_HEADER_BYTES, in.data, in.left);
	make_header(&f, wrong, fields);
	int fd = memfd_create("saved", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, f.bytes, f.count) == (ssize_t)f.count);
	int r = saved_open(fd, &saved, &error);

	CHECK(r >= 0 && (r == 0 || error.text[0] != '\0'));
	if (r == 0) {
		load(saved, (wrong & LAZY) != 0);
		saved_close(saved);
	}
	close(fd);
	free(f.bytes);
	return 0;
}
