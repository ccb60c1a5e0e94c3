// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <errno.h>
#include <stdlib.h>

static void below_changed(struct block_listener *l, struct block_device *below)
{
	struct filter *f = container_of(l, struct filter, listener);

	f->block.info = below->info;
	block_changed(&f->block);
}

void filter_init(struct filter *f, struct block_device *below, const struct block_ops *ops)
{
	f->below = below;
	f->listener.changed = below_changed;
	f->block = (struct block_device){
		.ops = ops, .context = below->context, .name = below->name, .info = below->info};
	below->listener = &f->listener;
}

void *filter_create(size_t size, struct block_device *below, const struct block_ops *ops)
{
	void *f = calloc(1, size);

	if (f == NULL) {
		block_destroy(below);
		return NULL;
	}
	filter_init(f, below, ops);
	return f;
}

void filter_settle(struct block_device *b)
{
	block_settle(filter_from_block(b)->below);
}

uint64_t filter_poll(struct block_device *b)
{
	return block_filter_poll(filter_from_block(b)->below);
}

int filter_extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		  uint64_t *ret_bytes)
{
	return block_extent(filter_from_block(b)->below, offset, ret_what, ret_bytes);
}

void filter_destroy(struct block_device *b)
{
	struct filter *f = filter_from_block(b);

	block_destroy(f->below);
	free(f);
}

void filter_wrap_in(struct filter_request *w, struct filter *f, struct io_request *r,
		    void (*done)(struct io_request *r, int result))
{
	w->io = *r;
	w->io.done = done;
	w->io.ctx = w;
	w->whole = r;
	w->filter = f;
}

void *filter_wrap(struct filter *f, struct io_request *r, size_t size,
		  void (*done)(struct io_request *r, int result))
{
	struct filter_request *w = calloc(1, size);

	if (w == NULL) {
		io_complete(f->block.context, r, -ENOMEM);
		return NULL;
	}
	filter_wrap_in(w, f, r, done);
	return w;
}
