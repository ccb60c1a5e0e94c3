// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to a virtual disk through the library and the backend that a worker uses, as `qemu-img bench` makes them: a fixed
 * depth, offsets that go on by a step (or are random), a flush now and then.
 *
 *	disk_bench FILE raw|vhd read|write SIZE DEPTH COUNT STEP|random FLUSH-EVERY
 *
 * Prints the seconds from the first submit to the last completion, without opening and closing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "lib/check.h"
#include "vhd/vhd.h"

#define PATTERN 0x5a

struct bench {
	struct block_device *disk;
	enum io_op op;
	size_t size;
	unsigned depth;
	uint64_t count; /* requests to submit */
	uint64_t step;	/* 0: random */
	uint64_t flush_every;
	uint64_t submitted, finished, offset, random, since_flush;
	unsigned in_flight;
	int error;
};

struct slot {
	struct io_request r;
	struct io_vec vec;
	struct bench *bench;
};

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "disk_bench: %s:%d: check failed: %s\n", file, line, expr);
	abort();
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t next_offset(struct bench *b)
{
	uint64_t places = b->disk->info.bytes / b->size, offset = b->offset;

	if (b->step != 0) {
		b->offset = (b->offset + b->step) % b->disk->info.bytes;
		return offset + b->size <= b->disk->info.bytes ? offset : 0;
	}
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random % places * b->size;
}

static void submit_next(struct slot *s)
{
	struct bench *b = s->bench;

	if (b->flush_every != 0 && b->since_flush == b->flush_every) {
		b->since_flush = 0;
		s->r.op = IO_FLUSH;
	} else {
		s->r.op = b->op;
		s->r.offset = next_offset(b);
		s->r.bytes = b->size;
		b->submitted++;
		b->since_flush++;
	}
	b->in_flight++;
	block_submit(b->disk, &s->r);
}

static void done(struct io_request *r, int result)
{
	struct slot *s = r->ctx;
	struct bench *b = s->bench;

	b->in_flight--;
	if (result != 0) {
		b->error = result;
	} else if (b->submitted < b->count) {
		submit_next(s);
	}
}

static double run(struct bench *b)
{
	struct slot *slots = calloc(b->depth, sizeof(*slots));
	double started;

	CHECK(slots != NULL);
	for (unsigned i = 0; i < b->depth; i++) {
		slots[i].bench = b;
		slots[i].vec = (struct io_vec){
			aligned_alloc(4096, (b->size + 4095) & ~(size_t)4095), b->size};
		CHECK(slots[i].vec.base != NULL);
		memset(slots[i].vec.base, PATTERN, b->size);
		slots[i].r = (struct io_request){
			.vec = &slots[i].vec, .vec_count = 1, .done = done, .ctx = &slots[i]};
	}
	started = now_s();
	for (unsigned i = 0; i < b->depth && b->submitted < b->count; i++) {
		submit_next(&slots[i]);
	}
	while (b->in_flight != 0) {
		io_poll(b->disk->context, true, UINT64_MAX);
	}
	double seconds = now_s() - started;

	for (unsigned i = 0; i < b->depth; i++) {
		free(slots[i].vec.base);
	}
	free(slots);
	return seconds;
}

int main(int argc, char **argv)
{
	struct bench b = {.random = UINT64_C(0x9e3779b97f4a7c15)};
	struct backend *backend;
	struct vhd_error error;
	struct vhd_host host;
	struct vhd_disk *disk;

	if (argc != 9) {
		fprintf(stderr,
			"usage: disk_bench FILE raw|vhd read|write SIZE DEPTH COUNT STEP|random "
			"FLUSH-EVERY\n");
		return 2;
	}
	b.op = strcmp(argv[3], "write") == 0 ? IO_WRITE : IO_READ;
	b.size = strtoull(argv[4], NULL, 0);
	b.depth = (unsigned)strtoul(argv[5], NULL, 0);
	b.count = strtoull(argv[6], NULL, 0);
	b.step = strcmp(argv[7], "random") == 0 ? 0 : strtoull(argv[7], NULL, 0);
	b.flush_every = strtoull(argv[8], NULL, 0);
	int r = backend_create(b.depth < 64 ? 64 : b.depth, &backend);

	if (r < 0) {
		fprintf(stderr, "disk_bench: backend: %s\n", strerror(-r));
		return 1;
	}
	backend_vhd_host(backend, &host);
	r = vhd_open(&host, argv[1],
		     (strcmp(argv[2], "raw") == 0 ? VHD_OPEN_RAW : 0) |
			     (b.op == IO_WRITE ? VHD_OPEN_WRITE : 0),
		     &disk, &error);
	if (r != 0) {
		fprintf(stderr, "disk_bench: %s\n", error.text);
		return 1;
	}
	b.disk = vhd_block(disk);
	double seconds = run(&b);

	r = vhd_close(disk);
	backend_destroy(backend);
	if (b.error != 0 || r != 0) {
		fprintf(stderr, "disk_bench: %s\n",
			strerror(b.error != 0 ? -b.error
				 : r < 0      ? -r
					      : EIO));
		return 1;
	}
	printf("%.6f\n", seconds);
	return 0;
}
