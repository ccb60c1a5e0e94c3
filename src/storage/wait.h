/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for one request by turning its context. */
#ifndef STORAGE_WAIT_H
#define STORAGE_WAIT_H

#include "storage/io.h"

struct io_wait {
	bool finished;
	int result;
};

/* Sets done and ctx of @r, which is to be submitted next. */
void io_wait_prepare(struct io_wait *w, struct io_request *r);
/* One turn that may sleep. Fails a CHECK when nothing on @c could ever finish. */
void io_wait_turn(struct io_context *c, uint64_t timeout_ns);

/* IO_WRITE only reads the memory of its vector. */
static inline struct io_vec io_vec_of_const(const void *buf, size_t bytes)
{
	return (struct io_vec){.base = (void *)(uintptr_t)buf, .bytes = bytes};
}

#endif
