/* SPDX-License-Identifier: Apache-2.0 */
/* What filters share: one device below, whose shape, changes, housekeeping and extents they pass on. */
#ifndef STORAGE_FILTER_H
#define STORAGE_FILTER_H

#include "lib/bits.h"
#include "storage/block.h"

struct filter {
	struct block_device block;
	struct block_device *below;
	struct block_listener listener; /* on below */
};

static inline struct filter *filter_from_block(struct block_device *b)
{
	return container_of(b, struct filter, block);
}

/* Takes over @below and shows its shape. */
void filter_init(struct filter *f, struct block_device *below, const struct block_ops *ops);
/* Allocates a zeroed filter of @size bytes that starts with struct filter. NULL: no memory; then @below is gone. */
void *filter_create(size_t size, struct block_device *below, const struct block_ops *ops);

/* Operations that forward. */
void filter_settle(struct block_device *b);
uint64_t filter_poll(struct block_device *b);
int filter_extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		  uint64_t *ret_bytes);
/* Destroys below, frees the filter. */
void filter_destroy(struct block_device *b);

/* A request on its way below that comes back to the filter first. */
struct filter_request {
	struct io_request io;
	struct io_request *whole; /* what was submitted to the filter */
	struct filter *filter;
};

/*
 * A copy of @r in @size bytes, which start with struct filter_request; @done gets it as the io_request's ctx. NULL: no memory; @r is
 * then completed with -ENOMEM.
 */
void *filter_wrap(struct filter *f, struct io_request *r, size_t size,
		  void (*done)(struct io_request *r, int result));
/* The same in memory that is there. */
void filter_wrap_in(struct filter_request *w, struct filter *f, struct io_request *r,
		    void (*done)(struct io_request *r, int result));

#endif
