/* SPDX-License-Identifier: Apache-2.0 */
/* For tests and fuzz targets: a disk in memory, requests that can be looked at, a clock that stands still. */
#ifndef STORAGE_TESTING_H
#define STORAGE_TESTING_H

#include "lib/check.h"
#include "storage/block.h"

/* A raw disk of @bytes in memory on @c. */
static inline struct block_device *testing_disk(struct io_context *c, uint64_t bytes,
						uint32_t sector_bytes, bool read_only)
{
	struct storage_file *f = storage_memory_file(c, "test", UINT64_MAX);
	struct block_device *b = NULL;

	CHECK(f != NULL);
	CHECK(storage_file_set_size(f, bytes) == 0);
	CHECK(block_raw_create(f, sector_bytes, read_only, &b) == 0);
	return b;
}

/* A request with its own vector; result is 1 until done was called. */
struct testing_request {
	struct io_request io;
	struct io_vec vec;
	int result;
	unsigned calls;
};

static inline void testing_done(struct io_request *r, int result)
{
	struct testing_request *t = r->ctx;

	t->result = result;
	t->calls++;
}

static inline void testing_submit(struct block_device *b, struct testing_request *t, enum io_op op,
				  uint64_t offset, void *buf, size_t bytes)
{
	*t = (struct testing_request){.vec = {.base = buf, .bytes = bytes}, .result = 1};
	t->io = (struct io_request){
		.op = op,
		.offset = offset,
		.bytes = bytes,
		.vec = &t->vec,
		.vec_count = 1,
		.done = testing_done,
		.ctx = t,
	};
	block_submit(b, &t->io);
}

/* Submits and turns @b's context, once for each layer. */
static inline int testing_run(struct block_device *b, enum io_op op, uint64_t offset, void *buf,
			      size_t bytes)
{
	struct testing_request t;

	testing_submit(b, &t, op, offset, buf, bytes);
	for (unsigned i = 0; i < 100 && t.calls == 0; i++) {
		io_poll(b->context, false, 0);
	}
	CHECK(t.calls == 1);
	return t.result;
}

struct testing_clock {
	struct block_clock clock;
	uint64_t now_ns;
};

static inline uint64_t testing_now_ns(void *ctx)
{
	return ((struct testing_clock *)ctx)->now_ns;
}

static inline void testing_clock_init(struct testing_clock *c, uint64_t now_ns)
{
	c->clock = (struct block_clock){.now_ns = testing_now_ns, .ctx = c};
	c->now_ns = now_ns;
}

/* Counts notices. */
struct testing_listener {
	struct block_listener listener;
	unsigned calls;
};

static inline void testing_changed(struct block_listener *l, struct block_device *b)
{
	((struct testing_listener *)(void *)l)->calls++;
}

static inline void testing_listen(struct testing_listener *l, struct block_device *b)
{
	*l = (struct testing_listener){.listener = {.changed = testing_changed}};
	b->listener = &l->listener;
}

#endif
