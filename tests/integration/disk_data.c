// SPDX-License-Identifier: Apache-2.0
/*
 * Known data in virtual disks that nobody has open, for tests. Blocks are of 4,096 bytes and hold a text with zeros behind it:
 *
 *	disk-data write FILE BLOCK TEXT
 *	disk-data show FILE...            for each file a line: BLOCK=TEXT of all blocks that are not zeros, or why it cannot be read
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "lib/check.h"
#include "vhd/vhd.h"

#define BLOCK_BYTES 4096u

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "disk-data: %s:%d: check failed: %s\n", file, line, expr);
	abort();
}

static void done(struct io_request *r, int result)
{
	*(int *)r->ctx = result;
}

static int transfer(struct block_device *disk, enum io_op op, uint64_t block, char *data)
{
	struct io_vec vec = {data, BLOCK_BYTES};
	int result = 1; /* on its way */
	struct io_request r = {.op = op,
			       .offset = block * BLOCK_BYTES,
			       .bytes = BLOCK_BYTES,
			       .vec = &vec,
			       .vec_count = 1,
			       .done = done,
			       .ctx = &result};

	block_submit(disk, &r);
	while (result == 1) {
		io_poll(disk->context, true, UINT64_MAX);
	}
	return result;
}

static int write_block(const struct vhd_host *host, char **argv)
{
	static _Alignas(4096) char data[BLOCK_BYTES];
	struct vhd_error error;
	struct vhd_disk *disk;

	if (vhd_open(host, argv[0], VHD_OPEN_WRITE, &disk, &error) != 0) {
		fprintf(stderr, "disk-data: %s\n", error.text);
		return 1;
	}
	snprintf(data, sizeof(data), "%s", argv[2]);
	int r = transfer(vhd_block(disk), IO_WRITE, strtoull(argv[1], NULL, 10), data);
	int closed = vhd_close(disk);

	if (r != 0 || closed != 0) {
		fprintf(stderr, "disk-data: writing: %s\n", strerror(r != 0 ? -r : -closed));
	}
	return r != 0 || closed != 0;
}

static void show_disk(struct block_device *disk)
{
	static _Alignas(4096) char data[BLOCK_BYTES];
	const char *space = "";

	for (uint64_t i = 0; i < disk->info.bytes / BLOCK_BYTES; i++) {
		int r = transfer(disk, IO_READ, i, data);

		if (r != 0) {
			printf("%s%" PRIu64 ": %s", space, i, strerror(-r));
		} else if (data[0] != '\0') {
			printf("%s%" PRIu64 "=%.20s", space, i, data);
		} else {
			continue;
		}
		space = " ";
	}
}

static void show(const struct vhd_host *host, const char *path)
{
	struct vhd_error error;
	struct vhd_disk *disk;

	if (vhd_open(host, path, 0, &disk, &error) != 0) {
		printf("%s\n", error.text);
		return;
	}
	show_disk(vhd_block(disk));
	printf("\n");
	vhd_close(disk);
}

int main(int argc, char **argv)
{
	struct backend *backend;
	struct vhd_host host;
	int status = 2;

	if (backend_create(64, &backend) < 0) {
		fprintf(stderr, "disk-data: no backend\n");
		return 1;
	}
	backend_vhd_host(backend, &host);
	if (argc == 5 && strcmp(argv[1], "write") == 0) {
		status = write_block(&host, argv + 2);
	} else if (argc > 2 && strcmp(argv[1], "show") == 0) {
		for (int i = 2; i < argc; i++) {
			show(&host, argv[i]);
		}
		status = 0;
	} else {
		fprintf(stderr, "usage: disk-data write FILE BLOCK TEXT | show FILE...\n");
	}
	backend_destroy(backend);
	return status;
}
