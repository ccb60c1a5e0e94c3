/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests: memory with known contents, files without names, jobs that are waited for. */
#ifndef SAVED_LAB_TEST_H
#define SAVED_LAB_TEST_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format.h"
#include "lib/check.h"
#include "saved/saved.h"

enum lab_content {
	LAB_ZERO,
	LAB_REPEAT,
	LAB_TEXT,
	LAB_RANDOM,
	LAB_SPARSE, /* some words in zeros */
	LAB_MIXED,  /* each chunk something else */
	LAB_CONTENTS,
};

static inline uint64_t lab_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void *lab_map(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

static inline void lab_fill_chunk(uint8_t *p, size_t bytes, enum lab_content content, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;

	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t word = 0;

		if (content == LAB_REPEAT) {
			word = seed | 1;
		} else if (content == LAB_TEXT) {
			word = 0x2020202020202020 | (lab_random(&state) & 0x0f0f0f0f);
		} else if (content == LAB_RANDOM) {
			word = lab_random(&state);
		} else if (content == LAB_SPARSE && lab_random(&state) % 500 == 0) {
			word = lab_random(&state);
		}
		if (word != 0) {
			memcpy(p + at, &word, sizeof(word));
		}
	}
}

static inline void lab_fill(uint8_t *memory, uint64_t bytes, enum lab_content content,
			    uint64_t seed)
{
	for (uint64_t i = 0; i < saved_chunks(bytes); i++) {
		enum lab_content here = content == LAB_MIXED
						? (enum lab_content)((i * 7 + seed) % LAB_MIXED)
						: content;

		lab_fill_chunk(memory + i * SAVED_CHUNK_BYTES, saved_chunk_length(bytes, i), here,
			       seed + i);
	}
}

static inline int lab_file(void)
{
	int fd = memfd_create("saved", MFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* The job's end: as saved_job_poll says it. */
static inline int lab_wait(struct saved_job *j, struct saved_error *error)
{
	struct pollfd p = {.fd = saved_job_fd(j), .events = POLLIN};
	uint64_t done, total;

	CHECK(poll(&p, 1, -1) == 1);
	return saved_job_poll(j, &done, &total, error);
}

static inline int lab_save(int fd, const struct saved_image *image, unsigned processes,
			   struct saved_error *error)
{
	struct saved_job *j;
	int r = saved_start(fd, image, processes, &j);

	if (r == 0) {
		r = lab_wait(j, error);
		saved_job_destroy(j);
	}
	return r;
}

#endif
