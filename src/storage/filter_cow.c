// SPDX-License-Identifier: Apache-2.0
/*
 * Copy on write, by sectors: one bit says where a sector's contents are, so nothing is ever copied up. The bits live in pages that
 * are made when something is first written near.
 */
#include <errno.h>
#include <stdlib.h>

#include "filter.h"

#define PAGE_BITS 32768u
#define WORD_BITS 64u

struct page {
	uint64_t words[PAGE_BITS / WORD_BITS];
};

struct cow {
	struct filter filter;
	struct block_device *above;
	uint64_t sectors; /* that the bits cover */
	struct page **pages;
};

/* A request that has to be split, or whose end matters. */
struct cow_request {
	struct filter_request request;
	uint64_t finished_bytes; /* of the whole */
};

static struct cow *from_block(struct block_device *b)
{
	return container_of(filter_from_block(b), struct cow, filter);
}

static bool sector_is_above(const struct cow *c, uint64_t sector)
{
	const struct page *p = c->pages[sector / PAGE_BITS];
	uint64_t bit = sector % PAGE_BITS;

	return p != NULL && (p->words[bit / WORD_BITS] & BIT64(bit % WORD_BITS)) != 0;
}

/* How far it looks the same, in @count sectors from @first on; whole pages that are missing are passed over at once. */
static uint64_t run_of_sectors(const struct cow *c, uint64_t first, uint64_t count)
{
	bool above = sector_is_above(c, first);
	uint64_t run = 1;

	while (run < count && sector_is_above(c, first + run) == above) {
		uint64_t sector = first + run;

		run += c->pages[sector / PAGE_BITS] == NULL ? PAGE_BITS - sector % PAGE_BITS : 1;
	}
	return min_u64(run, count);
}

static bool make_pages(struct cow *c, uint64_t first, uint64_t count)
{
	for (uint64_t i = first / PAGE_BITS; i <= (first + count - 1) / PAGE_BITS; i++) {
		if (c->pages[i] == NULL) {
			c->pages[i] = calloc(1, sizeof(struct page));
		}
		if (c->pages[i] == NULL) {
			return false;
		}
	}
	return true;
}

static void mark_above(struct cow *c, uint64_t first, uint64_t count)
{
	for (uint64_t s = first; s < first + count; s++) {
		uint64_t bit = s % PAGE_BITS;

		c->pages[s / PAGE_BITS]->words[bit / WORD_BITS] |= BIT64(bit % WORD_BITS);
	}
}

static void finish(struct cow_request *w, int result)
{
	io_complete(w->request.filter->block.context, w->request.whole, result);
	free(w);
}

static void write_done(struct io_request *r, int result)
{
	struct cow_request *w = r->ctx;
	struct cow *c = container_of(w->request.filter, struct cow, filter);
	uint32_t sector_bytes = c->filter.block.info.sector_bytes;

	/* Only now: a write that failed leaves what was there. */
	if (result == 0) {
		mark_above(c, r->offset / sector_bytes, r->bytes / sector_bytes);
	}
	finish(w, result);
}

static void submit_write(struct cow *c, struct io_request *r)
{
	uint32_t sector_bytes = c->filter.block.info.sector_bytes;

	if (!make_pages(c, r->offset / sector_bytes, r->bytes / sector_bytes)) {
		io_complete(c->filter.block.context, r, -ENOMEM);
		return;
	}
	struct cow_request *w = filter_wrap(&c->filter, r, sizeof(*w), write_done);

	if (w == NULL) {
		return;
	}
	if (r->op == IO_DISCARD) {
		/* What lies below must not shine through where it was dropped from above. */
		w->request.io.op = IO_ZERO;
		w->request.io.flags = IO_UNMAP;
	}
	block_submit(c->above, &w->request.io);
}

static struct block_device *side_of(struct cow *c, uint64_t offset)
{
	return sector_is_above(c, offset / c->filter.block.info.sector_bytes) ? c->above
									      : c->filter.below;
}

/* How many bytes from @offset on come from one side. */
static uint64_t run_of_bytes(const struct cow *c, uint64_t offset, uint64_t bytes)
{
	uint32_t sector_bytes = c->filter.block.info.sector_bytes;

	return run_of_sectors(c, offset / sector_bytes, bytes / sector_bytes) * sector_bytes;
}

static void read_part(struct cow *c, struct cow_request *w)
{
	const struct io_request *whole = w->request.whole;
	uint64_t at = w->finished_bytes;
	uint64_t run = run_of_bytes(c, whole->offset + at, whole->bytes - at);

	io_slice(whole, at, run, &w->request.io);
	block_submit(side_of(c, w->request.io.offset), &w->request.io);
}

static void read_done(struct io_request *r, int result)
{
	struct cow_request *w = r->ctx;

	w->finished_bytes += r->bytes;
	if (result != 0 || w->finished_bytes == w->request.whole->bytes) {
		finish(w, result);
	} else {
		read_part(container_of(w->request.filter, struct cow, filter), w);
	}
}

static void submit_read(struct cow *c, struct io_request *r)
{
	if (run_of_bytes(c, r->offset, r->bytes) == r->bytes) {
		block_submit(side_of(c, r->offset), r);
		return;
	}
	struct cow_request *w = filter_wrap(&c->filter, r, sizeof(*w), read_done);

	if (w != NULL) {
		read_part(c, w);
	}
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct cow *c = from_block(b);

	switch (r->op) {
	case IO_READ:
		submit_read(c, r);
		break;
	case IO_FLUSH:
		block_submit(c->above, r);
		break;
	case IO_WRITE:
	case IO_DISCARD:
	case IO_ZERO:
		submit_write(c, r);
		break;
	}
}

static void settle(struct block_device *b)
{
	block_settle(from_block(b)->above);
}

static uint64_t poll(struct block_device *b)
{
	uint64_t above_ns = block_filter_poll(from_block(b)->above);

	return min_u64(above_ns, filter_poll(b));
}

static int extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		  uint64_t *ret_bytes)
{
	struct cow *c = from_block(b);
	uint64_t start = align_down(offset, b->info.sector_bytes);
	uint64_t run = run_of_bytes(c, start, b->info.bytes - start) - (offset - start);
	uint64_t bytes;
	int rc = block_extent(side_of(c, offset), offset, ret_what, &bytes);

	if (rc == 0) {
		*ret_bytes = min_u64(run, bytes);
	}
	return rc;
}

static void free_cow(struct cow *c)
{
	for (uint64_t i = 0; c->pages != NULL && i * PAGE_BITS < c->sectors; i++) {
		free(c->pages[i]);
	}
	free(c->pages);
	block_destroy(c->above);
	filter_destroy(&c->filter.block);
}

static void destroy(struct block_device *b)
{
	free_cow(from_block(b));
}

/* The shape: of below as far as above and the bits reach, writable and discarding as above. */
static void take_shape(struct cow *c)
{
	struct block_info *info = &c->filter.block.info;
	const struct block_info *above = &c->above->info;

	*info = c->filter.below->info;
	info->bytes = min_u64(min_u64(info->bytes, above->bytes), c->sectors * info->sector_bytes);
	info->read_only = above->read_only;
	info->discards = above->discards;
	info->discard_granularity_bytes = above->discard_granularity_bytes;
	info->discard_zeros = above->discards;
}

static void below_changed(struct block_listener *l, struct block_device *below)
{
	struct cow *c = container_of(l, struct cow, filter.listener);

	take_shape(c);
	block_changed(&c->filter.block);
}

static bool fits(const struct block_info *below, const struct block_info *above)
{
	return above->bytes >= below->bytes && above->sector_bytes == below->sector_bytes &&
	       !above->read_only;
}

int block_cow_create(struct block_device *below, struct block_device *above,
		     struct block_device **ret)
{
	static const struct block_ops ops = {
		.submit = submit,
		.settle = settle,
		.destroy = destroy,
		.poll = poll,
		.extent = extent,
	};
	bool fit = fits(&below->info, &above->info);
	struct cow *c = filter_create(sizeof(*c), below, &ops);

	if (c == NULL) {
		block_destroy(above);
		return -ENOMEM;
	}
	c->above = above;
	c->sectors = below->info.bytes / below->info.sector_bytes;
	c->pages = calloc(c->sectors / PAGE_BITS + 1, sizeof(struct page *));
	if (c->pages == NULL || !fit) {
		free_cow(c);
		return fit ? -ENOMEM : -EINVAL;
	}
	c->filter.listener.changed = below_changed;
	take_shape(c);
	*ret = &c->filter.block;
	return 0;
}
