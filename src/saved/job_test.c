// SPDX-License-Identifier: Apache-2.0
/* Jobs that do not come to a good end, and what is left of them; jobs in a worker's sandbox. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/sandbox.h"
#include "job.h"
#include "lab_test.h"
#include "lib/bits.h"
#include "test/test.h"

#define BYTES (UINT64_C(64) << 20)
#define PROCESSES 3u

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	CHECK(dir != NULL);
	while (readdir(dir) != NULL) {
		count++;
	}
	closedir(dir);
	return count;
}

static bool no_children(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static bool refused(int fd, struct saved_error *error)
{
	struct saved_file *f;
	int r = saved_open(fd, &f, error);

	if (r == 0) {
		saved_close(f);
	}
	return r == SAVED_NOT_ONE || r == SAVED_TRUNCATED;
}

/* The host may have been so busy with others that the job came to its end. */
static bool refused_or_whole(int fd)
{
	struct saved_error error = {""};
	struct saved_file *f;

	if (saved_open(fd, &f, &error) != 0) {
		return refused(fd, &error);
	}
	uint8_t *loaded = lab_map(BYTES);
	bool whole = saved_load(f, loaded, 1, &error) == 0;

	munmap(loaded, BYTES);
	saved_close(f);
	return whole;
}

static struct saved_image random_image(void)
{
	uint8_t *memory = lab_map(BYTES);

	lab_fill(memory, BYTES, LAB_RANDOM, 9);
	return (struct saved_image){memory, BYTES, "state", 6};
}

static void drop_image(const struct saved_image *image)
{
	munmap((void *)(uintptr_t)image->memory, image->memory_bytes);
}

static void test_cancel(struct test *t)
{
	struct saved_image image = random_image();
	unsigned before = open_descriptors();

	for (unsigned i = 0; i < 20; i++) {
		struct saved_job *j;
		int fd = lab_file();

		CHECK(saved_start(fd, &image, PROCESSES, &j) == 0);
		usleep(i * 500);
		saved_job_destroy(j);
		EXPECT(t, no_children());
		EXPECT(t, refused_or_whole(fd));
		close(fd);
		EXPECT_EQ(t, open_descriptors(), before);
	}
	drop_image(&image);
}

static void test_progress(struct test *t)
{
	struct saved_image image = random_image();
	struct saved_error error = {""};
	struct saved_job *j;
	uint64_t done = 0, before = 0, total = 0;
	int fd = lab_file(), r;

	CHECK(saved_start(fd, &image, PROCESSES, &j) == 0);
	while ((r = saved_job_poll(j, &done, &total, &error)) == 1) {
		EXPECT(t, done >= before && done <= total);
		before = done;
		usleep(1000);
	}
	EXPECT_EQ(t, r, 0);
	EXPECT_EQ(t, done, BYTES);
	EXPECT_EQ(t, total, BYTES);
	EXPECT_EQ(t, saved_job_poll(j, &done, &total, &error), 0);
	EXPECT(t, no_children());
	saved_job_destroy(j);
	close(fd);
	drop_image(&image);
}

/* ---- Errors of the host ---- */

static void test_no_space(struct test *t)
{
	struct saved_image image = random_image();
	struct saved_error error = {""};
	int fd = open("/dev/full", O_WRONLY);

	EXPECT_EQ(t, lab_save(fd, &image, PROCESSES, &error), -ENOSPC);
	EXPECT(t, strstr(error.text, strerror(ENOSPC)) != NULL);
	EXPECT(t, no_children());
	close(fd);
	drop_image(&image);
}

/* The file may not grow beyond a limit, which lies in the devices' state, in the memory, in the index, or behind the end. */
static void test_file_limit(struct test *t)
{
	static const struct {
		uint64_t limit;
		int result;
		const char *text;
	} rows[] = {
		{SAVED_HEADER_BYTES + 2, -EFBIG, "devices"},
		{SAVED_HEADER_BYTES + BYTES / 2, -EFBIG, "memory"},
		{SAVED_HEADER_BYTES + 6 + BYTES + 16, -EFBIG, "index"},
		{SAVED_HEADER_BYTES + 6 + BYTES + BYTES / 4096, 0, ""},
	};
	struct saved_image image = random_image();
	struct rlimit old, limit;

	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct saved_error error = {""};
		int fd = lab_file();

		limit = (struct rlimit){rows[i].limit, old.rlim_max};
		CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
		int r = lab_save(fd, &image, 1, &error);

		CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
		if (r != rows[i].result || strstr(error.text, rows[i].text) == NULL) {
			test_fail(t, __FILE__, __LINE__, "row %zu: %d: %s", i, r, error.text);
		}
		EXPECT(t, r == 0 || refused(fd, &error));
		close(fd);
	}
	drop_image(&image);
}

static void test_bad_descriptor(struct test *t)
{
	struct saved_image image = random_image();
	struct saved_error error = {""};
	int fd = open("/dev/null", O_RDONLY);

	EXPECT_EQ(t, lab_save(fd, &image, 1, &error), -EBADF);
	close(fd);
	drop_image(&image);
}

/* The job's end after one of its processes was killed, as by a host without memory. */
static int kill_one(struct test *t, const struct saved_image *image, unsigned which,
		    struct saved_error *error)
{
	struct saved_job *j;
	int fd = lab_file(), pidfd = -1;

	CHECK(saved_start(fd, image, PROCESSES, &j) == 0);
	while ((pidfd = *(volatile int *)&j->shared->pidfds[which]) < 0 &&
	       !process_ended(saved_job_fd(j))) {
		usleep(10);
	}
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	int r = lab_wait(j, error);

	EXPECT(t, no_children());
	saved_job_destroy(j);
	if (r != 0) {
		struct saved_error why = {""};

		EXPECT(t, refused(fd, &why));
	}
	close(fd);
	return r;
}

static void test_killed(struct test *t)
{
	struct saved_image image = random_image();

	for (unsigned which = 0; which < PROCESSES; which++) {
		struct saved_error error = {""};
		int r = 0;

		/* On a busy host it may have ended before. */
		for (unsigned i = 0; i < 100 && r == 0; i++) {
			r = kill_one(t, &image, which, &error);
		}
		EXPECT_EQ(t, r, -ECHILD);
		EXPECT(t, strstr(error.text, "killed") != NULL);
	}
	drop_image(&image);
}

/* ---- The starter dies ---- */

static void test_starter_killed(struct test *t)
{
	struct saved_image image = random_image();

	for (unsigned i = 0; i < 10; i++) {
		struct saved_job *j;
		int fd = lab_file(), alive[2];
		char c;

		CHECK(pipe(alive) == 0);
		pid_t starter = fork();

		CHECK(starter >= 0);
		if (starter == 0) {
			CHECK(saved_start(fd, &image, PROCESSES, &j) == 0);
			usleep(i * 500);
			raise(SIGKILL);
		}
		close(alive[1]);
		/* The end of the pipe is closed by the last of the processes. */
		struct pollfd p = {.fd = alive[0], .events = POLLIN};

		EXPECT_EQ(t, poll(&p, 1, 60000), 1);
		EXPECT_EQ(t, read(alive[0], &c, 1), 0);
		EXPECT(t, refused_or_whole(fd));
		waitpid(starter, NULL, 0);
		close(alive[0]);
		close(fd);
	}
	drop_image(&image);
}

/* ---- In the sandbox ---- */

static bool same(const struct saved_image *image, void *ram)
{
	return memcmp(image->memory, ram, image->memory_bytes) == 0;
}

static int save_and_load_inside(void)
{
	struct saved_image image = random_image();
	uint8_t *loaded = lab_map(BYTES);
	struct saved_error error = {""};
	struct saved_file *f;
	int fd = lab_file();

	CHECK(sandbox_enter(NULL) == 0);
	if (lab_save(fd, &image, PROCESSES, &error) != 0 || saved_open(fd, &f, &error) != 0 ||
	    saved_load(f, loaded, 1, &error) != 0) {
		return 1;
	}
	saved_close(f);
	return same(&image, loaded) ? 0 : 2;
}

static void ignore_end(void *ctx, int result, const struct saved_error *error)
{
}

static int load_lazily_inside(void)
{
	const struct saved_lazy_events events = {ignore_end, NULL};
	struct saved_image image = random_image();
	uint8_t *loaded = lab_map(BYTES);
	struct saved_lazy *lazy;
	struct saved_error error = {""};
	struct saved_file *f;
	int fd = lab_file();

	CHECK(lab_save(fd, &image, PROCESSES, &error) == 0 && saved_open(fd, &f, &error) == 0);
	int r = saved_lazy_start(f, loaded, 2, &events, &lazy);

	if (r == -ENOSYS || r == -EPERM) {
		return 0;
	}
	CHECK(r == 0 && sandbox_enter(NULL) == 0);
	bool early = loaded[BYTES - 1] == ((const uint8_t *)image.memory)[BYTES - 1];

	madvise(loaded + BYTES / 2, 4096, MADV_DONTNEED);
	saved_lazy_touch(lazy, loaded + BYTES / 2, 4096);
	memcpy(loaded + BYTES / 2, (const uint8_t *)image.memory + BYTES / 2, 4096);
	r = saved_lazy_finish(lazy, &error);
	saved_lazy_destroy(lazy);
	return r == 0 && early && same(&image, loaded) ? 0 : 3;
}

static void run_apart(struct test *t, const char *what, int (*fn)(void))
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		_exit(fn());
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (status != 0) {
		test_fail(t, __FILE__, __LINE__, "%s: ended with 0x%x", what, (unsigned)status);
	}
}

static void test_sandbox(struct test *t)
{
	run_apart(t, "save and load", save_and_load_inside);
	run_apart(t, "load lazily", load_lazily_inside);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_cancel),	   TEST(test_progress),	      TEST(test_no_space),
		TEST(test_file_limit),	   TEST(test_bad_descriptor), TEST(test_killed),
		TEST(test_starter_killed), TEST(test_sandbox),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
