// SPDX-License-Identifier: Apache-2.0
/*
 * Saved states by themselves: 1 GiB of memory, half of it in use (text, sparse data, random data), saved to a file and loaded from it.
 *
 *	saved_bench FOLDER PARALLEL	one run; each line: what, number, unit
 *
 * The pause is what a VM does not run because of memory: saved_start with all of 1 GiB in place, in large pages and in small ones.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "saved/saved.h"

#define BYTES (UINT64_C(1) << 30)
#define BLOCK_BYTES (UINT64_C(256) << 10)
#define HUGE_BYTES (UINT64_C(2) << 20)
#define TOUCHES 2000u
#define PAUSES 5u
#define RESTORED_S 3

struct bench {
	uint8_t *memory;
	unsigned parallel;
	int fd;
};

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "saved_bench: %s:%d: check failed: %s\n", file, line, expr);
	abort();
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void tell(const char *what, uint64_t ns)
{
	printf("%s %.3f ms\n", what, (double)ns / 1e6);
	fflush(stdout);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* ---- Memory ---- */

static uint8_t *map_memory(int advice)
{
	uint8_t *map = mmap(NULL, BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(map != MAP_FAILED);
	uint8_t *memory = map + (align_up((uintptr_t)map, HUGE_BYTES) - (uintptr_t)map);

	madvise(memory, BYTES, advice);
	return memory;
}

static void fill_text(uint8_t *p, uint64_t *state)
{
	static const char *const words[] = {
		"the ",	 "page ",   "int ",    "return ", "struct ", "kernel ", "0x00, ", "if (",
		") {\n", "} else ", "memory ", "of ",	  "device ", "static ", "= ",	  "->next"};

	for (size_t at = 0; at < BLOCK_BYTES;) {
		const char *word = words[next_random(state) % ARRAY_LEN(words)];
		size_t n = min_u64(strlen(word), BLOCK_BYTES - at);

		memcpy(p + at, word, n);
		at += n;
	}
}

static void fill_block(uint8_t *p, uint64_t *state)
{
	switch (next_random(state) % 8) {
	case 0: /* compressed or encrypted files in the page cache */
		for (size_t at = 0; at < BLOCK_BYTES; at += 8) {
			uint64_t word = next_random(state);

			memcpy(p + at, &word, 8);
		}
		break;
	case 1: /* tables and heaps */
	case 2:
	case 3:
		for (size_t at = 0; at < BLOCK_BYTES; at += 64) {
			uint64_t word =
				UINT64_C(0xffff888000000000) | (next_random(state) & 0xffffff8);

			memcpy(p + at, &word, 8);
		}
		break;
	default:
		fill_text(p, state);
	}
}

/* Half of the blocks, here and there. */
static void fill(uint8_t *memory)
{
	uint64_t state = 42;

	for (uint64_t at = 0; at < BYTES; at += BLOCK_BYTES) {
		if (next_random(&state) % 2 == 0) {
			fill_block(memory + at, &state);
		}
	}
}

/* ---- Measurements ---- */

static void wait_for(struct saved_job *j)
{
	struct pollfd p = {.fd = saved_job_fd(j), .events = POLLIN};
	struct saved_error error;
	uint64_t done, total;

	CHECK(poll(&p, 1, -1) == 1);
	int r = saved_job_poll(j, &done, &total, &error);

	if (r != 0) {
		fprintf(stderr, "saved_bench: %s\n", error.text);
		exit(1);
	}
}

static void measure_pause(const char *what, const uint8_t *memory)
{
	struct saved_image image = {memory, BYTES, NULL, 0};
	uint64_t ns[PAUSES];

	for (unsigned i = 0; i < PAUSES; i++) {
		int fd = memfd_create("pause", MFD_CLOEXEC);
		struct saved_job *j;
		uint64_t start = now_ns();

		CHECK(saved_start(fd, &image, 1, &j) == 0);
		ns[i] = now_ns() - start;
		saved_job_destroy(j);
		close(fd);
	}
	qsort(ns, PAUSES, sizeof(ns[0]), compare_u64);
	tell(what, ns[PAUSES / 2]);
}

static void bench_pause(const char *what, int advice)
{
	uint8_t *memory = map_memory(advice);

	for (uint64_t at = 0; at < BYTES; at += 4096) {
		memory[at] = 1;
	}
	measure_pause(what, memory);
	munmap(memory, BYTES);
}

/* Of a machine that was restored some seconds ago. */
static void pause_restored(const uint8_t *ram)
{
	sleep(RESTORED_S);
	measure_pause("pause-restored", ram);
}

static void bench_save(struct bench *b)
{
	struct saved_image image = {b->memory, BYTES, NULL, 0};
	struct saved_job *j;
	uint64_t start = now_ns();

	CHECK(saved_start(b->fd, &image, b->parallel, &j) == 0);
	wait_for(j);
	tell("save", now_ns() - start);
	saved_job_destroy(j);
	printf("size %.3f MiB\n", (double)lseek(b->fd, 0, SEEK_END) / (1 << 20));
}

static struct saved_file *open_file(struct bench *b)
{
	struct saved_error error;
	struct saved_file *f;

	if (saved_open(b->fd, &f, &error) != 0) {
		fprintf(stderr, "saved_bench: %s\n", error.text);
		exit(1);
	}
	return f;
}

static void bench_load(struct bench *b)
{
	uint8_t *ram = map_memory(MADV_HUGEPAGE);
	struct saved_error error;
	uint64_t start = now_ns();
	struct saved_file *f = open_file(b);

	CHECK(saved_load(f, ram, b->parallel, &error) == 0);
	tell("load", now_ns() - start);
	CHECK(memcmp(ram, b->memory, BYTES) == 0);
	saved_close(f);
	munmap(ram, BYTES);
}

static void ignore(void *ctx, int result, const struct saved_error *error)
{
}

/* Touches here and there while the rest is loaded, as a guest that goes on at once. */
static void touch(const struct bench *b, const uint8_t *ram)
{
	static uint64_t ns[TOUCHES];
	uint64_t state = 7;

	for (unsigned i = 0; i < TOUCHES; i++) {
		uint64_t at = next_random(&state) % BYTES, start = now_ns();

		CHECK(*(const volatile uint8_t *)(ram + at) == b->memory[at]);
		ns[i] = now_ns() - start;
	}
	qsort(ns, TOUCHES, sizeof(ns[0]), compare_u64);
	tell("lazy-touch-median", ns[TOUCHES / 2]);
	tell("lazy-touch-99", ns[TOUCHES * 99 / 100]);
	tell("lazy-touch-most", ns[TOUCHES - 1]);
}

static void bench_lazy(struct bench *b)
{
	const struct saved_lazy_events events = {ignore, NULL};
	uint8_t *ram = map_memory(MADV_HUGEPAGE);
	struct saved_error error;
	struct saved_lazy *lazy;
	uint64_t start = now_ns();
	struct saved_file *f = open_file(b);

	if (saved_lazy_start(f, ram, b->parallel, &events, &lazy) == 0) {
		CHECK(*(volatile uint8_t *)(ram + BYTES / 2) == b->memory[BYTES / 2]);
		tell("lazy-first", now_ns() - start);
		touch(b, ram);
		CHECK(saved_lazy_finish(lazy, &error) == 0);
		tell("lazy-all", now_ns() - start);
		pause_restored(ram);
		saved_lazy_destroy(lazy);
		CHECK(memcmp(ram, b->memory, BYTES) == 0);
	}
	saved_close(f);
	munmap(ram, BYTES);
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	char path[4096];

	if (argc != 3) {
		fprintf(stderr, "usage: saved_bench FOLDER PARALLEL\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/bench.vmrs", argv[1]);
	b.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (b.fd < 0) {
		perror(path);
		return 1;
	}
	unlink(path);
	b.parallel = (unsigned)strtoul(argv[2], NULL, 10);
	bench_pause("pause-large-pages", MADV_HUGEPAGE);
	bench_pause("pause-small-pages", MADV_NOHUGEPAGE);
	b.memory = map_memory(MADV_HUGEPAGE);
	fill(b.memory);
	bench_save(&b);
	bench_load(&b);
	bench_lazy(&b);
	return 0;
}
