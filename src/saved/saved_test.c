// SPDX-License-Identifier: Apache-2.0
/* What is saved comes back, whatever it is. */
#include "lab_test.h"
#include "lib/bits.h"
#include "test/test.h"

static const char devices[] = "what the devices had to say";

/* Into a file and back, by so many processes and threads. */
static void round_trip(struct test *t, const char *what, uint64_t bytes, enum lab_content content,
		       unsigned parallel)
{
	uint8_t *memory = lab_map(bytes), *loaded = lab_map(bytes);
	struct saved_image image = {memory, bytes, devices, sizeof(devices)};
	struct saved_error error = {""};
	struct saved_file *f;
	size_t device_bytes;
	int fd = lab_file(), r;

	lab_fill(memory, bytes, content, bytes);
	r = lab_save(fd, &image, parallel, &error);
	if (r == 0) {
		r = saved_open(fd, &f, &error);
	}
	if (r == 0) {
		EXPECT_EQ(t, saved_memory_bytes(f), bytes);
		EXPECT(t, memcmp(saved_devices(f, &device_bytes), devices, sizeof(devices)) == 0);
		EXPECT_EQ(t, device_bytes, sizeof(devices));
		r = saved_load(f, loaded, parallel, &error);
		saved_close(f);
	}
	if (r != 0 || memcmp(memory, loaded, bytes) != 0) {
		test_fail(t, __FILE__, __LINE__, "%s, content %d, %u at once: %d: %s", what,
			  content, parallel, r, error.text);
	}
	munmap(memory, bytes);
	munmap(loaded, bytes);
	close(fd);
}

static void test_round_trips(struct test *t)
{
	static const struct {
		const char *what;
		uint64_t bytes;
	} sizes[] = {
		{"a page", 4096},
		{"a chunk less a page", SAVED_CHUNK_BYTES - 4096},
		{"a chunk", SAVED_CHUNK_BYTES},
		{"a chunk and a page", SAVED_CHUNK_BYTES + 4096},
		{"a group", SAVED_GROUP_BYTES},
		{"a group and a page", SAVED_GROUP_BYTES + 4096},
		{"groups and a bit", 5 * SAVED_GROUP_BYTES + 3 * SAVED_CHUNK_BYTES + 8192},
	};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int content = 0; content < LAB_CONTENTS; content++) {
			for (unsigned parallel = 1; parallel <= 3; parallel += 2) {
				round_trip(t, sizes[i].what, sizes[i].bytes,
					   (enum lab_content)content, parallel);
			}
		}
	}
}

static uint64_t file_size(int fd)
{
	return (uint64_t)lseek(fd, 0, SEEK_END);
}

static uint64_t saved_size(enum lab_content content, uint64_t bytes)
{
	uint8_t *memory = lab_map(bytes);
	struct saved_image image = {memory, bytes, NULL, 0};
	struct saved_error error = {""};
	int fd = lab_file();

	lab_fill(memory, bytes, content, 1);
	CHECK(lab_save(fd, &image, 2, &error) == 0);
	uint64_t size = file_size(fd);

	munmap(memory, bytes);
	close(fd);
	return size;
}

/* Zeros and repetitions cost their entry in the index; what does not shrink costs no more than it is. */
static void test_sizes(struct test *t)
{
	const uint64_t bytes = UINT64_C(64) << 20;
	const uint64_t least = SAVED_HEADER_BYTES + saved_chunks(bytes) * SAVED_ENTRY_BYTES;

	EXPECT_EQ(t, saved_size(LAB_ZERO, bytes), least);
	EXPECT_EQ(t, saved_size(LAB_REPEAT, bytes), least);
	EXPECT_EQ(t, saved_size(LAB_RANDOM, bytes), least + bytes);
	EXPECT(t, saved_size(LAB_TEXT, bytes) < least + bytes * 3 / 4);
	EXPECT(t, saved_size(LAB_SPARSE, bytes) < least + bytes / 20);
}

static void test_data_bytes(struct test *t)
{
	uint8_t *memory = lab_map(4 * SAVED_CHUNK_BYTES);
	struct saved_image image = {memory, 4 * SAVED_CHUNK_BYTES, NULL, 0};
	struct saved_error error = {""};
	struct saved_file *f;
	int fd = lab_file();

	memory[SAVED_CHUNK_BYTES + 17] = 1;
	CHECK(lab_save(fd, &image, 1, &error) == 0 && saved_open(fd, &f, &error) == 0);
	EXPECT_EQ(t, saved_data_bytes(f), SAVED_CHUNK_BYTES);
	saved_close(f);
	munmap(memory, image.memory_bytes);
	close(fd);
}

/* What is changed as soon as the job was started is not in the file, and nor is the devices' state. */
static void test_the_moment(struct test *t)
{
	const uint64_t bytes = UINT64_C(32) << 20;
	uint8_t *memory = lab_map(bytes), *loaded = lab_map(bytes), *want = lab_map(bytes);
	char state[] = "then";
	struct saved_image image = {memory, bytes, state, sizeof(state)};
	struct saved_error error = {""};
	struct saved_job *j;
	struct saved_file *f;
	size_t device_bytes;
	int fd = lab_file();

	lab_fill(memory, bytes, LAB_MIXED, 5);
	memcpy(want, memory, bytes);
	CHECK(saved_start(fd, &image, 2, &j) == 0);
	memset(memory, 0xee, bytes);
	memset(state, 'x', 4);
	EXPECT_EQ(t, lab_wait(j, &error), 0);
	saved_job_destroy(j);
	CHECK(saved_open(fd, &f, &error) == 0 && saved_load(f, loaded, 2, &error) == 0);
	EXPECT(t, memcmp(loaded, want, bytes) == 0);
	EXPECT(t, memcmp(saved_devices(f, &device_bytes), "then", 5) == 0);
	saved_close(f);
	munmap(memory, bytes);
	munmap(loaded, bytes);
	munmap(want, bytes);
	close(fd);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_round_trips),
		TEST(test_sizes),
		TEST(test_data_bytes),
		TEST(test_the_moment),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
