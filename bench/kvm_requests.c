// SPDX-License-Identifier: Apache-2.0
/*
 * Disk requests of a guest of bench/kvm, so few and so plain that what they cost the machine can be counted.
 *   kvm_requests DEVICE read|write DEPTH COUNT
 * Random 4 KiB blocks, past all caches of the guest. Says "requests: begin" and "requests: end SECONDS" on the console and waits for a line after each:
 * meanwhile the host looks at its counters.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define DEPTH_MAX 64u

struct run {
	int fd;
	aio_context_t aio;
	uint64_t blocks, random;
	int opcode;
	unsigned depth, left;
	struct iocb requests[DEPTH_MAX];
	uint8_t *buffers;
};

static void need(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t next_block(struct run *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random % r->blocks;
}

static void submit(struct run *r, unsigned slot)
{
	struct iocb *one = &r->requests[slot];

	*one = (struct iocb){.aio_data = slot,
			     .aio_lio_opcode = (uint16_t)r->opcode,
			     .aio_fildes = (uint32_t)r->fd,
			     .aio_buf = (uintptr_t)(r->buffers + (size_t)slot * BLOCK),
			     .aio_nbytes = BLOCK,
			     .aio_offset = (int64_t)(next_block(r) * BLOCK)};
	need(syscall(SYS_io_submit, r->aio, 1L, &one) == 1, "io_submit");
	r->left--;
}

static void go(struct run *r)
{
	unsigned inside = 0;

	while (r->left > 0 && inside < r->depth) {
		submit(r, inside++);
	}
	while (inside > 0) {
		struct io_event done[DEPTH_MAX];
		long n = syscall(SYS_io_getevents, r->aio, 1L, (long)r->depth, done, NULL);

		need(n > 0, "io_getevents");
		for (long i = 0; i < n; i++) {
			need(done[i].res == BLOCK, "a request");
			if (r->left > 0) {
				submit(r, (unsigned)done[i].data);
			} else {
				inside--;
			}
		}
	}
}

static void wait_for_line(void)
{
	char c = 0;

	while (c != '\n' && read(STDIN_FILENO, &c, 1) == 1) {
	}
}

int main(int argc, char **argv)
{
	struct run r = {.random = 88172645463325252u};
	uint64_t bytes = 0;
	double begun, ended;

	if (argc != 5) {
		return 2;
	}
	r.opcode = strcmp(argv[2], "read") == 0 ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	r.depth = (unsigned)atoi(argv[3]);
	r.left = (unsigned)atoi(argv[4]);
	need(r.depth > 0 && r.depth <= DEPTH_MAX, "depth");
	r.fd = open(argv[1], O_RDWR | O_DIRECT);
	need(r.fd >= 0 && ioctl(r.fd, BLKGETSIZE64, &bytes) == 0, argv[1]);
	r.blocks = bytes / BLOCK;
	r.buffers = aligned_alloc(BLOCK, (size_t)DEPTH_MAX * BLOCK);
	need(r.buffers != NULL && syscall(SYS_io_setup, DEPTH_MAX, &r.aio) == 0, "io_setup");
	memset(r.buffers, 0x5A, (size_t)DEPTH_MAX * BLOCK);
	puts("requests: begin");
	fflush(stdout);
	wait_for_line();
	begun = now();
	go(&r);
	ended = now();
	printf("requests: end %.6f\n", ended - begun);
	fflush(stdout);
	wait_for_line();
	return 0;
}
