/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of long operations and checks: disks in memory, and what they must hold. Contents are known everywhere: each 512-byte sector is
 * zero or made from a seed and its own number.
 */
#ifndef VHD_LAB_TEST_H
#define VHD_LAB_TEST_H

#include <errno.h>

#include "format.h"
#include "test/test.h"
#include "testing.h"

#define KIB UINT64_C(1024)
#define MIB UINT64_C(0x100000)
#define LAB_CHUNK (64 * KIB)

struct lab {
	struct test *test;
	struct vhd_testing *files;
	const struct vhd_host *host;
	struct vhd_error error;
	uint8_t *buf, *expected; /* LAB_CHUNK */
};

static inline void lab_init(struct lab *l, struct test *t)
{
	*l = (struct lab){.test = t, .files = vhd_testing_create(UINT64_C(1) << 40)};
	l->host = vhd_testing_host(l->files);
	l->buf = malloc(LAB_CHUNK);
	l->expected = malloc(LAB_CHUNK);
}

static inline void lab_fini(struct lab *l)
{
	free(l->buf);
	free(l->expected);
	vhd_testing_destroy(l->files);
}

/* Expects @got; tells the error's text otherwise. */
#define LAB_EXPECT(l, got, want)                                                                   \
	do {                                                                                       \
		int got_ = (got);                                                                  \
		if (got_ != (want)) {                                                              \
			test_fail((l)->test, __FILE__, __LINE__, "%s: got %d, want %d: %s", #got,  \
				  got_, (int)(want), (l)->error.text);                             \
		}                                                                                  \
	} while (0)

static inline void lab_fill(uint8_t *p, uint64_t offset, uint32_t seed, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint64_t sector = (offset + i) / 512;
		uint32_t v =
			seed == 0 ? 0 : (uint32_t)(sector * 2654435761u + i % 512 * 40503u) ^ seed;

		memcpy(p + i, &v, 4);
	}
}

static inline void lab_create(struct lab *l, const char *path, const struct vhd_create *create)
{
	LAB_EXPECT(l, vhd_create(l->host, path, create, &l->error), 0);
}

static inline uint32_t lab_raw_flag(const char *path)
{
	return strstr(path, ".raw") != NULL ? VHD_OPEN_RAW : 0;
}

/* NULL after a failure was noted. */
static inline struct vhd_disk *lab_open(struct lab *l, const char *path, uint32_t flags)
{
	struct vhd_disk *d = NULL;

	LAB_EXPECT(l, vhd_open(l->host, path, flags | lab_raw_flag(path), &d, &l->error), 0);
	return d;
}

static inline void lab_close(struct lab *l, struct vhd_disk *d)
{
	LAB_EXPECT(l, vhd_close(d), 0);
}

/* @seed 0: zeros. */
static inline void lab_write(struct lab *l, const char *path, uint64_t offset, uint64_t bytes,
			     uint32_t seed)
{
	struct vhd_disk *d = lab_open(l, path, VHD_OPEN_WRITE);

	for (uint64_t at = 0; d != NULL && at < bytes; at += LAB_CHUNK) {
		size_t n = (size_t)(bytes - at < LAB_CHUNK ? bytes - at : LAB_CHUNK);

		lab_fill(l->buf, offset + at, seed, n);
		LAB_EXPECT(l, block_write(vhd_block(d), offset + at, l->buf, n), 0);
	}
	if (d != NULL) {
		lab_close(l, d);
	}
}

/* What was written where, in order. */
struct lab_write {
	uint64_t offset, bytes;
	uint32_t seed;
};

static inline void lab_expected(const struct lab_write *writes, size_t count, uint64_t at,
				uint8_t *buf, size_t bytes)
{
	memset(buf, 0, bytes);
	for (size_t i = 0; i < count; i++) {
		uint64_t start = writes[i].offset > at ? writes[i].offset : at,
			 end = writes[i].offset + writes[i].bytes;

		end = end < at + bytes ? end : at + bytes;
		if (start < end) {
			lab_fill(buf + (start - at), start, writes[i].seed, (size_t)(end - start));
		}
	}
}

/* Everything that @path shows is what the writes made of zeros. */
static inline void lab_verify(struct lab *l, const char *path, const struct lab_write *writes,
			      size_t count)
{
	struct vhd_disk *d = lab_open(l, path, 0);
	uint64_t bytes = d != NULL ? vhd_block(d)->info.bytes : 0;

	for (uint64_t at = 0; at < bytes; at += LAB_CHUNK) {
		size_t n = (size_t)(bytes - at < LAB_CHUNK ? bytes - at : LAB_CHUNK);

		LAB_EXPECT(l, block_read(vhd_block(d), at, l->buf, n), 0);
		lab_expected(writes, count, at, l->expected, n);
		if (memcmp(l->buf, l->expected, n) != 0) {
			test_fail(l->test, __FILE__, __LINE__, "%s: wrong contents at 0x%" PRIx64,
				  path, at);
			break;
		}
	}
	if (d != NULL) {
		lab_close(l, d);
	}
}

static inline void lab_write_all(struct lab *l, const char *path, const struct lab_write *writes,
				 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lab_write(l, path, writes[i].offset, writes[i].bytes, writes[i].seed);
	}
}

/* Steps @job up to @limit times, destroys it; the last result. */
static inline int lab_run(struct lab *l, struct vhd_job *job, unsigned limit)
{
	struct vhd_progress p = {0};
	int r = 1;

	for (unsigned i = 0; r == 1 && i < limit; i++) {
		r = vhd_job_step(job, &p, &l->error);
		EXPECT(l->test, r < 0 || p.done_bytes <= p.total_bytes);
	}
	vhd_job_destroy(job);
	return r;
}

/* Counts findings. */
static inline void lab_count_finding(void *ctx, const struct vhd_finding *f)
{
	(void)ctx;
	(void)f;
}

/* No errors in @path; the warnings. */
static inline unsigned lab_check_clean(struct lab *l, const char *path)
{
	const struct vhd_check check = {.finding = lab_count_finding};
	struct vhd_check_result result;

	LAB_EXPECT(l, vhd_check(l->host, path, &check, &result, &l->error), 0);
	if (result.errors != 0) {
		test_fail(l->test, __FILE__, __LINE__, "%s: %u errors", path, result.errors);
	}
	return result.warnings;
}

#endif
