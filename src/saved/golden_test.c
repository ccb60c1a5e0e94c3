// SPDX-License-Identifier: Apache-2.0
/*
 * Saved states of every version of the format that was ever written, in golden/: they stay loadable. What is in them is made here by rules that do not
 * change. For a new version: saved_golden_test FOLDER --write FILE.
 */
#include <fcntl.h>

#include "lab_test.h"
#include "lib/bits.h"
#include "test/test.h"

#define MEMORY_BYTES (5u * SAVED_CHUNK_BYTES + 4096)

static const char devices[] = "a golden state of devices";
static const char *folder;

/* Zeros, a word again and again, what shrinks, zeros, some bytes in zeros, and less than a chunk that does not. */
static void fill(uint8_t *memory)
{
	uint64_t state = 0x123456789abcdef1;

	memset(memory + SAVED_CHUNK_BYTES, 0x5a, SAVED_CHUNK_BYTES);
	for (size_t i = 0; i < SAVED_CHUNK_BYTES; i++) {
		memory[2 * SAVED_CHUNK_BYTES + i] = (uint8_t)(i >> 8);
	}
	for (size_t i = 0; i < 200; i++) {
		memory[4 * SAVED_CHUNK_BYTES + i * 320] = (uint8_t)(lab_random(&state) | 1);
	}
	for (size_t i = 0; i < 4096; i++) {
		memory[5 * SAVED_CHUNK_BYTES + i] = (uint8_t)lab_random(&state);
	}
}

static void test_version(struct test *t, const char *name)
{
	uint8_t *want = lab_map(MEMORY_BYTES), *ram = lab_map(MEMORY_BYTES);
	struct saved_error error = {""};
	struct saved_file *f;
	size_t device_bytes;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	fill(want);
	if (saved_open(fd, &f, &error) != 0) {
		test_fail(t, __FILE__, __LINE__, "%s: %s", name, error.text);
		return;
	}
	EXPECT_EQ(t, saved_memory_bytes(f), MEMORY_BYTES);
	EXPECT_EQ(t, saved_load(f, ram, 2, &error), 0);
	EXPECT_MEM(t, ram, want, MEMORY_BYTES);
	EXPECT_MEM(t, saved_devices(f, &device_bytes), devices, sizeof(devices));
	EXPECT_EQ(t, device_bytes, sizeof(devices));
	EXPECT_EQ(t, saved_data_bytes(f), 3u * SAVED_CHUNK_BYTES + 4096);
	saved_close(f);
	munmap(want, MEMORY_BYTES);
	munmap(ram, MEMORY_BYTES);
	close(fd);
}

static void test_1(struct test *t)
{
	test_version(t, "1.vmrs");
}

static int write_file(const char *path)
{
	struct saved_image image = {lab_map(MEMORY_BYTES), MEMORY_BYTES, devices, sizeof(devices)};
	struct saved_error error = {""};
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	fill((uint8_t *)(uintptr_t)image.memory);
	return lab_save(fd, &image, 1, &error) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {TEST(test_1)};

	CHECK(argc >= 2);
	folder = argv[1];
	if (argc == 4 && strcmp(argv[2], "--write") == 0) {
		return write_file(argv[3]);
	}
	return test_main(cases, ARRAY_LEN(cases));
}
