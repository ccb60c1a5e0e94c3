/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of open disks: a disk and a flat copy of what it must hold, and requests at random to both. */
#ifndef VHD_MODEL_TEST_H
#define VHD_MODEL_TEST_H

#include <errno.h>

#include "lib/bits.h"
#include "test/test.h"
#include "testing.h"

#define KIB UINT64_C(1024)
#define MIB UINT64_C(1048576)
#define GIB UINT64_C(1073741824)

static inline const struct vhd_host *host_of(struct vhd_testing *t)
{
	return vhd_testing_host(t);
}

static inline int create(struct vhd_testing *w, const char *path, enum vhd_format format,
			 uint64_t bytes, uint64_t block, const char *parent)
{
	const struct vhd_create c = {
		.format = format, .bytes = bytes, .block_bytes = block, .parent = parent};
	struct vhd_error error = {0};
	int rc = vhd_create(host_of(w), path, &c, &error);

	if (rc != 0) {
		printf("# create: %d %s\n", rc, error.text);
	}
	return rc;
}

static inline struct vhd_disk *open_disk(struct vhd_testing *w, const char *path, uint32_t flags)
{
	struct vhd_error error = {0};
	struct vhd_disk *d = NULL;
	int rc = vhd_open(host_of(w), path, flags, &d, &error);

	if (rc != 0) {
		printf("# open: %d %s\n", rc, error.text);
		return NULL;
	}
	return d;
}

static inline int open_status(struct vhd_testing *w, const char *path, uint32_t flags,
			      struct vhd_error *error)
{
	struct vhd_disk *d = NULL;
	int rc = vhd_open(host_of(w), path, flags, &d, error);

	if (rc == 0) {
		vhd_close(d);
	}
	return rc;
}

struct model {
	struct vhd_testing *world;
	struct vhd_disk *disk;
	uint8_t *bytes;
	uint64_t size;
	uint32_t unit; /* a sector of the disk, of 512 bytes */
	uint64_t random;
	unsigned in_flight;
	unsigned errors;
};

static inline uint32_t next_random(struct model *m, uint32_t below)
{
	m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(m->random >> 33) % below;
}

struct job {
	struct io_request r;
	struct io_vec vec[2];
	struct model *m;
	uint8_t *data;
};

static inline void job_done(struct io_request *r, int result)
{
	struct job *j = r->ctx;
	struct model *m = j->m;

	m->errors += result != 0;
	if (r->op == IO_READ && memcmp(j->data, m->bytes + r->offset, r->bytes) != 0) {
		printf("# read of %" PRIu64 " bytes at %" PRIu64 " differs\n", r->bytes, r->offset);
		m->errors++;
	}
	m->in_flight--;
	free(j->data);
	free(j);
}

/* Sends one random request; writes of those in flight do not overlap as the caller waits in between. */
static inline void send(struct model *m, enum io_op op, uint64_t first, uint64_t sectors)
{
	struct job *j = calloc(1, sizeof(*j));
	size_t bytes = (size_t)sectors * 512, cut = bytes / 2 + 1;

	j->m = m;
	j->data = malloc(bytes);
	for (size_t i = 0; i < bytes; i += 64) {
		memset(j->data + i, (int)next_random(m, 256), 64);
	}
	j->vec[0] = (struct io_vec){.base = j->data, .bytes = cut};
	j->vec[1] = (struct io_vec){.base = j->data + cut, .bytes = bytes - cut};
	j->r = (struct io_request){
		.op = op,
		.flags = next_random(m, 4) == 0 ? IO_FUA : 0,
		.offset = first * 512,
		.bytes = bytes,
		.vec = j->vec,
		.vec_count = 2,
		.done = job_done,
		.ctx = j,
	};
	if (op == IO_WRITE) {
		memcpy(m->bytes + j->r.offset, j->data, bytes);
	} else if (op == IO_ZERO) {
		memset(m->bytes + j->r.offset, 0, bytes);
	}
	m->in_flight++;
	block_submit(vhd_block(m->disk), &j->r);
}

static inline void drain(struct model *m)
{
	while (m->in_flight != 0) {
		io_poll(vhd_testing_context(m->world), true, UINT64_MAX);
	}
}

static inline void check_all(struct test *t, struct model *m)
{
	uint8_t *buf = malloc(m->size);

	EXPECT_EQ(t, block_read(vhd_block(m->disk), 0, buf, m->size), 0);
	EXPECT_MEM(t, buf, m->bytes, m->size);
	free(buf);
}

/* Rounds of requests that do not overlap within a round: each sector range is one of a few stripes. */
static inline void exercise(struct model *m, unsigned rounds)
{
	uint64_t stripe = align_down(m->size / 512 / 8, m->unit);

	for (unsigned i = 0; i < rounds; i++) {
		for (uint64_t s = 0; s < 8; s++) {
			static const enum io_op ops[] = {IO_WRITE, IO_WRITE, IO_WRITE,
							 IO_READ,  IO_READ,  IO_ZERO};
			uint64_t length =
				align_up(1 + next_random(m, next_random(m, 3) == 0
								    ? (uint32_t)(stripe - m->unit)
								    : 16),
					 m->unit);
			uint64_t first =
				s * stripe + next_random(m, (uint32_t)(stripe - length + 1));

			send(m, ops[next_random(m, ARRAY_LEN(ops))], align_down(first, m->unit),
			     length);
		}
		if (next_random(m, 3) == 0) {
			drain(m);
		}
		if (next_random(m, 5) == 0) {
			block_flush(vhd_block(m->disk));
		}
		if (next_random(m, 7) == 0) {
			block_settle(vhd_block(m->disk));
		}
		drain(m);
	}
}

static inline bool start_model(struct model *m, struct vhd_testing *w, const char *path,
			       uint64_t bytes)
{
	memset(m, 0, sizeof(*m));
	m->world = w;
	m->size = bytes;
	m->random = bytes + 1;
	m->bytes = calloc(1, bytes);
	m->disk = open_disk(w, path, VHD_OPEN_WRITE);
	m->unit = m->disk != NULL ? vhd_block(m->disk)->info.sector_bytes / 512 : 1;
	return m->disk != NULL;
}

static inline void reopen(struct test *t, struct model *m, const char *path)
{
	EXPECT_EQ(t, vhd_close(m->disk), 0);
	m->disk = open_disk(m->world, path, VHD_OPEN_WRITE);
	EXPECT(t, m->disk != NULL);
}

static inline void run_create(struct test *t, const struct vhd_create *c)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct vhd_error error;
	uint64_t bytes = c->bytes;
	struct model m;

	EXPECT_EQ(t, vhd_create(host_of(w), "disk.vhd", c, &error), 0);
	if (start_model(&m, w, "disk.vhd", bytes)) {
		for (unsigned i = 0; i < 4; i++) {
			exercise(&m, 30);
			check_all(t, &m);
			reopen(t, &m, "disk.vhd");
			check_all(t, &m);
		}
		vhd_close(m.disk);
	}
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	vhd_testing_destroy(w);
}

static inline void run_kind(struct test *t, enum vhd_format format, uint64_t bytes, uint64_t block)
{
	const struct vhd_create c = {.format = format, .bytes = bytes, .block_bytes = block};

	run_create(t, &c);
}

/* ---- Jobs ---- */

static inline int finish_job(struct vhd_job *j)
{
	struct vhd_progress p;
	struct vhd_error error = {0};
	int rc;

	do {
		rc = vhd_job_step(j, &p, &error);
	} while (rc == 1);
	if (rc != 0) {
		printf("# job: %d %s\n", rc, error.text);
	}
	vhd_job_destroy(j);
	return rc;
}

static inline int resize(struct vhd_disk *d, uint64_t bytes)
{
	struct vhd_error error = {0};
	struct vhd_job *j = NULL;
	int rc = vhd_resize(d, bytes, &j, &error);

	if (rc != 0) {
		printf("# resize: %d %s\n", rc, error.text);
	}
	return rc == 0 ? finish_job(j) : rc;
}

static inline void resize_model(struct test *t, struct model *m, const char *path, uint64_t bytes)
{
	EXPECT_EQ(t, resize(m->disk, bytes), 0);
	EXPECT_EQ(t, vhd_block(m->disk)->info.bytes, bytes);
	m->bytes = realloc(m->bytes, bytes);
	if (bytes > m->size) {
		memset(m->bytes + m->size, 0, bytes - m->size);
	}
	m->size = bytes;
	check_all(t, m);
	exercise(m, 5);
	check_all(t, m);
	reopen(t, m, path);
	check_all(t, m);
}

static inline void resize_kind(struct test *t, enum vhd_format format, uint64_t block)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct model m;

	EXPECT_EQ(t, create(w, "d.vhd", format, 3 * MIB, block, NULL), 0);
	if (start_model(&m, w, "d.vhd", 3 * MIB)) {
		exercise(&m, 10);
		resize_model(t, &m, "d.vhd", 3 * MIB + 512);
		resize_model(t, &m, "d.vhd", 8 * MIB);
		resize_model(t, &m, "d.vhd", 30 * MIB);
		vhd_close(m.disk);
	}
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	vhd_testing_destroy(w);
}

#endif
