// SPDX-License-Identifier: Apache-2.0
/* Files that are not as they were written: each byte, each length, each field. */
#include "file.h"
#include "lab_test.h"
#include "lib/bits.h"
#include "lib/crc32c.h"
#include "test/test.h"

#define MEMORY_BYTES (3u * SAVED_CHUNK_BYTES + 4096)
#define FILE_MAX 65536u

static const char devices[] = "state of devices";

/* A small file with a chunk of each kind. */
struct lab {
	uint8_t *want;
	uint8_t bytes[FILE_MAX];
	size_t count;
	struct saved_header header;
	uint8_t *index; /* in bytes */
};

static void make(struct lab *lab)
{
	struct saved_image image = {
		.memory_bytes = MEMORY_BYTES, .devices = devices, .device_bytes = sizeof(devices)};
	struct saved_error error = {""};
	int fd = lab_file();

	lab->want = lab_map(MEMORY_BYTES);
	lab_fill_chunk(lab->want, SAVED_CHUNK_BYTES, LAB_SPARSE, 1);
	lab_fill_chunk(lab->want + SAVED_CHUNK_BYTES, SAVED_CHUNK_BYTES, LAB_REPEAT, 2);
	lab_fill_chunk(lab->want + 3 * SAVED_CHUNK_BYTES, 4096, LAB_RANDOM, 3);
	image.memory = lab->want;
	CHECK(lab_save(fd, &image, 1, &error) == 0);
	ssize_t n = pread(fd, lab->bytes, FILE_MAX, 0);

	CHECK(n > 0 && n < FILE_MAX);
	lab->count = (size_t)n;
	close(fd);
	CHECK(saved_header_decode(lab->bytes, &lab->header, &error) == 0);
	lab->index = lab->bytes + lab->header.index_offset;
}

static int put(const uint8_t *bytes, size_t count)
{
	int fd = lab_file();

	CHECK(write(fd, bytes, count) == (ssize_t)count);
	return fd;
}

/* What loading ends with; if it is right, so must be what was loaded. */
static int try_file(struct test *t, const struct lab *lab, int fd, struct saved_error *error)
{
	struct saved_file *f;
	int r = saved_open(fd, &f, error);

	if (r != 0) {
		return r;
	}
	uint8_t *ram = lab_map(MEMORY_BYTES);
	size_t device_bytes;

	CHECK(saved_memory_bytes(f) == MEMORY_BYTES);
	r = saved_load(f, ram, 1, error);
	if (r == 0) {
		EXPECT(t, memcmp(ram, lab->want, MEMORY_BYTES) == 0);
		EXPECT(t, memcmp(saved_devices(f, &device_bytes), devices, sizeof(devices)) == 0);
	}
	munmap(ram, MEMORY_BYTES);
	saved_close(f);
	return r;
}

static int try_bytes(struct test *t, const struct lab *lab, const uint8_t *bytes, size_t count,
		     struct saved_error *error)
{
	int fd = put(bytes, count);
	int r = try_file(t, lab, fd, error);

	close(fd);
	return r;
}

static void test_every_byte(struct test *t)
{
	static struct lab lab;
	struct saved_error error = {""};

	make(&lab);
	EXPECT_EQ(t, try_bytes(t, &lab, lab.bytes, lab.count, &error), 0);
	int fd = put(lab.bytes, lab.count);

	for (size_t i = 0; i < lab.count; i++) {
		uint8_t damaged = lab.bytes[i] ^ (uint8_t)(1u << (i % 8));

		error.text[0] = '\0';
		CHECK(pwrite(fd, &damaged, 1, (off_t)i) == 1);
		int r = try_file(t, &lab, fd, &error);

		if (r <= 0 || error.text[0] == '\0') {
			test_fail(t, __FILE__, __LINE__, "byte %zu: %d: %s", i, r, error.text);
		}
		CHECK(pwrite(fd, &lab.bytes[i], 1, (off_t)i) == 1);
	}
	EXPECT_EQ(t, try_file(t, &lab, fd, &error), 0);
	close(fd);
	munmap(lab.want, MEMORY_BYTES);
}

static void test_every_length(struct test *t)
{
	static struct lab lab;
	struct saved_error error = {""};

	make(&lab);
	int fd = put(lab.bytes, lab.count);

	for (size_t count = lab.count; count-- > 0;) {
		CHECK(ftruncate(fd, (off_t)count) == 0);
		EXPECT_EQ(t, try_file(t, &lab, fd, &error), SAVED_TRUNCATED);
	}
	close(fd);
	/* As the writer leaves it that was stopped before the end; and any other file. */
	memset(lab.bytes, 0, SAVED_HEADER_BYTES);
	EXPECT_EQ(t, try_bytes(t, &lab, lab.bytes, lab.count, &error), SAVED_NOT_ONE);
	EXPECT(t, strstr(error.text, "never written to its end") != NULL);
	memset(lab.bytes, 'x', SAVED_HEADER_BYTES);
	EXPECT_EQ(t, try_bytes(t, &lab, lab.bytes, lab.count, &error), SAVED_NOT_ONE);
	EXPECT(t, strstr(error.text, "signature") != NULL);
	munmap(lab.want, MEMORY_BYTES);
}

/* What lies behind the end changes nothing. */
static void test_longer(struct test *t)
{
	static struct lab lab;
	struct saved_error error = {""};

	make(&lab);
	EXPECT_EQ(t, try_bytes(t, &lab, lab.bytes, lab.count + 5000, &error), 0);
	munmap(lab.want, MEMORY_BYTES);
}

/* ---- Wrong, with right checksums ---- */

static int try_header(struct test *t, struct lab *lab, const struct saved_header *h,
		      struct saved_error *error)
{
	uint8_t bytes[FILE_MAX];

	memcpy(bytes, lab->bytes, lab->count);
	saved_header_encode(h, bytes);
	return try_bytes(t, lab, bytes, lab->count, error);
}

static void test_headers(struct test *t)
{
	static struct lab lab;

	make(&lab);
	const struct saved_header h = lab.header;
	const struct {
		const char *text;
		int result;
		size_t field;
		uint64_t value;
	} rows[] = {
		{"memory size", SAVED_CORRUPT, offsetof(struct saved_header, memory_bytes), 0},
		{"memory size", SAVED_CORRUPT, offsetof(struct saved_header, memory_bytes),
		 MEMORY_BYTES + 1},
		{"memory size", SAVED_CORRUPT, offsetof(struct saved_header, memory_bytes),
		 UINT64_C(1) << 63},
		{"size of index", SAVED_CORRUPT, offsetof(struct saved_header, memory_bytes),
		 MEMORY_BYTES + SAVED_CHUNK_BYTES},
		{"size of index", SAVED_CORRUPT, offsetof(struct saved_header, index_bytes), 48},
		{"offset of index", SAVED_CORRUPT, offsetof(struct saved_header, index_offset),
		 UINT64_MAX - 8},
		{"offset of index", SAVED_CORRUPT, offsetof(struct saved_header, index_offset),
		 h.index_offset + 1},
		{"index", SAVED_CORRUPT, offsetof(struct saved_header, index_offset),
		 h.index_offset - 16},
		{"device state", SAVED_CORRUPT, offsetof(struct saved_header, device_bytes),
		 UINT64_MAX},
		{"offset of device", SAVED_CORRUPT, offsetof(struct saved_header, device_offset),
		 UINT64_MAX},
		{"device state", SAVED_CORRUPT, offsetof(struct saved_header, device_bytes), 3},
		{"cut off", SAVED_TRUNCATED, offsetof(struct saved_header, file_bytes),
		 h.file_bytes + 1},
		{"offset of index", SAVED_CORRUPT, offsetof(struct saved_header, file_bytes),
		 h.file_bytes - 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct saved_header wrong = h;
		struct saved_error error = {""};

		memcpy((uint8_t *)&wrong + rows[i].field, &rows[i].value, sizeof(uint64_t));
		int r = try_header(t, &lab, &wrong, &error);

		if (r != rows[i].result || strstr(error.text, rows[i].text) == NULL) {
			test_fail(t, __FILE__, __LINE__, "row %zu: %d: %s", i, r, error.text);
		}
	}
	munmap(lab.want, MEMORY_BYTES);
}

/* From a later version: its checksum is right, so it is not taken for damage. */
static void test_newer(struct test *t)
{
	static struct lab lab;
	struct saved_error error = {""};

	make(&lab);
	struct saved_header h = lab.header;

	h.flags = 1;
	EXPECT_EQ(t, try_header(t, &lab, &h, &error), SAVED_UNSUPPORTED);
	h.flags = 0;
	h.chunk_bytes = 4096;
	EXPECT_EQ(t, try_header(t, &lab, &h, &error), SAVED_UNSUPPORTED);
	store_le32(lab.bytes + 8, SAVED_VERSION + 1);
	store_le32(lab.bytes + 12, 0);
	store_le32(lab.bytes + 12, crc32c(0, lab.bytes, SAVED_HEADER_BYTES));
	EXPECT_EQ(t, try_bytes(t, &lab, lab.bytes, lab.count, &error), SAVED_UNSUPPORTED);
	EXPECT(t, strstr(error.text, "version 2") != NULL);
	munmap(lab.want, MEMORY_BYTES);
}

static int try_entry(struct test *t, struct lab *lab, unsigned chunk, uint64_t where, uint32_t word,
		     struct saved_error *error)
{
	uint8_t bytes[FILE_MAX];
	uint8_t *index = bytes + lab->header.index_offset;
	struct saved_header h = lab->header;

	memcpy(bytes, lab->bytes, lab->count);
	store_le64(index + chunk * SAVED_ENTRY_BYTES, where);
	store_le32(index + chunk * SAVED_ENTRY_BYTES + 8, word);
	h.index_checksum = crc32c(0, index, (size_t)h.index_bytes);
	saved_header_encode(&h, bytes);
	return try_bytes(t, lab, bytes, lab->count, error);
}

static void test_entries(struct test *t)
{
	static struct lab lab;

	make(&lab);
	struct saved_entry packed, raw;

	CHECK(saved_entry_decode(lab.index, &packed) && packed.kind == SAVED_KIND_ZSTD);
	CHECK(saved_entry_decode(lab.index + 48, &raw) && raw.kind == SAVED_KIND_RAW);
	const uint32_t kind2 = SAVED_KIND_RAW << 24, kind3 = SAVED_KIND_ZSTD << 24;
	const struct {
		uint32_t chunk, word;
		uint64_t where;
		const char *text;
	} rows[] = {
		{0, packed.bytes | 4u << 24, packed.where, "known kind"},
		{0, packed.bytes | 0xffu << 24, packed.where, "known kind"},
		{0, packed.bytes, packed.where, "chunk 0"},	       /* zeros with data */
		{0, packed.bytes | 1u << 24, packed.where, "chunk 0"}, /* a word with data */
		{0, kind3, packed.where, "chunk 0"},		       /* no data */
		{0, SAVED_CHUNK_BYTES | kind3, packed.where, "chunk 0"},
		{0, 0xffffff | kind3, packed.where, "chunk 0"},
		{0, packed.bytes | kind3, lab.count - packed.bytes + 1, "chunk 0"},
		{0, packed.bytes | kind3, UINT64_MAX, "chunk 0"},
		{0, packed.bytes | kind2, packed.where, "chunk 0"},  /* raw, but shorter */
		{0, packed.bytes | kind3, packed.where + 1, "0x0,"}, /* other data */
		{0, (packed.bytes - 1) | kind3, packed.where, "0x0,"},
		{3, 4095 | kind2, raw.where, "chunk 3"},
		{3, 4096 | kind3, raw.where, "chunk 3"},
		{3, 4096 | kind2, raw.where - 1, "0x30000,"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct saved_error error = {""};
		int r = try_entry(t, &lab, rows[i].chunk, rows[i].where, rows[i].word, &error);

		if (r != SAVED_CORRUPT || strstr(error.text, rows[i].text) == NULL) {
			test_fail(t, __FILE__, __LINE__, "row %zu: %d: %s", i, r, error.text);
		}
	}
	munmap(lab.want, MEMORY_BYTES);
}

/* Packed data whose checksum is right, but which gives more or less than a chunk, or nothing at all. */
static void test_packed_data(struct test *t)
{
	static uint8_t plain[2 * SAVED_CHUNK_BYTES];
	static const size_t sizes[] = {0, 1, SAVED_CHUNK_BYTES - 1, SAVED_CHUNK_BYTES + 1,
				       2 * SAVED_CHUNK_BYTES};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t bytes[4096], *to = malloc(SAVED_CHUNK_BYTES);
		size_t packed = ZSTD_compress(bytes, sizeof(bytes), plain, sizes[i], 1);
		struct saved_entry e = {.kind = SAVED_KIND_ZSTD,
					.bytes = (uint32_t)packed,
					.checksum = crc32c(0, bytes, packed)};
		struct chunk_unpacker u;

		CHECK(!ZSTD_isError(packed) && chunk_unpacker_init(&u) == 0);
		EXPECT(t, !chunk_unpack(&u, &e, bytes, SAVED_CHUNK_BYTES, to));
		e.bytes--;
		e.checksum = crc32c(0, bytes, e.bytes);
		EXPECT(t, !chunk_unpack(&u, &e, bytes, SAVED_CHUNK_BYTES, to));
		chunk_unpacker_fini(&u);
		free(to);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_every_byte),	TEST(test_every_length), TEST(test_longer),
		TEST(test_headers),	TEST(test_newer),	 TEST(test_entries),
		TEST(test_packed_data),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
