// SPDX-License-Identifier: Apache-2.0
/* Memory that comes when it is touched: right for everybody at any moment, whatever the background does. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lab_test.h"
#include "lib/bits.h"
#include "test/test.h"

#define BYTES (UINT64_C(48) << 20)
#define TOUCHERS 4u
#define NOBODY 65534

struct lab {
	uint8_t *want, *ram;
	int fd;
	struct saved_file *file;
	struct saved_lazy *lazy;
	_Atomic int ended; /* times */
	_Atomic int result;
	struct saved_error error;
};

static void on_ended(void *ctx, int result, const struct saved_error *error)
{
	struct lab *lab = ctx;

	if (result != 0) {
		lab->error = *error;
	}
	atomic_store(&lab->result, result);
	atomic_fetch_add(&lab->ended, 1);
}

static void save(struct lab *lab, uint64_t bytes, enum lab_content content)
{
	struct saved_error error = {""};

	*lab = (struct lab){.want = lab_map(bytes), .ram = lab_map(bytes), .fd = lab_file()};
	struct saved_image image = {lab->want, bytes, NULL, 0};

	lab_fill(lab->want, bytes, content, 3);
	madvise(lab->ram, bytes, MADV_HUGEPAGE);
	CHECK(lab_save(lab->fd, &image, 2, &error) == 0);
	CHECK(saved_open(lab->fd, &lab->file, &error) == 0);
}

static int start(struct lab *lab, unsigned threads)
{
	const struct saved_lazy_events events = {on_ended, lab};

	return saved_lazy_start(lab->file, lab->ram, threads, &events, &lab->lazy);
}

static void done(struct lab *lab, uint64_t bytes)
{
	saved_close(lab->file);
	munmap(lab->want, bytes);
	munmap(lab->ram, bytes);
	close(lab->fd);
}

static bool host_has_it(void)
{
	struct lab lab;

	save(&lab, 4096, LAB_RANDOM);
	int r = start(&lab, 1);

	if (r == 0) {
		saved_lazy_destroy(lab.lazy);
	}
	done(&lab, 4096);
	return r == 0;
}

/* ---- Everybody sees what was saved ---- */

struct toucher {
	struct lab *lab;
	uint64_t seed;
	unsigned wrong;
};

static void *touch_main(void *arg)
{
	struct toucher *t = arg;
	const uint64_t pages = BYTES / 4096;
	uint64_t state = t->seed;

	/* Each writes pages of its own, which nobody may take away again. */
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t page = lab_random(&state) % pages;
		uint8_t *p = t->lab->ram + page * 4096;

		if (page % 8 == t->seed) {
			memset(p, (int)page, 4096);
			memset(t->lab->want + page * 4096, (int)page, 4096);
		} else if (page % 8 > TOUCHERS) {
			t->wrong += memcmp(p, t->lab->want + page * 4096, 4096) != 0;
		}
	}
	return NULL;
}

static void touch_all(struct test *t, unsigned threads)
{
	struct toucher touchers[TOUCHERS];
	pthread_t ids[TOUCHERS];
	struct saved_error error = {""};
	struct lab lab;

	save(&lab, BYTES, LAB_MIXED);
	CHECK(start(&lab, threads) == 0);
	for (unsigned i = 0; i < TOUCHERS; i++) {
		touchers[i] = (struct toucher){.lab = &lab, .seed = i + 1};
		CHECK(pthread_create(&ids[i], NULL, touch_main, &touchers[i]) == 0);
	}
	for (unsigned i = 0; i < TOUCHERS; i++) {
		pthread_join(ids[i], NULL);
		EXPECT_EQ(t, touchers[i].wrong, 0);
	}
	EXPECT_EQ(t, saved_lazy_finish(lab.lazy, &error), 0);
	EXPECT(t, memcmp(lab.ram, lab.want, BYTES) == 0);
	saved_lazy_touch(lab.lazy, lab.ram, BYTES);
	saved_lazy_destroy(lab.lazy);
	EXPECT_EQ(t, lab.ended, 1);
	EXPECT_EQ(t, lab.result, 0);
	EXPECT(t, memcmp(lab.ram, lab.want, BYTES) == 0);
	done(&lab, BYTES);
}

static void test_touching(struct test *t)
{
	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	for (unsigned threads = 1; threads < 4; threads++) {
		touch_all(t, threads);
	}
}

/* Of all sizes and contents, and with nothing at all in it. */
static void test_contents(struct test *t)
{
	static const uint64_t sizes[] = {4096, SAVED_CHUNK_BYTES + 4096,
					 3 * SAVED_GROUP_BYTES + 5 * 4096};

	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int content = 0; content < LAB_CONTENTS; content++) {
			struct saved_error error = {""};
			struct lab lab;

			save(&lab, sizes[i], (enum lab_content)content);
			CHECK(start(&lab, 2) == 0);
			EXPECT(t, memcmp(lab.ram, lab.want, sizes[i]) == 0);
			EXPECT_EQ(t, saved_lazy_finish(lab.lazy, &error), 0);
			EXPECT(t, memcmp(lab.ram, lab.want, sizes[i]) == 0);
			saved_lazy_destroy(lab.lazy);
			EXPECT_EQ(t, lab.ended, 1);
			done(&lab, sizes[i]);
		}
	}
}

/* More pieces of data than are registered one by one. */
static void test_many_ranges(struct test *t)
{
	const uint64_t groups = 2100, bytes = groups * SAVED_GROUP_BYTES;
	struct saved_error error = {""};
	struct lab lab;

	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	lab = (struct lab){.want = lab_map(bytes), .ram = lab_map(bytes), .fd = lab_file()};
	/* Small pages: what is written takes that much memory, no more. */
	madvise(lab.want, bytes, MADV_NOHUGEPAGE);
	madvise(lab.ram, bytes, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < groups; i += 2) {
		lab.want[i * SAVED_GROUP_BYTES + 70000] = (uint8_t)(i + 1);
	}
	struct saved_image image = {lab.want, bytes, NULL, 0};

	CHECK(lab_save(lab.fd, &image, 2, &error) == 0);
	CHECK(saved_open(lab.fd, &lab.file, &error) == 0 && start(&lab, 2) == 0);
	for (uint64_t i = 0; i < groups; i++) {
		const uint8_t *p = lab.ram + i * SAVED_GROUP_BYTES;

		EXPECT_EQ(t, p[70000], lab.want[i * SAVED_GROUP_BYTES + 70000]);
		EXPECT_EQ(t, p[70001], 0);
	}
	EXPECT_EQ(t, saved_lazy_finish(lab.lazy, &error), 0);
	saved_lazy_destroy(lab.lazy);
	done(&lab, bytes);
}

/* Pages that are given back while the rest is loaded are zeros, or what was saved if they had not come yet; nobody hangs. */
static void test_discard(struct test *t)
{
	static const uint8_t zeros[4096];
	uint64_t state = 77;
	struct saved_error error = {""};
	struct lab lab;

	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	save(&lab, BYTES, LAB_RANDOM);
	CHECK(start(&lab, 1) == 0);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t at = lab_random(&state) % (BYTES / 4096) * 4096;

		madvise(lab.ram + at, 4096, MADV_DONTNEED);
		EXPECT(t, memcmp(lab.ram + at, zeros, 4096) == 0 ||
				  memcmp(lab.ram + at, lab.want + at, 4096) == 0);
	}
	EXPECT_EQ(t, saved_lazy_finish(lab.lazy, &error), 0);
	saved_lazy_destroy(lab.lazy);
	done(&lab, BYTES);
}

/*
 * The linker puts this one before the real one. Once, the page that came goes again, and is touched before its chunk counts as there; loading goes on
 * only when the touch was answered, for its end would answer everything.
 */
int __real_uffd_copy(int fd, void *to, const void *from, size_t bytes);
int __wrap_uffd_copy(int fd, void *to, const void *from, size_t bytes);

static struct {
	atomic_bool armed, touched;
	uint8_t *_Atomic page;
} gone;

static bool wait_touched(void)
{
	for (unsigned i = 0; i < 10000 && !atomic_load(&gone.touched); i++) {
		usleep(1000);
	}
	return atomic_load(&gone.touched);
}

int __wrap_uffd_copy(int fd, void *to, const void *from, size_t bytes)
{
	if (atomic_load(&gone.page) != NULL) {
		wait_touched();
	}
	int r = __real_uffd_copy(fd, to, from, bytes);

	if (atomic_exchange(&gone.armed, false)) {
		madvise(to, 4096, MADV_DONTNEED);
		atomic_store(&gone.page, to);
		usleep(50000); /* the touch asks for it meanwhile */
	}
	return r;
}

static void *touch_gone(void *ret_value)
{
	uint8_t *page;

	while ((page = atomic_load(&gone.page)) == NULL) {
		usleep(100);
	}
	*(uint8_t *)ret_value = *(volatile uint8_t *)page;
	atomic_store(&gone.touched, true);
	return NULL;
}

static void test_discard_at_once(struct test *t)
{
	struct saved_error error = {""};
	uint8_t value = 1;
	struct lab lab;
	pthread_t thread;

	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	save(&lab, BYTES / 8, LAB_RANDOM);
	CHECK(pthread_create(&thread, NULL, touch_gone, &value) == 0);
	atomic_store(&gone.armed, true);
	CHECK(start(&lab, 1) == 0);
	EXPECT(t, wait_touched());
	EXPECT_EQ(t, saved_lazy_finish(lab.lazy, &error), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(t, value, 0);
	atomic_store(&gone.page, NULL);
	saved_lazy_destroy(lab.lazy);
	done(&lab, BYTES / 8);
}

static void test_destroy_early(struct test *t)
{
	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	for (unsigned i = 0; i < 10; i++) {
		struct lab lab;

		save(&lab, BYTES / 8, LAB_RANDOM);
		CHECK(start(&lab, 2) == 0);
		EXPECT(t, memcmp(lab.ram + i * SAVED_GROUP_BYTES / 4,
				 lab.want + i * SAVED_GROUP_BYTES / 4, 4096) == 0);
		saved_lazy_destroy(lab.lazy);
		EXPECT(t, lab.ended <= 1);
		done(&lab, BYTES / 8);
	}
}

/* ---- A damaged file ---- */

static void *read_last(void *arg)
{
	struct lab *lab = arg;

	return (void *)(uintptr_t)(lab->ram[BYTES - 4096] + 1u);
}

static void test_damaged(struct test *t)
{
	struct saved_error error = {""};
	pthread_t thread;
	struct lab lab;
	void *got;

	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	save(&lab, BYTES, LAB_RANDOM);
	/* The data of some chunk; not the first, so that others were loaded. */
	CHECK(pwrite(lab.fd, "damage", 6, (off_t)(SAVED_HEADER_BYTES + BYTES / 2)) == 6);
	CHECK(start(&lab, 1) == 0);
	EXPECT_EQ(t, saved_lazy_finish(lab.lazy, &error), SAVED_CORRUPT);
	EXPECT(t, strstr(error.text, "offset") != NULL);
	EXPECT_EQ(t, lab.ended, 1);
	EXPECT_EQ(t, lab.result, SAVED_CORRUPT);
	EXPECT(t, strcmp(lab.error.text, error.text) == 0);
	/* Whoever waits for what will not come goes on when it is given up, and finds zeros. */
	CHECK(pthread_create(&thread, NULL, read_last, &lab) == 0);
	usleep(1000);
	saved_lazy_destroy(lab.lazy);
	pthread_join(thread, &got);
	EXPECT_EQ(t, (uintptr_t)got, 1);
	done(&lab, BYTES);
}

/* ---- The kernel's accesses ---- */

/* Without privilege: what is touched first can be read into. */
static int read_into(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	struct lab lab;

	CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0 || errno == EPERM);
	save(&lab, BYTES, LAB_RANDOM);
	CHECK(start(&lab, 1) == 0);
	uint8_t *p = lab.ram + BYTES - 3 * 4096 - 100;

	saved_lazy_touch(lab.lazy, p, 8192);
	ssize_t n = read(fd, p, 8192);
	bool right = n == 8192 && p[0] == 0 && p[8191] == 0 && p[-1] == lab.want[p - lab.ram - 1] &&
		     p[8192] == lab.want[p - lab.ram + 8192];

	saved_lazy_destroy(lab.lazy);
	return right ? 0 : 1;
}

static void test_touch_for_kernel(struct test *t)
{
	int status;

	if (!host_has_it()) {
		SKIP(t, "no userfaultfd here");
	}
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		_exit(read_into());
	}
	CHECK(waitpid(child, &status, 0) == child);
	EXPECT_EQ(t, status, 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_touching), TEST(test_contents),	  TEST(test_many_ranges),
		TEST(test_discard),  TEST(test_discard_at_once),  TEST(test_destroy_early),
		TEST(test_damaged),  TEST(test_touch_for_kernel),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
