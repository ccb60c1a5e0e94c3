// SPDX-License-Identifier: Apache-2.0
/* Each read, write, flush and allocation fails once, in every process; and the order of what is written. The linker puts this in between. */
#include <errno.h>
#include <stdatomic.h>

#include "lab_test.h"
#include "lib/bits.h"
#include "test/test.h"

#define BYTES (2u * SAVED_GROUP_BYTES + SAVED_CHUNK_BYTES)
#define CALLS_MAX 64u

ssize_t __real_pwrite64(int fd, const void *data, size_t bytes, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t bytes, off_t offset);
ssize_t __real_pread64(int fd, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t bytes, off_t offset);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

struct call {
	bool flush;
	uint64_t offset;
	size_t bytes;
};

/* In memory that the writing processes share. */
struct trouble {
	_Atomic unsigned calls, allocations;
	_Atomic unsigned fail_call, fail_allocation; /* the so many-th; 0: none */
	_Atomic size_t most_bytes;		     /* of a call; 0: all */
	struct call made[CALLS_MAX];
};

static struct trouble *trouble;

static bool fails(bool flush, uint64_t offset, size_t bytes)
{
	unsigned n = atomic_fetch_add(&trouble->calls, 1);

	if (n < CALLS_MAX) {
		trouble->made[n] = (struct call){flush, offset, bytes};
	}
	errno = EIO;
	return n + 1 == trouble->fail_call;
}

static size_t part_of(size_t bytes)
{
	return trouble->most_bytes != 0 ? min_u64(bytes, trouble->most_bytes) : bytes;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t bytes, off_t offset)
{
	return fails(false, (uint64_t)offset, bytes)
		       ? -1
		       : __real_pwrite64(fd, data, part_of(bytes), offset);
}

ssize_t __wrap_pread64(int fd, void *data, size_t bytes, off_t offset)
{
	return fails(false, (uint64_t)offset, bytes)
		       ? -1
		       : __real_pread64(fd, data, part_of(bytes), offset);
}

int __wrap_fsync(int fd)
{
	return fails(true, 0, 0) ? -1 : __real_fsync(fd);
}

static bool no_memory(void)
{
	return trouble != NULL &&
	       atomic_fetch_add(&trouble->allocations, 1) + 1 == trouble->fail_allocation;
}

void *__wrap_malloc(size_t bytes)
{
	return no_memory() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return no_memory() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return no_memory() ? NULL : __real_aligned_alloc(align, bytes);
}

static void begin(unsigned fail_call, unsigned fail_allocation)
{
	atomic_store(&trouble->calls, 0);
	atomic_store(&trouble->allocations, 0);
	atomic_store(&trouble->fail_call, fail_call);
	atomic_store(&trouble->fail_allocation, fail_allocation);
}

static struct saved_image make_image(void)
{
	uint8_t *memory = lab_map(BYTES);

	lab_fill(memory, BYTES, LAB_MIXED, 4);
	return (struct saved_image){memory, BYTES, "state", 6};
}

static int load_from(int fd, const struct saved_image *image, struct saved_error *error)
{
	uint8_t *ram = lab_map(BYTES);
	struct saved_file *f;
	int r = saved_open(fd, &f, error);

	if (r == 0) {
		r = saved_load(f, ram, 1, error);
		saved_close(f);
	}
	if (r == 0 && memcmp(ram, image->memory, BYTES) != 0) {
		r = 1000;
	}
	munmap(ram, BYTES);
	return r;
}

/* ---- Writing ---- */

/* Nothing in the place of the header until all the rest was flushed; then it, and a flush. */
static void test_order(struct test *t)
{
	struct saved_image image = make_image();
	struct saved_error error = {""};
	int fd = lab_file();

	begin(0, 0);
	EXPECT_EQ(t, lab_save(fd, &image, 3, &error), 0);
	unsigned calls = trouble->calls;
	const struct call *made = trouble->made;

	CHECK(calls > 5 && calls <= CALLS_MAX);
	for (unsigned i = 0; i < calls - 3; i++) {
		EXPECT(t, !made[i].flush && made[i].offset >= SAVED_HEADER_BYTES);
	}
	EXPECT(t, made[calls - 3].flush);
	EXPECT(t, !made[calls - 2].flush && made[calls - 2].offset == 0);
	EXPECT_EQ(t, made[calls - 2].bytes, SAVED_HEADER_BYTES);
	EXPECT(t, made[calls - 1].flush);
	close(fd);
}

static void test_each_write_fails(struct test *t)
{
	struct saved_image image = make_image();
	unsigned fail = 0;
	int r;

	do {
		struct saved_error error = {""};
		int fd = lab_file();

		begin(++fail, 0);
		r = lab_save(fd, &image, 3, &error);
		EXPECT(t, r == 0 || (r == -EIO && strstr(error.text, strerror(EIO)) != NULL));
		/* The header is there already when the flush after it fails. */
		bool there = r == 0 ||
			     (fail > 1 && trouble->made[fail - 2].bytes == SAVED_HEADER_BYTES &&
			      trouble->made[fail - 2].offset == 0);

		begin(0, 0);
		EXPECT_EQ(t, load_from(fd, &image, &error) == 0, there);
		close(fd);
	} while (r != 0);
	EXPECT(t,
	       fail > 7); /* state, three groups, index, flush, header, flush, and one time without */
}

static void test_short_calls(struct test *t)
{
	struct saved_image image = make_image();
	struct saved_error error = {""};
	int fd = lab_file();

	begin(0, 0);
	atomic_store(&trouble->most_bytes, 999);
	EXPECT_EQ(t, lab_save(fd, &image, 3, &error), 0);
	EXPECT_EQ(t, load_from(fd, &image, &error), 0);
	atomic_store(&trouble->most_bytes, 0);
	EXPECT_EQ(t, load_from(fd, &image, &error), 0);
	close(fd);
}

/* ---- Reading ---- */

static void test_each_read_fails(struct test *t)
{
	struct saved_image image = make_image();
	int fd = lab_file(), r;
	unsigned fail = 0;

	begin(0, 0);
	do {
		struct saved_error error = {""};

		if (fail == 0) {
			CHECK(lab_save(fd, &image, 1, &error) == 0);
		}
		begin(++fail, 0);
		r = load_from(fd, &image, &error);
		EXPECT(t, r == 0 || (r == -EIO && error.text[0] != '\0'));
	} while (r != 0);
	EXPECT_EQ(t, fail, 7); /* header, state, index, three groups, and one time without */
	close(fd);
}

static _Atomic int lazy_result;

static void on_ended(void *ctx, int result, const struct saved_error *error)
{
	atomic_store(&lazy_result, result);
}

/* Memory that comes when it is touched, with everything that reading or allocating may have against it. */
static int load_lazily(int fd, const struct saved_image *image, struct saved_error *error)
{
	const struct saved_lazy_events events = {on_ended, NULL};
	uint8_t *ram = lab_map(BYTES);
	struct saved_lazy *lazy;
	struct saved_file *f;
	int r = saved_open(fd, &f, error);

	if (r == 0) {
		r = saved_lazy_start(f, ram, 1, &events, &lazy);
		if (r == 0) {
			r = saved_lazy_finish(lazy, error);
			CHECK(lazy_result == r);
			saved_lazy_destroy(lazy);
			CHECK(r != 0 || memcmp(ram, image->memory, BYTES) == 0);
		}
		saved_close(f);
	}
	munmap(ram, BYTES);
	return r;
}

static void test_each_lazy_read_fails(struct test *t)
{
	struct saved_image image = make_image();
	struct saved_error error = {""};
	int fd = lab_file(), r;
	unsigned fail = 0;

	begin(0, 0);
	CHECK(lab_save(fd, &image, 1, &error) == 0);
	r = load_lazily(fd, &image, &error);
	if (r == -ENOSYS || r == -EPERM) {
		SKIP(t, "no userfaultfd here");
	}
	do {
		begin(++fail, 0);
		error.text[0] = '\0';
		r = load_lazily(fd, &image, &error);
		EXPECT(t, r == 0 || (r == -EIO && error.text[0] != '\0'));
	} while (r != 0);
	EXPECT_EQ(t, fail, 7);
	close(fd);
}

/* ---- Memory ---- */

static void test_each_allocation_fails(struct test *t)
{
	static int (*const loads[])(int fd, const struct saved_image *image,
				    struct saved_error *error) = {load_from, load_lazily};
	struct saved_image image = make_image();
	struct saved_error error = {""};
	int fd = lab_file(), r;
	unsigned fail = 0;

	do {
		CHECK(ftruncate(fd, 0) == 0);
		begin(0, ++fail);
		r = lab_save(fd, &image, 2, &error);
		EXPECT(t, r == 0 || r == -ENOMEM);
	} while (r != 0);
	EXPECT(t, fail > 1);
	for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
		fail = 0;
		do {
			begin(0, ++fail);
			r = loads[i](fd, &image, &error);
			EXPECT(t, r == 0 || r == -ENOMEM || r == -ENOSYS || r == -EPERM);
		} while (r == -ENOMEM);
		EXPECT(t, fail > 3);
	}
	begin(0, 0);
	close(fd);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_order),
		TEST(test_each_write_fails),
		TEST(test_short_calls),
		TEST(test_each_read_fails),
		TEST(test_each_lazy_read_fails),
		TEST(test_each_allocation_fails),
	};

	trouble = mmap(NULL, sizeof(*trouble), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	CHECK(trouble != MAP_FAILED);
	return test_main(cases, ARRAY_LEN(cases));
}
