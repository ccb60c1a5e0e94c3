// SPDX-License-Identifier: Apache-2.0
#include "storage/block.h"

#include <errno.h>

#include "lib/bits.h"
#include "wait.h"

static bool is_change(enum io_op op)
{
	return op == IO_WRITE || op == IO_DISCARD || op == IO_ZERO;
}

static bool vector_holds(const struct io_request *r)
{
	uint64_t left = r->bytes, skip = r->vec_skip;

	for (unsigned i = 0; i < r->vec_count && left != 0; i++) {
		uint64_t bytes = r->vec[i].bytes, skipped = min_u64(skip, bytes);

		skip -= skipped;
		left -= min_u64(left, bytes - skipped);
	}
	return left == 0;
}

static bool shape_fits(const struct block_device *b, const struct io_request *r)
{
	uint64_t mask = b->info.sector_bytes - 1;

	if (((r->offset | r->bytes) & mask) != 0 ||
	    !range_within(r->offset, r->bytes, b->info.bytes)) {
		return false;
	}
	return (r->op != IO_READ && r->op != IO_WRITE) || vector_holds(r);
}

void block_submit(struct block_device *b, struct io_request *r)
{
	if (r->op == IO_FLUSH) {
		b->ops->submit(b, r);
	} else if (r->bytes == 0) {
		io_complete(b->context, r, 0);
	} else if (!shape_fits(b, r)) {
		io_complete(b->context, r, -EINVAL);
	} else if (is_change(r->op) && b->info.read_only) {
		io_complete(b->context, r, -EROFS);
	} else if (r->op == IO_DISCARD && !b->info.discards) {
		io_complete(b->context, r, 0);
	} else {
		b->ops->submit(b, r);
	}
}

void block_settle(struct block_device *b)
{
	if (b->ops->settle != NULL) {
		b->ops->settle(b);
	}
}

void block_changed(struct block_device *b)
{
	if (b->listener != NULL) {
		b->listener->changed(b->listener, b);
	}
}

void block_destroy(struct block_device *b)
{
	if (b != NULL) {
		b->ops->destroy(b);
	}
}

int block_extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		 uint64_t *ret_bytes)
{
	if (offset >= b->info.bytes) {
		return -ENXIO;
	}
	if (b->ops->extent != NULL) {
		return b->ops->extent(b, offset, ret_what, ret_bytes);
	}
	*ret_what = STORAGE_DATA;
	*ret_bytes = b->info.bytes - offset;
	return 0;
}

uint64_t block_filter_poll(struct block_device *b)
{
	return b->ops->poll != NULL ? b->ops->poll(b) : UINT64_MAX;
}

/* ---- Waiting ---- */

static int submit_and_wait(struct block_device *b, struct io_request *r)
{
	struct io_wait w;

	io_wait_prepare(&w, r);
	block_submit(b, r);
	while (!w.finished) {
		io_wait_turn(b->context, block_filter_poll(b));
	}
	return w.result;
}

int block_read(struct block_device *b, uint64_t offset, void *buf, size_t bytes)
{
	struct io_vec vec = {.base = buf, .bytes = bytes};
	struct io_request r = {
		.op = IO_READ, .offset = offset, .bytes = bytes, .vec = &vec, .vec_count = 1};

	return submit_and_wait(b, &r);
}

int block_write(struct block_device *b, uint64_t offset, const void *buf, size_t bytes)
{
	struct io_vec vec = io_vec_of_const(buf, bytes);
	struct io_request r = {
		.op = IO_WRITE, .offset = offset, .bytes = bytes, .vec = &vec, .vec_count = 1};

	return submit_and_wait(b, &r);
}

int block_flush(struct block_device *b)
{
	struct io_request r = {.op = IO_FLUSH};

	return submit_and_wait(b, &r);
}

int block_zero(struct block_device *b, uint64_t offset, uint64_t bytes, bool unmap)
{
	struct io_request r = {
		.op = IO_ZERO, .flags = unmap ? IO_UNMAP : 0, .offset = offset, .bytes = bytes};

	return submit_and_wait(b, &r);
}
