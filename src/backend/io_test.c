// SPDX-License-Identifier: Apache-2.0
/* Files and contexts, each test on both engines. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"
#include "engine.h"
#include "lib/bits.h"
#include "test/test.h"

#define MIB (UINT64_C(1) << 20)
#define NSEC_PER_MSEC UINT64_C(1000000)

struct fixture {
	struct test *t;
	struct backend *b;
	struct io_context *c;
	struct storage_file *f;
	int fd; /* the same file */
};

/* An unnamed file where the tests run: a real file system, if that is one. */
static int scratch_file(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : memfd_create("scratch", MFD_CLOEXEC);
}

static bool setup(struct fixture *x, struct test *t, const struct engine *engine, unsigned depth)
{
	int r = backend_create_with(engine, depth, &x->b);

	x->t = t;
	if (r < 0) {
		t->skipped = "the kernel gives no io_uring";
		return false;
	}
	x->c = backend_context(x->b);
	x->fd = scratch_file();
	r = backend_file(x->b, dup(x->fd), true, "scratch", &x->f);
	EXPECT_EQ(t, r, 0);
	return r == 0;
}

static void teardown(struct fixture *x)
{
	storage_file_close(x->f);
	close(x->fd);
	backend_destroy(x->b);
}

static void fill(uint8_t *p, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++) {
		p[i] = (uint8_t)((i * 7 + seed * 31 + (i >> 9)) | 1);
	}
}

static bool all_zero(const uint8_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (p[i] != 0) {
			return false;
		}
	}
	return true;
}

/* ---- Counting completions ---- */

struct tally {
	unsigned finished, failed;
	int last;
};

static void count_done(struct io_request *r, int result)
{
	struct tally *n = r->ctx;

	n->finished++;
	n->failed += result != 0;
	n->last = result;
}

static int run(struct fixture *x, struct io_request *r)
{
	struct tally n = {0};

	r->done = count_done;
	r->ctx = &n; /* cppcheck-suppress autoVariables ; it ends before this function does */
	storage_file_submit(x->f, r);
	EXPECT_EQ(x->t, n.finished, 0);
	while (n.finished == 0) {
		io_poll(x->c, true, UINT64_MAX);
	}
	EXPECT_EQ(x->t, n.finished, 1);
	return n.last;
}

static int run_range(struct fixture *x, enum io_op op, uint32_t flags, uint64_t offset,
		     uint64_t bytes)
{
	struct io_request r = {.op = op, .flags = flags, .offset = offset, .bytes = bytes};

	return run(x, &r);
}

/* ---- The tests ---- */

static void read_and_write(struct fixture *x)
{
	static uint8_t out[3 * MIB], in[3 * MIB];

	fill(out, sizeof(out), 1);
	EXPECT_EQ(x->t, storage_file_write(x->f, 12345, out, sizeof(out)), 0);
	EXPECT_EQ(x->t, storage_file_flush(x->f), 0);
	EXPECT_EQ(x->t, storage_file_read(x->f, 12345, in, sizeof(in)), 0);
	EXPECT_MEM(x->t, in, out, sizeof(in));
	EXPECT_EQ(x->t, storage_file_read(x->f, 0, in, 12345), 0);
	EXPECT(x->t, all_zero(in, 12345));
	EXPECT_EQ(x->t, pread(x->fd, in, 100, 12345), 100);
	EXPECT_MEM(x->t, in, out, 100);
}

static void read_beyond_end(struct fixture *x)
{
	uint8_t buf[4096];

	EXPECT_EQ(x->t, storage_file_write(x->f, 0, "abc", 3), 0);
	memset(buf, 0xcc, sizeof(buf));
	EXPECT_EQ(x->t, storage_file_read(x->f, 1, buf, sizeof(buf)), 0);
	EXPECT_MEM(x->t, buf, "bc", 2);
	EXPECT(x->t, all_zero(buf + 2, sizeof(buf) - 2));
	memset(buf, 0xcc, sizeof(buf));
	EXPECT_EQ(x->t, storage_file_read(x->f, UINT64_C(1) << 40, buf, sizeof(buf)), 0);
	EXPECT(x->t, all_zero(buf, sizeof(buf)));
}

/* More pieces than one system call takes, starting inside one of them, empty ones among them, more memory than bytes. */
static void many_pieces(struct fixture *x)
{
	enum { PIECES = 3000, PIECE = 100 };
	static uint8_t memory[PIECES][PIECE], back[PIECES * PIECE];
	static struct io_vec vec[2 * PIECES];
	const uint64_t bytes = PIECES * PIECE - 350;

	fill(&memory[0][0], sizeof(memory), 2);
	for (unsigned i = 0; i < PIECES; i++) {
		vec[2 * i] = (struct io_vec){memory[i], PIECE};
	}
	struct io_request r = {.op = IO_WRITE,
			       .offset = 77,
			       .bytes = bytes,
			       .vec = vec,
			       .vec_count = 2 * PIECES,
			       .vec_skip = 130};

	EXPECT_EQ(x->t, run(x, &r), 0);
	EXPECT_EQ(x->t, pread(x->fd, back, sizeof(back), 77), bytes);
	EXPECT_MEM(x->t, back, &memory[0][0] + 130, bytes);
	memset(memory, 0, sizeof(memory));
	r.op = IO_READ;
	EXPECT_EQ(x->t, run(x, &r), 0);
	EXPECT_MEM(x->t, &memory[0][0] + 130, back, bytes);
	EXPECT(x->t, all_zero(&memory[0][0], 130));
	EXPECT(x->t, all_zero(&memory[0][0] + 130 + bytes, 350 - 130));
}

/* Far more requests than the depth, on two files: none is lost, and every one moved its own data. */
static void more_than_depth(struct fixture *x)
{
	enum { REQUESTS = 500, BYTES = 1024 };
	static uint8_t out[REQUESTS][BYTES], in[REQUESTS][BYTES];
	static struct io_vec vec[REQUESTS];
	static struct io_request r[REQUESTS];
	struct storage_file *other;
	struct tally n = {0};

	EXPECT_EQ(x->t, backend_file(x->b, scratch_file(), true, "other", &other), 0);
	for (unsigned pass = 0; pass < 2; pass++) {
		n = (struct tally){0};
		for (unsigned i = 0; i < REQUESTS; i++) {
			fill(out[i], BYTES, i);
			vec[i] = (struct io_vec){pass == 0 ? out[i] : in[i], BYTES};
			r[i] = (struct io_request){.op = pass == 0 ? IO_WRITE : IO_READ,
						   .offset = i * BYTES,
						   .bytes = BYTES,
						   .vec = &vec[i],
						   .vec_count = 1,
						   .done = count_done,
						   .ctx = &n};
			storage_file_submit(i % 2 ? x->f : other, &r[i]);
		}
		while (n.finished < REQUESTS) {
			io_poll(x->c, true, UINT64_MAX);
		}
		EXPECT_EQ(x->t, n.failed, 0);
	}
	EXPECT_MEM(x->t, in, out, sizeof(in));
	storage_file_close(other);
}

static void write_through(struct fixture *x)
{
	uint8_t out[512], in[512];
	struct io_vec vec = {out, sizeof(out)};
	struct io_request r = {.op = IO_WRITE,
			       .flags = IO_FUA,
			       .offset = 512,
			       .bytes = sizeof(out),
			       .vec = &vec,
			       .vec_count = 1};

	fill(out, sizeof(out), 3);
	EXPECT_EQ(x->t, run(x, &r), 0);
	EXPECT_EQ(x->t, storage_file_read(x->f, 512, in, sizeof(in)), 0);
	EXPECT_MEM(x->t, in, out, sizeof(in));
}

static void zero_and_discard(struct fixture *x)
{
	static uint8_t out[MIB], in[MIB];
	static const struct {
		enum io_op op;
		uint32_t flags;
	} ways[] = {{IO_ZERO, 0},
		    {IO_ZERO, IO_FUA},
		    {IO_ZERO, IO_UNMAP},
		    {IO_ZERO, IO_UNMAP | IO_FUA},
		    {IO_DISCARD, 0}};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		fill(out, sizeof(out), (unsigned)i);
		EXPECT_EQ(x->t, storage_file_write(x->f, 0, out, sizeof(out)), 0);
		EXPECT_EQ(x->t, run_range(x, ways[i].op, ways[i].flags, 1000, 300000), 0);
		EXPECT_EQ(x->t, storage_file_read(x->f, 0, in, sizeof(in)), 0);
		EXPECT_MEM(x->t, in, out, 1000);
		EXPECT_MEM(x->t, in + 301000, out + 301000, sizeof(in) - 301000);
		EXPECT(x->t, ways[i].op == IO_DISCARD || all_zero(in + 1000, 300000));
		EXPECT(x->t, x->f->discard_granule_bytes == 0 || all_zero(in + 4096, 290000));
	}
}

/* Zeroing extends as writing does, discarding never. */
static void zero_beyond_end(struct fixture *x)
{
	uint64_t size = 0;

	EXPECT_EQ(x->t, storage_file_write(x->f, 0, "abc", 3), 0);
	EXPECT_EQ(x->t, run_range(x, IO_DISCARD, 0, 0, MIB), 0);
	EXPECT_EQ(x->t, storage_file_get_size(x->f, &size), 0);
	EXPECT_EQ(x->t, size, 3);
	EXPECT_EQ(x->t, run_range(x, IO_ZERO, IO_UNMAP, 2, 5000), 0);
	EXPECT_EQ(x->t, storage_file_get_size(x->f, &size), 0);
	EXPECT_EQ(x->t, size, 5002);
	EXPECT_EQ(x->t, run_range(x, IO_ZERO, 0, 1, 10000), 0);
	EXPECT_EQ(x->t, storage_file_get_size(x->f, &size), 0);
	EXPECT_EQ(x->t, size, 10001);
}

/* What a file system without the calls gets: the same contents. */
static void zero_by_hand(struct fixture *x)
{
	struct backend_file *f = container_of(x->f, struct backend_file, base);
	static uint8_t out[5 * MIB], in[5 * MIB];

	atomic_store(&f->no_punch, true);
	atomic_store(&f->no_zero_range, true);
	atomic_store(&f->no_dsync, true);
	fill(out, sizeof(out), 4);
	EXPECT_EQ(x->t, storage_file_write(x->f, 0, out, sizeof(out)), 0);
	EXPECT_EQ(x->t, run_range(x, IO_ZERO, IO_UNMAP | IO_FUA, 12345, 4 * MIB), 0);
	EXPECT_EQ(x->t, storage_file_read(x->f, 0, in, sizeof(in)), 0);
	EXPECT_MEM(x->t, in, out, 12345);
	EXPECT(x->t, all_zero(in + 12345, 4 * MIB));
	EXPECT_MEM(x->t, in + 12345 + 4 * MIB, out + 12345 + 4 * MIB, MIB - 12345);
}

static void sizes_and_extents(struct fixture *x)
{
	enum storage_extent what = STORAGE_DATA;
	uint64_t size, bytes;
	struct stat st;

	EXPECT_EQ(x->t, storage_file_set_size(x->f, 8 * MIB), 0);
	EXPECT_EQ(x->t, storage_file_get_size(x->f, &size), 0);
	EXPECT_EQ(x->t, size, 8 * MIB);
	EXPECT_EQ(x->t, x->f->ops->extent(x->f, 8 * MIB, &what, &bytes), (uint64_t)-ENXIO);
	EXPECT_EQ(x->t, storage_file_write(x->f, 4 * MIB, "data", 4), 0);
	EXPECT_EQ(x->t, fstat(x->fd, &st), 0);
	EXPECT_EQ(x->t, x->f->ops->extent(x->f, 4 * MIB + 1, &what, &bytes), 0);
	EXPECT_EQ(x->t, what, STORAGE_DATA);
	EXPECT(x->t, bytes >= 3 && bytes <= 4 * MIB - 1);
	EXPECT_EQ(x->t, x->f->ops->extent(x->f, 100, &what, &bytes), 0);
	if ((uint64_t)st.st_blocks * 512 < 8 * MIB) { /* the file system knows holes */
		EXPECT_EQ(x->t, what, STORAGE_HOLE);
		EXPECT_EQ(x->t, bytes, 4 * MIB - 100);
	}
	EXPECT_EQ(x->t, storage_file_set_size(x->f, 10), 0);
	EXPECT_EQ(x->t, storage_file_get_size(x->f, &size), 0);
	EXPECT_EQ(x->t, size, 10);
}

static void errors(struct fixture *x)
{
	struct storage_file *read_only;
	uint8_t buf[512] = {0};
	struct io_vec vec = {buf, sizeof(buf)};
	struct io_request r = {.op = IO_READ,
			       .offset = UINT64_MAX - 511,
			       .bytes = 512,
			       .vec = &vec,
			       .vec_count = 1};

	EXPECT_EQ(x->t, run(x, &r), (uint64_t)-EINVAL);
	EXPECT_EQ(x->t, run_range(x, IO_WRITE, 0, 0, 0), 0);
	EXPECT_EQ(x->t, backend_file(x->b, dup(x->fd), false, "ro", &read_only), 0);
	EXPECT_EQ(x->t, storage_file_write(read_only, 0, buf, 512), (uint64_t)-EROFS);
	EXPECT_EQ(x->t, storage_file_zero(read_only, 0, 512, true), (uint64_t)-EROFS);
	EXPECT_EQ(x->t, storage_file_set_size(read_only, 0), (uint64_t)-EROFS);
	EXPECT_EQ(x->t, storage_file_flush(read_only), 0);
	storage_file_close(read_only);

	/* The kernel's own refusal comes back too: the descriptor cannot write. */
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", x->fd);
	EXPECT_EQ(x->t,
		  backend_file(x->b, open(path, O_RDONLY | O_CLOEXEC), true, "lie", &read_only), 0);
	EXPECT_EQ(x->t, storage_file_write(read_only, 0, buf, 512), (uint64_t)-EBADF);
	storage_file_close(read_only);

	int pipe_fds[2];

	EXPECT_EQ(x->t, pipe(pipe_fds), 0);
	EXPECT_EQ(x->t, backend_file(x->b, pipe_fds[0], false, "pipe", &read_only),
		  (uint64_t)-EINVAL);
	close(pipe_fds[1]);
}

/* ---- Waiting ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void *wake_main(void *arg)
{
	struct backend *b = arg;

	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
	backend_wake(b);
	return NULL;
}

/* A timeout ends a sleep; a wake-up ends one, the present or the next; and a sleep is a sleep: it uses no processor time. */
static void sleeping(struct fixture *x)
{
	struct timespec cpu;
	pthread_t thread;

	for (unsigned i = 0; i < 3; i++) {
		backend_wake(x->b);
		backend_wake(x->b);
		io_poll(x->c, true, UINT64_MAX); /* returns: woken before */
		pthread_create(&thread, NULL, wake_main, x->b);
		io_poll(x->c, true,
			UINT64_MAX); /* returns: woken by the thread, or by what was left of the first */
		pthread_join(thread, NULL);
		io_poll(x->c, true, 0);
	}
	uint64_t start = now_ns();

	while (now_ns() - start < 100 * NSEC_PER_MSEC) {
		io_poll(x->c, true, 100 * NSEC_PER_MSEC);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	uint64_t before = (uint64_t)cpu.tv_nsec + (uint64_t)cpu.tv_sec * 1000000000;

	io_poll(x->c, true, 300 * NSEC_PER_MSEC);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	EXPECT(x->t, (uint64_t)cpu.tv_nsec + (uint64_t)cpu.tv_sec * 1000000000 - before <
			     100 * NSEC_PER_MSEC);
}

/* The wake-up must not be lost between two polls, however the threads run. */
struct pingpong {
	struct backend *b;
	atomic_uint rung, heard;
};

static void *ring_main(void *arg)
{
	struct pingpong *p = arg;

	for (unsigned i = 1; i <= 2000; i++) {
		atomic_store(&p->rung, i);
		backend_wake(p->b);
		while (atomic_load(&p->heard) != i) {
			sched_yield();
		}
	}
	return NULL;
}

static void wakes_are_not_lost(struct fixture *x)
{
	struct pingpong p = {.b = x->b};
	uint8_t buf[64];
	pthread_t thread;
	unsigned seen = 0;

	pthread_create(&thread, NULL, ring_main, &p);
	while (seen < 2000) {
		unsigned rung = atomic_load(&p.rung);

		if (rung != seen) {
			seen = rung;
			atomic_store(&p.heard, seen);
			if (seen % 16 == 0) {
				EXPECT_EQ(x->t, storage_file_read(x->f, seen, buf, sizeof(buf)), 0);
			}
			continue;
		}
		io_poll(x->c, true, UINT64_MAX);
	}
	pthread_join(thread, NULL);
}

/* Made and first used on one thread, which goes on doing something else or ends, then used on another. */
static void *second_owner(void *arg)
{
	struct fixture *x = arg;

	wakes_are_not_lost(x);
	read_and_write(x);
	sleeping(x);
	return NULL;
}

static void changing_threads(struct fixture *x)
{
	pthread_t thread;

	for (unsigned i = 0; i < 3; i++) {
		read_and_write(x);
		EXPECT_EQ(x->t, pthread_create(&thread, NULL, second_owner, x), 0);
		pthread_join(thread, NULL);
	}
	read_and_write(x);
	wakes_are_not_lost(x);
}

/* ---- Both engines ---- */

static void on(const struct engine *engine, unsigned depth, struct test *t,
	       void (*fn)(struct fixture *x))
{
	struct fixture x;

	if (setup(&x, t, engine, depth)) {
		fn(&x);
		teardown(&x);
	}
}

#define BOTH(name)                                                                                 \
	static void name##_uring(struct test *t)                                                   \
	{                                                                                          \
		on(&engine_uring, 8, t, name);                                                     \
	}                                                                                          \
	static void name##_threads(struct test *t)                                                 \
	{                                                                                          \
		on(&engine_threads, 8, t, name);                                                   \
	}
BOTH(read_and_write)
BOTH(read_beyond_end)
BOTH(many_pieces)
BOTH(more_than_depth)
BOTH(write_through)
BOTH(zero_and_discard)
BOTH(zero_beyond_end)
BOTH(zero_by_hand)
BOTH(sizes_and_extents)
BOTH(errors)
BOTH(sleeping)
BOTH(wakes_are_not_lost)
BOTH(changing_threads)

#define TEST_BOTH(name) TEST(name##_uring), TEST(name##_threads)

int main(void)
{
	static const struct test_case cases[] = {
		TEST_BOTH(read_and_write),    TEST_BOTH(read_beyond_end),
		TEST_BOTH(many_pieces),	      TEST_BOTH(more_than_depth),
		TEST_BOTH(write_through),     TEST_BOTH(zero_and_discard),
		TEST_BOTH(zero_beyond_end),   TEST_BOTH(zero_by_hand),
		TEST_BOTH(sizes_and_extents), TEST_BOTH(errors),
		TEST_BOTH(sleeping),	      TEST_BOTH(wakes_are_not_lost),
		TEST_BOTH(changing_threads),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
